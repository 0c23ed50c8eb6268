/* SPDX-License-Identifier: MIT */
/* The state of validating bodies, operands on and off its stack, and the checks of instructions: what validate.c (bodies),
 * validate_control.c, validate_data.c and the quick way (quick.c) share. */
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

typedef enum BlockKind { KIND_FUNCTION, KIND_BLOCK, KIND_LOOP, KIND_IF, KIND_ELSE, KIND_TRY, KIND_CATCH, KIND_CATCH_ALL } BlockKind;

typedef struct Control {
  uint32_t height;             /* of the operand stack below the block */
  uint32_t sets;               /* of the stack of locals that were set, likewise */
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
  uint32_t unset_from;         /* the first local without a default; UINT32_MAX: there is none */
  VEC(uint8_t) is_set;         /* by local, where there is one */
  VEC(uint32_t) sets;          /* the locals without a default set so far, to be unset at the ends of blocks */
  const lun_module *module;
  const lun_definition *definition;
  lun_error *error;
  Shape shapes[OP_COUNT];
  Quick quick[256];
} Validator;

/* Of the instructions from i32.load to i64.store32, as exponents (quick.c). */
extern const uint8_t natural_alignment[];

/* ---- validate.c ---- */
/* Each sets the error and gives false: of an invalid module (or, where the reader has failed, of a malformed one) … */
bool validate_fail(Validator *v, const char *format, ...) LUN_PRINTF(2, 3);
bool validate_mismatch(Validator *v, const char *wanted, const char *got);
bool validate_mismatch_types(Validator *v, lun_type wanted, lun_type got);
/* … of malformed bytes, by the reader's failure or this text … */
bool validate_fail_read(Validator *v);
bool validate_fail_malformed(Validator *v, const char *text);
bool validate_no_memory(Validator *v);

bool operands_grow(Validator *v, size_t extra);
bool operand_pop_any(Validator *v, lun_type *type);
bool operand_pop_slow(Validator *v, lun_type wanted);
/* A reference of any type; BOTTOM_REFERENCE where it is unknown. */
bool operand_pop_reference(Validator *v, lun_type *type);

static inline bool push(Validator *v, lun_type type) {
  if (UNLIKELY(v->top == v->limit) && !operands_grow(v, 1)) return false;
  *v->top++ = type;
  return true;
}

static inline bool pop(Validator *v, lun_type wanted) {
  if (LIKELY(v->top > v->floor && v->top[-1] == wanted)) {
    v->top--;
    return true;
  }
  return operand_pop_slow(v, wanted);
}

static inline bool push_all(Validator *v, const lun_type *types, uint32_t count) {
  if ((size_t)(v->limit - v->top) < count && !operands_grow(v, count)) return false;
  for (uint32_t i = 0; i < count; i++) *v->top++ = types[i];
  return true;
}

static inline bool pop_all(Validator *v, const lun_type *types, uint32_t count) {
  for (uint32_t i = count; i-- > 0;) {
    if (!pop(v, types[i])) return false;
  }
  return true;
}

/* By the signature in the table, whose first operand is an address of this type. */
static inline bool shaped_at(Validator *v, lun_type address) {
  const Shape *shape = &v->shapes[v->op];
  for (uint32_t i = shape->pops; i-- > 1;) {
    if (!pop(v, shape->in[i])) return false;
  }
  return pop(v, address) && (shape->out == UNKNOWN || push(v, shape->out));
}

/* By the signature in the table. */
static inline bool shaped(Validator *v) {
  const Shape *shape = &v->shapes[v->op];
  for (uint32_t i = shape->pops; i-- > 0;) {
    if (!pop(v, shape->in[i])) return false;
  }
  return shape->out == UNKNOWN || push(v, shape->out);
}

/* ---- validate_control.c ---- */
bool control_push(Validator *v, BlockKind kind, const BlockType *type);
/* Checks the results of the innermost block and that nothing else is left. */
bool control_close(Validator *v);
/* Reads the type of a block. */
bool validate_block_type(Validator *v, BlockType *type);
/* What the label of that depth takes. */
bool validate_label(Validator *v, uint32_t depth, const lun_type **types, uint32_t *count);
bool check_unreachable(Validator *v), check_nop(Validator *v), check_block(Validator *v), check_loop(Validator *v),
  check_if(Validator *v), check_else(Validator *v), check_end(Validator *v), check_branch(Validator *v),
  check_branch_if(Validator *v), check_branch_table(Validator *v), check_return(Validator *v),
  check_call(Validator *v), check_call_indirect(Validator *v), check_return_call(Validator *v),
  check_return_call_indirect(Validator *v),
  check_call_ref(Validator *v), check_return_call_ref(Validator *v), check_branch_on_null(Validator *v),
  check_branch_on_non_null(Validator *v);

/* ---- validate_exceptions.c ---- */
bool check_throw(Validator *v), check_throw_ref(Validator *v), check_try_table(Validator *v), check_try(Validator *v),
  check_catch(Validator *v), check_catch_all(Validator *v), check_delegate(Validator *v), check_rethrow(Validator *v);

/* ---- validate_data.c ---- */
/* Reads an index of a table; its type. */
bool validate_table_index(Validator *v, const TableType **type);
bool check_drop(Validator *v), check_select_untyped(Validator *v), check_select_typed(Validator *v),
  check_local_get(Validator *v), check_local_set(Validator *v), check_local_tee(Validator *v),
  check_global_get(Validator *v), check_global_set(Validator *v), check_data_index(Validator *v),
  check_element_drop(Validator *v), check_table_get(Validator *v), check_table_set(Validator *v),
  check_table_size(Validator *v), check_table_grow(Validator *v), check_table_fill(Validator *v),
  check_table_init(Validator *v), check_table_copy(Validator *v), check_reference_null(Validator *v),
  check_reference_is_null(Validator *v), check_reference_function(Validator *v), check_reference_as_non_null(Validator *v), check_memory_access(Validator *v),
  check_memory_size(Validator *v), check_memory_grow(Validator *v), check_memory_fill(Validator *v), check_memory_init(Validator *v), check_memory_copy(Validator *v),
  check_constant_i32(Validator *v), check_constant_i64(Validator *v), check_constant_f32(Validator *v),
  check_constant_f64(Validator *v), check_vector_immediate(Validator *v);

/* ---- quick.c ---- */
void tables_init(Validator *v);   /* v->shapes and v->quick, for all of a module */
void quick_locals(Validator *v);  /* for the locals of a body */
/* Goes on from v->b.at as far as all is plain; never fails. */
void code_quick(Validator *v);

#endif
