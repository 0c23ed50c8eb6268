/* SPDX-License-Identifier: MIT */
/* The way out for a trace: a ring that the guest's thread fills and a writer thread, with a libuv loop of its own, that
 * drains it in large blocks to a file, stdout or stderr. Nothing is lost: a full ring holds the producer up until the
 * writer has made room. What has been put in is written at once to a terminal, and elsewhere when there is much of it
 * or after some 10 ms.
 *
 * Threads: an output belongs to one thread at a time (its producer), which writes, flushes and closes it; the counters,
 * lun_output_same_file and lun_writer_rescue are for any thread. The callbacks run on the writer's thread and may use
 * those alone. The flags of a descriptor are never changed, no signal's disposition but those that are asked for.
 * After fork(2) the child has no writer: only exec is allowed there. */
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
  /* SIGINT and SIGTERM come to on_signal instead of ending the process, until lun_writer_destroy, which leaves them at
   * their default. One that the process was started to ignore stays ignored. `count`: of both, from 1. */
  bool watch_signals;
  void (*on_signal)(void *self, int signal_number, unsigned count);
  uint64_t deadline_ns;     /* from now; 0: none */
  void (*on_deadline)(void *self);
  /* The first write to an output that fails, with its errno: what is written to it from now on is lost. */
  void (*on_failure)(void *self, const lun_output *output, int failure);
  /* Every `grace_ms` after the last of these three, for whoever did not end then. `blocked`: some output's reader is slow, and
   * so may be the reason. */
  unsigned grace_ms;        /* 0: never */
  void (*on_grace)(void *self, bool blocked);
  void *self;
} lun_writer_options;

/* `options` may be NULL. Fails with LUN_NO_MEMORY where there is no memory, descriptor or thread for it. */
LUN_API LUN_MUST_CHECK lun_status lun_writer_create(const lun_writer_options *options, lun_writer **out, lun_error *error);
/* Ends the thread; writes and closes every output first (as lun_output_close does). NULL is ignored. */
LUN_API void lun_writer_destroy(lun_writer *writer);
/* For a fatal-signal handler (it is async-signal-safe): asks the writer to write all there is and waits for it, at most
 * `timeout_ms`. On the writer's own thread, also from a callback, it writes itself. */
LUN_API void lun_writer_rescue(lun_writer *writer, unsigned timeout_ms);

/* ---- alarms: a guest's thread that has an event loop of its own ----
 * While it runs the guest it cannot wait for that loop; the writer's thread does. */
typedef struct lun_alarm lun_alarm;

/* `fd`: what the loop polls by (an epoll descriptor), the caller's, open until the alarm is destroyed. `on_due` is told on the
 * writer's thread; lun_store_poke is what it is for. It waits for nothing until it is armed. Fails with LUN_NO_MEMORY. */
LUN_API LUN_MUST_CHECK lun_status lun_alarm_create(lun_writer *writer, int fd, void (*on_due)(void *self), void *self,
                                                   lun_alarm **out, lun_error *error);
/* From now on: once fd is readable (if `with_fd`), or the monotonic clock has come to `deadline_ns` (UINT64_MAX: never), on_due
 * is called, at most once for each of the two. Arming again replaces what was; to be done after each turn of the loop. One
 * thread. */
LUN_API void lun_alarm_arm(lun_alarm *alarm, bool with_fd, uint64_t deadline_ns);
/* Before the writer goes. on_due is called no more when it returns; not from within on_due. NULL is ignored. */
LUN_API void lun_alarm_destroy(lun_alarm *alarm);

/* ---- outputs ---- */
typedef struct lun_output_options {
  const char *path;         /* a file, created or cut to nothing, or shared with 1 or 2 open on it; NULL: `fd` */
  int fd;                   /* 1, 2 or any open descriptor; a duplicate is used, the descriptor stays the caller's */
  size_t ring_bytes;        /* rounded up to a power of two; default 1 MiB, at least 4 KiB, at most 1 GiB */
} lun_output_options;

/* Fails with LUN_OUTPUT where the file cannot be opened, or the descriptor is not open for writing. */
LUN_API LUN_MUST_CHECK lun_status lun_output_open(lun_writer *writer, const lun_output_options *options, lun_output **out,
                                                  lun_error *error);
/* Puts `size` bytes into the ring, waiting for room where there is none. False once writing has failed (disk full, closed
 * pipe): the bytes are dropped and counted, and lun_output_errno tells why. Any size. */
LUN_API bool lun_output_write(lun_output *output, const void *bytes, size_t size);
/* Waits until everything written to the output before is with the system (write(2) has returned). False: writing has
 * failed. */
LUN_API bool lun_output_flush(lun_output *output);
/* Flushes, closes the file, frees the output. The first error there was, with LUN_IO, or LUN_OK. NULL is ignored. */
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
