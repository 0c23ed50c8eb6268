/* SPDX-License-Identifier: MIT */
/* The translator's hands: words into the code, operands on and off the abstract stack, conditions fused with their
 * branch, labels. Nothing here reads the body. */
#include <stdlib.h>
#include <string.h>

#include "translator.h"

/* ---- which code an instruction becomes ---- */
const int16_t code_of_op[OP_COUNT] = {
#define FORM_CLASS_HAND(id) [OP_##id] = -1,
#define FORM_CLASS_REINTERPRET(id) [OP_##id] = -1,
#define FORM(id) [OP_##id] = CODE_##id,
#define FORM_CLASS_IBINARY(id) FORM(id)
#define FORM_CLASS_FBINARY(id) FORM(id)
#define FORM_CLASS_TRAPPING_BINARY(id) FORM(id)
#define FORM_CLASS_UNARY(id) FORM(id)
#define FORM_CLASS_TRAPPING_UNARY(id) FORM(id)
#define FORM_CLASS_TEST(id) FORM(id)
#define FORM_CLASS_LOAD(id) FORM(id)
#define FORM_CLASS_STORE(id) FORM(id)
#define FORM_CLASS_ICOMPARE(id) FORM(id)
#define FORM_CLASS_VUNARY(id) FORM(id)
#define FORM_CLASS_VBINARY(id) FORM(id)
#define FORM_CLASS_VTERNARY(id) FORM(id)
#define FORM_CLASS_VSHIFT(id) FORM(id)
#define FORM_CLASS_VTEST(id) FORM(id)
#define FORM_CLASS_VSPLAT(id) FORM(id)
#define FORM_CLASS_VEXTRACT(id) FORM(id)
#define FORM_CLASS_VREPLACE(id) FORM(id)
#define FORM_CLASS_VLOAD(id) FORM(id)
#define FORM_CLASS_VSTORE(id) FORM(id)
#define FORM_CLASS_VLOAD_LANE(id) FORM(id)
#define FORM_CLASS_VSTORE_LANE(id) FORM(id)
#define FORM_CLASS_FCOMPARE(id) FORM(id)
#define OP(code, id, text, immediate, signature, class) FORM_##class(id)
#include "ops.def"
#undef OP
};

/* ---- words ---- */
static Word *new_word(Translator *t) {
  static const Word empty;
  if (t->code.count >= CODE_WORDS_MOST || !vec_push(&t->code, empty)) {
    t->failed = true;
    return NULL;
  }
  return &t->code.items[t->code.count - 1];
}

uint32_t emit(Translator *t, int code, int32_t a, int32_t b, int32_t c) {
  Word *word = new_word(t);
  if (!word) return 0;
  if (a != (int16_t)a || b != (int16_t)b) t->wants_far = true;
  word->handler = handler_of(code);
  word->a = (int16_t)a;
  word->b = (int16_t)b;
  word->c = c;
  t->last = -1;
  return (uint32_t)(t->code.count - 1);
}

uint32_t emit_words(Translator *t, void *p0, void *p1) {
  Word *word = new_word(t);
  if (!word) return 0;
  word->p0 = p0;
  word->p1 = p1;
  return (uint32_t)(t->code.count - 1);
}

void mark_offset(Translator *t) {
  if (!offsets_add(&t->offsets, (uint32_t)t->code.count, t->offset)) t->failed = true;
}

/* In a function of many slots: a near slot to write to in place of `slot`. */
static bool is_far(const Translator *t, int32_t slot) { return t->far && slot >= FAR_SCRATCH; }

/* `scratch` counts pairs of slots. */
static int32_t near_source(Translator *t, int32_t slot, int scratch, uint32_t width) {
  if (!is_far(t, slot)) return slot;
  for (uint32_t i = 0; i < width; i++) emit(t, CODE_MOVE_FAR_GET, 2 * scratch + (int32_t)i, 0, slot + (int32_t)i);
  return 2 * scratch;
}

void emit_result(Translator *t, int code, uint32_t width, int32_t b, int32_t c) {
  push_temp(t, width);
  if (t->failed) return;
  int32_t home = t->operands.items[t->operands.count - 1].home;
  if (is_far(t, home)) {
    emit(t, code, 0, b, c);
    for (uint32_t i = 0; i < width; i++) emit(t, CODE_MOVE_FAR_PUT, (int32_t)i, 0, home + (int32_t)i);
    return;
  }
  uint32_t word = emit(t, code, home, b, c);
  t->last = (int32_t)word;
  t->last_code = code;
}

static void move_slots(Translator *t, int32_t to, int32_t from, uint32_t width) {
  for (uint32_t i = 0; i < width; i++, to++, from++) {
    if (to == from) continue;
    if (is_far(t, to)) {
      int32_t near = near_source(t, from, 0, 1);
      emit(t, CODE_MOVE_FAR_PUT, near, 0, to);
    } else if (is_far(t, from)) {
      emit(t, CODE_MOVE_FAR_GET, to, 0, from);
    } else {
      t->last_move = emit(t, CODE_MOVE, to, from, 0);
    }
  }
}

void emit_wide_result(Translator *t, int code, uint32_t width, int32_t b, int32_t c, void *p0, void *p1) {
  if (!t->far) {
    emit_result(t, code, width, b, c);
    emit_words(t, p0, p1);
    return;
  }
  emit(t, code, 0, b, c);
  emit_words(t, p0, p1);
  push_temp(t, width);
  if (!t->failed) move_slots(t, t->operands.items[t->operands.count - 1].home, 0, width);
}

void set_second(Translator *t, int code, Word second) {
  for (size_t i = t->code.count; !t->failed && i-- > 0;) {
    if (t->code.items[i].handler != handler_of(code)) continue;
    t->code.items[i + 1] = second;
    return;
  }
}

/* ---- operands ---- */
static void push(Translator *t, Operand operand) {
  operand.home = t->height;
  t->height += operand.width;
  if (t->height > t->frame_slots) t->frame_slots = t->height;
  if (t->height > NEAR_SLOTS && !t->far) t->wants_far = true;
  if (!vec_push(&t->operands, operand)) t->failed = true;
}

void push_temp(Translator *t, uint32_t width) { push(t, (Operand){ .kind = OPERAND_TEMP, .width = (uint8_t)width }); }
void push_const(Translator *t, uint64_t value) { push(t, (Operand){ .kind = OPERAND_CONST, .width = 1, .value = value }); }
void push_local(Translator *t, uint32_t local) {
  t->local_uses.items[local]++;
  push(t, (Operand){ .kind = OPERAND_LOCAL, .width = t->local_widths.items[local], .local = local,
                     .slot = t->local_slots.items[local] });
}

Operand pop(Translator *t) {
  if (t->failed) return (Operand){ .kind = OPERAND_CONST, .width = 1 };
  Operand top = t->operands.items[--t->operands.count];
  t->height = top.home;
  if (top.kind == OPERAND_LOCAL) t->local_uses.items[top.local]--;
  if (t->clean > t->operands.count) t->clean = t->operands.count;
  return top;
}

static void emit_const(Translator *t, int32_t slot, uint64_t value) {
  int32_t to = is_far(t, slot) ? 0 : slot;
  if (value <= UINT32_MAX) {
    uint32_t word = emit(t, CODE_CONST, to, 0, 0);
    if (!t->failed) t->code.items[word].u = (uint32_t)value;
  } else if (value >= UINT64_C(0xffffffff80000000)) {
    emit(t, CODE_CONST_S, to, 0, (int32_t)(int64_t)value);
  } else {
    emit(t, CODE_CONST64, to, 0, 0);
    uint32_t word = emit_words(t, NULL, NULL);
    if (!t->failed) t->code.items[word].k[0] = value;
  }
  if (to != slot) emit(t, CODE_MOVE_FAR_PUT, 0, 0, slot);
}

void move_to(Translator *t, const Operand *operand, int32_t slot) {
  if (operand->kind == OPERAND_CONST) emit_const(t, slot, operand->value);
  else move_slots(t, slot, operand->kind == OPERAND_LOCAL ? operand->slot : operand->home, operand->width);
}

static void settle_operand(Translator *t, Operand *operand) {
  if (operand->kind == OPERAND_TEMP) return;
  move_to(t, operand, operand->home);
  if (operand->kind == OPERAND_LOCAL) t->local_uses.items[operand->local]--;
  operand->kind = OPERAND_TEMP;
}

int32_t pop_slot(Translator *t, int scratch) {
  if (t->failed) return 0;
  Operand *top = &t->operands.items[t->operands.count - 1];
  if (top->kind == OPERAND_CONST) {
    if (t->far) {
      uint64_t value = pop(t).value;
      emit_const(t, 2 * scratch, value);
      return 2 * scratch;
    }
    settle_operand(t, top);
  }
  Operand operand = pop(t);
  return near_source(t, operand.kind == OPERAND_LOCAL ? operand.slot : operand.home, scratch, operand.width);
}

void settle(Translator *t, size_t count) {
  for (size_t i = t->operands.count - count; i < t->operands.count && !t->failed; i++) settle_operand(t, &t->operands.items[i]);
}

void settle_locals(Translator *t) {
  for (size_t i = t->clean; i < t->operands.count; i++)
    if (t->operands.items[i].kind == OPERAND_LOCAL) settle_operand(t, &t->operands.items[i]);
  t->clean = t->operands.count;
}

void settle_local(Translator *t, uint32_t local) {
  for (size_t i = t->operands.count; t->local_uses.items[local] > 0 && i-- > 0;) {
    Operand *operand = &t->operands.items[i];
    if (operand->kind == OPERAND_LOCAL && operand->local == local) settle_operand(t, operand);
  }
}

void cut(Translator *t, size_t count, int32_t height) {
  while (!t->failed && t->operands.count > count) pop(t);
  t->height = height;
}

bool can_redirect(const Translator *t, const Operand *operand) {
  return t->last >= 0 && !t->failed && operand->kind == OPERAND_TEMP &&
         t->code.items[t->last].a == operand->home;
}

int32_t pair_operands(Translator *t, int32_t c0, int32_t c1) {
  if (c0 != (int16_t)c0 || c1 != (int16_t)c1) t->wants_far = true;
  Word word = { { .handler = NULL, { { .c0 = (int16_t)c0, .c1 = (int16_t)c1 } } } };
  return word.c;
}

/* ---- conditions ---- */
/* The ten compares of each integer type stand in the order eq ne lt_s lt_u gt_s gt_u le_s le_u ge_s ge_u, six forms each:
 * value, value_k, branch, branch_k, loop, loop_k. */
enum { ICOMPARE_FORMS = CODE_I32_NE - CODE_I32_EQ, FCOMPARE_FORMS = CODE_F32_NE - CODE_F32_EQ };
_Static_assert(ICOMPARE_FORMS == 6 && FCOMPARE_FORMS == 5, "the forms that code.h lists");
_Static_assert(CODE_I32_GE_U == CODE_I32_EQ + 9 * ICOMPARE_FORMS && CODE_I64_GE_U == CODE_I64_EQ + 9 * ICOMPARE_FORMS, "order");

static int other_compare(int code, const uint8_t *order) {
  int base = code >= CODE_I64_EQ ? CODE_I64_EQ : CODE_I32_EQ;
  int form = (code - base) % ICOMPARE_FORMS;
  return base + order[(code - base) / ICOMPARE_FORMS] * ICOMPARE_FORMS + form;
}

int inverse_compare(int code) {
  static const uint8_t order[] = { 1, 0, 8, 9, 6, 7, 4, 5, 2, 3 };
  return other_compare(code, order);
}

int swapped_compare(int code) {
  static const uint8_t order[] = { 0, 1, 4, 5, 2, 3, 8, 9, 6, 7 };
  return other_compare(code, order);
}

static bool is_immediate_form(int code) {
  int base = code >= CODE_I64_EQ ? CODE_I64_EQ : CODE_I32_EQ;
  return (code - base) % ICOMPARE_FORMS == 1;
}

Condition take_condition(Translator *t) {
  Condition condition = { .code = CODE_BR_NZ };
  if (t->failed) return condition;
  const Operand *top = &t->operands.items[t->operands.count - 1];
  if (can_redirect(t, top)) {
    const Word *word = &t->code.items[t->last];
    int code = t->last_code;
    bool fits = true;
    if (code == CODE_I32_EQZ || code == CODE_I64_EQZ) {
      condition.a = word->b;
      condition.negated = true;
    } else if (is_icompare(code)) {
      condition = (Condition){ .code = code, .a = word->b, .b = word->c, .immediate = is_immediate_form(code) };
      fits = condition.b == (int16_t)condition.b;
    } else if (is_fcompare(code)) {
      condition = (Condition){ .code = code, .a = word->b, .b = word->c };
    } else {
      fits = false;
    }
    if (fits) {
      t->code.count = (size_t)t->last;
      t->last = -1;
      pop(t);
      return condition;
    }
    condition = (Condition){ .code = CODE_BR_NZ };
  }
  condition.a = pop_slot(t, 1);
  return condition;
}

uint32_t emit_condition(Translator *t, Condition condition, bool unless, bool backwards) {
  if (condition.negated) unless = !unless;
  if (backwards) mark_offset(t);
  if (condition.code == CODE_BR_NZ) {
    int code = backwards ? (unless ? CODE_LOOP_Z : CODE_LOOP_NZ) : unless ? CODE_BR_Z : CODE_BR_NZ;
    return emit(t, code, condition.a, 0, 0);
  }
  if (is_fcompare(condition.code)) {
    int code = condition.code + 1 + (unless ? 1 : 0) + (backwards ? 2 : 0);
    return emit(t, code, condition.a, condition.b, 0);
  }
  int code = unless ? inverse_compare(condition.code) : condition.code;
  return emit(t, code + (backwards ? 4 : 2), condition.a, condition.b, 0);
}

/* ---- labels ---- */
Control *control_at(Translator *t, uint32_t depth) {
  Control *control = &t->controls.items[t->controls.count - 1 - depth];
  /* A shorthand's one result lies in the control itself, and the vector of controls may have moved. */
  if (control->type.single) control->type.results = &control->type.single;
  return control;
}

void link_branch(Translator *t, Control *control, uint32_t word) {
  if (t->failed) return;
  if (control->kind == CONTROL_LOOP) {
    t->code.items[word].c = (int32_t)control->label - (int32_t)word;
    return;
  }
  t->code.items[word].c = control->chain;
  control->chain = (int32_t)word;
}

void emit_branch(Translator *t, Control *control) {
  uint32_t word = emit(t, CODE_BR, 0, 0, 0);
  if (!t->failed && word > 0 && t->last_move == word - 1) t->code.items[word].a = 1;
  link_branch(t, control, word);
}

void place_label(Translator *t, Control *control) {
  if (t->failed) return;
  if (t->label != t->code.count) t->label_branches.count = 0;
  t->label = (uint32_t)t->code.count;
  for (int32_t word = control->chain; word >= 0;) {
    int32_t before = t->code.items[word].c;
    bool plain = t->code.items[word].handler == handler_of(CODE_BR) && !t->code.items[word].b;
    if (plain && !vec_push(&t->label_branches, (uint32_t)word)) t->failed = true;
    t->code.items[word].c = (int32_t)t->code.count - word;
    word = before;
  }
  control->chain = -1;
  t->last = -1;
}

uint32_t label_values(const Control *control, const lun_type **types) {
  bool loop = control->kind == CONTROL_LOOP;
  *types = loop ? control->type.params : control->type.results;
  return loop ? control->type.param_count : control->type.result_count;
}

void move_label_values(Translator *t, const Control *control) {
  const lun_type *types;
  uint32_t count = label_values(control, &types);
  int32_t to = control->base;
  for (size_t i = t->operands.count - count; i < t->operands.count && !t->failed; i++) {
    const Operand *operand = &t->operands.items[i];
    move_to(t, operand, to);
    to += operand->width;
  }
}

bool label_values_in_place(const Translator *t, const Control *control) {
  const lun_type *types;
  uint32_t count = label_values(control, &types);
  return count == 0 || t->failed || t->operands.items[t->operands.count - count].home == control->base;
}

/* A branch to a return is a return; a move of what is returned, right before it, too. */
static void finish_return(Translator *t, uint32_t word) {
  if (t->failed || word != t->label) return;
  const Word ret = t->code.items[word];
  for (size_t i = 0; i < t->label_branches.count; i++) {
    Word *branch = &t->code.items[t->label_branches.items[i]];
    if (branch->a && ret.handler == handler_of(CODE_RETURN1) && branch[-1].a == ret.b) {
      branch[-1].handler = ret.handler;
      branch[-1].a = ret.a;
    }
    *branch = ret;
  }
  t->label_branches.count = 0;
}

/* Before what ends this frame, where frames are counted. A tail call does it by itself. */
static void emit_leave(Translator *t) {
  if (t->instance->max_depth) emit(t, CODE_LEAVE, 0, 0, 0);
}

/* Results go to the param slots, which may be among their sources: those are put aside first. */
void emit_return(Translator *t) {
  const FunctionType *type = &t->function->type->type;
  int32_t to = -2 - (int32_t)t->function->type->slots;
  uint32_t count = type->signature.result_count;
  int32_t first = to;
  if (t->failed) return;
  if (count == 1) {
    const Operand *top = &t->operands.items[t->operands.count - 1];
    if (can_redirect(t, top)) {
      t->code.items[t->last].a = (int16_t)to;
    } else if (top->width == 1 && top->kind != OPERAND_CONST && !t->far) {
      emit_leave(t);
      finish_return(t, emit(t, CODE_RETURN1, to, top->kind == OPERAND_LOCAL ? top->slot : top->home, 0));
      return;
    } else {
      move_to(t, top, to);
    }
  } else if (count > 1) {
    for (size_t i = t->operands.count - count; i < t->operands.count; i++) {
      Operand *operand = &t->operands.items[i];
      if (operand->kind == OPERAND_LOCAL && operand->slot < 0) settle_operand(t, operand);
    }
    for (size_t i = t->operands.count - count; i < t->operands.count && !t->failed; i++) {
      move_to(t, &t->operands.items[i], to);
      to += t->operands.items[i].width;
    }
  }
  emit_leave(t);
  finish_return(t, emit(t, CODE_RETURN, first, 0, 0));
}
