/* SPDX-License-Identifier: MIT */
/* A where from Lua: a pattern, a list of patterns, or a table of conditions that must all hold:
 *
 *     { name = pattern or list, module = glob, import = true or glob, export = true or glob, host = true or false,
 *       index = 12 or {10, 20} }
 *
 * A function is a where, too; it is asked as it is. */
#include <limits.h>
#include <string.h>

#include "objects.h"

enum { PATTERNS_MOST = 3 };
typedef enum Wish { WISH_NONE, WISH_YES, WISH_NO } Wish;

typedef struct WhereObject {
  Head head;
  lun_where *patterns[PATTERNS_MOST];  /* all must match */
  size_t count;
  Wish import, export, host;
  const char *module;                  /* a glob; user value 2 keeps it */
  bool has_index;
  lua_Integer first, last;
} WhereObject;

/* ---- making ---- */
static void add_patterns(lua_State *L, WhereObject *object, const char *const *patterns, size_t count) {
  lun_error error = LUN_ERROR_INIT;
  if (lun_where_create(patterns, count, &object->patterns[object->count], &error) == LUN_OK) {
    object->count++;
    return;
  }
  lua_pushstring(L, error.message);
  lun_error_clear(&error);
  lua_error(L);
}

/* The pattern at `index`, with the prefix before it. No name that a pattern can match holds a NUL byte. */
static const char *read_pattern(lua_State *L, int index, const char *prefix, const char *what) {
  size_t size;
  const char *pattern = lua_tolstring(L, index, &size);
  if (strlen(pattern) != size) luaL_error(L, "%s: a pattern can't hold a NUL byte", what);
  return *prefix ? lua_pushfstring(L, "%s%s", prefix, pattern) : pattern;
}

/* A pattern or a list of them, at `index`; `prefix` stands before each ("import:"). */
static void read_patterns(lua_State *L, WhereObject *object, int index, const char *prefix, const char *what) {
  const char **patterns;
  size_t count;
  if (lua_type(L, index) == LUA_TSTRING) {
    const char *pattern = read_pattern(L, index, prefix, what);
    add_patterns(L, object, &pattern, 1);
    return;
  }
  if (lua_type(L, index) != LUA_TTABLE)
    luaL_error(L, "%s: a pattern or a list of patterns expected, got %s", what, luaL_typename(L, index));
  count = (size_t)luaL_len(L, index);
  luaL_checkstack(L, (int)(count < INT_MAX ? count : INT_MAX) + 8, "too many patterns");
  patterns = lua_newuserdatauv(L, count * sizeof *patterns + 1, 0);
  for (size_t i = 0; i < count; i++) {
    if (lua_geti(L, index, (lua_Integer)i + 1) != LUA_TSTRING)
      luaL_error(L, "%s: pattern %d is a %s, not a string", what, (int)i + 1, luaL_typename(L, -1));
    patterns[i] = read_pattern(L, lua_gettop(L), prefix, what);
  }
  add_patterns(L, object, patterns, count);
}

/* true, false, or a pattern under the prefix. */
static Wish read_wish(lua_State *L, WhereObject *object, int index, const char *prefix, const char *what) {
  if (lua_type(L, index) == LUA_TBOOLEAN) return lua_toboolean(L, index) ? WISH_YES : WISH_NO;
  read_patterns(L, object, index, prefix, what);
  return WISH_YES;
}

static void read_index(lua_State *L, WhereObject *object, int index) {
  object->has_index = true;
  if (lua_type(L, index) == LUA_TTABLE) {
    lua_geti(L, index, 1);
    lua_geti(L, index, 2);
    object->first = luaL_checkinteger(L, -2);
    object->last = luaL_checkinteger(L, -1);
  } else {
    if (!lua_isinteger(L, index)) luaL_error(L, "where.index: a number or {first, last} expected");
    object->first = object->last = lua_tointeger(L, index);
  }
}

static void read_condition(lua_State *L, WhereObject *object, int self, const char *key, int index) {
  static const char *const keys[] = { "name", "module", "import", "export", "host", "index" };
  const char *nearest;
  if (strcmp(key, "name") == 0) {
    read_patterns(L, object, index, "", "where.name");
  } else if (strcmp(key, "module") == 0) {
    if (lua_type(L, index) != LUA_TSTRING) luaL_error(L, "where.module: a glob expected, got %s", luaL_typename(L, index));
    object->module = read_pattern(L, index, "", "where.module");
    lua_pushvalue(L, index);
    lua_setiuservalue(L, self, 2);
  } else if (strcmp(key, "import") == 0) {
    object->import = read_wish(L, object, index, "import:", "where.import");
  } else if (strcmp(key, "export") == 0) {
    object->export = read_wish(L, object, index, "export:", "where.export");
  } else if (strcmp(key, "host") == 0) {
    if (lua_type(L, index) != LUA_TBOOLEAN)
      luaL_error(L, "where.host: true or false expected, got %s", luaL_typename(L, index));
    object->host = lua_toboolean(L, index) ? WISH_YES : WISH_NO;
  } else if (strcmp(key, "index") == 0) {
    read_index(L, object, index);
  } else {
    nearest = lun_nearest(key, keys, sizeof keys / sizeof *keys);
    luaL_error(L, nearest ? "where.%s: no such field; did you mean '%s'?" : "where.%s: no such field", key, nearest);
  }
}

/* Pushes the where of the string or table at `index`. */
static WhereObject *where_make(lua_State *L, int index) {
  WhereObject *object = object_new(L, &where_class, NULL, sizeof *object);
  int self = lua_gettop(L);
  bool is_list;
  luaL_checkstack(L, 16, NULL);
  if (lua_type(L, index) == LUA_TTABLE) {
    is_list = luaL_len(L, index) > 0;
    for (lua_pushnil(L); lua_next(L, index); lua_settop(L, self + 1)) {
      if (lua_type(L, -2) == LUA_TSTRING) read_condition(L, object, self, lua_tostring(L, -2), self + 2);
    }
    if (is_list) read_patterns(L, object, index, "", "where");
  } else {
    read_patterns(L, object, index, "", "where");
  }
  lua_settop(L, self);
  return object;
}

/* (spec) -> where */
int core_where(lua_State *L) {
  luaL_checkany(L, 1);
  lua_settop(L, 1);
  if (!object_to(L, 1, &where_class)) where_make(L, 1);
  return 1;
}

static int where_gc(lua_State *L) {
  WhereObject *object = object_to(L, 1, &where_class);
  if (!object) return 0;
  for (size_t i = 0; i < object->count; i++) lun_where_destroy(object->patterns[i]);
  object->count = 0;
  return 0;
}

/* ---- asking ---- */
/* `*` is any text, `?` one byte. */
static bool glob_match(const char *glob, const char *text) {
  const char *star = NULL, *back = NULL;
  for (;;) {
    if (*glob == '*') {
      star = ++glob;
      back = text;
    } else if (*text && (*glob == '?' || *glob == *text)) {
      glob++;
      text++;
    } else if (!*text && !*glob) {
      return true;
    } else if (star && *back) {
      glob = star;
      text = ++back;
    } else {
      return false;
    }
  }
}

static bool granted(Wish wish, bool fact) {
  return wish == WISH_NONE || (wish == WISH_YES) == fact;
}

static bool where_matches(const WhereObject *object, const lun_definition *definition) {
  lua_Integer index = (lua_Integer)lun_definition_index(definition);
  bool is_host = lun_definition_is_host(definition) || lun_definition_is_import(definition);
  const char *module = lun_definition_module_name(definition);
  if (!granted(object->import, lun_definition_import_module(definition) != NULL)) return false;
  if (!granted(object->export, lun_definition_export_count(definition) > 0)) return false;
  if (!granted(object->host, is_host)) return false;
  if (object->has_index && (index < object->first || index > object->last)) return false;
  if (object->module && !glob_match(object->module, module ? module : "")) return false;
  for (size_t i = 0; i < object->count; i++) {
    if (!lun_where_match(object->patterns[i], definition)) return false;
  }
  return true;
}

bool where_wants(lua_State *L, int index, Session *session, const lun_definition *definition) {
  const WhereObject *object = object_to(L, index, &where_class);
  bool wants;
  luaL_checkstack(L, 8, NULL);
  if (object) return where_matches(object, definition);
  if (lua_type(L, index) == LUA_TFUNCTION) {
    lua_pushvalue(L, index);
    definition_push(L, session, definition);
    lua_call(L, 1, 1);
    wants = lua_toboolean(L, -1);
  } else {
    wants = where_matches(where_make(L, index), definition);
  }
  lua_pop(L, 1);
  return wants;
}

/* ---- hints ---- */
/* where:nearest(module) -> a list of patterns that may have been meant */
static int where_nearest(lua_State *L) {
  const WhereObject *object = object_check_closed(L, 1, &where_class);
  const lun_module *module = module_check(L, 2);
  lun_where_hint hints[LUN_WHERE_NEAREST];
  lua_Integer found = 0;
  lua_newtable(L);
  for (size_t i = 0; i < object->count; i++) {
    size_t count = lun_where_nearest(object->patterns[i], module, hints);
    for (size_t n = 0; n < count; n++) {
      lua_pushstring(L, hints[n].text);
      lua_rawseti(L, -2, ++found);
    }
  }
  return 1;
}

static const luaL_Reg methods[] = { { "nearest", where_nearest }, { NULL, NULL } };
static const luaL_Reg metamethods[] = { { "__gc", where_gc }, { NULL, NULL } };
const Class where_class = { "where", 2, NULL, methods, metamethods, NULL, NULL };
