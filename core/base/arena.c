/* SPDX-License-Identifier: MIT */
/* Memory for many small things that die together. Blocks come zeroed from calloc, each twice as large as the one
 * before, up to 64 KiB; what would waste much of a block gets one of its own, behind the current one.
 *
 *     arena->block → current block → older block → … → NULL
 *                    [next|pad][used ………][free ……] */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base.h"

enum { ARENA_ALIGN = 16, ARENA_FIRST = 1024, ARENA_MOST = 65536 };

struct ArenaBlock {
  ArenaBlock *next;
  size_t size;  /* keeps the contents aligned, and tells a debugger how much there is */
};

static ArenaBlock *block_create(size_t size) {
  if (size > SIZE_MAX - sizeof(ArenaBlock)) return NULL;
  ArenaBlock *block = calloc(1, sizeof *block + size);
  if (!block) return NULL;
  if (size > ARENA_MOST) pages_ready(block, sizeof *block + size);
  block->size = size;
  return block;
}

static void *block_contents(ArenaBlock *block) { return (uint8_t *)block + sizeof *block; }

void *arena_alloc(Arena *arena, size_t size) {
  if (size > SIZE_MAX - ARENA_ALIGN) return NULL;
  size = (size + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
  if (size <= arena->room - arena->used && arena->block) {
    void *memory = (uint8_t *)block_contents(arena->block) + arena->used;
    arena->used += size;
    return memory;
  }
  size_t room = arena->room ? arena->room * 2 : ARENA_FIRST;
  if (room > ARENA_MOST) room = ARENA_MOST;
  bool alone = size > room / 4;
  ArenaBlock *block = block_create(alone ? size : room);
  if (!block) return NULL;
  if (alone && arena->block) {
    block->next = arena->block->next;
    arena->block->next = block;
    return block_contents(block);
  }
  block->next = arena->block;
  arena->block = block;
  arena->room = block->size;
  arena->used = size;
  return block_contents(block);
}

void *arena_array(Arena *arena, size_t count, size_t size) {
  size_t bytes;
  if (__builtin_mul_overflow(count, size, &bytes)) return NULL;
  return arena_alloc(arena, bytes);
}

char *arena_string(Arena *arena, const char *bytes, size_t size) {
  if (size == SIZE_MAX) return NULL;
  char *copy = arena_alloc(arena, size + 1);
  if (copy && size) memcpy(copy, bytes, size);
  return copy;
}

char *arena_printf(Arena *arena, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(NULL, 0, format, arguments);
  va_end(arguments);
  char *text = length < 0 ? NULL : arena_alloc(arena, (size_t)length + 1);
  if (!text) return NULL;
  va_start(arguments, format);
  vsnprintf(text, (size_t)length + 1, format, arguments);
  va_end(arguments);
  return text;
}

void arena_clear(Arena *arena) {
  for (ArenaBlock *block = arena->block; block;) {
    ArenaBlock *next = block->next;
    free(block);
    block = next;
  }
  memset(arena, 0, sizeof *arena);
}
