/* SPDX-License-Identifier: MIT */
/* What a watcher can know: attachments (attach.c), the delivery of events (dispatch.c), what a callback may ask
 * (call.c, stack.c), which functions (where.c).
 *
 * A function that somebody listens to has a *set*: the choices of all attachments for it, in order of attachment. Sets
 * never change: attaching and detaching give the function another one, and calls that are open keep theirs. */
#ifndef LUN_TRACE_H
#define LUN_TRACE_H

#include <lunette/event.h>
#include <lunette/intercept.h>

#include "engine.h"

enum { SILENT_MUTED = 1, SILENT_PAUSED = 2, SILENT_UNLESS = 4 };  /* UNLESS: its condition holds */
enum { KEEPS_PARAMS = 1, KEEPS_TIMES = 2 };  /* of each call */

/* Of an aggregation, for one function: what light_listener's choices have as their self. It is told of calls before they
 * begin, and that is all: no record is pushed for it where all who listen to a function are of this kind. */
typedef struct LightPlan LightPlan;
/* The time that has passed in calls under the keys of a plan, of those that began behind this fence (lun_store's). */
typedef struct Covered {
  uint64_t passed, fence;
} Covered;
struct LightPlan {
  void (*tell)(LightPlan *plan, const Function *function, const Slot *params);
  Covered *covered;         /* of whole_listener */
};
/* whole_listener: of an aggregation of whole times, whose calls have a span that says what was covered when they began. */
extern const lun_listener light_listener, whole_listener;
/* Whether it is an aggregation's: nothing but counting happens in it. */
bool listener_counts(const lun_listener *listener);

/* One listener of one attachment; the same (listener, self) has the same choice for every function, unless it has a
 * condition. */
typedef struct Choice {
  Ear ear;                  /* its callbacks, as far as they may be called without a look at the rest; silent: SILENT_… */
  union {
    const lun_listener *listener;
    const lun_interceptor *interceptor;  /* of an attachment that intercepts */
  };
  lun_attachment *attachment;
  struct Bound *bound;      /* of a condition: to this function alone; owned */
} Choice;

/* A timed call's share of one attachment that asks for times; those of an attachment's open calls are a chain. Of several
 * whole_listeners of one attachment each has a span, of which the first alone is in the chain. */
typedef struct Span {
  struct Span *outer;       /* the nearest enclosing call's that it heard */
  uint64_t id;              /* of the call; 0: not heard */
  uint64_t inner;           /* what the calls in it took that it heard */
  lun_attachment *attachment;
  Covered *covered;         /* its plan's, and what that was when the call began; NULL: it does not matter */
  Covered before;
  bool crosses;             /* the first such call behind a fence: what is covered behind it is nobody's outside of it */
} Span;

/* The times of one call, behind the hearings of its record. Guest time: the monotonic clock less what was spent watching. */
typedef struct Times {
  uint64_t moment;          /* of the event at hand, by the monotonic clock */
  uint64_t start, elapsed;  /* guest time */
  uint64_t fence, unused;   /* the store's, outside of an event that may be left by a jump */
  uint32_t count;           /* spans */
  bool crosses;             /* one of them */
  Span spans[];
} Times;

typedef struct Set {
  Listening head;
  uint32_t count;
  uint32_t timed;           /* spans of a call: one for each attachment in it that asks for times, at least */
  uint8_t keeps;            /* KEEPS_… */
  bool is_light;            /* light_listener alone */
  bool tells_before;        /* somebody may be told a before, or asked whether to hear the call */
  bool only_counts;         /* all listeners are aggregations' */
  bool is_latency;          /* one whole_listener without a condition, for which nothing but times is kept */
  Choice *choices[];        /* those of one attachment stand together */
} Set;

static inline Set *set_of(const Record *record) { return (Set *)(void *)record->set; }
static inline Set *listeners_of(const Function *function) { return (Set *)(void *)function->set; }

struct lun_attachment {
  Store *store;
  lun_attachment *next;     /* in order of attachment */
  lun_factory_entry *factories;
  size_t factory_count;
  lun_intercept_factory intercept;  /* asked in place of them: it intercepts */
  void *context;
  lun_attach_options options;
  char *name;
  Choice **table;           /* choices by (listener, self): open addressing, a power of two */
  size_t table_room, table_count;
  uint64_t holders;         /* sets that name it, and the handle */
  Span *span;               /* of its innermost open call, with times */
  uint64_t functions, errors, muted;
  uint32_t reporting;       /* its report at work */
  struct Condition *condition;  /* owned, or NULL */
  bool detached, dropped, paused;
  bool asks_at_end;         /* dropped, or its condition is late */
};

/* A listener that failed while an event was delivered. */
typedef struct Failure {
  const Record *record;
  uint32_t index;           /* in the record's set */
  char *message;
} Failure;

typedef struct StackIds StackIds;

typedef struct Trace {
  lun_attachment *attachments;
  VEC(Failure) failures;
  VEC(Slot) given;          /* copies of what the callbacks at work may only read (readonly.c) */
  StackIds *stack_ids;      /* NULL until one is asked for */
  lun_watch *watches;       /* in the order in which they were added */
  uint64_t last_event;
  uint32_t telling;         /* events being told inside of one another */
  uint8_t intercepted;      /* the call about to be told of was intercepted so (LUN_INTERCEPTED_…) */
  uint64_t timed;           /* attachments that ask for times */
  uint64_t moment;          /* when the before being told began */
  uint64_t outer_fence;     /* the store's then */
} Trace;

static inline Trace *trace_of(Store *store) { return store->trace; }

extern const TraceHooks trace_hooks, timed_hooks;

/* Whether a listener of the attachment heard its before. */
static inline bool record_heard_by(const Record *record, const lun_attachment *attachment) {
  const Set *set = set_of(record);
  for (uint32_t i = 0; i < set->count; i++)
    if (set->choices[i]->attachment == attachment && record->hearings[i].heard) return true;
  return false;
}

/* ---- dispatch.c ---- */
bool dispatch_enter(Store *store, Function *function, Slot *fp);
/* Those that have failed in this event, told when it has been delivered to all. */
void dispatch_failed(Store *store, Record *record);
void dispatch_light(Store *store, Function *function, Slot *fp);
void dispatch_leave(Store *store, Record *record, const Slot *results);
void dispatch_tail(Store *store, Record *record, const Function *callee);
void dispatch_abort(Store *store, Record *record, const lun_error *error);
bool dispatch_wants_stack(Store *store);
/* Whether a callback of the attachment is at work further out: it then called the guest, and this call is of its making. */
bool attachment_at_work(const Store *store, const lun_attachment *attachment);

/* ---- readonly.c ---- */
void readonly_tell(Telling telling, void *self, Record *record, const Slot *values);
void readonly_tell_abort(const lun_listener *listener, void *self, Record *record, const lun_error *error);
/* The callback of that event failed, and may have been left by a jump. */
void readonly_left(const Record *record);
/* Every abort is called by this; see listener_tell. */
static inline void listener_tell_abort(const lun_listener *listener, void *self, Record *record, const lun_error *error) {
  if (CHECKS_PARAMS) readonly_tell_abort(listener, self, record, error);
  else listener->abort(self, record, error);
}

/* ---- intercept.c ---- */
Passage intercept_enter(Store *store, Function *function, Slot *fp);
Record *intercept_leave(Store *store, Slot *results);
void intercept_over(Store *store, Record *record);
/* The values that the interceptor at work was given. */
const Slot *intercept_params(const Record *record);

/* ---- aggregate.c ---- */
/* What whole_listener does at the end of a call of which nothing but the time is asked, where that is soon done. False: it is
 * not, and nothing was done. */
bool aggregate_count_whole(LightPlan *plan, const Span *span, uint64_t elapsed);

/* ---- times.c ---- */
/* The bytes of a record's times. */
size_t times_size(const Set *set);
/* The call of this record, whose set asks for times, begins. */
void times_begin(Store *store, Record *record);
/* The rest of an event of a timed call that was left by a jump. */
void times_behind(Store *store, Record *record);
/* One attachment more, or less, that asks for times. */
void times_wanted(Store *store, bool wanted);
static inline Times *times_of(const Record *record) {
  return record->flags & RECORD_TIMED ? (Times *)(void *)&((Record *)record)->hearings[set_of(record)->count] : NULL;
}
/* At the end of a timed call: the span that says what was covered, for the attachment that is being told. NULL: it does not
 * matter. */
static inline const Span *times_span(const Record *record, const Times *times, const Covered *covered) {
  const lun_attachment *attachment = set_of(record)->choices[record->current]->attachment;
  for (uint32_t i = 0; i < times->count; i++) {
    const Span *span = &times->spans[i];
    if (LIKELY(span->covered == covered && span->attachment == attachment)) return span;
  }
  return NULL;
}

/* Whether the listener, a whole_listener, is told of the call's end only for what the call has covered. */
static inline bool is_left_out(const Record *record, uint32_t index) {
  const Hearing *hearing = &record->hearings[index];
  return UNLIKELY(hearing->data == &whole_listener) && !hearing->heard;
}

/* ---- condition.c ---- */
/* A copy of what the options say, with the needs of it set in them. LUN_NO_MEMORY. */
lun_status condition_create(lun_attach_options *options, struct Condition **out);
void condition_destroy(struct Condition *condition);
/* What it knows of a function; *never: it can hold for no call of it. False: no memory. */
bool condition_bind(const struct Condition *condition, const Function *function, struct Bound **out, bool *never);
/* At before: whether the call is to be heard, as far as it is known then. LEFT_OUT: but that its sample takes another. */
typedef enum Fit { FIT_NOT, FIT_LEFT_OUT, FIT_HEARD } Fit;
Fit condition_begins(struct Condition *condition, const struct Bound *bound, Record *record, const Slot *params);
/* At the end of a call that was heard. */
bool condition_ends(const struct Condition *condition, const struct Bound *bound, Record *record, const Slot *results);
bool condition_is_late(const struct Condition *condition);
uint64_t condition_weight(const struct Condition *condition);

/* ---- where.c ---- */
/* Whether a glob is well formed, and whether a text fits one that is. */
bool glob_valid(const char *glob, lun_error *error);
bool glob_fits(const char *glob, const char *text);

/* ---- stackid.c ---- */
void stack_ids_destroy(StackIds *ids);
enum { STACK_BYTES = 24 };  /* that one of its nodes takes */
/* As lun_call_stack_id, if that takes no more than so many nodes; *made counts them. */
uint64_t stack_id_within(const lun_call *call, uint64_t nodes, uint64_t *made);

/* ---- event.c ---- */
void event_grown(Store *store, Record *at, const Growth *growth);
void event_instance_live(Store *store, Instance *instance);
void event_instance_closed(Store *store, Instance *instance);
void event_destroy(Trace *trace);

/* ---- attach.c ---- */
bool trace_ensure(Store *store);
/* One holder less. */
void set_drop(Set *set);
void set_free(Listening *head);
lun_status attach_instance(Store *store, Instance *instance, lun_error *error);
void attach_closed(Store *store, Instance *instance);
void attach_destroy(Store *store);
/* As lun_store_attach_multi; `intercept`: in place of factories, and then the attachment intercepts. */
lun_status attach_factories(Store *store, const lun_factory_entry *factories, size_t count, lun_intercept_factory intercept,
                            void *context, const lun_attach_options *options, lun_attachment **out, lun_error *error);

#endif
