/* SPDX-License-Identifier: MIT */
/* Delivering before, after and abort. The record of a call lies on the side stack from its before to its after or abort and
 * holds the set that was valid at entry. A callback may do anything: attach, detach, call the guest, fail; nothing here is
 * looked at twice that it could have changed. */
#include <stdlib.h>
#include <string.h>

#include "trace.h"

/* Those that have failed in this event, told when it has been delivered to all. */
static void settle_failures(Store *store, Record *record, size_t from) {
  Trace *trace = trace_of(store);
  for (size_t i = from; i < trace->failures.count; i++) {
    Failure failure = trace->failures.items[i];
    lun_attachment *attachment = failure.choice->attachment;
    const char *message = failure.message ? failure.message : "a listener failed";
    attachment->errors++;
    if (attachment->options.report) {
      attachment->busy++;
      attachment->options.report(attachment->context, attachment, record, failure.choice->self, message);
      attachment->busy--;
    }
    if (attachment->options.on_error == LUN_ON_ERROR_STOP) {
      free(store->listener_message);
      store->listener_message = failure.message;
      failure.message = NULL;
      store->pending = 1;
      store_raise(store, FLAG_LISTENER);
    } else if (!failure.choice->muted) {
      failure.choice->muted = true;
      attachment->muted++;
    }
    free(failure.message);
  }
  trace->failures.count = from;
}

static inline bool hears(const Choice *choice) {
  return LIKELY(!choice->muted) && (LIKELY(choice->attachment->busy == 0) || choice->attachment->options.reentrant);
}

static inline void tell_before(Record *record, const Set *set, uint32_t index, const Slot *params) {
  Choice *choice = set->choices[index];
  Hearing *hearing = &record->hearings[index];
  hearing->data = NULL;
  hearing->heard = hears(choice);
  if (!hearing->heard || !choice->listener->before) return;
  record->current = index;
  choice->attachment->busy++;
  choice->listener->before(choice->self, record, params);
  choice->attachment->busy--;
  record->serial = 0;
  if (UNLIKELY(record->failed)) {
    record->failed = false;
    hearing->heard = false;
  }
}

static bool enter(Store *store, Function *function, Slot *fp) {
  Set *set = function->set;
  const Type *type = function->type;
  size_t hearings = set->count * sizeof(Hearing);
  size_t saved = set->keeps_params ? type->type.param_slots * sizeof(Slot) : 0;
  Record *record = record_push(store, RECORD_CALL, fp, hearings + saved);
  if (UNLIKELY(!record)) return false;
  Slot *params = fp - 2 - type->slots;
  Trace *trace = trace_of(store);
  size_t failures = trace->failures.count;
  record->function = function;
  record->set = set;
  record->ret = (const Word *)(uintptr_t)fp[-1];
  record->id = ++store->last_id;
  set->holders++;
  fp[-1] = (Slot)(uintptr_t)after_word;
  if (saved) {
    record->params = (Slot *)(void *)&record->hearings[set->count];
    memcpy(record->params, params, saved);
  }
  Slot *end = store->end;
  store->end = fp + function->frame_slots;
  record->phase = PHASE_BEFORE;
  for (uint32_t i = 0, n = set->count; i < n; i++) tell_before(record, set, i, params);
  if (UNLIKELY(trace->failures.count > failures)) settle_failures(store, record, failures);
  record->phase = PHASE_NONE;
  store->end = end;
  return true;
}

static inline bool still_hears(const Record *record, const Choice *choice, uint32_t index) {
  return record->hearings[index].heard && LIKELY(!choice->attachment->dropped);
}

static inline void tell_after(Record *record, const Set *set, uint32_t index, const Slot *results) {
  Choice *choice = set->choices[index];
  if (!choice->listener->after || !still_hears(record, choice, index)) return;
  record->current = index;
  choice->attachment->busy++;
  choice->listener->after(choice->self, record, results);
  choice->attachment->busy--;
  record->serial = 0;
  record->failed = false;
}

static inline void tell_abort(Record *record, const Set *set, uint32_t index, const lun_error *error) {
  Choice *choice = set->choices[index];
  if (!choice->listener->abort || !still_hears(record, choice, index)) return;
  record->current = index;
  choice->attachment->busy++;
  choice->listener->abort(choice->self, record, error);
  choice->attachment->busy--;
  record->serial = 0;
  record->failed = false;
}

/* The attachments in reverse, each one's listeners in the order given: where the group that ends before `end` begins. */
static uint32_t group_start(const Set *set, uint32_t end) {
  uint32_t start = end - 1;
  while (start > 0 && set->choices[start - 1]->attachment == set->choices[end - 1]->attachment) start--;
  return start;
}

static void leave(Store *store, Record *record, const Slot *results) {
  Set *set = record->set;
  Trace *trace = trace_of(store);
  size_t failures = trace->failures.count;
  Slot *end = store->end;
  store->end = record->fp;
  record->phase = PHASE_AFTER;
  if (LIKELY(set->count == 1)) {
    tell_after(record, set, 0, results);
  } else {
    for (uint32_t last = set->count; last > 0;) {
      uint32_t first = group_start(set, last);
      for (uint32_t i = first; i < last; i++) tell_after(record, set, i, results);
      last = first;
    }
  }
  if (UNLIKELY(trace->failures.count > failures)) settle_failures(store, record, failures);
  store->end = end;
  set_drop(set);
}

static void abort_call(Store *store, Record *record, const lun_error *error) {
  Set *set = record->set;
  Trace *trace = trace_of(store);
  size_t failures = trace->failures.count;
  record->phase = PHASE_ABORT;
  for (uint32_t last = set->count; last > 0;) {
    uint32_t first = group_start(set, last);
    for (uint32_t i = first; i < last; i++) tell_abort(record, set, i, error);
    last = first;
  }
  if (trace->failures.count > failures) settle_failures(store, record, failures);
  set_drop(set);
}

static bool wants_stack(Store *store) { return trace_of(store)->attachments != NULL; }

const TraceHooks trace_hooks = {
  .enter = enter,
  .leave = leave,
  .abort = abort_call,
  .wants_stack = wants_stack,
  .instance_made = attach_instance,
  .instance_closed = attach_closed,
  .destroy = attach_destroy,
};

void lun_call_fail(lun_call *call, const char *message) {
  if (call->kind != RECORD_CALL || call->phase == PHASE_NONE) return;
  Store *store = call->function->store;
  const Set *set = call->set;
  call->failed = true;
  size_t size = strlen(message) + 1;
  char *copy = malloc(size);
  if (copy) memcpy(copy, message, size);
  Failure failure = { set->choices[call->current], copy };
  if (!vec_push(&trace_of(store)->failures, failure)) free(copy);
}
