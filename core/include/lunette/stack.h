/* SPDX-License-Identifier: MIT */
/* The call stack, as a listener or a host function sees it: top first, first frame = this call, to the outermost
 * entry from the host, through host functions and re-entries, with no limit.
 *
 * A lun_stack is a borrowed view: a value of the caller's, restartable by taking it again, valid inside the callback
 * that it was taken in. A lun_snapshot is an owned copy of the frames: valid until it or its store is destroyed, also
 * after the callback and after the instances are closed. It costs nothing until asked for.
 *
 * Threads: those of the store. Definitions, instances and functions of frames belong to the store. */
#ifndef LUNETTE_STACK_H
#define LUNETTE_STACK_H

#include <lunette/instance.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct lun_frame {
  const lun_definition *definition;
  lun_instance *instance;     /* of a host function the importing one, or NULL */
  /* Bytes from the start of the code section's contents: of the call instruction; of the top frame the first
   * instruction of the body in before, the trapping one in abort by trap. LUN_NO_OFFSET: none (host; top in after). */
  uint64_t offset;
  bool is_host;
  bool reentry;               /* this frame was called from the host: a run begins here */
  const void *slots, *function, *origin, *record; /* private */
  uint64_t serial;            /* private */
} lun_frame;

typedef struct lun_stack {
  lun_frame frame;            /* after lun_stack_next: the frame it stands on */
  void *store, *record;       /* private */
  const void *origin, *ret;   /* private */
  uint64_t serial;            /* private */
} lun_stack;

/* Before the top frame. */
LUN_API lun_stack lun_call_stack(const lun_call *call);
/* Steps to the next frame further out; false: there is none. */
LUN_API bool lun_stack_next(lun_stack *stack);
/* The present values of the params of the frame it stands on (signature order, its slots). NULL: stale (the callback is
 * over), or gone (in after, unless the attachment keeps params). `exact`: false where the body writes a param. */
LUN_API const uint64_t *lun_stack_params(const lun_stack *stack, bool *exact);
/* The same for a frame copied out of a lun_stack; NULL when its callback is over. */
LUN_API const uint64_t *lun_frame_params(const lun_frame *frame, bool *exact);
/* Whether one of them, counted from 0, is what was passed: false where the body writes it (from the 64th on: one of those), or
 * where they are gone. */
LUN_API bool lun_frame_exact(const lun_frame *frame, uint32_t param);

/* The locals that a guest function declares, in order, as they are now; params are not among them. All of them are zero until
 * the call has begun, in before. Fills in the first `room` and gives how many there are; 0: none, stale, or gone (in after). */
typedef struct lun_local {
  uint32_t index;             /* params are counted first */
  lun_type type;
  const char *name;           /* or NULL; lun_definition_local_name_at the frame's offset */
  uint64_t value[2];          /* a v128 takes both */
} lun_local;
LUN_API size_t lun_frame_locals(const lun_frame *frame, lun_local *locals, size_t room);

/* NULL: out of memory. At most the innermost 10,000 and the outermost 1,000 frames; the rest is counted. */
LUN_API lun_snapshot *lun_call_snapshot(const lun_call *call);
LUN_API void lun_snapshot_destroy(lun_snapshot *snapshot);
LUN_API lun_snapshot *lun_snapshot_retain(lun_snapshot *snapshot);   /* one more holder; destroy gives up one */
LUN_API uint32_t lun_snapshot_count(const lun_snapshot *snapshot);
LUN_API const lun_frame *lun_snapshot_frame(const lun_snapshot *snapshot, uint32_t index); /* 0 = top; NULL: out of range */
/* The values of a frame's params when the snapshot was taken, owned by it; kept by the stack of an error alone. NULL: not
 * kept, or gone by then. `exact` (may be NULL): whether they are those that were passed. */
LUN_API const uint64_t *lun_snapshot_params(const lun_snapshot *snapshot, uint32_t index, bool *exact);
/* The same of one of them, counted from 0. */
LUN_API bool lun_snapshot_exact(const lun_snapshot *snapshot, uint32_t index, uint32_t param);
LUN_API uint64_t lun_snapshot_omitted(const lun_snapshot *snapshot);
/* Where the omitted frames were: after this many frames. */
LUN_API uint32_t lun_snapshot_gap(const lun_snapshot *snapshot);

/* ---- stacks as numbers ----
 * The same stack (functions, offsets, re-entries; of the innermost frame only the function) has the same id in its store,
 * from 1 on; each stack's callers have ids as well. 0: there was no room, see the report. Ids stay good until the store is
 * destroyed. */
LUN_API uint64_t lun_call_stack_id(const lun_call *call);
/* The stack of an id, without the innermost frame's offset. NULL: there is no such id, or no memory. */
LUN_API lun_snapshot *lun_store_stack_of(lun_store *store, uint64_t id);
/* How many bytes the stacks of a store may take, default 1 GiB (more than 20 million stacks). What is there already stays.
 * Fails with LUN_NO_MEMORY. */
LUN_API LUN_MUST_CHECK lun_status lun_store_stack_budget(lun_store *store, uint64_t bytes, lun_error *error);
typedef struct lun_stack_report {
  uint64_t stacks;   /* ids given */
  uint64_t bytes;    /* that they take */
  uint64_t budget;
  uint64_t refused;  /* how often there was no room */
} lun_stack_report;
LUN_API lun_stack_report lun_store_stack_report(const lun_store *store);

#ifdef __cplusplus
}
#endif
#endif
