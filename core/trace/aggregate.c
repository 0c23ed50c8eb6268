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
  Reading value;
  Cell *cell;               /* is_fixed: that of its keys, once there is one */
  Reading readings[];       /* of the keys, then of the predicate */
} Plan;

struct lun_aggregate {
  uint32_t holders;
  lun_aggregate_options options;  /* `keys`, `value`, `when`: its own */
  lun_reading keys[LUN_KEYS_MOST], close_keys[LUN_KEYS_MOST], value;
  unsigned needs;
  size_t when_readings;
  unsigned bits;
  Plan *plans;
  Cells cells;
  Cell total;               /* BALANCE: of the keys that are forgotten */
  uint64_t left_out;
  bool is_full;
};

const char *lun_aggregate_kind_name(lun_aggregate_kind kind) {
  static const char *const names[LUN_AGGREGATE_KIND_COUNT] = {
    "count", "sum", "min", "max", "avg", "stats", "hist", "lhist", "quantile", "balance",
  };
  return kind < LUN_AGGREGATE_KIND_COUNT ? names[kind] : "?";
}

/* ---- counting ---- */
static void leave_out(lun_aggregate *aggregate) {
  aggregate->left_out++;
  if (aggregate->is_full) return;
  aggregate->is_full = true;
  if (aggregate->options.on_full) aggregate->options.on_full(aggregate->options.self);
}

static void add_sum(Cell *cell, const lun_datum *value, uint64_t weight) {
  int64_t product, sum;
  if (value->kind == LUN_DATUM_INTEGER && !__builtin_mul_overflow(value->as.integer, weight, &product) &&
      !__builtin_add_overflow(cell->sum, product, &sum)) {
    cell->sum = sum;
    return;
  }
  cell->has_number = true;
  cell->sum_number += datum_double(value) * (double)weight;
}

static void add_extremes(Cell *cell, const lun_datum *value) {
  if (cell->min.kind == LUN_DATUM_NONE || datum_compare(value, &cell->min) < 0) cell->min = *value;
  if (cell->max.kind == LUN_DATUM_NONE || datum_compare(value, &cell->max) > 0) cell->max = *value;
}

/* The count holds the weight already. */
static void add_deviation(Cell *cell, const lun_datum *value, uint64_t weight) {
  double number = datum_double(value), off = number - cell->mean;
  cell->mean += off * ((double)weight / (double)cell->count);
  cell->squares += off * (number - cell->mean) * (double)weight;
}

static int32_t step_of(const lun_aggregate *aggregate, double value) {
  const lun_aggregate_options *options = &aggregate->options;
  if (value < options->from) return -1;
  int32_t most = (int32_t)ceil((options->to - options->from) / options->step - 1e-9);
  return value >= options->to ? most : (int32_t)((value - options->from) / options->step);
}

static inline bool add_bucket(lun_aggregate *aggregate, Cell *cell, const lun_datum *value, uint64_t weight) {
  Cells *cells = &aggregate->cells;
  unsigned bits = aggregate->bits;
  if (aggregate->options.kind == LUN_AGGREGATE_LHIST)
    return buckets_add(cells, &cell->positive, step_of(aggregate, datum_double(value)), weight);
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

/* False: there was no room for it. */
static inline bool count_value(lun_aggregate *aggregate, Cell *cell, const lun_datum *value, uint64_t weight) {
  unsigned kept = keeps[aggregate->options.kind];
  if (kept & KEEPS_BUCKETS && !add_bucket(aggregate, cell, value, weight)) return false;
  cell->count += weight;
  if (kept & KEEPS_EXTREMES) add_extremes(cell, value);
  if (kept & KEEPS_SUM) add_sum(cell, value, weight);
  if (kept & KEEPS_DEVIATION) add_deviation(cell, value, weight);
  return true;
}

/* Opened and closed as often: of no more interest, and its place is wanted. */
static void count_balance(lun_aggregate *aggregate, Cell *cell, bool closing, uint64_t weight) {
  *(closing ? &cell->closed : &cell->opened) += weight;
  cell->count += weight;
  if (cell->opened != cell->closed) return;
  aggregate->total.count += cell->count;
  aggregate->total.opened += cell->opened;
  aggregate->total.closed += cell->closed;
  cells_remove(&aggregate->cells, cell, aggregate->options.key_count);
}

/* Texts are put where the aggregation keeps them. False: a key is missing, or there is no room (then *full). */
static bool read_keys(const Plan *plan, const Event *event, lun_datum *keys, bool *full) {
  lun_aggregate *aggregate = plan->aggregate;
  for (size_t i = 0; i < aggregate->options.key_count; i++) {
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
  Cell *cell = LIKELY(plan->cell) ? plan->cell : cell_of(plan, event, &full);
  if (UNLIKELY(!cell)) {
    if (full) leave_out(aggregate);
  } else if (!has_value) {
    if (kind == LUN_AGGREGATE_BALANCE) count_balance(aggregate, cell, plan->closing, weight);
    else cell->count += weight;
  } else if (!count_value(aggregate, cell, &value, weight)) {
    leave_out(aggregate);
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

const lun_listener light_listener = { .before = hear_before };
static const lun_listener before_listener = { .before = hear_before };
static const lun_listener end_listener = { .after = hear_after, .abort = hear_abort };

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

lun_status lun_aggregate_choose(lun_aggregate *aggregate, lun_instance *instance, const lun_definition *definition,
                                unsigned flags, lun_choice *out, lun_error *error) {
  *out = (lun_choice){ NULL, NULL };
  const Function *function = function_of(instance, definition);
  if (!function) return LUN_OK;
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
  bool counts = aggregate->options.kind == LUN_AGGREGATE_COUNT && !plan->has_when;
  plan->light.tell = counts ? light_count : light_any;
  plan->next = aggregate->plans;
  aggregate->plans = plan;
  unsigned needs = needs_of(aggregate, plan->closing);
  if (flags & LUN_AGGREGATE_LATE) needs |= NEEDS_END;
  out->self = plan;
  out->listener = needs & NEEDS_END ? &end_listener : needs & NEEDS_RECORD ? &before_listener : &light_listener;
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
static bool is_text(const lun_reading *reading) { return reading->source >= LUN_SOURCE_NAME; }

static lun_status check(const lun_aggregate_options *options, lun_error *error) {
  bool wants_value = options->kind != LUN_AGGREGATE_COUNT && options->kind != LUN_AGGREGATE_BALANCE;
  const char *kind = lun_aggregate_kind_name(options->kind);
  if (options->kind >= LUN_AGGREGATE_KIND_COUNT) return lun_error_set(error, LUN_USAGE, "there is no such aggregation");
  if (options->key_count > LUN_KEYS_MOST) return lun_error_set(error, LUN_USAGE, "at most %d keys", LUN_KEYS_MOST);
  if (wants_value && !options->value) return lun_error_set(error, LUN_USAGE, "%s needs a value", kind);
  if (!wants_value && options->value) return lun_error_set(error, LUN_USAGE, "%s takes no value", kind);
  if (wants_value && is_text(options->value)) return lun_error_set(error, LUN_USAGE, "the value of %s must be a number", kind);
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
  for (size_t i = 0; i < LUN_KEYS_MOST; i++) {
    reading_clear(&aggregate->keys[i]);
    reading_clear(&aggregate->close_keys[i]);
  }
  reading_clear(&aggregate->value);
  lun_predicate_destroy(aggregate->options.when);
  free(aggregate);
}

/* ---- what it has counted ---- */
size_t lun_aggregate_count(const lun_aggregate *aggregate) { return aggregate->cells.all.count; }
uint64_t lun_aggregate_left_out(const lun_aggregate *aggregate) { return aggregate->left_out; }
size_t lun_aggregate_bytes(const lun_aggregate *aggregate) { return aggregate->cells.bytes; }

static lun_datum sum_of(const Cell *cell) {
  return cell->has_number ? datum_number((double)cell->sum + cell->sum_number) : datum_integer(cell->sum);
}

static lun_tally tally_of(const lun_aggregate *aggregate, const Cell *cell, size_t keys) {
  lun_tally tally = { .keys = cell->keys, .key_count = keys, .count = cell->count, .opened = cell->opened,
                      .closed = cell->closed, .sum = sum_of(cell), .min = cell->min, .max = cell->max };
  if (cell->count) tally.mean = datum_double(&tally.sum) / (double)cell->count;
  if (cell->count && aggregate->options.kind == LUN_AGGREGATE_STATS) {
    tally.mean = cell->mean;
    tally.deviation = sqrt(cell->squares / (double)cell->count);
  }
  return tally;
}

lun_tally lun_aggregate_tally(const lun_aggregate *aggregate, size_t index) {
  return tally_of(aggregate, aggregate->cells.all.items[index], aggregate->options.key_count);
}

/* All but the buckets. */
static void cell_add(Cell *cell, const Cell *other) {
  double n = (double)cell->count, m = (double)other->count, off = other->mean - cell->mean;
  if (n + m > 0) {
    cell->mean += off * (m / (n + m));
    cell->squares += other->squares + off * off * (n * m / (n + m));
  }
  cell->count += other->count;
  cell->opened += other->opened;
  cell->closed += other->closed;
  cell->zeros += other->zeros;
  lun_datum sum = datum_integer(other->sum);
  add_sum(cell, &sum, 1);
  cell->has_number |= other->has_number;
  cell->sum_number += other->sum_number;
  if (other->min.kind != LUN_DATUM_NONE) add_extremes(cell, &other->min);
  if (other->max.kind != LUN_DATUM_NONE) add_extremes(cell, &other->max);
}

lun_tally lun_aggregate_total(const lun_aggregate *aggregate) {
  Cell total = aggregate->total;
  for (size_t i = 0; i < aggregate->cells.all.count; i++) cell_add(&total, aggregate->cells.all.items[i]);
  lun_tally tally = tally_of(aggregate, &total, 0);
  tally.keys = NULL;
  return tally;
}

/* The middle of a bucket; of integers the middle one of those that lie in it. */
static double middle_of(int32_t index, unsigned bits, bool are_integers) {
  double low = bucket_low(index, bits), high = bucket_low(index + 1, bits);
  if (!are_integers) return low + (high - low) / 2;
  low = ceil(low);
  high = ceil(high) - 1;
  return floor(low + (high - low) / 2);
}

/* The value whose rank it is, without a sign; *rank is less by those that were passed over. */
static bool rank_find(const Buckets *buckets, bool downwards, uint64_t *rank, int32_t *index) {
  int32_t first, last;
  if (!buckets_span(buckets, &first, &last)) return false;
  for (int32_t i = downwards ? last : first; i >= first && i <= last; i += downwards ? -1 : 1) {
    uint64_t count_here = buckets_at(buckets, i);
    *index = i;
    if (*rank <= count_here) return true;
    *rank -= count_here;
  }
  return false;
}

lun_datum lun_aggregate_quantile(const lun_aggregate *aggregate, size_t index, double q) {
  const Cell *cell = aggregate->cells.all.items[index];
  bool are_integers = !cell->has_number && cell->min.kind == LUN_DATUM_INTEGER && cell->max.kind == LUN_DATUM_INTEGER;
  uint64_t rank = (uint64_t)ceil(q * (double)cell->count - 1e-9);
  int32_t at = 0;
  double value = 0;
  if (aggregate->options.kind != LUN_AGGREGATE_QUANTILE || !cell->count) return (lun_datum){ LUN_DATUM_NONE, { 0 } };
  if (rank < 1 || !(q > 0)) rank = 1;
  if (rank >= cell->count) return cell->max;
  if (rank_find(&cell->negative, true, &rank, &at)) value = -middle_of(at, aggregate->bits, are_integers);
  else if (rank > cell->zeros) {
    rank -= cell->zeros;
    if (rank_find(&cell->positive, false, &rank, &at)) value = middle_of(at, aggregate->bits, are_integers);
  }
  if (value < datum_double(&cell->min)) return cell->min;
  if (value > datum_double(&cell->max)) return cell->max;
  return are_integers && fabs(value) < 0x1p63 ? datum_integer((int64_t)value) : datum_number(value);
}

typedef struct BucketList {
  lun_bucket *buckets;
  size_t room, count;
} BucketList;

static void list_add(BucketList *list, double low, double high, uint64_t count_here) {
  if (list->count < list->room) list->buckets[list->count] = (lun_bucket){ low, high, count_here };
  list->count++;
}

static void list_logarithmic(const lun_aggregate *aggregate, const Cell *cell, BucketList *list) {
  int32_t first, last;
  unsigned bits = aggregate->bits;
  bool has_negative = buckets_span(&cell->negative, &first, &last);
  for (int32_t i = has_negative ? last : 0; has_negative && i >= first; i--)
    list_add(list, -bucket_low(i + 1, bits), -bucket_low(i, bits), buckets_at(&cell->negative, i));
  bool has_positive = buckets_span(&cell->positive, &first, &last);
  if (cell->zeros || (has_negative && has_positive)) list_add(list, 0, 0, cell->zeros);
  for (int32_t i = has_positive ? first : 0; has_positive && i <= last; i++)
    list_add(list, bucket_low(i, bits), bucket_low(i + 1, bits), buckets_at(&cell->positive, i));
}

static void list_steps(const lun_aggregate *aggregate, const Cell *cell, BucketList *list) {
  const lun_aggregate_options *options = &aggregate->options;
  int32_t first, last, most = step_of(aggregate, options->to);
  if (!buckets_span(&cell->positive, &first, &last)) return;
  for (int32_t i = first; i <= last; i++) {
    double low = i < 0 ? -INFINITY : i >= most ? options->to : options->from + i * options->step;
    double high = i < 0 ? options->from : i >= most ? INFINITY : fmin(options->from + (i + 1) * options->step, options->to);
    list_add(list, low, high, buckets_at(&cell->positive, i));
  }
}

size_t lun_aggregate_buckets(const lun_aggregate *aggregate, size_t index, lun_bucket *buckets, size_t room) {
  BucketList list = { buckets, room, 0 };
  const Cell *cell = aggregate->cells.all.items[index];
  if (aggregate->options.kind == LUN_AGGREGATE_LHIST) list_steps(aggregate, cell, &list);
  else list_logarithmic(aggregate, cell, &list);
  return list.count;
}

void lun_aggregate_reset(lun_aggregate *aggregate) {
  for (Plan *plan = aggregate->plans; plan; plan = plan->next) plan->cell = NULL;
  cells_clear(&aggregate->cells, true);
  memset(&aggregate->total, 0, sizeof aggregate->total);
  aggregate->left_out = 0;
  aggregate->is_full = false;
}

/* ---- merging ---- */
static bool is_alike(const lun_aggregate *a, const lun_aggregate *b) {
  const lun_aggregate_options *left = &a->options, *right = &b->options;
  if (left->kind != right->kind || left->key_count != right->key_count) return false;
  for (size_t i = 0; i < left->key_count; i++)
    if (!reading_equal(&a->keys[i], &b->keys[i])) return false;
  if (left->kind != LUN_AGGREGATE_LHIST) return true;
  return left->from == right->from && left->to == right->to && left->step == right->step;
}

static bool add_all_buckets(Cells *cells, Buckets *to, const Buckets *from) {
  bool well = true;
  for (uint32_t i = 0; i < from->room && well; i++)
    if (from->counts[i]) well = buckets_add(cells, to, from->first + (int32_t)i, from->counts[i]);
  return well;
}

static bool merge_cell(lun_aggregate *aggregate, const Cell *other) {
  lun_datum keys[LUN_KEYS_MOST];
  size_t count_of_keys = aggregate->options.key_count;
  for (size_t i = 0; i < count_of_keys; i++) {
    keys[i] = other->keys[i];
    if (keys[i].kind == LUN_DATUM_TEXT && !(keys[i].as.text = cells_text(&aggregate->cells, keys[i].as.text))) return false;
  }
  Cell *cell = cells_get(&aggregate->cells, keys, count_of_keys);
  if (!cell) return false;
  if (!add_all_buckets(&aggregate->cells, &cell->positive, &other->positive)) return false;
  if (!add_all_buckets(&aggregate->cells, &cell->negative, &other->negative)) return false;
  cell_add(cell, other);
  if (aggregate->options.kind == LUN_AGGREGATE_BALANCE) count_balance(aggregate, cell, false, 0);
  return true;
}

lun_status lun_aggregate_merge(lun_aggregate *aggregate, const lun_aggregate *other, lun_error *error) {
  if (aggregate == other) return lun_error_set(error, LUN_USAGE, "an aggregation cannot be merged with itself");
  if (!is_alike(aggregate, other))
    return lun_error_set(error, LUN_USAGE, "only aggregations of one kind, with the same keys and steps, can be merged");
  for (size_t i = 0; i < other->cells.all.count; i++)
    if (!merge_cell(aggregate, other->cells.all.items[i])) leave_out(aggregate);
  cell_add(&aggregate->total, &other->total);
  aggregate->left_out += other->left_out;
  return LUN_OK;
}
