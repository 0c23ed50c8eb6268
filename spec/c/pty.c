/* SPDX-License-Identifier: MIT */
/* Drives a program on a terminal of its own: pty PROGRAM ARG…, with a dialogue on stdin, a line each:
 *
 *     expect TEXT    waits until the terminal shows TEXT, behind what was expected before
 *     send TEXT      types TEXT
 *     interrupt      types Ctrl-C
 *     eof            waits for the program's end
 *
 * \n, \t, \e and \xNN stand for bytes. Everything shown goes to stdout; the status is the program's (128 + a signal's number).
 * What is expected and does not come is a failure after a minute: status 99. */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

enum { SHOWN_MOST = 1 << 20, WAIT_MS = 60000, FAILED = 99 };

static char shown[SHOWN_MOST];
static size_t size, seen;

static void give_up(const char *what) {
  fprintf(stderr, "pty: %s\n", what);
  fwrite(shown, 1, size, stdout);
  exit(FAILED);
}

/* One read of the terminal. 0: the program has closed it. */
static int look(int terminal) {
  struct pollfd ready = { terminal, POLLIN, 0 };
  int count = poll(&ready, 1, WAIT_MS);
  if (count == 0) give_up("nothing comes");
  if (size == sizeof shown) give_up("too much was shown");
  ssize_t got = read(terminal, shown + size, sizeof shown - size);
  if (got <= 0) return 0;
  size += (size_t)got;
  return 1;
}

static size_t unescape(char *text) {
  char *to = text;
  for (const char *from = text; *from;) {
    if (*from != '\\') *to++ = *from++;
    else if (from[1] == 'n') *to++ = '\n', from += 2;
    else if (from[1] == 't') *to++ = '\t', from += 2;
    else if (from[1] == 'e') *to++ = '\033', from += 2;
    else if (from[1] == 'x' && from[2] && from[3]) *to++ = (char)strtoul((char[]){ from[2], from[3], 0 }, NULL, 16), from += 4;
    else *to++ = *from++;
  }
  *to = 0;
  return (size_t)(to - text);
}

static void expect(int terminal, const char *text, size_t count) {
  for (;;) {
    const char *at = memmem(shown + seen, size - seen, text, count);
    if (at) {
      seen = (size_t)(at - shown) + count;
      return;
    }
    if (!look(terminal)) {
      fprintf(stderr, "pty: the program ended before it showed: %s\n", text);
      give_up("end");
    }
  }
}

static void type(int terminal, const char *text, size_t count) {
  while (count) {
    ssize_t put = write(terminal, text, count);
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) give_up("the terminal takes nothing");
    text += put;
    count -= (size_t)put;
  }
}

static void play(int terminal) {
  char line[4096];
  while (fgets(line, sizeof line, stdin)) {
    line[strcspn(line, "\n")] = 0;
    if (strncmp(line, "expect ", 7) == 0) expect(terminal, line + 7, unescape(line + 7));
    else if (strncmp(line, "send ", 5) == 0) type(terminal, line + 5, unescape(line + 5));
    else if (strcmp(line, "interrupt") == 0) type(terminal, "\003", 1);
    else if (strcmp(line, "eof") == 0) while (look(terminal)) continue;
    else if (*line) give_up(line);
  }
}

int main(int argc, char **argv) {
  struct winsize window = { .ws_row = 40, .ws_col = 100 };
  int terminal, status;
  if (argc < 2) give_up("usage: pty PROGRAM ARG...");
  pid_t child = forkpty(&terminal, NULL, NULL, &window);
  if (child < 0) give_up("no terminal is to be had");
  if (child == 0) {
    setenv("TERM", "dumb", 1);
    execv(argv[1], argv + 1);
    _exit(127);
  }
  play(terminal);
  while (look(terminal)) continue;
  if (waitpid(child, &status, 0) != child) give_up("the program is gone");
  fwrite(shown, 1, size, stdout);
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
