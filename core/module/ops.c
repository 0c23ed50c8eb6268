/* SPDX-License-Identifier: MIT */
/* The instruction table as data, and reading an opcode: one byte, or a prefix and a number in LEB128. */
#include <string.h>

#include "decode.h"

const OpInfo op_info[OP_COUNT] = {
#define OP(code, id, text, immediate, signature, class) [OP_##id] = { code, text, immediate, class, signature },
#include "ops.def"
#undef OP
};

#define PLACE(code) ((code) < 0x100 ? (code) : (code) < 0x10000 ? 0x100 + ((code) & 0xff) : 0x200 + ((code) & 0x1ff))
const uint16_t op_of_code[0x400] = {
#define OP(code, id, text, immediate, signature, class) [PLACE(code)] = OP_##id + 1,
#include "ops.def"
#undef OP
};

bool op_read_later(Bytes *b, Op *op, Later *later) {
  const uint8_t *start = b->at;
  later->proposal = NULL;
  uint8_t byte = bytes_u8(b);
  uint32_t number = byte >= 0xfb && byte <= 0xfe ? bytes_u32(b) : 0;
  if (b->failure) return false;
  unsigned code = byte;
  if (byte == 0xfc) code = number < 0x100 ? 0x100 + number : 0xff;
  if (byte == 0xfd) code = number < 0x200 ? 0x200 + number : 0xff;
  if (op_of_code[code]) {
    *op = (Op)(op_of_code[code] - 1);
    return true;
  }
  later_instruction(byte, number, later);
  b->at = start;
  bytes_fail(b, "illegal opcode");
  return false;
}

bool op_read(Bytes *b, Op *op, const char **missing) {
  Later later;
  bool known = op_read_later(b, op, &later);
  *missing = later.proposal;
  return known;
}

/* Core specification 3.0, 5.4.6: with bit 6 of the alignment an index of a memory follows. */
Memarg memarg_read(Bytes *b) {
  const uint8_t *start = b->at;
  uint32_t flags = bytes_u32(b);
  Memarg memarg = { .align = flags & 0x3f };
  if (flags >= 0x80 && !b->failure) {
    b->at = start;
    bytes_fail(b, "malformed memop flags");
  }
  if (flags & 0x40) memarg.memory = bytes_u32(b);
  memarg.offset = bytes_u64(b);
  return memarg;
}

/* Both stand in the name: v128.load16_lane, v128.load8x8_s, i32x4.extract_lane. */
static uint32_t name_number(const char *text, const char *behind) {
  const char *at = strstr(text, behind);
  uint32_t number = 0;
  for (at = at ? at + strlen(behind) : ""; *at >= '0' && *at <= '9'; at++) number = number * 10 + (uint32_t)(*at - '0');
  return number;
}

uint32_t vector_alignment(Op op) {
  const char *text = op_info[op].text;
  uint32_t bits = name_number(text, op_info[op].class == CLASS_VSTORE_LANE ? "store" : "load");
  if (bits && strchr(text, 'x')) bits = 64;
  return bits ? (uint32_t)__builtin_ctz(bits / 8) : 4;
}

uint32_t vector_lanes(Op op) {
  const char *text = op_info[op].text;
  uint8_t class = op_info[op].class;
  if (class == CLASS_VLOAD_LANE || class == CLASS_VSTORE_LANE) return 16u >> vector_alignment(op);
  return name_number(text, "x");
}
