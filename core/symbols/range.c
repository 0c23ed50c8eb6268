/* SPDX-License-Identifier: MIT */
/* Which code an entry covers: one stretch, or a list of them (before DWARF 5 in .debug_ranges, [7.25] since). What the
 * linker has thrown away lies at address 0 or beyond the code, and is passed over. */
#include <stdlib.h>

#include "symbols.h"

static bool span_push(Symbols *symbols, Spans *spans, uint64_t low, uint64_t high, uint32_t owner) {
  if (low == 0 || low >= high || high > symbols->code_size) return true;
  Span span = { (uint32_t)low, (uint32_t)high, owner };
  if (!vec_push(&spans->spans, span)) return symbols->is_out_of_memory = true, false;
  return true;
}

typedef struct Reading {
  Symbols *symbols;
  const Unit *unit;
  Spans *spans;
  uint32_t owner;
  uint64_t base;
} Reading;

/* Pairs of addresses from the base; (0, 0) ends, (the highest, x) makes x the base. */
static bool pairs_read(Reading *r, Bytes *b) {
  unsigned size = r->unit->address_size;
  uint64_t highest = size == 4 ? UINT32_MAX : UINT64_MAX;
  for (;;) {
    uint64_t low = number_read(b, size), high = number_read(b, size);
    if (b->failure || !pay(r->symbols, 1)) return false;
    if (!low && !high) return true;
    if (low == highest) r->base = high;
    /* The linker marks what it dropped by the second highest address. */
    else if (low != highest - 1 && !span_push(r->symbols, r->spans, r->base + low, r->base + high, r->owner)) return false;
  }
}

static bool indexed(Reading *r, Bytes *b, uint64_t *address) {
  Value value = { VALUE_ADDRESS_INDEX, uleb_read(b), NULL };
  return value_address(r->symbols, r->unit, &value, address);
}

/* One entry of a list of DWARF 5. 1: there are more, 0: it was the last, -1: broken. */
static int item_read(Reading *r, Bytes *b) {
  unsigned size = r->unit->address_size;
  uint64_t low = 0, high = 0;
  switch (bytes_u8(b)) {
    case 0: return b->failure ? -1 : 0;
    case 1: return indexed(r, b, &r->base) ? 1 : -1;
    case 2:
      if (!indexed(r, b, &low) || !indexed(r, b, &high)) return -1;
      break;
    case 3:
      if (!indexed(r, b, &low)) return -1;
      high = low + uleb_read(b);
      break;
    case 4:
      low = r->base + uleb_read(b);
      high = r->base + uleb_read(b);
      break;
    case 5:
      r->base = number_read(b, size);
      return b->failure ? -1 : 1;
    case 6:
      low = number_read(b, size);
      high = number_read(b, size);
      break;
    case 7:
      low = number_read(b, size);
      high = low + uleb_read(b);
      break;
    default: return -1;
  }
  if (b->failure) return -1;
  return span_push(r->symbols, r->spans, low, high, r->owner) ? 1 : -1;
}

static bool list_read(Reading *r, Bytes *b) {
  int more;
  do {
    if (!pay(r->symbols, 1)) return false;
    more = item_read(r, b);
  } while (more > 0);
  return more == 0;
}

/* Where the list is that a value names; false: nowhere. */
static bool list_offset(const Symbols *symbols, const Unit *unit, const Value *value, uint64_t *offset) {
  *offset = value->number;
  if (value->kind == VALUE_OFFSET || (value->kind == VALUE_NUMBER && unit->version < 4)) return true;
  if (value->kind != VALUE_LIST_INDEX || value->number > symbols->sections[DEBUG_RNGLISTS].size) return false;
  Bytes b = section_bytes(symbols, DEBUG_RNGLISTS, unit->ranges_base);
  if (value->number * unit->offset_size > bytes_left(&b)) return false;
  bytes_take(&b, (size_t)value->number * unit->offset_size);
  *offset = unit->ranges_base + number_read(&b, unit->offset_size);
  return !b.failure;
}

bool spans_add(Symbols *symbols, const Unit *unit, const Entry *entry, uint32_t owner, Spans *spans) {
  const Value *high = &entry->values[AT_HIGH];
  uint64_t low, end;
  if (value_address(symbols, unit, &entry->values[AT_LOW], &low) && high->kind) {
    if (high->kind == VALUE_NUMBER) end = low + high->number;
    else if (!value_address(symbols, unit, high, &end)) return false;
    return span_push(symbols, spans, low, end, owner);
  }
  if (!entry->values[AT_RANGES].kind) return true;
  if (!list_offset(symbols, unit, &entry->values[AT_RANGES], &low)) return false;
  Reading r = { symbols, unit, spans, owner, unit->base };
  Bytes b = section_bytes(symbols, unit->version < 5 ? DEBUG_RANGES : DEBUG_RNGLISTS, low);
  return unit->version < 5 ? pairs_read(&r, &b) : list_read(&r, &b);
}

static int compare(const void *one, const void *other) {
  const Span *a = one, *b = other;
  if (a->low != b->low) return a->low < b->low ? -1 : 1;
  if (a->high != b->high) return a->high > b->high ? -1 : 1;
  return a->owner < b->owner ? -1 : a->owner > b->owner;
}

void spans_sort(Spans *spans) {
  if (spans->spans.count > 1) qsort(spans->spans.items, spans->spans.count, sizeof *spans->spans.items, compare);
}
