/* SPDX-License-Identifier: MIT */
/* The locals of a frame: their types from the body's first bytes, their values from the frame's first slots. Until the call has
 * begun the slots hold what was there before, and every local is zero. */
#include "trace.h"

typedef enum Presence { GONE, ZERO, PRESENT } Presence;

/* `record`: the topmost one that is not of a frame further in. */
static Presence presence(const Function *function, const Slot *fp, const Record *record) {
  for (; record && record->fp >= fp; record = record->prev) {
    if (record->fp != fp) continue;
    if (record->phase == PHASE_INTERCEPTED) return GONE;
    if (record->kind == RECORD_SAFEPOINT) return record->offset == body_offset(function->definition) ? ZERO : PRESENT;
    if (record->kind != RECORD_CALL) continue;
    if (record->phase == PHASE_AFTER) return GONE;
    if (record->phase == PHASE_BEFORE) return ZERO;
  }
  return PRESENT;
}

/* Walks over the groups of the body's declaration; *slots is how many they take. Fills in what there is room for. */
static uint32_t declared(const Definition *definition, lun_local *locals, uint32_t room, uint32_t *slots) {
  Bytes body = bytes_of(definition->body, definition->body_size);
  uint32_t count = 0, first = definition->type->signature.param_count;
  *slots = 0;
  for (uint32_t groups = bytes_u32(&body); groups > 0; groups--) {
    uint32_t more = bytes_u32(&body);
    lun_type type = value_type_read(&body, definition->module);
    *slots += more * lun_type_slots(type);
    for (; more > 0; more--, count++)
      if (count < room) locals[count] = (lun_local){ .index = first + count, .type = type };
  }
  return count;
}

size_t lun_frame_locals(const lun_frame *frame, lun_local *locals, size_t room) {
  const Record *origin = frame->origin;
  const Function *function = frame->function;
  if (!origin || frame->serial == 0 || origin->serial != frame->serial || function->callback) return 0;
  Presence where = presence(function, frame->slots, frame->record);
  if (where == GONE) return 0;
  uint32_t slots, places = room < UINT32_MAX ? (uint32_t)room : UINT32_MAX;
  uint32_t count = declared(function->definition, locals, places, &slots);
  /* Functions with very many slots have some of their own in front. */
  const Slot *slot = (const Slot *)frame->slots + (function->local_slots - slots);
  for (uint32_t i = 0; i < count && i < places; i++) {
    uint32_t width = lun_type_slots(locals[i].type);
    for (uint32_t w = 0; w < width && where == PRESENT; w++) locals[i].value[w] = slot[w];
    slot += width;
    locals[i].name = lun_definition_local_name_at(function->definition, locals[i].index, frame->offset);
  }
  return count;
}
