/* SPDX-License-Identifier: MIT */
/* Imports: the list that an embedder fills, host functions, and the matching of what a module asks for with what there is.
 * Core specification, 3.4 (Import Matching) and 4.5.4 (Instantiation). Every import that misses is told, with its type. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine.h"

typedef enum ImportKind { IMPORT_HOST, IMPORT_ITEM, IMPORT_INSTANCE } ImportKind;
typedef struct ImportEntry {
  ImportKind kind;
  char *module, *name; /* owned; name NULL for an instance */
  HostEntry *host;
  lun_extern item;
  Instance *instance;
} ImportEntry;

struct lun_imports {
  Store *store;
  VEC(ImportEntry) entries;
  bool stubs;
};

/* ---- host functions ---- */
static char *copy_text(const char *text) {
  size_t size = strlen(text) + 1;
  char *copy = malloc(size);
  if (copy) memcpy(copy, text, size);
  return copy;
}

static const char *const *copy_names(Store *store, const char *const *names, uint32_t count) {
  const char **copy = arena_array(&store->arena, count + 1u, sizeof *copy);
  for (uint32_t i = 0; copy && i < count; i++) {
    if (!names[i]) continue;
    copy[i] = arena_string(&store->arena, names[i], strlen(names[i]));
    if (!copy[i]) return NULL;
  }
  return copy;
}

static bool has_indexes(const lun_type *types, uint32_t count) {
  for (uint32_t i = 0; i < count; i++)
    if (type_has_index(types[i])) return true;
  return false;
}

/* Whether the embedder may ask for it: numbers of types mean nothing outside of their module. */
lun_status signature_check(const lun_signature *signature, lun_error *error) {
  if (!has_indexes(signature->params, signature->param_count) && !has_indexes(signature->results, signature->result_count))
    return LUN_OK;
  return lun_error_set(error, LUN_USAGE, "a host function has no types of a module in its signature");
}

HostEntry *host_entry_create(Store *store, const lun_host_function *function, lun_error *error) {
  FunctionType type = { .signature = function->signature };
  HostEntry *entry = calloc(1, sizeof *entry);
  if (entry) {
    const char *module = function->module ? function->module : "", *name = function->name ? function->name : "";
    entry->module = arena_string(&store->arena, module, strlen(module));
    entry->name = arena_string(&store->arena, name, strlen(name));
    entry->type = type_intern(store, &type);
    if (function->param_names) entry->param_names = copy_names(store, function->param_names, type.signature.param_count);
  }
  if (!entry || !entry->module || !entry->name || !entry->type || (function->param_names && !entry->param_names)) {
    free(entry);
    lun_error_set(error, LUN_NO_MEMORY, "out of memory");
    return NULL;
  }
  entry->callback = function->callback;
  entry->self = function->self;
  entry->release = function->release;
  entry->holders = 1;
  return entry;
}

void host_entry_release(HostEntry *entry) {
  if (--entry->holders > 0) return;
  if (entry->release) entry->release(entry->self);
  free(entry);
}

lun_status function_bind_host(Store *store, HostEntry *entry, Instance *instance, const Import *import, uint32_t index,
                              Function *function) {
  Definition *definition = arena_alloc(&store->arena, sizeof *definition);
  if (!definition) return LUN_NO_MEMORY;
  *definition = (Definition){ .module = instance ? instance->module : NULL, .index = index, .is_host = true, .import = import,
                              .type = &entry->type->type, .name = entry->name, .module_name = entry->module,
                              .param_names = entry->param_names };
  *function = (Function){ .instance = instance, .type = entry->type, .frame_slots = entry->type->type.result_slots,
                          .memory = &memory_none, .definition = definition, .host = entry, .store = store, .callback = entry->callback,
                          .self = entry->self };
  function->entry.handler = instance && instance->max_depth ? handler_host_counted : handler_host;
  entry->holders++;
  return LUN_OK;
}

lun_status lun_function_create(Store *store, const lun_host_function *host, Function **out, lun_error *error) {
  *out = NULL;
  if (signature_check(&host->signature, error) != LUN_OK) return LUN_USAGE;
  HostEntry *entry = host_entry_create(store, host, error);
  if (!entry) return LUN_NO_MEMORY;
  Function *function = calloc(1, sizeof *function);
  bool bound = function && vec_grow(&store->host_functions, 1) &&
               function_bind_host(store, entry, NULL, NULL, 0, function) == LUN_OK;
  if (bound) {
    store->host_functions.items[store->host_functions.count++] = function;
    host_entry_release(entry);
    *out = function;
    return LUN_OK;
  }
  free(function);
  entry->release = NULL;
  host_entry_release(entry);
  return lun_error_set(error, LUN_NO_MEMORY, "out of memory");
}

/* ---- the list ---- */
lun_status lun_imports_create(Store *store, lun_imports **out, lun_error *error) {
  *out = calloc(1, sizeof **out);
  if (!*out) return lun_error_set(error, LUN_NO_MEMORY, "out of memory");
  (*out)->store = store;
  return LUN_OK;
}

void lun_imports_destroy(lun_imports *imports) {
  if (!imports) return;
  for (size_t i = 0; i < imports->entries.count; i++) {
    ImportEntry *entry = &imports->entries.items[i];
    if (entry->host) host_entry_release(entry->host);
    free(entry->module);
    free(entry->name);
  }
  vec_clear(&imports->entries);
  free(imports);
}

/* Takes over entry->host, also on failure; its `self` then stays the caller's. */
static lun_status add(lun_imports *imports, ImportEntry entry, const char *module, const char *name, lun_error *error) {
  entry.module = copy_text(module);
  entry.name = name ? copy_text(name) : NULL;
  if (entry.module && (entry.name || !name) && vec_push(&imports->entries, entry)) return LUN_OK;
  free(entry.module);
  free(entry.name);
  if (entry.host) entry.host->release = NULL, host_entry_release(entry.host);
  return lun_error_set(error, LUN_NO_MEMORY, "out of memory");
}

lun_status lun_imports_add_host(lun_imports *imports, const lun_host_function *function, lun_error *error) {
  if (signature_check(&function->signature, error) != LUN_OK) return LUN_USAGE;
  HostEntry *host = host_entry_create(imports->store, function, error);
  if (!host) return LUN_NO_MEMORY;
  return add(imports, (ImportEntry){ .kind = IMPORT_HOST, .host = host }, host->module, host->name, error);
}

lun_status lun_imports_add(lun_imports *imports, const char *module, const char *name, lun_extern item, lun_error *error) {
  return add(imports, (ImportEntry){ .kind = IMPORT_ITEM, .item = item }, module, name, error);
}

lun_status lun_imports_add_instance(lun_imports *imports, const char *module, Instance *instance, lun_error *error) {
  return add(imports, (ImportEntry){ .kind = IMPORT_INSTANCE, .instance = instance }, module, NULL, error);
}

/* ---- functions that nobody has ---- */
void lun_imports_stub(lun_imports *imports) { imports->stubs = true; }

static lun_status stub_call(void *self, lun_call *call, const uint64_t *params, uint64_t *results, lun_error *error) {
  const Definition *definition = lun_call_definition(call);
  (void)self, (void)params, (void)results;
  lun_error_set(error, LUN_TRAP, "unknown import: %s.%s was called", definition->module_name, definition->name);
  error->trap = LUN_TRAP_UNKNOWN_IMPORT;
  return LUN_TRAP;
}

static HostEntry *stub_create(const Instance *instance, const Import *import) {
  const lun_host_function stub = { .module = import->module, .name = import->name, .callback = stub_call,
                                   .signature = instance->types[import->type]->type.signature };
  return host_entry_create(instance->store, &stub, NULL);
}

/* ---- matching ---- */
typedef struct Found {
  HostEntry *host;
  lun_extern item;
  bool found;
} Found;

static Found find_import(const lun_imports *imports, const Import *import) {
  Found found = { 0 };
  for (size_t i = imports ? imports->entries.count : 0; i-- > 0;) {
    const ImportEntry *entry = &imports->entries.items[i];
    if (strcmp(entry->module, import->module) != 0) continue;
    if (entry->kind == IMPORT_INSTANCE) {
      found.found = lun_instance_export(entry->instance, import->name, &found.item);
    } else if (strcmp(entry->name, import->name) == 0) {
      found = (Found){ .host = entry->host, .item = entry->item, .found = true };
      if (entry->host) found.item.kind = LUN_EXTERN_FUNCTION;
    }
    if (found.found) return found;
  }
  return found;
}

static bool limits_match(uint64_t size, uint64_t max, const Limits *wanted) {
  return size >= wanted->min && max <= wanted->max;
}

/* One that changes has exactly the type: it is written to, too. */
static bool global_matches(const Global_ *global, lun_type wanted, bool is_mutable) {
  if (global->is_mutable != is_mutable) return false;
  return is_mutable ? global->type == wanted : type_matches(global->type, wanted);
}

static bool matches(const Instance *instance, const Import *import, const Found *found) {
  if (found->item.kind != import->kind) return false;
  const Type *type = import->kind == LUN_EXTERN_FUNCTION ? instance->types[import->type] : NULL;
  switch (import->kind) {
  case LUN_EXTERN_FUNCTION: return (found->host ? found->host->type : found->item.as.function->type) == type;
  case LUN_EXTERN_TABLE:
    return found->item.as.table->type == type_in_store(instance, import->table.type) &&
           found->item.as.table->is_64 == import->table.limits.is_64 &&
           limits_match(found->item.as.table->count, found->item.as.table->max, &import->table.limits);
  case LUN_EXTERN_MEMORY:
    return found->item.as.memory->is_64 == import->memory.limits.is_64 &&
           limits_match(found->item.as.memory->bytes / LUN_PAGE, found->item.as.memory->max, &import->memory.limits);
  case LUN_EXTERN_GLOBAL:
    return global_matches(found->item.as.global, type_in_store(instance, import->global.type), import->global.is_mutable);
  case LUN_EXTERN_TAG: return found->item.as.tag->type == instance->types[import->type];
  }
  return false;
}

typedef struct Cursors {
  uint32_t functions, tables, memories, globals, tags, own;
} Cursors;

static lun_status bind(Instance *instance, const Import *import, const Found *found, Cursors *at) {
  switch (import->kind) {
  case LUN_EXTERN_FUNCTION: {
    uint32_t index = at->functions++;
    instance->functions[index] = found->item.as.function;
    if (!found->host) return LUN_OK;
    Function *function = &instance->own[at->own];
    if (function_bind_host(instance->store, found->host, instance, import, index, function) != LUN_OK) return LUN_NO_MEMORY;
    at->own++;
    instance->own_count = at->own;
    instance->functions[index] = function;
    return LUN_OK;
  }
  case LUN_EXTERN_TABLE:
    instance->tables[at->tables++] = found->item.as.table;
    found->item.as.table->holders++;
    return LUN_OK;
  case LUN_EXTERN_MEMORY:
    instance->memories[at->memories++] = found->item.as.memory;
    found->item.as.memory->holders++;
    return LUN_OK;
  case LUN_EXTERN_GLOBAL: instance->globals[at->globals++] = found->item.as.global; return LUN_OK;
  case LUN_EXTERN_TAG: instance->tags[at->tags++] = found->item.as.tag; return LUN_OK;
  }
  return LUN_OK;
}

typedef VEC(char) Text;

static bool text_add(Text *text, const char *part) {
  size_t size = strlen(part);
  if (!vec_grow(text, size + 1)) return false;
  memcpy(text->items + text->count, part, size + 1);
  text->count += size;
  return true;
}

/* "unknown import: env.write (function i32 i32 -> i32)" */
static void describe(char *line, size_t room, const Module *module, uint32_t index, bool exists) {
  lun_port port = lun_module_import(module, index);
  char types[256];
  const char *type = port.type;
  if (port.definition) type = signature_text(lun_definition_signature(port.definition), types, sizeof types);
  snprintf(line, room, "%s: %s.%s (%s%s)", exists ? "incompatible import type" : "unknown import", port.module, port.name,
           port.definition ? "function " : "", type ? type : "?");
}

lun_status link_imports(Instance *instance, const lun_imports *imports, lun_error *error) {
  const Module *module = instance->module;
  Cursors at = { 0 };
  Text text = { 0 };
  char first[384] = "", line[384];
  uint32_t missing = 0;
  for (uint32_t i = 0; i < module->import_count; i++) {
    const Import *import = &module->imports[i];
    Found found = find_import(imports, import);
    HostEntry *stub = NULL;
    if (!found.found && imports && imports->stubs && import->kind == LUN_EXTERN_FUNCTION) {
      found = (Found){ .host = stub = stub_create(instance, import), .item.kind = LUN_EXTERN_FUNCTION, .found = true };
      if (!stub) {
        vec_clear(&text);
        return lun_error_set(error, LUN_NO_MEMORY, "out of memory");
      }
    }
    if (found.found && matches(instance, import, &found)) {
      lun_status bound = missing == 0 ? bind(instance, import, &found, &at) : LUN_OK;
      if (stub) host_entry_release(stub);
      if (bound != LUN_OK) {
        vec_clear(&text);
        return lun_error_set(error, LUN_NO_MEMORY, "out of memory");
      }
      continue;
    }
    describe(line, sizeof line, module, i, found.found);
    if (missing++ == 0) memcpy(first, line, sizeof first);
    /* Where memory fails the list is shorter; the first one is told in any case. */
    if (text_add(&text, text.count ? "\n" : "")) text_add(&text, line);
  }
  if (missing == 0) return LUN_OK;
  if (missing == 1) lun_error_set(error, LUN_UNLINKABLE, "%s", first);
  else lun_error_set(error, LUN_UNLINKABLE, "%s, and %u more", first, (unsigned)(missing - 1));
  if (error && error->kind == LUN_UNLINKABLE && !error->detail && missing > 1) error->detail = text.items;
  else vec_clear(&text);
  return LUN_UNLINKABLE;
}
