/* SPDX-License-Identifier: MIT */
/* Listeners only read what they are given. Builds that check it (LUNETTE_CHECK_PARAMS) call each of them from here: in comes a
 * callback with its call, out goes the call as it was, or a message and the end of the program, for what was written to is the
 * guest's. What is compared: the params of a before, the results of an after, and the params kept of a call in both of its
 * ends. What the callback calls meanwhile stands above all of these. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "trace.h"

/* What the callback at work was given: copies of both stand in the store's Trace, from `first` on. */
typedef struct Given {
  const Slot *values, *params;     /* live, and kept; NULL: none */
  uint32_t value_slots, param_slots;
  size_t first;
} Given;

/* Where there is no memory for the copies nothing is compared: those who may do so still run the same. */
static Given note(const Record *record, const Slot *values) {
  const FunctionType *type = &record->function->type->type;
  Trace *trace = trace_of(record->function->store);
  Given given = { values, record->params, 0, 0, trace->given.count };
  if (values) given.value_slots = record->phase == PHASE_BEFORE ? type->param_slots : type->result_slots;
  if (record->params) given.param_slots = type->param_slots;
  size_t count = (size_t)given.value_slots + given.param_slots;
  if (count == 0 || !vec_grow(&trace->given, count)) return (Given){ .first = given.first };
  Slot *copies = trace->given.items + given.first;
  if (given.value_slots) memcpy(copies, values, given.value_slots * sizeof(Slot));
  if (given.param_slots) memcpy(copies + given.value_slots, record->params, given.param_slots * sizeof(Slot));
  trace->given.count += count;
  return given;
}

static _Noreturn __attribute__((noinline, cold)) void tell_and_end(const Record *record, Phase phase, bool results,
                                                                   uint32_t slot, Slot was, Slot is) {
  static const char *const events[] = { [PHASE_BEFORE] = "before", [PHASE_AFTER] = "after", [PHASE_ABORT] = "abort" };
  const lun_attachment *attachment = set_of(record)->choices[record->current]->attachment;
  const Definition *definition = record->function->definition;
  const lun_signature *signature = lun_definition_signature(definition);
  const lun_type *types = results ? signature->results : signature->params;
  uint32_t index = 0;
  for (uint32_t end = lun_type_slots(types[0]); end <= slot; end += lun_type_slots(types[index])) index++;
  const char *name = results ? NULL : lun_definition_param_name(definition, index);
  fprintf(stderr, "lunette: %s of attachment %s has changed %s %u%s%s%s of %s from 0x%" PRIx64 " to 0x%" PRIx64
          ": listeners may only read what they are given\n", events[phase], attachment->name[0] ? attachment->name : "(no name)",
          results ? "result" : "param", (unsigned)index + 1, name ? " (" : "", name ? name : "", name ? ")" : "",
          lun_definition_name(definition), was, is);
  abort();
}

static void compare(const Record *record, Phase phase, bool results, const Slot *copies, const Slot *values, uint32_t count) {
  if (count == 0 || LIKELY(memcmp(copies, values, count * sizeof(Slot)) == 0)) return;
  uint32_t slot = 0;
  while (copies[slot] == values[slot]) slot++;
  tell_and_end(record, phase, results, slot, copies[slot], values[slot]);
}

static void see_to(const Record *record, Phase phase, const Given *given) {
  Trace *trace = trace_of(record->function->store);
  if (given->value_slots + given->param_slots == 0) return;
  const Slot *copies = trace->given.items + given->first;
  compare(record, phase, phase == PHASE_AFTER, copies, given->values, given->value_slots);
  compare(record, phase, false, copies + given->value_slots, given->params, given->param_slots);
  trace->given.count = given->first;
}

void readonly_tell(Telling telling, void *self, Record *record, const Slot *values) {
  Phase phase = record->phase;
  Given given = note(record, values);
  record->offset = (uint32_t)given.first;
  telling(self, record, values);
  see_to(record, phase, &given);
}

void readonly_tell_abort(const lun_listener *listener, void *self, Record *record, const lun_error *error) {
  Given given = note(record, NULL);
  listener->abort(self, record, error);
  see_to(record, PHASE_ABORT, &given);
}

void readonly_left(const Record *record) {
  if (record->kind == RECORD_CALL && record->phase != PHASE_ABORT) trace_of(record->function->store)->given.count = record->offset;
}
