/* SPDX-License-Identifier: MIT */
/* Limits through the door, on a thread whose C stack is small: recursion as deep as the guest's stack allows, untraced and
 * with a listener on everything, and runs inside one another, stay within it. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lunette/lunette.h>

#define CHECK(condition) ((condition) ? (void)0 : fail(#condition, __LINE__))

/* What is to hold with sanitizers, too, whose frames are larger. */
enum { C_STACK = 512 << 10 };

/* (import "host" "again" (func $again (param i32)))
 * (func (export "deep") (param i32) (result i32) (local i64)
 *   (i32.add (call 1 (i32.add (local.get 0) (i32.const 1))) (i32.const 1)))
 * (func (export "again") (param i32) (call $again (local.get 0)))
 * (memory (export "memory") 1) */
static const uint8_t guest[] = {
  0, 'a', 's', 'm', 1, 0, 0, 0, 1, 10, 2, 0x60, 1, 0x7f, 0, 0x60, 1, 0x7f, 1, 0x7f,
  2, 14, 1, 4, 'h', 'o', 's', 't', 5, 'a', 'g', 'a', 'i', 'n', 0, 0, 3, 3, 2, 1, 0, 5, 3, 1, 0, 1,
  7, 25, 3, 4, 'd', 'e', 'e', 'p', 0, 1, 5, 'a', 'g', 'a', 'i', 'n', 0, 2, 6, 'm', 'e', 'm', 'o', 'r', 'y', 2, 0,
  10, 23, 2, 14, 1, 1, 0x7e, 0x20, 0, 0x41, 1, 0x6a, 0x10, 1, 0x41, 1, 0x6a, 0x0b, 6, 0, 0x20, 0, 0x10, 0, 0x0b,
};

static void fail(const char *what, int line) {
  fprintf(stderr, "limits.c:%d: %s does not hold\n", line, what);
  exit(1);
}

typedef struct Guest {
  lun_store *store;
  lun_instance *instance;
  uint64_t befores, ends, depth;
} Guest;

static lun_status again(void *self, lun_call *call, const uint64_t *params, uint64_t *results, lun_error *error) {
  Guest *g = self;
  (void)call, (void)results;
  return lun_function_invoke(lun_instance_function(g->instance, "again"), params, NULL, error);
}

static Guest guest_open(const lun_store_options *options) {
  static Guest g; /* host functions keep its address */
  static const lun_type number = LUN_I32;
  const lun_host_function function = { .module = "host", .name = "again", .signature = { 1, 0, &number, NULL },
                                       .callback = again, .self = &g };
  lun_module *module;
  lun_imports *imports;
  g = (Guest){ 0 };
  CHECK(lun_store_create(options, &g.store, NULL) == LUN_OK);
  CHECK(lun_module_create(g.store, guest, sizeof guest, NULL, &module, NULL) == LUN_OK);
  CHECK(lun_imports_create(g.store, &imports, NULL) == LUN_OK);
  CHECK(lun_imports_add_host(imports, &function, NULL) == LUN_OK);
  CHECK(lun_instance_create(g.store, module, imports, NULL, &g.instance, NULL) == LUN_OK);
  lun_imports_destroy(imports);
  lun_module_destroy(module);
  return g;
}

static void before(void *self, lun_call *call, const uint64_t *params) {
  (void)call, (void)params;
  ((Guest *)self)->befores++;
}
static void after(void *self, lun_call *call, const uint64_t *results) {
  (void)call, (void)results;
  ((Guest *)self)->ends++;
}
static void aborted(void *self, lun_call *call, const lun_error *error) {
  Guest *g = self;
  CHECK(error->kind == LUN_EXHAUSTED || error->kind == LUN_FUEL);
  if (lun_call_depth(call) > g->depth) g->depth = lun_call_depth(call);
  g->ends++;
}
static lun_choice choose(void *context, const lun_definition *definition, lun_instance *instance) {
  static const lun_listener listener = { before, after, aborted };
  (void)definition, (void)instance;
  return (lun_choice){ &listener, context };
}

/* Calls the export, which must end so; the deepest call that was heard. */
static uint64_t ends(Guest *g, const char *name, bool traced, lun_status wanted, const char *message) {
  uint64_t slots[1] = { 0 };
  lun_error error = LUN_ERROR_INIT;
  lun_attachment *attachment = NULL;
  g->befores = g->ends = g->depth = 0;
  if (traced) CHECK(lun_store_attach(g->store, choose, g, NULL, &attachment, NULL) == LUN_OK);
  CHECK(lun_function_invoke(lun_instance_function(g->instance, name), slots, slots, &error) == wanted);
  CHECK(strcmp(error.message, message) == 0);
  CHECK(error.stack && lun_snapshot_count(error.stack) > 0);
  lun_error_clear(&error);
  if (traced) lun_attachment_detach(attachment, 0);
  CHECK(g->befores == g->ends);
  return g->depth;
}

static void stack_bytes(size_t bytes) {
  lun_store_options options = { .stack_bytes = bytes };
  Guest g = guest_open(&options);
  ends(&g, "deep", false, LUN_EXHAUSTED, "call stack exhausted");
  uint64_t depth = ends(&g, "deep", true, LUN_EXHAUSTED, "call stack exhausted");
  CHECK(depth > bytes / 64 && depth < bytes / 16);
  lun_store_destroy(g.store);
}

static void runs(void) {
  lun_store_options options = { .max_runs = 3 };
  Guest g = guest_open(&options);
  CHECK(ends(&g, "again", true, LUN_EXHAUSTED, "more than 3 runs inside one another") == 5);
  lun_store_destroy(g.store);
  g = guest_open(NULL);
  ends(&g, "again", false, LUN_EXHAUSTED, "more than 200 runs inside one another");
  CHECK(ends(&g, "again", true, LUN_EXHAUSTED, "more than 200 runs inside one another") == 399);
  lun_store_destroy(g.store);
}

static void depth_and_fuel(void) {
  lun_store_options options = { .limits = { .max_depth = 7, .fuel = 1000 } };
  Guest g = guest_open(&options);
  CHECK(lun_store_fuel(g.store) == 1000);
  CHECK(lun_store_limits(g.store).max_locals == 50000 && lun_store_limits(g.store).max_depth == 7);
  CHECK(ends(&g, "deep", true, LUN_EXHAUSTED, "more than 7 calls inside one another") == 6);
  CHECK(lun_store_fuel(g.store) == 1000 - 7 * 6);
  CHECK(ends(&g, "again", true, LUN_EXHAUSTED, "more than 7 calls inside one another") == 6);
  lun_store_set_fuel(g.store, 12);
  CHECK(ends(&g, "deep", true, LUN_FUEL, "the fuel is used up") == 2);
  CHECK(lun_store_fuel(g.store) == 0);
  lun_store_set_limits(g.store, &(lun_limits){ .max_memory_bytes = LUN_PAGE });
  CHECK(lun_store_fuel(g.store) == 0 && lun_store_limits(g.store).max_depth == 0);
  /* What there is keeps the limits that it was made with. */
  lun_memory *memory = lun_instance_memory(g.instance, 0), *small;
  CHECK(lun_memory_grow(memory, 5) == 1 && lun_memory_size(memory) == 6 * LUN_PAGE);
  CHECK(lun_memory_create(g.store, 1, UINT64_MAX, &small, NULL) == LUN_OK && lun_memory_grow(small, 1) == UINT64_MAX);
  CHECK(lun_memory_create(g.store, 2, UINT64_MAX, &small, NULL) == LUN_EXHAUSTED);
  lun_store_destroy(g.store);
}

static void *all(void *unused) {
  (void)unused;
  stack_bytes(1 << 16);
  stack_bytes(8 << 20);
  runs();
  depth_and_fuel();
  return NULL;
}

int main(void) {
  pthread_attr_t attributes;
  pthread_t thread;
  CHECK(pthread_attr_init(&attributes) == 0 && pthread_attr_setstacksize(&attributes, C_STACK) == 0);
  CHECK(pthread_create(&thread, &attributes, all, NULL) == 0 && pthread_join(thread, NULL) == 0);
  pthread_attr_destroy(&attributes);
  puts("limits hold");
  return 0;
}
