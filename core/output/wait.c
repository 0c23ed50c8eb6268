/* SPDX-License-Identifier: MIT */
/* Sleeping until a word changes, by futex(2): a condition variable would need a lock, and a fatal-signal handler,
 * which waits here too, may not take one. And membarrier(2), by which a thread that is about to sleep orders the
 * memory of those that would wake it, so that they need no barrier of their own each time.
 *
 * No wake-up is lost when the waiter reads the word first, then looks whether it has to wait, and the waker first
 * changes what the waiter looks at, then the word, then wakes: the kernel compares the word with what was seen and
 * goes to sleep as one step with respect to wakers, so either it finds the word changed and returns, or the waiter
 * is asleep before the word changes and the wake that follows finds it. */
#include <assert.h>
#include <limits.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "output.h"

static_assert(sizeof(_Atomic uint32_t) == sizeof(uint32_t), "a futex is a plain 32-bit word");

void word_wait(_Atomic uint32_t *word, uint32_t seen, int64_t timeout_ns) {
  struct timespec timeout = { timeout_ns / 1000000000, timeout_ns % 1000000000 };
  syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, seen, timeout_ns < 0 ? NULL : &timeout, NULL, 0);
}

void word_wake(_Atomic uint32_t *word) {
  syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

bool barrier_prepare(void) {
  return syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0;
}

void barrier_everywhere(void) {
  syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0);
}
