/* SPDX-License-Identifier: MIT */
/* Clocks: clock_res_get, clock_time_get. The host's own, or in a deterministic run one that a reading moves on. */
#include "wasi.h"

#define CLOCK_COUNT 4       /* realtime, monotonic, process and thread CPU time */
#define TICK_NS 1000u       /* deterministic: a reading takes so long */
#define BEGINNING_NS (UINT64_C(946684800) * NS_PER_SECOND) /* deterministic: 2000-01-01 */

static const clockid_t host_clocks[CLOCK_COUNT] = {
  CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID
};

static uint64_t nanoseconds(const struct timespec *time) {
  return (uint64_t)time->tv_sec * NS_PER_SECOND + (uint64_t)time->tv_nsec;
}

Errno clock_now(lun_wasi *wasi, uint32_t id, uint64_t *ns) {
  if (id >= CLOCK_COUNT) return WASI_EINVAL;
  if (wasi->deterministic) {
    wasi->ticks += TICK_NS;
    *ns = id == 0 ? BEGINNING_NS + wasi->ticks : wasi->ticks;
    return WASI_ESUCCESS;
  }
  struct timespec time;
  if (clock_gettime(host_clocks[id], &time) < 0) return errno_now();
  *ns = nanoseconds(&time);
  return WASI_ESUCCESS;
}

Errno call_clock_res_get(Call *call, const uint64_t *params) {
  uint32_t id = (uint32_t)params[0];
  struct timespec resolution = { .tv_nsec = TICK_NS };
  if (id >= CLOCK_COUNT) return WASI_EINVAL;
  if (!call->wasi->deterministic && clock_getres(host_clocks[id], &resolution) < 0) return errno_now();
  return guest_put_u64(call, params[1], nanoseconds(&resolution));
}

Errno call_clock_time_get(Call *call, const uint64_t *params) {
  uint64_t ns;
  if (!guest_holds(call, params[2], 8)) return WASI_EFAULT;
  Errno failure = clock_now(call->wasi, (uint32_t)params[0], &ns);
  return failure ? failure : guest_put_u64(call, params[2], ns);
}
