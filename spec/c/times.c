/* SPDX-License-Identifier: MIT */
/* R21 as an embedder in C sees it: times for attachments that ask, without what was spent in listeners, at safepoints and
 * between lun_store_clock_stop and _go. What is compared was measured on both sides, so that no load makes it fail.
 *
 *   times GUEST     the module that rules.wat describes */
#include <lunette/lunette.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static lun_store *store;
static lun_instance *guest;
static int failures, checks;

static void expect(const char *rule, bool holds) {
  checks++;
  if (holds) return;
  failures++;
  printf("not ok %s\n", rule);
}

static uint64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint64_t spent, worked;

static uint64_t spend(uint64_t ns) {
  uint64_t start = now_ns();
  while (now_ns() - start < ns) {}
  return now_ns() - start;
}

/* ---- the host: `plain` works; it stops the clock in the middle when told to ---- */
static bool stops_clock;

static lun_status plain(void *self, lun_call *call, const uint64_t *params, uint64_t *results, lun_error *error) {
  (void)self, (void)error;
  worked += spend(20000);
  if (stops_clock) {
    lun_stopped stopped = lun_store_clock_stop(lun_call_store(call));
    lun_stopped inner = lun_store_clock_stop(lun_call_store(call));
    spent += spend(50000);
    lun_store_clock_go(lun_call_store(call), &inner);
    spent += spend(50000);
    lun_store_clock_go(lun_call_store(call), &stopped);
  }
  results[0] = params[0];
  return LUN_OK;
}

static lun_status nothing(void *self, lun_call *call, const uint64_t *params, uint64_t *results, lun_error *error) {
  (void)self, (void)call, (void)params, (void)results, (void)error;
  return LUN_OK;
}

static lun_status at_safepoint(void *self, lun_error *error) {
  (void)self, (void)error;
  spent += spend(50000);
  return LUN_OK;
}

/* ---- a listener that keeps the sums ---- */
typedef struct Sums {
  uint64_t calls, elapsed, own, outermost, last_moment;
  bool well, wastes, pokes;
} Sums;

static void note_moment(Sums *sums, const lun_call *call) {
  uint64_t moment = 0;
  sums->well = sums->well && lun_call_time(call, &moment) && moment >= sums->last_moment && moment <= now_ns();
  sums->last_moment = moment;
}

static void before(void *self, lun_call *call, const uint64_t *params) {
  Sums *sums = self;
  uint64_t ns;
  (void)params;
  note_moment(sums, call);
  sums->well = sums->well && !lun_call_elapsed(call, &ns) && !lun_call_self_time(call, &ns);
  if (sums->wastes) spent += spend(50000);
  if (sums->pokes) lun_store_poke(store);
}

static void end(Sums *sums, const lun_call *call) {
  uint64_t elapsed = 0, own = 0;
  note_moment(sums, call);
  sums->well = sums->well && lun_call_elapsed(call, &elapsed) && lun_call_self_time(call, &own) && own <= elapsed;
  sums->calls++;
  sums->elapsed += elapsed;
  sums->own += own;
  if (!lun_call_parent_id(call)) sums->outermost = elapsed;
  if (sums->wastes) spent += spend(50000);
}

static void after(void *self, lun_call *call, const uint64_t *results) {
  (void)results;
  end(self, call);
}

static void aborted(void *self, lun_call *call, const lun_error *error) {
  (void)error;
  end(self, call);
}

static void ask_in_vain(void *self, lun_call *call, const uint64_t *values) {
  uint64_t ns = 7;
  (void)values;
  *(bool *)self = *(bool *)self && !lun_call_time(call, &ns) && !lun_call_elapsed(call, &ns) &&
                  !lun_call_self_time(call, &ns) && ns == 7;
}

static const lun_listener teller = { before, after, aborted }, asker = { ask_in_vain, ask_in_vain, NULL };

typedef struct Choosing {
  const lun_listener *listener;
  void *self;
} Choosing;

static lun_choice choose(void *context, const lun_definition *definition, lun_instance *instance) {
  const Choosing *choosing = context;
  (void)definition, (void)instance;
  return (lun_choice){ choosing->listener, choosing->self };
}

static lun_attachment *attach(const lun_listener *listener, void *self, bool time) {
  Choosing choosing = { listener, self };
  lun_attach_options options = { .time = time };
  lun_attachment *attachment;
  lun_error error = LUN_ERROR_INIT;
  if (lun_store_attach(store, choose, &choosing, &options, &attachment, &error) == LUN_OK) return attachment;
  printf("cannot attach: %s\n", error.message);
  exit(1);
}

static lun_status call(const char *name, uint64_t param) {
  uint64_t slots[2] = { param, 0 };
  lun_error error = LUN_ERROR_INIT;
  lun_status status = lun_function_invoke(lun_instance_function(guest, name), slots, slots, &error);
  lun_error_clear(&error);
  return status;
}

/* The outermost call's time against what was measured around it. */
static void run(const char *rule, const char *name, uint64_t param, Sums *sums) {
  sums->well = true;
  spent = worked = 0;
  uint64_t start = now_ns();
  call(name, param);
  uint64_t all = now_ns() - start;
  expect(rule, sums->well && sums->calls > 0 && sums->outermost >= worked && sums->outermost + spent <= all);
}

static void times(void) {
  bool well = true;
  lun_attachment *one = attach(&asker, &well, false);
  call("host", 1);
  expect("R21 nothing for those who do not ask", well);
  Sums sums = { 0 };
  lun_attachment *two = attach(&teller, &sums, true);
  run("R21 elapsed is inclusive", "host", 1, &sums);
  expect("R21 nor where another one does", well);
  expect("R21 the calls' own times sum up to the whole", sums.calls == 3 && sums.own == sums.outermost);
  sums = (Sums){ .wastes = true };
  run("R21 without listeners", "host", 1, &sums);
  expect("R21 own times again", sums.own == sums.outermost);
  sums = (Sums){ .wastes = true };
  run("R21 at a trap", "calls_trap", 0, &sums);
  expect("R21 own times at a trap", sums.calls == 2 && sums.own == sums.outermost);
  sums = (Sums){ 0 };
  run("R21 in deep stacks", "deep", 1000, &sums);
  expect("R21 own times in deep stacks", sums.calls == 1001 && sums.own == sums.outermost);
  sums = (Sums){ 0 };
  stops_clock = true;
  run("R21 without what a prompt takes", "host", 1, &sums);
  stops_clock = false;
  lun_store_on_safepoint(store, at_safepoint, NULL);
  sums = (Sums){ .pokes = true };
  run("R21 without what is done at safepoints", "host", 1, &sums);
  expect("R21 a safepoint was there", spent > 0);
  lun_store_on_safepoint(store, NULL, NULL);
  lun_attachment_detach(two, 0);
  expect("R21 the clock is not read any more", lun_store_clock_stop(store).guest_ns == 0);
  call("host", 1);
  lun_attachment_detach(one, 0);
}

static void add_host(lun_imports *imports, const char *name, uint32_t params, uint32_t results, lun_host_callback callback) {
  static const lun_type types[] = { LUN_I32 };
  lun_error error = LUN_ERROR_INIT;
  lun_host_function function = { .module = "host", .name = name, .signature = { params, results, types, types },
                                 .callback = callback };
  if (lun_imports_add_host(imports, &function, &error) != LUN_OK) exit(1);
}

int main(int argc, char **argv) {
  static char bytes[1 << 16];
  FILE *file = argc > 1 ? fopen(argv[1], "rb") : NULL;
  if (!file) return fprintf(stderr, "usage: times GUEST\n"), 2;
  size_t size = fread(bytes, 1, sizeof bytes, file);
  fclose(file);
  lun_error error = LUN_ERROR_INIT;
  lun_module *module;
  lun_imports *imports;
  if (lun_store_create(NULL, &store, &error) || lun_module_create(store, bytes, size, NULL, &module, &error) ||
      lun_imports_create(store, &imports, &error))
    return fprintf(stderr, "%s\n", error.message), 1;
  add_host(imports, "plain", 1, 1, plain);
  add_host(imports, "again", 1, 1, plain);
  add_host(imports, "fails", 0, 0, nothing);
  add_host(imports, "exits", 1, 0, nothing);
  if (lun_instance_create(store, module, imports, NULL, &guest, &error)) return fprintf(stderr, "%s\n", error.message), 1;
  times();
  lun_imports_destroy(imports);
  lun_module_destroy(module);
  lun_store_destroy(store);
  printf("%d checks, %d failed\n", checks, failures);
  return failures != 0;
}
