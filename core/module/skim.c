/* SPDX-License-Identifier: MIT */
/* Stepping over code: is it well-formed, and where does it end? The specification decodes a whole module before it
 * validates any of it, so that a malformed module is malformed even when an earlier body is invalid. This finds the
 * end of constant expressions, and is asked about bodies only after one was found invalid: validate.c checks the form
 * while it checks the types. Core specification, 5.4 (Instructions). */
#include "decode.h"

enum { BLOCK_PLAIN, BLOCK_IF, BLOCK_TRY, BLOCK_CATCH };

static void select_skip(Bytes *b) {
  uint32_t count = bytes_u32(b);
  if (count > bytes_left(b)) bytes_fail(b, "unexpected end");
  for (uint32_t i = 0; i < count && !b->failure; i++) value_type_read(b, NULL);
}

static void labels_skip(Bytes *b) {
  uint32_t count = bytes_u32(b);
  if (count > bytes_left(b)) bytes_fail(b, "unexpected end");
  for (uint64_t i = 0; i <= count && !b->failure; i++) bytes_u32(b);
}

static void catches_skip(Bytes *b) {
  uint32_t count = bytes_u32(b);
  if (count > bytes_left(b) / 2) bytes_fail(b, "unexpected end");
  for (uint32_t i = 0; i < count && !b->failure; i++) catch_read(b);
}

/* Any block type will do whose index is a number: whether the type is there is a question of validity. */
static void block_skip(Skim *skim, Bytes *b) {
  Bytes ahead = *b;
  BlockType ignored;
  if (b->at < b->end && (*b->at == REF_CODE || *b->at == REF_NULL_CODE)) {
    value_type_read(b, NULL);
    return;
  }
  if (block_type_read(b, skim->module, &ignored)) return;
  int64_t index = bytes_s33(&ahead);
  if (!ahead.failure && index >= 0) *b = ahead;
}

/* Where there is no data segment at all the count may be missing: the index is invalid then, not malformed. */
static void data_skip(Skim *skim, Bytes *b) {
  const uint8_t *start = b->at;
  bytes_u32(b);
  if (skim->module->has_data_count || !skim->module->data_count || b->failure) return;
  b->at = start;
  bytes_fail(b, "data count section required");
}

static void immediate_skip(Skim *skim, Bytes *b, Immediate immediate) {
  switch (immediate) {
    case IMM_NONE: break;
    case IMM_BLOCK: block_skip(skim, b); break;
    case IMM_LABELS: labels_skip(b); break;
    case IMM_LABEL: case IMM_FUNCTION: case IMM_LOCAL: case IMM_GLOBAL: case IMM_TABLE: case IMM_ELEMENT: case IMM_TAG:
    case IMM_TYPE:
      bytes_u32(b);
      break;
    case IMM_TRY: block_skip(skim, b), catches_skip(b); break;
    case IMM_INDIRECT: case IMM_ELEMENT_TABLE: case IMM_TABLE_TABLE: bytes_u32(b), bytes_u32(b); break;
    case IMM_MEMARG: memarg_read(b); break;
    case IMM_MEMORY: bytes_u32(b); break;
    case IMM_MEMORY_MEMORY: bytes_u32(b), bytes_u32(b); break;
    case IMM_I32: bytes_s32(b); break;
    case IMM_I64: bytes_s64(b); break;
    case IMM_F32: bytes_take(b, 4); break;
    case IMM_F64: bytes_take(b, 8); break;
    case IMM_V128: case IMM_SHUFFLE: bytes_take(b, 16); break;
    case IMM_LANE: bytes_u8(b); break;
    case IMM_MEMARG_LANE: memarg_read(b), bytes_u8(b); break;
    case IMM_SELECT: select_skip(b); break;
    case IMM_HEAP: heap_type_read(b, NULL); break;
    case IMM_DATA: data_skip(skim, b); break;
    case IMM_DATA_MEMORY: data_skip(skim, b), bytes_u32(b); break;
  }
}

/* else, catch, catch_all and delegate belong to a block of their kind, which is then of another. */
static bool block_turn(Skim *skim, Op op) {
  if (!skim->open.count) return false;
  uint8_t *kind = &skim->open.items[skim->open.count - 1];
  switch (op) {
    case OP_ELSE:
      if (*kind != BLOCK_IF) return false;
      *kind = BLOCK_PLAIN;
      return true;
    case OP_DELEGATE:
      if (*kind != BLOCK_TRY) return false;
      skim->open.count--;
      return true;
    default:
      if (*kind != BLOCK_TRY && *kind != BLOCK_CATCH) return false;
      *kind = op == OP_CATCH ? BLOCK_CATCH : BLOCK_PLAIN;
      return true;
  }
}

/* One instruction with its immediates. */
static void instruction_skip(Skim *skim, Bytes *b, Op *op) {
  if (op_read_later(b, op, &skim->later)) immediate_skip(skim, b, op_info[*op].immediate);
}

const char *misplaced_text(Op op) {
  return op == OP_ELSE ? "END opcode expected, not an else outside an if"
                       : "END opcode expected, not a catch or delegate outside its try";
}

lun_status code_skim(Skim *skim, Bytes *b) {
  skim->open.count = 0;
  skim->later.proposal = NULL;
  for (;;) {
    const uint8_t *start = b->at;
    Op op;
    instruction_skip(skim, b, &op);
    if (b->failure) return LUN_MALFORMED;
    switch (op) {
      case OP_BLOCK: case OP_LOOP: case OP_TRY_TABLE:
        if (!vec_push(&skim->open, BLOCK_PLAIN)) return LUN_NO_MEMORY;
        break;
      case OP_IF: case OP_TRY:
        if (!vec_push(&skim->open, op == OP_IF ? BLOCK_IF : BLOCK_TRY)) return LUN_NO_MEMORY;
        break;
      case OP_ELSE: case OP_CATCH: case OP_CATCH_ALL: case OP_DELEGATE:
        if (block_turn(skim, op)) break;
        b->at = start;
        bytes_fail(b, misplaced_text(op));
        return LUN_MALFORMED;
      case OP_END:
        if (skim->open.count == 0) return LUN_OK;
        skim->open.count--;
        break;
      default: break;
    }
  }
}

bool locals_read(Bytes *b, const lun_module *module, LocalGroup group, void *self) {
  uint32_t groups = bytes_u32(b);
  uint64_t sum = 0;
  for (uint32_t i = 0; i < groups && !b->failure; i++) {
    const uint8_t *start = b->at;
    uint32_t count = bytes_u32(b);
    lun_type type = value_type_read(b, module);
    sum += count;
    if (sum > UINT32_MAX && !b->failure) {
      b->at = start;
      bytes_fail(b, "too many locals");
    }
    if (!b->failure && count && group && !group(self, count, type)) return false;
  }
  return !b->failure;
}

lun_status body_skim(Skim *skim, Bytes *b) {
  skim->later.proposal = NULL;
  if (!locals_read(b, NULL, NULL, NULL)) return LUN_MALFORMED;
  lun_status status = code_skim(skim, b);
  if (status == LUN_OK && bytes_left(b)) {
    bytes_fail(b, "section size mismatch: bytes behind the end of the function");
    return LUN_MALFORMED;
  }
  return status;
}

void skim_clear(Skim *skim) { vec_clear(&skim->open); }
