/* SPDX-License-Identifier: MIT */
/* Stores in several threads (R23): each has its module, instance, listeners and memory, and shares nothing with the others.
 *
 *   threads GUEST     the module that threads_spec.lua describes: fib(n); spin() never returns
 *
 * Each thread runs its guest with a listener and counts what it hears; another thread interrupts each of them once. */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include <lunette/lunette.h>

enum { THREADS = 4, ROUNDS = 8, N = 15, CALLS = 1973 };

static uint8_t bytes[4096];
static size_t size;

typedef struct Worker {
  pthread_t thread;
  lun_store *_Atomic store;
  _Atomic bool spinning, told;  /* told: the store is no longer used from outside */
  uint64_t befores, afters, aborts, wrong;
} Worker;

static void hear_before(void *self, lun_call *call, const uint64_t *params) {
  Worker *worker = self;
  (void)params;
  worker->befores++;
  if (lun_definition_signature(lun_call_definition(call))->param_count == 0) atomic_store(&worker->spinning, true);
}
static void hear_after(void *self, lun_call *call, const uint64_t *results) {
  Worker *worker = self;
  lun_stack stack = lun_call_stack(call);
  (void)results;
  worker->afters++;
  if (!lun_stack_next(&stack) || stack.frame.definition != lun_call_definition(call)) worker->wrong++;
}
static void hear_abort(void *self, lun_call *call, const lun_error *error) {
  Worker *worker = self;
  (void)call;
  worker->aborts++;
  if (error->kind != LUN_INTERRUPTED) worker->wrong++;
}
static const lun_listener listener = { hear_before, hear_after, hear_abort };

static lun_choice choose(void *context, const lun_definition *definition, lun_instance *instance) {
  (void)definition, (void)instance;
  return (lun_choice){ &listener, context };
}

static void *work(void *argument) {
  Worker *worker = argument;
  lun_error error = LUN_ERROR_INIT;
  lun_store *store;
  lun_module *module;
  lun_instance *instance;
  lun_attachment *attachment;
  if (lun_store_create(NULL, &store, &error) != LUN_OK ||
      lun_module_create(store, bytes, size, NULL, &module, &error) != LUN_OK ||
      lun_store_attach(store, choose, worker, NULL, &attachment, &error) != LUN_OK ||
      lun_instance_create(store, module, NULL, NULL, &instance, &error) != LUN_OK) {
    fprintf(stderr, "%s\n", error.message);
    exit(1);
  }
  lun_module_destroy(module);
  for (int round = 0; round < ROUNDS; round++) {
    uint64_t value = N;
    if (lun_function_invoke(lun_instance_function(instance, "fib"), &value, &value, &error) != LUN_OK || value != 610)
      worker->wrong++;
  }
  atomic_store(&worker->store, store);
  if (lun_function_invoke(lun_instance_function(instance, "spin"), NULL, NULL, &error) != LUN_INTERRUPTED) worker->wrong++;
  lun_error_clear(&error);
  while (!atomic_load(&worker->told)) sched_yield();
  lun_store_destroy(store);
  return NULL;
}

int main(int count, char **arguments) {
  static Worker workers[THREADS];
  FILE *file = count == 2 ? fopen(arguments[1], "rb") : NULL;
  if (!file) return 2;
  size = fread(bytes, 1, sizeof bytes, file);
  fclose(file);
  for (int i = 0; i < THREADS; i++)
    if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0) return 2;
  for (int i = 0; i < THREADS; i++) {
    while (!atomic_load(&workers[i].spinning)) sched_yield();
    lun_store_interrupt(atomic_load(&workers[i].store));
    atomic_store(&workers[i].told, true);
    pthread_join(workers[i].thread, NULL);
    const Worker *worker = &workers[i];
    printf("%s\n", worker->wrong == 0 && worker->befores == ROUNDS * CALLS + 1 && worker->afters == ROUNDS * CALLS &&
                           worker->aborts == 1 ? "well" : "R23 wrong");
  }
  return 0;
}
