/* SPDX-License-Identifier: MIT */
/* For the programs that hold the library to the listener contract, rule by rule, as an embedder in C sees it. Each case
 * attaches, calls the guest of rules.wat and compares what was heard, as text: "before NAME(PARAMS)", "after NAME = RESULTS",
 * "abort NAME KIND". */
#ifndef RULES_TEST_H
#define RULES_TEST_H

#include <lunette/lunette.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static lun_store *store;
static lun_module *module;
static lun_imports *imports;
static lun_instance *guest;
static char heard[1 << 16];
static size_t heard_size;
static int failures, checks;

static inline void say(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  int written = vsnprintf(heard + heard_size, sizeof heard - heard_size, format, arguments);
  va_end(arguments);
  if (written > 0) heard_size += (size_t)written;
  if (heard_size >= sizeof heard) heard_size = sizeof heard - 1;
}

static inline void expect_text(const char *rule, const char *expected) {
  checks++;
  if (strcmp(heard, expected) != 0) {
    failures++;
    printf("not ok %s\n  expected:\n%s\n  heard:\n%s\n", rule, expected, heard);
  }
  heard[0] = '\0';
  heard_size = 0;
}

static inline void expect(const char *rule, bool holds) {
  checks++;
  if (holds) return;
  failures++;
  printf("not ok %s\n", rule);
}

/* ---- the host ---- */
static inline lun_status plain(void *self, lun_call *call, const uint64_t *params, uint64_t *results, lun_error *error) {
  (void)self, (void)call, (void)error;
  results[0] = params[0] * 3;
  return LUN_OK;
}

/* Calls the guest's leaf for a positive param; calls trap and swallows the failure for zero. */
static inline lun_status again(void *self, lun_call *call, const uint64_t *params, uint64_t *results, lun_error *error) {
  (void)self, (void)error;
  lun_instance *instance = lun_call_instance(call);
  uint64_t param = params[0], result = 0;
  const char *name = param ? "leaf" : "trap";
  lun_error inner = LUN_ERROR_INIT;
  lun_status status = lun_function_invoke(lun_instance_function(instance, name), &param, &result, &inner);
  lun_error_clear(&inner);
  results[0] = status == LUN_OK ? result : 99;
  return LUN_OK;
}

static inline lun_status fails(void *self, lun_call *call, const uint64_t *params, uint64_t *results, lun_error *error) {
  (void)self, (void)call, (void)params, (void)results;
  return lun_error_set(error, LUN_HOST, "the disk is on fire");
}

static inline lun_status exits(void *self, lun_call *call, const uint64_t *params, uint64_t *results, lun_error *error) {
  (void)self, (void)call, (void)results;
  lun_error_set(error, LUN_EXIT, "exit");
  error->code = (int32_t)params[0];
  return LUN_EXIT;
}

/* ---- listeners ---- */
static inline void values(const lun_type *types, uint32_t count, const uint64_t *slots) {
  for (uint32_t i = 0; i < count; i++)
    say("%s%lld", i ? "," : "", types[i] == LUN_I32 ? (long long)(int32_t)(uint32_t)slots[i] : (long long)slots[i]);
}

static inline const char *name_of(const lun_call *call) { return lun_definition_name(lun_call_definition(call)); }

static inline void before(void *self, lun_call *call, const uint64_t *params) {
  const lun_signature *s = lun_definition_signature(lun_call_definition(call));
  say("%sbefore %s(", self ? (const char *)self : "", name_of(call));
  values(s->params, s->param_count, params);
  say(")\n");
}

static inline void after(void *self, lun_call *call, const uint64_t *results) {
  const lun_signature *s = lun_definition_signature(lun_call_definition(call));
  say("%safter %s = ", self ? (const char *)self : "", name_of(call));
  values(s->results, s->result_count, results);
  say("\n");
}

static inline void aborted(void *self, lun_call *call, const lun_error *error) {
  say("%sabort %s %s", self ? (const char *)self : "", name_of(call), lun_status_name(error->kind));
  if (error->kind == LUN_EXIT) say(" %d", (int)error->code);
  if (error->kind == LUN_TRAP) say(": %s", lun_trap_name(error->trap));
  say("\n");
}

static const lun_listener teller = { before, after, aborted };

/* Only the functions of this list ("leaf trap"), or all. */
typedef struct Only {
  const char *names;
  const lun_listener *listener;
  const char *prefix; /* of what is said, or NULL */
} Only;

static inline lun_choice choose(void *context, const lun_definition *definition, lun_instance *instance) {
  const Only *only = context;
  (void)instance;
  const char *name = lun_definition_name(definition), *at = only->names;
  size_t size = strlen(name);
  while (at && (at = strstr(at, name)) != NULL) {
    bool begins = at == only->names || at[-1] == ' ', ends = at[size] == '\0' || at[size] == ' ';
    if (begins && ends) break;
    at += size;
  }
  if (only->names && !at) return (lun_choice){ NULL, NULL };
  return (lun_choice){ only->listener, (void *)(uintptr_t)only->prefix };
}

static inline lun_attachment *attach(const Only *only, const lun_attach_options *options) {
  lun_attachment *attachment = NULL;
  lun_error error = LUN_ERROR_INIT;
  union { const Only *in; void *out; } context = { .in = only };
  if (lun_store_attach(store, choose, context.out, options, &attachment, &error) != LUN_OK) {
    printf("cannot attach: %s\n", error.message);
    exit(1);
  }
  return attachment;
}

static const Only everything = { NULL, &teller, NULL };

static inline lun_status call_with(const char *name, uint64_t param, uint64_t *result, lun_error *error) {
  uint64_t slots[2] = { param, 0 };
  lun_status status = lun_function_invoke(lun_instance_function(guest, name), slots, slots, error);
  if (result) *result = slots[0];
  return status;
}

static inline lun_status call(const char *name, uint64_t param) {
  lun_error error = LUN_ERROR_INIT;
  lun_status status = call_with(name, param, NULL, &error);
  lun_error_clear(&error);
  return status;
}

static inline void add_host(const char *name, uint32_t params, uint32_t results, lun_host_callback callback) {
  static const lun_type types[] = { LUN_I32 };
  lun_error error = LUN_ERROR_INIT;
  lun_host_function function = { .module = "host", .name = name, .signature = { params, results, types, types }, .callback = callback };
  if (lun_imports_add_host(imports, &function, &error) != LUN_OK) exit(1);
}

/* False: it said why. */
static inline bool rules_open(const char *path) {
  static char bytes[1 << 16];
  FILE *file = path ? fopen(path, "rb") : NULL;
  if (!file) return fprintf(stderr, "usage: PROGRAM MODULE\n"), false;
  size_t size = fread(bytes, 1, sizeof bytes, file);
  fclose(file);
  lun_error error = LUN_ERROR_INIT;
  if (lun_store_create(NULL, &store, &error) || lun_module_create(store, bytes, size, NULL, &module, &error) ||
      lun_imports_create(store, &imports, &error))
    return fprintf(stderr, "%s\n", error.message), false;
  add_host("plain", 1, 1, plain);
  add_host("again", 1, 1, again);
  add_host("fails", 0, 0, fails);
  add_host("exits", 1, 0, exits);
  if (lun_instance_create(store, module, imports, NULL, &guest, &error)) return fprintf(stderr, "%s\n", error.message), false;
  return true;
}

static inline int rules_close(void) {
  lun_imports_destroy(imports);
  lun_module_destroy(module);
  lun_store_destroy(store);
  printf("%d checks, %d failed\n", checks, failures);
  return failures != 0;
}

#endif
