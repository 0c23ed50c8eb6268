/* SPDX-License-Identifier: MIT */
/* A guest that opens and makes files below a folder, while other threads swap a folder inside for links that lead out, and
 * move another out and back in. Nothing outside may be read or made.
 *
 *     wasi_race GUEST FOLDER fallback|openat2 MILLISECONDS
 *
 * GUEST exports the functions of wasi_snapshot_preview1 and its memory (spec/support/wasi.lua makes it). FOLDER holds
 *     inside/swapped/file, inside/spare/file   "in"          inside/out → ../outside   inside/away → an absolute path to it
 *     inside/moved/sub/deep/                                 outside/file, outside/secret, secret   "OUT" */
#define _GNU_SOURCE /* renameat2 */
#include <lunette/lunette.h>

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static atomic_bool over;

static void *swap(void *inside) {
  static const char *const others[] = { "out", "spare", "away" };
  int folder = *(int *)inside;
  for (unsigned i = 0; !atomic_load(&over); i++) renameat2(folder, "swapped", folder, others[i % 3], RENAME_EXCHANGE);
  return NULL;
}

static void *move(void *inside) {
  int folder = *(int *)inside;
  while (!atomic_load(&over)) {
    renameat(folder, "moved/sub", folder, "../outside/sub");
    renameat(folder, "../outside/sub", folder, "moved/sub");
  }
  return NULL;
}

typedef struct Guest {
  lun_instance *instance;
  lun_memory *memory;
} Guest;

/* The error number that the guest got. */
static uint64_t call(const Guest *guest, const char *name, const uint64_t *params) {
  lun_error error = LUN_ERROR_INIT;
  uint64_t result = 0;
  if (lun_function_invoke(lun_instance_function(guest->instance, name), params, &result, &error) == LUN_OK) return result;
  fprintf(stderr, "%s: %s\n", name, error.message);
  exit(1);
}

static uint64_t place(const Guest *guest, const char *path) {
  memcpy(lun_memory_write(guest->memory, 1024, 4096), path, strlen(path));
  return strlen(path);
}

/* Opens and reads it; 1: what came was from outside, 0: from inside, -1: it was refused. */
static int look(const Guest *guest, const char *path) {
  uint64_t rights = 2, size = place(guest, path);
  if (call(guest, "path_open", (uint64_t[]){ 3, 1, 1024, size, 0, rights, 0, 0, 512 })) return -1;
  uint32_t fd, buffer[2] = { 8192, 3 };
  memcpy(&fd, lun_memory_read(guest->memory, 512, 4), 4);
  memcpy(lun_memory_write(guest->memory, 520, 8), buffer, 8);
  memset(lun_memory_write(guest->memory, 8192, 3), 0, 3);
  call(guest, "fd_read", (uint64_t[]){ fd, 520, 1, 528 });
  call(guest, "fd_close", (uint64_t[]){ fd });
  return memcmp(lun_memory_read(guest->memory, 8192, 3), "OUT", 3) == 0;
}

/* Makes what would lie outside; 1: it could. */
static int make(const Guest *guest, const char *path) {
  uint64_t size = place(guest, path);
  return call(guest, "path_create_directory", (uint64_t[]){ 3, 1024, size }) == 0;
}

static double seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Escapes; how often it could open something goes to `opened`. */
static unsigned attack(const Guest *guest, double until, unsigned *opened) {
  static const char *const paths[] = {
    "swapped/file", "swapped/../swapped/file", "swapped/./../spare/file", "swapped/secret", "swapped/../secret",
    "moved/sub/../../../secret", "moved/sub/deep/../../../secret", "moved/sub/deep/../../../../secret"
  };
  unsigned escapes = 0;
  while (seconds() < until) {
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
      int seen = look(guest, paths[i]);
      *opened += seen >= 0;
      escapes += seen > 0;
    }
    escapes += (unsigned)make(guest, "moved/sub/deep/../../../../made") + (unsigned)make(guest, "swapped/../../made");
  }
  return escapes;
}

static lun_status open_guest(lun_store *store, const char *path, lun_wasi *wasi, Guest *guest, lun_error *error) {
  static uint8_t bytes[1 << 20];
  lun_module *module = NULL;
  lun_imports *imports = NULL;
  FILE *file = fopen(path, "rb");
  size_t size = file ? fread(bytes, 1, sizeof bytes, file) : 0;
  if (file) fclose(file);
  lun_status status = lun_module_create(store, bytes, size, NULL, &module, error);
  if (status == LUN_OK) status = lun_imports_create(store, &imports, error);
  if (status == LUN_OK) status = lun_wasi_import(wasi, imports, error);
  if (status == LUN_OK) status = lun_instance_create(store, module, imports, NULL, &guest->instance, error);
  if (status == LUN_OK) guest->memory = lun_instance_memory(guest->instance, 0);
  lun_imports_destroy(imports);
  lun_module_destroy(module);
  return status;
}

int main(int argc, char **argv) {
  if (argc < 5) return 2;
  char inside[4096];
  snprintf(inside, sizeof inside, "%s/inside", argv[2]);
  lun_wasi_dir dir = { .host = inside, .guest = "/" };
  lun_wasi_options options = { .dirs = &dir, .dir_count = 1, .stdio = { 0, 1, 2 },
                               .force_fallback = strcmp(argv[3], "fallback") == 0 };
  lun_error error = LUN_ERROR_INIT;
  lun_store *store = NULL;
  lun_wasi *wasi = NULL;
  Guest guest = { 0 };
  lun_status status = lun_store_create(NULL, &store, &error);
  if (status == LUN_OK) status = lun_wasi_create(&options, &wasi, &error);
  if (status == LUN_OK) status = open_guest(store, argv[1], wasi, &guest, &error);
  if (status != LUN_OK) {
    fprintf(stderr, "%s\n", error.message);
    return 1;
  }
  int folder = open(inside, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  pthread_t swapper, mover;
  if (pthread_create(&swapper, NULL, swap, &folder) || pthread_create(&mover, NULL, move, &folder)) return 1;
  unsigned opened = 0, escapes = attack(&guest, seconds() + atof(argv[4]) / 1000, &opened);
  atomic_store(&over, true);
  pthread_join(swapper, NULL);
  pthread_join(mover, NULL);
  printf("%s, %u escapes\n", opened ? "opened" : "nothing opened", escapes);
  lun_store_destroy(store);
  lun_wasi_destroy(wasi);
  return escapes != 0;
}
