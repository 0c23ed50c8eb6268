/* SPDX-License-Identifier: MIT */
/* Telling that a memory or a table was to grow, for whoever watches (trace). In guest code a record says where: its function
 * is the guest's, its offset the instruction's; a walk begins with that frame, and what callbacks call begins above it. */
#include "run.h"

/* `result`: what the instruction gave; no memory or table has so many pages or elements. */
static Growth growth_of(Instance *instance, uint64_t old_size, uint64_t delta, uint64_t result) {
  bool failed = result == UINT32_MAX || result == UINT64_MAX;
  return (Growth){ .instance = instance, .old = failed ? old_size : result, .delta = delta,
                   .result = failed ? UINT64_MAX : result };
}

/* The instruction at pc, with its result. False: a callback has asked for the end, and the run is over. */
static __attribute__((noinline)) bool tell_guest(const Word *pc, Slot *fp, Store *store, uint64_t delta, bool is_table) {
  Function *function = code_owner(store, pc);
  const Table *table = is_table ? pc[1].p0 : NULL;
  const Memory *memory = is_table ? NULL : pc[1].p0;
  Growth growth = growth_of(function->instance, is_table ? table->count : memory->bytes / LUN_PAGE, delta, A);
  growth.memory = (Memory *)memory;
  growth.table = (Table *)table;
  Record *record = record_push(store, RECORD_SAFEPOINT, PHASE_HOST, fp, 0);
  if (!record) return true;
  record->function = function;
  record->offset = offsets_find(function, pc);
  store->hooks->grown(store, record, &growth);
  record->serial = 0;
  record_pop(store);
  if (LIKELY(!store->pending)) return true;
  const Point at = { function, fp, pc, UINT32_MAX };
  lun_status status = safepoint(store, &at);
  if (status == LUN_OK) return true;
  store->outcome = status;
  store->point = at;
  return false;
}

COLD void run_memory_grown(ARGUMENTS) {
  (void)mem, (void)size;
  if (!tell_guest(pc, fp, store, base, false)) return;
  const Instance *instance = pc[1].p1;
  mem = memory_data(instance), size = memory_bytes(instance);
  GO(pc + 2);
}

COLD void run_table_grown(ARGUMENTS) {
  (void)mem, (void)size;
  if (!tell_guest(pc, fp, store, base, true)) return;
  const Instance *instance = code_owner(store, pc)->instance;
  mem = memory_data(instance), size = memory_bytes(instance);
  GO(pc + 2);
}

uint64_t lun_memory_grow(Memory *memory, uint64_t pages) {
  Store *store = memory->store;
  uint64_t old = memory->bytes / LUN_PAGE, result = memory_grow(memory, pages);
  if (UNLIKELY(store->hears_growth)) {
    Growth growth = growth_of(NULL, old, pages, result);
    growth.memory = memory;
    store->hooks->grown(store, store->record, &growth);
  }
  return result;
}
