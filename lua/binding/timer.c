/* SPDX-License-Identifier: MIT */
/* Timers: lunette.every and lunette.delay. The libuv handle lies in the Lua object, which is anchored until libuv has let
 * go of it: forgetting the object stops nothing. Its user value 2 is the function. */
#include "loop.h"

typedef struct Timer {
  Head head;
  uv_timer_t uv;
  int self;       /* anchor */
  bool active;
} Timer;

enum { FUNCTION = 2 };

static void on_closed(uv_handle_t *handle) {
  const Timer *timer = handle->data;
  session_unanchor(timer->head.session, timer->self);
}

/* The timer is at `index` of L. */
static void stop(lua_State *L, int index, Timer *timer) {
  if (!timer->active) return;
  timer->active = false;
  lua_pushnil(L);
  lua_setiuservalue(L, index, FUNCTION);
  uv_close((uv_handle_t *)&timer->uv, on_closed);
  loop_touch(timer->head.session->loop);
}

static void on_timer(uv_timer_t *handle) {
  Timer *timer = handle->data;
  Session *session = timer->head.session;
  lua_State *L = session->L;
  int top = lua_gettop(L), self = top + 2;
  if (!lua_checkstack(L, 8)) return;
  lua_pushcfunction(L, error_text_handler);
  session_anchors(L, session);
  lua_rawgeti(L, -1, timer->self);
  lua_remove(L, -2);
  lua_getiuservalue(L, self, FUNCTION);
  if (uv_timer_get_repeat(handle) == 0) stop(L, self, timer);
  lua_pushvalue(L, self);
  if (budget_pcall(session, L, 1, 0, top + 1) != LUA_OK) {
    loop_fail(session->loop, L, true);
    stop(L, self, timer);
  }
  lua_settop(L, top);
}

/* (session, milliseconds, repeats, function) -> timer */
int core_timer(lua_State *L) {
  Session *session = session_check(L, 1);
  uint64_t ms = (uint64_t)luaL_checkinteger(L, 2);
  bool repeats = lua_toboolean(L, 3);
  luaL_checktype(L, 4, LUA_TFUNCTION);
  Loop *loop = loop_open(L, session);
  Timer *timer = object_new(L, &timer_class, session, sizeof *timer);
  lua_pushvalue(L, 4);
  lua_setiuservalue(L, -2, FUNCTION);
  lua_pushvalue(L, -1);
  timer->self = session_anchor(L, session);
  uv_timer_init(&loop->uv, &timer->uv);
  timer->uv.data = timer;
  timer->active = true;
  if (!loop->running) uv_update_time(&loop->uv);
  uv_timer_start(&timer->uv, on_timer, ms, repeats ? ms : 0);
  loop_touch(loop);
  return 1;
}

static int timer_stop(lua_State *L) {
  Timer *timer = object_check_closed(L, 1, &timer_class);
  if (!timer->head.session->closed) stop(L, 1, timer);
  return 0;
}

static int timer_get_active(lua_State *L) {
  const Timer *timer = object_check_closed(L, 1, &timer_class);
  lua_pushboolean(L, timer->active && !timer->head.session->closed);
  return 1;
}

static int timer_tostring(lua_State *L) {
  const Timer *timer = object_check_closed(L, 1, &timer_class);
  lua_pushstring(L, timer->active && !timer->head.session->closed ? "timer" : "timer (stopped)");
  return 1;
}

static const Field fields[] = { { "active", timer_get_active, NULL }, { NULL, NULL, NULL } };
static const luaL_Reg methods[] = { { "stop", timer_stop }, { NULL, NULL } };
static const luaL_Reg metamethods[] = { { "__tostring", timer_tostring }, { NULL, NULL } };
const Class timer_class = { "timer", FUNCTION, fields, methods, metamethods, NULL, NULL };
