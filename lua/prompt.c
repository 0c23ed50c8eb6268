/* SPDX-License-Identifier: MIT */
/* The terminal of the prompt: lines from a person, by an editor (editor.c) where there is one, or from a pipe, a byte at a
 * time, so that the guest finds what stands behind them. While it waits for a key the store waits, and with it the scripts'
 * timers; what they write finds the line that is being typed out of its way, by terminal_yield.
 *
 * What Lua is given is a table: read(prompt) → line, false where Ctrl-C gave it up, or nil at the end; write(text);
 * remember(line); interactive(); columns(); complete(function), which is asked with the line up to the cursor and answers the word's length
 * and what it could be, a line each. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <lauxlib.h>

#include "terminal.h"

/* ---- what happens while a line is typed ----
 * The handlers are in place only as long; what they know must stand outside of everything. */
static _Atomic int handler_fd = -1;
static atomic_bool stop_asked;

static void on_change_signal(int number) {
  int failure = errno;
  uint64_t one = 1;
  if (number == SIGTSTP) atomic_store(&stop_asked, true);
  if (write(atomic_load(&handler_fd), &one, sizeof one) < 0) { /* full: it is awake anyway */ }
  errno = failure;
}

typedef struct Handlers {
  struct sigaction stop, window;
} Handlers;

static void handlers_set(const Terminal *terminal, Handlers *former) {
  struct sigaction action = { .sa_handler = on_change_signal, .sa_flags = SA_RESTART };
  sigemptyset(&action.sa_mask);
  atomic_store(&handler_fd, terminal->change_fd);
  sigaction(SIGWINCH, &action, &former->window);
  sigaction(SIGTSTP, &action, &former->stop);
  if (former->stop.sa_handler == SIG_IGN) sigaction(SIGTSTP, &former->stop, NULL);
}

static void handlers_unset(const Handlers *former) {
  sigaction(SIGWINCH, &former->window, NULL);
  sigaction(SIGTSTP, &former->stop, NULL);
}

/* Ctrl-Z: what the signal does without a handler, with the terminal as others expect it. */
static void stop_here(Terminal *terminal) {
  struct sigaction plain = { .sa_handler = SIG_DFL }, ours;
  sigemptyset(&plain.sa_mask);
  editor_suspend(terminal);
  sigaction(SIGTSTP, &plain, &ours);
  raise(SIGTSTP);
  sigaction(SIGTSTP, &ours, NULL);
  editor_resume(terminal);
}

void terminal_yield(Terminal *terminal) {
  uint64_t one = 1;
  if (!terminal || !terminal->is_interactive || !atomic_load(&terminal->is_reading) || terminal->is_aside) return;
  editor_hide(terminal);
  terminal->is_aside = true;
  if (write(terminal->change_fd, &one, sizeof one) < 0) { /* full: it is awake anyway */ }
}

static void take_changes(Terminal *terminal) {
  uint64_t count;
  if (read(terminal->change_fd, &count, sizeof count) < 0) return;
  if (atomic_exchange(&stop_asked, false)) stop_here(terminal);
  if (terminal->is_aside && terminal->flush) terminal->flush(terminal->flush_self);
  if (!terminal->is_aside) editor_hide(terminal);
  terminal->is_aside = false;
  editor_show(terminal);
}

/* ---- bytes ---- */
void terminal_put(const Terminal *terminal, const char *text, size_t size) {
  while (size) {
    ssize_t count = write(terminal->out, text, size);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return;
    text += count;
    size -= (size_t)count;
  }
}

static bool is_cancelled(const Terminal *terminal) {
  char what[sizeof(struct signalfd_siginfo)];
  return read(terminal->cancel_fd, what, sizeof what) > 0;
}

Reading terminal_byte(Terminal *terminal, char *byte) {
  for (;;) {
    struct pollfd fds[4] = { { terminal->in, POLLIN, 0 }, { terminal->cancel_fd, POLLIN, 0 }, { terminal->change_fd, POLLIN, 0 },
                             { terminal->source.fd, POLLIN, 0 } };
    lun_error error = LUN_ERROR_INIT;
    lun_status status = lun_store_wait(terminal->store, fds, terminal->source.fd < 0 ? 3 : 4, -1, &error);
    lun_error_clear(&error);
    if (status != LUN_OK) return READ_END; /* the run is to end: nothing more is asked */
    if (fds[1].revents && is_cancelled(terminal)) return READ_CANCELLED;
    if (fds[3].revents && !terminal->source.arrived(terminal->source.self)) {
      terminal_yield(terminal); /* what was being typed is for nobody */
      return READ_END;
    }
    if (fds[2].revents || terminal->is_aside) take_changes(terminal); /* before a key changes the line */
    if (!fds[0].revents) continue;
    ssize_t got = read(terminal->in, byte, 1);
    if (got == 1) return READ_LINE;
    if (got == 0 || (errno != EINTR && errno != EAGAIN)) return READ_END;
  }
}

/* ---- lines ---- */
static Reading plain_read(Terminal *terminal, const char *prompt, size_t *size) {
  if (terminal->is_interactive) terminal_put(terminal, prompt, strlen(prompt));
  *size = 0;
  for (char byte;;) {
    Reading got = terminal_byte(terminal, &byte);
    if (got == READ_CANCELLED) terminal_put(terminal, "\n", 1);
    if (got == READ_END && *size > 0) return READ_LINE;
    if (got != READ_LINE || byte == '\n') return got;
    if (*size + 1 < LINE_MOST) terminal->line[(*size)++] = byte;
  }
}

static Reading line_read(Terminal *terminal, const char *prompt, size_t *size) {
  Handlers former;
  if (terminal->is_interactive) handlers_set(terminal, &former);
  atomic_store(&terminal->is_reading, true);
  Reading got = terminal->editor ? editor_read(terminal, prompt, size) : plain_read(terminal, prompt, size);
  atomic_store(&terminal->is_reading, false);
  terminal->is_aside = false;
  if (terminal->is_interactive) handlers_unset(&former);
  return got;
}

/* ---- opening and closing ---- */
Terminal *terminal_create(lun_store *store) {
  Terminal *terminal = calloc(1, sizeof *terminal);
  if (!terminal) return NULL;
  terminal->store = store;
  terminal->in = 0;
  terminal->out = 2;
  terminal->cancel_fd = terminal->change_fd = terminal->source.fd = -1;
  return terminal;
}

void terminal_on_flush(Terminal *terminal, void (*flush)(void *self), void *self) {
  terminal->flush = flush;
  terminal->flush_self = self;
}

lun_status terminal_open(Terminal *terminal, bool on_stdin, lun_error *error) {
  if (terminal->is_open) return LUN_OK;
  if (!on_stdin && !(isatty(0) && isatty(2))) {
    int fd = open("/dev/tty", O_RDWR | O_CLOEXEC);
    if (fd < 0) return lun_error_set(error, LUN_USAGE, "there is no terminal to ask at: %s", strerror(errno));
    terminal->in = terminal->out = fd;
    terminal->owns = true;
  }
  terminal->is_interactive = isatty(terminal->in) && isatty(terminal->out);
  terminal->line = malloc(LINE_MOST + 1);
  terminal->change_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (terminal->cancel_fd < 0) terminal->cancel_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  bool ready = terminal->line && terminal->cancel_fd >= 0 && terminal->change_fd >= 0;
  if (ready && terminal->is_interactive) ready = editor_open(terminal);
  terminal->is_open = ready;
  return ready ? LUN_OK : lun_error_set(error, LUN_NO_MEMORY, "the prompt cannot be opened: not enough memory or descriptors");
}

void terminal_destroy(Terminal *terminal) {
  if (!terminal) return;
  editor_close(terminal);
  if (terminal->owns) close(terminal->in);
  if (terminal->cancel_fd >= 0) close(terminal->cancel_fd);
  if (terminal->change_fd >= 0) close(terminal->change_fd);
  free(terminal->line);
  free(terminal);
}

bool terminal_cancel(Terminal *terminal) {
  uint64_t one = 1;
  if (!terminal || !atomic_load(&terminal->is_reading)) return false;
  return write(terminal->cancel_fd, &one, sizeof one) == sizeof one;
}

Reading terminal_ask(Terminal *terminal, const char *prompt, size_t *size) {
  Reading got = line_read(terminal, prompt, size);
  if (got != READ_LINE) return got;
  terminal->line[*size] = 0;
  if (*size) editor_remember(terminal, terminal->line);
  return got;
}

bool terminal_is_reading(const Terminal *terminal) { return terminal && atomic_load(&terminal->is_reading); }

/* ---- for Lua ---- */
static Terminal *terminal_of(lua_State *L) { return lua_touserdata(L, lua_upvalueindex(1)); }

static const char complete_key;

static void need_open(lua_State *L) {
  lun_error error = LUN_ERROR_INIT;
  if (terminal_open(terminal_of(L), lua_toboolean(L, lua_upvalueindex(2)), &error) == LUN_OK) return;
  lua_pushstring(L, error.message);
  lun_error_clear(&error);
  lua_error(L);
}

/* What the function of complete() answers. The names stay on the stack of L until reading is over. */
static const char *candidates(void *self, const char *line, size_t size, size_t *word) {
  lua_State *L = self;
  if (!lua_checkstack(L, 4)) return NULL;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &complete_key);
  lua_pushlstring(L, line, size);
  if (lua_pcall(L, 1, 2, 0) != LUA_OK) {
    lua_pop(L, 1);
    return NULL;
  }
  lua_replace(L, 2); /* of lua_read's */
  *word = (size_t)lua_tointeger(L, -1);
  lua_pop(L, 1);
  return lua_tostring(L, 2);
}

/* (prompt) → line, false or nil */
static int lua_read(lua_State *L) {
  Terminal *terminal = terminal_of(L);
  const char *prompt = luaL_checkstring(L, 1);
  size_t size = 0;
  need_open(L);
  lua_settop(L, 2);
  terminal->candidates = candidates;
  terminal->candidates_self = L;
  Reading got = line_read(terminal, prompt, &size);
  terminal->candidates = NULL;
  if (got == READ_LINE) lua_pushlstring(L, terminal->line, size);
  else if (got == READ_CANCELLED) lua_pushboolean(L, false);
  else lua_pushnil(L);
  return 1;
}

static int lua_write(lua_State *L) {
  size_t size;
  const char *text = luaL_checklstring(L, 1, &size);
  need_open(L);
  terminal_yield(terminal_of(L));
  terminal_put(terminal_of(L), text, size);
  return 0;
}

static int lua_remember(lua_State *L) {
  editor_remember(terminal_of(L), luaL_checkstring(L, 1));
  return 0;
}

static int lua_interactive(lua_State *L) {
  need_open(L);
  lua_pushboolean(L, terminal_of(L)->is_interactive);
  return 1;
}

static int lua_columns(lua_State *L) {
  struct winsize window;
  need_open(L);
  bool known = ioctl(terminal_of(L)->out, TIOCGWINSZ, &window) == 0 && window.ws_col > 0;
  lua_pushinteger(L, known ? window.ws_col : 80);
  return 1;
}

static int lua_complete(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_settop(L, 1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &complete_key);
  return 0;
}

void terminal_push(lua_State *L, Terminal *terminal, bool on_stdin) {
  static const luaL_Reg functions[] = {
    { "read", lua_read }, { "write", lua_write }, { "remember", lua_remember }, { "interactive", lua_interactive },
    { "columns", lua_columns }, { "complete", lua_complete }, { NULL, NULL },
  };
  lua_createtable(L, 0, 6);
  lua_pushlightuserdata(L, terminal);
  lua_pushboolean(L, on_stdin);
  luaL_setfuncs(L, functions, 2);
}
