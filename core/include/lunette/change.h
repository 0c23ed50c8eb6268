/* SPDX-License-Identifier: MIT */
/* Changes of a global or of a piece of memory, noticed at the entries and exits of calls: at each, what is there is compared with
 * what was there at the last one. What a function does between two calls is told at the next of them, and of several changes
 * in between the first and the last value are known. No instruction of the guest becomes slower; each entry and exit of the
 * functions that were chosen pays for the comparison.
 *
 * It is an attachment as any other (listener.h): ownership, threads, order, errors, pausing and detaching are as there. */
#ifndef LUNETTE_CHANGE_H
#define LUNETTE_CHANGE_H

#include <lunette/listener.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What is watched: the global, or so many bytes, at most LUN_CHANGE_MOST, from an address. A memory of NULL is memory 0 of the
 * instance whose call is heard first. While the bytes lie outside of the memory nothing is told. */
typedef struct lun_change_target {
  lun_global *global;
  lun_memory *memory;
  uint64_t address, size;     /* the address of a 32-bit memory modulo 2^32 */
} lun_change_target;
#define LUN_CHANGE_MOST 65536u

/* `old` and `now` are a global's slots, or the bytes; they die with the callback. The call begins, or has just ended; of what it
 * was given only the params can be asked for (lun_call_params). What is changed while it runs is told at the next check. */
typedef void (*lun_change_callback)(void *self, lun_call *call, const void *old, const void *now);

/* Checks at the calls of the functions that `wants` says true of, NULL: of all, host functions too. `self` goes to wants,
 * changed and, in the options, to report (as both of its pointers) and release. Fails with LUN_USAGE (nothing, or too much,
 * to be watched) or LUN_NO_MEMORY, and then attaches nothing. */
LUN_API LUN_MUST_CHECK lun_status lun_store_on_change(lun_store *store, const lun_change_target *target,
                                                      bool (*wants)(void *self, const lun_definition *definition,
                                                                    lun_instance *instance),
                                                      lun_change_callback changed, void *self, const lun_attach_options *options,
                                                      lun_attachment **out, lun_error *error);

#ifdef __cplusplus
}
#endif
#endif
