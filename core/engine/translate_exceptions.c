/* SPDX-License-Identifier: MIT */
/* Translating exceptions. Entering a block that catches costs nothing: the words of its body are noted in the function's list
 * of catches, which is looked at only when something is thrown (exception.c). What a catch gets is written to the slots
 * where the code behind it expects it.
 *
 * try_table: behind the body stands one jump for each clause, to its label; the values are put where the label wants them.
 * try: a catch begins with its values on the operand stack, and below them the exception itself, for rethrow. */
#include "translator.h"

static void add_catch(Translator *t, Catch item) {
  if (!vec_push(&t->catches, item)) t->failed = true;
}

static uint32_t depth_of(const Translator *t, const Control *control) { return (uint32_t)(control - t->controls.items) + 1; }

/* ---- throwing ---- */
static void emit_throw(Translator *t, int code, int32_t slot, Tag *tag) {
  mark_offset(t);
  emit(t, code, 0, 0, slot);
  emit_words(t, tag, t->function);
  t->dead = true;
}

static void translate_throw(Translator *t) {
  Tag *tag = t->instance->tags[bytes_u32(&t->body)];
  const FunctionType *type = &tag->type->type;
  settle(t, type->signature.param_count);
  emit_throw(t, CODE_THROW, t->height - (int32_t)type->param_slots, tag);
}

/* ---- try_table ---- */
static void begin_try(Translator *t, ControlKind kind, const BlockType *type, const uint8_t *clauses) {
  if (t->failed) return;
  settle_locals(t);
  settle(t, type->param_count);
  Control *control = enter_block(t, kind, type);
  if (!control) return;
  control->start = (uint32_t)t->code.count;
  control->clauses = clauses;
  t->last = -1;
}

static void translate_try_table(Translator *t) {
  BlockType type = { 0 };
  if (!block_type_read(&t->body, t->module, &type)) t->failed = true;
  const uint8_t *clauses = t->body.at;
  for (uint32_t count = bytes_u32(&t->body); count > 0 && !t->body.failure; count--) catch_read(&t->body);
  begin_try(t, CONTROL_TRY_TABLE, &type, clauses);
}

static void translate_clause(Translator *t, CatchClause clause, uint32_t start, uint32_t end) {
  Control *control = control_at(t, clause.label + 1); /* labels are those around the block */
  const Tag *tag = clause.kind & CATCH_ALL ? NULL : t->instance->tags[clause.tag];
  int32_t values = tag ? (int32_t)tag->type->type.param_slots : 0;
  Catch item = { .start = start, .end = end, .target = (uint32_t)t->code.count, .depth = (uint32_t)t->controls.count,
                 .slot = control->base, .ref_slot = clause.kind & CATCH_REF ? control->base + values : -1, .tag = tag };
  add_catch(t, item);
  if (control->kind == CONTROL_LOOP) mark_offset(t);
  link_branch(t, control, emit(t, control->kind == CONTROL_LOOP ? CODE_LOOP : CODE_BR, 0, 0, 0));
}

void close_try_table(Translator *t) {
  Control *control = control_at(t, 0);
  if (t->failed || !control->clauses) return;
  Bytes clauses = bytes_of(control->clauses, (size_t)(t->body.end - control->clauses));
  uint32_t count = bytes_u32(&clauses), start = control->start, end = (uint32_t)t->code.count;
  if (count == 0 || start == end) return;
  if (!t->dead) {
    settle(t, control->type.result_count);
    emit_branch(t, control);
  }
  for (; count > 0 && !t->failed; count--) translate_clause(t, catch_read(&clauses), start, end);
  t->dead = true;
}

/* ---- try ---- */
static void translate_try(Translator *t) {
  BlockType type = { 0 };
  if (!block_type_read(&t->body, t->module, &type)) t->failed = true;
  begin_try(t, CONTROL_TRY, &type, NULL);
}

/* Ends the body, or the catch before: its results go to the label, past the other catches. */
static void translate_catch(Translator *t, const Tag *tag) {
  Control *control = control_at(t, 0);
  if (control->kind == CONTROL_TRY) control->end = (uint32_t)t->code.count;
  if (!t->dead) {
    move_label_values(t, control);
    emit_branch(t, control);
  }
  if (t->failed) return;
  control->kind = CONTROL_CATCH;
  cut(t, control->operands, control->base);
  Catch item = { .start = control->start, .end = control->end, .target = (uint32_t)t->code.count, .depth = depth_of(t, control),
                 .slot = control->base + 1, .ref_slot = control->base, .tag = tag };
  add_catch(t, item);
  push_temp(t, 1);
  if (tag) push_temps(t, tag->type->type.signature.param_count, tag->type->type.signature.params);
  t->dead = false;
  t->last = -1;
}

/* The handlers of the label's block come next, and those around it. */
static void translate_delegate(Translator *t, uint32_t label) {
  const Control *control = control_at(t, 0), *to = control_at(t, label + 1);
  Catch item = { .start = control->start, .end = (uint32_t)t->code.count, .target = depth_of(t, to),
                 .depth = depth_of(t, control), .is_delegate = true };
  add_catch(t, item);
  translate_end(t);
}

void translate_exceptions(Translator *t, Op op) {
  switch (op) {
  case OP_THROW: translate_throw(t); break;
  case OP_THROW_REF: emit_throw(t, CODE_THROW_REF, pop_slot(t, 1), NULL); break;
  case OP_RETHROW: emit_throw(t, CODE_THROW_REF, control_at(t, bytes_u32(&t->body))->base, NULL); break;
  case OP_TRY_TABLE: translate_try_table(t); break;
  case OP_TRY: translate_try(t); break;
  case OP_CATCH: translate_catch(t, t->instance->tags[bytes_u32(&t->body)]); break;
  case OP_CATCH_ALL: translate_catch(t, NULL); break;
  default: translate_delegate(t, bytes_u32(&t->body)); break;
  }
}
