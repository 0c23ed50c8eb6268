/* SPDX-License-Identifier: MIT */
/* Mangled names as their languages write them: C++ (the Itanium ABI) and Rust (legacy and v0), by libiberty. It hands out
 * text piece by piece and allocates little; names are a stranger's, and a short one can stand for text without end, so that
 * too much of it is left alone: the name stays mangled then. */
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include "symbols.h"

#ifdef LUN_HAVE_LIBIBERTY
#include <libiberty/demangle.h>

enum { TEXT_MOST = 16384, NAME_MOST = 16384, BACK_REFERENCES_MOST = 8 };

typedef struct Text {
  VEC(char) bytes;
  bool is_failed, is_out_of_memory, may_leave;
  jmp_buf leave;
} Text;

static void text_add(const char *bytes, size_t size, void *self) {
  Text *text = self;
  bool fits = !text->is_failed && text->bytes.count + size <= TEXT_MOST;
  if (fits && vec_grow(&text->bytes, size + 1)) {
    memcpy(text->bytes.items + text->bytes.count, bytes, size);
    text->bytes.count += size;
    return;
  }
  text->is_failed = true;
  text->is_out_of_memory |= fits;
  if (text->may_leave) longjmp(text->leave, 1);  /* the demangler holds nothing that would be lost */
}

/* Rust's v0 may name letters beyond ASCII, as u and a length; the demangler allocates for those. */
static bool has_punycode(const char *name, uint32_t *back_references) {
  bool found = false;
  for (const char *at = name; *at; at++) {
    found |= at[0] == 'u' && at[1] >= '0' && at[1] <= '9';
    *back_references += *at == 'B';
  }
  return found;
}

static bool is_rust_v0(const char *symbol) { return symbol[0] == '_' && symbol[1] == 'R'; }

static bool text_run(Text *text, const char *symbol) {
  if (setjmp(text->leave)) return false;
  if (rust_demangle_callback(symbol, DMGL_PARAMS | DMGL_ANSI, text_add, text)) return !text->is_failed;
  text->bytes.count = 0;
  if (is_rust_v0(symbol)) return false;
  return cplus_demangle_v3_callback(symbol, DMGL_PARAMS | DMGL_ANSI, text_add, text) && !text->is_failed;
}

static bool text_make(Text *text, const char *symbol) {
  uint32_t back_references = 0;
  text->may_leave = !is_rust_v0(symbol) || !has_punycode(symbol, &back_references);
  if (!text->may_leave && back_references > BACK_REFERENCES_MOST) return false;
  return text_run(text, symbol);
}

bool lun_can_demangle(void) { return true; }

static char *demangle(const char *symbol, bool *is_out_of_memory) {
  if (symbol[0] != '_' || (symbol[1] != 'Z' && symbol[1] != 'R') || strlen(symbol) > NAME_MOST) return NULL;
  Text text = { .bytes.count = 0 };
  bool done = text_make(&text, symbol) && text.bytes.count > 0 && vec_grow(&text.bytes, 1);
  done = done && utf8_valid((const uint8_t *)text.bytes.items, text.bytes.count) &&
         !memchr(text.bytes.items, 0, text.bytes.count);
  if (!done) {
    *is_out_of_memory = text.is_out_of_memory;
    vec_clear(&text.bytes);
    return NULL;
  }
  text.bytes.items[text.bytes.count] = 0;
  return text.bytes.items;
}
#else
bool lun_can_demangle(void) { return false; }

static char *demangle(const char *symbol, bool *is_out_of_memory) {
  (void)symbol, (void)is_out_of_memory;
  return NULL;
}
#endif

char *lun_demangle(const char *symbol) {
  bool ignored;
  return demangle(symbol, &ignored);
}

const char *lun_definition_name(const lun_definition *definition) {
  if (definition->shown_name) return definition->shown_name;
  const char *raw = lun_definition_raw_name(definition);
  lun_definition *writable = (lun_definition *)(uintptr_t)definition;
  bool is_out_of_memory = false;
  char *text = definition->module ? demangle(raw, &is_out_of_memory) : NULL;
  const char *copy = text ? arena_string(&definition->module->arena, text, strlen(text)) : NULL;
  is_out_of_memory |= text && !copy;
  free(text);
  if (is_out_of_memory) return raw;  /* this time */
  return writable->shown_name = copy ? copy : raw;
}

size_t lun_name_stem(const char *name) {
  size_t size = strlen(name), end = size;
  static const char *const tails[] = { " const", " volatile", " &", "&" };
  for (size_t i = 0; i < sizeof tails / sizeof *tails; i++) {
    size_t tail = strlen(tails[i]);
    if (end > tail && memcmp(name + end - tail, tails[i], tail) == 0) end -= tail, i = (size_t)-1;
  }
  if (!end || name[end - 1] != ')') return size;
  unsigned depth = 0;
  while (end > 0) {
    end--;
    depth += name[end] == ')';
    if (name[end] == '(' && --depth == 0) break;
  }
  return end ? end : size;
}
