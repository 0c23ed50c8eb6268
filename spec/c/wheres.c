/* SPDX-License-Identifier: MIT */
/* Wheres and the locals of frames as an embedder in C sees them.
 *
 *   wheres GUEST     the module that spec/trace/where_spec.lua describes; says "well" */
#include <lunette/lunette.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int failures;

static void expect(const char *what, bool holds) {
  if (holds) return;
  failures++;
  printf("not ok %s\n", what);
}

static void give_up(const char *what, const lun_error *error) {
  fprintf(stderr, "wheres: %s: %s\n", what, error->message);
  exit(1);
}

/* The names that a where of these patterns chooses, parted by blanks. */
static void choose(const lun_module *module, const char *const *patterns, size_t count, char *names, size_t room) {
  lun_error error = LUN_ERROR_INIT;
  lun_where *where;
  size_t used = 0;
  names[0] = '\0';
  if (lun_where_create(patterns, count, &where, &error) != LUN_OK) give_up(patterns[0], &error);
  for (uint32_t i = 0; i < lun_module_function_count(module); i++) {
    const lun_definition *definition = lun_module_function(module, i);
    if (!lun_where_match(where, definition)) continue;
    used += (size_t)snprintf(names + used, room - used, "%s%s", used ? " " : "", lun_definition_name(definition));
  }
  lun_where_destroy(where);
}

static void check_patterns(const lun_module *module) {
  static const struct { const char *patterns[3], *chosen; } cases[] = {
    { { "alpha*" }, "alpha alphabet" },      { { "=alpha*" }, "" },         { { "env.*" }, "in out" },
    { { "import:env.w*" }, "out" },          { { "export:run" }, "alpha" }, { { "host:*" }, "in out" },
    { { "#2" }, "alpha" },                   { { "#3-4" }, "alphabet beta" }, { { "file:*" }, "" },
    { { "beta*", "!*_r" }, "beta" },         { { "!#0-3", "!beta*" }, "gamma" }, { { "[a-b]*", "!alpha", "!*_r" }, "alphabet beta" },
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char names[256];
    size_t count = 0;
    while (count < 3 && cases[i].patterns[count]) count++;
    choose(module, cases[i].patterns, count, names, sizeof names);
    expect(cases[i].patterns[0], strcmp(names, cases[i].chosen) == 0);
  }
  char all[256];
  choose(module, NULL, 0, all, sizeof all);
  expect("no pattern", strcmp(all, "in out alpha alphabet beta beta_r gamma") == 0);
}

static void check_refusals(const lun_module *module) {
  static const char *const wrong[] = { "foo[a", "", "#", "#9-3", "!", "import:", "a\\" };
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    lun_error error = LUN_ERROR_INIT;
    lun_where *where = NULL;
    expect(wrong[i], lun_where_create(&wrong[i], 1, &where, &error) == LUN_USAGE && !where && *error.message);
    lun_error_clear(&error);
  }
  const char *pattern = "import:env.wirte";
  lun_error error = LUN_ERROR_INIT;
  lun_where *where;
  lun_where_hint hints[LUN_WHERE_NEAREST];
  if (lun_where_create(&pattern, 1, &where, &error) != LUN_OK) give_up(pattern, &error);
  expect("nearest", lun_where_nearest(where, module, hints) == 1 && strcmp(hints[0].text, "import:env.write") == 0);
  lun_where_destroy(where);
  lun_where_destroy(NULL);
}

/* ---- locals: of the caller, in a before of the callee ---- */
typedef struct Seen {
  lun_frame kept;
  lun_local own, outer[2];
  size_t own_count, outer_count, outer_cut;
} Seen;

static void hear(void *self, lun_call *call, const uint64_t *params) {
  Seen *seen = self;
  (void)params;
  lun_stack stack = lun_call_stack(call);
  if (!lun_stack_next(&stack)) return;
  seen->own_count = lun_frame_locals(&stack.frame, &seen->own, 1);
  if (!lun_stack_next(&stack)) return;
  seen->kept = stack.frame;
  seen->outer_cut = lun_frame_locals(&stack.frame, seen->outer, 1);
  seen->outer_count = lun_frame_locals(&stack.frame, seen->outer, 2);
}

static const lun_listener hearer = { .before = hear };

static lun_choice answer(void *context, const lun_definition *definition, lun_instance *instance) {
  (void)instance;
  if (strcmp(lun_definition_name(definition), "alphabet") != 0) return (lun_choice){ NULL, NULL };
  return (lun_choice){ &hearer, context };
}

static void check_locals(lun_store *store, lun_module *module) {
  lun_error error = LUN_ERROR_INIT;
  lun_instance *instance;
  lun_attachment *attachment;
  Seen seen = { 0 };
  lun_imports *imports;
  uint64_t value = 0;
  if (lun_imports_create(store, &imports, &error) != LUN_OK) give_up("imports", &error);
  lun_imports_stub(imports);
  if (lun_instance_create(store, module, imports, NULL, &instance, &error) != LUN_OK) give_up("instance", &error);
  lun_imports_destroy(imports);
  if (lun_store_attach(store, answer, &seen, NULL, &attachment, &error) != LUN_OK) give_up("attach", &error);
  if (lun_function_invoke(lun_instance_function(instance, "run"), &value, &value, &error) != LUN_OK) give_up("run", &error);
  expect("its own are zero", seen.own_count == 1 && seen.own.type == LUN_I64 && seen.own.value[0] == 0 && seen.own.index == 0);
  expect("the caller's", seen.outer_count == 2 && seen.outer_cut == 2 && seen.outer[0].value[0] == 17 &&
                             seen.outer[1].value[0] == 3 && seen.outer[1].value[1] == 4 && seen.outer[1].type == LUN_V128);
  expect("names", seen.outer[0].name && strcmp(seen.outer[0].name, "count") == 0 && !seen.outer[1].name);
  expect("stale", lun_frame_locals(&seen.kept, seen.outer, 2) == 0);
}

int main(int argc, char **argv) {
  static uint8_t bytes[65536];
  FILE *file = argc == 2 ? fopen(argv[1], "rb") : NULL;
  if (!file) return fprintf(stderr, "usage: wheres GUEST\n"), 2;
  size_t size = fread(bytes, 1, sizeof bytes, file);
  fclose(file);
  lun_error error = LUN_ERROR_INIT;
  lun_store *store;
  lun_module *module;
  if (lun_store_create(NULL, &store, &error) != LUN_OK) give_up("store", &error);
  if (lun_module_create(store, bytes, size, NULL, &module, &error) != LUN_OK) give_up("module", &error);
  check_patterns(module);
  check_refusals(module);
  check_locals(store, module);
  lun_module_destroy(module);
  lun_store_destroy(store);
  if (failures == 0) puts("well");
  return failures != 0;
}
