/* SPDX-License-Identifier: MIT */
/* The terminal of the prompt, as prompt.c (reading, opening), editor.c (lines with libedit) and connect.c (the other end of a
 * socket) share it. */
#ifndef LUN_TERMINAL_H
#define LUN_TERMINAL_H

#include <stdatomic.h>

#include "command.h"

enum { LINE_MOST = 64 * 1024 };

typedef struct Editor Editor;

/* Candidates for the line up to the cursor: names, each followed by a newline, of which *word bytes stand there already. They are
 * good until the next call. NULL: there is nothing to say. */
typedef const char *(*Candidates)(void *self, const char *line, size_t size, size_t *word);

/* What else is listened to while a line is typed: the socket of lunette connect. */
typedef struct Source {
  int fd;                                /* -1: none */
  bool (*arrived)(void *self);           /* it is readable. False: it is gone */
  void *self;
} Source;

struct Terminal {
  lun_store *store;
  int in, out;              /* own where `owns` */
  int cancel_fd;            /* readable: Ctrl-C at the prompt. An eventfd; of connect a signalfd */
  int change_fd;            /* eventfd: the window has another size, Ctrl-Z, or text came between */
  bool owns, is_open, is_interactive;
  _Atomic bool is_reading;
  bool is_aside;            /* the line being typed is out of sight, for text to be put */
  void (*flush)(void *self); /* brings that text to the terminal; may be NULL */
  void *flush_self;
  Source source;
  Candidates candidates;
  void *candidates_self;
  char *line;               /* LINE_MOST bytes */
  Editor *editor;           /* NULL: lines are read as they come */
};

typedef enum Reading { READ_LINE, READ_CANCELLED, READ_END } Reading;

/* ---- prompt.c ---- */
void terminal_put(const Terminal *terminal, const char *text, size_t size);
/* READ_LINE: a byte. */
Reading terminal_byte(Terminal *terminal, char *byte);
/* A line into terminal->line, which ends with a NUL, also in the history; as editor_read. */
Reading terminal_ask(Terminal *terminal, const char *prompt, size_t *size);

/* ---- editor.c; without libedit there is none ---- */
/* False: not enough memory or descriptors. */
bool editor_open(Terminal *terminal);
void editor_close(Terminal *terminal);  /* keeps the history */
/* A line, at most LINE_MOST bytes of it, into terminal->line. READ_CANCELLED: *size tells how much stood there. */
Reading editor_read(Terminal *terminal, const char *prompt, size_t *size);
void editor_remember(Terminal *terminal, const char *line);
/* Takes the line being typed off the screen; the cursor is left where it began. */
void editor_hide(Terminal *terminal);
/* And shows it again, in a window that may have changed. */
void editor_show(Terminal *terminal);
/* Ctrl-Z: the terminal as it was before, then as it is needed. */
void editor_suspend(Terminal *terminal);
void editor_resume(Terminal *terminal);

#endif
