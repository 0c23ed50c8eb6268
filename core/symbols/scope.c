/* SPDX-License-Identifier: MIT */
/* The functions of a unit and what was inlined into them. A walk over all its entries notes those that have code; of
 * stretches of code that lie inside one another the innermost counts, so that an offset leads to its scope by bisection.
 *
 *     f      ├──────────────────┤          f  g  h  g  f
 *     g         ├─────────┤         →     ├──┼──┼──┼──┼──┤
 *     h            ├──┤ */
#include <stdlib.h>

#include "symbols.h"

enum { HOPS_MOST = 16 };  /* from an inlined copy to what it is a copy of, and on to its declaration */

static bool is_function(uint16_t tag) { return tag == TAG_SUBPROGRAM || tag == TAG_INLINED; }

static uint32_t number_of(const Value *value) {
  if (value->kind != VALUE_NUMBER) return 0;
  return value->number > UINT32_MAX ? UINT32_MAX : (uint32_t)value->number;
}

static bool scope_add(Symbols *symbols, Unit *unit, const Entry *entry, uint32_t parent, Spans *spans) {
  bool is_inlined = entry->abbreviation->tag == TAG_INLINED && parent != NO_SCOPE;
  Scope scope = { .entry = entry->offset, .parent = is_inlined ? parent : NO_SCOPE, .is_inlined = is_inlined };
  scope.call_file = number_of(&entry->values[AT_CALL_FILE]);
  scope.call_line = number_of(&entry->values[AT_CALL_LINE]);
  scope.call_column = number_of(&entry->values[AT_CALL_COLUMN]);
  if (!spans_add(symbols, unit, entry, (uint32_t)unit->scopes.count, spans) && symbols->is_out_of_memory) return false;
  if (!vec_push(&unit->scopes, scope)) return symbols->is_out_of_memory = true, false;
  return true;
}

typedef struct Outer { VEC(uint32_t) scopes; } Outer;  /* the scope around the children of each open entry */

/* What cannot be read ends the walk: what was found before it stays. */
static bool entries_walk(Symbols *symbols, Unit *unit, Outer *outer, Spans *spans) {
  Bytes b = section_bytes(symbols, DEBUG_INFO, unit->entries);
  b.end = b.start + unit->end;
  Entry entry;
  do {
    if (!entry_read(symbols, unit, &b, is_function, &entry)) return true;
    if (!entry.abbreviation) {
      if (outer->scopes.count) outer->scopes.count--;
      continue;
    }
    uint32_t around = outer->scopes.count ? outer->scopes.items[outer->scopes.count - 1] : NO_SCOPE;
    if (is_function(entry.abbreviation->tag)) {
      uint32_t index = (uint32_t)unit->scopes.count;
      if (!scope_add(symbols, unit, &entry, around, spans)) return false;
      around = index;
    }
    if (entry.abbreviation->has_children && !vec_push(&outer->scopes, around)) return symbols->is_out_of_memory = true, false;
  } while (outer->scopes.count);
  return true;
}

static bool stretch_push(Symbols *symbols, Unit *unit, uint32_t low, uint32_t scope) {
  Stretch stretch = { low, scope };
  size_t count = unit->stretches.count;
  if (count && unit->stretches.items[count - 1].low == low) return unit->stretches.items[count - 1].scope = scope, true;
  if (!vec_push(&unit->stretches, stretch)) return symbols->is_out_of_memory = true, false;
  return true;
}

/* Closes open spans that end at or before `low`, innermost first. */
static bool spans_close(Symbols *symbols, Unit *unit, const Spans *spans, Outer *open, uint32_t low, uint32_t *at) {
  while (open->scopes.count) {
    const Span *top = &spans->spans.items[open->scopes.items[open->scopes.count - 1]];
    if (top->high > low) break;
    open->scopes.count--;
    if (top->high < *at) continue;
    *at = top->high;
    uint32_t below = open->scopes.count ? spans->spans.items[open->scopes.items[open->scopes.count - 1]].owner : NO_SCOPE;
    if (!stretch_push(symbols, unit, *at, below)) return false;
  }
  return true;
}

static bool stretches_make(Symbols *symbols, Unit *unit, Spans *spans, Outer *open) {
  uint32_t at = 0;
  spans_sort(spans);
  open->scopes.count = 0;
  for (size_t i = 0; i < spans->spans.count; i++) {
    const Span *span = &spans->spans.items[i];
    if (!spans_close(symbols, unit, spans, open, span->low, &at)) return false;
    at = span->low;
    if (!stretch_push(symbols, unit, at, span->owner)) return false;
    if (!vec_push(&open->scopes, (uint32_t)i)) return symbols->is_out_of_memory = true, false;
  }
  return spans_close(symbols, unit, spans, open, UINT32_MAX, &at);
}

bool scopes_read(Symbols *symbols, Unit *unit) {
  if (unit->scopes_state != UNIT_UNREAD) return unit->scopes_state == UNIT_READ;
  Spans spans = { .spans.count = 0 };
  Outer outer = { .scopes.count = 0 };
  symbols->is_out_of_memory = false;
  bool done = entries_walk(symbols, unit, &outer, &spans) && stretches_make(symbols, unit, &spans, &outer);
  vec_clear(&spans.spans);
  vec_clear(&outer.scopes);
  if (!done) {  /* out of memory: there may be some the next time */
    vec_clear(&unit->scopes);
    vec_clear(&unit->stretches);
    return false;
  }
  unit->scopes_state = UNIT_READ;
  return true;
}

uint32_t scope_at(const Unit *unit, uint32_t address) {
  size_t low = 0, high = unit->stretches.count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (unit->stretches.items[middle].low <= address) low = middle + 1;
    else high = middle;
  }
  return low ? unit->stretches.items[low - 1].scope : NO_SCOPE;
}

/* What an entry lacks, the one that it refers to may have. */
void scope_name(Symbols *symbols, Unit *unit, Scope *scope) {
  if (scope->is_named) return;
  scope->is_named = true;
  uint64_t offset = scope->entry;
  for (int hop = 0; hop < HOPS_MOST; hop++) {
    Entry entry;
    if (!entry_at(symbols, offset, &unit, &entry)) return;
    const Value *values = entry.values;
    if (!scope->name) scope->name = value_text(symbols, unit, &values[AT_NAME]);
    if (!scope->linkage_name) scope->linkage_name = value_text(symbols, unit, &values[AT_LINKAGE_NAME]);
    if (!scope->decl_line) scope->decl_line = number_of(&values[AT_DECL_LINE]);
    if (!scope->decl_unit && values[AT_DECL_FILE].kind == VALUE_NUMBER) {
      scope->decl_file = number_of(&values[AT_DECL_FILE]);
      scope->decl_unit = unit;
    }
    const Value *next = values[AT_ORIGIN].kind ? &values[AT_ORIGIN] : &values[AT_SPECIFICATION];
    if (next->kind != VALUE_REFERENCE) return;
    offset = next->number;
  }
}
