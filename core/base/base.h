/* SPDX-License-Identifier: MIT */
/* What every layer uses and that knows nothing of WebAssembly: the bounded reader, the arena, growing arrays,
 * UTF-8, clocks. The table of failures (status.c) stands here too; its header is <lunette/status.h>.
 *
 * Every allocation can fail and says so; nothing here aborts. */
#ifndef LUN_BASE_H
#define LUN_BASE_H

#include <lunette/status.h>

#include <stdlib.h>
#include <time.h>

#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)
#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

/* ---- bytes: a reader that never leaves its bounds (bytes.c) ----
 * A failed read sets `failure` (a static text, the specification's wording) and `at` stays where the failure was;
 * every further read fails too, so a caller may check once after several. */
typedef struct Bytes {
  const uint8_t *start, *at, *end;
  const char *failure; /* NULL: all is well */
} Bytes;

static inline Bytes bytes_of(const void *data, size_t size) {
  Bytes b = { data, data, size ? (const uint8_t *)data + size : data, NULL };
  return b;
}
static inline size_t bytes_left(const Bytes *b) { return (size_t)(b->end - b->at); }

void bytes_fail(Bytes *b, const char *failure);  /* the first one counts; moves `end` to `at` */
uint8_t bytes_u8(Bytes *b);
uint32_t bytes_u32le(Bytes *b);
uint64_t bytes_u64le(Bytes *b);
/* LEB128 (core specification, 5.2.2): "integer representation too long", "integer too large", "unexpected end". */
uint32_t bytes_u32_long(Bytes *b);
uint64_t bytes_u64_long(Bytes *b);
int32_t bytes_s32_long(Bytes *b);
int64_t bytes_s33(Bytes *b);
int64_t bytes_s64(Bytes *b);
/* `size` bytes, borrowed; NULL where fewer are left. */
const uint8_t *bytes_take(Bytes *b, size_t size);
/* Most integers have one byte. */
static inline uint32_t bytes_u32(Bytes *b) { return LIKELY(b->at < b->end && *b->at < 0x80) ? *b->at++ : bytes_u32_long(b); }
static inline uint64_t bytes_u64(Bytes *b) { return LIKELY(b->at < b->end && *b->at < 0x80) ? *b->at++ : bytes_u64_long(b); }
static inline int32_t bytes_s32(Bytes *b) {
  return LIKELY(b->at < b->end && *b->at < 0x80) ? (int32_t)(*b->at++ ^ 0x40) - 0x40 : bytes_s32_long(b);
}

/* ---- arena: many small things that die together (arena.c) ---- */
typedef struct ArenaBlock ArenaBlock;
typedef struct Arena {
  ArenaBlock *block;
  size_t used, room;
} Arena;
/* Zero-filled storage is an empty arena. Memory is aligned to 16 and zeroed. NULL: out of memory. */
void *arena_alloc(Arena *arena, size_t size);
/* NULL on overflow too. */
void *arena_array(Arena *arena, size_t count, size_t size);
char *arena_string(Arena *arena, const char *bytes, size_t size); /* a copy, NUL-terminated */
char *arena_printf(Arena *arena, const char *format, ...) LUN_PRINTF(2, 3);
void arena_clear(Arena *arena);

/* ---- growing arrays (vec.c) ----
 * struct { T *items; size_t count, room; } and vec_push; false: out of memory, nothing changed. */
bool vec_reserve(void **items, size_t *room, size_t wanted, size_t item_size);
#define VEC(T) struct { T *items; size_t count, room; }
#define vec_grow(v, extra) \
  ((v)->count + (extra) <= (v)->room || vec_reserve((void **)&(v)->items, &(v)->room, (v)->count + (extra), sizeof *(v)->items))
#define vec_push(v, item) (vec_grow(v, 1) ? ((v)->items[(v)->count++] = (item), true) : false)
#define vec_clear(v) (free((v)->items), (v)->items = NULL, (v)->count = (v)->room = 0)

/* ---- pages (pages.c) ----
 * Fresh memory that will be written whole: its pages now, at once, and not by a fault for each. Only a hint. */
void pages_ready(void *start, size_t size);

/* ---- text ---- */
/* Whole and shortest-form UTF-8, surrogates excluded (RFC 3629). */
bool utf8_valid(const uint8_t *bytes, size_t size);
/* The largest length <= `size` that does not cut a sequence. */
size_t utf8_cut(const char *bytes, size_t size);
/* How far apart two words are (Levenshtein, transpositions count one); for "did you mean". */
unsigned text_distance(const char *a, const char *b);
/* The nearest of `count` candidates within a third of the word's length, or NULL. */
const char *text_nearest(const char *word, const char *const *candidates, size_t count);

/* ---- clocks ---- */
/* The one that never goes back. */
static inline uint64_t clock_monotonic_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

#endif
