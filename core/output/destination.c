/* SPDX-License-Identifier: MIT */
/* Where bytes go: a file, a pipe, a terminal, a socket, each written to without waiting for a peer, since the thread
 * that writes also hears signals and deadlines, and serves other outputs.
 *
 * The flags of a descriptor are never changed: O_NONBLOCK belongs to the open file, which the guest, the shell and
 * other processes share. A blocking pipe or terminal is asked by poll(2) whether it takes something, and is then
 * given at most PIPE_BUF bytes, which a pipe that is ready takes at once (pipe(7)). */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "output.h"

static DestinationKind kind_of(const Destination *destination, mode_t mode, int flags) {
  if (S_ISSOCK(mode)) return DESTINATION_SOCKET;
  if (flags & O_NONBLOCK) return DESTINATION_NONBLOCKING;
  return S_ISFIFO(mode) || destination->live ? DESTINATION_BLOCKING : DESTINATION_FILE;
}

static int destination_examine(Destination *destination) {
  struct stat status;
  int flags = fcntl(destination->fd, F_GETFL);
  if (flags < 0 || fstat(destination->fd, &status) < 0) return errno;
  if ((flags & O_ACCMODE) == O_RDONLY) return EBADF;
  destination->device = status.st_dev;
  destination->inode = status.st_ino;
  destination->live = isatty(destination->fd) == 1;
  destination->kind = kind_of(destination, status.st_mode, flags);
  return 0;
}

/* Of stdout and stderr the one that is open on this very file, or -1. A second open file, with a position of its own,
 * would write over what comes through that one; and to cut it to nothing would destroy what is there already. */
static int standard_descriptor_of(const char *path) {
  struct stat wanted, status;
  if (stat(path, &wanted) < 0) return -1;
  for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++) {
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || (flags & O_ACCMODE) == O_RDONLY || fstat(fd, &status) < 0) continue;
    if (status.st_dev == wanted.st_dev && status.st_ino == wanted.st_ino) return fd;
  }
  return -1;
}

int destination_open(Destination *destination, const char *path, int fd) {
  int shared = path ? standard_descriptor_of(path) : fd;
  do {
    destination->fd = path && shared < 0 ? open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0666)
                                         : fcntl(shared, F_DUPFD_CLOEXEC, 0);
  } while (destination->fd < 0 && errno == EINTR);
  if (destination->fd < 0) return errno;
  int failure = destination_examine(destination);
  if (failure) destination_close(destination);
  return failure;
}

int destination_close(Destination *destination) {
  int fd = destination->fd;
  destination->fd = -1;
  /* Linux has closed it also where it says EINTR. */
  return fd < 0 || close(fd) == 0 || errno == EINTR ? 0 : errno;
}

static ssize_t write_once(const Destination *destination, const uint8_t *bytes, size_t size) {
  if (destination->kind == DESTINATION_SOCKET) return send(destination->fd, bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (destination->kind == DESTINATION_BLOCKING) {
    struct pollfd ready = { destination->fd, POLLOUT, 0 };
    if (poll(&ready, 1, 0) == 0) {
      errno = EAGAIN;
      return -1;
    }
    if (size > PIPE_BUF) size = PIPE_BUF;
  }
  return write(destination->fd, bytes, size);
}

size_t destination_write(Destination *destination, const uint8_t *bytes, size_t size, int *failure) {
  ssize_t count;
  do count = write_once(destination, bytes, size);
  while (count < 0 && errno == EINTR);
  if (count > 0) return (size_t)count;
  /* A device that takes nothing and gives no reason must not be asked for ever. */
  *failure = count == 0 ? EIO : errno == EWOULDBLOCK ? EAGAIN : errno;
  return 0;
}
