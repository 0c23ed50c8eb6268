/* SPDX-License-Identifier: MIT */
/* lunette connect: the other end of the socket that run --listen serves (lua/lunette/repl/server.lua). A terminal here, the
 * prompt there.
 *
 * From there comes text, and marks: a NUL and a letter. p: a line is wanted; c: one more of the same chunk; t: the candidates
 * that were asked for, up to a newline: the length of the word, and the names, a tab before each. To there go lines; what begins
 * with a control character is for the prompt itself: \1 and the line up to the cursor asks for candidates, \3 is Ctrl-C. */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "terminal.h"

enum { CANDIDATES_MS = 2000, ANSWER_MOST = 64 * 1024 };

typedef struct Client {
  Terminal *terminal;
  int fd;
  enum { IN_TEXT, IN_MARK, IN_ANSWER } state;
  char asked;               /* the last p or c that nobody has answered yet, or 0 */
  bool answered;            /* an answer of candidates is whole */
  size_t answer_size;
  char answer[ANSWER_MOST];
} Client;

/* ---- what comes ---- */
static void take_mark(Client *client, char mark) {
  client->state = mark == 't' ? IN_ANSWER : IN_TEXT;
  if (mark == 't') client->answer_size = 0;
  else client->asked = mark;
}

static void take_bytes(Client *client, const char *bytes, size_t size) {
  for (size_t at = 0; at < size;) {
    size_t rest = size - at;
    if (client->state == IN_MARK) {
      take_mark(client, bytes[at++]);
    } else if (client->state == IN_ANSWER) {
      char byte = bytes[at++];
      if (byte == '\n') client->answered = true, client->state = IN_TEXT;
      else if (client->answer_size < ANSWER_MOST - 2) client->answer[client->answer_size++] = byte == '\t' ? '\n' : byte;
    } else {
      size_t text = strnlen(bytes + at, rest);
      if (text) terminal_yield(client->terminal);
      terminal_put(client->terminal, bytes + at, text);
      at += text;
      if (text < rest) at++, client->state = IN_MARK;
    }
  }
}

/* False: there is nobody any more. */
static bool receive(Client *client) {
  char bytes[4096];
  ssize_t count = recv(client->fd, bytes, sizeof bytes, MSG_DONTWAIT);
  if (count < 0 && (errno == EINTR || errno == EAGAIN)) return true;
  if (count <= 0) return false;
  take_bytes(client, bytes, (size_t)count);
  return true;
}

static bool arrived(void *self) { return receive(self); }

/* ---- what goes ---- */
static bool send_all(int fd, const char *bytes, size_t size) {
  while (size) {
    ssize_t count = send(fd, bytes, size, MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    bytes += count;
    size -= (size_t)count;
  }
  return true;
}

/* Control characters at a line's beginning are ours. */
static bool send_line(const Client *client, const char *line, size_t size) {
  while (size && (unsigned char)*line < ' ' && *line != '\t') line++, size--;
  return send_all(client->fd, line, size) && send_all(client->fd, "\n", 1);
}

static const char *candidates(void *self, const char *line, size_t size, size_t *word) {
  Client *client = self;
  struct pollfd ready = { client->fd, POLLIN, 0 };
  char *names;
  client->answered = false;
  if (memchr(line, '\n', size) || !send_all(client->fd, "\1", 1) || !send_all(client->fd, line, size) ||
      !send_all(client->fd, "\n", 1))
    return NULL;
  while (!client->answered)
    if (poll(&ready, 1, CANDIDATES_MS) <= 0 || !receive(client)) return NULL;
  client->answer[client->answer_size] = '\n';
  client->answer[client->answer_size + 1] = 0;
  *word = strtoul(client->answer, &names, 10);
  return names[0] && names[1] ? names + 1 : NULL;
}

/* ---- the dialogue ---- */
/* Shows what comes until a line is wanted. 0: so it is; -1: there is nobody any more; else the signal that came. */
static int await_asked(Client *client) {
  struct pollfd fds[2] = { { client->fd, POLLIN, 0 }, { client->terminal->cancel_fd, POLLIN, 0 } };
  while (!client->asked) {
    struct signalfd_siginfo what;
    if (poll(fds, 2, -1) < 0 && errno != EINTR) return -1;
    if (fds[1].revents && read(fds[1].fd, &what, sizeof what) == sizeof what) return (int)what.ssi_signo;
    if (fds[0].revents && !receive(client)) return -1;
  }
  return 0;
}

/* The exit status. Ctrl-C gives up what has been typed; where that is nothing it is for the other side, and while nothing is
 * asked it leaves. */
static int converse(Client *client) {
  for (;;) {
    size_t size;
    int number = await_asked(client);
    if (number) return number < 0 ? 0 : 128 + number;
    Reading got = terminal_ask(client->terminal, client->asked == 'p' ? "lunette> " : "... ", &size);
    if (got == READ_END) return 0;
    if (got == READ_CANCELLED && size && client->asked == 'p') continue;
    client->asked = 0;
    if (!(got == READ_LINE ? send_line(client, client->terminal->line, size) : send_all(client->fd, "\3\n", 2))) return 0;
  }
}

int connect_command(const char *path) {
  lun_error error = LUN_ERROR_INIT;
  lun_store *store = NULL;
  sigset_t signals;
  int exit_status = 0;
  Client *client = calloc(1, sizeof *client);
  if (!client) return report_error(&error, NULL);
  client->fd = socket_connect(path, &error);
  lun_status status = client->fd < 0 ? error.kind : lun_store_create(NULL, &store, &error);
  if (status == LUN_OK) {
    client->terminal = terminal_create(store);
    if (!client->terminal) status = lun_error_set(&error, LUN_NO_MEMORY, "out of memory");
  }
  if (status == LUN_OK) {
    client->terminal->source = (Source){ client->fd, arrived, client };
    client->terminal->candidates = candidates;
    client->terminal->candidates_self = client;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    client->terminal->cancel_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    status = terminal_open(client->terminal, true, &error);
  }
  if (status == LUN_OK) exit_status = converse(client);
  else exit_status = report_error(&error, NULL);
  lun_error_clear(&error);
  terminal_destroy(client->terminal);
  lun_store_destroy(store);
  if (client->fd >= 0) close(client->fd);
  free(client);
  return exit_status;
}
