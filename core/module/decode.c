/* SPDX-License-Identifier: MIT */
/* Bytes in, a Module out: the header, the order of the sections, and whose the bytes are. What stands in a section is
 * in sections.c. Time and memory are linear in the bytes: nothing is allocated by a count that the bytes behind it
 * cannot hold. Core specification, 5.5 (Modules). */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "decode.h"

const char *later_sentence(const Later *later, char *buffer, size_t room) {
  size_t length = strlen(later->proposal);
  bool plural = length && later->proposal[length - 1] == 's';
  snprintf(buffer, room, "%s %s not supported", later->proposal, plural ? "are" : "is");
  return buffer;
}

/* Where a type was expected: is it one of a later version? */
static bool later_type_met(const Bytes *b, Later *later) {
  return strncmp(b->failure, "malformed ", 10) == 0 && strstr(b->failure, " type") && later_type(*b->at, later);
}

lun_status malformed_set(lun_error *error, const lun_module *module, const Bytes *b, const Later *later, const char *place) {
  char sentence[64];
  Later type = { NULL, NULL };
  lun_status kind = b->failure == unknown_type ? LUN_INVALID : LUN_MALFORMED;
  if (later->proposal) {
    lun_error_set(error, LUN_MALFORMED, "%s (%s, %s)", later_sentence(later, sentence, sizeof sentence), later->text, place);
  } else if (later_type_met(b, &type)) {
    lun_error_set(error, LUN_MALFORMED, "%s: %s (%s, %s)", b->failure, later_sentence(&type, sentence, sizeof sentence),
                  type.text, place);
  } else {
    lun_error_set(error, kind, "%s (%s)", b->failure, place);
  }
  if (error) error->offset = (uint64_t)(b->at - module->bytes);
  return kind;
}

bool decode_fail(Decoder *d, lun_status kind, const char *format, ...) {
  if (d->error.kind != LUN_OK || d->b.failure) return false;
  char text[sizeof d->error.message];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  lun_error_set(&d->error, kind, d->place ? "%s (%s)" : "%s", text, d->place);
  d->error.offset = (uint64_t)(d->b.at - d->module->bytes);
  return false;
}

/* ---- the header ---- */

static bool looks_like_text(const uint8_t *bytes, size_t size) {
  size_t at = 0;
  while (at < size && (bytes[at] == ' ' || bytes[at] == '\n' || bytes[at] == '\r' || bytes[at] == '\t')) at++;
  if (size - at < 2) return false;
  const char *start = (const char *)bytes + at;
  return memcmp(start, "(m", 2) == 0 || memcmp(start, ";;", 2) == 0 || memcmp(start, "(;", 2) == 0;
}

static bool magic_decode(Decoder *d) {
  static const uint8_t magic[4] = { 0x00, 'a', 's', 'm' };
  const uint8_t *bytes = d->b.at;
  size_t size = bytes_left(&d->b), there = size < 4 ? size : 4;
  if (size == 0) return decode_fail(d, LUN_MALFORMED, "unexpected end: there are no bytes");
  if (there < 4 && memcmp(bytes, magic, there) != 0) {
    return decode_fail(d, LUN_MALFORMED, "unexpected end: this is no WebAssembly module");
  }
  if (memcmp(bytes, magic, there) != 0) {
    return decode_fail(d, LUN_MALFORMED, looks_like_text(bytes, size)
                       ? "magic header not detected: this is WebAssembly's text format, not the binary one"
                       : "magic header not detected: this is no WebAssembly module");
  }
  return bytes_take(&d->b, 4) != NULL;
}

static bool version_decode(Decoder *d) {
  const uint8_t *start = d->b.at;
  uint32_t version = bytes_u32le(&d->b);
  if (d->b.failure || version == 1) return !d->b.failure;
  d->b.at = start;
  if (version >> 16 == 1) {
    return decode_fail(d, LUN_MALFORMED, "unknown binary version: this is a component, not a core module; components are not "
                       "supported");
  }
  return decode_fail(d, LUN_MALFORMED, "unknown binary version: %u, only version 1 is known", version);
}

/* ---- sections ---- */

static const char *const section_places[] = {
  "custom section", "type section", "import section", "function section", "table section", "memory section", "global section",
  "export section", "start section", "element section", "code section", "data section", "data count section",
  "tag section",
};

/* Where a section stands in the prescribed order; 0: anywhere. Tags come before globals, data count before code. */
static const uint8_t section_ranks[COUNT_OF(section_places)] = { 0, 1, 2, 3, 4, 5, 7, 8, 9, 10, 12, 13, 11, 6 };

static bool section_head(Decoder *d, Bytes *rest, uint8_t *id, unsigned *rank) {
  d->b = *rest;
  d->place = "section header";
  *id = bytes_u8(&d->b);
  if (*id >= COUNT_OF(section_places)) {
    d->b.at--;
    return decode_fail(d, LUN_MALFORMED, "malformed section id: %u", *id);
  }
  d->place = section_places[*id];
  uint32_t size = bytes_u32(&d->b);
  if (d->b.failure) return false;
  if (size > bytes_left(&d->b)) {
    return decode_fail(d, LUN_MALFORMED, "length out of bounds: %u bytes announced, %zu left", size, bytes_left(&d->b));
  }
  if (*id && section_ranks[*id] <= *rank) {
    return decode_fail(d, LUN_MALFORMED, "unexpected content after last section: out of order, or twice");
  }
  if (*id) *rank = section_ranks[*id];
  d->b.end = d->b.at + size;
  return true;
}

static bool sections_decode(Decoder *d) {
  Bytes rest = d->b;
  unsigned rank = 0;
  while (bytes_left(&rest)) {
    uint8_t id;
    if (!section_head(d, &rest, &id, &rank)) return false;
    rest.at = d->b.end;
    if (!section_decode(d, id)) return false;
    if (bytes_left(&d->b)) {
      return decode_fail(d, LUN_MALFORMED, "section size mismatch: %zu bytes too many", bytes_left(&d->b));
    }
  }
  d->b = rest;
  d->place = "end of the module";
  return sections_finish(d);
}

static bool module_bytes_decode(Decoder *d) {
  uint64_t most = d->module->limits.max_module_bytes;
  if (d->module->size > most) {
    return decode_fail(d, LUN_MALFORMED, "the module has %zu bytes, the limit is %llu", d->module->size,
                       (unsigned long long)most);
  }
  d->place = "header";
  return magic_decode(d) && version_decode(d) && sections_decode(d);
}

/* ---- the module as an object ---- */

static void copy_release(void *self, const void *bytes, size_t size) {
  (void)self, (void)size;
  free((void *)(uintptr_t)bytes);
}

/* The module object, with nothing decoded. NULL: out of memory; the bytes are released. */
static lun_module *module_allocate(const void *bytes, size_t size, const lun_module_options *options) {
  bool borrowed = options && options->release;
  lun_module *module = calloc(1, sizeof *module);
  void *copy = borrowed || !module ? NULL : malloc(size ? size : 1);
  if (!module || (!borrowed && !copy)) {
    free(module);
    if (borrowed) options->release(options->self, bytes, size);
    return NULL;
  }
  if (copy && size) memcpy(copy, bytes, size);
  module->bytes = borrowed ? bytes : copy;
  module->size = size;
  module->release = borrowed ? options->release : copy_release;
  module->release_self = borrowed ? options->self : NULL;
  module->holders = 1;
  return module;
}

lun_status module_decode(const void *bytes, size_t size, const lun_module_options *options, const lun_limits *limits,
                         lun_module **out, lun_error *error) {
  *out = NULL;
  lun_module *module = module_allocate(bytes, size, options);
  if (!module) return lun_error_set(error, LUN_NO_MEMORY, "not enough memory for a module of %zu bytes", size);
  module->limits = *limits;
  Decoder d = { .module = module, .b = bytes_of(module->bytes, size), .skim.module = module, .error = LUN_ERROR_INIT };
  bool done = true;
  if (options && options->name) {
    module->given_name = arena_string(&module->arena, options->name, strlen(options->name));
    if (!module->given_name) done = decode_fail(&d, LUN_NO_MEMORY, "not enough memory");
  }
  done = done && module_bytes_decode(&d);
  if (!done && d.error.kind == LUN_OK) malformed_set(&d.error, module, &d.b, &d.skim.later, d.place);
  skim_clear(&d.skim);
  if (done) {
    *out = module;
    return LUN_OK;
  }
  module_release(module);
  if (error && error->kind == LUN_OK) *error = d.error;
  return d.error.kind;
}

lun_module *module_retain(lun_module *module) {
  module->holders++;
  return module;
}

void module_release(lun_module *module) {
  if (!module || --module->holders) return;
  names_clear(module);
  if (module->symbols) module->symbols_destroy(module->symbols);
  arena_clear(&module->arena);
  module->release(module->release_self, module->bytes, module->size);
  free(module);
}
