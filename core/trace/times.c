/* SPDX-License-Identifier: MIT */
/* Times, for attachments that ask: the clock is read once before an event's first callback and once after its last. While
 * nobody on the store asks, none of this is entered: the hooks of dispatch.c are the store's. A before that nobody is told
 * costs one reading.
 *
 * Guest time stands still while an event is told, whoever is told it: watched_ns is what the monotonic clock is ahead. A call
 * that a callback makes has times of its own, and is charged to none of the calls that were open around the callback. */
#include "trace.h"

_Static_assert(sizeof(Span) % 16 == 0 && sizeof(Times) % 16 == 0, "records stay aligned");

size_t times_size(const Set *set) { return set->timed ? sizeof(Times) + set->timed * sizeof(Span) : 0; }

void times_wanted(Store *store, bool wanted) {
  Trace *trace = trace_of(store);
  trace->timed += wanted ? 1 : (uint64_t)-1;
  store->timed = trace->timed > 0;
  store->hooks = store->timed ? &timed_hooks : &trace_hooks;
  store_detours(store);
}

static Times *times_of(const Record *record) {
  return record->timed ? (Times *)(void *)&((Record *)record)->hearings[set_of(record)->count] : NULL;
}

/* ---- the clock ---- */
typedef struct Stopped {
  uint64_t moment, guest, fence;
} Stopped;

static Stopped clock_stop(Store *store) {
  uint64_t now = clock_monotonic_ns();
  return (Stopped){ now, now - store->watched_ns, trace_of(store)->fence };
}

static void clock_go(Store *store, const Stopped *stopped) {
  trace_of(store)->fence = stopped->fence;
  store->watched_ns = clock_monotonic_ns() - stopped->guest;
}

/* ---- spans ---- */
static void begin_spans(Record *record, Times *times) {
  const Set *set = set_of(record);
  const lun_attachment *last = NULL;
  Span *span = times->spans;
  for (uint32_t i = 0; i < set->count; i++) {
    lun_attachment *attachment = set->choices[i]->attachment;
    if (attachment == last || !attachment->options.time) continue;
    last = attachment;
    *span = (Span){ attachment->span, 0, 0, attachment };
    if (record_heard_by(record, attachment)) {
      span->id = record->id;
      attachment->span = span;
    }
    span++;
  }
  times->count = (uint64_t)(span - times->spans);
}

static void end_spans(const Trace *trace, Times *times) {
  for (uint64_t i = 0; i < times->count; i++) {
    const Span *span = &times->spans[i];
    if (!span->id) continue;
    span->attachment->span = span->outer;
    if (span->outer && span->outer->id > trace->fence) span->outer->inner += times->elapsed;
  }
}

/* ---- events ---- */
/* Nobody is told of the call before it ends: one reading does, the last thing before it begins. */
static bool enter_untold(Store *store, Function *function, Slot *fp) {
  if (!dispatch_enter(store, function, fp)) return false;
  Times *times = times_of(store->record);
  if (!times) return true;
  begin_spans(store->record, times);
  times->start = clock_monotonic_ns() - store->watched_ns;
  return true;
}

static bool enter(Store *store, Function *function, Slot *fp) {
  if (!listeners_of(function)->tells_before) return enter_untold(store, function, fp);
  Stopped stopped = clock_stop(store);
  trace_of(store)->moment = stopped.moment;
  trace_of(store)->fence = store->last_id + 1;
  bool well = dispatch_enter(store, function, fp);
  if (well) {
    Times *times = times_of(store->record);
    if (times) {
      times->start = stopped.guest;
      begin_spans(store->record, times);
    }
  }
  clock_go(store, &stopped);
  return well;
}

void times_begin(Store *store, Record *record) {
  record->timed = true;
  Times *times = times_of(record);
  times->moment = trace_of(store)->moment;
  times->count = 0;
}

static Stopped end_begin(Store *store, Record *record) {
  Stopped stopped = clock_stop(store);
  Times *times = times_of(record);
  if (times) {
    times->moment = stopped.moment;
    times->elapsed = stopped.guest - times->start;
    end_spans(trace_of(store), times);
  }
  trace_of(store)->fence = store->last_id;
  return stopped;
}

static void leave(Store *store, Record *record, const Slot *results) {
  Stopped stopped = end_begin(store, record);
  dispatch_leave(store, record, results);
  clock_go(store, &stopped);
}

static void tail(Store *store, Record *record, const Function *callee) {
  Stopped stopped = end_begin(store, record);
  dispatch_tail(store, record, callee);
  clock_go(store, &stopped);
}

static void abort_call(Store *store, Record *record, const lun_error *error) {
  Stopped stopped = end_begin(store, record);
  dispatch_abort(store, record, error);
  clock_go(store, &stopped);
}

const TraceHooks timed_hooks = {
  .enter = enter,
  .light = dispatch_light,
  .leave = leave,
  .tail = tail,
  .abort = abort_call,
  .failed = dispatch_failed,
  .drop = set_free,
  .wants_stack = dispatch_wants_stack,
  .instance_made = attach_instance,
  .instance_live = event_instance_live,
  .instance_closed = attach_closed,
  .grown = event_grown,
  .destroy = attach_destroy,
};

/* ---- what a callback can ask ---- */
static const Times *asked(const lun_call *call) {
  if (call->kind != RECORD_CALL || call->phase == PHASE_NONE) return NULL;
  return set_of(call)->choices[call->current]->attachment->options.time ? times_of(call) : NULL;
}

bool lun_call_time(const lun_call *call, uint64_t *ns) {
  const Times *times = asked(call);
  if (times) *ns = times->moment;
  return times != NULL;
}

bool lun_call_elapsed(const lun_call *call, uint64_t *ns) {
  const Times *times = asked(call);
  if (!times || call->phase == PHASE_BEFORE) return false;
  *ns = times->elapsed;
  return true;
}

bool lun_call_self_time(const lun_call *call, uint64_t *ns) {
  const Times *times = asked(call);
  if (!times || call->phase == PHASE_BEFORE) return false;
  const lun_attachment *attachment = set_of(call)->choices[call->current]->attachment;
  *ns = times->elapsed;
  for (uint64_t i = 0; i < times->count; i++)
    if (times->spans[i].attachment == attachment) *ns -= times->spans[i].inner;
  return true;
}
