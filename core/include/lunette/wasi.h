/* SPDX-License-Identifier: MIT */
/* WASI preview 1 as host functions: wasi_snapshot_preview1, and its forerunner wasi_unstable. A guest sees only the folders,
 * descriptors, arguments and variables that it is given.
 *
 * Paths are resolved beneath the folder that they start from: neither "..", nor an absolute path, nor a symbolic link (also
 * one that is swapped in meanwhile) leads out; such a path is ENOTCAPABLE. Of the devices in a folder only null, zero, full,
 * random and urandom can be opened. In a read-only folder everything that would change something is EROFS.
 *
 * What may block (a read from a terminal, pipe or socket, a write to a full one, poll_oneoff) waits in lun_store_wait, and so
 * ends when the run is interrupted or its time is over.
 *
 * Threads: that of the store. One lun_wasi serves one instance; it belongs to the caller and must outlive the store. */
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

/* Strings and arrays are copied. Zero stands for "none". */
typedef struct lun_wasi_options {
  const char *const *args;      /* args[0] is the program's name */
  size_t arg_count;
  const char *const *env;       /* "NAME=VALUE" */
  size_t env_count;
  bool inherit_env;             /* and the variables of this process whose names are not among them */
  const lun_wasi_dir *dirs;     /* preopened as descriptors 3, 4, … */
  size_t dir_count;
  /* Handed to the guest as the descriptors behind the folders, in order. Taken: closed when the guest or lun_wasi_destroy
   * closes them (not where lun_wasi_create fails), and set to non-blocking. */
  const int *sockets;
  size_t socket_count;
  int stdio[3];                 /* descriptors for the guest's 0, 1, 2; they stay the caller's. Negative: closed */
  /* Before the guest writes to stdio[1] or stdio[2], under whatever number of its own; `fd` is 1 or 2. To write what came
   * earlier, in order. May be NULL. */
  void (*before_write)(void *self, int fd);
  void *self;
  /* Clocks count calls and random bytes come from a fixed seed: two runs see the same. Waiting for a clock takes no time. */
  bool deterministic;
  bool force_fallback;          /* resolve paths component by component, as on a kernel without openat2; for tests */
} lun_wasi_options;

/* From "HOST[::GUEST][:ro|rw]"; GUEST is HOST where it is left out, and may be written to where neither ro nor rw stands. Cuts
 * the text, into which `out` points. A colon that is none of these is refused, since it may be a misspelt ro; HOST may hold
 * single ones where GUEST follows. Fails with LUN_USAGE. */
LUN_API LUN_MUST_CHECK lun_status lun_wasi_dir_parse(char *text, lun_wasi_dir *out, lun_error *error);
/* Opens a listening TCP socket for `sockets` at "HOST:PORT", "[::1]:PORT" or ":PORT" (all interfaces). HOST is a number or a
 * name; with port 0 the system chooses one. The descriptor is the caller's. Fails with LUN_USAGE where the text is none of
 * these, with LUN_NO_INPUT where nobody can listen there. */
LUN_API LUN_MUST_CHECK lun_status lun_wasi_listen(const char *address, int *fd, lun_error *error);
/* Where a socket listens, as lun_wasi_listen reads it, with the number of the port; false: it is none. */
LUN_API bool lun_wasi_address(int fd, char *text, size_t room);

/* Fails with LUN_NO_INPUT where a folder cannot be opened (the message names it), LUN_NO_MEMORY. */
LUN_API LUN_MUST_CHECK lun_status lun_wasi_create(const lun_wasi_options *options, lun_wasi **out, lun_error *error);
/* Adds the functions of both modules to the list. Fails with LUN_NO_MEMORY. */
LUN_API LUN_MUST_CHECK lun_status lun_wasi_import(lun_wasi *wasi, lun_imports *imports, lun_error *error);
/* Closes what the guest left open. NULL is ignored. */
LUN_API void lun_wasi_destroy(lun_wasi *wasi);

/* The table of functions, for documents and tools. */
typedef struct lun_wasi_function {
  const char *name;
  const char *group;        /* "proc", "clock", "random", "fd", "path", "poll", "sock" */
  const char *signature;    /* "iiii:i": i = i32, I = i64 */
  const char *params;       /* "fd iovs iovs_len nwritten" */
  const char *kinds;        /* "fd ciovs size =size": how to show each; core/wasi/calls.def says what they mean */
} lun_wasi_function;
LUN_API size_t lun_wasi_function_count(void);
LUN_API const lun_wasi_function *lun_wasi_function_at(size_t index); /* NULL: out of range */
/* "EBADF" for 8; NULL above the last. */
LUN_API const char *lun_wasi_errno_name(uint32_t number);

#ifdef __cplusplus
}
#endif
#endif
