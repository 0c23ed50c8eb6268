/* SPDX-License-Identifier: MIT */
/* Delivering before, after and abort. The record of a call lies on the side stack from its before to its after or abort and
 * holds the set that was valid at entry. A callback may do anything: attach, detach, call the guest, fail; nothing here is
 * looked at twice that it could have changed. */
#include <stdlib.h>
#include <string.h>

#include "trace.h"

/* With a condition it has a choice for each function. */
static void mute(const lun_attachment *attachment, const Choice *choice) {
  for (size_t i = 0; i < attachment->table_room; i++) {
    Choice *same = attachment->table[i];
    if (same && same->listener == choice->listener && same->ear.self == choice->ear.self) same->ear.silent |= SILENT_MUTED;
  }
}

__attribute__((noinline, cold)) void dispatch_failed(Store *store, Record *record) {
  Trace *trace = trace_of(store);
  record->failed = false;
  record->flags &= (uint8_t)~RECORD_JUMPS; /* what is told here is no event */
  /* At its end the call is over for all: they are no parents' of what is called here. */
  for (uint32_t i = 0; record->kind == RECORD_CALL && record->phase != PHASE_BEFORE && i < set_of(record)->count; i++)
    record->hearings[i].heard = false;
  if (CHECKS_PARAMS) readonly_left(record);
  size_t from = trace->failures.count;
  while (from > 0 && trace->failures.items[from - 1].record == record) from--;
  for (size_t i = from; i < trace->failures.count; i++) {
    Failure failure = trace->failures.items[i];
    const Choice *choice = set_of(record)->choices[failure.index];
    lun_attachment *attachment = choice->attachment;
    /* What report asks about its call is its own listener's. */
    record->current = failure.index;
    const char *message = failure.message ? failure.message : "a listener failed";
    attachment->errors++;
    if (attachment->options.report) {
      attachment->reporting++;
      attachment->options.report(attachment->context, attachment, record, choice->ear.self, message);
      attachment->reporting--;
      record->serial = 0;
    }
    if (attachment->options.on_error == LUN_ON_ERROR_STOP) {
      free(store->listener_message);
      store->listener_message = failure.message;
      failure.message = NULL;
      store->pending = 1;
      store_raise(store, FLAG_LISTENER);
    } else if (!(choice->ear.silent & SILENT_MUTED)) {
      mute(attachment, choice);
      attachment->muted++;
    }
    free(failure.message);
  }
  trace->failures.count = from;
}

/* A call that an interceptor lets proceed is the guest's, not of the interceptor's making. */
__attribute__((noinline, cold)) bool attachment_at_work(const Store *store, const lun_attachment *attachment) {
  if (attachment->options.reentrant) return false;
  if (attachment->reporting) return true;
  for (const Record *mark = store->mark; mark; mark = mark->outer) {
    const Record *caller = mark->ret ? NULL : mark->prev;
    if (caller && caller->kind == RECORD_CALL && caller->phase == PHASE_INTERCEPTED) caller = caller->prev;
    if (!caller || (caller->kind != RECORD_CALL && caller->kind != RECORD_INTERCEPT)) continue;
    if (set_of(caller)->choices[caller->current]->attachment == attachment) return true;
  }
  return false;
}

/* A choice that is muted, paused, or hears a call if its condition holds: late ones are told nothing before. */
static __attribute__((noinline, cold)) void tell_unless(const Store *store, Record *record, uint32_t index,
                                                        const Slot *params) {
  const Choice *choice = set_of(record)->choices[index];
  lun_attachment *attachment = choice->attachment;
  Hearing *hearing = &record->hearings[index];
  if (choice->ear.silent != SILENT_UNLESS || (store->runs != 1 && attachment_at_work(store, attachment))) return;
  record->current = index;
  Fit fit = condition_begins(attachment->condition, choice->bound, record, params);
  hearing->heard = fit == FIT_HEARD;
  if (fit == FIT_LEFT_OUT && choice->listener == &whole_listener) hearing->data = (void *)(uintptr_t)&whole_listener;
  if (hearing->heard && choice->listener->before && !attachment->asks_at_end)
    listener_tell(choice->listener->before, choice->ear.self, record, params);
  record->serial = 0;
}

static inline void tell_before(Store *store, Record *record, const Set *set, uint32_t index, const Slot *params) {
  const Choice *choice = set->choices[index];
  Hearing *hearing = &record->hearings[index];
  hearing->data = NULL;
  hearing->heard = !choice->ear.silent && (LIKELY(store->runs == 1) || !attachment_at_work(store, choice->attachment));
  if (UNLIKELY(choice->ear.silent)) tell_unless(store, record, index, params);
  else if (hearing->heard && choice->listener->before) {
    record->current = index;
    listener_tell(choice->listener->before, choice->ear.self, record, params);
    record->serial = 0;
  }
}

static __attribute__((noinline)) void tell_others_before(Store *store, Record *record, const Set *set, const Slot *params) {
  for (uint32_t i = 1, n = set->count; i < n; i++) tell_before(store, record, set, i, params);
}

static size_t saved_size(const Type *type) { return (type->type.param_slots * sizeof(Slot) + 15) & ~(size_t)15; }

/* What attachments have asked to be kept of the call, from its beginning. */
static __attribute__((noinline)) void keep(Store *store, Record *record, const Set *set, const Slot *params) {
  const Type *type = record->function->type;
  if (set->keeps & KEEPS_TIMES) times_begin(store, record);
  if (!(set->keeps & KEEPS_PARAMS) || type->type.param_slots == 0) return;
  record->params = (Slot *)(void *)((char *)record->hearings + set->head.extra);
  memcpy(record->params, params, type->type.param_slots * sizeof(Slot));
}

bool dispatch_enter(Store *store, Function *function, Slot *fp) {
  Set *set = listeners_of(function);
  const Type *type = function->type;
  size_t extra = set->head.extra;
  if (UNLIKELY(set->keeps & KEEPS_PARAMS)) extra += saved_size(type);
  unsigned flags = LIKELY(set->count == 1) ? RECORD_JUMPS : 0; /* where it goes on behind a jump, no others are told */
  Record *record = record_open(store, function, flags, fp, extra);
  if (UNLIKELY(!record)) return false;
  const Slot *params = fp - 2 - type->slots;
  Trace *trace = trace_of(store);
  if (UNLIKELY(trace->intercepted)) {
    record->flags = (uint8_t)(trace->intercepted * RECORD_INTERCEPTED);
    trace->intercepted = 0;
  }
  if (UNLIKELY(set->keeps)) keep(store, record, set, params);
  tell_before(store, record, set, 0, params);
  if (UNLIKELY(set->count > 1)) tell_others_before(store, record, set, params);
  if (UNLIKELY(record->failed)) dispatch_failed(store, record);
  record->phase = PHASE_NONE;
  return true;
}

/* Nothing of such a call is kept: whose place it takes is told to nobody. */
void dispatch_light(Store *store, Function *function, Slot *fp) {
  Set *set = listeners_of(function);
  const Slot *params = fp - 2 - function->type->slots;
  store->tail_of = 0;
  set->head.holders++; /* a budget's callback may detach */
  for (uint32_t i = 0, n = set->count; i < n; i++) {
    const Choice *choice = set->choices[i];
    LightPlan *plan = choice->ear.self;
    if (UNLIKELY(choice->ear.silent) || (UNLIKELY(store->runs > 1) && attachment_at_work(store, choice->attachment))) continue;
    plan->tell(plan, function, params);
  }
  if (LIKELY(set->head.holders > 1)) set->head.holders--;
  else set_drop(set);
}

/* Whether the end is told of a call that was heard: not where the attachment was dropped, or its condition does not hold. */
static bool hears_end(Record *record, const Choice *choice, uint32_t index, const Slot *results) {
  const lun_attachment *attachment = choice->attachment;
  record->current = index;
  return !attachment->dropped && condition_ends(attachment->condition, choice->bound, record, results);
}

static __attribute__((noinline, cold)) void tell_after_if(Record *record, uint32_t index, const Slot *results) {
  const Choice *choice = set_of(record)->choices[index];
  if (hears_end(record, choice, index, results)) listener_tell(choice->listener->after, choice->ear.self, record, results);
  record->serial = 0;
}

static inline void tell_after(Record *record, const Set *set, uint32_t index, const Slot *results) {
  const Choice *choice = set->choices[index];
  if (!choice->listener->after || (!record->hearings[index].heard && !is_left_out(record, index))) return;
  if (UNLIKELY(choice->attachment->asks_at_end)) {
    tell_after_if(record, index, results);
    return;
  }
  record->current = index;
  listener_tell(choice->listener->after, choice->ear.self, record, results);
  record->serial = 0;
}

static inline void tell_abort(Record *record, const Set *set, uint32_t index, const lun_error *error) {
  const Choice *choice = set->choices[index];
  if (!choice->listener->abort || (!record->hearings[index].heard && !is_left_out(record, index))) return;
  record->current = index;
  if (!choice->attachment->asks_at_end || hears_end(record, choice, index, NULL))
    listener_tell_abort(choice->listener, choice->ear.self, record, error);
  record->serial = 0;
}

/* The attachments in reverse, each one's listeners in the order given: where the group that ends before `end` begins. */
static uint32_t group_start(const Set *set, uint32_t end) {
  uint32_t start = end - 1;
  while (start > 0 && set->choices[start - 1]->attachment == set->choices[end - 1]->attachment) start--;
  return start;
}

static __attribute__((noinline)) void tell_all_after(Record *record, const Set *set, const Slot *results) {
  for (uint32_t last = set->count; last > 0;) {
    uint32_t first = group_start(set, last);
    for (uint32_t i = first; i < last; i++) tell_after(record, set, i, results);
    last = first;
  }
}

void dispatch_leave(Store *store, Record *record, const Slot *results) {
  Set *set = set_of(record);
  record->phase = PHASE_AFTER;
  if (LIKELY(set->count == 1)) tell_after(record, set, 0, results);
  else tell_all_after(record, set, results);
  if (UNLIKELY(record->failed)) dispatch_failed(store, record);
  if (LIKELY(set->head.holders > 1)) set->head.holders--;
  else set_drop(set);
}

/* The callee is told whose place it takes, if it is listened to. */
void dispatch_tail(Store *store, Record *record, const Function *callee) {
  record->flags &= (uint8_t)~(RECORD_NODE | RECORD_JUMPS);
  record->tail = callee->definition;
  uint64_t id = record->id;
  dispatch_leave(store, record, NULL);
  store->tail_of = callee->kept ? id : 0;
}

void dispatch_abort(Store *store, Record *record, const lun_error *error) {
  Set *set = set_of(record);
  record->phase = PHASE_ABORT;
  record->flags &= (uint8_t)~RECORD_JUMPS;
  for (uint32_t last = set->count; last > 0;) {
    uint32_t first = group_start(set, last);
    for (uint32_t i = first; i < last; i++) tell_abort(record, set, i, error);
    last = first;
  }
  if (record->failed) dispatch_failed(store, record);
  set_drop(set);
}

bool dispatch_wants_stack(Store *store) { return trace_of(store)->attachments != NULL; }

const TraceHooks trace_hooks = {
  .enter = dispatch_enter,
  .light = dispatch_light,
  .leave = dispatch_leave,
  .tell = readonly_tell,
  .tail = dispatch_tail,
  .abort = dispatch_abort,
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

void lun_call_fail(lun_call *call, const char *message) {
  if ((call->kind != RECORD_CALL && call->kind != RECORD_INTERCEPT) || call->phase == PHASE_NONE) return;
  call->failed = true;
  if (call->phase == PHASE_BEFORE) call->hearings[call->current].heard = false;
  size_t size = strlen(message) + 1;
  char *copy = malloc(size);
  if (copy) memcpy(copy, message, size);
  Failure failure = { call, call->current, copy };
  if (!vec_push(&trace_of(call->function->store)->failures, failure)) free(copy);
}
