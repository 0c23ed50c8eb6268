/* SPDX-License-Identifier: MIT */
/* Sockets that were handed in or accepted: sock_accept, sock_recv, sock_send, sock_shutdown. */
#include "wasi.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { RECV_PEEK = 1, RECV_WAITALL = 2 };
enum { RECV_DATA_TRUNCATED = 1 };
enum { SHUTDOWN_READ = 1, SHUTDOWN_WRITE = 2 };

/* What is no socket says so before anything about rights. The caller's stdio is none here, even where it is one in the host:
 * a guest must not shut down what others share. */
static Errno socket_descriptor(Call *call, uint64_t fd, uint64_t rights, Descriptor **out) {
  Errno failure = call_descriptor(call, fd, rights, out);
  if (!*out) return failure;
  bool is_socket = (*out)->type == FILETYPE_SOCKET_STREAM || (*out)->type == FILETYPE_SOCKET_DGRAM;
  if (!is_socket || (*out)->stdio >= 0) return WASI_ENOTSOCK;
  return failure;
}

Errno call_sock_accept(Call *call, const uint64_t *params) {
  uint32_t flags = (uint32_t)params[1], fd;
  for (;;) {
    Descriptor *descriptor;
    Errno failure = socket_descriptor(call, params[0], RIGHT_SOCK_ACCEPT, &descriptor);
    if (!failure && (flags & ~(uint32_t)FDFLAG_NONBLOCK)) failure = WASI_EINVAL;
    if (!failure && !guest_holds(call, params[2], 4)) failure = WASI_EFAULT;
    if (failure) return failure;
    int host = accept4(descriptor->host, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (host >= 0) {
      Descriptor accepted = { .stdio = -1, .flags = (uint16_t)flags };
      if (descriptor_describe(&accepted, host) && table_add(&call->wasi->table, &accepted, &fd))
        return guest_put_u32(call, params[2], fd);
      close(host);
      return WASI_ENOMEM;
    }
    if (errno == ECONNABORTED) continue;
    failure = call_again(call, descriptor, POLLIN);
    if (failure) return failure;
  }
}

/* Receives once. -1 and errno. */
static ssize_t receive(const Descriptor *descriptor, Vectors *vectors, bool peek, bool *truncated) {
  struct msghdr message = { .msg_iov = vectors->items, .msg_iovlen = (size_t)vectors->count };
  ssize_t n = recvmsg(descriptor->host, &message, MSG_DONTWAIT | (peek ? MSG_PEEK : 0));
  *truncated = n >= 0 && (message.msg_flags & MSG_TRUNC);
  return n;
}

Errno call_sock_recv(Call *call, const uint64_t *params) {
  Vectors vectors;
  uint64_t done = 0;
  uint32_t flags = (uint32_t)params[3];
  bool truncated = false;
  for (;;) {
    Descriptor *descriptor;
    Errno failure = socket_descriptor(call, params[0], RIGHT_FD_READ, &descriptor);
    if (!failure && (flags & ~(uint32_t)(RECV_PEEK | RECV_WAITALL))) failure = WASI_EINVAL;
    if (!failure) failure = guest_vectors(call, params[1], params[2], true, done, &vectors);
    if (!failure && (!guest_holds(call, params[4], 4) || !guest_holds(call, params[5], 2))) failure = WASI_EFAULT;
    if (failure) return failure;
    /* Peeking twice would see the same bytes again. */
    bool all = (flags & RECV_WAITALL) && !(flags & RECV_PEEK) && descriptor->type == FILETYPE_SOCKET_STREAM;
    ssize_t n = done < vectors.total || !vectors.total ? receive(descriptor, &vectors, flags & RECV_PEEK, &truncated) : 0;
    if (n > 0) done += (uint64_t)n;
    if (n > 0 && all && done < vectors.total) continue;
    if (n < 0) {
      failure = call_again(call, descriptor, POLLIN);
      if (!failure) continue;
      if (call->ended != LUN_OK || !done) return failure;
    }
    guest_put_u32(call, params[4], (uint32_t)done);
    uint8_t *at = guest_write(call, params[5], 2);
    if (!at) return WASI_EFAULT;
    store_u16(at, truncated ? RECV_DATA_TRUNCATED : 0);
    return WASI_ESUCCESS;
  }
}

Errno call_sock_send(Call *call, const uint64_t *params) {
  Vectors vectors;
  uint64_t done = 0;
  for (;;) {
    Descriptor *descriptor;
    Errno failure = socket_descriptor(call, params[0], RIGHT_FD_WRITE, &descriptor);
    if (!failure && (uint32_t)params[3]) failure = WASI_EINVAL; /* no flag is defined */
    if (!failure) failure = guest_vectors(call, params[1], params[2], false, done, &vectors);
    if (!failure && !guest_holds(call, params[4], 4)) failure = WASI_EFAULT;
    if (failure) return failure;
    /* An empty datagram is one, too. */
    ssize_t n = descriptor_write(descriptor, &vectors);
    if (n > 0) done += (uint64_t)n;
    if (n >= 0 && (n == 0 || done >= vectors.total)) return guest_put_u32(call, params[4], (uint32_t)done);
    if (n > 0) continue;
    failure = call_again(call, descriptor, POLLOUT);
    if (call->ended != LUN_OK) return failure;
    if (failure) return done ? guest_put_u32(call, params[4], (uint32_t)done) : failure;
  }
}

Errno call_sock_shutdown(Call *call, const uint64_t *params) {
  static const int hows[] = { [SHUTDOWN_READ] = SHUT_RD, [SHUTDOWN_WRITE] = SHUT_WR,
                              [SHUTDOWN_READ | SHUTDOWN_WRITE] = SHUT_RDWR };
  Descriptor *descriptor;
  uint32_t how = (uint32_t)params[1];
  Errno failure = socket_descriptor(call, params[0], RIGHT_SOCK_SHUTDOWN, &descriptor);
  if (failure) return failure;
  if (how == 0 || how > (SHUTDOWN_READ | SHUTDOWN_WRITE)) return WASI_EINVAL;
  return shutdown(descriptor->host, hows[how]) < 0 ? errno_now() : WASI_ESUCCESS;
}
