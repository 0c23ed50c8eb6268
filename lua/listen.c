/* SPDX-License-Identifier: MIT */
/* The socket between run --listen and lunette connect: a unix socket that only its owner may open.
 *
 * The server (lua/lunette/repl/server.lua) sends text, and a NUL and a letter where it waits for a line: p with the prompt, c
 * where a chunk goes on. The client sends lines. */
#define _GNU_SOURCE /* SOCK_CLOEXEC */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "command.h"

static lun_status address_of(const char *path, struct sockaddr_un *address, lun_error *error) {
  size_t size = strlen(path);
  if (size == 0 || size >= sizeof address->sun_path)
    return lun_error_set(error, LUN_USAGE, "a socket's path has 1 to %zu bytes: %s", sizeof address->sun_path - 1, path);
  *address = (struct sockaddr_un){ .sun_family = AF_UNIX };
  memcpy(address->sun_path, path, size);
  return LUN_OK;
}

static int reach(const struct sockaddr_un *address) {
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || connect(fd, (const struct sockaddr *)address, sizeof *address) == 0) return fd;
  int failure = errno;
  close(fd);
  errno = failure;
  return -1;
}

/* What a run that was killed has left behind is taken away; anything else is left alone. */
static lun_status clear_path(const char *path, const struct sockaddr_un *address, lun_error *error) {
  struct stat facts;
  if (lstat(path, &facts) < 0) return LUN_OK;
  if (!S_ISSOCK(facts.st_mode)) return lun_error_set(error, LUN_OUTPUT, "cannot listen at %s: it is there already", path);
  int fd = reach(address);
  if (fd >= 0) close(fd);
  if (fd >= 0 || errno != ECONNREFUSED)
    return lun_error_set(error, LUN_OUTPUT, "cannot listen at %s: somebody does already", path);
  unlink(path);
  return LUN_OK;
}

int socket_listen(const char *path, lun_error *error) {
  struct sockaddr_un address;
  if (address_of(path, &address, error) != LUN_OK || clear_path(path, &address, error) != LUN_OK) return -1;
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  mode_t mask = umask(0177);
  bool bound = fd >= 0 && bind(fd, (const struct sockaddr *)&address, sizeof address) == 0;
  umask(mask);
  if (bound && listen(fd, 16) == 0) return fd;
  (void)lun_error_set(error, LUN_OUTPUT, "cannot listen at %s: %s", path, strerror(errno));
  if (bound) unlink(path);
  if (fd >= 0) close(fd);
  return -1;
}

/* ---- the client ---- */
static bool send_line(int fd, const char *line, size_t size) {
  char end = '\n';
  while (size) {
    ssize_t count = send(fd, line, size, MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    line += count;
    size -= (size_t)count;
  }
  return send(fd, &end, 1, MSG_NOSIGNAL) == 1;
}

/* Shows what comes until a line is asked for: the letter, or 0 at the end. */
static char show_until_asked(int fd, Terminal *terminal) {
  char bytes[4096];
  for (bool letter = false;;) {
    ssize_t count = recv(fd, bytes, letter ? 1 : sizeof bytes, MSG_PEEK);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return 0;
    if (letter) return recv(fd, bytes, 1, 0) == 1 ? bytes[0] : 0;
    size_t text = strnlen(bytes, (size_t)count);
    letter = text < (size_t)count;
    terminal_show(terminal, bytes, text);
    if (recv(fd, bytes, text + letter, 0) != (ssize_t)(text + letter)) return 0;
  }
}

int connect_command(const char *path) {
  struct sockaddr_un address;
  lun_error error = LUN_ERROR_INIT;
  lun_store *store = NULL;
  Terminal *terminal = NULL;
  int fd = -1;
  lun_status status = address_of(path, &address, &error);
  if (status == LUN_OK && (fd = reach(&address)) < 0)
    status = lun_error_set(&error, LUN_NO_INPUT, "cannot connect to %s: %s", path, strerror(errno));
  if (status == LUN_OK) status = lun_store_create(NULL, &store, &error);
  if (status == LUN_OK) {
    terminal = terminal_create(store);
    status = terminal ? terminal_open_client(terminal, fd, &error) : lun_error_set(&error, LUN_NO_MEMORY, "out of memory");
  }
  for (char letter; status == LUN_OK && (letter = show_until_asked(fd, terminal));) {
    size_t size;
    const char *line = terminal_ask(terminal, letter == 'p' ? "lunette> " : "... ", &size);
    if (!line || !send_line(fd, line, size)) break;
  }
  int exit_status = status == LUN_OK ? 0 : report_error(&error, NULL);
  lun_error_clear(&error);
  terminal_destroy(terminal);
  lun_store_destroy(store);
  if (fd >= 0) close(fd);
  return exit_status;
}
