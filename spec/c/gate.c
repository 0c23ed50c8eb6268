/* SPDX-License-Identifier: MIT */
/* Does every host call pass the one gate, and does host code change guest memory only through lun_memory_write? The linker
 * puts this program's functions in front of both (-Wl,--wrap): the gate's counts what passes, the accessor's notes what was
 * handed out. A listener looks at the whole memory before and after each host call: a byte that changed and was not handed out
 * in between is an error.
 *
 *     gate GUEST.wasm FOLDER      (a guest that exports every WASI function again; a folder that it may change) */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lunette/lunette.h>

enum { ROUNDS = 400, RANGES_MOST = 4096, PARAMS_MOST = 9, PATH_AT = 1024, VECTORS_AT = 2048, OUT_AT = 3072, BUFFERS_AT = 8192,
       STRIDE = 512 };

static struct {
  uint64_t passed, heard;              /* host calls: at the gate, by the listener */
  struct { uint64_t start, end; } ranges[RANGES_MOST];
  size_t range_count;
  uint8_t before[LUN_PAGE];
  const char *failure;
  bool has_written[64];                /* WASI functions that changed memory, by their row */
} seen;

/* ---- what stands in front ---- */
int __real_host_call(void *store, void *function, uint64_t *fp);
int __wrap_host_call(void *store, void *function, uint64_t *fp);
int __wrap_host_call(void *store, void *function, uint64_t *fp) {
  seen.passed++;
  return __real_host_call(store, function, fp);
}

uint8_t *__real_lun_memory_write(lun_memory *memory, uint64_t address, uint64_t size);
uint8_t *__wrap_lun_memory_write(lun_memory *memory, uint64_t address, uint64_t size);
uint8_t *__wrap_lun_memory_write(lun_memory *memory, uint64_t address, uint64_t size) {
  uint8_t *at = __real_lun_memory_write(memory, address, size);
  if (!at) return NULL;
  if (seen.range_count == RANGES_MOST) seen.failure = "too many ranges";
  else seen.ranges[seen.range_count++].start = address, seen.ranges[seen.range_count - 1].end = address + size;
  return at;
}

/* ---- the listener ---- */
static void before(void *self, lun_call *call, const uint64_t *params) {
  (void)self, (void)params;
  seen.heard++;
  seen.range_count = 0;
  memcpy(seen.before, lun_memory_read(lun_call_memory(call), 0, LUN_PAGE), LUN_PAGE);
}

static bool handed_out(uint64_t address) {
  for (size_t i = 0; i < seen.range_count; i++)
    if (address >= seen.ranges[i].start && address < seen.ranges[i].end) return true;
  return false;
}

static void compare(lun_call *call) {
  const uint8_t *now = lun_memory_read(lun_call_memory(call), 0, LUN_PAGE);
  const char *name = lun_definition_own_name(lun_call_definition(call));
  for (uint64_t at = 0; at < LUN_PAGE; at++) {
    if (at % STRIDE == 0) /* over what is the same */
      while (at < LUN_PAGE && memcmp(now + at, seen.before + at, STRIDE) == 0) at += STRIDE;
    if (at == LUN_PAGE || now[at] == seen.before[at]) continue;
    if (!handed_out(at)) seen.failure = name;
    for (size_t row = 0; row < lun_wasi_function_count(); row++)
      if (strcmp(lun_wasi_function_at(row)->name, name) == 0) seen.has_written[row] = true;
  }
}

static void after(void *self, lun_call *call, const uint64_t *results) {
  (void)self, (void)results;
  compare(call);
}

static void on_abort(void *self, lun_call *call, const lun_error *error) {
  (void)self, (void)error;
  compare(call);
}

static const lun_listener watcher = { before, after, on_abort };

static lun_choice choose(void *context, const lun_definition *definition, lun_instance *instance) {
  (void)context, (void)instance;
  return (lun_choice){ lun_definition_is_host(definition) ? &watcher : NULL, NULL };
}

/* ---- the guest's calls ---- */
static void give_up(const char *what, const lun_error *error) {
  fprintf(stderr, "gate: %s: %s\n", what, error ? error->message : "failed");
  exit(1);
}

static void put_u32(lun_memory *memory, uint64_t address, uint32_t value) {
  uint8_t *at = __real_lun_memory_write(memory, address, 4);
  for (int i = 0; i < 4; i++) at[i] = (uint8_t)(value >> 8 * i);
}

/* A path of a few (folders and links have their own), buffers, and noise where results go, so that most writes change
 * something. */
static void prepare(const lun_wasi_function *row, lun_memory *memory) {
  static const char *const paths[] = { "a", "b", "c", "l", "d", "." };
  memset(__real_lun_memory_write(memory, 0, LUN_PAGE), rand() & 255, LUN_PAGE);
  const char *path = paths[rand() % 6];
  if (strcmp(row->name, "path_create_directory") == 0) path = "d";
  if (strcmp(row->name, "path_symlink") == 0) path = "l";
  if (strcmp(row->name, "path_open") == 0) path = paths[rand() % 3];
  memcpy(__real_lun_memory_write(memory, PATH_AT, 8), path, strlen(path) + 1);
  for (uint32_t i = 0; i < 4; i++) {
    put_u32(memory, VECTORS_AT + 8 * i, BUFFERS_AT + 512 * i);
    put_u32(memory, VECTORS_AT + 8 * i + 4, (uint32_t)rand() % 300);
  }
}

/* A param by its kind; now and then anything. */
static uint64_t param(const lun_wasi_function *row, const char *kind, const char *last, uint32_t position, lun_memory *memory) {
  bool closes = strcmp(row->name, "fd_close") == 0 || strcmp(row->name, "fd_renumber") == 0;
  if (rand() % 24 == 0) return (uint64_t)rand() << 16 ^ (uint64_t)rand();
  if (strcmp(kind, "fd") == 0) return closes ? 4 + (uint64_t)rand() % 4 : rand() % 2 ? 3 : 4 + (uint64_t)rand() % 4;
  if (strcmp(kind, "path") == 0) return PATH_AT;
  if (strcmp(last, "path") == 0) return strlen((const char *)lun_memory_read(memory, PATH_AT, 8));
  if (strcmp(kind, "iovs") == 0 || strcmp(kind, "ciovs") == 0) return VECTORS_AT;
  if (strcmp(last, "iovs") == 0 || strcmp(last, "ciovs") == 0) return (uint64_t)rand() % 5;
  if (strcmp(kind, "bytes") == 0) return BUFFERS_AT;
  if (strcmp(last, "bytes") == 0) return (uint64_t)rand() % 4000;
  if (strcmp(kind, "ptr") == 0 || *kind == '=') return OUT_AT + 256 * position;
  if (strcmp(kind, "rights") == 0) return ~UINT64_C(0) >> 36;
  if (strcmp(kind, "filesize") == 0) return rand() % 2 ? 0 : (uint64_t)rand() % 500;
  if (strcmp(kind, "size") == 0) return 1 + (uint64_t)rand() % 3;
  if (strcmp(kind, "clockid") == 0) return (uint64_t)rand() % 5;
  return (uint64_t)rand() % 5;
}

static void call_row(lun_instance *instance, const lun_wasi_function *row, lun_memory *memory) {
  uint64_t params[PARAMS_MOST], result;
  char kinds[128], *rest = NULL;
  const char *last = "";
  uint32_t count = 0;
  lun_error error = LUN_ERROR_INIT;
  snprintf(kinds, sizeof kinds, "%s", row->kinds);
  for (char *kind = strtok_r(kinds, " ", &rest); kind; kind = strtok_r(NULL, " ", &rest), count++) {
    params[count] = param(row, kind, last, count, memory);
    if (row->signature[count] == 'i') params[count] = (uint32_t)params[count];
    last = kind;
  }
  if (strcmp(row->name, "poll_oneoff") == 0) { /* one clock; it takes no time */
    memset(__real_lun_memory_write(memory, OUT_AT, 48), 0, 48);
    params[2] = 1;
  }
  lun_status status = lun_function_invoke(lun_instance_function(instance, row->name), params, &result, &error);
  if (status != LUN_OK && status != LUN_EXIT) give_up(row->name, &error);
  lun_error_clear(&error);
}

static lun_module *load(lun_store *store, const char *path, lun_error *error) {
  static uint8_t bytes[65536];
  FILE *file = fopen(path, "rb");
  size_t size = file ? fread(bytes, 1, sizeof bytes, file) : 0;
  lun_module *module = NULL;
  if (file) fclose(file);
  if (lun_module_create(store, bytes, size, NULL, &module, error) != LUN_OK) give_up(path, error);
  return module;
}

int main(int argc, char **argv) {
  if (argc != 3) give_up("usage: gate GUEST.wasm FOLDER", NULL);
  lun_error error = LUN_ERROR_INIT;
  lun_store *store;
  lun_imports *imports;
  lun_wasi *wasi;
  lun_instance *instance;
  lun_attachment *attachment;
  const lun_wasi_dir dir = { argv[2], "/", false };
  const char *const args[] = { "gate", "x" };
  const lun_wasi_options options = { .args = args, .arg_count = 2, .env = args, .env_count = 2, .dirs = &dir, .dir_count = 1,
                                     .stdio = { -1, -1, -1 }, .deterministic = true };
  if (lun_store_create(NULL, &store, &error) != LUN_OK || lun_imports_create(store, &imports, &error) != LUN_OK ||
      lun_wasi_create(&options, &wasi, &error) != LUN_OK || lun_wasi_import(wasi, imports, &error) != LUN_OK)
    give_up("set-up", &error);
  lun_module *module = load(store, argv[1], &error);
  if (lun_store_attach(store, choose, NULL, NULL, &attachment, &error) != LUN_OK ||
      lun_instance_create(store, module, imports, NULL, &instance, &error) != LUN_OK)
    give_up("instance", &error);
  lun_memory *memory = lun_instance_memory(instance, 0);
  srand(1);
  for (int round = 0; round < ROUNDS && !seen.failure; round++) {
    for (size_t row = 0; row < lun_wasi_function_count() && !seen.failure; row++) {
      prepare(lun_wasi_function_at(row), memory);
      call_row(instance, lun_wasi_function_at(row), memory);
    }
  }
  if (seen.failure) fprintf(stderr, "gate: %s changed memory that it was not given\n", seen.failure);
  if (seen.passed != seen.heard)
    fprintf(stderr, "gate: %zu calls passed, %zu were heard\n", (size_t)seen.passed, (size_t)seen.heard);
  printf("%zu calls\nwritten by", (size_t)seen.passed);
  for (size_t row = 0; row < lun_wasi_function_count(); row++)
    if (seen.has_written[row]) printf(" %s", lun_wasi_function_at(row)->name);
  puts("");
  lun_imports_destroy(imports);
  lun_module_destroy(module);
  lun_store_destroy(store);
  lun_wasi_destroy(wasi);
  return seen.failure || seen.passed != seen.heard;
}
