/* SPDX-License-Identifier: MIT */
/* Walking the stack: frames through the callers' fps and call records, and the side stack along with them, which holds the
 * true return words of frames that are listened to or crossed into, and joins the runs. */
#include "engine.h"

static const Word *word_at(Slot slot) { return (const Word *)(uintptr_t)slot; }

const Word *true_return(const Slot *fp, const Record *record) {
  const Word *ret = word_at(fp[-1]);
  for (; ret == after_word || ret == bridge_word; record = record->prev) {
    while (record->fp != fp || record->kind == RECORD_HOST) record = record->prev;
    ret = record->ret;
  }
  return ret;
}

Walk walk_from_record(Store *store, Record *record) {
  Walk walk = { .store = store, .record = record, .function = record->function, .fp = record->fp,
                .offset = UINT32_MAX };
  if (record->kind == RECORD_CALL && record->phase == PHASE_BEFORE && !record->function->callback)
    walk.offset = body_offset(record->function->definition);
  else if (record->kind == RECORD_CALL && record->phase == PHASE_ABORT)
    walk.offset = record->offset;
  walk.reentry = true_return(walk.fp, record) == exit_word;
  return walk;
}

/* Past the mark on top: to the callback or host function from which this run was entered. */
static bool leave_run(Walk *walk) {
  Record *mark = walk->record;
  while (mark && mark->kind != RECORD_MARK) mark = mark->prev;
  Record *caller = mark ? mark->prev : NULL;
  if (!caller) return false;
  *walk = walk_from_record(walk->store, caller);
  return true;
}

Walk walk_from_point(Store *store, const Point *point) {
  Walk walk = { .store = store, .record = store->record, .function = point->function, .fp = point->fp, .pc = point->pc,
                .offset = point->offset };
  if (!point->function) {
    if (!leave_run(&walk)) walk.function = NULL;
  } else {
    walk.reentry = true_return(walk.fp, walk.record) == exit_word;
  }
  return walk;
}

/* The frame at fp was left by way of records, or by none: its true return word, with walk->record behind them. */
static const Word *leave_frame(Walk *walk, const Word *ret) {
  while (ret == after_word || ret == bridge_word) {
    while (walk->record->fp != walk->fp || walk->record->kind == RECORD_HOST) walk->record = walk->record->prev;
    ret = walk->record->ret;
    walk->record = walk->record->prev;
  }
  return ret;
}

bool walk_next(Walk *walk) {
  if (!walk->function) return false;
  if (UNLIKELY(walk->function->callback))
    while (walk->record && walk->record->fp == walk->fp && walk->record->kind == RECORD_HOST) walk->record = walk->record->prev;
  const Word *ret = leave_frame(walk, word_at(walk->fp[-1]));
  if (UNLIKELY(ret == exit_word)) {
    if (leave_run(walk)) return true;
    walk->function = NULL;
    return false;
  }
  walk->function = ret[-1].owner;
  walk->fp = (Slot *)(uintptr_t)walk->fp[-2];
  walk->pc = NULL;
  walk->offset = ret[-1].offset;
  walk->reentry = true_return(walk->fp, walk->record) == exit_word;
  return true;
}

uint32_t walk_offset(const Walk *walk) {
  if (walk->function->callback) return UINT32_MAX;
  return walk->pc ? offsets_find(walk->function, walk->pc) : walk->offset;
}

void walk_frame(const Walk *walk, lun_frame *out) {
  uint32_t offset = walk_offset(walk);
  const Function *function = walk->function;
  out->definition = function->definition;
  out->instance = function->instance;
  out->offset = offset == UINT32_MAX ? LUN_NO_OFFSET : offset;
  out->is_host = function->callback != NULL;
  out->reentry = walk->reentry;
  out->slots = walk->fp;
  out->function = function;
}

uint32_t record_depth(Record *record) {
  if (record->depth) return record->depth - 1;
  Walk walk = walk_from_record(record->function->store, record);
  uint32_t frames = 0;
  while (walk_next(&walk)) {
    frames++;
    /* The record of the frame that the walk has come to, where it has one that knows its own depth. */
    Record *known = walk.record;
    if (known && known->fp == walk.fp && (known->kind == RECORD_CALL || known->kind == RECORD_HOST) && known->depth) {
      frames += known->depth - 1;
      break;
    }
  }
  record->depth = frames + 1;
  return frames;
}
