/* SPDX-License-Identifier: MIT */
/* The variables in a function's locals. A compiler that optimises gives a local of WebAssembly to one variable here and to
 * another there, and says so by stretches of code: which one is in it depends on where the function stands. What was inlined
 * has variables, too. Those that are in memory, as all are in unoptimised code, are in no local. */
#include <stdlib.h>
#include <string.h>

#include "symbols.h"

enum { TAG_VARIABLE = 0x34, OUTER_MOST = 1000 };

/* The function's entries being walked over. */
typedef struct Walk {
  Symbols *symbols;
  Unit *unit;
  Spans spans;               /* the code of the entries around the one at hand, the outermost first */
  VEC(size_t) outer;         /* for each of those where its own begins */
  VEC(Variable) variables;
  uint32_t entry;            /* whose locations are being read */
  bool failed;               /* out of memory */
} Walk;

static bool variable_push(Walk *walk, uint64_t low, uint64_t high, uint32_t local) {
  Variable variable = { local, (uint32_t)walk->variables.count, low, high, walk->entry, false, NULL };
  if (!pay(walk->symbols, 1)) return false;
  if (vec_push(&walk->variables, variable)) return true;
  return !(walk->failed = true);
}

/* What holds everywhere holds in the scope around it. */
static bool take(void *self, const Location *location) {
  Walk *walk = self;
  if (!location->is_value) return true;
  if (location->high != UINT64_MAX) return variable_push(walk, location->low, location->high, location->local);
  for (size_t i = walk->outer.items[walk->outer.count - 1]; i < walk->spans.spans.count; i++) {
    const Span *span = &walk->spans.spans.items[i];
    if (!variable_push(walk, span->low, span->high, location->local)) return false;
  }
  return true;
}

static bool is_wanted(uint16_t tag) {
  return tag == TAG_VARIABLE || tag == TAG_PARAM || tag == TAG_BLOCK || tag == TAG_INLINED || tag == TAG_SUBPROGRAM;
}

/* Its children are next. One without code of its own has that of the one around it, if it is no function. */
static bool enter(Walk *walk, const Entry *entry) {
  size_t first = walk->spans.spans.count;
  bool has_code = is_wanted(entry->abbreviation->tag) && spans_add(walk->symbols, walk->unit, entry, 0, &walk->spans);
  if (walk->symbols->is_out_of_memory) return !(walk->failed = true);
  bool is_function = entry->abbreviation->tag == TAG_SUBPROGRAM;
  if ((!has_code || walk->spans.spans.count == first) && walk->outer.count && !is_function) {
    walk->spans.spans.count = first;
    first = walk->outer.items[walk->outer.count - 1];
  }
  if (walk->outer.count >= OUTER_MOST) return false;
  if (!vec_push(&walk->outer, first)) return !(walk->failed = true);
  return true;
}

static void leave(Walk *walk) {
  size_t first = walk->outer.items[--walk->outer.count];
  if (!walk->outer.count || walk->outer.items[walk->outer.count - 1] != first) walk->spans.spans.count = first;
}

static void entries_walk(Walk *walk, uint32_t from) {
  Bytes b = section_bytes(walk->symbols, DEBUG_INFO, from);
  b.end = b.start + walk->unit->end;
  Entry entry;
  do {
    if (!entry_read(walk->symbols, walk->unit, &b, is_wanted, &entry)) return;
    if (!entry.abbreviation) {
      if (walk->outer.count) leave(walk);
      continue;
    }
    uint16_t tag = entry.abbreviation->tag;
    if ((tag == TAG_VARIABLE || tag == TAG_PARAM) && walk->outer.count) {
      walk->entry = entry.offset;
      locations_read(walk->symbols, walk->unit, &entry.values[AT_LOCATION], take, walk);
    }
    if (walk->failed || (entry.abbreviation->has_children && !enter(walk, &entry))) return;
  } while (walk->outer.count);
}

static int compare(const void *one, const void *other) {
  const Variable *a = one, *b = other;
  if (a->local != b->local) return a->local < b->local ? -1 : 1;
  return a->order < b->order ? -1 : a->order > b->order;
}

static void variables_read(Symbols *symbols, Unit *unit, Scope *scope) {
  Walk walk = { .symbols = symbols, .unit = unit };
  symbols->is_out_of_memory = false;
  entries_walk(&walk, scope->entry);
  size_t count = walk.variables.count;
  Variable *kept = walk.failed ? NULL : arena_array(&symbols->arena, count + 1, sizeof *kept);
  if (kept) {
    if (count) memcpy(kept, walk.variables.items, count * sizeof *kept);
    if (count > 1) qsort(kept, count, sizeof *kept, compare);
    scope->variables = kept;
    scope->variable_count = count;
  }
  vec_clear(&walk.variables), vec_clear(&walk.outer), vec_clear(&walk.spans.spans);
}

static const char *variable_name(Symbols *symbols, Variable *variable) {
  Unit *unit;
  Entry entry;
  if (!variable->is_named && entry_at(symbols, variable->entry, &unit, &entry))
    variable->name = entry_name(symbols, unit, &entry);
  variable->is_named = true;
  return variable->name;
}

const char *local_name(Symbols *symbols, Unit *unit, Scope *scope, uint32_t local, uint64_t address) {
  if (!scope->variables) variables_read(symbols, unit, scope);
  Variable *all = scope->variables;
  size_t low = 0, high = all ? scope->variable_count : 0;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (all[middle].local < local) low = middle + 1;
    else high = middle;
  }
  const char *name = NULL;
  for (; !name && all && low < scope->variable_count && all[low].local == local; low++)
    if (address >= all[low].low && address < all[low].high) name = variable_name(symbols, &all[low]);
  return name;
}
