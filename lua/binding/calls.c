/* SPDX-License-Identifier: MIT */
/* WASI's table for Lua: core.wasi_functions gives a row for each function, core.wasi_errno the name of an error number.
 * lunette.wasi builds on them. */
#include <string.h>

#include "objects.h"

/* The words of the text, as a list. */
static void push_words(lua_State *L, const char *text) {
  lua_newtable(L);
  for (lua_Integer i = 1; *text; i++) {
    size_t size = strcspn(text, " ");
    lua_pushlstring(L, text, size);
    lua_rawseti(L, -2, i);
    text += size + (text[size] == ' ');
  }
}

/* The types of the letters before the colon, or behind it, as a list. */
static void push_types(lua_State *L, const char *letters) {
  lua_newtable(L);
  for (lua_Integer i = 1; *letters && *letters != ':'; i++, letters++) {
    lua_pushstring(L, *letters == 'I' ? "i64" : "i32");
    lua_rawseti(L, -2, i);
  }
}

/* () -> { { name=, group=, types={…}, results={…}, params={…}, kinds={…} }, … }: as core/wasi/calls.def has them */
int core_wasi_functions(lua_State *L) {
  size_t count = lun_wasi_function_count();
  lua_createtable(L, (int)count, 0);
  for (size_t i = 0; i < count; i++) {
    const lun_wasi_function *function = lun_wasi_function_at(i);
    lua_createtable(L, 0, 6);
    lua_pushstring(L, function->name);
    lua_setfield(L, -2, "name");
    lua_pushstring(L, function->group);
    lua_setfield(L, -2, "group");
    push_types(L, function->signature);
    lua_setfield(L, -2, "types");
    push_types(L, strchr(function->signature, ':') + 1);
    lua_setfield(L, -2, "results");
    push_words(L, function->params);
    lua_setfield(L, -2, "params");
    push_words(L, function->kinds);
    lua_setfield(L, -2, "kinds");
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

/* (number) -> "EBADF", or nil above the last */
int core_wasi_errno(lua_State *L) {
  lua_pushstring(L, lun_wasi_errno_name((uint32_t)luaL_checkinteger(L, 1)));
  return 1;
}
