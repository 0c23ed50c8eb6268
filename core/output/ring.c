/* SPDX-License-Identifier: MIT */
/* The ring: bytes of records from one producer to one consumer, without a lock and without allocation.
 *
 * Memory order. Payload and header are written before `head` is stored (release) and read after it is loaded
 * (acquire), so the consumer sees whole records only. They are read before `tail` is stored (release) and
 * overwritten after it is loaded (acquire), so the producer never writes into what is still being read. Each side
 * keeps the last value that it saw of the other's position and looks again only when that is not enough: while
 * both run, neither touches the other's cache line per record.
 *
 * How the two find each other asleep is another matter, and stands in output.c. */
#include <stdlib.h>
#include <string.h>

#include "output.h"

static uint64_t record_bytes(size_t size) {
  return sizeof(RecordHeader) + (((uint64_t)size + 7) & ~(uint64_t)7);
}

bool ring_init(Ring *ring, size_t size) {
  ring->bytes = aligned_alloc(CACHE_LINE, size);
  ring->size = size;
  atomic_init(&ring->head, 0);
  atomic_init(&ring->tail, 0);
  ring->tail_seen = ring->cursor = ring->head_seen = 0;
  return ring->bytes != NULL;
}

void ring_clear(Ring *ring) {
  free(ring->bytes);
  ring->bytes = NULL;
}

uint64_t ring_head(const Ring *ring) {
  return atomic_load_explicit(&ring->head, memory_order_seq_cst);
}

bool ring_is_half_empty(const Ring *ring) {
  uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_acquire); /* first: head never falls behind it */
  return ring_head(ring) - tail <= ring->size / 2;
}

/* ---- the producer ---- */

static bool ring_has_room(Ring *ring, size_t size) {
  uint64_t end = atomic_load_explicit(&ring->head, memory_order_relaxed) + record_bytes(size);
  if (LIKELY(end - ring->tail_seen <= ring->size)) return true;
  ring->tail_seen = atomic_load_explicit(&ring->tail, memory_order_acquire);
  return end - ring->tail_seen <= ring->size;
}

bool ring_put(Ring *ring, RecordKind kind, const void *payload, size_t size) {
  if (UNLIKELY(!ring_has_room(ring, size))) return false;
  uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
  RecordHeader header = { (uint32_t)size, (uint16_t)kind, 0 };
  memcpy(ring->bytes + (head & (ring->size - 1)), &header, sizeof header);
  uint64_t at = (head + sizeof header) & (ring->size - 1);
  if (LIKELY(size <= ring->size - at)) {
    memcpy(ring->bytes + at, payload, size);
  } else {
    size_t first = (size_t)(ring->size - at);
    memcpy(ring->bytes + at, payload, first);
    memcpy(ring->bytes, (const uint8_t *)payload + first, size - first);
  }
  atomic_store_explicit(&ring->head, head + record_bytes(size), memory_order_release);
  return true;
}

void ring_confirm(Ring *ring) {
  uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
  atomic_store_explicit(&ring->head, head, memory_order_seq_cst);
}

/* ---- the consumer ---- */

bool ring_peek(Ring *ring, Record *record) {
  if (ring->cursor == ring->head_seen) {
    ring->head_seen = ring_head(ring);
    if (ring->cursor == ring->head_seen) return false;
  }
  memcpy(&record->header, ring->bytes + (ring->cursor & (ring->size - 1)), sizeof record->header);
  uint64_t at = (ring->cursor + sizeof record->header) & (ring->size - 1);
  size_t size = record->header.size, until_end = (size_t)(ring->size - at);
  record->first = ring->bytes + at;
  record->first_size = size < until_end ? size : until_end;
  record->second = ring->bytes;
  record->second_size = size - record->first_size;
  return true;
}

void ring_pop(Ring *ring, const Record *record) {
  ring->cursor += record_bytes(record->header.size);
}

void ring_release(Ring *ring) {
  atomic_store_explicit(&ring->tail, ring->cursor, memory_order_release);
}
