/* SPDX-License-Identifier: MIT */
/* What a callback can ask about its call. A lun_call is the call's record on the side stack; in a host function, the host
 * function's. Nothing here is computed before it is asked for. */
#include "trace.h"

static const Record *listened(const lun_call *call) {
  /* The listened call of a host function lies right below its own record. */
  if (call->kind != RECORD_HOST) return call->kind == RECORD_CALL ? call : NULL;
  const Record *below = call->prev;
  if (below && below->kind == RECORD_MARK && below->ret) below = below->prev;
  return below && below->kind == RECORD_CALL && below->fp == call->fp ? below : NULL;
}

static lun_attachment *attachment_of(const lun_call *call) {
  bool has = call->kind == RECORD_CALL || call->kind == RECORD_INTERCEPT;
  return has ? set_of(call)->choices[call->current]->attachment : NULL;
}

uint64_t lun_call_id(const lun_call *call) {
  if (call->kind == RECORD_INTERCEPT) return call->call_id;
  const Record *record = listened(call);
  return record ? record->id : 0;
}

/* Whether the attachment has heard that the call began and not yet that it ended: of the end, those behind the one at work have
 * been told. */
static bool is_open_for(const Record *record, const lun_attachment *attachment) {
  if (!record_heard_by(record, attachment)) return false;
  if (record->phase != PHASE_AFTER && record->phase != PHASE_ABORT) return true;
  const Set *set = set_of(record);
  const lun_attachment *at_work = set->choices[record->current]->attachment;
  for (uint32_t i = record->current; i < set->count && at_work != attachment; i++)
    if (set->choices[i]->attachment == attachment) return false;
  return true;
}

uint64_t lun_call_parent_id(const lun_call *call) {
  const lun_attachment *attachment = attachment_of(call);
  if (!attachment) return 0;
  for (const Record *record = call->prev; record; record = record->prev) {
    bool has = record->kind == RECORD_CALL || record->kind == RECORD_INTERCEPT;
    if (has && is_open_for(record, attachment)) return lun_call_id(record);
  }
  return 0;
}

uint64_t lun_call_tail_of(const lun_call *call) {
  if (call->kind == RECORD_INTERCEPT) return call->tail_of;
  const Record *record = listened(call);
  return record ? record->tail_of : 0;
}

const lun_definition *lun_call_tail(const lun_call *call) { 
  return call->phase == PHASE_AFTER && !(call->flags & RECORD_NODE) ? call->tail : NULL;
}

uint32_t lun_call_depth(const lun_call *call) { return record_depth((Record *)call); }
const lun_definition *lun_call_definition(const lun_call *call) { return call->function->definition; }
lun_function *lun_call_function(const lun_call *call) { return call->function; }
lun_instance *lun_call_instance(const lun_call *call) { return call->function->instance; }
lun_store *lun_call_store(const lun_call *call) { return call->function->store; }

lun_memory *lun_call_memory(const lun_call *call) {
  const Instance *instance = call->function->instance;
  return instance ? instance->memory : NULL;
}

lun_entry lun_call_entry(const lun_call *call) {
  if (true_return(call->fp, call) != exit_word) return LUN_ENTRY_NONE;
  const Record *record = call;
  while (record->kind != RECORD_MARK || record->ret) record = record->prev;
  bool exported = lun_definition_export_count(call->function->definition) > 0;
  return record->entry == LUN_ENTRY_EXPORT && !exported ? LUN_ENTRY_FUNCTION : (lun_entry)record->entry;
}

bool lun_call_caller(const lun_call *call, lun_frame *frame) {
  lun_stack stack = lun_call_stack(call);
  if (!lun_stack_next(&stack) || !lun_stack_next(&stack)) return false;
  *frame = stack.frame;
  return true;
}

void **lun_call_data(lun_call *call) { return attachment_of(call) ? &call->hearings[call->current].data : NULL; }

const uint64_t *lun_call_params(const lun_call *call) {
  if (call->kind == RECORD_INTERCEPT) return intercept_params(call);
  switch (call->phase) {
  case PHASE_BEFORE:
  case PHASE_HOST: return call->fp - 2 - call->function->type->slots;
  case PHASE_AFTER:
  case PHASE_ABORT: return attachment_of(call)->options.params ? call->params : NULL;
  default: return NULL;
  }
}

uint64_t lun_call_weight(const lun_call *call) {
  const lun_attachment *attachment = attachment_of(call);
  if (!attachment || !attachment->condition) return 1;
  return is_left_out(call, call->current) ? 0 : condition_weight(attachment->condition);
}

lun_attachment *lun_call_attachment(const lun_call *call) { return attachment_of(call); }

static inline bool can_jump(const lun_call *call) {
  return call->kind == RECORD_CALL && (call->flags & RECORD_JUMPS) != 0 && call->function->store->jumps;
}
bool lun_call_can_jump(const lun_call *call) { return can_jump(call); }

lun_brief lun_call_brief(lun_call *call) {
  if (UNLIKELY(!can_jump(call))) return (lun_brief){ NULL, NULL };
  return (lun_brief){ &call->function->definition->type->signature, &call->hearings[call->current].data };
}

lun_call *lun_store_call(lun_store *store) {
  Record *record = store->record;
  if (record && record->kind == RECORD_CALL && record->phase == PHASE_INTERCEPTED) record = record->prev;
  if (!record || record->kind == RECORD_BRIDGE || record->kind == RECORD_MARK) return NULL;
  return record->phase != PHASE_NONE ? record : NULL;
}
