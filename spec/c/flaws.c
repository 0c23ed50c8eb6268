/* SPDX-License-Identifier: MIT */
/* Flaws of the listener that was this one's model, where a C listener would meet them: values in slots, the stack in memory,
 * callbacks that call the guest. The others stand in spec/trace/flaws_spec.lua.
 *
 *   flaws GUEST     the module that rules.wat describes */
#define _GNU_SOURCE
#include <lunette/lunette.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static lun_store *store;
static lun_instance *guest;
static int failures, checks;

static void expect(const char *flaw, bool holds) {
  checks++;
  if (holds) return;
  failures++;
  printf("not ok %s\n", flaw);
}

static lun_status call(const char *name, uint64_t param, uint64_t *results) {
  lun_error error = LUN_ERROR_INIT;
  uint64_t slots[2] = { param };
  lun_status status = lun_function_invoke(lun_instance_function(guest, name), slots, slots, &error);
  lun_error_clear(&error);
  if (results) memcpy(results, slots, sizeof slots);
  return status;
}

static bool is_named(const lun_definition *definition, const char *name) {
  return strcmp(lun_definition_name(definition), name) == 0;
}

/* ---- listening to some functions ---- */
typedef struct Some {
  const char *name; /* NULL: all */
  lun_listener listener;
  void *self;
} Some;

static lun_choice choose(void *context, const lun_definition *definition, lun_instance *instance) {
  Some *some = context;
  (void)instance;
  if (some->name && !is_named(definition, some->name)) return (lun_choice){ NULL, NULL };
  return (lun_choice){ &some->listener, some->self };
}

static lun_attachment *attach(Some *some) {
  lun_error error = LUN_ERROR_INIT;
  lun_attachment *attachment;
  if (lun_store_attach(store, choose, some, NULL, &attachment, &error) == LUN_OK) return attachment;
  printf("cannot attach: %s\n", error.message);
  exit(1);
}

/* ---- F1, F2, F12, F13: whose frames a listener sees ---- */
typedef struct Seen {
  char frames[256];
  uint32_t count;
  bool placed;     /* each guest frame's offset lies in the frame's own function */
} Seen;

static void look(void *self, lun_call *now, const uint64_t *params) {
  Seen *seen = self;
  size_t size = 0;
  (void)params;
  *seen = (Seen){ .placed = true };
  for (lun_stack stack = lun_call_stack(now); lun_stack_next(&stack); seen->count++) {
    const lun_frame *frame = &stack.frame;
    uint64_t start = lun_definition_offset(frame->definition);
    if (!frame->is_host)
      seen->placed = seen->placed && frame->offset >= start && frame->offset < start + lun_definition_size(frame->definition);
    int written = snprintf(seen->frames + size, sizeof seen->frames - size, "%s ", lun_definition_name(frame->definition));
    if (written > 0 && size + (size_t)written < sizeof seen->frames) size += (size_t)written;
  }
}

static void call_and_look(void *self, lun_call *now, const uint64_t *params) {
  (void)call("deep", 3, NULL);
  look(self, now, params);
}

static void frames(void) {
  Seen one, two;
  Some first = { "leaf", { call_and_look, NULL, NULL }, &one }, second = { "leaf", { look, NULL, NULL }, &two };
  lun_attachment *attachments[] = { attach(&first), attach(&second) };
  expect("F13 a callback may call the guest", call("outer", 1, NULL) == LUN_OK);
  expect("F1 F13 the first listener sees each frame's own function", strcmp(one.frames, "leaf middle outer ") == 0);
  expect("F1 F13 so does the second, whatever the first has called", strcmp(two.frames, "leaf middle outer ") == 0);
  expect("F12 offsets lie in the function of their frame", one.placed && two.placed);
  expect("F23 a re-entry", call("reenter", 6, NULL) == LUN_OK);
  expect("F23 does not cut the stack", strcmp(two.frames, "leaf again reenter ") == 0);
  lun_attachment_detach(attachments[0], 0), lun_attachment_detach(attachments[1], 0);
}

/* ---- F2, F3, F7: events at any depth, and after failures ---- */
typedef struct Events {
  uint64_t befores, afters, aborts, deepest;
  const char *fails_in; /* "before", … */
  lun_status kind;
} Events;

static void fail_in(Events *events, lun_call *now, const char *where) {
  if (events->fails_in && strcmp(events->fails_in, where) == 0) lun_call_fail(now, "no good");
}

static void on_before(void *self, lun_call *now, const uint64_t *params) {
  Events *events = self;
  uint64_t depth = lun_call_depth(now);
  (void)params;
  events->befores++;
  if (depth > events->deepest) events->deepest = depth;
  fail_in(events, now, "before");
}

static void on_after(void *self, lun_call *now, const uint64_t *results) {
  Events *events = self;
  (void)results;
  events->afters++;
  fail_in(events, now, "after");
}

static void on_abort(void *self, lun_call *now, const lun_error *error) {
  Events *events = self;
  events->aborts++;
  events->kind = error->kind;
  fail_in(events, now, "abort");
}

static Events events_of(const char *name, uint64_t param, const char *fails_in, lun_status expected) {
  Events events = { .fails_in = fails_in };
  Some some = { NULL, { on_before, on_after, on_abort }, &events };
  lun_attachment *attachment = attach(&some);
  expect("the call ends as it would with no listener", call(name, param, NULL) == expected);
  lun_attachment_detach(attachment, 0);
  return events;
}

static void events_everywhere(void) {
  static const uint64_t depths[] = { 29, 30, 31, 100, 10000 };
  for (size_t i = 0; i < sizeof depths / sizeof *depths; i++) {
    Events events = events_of("deep_trap", depths[i], NULL, LUN_TRAP);
    expect("F2 abort reaches every frame", events.befores == depths[i] + 1 && events.aborts == depths[i] + 1 && !events.afters);
  }
  Events events = events_of("forever", 0, NULL, LUN_EXHAUSTED);
  expect("F3 a stack overflow aborts every call that had a before", events.befores > 100 && events.aborts == events.befores);
  expect("F16 and says so", events.kind == LUN_EXHAUSTED);
  events = events_of("tail_entry", 100, NULL, LUN_OK);
  expect("F4 tail calls pair", events.befores == 202 && events.afters == 202 && events.aborts == 0);
  events = events_of("trap", 0, "before", LUN_TRAP);
  expect("F7 a before that failed has no abort", events.befores == 1 && events.aborts == 0 && events.afters == 0);
  events = events_of("leaf", 0, "after", LUN_OK);
  expect("F7 an after that failed has no abort", events.befores == 1 && events.aborts == 0 && events.afters == 1);
  events = events_of("trap", 0, "abort", LUN_TRAP);
  expect("F7 an abort that failed leaves the guest's failure", events.aborts == 1 && events.kind == LUN_TRAP);
}

/* ---- F9, F10: values ---- */
static void check_halves(void *self, lun_call *now, const uint64_t *slots) {
  uint64_t *wrong = self;
  (void)now;
  if (slots[0] >> 32) ++*wrong;
}

static void halves(void) {
  uint64_t wrong = 0, results[2] = { 5, UINT64_MAX };
  lun_error error = LUN_ERROR_INIT;
  Some some = { "leaf", { check_halves, check_halves, NULL }, &wrong };
  lun_attachment *attachment = attach(&some);
  expect("F9 what runs over is cut", call("outer", UINT32_MAX, results) == LUN_OK && results[0] == 9);
  expect("F9 i32 in params and results has no upper half", wrong == 0);
  lun_attachment_detach(attachment, 0);
  results[0] = 5, results[1] = UINT64_MAX;
  lun_function *swap = lun_instance_function(guest, "swap");
  expect("F9 nor where an i64 has stood", lun_function_invoke(swap, results, results, &error) == LUN_OK && results[1] == 5);
}

static void check_counts(void *self, lun_call *now, const uint64_t *slots) {
  const lun_signature *signature = lun_definition_signature(lun_call_definition(now));
  bool *well = self;
  *well = signature->param_count == 1 && signature->result_count == 1 && slots != NULL;
}

static void counts(void) {
  bool well = false;
  Some some = { "plain", { check_counts, NULL, NULL }, &well };
  lun_attachment *attachment = attach(&some);
  expect("F10 a host function has the params and results of its signature", call("host", 1, NULL) == LUN_OK && well);
  lun_attachment_detach(attachment, 0);
}

/* ---- F14, F18: what is kept ---- */
typedef struct Kept {
  lun_frame frame;
  lun_snapshot *snapshot;
} Kept;

static void keep(void *self, lun_call *now, const uint64_t *params) {
  Kept *kept = self;
  lun_stack stack = lun_call_stack(now);
  (void)params;
  if (kept->snapshot) return;
  kept->snapshot = lun_call_snapshot(now);
  if (lun_stack_next(&stack)) kept->frame = stack.frame;
}

static void keeping(lun_module *module, lun_imports *imports) {
  lun_error error = LUN_ERROR_INIT;
  lun_instance *former = guest;
  Kept kept = { .snapshot = NULL };
  Some some = { "leaf", { keep, NULL, NULL }, &kept };
  lun_attachment *attachment = attach(&some);
  expect("F18 an instance to be closed", lun_instance_create(store, module, imports, NULL, &guest, &error) == LUN_OK);
  expect("F14 a call", call("outer", 1, NULL) == LUN_OK && call("outer", 2, NULL) == LUN_OK);
  lun_attachment_detach(attachment, 0);
  lun_instance_close(guest);
  guest = former;
  expect("F14 a kept frame is stale", lun_frame_params(&kept.frame, NULL) == NULL);
  expect("F14 F18 a snapshot outlives its callback and its instance", kept.snapshot && lun_snapshot_count(kept.snapshot) == 3 &&
         is_named(lun_snapshot_frame(kept.snapshot, 2)->definition, "outer"));
  lun_snapshot_destroy(kept.snapshot);
}

/* ---- F19: nobody walks unless asked. The outer frames are taken out of reach while a listener hears calls. ---- */
enum { FAR = 4000 };
typedef struct Guarded {
  uintptr_t outermost;  /* where its param stands */
  uint64_t heard;
} Guarded;
static Guarded guarded;

static void note_heard(void *self, lun_call *now, const uint64_t *slots) {
  Guarded *mine = self;
  (void)now, (void)slots;
  mine->heard++;
}

static void guard_frames(void *self, lun_call *now, const uint64_t *params) {
  Guarded *mine = self;
  (void)now;
  uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
  if (!mine->outermost) mine->outermost = (uintptr_t)params;
  if (params[0] != 0) return;
  uintptr_t from = (mine->outermost + page) / page * page, to = ((uintptr_t)params - page) / page * page;
  union { uintptr_t address; void *pointer; } start = { .address = from };
  expect("F19 there are frames to take away", to > from + page && mprotect(start.pointer, to - from, PROT_NONE) == 0);
  for (int i = 0; i < 10; i++) expect("F19 calls are heard without them", call("outer", 1, NULL) == LUN_OK);
  expect("F19 they come back", mprotect(start.pointer, to - from, PROT_READ | PROT_WRITE) == 0);
}

static void unwalked(void) {
  Some deep = { "deep", { guard_frames, NULL, NULL }, &guarded }, leaf = { "leaf", { note_heard, note_heard, NULL }, &guarded };
  lun_attachment *attachments[] = { attach(&deep), attach(&leaf) };
  uint64_t results[2];
  expect("F19 nothing but the calls' own frames is read", call("deep", FAR, results) == LUN_OK && results[0] == FAR);
  expect("F19 by two events of each call", guarded.heard == 20);
  lun_attachment_detach(attachments[0], 0), lun_attachment_detach(attachments[1], 0);
}

/* ---- the host ---- */
static lun_status triple(void *self, lun_call *now, const uint64_t *params, uint64_t *results, lun_error *error) {
  (void)self, (void)now, (void)error;
  results[0] = params[0] * 3;
  return LUN_OK;
}

static lun_status again(void *self, lun_call *now, const uint64_t *params, uint64_t *results, lun_error *error) {
  (void)self, (void)now;
  uint64_t slot = params[0];
  lun_status status = lun_function_invoke(lun_instance_function(guest, "leaf"), &slot, &slot, error);
  results[0] = slot;
  return status;
}

static lun_status nothing(void *self, lun_call *now, const uint64_t *params, uint64_t *results, lun_error *error) {
  (void)self, (void)now, (void)params, (void)results, (void)error;
  return LUN_OK;
}

static bool add(lun_imports *imports, const char *name, uint32_t params, uint32_t results, lun_host_callback callback) {
  static const lun_type types[] = { LUN_I32 };
  lun_error error = LUN_ERROR_INIT;
  lun_host_function function = {
    .module = "host", .name = name, .signature = { params, results, types, types }, .callback = callback,
  };
  return lun_imports_add_host(imports, &function, &error) == LUN_OK;
}

int main(int argc, char **argv) {
  static char bytes[1 << 16];
  FILE *file = argc > 1 ? fopen(argv[1], "rb") : NULL;
  if (!file) return fprintf(stderr, "usage: flaws GUEST\n"), 2;
  size_t size = fread(bytes, 1, sizeof bytes, file);
  fclose(file);
  lun_error error = LUN_ERROR_INIT;
  lun_module *module;
  lun_imports *imports;
  if (lun_store_create(NULL, &store, &error) || lun_module_create(store, bytes, size, NULL, &module, &error) ||
      lun_imports_create(store, &imports, &error) ||
      !add(imports, "plain", 1, 1, triple) || !add(imports, "again", 1, 1, again) ||
      !add(imports, "fails", 0, 0, nothing) || !add(imports, "exits", 1, 0, nothing) ||
      lun_instance_create(store, module, imports, NULL, &guest, &error))
    return fprintf(stderr, "%s\n", error.message), 1;
  frames();
  events_everywhere();
  halves();
  counts();
  keeping(module, imports);
  unwalked();
  lun_imports_destroy(imports);
  lun_module_destroy(module);
  lun_store_destroy(store);
  printf("%d checks, %d failed\n", checks, failures);
  return failures != 0;
}
