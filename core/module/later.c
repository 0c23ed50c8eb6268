/* SPDX-License-Identifier: MIT */
/* What the engine does not have, by name, so that a module that needs it is refused with a sentence: the vector
 * instructions of 2.0, and what came after. Nothing here is understood; of the vector instructions so much is known as
 * it takes to step over them, since a module that uses them is well-formed. */
#include "decode.h"

static const char tail_calls[] = "tail calls", exceptions[] = "exception handling", references[] = "typed function references";
static const char garbage[] = "garbage collection", vectors[] = "SIMD", relaxed_vectors[] = "relaxed SIMD";
static const char wide_arithmetic[] = "wide arithmetic";

typedef struct LaterRow {
  uint8_t code;
  const char *proposal, *text;
} LaterRow;

static const LaterRow one_byte[] = {
  { 0x06, exceptions, "try" },
  { 0x07, exceptions, "catch" },
  { 0x08, exceptions, "throw" },
  { 0x09, exceptions, "rethrow" },
  { 0x0a, exceptions, "throw_ref" },
  { 0x12, tail_calls, "return_call" },
  { 0x13, tail_calls, "return_call_indirect" },
  { 0x14, references, "call_ref" },
  { 0x15, references, "return_call_ref" },
  { 0x18, exceptions, "delegate" },
  { 0x19, exceptions, "catch_all" },
  { 0x1f, exceptions, "try_table" },
  { 0xd3, garbage, "ref.eq" },
  { 0xd4, references, "ref.as_non_null" },
  { 0xd5, references, "br_on_null" },
  { 0xd6, references, "br_on_non_null" },
};

/* Types of values, and the forms of types, which share one space of codes. */
static const LaterRow types[] = {
  { 0x4e, garbage, "rec" },
  { 0x4f, garbage, "sub final" },
  { 0x50, garbage, "sub" },
  { 0x5e, garbage, "array" },
  { 0x5f, garbage, "struct" },
  { 0x63, references, "ref null" },
  { 0x64, references, "ref" },
  { 0x69, exceptions, "exnref" },
  { 0x6a, garbage, "arrayref" },
  { 0x6b, garbage, "structref" },
  { 0x6c, garbage, "i31ref" },
  { 0x6d, garbage, "eqref" },
  { 0x6e, garbage, "anyref" },
  { 0x71, garbage, "nullref" },
  { 0x72, garbage, "nullexternref" },
  { 0x73, garbage, "nullfuncref" },
  { 0x74, exceptions, "nullexnref" },
};

/* By number behind the prefix 0xfb, 0xfd and 0xfe. */
static const char *const garbage_names[] = {
  "struct.new", "struct.new_default", "struct.get", "struct.get_s", "struct.get_u", "struct.set", "array.new",
  "array.new_default", "array.new_fixed", "array.new_data", "array.new_elem", "array.get", "array.get_s", "array.get_u",
  "array.set", "array.len", "array.fill", "array.copy", "array.init_data", "array.init_elem", "ref.test", "ref.test_null",
  "ref.cast", "ref.cast_null", "br_on_cast", "br_on_cast_fail", "any.convert_extern", "extern.convert_any", "ref.i31",
  "i31.get_s", "i31.get_u",
};

static const char *const vector_names[] = {
  "v128.load", "v128.load8x8_s", "v128.load8x8_u", "v128.load16x4_s", "v128.load16x4_u", "v128.load32x2_s",
  "v128.load32x2_u", "v128.load8_splat", "v128.load16_splat", "v128.load32_splat", "v128.load64_splat", "v128.store",
  "v128.const", "i8x16.shuffle", "i8x16.swizzle", "i8x16.splat", "i16x8.splat", "i32x4.splat", "i64x2.splat", "f32x4.splat",
  "f64x2.splat", "i8x16.extract_lane_s", "i8x16.extract_lane_u", "i8x16.replace_lane", "i16x8.extract_lane_s",
  "i16x8.extract_lane_u", "i16x8.replace_lane", "i32x4.extract_lane", "i32x4.replace_lane", "i64x2.extract_lane",
  "i64x2.replace_lane", "f32x4.extract_lane", "f32x4.replace_lane", "f64x2.extract_lane", "f64x2.replace_lane", "i8x16.eq",
  "i8x16.ne", "i8x16.lt_s", "i8x16.lt_u", "i8x16.gt_s", "i8x16.gt_u", "i8x16.le_s", "i8x16.le_u", "i8x16.ge_s",
  "i8x16.ge_u", "i16x8.eq", "i16x8.ne", "i16x8.lt_s", "i16x8.lt_u", "i16x8.gt_s", "i16x8.gt_u", "i16x8.le_s", "i16x8.le_u",
  "i16x8.ge_s", "i16x8.ge_u", "i32x4.eq", "i32x4.ne", "i32x4.lt_s", "i32x4.lt_u", "i32x4.gt_s", "i32x4.gt_u", "i32x4.le_s",
  "i32x4.le_u", "i32x4.ge_s", "i32x4.ge_u", "f32x4.eq", "f32x4.ne", "f32x4.lt", "f32x4.gt", "f32x4.le", "f32x4.ge",
  "f64x2.eq", "f64x2.ne", "f64x2.lt", "f64x2.gt", "f64x2.le", "f64x2.ge", "v128.not", "v128.and", "v128.andnot", "v128.or",
  "v128.xor", "v128.bitselect", "v128.any_true", "v128.load8_lane", "v128.load16_lane", "v128.load32_lane",
  "v128.load64_lane", "v128.store8_lane", "v128.store16_lane", "v128.store32_lane", "v128.store64_lane", "v128.load32_zero",
  "v128.load64_zero", "f32x4.demote_f64x2_zero", "f64x2.promote_low_f32x4", "i8x16.abs", "i8x16.neg", "i8x16.popcnt",
  "i8x16.all_true", "i8x16.bitmask", "i8x16.narrow_i16x8_s", "i8x16.narrow_i16x8_u", "f32x4.ceil", "f32x4.floor",
  "f32x4.trunc", "f32x4.nearest", "i8x16.shl", "i8x16.shr_s", "i8x16.shr_u", "i8x16.add", "i8x16.add_sat_s",
  "i8x16.add_sat_u", "i8x16.sub", "i8x16.sub_sat_s", "i8x16.sub_sat_u", "f64x2.ceil", "f64x2.floor", "i8x16.min_s",
  "i8x16.min_u", "i8x16.max_s", "i8x16.max_u", "f64x2.trunc", "i8x16.avgr_u", "i16x8.extadd_pairwise_i8x16_s",
  "i16x8.extadd_pairwise_i8x16_u", "i32x4.extadd_pairwise_i16x8_s", "i32x4.extadd_pairwise_i16x8_u", "i16x8.abs",
  "i16x8.neg", "i16x8.q15mulr_sat_s", "i16x8.all_true", "i16x8.bitmask", "i16x8.narrow_i32x4_s", "i16x8.narrow_i32x4_u",
  "i16x8.extend_low_i8x16_s", "i16x8.extend_high_i8x16_s", "i16x8.extend_low_i8x16_u", "i16x8.extend_high_i8x16_u",
  "i16x8.shl", "i16x8.shr_s", "i16x8.shr_u", "i16x8.add", "i16x8.add_sat_s", "i16x8.add_sat_u", "i16x8.sub",
  "i16x8.sub_sat_s", "i16x8.sub_sat_u", "f64x2.nearest", "i16x8.mul", "i16x8.min_s", "i16x8.min_u", "i16x8.max_s",
  "i16x8.max_u", NULL, "i16x8.avgr_u", "i16x8.extmul_low_i8x16_s", "i16x8.extmul_high_i8x16_s", "i16x8.extmul_low_i8x16_u",
  "i16x8.extmul_high_i8x16_u", "i32x4.abs", "i32x4.neg", NULL, "i32x4.all_true", "i32x4.bitmask", NULL, NULL,
  "i32x4.extend_low_i16x8_s", "i32x4.extend_high_i16x8_s", "i32x4.extend_low_i16x8_u", "i32x4.extend_high_i16x8_u",
  "i32x4.shl", "i32x4.shr_s", "i32x4.shr_u", "i32x4.add", NULL, NULL, "i32x4.sub", NULL, NULL, NULL, "i32x4.mul",
  "i32x4.min_s", "i32x4.min_u", "i32x4.max_s", "i32x4.max_u", "i32x4.dot_i16x8_s", NULL, "i32x4.extmul_low_i16x8_s",
  "i32x4.extmul_high_i16x8_s", "i32x4.extmul_low_i16x8_u", "i32x4.extmul_high_i16x8_u", "i64x2.abs", "i64x2.neg", NULL,
  "i64x2.all_true", "i64x2.bitmask", NULL, NULL, "i64x2.extend_low_i32x4_s", "i64x2.extend_high_i32x4_s",
  "i64x2.extend_low_i32x4_u", "i64x2.extend_high_i32x4_u", "i64x2.shl", "i64x2.shr_s", "i64x2.shr_u", "i64x2.add", NULL,
  NULL, "i64x2.sub", NULL, NULL, NULL, "i64x2.mul", "i64x2.eq", "i64x2.ne", "i64x2.lt_s", "i64x2.gt_s", "i64x2.le_s",
  "i64x2.ge_s", "i64x2.extmul_low_i32x4_s", "i64x2.extmul_high_i32x4_s", "i64x2.extmul_low_i32x4_u",
  "i64x2.extmul_high_i32x4_u", "f32x4.abs", "f32x4.neg", NULL, "f32x4.sqrt", "f32x4.add", "f32x4.sub", "f32x4.mul",
  "f32x4.div", "f32x4.min", "f32x4.max", "f32x4.pmin", "f32x4.pmax", "f64x2.abs", "f64x2.neg", NULL, "f64x2.sqrt",
  "f64x2.add", "f64x2.sub", "f64x2.mul", "f64x2.div", "f64x2.min", "f64x2.max", "f64x2.pmin", "f64x2.pmax",
  "i32x4.trunc_sat_f32x4_s", "i32x4.trunc_sat_f32x4_u", "f32x4.convert_i32x4_s", "f32x4.convert_i32x4_u",
  "i32x4.trunc_sat_f64x2_s_zero", "i32x4.trunc_sat_f64x2_u_zero", "f64x2.convert_low_i32x4_s", "f64x2.convert_low_i32x4_u",
  "i8x16.relaxed_swizzle", "i32x4.relaxed_trunc_f32x4_s", "i32x4.relaxed_trunc_f32x4_u", "i32x4.relaxed_trunc_f64x2_s_zero",
  "i32x4.relaxed_trunc_f64x2_u_zero", "f32x4.relaxed_madd", "f32x4.relaxed_nmadd", "f64x2.relaxed_madd",
  "f64x2.relaxed_nmadd", "i8x16.relaxed_laneselect", "i16x8.relaxed_laneselect", "i32x4.relaxed_laneselect",
  "i64x2.relaxed_laneselect", "f32x4.relaxed_min", "f32x4.relaxed_max", "f64x2.relaxed_min", "f64x2.relaxed_max",
  "i16x8.relaxed_q15mulr_s", "i16x8.relaxed_dot_i8x16_i7x16_s", "i32x4.relaxed_dot_i8x16_i7x16_add_s",
};

static const char *const thread_names[] = {
  "memory.atomic.notify", "memory.atomic.wait32", "memory.atomic.wait64", "atomic.fence", NULL, NULL, NULL, NULL, NULL,
  NULL, NULL, NULL, NULL, NULL, NULL, NULL, "i32.atomic.load", "i64.atomic.load", "i32.atomic.load8_u",
  "i32.atomic.load16_u", "i64.atomic.load8_u", "i64.atomic.load16_u", "i64.atomic.load32_u", "i32.atomic.store",
  "i64.atomic.store", "i32.atomic.store8", "i32.atomic.store16", "i64.atomic.store8", "i64.atomic.store16",
  "i64.atomic.store32", "i32.atomic.rmw.add", "i64.atomic.rmw.add", "i32.atomic.rmw8.add_u", "i32.atomic.rmw16.add_u",
  "i64.atomic.rmw8.add_u", "i64.atomic.rmw16.add_u", "i64.atomic.rmw32.add_u", "i32.atomic.rmw.sub", "i64.atomic.rmw.sub",
  "i32.atomic.rmw8.sub_u", "i32.atomic.rmw16.sub_u", "i64.atomic.rmw8.sub_u", "i64.atomic.rmw16.sub_u",
  "i64.atomic.rmw32.sub_u", "i32.atomic.rmw.and", "i64.atomic.rmw.and", "i32.atomic.rmw8.and_u", "i32.atomic.rmw16.and_u",
  "i64.atomic.rmw8.and_u", "i64.atomic.rmw16.and_u", "i64.atomic.rmw32.and_u", "i32.atomic.rmw.or", "i64.atomic.rmw.or",
  "i32.atomic.rmw8.or_u", "i32.atomic.rmw16.or_u", "i64.atomic.rmw8.or_u", "i64.atomic.rmw16.or_u", "i64.atomic.rmw32.or_u",
  "i32.atomic.rmw.xor", "i64.atomic.rmw.xor", "i32.atomic.rmw8.xor_u", "i32.atomic.rmw16.xor_u", "i64.atomic.rmw8.xor_u",
  "i64.atomic.rmw16.xor_u", "i64.atomic.rmw32.xor_u", "i32.atomic.rmw.xchg", "i64.atomic.rmw.xchg",
  "i32.atomic.rmw8.xchg_u", "i32.atomic.rmw16.xchg_u", "i64.atomic.rmw8.xchg_u", "i64.atomic.rmw16.xchg_u",
  "i64.atomic.rmw32.xchg_u", "i32.atomic.rmw.cmpxchg", "i64.atomic.rmw.cmpxchg", "i32.atomic.rmw8.cmpxchg_u",
  "i32.atomic.rmw16.cmpxchg_u", "i64.atomic.rmw8.cmpxchg_u", "i64.atomic.rmw16.cmpxchg_u", "i64.atomic.rmw32.cmpxchg_u",
};

enum { FIRST_RELAXED = 0x100 };

static bool row_find(const LaterRow *rows, size_t count, uint8_t code, Later *later) {
  for (size_t i = 0; i < count; i++) {
    if (rows[i].code != code) continue;
    *later = (Later){ rows[i].proposal, rows[i].text };
    return true;
  }
  return false;
}

bool later_instruction(uint8_t byte, uint32_t number, Later *later) {
  const char *const *names = NULL;
  size_t count = 0;
  const char *proposal = NULL;
  switch (byte) {
    case 0xfb: names = garbage_names, count = COUNT_OF(garbage_names), proposal = garbage; break;
    case 0xfd:
      names = vector_names, count = COUNT_OF(vector_names);
      proposal = number < FIRST_RELAXED ? vectors : relaxed_vectors;
      break;
    case 0xfe: names = thread_names, count = COUNT_OF(thread_names), proposal = "threads"; break;
    case 0xfc:
      if (number < 19 || number > 22) return false;
      *later = (Later){ wide_arithmetic, "128-bit integers" };
      return true;
    default: return row_find(one_byte, COUNT_OF(one_byte), byte, later);
  }
  if (number >= count || !names[number]) return false;
  *later = (Later){ proposal, names[number] };
  return true;
}

bool later_type(uint8_t byte, Later *later) { return row_find(types, COUNT_OF(types), byte, later); }

bool vector_skip(Bytes *b, uint32_t number) {
  Later ignored;
  if (number >= FIRST_RELAXED || !later_instruction(0xfd, number, &ignored)) return false;
  if (number <= 11 || (number >= 84 && number <= 93)) memarg_read(b);
  if ((number >= 21 && number <= 34) || (number >= 84 && number <= 91)) bytes_u8(b);
  if (number == 12 || number == 13) bytes_take(b, 16);
  return true;
}
