/* SPDX-License-Identifier: MIT */
/* The short way of a call that one listener hears, of which nothing more is kept: its before and after are called from here.
 * Whatever else there is to see to sends the call the other way, by the hooks (ENTER_TRACED, AFTER_TOLD). The figures stand
 * in RATIONALE.md. */
#include "run.h"

HANDLER(ENTER_HEARD) {
  (void)mem, (void)size, (void)base;
  Function *function = (Function *)pc;
  Listening *set = function->set;
  const Ear *ear = set->ear;
  /* What has to live on over the callback is kept small: memory is loaded again, and base is of no use to an entry. */
  if (UNLIKELY(!has_room(function, fp, store) || (store->detours | ear->silent) != 0))
    return op_ENTER_TRACED(pc, fp, NULL, 0, store, 0);
  Record *record = record_open(store, function, fp, set->extra);
  if (UNLIKELY(!record)) return op_ENTER_TRACED(pc, fp, NULL, 0, store, 0);
  record->hearings[0] = (Hearing){ NULL, true };
  if (LIKELY(ear->before != NULL)) {
    listener_tell(ear->before, ear->self, record, fp - 2 - function->type->slots);
    record->serial = 0;
    if (UNLIKELY(record->failed)) store->hooks->failed(store, record);
  }
  record->phase = PHASE_NONE;
  if (UNLIKELY(store->pending) && !run_settle_before(pc, fp, store, true)) return;
  mem = function->memory->data, size = function->memory->bytes;
  /* Detached by its own before: then the entry word holds the handler again. */
  Handler enter = function->kept ? function->kept : pc->handler;
  return enter(pc, fp, mem, size, store, 0);
}

HANDLER(AFTER) {
  (void)mem, (void)size;
  Record *record = store->record;
  const Ear *ear = record->set->ear;
  if (UNLIKELY(!ear || store->detours)) return op_AFTER_TOLD(pc, fp, NULL, 0, store, base);
  record->phase = PHASE_AFTER;
  record->current = 0;
  if (LIKELY(ear->after && record->hearings[0].heard)) {
    listener_tell(ear->after, ear->self, record, (const Slot *)(uintptr_t)base);
    record->serial = 0;
    if (UNLIKELY(record->failed)) store->hooks->failed(store, record);
  }
  Listening *set = record->set;
  if (LIKELY(set->holders > 1)) set->holders--;
  else store->hooks->drop(set);
  const Word *ret = record->ret;
  record_pop(store);
  if (UNLIKELY(store->pending) && !run_settle_after(store, record)) return;
  const Memory *memory = ret[-1].owner->memory;
  mem = memory->data, size = memory->bytes;
  GO(ret);
}
