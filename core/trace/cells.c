/* SPDX-License-Identifier: MIT */
/* Keys, and what is counted under each: a hash table of cells within a budget of bytes. Texts are kept once, so that keys are
 * compared word by word. */
#include <string.h>

#include "tally.h"

static uint64_t mix(uint64_t hash, uint64_t word) {
  hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
  return hash ^ hash >> 29;
}

static uint64_t word_of(const lun_datum *key) {
  uint64_t word;
  memcpy(&word, &key->as, sizeof word);
  return word;
}

static uint64_t hash_of(const lun_datum *keys, size_t count) {
  uint64_t hash = count;
  for (size_t i = 0; i < count; i++) hash = mix(mix(hash, (uint64_t)keys[i].kind), word_of(&keys[i]));
  return hash;
}

static bool has_keys(const Cell *cell, const lun_datum *keys, size_t count) {
  for (size_t i = 0; i < count; i++)
    if (cell->keys[i].kind != keys[i].kind || word_of(&cell->keys[i]) != word_of(&keys[i])) return false;
  return true;
}

/* Where the cell is, or would be put. */
static size_t slot_of(const Cells *cells, uint64_t hash, const lun_datum *keys, size_t count) {
  size_t slot = (size_t)hash & (cells->slot_count - 1);
  for (const Cell *cell; (cell = cells->slots[slot]); slot = (slot + 1) & (cells->slot_count - 1))
    if (cell->hash == hash && has_keys(cell, keys, count)) break;
  return slot;
}

Cell *cells_find(const Cells *cells, const lun_datum *keys, size_t count) {
  return cells->slot_count ? cells->slots[slot_of(cells, hash_of(keys, count), keys, count)] : NULL;
}

bool cells_charge(Cells *cells, size_t size) {
  if (size > cells->budget - cells->bytes) return false;
  cells->bytes += size;
  return true;
}

static bool grow_slots(Cells *cells) {
  size_t count = cells->slot_count ? cells->slot_count * 2 : 16;
  if ((count - cells->slot_count) * sizeof(Cell *) > cells->budget - cells->bytes) return false;
  Cell **slots = calloc(count, sizeof *slots);
  if (!slots) return false;
  cells->bytes += (count - cells->slot_count) * sizeof *slots;
  for (size_t i = 0; i < cells->all.count; i++) {
    size_t slot = (size_t)cells->all.items[i]->hash & (count - 1);
    while (slots[slot]) slot = (slot + 1) & (count - 1);
    slots[slot] = cells->all.items[i];
  }
  free(cells->slots);
  cells->slots = slots;
  cells->slot_count = count;
  return true;
}

static size_t cell_size(size_t keys) { return sizeof(Cell) + keys * sizeof(lun_datum); }

Cell *cells_get(Cells *cells, const lun_datum *keys, size_t count) {
  uint64_t hash = hash_of(keys, count);
  if (LIKELY(cells->slot_count)) {
    Cell *found = cells->slots[slot_of(cells, hash, keys, count)];
    if (LIKELY(found)) return found;
  }
  if (cells->all.count * 2 >= cells->slot_count && !grow_slots(cells)) return NULL;
  if (!cells_charge(cells, cell_size(count) + sizeof(Cell *))) return NULL;
  Cell *cell = calloc(1, cell_size(count));
  if (!cell || !vec_push(&cells->all, cell)) {
    free(cell);
    cells->bytes -= cell_size(count) + sizeof(Cell *);
    return NULL;
  }
  cell->hash = hash;
  cell->index = cells->all.count - 1;
  if (count) memcpy(cell->keys, keys, count * sizeof *keys);
  cells->slots[slot_of(cells, hash, keys, count)] = cell;
  return cell;
}

/* ---- what is counted ---- */
/* All but the buckets. */
void cell_add(Cell *cell, const Cell *other) {
  double n = (double)cell->count, m = (double)other->count, off = other->mean - cell->mean;
  if (n + m > 0) {
    cell->mean += off * (m / (n + m));
    cell->squares += other->squares + off * off * (n * m / (n + m));
  }
  cell->count += other->count;
  cell->opened += other->opened;
  cell->closed += other->closed;
  cell->zeros += other->zeros;
  cell->nested += other->nested;
  lun_datum sum = datum_integer(other->sum);
  cell_add_sum(cell, &sum, 1);
  cell->has_number |= other->has_number;
  cell->sum_number += other->sum_number;
  if (other->min.kind != LUN_DATUM_NONE) cell_add_extremes(cell, &other->min);
  if (other->max.kind != LUN_DATUM_NONE) cell_add_extremes(cell, &other->max);
}

/* ---- the end of cells ---- */
static void cell_free(Cell *cell) {
  free(cell->positive.counts);
  free(cell->negative.counts);
  free(cell);
}

/* What follows in the chain moves up. Only cells without buckets are ever removed. */
void cells_remove(Cells *cells, Cell *cell, size_t keys) {
  size_t mask = cells->slot_count - 1, hole = (size_t)cell->hash & mask;
  while (cells->slots[hole] != cell) hole = (hole + 1) & mask;
  for (size_t slot = (hole + 1) & mask; cells->slots[slot]; slot = (slot + 1) & mask) {
    size_t home = (size_t)cells->slots[slot]->hash & mask;
    if (((slot - home) & mask) < ((slot - hole) & mask)) continue;
    cells->slots[hole] = cells->slots[slot];
    hole = slot;
  }
  cells->slots[hole] = NULL;
  Cell *last = cells->all.items[--cells->all.count];
  cells->all.items[cell->index] = last;
  last->index = cell->index;
  cells->bytes -= cell_size(keys) + sizeof(Cell *);
  free(cell);
}

const char *cells_text(Cells *cells, const char *text) {
  size_t size = strlen(text) + 1;
  uint64_t hash = size;
  for (size_t i = 0; i < size; i++) hash = mix(hash, (uint8_t)text[i]);
  Text **bucket = &cells->texts[hash >> 56];
  for (Text *known = *bucket; known; known = known->next)
    if (known->hash == hash && strcmp(known->text, text) == 0) return known->text;
  if (!cells_charge(cells, sizeof(Text) + size)) return NULL;
  Text *made = malloc(sizeof *made + size);
  if (!made) {
    cells->bytes -= sizeof(Text) + size;
    return NULL;
  }
  made->next = *bucket;
  made->hash = hash;
  memcpy(made->text, text, size);
  *bucket = made;
  return made->text;
}

void cells_clear(Cells *cells, bool texts) {
  size_t kept = 0;
  for (size_t i = 0; i < cells->all.count; i++) cell_free(cells->all.items[i]);
  vec_clear(&cells->all);
  free(cells->slots);
  cells->slots = NULL;
  cells->slot_count = 0;
  for (size_t i = 0; i < COUNT_OF(cells->texts); i++) {
    for (Text *text = cells->texts[i], *next; text; text = next) {
      next = text->next;
      kept += sizeof *text + strlen(text->text) + 1;
      if (texts) free(text);
    }
    if (texts) cells->texts[i] = NULL;
  }
  cells->bytes = texts ? 0 : kept;
}
