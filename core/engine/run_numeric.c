/* SPDX-License-Identifier: MIT */
/* The handlers of numeric instructions, made from ops.def and numeric.h, and of loads and stores in memory 0. */
#include "run.h"

/* ---- numeric, from the table ---- */
#define K ((uint64_t)(int64_t)pc->c)
#define KB ((uint64_t)(int64_t)pc->b)
#define OPS_CLASS_HAND(id)
#define OPS_CLASS_REINTERPRET(id)
#define OPS_CLASS_LOAD(id)
#define OPS_CLASS_STORE(id)
#define OPS_CLASS_VUNARY(id)
#define OPS_CLASS_VBINARY(id)
#define OPS_CLASS_VTERNARY(id)
#define OPS_CLASS_VSHIFT(id)
#define OPS_CLASS_VTEST(id)
#define OPS_CLASS_VSPLAT(id)
#define OPS_CLASS_VEXTRACT(id)
#define OPS_CLASS_VREPLACE(id)
#define OPS_CLASS_VLOAD(id)
#define OPS_CLASS_VSTORE(id)
#define OPS_CLASS_VLOAD_LANE(id)
#define OPS_CLASS_VSTORE_LANE(id)
#define OPS_CLASS_IBINARY(id) HANDLER(id) { A = num_##id(B, C); NEXT; } HANDLER(id##_K) { A = num_##id(B, K); NEXT; }
#define OPS_CLASS_FBINARY(id) HANDLER(id) { A = num_##id(B, C); NEXT; }
#define OPS_CLASS_UNARY(id) HANDLER(id) { A = num_##id(B); NEXT; }
#define OPS_CLASS_TEST(id) OPS_CLASS_UNARY(id)
#define OPS_CLASS_TRAPPING_BINARY(id) \
  HANDLER(id) { Outcome o = num_##id(B, C); if (UNLIKELY(o.trap)) TRAP(o.trap); A = o.value; NEXT; }
#define OPS_CLASS_TRAPPING_UNARY(id) \
  HANDLER(id) { Outcome o = num_##id(B); if (UNLIKELY(o.trap)) TRAP(o.trap); A = o.value; NEXT; }
#define OPS_CLASS_ICOMPARE(id) \
  OPS_CLASS_IBINARY(id) \
  HANDLER(BR_##id) { if (num_##id(A, B)) JUMP(pc->c); NEXT; } \
  HANDLER(BR_##id##_K) { if (num_##id(A, KB)) JUMP(pc->c); NEXT; } \
  HANDLER(LOOP_##id) { if (num_##id(A, B)) JUMP_POLLED(pc->c); NEXT; } \
  HANDLER(LOOP_##id##_K) { if (num_##id(A, KB)) JUMP_POLLED(pc->c); NEXT; }
#define OPS_CLASS_FCOMPARE(id) \
  OPS_CLASS_FBINARY(id) \
  HANDLER(BR_##id) { if (num_##id(A, B)) JUMP(pc->c); NEXT; } \
  HANDLER(BRN_##id) { if (!num_##id(A, B)) JUMP(pc->c); NEXT; } \
  HANDLER(LOOP_##id) { if (num_##id(A, B)) JUMP_POLLED(pc->c); NEXT; } \
  HANDLER(LOOPN_##id) { if (!num_##id(A, B)) JUMP_POLLED(pc->c); NEXT; }
#define OP(code, id, text, immediate, signature, class) OPS_##class(id)
#include "ops.def"
#undef OP

/* ---- memory 0 (see run.h: ADDRESS) ---- */
#define LOAD_FORM(id, check, type, convert) \
  HANDLER(id) { check(sizeof(type)); type value; memcpy(&value, mem + address, sizeof value); A = convert(value); NEXT; }
#define STORE_FORM(id, check, type) \
  HANDLER(id) { check(sizeof(type)); type value = (type)A; memcpy(mem + address, &value, sizeof value); NEXT; }
#define LOAD(id, type, convert) LOAD_FORM(id, ADDRESS, type, convert) LOAD_FORM(id##_64, ADDRESS_64, type, convert)
#define STORE(id, type) STORE_FORM(id, ADDRESS, type) STORE_FORM(id##_64, ADDRESS_64, type)
#define SIGN32 (uint32_t)(int32_t)
#define SIGN64 (uint64_t)(int64_t)
LOAD(I32_LOAD, uint32_t, )
LOAD(I64_LOAD, uint64_t, )
LOAD(F32_LOAD, uint32_t, )
LOAD(F64_LOAD, uint64_t, )
LOAD(I32_LOAD8_S, int8_t, SIGN32)
LOAD(I32_LOAD8_U, uint8_t, )
LOAD(I32_LOAD16_S, int16_t, SIGN32)
LOAD(I32_LOAD16_U, uint16_t, )
LOAD(I64_LOAD8_S, int8_t, SIGN64)
LOAD(I64_LOAD8_U, uint8_t, )
LOAD(I64_LOAD16_S, int16_t, SIGN64)
LOAD(I64_LOAD16_U, uint16_t, )
LOAD(I64_LOAD32_S, int32_t, SIGN64)
LOAD(I64_LOAD32_U, uint32_t, )
STORE(I32_STORE, uint32_t)
STORE(I64_STORE, uint64_t)
STORE(F32_STORE, uint32_t)
STORE(F64_STORE, uint64_t)
STORE(I32_STORE8, uint8_t)
STORE(I32_STORE16, uint16_t)
STORE(I64_STORE8, uint8_t)
STORE(I64_STORE16, uint16_t)
STORE(I64_STORE32, uint32_t)
