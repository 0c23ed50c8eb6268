/* SPDX-License-Identifier: MIT */
/* The units of .debug_info: their headers and first entries, and which code is whose. [7.5.1] */
#include <stdlib.h>

#include "symbols.h"

enum { UNIT_COMPILE = 1, UNIT_PARTIAL = 3, UNIT_SKELETON = 4, LONG_FORMAT = 0xffffffff };

/* The header at b, which moves to the unit's end. False: nothing behind it can be found any more. *is_useful: whether it
 * may have code. */
static bool header_read(Symbols *symbols, Bytes *b, Unit *unit, bool *is_useful) {
  unit->start = (uint32_t)(b->at - b->start);
  unit->offset_size = 4;
  uint64_t size = number_read(b, 4);
  if (size == LONG_FORMAT) {
    unit->offset_size = 8;
    size = number_read(b, 8);
  }
  if (b->failure || size > bytes_left(b)) return false;
  Bytes header = *b;
  header.end = b->at += size;
  unit->end = (uint32_t)(b->at - b->start);
  unit->version = (uint16_t)number_read(&header, 2);
  uint8_t kind = unit->version >= 5 ? bytes_u8(&header) : UNIT_COMPILE;
  if (unit->version >= 5) unit->address_size = bytes_u8(&header);
  uint64_t abbreviations = number_read(&header, unit->offset_size);
  if (unit->version < 5) unit->address_size = bytes_u8(&header);
  if (kind == UNIT_SKELETON) bytes_take(&header, 8);
  unit->entries = (uint32_t)(header.at - header.start);
  *is_useful = !header.failure && unit->version >= 2 && unit->version <= 5 && pay(symbols, 16) &&
               (unit->address_size == 4 || unit->address_size == 8) &&
               (kind == UNIT_COMPILE || kind == UNIT_PARTIAL || kind == UNIT_SKELETON);
  if (*is_useful) unit->abbreviations = abbreviations_of(symbols, abbreviations);
  *is_useful = *is_useful && unit->abbreviations;
  return true;
}

static uint64_t base_of(const Value *value, uint64_t otherwise) { return value->kind ? value->number : otherwise; }

/* The unit's first entry. The bases come first: other values need them. */
static bool root_read(Symbols *symbols, Unit *unit, Entry *root) {
  Bytes b = section_bytes(symbols, DEBUG_INFO, unit->entries);
  b.end = b.start + unit->end;
  if (!entry_read(symbols, unit, &b, NULL, root) || !root->abbreviation) return false;
  const Value *values = root->values;
  /* Behind the first table's header. */
  uint64_t header = unit->version < 5 ? 0 : unit->offset_size == 8 ? 16 : 8;
  unit->text_base = base_of(&values[AT_TEXT_BASE], header);
  unit->address_base = base_of(&values[AT_ADDRESS_BASE], header);
  unit->ranges_base = base_of(&values[AT_RANGES_BASE], unit->offset_size == 8 ? 20 : 12);
  unit->locations_base = base_of(&values[AT_LOCATIONS_BASE], unit->offset_size == 8 ? 20 : 12);
  unit->folder = value_text(symbols, unit, &values[AT_FOLDER]);
  unit->has_lines = values[AT_LINES].kind == VALUE_OFFSET || values[AT_LINES].kind == VALUE_NUMBER;
  unit->lines_offset = values[AT_LINES].number;
  if (!value_address(symbols, unit, &values[AT_LOW], &unit->base)) unit->base = 0;
  return true;
}

/* The code of each unit, in order; where two claim the same, the first has it. */
static bool extents_make(Symbols *symbols, Spans *spans) {
  spans_sort(spans);
  uint32_t end = 0;
  for (size_t i = 0; i < spans->spans.count; i++) {
    Extent extent = { spans->spans.items[i].low, spans->spans.items[i].high, spans->spans.items[i].owner };
    if (extent.low < end) extent.low = end;
    if (extent.low >= extent.high) continue;
    end = extent.high;
    if (!vec_push(&symbols->extents, extent)) return symbols->is_out_of_memory = true, false;
  }
  return true;
}

void units_read(Symbols *symbols) {
  Bytes b = section_bytes(symbols, DEBUG_INFO, 0);
  Spans spans = { .spans.count = 0 };
  while (bytes_left(&b) && !symbols->is_out_of_memory) {
    Unit unit = { .start = 0 };
    Entry root;
    bool is_useful;
    if (!header_read(symbols, &b, &unit, &is_useful)) break;
    if (!is_useful || !root_read(symbols, &unit, &root)) continue;
    if (!spans_add(symbols, &unit, &root, (uint32_t)symbols->units.count, &spans) && symbols->is_out_of_memory) break;
    if (!vec_push(&symbols->units, unit)) symbols->is_out_of_memory = true;
  }
  if (!symbols->is_out_of_memory) extents_make(symbols, &spans);
  vec_clear(&spans.spans);
}

Unit *unit_at(Symbols *symbols, uint32_t address) {
  size_t low = 0, high = symbols->extents.count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    const Extent *extent = &symbols->extents.items[middle];
    if (address < extent->low) high = middle;
    else if (address >= extent->high) low = middle + 1;
    else return &symbols->units.items[extent->unit];
  }
  return NULL;
}

Unit *unit_holding(Symbols *symbols, uint64_t offset) {
  size_t low = 0, high = symbols->units.count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    Unit *unit = &symbols->units.items[middle];
    if (offset < unit->entries) high = middle;
    else if (offset >= unit->end) low = middle + 1;
    else return unit;
  }
  return NULL;
}
