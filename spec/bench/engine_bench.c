/* SPDX-License-Identifier: MIT */
/* Figures of the engine alone, for engine.lua, which runs this in turn with others: a word and a number on each line.
 *
 *     engine_bench call FIB.wasm        ns a call of fib: "call", and when a listener on it was attached and detached
 *                                       again "again", rounds interleaved
 *     engine_bench loop LOOP.wasm       ms of loop: "loop"
 *     engine_bench validate FILE.wasm   MB/s of decoding and validating: "validate"
 *     engine_bench load FILE.wasm       from a mapped file to the first instruction, with imports that do nothing: "load" in
 *                                       ms, "rss" in MB: what the process has in memory then
 * Each is the best of its rounds; load has one. The clock is that of the process's own processor time, user and system, which
 * a busy machine disturbs least. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <lunette/lunette.h>

enum { ROUNDS = 9, N = 27 };

typedef struct File {
  void *bytes;
  size_t size;
} File;

static void give_up(const char *what, const char *why) {
  fprintf(stderr, "engine_bench: %s: %s\n", what, why);
  exit(1);
}

static double now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static File file_map(const char *path) {
  struct stat info;
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0 || fstat(fd, &info) != 0) give_up(path, "cannot be opened");
  File file = { .size = (size_t)info.st_size };
  file.bytes = mmap(NULL, file.size, PROT_READ, MAP_PRIVATE, fd, 0);
  close(fd);
  if (file.bytes == MAP_FAILED) give_up(path, "cannot be mapped");
  return file;
}

static void keep(void *self, const void *bytes, size_t size) { (void)self, (void)bytes, (void)size; }

static lun_module *module_of(lun_store *store, File file) {
  const lun_module_options options = { .release = keep };
  lun_error error = LUN_ERROR_INIT;
  lun_module *module;
  if (lun_module_create(store, file.bytes, file.size, &options, &module, &error) != LUN_OK) give_up("module", error.message);
  return module;
}

static lun_status nothing(void *self, lun_call *call, const uint64_t *params, uint64_t *results, lun_error *error) {
  (void)self, (void)call, (void)params, (void)results, (void)error;
  return LUN_OK;
}

/* An instance, each function that it imports bound to one that does nothing. */
static lun_instance *instance_of(lun_store *store, lun_module *module) {
  lun_error error = LUN_ERROR_INIT;
  lun_imports *imports;
  lun_instance *instance = NULL;
  lun_status status = lun_imports_create(store, &imports, &error);
  for (uint32_t i = 0; status == LUN_OK && i < lun_module_import_count(module); i++) {
    lun_port port = lun_module_import(module, i);
    if (port.kind != LUN_EXTERN_FUNCTION) continue;
    const lun_host_function function = { .module = port.module, .name = port.name, .callback = nothing,
                                         .signature = *lun_definition_signature(port.definition) };
    status = lun_imports_add_host(imports, &function, &error);
  }
  if (status == LUN_OK) status = lun_instance_create(store, module, imports, NULL, &instance, &error);
  if (status != LUN_OK) give_up("instance", error.message);
  lun_imports_destroy(imports);
  return instance;
}

static lun_store *store_new(void) {
  lun_store *store;
  if (lun_store_create(NULL, &store, NULL) != LUN_OK) give_up("store", "out of memory");
  return store;
}

static double time_ms(lun_function *function, uint64_t param) {
  lun_error error = LUN_ERROR_INIT;
  double start = now_ms();
  if (lun_function_invoke(function, &param, &param, &error) != LUN_OK) give_up("run", error.message);
  return now_ms() - start;
}

static double smaller(double best, double ms) { return best == 0 || ms < best ? ms : best; }

/* ---- a call ---- */
static double calls_of(int n) {
  double a = 1, b = 1;
  for (int i = 2; i <= n; i++) {
    double next = a + b + 1;
    a = b, b = next;
  }
  return b;
}

static void before(void *self, lun_call *call, const uint64_t *params) { (void)self, (void)call, (void)params; }
static void after(void *self, lun_call *call, const uint64_t *results) { (void)self, (void)call, (void)results; }
static lun_choice choose(void *context, const lun_definition *definition, lun_instance *instance) {
  static const lun_listener listener = { before, after, NULL };
  (void)context, (void)definition, (void)instance;
  return (lun_choice){ &listener, NULL };
}

static void bench_call(File file) {
  lun_store *stores[2] = { store_new(), store_new() };
  lun_function *fib[2];
  double best[2] = { 0, 0 };
  for (int i = 0; i < 2; i++) fib[i] = lun_instance_function(instance_of(stores[i], module_of(stores[i], file)), "fib");
  for (int round = 0; round < ROUNDS; round++) {
    lun_attachment *attachment;
    if (lun_store_attach(stores[1], choose, NULL, NULL, &attachment, NULL) != LUN_OK) give_up("attach", "out of memory");
    time_ms(fib[1], 10);
    lun_attachment_detach(attachment, 0);
    for (int i = 0; i < 2; i++) best[i] = smaller(best[i], time_ms(fib[i], N));
  }
  printf("call %.3f\nagain %.3f\n", best[0] * 1e6 / calls_of(N), best[1] * 1e6 / calls_of(N));
  lun_store_destroy(stores[0]);
  lun_store_destroy(stores[1]);
}

/* ---- others ---- */
static void bench_loop(File file) {
  lun_store *store = store_new();
  lun_function *loop = lun_instance_function(instance_of(store, module_of(store, file)), "loop");
  double best = 0;
  for (int round = 0; round < ROUNDS; round++) best = smaller(best, time_ms(loop, 10000000));
  printf("loop %.3f\n", best);
  lun_store_destroy(store);
}

static void bench_validate(File file) {
  double best = 0;
  for (int round = 0; round < ROUNDS; round++) {
    lun_store *store = store_new();
    double start = now_ms();
    lun_module *module = module_of(store, file);
    best = smaller(best, now_ms() - start);
    lun_module_destroy(module);
    lun_store_destroy(store);
  }
  printf("validate %.1f\n", (double)file.size / 1e3 / best);
}

static double resident_mb(void) {
  long pages = 0;
  FILE *statm = fopen("/proc/self/statm", "r");
  if (!statm || fscanf(statm, "%*s %ld", &pages) != 1) give_up("/proc/self/statm", "cannot be read");
  fclose(statm);
  return (double)pages * (double)sysconf(_SC_PAGESIZE) / 1e6;
}

/* The run ends at its first safepoint: the entry of the function, translated and about to run. */
static void bench_load(const char *path) {
  double start = now_ms();
  File file = file_map(path);
  lun_store *store = store_new();
  lun_instance *instance = instance_of(store, module_of(store, file));
  lun_function *function = lun_instance_function(instance, "_initialize");
  if (!function) function = lun_instance_function(instance, "_start");
  if (!function) give_up(path, "exports neither _initialize nor _start");
  lun_store_interrupt(store);
  if (lun_function_invoke(function, NULL, NULL, NULL) != LUN_INTERRUPTED) give_up(path, "was not interrupted");
  printf("load %.2f\nrss %.2f\n", now_ms() - start, resident_mb());
  lun_store_destroy(store);
}

int main(int argc, char **argv) {
  if (argc != 3) give_up("usage", "engine_bench call|loop|validate|load FILE.wasm");
  if (strcmp(argv[1], "call") == 0) bench_call(file_map(argv[2]));
  else if (strcmp(argv[1], "loop") == 0) bench_loop(file_map(argv[2]));
  else if (strcmp(argv[1], "validate") == 0) bench_validate(file_map(argv[2]));
  else if (strcmp(argv[1], "load") == 0) bench_load(argv[2]);
  else give_up(argv[1], "there is no such row");
  return 0;
}
