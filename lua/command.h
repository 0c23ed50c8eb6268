/* SPDX-License-Identifier: MIT */
/* The command `lunette`: what its parts share. main.c starts, options.c reads the command line, help.c prints the option
 * table, message.c speaks to the user, prompt.c asks him, connect.c does so from afar, run.c runs a program, guest.c opens its file, invoke.c calls one export, signals.c
 * is for sudden ends, state.c owns the Lua state that scripts and the commands written in Lua run in.
 *
 * All failures travel as lun_error; report_error prints one and gives the exit status of the table in status.h. */
#ifndef LUN_COMMAND_H
#define LUN_COMMAND_H

#include <lunette/lunette.h>

/* ---- options (options.c, from options.def) ---- */
typedef enum Command {
#define COMMAND(id, name, arguments, text) COMMAND_##id,
#include "options.def"
  COMMAND_COUNT
} Command;

enum { IN_RUN = 1 << COMMAND_RUN | 1 << COMMAND_REPL | 1 << COMMAND_STRACE, IN_LIST = 1 << COMMAND_LIST,
       IN_SYMBOLIZE = 1 << COMMAND_SYMBOLIZE, IN_CONNECT = 1 << COMMAND_CONNECT,
       IN_CHECK = 1 << COMMAND_CHECK, IN_SCRIPTS = 1 << COMMAND_SCRIPTS, IN_HELP = 1 << COMMAND_HELP,
       IN_VERSION = 1 << COMMAND_VERSION };

typedef enum OptionId {
#define OPTION(id, letter, name, value, commands, text) OPTION_##id,
#include "options.def"
  OPTION_COUNT
} OptionId;

typedef struct CommandInfo {
  const char *name, *arguments, *text;
} CommandInfo;
typedef struct OptionInfo {
  char letter;
  const char *name, *value;  /* value NULL: takes none */
  unsigned commands;
  const char *text;
} OptionInfo;
extern const CommandInfo command_info[COMMAND_COUNT];
extern const OptionInfo option_info[OPTION_COUNT];

/* -s and -e, in the order given. */
typedef struct ScriptArgument {
  const char *text;
  bool is_code;
} ScriptArgument;

typedef enum Color { COLOR_AUTO, COLOR_ALWAYS, COLOR_NEVER } Color;

/* Strings point into argv. */
typedef struct Options {
  ScriptArgument *scripts;  size_t script_count;
  const char **wheres;      size_t where_count;
  const char **env;         size_t env_count;
  lun_wasi_dir *dirs;       size_t dir_count;
  const char **listen;      size_t listen_count;
  const char *output, *stdin_path, *argv0, *invoke;
  const char *listen_path;  /* of a unix socket */
  const char *timeout;      /* as it was given */
  uint64_t timeout_ns;      /* 0: none */
  lun_limits limits;
  uint64_t script_time_ns, script_memory; /* 0: none */
  bool strict, watch, sandbox, unsafe, quiet, help, json, inherit_env, deterministic, stub_imports;
  bool is_repl;             /* the prompt comes first */
  bool closed[3];           /* so was descriptor 0, 1 or 2 when the command was started */
  Color color;
  char **arguments;         /* what follows the options */
  int argument_count;
} Options;

/* The command of that name, or COMMAND_COUNT. */
Command command_of_name(const char *name);
/* argv[0] is the command's name. Cuts values apart in place. LUN_OK, or LUN_USAGE and the message (error->detail: a
 * hint). */
LUN_MUST_CHECK lun_status options_parse(Options *options, Command command, int argc, char **argv, lun_error *error);
void options_clear(Options *options);
/* "500us" → 500,000. False: no duration. */
bool duration_parse(const char *text, uint64_t *ns);
/* "64K" → 65,536. False: no size. */
bool size_parse(const char *text, uint64_t *bytes);

/* ---- help (help.c) ---- */
void help_usage(bool to_stderr);     /* a few lines: the commands */
void help_command(Command command);  /* all of a command's options, to stdout */

/* ---- messages (message.c): one line each, to stderr ---- */
void messages_init(bool quiet, Color color);
bool messages_colored(int fd);
void message(const char *format, ...) LUN_PRINTF(1, 2);  /* lunette: … */
void hint(const char *format, ...) LUN_PRINTF(1, 2);     /* hint: … ; none with -q */
/* A first line as message(), the others as they are; "hint: …" as hint(). */
void message_lines(const char *text, size_t size);
/* The error's kind, message, detail and stack; its exit status. `subject` (a file's name) comes first where there is one. */
int report_error(const lun_error *error, const char *subject);
/* Flushes stdout: 0, or 74 where it could not be written; that is said, but not of a closed pipe. */
int finish_stdout(void);

/* ---- values and names as text (show.c) ---- */
enum { VALUE_TEXT = 64 };
/* A value in its slots, as decimal; of a v128 in hexadecimal. Gives `text`. */
const char *value_show(lun_type type, const uint64_t *slot, char text[VALUE_TEXT]);

/* ---- the guest's file (guest.c) ---- */
/* Maps the file and makes a module of it, named after the file. */
LUN_MUST_CHECK lun_status guest_module(lun_store *store, const char *path, lun_module **out, lun_error *error);

/* ---- one export, called from the command line (invoke.c) ---- */
typedef struct Invocation {
  const lun_definition *definition;
  uint64_t *slots;          /* params, then room for results */
  uint32_t param_slots;
} Invocation;

/* The function exported as `name`, or NULL. */
const lun_definition *exported_function(const lun_module *module, const char *name);
/* Finds the export and reads `count` texts as its params. */
LUN_MUST_CHECK lun_status invocation_prepare(Invocation *invocation, const lun_module *module, const char *name, char **texts,
                                             int count, lun_error *error);
/* Calls it and prints its results to stdout, a line each. */
LUN_MUST_CHECK lun_status invocation_run(Invocation *invocation, lun_instance *instance, lun_error *error);
void invocation_clear(Invocation *invocation);

/* ---- Lua (state.c): the state that scripts, and the commands written in Lua, run in ---- */
typedef struct State {
  struct lua_State *lua;    /* NULL: none. The session object is the first thing on its stack */
} State;
struct binding_loan;

/* What a Lua part of the command is told: fields of the table it gets. */
typedef struct Request {
  const char *topic;        /* help */
  const Options *options;
  lun_module *module;
  struct Terminal *terminal; /* run, repl: the prompt's */
  int listen_fd;            /* run --listen; 0: none */
} Request;

/* LUN_NO_MEMORY, or LUN_OK. */
LUN_MUST_CHECK lun_status state_open(State *state, const struct binding_loan *loan, lun_error *error);
/* Calls `function` of the module lunette.cli.`part` with the session and a request. 0, or the exit status of what went
 * wrong, which has been said. */
int state_call(State *state, const char *part, const char *function, const Request *request);
/* The same with an instance. */
int state_set_guest(State *state, lun_instance *instance);
LUN_MUST_CHECK lun_status state_add_hosts(State *state, lun_imports *imports, lun_error *error);
/* The session lets go of what it was lent: before the store is destroyed. */
void state_release(State *state);
void state_close(State *state);

/* ---- the prompt's terminal (prompt.c, editor.c) ---- */
typedef struct Terminal Terminal;
struct lua_State;
/* Opens nothing yet. NULL: out of memory. */
Terminal *terminal_create(lun_store *store);
void terminal_destroy(Terminal *terminal);  /* NULL is ignored */
/* On stdin and stderr, whatever these are; or else on a terminal, so that a guest's input stays its own. Again does nothing. */
LUN_MUST_CHECK lun_status terminal_open(Terminal *terminal, bool on_stdin, lun_error *error);
/* What terminal_yield made way for is flushed by this before the line comes back. */
void terminal_on_flush(Terminal *terminal, void (*flush)(void *self), void *self);
/* Text is about to come to the terminal: the line that is being typed makes way, and comes back behind it. Of the thread that
 * reads. NULL is ignored. */
void terminal_yield(Terminal *terminal);
/* Ctrl-C at the prompt: the line is given up. False: it is not reading one. Any thread. */
bool terminal_cancel(Terminal *terminal);
/* Whether somebody is typing. Any thread. */
bool terminal_is_reading(const Terminal *terminal);
/* Pushes { read, write, remember, interactive, columns, complete }; opened at the first use. May raise. */
void terminal_push(struct lua_State *L, Terminal *terminal, bool on_stdin);

/* ---- the socket of run --listen (listen.c) and lunette connect (connect.c) ---- */
/* A listening descriptor, or -1 and the error. */
int socket_listen(const char *path, lun_error *error);
/* A connected one, likewise. */
int socket_connect(const char *path, lun_error *error);
int connect_command(const char *path);

/* ---- run (run.c, signals.c) ---- */
int run_command(const Options *options);

/* From now on a fatal signal first writes what the writer still has. NULL: no longer. */
void signals_guard(lun_writer *writer);

/* The path is taken away by whatever ends the process, and by socket_remove, which any thread and a signal's handler may call.
 * It stays the caller's. */
void socket_guard(const char *path);
void socket_remove(void);

/* From now on exit(3) first writes and closes the output. NULL: no longer. False: out of memory. */
LUN_MUST_CHECK bool exit_guard(lun_output *output);

/* Sets error->detail, for a hint below the message. */
void error_hint(lun_error *error, const char *format, ...) LUN_PRINTF(2, 3);

#endif
