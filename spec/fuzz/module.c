/* SPDX-License-Identifier: MIT */
/* Fuzz target: decodes and validates the input as a module and asks everything that can be asked about it. */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  lun_store *store = fuzz_store();
  lun_module *module = fuzz_module(store, bytes, size);
  if (module) fuzz_ask_module(module);
  lun_module_destroy(module);
  lun_store_destroy(store);
  return 0;
}
