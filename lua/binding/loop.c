/* SPDX-License-Identifier: MIT */
/* The script loop: a libuv loop on the guest's thread, for timers and for what scripts do with luv.
 *
 * Nobody polls it. The writer's thread watches its descriptor and its next timer and pokes the store when one is due; at
 * the guest's next safepoint, which waiting host functions have too, the loop has a turn: uv_run without waiting. After each
 * turn, and after whatever is started outside of one, the alarm is set anew. A turn runs inside one lua_pcall on the Lua
 * thread of the session's present level, which is idle at a safepoint; a callback may call the guest, whose safepoints give
 * no turn meanwhile. A turn that has taken long is followed by as long a time for the guest: callbacks that are always due
 * take half of it, not all. */
#include <limits.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "loop.h"

#define NS_PER_MS UINT64_C(1000000)
#define LONG_TURN_NS UINT64_C(100000)
enum { CLOSE_NS = 1000000000 }; /* how long requests that cannot be cancelled are waited for at the end */

static uint64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* ---- turns ---- */
/* Something to be done at once (a timer that is due, a watcher to be registered, a handle to be closed) makes the timeout 0. */
void loop_touch(Loop *loop) {
  if (loop->running || loop->broken || loop->closing) return;
  int timeout = uv_backend_timeout(&loop->uv);
  if (loop->rest_ns && now_ns() < loop->rest_ns) lun_alarm_arm(loop->alarm, false, loop->rest_ns);
  else if (timeout == 0) lun_store_poke(loop->session->store);
  else lun_alarm_arm(loop->alarm, true, timeout < 0 ? UINT64_MAX : (uv_now(&loop->uv) + (uint64_t)timeout) * NS_PER_MS);
}

static int turn_inside(lua_State *L) {
  Loop *loop = lua_touserdata(L, 1);
  LuvContext outer = luv_enter(loop, L);
  uv_run(&loop->uv, UV_RUN_NOWAIT);
  luv_leave(loop, outer);
  return 0;
}

/* An error can come out of uv_run only where luv found no memory for its own values. What libuv was about to do is lost then,
 * and where it stood; it is not entered again. */
static void broke(Loop *loop, lua_State *L) {
  const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "?";
  char line[256];
  loop->broken = true;
  snprintf(line, sizeof line, "the script loop has stopped: %.200s", text);
  session_message(loop->session, line);
  lua_pop(L, 1);
}

static void run_protected(Loop *loop) {
  lua_State *L = loop->session->L;
  if (!lua_checkstack(L, 8)) return;
  loop->running = true;
  lua_pushcfunction(L, turn_inside);
  lua_pushlightuserdata(L, loop);
  if (lua_pcall(L, 1, 0, 0) != LUA_OK) broke(loop, L);
  loop->running = false;
}

void loop_turn(Loop *loop) {
  Session *session = loop->session;
  Context outer = session->context;
  if (loop->running || loop->broken) return;
  uint64_t began = now_ns();
  session->context = CONTEXT_PROGRAM;
  run_protected(loop);
  session->context = outer;
  uint64_t ended = now_ns();
  loop->rest_ns = ended - began > LONG_TURN_NS ? ended + (ended - began) : 0;
  loop_touch(loop);
}

static void on_due(void *self) {
  lun_store_poke(self);
}

/* ---- standing still, because somebody outside asked for it ---- */
/* (session, call object) */
static int pause_inside(lua_State *L) {
  Session *session = lua_touserdata(L, 1);
  const CallBox *box = lua_touserdata(L, 2);
  session_anchors(L, session);
  lua_rawgeti(L, -1, session->pause_function);
  lua_rawgeti(L, -2, box->anchor);
  lua_call(L, 1, 0);
  return 0;
}

/* At a safepoint, outside of a turn: so that the loop has its turns while Lua waits. */
static void pause_if_asked(Session *session) {
  lua_State *L = session->L;
  lun_call *call = lun_store_call(session->store);
  if (!session->pause_asked || session->pause_function == LUA_NOREF || !call || session->loop->running) return;
  if (!atomic_exchange(session->pause_asked, false) || !lua_checkstack(L, 8)) return;
  CallBox *box = box_take(session, &session->boxes);
  Context outer = session->context;
  if (!box) return;
  session->context = CONTEXT_PROGRAM;
  box_begin(box, call, PHASE_HOST, NULL);
  lua_pushcfunction(L, error_text_handler);
  lua_pushcfunction(L, pause_inside);
  lua_pushlightuserdata(L, session);
  lua_pushlightuserdata(L, box);
  if (lua_pcall(L, 2, 0, -4) != LUA_OK) {
    session_message(session, lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "error in error handling");
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  box_end(box);
  box_put(session, &session->boxes, box);
  session->context = outer;
}

/* session:on_pause(f): f(call) is called where pause_asked of the loan is seen */
int session_on_pause(lua_State *L) {
  Session *session = session_check(L, 1);
  luaL_checktype(L, 2, LUA_TFUNCTION);
  loop_open(L, session);
  lua_settop(L, 2);
  session->pause_function = session_anchor(L, session);
  return 0;
}

/* session:ask_pause(): as whoever sets pause_asked does */
int session_ask_pause(lua_State *L) {
  Session *session = session_check(L, 1);
  if (!session->pause_asked) return 0;
  atomic_store(session->pause_asked, true);
  lun_store_poke(session->store);
  return 0;
}

static lun_status on_safepoint(void *self, lun_error *error) {
  Loop *loop = self;
  lun_status status = LUN_OK;
  loop_turn(loop);
  pause_if_asked(loop->session);
  if (loop->failure) status = lun_error_set(error, LUN_LISTENER, "%s", loop->failure);
  free(loop->failure);
  loop->failure = NULL;
  return status;
}

/* ---- failures ---- */
void loop_fail(Loop *loop, lua_State *L, bool tell) {
  const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "error in error handling";
  loop->failures++;
  if (tell) session_message(loop->session, text);
  if (loop->session->strict && !loop->failure) loop->failure = strndup(text, strcspn(text, "\n"));
  lua_pop(L, 1);
}

void session_fail_run(Session *session, const char *text) {
  Loop *loop = session->loop;
  if (!session->strict || !loop || loop->failure) return;
  loop->failure = strndup(text, strcspn(text, "\n"));
  lun_store_poke(session->store);
}

/* ---- waiting for it, where there is no guest to run ---- */
bool loop_has_work(Loop *loop) {
  uv_unref((uv_handle_t *)&loop->keep);
  int alive = uv_loop_alive(&loop->uv);
  uv_ref((uv_handle_t *)&loop->keep);
  return alive && !loop->broken;
}

static bool is_pending(const Loop *loop) {
  return !loop->broken && (loop->uv.active_reqs.count > 0 || loop->uv.closing_handles);
}

lun_status loop_wait(Loop *loop, Until until, int64_t timeout_ns, lun_error *error) {
  uint64_t deadline = timeout_ns < 0 ? UINT64_MAX : now_ns() + (uint64_t)timeout_ns;
  struct pollfd backend = { .fd = uv_backend_fd(&loop->uv), .events = POLLIN };
  lun_status status = LUN_OK;
  loop->stop = false;
  if (until == UNTIL_SETTLED && !is_pending(loop)) return LUN_OK;
  for (int rounds = 0;; rounds++) {
    loop_turn(loop);
    uint64_t now = now_ns();
    if (loop->stop || now >= deadline || (until == UNTIL_ONCE && rounds > 0)) return LUN_OK;
    if (!(until == UNTIL_SETTLED ? is_pending(loop) : loop_has_work(loop))) return LUN_OK;
    int timeout = uv_backend_timeout(&loop->uv);
    uint64_t least = timeout < 0 ? UINT64_MAX : (uint64_t)timeout * NS_PER_MS;
    if (least > deadline - now) least = deadline - now;
    status = lun_store_wait(loop->session->store, &backend, 1, least > INT64_MAX ? -1 : (int64_t)least, error);
    if (status != LUN_OK) return status;
  }
}

/* ---- opening, closing ---- */
static void on_keep(uv_timer_t *timer) {
  (void)timer;
}

static int set_up(Loop *loop, lun_error *error) {
  int failure = uv_loop_init(&loop->uv);
  if (failure) {
    lun_error_set(error, LUN_NO_MEMORY, "cannot make the script loop: %s", uv_strerror(failure));
    return failure;
  }
  uv_timer_init(&loop->uv, &loop->keep);
  uv_timer_start(&loop->keep, on_keep, UINT64_MAX, 0);
  if (lun_alarm_create(loop->session->writer, uv_backend_fd(&loop->uv), on_due, loop->session->store, &loop->alarm, error) ==
      LUN_OK)
    return 0;
  uv_close((uv_handle_t *)&loop->keep, NULL);
  uv_run(&loop->uv, UV_RUN_NOWAIT);
  uv_loop_close(&loop->uv);
  return UV_ENOMEM;
}

Loop *loop_open(lua_State *L, Session *session) {
  lun_error error = LUN_ERROR_INIT;
  if (session->loop) return session->loop;
  if (!session_open_writer(session, &error)) error_raise(L, session, &error);
  Loop *loop = calloc(1, sizeof *loop);
  if (!loop) luaL_error(L, "not enough memory");
  loop->session = session;
  if (set_up(loop, &error) != 0) {
    free(loop);
    error_raise(L, session, &error);
  }
  session->loop = loop;
  lun_store_on_safepoint(session->store, on_safepoint, loop);
  loop_touch(loop); /* libuv's own descriptors are to be registered */
  return loop;
}

static void close_handle(uv_handle_t *handle, void *unused) {
  (void)unused;
  if (!uv_is_closing(handle)) uv_close(handle, NULL);
}

/* True: libuv has let go of it. What runs on libuv's threads cannot always be cancelled; it is waited for a while. */
static bool wind_up(Loop *loop) {
  uint64_t deadline = now_ns() + CLOSE_NS;
  if (loop->broken) return false;
  uv_walk(&loop->uv, close_handle, NULL);
  for (;;) {
    run_protected(loop);
    if (loop->broken) return false;
    if (uv_loop_close(&loop->uv) == 0) return true;
    uint64_t now = now_ns();
    if (now >= deadline) return false;
    int timeout = uv_backend_timeout(&loop->uv), most = (int)((deadline - now) / NS_PER_MS) + 1;
    struct pollfd backend = { .fd = uv_backend_fd(&loop->uv), .events = POLLIN };
    poll(&backend, 1, timeout >= 0 && timeout < most ? timeout : most);
  }
}

void loop_close(Session *session) {
  Loop *loop = session->loop;
  if (!loop) return;
  loop->closing = true;
  lun_store_on_safepoint(session->store, NULL, NULL);
  lun_alarm_destroy(loop->alarm);
  bool gone = wind_up(loop);
  session->loop = NULL;
  luv_free(loop);
  free(loop->failure);
  loop->failure = NULL;
  if (gone) free(loop); /* else threads of libuv's may still use it */
}

/* ---- methods of the session ---- */
static lun_status wait_loop(lua_State *L, Session *session, Until until, int64_t timeout_ns, lun_error *error) {
  if (session->loop->running || session->level > 0 || session->context != CONTEXT_PROGRAM)
    luaL_error(L, "the script loop runs by itself; it can't be run from a callback");
  return loop_wait(session->loop, until, timeout_ns, error);
}

/* session:run_loop(mode) -> whether there is more to come. Raises what ends the wait. */
int session_run_loop(lua_State *L) {
  static const char *const modes[] = { "default", "once", "nowait", NULL };
  Session *session = session_check(L, 1);
  lun_error error = LUN_ERROR_INIT;
  int mode = luaL_checkoption(L, 2, "default", modes);
  Loop *loop = loop_open(L, session);
  if (wait_loop(L, session, mode == 1 ? UNTIL_ONCE : UNTIL_IDLE, mode == 2 ? 0 : -1, &error) != LUN_OK) return error_raise(L, session, &error);
  lua_pushboolean(L, loop_has_work(loop));
  return 1;
}

/* session:stop_loop(): run_loop returns after this turn */
int session_stop_loop(lua_State *L) {
  loop_open(L, session_check(L, 1))->stop = true;
  return 0;
}

/* session:settle_loop(ms) -> nil, or the kind of what has ended the wait. For so long the loop goes on as long as anything is
 * active, and then for a second more while requests are under way. */
int session_settle_loop(lua_State *L) {
  Session *session = session_check(L, 1);
  lua_Integer ms = luaL_checkinteger(L, 2);
  lun_error error = LUN_ERROR_INIT;
  lun_status status = LUN_OK;
  if (!session->loop) return 0;
  if (ms > 0) status = wait_loop(L, session, UNTIL_IDLE, ms > INT64_MAX / 1000000 ? -1 : ms * 1000000, &error);
  if (status == LUN_OK) status = wait_loop(L, session, UNTIL_SETTLED, 1000000000, &error);
  lun_error_clear(&error);
  if (status == LUN_OK) return 0;
  lua_pushstring(L, lun_status_name(status));
  return 1;
}

int session_loop_has_work(lua_State *L) {
  Session *session = session_check(L, 1);
  lua_pushboolean(L, session->loop && loop_has_work(session->loop));
  return 1;
}
