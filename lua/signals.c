/* SPDX-License-Identifier: MIT */
/* What a fatal signal leaves behind: all that was traced before it is on disk. The handler runs on a stack of its own
 * (the thread's may be what is broken), lets the writer write what it has, and lets the signal end the process as it
 * would have. SIGINT and SIGTERM are no matter of this file: the writer's loop hears them.
 *
 * A script that calls os.exit leaves as suddenly: then all that was traced is written on the way out. */
#define _GNU_SOURCE /* on_exit */
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "command.h"

enum { RESCUE_MS = 2000, STACK_BYTES = 64 * 1024 };

/* A handler has no other way to know. */
static _Atomic(lun_writer *) guarded;

/* So has what exit(3) calls. */
static lun_output *open_output;

/* And that of run --listen, which nobody serves any more. */
static _Atomic(const char *) socket_path;

void socket_guard(const char *path) { atomic_store(&socket_path, path); }

void socket_remove(void) {
  const char *path = atomic_exchange(&socket_path, NULL);
  if (path) unlink(path);
}

static const int fatal_signals[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT };

static void on_fatal_signal(int number) {
  lun_writer *writer = atomic_exchange(&guarded, NULL);
  if (writer) lun_writer_rescue(writer, RESCUE_MS);
  socket_remove();
  raise(number);  /* SA_RESETHAND: the default action, as soon as this returns */
}

void signals_guard(lun_writer *writer) {
  static char stack[STACK_BYTES];
  atomic_store(&guarded, writer);
  if (!writer) return;
  stack_t alternate = { .ss_sp = stack, .ss_size = sizeof stack };
  struct sigaction action = { .sa_handler = on_fatal_signal, .sa_flags = SA_ONSTACK | (int)SA_RESETHAND };
  sigemptyset(&action.sa_mask);
  if (sigaltstack(&alternate, NULL) != 0) action.sa_flags &= ~SA_ONSTACK;
  for (size_t i = 0; i < sizeof fatal_signals / sizeof *fatal_signals; i++) sigaction(fatal_signals[i], &action, NULL);
}

/* On the guest's thread, to which the output belongs. A trace that is not whole is no success. */
static void on_exit_call(int status, void *unused) {
  lun_error error = LUN_ERROR_INIT;
  lun_output *output = open_output;
  (void)unused;
  open_output = NULL;
  socket_remove();
  if (!output || lun_output_close(output, &error) == LUN_OK) return;
  int failure = report_error(&error, NULL);
  lun_error_clear(&error);
  if (status) return;
  fflush(NULL);
  _exit(failure);
}

bool exit_guard(lun_output *output) {
  open_output = output;
  return !output || on_exit(on_exit_call, NULL) == 0;
}
