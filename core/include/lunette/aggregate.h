/* SPDX-License-Identifier: MIT */
/* Counting in C: aggregations keep sums of calls' values by key. An aggregation is a listener that enters no embedder's code:
 * lun_aggregate_choose answers a factory with it.
 *
 *     lun_reading size = { .source = LUN_SOURCE_ARG };                    the first argument
 *     lun_aggregate_options options = { .kind = LUN_AGGREGATE_HIST, .value = &size };
 *     lun_aggregate_create(&options, &aggregate, &error);
 *     … attach with a factory that gives lun_aggregate_choose's choice, and lun_aggregate_needs in its options …
 *     for (size_t i = 0; i < lun_aggregate_count(aggregate); i++) { lun_tally tally = lun_aggregate_tally(aggregate, i); … }
 *
 * It counts at before, unless it reads something that is known at the end only (a result, a time): then at after, and where no
 * result is read at abort, too. A call whose function has no such argument, or that does not give the value (a result of a call
 * that ends in a tail call), is not counted; nor is a NaN.
 *
 * Sums of whole times (LUN_SOURCE_ELAPSED) hold no moment twice: where the keys are facts of the function (its name, module,
 * instance, file), a call inside of another one under the same keys, as of a function that calls itself, adds to the count, the
 * mean, the extremes and the buckets, but not to the sum; where a condition takes a sample, the sum is an estimate of that.
 * Under keys that differ from call to call each call adds the whole.
 *
 * Threads: it belongs to one thread at a time, where it is attached its store's. It is held by whoever made it and by what it
 * is attached to, and may outlive its store. Texts of keys, and what tallies point to, are its own. Times are nanoseconds. */
#ifndef LUNETTE_AGGREGATE_H
#define LUNETTE_AGGREGATE_H

#include <lunette/predicate.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct lun_aggregate lun_aggregate;

typedef enum lun_aggregate_kind {
  LUN_AGGREGATE_COUNT,     /* calls */
  LUN_AGGREGATE_SUM,       /* of the value, and so on */
  LUN_AGGREGATE_MIN,
  LUN_AGGREGATE_MAX,
  LUN_AGGREGATE_AVG,
  LUN_AGGREGATE_STATS,     /* count, sum, min, max, mean, deviation */
  LUN_AGGREGATE_HIST,      /* by powers of two */
  LUN_AGGREGATE_LHIST,     /* by equal steps */
  LUN_AGGREGATE_QUANTILE,  /* quantiles that are off by at most 1 %; and sum, min, max, mean */
  LUN_AGGREGATE_BALANCE,   /* calls of one side less calls of the other; keys that are even are forgotten */
  LUN_AGGREGATE_KIND_COUNT
} lun_aggregate_kind;
LUN_API const char *lun_aggregate_kind_name(lun_aggregate_kind kind);  /* "count", … */

#define LUN_KEYS_MOST 8
#define LUN_STEPS_MOST 10000
#define LUN_BUDGET ((size_t)16 << 20)

/* Zero stands for the default. */
typedef struct lun_aggregate_options {
  lun_aggregate_kind kind;
  const lun_reading *keys;   /* none: one row for all */
  size_t key_count;          /* at most LUN_KEYS_MOST */
  const lun_reading *close_keys; /* BALANCE: the keys of the closing side; NULL: the same */
  const lun_reading *value;  /* needed by all but COUNT and BALANCE */
  lun_predicate *when;       /* taken, also on failure; NULL: every call */
  double from, to, step;     /* LHIST: steps from `from` to `to`; what lies outside is counted in one bucket on each side */
  size_t budget;             /* bytes for keys, stacks and buckets; default LUN_BUDGET */
  /* Told once: the budget is used up, or memory is; from here on calls with new keys, and values outside of the buckets that
   * are there, are left out and counted. On the guest's thread; it may not call the guest. */
  void (*on_full)(void *self);
  void *self;
} lun_aggregate_options;

/* With one hold, the caller's. The options are copied, but for `when`, which is taken. Fails with LUN_USAGE where they make no
 * sense together, LUN_NO_MEMORY. */
LUN_API LUN_MUST_CHECK lun_status lun_aggregate_create(const lun_aggregate_options *options, lun_aggregate **out,
                                                       lun_error *error);
/* Gives up one hold; it lives as long as anybody has one. NULL is ignored. */
LUN_API void lun_aggregate_destroy(lun_aggregate *aggregate);
LUN_API void lun_aggregate_retain(lun_aggregate *aggregate);

#define LUN_AGGREGATE_CLOSING 1u /* the other side of a BALANCE */
#define LUN_AGGREGATE_LATE 2u    /* count at the end of calls: the attachment's condition is late */
/* For a factory: the choice for this function; none where the predicate can hold for no call of it. Whoever attaches keeps a
 * hold until the attachment is released. Fails with LUN_NO_MEMORY. */
LUN_API LUN_MUST_CHECK lun_status lun_aggregate_choose(lun_aggregate *aggregate, lun_instance *instance,
                                                       const lun_definition *definition, unsigned flags, lun_choice *out,
                                                       lun_error *error);
/* Sets the options (params, time) that an attachment of it has to have; their condition stands there already. */
LUN_API void lun_aggregate_needs(const lun_aggregate *aggregate, lun_attach_options *options);
LUN_API lun_aggregate_kind lun_aggregate_kind_of(const lun_aggregate *aggregate);
/* Whether its value is a time in ns. */
LUN_API bool lun_aggregate_is_time(const lun_aggregate *aggregate);

/* ---- what it has counted ---- */
typedef struct lun_tally {
  const lun_datum *keys;     /* with texts, valid as long as the aggregation */
  size_t key_count;
  uint64_t count;            /* calls (weighted, where a where samples) */
  uint64_t opened, closed;   /* BALANCE */
  lun_datum sum, min, max;   /* sum: an integer where all values are and it fits */
  double mean, deviation;    /* deviation: STATS, of the population */
  uint64_t nested_ns;        /* of whole times: what is not in the sum, since it passed in a call under the same keys */
} lun_tally;
LUN_API size_t lun_aggregate_count(const lun_aggregate *aggregate);     /* keys */
LUN_API lun_tally lun_aggregate_tally(const lun_aggregate *aggregate, size_t index);
/* All that it has counted, as one: with no keys; of BALANCE what has been even, too. */
LUN_API lun_tally lun_aggregate_total(const lun_aggregate *aggregate);
/* The value that a share `q` (0 to 1) of the values does not exceed, by nearest rank. QUANTILE. */
LUN_API lun_datum lun_aggregate_quantile(const lun_aggregate *aggregate, size_t index, double q);

typedef struct lun_bucket {
  double low, high;          /* low <= value < high; of negative ones low < value <= high; low == high: exactly this */
  uint64_t count;
} lun_bucket;
/* HIST, LHIST: from the lowest to the highest that has a value, empty ones between them too. Fills at most `room` and gives
 * how many there are. */
LUN_API size_t lun_aggregate_buckets(const lun_aggregate *aggregate, size_t index, lun_bucket *buckets, size_t room);

LUN_API uint64_t lun_aggregate_left_out(const lun_aggregate *aggregate); /* calls, for want of budget */
LUN_API size_t lun_aggregate_bytes(const lun_aggregate *aggregate);      /* of the budget, in use */
LUN_API void lun_aggregate_reset(lun_aggregate *aggregate);              /* as new; it stays attached */
/* Adds what the other has counted. LUN_USAGE: they are not of the same kind, keys and steps, or count by stacks of two stores. */
LUN_API LUN_MUST_CHECK lun_status lun_aggregate_merge(lun_aggregate *aggregate, const lun_aggregate *other, lun_error *error);

#ifdef __cplusplus
}
#endif
#endif
