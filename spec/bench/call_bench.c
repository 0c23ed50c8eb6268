/* SPDX-License-Identifier: MIT */
/* What a call costs: untraced, with a listener in C that does nothing, with a before and an after in Lua that do nothing;
 * and, as the yardstick, a bare lua_pcall of the same Lua function with an object and an integer, in the same process. The
 * rounds of all rows are interleaved, so that a slow phase of the machine hits all alike; medians and best are printed.
 *
 *     call_bench FIB.wasm        (fib.wat compiled; LUA_PATH as for a Lua program that requires lunette) */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <lunette/lunette.h>

#include "binding.h"

enum { ROUNDS = 15, N = 24, N_LUA = 20, PCALLS = 200000, DEPTH = 20, LEAVES = 100000 };

typedef struct Bench {
  lua_State *L;
  int session;                  /* stack indexes */
  int on, on_timed, detach, arm, stop;  /* registry references */
  lun_writer *writer;           /* watches the script loop */
  lun_store *store;
  lun_function *fib, *deep;
  lun_error error;
} Bench;

static double now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* How many calls fib(n) makes, itself included. */
static double calls_of(int n) {
  double a = 1, b = 1;
  for (int i = 2; i <= n; i++) {
    double next = a + b + 1;
    a = b, b = next;
  }
  return b;
}

static void give_up(const char *what, const char *why) {
  fprintf(stderr, "call_bench: %s: %s\n", what, why);
  exit(1);
}

static double time_fib(Bench *bench, int n) {
  uint64_t value = (uint64_t)n;
  double start = now_ns();
  if (lun_function_invoke(bench->fib, &value, &value, &bench->error) != LUN_OK) give_up("fib", bench->error.message);
  return (now_ns() - start) / calls_of(n);
}

static double row_untraced(Bench *bench) { return time_fib(bench, N); }

static void hear(void *self, lun_call *call, const uint64_t *values) { (void)self, (void)call, (void)values; }
static const lun_listener silent_before = { .before = hear };
static const lun_listener silent_pair = { .before = hear, .after = hear };

static double frames_walked;
static void walk(void *self, lun_call *call, const uint64_t *values) {
  lun_stack stack = lun_call_stack(call);
  uint64_t frames = 0;
  while (lun_stack_next(&stack)) frames++;
  frames_walked += (double)frames;
  (void)self, (void)values;
}
static const lun_listener walking_before = { .before = walk };

static void ask_id(void *self, lun_call *call, const uint64_t *values) {
  if (lun_call_stack_id(call) == 0) give_up("stack id", "refused");
  (void)self, (void)values;
}
static const lun_listener asking_before = { .before = ask_id };

static lun_choice choose(void *context, const lun_definition *definition, lun_instance *instance) {
  (void)definition, (void)instance;
  return (lun_choice){ context, NULL };
}

static lun_attachment *attach(Bench *bench, const lun_listener *listener) {
  lun_attachment *attachment;
  union { const lun_listener *listener; void *context; } choice = { .listener = listener };
  if (lun_store_attach(bench->store, choose, choice.context, NULL, &attachment, &bench->error) != LUN_OK)
    give_up("attach", bench->error.message);
  return attachment;
}

static double time_listener(Bench *bench, const lun_listener *listener) {
  lun_attachment *attachment = attach(bench, listener);
  double ns = time_fib(bench, N);
  lun_attachment_detach(attachment, 0);
  return ns;
}

static double row_c_before(Bench *bench) { return time_listener(bench, &silent_before); }
static double row_c_pair(Bench *bench) { return time_listener(bench, &silent_pair); }

/* ---- aggregations, by function ---- */
static lun_choice choose_aggregate(void *context, const lun_definition *definition, lun_instance *instance) {
  lun_choice choice;
  if (lun_aggregate_choose(context, instance, definition, false, &choice, NULL) != LUN_OK) give_up("choose", "out of memory");
  return choice;
}

static double time_aggregate(Bench *bench, lun_aggregate_kind kind, lun_source source) {
  const lun_reading name = { .source = LUN_SOURCE_NAME }, value = { .source = source };
  const lun_aggregate_options options = { .kind = kind, .keys = &name, .key_count = 1,
                                          .value = kind == LUN_AGGREGATE_COUNT ? NULL : &value };
  lun_attach_options attach_options = { 0 };
  lun_aggregate *aggregate;
  lun_attachment *attachment;
  if (lun_aggregate_create(&options, &aggregate, &bench->error) != LUN_OK) give_up("aggregate", bench->error.message);
  lun_aggregate_needs(aggregate, &attach_options);
  if (lun_store_attach(bench->store, choose_aggregate, aggregate, &attach_options, &attachment, &bench->error) != LUN_OK)
    give_up("attach", bench->error.message);
  double ns = time_fib(bench, N);
  if ((double)lun_aggregate_tally(aggregate, 0).count != calls_of(N)) give_up("aggregate", "it has not counted every call");
  lun_attachment_detach(attachment, 0);
  lun_aggregate_destroy(aggregate);
  return ns;
}

static double row_count(Bench *bench) { return time_aggregate(bench, LUN_AGGREGATE_COUNT, LUN_SOURCE_COUNT); }
static double row_hist(Bench *bench) { return time_aggregate(bench, LUN_AGGREGATE_HIST, LUN_SOURCE_ARG); }
static double row_latency(Bench *bench) { return time_aggregate(bench, LUN_AGGREGATE_QUANTILE, LUN_SOURCE_ELAPSED); }

static double row_clock(Bench *bench) {
  double start = now_ns();
  (void)bench;
  for (int i = 0; i < PCALLS; i++) now_ns();
  return (now_ns() - start) / PCALLS;
}

/* A frame of a walk over the whole stack, in a before of each call. */
static double row_walk(Bench *bench) {
  double before = time_listener(bench, &silent_before);
  frames_walked = 0;
  double walking = time_listener(bench, &walking_before);
  return (walking - before) * calls_of(N) / frames_walked;
}

static double time_leaves(Bench *bench, const lun_listener *listener) {
  lun_attachment *attachment = attach(bench, listener);
  uint64_t values[] = { DEPTH - 2, LEAVES };
  double start = now_ns();
  if (lun_function_invoke(bench->deep, values, values, &bench->error) != LUN_OK) give_up("deep", bench->error.message);
  double ns = (now_ns() - start) / LEAVES;
  lun_attachment_detach(attachment, 0);
  return ns;
}

/* In a before of each call, most of which have DEPTH frames. */
static double row_stack_id(Bench *bench) {
  double before = time_leaves(bench, &silent_before);
  return time_leaves(bench, &asking_before) - before;
}

static void call_lua(Bench *bench, int reference) {
  lua_rawgeti(bench->L, LUA_REGISTRYINDEX, reference);
  if (lua_pcall(bench->L, 0, 0, 0) != LUA_OK) give_up("Lua", lua_tostring(bench->L, -1));
}

static double time_lua(Bench *bench, int on) {
  call_lua(bench, on);
  double ns = time_fib(bench, N_LUA);
  call_lua(bench, bench->detach);
  return ns;
}

static double row_lua_pair(Bench *bench) { return time_lua(bench, bench->on); }
static double row_lua_timed(Bench *bench) { return time_lua(bench, bench->on_timed); }

/* The script loop with a timer that does not strike meanwhile. */
static double row_timer(Bench *bench) {
  call_lua(bench, bench->arm);
  double ns = time_fib(bench, N);
  call_lua(bench, bench->stop);
  return ns;
}

static double row_pcall(Bench *bench) {
  lua_State *L = bench->L;
  if (luaL_loadstring(L, "return function(call, n) end") != LUA_OK || lua_pcall(L, 0, 1, 0) != LUA_OK) give_up("Lua", "load");
  lua_newuserdatauv(L, sizeof(void *), 0);
  double start = now_ns();
  for (int i = 0; i < PCALLS; i++) {
    lua_pushvalue(L, -2);
    lua_pushvalue(L, -2);
    lua_pushinteger(L, i);
    if (lua_pcall(L, 2, 0, 0) != LUA_OK) give_up("Lua", lua_tostring(L, -1));
  }
  double ns = (now_ns() - start) / PCALLS;
  lua_pop(L, 2);
  return ns;
}

/* What a row is held against, in ns over the untraced call: `aim`, and so many readings of the clock or times two calls of the
 * yardstick, and what another row takes. */
static const struct Row {
  const char *title;
  double (*run)(Bench *);
  double aim, clocks, pairs;
  bool is_whole;             /* its time is not that of a guest's call */
  bool is_difference;        /* of two times: the least says nothing, the median stands for it */
  double (*other)(Bench *);
} rows[] = {
  { "a call, untraced", row_untraced, 0, 0, 0, false, false, NULL },
  { "the same, with a timer armed", row_timer, 0, 0, 0, false, false, NULL },
  { "with a C before", row_c_before, 0, 0, 0, false, false, NULL },
  { "with a C before and after", row_c_pair, 7, 0, 0, false, false, NULL },
  { "counted by function", row_count, 6, 0, 0, false, false, NULL },
  { "histogram of an argument", row_hist, 10, 0, 0, false, false, NULL },
  { "latency by function", row_latency, 15, 2, 0, false, false, NULL },
  { "a reading of the clock", row_clock, 0, 0, 0, true, false, NULL },
  { "a frame of a stack walk", row_walk, 4, 0, 0, true, true, NULL },
  { "a stack's id", row_stack_id, 25, 0, 0, true, true, NULL },
  { "with a Lua before and after", row_lua_pair, 0, 0, 1.25, false, false, NULL },
  { "the same with time=true", row_lua_timed, 0, 4, 0, false, false, row_lua_pair },  /* two readings an event */
  { "a bare lua_pcall", row_pcall, 0, 0, 0, true, false, NULL },
};
enum { ROWS = sizeof rows / sizeof *rows };

static int by_size(const void *a, const void *b) {
  double left = *(const double *)a, right = *(const double *)b;
  return left < right ? -1 : left > right;
}

static void load_guest(Bench *bench, const char *path) {
  static uint8_t bytes[4096];
  FILE *file = fopen(path, "rb");
  size_t size = file ? fread(bytes, 1, sizeof bytes, file) : 0;
  if (file) fclose(file);
  lun_module *module;
  lun_instance *instance;
  if (lun_store_create(NULL, &bench->store, &bench->error) != LUN_OK ||
      lun_module_create(bench->store, bytes, size, NULL, &module, &bench->error) != LUN_OK ||
      lun_instance_create(bench->store, module, NULL, NULL, &instance, &bench->error) != LUN_OK)
    give_up(path, bench->error.message);
  bench->fib = lun_instance_function(instance, "fib");
  bench->deep = lun_instance_function(instance, "deep");
}

/* The functions that attach and detach the Lua listener, as references. */
static void load_lua(Bench *bench) {
  static const char text[] =
    "local session = require('lunette.session').adopt(...)\n"
    "local lunette, attachment = require('lunette')\n"
    "local pair = { before = function(call, n) end, after = function(call, result) end }\n"
    "local timer\n"
    "return function() attachment = lunette.on('*', pair) end,\n"
    "  function() attachment = lunette.on('*', pair, { time = true }) end, function() attachment:detach() end,\n"
    "  function() timer = lunette.every(3600000, print) end, function() timer:stop() end\n";
  lua_State *L = bench->L;
  luaL_requiref(L, "lunette.core", luaopen_lunette_core, 0);
  if (lun_writer_create(NULL, &bench->writer, &bench->error) != LUN_OK) give_up("writer", bench->error.message);
  binding_adopt(L, &(binding_loan){ .store = bench->store, .writer = bench->writer });
  bench->session = lua_gettop(L);
  if (luaL_loadstring(L, text) != LUA_OK) give_up("Lua", lua_tostring(L, -1));
  lua_pushvalue(L, bench->session);
  if (lua_pcall(L, 1, 5, 0) != LUA_OK) give_up("Lua", lua_tostring(L, -1));
  bench->stop = luaL_ref(L, LUA_REGISTRYINDEX);
  bench->arm = luaL_ref(L, LUA_REGISTRYINDEX);
  bench->detach = luaL_ref(L, LUA_REGISTRYINDEX);
  bench->on_timed = luaL_ref(L, LUA_REGISTRYINDEX);
  bench->on = luaL_ref(L, LUA_REGISTRYINDEX);
}

static int row_of(double (*run)(Bench *)) {
  int row = 0;
  while (rows[row].run != run) row++;
  return row;
}

static void print_rows(double times[ROWS][ROUNDS]) {
  for (int row = 0; row < ROWS; row++) qsort(times[row], ROUNDS, sizeof(double), by_size);
  double untraced = times[row_of(row_untraced)][0], clock = times[row_of(row_clock)][0], pcall = times[row_of(row_pcall)][0];
  printf("%-30s %10s %10s %10s %10s\n", "ns", "median", "best", "over", "aim");
  for (int row = 0; row < ROWS; row++) {
    double best = times[row][rows[row].is_difference ? ROUNDS / 2 : 0];
    double aim = rows[row].aim + rows[row].clocks * clock + rows[row].pairs * 2 * pcall;
    if (rows[row].other) aim += times[row_of(rows[row].other)][0] - untraced;
    printf("%-30s %10.1f %10.1f", rows[row].title, times[row][ROUNDS / 2], best);
    if (rows[row].is_whole) printf(" %10s", "");
    else printf(" %10.1f", best - untraced);
    if (aim > 0) printf(" %10.1f", aim);
    printf("\n");
  }
}

int main(int argc, char **argv) {
  static double times[ROWS][ROUNDS];
  Bench bench = { .error = LUN_ERROR_INIT };
  if (argc != 2) give_up("usage", "call_bench FIB.wasm");
  bench.L = luaL_newstate();
  if (!bench.L) give_up("Lua", "out of memory");
  luaL_openlibs(bench.L);
  load_guest(&bench, argv[1]);
  load_lua(&bench);
  for (int round = 0; round < ROUNDS; round++)
    for (int row = 0; row < ROWS; row++) times[row][round] = rows[row].run(&bench);

  print_rows(times);
  binding_release(bench.L, bench.session);
  lun_writer_destroy(bench.writer);
  lun_store_destroy(bench.store);
  lua_close(bench.L);
  return 0;
}
