/* SPDX-License-Identifier: MIT */
/* Tables: t[i] counts from 0, as WebAssembly does; .size, .type. */
#include "objects.h"

void table_push(lua_State *L, Session *session, lun_table *table) {
  handle_push(L, session, CACHE_TABLE, &table_class, table);
}

static lun_table *self(lua_State *L) {
  return ((Handle *)object_check(L, 1, &table_class))->pointer;
}

static Session *session_of(lua_State *L) {
  return ((Handle *)object_to(L, 1, &table_class))->head.session;
}

static uint32_t index_check(lua_State *L, const lun_table *table) {
  lua_Integer index = luaL_checkinteger(L, 2);
  if (index < 0 || index >= (lua_Integer)lun_table_size(table))
    luaL_error(L, "a table of %d elements has no number %I", (int)lun_table_size(table), (LUAI_UACINT)index);
  return (uint32_t)index;
}

static int table_index(lua_State *L) {
  const lun_table *table = self(L);
  lun_type type = lun_table_type(table);
  uint64_t ref = 0;
  if (!lun_table_get(table, index_check(L, table), &ref)) return 0;
  values_push(L, session_of(L), &type, 1, &ref);
  return 1;
}

static int table_set_index(lua_State *L) {
  lun_table *table = self(L);
  lun_type type = lun_table_type(table);
  uint32_t index = index_check(L, table);
  uint64_t ref[2];
  session_check_write(L, session_of(L), "a table");
  if (!value_to(L, session_of(L), 3, type, ref))
    return luaL_error(L, "an element of type %s can't be %s", lun_type_name(type), value_kind(L, 3, type));
  if (!lun_table_set(table, index, ref[0])) return luaL_error(L, "the table holds functions of another type");
  return 0;
}

static int get_size(lua_State *L) {
  lua_pushinteger(L, lun_table_size(self(L)));
  return 1;
}

static int get_address(lua_State *L) {
  lua_pushstring(L, lun_table_is_64(self(L)) ? "i64" : "i32");
  return 1;
}

static int get_type(lua_State *L) {
  lua_pushstring(L, lun_type_name(lun_table_type(self(L))));
  return 1;
}

/* (session, {type=, min=, max=, address=}) -> table */
int core_table(lua_State *L) {
  Session *session = session_check(L, 1);
  lun_error error = LUN_ERROR_INIT;
  lun_table *table = NULL;
  lun_type type = LUN_FUNCREF;
  lua_Integer min, max, most;
  lun_status status;
  bool is_64;
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_settop(L, 2);
  is_64 = address_is_64(L, 2);
  lua_settop(L, 2);
  most = is_64 ? LUA_MAXINTEGER : UINT32_MAX;
  if (lua_getfield(L, 2, "type") != LUA_TNIL) type = type_check(L, 3);
  lua_getfield(L, 2, "min");
  lua_getfield(L, 2, "max");
  min = luaL_optinteger(L, 4, 0);
  max = luaL_optinteger(L, 5, most);
  if (type != LUN_FUNCREF && type != LUN_EXTERNREF && type != LUN_EXNREF)
    return luaL_error(L, "table: the type must be funcref, externref or exnref");
  if (min < 0 || max < min || max > most) return luaL_error(L, "table: 0 <= min <= max <= %I", (LUAI_UACINT)most);
  if (!is_64) status = lun_table_create(session->store, type, (uint32_t)min, (uint32_t)max, &table, &error);
  else status = lun_table_create_64(session->store, type, (uint64_t)min, max == most ? UINT64_MAX : (uint64_t)max, &table, &error);
  if (status != LUN_OK) return error_raise(L, session, &error);
  table_push(L, session, table);
  return 1;
}

static int table_tostring(lua_State *L) {
  const Handle *handle = object_check_closed(L, 1, &table_class);
  if (handle->head.session->closed) lua_pushliteral(L, "table (its session is closed)");
  else lua_pushfstring(L, "table of %d %s", (int)lun_table_size(handle->pointer),
                       lun_type_name(lun_table_type(handle->pointer)));
  return 1;
}

static const Field fields[] = {
  { "size", get_size, NULL }, { "type", get_type, NULL }, { "address", get_address, NULL }, { NULL, NULL, NULL },
};
static const luaL_Reg metamethods[] = { { "__tostring", table_tostring }, { "__len", get_size }, { NULL, NULL } };
const Class table_class = { "table", 1, fields, NULL, metamethods, table_index, table_set_index };
