/* SPDX-License-Identifier: MIT */
/* Reading and writing: fd_read, fd_pread, fd_write, fd_pwrite, and the attempts that never block, which sockets use too.
 *
 * What may block is tried first and waited for in lun_store_wait after that. Descriptors of our own have O_NONBLOCK set in the
 * host, whatever the guest asked for; those of the caller (stdio) must not be changed, so that others who share the open file
 * keep theirs: there RWF_NOWAIT says that one call shall not wait; where the kernel does not know that, poll says when to read,
 * and a write is made in pieces that poll has promised. */
#include "wasi.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <sys/socket.h>

static bool ready_now(int host, short events) {
  struct pollfd now = { .fd = host, .events = events };
  int result;
  while ((result = poll(&now, 1, 0)) < 0 && errno == EINTR) continue;
  return result > 0;
}

static bool is_socket(const Descriptor *descriptor) {
  return descriptor->type == FILETYPE_SOCKET_STREAM || descriptor->type == FILETYPE_SOCKET_DGRAM;
}

/* After a failure: was it because RWF_NOWAIT does not work here? It is not tried again then. */
static bool lacks_nowait(Descriptor *descriptor) {
  if (errno != EOPNOTSUPP && errno != ENOSYS && errno != EINVAL && errno != ESPIPE) return false;
  descriptor->no_nowait = true;
  return true;
}

ssize_t descriptor_read(Descriptor *descriptor, const Vectors *vectors) {
  if (is_socket(descriptor)) {
    struct msghdr message = { .msg_iov = (struct iovec *)(uintptr_t)vectors->items, .msg_iovlen = (size_t)vectors->count };
    return recvmsg(descriptor->host, &message, MSG_DONTWAIT);
  }
  if (descriptor->blocks && descriptor->stdio >= 0 && !descriptor->no_nowait) {
    ssize_t n = preadv2(descriptor->host, vectors->items, vectors->count, -1, RWF_NOWAIT);
    if (n >= 0 || !lacks_nowait(descriptor)) return n;
  }
  /* Of our own only pipes: before a writer has come, the host would say that one has gone. */
  bool asks = descriptor->blocks && (descriptor->stdio >= 0 || !(descriptor->flags & FDFLAG_NONBLOCK));
  if (asks && !ready_now(descriptor->host, POLLIN)) {
    errno = EAGAIN;
    return -1;
  }
  return readv(descriptor->host, vectors->items, vectors->count);
}

/* A pipe or terminal that belongs to the caller. */
static ssize_t shared_write(Descriptor *descriptor, const Vectors *vectors) {
  if (!descriptor->no_nowait) {
    ssize_t n = pwritev2(descriptor->host, vectors->items, vectors->count, -1, RWF_NOWAIT);
    if (n >= 0 || !lacks_nowait(descriptor)) return n;
  }
  if (!ready_now(descriptor->host, POLLOUT)) {
    errno = EAGAIN;
    return -1;
  }
  /* A ready pipe has room for this much. */
  struct iovec piece = vectors->items[0];
  if (piece.iov_len > PIPE_BUF) piece.iov_len = PIPE_BUF;
  return writev(descriptor->host, &piece, 1);
}

ssize_t descriptor_write(Descriptor *descriptor, const Vectors *vectors) {
  if (is_socket(descriptor)) {
    struct msghdr message = { .msg_iov = (struct iovec *)(uintptr_t)vectors->items, .msg_iovlen = (size_t)vectors->count };
    return sendmsg(descriptor->host, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
  }
  if (descriptor->blocks && descriptor->stdio >= 0) return shared_write(descriptor, vectors);
  /* The guest asked to append after the caller had opened it without. */
  if (descriptor->stdio >= 0 && (descriptor->flags & FDFLAG_APPEND))
    return pwritev2(descriptor->host, vectors->items, vectors->count, -1, RWF_APPEND);
  return writev(descriptor->host, vectors->items, vectors->count);
}

Errno call_again(Call *call, const Descriptor *descriptor, short events) {
  if (errno == EINTR) return call_check(call);
  if (errno != EAGAIN || (descriptor->flags & FDFLAG_NONBLOCK)) return errno_now();
  return call_wait(call, descriptor->host, events);
}

/* The rights; and the errors that a POSIX program expects of folders, pipes and the like rather than ENOTCAPABLE. */
static Errno stream_descriptor(Call *call, uint64_t fd, uint64_t rights, Descriptor **out) {
  Errno failure = call_descriptor(call, fd, rights, out);
  if (failure != WASI_ENOTCAPABLE) return failure;
  if ((*out)->type == FILETYPE_DIRECTORY) return WASI_EISDIR;
  if ((rights & RIGHT_FD_SEEK) && !(*out)->seekable) return WASI_ESPIPE;
  return failure;
}

Errno call_fd_read(Call *call, const uint64_t *params) {
  Vectors vectors;
  for (;;) {
    Descriptor *descriptor;
    Errno failure = stream_descriptor(call, params[0], RIGHT_FD_READ, &descriptor);
    if (!failure) failure = guest_vectors(call, params[1], params[2], true, 0, &vectors);
    if (!failure && !guest_holds(call, params[3], 4)) failure = WASI_EFAULT;
    if (failure) return failure;
    ssize_t n = vectors.total ? descriptor_read(descriptor, &vectors) : 0;
    if (n >= 0) return guest_put_u32(call, params[3], (uint32_t)n);
    failure = call_again(call, descriptor, POLLIN);
    if (failure) return failure;
  }
}

Errno call_fd_write(Call *call, const uint64_t *params) {
  Vectors vectors;
  uint64_t done = 0;
  for (;;) {
    Descriptor *descriptor;
    Errno failure = stream_descriptor(call, params[0], RIGHT_FD_WRITE, &descriptor);
    if (!failure) failure = guest_vectors(call, params[1], params[2], false, done, &vectors);
    if (!failure && !guest_holds(call, params[3], 4)) failure = WASI_EFAULT;
    if (failure) return failure;
    if (descriptor->stdio > 0 && done == 0 && call->wasi->before_write)
      call->wasi->before_write(call->wasi->self, descriptor->stdio);
    ssize_t n = done < vectors.total ? descriptor_write(descriptor, &vectors) : 0;
    if (n > 0) done += (uint64_t)n;
    if (n >= 0 && (n == 0 || done >= vectors.total)) return guest_put_u32(call, params[3], (uint32_t)done);
    if (n > 0) continue;
    failure = call_again(call, descriptor, POLLOUT);
    if (call->ended != LUN_OK) return failure;
    if (failure) return done ? guest_put_u32(call, params[3], (uint32_t)done) : failure;
  }
}

/* What both positioned calls check. */
static Errno positioned(Call *call, const uint64_t *params, uint64_t right, bool to_fill, uint64_t skip,
                        Descriptor **descriptor, Vectors *vectors) {
  Errno failure = stream_descriptor(call, params[0], right | RIGHT_FD_SEEK, descriptor);
  if (!failure) failure = guest_vectors(call, params[1], params[2], to_fill, skip, vectors);
  if (!failure && !guest_holds(call, params[4], 4)) failure = WASI_EFAULT;
  if (!failure && params[3] > INT64_MAX) failure = WASI_EINVAL;
  return failure;
}

Errno call_fd_pread(Call *call, const uint64_t *params) {
  Descriptor *descriptor;
  Vectors vectors;
  Errno failure = positioned(call, params, RIGHT_FD_READ, true, 0, &descriptor, &vectors);
  if (failure) return failure;
  ssize_t n;
  while ((n = preadv(descriptor->host, vectors.items, vectors.count, (off_t)params[3])) < 0 && errno == EINTR) {
    failure = call_check(call);
    if (!failure) failure = positioned(call, params, RIGHT_FD_READ, true, 0, &descriptor, &vectors);
    if (failure) return failure;
  }
  return n < 0 ? errno_now() : guest_put_u32(call, params[4], (uint32_t)n);
}

Errno call_fd_pwrite(Call *call, const uint64_t *params) {
  Vectors vectors;
  uint64_t done = 0;
  for (;;) {
    Descriptor *descriptor;
    Errno failure = positioned(call, params, RIGHT_FD_WRITE, false, done, &descriptor, &vectors);
    if (failure) return failure;
    if (descriptor->stdio > 0 && done == 0 && call->wasi->before_write)
      call->wasi->before_write(call->wasi->self, descriptor->stdio);
    uint64_t position = params[3] + done;
    ssize_t n = 0;
    if (done < vectors.total) n = pwritev(descriptor->host, vectors.items, vectors.count, (off_t)position);
    if (n > 0) done += (uint64_t)n;
    if (n >= 0 && (n == 0 || done >= vectors.total)) return guest_put_u32(call, params[4], (uint32_t)done);
    if (n > 0) continue;
    failure = errno == EINTR ? call_check(call) : errno_now();
    if (call->ended != LUN_OK) return failure;
    if (failure) return done ? guest_put_u32(call, params[4], (uint32_t)done) : failure;
  }
}
