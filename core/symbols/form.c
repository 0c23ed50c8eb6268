/* SPDX-License-Identifier: MIT */
/* The entries of .debug_info, and the values of their attributes: [7.5]. An entry says by number which abbreviation it
 * follows; that gives its tag, the names of its attributes, and the form that each value has. */
#include <stdlib.h>
#include <string.h>

#include "symbols.h"

enum { FORMS_MOST = 1000, INDIRECT = 0x16, IMPLICIT = 0x21 };

uint64_t number_read(Bytes *b, unsigned size) {
  const uint8_t *bytes = bytes_take(b, size);
  uint64_t number = 0;
  for (unsigned i = 0; bytes && i < size; i++) number |= (uint64_t)bytes[i] << 8 * i;
  return number;
}

uint64_t uleb_read(Bytes *b) {
  uint64_t number = 0;
  unsigned shift = 0;
  uint8_t byte;
  do {
    byte = bytes_u8(b);
    if (shift < 64) number |= (uint64_t)(byte & 0x7f) << shift;
    shift += shift < 64 ? 7 : 0;
  } while (byte & 0x80);
  return number;
}

int64_t sleb_read(Bytes *b) {
  uint64_t number = 0;
  unsigned shift = 0;
  uint8_t byte;
  do {
    byte = bytes_u8(b);
    if (shift < 64) number |= (uint64_t)(byte & 0x7f) << shift;
    shift += shift < 64 ? 7 : 0;
  } while (byte & 0x80);
  if (shift < 64 && byte & 0x40) number |= UINT64_MAX << shift;
  return (int64_t)number;
}

/* ---- abbreviations ---- */

static bool forms_read(Symbols *symbols, Bytes *b, Abbreviations *table, Abbreviation *entry) {
  entry->first = (uint32_t)table->forms.count;
  for (;;) {
    AttributeForm form = { .name = 0 };
    uint64_t name = uleb_read(b), number = uleb_read(b);
    if (number == IMPLICIT) form.constant = sleb_read(b);
    if (b->failure || !pay(symbols, 1)) return false;
    if (!name && !number) break;
    form.name = name < 0x10000 ? (uint16_t)name : 0;
    form.form = number < 0x10000 ? (uint16_t)number : 0;
    if (++entry->count > FORMS_MOST) return false;
    if (!vec_push(&table->forms, form)) return symbols->is_out_of_memory = true, false;
  }
  return true;
}

/* A table that breaks off is used as far as it goes. */
static bool table_read(Symbols *symbols, Bytes *b, Abbreviations *table) {
  for (;;) {
    Abbreviation entry = { .code = uleb_read(b) };
    if (b->failure || !entry.code) return true;
    uint64_t tag = uleb_read(b);
    entry.tag = tag < 0x10000 ? (uint16_t)tag : 0;
    entry.has_children = bytes_u8(b) != 0;
    if (!forms_read(symbols, b, table, &entry)) return !symbols->is_out_of_memory;
    if (!vec_push(&table->entries, entry)) return symbols->is_out_of_memory = true, false;
  }
}

const Abbreviations *abbreviations_of(Symbols *symbols, uint64_t offset) {
  for (Abbreviations *table = symbols->abbreviations; table; table = table->next) {
    if (table->offset == offset) return table;
    if (!pay(symbols, 1)) return NULL;
  }
  Bytes b = section_bytes(symbols, DEBUG_ABBREV, offset);
  if (b.failure) return NULL;
  Abbreviations *table = calloc(1, sizeof *table);
  if (!table) return symbols->is_out_of_memory = true, NULL;
  table->offset = offset;
  table->next = symbols->abbreviations;
  symbols->abbreviations = table;
  return table_read(symbols, &b, table) ? table : NULL;
}

static const Abbreviation *abbreviation_find(Symbols *symbols, const Abbreviations *table, uint64_t code) {
  const Abbreviation *entries = table->entries.items;
  size_t count = table->entries.count;
  if (code - 1 < count && entries[code - 1].code == code) return &entries[code - 1];
  for (size_t i = 0; i < count; i++) {
    if (entries[i].code == code) return pay(symbols, i) ? &entries[i] : NULL;
  }
  return pay(symbols, count), NULL;
}

/* ---- values ---- */

static void block_read(Bytes *b, uint64_t size, Value *value) {
  value->kind = VALUE_BLOCK;
  value->number = size;
  if (size > bytes_left(b)) bytes_fail(b, "a block is cut short");
  value->bytes = bytes_take(b, (size_t)size);
}

static void text_read(Bytes *b, Value *value) {
  const uint8_t *end = bytes_left(b) ? memchr(b->at, 0, bytes_left(b)) : NULL;
  if (!end) {
    bytes_fail(b, "a text has no end");
    return;
  }
  value->kind = VALUE_TEXT;
  value->bytes = b->at;
  value->number = (uint64_t)(end - b->at);
  b->at = end + 1;
}

static void fixed(Bytes *b, Value *value, ValueKind kind, unsigned size) {
  value->kind = kind;
  value->number = number_read(b, size);
}

static void leb(Bytes *b, Value *value, ValueKind kind) {
  value->kind = kind;
  value->number = uleb_read(b);
}

static void reference(const Unit *unit, Value *value) {
  value->kind = VALUE_REFERENCE;
  value->number += unit->start;
}

/* Of the forms with a size of their own: what they are, and how many bytes they take; 0: another form. */
static unsigned fixed_form(const Unit *unit, uint16_t form, ValueKind *kind) {
  switch (form) {
    case 0x01: return *kind = VALUE_ADDRESS, unit->address_size;
    case 0x0b: case 0x0c: return *kind = VALUE_NUMBER, 1;
    case 0x05: return *kind = VALUE_NUMBER, 2;
    case 0x06: return *kind = VALUE_NUMBER, 4;
    case 0x07: return *kind = VALUE_NUMBER, 8;
    case 0x0e: return *kind = VALUE_TEXT_OFFSET, unit->offset_size;
    case 0x1f: return *kind = VALUE_LINE_TEXT_OFFSET, unit->offset_size;
    case 0x10: return *kind = VALUE_REFERENCE, unit->version < 3 ? unit->address_size : unit->offset_size;
    case 0x17: return *kind = VALUE_OFFSET, unit->offset_size;
    case 0x1c: return *kind = VALUE_OTHER, 4;
    case 0x20: case 0x24: return *kind = VALUE_OTHER, 8;
    case 0x1d: case 0x1f20: case 0x1f21: return *kind = VALUE_OTHER, unit->offset_size;
    case 0x25: case 0x26: case 0x27: case 0x28: return *kind = VALUE_TEXT_INDEX, form - 0x24u;
    case 0x29: case 0x2a: case 0x2b: case 0x2c: return *kind = VALUE_ADDRESS_INDEX, form - 0x28u;
    default: return 0;
  }
}

void value_read(Bytes *b, const Unit *unit, const AttributeForm *form, Value *value) {
  ValueKind kind;
  unsigned size = fixed_form(unit, form->form, &kind);
  if (size) {
    fixed(b, value, kind, size);
    return;
  }
  switch (form->form) {
    case 0x03: block_read(b, number_read(b, 2), value); break;
    case 0x04: block_read(b, number_read(b, 4), value); break;
    case 0x09: case 0x18: block_read(b, uleb_read(b), value); break;
    case 0x0a: block_read(b, number_read(b, 1), value); break;
    case 0x1e: block_read(b, 16, value); break;
    case 0x08: text_read(b, value); break;
    case 0x0d: value->kind = VALUE_NUMBER, value->number = (uint64_t)sleb_read(b); break;
    case 0x0f: leb(b, value, VALUE_NUMBER); break;
    case 0x11: fixed(b, value, VALUE_REFERENCE, 1), reference(unit, value); break;
    case 0x12: fixed(b, value, VALUE_REFERENCE, 2), reference(unit, value); break;
    case 0x13: fixed(b, value, VALUE_REFERENCE, 4), reference(unit, value); break;
    case 0x14: fixed(b, value, VALUE_REFERENCE, 8), reference(unit, value); break;
    case 0x15: leb(b, value, VALUE_REFERENCE), reference(unit, value); break;
    case 0x19: value->kind = VALUE_NUMBER, value->number = 1; break;
    case IMPLICIT: value->kind = VALUE_NUMBER, value->number = (uint64_t)form->constant; break;
    case 0x1a: case 0x1f02: leb(b, value, VALUE_TEXT_INDEX); break;
    case 0x1b: case 0x1f01: leb(b, value, VALUE_ADDRESS_INDEX); break;
    case 0x22: case 0x23: leb(b, value, VALUE_LIST_INDEX); break;
    case INDIRECT: {
      AttributeForm other = { form->name, (uint16_t)uleb_read(b), 0 };
      if (other.form == INDIRECT || other.form == IMPLICIT) bytes_fail(b, "a form that leads nowhere");
      else value_read(b, unit, &other, value);
      break;
    }
    default: bytes_fail(b, "a form that is not known");
  }
}

/* ---- entries ---- */

static Attribute attribute_of(uint16_t name) {
  switch (name) {
    case 0x02: return AT_LOCATION;
    case 0x03: return AT_NAME;
    case 0x10: return AT_LINES;
    case 0x11: return AT_LOW;
    case 0x12: return AT_HIGH;
    case 0x1b: return AT_FOLDER;
    case 0x31: return AT_ORIGIN;
    case 0x3a: return AT_DECL_FILE;
    case 0x3b: return AT_DECL_LINE;
    case 0x47: return AT_SPECIFICATION;
    case 0x55: return AT_RANGES;
    case 0x57: return AT_CALL_COLUMN;
    case 0x58: return AT_CALL_FILE;
    case 0x59: return AT_CALL_LINE;
    case 0x6e: case 0x2007: return AT_LINKAGE_NAME;
    case 0x72: return AT_TEXT_BASE;
    case 0x73: return AT_ADDRESS_BASE;
    case 0x74: return AT_RANGES_BASE;
    case 0x8c: return AT_LOCATIONS_BASE;
    default: return AT_COUNT;
  }
}

bool entry_read(Symbols *symbols, const Unit *unit, Bytes *b, bool (*wanted)(uint16_t tag), Entry *entry) {
  entry->offset = (uint32_t)(b->at - symbols->sections[DEBUG_INFO].bytes);
  entry->abbreviation = NULL;
  uint64_t code = uleb_read(b);
  if (b->failure || !pay(symbols, 1)) return false;
  if (!code) return true;
  entry->abbreviation = abbreviation_find(symbols, unit->abbreviations, code);
  if (!entry->abbreviation || !pay(symbols, entry->abbreviation->count)) return false;
  bool is_wanted = !wanted || wanted(entry->abbreviation->tag);
  if (is_wanted) memset(entry->values, 0, sizeof entry->values);
  /* No address is made of a table before there is an attribute: it may hold none at all. */
  for (uint32_t i = 0; i < entry->abbreviation->count; i++) {
    const AttributeForm *form = &unit->abbreviations->forms.items[entry->abbreviation->first + i];
    Value value = { VALUE_NONE, 0, NULL };
    value_read(b, unit, form, &value);
    if (b->failure) return false;
    Attribute attribute = is_wanted ? attribute_of(form->name) : AT_COUNT;
    if (attribute != AT_COUNT && !entry->values[attribute].kind) entry->values[attribute] = value;
  }
  return true;
}

bool entry_at(Symbols *symbols, uint64_t offset, Unit **unit, Entry *entry) {
  *unit = unit_holding(symbols, offset);
  if (!*unit) return false;
  Bytes b = section_bytes(symbols, DEBUG_INFO, offset);
  b.end = b.start + (*unit)->end;
  /* Asking for a name does not use up what reading may cost: it is one entry, and its answer is kept. */
  uint64_t purse = symbols->purse;
  symbols->purse = 2 * FORMS_MOST + (*unit)->abbreviations->entries.count;
  bool is_there = entry_read(symbols, *unit, &b, NULL, entry) && entry->abbreviation;
  symbols->purse = purse;
  return is_there;
}

/* A number out of a table of offsets or addresses; false: it is not there. */
static bool table_number(const Symbols *symbols, DebugSection section, uint64_t base, uint64_t index, unsigned size,
                         uint64_t *number) {
  if (index > symbols->sections[section].size || base > symbols->sections[section].size) return false;
  Bytes b = section_bytes(symbols, section, base + index * size);
  *number = number_read(&b, size);
  return !b.failure;
}

const char *value_text(const Symbols *symbols, const Unit *unit, const Value *value) {
  uint64_t offset;
  switch (value->kind) {
    case VALUE_TEXT: return text_checked(value->bytes, (size_t)value->number + 1);
    case VALUE_TEXT_OFFSET: return section_text(symbols, DEBUG_STR, value->number);
    case VALUE_LINE_TEXT_OFFSET: return section_text(symbols, DEBUG_LINE_STR, value->number);
    case VALUE_TEXT_INDEX:
      if (!table_number(symbols, DEBUG_STR_OFFSETS, unit->text_base, value->number, unit->offset_size, &offset)) return NULL;
      return section_text(symbols, DEBUG_STR, offset);
    default: return NULL;
  }
}

bool value_address(const Symbols *symbols, const Unit *unit, const Value *value, uint64_t *address) {
  *address = value->number;
  if (value->kind == VALUE_ADDRESS) return true;
  return value->kind == VALUE_ADDRESS_INDEX &&
         table_number(symbols, DEBUG_ADDR, unit->address_base, value->number, unit->address_size, address);
}
