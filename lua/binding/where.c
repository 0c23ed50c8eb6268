/* SPDX-License-Identifier: MIT */
/* A where from Lua: a pattern, a list of patterns, or a table of conditions that must all hold:
 *
 *     { name = pattern or list, module = glob, import = true or glob, export = true or glob, file = glob or list,
 *       host = true or false, index = 12 or {10, 20},
 *       caller = pattern or list, under = pattern or list, depth = 3 or {1, 5}, when = predicate, sample = 100, seed = 7,
 *       min_time = "1ms" or ns }
 *
 * Those of the last lines are asked for each call: they go to the attachment as its lun_condition.
 *
 * A function is a where, too; it is asked as it is. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "objects.h"

enum { PATTERNS_MOST = 5 };            /* name, import, export, file, and those without a key */
typedef enum Wish { WISH_NONE, WISH_YES, WISH_NO } Wish;

typedef struct WhereObject {
  Head head;
  lun_where *patterns[PATTERNS_MOST];  /* all must match */
  size_t count;
  Wish import, export, host;
  const char *module;                  /* a glob; user value 2 keeps it */
  bool has_index;
  lua_Integer first, last;
  CallWhere *calls;                    /* NULL: nothing is asked of calls */
} WhereObject;

/* ---- making ---- */
static void make_patterns(lua_State *L, lun_where **out, const char *const *patterns, size_t count) {
  lun_error error = LUN_ERROR_INIT;
  if (lun_where_create(patterns, count, out, &error) == LUN_OK) return;
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
static void read_where(lua_State *L, lun_where **out, int index, const char *prefix, const char *what) {
  const char **patterns;
  size_t count;
  if (lua_type(L, index) == LUA_TSTRING) {
    const char *pattern = read_pattern(L, index, prefix, what);
    make_patterns(L, out, &pattern, 1);
    return;
  }
  if (lua_type(L, index) != LUA_TTABLE)
    luaL_error(L, "%s: a pattern or a list of patterns expected, got %s", what, luaL_typename(L, index));
  count = (size_t)list_length(L, index, what);
  luaL_checkstack(L, (int)count + 8, "too many patterns");
  patterns = lua_newuserdatauv(L, count * sizeof *patterns + 1, 0);
  for (size_t i = 0; i < count; i++) {
    if (lua_rawgeti(L, index, (lua_Integer)i + 1) != LUA_TSTRING)
      luaL_error(L, "%s: pattern %d is a %s, not a string", what, (int)i + 1, luaL_typename(L, -1));
    patterns[i] = read_pattern(L, lua_gettop(L), prefix, what);
  }
  make_patterns(L, out, patterns, count);
}

static void read_patterns(lua_State *L, WhereObject *object, int index, const char *prefix, const char *what) {
  read_where(L, &object->patterns[object->count], index, prefix, what);
  object->count++;
}

/* true, false, or a pattern under the prefix. */
static Wish read_wish(lua_State *L, WhereObject *object, int index, const char *prefix, const char *what) {
  if (lua_type(L, index) == LUA_TBOOLEAN) return lua_toboolean(L, index) ? WISH_YES : WISH_NO;
  read_patterns(L, object, index, prefix, what);
  return WISH_YES;
}

/* A whole number from 0, or two of them in a table: {first, last}. */
static void read_range(lua_State *L, int index, const char *what, lua_Integer *first, lua_Integer *last) {
  bool is_table = lua_type(L, index) == LUA_TTABLE, is_well;
  if (is_table) {
    lua_rawgeti(L, index, 1);
    lua_rawgeti(L, index, 2);
    is_well = lua_isinteger(L, -2) && lua_isinteger(L, -1) && lua_rawlen(L, index) == 2;
  } else {
    lua_pushvalue(L, index);
    lua_pushvalue(L, index);
    is_well = lua_isinteger(L, -1);
  }
  if (is_well) *first = lua_tointeger(L, -2), *last = lua_tointeger(L, -1);
  if (!is_well || *first < 0 || *last < 0) {
    const char *got = is_table ? "another table" : luaL_tolstring(L, index, NULL);
    luaL_error(L, "%s: a whole number from 0 or two, {first, last}, expected, got %s", what, got);
  }
  if (*first > *last)
    luaL_error(L, "%s: {%I, %I} runs backwards", what, (LUAI_UACINT)*first, (LUAI_UACINT)*last);
}

/* ---- what is asked of calls ---- */
void call_where_drop(CallWhere *calls) {
  if (!calls || --calls->holders > 0) return;
  lun_where_destroy(calls->caller);
  lun_where_destroy(calls->under);
  lun_predicate_destroy(calls->when);
  free(calls);
}

CallWhere *where_calls(lua_State *L, int index) {
  const WhereObject *object = object_to(L, index, &where_class);
  return object ? object->calls : NULL;
}

static uint64_t read_count(lua_State *L, int index, const char *what, lua_Integer least) {
  if (!lua_isinteger(L, index) || lua_tointeger(L, index) < least)
    luaL_error(L, "%s: a whole number from %I expected", what, (LUAI_UACINT)least);
  return (uint64_t)lua_tointeger(L, index);
}

uint64_t duration_check(lua_State *L, int index, const char *what) {
  static const struct { const char *name; double ns; } units[] = { { "ns", 1 }, { "us", 1e3 }, { "ms", 1e6 }, { "s", 1e9 } };
  char *end = NULL;
  if (lua_type(L, index) != LUA_TSTRING) return read_count(L, index, what, 1);
  double value = strtod(lua_tostring(L, index), &end);
  for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
    double ns = value * units[i].ns;
    if (strcmp(end, units[i].name) == 0 && ns >= 1 && ns < 9e18) return (uint64_t)ns;
  }
  return (uint64_t)luaL_error(L, "%s: a duration expected, as \"500us\" or a number of ns, got \"%s\"", what,
                              lua_tostring(L, index));
}

static void read_depth(lua_State *L, lun_condition *condition, int index) {
  lua_Integer from, to;
  read_range(L, index, "where.depth", &from, &to);
  condition->has_depth = true;
  condition->depth_from = from < UINT32_MAX ? (uint32_t)from : UINT32_MAX;
  condition->depth_to = to < UINT32_MAX ? (uint32_t)to : UINT32_MAX;
}

static void read_call_condition(lua_State *L, CallWhere *calls, const char *key, int index) {
  lun_condition *condition = &calls->condition;
  if (strcmp(key, "caller") == 0) {
    read_where(L, &calls->caller, index, "", "where.caller");
    condition->caller = calls->caller;
  } else if (strcmp(key, "under") == 0) {
    read_where(L, &calls->under, index, "", "where.under");
    condition->under = calls->under;
  } else if (strcmp(key, "depth") == 0) {
    read_depth(L, condition, index);
  } else if (strcmp(key, "when") == 0) {
    condition->when = calls->when = predicate_read(L, index);
  } else if (strcmp(key, "sample") == 0) {
    condition->sample = read_count(L, index, "where.sample", 1);
  } else if (strcmp(key, "seed") == 0) {
    condition->seed = read_count(L, index, "where.seed", 1);
  } else {
    condition->min_time_ns = duration_check(L, index, "where.min_time");
  }
}

static bool is_call_condition(const char *key) {
  static const char *const keys[] = { "caller", "under", "depth", "when", "sample", "seed", "min_time" };
  for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
    if (strcmp(keys[i], key) == 0) return true;
  return false;
}

static CallWhere *calls_of(lua_State *L, WhereObject *object) {
  if (!object->calls) object->calls = calloc(1, sizeof *object->calls);
  if (!object->calls) luaL_error(L, "not enough memory");
  if (object->calls->holders == 0) object->calls->holders = 1;
  return object->calls;
}

static void read_condition(lua_State *L, WhereObject *object, int self, const char *key, int index) {
  static const char *const keys[] = { "name", "module", "import", "export", "file", "host", "index", "caller", "under", "depth",
                                      "when", "sample", "seed", "min_time" };
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
  } else if (strcmp(key, "file") == 0) {
    read_patterns(L, object, index, "file:", "where.file");
  } else if (strcmp(key, "host") == 0) {
    if (lua_type(L, index) != LUA_TBOOLEAN)
      luaL_error(L, "where.host: true or false expected, got %s", luaL_typename(L, index));
    object->host = lua_toboolean(L, index) ? WISH_YES : WISH_NO;
  } else if (strcmp(key, "index") == 0) {
    read_range(L, index, "where.index", &object->first, &object->last);
    object->has_index = true;
  } else if (is_call_condition(key)) {
    read_call_condition(L, calls_of(L, object), key, index);
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
    is_list = lua_rawlen(L, index) > 0;
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
  call_where_drop(object->calls);
  object->calls = NULL;
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

bool where_matches(const WhereObject *object, const lun_definition *definition) {
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

const WhereObject *where_compiled(lua_State *L, int index) { return object_to(L, index, &where_class); }

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
