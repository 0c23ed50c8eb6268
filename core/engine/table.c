/* SPDX-License-Identifier: MIT */
/* Tables of references, and globals. Core specification, 4.2.7 and 4.2.9. A funcref is the address of its Function, an
 * externref whatever the host gave; 0 is null. */
#include <stdlib.h>
#include <string.h>

#include "engine.h"

static bool table_resize(Table *table, uint32_t count, Slot value) {
  if (count == 0) return true;
  Slot *items = table->items ? realloc(table->items, count * sizeof *items) : calloc(count, sizeof *items);
  if (!items) return false;
  /* Fresh pages are zero already: only what differs is written. */
  if (table->items || value != 0)
    for (uint32_t i = table->count; i < count; i++) items[i] = value;
  table->items = items;
  table->count = count;
  return true;
}

lun_status table_create(Store *store, const TableType *type, Slot value, Table **out, lun_error *error) {
  Table *table = calloc(1, sizeof *table);
  if (!table) return lun_error_set(error, LUN_NO_MEMORY, "out of memory");
  const Limits *limits = &type->limits;
  uint64_t min = limits->min;
  *table = (Table){ .type = type->type, .max = limits->max, .most = store->limits.max_table_elements, .is_64 = limits->is_64,
                    .holders = 1, .store = store };
  bool allowed = min <= table->most;
  if (!allowed || !table_resize(table, (uint32_t)min, value)) {
    uint32_t most = table->most;
    free(table);
    if (allowed) return lun_error_set(error, LUN_NO_MEMORY, "no memory for a table of %llu elements", (unsigned long long)min);
    return lun_error_set(error, LUN_EXHAUSTED, "a table of %llu elements is over the limit of %u", (unsigned long long)min,
                         (unsigned)most);
  }
  if (!vec_push(&store->tables, table)) {
    free(table->items);
    free(table);
    return lun_error_set(error, LUN_NO_MEMORY, "out of memory");
  }
  *out = table;
  return LUN_OK;
}

void table_drop(Table *table) {
  if (table->holders == 0 || --table->holders > 0) return;
  free(table->items);
  table->items = NULL;
  table->count = 0;
}

uint64_t table_grow(Table *table, Slot value, uint64_t count) {
  uint64_t most = table->most;
  if (table->max < most) most = table->max;
  uint32_t old = table->count;
  if (count > most || old > most - count) return UINT64_MAX;
  return count == 0 || table_resize(table, old + (uint32_t)count, value) ? old : UINT64_MAX;
}

static bool inside(uint64_t size, uint64_t at, uint64_t count) { return count <= size && at <= size - count; }

bool table_init(Instance *instance, uint32_t index, uint32_t segment, uint64_t to, uint64_t from, uint64_t count) {
  Table *table = instance->tables[index];
  const Element *element = &instance->module->elements[segment];
  uint32_t size = instance->dropped_elements[segment] ? 0 : element->count;
  if (!inside(size, from, count) || !inside(table->count, to, count)) return false;
  for (uint64_t i = 0; i < count; i++) {
    Slot value[2] = { 0, 0 };
    if (element->functions) value[0] = (Slot)(uintptr_t)instance->functions[element->functions[from + i]];
    else constant_evaluate(instance, &element->items[from + i], value);
    table->items[to + i] = value[0];
  }
  return true;
}

bool table_copy(Table *to_table, Table *from_table, uint64_t to, uint64_t from, uint64_t count) {
  if (!inside(from_table->count, from, count) || !inside(to_table->count, to, count)) return false;
  if (count) memmove(to_table->items + to, from_table->items + from, count * sizeof *to_table->items);
  return true;
}

bool table_fill(Table *table, uint64_t to, Slot value, uint64_t count) {
  if (!inside(table->count, to, count)) return false;
  for (uint64_t i = 0; i < count; i++) table->items[to + i] = value;
  return true;
}

/* ---- the door ---- */
static lun_status table_make(Store *store, lun_type type, const Limits *limits, Table **out, lun_error *error) {
  *out = NULL;
  if (!type_is_reference(type) || lun_type_top(type) != type)
    return lun_error_set(error, LUN_USAGE, "a table of the host's holds funcref or externref");
  if (limits->max < limits->min)
    return lun_error_set(error, LUN_USAGE, "a table has no fewer elements at most than at least");
  const TableType table = { .type = type, .limits = *limits };
  return table_create(store, &table, 0, out, error);
}

lun_status lun_table_create(Store *store, lun_type type, uint32_t min, uint32_t max, Table **out, lun_error *error) {
  const Limits limits = { .min = min, .max = max == UINT32_MAX ? UINT64_MAX : max };
  return table_make(store, type, &limits, out, error);
}

lun_status lun_table_create_64(Store *store, lun_type type, uint64_t min, uint64_t max, Table **out, lun_error *error) {
  const Limits limits = { .min = min, .max = max, .is_64 = true };
  return table_make(store, type, &limits, out, error);
}

bool lun_table_is_64(const Table *table) { return table->is_64; }

lun_type lun_table_type(const Table *table) { return table->type; }
uint32_t lun_table_size(const Table *table) { return table->count; }

bool lun_table_get(const Table *table, uint32_t index, uint64_t *ref) {
  if (index >= table->count) return false;
  *ref = table->items[index];
  return true;
}

bool lun_table_set(Table *table, uint32_t index, uint64_t ref) {
  if (index >= table->count || !value_fits(table->type, NULL, ref)) return false;
  table->items[index] = ref;
  return true;
}

lun_status lun_global_create(Store *store, lun_type type, bool is_mutable, const uint64_t *value, Global_ **out,
                             lun_error *error) {
  *out = NULL;
  if (type_has_index(type)) return lun_error_set(error, LUN_USAGE, "a global of the host's has no type of a module");
  if (!value_fits(type, NULL, value ? *value : 0))
    return lun_error_set(error, LUN_USAGE, "a global of type %s is not null", lun_type_name(type));
  return global_create(store, type, is_mutable, value, out, error);
}

lun_status global_create(Store *store, lun_type type, bool is_mutable, const Slot *value, Global_ **out, lun_error *error) {
  *out = NULL;
  Global_ *global = calloc(1, sizeof *global);
  if (!global || !vec_push(&store->globals, global)) {
    free(global);
    return lun_error_set(error, LUN_NO_MEMORY, "out of memory");
  }
  *global = (Global_){ .type = type, .is_mutable = is_mutable, .store = store };
  if (value) memcpy(global->value, value, lun_type_slots(type) * sizeof *value);
  *out = global;
  return LUN_OK;
}

lun_type lun_global_type(const Global_ *global) { return global->type; }
bool lun_global_mutable(const Global_ *global) { return global->is_mutable; }
const uint64_t *lun_global_get(const Global_ *global) { return global->value; }

bool lun_global_set(Global_ *global, const uint64_t *value) {
  if (!global->is_mutable || !value_fits(global->type, NULL, *value)) return false;
  memcpy(global->value, value, lun_type_slots(global->type) * sizeof *value);
  return true;
}
