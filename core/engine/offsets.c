/* SPDX-License-Identifier: MIT */
/* From a word of code back to its function and to the source offset of its instruction. Only words that can fail, call or
 * be interrupted are noted: two variable-length numbers each, distance in words and (zigzag) in source bytes. */
#include <stdlib.h>

#include "engine.h"

static bool put(OffsetTable *table, uint32_t number) {
  while (number >= 0x80) {
    if (!vec_push(&table->bytes, (uint8_t)(number | 0x80))) return false;
    number >>= 7;
  }
  return vec_push(&table->bytes, (uint8_t)number);
}

static uint32_t get(const uint8_t **at) {
  uint32_t number = 0;
  for (unsigned shift = 0;; shift += 7) {
    uint8_t byte = *(*at)++;
    number |= (uint32_t)(byte & 0x7f) << shift;
    if (byte < 0x80) return number;
  }
}

bool offsets_add(OffsetTable *table, uint32_t word, uint32_t offset) {
  uint32_t step = offset - table->offset;
  uint32_t zigzag = step << 1 ^ (step >> 31 ? UINT32_MAX : 0);
  if (!put(table, word - table->word) || !put(table, zigzag)) return false;
  table->word = word;
  table->offset = offset;
  return true;
}

uint32_t offsets_find(const Function *function, const Word *pc) {
  const uint8_t *at = function->offsets, *end = at ? at + function->offsets_size : NULL;
  uint32_t wanted = (uint32_t)(pc - function->code), word = 0, offset = 0;
  while (at < end) {
    word += get(&at);
    uint32_t zigzag = get(&at);
    offset += zigzag >> 1 ^ (zigzag & 1 ? UINT32_MAX : 0);
    if (word == wanted) return offset;
    if (word > wanted) break;
  }
  return UINT32_MAX;
}

static int compare_ranges(const void *a, const void *b) {
  const CodeRange *x = a, *y = b;
  return x->start < y->start ? -1 : x->start > y->start;
}

Function *code_owner(Store *store, const Word *pc) {
  if (!store->ranges_sorted) {
    qsort(store->ranges.items, store->ranges.count, sizeof *store->ranges.items, compare_ranges);
    store->ranges_sorted = true;
  }
  size_t low = 0, high = store->ranges.count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    const CodeRange *range = &store->ranges.items[middle];
    if (pc < range->start) high = middle;
    else if (pc >= range->end) low = middle + 1;
    else return range->function;
  }
  return NULL;
}

bool code_register(Function *function) {
  Store *store = function->store;
  CodeRange range = { function->code, function->code + function->code_words, function };
  store->ranges_sorted = false;
  return vec_push(&store->ranges, range);
}

void code_unregister(Instance *instance) {
  Store *store = instance->store;
  size_t kept = 0;
  for (size_t i = 0; i < store->ranges.count; i++)
    if (store->ranges.items[i].function->instance != instance) store->ranges.items[kept++] = store->ranges.items[i];
  store->ranges.count = kept;
}

uint32_t body_offset(const Definition *definition) {
  if (!definition->body) return UINT32_MAX;
  Bytes body = bytes_of(definition->body, definition->body_size);
  for (uint32_t groups = bytes_u32(&body); groups > 0 && !body.failure; groups--) {
    bytes_u32(&body);
    value_type_read(&body, NULL);
  }
  return (uint32_t)(body.at - definition->module->bytes - definition->module->code_start);
}
