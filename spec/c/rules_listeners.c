/* SPDX-License-Identifier: MIT */
/* The listener contract, listeners: their order, attaching and detaching, factories, failing, what a callback is given and can
 * ask, and what it costs. */
#include "rules_test.h"

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

/* ---- R8, R15: factories and instances; factories that attach, detach and make instances ---- */
static lun_attachment *asked_first, *asked_second;
static unsigned asked, wanted_index, index_errors;
static bool make_one, detach_both;

static lun_instance *make_instance(void) {
  lun_error error = LUN_ERROR_INIT;
  lun_instance *made = NULL;
  if (lun_instance_create(store, module, imports, "made", &made, &error) != LUN_OK) printf("# %s\n", error.message);
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
  unsigned functions = lun_module_function_count(module);
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

int main(int argc, char **argv) {
  if (!rules_open(argc > 1 ? argv[1] : NULL)) return 2;
  order();
  failing();
  stacks();
  others();
  factories();
  once_more();
  allocations();
  return rules_close();
}
