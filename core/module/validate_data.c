/* SPDX-License-Identifier: MIT */
/* The rules of what handles values: variables, memories, tables, references, constants, vectors. One function per
 * instruction, called by validate.c with the reader behind the opcode; false: the error is set. Core specification,
 * 3.4.1 to 3.4.5 and 3.4.7. */
#include "validate.h"

/* ---- drop, select ---- */

bool check_drop(Validator *v) {
  lun_type ignored;
  return operand_pop_any(v, &ignored);
}

bool check_select_untyped(Validator *v) {
  lun_type a, b;
  if (!pop(v, LUN_I32) || !operand_pop_any(v, &a) || !operand_pop_any(v, &b)) return false;
  if (type_is_reference(a) || type_is_reference(b)) return validate_mismatch(v, "numbers", "references");
  if (a != b && a != UNKNOWN && b != UNKNOWN) return validate_mismatch(v, lun_type_name(b), lun_type_name(a));
  return push(v, a == UNKNOWN ? b : a);
}

bool check_select_typed(Validator *v) {
  uint32_t count = bytes_u32(&v->b);
  if (count > bytes_left(&v->b)) bytes_fail(&v->b, "unexpected end");
  if (count != 1 || v->b.failure) return validate_fail(v, "invalid result arity: select of %u types", count);
  lun_type type = value_type_read(&v->b);
  if (v->b.failure) return validate_fail_read(v);
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
  if (index >= v->local_count) return validate_fail(v, "unknown local %u", index);
  *type = local_search(v, index);
  return true;
}

bool check_local_get(Validator *v) {
  lun_type type = UNKNOWN;
  return local(v, &type) && push(v, type);
}

bool check_local_set(Validator *v) {
  lun_type type = UNKNOWN;
  return local(v, &type) && pop(v, type);
}

bool check_local_tee(Validator *v) {
  lun_type type = UNKNOWN;
  return local(v, &type) && pop(v, type) && push(v, type);
}

static bool global_index(Validator *v, const GlobalType **type) {
  uint32_t index = bytes_u32(&v->b);
  if (index >= v->module->global_count) return validate_fail(v, "unknown global %u", index);
  *type = &v->module->globals[index].type;
  return true;
}

bool check_global_get(Validator *v) {
  const GlobalType *type = NULL;
  return global_index(v, &type) && push(v, type->type);
}

bool check_global_set(Validator *v) {
  const GlobalType *type = NULL;
  if (!global_index(v, &type)) return false;
  return type->is_mutable ? pop(v, type->type) : validate_fail(v, "global is immutable");
}

/* ---- memory ---- */

static inline bool memory(Validator *v, uint32_t index) {
  return index < v->module->memory_count || validate_fail(v, "unknown memory %u", index);
}

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
    return validate_fail(v, "alignment must not be larger than natural: 2^%u for %s", arg.align, op_info[v->op].text);
  }
  return memory(v, arg.memory);
}

bool check_data_index(Validator *v) {
  if (!v->module->has_data_count && v->module->data_count) return validate_fail_malformed(v, "data count section required");
  uint32_t index = bytes_u32(&v->b);
  return index < v->module->declared_data_count || validate_fail(v, "unknown data segment %u", index);
}

/* ---- tables and references ---- */

bool validate_table_index(Validator *v, lun_type *type) {
  uint32_t index = bytes_u32(&v->b);
  if (index >= v->module->table_count) return validate_fail(v, "unknown table %u", index);
  *type = v->module->tables[index].type;
  return true;
}

static bool element_index(Validator *v, lun_type *type) {
  uint32_t index = bytes_u32(&v->b);
  if (index >= v->module->element_count) return validate_fail(v, "unknown elem segment %u", index);
  *type = v->module->elements[index].type;
  return true;
}

bool check_element_drop(Validator *v) {
  lun_type ignored;
  return element_index(v, &ignored);
}

bool check_table_get(Validator *v) {
  lun_type type = UNKNOWN;
  return validate_table_index(v, &type) && pop(v, LUN_I32) && push(v, type);
}

bool check_table_set(Validator *v) {
  lun_type type = UNKNOWN;
  return validate_table_index(v, &type) && pop(v, type) && pop(v, LUN_I32);
}

bool check_table_size(Validator *v) {
  lun_type ignored;
  return validate_table_index(v, &ignored) && shaped(v);
}

bool check_table_grow(Validator *v) {
  lun_type type = UNKNOWN;
  return validate_table_index(v, &type) && pop(v, LUN_I32) && pop(v, type) && push(v, LUN_I32);
}

bool check_table_fill(Validator *v) {
  lun_type type = UNKNOWN;
  return validate_table_index(v, &type) && pop(v, LUN_I32) && pop(v, type) && pop(v, LUN_I32);
}

bool check_table_init(Validator *v) {
  lun_type element = UNKNOWN, table = UNKNOWN;
  if (!element_index(v, &element) || !validate_table_index(v, &table)) return false;
  return element == table ? shaped(v) : validate_mismatch(v, lun_type_name(table), lun_type_name(element));
}

bool check_table_copy(Validator *v) {
  lun_type to = UNKNOWN, from = UNKNOWN;
  if (!validate_table_index(v, &to) || !validate_table_index(v, &from)) return false;
  return to == from ? shaped(v) : validate_mismatch(v, lun_type_name(to), lun_type_name(from));
}

bool check_reference_null(Validator *v) {
  lun_type type = reference_type_read(&v->b);
  return v->b.failure ? validate_fail_read(v) : push(v, type);
}

bool check_reference_is_null(Validator *v) {
  lun_type type;
  if (!operand_pop_any(v, &type)) return false;
  if (type != UNKNOWN && !type_is_reference(type)) return validate_mismatch(v, "a reference", lun_type_name(type));
  return push(v, LUN_I32);
}

bool check_reference_function(Validator *v) {
  uint32_t index = bytes_u32(&v->b);
  if (index >= v->module->function_count) return validate_fail(v, "unknown function %u", index);
  if (!v->module->functions[index].is_declared) return validate_fail(v, "undeclared function reference: %u", index);
  return push(v, LUN_FUNCREF);
}

/* ---- instructions ---- */

/* Loads and stores. */
bool check_memory_access(Validator *v) { return memarg(v) && shaped(v); }
static bool memory_index(Validator *v) { return memory(v, bytes_u32(&v->b)); }
bool check_memory_resize(Validator *v) { return memory_index(v) && shaped(v); }
bool check_memory_init(Validator *v) { return check_data_index(v) && memory_index(v) && shaped(v); }
bool check_memory_copy(Validator *v) { return memory_index(v) && memory_index(v) && shaped(v); }

bool check_constant_i32(Validator *v) { return bytes_s32(&v->b), push(v, LUN_I32); }
bool check_constant_i64(Validator *v) { return bytes_s64(&v->b), push(v, LUN_I64); }
bool check_constant_f32(Validator *v) { return bytes_take(&v->b, 4), push(v, LUN_F32); }
bool check_constant_f64(Validator *v) { return bytes_take(&v->b, 8), push(v, LUN_F64); }

/* ---- vectors ---- */

static bool lane(Validator *v, uint32_t lanes) {
  uint32_t index = bytes_u8(&v->b);
  return index < lanes || validate_fail(v, "invalid lane index %u: there are %u", index, lanes);
}

static bool vector_memarg(Validator *v) {
  Memarg arg = memarg_read(&v->b);
  if (arg.align <= vector_alignment(v->op)) return memory(v, arg.memory);
  return validate_fail(v, "alignment must not be larger than natural: 2^%u for %s", arg.align, op_info[v->op].text);
}

/* The vector instructions that have an immediate. */
bool check_vector_immediate(Validator *v) {
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
