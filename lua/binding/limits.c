/* SPDX-License-Identifier: MIT */
/* Limits as a Lua table: { max_memory =, max_depth =, fuel =, … }, for a session or for one instance. */
#include <string.h>

#include "objects.h"

typedef struct Limit {
  const char *name;
  size_t offset, size;      /* in lun_limits */
} Limit;

#define LIMIT(name, field) { name, offsetof(lun_limits, field), sizeof ((lun_limits *)0)->field }
static const Limit known[] = {
  LIMIT("max_module", max_module_bytes), LIMIT("max_types", max_types),       LIMIT("max_functions", max_functions),
  LIMIT("max_locals", max_locals),       LIMIT("max_nesting", max_nesting),   LIMIT("max_body", max_body_bytes),
  LIMIT("max_memory", max_memory_bytes), LIMIT("max_table", max_table_elements), LIMIT("max_depth", max_depth),
  LIMIT("max_exceptions", max_exception_bytes), LIMIT("fuel", fuel),
};
enum { KNOWN = sizeof known / sizeof *known };

static int no_such_limit(lua_State *L, const char *name) {
  const char *names[KNOWN], *nearest;
  for (size_t i = 0; i < KNOWN; i++) names[i] = known[i].name;
  nearest = lun_nearest(name, names, KNOWN);
  if (nearest) return luaL_error(L, "limits: no such limit: %s; did you mean '%s'?", name, nearest);
  return luaL_error(L, "limits: no such limit: %s", name);
}

static void set(lua_State *L, const Limit *limit, lun_limits *limits) {
  char *field = (char *)limits + limit->offset;
  lua_Integer value;
  int is_integer;
  value = lua_tointegerx(L, -1, &is_integer);
  if (lua_type(L, -1) != LUA_TNUMBER || !is_integer || value < 1 || (limit->size == 4 && value > UINT32_MAX))
    luaL_error(L, "limits: %s must be an integer from 1 on, not %s", limit->name,
               lua_type(L, -1) == LUA_TNUMBER ? lua_tostring(L, -1) : luaL_typename(L, -1));
  if (limit->size == 4) memcpy(field, &(uint32_t){ (uint32_t)value }, 4);
  else memcpy(field, &(uint64_t){ (uint64_t)value }, 8);
}

void limits_read(lua_State *L, int index, lun_limits *limits) {
  if (lua_isnil(L, index)) return;
  if (!lua_istable(L, index)) luaL_error(L, "limits must be a table, not a %s", luaL_typename(L, index));
  lua_pushnil(L);
  while (lua_next(L, index)) {
    size_t i = 0;
    lua_pushvalue(L, -2);
    const char *name = lua_tostring(L, -1);
    while (i < KNOWN && strcmp(known[i].name, name ? name : "") != 0) i++;
    if (i == KNOWN) no_such_limit(L, name ? name : luaL_typename(L, -1));
    lua_pop(L, 1);
    set(L, &known[i], limits);
    lua_pop(L, 1);
  }
}
