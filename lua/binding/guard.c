/* SPDX-License-Identifier: MIT */
/* The guard around runs of guests: one lua_pcall for all the callbacks of a run, which are then called by lua_call. An error
 * in one jumps past the handler that called it, with what of dispatch stands between (lun_store_set_guard), and the run goes on.
 *
 * On the session's thread the run stands in a frame of its own, whose bottom is laid out as the thread's is. The functions and
 * call objects that were asked for last are at hand there, since to copy them costs less than to look them up. */
#include "attachment.h"

/* ---- hooks ---- */
/* A script's hook for calls and returns (debug.sethook) is told of scripts' functions, not of run_inside: what it raised there
 * would be no callback's error. Other hooks are not told of C functions. */
enum { HOOKED = LUA_MASKCALL | LUA_MASKRET };

static void hook_take(Guard *guard) {
  lua_State *L = guard->L;
  guard->hook = lua_gethook(L);
  guard->hook_mask = lua_gethookmask(L);
  guard->hook_count = lua_gethookcount(L);
  if (guard->hook_mask & HOOKED) lua_sethook(L, NULL, 0, 0);
}

static void hook_put(const Guard *guard) {
  if (guard->hook_mask & HOOKED) lua_sethook(guard->L, guard->hook, guard->hook_mask, guard->hook_count);
}

/* ---- runs ---- */
/* (anchors, handler, handler, guard) */
static int run_inside(lua_State *L) {
  Guard *guard = lua_touserdata(L, HOST_HANDLER + 1);
  if (!lua_checkstack(L, BOTTOM + LUA_MINSTACK)) return 0;
  lua_settop(L, HOST_HANDLER);
  lua_settop(L, BOTTOM);
  guard->entered = true;
  hook_put(guard);
  guard->run(guard->argument);
  hook_take(guard);
  return 0;
}

bool guard_is_outermost(lua_State *L) {
  lua_Debug info;
  int inner = 0, beyond = 1;
  while (lua_getstack(L, beyond, &info)) inner = beyond, beyond *= 2;
  while (beyond - inner > 1) {
    int middle = inner + (beyond - inner) / 2;
    if (lua_getstack(L, middle, &info)) inner = middle;
    else beyond = middle;
  }
  if (!lua_getstack(L, inner, &info) || !lua_getinfo(L, "f", &info)) return false;
  bool is_guard = lua_tocfunction(L, -1) == run_inside;
  lua_pop(L, 1);
  return is_guard;
}

lun_guarded guard_run(void *self, void (*run)(void *argument), void *argument) {
  Session *session = self;
  lua_State *L = session->L;
  int base = lua_gettop(L);
  Context outer = session->context;
  Guard guard = { .outer = session->guard, .L = L, .run = run, .argument = argument };
  /* A budget is each callback's own: they are called one by one. */
  if (session->closed || session->budget || !lua_checkstack(L, HOST_HANDLER + 3)) return LUN_GUARDED_NOT_ENTERED;
  for (int i = 0; i < AT_HAND_COUNT; i++) guard.at_hand[i] = LUA_NOREF;
  lua_pushcfunction(L, error_text_handler);
  lua_pushcfunction(L, run_inside);
  for (int i = ANCHORS; i <= HOST_HANDLER; i++) lua_pushvalue(session->keeper, i);
  lua_xmove(session->keeper, L, HOST_HANDLER);
  lua_pushlightuserdata(L, &guard);
  session->guard = &guard;
  session->context = CONTEXT_LISTENER; /* whoever else gets to work in the run says so */
  hook_take(&guard);
  int status = lua_pcall(L, HOST_HANDLER + 1, 0, base + 1);
  bool jumped = status != LUA_OK && guard.entered;
  session->guard = guard.outer;
  session->context = outer;
  if (jumped) listener_jumped(&guard, L);
  else hook_put(&guard);
  lua_settop(L, base);
  if (!guard.entered) return LUN_GUARDED_NOT_ENTERED;
  return jumped ? LUN_GUARDED_JUMPED : LUN_GUARDED_RETURNED;
}

/* ---- what is at hand ---- */
static void drop_old(Guard *guard) {
  for (int i = 0; i < AT_HAND_COUNT; i++) {
    if (guard->at_hand[i] != LUA_NOREF) continue;
    lua_pushnil(guard->L);
    lua_replace(guard->L, AT_HAND + i);
  }
  guard->has_old = false;
}

void guard_fetch(Guard *guard, int anchor) {
  unsigned place = (unsigned)anchor % AT_HAND_COUNT;
  if (guard->has_old) drop_old(guard);
  lua_rawgeti(guard->L, ANCHORS, anchor);
  lua_pushvalue(guard->L, -1);
  lua_replace(guard->L, AT_HAND + (int)place);
  guard->at_hand[place] = anchor;
}

void guard_forget(Session *session, int anchor) {
  for (Guard *guard = session->guard; guard; guard = guard->outer) {
    int *held = &guard->at_hand[(unsigned)anchor % AT_HAND_COUNT];
    if (*held != anchor) continue;
    *held = LUA_NOREF;
    guard->has_old = true;
  }
}
