/* SPDX-License-Identifier: MIT */
/* Prints the average of each group of numbers; groups are separated by "/". An empty group makes it trap: a division by
 * zero, of integers. The trace script average.lua shows where, and with what arguments.
 *
 *     average 1 2 3 / 10 20       →  2
 *                                    15 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Small functions would be inlined away, and what is not called cannot be traced. */
#define KEEP __attribute__((noinline))

KEEP static int sum(char **words, int count) {
  int total = 0;
  for (int i = 0; i < count; i++) total += atoi(words[i]);
  return total;
}

KEEP static int average(char **words, int count) { return sum(words, count) / count; }

KEEP static void print_group(char **words, int count, int number) {
  int value = average(words, count);
  printf("group %d: %d\n", number, value);
  fflush(stdout);
}

int main(int argc, char **argv) {
  int start = 1, number = 1;
  for (int i = 1; i <= argc; i++) {
    if (i < argc && strcmp(argv[i], "/") != 0) continue;
    print_group(argv + start, i - start, number++);
    start = i + 1;
  }
  return 0;
}
