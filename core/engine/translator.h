/* SPDX-License-Identifier: MIT */
/* Between translate.c and translate_data.c (one case per instruction) and emit.c (operands, words, branches): the
 * translator's state.
 *
 * Translation runs once over a validated body, with an abstract operand stack: an operand is a temporary in the slot of
 * its height (its home), a local that nobody has copied yet, or a constant. Locals and constants are used where they are;
 * they move to their home only where they must: as arguments, at labels, before the local changes. */
#ifndef LUN_TRANSLATOR_H
#define LUN_TRANSLATOR_H

#include "code.h"
#include "engine.h"

typedef enum OperandKind { OPERAND_TEMP, OPERAND_LOCAL, OPERAND_CONST } OperandKind;
typedef struct Operand {
  uint8_t kind, width;      /* width: slots, 2 for v128 */
  uint32_t local;
  int32_t home;             /* slot */
  int32_t slot;             /* LOCAL: the local's */
  uint64_t value;           /* CONST */
} Operand;

typedef enum ControlKind { CONTROL_FUNCTION, CONTROL_BLOCK, CONTROL_LOOP, CONTROL_IF, CONTROL_ELSE,
  CONTROL_TRY_TABLE, CONTROL_TRY, CONTROL_CATCH /* its exception lies in the slot `base` */ } ControlKind;
typedef struct Control {
  uint8_t kind;
  BlockType type;
  size_t operands;          /* below its params */
  int32_t base;             /* slot of the first param or result */
  uint32_t label;           /* LOOP: word to jump to */
  int32_t chain;            /* pending branches to its end: the last one's word, each one's c names the one before; -1: none */
  int32_t otherwise;        /* IF: the branch to else or end; -1: none */
  uint32_t stub, stub_serial; /* br_table: code that moves values there, made once per table */
  uint32_t start, end;      /* TRY_TABLE, TRY, CATCH: the words of the try's body */
  const uint8_t *clauses;   /* TRY_TABLE */
  bool dead;                /* entered in dead code */
} Control;

typedef struct Translator {
  Function *function;
  Instance *instance;
  Module *module;
  Bytes body;
  uint32_t offset;          /* of the instruction at hand, in the code section's contents */
  VEC(Word) code;
  VEC(Operand) operands;
  VEC(Control) controls;
  VEC(int32_t) local_slots;
  VEC(uint8_t) local_widths;
  VEC(uint32_t) local_uses; /* operands that name the local */
  size_t clean;             /* operands below it are no LOCALs */
  int32_t height;           /* next free operand slot */
  int32_t frame_slots;
  OffsetTable offsets;
  VEC(Catch) catches;
  int32_t last;             /* the word that produced the topmost temporary and still may be changed; -1: none */
  int last_code;
  uint32_t tables;          /* br_tables so far */
  uint32_t label;           /* the last label placed, and the plain branches to it: where a return stands there, they return */
  VEC(uint32_t) label_branches;
  uint32_t last_move;       /* the last move of one slot */
  uint32_t stretch;         /* of metered code: the word that pays for the instructions at hand; NO_STRETCH: none yet */
  bool dead;                /* behind an unconditional branch */
  bool far, wants_far;      /* slots beyond 16 bits: use near scratch slots and far moves */
  bool failed;              /* out of memory */
  uint64_t written_params;
} Translator;

#define NO_STRETCH UINT32_MAX
enum { FAR_SCRATCH = 8 /* four of two slots */, NEAR_SLOTS = 32000, CODE_WORDS_MOST = 1 << 26 };

/* ---- translate.c ---- */
/* Opens a block whose params, on top, are settled. NULL: t->failed. */
Control *enter_block(Translator *t, ControlKind kind, const BlockType *type);
void push_temps(Translator *t, uint32_t count, const lun_type *types);
void translate_end(Translator *t);

/* ---- translate_exceptions.c ---- */
/* throw, throw_ref, rethrow, try_table, try, catch, catch_all, delegate. */
void translate_exceptions(Translator *t, Op op);
/* At the end of a try_table: where its catches go. */
void close_try_table(Translator *t);

/* ---- translate_data.c ---- */
/* A load or a store, scalar or vector, of whichever memory. */
void translate_access(Translator *t, Op op);
/* The offset of a memory argument; the memory's index beside it. */
uint64_t read_memarg(Bytes *b, uint32_t *memory);
/* Makes of the topmost operand, an index of the table, one of 32 bits. */
void narrow_index(Translator *t, uint32_t table);
/* Growth, sizes, single elements, and the instructions on ranges. */
void translate_bulk(Translator *t, Op op);
void translate_vector(Translator *t, Op op);
void translate_vector_wide(Translator *t, Op op);  /* v128.const, i8x16.shuffle */

/* ---- emit.c ---- */
/* The plain form of each numeric, memory and vector instruction; -1 for those that are translated by hand. */
extern const int16_t code_of_op[OP_COUNT];
/* Two slots (or a slot and a lane) in the third operand. */
int32_t pair_operands(Translator *t, int32_t c0, int32_t c1);
/* Appends a word; its index. On failure t->failed is set and 0 comes back. */
uint32_t emit(Translator *t, int code, int32_t a, int32_t b, int32_t c);
uint32_t emit_words(Translator *t, void *p0, void *p1);
/* Notes the source offset of the next word, which can fail. */
void mark_offset(Translator *t);
/* An instruction with a result: pushes the temporary and emits; a becomes its home. */
void emit_result(Translator *t, int code, uint32_t width, int32_t b, int32_t c);

/* The same in two words; in a far function the result goes to its slot behind both. */
void emit_wide_result(Translator *t, int code, uint32_t width, int32_t b, int32_t c, void *p0, void *p1);
/* Fills in the second word of the last instruction of this code. */
void set_second(Translator *t, int code, Word second);

void push_temp(Translator *t, uint32_t width);
void push_const(Translator *t, uint64_t value);
void push_local(Translator *t, uint32_t local);
Operand pop(Translator *t);
/* Pops it and names the slot it stands in, a constant put to its home first. In far functions `scratch` (0..3) takes it. */
int32_t pop_slot(Translator *t, int scratch);
/* Moves the topmost `count` operands to their homes. */
void settle(Translator *t, size_t count);
/* Moves every operand that names a local to its home. */
void settle_locals(Translator *t);
/* The same for those that name this local: it is about to change. */
void settle_local(Translator *t, uint32_t local);
void move_to(Translator *t, const Operand *operand, int32_t slot);
/* Cuts the operand stack back. */
void cut(Translator *t, size_t count, int32_t height);
/* Whether `last` made this operand, and its result may go elsewhere. */
bool can_redirect(const Translator *t, const Operand *operand);

/* A condition for a branch: a compare taken back from the code, or a slot. */
typedef struct Condition {
  int code;                 /* the value form of the compare, CODE_BR_NZ for a slot */
  int32_t a, b;             /* b: slot, or immediate with `immediate` */
  bool immediate, negated;
} Condition;
Condition take_condition(Translator *t);
/* Emits the branch that is taken where the condition holds (or, with `unless`, does not); its word. */
uint32_t emit_condition(Translator *t, Condition condition, bool unless, bool backwards);
int inverse_compare(int code);
int swapped_compare(int code);
static inline bool is_icompare(int code) {
  return code >= CODE_I32_EQ && code <= CODE_LOOP_I64_GE_U_K && code != CODE_I64_EQZ;
}
static inline bool is_fcompare(int code) { return code >= CODE_F32_EQ && code <= CODE_LOOPN_F64_GE; }

/* Branches: link to a label not placed yet, or jump back. */
/* A plain branch to a label further on; a = 1: a move stands right before it. */
void emit_branch(Translator *t, Control *control);
void link_branch(Translator *t, Control *control, uint32_t word);
void place_label(Translator *t, Control *control);
Control *control_at(Translator *t, uint32_t depth);
uint32_t label_values(const Control *control, const lun_type **types);
/* Moves the label's values (on top) to where it expects them. */
void move_label_values(Translator *t, const Control *control);
/* Whether they are there already, once settled. */
bool label_values_in_place(const Translator *t, const Control *control);
void emit_return(Translator *t);

#endif
