/* SPDX-License-Identifier: MIT */
/* Questions about a call that are answered in C: what its values are, whether a predicate holds for it, and the conditions
 * under which an attachment hears it.
 *
 * Threads: all of them belong to one at a time. Predicates are the caller's until something takes them.
 *
 *     lun_reading size = { .source = LUN_SOURCE_ARG };                    the first argument
 *     lun_datum limit = { LUN_DATUM_INTEGER, { .integer = 1024 } };
 *     lun_predicate_compare(&size, LUN_COMPARE_GT, &limit, &predicate, &error);
 *     lun_condition condition = { .when = predicate, .sample = 100 };     one in a hundred of the calls with more than 1024
 *     lun_attach_options options = { .condition = &condition };
 *
 * What can be known of a function before any call is found out once, when it is attached. */
#ifndef LUNETTE_PREDICATE_H
#define LUNETTE_PREDICATE_H

#include <lunette/listener.h>
#include <lunette/where.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- values ---- */
typedef enum lun_source {
  LUN_SOURCE_ARG,          /* a param: by its name, or by its index from 0 */
  LUN_SOURCE_RESULT,       /* by its index from 0 */
  LUN_SOURCE_ELAPSED,      /* ns; of the whole call … */
  LUN_SOURCE_SELF_TIME,    /* … less the calls in it that the same attachment hears */
  LUN_SOURCE_STACK_DEPTH,
  LUN_SOURCE_MEMORY_SIZE,  /* bytes of memory 0 of the call's instance */
  LUN_SOURCE_STACK,        /* the stack's number, as lun_call_stack_id gives it; a key of aggregations only */
  LUN_SOURCE_NAME,         /* texts: the function's name, its caller's ("(host)": none), its module's, its instance's … */
  LUN_SOURCE_CALLER,
  LUN_SOURCE_MODULE,
  LUN_SOURCE_INSTANCE,
  LUN_SOURCE_FILE,         /* … its source file's, by debug information ("(host)" of the host's, "(unknown)") */
  LUN_SOURCE_COUNT
} lun_source;

typedef struct lun_reading {
  lun_source source;
  const char *name;        /* LUN_SOURCE_ARG; NULL: by index. Copied by whoever is given it */
  uint32_t index;
  bool is_unsigned;        /* an i32 or i64 is taken as unsigned; above 2^63 it becomes a number */
} lun_reading;

/* A value: i32 and i64 are integers, f32 and f64 numbers. */
typedef enum lun_datum_kind { LUN_DATUM_NONE, LUN_DATUM_INTEGER, LUN_DATUM_NUMBER, LUN_DATUM_TEXT } lun_datum_kind;
typedef struct lun_datum {
  lun_datum_kind kind;
  union {
    int64_t integer;
    double number;
    const char *text;
  } as;
} lun_datum;

/* ---- predicates: a tree of comparisons ---- */
typedef struct lun_predicate lun_predicate;

typedef enum lun_comparison {
  LUN_COMPARE_GT, LUN_COMPARE_GE, LUN_COMPARE_LT, LUN_COMPARE_LE, LUN_COMPARE_EQ, LUN_COMPARE_NE,
  LUN_COMPARE_BETWEEN,     /* from right[0] to right[1], both included */
  LUN_COMPARE_HAS,         /* all bits of the integer are set */
  LUN_COMPARE_GLOB         /* a text matches; of LUN_SOURCE_CALLER any of the caller's names, by any pattern of where.h */
} lun_comparison;

/* False for every call that does not give the value. `right` is one datum, with BETWEEN two; it is copied. LUN_USAGE: a kind
 * that the comparison does not take, or a pattern that is none. */
LUN_API LUN_MUST_CHECK lun_status lun_predicate_compare(const lun_reading *reading, lun_comparison comparison,
                                                        const lun_datum *right, lun_predicate **out, lun_error *error);
/* Both take what they are given, also when they fail. */
LUN_API LUN_MUST_CHECK lun_status lun_predicate_join(lun_predicate *left, lun_predicate *right, bool either,
                                                     lun_predicate **out, lun_error *error);
LUN_API LUN_MUST_CHECK lun_status lun_predicate_not(lun_predicate *predicate, lun_predicate **out, lun_error *error);
LUN_API void lun_predicate_destroy(lun_predicate *predicate);  /* NULL is ignored */

/* ---- conditions: which calls of the functions that are listened to ---- */
struct lun_condition {
  const lun_where *caller;   /* the calling frame's function matches; NULL: any. The host's calls have no such frame */
  const lun_where *under;    /* a frame further out matches: the stack is walked until there is one */
  bool has_depth;
  uint32_t depth_from, depth_to;  /* both included */
  const lun_predicate *when;
  uint64_t sample;           /* hear one of so many, by chance; lun_call_weight says so. 0 and 1: all */
  uint64_t seed;             /* of that chance: the same seed, the same calls. 0: one of its own */
  uint64_t min_time_ns;      /* calls that took at least so long */
};
/* Whether it can be judged at the end of a call only (a result, a time): the attachment's listeners hear no before, then. */
LUN_API bool lun_condition_is_late(const lun_condition *condition);

#ifdef __cplusplus
}
#endif
#endif
