/* SPDX-License-Identifier: MIT */
/* Watching a global or a piece of memory: a listener that compares, at each entry and exit that it hears, what is there with
 * what it has kept from the last one. */
#include <lunette/change.h>
#include <stdlib.h>
#include <string.h>

#include "trace.h"

typedef struct Change {
  lun_change_target target;
  bool (*wants)(void *self, const lun_definition *definition, lun_instance *instance);
  lun_change_callback changed;
  void *self;
  lun_attach_options options;  /* the embedder's */
  size_t size;                 /* bytes */
  bool known;                  /* it has been read once */
  bool at_work;
  uint8_t *last, *other;
} Change;

/* NULL: it is not there now. */
static const void *present(Change *change, const lun_call *call) {
  if (change->target.global) return lun_global_get(change->target.global);
  if (!change->target.memory && call) change->target.memory = lun_call_memory(call);
  if (!change->target.memory) return NULL;
  uint64_t address = change->target.address;
  if (!lun_memory_is_64(change->target.memory)) address = (uint32_t)address;
  return lun_memory_read(change->target.memory, address, change->target.size);
}

static void check(Change *change, lun_call *call) {
  const void *now = present(change, call);
  if (!now || change->at_work) return;
  if (LIKELY(change->known && memcmp(change->last, now, change->size) == 0)) return;
  memcpy(change->other, now, change->size);
  uint8_t *old = change->last;
  change->last = change->other;
  change->other = old;
  bool is_first = !change->known;
  change->known = true;
  if (is_first || !call) return;
  change->at_work = true;
  change->changed(change->self, call, old, change->last);
  change->at_work = false;
}

static void before(void *self, lun_call *call, const uint64_t *params) {
  (void)params;
  check(self, call);
}

static void after(void *self, lun_call *call, const uint64_t *results) {
  (void)results;
  check(self, call);
}

static void abort_call(void *self, lun_call *call, const lun_error *error) {
  (void)error;
  check(self, call);
}

static lun_choice choose(void *context, const lun_definition *definition, lun_instance *instance) {
  static const lun_listener listener = { before, after, abort_call };
  const Change *change = context;
  if (change->wants && !change->wants(change->self, definition, instance)) return (lun_choice){ NULL, NULL };
  return (lun_choice){ &listener, context };
}

static void report(void *context, lun_attachment *attachment, lun_call *call, void *self, const char *message) {
  const Change *change = context;
  (void)self;
  change->options.report(change->self, attachment, call, change->self, message);
}

static void change_free(Change *change) {
  if (!change) return;
  free(change->last);
  free(change->other);
  free(change);
}

static void release(void *context) {
  Change *change = context;
  if (change->options.release) change->options.release(change->self);
  change_free(change);
}

static Change *change_create(const lun_change_target *target, size_t size) {
  Change *change = calloc(1, sizeof *change);
  if (!change) return NULL;
  *change = (Change){ .target = *target, .size = size, .last = malloc(size), .other = malloc(size) };
  if (change->last && change->other) return change;
  change_free(change);
  return NULL;
}

lun_status lun_store_on_change(Store *store, const lun_change_target *target,
                               bool (*wants)(void *self, const lun_definition *definition, lun_instance *instance),
                               lun_change_callback changed, void *self, const lun_attach_options *options, lun_attachment **out,
                               lun_error *error) {
  *out = NULL;
  if (!target->global && (target->size == 0 || target->size > LUN_CHANGE_MOST))
    return lun_error_set(error, LUN_USAGE, "from 1 to %u bytes can be watched", (unsigned)LUN_CHANGE_MOST);
  size_t size = target->global ? lun_type_slots(lun_global_type(target->global)) * sizeof(Slot) : (size_t)target->size;
  Change *change = change_create(target, size);
  if (!change) return lun_error_set(error, LUN_NO_MEMORY, "out of memory");
  change->wants = wants;
  change->changed = changed;
  change->self = self;
  if (options) change->options = *options;
  check(change, NULL);
  lun_attach_options own = change->options;
  own.report = own.report ? report : NULL;
  own.release = release;
  lun_status status = lun_store_attach(store, choose, change, &own, out, error);
  if (status != LUN_OK) change_free(change);
  return status;
}
