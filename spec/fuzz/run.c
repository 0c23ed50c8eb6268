/* SPDX-License-Identifier: MIT */
/* Fuzz target: instantiates the input and calls what it exports, once without and once with a listener on every function.
 * Both runs must give the same: statuses, traps, results, memories and globals. A guest that does not end is ended by the
 * watchdog; from then on the two are not compared. */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RUN_MS = 10, EXPORTS_MAX = 12, TAG_PARAMS = 8 };

/* One of the two runs, and all that it has shown, as a list of numbers. */
typedef struct Run {
  lun_store *store;
  lun_imports *imports;
  lun_instance *instance;
  lun_tag *tag;              /* of the last import that is one, or NULL: what the host throws */
  uint32_t host_calls;
  uint64_t open, events;     /* calls that were heard and have not ended; all events */
  bool is_traced, is_late;
  uint64_t *shown;
  size_t count, room;
} Run;

static void show(Run *run, uint64_t number) {
  if (run->is_late) return;
  if (run->count == run->room) {
    run->room = run->room ? run->room * 2 : 256;
    run->shown = realloc(run->shown, run->room * sizeof *run->shown);
    CHECK(run->shown);
  }
  run->shown[run->count++] = number;
}

static bool is_number(lun_type type) {
  return type == LUN_I32 || type == LUN_I64 || type == LUN_F32 || type == LUN_F64 || type == LUN_V128;
}

/* Of a reference only whether it is null: what it is differs from store to store. */
static void show_value(Run *run, lun_type type, const uint64_t *slots) {
  for (uint32_t i = 0; i < lun_type_slots(type); i++) show(run, is_number(type) ? slots[i] : slots[i] != 0);
}

static void show_exception(Run *run, const lun_exception *exception) {
  const lun_signature *signature = lun_tag_signature(lun_exception_tag(exception));
  const uint64_t *at = lun_exception_values(exception);
  for (uint32_t i = 0; i < signature->param_count; i++) {
    show_value(run, signature->params[i], at);
    at += lun_type_slots(signature->params[i]);
  }
}

static void show_status(Run *run, lun_status status, lun_error *error) {
  if (status == LUN_TIMEOUT) run->is_late = true;
  show(run, status);
  if (status == LUN_OK) return;
  CHECK((status == LUN_EXCEPTION) == (error->exception != NULL) && !error->caught);
  if (error->exception) show_exception(run, error->exception);
  show(run, error->trap);
  for (const char *at = error->message; *at; at++) show(run, (uint8_t)*at);
  for (uint32_t i = 0; error->stack && i < lun_snapshot_count(error->stack); i++)
    show(run, lun_snapshot_frame(error->stack, i)->offset);
  fuzz_check_error(error, status);
}

/* ---- the host ---- */

/* One with zeros and nulls. */
static lun_status throw_one(Run *run, lun_error *error) {
  static const uint64_t values[2 * TAG_PARAMS];
  lun_exception *exception;
  if (lun_exception_create(run->store, run->tag, values, &exception, error) != LUN_OK) return error->kind;
  lun_status status = lun_exception_throw(exception, error);
  lun_exception_release(exception);
  return status;
}

/* Calls the first export without params now and then, and fails or throws now and then. */
static lun_status host_call(void *self, lun_call *call, const uint64_t *params, uint64_t *results, lun_error *error) {
  Run *run = self;
  const lun_signature *signature = lun_definition_signature(lun_call_definition(call));
  for (uint32_t i = 0; i < signature->param_count; i++) {
    show_value(run, signature->params[i], params);
    params += lun_type_slots(signature->params[i]);
  }
  run->host_calls++;
  if (run->host_calls % 8 == 7) return lun_error_set(error, LUN_HOST, "call %u", run->host_calls);
  if (run->host_calls % 4 == 1 && run->tag) return throw_one(run, error);
  if (signature->result_count && is_number(signature->results[0])) results[0] = run->host_calls & 3;
  if (run->host_calls % 4 != 3 || !run->instance) return LUN_OK;
  lun_function *function = lun_instance_function(run->instance, "run");
  if (!function || lun_definition_signature(lun_function_definition(function))->param_count ||
      lun_definition_signature(lun_function_definition(function))->result_count) return LUN_OK;
  return lun_function_invoke(function, NULL, NULL, error);
}

/* From a text such as "tag (i32 f64)". */
static lun_tag *tag_of(Run *run, const char *text) {
  char name[16];
  lun_type params[TAG_PARAMS];
  uint32_t count = 0;
  int size = 0;
  for (text += strlen("tag ("); sscanf(text, " %15[a-z0-9]%n", name, &size) == 1; text += size) {
    lun_type type = lun_type_of_name(name);
    if (!type || count == TAG_PARAMS) return NULL;
    params[count++] = type;
  }
  lun_tag *tag;
  return lun_tag_create(run->store, params, count, &tag, NULL) == LUN_OK ? tag : NULL;
}

static bool add_import(Run *run, lun_port port) {
  lun_extern item = { .kind = port.kind };
  uint64_t value[2] = { 42, 0 };
  if (strlen(port.name) != port.name_size) return false;
  switch (port.kind) {
    case LUN_EXTERN_FUNCTION: {
      lun_host_function function = { .module = port.module, .name = port.name, .callback = host_call, .self = run,
                                     .signature = *lun_definition_signature(port.definition) };
      return lun_imports_add_host(run->imports, &function, NULL) == LUN_OK;
    }
    case LUN_EXTERN_MEMORY:
      if (lun_memory_create(run->store, 1, 2, &item.as.memory, NULL) != LUN_OK) return false;
      break;
    case LUN_EXTERN_TABLE:
      if (lun_table_create(run->store, LUN_FUNCREF, 10, 20, &item.as.table, NULL) != LUN_OK) return false;
      break;
    case LUN_EXTERN_GLOBAL: {
      char name[16] = "";
      bool is_mutable = strstr(port.type, " mut ") != NULL;
      sscanf(port.type, is_mutable ? "global mut %15s" : "global %15s", name);
      lun_type type = lun_type_of_name(name);
      if (!is_number(type)) value[0] = 0;
      if (!type || lun_global_create(run->store, type, is_mutable, value, &item.as.global, NULL) != LUN_OK) return false;
      break;
    }
    case LUN_EXTERN_TAG:
      item.as.tag = run->tag = tag_of(run, port.type);
      if (!run->tag) return false;
      break;
  }
  return lun_imports_add(run->imports, port.module, port.name, item, NULL) == LUN_OK;
}

/* ---- the listener ---- */
static void before(void *self, lun_call *call, const uint64_t *params) {
  Run *run = self;
  (void)params;
  run->open++;
  if (++run->events % 64) return;
  lun_stack stack = lun_call_stack(call);
  for (uint32_t depth = lun_call_depth(call); lun_stack_next(&stack); depth--) {
    CHECK(stack.frame.definition);
    bool is_exact;
    lun_stack_params(&stack, &is_exact);
    if (depth == 0) return;
  }
  CHECK(lun_call_id(call) > lun_call_parent_id(call));
}

static void after(void *self, lun_call *call, const uint64_t *results) {
  (void)call, (void)results;
  CHECK(((Run *)self)->open-- > 0);
}

static void aborted(void *self, lun_call *call, const lun_error *error) {
  (void)call;
  CHECK(((Run *)self)->open-- > 0 && error->kind != LUN_OK);
}

static lun_choice choose(void *context, const lun_definition *definition, lun_instance *instance) {
  static const lun_listener listener = { before, after, aborted };
  (void)definition, (void)instance;
  return (lun_choice){ &listener, context };
}

/* ---- one run ---- */
static void call_export(Run *run, lun_function *function, uint64_t number) {
  const lun_signature *signature = lun_definition_signature(lun_function_definition(function));
  uint64_t *params = calloc(2 * (size_t)signature->param_count + 1, sizeof *params);
  uint64_t *results = calloc(2 * (size_t)signature->result_count + 1, sizeof *results), *at = params;
  CHECK(params && results);
  for (uint32_t i = 0; i < signature->param_count; i++) {
    if (is_number(signature->params[i])) *at = number;
    at += lun_type_slots(signature->params[i]);
  }
  lun_error error = LUN_ERROR_INIT;
  fuzz_watch(run->store, RUN_MS);
  lun_status status = lun_function_invoke(function, params, results, &error);
  fuzz_unwatch(run->store);
  CHECK(run->open == 0);
  show_status(run, status, &error);
  at = results;
  for (uint32_t i = 0; status == LUN_OK && i < signature->result_count; i++) {
    show_value(run, signature->results[i], at);
    at += lun_type_slots(signature->results[i]);
  }
  free(params);
  free(results);
}

static void show_memory(Run *run, const lun_memory *memory) {
  uint64_t size = lun_memory_size(memory);
  const uint8_t *bytes = lun_memory_read(memory, 0, size);
  CHECK(bytes && !lun_memory_read(memory, size, 1));
  show(run, size);
  for (uint64_t i = 0; !run->is_late && i < size; i += 8) {
    uint64_t word;
    memcpy(&word, bytes + i, sizeof word);
    if (word) show(run, i), show(run, word);
  }
}

static void show_table(Run *run, const lun_table *table) {
  uint64_t ref;
  show(run, lun_table_size(table));
  for (uint32_t i = 0; i < lun_table_size(table) && i < 64; i++) CHECK(lun_table_get(table, i, &ref)), show(run, ref != 0);
}

static void show_state(Run *run) {
  lun_memory *memory;
  lun_table *table;
  lun_global *global;
  for (uint32_t i = 0; (memory = lun_instance_memory(run->instance, i)) != NULL; i++) show_memory(run, memory);
  for (uint32_t i = 0; (table = lun_instance_table(run->instance, i)) != NULL; i++) show_table(run, table);
  for (uint32_t i = 0; (global = lun_instance_global(run->instance, i)) != NULL; i++)
    show_value(run, lun_global_type(global), lun_global_get(global));
}

static void call_exports(Run *run, const lun_module *module) {
  uint32_t called = 0;
  for (uint32_t i = 0; i < lun_module_export_count(module) && called < EXPORTS_MAX && !run->is_late; i++) {
    lun_port port = lun_module_export(module, i);
    if (port.kind != LUN_EXTERN_FUNCTION) continue;
    lun_extern item;
    CHECK(lun_instance_export_sized(run->instance, port.name, port.name_size, &item) && item.kind == port.kind);
    call_export(run, item.as.function, called & 1 ? 3 : 0);
    called++;
  }
}

static void run_begin(Run *run, const uint8_t *bytes, size_t size) {
  run->store = fuzz_store();
  lun_module *module = fuzz_module(run->store, bytes, size);
  if (!module) return;
  lun_attachment *attachment = NULL;
  if (run->is_traced) CHECK(lun_store_attach(run->store, choose, run, NULL, &attachment, NULL) == LUN_OK);
  CHECK(lun_imports_create(run->store, &run->imports, NULL) == LUN_OK);
  for (uint32_t i = 0; i < lun_module_import_count(module); i++) add_import(run, lun_module_import(module, i));
  lun_error error = LUN_ERROR_INIT;
  fuzz_watch(run->store, RUN_MS);
  lun_status status = lun_instance_create(run->store, module, run->imports, NULL, &run->instance, &error);
  fuzz_unwatch(run->store);
  CHECK((status == LUN_OK) == (run->instance != NULL) && run->open == 0);
  show_status(run, status, &error);
  if (run->instance) {
    call_exports(run, module);
    show_state(run);
    lun_instance_close(run->instance);
  }
  lun_imports_destroy(run->imports);
  lun_module_destroy(module);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  Run plain = { .is_traced = false }, traced = { .is_traced = true };
  run_begin(&plain, bytes, size);
  if (!plain.is_late) run_begin(&traced, bytes, size);
  if (!plain.is_late && !traced.is_late) {
    CHECK(plain.count == traced.count);
    for (size_t i = 0; i < plain.count; i++) CHECK(plain.shown[i] == traced.shown[i]);
  }
  lun_store_destroy(plain.store);
  lun_store_destroy(traced.store);
  free(plain.shown);
  free(traced.shown);
  return 0;
}
