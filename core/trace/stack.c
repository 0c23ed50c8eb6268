/* SPDX-License-Identifier: MIT */
/* The borrowed view of the stack: a Walk, kept in a value of the caller's. It carries the serial of the callback that it was
 * taken in; when the callback is over the record's serial is gone, and reading the frames' params answers NULL. */
#include "trace.h"

/* What stands in place of a return word before the first frame and behind the last: words of no code, beside exit_word, so
 * that one compare finds all three. */
#define ret_unstarted (&special_words[0])
#define ret_ended (&special_words[2])
static inline bool is_edge(const Word *ret) { return is_special(ret, 0, 2); }

lun_stack lun_call_stack(const lun_call *call) {
  /* The record is the store's own, never const. */
  Record *record = (Record *)call;
  Store *store = record->function->store;
  if (!record->serial) record->serial = ++store->last_serial;
  return (lun_stack){ .store = store, .record = record, .ret = ret_unstarted, .serial = record->serial, .origin = record };
}

static bool is_live(const Record *record, uint64_t serial) { return serial != 0 && record->serial == serial; }

/* The walk stands on a frame: so does the stack. */
static void stand(lun_stack *stack, const Walk *walk) {
  stack->record = walk->behind;
  stack->ret = walk->ret;
  stack->frame.record = walk->record;
  stack->frame.function = walk->function;
  stack->frame.slots = walk->fp;
  walk_frame(walk, &stack->frame);
}

/* The first frame, or one on the other side of a run's mark. */
static __attribute__((noinline)) bool step_far(lun_stack *stack) {
  Walk walk;
  if (stack->ret == ret_unstarted) {
    walk = walk_from_record(stack->store, stack->record);
    stack->frame.origin = stack->origin;
    stack->frame.serial = stack->serial;
  } else {
    walk = (Walk){ .store = stack->store, .function = (Function *)stack->frame.function, .fp = (Slot *)stack->frame.slots,
                   .ret = stack->ret, .behind = stack->record };
    if (!walk_next(&walk)) {
      stack->ret = ret_ended;
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
  stack->record = record->prev;
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

/* At an edge: before the first frame, at one that the host called, or behind the last. */
static __attribute__((noinline)) bool step_edge(lun_stack *stack) {
  if (stack->ret == ret_ended) return false;
  if (stack->ret == ret_unstarted) return step_first(stack);
  const Record *mark = stack->record;
  if (mark->prev || mark->kind != RECORD_MARK) return step_far(stack);
  stack->ret = ret_ended;
  return false;
}

/* As walk_next, from one guest frame to another, without its detours: most of what a walk costs. */
bool lun_stack_next(lun_stack *stack) {
  const Word *ret = stack->ret;
  if (UNLIKELY(!is_live(stack->origin, stack->serial))) return false;
  if (UNLIKELY(is_edge(ret))) return step_edge(stack);
  const Function *function = ret[-1].owner;
  const Slot *fp = (const Slot *)(uintptr_t)((const Slot *)stack->frame.slots)[-2];
  stack->frame.definition = function->definition;
  stack->frame.instance = function->instance;
  stack->frame.offset = ret[-1].offset;
  stack->frame.is_host = false;
  stack->frame.slots = fp;
  stack->frame.function = function;
  stack->frame.record = stack->record;
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
  if (stack->ret == ret_unstarted || stack->ret == ret_ended) return NULL;
  return lun_frame_params(&stack->frame, exact);
}

const uint64_t *lun_frame_params(const lun_frame *frame, bool *exact) {
  const Record *origin = frame->origin;
  if (!origin || !is_live(origin, frame->serial)) return NULL;
  uint64_t written;
  const Slot *params = frame_params(frame->function, frame->slots, frame->record, &written);
  if (exact) *exact = written == 0;
  return params;
}

bool lun_frame_exact(const lun_frame *frame, uint32_t param) {
  const Record *origin = frame->origin;
  uint64_t written;
  if (!origin || !is_live(origin, frame->serial)) return false;
  return frame_params(frame->function, frame->slots, frame->record, &written) && !is_written(written, param);
}

lun_snapshot *lun_call_snapshot(const lun_call *call) {
  Record *record = (Record *)call;
  return snapshot_take(walk_from_record(record->function->store, record), false);
}
