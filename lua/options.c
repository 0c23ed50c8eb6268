/* SPDX-License-Identifier: MIT */
/* Reads the command line by the table of options.def. In: a command and its arguments; out: Options, or a message with
 * a hint. getopt_long does the work, stops at the first argument that is no option (what follows APP.wasm is the
 * guest's), and is kept from guessing: an abbreviated name is an unknown option, and the nearest one is named. */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"

const CommandInfo command_info[COMMAND_COUNT] = {
#define COMMAND(id, name, arguments, text) { name, arguments, text },
#include "options.def"
};

const OptionInfo option_info[OPTION_COUNT] = {
#define OPTION(id, letter, name, value, commands, text) { letter, name, value, commands, text },
#include "options.def"
};

enum { LONG_BASE = 256 };  /* getopt's value of option i; letters stay below */

Command command_of_name(const char *name) {
  Command command = 0;
  while (command < COMMAND_COUNT && strcmp(command_info[command].name, name) != 0) command++;
  return command;
}

static bool taken_by(int id, Command command) { return option_info[id].commands & 1u << command; }

static int option_of_letter(int letter, Command command) {
  for (int id = 0; id < OPTION_COUNT; id++)
    if (option_info[id].letter && option_info[id].letter == letter && taken_by(id, command)) return id;
  return -1;
}

/* ---- values ---- */
bool duration_parse(const char *text, uint64_t *ns) {
  static const struct { const char *unit; double ns; } units[] = {
    { "ns", 1 }, { "us", 1e3 }, { "ms", 1e6 }, { "s", 1e9 }, { "m", 60e9 }, { "h", 3600e9 },
  };
  size_t digits = strspn(text, "0123456789.");
  if (digits == 0 || digits > 30) return false;
  char *end;
  double number = strtod(text, &end);
  if (end != text + digits) return false;
  for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
    if (strcmp(end, units[i].unit) != 0) continue;
    double value = number * units[i].ns;
    if (!(value >= 1) || value > 9e18) return false;
    *ns = (uint64_t)value;
    return true;
  }
  return false;
}

/* A number above 0, of digits alone. */
static bool number_parse(const char *text, size_t digits, uint64_t most, uint64_t *out) {
  if (digits == 0 || digits > 19) return false;
  uint64_t number = 0;
  for (size_t i = 0; i < digits; i++) number = number * 10 + (uint64_t)(text[i] - '0');
  *out = number;
  return number > 0 && number <= most;
}

bool size_parse(const char *text, uint64_t *bytes) {
  static const char units[] = "KMGT";
  size_t digits = strspn(text, "0123456789");
  const char *unit = text[digits] ? strchr(units, text[digits]) : NULL;
  unsigned shift = unit ? 10 * (unsigned)(unit - units + 1) : 0;
  if (text[digits] && (!unit || text[digits + 1])) return false;
  if (!number_parse(text, digits, INT64_MAX >> shift, bytes)) return false;
  *bytes <<= shift;
  return true;
}

static lun_status bad_value(int id, const char *value, const char *wanted, lun_error *error) {
  error_hint(error, "%s", wanted);
  return lun_error_set(error, LUN_USAGE, "bad value for --%s: \"%s\"", option_info[id].name, value);
}

static lun_status dir_parse(char *text, lun_wasi_dir *dir, lun_error *error) {
  if (lun_wasi_dir_parse(text, dir, NULL) == LUN_OK) return LUN_OK;
  return bad_value(OPTION_DIR, text, "it looks like this: --dir HOST[::GUEST][:ro|rw], say --dir data::/data:ro", error);
}

/* A malformed pattern is the command line's mistake, whoever uses it later. */
static lun_status wheres_check(const Options *options, lun_error *error) {
  lun_where *where = NULL;
  lun_status status = lun_where_create(options->wheres, options->where_count, &where, error);
  lun_where_destroy(where);
  return status;
}

static lun_status color_parse(const char *value, Color *color, lun_error *error) {
  static const char *const names[] = { "auto", "always", "never" };
  for (int i = 0; i < 3; i++) {
    if (strcmp(value, names[i]) != 0) continue;
    *color = (Color)i;
    return LUN_OK;
  }
  return bad_value(OPTION_COLOR, value, "it is auto, always or never", error);
}

static lun_status option_take(Options *o, int id, char *value, lun_error *error) {
  switch ((OptionId)id) {
    case OPTION_SCRIPT: case OPTION_EVAL:
      if (id == OPTION_SCRIPT && (*value == 0 || *value == ','))
        return bad_value(id, value, "it is the name of a script or a file: lunette scripts names those that come along", error);
      o->scripts[o->script_count++] = (ScriptArgument){ value, id == OPTION_EVAL };
      return LUN_OK;
    case OPTION_WHERE:
      o->wheres[o->where_count++] = value;
      return LUN_OK;
    case OPTION_OUTPUT:
      if (!*value) return bad_value(id, value, "it is a file, or - for stdout", error);
      o->output = value;
      return LUN_OK;
    case OPTION_DIR: return dir_parse(value, &o->dirs[o->dir_count++], error);
    case OPTION_ENV:
      if (*value == '=' || !strchr(value, '=')) return bad_value(id, value, "it looks like this: --env NAME=VALUE", error);
      o->env[o->env_count++] = value;
      return LUN_OK;
    case OPTION_INHERIT_ENV: o->inherit_env = true; return LUN_OK;
    case OPTION_LISTEN_TCP: o->listen[o->listen_count++] = value; return LUN_OK;
    case OPTION_STDIN: o->stdin_path = value; return LUN_OK;
    case OPTION_ARGV0: o->argv0 = value; return LUN_OK;
    case OPTION_INVOKE: o->invoke = value; return LUN_OK;
    case OPTION_DETERMINISTIC: o->deterministic = true; return LUN_OK;
    case OPTION_LISTEN: o->listen_path = value; return LUN_OK;
    case OPTION_STUB_IMPORTS: o->stub_imports = true; return LUN_OK;
    case OPTION_TIMEOUT:
      o->timeout = value;
      if (duration_parse(value, &o->timeout_ns)) return LUN_OK;
      return bad_value(id, value, "it is a number above 0 with its unit: 500us, 3ms, 2s, 1m", error);
    case OPTION_FUEL: case OPTION_MAX_DEPTH: {
      uint64_t number;
      bool is_depth = id == OPTION_MAX_DEPTH;
      if (strspn(value, "0123456789") != strlen(value) ||
          !number_parse(value, strlen(value), is_depth ? UINT32_MAX : INT64_MAX, &number))
        return bad_value(id, value, is_depth ? "it is a number of calls, from 1 to 4294967295"
                                             : "it is a number of instructions, from 1 on", error);
      if (is_depth) o->limits.max_depth = (uint32_t)number;
      else o->limits.fuel = number;
      return LUN_OK;
    }
    case OPTION_MAX_MEMORY:
      if (size_parse(value, &o->limits.max_memory_bytes) && o->limits.max_memory_bytes >= LUN_PAGE) return LUN_OK;
      return bad_value(id, value, "it is a size from 64K (a page) on: 64K, 8M, 1G", error);
    case OPTION_SCRIPT_TIME:
      if (duration_parse(value, &o->script_time_ns)) return LUN_OK;
      return bad_value(id, value, "it is a number above 0 with its unit: 500us, 3ms, 2s", error);
    case OPTION_SCRIPT_MEMORY:
      if (size_parse(value, &o->script_memory)) return LUN_OK;
      return bad_value(id, value, "it is a size above 0: 64K, 8M, 1G", error);
    case OPTION_WATCH: o->watch = true; return LUN_OK;
    case OPTION_SANDBOX: o->sandbox = true; return LUN_OK;
    case OPTION_STRICT: o->strict = true; return LUN_OK;
    case OPTION_UNSAFE: o->unsafe = true; return LUN_OK;
    case OPTION_QUIET: o->quiet = true; return LUN_OK;
    case OPTION_JSON: o->json = true; return LUN_OK;
    case OPTION_COLOR: return color_parse(value, &o->color, error);
    case OPTION_HELP: o->help = true; return LUN_OK;
    case OPTION_COUNT: break;
  }
  return LUN_OK;
}

/* ---- unknown options ---- */
static lun_status unknown_long(Command command, const char *name, size_t size, lun_error *error) {
  const char *candidates[OPTION_COUNT];
  size_t count = 0;
  char word[64];
  for (int id = 0; id < OPTION_COUNT; id++)
    if (taken_by(id, command)) candidates[count++] = option_info[id].name;
  const char *nearest = NULL;
  if (size < sizeof word) {
    memcpy(word, name, size);
    word[size] = 0;
    nearest = lun_nearest(word, candidates, count);
    for (size_t i = 0; !nearest && size >= 2 && i < count; i++)  /* an abbreviation, which getopt would have taken */
      if (strncmp(candidates[i], word, size) == 0) nearest = candidates[i];
  }
  if (nearest) error_hint(error, "did you mean --%s?", nearest);
  else error_hint(error, "lunette help %s lists the options", command_info[command].name);
  return lun_error_set(error, LUN_USAGE, "unknown option --%.*s", (int)(size < 100 ? size : 100), name);
}

static lun_status unknown_letter(Command command, int letter, lun_error *error) {
  error_hint(error, "lunette help %s lists the options", command_info[command].name);
  return lun_error_set(error, LUN_USAGE, "unknown option -%c", letter);
}

/* "--name" or "--name=value" at argv[optind] whose name is not in the table, word for word. */
static bool is_unknown_long(Command command, const char *argument, size_t *size) {
  if (!argument || strncmp(argument, "--", 2) != 0 || !argument[2]) return false;
  *size = strcspn(argument + 2, "=");
  for (int id = 0; id < OPTION_COUNT; id++)
    if (taken_by(id, command) && strlen(option_info[id].name) == *size &&
        strncmp(option_info[id].name, argument + 2, *size) == 0)
      return false;
  return true;
}

/* ---- the loop ---- */
typedef struct Getopt {
  char letters[3 + 2 * OPTION_COUNT];
  struct option names[OPTION_COUNT + 1];
} Getopt;

static void getopt_tables(Getopt *tables, Command command) {
  char *letter = tables->letters;
  struct option *name = tables->names;
  memset(tables, 0, sizeof *tables);
  *letter++ = '+';
  *letter++ = ':';
  for (int id = 0; id < OPTION_COUNT; id++) {
    const OptionInfo *info = &option_info[id];
    if (!taken_by(id, command)) continue;
    *name++ = (struct option){ info->name, info->value ? required_argument : no_argument, NULL, LONG_BASE + id };
    if (!info->letter) continue;
    *letter++ = info->letter;
    if (info->value) *letter++ = ':';
  }
}

static lun_status complain(Command command, int answer, const char *argument, lun_error *error) {
  int id = optopt >= LONG_BASE ? optopt - LONG_BASE : option_of_letter(optopt, command);
  if (id < 0) return unknown_letter(command, optopt, error);
  if (answer == '?') return lun_error_set(error, LUN_USAGE, "--%s takes no value", option_info[id].name);
  error_hint(error, "it looks like this: --%s %s", option_info[id].name, option_info[id].value);
  return lun_error_set(error, LUN_USAGE, "%s needs a value", argument);
}

static bool options_reserve(Options *options, size_t count) {
  options->scripts = calloc(count, sizeof *options->scripts);
  options->wheres = calloc(count, sizeof *options->wheres);
  options->env = calloc(count, sizeof *options->env);
  options->dirs = calloc(count, sizeof *options->dirs);
  options->listen = calloc(count, sizeof *options->listen);
  return options->scripts && options->wheres && options->env && options->dirs && options->listen;
}

/* strace is run with the script of that name before all others, unless -s names it (say, with options). */
static void add_script(Options *options, const char *name) {
  size_t size = strlen(name);
  for (size_t i = 0; i < options->script_count; i++) {
    const ScriptArgument *script = &options->scripts[i];
    if (!script->is_code && strncmp(script->text, name, size) == 0 && (!script->text[size] || script->text[size] == ','))
      return;
  }
  memmove(options->scripts + 1, options->scripts, options->script_count * sizeof *options->scripts);
  options->scripts[0] = (ScriptArgument){ .text = name };
  options->script_count++;
}

lun_status options_parse(Options *options, Command command, int argc, char **argv, lun_error *error) {
  Getopt tables;
  getopt_tables(&tables, command);
  *options = (Options){ .color = COLOR_AUTO };
  if (!options_reserve(options, (size_t)argc + 1)) return lun_error_set(error, LUN_NO_MEMORY, "out of memory");
  opterr = 0;
  for (;;) {
    size_t size;
    const char *argument = optind < argc ? argv[optind] : NULL;
    if (is_unknown_long(command, argument, &size)) return unknown_long(command, argument + 2, size, error);
    int answer = getopt_long(argc, argv, tables.letters, tables.names, NULL);
    if (answer == -1) break;
    if (answer == '?' || answer == ':') return complain(command, answer, argument, error);
    int id = answer >= LONG_BASE ? answer - LONG_BASE : option_of_letter(answer, command);
    lun_status status = option_take(options, id, optarg, error);
    if (status != LUN_OK) return status;
  }
  options->is_repl = command == COMMAND_REPL;
  if (command == COMMAND_STRACE) add_script(options, command_info[command].name);
  options->arguments = argv + optind;
  options->argument_count = argc - optind;
  return wheres_check(options, error);
}

void options_clear(Options *options) {
  free(options->scripts);
  free(options->wheres);
  free(options->env);
  free(options->dirs);
  free(options->listen);
  *options = (Options){ .color = COLOR_AUTO };
}
