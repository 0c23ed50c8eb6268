/* SPDX-License-Identifier: MIT */
/* The writer: a thread with a libuv loop of its own that serves any number of outputs, hears SIGINT and SIGTERM, and
 * watches one deadline. It sleeps without a timer while there is nothing to write.
 *
 * Called by a producer, by its 10 ms timer or by a destination that takes bytes again, it serves every output: writes
 * what is due, and says at which position it wants to be called next (output.c proves that no call is lost). What is
 * less than enough for a write waits for the timer, unless a terminal is looking on or somebody has asked for it.
 *
 * Calls come through an eventfd in the loop rather than by uv_async_send: that one marks its handle, then writes, and
 * a fatal signal in between would leave the loop spinning on the mark, so that the handler could not reach it. */
#define _GNU_SOURCE /* gettid, pipe2 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <uv.h>

#include "output.h"

enum { TICK_MS = 10 };

struct lun_writer {
  lun_writer_options options;
  uv_loop_t loop;
  uv_thread_t thread;
  int call_fd;                     /* eventfd: something is to be done */
  int ready_fd;                    /* epoll set of the destinations that would have to wait */
  Alarms alarms;                   /* of the threads that run guests */
  uv_poll_t call, ready, due;
  uv_timer_t tick, deadline, grace;
  bool has_grace;                  /* its timer is there */
  uv_signal_t interrupt, terminate;
  unsigned signals;
  lun_output *outputs;             /* the writer's thread's */
  _Atomic(lun_output *) newcomers; /* from any thread, last one first */
  bool has_barrier;                /* barrier_everywhere works */
  _Atomic bool stopping;
  _Atomic pid_t thread_id;
  _Atomic uint32_t rescue_asked, rescue_done;
  _Atomic bool rescuing;           /* a signal handler may be at work: nobody is told of failures any more */
};

Alarms *writer_alarms(lun_writer *writer) { return &writer->alarms; }

void writer_call(lun_writer *writer) {
  uint64_t one = 1;
  /* It can fail only where the counter is full: then the loop is awake anyway. */
  ssize_t ignored = write(writer->call_fd, &one, sizeof one);
  (void)ignored;
}

void writer_add(lun_writer *writer, lun_output *output) {
  output->confirms = !writer->has_barrier;
  output->next = atomic_load_explicit(&writer->newcomers, memory_order_relaxed);
  while (!atomic_compare_exchange_weak_explicit(&writer->newcomers, &output->next, output, memory_order_release,
                                                memory_order_relaxed)) {
  }
  writer_call(writer);
}

static void adopt_newcomers(lun_writer *writer) {
  lun_output *output = atomic_exchange_explicit(&writer->newcomers, NULL, memory_order_acquire);
  while (output) {
    lun_output *next = output->next;
    output->next = writer->outputs;
    writer->outputs = output;
    output = next;
  }
}

/* ---- serving one output ---- */

/* Puts a destination that would have to wait into the poll set, and takes it out again. */
static void watch_destination(lun_writer *writer, lun_output *output, bool wait) {
  if (wait == output->is_waited) return;
  struct epoll_event event = { .events = EPOLLOUT };
  output->is_waited = wait;
  if (epoll_ctl(writer->ready_fd, wait ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, output->destination.fd, &event) < 0 && wait) {
    output->is_waited = false;
    output_fail(output, errno);
    output_drain(output); /* counts the rest as lost */
  }
}

typedef struct Service {
  bool everything; /* also what is less than enough for a write */
  bool tick;       /* out: the timer is wanted */
  bool unfinished; /* out: a destination would have to wait */
} Service;

static void serve(lun_writer *writer, lun_output *output, Service *service) {
  bool urgent = atomic_exchange_explicit(&output->urgent, false, memory_order_acquire);
  bool closing = atomic_load_explicit(&output->closing, memory_order_acquire);
  uint64_t head = ring_head(&output->ring), start = output->ring.cursor;
  if (service->everything || urgent || closing || output->destination.live || head - start >= output->enough) {
    output->goal = head;
  }
  watch_destination(writer, output, !output_drain(output));
  if (output->is_waited) {
    service->unfinished = true;
    atomic_store_explicit(&output->wake_at, NEVER, memory_order_seq_cst);
    return;
  }
  uint64_t cursor = output->ring.cursor;
  bool tick = !output->destination.live && (cursor != start || cursor != head);
  atomic_store_explicit(&output->wake_at, cursor + (tick ? output->enough : 1), memory_order_seq_cst);
  if (tick) service->tick = true;
}

/* Closes an output that its producer has left and whose last byte is out. True: it is gone. */
static bool finish(lun_output *output) {
  if (!atomic_load_explicit(&output->closing, memory_order_acquire)) return false;
  if (atomic_load_explicit(&output->done, memory_order_relaxed) != ring_head(&output->ring)) return false;
  int failure = destination_close(&output->destination);
  if (failure) output_fail(output, failure);
  atomic_store_explicit(&output->closed, 1, memory_order_release);
  word_wake(&output->closed); /* the address alone: the producer may have freed it */
  return true;
}

/* ---- serving them all ---- */

static void on_tick(uv_timer_t *timer);

/* The second half of going to sleep: whether a head got as far as wake_at before its producer could see wake_at. */
static bool is_called_already(const lun_writer *writer) {
  if (writer->has_barrier && !uv_is_active((const uv_handle_t *)&writer->tick)) barrier_everywhere();
  for (const lun_output *output = writer->outputs; output; output = output->next) {
    if (ring_head(&output->ring) >= atomic_load_explicit(&output->wake_at, memory_order_relaxed)) return true;
  }
  return false;
}

/* After a signal handler has asked, all is written before anything else is waited for. */
static void answer_rescue(lun_writer *writer, uint32_t asked) {
  atomic_store_explicit(&writer->rescue_done, asked, memory_order_release);
  word_wake(&writer->rescue_done);
}

static void writer_serve(lun_writer *writer, bool everything) {
  bool stopping = atomic_load_explicit(&writer->stopping, memory_order_acquire);
  uint32_t asked = atomic_load_explicit(&writer->rescue_asked, memory_order_acquire);
  bool rescue = asked != atomic_load_explicit(&writer->rescue_done, memory_order_relaxed);
  Service service = { .everything = everything || stopping || rescue };
  adopt_newcomers(writer);
  for (lun_output **link = &writer->outputs, *output; (output = *link);) {
    lun_output *next = output->next;
    serve(writer, output, &service);
    if (finish(output)) *link = next;
    else link = &output->next;
  }
  if (service.tick && !uv_is_active((uv_handle_t *)&writer->tick)) uv_timer_start(&writer->tick, on_tick, TICK_MS, 0);
  if (is_called_already(writer)) writer_call(writer); /* through the loop: signals and timers have their turn in between */
  if (rescue && !service.unfinished) answer_rescue(writer, asked);
  if (stopping && !service.unfinished) uv_stop(&writer->loop);
}

static void on_call(uv_poll_t *poll, int status, int events) {
  lun_writer *writer = poll->data;
  uint64_t count;
  ssize_t ignored = read(writer->call_fd, &count, sizeof count);
  (void)ignored, (void)status, (void)events;
  writer_serve(writer, false);
}

static void on_ready(uv_poll_t *poll, int status, int events) {
  (void)status, (void)events;
  writer_serve(poll->data, false);
}

static void on_due(uv_poll_t *poll, int status, int events) {
  lun_writer *writer = poll->data;
  (void)status, (void)events;
  alarms_serve(&writer->alarms);
}

static void on_tick(uv_timer_t *timer) {
  writer_serve(timer->data, true);
}

/* ---- what the embedder is told ---- */
static void on_grace(uv_timer_t *timer) {
  lun_writer *writer = timer->data;
  bool blocked = false;
  for (const lun_output *output = writer->outputs; output; output = output->next) blocked = blocked || output->is_waited;
  writer->options.on_grace(writer->options.self, blocked);
}

static void start_grace(lun_writer *writer) {
  uint64_t ms = writer->options.grace_ms;
  if (writer->has_grace) uv_timer_start(&writer->grace, on_grace, ms, ms);
}

void writer_failed(lun_writer *writer, const lun_output *output, int failure) {
  bool is_here = gettid() == atomic_load_explicit(&writer->thread_id, memory_order_relaxed);
  if (!writer->options.on_failure || !is_here || atomic_load_explicit(&writer->rescuing, memory_order_relaxed)) return;
  start_grace(writer);
  writer->options.on_failure(writer->options.self, output, failure);
}

static void on_deadline(uv_timer_t *timer) {
  lun_writer *writer = timer->data;
  start_grace(writer);
  if (writer->options.on_deadline) writer->options.on_deadline(writer->options.self);
}

static void on_signal(uv_signal_t *handle, int signal_number) {
  lun_writer *writer = handle->data;
  writer->signals++;
  start_grace(writer);
  if (writer->options.on_signal) writer->options.on_signal(writer->options.self, signal_number, writer->signals);
}

/* ---- the thread ---- */

/* Signals belong to the other threads: to the guest's, whose handlers they may be meant for. Here only the two that
 * are watched (so that somebody always takes them) and those that tell of a fault of this very thread. SIGPIPE and
 * SIGXFSZ are blocked with the rest: write(2) says EPIPE and EFBIG instead. */
static void thread_signals(bool watch, sigset_t *old) {
  static const int faults[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS };
  sigset_t set;
  sigfillset(&set);
  for (size_t i = 0; i < COUNT_OF(faults); i++) sigdelset(&set, faults[i]);
  if (watch) sigdelset(&set, SIGINT), sigdelset(&set, SIGTERM);
  pthread_sigmask(SIG_SETMASK, &set, old);
}

static void writer_main(void *argument) {
  lun_writer *writer = argument;
  atomic_store_explicit(&writer->thread_id, gettid(), memory_order_relaxed);
  uv_run(&writer->loop, UV_RUN_DEFAULT);
}

/* A signal that the process was started to ignore (a background job's SIGINT) stays ignored. */
static int watch_signal(lun_writer *writer, uv_signal_t *handle, int signal_number) {
  struct sigaction action;
  int failure = uv_signal_init(&writer->loop, handle);
  if (failure) return failure;
  handle->data = writer;
  if (sigaction(signal_number, NULL, &action) == 0 && action.sa_handler == SIG_IGN) return 0;
  return uv_signal_start(handle, on_signal, signal_number);
}

static int watch_descriptor(lun_writer *writer, uv_poll_t *handle, int fd, uv_poll_cb callback) {
  if (fd < 0) return uv_translate_sys_error(errno);
  int failure = uv_poll_init(&writer->loop, handle, fd);
  if (failure) return failure;
  handle->data = writer;
  return uv_poll_start(handle, UV_READABLE, callback);
}

static int watch_deadline(lun_writer *writer) {
  uint64_t ns = writer->options.deadline_ns;
  if (!ns) return 0;
  int failure = uv_timer_init(&writer->loop, &writer->deadline);
  if (failure) return failure;
  writer->deadline.data = writer;
  uv_update_time(&writer->loop);
  return uv_timer_start(&writer->deadline, on_deadline, ns / 1000000 + (ns % 1000000 != 0), 0);
}

static int watch_all(lun_writer *writer) {
  writer->call_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  int failure = watch_descriptor(writer, &writer->call, writer->call_fd, on_call);
  if (failure) return failure;
  writer->ready_fd = epoll_create1(EPOLL_CLOEXEC);
  failure = watch_descriptor(writer, &writer->ready, writer->ready_fd, on_ready);
  if (failure) return failure;
  failure = alarms_init(&writer->alarms);
  if (failure) return uv_translate_sys_error(-failure);
  failure = watch_descriptor(writer, &writer->due, writer->alarms.fd, on_due);
  if (failure) return failure;
  failure = uv_timer_init(&writer->loop, &writer->tick);
  if (failure) return failure;
  writer->tick.data = writer;
  if (writer->options.grace_ms) {
    failure = uv_timer_init(&writer->loop, &writer->grace);
    if (failure) return failure;
    writer->grace.data = writer;
    writer->has_grace = true;
  }
  failure = watch_deadline(writer);
  if (failure || !writer->options.watch_signals) return failure;
  failure = watch_signal(writer, &writer->interrupt, SIGINT);
  return failure ? failure : watch_signal(writer, &writer->terminate, SIGTERM);
}

static void close_handle(uv_handle_t *handle, void *unused) {
  (void)unused;
  if (!uv_is_closing(handle)) uv_close(handle, NULL);
}

/* With its first loop in a process libuv opens three descriptors, and aborts where it cannot have the last two. */
static int loop_init(uv_loop_t *loop) {
  int probe[2];
  if (pipe2(probe, O_CLOEXEC) < 0) return uv_translate_sys_error(errno);
  int third = fcntl(probe[0], F_DUPFD_CLOEXEC, 0), failure = third < 0 ? uv_translate_sys_error(errno) : 0;
  if (third >= 0) close(third);
  close(probe[0]);
  close(probe[1]);
  return failure ? failure : uv_loop_init(loop);
}

/* The thread has ended, or never was: its loop is ours. */
static void writer_free(lun_writer *writer) {
  uv_walk(&writer->loop, close_handle, NULL);
  uv_run(&writer->loop, UV_RUN_DEFAULT);
  uv_loop_close(&writer->loop);
  if (writer->call_fd >= 0) close(writer->call_fd);
  if (writer->ready_fd >= 0) close(writer->ready_fd);
  alarms_clear(&writer->alarms);
  free(writer);
}

lun_status lun_writer_create(const lun_writer_options *options, lun_writer **out, lun_error *error) {
  *out = NULL;
  lun_writer *writer = calloc(1, sizeof *writer);
  if (!writer) return lun_error_set(error, LUN_NO_MEMORY, "out of memory for the writer thread");
  if (options) writer->options = *options;
  writer->has_barrier = barrier_prepare();
  writer->call_fd = writer->ready_fd = writer->alarms.fd = -1;
  int failure = loop_init(&writer->loop);
  if (failure) {
    free(writer);
    return lun_error_set(error, LUN_NO_MEMORY, "cannot start the writer thread: %s", uv_strerror(failure));
  }
  failure = watch_all(writer);
  if (!failure) {
    sigset_t old;
    thread_signals(writer->options.watch_signals, &old);
    failure = uv_thread_create(&writer->thread, writer_main, writer); /* inherits the mask */
    pthread_sigmask(SIG_SETMASK, &old, NULL);
  }
  if (failure) {
    writer_free(writer);
    return lun_error_set(error, LUN_NO_MEMORY, "cannot start the writer thread: %s", uv_strerror(failure));
  }
  *out = writer;
  return LUN_OK;
}

void lun_writer_destroy(lun_writer *writer) {
  if (!writer) return;
  atomic_store_explicit(&writer->stopping, true, memory_order_release);
  writer_call(writer);
  uv_thread_join(&writer->thread);
  adopt_newcomers(writer);
  for (lun_output *output = writer->outputs, *next; output; output = next) {
    next = output->next;
    output_destroy(output);
  }
  writer_free(writer);
}

/* ---- rescue: everything here is async-signal-safe ---- */

/* On the writer's own thread there is nobody to ask. */
static void rescue_here(lun_writer *writer, uint64_t deadline) {
  adopt_newcomers(writer);
  for (lun_output *output = writer->outputs; output; output = output->next) {
    output->goal = ring_head(&output->ring);
    while (!output_drain(output)) {
      uint64_t now = clock_monotonic_ns();
      if (now >= deadline) break;
      struct pollfd ready = { output->destination.fd, POLLOUT, 0 };
      poll(&ready, 1, (int)((deadline - now) / 1000000 + 1));
    }
  }
}

static void rescue_there(lun_writer *writer, uint64_t deadline) {
  uint32_t asked = atomic_fetch_add_explicit(&writer->rescue_asked, 1, memory_order_acq_rel) + 1;
  writer_call(writer);
  for (;;) {
    uint32_t seen = atomic_load_explicit(&writer->rescue_done, memory_order_acquire);
    uint64_t now = clock_monotonic_ns();
    if ((int32_t)(seen - asked) >= 0 || now >= deadline) return;
    word_wait(&writer->rescue_done, seen, (int64_t)(deadline - now));
  }
}

void lun_writer_rescue(lun_writer *writer, unsigned timeout_ms) {
  int saved = errno;
  uint64_t deadline = clock_monotonic_ns() + (uint64_t)timeout_ms * 1000000;
  atomic_store_explicit(&writer->rescuing, true, memory_order_relaxed);
  if (gettid() == atomic_load_explicit(&writer->thread_id, memory_order_relaxed)) rescue_here(writer, deadline);
  else rescue_there(writer, deadline);
  errno = saved;
}
