/* SPDX-License-Identifier: MIT */
/* What the files of the binding share: how Lua classes are made, the session, and the calls between its files.
 *
 * Two rules hold everywhere. Whatever may raise a Lua error never runs with frames of the engine between it and the
 * lua_pcall that catches it, but for callbacks that can jump to their run's guard (guard.c). And every object holds its session
 * by user value 1, so that a pointer to the Session is valid as long as the object is; the things of the store are looked at
 * only while the session is not closed. */
#ifndef LUNETTE_OBJECTS_H
#define LUNETTE_OBJECTS_H

#include <lauxlib.h>
#include <lua.h>
#include <lunette/lunette.h>

#include "binding.h"

typedef struct Session Session;
typedef struct Budget Budget;

/* ---- classes (class.c) ---- */
typedef struct Field {
  const char *name;
  lua_CFunction get;  /* self, key */
  lua_CFunction set;  /* self, key, value; NULL: cannot be set */
} Field;
typedef struct Class {
  const char *name;             /* as messages show it */
  int values;                   /* user values; 1 is the session */
  const Field *fields;          /* ends with a NULL name; may be NULL */
  const luaL_Reg *methods;
  const luaL_Reg *metamethods;
  lua_CFunction index;          /* keys that are numbers; may be NULL */
  lua_CFunction set_index;
} Class;
/* How every userdata of the binding begins. */
typedef struct Head {
  const Class *class;
  Session *session;
} Head;

extern const Class session_class, module_class, instance_class, function_class, memory_class, global_class, table_class,
    definition_class, call_class, stack_class, frame_class, error_class, attachment_class, where_class, host_class,
    tag_class, exception_class, pairing_class, aggregation_class, timer_class, watch_class, event_class;

void class_register(lua_State *L, const Class *class);
/* Pushes a zeroed userdata of `size` bytes with its head filled in. */
void *object_new(lua_State *L, const Class *class, Session *session, size_t size);
/* The object at `index` if it is of that class, else NULL. Never raises. */
void *object_to(lua_State *L, int index, const Class *class);
/* Raises where it is not, or where its session is closed. */
void *object_check(lua_State *L, int index, const Class *class);
/* The same, but the session may be closed. */
void *object_check_closed(lua_State *L, int index, const Class *class);
/* Pushes an empty table whose keys ("k") or values ("v") keep nothing alive. Raises when memory fails. */
void weak_push(lua_State *L, const char *mode);
int core_nearest(lua_State *L); /* (word, list) -> the nearest or nil */

/* ---- call objects (call.c): reused, one per open call ---- */
typedef enum Phase { PHASE_BEFORE, PHASE_AFTER, PHASE_ABORT, PHASE_HOST } Phase;
typedef struct CallBox {
  Head head;
  lun_call *call;            /* NULL: stale */
  const uint64_t *values;    /* what the callback was given: params or results; NULL in abort */
  struct CallBox *next_idle, *next;
  struct BoxPool *pool;
  uint64_t serial;           /* counts the callbacks it has served */
  int anchor;
  uint8_t phase;
  bool has_data;
} CallBox;
/* The boxes of one attachment, or of all host functions. */
typedef struct BoxPool {
  CallBox *idle, *all;
} BoxPool;

/* ---- sessions (session.c) ---- */
enum { LEVEL_MOST = 202 };

/* Who is running: it decides what may be written (R11). */
typedef enum Context { CONTEXT_PROGRAM, CONTEXT_LISTENER, CONTEXT_HOST } Context;

/* Something that the session gives up before its store goes, if its object has not done so before: one hold on a snapshot or
 * a module. It lies outside of Lua's memory, since a finalizer that lacks memory is never called. */
typedef struct Owned {
  struct Owned *previous, *next;
  void *held;
  void (*drop)(void *held);
} Owned;

typedef enum Cache { CACHE_MODULE, CACHE_INSTANCE, CACHE_FUNCTION, CACHE_MEMORY, CACHE_GLOBAL, CACHE_TABLE, CACHE_TAG, CACHE_DEFINITION,
                     CACHE_COUNT } Cache;

struct Session {
  Head head;
  lun_store *store;
  lun_writer *writer;
  lun_output *output;
  bool is_loan, closed, strict, unsafe, writer_failed;
  void (*message)(void *self, const char *text, size_t size);
  void (*before_output)(void *self); /* of a loan: may be NULL */
  void *message_self;        /* of both */
  _Atomic bool *pause_asked; /* of a loan: may be NULL */
  int pause_function;        /* anchor, or LUA_NOREF */
  int park_fd;               /* eventfd + 1, or 0 (park.c) */
  /* Where an owned session's output goes, until it is opened at the first write. */
  char *output_path;
  int output_fd;

  /* Callbacks run on L: threads[level], or the state that attaches while factories are asked. On each of the threads
   * index 1 is the table of anchors, 2 and 3 are message handlers. */
  lua_State *L;
  lua_State *threads[LEVEL_MOST];
  lua_State *keeper;         /* never runs anything: the anchors, at any time */
  int level;
  Context context;
  int failures[LEVEL_MOST];  /* anchors: the err object under way at each level, or false */
  BoxPool boxes;             /* for host functions */
  int caches[CACHE_COUNT];   /* anchors: weak tables pointer → object */
  int externs, extern_ids;   /* anchors: id → value, value → id */
  uint32_t extern_count;
  int message_function;      /* anchor: a Lua function told the messages, or LUA_NOREF */
  char *late_text;           /* a message for it that waits, or NULL */
  int host_list;             /* anchor: the hosts that scripts have registered, in order */
  int instances;             /* anchor: list of instances */
  Owned owned;               /* ring */
  struct WasiBox *wasis;
  struct Loop *loop;         /* loop.h; NULL until something needs it */
  struct Guard *guard;       /* guard.c: around the run at hand; NULL: there is none */
  Budget *budget;            /* budget.h; NULL: callbacks may take what they like */
  unsigned budget_ticks, budget_load_ticks;
  uint64_t script_time_ns;
  unsigned excesses;          /* so many callbacks have exceeded a budget */
};
/* Indexes on the session's threads. Behind the handlers a guard's frame keeps some of what is anchored at hand. */
enum { ANCHORS = 1, TEXT_HANDLER = 2, HOST_HANDLER = 3, AT_HAND = 4, AT_HAND_COUNT = 32, BOTTOM = 3 + AT_HAND_COUNT };

void session_push(lua_State *L, Session *session);
/* The session at `index`, open. */
Session *session_check(lua_State *L, int index);
/* "the session is closed" */
int session_closed_error(lua_State *L);
/* NULL: out of memory, and the thing was given up at once. */
Owned *session_own(Session *session, void *held, void (*drop)(void *held));
/* For finalizers: gives the thing up, unless the session has. NULL is ignored. */
void session_give_up(Session *session, Owned *owned);
/* Pushes the table of anchors. Needs no memory. */
void session_anchors(lua_State *L, Session *session);
/* Anchors the value on top and pops it. Raises when memory fails. */
int session_anchor(lua_State *L, Session *session);
/* Never raises; LUA_NOREF is ignored. Uses the session's own thread. */
void session_unanchor(Session *session, int anchor);
/* One line or more, without "lunette: ". Never raises. */
void session_message(Session *session, const char *text);
/* The same, from where nothing of the guest may be touched: a Lua function is told when the guest is left. */
void session_message_late(Session *session, const char *text);
/* With strict, where the session has a script loop: the run ends at its next safepoint, with kind listener. Never raises. */
void session_fail_run(Session *session, const char *text);
/* Whether guest memory, globals and tables may be written now: by host functions, by a program of one's own, and by all with
 * `unsafe`. Raises where not. */
void session_check_write(lua_State *L, Session *session, const char *what);
/* Makes session->writer where there is none. False: it cannot be made. */
bool session_open_writer(Session *session, lun_error *error);
/* Bytes for the trace output, opened at the first; false: writing has failed. */
bool session_write(Session *session, const void *bytes, size_t size, lun_error *error);

/* Around an entry into the engine that may run the guest, from the state L. enter raises; leave does not. */
typedef struct Entry {
  lua_State *L;
  int level;
  Context context;
  lua_State *running;        /* whose budget rests meanwhile */
} Entry;
void session_enter(lua_State *L, Session *session, Entry *entry);
void session_leave(Session *session, const Entry *entry);
/* Leaves, and raises the err object that the listeners of the failed run have seen. */
int session_fail(lua_State *L, Session *session, const Entry *entry, lun_error *error);

/* ---- budgets (budget.c) ---- */
/* lua_pcall for a callback: within the session's budget, if there is one. What exceeds it has failed, whatever it returned;
 * budget_was_exceeded tells, until the next callback. `handler` as lua_pcall's. */
int budget_pcall_in(Session *session, lua_State *L, int arguments, int results, int handler, unsigned ticks);
static inline int budget_pcall(Session *session, lua_State *L, int arguments, int results, int handler) {
  if (__builtin_expect(!session->budget, 1)) return lua_pcall(L, arguments, results, handler);
  return budget_pcall_in(session, L, arguments, results, handler, session->budget_ticks);
}
/* The same where it may be a part of a callback that is at work. */
int budget_pcall_shared(Session *session, lua_State *L, int arguments, int results, int handler);
bool budget_was_exceeded(const Session *session);
/* Callbacks that exceed a budget are heard no more; behind so many of them none can put further ones to work, or they might
 * follow one another for ever. */
enum { EXCESSES_MOST = 50 };
/* Whether a callback is at work whose time is limited. */
bool budget_is_timed(lua_State *L);
/* Around what is not the callback's own doing. There is a budget. */
lua_State *budget_suspend(Session *session);
void budget_resume(Session *session, lua_State *running);
/* The session closes. */
void budget_forget(Session *session);

/* ---- guards (guard.c) ---- */
/* Whether the outermost function on the thread is a guard's. */
bool guard_is_outermost(lua_State *L);
/* Forgets what is at hand under that anchor. */
void guard_forget(Session *session, int anchor);
/* The lun_guard of the session's store. */
lun_guarded guard_run(void *session, void (*run)(void *argument), void *argument);

/* ---- coroutine.running (running.c); all raise where memory fails ---- */
/* Puts the one that knows of threads of ours in place of Lua's. */
void running_replace(lua_State *L);
/* The thread at that index is one of ours. */
void running_keep(lua_State *L, int thread);

/* ---- objects of the store's things: always the same object for the same thing (module.c, instance.c …) ---- */
/* Pushes the object known for `pointer` and true, or nothing and false. */
bool cache_get(lua_State *L, Session *session, Cache cache, const void *pointer);
/* Remembers the object on top. */
void cache_put(lua_State *L, Session *session, Cache cache, const void *pointer);
/* An object that is nothing but a pointer. */
typedef struct Handle {
  Head head;
  void *pointer;
} Handle;
void handle_push(lua_State *L, Session *session, Cache cache, const Class *class, const void *pointer);

void module_push(lua_State *L, Session *session, lun_module *module);
void instance_push(lua_State *L, Session *session, lun_instance *instance);       /* NULL: nil; and so on */
void function_push(lua_State *L, Session *session, lun_function *function);
void memory_push(lua_State *L, Session *session, lun_memory *memory);
/* Whether the field `address` of the options at that index says "i64"; pushes it. Raises. */
bool address_is_64(lua_State *L, int options);
void global_push(lua_State *L, Session *session, lun_global *global);
void table_push(lua_State *L, Session *session, lun_table *table);
void definition_push(lua_State *L, Session *session, const lun_definition *definition);
void tag_push(lua_State *L, Session *session, const lun_tag *tag);
/* An object with a hold of its own; take: with the caller's, which is given up where memory fails. Both raise then. */
void exception_push(lua_State *L, Session *session, lun_exception *exception);
void exception_take(lua_State *L, Session *session, lun_exception *exception);
/* The exception of an object of this session, or NULL. Never raises. */
lun_exception *exception_to(lua_State *L, Session *session, int index);
/* A list of its values. */
void exception_values_push(lua_State *L, Session *session, const lun_exception *exception);
void extern_push(lua_State *L, Session *session, lun_extern item);

lun_module *module_check(lua_State *L, int index);
lun_instance *instance_check(lua_State *L, int index);
lun_function *function_check(lua_State *L, int index);
const lun_definition *definition_check(lua_State *L, int index);
/* False where it is none of a function, memory, global, table, tag. */
bool extern_to(lua_State *L, int index, lun_extern *item);
/* A number of ns, or a text with a unit: "500us", "1.5ms". Raises. */
uint64_t duration_check(lua_State *L, int index, const char *what);
/* "param 2" of an object named by place or by name: its number from 0. Raises. */
uint32_t param_check(lua_State *L, int index, const lun_definition *definition);
/* Calls with the values above `first`. */
int function_call(lua_State *L, Session *session, lun_function *function, int first);
/* The where at `index` if C can ask it alone; NULL: it is a function. It lives as long as the value. */
const struct WhereObject *where_compiled(lua_State *L, int index);
bool where_matches(const struct WhereObject *where, const lun_definition *definition);
/* Whether `function` (a Lua function at `index`, or a where) wants it, in the state L. Raises. */
bool where_wants(lua_State *L, int index, Session *session, const lun_definition *definition);

/* The aggregation at `index`; NULL: it is none, or its session is closed. */
lun_aggregate *aggregation_to(lua_State *L, int index);
/* The predicate that the table at `index` describes: the caller's. Raises. */
lun_predicate *predicate_read(lua_State *L, int index);

/* What a where asks of each call: outside of Lua's memory, since attachments may outlive its object. */
typedef struct CallWhere {
  int holders;
  lun_condition condition;
  lun_where *caller, *under;
  lun_predicate *when;
} CallWhere;
/* Of the where at `index`; NULL: it asks nothing of calls, or it is none. */
CallWhere *where_calls(lua_State *L, int index);
void call_where_drop(CallWhere *calls); /* NULL is ignored */

/* ---- values (values.c) ---- */
uint32_t slots_count(const lun_type *types, uint32_t count);
/* True while all types are numbers, which are pushed without need of memory. */
bool types_plain(const lun_type *types, uint32_t count);
/* The bits of floats, those of NaNs kept. */
void f32_push(lua_State *L, uint32_t bits);
void f64_push(lua_State *L, uint64_t bits);
/* Pushes `count` values; plain ones without raising. The caller has made room on the stack. */
void values_push(lua_State *L, Session *session, const lun_type *types, uint32_t count, const uint64_t *slots);
/* Pushes as many plain values as there are before the first that is not, and gives their number. */
uint32_t values_push_plain(lua_State *L, const lun_type *types, uint32_t count, const uint64_t *slots);
/* From Lua to slots. False: the value is not of the type (pushed: nothing). Raises only when memory fails. */
bool value_to(lua_State *L, Session *session, int index, lun_type type, uint64_t *slots);
/* How many values the list at `index` holds. Lists of scripts are read raw: what a metamethod would give need not stay there
 * while C looks at it. Raises where it is no table, or where so many cannot be meant. */
lua_Integer list_length(lua_State *L, int index, const char *what);
/* Reads a type's name at `index`. Raises. */
lun_type type_check(lua_State *L, int index);
/* The list of types in the field `key` of the table at `index`; it stays valid while what was pushed does. Raises. */
const lun_type *types_check(lua_State *L, int index, const char *key, uint32_t *count);
/* What the value is that is none of the type, in words. */
const char *value_kind(lua_State *L, int index, lun_type type);

/* ---- errors (error.c) ---- */
/* Pushes an err object and empties `error`. Raises when memory fails (and empties `error` all the same). */
void error_push(lua_State *L, Session *session, lun_error *error);
/* The same, raised. */
int error_raise(lua_State *L, Session *session, lun_error *error);
/* For abort: pushes the one err object of the present level's run. Raises when memory fails. */
void error_push_current(lua_State *L, Session *session, const lun_error *error);
/* Handles the message of listeners: text with a traceback. */
int error_text_handler(lua_State *L);
/* Handles the message of host functions: an err object in any case. Upvalue 1 is the session. */
int error_host_handler(lua_State *L);
/* Whether the value at `index` says how a call ends: an err of a kind that runs end with, or an exception. Never raises. */
bool error_is_outcome(lua_State *L, Session *session, int index);
/* Fills `error` from what a host function has raised, on top of its thread, pops that and keeps it for the present level.
 * Never raises. */
lun_status error_from_host(lua_State *L, Session *session, lun_error *error);
void error_forget(Session *session, int level);

/* ---- calls, stacks (call.c, stack.c, frame.c) ---- */
/* A new box; NULL: out of memory. Never raises. */
CallBox *box_new(Session *session, BoxPool *pool);
void box_forget_data(Session *session, CallBox *box);

/* An idle box, or a new one; NULL: out of memory. Never raises. */
static inline CallBox *box_take(Session *session, BoxPool *pool) {
  CallBox *box = pool->idle;
  if (!box) return box_new(session, pool);
  pool->idle = box->next_idle;
  return box;
}

static inline void box_begin(CallBox *box, lun_call *call, Phase phase, const uint64_t *values) {
  box->call = call;
  box->phase = (uint8_t)phase;
  box->values = values;
}

/* Its callback is over: it is stale. */
static inline void box_end(CallBox *box) {
  box->call = NULL;
  box->serial++;
}

/* Its call is over: it is idle again, and its data gone. */
static inline void box_put(Session *session, BoxPool *pool, CallBox *box) {
  if (box->has_data) box_forget_data(session, box);
  box->next_idle = pool->idle;
  pool->idle = box;
}

/* The call object at 1, in its callback. Raises. */
CallBox *box_check(lua_State *L);
int call_proceed(lua_State *L);       /* intercept.c */
int call_intercepted(lua_State *L);
int call_of_session(lua_State *L);
int session_call_load(lua_State *L);
int session_call_callback(lua_State *L);
int session_without_budget(lua_State *L);
int session_park(lua_State *L);
int session_unpark(lua_State *L);
void park_close(Session *session);
/* Gives all of them up. */
void box_pool_clear(Session *session, BoxPool *pool);
/* Pushes a stack: borrowed from the call at `index`; a snapshot of it; or one more hold on a snapshot (NULL: nil). */
void stack_push_borrowed(lua_State *L, int index);
void stack_push_snapshot(lua_State *L, int index);
void stack_push_owned(lua_State *L, Session *session, lun_snapshot *snapshot);
/* A name on one line, whatever it holds. */
void name_add(luaL_Buffer *buffer, const char *name, size_t size);
/* `box` is the object at `index` (0: none), for which the frame is good. */
void frame_push(lua_State *L, Session *session, const lun_frame *frame, CallBox *box, int index);

/* ---- limits (limits.c) ---- */
/* Fills in what the table at `index` (or nil) gives. Raises. */
void limits_read(lua_State *L, int index, lun_limits *limits);

/* ---- places in the source (source.c) ---- */
/* Pushes a list of {name=, linkage_name=, file=, line=, column=, inlined=}, innermost first; all frames, or the inlined. */
void sources_push(lua_State *L, const lun_module *module, uint64_t offset, bool inlined_only);
/* Where the function that was compiled is at the offset. False: unknown. May raise for want of memory. */
bool source_outermost(lua_State *L, const lun_module *module, uint64_t offset, lun_place *source);
/* Adds " file:line:column", as far as it is known. */
void source_add(luaL_Buffer *buffer, const lun_place *source);

/* ---- imports (host.c, imports.c, wasi.c) ----
 * These raise; the list stays the caller's. */
/* Adds the items of the table at `index` under a module's name; those of a host object (NULL: under its own). */
void items_add(lua_State *L, Session *session, int index, const char *module, lun_imports *imports);
void host_add(lua_State *L, Session *session, int index, const char *module, lun_imports *imports);
/* Fills the list from the imports and wasi of the options at `index`. */
void imports_fill(lua_State *L, Session *session, int index, const lun_module *module, lun_imports *imports);
void wasi_add(lua_State *L, Session *session, int index, lun_imports *imports);
void wasi_clear(Session *session);

/* What lunette.core offers besides classes: functions that take a session first. */
int core_session(lua_State *L);
int core_budget(lua_State *L);
int core_watch_folder(lua_State *L);
int core_unwatch_folder(lua_State *L);
int core_file_id(lua_State *L);
int core_read_link(lua_State *L);
int core_module(lua_State *L);
int core_instantiate(lua_State *L);
int core_host(lua_State *L);
int core_memory(lua_State *L);
int core_table(lua_State *L);
int core_global(lua_State *L);
int core_fake_tape(lua_State *L);
int core_tag(lua_State *L);
int core_attach(lua_State *L);
int core_pairing(lua_State *L);
int core_watch(lua_State *L);
int core_stack_of(lua_State *L);
int core_where(lua_State *L);
int core_gzip(lua_State *L); /* (bytes) -> gzip */
int core_aggregate(lua_State *L);
int core_aggregate_forget(lua_State *L);
int core_aggregate_rows(lua_State *L);
int core_aggregate_total(lua_State *L);
int core_aggregate_quantile(lua_State *L);
int core_aggregate_spec(lua_State *L);
int core_aggregate_write(lua_State *L);
int core_wasi_functions(lua_State *L);
int core_wasi_errno(lua_State *L);
int core_error(lua_State *L);
int core_timer(lua_State *L);
int core_luv(lua_State *L);
int core_luv_function(lua_State *L);

#endif
