/* SPDX-License-Identifier: MIT */
/* Every allocation fails in turn, once and from then on: whatever was asked for ends with LUN_NO_MEMORY or is done all the
 * same, nothing leaks, and the store does the same work afterwards.
 *
 *   allocations GUEST [DEBUGGED]     the module that allocations.wat describes, and one with debug information
 *
 * The library is linked statically, with the allocator's functions wrapped (ld's --wrap), so that only what the library asks
 * for is counted and fails; a sanitizer's allocator stays below. */
#include <lunette/lunette.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* ---- the allocator ---- */
static struct {
  long until;        /* this many allocations succeed; negative: all */
  bool goes_on;      /* the ones after the failing one fail, too */
  bool has_failed;
  long live, live_maps;
} plan;

static bool fails_now(void) {
  if (plan.until < 0 || (plan.has_failed && !plan.goes_on)) return false;
  if (plan.until > 0) return plan.until--, false;
  return plan.has_failed = true;
}

#define REAL(result, name, ...) result __real_##name(__VA_ARGS__); result __wrap_##name(__VA_ARGS__)
REAL(void *, malloc, size_t size);
REAL(void *, calloc, size_t count, size_t size);
REAL(void *, realloc, void *old, size_t size);
REAL(void, free, void *memory);
REAL(char *, strdup, const char *text);
REAL(void *, mmap, void *at, size_t size, int protection, int flags, int fd, off_t offset);
REAL(int, munmap, void *at, size_t size);
REAL(int, mprotect, void *at, size_t size, int protection);

static void *counted(void *memory) {
  plan.live += memory != NULL;
  return memory;
}

void *__wrap_malloc(size_t size) { return fails_now() ? NULL : counted(__real_malloc(size)); }
void *__wrap_calloc(size_t count, size_t size) { return fails_now() ? NULL : counted(__real_calloc(count, size)); }
void *__wrap_realloc(void *old, size_t size) {
  if (fails_now()) return NULL;
  void *memory = __real_realloc(old, size);
  if (!old) plan.live += memory != NULL;
  return memory;
}
void __wrap_free(void *memory) {
  plan.live -= memory != NULL;
  __real_free(memory);
}
char *__wrap_strdup(const char *text) { return fails_now() ? NULL : counted(__real_strdup(text)); }
void *__wrap_mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset) {
  if (fails_now()) return MAP_FAILED;
  void *memory = __real_mmap(at, size, protection, flags, fd, offset);
  plan.live_maps += memory != MAP_FAILED;
  return memory;
}
int __wrap_munmap(void *at, size_t size) {
  plan.live_maps--;
  return __real_munmap(at, size);
}
int __wrap_mprotect(void *at, size_t size, int protection) { return fails_now() ? -1 : __real_mprotect(at, size, protection); }

/* ---- the work: everything between a store and its end ---- */
typedef struct Work {
  lun_store *store;
  lun_module *module;
  lun_imports *imports;
  lun_tag *tag;
  lun_instance *instance;
  lun_where *where;
  lun_attachment *attachment, *counting;
  lun_aggregate *aggregate;
  lun_error error;
  long open;             /* calls that were heard and have not ended */
} Work;

static uint8_t guest[4096];
static size_t guest_size;
static uint8_t debugged[1 << 16];
static size_t debugged_size;
static size_t places_known;  /* how many source frames the second one has */
static int failures;

static void fail(long nth, const char *what, const char *detail) {
  failures++;
  printf("not ok: allocation %ld fails %s: %s: %s\n", nth, plan.goes_on ? "and all after it" : "once", what, detail);
}

static void before(void *self, lun_call *call, const uint64_t *params) {
  (void)params;
  ((Work *)self)->open++;
  lun_snapshot_destroy(lun_call_snapshot(call));
}
static void after(void *self, lun_call *call, const uint64_t *results) {
  (void)call, (void)results;
  ((Work *)self)->open--;
}
static void aborted(void *self, lun_call *call, const lun_error *error) {
  (void)error;
  ((Work *)self)->open--;
  lun_snapshot_destroy(lun_call_snapshot(call));
}

static lun_choice choose(void *context, const lun_definition *definition, lun_instance *instance) {
  static const lun_listener listener = { before, after, aborted };
  Work *work = context;
  (void)instance;
  bool is_chosen = !work->where || lun_where_match(work->where, definition);
  return (lun_choice){ is_chosen ? &listener : NULL, work };
}

static lun_status attach(Work *work, lun_attachment **out, lun_error *error) {
  lun_attach_options options = { .name = "test", .params = true };
  return lun_store_attach(work->store, choose, work, &options, out, error);
}

/* A host function: attaches and detaches within the run, and calls the guest. */
static lun_status again(void *self, lun_call *call, const uint64_t *params, uint64_t *results, lun_error *error) {
  lun_attachment *attachment;
  lun_status status = attach(self, &attachment, error);
  if (status != LUN_OK) return status;
  lun_function *leaf = lun_instance_function(lun_call_instance(call), "leaf");
  status = lun_function_invoke(leaf, params, results, error);
  lun_attachment_detach(attachment, 0);
  return status;
}

/* Throws what it is given, by the tag of the embedder's making. */
static lun_status throws(void *self, lun_call *call, const uint64_t *params, uint64_t *results, lun_error *error) {
  const Work *work = self;
  (void)results;
  lun_exception *exception;
  lun_status status = lun_exception_create(lun_call_store(call), work->tag, params, &exception, error);
  if (status != LUN_OK) return status;
  status = lun_exception_throw(exception, error);
  lun_exception_release(exception);
  return status;
}

static lun_status import_all(Work *work) {
  static const lun_type number = LUN_I32;
  static const char *const names[] = { "n" };
  const lun_host_function function = { .module = "host", .name = "again", .signature = { 1, 1, &number, &number },
                                       .param_names = names, .callback = again, .self = work };
  const lun_host_function thrower = { .module = "host", .name = "throws", .signature = { 1, 1, &number, &number },
                                      .callback = throws, .self = work };
  lun_extern memory = { .kind = LUN_EXTERN_MEMORY }, table = { .kind = LUN_EXTERN_TABLE };
  lun_extern global = { .kind = LUN_EXTERN_GLOBAL }, tag = { .kind = LUN_EXTERN_TAG };
  const uint64_t value = 16;
  lun_error *error = &work->error;
  lun_status status = lun_imports_create(work->store, &work->imports, error);
  if (status == LUN_OK) status = lun_imports_add_host(work->imports, &function, error);
  if (status == LUN_OK) status = lun_memory_create(work->store, 1, 4, &memory.as.memory, error);
  if (status == LUN_OK) status = lun_imports_add(work->imports, "host", "memory", memory, error);
  if (status == LUN_OK) status = lun_table_create(work->store, LUN_FUNCREF, 2, 10, &table.as.table, error);
  if (status == LUN_OK) status = lun_imports_add(work->imports, "host", "table", table, error);
  if (status == LUN_OK) status = lun_global_create(work->store, LUN_I32, false, &value, &global.as.global, error);
  if (status == LUN_OK) status = lun_imports_add(work->imports, "host", "global", global, error);
  if (status == LUN_OK) status = lun_imports_add_host(work->imports, &thrower, error);
  if (status == LUN_OK) status = lun_tag_create(work->store, &number, 1, &work->tag, error);
  tag.as.tag = work->tag;
  if (status == LUN_OK) status = lun_imports_add(work->imports, "host", "tag", tag, error);
  return status;
}

/* ---- an aggregation, under a condition ---- */
static lun_choice choose_aggregate(void *context, const lun_definition *definition, lun_instance *instance) {
  lun_choice choice;
  if (lun_aggregate_choose(context, instance, definition, 0, &choice, NULL) != LUN_OK) choice.listener = NULL;
  return choice;
}

static void give_back(void *context) { lun_aggregate_destroy(context); }

static lun_status aggregate_create(lun_aggregate **out, lun_error *error) {
  const lun_reading name = { .source = LUN_SOURCE_NAME }, first = { .source = LUN_SOURCE_ARG, .name = "n" };
  const lun_datum none = { LUN_DATUM_INTEGER, { .integer = -1 } }, text = { LUN_DATUM_TEXT, { .text = "*" } };
  lun_predicate *number = NULL, *named = NULL, *both = NULL;
  lun_status status = lun_predicate_compare(&first, LUN_COMPARE_NE, &none, &number, error);
  if (status == LUN_OK) status = lun_predicate_compare(&name, LUN_COMPARE_GLOB, &text, &named, error);
  if (status != LUN_OK) lun_predicate_destroy(number);
  if (status == LUN_OK) status = lun_predicate_join(number, named, true, &both, error);
  if (status != LUN_OK) return status;
  const lun_aggregate_options options = { .kind = LUN_AGGREGATE_QUANTILE, .keys = &name, .key_count = 1, .value = &first,
                                          .when = both };
  return lun_aggregate_create(&options, out, error);
}

static lun_status attach_aggregate(Work *work) {
  const lun_condition condition = { .under = work->where, .has_depth = true, .depth_to = 1000 };
  lun_attach_options options = { .condition = &condition, .release = give_back };
  lun_status status = aggregate_create(&work->aggregate, &work->error);
  if (status != LUN_OK) return status;
  lun_aggregate_needs(work->aggregate, &options);
  lun_aggregate_retain(work->aggregate);
  status = lun_store_attach(work->store, choose_aggregate, work->aggregate, &options, &work->counting, &work->error);
  if (status != LUN_OK) lun_aggregate_destroy(work->aggregate);
  return status;
}

/* Adds up what was counted with what another has. What lacks memory is left out, and counted. */
static lun_status merge(Work *work) {
  lun_aggregate *sum = NULL;
  lun_status status = work->aggregate ? aggregate_create(&sum, &work->error) : LUN_OK;
  if (sum) status = lun_aggregate_merge(sum, work->aggregate, &work->error);
  lun_aggregate_destroy(sum);
  return status;
}

static lun_status load(Work *work) {
  static const char *const patterns[] = { "*", "!leaf" };
  lun_error *error = &work->error;
  lun_status status = lun_module_create(work->store, guest, guest_size, NULL, &work->module, error);
  if (status == LUN_OK) status = lun_where_create(patterns, 2, &work->where, error);
  if (status == LUN_OK) status = import_all(work);
  if (status == LUN_OK) status = attach(work, &work->attachment, error);
  if (status == LUN_OK) status = attach_aggregate(work);
  if (status == LUN_OK) status = lun_instance_create(work->store, work->module, work->imports, NULL, &work->instance, error);
  return status;
}

static lun_status run(Work *work) {
  uint64_t slots[1] = { 0 };
  lun_status status = lun_function_invoke(lun_instance_function(work->instance, "run"), NULL, slots, &work->error);
  if (status != LUN_OK) return status;
  lun_error thrown = LUN_ERROR_INIT;
  status = lun_function_invoke(lun_instance_function(work->instance, "uncaught"), NULL, NULL, &thrown);
  bool whole = thrown.exception && lun_exception_values(thrown.exception)[1] == 2;
  lun_error_clear(&thrown);
  if (status != LUN_EXCEPTION) return lun_error_set(&work->error, status == LUN_OK ? LUN_USAGE : status, "nothing was thrown");
  if (!whole) return lun_error_set(&work->error, LUN_USAGE, "the exception is not the one that was thrown");
  if (slots[0] != 42) return lun_error_set(&work->error, LUN_USAGE, "run gave %d", (int)slots[0]);
  lun_error trap = LUN_ERROR_INIT;
  status = lun_function_invoke(lun_instance_function(work->instance, "trap"), slots, slots, &trap);
  lun_error_clear(&trap);
  if (status == LUN_TRAP) return LUN_OK;
  return lun_error_set(&work->error, status == LUN_OK ? LUN_USAGE : status, "trap did not trap");
}

/* ---- symbols: what memory lacked for is there when asked again ---- */
static size_t ask(const lun_module *module) {
  size_t count = 0;
  for (uint32_t i = 0; i < lun_module_function_count(module); i++) {
    const lun_definition *definition = lun_module_function(module, i);
    lun_place place;
    count += *lun_definition_name(definition) != 0;
    count += lun_definition_place(definition, &place) && place.file;
    for (uint32_t p = 0; p < lun_definition_signature(definition)->param_count; p++)
      count += lun_definition_param_name(definition, p) != NULL;
    for (uint64_t at = 0; at < lun_definition_size(definition); at++) {
      lun_place places[8];
      size_t found = lun_module_places(module, lun_definition_offset(definition) + at, places, 8);
      for (size_t f = 0; f < found && f < 8; f++) count += places[f].file != NULL;
    }
  }
  return count;
}

static lun_status symbols(Work *work) {
  lun_module *module;
  lun_status status = lun_module_create(work->store, debugged, debugged_size, NULL, &module, &work->error);
  if (status != LUN_OK) return status;
  ask(module);
  plan.until = -1;
  plan.goes_on = false;
  size_t count = ask(module);
  if (!places_known) places_known = count;
  if (count != places_known) status = lun_error_set(&work->error, LUN_USAGE, "%zu places, not %zu", count, places_known);
  lun_module_destroy(module);
  return status;
}

/* All of it; `text` is the failure's. Whatever happens, what was made is given back. */
static lun_status work_do(lun_store *store, char *text, size_t room) {
  Work work = { .store = store, .error = LUN_ERROR_INIT };
  lun_status status = load(&work);
  if (status == LUN_OK) status = run(&work);
  if (status == LUN_OK && debugged_size) status = symbols(&work);
  if (status == LUN_OK) status = merge(&work);
  if (status != LUN_OK && work.error.kind != status) status = LUN_USAGE;
  snprintf(text, room, "%s: %s", lun_status_name(status), work.error.message);
  if (work.open != 0) {
    status = LUN_USAGE;
    snprintf(text, room, "%ld calls have no end", work.open);
  }
  if (work.attachment) lun_attachment_detach(work.attachment, 0);
  if (work.counting) lun_attachment_detach(work.counting, 0);
  lun_aggregate_destroy(work.aggregate);
  if (work.instance) lun_instance_close(work.instance);
  lun_imports_destroy(work.imports);
  lun_where_destroy(work.where);
  lun_module_destroy(work.module);
  lun_error_clear(&work.error);
  return status;
}

/* False: no allocation was left to fail. */
static bool try(long nth, bool goes_on) {
  char text[600] = "";
  lun_error error = LUN_ERROR_INIT;
  lun_store *store = NULL;
  memset(&plan, 0, sizeof plan);
  plan.until = nth, plan.goes_on = goes_on;
  lun_status status = lun_store_create(NULL, &store, &error);
  if (status == LUN_OK) status = work_do(store, text, sizeof text);
  else snprintf(text, sizeof text, "%s", error.message);
  bool has_failed = plan.has_failed;
  plan.until = -1;
  lun_error_clear(&error);
  if (status != LUN_OK && (!has_failed || status != LUN_NO_MEMORY)) fail(nth, "another status than no-memory", text);
  if (store && work_do(store, text, sizeof text) != LUN_OK) fail(nth, "the store is of no use afterwards", text);
  lun_store_destroy(store);
  if (plan.live != 0 || plan.live_maps != 0) {
    snprintf(text, sizeof text, "%ld pieces, %ld maps", plan.live, plan.live_maps);
    fail(nth, "something leaks", text);
  }
  return has_failed;
}

static size_t file_read(const char *path, uint8_t *bytes, size_t room) {
  FILE *file = fopen(path, "rb");
  size_t size = file ? fread(bytes, 1, room, file) : 0;
  if (file) fclose(file);
  return size;
}

int main(int count, char **arguments) {
  if (count < 2 || count > 3) return printf("usage: allocations GUEST [DEBUGGED]\n"), 2;
  guest_size = file_read(arguments[1], guest, sizeof guest);
  if (count == 3) debugged_size = file_read(arguments[2], debugged, sizeof debugged);
  if (!guest_size || (count == 3 && !debugged_size)) return printf("a guest cannot be read\n"), 2;
  long tried = 0;
  for (int goes_on = 0; goes_on < 2; goes_on++)
    for (long nth = 0; try(nth, goes_on) && failures < 20; nth++) tried++;
  if (tried < 100) failures++;
  printf("%ld failing allocations, %d failures\n", tried, failures);
  return failures > 0;
}
