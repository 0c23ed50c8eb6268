/* SPDX-License-Identifier: MIT */
/* The short way of a call that one listener hears, of which nothing more is kept: its before and after are called from here.
 * Whatever else there is to see to sends the call the other way, by the hooks (ENTER_TRACED, AFTER_TOLD). The figures stand
 * in RATIONALE.md. */
#include "run.h"

#define INLINE static inline __attribute__((always_inline))

/* Behind the before of the call's one listener. */
INLINE void go_in(const Word *pc, Slot *fp, Store *store, Record *record) {
  Function *function = (Function *)pc;
  record->serial = 0;
  if (UNLIKELY(record->failed)) store->hooks->failed(store, record);
  record->phase = PHASE_NONE;
  if (UNLIKELY(store->pending) && !run_settle_before(pc, fp, store, true)) return;
  uint8_t *mem = function->memory->data;
  uint64_t size = function->memory->bytes;
  /* Detached by its own before: then the entry word holds the handler again. */
  Handler enter = function->kept ? function->kept : pc->handler;
  return enter(pc, fp, mem, size, store, 0);
}

/* Behind its after. */
INLINE void go_out(Slot *fp, Store *store, uint64_t base, Record *record) {
  record->serial = 0;
  if (UNLIKELY(record->failed)) store->hooks->failed(store, record);
  Listening *set = record->set;
  if (LIKELY(set->holders > 1)) set->holders--;
  else store->hooks->drop(set);
  const Word *ret = record->ret;
  record_pop(store);
  if (UNLIKELY(store->pending) && !run_settle_after(store, record)) return;
  const Memory *memory = ret[-1].owner->memory;
  uint8_t *mem = memory->data;
  uint64_t size = memory->bytes;
  GO(ret);
}

HANDLER(ENTER_HEARD) {
  (void)mem, (void)size, (void)base;
  Function *function = (Function *)pc;
  Listening *set = function->set;
  const Ear *ear = set->ear;
  /* What has to live on over the callback is kept small: memory is loaded again, and base is of no use to an entry. */
  if (UNLIKELY(!has_room(function, fp, store) || (store->detours | ear->silent) != 0))
    return op_ENTER_TRACED(pc, fp, NULL, 0, store, 0);
  Record *record = record_open(store, function, RECORD_JUMPS, fp, set->extra);
  if (UNLIKELY(!record)) return op_ENTER_TRACED(pc, fp, NULL, 0, store, 0);
  record->hearings[0] = (Hearing){ NULL, true };
  if (LIKELY(ear->before != NULL)) listener_tell(ear->before, ear->self, record, fp - 2 - function->type->slots);
  return go_in(pc, fp, store, record);
}

HANDLER(AFTER) {
  (void)mem, (void)size;
  Record *record = store->record;
  const Ear *ear = record->set->ear;
  if (UNLIKELY(!ear || store->detours)) return op_AFTER_TOLD(pc, fp, NULL, 0, store, base);
  record->phase = PHASE_AFTER;
  record->current = 0;
  if (LIKELY(ear->after && record->hearings[0].heard))
    listener_tell(ear->after, ear->self, record, (const Slot *)(uintptr_t)base);
  return go_out(fp, store, base, record);
}

/* ---- where the one listener was left by a jump, whichever way it was called ---- */
static void see_behind(Store *store, Record *record) {
  record->serial = 0;
  if (record->failed) store->hooks->failed(store, record);
  store->hooks->behind(store, record);
}

void run_behind(Store *store) {
  Record *record = store->record;
  see_behind(store, record);
  const Function *function = record->function;
  Slot *fp = record->fp;
  if (record->phase == PHASE_BEFORE) go_in(&function->entry, fp, store, record);
  else go_out((Slot *)(uintptr_t)fp[-2], store, of_pointer(fp - 2 - function->type->slots), record);
}

void run_end_behind(Store *store, lun_status outcome) {
  Record *record = store->record;
  Function *function = record->function;
  Slot *fp = record->fp;
  see_behind(store, record);
  if (record->phase == PHASE_BEFORE) {
    record->phase = PHASE_NONE;
    store->outcome = outcome;
    store->point = (Point){ function, fp, NULL, UINT32_MAX };
    return;
  }
  Listening *set = record->set;
  if (set->holders > 1) set->holders--;
  else store->hooks->drop(set);
  fp[-1] = of_pointer(record->ret);
  record_pop(store);
  refuse(&function->entry, fp, store, outcome);
}
