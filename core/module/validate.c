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

static bool fail_read(Validator *v) {
  char place[PLACE_ROOM];
  Later none = { NULL, NULL };
  malformed_set(v->error, v->module, &v->b, &none, function_place(v->definition, place));
  return false;
}

static bool fail(Validator *v, const char *format, ...) LUN_PRINTF(2, 3);
static bool fail(Validator *v, const char *format, ...) {
  if (v->b.failure) return fail_read(v);
  char place[PLACE_ROOM], text[256];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  lun_error_set(v->error, LUN_INVALID, "%s (%s)", text, function_place(v->definition, place));
  v->error->offset = (uint64_t)(v->instruction - v->module->bytes);
  return false;
}

static bool fail_malformed(Validator *v, const char *text) {
  bytes_fail(&v->b, text);
  return fail_read(v);
}

static bool no_memory(Validator *v) {
  lun_error_set(v->error, LUN_NO_MEMORY, "not enough memory to validate the module");
  return false;
}

static bool mismatch(Validator *v, const char *wanted, const char *got) {
  return fail(v, "type mismatch: %s expected %s, got %s", op_info[v->op].text, wanted, got);
}

/* ---- operands ---- */

static bool operands_grow(Validator *v, size_t extra) {
  bool none = !v->operands;
  size_t count = none ? 0 : (size_t)(v->top - v->operands), floor = none ? 0 : (size_t)(v->floor - v->operands);
  size_t room = none ? 0 : (size_t)(v->limit - v->operands);
  if (count + extra > LIMIT_OPERANDS) return fail(v, "too many values on the operand stack: the limit is %d", LIMIT_OPERANDS);
  void *items = v->operands;
  if (!vec_reserve(&items, &room, count + extra, sizeof *v->operands)) return no_memory(v);
  v->operands = items;
  v->top = v->operands + count;
  v->floor = v->operands + floor;
  v->limit = v->operands + room;
  return true;
}

static inline bool push(Validator *v, lun_type type) {
  if (UNLIKELY(v->top == v->limit) && !operands_grow(v, 1)) return false;
  *v->top++ = type;
  return true;
}

static bool pop_any(Validator *v, lun_type *type) {
  if (v->top > v->floor) {
    *type = *--v->top;
    return true;
  }
  *type = UNKNOWN;
  return v->control->unreachable || mismatch(v, "a value", "nothing");
}

static bool pop_slow(Validator *v, lun_type wanted) {
  if (v->top == v->floor) return v->control->unreachable || mismatch(v, lun_type_name(wanted), "nothing");
  lun_type type = *--v->top;
  return type == wanted || type == UNKNOWN || mismatch(v, lun_type_name(wanted), lun_type_name(type));
}

static inline bool pop(Validator *v, lun_type wanted) {
  if (LIKELY(v->top > v->floor && v->top[-1] == wanted)) {
    v->top--;
    return true;
  }
  return pop_slow(v, wanted);
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

/* As pop_all, but the operands stay, unknown ones unknown. */
static bool peek_all(Validator *v, const lun_type *types, uint32_t count) {
  lun_type *top = v->top;
  bool fine = pop_all(v, types, count);
  v->top = top;
  return fine;
}

/* By the signature in the table. */
static inline bool shaped(Validator *v) {
  const Shape *shape = &v->shapes[v->op];
  for (uint32_t i = shape->pops; i-- > 0;) {
    if (!pop(v, shape->in[i])) return false;
  }
  return shape->out == UNKNOWN || push(v, shape->out);
}

/* ---- blocks ---- */

static inline bool control_push(Validator *v, BlockKind kind, const BlockType *type) {
  if (v->controls.count > LIMIT_NESTING) return fail(v, "blocks are nested too deep: the limit is %d", LIMIT_NESTING);
  if (!vec_grow(&v->controls, 1)) return no_memory(v);
  Control *control = v->control = &v->controls.items[v->controls.count++];
  control->height = (uint32_t)(v->top - v->operands);
  control->kind = (uint8_t)kind;
  control->unreachable = false;
  control->param_count = (uint16_t)type->param_count;
  control->result_count = (uint16_t)type->result_count;
  control->params = type->params;
  control->results = type->results;
  v->floor = v->top;
  return true;
}

/* Checks the results of the innermost block and that nothing else is left. */
static inline bool control_close(Validator *v) {
  if (!pop_all(v, v->control->results, v->control->result_count)) return false;
  if (v->top == v->floor) return true;
  return fail(v, "type mismatch: %zu values too many at the %s of a block", (size_t)(v->top - v->floor), op_info[v->op].text);
}

static bool unreachable(Validator *v) {
  v->top = v->floor;
  v->control->unreachable = true;
  return true;
}

static bool nop(Validator *v) {
  (void)v;
  return true;
}

static inline bool block_open(Validator *v, BlockKind kind) {
  static const BlockType nothing;
  BlockType type;
  if (LIKELY(v->b.at < v->b.end && *v->b.at == 0x40)) {  /* most blocks take and give nothing */
    v->b.at++;
    return (kind != KIND_IF || pop(v, LUN_I32)) && control_push(v, kind, &nothing);
  }
  if (!block_type_read(&v->b, v->module, &type)) {
    if (strcmp(v->b.failure, "unknown type") != 0) return fail_read(v);
    v->b.failure = NULL;
    return fail(v, "unknown type of a block");
  }
  if (kind == KIND_IF && !pop(v, LUN_I32)) return false;
  return pop_all(v, type.params, type.param_count) && control_push(v, kind, &type) &&
         push_all(v, type.params, type.param_count);
}

static bool block(Validator *v) { return block_open(v, KIND_BLOCK); }
static bool loop(Validator *v) { return block_open(v, KIND_LOOP); }
static bool if_(Validator *v) { return block_open(v, KIND_IF); }

static bool else_(Validator *v) {
  if (v->control->kind != KIND_IF) {
    v->b.at = v->instruction;
    return fail_malformed(v, "END opcode expected, not an else outside an if");
  }
  if (!control_close(v)) return false;
  v->control->kind = KIND_ELSE;
  v->control->unreachable = false;
  return push_all(v, v->control->params, v->control->param_count);
}

static bool gives_what_it_takes(const Control *control) {
  if (control->param_count != control->result_count) return false;
  return !control->param_count || memcmp(control->params, control->results, control->param_count * sizeof *control->params) == 0;
}

static bool end(Validator *v) {
  const Control *closed = v->control;  /* stays where it is, behind the count */
  if (!control_close(v)) return false;
  if (closed->kind == KIND_IF && !gives_what_it_takes(closed)) {
    return fail(v, "type mismatch: an if without else must give what it takes");
  }
  if (--v->controls.count == 0) return true;
  v->control = &v->controls.items[v->controls.count - 1];
  v->floor = v->operands + v->control->height;
  return push_all(v, closed->results, closed->result_count);
}

/* ---- branches ---- */

static bool label(Validator *v, const lun_type **types, uint32_t *count) {
  uint32_t depth = bytes_u32(&v->b);
  if (depth >= v->controls.count) return fail(v, "unknown label %u", depth);
  const Control *target = &v->controls.items[v->controls.count - 1 - depth];
  bool is_loop = target->kind == KIND_LOOP;
  *types = is_loop ? target->params : target->results;
  *count = is_loop ? target->param_count : target->result_count;
  return true;
}

static bool branch(Validator *v) {
  const lun_type *types;
  uint32_t count;
  if (!label(v, &types, &count) || !pop_all(v, types, count)) return false;
  return unreachable(v);
}

static bool branch_if(Validator *v) {
  const lun_type *types;
  uint32_t count;
  return label(v, &types, &count) && pop(v, LUN_I32) && pop_all(v, types, count) && push_all(v, types, count);
}

/* The arity of all labels is that of the default, which comes last: so the first stands in for it. */
static bool branch_table(Validator *v) {
  uint32_t targets = bytes_u32(&v->b);
  if (targets > bytes_left(&v->b)) bytes_fail(&v->b, "unexpected end");
  if (v->b.failure) return fail_read(v);
  if (!pop(v, LUN_I32)) return false;
  const lun_type *checked = NULL;
  uint32_t arity = 0;
  for (uint64_t i = 0; i <= targets; i++) {
    const lun_type *types;
    uint32_t count;
    if (!label(v, &types, &count)) return false;
    if (i == 0) arity = count;
    if (count != arity) return fail(v, "type mismatch: labels of br_table take %u and %u values", arity, count);
    if (count && types != checked && !peek_all(v, types, count)) return false;
    checked = types;
    if (v->b.failure) return fail_read(v);
  }
  return unreachable(v);
}

static bool return_(Validator *v) {
  const Control *function = &v->controls.items[0];
  return pop_all(v, function->results, function->result_count) && unreachable(v);
}

/* ---- calls ---- */

static bool call_signature(Validator *v, const lun_signature *signature) {
  return pop_all(v, signature->params, signature->param_count) && push_all(v, signature->results, signature->result_count);
}

static bool call(Validator *v) {
  uint32_t index = bytes_u32(&v->b);
  if (index >= v->module->function_count) return fail(v, "unknown function %u", index);
  return call_signature(v, &v->module->functions[index].type->signature);
}

static bool table_index(Validator *v, lun_type *type) {
  uint32_t index = bytes_u32(&v->b);
  if (index >= v->module->table_count) return fail(v, "unknown table %u", index);
  *type = v->module->tables[index].type;
  return true;
}

static bool indirect_signature(Validator *v, const lun_signature **signature) {
  uint32_t index = bytes_u32(&v->b);
  lun_type type;
  if (!table_index(v, &type)) return false;
  if (type != LUN_FUNCREF) return fail(v, "type mismatch: %s through a table of %s", op_info[v->op].text, lun_type_name(type));
  if (index >= v->module->type_count) return fail(v, "unknown type %u", index);
  *signature = &v->module->types[index].signature;
  return pop(v, LUN_I32);
}

static bool call_indirect(Validator *v) {
  const lun_signature *signature = NULL;
  return indirect_signature(v, &signature) && call_signature(v, signature);
}

/* The callee's results are this function's. */
static bool tail_signature(Validator *v, const lun_signature *signature) {
  const Control *function = &v->controls.items[0];
  if (!pop_all(v, signature->params, signature->param_count)) return false;
  if (signature->result_count != function->result_count)
    return fail(v, "type mismatch: %s gives %u results, expected %u", op_info[v->op].text, signature->result_count,
                function->result_count);
  for (uint32_t i = 0; i < signature->result_count; i++)
    if (signature->results[i] != function->results[i])
      return mismatch(v, lun_type_name(function->results[i]), lun_type_name(signature->results[i]));
  return unreachable(v);
}

static bool return_call(Validator *v) {
  uint32_t index = bytes_u32(&v->b);
  if (index >= v->module->function_count) return fail(v, "unknown function %u", index);
  return tail_signature(v, &v->module->functions[index].type->signature);
}

static bool return_call_indirect(Validator *v) {
  const lun_signature *signature = NULL;
  return indirect_signature(v, &signature) && tail_signature(v, signature);
}

/* ---- drop, select ---- */

static bool drop(Validator *v) {
  lun_type ignored;
  return pop_any(v, &ignored);
}

static bool select_untyped(Validator *v) {
  lun_type a, b;
  if (!pop(v, LUN_I32) || !pop_any(v, &a) || !pop_any(v, &b)) return false;
  if (type_is_reference(a) || type_is_reference(b)) return mismatch(v, "numbers", "references");
  if (a != b && a != UNKNOWN && b != UNKNOWN) return mismatch(v, lun_type_name(b), lun_type_name(a));
  return push(v, a == UNKNOWN ? b : a);
}

static bool select_typed(Validator *v) {
  uint32_t count = bytes_u32(&v->b);
  if (count > bytes_left(&v->b)) bytes_fail(&v->b, "unexpected end");
  if (count != 1 || v->b.failure) return fail(v, "invalid result arity: select of %u types", count);
  lun_type type = value_type_read(&v->b);
  if (v->b.failure) return fail_read(v);
  return pop(v, LUN_I32) && pop(v, type) && pop(v, type) && push(v, type);
}

/* ---- variables ---- */

static lun_type local_search(const Validator *v, uint32_t index) {
  const lun_signature *signature = &v->definition->type->signature;
  if (index < signature->param_count) return signature->params[index];
  size_t low = 0, high = v->locals.count;
  while (low + 1 < high) {
    size_t middle = low + (high - low) / 2;
    if (v->locals.items[middle - 1].end <= index) low = middle;
    else high = middle;
  }
  return v->locals.items[low].type;
}

static inline bool local(Validator *v, lun_type *type) {
  uint32_t index = bytes_u32(&v->b);
  if (LIKELY(index < v->first_count)) {
    *type = v->first[index];
    return true;
  }
  if (index >= v->local_count) return fail(v, "unknown local %u", index);
  *type = local_search(v, index);
  return true;
}

static bool local_get(Validator *v) {
  lun_type type = UNKNOWN;
  return local(v, &type) && push(v, type);
}

static bool local_set(Validator *v) {
  lun_type type = UNKNOWN;
  return local(v, &type) && pop(v, type);
}

static bool local_tee(Validator *v) {
  lun_type type = UNKNOWN;
  return local(v, &type) && pop(v, type) && push(v, type);
}

static bool global_index(Validator *v, const GlobalType **type) {
  uint32_t index = bytes_u32(&v->b);
  if (index >= v->module->global_count) return fail(v, "unknown global %u", index);
  *type = &v->module->globals[index].type;
  return true;
}

static bool global_get(Validator *v) {
  const GlobalType *type = NULL;
  return global_index(v, &type) && push(v, type->type);
}

static bool global_set(Validator *v) {
  const GlobalType *type = NULL;
  if (!global_index(v, &type)) return false;
  return type->is_mutable ? pop(v, type->type) : fail(v, "global is immutable");
}

/* ---- memory ---- */

static inline bool memory(Validator *v, uint32_t index) { return index < v->module->memory_count || fail(v, "unknown memory %u", index); }

static inline bool memarg(Validator *v) {
  Memarg arg;
  if (LIKELY(bytes_left(&v->b) >= 2 && v->b.at[0] < 32 && v->b.at[1] < 0x80)) {
    arg.align = v->b.at[0];
    arg.memory = 0;
    v->b.at += 2;
  } else {
    arg = memarg_read(&v->b);
  }
  if (arg.align > natural_alignment[v->op - OP_I32_LOAD]) {
    return fail(v, "alignment must not be larger than natural: 2^%u for %s", arg.align, op_info[v->op].text);
  }
  return memory(v, arg.memory);
}

static bool data_index(Validator *v) {
  if (!v->module->has_data_count && v->module->data_count) return fail_malformed(v, "data count section required");
  uint32_t index = bytes_u32(&v->b);
  return index < v->module->declared_data_count || fail(v, "unknown data segment %u", index);
}

/* ---- tables and references ---- */

static bool element_index(Validator *v, lun_type *type) {
  uint32_t index = bytes_u32(&v->b);
  if (index >= v->module->element_count) return fail(v, "unknown elem segment %u", index);
  *type = v->module->elements[index].type;
  return true;
}

static bool element_drop(Validator *v) {
  lun_type ignored;
  return element_index(v, &ignored);
}

static bool table_get(Validator *v) {
  lun_type type = UNKNOWN;
  return table_index(v, &type) && pop(v, LUN_I32) && push(v, type);
}

static bool table_set(Validator *v) {
  lun_type type = UNKNOWN;
  return table_index(v, &type) && pop(v, type) && pop(v, LUN_I32);
}

static bool table_size(Validator *v) {
  lun_type ignored;
  return table_index(v, &ignored) && shaped(v);
}

static bool table_grow(Validator *v) {
  lun_type type = UNKNOWN;
  return table_index(v, &type) && pop(v, LUN_I32) && pop(v, type) && push(v, LUN_I32);
}

static bool table_fill(Validator *v) {
  lun_type type = UNKNOWN;
  return table_index(v, &type) && pop(v, LUN_I32) && pop(v, type) && pop(v, LUN_I32);
}

static bool table_init(Validator *v) {
  lun_type element = UNKNOWN, table = UNKNOWN;
  if (!element_index(v, &element) || !table_index(v, &table)) return false;
  return element == table ? shaped(v) : mismatch(v, lun_type_name(table), lun_type_name(element));
}

static bool table_copy(Validator *v) {
  lun_type to = UNKNOWN, from = UNKNOWN;
  if (!table_index(v, &to) || !table_index(v, &from)) return false;
  return to == from ? shaped(v) : mismatch(v, lun_type_name(to), lun_type_name(from));
}

static bool reference_null(Validator *v) {
  lun_type type = reference_type_read(&v->b);
  return v->b.failure ? fail_read(v) : push(v, type);
}

static bool reference_is_null(Validator *v) {
  lun_type type;
  if (!pop_any(v, &type)) return false;
  if (type != UNKNOWN && !type_is_reference(type)) return mismatch(v, "a reference", lun_type_name(type));
  return push(v, LUN_I32);
}

static bool reference_function(Validator *v) {
  uint32_t index = bytes_u32(&v->b);
  if (index >= v->module->function_count) return fail(v, "unknown function %u", index);
  if (!v->module->functions[index].is_declared) return fail(v, "undeclared function reference: %u", index);
  return push(v, LUN_FUNCREF);
}

/* ---- instructions ---- */

/* Loads and stores. */
static bool memory_access(Validator *v) { return memarg(v) && shaped(v); }
static bool memory_index(Validator *v) { return memory(v, bytes_u32(&v->b)); }
static bool memory_resize(Validator *v) { return memory_index(v) && shaped(v); }
static bool memory_init(Validator *v) { return data_index(v) && memory_index(v) && shaped(v); }
static bool memory_copy(Validator *v) { return memory_index(v) && memory_index(v) && shaped(v); }

static bool constant_i32(Validator *v) { return bytes_s32(&v->b), push(v, LUN_I32); }
static bool constant_i64(Validator *v) { return bytes_s64(&v->b), push(v, LUN_I64); }
static bool constant_f32(Validator *v) { return bytes_take(&v->b, 4), push(v, LUN_F32); }
static bool constant_f64(Validator *v) { return bytes_take(&v->b, 8), push(v, LUN_F64); }

/* ---- vectors ---- */

static bool lane(Validator *v, uint32_t lanes) {
  uint32_t index = bytes_u8(&v->b);
  return index < lanes || fail(v, "invalid lane index %u: there are %u", index, lanes);
}

static bool vector_memarg(Validator *v) {
  Memarg arg = memarg_read(&v->b);
  if (arg.align <= vector_alignment(v->op)) return memory(v, arg.memory);
  return fail(v, "alignment must not be larger than natural: 2^%u for %s", arg.align, op_info[v->op].text);
}

/* The vector instructions that have an immediate. */
static bool vector_immediate(Validator *v) {
  bool fine = true;
  switch (op_info[v->op].immediate) {
    case IMM_V128: bytes_take(&v->b, 16); break;
    case IMM_LANE: fine = lane(v, vector_lanes(v->op)); break;
    case IMM_MEMARG: fine = vector_memarg(v); break;
    case IMM_MEMARG_LANE: fine = vector_memarg(v) && lane(v, vector_lanes(v->op)); break;
    default:
      for (unsigned i = 0; fine && i < 16; i++) fine = lane(v, 32);
      break;
  }
  return fine && shaped(v);
}

static bool instruction_rare(Validator *v);

/* By Op + 1. What is not here has a signature and no immediate. */
static bool (*const checks[OP_COUNT + 1])(Validator *) = {
  [0] = instruction_rare,
  [1 + OP_UNREACHABLE] = unreachable,
  [1 + OP_NOP] = nop,
  [1 + OP_BLOCK] = block,
  [1 + OP_LOOP] = loop,
  [1 + OP_IF] = if_,
  [1 + OP_ELSE] = else_,
  [1 + OP_END] = end,
  [1 + OP_BR] = branch,
  [1 + OP_BR_IF] = branch_if,
  [1 + OP_BR_TABLE] = branch_table,
  [1 + OP_RETURN] = return_,
  [1 + OP_CALL] = call,
  [1 + OP_CALL_INDIRECT] = call_indirect,
  [1 + OP_RETURN_CALL] = return_call,
  [1 + OP_RETURN_CALL_INDIRECT] = return_call_indirect,
  [1 + OP_DROP] = drop,
  [1 + OP_SELECT] = select_untyped,
  [1 + OP_SELECT_T] = select_typed,
  [1 + OP_LOCAL_GET] = local_get,
  [1 + OP_LOCAL_SET] = local_set,
  [1 + OP_LOCAL_TEE] = local_tee,
  [1 + OP_GLOBAL_GET] = global_get,
  [1 + OP_GLOBAL_SET] = global_set,
  [1 + OP_TABLE_GET] = table_get,
  [1 + OP_TABLE_SET] = table_set,
  [1 + OP_I32_LOAD ... 1 + OP_I64_STORE32] = memory_access,
  [1 + OP_MEMORY_SIZE] = memory_resize,
  [1 + OP_MEMORY_GROW] = memory_resize,
  [1 + OP_I32_CONST] = constant_i32,
  [1 + OP_I64_CONST] = constant_i64,
  [1 + OP_F32_CONST] = constant_f32,
  [1 + OP_F64_CONST] = constant_f64,
  [1 + OP_REF_NULL] = reference_null,
  [1 + OP_REF_IS_NULL] = reference_is_null,
  [1 + OP_REF_FUNC] = reference_function,
  [1 + OP_MEMORY_INIT] = memory_init,
  [1 + OP_DATA_DROP] = data_index,
  [1 + OP_MEMORY_COPY] = memory_copy,
  [1 + OP_MEMORY_FILL] = memory_resize,
  [1 + OP_TABLE_INIT] = table_init,
  [1 + OP_ELEM_DROP] = element_drop,
  [1 + OP_TABLE_COPY] = table_copy,
  [1 + OP_TABLE_GROW] = table_grow,
  [1 + OP_TABLE_SIZE] = table_size,
  [1 + OP_TABLE_FILL] = table_fill,
};

/* Anything with a prefix, and what is no instruction. */
static bool instruction_rare(Validator *v) {
  char place[PLACE_ROOM];
  Later later;
  v->b.at = v->instruction;
  if (op_read_later(&v->b, &v->op, &later)) {
    bool (*check)(Validator *) = checks[1 + v->op];
    if (!check && op_info[v->op].immediate != IMM_NONE) check = vector_immediate;
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
  if (end - v->definition->type->signature.param_count > LIMIT_LOCALS) {
    return fail(v, "too many locals: the limit is %d", LIMIT_LOCALS);
  }
  v->local_count = (uint32_t)end;
  Local local = { v->local_count, type };
  if (!vec_push(&v->locals, local)) return no_memory(v);
  while (v->first_count < v->local_count && v->first_count < FIRST_LOCALS) v->first[v->first_count++] = type;
  return true;
}

static bool locals(Validator *v) {
  const lun_signature *signature = &v->definition->type->signature;
  v->locals.count = 0;
  v->local_count = signature->param_count;
  v->first_count = signature->param_count < FIRST_LOCALS ? signature->param_count : FIRST_LOCALS;
  if (v->first_count) memcpy(v->first, signature->params, v->first_count * sizeof *v->first);
  v->instruction = v->b.at;
  if (locals_read(&v->b, local_group, v)) return true;
  return v->error->kind == LUN_OK ? fail_read(v) : false;
}

/* A reader that stopped for another reason has that failure, which counts. */
static bool body_cut(Validator *v) {
  return fail_malformed(v, "unexpected end of section or function: END opcode expected");
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
  return !bytes_left(&v->b) || fail_malformed(v, "section size mismatch: bytes behind the end of the function");
}

lun_status bodies_validate(lun_module *module, lun_error *error) {
  Validator v = { .module = module, .error = error };
  tables_init(&v);
  bool fine = operands_grow(&v, FIRST_OPERANDS);
  for (unsigned i = 0; fine && i < GUARD; i++) v.operands[i] = UNKNOWN;
  for (uint32_t i = module->imported_functions; fine && i < module->function_count; i++) fine = body(&v, &module->functions[i]);
  free(v.operands);
  vec_clear(&v.controls);
  vec_clear(&v.locals);
  return fine ? LUN_OK : error->kind;
}
