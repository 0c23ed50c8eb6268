/* SPDX-License-Identifier: MIT */
/* What WASI adds to input and output: a guest that writes, and reads, a file in blocks of 64 KiB, and the same loops in C in the
 * same process. Rounds are interleaved, so that a slow phase of the machine hits all alike; the medians are printed.
 *
 *     io_bench IO.wasm           (io.wat compiled) */
#define _GNU_SOURCE /* mkostemp */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <lunette/lunette.h>

enum { ROUNDS = 31, BLOCKS = 512, BLOCK = 65536 };

typedef struct Bench {
  int fd;
  lun_store *store;
  lun_wasi *wasi;
  lun_function *write, *read;
  lun_error error;
} Bench;

static char block[BLOCK];

static void give_up(const char *what, const char *why) {
  fprintf(stderr, "io_bench: %s: %s\n", what, why);
  exit(1);
}

static double now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static double native(const Bench *bench, bool writes) {
  double start = now_ns();
  for (int i = 0; i < BLOCKS; i++) {
    ssize_t n = writes ? write(bench->fd, block, BLOCK) : read(bench->fd, block, BLOCK);
    if (n != BLOCK) give_up("native", "a block was not moved whole");
  }
  return (now_ns() - start) / BLOCKS;
}

static double guest(Bench *bench, lun_function *function, int fd) {
  const uint64_t params[] = { (uint64_t)fd, BLOCKS };
  uint64_t moved;
  double start = now_ns();
  if (lun_function_invoke(function, params, &moved, &bench->error) != LUN_OK) give_up("guest", bench->error.message);
  if (moved != (uint64_t)BLOCKS * BLOCK) give_up("guest", "a block was not moved whole");
  return (now_ns() - start) / BLOCKS;
}

static double native_write(Bench *bench) { return native(bench, true); }
static double native_read(Bench *bench) { return native(bench, false); }
static double guest_write(Bench *bench) { return guest(bench, bench->write, 1); }
static double guest_read(Bench *bench) { return guest(bench, bench->read, 0); }

static const struct Row {
  const char *title;
  double (*run)(Bench *);
} rows[] = {
  { "write of 64 KiB in C", native_write }, { "fd_write of 64 KiB", guest_write },
  { "read of 64 KiB in C", native_read }, { "fd_read of 64 KiB", guest_read },
};
enum { ROWS = sizeof rows / sizeof *rows };

static void load(Bench *bench, const char *path) {
  static uint8_t bytes[4096];
  FILE *file = fopen(path, "rb");
  size_t size = file ? fread(bytes, 1, sizeof bytes, file) : 0;
  if (file) fclose(file);
  const lun_wasi_options options = { .stdio = { bench->fd, bench->fd, -1 } };
  lun_module *module;
  lun_imports *imports;
  lun_instance *instance;
  if (lun_store_create(NULL, &bench->store, &bench->error) != LUN_OK ||
      lun_module_create(bench->store, bytes, size, NULL, &module, &bench->error) != LUN_OK ||
      lun_wasi_create(&options, &bench->wasi, &bench->error) != LUN_OK ||
      lun_imports_create(bench->store, &imports, &bench->error) != LUN_OK ||
      lun_wasi_import(bench->wasi, imports, &bench->error) != LUN_OK ||
      lun_instance_create(bench->store, module, imports, NULL, &instance, &bench->error) != LUN_OK)
    give_up(path, bench->error.message);
  lun_imports_destroy(imports);
  bench->write = lun_instance_function(instance, "write");
  bench->read = lun_instance_function(instance, "read");
}

static int by_size(const void *a, const void *b) {
  double left = *(const double *)a, right = *(const double *)b;
  return left < right ? -1 : left > right;
}

int main(int argc, char **argv) {
  static double times[ROWS][ROUNDS];
  char name[] = "/tmp/lunette_io_XXXXXX";
  Bench bench = { .error = LUN_ERROR_INIT };
  if (argc != 2) give_up("usage", "io_bench IO.wasm");
  bench.fd = mkostemp(name, O_CLOEXEC);
  if (bench.fd < 0) give_up(name, "cannot be made");
  unlink(name);
  load(&bench, argv[1]);
  for (int round = -1; round < ROUNDS; round++) { /* the first warms up */
    for (int row = 0; row < ROWS; row++) {
      if (lseek(bench.fd, 0, SEEK_SET) != 0) give_up(name, "cannot be sought");
      double ns = rows[row].run(&bench);
      if (round >= 0) times[row][round] = ns;
    }
  }
  double native_ns = 0;
  printf("%-30s %10s %10s %14s\n", "", "us a block", "best", "of native C");
  for (int row = 0; row < ROWS; row++) {
    qsort(times[row], ROUNDS, sizeof(double), by_size);
    double median = times[row][ROUNDS / 2];
    if (row % 2 == 0) native_ns = median;
    printf("%-30s %10.2f %10.2f %14.2f\n", rows[row].title, median / 1e3, times[row][0] / 1e3, median / native_ns);
  }
  lun_store_destroy(bench.store);
  lun_wasi_destroy(bench.wasi);
  close(bench.fd);
  return 0;
}
