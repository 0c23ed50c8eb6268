/* SPDX-License-Identifier: MIT */
/* Owned copies of the stack. At most the innermost SNAPSHOT_INNER and the outermost SNAPSHOT_OUTER frames: the outermost are
 * found by walking on with a ring of that size. */
#include <stdlib.h>

#include "engine.h"

enum { SNAPSHOT_INNER = 10000, SNAPSHOT_OUTER = 1000, PARAMS_MOST = 1 << 20 };

/* Where a frame's params are among the values; NO_PARAMS: they were gone, or not asked for. */
typedef struct Params {
  uint32_t first;
  uint64_t written;        /* as frame_params gives it */
} Params;
enum { NO_PARAMS = UINT32_MAX };

struct lun_snapshot {
  uint32_t holders, count, gap;
  uint64_t omitted;
  VEC(lun_frame) frames;
  VEC(Params) params;      /* one per frame, or none at all */
  VEC(uint64_t) values;
};

static Params params_keep(lun_snapshot *snapshot, const Walk *walk) {
  Params params = { NO_PARAMS, 0 };
  const Slot *slots = frame_params(walk->function, walk->fp, walk->record, &params.written);
  uint32_t count = walk->function->type->type.param_slots;
  if (!slots || snapshot->values.count + count > PARAMS_MOST || !vec_grow(&snapshot->values, count)) return params;
  params.first = (uint32_t)snapshot->values.count;
  for (uint32_t i = 0; i < count; i++) snapshot->values.items[snapshot->values.count++] = slots[i];
  return params;
}

static void keep(lun_snapshot *snapshot, const Walk *walk, uint64_t seen, bool with_params) {
  lun_frame frame = { .origin = NULL };
  walk_frame(walk, &frame);
  frame.slots = frame.function = NULL;
  Params params = { NO_PARAMS, 0 };
  if (with_params) params = params_keep(snapshot, walk);
  if (seen < SNAPSHOT_INNER + SNAPSHOT_OUTER) {
    if (with_params && !vec_grow(&snapshot->params, 1)) snapshot->omitted++;
    else if (!vec_push(&snapshot->frames, frame)) snapshot->omitted++;
    else if (with_params) snapshot->params.items[snapshot->params.count++] = params;
  } else {
    size_t place = SNAPSHOT_INNER + (seen - SNAPSHOT_INNER) % SNAPSHOT_OUTER;
    snapshot->frames.items[place] = frame;
    if (with_params) snapshot->params.items[place] = params;
  }
}

static void reverse(lun_snapshot *snapshot, size_t from, size_t to) {
  for (; from + 1 < to; from++, to--) {
    lun_frame frame = snapshot->frames.items[from];
    snapshot->frames.items[from] = snapshot->frames.items[to - 1];
    snapshot->frames.items[to - 1] = frame;
    if (!snapshot->params.count) continue;
    Params params = snapshot->params.items[from];
    snapshot->params.items[from] = snapshot->params.items[to - 1];
    snapshot->params.items[to - 1] = params;
  }
}

lun_snapshot *snapshot_take(Walk walk, bool with_params) {
  lun_snapshot *snapshot = calloc(1, sizeof *snapshot);
  if (!snapshot) return NULL;
  snapshot->holders = 1;
  uint64_t seen = 0;
  bool full = false;
  if (walk.function) {
    do {
      /* When memory fails, what fitted stays and the rest is counted. */
      if (full) snapshot->omitted++;
      else keep(snapshot, &walk, seen++, with_params);
      full = full || snapshot->omitted > 0;
    } while (walk_next(&walk));
  }
  snapshot->count = (uint32_t)snapshot->frames.count;
  snapshot->gap = snapshot->count;
  if (seen > SNAPSHOT_INNER + SNAPSHOT_OUTER && !full) {
    /* The ring's oldest frame first. */
    size_t start = SNAPSHOT_INNER + (size_t)((seen - SNAPSHOT_INNER) % SNAPSHOT_OUTER);
    reverse(snapshot, SNAPSHOT_INNER, start);
    reverse(snapshot, start, snapshot->count);
    reverse(snapshot, SNAPSHOT_INNER, snapshot->count);
    snapshot->omitted = seen - snapshot->count;
    snapshot->gap = SNAPSHOT_INNER;
  }
  return snapshot;
}

lun_snapshot *snapshot_of(const lun_frame *frames, size_t count) {
  lun_snapshot *snapshot = calloc(1, sizeof *snapshot);
  bool well = snapshot != NULL;
  for (size_t i = 0; i < count && well; i++) well = vec_push(&snapshot->frames, frames[i]);
  if (well) {
    snapshot->holders = 1;
    snapshot->count = snapshot->gap = (uint32_t)count;
    return snapshot;
  }
  if (snapshot) vec_clear(&snapshot->frames);
  free(snapshot);
  return NULL;
}

lun_snapshot *lun_snapshot_retain(lun_snapshot *snapshot) {
  if (snapshot) snapshot->holders++;
  return snapshot;
}

void lun_snapshot_destroy(lun_snapshot *snapshot) {
  if (!snapshot || --snapshot->holders > 0) return;
  vec_clear(&snapshot->frames);
  vec_clear(&snapshot->params);
  vec_clear(&snapshot->values);
  free(snapshot);
}

uint32_t lun_snapshot_count(const lun_snapshot *snapshot) { return snapshot->count; }
uint64_t lun_snapshot_omitted(const lun_snapshot *snapshot) { return snapshot->omitted; }
uint32_t lun_snapshot_gap(const lun_snapshot *snapshot) { return snapshot->gap; }
const lun_frame *lun_snapshot_frame(const lun_snapshot *snapshot, uint32_t index) {
  return index < snapshot->count ? &snapshot->frames.items[index] : NULL;
}

const uint64_t *lun_snapshot_params(const lun_snapshot *snapshot, uint32_t index, bool *exact) {
  if (index >= snapshot->params.count || snapshot->params.items[index].first == NO_PARAMS) return NULL;
  if (exact) *exact = snapshot->params.items[index].written == 0;
  static const uint64_t none[1];
  return snapshot->values.items ? snapshot->values.items + snapshot->params.items[index].first : none;
}

bool lun_snapshot_exact(const lun_snapshot *snapshot, uint32_t index, uint32_t param) {
  if (index >= snapshot->params.count) return false;
  const Params *params = &snapshot->params.items[index];
  return params->first != NO_PARAMS && !is_written(params->written, param);
}

void lun_error_clear(lun_error *error) {
  if (!error) return;
  if (error->detail) free(error->detail);
  lun_snapshot_destroy(error->stack);
  lun_exception_release(error->exception);
  *error = (lun_error)LUN_ERROR_INIT;
}
