/* SPDX-License-Identifier: MIT */
/* The state of validating bodies: what validate.c and its quick way (quick.c) share. */
#ifndef LUN_VALIDATE_H
#define LUN_VALIDATE_H

#include "decode.h"

enum { UNKNOWN = 0, MOST_POPS = 3, FIRST_LOCALS = 256, FIRST_OPERANDS = 256, GUARD = 2 };

/* What code_quick needs to know, by opcode byte. All zero: this one has no quick way. */
typedef struct Quick {
  lun_type top, below;            /* the types it takes; a mask of 0: none */
  lun_type top_mask, below_mask;
  lun_type out, out_mask;         /* the type it gives; a mask of 0: none */
  lun_type local_mask;            /* all ones: it is about a local, whose type stands for top and out */
  uint16_t first_limit;           /* the byte behind the opcode is smaller */
  uint8_t pops, gives;
  uint8_t leb_first, leb_second;  /* all ones: a LEB128 begins one (two) bytes behind the opcode's */
  uint8_t most;                   /* bytes, with a LEB128 of at most four */
} Quick;

/* What an instruction with a signature takes and gives; out: UNKNOWN for nothing. */
typedef struct Shape {
  uint32_t pops;
  lun_type in[MOST_POPS], out;
} Shape;

typedef enum BlockKind { KIND_FUNCTION, KIND_BLOCK, KIND_LOOP, KIND_IF, KIND_ELSE } BlockKind;

typedef struct Control {
  uint32_t height;             /* of the operand stack below the block */
  uint16_t param_count, result_count;
  uint8_t kind;
  bool unreachable;
  const lun_type *params, *results;
} Control;

/* Locals that are alike, up to (not including) index `end`. */
typedef struct Local {
  uint32_t end;
  lun_type type;
} Local;

typedef struct Validator {
  Bytes b;
  lun_type *top, *floor, *limit;  /* next free operand; the innermost block's first; end of the room */
  lun_type *operands;             /* the first GUARD are none: code_quick may look below the stack */
  Control *control;               /* the innermost block */
  VEC(Control) controls;
  const uint8_t *instruction;     /* at work */
  Op op;
  uint32_t first_count, local_count;
  lun_type first[FIRST_LOCALS];   /* types of the first locals; the rest by search */
  VEC(Local) locals;
  const lun_module *module;
  const lun_definition *definition;
  lun_error *error;
  Shape shapes[OP_COUNT];
  Quick quick[256];
} Validator;

/* Of the instructions from i32.load to i64.store32, as exponents (quick.c). */
extern const uint8_t natural_alignment[];

/* ---- quick.c ---- */
void tables_init(Validator *v);   /* v->shapes and v->quick, for all of a module */
void quick_locals(Validator *v);  /* for the locals of a body */
/* Goes on from v->b.at as far as all is plain; never fails. */
void code_quick(Validator *v);

#endif
