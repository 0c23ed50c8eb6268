/* SPDX-License-Identifier: MIT */
/* The way out for a trace: a ring that the guest's thread fills and a writer thread, with a libuv loop of its own, that
 * drains it in large blocks to a file, stdout or stderr. Nothing is lost: a full ring holds the producer up until the
 * writer has made room.
 *
 * Threads: lun_output_write, _flush and _close belong to one thread (the producer); lun_output_wake is for any thread
 * and for signal handlers. */
#ifndef LUNETTE_OUTPUT_H
#define LUNETTE_OUTPUT_H

#include <lunette/status.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct lun_writer lun_writer;
typedef struct lun_output lun_output;

/* ---- the writer: one thread, one loop, any number of outputs ---- */
/* Told on the writer's thread. */
typedef struct lun_writer_options {
  bool watch_signals;       /* SIGINT and SIGTERM come to on_signal instead of ending the process */
  void (*on_signal)(void *self, int signal_number, unsigned count);
  uint64_t deadline_ns;     /* from now; 0: none */
  void (*on_deadline)(void *self);
  void *self;
} lun_writer_options;

/* `options` may be NULL. */
LUN_API LUN_MUST_CHECK lun_status lun_writer_create(const lun_writer_options *options, lun_writer **out, lun_error *error);
/* Ends the thread; closes every output first (as lun_output_close does). NULL is ignored. */
LUN_API void lun_writer_destroy(lun_writer *writer);
/* For a fatal-signal handler: asks the writer to write all there is and waits for it, at most `timeout_ms`. */
LUN_API void lun_writer_rescue(lun_writer *writer, unsigned timeout_ms);

/* ---- outputs ---- */
typedef struct lun_output_options {
  const char *path;         /* a file, created or cut to nothing; NULL: `fd` */
  int fd;                   /* 1, 2 or any open descriptor; stays the caller's */
  size_t ring_bytes;        /* rounded up to a power of two; default 1 MiB, at least 4 KiB */
} lun_output_options;

/* Fails with LUN_OUTPUT where the file cannot be opened. */
LUN_API LUN_MUST_CHECK lun_status lun_output_open(lun_writer *writer, const lun_output_options *options, lun_output **out,
                                                  lun_error *error);
/* Puts `size` bytes into the ring, waiting for room where there is none. False once writing has failed (disk full, closed
 * pipe): the bytes are dropped and counted, and lun_output_error tells. Any size. */
LUN_API bool lun_output_write(lun_output *output, const void *bytes, size_t size);
/* Waits until everything put before has been written (write(2) has returned). False: writing has failed. */
LUN_API bool lun_output_flush(lun_output *output);
/* Flushes, closes a file that it opened, frees the output. The first error there was, with LUN_IO, or LUN_OK. */
LUN_API lun_status lun_output_close(lun_output *output, lun_error *error);
/* 0, or the errno of the first failed write. */
LUN_API int lun_output_errno(const lun_output *output);
LUN_API uint64_t lun_output_lost(const lun_output *output);     /* bytes dropped after a failure */
LUN_API uint64_t lun_output_written(const lun_output *output);  /* bytes handed to write(2) with success */
/* Whether the output writes to the same open file as this descriptor (device and inode; for a regular file too). */
LUN_API bool lun_output_same_file(const lun_output *output, int fd);

#ifdef __cplusplus
}
#endif
#endif
