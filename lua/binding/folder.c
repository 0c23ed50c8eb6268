/* SPDX-License-Identifier: MIT */
/* Changes in a folder, told on the script loop: what --watch stands on. A folder rather than a file, since editors replace a
 * file by renaming another. The libuv handle lies in a Lua value that is anchored until libuv has let go of it; it keeps no
 * loop alive. */
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

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

static void on_closed(uv_handle_t *handle) {
  const FolderWatch *watch = handle->data;
  session_unanchor(watch->session, watch->function);
  session_unanchor(watch->session, watch->self);
}

/* (session, folder, function) -> handle; or nil, why not, and whether it is not there: function(name) is called for each
 * change */
int core_watch_folder(lua_State *L) {
  Session *session = session_check(L, 1);
  const char *folder = luaL_checkstring(L, 2);
  luaL_checktype(L, 3, LUA_TFUNCTION);
  lua_settop(L, 3);
  Loop *loop = loop_open(L, session);
  FolderWatch *watch = lua_newuserdatauv(L, sizeof *watch, 0);
  *watch = (FolderWatch){ .session = session };
  lua_pushvalue(L, 3);
  watch->function = session_anchor(L, session);
  lua_pushvalue(L, 4);
  watch->self = session_anchor(L, session);
  int failure = uv_fs_event_init(&loop->uv, &watch->uv);
  watch->uv.data = watch;
  uv_unref((uv_handle_t *)&watch->uv);
  if (!failure) failure = uv_fs_event_start(&watch->uv, on_change, folder, 0);
  if (failure) uv_close((uv_handle_t *)&watch->uv, on_closed);
  loop_touch(loop);
  if (!failure) return 1;
  lua_pushnil(L);
  lua_pushstring(L, uv_strerror(failure));
  lua_pushboolean(L, failure == UV_ENOENT || failure == UV_ENOTDIR);
  return 3;
}

/* (handle of core_watch_folder) */
int core_unwatch_folder(lua_State *L) {
  FolderWatch *watch = lua_touserdata(L, 1);
  if (!watch || watch->session->closed || uv_is_closing((uv_handle_t *)&watch->uv)) return 0;
  uv_close((uv_handle_t *)&watch->uv, on_closed);
  loop_touch(watch->session->loop);
  return 0;
}

/* (path) -> a text that no other file has at the same time, and whether it is a regular one; or nil */
int core_file_id(lua_State *L) {
  struct stat info;
  if (stat(luaL_checkstring(L, 1), &info) != 0) return lua_pushnil(L), 1;
  lua_pushfstring(L, "%I:%I", (LUAI_UACINT)info.st_dev, (LUAI_UACINT)info.st_ino);
  lua_pushboolean(L, S_ISREG(info.st_mode));
  return 2;
}

/* (path) -> where the link leads, or nil: it is none */
int core_read_link(lua_State *L) {
  char target[PATH_MAX];
  ssize_t size = readlink(luaL_checkstring(L, 1), target, sizeof target);
  if (size < 0) return lua_pushnil(L), 1;
  lua_pushlstring(L, target, (size_t)size);
  return 1;
}
