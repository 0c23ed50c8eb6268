/* SPDX-License-Identifier: MIT */
/* The bounded reader: integers, little-endian and LEB128, out of bytes that nobody trusts. It never reads behind
 * `end`; the first failure stays, and brings `end` to where it happened, so that every later read fails as well.
 *
 * The order of the LEB128 checks is the reference interpreter's: bits that do not fit ("integer too large") come
 * before a byte too many ("integer representation too long"). Core specification, 5.2.2 (Integers). */
#include <string.h>

#include "base.h"

void bytes_fail(Bytes *b, const char *failure) {
  if (b->failure) return;
  b->failure = failure;
  b->end = b->at;
}

const uint8_t *bytes_take(Bytes *b, size_t size) {
  if (b->failure || bytes_left(b) < size) {
    bytes_fail(b, "unexpected end");
    return NULL;
  }
  const uint8_t *taken = b->at;
  b->at += size;
  return taken;
}

uint8_t bytes_u8(Bytes *b) {
  const uint8_t *taken = bytes_take(b, 1);
  return taken ? *taken : 0;
}

static uint64_t little_endian(const uint8_t *bytes, unsigned size) {
  uint64_t value = 0;
  for (unsigned i = 0; i < size; i++) value |= (uint64_t)bytes[i] << 8 * i;
  return value;
}

uint32_t bytes_u32le(Bytes *b) {
  const uint8_t *taken = bytes_take(b, 4);
  return taken ? (uint32_t)little_endian(taken, 4) : 0;
}

uint64_t bytes_u64le(Bytes *b) {
  const uint8_t *taken = bytes_take(b, 8);
  return taken ? little_endian(taken, 8) : 0;
}

/* An unsigned integer of `bits` bits. */
static uint64_t leb_unsigned(Bytes *b, unsigned bits) {
  const uint8_t *at = b->at;
  uint64_t value = 0;
  for (unsigned shift = 0;; shift += 7) {
    if (shift >= bits) return bytes_fail(b, "integer representation too long"), 0;
    if (at >= b->end) return bytes_fail(b, "unexpected end"), 0;
    uint8_t byte = *at++;
    unsigned room = bits - shift;
    if (room < 7 && (byte & 0x7f) >> room) return bytes_fail(b, "integer too large"), 0;
    value |= (uint64_t)(byte & 0x7f) << shift;
    if (!(byte & 0x80)) break;
  }
  b->at = at;
  return value;
}

/* A signed one, sign-extended to 64 bits. In the last byte the bits that do not fit must repeat the sign. */
static int64_t leb_signed(Bytes *b, unsigned bits) {
  const uint8_t *at = b->at;
  uint64_t value = 0;
  unsigned shift = 0;
  for (;;) {
    if (shift >= bits) return bytes_fail(b, "integer representation too long"), 0;
    if (at >= b->end) return bytes_fail(b, "unexpected end"), 0;
    uint8_t byte = *at++;
    unsigned room = bits - shift;
    if (room < 7) {
      uint8_t mask = (uint8_t)(0x7f << (room - 1)) & 0x7f;
      if ((byte & mask) != 0 && (byte & mask) != mask) return bytes_fail(b, "integer too large"), 0;
    }
    value |= (uint64_t)(byte & 0x7f) << shift;
    shift += 7;
    if (byte & 0x80) continue;
    if (shift < 64 && (byte & 0x40)) value |= UINT64_MAX << shift;
    break;
  }
  b->at = at;
  return (int64_t)value;
}

uint32_t bytes_u32_long(Bytes *b) { return (uint32_t)leb_unsigned(b, 32); }
uint64_t bytes_u64_long(Bytes *b) { return leb_unsigned(b, 64); }
int32_t bytes_s32_long(Bytes *b) { return (int32_t)leb_signed(b, 32); }
int64_t bytes_s33(Bytes *b) { return leb_signed(b, 33); }
int64_t bytes_s64(Bytes *b) { return leb_signed(b, 64); }
