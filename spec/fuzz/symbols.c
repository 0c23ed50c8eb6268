/* SPDX-License-Identifier: MIT */
/* Fuzz target: the input is the contents of a sound module's debug sections, one after the other in the order below, each
 * behind its size in two bytes. Whatever they say, the module stays sound, and the same question has the same answer. */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

static const char *const names[] = {
  ".debug_abbrev", ".debug_info", ".debug_line", ".debug_str", ".debug_line_str", ".debug_ranges", ".debug_rnglists",
  ".debug_loc", ".debug_loclists", ".debug_addr", ".debug_str_offsets",
};
enum { SECTIONS = sizeof names / sizeof *names, BODIES = 4, BODY = 150, ROOM = 8 };

static uint8_t *leb(uint8_t *at, uint32_t number) {
  for (int i = 0; i < 5; i++) *at++ = (uint8_t)((number >> 7 * i & 0x7f) | (i < 4 ? 0x80 : 0));
  return at;
}

/* (module (func (param i32 i32) nop …) …): bodies enough to stand for a small program. */
static uint8_t *functions(uint8_t *at) {
  static const uint8_t head[] = { 0, 'a', 's', 'm', 1, 0, 0, 0, 1, 6, 1, 0x60, 2, 0x7f, 0x7f, 0, 3, BODIES + 1, BODIES };
  memcpy(at, head, sizeof head);
  at += sizeof head;
  for (int i = 0; i < BODIES; i++) *at++ = 0;
  *at++ = 10;
  at = leb(at, 1 + BODIES * (5 + BODY));
  *at++ = BODIES;
  for (int i = 0; i < BODIES; i++) {
    at = leb(at, BODY);
    memset(at, 1, BODY);
    at[0] = 0;
    at[BODY - 1] = 0x0b;
    at += BODY;
  }
  return at;
}

static uint8_t *custom(uint8_t *at, const char *name, const uint8_t *bytes, size_t size) {
  size_t name_size = strlen(name);
  *at++ = 0;
  at = leb(at, (uint32_t)(1 + name_size + size));
  *at++ = (uint8_t)name_size;
  memcpy(at, name, name_size);
  at += name_size;
  if (size) memcpy(at, bytes, size);
  return at + size;
}

static bool same(const char *a, const char *b) { return a == b || (a && b && strcmp(a, b) == 0); }

static void ask(const lun_module *module, uint64_t offset) {
  lun_place first[ROOM], again[ROOM];
  size_t count = lun_module_places(module, offset, first, ROOM);
  CHECK(lun_module_places(module, offset, again, ROOM) == count && lun_module_places(module, offset, NULL, 0) == count);
  for (size_t i = 0; i < count && i < ROOM; i++) {
    CHECK(same(first[i].function, again[i].function) && same(first[i].file, again[i].file));
    CHECK(first[i].line == again[i].line && first[i].is_inlined == again[i].is_inlined);
    CHECK(!first[i].linkage_name || strlen(first[i].linkage_name) < SIZE_MAX);
    CHECK(first[i].is_inlined == (i + 1 < count));
  }
}

static void ask_locals(const lun_module *module, uint64_t offset) {
  const lun_definition *definition = lun_module_function_at(module, offset);
  for (uint32_t local = 0; definition && local < 6; local++) {
    const char *name = lun_definition_local_name_at(definition, local, offset);
    CHECK(same(lun_definition_local_name_at(definition, local, offset), name));
    CHECK(!name || strlen(name) < SIZE_MAX);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  uint8_t *whole = malloc(size + SECTIONS * 40 + BODIES * (BODY + 8) + 64), *at = whole;
  CHECK(whole);
  at = functions(at);
  for (int i = 0; i < SECTIONS; i++) {
    size_t wanted = size >= 2 ? (size_t)(bytes[0] | bytes[1] << 8) : 0;
    size_t skipped = size >= 2 ? 2 : size;
    bytes += skipped, size -= skipped;
    if (wanted > size) wanted = size;
    at = custom(at, names[i], bytes, wanted);
    bytes += wanted, size -= wanted;
  }
  lun_store *store = fuzz_store();
  lun_module *module = NULL;
  CHECK(lun_module_create(store, whole, (size_t)(at - whole), NULL, &module, NULL) == LUN_OK);
  for (uint64_t offset = 0; offset < BODIES * (BODY + 5) + 8; offset++) {
    ask(module, offset);
    ask_locals(module, offset);
  }
  fuzz_ask_module(module);
  lun_module_destroy(module);
  lun_store_destroy(store);
  free(whole);
  return 0;
}
