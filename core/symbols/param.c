/* SPDX-License-Identifier: MIT */
/* The names of a function's params. An entry for a param says where its value is: in a local of WebAssembly, by number, from
 * the function's start on; that tells which param it is, whatever the compiler has left out or added. Unoptimised code keeps
 * params in memory instead; there they are taken in order, if there are as many as the function has. */
#include <stdlib.h>
#include <string.h>

#include "symbols.h"

enum { PARAMS_MOST = 1000 };

/* The first place is the one at the function's start. */
static bool take_first(void *self, const Location *location) {
  *(uint32_t *)self = location->local;
  return false;
}

static uint32_t location_local(Symbols *symbols, const Unit *unit, const Value *value) {
  uint32_t local = NOWHERE;
  locations_read(symbols, unit, value, take_first, &local);
  return local;
}

const char *entry_name(Symbols *symbols, Unit *unit, const Entry *entry) {
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
