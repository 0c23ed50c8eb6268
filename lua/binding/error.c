/* SPDX-License-Identifier: MIT */
/* err objects: what module, instantiate and invoke raise, and what abort is given.
 *
 * One failing run has one err object: it is made at the first abort (or by the host function that raised), kept at the
 * run's level, and raised by invoke. A host function that lets a nested run's err object through hands that run's kind
 * and stack on to the outer run. */
#include <string.h>

#include "objects.h"

typedef struct ErrorObject {
  Head head;
  Owned *owned;              /* the hold on the stack */
  lun_status kind;
  lun_trap trap;
  int32_t code;
  uint64_t offset;
  lun_snapshot *stack;
  lun_exception *exception;  /* held by the object VALUE_EXCEPTION */
  bool caught;
} ErrorObject;
enum { VALUE_MESSAGE = 2, VALUE_VALUE, VALUE_DETAIL, VALUE_EXCEPTION }; /* user values */

static void drop_stack(void *held) {
  lun_snapshot_destroy(held);
}

static void keep_stack(ErrorObject *object, lun_snapshot *stack) {
  if (!stack || object->stack || object->head.session->closed) return;
  object->owned = session_own(object->head.session, lun_snapshot_retain(stack), drop_stack);
  if (object->owned) object->stack = stack;
}

/* ---- from the engine ---- */
/* (session, lun_error) -> err */
static int error_build(lua_State *L) {
  Session *session = lua_touserdata(L, 1);
  const lun_error *error = lua_touserdata(L, 2);
  ErrorObject *object = object_new(L, &error_class, session, sizeof *object);
  object->kind = error->kind;
  object->trap = error->trap;
  object->code = error->code;
  object->offset = error->offset;
  object->caught = error->caught;
  keep_stack(object, error->stack);
  if (error->exception) {
    exception_push(L, session, error->exception);
    lua_setiuservalue(L, -2, VALUE_EXCEPTION);
    object->exception = error->exception;
  }
  lua_pushstring(L, error->message);
  lua_setiuservalue(L, -2, VALUE_MESSAGE);
  lua_pushstring(L, error->detail);
  lua_setiuservalue(L, -2, VALUE_DETAIL);
  return 1;
}

static int error_try_build(lua_State *L, Session *session, const lun_error *error) {
  lua_pushcfunction(L, error_build);
  lua_pushlightuserdata(L, session);
  lua_pushlightuserdata(L, (void *)(uintptr_t)error);
  return lua_pcall(L, 2, 1, 0);
}

void error_push(lua_State *L, Session *session, lun_error *error) {
  int status = error_try_build(L, session, error);
  lun_error_clear(error);
  if (status != LUA_OK) lua_error(L);
}

int error_raise(lua_State *L, Session *session, lun_error *error) {
  error_push(L, session, error);
  return lua_error(L);
}

/* ---- the one under way ---- */
static void failure_get(lua_State *L, Session *session, int level) {
  session_anchors(L, session);
  lua_rawgeti(L, -1, session->failures[level]);
  lua_remove(L, -2);
}

/* Keeps the object on top; the place is there already, so that this needs no memory. */
static void failure_put(lua_State *L, Session *session, int level) {
  session_anchors(L, session);
  lua_pushvalue(L, -2);
  lua_rawseti(L, -2, session->failures[level]);
  lua_pop(L, 1);
}

void error_forget(Session *session, int level) {
  if (session->failures[level] == LUA_NOREF) return;
  lua_pushboolean(session->keeper, false);
  lua_rawseti(session->keeper, ANCHORS, session->failures[level]);
}

/* Whether the object tells this failure. A run can have any number of exceptions that are caught: each has a stack. */
static bool is_same(const ErrorObject *object, const lun_error *error) {
  return object->kind == error->kind && object->code == error->code && object->trap == error->trap &&
         object->exception == error->exception && object->caught == error->caught &&
         (!error->caught || object->stack == error->stack);
}

/* (session, level, lun_error) -> err */
static int error_current(lua_State *L) {
  Session *session = lua_touserdata(L, 1);
  int level = (int)lua_tointeger(L, 2);
  const lun_error *error = lua_touserdata(L, 3);
  ErrorObject *object;
  failure_get(L, session, level);
  object = object_to(L, -1, &error_class);
  if (object && is_same(object, error)) {
    keep_stack(object, error->stack);
    return 1;
  }
  if (error_try_build(L, session, error) != LUA_OK) return lua_error(L);
  failure_put(L, session, level);
  return 1;
}

static int error_try_current(lua_State *L, Session *session, int level, const lun_error *error) {
  lua_pushcfunction(L, error_current);
  lua_pushlightuserdata(L, session);
  lua_pushinteger(L, level);
  lua_pushlightuserdata(L, (void *)(uintptr_t)error);
  return lua_pcall(L, 3, 1, 0);
}

void error_push_current(lua_State *L, Session *session, const lun_error *error) {
  if (error_try_current(L, session, session->level, error) != LUA_OK) lua_error(L);
}

int session_fail(lua_State *L, Session *session, const Entry *entry, lun_error *error) {
  int level = session->level;
  session_leave(session, entry);
  if (level == entry->level) return error_raise(L, session, error); /* refused: too many runs inside one another */
  if (error_try_current(L, session, level, error) != LUA_OK) { /* what is on top is raised all the same */ }
  lun_error_clear(error);
  error_forget(session, level);
  return lua_error(L);
}

/* ---- from Lua ---- */
static int text_of(lua_State *L) {
  luaL_tolstring(L, 1, NULL);
  return 1;
}

/* Pushes what the raised value at index 1 says: a text itself, others by their __tostring. One that has none, or whose
 * own fails, is named by its type. */
static const char *push_raised(lua_State *L) {
  int type = lua_type(L, 1);
  if (type == LUA_TSTRING || type == LUA_TNUMBER) {
    lua_pushvalue(L, 1);
    return lua_tostring(L, -1);
  }
  if (luaL_getmetafield(L, 1, "__tostring") != LUA_TNIL) {
    lua_pop(L, 1);
    lua_pushcfunction(L, text_of);
    lua_pushvalue(L, 1);
    if (lua_pcall(L, 1, 1, 0) == LUA_OK) return lua_tostring(L, -1);
    lua_pop(L, 1);
    return lua_pushfstring(L, "a %s was raised, whose __tostring fails", lua_typename(L, type));
  }
  if (type != LUA_TNIL && type != LUA_TBOOLEAN) return lua_pushfstring(L, "a %s was raised", lua_typename(L, type));
  return luaL_tolstring(L, 1, NULL);
}

/* Pushes text, if any, and the traceback of what called the handler; without the frame of a guard, at its end. */
static void push_traceback(lua_State *L, const char *text) {
  static const char frame[] = "\n\t[C]: in ?";
  size_t size, less = sizeof frame - 1;
  luaL_traceback(L, L, text, 1);
  const char *whole = lua_tolstring(L, -1, &size);
  if (size < less || memcmp(whole + size - less, frame, less) != 0 || !guard_is_outermost(L)) return;
  lua_pushlstring(L, whole, size - less);
  lua_remove(L, -2);
}

int error_text_handler(lua_State *L) {
  push_traceback(L, push_raised(L));
  return 1;
}

/* The kinds that a run can fail with, and so a host function hands on. */
static bool kind_of_run(lun_status kind) {
  return kind >= LUN_TRAP && kind <= LUN_LISTENER;
}

/* (exception) -> err */
static int error_of_exception(lua_State *L, Session *session) {
  lun_error error = LUN_ERROR_INIT;
  (void)!lun_exception_throw(exception_to(L, session, 1), &error);
  error_push(L, session, &error);
  push_traceback(L, NULL);
  lua_setiuservalue(L, -2, VALUE_DETAIL);
  return 1;
}

bool error_is_outcome(lua_State *L, Session *session, int index) {
  const ErrorObject *object = object_to(L, index, &error_class);
  return (object && object->head.session == session && kind_of_run(object->kind)) || exception_to(L, session, index);
}

int error_host_handler(lua_State *L) {
  Session *session = object_to(L, lua_upvalueindex(1), &session_class);
  ErrorObject *object = object_to(L, 1, &error_class);
  const char *text, *end;
  if (object && object->head.session == session && kind_of_run(object->kind)) return 1;
  if (exception_to(L, session, 1)) return error_of_exception(L, session);
  lua_settop(L, 1);
  text = push_raised(L);
  object = object_new(L, &error_class, session, sizeof *object);
  object->kind = LUN_HOST;
  object->offset = LUN_NO_OFFSET;
  end = strchr(text, '\n');
  lua_pushlstring(L, text, end ? (size_t)(end - text) : strlen(text));
  lua_setiuservalue(L, -2, VALUE_MESSAGE);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, VALUE_VALUE);
  push_traceback(L, NULL);
  lua_setiuservalue(L, -2, VALUE_DETAIL);
  return 1;
}

lun_status error_from_host(lua_State *L, Session *session, lun_error *error) {
  ErrorObject *object = object_to(L, -1, &error_class);
  const char *text;
  lun_status kind = LUN_HOST;
  if (object) {
    kind = object->kind;
    lua_getiuservalue(L, -1, VALUE_MESSAGE);
    text = lua_tostring(L, -1);
    lun_error_set(error, kind, "%s", text ? text : "");
    lua_pop(L, 1);
    error->code = object->code;
    error->trap = object->trap;
    error->value = object;
    error->exception = lun_exception_retain(object->exception);
    if (object->stack && !error->stack) error->stack = lun_snapshot_retain(object->stack);
    failure_put(L, session, session->level);
  } else { /* memory failed, or the handler itself: a text, or nothing readable */
    text = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "error in error handling";
    lun_error_set(error, kind, "%s", text);
  }
  lua_pop(L, 1);
  return kind;
}

/* (session, kind, message, [detail]) -> err */
int core_error(lua_State *L) {
  Session *session = object_check_closed(L, 1, &session_class);
  const char *kind = luaL_checkstring(L, 2);
  ErrorObject *object;
  int status = LUN_STATUS_COUNT - 1;
  luaL_checkstring(L, 3);
  lua_settop(L, 4);
  while (status > LUN_OK && strcmp(lun_status_name((lun_status)status), kind) != 0) status--;
  luaL_argcheck(L, status != LUN_OK, 2, "no such kind");
  object = object_new(L, &error_class, session, sizeof *object);
  object->kind = (lun_status)status;
  object->offset = LUN_NO_OFFSET;
  lua_pushvalue(L, 3);
  lua_setiuservalue(L, -2, VALUE_MESSAGE);
  lua_pushvalue(L, 4);
  lua_setiuservalue(L, -2, VALUE_DETAIL);
  return 1;
}

/* ---- the class ---- */
static ErrorObject *self(lua_State *L) {
  return object_check_closed(L, 1, &error_class);
}

static int get_kind(lua_State *L) {
  lua_pushstring(L, lun_status_name(self(L)->kind));
  return 1;
}

static int get_code(lua_State *L) {
  const ErrorObject *object = self(L);
  if (object->kind == LUN_TRAP) lua_pushstring(L, lun_trap_name(object->trap));
  else if (object->kind == LUN_EXIT) lua_pushinteger(L, object->code);
  else lua_pushnil(L);
  return 1;
}

static int get_offset(lua_State *L) {
  const ErrorObject *object = self(L);
  if (object->offset == LUN_NO_OFFSET) lua_pushnil(L);
  else lua_pushinteger(L, (lua_Integer)object->offset);
  return 1;
}

static int get_exit_status(lua_State *L) {
  const ErrorObject *object = self(L);
  lua_pushinteger(L, object->kind == LUN_EXIT ? (object->code & 255) : lun_status_exit(object->kind));
  return 1;
}

static int get_stack(lua_State *L) {
  const ErrorObject *object = self(L);
  if (object->head.session->closed) return session_closed_error(L);
  stack_push_owned(L, object->head.session, object->stack);
  return 1;
}

static int get_message(lua_State *L) {
  lua_getiuservalue(L, 1, VALUE_MESSAGE);
  return 1;
}

static int get_value(lua_State *L) {
  lua_getiuservalue(L, 1, VALUE_VALUE);
  return 1;
}

static int get_detail(lua_State *L) {
  lua_getiuservalue(L, 1, VALUE_DETAIL);
  return 1;
}

static int error_tostring(lua_State *L) {
  const ErrorObject *object = self(L);
  lua_settop(L, 1);
  lua_getiuservalue(L, 1, VALUE_MESSAGE);
  lua_getiuservalue(L, 1, VALUE_DETAIL);
  /* A script's message begins with its own place. */
  if (object->kind != LUN_SCRIPT) lua_pushfstring(L, "%s: %s", lun_status_name(object->kind), lua_tostring(L, 2));
  else lua_pushvalue(L, 2);
  if (object->kind != LUN_HOST && lua_isstring(L, 3)) lua_pushfstring(L, "%s\n%s", lua_tostring(L, -1), lua_tostring(L, 3));
  return 1;
}

static int error_gc(lua_State *L) {
  ErrorObject *object = object_to(L, 1, &error_class);
  if (!object) return 0;
  session_give_up(object->head.session, object->owned);
  object->owned = NULL;
  object->stack = NULL;
  return 0;
}

/* Of the exception, or nil. */
static lun_exception *push_exception(lua_State *L) {
  const ErrorObject *object = self(L);
  lua_getiuservalue(L, 1, VALUE_EXCEPTION);
  return object->head.session->closed ? NULL : object->exception;
}

static int get_exception(lua_State *L) {
  push_exception(L);
  return 1;
}

static int get_tag(lua_State *L) {
  const lun_exception *exception = push_exception(L);
  tag_push(L, self(L)->head.session, exception ? lun_exception_tag(exception) : NULL);
  return 1;
}

static int get_values(lua_State *L) {
  const lun_exception *exception = push_exception(L);
  if (exception) exception_values_push(L, self(L)->head.session, exception);
  else lua_pushnil(L);
  return 1;
}

static int get_caught(lua_State *L) {
  lua_pushboolean(L, self(L)->caught);
  return 1;
}

static const Field fields[] = {
  { "exception", get_exception, NULL }, { "tag", get_tag, NULL }, { "values", get_values, NULL },
  { "caught", get_caught, NULL },
  { "kind", get_kind, NULL },     { "code", get_code, NULL },     { "message", get_message, NULL },
  { "stack", get_stack, NULL },   { "value", get_value, NULL },   { "detail", get_detail, NULL },
  { "offset", get_offset, NULL }, { "exit_status", get_exit_status, NULL }, { NULL, NULL, NULL },
};
static const luaL_Reg metamethods[] = { { "__gc", error_gc }, { "__tostring", error_tostring }, { NULL, NULL } };
const Class error_class = { "err", 5, fields, NULL, metamethods, NULL, NULL };

/* ---- for the command ---- */
lun_status binding_to_status(lua_State *L, int index, int32_t *code) {
  const ErrorObject *object = object_to(L, index, &error_class);
  if (!object) return LUN_OK;
  if (code) *code = object->code;
  return object->kind;
}
