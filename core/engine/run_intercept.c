/* SPDX-License-Identifier: MIT */
/* The handlers of calls that are intercepted: in comes a frame whose params are in place; trace asks those who intercept, and
 * the call goes on, is over already, or has failed. How a handler is written stands in run.h. */
#include "run.h"

/* What was asked for meanwhile is seen to, at the end of a call whose frame is as its caller left it. True: that goes on. */
static bool settle_end(Store *store, Function *function, Slot *fp) {
  if (LIKELY(!store->pending)) return true;
  const Record ended = { .function = function, .fp = fp, .ret = word_at(fp[-1]) };
  return run_settle_after(store, &ended);
}

typedef enum Way { WAY_ON, WAY_RETURNS, WAY_ENDS, WAY_CAUGHT } Way;

static COLD Way failed(Store *store) {
  if (store->outcome != LUN_EXCEPTION) return WAY_ENDS;
  Exception *exception = store->error.exception;
  store->error.exception = NULL;
  /* It is counted as left where the exception is caught; its own run gave it back already, or never entered it. */
  const Instance *instance = store->point.function->instance;
  if (instance && instance->max_depth) store->depth++;
  return exception_throw(store, exception, store->point) ? WAY_CAUGHT : WAY_ENDS;
}

static COLD Way intercept(const Word *pc, Slot *fp, Store *store) {
  Function *function = (Function *)pc;
  switch (store->hooks->intercept(store, function, fp)) {
  case PASSAGE_GOES_ON: return WAY_ON;
  case PASSAGE_RETURNS: return settle_end(store, function, fp) ? WAY_RETURNS : WAY_ENDS;
  case PASSAGE_FAILED: return failed(store);
  case PASSAGE_REFUSED: break;
  }
  refuse(pc, fp, store, LUN_EXHAUSTED);
  return WAY_ENDS;
}

HANDLER(ENTER_INTERCEPTED) {
  const Function *function = (const Function *)pc;
  if (UNLIKELY(!has_room(function, fp, store) || is_too_deep(function, store))) {
    Start start = prepare_told(pc, fp, store, handler_enter_intercepted);
    if (start == START_REFUSED) return;
    if (start == START_AGAIN) return op_ENTER_AGAIN(pc, fp, mem, size, store, base);
  }
  Way way = intercept(pc, fp, store);
  if (way == WAY_ENDS) return;
  if (way == WAY_CAUGHT) return go_on(pc, fp, mem, size, store, base);
  if (way == WAY_ON) {
    mem = function->memory->data, size = function->memory->bytes;
    Handler enter = function->kept ? function->kept : pc->handler; /* no longer intercepted: the entry word holds it again */
    return enter(pc, fp, mem, size, store, base);
  }
  base = of_pointer(fp - 2 - function->type->slots);
  const Word *ret = word_at(fp[-1]);
  fp = (Slot *)(uintptr_t)fp[-2];
  const Memory *memory = ret[-1].owner->memory;
  mem = memory->data, size = memory->bytes;
  GO(ret);
}

/* NULL: the run ends. */
static COLD const Word *finish(Store *store, Slot *results) {
  const Record *record = store->hooks->intercepted(store, results);
  const Word *ret = record->ret;
  return settle_end(store, record->function, record->fp) ? ret : NULL;
}

HANDLER(INTERCEPTED) {
  (void)pc;
  const Word *ret = finish(store, (Slot *)(uintptr_t)base);
  if (UNLIKELY(!ret)) return;
  const Memory *memory = ret[-1].owner->memory;
  mem = memory->data, size = memory->bytes;
  GO(ret);
}
