/* SPDX-License-Identifier: MIT */
/* random_get: bytes from the kernel, in blocks, so that a run can be interrupted; or from a fixed seed. */
#include "wasi.h"

#include <errno.h>
#include <sys/random.h>

#define BLOCK 256u                     /* the kernel gives so many at once, uninterrupted */
#define BLOCKS_PER_CHECK 4096u

/* splitmix64 (public domain, Sebastiano Vigna). */
static uint64_t random_next(uint64_t *state) {
  uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
  z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
  return z ^ (z >> 31);
}

static Errno random_fill(lun_wasi *wasi, uint8_t *at, size_t size) {
  if (wasi->deterministic) {
    for (size_t i = 0; i < size; i++) at[i] = (uint8_t)(random_next(&wasi->random_state) >> 56);
    return WASI_ESUCCESS;
  }
  for (size_t done = 0; done < size;) {
    ssize_t n = getrandom(at + done, size - done, 0);
    if (n < 0 && errno != EINTR) return errno_now();
    if (n > 0) done += (size_t)n;
  }
  return WASI_ESUCCESS;
}

Errno call_random_get(Call *call, const uint64_t *params) {
  uint64_t size = (uint32_t)params[1];
  if (!guest_holds(call, params[0], size)) return WASI_EFAULT;
  unsigned blocks = 0;
  for (uint64_t done = 0; done < size; done += BLOCK) {
    uint64_t part = size - done < BLOCK ? size - done : BLOCK;
    uint8_t *at = guest_write(call, (uint32_t)params[0] + done, part);
    if (!at) return WASI_EFAULT;
    Errno failure = random_fill(call->wasi, at, (size_t)part);
    if (!failure && ++blocks % BLOCKS_PER_CHECK == 0) failure = call_check(call);
    if (failure) return failure;
  }
  return WASI_ESUCCESS;
}
