/* SPDX-License-Identifier: MIT */
/* What the engine does not have, by name, so that a module that needs it is refused with a sentence. Nothing here
 * is understood. */
#include "decode.h"

static const char garbage[] = "garbage collection";
static const char wide_arithmetic[] = "wide arithmetic";

typedef struct LaterRow {
  uint8_t code;
  const char *proposal, *text;
} LaterRow;

static const LaterRow one_byte[] = {
  { 0xd3, garbage, "ref.eq" },
};

/* Types of values, and the forms of types, which share one space of codes. */
static const LaterRow types[] = {
  { 0x4e, garbage, "rec" },
  { 0x4f, garbage, "sub final" },
  { 0x50, garbage, "sub" },
  { 0x5e, garbage, "array" },
  { 0x5f, garbage, "struct" },
  { 0x6a, garbage, "arrayref" },
  { 0x6b, garbage, "structref" },
  { 0x6c, garbage, "i31ref" },
  { 0x6d, garbage, "eqref" },
  { 0x6e, garbage, "anyref" },
  { 0x71, garbage, "nullref" },
  { 0x72, garbage, "nullexternref" },
  { 0x73, garbage, "nullfuncref" },
  { 0x74, garbage, "nullexnref" },
};

/* By number behind the prefix 0xfb, 0xfd and 0xfe. */
static const char *const garbage_names[] = {
  "struct.new", "struct.new_default", "struct.get", "struct.get_s", "struct.get_u", "struct.set", "array.new",
  "array.new_default", "array.new_fixed", "array.new_data", "array.new_elem", "array.get", "array.get_s", "array.get_u",
  "array.set", "array.len", "array.fill", "array.copy", "array.init_data", "array.init_elem", "ref.test", "ref.test_null",
  "ref.cast", "ref.cast_null", "br_on_cast", "br_on_cast_fail", "any.convert_extern", "extern.convert_any", "ref.i31",
  "i31.get_s", "i31.get_u",
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
