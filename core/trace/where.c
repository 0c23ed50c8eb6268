/* SPDX-License-Identifier: MIT */
/* Which functions: reads patterns, and matches them with the names of a definition. What the patterns mean is in
 * <lunette/where.h>. A name of two parts, "module.name", is matched in place: nothing is put together or allocated.
 *
 * Of the engine nothing is needed here: a definition answers for all its names. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lunette/symbols.h>
#include <lunette/where.h>

#include "trace.h"

typedef enum Form { FORM_ANY, FORM_IMPORT, FORM_EXPORT, FORM_HOST, FORM_FILE, FORM_INDEX } Form;

typedef struct Pattern {
  Form form;
  bool is_excluded, is_exact;
  const char *text;      /* what names are matched with */
  uint32_t from, to;     /* FORM_INDEX */
} Pattern;

struct lun_where {
  Arena arena;
  Pattern *patterns;
  size_t count;
  bool has_included;
};

static const struct { const char *prefix; Form form; } prefixes[] = {
  { "import:", FORM_IMPORT }, { "export:", FORM_EXPORT }, { "host:", FORM_HOST }, { "file:", FORM_FILE },
};

/* ---- reading patterns ---- */

typedef struct Reader {
  const char *whole, *at;
  lun_error *error;
} Reader;

static bool fail(const Reader *r, const char *at, const char *cause) {
  unsigned place = 1;
  for (const char *c = r->whole; c < at; c++) place += ((uint8_t)*c & 0xc0) != 0x80;
  int shown = (int)utf8_cut(r->whole, strnlen(r->whole, 200));
  lun_error_set(r->error, LUN_USAGE, "where \"%.*s\", character %u: %s", shown, r->whole, place, cause);
  return false;
}

static size_t sequence_size(const char *at) {
  size_t size = 1;
  while (size < 4 && ((uint8_t)at[0] & 0xc0) == 0xc0 && ((uint8_t)at[size] & 0xc0) == 0x80) size++;
  return size;
}

static uint32_t code_point(const char *at, size_t size) {
  uint32_t point = (uint8_t)at[0] & (size == 1 ? 0xff : 0x7f >> size);
  for (size_t i = 1; i < size; i++) point = point << 6 | ((uint8_t)at[i] & 0x3f);
  return point;
}

/* The character of a set at *at, which moves behind it. */
static uint32_t set_character(const char **at) {
  if (**at == '\\' && (*at)[1]) (*at)++;
  size_t size = sequence_size(*at);
  uint32_t point = code_point(*at, size);
  *at += size;
  return point;
}

/* One set of a glob, from behind its '['. Tells where it ends and whether `point` is in it. A range that is not closed by
 * a character is a '-'. NULL: it has no end, or *backwards is where a range runs backwards. */
static const char *set_read(const char *at, uint32_t point, bool *is_in, const char **backwards) {
  bool is_negated = *at == '!' || *at == '^', found = false;
  if (is_negated) at++;
  for (bool is_first = true; *at != ']' || is_first; is_first = false) {
    if (!*at) return NULL;
    const char *start = at;
    uint32_t low = set_character(&at), high = low;
    if (*at == '-' && at[1] && at[1] != ']') {
      at++;
      high = set_character(&at);
    }
    if (low > high) {
      *backwards = start;
      return NULL;
    }
    found |= low <= point && point <= high;
  }
  *is_in = found != is_negated;
  return at + 1;
}

static bool glob_check(const Reader *r, const char *glob) {
  if (!*glob) return fail(r, glob, "a name or a glob is missing");
  for (const char *at = glob; *at;) {
    if (*at == '\\') {
      if (!at[1]) return fail(r, at, "a backslash at the end has nothing to protect");
      at += 2;
    } else if (*at == '[') {
      bool ignored;
      const char *backwards = NULL, *end = set_read(at + 1, 0, &ignored, &backwards);
      if (!end) return backwards ? fail(r, backwards, "this range runs backwards") : fail(r, at, "this [ has no ]");
      at = end;
    } else {
      at++;
    }
  }
  return true;
}

bool glob_valid(const char *glob, lun_error *error) {
  Reader reader = { glob, glob, error };
  return glob_check(&reader, glob);
}

static bool index_read(Reader *r, uint32_t *index) {
  const char *start = r->at;
  uint64_t value = 0;
  while (*r->at >= '0' && *r->at <= '9') {
    value = value * 10 + (uint64_t)(*r->at++ - '0');
    if (value > UINT32_MAX) return fail(r, start, "no function has so large an index");
  }
  if (r->at == start) return fail(r, start, "an index is expected, as in #12 or #10-20 (\\# is the character)");
  *index = (uint32_t)value;
  return true;
}

/* From behind the '#'. */
static bool indexes_read(Reader *r, Pattern *pattern) {
  pattern->form = FORM_INDEX;
  const char *start = r->at;
  if (!index_read(r, &pattern->from)) return false;
  pattern->to = pattern->from;
  if (*r->at == '-') {
    r->at++;
    if (!index_read(r, &pattern->to)) return false;
  }
  if (*r->at) return fail(r, r->at, "an index ends here");
  return pattern->from <= pattern->to || fail(r, start, "this range runs backwards");
}

static bool pattern_read(Reader *r, Pattern *pattern) {
  if (*r->at == '!') {
    pattern->is_excluded = true;
    r->at++;
  }
  if (*r->at == '#') {
    r->at++;
    return indexes_read(r, pattern);
  }
  if (*r->at == '=') {
    pattern->is_exact = true;
    pattern->text = ++r->at;
    return *r->at || fail(r, r->at, "a name is missing");
  }
  for (size_t i = 0; i < COUNT_OF(prefixes); i++) {
    size_t size = strlen(prefixes[i].prefix);
    if (strncmp(r->at, prefixes[i].prefix, size) != 0) continue;
    pattern->form = prefixes[i].form;
    r->at += size;
    break;
  }
  pattern->text = r->at;
  return glob_check(r, r->at);
}

static bool patterns_read(lun_where *where, const char *const *patterns, lun_error *error) {
  where->patterns = arena_array(&where->arena, where->count, sizeof *where->patterns);
  for (size_t i = 0; where->patterns && i < where->count; i++) {
    const char *copy = arena_string(&where->arena, patterns[i], strlen(patterns[i]));
    if (!copy) break;
    Reader r = { copy, copy, error };
    if (!pattern_read(&r, &where->patterns[i])) return false;
    where->has_included |= !where->patterns[i].is_excluded;
    if (i + 1 == where->count) return true;
  }
  if (where->patterns && !where->count) return true;
  lun_error_set(error, LUN_NO_MEMORY, "not enough memory");
  return false;
}

lun_status lun_where_create(const char *const *patterns, size_t count, lun_where **out, lun_error *error) {
  *out = NULL;
  lun_where *where = calloc(1, sizeof *where);
  if (!where) return lun_error_set(error, LUN_NO_MEMORY, "not enough memory");
  lun_error found = LUN_ERROR_INIT;
  where->count = count;
  if (patterns_read(where, patterns, &found)) {
    *out = where;
    return LUN_OK;
  }
  lun_where_destroy(where);
  return lun_error_set(error, found.kind, "%s", found.message);
}

void lun_where_destroy(lun_where *where) {
  if (!where) return;
  arena_clear(&where->arena);
  free(where);
}

/* ---- matching ---- */

/* A name: `first`, or "first.second". */
typedef struct Text {
  const char *first, *second;
  size_t first_size, size;
} Text;

static Text text_of(const char *first, const char *second) {
  Text text = { first, second, strlen(first), 0 };
  text.size = text.first_size + (second ? 1 + strlen(second) : 0);
  return text;
}

static char text_at(const Text *text, size_t index) {
  if (index < text->first_size) return text->first[index];
  return index == text->first_size ? '.' : text->second[index - text->first_size - 1];
}

/* The character at *index, which moves behind it. */
static uint32_t text_character(const Text *text, size_t *index) {
  char bytes[5] = { 0 };
  for (size_t i = 0; i < 4 && *index + i < text->size; i++) bytes[i] = text_at(text, *index + i);
  size_t size = sequence_size(bytes);
  *index += size;
  return code_point(bytes, size);
}

/* One step of a glob that is not a '*': true, and both move on, where it takes what stands at *index. */
static bool glob_step(const char **glob, const Text *text, size_t *index) {
  if (!**glob || *index >= text->size) return false;
  size_t ahead = *index;
  uint32_t point = text_character(text, &ahead);
  const char *next = *glob;
  bool fits = true;
  if (*next == '?') {
    next++;
  } else if (*next == '[') {
    const char *backwards;  /* glob_check has seen to it */
    next = set_read(next + 1, point, &fits, &backwards);
  } else {
    fits = set_character(&next) == point;
  }
  if (!fits) return false;
  *glob = next;
  *index = ahead;
  return true;
}

/* Whether the whole text fits. Only the last '*' is ever tried again, so the time is bounded by the product of both
 * lengths. */
static bool glob_match(const char *glob, const Text *text) {
  const char *star = NULL;
  size_t index = 0, star_index = 0;
  for (;;) {
    if (*glob == '*') {
      star = ++glob;
      star_index = index;
      if (!*glob) return true;
    } else if (!*glob && index == text->size) {
      return true;
    } else if (!glob_step(&glob, text, &index)) {
      if (!star || star_index >= text->size) return false;
      glob = star;
      text_character(text, &star_index);
      index = star_index;
    }
  }
}

bool glob_fits(const char *glob, const char *text) {
  Text whole = text_of(text, NULL);
  return glob_match(glob, &whole);
}

static bool fits(const Pattern *pattern, const char *first, const char *second) {
  if (!first) return false;
  Text text = text_of(first, second);
  if (!pattern->is_exact) return glob_match(pattern->text, &text);
  if (strlen(pattern->text) != text.size) return false;
  for (size_t i = 0; i < text.size; i++) {
    if (pattern->text[i] != text_at(&text, i)) return false;
  }
  return true;
}

static bool fits_import(const Pattern *pattern, const lun_definition *definition) {
  const char *module = lun_definition_import_module(definition);
  return module && fits(pattern, module, lun_definition_import_name(definition));
}

static bool fits_export(const Pattern *pattern, const lun_definition *definition) {
  uint32_t count = lun_definition_export_count(definition);
  for (uint32_t i = 0; i < count; i++) {
    if (fits(pattern, lun_definition_export(definition, i), NULL)) return true;
  }
  return false;
}

static bool fits_any(const Pattern *pattern, const lun_definition *definition) {
  const char *name = lun_definition_name(definition), *raw = lun_definition_raw_name(definition);
  if (fits(pattern, name, NULL) || (raw != name && fits(pattern, raw, NULL))) return true;
  if (fits_export(pattern, definition) || fits_import(pattern, definition)) return true;
  if (fits(pattern, lun_definition_import_name(definition), NULL)) return true;
  return lun_definition_is_host(definition) && fits(pattern, lun_definition_module_name(definition), name);
}

static bool fits_file(const Pattern *pattern, const lun_definition *definition) {
  lun_place source;
  return lun_definition_place(definition, &source) && fits(pattern, source.file, NULL);
}

static bool pattern_match(const Pattern *pattern, const lun_definition *definition) {
  switch (pattern->form) {
    case FORM_ANY: return fits_any(pattern, definition);
    case FORM_IMPORT: return fits_import(pattern, definition);
    case FORM_EXPORT: return fits_export(pattern, definition);
    case FORM_HOST:
      return (lun_definition_is_host(definition) || lun_definition_is_import(definition)) && fits_any(pattern, definition);
    case FORM_FILE: return fits_file(pattern, definition);
    case FORM_INDEX: {
      uint32_t index = lun_definition_index(definition);
      return pattern->from <= index && index <= pattern->to;
    }
  }
  return false;
}

bool lun_where_match(const lun_where *where, const lun_definition *definition) {
  bool is_included = !where->has_included;
  for (size_t i = 0; i < where->count; i++) {
    const Pattern *pattern = &where->patterns[i];
    if (is_included && !pattern->is_excluded) continue;
    if (!pattern_match(pattern, definition)) continue;
    if (pattern->is_excluded) return false;
    is_included = true;
  }
  return is_included;
}

/* ---- what may have been meant ---- */

enum { STEM_ROOM = 128, FAR_OFF = 1000 };

typedef struct Search {
  Form form;
  char stem[STEM_ROOM];   /* the pattern without its wildcards */
  size_t stem_size;
  lun_where_hint *hints;  /* the nearest first */
  unsigned distances[LUN_WHERE_NEAREST];
  size_t count;
} Search;

/* The text of a glob without '*', '?', sets and backslashes. */
static void stem_make(Search *search, const Pattern *pattern) {
  search->form = pattern->form;
  search->stem_size = 0;
  for (const char *at = pattern->text; *at && search->stem_size < STEM_ROOM - 1;) {
    bool ignored;
    const char *backwards;
    if (!pattern->is_exact && (*at == '*' || *at == '?')) {
      at++;
    } else if (!pattern->is_exact && *at == '[') {
      at = set_read(at + 1, 0, &ignored, &backwards);
    } else {
      if (!pattern->is_exact && *at == '\\') at++;
      search->stem[search->stem_size++] = *at++;
    }
  }
  search->stem[search->stem_size] = 0;
}

static char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c; }

static bool contains(const char *text, const char *word) {
  for (; *text; text++) {
    size_t i = 0;
    while (word[i] && lower(text[i]) == lower(word[i])) i++;
    if (!word[i]) return true;
  }
  return false;
}

/* A name that contains the stem is as near as one letter. */
static unsigned stem_distance(const Search *search, const char *name) {
  unsigned most = search->stem_size < 6 ? 1 : (unsigned)search->stem_size / 3;
  if (search->stem_size >= 3 && contains(name, search->stem)) return 1;
  size_t size = strnlen(name, 2 * STEM_ROOM);
  if (size > search->stem_size + most || size + most < search->stem_size) return FAR_OFF;
  unsigned distance = text_distance(search->stem, name);
  return distance <= most ? distance : FAR_OFF;
}

static void hint_write(lun_where_hint *hint, const char *prefix, const char *first, const char *second) {
  size_t room = sizeof hint->text;
  int length = snprintf(hint->text, room, "%s%s%s%s", prefix, first, second ? "." : "", second ? second : "");
  if (length >= (int)room) hint->text[utf8_cut(hint->text, room - 1)] = 0;
}

/* Takes the hint in where `name` is near enough, once. */
static void consider(Search *search, const char *name, const lun_where_hint *hint) {
  unsigned distance = stem_distance(search, name);
  if (distance == FAR_OFF) return;
  for (size_t i = 0; i < search->count; i++) {
    if (strcmp(search->hints[i].text, hint->text) == 0) return;
  }
  size_t place = search->count;
  while (place > 0 && search->distances[place - 1] > distance) place--;
  if (place == LUN_WHERE_NEAREST) return;
  if (search->count < LUN_WHERE_NEAREST) search->count++;
  for (size_t i = search->count - 1; i > place; i--) {
    search->hints[i] = search->hints[i - 1];
    search->distances[i] = search->distances[i - 1];
  }
  search->hints[place] = *hint;
  search->distances[place] = distance;
}

static void consider_name(Search *search, const char *prefix, const char *name) {
  lun_where_hint hint;
  hint_write(&hint, prefix, name, NULL);
  consider(search, name, &hint);
}

/* An import may have been meant by its bare name, too. */
static void consider_import(Search *search, const char *prefix, const lun_definition *definition) {
  const char *module = lun_definition_import_module(definition), *name = lun_definition_import_name(definition);
  if (!module) return;
  lun_where_hint hint, joined;
  hint_write(&hint, prefix, module, name);
  hint_write(&joined, "", module, name);
  consider(search, name, &hint);
  consider(search, joined.text, &hint);
}

static void consider_exports(Search *search, const char *prefix, const lun_definition *definition) {
  uint32_t count = lun_definition_export_count(definition);
  for (uint32_t i = 0; i < count; i++) consider_name(search, prefix, lun_definition_export(definition, i));
}

/* A file may have been meant by its last part alone, with or without the slash before it. */
static void consider_file(Search *search, const lun_definition *definition) {
  lun_place source;
  lun_where_hint hint;
  if (!lun_definition_place(definition, &source) || !source.file) return;
  hint_write(&hint, "file:", source.file, NULL);
  consider(search, source.file, &hint);
  const char *slash = strrchr(source.file, '/');
  if (slash) consider(search, slash, &hint);
  if (slash) consider(search, slash + 1, &hint);
}

static void definition_consider(Search *search, const lun_definition *definition) {
  switch (search->form) {
    case FORM_ANY:
      if (lun_definition_name(definition)[0] != '#') consider_name(search, "", lun_definition_name(definition));
      consider_exports(search, "", definition);
      consider_import(search, "", definition);
      break;
    case FORM_IMPORT: consider_import(search, "import:", definition); break;
    case FORM_HOST: consider_import(search, "host:", definition); break;
    case FORM_EXPORT: consider_exports(search, "export:", definition); break;
    case FORM_FILE: consider_file(search, definition); break;
    case FORM_INDEX: break;
  }
}

size_t lun_where_nearest(const lun_where *where, const lun_module *module, lun_where_hint hints[LUN_WHERE_NEAREST]) {
  Search search = { .hints = hints };
  uint32_t functions = lun_module_function_count(module);
  for (size_t i = 0; i < where->count; i++) {
    const Pattern *pattern = &where->patterns[i];
    if (pattern->is_excluded || pattern->form == FORM_INDEX) continue;
    stem_make(&search, pattern);
    for (uint32_t f = 0; search.stem_size && f < functions; f++) definition_consider(&search, lun_module_function(module, f));
  }
  return search.count;
}
