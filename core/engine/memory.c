/* SPDX-License-Identifier: MIT */
/* Linear memories: mapped, grown by mremap (so their address may change), and the one checked way for host code to read
 * and write them. Core specification, 4.2.8 (Memory Instances). */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "engine.h"

/* What addresses can reach, and what a memory gets where the embedder sets no limit. Fewer than all of a process's address
 * space in either case, so that the size in bytes fits 64 bits. */
static const uint64_t most_pages = UINT64_C(1) << 16, most_pages_64 = UINT64_C(1) << 32;
static const uint64_t default_bytes = UINT64_C(4) << 30, default_bytes_64 = UINT64_C(16) << 30;

const Memory memory_none = { 0 };

static uint64_t allowed_pages(const Store *store, bool is_64) {
  uint64_t bytes = store->limits.max_memory_bytes, reach = is_64 ? most_pages_64 : most_pages;
  if (bytes == 0) bytes = is_64 ? default_bytes_64 : default_bytes;
  return bytes / LUN_PAGE < reach ? bytes / LUN_PAGE : reach;
}

static uint64_t pages_most(const Memory *memory) {
  return memory->max < memory->most ? memory->max : memory->most;
}

/* Maps or remaps to `bytes`. */
static bool memory_resize(Memory *memory, uint64_t bytes) {
  if (bytes == memory->bytes) return true;
  void *data = memory->data
                 ? mremap(memory->data, memory->bytes, bytes, MREMAP_MAYMOVE)
                 : mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (data == MAP_FAILED) return false;
  memory->data = data;
  memory->bytes = bytes;
  return true;
}

lun_status memory_create(Store *store, const Limits *limits, Memory **out, lun_error *error) {
  Memory *memory = calloc(1, sizeof *memory);
  if (!memory) return lun_error_set(error, LUN_NO_MEMORY, "out of memory");
  *memory = (Memory){ .max = limits->max, .most = allowed_pages(store, limits->is_64), .is_64 = limits->is_64, .holders = 1,
                      .store = store };
  uint64_t min = limits->min, most = pages_most(memory);
  if (min > most || !memory_resize(memory, min * LUN_PAGE)) {
    free(memory);
    if (min <= most) return lun_error_set(error, LUN_NO_MEMORY, "no memory for %llu pages", (unsigned long long)min);
    return lun_error_set(error, LUN_EXHAUSTED, "a memory of %llu pages is over the limit of %llu", (unsigned long long)min,
                         (unsigned long long)most);
  }
  if (!vec_push(&store->memories, memory)) {
    memory_drop(memory);
    free(memory);
    return lun_error_set(error, LUN_NO_MEMORY, "out of memory");
  }
  *out = memory;
  return LUN_OK;
}

void memory_drop(Memory *memory) {
  if (memory->holders == 0 || --memory->holders > 0) return;
  if (memory->data) munmap(memory->data, memory->bytes);
  memory->data = NULL;
  memory->bytes = 0;
}

uint64_t memory_grow(Memory *memory, uint64_t pages) {
  uint64_t old = memory->bytes / LUN_PAGE, most = pages_most(memory);
  if (pages > most || old > most - pages) return UINT64_MAX;
  return memory_resize(memory, (old + pages) * LUN_PAGE) ? old : UINT64_MAX;
}

static bool inside(uint64_t size, uint64_t at, uint64_t count) { return count <= size && at <= size - count; }

bool memory_init(Instance *instance, uint32_t index, uint32_t segment, uint64_t to, uint64_t from, uint64_t count) {
  Memory *memory = instance->memories[index];
  const Data *data = &instance->module->datas[segment];
  uint64_t size = instance->dropped_datas[segment] ? 0 : data->size;
  if (!inside(size, from, count) || !inside(memory->bytes, to, count)) return false;
  if (count) memcpy(memory->data + to, data->bytes + from, count);
  return true;
}

bool memory_copy(Memory *to_memory, Memory *from_memory, uint64_t to, uint64_t from, uint64_t count) {
  if (!inside(from_memory->bytes, from, count) || !inside(to_memory->bytes, to, count)) return false;
  if (count) memmove(to_memory->data + to, from_memory->data + from, count);
  return true;
}

bool memory_fill(Memory *memory, uint64_t to, uint8_t value, uint64_t count) {
  if (!inside(memory->bytes, to, count)) return false;
  if (count) memset(memory->data + to, value, count);
  return true;
}

/* ---- the door ---- */
lun_status lun_memory_create(Store *store, uint64_t min, uint64_t max, Memory **out, lun_error *error) {
  *out = NULL;
  if (min > most_pages || (max != UINT64_MAX && (max > most_pages || max < min)))
    return lun_error_set(error, LUN_USAGE, "a memory has 0 to 65536 pages, and no fewer at most than at least");
  const Limits limits = { .min = min, .max = max };
  return memory_create(store, &limits, out, error);
}

lun_status lun_memory_create_64(Store *store, uint64_t min, uint64_t max, Memory **out, lun_error *error) {
  const uint64_t most = UINT64_C(1) << 48;
  *out = NULL;
  if (min > most || (max != UINT64_MAX && (max > most || max < min)))
    return lun_error_set(error, LUN_USAGE, "a 64-bit memory has 0 to 2^48 pages, and no fewer at most than at least");
  const Limits limits = { .min = min, .max = max, .is_64 = true };
  return memory_create(store, &limits, out, error);
}

bool lun_memory_is_64(const Memory *memory) { return memory->is_64; }

uint64_t lun_memory_size(const Memory *memory) { return memory->bytes; }

/* Where an empty range in an empty memory points to. */
static uint8_t nothing[1];

const uint8_t *lun_memory_read(const Memory *memory, uint64_t address, uint64_t size) {
  if (!inside(memory->bytes, address, size)) return NULL;
  return memory->data ? memory->data + address : nothing;
}

uint8_t *lun_memory_write(Memory *memory, uint64_t address, uint64_t size) {
  if (!inside(memory->bytes, address, size)) return NULL;
  return memory->data ? memory->data + address : nothing;
}
