/* SPDX-License-Identifier: MIT */
/* Events that are no calls, for Lua: a watch with its function, and the object that the function is given. */
#include <stdlib.h>
#include <string.h>

#include "objects.h"

typedef struct Watch {
  Head head;
  lun_watch *watch;        /* NULL: detached, or its store is gone */
  int self, function;      /* anchors */
  int on_error;            /* anchor of a function, or LUA_NOREF */
} Watch;

typedef struct EventObject {
  Head head;
  const lun_event *event;  /* NULL: stale */
} EventObject;

/* ---- telling ---- */
/* (watch, event) -> event object */
static int make_event(lua_State *L) {
  const Watch *watch = lua_touserdata(L, 1);
  EventObject *object = object_new(L, &event_class, watch->head.session, sizeof *object);
  object->event = lua_touserdata(L, 2);
  return 1;
}

/* (text, function) */
static int report_inside(lua_State *L) {
  lua_pushvalue(L, 2);
  lua_pushstring(L, lua_touserdata(L, 1));
  lua_call(L, 1, 0);
  return 0;
}

static bool tell(lua_State *L, Watch *watch, const lun_event *event, int handler) {
  Session *session = watch->head.session;
  EventObject *object;
  bool ok;
  lua_pushcfunction(L, make_event);
  lua_pushlightuserdata(L, watch);
  lua_pushlightuserdata(L, (void *)(uintptr_t)event);
  if (lua_pcall(L, 2, 1, handler) != LUA_OK) return false;
  object = lua_touserdata(L, -1); /* it stays below the call, so that it can be made stale */
  session_anchors(L, session);
  lua_rawgeti(L, -1, watch->function);
  lua_remove(L, -2);
  lua_pushvalue(L, -2);
  ok = budget_pcall(session, L, 1, 0, handler) == LUA_OK;
  object->event = NULL;
  return ok;
}

static void hear(void *self, const lun_event *event) {
  Watch *watch = self;
  Session *session = watch->head.session;
  lua_State *L = session->L;
  Context outer = session->context;
  int base = lua_gettop(L);
  if (!lua_checkstack(L, 12)) {
    lun_event_fail(event, "not enough memory");
    return;
  }
  lua_pushcfunction(L, error_text_handler);
  session->context = CONTEXT_LISTENER;
  if (!tell(L, watch, event, base + 1))
    lun_event_fail(event, lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "error in error handling");
  session->context = outer;
  lua_settop(L, base);
}

static void report(void *self, lun_watch *handle, const char *message) {
  Watch *watch = self;
  Session *session = watch->head.session;
  lua_State *L = session->L;
  Context outer = session->context;
  int base = lua_gettop(L), status;
  (void)handle;
  if (watch->on_error == LUA_NOREF || !lua_checkstack(L, 12)) {
    session_message(session, message);
    return;
  }
  lua_pushcfunction(L, error_text_handler);
  lua_pushcfunction(L, report_inside);
  lua_pushlightuserdata(L, (void *)(uintptr_t)message);
  session_anchors(L, session);
  lua_rawgeti(L, -1, watch->on_error);
  lua_remove(L, -2);
  session->context = CONTEXT_LISTENER;
  status = budget_pcall(session, L, 2, 0, base + 1);
  session->context = outer;
  if (status != LUA_OK) {
    const char *problem = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "error in on_error";
    session_message(session, problem);
    session_fail_run(session, problem);
  }
  lua_settop(L, base);
}

static void release(void *self) {
  Watch *watch = self;
  Session *session = watch->head.session;
  watch->watch = NULL;
  session_unanchor(session, watch->function);
  session_unanchor(session, watch->on_error);
  session_unanchor(session, watch->self);
  watch->function = watch->on_error = watch->self = LUA_NOREF;
}

/* ---- making one ---- */
static void read_on_error(lua_State *L, Watch *watch, lun_watch_options *options) {
  Session *session = watch->head.session;
  const char *text;
  options->on_error = session->strict ? LUN_ON_ERROR_STOP : LUN_ON_ERROR_REPORT;
  switch (lua_getfield(L, 4, "on_error")) {
  case LUA_TNIL:
    break;
  case LUA_TFUNCTION:
    options->on_error = LUN_ON_ERROR_REPORT;
    watch->on_error = session_anchor(L, session);
    return;
  default:
    text = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "";
    if (strcmp(text, "stop") == 0) options->on_error = LUN_ON_ERROR_STOP;
    else if (strcmp(text, "report") == 0) options->on_error = LUN_ON_ERROR_REPORT;
    else luaL_error(L, "on_error must be \"report\", \"stop\" or a function");
  }
  lua_pop(L, 1);
}

/* (watch, kinds, function, options table, options) */
static int prepare(lua_State *L) {
  Watch *watch = lua_touserdata(L, 1);
  lun_watch_options *options = lua_touserdata(L, 5);
  Session *session = watch->head.session;
  lua_pushvalue(L, 1);
  watch->self = session_anchor(L, session);
  lua_pushvalue(L, 3);
  watch->function = session_anchor(L, session);
  read_on_error(L, watch, options);
  lua_getfield(L, 4, "reentrant");
  options->reentrant = lua_toboolean(L, -1);
  return 0;
}

/* (session, kinds, function, options) -> watch */
int core_watch(lua_State *L) {
  Session *session = session_check(L, 1);
  unsigned kinds = (unsigned)luaL_checkinteger(L, 2);
  lun_watch_options options = { .report = report, .release = release };
  lun_error error = LUN_ERROR_INIT;
  Watch *watch;
  luaL_checktype(L, 3, LUA_TFUNCTION);
  luaL_checktype(L, 4, LUA_TTABLE);
  lua_settop(L, 4);
  watch = object_new(L, &watch_class, session, sizeof *watch);
  watch->self = watch->function = watch->on_error = LUA_NOREF;
  lua_pushcfunction(L, prepare);
  lua_pushvalue(L, 5);
  lua_pushvalue(L, 2);
  lua_pushvalue(L, 3);
  lua_pushvalue(L, 4);
  lua_pushlightuserdata(L, &options);
  if (lua_pcall(L, 5, 0, 0) != LUA_OK) {
    release(watch);
    return lua_error(L);
  }
  if (lun_store_watch(session->store, kinds, hear, watch, &options, &watch->watch, &error) != LUN_OK) {
    release(watch);
    return error_raise(L, session, &error);
  }
  return 1;
}

/* ---- the classes ---- */
static int watch_get_detached(lua_State *L) {
  const Watch *watch = object_check_closed(L, 1, &watch_class);
  lua_pushboolean(L, !watch->watch);
  return 1;
}

/* watch:detach([{drop=true}]) */
static int watch_detach(lua_State *L) {
  Watch *watch = object_check(L, 1, &watch_class);
  lun_watch *handle = watch->watch;
  bool drop = false;
  if (!lua_isnoneornil(L, 2)) {
    luaL_checktype(L, 2, LUA_TTABLE);
    lua_getfield(L, 2, "drop");
    drop = lua_toboolean(L, -1);
  }
  watch->watch = NULL;
  if (handle) lun_watch_remove(handle, drop ? LUN_DROP : 0);
  return 0;
}

static int watch_tostring(lua_State *L) {
  const Watch *watch = object_check_closed(L, 1, &watch_class);
  lua_pushstring(L, watch->watch ? "watch" : "watch (detached)");
  return 1;
}

static const lun_event *event_check(lua_State *L) {
  const EventObject *object = object_check(L, 1, &event_class);
  if (!object->event) luaL_error(L, "stale event: the callback that it was given to is over");
  return object->event;
}

static Session *session_of(lua_State *L) {
  return ((const EventObject *)lua_touserdata(L, 1))->head.session;
}

static int event_get_kind(lua_State *L) {
  lun_event_kind kind = event_check(L)->kind;
  lua_pushstring(L, kind == LUN_EVENT_GROW ? "grow" : kind == LUN_EVENT_INSTANCE ? "instance" : "close");
  return 1;
}

static int event_get_instance(lua_State *L) {
  instance_push(L, session_of(L), event_check(L)->instance);
  return 1;
}

static int event_get_memory(lua_State *L) {
  memory_push(L, session_of(L), event_check(L)->memory);
  return 1;
}

static int event_get_table(lua_State *L) {
  table_push(L, session_of(L), event_check(L)->table);
  return 1;
}

static int push_size(lua_State *L, uint64_t size) {
  if (event_check(L)->kind != LUN_EVENT_GROW || size == UINT64_MAX) lua_pushnil(L);
  else lua_pushinteger(L, (lua_Integer)size);
  return 1;
}

static int event_get_old(lua_State *L) {
  return push_size(L, event_check(L)->old);
}

static int event_get_delta(lua_State *L) {
  return push_size(L, event_check(L)->delta);
}

static int event_get_result(lua_State *L) {
  return push_size(L, event_check(L)->result);
}

static void drop_snapshot(void *held) {
  lun_snapshot_destroy(held);
}

static int event_stack(lua_State *L) {
  lun_snapshot *snapshot = lun_event_snapshot(event_check(L));
  Owned *owned = snapshot ? session_own(session_of(L), snapshot, drop_snapshot) : NULL;
  if (snapshot && !owned) return luaL_error(L, "not enough memory");
  stack_push_owned(L, session_of(L), snapshot);
  session_give_up(session_of(L), owned);
  return 1;
}

static int event_tostring(lua_State *L) {
  const EventObject *object = object_check_closed(L, 1, &event_class);
  if (!object->event) lua_pushliteral(L, "event (stale)");
  else lua_pushfstring(L, "event: %s", (event_get_kind(L), lua_tostring(L, -1)));
  return 1;
}

static const Field watch_fields[] = { { "detached", watch_get_detached, NULL }, { NULL, NULL, NULL } };
static const luaL_Reg watch_methods[] = { { "detach", watch_detach }, { NULL, NULL } };
static const luaL_Reg watch_metamethods[] = { { "__tostring", watch_tostring }, { NULL, NULL } };
const Class watch_class = { "watch", 1, watch_fields, watch_methods, watch_metamethods, NULL, NULL };

static const Field event_fields[] = {
  { "kind", event_get_kind, NULL },     { "instance", event_get_instance, NULL }, { "memory", event_get_memory, NULL },
  { "table", event_get_table, NULL },   { "old", event_get_old, NULL },           { "delta", event_get_delta, NULL },
  { "result", event_get_result, NULL }, { NULL, NULL, NULL },
};
static const luaL_Reg event_methods[] = { { "stack", event_stack }, { NULL, NULL } };
static const luaL_Reg event_metamethods[] = { { "__tostring", event_tostring }, { NULL, NULL } };
const Class event_class = { "event", 1, event_fields, event_methods, event_metamethods, NULL, NULL };
