/* SPDX-License-Identifier: MIT */
/* Callbacks that are left by a jump, as an embedder in C sees it: a guard of setjmp, listeners that leave by longjmp.
 *
 *   guards RULES.wasm     rules.wat compiled */
#include <lunette/lunette.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static lun_store *store;
static lun_instance *guest;
static char heard[1 << 14];
static int failures, checks;

static void say(const char *format, ...) {
  size_t size = strlen(heard);
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(heard + size, sizeof heard - size, format, arguments);
  va_end(arguments);
}

static void expect_text(const char *rule, const char *expected) {
  checks++;
  if (strcmp(heard, expected) != 0) {
    failures++;
    printf("not ok %s\n  expected: %s\n  heard:    %s\n", rule, expected, heard);
  }
  heard[0] = '\0';
}

static void expect(const char *rule, bool holds) {
  checks++;
  if (holds) return;
  failures++;
  printf("not ok %s\n", rule);
}

/* ---- the guard ---- */
static jmp_buf *innermost;
static int runs, refused_from = -1; /* from which entry on the guard has no room */

static lun_guarded guard(void *self, void (*run)(void *argument), void *argument) {
  jmp_buf here, *outer = innermost;
  (void)self;
  if (refused_from >= 0 && runs >= refused_from) return LUN_GUARDED_NOT_ENTERED;
  runs++;
  innermost = &here;
  if (setjmp(here) == 0) {
    run(argument);
    innermost = outer;
    return LUN_GUARDED_RETURNED;
  }
  innermost = outer;
  return LUN_GUARDED_JUMPED;
}

/* ---- listeners ---- */
typedef struct Jumper {
  const char *before, *after;  /* functions in whose event it jumps; NULL: in none */
  bool fails;
  void (*first)(lun_call *call);
} Jumper;

static const char *name_of(const lun_call *call) { return lun_definition_name(lun_call_definition(call)); }

static void leave(const Jumper *jumper, lun_call *call, const char *where) {
  if (!where || (strcmp(where, "*") != 0 && strcmp(where, name_of(call)) != 0)) return;
  if (jumper->first) jumper->first(call);
  if (!lun_call_can_jump(call)) {
    say("(no jump) ");
    return;
  }
  say("(jump) ");
  if (jumper->fails) lun_call_fail(call, "jumped");
  longjmp(*innermost, 1);
}

static void before(void *self, lun_call *call, const uint64_t *params) {
  (void)params;
  say("<%s ", name_of(call));
  leave(self, call, ((Jumper *)self)->before);
}

static void after(void *self, lun_call *call, const uint64_t *results) {
  say("%s%s> ", name_of(call), results ? "" : " into a tail call");
  leave(self, call, ((Jumper *)self)->after);
}

static void aborted(void *self, lun_call *call, const lun_error *error) {
  (void)self, (void)error;
  say("%s%s! ", name_of(call), lun_call_can_jump(call) ? " could jump" : "");
}

static const lun_listener listener = { before, after, aborted };

static lun_choice choose(void *context, const lun_definition *definition, lun_instance *instance) {
  (void)definition, (void)instance;
  return (lun_choice){ &listener, context };
}

static void reported(void *context, lun_attachment *attachment, lun_call *call, void *self, const char *message) {
  (void)context, (void)attachment, (void)self;
  say("[%s%s] ", message, lun_call_can_jump(call) ? ", could jump" : "");
}

static lun_attachment *attach(Jumper *jumper, lun_attach_options options) {
  lun_attachment *attachment;
  lun_error error = LUN_ERROR_INIT;
  options.report = reported;
  if (lun_store_attach(store, choose, jumper, &options, &attachment, &error) == LUN_OK) return attachment;
  printf("%s\n", error.message);
  exit(1);
}

static void call(const char *name, uint64_t param) {
  lun_error error = LUN_ERROR_INIT;
  uint64_t result = 0;
  lun_status status = lun_function_invoke(lun_instance_function(guest, name), &param, &result, &error);
  if (status == LUN_OK) say("= %llu", (unsigned long long)result);
  else say("= %s", lun_status_name(status));
  lun_error_clear(&error);
}

static void try(const char *rule, Jumper jumper, lun_attach_options options, const char *name, uint64_t param,
                const char *expected) {
  lun_attachment *attachment = attach(&jumper, options);
  call(name, param);
  lun_attachment_detach(attachment, 0);
  expect_text(rule, expected);
}

/* ---- what is to be seen ---- */
static void every_event(lun_attach_options options) {
  try("R9 a jump out of before goes on behind it", (Jumper){ .before = "middle" }, options, "outer", 5,
      "<outer <middle (jump) <leaf leaf> middle> outer> = 21");
  try("R9 a jump out of after goes on behind it", (Jumper){ .after = "middle" }, options, "outer", 5,
      "<outer <middle <leaf leaf> middle> (jump) outer> = 21");
  try("R9 out of each event of each call", (Jumper){ .before = "*", .after = "*" }, options, "outer", 5,
      "<outer (jump) <middle (jump) <leaf (jump) leaf> (jump) middle> (jump) outer> (jump) = 21");
  try("R9 a before that fails so counts as not delivered", (Jumper){ .before = "middle", .fails = true }, options, "outer", 5,
      "<outer <middle (jump) [jumped] outer> = 21");
  try("R9 an after that fails so is over", (Jumper){ .after = "leaf", .fails = true }, options, "outer", 5,
      "<outer <middle <leaf leaf> (jump) [jumped] middle> outer> = 21");
  try("R16 host functions", (Jumper){ .before = "*", .after = "*" }, options, "host", 1,
      "<host (jump) <leaf (jump) leaf> (jump) <plain (jump) plain> (jump) host> (jump) = 6");
  options.on_error = LUN_ON_ERROR_STOP;
  try("R9 on_error stop ends the run behind a before", (Jumper){ .before = "middle", .fails = true }, options, "outer", 5,
      "<outer <middle (jump) [jumped] outer! = listener");
  try("R9 and behind an after", (Jumper){ .after = "middle", .fails = true }, options, "outer", 5,
      "<outer <middle <leaf leaf> middle> (jump) [jumped] outer! = listener");
}

static void stop(lun_call *of) { lun_store_stop(lun_call_store(of), 3); }

static void reenter(lun_call *of) {
  uint64_t value = 0;
  (void)of;
  lun_error error = LUN_ERROR_INIT;
  say("{");
  lun_status status = lun_function_invoke(lun_instance_function(guest, "leaf"), &value, &value, &error);
  say("%s} ", lun_status_name(status));
  lun_error_clear(&error);
}

static void unset_guard(lun_call *of) { lun_store_set_guard(lun_call_store(of), NULL, NULL); }

static lun_attachment *own;
static void detach(lun_call *of) {
  (void)of;
  if (own) lun_attachment_detach(own, 0);
  own = NULL;
}

static void in_company(void) {
  Jumper quiet = { 0 };
  lun_attachment *other = attach(&quiet, (lun_attach_options){ 0 });
  try("R6 two attachments: neither can jump", (Jumper){ .before = "leaf", .after = "leaf" }, (lun_attach_options){ 0 }, "leaf", 1,
      "<leaf <leaf (no jump) leaf> (no jump) leaf> = 2");
  lun_attachment_detach(other, 0);
  try("R18 the after of a tail call can't jump", (Jumper){ .after = "*" }, (lun_attach_options){ 0 }, "tail_host", 2,
      "<tail_host tail_host into a tail call> (no jump) <plain plain> (jump) = 6");
  try("R4 nor can an abort", (Jumper){ .before = "*" }, (lun_attach_options){ 0 }, "trap", 0, "<trap (jump) trap! = trap");
  try("R5 a stop and a jump", (Jumper){ .before = "middle", .first = stop }, (lun_attach_options){ 0 }, "outer", 5,
      "<outer <middle (jump) middle! outer! = exit");
  try("R17 a run inside has a guard of its own", (Jumper){ .before = "*", .first = reenter },
      (lun_attach_options){ 0 }, "outer", 5, "<outer {ok} (jump) <middle {ok} (jump) <leaf {ok} (jump) leaf> middle> outer> = 21");
  try("R17 and its callbacks jump to that", (Jumper){ .after = "*" }, (lun_attach_options){ .reentrant = true }, "reenter", 4,
      "<reenter <again <leaf leaf> (jump) again> (jump) reenter> (jump) = 5");
  Jumper gone = { .before = "middle", .first = detach };
  own = attach(&gone, (lun_attach_options){ 0 });
  call("outer", 5);
  expect_text("R7 detached, and left by a jump", "<outer <middle (jump) middle> outer> = 21");
}

static void unset(void) {
  try("a run keeps the guard that it began in", (Jumper){ .before = "*", .after = "leaf", .first = unset_guard },
      (lun_attach_options){ 0 }, "outer", 5, "<outer (jump) <middle (jump) <leaf (jump) leaf> (jump) middle> outer> = 21");
  try("and the next has none", (Jumper){ .before = "*" }, (lun_attach_options){ 0 }, "leaf", 1, "<leaf (no jump) leaf> = 2");
  lun_store_set_guard(store, guard, NULL);
}

static void without_room(void) {
  refused_from = runs;
  try("where the guard has no room none can jump", (Jumper){ .before = "*" }, (lun_attach_options){ 0 }, "leaf", 1,
      "<leaf (no jump) leaf> = 2");
  refused_from = runs + 1;
  try("nor does the run go on behind a before", (Jumper){ .before = "middle" }, (lun_attach_options){ 0 }, "outer", 5,
      "<outer <middle (jump) middle! outer! = memory");
  refused_from = runs + 1;
  try("or behind an after", (Jumper){ .after = "middle" }, (lun_attach_options){ 0 }, "outer", 5,
      "<outer <middle <leaf leaf> middle> (jump) outer! = memory");
  refused_from = -1;
}

/* What a call took is its own, and its caller's, whichever way its callbacks were left. */
static uint64_t elapsed[3], own_time[3];
static int ends;
static void note_times(lun_call *of) {
  if (ends == 3 || !lun_call_elapsed(of, &elapsed[ends])) return;
  if (lun_call_self_time(of, &own_time[ends])) ends++;
}

static void with_times(void) {
  try("R21 times", (Jumper){ .after = "*", .first = note_times }, (lun_attach_options){ .time = true }, "outer", 5,
      "<outer <middle <leaf leaf> (jump) middle> (jump) outer> (jump) = 21");
  expect("R21 each end has them", ends == 3);
  expect("R21 a call takes what it and its callees take",
         own_time[0] == elapsed[0] && own_time[1] + elapsed[0] == elapsed[1] && own_time[2] + elapsed[1] == elapsed[2]);
}

static void deep(void) {
  Jumper jumper = { .before = "deep", .after = "deep" };
  lun_attachment *attachment = attach(&jumper, (lun_attach_options){ 0 });
  uint64_t value = 3000;
  lun_error error = LUN_ERROR_INIT;
  bool well = lun_function_invoke(lun_instance_function(guest, "deep"), &value, &value, &error) == LUN_OK;
  heard[0] = '\0';
  expect("R1 at 3,000 frames", well && value == 3000);
  lun_attachment_detach(attachment, 0);
}

static lun_status plain(void *self, lun_call *of, const uint64_t *params, uint64_t *results, lun_error *error) {
  (void)self, (void)of, (void)error;
  results[0] = params[0] * 3;
  return LUN_OK;
}

static lun_status again(void *self, lun_call *of, const uint64_t *params, uint64_t *results, lun_error *error) {
  (void)self;
  return lun_function_invoke(lun_instance_function(lun_call_instance(of), "leaf"), params, results, error);
}

static lun_status nothing(void *self, lun_call *of, const uint64_t *params, uint64_t *results, lun_error *error) {
  (void)self, (void)of, (void)params, (void)results, (void)error;
  return LUN_OK;
}

static void load(const char *path) {
  static uint8_t bytes[1 << 16];
  static const lun_type i32[] = { LUN_I32 };
  const lun_signature unary = { 1, 1, i32, i32 }, none = { 0, 0, NULL, NULL }, exits = { 1, 0, i32, NULL };
  lun_host_function functions[] = {
    { .module = "host", .name = "plain", .signature = unary, .callback = plain },
    { .module = "host", .name = "again", .signature = unary, .callback = again },
    { .module = "host", .name = "fails", .signature = none, .callback = nothing },
    { .module = "host", .name = "exits", .signature = exits, .callback = nothing },
  };
  lun_error error = LUN_ERROR_INIT;
  lun_imports *imports;
  lun_module *module;
  FILE *file = fopen(path, "rb");
  size_t size = file ? fread(bytes, 1, sizeof bytes, file) : 0;
  if (file) fclose(file);
  bool well = lun_store_create(NULL, &store, &error) == LUN_OK && lun_imports_create(store, &imports, &error) == LUN_OK;
  for (size_t i = 0; well && i < sizeof functions / sizeof *functions; i++)
    well = lun_imports_add_host(imports, &functions[i], &error) == LUN_OK;
  well = well && lun_module_create(store, bytes, size, NULL, &module, &error) == LUN_OK &&
         lun_instance_create(store, module, imports, NULL, &guest, &error) == LUN_OK;
  if (!well) {
    printf("%s\n", error.message);
    exit(1);
  }
  lun_imports_destroy(imports);
  lun_module_destroy(module);
}

int main(int argc, char **argv) {
  if (argc != 2) return 2;
  load(argv[1]);
  lun_store_set_guard(store, guard, NULL);
  every_event((lun_attach_options){ 0 });
  every_event((lun_attach_options){ .time = true, .params = true });
  in_company();
  unset();
  without_room();
  with_times();
  deep();
  lun_store_destroy(store);
  printf("%d checks, %d failed\n", checks, failures);
  return failures != 0;
}
