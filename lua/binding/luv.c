/* SPDX-License-Identifier: MIT */
/* lunette.uv: luv, the Lua binding of libuv, working on the session's script loop.
 *
 * luv has one context per Lua state: the loop that new handles go to, the Lua thread and the function that call back. A
 * program may use luv with a loop of its own as well, so that the context is ours only while one of the functions wrapped
 * here, or a turn of the loop, is at work. The call back is ours because luv's own ends the process at an error. Methods of
 * handles are wrapped, too, for all that are made in this Lua state: one of our loop's has to be waited for from then on,
 * and timers count from its clock. */
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "loop.h"

struct Luv {
  void *library;
  LuvContext *context;      /* the Lua state's, luv's own */
  int told;                 /* anchor: the functions whose failure has been told, weak; or LUA_NOREF */
};

static const char loops_key;   /* registry: table of uv_loop_t * → Loop * */
static const char context_key; /* registry: the LuvContext * */
static const char wrapped_key; /* registry: true once methods are wrapped */
static const char owners_key;  /* registry: weak table handle → its script's record, see loop.lua */

/* ---- the context ---- */
static int call_back(lua_State *L, int count, int results, int flags);

LuvContext luv_enter(Loop *loop, lua_State *L) {
  LuvContext outer = { NULL, NULL, NULL };
  if (!loop->luv) return outer;
  outer = *loop->luv->context;
  *loop->luv->context = (LuvContext){ &loop->uv, L, call_back };
  return outer;
}

void luv_leave(Loop *loop, LuvContext outer) {
  if (loop->luv && outer.uv) *loop->luv->context = outer;
}

/* The loop of these, or NULL. */
static Loop *loop_of(lua_State *L, const uv_loop_t *uv) {
  Loop *loop;
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &loops_key) != LUA_TTABLE) {
    lua_pop(L, 1);
    return NULL;
  }
  lua_rawgetp(L, -1, uv);
  loop = lua_touserdata(L, -1);
  lua_pop(L, 2);
  return loop;
}

/* ---- calling back ---- */
/* Whether the function at `index` fails for the first time. */
static bool is_first(lua_State *L, const Loop *loop, int index) {
  bool first;
  session_anchors(L, loop->session);
  lua_rawgeti(L, -1, loop->luv->told);
  lua_pushvalue(L, index);
  first = lua_rawget(L, -2) == LUA_TNIL;
  lua_pop(L, 3);
  return first;
}

/* (loop, function): true where it may be called again. */
static int note_failure(lua_State *L) {
  const Loop *loop = lua_touserdata(L, 1);
  session_anchors(L, loop->session);
  lua_rawgeti(L, -1, loop->luv->told);
  lua_pushvalue(L, 2);
  lua_pushboolean(L, !budget_was_exceeded(loop->session));
  lua_rawset(L, -3);
  return 0;
}

/* Whether the function at `index` has exceeded a budget. */
static bool is_spent(lua_State *L, const Loop *loop, int index) {
  if (!loop->session->budget) return false;
  session_anchors(L, loop->session);
  lua_rawgeti(L, -1, loop->luv->told);
  lua_pushvalue(L, index);
  bool is = lua_rawget(L, -2) == LUA_TBOOLEAN && !lua_toboolean(L, -1);
  lua_pop(L, 3);
  return is;
}

/* The error is on top, the function at `index`. */
static void failed(lua_State *L, Loop *loop, int index) {
  bool first = is_first(L, loop, index);
  lua_pushcfunction(L, note_failure);
  lua_pushlightuserdata(L, loop);
  lua_pushvalue(L, index);
  if (lua_pcall(L, 2, 0, 0) != LUA_OK) lua_pop(L, 1); /* without memory it may be told twice */
  loop_fail(loop, L, first);
}

/* A script's function, as luv is given it: requests, which nothing can take back, may end when the script has gone. Upvalues:
 * the function, the script's record. */
static int call_owned(lua_State *L) {
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
  return lua_gettop(L);
}

/* Puts the script's own function in the place of such a one; false: the script has gone. */
static bool unwrap_owned(lua_State *L, int index) {
  if (lua_tocfunction(L, index) != call_owned) return true;
  lua_getupvalue(L, index, 2);
  lua_pushliteral(L, "gone");
  lua_rawget(L, -2);
  bool gone = lua_toboolean(L, -1);
  lua_pop(L, 2);
  lua_getupvalue(L, index, 1);
  lua_replace(L, index);
  return !gone;
}

/* The functions among the arguments from `from` on become owned by the record on top, which is popped. */
static void own_arguments(lua_State *L, int from) {
  int record = lua_gettop(L);
  for (int i = from; i < record; i++) {
    if (lua_type(L, i) != LUA_TFUNCTION || lua_tocfunction(L, i) == call_owned) continue;
    lua_pushvalue(L, i);
    lua_pushvalue(L, record);
    lua_pushcclosure(L, call_owned, 2);
    lua_replace(L, i);
  }
  lua_pop(L, 1);
}

/* What luv calls instead of its own: function and `count` arguments on top are replaced by the results; how many they are, or
 * a negative status. */
static int call_back(lua_State *L, int count, int results, int flags) {
  int function = lua_gettop(L) - count;
  const LuvContext *context;
  Loop *loop;
  (void)flags;
  if (!lua_checkstack(L, count + 12)) {
    lua_pop(L, count + 1);
    return -LUA_ERRMEM;
  }
  lua_rawgetp(L, LUA_REGISTRYINDEX, &context_key);
  context = lua_touserdata(L, -1);
  lua_pop(L, 1);
  loop = context ? loop_of(L, context->uv) : NULL;
  if (!loop || loop->closing || !unwrap_owned(L, function)) {
    lua_pop(L, count + 1);
    return 0;
  }
  lua_pushvalue(L, function); /* kept below, to be known if it fails */
  lua_insert(L, function);
  lua_pushcfunction(L, error_text_handler);
  lua_insert(L, function); /* handler, function kept, function, arguments */
  if (is_spent(L, loop, function + 1)) {
    lua_settop(L, function - 1);
    return 0;
  }
  int status = budget_pcall(loop->session, L, count, results, function);
  if (status != LUA_OK) {
    failed(L, loop, function + 1);
    lua_pop(L, 2);
    return -status;
  }
  lua_remove(L, function);
  lua_remove(L, function);
  return lua_gettop(L) - function + 1;
}

/* ---- functions ---- */
/* What luv says is said of its caller, which is the wrapper here: the line of whoever called that is put in front. */
static void add_place(lua_State *L) {
  if (lua_type(L, -1) != LUA_TSTRING) return;
  luaL_where(L, 1);
  lua_insert(L, -2);
  lua_concat(L, 2);
}

static bool is_handle(lua_State *L, int index) {
  bool known = false;
  if (lua_type(L, index) != LUA_TUSERDATA || !lua_getmetatable(L, index)) return false;
  if (lua_getfield(L, LUA_REGISTRYINDEX, "uv_handle") == LUA_TTABLE) {
    lua_pushvalue(L, -2);
    known = lua_rawget(L, -2) != LUA_TNIL;
    lua_pop(L, 1);
  }
  lua_pop(L, 2);
  return known;
}

enum { ORIGINAL = lua_upvalueindex(1), SESSION = lua_upvalueindex(2), HANDLES = lua_upvalueindex(3),
       RECORD = lua_upvalueindex(4), FIRST = lua_upvalueindex(5) };

/* Pushes the record of the script that has made the handle at 1; or nothing: false. */
static bool push_owner(lua_State *L) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &owners_key) == LUA_TTABLE) {
    lua_pushvalue(L, 1);
    lua_rawget(L, -2);
    lua_remove(L, -2);
  }
  if (lua_istable(L, -1)) return true;
  lua_pop(L, 1);
  return false;
}

/* The handle at 1 is the script's whose function this is. */
static void note_handle(lua_State *L) {
  lua_pushvalue(L, 1);
  lua_pushboolean(L, true);
  lua_rawset(L, HANDLES);
  if (!lua_istable(L, RECORD) || lua_rawgetp(L, LUA_REGISTRYINDEX, &owners_key) != LUA_TTABLE) return;
  lua_pushvalue(L, 1);
  lua_pushvalue(L, RECORD);
  lua_rawset(L, -3);
}

/* A function of luv's, in our context. Handles that it makes are noted. */
static int call_wrapped(lua_State *L) {
  Session *session = session_check(L, SESSION);
  Loop *loop = loop_open(L, session);
  int count = lua_gettop(L), status;
  luaL_checkstack(L, 8, NULL);
  if (session->excesses >= EXCESSES_MOST && budget_is_timed(L))
    return luaL_error(L, "callbacks have exceeded their budget %d times: no further ones from this one", EXCESSES_MOST);
  if (!loop->running) uv_update_time(&loop->uv);
  if (lua_istable(L, RECORD)) {
    lua_pushvalue(L, RECORD);
    own_arguments(L, (int)lua_tointeger(L, FIRST));
  }
  LuvContext outer = luv_enter(loop, L);
  lua_pushvalue(L, ORIGINAL);
  lua_insert(L, 1);
  status = lua_pcall(L, count, LUA_MULTRET, 0);
  luv_leave(loop, outer);
  if (status != LUA_OK) {
    add_place(L);
    return lua_error(L);
  }
  loop_touch(loop);
  count = lua_gettop(L);
  luaL_checkstack(L, 8, NULL);
  if (count == 0 || !is_handle(L, 1)) return count;
  note_handle(L);
  lua_settop(L, count);
  return count;
}

/* A method of a handle, or the function of the same name: called directly, so that it finds its own name. */
static int call_method(lua_State *L) {
  lua_CFunction original = lua_tocfunction(L, ORIGINAL);
  uv_handle_t *const *handle = is_handle(L, 1) ? lua_touserdata(L, 1) : NULL;
  const uv_loop_t *uv = handle && *handle ? (*handle)->loop : NULL;
  Loop *loop = uv ? loop_of(L, uv) : NULL;
  if (loop && !loop->running && !loop->closing) uv_update_time(&loop->uv);
  luaL_checkstack(L, 8, NULL);
  if (loop && push_owner(L)) own_arguments(L, 2);
  int count = original(L);
  loop = loop ? loop_of(L, uv) : NULL;
  if (loop) loop_touch(loop);
  return count;
}

/* thread:join(), which may wait for ever; the function of the same name is refused in loop.lua. */
static int join_thread(lua_State *L) {
  if (budget_is_timed(L)) return luaL_error(L, "thread:join: a callback that has a budget can't wait");
  return lua_tocfunction(L, ORIGINAL)(L);
}

static void wrap_join(lua_State *L) {
  if (lua_getfield(L, LUA_REGISTRYINDEX, "uv_thread") == LUA_TTABLE && lua_getfield(L, -1, "__index") == LUA_TTABLE &&
      lua_getfield(L, -1, "join") == LUA_TFUNCTION) {
    lua_pushcclosure(L, join_thread, 1);
    lua_setfield(L, -2, "join");
  }
  lua_settop(L, 1);
}

/* The table at the top: C functions without values of their own. */
static void wrap_methods(lua_State *L) {
  int methods = lua_gettop(L);
  lua_pushnil(L);
  while (lua_next(L, methods)) {
    if (lua_iscfunction(L, -1) && !lua_getupvalue(L, -1, 1)) {
      lua_pushcclosure(L, call_method, 1);
      lua_pushvalue(L, -2);
      lua_insert(L, -2);
      lua_rawset(L, methods); /* the field is there: traversing goes on */
    } else {
      lua_settop(L, methods + 1);
    }
  }
}

static void wrap_all_methods(lua_State *L) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &wrapped_key) == LUA_TNIL && lua_getfield(L, LUA_REGISTRYINDEX, "uv_handle") == LUA_TTABLE) {
    lua_pushnil(L);
    while (lua_next(L, -2)) {
      lua_pop(L, 1);
      if (lua_getfield(L, -1, "__index") == LUA_TTABLE) wrap_methods(L);
      lua_pop(L, 1);
    }
    wrap_join(L);
    lua_pushboolean(L, true);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &wrapped_key);
  }
  lua_settop(L, 1);
}

/* ---- opening ---- */
/* The path of luv's library, on top. Raises. */
static const char *find_library(lua_State *L) {
  lua_getglobal(L, "package");
  lua_getfield(L, -1, "searchpath");
  lua_pushliteral(L, "luv");
  lua_getfield(L, -3, "cpath");
  lua_call(L, 2, 1);
  if (!lua_isstring(L, -1)) luaL_error(L, "lunette.uv needs luv, which is not installed (Debian: lua-luv)");
  return lua_tostring(L, -1);
}

static Luv *load(lua_State *L) {
  const char *path = find_library(L);
  LuvContext *(*context)(lua_State *) = NULL;
  void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE); /* threads of scripts may be in it to the very end */
  void *symbol = library ? dlsym(library, "luv_context") : NULL;
  Luv *luv = symbol ? calloc(1, sizeof *luv) : NULL;
  if (!luv) {
    if (library) dlclose(library);
    luaL_error(L, symbol ? "not enough memory" : "lunette.uv needs luv 1.30 or newer; %s is something else", path);
  }
  memcpy(&context, &symbol, sizeof symbol); /* C has no cast from one to the other */
  *luv = (Luv){ library, NULL, LUA_NOREF };
  luv->context = context(L); /* makes it, where luv is not loaded: a userdata in the registry */
  return luv;
}

static void make_owners(lua_State *L) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &owners_key) != LUA_TTABLE) {
    weak_push(L, "k");
    lua_rawsetp(L, LUA_REGISTRYINDEX, &owners_key);
  }
  lua_pop(L, 1); /* the table, or nil */
}

static void register_loop(lua_State *L, Loop *loop) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &loops_key) != LUA_TTABLE) {
    lua_pop(L, 1);
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &loops_key);
  }
  lua_pushlightuserdata(L, loop);
  lua_rawsetp(L, -2, &loop->uv);
  lua_pop(L, 1);
}

/* In the command luv works on this loop alone; in a program it has its own besides, unless this is entered. */
static void prepare(lua_State *L, Session *session, Loop *loop) {
  if (!loop->luv) loop->luv = load(L);
  if (loop->luv->told == LUA_NOREF) {
    weak_push(L, "k");
    loop->luv->told = session_anchor(L, session);
  }
  register_loop(L, loop);
  make_owners(L);
  lua_pushlightuserdata(L, loop->luv->context);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &context_key);
  if (session->is_loan) *loop->luv->context = (LuvContext){ &loop->uv, session->keeper, call_back };
}

/* (session) -> luv, as `require` gives it; from here on the loop knows it */
int core_luv(lua_State *L) {
  Session *session = session_check(L, 1);
  Loop *loop = loop_open(L, session);
  prepare(L, session, loop);
  lua_settop(L, 0);
  lua_getglobal(L, "require");
  lua_pushliteral(L, "luv");
  lua_call(L, 1, 1);
  wrap_all_methods(L);
  return 1;
}

/* (session, function, table of handles, record of the script or nil, its first argument that may be a callback) -> the
 * function as scripts get it */
int core_luv_function(lua_State *L) {
  session_check(L, 1);
  luaL_argexpected(L, lua_iscfunction(L, 2), 2, "C function");
  luaL_checktype(L, 3, LUA_TTABLE);
  lua_settop(L, 5);
  lua_pushvalue(L, 2);
  lua_pushvalue(L, 1);
  lua_pushvalue(L, 3);
  lua_pushvalue(L, 4);
  lua_pushvalue(L, 5);
  lua_pushcclosure(L, call_wrapped, 5);
  return 1;
}

void luv_free(Loop *loop) {
  lua_State *L = loop->session->keeper;
  Luv *luv = loop->luv;
  if (!luv) return;
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &loops_key) == LUA_TTABLE) {
    lua_pushnil(L);
    lua_rawsetp(L, -2, &loop->uv);
  }
  lua_pop(L, 1);
  dlclose(luv->library);
  free(luv);
  loop->luv = NULL;
}
