/* SPDX-License-Identifier: MIT */
/* Validation of all but bodies: imports, types of functions, tables, memories, globals, exports, the start function,
 * segments, constant expressions; and of the whole, in the right order. On the way the functions that a reference may
 * name are marked (C.refs: all that occur outside of bodies and the start section). Core specification, 3.2 to 3.4. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "decode.h"

typedef struct Rules {
  lun_module *module;
  const char *place;     /* "global", or with index UINT32_MAX "start section" */
  uint32_t index;
  uint32_t globals;      /* how many of them a constant expression may name */
  uint32_t height;       /* of the stack of a constant expression */
  lun_type stack[LIMIT_CONSTANT_VALUES];
  lun_error *error;
} Rules;

static bool rule_fail(Rules *r, const uint8_t *at, const char *format, ...) LUN_PRINTF(3, 4);
static bool rule_fail(Rules *r, const uint8_t *at, const char *format, ...) {
  char text[384];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  if (r->index == UINT32_MAX) lun_error_set(r->error, LUN_INVALID, "%s (%s)", text, r->place);
  else lun_error_set(r->error, LUN_INVALID, "%s (%s #%u)", text, r->place, r->index);
  if (at) r->error->offset = (uint64_t)(at - r->module->bytes);
  return false;
}

static void place_set(Rules *r, const char *what, uint32_t index) {
  r->place = what;
  r->index = index;
}

/* ---- constant expressions ---- */

static bool constant_global(Rules *r, Bytes *b, lun_type *type) {
  const uint8_t *at = b->at - 1;
  uint32_t index = bytes_u32(b);
  if (index >= r->globals) return rule_fail(r, at, "unknown global %u: only earlier ones count here", index);
  const GlobalType *global = &r->module->globals[index].type;
  if (global->is_mutable) return rule_fail(r, at, "constant expression required: global %u is mutable", index);
  *type = global->type;
  return true;
}

static bool function_declare(Rules *r, const uint8_t *at, uint32_t index) {
  if (index >= r->module->function_count) return rule_fail(r, at, "unknown function %u", index);
  r->module->functions[index].is_declared = true;
  return true;
}

static bool constant_push(Rules *r, const uint8_t *at, lun_type type) {
  if (r->height == LIMIT_CONSTANT_VALUES)
    return rule_fail(r, at, "a constant expression of more than %d values at a time", LIMIT_CONSTANT_VALUES);
  r->stack[r->height++] = type;
  return true;
}

static bool constant_function(Rules *r, const uint8_t *at, uint32_t index) {
  return function_declare(r, at, index) && constant_push(r, at, r->module->functions[index].type->reference);
}

/* add, sub and mul of integers: two of the type, and one of it again. */
static bool constant_binary(Rules *r, const uint8_t *at, lun_type type) {
  if (r->height < 2) return rule_fail(r, at, "type mismatch: a constant expression lacks operands");
  for (uint32_t i = 1; i <= 2; i++) {
    lun_type got = r->stack[r->height - i];
    if (got != type) return rule_fail(r, at, "type mismatch: expected %s, got %s", lun_type_name(type), lun_type_name(got));
  }
  r->height--;
  return true;
}

/* The one instruction at the reader. Its form was checked when its end was looked for. */
static bool constant_step(Rules *r, Bytes *b, bool *ended) {
  const uint8_t *at = b->at;
  Op op;
  Later later;
  char sentence[64];
  lun_type type = 0;
  if (!op_read_later(b, &op, &later)) {
    if (!later.proposal) return rule_fail(r, at, "constant expression required");
    return rule_fail(r, at, "%s (%s)", later_sentence(&later, sentence, sizeof sentence), later.text);
  }
  switch (op) {
    case OP_I32_CONST: bytes_s32(b); return constant_push(r, at, LUN_I32);
    case OP_I64_CONST: bytes_s64(b); return constant_push(r, at, LUN_I64);
    case OP_F32_CONST: bytes_take(b, 4); return constant_push(r, at, LUN_F32);
    case OP_F64_CONST: bytes_take(b, 8); return constant_push(r, at, LUN_F64);
    case OP_V128_CONST: bytes_take(b, 16); return constant_push(r, at, LUN_V128);
    case OP_REF_NULL:
      type = heap_type_read(b, r->module);
      return b->failure ? rule_fail(r, at, "unknown type") : constant_push(r, at, type);
    case OP_REF_FUNC: return constant_function(r, at, bytes_u32(b));
    case OP_GLOBAL_GET: return constant_global(r, b, &type) && constant_push(r, at, type);
    case OP_I32_ADD: case OP_I32_SUB: case OP_I32_MUL: return constant_binary(r, at, LUN_I32);
    case OP_I64_ADD: case OP_I64_SUB: case OP_I64_MUL: return constant_binary(r, at, LUN_I64);
    case OP_END: *ended = true; return true;
    default: return rule_fail(r, at, "constant expression required, not %s", op_info[op].text);
  }
}

static bool constant_check(Rules *r, const Expression *expression, lun_type wanted) {
  Bytes b = bytes_of(expression->code, expression->size);
  r->height = 0;
  for (bool ended = false; !ended;) {
    if (!constant_step(r, &b, &ended)) return false;
  }
  if (r->height == 1 && type_matches(r->stack[0], wanted)) return true;
  if (r->height == 1) {
    char gives[LUN_TYPE_TEXT], text[LUN_TYPE_TEXT];
    return rule_fail(r, expression->code, "type mismatch: constant expression gives %s, expected %s",
                     lun_type_text(r->stack[0], gives, sizeof gives), lun_type_text(wanted, text, sizeof text));
  }
  return rule_fail(r, expression->code, "type mismatch: constant expression gives %u values, expected one", r->height);
}

/* ---- types, imports, index spaces ---- */

static bool functions_check(Rules *r) {
  for (uint32_t i = 0; i < r->module->function_count; i++) {
    const lun_definition *definition = &r->module->functions[i];
    if (definition->type) continue;
    place_set(r, definition->import ? "imported function" : "function", i);
    if (definition->import) return rule_fail(r, NULL, "unknown type %u", definition->import->type);
    return rule_fail(r, NULL, "unknown type");
  }
  return true;
}

/* What a table's elements are at first: null goes without saying, where it is one of them. */
static bool table_init_check(Rules *r, uint32_t index) {
  const Expression *init = &r->module->table_inits[index];
  lun_type type = r->module->tables[index].type;
  char text[LUN_TYPE_TEXT];
  if (init->code) return constant_check(r, init, type);
  return lun_type_is_nullable(type) ||
         rule_fail(r, NULL, "type mismatch: elements of %s are not null and need an initial value",
                   lun_type_text(type, text, sizeof text));
}

static bool tables_check(Rules *r) {
  if (r->module->table_count > LIMIT_TABLES) {
    return rule_fail(r, NULL, "too many tables: %u, the limit is %d", r->module->table_count, LIMIT_TABLES);
  }
  for (uint32_t i = 0; i < r->module->table_count; i++) {
    const Limits *limits = &r->module->tables[i].limits;
    place_set(r, "table", i);
    if (!limits->is_64 && (limits->min > UINT32_MAX || (limits->max != UINT64_MAX && limits->max > UINT32_MAX))) {
      return rule_fail(r, NULL, "table size must be at most 2^32-1");
    }
    if (limits->min > limits->max) return rule_fail(r, NULL, "size minimum must not be greater than maximum");
    if (i >= r->module->imported_tables && !table_init_check(r, i)) return false;
  }
  return true;
}

static const uint64_t most_pages = UINT64_C(1) << 16, most_pages_64 = UINT64_C(1) << 48;

static bool memories_check(Rules *r) {
  for (uint32_t i = 0; i < r->module->memory_count; i++) {
    const Limits *limits = &r->module->memories[i].limits;
    place_set(r, "memory", i);
    uint64_t most = limits->is_64 ? most_pages_64 : most_pages;
    if (limits->min > most || (limits->max != UINT64_MAX && limits->max > most)) {
      return rule_fail(r, NULL, "memory size must be at most %s", limits->is_64 ? "2^48 pages" : "65536 pages (4GiB)");
    }
    if (limits->min > limits->max) return rule_fail(r, NULL, "size minimum must not be greater than maximum");
    if (i >= LIMIT_MEMORIES) {
      return rule_fail(r, NULL, "too many memories: %u, the limit is %d", r->module->memory_count, LIMIT_MEMORIES);
    }
  }
  return true;
}

static bool globals_check(Rules *r) {
  for (uint32_t i = 0; i < r->module->global_count; i++) {
    const Global *global = &r->module->globals[i];
    r->globals = i;
    place_set(r, "global", i);
    if (i >= r->module->imported_globals && !constant_check(r, &global->init, global->type.type)) return false;
  }
  r->globals = r->module->global_count;
  return true;
}

static bool tags_check(Rules *r) {
  for (uint32_t i = 0; i < r->module->tag_count; i++) {
    const TagType *tag = &r->module->tags[i];
    place_set(r, "tag", i);
    if (!tag->type) return rule_fail(r, NULL, "unknown type %u", tag->index);
    if (tag->type->signature.result_count) return rule_fail(r, NULL, "non-empty tag result type: an exception gives nothing");
  }
  return true;
}

/* ---- exports, start, segments ---- */

static bool export_check(Rules *r, const Export *export) {
  const lun_module *m = r->module;
  switch (export->kind) {
    case LUN_EXTERN_FUNCTION: return function_declare(r, NULL, export->index);
    case LUN_EXTERN_TABLE: return export->index < m->table_count || rule_fail(r, NULL, "unknown table %u", export->index);
    case LUN_EXTERN_MEMORY: return export->index < m->memory_count || rule_fail(r, NULL, "unknown memory %u", export->index);
    case LUN_EXTERN_GLOBAL: return export->index < m->global_count || rule_fail(r, NULL, "unknown global %u", export->index);
    case LUN_EXTERN_TAG: return export->index < m->tag_count || rule_fail(r, NULL, "unknown tag %u", export->index);
  }
  return false;
}

static bool exports_check(Rules *r) {
  const lun_module *m = r->module;
  for (uint32_t i = 0; i < m->export_count; i++) {
    place_set(r, "export", i);
    if (!export_check(r, &m->exports[i])) return false;
  }
  for (uint32_t i = 1; i < m->export_count; i++) {
    const Export *before = &m->exports[m->export_order[i - 1]], *export = &m->exports[m->export_order[i]];
    if (before->name_size != export->name_size || memcmp(before->name, export->name, export->name_size) != 0) continue;
    place_set(r, "export", m->export_order[i]);
    return rule_fail(r, NULL, "duplicate export name \"%.100s\"", export->name);
  }
  return true;
}

static bool start_check(Rules *r) {
  const lun_module *m = r->module;
  if (!m->has_start) return true;
  place_set(r, "start section", UINT32_MAX);
  if (m->start >= m->function_count) return rule_fail(r, NULL, "unknown function %u", m->start);
  const lun_signature *signature = &m->functions[m->start].type->signature;
  return (!signature->param_count && !signature->result_count) ||
         rule_fail(r, NULL, "start function #%u must have no parameters and no results", m->start);
}

static bool element_check(Rules *r, const Element *element) {
  const lun_module *m = r->module;
  if (element->mode == SEGMENT_ACTIVE) {
    if (element->table >= m->table_count) return rule_fail(r, NULL, "unknown table %u", element->table);
    lun_type wanted = m->tables[element->table].type;
    if (!type_matches(element->type, wanted)) {
      char text[LUN_TYPE_TEXT], other[LUN_TYPE_TEXT];
      return rule_fail(r, NULL, "type mismatch: elements of %s for a table of %s",
                       lun_type_text(element->type, text, sizeof text), lun_type_text(wanted, other, sizeof other));
    }
    if (!constant_check(r, &element->offset, address_type(&m->tables[element->table].limits))) return false;
  }
  for (uint32_t i = 0; i < element->count; i++) {
    bool fine = element->functions ? function_declare(r, NULL, element->functions[i])
                                   : constant_check(r, &element->items[i], element->type);
    if (!fine) return false;
  }
  return true;
}

static bool segments_check(Rules *r) {
  const lun_module *m = r->module;
  for (uint32_t i = 0; i < m->element_count; i++) {
    place_set(r, "element segment", i);
    if (!element_check(r, &m->elements[i])) return false;
  }
  for (uint32_t i = 0; i < m->data_count; i++) {
    const Data *data = &m->datas[i];
    place_set(r, "data segment", i);
    if (data->mode != SEGMENT_ACTIVE) continue;
    if (data->memory >= m->memory_count) return rule_fail(r, NULL, "unknown memory %u", data->memory);
    if (!constant_check(r, &data->offset, address_type(&m->memories[data->memory].limits))) return false;
  }
  return true;
}

lun_status rules_validate(lun_module *module, lun_error *error) {
  Rules r = { .module = module, .globals = module->imported_globals, .place = "module", .index = UINT32_MAX, .error = error };
  bool fine = functions_check(&r) && tables_check(&r) && memories_check(&r) && globals_check(&r) && tags_check(&r) &&
              exports_check(&r) && start_check(&r) && segments_check(&r);
  return fine ? LUN_OK : LUN_INVALID;
}

/* ---- the whole ---- */

const char *function_place(const lun_definition *definition, char buffer[PLACE_ROOM]) {
  const char *name = lun_definition_name(definition);
  int length = snprintf(buffer, PLACE_ROOM, "function #%u", definition->index);
  if (name[0] == '#') return buffer;
  int size = (int)utf8_cut(name, strnlen(name, 100));
  snprintf(buffer + length, (size_t)(PLACE_ROOM - length), " \"%.*s\"", size, name);
  return buffer;
}

/* Whether some body is not even well-formed: that comes first, wherever the rule was broken. */
static lun_status bodies_skim(lun_module *module, lun_error *error) {
  Skim skim = { .module = module };
  lun_status status = LUN_OK;
  for (uint32_t i = module->imported_functions; status == LUN_OK && i < module->function_count; i++) {
    const lun_definition *definition = &module->functions[i];
    Bytes b = bytes_of(definition->body, definition->body_size);
    status = body_skim(&skim, &b);
    char place[PLACE_ROOM];
    if (status == LUN_MALFORMED) malformed_set(error, module, &b, &skim.later, function_place(definition, place));
    if (status == LUN_NO_MEMORY) lun_error_set(error, LUN_NO_MEMORY, "not enough memory");
  }
  skim_clear(&skim);
  return status;
}

lun_status module_validate(lun_module *module, lun_error *error) {
  lun_error found = LUN_ERROR_INIT, earlier = LUN_ERROR_INIT;
  lun_status status = rules_validate(module, &found);
  if (status == LUN_OK) status = bodies_validate(module, &found);
  if (status == LUN_INVALID && bodies_skim(module, &earlier) != LUN_OK) found = earlier;
  if (status != LUN_OK && error && error->kind == LUN_OK) *error = found;
  return status == LUN_OK ? LUN_OK : found.kind;
}
