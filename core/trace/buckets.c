/* SPDX-License-Identifier: MIT */
/* Histograms that are as wide as what they have seen: a run of counters, from the lowest index to the highest.
 *
 * Logarithmic indexes are the leading bits of a value: its power of two, then `bits` bits of what follows. So 2^bits buckets
 * share a power of two; with 6 bits the middle of a bucket is off by less than 0.8 %. */
#include <math.h>
#include <string.h>

#include "tally.h"

int32_t bucket_of_number(double value, unsigned bits) {
  uint64_t pattern;
  memcpy(&pattern, &value, sizeof pattern);
  pattern &= ~((uint64_t)1 << 63);
  return (int32_t)(pattern >> (52 - bits)) - (1023 << bits);
}

double bucket_low(int32_t index, unsigned bits) {
  uint64_t pattern = (uint64_t)(index + (1023 << bits)) << (52 - bits);
  double low;
  memcpy(&low, &pattern, sizeof low);
  return low;
}

int32_t bucket_of_step(const lun_aggregate_options *options, double value) {
  if (value < options->from) return -1;
  int32_t most = (int32_t)ceil((options->to - options->from) / options->step - 1e-9);
  return value >= options->to ? most : (int32_t)((value - options->from) / options->step);
}

static bool widen(Cells *cells, Buckets *buckets, int32_t index) {
  int64_t first = buckets->room ? buckets->first : index, last = first + (int64_t)buckets->room;
  int64_t slack = buckets->room / 2 < 8 ? 8 : buckets->room / 2;
  if (index < first || !buckets->room) first = index - (buckets->room ? slack : 0);
  if (index >= last) last = index + slack;
  size_t size = (size_t)(last - first) * sizeof *buckets->counts, old = buckets->room * sizeof *buckets->counts;
  if (size - old > cells->budget - cells->bytes) return false;
  uint64_t *counts = calloc((size_t)(last - first), sizeof *counts);
  if (!counts) return false;
  if (buckets->room) memcpy(counts + (buckets->first - first), buckets->counts, old);
  free(buckets->counts);
  cells->bytes += size - old;
  buckets->first = (int32_t)first;
  buckets->room = (uint32_t)(last - first);
  buckets->counts = counts;
  return true;
}

bool buckets_add_far(Cells *cells, Buckets *buckets, int32_t index, uint64_t weight) {
  if (!widen(cells, buckets, index)) return false;
  buckets->counts[index - buckets->first] += weight;
  return true;
}

uint64_t buckets_at(const Buckets *buckets, int32_t index) {
  uint64_t place = (uint64_t)((int64_t)index - buckets->first);
  return place < buckets->room ? buckets->counts[place] : 0;
}

bool buckets_span(const Buckets *buckets, int32_t *first, int32_t *last) {
  uint32_t from = 0, to = buckets->room;
  while (from < to && !buckets->counts[from]) from++;
  while (to > from && !buckets->counts[to - 1]) to--;
  if (from == to) return false;
  *first = buckets->first + (int32_t)from;
  *last = buckets->first + (int32_t)to - 1;
  return true;
}
