/* SPDX-License-Identifier: MIT */
/* The borrowed view of the stack: a Walk, kept in a value of the caller's. It carries the serial of the callback that it was
 * taken in; when the callback is over the record's serial is gone, and reading the frames' params answers NULL. */
#include "trace.h"

enum { STACK_STARTED = 1 };

lun_stack lun_call_stack(const lun_call *call) {
  /* The record is the store's own, never const. */
  Record *record = (Record *)call;
  Store *store = record->function->store;
  if (!record->serial) record->serial = ++store->last_serial;
  Walk walk = walk_from_record(store, record);
  return (lun_stack){ .store = store, .record = record, .function = walk.function, .fp = walk.fp, .serial = record->serial,
                      .origin = record };
}

static bool is_live(const Record *record, uint64_t serial) { return serial != 0 && record->serial == serial; }

bool lun_stack_next(lun_stack *stack) {
  const Record *origin = stack->origin;
  if (!stack->function || !is_live(origin, stack->serial)) return false;
  Walk walk;
  if (UNLIKELY(!(stack->flags & STACK_STARTED))) {
    walk = walk_from_record(stack->store, stack->record);
    stack->flags |= STACK_STARTED;
    stack->frame.origin = origin;
    stack->frame.serial = stack->serial;
  } else {
    walk.store = stack->store;
    walk.record = stack->record;
    walk.function = stack->function;
    walk.fp = stack->fp;
    if (!walk_next(&walk)) {
      stack->function = NULL;
      return false;
    }
  }
  stack->record = walk.record;
  stack->function = walk.function;
  stack->fp = walk.fp;
  walk_frame(&walk, &stack->frame);
  return true;
}

static const Slot *frame_params(const Function *function, const Slot *fp, const Record *origin, bool *exact) {
  if (exact) *exact = function->callback || !function->writes_params;
  for (const Record *record = origin; record && record->fp >= fp; record = record->prev) {
    if (record->kind != RECORD_CALL || record->fp != fp) continue;
    /* In after, this call's own or that of a callback further out, the results stand where the params were. */
    if (record->phase == PHASE_AFTER && !record->params) return NULL;
    if ((record->phase == PHASE_AFTER || record->phase == PHASE_ABORT) && record->params) {
      if (exact) *exact = true;
      return record->params;
    }
    break;
  }
  return fp - 2 - function->type->slots;
}

const uint64_t *lun_stack_params(const lun_stack *stack, bool *exact) {
  const Record *origin = stack->origin;
  if (!stack->function || !(stack->flags & STACK_STARTED) || !is_live(origin, stack->serial)) return NULL;
  return frame_params(stack->function, stack->fp, origin, exact);
}

const uint64_t *lun_frame_params(const lun_frame *frame, bool *exact) {
  const Record *origin = frame->origin;
  if (!origin || !is_live(origin, frame->serial)) return NULL;
  return frame_params(frame->function, frame->slots, origin, exact);
}

lun_snapshot *lun_call_snapshot(const lun_call *call) {
  Record *record = (Record *)call;
  return snapshot_take(walk_from_record(record->function->store, record));
}
