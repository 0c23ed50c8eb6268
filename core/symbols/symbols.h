/* SPDX-License-Identifier: MIT */
/* Names for people: demangled function names, and out of the module's DWARF sections files, lines, inlined frames and the
 * names of params. Nothing is read until it is asked for; then the list of units is made once, and a unit (a source file's
 * share) when an offset in it is asked about:
 *
 *     module → section.c → unit.c → scope.c: functions, inlined ones → symbols.c: the door
 *                            │   → line.c:  line tables             → name.c:    the door
 *                            └── form.c: values; range.c: lists of ranges; param.c: params
 *                                 local.c: variables; location.c: where both are
 *
 * demangle.c stands alone.
 *
 * The bytes are a stranger's. Whatever reads them is bounded by them, pays for each step out of a purse that is linear in
 * the size of the sections, and may fail: a unit that is broken has no symbols, the others have theirs. DWARF's standard,
 * versions 2 to 5; sections in brackets below are those of version 5. */
#ifndef LUN_SYMBOLS_H
#define LUN_SYMBOLS_H

#include <lunette/symbols.h>

#include "base.h"
#include "module.h"

typedef struct Section {
  const uint8_t *bytes;
  size_t size;
} Section;

typedef enum DebugSection {
  DEBUG_ABBREV, DEBUG_ADDR, DEBUG_INFO, DEBUG_LINE, DEBUG_LINE_STR, DEBUG_LOC, DEBUG_LOCLISTS, DEBUG_RANGES, DEBUG_RNGLISTS,
  DEBUG_STR, DEBUG_STR_OFFSETS, DEBUG_COUNT
} DebugSection;

/* ---- entries (form.c): [7.5] ---- */
typedef struct AttributeForm {
  uint16_t name, form;
  int64_t constant;          /* of DW_FORM_implicit_const */
} AttributeForm;
typedef struct Abbreviation {
  uint64_t code;
  uint16_t tag;
  bool has_children;
  uint32_t first, count;     /* of its table's forms */
} Abbreviation;
typedef struct Abbreviations {
  struct Abbreviations *next;
  uint64_t offset;           /* where it stands in .debug_abbrev */
  VEC(Abbreviation) entries;
  VEC(AttributeForm) forms;
} Abbreviations;

typedef enum ValueKind {
  VALUE_NONE, VALUE_NUMBER, VALUE_ADDRESS, VALUE_ADDRESS_INDEX, VALUE_TEXT /* bytes, number = size */, VALUE_TEXT_OFFSET,
  VALUE_LINE_TEXT_OFFSET, VALUE_TEXT_INDEX, VALUE_REFERENCE /* in .debug_info */, VALUE_OFFSET, VALUE_LIST_INDEX,
  VALUE_BLOCK /* bytes, number = size */, VALUE_OTHER
} ValueKind;
typedef struct Value {
  ValueKind kind;
  uint64_t number;
  const uint8_t *bytes;
} Value;

/* The attributes that are of use. */
typedef enum Attribute {
  AT_NAME, AT_LINKAGE_NAME, AT_LOW, AT_HIGH, AT_RANGES, AT_ORIGIN, AT_SPECIFICATION, AT_CALL_FILE, AT_CALL_LINE, AT_CALL_COLUMN,
  AT_DECL_FILE, AT_DECL_LINE, AT_LINES, AT_FOLDER, AT_TEXT_BASE, AT_ADDRESS_BASE, AT_RANGES_BASE, AT_LOCATIONS_BASE,
  AT_LOCATION, AT_COUNT
} Attribute;
/* An entry of .debug_info; abbreviation NULL: the end of a list of children. */
typedef struct Entry {
  uint32_t offset;
  const Abbreviation *abbreviation;
  Value values[AT_COUNT];
} Entry;

enum { TAG_PARAM = 0x05, TAG_BLOCK = 0x0b, TAG_COMPILE_UNIT = 0x11, TAG_INLINED = 0x1d, TAG_SUBPROGRAM = 0x2e, TAG_SKELETON_UNIT = 0x4a };

/* ---- units ---- */
enum { NO_SCOPE = UINT32_MAX };

/* From `low` to `high` the local holds this variable; `order`: of those that share it the first counts. */
typedef struct Variable {
  uint32_t local, order;
  uint64_t low, high;
  uint32_t entry;            /* in .debug_info */
  bool is_named;             /* the name has been looked up */
  const char *name;
} Variable;

/* A function, or an inlined copy of one. */
typedef struct Scope {
  uint32_t entry;            /* its offset in .debug_info */
  uint32_t parent;           /* the scope that it was inlined into; NO_SCOPE: it is a function */
  uint32_t call_file, call_line, call_column;
  bool is_inlined, is_named; /* is_named: the four below have been looked up */
  const char *name, *linkage_name;
  uint32_t decl_file, decl_line;
  struct Unit *decl_unit;    /* whose files decl_file counts */
  const char **params;       /* of a function, by local; NULL: not looked up */
  uint32_t param_count;
  Variable *variables;       /* of a function, by local; NULL: not looked up */
  size_t variable_count;
} Scope;
/* From `low` to the next stretch's the innermost scope is this one, or NO_SCOPE. */
typedef struct Stretch {
  uint32_t low, scope;
} Stretch;

typedef struct Row {
  uint32_t address, line, file;
  uint16_t column;
} Row;
typedef struct Sequence {    /* rows of ascending addresses; [low, high) */
  uint32_t low, high;
  size_t first, count;
} Sequence;
typedef struct File {
  const char *name, *path;   /* path: put together when first asked for */
  uint64_t folder;
} File;
typedef struct Lines {
  uint16_t version;
  VEC(const char *) folders;
  VEC(File) files;           /* as the unit's version counts: from 1 before 5 */
  VEC(Row) rows;
  VEC(Sequence) sequences;   /* by address */
} Lines;

typedef enum UnitState { UNIT_UNREAD, UNIT_READ, UNIT_BROKEN } UnitState;
typedef struct Unit {
  uint32_t start, entries, end;     /* in .debug_info: of the header, of the first entry, behind the last */
  uint16_t version;
  uint8_t address_size, offset_size;
  const Abbreviations *abbreviations;
  uint64_t base;                    /* of its addresses in lists */
  uint64_t text_base, address_base, ranges_base, locations_base, lines_offset;
  bool has_lines;
  const char *folder;
  UnitState scopes_state, lines_state;
  VEC(Scope) scopes;
  VEC(Stretch) stretches;           /* by address */
  Lines lines;
} Unit;
typedef struct Extent {             /* code of a unit; [low, high) */
  uint32_t low, high, unit;
} Extent;

typedef struct Symbols {
  Arena arena;
  Section sections[DEBUG_COUNT];
  uint64_t code_size;               /* of the code section's contents: what is at or above it is no code */
  uint64_t purse;                   /* steps that may still be made */
  bool is_out_of_memory;            /* in what is being read now */
  Abbreviations *abbreviations;     /* all tables */
  VEC(Unit) units;                  /* by start; they stay where they are */
  VEC(Extent) extents;              /* by address, disjoint */
} Symbols;

/* The module's, made when first asked for; NULL: out of memory. */
Symbols *symbols_of(const lun_module *module);
/* Finds the sections (section.c). */
void sections_find(Symbols *symbols, const lun_module *module);
Bytes section_bytes(const Symbols *symbols, DebugSection section, uint64_t offset); /* from there to its end; or failed */
/* The text at an offset; NULL: there is none, it has no end, or it is not UTF-8. */
const char *section_text(const Symbols *symbols, DebugSection section, uint64_t offset);
/* A text that stands among other bytes; NULL as above. */
const char *text_checked(const uint8_t *bytes, size_t size);

/* Takes steps out of the purse; false: it is empty. */
static inline bool pay(Symbols *symbols, uint64_t steps) {
  if (UNLIKELY(symbols->purse < steps)) return symbols->purse = 0, false;
  symbols->purse -= steps;
  return true;
}

/* form.c */
uint64_t number_read(Bytes *b, unsigned size);   /* little-endian; 1 to 8 bytes */
uint64_t uleb_read(Bytes *b);                    /* of any length; what does not fit into 64 bits is lost */
int64_t sleb_read(Bytes *b);
const Abbreviations *abbreviations_of(Symbols *symbols, uint64_t offset);  /* NULL: broken, or out of memory */
/* The form's value. b->failure where it is unknown, or leaves the bytes. */
void value_read(Bytes *b, const Unit *unit, const AttributeForm *form, Value *value);
/* One entry. Values are filled in for tags that `wanted` says yes to (NULL: all). False: broken. */
bool entry_read(Symbols *symbols, const Unit *unit, Bytes *b, bool (*wanted)(uint16_t tag), Entry *entry);
/* The entry at an offset, in whatever unit it stands; *unit is that one. False: there is none. */
bool entry_at(Symbols *symbols, uint64_t offset, Unit **unit, Entry *entry);
const char *value_text(const Symbols *symbols, const Unit *unit, const Value *value);  /* NULL: none */
bool value_address(const Symbols *symbols, const Unit *unit, const Value *value, uint64_t *address);

/* unit.c */
void units_read(Symbols *symbols);
Unit *unit_at(Symbols *symbols, uint32_t address);      /* NULL: none has code there */
Unit *unit_holding(Symbols *symbols, uint64_t offset);  /* the unit whose entries an offset in .debug_info is in */

/* range.c */
typedef struct Span { uint32_t low, high, owner; } Span;
typedef struct Spans { VEC(Span) spans; } Spans;
/* Adds the code that an entry covers, as far as it is code. False: broken, or out of memory. */
bool spans_add(Symbols *symbols, const Unit *unit, const Entry *entry, uint32_t owner, Spans *spans);
/* By address; of two that begin together the longer comes first, then the smaller owner. */
void spans_sort(Spans *spans);

/* scope.c */
bool scopes_read(Symbols *symbols, Unit *unit);                      /* false: it has none */
uint32_t scope_at(const Unit *unit, uint32_t address);               /* the innermost, or NO_SCOPE */
void scope_name(Symbols *symbols, Unit *unit, Scope *scope);         /* fills in what is looked up */

/* line.c */
bool lines_read(Symbols *symbols, Unit *unit);                       /* false: it has none */
const Row *row_at(const Lines *lines, uint32_t address);             /* NULL: none */
const char *file_path(Symbols *symbols, Unit *unit, uint64_t file);  /* NULL: unknown */

/* location.c */
enum { NOWHERE = UINT32_MAX };
typedef struct Location {
  uint64_t low, high;        /* the code for which it holds; high UINT64_MAX: wherever nothing else does */
  uint32_t local;            /* NOWHERE: something else than a local */
  bool is_value;             /* what is in the local is the variable's value, nothing is made of it first */
} Location;
typedef bool (*LocationTake)(void *self, const Location *location);  /* false: no more */
/* Gives the locations of a variable in order. */
void locations_read(Symbols *symbols, const Unit *unit, const Value *value, LocationTake take, void *self);

/* local.c */
/* The name of the variable that the local holds where the function stands at the address; NULL: unknown. */
const char *local_name(Symbols *symbols, Unit *unit, Scope *scope, uint32_t local, uint64_t address);

/* param.c */
/* The entry's own name, or that of what it is a copy of; NULL: none. */
const char *entry_name(Symbols *symbols, Unit *unit, const Entry *entry);
/* The name of param `index` of `count`; NULL: unknown. `scope` is a function. */
const char *param_name(Symbols *symbols, Unit *unit, Scope *scope, uint32_t index, uint32_t count);

/* demangle.c */

#endif
