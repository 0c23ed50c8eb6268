/* SPDX-License-Identifier: MIT */
/* Alarms: the writer's thread waits for what a thread that runs a guest cannot wait for, the descriptor and the next timer
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

struct lun_alarm {
  Alarms *alarms;
  int fd;                   /* the caller's */
  int timer_fd;
  uint64_t deadline_ns;     /* what the timer is set to; NEVER: nothing */
  void (*on_due)(void *self);
  void *self;
};

int alarms_init(Alarms *alarms) {
  alarms->fd = epoll_create1(EPOLL_CLOEXEC);
  return alarms->fd < 0 ? -errno : -pthread_mutex_init(&alarms->lock, NULL);
}

void alarms_clear(Alarms *alarms) {
  if (alarms->fd < 0) return;
  close(alarms->fd);
  alarms->fd = -1;
  pthread_mutex_destroy(&alarms->lock);
}

void alarms_serve(Alarms *alarms) {
  struct epoll_event events[8];
  pthread_mutex_lock(&alarms->lock);
  int count = epoll_wait(alarms->fd, events, COUNT_OF(events), 0);
  for (int i = 0; i < count; i++) {
    const lun_alarm *alarm = events[i].data.ptr;
    alarm->on_due(alarm->self);
  }
  pthread_mutex_unlock(&alarms->lock);
}

static bool put(lun_alarm *alarm, int operation, int fd, uint32_t events) {
  struct epoll_event event = { .events = events, .data.ptr = alarm };
  return epoll_ctl(alarm->alarms->fd, operation, fd, &event) == 0;
}

lun_status lun_alarm_create(lun_writer *writer, int fd, void (*on_due)(void *self), void *self, lun_alarm **out,
                            lun_error *error) {
  *out = NULL;
  lun_alarm *alarm = calloc(1, sizeof *alarm);
  if (!alarm) return lun_error_set(error, LUN_NO_MEMORY, "out of memory");
  *alarm = (lun_alarm){ writer_alarms(writer), fd, -1, NEVER, on_due, self };
  alarm->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
  /* Without events until it is armed. */
  if (alarm->timer_fd >= 0 && put(alarm, EPOLL_CTL_ADD, alarm->timer_fd, 0)) {
    if (put(alarm, EPOLL_CTL_ADD, fd, 0)) {
      *out = alarm;
      return LUN_OK;
    }
    put(alarm, EPOLL_CTL_DEL, alarm->timer_fd, 0);
  }
  lun_error_set(error, LUN_NO_MEMORY, "cannot watch a loop: %s", strerror(errno));
  if (alarm->timer_fd >= 0) close(alarm->timer_fd);
  free(alarm);
  return LUN_NO_MEMORY;
}

void lun_alarm_arm(lun_alarm *alarm, bool with_fd, uint64_t deadline_ns) {
  /* 0 would stop the timer instead. */
  uint64_t at = deadline_ns == NEVER ? 0 : deadline_ns ? deadline_ns : 1;
  struct itimerspec value = { .it_value = { (time_t)(at / 1000000000), (long)(at % 1000000000) } };
  /* One that has expired stays readable until it is set again. */
  if (at || alarm->deadline_ns != NEVER) timerfd_settime(alarm->timer_fd, TFD_TIMER_ABSTIME, &value, NULL);
  alarm->deadline_ns = deadline_ns;
  if (at) put(alarm, EPOLL_CTL_MOD, alarm->timer_fd, EPOLLIN | EPOLLONESHOT);
  put(alarm, EPOLL_CTL_MOD, alarm->fd, with_fd ? EPOLLIN | EPOLLONESHOT : 0);
}

void lun_alarm_destroy(lun_alarm *alarm) {
  if (!alarm) return;
  Alarms *alarms = alarm->alarms;
  pthread_mutex_lock(&alarms->lock); /* on_due is not at work, and will not be */
  put(alarm, EPOLL_CTL_DEL, alarm->timer_fd, 0);
  put(alarm, EPOLL_CTL_DEL, alarm->fd, 0);
  pthread_mutex_unlock(&alarms->lock);
  close(alarm->timer_fd);
  free(alarm);
}
