/* SPDX-License-Identifier: MIT */
/* Texts: what is UTF-8, where it may be cut, and which word somebody may have meant. */
#include <string.h>

#include "base.h"

/* The length of the sequence that starts at `at`, or 0 where it is none (RFC 3629: shortest form, no surrogates). */
static unsigned sequence_length(const uint8_t *at, size_t left) {
  uint8_t lead = at[0];
  uint8_t low = 0x80, high = 0xbf;  /* what the second byte may be */
  unsigned length;
  if (lead < 0x80) return 1;
  if (lead >= 0xc2 && lead <= 0xdf) length = 2;
  else if ((lead & 0xf0) == 0xe0) length = 3;
  else if (lead >= 0xf0 && lead <= 0xf4) length = 4;
  else return 0;
  if (left < length) return 0;
  if (lead == 0xe0) low = 0xa0;
  if (lead == 0xed) high = 0x9f;
  if (lead == 0xf0) low = 0x90;
  if (lead == 0xf4) high = 0x8f;
  if (at[1] < low || at[1] > high) return 0;
  for (unsigned i = 2; i < length; i++) {
    if ((at[i] & 0xc0) != 0x80) return 0;
  }
  return length;
}

bool utf8_valid(const uint8_t *bytes, size_t size) {
  size_t at = 0;
  while (at < size) {
    uint64_t eight;
    if (size - at >= sizeof eight) {
      memcpy(&eight, bytes + at, sizeof eight);
      if (!(eight & 0x8080808080808080u)) {
        at += sizeof eight;
        continue;
      }
    }
    unsigned length = sequence_length(bytes + at, size - at);
    if (!length) return false;
    at += length;
  }
  return true;
}

size_t utf8_cut(const char *bytes, size_t size) {
  size_t start = size;
  while (start > 0 && size - start < 3 && ((uint8_t)bytes[start - 1] & 0xc0) == 0x80) start--;
  if (start == 0) return size;
  uint8_t lead = (uint8_t)bytes[start - 1];
  unsigned length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1;
  return length > size - start + 1 ? start - 1 : size;
}

enum { WORD_MOST = 255 };  /* of longer words only so much is compared */

static unsigned least(unsigned a, unsigned b) { return a < b ? a : b; }

unsigned text_distance(const char *a, const char *b) {
  unsigned rows[3][WORD_MOST + 1];
  unsigned *before = rows[0], *above = rows[1], *row = rows[2];
  unsigned a_length = (unsigned)strnlen(a, WORD_MOST), b_length = (unsigned)strnlen(b, WORD_MOST);
  for (unsigned j = 0; j <= b_length; j++) above[j] = before[j] = j;
  for (unsigned i = 1; i <= a_length; i++) {
    row[0] = i;
    for (unsigned j = 1; j <= b_length; j++) {
      unsigned distance = above[j - 1] + (a[i - 1] != b[j - 1]);
      distance = least(distance, least(above[j], row[j - 1]) + 1);
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) distance = least(distance, before[j - 2] + 1);
      row[j] = distance;
    }
    unsigned *spare = before;
    before = above;
    above = row;
    row = spare;
  }
  return above[b_length];
}

const char *text_nearest(const char *word, const char *const *candidates, size_t count) {
  const char *nearest = NULL;
  unsigned best = (unsigned)strnlen(word, WORD_MOST) / 3;
  if (best == 0) best = 1;
  for (size_t i = 0; i < count; i++) {
    unsigned distance = text_distance(word, candidates[i]);
    if (distance > best || (nearest && distance == best)) continue;
    nearest = candidates[i];
    best = distance;
  }
  return nearest;
}

const char *lun_nearest(const char *word, const char *const *candidates, size_t count) {
  return text_nearest(word, candidates, count);
}
