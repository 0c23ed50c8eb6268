/* SPDX-License-Identifier: MIT */
/* Function listeners: told about each call of the functions they were chosen for.
 *
 * Each before() is followed by exactly one after() or abort() of the same call, innermost first, on the guest's
 * thread: on return, trap, exit or exhaustion alike. Pointers die with the callback.
 *
 * A *factory* is asked once per definition, when it is attached and for each instance made later, which listener to
 * use; none costs nothing at run time. An *attachment* is one or several factories put to work on the store.
 * Stopping the run (lun_store_stop, LUN_ON_ERROR_STOP) in the after of the outermost call is told to the embedder, although
 * every call has had its after.
 *
 * Separate attachments nest: before in order of attachment, after and abort in reverse. The factories of one
 * attachment are told in the order given, all three events alike. Which listeners hear a call is frozen when it is
 * entered: attaching and detaching, at any time and from any callback, works from the next call on.
 *
 * Ownership: listeners, their `self` and the factories' contexts are the embedder's, and must live until the attachment's
 * `release` is called (or the store is destroyed); attachments are the store's. Threads: those of the store, without exception.
 * Units: values are slots as value.h says, times nanoseconds, offsets bytes. */
#ifndef LUNETTE_LISTENER_H
#define LUNETTE_LISTENER_H

#include <lunette/instance.h>
#include <lunette/stack.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Any callback may be NULL. `params` and `results` have exactly the signature's slots; they are live: read only. `results`
 * is NULL where the call ended in a tail call (lun_call_tail). Writing to them, or to what lun_call_params gives, is undefined:
 * calls are changed by lunette/intercept.h. A debug build of the library (CMake: LUNETTE_CHECK_PARAMS) compares them after each
 * callback; where one has written it says on stderr which attachment's it is, and to what, and calls abort(). */
typedef struct lun_listener {
  void (*before)(void *self, lun_call *call, const uint64_t *params);
  void (*after)(void *self, lun_call *call, const uint64_t *results);
  void (*abort)(void *self, lun_call *call, const lun_error *error);
} lun_listener;

/* A factory's answer; the listener must outlive its attachment and the calls that it has open. NULL: none. */
typedef struct lun_choice {
  const lun_listener *listener;
  void *self;
} lun_choice;
typedef lun_choice (*lun_factory)(void *context, const lun_definition *definition, lun_instance *instance);

typedef struct lun_attachment lun_attachment;
typedef struct lun_condition lun_condition;  /* see predicate.h */

/* What to do when a listener fails (lun_call_fail). */
typedef enum lun_on_error {
  LUN_ON_ERROR_REPORT, /* tell `report`, mute that listener for new calls of this attachment */
  LUN_ON_ERROR_STOP    /* tell `report`, then end the run with LUN_LISTENER */
} lun_on_error;

/* Zero stands for the default. */
typedef struct lun_attach_options {
  const char *name;        /* of the attachment, for messages; copied */
  lun_on_error on_error;
  /* Told each failure, after the event was delivered to all. NULL: nobody is told. */
  void (*report)(void *context, lun_attachment *attachment, lun_call *call, void *self, const char *message);
  bool params;             /* keep params: lun_call_params works in after and abort */
  bool reentrant;          /* also hear calls that its own callbacks make */
  bool time;               /* take times: lun_call_time and its fellows work; two readings of the clock per event */
  /* Hear those calls alone for which it holds; NULL: all. It is copied; its wheres and its predicate must outlive the
   * attachment (until release). What it has to know of a call (params, time) is asked for by itself. */
  const lun_condition *condition;
  lun_instance *instance;  /* only this one; NULL: all */
  /* Once, when nothing of the attachment can be called any more. */
  void (*release)(void *context);
} lun_attach_options;

/* `context` goes to the factory, report and release. Fails with LUN_NO_MEMORY and then attaches nothing (release is
 * not called). While the guest runs a function can have at most 112 listeners; at rest any number. */
LUN_API LUN_MUST_CHECK lun_status lun_store_attach(lun_store *store, lun_factory factory, void *context,
                                                   const lun_attach_options *options, lun_attachment **out, lun_error *error);
/* Several factories as one attachment; the list is copied. It fails alike, with LUN_NO_MEMORY. */
typedef struct lun_factory_entry {
  lun_factory factory;
  void *context;
} lun_factory_entry;
LUN_API LUN_MUST_CHECK lun_status lun_store_attach_multi(lun_store *store, const lun_factory_entry *factories, size_t count,
                                                         void *context, const lun_attach_options *options, lun_attachment **out,
                                                         lun_error *error);

#define LUN_DROP 1u  /* calls that are open get neither after nor abort */
/* At once for new calls. The handle is dead afterwards. */
LUN_API void lun_attachment_detach(lun_attachment *attachment, unsigned flags);
/* Paused it hears no new calls; those it has open still get their after or abort. */
LUN_API void lun_attachment_pause(lun_attachment *attachment, bool pause);
LUN_API uint64_t lun_attachment_functions(const lun_attachment *attachment); /* how many (instance, function) it listens to */
LUN_API uint64_t lun_attachment_errors(const lun_attachment *attachment);
LUN_API uint64_t lun_attachment_muted(const lun_attachment *attachment);     /* listeners (self pointers) muted */

/* ---- what a callback can ask about its call ---- */
/* The innermost call whose callback, a listener's or a host function's, is at work; at a safepoint the call that stands there,
 * with no id and no data. NULL: there is none. */
LUN_API lun_call *lun_store_call(lun_store *store);
/* Unique and increasing in the store; 0 in an unlistened host call. For interceptors it is the one that listeners hear, but if
 * one calls the guest before the call goes on: from there on it is another, later one. */
LUN_API uint64_t lun_call_id(const lun_call *call);
/* Of the nearest enclosing call that the same attachment heard, or intercepted, and has not heard end; 0: none. */
LUN_API uint64_t lun_call_parent_id(const lun_call *call);
/* Tail calls: a call that ends in one gets its after first, with no results (NULL) and the callee's definition here; the
 * callee's own call knows the id of the call whose place it took, if that was listened to. NULL and 0 otherwise. */
LUN_API const lun_definition *lun_call_tail(const lun_call *call);
LUN_API uint64_t lun_call_tail_of(const lun_call *call);
LUN_API uint32_t lun_call_depth(const lun_call *call);   /* wasm and host frames below this one, up to the outermost entry */
LUN_API const lun_definition *lun_call_definition(const lun_call *call);
LUN_API lun_function *lun_call_function(const lun_call *call);
LUN_API lun_instance *lun_call_instance(const lun_call *call); /* the callee's; of a host function the importing one, or NULL */
LUN_API lun_store *lun_call_store(const lun_call *call);
/* Memory 0 of lun_call_instance, or NULL. */
LUN_API lun_memory *lun_call_memory(const lun_call *call);
typedef enum lun_entry { LUN_ENTRY_NONE, LUN_ENTRY_START, LUN_ENTRY_EXPORT, LUN_ENTRY_FUNCTION } lun_entry;
LUN_API lun_entry lun_call_entry(const lun_call *call);      /* how the host entered, if it did */
/* The calling frame; false for the outermost entry. */
LUN_API bool lun_call_caller(const lun_call *call, lun_frame *frame);
/* One slot per call and attachment member, NULL at first, the same in before, after and abort. NULL in a host call. */
LUN_API void **lun_call_data(lun_call *call);
/* The params: in before always; in after and abort with the `params` option, else NULL. */
LUN_API const uint64_t *lun_call_params(const lun_call *call);
/* Times, in nanoseconds of CLOCK_MONOTONIC, for attachments with the `time` option; false: not asked for, or not known yet.
 * The moment of the event: read before its first callback. */
LUN_API bool lun_call_time(const lun_call *call, uint64_t *ns);
/* In after and abort: what the call has taken, and the same less the calls in it that the attachment heard; both without the
 * time spent in listeners, at safepoints and between lun_store_clock_stop and _go. */
LUN_API bool lun_call_elapsed(const lun_call *call, uint64_t *ns);
LUN_API bool lun_call_self_time(const lun_call *call, uint64_t *ns);
/* How many calls it stands for: more than 1 where the attachment hears a sample. */
LUN_API uint64_t lun_call_weight(const lun_call *call);
LUN_API lun_attachment *lun_call_attachment(const lun_call *call); /* NULL in a host call */

/* Says that this callback failed. In before: it counts as not delivered, neither after nor abort follows. Then, once the
 * event has been delivered to all, the attachment's on_error acts. `message` is copied. */
LUN_API void lun_call_fail(lun_call *call, const char *message);

/* ---- callbacks that are left by a jump ---- */
/* A callback returns, as any function does. Where errors of its own come by longjmp, as Lua's do, it would have to call
 * setjmp each time to catch them. A *guard* spares it that: it stands around each run of guests and catches for all.
 *
 * The guard calls run(argument) once and says how that ended. RETURNED: it did. JUMPED: the callback of a call for which
 * lun_call_can_jump is true was left by a jump that the guard has caught; the guard has called lun_call_fail for it, if it has
 * failed, and the store calls the guard again to go on behind that callback. NOT_ENTERED: run was not called, for want of
 * room; the run takes place without a guard, and one that was to go on behind a jump ends with LUN_NO_MEMORY. Nothing but such
 * a callback may be left by a jump. Runs nest, and each has a guard of its own. Guest's thread. */
typedef enum lun_guarded { LUN_GUARDED_RETURNED, LUN_GUARDED_JUMPED, LUN_GUARDED_NOT_ENTERED } lun_guarded;
typedef lun_guarded (*lun_guard)(void *self, void (*run)(void *argument), void *argument);
/* For runs that begin from now on; NULL: none. `self` must live as long as runs do. */
LUN_API void lun_store_set_guard(lun_store *store, lun_guard guard, void *self);
/* Whether the callback at work, a before or an after, may be left by a jump to the guard. */
LUN_API bool lun_call_can_jump(const lun_call *call);
/* What most such callbacks begin with, for one question: where it can jump, its definition's signature and its lun_call_data;
 * else NULL and NULL. */
typedef struct lun_brief {
  const lun_signature *signature;
  void **data;
} lun_brief;
LUN_API lun_brief lun_call_brief(lun_call *call);

#ifdef __cplusplus
}
#endif
#endif
