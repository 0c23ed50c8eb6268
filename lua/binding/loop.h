/* SPDX-License-Identifier: MIT */
/* The script loop, as the files of the binding share it: loop.c runs it, timer.c has lunette.every and lunette.delay,
 * luv.c lunette.uv. */
#ifndef LUNETTE_LOOP_H
#define LUNETTE_LOOP_H

#include <uv.h>

#include "objects.h"

typedef struct Luv Luv;

typedef struct Loop {
  uv_loop_t uv;
  Session *session;
  lun_alarm *alarm;
  uv_timer_t keep;      /* never strikes: the loop counts as alive, whatever scripts have unreferenced */
  bool running;         /* uv_run is at work: it must not be entered again */
  bool closing;         /* no callback is called any more */
  bool broken;          /* memory failed inside of it: it is not run again */
  bool stop;            /* uv.stop was called */
  uint64_t rest_ns;     /* the guest has the time up to here for itself */
  uint64_t failures;    /* of callbacks */
  char *failure;        /* with strict: what the run ends with */
  Luv *luv;             /* NULL: lunette.uv has not been asked for */
} Loop;

/* The session's loop, made at the first need. Raises. */
Loop *loop_open(lua_State *L, Session *session);
/* Something was started or stopped outside of a turn: it is waited for from now on. */
void loop_touch(Loop *loop);
/* Runs what is due, unless it is running. Never raises. */
void loop_turn(Loop *loop);
/* Whether something is active, referenced and not the loop's own. */
bool loop_has_work(Loop *loop);
/* Turns until nothing is active; until all requests are done and all handles closed; until it has waited once; in any case
 * until `timeout_ns` have passed (negative: no limit) or uv.stop was called. LUN_OK, or what has ended the wait. */
typedef enum Until { UNTIL_IDLE, UNTIL_SETTLED, UNTIL_ONCE } Until;
LUN_MUST_CHECK lun_status loop_wait(Loop *loop, Until until, int64_t timeout_ns, lun_error *error);
/* A callback's error, on top of L, is popped and counted; told if `tell`. */
void loop_fail(Loop *loop, lua_State *L, bool tell);
/* The session's, if it has one: its handles are closed, no callback is called. */
void loop_close(Session *session);

/* Methods of the session. */
int session_run_loop(lua_State *L);
int session_stop_loop(lua_State *L);
int session_settle_loop(lua_State *L);
int session_on_pause(lua_State *L);
int session_ask_pause(lua_State *L);
int session_loop_has_work(lua_State *L);

/* ---- luv (luv.c) ---- */
/* Around everything that may call luv: its context is this loop's, callbacks run on `L`. They nest. */
typedef int (*LuvCallBack)(lua_State *L, int count, int results, int flags);
typedef struct LuvContext { /* how luv_ctx_t of luv.h begins */
  uv_loop_t *uv;
  lua_State *L;
  LuvCallBack callback;
} LuvContext;
LuvContext luv_enter(Loop *loop, lua_State *L);
void luv_leave(Loop *loop, LuvContext outer);
void luv_free(Loop *loop);

#endif
