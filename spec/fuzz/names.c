/* SPDX-License-Identifier: MIT */
/* Fuzz target: the input is the contents of the name section of a sound module. Whatever it says, the module stays sound. */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

/* (module (import "m" "f" (func (param i32 i64))) (memory (export "memory") 1)
 *   (func (export "a") (export "b") (param i32) (local f32 f32)) (func (result i32) i32.const 0)) */
static const uint8_t before[] = {
  0, 'a', 's', 'm', 1, 0, 0, 0,
  1, 14, 3, 0x60, 2, 0x7f, 0x7e, 0, 0x60, 1, 0x7f, 0, 0x60, 0, 1, 0x7f,
  2, 7, 1, 1, 'm', 1, 'f', 0, 0,
  3, 3, 2, 1, 2,
  5, 3, 1, 0, 1,
  7, 18, 3, 6, 'm', 'e', 'm', 'o', 'r', 'y', 2, 0, 1, 'a', 0, 1, 1, 'b', 0, 1,
  10, 11, 2, 4, 1, 2, 0x7d, 0x0b, 4, 0, 0x41, 0, 0x0b,
};
static const uint8_t name[] = { 4, 'n', 'a', 'm', 'e' };

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  uint8_t *whole = malloc(sizeof before + 6 + sizeof name + size), *at = whole;
  CHECK(whole);
  memcpy(at, before, sizeof before);
  at += sizeof before;
  *at++ = 0;
  uint32_t contents = (uint32_t)(sizeof name + size);
  for (int i = 0; i < 5; i++) *at++ = (uint8_t)((contents >> 7 * i & 0x7f) | (i < 4 ? 0x80 : 0));
  memcpy(at, name, sizeof name);
  at += sizeof name;
  if (size) memcpy(at, bytes, size);
  at += size;

  lun_store *store = fuzz_store();
  lun_module *module = fuzz_module(store, whole, (size_t)(at - whole));
  CHECK(module);
  CHECK(lun_module_function_count(module) == 3);
  fuzz_ask_module(module);
  lun_module_destroy(module);
  lun_store_destroy(store);
  free(whole);
  return 0;
}
