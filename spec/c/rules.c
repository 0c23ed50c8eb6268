/* SPDX-License-Identifier: MIT */
/* The listener contract, calls: that they pair on every way out, who they are, tail calls, calls by reference, and ends that
 * come from outside. */
#include "rules_test.h"

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

/* ---- pairs, counted ---- */
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

static void references(void) {
  static const lun_listener naming = { named_before, named_after, aborted };
  static const Only all = { NULL, &teller, NULL }, names = { NULL, &naming, NULL }, counting = { NULL, &counter, NULL };
  lun_module *referring;
  lun_instance *one, *two;
  lun_error error = LUN_ERROR_INIT;
  if (lun_module_create(store, reference_module, sizeof reference_module, NULL, &referring, &error) ||
      lun_instance_create(store, referring, imports, NULL, &one, &error) ||
      lun_instance_create(store, referring, imports, NULL, &two, &error)) {
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
  lun_module_destroy(referring);
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

static void closed(void) {
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

int main(int argc, char **argv) {
  if (!rules_open(argc > 1 ? argv[1] : NULL)) return 2;
  ways_out();
  depths();
  identity();
  tails();
  ended();
  closed();
  references();
  return rules_close();
}
