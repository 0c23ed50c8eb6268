/* SPDX-License-Identifier: MIT */
/* Pages asked for many at a time. In: a range that is about to be written from end to end. Out: nothing but time. */
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base.h"

enum { FEWEST_BYTES = 64 * 1024 }; /* below, the call costs what it saves */

void pages_ready(void *start, size_t size) {
#ifdef MADV_POPULATE_WRITE /* Linux 5.14; where the kernel refuses it, the pages come one by one */
  if (size < FEWEST_BYTES) return;
  uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), over = (uintptr_t)start % page;
  size_t skipped = over ? page - over : 0;
  (void)madvise((uint8_t *)start + skipped, (size - skipped) / page * page, MADV_POPULATE_WRITE);
#else
  (void)start, (void)size;
#endif
}
