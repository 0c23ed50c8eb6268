/* SPDX-License-Identifier: MIT */
/* A program of one's own that runs a WebAssembly file and counts the calls of each of its functions, in C.
 *
 *     embed FILE.wasm [ARGUMENTS…]
 *
 * The guest gets WASI with this program's stdin, stdout and stderr. The counts go to stderr, most frequent first. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lunette/lunette.h>

typedef struct Counter {
  const char *name;
  unsigned long calls;
} Counter;

typedef struct Counters {
  Counter *items;
  size_t count, room;
} Counters;

static void count(void *self, lun_call *call, const uint64_t *params) {
  (void)call, (void)params;
  ((Counter *)self)->calls++;
}

static const lun_listener counting = { .before = count };

/* Asked once for each function: which listener should it have? Here the same one for all, with a counter for each. */
static lun_choice choose(void *context, const lun_definition *definition, lun_instance *instance) {
  Counters *counters = context;
  (void)instance;
  if (counters->count == counters->room) return (lun_choice){ NULL, NULL };
  Counter *counter = &counters->items[counters->count++];
  counter->name = lun_definition_name(definition);
  return (lun_choice){ &counting, counter };
}

static int by_calls(const void *a, const void *b) {
  const Counter *left = a, *right = b;
  return left->calls < right->calls ? 1 : left->calls > right->calls ? -1 : strcmp(left->name, right->name);
}

static void print_counters(Counters *counters) {
  qsort(counters->items, counters->count, sizeof *counters->items, by_calls);
  for (size_t i = 0; i < counters->count && counters->items[i].calls; i++)
    fprintf(stderr, "%8lu %s\n", counters->items[i].calls, counters->items[i].name);
}

static void *read_file(const char *path, size_t *size) {
  FILE *file = fopen(path, "rb");
  if (!file) return NULL;
  char *bytes = NULL;
  if (fseek(file, 0, SEEK_END) == 0) {
    long end = ftell(file);
    rewind(file);
    bytes = end >= 0 ? malloc((size_t)end + 1) : NULL;
    if (bytes) *size = fread(bytes, 1, (size_t)end, file);
  }
  fclose(file);
  return bytes;
}

/* An instance of the module, whose calls are counted from the first on. */
static lun_status instantiate(lun_store *store, lun_module *module, lun_wasi *wasi, Counters *counters,
                              lun_instance **instance, lun_error *error) {
  lun_imports *imports;
  lun_attachment *attachment;
  counters->room = 2 * (size_t)lun_module_function_count(module) + 64; /* imported ones are asked for as host functions, too */
  counters->items = calloc(counters->room, sizeof *counters->items);
  if (!counters->items) return lun_error_set(error, LUN_NO_MEMORY, "out of memory");
  lun_status status = lun_imports_create(store, &imports, error);
  if (status != LUN_OK) return status;
  status = lun_wasi_import(wasi, imports, error);
  if (status == LUN_OK) status = lun_store_attach(store, choose, counters, NULL, &attachment, error);
  if (status == LUN_OK) status = lun_instance_create(store, module, imports, NULL, instance, error);
  lun_imports_destroy(imports);
  return status;
}

/* Everything between a store and its end. */
static lun_status run(lun_store *store, const void *bytes, size_t size, lun_wasi *wasi, Counters *counters, lun_error *error) {
  lun_module *module;
  lun_instance *instance;
  lun_status status = lun_module_create(store, bytes, size, NULL, &module, error);
  if (status != LUN_OK) return status;
  status = instantiate(store, module, wasi, counters, &instance, error);
  lun_module_destroy(module); /* this hold on it; the instance has its own */
  if (status != LUN_OK) return status;
  lun_function *start = lun_instance_function(instance, "_start");
  if (!start) return lun_error_set(error, LUN_UNLINKABLE, "no export _start");
  return lun_function_invoke(start, NULL, NULL, error);
}

int main(int argc, char **argv) {
  if (argc < 2) {
    fprintf(stderr, "usage: embed FILE.wasm [ARGUMENTS…]\n");
    return 64;
  }
  size_t size = 0;
  void *bytes = read_file(argv[1], &size);
  if (!bytes) {
    perror(argv[1]);
    return 66;
  }
  lun_error error = LUN_ERROR_INIT;
  lun_store *store = NULL;
  lun_wasi *wasi = NULL;
  Counters counters = { NULL, 0, 0 };
  lun_wasi_options options = { .args = (const char *const *)argv + 1, .arg_count = (size_t)argc - 1, .stdio = { 0, 1, 2 } };
  lun_status status = lun_wasi_create(&options, &wasi, &error);
  if (status == LUN_OK) status = lun_store_create(NULL, &store, &error);
  if (status == LUN_OK) status = run(store, bytes, size, wasi, &counters, &error);

  int exit_status = status == LUN_EXIT ? error.code & 255 : lun_status_exit(status);
  if (status != LUN_OK && status != LUN_EXIT) fprintf(stderr, "embed: %s: %s\n", lun_status_name(status), error.message);
  print_counters(&counters);
  free(counters.items);
  lun_error_clear(&error);
  lun_store_destroy(store);
  lun_wasi_destroy(wasi);
  free(bytes);
  return exit_status;
}
