/* SPDX-License-Identifier: MIT */
/* The quick way through a body. Most instructions take what lies on the stack and have short immediates and nothing
 * wrong with them. code_quick runs over those with reader and stack in registers, and without a branch that depends on
 * which instruction it is: what it takes and gives stands in a table by opcode byte, as types and masks. It stops at
 * the first that is anything else, which validate.c then sees as if nothing had been tried.
 *
 * Eight bytes are looked at together: a LEB128 ends at the first byte whose top bit is clear, and one of at most four
 * bytes fits its integer. The target is little-endian. */
#include <string.h>

#include "validate.h"

const uint8_t natural_alignment[] = { 2, 3, 2, 3, 0, 0, 1, 1, 0, 0, 1, 1, 2, 2, 2, 3, 2, 3, 0, 1, 0, 1, 2 };

void code_quick(Validator *v) {
  const uint64_t ends_first = 0x8080808000, ends_second = 0x808080800000;
  const uint8_t *at = v->b.at, *end = v->b.end;
  lun_type *top = v->top, *const floor = v->floor, *const limit = v->limit;
  while (end - at >= 8) {
    uint64_t bytes;
    memcpy(&bytes, at, sizeof bytes);
    const Quick *quick = &v->quick[bytes & 0xff];
    uint32_t next = bytes >> 8 & 0xff;
    /* The place of the byte that ends it; a mark one further stands for "longer". */
    unsigned first = (unsigned)__builtin_ctzll((~bytes & ends_first) | UINT64_C(1) << 47) >> 3;
    unsigned second = (unsigned)__builtin_ctzll((~bytes & ends_second) | UINT64_C(1) << 55) >> 3;
    unsigned length = 1 + (first & quick->leb_first) + (second & quick->leb_second);
    lun_type local = v->first[next] & quick->local_mask;
    lun_type wrong = ((top[-1] ^ (quick->top | local)) & quick->top_mask) | ((top[-2] ^ quick->below) & quick->below_mask);
    bool fine = (next < quick->first_limit) & (length <= quick->most) & (wrong == 0) & (top - floor >= quick->pops) &
                (top != limit);
    if (UNLIKELY(!fine)) break;
    top += (int)quick->gives - (int)quick->pops;
    top[-1] = ((quick->out | local) & quick->out_mask) | (top[-1] & ~quick->out_mask);
    at += length;
  }
  v->b.at = at;
  v->top = top;
}

/* ---- the tables ---- */

static lun_type letter_type(char letter) {
  switch (letter) {
    case 'i': return LUN_I32;
    case 'I': return LUN_I64;
    case 'f': return LUN_F32;
    case 'F': return LUN_F64;
    case 'V': return LUN_V128;
    default: return UNKNOWN;
  }
}

static void shapes_init(Validator *v) {
  for (unsigned op = 0; op < OP_COUNT; op++) {
    const char *signature = op_info[op].signature;
    Shape *shape = &v->shapes[op];
    for (; signature && *signature != ':'; signature++) shape->in[shape->pops++] = letter_type(*signature);
    if (signature) shape->out = letter_type(signature[1]);
  }
}

enum { ALL = 0xff, ANY = 0x100 };

static void quick_shaped(const Validator *v, Quick *quick, unsigned op) {
  const Shape *shape = &v->shapes[op];
  uint8_t class = op_info[op].class;
  bool is_memory = class == CLASS_LOAD || class == CLASS_STORE;
  if (class == CLASS_HAND || (is_memory && !v->module->memory_count)) return;
  bool gives = shape->out != UNKNOWN;
  *quick = (Quick){ .out = shape->out, .gives = gives, .pops = (uint8_t)shape->pops, .first_limit = ANY, .most = 1 };
  quick->out_mask = gives ? UINT32_MAX : 0;
  quick->top = shape->in[shape->pops - 1];
  quick->top_mask = UINT32_MAX;
  if (shape->pops == 2) quick->below = shape->in[0], quick->below_mask = UINT32_MAX;
  if (!is_memory) return;
  lun_type address = address_type(&v->module->memories[0].limits);
  if (shape->pops == 1) quick->top = address;
  else quick->below = address;
  quick->first_limit = natural_alignment[op - OP_I32_LOAD] + 1;
  quick->leb_second = ALL;
  quick->most = 6;
}

/* Must be in step with the order of the codes of local.get, local.set and local.tee. */
enum { LOCAL_GET_CODE = 0x20, LOCAL_TEE_CODE = 0x22, I32_CONST_CODE = 0x41, I64_CONST_CODE = 0x42 };

static void quick_init(Validator *v) {
  for (unsigned op = 0; op < OP_COUNT; op++) {
    if (op_info[op].code < 0x100) quick_shaped(v, &v->quick[op_info[op].code], op);
  }
  Quick constant = { .gives = 1, .out_mask = UINT32_MAX, .first_limit = ANY, .leb_first = ALL, .most = 5 };
  constant.out = LUN_I32, v->quick[I32_CONST_CODE] = constant;
  constant.out = LUN_I64, v->quick[I64_CONST_CODE] = constant;
  const Quick local = { .local_mask = UINT32_MAX, .leb_first = ALL, .most = 2 };
  for (unsigned i = 0; i < 3; i++) {
    Quick *quick = &v->quick[LOCAL_GET_CODE + i];
    *quick = local;
    quick->gives = i != 1;
    quick->out_mask = i != 1 ? UINT32_MAX : 0;
    quick->pops = i != 0;
    quick->top_mask = i != 0 ? UINT32_MAX : 0;
  }
}

void tables_init(Validator *v) {
  shapes_init(v);
  quick_init(v);
}

/* Indexes of locals have a byte in the quick way, and must be there; before they are read, some must be set. */
void quick_locals(Validator *v) {
  uint16_t limit = v->first_count < 0x80 ? (uint16_t)v->first_count : 0x80;
  if (v->unset_from < limit) limit = (uint16_t)v->unset_from;
  for (unsigned code = LOCAL_GET_CODE; code <= LOCAL_TEE_CODE; code++) v->quick[code].first_limit = limit;
}
