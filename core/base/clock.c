/* SPDX-License-Identifier: MIT */
/* The clock that never goes back. */
#include <time.h>

#include "base.h"

uint64_t clock_monotonic_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}
