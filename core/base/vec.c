/* SPDX-License-Identifier: MIT */
/* Growth of the arrays that vec_push and vec_grow work on: doubling, so that pushing is linear in the end. */
#include <stdlib.h>
#include <string.h>

#include "base.h"

bool vec_reserve(void **items, size_t *room, size_t wanted, size_t item_size) {
  if (wanted <= *room) return true;
  size_t larger = *room < 8 ? 8 : *room > SIZE_MAX / 2 ? wanted : *room * 2;
  if (larger < wanted) larger = wanted;
  size_t bytes;
  if (__builtin_mul_overflow(larger, item_size, &bytes)) return false;
  /* `items` points to a pointer of another type: read and written as bytes, which may alias anything. */
  void *memory;
  memcpy(&memory, items, sizeof memory);
  memory = realloc(memory, bytes);
  if (!memory) return false;
  memcpy(items, &memory, sizeof memory);
  *room = larger;
  return true;
}
