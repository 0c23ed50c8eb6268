/* SPDX-License-Identifier: MIT */
/* Host functions that toolchains expect of whoever runs their modules, beside WASI, all of module "env":
 *
 *     AssemblyScript   abort(message, file, line, column) traps; trace(message, n, a0..a4) writes a line; seed() gives a number
 *     Emscripten       emscripten_notify_memory_growth(index), getTempRet0() and setTempRet0(value), and for setjmp and longjmp
 *                      _emscripten_throw_longjmp() (older: emscripten_longjmp(env, value)) and invoke_NAME(index, …)
 *
 * invoke_NAME calls the function of that index of the guest's table (its exported __indirect_function_table, else table 0) with
 * the remaining arguments; where the type is another because 64-bit integers are split, the guest's dynCall_NAME. A longjmp is
 * an exception that the innermost invoke_NAME catches: it puts the guest's stack pointer back (stackSave and stackRestore, or
 * emscripten_stack_get_current and _emscripten_stack_restore, as far as they are exported) and says setThrew(1, 0). All calls
 * between are told abort, with kind exception; invoke_NAME itself is told after. Where setThrew is not exported the exception
 * goes on.
 *
 * Threads: those of the store. What is added belongs to the list, and lives as long as the store needs it. */
#ifndef LUNETTE_TOOLCHAIN_H
#define LUNETTE_TOOLCHAIN_H

#include <lunette/instance.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Zero stands for the default. */
typedef struct lun_toolchain_options {
  int trace_fd;              /* where trace writes; it stays the caller's. 0 or negative: nowhere */
  void (*before_write)(void *self, int fd); /* before trace writes; may be NULL */
  void *self;
  bool deterministic;        /* seed gives the same number in each run */
} lun_toolchain_options;

/* Adds those of the functions above that the module imports with the types above. What comes later in the list wins: call
 * this first, and anybody else's function of the same name stands before it. One list serves one instance (its getTempRet0).
 * `options` may be NULL. Fails with LUN_NO_MEMORY. */
LUN_API LUN_MUST_CHECK lun_status lun_toolchain_import(const lun_module *module, const lun_toolchain_options *options,
                                                       lun_imports *imports, lun_error *error);

#ifdef __cplusplus
}
#endif
#endif
