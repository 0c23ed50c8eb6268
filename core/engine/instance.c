/* SPDX-License-Identifier: MIT */
/* Instantiation: imports linked, functions, tables, memories and globals made, segments written, the start function run;
 * and closing. Core specification, 4.5.4 (Instantiation). */
#include <stdlib.h>
#include <string.h>

#include "engine.h"

static lun_status no_memory(lun_error *error) { return lun_error_set(error, LUN_NO_MEMORY, "out of memory"); }

static void *array_of(size_t count, size_t size) { return calloc(count ? count : 1, size); }

static bool allocate(Instance *in) {
  const Module *m = in->module;
  uint32_t defined = m->function_count - m->imported_functions;
  in->functions = array_of(m->function_count, sizeof *in->functions);
  in->own = array_of((size_t)m->imported_functions + defined, sizeof *in->own);
  in->tables = array_of(m->table_count, sizeof *in->tables);
  in->memories = array_of(m->memory_count, sizeof *in->memories);
  in->globals = array_of(m->global_count, sizeof *in->globals);
  in->tags = array_of(m->tag_count, sizeof *in->tags);
  in->types = array_of(m->type_count, sizeof *in->types);
  in->dropped_elements = array_of(m->element_count, sizeof(bool));
  in->dropped_datas = array_of(m->data_count, sizeof(bool));
  return in->functions && in->own && in->tables && in->memories && in->globals && in->tags && in->types && in->dropped_elements &&
         in->dropped_datas;
}

/* The types, with the store's numbers for those that they refer to: earlier ones, which are interned already. */
static const lun_type *renumbered(const Instance *in, const FunctionType *type, const lun_type *types, uint32_t count,
                                  lun_type *out) {
  for (uint32_t i = 0; i < count; i++) {
    bool is_self = type_has_index(types[i]) && type_index(types[i]) == type->canonical;
    out[i] = is_self ? type_of_heap(HEAP_SELF, lun_type_is_nullable(types[i])) : type_in_store(in, types[i]);
  }
  return out;
}

static const Type *intern_renumbered(Instance *in, const FunctionType *type) {
  const lun_signature *signature = &type->signature;
  lun_type *types = malloc(((size_t)signature->param_count + signature->result_count) * sizeof *types);
  if (!types) return NULL;
  FunctionType copy = *type;
  copy.signature.params = renumbered(in, type, signature->params, signature->param_count, types);
  copy.signature.results = renumbered(in, type, signature->results, signature->result_count, types + signature->param_count);
  const Type *interned = type_intern(in->store, &copy);
  free(types);
  return interned;
}

static bool intern_types(Instance *in) {
  for (uint32_t i = 0; i < in->module->type_count; i++) {
    const FunctionType *type = &in->module->types[i];
    if (type->canonical != i) in->types[i] = in->types[type->canonical];
    else in->types[i] = type->has_indexes ? intern_renumbered(in, type) : type_intern(in->store, type);
    if (!in->types[i]) return false;
  }
  return true;
}

static void make_functions(Instance *in) {
  const Module *m = in->module;
  pages_ready(in->own, (m->function_count - (size_t)m->imported_functions) * sizeof *in->own);
  for (uint32_t i = m->imported_functions; i < m->function_count; i++) {
    Function *function = &in->own[in->own_count++];
    const Definition *definition = &m->functions[i];
    /* The rest of it is zero, as it was allocated. */
    function->entry.handler = handler_translate;
    function->instance = in;
    function->type = in->types[definition->type - m->types];
    function->definition = definition;
    function->store = in->store;
    function->memory = &memory_none;
    function->frame_slots = UINT32_MAX;
    in->functions[i] = function;
  }
}

static lun_status make_rest(Instance *in, lun_error *error) {
  const Module *m = in->module;
  for (uint32_t i = m->imported_tables; i < m->table_count; i++) {
    TableType type = m->tables[i];
    type.type = type_in_store(in, type.type);
    Slot value[2] = { 0, 0 };
    if (m->table_inits[i].code) constant_evaluate(in, &m->table_inits[i], value);
    lun_status status = table_create(in->store, &type, value[0], &in->tables[i], error);
    if (status != LUN_OK) return status;
  }
  for (uint32_t i = m->imported_memories; i < m->memory_count; i++) {
    lun_status status = memory_create(in->store, &m->memories[i].limits, &in->memories[i], error);
    if (status != LUN_OK) return status;
  }
  if (m->memory_count > 0) in->memory = in->memories[0];
  for (uint32_t i = m->imported_tags; i < m->tag_count; i++) {
    lun_status status = tag_create(in->store, in->types[m->tags[i].index], in->module, i, &in->tags[i], error);
    if (status != LUN_OK) return status;
  }
  for (uint32_t i = m->imported_globals; i < m->global_count; i++) {
    Slot value[2];
    constant_evaluate(in, &m->globals[i].init, value);
    const GlobalType *type = &m->globals[i].type;
    lun_type in_store = type_in_store(in, type->type);
    lun_status status = global_create(in->store, in_store, type->is_mutable, value, &in->globals[i], error);
    if (status != LUN_OK) return status;
  }
  return LUN_OK;
}

static lun_status segment_trap(lun_error *error, lun_trap trap, const char *what, uint32_t index) {
  lun_error_set(error, LUN_TRAP, "%s (%s segment %u)", lun_trap_name(trap), what, (unsigned)index);
  if (error && error->kind == LUN_TRAP) error->trap = trap;
  return LUN_TRAP;
}

/* The pages of memory 0 that data segments are about to fill; spread thinly over it, they are left to come one by one. */
static void ready_for_datas(Instance *in) {
  const Module *m = in->module;
  uint64_t low = UINT64_MAX, high = 0, filled = 0;
  Slot at[2];
  for (uint32_t i = 0; i < m->data_count; i++) {
    const Data *data = &m->datas[i];
    if (data->mode != SEGMENT_ACTIVE || data->memory != 0 || data->size == 0) continue;
    constant_evaluate(in, &data->offset, at);
    if (at[0] > in->memory->bytes || data->size > in->memory->bytes - at[0]) return;
    if (at[0] < low) low = at[0];
    if (at[0] + data->size > high) high = at[0] + data->size;
    filled += data->size;
  }
  if (filled > 0 && filled >= (high - low) / 2) pages_ready(in->memory->data + low, high - low);
}

static lun_status write_segments(Instance *in, lun_error *error) {
  const Module *m = in->module;
  Slot at[2];
  for (uint32_t i = 0; i < m->element_count; i++) {
    const Element *element = &m->elements[i];
    if (element->mode == SEGMENT_PASSIVE) continue;
    if (element->mode == SEGMENT_ACTIVE) {
      constant_evaluate(in, &element->offset, at);
      if (!table_init(in, element->table, i, at[0], 0, element->count))
        return segment_trap(error, LUN_TRAP_TABLE_OUT_OF_BOUNDS, "element", i);
    }
    in->dropped_elements[i] = true;
  }
  ready_for_datas(in);
  for (uint32_t i = 0; i < m->data_count; i++) {
    const Data *data = &m->datas[i];
    if (data->mode != SEGMENT_ACTIVE) continue;
    constant_evaluate(in, &data->offset, at);
    if (!memory_init(in, data->memory, i, at[0], 0, data->size))
      return segment_trap(error, LUN_TRAP_MEMORY_OUT_OF_BOUNDS, "data", i);
    in->dropped_datas[i] = true;
  }
  return LUN_OK;
}

static lun_status build(Instance *in, const lun_imports *imports, const char *name, lun_error *error) {
  if (!allocate(in) || !intern_types(in)) return no_memory(error);
  if (name && !(in->name = arena_string(&in->store->arena, name, strlen(name)))) return no_memory(error);
  lun_status status = link_imports(in, imports, error);
  if (status != LUN_OK) return status;
  make_functions(in);
  status = make_rest(in, error);
  for (uint32_t i = 0; in->memory && i < in->own_count; i++) in->own[i].memory = in->memory;
  return status;
}

static bool hold_module(Store *store, Module *module) {
  for (size_t i = 0; i < store->modules.count; i++)
    if (store->modules.items[i] == module) return true;
  if (!vec_push(&store->modules, module)) return false;
  module_retain(module);
  return true;
}

lun_status lun_instance_create(Store *store, Module *module, const lun_imports *imports, const char *name, Instance **out,
                               lun_error *error) {
  *out = NULL;
  Instance *in = hold_module(store, module) ? calloc(1, sizeof *in) : NULL;
  if (!in) return no_memory(error);
  in->store = store;
  in->module = module;
  in->is_metered = store->limits.fuel > 0;
  in->max_depth = store->limits.max_depth;
  lun_status status = build(in, imports, name, error);
  if (status != LUN_OK) {
    instance_free(in);
    return status;
  }
  /* From here on others may hold references to its functions: it stays in the store, made available or not. */
  in->serial = ++store->last_instance;
  in->next = store->instances;
  store->instances = in;
  if (store->hooks) status = store->hooks->instance_made(store, in, error);
  if (status == LUN_OK) status = write_segments(in, error);
  if (status == LUN_OK && module->has_start) status = invoke(in->functions[module->start], NULL, NULL, LUN_ENTRY_START, error);
  if (status != LUN_OK) return status;
  in->is_live = true;
  if (store->hooks) store->hooks->instance_live(store, in);
  *out = in;
  return LUN_OK;
}

/* ---- closing ---- */
static void free_code(Function *function) {
  free(function->code);
  free(function->offsets);
  free(function->catches);
  function->code = NULL;
  function->offsets = NULL;
  function->catches = NULL;
  function->code_words = function->offsets_size = function->catch_count = 0;
}

/* What the instance holds of memories and tables, and its code. */
static void give_up(Instance *in) {
  const Module *m = in->module;
  for (uint32_t i = 0; in->memories && i < m->memory_count; i++)
    if (in->memories[i]) memory_drop(in->memories[i]);
  for (uint32_t i = 0; in->tables && i < m->table_count; i++)
    if (in->tables[i]) table_drop(in->tables[i]);
  for (uint32_t i = 0; i < in->own_count; i++) free_code(&in->own[i]);
  in->memory = NULL;
  free(in->memories), free(in->tables);
  in->memories = NULL, in->tables = NULL;
}

void instance_free(Instance *in) {
  if (!in->is_closed || in->is_closing) give_up(in);
  for (uint32_t i = 0; i < in->own_count; i++)
    if (in->own[i].host) host_entry_release(in->own[i].host);
  free(in->functions), free(in->own), free(in->globals), free(in->tags), free(in->types);
  free(in->dropped_elements), free(in->dropped_datas);
  free(in);
}

bool instance_has_frames(const Instance *in) {
  Store *store = in->store;
  if (!store->record) return false;
  Walk walk = walk_from_record(store, store->record);
  do {
    if (walk.function->instance == in) return true;
  } while (walk_next(&walk));
  return false;
}

static void finish_closing(Instance *in) {
  code_unregister(in);
  give_up(in);
  in->is_closing = false;
}

void lun_instance_close(Instance *in) {
  if (in->is_closed) return;
  Store *store = in->store;
  in->is_closed = true;
  if (store->hooks) store->hooks->instance_closed(store, in);
  for (uint32_t i = 0; i < in->own_count; i++) {
    in->own[i].kept = NULL;
    in->own[i].entry.handler = handler_closed;
  }
  in->is_closing = true;
  if (!instance_has_frames(in)) {
    finish_closing(in);
    return;
  }
  store->pending = 1;
  store_raise(store, FLAG_CLOSE);
}

void closing_sweep(Store *store) {
  if (LIKELY(!(atomic_load_explicit(&store->flags, memory_order_relaxed) & FLAG_CLOSE))) return;
  bool left = false;
  for (Instance *in = store->instances; in; in = in->next) {
    if (!in->is_closing) continue;
    if (instance_has_frames(in)) left = true;
    else finish_closing(in);
  }
  if (!left) atomic_fetch_and(&store->flags, ~(uint32_t)FLAG_CLOSE);
}

/* ---- the door ---- */
bool lun_instance_closed(const Instance *in) { return in->is_closed; }
const char *lun_instance_name(const Instance *in) { return in->name ? in->name : lun_module_name(in->module); }
Store *lun_instance_store(const Instance *in) { return in->store; }
Module *lun_instance_module(const Instance *in) { return in->module; }
void **lun_instance_data(Instance *in) { return &in->data; }

bool lun_instance_export(const Instance *in, const char *name, lun_extern *out) {
  return lun_instance_export_sized(in, name, strlen(name), out);
}

bool lun_instance_export_sized(const Instance *in, const char *name, size_t size, lun_extern *out) {
  const Export *export = in->is_closed ? NULL : export_find(in->module, name, size);
  if (!export) return false;
  out->kind = export->kind;
  switch (export->kind) {
  case LUN_EXTERN_FUNCTION: out->as.function = in->functions[export->index]; break;
  case LUN_EXTERN_TABLE: out->as.table = in->tables[export->index]; break;
  case LUN_EXTERN_MEMORY: out->as.memory = in->memories[export->index]; break;
  case LUN_EXTERN_GLOBAL: out->as.global = in->globals[export->index]; break;
  case LUN_EXTERN_TAG: out->as.tag = in->tags[export->index]; break;
  }
  return true;
}

Function *lun_instance_function(const Instance *in, const char *export_name) {
  lun_extern item;
  return lun_instance_export(in, export_name, &item) && item.kind == LUN_EXTERN_FUNCTION ? item.as.function : NULL;
}

Function *lun_instance_function_at(const Instance *in, uint32_t index) {
  return index < in->module->function_count ? in->functions[index] : NULL;
}

Memory *lun_instance_memory(const Instance *in, uint32_t index) {
  return in->memories && index < in->module->memory_count ? in->memories[index] : NULL;
}

Table *lun_instance_table(const Instance *in, uint32_t index) {
  return in->tables && index < in->module->table_count ? in->tables[index] : NULL;
}

Global_ *lun_instance_global(const Instance *in, uint32_t index) {
  return index < in->module->global_count ? in->globals[index] : NULL;
}

Tag *lun_instance_tag(const Instance *in, uint32_t index) {
  return index < in->module->tag_count ? in->tags[index] : NULL;
}

const Definition *lun_function_definition(const Function *function) { return function->definition; }
Instance *lun_function_instance(const Function *function) { return function->instance; }
uint64_t lun_function_ref(Function *function) { return (uint64_t)(uintptr_t)function; }
Function *lun_function_of_ref(uint64_t ref) { return (Function *)(uintptr_t)ref; }
