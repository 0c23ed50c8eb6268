/* SPDX-License-Identifier: MIT */
/* Sorts the numbers it is given, by quicksort. The trace script sort.lua counts what it does.
 *
 *     sort 3 1 2        →  1 2 3 */
#include <stdio.h>
#include <stdlib.h>

/* Small functions would be inlined away, and what is not called cannot be traced. */
#define KEEP __attribute__((noinline))

KEEP static int compare(int a, int b) { return a < b ? -1 : a > b; }

KEEP static void swap(int *numbers, int i, int j) {
  int kept = numbers[i];
  numbers[i] = numbers[j];
  numbers[j] = kept;
}

/* Puts the middle number where it belongs in first..last, the smaller ones before it; tells where that is. */
KEEP static int partition(int *numbers, int first, int last) {
  int border = first;
  swap(numbers, first + (last - first) / 2, last);
  for (int i = first; i < last; i++) {
    if (compare(numbers[i], numbers[last]) < 0) swap(numbers, i, border++);
  }
  swap(numbers, border, last);
  return border;
}

KEEP static void sort_range(int *numbers, int first, int last) {
  if (first >= last) return;
  int middle = partition(numbers, first, last);
  sort_range(numbers, first, middle - 1);
  sort_range(numbers, middle + 1, last);
}

int main(int argc, char **argv) {
  int count = argc - 1;
  int *numbers = malloc(sizeof(int) * (size_t)(count ? count : 1));
  if (!numbers) return 1;
  for (int i = 0; i < count; i++) numbers[i] = atoi(argv[i + 1]);
  sort_range(numbers, 0, count - 1);
  for (int i = 0; i < count; i++) printf(i ? " %d" : "%d", numbers[i]);
  puts("");
  free(numbers);
  return 0;
}
