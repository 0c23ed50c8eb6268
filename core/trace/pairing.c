/* SPDX-License-Identifier: MIT */
/* The pairing checker: an ordinary listener, over the door alone, with a stack of its own of the calls that are open. What it
 * is told is held against that stack. */
#include <lunette/intercept.h>
#include <lunette/pairing.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base.h"

enum { WALK_EVERY = 1000 };

typedef struct Open {
  uint64_t id, parent;
  const lun_definition *definition;
  uint32_t depth;
  bool is_inner;            /* guest code called it, not the host */
  bool is_doomed;           /* its callee was aborted: it cannot return */
} Open;

struct lun_pairing {
  lun_attachment *attachment;
  const lun_where *where;
  lun_pairing_report report;
  char first[sizeof(((lun_error *)0)->message)];
  VEC(Open) open;
  uint64_t last_id;
  Open tail;                /* the call that ended last in a tail call, until the next event; id 0: none */
  uint32_t walk_every, until_walk;
  bool goes_on;
  uint32_t holders;         /* the handle, and the attachment */
};

/* ---- violations ---- */
static LUN_PRINTF(3, 4) void violated(lun_pairing *pairing, lun_call *call, const char *format, ...) {
  char text[192];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  lun_error line = LUN_ERROR_INIT;
  lun_error_set(&line, LUN_LISTENER, "pairing: call %llu of %s: %s", (unsigned long long)lun_call_id(call),
                lun_definition_name(lun_call_definition(call)), text);
  if (pairing->report.violations++ == 0) memcpy(pairing->first, line.message, sizeof line.message);
  if (!pairing->goes_on) lun_call_fail(call, line.message);
}

#define NUMBER(n) ((unsigned long long)(n))

/* The upper halves of i32 and f32 are zero. */
static void check_values(lun_pairing *pairing, lun_call *call, const char *what, uint32_t count, const lun_type *types,
                         const uint64_t *slots) {
  for (uint32_t i = 0; i < count; i++) {
    if ((types[i] == LUN_I32 || types[i] == LUN_F32) && *slots >> 32)
      violated(pairing, call, "%s %u has an upper half: 0x%llx", what, (unsigned)i + 1, NUMBER(*slots));
    slots += lun_type_slots(types[i]);
  }
}

/* Each open call's frame stands where its depth says. */
static void check_stack(lun_pairing *pairing, lun_call *call) {
  pairing->until_walk = pairing->walk_every;
  pairing->report.walks++;
  size_t open = pairing->open.count;
  uint64_t depth = lun_call_depth(call), frames = 0;
  for (lun_stack stack = lun_call_stack(call); lun_stack_next(&stack); frames++) {
    const Open *top = open > 0 ? &pairing->open.items[open - 1] : NULL;
    if (frames > depth || !top || top->depth != depth - frames) continue;
    if (stack.frame.definition != top->definition)
      violated(pairing, call, "frame %llu is of %s, not of %s", NUMBER(frames), lun_definition_name(stack.frame.definition),
               lun_definition_name(top->definition));
    open--;
  }
  if (frames != depth + 1) violated(pairing, call, "%llu frames at depth %llu", NUMBER(frames), NUMBER(depth));
  if (open > 0) violated(pairing, call, "%llu open calls have no frame", NUMBER(open));
}

/* ---- events ---- */
static void *data_of(uint64_t id) { return (void *)(uintptr_t)(id * 2 + 1); }

static void check_begin(lun_pairing *pairing, lun_call *call, const Open *now, const Open *outer) {
  uint64_t id = now->id, tail_of = lun_call_tail_of(call);
  if (id <= pairing->last_id) violated(pairing, call, "its id does not increase: after %llu", NUMBER(pairing->last_id));
  if (now->parent != (outer ? outer->id : 0))
    violated(pairing, call, "its parent is %llu, the innermost open call %llu", NUMBER(now->parent), NUMBER(outer ? outer->id : 0));
  if (outer && now->depth <= outer->depth)
    violated(pairing, call, "its depth is %u inside of depth %u", (unsigned)now->depth, (unsigned)outer->depth);
  if (tail_of && pairing->tail.id == tail_of && (pairing->tail.parent != now->parent || pairing->tail.depth != now->depth))
    violated(pairing, call, "it takes the place of call %llu, which had another", NUMBER(tail_of));
  if (tail_of > pairing->last_id) violated(pairing, call, "it takes the place of a call to come");
  if (*lun_call_data(call)) violated(pairing, call, "its data is not NULL at first");
}

static void before(void *self, lun_call *call, const uint64_t *params) {
  lun_pairing *pairing = self;
  const lun_definition *definition = lun_call_definition(call);
  const lun_signature *signature = lun_definition_signature(definition);
  const Open *outer = pairing->open.count ? &pairing->open.items[pairing->open.count - 1] : NULL;
  Open now = { .id = lun_call_id(call), .parent = lun_call_parent_id(call), .definition = definition,
               .depth = lun_call_depth(call), .is_inner = lun_call_entry(call) == LUN_ENTRY_NONE };
  uint64_t violations = pairing->report.violations;
  check_begin(pairing, call, &now, outer);
  check_values(pairing, call, "param", signature->param_count, signature->params, params);
  pairing->last_id = now.id;
  pairing->tail.id = 0;
  bool is_known = vec_push(&pairing->open, now);
  if (!is_known) violated(pairing, call, "not enough memory to follow it");
  /* A before that failed was not delivered: nothing follows for this call. */
  if (!pairing->goes_on && violations != pairing->report.violations) {
    if (is_known) pairing->open.count--;
    return;
  }
  *lun_call_data(call) = data_of(now.id);
  pairing->report.befores++;
  if (pairing->open.count > pairing->report.deepest) pairing->report.deepest = pairing->open.count;
  if (--pairing->until_walk == 0) check_stack(pairing, call);
}

/* The call that ends is the innermost open one, and still what it was. Otherwise what is left of it, for the next events. */
static Open check_end(lun_pairing *pairing, lun_call *call) {
  uint64_t id = lun_call_id(call);
  size_t at = pairing->open.count;
  while (at > 0 && pairing->open.items[at - 1].id != id) at--;
  if (at == 0) {
    violated(pairing, call, "it ends, and is not open");
    return (Open){ 0 };
  }
  if (at < pairing->open.count)
    violated(pairing, call, "it ends before call %llu inside of it", NUMBER(pairing->open.items[pairing->open.count - 1].id));
  Open was = pairing->open.items[at - 1];
  pairing->open.count = at - 1;
  if (was.definition != lun_call_definition(call)) violated(pairing, call, "it began as another function's");
  if (was.parent != lun_call_parent_id(call)) violated(pairing, call, "its parent was %llu", NUMBER(was.parent));
  if (was.depth != lun_call_depth(call)) violated(pairing, call, "its depth was %u", (unsigned)was.depth);
  if (*lun_call_data(call) != data_of(id)) violated(pairing, call, "its data has changed");
  pairing->tail.id = 0;
  return was;
}

static void after(void *self, lun_call *call, const uint64_t *results) {
  lun_pairing *pairing = self;
  const lun_signature *signature = lun_definition_signature(lun_call_definition(call));
  /* The frame is gone for the walk's purposes only when the call is: walked first. */
  if (--pairing->until_walk == 0) check_stack(pairing, call);
  Open was = check_end(pairing, call);
  pairing->report.afters++;
  /* An interceptor may have answered for it. */
  if (was.is_doomed && !lun_call_intercepted(call)) violated(pairing, call, "it returns, although a call that it made was aborted");
  if (lun_call_tail(call)) {
    if (results) violated(pairing, call, "it has results, although it ends in a tail call");
    pairing->tail = was;
  } else if (results) {
    check_values(pairing, call, "result", signature->result_count, signature->results, results);
  } else if (signature->result_count) {
    violated(pairing, call, "it has no results");
  }
}

static bool is_abort_kind(lun_status kind) {
  switch (kind) {
  case LUN_TRAP: case LUN_HOST: case LUN_EXIT: case LUN_EXCEPTION: case LUN_EXHAUSTED: case LUN_FUEL: case LUN_TIMEOUT:
  case LUN_INTERRUPTED: case LUN_LISTENER: case LUN_NO_MEMORY: return true;
  default: return false;
  }
}

static void aborted(void *self, lun_call *call, const lun_error *error) {
  lun_pairing *pairing = self;
  if (--pairing->until_walk == 0) check_stack(pairing, call);
  Open was = check_end(pairing, call);
  pairing->report.aborts++;
  if (!is_abort_kind(error->kind)) violated(pairing, call, "it is aborted with the kind %s", lun_status_name(error->kind));
  if (!error->message[0]) violated(pairing, call, "it is aborted without a message");
  Open *outer = pairing->open.count ? &pairing->open.items[pairing->open.count - 1] : NULL;
  /* Only a host function can let it pass, or a handler of the guest's, if it is an exception. */
  if (outer && was.is_inner && outer->depth + 1 == was.depth && !lun_definition_is_host(outer->definition) &&
      error->kind != LUN_EXCEPTION)
    outer->is_doomed = true;
}

/* ---- making one ---- */
static void let_go(lun_pairing *pairing) {
  if (--pairing->holders > 0) return;
  vec_clear(&pairing->open);
  free(pairing);
}

static void released(void *context) {
  lun_pairing *pairing = context;
  pairing->attachment = NULL;
  let_go(pairing);
}

static lun_choice choose(void *context, const lun_definition *definition, lun_instance *instance) {
  static const lun_listener listener = { before, after, aborted };
  lun_pairing *pairing = context;
  (void)instance;
  if (pairing->where && !lun_where_match(pairing->where, definition)) return (lun_choice){ NULL, NULL };
  return (lun_choice){ &listener, pairing };
}

lun_status lun_pairing_create(lun_store *store, const lun_pairing_options *options, lun_pairing **out, lun_error *error) {
  static const lun_pairing_options none = { 0 };
  *out = NULL;
  if (!options) options = &none;
  lun_pairing *pairing = calloc(1, sizeof *pairing);
  if (!pairing) return lun_error_set(error, LUN_NO_MEMORY, "out of memory");
  pairing->holders = 2;
  pairing->where = options->where;
  pairing->goes_on = options->goes_on;
  pairing->walk_every = pairing->until_walk = options->walk_every ? options->walk_every : WALK_EVERY;
  lun_attach_options attaching = { .name = "pairing", .release = released, .on_error = LUN_ON_ERROR_STOP };
  lun_status status = lun_store_attach(store, choose, pairing, &attaching, &pairing->attachment, error);
  if (status == LUN_OK) *out = pairing;
  else free(pairing);
  return status;
}

void lun_pairing_detach(lun_pairing *pairing) {
  lun_attachment *attachment = pairing->attachment;
  pairing->attachment = NULL;
  if (attachment) lun_attachment_detach(attachment, 0);
}

void lun_pairing_destroy(lun_pairing *pairing) {
  if (!pairing) return;
  lun_attachment *attachment = pairing->attachment;
  pairing->attachment = NULL;
  if (attachment) lun_attachment_detach(attachment, LUN_DROP);
  let_go(pairing);
}

lun_pairing_report lun_pairing_report_of(const lun_pairing *pairing) {
  lun_pairing_report report = pairing->report;
  report.open = pairing->open.count;
  report.first = pairing->first;
  return report;
}

lun_status lun_pairing_check(const lun_pairing *pairing, lun_error *error) {
  if (pairing->report.violations) return lun_error_set(error, LUN_LISTENER, "%s", pairing->first);
  if (pairing->open.count == 0) return LUN_OK;
  const Open *open = &pairing->open.items[pairing->open.count - 1];
  return lun_error_set(error, LUN_LISTENER, "pairing: call %llu of %s has neither after nor abort", NUMBER(open->id),
                       lun_definition_name(open->definition));
}
