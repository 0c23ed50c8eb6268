/* SPDX-License-Identifier: MIT */
/* Signals, deadlines, and what a fatal signal's handler can still save. */
#define _GNU_SOURCE
#include <pthread.h>
#include <semaphore.h>
#include <time.h>

#include "output_test.h"

/* ---- watched signals ---- */

typedef struct Heard {
  sem_t told;
  int signal_number;
  unsigned count;
  pthread_t thread;
  lun_writer *writer;
  int close_fd;
  off_t size;
} Heard;

static void on_signal(void *self, int signal_number, unsigned count) {
  Heard *heard = self;
  heard->signal_number = signal_number;
  heard->count = count;
  heard->thread = pthread_self();
  sem_post(&heard->told);
}

static lun_writer_options watching(Heard *heard, void (*callback)(void *, int, unsigned)) {
  memset(heard, 0, sizeof *heard);
  MUST(sem_init(&heard->told, 0, 0) == 0);
  return (lun_writer_options){ .watch_signals = true, .on_signal = callback, .self = heard };
}

static void wait_until_told(Heard *heard) {
  while (sem_wait(&heard->told) != 0) MUST(errno == EINTR);
}

static void signals(void) {
  static const int sent[] = { SIGINT, SIGINT, SIGTERM, SIGINT };
  Heard heard;
  lun_writer_options options = watching(&heard, on_signal);
  lun_writer *writer = writer_start(&options);
  for (unsigned i = 0; i < sizeof sent / sizeof *sent; i++) {
    MUST(kill(getpid(), sent[i]) == 0);
    wait_until_told(&heard);
    CHECK(heard.signal_number == sent[i] && heard.count == i + 1);
    CHECK(!pthread_equal(heard.thread, pthread_self()));
  }
  lun_writer_destroy(writer);
  struct sigaction action;
  CHECK(sigaction(SIGINT, NULL, &action) == 0 && action.sa_handler == SIG_DFL);
  sem_destroy(&heard.told);
}

static void ignored_signal(void) {
  Heard heard;
  lun_writer_options options = watching(&heard, on_signal);
  MUST(signal(SIGINT, SIG_IGN) != SIG_ERR);
  lun_writer *writer = writer_start(&options);
  MUST(kill(getpid(), SIGINT) == 0);
  MUST(kill(getpid(), SIGTERM) == 0);
  wait_until_told(&heard);
  CHECK(heard.signal_number == SIGTERM && heard.count == 1);
  lun_writer_destroy(writer);
  MUST(signal(SIGINT, SIG_DFL) == SIG_IGN);
  sem_destroy(&heard.told);
}

static void leave_reader(void *self, int signal_number, unsigned count) {
  close(((Heard *)self)->close_fd);
  on_signal(self, signal_number, count);
}

static void *interrupt_when_stuck(void *argument) {
  lun_output *output = argument;
  /* The pipe takes as much before it is full. */
  while (lun_output_written(output) < 4096) sched_yield();
  kill(getpid(), SIGINT);
  return NULL;
}

/* The pipe is full, the ring is full, the producer waits: a signal is still heard. */
static void signal_while_stuck(void) {
  Heard heard;
  lun_writer_options options = watching(&heard, leave_reader);
  int fds[2];
  pthread_t thread;
  MUST(pipe(fds) == 0 && fcntl(fds[1], F_SETPIPE_SZ, 8192) >= 0);
  heard.close_fd = fds[0];
  lun_writer *writer = writer_start(&options);
  lun_output *output = open_fd(writer, fds[1], 0);
  MUST(pthread_create(&thread, NULL, interrupt_when_stuck, output) == 0);
  CHECK(put_stream(output, 1, 10000000, 1000) < 10000000);
  CHECK(lun_output_errno(output) == EPIPE);
  wait_until_told(&heard);
  MUST(pthread_join(thread, NULL) == 0);
  lun_writer_destroy(writer);
  close(fds[1]);
  sem_destroy(&heard.told);
}

/* ---- deadlines ---- */

static uint64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void on_deadline(void *self) {
  sem_post(&((Heard *)self)->told);
}

static void deadline(void) {
  Heard heard;
  watching(&heard, NULL);
  uint64_t start = now_ns();
  lun_writer_options options = { .deadline_ns = 4500000, .on_deadline = on_deadline, .self = &heard };
  lun_writer *writer = writer_start(&options);
  wait_until_told(&heard);
  CHECK(now_ns() - start >= 4000000); /* libuv counts whole milliseconds */
  lun_writer_destroy(writer);
  options.deadline_ns = UINT64_MAX;
  writer = writer_start(&options);
  lun_writer_destroy(writer);
  CHECK(sem_trywait(&heard.told) != 0);
  sem_destroy(&heard.told);
}

/* ---- rescue ---- */

static lun_writer *rescued;
static volatile uint64_t puts_done;
static int tell_fd;

/* As the command does it: save what there is, then die of the signal. */
static void on_fatal(int signal_number) {
  int saved = errno;
  uint64_t done = puts_done;
  errno = 77;
  lun_writer_rescue(rescued, 60000);
  bool kept = errno == 77;
  if (write(tell_fd, kept ? &done : &(uint64_t){ UINT64_MAX }, sizeof done) != sizeof done) _exit(1);
  errno = saved;
  raise(signal_number);
}

static void die_rescued(int signal_number, lun_writer *writer) {
  rescued = writer;
  struct sigaction action = { .sa_handler = on_fatal, .sa_flags = (int)SA_RESETHAND };
  MUST(sigaction(signal_number, &action, NULL) == 0);
}

static bool died_of(pid_t child, int signal_number) {
  int status;
  if (waitpid(child, &status, 0) != child) return false;
  return WIFSIGNALED(status) && WTERMSIG(status) == signal_number;
}

static void rescue(void) {
  int told[2];
  MUST(pipe(told) == 0);
  fflush(stdout);
  pid_t child = fork();
  MUST(child >= 0);
  if (!child) {
    tell_fd = told[1];
    lun_writer *writer = writer_start(NULL);
    lun_output *output = open_path(writer, file_path, 0);
    die_rescued(SIGSEGV, writer);
    if (put_stream(output, 1, 300000, 1000) == 300000) raise(SIGSEGV);
    _exit(1);
  }
  CHECK(died_of(child, SIGSEGV));
  CHECK(count_file(file_path, 1) == 300000);
  close(told[0]);
  close(told[1]);
}

/* A signal from outside, wherever the producer happens to be: what is there is whole, and nothing misses that
 * lun_output_write had returned from. It is none of those that tell of a fault: the thread sanitizer runs their handlers
 * at once, also where it holds a lock of its own over an atomic word that the writer then waits for. */
static void rescue_anywhere_once(uint64_t seed) {
  int told[2], fds[2];
  MUST(pipe(told) == 0 && pipe(fds) == 0);
  fflush(stdout);
  pid_t child = fork();
  MUST(child >= 0);
  if (!child) {
    close(fds[0]);
    tell_fd = told[1];
    lun_writer *writer = writer_start(NULL);
    lun_output *output = open_fd(writer, fds[1], 8192);
    die_rescued(SIGUSR1, writer);
    for (uint64_t i = 0; lun_output_write(output, &i, sizeof i); i++) puts_done = i + 1;
    _exit(1);
  }
  close(fds[1]);
  close(told[1]);
  uint64_t kill_at = random_next(&seed) % 20000, count = 0, done = 0, word;
  FILE *file = fdopen(fds[0], "r");
  MUST(file);
  for (; fread(&word, sizeof word, 1, file) == 1; count++) {
    CHECK(word == count);
    if (count == kill_at) MUST(kill(child, SIGUSR1) == 0);
  }
  CHECK(died_of(child, SIGUSR1));
  CHECK(read(told[0], &done, sizeof done) == sizeof done);
  CHECK(done > 0 && count >= done && count <= done + 1);
  fclose(file);
  close(told[0]);
}

static void rescue_anywhere(void) {
  for (uint64_t seed = 1; seed <= 40; seed++) rescue_anywhere_once(seed * 7919);
}

/* In a callback, which is on the writer's own thread. */
static void rescue_in_callback(void *self, int signal_number, unsigned count) {
  Heard *heard = self;
  lun_writer_rescue(heard->writer, 1000);
  heard->size = file_size(file_path);
  on_signal(self, signal_number, count);
}

static void rescue_here(void) {
  Heard heard;
  lun_writer_options options = watching(&heard, rescue_in_callback);
  lun_writer *writer = heard.writer = writer_start(&options);
  lun_output *output = open_path(writer, file_path, 0);
  for (int i = 1; i <= 100; i++) {
    CHECK(lun_output_write(output, "0123456789", 10));
    MUST(kill(getpid(), SIGTERM) == 0);
    wait_until_told(&heard);
    CHECK(heard.size == 10 * i);
  }
  CHECK(lun_output_close(output, NULL) == LUN_OK);
  lun_writer_destroy(writer);
  sem_destroy(&heard.told);
}

/* Nobody reads: after the time given it is over. */
static void rescue_in_vain(void) {
  Heard heard;
  lun_writer_options options = watching(&heard, rescue_in_callback);
  int fds[2];
  char bytes[4096];
  MUST(pipe(fds) == 0);
  lun_writer *writer = heard.writer = writer_start(&options);
  lun_output *output = open_fd(writer, fds[1], 0);
  CHECK(put_stream(output, 1, 200000, 1000) == 200000);
  uint64_t start = now_ns();
  lun_writer_rescue(writer, 30);
  CHECK(now_ns() - start >= 30000000);
  MUST(kill(getpid(), SIGINT) == 0);
  wait_until_told(&heard);
  CHECK(lun_output_written(output) < 200000 && lun_output_lost(output) == 0);
  for (int64_t count = 0; count < 200000;) {
    ssize_t got = read(fds[0], bytes, sizeof bytes);
    MUST(got > 0);
    count += got;
  }
  CHECK(lun_output_close(output, NULL) == LUN_OK);
  lun_writer_destroy(writer);
  close(fds[0]);
  close(fds[1]);
  sem_destroy(&heard.told);
}

static const Case cases[] = {
  { "signals", signals },
  { "ignored_signal", ignored_signal },
  { "signal_while_stuck", signal_while_stuck },
  { "deadline", deadline },
  { "rescue", rescue },
  { "rescue_anywhere", rescue_anywhere },
  { "rescue_here", rescue_here },
  { "rescue_in_vain", rescue_in_vain },
};
MAIN(cases)
