/* SPDX-License-Identifier: MIT */
/* What an aggregation has counted: its rows, quantiles and buckets; and adding one aggregation to another. */
#include <math.h>
#include <string.h>

#include "tally.h"

size_t lun_aggregate_count(const lun_aggregate *aggregate) { return aggregate->cells.all.count; }
uint64_t lun_aggregate_left_out(const lun_aggregate *aggregate) { return aggregate->left_out; }
size_t lun_aggregate_bytes(const lun_aggregate *aggregate) { return aggregate->cells.bytes; }

static lun_datum sum_of(const Cell *cell) {
  return cell->has_number ? datum_number((double)cell->sum + cell->sum_number) : datum_integer(cell->sum);
}

static lun_tally tally_of(const lun_aggregate *aggregate, const Cell *cell, size_t keys) {
  lun_tally tally = { .keys = cell->keys, .key_count = keys, .count = cell->count, .opened = cell->opened,
                      .closed = cell->closed, .sum = sum_of(cell), .min = cell->min, .max = cell->max,
                      .nested_ns = cell->nested };
  if (cell->count) tally.mean = (datum_double(&tally.sum) + (double)cell->nested) / (double)cell->count;
  if (cell->count && aggregate->options.kind == LUN_AGGREGATE_STATS) {
    tally.mean = cell->mean;
    tally.deviation = sqrt(cell->squares / (double)cell->count);
  }
  return tally;
}

lun_tally lun_aggregate_tally(const lun_aggregate *aggregate, size_t index) {
  return tally_of(aggregate, aggregate->cells.all.items[index], aggregate->options.key_count);
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
  int32_t first, last, most = bucket_of_step(&aggregate->options, options->to);
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
  if (aggregate->options.kind == LUN_AGGREGATE_BALANCE) aggregate_count_balance(aggregate, cell, false, 0);
  return true;
}

lun_status lun_aggregate_merge(lun_aggregate *aggregate, const lun_aggregate *other, lun_error *error) {
  if (aggregate == other) return lun_error_set(error, LUN_USAGE, "an aggregation cannot be merged with itself");
  if (aggregate->store && other->store && aggregate->store != other->store)
    return lun_error_set(error, LUN_USAGE, "what two stores have counted by stack cannot be merged");
  if (!is_alike(aggregate, other))
    return lun_error_set(error, LUN_USAGE, "only aggregations of one kind, with the same keys and steps, can be merged");
  for (size_t i = 0; i < other->cells.all.count; i++)
    if (!merge_cell(aggregate, other->cells.all.items[i])) aggregate_leave_out(aggregate);
  cell_add(&aggregate->total, &other->total);
  aggregate->left_out += other->left_out;
  return LUN_OK;
}
