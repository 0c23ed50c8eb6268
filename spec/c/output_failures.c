/* SPDX-License-Identifier: MIT */
/* What cannot be written: the first error is kept, the rest is counted as lost, and nobody waits for ever or dies of a
 * signal. What cannot be opened or started: a sentence, and nothing is left behind. */
#define _GNU_SOURCE
#include <sys/resource.h>

#include "output_test.h"

/* Writes until told that writing has failed; a producer that is not told hangs, and the alarm ends it. */
static void write_until_failure(lun_output *output, int failure, const char *message) {
  char bytes[1000] = { 0 };
  uint64_t total = sizeof bytes;
  while (lun_output_write(output, bytes, sizeof bytes)) total += sizeof bytes;
  CHECK(!lun_output_write(output, bytes, sizeof bytes));
  total += sizeof bytes;
  CHECK(!lun_output_flush(output));
  CHECK(lun_output_errno(output) == failure);
  CHECK(lun_output_written(output) + lun_output_lost(output) == total);
  lun_error error = LUN_ERROR_INIT;
  CHECK(lun_output_close(output, &error) == LUN_IO && error.kind == LUN_IO);
  CHECK(strncmp(error.message, message, strlen(message)) == 0);
  lun_error_clear(&error);
}

static void closed_pipe(void) {
  int fds[2];
  char message[64];
  MUST(pipe(fds) == 0);
  close(fds[0]);
  lun_writer *writer = writer_start(NULL);
  snprintf(message, sizeof message, "cannot write descriptor %d: Broken pipe (", fds[1]);
  write_until_failure(open_fd(writer, fds[1], 4096), EPIPE, message);
  close(fds[1]);
  lun_writer_destroy(writer);
}

/* The reader leaves while the producer waits for room. */
static void reader_leaves(void) {
  int fds[2];
  char bytes[5000];
  MUST(pipe(fds) == 0);
  fflush(stdout);
  pid_t child = fork();
  MUST(child >= 0);
  if (!child) {
    close(fds[1]);
    for (int i = 0; i < 50; i++) {
      if (read(fds[0], bytes, sizeof bytes) <= 0) _exit(1);
    }
    _exit(0);
  }
  close(fds[0]);
  lun_writer *writer = writer_start(NULL);
  write_until_failure(open_fd(writer, fds[1], 4096), EPIPE, "cannot write descriptor ");
  close(fds[1]);
  lun_writer_destroy(writer);
  CHECK(waitpid(child, NULL, 0) == child);
}

static void full_disk(void) {
  lun_writer *writer = writer_start(NULL);
  write_until_failure(open_path(writer, "/dev/full", 0), ENOSPC, "cannot write /dev/full: No space left on device (");
  lun_output *output = open_path(writer, "/dev/full", 0);
  CHECK(lun_output_write(output, "x", 1));
  CHECK(lun_output_close(output, NULL) == LUN_IO);
  lun_writer_destroy(writer);
}

/* A write that is cut short, then refused. */
static void file_too_large(void) {
  enum { MOST = 100001 };
  fflush(stdout);
  pid_t child = fork();
  MUST(child >= 0);
  if (!child) {
    MUST(setrlimit(RLIMIT_FSIZE, &(struct rlimit){ MOST, MOST }) == 0);
    lun_writer *writer = writer_start(NULL);
    lun_output *output = open_path(writer, file_path, 4096);
    uint64_t put = put_stream(output, 1, 1000000, 1000);
    CHECK(put < 1000000);
    CHECK(lun_output_errno(output) == EFBIG && lun_output_written(output) == MOST);
    lun_writer_destroy(writer);
    _exit(failures != 0);
  }
  int status;
  CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
  CHECK(count_file(file_path, 1) == MOST);
}

/* One output's failure is no other's. */
static void beside_a_failed_one(void) {
  lun_writer *writer = writer_start(NULL);
  lun_output *full = open_path(writer, "/dev/full", 0), *good = open_path(writer, file_path, 4096);
  for (int i = 0; i < 10; i++) {
    lun_output_write(full, "lost", 4);
    CHECK(put_stream(good, 5, 100000, 1000) == 100000);
  }
  CHECK(!lun_output_flush(full));
  CHECK(lun_output_flush(good) && lun_output_errno(good) == 0 && lun_output_lost(good) == 0);
  lun_writer_destroy(writer);
  CHECK(file_size(file_path) == 1000000);
}

/* ---- opening ---- */

static void cannot_open(lun_writer *writer, const char *path, int fd, const char *message) {
  lun_error error = LUN_ERROR_INIT;
  lun_output *output = (lun_output *)&error;
  CHECK(lun_output_open(writer, &(lun_output_options){ .path = path, .fd = fd }, &output, &error) == LUN_OUTPUT);
  CHECK(!output);
  CHECK(error.kind == LUN_OUTPUT);
  if (strcmp(error.message, message) != 0) printf("# %s\n", error.message);
  CHECK(strcmp(error.message, message) == 0);
  lun_error_clear(&error);
}

static void refused(void) {
  lun_writer *writer = writer_start(NULL);
  int read_only = open(file_path, O_RDONLY);
  char message[64];
  MUST(read_only >= 0);
  cannot_open(writer, "/nowhere/at/all", 0, "cannot write /nowhere/at/all: No such file or directory");
  cannot_open(writer, "/", 0, "cannot write /: Is a directory");
  cannot_open(writer, NULL, -1, "cannot write descriptor -1: Bad file descriptor");
  cannot_open(writer, NULL, 987, "cannot write descriptor 987: Bad file descriptor");
  snprintf(message, sizeof message, "cannot write descriptor %d: Bad file descriptor", read_only);
  cannot_open(writer, NULL, read_only, message);
  close(read_only);
  lun_writer_destroy(writer);
}

static void not_permitted(void) {
  fflush(stdout);
  pid_t child = fork();
  MUST(child >= 0);
  if (!child) {
    char message[128];
    MUST(chmod(file_path, 0444) == 0);
    if (geteuid() == 0) MUST(setresuid(65534, 65534, 65534) == 0);
    lun_writer *writer = writer_start(NULL);
    snprintf(message, sizeof message, "cannot write %s: Permission denied", file_path);
    cannot_open(writer, file_path, 0, message);
    lun_writer_destroy(writer);
    _exit(failures != 0);
  }
  int status;
  CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* ---- starting ---- */

static bool cannot_start(void) {
  lun_error error = LUN_ERROR_INIT;
  lun_writer *writer = (lun_writer *)&error;
  lun_status status = lun_writer_create(&(lun_writer_options){ .watch_signals = true, .deadline_ns = 1 }, &writer, &error);
  if (status == LUN_OK) {
    lun_writer_destroy(writer);
    return false;
  }
  CHECK(status == LUN_NO_MEMORY && error.kind == LUN_NO_MEMORY && !writer);
  CHECK(strncmp(error.message, "cannot start the writer thread: ", 32) == 0);
  lun_error_clear(&error);
  return true;
}

/* Each descriptor that starting a writer takes is refused once. */
static void no_descriptors(void) {
  struct rlimit old;
  MUST(getrlimit(RLIMIT_NOFILE, &old) == 0);
  int next = dup(0), refusals = 0;
  MUST(next >= 0);
  close(next);
  for (int more = 0; more < 40; more++) {
    MUST(setrlimit(RLIMIT_NOFILE, &(struct rlimit){ (rlim_t)(next + more), old.rlim_max }) == 0);
    if (!cannot_start()) break;
    refusals++;
  }
  CHECK(refusals >= 4);
  MUST(setrlimit(RLIMIT_NOFILE, &old) == 0);
}

/* libuv gives a thread a stack as large as the limit; nobody has so much address space. */
static void no_thread(void) {
  struct rlimit old;
  MUST(getrlimit(RLIMIT_STACK, &old) == 0);
  if (old.rlim_max != RLIM_INFINITY) return;
  MUST(setrlimit(RLIMIT_STACK, &(struct rlimit){ (rlim_t)1 << 48, old.rlim_max }) == 0);
  CHECK(cannot_start());
  MUST(setrlimit(RLIMIT_STACK, &old) == 0);
  CHECK(!cannot_start());
}

static const Case cases[] = {
  { "closed_pipe", closed_pipe },
  { "reader_leaves", reader_leaves },
  { "full_disk", full_disk },
  { "file_too_large", file_too_large },
  { "beside_a_failed_one", beside_a_failed_one },
  { "refused", refused },
  { "not_permitted", not_permitted },
  { "no_descriptors", no_descriptors },
  { "no_thread", no_thread },
};
MAIN(cases)
