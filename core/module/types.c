/* SPDX-License-Identifier: MIT */
/* Types: their names, reading them from a module, comparing and printing signatures. */
#include <stdio.h>
#include <string.h>

#include "decode.h"

static const struct { lun_type type; const char *name; } type_names[] = {
  { LUN_I32, "i32" }, { LUN_I64, "i64" }, { LUN_F32, "f32" }, { LUN_F64, "f64" }, { LUN_V128, "v128" },
  { LUN_FUNCREF, "funcref" }, { LUN_EXTERNREF, "externref" }, { LUN_EXNREF, "exnref" },
};

const char *lun_type_name(lun_type type) {
  for (size_t i = 0; i < COUNT_OF(type_names); i++) {
    if (type_names[i].type == type) return type_names[i].name;
  }
  return "?";
}

lun_type lun_type_of_name(const char *name) {
  for (size_t i = 0; i < COUNT_OF(type_names); i++) {
    if (strcmp(type_names[i].name, name) == 0) return type_names[i].type;
  }
  return 0;
}

uint32_t lun_type_slots(lun_type type) { return type == LUN_V128 ? 2 : 1; }

bool type_is_reference(lun_type type) { return type == LUN_FUNCREF || type == LUN_EXTERNREF || type == LUN_EXNREF; }

static bool is_value_type(uint8_t byte) { return (byte >= LUN_V128 && byte <= LUN_I32) || type_is_reference(byte); }

lun_type value_type_read(Bytes *b) {
  if (b->at < b->end && is_value_type(*b->at)) return *b->at++;
  bytes_fail(b, b->at < b->end ? "malformed value type" : "unexpected end");
  return 0;
}

lun_type reference_type_read(Bytes *b) {
  if (b->at < b->end && type_is_reference(*b->at)) return *b->at++;
  bytes_fail(b, b->at < b->end ? "malformed reference type" : "unexpected end");
  return 0;
}

/* What a shorthand's results point to, by 0x7f - code. */
static const lun_type singles[] = {
  LUN_I32, LUN_I64, LUN_F32, LUN_F64, LUN_V128, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, LUN_FUNCREF, LUN_EXTERNREF, 0,
  0, 0, 0, 0, LUN_EXNREF,
};

bool block_type_read(Bytes *b, const lun_module *module, BlockType *out) {
  *out = (BlockType){ 0 };
  if (b->at < b->end && *b->at == 0x40) {
    b->at++;
    return true;
  }
  if (b->at < b->end && is_value_type(*b->at)) {
    out->single = *b->at++;
    out->results = &singles[0x7f - out->single];
    out->result_count = 1;
    return true;
  }
  const uint8_t *start = b->at;
  int64_t index = bytes_s33(b);
  if (b->failure) return false;
  if (index < 0 || index >= module->type_count) {
    b->at = start;
    bytes_fail(b, index < 0 ? "malformed block type" : "unknown type");
    return false;
  }
  const lun_signature *signature = &module->types[index].signature;
  *out = (BlockType){ signature->param_count, signature->result_count, signature->params, signature->results, 0 };
  return true;
}

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

bool signature_equal(const lun_signature *a, const lun_signature *b) {
  return a->param_count == b->param_count && a->result_count == b->result_count &&
         (!a->param_count || memcmp(a->params, b->params, a->param_count * sizeof *a->params) == 0) &&
         (!a->result_count || memcmp(a->results, b->results, a->result_count * sizeof *a->results) == 0);
}

static size_t types_print(char *buffer, size_t room, size_t length, const lun_type *types, uint32_t count) {
  for (uint32_t i = 0; i < count && length < room; i++) {
    int printed = snprintf(buffer + length, room - length, "%s ", lun_type_name(types[i]));
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
