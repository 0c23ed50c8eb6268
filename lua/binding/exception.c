/* SPDX-License-Identifier: MIT */
/* Exceptions, each object one hold: .tag, .values. Two objects of one exception are equal. */
#include "objects.h"

typedef struct ExceptionObject {
  Head head;
  lun_exception *exception;
  Owned *owned;
} ExceptionObject;

static void drop(void *held) {
  lun_exception_release(held);
}

/* (session, exception) -> object */
static int build(lua_State *L) {
  Session *session = lua_touserdata(L, 1);
  ExceptionObject *object = object_new(L, &exception_class, session, sizeof *object);
  object->owned = session_own(session, lun_exception_retain(lua_touserdata(L, 2)), drop);
  if (!object->owned) return luaL_error(L, "not enough memory");
  object->exception = lua_touserdata(L, 2);
  return 1;
}

void exception_push(lua_State *L, Session *session, lun_exception *exception) {
  lua_pushcfunction(L, build);
  lua_pushlightuserdata(L, session);
  lua_pushlightuserdata(L, exception);
  lua_call(L, 2, 1);
}

void exception_take(lua_State *L, Session *session, lun_exception *exception) {
  int status;
  lua_pushcfunction(L, build);
  lua_pushlightuserdata(L, session);
  lua_pushlightuserdata(L, exception);
  status = lua_pcall(L, 2, 1, 0);
  lun_exception_release(exception);
  if (status != LUA_OK) lua_error(L);
}

lun_exception *exception_to(lua_State *L, Session *session, int index) {
  const ExceptionObject *object = object_to(L, index, &exception_class);
  return object && object->head.session == session && !session->closed ? object->exception : NULL;
}

static ExceptionObject *self(lua_State *L) {
  return object_check(L, 1, &exception_class);
}

static int get_tag(lua_State *L) {
  const ExceptionObject *object = self(L);
  tag_push(L, object->head.session, lun_exception_tag(object->exception));
  return 1;
}

void exception_values_push(lua_State *L, Session *session, const lun_exception *exception) {
  const lun_signature *signature = lun_tag_signature(lun_exception_tag(exception));
  const uint64_t *slots = lun_exception_values(exception);
  luaL_checkstack(L, 8, NULL);
  lua_createtable(L, (int)signature->param_count, 0);
  for (uint32_t i = 0; i < signature->param_count; i++) {
    values_push(L, session, &signature->params[i], 1, slots);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
    slots += lun_type_slots(signature->params[i]);
  }
}

static int get_values(lua_State *L) {
  const ExceptionObject *object = self(L);
  exception_values_push(L, object->head.session, object->exception);
  return 1;
}

static int exception_equal(lua_State *L) {
  const ExceptionObject *a = object_to(L, 1, &exception_class), *b = object_to(L, 2, &exception_class);
  lua_pushboolean(L, a && b && a->exception == b->exception);
  return 1;
}

static int exception_gc(lua_State *L) {
  ExceptionObject *object = object_to(L, 1, &exception_class);
  if (!object) return 0;
  session_give_up(object->head.session, object->owned);
  object->owned = NULL;
  return 0;
}

static int exception_tostring(lua_State *L) {
  const ExceptionObject *object = object_check_closed(L, 1, &exception_class);
  if (object->head.session->closed) lua_pushliteral(L, "exception (its session is closed)");
  else lua_pushfstring(L, "exception %s", lun_tag_name(lun_exception_tag(object->exception)));
  return 1;
}

static const Field fields[] = { { "tag", get_tag, NULL }, { "values", get_values, NULL }, { NULL, NULL, NULL } };
static const luaL_Reg metamethods[] = {
  { "__tostring", exception_tostring }, { "__eq", exception_equal }, { "__gc", exception_gc }, { NULL, NULL },
};
const Class exception_class = { "exception", 1, fields, NULL, metamethods, NULL, NULL };
