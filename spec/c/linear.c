/* SPDX-License-Identifier: MIT */
/* Modules of shapes that ask for more work or memory than their bytes seem to be worth (one large thing, many small ones,
 * counts that promise what does not follow), each at three sizes. Each is read once, by lun_module_create, and the bytes that
 * this asked of the allocator are told. What the instructions are is for callgrind to count; spec/engine/limits_spec.lua
 * compares. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lunette/lunette.h>

enum { SIZES = 3, FIRST = 1000 };

/* ---- bytes that make a module ---- */
typedef struct Out {
  uint8_t *bytes;
  size_t size;
} Out;

static void put(Out *out, uint8_t byte) { out->bytes[out->size++] = byte; }
static void put_u32(Out *out, uint32_t number) {
  for (; number >= 0x80; number >>= 7) put(out, (uint8_t)(number | 0x80));
  put(out, (uint8_t)number);
}
static void put_many(Out *out, uint32_t count, const char *bytes, size_t size) {
  for (uint32_t i = 0; i < count; i++)
    for (size_t k = 0; k < size; k++) put(out, (uint8_t)bytes[k]);
}
#define MANY(out, count, text) put_many(out, count, text, sizeof(text) - 1)
#define ONCE(out, text) MANY(out, 1, text)

static void put_section(Out *out, uint8_t id, const Out *contents) {
  put(out, id);
  put_u32(out, (uint32_t)contents->size);
  memcpy(out->bytes + out->size, contents->bytes, contents->size);
  out->size += contents->size;
}

/* One function of no params around these instructions, in a module of its own. */
static void put_function(Out *out, const Out *body) {
  static uint8_t room[1 << 20];
  Out code = { room, 0 };
  ONCE(out, "\0asm\1\0\0\0\1\4\1\x60\0\0\3\2\1\0");
  put_u32(&code, 1);
  put_u32(&code, (uint32_t)body->size);
  memcpy(code.bytes + code.size, body->bytes, body->size);
  code.size += body->size;
  put_section(out, 10, &code);
}

static uint8_t scratch[1 << 20];

/* ---- the shapes ---- */
static void blocks_nested(Out *out, uint32_t n) {
  Out body = { scratch, 0 };
  put(&body, 0);
  MANY(&body, n, "\2\x40");
  MANY(&body, n, "\x0b");
  put(&body, 0x0b);
  put_function(out, &body);
}

static void branches_outwards(Out *out, uint32_t n) {
  Out body = { scratch, 0 };
  put(&body, 0);
  MANY(&body, 100, "\2\x40");
  MANY(&body, n, "\x41\0\x0d\x63");
  MANY(&body, 101, "\x0b");
  put_function(out, &body);
}

static void branch_table(Out *out, uint32_t n) {
  Out body = { scratch, 0 };
  ONCE(&body, "\0\2\x40\x41\0\x0e");
  put_u32(&body, n);
  MANY(&body, n + 1, "\0");
  ONCE(&body, "\x0b\x0b");
  put_function(out, &body);
}

static void local_groups(Out *out, uint32_t n) {
  Out body = { scratch, 0 };
  put_u32(&body, n);
  MANY(&body, n, "\1\x7f");
  MANY(&body, n, "\x20\5\x1a");
  put(&body, 0x0b);
  put_function(out, &body);
}

static void operands(Out *out, uint32_t n) {
  Out body = { scratch, 0 };
  put(&body, 0);
  MANY(&body, n, "\x41\0");
  MANY(&body, n, "\x1a");
  put(&body, 0x0b);
  put_function(out, &body);
}

static void functions(Out *out, uint32_t n) {
  Out part = { scratch, 0 };
  ONCE(out, "\0asm\1\0\0\0\1\4\1\x60\0\0");
  put_u32(&part, n);
  MANY(&part, n, "\0");
  put_section(out, 3, &part);
  part.size = 0;
  put_u32(&part, n);
  MANY(&part, n, "\2\0\x0b");
  put_section(out, 10, &part);
}

static void types(Out *out, uint32_t n) {
  Out part = { scratch, 0 };
  ONCE(out, "\0asm\1\0\0\0");
  put_u32(&part, n);
  MANY(&part, n, "\x60\1\x7f\0");
  put_section(out, 1, &part);
}

/* Names in no order, that differ in their last letters alone. */
static void exports(Out *out, uint32_t n) {
  Out part = { scratch, 0 };
  ONCE(out, "\0asm\1\0\0\0\1\4\1\x60\0\0\3\2\1\0");
  put_u32(&part, n);
  for (uint32_t i = 0; i < n; i++) {
    char name[8];
    snprintf(name, sizeof name, "aa%05u", i * 7919 % 100000);
    put(&part, 7);
    put_many(&part, 1, name, 7);
    ONCE(&part, "\0\0");
  }
  put_section(out, 7, &part);
  ONCE(out, "\x0a\4\1\2\0\x0b");
}

static void data_segments(Out *out, uint32_t n) {
  Out part = { scratch, 0 };
  ONCE(out, "\0asm\1\0\0\0\5\3\1\0\1");
  put_u32(&part, n);
  MANY(&part, n, "\0\x41\0\x0b\1x");
  put_section(out, 11, &part);
}

static void element_segments(Out *out, uint32_t n) {
  Out part = { scratch, 0 };
  ONCE(out, "\0asm\1\0\0\0\4\4\1\x70\0\1");
  put_u32(&part, n);
  MANY(&part, n, "\0\x41\0\x0b\0");
  put_section(out, 9, &part);
}

static void custom_sections(Out *out, uint32_t n) {
  ONCE(out, "\0asm\1\0\0\0");
  MANY(out, n, "\0\5\4name");
}

/* As many functions as the section has bytes are promised, and more follow nowhere. */
static void empty_promise(Out *out, uint32_t n) {
  Out part = { scratch, 0 };
  ONCE(out, "\0asm\1\0\0\0\1\4\1\x60\0\0");
  put_u32(&part, n);
  MANY(&part, n - 1, "\0");
  put(&part, 0x80);
  put_section(out, 3, &part);
}

static void dead_code(Out *out, uint32_t n) {
  Out body = { scratch, 0 };
  ONCE(&body, "\0\0");
  MANY(&body, n, "\2\x40\0\x0b");
  put(&body, 0x0b);
  put_function(out, &body);
}

static const struct Shape {
  const char *name;
  void (*make)(Out *out, uint32_t n);
} shapes[] = {
  { "nested blocks", blocks_nested }, { "branches", branches_outwards }, { "a table of branches", branch_table },
  { "groups of locals", local_groups }, { "operands", operands }, { "functions", functions }, { "types", types },
  { "exports", exports }, { "data segments", data_segments }, { "element segments", element_segments },
  { "custom sections", custom_sections }, { "an empty promise", empty_promise }, { "dead code", dead_code },
};
enum { SHAPES = sizeof shapes / sizeof *shapes };

/* ---- what reading takes ---- */
static unsigned long asked; /* bytes */

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size) { asked += size; return __real_malloc(size); }
void *__wrap_calloc(size_t count, size_t size) { asked += count * size; return __real_calloc(count, size); }
void *__wrap_realloc(void *old, size_t size) { asked += size; return __real_realloc(old, size); }

static void keep(void *self, const void *bytes, size_t size) { (void)self, (void)bytes, (void)size; }

static void read_one(lun_store *store, const Out *out, const char *name, int size) {
  const lun_module_options options = { .release = keep };
  lun_module *module = NULL;
  asked = 0;
  lun_status status = lun_module_create(store, out->bytes, out->size, &options, &module, NULL);
  printf("%s, %d: %lu bytes, %s\n", name, size, asked, lun_status_name(status));
  lun_module_destroy(module);
}

int main(void) {
  static uint8_t room[1 << 21];
  lun_store *store;
  if (lun_store_create(NULL, &store, NULL) != LUN_OK) return 1;
  for (int i = 0; i < SHAPES; i++) {
    for (int size = 0; size < SIZES; size++) {
      Out out = { room, 0 };
      shapes[i].make(&out, FIRST << size);
      read_one(store, &out, shapes[i].name, size);
    }
  }
  lun_store_destroy(store);
  return 0;
}
