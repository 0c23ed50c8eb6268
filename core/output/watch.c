/* SPDX-License-Identifier: MIT */
/* Watches: the writer's thread waits for what a thread that runs a guest cannot wait for, the descriptor and the next timer
 * of that thread's own loop, and tells it once. Arming is two or three system calls on the thread that arms and wakes
 * nobody: both descriptors stand, one-shot, in an epoll set of the writer's, and the deadline is a timerfd's. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "output.h"

struct lun_watch {
  Watches *watches;
  int fd;                   /* the caller's */
  int timer_fd;
  uint64_t deadline_ns;     /* what the timer is set to; NEVER: nothing */
  void (*on_due)(void *self);
  void *self;
};

int watches_init(Watches *watches) {
  watches->fd = epoll_create1(EPOLL_CLOEXEC);
  return watches->fd < 0 ? -errno : -pthread_mutex_init(&watches->lock, NULL);
}

void watches_clear(Watches *watches) {
  if (watches->fd < 0) return;
  close(watches->fd);
  watches->fd = -1;
  pthread_mutex_destroy(&watches->lock);
}

void watches_serve(Watches *watches) {
  struct epoll_event events[8];
  pthread_mutex_lock(&watches->lock);
  int count = epoll_wait(watches->fd, events, COUNT_OF(events), 0);
  for (int i = 0; i < count; i++) {
    const lun_watch *watch = events[i].data.ptr;
    watch->on_due(watch->self);
  }
  pthread_mutex_unlock(&watches->lock);
}

static bool put(lun_watch *watch, int operation, int fd, uint32_t events) {
  struct epoll_event event = { .events = events, .data.ptr = watch };
  return epoll_ctl(watch->watches->fd, operation, fd, &event) == 0;
}

lun_status lun_watch_create(lun_writer *writer, int fd, void (*on_due)(void *self), void *self, lun_watch **out,
                            lun_error *error) {
  *out = NULL;
  lun_watch *watch = calloc(1, sizeof *watch);
  if (!watch) return lun_error_set(error, LUN_NO_MEMORY, "out of memory");
  *watch = (lun_watch){ writer_watches(writer), fd, -1, NEVER, on_due, self };
  watch->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
  /* Without events until it is armed. */
  if (watch->timer_fd >= 0 && put(watch, EPOLL_CTL_ADD, watch->timer_fd, 0)) {
    if (put(watch, EPOLL_CTL_ADD, fd, 0)) {
      *out = watch;
      return LUN_OK;
    }
    put(watch, EPOLL_CTL_DEL, watch->timer_fd, 0);
  }
  lun_error_set(error, LUN_NO_MEMORY, "cannot watch a loop: %s", strerror(errno));
  if (watch->timer_fd >= 0) close(watch->timer_fd);
  free(watch);
  return LUN_NO_MEMORY;
}

void lun_watch_arm(lun_watch *watch, bool with_fd, uint64_t deadline_ns) {
  /* 0 would stop the timer instead. */
  uint64_t at = deadline_ns == NEVER ? 0 : deadline_ns ? deadline_ns : 1;
  struct itimerspec value = { .it_value = { (time_t)(at / 1000000000), (long)(at % 1000000000) } };
  /* One that has expired stays readable until it is set again. */
  if (at || watch->deadline_ns != NEVER) timerfd_settime(watch->timer_fd, TFD_TIMER_ABSTIME, &value, NULL);
  watch->deadline_ns = deadline_ns;
  if (at) put(watch, EPOLL_CTL_MOD, watch->timer_fd, EPOLLIN | EPOLLONESHOT);
  put(watch, EPOLL_CTL_MOD, watch->fd, with_fd ? EPOLLIN | EPOLLONESHOT : 0);
}

void lun_watch_destroy(lun_watch *watch) {
  if (!watch) return;
  Watches *watches = watch->watches;
  pthread_mutex_lock(&watches->lock); /* on_due is not at work, and will not be */
  put(watch, EPOLL_CTL_DEL, watch->timer_fd, 0);
  put(watch, EPOLL_CTL_DEL, watch->fd, 0);
  pthread_mutex_unlock(&watches->lock);
  close(watch->timer_fd);
  free(watch);
}
