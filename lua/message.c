/* SPDX-License-Identifier: MIT */
/* What the command says: one line "lunette: …" on stderr for each failure, where it helps a line "hint: …" below it,
 * and for a guest's failure its stack, a frame a line. Texts may come from a guest: control characters are shown as
 * \xNN, so that none can move the cursor or make a second line. Each message is one write(2). */
#define _GNU_SOURCE
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"

/* The innermost and outermost frames of a stack that are shown. */
enum { FRAMES_INNER = 50, FRAMES_OUTER = 10 };
enum { SOURCES_MOST = 64 };

/* How this run of the command wants its messages: set once, before the first. */
static struct {
  bool quiet;
  Color color;
} wish;

void messages_init(bool quiet, Color color) {
  wish.quiet = quiet;
  wish.color = color;
}

bool messages_colored(int fd) {
  if (wish.color != COLOR_AUTO) return wish.color == COLOR_ALWAYS;
  const char *none = getenv("NO_COLOR"), *terminal = getenv("TERM");
  return !(none && *none) && !(terminal && strcmp(terminal, "dumb") == 0) && isatty(fd);
}

/* ---- text on its way to stderr ---- */
typedef struct Text {
  char bytes[4096];
  size_t size;
} Text;

static void text_write(Text *text) {
  size_t done = 0;
  while (done < text->size) {
    ssize_t count = write(STDERR_FILENO, text->bytes + done, text->size - done);
    if (count < 0 && errno != EINTR) break;
    if (count > 0) done += (size_t)count;
  }
  text->size = 0;
}

static void text_put(Text *text, const char *bytes, size_t size) {
  if (text->size + size > sizeof text->bytes) text_write(text);
  if (size > sizeof text->bytes) size = sizeof text->bytes;
  memcpy(text->bytes + text->size, bytes, size);
  text->size += size;
}

static void text_string(Text *text, const char *string) { text_put(text, string, strlen(string)); }

/* Of a text that may hold anything. */
static void text_escaped(Text *text, const char *bytes, size_t size) {
  for (size_t i = 0; i < size; i++) {
    unsigned char byte = (unsigned char)bytes[i];
    char code[8];
    if ((byte >= 0x20 && byte != 0x7f) || byte == '\t') text_put(text, bytes + i, 1);
    else text_put(text, code, (size_t)snprintf(code, sizeof code, "\\x%02x", byte));
  }
}

static void text_label(Text *text, const char *label, const char *color) {
  bool colored = messages_colored(STDERR_FILENO);
  if (colored) text_string(text, color);
  text_string(text, label);
  if (colored) text_string(text, "\033[0m");
  text_string(text, " ");
}

static void text_format(Text *text, const char *format, va_list arguments) {
  char buffer[2048];
  int length = vsnprintf(buffer, sizeof buffer, format, arguments);
  if (length < 0) return;
  text_escaped(text, buffer, (size_t)length < sizeof buffer ? (size_t)length : sizeof buffer - 1);
}

static void text_hint(Text *text, const char *line, size_t size) {
  if (wish.quiet) return;
  text_label(text, "hint:", "\033[36m");
  text_escaped(text, line, size);
  text_string(text, "\n");
}

void message(const char *format, ...) {
  Text text = { .size = 0 };
  va_list arguments;
  text_label(&text, "lunette:", "\033[1;31m");
  va_start(arguments, format);
  text_format(&text, format, arguments);
  va_end(arguments);
  text_string(&text, "\n");
  text_write(&text);
}

void hint(const char *format, ...) {
  Text text = { .size = 0 };
  char line[1024];
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
  if (length < 0) return;
  text_hint(&text, line, (size_t)length < sizeof line ? (size_t)length : sizeof line - 1);
  text_write(&text);
}

void error_hint(lun_error *error, const char *format, ...) {
  char line[512], *detail = NULL;
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
  if (length < 0 || error->detail || asprintf(&detail, "hint: %s", line) < 0) return;
  error->detail = detail;
}

/* ---- errors ---- */
static void text_number(Text *text, const char *format, unsigned long long number) {
  char digits[32];
  text_put(text, digits, (size_t)snprintf(digits, sizeof digits, format, number));
}

static void text_place(Text *text, const lun_place *source) {
  if (!source->file) return;
  text_string(text, " ");
  text_escaped(text, source->file, strlen(source->file));
  if (source->line) text_number(text, ":%llu", source->line);
  if (source->line && source->column) text_number(text, ":%llu", source->column);
}

/* "(a=1, now 2)": one that the function may have changed since is what it is now. */
static void text_params(Text *text, const lun_snapshot *stack, uint32_t index, const lun_definition *definition) {
  const lun_signature *signature = lun_definition_signature(definition);
  const uint64_t *slots = lun_snapshot_params(stack, index, NULL);
  if (!slots || !signature->param_count) return;
  text_string(text, "(");
  for (uint32_t i = 0; i < signature->param_count; i++) {
    const char *name = lun_definition_param_name(definition, i);
    char value[VALUE_TEXT];
    if (i) text_string(text, ", ");
    if (!lun_snapshot_exact(stack, index, i)) text_string(text, "now ");
    if (name) text_escaped(text, name, strlen(name));
    if (name) text_string(text, "=");
    text_string(text, value_show(signature->params[i], slots, value));
    slots += lun_type_slots(signature->params[i]);
  }
  text_string(text, ")");
}

/* The source frames of a frame, innermost first; of very many none. */
static size_t frame_sources(const lun_frame *frame, lun_place sources[SOURCES_MOST]) {
  const lun_module *module = lun_definition_module(frame->definition);
  if (frame->is_host || frame->offset == LUN_NO_OFFSET || !module) return 0;
  size_t count = lun_module_places(module, frame->offset, sources, SOURCES_MOST);
  return count <= SOURCES_MOST ? count : 0;
}

static void text_inlined(Text *text, const lun_place *source) {
  const char *name = source->function ? source->function : "?";
  text_string(text, "  at ");
  text_escaped(text, name, strlen(name));
  text_string(text, " (inlined)");
  text_place(text, source);
  text_string(text, "\n");
}

static void text_frame(Text *text, const lun_snapshot *stack, uint32_t index) {
  const lun_frame *frame = lun_snapshot_frame(stack, index);
  const char *name = lun_definition_name(frame->definition);
  const char *module = frame->is_host ? lun_definition_module_name(frame->definition)
                       : frame->instance ? lun_instance_name(frame->instance) : "";
  lun_place sources[SOURCES_MOST];
  size_t count = frame_sources(frame, sources);
  for (size_t i = 0; i + 1 < count; i++) text_inlined(text, &sources[i]);
  text_string(text, "  at ");
  bool is_demangled = strcmp(name, lun_definition_raw_name(frame->definition)) != 0;
  text_escaped(text, name, is_demangled ? lun_name_stem(name) : strlen(name));
  text_params(text, stack, index, frame->definition);
  if (module && *module) {
    text_string(text, " (");
    text_escaped(text, module, strlen(module));
    text_string(text, ")");
  }
  const lun_module *file = lun_definition_module(frame->definition);
  if (!frame->is_host && frame->offset != LUN_NO_OFFSET && file)
    text_number(text, " 0x%llx", lun_module_file_offset(file, frame->offset));
  if (count) text_place(text, &sources[count - 1]);
  text_string(text, "\n");
}

static void text_stack(Text *text, const lun_snapshot *stack) {
  uint32_t count = lun_snapshot_count(stack);
  uint64_t hidden = lun_snapshot_omitted(stack);
  uint32_t inner = count, outer = count;  /* shown: [0, inner) and [outer, count) */
  if (count > FRAMES_INNER + FRAMES_OUTER || hidden) {
    inner = count < FRAMES_INNER ? count : FRAMES_INNER;
    outer = count - inner > FRAMES_OUTER ? count - FRAMES_OUTER : inner;
    hidden += outer - inner;
  }
  for (uint32_t i = 0; i < inner; i++) text_frame(text, stack, i);
  if (hidden) {
    char line[64];
    text_put(text, line, (size_t)snprintf(line, sizeof line, "  ... %llu frames more\n", (unsigned long long)hidden));
  }
  for (uint32_t i = outer; i < count; i++) text_frame(text, stack, i);
}

/* Line by line; a line "hint: …" is shown as one, the rest indented. */
static void text_detail(Text *text, const char *detail) {
  while (*detail) {
    size_t size = strcspn(detail, "\n");
    if (strncmp(detail, "hint: ", 6) == 0) {
      text_hint(text, detail + 6, size - 6);
    } else if (size) {
      bool is_frame = *detail == '\t';
      text_string(text, is_frame ? "    " : "  ");
      text_escaped(text, detail + is_frame, size - is_frame);
      text_string(text, "\n");
    }
    detail += size + (detail[size] == '\n');
  }
}

void message_lines(const char *lines, size_t size) {
  Text text = { .size = 0 };
  size_t first = 0;
  while (first < size && lines[first] != '\n') first++;
  text_label(&text, "lunette:", "\033[1;31m");
  text_escaped(&text, lines, first);
  text_string(&text, "\n");
  if (first < size) text_detail(&text, lines + first + 1);
  text_write(&text);
}

/* Whether the kind's name helps before the message: for what ends a run. */
static bool kind_is_shown(lun_status kind) {
  return (kind >= LUN_MALFORMED && kind <= LUN_INVALID) || (kind >= LUN_TRAP && kind <= LUN_LISTENER && kind != LUN_EXIT);
}

int report_error(const lun_error *error, const char *subject) {
  Text text = { .size = 0 };
  const char *kind = lun_status_name(error->kind);
  size_t kind_size = strlen(kind);
  bool has_kind = strncmp(error->message, kind, kind_size) == 0;
  text_label(&text, "lunette:", "\033[1;31m");
  if (subject) {
    text_escaped(&text, subject, strlen(subject));
    text_string(&text, ": ");
  }
  if (kind_is_shown(error->kind) && !has_kind) {
    text_string(&text, kind);
    text_string(&text, ": ");
  }
  text_escaped(&text, error->message, strlen(error->message));
  if ((error->kind == LUN_MALFORMED || error->kind == LUN_INVALID) && error->offset != LUN_NO_OFFSET) {
    char offset[48];
    text_put(&text, offset, (size_t)snprintf(offset, sizeof offset, " (at byte 0x%llx)", (unsigned long long)error->offset));
  }
  text_string(&text, "\n");
  if (error->stack) text_stack(&text, error->stack);
  if (error->detail && strcmp(error->detail, error->message) != 0) text_detail(&text, error->detail);
  text_write(&text);
  return lun_status_exit(error->kind);
}

int finish_stdout(void) {
  bool failed = ferror(stdout) != 0;
  errno = 0;
  failed = fflush(stdout) != 0 || failed;
  if (!failed) return 0;
  if (errno != EPIPE && errno != 0) message("cannot write to stdout: %s", strerror(errno));
  return lun_status_exit(LUN_IO);
}
