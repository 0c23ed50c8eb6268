/* SPDX-License-Identifier: MIT */
/* From a path to a module: a file is mapped, anything else (a pipe) is read to its end. What is no module at all is
 * told apart here, where it is still known that a person may have named the wrong file. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "command.h"

enum { MODULE_MOST = 1 << 30 };

typedef struct File {
  unsigned char *bytes;
  size_t size;
  bool is_mapped;
} File;

static void release_mapped(void *self, const void *bytes, size_t size) {
  (void)self;
  munmap((void *)(uintptr_t)bytes, size);
}

static void release_read(void *self, const void *bytes, size_t size) {
  (void)self;
  (void)size;
  free((void *)(uintptr_t)bytes);
}

static lun_status cannot(const char *what, const char *path, lun_error *error) {
  return lun_error_set(error, LUN_NO_INPUT, "cannot %s %s: %s", what, path, strerror(errno));
}

/* All there is, into memory of our own. */
static lun_status file_read(File *file, int fd, const char *path, lun_error *error) {
  size_t room = 64 * 1024;
  file->bytes = malloc(room);
  while (file->bytes) {
    ssize_t count = read(fd, file->bytes + file->size, room - file->size);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) {
      free(file->bytes);
      return cannot("read", path, error);
    }
    if (count == 0) return LUN_OK;
    file->size += (size_t)count;
    if (file->size < room) continue;
    unsigned char *larger = room < MODULE_MOST ? realloc(file->bytes, room *= 2) : NULL;
    if (!larger) free(file->bytes);
    file->bytes = larger;
  }
  return lun_error_set(error, LUN_NO_MEMORY, "out of memory reading %s", path);
}

static lun_status file_open(File *file, const char *path, lun_error *error) {
  struct stat facts;
  lun_status status = LUN_OK;
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return cannot("open", path, error);
  if (fstat(fd, &facts) == 0 && S_ISDIR(facts.st_mode)) {
    status = lun_error_set(error, LUN_NO_INPUT, "cannot read %s: it is a folder", path);
  } else if (S_ISREG(facts.st_mode) && facts.st_size > 0) {
    file->bytes = mmap(NULL, (size_t)facts.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
    file->size = (size_t)facts.st_size;
    file->is_mapped = true;
    if (file->bytes == MAP_FAILED) status = cannot("read", path, error);
  } else {
    status = file_read(file, fd, path, error);
  }
  close(fd);
  return status;
}

/* Says so where the bytes are something else than a module of version 1. */
static lun_status file_recognize(const File *file, lun_error *error) {
  const unsigned char *bytes = file->bytes;
  if (file->size == 0) return lun_error_set(error, LUN_MALFORMED, "the file is empty");
  if (memcmp(bytes, "\0asm", file->size < 4 ? file->size : 4) != 0) {
    size_t blank = 0;
    while (blank < file->size && strchr(" \t\r\n", bytes[blank]) && bytes[blank]) blank++;
    if (bytes[blank < file->size ? blank : 0] == '(' || (file->size >= 2 && memcmp(bytes, ";;", 2) == 0))
      error_hint(error, "it looks like the text format: wat2wasm makes a module of it");
    return lun_error_set(error, LUN_MALFORMED, "this is no WebAssembly module: it does not start with \\0asm");
  }
  if (file->size < 8) return LUN_OK; /* the decoder says where it ends */
  unsigned version = bytes[4] | (unsigned)bytes[5] << 8, layer = bytes[6] | (unsigned)bytes[7] << 8;
  if (layer == 1) {
    error_hint(error, "compile it for wasm32-wasip1, or wasm32-wasi, to get a core module");
    return lun_error_set(error, LUN_MALFORMED, "this is a component; lunette runs core modules");
  }
  if (version != 1 || layer != 0)
    return lun_error_set(error, LUN_MALFORMED, "this is version %u of the binary format; lunette knows version 1",
                         version | layer << 16);
  return LUN_OK;
}

/* The file's name without folder and ending. */
static void module_name(const char *path, char *name, size_t room) {
  const char *slash = strrchr(path, '/');
  const char *start = slash ? slash + 1 : path, *dot = strrchr(start, '.');
  size_t size = dot && dot > start ? (size_t)(dot - start) : strlen(start);
  if (size >= room) size = room - 1;
  memcpy(name, start, size);
  name[size] = 0;
}

lun_status guest_module(lun_store *store, const char *path, lun_module **out, lun_error *error) {
  File file = { .bytes = NULL };
  char name[256];
  *out = NULL;
  lun_status status = file_open(&file, path, error);
  if (status != LUN_OK) return status;
  module_name(path, name, sizeof name);
  lun_module_options options = { .name = name, .release = file.is_mapped ? release_mapped : release_read };
  status = file_recognize(&file, error);
  if (status == LUN_OK) return lun_module_create(store, file.bytes, file.size, &options, out, error);
  options.release(NULL, file.bytes, file.size);
  return status;
}
