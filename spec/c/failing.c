/* SPDX-License-Identifier: MIT */
/* A Lua module that lets the memory of the state at hand fail:
 *
 *   begin(n, many)   the nth request for more from now on, counted from 0, is refused, and with it the `many` - 1 that follow
 *   finish()         no more are refused → how many were */
#include <lauxlib.h>
#include <lua.h>
#include <stdbool.h>
#include <stddef.h>

typedef struct Failing {
  lua_Alloc own;
  void *self;
  lua_Integer until, many, refused;
} Failing;

static void *allocate(void *self, void *block, size_t old_size, size_t size) {
  Failing *failing = self;
  bool is_more = size > (block ? old_size : 0);
  if (is_more && failing->until-- <= 0 && failing->refused < failing->many) {
    failing->refused++;
    return NULL;
  }
  return failing->own(failing->self, block, old_size, size);
}

static int begin(lua_State *L) {
  Failing *failing = lua_touserdata(L, lua_upvalueindex(1));
  failing->until = luaL_checkinteger(L, 1);
  failing->many = luaL_checkinteger(L, 2);
  failing->refused = 0;
  failing->own = lua_getallocf(L, &failing->self);
  lua_setallocf(L, allocate, failing);
  return 0;
}

static int finish(lua_State *L) {
  Failing *failing = lua_touserdata(L, lua_upvalueindex(1));
  lua_setallocf(L, failing->own, failing->self);
  lua_pushinteger(L, failing->refused);
  return 1;
}

int luaopen_failing(lua_State *L);
int luaopen_failing(lua_State *L) {
  static const luaL_Reg functions[] = { { "begin", begin }, { "finish", finish }, { NULL, NULL } };
  luaL_newlibtable(L, functions);
  lua_newuserdatauv(L, sizeof(Failing), 0);
  luaL_setfuncs(L, functions, 1);
  return 1;
}
