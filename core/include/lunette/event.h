/* SPDX-License-Identifier: MIT */
/* Events that are no calls: a memory or a table has grown, or was asked to in vain; an instance was made or closed.
 *
 * Watchers are told in the order in which they were added; who hears an event is settled when it begins, and removing with
 * LUN_DROP silences at once. Events do not pair. A watcher's own calls of the guest are not reported to it. While nobody
 * watches, growing costs nothing more. Threads: those of the store. */
#ifndef LUNETTE_EVENT_H
#define LUNETTE_EVENT_H

#include <lunette/listener.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum lun_event_kind {
  LUN_EVENT_GROW = 1,     /* memory.grow, table.grow, and what the host grows */
  LUN_EVENT_INSTANCE = 2, /* an instance is available: its start function has returned */
  LUN_EVENT_CLOSE = 4     /* an instance was closed: what it owns is still there */
} lun_event_kind;

typedef struct lun_event {
  lun_event_kind kind;
  lun_instance *instance; /* the instance; of growth the one whose code asked for it, NULL: the host */
  lun_memory *memory;     /* of growth one of the two */
  lun_table *table;
  uint64_t old, delta;    /* in pages, or elements */
  uint64_t result;        /* the old size, or UINT64_MAX: it could not grow */
  const void *at, *telling; /* private */
} lun_event;

/* The event dies with the callback. */
typedef void (*lun_event_callback)(void *self, const lun_event *event);

typedef struct lun_watch lun_watch;
/* Zero stands for the default. */
typedef struct lun_watch_options {
  lun_on_error on_error;
  /* Told each failure, after the event was delivered to all; NULL: nobody is told. */
  void (*report)(void *self, lun_watch *watch, const char *message);
  bool reentrant;         /* also hears what its own callbacks bring about */
  void (*release)(void *self);  /* once, when it cannot be called any more */
} lun_watch_options;

/* `kinds`: LUN_EVENT_… or'ed together. Fails with LUN_NO_MEMORY; then release is not called. */
LUN_API LUN_MUST_CHECK lun_status lun_store_watch(lun_store *store, unsigned kinds, lun_event_callback callback, void *self,
                                                  const lun_watch_options *options, lun_watch **out, lun_error *error);
/* With LUN_DROP it does not hear the event either that is being told. The handle is dead afterwards. */
LUN_API void lun_watch_remove(lun_watch *watch, unsigned flags);
/* The stack at the event: of growth in guest code from the instruction on; otherwise from the host function or callback at
 * work, and none where no guest runs. Valid inside the callback. */
LUN_API lun_stack lun_event_stack(const lun_event *event);
/* The same to keep; NULL: no guest runs, or no memory. The caller's to destroy. */
LUN_API lun_snapshot *lun_event_snapshot(const lun_event *event);
/* Says that this callback failed; its on_error acts when all have been told. A watch that reports is not called again.
 * `message` is copied. */
LUN_API void lun_event_fail(const lun_event *event, const char *message);

#ifdef __cplusplus
}
#endif
#endif
