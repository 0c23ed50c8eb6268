/* SPDX-License-Identifier: MIT */
/* R20 as an embedder in C sees it: what is told when memories and tables grow and instances come and go.
 *
 *   growth GUEST     a module that exports grow (i32 to i32), grow_table (i32 to i32), and a memory */
#include <inttypes.h>
#include <lunette/lunette.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static lun_store *store;
static lun_module *module;
static lun_instance *guest;
static int failures, checks;
static char heard[4096];

static void say(const char *text) { strncat(heard, text, sizeof heard - strlen(heard) - 1); }

static void expect(const char *rule, bool holds) {
  checks++;
  if (holds) return;
  failures++;
  printf("not ok %s\n", rule);
}

static void expect_text(const char *rule, const char *expected) {
  expect(rule, strcmp(heard, expected) == 0);
  if (strcmp(heard, expected) != 0) printf("  expected: %s\n  heard:    %s\n", expected, heard);
  heard[0] = '\0';
}

static uint64_t call(const char *name, uint64_t param) {
  lun_error error = LUN_ERROR_INIT;
  lun_status status = lun_function_invoke(lun_instance_function(guest, name), &param, &param, &error);
  if (status != LUN_OK) say(lun_status_name(status)), say("; ");
  lun_error_clear(&error);
  return param;
}

static void tell(void *self, const lun_event *event) {
  char text[160];
  uint32_t frames = 0;
  uint64_t top = 0;
  for (lun_stack stack = lun_event_stack(event); lun_stack_next(&stack); frames++)
    if (frames == 0) top = stack.frame.offset;
  switch (event->kind) {
  case LUN_EVENT_GROW:
    snprintf(text, sizeof text, "%s%s %" PRIu64 "+%" PRIu64 " %s, %u frames%s%s; ", self ? (const char *)self : "",
             event->memory ? "memory" : "table", event->old, event->delta, event->result == event->old ? "well" : "fails",
             frames, frames && top != LUN_NO_OFFSET ? " with offset" : "", event->instance ? "" : ", the host");
    break;
  case LUN_EVENT_INSTANCE: snprintf(text, sizeof text, "made; "); break;
  default: snprintf(text, sizeof text, "closed; "); break;
  }
  say(text);
}

static void fail(void *self, const lun_event *event) {
  (void)self;
  lun_event_fail(event, "first");
  lun_event_fail(event, "second");
}

static void reported(void *self, lun_watch *watch, const char *message) {
  (void)self, (void)watch;
  say("report "), say(message), say("; ");
}

static void released(void *self) {
  (void)self;
  say("released; ");
}

static lun_watch *watch(unsigned kinds, lun_event_callback callback, const char *self, lun_watch_options options) {
  lun_watch *made;
  lun_error error = LUN_ERROR_INIT;
  if (lun_store_watch(store, kinds, callback, (void *)(uintptr_t)self, &options, &made, &error) == LUN_OK) return made;
  printf("%s\n", error.message);
  exit(1);
}

static lun_watch *to_remove;
static unsigned remove_flags;
static void removing(void *self, const lun_event *event) {
  (void)self, (void)event;
  if (to_remove) lun_watch_remove(to_remove, remove_flags);
  to_remove = NULL;
}

static void growth(void) {
  lun_watch *one = watch(LUN_EVENT_GROW, tell, NULL, (lun_watch_options){ .release = released });
  expect("R20 the result is the guest's", call("grow", 1) == 1);
  expect_text("R20 memory.grow", "memory 1+1 well, 1 frames with offset; ");
  expect("R20 failing", call("grow", 5) == UINT32_MAX);
  expect_text("R20 memory.grow that fails", "memory 2+5 fails, 1 frames with offset; ");
  call("grow_table", 2);
  expect_text("R20 table.grow", "table 2+2 well, 1 frames with offset; ");
  expect("R20 the host's", lun_memory_grow(lun_instance_memory(guest, 0), 1) == 2);
  expect_text("R20 growth by the host", "memory 2+1 well, 0 frames, the host; ");
  lun_watch *two = watch(LUN_EVENT_GROW, tell, "2: ", (lun_watch_options){ 0 });
  call("grow", 0);
  expect_text("R20 R6 in order", "memory 3+0 well, 1 frames with offset; 2: memory 3+0 well, 1 frames with offset; ");
  lun_watch_remove(one, 0);
  expect_text("R20 released once it can't be called", "released; ");
  lun_watch_remove(two, 0);
  call("grow", 0);
  expect_text("R20 no one hears", "");
}

static void failing(void) {
  lun_watch *bad = watch(LUN_EVENT_GROW, fail, NULL, (lun_watch_options){ .report = reported });
  lun_watch *good = watch(LUN_EVENT_GROW, tell, NULL, (lun_watch_options){ 0 });
  call("grow", 0), call("grow", 0);
  expect_text("R20 R9 told after all have heard, then muted",
              "memory 3+0 well, 1 frames with offset; report first; memory 3+0 well, 1 frames with offset; ");
  lun_watch_remove(bad, 0);
  bad = watch(LUN_EVENT_GROW, fail, NULL, (lun_watch_options){ .on_error = LUN_ON_ERROR_STOP });
  call("grow", 0);
  expect_text("R20 R9 stop", "memory 3+0 well, 1 frames with offset; listener; ");
  lun_watch_remove(bad, 0);
  lun_watch *remover = watch(LUN_EVENT_GROW, removing, NULL, (lun_watch_options){ 0 });
  to_remove = watch(LUN_EVENT_GROW, tell, "late: ", (lun_watch_options){ .release = released });
  call("grow", 0), call("grow", 0);
  expect_text("R20 R7 removed while it is told", "memory 3+0 well, 1 frames with offset; late: memory 3+0 well, 1 frames with offset; "
                                                 "released; memory 3+0 well, 1 frames with offset; ");
  to_remove = watch(LUN_EVENT_GROW, tell, "late: ", (lun_watch_options){ .release = released });
  remove_flags = LUN_DROP;
  call("grow", 0);
  expect_text("R20 R7 dropped", "memory 3+0 well, 1 frames with offset; released; ");
  lun_watch_remove(remover, 0);
  lun_watch_remove(good, 0);
}

static void instances(void) {
  lun_watch *one = watch(LUN_EVENT_INSTANCE | LUN_EVENT_CLOSE, tell, NULL, (lun_watch_options){ .release = released });
  lun_instance *other;
  lun_error error = LUN_ERROR_INIT;
  if (lun_instance_create(store, module, NULL, NULL, &other, &error) != LUN_OK) exit(1);
  expect_text("R20 made", "made; ");
  lun_instance_close(other);
  lun_instance_close(other);
  expect_text("R20 closed", "closed; ");
  call("grow", 0);
  expect_text("R20 only what was asked for", "");
  (void)one;
}

int main(int argc, char **argv) {
  static char bytes[1 << 16];
  FILE *file = argc > 1 ? fopen(argv[1], "rb") : NULL;
  if (!file) return fprintf(stderr, "usage: growth GUEST\n"), 2;
  size_t size = fread(bytes, 1, sizeof bytes, file);
  fclose(file);
  lun_error error = LUN_ERROR_INIT;
  if (lun_store_create(NULL, &store, &error) || lun_module_create(store, bytes, size, NULL, &module, &error) ||
      lun_instance_create(store, module, NULL, NULL, &guest, &error))
    return fprintf(stderr, "%s\n", error.message), 1;
  growth();
  failing();
  instances();
  lun_module_destroy(module);
  lun_store_destroy(store);
  expect_text("R20 released with the store", "released; ");
  printf("%d checks, %d failed\n", checks, failures);
  return failures != 0;
}
