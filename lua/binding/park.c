/* SPDX-License-Identifier: MIT */
/* Standing still in a callback while the script loop goes on: session:park() waits until session:unpark() is called from a
 * callback of the loop. */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "objects.h"

static int park_fd(lua_State *L, Session *session) {
  if (session->park_fd > 0) return session->park_fd - 1;
  int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (fd < 0) luaL_error(L, "cannot wait: %s", strerror(errno));
  session->park_fd = fd + 1;
  return fd;
}

/* -> true, or false where the run is to end */
int session_park(lua_State *L) {
  Session *session = session_check(L, 1);
  lun_error error = LUN_ERROR_INIT;
  struct pollfd fds = { park_fd(L, session), POLLIN, 0 };
  uint64_t count;
  lun_status status = lun_store_wait(session->store, &fds, 1, -1, &error);
  lun_error_clear(&error);
  if (status == LUN_OK && read(fds.fd, &count, sizeof count) < 0) { /* nobody has called yet: the caller looks again */ }
  lua_pushboolean(L, status == LUN_OK);
  return 1;
}

int session_unpark(lua_State *L) {
  Session *session = session_check(L, 1);
  uint64_t one = 1;
  if (write(park_fd(L, session), &one, sizeof one) < 0) { /* full: it is awake anyway */ }
  return 0;
}

void park_close(Session *session) {
  if (session->park_fd > 0) close(session->park_fd - 1);
  session->park_fd = 0;
}
