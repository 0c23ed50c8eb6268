/* SPDX-License-Identifier: MIT */
/* An output: the producer's side (write, flush, close) and the draining of one output on the writer's thread.
 *
 * How the two threads find each other asleep, with nothing lost:
 *
 * The producer sleeps on `progress`: when the ring is full, until half of it is room, and when it flushes, until all is
 * done. It loads `progress`, then tests what it waits for, then sleeps while `progress` is what it was. The writer's
 * thread stores tail or done (release), then, where that is what somebody may wait for, increments `progress` (release)
 * and wakes. See wait.c: either the test sees the new position, or the kernel sees
 * the new `progress`, or the wake-up finds the sleeper. Before it sleeps the producer has set `urgent` and called the
 * writer, so the writer is going to write all there is.
 *
 * The writer's thread sleeps in its loop. Before that it stores `wake_at`, passes a barrier, and loads `head` (writer.c);
 * the producer stores `head` and then loads `wake_at`. The barrier is membarrier(2): at some point between its call
 * and its return the producer, too, passes a full barrier. If the producer's store lies before that point, the
 * writer's load sees the new head, and it does not go to sleep over it. If it lies behind, so does the load that
 * follows it: it sees that head has reached `wake_at`, and the producer calls. So the producer needs no barrier of its
 * own for each record, which would cost more than all the rest. Where the kernel has no membarrier, the producer
 * stores head sequentially consistent, as the other three accesses are, and the same holds by their one order.
 *
 * A call is not lost either: the producer sets `wake_at` to NEVER and then calls, and after each call the writer sets
 * it anew. The writer sets it to NEVER only while a destination has to wait, whose being ready calls it, too.
 *
 * `wake_at` is the next record while the writer rests or a terminal is looking on, and half a ring while its 10 ms timer
 * runs: few calls, not one per record. While the timer runs the barrier is left out: should a call be missed, the
 * timer writes what there is. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "output.h"

static inline int failure_of(const lun_output *output) {
  return atomic_load_explicit(&output->failure, memory_order_relaxed);
}

/* ---- opening and closing ---- */

static size_t ring_size(size_t wanted) {
  if (!wanted) return RING_DEFAULT;
  if (wanted >= RING_MAX) return RING_MAX;
  size_t size = RING_MIN;
  while (size < wanted) size *= 2;
  return size;
}

static char *name_of(const lun_output_options *options) {
  if (options->path) return strdup(options->path);
  if (options->fd == 1) return strdup("standard output");
  if (options->fd == 2) return strdup("standard error");
  size_t room = sizeof "descriptor -2147483648";
  char *name = malloc(room);
  if (name) snprintf(name, room, "descriptor %d", options->fd);
  return name;
}

static lun_output *output_create(lun_writer *writer, const lun_output_options *options) {
  lun_output *output = aligned_alloc(CACHE_LINE, sizeof *output);
  if (!output) return NULL;
  memset(output, 0, sizeof *output - sizeof output->block);
  size_t size = ring_size(options->ring_bytes);
  output->writer = writer;
  output->destination.fd = -1;
  output->name = name_of(options);
  size_t half = size / 2 < BLOCK_BYTES ? size / 2 : BLOCK_BYTES;
  output->piece_max = half - sizeof(RecordHeader);
  output->enough = size / 2;
  atomic_init(&output->wake_at, 0);
  if (!ring_init(&output->ring, size) || !output->name) {
    output_destroy(output);
    return NULL;
  }
  return output;
}

void output_destroy(lun_output *output) {
  destination_close(&output->destination);
  ring_clear(&output->ring);
  free(output->name);
  free(output);
}

lun_status lun_output_open(lun_writer *writer, const lun_output_options *options, lun_output **out, lun_error *error) {
  *out = NULL;
  lun_output *output = output_create(writer, options);
  if (!output) return lun_error_set(error, LUN_NO_MEMORY, "out of memory for an output's buffer");
  int failure = destination_open(&output->destination, options->path, options->fd);
  if (failure) {
    lun_error_set(error, LUN_OUTPUT, "cannot write %s: %s", output->name, strerror(failure));
    output_destroy(output);
    return LUN_OUTPUT;
  }
  writer_add(writer, output);
  *out = output;
  return LUN_OK;
}

lun_status lun_output_close(lun_output *output, lun_error *error) {
  if (!output) return LUN_OK;
  atomic_store_explicit(&output->closing, true, memory_order_release);
  writer_call(output->writer);
  while (!atomic_load_explicit(&output->closed, memory_order_acquire)) word_wait(&output->closed, 0, -1);
  int failure = failure_of(output);
  lun_status status = LUN_OK;
  if (failure) {
    status = lun_error_set(error, LUN_IO, "cannot write %s: %s (%llu bytes lost)", output->name, strerror(failure),
                           (unsigned long long)lun_output_lost(output));
  }
  output_destroy(output);
  return status;
}

/* ---- the producer ---- */

/* The producer is about to sleep: whatever the writer waits for, it shall write now. */
static void ask_for_all(lun_output *output) {
  atomic_store_explicit(&output->urgent, true, memory_order_release);
  writer_call(output->writer);
}

/* Waits until half of the ring is room, which is enough for any record: to be woken for each little piece of room
 * would cost more than to wait. False: writing has failed. */
static bool wait_for_room(lun_output *output) {
  for (;;) {
    uint32_t seen = atomic_load_explicit(&output->progress, memory_order_acquire);
    if (failure_of(output)) return false;
    if (ring_is_half_empty(&output->ring)) return true;
    ask_for_all(output);
    word_wait(&output->progress, seen, -1);
  }
}

/* Calls the writer where it has asked to be called; once for each time that it asks. */
static inline void call_when_wanted(lun_output *output) {
  if (UNLIKELY(output->confirms)) ring_confirm(&output->ring);
  atomic_signal_fence(memory_order_seq_cst); /* the compiler keeps the order of the two; see the top of this file */
  uint64_t head = atomic_load_explicit(&output->ring.head, memory_order_relaxed);
  if (LIKELY(head < atomic_load_explicit(&output->wake_at, memory_order_seq_cst))) return;
  if (atomic_exchange_explicit(&output->wake_at, NEVER, memory_order_seq_cst) != NEVER) writer_call(output->writer);
}

static bool lose(lun_output *output, size_t size) {
  atomic_fetch_add_explicit(&output->lost, size, memory_order_relaxed);
  return false;
}

bool lun_output_write(lun_output *output, const void *bytes, size_t size) {
  const uint8_t *at = bytes;
  if (UNLIKELY(failure_of(output))) return lose(output, size);
  while (size) {
    size_t piece = size < output->piece_max ? size : output->piece_max;
    while (UNLIKELY(!ring_put(&output->ring, RECORD_TEXT, at, piece))) {
      if (!wait_for_room(output)) return lose(output, size);
    }
    call_when_wanted(output);
    at += piece;
    size -= piece;
  }
  return true;
}

bool lun_output_flush(lun_output *output) {
  uint64_t end = ring_head(&output->ring);
  bool asked = false;
  for (;;) {
    uint32_t seen = atomic_load_explicit(&output->progress, memory_order_acquire);
    if (atomic_load_explicit(&output->done, memory_order_acquire) >= end) return failure_of(output) == 0;
    if (!asked) ask_for_all(output);
    asked = true;
    word_wait(&output->progress, seen, -1);
  }
}

/* ---- what anyone may ask ---- */

int lun_output_errno(const lun_output *output) {
  return failure_of(output);
}

uint64_t lun_output_lost(const lun_output *output) {
  return atomic_load_explicit(&output->lost, memory_order_relaxed);
}

uint64_t lun_output_written(const lun_output *output) {
  return atomic_load_explicit(&output->written, memory_order_relaxed);
}

bool lun_output_same_file(const lun_output *output, int fd) {
  struct stat status;
  return fstat(fd, &status) == 0 && status.st_dev == output->destination.device &&
         status.st_ino == output->destination.inode;
}

/* ---- the writer's thread ---- */

static void tell_progress(lun_output *output) {
  atomic_fetch_add_explicit(&output->progress, 1, memory_order_release);
  word_wake(&output->progress);
}

void output_fail(lun_output *output, int failure) {
  int none = 0;
  bool first = atomic_compare_exchange_strong_explicit(&output->failure, &none, failure, memory_order_relaxed,
                                                       memory_order_relaxed);
  if (first) writer_failed(output->writer, output, failure);
}

/* Copies whole records into the empty block, as many as fit and lie before the goal, and gives their room back. The
 * end of the block moves after the bytes are there and before the record is popped, so that a fatal signal on this
 * very thread finds every byte at least once (see lun_writer_rescue). False: there are none. */
static bool block_fill(lun_output *output) {
  Record record;
  output->block_start = output->block_end = 0;
  while (output->ring.cursor < output->goal && ring_peek(&output->ring, &record) &&
         record.header.size <= BLOCK_BYTES - output->block_end) {
    memcpy(output->block + output->block_end, record.first, record.first_size);
    memcpy(output->block + output->block_end + record.first_size, record.second, record.second_size);
    output->block_end += record.header.size;
    ring_pop(&output->ring, &record);
  }
  if (!output->block_end) return false;
  ring_release(&output->ring);
  if (ring_is_half_empty(&output->ring)) tell_progress(output);
  return true;
}

/* Whether something before the goal has not been written. */
static bool has_more(const lun_output *output) {
  return atomic_load_explicit(&output->done, memory_order_relaxed) < output->goal;
}

/* False: the destination would have to wait. After a failure the rest counts as lost. */
static bool block_write(lun_output *output) {
  while (output->block_start < output->block_end) {
    size_t size = output->block_end - output->block_start;
    int failure = failure_of(output);
    if (failure) {
      lose(output, size);
      output->block_start = output->block_end;
      break;
    }
    size_t count = destination_write(&output->destination, output->block + output->block_start, size, &failure);
    if (!count && failure == EAGAIN) return false;
    if (!count) output_fail(output, failure);
    output->block_start += count;
    atomic_fetch_add_explicit(&output->written, count, memory_order_relaxed);
  }
  atomic_store_explicit(&output->done, output->ring.cursor, memory_order_release);
  if (!has_more(output)) tell_progress(output);
  return true;
}

bool output_drain(lun_output *output) {
  do {
    if (output->block_start < output->block_end && !block_write(output)) return false;
  } while (block_fill(output));
  return true;
}
