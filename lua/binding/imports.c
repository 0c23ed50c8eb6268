/* SPDX-License-Identifier: MIT */
/* The imports= and wasi= of lunette.instantiate: from a Lua table to a list of what may be imported. The toolchains' functions
 * and WASI come first, so that a host module of one's own can stand before one of theirs. */
#include "objects.h"

/* What `imports` has at the key on top-1, value on top: a host, an instance, or a table of items. */
static void add_named(lua_State *L, Session *session, lun_imports *imports, const char *module) {
  lun_error error = LUN_ERROR_INIT;
  int index = lua_gettop(L);
  if (object_to(L, index, &host_class)) {
    host_add(L, session, index, module, imports);
  } else if (object_to(L, index, &instance_class)) {
    if (lun_imports_add_instance(imports, module, instance_check(L, index), &error) != LUN_OK) error_raise(L, session, &error);
  } else if (lua_type(L, index) == LUA_TTABLE) {
    items_add(L, session, index, module, imports);
  } else {
    luaL_error(L, "imports.%s: a host, an instance or a table of items expected, got %s", module, luaL_typename(L, index));
  }
}

static void add_list(lua_State *L, Session *session, int index, lun_imports *imports) {
  lua_Integer count = list_length(L, index, "imports");
  for (lua_Integer i = 1; i <= count; i++) {
    lua_rawgeti(L, index, i);
    if (!object_to(L, -1, &host_class))
      luaL_error(L, "imports[%I]: a host expected, got %s (instances go under the module's name)", (LUAI_UACINT)i,
                 luaL_typename(L, -1));
    host_add(L, session, lua_gettop(L), NULL, imports);
    lua_pop(L, 1);
  }
}

/* A thing of another store must not get in. */
static void check_session(lua_State *L, const Session *session, int index) {
  const Head *head = object_to(L, index, &host_class);
  if (!head) head = object_to(L, index, &instance_class);
  if (head && head->session != session) luaL_error(L, "imports: %s is another session's", luaL_tolstring(L, index, NULL));
}

/* What trace writes comes after what the session's output has written to the same file. */
static void before_write(void *self, int fd) {
  lun_output *output = ((const Session *)self)->output;
  if (output && lun_output_same_file(output, fd) && !lun_output_flush(output)) { /* its loss is counted there */ }
}

static void add_toolchains(lua_State *L, Session *session, int index, const lun_module *module, lun_imports *imports) {
  lun_toolchain_options options = { .trace_fd = 2, .before_write = before_write, .self = session };
  lun_error error = LUN_ERROR_INIT;
  if (lua_getfield(L, index, "wasi") == LUA_TTABLE) {
    lua_getfield(L, -1, "deterministic");
    options.deterministic = lua_toboolean(L, -1);
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  if (lun_toolchain_import(module, &options, imports, &error) != LUN_OK) error_raise(L, session, &error);
}

void imports_fill(lua_State *L, Session *session, int index, const lun_module *module, lun_imports *imports) {
  luaL_checkstack(L, 32, NULL);
  add_toolchains(L, session, index, module, imports);
  lua_getfield(L, index, "stub_imports");
  if (lua_toboolean(L, -1)) lun_imports_stub(imports);
  lua_pop(L, 1);
  if (lua_getfield(L, index, "wasi") != LUA_TNIL) {
    luaL_checktype(L, -1, LUA_TTABLE);
    wasi_add(L, session, lua_gettop(L), imports);
  }
  lua_pop(L, 1);
  if (lua_getfield(L, index, "imports") == LUA_TNIL) {
    lua_pop(L, 1);
    return;
  }
  if (lua_type(L, -1) != LUA_TTABLE) luaL_error(L, "imports: a table expected, got %s", luaL_typename(L, -1));
  add_list(L, session, lua_gettop(L), imports);
  for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
    check_session(L, session, lua_gettop(L));
    if (lua_type(L, -2) == LUA_TSTRING) add_named(L, session, imports, lua_tostring(L, -2));
  }
  lua_pop(L, 1);
}
