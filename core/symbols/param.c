/* SPDX-License-Identifier: MIT */
/* The names of a function's params. An entry for a param says where its value is: in a local of WebAssembly, by number, from
 * the function's start on; that tells which param it is, whatever the compiler has left out or added. Unoptimised code keeps
 * params in memory instead; there they are taken in order, if there are as many as the function has. */
#include <stdlib.h>
#include <string.h>

#include "symbols.h"

enum { OP_WASM_LOCATION = 0xed, KIND_LOCAL = 0, NOWHERE = UINT32_MAX, PARAMS_MOST = 1000 };

/* The local that an expression names, or NOWHERE. */
static uint32_t expression_local(const uint8_t *bytes, uint64_t size) {
  Bytes b = bytes_of(bytes, (size_t)size);
  if (bytes_u8(&b) != OP_WASM_LOCATION || uleb_read(&b) != KIND_LOCAL) return NOWHERE;
  uint64_t local = uleb_read(&b);
  return b.failure || local >= NOWHERE ? NOWHERE : (uint32_t)local;
}

static uint32_t block_local(Bytes *b, uint64_t size) {
  const uint8_t *bytes = size <= bytes_left(b) ? bytes_take(b, (size_t)size) : NULL;
  return bytes ? expression_local(bytes, size) : NOWHERE;
}

/* The first place of a list before DWARF 5. */
static uint32_t old_list_local(const Symbols *symbols, const Unit *unit, uint64_t offset) {
  Bytes b = section_bytes(symbols, DEBUG_LOC, offset);
  uint64_t highest = unit->address_size == 4 ? UINT32_MAX : UINT64_MAX;
  uint64_t low = number_read(&b, unit->address_size), high = number_read(&b, unit->address_size);
  if (low == highest) low = number_read(&b, unit->address_size), high = number_read(&b, unit->address_size);
  if (b.failure || (!low && !high)) return NOWHERE;
  return block_local(&b, number_read(&b, 2));
}

/* The first place of a list of DWARF 5 [7.7.3]. */
static uint32_t list_local(const Unit *unit, Bytes *b) {
  for (;;) {
    switch (bytes_u8(b)) {
      case 1: uleb_read(b); break;                               /* a base, and on */
      case 6: number_read(b, unit->address_size); break;
      case 2: case 3: case 4: uleb_read(b), uleb_read(b); return block_local(b, uleb_read(b));
      case 5: return block_local(b, uleb_read(b));
      case 7: bytes_take(b, 2u * unit->address_size); return block_local(b, uleb_read(b));
      case 8: number_read(b, unit->address_size), uleb_read(b); return block_local(b, uleb_read(b));
      default: return NOWHERE;
    }
    if (b->failure) return NOWHERE;
  }
}

static uint32_t location_local(const Symbols *symbols, const Unit *unit, const Value *value) {
  uint64_t offset = value->number;
  if (value->kind == VALUE_BLOCK) return expression_local(value->bytes, value->number);
  if (value->kind == VALUE_LIST_INDEX) {
    Bytes table = section_bytes(symbols, DEBUG_LOCLISTS, unit->locations_base);
    if (offset > bytes_left(&table) || !bytes_take(&table, (size_t)offset * unit->offset_size)) return NOWHERE;
    offset = unit->locations_base + number_read(&table, unit->offset_size);
    if (table.failure) return NOWHERE;
  } else if (value->kind != VALUE_OFFSET && !(value->kind == VALUE_NUMBER && unit->version < 4)) {
    return NOWHERE;
  }
  if (unit->version < 5) return old_list_local(symbols, unit, offset);
  Bytes b = section_bytes(symbols, DEBUG_LOCLISTS, offset);
  return list_local(unit, &b);
}

/* Its own name, or that of what it is a copy of. */
static const char *entry_name(Symbols *symbols, Unit *unit, const Entry *entry) {
  const char *name = value_text(symbols, unit, &entry->values[AT_NAME]);
  const Value *origin = &entry->values[AT_ORIGIN];
  Entry original;
  if (name || origin->kind != VALUE_REFERENCE || !entry_at(symbols, origin->number, &unit, &original)) return name;
  return value_text(symbols, unit, &original.values[AT_NAME]);
}

static bool is_param(uint16_t tag) { return tag == TAG_PARAM; }

typedef struct Params {
  const char **by_local, **in_order;
  uint32_t count, seen;
} Params;

static void param_take(Symbols *symbols, Unit *unit, const Entry *entry, Params *params) {
  const char *name = entry_name(symbols, unit, entry);
  uint32_t local = location_local(symbols, unit, &entry->values[AT_LOCATION]);
  if (local < params->count && !params->by_local[local]) params->by_local[local] = name;
  /* In a local that is no param it is a copy, and tells nothing. */
  if (params->seen < params->count) params->in_order[params->seen] = local == NOWHERE ? name : NULL;
  params->seen++;
}

/* The params among the children of the function's entry. */
static void children_walk(Symbols *symbols, Unit *unit, const Scope *scope, Params *params) {
  Bytes b = section_bytes(symbols, DEBUG_INFO, scope->entry);
  b.end = b.start + unit->end;
  Entry entry;
  uint64_t depth = 0;
  do {
    if (!entry_read(symbols, unit, &b, is_param, &entry)) return;
    if (!entry.abbreviation) {
      depth--;
      continue;
    }
    if (depth == 1 && entry.abbreviation->tag == TAG_PARAM) param_take(symbols, unit, &entry, params);
    depth += entry.abbreviation->has_children;
  } while (depth > 0);
}

static void params_read(Symbols *symbols, Unit *unit, Scope *scope, uint32_t count) {
  const char *in_order[PARAMS_MOST] = { NULL };
  Params params = { arena_array(&symbols->arena, count, sizeof *params.by_local), in_order, count, 0 };
  if (!params.by_local) return;
  children_walk(symbols, unit, scope, &params);
  for (uint32_t i = 0; params.seen == count && i < count; i++) {
    if (!params.by_local[i]) params.by_local[i] = in_order[i];
  }
  scope->params = params.by_local;
  scope->param_count = count;
}

const char *param_name(Symbols *symbols, Unit *unit, Scope *scope, uint32_t index, uint32_t count) {
  if (!scope->params && count <= PARAMS_MOST) params_read(symbols, unit, scope, count);
  return scope->params && index < scope->param_count ? scope->params[index] : NULL;
}
