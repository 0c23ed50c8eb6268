/* SPDX-License-Identifier: MIT */
/* The one table of failures: each lun_status with its name, as Lua and the messages show it, and the exit status of
 * the command; each trap with the text that the specification's test suite gives it. And how an error is filled.
 *
 * lun_error_clear is with the engine: an error may own a snapshot of its stack. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base.h"

typedef struct StatusRow {
  const char *name;
  int exit_status;
} StatusRow;

/* LUN_EXIT ends the command with the guest's own status, which is in the error. */
static const StatusRow status_table[LUN_STATUS_COUNT] = {
  [LUN_OK] = { "ok", 0 },
  [LUN_MALFORMED] = { "malformed", 65 },
  [LUN_INVALID] = { "invalid", 65 },
  [LUN_UNLINKABLE] = { "unlinkable", 65 },
  [LUN_TRAP] = { "trap", 134 },
  [LUN_EXCEPTION] = { "exception", 134 },
  [LUN_HOST] = { "host", 134 },
  [LUN_EXHAUSTED] = { "exhausted", 134 },
  [LUN_EXIT] = { "exit", 0 },
  [LUN_TIMEOUT] = { "timeout", 124 },
  [LUN_FUEL] = { "fuel", 124 },
  [LUN_INTERRUPTED] = { "interrupted", 130 },
  [LUN_LISTENER] = { "listener", 102 },
  [LUN_SCRIPT] = { "script", 101 },
  [LUN_USAGE] = { "usage", 64 },
  [LUN_NO_INPUT] = { "no input", 66 },
  [LUN_NO_MEMORY] = { "memory", 71 },
  [LUN_OUTPUT] = { "output", 73 },
  [LUN_IO] = { "i/o", 74 },
};

static const char *const trap_table[LUN_TRAP_COUNT] = {
  [LUN_TRAP_NONE] = "no trap",
  [LUN_TRAP_UNREACHABLE] = "unreachable",
  [LUN_TRAP_MEMORY_OUT_OF_BOUNDS] = "out of bounds memory access",
  [LUN_TRAP_TABLE_OUT_OF_BOUNDS] = "out of bounds table access",
  [LUN_TRAP_INDIRECT_CALL_TYPE] = "indirect call type mismatch",
  [LUN_TRAP_UNDEFINED_ELEMENT] = "undefined element",
  [LUN_TRAP_UNINITIALIZED_ELEMENT] = "uninitialized element",
  [LUN_TRAP_INTEGER_OVERFLOW] = "integer overflow",
  [LUN_TRAP_INTEGER_DIVIDE_BY_ZERO] = "integer divide by zero",
  [LUN_TRAP_INVALID_CONVERSION] = "invalid conversion to integer",
  [LUN_TRAP_NULL_REFERENCE] = "null reference",
  [LUN_TRAP_NULL_FUNCTION] = "null function reference",
  [LUN_TRAP_UNKNOWN_IMPORT] = "unknown import",
};

const char *lun_status_name(lun_status status) {
  return (unsigned)status < LUN_STATUS_COUNT ? status_table[status].name : "unknown";
}

int lun_status_exit(lun_status status) {
  return (unsigned)status < LUN_STATUS_COUNT ? status_table[status].exit_status : 70;
}

const char *lun_trap_name(lun_trap trap) {
  return (unsigned)trap < LUN_TRAP_COUNT ? trap_table[trap] : "unknown trap";
}

lun_status lun_error_set(lun_error *error, lun_status kind, const char *format, ...) {
  if (!error || error->kind != LUN_OK) return kind;
  error->kind = kind;
  char *message = error->message;
  size_t room = sizeof error->message;
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(message, room, format, arguments);
  va_end(arguments);
  if (length < 0) message[0] = 0;
  else if ((size_t)length >= room) message[utf8_cut(message, room - 1)] = 0;
  /* A message goes to terminals and quotes names out of files: no line breaks, and nothing that steers a terminal. */
  for (char *at = message; *at; at++) {
    if (*at == '\n' || *at == '\r') *at = ' ';
    else if (((uint8_t)*at < 0x20 && *at != '\t') || *at == 0x7f) *at = '?';
  }
  return kind;
}
