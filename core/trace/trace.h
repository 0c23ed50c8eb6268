/* SPDX-License-Identifier: MIT */
/* What a watcher can know: attachments (attach.c), the delivery of events (dispatch.c), what a callback may ask
 * (call.c, stack.c), which functions (where.c).
 *
 * A function that somebody listens to has a *set*: the choices of all attachments for it, in order of attachment. Sets
 * never change: attaching and detaching give the function another one, and calls that are open keep theirs. */
#ifndef LUN_TRACE_H
#define LUN_TRACE_H

#include "engine.h"

enum { SILENT_MUTED = 1, SILENT_PAUSED = 2 };

/* One listener of one attachment; the same (listener, self) has the same choice for every function. */
typedef struct Choice {
  const lun_listener *listener;
  void *self;
  lun_attachment *attachment;
  uint8_t silent;           /* SILENT_…: not for new calls */
} Choice;

typedef struct Set {
  uint32_t holders;         /* its function, and each open call */
  uint32_t count;
  uint32_t extra;           /* bytes of a record behind its head, less the saved params */
  bool keeps_params;
  Choice *choices[];        /* those of one attachment stand together */
} Set;

struct lun_attachment {
  Store *store;
  lun_attachment *next;     /* in order of attachment */
  lun_factory_entry *factories;
  size_t factory_count;
  void *context;
  lun_attach_options options;
  char *name;
  Choice **table;           /* choices by (listener, self): open addressing, a power of two */
  size_t table_room, table_count;
  uint64_t holders;         /* sets that name it, and the handle */
  uint64_t functions, errors, muted;
  uint32_t reporting;       /* its report at work */
  bool detached, dropped, paused;
};

/* A listener that failed while an event was delivered. */
typedef struct Failure {
  const Record *record;
  uint32_t index;           /* in the record's set */
  char *message;
} Failure;

typedef struct Trace {
  lun_attachment *attachments;
  VEC(Failure) failures;
} Trace;

static inline Trace *trace_of(Store *store) { return store->trace; }

extern const TraceHooks trace_hooks;

/* ---- attach.c ---- */
void set_drop(Set *set);
lun_status attach_instance(Store *store, Instance *instance, lun_error *error);
void attach_closed(Store *store, Instance *instance);
void attach_destroy(Store *store);

#endif
