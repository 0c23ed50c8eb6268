/* SPDX-License-Identifier: MIT */
/* Value types and values.
 *
 * A value crosses the door in 64-bit slots: i32 and f32 zero-extended in one, i64 and f64 in one, v128 in two
 * (low half first), references in one (0 is null; otherwise opaque). Core specification, 2.3 (Types). */
#ifndef LUNETTE_VALUE_H
#define LUNETTE_VALUE_H

#include <lunette/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The low byte is the code of the binary format; the bits above are kept for typed references. */
typedef uint32_t lun_type;
#define LUN_I32 0x7fu
#define LUN_I64 0x7eu
#define LUN_F32 0x7du
#define LUN_F64 0x7cu
#define LUN_V128 0x7bu
#define LUN_FUNCREF 0x70u
#define LUN_EXTERNREF 0x6fu
#define LUN_EXNREF 0x69u

/* A function type. The arrays belong to whoever hands it out. */
typedef struct lun_signature {
  uint32_t param_count, result_count;
  const lun_type *params, *results;
} lun_signature;

/* "i32", "funcref", …; "?" for anything else. Never NULL. */
LUN_API const char *lun_type_name(lun_type type);
/* The type of that name, or 0. */
LUN_API lun_type lun_type_of_name(const char *name);
/* How many slots a value of the type takes: 2 for v128, else 1. */
LUN_API uint32_t lun_type_slots(lun_type type);

#ifdef __cplusplus
}
#endif
#endif
