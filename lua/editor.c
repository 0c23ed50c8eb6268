/* SPDX-License-Identifier: MIT */
/* The line that somebody types at the prompt, by libedit: keys, history, completion. What comes in between (text of scripts
 * or of a socket, another size of the window, Ctrl-Z) finds the line taken off the screen, and brings it back. */
#define _GNU_SOURCE /* wcwidth */
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <wchar.h>

#ifdef LUNETTE_LIBEDIT
#include <histedit.h>
#endif

#include "terminal.h"

#ifdef LUNETTE_LIBEDIT
enum { HISTORY_LINES = 1000, LIST_COLUMNS = 78 };

struct Editor {
  EditLine *edit;
  History *history;
  FILE *in, *out;
  const char *prompt;
  bool cancelled, ended;
  size_t typed;             /* characters of the line that was cancelled */
  bool is_dumb;             /* the terminal takes no escape sequences */
};

static Terminal *terminal_of(EditLine *edit) {
  Terminal *terminal;
  el_get(edit, EL_CLIENTDATA, &terminal);
  return terminal;
}

static char *prompt_text(EditLine *edit) { return (char *)(uintptr_t)terminal_of(edit)->editor->prompt; }

static int key_read(EditLine *edit, wchar_t *key) {
  Terminal *terminal = terminal_of(edit);
  mbstate_t state = { 0 };
  char byte;
  for (;;) {
    Reading got = terminal_byte(terminal, &byte);
    if (got != READ_LINE) {
      const LineInfoW *line = el_wline(edit);
      terminal->editor->typed = (size_t)(line->lastchar - line->buffer);
      terminal->editor->cancelled = got == READ_CANCELLED;
      terminal->editor->ended = got == READ_END;
      return 0;
    }
    size_t used = mbrtowc(key, &byte, 1, &state);
    if (used == (size_t)-2) continue;
    if (used == (size_t)-1) *key = L'?', state = (mbstate_t){ 0 };
    return 1;
  }
}

/* ---- what is on the screen ---- */
static unsigned window_columns(const Terminal *terminal) {
  struct winsize window;
  return ioctl(terminal->out, TIOCGWINSZ, &window) == 0 && window.ws_col ? window.ws_col : 80;
}

/* How many rows of the line stand above the cursor's. */
static unsigned rows_above(const Terminal *terminal) {
  const Editor *editor = terminal->editor;
  const LineInfoW *line = el_wline(editor->edit);
  unsigned columns = window_columns(terminal), rows = 0, column = (unsigned)strlen(editor->prompt);
  for (const wchar_t *at = line->buffer; at < line->cursor; at++) {
    int width = wcwidth(*at);
    column += width < 0 ? 2 : (unsigned)width;
    if (*at == L'\n') rows += 1 + (column - 2) / columns, column = 0;
  }
  return rows + column / columns;
}

void editor_hide(Terminal *terminal) {
  char text[32];
  if (!terminal->editor) return;
  unsigned rows = rows_above(terminal);
  int size = terminal->editor->is_dumb ? snprintf(text, sizeof text, "\n")
             : rows ? snprintf(text, sizeof text, "\r\033[%uA\033[J", rows) : snprintf(text, sizeof text, "\r\033[J");
  terminal_put(terminal, text, (size_t)size);
}

void editor_show(Terminal *terminal) {
  if (!terminal->editor) return;
  el_resize(terminal->editor->edit);
  el_set(terminal->editor->edit, EL_REFRESH);
}

void editor_suspend(Terminal *terminal) {
  if (terminal->editor) el_set(terminal->editor->edit, EL_PREP_TERM, 0);
}

void editor_resume(Terminal *terminal) {
  if (terminal->editor) el_set(terminal->editor->edit, EL_PREP_TERM, 1);
}

/* ---- completion ---- */
/* What all names of the list begin with. */
static size_t common_size(const char *names) {
  size_t common = strcspn(names, "\n");
  for (const char *name = names; *name; name += strcspn(name, "\n") + 1) {
    size_t same = 0;
    while (same < common && name[same] == names[same]) same++;
    common = same;
  }
  return common;
}

static void candidates_show(const Terminal *terminal, const char *names) {
  unsigned columns = window_columns(terminal);
  size_t column = 0, most = columns > 2 && columns < LIST_COLUMNS + 2 ? columns - 2 : LIST_COLUMNS;
  terminal_put(terminal, "\n", 1);
  for (const char *name = names; *name;) {
    size_t size = strcspn(name, "\n");
    if (column && column + size + 2 > most) terminal_put(terminal, "\n", 1), column = 0;
    terminal_put(terminal, "  ", column ? 2 : 0);
    terminal_put(terminal, name, size);
    column += size + 2;
    name += size + 1;
  }
  terminal_put(terminal, "\n", 1);
}

static unsigned char complete(EditLine *edit, int key) {
  Terminal *terminal = terminal_of(edit);
  const LineInfo *line = el_line(edit);
  char rest[256];
  size_t word = 0;
  (void)key;
  if (!terminal->candidates) return CC_ERROR;
  const char *names = terminal->candidates(terminal->candidates_self, line->buffer, (size_t)(line->cursor - line->buffer), &word);
  if (!names || !*names) return CC_ERROR;
  size_t common = common_size(names);
  if (common > word) {
    snprintf(rest, sizeof rest, "%.*s", (int)(common - word), names + word);
    return el_insertstr(edit, rest) == 0 ? CC_REFRESH : CC_ERROR;
  }
  if (!names[strcspn(names, "\n")] || !names[strcspn(names, "\n") + 1]) return CC_ERROR; /* there is but one, and it is there */
  candidates_show(terminal, names);
  return CC_REDISPLAY;
}

/* ---- history ---- */
/* $XDG_STATE_HOME/lunette/history. False: there is no such place. */
static bool history_path(char *path, size_t room, bool make) {
  const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
  int size = state && *state == '/' ? snprintf(path, room, "%s/lunette", state)
             : home && *home == '/' ? snprintf(path, room, "%s/.local/state/lunette", home) : -1;
  if (size < 0 || (size_t)size + sizeof "/history" > room) return false;
  for (char *slash = path + 1; make && (slash = strchr(slash, '/')); *slash++ = '/') {
    *slash = 0;
    mkdir(path, 0700);
  }
  if (make) mkdir(path, 0700);
  strcat(path, "/history");
  return true;
}

void editor_remember(Terminal *terminal, const char *line) {
  HistEvent event;
  if (terminal->editor && terminal->editor->history) history(terminal->editor->history, &event, H_ENTER, line);
}

/* ---- opening, reading, closing ---- */
static void bind_keys(EditLine *edit) {
  el_set(edit, EL_EDITOR, "emacs");
  /* The narrow one copies the names and never frees them. */
  el_wset(edit, EL_ADDFN, L"lunette-complete", L"complete", complete);
  el_set(edit, EL_BIND, "^I", "lunette-complete", NULL);
  el_set(edit, EL_BIND, "^R", "em-inc-search-prev", NULL);
}

bool editor_open(Terminal *terminal) {
  HistEvent event;
  char path[4096];
  const char *kind = getenv("TERM");
  Editor *editor = calloc(1, sizeof *editor);
  if (!editor) return false;
  terminal->editor = editor;
  setlocale(LC_CTYPE, "C.UTF-8");
  editor->is_dumb = !kind || !*kind || strcmp(kind, "dumb") == 0;
  editor->prompt = "";
  editor->in = fdopen(dup(terminal->in), "r");
  editor->out = fdopen(dup(terminal->out), "w");
  if (!editor->in || !editor->out) return false;
  editor->edit = el_init("lunette", editor->in, editor->out, editor->out);
  editor->history = history_init();
  if (!editor->edit || !editor->history) return false;
  history(editor->history, &event, H_SETSIZE, HISTORY_LINES);
  history(editor->history, &event, H_SETUNIQUE, 1);
  if (history_path(path, sizeof path, false)) history(editor->history, &event, H_LOAD, path);
  el_set(editor->edit, EL_CLIENTDATA, terminal);
  el_set(editor->edit, EL_PROMPT, prompt_text);
  el_set(editor->edit, EL_GETCFN, key_read);
  el_set(editor->edit, EL_HIST, history, editor->history);
  bind_keys(editor->edit);
  return true;
}

void editor_close(Terminal *terminal) {
  Editor *editor = terminal->editor;
  HistEvent event;
  char path[4096];
  if (!editor) return;
  if (editor->history && editor->edit && history_path(path, sizeof path, true)) history(editor->history, &event, H_SAVE, path);
  if (editor->edit) el_end(editor->edit);
  if (editor->history) history_end(editor->history);
  if (editor->in) fclose(editor->in);
  if (editor->out) fclose(editor->out);
  free(editor);
  terminal->editor = NULL;
}

Reading editor_read(Terminal *terminal, const char *prompt, size_t *size) {
  Editor *editor = terminal->editor;
  int count = 0;
  editor->prompt = prompt;
  editor->cancelled = editor->ended = false;
  el_resize(editor->edit);
  el_set(editor->edit, EL_PREP_TERM, 1); /* before the prompt is there: what is typed from then on is shown once */
  const char *line = el_gets(editor->edit, &count);
  if (!line || count <= 0 || editor->cancelled || editor->ended) {
    if (!terminal->is_aside) terminal_put(terminal, "\n", 1);
    *size = editor->typed;
    el_reset(editor->edit);
    return editor->cancelled ? READ_CANCELLED : READ_END;
  }
  *size = (size_t)count < LINE_MOST ? (size_t)count : LINE_MOST;
  if (line[*size - 1] == '\n') --*size;
  memcpy(terminal->line, line, *size);
  return READ_LINE;
}
#else
bool editor_open(Terminal *terminal) { return terminal != NULL; }
void editor_close(Terminal *terminal) { terminal->editor = NULL; }
Reading editor_read(Terminal *terminal, const char *prompt, size_t *size) {
  (void)terminal, (void)prompt, (void)size;
  return READ_END;
}
void editor_remember(Terminal *terminal, const char *line) { (void)terminal, (void)line; }
void editor_hide(Terminal *terminal) { (void)terminal; }
void editor_show(Terminal *terminal) { (void)terminal; }
void editor_suspend(Terminal *terminal) { (void)terminal; }
void editor_resume(Terminal *terminal) { (void)terminal; }
#endif
