/* SPDX-License-Identifier: MIT */
/* Listeners that write into what they may only read: builds that check it end the program there. In one case of each run:
 *
 *   writes GUEST CASE     the module of readonly_spec.lua; prints "not found out" where nothing happened
 *   writes GUEST          what is none of that: callbacks that call the guest, grow memory, detach; interceptors */
#include <lunette/lunette.h>
#include <stdio.h>
#include <string.h>

static lun_store *store;
static lun_instance *guest;

static void write_to(const uint64_t *slots, size_t slot) {
  union { const uint64_t *in; uint64_t *out; } value = { .in = slots };
  value.out[slot] ^= 0xff;
}

/* ---- what writes ---- */
static void write_values(void *self, lun_call *call, const uint64_t *values) {
  (void)call;
  write_to(values, (size_t)(uintptr_t)self);
}
static void write_kept_after(void *self, lun_call *call, const uint64_t *results) {
  (void)results;
  write_to(lun_call_params(call), (size_t)(uintptr_t)self);
}
static void write_kept_abort(void *self, lun_call *call, const lun_error *error) {
  (void)error;
  write_to(lun_call_params(call), (size_t)(uintptr_t)self);
}
static void only_hear(void *self, lun_call *call, const uint64_t *values) { (void)self, (void)call, (void)values; }
static void call_add(void *self, lun_call *call, const uint64_t *params) {
  (void)self, (void)call, (void)params;
  uint64_t slots[2] = { 1, 2 };
  lun_error error = LUN_ERROR_INIT;
  if (lun_function_invoke(lun_instance_function(guest, "add"), slots, slots, &error)) fprintf(stderr, "%s\n", error.message);
}

static const lun_listener before = { write_values, NULL, NULL }, after = { NULL, write_values, NULL },
                          kept_after = { NULL, write_kept_after, NULL }, kept_abort = { NULL, NULL, write_kept_abort },
                          hearing = { only_hear, only_hear, NULL }, calling = { call_add, NULL, NULL };

typedef struct Case {
  const char *name, *function;
  const lun_listener *listener;
  size_t slot;
  lun_attach_options options;
  const lun_listener *beside;   /* on every function, attached first */
} Case;

static const Case cases[] = {
  { .name = "before", .function = "add", .listener = &before, .slot = 1 },
  { .name = "after", .function = "add", .listener = &after },
  { .name = "vector", .function = "vector", .listener = &before, .slot = 3, .options = { .name = "vectors" } },
  { .name = "vector after", .function = "vector", .listener = &after, .slot = 1, .options = { .name = "vectors" } },
  { .name = "timed", .function = "add", .listener = &before, .options = { .time = true } },
  { .name = "timed after", .function = "add", .listener = &after, .options = { .time = true } },
  { .name = "second", .function = "add", .listener = &before, .options = { .name = "second" }, .beside = &hearing },
  { .name = "second after", .function = "add", .listener = &after, .options = { .name = "second" }, .beside = &calling },
  { .name = "kept", .function = "add", .listener = &kept_after, .slot = 1, .options = { .params = true } },
  { .name = "kept abort", .function = "trap", .listener = &kept_abort, .options = { .params = true } },
  { .name = "kept tail", .function = "tail", .listener = &kept_after, .options = { .params = true } },
  { .name = "host", .function = "double", .listener = &after },
  { .name = "inner", .function = "add", .listener = &before, .beside = &calling },
};

static lun_choice choose(void *context, const lun_definition *definition, lun_instance *instance) {
  const Case *one = context;
  (void)instance;
  if (strcmp(lun_definition_name(definition), one->function) != 0) return (lun_choice){ NULL, NULL };
  return (lun_choice){ one->listener, (void *)(uintptr_t)one->slot };
}

static lun_choice choose_all(void *context, const lun_definition *definition, lun_instance *instance) {
  (void)definition, (void)instance;
  return (lun_choice){ context, NULL };
}

/* ---- what may happen meanwhile ---- */
static lun_attachment *own;

static void busy(void) {
  uint64_t slots[6] = { 5, 6, 7, 8, 9, 10 };
  lun_error error = LUN_ERROR_INIT;
  if (lun_function_invoke(lun_instance_function(guest, "vector"), slots, slots, &error)) printf("%s\n", error.message);
  slots[0] = 3;
  if (lun_function_invoke(lun_instance_function(guest, "all"), slots, slots, &error)) printf("%s\n", error.message);
  if (lun_function_invoke(lun_instance_function(guest, "trap"), slots, slots, &error) != LUN_TRAP) printf("no trap\n");
  lun_error_clear(&error);
}

static void busy_before(void *self, lun_call *call, const uint64_t *params) {
  (void)self, (void)call, (void)params;
  busy();
}
static void busy_after(void *self, lun_call *call, const uint64_t *results) {
  (void)self, (void)call, (void)results;
  busy();
  if (own) lun_attachment_detach(own, 0);
  own = NULL;
}
static void busy_abort(void *self, lun_call *call, const lun_error *error) {
  (void)self, (void)call, (void)error;
  uint64_t slots[2] = { 1, 2 };
  lun_error inner = LUN_ERROR_INIT;
  if (lun_function_invoke(lun_instance_function(guest, "add"), slots, slots, &inner)) printf("%s\n", inner.message);
}

static void more(void *self, lun_call *call, uint64_t *values) { (void)self, (void)call, values[0] += 1; }
static lun_status anew(void *self, lun_call *call, const uint64_t *params, uint64_t *results, lun_error *error) {
  (void)self;
  uint64_t mine[2] = { params[0] + 1, params[1] };
  lun_status status = lun_call_proceed(call, mine, results, error);
  results[0] += 1;
  return status;
}
static lun_intercept_choice intercept(void *context, const lun_definition *definition, lun_instance *instance) {
  (void)instance;
  if (strcmp(lun_definition_name(definition), "add") != 0) return (lun_intercept_choice){ NULL, NULL };
  return (lun_intercept_choice){ context, NULL };
}

static void fail(const lun_error *error) {
  fprintf(stderr, "%s\n", error->message);
  _Exit(2);
}

static void keep_busy(void) {
  static lun_listener all = { busy_before, busy_after, busy_abort };
  static lun_interceptor values = { NULL, more, more }, whole = { anew, NULL, NULL };
  lun_error error = LUN_ERROR_INIT;
  lun_attachment *rest;
  if (lun_store_attach(store, choose_all, &all, &(lun_attach_options){ .params = true }, &rest, &error) ||
      lun_store_attach(store, choose_all, &all, NULL, &own, &error) ||
      lun_store_intercept(store, intercept, &values, NULL, &rest, &error) ||
      lun_store_intercept(store, intercept, &whole, NULL, &rest, &error)) fail(&error);
  uint64_t slots[2] = { 10, 20 };
  if (lun_function_invoke(lun_instance_function(guest, "add"), slots, slots, &error)) fail(&error);
  printf("%d\n", (int)slots[0]);
}

static lun_status twice(void *self, lun_call *call, const uint64_t *params, uint64_t *results, lun_error *error) {
  (void)self, (void)call, (void)error;
  results[0] = params[0] * 2;
  return LUN_OK;
}

static void open_guest(const char *path) {
  static char bytes[1 << 16];
  static const lun_type types[] = { LUN_I32 };
  FILE *file = fopen(path, "rb");
  size_t size = file ? fread(bytes, 1, sizeof bytes, file) : 0;
  if (file) fclose(file);
  lun_error error = LUN_ERROR_INIT;
  lun_module *module;
  lun_imports *imports;
  lun_host_function function = { .module = "env", .name = "double", .signature = { 1, 1, types, types }, .callback = twice };
  if (lun_store_create(NULL, &store, &error) || lun_module_create(store, bytes, size, NULL, &module, &error) ||
      lun_imports_create(store, &imports, &error) || lun_imports_add_host(imports, &function, &error) ||
      lun_instance_create(store, module, imports, NULL, &guest, &error)) fail(&error);
  lun_imports_destroy(imports);
  lun_module_destroy(module);
}

int main(int argc, char **argv) {
  if (argc < 2) return fprintf(stderr, "usage: writes GUEST [CASE]\n"), 2;
  open_guest(argv[1]);
  if (argc < 3) keep_busy();
  for (size_t i = 0; argc > 2 && i < sizeof cases / sizeof *cases; i++) {
    Case one = cases[i];
    if (strcmp(one.name, argv[2]) != 0) continue;
    lun_error error = LUN_ERROR_INIT;
    lun_attachment *attachment;
    union { const lun_listener *in; void *out; } beside = { .in = one.beside };
    if ((one.beside && lun_store_attach(store, choose_all, beside.out, NULL, &attachment, &error)) ||
        lun_store_attach(store, choose, &one, &one.options, &attachment, &error)) fail(&error);
    uint64_t slots[6] = { 3, 4, 5, 6, 7, 8 };
    const char *name = strcmp(one.function, "double") == 0 ? "all" : one.function;
    if (lun_function_invoke(lun_instance_function(guest, name), slots, slots, &error) == LUN_USAGE) fail(&error);
    lun_error_clear(&error);
    printf("not found out\n");
    lun_store_destroy(store);
    return 0;
  }
  lun_store_destroy(store);
  return argc > 2;
}
