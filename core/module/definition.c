/* SPDX-License-Identifier: MIT */
/* What the door tells of modules and of the definitions of their functions. Names and the texts of types are made when
 * first asked for and kept with the module; that is all that ever changes in one. */
#include <stdio.h>
#include <string.h>

#include "decode.h"

/* The caches are the one thing that a const module may write. */
static lun_module *unlocked(const lun_module *module) { return (lun_module *)(uintptr_t)module; }

const char *lun_extern_kind_name(lun_extern_kind kind) {
  static const char *const names[] = { "function", "table", "memory", "global", "tag" };
  return (unsigned)kind < COUNT_OF(names) ? names[kind] : "?";
}

const char *lun_module_name(const lun_module *module) {
  const char *name = names_module(unlocked(module));
  return name ? name : module->given_name ? module->given_name : "";
}

const char *lun_module_own_name(const lun_module *module) { return names_module(unlocked(module)); }

/* ---- ports ---- */

/* "1..2", "1.." without a maximum, "i64 1..2". */
static const char *limits_text(const Limits *limits, char *buffer, size_t room) {
  int length = snprintf(buffer, room, "%s%llu..", limits->is_64 ? "i64 " : "", (unsigned long long)limits->min);
  if (limits->max != UINT64_MAX) snprintf(buffer + length, room - (size_t)length, "%llu", (unsigned long long)limits->max);
  return buffer;
}

static char *tag_text(Arena *arena, const lun_signature *signature) {
  char types[256];
  size_t size = strlen(signature_text(signature, types, sizeof types)), arrow = size > 3 ? 3 : size;
  return arena_printf(arena, "tag (%.*s)", (int)(size - arrow), types); /* without the " ->" */
}

static char *type_text(Arena *arena, lun_extern_kind kind, const TableType *table, const MemoryType *memory,
                       const GlobalType *global) {
  char limits[64], text[LUN_TYPE_TEXT];
  switch (kind) {
    case LUN_EXTERN_TABLE:
      return arena_printf(arena, "table %s %s", limits_text(&table->limits, limits, sizeof limits),
                          lun_type_text(table->type, text, sizeof text));
    case LUN_EXTERN_MEMORY:
      return arena_printf(arena, "memory %s pages", limits_text(&memory->limits, limits, sizeof limits));
    default:
      return arena_printf(arena, "global %s%s", global->is_mutable ? "mut " : "",
                          lun_type_text(global->type, text, sizeof text));
  }
}

/* The place where the text of a port's type is kept: imports first. */
static const char **port_text(const lun_module *module, uint32_t index) {
  lun_module *writable = unlocked(module);
  if (!module->port_texts) {
    size_t count = (size_t)module->import_count + module->export_count;
    writable->port_texts = arena_array(&writable->arena, count, sizeof *writable->port_texts);
  }
  return module->port_texts ? &writable->port_texts[index] : NULL;
}

uint32_t lun_module_import_count(const lun_module *module) { return module->import_count; }

/* Which function an import is: how many function imports stand before it. */
static uint32_t import_function_index(const lun_module *module, const Import *import) {
  uint32_t low = 0, high = module->imported_functions;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    if (module->functions[middle].import < import) low = middle + 1;
    else high = middle;
  }
  return low;
}

lun_port lun_module_import(const lun_module *module, uint32_t index) {
  lun_port port = { 0 };
  if (index >= module->import_count) return port;
  const Import *import = &module->imports[index];
  port.module = import->module;
  port.name = import->name;
  port.name_size = strlen(import->name);
  port.kind = import->kind;
  if (import->kind == LUN_EXTERN_FUNCTION) {
    port.definition = &module->functions[import_function_index(module, import)];
    return port;
  }
  const char **text = port_text(module, index);
  if (text && !*text && import->kind == LUN_EXTERN_TAG) {
    *text = tag_text(&unlocked(module)->arena, &module->types[import->type].signature);
  } else if (text && !*text) {
    *text = type_text(&unlocked(module)->arena, import->kind, &import->table, &import->memory, &import->global);
  }
  port.type = text && *text ? *text : lun_extern_kind_name(import->kind);
  return port;
}

uint32_t lun_module_export_count(const lun_module *module) { return module->export_count; }

static char *export_text(lun_module *module, const Export *export) {
  if (export->kind == LUN_EXTERN_TAG) return tag_text(&module->arena, &module->tags[export->index].type->signature);
  const TableType *table = export->kind == LUN_EXTERN_TABLE ? &module->tables[export->index] : NULL;
  const MemoryType *memory = export->kind == LUN_EXTERN_MEMORY ? &module->memories[export->index] : NULL;
  const GlobalType *global = export->kind == LUN_EXTERN_GLOBAL ? &module->globals[export->index].type : NULL;
  return type_text(&module->arena, export->kind, table, memory, global);
}

lun_port lun_module_export(const lun_module *module, uint32_t index) {
  lun_port port = { 0 };
  if (index >= module->export_count) return port;
  const Export *export = &module->exports[index];
  port.name = export->name;
  port.name_size = export->name_size;
  port.kind = export->kind;
  if (export->kind == LUN_EXTERN_FUNCTION) {
    port.definition = &module->functions[export->index];
    return port;
  }
  const char **text = port_text(module, module->import_count + index);
  if (text && !*text) *text = export_text(unlocked(module), export);
  port.type = text && *text ? *text : lun_extern_kind_name(export->kind);
  return port;
}

/* ---- functions of a module ---- */

uint32_t lun_module_function_count(const lun_module *module) { return module->function_count; }

const lun_definition *lun_module_function(const lun_module *module, uint32_t index) {
  return index < module->function_count ? &module->functions[index] : NULL;
}

uint64_t lun_module_file_offset(const lun_module *module, uint64_t code_offset) { return module->code_start + code_offset; }

static const char *tag_name_make(lun_module *module, uint32_t index) {
  const char *name = names_tag(module, index);
  for (uint32_t i = 0; !name && i < module->export_count; i++)
    if (module->exports[i].kind == LUN_EXTERN_TAG && module->exports[i].index == index) name = module->exports[i].name;
  return name && name[0] ? name : arena_printf(&module->arena, "#%u", index);
}

const char *module_tag_name(lun_module *module, uint32_t index) {
  if (!module->tag_names) module->tag_names = arena_array(&module->arena, module->tag_count, sizeof *module->tag_names);
  if (!module->tag_names) return "#?";
  if (!module->tag_names[index]) module->tag_names[index] = tag_name_make(module, index);
  return module->tag_names[index] ? module->tag_names[index] : "#?";
}

/* ---- definitions ---- */

uint32_t lun_definition_index(const lun_definition *definition) { return definition->index; }
const lun_module *lun_definition_module(const lun_definition *definition) { return definition->module; }
const char *lun_definition_module_name(const lun_definition *definition) {
  if (definition->is_host) return definition->module_name ? definition->module_name : "";
  return definition->module ? lun_module_name(definition->module) : "";
}
const lun_signature *lun_definition_signature(const lun_definition *definition) { return &definition->type->signature; }
bool lun_definition_is_host(const lun_definition *definition) { return definition->is_host; }
bool lun_definition_is_import(const lun_definition *definition) { return definition->import && !definition->is_host; }

const char *lun_definition_import_module(const lun_definition *definition) {
  return definition->import ? definition->import->module : NULL;
}
const char *lun_definition_import_name(const lun_definition *definition) {
  return definition->import ? definition->import->name : NULL;
}

/* The exports of the function, as a range of module->function_exports. */
static uint32_t exports_begin(const lun_module *module, uint64_t function) {
  uint32_t low = 0, high = module->function_export_count;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    if (module->exports[module->function_exports[middle]].index < function) low = middle + 1;
    else high = middle;
  }
  return low;
}

uint32_t lun_definition_export_count(const lun_definition *definition) {
  const lun_module *module = definition->module;
  if (!module || (definition->is_host && !definition->import)) return 0;
  return exports_begin(module, (uint64_t)definition->index + 1) - exports_begin(module, definition->index);
}

const char *lun_definition_export(const lun_definition *definition, uint32_t index) {
  if (index >= lun_definition_export_count(definition)) return NULL;
  const lun_module *module = definition->module;
  return module->exports[module->function_exports[exports_begin(module, definition->index) + index]].name;
}

static const char *definition_name_make(const lun_definition *definition) {
  lun_module *module = definition->module;
  if (!module) return "host function";
  const char *name = names_function(module, definition->index);
  if (!name) name = lun_definition_export(definition, 0);
  if (name && name[0]) return name;
  const Import *import = definition->import;
  name = import ? arena_printf(&module->arena, "%s.%s", import->module, import->name)
                : arena_printf(&module->arena, "#%u", definition->index);
  return name ? name : "#?";
}

const char *lun_definition_raw_name(const lun_definition *definition) {
  lun_definition *writable = (lun_definition *)(uintptr_t)definition;
  if (!definition->name) writable->name = definition_name_make(definition);
  return definition->name;
}

const char *lun_definition_own_name(const lun_definition *definition) {
  if (definition->is_host) return lun_definition_raw_name(definition);
  return definition->module ? names_function(definition->module, definition->index) : NULL;
}

uint32_t lun_definition_named_locals(const lun_definition *definition) {
  return definition->is_host || !definition->module ? 0 : names_local_count(definition->module, definition->index);
}

uint64_t lun_definition_offset(const lun_definition *definition) {
  if (!definition->body) return LUN_NO_OFFSET;
  return (uint64_t)(definition->body - definition->module->bytes) - definition->module->code_start;
}

uint32_t lun_definition_size(const lun_definition *definition) { return definition->body ? definition->body_size : 0; }
