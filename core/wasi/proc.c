/* SPDX-License-Identifier: MIT */
/* Arguments, variables, and the end of a process: args_*, environ_*, proc_*, sched_yield. */
#include "wasi.h"

#include <sched.h>
#include <string.h>

static Errno sizes_get(Call *call, const Strings *strings, const uint64_t *params) {
  if (!guest_holds(call, params[0], 4) || !guest_holds(call, params[1], 4)) return WASI_EFAULT;
  guest_put_u32(call, params[0], strings->count);
  return guest_put_u32(call, params[1], strings->size);
}

/* An array of addresses, and the strings that they point to. */
static Errno strings_get(Call *call, const Strings *strings, const uint64_t *params) {
  if (!guest_holds(call, params[0], (uint64_t)strings->count * 4) || !guest_holds(call, params[1], strings->size))
    return WASI_EFAULT;
  uint8_t *addresses = guest_write(call, params[0], (uint64_t)strings->count * 4);
  const char *string = strings->bytes;
  for (uint32_t i = 0; i < strings->count; i++) {
    store_u32(addresses + (size_t)i * 4, (uint32_t)params[1] + (uint32_t)(string - strings->bytes));
    string += strlen(string) + 1;
  }
  return guest_put_bytes(call, params[1], strings->bytes, strings->size);
}

Errno call_args_get(Call *call, const uint64_t *params) { return strings_get(call, &call->wasi->args, params); }
Errno call_args_sizes_get(Call *call, const uint64_t *params) { return sizes_get(call, &call->wasi->args, params); }
Errno call_environ_get(Call *call, const uint64_t *params) { return strings_get(call, &call->wasi->env, params); }
Errno call_environ_sizes_get(Call *call, const uint64_t *params) { return sizes_get(call, &call->wasi->env, params); }

Errno call_proc_exit(Call *call, const uint64_t *params) {
  int32_t code = (int32_t)(uint32_t)params[0];
  call->ended = lun_error_set(call->error, LUN_EXIT, "exit status %d", code);
  call->error->code = code;
  return WASI_ESUCCESS;
}

/* What a signal does to a process without handlers (no guest can have any). */
typedef enum Action { ACTION_IGNORE, ACTION_STOP, ACTION_END } Action;

/* The process is the guest: it ends as a shell would say it, with 128 and the signal's number in POSIX. There is nobody who
 * could continue a stopped one. */
Errno call_proc_raise(Call *call, const uint64_t *params) {
  static const struct { uint8_t action, posix; } signals[] = {
    { ACTION_IGNORE, 0 },                                                            /* none */
    { ACTION_END, 1 }, { ACTION_END, 2 }, { ACTION_END, 3 }, { ACTION_END, 4 },      /* hup int quit ill */
    { ACTION_END, 5 }, { ACTION_END, 6 }, { ACTION_END, 7 }, { ACTION_END, 8 },      /* trap abrt bus fpe */
    { ACTION_END, 9 }, { ACTION_END, 10 }, { ACTION_END, 11 }, { ACTION_END, 12 },   /* kill usr1 segv usr2 */
    { ACTION_IGNORE, 13 }, { ACTION_END, 14 }, { ACTION_END, 15 },                   /* pipe alrm term */
    { ACTION_IGNORE, 17 }, { ACTION_IGNORE, 18 },                                    /* chld cont */
    { ACTION_STOP, 19 }, { ACTION_STOP, 20 }, { ACTION_STOP, 21 }, { ACTION_STOP, 22 }, /* stop tstp ttin ttou */
    { ACTION_IGNORE, 23 }, { ACTION_END, 24 }, { ACTION_END, 25 }, { ACTION_END, 26 },  /* urg xcpu xfsz vtalrm */
    { ACTION_END, 27 }, { ACTION_IGNORE, 28 }, { ACTION_END, 29 }, { ACTION_END, 30 }, { ACTION_END, 31 } /* prof … sys */
  };
  uint32_t signal = (uint32_t)params[0];
  if (signal >= sizeof signals / sizeof *signals) return WASI_EINVAL;
  if (signals[signal].action == ACTION_STOP) return WASI_ENOTSUP;
  if (signals[signal].action == ACTION_IGNORE) return WASI_ESUCCESS;
  call->ended = lun_error_set(call->error, LUN_EXIT, "ended by signal %u of its own", signals[signal].posix);
  call->error->code = 128 + signals[signal].posix;
  return WASI_ESUCCESS;
}

Errno call_sched_yield(Call *call, const uint64_t *params) {
  (void)params;
  sched_yield();
  return call_check(call);
}
