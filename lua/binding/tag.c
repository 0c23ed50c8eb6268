/* SPDX-License-Identifier: MIT */
/* Tags of exceptions: .name, .params; tag:exception(...) makes one, to raise by error() in a host function or to pass on. */
#include "objects.h"

void tag_push(lua_State *L, Session *session, const lun_tag *tag) {
  handle_push(L, session, CACHE_TAG, &tag_class, tag);
}

static lun_tag *self(lua_State *L) {
  return ((Handle *)object_check(L, 1, &tag_class))->pointer;
}

static Session *session_of(lua_State *L) {
  return ((Handle *)object_to(L, 1, &tag_class))->head.session;
}

static int get_name(lua_State *L) {
  lua_pushstring(L, lun_tag_name(self(L)));
  return 1;
}

static int get_params(lua_State *L) {
  const lun_signature *signature = lun_tag_signature(self(L));
  lua_createtable(L, (int)signature->param_count, 0);
  for (uint32_t i = 0; i < signature->param_count; i++) {
    lua_pushstring(L, lun_type_name(signature->params[i]));
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

/* (tag, values…) -> exception */
static int tag_exception(lua_State *L) {
  const lun_tag *tag = self(L);
  const lun_signature *signature = lun_tag_signature(tag);
  lun_error error = LUN_ERROR_INIT;
  lun_exception *exception = NULL;
  uint64_t *slots = lua_newuserdatauv(L, 2 * signature->param_count * sizeof *slots + 1, 0), *at = slots;
  if (lua_gettop(L) - 2 > (int)signature->param_count)
    return luaL_error(L, "%s carries %d values, got %d", lun_tag_name(tag), (int)signature->param_count, lua_gettop(L) - 2);
  lua_insert(L, 2);
  while (lua_gettop(L) < (int)signature->param_count + 2) {
    luaL_checkstack(L, 8, NULL);
    lua_pushnil(L);
  }
  for (uint32_t i = 0; i < signature->param_count; i++) {
    int index = (int)i + 3;
    if (!value_to(L, session_of(L), index, signature->params[i], at))
      return luaL_error(L, "value %d of %s must be %s, not %s", (int)i + 1, lun_tag_name(tag),
                        lun_type_name(signature->params[i]), value_kind(L, index, signature->params[i]));
    at += lun_type_slots(signature->params[i]);
  }
  if (lun_exception_create(session_of(L)->store, tag, slots, &exception, &error) != LUN_OK)
    return error_raise(L, session_of(L), &error);
  exception_take(L, session_of(L), exception);
  return 1;
}

/* (session, {params=}) -> tag */
int core_tag(lua_State *L) {
  Session *session = session_check(L, 1);
  lun_error error = LUN_ERROR_INIT;
  lun_tag *tag = NULL;
  const lun_type *params;
  uint32_t count;
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_settop(L, 2);
  params = types_check(L, 2, "params", &count);
  if (lun_tag_create(session->store, params, count, &tag, &error) != LUN_OK) return error_raise(L, session, &error);
  tag_push(L, session, tag);
  return 1;
}

static int tag_tostring(lua_State *L) {
  const Handle *handle = object_check_closed(L, 1, &tag_class);
  if (handle->head.session->closed) lua_pushliteral(L, "tag (its session is closed)");
  else lua_pushfstring(L, "tag %s", lun_tag_name(handle->pointer));
  return 1;
}

static const Field fields[] = { { "name", get_name, NULL }, { "params", get_params, NULL }, { NULL, NULL, NULL } };
static const luaL_Reg methods[] = { { "exception", tag_exception }, { NULL, NULL } };
static const luaL_Reg metamethods[] = { { "__tostring", tag_tostring }, { NULL, NULL } };
const Class tag_class = { "tag", 1, fields, methods, metamethods, NULL, NULL };
