/* SPDX-License-Identifier: MIT */
/* A session: one traced run's store, its output and the Lua values that callbacks need.
 *
 * Its anchors, a table that is its user value 2, hold every Lua value that C refers to by number: listeners, host
 * functions, call objects, the threads that callbacks run on. All of it goes when the session does. A session either owns
 * store and writer or works on a loan of the command's. Closing it frees everything at once; objects that are left answer
 * with errors. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loop.h"

static const char sessions_key; /* registry: weak table Session * → its userdata */

/* ---- anchors ---- */
void session_push(lua_State *L, Session *session) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &sessions_key);
  lua_rawgetp(L, -1, session);
  lua_remove(L, -2);
}

static void sessions_put(lua_State *L, Session *session) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &sessions_key) != LUA_TTABLE) {
    lua_pop(L, 1);
    weak_push(L, "v");
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &sessions_key);
  }
  lua_pushvalue(L, -2);
  lua_rawsetp(L, -2, session);
  lua_pop(L, 1);
}

void session_anchors(lua_State *L, Session *session) {
  lua_pushvalue(session->keeper, ANCHORS);
  lua_xmove(session->keeper, L, 1);
}

int session_anchor(lua_State *L, Session *session) {
  int anchor;
  session_anchors(L, session);
  lua_insert(L, -2);
  anchor = luaL_ref(L, -2);
  lua_pop(L, 1);
  return anchor;
}

void session_unanchor(Session *session, int anchor) {
  if (session->guard) guard_forget(session, anchor);
  luaL_unref(session->keeper, ANCHORS, anchor); /* sets fields that are there already: needs no memory */
}

/* ---- what it owns ---- */
Owned *session_own(Session *session, void *held, void (*drop)(void *held)) {
  Owned *owned = malloc(sizeof *owned);
  if (!owned) {
    drop(held);
    return NULL;
  }
  *owned = (Owned){ session->owned.previous, &session->owned, held, drop };
  owned->previous->next = owned;
  session->owned.previous = owned;
  return owned;
}

static void owned_free(Owned *owned) {
  owned->previous->next = owned->next;
  owned->next->previous = owned->previous;
  owned->drop(owned->held);
  free(owned);
}

void session_give_up(Session *session, Owned *owned) {
  if (owned && !session->closed) owned_free(owned);
}

/* ---- making one ---- */
/* A Lua thread of the session's, whose userdata is on top of L; its bottom is laid out as objects.h says. */
static lua_State *session_thread(lua_State *L) {
  lua_State *thread;
  lua_getiuservalue(L, -1, 2); /* the anchors */
  thread = lua_newthread(L);
  lua_pushvalue(L, -2);
  lua_pushcfunction(L, error_text_handler);
  lua_pushvalue(L, -5);
  lua_pushcclosure(L, error_host_handler, 1);
  if (!lua_checkstack(thread, BOTTOM + LUA_MINSTACK)) luaL_error(L, "not enough memory"); /* on L: no pcall is the thread's */
  lua_xmove(L, thread, 3);
  lua_settop(thread, BOTTOM);
  running_keep(L, -1);
  luaL_ref(L, -2);
  lua_pop(L, 1);
  return thread;
}

static void session_add_level(lua_State *L, Session *session, int level) {
  if (session->failures[level] == LUA_NOREF) {
    lua_pushboolean(L, false); /* a place for the err object, so that keeping one needs no memory */
    session->failures[level] = session_anchor(L, session);
  }
  session->threads[level] = session_thread(L);
}

static int anchor_table(lua_State *L, Session *session, const char *mode) {
  if (mode) weak_push(L, mode);
  else lua_newtable(L);
  return session_anchor(L, session);
}

static Session *session_new(lua_State *L) {
  Session *session = object_new(L, &session_class, NULL, sizeof *session);
  session->head.session = session;
  session->closed = true; /* until it is whole */
  session->output_fd = 2;
  session->owned.previous = session->owned.next = &session->owned;
  session->message_function = session->pause_function = LUA_NOREF;
  for (int i = 0; i < LEVEL_MOST; i++) session->failures[i] = LUA_NOREF;
  lua_createtable(L, 16, 0);
  lua_setiuservalue(L, -2, 2);
  sessions_put(L, session);
  session->keeper = session_thread(L);
  session_add_level(L, session, 0);
  session->L = session->threads[0];
  for (int i = 0; i < CACHE_COUNT; i++) session->caches[i] = anchor_table(L, session, "v");
  session->externs = anchor_table(L, session, NULL);
  session->extern_ids = anchor_table(L, session, NULL);
  session->host_list = anchor_table(L, session, NULL);
  session->instances = anchor_table(L, session, NULL);
  return session;
}

static void output_options(lua_State *L, int index, Session *session) {
  switch (lua_getfield(L, index, "output")) {
  case LUA_TNIL:
    break;
  case LUA_TNUMBER:
    session->output_fd = (int)luaL_checkinteger(L, -1);
    break;
  default:
    if (strcmp(luaL_checkstring(L, -1), "stdout") == 0) session->output_fd = 1;
    else if (strcmp(lua_tostring(L, -1), "stderr") == 0) session->output_fd = 2;
    else if (!(session->output_path = strdup(lua_tostring(L, -1)))) luaL_error(L, "not enough memory");
  }
  lua_pop(L, 1);
}

/* (options) -> session */
int core_session(lua_State *L) {
  lun_store_options options = { 0 };
  lun_error error = LUN_ERROR_INIT;
  Session *session;
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_getfield(L, 1, "stack");
  options.stack_bytes = (size_t)luaL_optinteger(L, -1, 0);
  lua_getfield(L, 1, "max_memory");
  options.limits.max_memory_bytes = (uint64_t)luaL_optinteger(L, -1, 0);
  lua_getfield(L, 1, "limits");
  limits_read(L, lua_gettop(L), &options.limits);
  session = session_new(L);
  output_options(L, 1, session);
  if (lua_getfield(L, 1, "message") != LUA_TNIL) {
    luaL_checktype(L, -1, LUA_TFUNCTION);
    session->message_function = session_anchor(L, session);
  } else {
    lua_pop(L, 1);
  }
  lua_getfield(L, 1, "strict");
  session->strict = lua_toboolean(L, -1);
  lua_getfield(L, 1, "unsafe");
  session->unsafe = lua_toboolean(L, -1);
  lua_pop(L, 2);
  if (lun_store_create(&options, &session->store, &error) != LUN_OK) return error_raise(L, session, &error);
  lun_store_set_guard(session->store, guard_run, session);
  session->closed = false;
  return 1;
}

void binding_adopt(lua_State *L, const binding_loan *loan) {
  Session *session = session_new(L);
  session->is_loan = true;
  lua_pushthread(L); /* the command's own, on which scripts are loaded, and the guest runs with none of its frames in use */
  running_keep(L, -1);
  lua_pop(L, 1);
  session->store = loan->store;
  lun_store_set_guard(session->store, guard_run, session);
  session->writer = loan->writer;
  session->output = loan->output;
  session->strict = loan->strict;
  session->unsafe = loan->unsafe;
  session->message = loan->message;
  session->before_output = loan->before_output;
  session->message_self = loan->self;
  session->pause_asked = loan->pause_asked;
  session->closed = false;
}

/* ---- closing ---- */
/* What objects hold for themselves: the session's snapshots and modules. */
static void owned_clear(Session *session) {
  while (session->owned.next != &session->owned) owned_free(session->owned.next);
}

/* Reads nothing of Lua but anchors. First the store, whose going releases listeners and host functions; then what it
 * used. */
static void session_end(Session *session, lun_error *error) {
  session->closed = true;
  loop_close(session);
  budget_forget(session);
  owned_clear(session);
  if (session->is_loan) return;
  lun_store_destroy(session->store);
  session->store = NULL;
  wasi_clear(session);
  if (session->output && lun_output_close(session->output, error) != LUN_OK) { /* the writer ends all the same */ }
  session->output = NULL;
  lun_writer_destroy(session->writer);
  session->writer = NULL;
  free(session->output_path);
  free(session->late_text);
  session->output_path = session->late_text = NULL;
}

/* session:check_close(): raises where it can't be closed now */
static int session_check_close(lua_State *L) {
  const Session *session = object_check_closed(L, 1, &session_class);
  if (session->closed) return 0;
  if (session->is_loan) return luaL_error(L, "this session is the command's: it can't be closed");
  if (session->loop && session->loop->running) return luaL_error(L, "a session can't be closed from its script loop");
  if (session->level > 0 || session->context != CONTEXT_PROGRAM)
    return luaL_error(L, "a session can't be closed while its guest runs");
  return 0;
}

static int session_close(lua_State *L) {
  Session *session = object_check_closed(L, 1, &session_class);
  lun_error error = LUN_ERROR_INIT;
  session_check_close(L);
  if (session->closed) return 0;
  session_end(session, &error);
  if (error.kind != LUN_OK) return error_raise(L, session, &error);
  return 0;
}

static int session_gc(lua_State *L) {
  Session *session = object_to(L, 1, &session_class);
  lun_error error = LUN_ERROR_INIT;
  if (!session) return 0;
  if (!session->closed) session_end(session, &error);
  park_close(session);
  lun_error_clear(&error);
  wasi_clear(session);         /* of a loan: its store is gone by now */
  free(session->output_path);  /* of one that never was whole */
  free(session->late_text);
  session->output_path = session->late_text = NULL;
  return 0;
}

void binding_release(lua_State *L, int index) {
  Session *session = object_to(L, index, &session_class);
  if (!session || session->closed) return;
  session->closed = true;
  lun_store_set_guard(session->store, NULL, NULL);
  loop_close(session);
  budget_forget(session);
  owned_clear(session);
}

int session_closed_error(lua_State *L) {
  return luaL_error(L, "the session is closed");
}

Session *session_check(lua_State *L, int index) {
  return object_check(L, index, &session_class);
}

/* ---- entering the engine ---- */
void session_enter(lua_State *L, Session *session, Entry *entry) {
  int level = session->level + 1;
  luaL_checkstack(L, 8, NULL);
  if (level < LEVEL_MOST && !session->threads[level]) {
    session_push(L, session);
    session_add_level(L, session, level);
    lua_pop(L, 1);
  }
  *entry = (Entry){ session->L, session->level, session->context, NULL };
  if (session->budget) entry->running = budget_suspend(session);
  if (level < LEVEL_MOST) { /* deeper the engine refuses, and calls nobody */
    session->level = level;
    session->L = session->threads[level];
  }
  session->context = CONTEXT_PROGRAM;
}

static void tell_late(Session *session) {
  char *text = session->late_text;
  session->late_text = NULL;
  session_message(session, text);
  free(text);
}

void session_leave(Session *session, const Entry *entry) {
  session->L = entry->L;
  session->level = entry->level;
  session->context = entry->context;
  if (session->budget) budget_resume(session, entry->running);
  if (session->late_text) tell_late(session);
}

/* ---- messages and output ---- */
static int tell(lua_State *L) {
  lua_pushstring(L, lua_touserdata(L, 2));
  lua_replace(L, 2);
  lua_call(L, 1, 0);
  return 0;
}

static bool message_to_lua(Session *session, const char *text) {
  lua_State *L = session->L;
  if (session->message_function == LUA_NOREF || !lua_checkstack(L, 5)) return false;
  lua_pushcfunction(L, tell);
  session_anchors(L, session);
  lua_rawgeti(L, -1, session->message_function);
  lua_remove(L, -2);
  lua_pushlightuserdata(L, (void *)(uintptr_t)text);
  if (lua_pcall(L, 2, 0, 0) == LUA_OK) return true;
  lua_pop(L, 1);
  return false;
}

void session_message(Session *session, const char *text) {
  if (session->message) {
    session->message(session->message_self, text, strlen(text));
    return;
  }
  if (message_to_lua(session, text)) return;
  if (session->output && !lun_output_flush(session->output)) { /* the message is wanted all the same */ }
  fprintf(stderr, "lunette: %s\n", text);
}

void session_message_late(Session *session, const char *text) {
  bool waits = !session->message && session->message_function != LUA_NOREF;
  size_t size = strlen(text) + 1, held = session->late_text ? strlen(session->late_text) + 1 : 0;
  char *late = waits ? realloc(session->late_text, held + size) : NULL;
  if (!late) { /* to stderr, if need be */
    if (waits) fprintf(stderr, "lunette: %s\n", text);
    else session_message(session, text);
    return;
  }
  if (held) late[held - 1] = '\n';
  memcpy(late + held, text, size);
  session->late_text = late;
}

bool session_open_writer(Session *session, lun_error *error) {
  if (session->writer) return true;
  if (!session->is_loan) return lun_writer_create(NULL, &session->writer, error) == LUN_OK;
  lun_error_set(error, LUN_USAGE, "there is no script loop here");
  return false;
}

static bool session_open_output(Session *session, lun_error *error) {
  lun_output_options options = { .path = session->output_path, .fd = session->output_fd };
  if (session->is_loan || session->writer_failed) return false;
  if (!session_open_writer(session, error)) return false;
  return lun_output_open(session->writer, &options, &session->output, error) == LUN_OK;
}

bool session_write(Session *session, const void *bytes, size_t size, lun_error *error) {
  if (!session->output && !session_open_output(session, error)) {
    session->writer_failed = true;
    return session->is_loan && !session->output; /* a loan without output: dropped */
  }
  if (session->before_output) session->before_output(session->message_self);
  if (lun_output_write(session->output, bytes, size)) return true;
  lun_error_set(error, LUN_IO, "%s", strerror(lun_output_errno(session->output)));
  return false;
}

void session_check_write(lua_State *L, Session *session, const char *what) {
  if (session->unsafe || session->context == CONTEXT_HOST) return;
  if (session->context == CONTEXT_PROGRAM && !session->is_loan) return;
  luaL_error(L, session->context == CONTEXT_LISTENER ? "listeners observe: %s is not theirs to change, unless with %s"
                                                     : "%s can't be changed from a script without %s, only by a host function",
             what, session->is_loan ? "--unsafe" : "lunette.session{unsafe=true}");
}

/* ---- the class ---- */
static int session_get_closed(lua_State *L) {
  lua_pushboolean(L, ((Session *)object_check_closed(L, 1, &session_class))->closed);
  return 1;
}

static int session_get_strict(lua_State *L) {
  lua_pushboolean(L, ((Session *)object_check_closed(L, 1, &session_class))->strict);
  return 1;
}

static int session_get_unsafe(lua_State *L) {
  lua_pushboolean(L, ((Session *)object_check_closed(L, 1, &session_class))->unsafe);
  return 1;
}

/* Whether a callback is at work whose time is limited. */
static int session_get_is_timed(lua_State *L) {
  lua_pushboolean(L, session_check(L, 1)->script_time_ns && budget_is_timed(L));
  return 1;
}

/* Whether callbacks have exceeded budgets too often for the one at work to put others to work. */
static int session_get_is_over(lua_State *L) {
  lua_pushboolean(L, session_check(L, 1)->excesses >= EXCESSES_MOST && budget_is_timed(L));
  return 1;
}

static int session_get_is_loan(lua_State *L) {
  lua_pushboolean(L, ((Session *)object_check_closed(L, 1, &session_class))->is_loan);
  return 1;
}

static int session_get_instances(lua_State *L) {
  Session *session = session_check(L, 1);
  session_anchors(L, session);
  lua_rawgeti(L, -1, session->instances);
  return 1;
}

/* session:write(text…): all of it as one piece. True, or nil, message, kind. */
static int session_write_text(lua_State *L) {
  Session *session = session_check(L, 1);
  lun_error error = LUN_ERROR_INIT;
  luaL_Buffer buffer;
  size_t size;
  const char *text;
  int count = lua_gettop(L);
  for (int i = 2; i <= count; i++) luaL_checkstring(L, i);
  if (count > 2) {
    luaL_buffinit(L, &buffer);
    for (int i = 2; i <= count; i++) {
      text = lua_tolstring(L, i, &size);
      luaL_addlstring(&buffer, text, size);
    }
    luaL_pushresult(&buffer);
  }
  text = count > 1 ? lua_tolstring(L, -1, &size) : NULL;
  if (!text || session_write(session, text, size, &error)) {
    lua_pushboolean(L, true);
    return 1;
  }
  lua_pushnil(L);
  lua_pushstring(L, error.kind == LUN_OK ? "the output could not be opened" : error.message);
  lua_pushstring(L, lun_status_name(error.kind == LUN_OK ? LUN_OUTPUT : error.kind));
  lun_error_clear(&error);
  return 3;
}

static int session_flush(lua_State *L) {
  Session *session = session_check(L, 1);
  lua_pushboolean(L, !session->output || lun_output_flush(session->output));
  return 1;
}

static int session_tell(lua_State *L) {
  session_message(session_check(L, 1), luaL_checkstring(L, 2));
  return 0;
}

/* session:fuel([left]): what is left; then so much. */
static int session_fuel(lua_State *L) {
  Session *session = session_check(L, 1);
  lua_Integer left = luaL_optinteger(L, 2, 0);
  luaL_argcheck(L, left >= 0, 2, "fuel is 0 or more");
  lua_pushinteger(L, (lua_Integer)lun_store_fuel(session->store));
  if (!lua_isnoneornil(L, 2)) lun_store_set_fuel(session->store, (uint64_t)left);
  return 1;
}

/* session:stop([status]): the run ends with kind exit. */
static int session_stop(lua_State *L) {
  Session *session = session_check(L, 1);
  lua_Integer status = luaL_optinteger(L, 2, 0);
  luaL_argcheck(L, status >= INT32_MIN && status <= INT32_MAX, 2, "a status is a 32-bit integer");
  lun_store_stop(session->store, (int32_t)status);
  return 0;
}

static int session_tostring(lua_State *L) {
  const Session *session = object_check_closed(L, 1, &session_class);
  lua_pushfstring(L, "session (%s)", session->closed ? "closed" : "open");
  return 1;
}

static int session_get_loop_failures(lua_State *L) {
  const Session *session = session_check(L, 1);
  lua_pushinteger(L, session->loop ? (lua_Integer)session->loop->failures : 0);
  return 1;
}

static const Field fields[] = {
  { "closed", session_get_closed, NULL },       { "strict", session_get_strict, NULL },
  { "instances", session_get_instances, NULL }, { "is_loan", session_get_is_loan, NULL },
  { "unsafe", session_get_unsafe, NULL },       { "is_timed", session_get_is_timed, NULL },
  { "is_over", session_get_is_over, NULL },
  { "loop_failures", session_get_loop_failures, NULL },
  { NULL, NULL, NULL },
};
static const luaL_Reg methods[] = {
  { "close", session_close }, { "check_close", session_check_close }, { "write", session_write_text },
  { "flush", session_flush }, { "message", session_tell }, { "stop", session_stop }, { "fuel", session_fuel },
  { "run_loop", session_run_loop }, { "stop_loop", session_stop_loop }, { "settle_loop", session_settle_loop },
  { "loop_has_work", session_loop_has_work }, { "call", call_of_session },
  { "call_load", session_call_load }, { "call_callback", session_call_callback },
  { "without_budget", session_without_budget },
  { "on_pause", session_on_pause }, { "ask_pause", session_ask_pause }, { "park", session_park },
  { "unpark", session_unpark }, { NULL, NULL },
};
static const luaL_Reg metamethods[] = {
  { "__gc", session_gc }, { "__close", session_close }, { "__tostring", session_tostring }, { NULL, NULL },
};
const Class session_class = { "session", 2, fields, methods, metamethods, NULL, NULL };
