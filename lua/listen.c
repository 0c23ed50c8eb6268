/* SPDX-License-Identifier: MIT */
/* The socket between run --listen and lunette connect: a unix socket that only its owner may open. What is said on it stands in
 * connect.c. */
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

/* ---- lunette connect's ---- */
int socket_connect(const char *path, lun_error *error) {
  struct sockaddr_un address;
  if (address_of(path, &address, error) != LUN_OK) return -1;
  int fd = reach(&address);
  if (fd >= 0) return fd;
  struct stat facts;
  int failure = errno;
  bool is_other = failure == ECONNREFUSED && stat(path, &facts) == 0 && !S_ISSOCK(facts.st_mode);
  (void)lun_error_set(error, LUN_NO_INPUT, "cannot connect to %s: %s", path,
                      is_other ? "it is no socket" : failure == ECONNREFUSED ? "nobody listens there" : strerror(failure));
  return -1;
}
