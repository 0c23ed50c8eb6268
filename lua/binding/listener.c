/* SPDX-License-Identifier: MIT */
/* The way from an event to a Lua function, and back with its error.
 *
 * This is the path that tracing from Lua spends its time on: a call object that is there already, the params as plain
 * numbers, one lua_call inside the run's guard, or one lua_pcall where it has none. Only what needs memory (references, vectors,
 * err objects) goes through a second function inside a lua_pcall. A call's object is kept in the engine's data slot from before
 * to after. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attachment.h"

#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)
#define INLINE static inline __attribute__((always_inline))

/* The data slot of a call whose before has nothing to tell Lua. */
#define NO_BOX ((void *)(uintptr_t)1)

enum { ROOM = LUA_MINSTACK - 4 }; /* values for which every thread has room */

/* ---- failures ---- */
/* The attachment's name, where an excess has no line to tell: ": " behind it. */
static void name_of(Listener *listener, const char *text, char *name, size_t room) {
  Session *session = listener->attachment->head.session;
  lua_State *keeper = session->keeper;
  name[0] = 0;
  if (!budget_was_exceeded(session) || strncmp(text, "exceeded", 8) != 0) return;
  lua_rawgeti(keeper, ANCHORS, listener->attachment->self);
  if (lua_getiuservalue(keeper, -1, 2) == LUA_TSTRING) snprintf(name, room, "%.100s: ", lua_tostring(keeper, -1));
  lua_pop(keeper, 2);
}

/* What was raised is on top of L. */
static void fail(Listener *listener, lun_call *call, lua_State *L) {
  const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "error in error handling", *end;
  char line[512], name[128];
  size_t size = strlen(text), named;
  name_of(listener, text, name, sizeof name);
  named = strlen(name);
  free(listener->failure);
  listener->failure = malloc(named + size + 1);
  if (listener->failure) {
    memcpy(listener->failure, name, named);
    memcpy(listener->failure + named, text, size);
    listener->failure[named + size] = 0;
  }
  end = strchr(text, '\n');
  if (end) size = (size_t)(end - text);
  if (size >= sizeof line) size = sizeof line - 1;
  memcpy(line, text, size);
  line[size] = 0;
  lun_call_fail(call, line);
}

/* A callback at the end of calls that has exceeded its budget would do so for every call that is open: it is told no more. */
static void silence(Listener *listener) {
  Session *session = listener->attachment->head.session;
  if (!budget_was_exceeded(session)) return;
  session_unanchor(session, listener->after);
  session_unanchor(session, listener->abort);
  session_unanchor(session, listener->results);
  session_unanchor(session, listener->change);
  listener->after = listener->abort = listener->results = listener->change = LUA_NOREF;
}

static __attribute__((noinline, cold)) void fail_here(Listener *listener, lun_call *call) {
  const Session *session = listener->attachment->head.session;
  fail(listener, call, session->L);
  lua_settop(session->L, BOTTOM);
}

void listener_fail(Listener *listener, lun_call *call) {
  fail_here(listener, call);
  silence(listener);
}

static __attribute__((noinline, cold)) bool fail_far(const Session *session) {
  const Guard *guard = session->guard;
  fail_here(guard->listener, guard->box->call);
  return false;
}

void listener_jumped(Guard *guard, lua_State *L) {
  CallBox *box = guard->box;
  fail(guard->listener, box->call, L);
  box_end(box);
  box_put(box->head.session, box->pool, box);
}

/* (text, function, attachment) */
static int tell_function(lua_State *L) {
  lua_pushvalue(L, 2);
  lua_pushstring(L, lua_touserdata(L, 1));
  lua_pushvalue(L, 3);
  lua_call(L, 2, 0);
  return 0;
}

static bool report_to_function(Attachment *attachment, const char *text) {
  Session *session = attachment->head.session;
  lua_State *L = session->L;
  Context outer = session->context;
  bool ok;
  if (!lua_checkstack(L, 8)) return false;
  lua_pushcfunction(L, error_text_handler);
  lua_pushcfunction(L, tell_function);
  lua_pushlightuserdata(L, (void *)(uintptr_t)text);
  session_anchors(L, session);
  lua_rawgeti(L, -1, attachment->on_error);
  lua_rawgeti(L, -2, attachment->self);
  lua_remove(L, -3);
  session->context = CONTEXT_LISTENER;
  ok = budget_pcall(session, L, 3, 0, -5) == LUA_OK;
  session->context = outer;
  if (!ok) {
    if (budget_was_exceeded(session)) {
      session_unanchor(session, attachment->on_error);
      attachment->on_error = LUA_NOREF;
    }
    const char *problem = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "error in on_error";
    session_message(session, problem);
    session_fail_run(session, problem);
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  return true;
}

void listener_report(void *context, lun_attachment *handle, lun_call *call, void *self, const char *message) {
  Attachment *attachment = context;
  Listener *listener = self;
  const char *text = listener->failure ? listener->failure : message;
  (void)handle, (void)call;
  attachment->errors++;
  if (attachment->on_error == LUA_NOREF || !report_to_function(attachment, text)) {
    if (!listener->reported) session_message(attachment->head.session, text);
    listener->reported = true;
  }
  if (!attachment->stops && !listener->muted) {
    listener->muted = true;
    attachment->muted++;
  }
  free(listener->failure);
  listener->failure = NULL;
}

/* ---- telling ---- */
typedef struct Telling {
  Session *session;
  int function;
  CallBox *box;
  const lun_type *types;
  uint32_t count;
  const uint64_t *slots;
  const lun_error *error;    /* abort: the one value */
} Telling;

static int tell_inside(lua_State *L) {
  const Telling *telling = lua_touserdata(L, 1);
  luaL_checkstack(L, (int)telling->count + 12, "too many values");
  session_anchors(L, telling->session);
  lua_rawgeti(L, -1, telling->function);
  lua_rawgeti(L, -2, telling->box->anchor);
  if (telling->error) error_push_current(L, telling->session, telling->error);
  else values_push(L, telling->session, telling->types, telling->count, telling->slots);
  lua_call(L, telling->error ? 2 : (int)telling->count + 1, 0);
  return 0;
}

static bool tell_guarded(lua_State *L, Telling *telling) {
  lua_settop(L, BOTTOM);
  lua_pushcfunction(L, tell_inside);
  lua_pushlightuserdata(L, telling);
  return budget_pcall(telling->session, L, 1, 0, TEXT_HANDLER) == LUA_OK;
}

/* Most values are of i32. False: one of them is no number. Not inline: its loop would take the registers of its callers. */
static __attribute__((noinline)) bool push_numbers(lua_State *L, const lun_type *types, uint32_t count, const uint64_t *slots) {
  for (uint32_t i = 0; i < count; i++) {
    if (LIKELY(types[i] == LUN_I32)) lua_pushinteger(L, (int32_t)(uint32_t)slots[i]);
    else if (values_push_plain(L, &types[i], 1, &slots[i]) == 0) return false;
  }
  return true;
}

/* With values that take memory, or more of them than every thread has room for. */
static __attribute__((noinline, cold)) bool tell_far(CallBox *box, int function, const lun_type *types, uint32_t count,
                                                     const uint64_t *slots) {
  Session *session = box->head.session;
  Telling telling = { session, function, box, types, count, slots, NULL };
  return tell_guarded(session->L, &telling);
}

static bool tell_values(Session *session, int function, CallBox *box, const lun_type *types, uint32_t count,
                        const uint64_t *slots) {
  lua_State *L = session->L;
  if (UNLIKELY(count > ROOM)) return tell_far(box, function, types, count, slots);
  lua_rawgeti(L, ANCHORS, function);
  lua_rawgeti(L, ANCHORS, box->anchor);
  if (UNLIKELY(!push_numbers(L, types, count, slots))) return tell_far(box, function, types, count, slots);
  return budget_pcall(session, L, (int)count + 1, 0, TEXT_HANDLER) == LUA_OK;
}

/* The short way, of calls that can jump: what the function raises is the guard's (listener_jumped). As little as can be lives
 * on over the calls in it. False: it has failed in a lua_pcall of its own. */
INLINE bool tell_quick(Listener *listener, CallBox *box, int function, const lun_type *types, uint32_t count,
                       const uint64_t *slots) {
  Guard *guard = box->head.session->guard;
  lua_State *L = guard->L;
  guard->listener = listener;
  guard->box = box;
  guard_push(guard, function);
  guard_push(guard, box->anchor);
  bool ok = true;
  if (LIKELY(count == 1 && types[0] == LUN_I32)) {
    lua_pushinteger(L, (int32_t)(uint32_t)slots[0]);
    lua_call(L, 2, 0);
  } else if (LIKELY(count == 2 && types[0] == LUN_I32 && types[1] == LUN_I32)) {
    lua_pushinteger(L, (int32_t)(uint32_t)slots[0]);
    lua_pushinteger(L, (int32_t)(uint32_t)slots[1]);
    lua_call(L, 3, 0);
  } else if (LIKELY(count == 0 || (count <= ROOM && push_numbers(L, types, count, slots)))) lua_call(L, (int)count + 1, 0);
  else if (UNLIKELY(!tell_far(box, function, types, count, slots))) ok = fail_far(box->head.session);
  box_end(box);
  return ok;
}

/* False: out of memory, and said so. */
static inline bool take(Listener *listener, lun_call *call, CallBox **box) {
  *box = box_take(listener->attachment->head.session, &listener->attachment->boxes);
  if (*box) return true;
  lun_call_fail(call, "not enough memory for a call object");
  return false;
}

/* ---- events ---- */
static bool tell_before(Listener *listener, lun_call *call, const uint64_t *params, CallBox *box) {
  Session *session = listener->attachment->head.session;
  const lun_signature *signature = lun_definition_signature(lun_call_definition(call));
  Context outer = session->context;
  bool ok;
  session->context = CONTEXT_LISTENER;
  box_begin(box, call, PHASE_BEFORE, params);
  ok = tell_values(session, listener->before, box, signature->params, signature->param_count, params);
  box_end(box);
  session->context = outer;
  if (UNLIKELY(!ok)) fail_here(listener, call);
  return ok;
}

/* Of listeners that want nothing but before. */
static void hear_before_only(void *self, lun_call *call, const uint64_t *params) {
  Listener *listener = self;
  Attachment *attachment = listener->attachment;
  const lun_signature *signature = lun_call_brief(call).signature;
  CallBox *box;
  attachment->calls++;
  if (!take(listener, call, &box)) return;
  if (LIKELY(signature)) {
    box_begin(box, call, PHASE_BEFORE, params);
    tell_quick(listener, box, listener->before, signature->params, signature->param_count, params);
  } else {
    tell_before(listener, call, params, box);
  }
  box_put(attachment->head.session, &attachment->boxes, box);
}

static __attribute__((noinline)) void hear_before_slowly(Listener *listener, lun_call *call, const uint64_t *params) {
  Attachment *attachment = listener->attachment;
  void **data = lun_call_data(call);
  CallBox *box;
  if (listener->before == LUA_NOREF) {
    *data = NO_BOX;
    return;
  }
  if (!take(listener, call, &box)) return;
  if (tell_before(listener, call, params, box)) *data = box;
  else box_put(attachment->head.session, &attachment->boxes, box);
}

static void hear_before(void *self, lun_call *call, const uint64_t *params) {
  Listener *listener = self;
  Attachment *attachment = listener->attachment;
  CallBox *box = attachment->boxes.idle;
  lun_brief brief = lun_call_brief(call);
  attachment->calls++;
  if (UNLIKELY(!box || !brief.data || listener->before == LUA_NOREF)) {
    hear_before_slowly(listener, call, params);
    return;
  }
  attachment->boxes.idle = box->next_idle;
  *brief.data = box;
  box_begin(box, call, PHASE_BEFORE, params);
  if (UNLIKELY(!tell_quick(listener, box, listener->before, brief.signature->params, brief.signature->param_count, params)))
    box_put(box->head.session, box->pool, box);
}

/* The box of a call that ends; NULL: it was not heard, or memory fails. */
static CallBox *box_of(Listener *listener, lun_call *call) {
  void *data = *lun_call_data(call);
  CallBox *box = data;
  if (!data) return NULL;
  if (data == NO_BOX && !take(listener, call, &box)) return NULL;
  return box;
}

static __attribute__((noinline)) void hear_after_slowly(Listener *listener, lun_call *call, const uint64_t *results) {
  Attachment *attachment = listener->attachment;
  Session *session = attachment->head.session;
  Context outer = session->context;
  CallBox *box = box_of(listener, call);
  bool ok = true;
  if (!box) return;
  if (listener->after != LUA_NOREF) {
    const lun_signature *signature = lun_definition_signature(lun_call_definition(call));
    session->context = CONTEXT_LISTENER;
    box_begin(box, call, PHASE_AFTER, results);
    ok = tell_values(session, listener->after, box, signature->results, results ? signature->result_count : 0, results);
    box_end(box);
    session->context = outer;
  }
  if (UNLIKELY(!ok)) listener_fail(listener, call);
  box_put(session, &attachment->boxes, box);
}

static void hear_after(void *self, lun_call *call, const uint64_t *results) {
  Listener *listener = self;
  lun_brief brief = lun_call_brief(call);
  if (UNLIKELY(!brief.data || (uintptr_t)*brief.data <= (uintptr_t)NO_BOX || listener->after == LUA_NOREF)) {
    hear_after_slowly(listener, call, results);
    return;
  }
  CallBox *box = *brief.data;
  box_begin(box, call, PHASE_AFTER, results);
  tell_quick(listener, box, listener->after, brief.signature->results, brief.signature->result_count, results);
  box_put(box->head.session, box->pool, box);
}

static void hear_abort(void *self, lun_call *call, const lun_error *error) {
  Listener *listener = self;
  Attachment *attachment = listener->attachment;
  Session *session = attachment->head.session;
  lua_State *L = session->L;
  Context outer = session->context;
  CallBox *box = box_of(listener, call);
  bool ok = true;
  if (!box) return;
  if (listener->abort != LUA_NOREF) {
    Telling telling = { session, listener->abort, box, NULL, 0, NULL, error };
    session->context = CONTEXT_LISTENER;
    box_begin(box, call, PHASE_ABORT, NULL);
    ok = tell_guarded(L, &telling);
    box_end(box);
    session->context = outer;
  }
  if (!ok) listener_fail(listener, call);
  box_put(session, &attachment->boxes, box);
}

/* Of attachments that judge a call when it ends: nothing was told before. */
static void hear_late_after(void *self, lun_call *call, const uint64_t *results) {
  ((Listener *)self)->attachment->calls++;
  *lun_call_data(call) = NO_BOX;
  hear_after(self, call, results);
}

static void hear_late_abort(void *self, lun_call *call, const lun_error *error) {
  ((Listener *)self)->attachment->calls++;
  *lun_call_data(call) = NO_BOX;
  hear_abort(self, call, error);
}

const lun_listener *listener_kind(const Listener *listener) {
  static const lun_listener late = { NULL, hear_late_after, hear_late_abort };
  static const lun_listener before_only = { hear_before_only, NULL, NULL };
  static const lun_listener whole = { hear_before, hear_after, hear_abort };
  if (listener->attachment->is_late) return &late;
  return listener->after == LUA_NOREF && listener->abort == LUA_NOREF ? &before_only : &whole;
}
