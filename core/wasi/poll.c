/* SPDX-License-Identifier: MIT */
/* poll_oneoff: clocks and descriptors. The subscriptions are copied first, since the guest's memory may change while it
 * waits; the events are written at the end. Files and folders are always ready. */
#include "wasi.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define EVENT_SIZE 32
#define SUBSCRIPTIONS_MAX 65536u
#define NO_POLL SIZE_MAX

enum { EVENT_CLOCK, EVENT_FD_READ, EVENT_FD_WRITE };
enum { CLOCK_ABSOLUTE = 1 };
enum { HANGUP = 1 };

typedef struct Subscription {
  uint64_t userdata;
  uint8_t type;
  Errno failure;            /* known before waiting: an event at once */
  bool ready;
  uint32_t clock;           /* EVENT_CLOCK */
  uint64_t deadline;        /* on that clock */
  uint32_t fd;              /* the others */
  size_t poll;              /* index into `fds`, or NO_POLL */
} Subscription;

typedef struct Poll {
  Subscription *items;
  uint32_t count;
  struct pollfd *fds;       /* one for each host descriptor */
  size_t fd_count;
  int64_t timeout_ns;       /* to the nearest deadline; negative: none */
  bool any;                 /* something is ready */
} Poll;

static void subscribe_clock(Call *call, Subscription *s, const uint8_t *at) {
  uint64_t now, timeout = load_u64(at + 8);
  uint16_t flags = load_u16(at + 24);
  s->clock = load_u32(at);
  s->failure = clock_now(call->wasi, s->clock, &now);
  if (!s->failure && (flags & ~CLOCK_ABSOLUTE)) s->failure = WASI_EINVAL;
  /* How long the process has to wait for its own CPU time cannot be said. */
  if (!s->failure && s->clock > 1) s->failure = WASI_ENOTSUP;
  if (s->failure) return;
  if (flags & CLOCK_ABSOLUTE) s->deadline = timeout;
  else s->deadline = timeout > UINT64_MAX - now ? UINT64_MAX : now + timeout;
}

static short events_of(const Subscription *s) { return s->type == EVENT_FD_READ ? POLLIN : POLLOUT; }

static void subscribe_fd(Call *call, Poll *p, Subscription *s, const uint8_t *at) {
  Descriptor *descriptor;
  s->fd = load_u32(at);
  uint64_t right = s->type == EVENT_FD_READ ? RIGHT_FD_READ : RIGHT_FD_WRITE;
  s->failure = call_descriptor(call, s->fd, right | RIGHT_POLL_FD_READWRITE, &descriptor);
  if (s->failure) return;
  s->ready = !descriptor->blocks;
  if (s->ready) return;
  /* One entry for each host descriptor: poll(2) takes no more than there can be. */
  for (s->poll = 0; s->poll < p->fd_count && p->fds[s->poll].fd != descriptor->host; s->poll++) continue;
  if (s->poll == p->fd_count) p->fds[p->fd_count++] = (struct pollfd){ .fd = descriptor->host };
  p->fds[s->poll].events |= events_of(s);
}

/* In wasi_unstable a clock has an identifier in front, and so a subscription is larger. */
static Errno subscribe(Call *call, Poll *p, uint64_t address) {
  size_t size = call->unstable ? 56 : 48;
  const uint8_t *at = guest_read(call, address, (uint64_t)p->count * size);
  if (!at) return WASI_EFAULT;
  for (uint32_t i = 0; i < p->count; i++, at += size) {
    Subscription *s = &p->items[i];
    *s = (Subscription){ .userdata = load_u64(at), .type = at[8], .poll = NO_POLL };
    if (s->type == EVENT_CLOCK) subscribe_clock(call, s, at + (call->unstable ? 24 : 16));
    else if (s->type == EVENT_FD_READ || s->type == EVENT_FD_WRITE) subscribe_fd(call, p, s, at + 16);
    else return WASI_EINVAL;
  }
  return WASI_ESUCCESS;
}

/* Which clocks have struck, and how long until the next does? */
static void look_at_clocks(Call *call, Poll *p) {
  p->timeout_ns = -1;
  for (uint32_t i = 0; i < p->count; i++) {
    Subscription *s = &p->items[i];
    uint64_t now = 0;
    if (s->failure || s->ready) p->any = true;
    if (s->failure || s->ready || s->type != EVENT_CLOCK) continue;
    clock_now(call->wasi, s->clock, &now);
    if (now >= s->deadline) {
      s->ready = p->any = true;
      continue;
    }
    uint64_t left = s->deadline - now;
    if (left > INT64_MAX) left = INT64_MAX;
    if (p->timeout_ns < 0 || (int64_t)left < p->timeout_ns) p->timeout_ns = (int64_t)left;
  }
}

static void look_at_fds(Poll *p) {
  for (uint32_t i = 0; i < p->count; i++) {
    Subscription *s = &p->items[i];
    if (s->poll == NO_POLL || !(p->fds[s->poll].revents & (events_of(s) | POLLERR | POLLHUP | POLLNVAL))) continue;
    s->ready = p->any = true;
  }
}

/* Until something is ready. What is ready already does not keep the rest from being looked at. */
static Errno wait_for_any(Call *call, Poll *p) {
  for (;;) {
    look_at_clocks(call, p);
    int64_t timeout = p->any ? 0 : p->timeout_ns;
    if (call->wasi->deterministic && timeout > 0) { /* that time has passed already */
      call->wasi->ticks += (uint64_t)timeout;
      timeout = 0;
    }
    call->ended = lun_store_wait(call->store, p->fds, p->fd_count, timeout, call->error);
    if (call->ended != LUN_OK) return WASI_EINTR;
    look_at_fds(p);
    if (p->any) {
      look_at_clocks(call, p);
      return WASI_ESUCCESS;
    }
  }
}

/* How much can be read: what is left of a file, what a pipe or socket holds. */
static uint64_t bytes_to_read(const Descriptor *descriptor) {
  struct stat status;
  int held = 0;
  if (descriptor->type == FILETYPE_REGULAR_FILE) {
    off_t at = lseek(descriptor->host, 0, SEEK_CUR);
    return fstat(descriptor->host, &status) == 0 && at >= 0 && at < status.st_size ? (uint64_t)(status.st_size - at) : 0;
  }
  return ioctl(descriptor->host, FIONREAD, &held) == 0 && held > 0 ? (uint64_t)held : 0;
}

/* event: userdata, error, type, bytes, flags. */
static void event_write(Call *call, const Poll *p, const Subscription *s, uint8_t *at) {
  short seen = s->poll == NO_POLL ? 0 : p->fds[s->poll].revents;
  const Descriptor *descriptor = s->type == EVENT_CLOCK ? NULL : table_at(&call->wasi->table, s->fd);
  Errno failure = s->failure;
  if (!failure && s->type != EVENT_CLOCK && (!descriptor || (seen & POLLNVAL))) failure = WASI_EBADF;
  memset(at, 0, EVENT_SIZE);
  store_u64(at, s->userdata);
  store_u16(at + 8, (uint16_t)failure);
  at[10] = s->type;
  if (failure || s->type == EVENT_CLOCK) return;
  if (s->type == EVENT_FD_READ) store_u64(at + 16, bytes_to_read(descriptor));
  if (seen & (POLLHUP | POLLERR)) store_u16(at + 24, HANGUP);
}

static Errno events_write(Call *call, const Poll *p, uint64_t address, uint64_t result) {
  uint32_t written = 0;
  for (uint32_t i = 0; i < p->count; i++) {
    const Subscription *s = &p->items[i];
    if (!s->failure && !s->ready) continue;
    uint8_t *at = guest_write(call, (uint32_t)address + (uint64_t)written * EVENT_SIZE, EVENT_SIZE);
    if (!at) return WASI_EFAULT;
    event_write(call, p, s, at);
    written++;
  }
  return guest_put_u32(call, result, written);
}

Errno call_poll_oneoff(Call *call, const uint64_t *params) {
  Poll p = { .count = (uint32_t)params[2] };
  if (p.count == 0 || p.count > SUBSCRIPTIONS_MAX) return WASI_EINVAL;
  if (!guest_holds(call, params[1], (uint64_t)p.count * EVENT_SIZE) || !guest_holds(call, params[3], 4)) return WASI_EFAULT;
  p.items = calloc(p.count, sizeof *p.items);
  p.fds = calloc(p.count, sizeof *p.fds);
  Errno failure = p.items && p.fds ? subscribe(call, &p, params[0]) : WASI_ENOMEM;
  if (!failure) failure = wait_for_any(call, &p);
  if (!failure) failure = events_write(call, &p, params[1], params[3]);
  free(p.items);
  free(p.fds);
  return failure;
}
