/* SPDX-License-Identifier: MIT */
/* Walking the stack: frames through the callers' fps and call records, and the side stack along with them, which holds the
 * true return words of frames that are listened to or crossed into, and joins the runs. */
#include "engine.h"

static const Word *word_at(Slot slot) { return (const Word *)(uintptr_t)slot; }

const Word *true_return_past(const Slot *fp, Record **record) {
  const Word *ret;
  Record *at = *record;
  do {
    while (at->fp != fp || at->kind == RECORD_HOST || at->kind == RECORD_SAFEPOINT) at = at->prev;
    ret = at->ret;
    at = at->prev;
  } while (is_patched(ret));
  *record = at;
  return ret;
}

const Word *true_return(const Slot *fp, const Record *record) {
  Record *at = (Record *)record; /* the store's own, never const */
  const Word *ret = word_at(fp[-1]);
  return is_patched(ret) ? true_return_past(fp, &at) : ret;
}

/* Looks up how the frame that the walk has come to will be left. */
static void look_ahead(Walk *walk) {
  walk->behind = walk->record;
  walk->ret = word_at(walk->fp[-1]);
  if (is_patched(walk->ret)) walk->ret = true_return_past(walk->fp, &walk->behind);
  walk->reentry = walk->ret == exit_word;
}

Walk walk_from_record(Store *store, Record *record) {
  Walk walk = { .store = store, .record = record, .function = record->function, .fp = record->fp,
                .offset = UINT32_MAX };
  if (record->kind == RECORD_CALL && record->phase == PHASE_BEFORE && !record->function->callback)
    walk.offset = body_offset(record->function->definition);
  else if (record->kind == RECORD_SAFEPOINT || (record->kind == RECORD_CALL && record->phase == PHASE_ABORT))
    walk.offset = record->offset;
  look_ahead(&walk);
  return walk;
}

/* Past the mark on top: to the callback or host function from which this run was entered. */
static bool leave_run(Walk *walk, Record *mark) {
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
    if (!leave_run(&walk, store->record)) walk.function = NULL;
  } else {
    look_ahead(&walk);
  }
  return walk;
}

bool walk_next(Walk *walk) {
  if (!walk->function) return false;
  const Word *ret = walk->ret;
  if (UNLIKELY(ret == exit_word)) {
    if (leave_run(walk, walk->behind)) return true;
    walk->function = NULL;
    return false;
  }
  walk->record = walk->behind;
  walk->function = ret[-1].owner;
  walk->fp = (Slot *)(uintptr_t)walk->fp[-2];
  walk->pc = NULL;
  walk->offset = ret[-1].offset;
  look_ahead(walk);
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

const Slot *frame_params(const Function *function, const Slot *fp, const Record *record, uint64_t *written) {
  if (written) *written = function->written_params;
  for (; record && record->fp >= fp; record = record->prev) {
    if (record->fp != fp) continue;
    if (record->phase == PHASE_INTERCEPTED) return NULL;
    if (record->kind != RECORD_CALL) continue;
    /* In after, this call's own or that of a callback further out, the results stand where the params were. */
    if (record->phase == PHASE_AFTER && !record->params) return NULL;
    if ((record->phase == PHASE_AFTER || record->phase == PHASE_ABORT) && record->params) {
      if (written) *written = 0;
      return record->params;
    }
    break;
  }
  return fp - 2 - function->type->slots;
}

/* The record of the frame that the walk has come to, where it has one that can know its depth. */
static Record *knowing_record(const Walk *walk) {
  Record *record = walk->record;
  bool knows = record && record->fp == walk->fp && (record->kind == RECORD_CALL || record->kind == RECORD_HOST);
  return knows ? record : NULL;
}

uint32_t record_depth(Record *record) {
  if (record->depth) return record->depth - 1;
  const Walk start = walk_from_record(record->function->store, record);
  Walk walk = start;
  uint32_t steps = 0, below = 0;
  const Record *known = NULL;
  while (walk_next(&walk)) {
    steps++;
    known = knowing_record(&walk);
    if (known && known->depth) {
      below = known->depth - 1;
      break;
    }
  }
  record->depth = steps + below + 1;
  /* Those further out are told, too, where the way was long: at an abort each call asks, the innermost first. */
  walk = start;
  for (uint32_t i = 1; steps > 8 && i < steps && walk_next(&walk); i++) {
    Record *outer = knowing_record(&walk);
    if (outer) outer->depth = steps - i + below + 1;
  }
  return record->depth - 1;
}
