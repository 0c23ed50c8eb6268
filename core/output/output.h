/* SPDX-License-Identifier: MIT */
/* The way out, from the inside. A guest's thread (the producer) puts records into the ring of an output (ring.c,
 * output.c); the writer's thread (writer.c) copies what they hold into a block and hands the block to the
 * destination (destination.c).
 *
 *   lun_output_write → ring → block → write(2)
 *                    head   tail    done          positions: bytes of records since the output was opened
 *
 * done <= cursor, tail <= cursor <= head: what lies before `tail` is room again, what lies before `done` has been
 * written or is counted as lost. Only the producer moves head, only the writer's thread moves the others. */
#ifndef LUN_OUTPUT_H
#define LUN_OUTPUT_H

#include <stdalign.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

#include <lunette/output.h>

#include "base.h"

enum { CACHE_LINE = 64 };

/* ---- the ring: one producer, one consumer, no lock (ring.c) ----
 * A record is a header and a payload padded to 8 bytes. Positions are multiples of 8, so that a header is never
 * cut; a payload goes on at the ring's start where it meets its end. */
typedef enum RecordKind {
  RECORD_TEXT = 1 /* bytes to be written as they are */
} RecordKind;

typedef struct RecordHeader {
  uint32_t size; /* of the payload, without padding */
  uint16_t kind;
  uint16_t flags;
} RecordHeader;

typedef struct Ring {
  uint8_t *bytes;
  uint64_t size;                              /* a power of two */
  alignas(CACHE_LINE) _Atomic uint64_t head;  /* the producer's line */
  uint64_t tail_seen;
  alignas(CACHE_LINE) _Atomic uint64_t tail;  /* the consumer's line */
  uint64_t cursor, head_seen;
} Ring;

/* A record as it lies in the ring, borrowed until ring_release; the second part is empty unless it wraps. */
typedef struct Record {
  RecordHeader header;
  const uint8_t *first, *second;
  size_t first_size, second_size;
} Record;

/* `size` is a power of two. False: out of memory. */
bool ring_init(Ring *ring, size_t size);
void ring_clear(Ring *ring);
/* Producer: puts a record in and publishes it; false where there is no room now. At most half of the ring. */
bool ring_put(Ring *ring, RecordKind kind, const void *payload, size_t size);
/* Anyone: whether at least half of it is room. */
bool ring_is_half_empty(const Ring *ring);
/* Anyone: the end of what has been published. */
uint64_t ring_head(const Ring *ring);
/* Consumer: the record at the cursor; false where there is none. */
bool ring_peek(Ring *ring, Record *record);
/* Consumer: moves the cursor behind the record that ring_peek gave. */
void ring_pop(Ring *ring, const Record *record);
/* Consumer: everything before the cursor is room again. */
void ring_release(Ring *ring);

/* Producer: stores head once more, now in the one order of all sequentially consistent operations. */
void ring_confirm(Ring *ring);

/* ---- what threads need of the kernel to wait for each other (wait.c); async-signal-safe ---- */
/* Sleeps until a word is no longer what it was. Returns when woken, when *word is not `seen`, after `timeout_ns`
 * (negative: none), or for no reason. */
void word_wait(_Atomic uint32_t *word, uint32_t seen, int64_t timeout_ns);
/* Wakes all who wait. Does not read the word, which may have been freed. */
void word_wake(_Atomic uint32_t *word);

/* Orders memory for all threads at once: each of them passes a full barrier between call and return. False: this
 * kernel, or a filter in front of it, has no such thing. */
bool barrier_prepare(void);
void barrier_everywhere(void);

/* ---- destinations: a descriptor, and how to write to it without waiting (destination.c) ---- */
typedef enum DestinationKind {
  DESTINATION_FILE,        /* write(2) waits for no peer: files, /dev/null and the like */
  DESTINATION_SOCKET,
  DESTINATION_NONBLOCKING, /* O_NONBLOCK was set by somebody: EAGAIN tells */
  DESTINATION_BLOCKING     /* pipes and terminals: asked by poll(2) first, then given one small piece */
} DestinationKind;

typedef struct Destination {
  int fd; /* our own, also where the caller gave one */
  DestinationKind kind;
  bool live; /* a terminal: somebody is looking */
  dev_t device;
  ino_t inode;
} Destination;

/* Opens `path`, or takes a duplicate of `fd` where it is NULL, and of 1 or 2 where that is open on the same file. 0, or
 * an errno. */
int destination_open(Destination *destination, const char *path, int fd);
/* 0, or the errno of a late failure. */
int destination_close(Destination *destination);
/* How many of the bytes (at least one) were written; otherwise 0, and *failure is EAGAIN where it would have had to
 * wait, or what went wrong. */
size_t destination_write(Destination *destination, const uint8_t *bytes, size_t size, int *failure);

/* ---- outputs: the producer's side and the writer's (output.c) ---- */
enum {
  BLOCK_BYTES = 64 << 10, /* most that one write(2) is given */
  RING_DEFAULT = 1 << 20,
  RING_MIN = 4 << 10,
  RING_MAX = 1 << 30
};
#define NEVER UINT64_MAX

struct lun_output {
  /* set when it is opened */
  lun_writer *writer;
  Ring ring;
  size_t piece_max; /* the longest payload of a record */
  size_t enough;    /* so much in the ring is worth a write */
  bool confirms;    /* there is no barrier_everywhere: the producer has to order its own accesses */
  char *name;       /* for messages */

  /* between the threads */
  alignas(CACHE_LINE) _Atomic uint64_t wake_at; /* the producer calls the writer when head gets there; NEVER: need not */
  _Atomic int failure;                          /* errno of the first failed write */
  alignas(CACHE_LINE) _Atomic uint64_t done;
  _Atomic uint64_t written, lost;
  _Atomic uint32_t progress; /* counts what the producer may wait for */
  _Atomic bool urgent;       /* the producer waits: write all there is, at once */
  _Atomic bool closing;      /* the producer's last word */
  _Atomic uint32_t closed;   /* the writer's last word: it touches the output no more */

  /* the writer's thread */
  alignas(CACHE_LINE) Destination destination;
  lun_output *next;
  uint64_t goal;  /* write up to here without being asked again */
  bool is_waited; /* the destination would have to wait: its descriptor is in the writer's poll set */
  size_t block_start, block_end;
  uint8_t block[BLOCK_BYTES];
};

/* The writer's thread: moves everything before the goal to the destination; false where that would have to wait. */
bool output_drain(lun_output *output);
/* The writer's thread: keeps the first failure. */
void output_fail(lun_output *output, int failure);
/* Closes the destination and frees the output, which no thread uses any more. */
void output_destroy(lun_output *output);

/* ---- alarms (alarm.c) ---- */
typedef struct Alarms {
  int fd;               /* epoll set of what they wait for */
  pthread_mutex_t lock; /* held while they are told */
} Alarms;

/* 0, or a negative errno. */
int alarms_init(Alarms *alarms);
void alarms_clear(Alarms *alarms);
/* The writer's thread, when the set is readable: tells those that are due. */
void alarms_serve(Alarms *alarms);

/* ---- the writer (writer.c) ---- */
Alarms *writer_alarms(lun_writer *writer);
/* Any thread, async-signal-safe: runs the writer's service soon. */
void writer_call(lun_writer *writer);
/* The writer's thread: tells of an output's first failure. */
void writer_failed(lun_writer *writer, const lun_output *output, int failure);
/* Any thread: hands a new output over. */
void writer_add(lun_writer *writer, lun_output *output);

#endif
