/* SPDX-License-Identifier: MIT */
/* How Lua classes are made of tables of fields and methods.
 *
 * A class has one metatable in the registry, "lunette." and its name. Its __index looks a name up in one Lua table that
 * holds functions for methods and the Field's address for fields; what is in neither is an error that names the nearest.
 * Objects know their class by the address in their head: that is checked without looking into the registry. */
#include <string.h>

#include "objects.h"

#define LOOKUP lua_upvalueindex(1)
#define CLASS lua_upvalueindex(2)

/* Fills `names` with the string keys of the table at `index`; gives their number. */
static size_t names_of(lua_State *L, int index, const char **names, size_t room) {
  size_t count = 0;
  lua_pushnil(L);
  while (lua_next(L, index)) {
    lua_pop(L, 1);
    if (lua_type(L, -1) == LUA_TSTRING && count < room) names[count++] = lua_tostring(L, -1);
  }
  return count;
}

static int unknown_field(lua_State *L, const Class *class) {
  const char *names[64], *nearest;
  if (lua_type(L, 2) != LUA_TSTRING) return luaL_error(L, "%s: no such field: %s", class->name, luaL_tolstring(L, 2, NULL));
  lua_pushvalue(L, LOOKUP);
  nearest = lun_nearest(lua_tostring(L, 2), names, names_of(L, lua_gettop(L), names, 64));
  if (nearest) return luaL_error(L, "%s.%s: no such field; did you mean '%s'?", class->name, lua_tostring(L, 2), nearest);
  return luaL_error(L, "%s.%s: no such field", class->name, lua_tostring(L, 2));
}

static const Class *own_class(lua_State *L) {
  const Class *class = lua_touserdata(L, CLASS);
  object_check_closed(L, 1, class);
  return class;
}

static int class_index(lua_State *L) {
  const Class *class = own_class(L);
  const Field *field;
  lua_settop(L, 2);
  if (class->index && lua_type(L, 2) == LUA_TNUMBER) return class->index(L);
  lua_pushvalue(L, 2);
  switch (lua_rawget(L, LOOKUP)) {
  case LUA_TFUNCTION:
    return 1;
  case LUA_TLIGHTUSERDATA:
    field = lua_touserdata(L, -1);
    lua_pop(L, 1);
    return field->get(L);
  default:
    lua_pop(L, 1);
    return unknown_field(L, class);
  }
}

static int class_newindex(lua_State *L) {
  const Class *class = own_class(L);
  const Field *field = NULL;
  lua_settop(L, 3);
  if (class->set_index && lua_type(L, 2) == LUA_TNUMBER) return class->set_index(L);
  lua_pushvalue(L, 2);
  switch (lua_rawget(L, LOOKUP)) {
  case LUA_TLIGHTUSERDATA:
    field = lua_touserdata(L, -1);
    break;
  case LUA_TFUNCTION:
    break;
  default:
    lua_pop(L, 1);
    return unknown_field(L, class);
  }
  lua_pop(L, 1);
  if (!field || !field->set) return luaL_error(L, "%s.%s can't be set", class->name, luaL_tolstring(L, 2, NULL));
  return field->set(L);
}

void weak_push(lua_State *L, const char *mode) {
  lua_newtable(L);
  lua_createtable(L, 0, 1);
  lua_pushstring(L, mode);
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
}

void class_register(lua_State *L, const Class *class) {
  lua_pushfstring(L, "lunette.%s", class->name);
  luaL_newmetatable(L, lua_tostring(L, -1));
  if (class->metamethods) luaL_setfuncs(L, class->metamethods, 0);
  lua_pushvalue(L, -2);
  lua_setfield(L, -2, "__metatable"); /* keeps it out of reach */
  lua_newtable(L);
  for (const Field *field = class->fields; field && field->name; field++) {
    lua_pushlightuserdata(L, (void *)(uintptr_t)field);
    lua_setfield(L, -2, field->name);
  }
  if (class->methods) luaL_setfuncs(L, class->methods, 0);
  lua_pushvalue(L, -1);
  lua_pushlightuserdata(L, (void *)(uintptr_t)class);
  lua_pushcclosure(L, class_index, 2);
  lua_setfield(L, -3, "__index");
  lua_pushlightuserdata(L, (void *)(uintptr_t)class);
  lua_pushcclosure(L, class_newindex, 2);
  lua_setfield(L, -2, "__newindex");
  lua_pop(L, 2);
}

void *object_new(lua_State *L, const Class *class, Session *session, size_t size) {
  Head *head = lua_newuserdatauv(L, size, class->values);
  memset(head, 0, size);
  head->class = class;
  head->session = session;
  if (session && session != (Session *)head) {
    session_push(L, session);
    lua_setiuservalue(L, -2, 1);
  }
  lua_pushfstring(L, "lunette.%s", class->name);
  lua_rawget(L, LUA_REGISTRYINDEX);
  lua_setmetatable(L, -2);
  return head;
}

void *object_to(lua_State *L, int index, const Class *class) {
  const Head *head = lua_touserdata(L, index);
  if (!head || lua_rawlen(L, index) < sizeof *head || head->class != class) return NULL;
  return lua_touserdata(L, index);
}

void *object_check_closed(lua_State *L, int index, const Class *class) {
  void *object = object_to(L, index, class);
  if (!object) luaL_typeerror(L, index, class->name);
  return object;
}

void *object_check(lua_State *L, int index, const Class *class) {
  Head *head = object_check_closed(L, index, class);
  if (head->session->closed) session_closed_error(L);
  return head;
}

int core_nearest(lua_State *L) {
  lua_Integer count = luaL_len(L, 2);
  const char **names, *nearest;
  luaL_checkstring(L, 1);
  if (count < 0 || count > 1000000) return 0;
  names = lua_newuserdatauv(L, (size_t)count * sizeof *names + 1, 0);
  size_t found = 0;
  for (lua_Integer i = 1; i <= count; i++) {
    if (lua_rawgeti(L, 2, i) == LUA_TSTRING) names[found++] = lua_tostring(L, -1); /* the list keeps it */
    lua_pop(L, 1);
  }
  nearest = lun_nearest(lua_tostring(L, 1), names, found);
  if (!nearest) return 0;
  lua_pushstring(L, nearest);
  return 1;
}
