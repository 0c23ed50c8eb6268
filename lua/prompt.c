/* SPDX-License-Identifier: MIT */
/* The terminal of the prompt: lines from a person, by libedit where it is there, or from a pipe, a byte at a time, so that
 * the guest finds what stands behind them. While it waits for a key the store waits, and with it the scripts' timers.
 *
 * What Lua is given is a table: read(prompt) → line, or nil at the end; write(text); remember(line); complete(function),
 * which is asked with the line up to the cursor and answers the word's length and what it could be. */
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <wchar.h>

#include <lauxlib.h>
#ifdef LUNETTE_LIBEDIT
#include <histedit.h>
#endif

#include "command.h"

enum { LINE_MOST = 64 * 1024, HISTORY_LINES = 1000 };

struct Terminal {
  lun_store *store;
  int in, out;              /* own where `owns` */
  int cancel_fd;            /* eventfd: Ctrl-C at the prompt */
  int socket;               /* of lunette connect, or -1 */
  bool owns, is_open, is_interactive, cancelled, ended;
  _Atomic bool is_reading;
  char *line;               /* LINE_MOST bytes */
#ifdef LUNETTE_LIBEDIT
  EditLine *edit;
  History *history;
  FILE *in_file, *out_file;
  const char *prompt;
  lua_State *L;             /* while it reads */
#endif
};

/* ---- bytes ---- */
static void text_put(const Terminal *terminal, const char *text, size_t size) {
  while (size) {
    ssize_t count = write(terminal->out, text, size);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return;
    text += count;
    size -= (size_t)count;
  }
}

/* What the other side says while a line is being typed. False: it is gone. */
static bool socket_show(const Terminal *terminal) {
  char bytes[4096];
  ssize_t count = recv(terminal->socket, bytes, sizeof bytes, MSG_DONTWAIT);
  if (count < 0 && (errno == EINTR || errno == EAGAIN)) return true;
  if (count <= 0) return false;
  if (terminal->is_interactive) text_put(terminal, "\n", 1);
  text_put(terminal, bytes, (size_t)count);
#ifdef LUNETTE_LIBEDIT
  if (terminal->edit) el_set(terminal->edit, EL_REFRESH);
#endif
  return true;
}

/* 1, or 0 at the end, or -1: Ctrl-C. */
static int byte_read(Terminal *terminal, char *byte) {
  for (;;) {
    struct pollfd fds[3] = { { terminal->in, POLLIN, 0 }, { terminal->cancel_fd, POLLIN, 0 }, { terminal->socket, POLLIN, 0 } };
    lun_error error = LUN_ERROR_INIT;
    lun_status status = lun_store_wait(terminal->store, fds, terminal->socket < 0 ? 2 : 3, -1, &error);
    lun_error_clear(&error);
    if (status != LUN_OK) return 0; /* the run is to end: nothing more is asked */
    if (fds[1].revents) {
      uint64_t count;
      if (read(terminal->cancel_fd, &count, sizeof count) == sizeof count) return -1;
    }
    if (fds[2].revents && !socket_show(terminal)) return 0;
    if (!fds[0].revents) continue;
    ssize_t got = read(terminal->in, byte, 1);
    if (got == 1) return 1;
    if (got == 0 || (errno != EINTR && errno != EAGAIN)) return 0;
  }
}

/* ---- a line without an editor ---- */
static bool plain_read(Terminal *terminal, const char *prompt, size_t *size) {
  if (terminal->is_interactive) text_put(terminal, prompt, strlen(prompt));
  *size = 0;
  for (char byte;;) {
    int got = byte_read(terminal, &byte);
    if (got < 0) {
      text_put(terminal, "\n", 1);
      *size = 0;
      return true;
    }
    if (got == 0) return *size > 0;
    if (byte == '\n') return true;
    if (*size + 1 < LINE_MOST) terminal->line[(*size)++] = byte;
  }
}

/* ---- a line with libedit ---- */
#ifdef LUNETTE_LIBEDIT
static char *prompt_text(EditLine *edit) {
  Terminal *terminal;
  el_get(edit, EL_CLIENTDATA, &terminal);
  return (char *)(uintptr_t)terminal->prompt;
}

static int key_read(EditLine *edit, wchar_t *key) {
  Terminal *terminal;
  mbstate_t state = { 0 };
  char byte;
  el_get(edit, EL_CLIENTDATA, &terminal);
  for (;;) {
    int got = byte_read(terminal, &byte);
    if (got <= 0) {
      if (got < 0) terminal->cancelled = true;
      else terminal->ended = true;
      return 0;
    }
    size_t used = mbrtowc(key, &byte, 1, &state);
    if (used == (size_t)-2) continue;
    if (used == (size_t)-1) *key = L'?', state = (mbstate_t){ 0 };
    return 1;
  }
}

/* What all candidates of the list on top of L begin with. */
static size_t common_size(lua_State *L, lua_Integer count) {
  lua_rawgeti(L, -1, 1);
  const char *first = lua_tostring(L, -1);
  size_t common = first ? strlen(first) : 0;
  for (lua_Integer i = 2; i <= count; i++) {
    lua_rawgeti(L, -2, i);
    const char *other = lua_tostring(L, -1);
    size_t same = 0;
    while (other && same < common && other[same] == first[same]) same++;
    common = same;
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  return common;
}

static void candidates_show(const Terminal *terminal, lua_State *L, lua_Integer count) {
  size_t column = 0;
  text_put(terminal, "\n", 1);
  for (lua_Integer i = 1; i <= count; i++) {
    size_t size;
    lua_rawgeti(L, -1, i);
    const char *name = lua_tolstring(L, -1, &size);
    if (column && column + size + 2 > 78) text_put(terminal, "\n", 1), column = 0;
    text_put(terminal, column ? "  " : "", column ? 2 : 0);
    text_put(terminal, name, name ? size : 0);
    column += size + 2;
    lua_pop(L, 1);
  }
  text_put(terminal, "\n", 1);
}

static const char complete_key;

/* (line) → length, list; the same, protected */
static bool candidates_ask(lua_State *L, const char *line, size_t size) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &complete_key);
  lua_pushlstring(L, line, size);
  if (lua_pcall(L, 1, 2, 0) != LUA_OK) {
    lua_pop(L, 1);
    return false;
  }
  if (lua_isinteger(L, -2) && lua_istable(L, -1)) return true;
  lua_pop(L, 2);
  return false;
}

static unsigned char complete(EditLine *edit, int key) {
  Terminal *terminal;
  const LineInfo *line = el_line(edit);
  (void)key;
  el_get(edit, EL_CLIENTDATA, &terminal);
  lua_State *L = terminal->L;
  if (!L || !lua_checkstack(L, 8) || !candidates_ask(L, line->buffer, (size_t)(line->cursor - line->buffer))) return CC_ERROR;
  lua_Integer count = (lua_Integer)lua_rawlen(L, -1);
  size_t word = (size_t)lua_tointeger(L, -2), common = count ? common_size(L, count) : 0;
  unsigned char answer = CC_ERROR;
  if (common > word) {
    char rest[256];
    lua_rawgeti(L, -1, 1);
    snprintf(rest, sizeof rest, "%.*s", (int)(common - word), lua_tostring(L, -1) + word);
    lua_pop(L, 1);
    answer = el_insertstr(edit, rest) == 0 ? CC_REFRESH : CC_ERROR;
  } else if (count > 1) {
    candidates_show(terminal, L, count);
    answer = CC_REDISPLAY;
  }
  lua_pop(L, 2);
  return answer;
}

/* $XDG_STATE_HOME/lunette/history. False: there is no such place. */
static bool history_path(char *path, size_t room, bool make) {
  const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
  int size = state && *state == '/' ? snprintf(path, room, "%s/lunette", state)
             : home && *home == '/' ? snprintf(path, room, "%s/.local/state/lunette", home) : -1;
  if (size < 0 || (size_t)size + sizeof "/history" > room) return false;
  for (char *slash = path + 1; make && (slash = strchr(slash, '/')); *slash++ = '/') {
    *slash = 0;
    mkdir(path, 0700);
  }
  if (make) mkdir(path, 0700);
  strcat(path, "/history");
  return true;
}

static bool editor_open(Terminal *terminal) {
  HistEvent event;
  char path[4096];
  setlocale(LC_CTYPE, "C.UTF-8");
  terminal->in_file = fdopen(dup(terminal->in), "r");
  terminal->out_file = fdopen(dup(terminal->out), "w");
  if (!terminal->in_file || !terminal->out_file) return false;
  terminal->edit = el_init("lunette", terminal->in_file, terminal->out_file, terminal->out_file);
  terminal->history = history_init();
  if (!terminal->edit || !terminal->history) return false;
  history(terminal->history, &event, H_SETSIZE, HISTORY_LINES);
  history(terminal->history, &event, H_SETUNIQUE, 1);
  if (history_path(path, sizeof path, false)) history(terminal->history, &event, H_LOAD, path);
  el_set(terminal->edit, EL_CLIENTDATA, terminal);
  el_set(terminal->edit, EL_PROMPT, prompt_text);
  el_set(terminal->edit, EL_GETCFN, key_read);
  el_set(terminal->edit, EL_HIST, history, terminal->history);
  el_set(terminal->edit, EL_EDITOR, "emacs");
  /* The narrow one copies the names and never frees them. */
  el_wset(terminal->edit, EL_ADDFN, L"lunette-complete", L"complete", complete);
  el_set(terminal->edit, EL_BIND, "^I", "lunette-complete", NULL);
  el_set(terminal->edit, EL_BIND, "^R", "em-inc-search-prev", NULL);
  return true;
}

static void editor_close(Terminal *terminal) {
  HistEvent event;
  char path[4096];
  if (terminal->history && terminal->edit && history_path(path, sizeof path, true))
    history(terminal->history, &event, H_SAVE, path);
  if (terminal->edit) el_end(terminal->edit);
  if (terminal->history) history_end(terminal->history);
  if (terminal->in_file) fclose(terminal->in_file);
  if (terminal->out_file) fclose(terminal->out_file);
  terminal->edit = NULL;
  terminal->history = NULL;
  terminal->in_file = terminal->out_file = NULL;
}

static bool editor_read(Terminal *terminal, lua_State *L, const char *prompt, size_t *size) {
  int count = 0;
  terminal->prompt = prompt;
  terminal->L = L;
  terminal->cancelled = terminal->ended = false;
  const char *line = el_gets(terminal->edit, &count);
  terminal->L = NULL;
  if (terminal->cancelled || terminal->ended) text_put(terminal, "\n", 1);
  if (terminal->cancelled) {
    el_reset(terminal->edit);
    *size = 0;
    return true;
  }
  if (!line || count <= 0 || terminal->ended) return false;
  *size = (size_t)count < LINE_MOST ? (size_t)count : LINE_MOST;
  if (line[*size - 1] == '\n') --*size;
  memcpy(terminal->line, line, *size);
  return true;
}
#endif

/* ---- opening and closing ---- */
Terminal *terminal_create(lun_store *store) {
  Terminal *terminal = calloc(1, sizeof *terminal);
  if (!terminal) return NULL;
  terminal->store = store;
  terminal->in = 0;
  terminal->out = 2;
  terminal->cancel_fd = terminal->socket = -1;
  return terminal;
}

/* The prompt of `lunette repl` is on stdin, whatever that is; any other on a terminal, so that a guest's input stays its own. */
static lun_status terminal_open(Terminal *terminal, bool is_repl, lun_error *error) {
  if (terminal->is_open) return LUN_OK;
  if (!is_repl && !(isatty(0) && isatty(2))) {
    int fd = open("/dev/tty", O_RDWR | O_CLOEXEC);
    if (fd < 0) return lun_error_set(error, LUN_USAGE, "there is no terminal to ask at: %s", strerror(errno));
    terminal->in = terminal->out = fd;
    terminal->owns = true;
  }
  terminal->is_interactive = isatty(terminal->in) && isatty(terminal->out);
  terminal->line = malloc(LINE_MOST + 1);
  terminal->cancel_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  bool ready = terminal->line && terminal->cancel_fd >= 0;
#ifdef LUNETTE_LIBEDIT
  if (ready && terminal->is_interactive) ready = editor_open(terminal);
#endif
  terminal->is_open = ready;
  return ready ? LUN_OK : lun_error_set(error, LUN_NO_MEMORY, "the prompt cannot be opened: not enough memory or descriptors");
}

void terminal_destroy(Terminal *terminal) {
  if (!terminal) return;
#ifdef LUNETTE_LIBEDIT
  editor_close(terminal);
#endif
  if (terminal->owns) close(terminal->in);
  if (terminal->cancel_fd >= 0) close(terminal->cancel_fd);
  free(terminal->line);
  free(terminal);
}

bool terminal_cancel(Terminal *terminal) {
  uint64_t one = 1;
  if (!terminal || !atomic_load(&terminal->is_reading)) return false;
  return write(terminal->cancel_fd, &one, sizeof one) == sizeof one;
}

/* ---- for lunette connect ---- */
lun_status terminal_open_client(Terminal *terminal, int socket, lun_error *error) {
  terminal->socket = socket;
  return terminal_open(terminal, true, error);
}

static bool line_read(Terminal *terminal, lua_State *L, const char *prompt, size_t *size) {
  bool got;
  atomic_store(&terminal->is_reading, true);
#ifdef LUNETTE_LIBEDIT
  if (terminal->edit) got = editor_read(terminal, L, prompt, size);
  else
#endif
    got = plain_read(terminal, prompt, size);
  atomic_store(&terminal->is_reading, false);
  (void)L;
  return got;
}

const char *terminal_ask(Terminal *terminal, const char *prompt, size_t *size) {
  if (!line_read(terminal, NULL, prompt, size)) return NULL;
#ifdef LUNETTE_LIBEDIT
  HistEvent event;
  terminal->line[*size] = 0;
  if (terminal->history && *size) history(terminal->history, &event, H_ENTER, terminal->line);
#endif
  return terminal->line;
}

void terminal_show(const Terminal *terminal, const char *text, size_t size) { text_put(terminal, text, size); }

bool terminal_is_reading(const Terminal *terminal) { return terminal && atomic_load(&terminal->is_reading); }

/* ---- for Lua ---- */
static Terminal *terminal_of(lua_State *L) { return lua_touserdata(L, lua_upvalueindex(1)); }

static void need_open(lua_State *L) {
  lun_error error = LUN_ERROR_INIT;
  if (terminal_open(terminal_of(L), lua_toboolean(L, lua_upvalueindex(2)), &error) == LUN_OK) return;
  lua_pushstring(L, error.message);
  lun_error_clear(&error);
  lua_error(L);
}

/* (prompt) → line or nil */
static int lua_read(lua_State *L) {
  Terminal *terminal = terminal_of(L);
  const char *prompt = luaL_checkstring(L, 1);
  size_t size = 0;
  need_open(L);
  bool got = line_read(terminal, L, prompt, &size);
  if (got) lua_pushlstring(L, terminal->line, size);
  else lua_pushnil(L);
  return 1;
}

static int lua_write(lua_State *L) {
  size_t size;
  const char *text = luaL_checklstring(L, 1, &size);
  need_open(L);
  text_put(terminal_of(L), text, size);
  return 0;
}

static int lua_remember(lua_State *L) {
  const char *line = luaL_checkstring(L, 1);
#ifdef LUNETTE_LIBEDIT
  const Terminal *terminal = terminal_of(L);
  HistEvent event;
  if (terminal->history) history(terminal->history, &event, H_ENTER, line);
#else
  (void)line;
#endif
  return 0;
}

static int lua_complete(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
#ifdef LUNETTE_LIBEDIT
  lua_settop(L, 1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &complete_key);
#endif
  return 0;
}

void terminal_push(lua_State *L, Terminal *terminal, bool is_repl) {
  static const luaL_Reg functions[] = {
    { "read", lua_read }, { "write", lua_write }, { "remember", lua_remember }, { "complete", lua_complete }, { NULL, NULL },
  };
  lua_createtable(L, 0, 4);
  lua_pushlightuserdata(L, terminal);
  lua_pushboolean(L, is_repl);
  luaL_setfuncs(L, functions, 2);
}
