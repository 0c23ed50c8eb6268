/* SPDX-License-Identifier: MIT */
/* The handlers of entries, calls and control; failing; and the table of all handlers. How a handler is written stands in
 * run.h. */
#include "run.h"

/* ---- failing ---- */
COLD void run_trap(ARGUMENTS) {
  (void)mem, (void)size;
  store->outcome = LUN_TRAP;
  store->trap = (lun_trap)base;
  store->point = (Point){ code_owner(store, pc), fp, pc, UINT32_MAX };
}

/* The failure `base` of an instruction that stands in a body. */
static COLD void fail(ARGUMENTS) {
  (void)mem, (void)size;
  store->outcome = (lun_status)base;
  store->point = (Point){ code_owner(store, pc), fp, pc, UINT32_MAX };
}

void refuse(const Word *pc, Slot *fp, Store *store, lun_status outcome) {
  store->outcome = outcome;
  const Word *ret = word_at(fp[-1]);
  while (ret == bridge_word) {
    ret = store->record->ret;
    record_pop(store);
  }
  if (is_patched(ret)) { /* bridges have been passed */
    Function *function = (Function *)pc;
    store->point = (Point){ function, fp, NULL, function->callback ? UINT32_MAX : body_offset(function->definition) };
  } else if (ret == exit_word) {
    store->point = (Point){ NULL, fp, NULL, UINT32_MAX };
  } else {
    store->point = (Point){ ret[-1].owner, (Slot *)(uintptr_t)fp[-2], NULL, ret[-1].offset };
  }
}

/* What to do where the limit compare of an entry failed: LUN_OK to go on. */
static COLD lun_status check_entry(const Word *pc, Slot *fp, Store *store) {
  const Function *function = (const Function *)pc;
  /* The limit says it, not the flags: another thread raises them first and the limit after, and what it raised may have been
   * dealt with in between. */
  lun_status status = LUN_OK;
  if (limit_of(store) == 0 || store->pending) {
    const Point at = { (Function *)pc, fp, NULL, function->callback ? UINT32_MAX : body_offset(function->definition) };
    status = safepoint(store, &at);
  }
  if (status == LUN_OK && (uintptr_t)(fp + function->frame_slots) > store->true_limit) status = LUN_EXHAUSTED;
  if (status != LUN_OK) refuse(pc, fp, store, status);
  return status;
}

/* ---- entries ---- */
static void op_ENTER_SLOW(ARGUMENTS) {
  if (check_entry(pc, fp, store) != LUN_OK) return;
  const Function *function = (const Function *)pc;
  Handler again = function->kept ? function->kept : pc->handler;
  mem = function->memory->data, size = function->memory->bytes;
  return again(pc, fp, mem, size, store, base);
}

HANDLER(ENTER0) {
  if (UNLIKELY((uintptr_t)(fp + ((const Function *)pc)->frame_slots) > limit_of(store)))
    return op_ENTER_SLOW(pc, fp, mem, size, store, base);
  GO(pc->body);
}

HANDLER(ENTER) {
  const Function *function = (const Function *)pc;
  if (UNLIKELY((uintptr_t)(fp + function->frame_slots) > limit_of(store)))
    return op_ENTER_SLOW(pc, fp, mem, size, store, base);
  for (uint32_t i = 0, n = function->local_slots; i < n; i++) fp[i] = 0;
  GO(pc->body);
}

/* ---- limits that are counted, for instances made with them ---- */
static COLD void refuse_depth(const Word *pc, Slot *fp, Store *store) {
  refuse(pc, fp, store, LUN_EXHAUSTED);
  lun_error_set(&store->error, LUN_EXHAUSTED, "more than %u calls inside one another",
                (unsigned)((const Function *)pc)->instance->max_depth);
}

HANDLER(ENTER_COUNTED) {
  const Function *function = (const Function *)pc;
  if (UNLIKELY((uintptr_t)(fp + function->frame_slots) > limit_of(store)))
    return op_ENTER_SLOW(pc, fp, mem, size, store, base);
  if (UNLIKELY(store->depth >= function->instance->max_depth)) {
    refuse_depth(pc, fp, store);
    return;
  }
  store->depth++;
  for (uint32_t i = 0, n = function->local_slots; i < n; i++) fp[i] = 0;
  GO(pc->body);
}

HANDLER(LEAVE) {
  store->depth--;
  NEXT;
}

HANDLER(FUEL) {
  if (UNLIKELY(store->fuel < pc->u)) {
    store->fuel = 0;
    base = LUN_FUEL;
    return fail(pc, fp, mem, size, store, base);
  }
  store->fuel -= pc->u;
  NEXT;
}

/* Behind a bulk instruction whose operands begin at slot a: its share for their count. */
HANDLER(FUEL_RANGE) {
  uint64_t cost = fp[pc->a + 2] / 64;
  if (UNLIKELY(store->fuel < cost)) {
    store->fuel = 0;
    base = LUN_FUEL;
    return fail(pc, fp, mem, size, store, base);
  }
  store->fuel -= cost;
  NEXT;
}

static COLD bool translate_now(const Word *pc, Slot *fp, Store *store) {
  Function *function = (Function *)pc;
  lun_status status = translate(function);
  if (status == LUN_OK) return true;
  refuse(pc, fp, store, status);
  return false;
}

HANDLER(TRANSLATE) {
  if (!translate_now(pc, fp, store)) return;
  const Function *function = (const Function *)pc;
  Handler enter = function->kept ? function->kept : pc->handler;
  return enter(pc, fp, mem, size, store, base);
}

HANDLER(CLOSED) {
  (void)mem, (void)size, (void)base;
  refuse(pc, fp, store, LUN_EXIT);
  lun_error_set(&store->error, LUN_EXIT, "the instance is closed");
}

/* Runs what the callbacks asked for; true: the run ends, at this frame. */
static COLD bool end_asked(Store *store, Function *function, Slot *fp, uint32_t offset) {
  const Point at = { function, fp, NULL, offset };
  lun_status status = safepoint(store, &at);
  if (status == LUN_OK) return false;
  store->outcome = status;
  store->point = at;
  return true;
}

COLD Start prepare_told(const Word *pc, Slot *fp, Store *store, Handler self) {
  const Function *function = (const Function *)pc;
  if (function->kept == handler_translate && !translate_now(pc, fp, store)) return START_REFUSED;
  if (is_too_deep(function, store)) {
    refuse_depth(pc, fp, store);
    return START_REFUSED;
  }
  if ((uintptr_t)(fp + function->frame_slots) > limit_of(store) && check_entry(pc, fp, store) != LUN_OK) return START_REFUSED;
  return pc->handler == self ? START_WELL : START_AGAIN;
}

/* Goes on as the entry word says by now. */
COLD void op_ENTER_AGAIN(ARGUMENTS) {
  const Function *function = (const Function *)pc;
  if (!function->kept) store->tail_of = 0; /* whose place it takes is told to nobody */
  mem = function->memory->data, size = function->memory->bytes;
  return pc->handler(pc, fp, mem, size, store, base);
}

HANDLER(ENTER_LIGHT) {
  Function *function = (Function *)pc;
  if (UNLIKELY(!has_room(function, fp, store))) {
    Start start = prepare_told(pc, fp, store, handler_enter_light);
    if (start == START_REFUSED) return;
    if (start == START_AGAIN) return op_ENTER_AGAIN(pc, fp, mem, size, store, base);
  }
  store->hooks->light(store, function, fp);
  mem = function->memory->data, size = function->memory->bytes;
  Handler enter = function->kept ? function->kept : pc->handler; /* detached meanwhile, as below */
  return enter(pc, fp, mem, size, store, base);
}

HANDLER(ENTER_LIGHT_COUNTED) {
  if (UNLIKELY(is_too_deep((const Function *)pc, store))) {
    Start start = prepare_told(pc, fp, store, handler_enter_light_counted);
    if (start == START_REFUSED) return;
    if (start == START_AGAIN) return op_ENTER_AGAIN(pc, fp, mem, size, store, base);
  }
  return op_ENTER_LIGHT(pc, fp, mem, size, store, base);
}

/* No room for the record, or a before has asked for the end. True: the call goes on. */
COLD bool run_settle_before(const Word *pc, Slot *fp, Store *store, bool entered) {
  Function *function = (Function *)pc;
  if (!entered) {
    refuse(pc, fp, store, LUN_EXHAUSTED);
    return false;
  }
  return !end_asked(store, function, fp, function->callback ? UINT32_MAX : body_offset(function->definition));
}

HANDLER(ENTER_TRACED) {
  Function *function = (Function *)pc;
  if (UNLIKELY(!has_room(function, fp, store) || is_too_deep(function, store))) {
    Start start = prepare_told(pc, fp, store, handler_enter_traced);
    if (start == START_REFUSED) return;
    if (start == START_AGAIN) return op_ENTER_AGAIN(pc, fp, mem, size, store, base);
  }
  bool entered = store->hooks->enter(store, function, fp);
  if (UNLIKELY(!entered || store->pending) && !run_settle_before(pc, fp, store, entered)) return;
  mem = function->memory->data, size = function->memory->bytes;
  /* Detached by its own before: then the entry word holds the handler again. */
  Handler enter = function->kept ? function->kept : pc->handler;
  return enter(pc, fp, mem, size, store, base);
}

/* An after has asked for the end. The call is over: its caller's frame is where the run ends. True: it goes on. */
COLD bool run_settle_after(Store *store, const Record *record) {
  Function *function = record->function;
  Slot *fp = record->fp;
  const Word *ret = record->ret;
  fp[-1] = of_pointer(ret);
  const Point at = { function, fp, NULL, UINT32_MAX };
  lun_status status = safepoint(store, &at);
  if (status == LUN_OK) return true;
  refuse(&function->entry, fp, store, status);
  return false;
}

HANDLER(AFTER_TOLD) {
  (void)pc;
  Record *record = store->record;
  const Word *ret = record->ret;
  store->hooks->leave(store, record, (const Slot *)(uintptr_t)base);
  record_pop(store);
  if (UNLIKELY(store->pending) && !run_settle_after(store, record)) return;
  const Memory *memory = ret[-1].owner->memory;
  mem = memory->data, size = memory->bytes;
  GO(ret);
}

/* The instance whose code runs on at `ret`, behind a call that ended at fp's callee. */
static inline Instance *instance_at(const Word *ret) { return ret[-1].owner->instance; }

HANDLER(BRIDGE) {
  const Instance *instance = store->record->instance;
  pc = store->record->ret;
  record_pop(store);
  mem = memory_data(instance), size = memory_bytes(instance);
  GO(pc);
}

HANDLER(EXIT) {
  (void)pc, (void)fp, (void)mem, (void)size, (void)base;
  store->outcome = LUN_OK;
}

/* What run_host came to: the run ends, the function returns, some frame has caught what it threw (store->point). */
typedef enum HostOutcome { HOST_FAILED, HOST_RETURNS, HOST_CAUGHT } HostOutcome;

static COLD HostOutcome host_failed(Store *store, Function *function, Slot *fp, lun_status status) {
  Point point = { function, fp, NULL, UINT32_MAX };
  if (status == LUN_EXCEPTION) {
    Exception *exception = store->error.exception;
    store->error.exception = NULL;
    return exception_throw(store, exception, point) ? HOST_CAUGHT : HOST_FAILED;
  }
  store->outcome = status;
  store->point = point;
  return HOST_FAILED;
}

static __attribute__((noinline)) HostOutcome run_host(const Word *pc, Slot *fp, Store *store) {
  Function *function = (Function *)pc;
  if (UNLIKELY((uintptr_t)(fp + function->frame_slots) > limit_of(store)) && check_entry(pc, fp, store) != LUN_OK)
    return HOST_FAILED;
  lun_status status = host_call(store, function, fp);
  if (LIKELY(status == LUN_OK) && UNLIKELY(store->pending)) {
    const Point at = { function, fp, NULL, UINT32_MAX };
    status = safepoint(store, &at);
  }
  if (LIKELY(status == LUN_OK)) return HOST_RETURNS;
  return host_failed(store, function, fp, status);
}

__attribute__((noinline)) void go_on(ARGUMENTS) {
  const Memory *memory = store->point.function->memory;
  pc = store->point.pc, fp = store->point.fp;
  mem = memory->data, size = memory->bytes;
  GO(pc);
}

HANDLER(HOST) {
  HostOutcome outcome = run_host(pc, fp, store);
  if (UNLIKELY(outcome != HOST_RETURNS)) {
    if (outcome == HOST_FAILED) return;
    return go_on(pc, fp, mem, size, store, base);
  }
  const Function *function = (const Function *)pc;
  mem = function->memory->data, size = function->memory->bytes;
  base = of_pointer(fp - 2 - function->type->slots);
  const Word *ret = word_at(fp[-1]);
  fp = (Slot *)(uintptr_t)fp[-2];
  GO(ret);
}

HANDLER(HOST_COUNTED) {
  if (UNLIKELY(is_too_deep((const Function *)pc, store))) {
    refuse_depth(pc, fp, store);
    return;
  }
  store->depth++;
  HostOutcome outcome = run_host(pc, fp, store);
  if (UNLIKELY(outcome != HOST_RETURNS)) {
    if (outcome == HOST_FAILED) return;
    return go_on(pc, fp, mem, size, store, base);
  }
  store->depth--;
  const Function *function = (const Function *)pc;
  mem = function->memory->data, size = function->memory->bytes;
  base = of_pointer(fp - 2 - function->type->slots);
  const Word *ret = word_at(fp[-1]);
  fp = (Slot *)(uintptr_t)fp[-2];
  GO(ret);
}

/* ---- calls ---- */
HANDLER(CALL) {
  Function *callee = pc->callee;
  Slot *frame = fp + pc[1].delta;
  frame[-2] = of_pointer(fp);
  frame[-1] = of_pointer(pc + 2);
  fp = frame;
  GO(&callee->entry);
}

/* Pushes the bridge over which the callee's frame at `frame` returns to this instance. */
static __attribute__((noinline)) bool bridge(const Word *ret, Slot *frame, Store *store) {
  Record *record = record_push(store, RECORD_BRIDGE, PHASE_NONE, frame, 0);
  if (!record) return false;
  record->ret = ret;
  record->instance = instance_at(ret);
  frame[-1] = of_pointer(bridge_word);
  return true;
}

/* Behind a call whose callee (in base) belongs to another instance; fp is the new frame, pc its return point. */
static __attribute__((noinline)) void cross(ARGUMENTS) {
  const Function *callee = (const Function *)(uintptr_t)base;
  if (UNLIKELY(!bridge(pc, fp, store))) {
    refuse(&callee->entry, fp, store, LUN_EXHAUSTED);
    return;
  }
  mem = callee->memory->data, size = callee->memory->bytes;
  GO(&callee->entry);
}

HANDLER(CALL_BRIDGE) {
  base = of_pointer(pc->callee);
  Slot *frame = fp + pc[1].delta;
  frame[-2] = of_pointer(fp);
  frame[-1] = of_pointer(pc + 2);
  return cross(pc + 2, frame, mem, size, store, base);
}

/* `callee`: the table's function at slot a, of the type in the next word. */
#define INDIRECT_CALLEE \
  const Table *table = pc[1].p0; \
  uint32_t index = (uint32_t)A; \
  if (UNLIKELY(index >= table->count)) TRAP(LUN_TRAP_UNDEFINED_ELEMENT); \
  const Function *callee = (const Function *)(uintptr_t)table->items[index]; \
  if (UNLIKELY(!callee)) TRAP(LUN_TRAP_UNINITIALIZED_ELEMENT); \
  if (UNLIKELY(callee->type != pc[1].p1)) TRAP(LUN_TRAP_INDIRECT_CALL_TYPE)

HANDLER(CALL_INDIRECT) {
  INDIRECT_CALLEE;
  Slot *frame = fp + pc[2].delta;
  frame[-2] = of_pointer(fp);
  frame[-1] = of_pointer(pc + 3);
  if (UNLIKELY(callee->instance != pc[2].owner->instance)) {
    base = of_pointer(callee);
    return cross(pc + 3, frame, mem, size, store, base);
  }
  fp = frame;
  GO(&callee->entry);
}

HANDLER(CALL_REF) { /* a: the reference, whose type validation has seen to */
  const Function *callee = (const Function *)(uintptr_t)A;
  if (UNLIKELY(!callee)) TRAP(LUN_TRAP_NULL_FUNCTION);
  Slot *frame = fp + pc[1].delta;
  frame[-2] = of_pointer(fp);
  frame[-1] = of_pointer(pc + 2);
  if (UNLIKELY(callee->instance != pc[1].owner->instance)) {
    base = of_pointer(callee);
    return cross(pc + 2, frame, mem, size, store, base);
  }
  fp = frame;
  GO(&callee->entry);
}

/* Somebody waits for what this frame returns: a callee does not take its place, and a return stands behind `record`. */
static inline bool is_intercepted(const Word *ret) { return ret == intercept_word || ret == proceed_word; }

static COLD Slot *call_frame(const Word *record, Slot *fp, const Function *callee, Store *store) {
  Function *owner = record->owner;
  Slot *frame = fp + (record->delta & ~TAIL_RECORD) + callee->type->slots + 2;
  frame[-2] = of_pointer(fp);
  frame[-1] = of_pointer(record + 1);
  if (callee->instance == owner->instance || bridge(record + 1, frame, store)) return frame;
  store->outcome = LUN_EXHAUSTED;
  store->point = (Point){ owner, fp, NULL, record->offset };
  return NULL;
}

/* The frame of a callee that takes this one's place, its header written and its params moved there: where fp's frame began
 * its results, the callee's begin too. A caller that is listened to is closed first. `record` names the arguments' slot in
 * delta. NULL: the run ends, and the store knows why. */
static __attribute__((noinline)) Slot *tail_frame(const Word *record, Slot *fp, const Function *callee, Store *store) {
  Function *owner = record->owner;
  if (UNLIKELY(is_intercepted(word_at(fp[-1])))) return call_frame(record, fp, callee, store);
  if (UNLIKELY(word_at(fp[-1]) == after_word)) {
    Record *closed = store->record;
    store->hooks->tail(store, closed, callee);
    fp[-1] = of_pointer(closed->ret);
    record_pop(store);
    if (UNLIKELY(store->pending)) {
      const Point at = { owner, fp, NULL, record->offset };
      lun_status status = safepoint(store, &at);
      if (status != LUN_OK) {
        store->outcome = status;
        store->point = at;
        return NULL;
      }
    }
  }
  const Word *ret = word_at(fp[-1]);
  Slot caller = fp[-2], *base = fp - 2 - owner->type->slots, *frame = base + callee->type->slots + 2;
  if (ret == bridge_word) {
    store->record->fp = frame;
  } else if (callee->instance != owner->instance && ret != exit_word) {
    Record *bridge = record_push(store, RECORD_BRIDGE, PHASE_NONE, frame, 0);
    if (!bridge) {
      store->outcome = LUN_EXHAUSTED;
      store->point = (Point){ owner, fp, NULL, record->offset };
      return NULL;
    }
    bridge->ret = ret;
    bridge->instance = instance_at(ret);
    ret = bridge_word;
  }
  if (UNLIKELY(owner->instance->max_depth != 0)) store->depth--; /* what takes the place counts itself */
  memmove(base, fp + (record->delta & ~TAIL_RECORD), callee->type->type.param_slots * sizeof *base);
  frame[-2] = caller;
  frame[-1] = of_pointer(ret);
  return frame;
}

HANDLER(RETURN_CALL) {
  Function *callee = pc->callee;
  fp = tail_frame(pc + 1, fp, callee, store);
  if (UNLIKELY(!fp)) return;
  mem = callee->memory->data, size = callee->memory->bytes;
  GO(&callee->entry);
}

HANDLER(RETURN_CALL_INDIRECT) {
  INDIRECT_CALLEE;
  fp = tail_frame(pc + 2, fp, callee, store);
  if (UNLIKELY(!fp)) return;
  mem = callee->memory->data, size = callee->memory->bytes;
  GO(&callee->entry);
}

HANDLER(RETURN_CALL_REF) {
  const Function *callee = (const Function *)(uintptr_t)A;
  if (UNLIKELY(!callee)) TRAP(LUN_TRAP_NULL_FUNCTION);
  fp = tail_frame(pc + 1, fp, callee, store);
  if (UNLIKELY(!fp)) return;
  mem = callee->memory->data, size = callee->memory->bytes;
  GO(&callee->entry);
}

HANDLER(RETURN) {
  base = of_pointer(fp + pc->a);
  pc = word_at(fp[-1]);
  fp = (Slot *)(uintptr_t)fp[-2];
  GO(pc);
}

HANDLER(RETURN1) {
  A = B;
  base = of_pointer(fp + pc->a);
  pc = word_at(fp[-1]);
  fp = (Slot *)(uintptr_t)fp[-2];
  GO(pc);
}

/* ---- branches; backwards with a safepoint ---- */
COLD void run_poll(ARGUMENTS) {
  const Word *to = pc + (int64_t)base;
  Function *function = code_owner(store, pc);
  const Point at = { function, fp, pc, UINT32_MAX };
  lun_status status = safepoint(store, &at);
  if (status != LUN_OK) {
    base = status;
    return fail(pc, fp, mem, size, store, base);
  }
  const Instance *instance = function->instance;
  mem = memory_data(instance), size = memory_bytes(instance);
  GO(to);
}
HANDLER(BR) { JUMP(pc->c); }
HANDLER(LOOP) { JUMP_POLLED(pc->c); }
HANDLER(BR_NZ) { if (A) JUMP(pc->c); NEXT; }
HANDLER(BR_Z) { if (!A) JUMP(pc->c); NEXT; }
HANDLER(LOOP_NZ) { if (A) JUMP_POLLED(pc->c); NEXT; }
HANDLER(LOOP_Z) { if (!A) JUMP_POLLED(pc->c); NEXT; }
HANDLER(BR_TABLE) { /* c targets and the default follow, a word each: c is the distance from that word */
  uint32_t index = (uint32_t)A;
  if (index > pc->u) index = pc->u;
  pc += 1 + index;
  if (pc->c < 0) JUMP_POLLED(pc->c);
  JUMP(pc->c);
}
HANDLER(UNREACHABLE) { TRAP(LUN_TRAP_UNREACHABLE); }

/* ---- exceptions: c is the slot of the first value, or of the exception; the next word names tag and function ---- */
static COLD bool throw_new(const Word *pc, Slot *fp, Store *store) {
  Function *owner = pc[1].p1;
  Point point = { owner, fp, pc, UINT32_MAX };
  Exception *exception;
  lun_status status = exception_create(store, pc[1].p0, fp + pc->c, fp + owner->frame_slots, &exception);
  if (status == LUN_OK) return exception_throw(store, exception, point);
  store->outcome = status;
  store->point = point;
  return false;
}
static COLD bool throw_again(const Word *pc, Slot *fp, Store *store) {
  Exception *exception = lun_exception_retain(lun_exception_of_ref(C));
  return exception_throw(store, exception, (Point){ pc[1].p1, fp, pc, UINT32_MAX });
}
HANDLER(THROW) {
  if (!throw_new(pc, fp, store)) return;
  return go_on(pc, fp, mem, size, store, base);
}
HANDLER(THROW_REF) {
  if (!C) TRAP(LUN_TRAP_NULL_REFERENCE);
  if (!throw_again(pc, fp, store)) return;
  return go_on(pc, fp, mem, size, store, base);
}

/* ---- the table of handlers ---- */
static const Handler handlers[] = {
#define ROW(id) [CODE_##id] = op_##id,
#define OP(code, id, text, immediate, signature, class) CODES_##class(ROW, id)
#include "ops.def"
#undef OP
  CODE_LIST(ROW)
};
_Static_assert(COUNT_OF(handlers) == CODE_COUNT, "each instruction has a handler");

static const Function nobody = { .memory = &memory_none };
#define NOBODYS .owner = (Function *)&nobody
const Word special_words[] = {
  { NOBODYS }, { { .handler = op_EXIT } }, { NOBODYS }, { { .handler = op_AFTER } }, { NOBODYS }, { { .handler = op_BRIDGE } },
  { NOBODYS }, { { .handler = op_INTERCEPTED } }, { NOBODYS }, { { .handler = op_EXIT } },
};
const Handler handler_enter_counted = op_ENTER_COUNTED, handler_host_counted = op_HOST_COUNTED;
const Handler handler_translate = op_TRANSLATE, handler_host = op_HOST, handler_enter = op_ENTER, handler_enter0 = op_ENTER0,
              handler_enter_traced = op_ENTER_TRACED, handler_enter_light = op_ENTER_LIGHT,
              handler_enter_light_counted = op_ENTER_LIGHT_COUNTED, handler_enter_heard = op_ENTER_HEARD,
              handler_enter_intercepted = op_ENTER_INTERCEPTED, handler_closed = op_CLOSED;

Handler handler_of(int code) { return handlers[code]; }
