/* SPDX-License-Identifier: MIT */
/* Conditions of attachments: which calls of a function its listeners hear. What is known at before is judged there: the
 * predicate, if it reads arguments alone, the depth, the frames further out, and last, of what is left, the sample. A result or
 * a time is judged at the end, and then no before is told. */
#include <string.h>

#include "tally.h"

typedef struct Condition {
  lun_condition given;
  Matches caller, under;
  uint64_t random;          /* the state of its chance */
  size_t readings;
  bool when_is_late;
} Condition;

/* What it knows of a function. */
typedef struct Bound {
  bool asks;                /* the predicate depends on the call */
  Reading readings[];
} Bound;

bool lun_condition_is_late(const lun_condition *condition) {
  return condition->min_time_ns > 0 || (predicate_needs(condition->when) & NEEDS_END) != 0;
}

bool condition_is_late(const Condition *condition) { return lun_condition_is_late(&condition->given); }
uint64_t condition_weight(const Condition *condition) { return condition->given.sample > 1 ? condition->given.sample : 1; }
void condition_destroy(Condition *condition) { free(condition); }

lun_status condition_create(lun_attach_options *options, Condition **out) {
  const lun_condition *given = options->condition;
  *out = NULL;
  if (!given) return LUN_OK;
  Condition *condition = calloc(1, sizeof *condition);
  if (!condition) return LUN_NO_MEMORY;
  unsigned needs = predicate_needs(given->when);
  condition->given = *given;
  condition->caller.where = given->caller;
  condition->under.where = given->under;
  condition->random = given->seed ? given->seed : (uint64_t)(uintptr_t)condition ^ clock_monotonic_ns();
  condition->readings = predicate_readings(given->when);
  condition->when_is_late = (needs & NEEDS_END) != 0;
  if (given->min_time_ns > 0 || needs & NEEDS_TIME) options->time = true;
  if (condition->when_is_late && needs & NEEDS_PARAMS) options->params = true;
  options->condition = &condition->given;
  *out = condition;
  return LUN_OK;
}

bool condition_bind(const Condition *condition, const Function *function, Bound **out, bool *never) {
  *out = NULL;
  Bound *bound = calloc(1, sizeof *bound + condition->readings * sizeof *bound->readings);
  if (!bound) return false;
  if (condition->given.when) {
    Verdict verdict = predicate_bind(condition->given.when, function, bound->readings);
    bound->asks = verdict == VERDICT_DEPENDS;
    *never = verdict == VERDICT_NEVER;
  }
  if (*never) free(bound);
  else *out = bound;
  return true;
}

/* splitmix64; one in `sample` of its numbers is below 2^64 / sample. */
static bool is_chosen(Condition *condition) {
  uint64_t z = condition->random += UINT64_C(0x9e3779b97f4a7c15);
  z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
  return (z ^ z >> 31) < UINT64_MAX / condition->given.sample;
}

static bool caller_fits(Condition *condition, const Record *record) {
  lun_frame frame;
  return lun_call_caller(record, &frame) && matches(&condition->caller, frame.definition);
}

static bool is_under(Condition *condition, const Record *record) {
  lun_stack stack = lun_call_stack(record);
  if (!lun_stack_next(&stack)) return false;
  while (lun_stack_next(&stack))
    if (matches(&condition->under, stack.frame.definition)) return true;
  return false;
}

Fit condition_begins(Condition *condition, const Bound *bound, Record *record, const Slot *params) {
  const lun_condition *given = &condition->given;
  if (bound->asks && !condition->when_is_late) {
    const Event event = { record->function, record, params, NULL };
    if (!predicate_holds(given->when, bound->readings, &event)) return FIT_NOT;
  }
  if (given->has_depth) {
    uint32_t depth = record_depth(record);
    if (depth < given->depth_from || depth > given->depth_to) return FIT_NOT;
  }
  if (given->caller && !caller_fits(condition, record)) return FIT_NOT;
  if (given->under && !is_under(condition, record)) return FIT_NOT;
  return given->sample <= 1 || is_chosen(condition) ? FIT_HEARD : FIT_LEFT_OUT;
}

bool condition_ends(const Condition *condition, const Bound *bound, Record *record, const Slot *results) {
  uint64_t ns;
  if (condition->given.min_time_ns > 0 && (!lun_call_elapsed(record, &ns) || ns < condition->given.min_time_ns)) return false;
  if (!bound->asks || !condition->when_is_late) return true;
  const Event event = { record->function, record, lun_call_params(record), results };
  return predicate_holds(condition->given.when, bound->readings, &event);
}
