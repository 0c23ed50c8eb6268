/* SPDX-License-Identifier: MIT */
/* Library functions for scripts that have a budget: those whose loops may be long without a step of Lua's, and those behind
 * which Lua's hooks cannot look. Each does what the original does (Lua 5.4 reference manual, 6.2 to 6.6, 6.10). */
#include <limits.h>
#include <stdint.h>
#include <string.h>

#include "budget.h"

enum { PIECE = 65536, PACKED_MOST = 16 << 20, DATE_MOST = 4096 };

/* ---- strings ---- */
/* Doubles what is there, a piece at a time. */
static void repeat(lua_State *L, char *at, size_t unit, size_t size) {
  Budget *budget = budget_self(L);
  for (size_t done = unit, count; done < size; done += count) {
    count = done < PIECE ? done : PIECE - PIECE % unit;
    if (count == 0) count = unit;
    if (count > size - done) count = size - done;
    memcpy(at + done, at, count);
    budget_check(L, budget);
  }
}

static int bounded_rep(lua_State *L) {
  size_t size, between;
  const char *text = luaL_checklstring(L, 1, &size), *separator = luaL_optlstring(L, 3, "", &between);
  lua_Integer count = luaL_checkinteger(L, 2);
  luaL_Buffer buffer;
  if (count <= 0) return lua_pushliteral(L, ""), 1;
  size_t unit = size + between;
  if (unit < size || unit > (size_t)(SIZE_MAX / 2) / (size_t)count) return luaL_error(L, "resulting string too large");
  size_t total = (size_t)count * size + (size_t)(count - 1) * between;
  char *at = luaL_buffinitsize(L, &buffer, total + between);
  memcpy(at, text, size);
  if (between && count > 1) memcpy(at + size, separator, between);
  if (unit) repeat(L, at, unit, total);
  luaL_pushresultsize(&buffer, total);
  return 1;
}

/* Upvalue 2 is the original. Fields of fixed size ("c1000000000") cost their size, whatever is in them. */
static int bounded_pack(lua_State *L) {
  const char *format = luaL_checkstring(L, 1);
  size_t total = 0;
  for (const char *at = format; budget_running(budget_self(L)) && (at = strchr(at, 'c'));) {
    size_t size = 0;
    for (at++; *at >= '0' && *at <= '9' && size <= PACKED_MOST; at++) size = 10 * size + (size_t)(*at - '0');
    luaL_argcheck(L, size <= PACKED_MOST, 1, "a field is larger than a callback with a budget may make it");
    total += size;
    luaL_argcheck(L, total <= PACKED_MOST, 1, "its fields are larger than a callback with a budget may make them");
  }
  return lua_tocfunction(L, lua_upvalueindex(2))(L);
}

/* Upvalue 2 is the original, which takes a microsecond for two characters. */
static int bounded_date(lua_State *L) {
  size_t size;
  luaL_optlstring(L, 1, "", &size);
  luaL_argcheck(L, size <= DATE_MOST || !budget_running(budget_self(L)), 1, "longer than a callback with a budget may make it");
  return lua_tocfunction(L, lua_upvalueindex(2))(L);
}

/* ---- tables ---- */
enum { READ = 1, WRITE = 2, LENGTH = 4 };

static bool has_method(lua_State *L, const char *name, int index) {
  lua_pushstring(L, name);
  return lua_rawget(L, index) != LUA_TNIL;
}

/* A table, or something whose metatable makes it behave like one. */
static void check_table(lua_State *L, int index, int needs) {
  if (lua_type(L, index) == LUA_TTABLE) return;
  int top = lua_gettop(L);
  bool good = lua_getmetatable(L, index) && (!(needs & READ) || has_method(L, "__index", top + 1)) &&
              (!(needs & WRITE) || has_method(L, "__newindex", top + 1)) &&
              (!(needs & LENGTH) || has_method(L, "__len", top + 1));
  if (!good) luaL_checktype(L, index, LUA_TTABLE);
  lua_settop(L, top);
}

static void move_one(lua_State *L, int from, lua_Integer source, int to, lua_Integer target) {
  budget_check(L, budget_self(L));
  lua_geti(L, from, source);
  lua_seti(L, to, target);
}

static int bounded_insert(lua_State *L) {
  check_table(L, 1, READ | WRITE | LENGTH);
  lua_Integer end = (lua_Integer)((lua_Unsigned)luaL_len(L, 1) + 1), place = end;
  switch (lua_gettop(L)) {
    case 2: break;
    case 3:
      place = luaL_checkinteger(L, 2);
      luaL_argcheck(L, (lua_Unsigned)place - 1u < (lua_Unsigned)end, 2, "position out of bounds");
      for (lua_Integer i = end; i > place; i--) move_one(L, 1, i - 1, 1, i);
      break;
    default: return luaL_error(L, "wrong number of arguments to 'insert'");
  }
  lua_seti(L, 1, place);
  return 0;
}

static int bounded_remove(lua_State *L) {
  check_table(L, 1, READ | WRITE | LENGTH);
  lua_Integer size = luaL_len(L, 1), place = luaL_optinteger(L, 2, size);
  if (place != size) luaL_argcheck(L, (lua_Unsigned)place - 1u <= (lua_Unsigned)size, 2, "position out of bounds");
  lua_geti(L, 1, place);
  for (; place < size; place++) move_one(L, 1, place + 1, 1, place);
  lua_pushnil(L);
  lua_seti(L, 1, place);
  return 1;
}

static int bounded_move(lua_State *L) {
  lua_Integer first = luaL_checkinteger(L, 2), last = luaL_checkinteger(L, 3), target = luaL_checkinteger(L, 4);
  int to = lua_isnoneornil(L, 5) ? 1 : 5;
  check_table(L, 1, READ);
  check_table(L, to, WRITE);
  if (last >= first) {
    luaL_argcheck(L, first > 0 || last < LUA_MAXINTEGER + first, 3, "too many elements to move");
    lua_Integer count = last - first + 1;
    luaL_argcheck(L, target <= LUA_MAXINTEGER - count + 1, 4, "destination wrap around");
    bool is_upwards = target > last || target <= first || (to != 1 && !lua_compare(L, 1, to, LUA_OPEQ));
    for (lua_Integer i = 0; i < count; i++) {
      lua_Integer at = is_upwards ? i : count - 1 - i;
      move_one(L, 1, first + at, to, target + at);
    }
  }
  lua_pushvalue(L, to);
  return 1;
}

static int less(lua_State *L) {
  lua_pushboolean(L, lua_compare(L, 1, 2, LUA_OPLT));
  return 1;
}

/* Upvalue 2 is the original. Calls of C functions are seen by the hook. */
static int bounded_sort(lua_State *L) {
  if (lua_isnoneornil(L, 2) && budget_running(budget_self(L))) {
    lua_settop(L, 1);
    lua_pushcfunction(L, less);
  }
  return lua_tocfunction(L, lua_upvalueindex(2))(L);
}

/* ---- calls that are protected ---- */
/* Upvalue 2 is the handler. While a hook raises, hooks are off: it would not be interrupted. */
static int handle(lua_State *L) {
  if (atomic_load_explicit(&budget_self(L)->excess, memory_order_relaxed) != EXCESS_NONE) return 1;
  lua_settop(L, 1);
  lua_pushvalue(L, lua_upvalueindex(2));
  lua_insert(L, 1);
  lua_call(L, 1, 1);
  return 1;
}

static int xpcall_end(lua_State *L, int status, lua_KContext below) {
  if (status == LUA_OK || status == LUA_YIELD) return lua_gettop(L) - (int)below;
  lua_pushboolean(L, false);
  lua_insert(L, -2);
  return 2;
}

static int bounded_xpcall(lua_State *L) {
  int count = lua_gettop(L);
  luaL_checktype(L, 2, LUA_TFUNCTION);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushvalue(L, 2);
  lua_pushcclosure(L, handle, 2);
  lua_replace(L, 2);
  lua_pushboolean(L, true); /* the first result */
  lua_pushvalue(L, 1);
  lua_rotate(L, 3, 2); /* … below the arguments */
  return xpcall_end(L, lua_pcallk(L, count - 2, LUA_MULTRET, 2, 2, xpcall_end), 2);
}

/* ---- coroutines: which one is running ---- */
static lua_State *switch_to(Budget *budget, lua_State *to) {
  lua_State *from = budget_running(budget);
  if (from) atomic_store_explicit(&budget->running, to, memory_order_relaxed);
  return from;
}

static void switch_back(lua_State *L, Budget *budget, lua_State *from) {
  if (!from) return;
  atomic_store_explicit(&budget->running, from, memory_order_relaxed);
  atomic_signal_fence(memory_order_seq_cst);
  if (atomic_load_explicit(&budget->excess, memory_order_relaxed) == EXCESS_NONE) return;
  budget_interrupt(budget, L); /* it may have struck the other one */
  budget_raise(L, budget);
}

/* The results on top of L and their number; or -1 and the error. */
static int resume(lua_State *L, lua_State *co, int count) {
  Budget *budget = budget_self(L);
  int results;
  if (!lua_checkstack(co, count)) {
    lua_pushliteral(L, "too many arguments to resume");
    return -1;
  }
  lua_xmove(L, co, count);
  lua_State *from = switch_to(budget, co);
  int status = lua_resume(co, L, count, &results);
  switch_back(L, budget, from);
  if (status != LUA_OK && status != LUA_YIELD) {
    lua_xmove(co, L, 1);
    return -1;
  }
  if (lua_checkstack(L, results + 1)) {
    lua_xmove(co, L, results);
    return results;
  }
  lua_pop(co, results);
  lua_pushliteral(L, "too many results to resume");
  return -1;
}

static lua_State *check_coroutine(lua_State *L) {
  lua_State *co = lua_tothread(L, 1);
  luaL_argexpected(L, co, 1, "thread");
  return co;
}

static int bounded_resume(lua_State *L) {
  int count = resume(L, check_coroutine(L), lua_gettop(L) - 1);
  lua_pushboolean(L, count >= 0);
  lua_insert(L, count >= 0 ? -(count + 1) : -2);
  return count >= 0 ? count + 1 : 2;
}

/* Closes a coroutine that has failed, or does nothing: its status, and its error on top of it. */
static int reset(lua_State *L, lua_State *co) {
  Budget *budget = budget_self(L);
  lua_State *from = switch_to(budget, co);
  int status = lua_resetthread(co);
  switch_back(L, budget, from);
  return status;
}

/* Upvalue 2 is the coroutine. */
static int call_wrapped(lua_State *L) {
  lua_State *co = lua_tothread(L, lua_upvalueindex(2));
  int count = resume(L, co, lua_gettop(L));
  if (count >= 0) return count;
  int status = lua_status(co);
  if (status != LUA_OK && status != LUA_YIELD) {
    status = reset(L, co);
    lua_xmove(co, L, 1);
  }
  if (status != LUA_ERRMEM && lua_type(L, -1) == LUA_TSTRING) {
    luaL_where(L, 1);
    lua_insert(L, -2);
    lua_concat(L, 2);
  }
  return lua_error(L);
}

static int bounded_wrap(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_State *co = lua_newthread(L);
  lua_pushvalue(L, 1);
  lua_xmove(L, co, 1);
  lua_pushcclosure(L, call_wrapped, 2);
  return 1;
}

/* Upvalue 2 is the original, which closes what cannot be closed: with an error. */
static int bounded_close(lua_State *L) {
  lua_State *co = check_coroutine(L);
  lua_Debug info;
  bool is_idle = co != L && (lua_status(co) == LUA_YIELD || (lua_status(co) == LUA_OK && !lua_getstack(co, 0, &info)) ||
                             lua_status(co) > LUA_YIELD);
  if (!is_idle) return lua_tocfunction(L, lua_upvalueindex(2))(L);
  if (reset(L, co) == LUA_OK) return lua_pushboolean(L, true), 1;
  lua_pushboolean(L, false);
  lua_xmove(co, L, 1);
  return 2;
}

/* ---- load: a long text in pieces ---- */
typedef struct Source {
  Budget *budget;
  const char *at;
  size_t left;
} Source;
enum { FUNCTION_PIECE = 5 }; /* the place on the stack of what a reader has given */

static const char *read_text(lua_State *L, void *self, size_t *size) {
  Source *source = self;
  const char *piece = source->at;
  budget_check(L, source->budget);
  *size = source->left < PIECE ? source->left : PIECE;
  source->at += *size;
  source->left -= *size;
  return *size ? piece : NULL;
}

static const char *read_function(lua_State *L, void *self, size_t *size) {
  const Source *source = self;
  luaL_checkstack(L, 2, "too many nested functions");
  budget_check(L, source->budget);
  lua_pushvalue(L, 1);
  lua_call(L, 0, 1);
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    *size = 0;
    return NULL;
  }
  if (!lua_isstring(L, -1)) luaL_error(L, "reader function must return a string");
  lua_replace(L, FUNCTION_PIECE);
  return lua_tolstring(L, FUNCTION_PIECE, size);
}

static int bounded_load(lua_State *L) {
  size_t size;
  const char *text = lua_tolstring(L, 1, &size), *mode = luaL_optstring(L, 3, "bt");
  bool has_environment = !lua_isnone(L, 4);
  Source source = { budget_self(L), text, size };
  const char *name = luaL_optstring(L, 2, text ? text : "=(load)");
  if (!text) luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_settop(L, FUNCTION_PIECE);
  if (lua_load(L, text ? read_text : read_function, &source, name, mode) != LUA_OK) {
    luaL_pushfail(L);
    lua_insert(L, -2);
    return 2;
  }
  if (has_environment) {
    lua_pushvalue(L, 4);
    if (!lua_setupvalue(L, -2, 1)) lua_pop(L, 1);
  }
  return 1;
}

/* ---- hooks ---- */
/* Upvalue 2 is the original. */
static int bounded_sethook(lua_State *L) {
  if (budget_running(budget_self(L))) return luaL_error(L, "debug.sethook: a callback that has a budget can't set a hook");
  return lua_tocfunction(L, lua_upvalueindex(2))(L);
}

/* ---- installing ---- */
/* Functions whose upvalue 2 is what they replace: a C function of its library's. */
static void wrap(lua_State *L, const char *library, const char *name, lua_CFunction function) {
  int budget = lua_gettop(L);
  if (lua_getglobal(L, library) == LUA_TTABLE) {
    lua_getfield(L, -1, name);
    if (lua_iscfunction(L, -1)) {
      lua_pushvalue(L, budget);
      lua_insert(L, -2);
      lua_pushcclosure(L, function, 2);
      lua_setfield(L, -2, name);
    }
  }
  lua_settop(L, budget);
}

void bounded_install(lua_State *L) {
  static const luaL_Reg strings[] = { { "rep", bounded_rep }, { NULL, NULL } };
  static const luaL_Reg tables[] = {
    { "insert", bounded_insert }, { "remove", bounded_remove }, { "move", bounded_move }, { NULL, NULL },
  };
  static const luaL_Reg coroutines[] = { { "resume", bounded_resume }, { "wrap", bounded_wrap }, { NULL, NULL } };
  static const luaL_Reg globals[] = { { "xpcall", bounded_xpcall }, { "load", bounded_load }, { NULL, NULL } };
  budget_replace(L, "string", strings);
  budget_replace(L, "table", tables);
  budget_replace(L, "coroutine", coroutines);
  budget_replace(L, NULL, globals);
  wrap(L, "string", "pack", bounded_pack);
  wrap(L, "table", "sort", bounded_sort);
  wrap(L, "coroutine", "close", bounded_close);
  wrap(L, "os", "date", bounded_date);
  wrap(L, "debug", "sethook", bounded_sethook);
}
