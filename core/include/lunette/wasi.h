/* SPDX-License-Identifier: MIT */
/* WASI preview 1 (wasi_snapshot_preview1), as host functions. A guest sees only the folders it is given.
 *
 * One lun_wasi serves one instance. It belongs to the caller and must outlive the store. */
#ifndef LUNETTE_WASI_H
#define LUNETTE_WASI_H

#include <lunette/instance.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct lun_wasi lun_wasi;

typedef struct lun_wasi_dir {
  const char *host, *guest;
  bool read_only;
} lun_wasi_dir;

/* Strings and arrays are copied. */
typedef struct lun_wasi_options {
  const char *const *args;      /* args[0] is the program's name */
  size_t arg_count;
  const char *const *env;       /* "NAME=VALUE" */
  size_t env_count;
  const lun_wasi_dir *dirs;     /* preopened as descriptors 3, 4, … */
  size_t dir_count;
  int stdio[3];                 /* descriptors for the guest's 0, 1, 2; they stay the caller's */
  /* Before the guest writes to stdout or stderr (descriptor 1, 2): to write what came earlier, in order. May be NULL. */
  void (*before_write)(void *self, int fd);
  void *self;
} lun_wasi_options;

/* Fails with LUN_NO_INPUT where a folder cannot be opened (the message names it). */
LUN_API LUN_MUST_CHECK lun_status lun_wasi_create(const lun_wasi_options *options, lun_wasi **out, lun_error *error);
/* Adds the functions of wasi_snapshot_preview1 to the list. */
LUN_API LUN_MUST_CHECK lun_status lun_wasi_import(lun_wasi *wasi, lun_imports *imports, lun_error *error);
/* Closes what the guest left open. NULL is ignored. */
LUN_API void lun_wasi_destroy(lun_wasi *wasi);

/* The table of functions, for documents and tools. */
typedef struct lun_wasi_function {
  const char *name;
  const char *signature;    /* "iiii:i": i = i32, I = i64 */
  const char *params;       /* "fd iovs iovs_len nwritten" */
  bool implemented;         /* false: answers ENOSYS */
} lun_wasi_function;
LUN_API size_t lun_wasi_function_count(void);
LUN_API const lun_wasi_function *lun_wasi_function_at(size_t index);
/* "EBADF" for 8; NULL above the last. */
LUN_API const char *lun_wasi_errno_name(uint32_t number);

#ifdef __cplusplus
}
#endif
#endif
