/* SPDX-License-Identifier: MIT */
/* Changes in a folder, told on the script loop: what --watch stands on. A folder rather than a file, since editors replace a
 * file by renaming another. The libuv handle lies in a Lua value that is anchored as long as the session is; it keeps no
 * loop alive. */
#include <limits.h>
#include <stdlib.h>

#include "loop.h"

typedef struct FolderWatch {
  Session *session;
  uv_fs_event_t uv;
  int self, function; /* anchors */
} FolderWatch;

static void on_change(uv_fs_event_t *handle, const char *name, int events, int status) {
  const FolderWatch *watch = handle->data;
  Session *session = watch->session;
  lua_State *L = session->L;
  int top = lua_gettop(L);
  (void)events;
  if (status < 0 || !name || session->loop->closing || !lua_checkstack(L, 8)) return;
  lua_pushcfunction(L, error_text_handler);
  session_anchors(L, session);
  lua_rawgeti(L, -1, watch->function);
  lua_remove(L, -2);
  lua_pushstring(L, name);
  if (lua_pcall(L, 1, 0, top + 1) != LUA_OK) loop_fail(session->loop, L, true);
  lua_settop(L, top);
}

/* (session, folder, function) -> true, or nil and why not: function(name) is called for each change */
int core_watch_folder(lua_State *L) {
  Session *session = session_check(L, 1);
  const char *folder = luaL_checkstring(L, 2);
  luaL_checktype(L, 3, LUA_TFUNCTION);
  lua_settop(L, 3);
  Loop *loop = loop_open(L, session);
  FolderWatch *watch = lua_newuserdatauv(L, sizeof *watch, 0);
  *watch = (FolderWatch){ .session = session };
  watch->self = session_anchor(L, session);
  watch->function = session_anchor(L, session);
  int failure = uv_fs_event_init(&loop->uv, &watch->uv);
  watch->uv.data = watch;
  if (!failure) {
    uv_unref((uv_handle_t *)&watch->uv);
    failure = uv_fs_event_start(&watch->uv, on_change, folder, 0);
  }
  loop_touch(loop);
  if (!failure) return lua_pushboolean(L, true), 1;
  lua_pushnil(L);
  lua_pushstring(L, uv_strerror(failure));
  return 2;
}

/* (path) -> the path without links, or nil */
int core_real_path(lua_State *L) {
  char *path = realpath(luaL_checkstring(L, 1), NULL);
  if (!path) return lua_pushnil(L), 1;
  lua_pushstring(L, path);
  free(path);
  return 1;
}
