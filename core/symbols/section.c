/* SPDX-License-Identifier: MIT */
/* Where a module keeps its debug information: custom sections that are named as ELF's are. The module's bytes have been
 * decoded before, so that its sections are known to be whole. */
#include <string.h>

#include "symbols.h"

static const char *const names[DEBUG_COUNT] = {
  ".debug_abbrev", ".debug_addr", ".debug_info", ".debug_line", ".debug_line_str", ".debug_loc", ".debug_loclists",
  ".debug_ranges", ".debug_rnglists", ".debug_str", ".debug_str_offsets",
};

enum { SECTION_CUSTOM = 0, SECTION_CODE = 10, MODULE_HEADER = 8 };

/* What each byte may cost, and what is granted to the smallest: a unit in order takes a few steps a byte. */
enum { STEPS_PER_BYTE = 16, STEPS_ANYWAY = 65536 };

static void custom_take(Symbols *symbols, Bytes *b) {
  uint32_t size = bytes_u32(b);
  const uint8_t *name = bytes_take(b, size);
  for (int i = 0; name && i < DEBUG_COUNT; i++) {
    if (strlen(names[i]) != size || memcmp(names[i], name, size) != 0) continue;
    if (!symbols->sections[i].bytes) symbols->sections[i] = (Section){ b->at, bytes_left(b) };
    return;
  }
}

void sections_find(Symbols *symbols, const lun_module *module) {
  Bytes rest = bytes_of(module->bytes, module->size);
  bytes_take(&rest, MODULE_HEADER);
  while (bytes_left(&rest)) {
    uint8_t id = bytes_u8(&rest);
    uint32_t size = bytes_u32(&rest);
    const uint8_t *contents = bytes_take(&rest, size);
    if (!contents) break;
    Bytes b = bytes_of(contents, size);
    if (id == SECTION_CODE) symbols->code_size = size;
    if (id == SECTION_CUSTOM) custom_take(symbols, &b);
  }
  symbols->purse = STEPS_ANYWAY;
  for (int i = 0; i < DEBUG_COUNT; i++) symbols->purse += (uint64_t)symbols->sections[i].size * STEPS_PER_BYTE;
}

Bytes section_bytes(const Symbols *symbols, DebugSection section, uint64_t offset) {
  const Section *s = &symbols->sections[section];
  Bytes b = bytes_of(s->bytes, s->size);
  if (offset > s->size) bytes_fail(&b, "beyond the section");
  else if (offset) b.at += offset;
  return b;
}

const char *text_checked(const uint8_t *bytes, size_t size) {
  const uint8_t *end = size ? memchr(bytes, 0, size) : NULL;
  return end && utf8_valid(bytes, (size_t)(end - bytes)) ? (const char *)bytes : NULL;
}

const char *section_text(const Symbols *symbols, DebugSection section, uint64_t offset) {
  const Section *s = &symbols->sections[section];
  return offset < s->size ? text_checked(s->bytes + offset, s->size - offset) : NULL;
}
