/* SPDX-License-Identifier: MIT */
/* coroutine.running, which does not hand out the Lua threads that callbacks run on: between callbacks they look like
 * coroutines that wait, and one that a script resumed or closed would have lost what stands at its bottom. To Lua code such a
 * thread is the main one, and stands for a coroutine that is over: to resume or to close that does nothing. */
#include "objects.h"

static const char threads_key; /* registry: weak table thread → true */

/* Upvalues: the table, and the coroutine that is over. */
static int running(lua_State *L) {
  bool is_main = lua_pushthread(L);
  lua_pushvalue(L, -1);
  if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL) {
    lua_pushvalue(L, lua_upvalueindex(2));
    is_main = true;
  } else {
    lua_pop(L, 1);
  }
  lua_pushboolean(L, is_main);
  return 2;
}

static void push_threads(lua_State *L) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &threads_key) != LUA_TNIL) return;
  lua_pop(L, 1);
  weak_push(L, "k");
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &threads_key);
}

void running_keep(lua_State *L, int thread) {
  thread = lua_absindex(L, thread);
  push_threads(L);
  lua_pushvalue(L, thread);
  lua_pushboolean(L, true);
  lua_rawset(L, -3);
  lua_pop(L, 1);
}

void running_replace(lua_State *L) {
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  if (lua_getfield(L, -1, "coroutine") == LUA_TTABLE) {
    push_threads(L);
    lua_newthread(L);
    lua_pushcclosure(L, running, 2);
    lua_setfield(L, -2, "running");
  }
  lua_pop(L, 2);
}
