/* SPDX-License-Identifier: MIT */
/* The listener contract, rule by rule, as an embedder in C sees it. Each case attaches, calls the guest of rules.wat and
 * compares what was heard, as text: "before NAME(PARAMS)", "after NAME = RESULTS", "abort NAME KIND". */
#include <lunette/lunette.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The allocator's own count, where no sanitizer stands in its place. */
#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define COUNTS_ALLOCATIONS
static unsigned long allocated;
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);
void *malloc(size_t size) { return allocated++, __libc_malloc(size); }
void *calloc(size_t count, size_t size) { return allocated++, __libc_calloc(count, size); }
void *realloc(void *old, size_t size) { return allocated++, __libc_realloc(old, size); }
#endif

static lun_store *store;
static lun_instance *guest;
static char heard[1 << 16];
static size_t heard_size;
static int failures, checks;

static void say(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  int written = vsnprintf(heard + heard_size, sizeof heard - heard_size, format, arguments);
  va_end(arguments);
  if (written > 0) heard_size += (size_t)written;
  if (heard_size >= sizeof heard) heard_size = sizeof heard - 1;
}

static void expect_text(const char *rule, const char *expected) {
  checks++;
  if (strcmp(heard, expected) != 0) {
    failures++;
    printf("not ok %s\n  expected:\n%s\n  heard:\n%s\n", rule, expected, heard);
  }
  heard[0] = '\0';
  heard_size = 0;
}

static void expect(const char *rule, bool holds) {
  checks++;
  if (holds) return;
  failures++;
  printf("not ok %s\n", rule);
}

/* ---- the host ---- */
static lun_status plain(void *self, lun_call *call, const uint64_t *params, uint64_t *results, lun_error *error) {
  (void)self, (void)call, (void)error;
  results[0] = params[0] * 3;
  return LUN_OK;
}

/* Calls the guest's leaf for a positive param; calls trap and swallows the failure for zero. */
static lun_status again(void *self, lun_call *call, const uint64_t *params, uint64_t *results, lun_error *error) {
  (void)self, (void)error;
  lun_instance *instance = lun_call_instance(call);
  uint64_t param = params[0], result = 0;
  const char *name = param ? "leaf" : "trap";
  lun_error inner = LUN_ERROR_INIT;
  lun_status status = lun_function_invoke(lun_instance_function(instance, name), &param, &result, &inner);
  lun_error_clear(&inner);
  results[0] = status == LUN_OK ? result : 99;
  return LUN_OK;
}

static lun_status fails(void *self, lun_call *call, const uint64_t *params, uint64_t *results, lun_error *error) {
  (void)self, (void)call, (void)params, (void)results;
  return lun_error_set(error, LUN_HOST, "the disk is on fire");
}

static lun_status exits(void *self, lun_call *call, const uint64_t *params, uint64_t *results, lun_error *error) {
  (void)self, (void)call, (void)results;
  lun_error_set(error, LUN_EXIT, "exit");
  error->code = (int32_t)params[0];
  return LUN_EXIT;
}

/* ---- listeners ---- */
static void values(const lun_type *types, uint32_t count, const uint64_t *slots) {
  for (uint32_t i = 0; i < count; i++)
    say("%s%lld", i ? "," : "", types[i] == LUN_I32 ? (long long)(int32_t)(uint32_t)slots[i] : (long long)slots[i]);
}

static const char *name_of(const lun_call *call) { return lun_definition_name(lun_call_definition(call)); }

static void before(void *self, lun_call *call, const uint64_t *params) {
  const lun_signature *s = lun_definition_signature(lun_call_definition(call));
  say("%sbefore %s(", self ? (const char *)self : "", name_of(call));
  values(s->params, s->param_count, params);
  say(")\n");
}

static void after(void *self, lun_call *call, const uint64_t *results) {
  const lun_signature *s = lun_definition_signature(lun_call_definition(call));
  say("%safter %s = ", self ? (const char *)self : "", name_of(call));
  values(s->results, s->result_count, results);
  say("\n");
}

static void aborted(void *self, lun_call *call, const lun_error *error) {
  say("%sabort %s %s", self ? (const char *)self : "", name_of(call), lun_status_name(error->kind));
  if (error->kind == LUN_EXIT) say(" %d", (int)error->code);
  if (error->kind == LUN_TRAP) say(": %s", lun_trap_name(error->trap));
  say("\n");
}

static const lun_listener teller = { before, after, aborted };

/* Only the functions of this list ("leaf trap"), or all. */
typedef struct Only {
  const char *names;
  const lun_listener *listener;
  const char *prefix; /* of what is said, or NULL */
} Only;

static lun_choice choose(void *context, const lun_definition *definition, lun_instance *instance) {
  const Only *only = context;
  (void)instance;
  const char *name = lun_definition_name(definition), *at = only->names;
  size_t size = strlen(name);
  while (at && (at = strstr(at, name)) != NULL) {
    bool begins = at == only->names || at[-1] == ' ', ends = at[size] == '\0' || at[size] == ' ';
    if (begins && ends) break;
    at += size;
  }
  if (only->names && !at) return (lun_choice){ NULL, NULL };
  return (lun_choice){ only->listener, (void *)(uintptr_t)only->prefix };
}

static lun_attachment *attach(const Only *only, const lun_attach_options *options) {
  lun_attachment *attachment = NULL;
  lun_error error = LUN_ERROR_INIT;
  union { const Only *in; void *out; } context = { .in = only };
  if (lun_store_attach(store, choose, context.out, options, &attachment, &error) != LUN_OK) {
    printf("cannot attach: %s\n", error.message);
    exit(1);
  }
  return attachment;
}

static const Only everything = { NULL, &teller, NULL };

static lun_status call_with(const char *name, uint64_t param, uint64_t *result, lun_error *error) {
  uint64_t slots[2] = { param, 0 };
  lun_status status = lun_function_invoke(lun_instance_function(guest, name), slots, slots, error);
  if (result) *result = slots[0];
  return status;
}

static lun_status call(const char *name, uint64_t param) {
  lun_error error = LUN_ERROR_INIT;
  lun_status status = call_with(name, param, NULL, &error);
  lun_error_clear(&error);
  return status;
}

/* ---- R1, R5, R10: pairing on every way out, values ---- */
static void ways_out(void) {
  lun_attachment *attachment = attach(&everything, NULL);
  expect("R1 returns", call("outer", 1) == LUN_OK);
  expect_text("R1 nested calls pair", "before outer(1)\nbefore middle(2)\nbefore leaf(12)\nafter leaf = 13\nafter middle = 13\n"
                                      "after outer = 13\n");
  for (uint64_t way = 0; way < 4; way++) call("returns", way);
  expect_text("R1 return, br_if, br and end", "before returns(0)\nafter returns = 100\nbefore returns(1)\nafter returns = 103\n"
                                              "before returns(2)\nafter returns = 102\nbefore returns(3)\nafter returns = 103\n");
  expect("R1 traps", call("calls_trap", 0) == LUN_TRAP);
  expect_text("R1 R4 a trap aborts innermost first", "before calls_trap(0)\nbefore trap(0)\nabort trap trap: integer divide by zero\n"
                                                     "abort calls_trap trap: integer divide by zero\n");
  expect("R16 host error", call("host_fails", 0) == LUN_HOST);
  expect_text("R16 a host function aborts as a call of its own", "before host_fails()\nbefore fails()\nabort fails host\n"
                                                                 "abort host_fails host\n");
  expect("R5 exit", call("host_exits", 7) == LUN_EXIT);
  expect_text("R5 exit is abort for the host function and its callers", "before host_exits(7)\nbefore exits(7)\nabort exits exit 7\n"
                                                                        "abort host_exits exit 7\n");
  call("host_exits", 0);
  expect_text("R5 exit 0 is abort too", "before host_exits(0)\nbefore exits(0)\nabort exits exit 0\nabort host_exits exit 0\n");
  uint64_t slots[2] = { (uint64_t)(uint32_t)-5, UINT64_C(1) << 40 };
  lun_error error = LUN_ERROR_INIT;
  expect("R10 multi-value", lun_function_invoke(lun_instance_function(guest, "swap"), slots, slots, &error) == LUN_OK);
  expect_text("R10 as many values as the signature says", "before swap(-5,1099511627776)\nafter swap = 1099511627776,-5\n");
  expect("R10 upper halves are zero", slots[1] == UINT32_MAX - 4);
  lun_attachment_detach(attachment, 0);
  call("outer", 1);
  expect_text("R13 a detached function says nothing", "");
}

static unsigned long befores, afters, aborts, order_errors;
static uint64_t open_ids[1 << 20];
static size_t open_count;
static void count_before(void *self, lun_call *call_, const uint64_t *params) {
  (void)self, (void)params;
  befores++;
  if (open_count < sizeof open_ids / sizeof *open_ids) open_ids[open_count++] = lun_call_id(call_);
}
static void count_close(lun_call *call_) {
  if (open_count == 0 || open_ids[--open_count] != lun_call_id(call_)) order_errors++;
}
static void count_after(void *self, lun_call *call_, const uint64_t *results) {
  (void)self, (void)results;
  afters++;
  count_close(call_);
}
static void count_abort(void *self, lun_call *call_, const lun_error *error) {
  (void)self, (void)error;
  aborts++;
  count_close(call_);
}
static const lun_listener counter = { count_before, count_after, count_abort };

static void depths(void) {
  static const Only all = { NULL, &counter, NULL };
  static const uint64_t deep[] = { 0, 1, 29, 30, 31, 1000, 20000 };
  lun_attachment *attachment = attach(&all, NULL);
  for (size_t i = 0; i < sizeof deep / sizeof *deep; i++) {
    befores = afters = aborts = 0;
    expect("R1 traps at any depth", call("deep_trap", deep[i]) == LUN_TRAP);
    expect("R1 as many aborts as befores", befores == deep[i] + 1 && aborts == befores && afters == 0);
    befores = afters = aborts = 0;
    expect("R1 returns at any depth", call("deep", deep[i]) == LUN_OK);
    expect("R1 as many afters as befores", befores == deep[i] + 1 && afters == befores && aborts == 0);
  }
  befores = afters = aborts = 0;
  expect("R3 the stack is used up", call("forever", 0) == LUN_EXHAUSTED);
  expect("R3 every open call aborts, the refused one has no event", befores > 1000 && aborts == befores && afters == 0);
  unsigned long traced = befores;
  expect("R1 in stack order", order_errors == 0 && open_count == 0);
  lun_attachment_detach(attachment, 0);
  /* Untraced, the same depth: counted by the trap's own stack. */
  lun_error error = LUN_ERROR_INIT;
  call_with("forever", 0, NULL, &error);
  expect("R24 exhausted at the same call as when traced",
         error.stack && lun_snapshot_count(error.stack) + lun_snapshot_omitted(error.stack) == traced);
  lun_error_clear(&error);
}

/* ---- R2: identity ---- */
static uint64_t last_id, before_ids[8], parents[8];
static uint32_t before_depths[8];
static size_t id_count;
static bool ids_increase = true, ids_match = true, data_lives = true;
static char mark;
static void id_before(void *self, lun_call *c, const uint64_t *params) {
  (void)self, (void)params;
  ids_increase = ids_increase && lun_call_id(c) > last_id;
  last_id = lun_call_id(c);
  data_lives = data_lives && *lun_call_data(c) == NULL;
  *lun_call_data(c) = &mark + id_count;
  before_ids[id_count] = last_id;
  parents[id_count] = lun_call_parent_id(c);
  before_depths[id_count++] = lun_call_depth(c);
}
static void id_after(void *self, lun_call *c, const uint64_t *results) {
  (void)self, (void)results;
  id_count--;
  ids_match = ids_match && lun_call_id(c) == before_ids[id_count] && lun_call_depth(c) == before_depths[id_count] &&
              lun_call_parent_id(c) == parents[id_count];
  data_lives = data_lives && *lun_call_data(c) == &mark + id_count;
}

static void identity(void) {
  static const lun_listener ids = { id_before, id_after, NULL };
  static const Only some = { "outer leaf", &ids, NULL };
  lun_attachment *attachment = attach(&some, NULL);
  call("outer", 1);
  expect("R2 ids are unique and increasing", ids_increase);
  expect("R2 the same id and depth in before and after", ids_match);
  expect("R2 data is nil at first and lives to after", data_lives);
  expect("R2 parents are of the same attachment", parents[0] == 0 && parents[1] == before_ids[0]);
  expect("R2 depth counts the frames between, listened to or not", before_depths[0] == 0 && before_depths[1] == 2);
  lun_attachment_detach(attachment, 0);
}

/* ---- R6, R7: order, attaching with calls open ---- */
static lun_attachment *late, *first;
static void attach_inside(void *self, lun_call *c, const uint64_t *params) {
  static const Only other = { NULL, &teller, "late: " };
  before(self, c, params);
  if (!late) late = attach(&other, NULL);
}
static void detach_inside(void *self, lun_call *c, const uint64_t *params) {
  before(self, c, params);
  if (first) lun_attachment_detach(first, 0);
  first = NULL;
}
static void drop_inside(void *self, lun_call *c, const uint64_t *params) {
  before(self, c, params);
  if (first) lun_attachment_detach(first, LUN_DROP);
  first = NULL;
}

static void order(void) {
  static const Only a = { "leaf", &teller, "a: " }, b = { "leaf", &teller, "b: " };
  lun_attachment *one = attach(&a, NULL), *two = attach(&b, NULL);
  call("leaf", 1);
  expect_text("R6 attachments nest", "a: before leaf(1)\nb: before leaf(1)\nb: after leaf = 2\na: after leaf = 2\n");
  lun_attachment_detach(one, 0);
  lun_attachment_detach(two, 0);
  lun_factory_entry both[] = { { choose, NULL }, { choose, NULL } };
  Only c = a, d = b;
  both[0].context = &c, both[1].context = &d;
  lun_error error = LUN_ERROR_INIT;
  lun_attachment *multi;
  if (lun_store_attach_multi(store, both, 2, NULL, NULL, &multi, &error) != LUN_OK) exit(1);
  call("leaf", 1);
  expect_text("R6 a multi tells in the order given, in after too",
              "a: before leaf(1)\nb: before leaf(1)\na: after leaf = 2\nb: after leaf = 2\n");
  lun_attachment_detach(multi, 0);

  static const lun_listener attaching = { attach_inside, after, aborted };
  static const Only at_middle = { "middle", &attaching, NULL };
  one = attach(&at_middle, NULL);
  call("outer", 1);
  expect_text("R6 R7 attached inside, it hears from the next call on",
              "before middle(2)\nlate: before leaf(12)\nlate: after leaf = 13\nafter middle = 13\n");
  lun_attachment_detach(late, 0);
  lun_attachment_detach(one, 0);

  static const Only plainly = { NULL, &teller, "first: " };
  static const lun_listener detaching = { detach_inside, after, aborted }, dropping = { drop_inside, after, aborted };
  static const Only at_leaf = { "leaf", &detaching, NULL }, at_leaf_drop = { "leaf", &dropping, NULL };
  first = attach(&plainly, NULL);
  one = attach(&at_leaf, NULL);
  call("outer", 1);
  call("leaf", 5);
  expect_text("R7 detached with calls open, they still get their after",
              "first: before outer(1)\nfirst: before middle(2)\nfirst: before leaf(12)\nbefore leaf(12)\nafter leaf = 13\n"
              "first: after leaf = 13\nfirst: after middle = 13\nfirst: after outer = 13\nbefore leaf(5)\nafter leaf = 6\n");
  lun_attachment_detach(one, 0);
  first = attach(&plainly, NULL);
  one = attach(&at_leaf_drop, NULL);
  call("outer", 1);
  expect_text("R7 dropped with calls open, it falls silent at once",
              "first: before outer(1)\nfirst: before middle(2)\nfirst: before leaf(12)\nbefore leaf(12)\nafter leaf = 13\n");
  lun_attachment_detach(one, 0);
}

/* ---- R9: failing listeners ---- */
static unsigned reports;
static void fail_before(void *self, lun_call *c, const uint64_t *params) {
  before(self, c, params);
  lun_call_fail(c, "no good");
}
static void report(void *context, lun_attachment *attachment, lun_call *c, void *self, const char *message) {
  (void)context, (void)attachment, (void)self;
  reports++;
  say("report %s: %s\n", name_of(c), message);
}

static void failing(void) {
  static const lun_listener bad = { fail_before, after, aborted };
  static const Only at_leaf = { "leaf", &bad, "bad: " }, good = { "leaf", &teller, "good: " };
  lun_attachment *one = attach(&at_leaf, &(lun_attach_options){ .report = report }), *two = attach(&good, NULL);
  call("leaf", 1);
  call("leaf", 2);
  expect_text("R9 a failed before has no after, the others hear all, then it is muted",
              "bad: before leaf(1)\ngood: before leaf(1)\nreport leaf: no good\ngood: after leaf = 2\ngood: before leaf(2)\n"
              "good: after leaf = 3\n");
  expect("R9 counted", lun_attachment_errors(one) == 1 && lun_attachment_muted(one) == 1);
  lun_attachment_detach(one, 0);
  one = attach(&at_leaf, &(lun_attach_options){ .report = report, .on_error = LUN_ON_ERROR_STOP });
  expect("R9 on_error = stop ends the run", call("outer", 1) == LUN_LISTENER);
  expect_text("R9 stop aborts all open calls", "good: before leaf(12)\nbad: before leaf(12)\nreport leaf: no good\n"
                                               "good: abort leaf listener\n");
  lun_attachment_detach(one, 0);
  lun_attachment_detach(two, 0);
  expect("R9 the guest is unharmed", call("outer", 1) == LUN_OK);
}

/* ---- R12, R14: the stack ---- */
static lun_snapshot *kept;
static lun_frame kept_frame;
static bool kept_stale;
static void print_stack(void *self, lun_call *c, const uint64_t *params) {
  (void)self, (void)params;
  lun_stack stack = lun_call_stack(c);
  while (lun_stack_next(&stack)) {
    const lun_frame *f = &stack.frame;
    bool exact;
    const uint64_t *p = lun_stack_params(&stack, &exact);
    say("%s%s%s", lun_definition_name(f->definition), f->is_host ? "*" : "", f->reentry ? "|" : "");
    if (p && lun_definition_signature(f->definition)->param_count) say("(%u%s)", (unsigned)p[0], exact ? "" : "?");
    expect("R14 guest frames have an offset, host frames none", f->is_host == (f->offset == LUN_NO_OFFSET));
    say(" ");
    kept_frame = *f;
  }
  say("\n");
  kept = lun_call_snapshot(c);
  bool exact;
  expect("R12 a frame's params can be read in the callback", lun_frame_params(&kept_frame, &exact) != NULL);
}
static void stack_after(void *self, lun_call *c, const uint64_t *results) {
  (void)self, (void)results;
  bool exact;
  kept_stale = lun_frame_params(&kept_frame, &exact) == NULL;
  lun_frame caller;
  say("caller %s\n", lun_call_caller(c, &caller) ? lun_definition_name(caller.definition) : "none");
}

static void stacks(void) {
  static const lun_listener walker = { print_stack, stack_after, NULL };
  static const Only at_leaf = { "leaf", &walker, NULL };
  lun_attachment *one = attach(&at_leaf, NULL);
  call("outer", 1);
  expect_text("R12 top first, to the entry", "leaf(12) middle(2) outer|(1) \ncaller middle\n");
  expect("R12 frames are stale when their callback is over", kept_stale);
  expect("R12 a snapshot stays", lun_snapshot_count(kept) == 3 && strcmp(lun_definition_name(lun_snapshot_frame(kept, 2)->definition), "outer") == 0);
  lun_snapshot_destroy(kept);
  call("reenter", 6);
  expect_text("R12 R17 through host functions and re-entries", "leaf|(6) again*(6) reenter|(6) \ncaller again\n");
  lun_snapshot_destroy(kept);
  call("changes", 5);
  expect_text("R11 params of outer frames are the present ones, and say so", "leaf(77) changes|(77?) \ncaller changes\n");
  lun_snapshot_destroy(kept);
  lun_attachment_detach(one, 0);
  lun_error error = LUN_ERROR_INIT;
  expect("R4 a trap has a stack", call_with("calls_trap", 0, NULL, &error) == LUN_TRAP && error.stack &&
         lun_snapshot_count(error.stack) == 2 && strcmp(error.message, "integer divide by zero") == 0);
  const lun_frame *top = lun_snapshot_frame(error.stack, 0);
  const uint64_t start = lun_definition_offset(top->definition);
  expect("R14 the top frame stands at the trapping instruction", top->offset == start + 1 + 2 + 2); /* locals, i32.const, local.get */
  lun_error_clear(&error);
}

/* ---- R11: params kept; R17: nested; R19: entries ---- */
static void params_after(void *self, lun_call *c, const uint64_t *results) {
  (void)self;
  const uint64_t *params = lun_call_params(c);
  say("%s(%u) = %u\n", name_of(c), params ? (unsigned)params[0] : 0, (unsigned)results[0]);
}
static void call_leaf(void *self, lun_call *c, const uint64_t *params) {
  before(self, c, params);
  if (strcmp(name_of(c), "middle") == 0) say("nested %d\n", (int)call("leaf", 40));
}
static void say_entry(void *self, lun_call *c, const uint64_t *params) {
  static const char *const names[] = { "none", "start", "export", "function" };
  (void)self, (void)params;
  say("%s %s\n", name_of(c), names[lun_call_entry(c)]);
}

static void others(void) {
  static const lun_listener keeper = { NULL, params_after, NULL };
  static const Only all_keep = { "changes leaf", &keeper, NULL };
  lun_attachment *one = attach(&all_keep, &(lun_attach_options){ .params = true });
  call("changes", 5);
  expect_text("R11 params kept as they were at before", "leaf(77) = 78\nchanges(5) = 78\n");
  lun_attachment_detach(one, 0);
  static const lun_listener nester = { call_leaf, after, aborted };
  static const Only calls = { "middle leaf", &nester, NULL }, watcher = { "leaf", &teller, "other: " };
  one = attach(&calls, NULL);
  lun_attachment *two = attach(&watcher, NULL);
  call("outer", 1);
  expect_text("R17 a callback's own calls are told to others only",
              "before middle(2)\nother: before leaf(40)\nother: after leaf = 41\nnested 0\nbefore leaf(12)\nother: before leaf(12)\n"
              "other: after leaf = 13\nafter leaf = 13\nafter middle = 13\n");
  lun_attachment_detach(one, 0);
  lun_attachment_detach(two, 0);
  call("reenter", 0);
  one = attach(&everything, NULL);
  call("reenter", 0);
  expect_text("R16 a host function that catches a failure ends with after",
              "before reenter(0)\nbefore again(0)\nbefore trap(0)\nabort trap trap: integer divide by zero\nafter again = 99\n"
              "after reenter = 99\n");
  lun_attachment_detach(one, 0);
  static const lun_listener entries = { say_entry, NULL, NULL };
  static const Only all = { NULL, &entries, NULL };
  one = attach(&all, NULL);
  call("reenter", 1);
  expect_text("R19 entries", "reenter export\nagain none\nleaf export\n");
  for (uint32_t i = 0; i < lun_module_function_count(lun_instance_module(guest)); i++) {
    lun_function *function = lun_instance_function_at(guest, i);
    uint64_t slot = 1;
    lun_error error = LUN_ERROR_INIT;
    if (strcmp(lun_definition_name(lun_function_definition(function)), "middle") != 0) continue;
    expect("R19 a function value", lun_function_invoke(function, &slot, &slot, &error) == LUN_OK);
  }
  expect_text("R19 a function value called by the host", "middle function\nleaf none\n");
  lun_attachment_detach(one, 0);
}

/* ---- R18: tail calls ---- */
static uint64_t tail_ids[8], tail_parents[8], tail_of[8];
static size_t tail_count;
static void tail_before(void *self, lun_call *c, const uint64_t *params) {
  before(self, c, params);
  if (tail_count == 8) return;
  tail_ids[tail_count] = lun_call_id(c);
  tail_parents[tail_count] = lun_call_parent_id(c);
  tail_of[tail_count++] = lun_call_tail_of(c);
}
static void tail_after(void *self, lun_call *c, const uint64_t *results) {
  const lun_definition *tail = lun_call_tail(c);
  if (tail) say("after %s -> %s%s\n", name_of(c), lun_definition_name(tail), results ? "?" : "");
  else after(self, c, results);
}

static void tails(void) {
  static const lun_listener tailing = { tail_before, tail_after, aborted };
  static const Only all = { NULL, &tailing, NULL }, counting = { NULL, &counter, NULL }, callee = { "tail_other", &tailing, NULL };
  lun_attachment *one = attach(&all, NULL);
  call("tail_entry", 1);
  expect_text("R18 a tail call ends the caller's call first",
              "before tail_entry(1)\nbefore tail_loop(1)\nafter tail_loop -> tail_other\nbefore tail_other(0,7)\n"
              "after tail_other -> tail_loop\nbefore tail_loop(0)\nafter tail_loop = 5\nafter tail_entry = 6\n");
  expect("R18 the callee's parent is the caller's parent", tail_parents[2] == tail_ids[0] && tail_parents[3] == tail_ids[0]);
  expect("R18 the callee knows whose place it took", tail_of[1] == 0 && tail_of[2] == tail_ids[1] && tail_of[3] == tail_ids[2]);
  call("tail_host", 4);
  expect_text("R18 to a host function", "before tail_host(4)\nafter tail_host -> plain\nbefore plain(4)\nafter plain = 12\n");
  lun_attachment_detach(one, 0);
  one = attach(&callee, NULL);
  tail_count = 0;
  call("tail_entry", 2);
  expect_text("R18 only the callee listened to", "before tail_other(1,7)\nafter tail_other -> tail_loop\nbefore tail_other(0,7)\n"
                                                 "after tail_other -> tail_loop\n");
  expect("R18 nobody's place where the caller was not heard", tail_of[0] == 0 && tail_of[1] == 0);
  lun_attachment_detach(one, 0);
  one = attach(&counting, NULL);
  befores = afters = aborts = 0;
  expect("R18 a million of them", call("tail_entry", 500000) == LUN_OK);
  expect("R18 pair", befores == 1000002 && afters == befores && aborts == 0 && open_count == 0);
  lun_attachment_detach(one, 0);
  expect("R18 untraced too", call("tail_entry", 500000) == LUN_OK);
}

/* ---- calls by reference (3.0, which no text format of ours knows) ----
 * Imports host.plain. next(n): n + 1; by_ref, tail, tail_host, null (n): call_ref next, return_call_ref next, plain, call_ref of
 * null; across(f, n): return_call_ref f; loop(n, f): n ? return_call_ref f(n - 1, f) : 7. */
static const uint8_t reference_module[] = {
  0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00, 0x01, 0x14, 0x03, 0x60, 0x01, 0x7f, 0x01, 0x7f, 0x60, 0x02, 0x63, 0x00,
  0x7f, 0x01, 0x7f, 0x60, 0x02, 0x7f, 0x63, 0x02, 0x01, 0x7f, 0x02, 0x0e, 0x01, 0x04, 0x68, 0x6f, 0x73, 0x74, 0x05, 0x70,
  0x6c, 0x61, 0x69, 0x6e, 0x00, 0x00, 0x03, 0x08, 0x07, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x02, 0x07, 0x3b, 0x07, 0x04,
  0x6e, 0x65, 0x78, 0x74, 0x00, 0x01, 0x06, 0x62, 0x79, 0x5f, 0x72, 0x65, 0x66, 0x00, 0x02, 0x04, 0x74, 0x61, 0x69, 0x6c,
  0x00, 0x03, 0x09, 0x74, 0x61, 0x69, 0x6c, 0x5f, 0x68, 0x6f, 0x73, 0x74, 0x00, 0x04, 0x04, 0x6e, 0x75, 0x6c, 0x6c, 0x00,
  0x05, 0x06, 0x61, 0x63, 0x72, 0x6f, 0x73, 0x73, 0x00, 0x06, 0x04, 0x6c, 0x6f, 0x6f, 0x70, 0x00, 0x07, 0x09, 0x06, 0x01,
  0x03, 0x00, 0x02, 0x00, 0x01, 0x0a, 0x4d, 0x07, 0x07, 0x00, 0x20, 0x00, 0x41, 0x01, 0x6a, 0x0b, 0x08, 0x00, 0x20, 0x00,
  0xd2, 0x01, 0x14, 0x00, 0x0b, 0x08, 0x00, 0x20, 0x00, 0xd2, 0x01, 0x15, 0x00, 0x0b, 0x08, 0x00, 0x20, 0x00, 0xd2, 0x00,
  0x15, 0x00, 0x0b, 0x08, 0x00, 0x20, 0x00, 0xd0, 0x00, 0x14, 0x00, 0x0b, 0x08, 0x00, 0x20, 0x01, 0x20, 0x00, 0x15, 0x00,
  0x0b, 0x16, 0x00, 0x20, 0x00, 0x45, 0x04, 0x40, 0x41, 0x07, 0x0f, 0x0b, 0x20, 0x00, 0x41, 0x01, 0x6b, 0x20, 0x01, 0x20,
  0x01, 0x15, 0x02, 0x0b,
};

static void named_before(void *self, lun_call *c, const uint64_t *params) {
  (void)self, (void)params;
  say("before %s%s\n", name_of(c), lun_call_tail_of(c) ? " in another's place" : "");
}
static void named_after(void *self, lun_call *c, const uint64_t *results) {
  (void)self, (void)results;
  const lun_definition *tail = lun_call_tail(c);
  say("after %s%s%s\n", name_of(c), tail ? " -> " : "", tail ? lun_definition_name(tail) : "");
}

static lun_status call_in(lun_instance *instance, const char *name, uint64_t a, uint64_t b, lun_error *error) {
  uint64_t params[2] = { a, b }, result;
  lun_function *function = lun_instance_function(instance, name);
  return function ? lun_function_invoke(function, params, &result, error) : LUN_USAGE;
}

static void references(const lun_imports *imports) {
  static const lun_listener naming = { named_before, named_after, aborted };
  static const Only all = { NULL, &teller, NULL }, names = { NULL, &naming, NULL }, counting = { NULL, &counter, NULL };
  lun_module *module;
  lun_instance *one, *two;
  lun_error error = LUN_ERROR_INIT;
  if (lun_module_create(store, reference_module, sizeof reference_module, NULL, &module, &error) ||
      lun_instance_create(store, module, imports, NULL, &one, &error) ||
      lun_instance_create(store, module, imports, NULL, &two, &error)) {
    expect(error.message, false);
    return;
  }
  lun_attachment *attachment = attach(&all, NULL);
  expect("R1 call_ref", call_in(one, "by_ref", 4, 0, &error) == LUN_OK);
  expect_text("R1 is heard as any call", "before by_ref(4)\nbefore next(4)\nafter next = 5\nafter by_ref = 5\n");
  expect("R4 null is no function", call_in(one, "null", 4, 0, &error) == LUN_TRAP && error.trap == LUN_TRAP_NULL_FUNCTION);
  lun_error_clear(&error);
  expect_text("R4 and aborts the caller alone", "before null(4)\nabort null trap: null function reference\n");
  lun_attachment_detach(attachment, 0);
  attachment = attach(&names, NULL);
  call_in(one, "tail", 4, 0, &error);
  expect_text("R18 return_call_ref ends the caller's call first",
              "before tail\nafter tail -> next\nbefore next in another's place\nafter next\n");
  call_in(one, "tail_host", 4, 0, &error);
  expect_text("R18 by reference to a host function",
              "before tail_host\nafter tail_host -> plain\nbefore plain in another's place\nafter plain\n");
  uint64_t next = lun_function_ref(lun_instance_function(one, "next")), loop = lun_function_ref(lun_instance_function(one, "loop"));
  call_in(two, "across", next, 4, &error);
  expect_text("R18 by reference across instances",
              "before across\nafter across -> next\nbefore next in another's place\nafter next\n");
  expect("R5 a function of another type is refused", call_in(two, "across", loop, 4, &error) == LUN_USAGE);
  lun_error_clear(&error);
  expect_text("R5 with no event", "");
  lun_attachment_detach(attachment, 0);
  attachment = attach(&counting, NULL);
  befores = afters = aborts = 0;
  expect("R18 a million of them by reference", call_in(two, "loop", 1000000, loop, &error) == LUN_OK);
  expect("R18 pair by reference", befores == 1000001 && afters == befores && aborts == 0 && open_count == 0);
  lun_attachment_detach(attachment, 0);
  lun_module_destroy(module);
}

/* ---- the ends that come from outside ---- */
static void stop_before(void *self, lun_call *c, const uint64_t *params) {
  before(self, c, params);
  lun_store_stop(lun_call_store(c), 3);
}
static void interrupt_before(void *self, lun_call *c, const uint64_t *params) {
  before(self, c, params);
  lun_store_interrupt(lun_call_store(c));
}
static void expire_before(void *self, lun_call *c, const uint64_t *params) {
  before(self, c, params);
  lun_store_expire(lun_call_store(c));
}

static void stop_after(void *self, lun_call *c, const uint64_t *results) {
  after(self, c, results);
  lun_store_stop(lun_call_store(c), 3);
}

static void ended(void) {
  static const lun_listener late_stop = { NULL, stop_after, NULL };
  static const Only at_leaf = { "leaf", &late_stop, NULL };
  lun_attachment *stopper = attach(&at_leaf, NULL);
  expect("R4 a stop in the last after of all still is the run's end", call("leaf", 1) == LUN_EXIT);
  expect_text("R4 with no abort, since no call is open", "after leaf = 2\n");
  lun_attachment_detach(stopper, 0);
  static const lun_listener stopping = { stop_before, after, aborted }, interrupting = { interrupt_before, after, aborted },
                            expiring = { expire_before, after, aborted };
  static const Only stop = { "middle", &stopping, NULL }, interrupt = { "spin", &interrupting, NULL },
                    expire = { "spin", &expiring, NULL };
  lun_attachment *two = attach(&everything, NULL), *one = attach(&stop, NULL);
  expect("R4 stop is exit", call("outer", 1) == LUN_EXIT);
  expect_text("R4 stop aborts all open calls", "before outer(1)\nbefore middle(2)\nbefore middle(2)\nabort middle exit 3\n"
                                               "abort middle exit 3\nabort outer exit 3\n");
  lun_attachment_detach(one, 0);
  one = attach(&interrupt, NULL);
  expect("R5 an interrupt ends a loop", call("spin", 0) == LUN_INTERRUPTED);
  expect_text("R1 interrupted", "before spin()\nbefore spin()\nabort spin interrupted\nabort spin interrupted\n");
  lun_attachment_detach(one, 0);
  one = attach(&expire, NULL);
  expect("R5 the deadline ends a loop", call("spin", 0) == LUN_TIMEOUT);
  expect_text("R1 timeout", "before spin()\nbefore spin()\nabort spin timeout\nabort spin timeout\n");
  lun_attachment_detach(one, 0);
  lun_store_interrupt(store);
  expect("an interrupt with no run ends the next one, before its first event", call("leaf", 1) == LUN_INTERRUPTED);
  expect_text("R5 a call refused has no event", "");
  expect("and no further one", call("leaf", 1) == LUN_OK);
  expect_text("R1 returns", "before leaf(1)\nafter leaf = 2\n");
  lun_attachment_detach(two, 0);
}

static lun_instance *closing;
static void close_before(void *self, lun_call *c, const uint64_t *params) {
  before(self, c, params);
  lun_instance_close(closing);
}

static void closed(lun_module *module, lun_imports *imports) {
  lun_error error = LUN_ERROR_INIT;
  if (lun_instance_create(store, module, imports, "second", &closing, &error) != LUN_OK) exit(1);
  static const lun_listener closer = { close_before, after, aborted };
  static const Only at_leaf = { "leaf", &closer, NULL };
  lun_attachment *two = attach(&everything, &(lun_attach_options){ .instance = closing });
  lun_attachment *one = attach(&at_leaf, &(lun_attach_options){ .instance = closing });
  uint64_t slot = 1;
  lun_function *outer = lun_instance_function(closing, "outer");
  expect("R1 closed with frames on the stack", lun_function_invoke(outer, &slot, &slot, &error) == LUN_EXIT);
  expect_text("R1 closing aborts what is open", "before outer(1)\nbefore middle(2)\nbefore leaf(12)\nbefore leaf(12)\n"
                                                "abort leaf exit 0\nabort leaf exit 0\nabort middle exit 0\nabort outer exit 0\n");
  lun_error_clear(&error);
  expect("R5 a closed instance refuses calls, with no event", lun_function_invoke(outer, &slot, &slot, &error) == LUN_USAGE);
  expect_text("R5 a closed instance", "");
  lun_error_clear(&error);
  lun_attachment_detach(one, 0);
  lun_attachment_detach(two, 0);
}

/* ---- R8, R15: factories and instances; factories that attach, detach and make instances ---- */
static lun_module *the_module;
static lun_imports *the_imports;
static lun_attachment *asked_first, *asked_second;
static unsigned asked, wanted_index, index_errors;
static bool make_one, detach_both;

static lun_instance *make_instance(void) {
  lun_error error = LUN_ERROR_INIT;
  lun_instance *made = NULL;
  if (lun_instance_create(store, the_module, the_imports, "made", &made, &error) != LUN_OK) printf("# %s\n", error.message);
  return made;
}

static lun_choice ask_and_act(void *context, const lun_definition *definition, lun_instance *instance) {
  (void)context, (void)instance;
  asked++;
  if (lun_definition_index(definition) == 0) wanted_index = 0;
  index_errors += lun_definition_index(definition) != wanted_index++;
  if (make_one && asked == 3) {
    make_one = false;
    make_instance();
  }
  if (detach_both && asked == 3) {
    lun_attachment_detach(asked_second, 0);
    lun_attachment_detach(asked_first, 0);
  }
  return (lun_choice){ NULL, NULL };
}
static lun_choice ask_nothing(void *context, const lun_definition *definition, lun_instance *instance) {
  (void)context, (void)definition, (void)instance;
  return (lun_choice){ NULL, NULL };
}

static lun_instance *seen_instance;
static bool same_instance = true;
static void instance_before(void *self, lun_call *c, const uint64_t *params) {
  (void)self, (void)params;
  seen_instance = lun_call_instance(c);
  same_instance = same_instance && seen_instance == guest;
}
static void instance_after(void *self, lun_call *c, const uint64_t *results) {
  (void)self, (void)results;
  same_instance = same_instance && lun_call_instance(c) == guest;
}

static void factories(void) {
  lun_error error = LUN_ERROR_INIT;
  unsigned functions = lun_module_function_count(the_module);
  if (lun_store_attach(store, ask_and_act, NULL, NULL, &asked_first, &error)) exit(1);
  unsigned instances = asked / functions;
  expect("R8 asked once per definition, in index order", asked == instances * functions && instances >= 1 && index_errors == 0);
  asked = 0;
  make_instance();
  expect("R8 and again for each instance made later", asked == functions && index_errors == 0);
  lun_attachment_detach(asked_first, 0);
  asked = 0, make_one = true, index_errors = 0;
  if (lun_store_attach(store, ask_and_act, NULL, NULL, &asked_first, &error)) exit(1);
  expect("R8 an instance that a factory makes while it attaches is asked about, too", asked == (instances + 2) * functions);
  if (lun_store_attach(store, ask_nothing, NULL, NULL, &asked_second, &error)) exit(1);
  asked = 0, detach_both = true;
  expect("R7 a factory may detach its own attachment and the next one", make_instance() != NULL && asked == 3);
  static const lun_listener watch = { instance_before, instance_after, NULL };
  static const Only all = { NULL, &watch, NULL };
  lun_attachment *one = attach(&all, &(lun_attach_options){ .instance = guest });
  call("host", 2);
  expect("R15 the callee's instance, of a host function the importing one, the same in before and after", same_instance);
  lun_attachment_detach(one, 0);
}

/* ---- R2, R9, R11 once more: paused, failing beside others, nested in after ---- */
static void call_rec(void *self, lun_call *c, const uint64_t *results) {
  (void)self, (void)c, (void)results;
  call("host", 1);
}
static void look_out(void *self, lun_call *c, const uint64_t *params) {
  (void)self, (void)params;
  lun_stack stack = lun_call_stack(c);
  while (lun_stack_next(&stack)) {
    bool exact;
    const uint64_t *p = lun_stack_params(&stack, &exact);
    say("%s%s ", lun_definition_name(stack.frame.definition), p ? "" : " gone");
  }
  say("\n");
}
static void report_and_call(void *context, lun_attachment *attachment, lun_call *c, void *self, const char *message) {
  (void)context, (void)attachment, (void)c, (void)self, (void)message;
  call("leaf", 50);
}

static void once_more(void) {
  static const lun_listener rec = { NULL, call_rec, NULL }, looker = { look_out, NULL, NULL }, bad = { fail_before, NULL, NULL };
  static const Only at_middle = { "middle", &rec, NULL }, at_plain = { "plain", &looker, NULL },
                    bad_middle = { "middle", &bad, NULL }, both = { "middle leaf", &teller, NULL };
  lun_attachment *one = attach(&at_middle, NULL), *two = attach(&at_plain, NULL);
  call("outer", 1);
  expect_text("R11 params are gone where an after further out shows results", "plain host middle gone outer \n");
  lun_attachment_detach(one, 0);
  lun_attachment_detach(two, 0);
  one = attach(&bad_middle, &(lun_attach_options){ .report = report_and_call });
  two = attach(&both, NULL);
  call("outer", 1);
  expect_text("R17 what a report calls is told to the others",
              "before middle(2)\nbefore middle(2)\nbefore leaf(50)\nafter leaf = 51\nbefore leaf(12)\nafter leaf = 13\n"
              "after middle = 13\n");
  lun_attachment_detach(one, 0);
  lun_attachment_pause(two, true);
  call("outer", 1);
  expect_text("paused, it hears nothing", "");
  lun_attachment_pause(two, false);
  call("leaf", 1);
  expect_text("and then again", "before leaf(1)\nafter leaf = 2\n");
  lun_attachment_detach(two, 0);
}

/* ---- R13: no allocation per event, by the allocator's own count ---- */
static void nothing_before(void *self, lun_call *c, const uint64_t *params) { (void)self, (void)c, (void)params; }
static void nothing_after(void *self, lun_call *c, const uint64_t *results) { (void)self, (void)c, (void)results; }

static void allocations(void) {
#ifdef COUNTS_ALLOCATIONS
  static const lun_listener nothing = { nothing_before, nothing_after, NULL };
  static const Only all = { NULL, &nothing, NULL };
  lun_attachment *one = attach(&all, &(lun_attach_options){ .params = true });
  call("deep", 1000);
  unsigned long before_run = allocated;
  call("deep", 1000);
  unsigned long once = allocated - before_run;
  call("deep", 100), call("deep", 1000);
  expect("R13 no allocation per event", once <= 4 && allocated - before_run <= 3 * 4);
  lun_attachment_detach(one, 0);
#else
  (void)nothing_before, (void)nothing_after;
#endif
}

static void add_host(lun_imports *imports, const char *name, uint32_t params, uint32_t results, lun_host_callback callback) {
  static const lun_type types[] = { LUN_I32 };
  lun_error error = LUN_ERROR_INIT;
  lun_host_function function = { .module = "host", .name = name, .signature = { params, results, types, types }, .callback = callback };
  if (lun_imports_add_host(imports, &function, &error) != LUN_OK) exit(1);
}

int main(int argc, char **argv) {
  static char bytes[1 << 16];
  FILE *file = argc > 1 ? fopen(argv[1], "rb") : NULL;
  if (!file) return fprintf(stderr, "usage: rules MODULE\n"), 2;
  size_t size = fread(bytes, 1, sizeof bytes, file);
  fclose(file);
  lun_error error = LUN_ERROR_INIT;
  lun_module *module;
  lun_imports *imports;
  if (lun_store_create(NULL, &store, &error) || lun_module_create(store, bytes, size, NULL, &module, &error) ||
      lun_imports_create(store, &imports, &error))
    return fprintf(stderr, "%s\n", error.message), 1;
  add_host(imports, "plain", 1, 1, plain);
  add_host(imports, "again", 1, 1, again);
  add_host(imports, "fails", 0, 0, fails);
  add_host(imports, "exits", 1, 0, exits);
  if (lun_instance_create(store, module, imports, NULL, &guest, &error)) return fprintf(stderr, "%s\n", error.message), 1;
  ways_out();
  depths();
  identity();
  order();
  failing();
  stacks();
  others();
  tails();
  ended();
  closed(module, imports);
  the_module = module, the_imports = imports;
  factories();
  once_more();
  allocations();
  references(imports);
  lun_imports_destroy(imports);
  lun_module_destroy(module);
  lun_store_destroy(store);
  printf("%d checks, %d failed\n", checks, failures);
  return failures != 0;
}
