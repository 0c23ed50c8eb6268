/* SPDX-License-Identifier: MIT */
/* Aggregations: the listeners that count. For each function one *plan*: its keys, value and predicate, bound, and its cell
 * where all keys are known beforehand.
 *
 * An aggregation that reads nothing but arguments counts at a *light* before: no record is pushed for the call, no end is
 * told (dispatch_light). */
#include <math.h>
#include <string.h>

#include "tally.h"

typedef struct Plan {
  LightPlan light;          /* first: dispatch knows it by this */
  lun_aggregate *aggregate;
  struct Plan *next;
  const Function *function;
  bool closing, has_when, is_fixed;
  bool is_latency;          /* whole times in quantiles, with no predicate */
  Reading value;
  Cell *cell;               /* is_fixed: that of its keys, once there is one */
  Reading readings[];       /* of the keys, then of the predicate */
} Plan;

const char *lun_aggregate_kind_name(lun_aggregate_kind kind) {
  static const char *const names[LUN_AGGREGATE_KIND_COUNT] = {
    "count", "sum", "min", "max", "avg", "stats", "hist", "lhist", "quantile", "balance",
  };
  return kind < LUN_AGGREGATE_KIND_COUNT ? names[kind] : "?";
}

/* ---- counting ---- */
void aggregate_leave_out(lun_aggregate *aggregate) {
  aggregate->left_out++;
  if (aggregate->is_full) return;
  aggregate->is_full = true;
  if (aggregate->options.on_full) aggregate->options.on_full(aggregate->options.self);
}

/* The count holds the weight already. */
static void add_deviation(Cell *cell, const lun_datum *value, uint64_t weight) {
  double number = datum_double(value), off = number - cell->mean;
  cell->mean += off * ((double)weight / (double)cell->count);
  cell->squares += off * (number - cell->mean) * (double)weight;
}

static inline bool add_bucket(lun_aggregate *aggregate, lun_aggregate_kind kind, Cell *cell, const lun_datum *value,
                              uint64_t weight) {
  Cells *cells = &aggregate->cells;
  unsigned bits = kind == LUN_AGGREGATE_QUANTILE ? QUANTILE_BITS : HIST_BITS;
  if (kind == LUN_AGGREGATE_LHIST)
    return buckets_add(cells, &cell->positive, bucket_of_step(&aggregate->options, datum_double(value)), weight);
  if (value->kind == LUN_DATUM_INTEGER) {
    int64_t integer = value->as.integer;
    if (LIKELY(integer > 0)) return buckets_add(cells, &cell->positive, bucket_of((uint64_t)integer, bits), weight);
    if (integer < 0) return buckets_add(cells, &cell->negative, bucket_of(-(uint64_t)integer, bits), weight);
  } else if (value->as.number != 0) {
    Buckets *buckets = value->as.number > 0 ? &cell->positive : &cell->negative;
    return buckets_add(cells, buckets, bucket_of_number(value->as.number, bits), weight);
  }
  cell->zeros += weight;
  return true;
}

enum { KEEPS_BUCKETS = 1, KEEPS_EXTREMES = 2, KEEPS_SUM = 4, KEEPS_DEVIATION = 8 };
static const uint8_t keeps[LUN_AGGREGATE_KIND_COUNT] = {
  [LUN_AGGREGATE_SUM] = KEEPS_SUM, [LUN_AGGREGATE_AVG] = KEEPS_SUM, [LUN_AGGREGATE_MIN] = KEEPS_EXTREMES,
  [LUN_AGGREGATE_MAX] = KEEPS_EXTREMES, [LUN_AGGREGATE_STATS] = KEEPS_EXTREMES | KEEPS_SUM | KEEPS_DEVIATION,
  [LUN_AGGREGATE_HIST] = KEEPS_BUCKETS | KEEPS_SUM, [LUN_AGGREGATE_LHIST] = KEEPS_BUCKETS | KEEPS_SUM,
  [LUN_AGGREGATE_QUANTILE] = KEEPS_BUCKETS | KEEPS_EXTREMES | KEEPS_SUM,
};

/* Calls in this one under the same key have covered what they took: the rest of its whole time. */
static inline uint64_t cover_whole(const Plan *plan, const Event *event, uint64_t whole) {
  Covered *covered = plan->light.covered;
  const Span *span = times_span(event->record, times_of(event->record), covered);
  if (UNLIKELY(!span)) return whole;
  uint64_t inner = covered->passed - span->before.passed;
  covered->passed = span->before.passed + whole;
  return whole - inner;
}

/* Of a sample each call stands for others of its kind, which differ in what lies in them: those that are left out cover, too. */
static inline void add_whole(const Plan *plan, const Event *event, Cell *cell, const lun_datum *value, uint64_t weight) {
  uint64_t whole = (uint64_t)value->as.integer, rest = cover_whole(plan, event, whole);
  cell->sum += (int64_t)(rest * weight);
  cell->nested += (whole - rest) * weight;
}

/* False: there was no room for it. `kind` is the aggregation's, which a caller may know beforehand. */
static inline __attribute__((always_inline)) bool count_value(const Plan *plan, lun_aggregate_kind kind, const Event *event,
                                                              Cell *cell, const lun_datum *value, uint64_t weight) {
  lun_aggregate *aggregate = plan->aggregate;
  unsigned kept = keeps[kind];
  if (kept & KEEPS_BUCKETS && !add_bucket(aggregate, kind, cell, value, weight)) return false;
  cell->count += weight;
  if (kept & KEEPS_EXTREMES) cell_add_extremes(cell, value);
  if (plan->light.covered) add_whole(plan, event, cell, value, weight);
  else if (kept & KEEPS_SUM) cell_add_sum(cell, value, weight);
  if (kept & KEEPS_DEVIATION) add_deviation(cell, value, weight);
  return true;
}

/* Opened and closed as often: of no more interest, and its place is wanted. */
void aggregate_count_balance(lun_aggregate *aggregate, Cell *cell, bool closing, uint64_t weight) {
  *(closing ? &cell->closed : &cell->opened) += weight;
  cell->count += weight;
  if (cell->opened != cell->closed) return;
  aggregate->total.count += cell->count;
  aggregate->total.opened += cell->opened;
  aggregate->total.closed += cell->closed;
  cells_remove(&aggregate->cells, cell, aggregate->options.key_count);
}

/* 0: there is no room for its number, in the budget or at all. */
static int64_t stack_of(lun_aggregate *aggregate, const Event *event) {
  Cells *cells = &aggregate->cells;
  uint64_t made, nodes = aggregate->is_full ? 0 : (cells->budget - cells->bytes) / STACK_BYTES;
  uint64_t id = stack_id_within(event->record, nodes, &made);
  cells->bytes += (size_t)made * STACK_BYTES;
  return (int64_t)id;
}

/* Texts are put where the aggregation keeps them. False: a key is missing, or there is no room (then *full). */
static bool read_keys(const Plan *plan, const Event *event, lun_datum *keys, bool *full) {
  lun_aggregate *aggregate = plan->aggregate;
  for (size_t i = 0; i < aggregate->options.key_count; i++) {
    if (plan->readings[i].source == LUN_SOURCE_STACK) {
      keys[i] = datum_integer(stack_of(aggregate, event));
      if (keys[i].as.integer == 0) return !(*full = true);
      continue;
    }
    keys[i] = reading_read(&plan->readings[i], event);
    if (keys[i].kind == LUN_DATUM_NONE) return false;
    if (keys[i].kind == LUN_DATUM_NUMBER && keys[i].as.number == 0) keys[i].as.number = 0; /* no key of its own for -0 */
    if (keys[i].kind != LUN_DATUM_TEXT) continue;
    keys[i].as.text = cells_text(&aggregate->cells, keys[i].as.text);
    if (!keys[i].as.text) return !(*full = true);
  }
  return true;
}

static __attribute__((noinline)) Cell *cell_of(Plan *plan, const Event *event, bool *full) {
  lun_datum keys[LUN_KEYS_MOST];
  if (!read_keys(plan, event, keys, full)) return NULL;
  Cell *cell = cells_get(&plan->aggregate->cells, keys, plan->aggregate->options.key_count);
  *full = !cell;
  if (plan->is_fixed) plan->cell = cell;
  return cell;
}

static inline void count(Plan *plan, const Event *event, uint64_t weight) {
  lun_aggregate *aggregate = plan->aggregate;
  lun_aggregate_kind kind = aggregate->options.kind;
  lun_datum value = { LUN_DATUM_NONE, { 0 } };
  bool full = false;
  if (UNLIKELY(plan->has_when) &&
      !predicate_holds(aggregate->options.when, plan->readings + aggregate->options.key_count, event)) return;
  bool has_value = kind != LUN_AGGREGATE_COUNT && kind != LUN_AGGREGATE_BALANCE;
  if (has_value) {
    value = reading_read(&plan->value, event);
    if (value.kind == LUN_DATUM_NONE) return;
  }
  if (UNLIKELY(weight == 0)) {
    cover_whole(plan, event, (uint64_t)value.as.integer);
    return;
  }
  Cell *cell = LIKELY(plan->cell) ? plan->cell : cell_of(plan, event, &full);
  if (UNLIKELY(!cell)) {
    if (full) aggregate_leave_out(aggregate);
  } else if (!has_value) {
    if (kind == LUN_AGGREGATE_BALANCE) aggregate_count_balance(aggregate, cell, plan->closing, weight);
    else cell->count += weight;
  } else if (!count_value(plan, kind, event, cell, &value, weight)) {
    aggregate_leave_out(aggregate);
  }
}

/* ---- the listeners ---- */
/* Counts calls of a function whose row there is; otherwise it is as all others. */
static void light_count(LightPlan *light, const Function *function, const Slot *params) {
  Plan *plan = (Plan *)(void *)light;
  if (LIKELY(plan->cell)) {
    plan->cell->count++;
    return;
  }
  count(plan, &(Event){ .function = function, .params = params }, 1);
}

/* A histogram of an argument, by what is known of the function. */
static void light_hist(LightPlan *light, const Function *function, const Slot *params) {
  Plan *plan = (Plan *)(void *)light;
  const Event event = { .function = function, .params = params };
  if (UNLIKELY(!plan->cell)) {
    count(plan, &event, 1);
    return;
  }
  lun_datum value = reading_read(&plan->value, &event);
  if (value.kind == LUN_DATUM_NONE) return;
  if (!count_value(plan, LUN_AGGREGATE_HIST, &event, plan->cell, &value, 1)) aggregate_leave_out(plan->aggregate);
}

static void light_any(LightPlan *light, const Function *function, const Slot *params) {
  count((Plan *)(void *)light, &(Event){ .function = function, .params = params }, 1);
}

static void hear_before(void *self, lun_call *call, const uint64_t *params) {
  count(self, &(Event){ .function = call->function, .record = call, .params = params }, lun_call_weight(call));
}

static void hear_after(void *self, lun_call *call, const uint64_t *results) {
  count(self, &(Event){ call->function, call, lun_call_params(call), results }, lun_call_weight(call));
}

static void hear_abort(void *self, lun_call *call, const lun_error *error) {
  (void)error;
  hear_after(self, call, NULL);
}

/* A latency by function, one attachment's only one: nearly always there is a place for it. */
bool aggregate_count_whole(LightPlan *light, const Span *span, uint64_t elapsed) {
  const Plan *plan = (const Plan *)(const void *)light;
  Cell *cell = plan->cell;
  if (UNLIKELY(!cell || !plan->is_latency || (int64_t)elapsed <= 0)) return false;
  if (UNLIKELY(cell->min.kind != LUN_DATUM_INTEGER || cell->max.kind != LUN_DATUM_INTEGER)) return false;
  const Buckets *buckets = &cell->positive;
  uint64_t place = (uint64_t)((int64_t)bucket_of(elapsed, QUANTILE_BITS) - buckets->first);
  if (UNLIKELY(place >= buckets->room)) return false;
  buckets->counts[place]++;
  cell->count++;
  if (UNLIKELY((int64_t)elapsed < cell->min.as.integer)) cell->min.as.integer = (int64_t)elapsed;
  if (UNLIKELY((int64_t)elapsed > cell->max.as.integer)) cell->max.as.integer = (int64_t)elapsed;
  Covered *covered = span->covered;
  uint64_t inner = covered->passed - span->before.passed;
  covered->passed = span->before.passed + elapsed;
  cell->sum += (int64_t)(elapsed - inner);
  cell->nested += inner;
  return true;
}

/* A latency by function, without what would be looked for in vain. */
static void hear_whole(void *self, lun_call *call, const uint64_t *results) {
  const Plan *plan = self;
  const Times *times = times_of(call);
  uint64_t weight = lun_call_weight(call);
  if (UNLIKELY(plan->has_when || !plan->cell || !times || weight == 0 || plan->aggregate->options.kind != LUN_AGGREGATE_QUANTILE)) {
    hear_after(self, call, results);
    return;
  }
  const Event event = { .function = call->function, .record = call };
  lun_datum value = datum_integer((int64_t)times->elapsed);
  if (!count_value(plan, LUN_AGGREGATE_QUANTILE, &event, plan->cell, &value, weight))
    aggregate_leave_out(plan->aggregate);
}

const lun_listener light_listener = { .before = hear_before };
static const lun_listener before_listener = { .before = hear_before };
static const lun_listener end_listener = { .after = hear_after, .abort = hear_abort };
const lun_listener whole_listener = { .after = hear_whole, .abort = hear_abort };

bool listener_counts(const lun_listener *listener) {
  return listener == &light_listener || listener == &before_listener || listener == &end_listener || listener == &whole_listener;
}

/* The predicate is bound behind the keys. */
static Verdict plan_bind(const lun_aggregate *aggregate, Plan *plan) {
  const lun_reading *keys = plan->closing ? aggregate->close_keys : aggregate->keys;
  plan->is_fixed = aggregate->options.kind != LUN_AGGREGATE_BALANCE;
  for (size_t i = 0; i < aggregate->options.key_count; i++) {
    plan->readings[i] = reading_bind(&keys[i], plan->function);
    plan->is_fixed = plan->is_fixed && plan->readings[i].access == ACCESS_FIXED;
    if (plan->readings[i].access == ACCESS_NONE) return VERDICT_NEVER;
  }
  if (aggregate->options.value) {
    plan->value = reading_bind(&aggregate->value, plan->function);
    if (plan->value.access == ACCESS_NONE) return VERDICT_NEVER;
  }
  if (!aggregate->options.when) return VERDICT_ALWAYS;
  Verdict verdict = predicate_bind(aggregate->options.when, plan->function, plan->readings + aggregate->options.key_count);
  plan->has_when = verdict == VERDICT_DEPENDS;
  return verdict;
}

static const Function *function_of(const lun_instance *instance, const lun_definition *definition) {
  const Function *function = lun_instance_function_at(instance, lun_definition_index(definition));
  return function && function->definition == definition ? function : NULL;
}

/* What it needs to know of a call: of BALANCE each side for itself. */
static unsigned needs_of(const lun_aggregate *aggregate, bool closing) {
  const lun_reading *keys = closing ? aggregate->close_keys : aggregate->keys;
  unsigned needs = predicate_needs(aggregate->options.when);
  for (size_t i = 0; i < aggregate->options.key_count; i++) needs |= reading_needs(&keys[i]);
  return aggregate->options.value ? needs | reading_needs(&aggregate->value) : needs;
}

static bool counts_by_stack(const lun_aggregate *aggregate) {
  for (size_t i = 0; i < aggregate->options.key_count; i++)
    if (aggregate->keys[i].source == LUN_SOURCE_STACK || aggregate->close_keys[i].source == LUN_SOURCE_STACK) return true;
  return false;
}

/* Where whole times are summed under keys that all calls of the function have. False: no memory. */
static bool cover(lun_aggregate *aggregate, Plan *plan) {
  lun_datum keys[LUN_KEYS_MOST];
  bool is_whole = aggregate->options.value && aggregate->value.source == LUN_SOURCE_ELAPSED;
  if (!is_whole || !plan->is_fixed || !(keeps[aggregate->options.kind] & KEEPS_SUM)) return true;
  for (size_t i = 0; i < aggregate->options.key_count; i++) {
    keys[i] = plan->readings[i].fixed;
    keys[i].as.text = cells_text(&aggregate->covered, keys[i].as.text);
    if (!keys[i].as.text) return false;
  }
  Cell *cell = cells_get(&aggregate->covered, keys, aggregate->options.key_count);
  if (cell) plan->light.covered = &cell->covered;
  return cell != NULL;
}

typedef void (*LightTell)(LightPlan *light, const Function *function, const Slot *params);
static LightTell light_of(const lun_aggregate *aggregate, const Plan *plan) {
  if (plan->has_when) return light_any;
  if (aggregate->options.kind == LUN_AGGREGATE_HIST) return light_hist;
  return aggregate->options.kind == LUN_AGGREGATE_COUNT ? light_count : light_any;
}

lun_status lun_aggregate_choose(lun_aggregate *aggregate, lun_instance *instance, const lun_definition *definition,
                                unsigned flags, lun_choice *out, lun_error *error) {
  *out = (lun_choice){ NULL, NULL };
  const Function *function = function_of(instance, definition);
  if (!function) return LUN_OK;
  if (counts_by_stack(aggregate)) {
    if (aggregate->store && aggregate->store != function->store)
      return lun_error_set(error, LUN_USAGE, "stacks are numbered by each store: what counts by them listens to one store");
    aggregate->store = function->store;
  }
  size_t readings = aggregate->options.key_count + aggregate->when_readings;
  Plan *plan = calloc(1, sizeof *plan + readings * sizeof *plan->readings);
  if (!plan) return lun_error_set(error, LUN_NO_MEMORY, "out of memory");
  plan->aggregate = aggregate;
  plan->function = function;
  plan->closing = (flags & LUN_AGGREGATE_CLOSING) != 0;
  if (plan_bind(aggregate, plan) == VERDICT_NEVER) {
    free(plan);
    return LUN_OK;
  }
  if (!cover(aggregate, plan)) {
    free(plan);
    return lun_error_set(error, LUN_NO_MEMORY, "out of memory");
  }
  plan->light.tell = light_of(aggregate, plan);
  plan->is_latency = plan->light.covered && aggregate->options.kind == LUN_AGGREGATE_QUANTILE && !plan->has_when;
  plan->next = aggregate->plans;
  aggregate->plans = plan;
  unsigned needs = needs_of(aggregate, plan->closing);
  if (flags & LUN_AGGREGATE_LATE) needs |= NEEDS_END;
  out->self = plan;
  out->listener = needs & NEEDS_RECORD ? &before_listener : &light_listener;
  if (needs & NEEDS_END) out->listener = plan->light.covered ? &whole_listener : &end_listener;
  return LUN_OK;
}

void lun_aggregate_needs(const lun_aggregate *aggregate, lun_attach_options *options) {
  unsigned open = needs_of(aggregate, false), close = needs_of(aggregate, true);
  if ((open | close) & NEEDS_TIME) options->time = true;
  if (options->condition && lun_condition_is_late(options->condition)) open |= NEEDS_END, close |= NEEDS_END;
  if ((open & NEEDS_END && open & NEEDS_PARAMS) || (close & NEEDS_END && close & NEEDS_PARAMS)) options->params = true;
}

lun_aggregate_kind lun_aggregate_kind_of(const lun_aggregate *aggregate) { return aggregate->options.kind; }

bool lun_aggregate_is_time(const lun_aggregate *aggregate) {
  lun_source source = aggregate->value.source;
  return aggregate->options.value && (source == LUN_SOURCE_ELAPSED || source == LUN_SOURCE_SELF_TIME);
}

/* ---- making ---- */
static lun_status check(const lun_aggregate_options *options, lun_error *error) {
  bool wants_value = options->kind != LUN_AGGREGATE_COUNT && options->kind != LUN_AGGREGATE_BALANCE;
  const char *kind = lun_aggregate_kind_name(options->kind);
  if (options->kind >= LUN_AGGREGATE_KIND_COUNT) return lun_error_set(error, LUN_USAGE, "there is no such aggregation");
  if (options->key_count > LUN_KEYS_MOST) return lun_error_set(error, LUN_USAGE, "at most %d keys", LUN_KEYS_MOST);
  if (wants_value && !options->value) return lun_error_set(error, LUN_USAGE, "%s needs a value", kind);
  if (!wants_value && options->value) return lun_error_set(error, LUN_USAGE, "%s takes no value", kind);
  if (wants_value && (reading_is_text(options->value) || options->value->source == LUN_SOURCE_STACK))
    return lun_error_set(error, LUN_USAGE, "the value of %s must be a number", kind);
  if (options->kind != LUN_AGGREGATE_LHIST) return LUN_OK;
  double steps = (options->to - options->from) / options->step;
  if (!(steps > 0) || !isfinite(steps) || !(options->step > 0) || !isfinite(options->from))
    return lun_error_set(error, LUN_USAGE, "lhist needs from < to and a step above 0");
  if (steps > LUN_STEPS_MOST) return lun_error_set(error, LUN_USAGE, "lhist has at most %d steps", LUN_STEPS_MOST);
  return LUN_OK;
}

static bool copy_readings(lun_aggregate *aggregate, const lun_aggregate_options *options) {
  const lun_reading *closing = options->close_keys ? options->close_keys : options->keys;
  for (size_t i = 0; i < options->key_count; i++) {
    if (!reading_copy(&aggregate->keys[i], &options->keys[i])) return false;
    if (!reading_copy(&aggregate->close_keys[i], &closing[i])) return false;
  }
  return !options->value || reading_copy(&aggregate->value, options->value);
}

lun_status lun_aggregate_create(const lun_aggregate_options *options, lun_aggregate **out, lun_error *error) {
  *out = NULL;
  lun_status status = check(options, error);
  lun_aggregate *aggregate = status == LUN_OK ? calloc(1, sizeof *aggregate) : NULL;
  if (!aggregate) {
    lun_predicate_destroy(options->when);
    return status == LUN_OK ? lun_error_set(error, LUN_NO_MEMORY, "out of memory") : status;
  }
  aggregate->holders = 1;
  aggregate->options = *options;
  aggregate->options.keys = aggregate->keys;
  aggregate->options.close_keys = aggregate->close_keys;
  aggregate->options.value = options->value ? &aggregate->value : NULL;
  aggregate->when_readings = predicate_readings(options->when);
  aggregate->bits = options->kind == LUN_AGGREGATE_QUANTILE ? QUANTILE_BITS : HIST_BITS;
  aggregate->cells.budget = options->budget ? options->budget : LUN_BUDGET;
  aggregate->covered.budget = SIZE_MAX;
  if (copy_readings(aggregate, options)) {
    *out = aggregate;
    return LUN_OK;
  }
  lun_aggregate_destroy(aggregate);
  return lun_error_set(error, LUN_NO_MEMORY, "out of memory");
}

void lun_aggregate_retain(lun_aggregate *aggregate) { aggregate->holders++; }

void lun_aggregate_destroy(lun_aggregate *aggregate) {
  if (!aggregate || --aggregate->holders > 0) return;
  for (Plan *plan = aggregate->plans, *next; plan; plan = next) {
    next = plan->next;
    free(plan);
  }
  cells_clear(&aggregate->cells, true);
  cells_clear(&aggregate->covered, true);
  for (size_t i = 0; i < LUN_KEYS_MOST; i++) {
    reading_clear(&aggregate->keys[i]);
    reading_clear(&aggregate->close_keys[i]);
  }
  reading_clear(&aggregate->value);
  lun_predicate_destroy(aggregate->options.when);
  free(aggregate);
}

void lun_aggregate_reset(lun_aggregate *aggregate) {
  for (Plan *plan = aggregate->plans; plan; plan = plan->next) plan->cell = NULL;
  cells_clear(&aggregate->cells, true);
  memset(&aggregate->total, 0, sizeof aggregate->total);
  aggregate->left_out = 0;
  aggregate->is_full = false;
}
