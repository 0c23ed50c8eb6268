/* SPDX-License-Identifier: MIT */
/* The command's Lua state. Its modules are embedded, precompiled, and loaded when first required; the binding's session
 * works on the store and the output that the command lends it. Every entry is a protected call: what goes wrong comes
 * out as a message and an exit status. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <lauxlib.h>
#include <lualib.h>

#include "binding.h"
#include "command.h"
#include "embedded.h"

enum { SESSION = 1, EXIT_BUG = 70 };  /* EXIT_BUG: a Lua error where none can come from a script */

/* ---- opening ---- */
static int load_embedded(lua_State *L) {
  const Embedded *row = lua_touserdata(L, lua_upvalueindex(1));
  if (luaL_loadbufferx(L, (const char *)row->bytes, row->size, row->name, "b") != LUA_OK) return lua_error(L);
  lua_pushvalue(L, 1);
  lua_call(L, 1, 1);
  return 1;
}

static int open_all(lua_State *L) {
  const binding_loan *loan = lua_touserdata(L, 1);
  luaL_openlibs(L);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  for (const Embedded *row = embedded; row->name; row++) {
    lua_pushlightuserdata(L, (void *)(uintptr_t)row);
    lua_pushcclosure(L, load_embedded, 1);
    lua_setfield(L, -2, row->name);
  }
  lua_pushcfunction(L, luaopen_lunette_core);
  lua_setfield(L, -2, "lunette.core");
  luaL_requiref(L, "lunette.core", luaopen_lunette_core, 0);
  binding_adopt(L, loan);
  return 1;
}

lun_status state_open(State *state, const binding_loan *loan, lun_error *error) {
  state->lua = luaL_newstate();
  if (!state->lua) return lun_error_set(error, LUN_NO_MEMORY, "out of memory");
  lua_pushcfunction(state->lua, open_all);
  lua_pushlightuserdata(state->lua, (void *)(uintptr_t)loan);
  if (lua_pcall(state->lua, 1, 1, 0) == LUA_OK) return LUN_OK;
  const char *text = lua_tostring(state->lua, -1);
  lun_status status = lun_error_set(error, LUN_NO_MEMORY, "cannot start Lua: %s", text ? text : "?");
  state_close(state);
  return status;
}

void state_release(State *state) {
  if (state->lua) binding_release(state->lua, SESSION);
}

void state_close(State *state) {
  if (state->lua) lua_close(state->lua);
  state->lua = NULL;
}

/* ---- calling ---- */
static void push_strings(lua_State *L, const char *const *strings, size_t count) {
  lua_createtable(L, (int)count, 0);
  for (size_t i = 0; i < count; i++) {
    lua_pushstring(L, strings[i]);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
}

static void push_scripts(lua_State *L, const Options *options) {
  lua_createtable(L, (int)options->script_count, 0);
  for (size_t i = 0; i < options->script_count; i++) {
    lua_createtable(L, 0, 1);
    lua_pushstring(L, options->scripts[i].text);
    lua_setfield(L, -2, options->scripts[i].is_code ? "code" : "text");
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
}

/* The shipped scripts lie where they do in an installed prefix, seen from the command's own folder; a build folder is
 * laid out the same way. */
static bool scripts_folder(char *path, size_t room) {
  ssize_t size = readlink("/proc/self/exe", path, room);
  if (size <= 0 || (size_t)size >= room) return false;
  path[size] = 0;
  for (int i = 0; i < 2 && strrchr(path, '/'); i++) *strrchr(path, '/') = 0;  /* off with /bin/lunette */
  static const char below[] = "/share/lunette/scripts";
  if (strlen(path) + sizeof below > room) return false;
  strcat(path, below);
  return true;
}

static void push_folders(lua_State *L) {
  char folder[4096];
  lua_createtable(L, 1, 0);
  if (!scripts_folder(folder, sizeof folder)) return;
  lua_pushstring(L, folder);
  lua_rawseti(L, -2, 1);
}

static void push_request(lua_State *L, const Request *request) {
  const Options *options = request->options;
  lua_createtable(L, 0, 8);
  push_folders(L);
  lua_setfield(L, -2, "folders");
  if (request->topic) {
    lua_pushstring(L, request->topic);
    lua_setfield(L, -2, "topic");
  }
  if (request->module) {
    binding_push_module(L, SESSION, request->module);
    lua_setfield(L, -2, "module");
  }
  if (!options) return;
  if (request->terminal) {
    terminal_push(L, request->terminal, options->is_repl);
    lua_setfield(L, -2, "terminal");
  }
  if (request->listen_fd) {
    lua_pushinteger(L, request->listen_fd);
    lua_setfield(L, -2, "listen_fd");
  }
  if (options->script_time_ns) {
    lua_pushinteger(L, (lua_Integer)options->script_time_ns);
    lua_setfield(L, -2, "script_time");
  }
  if (options->script_memory) {
    lua_pushinteger(L, (lua_Integer)options->script_memory);
    lua_setfield(L, -2, "script_memory");
  }
  push_scripts(L, options);
  lua_setfield(L, -2, "scripts");
  if (options->where_count) {
    push_strings(L, options->wheres, options->where_count);
    lua_setfield(L, -2, "where");
  }
  push_strings(L, (const char *const *)options->arguments, (size_t)options->argument_count);
  lua_setfield(L, -2, "arguments");
  lua_pushboolean(L, options->json);
  lua_setfield(L, -2, "json");
  lua_pushboolean(L, options->watch);
  lua_setfield(L, -2, "watch");
  lua_pushboolean(L, options->sandbox);
  lua_setfield(L, -2, "sandbox");
  lua_pushboolean(L, options->strict);
  lua_setfield(L, -2, "strict");
  lua_pushboolean(L, options->quiet);
  lua_setfield(L, -2, "quiet");
  lua_pushboolean(L, messages_colored(1));
  lua_setfield(L, -2, "color");
}

/* What a Lua part of the command says to the user: lines, the first after "lunette: ". */
static int say(lua_State *L) {
  size_t size;
  const char *text = luaL_checklstring(L, 1, &size);
  message_lines(text, size);
  return 0;
}

/* session, part, function, request or instance → what it returns */
static int call_part(lua_State *L) {
  const char *part = lua_touserdata(L, 2), *function = lua_touserdata(L, 3);
  const Request *request = lua_touserdata(L, 4);
  lun_instance *instance = lua_touserdata(L, 5);
  luaL_checkstack(L, 20, NULL);
  lua_getglobal(L, "require");
  lua_pushfstring(L, "lunette.cli.%s", part);
  lua_call(L, 1, 1);
  lua_getfield(L, -1, function);
  lua_pushvalue(L, SESSION);
  if (request) {
    push_request(L, request);
    lua_pushcfunction(L, say);
    lua_setfield(L, -2, "say");
  } else if (instance) {
    binding_push_instance(L, SESSION, instance);
  } else {
    lua_pushnil(L);
  }
  lua_call(L, 2, 1);
  return 1;
}

/* Adds a traceback to what is no err object; those carry what they need. */
static int explain(lua_State *L) {
  int32_t code;
  if (binding_to_status(L, 1, &code) != LUN_OK) return 1;
  luaL_traceback(L, L, luaL_tolstring(L, 1, NULL), 1);
  return 1;
}

static int report_lua(lua_State *L) {
  int32_t code = 0;
  lun_status status = binding_to_status(L, -1, &code);
  size_t size;
  const char *text = luaL_tolstring(L, -1, &size);
  if (status == LUN_EXIT) return code & 255;
  message_lines(text, size);
  if (status != LUN_OK) return lun_status_exit(status);
  return strstr(text, "not enough memory") ? lun_status_exit(LUN_NO_MEMORY) : EXIT_BUG;
}

static int protected_call(State *state, const char *part, const char *function, const Request *request,
                          lun_instance *instance) {
  lua_State *L = state->lua;
  int top = lua_gettop(L), status = 0;
  lua_pushcfunction(L, explain);
  lua_pushcfunction(L, call_part);
  lua_pushvalue(L, SESSION);
  lua_pushlightuserdata(L, (void *)(uintptr_t)part);
  lua_pushlightuserdata(L, (void *)(uintptr_t)function);
  lua_pushlightuserdata(L, (void *)(uintptr_t)request);
  lua_pushlightuserdata(L, instance);
  if (lua_pcall(L, 5, 1, top + 1) != LUA_OK) status = report_lua(L);
  else if (lua_isinteger(L, -1)) status = (int)lua_tointeger(L, -1);
  lua_settop(L, top);
  return status;
}

int state_call(State *state, const char *part, const char *function, const Request *request) {
  return protected_call(state, part, function, request, NULL);
}

int state_set_guest(State *state, lun_instance *instance) {
  return protected_call(state, "run", "set_guest", NULL, instance);
}

lun_status state_add_hosts(State *state, lun_imports *imports, lun_error *error) {
  return binding_add_hosts(state->lua, SESSION, imports, error);
}
