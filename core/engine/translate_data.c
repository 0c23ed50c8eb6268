/* SPDX-License-Identifier: MIT */
/* The translator's cases for what lies in memories and tables, and for vectors: loads and stores, growth, the bulk
 * instructions, lanes. Called by translate.c for each such instruction. */
#include "translator.h"

/* ---- loads and stores ---- */
static void use_memory(Translator *t, uint32_t index) {
  emit(t, CODE_USE_MEMORY, 0, 0, 0);
  emit_words(t, t->instance->memories[index], NULL);
}

uint64_t read_memarg(Bytes *b, uint32_t *memory) {
  *memory = bytes_u32(b) & 0x40 ? bytes_u32(b) : 0;
  return bytes_u64(b);
}

/* An access as it is translated: the form of its code, and the offset from the address. */
typedef struct Access {
  int code;
  uint64_t offset;
} Access;

/* The slot of the address, on top of the stack; an offset that no instruction has room for is added to it. */
static int32_t pop_address(Translator *t, Access *access) {
  int32_t slot = pop_slot(t, 1);
  if (access->offset <= UINT32_MAX) return slot;
  emit_wide_result(t, CODE_ADDRESS_64, 1, slot, 0, NULL, NULL);
  set_second(t, CODE_ADDRESS_64, (Word){ .k = { access->offset } });
  access->offset = 0;
  return pop_slot(t, 1);
}

static void access_scalar(Translator *t, Op op, Access access) {
  if (op_info[op].class == CLASS_LOAD) {
    int32_t b = pop_address(t, &access);
    mark_offset(t);
    emit_result(t, access.code, 1, b, (int32_t)access.offset);
    return;
  }
  int32_t a = pop_slot(t, 2), b = pop_address(t, &access);
  mark_offset(t);
  uint32_t word = emit(t, access.code, a, b, 0);
  if (!t->failed) t->code.items[word].u = (uint32_t)access.offset;
}

static void access_vector(Translator *t, Op op, Access access) {
  OpClass class = (OpClass)op_info[op].class;
  if (class == CLASS_VLOAD) {
    int32_t b = pop_address(t, &access);
    mark_offset(t);
    emit_result(t, access.code, 2, b, (int32_t)access.offset);
    return;
  }
  int32_t vector = pop_slot(t, 2), address = pop_address(t, &access), offset = (int32_t)access.offset;
  mark_offset(t);
  if (class == CLASS_VSTORE) {
    emit(t, access.code, vector, address, offset);
    return;
  }
  uint32_t lane = bytes_u8(&t->body);
  if (class == CLASS_VSTORE_LANE) emit(t, access.code, vector, address, offset);
  else emit_wide_result(t, access.code, 2, address, offset, NULL, NULL);
  /* The second word: the lane, and for a load the vector. */
  if (class == CLASS_VSTORE_LANE) emit_words(t, NULL, NULL);
  set_second(t, access.code, (Word){ { NULL, { { (int16_t)vector, (int16_t)lane, { 0 } } } } });
}

/* Another memory than 0 is put in its place for the one access. */
void translate_access(Translator *t, Op op) {
  uint32_t memory;
  Access access = { .code = code_of_op[op], .offset = read_memarg(&t->body, &memory) };
  bool is_vector = op_info[op].class >= CLASS_VUNARY;
  if (t->instance->memories[memory]->is_64) access.code++;
  if (memory) use_memory(t, memory);
  if (is_vector) access_vector(t, op, access);
  else access_scalar(t, op, access);
  if (memory) use_memory(t, 0);
}

/* ---- memories and tables as a whole ---- */
/* Three operands in a row, at their homes: the first one's slot. */
static int32_t pop_three(Translator *t) {
  settle(t, 3);
  pop(t), pop(t);
  Operand first = pop(t);
  if (!t->far) return first.home;
  for (int32_t i = 0; i < 3; i++) emit(t, CODE_MOVE_FAR_GET, i, 0, first.home + i);
  return 0;
}

static void emit_bulk(Translator *t, int code, uint32_t segment, void *p0, void *p1) {
  int32_t a = pop_three(t);
  mark_offset(t);
  uint32_t word = emit(t, code, a, 0, 0);
  if (!t->failed) t->code.items[word].u = segment;
  emit_words(t, p0, p1);
  if (!t->instance->is_metered) return;
  mark_offset(t);
  emit(t, CODE_FUEL_RANGE, a, 0, 0);
}

void narrow_index(Translator *t, uint32_t table) {
  if (!t->instance->tables[table]->is_64) return;
  int32_t b = pop_slot(t, 1);
  emit_result(t, CODE_INDEX_64, 1, b, 0);
}

static void translate_drop(Translator *t, int code) {
  uint32_t segment = bytes_u32(&t->body), word = emit(t, code, 0, 0, 0);
  if (!t->failed) t->code.items[word].u = segment;
  emit_words(t, t->instance, NULL);
}

static void translate_memory(Translator *t, Op op) {
  Instance *in = t->instance;
  uint32_t x = bytes_u32(&t->body), y = op == OP_MEMORY_INIT || op == OP_MEMORY_COPY ? bytes_u32(&t->body) : 0;
  switch (op) {
  case OP_MEMORY_SIZE: emit_wide_result(t, CODE_MEMORY_SIZE, 1, 0, 0, in->memories[x], NULL); break;
  case OP_MEMORY_GROW: {
    int32_t pages = pop_slot(t, 1);
    int code = in->memories[x]->is_64 ? CODE_MEMORY_GROW_64 : CODE_MEMORY_GROW;
    mark_offset(t);
    emit_wide_result(t, code, 1, pages, 0, in->memories[x], in);
    break;
  }
  case OP_MEMORY_INIT:
    emit_bulk(t, in->memories[y]->is_64 ? CODE_MEMORY_INIT_64 : CODE_MEMORY_INIT, x, in, (void *)(uintptr_t)y);
    break;
  case OP_MEMORY_COPY: {
    bool is_64 = in->memories[x]->is_64 || in->memories[y]->is_64;
    emit_bulk(t, is_64 ? CODE_MEMORY_COPY_64 : CODE_MEMORY_COPY, 0, in->memories[x], in->memories[y]);
    break;
  }
  default: /* memory.fill */
    emit_bulk(t, in->memories[x]->is_64 ? CODE_MEMORY_FILL_64 : CODE_MEMORY_FILL, 0, in->memories[x], NULL);
    break;
  }
}

static void translate_table(Translator *t, Op op) {
  Instance *in = t->instance;
  uint32_t x = bytes_u32(&t->body), y = op == OP_TABLE_INIT || op == OP_TABLE_COPY ? bytes_u32(&t->body) : 0;
  Table *table = in->tables[op == OP_TABLE_INIT ? y : x];
  bool is_64 = table->is_64 || (op == OP_TABLE_COPY && in->tables[y]->is_64);
  switch (op) {
  case OP_TABLE_INIT:
    emit_bulk(t, is_64 ? CODE_TABLE_INIT_64 : CODE_TABLE_INIT, x, in, (void *)(uintptr_t)y);
    break;
  case OP_TABLE_COPY: emit_bulk(t, is_64 ? CODE_TABLE_COPY_64 : CODE_TABLE_COPY, 0, table, in->tables[y]); break;
  case OP_TABLE_FILL: emit_bulk(t, is_64 ? CODE_TABLE_FILL_64 : CODE_TABLE_FILL, 0, table, NULL); break;
  case OP_TABLE_SIZE: emit_wide_result(t, CODE_TABLE_SIZE, 1, 0, 0, table, NULL); break;
  case OP_TABLE_GROW: {
    int32_t count = pop_slot(t, 2), value = pop_slot(t, 1);
    mark_offset(t);
    emit_wide_result(t, is_64 ? CODE_TABLE_GROW_64 : CODE_TABLE_GROW, 1, value, count, table, NULL);
    break;
  }
  case OP_TABLE_GET: {
    int32_t index = pop_slot(t, 1);
    mark_offset(t);
    emit_wide_result(t, is_64 ? CODE_TABLE_GET_64 : CODE_TABLE_GET, 1, index, 0, table, NULL);
    break;
  }
  default: { /* table.set */
    int32_t value = pop_slot(t, 2), index = pop_slot(t, 1);
    mark_offset(t);
    emit(t, is_64 ? CODE_TABLE_SET_64 : CODE_TABLE_SET, value, index, 0);
    emit_words(t, table, NULL);
    break;
  }
  }
}

void translate_bulk(Translator *t, Op op) {
  switch (op) {
  case OP_DATA_DROP: translate_drop(t, CODE_DATA_DROP); break;
  case OP_ELEM_DROP: translate_drop(t, CODE_ELEM_DROP); break;
  case OP_MEMORY_SIZE: case OP_MEMORY_GROW: case OP_MEMORY_INIT: case OP_MEMORY_COPY: case OP_MEMORY_FILL:
    translate_memory(t, op);
    break;
  default: translate_table(t, op); break;
  }
}

/* ---- vectors ---- */
void translate_vector_wide(Translator *t, Op op) {
  uint64_t bytes[2];
  bytes[0] = bytes_u64le(&t->body), bytes[1] = bytes_u64le(&t->body);
  Word second = { .k = { bytes[0], bytes[1] } };
  if (op == OP_V128_CONST) {
    emit_wide_result(t, CODE_CONST_V, 2, 0, 0, NULL, NULL);
    set_second(t, CODE_CONST_V, second);
    return;
  }
  int32_t c = pop_slot(t, 2), b = pop_slot(t, 1);
  emit_wide_result(t, CODE_SHUFFLE, 2, b, c, NULL, NULL);
  set_second(t, CODE_SHUFFLE, second);
}

void translate_vector(Translator *t, Op op) {
  int code = code_of_op[op];
  switch ((OpClass)op_info[op].class) {
  case CLASS_VUNARY: { int32_t b = pop_slot(t, 1); emit_result(t, code, 2, b, 0); break; }
  case CLASS_VTEST: { int32_t b = pop_slot(t, 1); emit_result(t, code, 1, b, 0); break; }
  case CLASS_VSPLAT: { int32_t b = pop_slot(t, 1); emit_result(t, code, 2, b, 0); break; }
  case CLASS_VEXTRACT: { int32_t b = pop_slot(t, 1); emit_result(t, code, 1, b, bytes_u8(&t->body)); break; }
  case CLASS_VREPLACE: {
    int32_t scalar = pop_slot(t, 2), b = pop_slot(t, 1);
    emit_result(t, code, 2, b, pair_operands(t, scalar, bytes_u8(&t->body)));
    break;
  }
  case CLASS_VTERNARY: {
    int32_t z = pop_slot(t, 3), y = pop_slot(t, 2), x = pop_slot(t, 1);
    emit_result(t, code, 2, x, pair_operands(t, y, z));
    break;
  }
  case CLASS_VBINARY:
  case CLASS_VSHIFT: { int32_t c = pop_slot(t, 2), b = pop_slot(t, 1); emit_result(t, code, 2, b, c); break; }
  default: translate_access(t, op); break;
  }
}
