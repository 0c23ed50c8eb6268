/* SPDX-License-Identifier: MIT */
/* The Lua files of the command, precompiled (by cmake/embed.lua while building): what package.preload is filled with,
 * so that the command needs no Lua file beside it to start. */
#ifndef LUN_EMBEDDED_H
#define LUN_EMBEDDED_H

#include <stddef.h>

typedef struct Embedded {
  const char *name;           /* the module's: "lunette", "lunette.cli.run" */
  const unsigned char *bytes; /* for luaL_loadbufferx */
  size_t size;
} Embedded;

/* Ended by a row whose name is NULL. */
extern const Embedded embedded[];

#endif
