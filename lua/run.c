/* SPDX-License-Identifier: MIT */
/* lunette run: from options to the exit status. Without a script no Lua is started, and no writer unless a deadline needs
 * its loop. Order: module, WASI, output, scripts, instance, entry, at_exit, flush, messages; then all is taken down in
 * reverse. What fails fills run->error, which is reported once. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "binding.h"
#include "command.h"

enum { STOPPED = 512 };                  /* of run.finish: lunette.stop was called after the guest's end; less this, its status */
enum { RESCUE_MS = 500, QUIT = 256 }; /* QUIT: of run.prompt, the prompt was left before the guest ran */
/* How long scripts may go on after the end was asked for: in a callback while the guest runs, and in at_exit. */
enum { GRACE_MS = 1000, GRACES_RUNNING = 1, GRACES_FINISHING = 5 };

typedef enum Phase { PHASE_RUNNING, PHASE_FINISHING, PHASE_OVER } Phase;

typedef struct Run {
  const Options *options;
  const char *path;
  lun_store *store;
  lun_module *module;
  lun_wasi *wasi;
  lun_writer *writer;
  lun_output *output;         /* NULL: there are no scripts */
  Terminal *terminal;         /* the prompt's, likewise */
  State state;
  lun_imports *imports;
  lun_instance *instance;
  Invocation invocation;
  int stdin_fd;
  bool shares_file[3];        /* the trace goes to the same open file as the guest's descriptor */
  _Atomic int signal_number;  /* the first that asked for the end */
  atomic_bool expired;        /* the deadline has passed */
  _Atomic bool pause_asked;   /* Ctrl-C in repl, until the guest stands still */
  bool pause_told;            /* the writer's: that it does not has been said */
  atomic_bool unread;         /* nobody reads the trace any more */
  _Atomic Phase phase;
  Phase grace_phase;          /* the writer's: in which phase it counts … */
  int graces;                 /* … how often it has been waited for in vain */
  bool about_module;          /* the error is about the module's file: messages name it */
  lun_error error;
} Run;

/* ---- what the others call ---- */
static void on_signal(void *self, int number, unsigned count) {
  Run *run = self;
  if (number == SIGINT && terminal_cancel(run->terminal)) return;
  if (number == SIGINT && run->options->is_repl) {
    if (!atomic_exchange(&run->pause_asked, true)) {
      run->pause_told = false;
      lun_store_poke(run->store);
      return;
    }
    count = 2;
  }
  if (count > 1) {
    lun_writer_rescue(run->writer, RESCUE_MS);
    socket_remove();
    _exit(128 + number);
  }
  atomic_store(&run->signal_number, number);
  lun_store_interrupt(run->store);
}

static void on_deadline(void *self) {
  Run *run = self;
  atomic_store(&run->expired, true);
  lun_store_expire(run->store);
}

/* The rest of a run whose trace nobody reads would be in vain: it ends, with the status of a trace that is not whole. */
static void on_failure(void *self, const lun_output *output, int failure) {
  Run *run = self;
  (void)output;
  if (failure != EPIPE) return;
  atomic_store(&run->unread, true);
  lun_store_interrupt(run->store);
}

/* NULL: nobody has asked for the end. */
static const char *why_ended(const Run *run, int *exit_status) {
  int number = atomic_load(&run->signal_number);
  bool expired = !number && atomic_load(&run->expired);
  if (!number && !expired && !atomic_load(&run->unread)) return NULL;
  *exit_status = number ? 128 + number : lun_status_exit(expired ? LUN_TIMEOUT : LUN_IO);
  return number ? "interrupted" : expired ? "the run took too long" : "the trace could not be written";
}

/* A callback of a script that does not return cannot be ended in order. A slow reader of the trace is none of its making, and
 * somebody at the prompt takes what time he likes. */
static void on_grace(void *self, bool blocked) {
  Run *run = self;
  Phase phase = atomic_load(&run->phase);
  int exit_status;
  if (phase != run->grace_phase) run->graces = 0;
  run->grace_phase = phase;
  if (phase == PHASE_RUNNING && atomic_load(&run->pause_asked) && !run->pause_told) {
    run->pause_told = true;
    if (isatty(STDERR_FILENO) && write(STDERR_FILENO, "\n", 1) < 0) return; /* behind the key that the terminal shows */
    message("a script or a host function does not return; Ctrl-C once more quits");
  }
  const char *why = why_ended(run, &exit_status);
  if (!why || phase == PHASE_OVER || blocked || terminal_is_reading(run->terminal)) return;
  if (++run->graces < (phase == PHASE_RUNNING ? GRACES_RUNNING : GRACES_FINISHING)) return;
  lun_writer_rescue(run->writer, RESCUE_MS);
  socket_remove();
  message("%s, and %s did not return", why, phase == PHASE_RUNNING ? "a script or a host function" : "at_exit");
  _exit(exit_status);
}

static void before_guest_writes(void *self, int fd) {
  Run *run = self;
  if (fd == 1 || fd == 2) terminal_yield(run->terminal);
  if (run->output && (fd == 1 || fd == 2) && run->shares_file[fd]) lun_output_flush(run->output);
}

/* From the binding: a script's text is about to go to the output. */
static void before_output(void *self) {
  Run *run = self;
  if (run->shares_file[2]) terminal_yield(run->terminal);
}

static void flush_output(void *self) {
  Run *run = self;
  if (run->output) lun_output_flush(run->output);
}

/* From the binding: a listener failed, a where matches nothing. */
static void on_message(void *self, const char *text, size_t size) {
  before_guest_writes(self, STDERR_FILENO);
  message_lines(text, size);
}

/* ---- the steps ---- */
static lun_status open_module(Run *run) {
  lun_store_options options = { .limits = run->options->limits };
  lun_status status = lun_store_create(&options, &run->store, &run->error);
  if (status != LUN_OK) return status;
  status = guest_module(run->store, run->path, &run->module, &run->error);
  if (status != LUN_OK) run->about_module = status != LUN_NO_INPUT;
  return status;
}

/* "add, sub, …": what --invoke could call. */
static void hint_exports(const lun_module *module, lun_error *error) {
  char names[200] = "";
  uint32_t count = lun_module_export_count(module), shown = 0;
  for (uint32_t i = 0; i < count && shown < 5; i++) {
    lun_port port = lun_module_export(module, i);
    if (port.kind != LUN_EXTERN_FUNCTION || strlen(names) + strlen(port.name) + 8 > sizeof names) continue;
    if (shown++) strcat(names, ", ");
    strcat(names, port.name);
  }
  if (shown) error_hint(error, "--invoke NAME calls an export: %s", names);
}

/* Before anything runs: is there something to call, and do the words fit it? */
static lun_status find_entry(Run *run) {
  const Options *options = run->options;
  lun_status status = LUN_OK;
  if (options->invoke) {
    status = invocation_prepare(&run->invocation, run->module, options->invoke, options->arguments + 1,
                                options->argument_count - 1, &run->error);
    run->about_module = status == LUN_UNLINKABLE;
    return status;
  }
  const lun_definition *start = exported_function(run->module, "_start");
  const lun_signature *signature = start ? lun_definition_signature(start) : NULL;
  if (start && signature->param_count == 0 && signature->result_count == 0) return LUN_OK;
  if (!start && options->is_repl) return LUN_OK; /* its exports can be called */
  run->about_module = true;
  hint_exports(run->module, &run->error);
  return lun_error_set(&run->error, LUN_UNLINKABLE,
                       start ? "its _start takes params or gives results; an entry does neither"
                             : "there is nothing to run: it exports no _start");
}

/* The listening sockets, which lun_wasi_create takes over; a port that the system chose is told. */
static lun_status open_sockets(Run *run, int *sockets, size_t *count) {
  const Options *options = run->options;
  char address[96];
  for (*count = 0; *count < options->listen_count; ++*count) {
    const char *wanted = options->listen[*count];
    lun_status status = lun_wasi_listen(wanted, &sockets[*count], &run->error);
    if (status != LUN_OK) return status;
    if (strcmp(strrchr(wanted, ':'), ":0") == 0 && lun_wasi_address(sockets[*count], address, sizeof address))
      hint("the program listens on %s", address);
  }
  return LUN_OK;
}

static lun_status create_wasi(Run *run, lun_wasi_options *wasi) {
  int *sockets = calloc(run->options->listen_count + 1, sizeof *sockets);
  if (!sockets) return lun_error_set(&run->error, LUN_NO_MEMORY, "out of memory");
  lun_status status = open_sockets(run, sockets, &wasi->socket_count);
  wasi->sockets = sockets;
  if (status == LUN_OK) status = lun_wasi_create(wasi, &run->wasi, &run->error);
  for (size_t i = 0; status != LUN_OK && i < wasi->socket_count; i++) close(sockets[i]);
  free(sockets);
  return status;
}

static lun_status open_wasi(Run *run) {
  const Options *options = run->options;
  const char *slash = strrchr(run->path, '/');
  size_t count = options->invoke ? 1 : (size_t)options->argument_count;
  const char **args = calloc(count, sizeof *args);
  if (!args) return lun_error_set(&run->error, LUN_NO_MEMORY, "out of memory");
  args[0] = options->argv0 ? options->argv0 : slash ? slash + 1 : run->path;
  for (size_t i = 1; i < count; i++) args[i] = options->arguments[i];
  lun_status status = LUN_OK;
  if (options->stdin_path) {
    run->stdin_fd = open(options->stdin_path, O_RDONLY | O_CLOEXEC);
    if (run->stdin_fd < 0)
      status = lun_error_set(&run->error, LUN_NO_INPUT, "cannot open %s: %s", options->stdin_path, strerror(errno));
  }
  lun_wasi_options wasi = {
    .args = args, .arg_count = count, .env = options->env, .env_count = options->env_count, .dirs = options->dirs,
    .dir_count = options->dir_count, .stdio = { run->stdin_fd < 0 ? 0 : run->stdin_fd, 1, 2 },
    .before_write = options->script_count || options->is_repl ? before_guest_writes : NULL, .self = run,
    .inherit_env = options->inherit_env, .deterministic = options->deterministic,
  };
  if (status == LUN_OK) status = create_wasi(run, &wasi);
  free(args);
  return status;
}

static lun_status open_output(Run *run) {
  const Options *options = run->options;
  bool has_scripts = options->script_count > 0 || options->is_repl || options->listen_path;
  if (!has_scripts && !options->timeout_ns) return LUN_OK;
  lun_writer_options writer = {
    .watch_signals = has_scripts, .on_signal = on_signal, .deadline_ns = options->timeout_ns, .on_deadline = on_deadline,
    .on_failure = on_failure, .grace_ms = has_scripts ? GRACE_MS : 0, .on_grace = on_grace, .self = run,
  };
  lun_status status = lun_writer_create(&writer, &run->writer, &run->error);
  if (status != LUN_OK || !has_scripts) return status;
  signals_guard(run->writer);
  bool to_stdout = options->output && strcmp(options->output, "-") == 0;
  if (options->closed[to_stdout ? 1 : 2] && (to_stdout || !options->output))
    return lun_error_set(&run->error, LUN_OUTPUT, "cannot write standard %s: it is closed", to_stdout ? "output" : "error");
  lun_output_options output = { .path = to_stdout ? NULL : options->output, .fd = to_stdout ? 1 : 2 };
  status = lun_output_open(run->writer, &output, &run->output, &run->error);
  if (status == LUN_OK && !exit_guard(run->output)) status = lun_error_set(&run->error, LUN_NO_MEMORY, "out of memory");
  for (int fd = 1; status == LUN_OK && fd <= 2; fd++) run->shares_file[fd] = lun_output_same_file(run->output, fd);
  return status;
}

/* The exit status where a script stopped everything; that has been said. */
static int load_scripts(Run *run) {
  binding_loan loan = {
    .store = run->store, .writer = run->writer, .output = run->output, .strict = run->options->strict,
    .unsafe = run->options->unsafe, .message = on_message, .before_output = before_output, .self = run, .pause_asked = &run->pause_asked,
  };
  run->terminal = terminal_create(run->store);
  if (!run->terminal) {
    (void)lun_error_set(&run->error, LUN_NO_MEMORY, "out of memory");
    return 0;
  }
  terminal_on_flush(run->terminal, flush_output, run);
  Request request = { .options = run->options, .module = run->module, .terminal = run->terminal };
  if (run->options->listen_path) {
    int fd = socket_listen(run->options->listen_path, &run->error);
    if (fd < 0) return 0;
    request.listen_fd = fd; /* the script loop's from here on */
    socket_guard(run->options->listen_path);
  }
  if (state_open(&run->state, &loan, &run->error) != LUN_OK) return 0;
  return state_call(&run->state, "run", "load", &request);
}

static lun_status make_instance(Run *run) {
  lun_status status = lun_imports_create(run->store, &run->imports, &run->error);
  const lun_toolchain_options toolchain = {
    .trace_fd = STDERR_FILENO, .before_write = before_guest_writes, .self = run, .deterministic = run->options->deterministic,
  };
  if (status == LUN_OK) status = lun_toolchain_import(run->module, &toolchain, run->imports, &run->error);
  if (status == LUN_OK) status = lun_wasi_import(run->wasi, run->imports, &run->error);
  if (status == LUN_OK && run->state.lua) status = state_add_hosts(&run->state, run->imports, &run->error);
  if (status == LUN_OK && run->options->stub_imports) lun_imports_stub(run->imports);
  if (status == LUN_OK)
    status = lun_instance_create(run->store, run->module, run->imports, NULL, &run->instance, &run->error);
  run->about_module = status == LUN_UNLINKABLE;
  return status;
}

static lun_status call_entry(Run *run) {
  if (!run->options->invoke) {
    lun_function *start = lun_instance_function(run->instance, "_start");
    return start ? lun_function_invoke(start, NULL, NULL, &run->error) : LUN_OK;
  }
  const lun_definition *initialize = exported_function(run->module, "_initialize");
  lun_status status = LUN_OK;
  if (initialize && strcmp(run->options->invoke, "_initialize") != 0) {
    const lun_signature *signature = lun_definition_signature(initialize);
    if (signature->param_count == 0 && signature->result_count == 0)
      status = lun_function_invoke(lun_instance_function(run->instance, "_initialize"), NULL, NULL, &run->error);
  }
  return status == LUN_OK ? invocation_run(&run->invocation, run->instance, &run->error) : status;
}

/* ---- the end ---- */
/* It ended because nobody reads the trace, which is said when that is closed. */
static bool is_unread(Run *run, lun_status status) {
  return status == LUN_INTERRUPTED && !atomic_load(&run->signal_number) && atomic_load(&run->unread);
}

/* Says what ended the guest, after all that was traced; the exit status. */
static int tell_end(Run *run, lun_status status) {
  if (status == LUN_OK || is_unread(run, status)) return 0;
  if (status == LUN_EXIT) return run->error.code & 255;
  if (status == LUN_TIMEOUT && run->options->timeout)
    snprintf(run->error.message, sizeof run->error.message, "the run took longer than %s", run->options->timeout);
  int number = atomic_load(&run->signal_number);
  if (status == LUN_INTERRUPTED && number == SIGTERM) {
    (void)report_error(&run->error, NULL);
    return 128 + SIGTERM;
  }
  return report_error(&run->error, run->about_module ? run->path : NULL);
}

/* After the guest has ended: at_exit, and what goes on in the script loop. *at_exit is the exit status where --strict minds a
 * failure. A signal or the deadline ends this as it would have ended the guest. */
static lun_status finish(Run *run, lun_status status, int *at_exit) {
  int number, exit_status;
  bool expired;
  /* The end was asked for already: nothing lingers. */
  Request request = { .topic = why_ended(run, &exit_status) };
  *at_exit = state_call(&run->state, "run", "finish", &request);
  number = atomic_load(&run->signal_number);
  expired = atomic_load(&run->expired);
  if ((status != LUN_OK && status != LUN_EXIT) || (!number && !expired)) return status;
  lun_error_clear(&run->error);
  return lun_error_set(&run->error, number ? LUN_INTERRUPTED : LUN_TIMEOUT, "interrupted");
}

/* A signal or a deadline that came too late for the guest is for what follows it. */
static void pass_on(Run *run) {
  if (atomic_load(&run->expired)) lun_store_expire(run->store);
  if (atomic_load(&run->signal_number)) lun_store_interrupt(run->store);
}

/* The prompt once more, after what ended the guest has been said. */
static void prompt_again(Run *run, int ended) {
  char text[64];
  Request request = { .topic = text };
  snprintf(text, sizeof text, "the guest has ended with status %d", ended);
  (void)state_call(&run->state, "run", "ended", &request);
}

/* Whether all of the trace was written; 0 or 74. */
static int close_output(Run *run) {
  lun_error error = LUN_ERROR_INIT;
  if (!run->output || !exit_guard(NULL)) return 0;
  lun_status status = lun_output_close(run->output, &error);
  run->output = NULL;
  if (status == LUN_OK) return 0;
  int exit_status = report_error(&error, NULL);
  lun_error_clear(&error);
  return exit_status;
}

static void take_down(Run *run) {
  lun_error_clear(&run->error);
  invocation_clear(&run->invocation);
  lun_imports_destroy(run->imports);
  lun_module_destroy(run->module);
  lun_store_destroy(run->store);
  state_close(&run->state);
  terminal_destroy(run->terminal);
  socket_remove();
  lun_wasi_destroy(run->wasi);
  if (run->stdin_fd >= 0) close(run->stdin_fd);
}

/* LUN_OK: the guest has run to its end, or *exit_status is why it did not run at all. */
static lun_status run_steps(Run *run, int *exit_status) {
  lun_status status = open_module(run);
  if (status == LUN_OK) status = find_entry(run);
  if (status == LUN_OK) status = open_wasi(run);
  if (status == LUN_OK) status = open_output(run);
  if (status == LUN_OK && (run->options->script_count || run->options->is_repl || run->options->listen_path)) {
    *exit_status = load_scripts(run);
    status = run->error.kind;
  }
  if (status != LUN_OK || *exit_status) return status;
  status = make_instance(run);
  if (status == LUN_OK && run->state.lua) *exit_status = state_set_guest(&run->state, run->instance);
  if (status == LUN_OK && !*exit_status && run->options->is_repl) *exit_status = state_call(&run->state, "run", "prompt", NULL);
  if (status == LUN_OK && !*exit_status) status = call_entry(run);
  return status;
}

int run_command(const Options *options) {
  Run run = { .options = options, .path = options->arguments[0], .stdin_fd = -1, .error = LUN_ERROR_INIT };
  int exit_status = 0, at_exit = 0;
  if (!options->script_count && (options->where_count || options->output))
    hint("--where and --output are for a trace; -s or -e says which: -s calltree, say");
  lun_status status = run_steps(&run, &exit_status);
  bool ran = run.instance || (status >= LUN_TRAP && status <= LUN_LISTENER);
  atomic_store(&run.phase, PHASE_FINISHING);
  if (ran) lun_store_resume(run.store);
  if (ran && (status == LUN_OK || status == LUN_EXIT)) pass_on(&run);
  if (ran && run.state.lua && !exit_status) status = finish(&run, status, &at_exit);
  atomic_store(&run.phase, PHASE_OVER);
  if (run.output) lun_output_flush(run.output);
  if (exit_status == QUIT) exit_status = 0, status = LUN_OK;
  int ended = exit_status ? exit_status : tell_end(&run, status);
  if (ran && (options->is_repl || options->listen_path) && !exit_status) prompt_again(&run, ended);
  state_release(&run.state);
  int written = close_output(&run);
  signals_guard(NULL);
  lun_writer_destroy(run.writer);
  take_down(&run);
  bool own = !exit_status && (status == LUN_OK || status == LUN_EXIT || is_unread(&run, status));
  int printed = finish_stdout();
  if (own && at_exit && at_exit < STOPPED) return at_exit;
  if (own && written) return written;
  if (own && printed) return printed;
  return own && at_exit ? at_exit - STOPPED : ended;
}
