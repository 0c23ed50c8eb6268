/* SPDX-License-Identifier: MIT */
/* Fuzz target: the input is a recipe for a module and for all that goes on around it. The first bytes make functions that
 * call one another in each possible way and end in each possible way; the rest, read round and round, say what host functions,
 * listeners, interceptors and the safepoint do: fail, exit, call the guest, attach and detach, interrupt, stop, close the
 * instance, let calls proceed or not. The pairing checker listens to everything and must find nothing; or, where a bit says so,
 * nobody does, and listeners that are alone with a call leave by jumps to a guard. */
#include "fuzz.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RUN_MS = 10, FUEL = 400, ACTIONS = 400, EXTRAS = 4, INSTANCES = 4, HOSTS = 3, FUNCTIONS_MAX = 8, ENTRIES = 12, NESTING = 3 };

/* ---- the module ---- */
typedef struct Recipe {
  const uint8_t *bytes;
  size_t size, at;
} Recipe;

static uint8_t take(Recipe *recipe) { return recipe->at < recipe->size ? recipe->bytes[recipe->at++] : 0; }

typedef struct Buffer {
  uint8_t bytes[1 << 17];
  size_t size;
} Buffer;

static void put(Buffer *buffer, uint8_t byte) {
  CHECK(buffer->size < sizeof buffer->bytes);
  buffer->bytes[buffer->size++] = byte;
}

static void put_all(Buffer *buffer, const char *bytes, size_t size) {
  for (size_t i = 0; i < size; i++) put(buffer, (uint8_t)bytes[i]);
}
#define PUT(buffer, text) put_all((buffer), "" text, sizeof text - 1)

/* Always five bytes, so that a length can be filled in later. */
static void write_length(uint8_t *at, size_t length) {
  for (int i = 0; i < 5; i++) at[i] = (uint8_t)((length >> 7 * i & 0x7f) | (i < 4 ? 0x80 : 0));
}

static size_t begin(Buffer *buffer) {
  for (int i = 0; i < 5; i++) put(buffer, 0);
  return buffer->size;
}

static void end(Buffer *buffer, size_t start) { write_length(buffer->bytes + start - 5, buffer->size - start); }

/* Types: 0 none to none, 1 i32 to i32, 2 (i64 f32) to (i32 i64). */
static void put_values(Buffer *code, unsigned type) {
  if (type == 1) PUT(code, "\x41\x03");
  if (type == 2) PUT(code, "\x42\x7b\x43\0\0\x80\x3f");
}

static void put_results(Buffer *code, unsigned type) {
  if (type == 1) PUT(code, "\x41\x7f");
  if (type == 2) PUT(code, "\x41\x7e\x42\x05");
}

static void put_drops(Buffer *code, unsigned type) {
  if (type > 0) put(code, 0x1a);
  if (type > 1) put(code, 0x1a);
}

typedef struct Shape {
  uint8_t types[HOSTS + FUNCTIONS_MAX];
  unsigned count;
} Shape;

/* `depth` blocks and conditions stand around it. */
static void put_statement(Buffer *code, Recipe *recipe, const Shape *shape, unsigned type, unsigned depth) {
  uint8_t what = take(recipe), which = (uint8_t)(take(recipe) % shape->count);
  switch (what % 16) {
  case 0: case 1: case 2: case 3:
    put_values(code, shape->types[which]);
    put(code, 0x10), put(code, which);
    put_drops(code, shape->types[which]);
    break;
  case 4: case 5: /* by the table; now and then of another type, or beyond its end */
    which = (uint8_t)(which + (what & 0x40 ? 1 : 0));
    put_values(code, shape->types[which % shape->count]);
    put(code, 0x41), put(code, which), put(code, 0x11), put(code, shape->types[which % shape->count]), put(code, 0);
    put_drops(code, shape->types[which % shape->count]);
    break;
  case 6: case 7: /* tail calls, where the types allow them */
    if (shape->types[which] != type) break;
    put_values(code, type);
    if (what & 0x40) put(code, 0x41), put(code, which), put(code, 0x13), put(code, (uint8_t)type), put(code, 0);
    else put(code, 0x12), put(code, which);
    break;
  case 8:
    if (what & 0x80) put(code, 0x00);
    break;
  case 9: /* under a condition: odd fuel */
    PUT(code, "\x23\0\x41\x01\x71\x04\x40");
    if (depth < 6) put_statement(code, recipe, shape, type, depth + 1);
    put(code, 0x0b);
    break;
  case 10:
    put_results(code, type);
    put(code, 0x0f);
    break;
  case 11: /* br_table to the outermost label */
    PUT(code, "\x02\x40");
    if (depth < 6) put_statement(code, recipe, shape, type, depth + 1);
    put_results(code, type);
    PUT(code, "\x23\0\x0e\x01"), put(code, (uint8_t)(1 + depth)), put(code, (uint8_t)(1 + depth));
    put(code, 0x0b);
    break;
  case 12: PUT(code, "\x41\x01\x40\0\x1a"); break;
  case 13: PUT(code, "\x41\x01\x23\0\x6e\x1a"); break; /* divides by the fuel */
  case 14: /* counts the fuel down at a loop's head */
    PUT(code, "\x03\x40\x23\0\x04\x40\x23\0\x41\x01\x6b\x24\0\x0c\x01\x0b\x0b");
    break;
  default:
    if (what == 0xff) PUT(code, "\x03\x40\x0c\0\x0b");
  }
}

static void put_body(Buffer *code, Recipe *recipe, const Shape *shape, unsigned type) {
  size_t start = begin(code);
  put(code, 0);
  PUT(code, "\x23\0\x45\x04\x40"); /* without fuel it returns at once */
  put_results(code, type);
  PUT(code, "\x0f\x0b\x23\0\x41\x01\x6b\x24\0");
  for (unsigned n = take(recipe) % 6; n > 0; n--) put_statement(code, recipe, shape, type, 0);
  put_results(code, type);
  put(code, 0x0b);
  end(code, start);
}

/* Whether listeners jump. */
static bool put_module(Buffer *code, Recipe *recipe) {
  Shape shape = { .types = { 0, 1, 2 }, .count = HOSTS + 1 + take(recipe) % FUNCTIONS_MAX };
  uint8_t flags = take(recipe);
  for (unsigned i = HOSTS; i < shape.count; i++) shape.types[i] = take(recipe) % 3;
  PUT(code, "\0asm\1\0\0\0\1\x10\3\x60\0\0\x60\1\x7f\1\x7f\x60\2\x7e\x7d\2\x7f\x7e");
  PUT(code, "\2\x16\3\1h\2f0\0\0\1h\2f1\0\1\1h\2f2\0\2");
  put(code, 3), put(code, (uint8_t)(shape.count - HOSTS + 1)), put(code, (uint8_t)(shape.count - HOSTS));
  for (unsigned i = HOSTS; i < shape.count; i++) put(code, shape.types[i]);
  PUT(code, "\4\4\1\x70\0\x0c\5\4\1\1\1\2\6\6\1\x7f\1\x41\0\x0b\7\7\1\3run\0\3");
  if (flags & 1 && shape.types[HOSTS] == 0) PUT(code, "\x08\1\3");
  put(code, 9), put(code, (uint8_t)(shape.count + 6)), PUT(code, "\1\0\x41\0\x0b"), put(code, (uint8_t)shape.count);
  for (unsigned i = 0; i < shape.count; i++) put(code, (uint8_t)i);
  put(code, 10);
  size_t start = begin(code);
  put(code, (uint8_t)(shape.count - HOSTS));
  for (unsigned i = HOSTS; i < shape.count; i++) put_body(code, recipe, &shape, shape.types[i]);
  end(code, start);
  return (flags & 2) != 0;
}

/* ---- what goes on around it ---- */
typedef struct World {
  Recipe script;             /* read round and round */
  lun_store *store;
  lun_module *module;
  lun_imports *imports;
  lun_instance *instances[INSTANCES];
  unsigned instance_count, nesting, actions;
  lun_attachment *extras[EXTRAS];
  lun_pairing *pairing;      /* or a guard */
  jmp_buf *guard;            /* the innermost */
  bool jumps;                /* the listener at work is to leave so */
} World;

static uint8_t next_byte(World *world) {
  if (world->script.size == 0 || world->actions == 0) return 0;
  world->actions--;
  if (world->script.at >= world->script.size) world->script.at = 0;
  return world->script.bytes[world->script.at++];
}

static lun_status enter(World *world, uint8_t which, lun_error *error) {
  if (world->instance_count == 0 || world->nesting >= NESTING) return LUN_OK;
  lun_instance *instance = world->instances[which % world->instance_count];
  lun_function *function = which & 0x80 ? lun_instance_function(instance, "run")
                                        : lun_instance_function_at(instance, which % (HOSTS + FUNCTIONS_MAX));
  if (!function) return LUN_OK;
  uint64_t slots[4] = { 3, 0x3f800000 }, fuel[2] = { FUEL };
  lun_global *global = world->nesting == 0 ? lun_instance_global(instance, 0) : NULL;
  if (global) CHECK(lun_global_set(global, fuel));
  world->nesting++;
  lun_status status = lun_function_invoke(function, slots, slots, error);
  world->nesting--;
  return status;
}

static void enter_and_forget(World *world, uint8_t which) {
  lun_error error = LUN_ERROR_INIT;
  lun_status status = enter(world, which, &error);
  if (status != LUN_OK) fuzz_check_error(&error, status);
}

static void make_instance(World *world) {
  if (world->instance_count >= INSTANCES || world->nesting >= NESTING) return;
  lun_error error = LUN_ERROR_INIT;
  lun_instance *instance;
  world->nesting++;
  lun_status status = lun_instance_create(world->store, world->module, world->imports, NULL, &instance, &error);
  world->nesting--;
  if (status != LUN_OK) fuzz_check_error(&error, status);
  else if (world->instance_count < INSTANCES) world->instances[world->instance_count++] = instance;
}

static void hear_before(void *self, lun_call *call, const uint64_t *params);
static void hear_after(void *self, lun_call *call, const uint64_t *results);
static void hear_abort(void *self, lun_call *call, const lun_error *error);
static const lun_listener listeners[] = {
  { hear_before, hear_after, hear_abort }, { hear_before, NULL, NULL }, { NULL, hear_after, NULL }, { NULL, NULL, hear_abort },
};

static void act(World *world, lun_call *call);

static lun_choice choose(void *context, const lun_definition *definition, lun_instance *instance) {
  World *world = context;
  (void)instance;
  uint8_t pick = next_byte(world);
  if (pick == 0xfe) act(world, NULL);
  pick = (uint8_t)(pick + lun_definition_index(definition));
  return (lun_choice){ pick % 5 < 4 ? &listeners[pick % 5] : NULL, world };
}

/* ---- interceptors ---- */
static lun_status intercept_call(void *self, lun_call *call, const uint64_t *params, uint64_t *results, lun_error *error) {
  World *world = self;
  uint8_t what = next_byte(world);
  uint64_t other[2] = { 1, 0x40000000 }, got[2];
  lun_error own = LUN_ERROR_INIT;
  lun_status status = LUN_OK;
  CHECK(params == lun_call_params(call) && lun_call_intercepted(call) & LUN_INTERCEPTED);
  act(world, call);
  switch (what % 8) {
  case 0: break; /* answers */
  case 1: return lun_error_set(error, LUN_HOST, "on purpose");
  case 2: return lun_error_set(error, LUN_EXIT, "exit");
  case 3: /* proceeds, and takes what comes, or not; never twice */
    status = lun_call_proceed(call, other, results, &own);
    if (status != LUN_OK) fuzz_check_error(&own, status);
    CHECK(lun_call_proceed(call, NULL, got, NULL) == LUN_USAGE);
    if (what & 0x80) lun_call_fail(call, "on purpose");
    status = LUN_OK;
    break;
  default: status = lun_call_proceed(call, what & 0x80 ? other : NULL, results, error); break;
  }
  act(world, call);
  return status;
}

static void intercept_values(void *self, lun_call *call, uint64_t *values) {
  uint8_t what = next_byte(self);
  if (what & 1 && lun_definition_signature(lun_call_definition(call))->param_count) values[0] ^= what;
  act(self, call);
}

static lun_intercept_choice choose_interceptor(void *context, const lun_definition *definition, lun_instance *instance) {
  static const lun_interceptor kinds[] = {
    { intercept_call, NULL, NULL }, { NULL, intercept_values, NULL }, { NULL, NULL, intercept_values },
    { NULL, intercept_values, intercept_values },
  };
  World *world = context;
  (void)instance;
  uint8_t pick = (uint8_t)(next_byte(world) + lun_definition_index(definition));
  return (lun_intercept_choice){ pick % 6 < 4 ? &kinds[pick % 6] : NULL, world };
}

static void change_extra(World *world, uint8_t how) {
  lun_attachment **extra = &world->extras[how % EXTRAS], *now = *extra;
  if (now && how & 0x80) {
    lun_attachment_pause(now, how & 0x40);
  } else if (now) {
    *extra = NULL;
    lun_attachment_detach(now, how & 0x40 ? LUN_DROP : 0);
  } else {
    lun_attach_options options = { .params = how & 4, .time = how & 8, .reentrant = how & 16,
                                   .on_error = how & 32 ? LUN_ON_ERROR_STOP : LUN_ON_ERROR_REPORT };
    lun_attachment *made;
    lun_status status = next_byte(world) % 4 == 3
                          ? lun_store_intercept(world->store, choose_interceptor, world, &options, &made, NULL)
                          : lun_store_attach(world->store, choose, world, &options, &made, NULL);
    CHECK(status == LUN_OK);
    if (*extra) lun_attachment_detach(made, 0); /* its factory has attached meanwhile */
    else *extra = made;
  }
}

/* `call` is NULL in a factory. */
static void act(World *world, lun_call *call) {
  uint8_t what = next_byte(world), how = next_byte(world);
  switch (what % 16) {
  case 1: case 2: case 3: change_extra(world, how); break;
  case 4: case 5: enter_and_forget(world, how); break;
  case 6: if (call) lun_call_fail(call, "on purpose"); break;
  case 7: lun_store_interrupt(world->store); break;
  case 8: lun_store_expire(world->store); break;
  case 9: lun_store_stop(world->store, how); break;
  case 10: lun_store_poke(world->store); break;
  case 11: make_instance(world); break;
  case 12: if (world->instance_count && how >= 0xe0) lun_instance_close(world->instances[how % world->instance_count]); break;
  case 13: if (call) lun_snapshot_destroy(lun_call_snapshot(call)); break;
  case 14: world->jumps = how & 1; break;
  default: break;
  }
}

static void check_times(const lun_call *call) {
  uint64_t elapsed, own;
  CHECK(lun_call_elapsed(call, &elapsed) == lun_call_self_time(call, &own));
  if (lun_call_elapsed(call, &elapsed)) CHECK(own <= elapsed);
}

static lun_guarded stand_guard(void *self, void (*run)(void *argument), void *argument) {
  World *world = self;
  jmp_buf here, *outer = world->guard;
  unsigned nesting = world->nesting;
  if (next_byte(world) == 0x55) return LUN_GUARDED_NOT_ENTERED;
  world->guard = &here;
  lun_guarded ended = LUN_GUARDED_JUMPED;
  if (setjmp(here) == 0) {
    run(argument);
    ended = LUN_GUARDED_RETURNED;
  }
  world->guard = outer;
  CHECK(world->nesting == nesting);
  return ended;
}

static void act_and_leave(World *world, lun_call *call) {
  world->jumps = false;
  act(world, call);
  bool jumps = world->jumps;
  world->jumps = false;
  if (jumps && lun_call_can_jump(call)) longjmp(*world->guard, 1);
}

static void hear_before(void *self, lun_call *call, const uint64_t *params) {
  (void)params;
  act_and_leave(self, call);
}

static void hear_after(void *self, lun_call *call, const uint64_t *results) {
  (void)results;
  check_times(call);
  act_and_leave(self, call);
}

static void hear_abort(void *self, lun_call *call, const lun_error *error) {
  CHECK(error->kind != LUN_OK);
  check_times(call);
  act(self, call);
}

static lun_status host(void *self, lun_call *call, const uint64_t *params, uint64_t *results, lun_error *error) {
  World *world = self;
  (void)params, (void)results;
  uint8_t what = next_byte(world), how = next_byte(world);
  switch (what % 8) {
  case 1: return lun_error_set(error, LUN_HOST, "on purpose");
  case 2: return enter(world, how, error);
  case 3: enter_and_forget(world, how); return LUN_OK;
  case 4: return lun_error_set(error, LUN_EXIT, "exit");
  case 5: case 6: act(world, call); return LUN_OK;
  default: return LUN_OK;
  }
}

static lun_status at_safepoint(void *self, lun_error *error) {
  World *world = self;
  uint8_t what = next_byte(world);
  if (what % 4 == 1) change_extra(world, what);
  return what % 8 == 2 ? lun_error_set(error, LUN_INTERRUPTED, "on purpose") : LUN_OK;
}

static void add_host(World *world, const char *name, lun_signature signature) {
  lun_host_function function = { .module = "h", .name = name, .signature = signature, .callback = host, .self = world };
  CHECK(lun_imports_add_host(world->imports, &function, NULL) == LUN_OK);
}

static void add_hosts(World *world) {
  static const lun_type one[] = { LUN_I32 }, two[] = { LUN_I64, LUN_F32 }, three[] = { LUN_I32, LUN_I64 };
  CHECK(lun_imports_create(world->store, &world->imports, NULL) == LUN_OK);
  add_host(world, "f0", (lun_signature){ 0, 0, NULL, NULL });
  add_host(world, "f1", (lun_signature){ 1, 1, one, one });
  add_host(world, "f2", (lun_signature){ 2, 2, two, three });
}

static void run(World *world, bool guarded) {
  lun_store_on_safepoint(world->store, at_safepoint, world);
  lun_pairing_options options = { .walk_every = 7 };
  if (guarded) lun_store_set_guard(world->store, stand_guard, world);
  else CHECK(lun_pairing_create(world->store, &options, &world->pairing, NULL) == LUN_OK);
  for (int i = 0; i < ENTRIES; i++) {
    world->actions = ACTIONS;
    fuzz_watch(world->store, RUN_MS);
    if (world->instance_count == 0 || i % 6 == 5) make_instance(world);
    enter_and_forget(world, next_byte(world));
    lun_error error = LUN_ERROR_INIT;
    if (world->pairing && lun_pairing_check(world->pairing, &error) != LUN_OK) fuzz_fail(error.message, __FILE__, __LINE__);
    fuzz_unwatch(world->store);
  }
  if (guarded) return;
  lun_pairing_report report = lun_pairing_report_of(world->pairing);
  CHECK(report.befores == report.afters + report.aborts);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  static Buffer code;
  Recipe recipe = { bytes, size, 0 };
  World world = { .store = fuzz_store() };
  lun_error error = LUN_ERROR_INIT;
  code.size = 0;
  bool guarded = put_module(&code, &recipe);
  if (lun_module_create(world.store, code.bytes, code.size, NULL, &world.module, &error) != LUN_OK)
    fuzz_fail(error.message, __FILE__, __LINE__);
  size_t at = recipe.at < size ? recipe.at : size;
  world.script = (Recipe){ bytes + at, size - at, 0 };
  add_hosts(&world);
  run(&world, guarded);
  lun_pairing_destroy(world.pairing);
  lun_imports_destroy(world.imports);
  lun_module_destroy(world.module);
  lun_store_destroy(world.store);
  return 0;
}
