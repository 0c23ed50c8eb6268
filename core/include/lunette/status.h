/* SPDX-License-Identifier: MIT */
/* What can go wrong, as a value.
 *
 * Every function that can fail returns a lun_status and, where it takes one, fills a lun_error. Results go
 * through `out` parameters, which are left NULL (or zero) on failure. The first error wins: a function that
 * is handed a lun_error which already holds one leaves it as it is.
 *
 * One table (core/base/status.c) gives each status its name and the exit status of the command.
 *
 * Threads: any; an error itself belongs to one at a time, and where it has a stack or an exception, to their store's. Texts
 * that are returned are constants. */
#ifndef LUNETTE_STATUS_H
#define LUNETTE_STATUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define LUN_API __attribute__((visibility("default")))
#define LUN_MUST_CHECK __attribute__((warn_unused_result))
#define LUN_PRINTF(f, a) __attribute__((format(printf, f, a)))
#else
#define LUN_API
#define LUN_MUST_CHECK
#define LUN_PRINTF(f, a)
#endif

typedef enum lun_status {
  LUN_OK,
  LUN_MALFORMED,   /* the bytes are no module (core specification, 5: Binary Format) */
  LUN_INVALID,     /* the module breaks a validation rule (core specification, 3) */
  LUN_UNLINKABLE,  /* an import is missing or of another type; there is no entry */
  LUN_TRAP,        /* a failure the specification names; lun_error.trap tells which */
  LUN_EXCEPTION,   /* an exception that nobody caught: lun_error.exception */
  LUN_HOST,        /* a host function returned an error */
  LUN_EXHAUSTED,   /* a limit of ours: stack bytes, nested runs */
  LUN_EXIT,        /* proc_exit, or a listener stopped the run: lun_error.code is the status */
  LUN_TIMEOUT,     /* the deadline passed */
  LUN_FUEL,        /* the fuel is used up */
  LUN_INTERRUPTED, /* lun_store_interrupt */
  LUN_LISTENER,    /* a listener failed and its attachment says on_error = stop */
  LUN_SCRIPT,      /* a script failed to load */
  LUN_USAGE,       /* the caller asked for something that makes no sense */
  LUN_NO_INPUT,    /* a file or folder cannot be opened */
  LUN_NO_MEMORY,   /* the system is out of memory, address space or threads */
  LUN_OUTPUT,      /* the output cannot be opened */
  LUN_IO,          /* reading or writing failed */
  LUN_STATUS_COUNT
} lun_status;

/* The traps of the core specification. The text of each is the specification's own (its test suite's). */
typedef enum lun_trap {
  LUN_TRAP_NONE,
  LUN_TRAP_UNREACHABLE,
  LUN_TRAP_MEMORY_OUT_OF_BOUNDS,
  LUN_TRAP_TABLE_OUT_OF_BOUNDS,
  LUN_TRAP_INDIRECT_CALL_TYPE,
  LUN_TRAP_UNDEFINED_ELEMENT,
  LUN_TRAP_UNINITIALIZED_ELEMENT,
  LUN_TRAP_INTEGER_OVERFLOW,
  LUN_TRAP_INTEGER_DIVIDE_BY_ZERO,
  LUN_TRAP_INVALID_CONVERSION,
  LUN_TRAP_NULL_REFERENCE,
  LUN_TRAP_NULL_FUNCTION,
  LUN_TRAP_UNKNOWN_IMPORT, /* not the specification's: see lun_imports_stub */
  LUN_TRAP_COUNT
} lun_trap;

typedef struct lun_snapshot lun_snapshot;
typedef struct lun_exception lun_exception; /* see exception.h */

#define LUN_NO_OFFSET UINT64_MAX

/* Filled by whoever fails. Start with LUN_ERROR_INIT, end with lun_error_clear. */
typedef struct lun_error {
  lun_status kind;      /* LUN_OK: no error */
  lun_trap trap;        /* with LUN_TRAP */
  int32_t code;         /* with LUN_EXIT: the exact status, proc_exit(n) gives n */
  uint64_t offset;      /* with LUN_MALFORMED: byte in the module; with LUN_INVALID, too, where one is to blame; else
                         * LUN_NO_OFFSET */
  char message[512];    /* one line, no newline at its end */
  char *detail;         /* further lines, or NULL; owned */
  lun_snapshot *stack;  /* the stack at the point of failure, or NULL; owned, dies with its store */
  lun_exception *exception; /* with LUN_EXCEPTION; owned (one hold) */
  bool caught;          /* with LUN_EXCEPTION, in an abort: a frame further out catches it */
  void *value;          /* with LUN_HOST: what the host function left in lun_error.value; never read here */
} lun_error;

#define LUN_ERROR_INIT { .offset = LUN_NO_OFFSET }

/* Frees what the error owns and makes it empty again. */
LUN_API void lun_error_clear(lun_error *error);

/* Fills `error`, unless it is NULL or holds an error already. The message is cut at its room, never inside a UTF-8
 * sequence; a newline in it becomes a space, another control character (but a tab) a '?'. Returns `kind`, so that
 * `return lun_error_set(…)` reads well. */
LUN_API lun_status lun_error_set(lun_error *error, lun_status kind, const char *format, ...) LUN_PRINTF(3, 4);

/* "trap", "exit", …: the kind's name as Lua and the messages show it; "ok" for LUN_OK. Never NULL. */
LUN_API const char *lun_status_name(lun_status status);
/* The exit status of the `lunette` command for this kind; 0 for LUN_OK and LUN_EXIT (the guest's own). */
LUN_API int lun_status_exit(lun_status status);
/* A trap's name ("out of bounds memory access"), as the specification's test suite words it. Never NULL. */
LUN_API const char *lun_trap_name(lun_trap trap);

/* The candidate that `word` was most likely meant to be, or NULL where none is near: for "did you mean". */
LUN_API const char *lun_nearest(const char *word, const char *const *candidates, size_t count);

#ifdef __cplusplus
}
#endif
#endif
