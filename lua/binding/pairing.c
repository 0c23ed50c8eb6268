/* SPDX-License-Identifier: MIT */
/* The pairing checker of the core, as an object: its report in fields. It belongs to the session: forgetting the object
 * detaches nothing. */
#include <string.h>

#include "objects.h"

typedef struct PairingObject {
  Head head;
  lun_pairing *pairing;
  lun_where *where;
} PairingObject;

static void drop_pairing(void *held) {
  lun_pairing_destroy(held);
}

static void drop_where(void *held) {
  lun_where_destroy(held);
}

/* The list of patterns at `index`. */
static lun_where *read_where(lua_State *L, Session *session, int index) {
  lun_error error = LUN_ERROR_INIT;
  lua_Integer count = list_length(L, index, "pairing: where");
  const char **patterns = lua_newuserdatauv(L, (size_t)count * sizeof *patterns + 1, 0);
  lun_where *where;
  for (lua_Integer i = 0; i < count; i++) {
    if (lua_rawgeti(L, index, i + 1) != LUA_TSTRING)
      luaL_error(L, "pairing: where: a pattern or a list of patterns expected, got a %s", luaL_typename(L, -1));
    patterns[i] = lua_tostring(L, -1); /* the list keeps it */
    lua_pop(L, 1);
  }
  if (lun_where_create(patterns, (size_t)count, &where, &error) != LUN_OK) error_raise(L, session, &error);
  if (!session_own(session, where, drop_where)) luaL_error(L, "not enough memory");
  return where;
}

/* (session, list of patterns or nil, walk or nil, goes_on) -> pairing */
int core_pairing(lua_State *L) {
  Session *session = session_check(L, 1);
  lun_pairing_options options = { 0 };
  lun_error error = LUN_ERROR_INIT;
  PairingObject *object;
  lua_Integer walk = luaL_optinteger(L, 3, 0);
  if (walk < 0 || walk > UINT32_MAX) luaL_error(L, "pairing: walk: a number of events expected");
  lua_settop(L, 4);
  options.walk_every = (uint32_t)walk;
  options.goes_on = lua_toboolean(L, 4);
  if (!lua_isnil(L, 2)) {
    luaL_checktype(L, 2, LUA_TTABLE);
    options.where = read_where(L, session, 2);
  }
  object = object_new(L, &pairing_class, session, sizeof *object);
  if (lun_pairing_create(session->store, &options, &object->pairing, &error) != LUN_OK) return error_raise(L, session, &error);
  if (!session_own(session, object->pairing, drop_pairing)) return luaL_error(L, "not enough memory");
  return 1;
}

static PairingObject *self(lua_State *L) {
  return object_check(L, 1, &pairing_class);
}

static int push_count(lua_State *L, uint64_t count) {
  lua_pushinteger(L, (lua_Integer)count);
  return 1;
}

#define COUNT(name) \
  static int get_##name(lua_State *L) { return push_count(L, lun_pairing_report_of(self(L)->pairing).name); }
COUNT(befores)
COUNT(afters)
COUNT(aborts)
COUNT(open)
COUNT(deepest)
COUNT(walks)
COUNT(violations)

static int get_first(lua_State *L) {
  lun_pairing_report report = lun_pairing_report_of(self(L)->pairing);
  if (report.violations) lua_pushstring(L, report.first);
  else lua_pushnil(L);
  return 1;
}

static int pairing_check(lua_State *L) {
  const PairingObject *object = self(L);
  lun_error error = LUN_ERROR_INIT;
  if (lun_pairing_check(object->pairing, &error) != LUN_OK) return error_raise(L, object->head.session, &error);
  return 0;
}

static int pairing_detach(lua_State *L) {
  lun_pairing_detach(self(L)->pairing);
  return 0;
}

static int pairing_tostring(lua_State *L) {
  const PairingObject *object = object_check_closed(L, 1, &pairing_class);
  lun_pairing_report report;
  if (object->head.session->closed) {
    lua_pushliteral(L, "pairing (its session is closed)");
    return 1;
  }
  report = lun_pairing_report_of(object->pairing);
  lua_pushfstring(L, "pairing: %I befores, %I afters, %I aborts, %I open, %I violations", (LUAI_UACINT)report.befores,
                  (LUAI_UACINT)report.afters, (LUAI_UACINT)report.aborts, (LUAI_UACINT)report.open,
                  (LUAI_UACINT)report.violations);
  if (report.violations) {
    lua_pushfstring(L, "\n%s", report.first);
    lua_concat(L, 2);
  }
  return 1;
}

static const Field fields[] = {
  { "befores", get_befores, NULL }, { "afters", get_afters, NULL }, { "aborts", get_aborts, NULL },
  { "open", get_open, NULL }, { "deepest", get_deepest, NULL }, { "walks", get_walks, NULL },
  { "violations", get_violations, NULL }, { "first", get_first, NULL }, { NULL, NULL, NULL },
};
static const luaL_Reg methods[] = { { "check", pairing_check }, { "detach", pairing_detach }, { NULL, NULL } };
static const luaL_Reg metamethods[] = { { "__tostring", pairing_tostring }, { NULL, NULL } };
const Class pairing_class = { "pairing", 1, fields, methods, metamethods, NULL, NULL };
