/* SPDX-License-Identifier: MIT */
/* Prints the table of options.def: the commands, and what one of them takes. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "command.h"

enum { TEXT_COLUMN = 28, LINE_WIDTH = 96 };

/* One paragraph, wrapped; the line stands at TEXT_COLUMN. */
static void print_wrapped(const char *text) {
  int at = TEXT_COLUMN;
  for (bool is_first = true; *text; is_first = false) {
    int size = (int)strcspn(text, " ");
    if (!is_first && at + 1 + size > LINE_WIDTH) {
      printf("\n%*s", TEXT_COLUMN, "");
      at = TEXT_COLUMN;
    } else if (!is_first) {
      putchar(' ');
      at++;
    }
    printf("%.*s", size, text);
    at += size;
    text += size + (text[size] == ' ');
  }
  putchar('\n');
}

static void print_option(const OptionInfo *option) {
  char left[128];
  char letter[5] = "    ";
  if (option->letter) snprintf(letter, sizeof letter, "-%c, ", option->letter);
  int size = snprintf(left, sizeof left, "  %s--%s%s%s", letter, option->name, option->value ? " " : "",
                      option->value ? option->value : "");
  if (size + 2 > TEXT_COLUMN) printf("%s\n%*s", left, TEXT_COLUMN, "");
  else printf("%-*s", TEXT_COLUMN, left);
  print_wrapped(option->text);
}

void help_usage(bool to_stderr) {
  FILE *to = to_stderr ? stderr : stdout;
  fputs("usage: lunette COMMAND [options] [ARGS...]\n\nTraces WebAssembly programs with Lua scripts.\n\n", to);
  for (Command command = 0; command < COMMAND_COUNT; command++) {
    char left[64];
    snprintf(left, sizeof left, "  %s", command_info[command].name);
    fprintf(to, "%-12s%s\n", left, command_info[command].text);
  }
  fputs("\n  lunette run APP.wasm               run it\n"
        "  lunette run -s calltree APP.wasm   and show each call\n"
        "  lunette help run                   all options\n", to);
}

void help_command(Command command) {
  const CommandInfo *info = &command_info[command];
  printf("usage: lunette %s%s%s\n\n%c%s.\n", info->name, *info->arguments ? " " : "", info->arguments,
         toupper((unsigned char)info->text[0]), info->text + 1);
  const char *heading = "\noptions:\n";
  for (int id = 0; id < OPTION_COUNT; id++) {
    if (!(option_info[id].commands & 1u << command)) continue;
    fputs(heading, stdout);
    heading = "";
    print_option(&option_info[id]);
  }
  if (command == COMMAND_STRACE)
    fputs("\nThe options of the script are given as with run: lunette strace -s strace,groups=file APP.wasm.\n", stdout);
  if (command == COMMAND_RUN || command == COMMAND_REPL || command == COMMAND_STRACE)
    fputs("\nThe exit status is the program's own; 134 after a trap, 124 after --timeout, 130 after Ctrl-C, 64 to 74\n"
          "for what lunette could not do, 101 and 102 for a script's errors.\n", stdout);
}
