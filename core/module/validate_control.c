/* SPDX-License-Identifier: MIT */
/* The rules of control: blocks, branches, calls. One function per instruction, called by validate.c with the reader
 * behind the opcode; false: the error is set. Core specification, 3.4.6 and 3.4.8. */
#include "validate.h"

/* As pop_all, but the operands stay, unknown ones unknown. */
static bool peek_all(Validator *v, const lun_type *types, uint32_t count) {
  lun_type *top = v->top;
  bool fine = pop_all(v, types, count);
  v->top = top;
  return fine;
}

/* ---- blocks ---- */

bool control_push(Validator *v, BlockKind kind, const BlockType *type) {
  uint32_t most = v->module->limits.max_nesting;
  if (v->controls.count > most) {
    return validate_fail(v, "blocks are nested too deep: the limit is %u", most);
  }
  if (!vec_grow(&v->controls, 1)) return validate_no_memory(v);
  Control *control = v->control = &v->controls.items[v->controls.count++];
  control->height = (uint32_t)(v->top - v->operands);
  control->sets = (uint32_t)v->sets.count;
  control->kind = (uint8_t)kind;
  control->unreachable = false;
  control->param_count = (uint16_t)type->param_count;
  control->result_count = (uint16_t)type->result_count;
  control->params = type->params;
  control->results = type->results;
  v->floor = v->top;
  return true;
}

bool control_close(Validator *v) {
  while (UNLIKELY(v->sets.count > v->control->sets)) v->is_set.items[v->sets.items[--v->sets.count]] = 0;
  if (!pop_all(v, v->control->results, v->control->result_count)) return false;
  if (v->top == v->floor) return true;
  size_t left = (size_t)(v->top - v->floor);
  return validate_fail(v, "type mismatch: %zu values too many at the %s of a block", left, op_info[v->op].text);
}

bool check_unreachable(Validator *v) {
  v->top = v->floor;
  v->control->unreachable = true;
  return true;
}

bool check_nop(Validator *v) {
  (void)v;
  return true;
}

bool validate_block_type(Validator *v, BlockType *type) {
  if (block_type_read(&v->b, v->module, type)) return true;
  if (v->b.failure != unknown_type) return validate_fail_read(v);
  v->b.failure = NULL;
  return validate_fail(v, "unknown type of a block");
}

static inline bool block_open(Validator *v, BlockKind kind) {
  static const BlockType nothing;
  BlockType type;
  if (LIKELY(v->b.at < v->b.end && *v->b.at == 0x40)) {  /* most blocks take and give nothing */
    v->b.at++;
    return (kind != KIND_IF || pop(v, LUN_I32)) && control_push(v, kind, &nothing);
  }
  if (!validate_block_type(v, &type)) return false;
  if (kind == KIND_IF && !pop(v, LUN_I32)) return false;
  return pop_all(v, type.params, type.param_count) && control_push(v, kind, &type) &&
         push_all(v, type.params, type.param_count);
}

bool check_block(Validator *v) { return block_open(v, KIND_BLOCK); }
bool check_loop(Validator *v) { return block_open(v, KIND_LOOP); }
bool check_if(Validator *v) { return block_open(v, KIND_IF); }

bool check_else(Validator *v) {
  if (v->control->kind != KIND_IF) {
    v->b.at = v->instruction;
    return validate_fail_malformed(v, misplaced_text(OP_ELSE));
  }
  if (!control_close(v)) return false;
  v->control->kind = KIND_ELSE;
  v->control->unreachable = false;
  return push_all(v, v->control->params, v->control->param_count);
}

static bool gives_what_it_takes(const Control *control) {
  return control->param_count == control->result_count && types_match(control->params, control->results, control->param_count);
}

bool check_end(Validator *v) {
  const Control *closed = v->control;  /* stays where it is, behind the count */
  if (!control_close(v)) return false;
  if (closed->kind == KIND_IF && !gives_what_it_takes(closed)) {
    return validate_fail(v, "type mismatch: an if without else must give what it takes");
  }
  if (--v->controls.count == 0) return true;
  v->control = &v->controls.items[v->controls.count - 1];
  v->floor = v->operands + v->control->height;
  return push_all(v, closed->results, closed->result_count);
}

/* ---- branches ---- */

bool validate_label(Validator *v, uint32_t depth, const lun_type **types, uint32_t *count) {
  *types = NULL, *count = 0;
  if (depth >= v->controls.count) return validate_fail(v, "unknown label %u", depth);
  const Control *target = &v->controls.items[v->controls.count - 1 - depth];
  bool is_loop = target->kind == KIND_LOOP;
  *types = is_loop ? target->params : target->results;
  *count = is_loop ? target->param_count : target->result_count;
  return true;
}

static bool label(Validator *v, const lun_type **types, uint32_t *count) {
  return validate_label(v, bytes_u32(&v->b), types, count);
}

bool check_branch(Validator *v) {
  const lun_type *types = NULL;
  uint32_t count = 0;
  if (!label(v, &types, &count) || !pop_all(v, types, count)) return false;
  return check_unreachable(v);
}

bool check_branch_if(Validator *v) {
  const lun_type *types = NULL;
  uint32_t count = 0;
  return label(v, &types, &count) && pop(v, LUN_I32) && pop_all(v, types, count) && push_all(v, types, count);
}

/* The arity of all labels is that of the default, which comes last: so the first stands in for it. */
bool check_branch_table(Validator *v) {
  uint32_t targets = bytes_u32(&v->b);
  if (targets > bytes_left(&v->b)) bytes_fail(&v->b, "unexpected end");
  if (v->b.failure) return validate_fail_read(v);
  if (!pop(v, LUN_I32)) return false;
  const lun_type *checked = NULL;
  uint32_t arity = 0;
  for (uint64_t i = 0; i <= targets; i++) {
    const lun_type *types;
    uint32_t count;
    if (!label(v, &types, &count)) return false;
    if (i == 0) arity = count;
    if (count != arity) return validate_fail(v, "type mismatch: labels of br_table take %u and %u values", arity, count);
    if (count && types != checked && !peek_all(v, types, count)) return false;
    checked = types;
    if (v->b.failure) return validate_fail_read(v);
  }
  return check_unreachable(v);
}

/* Label values, and behind them a reference: null goes to the label without it, any other stays. */
bool check_branch_on_null(Validator *v) {
  const lun_type *types;
  uint32_t count;
  lun_type type = UNKNOWN;
  return label(v, &types, &count) && operand_pop_reference(v, &type) && pop_all(v, types, count) &&
         push_all(v, types, count) && push(v, type == BOTTOM_REFERENCE ? type : type_non_null(type));
}

/* The other way round: a reference that is not null goes to the label, as the last of its values. */
bool check_branch_on_non_null(Validator *v) {
  const lun_type *types;
  uint32_t count;
  if (!label(v, &types, &count)) return false;
  if (!count || !type_is_reference(types[count - 1])) {
    return validate_fail(v, "type mismatch: br_on_non_null to a label that takes no reference");
  }
  return pop(v, type_or_null(types[count - 1])) && pop_all(v, types, count - 1) && push_all(v, types, count - 1);
}

bool check_return(Validator *v) {
  const Control *function = &v->controls.items[0];
  return pop_all(v, function->results, function->result_count) && check_unreachable(v);
}

/* ---- calls ---- */

static bool call_signature(Validator *v, const lun_signature *signature) {
  return pop_all(v, signature->params, signature->param_count) && push_all(v, signature->results, signature->result_count);
}

bool check_call(Validator *v) {
  uint32_t index = bytes_u32(&v->b);
  if (index >= v->module->function_count) return validate_fail(v, "unknown function %u", index);
  return call_signature(v, &v->module->functions[index].type->signature);
}

static bool indirect_signature(Validator *v, const lun_signature **signature) {
  uint32_t index = bytes_u32(&v->b);
  const TableType *table = NULL;
  if (!validate_table_index(v, &table)) return false;
  if (!type_matches(table->type, LUN_FUNCREF)) {
    return validate_fail(v, "type mismatch: %s through a table of %s", op_info[v->op].text, lun_type_name(table->type));
  }
  if (index >= v->module->type_count) return validate_fail(v, "unknown type %u", index);
  *signature = &v->module->types[index].signature;
  return pop(v, address_type(&table->limits));
}

bool check_call_indirect(Validator *v) {
  const lun_signature *signature = NULL;
  return indirect_signature(v, &signature) && call_signature(v, signature);
}

/* The callee's results are this function's. */
static bool tail_signature(Validator *v, const lun_signature *signature) {
  const Control *function = &v->controls.items[0];
  if (!pop_all(v, signature->params, signature->param_count)) return false;
  if (signature->result_count != function->result_count)
    return validate_fail(v, "type mismatch: %s gives %u results, expected %u", op_info[v->op].text, signature->result_count,
                function->result_count);
  for (uint32_t i = 0; i < signature->result_count; i++)
    if (!type_matches(signature->results[i], function->results[i]))
      return validate_mismatch_types(v, function->results[i], signature->results[i]);
  return check_unreachable(v);
}

bool check_return_call(Validator *v) {
  uint32_t index = bytes_u32(&v->b);
  if (index >= v->module->function_count) return validate_fail(v, "unknown function %u", index);
  return tail_signature(v, &v->module->functions[index].type->signature);
}

bool check_return_call_indirect(Validator *v) {
  const lun_signature *signature = NULL;
  return indirect_signature(v, &signature) && tail_signature(v, signature);
}

/* The type that a reference refers to, which is on top. */
static bool reference_signature(Validator *v, const lun_signature **signature) {
  uint32_t index = bytes_u32(&v->b);
  if (index >= v->module->type_count) return validate_fail(v, "unknown type %u", index);
  *signature = &v->module->types[index].signature;
  return pop(v, v->module->types[index].nullable_reference);
}

bool check_call_ref(Validator *v) {
  const lun_signature *signature = NULL;
  return reference_signature(v, &signature) && call_signature(v, signature);
}

bool check_return_call_ref(Validator *v) {
  const lun_signature *signature = NULL;
  return reference_signature(v, &signature) && tail_signature(v, signature);
}
