/* SPDX-License-Identifier: MIT */
/* __gc within a budget. Lua runs finalizers with its hooks off, and whenever memory is allocated. So what a callback gives a
 * metatable with __gc is not marked for Lua's own finalization: a guard, which nothing but the object's entry in a weak table
 * refers to, becomes garbage when the object does, and its finalizer runs the object's on a Lua thread of its own, where
 * hooks work, with a budget of its own. A finalizer that exceeds it is not run again; none is when nothing would end it, or
 * when several have exceeded theirs. */
#include <stdio.h>

#include "budget.h"

static const char guards_key; /* registry: ephemeron table object → guard */
static const char spent_key;  /* registry: table of where a finalizer is defined → true */
static const char class_key;  /* registry: the guards' metatable */

/* ---- running one ---- */
/* What the finalizer has raised is on top; nil: nothing. */
static void tell(const Budget *budget, lua_State *T, Excess excess) {
  const char *text = lua_type(T, -1) == LUA_TSTRING ? lua_tostring(T, -1) : "an error in a finalizer";
  char line[600], own[BUDGET_TEXT];
  if (excess != EXCESS_NONE && !budget_is_excess(text)) {
    budget_excess_text(budget, excess, own, sizeof own);
    text = own;
  }
  snprintf(line, sizeof line, "__gc: %.500s", text);
  if (budget->session) session_message(budget->session, line);
  else fprintf(stderr, "lunette: %s\n", line);
}

/* T: finalizer, object; false: it may not be run again. */
static bool run(Budget *budget, lua_State *T) {
  BudgetFrame outer;
  int base = lua_gettop(T) - 2;
  uint64_t time_ns = budget->time_ns;
  if (budget->session) budget->time_ns = budget->session->script_time_ns;
  budget_begin(budget, T, budget->ticks, &outer);
  int status = lua_pcall(T, 1, 0, 0);
  Excess excess = budget_end(budget, T, &outer);
  budget->ended = (Excess)outer.excess; /* of the callback that it came in between of */
  if (status != LUA_OK || excess != EXCESS_NONE) {
    if (status == LUA_OK) lua_pushnil(T);
    tell(budget, T, excess);
  }
  budget->time_ns = time_ns;
  lua_settop(T, base);
  return excess == EXCESS_NONE;
}

/* Pushes where the function is defined: closures of it are many. */
static void push_origin(lua_State *L, int finalizer) {
  lua_Debug info;
  lua_pushvalue(L, finalizer);
  lua_getinfo(L, ">S", &info);
  lua_pushfstring(L, "%s:%d", info.source, info.linedefined);
}

static bool is_spent(lua_State *L, int finalizer) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &spent_key);
  push_origin(L, finalizer);
  bool is = lua_rawget(L, -2) != LUA_TNIL;
  lua_pop(L, 2);
  return is;
}

static void spend(lua_State *L, int finalizer) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &spent_key);
  push_origin(L, finalizer);
  lua_pushboolean(L, true);
  lua_rawset(L, -3);
  lua_pop(L, 1);
}

/* From here on the object may be marked anew. */
static void forget(lua_State *L, int object) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &guards_key);
  lua_pushvalue(L, object);
  lua_pushnil(L);
  lua_rawset(L, -3);
  lua_pop(L, 1);
}

enum { GUARD = 1, OBJECT, METATABLE, FINALIZER };
enum { OVER_MOST = 8 }; /* finalizers that exceed their budget: behind so many none is run any more */

static int guard_gc(lua_State *L) {
  Budget *budget = budget_self(L);
  lua_State *T = budget->finalizing;
  lua_settop(L, GUARD);
  lua_getiuservalue(L, GUARD, 1);
  forget(L, OBJECT);
  if (!budget->has_timer || budget->finalizers_over >= OVER_MOST || !lua_getmetatable(L, OBJECT)) return 0;
  lua_pushliteral(L, "__gc");
  if (lua_rawget(L, METATABLE) != LUA_TFUNCTION || is_spent(L, FINALIZER) || !lua_checkstack(T, 8)) return 0;
  lua_pushvalue(L, FINALIZER);
  lua_pushvalue(L, OBJECT);
  lua_xmove(L, T, 2);
  if (run(budget, T)) return 0;
  spend(L, FINALIZER);
  budget->finalizers_over++;
  return 0;
}

/* ---- guarding ---- */
static void guard(lua_State *L, int object) {
  int top = lua_gettop(L);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &guards_key);
  lua_pushvalue(L, object);
  if (lua_rawget(L, -2) == LUA_TNIL) {
    lua_pushvalue(L, object);
    lua_newuserdatauv(L, 0, 1);
    lua_pushvalue(L, object);
    lua_setiuservalue(L, -2, 1);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &class_key);
    lua_setmetatable(L, -2);
    lua_rawset(L, top + 1);
  }
  lua_settop(L, top);
}

/* Object, metatable at 1 and 2: sets it as if it had no __gc. Needs no memory between taking that away and putting it back. */
static void set_without_gc(lua_State *L) {
  lua_settop(L, 2);
  lua_pushliteral(L, "__gc");
  lua_pushliteral(L, "__gc");
  lua_rawget(L, 2);        /* 4: the finalizer */
  lua_pushvalue(L, 3);
  lua_pushnil(L);
  lua_rawset(L, 2);
  lua_pushvalue(L, 2);
  lua_setmetatable(L, 1);
  lua_rawset(L, 2);
}

/* Whether the metatable at 2 has a finalizer that may take no longer than a callback. */
static bool is_guarded(lua_State *L) {
  Budget *budget = budget_self(L);
  if (lua_type(L, 2) != LUA_TTABLE || !budget->has_timer || !budget_running(budget)) return false;
  lua_pushliteral(L, "__gc");
  bool has = lua_rawget(L, 2) != LUA_TNIL;
  lua_pop(L, 1);
  return has;
}

static int guarded_setmetatable(lua_State *L) {
  int type = lua_type(L, 2);
  luaL_checktype(L, 1, LUA_TTABLE);
  luaL_argexpected(L, type == LUA_TNIL || type == LUA_TTABLE, 2, "nil or table");
  if (luaL_getmetafield(L, 1, "__metatable") != LUA_TNIL) return luaL_error(L, "cannot change a protected metatable");
  lua_settop(L, 2);
  if (is_guarded(L)) {
    guard(L, 1);
    set_without_gc(L);
  } else {
    lua_setmetatable(L, 1);
  }
  lua_settop(L, 1);
  return 1;
}

static int guarded_debug_setmetatable(lua_State *L) {
  int type = lua_type(L, 2);
  luaL_argexpected(L, type == LUA_TNIL || type == LUA_TTABLE, 2, "nil or table");
  lua_settop(L, 2);
  if (is_guarded(L)) {
    if (lua_type(L, 1) != LUA_TTABLE)
      return luaL_error(L, "debug.setmetatable: a callback that has a budget can't give this a __gc");
    guard(L, 1);
    set_without_gc(L);
  } else {
    lua_setmetatable(L, 1);
  }
  lua_settop(L, 1);
  return 1;
}

void finalizer_install(lua_State *L) {
  static const luaL_Reg globals[] = { { "setmetatable", guarded_setmetatable }, { NULL, NULL } };
  static const luaL_Reg debugging[] = { { "setmetatable", guarded_debug_setmetatable }, { NULL, NULL } };
  weak_push(L, "k");
  lua_rawsetp(L, LUA_REGISTRYINDEX, &guards_key);
  lua_newtable(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &spent_key);
  lua_createtable(L, 0, 1);
  lua_pushvalue(L, -2);
  lua_pushcclosure(L, guard_gc, 1);
  lua_setfield(L, -2, "__gc");
  lua_rawsetp(L, LUA_REGISTRYINDEX, &class_key);
  budget_replace(L, NULL, globals);
  budget_replace(L, "debug", debugging);
}
