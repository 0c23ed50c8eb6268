/* SPDX-License-Identifier: MIT */
/* Validation of bodies, by the algorithm of the core specification's appendix A.3: a stack of operand types, a stack
 * of open blocks, and behind a branch that never comes back an operand stack that gives whatever is asked for
 * (a type of UNKNOWN). One pass over the bytes checks form and types; one validator serves all bodies of a module, and
 * nothing is allocated per instruction.
 *
 * A failed read makes the reader's end its place (bytes.c): whatever the instruction at work then makes of the zeros,
 * the failure comes first when an error is set, or ends the loop. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "validate.h"

/* ---- errors ---- */

bool validate_fail_read(Validator *v) {
  char place[PLACE_ROOM];
  Later none = { NULL, NULL };
  malformed_set(v->error, v->module, &v->b, &none, function_place(v->definition, place));
  return false;
}

bool validate_fail(Validator *v, const char *format, ...) {
  if (v->b.failure) return validate_fail_read(v);
  char place[PLACE_ROOM], text[256];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  lun_error_set(v->error, LUN_INVALID, "%s (%s)", text, function_place(v->definition, place));
  v->error->offset = (uint64_t)(v->instruction - v->module->bytes);
  return false;
}

bool validate_fail_malformed(Validator *v, const char *text) {
  bytes_fail(&v->b, text);
  return validate_fail_read(v);
}

bool validate_no_memory(Validator *v) {
  lun_error_set(v->error, LUN_NO_MEMORY, "not enough memory to validate the module");
  return false;
}

bool validate_mismatch(Validator *v, const char *wanted, const char *got) {
  return validate_fail(v, "type mismatch: %s expected %s, got %s", op_info[v->op].text, wanted, got);
}

bool validate_mismatch_types(Validator *v, lun_type wanted, lun_type got) {
  char text[LUN_TYPE_TEXT], other[LUN_TYPE_TEXT];
  return validate_mismatch(v, lun_type_text(wanted, text, sizeof text), lun_type_text(got, other, sizeof other));
}

/* ---- operands ---- */

bool operands_grow(Validator *v, size_t extra) {
  bool none = !v->operands;
  size_t count = none ? 0 : (size_t)(v->top - v->operands), floor = none ? 0 : (size_t)(v->floor - v->operands);
  size_t room = none ? 0 : (size_t)(v->limit - v->operands), filled = room;
  if (count + extra > LIMIT_OPERANDS) {
    return validate_fail(v, "too many values on the operand stack: the limit is %d", LIMIT_OPERANDS);
  }
  void *items = v->operands;
  if (!vec_reserve(&items, &room, count + extra, sizeof *v->operands)) return validate_no_memory(v);
  v->operands = items;
  v->top = v->operands + count;
  v->floor = v->operands + floor;
  v->limit = v->operands + room;
  /* code_quick looks at what it then takes no heed of. */
  for (; filled < room; filled++) v->operands[filled] = UNKNOWN;
  return true;
}

bool operand_pop_any(Validator *v, lun_type *type) {
  if (v->top > v->floor) {
    *type = *--v->top;
    return true;
  }
  *type = UNKNOWN;
  return v->control->unreachable || validate_mismatch(v, "a value", "nothing");
}

bool operand_pop_slow(Validator *v, lun_type wanted) {
  char text[LUN_TYPE_TEXT];
  if (v->top == v->floor) {
    return v->control->unreachable || validate_mismatch(v, lun_type_text(wanted, text, sizeof text), "nothing");
  }
  lun_type type = *--v->top;
  return type == UNKNOWN || type_matches(type, wanted) || validate_mismatch_types(v, wanted, type);
}

bool operand_pop_reference(Validator *v, lun_type *type) {
  if (!operand_pop_any(v, type)) return false;
  if (*type == UNKNOWN) *type = BOTTOM_REFERENCE;
  return type_is_reference(*type) || validate_mismatch(v, "a reference", lun_type_name(*type));
}

static bool instruction_rare(Validator *v);

/* By Op + 1. What is not here has a signature and no immediate. */
static bool (*const checks[OP_COUNT + 1])(Validator *) = {
  [0] = instruction_rare,
  [1 + OP_UNREACHABLE] = check_unreachable,
  [1 + OP_NOP] = check_nop,
  [1 + OP_BLOCK] = check_block,
  [1 + OP_LOOP] = check_loop,
  [1 + OP_IF] = check_if,
  [1 + OP_ELSE] = check_else,
  [1 + OP_END] = check_end,
  [1 + OP_BR] = check_branch,
  [1 + OP_BR_IF] = check_branch_if,
  [1 + OP_BR_TABLE] = check_branch_table,
  [1 + OP_RETURN] = check_return,
  [1 + OP_CALL] = check_call,
  [1 + OP_CALL_INDIRECT] = check_call_indirect,
  [1 + OP_RETURN_CALL] = check_return_call,
  [1 + OP_RETURN_CALL_INDIRECT] = check_return_call_indirect,
  [1 + OP_TRY] = check_try,
  [1 + OP_CATCH] = check_catch,
  [1 + OP_CATCH_ALL] = check_catch_all,
  [1 + OP_DELEGATE] = check_delegate,
  [1 + OP_RETHROW] = check_rethrow,
  [1 + OP_TRY_TABLE] = check_try_table,
  [1 + OP_THROW] = check_throw,
  [1 + OP_THROW_REF] = check_throw_ref,
  [1 + OP_CALL_REF] = check_call_ref,
  [1 + OP_RETURN_CALL_REF] = check_return_call_ref,
  [1 + OP_DROP] = check_drop,
  [1 + OP_SELECT] = check_select_untyped,
  [1 + OP_SELECT_T] = check_select_typed,
  [1 + OP_LOCAL_GET] = check_local_get,
  [1 + OP_LOCAL_SET] = check_local_set,
  [1 + OP_LOCAL_TEE] = check_local_tee,
  [1 + OP_GLOBAL_GET] = check_global_get,
  [1 + OP_GLOBAL_SET] = check_global_set,
  [1 + OP_TABLE_GET] = check_table_get,
  [1 + OP_TABLE_SET] = check_table_set,
  [1 + OP_I32_LOAD ... 1 + OP_I64_STORE32] = check_memory_access,
  [1 + OP_MEMORY_SIZE] = check_memory_size,
  [1 + OP_MEMORY_GROW] = check_memory_grow,
  [1 + OP_I32_CONST] = check_constant_i32,
  [1 + OP_I64_CONST] = check_constant_i64,
  [1 + OP_F32_CONST] = check_constant_f32,
  [1 + OP_F64_CONST] = check_constant_f64,
  [1 + OP_REF_NULL] = check_reference_null,
  [1 + OP_REF_IS_NULL] = check_reference_is_null,
  [1 + OP_REF_FUNC] = check_reference_function,
  [1 + OP_REF_AS_NON_NULL] = check_reference_as_non_null,
  [1 + OP_BR_ON_NULL] = check_branch_on_null,
  [1 + OP_BR_ON_NON_NULL] = check_branch_on_non_null,
  [1 + OP_MEMORY_INIT] = check_memory_init,
  [1 + OP_DATA_DROP] = check_data_index,
  [1 + OP_MEMORY_COPY] = check_memory_copy,
  [1 + OP_MEMORY_FILL] = check_memory_fill,
  [1 + OP_TABLE_INIT] = check_table_init,
  [1 + OP_ELEM_DROP] = check_element_drop,
  [1 + OP_TABLE_COPY] = check_table_copy,
  [1 + OP_TABLE_GROW] = check_table_grow,
  [1 + OP_TABLE_SIZE] = check_table_size,
  [1 + OP_TABLE_FILL] = check_table_fill,
};

/* Anything with a prefix, and what is no instruction. */
static bool instruction_rare(Validator *v) {
  char place[PLACE_ROOM];
  Later later;
  v->b.at = v->instruction;
  if (op_read_later(&v->b, &v->op, &later)) {
    bool (*check)(Validator *) = checks[1 + v->op];
    if (!check && op_info[v->op].immediate != IMM_NONE) check = check_vector_immediate;
    return check ? check(v) : shaped(v);
  }
  v->op = OP_NOP;
  malformed_set(v->error, v->module, &v->b, &later, function_place(v->definition, place));
  return false;
}

/* The one at the reader. */
static bool instruction(Validator *v) {
  unsigned index = op_of_code[*v->b.at];
  v->instruction = v->b.at++;
  v->op = (Op)(index - 1);
  return checks[index] ? checks[index](v) : shaped(v);
}

/* ---- bodies ---- */

static bool local_group(void *self, uint32_t count, lun_type type) {
  Validator *v = self;
  uint64_t end = (uint64_t)v->local_count + count;
  uint32_t most = v->module->limits.max_locals;
  if (end - v->definition->type->signature.param_count > most) {
    return validate_fail(v, "too many locals: the limit is %u", most);
  }
  v->local_count = (uint32_t)end;
  Local local = { v->local_count, type };
  if (!vec_push(&v->locals, local)) return validate_no_memory(v);
  if (type_is_reference(type) && !lun_type_is_nullable(type) && v->unset_from > end - count) {
    v->unset_from = (uint32_t)(end - count);
  }
  while (v->first_count < v->local_count && v->first_count < FIRST_LOCALS) v->first[v->first_count++] = type;
  return true;
}

/* From the first local that has no default on, each is noted as set or not. */
static bool locals_unset(Validator *v) {
  v->is_set.count = 0;
  if (!vec_grow(&v->is_set, v->local_count)) return validate_no_memory(v);
  v->is_set.count = v->local_count;
  memset(v->is_set.items, 1, v->local_count);
  uint32_t from = v->definition->type->signature.param_count;
  for (size_t i = 0; i < v->locals.count; from = v->locals.items[i++].end) {
    const Local *local = &v->locals.items[i];
    bool has_default = !type_is_reference(local->type) || lun_type_is_nullable(local->type);
    if (!has_default) memset(v->is_set.items + from, 0, local->end - from);
  }
  return true;
}

static bool locals(Validator *v) {
  const lun_signature *signature = &v->definition->type->signature;
  v->locals.count = 0;
  v->local_count = signature->param_count;
  v->first_count = signature->param_count < FIRST_LOCALS ? signature->param_count : FIRST_LOCALS;
  if (v->first_count) memcpy(v->first, signature->params, v->first_count * sizeof *v->first);
  v->instruction = v->b.at;
  v->unset_from = UINT32_MAX;
  v->sets.count = 0;
  if (locals_read(&v->b, v->module, local_group, v)) return v->unset_from == UINT32_MAX || locals_unset(v);
  return v->error->kind == LUN_OK ? validate_fail_read(v) : false;
}

/* A reader that stopped for another reason has that failure, which counts. */
static bool body_cut(Validator *v) {
  return validate_fail_malformed(v, "unexpected end of section or function: END opcode expected");
}

static bool body(Validator *v, const lun_definition *definition) {
  const lun_signature *signature = &definition->type->signature;
  v->definition = definition;
  v->b = bytes_of(definition->body, definition->body_size);
  v->op = OP_NOP;
  v->top = v->floor = v->operands + GUARD;
  v->controls.count = 0;
  if (!locals(v)) return false;
  quick_locals(v);
  BlockType type = { 0, signature->result_count, NULL, signature->results, 0 };
  if (!control_push(v, KIND_FUNCTION, &type)) return false;
  do {
    code_quick(v);
    if (UNLIKELY(v->b.at >= v->b.end)) return body_cut(v);
    if (UNLIKELY(!instruction(v))) return false;
  } while (v->controls.count);
  return !bytes_left(&v->b) || validate_fail_malformed(v, "section size mismatch: bytes behind the end of the function");
}

lun_status bodies_validate(lun_module *module, lun_error *error) {
  Validator v = { .module = module, .error = error };
  tables_init(&v);
  bool fine = operands_grow(&v, FIRST_OPERANDS);
  for (uint32_t i = module->imported_functions; fine && i < module->function_count; i++) fine = body(&v, &module->functions[i]);
  free(v.operands);
  vec_clear(&v.controls);
  vec_clear(&v.locals);
  vec_clear(&v.is_set);
  vec_clear(&v.sets);
  return fine ? LUN_OK : error->kind;
}
