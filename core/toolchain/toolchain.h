/* SPDX-License-Identifier: MIT */
/* The toolchains' functions from inside: one file per toolchain, each a table of rows that toolchain.c matches with what a
 * module imports. All functions of one list of imports share a Context. */
#ifndef LUN_TOOLCHAIN_INSIDE_H
#define LUN_TOOLCHAIN_INSIDE_H

#include <lunette/exception.h>
#include <lunette/listener.h>
#include <lunette/toolchain.h>

typedef struct Context {
  uint32_t holders;         /* host functions */
  lun_toolchain_options options;
  uint32_t temp_ret0;
  lun_tag *longjmp_tag;     /* the store's; NULL until something jumps */
} Context;

typedef struct Row {
  const char *name;         /* ends in '*': any function whose name begins so */
  const char *signature;    /* "ii:d": i = i32, d = f64; "i*:*": an i32 first, anything else */
  lun_host_callback callback;  /* its self is the Context */
} Row;

/* Each ends with a row without name. */
extern const Row assemblyscript_rows[], emscripten_rows[];

#endif
