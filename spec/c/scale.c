/* SPDX-License-Identifier: MIT */
/* Many attachments to many functions (R7): made, asked, called and detached in orders of their own, with the count of each
 * right. Attachment k hears the functions whose index, divided by STRIDE, leaves k as the rest; the last one hears all.
 *
 *   scale GUEST      a module of tens of thousands of functions (i32) -> i32, none imported */
#include <lunette/lunette.h>
#include <stdio.h>
#include <stdlib.h>

enum { STRIDE = 3000 };

typedef struct One {
  uint32_t rest;             /* STRIDE: all */
  uint64_t befores, afters;
  lun_attachment *attachment;
} One;

static lun_store *store;
static lun_instance *guest;
static uint32_t functions;
static One ones[STRIDE + 1];
static int failures, checks;

static void expect(const char *rule, bool holds) {
  checks++;
  if (holds) return;
  failures++;
  printf("not ok %s\n", rule);
}

static void before(void *self, lun_call *call, const uint64_t *params) {
  One *one = self;
  (void)call;
  one->befores += one->rest == STRIDE || params[0] % STRIDE == one->rest;
}

static void after(void *self, lun_call *call, const uint64_t *results) {
  (void)call, (void)results;
  ((One *)self)->afters++;
}

static lun_choice choose(void *context, const lun_definition *definition, lun_instance *instance) {
  static const lun_listener listener = { before, after, NULL };
  const One *one = context;
  (void)instance;
  bool hears = one->rest == STRIDE || lun_definition_index(definition) % STRIDE == one->rest;
  return (lun_choice){ hears ? &listener : NULL, context };
}

static void attach(One *one, uint32_t rest) {
  lun_error error = LUN_ERROR_INIT;
  one->rest = rest;
  if (lun_store_attach(store, choose, one, NULL, &one->attachment, &error) == LUN_OK) return;
  printf("cannot attach: %s\n", error.message);
  exit(1);
}

static void call_all(void) {
  bool well = true;
  for (uint32_t i = 0; i < functions; i++) {
    uint64_t slot = i;
    well = well && lun_function_invoke(lun_instance_function_at(guest, i), &slot, &slot, NULL) == LUN_OK && slot == 0;
  }
  expect("each function gives what it gives", well);
}

static uint64_t of_rest(uint32_t rest) { return functions / STRIDE + (rest < functions % STRIDE); }

/* Those whose number is odd count `rounds[1]` rounds, the others rounds[0]. */
static void expect_rounds(const char *rule, const uint64_t rounds[2]) {
  bool well = true;
  for (uint32_t k = 0; k < STRIDE; k++)
    well = well && ones[k].befores == rounds[k & 1] * of_rest(k) && ones[k].afters == ones[k].befores;
  expect(rule, well);
}

static void come_and_go(void) {
  bool well = true;
  for (uint32_t k = 0; k <= STRIDE; k++) attach(&ones[k], k);
  for (uint32_t k = 0; k < STRIDE; k++) well = well && lun_attachment_functions(ones[k].attachment) == of_rest(k);
  expect("R8 each is asked for each function", well && lun_attachment_functions(ones[STRIDE].attachment) == functions);
  call_all();
  expect_rounds("R7 each hears its own", (const uint64_t[]){ 1, 1 });
  /* From the middle outwards, so that neither the first nor the last always goes. */
  for (uint32_t k = 1; k < STRIDE; k += 2) lun_attachment_detach(ones[(k + STRIDE / 2) % STRIDE | 1].attachment, 0);
  call_all();
  expect_rounds("R7 those that are detached hear nothing, the others do", (const uint64_t[]){ 2, 1 });
  for (uint32_t k = 1; k < STRIDE; k += 2) attach(&ones[k], k);
  call_all();
  expect_rounds("R7 again", (const uint64_t[]){ 3, 2 });
  for (uint32_t k = STRIDE; k-- > 0;) lun_attachment_detach(ones[k].attachment, k % 3 ? 0 : LUN_DROP);
  call_all();
  expect_rounds("R7 none is left", (const uint64_t[]){ 3, 2 });
  const One *all = &ones[STRIDE];
  expect("R7 but the one that hears all", all->befores == 4 * (uint64_t)functions && all->afters == all->befores);
  lun_attachment_detach(all->attachment, 0);
  call_all();
  expect("R7 until it is detached", all->befores == 4 * (uint64_t)functions);
}

int main(int argc, char **argv) {
  static char bytes[1 << 24];
  FILE *file = argc > 1 ? fopen(argv[1], "rb") : NULL;
  if (!file) return fprintf(stderr, "usage: scale GUEST\n"), 2;
  size_t size = fread(bytes, 1, sizeof bytes, file);
  fclose(file);
  lun_error error = LUN_ERROR_INIT;
  lun_module *module;
  if (lun_store_create(NULL, &store, &error) || lun_module_create(store, bytes, size, NULL, &module, &error) ||
      lun_instance_create(store, module, NULL, NULL, &guest, &error))
    return fprintf(stderr, "%s\n", error.message), 1;
  functions = lun_module_function_count(module);
  lun_module_destroy(module);
  come_and_go();
  lun_store_destroy(store);
  printf("%d checks, %d failed\n", checks, failures);
  return failures != 0;
}
