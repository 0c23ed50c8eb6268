/* SPDX-License-Identifier: MIT */
/* From a validated body to the engine's code, in one pass, when a function is called for the first time. What comes out is
 * exactly sized and belongs to the function. A body whose frame needs slots beyond 16 bits is translated again in far mode.
 * The abstract operand stack and the branches are emit.c's. */
#include <stdlib.h>
#include <string.h>

#include "translator.h"

/* ---- numeric ---- */
static bool is_commutative(Op op) {
  switch (op) {
  case OP_I32_ADD: case OP_I32_MUL: case OP_I32_AND: case OP_I32_OR: case OP_I32_XOR:
  case OP_I64_ADD: case OP_I64_MUL: case OP_I64_AND: case OP_I64_OR: case OP_I64_XOR: return true;
  default: return false;
  }
}

/* The immediate of a constant operand: i32 as its signed value, i64 where 32 bits hold it. */
static bool immediate_of(const Operand *operand, bool is_i64, int32_t *out) {
  if (operand->kind != OPERAND_CONST) return false;
  int64_t value = is_i64 ? (int64_t)operand->value : (int64_t)(int32_t)(uint32_t)operand->value;
  *out = (int32_t)value;
  return value == *out;
}

static void translate_binary(Translator *t, Op op, bool may_swap, bool is_compare) {
  if (t->failed) return;
  int code = code_of_op[op];
  bool is_i64 = op_info[op].signature[0] == 'I';
  int32_t k;
  Operand *y = &t->operands.items[t->operands.count - 1], *x = y - 1;
  if (immediate_of(y, is_i64, &k)) {
    pop(t);
    int32_t a = pop_slot(t, 1);
    emit_result(t, code + 1, 1, a, k);
  } else if (may_swap && immediate_of(x, is_i64, &k)) {
    int32_t b = pop_slot(t, 1);
    pop(t);
    emit_result(t, (is_compare ? swapped_compare(code) : code) + 1, 1, b, k);
  } else {
    int32_t c = pop_slot(t, 2), b = pop_slot(t, 1);
    emit_result(t, code, 1, b, c);
  }
}

static void translate_numeric(Translator *t, Op op) {
  int code = code_of_op[op];
  switch ((OpClass)op_info[op].class) {
  case CLASS_IBINARY: translate_binary(t, op, is_commutative(op), false); break;
  case CLASS_ICOMPARE: translate_binary(t, op, true, true); break;
  case CLASS_TRAPPING_BINARY:
  case CLASS_FBINARY:
  case CLASS_FCOMPARE: {
    int32_t c = pop_slot(t, 2), b = pop_slot(t, 1);
    if (op_info[op].class == CLASS_TRAPPING_BINARY) mark_offset(t);
    emit_result(t, code, 1, b, c);
    break;
  }
  case CLASS_TEST:
    /* not (a < b) is a >= b */
    if (!t->failed && can_redirect(t, &t->operands.items[t->operands.count - 1]) && is_icompare(t->last_code)) {
      t->last_code = inverse_compare(t->last_code);
      t->code.items[t->last].handler = handler_of(t->last_code);
      break;
    } /* fall through */
  case CLASS_UNARY:
  case CLASS_TRAPPING_UNARY: {
    int32_t b = pop_slot(t, 1);
    if (op_info[op].class == CLASS_TRAPPING_UNARY) mark_offset(t);
    emit_result(t, code, 1, b, 0);
    break;
  }
  default: break; /* REINTERPRET: the slot holds the same bits */
  }
}

/* ---- locals and globals ---- */
static void translate_local_set(Translator *t, uint32_t local, bool tee) {
  if (t->failed) return;
  int32_t slot = t->local_slots.items[local];
  if (slot < 0) t->written_params |= UINT64_C(1) << (local < PARAMS_APART ? local : PARAMS_APART);
  Operand *top = &t->operands.items[t->operands.count - 1];
  bool same = top->kind == OPERAND_LOCAL && top->local == local;
  if (!same && t->local_uses.items[local] == 0 && can_redirect(t, top) && !t->far) {
    t->code.items[t->last].a = (int16_t)slot;
    pop(t);
  } else {
    Operand value = pop(t);
    if (!same) {
      settle_local(t, local);
      move_to(t, &value, slot);
    }
  }
  if (tee) push_local(t, local);
}

static void translate_global(Translator *t, uint32_t index, bool set) {
  Global_ *global = t->instance->globals[index];
  uint32_t width = lun_type_slots(global->type);
  if (set) {
    int32_t a = pop_slot(t, 1);
    emit(t, width == 1 ? CODE_GLOBAL_SET : CODE_GLOBAL_SET_V, a, 0, 0);
    emit_words(t, NULL, global->value);
  } else if (!global->is_mutable && width == 1) {
    push_const(t, global->value[0]);
  } else {
    emit_wide_result(t, width == 1 ? CODE_GLOBAL_GET : CODE_GLOBAL_GET_V, width, 0, 0, NULL, global->value);
  }
}

/* ---- control ---- */
static int32_t slots_of(uint32_t count, const lun_type *types) {
  int32_t slots = 0;
  for (uint32_t i = 0; i < count; i++) slots += (int32_t)lun_type_slots(types[i]);
  return slots;
}

void push_temps(Translator *t, uint32_t count, const lun_type *types) {
  for (uint32_t i = 0; i < count && !t->failed; i++) push_temp(t, lun_type_slots(types[i]));
}

Control *enter_block(Translator *t, ControlKind kind, const BlockType *type) {
  Control control = { .kind = (uint8_t)kind, .type = *type, .chain = -1, .otherwise = -1, .dead = t->dead };
  if (!t->dead && !t->failed) {
    control.operands = t->operands.count - type->param_count;
    control.base = t->height - slots_of(type->param_count, type->params);
  }
  if (!vec_push(&t->controls, control)) {
    t->failed = true;
    return NULL;
  }
  return &t->controls.items[t->controls.count - 1];
}

static void translate_block(Translator *t, Op op) {
  BlockType type = { 0 };
  if (!block_type_read(&t->body, t->module, &type)) t->failed = true;
  if (t->failed) return;
  Condition condition = { 0 };
  if (op == OP_IF) condition = take_condition(t);
  settle_locals(t);
  settle(t, type.param_count);
  ControlKind kind = op == OP_BLOCK ? CONTROL_BLOCK : op == OP_LOOP ? CONTROL_LOOP : CONTROL_IF;
  Control *control = enter_block(t, kind, &type);
  if (!control) return;
  control->label = (uint32_t)t->code.count;
  if (op == OP_IF) control->otherwise = (int32_t)emit_condition(t, condition, true, false);
  t->last = -1;
}

/* The values of a block's end, moved to their homes, and the way there from the branch of an `if` with no else. */
static void translate_else(Translator *t) {
  Control *control = control_at(t, 0);
  if (!t->dead) {
    settle(t, control->type.result_count);
    emit_branch(t, control);
  }
  if (t->failed) return;
  t->code.items[control->otherwise].c = (int32_t)t->code.count - control->otherwise;
  control->otherwise = -1;
  control->kind = CONTROL_ELSE;
  cut(t, control->operands, control->base);
  push_temps(t, control->type.param_count, control->type.params);
  t->dead = false;
  t->last = -1;
}

void translate_end(Translator *t) {
  Control *control = control_at(t, 0);
  if (control->kind == CONTROL_TRY_TABLE) close_try_table(t);
  bool is_function = control->kind == CONTROL_FUNCTION;
  bool reached = !t->dead;
  if (control->kind == CONTROL_IF) {
    if (t->failed) return;
    if (reached) settle(t, control->type.result_count);
    t->code.items[control->otherwise].c = (int32_t)t->code.count - control->otherwise;
    t->last = -1;
    reached = true;
  }
  if (is_function && reached && control->chain < 0) {
    emit_return(t);
  } else {
    /* Of a catch they lie one slot too high: below is the exception. */
    if (reached && control->kind == CONTROL_CATCH) move_label_values(t, control);
    else if (reached) settle(t, control->type.result_count);
    reached = reached || control->chain >= 0;
    place_label(t, control);
    if (!control->dead) {
      cut(t, control->operands, control->base);
      push_temps(t, control->type.result_count, control->type.results);
    }
    if (is_function && reached) emit_return(t);
  }
  t->dead = !reached;
  t->controls.count--;
}

/* An unconditional jump to the label, its values moved there. */
static void jump_to(Translator *t, Control *control) {
  move_label_values(t, control);
  if (control->kind != CONTROL_LOOP) {
    emit_branch(t, control);
    return;
  }
  mark_offset(t);
  link_branch(t, control, emit(t, CODE_LOOP, 0, 0, 0));
}

static void translate_br(Translator *t, uint32_t depth) {
  Control *control = control_at(t, depth);
  if (control->kind == CONTROL_FUNCTION) emit_return(t);
  else jump_to(t, control);
  t->dead = true;
}

/* A jump to the label where the condition holds; its values are settled. */
static void branch_on(Translator *t, Control *control, Condition condition) {
  if (label_values_in_place(t, control)) {
    link_branch(t, control, emit_condition(t, condition, false, control->kind == CONTROL_LOOP));
    return;
  }
  uint32_t around = emit_condition(t, condition, true, false);
  jump_to(t, control);
  if (!t->failed) t->code.items[around].c = (int32_t)(t->code.count - around);
  t->last = -1;
}

static void translate_br_if(Translator *t, uint32_t depth) {
  Control *control = control_at(t, depth);
  Condition condition = take_condition(t);
  const lun_type *types;
  settle(t, label_values(control, &types));
  branch_on(t, control, condition);
}

/* The reference on top, above the label's values, stays where it is not null. */
static void translate_br_on_null(Translator *t, uint32_t depth) {
  Control *control = control_at(t, depth);
  const lun_type *types;
  settle(t, label_values(control, &types) + 1);
  branch_on(t, control, (Condition){ .code = CODE_BR_NZ, .a = pop_slot(t, 1), .negated = true });
  push_temp(t, 1);
}

/* The reference on top, the last of the label's values, goes where it is null. */
static void translate_br_on_non_null(Translator *t, uint32_t depth) {
  Control *control = control_at(t, depth);
  const lun_type *types;
  settle(t, label_values(control, &types));
  Condition condition = { .code = CODE_BR_NZ, .a = pop_slot(t, 1) };
  push_temp(t, 1);
  branch_on(t, control, condition);
  pop(t);
}

/* The word of the table at `word` jumps to the label, through a stub where values must move. */
static void link_target(Translator *t, uint32_t word, uint32_t depth) {
  Control *control = control_at(t, depth);
  if (t->failed) return;
  if (label_values_in_place(t, control)) {
    link_branch(t, control, word);
    return;
  }
  if (control->stub_serial != t->tables) {
    control->stub = (uint32_t)t->code.count;
    control->stub_serial = t->tables;
    jump_to(t, control);
  }
  if (!t->failed) t->code.items[word].c = (int32_t)(control->stub - word);
}

static void translate_br_table(Translator *t) {
  uint32_t count = bytes_u32(&t->body);
  int32_t a = pop_slot(t, 1);
  Bytes targets = t->body;
  uint32_t depth = 0;
  for (uint32_t i = 0; i <= count; i++) depth = bytes_u32(&t->body);
  const lun_type *types;
  settle(t, label_values(control_at(t, depth), &types));
  t->tables++;
  mark_offset(t);
  uint32_t table = emit(t, CODE_BR_TABLE, a, 0, (int32_t)count);
  /* The words of the table can be where a safepoint ends the run. */
  for (uint32_t i = 0; i <= count && !t->failed; i++) {
    mark_offset(t);
    emit(t, CODE_BR, 0, 1, 0); /* b: a target, never run itself */
  }
  for (uint32_t i = 0; i <= count && !t->failed; i++) link_target(t, table + 1 + i, bytes_u32(&targets));
  t->dead = true;
}

/* ---- calls ---- */
/* Arguments to their homes; the distance from this frame to the callee's. The callee's header is written before the callee
 * checks the limit: it belongs to this frame's share. */
static uint32_t prepare_call(Translator *t, const FunctionType *type, uint32_t slots) {
  settle(t, type->signature.param_count);
  int32_t delta = t->height - (int32_t)type->param_slots + (int32_t)slots + 2;
  if (delta > t->frame_slots) t->frame_slots = delta;
  return (uint32_t)delta;
}

static void finish_call(Translator *t, const FunctionType *type, uint32_t delta) {
  Word *record = NULL;
  uint32_t word = emit_words(t, t->function, NULL);
  if (t->failed) return;
  record = &t->code.items[word];
  record->delta = delta;
  record->offset = t->offset;
  for (uint32_t i = 0; i < type->signature.param_count; i++) pop(t);
  push_temps(t, type->signature.result_count, type->signature.results);
}

static void translate_call(Translator *t, uint32_t index) {
  Function *callee = t->instance->functions[index];
  const FunctionType *type = &callee->type->type;
  uint32_t delta = prepare_call(t, type, callee->type->slots);
  mark_offset(t);
  uint32_t word = emit(t, callee->instance == t->instance ? CODE_CALL : CODE_CALL_BRIDGE, 0, 0, 0);
  if (!t->failed) t->code.items[word].callee = callee;
  finish_call(t, type, delta);
}

static void translate_call_indirect(Translator *t) {
  uint32_t type_index = bytes_u32(&t->body), table = bytes_u32(&t->body);
  const Type *type = t->instance->types[type_index];
  narrow_index(t, table);
  int32_t a = pop_slot(t, 1);
  uint32_t delta = prepare_call(t, &type->type, type->slots);
  mark_offset(t);
  emit(t, CODE_CALL_INDIRECT, a, 0, 0);
  emit_words(t, t->instance->tables[table], (void *)(uintptr_t)type);
  finish_call(t, &type->type, delta);
}

/* The record names the first argument's slot. Behind it a return: where somebody waits for what this frame returns, the callee
 * is called and comes back to it. */
static void finish_tail_call(Translator *t, const FunctionType *type) {
  uint32_t first = (uint32_t)(t->height - (int32_t)type->param_slots);
  finish_call(t, type, TAIL_RECORD | first);
  emit_return(t);
  t->dead = true;
}

static void translate_return_call(Translator *t, uint32_t index) {
  Function *callee = t->instance->functions[index];
  prepare_call(t, &callee->type->type, callee->type->slots);
  mark_offset(t);
  uint32_t word = emit(t, CODE_RETURN_CALL, 0, 0, 0);
  if (!t->failed) t->code.items[word].callee = callee;
  finish_tail_call(t, &callee->type->type);
}

static void translate_return_call_indirect(Translator *t) {
  uint32_t type_index = bytes_u32(&t->body), table = bytes_u32(&t->body);
  const Type *type = t->instance->types[type_index];
  narrow_index(t, table);
  int32_t a = pop_slot(t, 1);
  prepare_call(t, &type->type, type->slots);
  mark_offset(t);
  emit(t, CODE_RETURN_CALL_INDIRECT, a, 0, 0);
  emit_words(t, t->instance->tables[table], (void *)(uintptr_t)type);
  finish_tail_call(t, &type->type);
}

static void translate_call_ref(Translator *t, bool is_tail) {
  const Type *type = t->instance->types[bytes_u32(&t->body)];
  int32_t a = pop_slot(t, 1);
  uint32_t delta = prepare_call(t, &type->type, type->slots);
  mark_offset(t);
  emit(t, is_tail ? CODE_RETURN_CALL_REF : CODE_CALL_REF, a, 0, 0);
  if (is_tail) finish_tail_call(t, &type->type);
  else finish_call(t, &type->type, delta);
}

/* ---- the rest ---- */
static void translate_select(Translator *t) {
  int32_t condition = pop_slot(t, 3);
  uint32_t width = t->failed ? 1 : t->operands.items[t->operands.count - 1].width;
  int32_t y = pop_slot(t, 2), x = pop_slot(t, 1);
  emit_result(t, width == 1 ? CODE_SELECT : CODE_SELECT_V, width, condition, pair_operands(t, x, y));
}

static uint64_t constant_of(Translator *t, Op op) {
  switch (op) {
  case OP_I32_CONST: return (uint32_t)bytes_s32(&t->body);
  case OP_I64_CONST: return (uint64_t)bytes_s64(&t->body);
  case OP_F32_CONST: return bytes_u32le(&t->body);
  case OP_F64_CONST: return bytes_u64le(&t->body);
  case OP_REF_FUNC: return (uint64_t)(uintptr_t)t->instance->functions[bytes_u32(&t->body)];
  default: heap_type_read(&t->body, NULL); return 0; /* ref.null */
  }
}

static void translate_hand(Translator *t, Op op) {
  switch (op) {
  case OP_UNREACHABLE:
    mark_offset(t);
    emit(t, CODE_UNREACHABLE, 0, 0, 0);
    t->dead = true;
    break;
  case OP_NOP: break;
  case OP_BLOCK: case OP_LOOP: case OP_IF: translate_block(t, op); break;
  case OP_ELSE: translate_else(t); break;
  case OP_END: translate_end(t); break;
  case OP_BR: translate_br(t, bytes_u32(&t->body)); break;
  case OP_BR_IF: translate_br_if(t, bytes_u32(&t->body)); break;
  case OP_BR_TABLE: translate_br_table(t); break;
  case OP_RETURN: emit_return(t), t->dead = true; break;
  case OP_CALL: translate_call(t, bytes_u32(&t->body)); break;
  case OP_CALL_INDIRECT: translate_call_indirect(t); break;
  case OP_RETURN_CALL: translate_return_call(t, bytes_u32(&t->body)); break;
  case OP_RETURN_CALL_INDIRECT: translate_return_call_indirect(t); break;
  case OP_THROW: case OP_THROW_REF: case OP_RETHROW: case OP_TRY_TABLE: case OP_TRY: case OP_CATCH: case OP_CATCH_ALL:
  case OP_DELEGATE: translate_exceptions(t, op); break;
  case OP_CALL_REF: translate_call_ref(t, false); break;
  case OP_RETURN_CALL_REF: translate_call_ref(t, true); break;
  case OP_BR_ON_NULL: translate_br_on_null(t, bytes_u32(&t->body)); break;
  case OP_BR_ON_NON_NULL: translate_br_on_non_null(t, bytes_u32(&t->body)); break;
  case OP_DROP: pop(t); break;
  case OP_SELECT_T:
    for (uint32_t n = bytes_u32(&t->body); n > 0; n--) value_type_read(&t->body, NULL);
    translate_select(t);
    break;
  case OP_SELECT: translate_select(t); break;
  case OP_LOCAL_GET: push_local(t, bytes_u32(&t->body)); break;
  case OP_LOCAL_SET: translate_local_set(t, bytes_u32(&t->body), false); break;
  case OP_LOCAL_TEE: translate_local_set(t, bytes_u32(&t->body), true); break;
  case OP_GLOBAL_GET: translate_global(t, bytes_u32(&t->body), false); break;
  case OP_GLOBAL_SET: translate_global(t, bytes_u32(&t->body), true); break;
  case OP_I32_CONST: case OP_I64_CONST: case OP_F32_CONST: case OP_F64_CONST: case OP_REF_FUNC: case OP_REF_NULL:
    push_const(t, constant_of(t, op));
    break;
  case OP_V128_CONST: case OP_I8X16_SHUFFLE: translate_vector_wide(t, op); break;
  case OP_REF_AS_NON_NULL: {
    int32_t b = pop_slot(t, 1);
    mark_offset(t);
    emit_result(t, CODE_REF_AS_NON_NULL, 1, b, 0);
    break;
  }
  case OP_REF_IS_NULL: {
    int32_t b = pop_slot(t, 1);
    emit_result(t, CODE_I64_EQZ, 1, b, 0);
    break;
  }
  default: translate_bulk(t, op); break;
  }
}

/* Over an instruction in dead code. */
static void skip_immediate(Bytes *b, Immediate immediate, const Module *module) {
  BlockType type = { 0 };
  uint32_t memory;
  switch (immediate) {
  case IMM_NONE: break;
  case IMM_BLOCK: block_type_read(b, module, &type); break;
  case IMM_LABELS: for (uint64_t n = (uint64_t)bytes_u32(b) + 1; n > 0 && !b->failure; n--) bytes_u32(b); break;
  case IMM_MEMARG: read_memarg(b, &memory); break;
  case IMM_INDIRECT: case IMM_DATA_MEMORY: case IMM_MEMORY_MEMORY: case IMM_ELEMENT_TABLE:
  case IMM_TABLE_TABLE: bytes_u32(b), bytes_u32(b); break;
  case IMM_I32: bytes_s32(b); break;
  case IMM_I64: bytes_s64(b); break;
  case IMM_F32: bytes_take(b, 4); break;
  case IMM_F64: bytes_take(b, 8); break;
  case IMM_V128: case IMM_SHUFFLE: bytes_take(b, 16); break;
  case IMM_LANE: bytes_u8(b); break;
  case IMM_MEMARG_LANE: read_memarg(b, &memory), bytes_u8(b); break;
  case IMM_SELECT: for (uint32_t n = bytes_u32(b); n > 0 && !b->failure; n--) value_type_read(b, NULL); break;
  case IMM_HEAP: heap_type_read(b, NULL); break;
  case IMM_TRY:
    block_type_read(b, module, &type);
    for (uint32_t n = bytes_u32(b); n > 0 && !b->failure; n--) catch_read(b);
    break;
  default: bytes_u32(b); break;
  }
}

static void translate_dead(Translator *t, Op op) {
  static const BlockType none;
  bool opens = op == OP_BLOCK || op == OP_LOOP || op == OP_IF || op == OP_TRY || op == OP_TRY_TABLE;
  bool turns = op == OP_ELSE || op == OP_CATCH || op == OP_CATCH_ALL, ends = op == OP_END || op == OP_DELEGATE;
  if (opens) {
    skip_immediate(&t->body, (Immediate)op_info[op].immediate, t->module);
    enter_block(t, CONTROL_BLOCK, &none);
  } else if ((turns || ends) && !control_at(t, 0)->dead) {
    translate_hand(t, op);
  } else if (ends) {
    skip_immediate(&t->body, (Immediate)op_info[op].immediate, t->module);
    t->controls.count--;
  } else {
    skip_immediate(&t->body, (Immediate)op_info[op].immediate, t->module);
  }
}

/* ---- fuel ---- */
/* Instructions that are there for the form alone cost nothing. */
static bool is_free(Op op) {
  switch (op) {
  case OP_NOP: case OP_BLOCK: case OP_LOOP: case OP_ELSE: case OP_END: case OP_TRY: case OP_CATCH: case OP_CATCH_ALL:
  case OP_DELEGATE: case OP_TRY_TABLE: return true;
  default: return false;
  }
}

/* Behind it code may go on that was not reached from what stands before; or not go on. */
static bool ends_stretch(Op op) {
  switch (op) {
  case OP_LOOP: case OP_IF: case OP_ELSE: case OP_END: case OP_CATCH: case OP_CATCH_ALL: case OP_DELEGATE: return true;
  default: return op_info[op].immediate == IMM_LABEL;
  }
}

/* Counts the instruction in; the first of a stretch emits the word that pays for all of it. */
static void meter(Translator *t, Op op) {
  if (is_free(op)) return;
  if (t->stretch == NO_STRETCH) {
    mark_offset(t);
    t->stretch = emit(t, CODE_FUEL, 0, 0, 0);
  }
  if (!t->failed) t->code.items[t->stretch].u++;
}

static void translate_live(Translator *t, Op op) {
  if (op_info[op].class == CLASS_LOAD || op_info[op].class == CLASS_STORE) translate_access(t, op);
  else if (op_info[op].class >= CLASS_VUNARY) translate_vector(t, op);
  else if (op_info[op].class == CLASS_HAND) translate_hand(t, op);
  else translate_numeric(t, op);
}

static void translate_instruction(Translator *t) {
  const char *missing = NULL;
  Op op;
  t->offset = (uint32_t)(t->body.at - t->module->bytes - t->module->code_start);
  if (!op_read(&t->body, &op, &missing)) {
    t->failed = true;
    return;
  }
  if (t->instance->is_metered && !t->dead) meter(t, op);
  if (t->dead) translate_dead(t, op);
  else translate_live(t, op);
  if (ends_stretch(op)) t->stretch = NO_STRETCH;
}

/* ---- the whole ---- */
static bool add_local(Translator *t, lun_type type, int32_t *slot) {
  uint32_t width = lun_type_slots(type);
  if (!vec_push(&t->local_slots, *slot) || !vec_push(&t->local_widths, (uint8_t)width)) return false;
  if (!vec_push(&t->local_uses, 0u)) return false;
  *slot += (int32_t)width;
  return true;
}

static void begin(Translator *t, Function *function) {
  const Definition *definition = function->definition;
  const lun_signature *signature = &function->type->type.signature;
  t->function = function;
  t->instance = function->instance;
  t->module = function->instance->module;
  t->body = bytes_of(definition->body, definition->body_size);
  t->code.count = t->operands.count = t->controls.count = 0;
  t->local_slots.count = t->local_widths.count = t->local_uses.count = 0;
  t->catches.count = 0, t->offsets.bytes.count = 0, t->offsets.word = t->offsets.offset = 0;
  t->label = t->last_move = UINT32_MAX, t->label_branches.count = 0;
  t->clean = 0, t->last = -1, t->dead = t->failed = t->wants_far = false;
  t->written_params = 0;
  t->stretch = NO_STRETCH;
  int32_t slot = -2 - (int32_t)function->type->slots;
  for (uint32_t i = 0; i < signature->param_count && !t->failed; i++) t->failed = !add_local(t, signature->params[i], &slot);
  slot = t->far ? FAR_SCRATCH : 0;
  for (uint32_t groups = bytes_u32(&t->body); groups > 0 && !t->failed; groups--) {
    uint32_t count = bytes_u32(&t->body);
    lun_type type = value_type_read(&t->body, t->module);
    for (; count > 0 && !t->failed; count--) t->failed = !add_local(t, type, &slot);
  }
  t->height = t->frame_slots = slot;
  if (slot > NEAR_SLOTS && !t->far) t->wants_far = true;
  function->local_slots = (uint32_t)slot;
  BlockType type = { .param_count = 0, .result_count = signature->result_count, .results = signature->results };
  enter_block(t, CONTROL_FUNCTION, &type);
}

static lun_status finish(Translator *t, Function *function) {
  size_t bytes = t->code.count * sizeof(Word), offsets = t->offsets.bytes.count, count = t->catches.count;
  Word *code = malloc(bytes);
  uint8_t *table = offsets ? malloc(offsets) : NULL;
  Catch *catches = count ? malloc(count * sizeof *catches) : NULL;
  if (!code || (offsets && !table) || (count && !catches)) {
    free(code), free(table), free(catches);
    return LUN_NO_MEMORY;
  }
  if (count) memcpy(catches, t->catches.items, count * sizeof *catches);
  memcpy(code, t->code.items, bytes);
  if (offsets) memcpy(table, t->offsets.bytes.items, offsets);
  function->code = code, function->code_words = (uint32_t)t->code.count;
  function->offsets = table, function->offsets_size = (uint32_t)offsets;
  function->catches = catches, function->catch_count = (uint32_t)count;
  if (!code_register(function)) {
    free(code), free(table), free(catches);
    function->code = NULL, function->offsets = NULL, function->catches = NULL, function->catch_count = 0;
    return LUN_NO_MEMORY;
  }
  function->frame_slots = (uint32_t)t->frame_slots;
  function->written_params = t->written_params;
  function->entry.body = code;
  Handler enter = function->local_slots ? handler_enter : handler_enter0;
  if (function->instance->max_depth) enter = handler_enter_counted;
  if (function->kept) function->kept = enter;
  else function->entry.handler = enter;
  return LUN_OK;
}

lun_status translate(Function *function) {
  Store *store = function->store;
  if (!store->translator) store->translator = calloc(1, sizeof *store->translator);
  Translator *t = store->translator;
  if (!t) return LUN_NO_MEMORY;
  t->far = false;
  begin(t, function);
  while (!t->failed && t->controls.count > 0) {
    translate_instruction(t);
    if (t->wants_far && !t->far) {
      t->far = true;
      begin(t, function);
    }
  }
  return t->failed ? LUN_NO_MEMORY : finish(t, function);
}

void translator_destroy(Translator *t) {
  if (!t) return;
  vec_clear(&t->code), vec_clear(&t->operands), vec_clear(&t->controls);
  vec_clear(&t->local_slots), vec_clear(&t->local_widths), vec_clear(&t->local_uses), vec_clear(&t->label_branches);
  vec_clear(&t->offsets.bytes), vec_clear(&t->catches);
  free(t);
}
