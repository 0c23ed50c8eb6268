/* SPDX-License-Identifier: MIT */
/* Types: their names, which reference is another's subtype, reading them from a module, comparing and printing signatures. */
#include <stdio.h>
#include <string.h>

#include "decode.h"

const char unknown_type[] = "unknown type";

static const struct { lun_type type; const char *name; } type_names[] = {
  { LUN_I32, "i32" }, { LUN_I64, "i64" }, { LUN_F32, "f32" }, { LUN_F64, "f64" }, { LUN_V128, "v128" },
  { LUN_FUNCREF, "funcref" }, { LUN_EXTERNREF, "externref" }, { LUN_EXNREF, "exnref" }, { LUN_REF_FUNC, "(ref func)" },
  { LUN_REF_EXTERN, "(ref extern)" }, { LUN_REF_EXN, "(ref exn)" },
};

const char *lun_type_name(lun_type type) {
  for (size_t i = 0; i < COUNT_OF(type_names); i++) {
    if (type_names[i].type == type) return type_names[i].name;
  }
  if (type == BOTTOM_REFERENCE) return "a reference";
  if (!type_has_index(type)) return "?";
  return (type & 0xff) == REF_CODE ? "(ref type)" : "(ref null type)";
}

const char *lun_type_text(lun_type type, char *buffer, size_t room) {
  if (!type_has_index(type)) snprintf(buffer, room, "%s", lun_type_name(type));
  else snprintf(buffer, room, (type & 0xff) == REF_CODE ? "(ref %u)" : "(ref null %u)", type_index(type));
  return buffer;
}

lun_type lun_type_of_name(const char *name) {
  for (size_t i = 0; i < COUNT_OF(type_names); i++) {
    if (strcmp(type_names[i].name, name) == 0) return type_names[i].type;
  }
  return 0;
}

uint32_t lun_type_slots(lun_type type) { return type == LUN_V128 ? 2 : 1; }

/* ---- references ---- */

/* The codes that stand for a nullable reference, and behind (ref …) for what is referred to. */
static bool is_heap_code(uint8_t byte) { return byte == LUN_FUNCREF || byte == LUN_EXTERNREF || byte == LUN_EXNREF; }

bool type_is_reference(lun_type type) {
  uint8_t code = type & 0xff;
  return is_heap_code(code) || code == REF_CODE || code == REF_NULL_CODE;
}

/* What a reference refers to: a number of a type, or a code with the bit that says so. */
static uint32_t heap_of(lun_type type) {
  return is_heap_code(type & 0xff) ? type | LUN_HEAP_ABSTRACT >> 8 : type >> 8;
}

bool lun_type_is_nullable(lun_type type) { return type_is_reference(type) && (type & 0xff) != REF_CODE; }

lun_type type_non_null(lun_type type) { return type_of_heap(heap_of(type), false); }

lun_type type_or_null(lun_type type) {
  uint32_t heap = heap_of(type);
  return heap & LUN_HEAP_ABSTRACT >> 8 ? heap & 0xff : type_of_heap(heap, true);
}

lun_type lun_type_top(lun_type type) {
  if (!type_is_reference(type)) return type;
  return type_has_index(type) ? LUN_FUNCREF : type_or_null(type);
}

bool type_matches(lun_type type, lun_type wanted) {
  if (type == wanted) return true;
  if (!type_is_reference(type) || !type_is_reference(wanted)) return false;
  if (lun_type_is_nullable(type) && !lun_type_is_nullable(wanted)) return false;
  if (type == BOTTOM_REFERENCE || heap_of(type) == heap_of(wanted)) return true;
  return type_has_index(type) && heap_of(wanted) == heap_of(LUN_FUNCREF);
}

bool types_match(const lun_type *types, const lun_type *wanted, uint32_t count) {
  for (uint32_t i = 0; i < count; i++) {
    if (!type_matches(types[i], wanted[i])) return false;
  }
  return true;
}

/* ---- reading ---- */

static bool is_value_code(uint8_t byte) { return (byte >= LUN_V128 && byte <= LUN_I32) || is_heap_code(byte); }

/* What is referred to, as heap_of gives it. The number of a type is that of the first equal one. */
static uint32_t heap_read(Bytes *b, const lun_module *module) {
  const uint8_t *start = b->at;
  if (b->at < b->end && is_heap_code(*b->at)) return *b->at++ | LUN_HEAP_ABSTRACT >> 8;
  int64_t index = bytes_s33(b);
  if (b->failure) return 0;
  if (index >= 0 && !module) return 0;
  if (index >= 0 && index < module->type_count) return module->types[index].canonical;
  b->at = start;
  bytes_fail(b, index < 0 ? "malformed heap type" : unknown_type);
  return 0;
}

lun_type heap_type_read(Bytes *b, const lun_module *module) { return type_or_null(type_of_heap(heap_read(b, module), true)); }

lun_type value_type_read(Bytes *b, const lun_module *module) {
  uint8_t code = b->at < b->end ? *b->at : 0;
  if (is_value_code(code)) return *b->at++;
  if (code == REF_CODE || code == REF_NULL_CODE) {
    b->at++;
    lun_type type = type_of_heap(heap_read(b, module), code == REF_NULL_CODE);
    return code == REF_CODE ? type : type_or_null(type);
  }
  bytes_fail(b, b->at < b->end ? "malformed value type" : "unexpected end");
  return 0;
}

lun_type reference_type_read(Bytes *b, const lun_module *module) {
  if (b->at < b->end && type_is_reference(*b->at)) return value_type_read(b, module);
  bytes_fail(b, b->at < b->end ? "malformed reference type" : "unexpected end");
  return 0;
}

/* What a shorthand's results point to. */
static const lun_type singles[] = {
  LUN_I32, LUN_I64, LUN_F32, LUN_F64, LUN_V128, LUN_FUNCREF, LUN_EXTERNREF, LUN_EXNREF, LUN_REF_FUNC, LUN_REF_EXTERN,
  LUN_REF_EXN,
};

static const lun_type *single_find(const lun_module *module, lun_type type) {
  if (type_has_index(type)) {
    const FunctionType *of = &module->types[type_index(type)];
    return lun_type_is_nullable(type) ? &of->nullable_reference : &of->reference;
  }
  for (size_t i = 0; i < COUNT_OF(singles); i++) {
    if (singles[i] == type) return &singles[i];
  }
  return NULL;
}

static bool is_type_code(uint8_t code) { return is_value_code(code) || code == REF_CODE || code == REF_NULL_CODE; }

bool block_type_read(Bytes *b, const lun_module *module, BlockType *out) {
  *out = (BlockType){ 0 };
  if (b->at < b->end && *b->at == 0x40) {
    b->at++;
    return true;
  }
  if (b->at < b->end && is_type_code(*b->at)) {
    out->single = value_type_read(b, module);
    if (b->failure) return false;
    out->results = single_find(module, out->single);
    out->result_count = 1;
    return true;
  }
  const uint8_t *start = b->at;
  int64_t index = bytes_s33(b);
  if (b->failure) return false;
  if (index < 0 || index >= module->type_count) {
    b->at = start;
    bytes_fail(b, index < 0 ? "malformed block type" : unknown_type);
    return false;
  }
  const lun_signature *signature = &module->types[index].signature;
  *out = (BlockType){ signature->param_count, signature->result_count, signature->params, signature->results, 0 };
  return true;
}

/* ---- catches ---- */

CatchClause catch_read(Bytes *b) {
  const uint8_t *start = b->at;
  CatchClause clause = { .kind = bytes_u8(b) };
  if (clause.kind >= CATCH_KINDS && !b->failure) {
    b->at = start;
    bytes_fail(b, "malformed catch clause");
  }
  if (!(clause.kind & CATCH_ALL)) clause.tag = bytes_u32(b);
  clause.label = bytes_u32(b);
  return clause;
}

/* ---- signatures ---- */

bool signature_equal(const lun_signature *a, const lun_signature *b) {
  return a->param_count == b->param_count && a->result_count == b->result_count &&
         (!a->param_count || memcmp(a->params, b->params, a->param_count * sizeof *a->params) == 0) &&
         (!a->result_count || memcmp(a->results, b->results, a->result_count * sizeof *a->results) == 0);
}

static size_t types_print(char *buffer, size_t room, size_t length, const lun_type *types, uint32_t count) {
  for (uint32_t i = 0; i < count && length < room; i++) {
    char text[LUN_TYPE_TEXT];
    int printed = snprintf(buffer + length, room - length, "%s ", lun_type_text(types[i], text, sizeof text));
    if (printed > 0) length += (size_t)printed;
  }
  return length < room ? length : room - 1;
}

const char *signature_text(const lun_signature *signature, char *buffer, size_t room) {
  if (room == 0) return "";
  size_t length = types_print(buffer, room, 0, signature->params, signature->param_count);
  int printed = snprintf(buffer + length, room - length, "-> ");
  if (printed > 0) length += (size_t)printed;
  if (length >= room) length = room - 1;
  length = types_print(buffer, room, length, signature->results, signature->result_count);
  if (length > 0 && buffer[length - 1] == ' ') length--;
  buffer[length] = 0;
  return buffer;
}
