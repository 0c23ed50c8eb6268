/* SPDX-License-Identifier: MIT */
/* How a handler is written: run.c has those of control and calls, run_data.c those that move values, run_numeric.c those of
 * numbers and memory 0.
 *
 * Each handler does its work and ends in one tail call of the next word's handler, so that the C stack never grows; the
 * state travels in six registers. Whatever needs the address of a local, or more than a few lines, is done by a function of
 * its own that returns. A failure is noted in the store and the handler returns, straight to invoke.c. No address of a local
 * is taken; results are written as full slots; after anything that may call out, memory 0 is reloaded from the instance. A
 * build check disassembles all of them. */
#ifndef LUN_RUN_H
#define LUN_RUN_H

#include <string.h>

#include "code.h"
#include "engine.h"
#include "numeric.h"

#define ARGUMENTS const Word *pc, Slot *fp, uint8_t *mem, uint64_t size, Store *store, uint64_t base
#define HANDLER(id) void op_##id(ARGUMENTS)
#define GO(to) return (to)->handler((to), fp, mem, size, store, base)
#define NEXT GO(pc + 1)
#define COLD __attribute__((noinline, cold))

#define A fp[pc->a]
#define B fp[pc->b]
#define C fp[pc->c]

/* All of them, for the table in run.c. */
#define DECLARE(id) void op_##id(ARGUMENTS);
#define OP(code, id, text, immediate, signature, class) CODES_##class(DECLARE, id)
#include "ops.def"
#undef OP
CODE_LIST(DECLARE)
#undef DECLARE

static inline uint64_t of_pointer(const void *pointer) { return (uint64_t)(uintptr_t)pointer; }
static inline const Word *word_at(uint64_t slot) { return (const Word *)(uintptr_t)slot; }
static inline uintptr_t limit_of(Store *store) { return atomic_load_explicit(&store->limit, memory_order_relaxed); }

/* Notes the trap `base` at this instruction. */
COLD void run_trap(ARGUMENTS);
#define TRAP(which) do { base = (which); return run_trap(pc, fp, mem, size, store, base); } while (0)

/* Whether the frame ends below the limit: not while the flag is raised, nor before its function is translated. */
static inline bool has_room(const Function *function, const Slot *fp, Store *store) {
  return (uintptr_t)fp + (uintptr_t)function->frame_slots * sizeof(Slot) <= limit_of(store);
}
static inline bool is_too_deep(const Function *function, const Store *store) {
  const Instance *instance = function->instance;
  return instance && UNLIKELY(instance->max_depth != 0) && store->depth >= instance->max_depth;
}

/* The callee whose frame is at fp was not entered: the failure is the caller's, at its call. A frame that is listened to
 * has been entered, and its call is open. */
void refuse(const Word *pc, Slot *fp, Store *store, lun_status outcome);
/* Makes a call ready that others are told of first: translated, with room, and no safepoint due. AGAIN: at the safepoint
 * others have come to listen to the function, or none; the entry word says how it goes on (op_ENTER_AGAIN). */
typedef enum Start { START_REFUSED, START_AGAIN, START_WELL } Start;
COLD Start prepare_told(const Word *pc, Slot *fp, Store *store, Handler self);
COLD void op_ENTER_AGAIN(ARGUMENTS);
/* Behind a before that asked for the end, or for whose record there was no room (not `entered`), and behind such an after:
 * what was asked for happens. True: the run goes on. */
bool run_settle_before(const Word *pc, Slot *fp, Store *store, bool entered);
bool run_settle_after(Store *store, const Record *record);
/* Goes on where an exception was caught. */
void go_on(ARGUMENTS);

/* growth.c: behind a grow, where somebody watches: tells of it and goes on. `base` is what was asked for. */
COLD void run_memory_grown(ARGUMENTS);
COLD void run_table_grown(ARGUMENTS);

/* Branches; backwards with a safepoint. `base` of run_poll is the distance to jump. */
COLD void run_poll(ARGUMENTS);
#define JUMP(distance) do { pc += (distance); GO(pc); } while (0)
#ifdef LUN_UNPOLLED /* for the bench alone: what do safepoints cost? */
#define JUMP_POLLED(distance) JUMP(distance)
#else
#define JUMP_POLLED(distance) \
  do { \
    if (UNLIKELY(limit_of(store) == 0)) { \
      base = (uint64_t)(int64_t)(distance); \
      return run_poll(pc, fp, mem, size, store, base); \
    } \
    JUMP(distance); \
  } while (0)
#endif

/* An access to memory 0: b is the address, u the offset, `address` their sum. A 32-bit one has 34 bits at most. A 64-bit
 * one lies below the size, which leaves room for the offset. */
#define ADDRESS(bytes) \
  uint64_t address = (uint64_t)(uint32_t)B + pc->u; \
  if (UNLIKELY(address + (bytes) > size)) TRAP(LUN_TRAP_MEMORY_OUT_OF_BOUNDS)
#define ADDRESS_64(bytes) \
  uint64_t address = B; \
  if (UNLIKELY(address >= size || address + pc->u + (bytes) > size)) TRAP(LUN_TRAP_MEMORY_OUT_OF_BOUNDS); \
  address += pc->u

#endif
