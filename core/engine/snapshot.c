/* SPDX-License-Identifier: MIT */
/* Owned copies of the stack. At most the innermost SNAPSHOT_INNER and the outermost SNAPSHOT_OUTER frames: the outermost are
 * found by walking on with a ring of that size. */
#include <stdlib.h>

#include "engine.h"

enum { SNAPSHOT_INNER = 10000, SNAPSHOT_OUTER = 1000 };

struct lun_snapshot {
  uint32_t holders, count, gap;
  uint64_t omitted;
  VEC(lun_frame) frames;
};

static void keep(lun_snapshot *snapshot, const Walk *walk, uint64_t seen) {
  lun_frame frame = { .origin = NULL };
  walk_frame(walk, &frame);
  frame.slots = frame.function = NULL;
  if (seen < SNAPSHOT_INNER + SNAPSHOT_OUTER) {
    if (!vec_push(&snapshot->frames, frame)) snapshot->omitted++;
  } else {
    snapshot->frames.items[SNAPSHOT_INNER + (seen - SNAPSHOT_INNER) % SNAPSHOT_OUTER] = frame;
  }
}

static void reverse(lun_frame *frames, size_t from, size_t to) {
  for (; from + 1 < to; from++, to--) {
    lun_frame frame = frames[from];
    frames[from] = frames[to - 1];
    frames[to - 1] = frame;
  }
}

lun_snapshot *snapshot_take(Walk walk) {
  lun_snapshot *snapshot = calloc(1, sizeof *snapshot);
  if (!snapshot) return NULL;
  snapshot->holders = 1;
  uint64_t seen = 0;
  bool full = false;
  if (walk.function) {
    do {
      /* When memory fails, what fitted stays and the rest is counted. */
      if (full) snapshot->omitted++;
      else keep(snapshot, &walk, seen++);
      full = full || snapshot->omitted > 0;
    } while (walk_next(&walk));
  }
  snapshot->count = (uint32_t)snapshot->frames.count;
  snapshot->gap = snapshot->count;
  if (seen > SNAPSHOT_INNER + SNAPSHOT_OUTER && !full) {
    /* The ring's oldest frame first. */
    size_t start = SNAPSHOT_INNER + (size_t)((seen - SNAPSHOT_INNER) % SNAPSHOT_OUTER);
    reverse(snapshot->frames.items, SNAPSHOT_INNER, start);
    reverse(snapshot->frames.items, start, snapshot->count);
    reverse(snapshot->frames.items, SNAPSHOT_INNER, snapshot->count);
    snapshot->omitted = seen - snapshot->count;
    snapshot->gap = SNAPSHOT_INNER;
  }
  return snapshot;
}

lun_snapshot *lun_snapshot_retain(lun_snapshot *snapshot) {
  if (snapshot) snapshot->holders++;
  return snapshot;
}

void lun_snapshot_destroy(lun_snapshot *snapshot) {
  if (!snapshot || --snapshot->holders > 0) return;
  vec_clear(&snapshot->frames);
  free(snapshot);
}

uint32_t lun_snapshot_count(const lun_snapshot *snapshot) { return snapshot->count; }
uint64_t lun_snapshot_omitted(const lun_snapshot *snapshot) { return snapshot->omitted; }
uint32_t lun_snapshot_gap(const lun_snapshot *snapshot) { return snapshot->gap; }
const lun_frame *lun_snapshot_frame(const lun_snapshot *snapshot, uint32_t index) {
  return index < snapshot->count ? &snapshot->frames.items[index] : NULL;
}

void lun_error_clear(lun_error *error) {
  if (!error) return;
  if (error->detail) free(error->detail);
  lun_snapshot_destroy(error->stack);
  lun_exception_release(error->exception);
  *error = (lun_error)LUN_ERROR_INIT;
}
