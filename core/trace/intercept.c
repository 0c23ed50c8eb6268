/* SPDX-License-Identifier: MIT */
/* Calls that are intercepted: in comes a frame with its params, before anybody else knows of the call.
 *
 * A record of kind INTERCEPT lies below all others of such a frame, from the first question to the end. It holds the set of
 * interceptors and, for each, room for the params that it was given and the results that it gives. Where all of them ask for
 * params and results only, the call is told to its listeners and goes on in its frame, whose return word leads to
 * intercept_leave. Where one stands in place of the call, the callee is run by frame_run, from within that interceptor:
 *
 *     [INTERCEPT] [CALL: listened] [MARK of frame_run] …        further in →
 */
#include <lunette/predicate.h>
#include <string.h>

#include "trace.h"

/* Of an interceptor that stands in place of the call, while it is at work. */
typedef struct Level {
  bool proceeded;
  lun_status outcome;        /* of proceeding */
  lun_error failure;         /* the same in words, for an interceptor that fails itself */
  lun_stopped stopped;       /* while it is at work: its time is nobody's */
} Level;

static const Choice *choice_at(const Record *record, uint32_t index) { return set_of(record)->choices[index]; }

/* ---- values ---- */
static Slot *frame_values(const Record *record) { return record->fp - 2 - record->function->type->slots; }

static Slot *level_params(const Record *record, uint32_t index) {
  const FunctionType *type = &record->function->type->type;
  return record->params + (size_t)index * (type->param_slots + type->result_slots);
}

static Slot *level_results(const Record *record, uint32_t index) {
  return level_params(record, index) + record->function->type->type.param_slots;
}

const Slot *intercept_params(const Record *record) { return level_params(record, record->current); }

/* Whether that changed anything. */
static bool put_values(const lun_type *types, uint32_t count, const Slot *from, Slot *to) {
  bool changed = false;
  for (uint32_t i = 0, slot = 0; i < count; i++) {
    bool narrow = types[i] == LUN_I32 || types[i] == LUN_F32;
    for (uint32_t n = lun_type_slots(types[i]); n > 0; n--, slot++) {
      Slot value = narrow ? (uint32_t)from[slot] : from[slot];
      changed = changed || value != to[slot];
      to[slot] = value;
    }
  }
  return changed;
}

/* LUN_USAGE where one of them is none of its type. */
static lun_status check_values(const Function *function, bool results, const Slot *values, lun_error *error) {
  const lun_signature *signature = &function->type->type.signature;
  uint32_t count = results ? signature->result_count : signature->param_count;
  const lun_type *types = results ? signature->results : signature->params;
  if (!function->type->type.has_typed) return LUN_OK;
  uint32_t misfit = values_misfit(function->type, types, count, values);
  if (misfit == count) return LUN_OK;
  return lun_error_set(error, LUN_USAGE, "%s: %s %u, as intercepted, is no %s", lun_definition_name(function->definition),
                       results ? "result" : "param", (unsigned)misfit + 1, lun_type_name(types[misfit]));
}

/* The values are the record's of this call from here on. */
static void take_values(Record *record, bool results, const Slot *values) {
  const lun_signature *signature = &record->function->type->type.signature;
  if (results && put_values(signature->results, signature->result_count, values, frame_values(record)))
    record->flags |= LUN_INTERCEPTED_RESULTS;
  if (!results && put_values(signature->params, signature->param_count, values, frame_values(record)))
    record->flags |= LUN_INTERCEPTED_PARAMS;
}

/* ---- what was asked for meanwhile ---- */
/* `at`: the frame stands there, and no callback is at work; else NULL. */
static lun_status see_to_end(Store *store, const Point *at, lun_error *error) {
  if (LIKELY(!store->pending)) return LUN_OK;
  lun_status status = safepoint(store, at);
  if (status == LUN_OK) return LUN_OK;
  if (error->kind == LUN_OK) *error = store->error;
  else lun_error_clear(&store->error);
  store->error = (lun_error)LUN_ERROR_INIT;
  store->pending = 1; /* also where an interceptor takes no heed of it */
  return status;
}

static lun_status settle(Store *store, Record *record, lun_error *error) {
  if (UNLIKELY(record->failed)) dispatch_failed(store, record);
  return see_to_end(store, NULL, error);
}

static void fail_values(Record *record, lun_error *problem) {
  lun_call_fail(record, problem->message);
  lun_error_clear(problem);
}

/* ---- interceptors of params and results ---- */
static lun_status ask_values(Store *store, Record *record, uint32_t index, bool results, lun_error *error) {
  const Choice *choice = choice_at(record, index);
  const FunctionType *type = &record->function->type->type;
  const lun_interceptor *interceptor = choice->interceptor;
  void (*ask)(void *self, lun_call *call, uint64_t *values) = results ? interceptor->results : interceptor->params;
  Slot *values = results ? level_results(record, index) : level_params(record, index);
  memcpy(values, frame_values(record), (results ? type->result_slots : type->param_slots) * sizeof *values);
  if (!ask || choice->attachment->dropped) return LUN_OK;
  record->current = index;
  record->phase = results ? PHASE_INTERCEPTED : PHASE_HOST;
  const lun_stopped stopped = lun_store_clock_stop(store);
  lun_error problem = LUN_ERROR_INIT;
  ask(choice->ear.self, record, values);
  if (!record->failed && check_values(record->function, results, values, &problem) != LUN_OK) fail_values(record, &problem);
  if (!record->failed) take_values(record, results, values);
  lun_status status = settle(store, record, error);
  record->serial = 0;
  lun_store_clock_go(store, &stopped);
  return status;
}

/* ---- the call itself ---- */
/* Tells those who listen that it begins, with the params that are in the frame. False: no room for their record. They know the
 * call by the id that it had for interceptors, unless those have called others meanwhile: ids increase. */
static bool tell_listeners(Store *store, Function *function, Slot *fp, uint64_t tail_of, uint64_t id) {
  if (!function->set) return true;
  if (listeners_of(function)->is_light) {
    store->hooks->light(store, function, fp);
    return true;
  }
  store->tail_of = tail_of;
  if (store->last_id == id) store->last_id--;
  bool jumps = store->jumps;
  store->jumps = false; /* behind these callbacks it goes on here */
  bool told = store->hooks->enter(store, function, fp);
  store->jumps = jumps;
  if (told) store->record->flags &= (uint8_t)~RECORD_JUMPS;
  if (!told && store->last_id < id) store->last_id = id;
  return told;
}

static lun_status begin_call(Store *store, Record *record, lun_error *error) {
  Function *function = record->function;
  record->phase = PHASE_NONE;
  if (!tell_listeners(store, function, record->fp, record->tail_of, record->call_id))
    return lun_error_set(error, LUN_EXHAUSTED, "call stack exhausted");
  if (store->record != record) record->call_id = store->record->id;
  record->fp[-1] = (Slot)(uintptr_t)intercept_word;
  const Point at = { function, record->fp, NULL, function->callback ? UINT32_MAX : body_offset(function->definition) };
  return see_to_end(store, &at, error);
}

/* Of a call that goes on after its callee: the params are gone. */
static void mark_over(Store *store, Record *record) {
  record->phase = PHASE_INTERCEPTED;
  if (store->record != record) store->record->phase = PHASE_INTERCEPTED; /* the listened call's */
}

static lun_status run_callee(Store *store, Record *record, lun_error *error) {
  lun_status status = begin_call(store, record, error);
  if (status == LUN_OK) status = frame_run(store, record->function, record->fp, &record->offset, error);
  mark_over(store, record);
  return status;
}

/* ---- interceptors in place of the call ---- */
static lun_status pass_on(Store *store, Record *record, uint32_t index, lun_error *error);

static void error_copy(lun_error *to, const lun_error *from) {
  *to = *from;
  to->detail = from->detail ? strdup(from->detail) : NULL;
  if (from->stack) lun_snapshot_retain(from->stack);
  lun_exception_retain(from->exception);
}

/* It has not spoken: the call goes on without it, or what came of proceeding stands. */
static lun_status without(Store *store, Record *record, uint32_t index, Level *level, lun_error *error) {
  lun_status status = settle(store, record, error);
  if (status != LUN_OK) return status;
  if (!level->proceeded) return pass_on(store, record, index + 1, error);
  if (level->outcome != LUN_OK) {
    *error = level->failure;
    level->failure = (lun_error)LUN_ERROR_INIT;
  }
  return level->outcome;
}

static lun_status take_answer(Store *store, Record *record, const Level *level, const Slot *results, lun_error *error) {
  if (!level->proceeded) {
    record->flags |= LUN_INTERCEPTED_CALL;
    lun_status status = begin_call(store, record, error);
    mark_over(store, record);
    if (status != LUN_OK) return status;
  }
  const lun_signature *signature = &record->function->type->type.signature;
  bool changed = put_values(signature->results, signature->result_count, results, frame_values(record));
  if (level->proceeded && (changed || level->outcome != LUN_OK)) record->flags |= LUN_INTERCEPTED_RESULTS;
  record->offset = UINT32_MAX;
  return see_to_end(store, NULL, error);
}

static lun_status take_failure(Store *store, Record *record, const Level *level, lun_status status, lun_error *error) {
  status = failure_kind(record->function, status, error);
  if (level->proceeded) return status;
  record->flags |= LUN_INTERCEPTED_CALL;
  lun_error ending = LUN_ERROR_INIT; /* the first failure is the one that is told */
  if (begin_call(store, record, &ending) != LUN_OK) lun_error_clear(&ending);
  mark_over(store, record);
  return status;
}

static lun_status ask_call(Store *store, Record *record, uint32_t index, lun_error *error) {
  const Choice *choice = choice_at(record, index);
  const FunctionType *type = &record->function->type->type;
  Slot *params = level_params(record, index), *results = level_results(record, index);
  Level level = { .outcome = LUN_OK, .failure = LUN_ERROR_INIT };
  memcpy(params, frame_values(record), type->param_slots * sizeof *params);
  memset(results, 0, type->result_slots * sizeof *results);
  record->hearings[index].heard = (uintptr_t)&level;
  record->current = index;
  record->phase = PHASE_HOST;
  level.stopped = lun_store_clock_stop(store);
  lun_error own = LUN_ERROR_INIT, problem = LUN_ERROR_INIT;
  lun_status status = choice->interceptor->call(choice->ear.self, record, params, results, &own);
  record->serial = 0;
  if (status == LUN_OK && !record->failed && check_values(record->function, true, results, &problem) != LUN_OK)
    fail_values(record, &problem);
  lun_store_clock_go(store, &level.stopped);
  if (record->failed || status == LUN_OK) lun_error_clear(&own);
  else *error = own;
  if (record->failed) status = without(store, record, index, &level, error);
  else if (status == LUN_OK) status = take_answer(store, record, &level, results, error);
  else status = take_failure(store, record, &level, status, error);
  lun_error_clear(&level.failure);
  return status;
}

/* Asks the interceptors from `index` on, then the callee. The params are in the frame; on LUN_OK the results are in their
 * place. */
static lun_status pass_on(Store *store, Record *record, uint32_t index, lun_error *error) {
  const Set *set = set_of(record);
  while (index < set->count && !record->hearings[index].heard) index++;
  if (index == set->count) return run_callee(store, record, error);
  if (set->choices[index]->interceptor->call) return ask_call(store, record, index, error);
  lun_status status = ask_values(store, record, index, false, error);
  if (status == LUN_OK) status = pass_on(store, record, index + 1, error);
  if (status == LUN_OK) status = ask_values(store, record, index, true, error);
  return status;
}

static lun_status proceed(Store *store, Record *record, Level *level, uint64_t *results, lun_error *error) {
  uint32_t index = record->current;
  level->proceeded = true;
  lun_store_clock_go(store, &level->stopped);
  lun_error failure = LUN_ERROR_INIT;
  level->outcome = pass_on(store, record, index + 1, &failure);
  level->stopped = lun_store_clock_stop(store);
  record->current = index;
  mark_over(store, record);
  uint32_t slots = record->function->type->type.result_slots;
  if (level->outcome == LUN_OK) {
    if (slots > 0) memcpy(results, frame_values(record), slots * sizeof *results);
    return LUN_OK;
  }
  error_copy(&level->failure, &failure);
  if (error && error->kind == LUN_OK) *error = failure;
  else lun_error_clear(&failure);
  return level->outcome;
}

lun_status lun_call_proceed(lun_call *call, const uint64_t *params, uint64_t *results, lun_error *error) {
  Record *record = call;
  Store *store = record->function->store;
  if (record->kind != RECORD_INTERCEPT || record->phase == PHASE_NONE || !choice_at(record, record->current)->interceptor->call)
    return lun_error_set(error, LUN_USAGE, "only the interceptor that stands in place of a call can let it proceed");
  Level *level = (Level *)record->hearings[record->current].heard;
  const char *name = lun_definition_name(record->function->definition);
  if (level->proceeded) return lun_error_set(error, LUN_USAGE, "a call of %s has proceeded already", name);
  if (store->record != record) return lun_error_set(error, LUN_USAGE, "a call of %s can't proceed from within another", name);
  if (params && check_values(record->function, false, params, error) != LUN_OK) return LUN_USAGE;
  if (params) take_values(record, false, params);
  return proceed(store, record, level, results, error);
}

/* ---- entering and leaving ---- */
static bool hears(Store *store, Record *record, uint32_t index) {
  const Choice *choice = choice_at(record, index);
  if (choice->ear.silent & ~SILENT_UNLESS || (store->runs > 1 && attachment_at_work(store, choice->attachment))) return false;
  if (!(choice->ear.silent & SILENT_UNLESS)) return true;
  record->current = index;
  Fit fit = condition_begins(choice->attachment->condition, choice->bound, record, frame_values(record));
  record->serial = 0;
  return fit == FIT_HEARD;
}

static Record *push(Store *store, Function *function, Slot *fp) {
  Set *set = (Set *)(void *)function->intercepts;
  const FunctionType *type = &function->type->type;
  size_t slots = (size_t)set->count * (type->param_slots + type->result_slots);
  size_t extra = set->head.extra + ((slots * sizeof(Slot) + 15) & ~(size_t)15);
  Record *record = record_push(store, RECORD_INTERCEPT, PHASE_HOST, fp, extra);
  if (!record) return NULL;
  record->ret = (const Word *)(uintptr_t)fp[-1];
  record->function = function;
  record->set = &set->head;
  record->id = slots;
  record->params = (Slot *)(void *)((char *)record->hearings + set->head.extra);
  record->tail_of = store->tail_of;
  record->call_id = ++store->last_id;
  record->offset = UINT32_MAX;
  record->flags = 0;
  store->tail_of = 0;
  set->head.holders++;
  fp[-1] = (Slot)(uintptr_t)intercept_word;
  return record;
}

static void pop(Store *store, Record *record) {
  record->fp[-1] = (Slot)(uintptr_t)record->ret;
  set_drop(set_of(record));
  record_pop(store);
}

/* The results are in their place: the listeners are told, and the records go. */
static Record *end_call(Store *store, Record *record, const Slot *results) {
  if (store->record != record) {
    store->hooks->leave(store, store->record, results);
    record_pop(store);
  }
  pop(store, record);
  return record;
}

Record *intercept_leave(Store *store, Slot *results) {
  Record *record = store->record->kind == RECORD_CALL ? store->record->prev : store->record;
  lun_error error = LUN_ERROR_INIT; /* what it tells stays asked for, and is seen to by who called */
  for (uint32_t i = set_of(record)->count; i-- > 0;) {
    if (!record->hearings[i].heard || !choice_at(record, i)->interceptor->results) continue;
    mark_over(store, record);
    if (ask_values(store, record, i, true, &error) != LUN_OK) break;
  }
  lun_error_clear(&error);
  return end_call(store, record, results);
}

void intercept_over(Store *store, Record *record) {
  (void)store;
  set_drop(set_of(record));
}

static Passage failed(Store *store, const Point *point, lun_status status, lun_error *error) {
  lun_error_clear(&store->error);
  store->error = *error;
  store->outcome = status;
  store->trap = error->trap;
  store->point = *point;
  return PASSAGE_FAILED;
}

static Passage failed_call(Store *store, Record *record, lun_status status, lun_error *error) {
  record->phase = PHASE_NONE;
  const Point point = { record->function, record->fp, NULL, record->offset };
  return failed(store, &point, status, error);
}

/* Nobody waits for its end: the call is as any other, but that its listeners are to know what was done to it. */
static Passage go_unheld(Store *store, Record *record) {
  Function *function = record->function;
  Slot *fp = record->fp;
  uint64_t tail_of = record->tail_of, id = record->call_id;
  lun_error error = LUN_ERROR_INIT;
  trace_of(store)->intercepted = record->flags;
  pop(store, record);
  bool told = tell_listeners(store, function, fp, tail_of, id);
  trace_of(store)->intercepted = 0;
  if (!told) return PASSAGE_REFUSED;
  const Point at = { function, fp, NULL, function->callback ? UINT32_MAX : body_offset(function->definition) };
  lun_status status = see_to_end(store, &at, &error);
  return status == LUN_OK ? PASSAGE_GOES_ON : failed(store, &at, status, &error);
}

/* Nobody stands in place of the call: it goes on in its frame. */
static Passage go_on(Store *store, Record *record) {
  const Set *set = set_of(record);
  bool waits = false;
  lun_error error = LUN_ERROR_INIT;
  lun_status status = LUN_OK;
  for (uint32_t i = 0; i < set->count && status == LUN_OK; i++) {
    if (!record->hearings[i].heard) continue;
    waits = waits || set->choices[i]->interceptor->results;
    status = ask_values(store, record, i, false, &error);
  }
  if (status == LUN_OK && waits) status = begin_call(store, record, &error);
  else if (status == LUN_OK) return go_unheld(store, record);
  return status == LUN_OK ? PASSAGE_GOES_ON : failed_call(store, record, status, &error);
}

Passage intercept_enter(Store *store, Function *function, Slot *fp) {
  const Set *set = (const Set *)(const void *)function->intercepts;
  Record *record = push(store, function, fp);
  if (!record) return PASSAGE_REFUSED;
  bool stands_in = false;
  for (uint32_t i = 0; i < set->count; i++) {
    record->hearings[i].data = NULL;
    record->hearings[i].heard = hears(store, record, i);
    if (!record->hearings[i].heard) continue;
    record->flags |= LUN_INTERCEPTED;
    stands_in = stands_in || set->choices[i]->interceptor->call;
  }
  if (!record->flags) return go_unheld(store, record);
  if (!stands_in) return go_on(store, record);
  lun_error error = LUN_ERROR_INIT;
  lun_status status = pass_on(store, record, 0, &error);
  if (status != LUN_OK) return failed_call(store, record, status, &error);
  end_call(store, record, frame_values(record));
  return PASSAGE_RETURNS;
}

/* ---- the door ---- */
lun_status lun_store_intercept(Store *store, lun_intercept_factory factory, void *context, const lun_attach_options *options,
                               lun_attachment **out, lun_error *error) {
  *out = NULL;
  lun_attach_options given = { .name = NULL };
  if (options) given = *options;
  given.time = given.params = false;
  if (given.condition && lun_condition_is_late(given.condition))
    return lun_error_set(error, LUN_USAGE, "who intercepts a call is known before it: by no time and no result");
  return attach_factories(store, NULL, 1, factory, context, &given, out, error);
}

unsigned lun_call_intercepted(const lun_call *call) {
  if (call->kind == RECORD_CALL && call->flags >= RECORD_INTERCEPTED) return call->flags / RECORD_INTERCEPTED;
  for (const Record *record = call; record && record->fp == call->fp; record = record->prev)
    if (record->kind == RECORD_INTERCEPT) return record->flags;
  return 0;
}
