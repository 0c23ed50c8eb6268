/* SPDX-License-Identifier: MIT */
/* The store: its stacks, its flags, what other threads may say to it, waiting; modules and types that belong to it. */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <lunette/lunette.h>

#include "engine.h"

enum {
  STACK_BYTES = 8 << 20,
  TABLE_ELEMENTS = 10000000,
  EXCEPTION_BYTES = 64 << 20,
  RUNS_MOST = 200,
  FRAME_LEAST = 2 * sizeof(Slot), /* no frame is smaller than its two header slots */
  HEARINGS = 112,                 /* listeners per call that are provided for from the start … */
  HEARINGS_LEAST = 8              /* … and where address space is short */
};

/* The side stack is address space only, until records are written: enough for each possible frame to have a record of each
 * kind, so that a traced run is exhausted at the same call as an untraced one. */
static bool map_records(Store *store, size_t hearings) {
  size_t frames = store->stack_bytes / FRAME_LEAST, record = 3 * sizeof(Record) + hearings * sizeof(Hearing);
  if (record > (SIZE_MAX / 4 - store->stack_bytes) / frames) return false;
  size_t bytes = frames * record + store->stack_bytes + (RUNS_MOST + 1) * sizeof(Record);
  if (store->records && !vec_grow(&store->former_records, 1)) return false;
  void *records = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (records == MAP_FAILED) return false;
  if (store->records) {
    /* Frames that were copied out of callbacks look there whether they are stale: they find zeros. */
    const RecordsMap former = { store->records, store->records_bytes };
    if (madvise(former.start, former.bytes, MADV_DONTNEED) != 0) memset(former.start, 0, (size_t)(store->record_free - store->records));
    store->former_records.items[store->former_records.count++] = former;
  }
  store->records = records;
  store->records_bytes = bytes;
  store->record_free = records;
  store->record_end = store->records + bytes;
  store->hearings = hearings;
  return true;
}

bool records_reserve(Store *store, size_t hearings) {
  if (hearings <= store->hearings) return true;
  return !store->record && map_records(store, hearings * 2);
}

static bool reserve_stack(Store *store) {
  size_t page = (size_t)sysconf(_SC_PAGESIZE);
  if (store->stack_bytes > SIZE_MAX / 64) return false;
  store->stack_bytes = (store->stack_bytes + page - 1) / page * page;
  char *stack = mmap(NULL, store->stack_bytes + page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (stack == MAP_FAILED) return false;
  store->stack = (Slot *)(void *)stack;
  store->true_limit = (uintptr_t)stack + store->stack_bytes;
  atomic_store(&store->limit, store->true_limit);
  return mprotect(stack, store->stack_bytes, PROT_READ | PROT_WRITE) == 0;
}

/* ---- limits ---- */
static uint32_t at_most(uint32_t limit, uint32_t most) { return limit && limit < most ? limit : most; }

void lun_store_set_limits(Store *store, const lun_limits *limits) {
  lun_limits l = *limits;
  if (l.max_module_bytes == 0 || l.max_module_bytes > LIMIT_MODULE_BYTES) l.max_module_bytes = LIMIT_MODULE_BYTES;
  l.max_types = at_most(l.max_types, LIMIT_TYPES);
  l.max_functions = at_most(l.max_functions, LIMIT_FUNCTIONS);
  l.max_locals = at_most(l.max_locals, LIMIT_LOCALS);
  l.max_nesting = at_most(l.max_nesting, LIMIT_NESTING);
  l.max_body_bytes = at_most(l.max_body_bytes, LIMIT_BODY_BYTES);
  if (l.max_table_elements == 0) l.max_table_elements = TABLE_ELEMENTS;
  if (l.max_exception_bytes == 0) l.max_exception_bytes = EXCEPTION_BYTES;
  store->limits = l;
  if (l.fuel) store->fuel = l.fuel;
}

lun_limits lun_store_limits(const Store *store) { return store->limits; }
uint64_t lun_store_fuel(const Store *store) { return store->fuel; }
void lun_store_set_fuel(Store *store, uint64_t left) { store->fuel = left; }

lun_status lun_store_create(const lun_store_options *options, Store **out, lun_error *error) {
  *out = NULL;
  Store *store = calloc(1, sizeof *store);
  if (!store) return lun_error_set(error, LUN_NO_MEMORY, "out of memory");
  store->stack_bytes = options && options->stack_bytes ? options->stack_bytes : STACK_BYTES;
  store->max_runs = at_most(options ? options->max_runs : 0, RUNS_MOST);
  lun_store_set_limits(store, options ? &options->limits : &(lun_limits){ 0 });
  store->error = (lun_error)LUN_ERROR_INIT;
  store->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (store->wake_fd < 0) {
    lun_error_set(error, LUN_NO_MEMORY, "no descriptor for the store: %s", strerror(errno));
    lun_store_destroy(store);
    return LUN_NO_MEMORY;
  }
  if (!reserve_stack(store) || !(map_records(store, HEARINGS) || map_records(store, HEARINGS_LEAST))) {
    lun_error_set(error, LUN_NO_MEMORY, "no address space for the stacks: %s", strerror(errno));
    lun_store_destroy(store);
    return LUN_NO_MEMORY;
  }
  *out = store;
  return LUN_OK;
}

void lun_store_destroy(Store *store) {
  if (!store) return;
  if (store->hooks) store->hooks->destroy(store);
  for (Instance *in = store->instances, *next; in; in = next) {
    next = in->next;
    instance_free(in);
  }
  for (size_t i = 0; i < store->host_functions.count; i++) {
    host_entry_release(store->host_functions.items[i]->host);
    free(store->host_functions.items[i]);
  }
  for (size_t i = 0; i < store->memories.count; i++) {
    store->memories.items[i]->holders = 1;
    memory_drop(store->memories.items[i]);
    free(store->memories.items[i]);
  }
  for (size_t i = 0; i < store->tables.count; i++) {
    store->tables.items[i]->holders = 1;
    table_drop(store->tables.items[i]);
    free(store->tables.items[i]);
  }
  for (size_t i = 0; i < store->globals.count; i++) free(store->globals.items[i]);
  exceptions_destroy(store);
  for (size_t i = 0; i < store->modules.count; i++) module_release(store->modules.items[i]);
  vec_clear(&store->host_functions), vec_clear(&store->memories), vec_clear(&store->tables);
  vec_clear(&store->globals), vec_clear(&store->modules), vec_clear(&store->ranges);
  translator_destroy(store->translator);
  arena_clear(&store->arena);
  lun_error_clear(&store->error);
  free(store->listener_message);
  if (store->stack) munmap(store->stack, store->stack_bytes + (size_t)sysconf(_SC_PAGESIZE));
  if (store->records) munmap(store->records, store->records_bytes);
  for (size_t i = 0; i < store->former_records.count; i++)
    munmap(store->former_records.items[i].start, store->former_records.items[i].bytes);
  vec_clear(&store->former_records);
  if (store->wake_fd >= 0) close(store->wake_fd);
  free(store);
}

/* ---- flags ---- */
/* Async-signal-safe: two atomic stores and a write(2). */
static void wake(Store *store, uint32_t flag) {
  int saved = errno;
  uint64_t one = 1;
  store_raise(store, flag);
  /* A full counter wakes as well, so that a failure means nothing. */
  if (write(store->wake_fd, &one, sizeof one) < 0) errno = saved;
  errno = saved;
}

void lun_store_interrupt(Store *store) { wake(store, FLAG_INTERRUPT); }
void lun_store_expire(Store *store) { wake(store, FLAG_EXPIRE); }
void lun_store_poke(Store *store) { wake(store, FLAG_POKE); }

void lun_store_stop(Store *store, int32_t status) {
  if (!(atomic_load(&store->flags) & FLAG_STOP)) store->stop_status = status;
  store->pending = 1;
  wake(store, FLAG_STOP);
}

void lun_store_resume(Store *store) {
  if (store->runs > 0) return;
  atomic_store(&store->flags, 0);
  store->pending = 0;
  atomic_store(&store->limit, store->true_limit);
}

void lun_store_on_safepoint(Store *store, lun_safepoint on_safepoint, void *self) {
  store->on_safepoint = on_safepoint;
  store->on_safepoint_self = self;
}

void lun_store_set_guard(Store *store, lun_guard guard, void *self) {
  store->guard = guard;
  store->guard_self = self;
}

/* ---- the guest's clock ---- */
lun_stopped lun_store_clock_stop(Store *store) {
  const lun_stopped stopped = { store->timed ? clock_monotonic_ns() - store->watched_ns : 0, store->fence };
  store->fence = store->last_id;
  return stopped;
}

void lun_store_clock_go(Store *store, const lun_stopped *stopped) {
  if (store->timed && stopped->guest_ns) store->watched_ns = clock_monotonic_ns() - stopped->guest_ns;
  store->fence = stopped->last_call;
}

/* ---- waiting ---- */
void lun_store_on_wait(Store *store, lun_wait on_wait, void *self) {
  store->on_wait = on_wait;
  store->on_wait_self = self;
}

enum { WAIT_FDS = 64 };

/* What has been asked of the run, told as an error of the waiting host function. */
static lun_status wait_flags(Store *store, lun_error *error) {
  if (!atomic_load(&store->flags)) return LUN_OK;
  lun_status status = safepoint(store, NULL);
  if (status == LUN_OK) return LUN_OK;
  if (error && error->kind == LUN_OK) *error = store->error;
  else lun_error_clear(&store->error);
  store->error = (lun_error)LUN_ERROR_INIT;
  /* Also where the callback that waited takes no heed of it. */
  store->pending = 1;
  return status;
}

static int milliseconds(uint64_t deadline, bool endless) {
  if (endless) return -1;
  uint64_t now = clock_monotonic_ns();
  if (now >= deadline) return 0;
  uint64_t ms = (deadline - now + 999999) / 1000000;
  return ms > 1000000000 ? 1000000000 : (int)ms;
}

static lun_status wait_poll(Store *store, struct pollfd *all, struct pollfd *fds, size_t count, uint64_t deadline, bool endless,
                            lun_error *error) {
  for (;;) {
    lun_status status = wait_flags(store, error);
    if (status != LUN_OK) return status;
    for (size_t i = 0; i < count; i++) all[i] = fds[i];
    all[count] = (struct pollfd){ .fd = store->wake_fd, .events = POLLIN };
    int ready = poll(all, count + 1, milliseconds(deadline, endless));
    if (ready < 0 && errno != EINTR) return lun_error_set(error, LUN_HOST, "cannot wait: %s", strerror(errno));
    if (ready < 0) continue;
    if (all[count].revents) {
      uint64_t counter;
      if (read(store->wake_fd, &counter, sizeof counter) > 0) ready--;
      status = wait_flags(store, error);
      if (status != LUN_OK) return status;
    }
    for (size_t i = 0; i < count; i++) fds[i].revents = all[i].revents;
    if (ready > 0 || (!endless && clock_monotonic_ns() >= deadline)) return LUN_OK;
  }
}

lun_status lun_store_wait(Store *store, struct pollfd *fds, size_t count, int64_t timeout_ns, lun_error *error) {
  if (store->on_wait) return store->on_wait(store->on_wait_self, fds, count, timeout_ns, error);
  struct pollfd few[WAIT_FDS], *all = few;
  if (count >= WAIT_FDS) all = calloc(count + 1, sizeof *all);
  if (!all) return lun_error_set(error, LUN_NO_MEMORY, "out of memory");
  uint64_t now = clock_monotonic_ns();
  uint64_t deadline = timeout_ns < 0 ? 0 : now + (uint64_t)timeout_ns < now ? UINT64_MAX : now + (uint64_t)timeout_ns;
  lun_status status = wait_poll(store, all, fds, count, deadline, timeout_ns < 0, error);
  if (all != few) free(all);
  return status;
}

/* ---- types ---- */
static uint32_t hash_types(uint32_t hash, uint32_t count, const lun_type *types) {
  for (uint32_t i = 0; i < count; i++) hash = (hash ^ types[i]) * 16777619u;
  return (hash ^ count) * 16777619u;
}

const Type *type_intern(Store *store, const FunctionType *type) {
  const lun_signature *s = &type->signature;
  uint32_t hash = hash_types(hash_types(2166136261u, s->param_count, s->params), s->result_count, s->results);
  Type **bucket = &store->buckets[hash % COUNT_OF(store->buckets)];
  for (Type *t = *bucket; t; t = t->next)
    if (signature_equal(&t->type.signature, s)) return t;
  Type *t = arena_alloc(&store->arena, sizeof *t);
  lun_type *types = arena_array(&store->arena, (size_t)s->param_count + s->result_count + 1, sizeof *types);
  if (!t || !types || store->type_count == HEAP_SELF) return NULL;
  if (s->param_count) memcpy(types, s->params, s->param_count * sizeof *types);
  if (s->result_count) memcpy(types + s->param_count, s->results, s->result_count * sizeof *types);
  t->type.signature = (lun_signature){ s->param_count, s->result_count, types, types + s->param_count };
  for (uint32_t i = 0; i < s->param_count; i++) t->type.param_slots += lun_type_slots(types[i]);
  for (uint32_t i = 0; i < s->result_count; i++) t->type.result_slots += lun_type_slots(types[s->param_count + i]);
  for (uint32_t i = 0; i < s->param_count + s->result_count; i++) {
    if (type_is_reference(types[i]) && lun_type_top(types[i]) != types[i]) t->type.has_typed = true;
  }
  t->index = store->type_count++;
  t->slots = t->type.param_slots > t->type.result_slots ? t->type.param_slots : t->type.result_slots;
  t->next = *bucket;
  *bucket = t;
  return t;
}

lun_type type_in_store(const Instance *instance, lun_type type) {
  if (!type_has_index(type)) return type;
  return type_of_heap(instance->types[type_index(type)]->index, lun_type_is_nullable(type));
}

bool value_fits(lun_type type, const Type *self, Slot value) {
  if (!type_is_reference(type)) return true;
  if (value == 0) return lun_type_is_nullable(type);
  if (!type_has_index(type)) return true;
  const Function *function = (const Function *)(uintptr_t)value;
  uint32_t index = type_index(type);
  return index == HEAP_SELF ? function->type == self : function->type->index == index;
}

uint32_t values_misfit(const Type *self, const lun_type *types, uint32_t count, const Slot *values) {
  uint32_t i = 0;
  for (; i < count && value_fits(types[i], self, *values); i++) values += lun_type_slots(types[i]);
  return i;
}

/* ---- modules ---- */
lun_status lun_module_create(Store *store, const void *bytes, size_t size, const lun_module_options *options, Module **out,
                             lun_error *error) {
  *out = NULL;
  Module *module;
  lun_status status = module_decode(bytes, size, options, &store->limits, &module, error);
  if (status != LUN_OK) return status;
  status = module_validate(module, error);
  if (status != LUN_OK) {
    module_release(module);
    return status;
  }
  *out = module;
  return LUN_OK;
}

void lun_module_destroy(Module *module) { module_release(module); }


const char *lun_version(void) { return LUN_VERSION; }
