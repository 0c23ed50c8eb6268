/* SPDX-License-Identifier: MIT */
/* The pairing checker: a listener of the library's own that verifies, while a guest runs, what every listener relies on.
 *
 * Each before is followed by one after or abort of the same call, innermost first, with the same id, parent, depth and
 * definition; ids increase; a call's parent is the innermost open one, its depth greater than that one's; a call that ends in
 * a tail call has no results, and its callee names it; a guest function whose callee is aborted by anything but an exception
 * is aborted too, unless an interceptor answers for it; values come as the signature says, the upper halves of i32 and f32
 * zero; the data slot is the call's own; and, now and then, the stack as it is walked has each open call's frame where its
 * depth says.
 *
 * A violation is a failure of the listener (lun_call_fail): the first is told and, unless the options say otherwise, ends the
 * run with LUN_LISTENER. Threads: those of its store. */
#ifndef LUNETTE_PAIRING_H
#define LUNETTE_PAIRING_H

#include <lunette/listener.h>
#include <lunette/where.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct lun_pairing lun_pairing;

/* Zero stands for the default. */
typedef struct lun_pairing_options {
  const lun_where *where;     /* which functions, asked while attaching and for instances made later; NULL: all */
  bool goes_on;               /* a violation is counted and does not end the run */
  uint32_t walk_every;        /* the whole stack is walked at each so manieth event; default 1,000 */
} lun_pairing_options;

typedef struct lun_pairing_report {
  uint64_t befores, afters, aborts;
  uint64_t open;              /* calls that have not ended */
  uint64_t deepest;           /* the most that were open at a time */
  uint64_t walks;             /* stacks compared */
  uint64_t violations;
  const char *first;          /* the first violation, one line; "" if there is none; the checker's own */
} lun_pairing_report;

/* Attaches it. The where must outlive it. Fails as lun_store_attach does. */
LUN_API LUN_MUST_CHECK lun_status lun_pairing_create(lun_store *store, const lun_pairing_options *options, lun_pairing **out,
                                                     lun_error *error);
/* Hears no new calls; those that are open are checked to their end. */
LUN_API void lun_pairing_detach(lun_pairing *pairing);
/* Detaches and frees it, before or after its store is destroyed. NULL is ignored. */
LUN_API void lun_pairing_destroy(lun_pairing *pairing);
LUN_API lun_pairing_report lun_pairing_report_of(const lun_pairing *pairing);
/* Between runs: LUN_LISTENER where there was a violation, or a call is open still. */
LUN_API LUN_MUST_CHECK lun_status lun_pairing_check(const lun_pairing *pairing, lun_error *error);

#ifdef __cplusplus
}
#endif
#endif
