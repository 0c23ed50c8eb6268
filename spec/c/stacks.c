/* SPDX-License-Identifier: MIT */
/* Stacks as numbers, as an embedder in C sees them: what they take, and what happens when there is no room.
 *
 *   stacks GUEST     the module that rules.wat describes */
#include <lunette/lunette.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static lun_store *store;
static lun_instance *guest;
static int failures, checks;
static uint64_t given, zero, last;
static bool well = true;

static void expect(const char *what, bool holds) {
  checks++;
  if (holds) return;
  failures++;
  printf("not ok %s\n", what);
}

/* The stack of the id is the one that is walked. */
static void compare(const lun_call *call, uint64_t id) {
  lun_snapshot *snapshot = lun_store_stack_of(store, id);
  uint32_t frames = 0;
  for (lun_stack stack = lun_call_stack(call); lun_stack_next(&stack); frames++) {
    const lun_frame *frame = snapshot ? lun_snapshot_frame(snapshot, frames) : NULL;
    well = well && frame && frame->definition == stack.frame.definition && frame->reentry == stack.frame.reentry &&
           (frames == 0 || frame->offset == stack.frame.offset);
  }
  well = well && snapshot && lun_snapshot_count(snapshot) == frames;
  lun_snapshot_destroy(snapshot);
}

static void before(void *self, lun_call *call, const uint64_t *params) {
  (void)self, (void)params;
  last = lun_call_stack_id(call);
  given += last != 0;
  zero += last == 0;
  if (last && lun_call_depth(call) % 16 == 0) compare(call, last);
}

static lun_choice choose(void *context, const lun_definition *definition, lun_instance *instance) {
  static const lun_listener listener = { before, NULL, NULL };
  (void)context, (void)definition, (void)instance;
  return (lun_choice){ &listener, NULL };
}

static void call(const char *name, uint64_t param) {
  lun_error error = LUN_ERROR_INIT;
  uint64_t slots[2] = { param };
  expect(name, lun_function_invoke(lun_instance_function(guest, name), slots, slots, &error) == LUN_OK);
  lun_error_clear(&error);
}

static lun_status nothing(void *self, lun_call *now, const uint64_t *params, uint64_t *results, lun_error *error) {
  (void)self, (void)now, (void)params, (void)results, (void)error;
  return LUN_OK;
}

static void add_host(lun_imports *imports, const char *name, uint32_t params, uint32_t results) {
  static const lun_type types[] = { LUN_I32 };
  lun_host_function function = { .module = "host", .name = name, .signature = { params, results, types, types },
                                 .callback = nothing };
  if (lun_imports_add_host(imports, &function, NULL) != LUN_OK) exit(1);
}

static void stacks(void) {
  lun_attachment *attachment;
  lun_error error = LUN_ERROR_INIT;
  expect("nothing is there at first", lun_store_stack_report(store).stacks == 0 && !lun_store_stack_of(store, 1));
  if (lun_store_attach(store, choose, NULL, NULL, &attachment, &error) != LUN_OK) exit(1);
  call("deep", 300);
  lun_stack_report report = lun_store_stack_report(store);
  expect("a stack per depth", given == 301 && zero == 0 && report.stacks == 301 && report.refused == 0);
  call("deep", 300);
  expect("known ones take nothing", lun_store_stack_report(store).stacks == 301 && given == 602);
  call("outer", 1);
  uint64_t leaf = last;
  expect("others do", lun_store_stack_report(store).stacks == 304);
  expect("a budget", lun_store_stack_budget(store, report.bytes, &error) == LUN_OK);
  call("deep", 3000);
  report = lun_store_stack_report(store);
  expect("no more than the budget", report.bytes <= report.budget && report.stacks < 3000 && zero > 0 && report.refused == zero);
  uint64_t before_known = zero;
  call("outer", 1);
  expect("what is there stays", zero == before_known && last == leaf);
  expect("a larger budget", lun_store_stack_budget(store, 1 << 20, &error) == LUN_OK);
  call("deep", 3000);
  expect("makes room again", zero == before_known && lun_store_stack_report(store).stacks > 3000);
  expect("each is the stack that was walked", well);
  lun_attachment_detach(attachment, 0);
}

/* ---- R22: the iterator is rewound for each event, by being taken again ---- */
typedef struct Rounds {
  uint64_t events, wrong;
} Rounds;

static void walk_twice(void *self, lun_call *now, const uint64_t *slots) {
  Rounds *rounds = self;
  (void)slots;
  for (int i = 0; i < 2; i++) {
    static const char *const names[] = { "leaf", "middle", "outer" };
    lun_stack stack = lun_call_stack(now);
    uint32_t frames = 0;
    while (lun_stack_next(&stack)) {
      if (frames < 3 && strcmp(lun_definition_name(stack.frame.definition), names[frames]) != 0) rounds->wrong++;
      frames++;
    }
    if (frames != 3 || lun_stack_next(&stack)) rounds->wrong++;
  }
  rounds->events++;
}

static lun_choice choose_leaf(void *context, const lun_definition *definition, lun_instance *instance) {
  static const lun_listener pair = { walk_twice, walk_twice, NULL };
  (void)instance;
  if (strcmp(lun_definition_name(definition), "leaf") != 0) return (lun_choice){ NULL, NULL };
  return (lun_choice){ &pair, context };
}

static void rewinding(void) {
  Rounds rounds = { 0 };
  lun_attachment *attachment;
  lun_error error = LUN_ERROR_INIT;
  if (lun_store_attach(store, choose_leaf, &rounds, NULL, &attachment, &error) != LUN_OK) exit(1);
  for (int i = 0; i < 100; i++) call("outer", 1);
  expect("R22 a pair of events a round", rounds.events == 200);
  expect("R22 the stack stands at its top for each", rounds.wrong == 0);
  lun_attachment_detach(attachment, 0);
}

/* A frame that outlives its callback is stale, wherever its record lay. */
static lun_frame kept;
static bool keeps;

static void keep(lun_call *call) {
  lun_stack stack = lun_call_stack(call);
  if (keeps && lun_stack_next(&stack)) kept = stack.frame;
  keeps = false;
}

static void keep_before(void *self, lun_call *call, const uint64_t *params) {
  (void)self, (void)params;
  keep(call);
}

static void fail_before(void *self, lun_call *call, const uint64_t *params) {
  (void)self, (void)params;
  lun_call_fail(call, "fails");
}

static void keep_report(void *context, lun_attachment *attachment, lun_call *call, void *self, const char *message) {
  (void)context, (void)attachment, (void)self, (void)message;
  keep(call);
}

static lun_choice choose_pointer(void *context, const lun_definition *definition, lun_instance *instance) {
  (void)instance;
  if (strcmp(lun_definition_name(definition), "leaf") != 0) return (lun_choice){ NULL, NULL };
  return (lun_choice){ context, NULL };
}

static void staleness(void) {
  static const lun_listener keeper = { keep_before, NULL, NULL }, failing = { fail_before, NULL, NULL };
  enum { MANY = 130 }; /* more than there are places for: the side stack moves */
  union { const lun_listener *listener; void *context; } keeping = { &keeper }, fails = { &failing };
  const lun_attach_options options = { .name = "fails", .report = keep_report };
  lun_attachment *attachments[MANY];
  lun_error error = LUN_ERROR_INIT;
  keeps = true;
  if (lun_store_attach(store, choose_pointer, keeping.context, NULL, &attachments[0], &error) != LUN_OK) exit(1);
  call("outer", 1);
  expect("R12 a frame was kept", !keeps && kept.definition != NULL);
  for (int i = 1; i < MANY; i++)
    if (lun_store_attach(store, choose_pointer, keeping.context, NULL, &attachments[i], &error) != LUN_OK) exit(1);
  expect("R12 it is stale where the side stack has moved", lun_frame_params(&kept, NULL) == NULL);
  for (int i = 0; i < MANY; i++) lun_attachment_detach(attachments[i], 0);
  keeps = true;
  if (lun_store_attach(store, choose_pointer, fails.context, &options, &attachments[0], &error) != LUN_OK) exit(1);
  call("outer", 1);
  expect("R12 a frame was kept by a report", !keeps && kept.definition != NULL);
  expect("R12 it is stale when the report is over", lun_frame_params(&kept, NULL) == NULL);
  lun_attachment_detach(attachments[0], 0);
}

int main(int argc, char **argv) {
  static char bytes[1 << 16];
  FILE *file = argc > 1 ? fopen(argv[1], "rb") : NULL;
  if (!file) return fprintf(stderr, "usage: stacks GUEST\n"), 2;
  size_t size = fread(bytes, 1, sizeof bytes, file);
  fclose(file);
  lun_error error = LUN_ERROR_INIT;
  lun_module *module;
  lun_imports *imports;
  if (lun_store_create(NULL, &store, &error) || lun_module_create(store, bytes, size, NULL, &module, &error) ||
      lun_imports_create(store, &imports, &error))
    return fprintf(stderr, "%s\n", error.message), 1;
  add_host(imports, "plain", 1, 1), add_host(imports, "again", 1, 1), add_host(imports, "fails", 0, 0);
  add_host(imports, "exits", 1, 0);
  if (lun_instance_create(store, module, imports, NULL, &guest, &error)) return fprintf(stderr, "%s\n", error.message), 1;
  stacks();
  rewinding();
  staleness();
  lun_imports_destroy(imports);
  lun_module_destroy(module);
  lun_store_destroy(store);
  printf("%d checks, %d failed\n", checks, failures);
  return failures != 0;
}
