/* SPDX-License-Identifier: MIT */
/* The line table of a unit: a header with folders and files, and a program whose run gives rows of address, file, line
 * and column [6.2]. Only the rows of code that is in the module are kept. */
#include <stdlib.h>
#include <string.h>

#include "symbols.h"

enum {
  CONTENT_PATH = 1, CONTENT_FOLDER = 2, LONG_FORMAT = 0xffffffff,
  LNS_COPY = 1, LNS_ADVANCE_PC, LNS_ADVANCE_LINE, LNS_SET_FILE, LNS_SET_COLUMN, LNS_NEGATE_STMT, LNS_SET_BASIC_BLOCK,
  LNS_CONST_ADD_PC, LNS_FIXED_ADVANCE_PC, LNS_SET_PROLOGUE_END, LNS_SET_EPILOGUE_BEGIN, LNS_SET_ISA,
  LNE_END_SEQUENCE = 1, LNE_SET_ADDRESS = 2, LNE_DEFINE_FILE = 3
};

typedef struct Program {
  Symbols *symbols;
  Unit *unit;
  Lines *lines;
  Unit reading;              /* what value_read needs to know: version and sizes of this table */
  uint8_t minimum, line_range, opcode_base;
  int8_t line_base;
  const uint8_t *lengths;    /* of the standard opcodes, from 1 */
  uint64_t address;          /* the registers */
  uint32_t line, file;
  uint64_t column;
  size_t first;              /* row of this sequence */
} Program;

/* ---- the header ---- */

static bool folder_push(Program *p, const char *name) {
  if (vec_push(&p->lines->folders, name)) return true;
  return p->symbols->is_out_of_memory = true, false;
}

static bool file_push(Program *p, const char *name, uint64_t folder) {
  File file = { name, NULL, folder };
  if (vec_push(&p->lines->files, file)) return true;
  return p->symbols->is_out_of_memory = true, false;
}

/* A text in the header, up to its NUL; *is_end: it is empty. */
static const char *header_text(Bytes *b, bool *is_end) {
  const uint8_t *start = b->at, *end = bytes_left(b) ? memchr(b->at, 0, bytes_left(b)) : NULL;
  *is_end = !end || end == start;
  if (!end) {
    bytes_fail(b, "a text has no end");
    return NULL;
  }
  b->at = end + 1;
  return text_checked(start, (size_t)(end - start) + 1);
}

/* Before version 5: texts; folder 0 is the unit's, files count from 1. */
static bool names_read(Program *p, Bytes *b) {
  bool is_end;
  if (!folder_push(p, NULL) || !file_push(p, NULL, 0)) return false;
  for (;;) {
    const char *folder = header_text(b, &is_end);
    if (is_end) break;
    if (!folder_push(p, folder) || !pay(p->symbols, 1)) return false;
  }
  while (!b->failure) {
    const char *file = header_text(b, &is_end);
    if (is_end) break;
    uint64_t folder = uleb_read(b);
    uleb_read(b), uleb_read(b);  /* time, size */
    if (!file_push(p, file, folder) || !pay(p->symbols, 1)) return false;
  }
  return !b->failure;
}

typedef struct Format { AttributeForm fields[255]; uint8_t count; } Format;

static void format_read(Bytes *b, Format *format) {
  format->count = bytes_u8(b);
  for (int i = 0; i < format->count; i++) {
    uint64_t name = uleb_read(b), form = uleb_read(b);
    format->fields[i] = (AttributeForm){ name < 0x10000 ? (uint16_t)name : 0, form < 0x10000 ? (uint16_t)form : 0, 0 };
  }
}

/* Version 5: a description of the fields, then the entries. Folders and files alike. */
static bool entries_read(Program *p, Bytes *b, bool are_files) {
  Format format;
  format_read(b, &format);
  uint64_t count = uleb_read(b);
  for (uint64_t i = 0; i < count && !b->failure; i++) {
    const uint8_t *start = b->at;
    const char *path = NULL;
    uint64_t folder = 0;
    for (int field = 0; field < format.count && !b->failure; field++) {
      Value value = { VALUE_NONE, 0, NULL };
      value_read(b, &p->reading, &format.fields[field], &value);
      if (b->failure) break;
      if (format.fields[field].name == CONTENT_PATH) path = value_text(p->symbols, p->unit, &value);
      if (format.fields[field].name == CONTENT_FOLDER) folder = value.number;
    }
    if (b->failure || b->at == start || !pay(p->symbols, format.count + 1u)) return false;
    if (!(are_files ? file_push(p, path, folder) : folder_push(p, path))) return false;
  }
  return !b->failure;
}

/* The header at b, which is left at the program's first byte. */
static bool header_read(Program *p, Bytes *b) {
  Unit *reading = &p->reading;
  reading->offset_size = 4;
  uint64_t size = number_read(b, 4);
  if (size == LONG_FORMAT) {
    reading->offset_size = 8;
    size = number_read(b, 8);
  }
  if (b->failure || size > bytes_left(b)) return false;
  b->end = b->at + size;
  reading->version = p->lines->version = (uint16_t)number_read(b, 2);
  if (reading->version < 2 || reading->version > 5) return false;
  reading->address_size = p->unit->address_size;
  if (reading->version >= 5) reading->address_size = bytes_u8(b), bytes_u8(b);
  uint64_t header_size = number_read(b, reading->offset_size);
  if (b->failure || header_size > bytes_left(b)) return false;
  const uint8_t *program = b->at + header_size;
  Bytes header = *b;
  header.end = program;
  p->minimum = bytes_u8(&header);
  if (reading->version >= 4) bytes_u8(&header);  /* operations per instruction: one */
  bytes_u8(&header);
  p->line_base = (int8_t)bytes_u8(&header);
  p->line_range = bytes_u8(&header);
  p->opcode_base = bytes_u8(&header);
  p->lengths = p->opcode_base ? bytes_take(&header, p->opcode_base - 1u) : NULL;
  if (!p->lengths || !p->line_range) return false;
  bool done = reading->version < 5 ? names_read(p, &header) : entries_read(p, &header, false) && entries_read(p, &header, true);
  b->at = program;
  return done || !p->symbols->is_out_of_memory;
}

/* ---- the program ---- */

static void registers_reset(Program *p) {
  p->address = 0;
  p->line = p->file = 1;
  p->column = 0;
  p->first = p->lines->rows.count;
}

static bool row_push(Program *p) {
  Row row = { 0, p->line, p->file, p->column > UINT16_MAX ? 0 : (uint16_t)p->column };
  row.address = p->address > UINT32_MAX ? UINT32_MAX : (uint32_t)p->address;
  if (vec_push(&p->lines->rows, row)) return true;
  return p->symbols->is_out_of_memory = true, false;
}

/* A sequence of thrown-away code goes with its rows. So does one whose addresses do not ascend. */
static bool sequence_end(Program *p) {
  size_t count = p->lines->rows.count - p->first;
  const Row *rows = count > 0 ? &p->lines->rows.items[p->first] : NULL; /* there may be no table of rows at all */
  bool is_good = rows && rows[0].address > 0 && rows[count - 1].address <= p->address && p->address <= p->symbols->code_size;
  for (size_t i = 1; is_good && i < count; i++) is_good = rows[i - 1].address <= rows[i].address;
  if (is_good) {
    Sequence sequence = { rows[0].address, (uint32_t)p->address, p->first, count };
    if (!vec_push(&p->lines->sequences, sequence)) return p->symbols->is_out_of_memory = true, false;
  } else {
    p->lines->rows.count = p->first;
  }
  registers_reset(p);
  return true;
}

static bool extended_run(Program *p, Bytes *b) {
  uint64_t size = uleb_read(b);
  if (b->failure || size > bytes_left(b)) return false;
  const uint8_t *end = b->at + size;
  if (size) {
    switch (bytes_u8(b)) {
      case LNE_END_SEQUENCE:
        if (!sequence_end(p)) return false;
        break;
      case LNE_SET_ADDRESS: p->address = number_read(b, size > 9 ? 8 : (unsigned)size - 1); break;
      case LNE_DEFINE_FILE: {
        bool is_end;
        const char *name = header_text(b, &is_end);
        if (!is_end && !file_push(p, name, uleb_read(b))) return false;
        break;
      }
      default: break;
    }
  }
  b->at = end;
  return !b->failure;
}

static bool standard_run(Program *p, Bytes *b, uint8_t opcode) {
  switch (opcode) {
    case LNS_COPY: return row_push(p);
    case LNS_ADVANCE_PC: p->address += uleb_read(b) * p->minimum; break;
    case LNS_ADVANCE_LINE: p->line += (uint32_t)sleb_read(b); break;
    case LNS_SET_FILE: p->file = (uint32_t)uleb_read(b); break;
    case LNS_SET_COLUMN: p->column = uleb_read(b); break;
    case LNS_NEGATE_STMT: case LNS_SET_BASIC_BLOCK: case LNS_SET_PROLOGUE_END: case LNS_SET_EPILOGUE_BEGIN: break;
    case LNS_CONST_ADD_PC: p->address += (uint64_t)((255 - p->opcode_base) / p->line_range) * p->minimum; break;
    case LNS_FIXED_ADVANCE_PC: p->address += number_read(b, 2); break;
    case LNS_SET_ISA: uleb_read(b); break;
    default:
      for (uint8_t i = 0; i < p->lengths[opcode - 1]; i++) uleb_read(b);
  }
  return !b->failure;
}

static bool special_run(Program *p, uint8_t opcode) {
  unsigned adjusted = opcode - p->opcode_base;
  p->address += (uint64_t)(adjusted / p->line_range) * p->minimum;
  p->line += (uint32_t)(p->line_base + (int)(adjusted % p->line_range));
  return row_push(p);
}

/* Rows before what cannot be read stay. */
static void program_run(Program *p, Bytes *b) {
  registers_reset(p);
  while (bytes_left(b) && pay(p->symbols, 1)) {
    uint8_t opcode = bytes_u8(b);
    bool goes_on = opcode >= p->opcode_base ? special_run(p, opcode) : opcode ? standard_run(p, b, opcode) : extended_run(p, b);
    if (!goes_on) break;
  }
  p->lines->rows.count = p->first;  /* of a sequence without end */
}

static int compare(const void *one, const void *other) {
  const Sequence *a = one, *b = other;
  if (a->low != b->low) return a->low < b->low ? -1 : 1;
  return a->first < b->first ? -1 : a->first > b->first;
}

static void lines_clear(Lines *lines) {
  vec_clear(&lines->folders);
  vec_clear(&lines->files);
  vec_clear(&lines->rows);
  vec_clear(&lines->sequences);
}

bool lines_read(Symbols *symbols, Unit *unit) {
  if (unit->lines_state != UNIT_UNREAD) return unit->lines_state == UNIT_READ;
  Program p = { .symbols = symbols, .unit = unit, .lines = &unit->lines };
  Bytes b = section_bytes(symbols, DEBUG_LINE, unit->lines_offset);
  symbols->is_out_of_memory = false;
  bool done = unit->has_lines && header_read(&p, &b);
  if (done) program_run(&p, &b);
  if (!done || symbols->is_out_of_memory) lines_clear(&unit->lines);
  if (symbols->is_out_of_memory) return false;
  unit->lines_state = done ? UNIT_READ : UNIT_BROKEN;
  if (unit->lines.sequences.count > 1)
    qsort(unit->lines.sequences.items, unit->lines.sequences.count, sizeof *unit->lines.sequences.items, compare);
  return done;
}

/* ---- asking ---- */

/* Of several rows with one address the last counts. */
static const Row *row_in(const Lines *lines, const Sequence *sequence, uint32_t address) {
  size_t low = sequence->first, high = sequence->first + sequence->count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (lines->rows.items[middle].address <= address) low = middle + 1;
    else high = middle;
  }
  return low > sequence->first ? &lines->rows.items[low - 1] : NULL;
}

const Row *row_at(const Lines *lines, uint32_t address) {
  size_t low = 0, high = lines->sequences.count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (lines->sequences.items[middle].low <= address) low = middle + 1;
    else high = middle;
  }
  const Sequence *sequence = low ? &lines->sequences.items[low - 1] : NULL;
  return sequence && address < sequence->high ? row_in(lines, sequence, address) : NULL;
}

/* "folder/name", or the name alone where it begins at the root. */
static const char *joined(Symbols *symbols, const char *folder, const char *name) {
  if (!folder || !*folder || !name || *name == '/') return name;
  size_t size = 0;
  while (folder[size]) size++;
  return arena_printf(&symbols->arena, folder[size - 1] == '/' ? "%s%s" : "%s/%s", folder, name);
}

const char *file_path(Symbols *symbols, Unit *unit, uint64_t number) {
  Lines *lines = &unit->lines;
  if (!lines_read(symbols, unit) || number >= lines->files.count) return NULL;
  File *file = &lines->files.items[number];
  if (file->path || !file->name) return file->path;
  const char *folder = file->folder < lines->folders.count ? lines->folders.items[file->folder] : NULL;
  const char *path = joined(symbols, folder, file->name);
  bool is_whole = lines->version >= 5 && file->folder == 0;  /* folder 0 is the unit's own */
  file->path = is_whole ? path : joined(symbols, unit->folder, path);
  return file->path;
}
