/* SPDX-License-Identifier: MIT */
/* Places in the source: of a module's code offsets, of frames and of definitions. Lua gets tables and strings of its own. */
#include <stdio.h>
#include <string.h>

#include "objects.h"

enum { FRAMES_FIRST = 32 };  /* more are rare */

/* Pushes the string, or nil. */
static void set_text(lua_State *L, const char *key, const char *text) {
  if (!text) return;
  lua_pushstring(L, text);
  lua_setfield(L, -2, key);
}

static void set_number(lua_State *L, const char *key, uint32_t number) {
  if (!number) return;
  lua_pushinteger(L, number);
  lua_setfield(L, -2, key);
}

static void push_source(lua_State *L, const lun_place *source) {
  lua_createtable(L, 0, 6);
  set_text(L, "name", source->function);
  set_text(L, "linkage_name", source->linkage_name);
  set_text(L, "file", source->file);
  set_number(L, "line", source->line);
  set_number(L, "column", source->column);
  lua_pushboolean(L, source->is_inlined);
  lua_setfield(L, -2, "inlined");
}

/* The source frames of an offset, `count` of them: in `room`, or, where that is too small, in a userdata that is pushed
 * (else nil is). */
static const lun_place *frames_of(lua_State *L, const lun_module *module, uint64_t offset, lun_place room[FRAMES_FIRST],
                                   size_t *count) {
  *count = lun_module_places(module, offset, room, FRAMES_FIRST);
  if (*count <= FRAMES_FIRST) {
    lua_pushnil(L);
    return room;
  }
  lun_place *frames = lua_newuserdatauv(L, *count * sizeof *frames, 0);
  lun_module_places(module, offset, frames, *count);
  return frames;
}

void sources_push(lua_State *L, const lun_module *module, uint64_t offset, bool inlined_only) {
  lun_place room[FRAMES_FIRST];
  size_t count;
  const lun_place *frames = frames_of(L, module, offset, room, &count);
  lua_createtable(L, (int)count, 0);
  for (size_t i = 0; i < count; i++) {
    if (inlined_only && !frames[i].is_inlined) break;
    push_source(L, &frames[i]);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  lua_remove(L, -2);
}

bool source_outermost(lua_State *L, const lun_module *module, uint64_t offset, lun_place *source) {
  lun_place room[FRAMES_FIRST];
  size_t count;
  const lun_place *frames = frames_of(L, module, offset, room, &count);
  if (count) *source = frames[count - 1];
  lua_pop(L, 1);
  return count > 0;
}

void source_add(luaL_Buffer *buffer, const lun_place *source) {
  char text[32];
  if (!source->file) return;
  luaL_addstring(buffer, " ");
  name_add(buffer, source->file, strlen(source->file));
  if (!source->line) return;
  snprintf(text, sizeof text, source->column ? ":%u:%u" : ":%u", (unsigned)source->line, (unsigned)source->column);
  luaL_addstring(buffer, text);
}
