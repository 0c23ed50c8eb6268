/* SPDX-License-Identifier: MIT */
/* What the vector instructions compute: vec_ID for each row of ops.def of a vector class, on 128 bits as lanes. Lane loops
 * are plain C; the compiler has vector registers for them. Where relaxed SIMD leaves a choice, it is the one that the
 * deterministic profile takes. Core specification, 4.3 (Numerics: Vectors). */
#ifndef LUN_VECTOR_H
#define LUN_VECTOR_H

#include "numeric.h"

typedef union V128 {
  int8_t s8[16];
  uint8_t u8[16];
  int16_t s16[8];
  uint16_t u16[8];
  int32_t s32[4];
  uint32_t u32[4];
  int64_t s64[2];
  uint64_t u64[2];
  float f32[4];
  double f64[2];
} V128;

static inline V128 vector_at(const uint64_t *slots) { V128 v; memcpy(&v, slots, sizeof v); return v; }
static inline void vector_put(uint64_t *slots, V128 v) { memcpy(slots, &v, sizeof v); }

#define LANES(lane) (sizeof(V128) / sizeof(((V128 *)0)->lane[0]))
#define EACH(lane) for (unsigned i = 0; i < LANES(lane); i++)
#define VEC_UNARY(id, lane, expression) \
  static inline V128 vec_##id(V128 x) { V128 r; EACH(lane) r.lane[i] = (expression); return r; }
#define VEC_BINARY(id, lane, expression) \
  static inline V128 vec_##id(V128 x, V128 y) { V128 r; EACH(lane) r.lane[i] = (expression); return r; }
#define VEC_TERNARY(id, lane, expression) \
  static inline V128 vec_##id(V128 x, V128 y, V128 z) { V128 r; EACH(lane) r.lane[i] = (expression); return r; }
#define VEC_SHIFT(id, lane, expression) \
  static inline V128 vec_##id(V128 x, uint32_t by) { V128 r; EACH(lane) r.lane[i] = (expression); return r; }
#define VEC_TEST(id, lane, start, step) \
  static inline uint32_t vec_##id(V128 x) { uint32_t r = (start); for (unsigned i = 0; i < LANES(lane); i++) step; return r; }

/* ---- bits ---- */
VEC_UNARY(V128_NOT, u64, ~x.u64[i])
VEC_BINARY(V128_AND, u64, x.u64[i] & y.u64[i])
VEC_BINARY(V128_ANDNOT, u64, x.u64[i] & ~y.u64[i])
VEC_BINARY(V128_OR, u64, x.u64[i] | y.u64[i])
VEC_BINARY(V128_XOR, u64, x.u64[i] ^ y.u64[i])
VEC_TERNARY(V128_BITSELECT, u64, (x.u64[i] & z.u64[i]) | (y.u64[i] & ~z.u64[i]))
static inline uint32_t vec_V128_ANY_TRUE(V128 x) { return (x.u64[0] | x.u64[1]) != 0; }

/* ---- compares: all ones or all zeros ---- */
#define COMPARE(id, to, lane, order) VEC_BINARY(id, to, x.lane[i] order y.lane[i] ? -1 : 0)
#define COMPARES(shape, s, u) \
  COMPARE(shape##_EQ, s, s, ==) COMPARE(shape##_NE, s, s, !=) COMPARE(shape##_LT_S, s, s, <) COMPARE(shape##_GT_S, s, s, >) \
  COMPARE(shape##_LE_S, s, s, <=) COMPARE(shape##_GE_S, s, s, >=)
#define UNSIGNED_COMPARES(shape, s, u) \
  COMPARE(shape##_LT_U, s, u, <) COMPARE(shape##_GT_U, s, u, >) COMPARE(shape##_LE_U, s, u, <=) COMPARE(shape##_GE_U, s, u, >=)
#define FLOAT_COMPARES(shape, s, f) \
  COMPARE(shape##_EQ, s, f, ==) COMPARE(shape##_NE, s, f, !=) COMPARE(shape##_LT, s, f, <) COMPARE(shape##_GT, s, f, >) \
  COMPARE(shape##_LE, s, f, <=) COMPARE(shape##_GE, s, f, >=)
COMPARES(I8X16, s8, u8) UNSIGNED_COMPARES(I8X16, s8, u8)
COMPARES(I16X8, s16, u16) UNSIGNED_COMPARES(I16X8, s16, u16)
COMPARES(I32X4, s32, u32) UNSIGNED_COMPARES(I32X4, s32, u32)
COMPARES(I64X2, s64, u64)
FLOAT_COMPARES(F32X4, s32, f32)
FLOAT_COMPARES(F64X2, s64, f64)

/* ---- integers ---- */
static inline int32_t saturate(int32_t value, int32_t least, int32_t most) {
  return value < least ? least : value > most ? most : value;
}

#define INTEGERS(shape, s, u, mask) \
  VEC_UNARY(shape##_ABS, u, (uint64_t)(x.s[i] < 0 ? UINT64_C(0) - x.u[i] : x.u[i])) \
  VEC_UNARY(shape##_NEG, u, UINT64_C(0) - x.u[i]) \
  VEC_TEST(shape##_ALL_TRUE, u, 1, r &= x.u[i] != 0) \
  VEC_TEST(shape##_BITMASK, s, 0, r |= (uint32_t)(x.s[i] < 0) << i) \
  VEC_SHIFT(shape##_SHL, u, (uint64_t)x.u[i] << (by & mask)) \
  VEC_SHIFT(shape##_SHR_S, s, x.s[i] >> (by & mask)) \
  VEC_SHIFT(shape##_SHR_U, u, x.u[i] >> (by & mask)) \
  VEC_BINARY(shape##_ADD, u, (uint64_t)x.u[i] + y.u[i]) \
  VEC_BINARY(shape##_SUB, u, (uint64_t)x.u[i] - y.u[i])
INTEGERS(I8X16, s8, u8, 7)
INTEGERS(I16X8, s16, u16, 15)
INTEGERS(I32X4, s32, u32, 31)
INTEGERS(I64X2, s64, u64, 63)
VEC_UNARY(I8X16_POPCNT, u8, (uint8_t)num_I64_POPCNT(x.u8[i]))
VEC_BINARY(I16X8_MUL, u16, (uint16_t)((uint32_t)x.u16[i] * y.u16[i]))
VEC_BINARY(I32X4_MUL, u32, x.u32[i] * y.u32[i])
VEC_BINARY(I64X2_MUL, u64, x.u64[i] * y.u64[i])

#define MINMAXES(shape, s, u) \
  VEC_BINARY(shape##_MIN_S, s, x.s[i] < y.s[i] ? x.s[i] : y.s[i]) \
  VEC_BINARY(shape##_MIN_U, u, x.u[i] < y.u[i] ? x.u[i] : y.u[i]) \
  VEC_BINARY(shape##_MAX_S, s, x.s[i] > y.s[i] ? x.s[i] : y.s[i]) \
  VEC_BINARY(shape##_MAX_U, u, x.u[i] > y.u[i] ? x.u[i] : y.u[i])
MINMAXES(I8X16, s8, u8)
MINMAXES(I16X8, s16, u16)
MINMAXES(I32X4, s32, u32)
#define SATURATING(shape, s, u, least, most, top) \
  VEC_BINARY(shape##_ADD_SAT_S, s, (int16_t)saturate(x.s[i] + y.s[i], least, most)) \
  VEC_BINARY(shape##_SUB_SAT_S, s, (int16_t)saturate(x.s[i] - y.s[i], least, most)) \
  VEC_BINARY(shape##_ADD_SAT_U, u, (uint16_t)saturate(x.u[i] + y.u[i], 0, top)) \
  VEC_BINARY(shape##_SUB_SAT_U, u, (uint16_t)saturate(x.u[i] - y.u[i], 0, top)) \
  VEC_BINARY(shape##_AVGR_U, u, (uint16_t)((x.u[i] + y.u[i] + 1) >> 1))
SATURATING(I8X16, s8, u8, INT8_MIN, INT8_MAX, UINT8_MAX)
SATURATING(I16X8, s16, u16, INT16_MIN, INT16_MAX, UINT16_MAX)
VEC_BINARY(I16X8_Q15MULR_SAT_S, s16, (int16_t)saturate((x.s16[i] * y.s16[i] + 0x4000) >> 15, INT16_MIN, INT16_MAX))

/* Narrowing reads the lanes as signed, whatever it saturates to. */
#define NARROW(id, to, from, least, most) \
  static inline V128 vec_##id(V128 x, V128 y) { \
    V128 r; \
    const unsigned n = LANES(from); \
    for (unsigned i = 0; i < n; i++) { \
      int32_t a = saturate(x.from[i], least, most), b = saturate(y.from[i], least, most); \
      memcpy(&r.to[i], &a, sizeof r.to[i]); /* little-endian: the low half */ \
      memcpy(&r.to[n + i], &b, sizeof r.to[i]); \
    } \
    return r; \
  }
NARROW(I8X16_NARROW_I16X8_S, s8, s16, INT8_MIN, INT8_MAX)
NARROW(I8X16_NARROW_I16X8_U, u8, s16, 0, UINT8_MAX)
NARROW(I16X8_NARROW_I32X4_S, s16, s32, INT16_MIN, INT16_MAX)
NARROW(I16X8_NARROW_I32X4_U, u16, s32, 0, UINT16_MAX)

#define WIDEN(shape, narrow, to_s, to_u, from_s, from_u, type_s, type_u) \
  VEC_UNARY(shape##_EXTEND_LOW_##narrow##_S, to_s, x.from_s[i]) \
  VEC_UNARY(shape##_EXTEND_HIGH_##narrow##_S, to_s, x.from_s[LANES(to_s) + i]) \
  VEC_UNARY(shape##_EXTEND_LOW_##narrow##_U, to_u, x.from_u[i]) \
  VEC_UNARY(shape##_EXTEND_HIGH_##narrow##_U, to_u, x.from_u[LANES(to_s) + i]) \
  VEC_BINARY(shape##_EXTMUL_LOW_##narrow##_S, to_s, (type_s)((type_s)x.from_s[i] * (type_s)y.from_s[i])) \
  VEC_BINARY(shape##_EXTMUL_HIGH_##narrow##_S, to_s, \
             (type_s)((type_s)x.from_s[LANES(to_s) + i] * (type_s)y.from_s[LANES(to_s) + i])) \
  VEC_BINARY(shape##_EXTMUL_LOW_##narrow##_U, to_u, (type_u)((type_u)x.from_u[i] * (uint64_t)y.from_u[i])) \
  VEC_BINARY(shape##_EXTMUL_HIGH_##narrow##_U, to_u, \
             (type_u)((type_u)x.from_u[LANES(to_s) + i] * (uint64_t)y.from_u[LANES(to_s) + i]))
WIDEN(I16X8, I8X16, s16, u16, s8, u8, int16_t, uint16_t)
WIDEN(I32X4, I16X8, s32, u32, s16, u16, int32_t, uint32_t)
WIDEN(I64X2, I32X4, s64, u64, s32, u32, int64_t, uint64_t)
VEC_UNARY(I16X8_EXTADD_PAIRWISE_I8X16_S, s16, (int16_t)(x.s8[2 * i] + x.s8[2 * i + 1]))
VEC_UNARY(I16X8_EXTADD_PAIRWISE_I8X16_U, u16, (uint16_t)(x.u8[2 * i] + x.u8[2 * i + 1]))
VEC_UNARY(I32X4_EXTADD_PAIRWISE_I16X8_S, s32, x.s16[2 * i] + x.s16[2 * i + 1])
VEC_UNARY(I32X4_EXTADD_PAIRWISE_I16X8_U, u32, (uint32_t)x.u16[2 * i] + x.u16[2 * i + 1])
VEC_BINARY(I32X4_DOT_I16X8_S, u32, (uint32_t)(x.s16[2 * i] * y.s16[2 * i]) + (uint32_t)(x.s16[2 * i + 1] * y.s16[2 * i + 1]))

/* ---- lanes moved about ---- */
VEC_BINARY(I8X16_SWIZZLE, u8, y.u8[i] < 16 ? x.u8[y.u8[i]] : 0)
static inline V128 vector_shuffle(V128 x, V128 y, const uint8_t *lanes) {
  V128 r;
  for (unsigned i = 0; i < 16; i++) r.u8[i] = lanes[i] < 16 ? x.u8[lanes[i]] : y.u8[(lanes[i] - 16) & 15];
  return r;
}
#define SPLAT(id, lane, type) \
  static inline V128 vec_##id(uint64_t x) { V128 r; for (unsigned i = 0; i < LANES(lane); i++) r.lane[i] = (type)x; return r; }
SPLAT(I8X16_SPLAT, u8, uint8_t)
SPLAT(I16X8_SPLAT, u16, uint16_t)
SPLAT(I32X4_SPLAT, u32, uint32_t)
SPLAT(I64X2_SPLAT, u64, uint64_t)
SPLAT(F32X4_SPLAT, u32, uint32_t)
SPLAT(F64X2_SPLAT, u64, uint64_t)
#define EXTRACT(id, lane, convert) \
  static inline uint64_t vec_##id(V128 x, unsigned i) { return convert x.lane[i & (LANES(lane) - 1)]; }
EXTRACT(I8X16_EXTRACT_LANE_S, s8, (uint32_t)(int32_t))
EXTRACT(I8X16_EXTRACT_LANE_U, u8, )
EXTRACT(I16X8_EXTRACT_LANE_S, s16, (uint32_t)(int32_t))
EXTRACT(I16X8_EXTRACT_LANE_U, u16, )
EXTRACT(I32X4_EXTRACT_LANE, u32, )
EXTRACT(I64X2_EXTRACT_LANE, u64, )
EXTRACT(F32X4_EXTRACT_LANE, u32, )
EXTRACT(F64X2_EXTRACT_LANE, u64, )
#define REPLACE(id, lane, type) \
  static inline V128 vec_##id(V128 x, uint64_t y, unsigned i) { x.lane[i & (LANES(lane) - 1)] = (type)y; return x; }
REPLACE(I8X16_REPLACE_LANE, u8, uint8_t)
REPLACE(I16X8_REPLACE_LANE, u16, uint16_t)
REPLACE(I32X4_REPLACE_LANE, u32, uint32_t)
REPLACE(I64X2_REPLACE_LANE, u64, uint64_t)
REPLACE(F32X4_REPLACE_LANE, u32, uint32_t)
REPLACE(F64X2_REPLACE_LANE, u64, uint64_t)

/* ---- floating point, lane by lane as the scalar instructions ---- */
#define F32_LANES(id, scalar) VEC_UNARY(F32X4_##id, u32, (uint32_t)num_##scalar(x.u32[i]))
#define F64_LANES(id, scalar) VEC_UNARY(F64X2_##id, u64, num_##scalar(x.u64[i]))
#define F32_LANES2(id, scalar) VEC_BINARY(F32X4_##id, u32, (uint32_t)num_##scalar(x.u32[i], y.u32[i]))
#define F64_LANES2(id, scalar) VEC_BINARY(F64X2_##id, u64, num_##scalar(x.u64[i], y.u64[i]))
#define FLOAT_LANES(id) F32_LANES(id, F32_##id) F64_LANES(id, F64_##id)
#define FLOAT_LANES2(id) F32_LANES2(id, F32_##id) F64_LANES2(id, F64_##id)
FLOAT_LANES(ABS) FLOAT_LANES(NEG) FLOAT_LANES(SQRT) FLOAT_LANES(CEIL) FLOAT_LANES(FLOOR) FLOAT_LANES(TRUNC) FLOAT_LANES(NEAREST)
FLOAT_LANES2(ADD) FLOAT_LANES2(SUB) FLOAT_LANES2(MUL) FLOAT_LANES2(DIV) FLOAT_LANES2(MIN) FLOAT_LANES2(MAX)
VEC_BINARY(F32X4_PMIN, u32, y.f32[i] < x.f32[i] ? y.u32[i] : x.u32[i])
VEC_BINARY(F32X4_PMAX, u32, x.f32[i] < y.f32[i] ? y.u32[i] : x.u32[i])
VEC_BINARY(F64X2_PMIN, u64, y.f64[i] < x.f64[i] ? y.u64[i] : x.u64[i])
VEC_BINARY(F64X2_PMAX, u64, x.f64[i] < y.f64[i] ? y.u64[i] : x.u64[i])

VEC_UNARY(I32X4_TRUNC_SAT_F32X4_S, u32, (uint32_t)num_I32_TRUNC_SAT_F32_S(x.u32[i]))
VEC_UNARY(I32X4_TRUNC_SAT_F32X4_U, u32, (uint32_t)num_I32_TRUNC_SAT_F32_U(x.u32[i]))
VEC_UNARY(I32X4_TRUNC_SAT_F64X2_S_ZERO, u32, i < 2 ? (uint32_t)num_I32_TRUNC_SAT_F64_S(x.u64[i & 1]) : 0)
VEC_UNARY(I32X4_TRUNC_SAT_F64X2_U_ZERO, u32, i < 2 ? (uint32_t)num_I32_TRUNC_SAT_F64_U(x.u64[i & 1]) : 0)
VEC_UNARY(F32X4_CONVERT_I32X4_S, f32, (float)x.s32[i])
VEC_UNARY(F32X4_CONVERT_I32X4_U, f32, (float)x.u32[i])
VEC_UNARY(F64X2_CONVERT_LOW_I32X4_S, f64, (double)x.s32[i])
VEC_UNARY(F64X2_CONVERT_LOW_I32X4_U, f64, (double)x.u32[i])
VEC_UNARY(F32X4_DEMOTE_F64X2_ZERO, f32, i < 2 ? (float)x.f64[i & 1] : 0.0f)
VEC_UNARY(F64X2_PROMOTE_LOW_F32X4, f64, (double)x.f32[i])

/* ---- relaxed ---- */
#define vec_I8X16_RELAXED_SWIZZLE vec_I8X16_SWIZZLE
#define vec_I32X4_RELAXED_TRUNC_F32X4_S vec_I32X4_TRUNC_SAT_F32X4_S
#define vec_I32X4_RELAXED_TRUNC_F32X4_U vec_I32X4_TRUNC_SAT_F32X4_U
#define vec_I32X4_RELAXED_TRUNC_F64X2_S_ZERO vec_I32X4_TRUNC_SAT_F64X2_S_ZERO
#define vec_I32X4_RELAXED_TRUNC_F64X2_U_ZERO vec_I32X4_TRUNC_SAT_F64X2_U_ZERO
VEC_TERNARY(F32X4_RELAXED_MADD, f32, fmaf(x.f32[i], y.f32[i], z.f32[i]))
VEC_TERNARY(F32X4_RELAXED_NMADD, f32, fmaf(-x.f32[i], y.f32[i], z.f32[i]))
VEC_TERNARY(F64X2_RELAXED_MADD, f64, fma(x.f64[i], y.f64[i], z.f64[i]))
VEC_TERNARY(F64X2_RELAXED_NMADD, f64, fma(-x.f64[i], y.f64[i], z.f64[i]))
#define vec_I8X16_RELAXED_LANESELECT vec_V128_BITSELECT
#define vec_I16X8_RELAXED_LANESELECT vec_V128_BITSELECT
#define vec_I32X4_RELAXED_LANESELECT vec_V128_BITSELECT
#define vec_I64X2_RELAXED_LANESELECT vec_V128_BITSELECT
#define vec_F32X4_RELAXED_MIN vec_F32X4_MIN
#define vec_F32X4_RELAXED_MAX vec_F32X4_MAX
#define vec_F64X2_RELAXED_MIN vec_F64X2_MIN
#define vec_F64X2_RELAXED_MAX vec_F64X2_MAX
#define vec_I16X8_RELAXED_Q15MULR_S vec_I16X8_Q15MULR_SAT_S
VEC_BINARY(I16X8_RELAXED_DOT_I8X16_I7X16_S, s16, (int16_t)(x.s8[2 * i] * y.s8[2 * i] + x.s8[2 * i + 1] * y.s8[2 * i + 1]))
static inline int32_t dot_pair(V128 x, V128 y, unsigned i) { return x.s8[i] * y.s8[i] + x.s8[i + 1] * y.s8[i + 1]; }
VEC_TERNARY(I32X4_RELAXED_DOT_I8X16_I7X16_ADD_S, u32,
            (uint32_t)(int16_t)dot_pair(x, y, 4 * i) + (uint32_t)(int16_t)dot_pair(x, y, 4 * i + 2) + z.u32[i])

#endif
