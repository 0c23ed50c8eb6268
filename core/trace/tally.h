/* SPDX-License-Identifier: MIT */
/* Counting in C: readings bound to a function and the predicates over them (predicate.c), histograms (buckets.c), keys and
 * what is counted under each (cells.c), the listeners that do it (aggregate.c), and the rows that come of it (tally.c).
 *
 * What can be known of a function before any call of it is found out once, when it is bound: where an argument lies, which
 * texts its keys are, which comparisons always hold. */
#ifndef LUN_TALLY_H
#define LUN_TALLY_H

#include <lunette/aggregate.h>

#include "trace.h"

/* A call at one of its events. */
typedef struct Event {
  const Function *function;
  Record *record;           /* NULL at a light before */
  const Slot *params, *results; /* NULL: not there */
} Event;

/* ---- predicate.c ---- */
enum { MATCHES = 64 };
/* A where that is asked again and again, and what it said last. */
typedef struct Matches {
  const lun_where *where;
  struct { const lun_definition *definition; bool fits; } known[MATCHES];
} Matches;
bool matches(Matches *asked, const lun_definition *definition);

typedef enum Access { ACCESS_NONE, ACCESS_FIXED, ACCESS_PARAM, ACCESS_RESULT, ACCESS_OTHER } Access;
typedef struct Reading {
  uint8_t access, source;
  uint8_t type;             /* of an argument or result */
  bool is_unsigned;
  uint32_t slot;
  lun_datum fixed;
} Reading;

/* What reading it takes. */
enum { NEEDS_PARAMS = 1, NEEDS_END = 2, NEEDS_TIME = 4, NEEDS_RECORD = 8, NEEDS_RESULT = 16 };
unsigned reading_needs(const lun_reading *reading);
Reading reading_bind(const lun_reading *reading, const Function *function);
/* Kind NONE: the call does not give it. */
lun_datum reading_read_far(const Reading *reading, const Event *event);

static inline lun_datum datum_integer(int64_t integer) { return (lun_datum){ LUN_DATUM_INTEGER, { .integer = integer } }; }
static inline lun_datum datum_number(double number) { return (lun_datum){ LUN_DATUM_NUMBER, { .number = number } }; }
static inline lun_datum datum_text(const char *text) { return (lun_datum){ LUN_DATUM_TEXT, { .text = text } }; }
static inline double datum_double(const lun_datum *datum) {
  return datum->kind == LUN_DATUM_INTEGER ? (double)datum->as.integer : datum->as.number;
}
/* < 0, 0, > 0; both are integers or numbers, and none is a NaN. */
int datum_compare(const lun_datum *a, const lun_datum *b);
static inline bool datum_less(const lun_datum *a, const lun_datum *b) {
  if (LIKELY(a->kind == LUN_DATUM_INTEGER && b->kind == LUN_DATUM_INTEGER)) return a->as.integer < b->as.integer;
  return datum_compare(a, b) < 0;
}

static inline lun_datum reading_read(const Reading *reading, const Event *event) {
  if (LIKELY(reading->access == ACCESS_PARAM && reading->type == (uint8_t)LUN_I32)) {
    if (UNLIKELY(!event->params)) return (lun_datum){ LUN_DATUM_NONE, { 0 } };
    uint32_t value = (uint32_t)event->params[reading->slot];
    return datum_integer(reading->is_unsigned ? (int64_t)value : (int64_t)(int32_t)value);
  }
  return reading_read_far(reading, event);
}

unsigned predicate_needs(const lun_predicate *predicate);
/* How many readings it has. */
size_t predicate_readings(const lun_predicate *predicate);
typedef enum Verdict { VERDICT_NEVER, VERDICT_ALWAYS, VERDICT_DEPENDS } Verdict;
/* Fills `readings`; tells where it is the same for each call of the function. */
Verdict predicate_bind(const lun_predicate *predicate, const Function *function, Reading *readings);
bool predicate_holds(const lun_predicate *predicate, const Reading *readings, const Event *event);

/* A copy of a reading and its name; false: out of memory. */
bool reading_copy(lun_reading *out, const lun_reading *reading);
void reading_clear(lun_reading *reading);
bool reading_equal(const lun_reading *a, const lun_reading *b);
static inline bool reading_is_text(const lun_reading *reading) { return reading->source >= LUN_SOURCE_NAME; }

/* ---- buckets.c ---- */
typedef struct Buckets {
  int32_t first;            /* the index of counts[0] */
  uint32_t room;
  uint64_t *counts;
} Buckets;
/* Logarithmic indexes: each power of two is cut into 2^bits buckets. `value` is not 0. */
static inline int32_t bucket_of(uint64_t value, unsigned bits) {
  unsigned power = 63 - (unsigned)__builtin_clzll(value);
  uint64_t rest = power >= bits ? value >> (power - bits) : value << (bits - power);
  return (int32_t)(power << bits | (uint32_t)(rest & (((uint64_t)1 << bits) - 1)));
}
int32_t bucket_of_number(double value, unsigned bits);
/* LHIST: -1 is all below `from`, the number of steps all from `to` on. */
int32_t bucket_of_step(const lun_aggregate_options *options, double value);
double bucket_low(int32_t index, unsigned bits);
/* The first and last index in use; false: none. */
bool buckets_span(const Buckets *buckets, int32_t *first, int32_t *last);
uint64_t buckets_at(const Buckets *buckets, int32_t index);

/* ---- cells.c ---- */
enum { HIST_BITS = 0, QUANTILE_BITS = 6 };

typedef struct Cell {
  uint64_t hash;
  size_t index;             /* in the list of cells */
  uint64_t count;
  union {
    struct { uint64_t opened, closed; };
    Covered covered;        /* in an aggregation's `covered` */
  };
  int64_t sum;              /* of integers, while it fits … */
  double sum_number;        /* … and of the rest */
  bool has_number;
  lun_datum min, max;
  double mean, squares;     /* Welford's */
  Buckets positive, negative; /* logarithmic: by magnitude; LHIST: all in `positive` */
  uint64_t zeros, nested;
  lun_datum keys[];
} Cell;

typedef struct Text {
  struct Text *next;
  uint64_t hash;
  char text[];
} Text;

typedef struct Cells {
  Cell **slots;             /* by hash: open addressing, a power of two */
  size_t slot_count;
  VEC(Cell *) all;
  Text *texts[256];
  size_t bytes, budget;
} Cells;

/* The cell of these keys, whose texts come from cells_text; NULL: none yet (or no memory or budget for it). */
Cell *cells_find(const Cells *cells, const lun_datum *keys, size_t count);
Cell *cells_get(Cells *cells, const lun_datum *keys, size_t count);
void cells_remove(Cells *cells, Cell *cell, size_t keys);
/* What is counted under a key. `cell_add` adds all but the buckets. */
static inline void cell_add_sum(Cell *cell, const lun_datum *value, uint64_t weight) {
  int64_t product, sum;
  if (value->kind == LUN_DATUM_INTEGER && !__builtin_mul_overflow(value->as.integer, weight, &product) &&
      !__builtin_add_overflow(cell->sum, product, &sum)) {
    cell->sum = sum;
    return;
  }
  cell->has_number = true;
  cell->sum_number += datum_double(value) * (double)weight;
}

static inline void cell_add_extremes(Cell *cell, const lun_datum *value) {
  if (cell->min.kind == LUN_DATUM_NONE || datum_less(value, &cell->min)) cell->min = *value;
  if (cell->max.kind == LUN_DATUM_NONE || datum_less(&cell->max, value)) cell->max = *value;
}
void cell_add(Cell *cell, const Cell *other);
/* One copy of each text; NULL: no memory or budget. */
const char *cells_text(Cells *cells, const char *text);
void cells_clear(Cells *cells, bool texts);
/* Takes so much of the budget; false: it is not there. */
bool cells_charge(Cells *cells, size_t size);
/* False: no memory or budget for the bucket. */
bool buckets_add_far(Cells *cells, Buckets *buckets, int32_t index, uint64_t weight);
static inline bool buckets_add(Cells *cells, Buckets *buckets, int32_t index, uint64_t weight) {
  uint64_t place = (uint64_t)((int64_t)index - buckets->first);
  if (UNLIKELY(place >= buckets->room)) return buckets_add_far(cells, buckets, index, weight);
  buckets->counts[place] += weight;
  return true;
}

/* ---- aggregate.c ---- */
struct lun_aggregate {
  uint32_t holders;
  lun_aggregate_options options;  /* `keys`, `value`, `when`: its own */
  lun_reading keys[LUN_KEYS_MOST], close_keys[LUN_KEYS_MOST], value;
  unsigned needs;
  size_t when_readings;
  unsigned bits;
  struct Plan *plans;
  Cells cells;
  Cells covered;            /* of whole times: under each key of a function what has passed */
  const Store *store;       /* by stack: whose numbers they are */
  uint64_t left_out;
  bool is_full;
  Cell total;               /* last, for its end is open. BALANCE: of the keys that are forgotten */
};

/* For want of room: counted, and told the first time. */
void aggregate_leave_out(lun_aggregate *aggregate);
/* A key that is even again is forgotten, with its cell. */
void aggregate_count_balance(lun_aggregate *aggregate, Cell *cell, bool closing, uint64_t weight);

#endif
