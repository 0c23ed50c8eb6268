/* SPDX-License-Identifier: MIT */
/* Stacks as numbers: a tree of call contexts, a node for each frame under each other frame that was seen there, found again
 * by a hash table. A stack's id is its innermost frame's node.
 *
 * A frame's node depends on its callers alone, and they stand still while it lives: the record of a call that is listened to
 * keeps it, and a walk ends at the first frame that has one. Where none has, consecutive stacks still have most of their outer
 * frames in common: a stack is compared with the one before, and only what differs is looked up. */
#include <stdlib.h>
#include <string.h>

#include "trace.h"

enum { TABLE_LEAST = 1024 };
#define BUDGET (UINT64_C(1) << 30)

/* A frame as one of a stack: whose it is, and the offset at which it stands; that of the innermost is left out. */
typedef struct Place {
  uintptr_t function;       /* its lowest bit: the host called it */
  uint32_t offset;          /* UINT32_MAX: none */
  uint32_t id;
  Record *record;           /* its own, or NULL */
} Place;

typedef struct Node {
  uintptr_t function;
  uint32_t outer;           /* the caller's node; 0: the host */
  uint32_t site;            /* the offset at which the caller stands */
} Node;

struct StackIds {
  Node *nodes;              /* by id, from 1 */
  uint32_t *table;          /* open addressing, a power of two; 0: free */
  Place *places, *former;   /* of the stack at hand and of the one before, innermost first */
  size_t places_room, former_count;
  uint32_t count, room, mask;
  uint64_t budget, refused, allowed; /* allowed: nodes that the stack at hand may take */
};

static StackIds *ids_of(Store *store) {
  if (!trace_ensure(store)) return NULL;
  Trace *trace = trace_of(store);
  if (!trace->stack_ids && (trace->stack_ids = calloc(1, sizeof *trace->stack_ids)) != NULL) trace->stack_ids->budget = BUDGET;
  return trace->stack_ids;
}

void stack_ids_destroy(StackIds *ids) {
  if (!ids) return;
  free(ids->nodes), free(ids->table), free(ids->places), free(ids->former);
  free(ids);
}

/* ---- the tree ---- */
_Static_assert(sizeof(Node) + 2 * sizeof(uint32_t) == STACK_BYTES, "what a node takes");

static uint64_t size_of_room(uint64_t room) { return room * sizeof(Node) + 2 * room * sizeof(uint32_t); }

static uint32_t slot_of(const StackIds *ids, const Node *node) {
  uint64_t key = (node->function ^ (uint64_t)node->outer << 32 ^ node->site) * UINT64_C(0x9e3779b97f4a7c15);
  key ^= key >> 29;
  uint32_t slot = (uint32_t)(key * UINT64_C(0xbf58476d1ce4e5b9) >> 32) & ids->mask;
  for (uint32_t id; (id = ids->table[slot]) != 0; slot = (slot + 1) & ids->mask) {
    const Node *known = &ids->nodes[id];
    if (known->function == node->function && known->outer == node->outer && known->site == node->site) break;
  }
  return slot;
}

/* The table has twice as many places as there may be nodes. */
static bool grow(StackIds *ids) {
  uint64_t room = ids->room ? (uint64_t)ids->room * 2 : TABLE_LEAST / 2;
  if (room > UINT32_MAX / 4 || size_of_room(room) > ids->budget) return false;
  uint32_t *table = calloc(room * 2, sizeof *table);
  Node *nodes = table ? realloc(ids->nodes, room * sizeof *nodes) : NULL;
  if (!nodes) {
    free(table);
    return false;
  }
  free(ids->table);
  ids->table = table;
  ids->nodes = nodes;
  ids->room = (uint32_t)room;
  ids->mask = (uint32_t)(room * 2 - 1);
  for (uint32_t id = 1; id <= ids->count; id++) table[slot_of(ids, &nodes[id])] = id;
  return true;
}

/* 0: there is no room for it. */
static uint32_t intern(StackIds *ids, Node node) {
  uint32_t slot = ids->table ? slot_of(ids, &node) : 0;
  if (ids->table && ids->table[slot]) return ids->table[slot];
  if (ids->allowed == 0) return 0;
  if (ids->count + 1 >= ids->room) {
    if (!grow(ids)) return 0;
    slot = slot_of(ids, &node);
  }
  ids->allowed--;
  ids->nodes[++ids->count] = node;
  ids->table[slot] = ids->count;
  return ids->count;
}

/* ---- a stack ---- */
/* The record of the call whose frame it is, where it is listened to. */
static Record *own_record(const lun_frame *frame) {
  Record *record = (Record *)frame->record; /* the store's own, never const */
  return record && record->kind == RECORD_CALL && record->fp == frame->slots ? record : NULL;
}

static bool add_place(StackIds *ids, size_t count, const lun_frame *frame) {
  if (UNLIKELY(count == ids->places_room)) {
    size_t room = count ? count * 2 : 64;
    Place *places = realloc(ids->places, room * sizeof *places);
    if (places) ids->places = places;
    Place *former = places ? realloc(ids->former, room * sizeof *former) : NULL;
    if (!former) return false;
    ids->former = former;
    ids->places_room = room;
  }
  ids->places[count] = (Place){ (uintptr_t)frame->function | frame->reentry,
                                count == 0 ? UINT32_MAX : (uint32_t)frame->offset, /* LUN_NO_OFFSET is UINT32_MAX then */
                                0, own_record(frame) };
  return true;
}

static void keep_node(Record *record, uint32_t id) {
  if (!record || (record->phase == PHASE_AFTER && record->tail)) return;
  record->node = id;
  record->flags |= RECORD_NODE;
}

/* Gives the innermost places their ids, from the outermost of them on. False: no room. */
static bool name_inner(StackIds *ids, size_t count, uint32_t outer, uint32_t site) {
  for (size_t i = count; i-- > 0;) {
    Place *place = &ids->places[i];
    place->id = intern(ids, (Node){ place->function, outer, site });
    if (place->id == 0) return false;
    keep_node(place->record, place->id);
    outer = place->id;
    site = place->offset;
  }
  return true;
}

/* The places are those of a whole stack. */
static bool name_all(StackIds *ids, size_t count) {
  size_t same = 0, most = count < ids->former_count ? count : ids->former_count;
  const Place *former = ids->former + ids->former_count;
  uint32_t outer = 0, site = UINT32_MAX;
  for (; same < most; same++) {
    Place *place = &ids->places[count - same - 1];
    former--;
    /* Its own offset says where its callee was called from: an id depends on the caller's. */
    if (place->function != former->function || (same > 0 && site != former[1].offset)) break;
    place->id = outer = former->id;
    site = place->offset;
    keep_node(place->record, outer);
  }
  bool well = name_inner(ids, count - same, outer, site);
  Place *places = ids->former;
  ids->former = ids->places;
  ids->places = places;
  ids->former_count = well ? count : 0;
  return well;
}

/* The id of a call whose caller's node is known, and stands in the next record. */
static uint32_t below_known(StackIds *ids, const Record *call) {
  const Word *ret = call->ret;
  const Record *caller = call->prev;
  if (!caller || caller->kind != RECORD_CALL || !(caller->flags & RECORD_NODE) || is_patched(ret) || ret == exit_word) return 0;
  return (uintptr_t)(caller->fp) == call->fp[-2] ? intern(ids, (Node){ (uintptr_t)(call->function), caller->node, ret[-1].offset })
                                                : 0;
}

/* 0: no room. */
static uint32_t walk_id(StackIds *ids, const Record *call) {
  size_t count = 0;
  for (lun_stack stack = lun_call_stack(call); lun_stack_next(&stack); count++) {
    const Record *record = own_record(&stack.frame);
    if (record && record->flags & RECORD_NODE && count > 0)
      return name_inner(ids, count, record->node, (uint32_t)stack.frame.offset) ? ids->places[0].id : 0;
    if (!add_place(ids, count, &stack.frame)) return 0;
  }
  return name_all(ids, count) ? ids->former[0].id : 0;
}

uint64_t stack_id_within(const lun_call *call, uint64_t nodes, uint64_t *made) {
  *made = 0;
  if (call->kind == RECORD_CALL && call->flags & RECORD_NODE) return call->node;
  StackIds *ids = ids_of(call->function->store);
  if (!ids) return 0;
  ids->allowed = nodes;
  uint32_t id = call->kind == RECORD_CALL ? below_known(ids, call) : 0;
  if (id) keep_node((Record *)call, id); /* the store's own, never const */
  else id = walk_id(ids, call);
  *made = nodes - ids->allowed;
  if (!id && ids->allowed > 0) ids->refused++;
  return id;
}

uint64_t lun_call_stack_id(const lun_call *call) {
  uint64_t made;
  return stack_id_within(call, UINT64_MAX, &made);
}

/* ---- and back ---- */
lun_snapshot *lun_store_stack_of(Store *store, uint64_t id) {
  const StackIds *ids = store->trace ? trace_of(store)->stack_ids : NULL;
  if (!ids || id == 0 || id > ids->count) return NULL;
  VEC(lun_frame) frames = { 0 };
  uint32_t offset = UINT32_MAX;
  bool well = true;
  for (uint32_t at = (uint32_t)id; at && well; at = ids->nodes[at].outer) {
    const Node *node = &ids->nodes[at];
    const Function *function = (const Function *)(node->function & ~(uintptr_t)1);
    lun_frame frame = { .definition = function->definition, .instance = function->instance,
                        .offset = offset == UINT32_MAX ? LUN_NO_OFFSET : offset, .is_host = function->callback != NULL,
                        .reentry = node->function & 1 };
    well = vec_push(&frames, frame);
    offset = node->site;
  }
  lun_snapshot *snapshot = well ? snapshot_of(frames.items, frames.count) : NULL;
  vec_clear(&frames);
  return snapshot;
}

lun_status lun_store_stack_budget(Store *store, uint64_t bytes, lun_error *error) {
  StackIds *ids = trace_ensure(store) ? ids_of(store) : NULL;
  if (!ids) return lun_error_set(error, LUN_NO_MEMORY, "out of memory");
  ids->budget = bytes;
  return LUN_OK;
}

lun_stack_report lun_store_stack_report(const Store *store) {
  const Trace *trace = store->trace;
  const StackIds *ids = trace ? trace->stack_ids : NULL;
  if (!ids) return (lun_stack_report){ .budget = BUDGET };
  return (lun_stack_report){ .stacks = ids->count, .bytes = size_of_room(ids->room), .budget = ids->budget, .refused = ids->refused };
}
