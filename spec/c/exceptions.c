/* SPDX-License-Identifier: MIT */
/* Exceptions at the door: tags and exceptions of the embedder's making, thrown by a host function; those of the guest read,
 * swallowed, handed on; holds; and what a C listener hears of them (R4). */
#include <lunette/lunette.h>
#include <stdio.h>
#include <string.h>

static lun_store *store;
static lun_instance *guest;
static lun_tag *host_tag;
static lun_exception *kept;     /* what `calls` has seen inside */
static char heard[4096];
static int failures, checks;

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

/* ---- the host ---- */
static lun_status throws(void *self, lun_call *call, const uint64_t *params, uint64_t *results, lun_error *error) {
  (void)self, (void)results;
  const double half = 0.5;
  uint64_t values[2] = { params[0], 0 };
  memcpy(&values[1], &half, sizeof half);
  if (params[0] == 99) return LUN_EXCEPTION; /* without one */
  lun_exception *exception;
  lun_status status = lun_exception_create(lun_call_store(call), host_tag, values, &exception, error);
  if (status != LUN_OK) return status;
  status = lun_exception_throw(exception, error);
  lun_exception_release(exception);
  return status;
}

/* Calls the guest's boom: odd numbers are swallowed, even ones handed on. */
static lun_status calls(void *self, lun_call *call, const uint64_t *params, uint64_t *results, lun_error *error) {
  (void)self;
  lun_status status = lun_function_invoke(lun_instance_function(lun_call_instance(call), "boom"), params, NULL, error);
  lun_exception_release(kept);
  kept = lun_exception_retain(error->exception);
  if (!(params[0] & 1)) return status;
  lun_error_clear(error);
  results[0] = params[0] + 1000;
  return LUN_OK;
}

/* ---- a listener ---- */
static void note(const char *event, const lun_call *call, const char *more) {
  size_t size = strlen(heard);
  snprintf(heard + size, sizeof heard - size, "%s %s%s\n", event, lun_definition_name(lun_call_definition(call)), more);
}
static void before(void *self, lun_call *call, const uint64_t *params) { (void)self, (void)params, note("before", call, ""); }
static void after(void *self, lun_call *call, const uint64_t *results) { (void)self, (void)results, note("after", call, ""); }
static void aborted(void *self, lun_call *call, const lun_error *error) {
  (void)self;
  expect("an abort by an exception has the exception", (error->kind == LUN_EXCEPTION) == (error->exception != NULL));
  note("abort", call, error->caught ? " caught" : error->kind == LUN_EXCEPTION ? " uncaught" : " otherwise");
}
static const lun_listener listener = { before, after, aborted };
static lun_choice choose(void *context, const lun_definition *definition, lun_instance *instance) {
  (void)context, (void)definition, (void)instance;
  return (lun_choice){ &listener, NULL };
}

/* ---- the guest ---- */
static lun_status call(const char *name, uint64_t param, uint64_t *result, lun_error *error) {
  *error = (lun_error)LUN_ERROR_INIT;
  return lun_function_invoke(lun_instance_function(guest, name), &param, result, error);
}

static bool load(const char *path) {
  static uint8_t bytes[4096];
  static const lun_type number = LUN_I32, carried[] = { LUN_I32, LUN_F64 };
  FILE *file = fopen(path, "rb");
  size_t size = file ? fread(bytes, 1, sizeof bytes, file) : 0;
  if (file) fclose(file);
  lun_module *module = NULL;
  lun_imports *imports = NULL;
  const lun_host_function functions[] = {
    { .module = "host", .name = "throws", .signature = { 1, 0, &number, NULL }, .callback = throws },
    { .module = "host", .name = "calls", .signature = { 1, 1, &number, &number }, .callback = calls },
  };
  lun_extern tag = { .kind = LUN_EXTERN_TAG };
  lun_error error = LUN_ERROR_INIT;
  bool fine = lun_store_create(&(lun_store_options){ .limits.max_exception_bytes = 1 << 17 }, &store, &error) == LUN_OK &&
              lun_module_create(store, bytes, size, NULL, &module, &error) == LUN_OK &&
              lun_imports_create(store, &imports, &error) == LUN_OK &&
              lun_imports_add_host(imports, &functions[0], &error) == LUN_OK &&
              lun_imports_add_host(imports, &functions[1], &error) == LUN_OK &&
              lun_tag_create(store, carried, 2, &host_tag, &error) == LUN_OK;
  tag.as.tag = host_tag;
  fine = fine && lun_imports_add(imports, "host", "tag", tag, &error) == LUN_OK &&
         lun_instance_create(store, module, imports, NULL, &guest, &error) == LUN_OK;
  if (!fine) printf("cannot load: %s\n", error.message);
  lun_imports_destroy(imports);
  lun_module_destroy(module);
  lun_error_clear(&error);
  return fine;
}

/* ---- the cases ---- */
static void tags(void) {
  const lun_signature *signature = lun_tag_signature(host_tag);
  expect("a tag has its types", signature->param_count == 2 && signature->params[1] == LUN_F64 && !signature->result_count);
  expect("a tag of the host's making is called so", strcmp(lun_tag_name(host_tag), "tag") == 0);
  lun_extern own;
  expect("a tag is exported", lun_instance_export(guest, "own", &own) && own.kind == LUN_EXTERN_TAG);
  expect("a module's tag has its export's name", strcmp(lun_tag_name(own.as.tag), "own") == 0);
  expect("imported tags come first", lun_instance_tag(guest, 0) == host_tag && lun_instance_tag(guest, 1) == own.as.tag);
  expect("a tag that is not there is NULL", !lun_instance_tag(guest, 2));
  expect("the kind has a name", strcmp(lun_extern_kind_name(LUN_EXTERN_TAG), "tag") == 0);
}

static void uncaught(void) {
  lun_error error;
  expect("an exception that nobody catches is its own status", call("boom", 7, NULL, &error) == LUN_EXCEPTION);
  expect("the error has the exception", error.kind == LUN_EXCEPTION && error.exception && !error.caught);
  const uint64_t *values = lun_exception_values(error.exception);
  expect("its values are exactly the tag's slots", values[0] == 7 && values[1] == 11 && values[2] == 22);
  expect("it has its tag", lun_exception_tag(error.exception) == lun_instance_tag(guest, 1));
  expect("the message names it", strncmp(error.message, "own(7, 0x", 9) == 0);
  expect("the stack is there", error.stack && lun_snapshot_count(error.stack) == 1);
  lun_exception *exception = lun_exception_retain(error.exception);
  lun_error_clear(&error);
  lun_error loop;
  expect("a loop of throws never meets the limit on those alive", call("loop", 100000, NULL, &loop) == LUN_OK);
  expect("what is held stays", lun_exception_values(exception)[2] == 22);
  expect("a reference to it is the exception", lun_exception_of_ref(lun_exception_ref(exception)) == exception);
  lun_exception_release(exception);
}

static void host_throws(void) {
  lun_error error;
  uint64_t result = 0;
  expect("the guest catches what a host function throws", call("catches_host", 5, &result, &error) == LUN_OK && result == 5);
  expect("or it does not", call("uncaught_host", 6, NULL, &error) == LUN_EXCEPTION);
  expect("and then it is the host's", error.exception && lun_exception_tag(error.exception) == host_tag);
  expect("with its values", error.exception && lun_exception_values(error.exception)[0] == 6);
  expect("its stack begins in the host", error.stack && lun_snapshot_frame(error.stack, 0)->is_host);
  lun_error_clear(&error);
  expect("there is no exception without an exception", call("catches_host", 99, &result, &error) == LUN_HOST);
  lun_error_clear(&error);
}

static void handed_on(void) {
  lun_error error;
  uint64_t result = 0;
  expect("a host function may swallow one", call("around", 3, &result, &error) == LUN_OK && result == 1003);
  expect("or hand it on to a frame outside", call("around", 4, &result, &error) == LUN_OK && result == 4);
  expect("or hand it on to nobody", call("bare", 6, &result, &error) == LUN_EXCEPTION);
  expect("it is the same exception", error.exception == kept);
  expect("with the stack of the throw", error.stack && lun_snapshot_count(error.stack) == 3);
  lun_error_clear(&error);
  expect("also after it was caught and thrown again", call("again", 8, &result, &error) == LUN_OK && result == 8);
}

static void listened(void) {
  lun_attachment *attachment = NULL;
  lun_error error = LUN_ERROR_INIT;
  uint64_t result = 0;
  if (lun_store_attach(store, choose, NULL, NULL, &attachment, &error) != LUN_OK) return expect("attaching", false);
  expect("caught", call("around", 4, &result, &error) == LUN_OK);
  expect_heard("R4 the frames between are aborted, and those only",
               "before around\nbefore calls\nbefore boom\nabort boom uncaught\nabort calls caught\nafter around\n");
  expect("swallowed", call("around", 5, &result, &error) == LUN_OK);
  expect_heard("R16 who swallows ends with after",
               "before around\nbefore calls\nbefore boom\nabort boom uncaught\nafter calls\nafter around\n");
  expect("thrown again", call("again", 6, &result, &error) == LUN_OK);
  expect_heard("R4 thrown again in the frame that catches it, it aborts nothing more",
               "before again\nbefore calls\nbefore boom\nabort boom uncaught\nabort calls caught\nafter again\n");
  expect("uncaught", call("bare", 8, &result, &error) == LUN_EXCEPTION);
  expect_heard("R4 uncaught, it aborts all",
               "before bare\nbefore calls\nbefore boom\nabort boom uncaught\nabort calls uncaught\nabort bare uncaught\n");
  lun_error_clear(&error);
  lun_attachment_detach(attachment, 0);
}

static void limits(void) {
  static const lun_type reference = LUN_EXNREF;
  lun_store *small = NULL;
  lun_tag *tag = NULL;
  lun_error error = LUN_ERROR_INIT;
  lun_exception *last = NULL;
  uint64_t ref = 0;
  lun_status status = lun_store_create(&(lun_store_options){ .limits.max_exception_bytes = 4096 }, &small, &error);
  if (status == LUN_OK) status = lun_tag_create(small, &reference, 1, &tag, &error);
  int made = 0;
  while (status == LUN_OK && made < 1000) {
    lun_exception *next;
    status = lun_exception_create(small, tag, &ref, &next, &error);
    if (status != LUN_OK) break;
    lun_exception_release(last); /* the new one carries it */
    last = next;
    ref = lun_exception_ref(last);
    made++;
  }
  expect("the exceptions alive have a limit", status == LUN_EXHAUSTED && made > 10 && made < 200);
  lun_error_clear(&error);
  lun_exception_release(last);
  expect("and room again when they are gone", lun_exception_create(small, tag, &(uint64_t){ 0 }, &last, &error) == LUN_OK);
  lun_store_destroy(small);
  lun_exception_release(last); /* a hold may outlive the store */
}

int main(int count, char **arguments) {
  if (count != 2) return printf("usage: exceptions GUEST\n"), 2;
  if (!load(arguments[1])) return 1;
  tags();
  uncaught();
  host_throws();
  handed_on();
  listened();
  limits();
  lun_store_destroy(store);
  lun_exception_release(kept);
  printf("%d checks, %d failed\n", checks, failures);
  return failures > 0;
}
