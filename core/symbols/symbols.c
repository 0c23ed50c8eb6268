/* SPDX-License-Identifier: MIT */
/* What the door tells of source files and lines. A module's symbols are made when first asked for, live in it, and are
 * freed with it. */
#include <stdlib.h>

#include "symbols.h"

static void symbols_destroy(void *of_module) {
  Symbols *symbols = of_module;
  for (Abbreviations *table = symbols->abbreviations, *next; table; table = next) {
    next = table->next;
    vec_clear(&table->entries);
    vec_clear(&table->forms);
    free(table);
  }
  for (size_t i = 0; i < symbols->units.count; i++) {
    Unit *unit = &symbols->units.items[i];
    vec_clear(&unit->scopes);
    vec_clear(&unit->stretches);
    vec_clear(&unit->lines.folders);
    vec_clear(&unit->lines.files);
    vec_clear(&unit->lines.rows);
    vec_clear(&unit->lines.sequences);
  }
  vec_clear(&symbols->units);
  vec_clear(&symbols->extents);
  arena_clear(&symbols->arena);
  free(symbols);
}

Symbols *symbols_of(const lun_module *module) {
  if (module->symbols) return module->symbols;
  Symbols *symbols = calloc(1, sizeof *symbols);
  if (!symbols) return NULL;
  sections_find(symbols, module);
  units_read(symbols);
  if (symbols->is_out_of_memory) {
    symbols_destroy(symbols);
    return NULL;
  }
  lun_module *writable = (lun_module *)(uintptr_t)module;
  writable->symbols_destroy = symbols_destroy;
  return writable->symbols = symbols;
}

/* Where the offset's row says it is. */
static void row_tell(Symbols *symbols, Unit *unit, uint32_t address, lun_place *source) {
  const Row *row = lines_read(symbols, unit) ? row_at(&unit->lines, address) : NULL;
  if (!row) return;
  source->file = file_path(symbols, unit, row->file);
  source->line = row->line;
  source->column = row->column;
}

static void scope_tell(Symbols *symbols, Unit *unit, Scope *scope, lun_place *source) {
  scope_name(symbols, unit, scope);
  source->function = scope->name;
  source->linkage_name = scope->linkage_name;
  source->is_inlined = scope->is_inlined;
}

size_t lun_module_places(const lun_module *module, uint64_t code_offset, lun_place *frames, size_t room) {
  Symbols *symbols = symbols_of(module);
  Unit *unit = symbols && code_offset < symbols->code_size ? unit_at(symbols, (uint32_t)code_offset) : NULL;
  if (!unit) return 0;
  lun_place place = { NULL, NULL, NULL, 0, 0, false };
  row_tell(symbols, unit, (uint32_t)code_offset, &place);
  uint32_t index = scopes_read(symbols, unit) ? scope_at(unit, (uint32_t)code_offset) : NO_SCOPE;
  size_t count = 0;
  while (index != NO_SCOPE) {
    Scope *scope = &unit->scopes.items[index];
    if (count < room) {
      frames[count] = place;
      scope_tell(symbols, unit, scope, &frames[count]);
    }
    count++;
    place = (lun_place){ NULL, NULL, file_path(symbols, unit, scope->call_file), scope->call_line, scope->call_column, false };
    index = scope->parent;
  }
  if (count) return count;
  if (!place.file && !place.line) return 0;
  if (room) frames[0] = place;
  return 1;
}

/* The function that an offset is in, without what was inlined there. */
static Scope *function_scope(Symbols *symbols, Unit *unit, uint32_t address) {
  uint32_t index = scopes_read(symbols, unit) ? scope_at(unit, address) : NO_SCOPE;
  while (index != NO_SCOPE && unit->scopes.items[index].parent != NO_SCOPE) index = unit->scopes.items[index].parent;
  return index == NO_SCOPE ? NULL : &unit->scopes.items[index];
}

/* The function's scope and unit; NULL: unknown. */
static Scope *definition_scope(const lun_definition *definition, Symbols **symbols, Unit **unit) {
  uint64_t offset = lun_definition_offset(definition);
  if (offset == LUN_NO_OFFSET || !(*symbols = symbols_of(definition->module))) return NULL;
  *unit = unit_at(*symbols, (uint32_t)offset);
  return *unit ? function_scope(*symbols, *unit, (uint32_t)offset) : NULL;
}

bool lun_definition_place(const lun_definition *definition, lun_place *source) {
  Symbols *symbols;
  Unit *unit;
  *source = (lun_place){ NULL, NULL, NULL, 0, 0, false };
  Scope *scope = definition_scope(definition, &symbols, &unit);
  if (!scope) return false;
  scope_tell(symbols, unit, scope, source);
  if (scope->decl_unit) source->file = file_path(symbols, scope->decl_unit, scope->decl_file);
  source->line = scope->decl_line;
  return source->file || source->function;
}

const char *lun_definition_param_name(const lun_definition *definition, uint32_t index) {
  if (index >= definition->type->signature.param_count) return NULL;
  if (definition->is_host) return definition->param_names ? definition->param_names[index] : NULL;
  if (!definition->module) return NULL;
  const char *name = names_local(definition->module, definition->index, index);
  if (name) return name;
  Symbols *symbols;
  Unit *unit;
  Scope *scope = definition_scope(definition, &symbols, &unit);
  return scope ? param_name(symbols, unit, scope, index, definition->type->signature.param_count) : NULL;
}

const char *lun_definition_local_name(const lun_definition *definition, uint32_t index) {
  if (index < definition->type->signature.param_count) return lun_definition_param_name(definition, index);
  return definition->module ? names_local(definition->module, definition->index, index) : NULL;
}

const char *lun_definition_local_name_at(const lun_definition *definition, uint32_t index, uint64_t code_offset) {
  const char *name = lun_definition_local_name(definition, index);
  if (name || definition->is_host || index < definition->type->signature.param_count) return name;
  uint64_t start = lun_definition_offset(definition);
  if (start == LUN_NO_OFFSET || code_offset < start || code_offset - start >= definition->body_size) return NULL;
  Symbols *symbols;
  Unit *unit;
  Scope *scope = definition_scope(definition, &symbols, &unit);
  return scope ? local_name(symbols, unit, scope, index, code_offset) : NULL;
}

const lun_definition *lun_module_function_at(const lun_module *module, uint64_t code_offset) {
  uint32_t low = module->imported_functions, high = module->function_count;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    const lun_definition *definition = &module->functions[middle];
    uint64_t offset = lun_definition_offset(definition);
    if (code_offset < offset) high = middle;
    else if (code_offset >= offset + definition->body_size) low = middle + 1;
    else return definition;
  }
  return NULL;
}
