/* SPDX-License-Identifier: MIT */
/* The contents of each section. A function here reads one thing; where it returns false, either the reader holds a
 * failure or the decoder an error. Indexes are not looked at: whether what they name is there is a question of
 * validity (rules.c). Core specification, 5.5.3 to 5.5.16. */
#define _GNU_SOURCE  /* qsort_r */
#include <stdlib.h>
#include <string.h>

#include "decode.h"

static bool no_memory(Decoder *d) { return decode_fail(d, LUN_NO_MEMORY, "not enough memory"); }

/* The count of a vector whose items have at least `item_bytes` bytes each. */
static bool count_read(Decoder *d, uint32_t *count, size_t item_bytes, uint32_t limit, const char *what) {
  *count = bytes_u32(&d->b);
  if (*count > bytes_left(&d->b) / item_bytes) bytes_fail(&d->b, "unexpected end of section or function");
  if (d->b.failure) return false;
  return *count <= limit || decode_fail(d, LUN_INVALID, "too many %s: %u, the limit is %u", what, *count, limit);
}

/* An array of `count` items in the arena. */
#define ITEMS(d, field, count) \
  (((field) = arena_array(&(d)->module->arena, (count), sizeof *(field))) != NULL || no_memory(d))

static bool name_read(Decoder *d, const char **out, size_t *size_out) {
  uint32_t size = bytes_u32(&d->b);
  if (!d->b.failure && size > bytes_left(&d->b)) bytes_fail(&d->b, "length out of bounds");
  const uint8_t *bytes = bytes_take(&d->b, size);
  if (!bytes) return false;
  if (!utf8_valid(bytes, size)) {
    d->b.at = bytes;
    bytes_fail(&d->b, "malformed UTF-8 encoding");
    return false;
  }
  if (size_out) *size_out = size;
  *out = arena_string(&d->module->arena, (const char *)bytes, size);
  return *out || no_memory(d);
}

/* ---- types ---- */

static bool types_read(Decoder *d, uint32_t *count, const lun_type **out, uint32_t *slots, uint32_t limit, const char *what) {
  if (!count_read(d, count, 1, limit, what)) return false;
  lun_type *types;
  *slots = 0;
  if (!ITEMS(d, types, *count)) return false;
  for (uint32_t i = 0; i < *count; i++) *slots += lun_type_slots(types[i] = value_type_read(&d->b, d->module));
  *out = types;
  return !d->b.failure;
}

static bool type_read(Decoder *d, FunctionType *type) {
  if (d->b.at < d->b.end && *d->b.at != 0x60) bytes_fail(&d->b, "malformed form of a type");
  bytes_u8(&d->b);
  lun_signature *signature = &type->signature;
  return types_read(d, &signature->param_count, &signature->params, &type->param_slots, LIMIT_PARAMS, "parameters") &&
         types_read(d, &signature->result_count, &signature->results, &type->result_slots, LIMIT_RESULTS, "results");
}

/* A type may refer to those before it, and to itself: those are there while it is read. */
static bool type_section(Decoder *d) {
  lun_module *m = d->module;
  uint32_t count;
  TypePlaces places;
  if (!count_read(d, &count, 3, m->limits.max_types, "types") || !ITEMS(d, m->types, count)) return false;
  if (!type_places_make(&places, count)) return no_memory(d);
  bool fine = true;
  for (uint32_t i = 0; fine && i < count; i++) {
    m->type_count = i + 1;
    m->types[i].canonical = HEAP_SELF;
    fine = type_read(d, &m->types[i]);
    if (fine) type_enter(m, &places, i);
  }
  free(places.items);
  return fine;
}

/* The flags of limits (5.3.13): a maximum is there, shared between threads, i64 addresses. Whether the numbers are in range
 * is a question of validity. */
enum { LIMITS_MAX = 1, LIMITS_SHARED = 2, LIMITS_64 = 4 };

static bool limits_read(Decoder *d, Limits *limits, bool is_table) {
  const uint8_t *start = d->b.at;
  uint8_t flags = bytes_u8(&d->b);
  if (flags & ~(LIMITS_MAX | LIMITS_64)) {
    d->b.at = start;
    if (flags & 0x80) bytes_fail(&d->b, "integer representation too long");
    else if (flags < 8 && !is_table) bytes_fail(&d->b, "integer too large: threads (shared memory) are not supported");
    else bytes_fail(&d->b, "integer too large: malformed limits flags");
  }
  limits->is_64 = flags & LIMITS_64;
  limits->min = bytes_u64(&d->b);
  limits->max = flags & LIMITS_MAX ? bytes_u64(&d->b) : UINT64_MAX;
  return !d->b.failure;
}

static bool table_type_read(Decoder *d, TableType *table) {
  table->type = reference_type_read(&d->b, d->module);
  return limits_read(d, &table->limits, true);
}

static bool global_type_read(Decoder *d, GlobalType *global) {
  global->type = value_type_read(&d->b, d->module);
  uint8_t is_mutable = d->b.at < d->b.end ? *d->b.at : 0;
  if (is_mutable > 1) bytes_fail(&d->b, "malformed mutability");
  bytes_u8(&d->b);
  global->is_mutable = is_mutable;
  return !d->b.failure;
}

static bool kind_read(Decoder *d, lun_extern_kind *kind, const char *failure) {
  if (d->b.at < d->b.end && *d->b.at > LUN_EXTERN_TAG) bytes_fail(&d->b, failure);
  *kind = (lun_extern_kind)bytes_u8(&d->b);
  return !d->b.failure;
}

/* The one attribute that there is, 0: an exception. */
static bool tag_type_read(Decoder *d, uint32_t *type) {
  if (d->b.at < d->b.end && *d->b.at != 0) bytes_fail(&d->b, "malformed tag attribute");
  bytes_u8(&d->b);
  *type = bytes_u32(&d->b);
  return !d->b.failure;
}

/* ---- imports, and the index spaces that they begin ---- */

static bool import_read(Decoder *d, Import *import) {
  lun_module *m = d->module;
  if (!name_read(d, &import->module, NULL) || !name_read(d, &import->name, NULL)) return false;
  if (!kind_read(d, &import->kind, "malformed import kind")) return false;
  switch (import->kind) {
    case LUN_EXTERN_FUNCTION:
      import->type = bytes_u32(&d->b);
      m->imported_functions++;
      break;
    case LUN_EXTERN_TABLE:
      m->imported_tables++;
      return table_type_read(d, &import->table);
    case LUN_EXTERN_MEMORY:
      m->imported_memories++;
      return limits_read(d, &import->memory.limits, false);
    case LUN_EXTERN_GLOBAL:
      m->imported_globals++;
      return global_type_read(d, &import->global);
    case LUN_EXTERN_TAG:
      m->imported_tags++;
      return tag_type_read(d, &import->type);
  }
  return !d->b.failure;
}

static bool import_section(Decoder *d) {
  lun_module *m = d->module;
  if (!count_read(d, &m->import_count, 4, LIMIT_IMPORTS, "imports") || !ITEMS(d, m->imports, m->import_count)) return false;
  for (uint32_t i = 0; i < m->import_count; i++) {
    if (!import_read(d, &m->imports[i])) return false;
  }
  return true;
}

/* Each index space begins with the imports of its kind; these make room for `own` more, once. */

static void definition_set(lun_module *m, uint32_t index, uint32_t type, const Import *import) {
  m->functions[index] = (lun_definition){
    .module = m, .index = index, .type = type < m->type_count ? &m->types[type] : NULL, .import = import
  };
}

static bool functions_begin(Decoder *d, uint32_t own) {
  lun_module *m = d->module;
  m->function_count = m->imported_functions + own;
  if (!ITEMS(d, m->functions, m->function_count)) return false;
  for (uint32_t i = 0, at = 0; i < m->import_count; i++) {
    if (m->imports[i].kind == LUN_EXTERN_FUNCTION) definition_set(m, at++, m->imports[i].type, &m->imports[i]);
  }
  return true;
}

static bool tables_begin(Decoder *d, uint32_t own) {
  lun_module *m = d->module;
  m->table_count = m->imported_tables + own;
  if (!ITEMS(d, m->tables, m->table_count) || !ITEMS(d, m->table_inits, m->table_count)) return false;
  for (uint32_t i = 0, at = 0; i < m->import_count; i++) {
    if (m->imports[i].kind == LUN_EXTERN_TABLE) m->tables[at++] = m->imports[i].table;
  }
  return true;
}

static bool memories_begin(Decoder *d, uint32_t own) {
  lun_module *m = d->module;
  m->memory_count = m->imported_memories + own;
  if (!ITEMS(d, m->memories, m->memory_count)) return false;
  for (uint32_t i = 0, at = 0; i < m->import_count; i++) {
    if (m->imports[i].kind == LUN_EXTERN_MEMORY) m->memories[at++] = m->imports[i].memory;
  }
  return true;
}

static bool globals_begin(Decoder *d, uint32_t own) {
  lun_module *m = d->module;
  m->global_count = m->imported_globals + own;
  if (!ITEMS(d, m->globals, m->global_count)) return false;
  for (uint32_t i = 0, at = 0; i < m->import_count; i++) {
    if (m->imports[i].kind == LUN_EXTERN_GLOBAL) m->globals[at++].type = m->imports[i].global;
  }
  return true;
}

static void tag_set(lun_module *m, uint32_t index, uint32_t type) {
  m->tags[index] = (TagType){ type, type < m->type_count ? &m->types[type] : NULL };
}

static bool tags_begin(Decoder *d, uint32_t own) {
  lun_module *m = d->module;
  m->tag_count = m->imported_tags + own;
  if (!ITEMS(d, m->tags, m->tag_count)) return false;
  for (uint32_t i = 0, at = 0; i < m->import_count; i++) {
    if (m->imports[i].kind == LUN_EXTERN_TAG) tag_set(m, at++, m->imports[i].type);
  }
  return true;
}

/* ---- functions, tables, memories, globals, tags ---- */

static bool function_section(Decoder *d) {
  lun_module *m = d->module;
  uint32_t count;
  if (!count_read(d, &count, 1, m->limits.max_functions, "functions") || !functions_begin(d, count)) return false;
  for (uint32_t i = m->imported_functions; i < m->function_count; i++) definition_set(m, i, bytes_u32(&d->b), NULL);
  return !d->b.failure;
}

static bool memory_section(Decoder *d) {
  lun_module *m = d->module;
  uint32_t count;
  if (!count_read(d, &count, 2, UINT32_MAX, "memories") || !memories_begin(d, count)) return false;
  for (uint32_t i = m->imported_memories; i < m->memory_count; i++) {
    if (!limits_read(d, &m->memories[i].limits, false)) return false;
  }
  return true;
}

static bool expression_read(Decoder *d, Expression *expression) {
  expression->code = d->b.at;
  lun_status status = code_skim(&d->skim, &d->b);
  if (status == LUN_NO_MEMORY) return no_memory(d);
  expression->size = (uint32_t)(d->b.at - expression->code);
  return status == LUN_OK;
}

/* With these two bytes before its type a table has an expression behind it. */
enum { TABLE_INIT_FIRST = 0x40, TABLE_INIT_SECOND = 0x00 };

static bool table_read(Decoder *d, uint32_t index) {
  lun_module *m = d->module;
  bool has_init = d->b.at < d->b.end && *d->b.at == TABLE_INIT_FIRST;
  if (has_init) {
    d->b.at++;
    if (d->b.at < d->b.end && *d->b.at != TABLE_INIT_SECOND) bytes_fail(&d->b, "malformed table");
    bytes_u8(&d->b);
  }
  if (!table_type_read(d, &m->tables[index])) return false;
  return !has_init || expression_read(d, &m->table_inits[index]);
}

static bool table_section(Decoder *d) {
  lun_module *m = d->module;
  uint32_t count;
  if (!count_read(d, &count, 3, LIMIT_TABLES, "tables") || !tables_begin(d, count)) return false;
  for (uint32_t i = m->imported_tables; i < m->table_count; i++) {
    if (!table_read(d, i)) return false;
  }
  return true;
}

static bool global_section(Decoder *d) {
  lun_module *m = d->module;
  uint32_t count;
  if (!count_read(d, &count, 3, LIMIT_GLOBALS, "globals") || !globals_begin(d, count)) return false;
  for (uint32_t i = m->imported_globals; i < m->global_count; i++) {
    if (!global_type_read(d, &m->globals[i].type) || !expression_read(d, &m->globals[i].init)) return false;
  }
  return true;
}

static bool tag_section(Decoder *d) {
  lun_module *m = d->module;
  uint32_t count;
  if (!count_read(d, &count, 2, LIMIT_TAGS, "tags") || !tags_begin(d, count)) return false;
  for (uint32_t i = m->imported_tags; i < m->tag_count; i++) {
    uint32_t type;
    if (!tag_type_read(d, &type)) return false;
    tag_set(m, i, type);
  }
  return true;
}

/* ---- exports, start ---- */

static bool export_section(Decoder *d) {
  lun_module *m = d->module;
  if (!count_read(d, &m->export_count, 3, LIMIT_EXPORTS, "exports") || !ITEMS(d, m->exports, m->export_count)) return false;
  for (uint32_t i = 0; i < m->export_count; i++) {
    Export *export = &m->exports[i];
    if (!name_read(d, &export->name, &export->name_size) || !kind_read(d, &export->kind, "malformed export kind")) return false;
    export->index = bytes_u32(&d->b);
  }
  return !d->b.failure;
}

static bool start_section(Decoder *d) {
  d->module->start = bytes_u32(&d->b);
  d->module->has_start = true;
  return !d->b.failure;
}

/* ---- segments ---- */

/* The flags of an element segment (5.5.12): bit 0 not active; bit 1 a table index, or declarative; bit 2 expressions. */
enum { ELEMENT_INERT = 1, ELEMENT_EXPLICIT = 2, ELEMENT_EXPRESSIONS = 4 };

static bool element_items_read(Decoder *d, Element *element, bool expressions) {
  if (!count_read(d, &element->count, 1, LIMIT_ELEMENTS, "elements in a segment")) return false;
  if (!expressions) {
    if (!ITEMS(d, element->functions, element->count)) return false;
    for (uint32_t i = 0; i < element->count; i++) element->functions[i] = bytes_u32(&d->b);
    return !d->b.failure;
  }
  if (!ITEMS(d, element->items, element->count)) return false;
  for (uint32_t i = 0; i < element->count; i++) {
    if (!expression_read(d, &element->items[i])) return false;
  }
  return true;
}

static bool element_read(Decoder *d, Element *element) {
  const uint8_t *start = d->b.at;
  uint32_t flags = bytes_u32(&d->b);
  if (flags > 7) {
    d->b.at = start;
    bytes_fail(&d->b, "malformed elements segment kind");
  }
  if (d->b.failure) return false;
  element->type = flags & ELEMENT_EXPRESSIONS ? LUN_FUNCREF : LUN_REF_FUNC;
  element->mode = !(flags & ELEMENT_INERT) ? SEGMENT_ACTIVE : flags & ELEMENT_EXPLICIT ? SEGMENT_DECLARATIVE : SEGMENT_PASSIVE;
  if (element->mode == SEGMENT_ACTIVE) {
    if (flags & ELEMENT_EXPLICIT) element->table = bytes_u32(&d->b);
    if (!expression_read(d, &element->offset)) return false;
  }
  if (flags & (ELEMENT_INERT | ELEMENT_EXPLICIT)) {
    if (flags & ELEMENT_EXPRESSIONS) {
      element->type = reference_type_read(&d->b, d->module);
    } else {
      if (d->b.at < d->b.end && *d->b.at != 0) bytes_fail(&d->b, "malformed element kind");
      bytes_u8(&d->b);
    }
  }
  return !d->b.failure && element_items_read(d, element, flags & ELEMENT_EXPRESSIONS);
}

static bool element_section(Decoder *d) {
  lun_module *m = d->module;
  if (!count_read(d, &m->element_count, 3, LIMIT_ELEMENTS, "element segments") || !ITEMS(d, m->elements, m->element_count)) {
    return false;
  }
  for (uint32_t i = 0; i < m->element_count; i++) {
    if (!element_read(d, &m->elements[i])) return false;
  }
  return true;
}

static bool data_read(Decoder *d, Data *data) {
  const uint8_t *start = d->b.at;
  uint32_t flags = bytes_u32(&d->b);
  if (flags > 2) {
    d->b.at = start;
    bytes_fail(&d->b, "malformed data segment kind");
  }
  if (d->b.failure) return false;
  data->mode = flags == 1 ? SEGMENT_PASSIVE : SEGMENT_ACTIVE;
  if (flags == 2) data->memory = bytes_u32(&d->b);
  if (flags != 1 && !expression_read(d, &data->offset)) return false;
  data->size = bytes_u32(&d->b);
  if (!d->b.failure && data->size > bytes_left(&d->b)) bytes_fail(&d->b, "unexpected end of section or function");
  data->bytes = bytes_take(&d->b, data->size);
  return !d->b.failure;
}

static bool data_section(Decoder *d) {
  lun_module *m = d->module;
  if (!count_read(d, &m->data_count, 2, LIMIT_DATAS, "data segments") || !ITEMS(d, m->datas, m->data_count)) return false;
  for (uint32_t i = 0; i < m->data_count; i++) {
    if (!data_read(d, &m->datas[i])) return false;
  }
  return true;
}

static bool data_count_section(Decoder *d) {
  d->module->declared_data_count = bytes_u32(&d->b);
  d->module->has_data_count = true;
  return !d->b.failure;
}

/* ---- code ---- */

static bool body_read(Decoder *d, lun_definition *definition) {
  uint32_t size = bytes_u32(&d->b);
  if (!d->b.failure && size > bytes_left(&d->b)) bytes_fail(&d->b, "unexpected end of section or function");
  if (d->b.failure) return false;
  uint32_t most = d->module->limits.max_body_bytes;
  if (size > most) {
    return decode_fail(d, LUN_INVALID, "function #%u has %u bytes, the limit is %u", definition->index, size, most);
  }
  definition->body = bytes_take(&d->b, size);
  definition->body_size = size;
  return true;
}

static bool bodies_mismatch(Decoder *d, uint32_t bodies) {
  lun_module *m = d->module;
  return decode_fail(d, LUN_MALFORMED, "function and code section have inconsistent lengths: %u and %u",
                     m->function_count - m->imported_functions, bodies);
}

static bool code_section(Decoder *d) {
  lun_module *m = d->module;
  m->code_start = (size_t)(d->b.at - m->bytes);
  if (!m->functions && !functions_begin(d, 0)) return false;
  if (!count_read(d, &d->body_count, 1, UINT32_MAX, "bodies")) return false;
  if (d->body_count != m->function_count - m->imported_functions) return bodies_mismatch(d, d->body_count);
  for (uint32_t i = 0; i < d->body_count; i++) {
    if (!body_read(d, &m->functions[m->imported_functions + i])) return false;
  }
  return true;
}

/* ---- custom sections ---- */

static bool custom_section(Decoder *d) {
  lun_module *m = d->module;
  uint32_t size = bytes_u32(&d->b);
  if (!d->b.failure && size > bytes_left(&d->b)) bytes_fail(&d->b, "length out of bounds");
  const uint8_t *name = bytes_take(&d->b, size);
  if (!name) return false;
  if (!utf8_valid(name, size)) {
    d->b.at = name;
    bytes_fail(&d->b, "malformed UTF-8 encoding");
    return false;
  }
  size_t left = bytes_left(&d->b);
  const uint8_t *contents = bytes_take(&d->b, left);
  if (size == 4 && memcmp(name, "name", 4) == 0 && !m->name_section) {
    m->name_section = contents;
    m->name_section_size = left;
  }
  return true;
}

bool section_decode(Decoder *d, uint8_t id) {
  static bool (*const sections[])(Decoder *) = {
    custom_section, type_section, import_section, function_section, table_section, memory_section, global_section,
    export_section, start_section, element_section, code_section, data_section, data_count_section, tag_section,
  };
  return sections[id](d);
}

/* ---- afterwards ---- */

static int export_compare(const Export *a, const Export *b) {
  size_t size = a->name_size < b->name_size ? a->name_size : b->name_size;
  int order = size ? memcmp(a->name, b->name, size) : 0;
  return order ? order : (a->name_size > b->name_size) - (a->name_size < b->name_size);
}

static int by_name(const void *a, const void *b, void *exports) {
  const uint32_t *x = a, *y = b;
  return export_compare((const Export *)exports + *x, (const Export *)exports + *y);
}

static int by_function(const void *a, const void *b, void *exports) {
  const uint32_t *x = a, *y = b;
  uint32_t i = ((const Export *)exports)[*x].index, j = ((const Export *)exports)[*y].index;
  return i != j ? (i > j) - (i < j) : (*x > *y) - (*x < *y);
}

static bool exports_sort(Decoder *d) {
  lun_module *m = d->module;
  if (!ITEMS(d, m->export_order, m->export_count) || !ITEMS(d, m->function_exports, m->export_count)) return false;
  for (uint32_t i = 0; i < m->export_count; i++) {
    m->export_order[i] = i;
    if (m->exports[i].kind == LUN_EXTERN_FUNCTION) m->function_exports[m->function_export_count++] = i;
  }
  if (m->export_count > 1) qsort_r(m->export_order, m->export_count, sizeof *m->export_order, by_name, m->exports);
  if (m->function_export_count > 1) {
    qsort_r(m->function_exports, m->function_export_count, sizeof *m->function_exports, by_function, m->exports);
  }
  return true;
}

bool sections_finish(Decoder *d) {
  lun_module *m = d->module;
  if ((!m->functions && !functions_begin(d, 0)) || (!m->tables && !tables_begin(d, 0)) ||
      (!m->memories && !memories_begin(d, 0)) || (!m->globals && !globals_begin(d, 0)) || (!m->tags && !tags_begin(d, 0))) {
    return false;
  }
  if (m->function_count - m->imported_functions != d->body_count) return bodies_mismatch(d, d->body_count);
  if (m->has_data_count && m->declared_data_count != m->data_count) {
    return decode_fail(d, LUN_MALFORMED, "data count and data section have inconsistent lengths: %u and %u",
                       m->declared_data_count, m->data_count);
  }
  return exports_sort(d);
}

const Export *export_find(const lun_module *module, const char *name, size_t name_size) {
  Export wanted = { .name = name, .name_size = name_size };
  uint32_t low = 0, high = module->export_count;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    const Export *export = &module->exports[module->export_order[middle]];
    int order = export_compare(export, &wanted);
    if (order == 0) return export;
    if (order < 0) low = middle + 1;
    else high = middle;
  }
  return NULL;
}
