/* SPDX-License-Identifier: MIT */
/* What the fuzz targets share; see fuzz.h. */
#include "fuzz.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

void fuzz_fail(const char *condition, const char *file, int line) {
  fprintf(stderr, "%s:%d: this does not hold: %s\n", file, line, condition);
  abort();
}

lun_store *fuzz_store(void) {
  lun_store_options options = { .stack_bytes = 1 << 16, .max_runs = 4,
                                .limits = { .max_memory_bytes = 8 * LUN_PAGE, .max_table_elements = 1000 } };
  lun_store *store = NULL;
  CHECK(lun_store_create(&options, &store, NULL) == LUN_OK);
  return store;
}

static bool is_utf8(const char *text) {
  for (const uint8_t *at = (const uint8_t *)text; *at;) {
    size_t size = *at < 0x80 ? 1 : *at >= 0xf0 ? 4 : *at >= 0xe0 ? 3 : 2;
    uint32_t point = size == 1 ? *at : *at & (0x7fu >> size);
    if (size > 1 && *at < 0xc2) return false;
    for (size_t i = 1; i < size; i++) {
      if ((at[i] & 0xc0) != 0x80) return false;
      point = point << 6 | (at[i] & 0x3fu);
    }
    if ((size == 3 && point < 0x800) || (size == 4 && point < 0x10000) || point > 0x10ffff || (point & ~0x7ffu) == 0xd800)
      return false;
    at += size;
  }
  return true;
}

void fuzz_check_error(lun_error *error, lun_status status) {
  CHECK(status != LUN_OK && status < LUN_STATUS_COUNT);
  CHECK(error->kind == status);
  CHECK(error->message[0] && is_utf8(error->message) && !strchr(error->message, '\n'));
  CHECK((error->trap != LUN_TRAP_NONE) == (status == LUN_TRAP));
  for (uint32_t i = 0; error->stack && i < lun_snapshot_count(error->stack); i++)
    CHECK(lun_snapshot_frame(error->stack, i)->definition);
  lun_error_clear(error);
}

static void count_release(void *self, const void *bytes, size_t size) {
  (void)bytes, (void)size;
  ++*(unsigned *)self;
}

lun_module *fuzz_module(lun_store *store, const uint8_t *bytes, size_t size) {
  unsigned released = 0;
  lun_module_options options = { .name = "input", .release = count_release, .self = &released };
  lun_error error = LUN_ERROR_INIT;
  lun_module *module = NULL, *copy = NULL;
  lun_status status = lun_module_create(store, bytes, size, &options, &module, &error);
  if (status == LUN_OK) {
    CHECK(module);
    lun_module_destroy(module);
    CHECK(released == 1);
    CHECK(lun_module_create(store, bytes, size, NULL, &copy, NULL) == LUN_OK);
    return copy;
  }
  CHECK(!module && released == 1);
  CHECK(status == LUN_MALFORMED || status == LUN_INVALID);
  CHECK(error.offset <= size || (error.offset == LUN_NO_OFFSET && status == LUN_INVALID));
  fuzz_check_error(&error, status);
  return NULL;
}

/* ---- what a module tells ---- */
static void ask_port(lun_port port, bool is_import) {
  CHECK(port.name && strlen(port.name) <= port.name_size && !port.name[port.name_size]);
  CHECK(is_utf8(port.name) && (!is_import || is_utf8(port.module)));
  CHECK((port.definition != NULL) == (port.kind == LUN_EXTERN_FUNCTION));
  CHECK(port.definition || (port.type && *port.type));
  CHECK(*lun_extern_kind_name(port.kind));
}

static bool matches(const char *pattern, const lun_definition *definition) {
  lun_where *where = NULL;
  lun_error error = LUN_ERROR_INIT;
  lun_status status = lun_where_create(&pattern, 1, &where, &error);
  if (status != LUN_OK) {
    fuzz_check_error(&error, status);
    return false;
  }
  bool is_match = lun_where_match(where, definition);
  lun_where_hint hints[LUN_WHERE_NEAREST];
  const lun_module *module = lun_definition_module(definition);
  size_t count = module ? lun_where_nearest(where, module, hints) : 0;
  for (size_t i = 0; i < count; i++) CHECK(is_utf8(hints[i].text));
  lun_where_destroy(where);
  return is_match;
}

/* The name as a glob of its own: what it means is not checked, only that it can be asked. */
static void ask_where(const lun_definition *definition) {
  const char *name = lun_definition_name(definition);
  char index[16], *exact = malloc(strlen(name) + 2);
  CHECK(exact);
  sprintf(exact, "=%s", name);
  snprintf(index, sizeof index, "#%u", lun_definition_index(definition));
  CHECK(matches("*", definition) && matches(index, definition));
  if (*name != '#') CHECK(matches(exact, definition));
  matches(name, definition);
  CHECK(matches("import:*.*", definition) == lun_definition_is_import(definition));
  CHECK(matches("export:*", definition) == (lun_definition_export_count(definition) > 0));
  free(exact);
}

static void ask_definition(const lun_module *module, uint32_t index) {
  const lun_definition *definition = lun_module_function(module, index);
  CHECK(definition && lun_definition_index(definition) == index && lun_definition_module(definition) == module);
  CHECK(lun_definition_name(definition) && is_utf8(lun_definition_name(definition)));
  CHECK(lun_definition_module_name(definition) && !lun_definition_is_host(definition));
  const lun_signature *signature = lun_definition_signature(definition);
  for (uint32_t i = 0; i < signature->param_count; i++) {
    const char *name = lun_definition_param_name(definition, i);
    CHECK(!name || is_utf8(name));
    CHECK(*lun_type_name(signature->params[i]) && lun_type_slots(signature->params[i]));
  }
  for (uint32_t i = 0; i < signature->result_count; i++) CHECK(*lun_type_name(signature->results[i]));
  CHECK(!lun_definition_param_name(definition, signature->param_count));
  for (uint32_t i = 0; i < lun_definition_export_count(definition); i++) CHECK(is_utf8(lun_definition_export(definition, i)));
  bool is_import = lun_definition_is_import(definition);
  CHECK(is_import == (lun_definition_import_module(definition) != NULL));
  CHECK(is_import == (lun_definition_import_name(definition) != NULL));
  CHECK(is_import == (lun_definition_offset(definition) == LUN_NO_OFFSET));
  CHECK(is_import == (lun_definition_size(definition) == 0));
  if (!is_import) CHECK(lun_module_file_offset(module, lun_definition_offset(definition)) > 8);
  if (index < 8) ask_where(definition);
}

void fuzz_ask_module(const lun_module *module) {
  CHECK(lun_module_name(module) && is_utf8(lun_module_name(module)));
  for (uint32_t i = 0; i < lun_module_import_count(module); i++) ask_port(lun_module_import(module, i), true);
  for (uint32_t i = 0; i < lun_module_export_count(module); i++) ask_port(lun_module_export(module, i), false);
  uint32_t count = lun_module_function_count(module);
  for (uint32_t i = 0; i < count; i++) ask_definition(module, i);
}

/* ---- the watchdog: a timer whose signal expires the store that is watched ---- */
static lun_store *volatile watched;
static timer_t timer;

static void on_timer(int number) {
  (void)number;
  lun_store *store = watched;
  if (store) lun_store_expire(store);
}

static void set_timer(unsigned ms) {
  struct timespec span = { .tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000 };
  /* Again and again: what callbacks call while the first failure is told does not end by itself either. */
  struct itimerspec when = { .it_value = span, .it_interval = span };
  CHECK(timer_settime(timer, 0, &when, NULL) == 0);
}

void fuzz_watch(lun_store *store, unsigned ms) {
  static bool is_made;
  if (!is_made) {
    struct sigaction action = { .sa_handler = on_timer };
    struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN };
    CHECK(sigaction(SIGRTMIN, &action, NULL) == 0 && timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
    is_made = true;
  }
  watched = store;
  set_timer(ms);
}

void fuzz_unwatch(lun_store *store) {
  set_timer(0);
  watched = NULL;
  lun_store_resume(store);
}
