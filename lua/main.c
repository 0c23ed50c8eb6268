/* SPDX-License-Identifier: MIT */
/* The command `lunette`: which command is meant, and off to it. In: argv; out: an exit status (the table in
 * lunette/status.h; 64 for what makes no sense). */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <lua.h>
#include <uv.h>

#include "binding.h"
#include "command.h"

enum { EXIT_USAGE = 64 };

/* A descriptor 0, 1 or 2 that is closed would be given to the next file that is opened. */
static void open_standard_descriptors(bool closed[3]) {
  for (int fd = 0; fd <= 2; fd++) {
    if (fcntl(fd, F_GETFD) >= 0 || errno != EBADF) continue;
    closed[fd] = true;
    if (open("/dev/null", O_RDWR) < 0) _exit(lun_status_exit(LUN_IO));
  }
}

static int print_version(void) {
  printf("lunette %s\nLua %s.%s\nlibuv %s\n", lun_version(), LUA_VERSION_MAJOR "." LUA_VERSION_MINOR, LUA_VERSION_RELEASE,
         uv_version_string());
  if (!lun_can_demangle()) puts("built without libiberty: names of C++ and Rust are shown as they are mangled");
  return finish_stdout();
}

/* list, symbolize, check, scripts and help are written in Lua. */
static int run_part(const char *part, const Options *options, const char *path, const char *topic) {
  lun_error error = LUN_ERROR_INIT;
  lun_store *store = NULL;
  lun_module *module = NULL;
  State state = { NULL };
  lun_status status = lun_store_create(NULL, &store, &error);
  if (status == LUN_OK && path) status = guest_module(store, path, &module, &error);
  binding_loan loan = { .store = store, .unsafe = options->unsafe };
  int exit_status = 0;
  if (status == LUN_OK && state_open(&state, &loan, &error) == LUN_OK) {
    Request request = { .topic = topic, .options = options, .module = module };
    exit_status = state_call(&state, part, "main", &request);
  }
  if (error.kind != LUN_OK) exit_status = report_error(&error, error.kind == LUN_NO_INPUT ? NULL : path);
  int printed = finish_stdout();
  state_release(&state);
  lun_module_destroy(module);
  lun_error_clear(&error);
  lun_store_destroy(store);
  state_close(&state);
  return exit_status ? exit_status : printed;
}

/* The options of a command; of strace also those of its script. */
static int help_on(Command command, const Options *options) {
  help_command(command);
  if (command != COMMAND_STRACE) return finish_stdout();
  putchar('\n');
  return run_part("help", options, NULL, command_info[command].name);
}

static int help(const Options *options) {
  if (options->argument_count == 0) {
    help_usage(false);
    return finish_stdout();
  }
  Command command = command_of_name(options->arguments[0]);
  if (command == COMMAND_COUNT) return run_part("help", options, NULL, options->arguments[0]);
  return help_on(command, options);
}

static int usage_error(const char *text, const char *advice) {
  message("%s", text);
  hint("%s", advice);
  return EXIT_USAGE;
}

static int dispatch(Command command, const Options *options) {
  int most = command == COMMAND_CONNECT || command == COMMAND_LIST || command == COMMAND_CHECK || command == COMMAND_HELP ? 1 : 0;
  bool runs = command == COMMAND_RUN || command == COMMAND_REPL || command == COMMAND_STRACE;
  bool needs_file = runs || command == COMMAND_LIST || command == COMMAND_SYMBOLIZE;
  if (command == COMMAND_CONNECT && !options->help && options->argument_count == 0)
    return usage_error("connect needs a socket", "lunette connect SOCKET, that of a lunette run --listen SOCKET");
  char text[128];
  if (options->help) return help_on(command, options);
  if (needs_file && options->argument_count == 0) {
    snprintf(text, sizeof text, "%s needs a WebAssembly file", command_info[command].name);
    char advice[128];
    snprintf(advice, sizeof advice, "lunette %s %s", command_info[command].name, command_info[command].arguments);
    return usage_error(text, advice);
  }
  if (!runs && command != COMMAND_SYMBOLIZE && options->argument_count > most) {
    snprintf(text, sizeof text, "%s takes %s; \"%.60s\" is too much", command_info[command].name,
             most ? "one argument" : "no arguments", options->arguments[most]);
    return usage_error(text, "options stand before arguments");
  }
  switch (command) {
    case COMMAND_RUN: case COMMAND_REPL: case COMMAND_STRACE: return run_command(options);
    case COMMAND_CONNECT: return connect_command(options->arguments[0]);
    case COMMAND_LIST: return run_part("list", options, options->arguments[0], NULL);
    case COMMAND_SYMBOLIZE: return run_part("symbolize", options, options->arguments[0], NULL);
    case COMMAND_CHECK: return run_part("check", options, options->argument_count ? options->arguments[0] : NULL, NULL);
    case COMMAND_SCRIPTS: return run_part("scripts", options, NULL, NULL);
    case COMMAND_HELP: return help(options);
    case COMMAND_VERSION: return print_version();
    case COMMAND_COUNT: break;
  }
  return EXIT_USAGE;
}

static int unknown_command(const char *name) {
  const char *names[COMMAND_COUNT];
  for (Command command = 0; command < COMMAND_COUNT; command++) names[command] = command_info[command].name;
  const char *nearest = lun_nearest(name, names, COMMAND_COUNT);
  const char *dot = strrchr(name, '.');
  if (*name == '-') message("unknown option %s", name);
  else message("unknown command \"%s\"", name);
  if (nearest) hint("did you mean lunette %s?", nearest);
  else if (dot && strcmp(dot, ".wasm") == 0) hint("lunette run %s runs it", name);
  else hint("lunette help names the commands");
  return EXIT_USAGE;
}

int main(int argc, char **argv) {
  bool closed[3] = { false };
  open_standard_descriptors(closed);
  signal(SIGPIPE, SIG_IGN);
  messages_init(false, COLOR_AUTO);
  if (argc < 2) {
    help_usage(true);
    return EXIT_USAGE;
  }
  if (strcmp(argv[1], "--version") == 0) return print_version();
  if (strcmp(argv[1], "--help") == 0) {
    help_usage(false);
    return finish_stdout();
  }
  Command command = command_of_name(argv[1]);
  if (command == COMMAND_COUNT) return unknown_command(argv[1]);
  lun_error error = LUN_ERROR_INIT;
  Options options;
  int exit_status;
  if (options_parse(&options, command, argc - 1, argv + 1, &error) == LUN_OK) {
    memcpy(options.closed, closed, sizeof closed);
    messages_init(options.quiet, options.color);
    exit_status = dispatch(command, &options);
  } else {
    exit_status = report_error(&error, NULL);
    lun_error_clear(&error);
  }
  options_clear(&options);
  return exit_status;
}
