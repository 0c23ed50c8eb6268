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
  return (lun_stack){ .store = store, .record = record, .function = record->function, .serial = record->serial,
                      .origin = record };
}

static bool is_live(const Record *record, uint64_t serial) { return serial != 0 && record->serial == serial; }

/* The walk stands on a frame: so does the stack. */
static void stand(lun_stack *stack, const Walk *walk) {
  stack->record = walk->behind;
  stack->function = walk->function;
  stack->fp = walk->fp;
  stack->ret = walk->ret;
  stack->frame.record = walk->record;
  walk_frame(walk, &stack->frame);
}

/* The first frame, or one on the other side of a run's mark. */
static __attribute__((noinline)) bool step_far(lun_stack *stack) {
  Walk walk;
  if (!(stack->flags & STACK_STARTED)) {
    walk = walk_from_record(stack->store, stack->record);
    stack->flags |= STACK_STARTED;
    stack->frame.origin = stack->origin;
    stack->frame.serial = stack->serial;
  } else {
    walk = (Walk){ .store = stack->store, .function = stack->function, .fp = stack->fp, .ret = stack->ret,
                   .behind = stack->record };
    if (!walk_next(&walk)) {
      stack->function = NULL;
      return false;
    }
  }
  stand(stack, &walk);
  return true;
}

/* To the frame of the call at hand, most often one that was called by the guest and has just been entered. */
static bool step_first(lun_stack *stack) {
  const Record *record = stack->record;
  const Function *function = record->function;
  const Word *ret = record->ret;
  if (UNLIKELY(record->phase != PHASE_BEFORE || record->kind != RECORD_CALL || is_patched(ret) || function->callback))
    return step_far(stack);
  stack->flags |= STACK_STARTED;
  stack->record = record->prev;
  stack->fp = record->fp;
  stack->ret = ret;
  stack->frame = (lun_frame){ .definition = function->definition, .instance = function->instance,
                              .offset = body_offset(function->definition), .reentry = ret == exit_word, .slots = record->fp,
                              .function = function, .record = record, .origin = record, .serial = stack->serial };
  return true;
}

static __attribute__((noinline)) const Word *true_return_of(lun_stack *stack, const Slot *fp) {
  Record *record = stack->record;
  const Word *ret = true_return_past(fp, &record);
  stack->record = record;
  return ret;
}

/* As walk_next, from one guest frame to another, without its detours: most of what a walk costs. */
bool lun_stack_next(lun_stack *stack) {
  if (UNLIKELY(!stack->function || !is_live(stack->origin, stack->serial))) return false;
  const Word *ret = stack->ret;
  if (UNLIKELY(!ret)) return step_first(stack);
  if (UNLIKELY(ret == exit_word)) {
    const Record *mark = stack->record;
    if (mark->prev || mark->kind != RECORD_MARK) return step_far(stack);
    stack->function = NULL;
    return false;
  }
  const Function *function = ret[-1].owner;
  const Slot *fp = (const Slot *)(uintptr_t)((const Slot *)stack->fp)[-2];
  stack->frame.definition = function->definition;
  stack->frame.instance = function->instance;
  stack->frame.offset = ret[-1].offset;
  stack->frame.is_host = false;
  stack->frame.slots = fp;
  stack->frame.function = function;
  stack->frame.record = stack->record;
  stack->function = (Function *)function;
  stack->fp = (Slot *)fp;
  ret = (const Word *)(uintptr_t)fp[-1];
  if (is_patched(ret)) {
    const Record *record = stack->record;
    ret = record->ret;
    if (LIKELY(record->fp == fp && record->kind == RECORD_CALL && !is_patched(ret))) stack->record = record->prev;
    else ret = true_return_of(stack, fp);
  }
  stack->ret = ret;
  stack->frame.reentry = ret == exit_word;
  return true;
}

const uint64_t *lun_stack_params(const lun_stack *stack, bool *exact) {
  const Record *origin = stack->origin;
  if (!stack->function || !(stack->flags & STACK_STARTED) || !is_live(origin, stack->serial)) return NULL;
  return frame_params(stack->function, stack->fp, stack->frame.record, exact);
}

const uint64_t *lun_frame_params(const lun_frame *frame, bool *exact) {
  const Record *origin = frame->origin;
  if (!origin || !is_live(origin, frame->serial)) return NULL;
  return frame_params(frame->function, frame->slots, frame->record, exact);
}

lun_snapshot *lun_call_snapshot(const lun_call *call) {
  Record *record = (Record *)call;
  return snapshot_take(walk_from_record(record->function->store, record), false);
}
