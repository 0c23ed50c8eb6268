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
  if (a != b && a != UNKNOWN && b != UNKNOWN) return validate_mismatch_types(v, b, a);
  return push(v, a == UNKNOWN ? b : a);
}

bool check_select_typed(Validator *v) {
  uint32_t count = bytes_u32(&v->b);
  if (count > bytes_left(&v->b)) bytes_fail(&v->b, "unexpected end");
  if (count != 1 || v->b.failure) return validate_fail(v, "invalid result arity: select of %u types", count);
  lun_type type = value_type_read(&v->b, v->module);
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

static inline bool local(Validator *v, uint32_t *index, lun_type *type) {
  *index = bytes_u32(&v->b);
  if (LIKELY(*index < v->first_count)) {
    *type = v->first[*index];
    return true;
  }
  if (*index >= v->local_count) return validate_fail(v, "unknown local %u", *index);
  *type = local_search(v, *index);
  return true;
}

/* A local without a default has its value until the end of the block in which it was set. */
static bool local_mark(Validator *v, uint32_t index) {
  if (LIKELY(index < v->unset_from) || v->is_set.items[index]) return true;
  v->is_set.items[index] = 1;
  return vec_push(&v->sets, index) || validate_no_memory(v);
}

bool check_local_get(Validator *v) {
  lun_type type = UNKNOWN;
  uint32_t index;
  if (!local(v, &index, &type)) return false;
  if (UNLIKELY(index >= v->unset_from) && !v->is_set.items[index]) return validate_fail(v, "uninitialized local %u", index);
  return push(v, type);
}

bool check_local_set(Validator *v) {
  lun_type type = UNKNOWN;
  uint32_t index;
  return local(v, &index, &type) && pop(v, type) && local_mark(v, index);
}

bool check_local_tee(Validator *v) {
  lun_type type = UNKNOWN;
  uint32_t index;
  return local(v, &index, &type) && pop(v, type) && push(v, type) && local_mark(v, index);
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

/* What the memory's addresses are; UNKNOWN: there is none, and the error is set. */
static inline lun_type memory(Validator *v, uint32_t index) {
  if (LIKELY(index < v->module->memory_count)) return address_type(&v->module->memories[index].limits);
  validate_fail(v, "unknown memory %u", index);
  return UNKNOWN;
}

/* Of a memory argument what the addresses are; UNKNOWN: the error is set. */
static lun_type memarg(Validator *v, uint32_t natural) {
  Memarg arg;
  if (LIKELY(bytes_left(&v->b) >= 2 && v->b.at[0] < 32 && v->b.at[1] < 0x80)) {
    arg = (Memarg){ .align = v->b.at[0], .offset = v->b.at[1] };
    v->b.at += 2;
  } else {
    arg = memarg_read(&v->b);
  }
  if (arg.align > natural) {
    validate_fail(v, "alignment must not be larger than natural: 2^%u for %s", arg.align, op_info[v->op].text);
    return UNKNOWN;
  }
  lun_type address = memory(v, arg.memory);
  if (LIKELY(arg.offset <= UINT32_MAX) || address != LUN_I32) return address;
  validate_fail(v, "offset out of range: a 32-bit memory has none of %llu", (unsigned long long)arg.offset);
  return UNKNOWN;
}

bool check_data_index(Validator *v) {
  if (!v->module->has_data_count && v->module->data_count) return validate_fail_malformed(v, "data count section required");
  uint32_t index = bytes_u32(&v->b);
  return index < v->module->declared_data_count || validate_fail(v, "unknown data segment %u", index);
}

/* Loads and stores. */
bool check_memory_access(Validator *v) {
  lun_type address = memarg(v, natural_alignment[v->op - OP_I32_LOAD]);
  return address != UNKNOWN && shaped_at(v, address);
}

static lun_type memory_index(Validator *v) { return memory(v, bytes_u32(&v->b)); }

bool check_memory_size(Validator *v) {
  lun_type address = memory_index(v);
  return address != UNKNOWN && push(v, address);
}

bool check_memory_grow(Validator *v) {
  lun_type address = memory_index(v);
  return address != UNKNOWN && pop(v, address) && push(v, address);
}

/* Three operands: destination, source or value, count. */
static bool pop_range(Validator *v, lun_type to, lun_type from, lun_type count) {
  return pop(v, count) && pop(v, from) && pop(v, to);
}

bool check_memory_fill(Validator *v) {
  lun_type address = memory_index(v);
  return address != UNKNOWN && pop_range(v, address, LUN_I32, address);
}

bool check_memory_init(Validator *v) {
  lun_type address = check_data_index(v) ? memory_index(v) : UNKNOWN;
  return address != UNKNOWN && pop_range(v, address, LUN_I32, LUN_I32);
}

/* A count fits both: i64 only where both are. */
static lun_type count_type(lun_type to, lun_type from) { return to == LUN_I64 ? from : to; }

bool check_memory_copy(Validator *v) {
  lun_type to = memory_index(v), from = to == UNKNOWN ? UNKNOWN : memory_index(v);
  return from != UNKNOWN && pop_range(v, to, from, count_type(to, from));
}

/* ---- tables and references ---- */

bool validate_table_index(Validator *v, const TableType **type) {
  uint32_t index = bytes_u32(&v->b);
  if (index >= v->module->table_count) return validate_fail(v, "unknown table %u", index);
  *type = &v->module->tables[index];
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
  const TableType *table = NULL;
  return validate_table_index(v, &table) && pop(v, address_type(&table->limits)) && push(v, table->type);
}

bool check_table_set(Validator *v) {
  const TableType *table = NULL;
  return validate_table_index(v, &table) && pop(v, table->type) && pop(v, address_type(&table->limits));
}

bool check_table_size(Validator *v) {
  const TableType *table = NULL;
  return validate_table_index(v, &table) && push(v, address_type(&table->limits));
}

bool check_table_grow(Validator *v) {
  const TableType *table = NULL;
  if (!validate_table_index(v, &table)) return false;
  lun_type index = address_type(&table->limits);
  return pop(v, index) && pop(v, table->type) && push(v, index);
}

bool check_table_fill(Validator *v) {
  const TableType *table = NULL;
  if (!validate_table_index(v, &table)) return false;
  lun_type index = address_type(&table->limits);
  return pop_range(v, index, table->type, index);
}

bool check_table_init(Validator *v) {
  lun_type element = UNKNOWN;
  const TableType *table = NULL;
  if (!element_index(v, &element) || !validate_table_index(v, &table)) return false;
  if (!type_matches(element, table->type)) return validate_mismatch_types(v, table->type, element);
  return pop_range(v, address_type(&table->limits), LUN_I32, LUN_I32);
}

bool check_table_copy(Validator *v) {
  const TableType *to = NULL, *from = NULL;
  if (!validate_table_index(v, &to) || !validate_table_index(v, &from)) return false;
  if (!type_matches(from->type, to->type)) return validate_mismatch_types(v, to->type, from->type);
  lun_type to_index = address_type(&to->limits), from_index = address_type(&from->limits);
  return pop_range(v, to_index, from_index, count_type(to_index, from_index));
}

bool check_reference_null(Validator *v) {
  lun_type type = heap_type_read(&v->b, v->module);
  return v->b.failure ? validate_fail_read(v) : push(v, type);
}

bool check_reference_is_null(Validator *v) {
  lun_type type = UNKNOWN;
  return operand_pop_reference(v, &type) && push(v, LUN_I32);
}

bool check_reference_as_non_null(Validator *v) {
  lun_type type = UNKNOWN;
  return operand_pop_reference(v, &type) && push(v, type == BOTTOM_REFERENCE ? type : type_non_null(type));
}

bool check_reference_function(Validator *v) {
  uint32_t index = bytes_u32(&v->b);
  if (index >= v->module->function_count) return validate_fail(v, "unknown function %u", index);
  if (!v->module->functions[index].is_declared) return validate_fail(v, "undeclared function reference: %u", index);
  return push(v, v->module->functions[index].type->reference);
}

/* ---- instructions ---- */

bool check_constant_i32(Validator *v) { return bytes_s32(&v->b), push(v, LUN_I32); }
bool check_constant_i64(Validator *v) { return bytes_s64(&v->b), push(v, LUN_I64); }
bool check_constant_f32(Validator *v) { return bytes_take(&v->b, 4), push(v, LUN_F32); }
bool check_constant_f64(Validator *v) { return bytes_take(&v->b, 8), push(v, LUN_F64); }

/* ---- vectors ---- */

static bool lane(Validator *v, uint32_t lanes) {
  uint32_t index = bytes_u8(&v->b);
  return index < lanes || validate_fail(v, "invalid lane index %u: there are %u", index, lanes);
}

/* The vector instructions that have an immediate. */
bool check_vector_immediate(Validator *v) {
  bool fine = true;
  lun_type address = LUN_I32;
  switch (op_info[v->op].immediate) {
    case IMM_V128: bytes_take(&v->b, 16); break;
    case IMM_LANE: fine = lane(v, vector_lanes(v->op)); break;
    case IMM_MEMARG: case IMM_MEMARG_LANE:
      address = memarg(v, vector_alignment(v->op));
      if (address == UNKNOWN) return false;
      if (op_info[v->op].immediate == IMM_MEMARG_LANE) fine = lane(v, vector_lanes(v->op));
      return fine && shaped_at(v, address);
    default:
      for (unsigned i = 0; fine && i < 16; i++) fine = lane(v, 32);
      break;
  }
  return fine && shaped(v);
}
