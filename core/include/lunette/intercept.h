/* SPDX-License-Identifier: MIT */
/* Changing calls: replacing their arguments, their results, or all of the call. Listeners only observe; this is the explicit
 * other thing, and lun_call_intercepted tells them of it.
 *
 * Interceptors stand outermost, before any listener: a before hears the params that the callee gets, an after the results that
 * the caller gets. Those of one function are asked in order of attachment, each about what the one before it has made of the
 * call; about results in reverse. A call that is answered without its callee has its before and its after, too; it begins, for
 * listeners, when it proceeds or is answered. What an interceptor calls meanwhile is not intercepted by its own attachment
 * (unless it is `reentrant`); what the callee calls is.
 *
 * Ownership, threads, pausing, detaching, factories, conditions and errors are as in listener.h, and the handle is a
 * lun_attachment. Who intercepts a call is frozen when it is entered. Detached with LUN_DROP, `results` is not asked any more
 * about the calls that are open; a `call` that is at work goes on, and its answer counts.
 *
 * What such a call takes: with `call`, one of the runs inside one another (max_runs: a recursion through 200 of them is
 * LUN_EXHAUSTED) and room on the stack of records; with `params` and `results` only the latter. While somebody waits for its
 * end, a tail call in the callee is a call: it takes a frame, and the listened call ends when its callee has returned.
 *
 * Functions that are not intercepted pay nothing. */
#ifndef LUNETTE_INTERCEPT_H
#define LUNETTE_INTERCEPT_H

#include <lunette/listener.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Any may be NULL; where there is a `call`, the others are not asked. Values are slots, as many as the signature has
 * (lunette/value.h); the upper halves of i32 and f32 are taken as zero. References must come from the same store; one that the
 * type forbids counts as a failure (lun_call_fail). */
typedef struct lun_interceptor {
  /* In place of the call: LUN_OK with the results written (they begin as zero), or another kind and `error` filled, as a host
   * function does (instance.h): so the call ends, for its caller and its listeners. It may let the callee run, once, by
   * lun_call_proceed, and use or swallow what comes of it. `params` stay readable until it returns. */
  lun_status (*call)(void *self, lun_call *call, const uint64_t *params, uint64_t *results, lun_error *error);
  /* Changes in place what the callee is to get. */
  void (*params)(void *self, lun_call *call, uint64_t *params);
  /* Changes in place what the caller is to get; asked if the callee returns. */
  void (*results)(void *self, lun_call *call, uint64_t *results);
} lun_interceptor;

/* A factory's answer; the interceptor must outlive its attachment and the calls that it has open. NULL: none. */
typedef struct lun_intercept_choice {
  const lun_interceptor *interceptor;
  void *self;
} lun_intercept_choice;
typedef lun_intercept_choice (*lun_intercept_factory)(void *context, const lun_definition *definition, lun_instance *instance);

/* As lun_store_attach. Of the options `params` and `time` mean nothing here: an interceptor can always ask for the params. A
 * condition that is late (predicate.h) is LUN_USAGE.
 *
 * A callback that says lun_call_fail has not spoken: after `on_error` has acted the call goes on as if it had not been there,
 * with the params as they were; where it had let the call proceed, what came of that stands. */
LUN_API LUN_MUST_CHECK lun_status lun_store_intercept(lun_store *store, lun_intercept_factory factory, void *context,
                                                      const lun_attach_options *options, lun_attachment **out,
                                                      lun_error *error);

/* From within `call`, once: runs the callee (the next interceptor, the listeners, the function) with these params, NULL: as
 * they are, and writes its results. Both have the signature's slots. Fails as the callee does; nothing of it is left then but
 * this call, whose interceptor may hand the error on or answer itself. LUN_USAGE, and nothing has run: a second time, from
 * elsewhere than the `call` at work, or with a reference that the type forbids. */
LUN_API LUN_MUST_CHECK lun_status lun_call_proceed(lun_call *call, const uint64_t *params, uint64_t *results, lun_error *error);

/* What interceptors have done to the call so far, for listeners and for themselves; 0: nobody intercepts it. */
#define LUN_INTERCEPTED 1u          /* somebody was asked */
#define LUN_INTERCEPTED_PARAMS 2u   /* the callee got others than the caller passed */
#define LUN_INTERCEPTED_RESULTS 4u  /* the caller gets others than the callee returned, or some where it failed */
#define LUN_INTERCEPTED_CALL 8u     /* it was answered without its callee */
LUN_API unsigned lun_call_intercepted(const lun_call *call);

#ifdef __cplusplus
}
#endif
#endif
