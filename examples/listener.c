/* SPDX-License-Identifier: MIT */
/* Listeners in C, with all that they can ask: each call of the functions that a pattern names, with values, nested; who called
 * the outermost ones; how long they took; what a failure was and where. The ends of calls find their beginnings by the
 * slot that each call has.
 *
 *     listener PATTERN FILE.wasm [ARGUMENTS…]
 *
 * The guest gets WASI with this program's stdin, stdout and stderr; the trace goes to stderr. A pattern is what where.h says:
 * 'parse_*', 'import:*', '#12'. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lunette/lunette.h>

/* What the listener's callbacks share: their `self`. */
typedef struct Trace {
  const lun_where *where;
  unsigned level;          /* of the calls that are open, as they are printed */
  uint64_t calls, failed;
} Trace;

/* ---- values: slots, as the signature says ---- */
static void print_value(lun_type type, const uint64_t *slots) {
  float single;
  double wide;
  switch (type) {
  case LUN_I32: fprintf(stderr, "%" PRId32, (int32_t)(uint32_t)slots[0]); break;
  case LUN_I64: fprintf(stderr, "%" PRId64, (int64_t)slots[0]); break;
  case LUN_F32: memcpy(&single, slots, sizeof single), fprintf(stderr, "%.9g", (double)single); break;
  case LUN_F64: memcpy(&wide, slots, sizeof wide), fprintf(stderr, "%.17g", wide); break;
  case LUN_V128: fprintf(stderr, "0x%016" PRIx64 "%016" PRIx64, slots[1], slots[0]); break;
  default: fputs(slots[0] ? lun_type_name(type) : "null", stderr); break;
  }
}

static void print_values(const lun_type *types, uint32_t count, const uint64_t *slots) {
  for (uint32_t i = 0; i < count; i++) {
    if (i > 0) fputs(", ", stderr);
    print_value(types[i], slots);
    slots += lun_type_slots(types[i]);
  }
}

static void indent(const Trace *trace) { fprintf(stderr, "%*s", (int)(2 * trace->level), ""); }

/* ---- the callbacks: borrowed pointers, which are good until they return ---- */
static void before(void *self, lun_call *call, const uint64_t *params) {
  Trace *trace = self;
  const lun_definition *definition = lun_call_definition(call);
  const lun_signature *signature = lun_definition_signature(definition);
  lun_frame caller;
  trace->calls++;
  /* Nobody but this call has its slot: what is left there now is there at its end. */
  *lun_call_data(call) = (void *)(uintptr_t)(trace->level + 1);
  if (trace->level == 0 && lun_call_caller(call, &caller)) fprintf(stderr, "in %s:\n", lun_definition_name(caller.definition));
  indent(trace);
  fprintf(stderr, "%s(", lun_definition_name(definition));
  print_values(signature->params, signature->param_count, params);
  fputs(")\n", stderr);
  trace->level++;
}

static void after(void *self, lun_call *call, const uint64_t *results) {
  Trace *trace = self;
  const lun_signature *signature = lun_definition_signature(lun_call_definition(call));
  trace->level = (unsigned)(uintptr_t)*lun_call_data(call);
  indent(trace);
  fputs("= ", stderr);
  if (results) print_values(signature->results, signature->result_count, results);
  else fprintf(stderr, "what %s gives", lun_definition_name(lun_call_tail(call))); /* it has called it in its own place */
  fputs("\n", stderr);
  trace->level--;
}

/* The stack at the point of failure is the error's; it stays as long as the error. */
static void print_stack(const lun_snapshot *stack) {
  for (uint32_t i = 0; i < lun_snapshot_count(stack); i++) {
    const lun_frame *frame = lun_snapshot_frame(stack, i);
    fprintf(stderr, "    at %s", lun_definition_name(frame->definition));
    if (frame->offset != LUN_NO_OFFSET)
      fprintf(stderr, " 0x%" PRIx64, lun_module_file_offset(lun_instance_module(frame->instance), frame->offset));
    fputs("\n", stderr);
  }
}

static void aborted(void *self, lun_call *call, const lun_error *error) {
  Trace *trace = self;
  trace->level = (unsigned)(uintptr_t)*lun_call_data(call);
  indent(trace);
  fprintf(stderr, "! %s: %s\n", lun_status_name(error->kind), error->message);
  if (trace->failed++ == 0 && error->kind != LUN_EXIT && error->stack) print_stack(error->stack);
  trace->level--;
}

static const lun_listener listener = { before, after, aborted };

/* Asked once for each function, here and of instances made later. No listener, no cost. */
static lun_choice choose(void *context, const lun_definition *definition, lun_instance *instance) {
  Trace *trace = context;
  (void)instance;
  if (!lun_where_match(trace->where, definition)) return (lun_choice){ NULL, NULL };
  return (lun_choice){ &listener, trace };
}

/* ---- running ---- */
static void *read_file(const char *path, size_t *size) {
  FILE *file = fopen(path, "rb");
  if (!file) return NULL;
  char *bytes = NULL;
  if (fseek(file, 0, SEEK_END) == 0) {
    long end = ftell(file);
    rewind(file);
    bytes = end >= 0 ? malloc((size_t)end + 1) : NULL;
    if (bytes) *size = fread(bytes, 1, (size_t)end, file);
  }
  fclose(file);
  return bytes;
}

static lun_status make_instance(lun_store *store, lun_module *module, lun_wasi *wasi, lun_instance **instance,
                                lun_error *error) {
  lun_imports *imports;
  lun_status status = lun_imports_create(store, &imports, error);
  if (status != LUN_OK) return status;
  status = lun_wasi_import(wasi, imports, error);
  if (status == LUN_OK) status = lun_instance_create(store, module, imports, NULL, instance, error);
  lun_imports_destroy(imports);
  return status;
}

static lun_status run(lun_store *store, const void *bytes, size_t size, lun_wasi *wasi, Trace *trace, lun_error *error) {
  lun_module *module;
  lun_instance *instance = NULL;
  lun_attachment *attachment;
  const lun_attach_options options = { .name = "listener" };
  lun_status status = lun_module_create(store, bytes, size, NULL, &module, error);
  if (status != LUN_OK) return status;
  status = make_instance(store, module, wasi, &instance, error);
  lun_module_destroy(module); /* this hold on it; the instance has its own */
  /* Attached now, it would have been as well before the instance was made, or in the middle of a call. */
  if (status == LUN_OK) status = lun_store_attach(store, choose, trace, &options, &attachment, error);
  if (status != LUN_OK) return status;
  fprintf(stderr, "listening to %" PRIu64 " functions\n", lun_attachment_functions(attachment));
  lun_function *start = lun_instance_function(instance, "_start");
  if (!start) return lun_error_set(error, LUN_UNLINKABLE, "no export _start");
  status = lun_function_invoke(start, NULL, NULL, error);
  lun_attachment_detach(attachment, 0);
  return status;
}

int main(int argc, char **argv) {
  if (argc < 3) {
    fprintf(stderr, "usage: listener PATTERN FILE.wasm [ARGUMENTS…]\n");
    return 64;
  }
  size_t size = 0;
  void *bytes = read_file(argv[2], &size);
  if (!bytes) {
    perror(argv[2]);
    return 66;
  }
  lun_error error = LUN_ERROR_INIT;
  lun_store *store = NULL;
  lun_wasi *wasi = NULL;
  lun_where *where = NULL;
  const char *const patterns[] = { argv[1] };
  lun_wasi_options options = { .args = (const char *const *)argv + 2, .arg_count = (size_t)argc - 2, .stdio = { 0, 1, 2 } };
  lun_status status = lun_where_create(patterns, 1, &where, &error);
  Trace trace = { .where = where };
  if (status == LUN_OK) status = lun_wasi_create(&options, &wasi, &error);
  if (status == LUN_OK) status = lun_store_create(NULL, &store, &error);
  if (status == LUN_OK) status = run(store, bytes, size, wasi, &trace, &error);

  int exit_status = status == LUN_EXIT ? error.code & 255 : lun_status_exit(status);
  if (status != LUN_OK && status != LUN_EXIT) fprintf(stderr, "listener: %s: %s\n", lun_status_name(status), error.message);
  if (store) fprintf(stderr, "%" PRIu64 " calls, %" PRIu64 " failed\n", trace.calls, trace.failed);
  lun_error_clear(&error);
  lun_store_destroy(store);
  lun_wasi_destroy(wasi);
  lun_where_destroy(where);
  free(bytes);
  return exit_status;
}
