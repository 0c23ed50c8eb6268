/* SPDX-License-Identifier: MIT */
/* Every byte that is put into an output arrives, once and in order: through small rings, slow readers, every kind of
 * descriptor, several outputs and producers at a time. */
#define _GNU_SOURCE
#include <pthread.h>
#include <sys/socket.h>
#include <time.h>

#include "output_test.h"

/* A ring that is always full, sizes up to five times its own. */
static void hammer(void) {
  enum { TOTAL = 100000000 };
  lun_writer *writer = writer_start(NULL);
  lun_output *output = open_path(writer, file_path, 4096);
  CHECK(put_stream(output, 1, TOTAL, 20000) == TOTAL);
  CHECK(lun_output_flush(output));
  CHECK(lun_output_written(output) == TOTAL && lun_output_lost(output) == 0);
  CHECK(lun_output_close(output, NULL) == LUN_OK);
  CHECK(count_file(file_path, 1) == TOTAL);
  lun_writer_destroy(writer);
}

/* Many records in a large ring, over its end at every offset. */
static void lines(void) {
  enum { TOTAL = 20000000 };
  lun_writer *writer = writer_start(NULL);
  lun_output *output = open_path(writer, file_path, 0);
  CHECK(put_stream(output, 2, TOTAL, 120) == TOTAL);
  CHECK(lun_output_close(output, NULL) == LUN_OK);
  CHECK(count_file(file_path, 2) == TOTAL);
  lun_writer_destroy(writer);
}

/* One write larger than ring and block together. */
static void huge(void) {
  enum { TOTAL = 3000001 };
  lun_writer *writer = writer_start(NULL);
  lun_output *output = open_path(writer, file_path, 5000); /* 8 KiB */
  Stream stream = stream_of(3);
  uint8_t *bytes = malloc(TOTAL);
  MUST(bytes);
  for (int i = 0; i < TOTAL; i++) bytes[i] = stream_byte(&stream);
  CHECK(lun_output_write(output, bytes, TOTAL));
  CHECK(lun_output_write(output, NULL, 0));
  free(bytes);
  CHECK(lun_output_close(output, NULL) == LUN_OK);
  CHECK(count_file(file_path, 3) == TOTAL);
  lun_writer_destroy(writer);
}

/* ---- readers ---- */

static void take_a_nap(void) {
  nanosleep(&(struct timespec){ .tv_nsec = 100000 }, NULL);
}

/* A child that reads from `fds[0]`, a little at a time, and ends with 0 when it got the stream whole. */
static pid_t slow_reader(const int fds[2], uint64_t seed, int64_t total) {
  fflush(stdout);
  pid_t child = fork();
  MUST(child >= 0);
  if (child) {
    close(fds[0]);
    return child;
  }
  close(fds[1]);
  _exit(count_stream(fds[0], seed, 3000, take_a_nap) != total);
}

static bool has_ended_well(pid_t child) {
  int status;
  return waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void to_slow_reader(const int fds[2]) {
  enum { TOTAL = 3000000 };
  pid_t child = slow_reader(fds, 4, TOTAL);
  int flags = fcntl(fds[1], F_GETFL);
  lun_writer *writer = writer_start(NULL);
  lun_output *output = open_fd(writer, fds[1], 4096);
  CHECK(put_stream(output, 4, TOTAL, 10000) == TOTAL);
  CHECK(lun_output_close(output, NULL) == LUN_OK);
  CHECK(fcntl(fds[1], F_GETFL) == flags);
  close(fds[1]);
  CHECK(has_ended_well(child));
  lun_writer_destroy(writer);
}

static void slow_pipe(void) {
  int fds[2];
  MUST(pipe(fds) == 0);
  to_slow_reader(fds);
}

static void slow_nonblocking_pipe(void) {
  int fds[2];
  MUST(pipe(fds) == 0 && fcntl(fds[1], F_SETFL, O_NONBLOCK) == 0);
  to_slow_reader(fds);
}

static void slow_socket(void) {
  int fds[2], room = 5000;
  MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
  MUST(setsockopt(fds[1], SOL_SOCKET, SO_SNDBUF, &room, sizeof room) == 0);
  to_slow_reader(fds);
}

/* ---- several ---- */

enum { PRODUCERS = 4, EACH = 5000000 };

static void *produce(void *argument) {
  lun_output *output = argument;
  uint64_t put = put_stream(output, 7, EACH, 3000);
  return put == EACH && lun_output_flush(output) ? NULL : argument;
}

static void several(void) {
  char paths[PRODUCERS][sizeof file_path + 2];
  lun_output *outputs[PRODUCERS];
  pthread_t threads[PRODUCERS];
  lun_writer *writer = writer_start(NULL);
  for (int i = 0; i < PRODUCERS; i++) {
    snprintf(paths[i], sizeof paths[i], "%s.%d", file_path, i);
    outputs[i] = open_path(writer, paths[i], (size_t)4096 << i);
    MUST(pthread_create(&threads[i], NULL, produce, outputs[i]) == 0);
  }
  for (int i = 0; i < PRODUCERS; i++) {
    void *wrong;
    MUST(pthread_join(threads[i], &wrong) == 0);
    CHECK(!wrong);
    CHECK(count_file(paths[i], 7) == EACH);
    if (i % 2) CHECK(lun_output_close(outputs[i], NULL) == LUN_OK);
    unlink(paths[i]);
  }
  lun_writer_destroy(writer);
}

static void *read_stream(void *argument) {
  return (void *)(intptr_t)count_stream(*(int *)argument, 8, 3000, NULL);
}

/* Nobody reads from the pipe until the file's output has been written and closed. */
static void one_is_stuck(void) {
  enum { TOTAL = 200000 };
  int fds[2];
  pthread_t reader;
  void *count;
  MUST(pipe(fds) == 0);
  lun_writer *writer = writer_start(NULL);
  lun_output *stuck = open_fd(writer, fds[1], 0), *other = open_path(writer, file_path, 4096);
  CHECK(put_stream(stuck, 8, TOTAL, 1000) == TOTAL);
  CHECK(put_stream(other, 9, 1000000, 1000) == 1000000);
  CHECK(lun_output_close(other, NULL) == LUN_OK);
  CHECK(count_file(file_path, 9) == 1000000);
  CHECK(lun_output_written(stuck) < TOTAL);
  MUST(pthread_create(&reader, NULL, read_stream, &fds[0]) == 0);
  CHECK(lun_output_close(stuck, NULL) == LUN_OK);
  close(fds[1]);
  MUST(pthread_join(reader, &count) == 0);
  CHECK((intptr_t)count == TOTAL);
  close(fds[0]);
  lun_writer_destroy(writer);
}

static void destroy_without_close(void) {
  for (int i = 0; i < 50; i++) {
    lun_writer *writer = writer_start(NULL);
    lun_output *output = open_path(writer, file_path, 0);
    CHECK(put_stream(output, 10, 500000, 5000) == 500000);
    lun_writer_destroy(writer);
    CHECK(count_file(file_path, 10) == 500000);
  }
  lun_writer_destroy(NULL);
  CHECK(lun_output_close(NULL, NULL) == LUN_OK);
}

static const Case cases[] = {
  { "hammer", hammer },
  { "lines", lines },
  { "huge", huge },
  { "slow_pipe", slow_pipe },
  { "slow_nonblocking_pipe", slow_nonblocking_pipe },
  { "slow_socket", slow_socket },
  { "several", several },
  { "one_is_stuck", one_is_stuck },
  { "destroy_without_close", destroy_without_close },
};
MAIN(cases)
