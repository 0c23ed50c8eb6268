/* SPDX-License-Identifier: MIT */
/* Intercepting calls at the door (R11): values replaced, calls answered, proceeding and its failures, who is refused; which
 * params of a frame are exact; and changes that are watched for. */
#include <lunette/lunette.h>
#include <stdio.h>
#include <string.h>

static lun_store *store;
static lun_instance *guest;
static char heard[4096];
static int failures, checks, released, reported;

static void expect(const char *what, bool holds) {
  checks++;
  if (holds) return;
  failures++;
  printf("not ok %s\n", what);
}

static void expect_heard(const char *what, const char *text) {
  expect(what, strcmp(heard, text) == 0);
  if (strcmp(heard, text) != 0) printf("  heard:\n%s", heard);
  heard[0] = '\0';
}

static void note(const char *event, const lun_call *call, uint64_t value) {
  size_t size = strlen(heard);
  const char *name = lun_definition_name(lun_call_definition(call));
  snprintf(heard + size, sizeof heard - size, "%s %s %d, %u\n", event, name, (int)value, lun_call_intercepted(call));
}

/* ---- a listener of all ---- */
static void before(void *self, lun_call *call, const uint64_t *params) { (void)self, note("before", call, params[0]); }
static void after(void *self, lun_call *call, const uint64_t *results) { (void)self, note("after", call, results[0]); }
static void aborted(void *self, lun_call *call, const lun_error *error) {
  (void)self;
  note(error->kind == LUN_TRAP ? "trap" : error->kind == LUN_HOST ? "host error" : "abort", call, 0);
}
static const lun_listener listener = { before, after, aborted };
static lun_choice choose(void *context, const lun_definition *definition, lun_instance *instance) {
  (void)context, (void)definition, (void)instance;
  return (lun_choice){ &listener, NULL };
}

/* ---- interceptors: what each does is said by the number it is given as its self ---- */
enum { ANSWERS, PROCEEDS, TWICE, SWALLOWS, BREAKS, FAILS, FAILS_LATE, GARBAGE };

static lun_status stand_in(void *self, lun_call *call, const uint64_t *params, uint64_t *results, lun_error *error) {
  uint64_t other[2] = { params[0] + 1, 0 }, got[1] = { 0 };
  lun_error own = LUN_ERROR_INIT;
  lun_status status = LUN_OK;
  expect("results begin as zero", results[0] == 0);
  expect("the params can be asked for", lun_call_params(call)[0] == params[0]);
  switch (*(const int *)self) {
  case ANSWERS: results[0] = 100; break;
  case PROCEEDS:
    status = lun_call_proceed(call, other, got, error);
    expect("its params stay as they are", params[0] + 1 == other[0]);
    results[0] = got[0] + 1000;
    break;
  case TWICE:
    status = lun_call_proceed(call, NULL, results, error);
    expect("R11 a call proceeds once", lun_call_proceed(call, NULL, got, &own) == LUN_USAGE);
    expect("and says so", strstr(own.message, "has proceeded already") != NULL);
    break;
  case SWALLOWS:
    expect("R11 proceeding fails as the callee does", lun_call_proceed(call, NULL, got, &own) == LUN_TRAP);
    expect("with its stack", own.stack && lun_snapshot_count(own.stack) == 2);
    results[0] = 7;
    break;
  case BREAKS: status = lun_error_set(error, LUN_HOST, "on purpose"); break;
  case FAILS: lun_call_fail(call, "cannot"); break;
  case FAILS_LATE:
    status = lun_call_proceed(call, other, results, error);
    results[0] = 5;
    lun_call_fail(call, "cannot");
    break;
  default: results[0] = UINT64_C(0xdeadbeef00000003); break;
  }
  lun_error_clear(&own);
  return status;
}

static void more_params(void *self, lun_call *call, uint64_t *params) {
  (void)self, (void)call;
  params[0] += 10;
}
static void more_results(void *self, lun_call *call, uint64_t *results) {
  (void)self;
  lun_error error = LUN_ERROR_INIT;
  expect("R11 only who stands in place can proceed", lun_call_proceed(call, NULL, results, &error) == LUN_USAGE);
  lun_error_clear(&error);
  results[0] += 20;
}

static const lun_interceptor whole = { stand_in, NULL, NULL }, values = { NULL, more_params, more_results };
typedef struct Wanted {
  const char *name;
  const lun_interceptor *interceptor;
  int what;
} Wanted;

static lun_intercept_choice wanted(void *context, const lun_definition *definition, lun_instance *instance) {
  Wanted *want = context;
  (void)instance;
  bool is_it = strcmp(lun_definition_name(definition), want->name) == 0;
  return (lun_intercept_choice){ is_it ? want->interceptor : NULL, &want->what };
}
static void release(void *context) { (void)context, released++; }
static void report(void *context, lun_attachment *attachment, lun_call *call, void *self, const char *message) {
  (void)context, (void)attachment, (void)call, (void)self;
  reported += strcmp(message, "cannot") == 0;
}

/* ---- the guest ---- */
static lun_status twice(void *self, lun_call *call, const uint64_t *params, uint64_t *results, lun_error *error) {
  (void)self, (void)call, (void)error;
  results[0] = (uint32_t)(params[0] * 2);
  return LUN_OK;
}

static bool load(const char *path) {
  static uint8_t bytes[4096];
  static const lun_type number = LUN_I32;
  FILE *file = fopen(path, "rb");
  size_t size = file ? fread(bytes, 1, sizeof bytes, file) : 0;
  if (file) fclose(file);
  lun_module *module = NULL;
  lun_imports *imports = NULL;
  const lun_host_function function = {
    .module = "host", .name = "twice", .signature = { 1, 1, &number, &number }, .callback = twice,
  };
  lun_error error = LUN_ERROR_INIT;
  bool fine = lun_store_create(NULL, &store, &error) == LUN_OK &&
              lun_module_create(store, bytes, size, NULL, &module, &error) == LUN_OK &&
              lun_imports_create(store, &imports, &error) == LUN_OK &&
              lun_imports_add_host(imports, &function, &error) == LUN_OK &&
              lun_instance_create(store, module, imports, NULL, &guest, &error) == LUN_OK;
  if (!fine) printf("cannot load: %s\n", error.message);
  lun_imports_destroy(imports);
  lun_module_destroy(module);
  lun_error_clear(&error);
  return fine;
}

static lun_status call(const char *name, uint64_t param, uint64_t *result) {
  lun_error error = LUN_ERROR_INIT;
  lun_status status = lun_function_invoke(lun_instance_function(guest, name), &param, result, &error);
  lun_error_clear(&error);
  return status;
}

static lun_attachment *intercept(Wanted *want) {
  const lun_attach_options options = { .report = report, .release = release };
  lun_error error = LUN_ERROR_INIT;
  lun_attachment *attachment = NULL;
  expect("intercepting", lun_store_intercept(store, wanted, want, &options, &attachment, &error) == LUN_OK);
  return attachment;
}

/* ---- the cases ---- */
static void through(const char *what, const char *name, Wanted want, lun_status status, uint64_t result, const char *events) {
  uint64_t got = 0;
  lun_attachment *attachment = intercept(&want);
  expect(what, call(name, 3, &got) == status && got == result);
  expect_heard(what, events);
  lun_attachment_detach(attachment, 0);
}

static void replaced(void) {
  through("R11 params and results are replaced, and listeners see that", "outer", (Wanted){ "double", &values, 0 }, LUN_OK, 47,
          "before outer 3, 0\nbefore double 13, 3\nafter double 46, 7\nafter outer 47, 0\n");
  through("R11 a call is answered without its callee", "outer", (Wanted){ "double", &whole, ANSWERS }, LUN_OK, 101,
          "before outer 3, 0\nbefore double 3, 9\nafter double 100, 9\nafter outer 101, 0\n");
  through("R11 it proceeds with other params", "outer", (Wanted){ "double", &whole, PROCEEDS }, LUN_OK, 1009,
          "before outer 3, 0\nbefore double 4, 3\nafter double 1008, 7\nafter outer 1009, 0\n");
  through("R11 host functions are intercepted, too", "host", (Wanted){ "twice", &whole, PROCEEDS }, LUN_OK, 1008,
          "before host 3, 0\nbefore twice 4, 3\nafter twice 1008, 7\nafter host 1008, 0\n");
  through("R11 an entry from the host, too", "double", (Wanted){ "double", &whole, TWICE }, LUN_OK, 6,
          "before double 3, 1\nafter double 6, 1\n");
  through("R10 upper halves of i32 are zero", "outer", (Wanted){ "double", &whole, GARBAGE }, LUN_OK, 4,
          "before outer 3, 0\nbefore double 3, 9\nafter double 3, 9\nafter outer 4, 0\n");
}

static void failing(void) {
  through("R11 a callee's failure is swallowed", "around", (Wanted){ "breaks", &whole, SWALLOWS }, LUN_OK, 7,
          "before around 3, 0\nbefore breaks 3, 1\nafter breaks 7, 5\nafter around 7, 0\n");
  through("R11 a call is made to fail", "outer", (Wanted){ "double", &whole, BREAKS }, LUN_HOST, 0,
          "before outer 3, 0\nbefore double 3, 9\nhost error double 0, 9\nhost error outer 0, 0\n");
  through("R11 a callee's failure goes on", "around", (Wanted){ "breaks", &whole, TWICE }, LUN_TRAP, 0,
          "before around 3, 0\nbefore breaks 3, 1\ntrap breaks 0, 1\ntrap around 0, 0\n");
  through("R9 an interceptor that fails has not spoken", "outer", (Wanted){ "double", &whole, FAILS }, LUN_OK, 7,
          "before outer 3, 0\nbefore double 3, 1\nafter double 6, 1\nafter outer 7, 0\n");
  through("R9 nor one that fails when its call has proceeded", "outer", (Wanted){ "double", &whole, FAILS_LATE }, LUN_OK, 9,
          "before outer 3, 0\nbefore double 4, 3\nafter double 8, 3\nafter outer 9, 0\n");
  expect("R9 both were told", reported == 2);
  expect("R7 what was detached is released", released == 11);
}

static void refused(void) {
  lun_condition late = { .min_time_ns = 1 };
  const lun_attach_options options = { .condition = &late };
  lun_attachment *attachment = NULL;
  lun_error error = LUN_ERROR_INIT;
  Wanted want = { "double", &whole, 0 };
  expect("R11 nobody knows before a call what it will take",
         lun_store_intercept(store, wanted, &want, &options, &attachment, &error) == LUN_USAGE && !attachment);
  lun_error_clear(&error);
}

/* ---- which params are exact ---- */
static void look(void *self, lun_call *call_, const uint64_t *params) {
  (void)self, (void)params;
  lun_stack stack = lun_call_stack(call_);
  bool all = true;
  expect("R11 what is called has its own", lun_stack_next(&stack) && lun_frame_exact(&stack.frame, 0));
  const uint64_t *found = lun_stack_next(&stack) ? lun_frame_params(&stack.frame, &all) : NULL;
  expect("R11 a frame that writes one is not exact as a whole", found && found[0] == 3 && found[1] == 9 && !all);
  expect("R11 but each of its params is told apart", lun_frame_exact(&stack.frame, 0) && !lun_frame_exact(&stack.frame, 1));
}
static const lun_listener looker = { look, NULL, NULL };
static lun_choice choose_double(void *context, const lun_definition *definition, lun_instance *instance) {
  (void)context, (void)instance;
  bool is_it = strcmp(lun_definition_name(definition), "double") == 0;
  return (lun_choice){ is_it ? &looker : NULL, NULL };
}

static void exact(void) {
  lun_attachment *attachment = NULL;
  lun_error error = LUN_ERROR_INIT;
  uint64_t got = 0;
  int before_it = checks;
  expect("attaching", lun_store_attach(store, choose_double, NULL, NULL, &attachment, &error) == LUN_OK);
  expect("a call", call("writes", 3, &got) == LUN_OK && got == 6 && checks == before_it + 4);
  lun_attachment_detach(attachment, 0);
}

/* ---- changes ---- */
static void changed(void *self, lun_call *call_, const void *old, const void *now) {
  (void)self;
  note("changed", call_, *(const uint64_t *)old * 1000 + *(const uint64_t *)now);
}
static bool all_but_outer(void *self, const lun_definition *definition, lun_instance *instance) {
  (void)self, (void)instance;
  return strcmp(lun_definition_name(definition), "outer") != 0;
}

static void changes(void) {
  const lun_change_target target = { .global = lun_instance_global(guest, 0) }, nothing = { .address = 4 };
  const lun_attach_options options = { .release = release };
  lun_attachment *attachment = NULL;
  lun_error error = LUN_ERROR_INIT;
  uint64_t got = 0;
  released = 0;
  expect("watching nothing is refused",
         lun_store_on_change(store, &nothing, NULL, changed, NULL, &options, &attachment, &error) == LUN_USAGE && !attachment);
  lun_error_clear(&error);
  expect("watching",
         lun_store_on_change(store, &target, all_but_outer, changed, NULL, &options, &attachment, &error) == LUN_OK);
  expect("a call", call("store", 5, &got) == LUN_OK && call("store", 5, &got) == LUN_OK && call("store", 6, &got) == LUN_OK);
  expect("and one that is left out", lun_attachment_functions(attachment) > 5);
  expect_heard("changes are told where they are noticed", "changed store 5, 0\nchanged store 5006, 0\n");
  lun_attachment_detach(attachment, LUN_DROP);
  expect("what was detached is released, once", released == 1);
}

int main(int count, char **arguments) {
  if (count != 2) return printf("usage: intercepts GUEST\n"), 2;
  if (!load(arguments[1])) return 1;
  lun_attachment *attachment = NULL;
  lun_error error = LUN_ERROR_INIT;
  expect("attaching", lun_store_attach(store, choose, NULL, NULL, &attachment, &error) == LUN_OK);
  replaced();
  failing();
  refused();
  lun_attachment_detach(attachment, 0);
  exact();
  changes();
  lun_store_destroy(store);
  printf("%d checks, %d failed\n", checks, failures);
  return failures > 0;
}
