/* SPDX-License-Identifier: MIT */
/* Events that are no calls, and who watches for them. Watches stay in their list until no event is being told that began
 * before they were removed. */
#include <lunette/event.h>
#include <stdlib.h>
#include <string.h>

#include "trace.h"

struct lun_watch {
  Store *store;
  lun_watch *next;          /* in the order in which they were added */
  unsigned kinds;
  lun_event_callback callback;
  void *self;
  lun_watch_options options;
  uint64_t added, removed;  /* after this event; removed 0: not */
  uint32_t at_work;
  bool dropped, muted, failed;
  char *message;            /* of its failure in the event that is being told */
};

static void watch_free(lun_watch *watch) {
  if (watch->options.release) watch->options.release(watch->self);
  free(watch->message);
  free(watch);
}

static void sweep(Store *store) {
  Trace *trace = trace_of(store);
  bool grows = false;
  if (trace->telling > 0) return;
  for (lun_watch **at = &trace->watches, *watch; (watch = *at) != NULL;) {
    if (!watch->removed) {
      grows = grows || (watch->kinds & LUN_EVENT_GROW);
      at = &watch->next;
      continue;
    }
    *at = watch->next;
    watch_free(watch);
  }
  store->hears_growth = grows;
}

/* ---- telling ---- */
static bool hears(const lun_watch *watch, const lun_event *event, uint64_t serial) {
  if (!(watch->kinds & (unsigned)event->kind) || watch->added >= serial || watch->dropped || watch->muted) return false;
  if (watch->removed && watch->removed < serial) return false;
  return watch->at_work == 0 || watch->options.reentrant;
}

/* Those whose failure was in the event just told. */
static void settle(Store *store, lun_watch *watch) {
  char *message = watch->message;
  watch->message = NULL;
  watch->failed = false;
  const char *text = message ? message : "a watcher failed";
  watch->muted = watch->options.on_error == LUN_ON_ERROR_REPORT;
  if (watch->options.report) {
    watch->at_work++;
    watch->options.report(watch->self, watch, text);
    watch->at_work--;
  }
  if (watch->options.on_error == LUN_ON_ERROR_STOP) {
    free(store->listener_message);
    store->listener_message = message;
    message = NULL;
    store->pending = 1;
    store_raise(store, FLAG_LISTENER);
  }
  free(message);
}

static void tell(Store *store, lun_event *event) {
  Trace *trace = trace_of(store);
  uint64_t serial = ++trace->last_event;
  const lun_stopped stopped = lun_store_clock_stop(store);
  bool failed = false;
  trace->telling++;
  for (lun_watch *watch = trace->watches; watch; watch = watch->next) {
    if (!hears(watch, event, serial)) continue;
    event->telling = watch;
    watch->at_work++;
    watch->callback(watch->self, event);
    watch->at_work--;
    failed = failed || watch->failed;
  }
  for (lun_watch *watch = trace->watches; failed && watch; watch = watch->next)
    if (watch->failed && watch->at_work == 0) settle(store, watch);
  trace->telling--;
  sweep(store);
  lun_store_clock_go(store, &stopped);
}

void event_grown(Store *store, Record *at, const Growth *growth) {
  lun_event event = { .kind = LUN_EVENT_GROW, .instance = growth->instance, .memory = growth->memory, .table = growth->table,
                      .old = growth->old, .delta = growth->delta, .result = growth->result, .at = at };
  tell(store, &event);
}

static bool is_watched(Store *store, unsigned kind) {
  for (const lun_watch *watch = trace_of(store)->watches; watch; watch = watch->next)
    if (watch->kinds & kind) return true;
  return false;
}

static void tell_instance(Store *store, Instance *instance, lun_event_kind kind) {
  lun_event event = { .kind = kind, .instance = instance, .at = store->record };
  if (is_watched(store, (unsigned)kind)) tell(store, &event);
}

void event_instance_live(Store *store, Instance *instance) { tell_instance(store, instance, LUN_EVENT_INSTANCE); }
void event_instance_closed(Store *store, Instance *instance) { tell_instance(store, instance, LUN_EVENT_CLOSE); }

void event_destroy(Trace *trace) {
  for (lun_watch *watch = trace->watches, *next; watch; watch = next) {
    next = watch->next;
    watch_free(watch);
  }
  trace->watches = NULL;
}

/* ---- the door ---- */
lun_status lun_store_watch(Store *store, unsigned kinds, lun_event_callback callback, void *self,
                           const lun_watch_options *options, lun_watch **out, lun_error *error) {
  *out = NULL;
  lun_watch *watch = trace_ensure(store) ? calloc(1, sizeof *watch) : NULL;
  if (!watch) return lun_error_set(error, LUN_NO_MEMORY, "out of memory");
  Trace *trace = trace_of(store);
  *watch = (lun_watch){ .store = store, .kinds = kinds, .callback = callback, .self = self, .added = trace->last_event };
  if (options) watch->options = *options;
  lun_watch **at = &trace->watches;
  while (*at) at = &(*at)->next;
  *at = watch;
  if (kinds & LUN_EVENT_GROW) store->hears_growth = true;
  *out = watch;
  return LUN_OK;
}

void lun_watch_remove(lun_watch *watch, unsigned flags) {
  Store *store = watch->store;
  watch->dropped = (flags & LUN_DROP) != 0;
  /* While nothing is told it goes at once; the first event has the serial 1. */
  watch->removed = trace_of(store)->last_event ? trace_of(store)->last_event : 1;
  sweep(store);
}

/* The call or event at whose callback the stack begins, or NULL. */
static const Record *stack_record(const lun_event *event) {
  const Record *record = event->at;
  return record && record->kind != RECORD_BRIDGE && record->kind != RECORD_MARK && record->phase != PHASE_NONE ? record : NULL;
}

lun_stack lun_event_stack(const lun_event *event) {
  const Record *record = stack_record(event);
  return record ? lun_call_stack(record) : (lun_stack){ .serial = 0 };
}

lun_snapshot *lun_event_snapshot(const lun_event *event) {
  const Record *record = stack_record(event);
  return record ? lun_call_snapshot(record) : NULL;
}

void lun_event_fail(const lun_event *event, const char *message) {
  lun_watch *watch = (lun_watch *)(uintptr_t)event->telling; /* at work */
  if (watch->failed) return;
  watch->failed = true;
  size_t size = strlen(message) + 1;
  watch->message = malloc(size);
  if (watch->message) memcpy(watch->message, message, size);
}
