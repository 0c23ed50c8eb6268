/* SPDX-License-Identifier: MIT */
/* Value types and values.
 *
 * A value crosses the door in 64-bit slots: i32 and f32 zero-extended in one, i64 and f64 in one, v128 in two
 * (low half first), references in one (0 is null; otherwise opaque). Core specification, 2.3 (Types).
 *
 * Threads: any. Texts that are returned are constants, but for those that are written into a buffer. */
#ifndef LUNETTE_VALUE_H
#define LUNETTE_VALUE_H

#include <lunette/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The low byte is the code of the binary format. Of a typed reference it is 0x64 ((ref …)) or 0x63 ((ref null …)), and above
 * it stands what is referred to: the number of a function type, or with LUN_HEAP_ABSTRACT another code. (ref null func) is
 * LUN_FUNCREF, and so on. The number is one of the module's that the type was read from (of several equal types the first);
 * of a live table or global it is the store's own. */
typedef uint32_t lun_type;
#define LUN_HEAP_ABSTRACT 0x80000000u
#define LUN_I32 0x7fu
#define LUN_I64 0x7eu
#define LUN_F32 0x7du
#define LUN_F64 0x7cu
#define LUN_V128 0x7bu
#define LUN_FUNCREF 0x70u
#define LUN_EXTERNREF 0x6fu
#define LUN_EXNREF 0x69u
#define LUN_REF_FUNC 0x80007064u      /* (ref func): not null */
#define LUN_REF_EXTERN 0x80006f64u    /* (ref extern) */
#define LUN_REF_EXN 0x80006964u       /* (ref exn) */

/* A function type. The arrays belong to whoever hands it out. */
typedef struct lun_signature {
  uint32_t param_count, result_count;
  const lun_type *params, *results;
} lun_signature;

/* "i32", "funcref", "(ref func)" …; "(ref type)" or "(ref null type)" where the type refers to one by number; "?" for
 * anything else. Never NULL. */
LUN_API const char *lun_type_name(lun_type type);
/* The same with the number: "(ref null 3)". Into the buffer, which it returns; LUN_TYPE_TEXT bytes are enough. */
#define LUN_TYPE_TEXT 24u
LUN_API const char *lun_type_text(lun_type type, char *buffer, size_t room);
/* LUN_FUNCREF for all references to functions, LUN_EXTERNREF for those to host values; any other type as it is. */
LUN_API lun_type lun_type_top(lun_type type);
/* Whether null is a value of the type. */
LUN_API bool lun_type_is_nullable(lun_type type);
/* The type of that name, or 0; none that refers to another by number. */
LUN_API lun_type lun_type_of_name(const char *name);
/* How many slots a value of the type takes: 2 for v128, else 1. */
LUN_API uint32_t lun_type_slots(lun_type type);

#ifdef __cplusplus
}
#endif
#endif
