/* SPDX-License-Identifier: MIT */
/* What the numeric instructions compute: num_ID for each numeric row of ops.def, on slots. i32 and f32 stand
 * zero-extended in a slot, and leave as such. Those that can fail return the trap beside the value.
 * Core specification, 4.3 (Numerics). */
#ifndef LUN_NUMERIC_H
#define LUN_NUMERIC_H

#include <math.h>
#include <string.h>

#include "base.h"

typedef struct Outcome {
  uint64_t value;
  lun_trap trap;
} Outcome;

static inline float slot_f32(uint64_t s) { uint32_t w = (uint32_t)s; float f; memcpy(&f, &w, 4); return f; }
static inline double slot_f64(uint64_t s) { double d; memcpy(&d, &s, 8); return d; }
static inline uint64_t f32_slot(float f) { uint32_t w; memcpy(&w, &f, 4); return w; }
static inline uint64_t f64_slot(double d) { uint64_t s; memcpy(&s, &d, 8); return s; }
/* Two's complement both ways, with no implementation-defined conversion. */
static inline int32_t as_s32(uint64_t s) { uint32_t w = (uint32_t)s; int32_t i; memcpy(&i, &w, 4); return i; }
static inline int64_t as_s64(uint64_t s) { int64_t i; memcpy(&i, &s, 8); return i; }

#define NUM_BINARY(id, expression) static inline uint64_t num_##id(uint64_t x, uint64_t y) { return (expression); }
#define NUM_UNARY(id, expression) static inline uint64_t num_##id(uint64_t x) { return (expression); }
#define X32 ((uint32_t)x)
#define Y32 ((uint32_t)y)

/* ---- integers ---- */
NUM_UNARY(I32_EQZ, X32 == 0)
NUM_BINARY(I32_EQ, X32 == Y32)
NUM_BINARY(I32_NE, X32 != Y32)
NUM_BINARY(I32_LT_S, as_s32(x) < as_s32(y))
NUM_BINARY(I32_LT_U, X32 < Y32)
NUM_BINARY(I32_GT_S, as_s32(x) > as_s32(y))
NUM_BINARY(I32_GT_U, X32 > Y32)
NUM_BINARY(I32_LE_S, as_s32(x) <= as_s32(y))
NUM_BINARY(I32_LE_U, X32 <= Y32)
NUM_BINARY(I32_GE_S, as_s32(x) >= as_s32(y))
NUM_BINARY(I32_GE_U, X32 >= Y32)
NUM_UNARY(I64_EQZ, x == 0)
NUM_BINARY(I64_EQ, x == y)
NUM_BINARY(I64_NE, x != y)
NUM_BINARY(I64_LT_S, as_s64(x) < as_s64(y))
NUM_BINARY(I64_LT_U, x < y)
NUM_BINARY(I64_GT_S, as_s64(x) > as_s64(y))
NUM_BINARY(I64_GT_U, x > y)
NUM_BINARY(I64_LE_S, as_s64(x) <= as_s64(y))
NUM_BINARY(I64_LE_U, x <= y)
NUM_BINARY(I64_GE_S, as_s64(x) >= as_s64(y))
NUM_BINARY(I64_GE_U, x >= y)

NUM_UNARY(I32_CLZ, X32 ? (uint64_t)__builtin_clz(X32) : 32)
NUM_UNARY(I32_CTZ, X32 ? (uint64_t)__builtin_ctz(X32) : 32)
NUM_UNARY(I64_CLZ, x ? (uint64_t)__builtin_clzll(x) : 64)
NUM_UNARY(I64_CTZ, x ? (uint64_t)__builtin_ctzll(x) : 64)
/* In registers: __builtin_popcount is a call where the processor's own cannot be counted on. */
static inline uint64_t num_I64_POPCNT(uint64_t x) {
  x -= (x >> 1) & 0x5555555555555555u;
  x = (x & 0x3333333333333333u) + ((x >> 2) & 0x3333333333333333u);
  x = (x + (x >> 4)) & 0x0f0f0f0f0f0f0f0fu;
  return (x * 0x0101010101010101u) >> 56;
}
NUM_UNARY(I32_POPCNT, num_I64_POPCNT(X32))

NUM_BINARY(I32_ADD, X32 + Y32)
NUM_BINARY(I32_SUB, X32 - Y32)
NUM_BINARY(I32_MUL, X32 * Y32)
NUM_BINARY(I32_AND, X32 & Y32)
NUM_BINARY(I32_OR, X32 | Y32)
NUM_BINARY(I32_XOR, X32 ^ Y32)
NUM_BINARY(I32_SHL, X32 << (Y32 & 31))
NUM_BINARY(I32_SHR_S, (uint32_t)(as_s32(x) >> (Y32 & 31)))
NUM_BINARY(I32_SHR_U, X32 >> (Y32 & 31))
NUM_BINARY(I32_ROTL, (uint32_t)(X32 << (Y32 & 31) | X32 >> (-Y32 & 31)))
NUM_BINARY(I32_ROTR, (uint32_t)(X32 >> (Y32 & 31) | X32 << (-Y32 & 31)))
NUM_BINARY(I64_ADD, x + y)
NUM_BINARY(I64_SUB, x - y)
NUM_BINARY(I64_MUL, x *y)
NUM_BINARY(I64_AND, x &y)
NUM_BINARY(I64_OR, x | y)
NUM_BINARY(I64_XOR, x ^ y)
NUM_BINARY(I64_SHL, x << (y & 63))
NUM_BINARY(I64_SHR_S, (uint64_t)(as_s64(x) >> (y & 63)))
NUM_BINARY(I64_SHR_U, x >> (y & 63))
NUM_BINARY(I64_ROTL, x << (y & 63) | x >> (-y & 63))
NUM_BINARY(I64_ROTR, x >> (y & 63) | x << (-y & 63))

#define TRAPPING(id, parameters) static inline Outcome num_##id parameters
#define FAIL(trap) return (Outcome){ 0, trap }
#define GIVE(value) return (Outcome){ value, LUN_TRAP_NONE }

TRAPPING(I32_DIV_S, (uint64_t x, uint64_t y)) {
  if (Y32 == 0) FAIL(LUN_TRAP_INTEGER_DIVIDE_BY_ZERO);
  if (X32 == 0x80000000u && Y32 == UINT32_MAX) FAIL(LUN_TRAP_INTEGER_OVERFLOW);
  GIVE((uint32_t)(as_s32(x) / as_s32(y)));
}
TRAPPING(I32_DIV_U, (uint64_t x, uint64_t y)) {
  if (Y32 == 0) FAIL(LUN_TRAP_INTEGER_DIVIDE_BY_ZERO);
  GIVE(X32 / Y32);
}
TRAPPING(I32_REM_S, (uint64_t x, uint64_t y)) {
  if (Y32 == 0) FAIL(LUN_TRAP_INTEGER_DIVIDE_BY_ZERO);
  if (Y32 == UINT32_MAX) GIVE(0);
  GIVE((uint32_t)(as_s32(x) % as_s32(y)));
}
TRAPPING(I32_REM_U, (uint64_t x, uint64_t y)) {
  if (Y32 == 0) FAIL(LUN_TRAP_INTEGER_DIVIDE_BY_ZERO);
  GIVE(X32 % Y32);
}
TRAPPING(I64_DIV_S, (uint64_t x, uint64_t y)) {
  if (y == 0) FAIL(LUN_TRAP_INTEGER_DIVIDE_BY_ZERO);
  if (x == UINT64_C(1) << 63 && y == UINT64_MAX) FAIL(LUN_TRAP_INTEGER_OVERFLOW);
  GIVE((uint64_t)(as_s64(x) / as_s64(y)));
}
TRAPPING(I64_DIV_U, (uint64_t x, uint64_t y)) {
  if (y == 0) FAIL(LUN_TRAP_INTEGER_DIVIDE_BY_ZERO);
  GIVE(x / y);
}
TRAPPING(I64_REM_S, (uint64_t x, uint64_t y)) {
  if (y == 0) FAIL(LUN_TRAP_INTEGER_DIVIDE_BY_ZERO);
  if (y == UINT64_MAX) GIVE(0);
  GIVE((uint64_t)(as_s64(x) % as_s64(y)));
}
TRAPPING(I64_REM_U, (uint64_t x, uint64_t y)) {
  if (y == 0) FAIL(LUN_TRAP_INTEGER_DIVIDE_BY_ZERO);
  GIVE(x % y);
}

/* ---- floating point ---- */
#define FX slot_f32(x)
#define FY slot_f32(y)
#define DX slot_f64(x)
#define DY slot_f64(y)
NUM_BINARY(F32_EQ, FX == FY)
NUM_BINARY(F32_NE, FX != FY)
NUM_BINARY(F32_LT, FX < FY)
NUM_BINARY(F32_GT, FX > FY)
NUM_BINARY(F32_LE, FX <= FY)
NUM_BINARY(F32_GE, FX >= FY)
NUM_BINARY(F64_EQ, DX == DY)
NUM_BINARY(F64_NE, DX != DY)
NUM_BINARY(F64_LT, DX < DY)
NUM_BINARY(F64_GT, DX > DY)
NUM_BINARY(F64_LE, DX <= DY)
NUM_BINARY(F64_GE, DX >= DY)

/* C's rounding functions may hand a signaling NaN through; the sum of a NaN with itself is quiet. */
#define ROUND(id, type, from, to, function) \
  static inline uint64_t num_##id(uint64_t x) { \
    type v = from(x); \
    return to(v != v ? v + v : function(v)); \
  }
#define F32_SIGN UINT32_C(0x80000000)
#define F64_SIGN (UINT64_C(1) << 63)
NUM_UNARY(F32_ABS, X32 & ~F32_SIGN)
NUM_UNARY(F32_NEG, X32 ^ F32_SIGN)
ROUND(F32_CEIL, float, slot_f32, f32_slot, ceilf)
ROUND(F32_FLOOR, float, slot_f32, f32_slot, floorf)
ROUND(F32_TRUNC, float, slot_f32, f32_slot, truncf)
ROUND(F32_NEAREST, float, slot_f32, f32_slot, rintf)
NUM_UNARY(F32_SQRT, f32_slot(sqrtf(FX)))
NUM_BINARY(F32_ADD, f32_slot(FX + FY))
NUM_BINARY(F32_SUB, f32_slot(FX - FY))
NUM_BINARY(F32_MUL, f32_slot(FX *FY))
NUM_BINARY(F32_DIV, f32_slot(FX / FY))
NUM_BINARY(F32_COPYSIGN, (X32 & ~F32_SIGN) | (Y32 & F32_SIGN))
NUM_UNARY(F64_ABS, x & ~F64_SIGN)
NUM_UNARY(F64_NEG, x ^ F64_SIGN)
ROUND(F64_CEIL, double, slot_f64, f64_slot, ceil)
ROUND(F64_FLOOR, double, slot_f64, f64_slot, floor)
ROUND(F64_TRUNC, double, slot_f64, f64_slot, trunc)
ROUND(F64_NEAREST, double, slot_f64, f64_slot, rint)
NUM_UNARY(F64_SQRT, f64_slot(sqrt(DX)))
NUM_BINARY(F64_ADD, f64_slot(DX + DY))
NUM_BINARY(F64_SUB, f64_slot(DX - DY))
NUM_BINARY(F64_MUL, f64_slot(DX *DY))
NUM_BINARY(F64_DIV, f64_slot(DX / DY))
NUM_BINARY(F64_COPYSIGN, (x & ~F64_SIGN) | (y & F64_SIGN))

/* A NaN operand gives a quiet NaN (the sum of both is one); equal operands differ at most in the sign of zero. */
#define MINMAX(id, type, from, to, order, zero) \
  static inline uint64_t num_##id(uint64_t x, uint64_t y) { \
    type a = from(x), b = from(y); \
    if (a order b) return to(a); \
    if (b order a) return to(b); \
    if (a == b) return x zero y; \
    return to(a + b); \
  }
MINMAX(F32_MIN, float, slot_f32, f32_slot, <, |)
MINMAX(F32_MAX, float, slot_f32, f32_slot, >, &)
MINMAX(F64_MIN, double, slot_f64, f64_slot, <, |)
MINMAX(F64_MAX, double, slot_f64, f64_slot, >, &)

/* ---- conversions ---- */
NUM_UNARY(I32_WRAP_I64, X32)
NUM_UNARY(I64_EXTEND_I32_S, (uint64_t)(int64_t)as_s32(x))
NUM_UNARY(I32_EXTEND8_S, (uint32_t)((X32 & 0xff) ^ 0x80) - 0x80u)
NUM_UNARY(I32_EXTEND16_S, (uint32_t)((X32 & 0xffff) ^ 0x8000) - 0x8000u)
NUM_UNARY(I64_EXTEND8_S, ((x & 0xff) ^ 0x80) - 0x80u)
NUM_UNARY(I64_EXTEND16_S, ((x & 0xffff) ^ 0x8000) - 0x8000u)
NUM_UNARY(I64_EXTEND32_S, (uint64_t)(int64_t)as_s32(x))
NUM_UNARY(F32_CONVERT_I32_S, f32_slot((float)as_s32(x)))
NUM_UNARY(F32_CONVERT_I32_U, f32_slot((float)X32))
NUM_UNARY(F32_CONVERT_I64_S, f32_slot((float)as_s64(x)))
NUM_UNARY(F32_CONVERT_I64_U, f32_slot((float)x))
NUM_UNARY(F64_CONVERT_I32_S, f64_slot((double)as_s32(x)))
NUM_UNARY(F64_CONVERT_I32_U, f64_slot((double)X32))
NUM_UNARY(F64_CONVERT_I64_S, f64_slot((double)as_s64(x)))
NUM_UNARY(F64_CONVERT_I64_U, f64_slot((double)x))
NUM_UNARY(F32_DEMOTE_F64, f32_slot((float)DX))
NUM_UNARY(F64_PROMOTE_F32, f64_slot((double)FX))

/* Between the bounds (exclusive or inclusive as the type can hold them) the C conversion is defined. */
#define TRUNC(id, value, above, bound, to) \
  TRAPPING(id, (uint64_t x)) { \
    if (value != value) FAIL(LUN_TRAP_INVALID_CONVERSION); \
    if (!(value above && value < bound)) FAIL(LUN_TRAP_INTEGER_OVERFLOW); \
    GIVE(to(value)); \
  }
#define TO_S32 (uint32_t)(int32_t)
#define TO_S64 (uint64_t)(int64_t)
TRUNC(I32_TRUNC_F32_S, FX, >= -0x1p31f, 0x1p31f, TO_S32)
TRUNC(I32_TRUNC_F32_U, FX, > -1.0f, 0x1p32f, (uint32_t))
TRUNC(I32_TRUNC_F64_S, DX, > -0x1.00000002p31, 0x1p31, TO_S32)
TRUNC(I32_TRUNC_F64_U, DX, > -1.0, 0x1p32, (uint32_t))
TRUNC(I64_TRUNC_F32_S, FX, >= -0x1p63f, 0x1p63f, TO_S64)
TRUNC(I64_TRUNC_F32_U, FX, > -1.0f, 0x1p64f, (uint64_t))
TRUNC(I64_TRUNC_F64_S, DX, >= -0x1p63, 0x1p63, TO_S64)
TRUNC(I64_TRUNC_F64_U, DX, > -1.0, 0x1p64, (uint64_t))

#define TRUNC_SAT(id, value, above, bound, to, least, most) \
  NUM_UNARY(id, value != value ? 0 : !(value above) ? least : value < bound ? (uint64_t)to(value) : most)
TRUNC_SAT(I32_TRUNC_SAT_F32_S, FX, >= -0x1p31f, 0x1p31f, TO_S32, 0x80000000u, 0x7fffffffu)
TRUNC_SAT(I32_TRUNC_SAT_F32_U, FX, > -1.0f, 0x1p32f, (uint32_t), 0, UINT32_MAX)
TRUNC_SAT(I32_TRUNC_SAT_F64_S, DX, >= -0x1p31, 0x1p31, TO_S32, 0x80000000u, 0x7fffffffu)
TRUNC_SAT(I32_TRUNC_SAT_F64_U, DX, > -1.0, 0x1p32, (uint32_t), 0, UINT32_MAX)
TRUNC_SAT(I64_TRUNC_SAT_F32_S, FX, >= -0x1p63f, 0x1p63f, TO_S64, F64_SIGN, ~F64_SIGN)
TRUNC_SAT(I64_TRUNC_SAT_F32_U, FX, > -1.0f, 0x1p64f, (uint64_t), 0, UINT64_MAX)
TRUNC_SAT(I64_TRUNC_SAT_F64_S, DX, >= -0x1p63, 0x1p63, TO_S64, F64_SIGN, ~F64_SIGN)
TRUNC_SAT(I64_TRUNC_SAT_F64_U, DX, > -1.0, 0x1p64, (uint64_t), 0, UINT64_MAX)

#endif
