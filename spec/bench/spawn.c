/* SPDX-License-Identifier: MIT */
/* How long programs take from start to exit: spawn ROUNDS COMMAND… [-- COMMAND…]… runs them in turn, output to /dev/null,
 * and prints a line for each: best ms, median ms, the least of processor time (user and system), the largest resident set
 * in MB. */
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { COMMANDS_MOST = 8, ROUNDS_MOST = 1000 };
extern char **environ;

static double now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static int by_size(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static double milliseconds(struct timeval time) { return (double)time.tv_sec * 1e3 + (double)time.tv_usec / 1e3; }

static double time_one(char **command, const posix_spawn_file_actions_t *actions, long *resident, double *least) {
  pid_t child;
  int status;
  struct rusage usage;
  double start = now_ms();
  if (posix_spawnp(&child, command[0], actions, NULL, command, environ) != 0) return -1;
  if (wait4(child, &status, 0, &usage) != child || !WIFEXITED(status) || WEXITSTATUS(status) != 0) return -1;
  if (usage.ru_maxrss > *resident) *resident = usage.ru_maxrss;
  double own = milliseconds(usage.ru_utime) + milliseconds(usage.ru_stime);
  if (own < *least) *least = own;
  return now_ms() - start;
}

int main(int argc, char **argv) {
  static double times[COMMANDS_MOST][ROUNDS_MOST];
  long resident[COMMANDS_MOST] = { 0 };
  double least[COMMANDS_MOST];
  char **commands[COMMANDS_MOST];
  int count = 0, rounds = argc > 2 ? atoi(argv[1]) : 0;
  if (rounds < 1 || rounds > ROUNDS_MOST) return fprintf(stderr, "usage: spawn ROUNDS COMMAND… [-- COMMAND…]…\n"), 2;
  commands[count++] = argv + 2;
  for (int i = 2; i < argc && count < COMMANDS_MOST; i++) {
    if (strcmp(argv[i], "--") != 0) continue;
    argv[i] = NULL;
    commands[count++] = argv + i + 1;
  }
  for (int i = 0; i < count; i++) least[i] = 1e9;
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
  for (int round = 0; round < rounds; round++) {
    for (int i = 0; i < count; i++) {
      times[i][round] = time_one(commands[i], &actions, &resident[i], &least[i]);
      if (times[i][round] < 0) return fprintf(stderr, "spawn: %s failed\n", commands[i][0]), 1;
    }
  }
  for (int i = 0; i < count; i++) {
    qsort(times[i], (size_t)rounds, sizeof(double), by_size);
    printf("%.3f %.3f %.3f %.2f\n", times[i][0], times[i][rounds / 2], least[i], (double)resident[i] * 1024 / 1e6);
  }
  return 0;
}
