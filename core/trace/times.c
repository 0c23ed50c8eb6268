/* SPDX-License-Identifier: MIT */
/* Times, for attachments that ask: the clock is read once before an event's first callback and once after its last. While
 * nobody on the store asks, none of this is entered: the hooks of dispatch.c are the store's. A before that nobody is told
 * costs one reading, and so does each event of a call that aggregations alone hear.
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

/* ---- the clock ---- */
typedef struct Stopped {
  uint64_t moment, guest, fence;
} Stopped;

static Stopped clock_stop(Store *store) {
  uint64_t now = clock_monotonic_ns();
  return (Stopped){ now, now - store->watched_ns, store->fence };
}

static void clock_go(Store *store, const Stopped *stopped) {
  store->fence = stopped->fence;
  store->watched_ns = clock_monotonic_ns() - stopped->guest;
}

/* ---- spans ---- */
/* `fence`: that of the event in which the call was made; 0: of none. What such a call takes is in the time of none that lies
 * outside of it: what has been covered there is put aside until it is over. */
static inline void cover_span(Times *times, Span *span, const Choice *choice, uint64_t fence) {
  Covered *covered = ((const LightPlan *)choice->ear.self)->covered;
  span->covered = covered;
  span->before.passed = covered->passed; /* word by word, as it was written, perhaps just now */
  span->before.fence = covered->fence;
  if (LIKELY(covered->fence == fence)) return;
  covered->fence = fence;
  span->crosses = times->crosses = true;
}

static inline void begin_span(Record *record, Span *span, uint32_t index, bool is_first, uint64_t fence) {
  const Choice *choice = set_of(record)->choices[index];
  lun_attachment *attachment = choice->attachment;
  *span = (Span){ .outer = attachment->span, .attachment = attachment };
  if (is_first && (LIKELY(record->hearings[index].heard) || record_heard_by(record, attachment))) {
    span->id = record->id;
    attachment->span = span;
  }
  if (choice->listener == &whole_listener) cover_span(times_of(record), span, choice, fence);
}

static __attribute__((noinline)) void begin_all_spans(Record *record, Times *times, uint64_t fence) {
  const Set *set = set_of(record);
  const lun_attachment *last = NULL;
  Span *span = times->spans;
  for (uint32_t i = 0; i < set->count; i++) {
    const lun_attachment *attachment = set->choices[i]->attachment;
    bool is_first = attachment != last;
    if (!attachment->options.time || (!is_first && set->choices[i]->listener != &whole_listener)) continue;
    last = attachment;
    begin_span(record, span++, i, is_first, fence);
  }
  times->count = (uint32_t)(span - times->spans);
}

static inline void begin_spans(Record *record, Times *times, uint64_t fence) {
  if (UNLIKELY(set_of(record)->count > 1)) {
    begin_all_spans(record, times, fence);
    return;
  }
  begin_span(record, times->spans, 0, true, fence);
  times->count = 1;
}

static inline void end_spans(const Store *store, Times *times) {
  for (uint32_t i = 0; i < times->count; i++) {
    const Span *span = &times->spans[i];
    if (!span->id) continue;
    span->attachment->span = span->outer;
    if (span->outer && span->outer->id > store->fence) span->outer->inner += times->elapsed;
  }
}

/* All have been told of the end. The record may be nobody's by now, but it is still there. */
static inline void leave_fence(const Times *times) {
  if (LIKELY(!times || !times->crosses)) return;
  for (uint32_t i = 0; i < times->count; i++)
    if (times->spans[i].crosses) *times->spans[i].covered = times->spans[i].before;
}

/* ---- events ---- */
/* Nobody, or none but aggregations, is told of the call before it ends: one reading does, the last thing before it begins. */
static bool enter_untold(Store *store, Function *function, Slot *fp) {
  if (!dispatch_enter(store, function, fp)) return false;
  Times *times = times_of(store->record);
  if (!times) return true;
  store->record->flags &= (uint8_t)~RECORD_CLOCKED;
  begin_spans(store->record, times, store->fence);
  times->start = clock_monotonic_ns() - store->watched_ns;
  return true;
}

/* The same of a latency by function, with nothing in between. Of its own, like leave_latency: it keeps few registers. */
static __attribute__((noinline)) bool enter_latency(Store *store, Function *function, Slot *fp) {
  Set *set = listeners_of(function);
  const Choice *choice = set->choices[0];
  lun_attachment *attachment = choice->attachment;
  Record *record = record_push(store, RECORD_CALL, PHASE_NONE, fp, set->head.extra);
  if (UNLIKELY(!record)) return false;
  record->ret = (const Word *)(uintptr_t)fp[-1];
  record->function = function;
  record->set = &set->head;
  record->id = ++store->last_id;
  record->tail_of = store->tail_of;
  record->tail = NULL;
  record->params = NULL;
  record->current = 0;
  record->hearings[0] = (Hearing){ NULL, true };
  record->flags = RECORD_TIMED;
  store->tail_of = 0;
  set->head.holders++;
  fp[-1] = (Slot)(uintptr_t)after_word;
  Times *times = (Times *)(void *)&record->hearings[1];
  times->count = 1;
  times->crosses = false;
  Span *span = times->spans;
  span->outer = attachment->span;
  span->id = record->id;
  span->inner = 0;
  span->attachment = attachment;
  span->crosses = false;
  attachment->span = span;
  cover_span(times, span, choice, store->fence);
  times->start = clock_monotonic_ns() - store->watched_ns;
  return true;
}

static inline void end_times(Store *store, Record *record, uint64_t moment) {
  Times *times = times_of(record);
  if (!times) return;
  times->moment = moment;
  times->elapsed = moment - store->watched_ns - times->start;
  end_spans(store, times);
}

static __attribute__((noinline)) bool enter_others(Store *store, Function *function, Slot *fp) {
  const Set *set = listeners_of(function);
  if (!set->tells_before || set->only_counts) return enter_untold(store, function, fp);
  Stopped stopped = clock_stop(store);
  trace_of(store)->moment = stopped.moment;
  trace_of(store)->outer_fence = stopped.fence;
  store->fence = store->last_id + 1;
  bool jumps = store->jumps;
  if (!set->timed) store->jumps = false; /* behind its before the clock goes on, and there is no room to say how */
  bool well = dispatch_enter(store, function, fp);
  store->jumps = jumps;
  if (well) {
    Record *record = store->record;
    Times *times = times_of(record);
    record->flags &= (uint8_t)~RECORD_CLOCKED;
    if (times) {
      times->start = stopped.guest;
      begin_spans(record, times, stopped.fence);
    }
  }
  clock_go(store, &stopped);
  return well;
}

void times_behind(Store *store, Record *record) {
  if (!(record->flags & RECORD_CLOCKED)) return;
  record->flags &= (uint8_t)~RECORD_CLOCKED;
  Times *times = times_of(record);
  Stopped stopped = { .guest = times->start, .fence = times->fence };
  if (record->phase == PHASE_BEFORE) {
    begin_spans(record, times, stopped.fence);
  } else {
    stopped.guest += times->elapsed;
    leave_fence(times);
  }
  clock_go(store, &stopped);
}

static bool enter(Store *store, Function *function, Slot *fp) {
  const Set *set = listeners_of(function);
  if (LIKELY(set->is_latency && !set->choices[0]->ear.silent && store->runs == 1)) return enter_latency(store, function, fp);
  return enter_others(store, function, fp);
}

void times_begin(Store *store, Record *record) {
  record->flags |= RECORD_TIMED | RECORD_CLOCKED;
  Times *times = times_of(record);
  times->moment = trace_of(store)->moment;
  times->start = times->moment - store->watched_ns;
  times->fence = trace_of(store)->outer_fence;
  times->count = 0;
  times->crosses = false;
}

/* False: it was all, nobody but aggregations hears the end. What they take to count is then left to the callers, whose times
 * it makes longer by less than a reading of the clock would. */
static inline bool end_begin(Store *store, Record *record, Stopped *stopped) {
  if (set_of(record)->only_counts) {
    if (record->flags & RECORD_TIMED) end_times(store, record, clock_monotonic_ns());
    return false;
  }
  *stopped = clock_stop(store);
  end_times(store, record, stopped->moment);
  store->fence = store->last_id;
  return true;
}

static __attribute__((noinline)) void leave_others(Store *store, Record *record, const Slot *results) {
  Stopped stopped;
  Times *times = times_of(record);
  bool stops = end_begin(store, record, &stopped);
  if (LIKELY(times && stops)) {
    times->fence = stopped.fence;
    record->flags |= RECORD_CLOCKED;
  } else {
    record->flags &= (uint8_t)~RECORD_JUMPS;
  }
  dispatch_leave(store, record, results);
  leave_fence(times);
  if (stops) clock_go(store, &stopped);
}

/* A call that has begun otherwise, unheard or before anybody asked for times, is left as others are. */
static __attribute__((noinline)) void leave_latency(Store *store, Record *record, const Slot *results) {
  Set *set = set_of(record);
  const Ear *ear = &set->choices[0]->ear;
  Times *times = (Times *)(void *)&record->hearings[1];
  const Span *span = times->spans;
  if (UNLIKELY(!(record->flags & RECORD_TIMED) || !record->hearings[0].heard || times->count != 1)) {
    leave_others(store, record, results);
    return;
  }
  times->moment = clock_monotonic_ns();
  uint64_t elapsed = times->elapsed = times->moment - store->watched_ns - times->start;
  Span *outer = span->attachment->span = span->outer;
  if (outer && outer->id > store->fence) outer->inner += elapsed;
  record->phase = PHASE_AFTER;
  if (LIKELY(ear->after) && UNLIKELY(!aggregate_count_whole(ear->self, span, elapsed)))
    listener_tell(ear->after, ear->self, record, results);
  if (UNLIKELY(times->crosses)) leave_fence(times);
  if (LIKELY(set->head.holders > 1)) set->head.holders--;
  else set_drop(set);
}

static void leave(Store *store, Record *record, const Slot *results) {
  if (LIKELY(set_of(record)->is_latency)) leave_latency(store, record, results);
  else leave_others(store, record, results);
}

static void tail(Store *store, Record *record, const Function *callee) {
  Stopped stopped;
  const Times *times = times_of(record);
  bool stops = end_begin(store, record, &stopped);
  dispatch_tail(store, record, callee);
  leave_fence(times);
  if (stops) clock_go(store, &stopped);
}

static void abort_call(Store *store, Record *record, const lun_error *error) {
  Stopped stopped;
  const Times *times = times_of(record);
  bool stops = end_begin(store, record, &stopped);
  dispatch_abort(store, record, error);
  leave_fence(times);
  if (stops) clock_go(store, &stopped);
}

const TraceHooks timed_hooks = {
  .enter = enter,
  .light = dispatch_light,
  .leave = leave,
  .tell = readonly_tell,
  .tail = tail,
  .abort = abort_call,
  .failed = dispatch_failed,
  .behind = times_behind,
  .drop = set_free,
  .intercept = intercept_enter,
  .intercepted = intercept_leave,
  .intercept_over = intercept_over,
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
  for (uint32_t i = 0; i < times->count; i++)
    if (times->spans[i].attachment == attachment) *ns -= times->spans[i].inner;
  return true;
}
