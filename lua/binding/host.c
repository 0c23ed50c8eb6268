/* SPDX-License-Identifier: MIT */
/* Host functions written in Lua, and the gate that they are called through.
 *
 * A host object is a module's name (user value 2) and a table of items (user value 3): {params=, results=, function}, or
 * memories, tables, globals and tags. At the gate numbers are passed straight; other values and all that may raise run inside
 * the lua_pcall that calls the function. What it raises becomes the run's error (error.c). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "objects.h"

typedef struct HostFunction {
  Session *session;
  int function;         /* anchor */
  bool plain;           /* nothing but numbers in its type */
} HostFunction;

/* ---- the gate ---- */
typedef struct Passing {
  const HostFunction *host;
  const lun_definition *definition;
  const uint64_t *params;
  uint64_t *results;
  CallBox *box;
  char *problem;        /* with its results, in words */
  size_t problem_room;
} Passing;

/* From the stack at `first` to the slots; false: passing->problem tells. Raises for references only. */
static bool take_results(lua_State *L, Passing *passing, int first) {
  const lun_signature *signature = lun_definition_signature(passing->definition);
  uint64_t *at = passing->results;
  int count = lua_gettop(L) - first + 1;
  if (count > (int)signature->result_count) {
    snprintf(passing->problem, passing->problem_room, "host function %s returned %d values; its type has %u",
             lun_definition_name(passing->definition), count, signature->result_count);
    return false;
  }
  for (uint32_t i = 0; i < signature->result_count; i++) {
    int index = first + (int)i;
    if (!value_to(L, passing->host->session, index, signature->results[i], at)) {
      snprintf(passing->problem, passing->problem_room, "host function %s: result %u must be %s, not %s",
               lun_definition_name(passing->definition), i + 1, lun_type_name(signature->results[i]),
               value_kind(L, index, signature->results[i]));
      return false;
    }
    at += lun_type_slots(signature->results[i]);
  }
  return true;
}

/* (passing) -> whether the results were good */
static int call_inside(lua_State *L) {
  Passing *passing = lua_touserdata(L, 1);
  const lun_signature *signature = lun_definition_signature(passing->definition);
  Session *session = passing->host->session;
  luaL_checkstack(L, (int)(signature->param_count + signature->result_count) + 8, NULL);
  session_anchors(L, session);
  lua_rawgeti(L, -1, passing->host->function);
  lua_rawgeti(L, -2, passing->box->anchor);
  lua_remove(L, -3);
  values_push(L, session, signature->params, signature->param_count, passing->params);
  lua_call(L, (int)signature->param_count + 1, LUA_MULTRET);
  luaL_checkstack(L, (int)signature->result_count + 8, NULL);
  while (lua_gettop(L) < (int)signature->result_count + 1) lua_pushnil(L);
  lua_pushboolean(L, take_results(L, passing, 2));
  return 1;
}

static int call_straight(lua_State *L, Passing *passing) {
  const lun_signature *signature = lun_definition_signature(passing->definition);
  int status;
  if (!lua_checkstack(L, (int)(signature->param_count + signature->result_count) + 8)) {
    lua_pushnil(L);
    return LUA_ERRMEM;
  }
  lua_rawgeti(L, ANCHORS, passing->host->function);
  lua_rawgeti(L, ANCHORS, passing->box->anchor);
  values_push_plain(L, signature->params, signature->param_count, passing->params);
  status = budget_pcall(passing->host->session, L, (int)signature->param_count + 1, LUA_MULTRET, HOST_HANDLER);
  if (status == LUA_OK) {
    take_results(L, passing, BOTTOM + 1);
    lua_settop(L, BOTTOM);
  }
  return status;
}

static int call_guarded(lua_State *L, Passing *passing) {
  int status;
  lua_pushcfunction(L, call_inside);
  lua_pushlightuserdata(L, passing);
  status = budget_pcall(passing->host->session, L, 1, 0, HOST_HANDLER);
  return status;
}

static lun_status host_call(void *self, lun_call *call, const uint64_t *params, uint64_t *results, lun_error *error) {
  const HostFunction *host = self;
  Session *session = host->session;
  lua_State *L = session->L;
  Context outer = session->context;
  char problem[512] = "";
  CallBox *box = box_take(session, &session->boxes);
  Passing passing = { host, lun_call_definition(call), params, results, box, problem, sizeof problem };
  int status;
  if (!box) return lun_error_set(error, LUN_HOST, "not enough memory");
  session->context = CONTEXT_HOST;
  box_begin(box, call, PHASE_HOST, params);
  status = host->plain ? call_straight(L, &passing) : call_guarded(L, &passing);
  box_end(box);
  box_put(session, &session->boxes, box);
  session->context = outer;
  if (status != LUA_OK) return error_from_host(L, session, error);
  if (problem[0]) return lun_error_set(error, LUN_HOST, "%s", problem);
  return LUN_OK;
}

static void host_release(void *self) {
  HostFunction *host = self;
  session_unanchor(host->session, host->function);
  free(host);
}

/* ---- items ---- */
const lun_type *types_check(lua_State *L, int index, const char *key, uint32_t *count) {
  lun_type *types;
  lua_Integer length;
  lua_pushstring(L, key);
  if (lua_rawget(L, index) == LUA_TNIL) {
    *count = 0;
    return NULL;
  }
  if (lua_type(L, -1) != LUA_TTABLE) luaL_error(L, "%s must be a list of types, not %s", key, luaL_typename(L, -1));
  length = list_length(L, -1, key);
  if (length > 1000) luaL_error(L, "there can be at most 1000 %s", key);
  types = lua_newuserdatauv(L, (size_t)length * sizeof *types + 1, 0);
  for (lua_Integer i = 1; i <= length; i++) {
    lua_rawgeti(L, -2, i);
    types[i - 1] = type_check(L, lua_gettop(L));
    lua_pop(L, 1);
  }
  *count = (uint32_t)length;
  return types; /* its userdata stays on the stack */
}

/* "names" of the params, or NULL. The strings stay in the table, the array on the stack. */
static const char *const *names_check(lua_State *L, int index, uint32_t count) {
  const char **names;
  lua_pushliteral(L, "param_names");
  if (lua_rawget(L, index) == LUA_TNIL) return NULL;
  luaL_argcheck(L, lua_type(L, -1) == LUA_TTABLE, index, "param_names must be a list of names");
  names = lua_newuserdatauv(L, count * sizeof *names + 1, 0);
  for (uint32_t i = 0; i < count; i++) {
    names[i] = lua_rawgeti(L, -2, (lua_Integer)i + 1) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
    lua_pop(L, 1);
  }
  return names;
}

/* Reads {params=, results=, function} at `index`. The function is left on top. */
static lun_host_function function_read(lua_State *L, int index) {
  lun_host_function function = { .callback = host_call, .release = host_release };
  function.signature.params = types_check(L, index, "params", &function.signature.param_count);
  function.signature.results = types_check(L, index, "results", &function.signature.result_count);
  function.param_names = names_check(L, index, function.signature.param_count);
  if (lua_rawgeti(L, index, 1) != LUA_TFUNCTION)
    luaL_error(L, "the function itself is missing: {params=, results=, function(call, ...) ... end}");
  return function;
}

static void add_function(lua_State *L, Session *session, lun_imports *imports, const char *module, const char *name) {
  lun_host_function function = function_read(L, lua_gettop(L));
  lun_error error = LUN_ERROR_INIT;
  HostFunction *host;
  int anchor = session_anchor(L, session);
  function.module = module;
  function.name = name;
  host = calloc(1, sizeof *host);
  if (!host) luaL_error(L, "not enough memory");
  host->session = session;
  host->function = anchor;
  host->plain = types_plain(function.signature.params, function.signature.param_count) &&
                types_plain(function.signature.results, function.signature.result_count);
  function.self = host;
  if (lun_imports_add_host(imports, &function, &error) == LUN_OK) return;
  host_release(host);
  error_raise(L, session, &error);
}

static void add_item(lua_State *L, Session *session, lun_imports *imports, const char *module, const char *name) {
  lun_error error = LUN_ERROR_INIT;
  lun_extern item;
  if (lua_type(L, -1) == LUA_TTABLE) {
    add_function(L, session, imports, module, name);
    return;
  }
  if (!extern_to(L, -1, &item))
    luaL_error(L, "%s.%s: a host function, memory, table, global or tag expected, got %s", module, name, luaL_typename(L, -1));
  if (((Head *)lua_touserdata(L, -1))->session != session) luaL_error(L, "%s.%s is another session's", module, name);
  if (lun_imports_add(imports, module, name, item, &error) != LUN_OK) error_raise(L, session, &error);
}

static void check_name(lua_State *L, int index, const char *module) {
  if (lua_type(L, index) != LUA_TSTRING)
    luaL_error(L, "host module %s: names are strings, got a %s", module, luaL_typename(L, index));
}

void items_add(lua_State *L, Session *session, int index, const char *module, lun_imports *imports) {
  luaL_checkstack(L, 24, NULL);
  lua_pushnil(L);
  while (lua_next(L, index)) {
    int top = lua_gettop(L) - 1;
    check_name(L, top, module);
    add_item(L, session, imports, module, lua_tostring(L, top));
    lua_settop(L, top);
  }
}

void host_add(lua_State *L, Session *session, int index, const char *module, lun_imports *imports) {
  object_check(L, index, &host_class);
  lua_getiuservalue(L, index, 2);
  if (!module) module = lua_tostring(L, -1);
  lua_getiuservalue(L, index, 3);
  items_add(L, session, lua_gettop(L), module, imports);
  lua_pop(L, 2);
}

/* ---- host objects ---- */
static void check_items(lua_State *L, int index, const char *module) {
  lua_pushnil(L);
  while (lua_next(L, index)) {
    int top = lua_gettop(L) - 1;
    lun_extern item;
    check_name(L, top, module);
    if (lua_type(L, -1) == LUA_TTABLE) function_read(L, top + 1);
    else if (!extern_to(L, -1, &item))
      luaL_error(L, "%s.%s: a host function, memory, table, global or tag expected, got %s", module, lua_tostring(L, top),
                 luaL_typename(L, -1));
    lua_settop(L, top);
  }
}

/* (session, module name, items) -> host; in a session of scripts it is also offered to the guest. */
int core_host(lua_State *L) {
  Session *session = session_check(L, 1);
  const char *module = luaL_checkstring(L, 2);
  luaL_checktype(L, 3, LUA_TTABLE);
  lua_settop(L, 3);
  luaL_checkstack(L, 24, NULL);
  check_items(L, 3, module);
  object_new(L, &host_class, session, sizeof(Handle));
  lua_pushvalue(L, 2);
  lua_setiuservalue(L, -2, 2);
  lua_pushvalue(L, 3);
  lua_setiuservalue(L, -2, 3);
  if (!session->is_loan) return 1;
  session_anchors(L, session);
  lua_rawgeti(L, -1, session->host_list);
  lua_pushvalue(L, -3);
  lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
  lua_pop(L, 2);
  return 1;
}

/* (session, imports) */
static int add_hosts(lua_State *L) {
  Session *session = lua_touserdata(L, 1);
  lun_imports *imports = lua_touserdata(L, 2);
  lua_Integer count;
  session_anchors(L, session);
  lua_rawgeti(L, -1, session->host_list);
  count = (lua_Integer)lua_rawlen(L, -1);
  for (lua_Integer i = 1; i <= count; i++) {
    lua_rawgeti(L, 4, i);
    host_add(L, session, 5, NULL, imports);
    lua_settop(L, 4);
  }
  return 0;
}

lun_status binding_add_hosts(lua_State *L, int index, lun_imports *imports, lun_error *error) {
  Session *session = object_to(L, index, &session_class);
  const char *text;
  if (!session || session->closed) return lun_error_set(error, LUN_USAGE, "the session is closed");
  lua_pushcfunction(L, add_hosts);
  lua_pushlightuserdata(L, session);
  lua_pushlightuserdata(L, imports);
  if (lua_pcall(L, 2, 0, 0) == LUA_OK) return LUN_OK;
  text = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "not enough memory";
  lun_error_set(error, LUN_SCRIPT, "%s", text);
  lua_pop(L, 1);
  return LUN_SCRIPT;
}

static int host_tostring(lua_State *L) {
  object_check_closed(L, 1, &host_class);
  lua_getiuservalue(L, 1, 2);
  lua_pushfstring(L, "host module %s", lua_tostring(L, -1));
  return 1;
}

static int get_name(lua_State *L) {
  lua_getiuservalue(L, 1, 2);
  return 1;
}

static const Field fields[] = { { "name", get_name, NULL }, { NULL, NULL, NULL } };
static const luaL_Reg metamethods[] = { { "__tostring", host_tostring }, { NULL, NULL } };
const Class host_class = { "host", 3, fields, NULL, metamethods, NULL, NULL };
