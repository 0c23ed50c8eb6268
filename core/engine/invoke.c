/* SPDX-License-Identifier: MIT */
/* Entering the guest and coming back: a run begins with a mark on the side stack and ends in op_EXIT or in a failure, which
 * unwinds both stacks to the mark and tells every open call that is listened to. Host functions are called from here, and
 * safepoints looked after. */
#include <string.h>

#include "engine.h"

#define COLD __attribute__((noinline, cold))

static void error_start(lun_error *error) {
  error->kind = LUN_OK;
  error->trap = LUN_TRAP_NONE;
  error->code = 0;
  error->offset = LUN_NO_OFFSET;
  error->message[0] = '\0';
  error->detail = NULL;
  error->stack = NULL;
  error->value = NULL;
  error->exception = NULL;
  error->caught = false;
}

/* ---- safepoints ---- */
void store_raise(Store *store, uint32_t flag) {
  atomic_fetch_or(&store->flags, flag);
  atomic_store(&store->limit, 0);
}

/* The embedder's callback, which may call the guest: a record tells where the stack ends and what stands on it. */
static lun_status visit(Store *store, const Point *at) {
  if (at) {
    Record *record = record_push(store, RECORD_SAFEPOINT, PHASE_HOST, at->fp, 0);
    if (!record) return LUN_EXHAUSTED;
    record->function = at->function;
    record->offset = at->function->callback ? UINT32_MAX : at->pc ? offsets_find(at->function, at->pc) : at->offset;
  }
  uint64_t tail_of = store->tail_of;
  const lun_stopped stopped = lun_store_clock_stop(store);
  bool nested = store->at_safepoint;
  lun_error error;
  error_start(&error);
  store->tail_of = 0;
  store->at_safepoint = true;
  lun_status status = store->on_safepoint(store->on_safepoint_self, &error);
  store->at_safepoint = nested;
  store->tail_of = tail_of;
  lun_store_clock_go(store, &stopped);
  if (at) record_pop(store);
  if (status == LUN_OK) {
    lun_error_clear(&error);
    return LUN_OK;
  }
  lun_error_set(&error, status, "%s", lun_status_name(status));
  lun_error_clear(&store->error);
  store->error = error;
  return status;
}

/* INTERRUPT, EXPIRE, STOP, LISTENER and CLOSE stay raised until the outermost run is over: every run ends. */
lun_status safepoint(Store *store, const Point *at) {
  store->pending = 0;
  atomic_store(&store->limit, store->true_limit);
  uint32_t flags = atomic_fetch_and(&store->flags, ~(uint32_t)FLAG_POKE);
  if (flags & FLAG_LISTENER)
    return lun_error_set(&store->error, LUN_LISTENER, "%s",
                         store->listener_message ? store->listener_message : "a listener failed");
  if (flags & FLAG_STOP) {
    lun_error_set(&store->error, LUN_EXIT, "stopped with status %d", (int)store->stop_status);
    store->error.code = store->stop_status;
    return LUN_EXIT;
  }
  if (flags & FLAG_INTERRUPT) return lun_error_set(&store->error, LUN_INTERRUPTED, "interrupted");
  if (flags & FLAG_EXPIRE) return lun_error_set(&store->error, LUN_TIMEOUT, "the deadline has passed");
  if (flags & FLAG_CLOSE) return lun_error_set(&store->error, LUN_EXIT, "the instance was closed");
  /* While the callback is at work the guest gives it no other visit; its own waiting does. */
  if (!(flags & FLAG_POKE) || !store->on_safepoint || (store->at_safepoint && at)) return LUN_OK;
  lun_status status = visit(store, at);
  /* What the visit itself has asked for, or another thread meanwhile. */
  if (status == LUN_OK && atomic_load(&store->flags) & ~(uint32_t)FLAG_POKE) return safepoint(store, at);
  return status;
}

/* ---- host functions ---- */
/* What a run can fail with. */
static bool is_kind_of_run(lun_status kind) { return (kind >= LUN_TRAP && kind <= LUN_LISTENER) || kind == LUN_NO_MEMORY; }

/* What the host gives is looked at where its type is narrower than any function or any value. */
static COLD lun_status results_check(const Function *function, const Slot *results, lun_error *error) {
  const lun_signature *signature = &function->type->type.signature;
  uint32_t misfit = values_misfit(function->type, signature->results, signature->result_count, results);
  if (misfit == signature->result_count) return LUN_OK;
  return lun_error_set(error, LUN_HOST, "%s.%s: result %u must be %s, and is null", function->definition->module_name,
                       function->definition->name, (unsigned)misfit + 1, lun_type_name(signature->results[misfit]));
}

static COLD lun_status params_check(const Function *function, const Slot *params, lun_error *error) {
  const lun_signature *signature = &function->type->type.signature;
  uint32_t misfit = values_misfit(function->type, signature->params, signature->param_count, params);
  if (misfit == signature->param_count) return LUN_OK;
  char text[LUN_TYPE_TEXT];
  lun_type wanted = function->definition->type->signature.params[misfit];
  return lun_error_set(error, LUN_USAGE, "%s: value %u must be %s, not %s", lun_definition_name(function->definition),
                       (unsigned)misfit + 1, lun_type_text(wanted, text, sizeof text),
                       lun_type_is_nullable(wanted) ? "a function of another type" : "null or a function of another type");
}

lun_status failure_kind(const Function *function, lun_status status, lun_error *error) {
  if (status == LUN_EXCEPTION && !error->exception) status = LUN_HOST; /* there is nothing to throw */
  if (error->kind != status) {
    lun_error_clear(error);
    lun_error_set(error, status, "%s.%s failed", function->definition->module_name, function->definition->name);
  }
  if (UNLIKELY(!is_kind_of_run(status))) error->kind = status = LUN_HOST;
  return status;
}

lun_status host_call(Store *store, Function *function, Slot *fp) {
  const FunctionType *type = &function->type->type;
  Record *record = record_push(store, RECORD_HOST, PHASE_HOST, fp, 0);
  if (!record) return LUN_EXHAUSTED;
  record->function = function;
  Slot *values = fp - 2 - function->type->slots;
  for (uint32_t i = 0; i < type->result_slots; i++) fp[i] = 0;
  lun_error error;
  error_start(&error);
  lun_status status = function->callback(function->self, record, values, fp, &error);
  record->serial = 0;
  record_pop(store);
  if (UNLIKELY(type->has_typed) && status == LUN_OK) status = results_check(function, fp, &error);
  if (LIKELY(status == LUN_OK)) {
    if (UNLIKELY(error.kind != LUN_OK)) lun_error_clear(&error);
    for (uint32_t i = 0; i < type->result_slots; i++) values[i] = fp[i];
    return LUN_OK;
  }
  status = failure_kind(function, status, &error);
  lun_error_clear(&store->error);
  store->error = error;
  store->trap = error.trap;
  return status;
}

/* ---- failing ---- */
static const char *outcome_text(const Store *store) {
  switch (store->outcome) {
  case LUN_TRAP: return lun_trap_name(store->trap);
  case LUN_EXHAUSTED: return "call stack exhausted";
  case LUN_NO_MEMORY: return "out of memory";
  case LUN_FUEL: return "the fuel is used up";
  default: return lun_status_name(store->outcome);
  }
}

void unwind(Store *store, const Record *until, lun_error *failure, const Point *point, bool wants_stack) {
  Walk walk = walk_from_point(store, point);
  if (wants_stack && !failure->stack) failure->stack = snapshot_take(walk, true);
  /* Above the failed frame: what callbacks call begins there. */
  Slot *outer = store->unwind_end, *end = point->fp + (point->function ? point->function->frame_slots : 0);
  if ((uintptr_t)end > store->true_limit) end = (Slot *)store->true_limit;
  store->unwind_end = end;
  store->unwinding++;
  while (store->record != until) {
    Record *record = store->record;
    if (record->kind == RECORD_CALL) {
      while (walk.function && walk.fp != record->fp) walk_next(&walk);
      record->offset = walk.function ? walk_offset(&walk) : UINT32_MAX;
      store->hooks->abort(store, record, failure);
    } else if (record->kind == RECORD_INTERCEPT) {
      store->hooks->intercept_over(store, record);
    }
    record_pop(store);
  }
  store->unwinding--;
  store->unwind_end = outer;
}

static void run_failed(Store *store, const Record *mark, lun_error *error) {
  lun_error failure = store->error;
  error_start(&store->error);
  store->tail_of = 0;
  lun_error_set(&failure, store->outcome, "%s", outcome_text(store));
  failure.trap = store->outcome == LUN_TRAP ? store->trap : LUN_TRAP_NONE;
  const Point point = store->point;
  unwind(store, mark, &failure, &point, error || (store->hooks && store->hooks->wants_stack(store)));
  if (error && error->kind == LUN_OK) *error = failure;
  else lun_error_clear(&failure);
}

/* What a run leaves behind for those further out, or for the next. */
static void run_over(Store *store) {
  closing_sweep(store);
  /* The outermost run is over when its open calls have been told, too. */
  if (store->runs > 0 || store->unwinding > 0) {
    if (atomic_load(&store->flags) && !store->unwinding) {
      store->pending = 1;
      atomic_store(&store->limit, 0);
    }
  } else {
    atomic_fetch_and(&store->flags, ~(uint32_t)(FLAG_INTERRUPT | FLAG_EXPIRE | FLAG_STOP | FLAG_LISTENER | FLAG_CLOSE));
    store->pending = 0;
    if (!atomic_load(&store->flags)) atomic_store(&store->limit, store->true_limit);
  }
}

Slot *stack_end(const Store *store) {
  const Record *record = store->record;
  if (!record) return store->stack;
  switch (record->phase) {
  case PHASE_BEFORE:
  case PHASE_HOST: return record->fp + record->function->frame_slots;
  case PHASE_AFTER:
    /* Of a call that ends in a tail call: what it passes on still lies in its frame. */
    if (!(record->flags & RECORD_NODE) && record->tail) return record->fp + record->function->frame_slots;
    return record->fp;
  case PHASE_INTERCEPTED: return record->fp;
  default: return store->unwind_end;
  }
}

/* ---- in a guard, so that callbacks can jump ---- */
typedef struct Start {
  Store *store;
  Function *function;
  Handler handler;
  Slot *fp;
} Start;

static void start_run(void *argument) {
  const Start *start = argument;
  Function *function = start->function;
  start->handler(&function->entry, start->fp, function->memory->data, function->memory->bytes, start->store, 0);
}

static void continue_run(void *store) { run_behind(store); }

static void run_guarded(Store *store, Function *function, Handler handler, Slot *fp) {
  Start start = { store, function, handler, fp };
  bool outer = store->jumps;
  const lun_guard guard = store->guard; /* this run's, whichever is set meanwhile */
  void *self = store->guard_self;
  store->jumps = guard != NULL;
  lun_guarded ended = guard ? guard(self, start_run, &start) : LUN_GUARDED_NOT_ENTERED;
  if (ended == LUN_GUARDED_NOT_ENTERED) {
    store->jumps = false;
    start_run(&start);
  }
  while (ended == LUN_GUARDED_JUMPED) {
    ended = guard(self, continue_run, store);
    if (ended == LUN_GUARDED_NOT_ENTERED) run_end_behind(store, LUN_NO_MEMORY); /* its open calls count on the guard */
  }
  store->jumps = outer;
}

/* ---- runs ---- */
lun_status invoke(Function *function, const Slot *params, Slot *results, lun_entry entry, lun_error *error) {
  Store *store = function->store;
  const Type *type = function->type;
  if (function->instance && function->instance->is_closed) return lun_error_set(error, LUN_USAGE, "the instance is closed");
  if (type->type.has_typed && params_check(function, params, error) != LUN_OK) return LUN_USAGE;
  if (store->runs >= store->max_runs)
    return lun_error_set(error, LUN_EXHAUSTED, "more than %u runs inside one another", (unsigned)store->max_runs);
  Slot *base = stack_end(store), *fp = base + type->slots + 2;
  Record *mark = (uintptr_t)fp <= store->true_limit ? record_push(store, RECORD_MARK, PHASE_NONE, fp, 0) : NULL;
  if (!mark) return lun_error_set(error, LUN_EXHAUSTED, "call stack exhausted");
  mark->entry = (uint8_t)entry;
  mark->ret = NULL;
  mark->outer = store->mark;
  store->mark = mark;
  if (type->type.param_slots) memcpy(base, params, type->type.param_slots * sizeof *base);
  fp[-2] = 0;
  fp[-1] = (Slot)(uintptr_t)exit_word;
  store->runs++;
  store_detours(store);
  uint32_t depth = store->depth;
  if (store->error.kind != LUN_OK) lun_error_clear(&store->error);
  run_guarded(store, function, function->entry.handler, fp);
  lun_status status = store->outcome;
  if (status != LUN_OK) run_failed(store, mark, error); /* whose callbacks are at work in this run */
  else if (type->type.result_slots) memcpy(results, base, type->type.result_slots * sizeof *base);
  store->runs--;
  store_detours(store);
  store->depth = depth;
  store->mark = mark->outer;
  record_pop(store);
  run_over(store);
  return status;
}

/* Where the frame at fp, which is further out than the failed one or that itself, stands. */
static uint32_t offset_at(Store *store, const Slot *fp) {
  Walk walk = walk_from_point(store, &store->point);
  while (walk.function && walk.fp != fp && walk_next(&walk)) continue;
  return walk.function ? walk_offset(&walk) : UINT32_MAX;
}

lun_status frame_run(Store *store, Function *function, Slot *fp, uint32_t *offset, lun_error *error) {
  *offset = UINT32_MAX;
  if (store->runs >= store->max_runs)
    return lun_error_set(error, LUN_EXHAUSTED, "more than %u runs inside one another", (unsigned)store->max_runs);
  Record *mark = record_push(store, RECORD_MARK, PHASE_NONE, fp, 0);
  if (!mark) return lun_error_set(error, LUN_EXHAUSTED, "call stack exhausted");
  mark->ret = (const Word *)(uintptr_t)fp[-1];
  mark->outer = store->mark;
  store->mark = mark;
  fp[-1] = (Slot)(uintptr_t)proceed_word;
  store->runs++;
  store_detours(store);
  uint32_t depth = store->depth;
  if (store->error.kind != LUN_OK) lun_error_clear(&store->error);
  Handler own = function->kept ? function->kept : function->entry.handler;
  run_guarded(store, function, own, fp);
  lun_status status = store->outcome;
  if (status != LUN_OK) {
    *offset = offset_at(store, fp);
    run_failed(store, mark, error);
  }
  store->runs--;
  store_detours(store);
  store->depth = depth;
  fp[-1] = (Slot)(uintptr_t)mark->ret;
  store->mark = mark->outer;
  record_pop(store);
  run_over(store);
  return status;
}

lun_status lun_function_invoke(Function *function, const uint64_t *params, uint64_t *results, lun_error *error) {
  return invoke(function, params, results, LUN_ENTRY_EXPORT, error);
}
