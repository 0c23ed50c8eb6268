/* SPDX-License-Identifier: MIT */
/* A long run under the pairing checker: the guest of rules.wat is entered again and again, in all its ways of ending, while
 * listeners and interceptors come and go, in callbacks too, fail, call the guest, and ask for the end.
 *
 *   soak GUEST EVENTS [SEED]     prints the checker's report; 1 where something did not hold
 *   soak GUEST violate           a listener writes where it must not: the checker has to see it */
#include <inttypes.h>
#include <lunette/lunette.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXTRAS = 6 };

static lun_store *store;
static lun_module *module;
static lun_imports *imports;
static lun_instance *guest;
static lun_pairing *pairing;
static lun_attachment *extras[EXTRAS];
static uint64_t state = 88172645463325252u;
static unsigned nesting;

static uint64_t next_random(void) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return state;
}

static bool one_in(uint64_t n) { return next_random() % n == 0; }

static void give_up(const char *what, const lun_error *error) {
  fprintf(stderr, "soak: %s: %s\n", what, error->message);
  exit(2);
}

static void call(const char *name, uint64_t param) {
  uint64_t slots[2] = { param, 0 };
  lun_error error = LUN_ERROR_INIT;
  lun_function *function = lun_instance_function(guest, name);
  if (!function) return;
  if (lun_function_invoke(function, slots, slots, &error) != LUN_OK) lun_error_clear(&error);
}

/* ---- listeners that come and go ---- */
static void meddle(lun_call *now);

static void before(void *self, lun_call *now, const uint64_t *params) {
  (void)self, (void)params;
  if (one_in(64)) meddle(now);
}

static void after(void *self, lun_call *now, const uint64_t *results) {
  (void)self, (void)results;
  if (one_in(64)) meddle(now);
}

static void aborted(void *self, lun_call *now, const lun_error *error) {
  (void)self, (void)error;
  if (one_in(64)) meddle(now);
}

static const lun_listener listeners[] = {
  { before, after, aborted }, { before, NULL, NULL }, { NULL, after, aborted }, { NULL, NULL, aborted },
};

static lun_choice choose(void *context, const lun_definition *definition, lun_instance *instance) {
  (void)instance, (void)context;
  uint64_t pick = (next_random() + lun_definition_index(definition)) % 6;
  return (lun_choice){ pick < 4 ? &listeners[pick] : NULL, NULL };
}

/* ---- interceptors that come and go: the call is as it was, or answered, or its failure swallowed ---- */
static lun_status in_place(void *self, lun_call *now, const uint64_t *params, uint64_t *results, lun_error *error) {
  (void)self, (void)params;
  if (one_in(16)) meddle(now);
  if (one_in(8)) return LUN_OK; /* answered with zeros, without its callee */
  lun_error inner = LUN_ERROR_INIT;
  lun_status status = lun_call_proceed(now, NULL, results, &inner);
  if (status == LUN_OK) return LUN_OK;
  if (status != LUN_TRAP || !one_in(4)) {
    *error = inner;
    return status;
  }
  lun_error_clear(&inner);
  return LUN_OK;
}

static void change_values(void *self, lun_call *now, uint64_t *slots) {
  const lun_signature *signature = lun_definition_signature(lun_call_definition(now));
  (void)self;
  if (one_in(64)) meddle(now);
  /* Only where it is small: a count of rounds stays one. */
  if (signature->param_count == 1 && signature->result_count == 1 && slots[0] < 5) slots[0] = next_random() % 5;
}

static const lun_interceptor interceptors[] = {
  { in_place, NULL, NULL }, { NULL, change_values, NULL }, { NULL, NULL, change_values }, { NULL, change_values, change_values },
};

static lun_intercept_choice choose_interceptor(void *context, const lun_definition *definition, lun_instance *instance) {
  (void)instance, (void)context;
  uint64_t pick = (next_random() + lun_definition_index(definition)) % 24;
  return (lun_intercept_choice){ pick < 4 ? &interceptors[pick] : NULL, NULL };
}

static void change_extra(void) {
  lun_attachment **extra = &extras[next_random() % EXTRAS];
  lun_error error = LUN_ERROR_INIT;
  if (*extra) {
    lun_attachment *old = *extra;
    if (one_in(4)) return lun_attachment_pause(old, one_in(2));
    *extra = NULL;
    lun_attachment_detach(old, one_in(2) ? LUN_DROP : 0);
    return;
  }
  lun_attach_options options = { .params = one_in(2), .time = one_in(2), .reentrant = one_in(4) };
  if (one_in(4)) {
    if (lun_store_intercept(store, choose_interceptor, NULL, &options, extra, &error) != LUN_OK) give_up("intercept", &error);
    return;
  }
  if (lun_store_attach(store, choose, NULL, &options, extra, &error) != LUN_OK) give_up("attach", &error);
}

static void meddle(lun_call *now) {
  switch (next_random() % 16) {
  case 0: case 1: case 2: case 3: change_extra(); break;
  case 4: lun_call_fail(now, "on purpose"); break;
  case 5: if (one_in(8)) lun_store_interrupt(store); break;
  case 6: if (one_in(8)) lun_store_expire(store); break;
  case 7: if (one_in(8)) lun_store_stop(store, 3); break;
  case 8: lun_store_poke(store); break;
  case 9: lun_snapshot_destroy(lun_call_snapshot(now)); break;
  default:
    if (nesting >= 3) break;
    nesting++;
    call(one_in(2) ? "outer" : "calls_trap", next_random() % 3);
    nesting--;
  }
}

/* ---- the host ---- */
static lun_status plain(void *self, lun_call *now, const uint64_t *params, uint64_t *results, lun_error *error) {
  (void)self, (void)now, (void)error;
  results[0] = params[0] * 3;
  return LUN_OK;
}

static lun_status again(void *self, lun_call *now, const uint64_t *params, uint64_t *results, lun_error *error) {
  (void)self;
  lun_function *function = lun_instance_function(lun_call_instance(now), one_in(3) ? "trap" : one_in(2) ? "reenter" : "leaf");
  uint64_t value = params[0] & 3, result = 0;
  lun_error inner = LUN_ERROR_INIT;
  lun_status status = function ? lun_function_invoke(function, &value, &result, &inner) : LUN_OK;
  results[0] = result;
  if (status != LUN_OK && one_in(2)) {
    *error = inner;
    return status;
  }
  lun_error_clear(&inner);
  return LUN_OK;
}

static lun_status fails(void *self, lun_call *now, const uint64_t *params, uint64_t *results, lun_error *error) {
  (void)self, (void)now, (void)params, (void)results;
  return lun_error_set(error, LUN_HOST, "on purpose");
}

static lun_status exits(void *self, lun_call *now, const uint64_t *params, uint64_t *results, lun_error *error) {
  (void)self, (void)now, (void)results;
  lun_error_set(error, LUN_EXIT, "exit");
  error->code = (int32_t)params[0];
  return LUN_EXIT;
}

static void add_host(const char *name, uint32_t params, uint32_t results, lun_host_callback callback) {
  static const lun_type types[] = { LUN_I32 };
  lun_error error = LUN_ERROR_INIT;
  lun_host_function function = { .module = "host", .name = name, .signature = { params, results, types, types },
                                 .callback = callback };
  if (lun_imports_add_host(imports, &function, &error) != LUN_OK) give_up(name, &error);
}

static void make_guest(void) {
  lun_error error = LUN_ERROR_INIT;
  if (lun_instance_create(store, module, imports, NULL, &guest, &error) != LUN_OK) give_up("instance", &error);
}

/* ---- the run ---- */
static uint64_t events(void) {
  lun_pairing_report report = lun_pairing_report_of(pairing);
  return report.befores + report.afters + report.aborts;
}

static void enter_once(void) {
  static const char *const names[] = { "outer", "returns", "calls_trap", "host", "reenter", "host_fails", "host_exits", "indirect",
                                       "tail_loop", "tail_entry", "tail_host", "changes", "swap", "leaf", "deep_trap" };
  uint64_t pick = next_random() % 64;
  if (pick < 15) call(names[pick], next_random() % 5);
  else if (pick < 32) call("deep", next_random() % 1000);
  else if (pick < 40) call("tail_entry", next_random() % 500);
  else if (pick < 56) call("outer", 1);
  else if (pick == 56 && one_in(64)) call("forever", 0);
  else if (pick == 57 && one_in(256)) lun_instance_close(guest), make_guest();
  else if (pick == 58) change_extra();
  else if (pick == 59) lun_store_interrupt(store), call("spin", 0);
}

static int soak(uint64_t wanted) {
  lun_error error = LUN_ERROR_INIT;
  while (events() < wanted) {
    /* A crowd for a thousand entries, then the checker alone. */
    for (int i = 0; i < 1000; i++) enter_once();
    for (int i = 0; i < EXTRAS; i++)
      if (extras[i]) lun_attachment_detach(extras[i], 0), extras[i] = NULL;
    for (int i = 0; i < 200; i++) call("deep", 900);
    if (lun_pairing_check(pairing, &error) != LUN_OK) break;
  }
  lun_pairing_report report = lun_pairing_report_of(pairing);
  printf("%" PRIu64 " events: %" PRIu64 " befores, %" PRIu64 " afters, %" PRIu64 " aborts, %" PRIu64 " stacks walked, "
         "%" PRIu64 " open at most, %" PRIu64 " violations\n",
         events(), report.befores, report.afters, report.aborts, report.walks, report.deepest, report.violations);
  if (report.violations || report.open) printf("%s\n", error.message);
  return report.violations || report.open || report.befores != report.afters + report.aborts;
}

/* ---- a violation, made by writing to what is not the listener's ---- */
static void write_params(void *self, lun_call *now, const uint64_t *params) {
  (void)self, (void)now;
  union { const uint64_t *read; uint64_t *write; } slots = { .read = params };
  slots.write[0] |= UINT64_C(1) << 40;
}

static lun_choice choose_leaf(void *context, const lun_definition *definition, lun_instance *instance) {
  static const lun_listener writer = { write_params, NULL, NULL };
  (void)context, (void)instance;
  return (lun_choice){ strcmp(lun_definition_name(definition), "leaf") == 0 ? &writer : NULL, NULL };
}

static int violate(void) {
  lun_attachment *attachment;
  lun_error error = LUN_ERROR_INIT;
  lun_pairing_destroy(pairing);
  if (lun_store_attach(store, choose_leaf, NULL, NULL, &attachment, &error) != LUN_OK) give_up("attach", &error);
  if (lun_pairing_create(store, NULL, &pairing, &error) != LUN_OK) give_up("pairing", &error);
  uint64_t value = 1;
  lun_status status = lun_function_invoke(lun_instance_function(guest, "outer"), &value, &value, &error);
  printf("%s: %s\n", lun_status_name(status), error.message);
  lun_error_clear(&error);
  lun_pairing_report report = lun_pairing_report_of(pairing);
  printf("%" PRIu64 " violations, the first: %s\n", report.violations, report.first);
  status = lun_pairing_check(pairing, &error);
  printf("%s: %s\n", lun_status_name(status), error.message);
  return 0;
}

int main(int argc, char **argv) {
  static char bytes[1 << 16];
  FILE *file = argc > 2 ? fopen(argv[1], "rb") : NULL;
  if (!file) return fprintf(stderr, "usage: soak GUEST EVENTS|violate [SEED]\n"), 2;
  size_t size = fread(bytes, 1, sizeof bytes, file);
  fclose(file);
  lun_error error = LUN_ERROR_INIT;
  lun_store_options options = { .stack_bytes = 1 << 20 };
  if (argc > 3) state += strtoull(argv[3], NULL, 10);
  if (lun_store_create(&options, &store, &error) || lun_module_create(store, bytes, size, NULL, &module, &error) ||
      lun_imports_create(store, &imports, &error))
    give_up("start", &error);
  add_host("plain", 1, 1, plain);
  add_host("again", 1, 1, again);
  add_host("fails", 0, 0, fails);
  add_host("exits", 1, 0, exits);
  make_guest();
  if (lun_pairing_create(store, NULL, &pairing, &error) != LUN_OK) give_up("pairing", &error);
  int failed = strcmp(argv[2], "violate") == 0 ? violate() : soak(strtoull(argv[2], NULL, 10));
  lun_imports_destroy(imports);
  lun_module_destroy(module);
  lun_pairing_destroy(pairing);
  lun_store_destroy(store);
  return failed;
}
