/* SPDX-License-Identifier: MIT */
/* The wasi= of lunette.instantiate: arguments, environment, folders and stdio of one instance.
 *
 *     { args = {"name", …}, env = {NAME="value"} or {"NAME=value"}, inherit_env = true,
 *       dirs = {"HOST::GUEST:ro", …}, stdin = path or descriptor, stdout =, stderr =,
 *       sockets = {descriptor, …} (copied, and set to non-blocking), listen = {"127.0.0.1:8080", …} (behind these),
 *       deterministic = true, force_fallback = true (for tests; see lunette/wasi.h) }
 *
 * A lun_wasi must outlive its store, so the session keeps it until then, with the descriptors that were opened for it. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "objects.h"

typedef struct WasiBox {
  struct WasiBox *next;
  Session *session;
  lun_wasi *wasi;
  int opened[3];  /* -1: not ours */
} WasiBox;

void wasi_clear(Session *session) {
  for (WasiBox *box = session->wasis, *next; box; box = next) {
    next = box->next;
    lun_wasi_destroy(box->wasi);
    for (int i = 0; i < 3; i++) {
      if (box->opened[i] >= 0) close(box->opened[i]);
    }
    free(box);
  }
  session->wasis = NULL;
}

/* What the guest writes comes after what the trace has written to the same file. */
static void before_write(void *self, int fd) {
  const WasiBox *box = self;
  lun_output *output = box->session->output;
  if (output && lun_output_same_file(output, fd) && !lun_output_flush(output)) { /* its loss is counted there */ }
}

static WasiBox *wasi_box_new(lua_State *L, Session *session) {
  WasiBox *box = calloc(1, sizeof *box);
  if (!box) luaL_error(L, "not enough memory");
  box->session = session;
  box->opened[0] = box->opened[1] = box->opened[2] = -1;
  box->next = session->wasis;
  session->wasis = box; /* from here on nothing is lost, whatever raises */
  return box;
}

static void read_stdio(lua_State *L, int index, WasiBox *box, int stdio[3]) {
  static const char *const names[] = { "stdin", "stdout", "stderr" };
  lun_error error = LUN_ERROR_INIT;
  for (int i = 0; i < 3; i++) {
    int type = lua_getfield(L, index, names[i]);
    stdio[i] = i;
    if (type == LUA_TNUMBER) {
      stdio[i] = (int)luaL_checkinteger(L, -1);
    } else if (type != LUA_TNIL) {
      const char *path = luaL_checkstring(L, -1);
      box->opened[i] = open(path, (i == 0 ? O_RDONLY : O_WRONLY | O_CREAT | O_TRUNC) | O_CLOEXEC, 0666);
      if (box->opened[i] < 0) {
        lun_error_set(&error, i == 0 ? LUN_NO_INPUT : LUN_OUTPUT, "%s: %s", path, strerror(errno));
        error_raise(L, box->session, &error);
      }
      stdio[i] = box->opened[i];
    }
    lua_pop(L, 1);
  }
}

/* ---- lists of strings. Each leaves what it made on the stack, where it stays until lun_wasi_create has copied it. ---- */
/* The list under `key`, its map entries turned into texts by `format` and added. */
static const char *const *read_texts(lua_State *L, int index, const char *key, const char *format, size_t *count) {
  const char **texts;
  int list;
  *count = 0;
  lua_newtable(L);
  list = lua_gettop(L);
  if (lua_getfield(L, index, key) == LUA_TNIL) return NULL;
  if (lua_type(L, -1) != LUA_TTABLE) luaL_error(L, "wasi.%s: a table expected, got %s", key, luaL_typename(L, -1));
  for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
    if (lua_type(L, -1) != LUA_TSTRING && lua_type(L, -1) != LUA_TNUMBER)
      luaL_error(L, "wasi.%s: texts expected, got %s", key, luaL_typename(L, -1));
    if (lua_isinteger(L, -2)) continue; /* the list: below, in its order */
    if (!format || lua_type(L, -2) != LUA_TSTRING) luaL_error(L, "wasi.%s: a list expected", key);
    const char *value = luaL_tolstring(L, -1, NULL);
    lua_pushfstring(L, format, lua_tostring(L, -3), value);
    lua_rawseti(L, list, (lua_Integer)++*count);
    lua_pop(L, 1);
  }
  lua_Integer length = list_length(L, -1, key);
  for (lua_Integer i = 1; i <= length; i++) {
    lua_rawgeti(L, -1, i);
    luaL_tolstring(L, -1, NULL);
    lua_rawseti(L, list, (lua_Integer)++*count);
    lua_pop(L, 1);
  }
  texts = lua_newuserdatauv(L, *count * sizeof *texts + 1, 0);
  for (size_t i = 0; i < *count; i++) {
    lua_rawgeti(L, list, (lua_Integer)i + 1);
    texts[i] = lua_tostring(L, -1);
    lua_pop(L, 1);
  }
  return texts;
}

static const lun_wasi_dir *read_dirs(lua_State *L, Session *session, int index, size_t *count) {
  lun_error error = LUN_ERROR_INIT;
  const char *const *texts = read_texts(L, index, "dirs", NULL, count);
  lun_wasi_dir *dirs;
  luaL_checkstack(L, (int)(*count < INT_MAX / 2 ? *count : INT_MAX / 2) + 16, "too many folders");
  dirs = lua_newuserdatauv(L, *count * sizeof *dirs + 1, 0);
  for (size_t i = 0; i < *count; i++) {
    char *text = lua_newuserdatauv(L, strlen(texts[i]) + 1, 0);
    strcpy(text, texts[i]);
    if (lun_wasi_dir_parse(text, &dirs[i], &error) != LUN_OK) error_raise(L, session, &error);
  }
  return dirs;
}

static void check_keys(lua_State *L, int index) {
  static const char *const keys[] = { "args", "env", "inherit_env", "dirs", "stdin", "stdout", "stderr", "sockets", "listen",
                                      "deterministic", "force_fallback" };
  for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
    const char *key = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "?", *nearest;
    bool known = false;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) known = known || strcmp(key, keys[i]) == 0;
    if (known) continue;
    nearest = lun_nearest(key, keys, sizeof keys / sizeof *keys);
    luaL_error(L, nearest ? "wasi.%s: no such field; did you mean '%s'?" : "wasi.%s: no such field", key, nearest);
  }
}

static bool read_flag(lua_State *L, int index, const char *key) {
  lua_getfield(L, index, key);
  bool flag = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return flag;
}

static void close_sockets(const lun_wasi_options *options) {
  for (size_t i = 0; i < options->socket_count; i++) {
    if (options->sockets[i] >= 0) close(options->sockets[i]);
  }
}

/* Copies of the descriptors, since those in the options are taken, and behind them the listening ones. */
static void read_sockets(lua_State *L, Session *session, int index, lun_wasi_options *options) {
  lun_error error = LUN_ERROR_INIT;
  size_t listening;
  const char *const *addresses = read_texts(L, index, "listen", NULL, &listening);
  lua_Integer length = 0;
  if (lua_getfield(L, index, "sockets") != LUA_TNIL) {
    if (lua_type(L, -1) != LUA_TTABLE) luaL_error(L, "wasi.sockets: a table expected, got %s", luaL_typename(L, -1));
    length = list_length(L, -1, "wasi.sockets");
  }
  int list = lua_gettop(L), *sockets = lua_newuserdatauv(L, ((size_t)length + listening) * sizeof *sockets + 1, 0);
  for (lua_Integer i = 1; i <= length; i++) {
    lua_rawgeti(L, list, i);
    sockets[i - 1] = (int)luaL_checkinteger(L, -1);
    lua_pop(L, 1);
  }
  options->sockets = sockets; /* from here on nothing of Lua's raises while they are open */
  for (size_t *count = &options->socket_count; *count < (size_t)length; ++*count)
    sockets[*count] = fcntl(sockets[*count], F_DUPFD_CLOEXEC, 0);
  for (size_t i = 0; i < listening; i++) {
    if (lun_wasi_listen(addresses[i], &sockets[options->socket_count], &error) != LUN_OK) {
      close_sockets(options);
      error_raise(L, session, &error);
    }
    options->socket_count++;
  }
}

void wasi_add(lua_State *L, Session *session, int index, lun_imports *imports) {
  int top = lua_gettop(L);
  lun_wasi_options options = { .before_write = before_write };
  lun_error error = LUN_ERROR_INIT;
  WasiBox *box;
  luaL_checkstack(L, 40, NULL);
  check_keys(L, index);
  box = wasi_box_new(L, session);
  options.self = box;
  read_stdio(L, index, box, options.stdio);
  options.args = read_texts(L, index, "args", NULL, &options.arg_count);
  options.env = read_texts(L, index, "env", "%s=%s", &options.env_count);
  options.inherit_env = read_flag(L, index, "inherit_env");
  options.dirs = read_dirs(L, session, index, &options.dir_count);
  options.deterministic = read_flag(L, index, "deterministic");
  options.force_fallback = read_flag(L, index, "force_fallback");
  read_sockets(L, session, index, &options);
  if (lun_wasi_create(&options, &box->wasi, &error) != LUN_OK) {
    close_sockets(&options);
    error_raise(L, session, &error);
  }
  if (lun_wasi_import(box->wasi, imports, &error) != LUN_OK) error_raise(L, session, &error);
  lua_settop(L, top);
}
