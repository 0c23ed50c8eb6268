/* SPDX-License-Identifier: MIT */
/* Where variables are: an expression that holds for all of their scope, or a list of stretches of code, each with one of its
 * own ([2.6], before DWARF 5 in .debug_loc, since in .debug_loclists [7.7.3]). Of expressions those count that begin with a
 * local of WebAssembly. */
#include "symbols.h"

enum { OP_STACK_VALUE = 0x9f, OP_WASM_LOCATION = 0xed, KIND_LOCAL = 0 };

/* Takes the rest of b. DWARF 4 was the first to have a word for "this is the value itself". */
static Location expression_read(const Unit *unit, Bytes *b) {
  Location location = { 0, UINT64_MAX, NOWHERE, false };
  if (bytes_u8(b) != OP_WASM_LOCATION || uleb_read(b) != KIND_LOCAL) return location;
  uint64_t local = uleb_read(b);
  if (b->failure || local >= NOWHERE) return location;
  location.local = (uint32_t)local;
  size_t more = bytes_left(b);
  location.is_value = (more == 1 && bytes_u8(b) == OP_STACK_VALUE) || (more == 0 && unit->version < 4);
  return location;
}

static Location block_read(const Unit *unit, Bytes *b, uint64_t size) {
  const uint8_t *bytes = size <= bytes_left(b) ? bytes_take(b, (size_t)size) : NULL;
  Bytes block = bytes_of(bytes, bytes ? (size_t)size : 0);
  if (!bytes) bytes_fail(b, "an expression is cut short");
  return expression_read(unit, &block);
}

/* ---- lists ---- */
/* A list that is being read. */
typedef struct Reading {
  Symbols *symbols;
  const Unit *unit;
  Bytes *b;
  uint64_t base;
  LocationTake take;
  void *self;
} Reading;

static bool give(const Reading *r, uint64_t low, uint64_t high, uint64_t size) {
  Location location = block_read(r->unit, r->b, size);
  location.low = low;
  location.high = high;
  return !r->b->failure && r->take(r->self, &location);
}

/* Pairs of addresses from the base, each with an expression; (0, 0) ends, (the highest, x) makes x the base. */
static void old_list_read(Reading *r) {
  unsigned size = r->unit->address_size;
  uint64_t highest = size == 4 ? UINT32_MAX : UINT64_MAX;
  while (pay(r->symbols, 1)) {
    uint64_t low = number_read(r->b, size), high = number_read(r->b, size);
    if (r->b->failure || (!low && !high)) return;
    if (low == highest) r->base = high;
    else if (!give(r, r->base + low, r->base + high, number_read(r->b, 2))) return;
  }
}

static bool indexed(const Reading *r, uint64_t *address) {
  Value value = { VALUE_ADDRESS_INDEX, uleb_read(r->b), NULL };
  return value_address(r->symbols, r->unit, &value, address);
}

/* False: it was the last, or it is broken. */
static bool item_read(Reading *r) {
  unsigned size = r->unit->address_size;
  uint64_t low = 0, high = UINT64_MAX;
  switch (bytes_u8(r->b)) {
    case 1: return indexed(r, &r->base);
    case 2:
      if (!indexed(r, &low) || !indexed(r, &high)) return false;
      break;
    case 3:
      if (!indexed(r, &low)) return false;
      high = low + uleb_read(r->b);
      break;
    case 4:
      low = r->base + uleb_read(r->b);
      high = r->base + uleb_read(r->b);
      break;
    case 5: break; /* wherever the others do not hold */
    case 6:
      r->base = number_read(r->b, size);
      return !r->b->failure;
    case 7:
      low = number_read(r->b, size);
      high = number_read(r->b, size);
      break;
    case 8:
      low = number_read(r->b, size);
      high = low + uleb_read(r->b);
      break;
    default: return false;
  }
  return !r->b->failure && give(r, low, high, uleb_read(r->b));
}

static bool list_offset(const Symbols *symbols, const Unit *unit, const Value *value, uint64_t *offset) {
  *offset = value->number;
  if (value->kind == VALUE_OFFSET || (value->kind == VALUE_NUMBER && unit->version < 4)) return true;
  if (value->kind != VALUE_LIST_INDEX) return false;
  Bytes table = section_bytes(symbols, DEBUG_LOCLISTS, unit->locations_base);
  if (*offset > bytes_left(&table) / unit->offset_size) return false;
  bytes_take(&table, (size_t)*offset * unit->offset_size);
  *offset = unit->locations_base + number_read(&table, unit->offset_size);
  return !table.failure;
}

void locations_read(Symbols *symbols, const Unit *unit, const Value *value, LocationTake take, void *self) {
  uint64_t offset;
  if (value->kind == VALUE_BLOCK) {
    Bytes b = bytes_of(value->bytes, (size_t)value->number);
    Location location = expression_read(unit, &b);
    take(self, &location);
    return;
  }
  if (!list_offset(symbols, unit, value, &offset)) return;
  Bytes b = section_bytes(symbols, unit->version < 5 ? DEBUG_LOC : DEBUG_LOCLISTS, offset);
  Reading r = { symbols, unit, &b, unit->base, take, self };
  if (unit->version < 5) old_list_read(&r);
  else
    while (pay(symbols, 1) && item_read(&r)) continue;
}
