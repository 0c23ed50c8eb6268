/* SPDX-License-Identifier: MIT */
/* Instances: making them, what they export, calling an export by name. */
#include <string.h>

#include "objects.h"

void instance_push(lua_State *L, Session *session, lun_instance *instance) {
  handle_push(L, session, CACHE_INSTANCE, &instance_class, instance);
}

lun_instance *instance_check(lua_State *L, int index) {
  return ((Handle *)object_check(L, index, &instance_class))->pointer;
}

static Session *session_of(lua_State *L) {
  return ((Handle *)object_to(L, 1, &instance_class))->head.session;
}

/* ---- making one ---- */
typedef struct Making {
  Session *session;
  const lun_module *module;
  lun_imports *imports;
} Making;

/* (options, making): everything that may raise while there is a list to give up. */
static int fill(lua_State *L) {
  Making *making = lua_touserdata(L, 2);
  imports_fill(L, making->session, 1, making->module, making->imports);
  return 0;
}

static void remember(lua_State *L, Session *session) {
  session_anchors(L, session);
  lua_rawgeti(L, -1, session->instances);
  lua_pushvalue(L, -3);
  lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
  lua_pop(L, 2);
}

/* Takes the one at index 1 off the list. Needs no memory. */
static void forget(lua_State *L, Session *session) {
  lua_Integer count, at = 1;
  session_anchors(L, session);
  lua_rawgeti(L, -1, session->instances);
  for (count = (lua_Integer)lua_rawlen(L, -1); at <= count; at++) {
    lua_rawgeti(L, -1, at);
    bool found = lua_rawequal(L, -1, 1);
    lua_pop(L, 1);
    if (found) break;
  }
  for (; at <= count; at++) {
    lua_rawgeti(L, -1, at + 1);
    lua_rawseti(L, -2, at);
  }
  lua_pop(L, 2);
}

/* What holds before an instance is made with limits of its own. */
typedef struct Before {
  lun_limits limits;
  uint64_t fuel;
} Before;

/* The session's limits, with those of the table at index 5 in their place. */
static Before limits_enter(lua_State *L, Session *session) {
  Before before = { lun_store_limits(session->store), lun_store_fuel(session->store) };
  lun_limits limits = before.limits;
  limits.fuel = 0;
  limits_read(L, 5, &limits);
  bool has_fuel = limits.fuel != 0;
  if (!has_fuel) limits.fuel = before.limits.fuel;
  lun_store_set_limits(session->store, &limits);
  if (!has_fuel) lun_store_set_fuel(session->store, before.fuel);
  return before;
}

static void limits_leave(Session *session, const Before *before) {
  uint64_t left = lun_store_fuel(session->store);
  lun_store_set_limits(session->store, &before->limits);
  lun_store_set_fuel(session->store, left);
}

/* All between creating the list and giving it up; what fails in Lua is left on top. */
static bool make(lua_State *L, Making *making, lun_module *module, const char *name, lun_instance **out, lun_error *error) {
  bool ok;
  if (lun_imports_create(making->session->store, &making->imports, error) != LUN_OK) return false;
  lua_pushcfunction(L, fill);
  lua_pushvalue(L, 3);
  lua_pushlightuserdata(L, making);
  ok = lua_pcall(L, 2, 0, 0) == LUA_OK;
  if (ok) ok = lun_instance_create(making->session->store, module, making->imports, name, out, error) == LUN_OK;
  lun_imports_destroy(making->imports);
  return ok;
}

/* (session, module, [options]) -> instance */
int core_instantiate(lua_State *L) {
  Session *session = session_check(L, 1);
  lun_module *module = module_check(L, 2);
  Making making = { .session = session, .module = module };
  lun_error error = LUN_ERROR_INIT;
  lun_instance *instance = NULL;
  const char *name;
  bool made;
  Before before;
  Entry entry;
  if (((Head *)object_to(L, 2, &module_class))->session != session) return luaL_error(L, "the module is another session's");
  lua_settop(L, 3);
  if (lua_isnil(L, 3)) {
    lua_newtable(L);
    lua_replace(L, 3);
  }
  luaL_checktype(L, 3, LUA_TTABLE);
  lua_getfield(L, 3, "name");
  name = luaL_optstring(L, 4, NULL);
  lua_getfield(L, 3, "limits");
  before = limits_enter(L, session);
  session_enter(L, session, &entry);
  made = make(L, &making, module, name, &instance, &error);
  limits_leave(session, &before);
  if (!made) {
    if (error.kind != LUN_OK) return session_fail(L, session, &entry, &error);
    session_leave(session, &entry);
    return lua_error(L);
  }
  session_leave(session, &entry);
  instance_push(L, session, instance);
  remember(L, session);
  return 1;
}

/* ---- what it has ---- */
static int get_name(lua_State *L) {
  lua_pushstring(L, lun_instance_name(instance_check(L, 1)));
  return 1;
}

static int get_module(lua_State *L) {
  lun_instance *instance = instance_check(L, 1);
  module_push(L, session_of(L), lun_instance_module(instance));
  return 1;
}

static int get_closed(lua_State *L) {
  const Handle *handle = object_check_closed(L, 1, &instance_class);
  lua_pushboolean(L, handle->head.session->closed || lun_instance_closed(handle->pointer));
  return 1;
}

static int get_memory(lua_State *L) {
  lun_instance *instance = instance_check(L, 1);
  memory_push(L, session_of(L), lun_instance_memory(instance, 0));
  return 1;
}

/* By index, from 0. */
static int get_memories(lua_State *L) {
  lun_instance *instance = instance_check(L, 1);
  lun_memory *memory;
  lua_newtable(L);
  for (uint32_t i = 0; (memory = lun_instance_memory(instance, i)); i++) {
    memory_push(L, session_of(L), memory);
    lua_rawseti(L, -2, i);
  }
  return 1;
}

/* By name; made once, user value 2. */
static int get_exports(lua_State *L) {
  lun_instance *instance = instance_check(L, 1);
  const lun_module *module = lun_instance_module(instance);
  uint32_t count = lun_module_export_count(module);
  lun_extern item;
  if (lua_getiuservalue(L, 1, 2) == LUA_TTABLE) return 1;
  lua_createtable(L, 0, (int)count);
  for (uint32_t i = 0; i < count; i++) {
    lun_port port = lun_module_export(module, i);
    if (!lun_instance_export_sized(instance, port.name, port.name_size, &item)) continue;
    lua_pushlstring(L, port.name, port.name_size);
    extern_push(L, session_of(L), item);
    lua_rawset(L, -3);
  }
  lua_pushvalue(L, -1);
  lua_setiuservalue(L, 1, 2);
  return 1;
}

/* Raises, with the nearest of the exports of that kind. The name asked for is at index 2. */
static int no_export(lua_State *L, const lun_instance *instance, lun_extern_kind kind) {
  const lun_module *module = lun_instance_module(instance);
  uint32_t count = lun_module_export_count(module), found = 0;
  const char **names = lua_newuserdatauv(L, (size_t)count * sizeof *names + 1, 0), *nearest, *who = lun_instance_name(instance);
  luaL_Buffer shown;
  size_t size;
  const char *name = lua_tolstring(L, 2, &size);
  for (uint32_t i = 0; i < count; i++) {
    lun_port port = lun_module_export(module, i);
    if (port.kind == kind && strlen(port.name) == port.name_size) names[found++] = port.name;
  }
  if (!who || !*who) who = "the instance";
  luaL_buffinit(L, &shown);
  name_add(&shown, name, size);
  luaL_pushresult(&shown);
  nearest = lun_nearest(name, names, found);
  if (nearest)
    return luaL_error(L, "%s exports no %s '%s'; did you mean '%s'?", who, lun_extern_kind_name(kind), lua_tostring(L, -1),
                      nearest);
  return luaL_error(L, "%s exports no %s '%s'", who, lun_extern_kind_name(kind), lua_tostring(L, -1));
}

/* The export named at index 2, of that kind. Raises. */
static lun_extern export_check(lua_State *L, lun_extern_kind kind) {
  const lun_instance *instance = instance_check(L, 1);
  size_t size;
  const char *name = lua_tolstring(L, 2, &size);
  lun_error error = LUN_ERROR_INIT;
  lun_extern item;
  if (!name) {
    luaL_error(L, "the name of an exported %s expected, got %s", lun_extern_kind_name(kind), luaL_typename(L, 2));
  }
  if (lun_instance_closed(instance)) {
    lun_error_set(&error, LUN_USAGE, "the instance is closed");
    error_raise(L, session_of(L), &error);
  }
  if (!lun_instance_export_sized(instance, name, size, &item) || item.kind != kind) no_export(L, instance, kind);
  return item;
}

/* By the name of its export, or its index in the module. */
static int instance_global(lua_State *L) {
  lun_instance *instance = instance_check(L, 1);
  lun_global *global;
  if (lua_type(L, 2) != LUA_TNUMBER) {
    global_push(L, session_of(L), export_check(L, LUN_EXTERN_GLOBAL).as.global);
    return 1;
  }
  global = lun_instance_global(instance, (uint32_t)luaL_checkinteger(L, 2));
  if (!global)
    return luaL_error(L, "%s has no global number %I", lun_instance_name(instance), (LUAI_UACINT)lua_tointeger(L, 2));
  global_push(L, session_of(L), global);
  return 1;
}

static int instance_table(lua_State *L) {
  lun_instance *instance = instance_check(L, 1);
  lun_table *table;
  if (lua_type(L, 2) != LUA_TNUMBER) {
    table_push(L, session_of(L), export_check(L, LUN_EXTERN_TABLE).as.table);
    return 1;
  }
  table = lun_instance_table(instance, (uint32_t)luaL_checkinteger(L, 2));
  if (!table)
    return luaL_error(L, "%s has no table number %I", lun_instance_name(instance), (LUAI_UACINT)lua_tointeger(L, 2));
  table_push(L, session_of(L), table);
  return 1;
}

static int instance_invoke(lua_State *L) {
  lun_extern item = export_check(L, LUN_EXTERN_FUNCTION);
  return function_call(L, session_of(L), item.as.function, 3);
}

/* (self, [where]) -> a list of functions, imported ones first */
static int instance_functions(lua_State *L) {
  lun_instance *instance = instance_check(L, 1);
  Session *session = session_of(L);
  uint32_t count = lun_module_function_count(lun_instance_module(instance));
  lua_Integer found = 0;
  bool all = lua_isnoneornil(L, 2);
  lua_settop(L, 2);
  lua_newtable(L);
  for (uint32_t i = 0; i < count; i++) {
    lun_function *function = lun_instance_function_at(instance, i);
    if (!function || (!all && !where_wants(L, 2, session, lun_function_definition(function)))) continue;
    function_push(L, session, function);
    lua_rawseti(L, 3, ++found);
  }
  return 1;
}

static int instance_close(lua_State *L) {
  const Handle *handle = object_check_closed(L, 1, &instance_class);
  if (handle->head.session->closed) return 0;
  lun_instance_close(handle->pointer);
  forget(L, handle->head.session);
  return 0;
}

static int instance_tostring(lua_State *L) {
  const Handle *handle = object_check_closed(L, 1, &instance_class);
  if (handle->head.session->closed) lua_pushliteral(L, "instance (its session is closed)");
  else lua_pushfstring(L, "instance %s", lun_instance_name(handle->pointer));
  return 1;
}

static const Field fields[] = {
  { "name", get_name, NULL },     { "module", get_module, NULL },     { "exports", get_exports, NULL },
  { "memory", get_memory, NULL }, { "memories", get_memories, NULL }, { "closed", get_closed, NULL },
  { NULL, NULL, NULL },
};
static const luaL_Reg methods[] = {
  { "global", instance_global },       { "table", instance_table }, { "invoke", instance_invoke },
  { "functions", instance_functions }, { "close", instance_close }, { NULL, NULL },
};
static const luaL_Reg metamethods[] = { { "__tostring", instance_tostring }, { NULL, NULL } };
const Class instance_class = { "instance", 2, fields, methods, metamethods, NULL, NULL };
