/* SPDX-License-Identifier: MIT */
/* Globals: .value, .type, .mutable. */
#include <string.h>

#include "objects.h"

void global_push(lua_State *L, Session *session, lun_global *global) {
  handle_push(L, session, CACHE_GLOBAL, &global_class, global);
}

static lun_global *self(lua_State *L) {
  return ((Handle *)object_check(L, 1, &global_class))->pointer;
}

static Session *session_of(lua_State *L) {
  return ((Handle *)object_to(L, 1, &global_class))->head.session;
}

static int get_value(lua_State *L) {
  const lun_global *global = self(L);
  lun_type type = lun_global_type(global);
  values_push(L, session_of(L), &type, 1, lun_global_get(global));
  return 1;
}

static int set_value(lua_State *L) {
  lun_global *global = self(L);
  lun_type type = lun_global_type(global);
  uint64_t slots[2];
  session_check_write(L, session_of(L), "a global");
  if (!value_to(L, session_of(L), 3, type, slots))
    return luaL_error(L, "a global of type %s can't be %s", lun_type_name(type), value_kind(L, 3, type));
  if (!lun_global_mutable(global)) return luaL_error(L, "this global is immutable");
  if (!lun_global_set(global, slots)) return luaL_error(L, "the global holds functions of another type");
  return 0;
}

static int get_type(lua_State *L) {
  lua_pushstring(L, lun_type_name(lun_global_type(self(L))));
  return 1;
}

static int get_mutable(lua_State *L) {
  lua_pushboolean(L, lun_global_mutable(self(L)));
  return 1;
}

/* The value of a type that is taken when none is given. */
static bool value_default(lua_State *L, Session *session, int index, lun_type type, uint64_t *slots) {
  slots[0] = slots[1] = 0;
  return lua_isnil(L, index) || value_to(L, session, index, type, slots);
}

/* (session, {type=, value=, mutable=}) -> global */
int core_global(lua_State *L) {
  Session *session = session_check(L, 1);
  lun_error error = LUN_ERROR_INIT;
  lun_global *global = NULL;
  lun_type type;
  uint64_t slots[2];
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_settop(L, 2);
  lua_getfield(L, 2, "type");
  lua_getfield(L, 2, "value");
  lua_getfield(L, 2, "mutable");
  type = type_check(L, 3);
  if (!value_default(L, session, 4, type, slots))
    return luaL_error(L, "a global of type %s can't be %s", lun_type_name(type), value_kind(L, 4, type));
  if (lun_global_create(session->store, type, lua_toboolean(L, 5), slots, &global, &error) != LUN_OK)
    return error_raise(L, session, &error);
  global_push(L, session, global);
  return 1;
}

/* (tape, place, at, bytes): the orders of a fake, which are no memory of the guest's: bytes at `at` of its tape, to be played from
 * there. Is no change to what listeners observe, and so may come from one of them. */
int core_fake_tape(lua_State *L) {
  lun_memory *tape = ((Handle *)object_check(L, 1, &memory_class))->pointer;
  lun_global *place = ((Handle *)object_check(L, 2, &global_class))->pointer;
  uint64_t at = (uint64_t)luaL_checkinteger(L, 3), slots[2] = { at, 0 };
  size_t size;
  const char *bytes = luaL_checklstring(L, 4, &size);
  uint8_t *room = lun_memory_write(tape, at, size);
  if (!room || at > INT32_MAX || lun_global_type(place) != LUN_I32 || !lun_global_mutable(place))
    return luaL_error(L, "fake_tape: a fake's tape and its place expected");
  if (size > 0) memcpy(room, bytes, size);
  lun_global_set(place, slots);
  return 0;
}

static int global_tostring(lua_State *L) {
  const Handle *handle = object_check_closed(L, 1, &global_class);
  if (handle->head.session->closed) lua_pushliteral(L, "global (its session is closed)");
  else lua_pushfstring(L, "global %s%s", lun_global_mutable(handle->pointer) ? "mut " : "",
                       lun_type_name(lun_global_type(handle->pointer)));
  return 1;
}

static const Field fields[] = {
  { "value", get_value, set_value }, { "type", get_type, NULL }, { "mutable", get_mutable, NULL }, { NULL, NULL, NULL },
};
static const luaL_Reg metamethods[] = { { "__tostring", global_tostring }, { NULL, NULL } };
const Class global_class = { "global", 1, fields, NULL, metamethods, NULL, NULL };
