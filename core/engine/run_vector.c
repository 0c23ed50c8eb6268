/* SPDX-License-Identifier: MIT */
/* The handlers of vector instructions, made from ops.def and vector.h; a v128 stands in two slots. */
#include "run.h"
#include "vector.h"

#define VA (&fp[pc->a])
#define VB vector_at(&fp[pc->b])
#define VC vector_at(&fp[pc->c])
#define VC0 vector_at(&fp[pc->c0])
#define VC1 vector_at(&fp[pc->c1])

#define OPS_CLASS_HAND(id)
#define OPS_CLASS_REINTERPRET(id)
#define OPS_CLASS_LOAD(id)
#define OPS_CLASS_STORE(id)
#define OPS_CLASS_IBINARY(id)
#define OPS_CLASS_FBINARY(id)
#define OPS_CLASS_TRAPPING_BINARY(id)
#define OPS_CLASS_UNARY(id)
#define OPS_CLASS_TRAPPING_UNARY(id)
#define OPS_CLASS_TEST(id)
#define OPS_CLASS_ICOMPARE(id)
#define OPS_CLASS_FCOMPARE(id)
#define OPS_CLASS_VLOAD(id)
#define OPS_CLASS_VSTORE(id)
#define OPS_CLASS_VLOAD_LANE(id)
#define OPS_CLASS_VSTORE_LANE(id)
#define OPS_CLASS_VUNARY(id) HANDLER(id) { vector_put(VA, vec_##id(VB)); NEXT; }
#define OPS_CLASS_VBINARY(id) HANDLER(id) { vector_put(VA, vec_##id(VB, VC)); NEXT; }
#define OPS_CLASS_VTERNARY(id) HANDLER(id) { vector_put(VA, vec_##id(VB, VC0, VC1)); NEXT; }
#define OPS_CLASS_VSHIFT(id) HANDLER(id) { vector_put(VA, vec_##id(VB, (uint32_t)C)); NEXT; }
#define OPS_CLASS_VTEST(id) HANDLER(id) { A = vec_##id(VB); NEXT; }
#define OPS_CLASS_VSPLAT(id) HANDLER(id) { vector_put(VA, vec_##id(B)); NEXT; }
#define OPS_CLASS_VEXTRACT(id) HANDLER(id) { A = vec_##id(VB, pc->u); NEXT; }
#define OPS_CLASS_VREPLACE(id) HANDLER(id) { vector_put(VA, vec_##id(VB, fp[pc->c0], (unsigned)pc->c1)); NEXT; }
#define OP(code, id, text, immediate, signature, class) OPS_##class(id)
#include "ops.def"
#undef OP

HANDLER(CONST_V) {
  fp[pc->a] = pc[1].k[0];
  fp[pc->a + 1] = pc[1].k[1];
  GO(pc + 2);
}
HANDLER(SHUFFLE) { vector_put(VA, vector_shuffle(VB, VC, (const uint8_t *)pc[1].k)); GO(pc + 2); }
HANDLER(SELECT_V) { vector_put(VA, B ? VC0 : VC1); NEXT; }
HANDLER(GLOBAL_GET_V) { vector_put(VA, vector_at(pc[1].cell)); GO(pc + 2); }
HANDLER(GLOBAL_SET_V) { vector_put(pc[1].cell, vector_at(VA)); GO(pc + 2); }

/* ---- memory 0 (see run.h: ADDRESS) ---- */
#define ACCESS(id, bytes, ...) HANDLER(id) { ADDRESS(bytes); __VA_ARGS__ } HANDLER(id##_64) { ADDRESS_64(bytes); __VA_ARGS__ }

ACCESS(V128_LOAD, 16, memcpy(VA, mem + address, 16); NEXT;)
ACCESS(V128_STORE, 16, memcpy(mem + address, VA, 16); NEXT;)
/* Eight bytes, each lane widened. */
#define WIDEN_LOAD(id, to, from) \
  ACCESS(id, 8, \
    V128 x, r; \
    memcpy(&x, mem + address, 8); \
    for (unsigned i = 0; i < LANES(to); i++) r.to[i] = x.from[i]; \
    vector_put(VA, r); \
    NEXT;)
WIDEN_LOAD(V128_LOAD8X8_S, s16, s8)
WIDEN_LOAD(V128_LOAD8X8_U, u16, u8)
WIDEN_LOAD(V128_LOAD16X4_S, s32, s16)
WIDEN_LOAD(V128_LOAD16X4_U, u32, u16)
WIDEN_LOAD(V128_LOAD32X2_S, s64, s32)
WIDEN_LOAD(V128_LOAD32X2_U, u64, u32)
#define SPLAT_LOAD(id, type, splat) \
  ACCESS(id, sizeof(type), type value; memcpy(&value, mem + address, sizeof value); vector_put(VA, splat(value)); NEXT;)
SPLAT_LOAD(V128_LOAD8_SPLAT, uint8_t, vec_I8X16_SPLAT)
SPLAT_LOAD(V128_LOAD16_SPLAT, uint16_t, vec_I16X8_SPLAT)
SPLAT_LOAD(V128_LOAD32_SPLAT, uint32_t, vec_I32X4_SPLAT)
SPLAT_LOAD(V128_LOAD64_SPLAT, uint64_t, vec_I64X2_SPLAT)
#define ZERO_LOAD(id, type) \
  ACCESS(id, sizeof(type), \
    type value; \
    memcpy(&value, mem + address, sizeof value); \
    fp[pc->a] = value; \
    fp[pc->a + 1] = 0; \
    NEXT;)
ZERO_LOAD(V128_LOAD32_ZERO, uint32_t)
ZERO_LOAD(V128_LOAD64_ZERO, uint64_t)
/* In the second word: b the lane, for a load a the vector that the rest comes from. */
#define LANE_LOAD(id, type, lane) \
  ACCESS(id, sizeof(type), \
    V128 r = vector_at(&fp[pc[1].a]); \
    memcpy(&r.lane[pc[1].b & (int)(LANES(lane) - 1)], mem + address, sizeof(type)); \
    vector_put(VA, r); \
    GO(pc + 2);)
LANE_LOAD(V128_LOAD8_LANE, uint8_t, u8)
LANE_LOAD(V128_LOAD16_LANE, uint16_t, u16)
LANE_LOAD(V128_LOAD32_LANE, uint32_t, u32)
LANE_LOAD(V128_LOAD64_LANE, uint64_t, u64)
#define LANE_STORE(id, type, lane) \
  ACCESS(id, sizeof(type), \
    V128 x = vector_at(VA); \
    memcpy(mem + address, &x.lane[pc[1].b & (int)(LANES(lane) - 1)], sizeof(type)); \
    GO(pc + 2);)
LANE_STORE(V128_STORE8_LANE, uint8_t, u8)
LANE_STORE(V128_STORE16_LANE, uint16_t, u16)
LANE_STORE(V128_STORE32_LANE, uint32_t, u32)
LANE_STORE(V128_STORE64_LANE, uint64_t, u64)
