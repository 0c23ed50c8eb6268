/* SPDX-License-Identifier: MIT */
/* When bytes arrive: at a flush before it returns, at a terminal at once, elsewhere soon; and in which order with what
 * others write to the same file. */
#define _GNU_SOURCE
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <termios.h>

#include "output_test.h"

static void flush(void) {
  lun_writer *writer = writer_start(NULL);
  lun_output *output = open_path(writer, file_path, 8192);
  uint64_t sizes = 5, total = 0;
  uint8_t bytes[20000] = { 0 };
  for (int i = 0; i < 2000; i++) {
    size_t size = random_next(&sizes) % sizeof bytes;
    CHECK(lun_output_write(output, bytes, size));
    total += size;
    CHECK(lun_output_flush(output));
    CHECK((uint64_t)file_size(file_path) == total);
    CHECK(lun_output_written(output) == total);
  }
  CHECK(lun_output_flush(output));
  CHECK(lun_output_close(output, NULL) == LUN_OK);
  lun_writer_destroy(writer);
}

/* The guest and the trace on one descriptor. */
static void order(void) {
  int fd = open(file_path, O_RDWR | O_APPEND);
  MUST(fd >= 0);
  lun_writer *writer = writer_start(NULL);
  lun_output *output = open_fd(writer, fd, 0);
  char line[32], expected[32];
  for (int i = 0; i < 1000; i++) {
    CHECK(lun_output_write(output, line, (size_t)snprintf(line, sizeof line, "trace %d\n", i)));
    CHECK(lun_output_same_file(output, fd) && lun_output_flush(output));
    MUST(write(fd, line, (size_t)snprintf(line, sizeof line, "guest %d\n", i)) > 0);
  }
  CHECK(lun_output_close(output, NULL) == LUN_OK);
  CHECK(fcntl(fd, F_GETFL) >= 0); /* stays the caller's */
  close(fd);
  FILE *file = fopen(file_path, "r");
  MUST(file);
  for (int i = 0; i < 2000; i++) {
    snprintf(expected, sizeof expected, i % 2 ? "guest %d\n" : "trace %d\n", i / 2);
    CHECK(fgets(line, sizeof line, file) && strcmp(line, expected) == 0);
  }
  fclose(file);
  lun_writer_destroy(writer);
}

/* Nobody flushes, nobody closes: the lines come all the same. With pauses in between, so that the writer rests. */
static void soon(void) {
  int fds[2];
  char line[] = "line\n", got[sizeof line];
  MUST(pipe(fds) == 0);
  lun_writer *writer = writer_start(NULL);
  lun_output *output = open_fd(writer, fds[1], 0);
  for (int i = 0; i < 100; i++) {
    CHECK(lun_output_write(output, line, 5));
    CHECK(read(fds[0], got, 5) == 5 && memcmp(got, line, 5) == 0);
  }
  CHECK(lun_output_close(output, NULL) == LUN_OK);
  close(fds[0]);
  close(fds[1]);
  lun_writer_destroy(writer);
}

static int terminal_open(int *master) {
  *master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (*master < 0 || grantpt(*master) || unlockpt(*master)) return -1;
  const char *name = ptsname(*master);
  int fd = name ? open(name, O_RDWR | O_NOCTTY | O_CLOEXEC) : -1;
  struct termios mode;
  if (fd < 0 || tcgetattr(fd, &mode)) return -1;
  cfmakeraw(&mode);
  return tcsetattr(fd, TCSANOW, &mode) ? -1 : fd;
}

/* A line to a terminal is there without a flush, again and again: each time the writer has to be found asleep. */
static void terminal(void) {
  int master, fd = terminal_open(&master);
  MUST(fd >= 0);
  lun_writer *writer = writer_start(NULL);
  lun_output *output = open_fd(writer, fd, 0);
  char got[8];
  for (int i = 0; i < 20000; i++) {
    CHECK(lun_output_write(output, "line", 4));
    size_t count = 0;
    while (count < 4) {
      ssize_t more = read(master, got, 4 - count);
      MUST(more > 0);
      count += (size_t)more;
    }
  }
  CHECK(lun_output_close(output, NULL) == LUN_OK);
  close(fd);
  close(master);
  lun_writer_destroy(writer);
}

/* A kernel, or a container's filter, without membarrier(2). */
static void without_membarrier(void) {
  struct sock_filter code[] = {
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_membarrier, 0, 1),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program = { sizeof code / sizeof *code, code };
  fflush(stdout);
  pid_t child = fork();
  MUST(child >= 0);
  if (child) {
    int status;
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    return;
  }
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)) _exit(0);
  soon();
  terminal();
  _exit(failures != 0);
}

static void same_file(void) {
  int fds[2], fd = open(file_path, O_RDONLY), null = open("/dev/null", O_WRONLY);
  MUST(pipe(fds) == 0 && fd >= 0 && null >= 0);
  lun_writer *writer = writer_start(NULL);
  lun_output *file = open_path(writer, file_path, 0), *pipe_end = open_fd(writer, fds[1], 0);
  CHECK(lun_output_same_file(file, fd));
  CHECK(!lun_output_same_file(file, null) && !lun_output_same_file(file, fds[1]));
  CHECK(lun_output_same_file(pipe_end, fds[0]) && !lun_output_same_file(pipe_end, fd));
  close(fd);
  CHECK(!lun_output_same_file(file, fd));
  close(null);
  close(fds[0]);
  close(fds[1]);
  lun_writer_destroy(writer);
}

static const Case cases[] = {
  { "flush", flush },
  { "order", order },
  { "soon", soon },
  { "terminal", terminal },
  { "without_membarrier", without_membarrier },
  { "same_file", same_file },
};
MAIN(cases)
