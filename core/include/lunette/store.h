/* SPDX-License-Identifier: MIT */
/* A store owns everything that lives while guests run: the stacks, the ids of calls, instances, memories,
 * tables, globals, host functions and attachments. Core specification, 4.2.3 (Store).
 *
 * Threads: a store and all it owns belong to one thread at a time; only lun_store_interrupt and
 * lun_store_expire may be called from any thread, and from a signal handler. Stores are independent.
 * Lifetime: what the store owns lives until lun_store_destroy; lun_instance_close frees the bulk earlier. */
#ifndef LUNETTE_STORE_H
#define LUNETTE_STORE_H

#include <lunette/status.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct lun_store lun_store;
struct pollfd;

/* What a guest may have. Zero stands for the default. What goes beyond ends as told here; nothing else is affected. */
typedef struct lun_limits {
  /* Of a module; the defaults are the most, too. lun_module_create fails with LUN_INVALID (max_module_bytes: LUN_MALFORMED)
   * and names the limit. */
  uint64_t max_module_bytes;  /* 1 GiB */
  uint32_t max_types;         /* 1,000,000 */
  uint32_t max_functions;     /* 1,000,000, imported ones not counted */
  uint32_t max_locals;        /* of a function, params not counted: 50,000 */
  uint32_t max_nesting;       /* blocks inside one another: 1,000,000 */
  uint32_t max_body_bytes;    /* of a function: 30,617,284 */
  /* Of an instance. A memory or table that begins larger is LUN_EXHAUSTED; one that would grow beyond does not grow. */
  uint64_t max_memory_bytes;  /* of each memory, rounded down to pages: 4 GiB, 16 GiB with 64-bit addresses */
  uint32_t max_table_elements;/* of each table: 10,000,000 */
  /* Of a store: all exceptions that are alive. Beyond: LUN_EXHAUSTED. */
  uint64_t max_exception_bytes; /* 64 MiB */
  /* Frames at once, of guest and host functions, in all runs inside one another: one call more is LUN_EXHAUSTED. By default
   * nothing is counted, and the stack's bytes are the limit. Counted are the functions of instances made with a limit. */
  uint32_t max_depth;
  /* Instructions of the guest: LUN_FUEL where they are used up. By default nothing is counted. See lun_store_fuel. */
  uint64_t fuel;
} lun_limits;

/* Zero stands for the default. */
typedef struct lun_store_options {
  size_t stack_bytes;         /* guest frames: 8 MiB, rounded up to pages. A call beyond it is LUN_EXHAUSTED */
  uint32_t max_runs;          /* host → guest entries inside one another; default and most: 200. Beyond: LUN_EXHAUSTED */
  lun_limits limits;
} lun_store_options;

/* `options` may be NULL. Fails with LUN_NO_MEMORY. */
LUN_API LUN_MUST_CHECK lun_status lun_store_create(const lun_store_options *options, lun_store **out, lun_error *error);
/* Frees the store and all it owns. Not from within a run. NULL is ignored. */
LUN_API void lun_store_destroy(lun_store *store);

/* Other limits, for modules, memories, tables and instances made from now on. Fuel other than 0 becomes what is left. */
LUN_API void lun_store_set_limits(lun_store *store, const lun_limits *limits);
LUN_API lun_limits lun_store_limits(const lun_store *store);  /* those at work */
/* How much fuel is left: one is used for each instruction of an instance made with fuel, except block, loop, else, end, nop
 * and what begins or ends a handler of exceptions; for bulk instructions one more for every 64 bytes or elements. It is paid
 * for a whole stretch of code, up to its next branch or label, as it is entered: the guest never has more than it paid for.
 * Listeners change nothing in what a guest uses; what host functions do is free. */
LUN_API uint64_t lun_store_fuel(const lun_store *store);
LUN_API void lun_store_set_fuel(lun_store *store, uint64_t left);

/* Ends the run at the next safepoint (loop head, function entry, wait) with LUN_INTERRUPTED: every open call is
 * aborted. Without a run it ends the next one. Any thread; async-signal-safe. */
LUN_API void lun_store_interrupt(lun_store *store);
/* The same with LUN_TIMEOUT: for whoever watches a deadline. Any thread; async-signal-safe. */
LUN_API void lun_store_expire(lun_store *store);
/* Ends the run with LUN_EXIT and this status at the next safepoint or return from a callback. Guest's thread. */
LUN_API void lun_store_stop(lun_store *store, int32_t status);
/* Forgets an interrupt, an expiry or a stop that no run has consumed. */
LUN_API void lun_store_resume(lun_store *store);

/* Raises the safepoint flag: at the next safepoint `safepoint` (see below) runs. Any thread; async-signal-safe. */
LUN_API void lun_store_poke(lun_store *store);
/* Called on the guest's thread at a safepoint after a poke; what it returns other than LUN_OK ends the run with
 * that kind. While it is at work it is called again from lun_store_wait alone, so that one who waits there can be poked. */
typedef lun_status (*lun_safepoint)(void *self, lun_error *error);
LUN_API void lun_store_on_safepoint(lun_store *store, lun_safepoint safepoint, void *self);

/* Around work that is done on the guest's thread for whoever watches it, a prompt or a loop of timers: what passes between
 * the two is in no call's elapsed time (lun_call_elapsed), and what is called meanwhile is charged to no call that was open.
 * Listeners and the safepoint callback are left out already. `stopped` is what lun_store_clock_stop gave; both cost nothing
 * where no attachment asks for times. They nest. */
typedef struct lun_stopped {
  uint64_t guest_ns, last_call;   /* the store's own */
} lun_stopped;
LUN_API lun_stopped lun_store_clock_stop(lun_store *store);
LUN_API void lun_store_clock_go(lun_store *store, const lun_stopped *stopped);

/* How a host function waits: at most `timeout_ns` (negative: without end) for one of `count` descriptors.
 * On LUN_OK the `revents` are filled as poll(2) does. Returns the kind that ends the run (LUN_INTERRUPTED,
 * LUN_TIMEOUT, …) when woken for that. By default poll(2) together with a descriptor of the store that
 * lun_store_interrupt, lun_store_expire and lun_store_poke write to. */
typedef lun_status (*lun_wait)(void *self, struct pollfd *fds, size_t count, int64_t timeout_ns, lun_error *error);
LUN_API void lun_store_on_wait(lun_store *store, lun_wait wait, void *self);
/* Waits as above; for host functions. Fails with what ends the run, which the host function hands on: LUN_INTERRUPTED,
 * LUN_TIMEOUT, … */
LUN_API LUN_MUST_CHECK lun_status lun_store_wait(lun_store *store, struct pollfd *fds, size_t count, int64_t timeout_ns,
                                                 lun_error *error);

#ifdef __cplusplus
}
#endif
#endif
