/* SPDX-License-Identifier: MIT */
/* The call object: what a listener or a host function is given of the call at hand.
 *
 * An object serves one open call at a time and is used again for the next, so that an event needs no memory. Outside of
 * its callbacks it is stale and says so. Its user value 2 is call.data. */
#include "objects.h"

/* ---- boxes ---- */
/* (session, out) */
static int box_build(lua_State *L) {
  Session *session = lua_touserdata(L, 1);
  CallBox **out = lua_touserdata(L, 2), *box;
  box = object_new(L, &call_class, session, sizeof *box);
  box->anchor = session_anchor(L, session);
  *out = box;
  return 0;
}

CallBox *box_new(Session *session, BoxPool *pool) {
  CallBox *box = NULL;
  lua_State *L = session->L;
  lua_pushcfunction(L, box_build);
  lua_pushlightuserdata(L, session);
  lua_pushlightuserdata(L, &box);
  if (lua_pcall(L, 2, 0, 0) != LUA_OK) {
    lua_pop(L, 1);
    return NULL;
  }
  box->pool = pool;
  box->next = pool->all;
  pool->all = box;
  return box;
}

void box_forget_data(Session *session, CallBox *box) {
  lua_State *L = session->keeper;
  lua_rawgeti(L, ANCHORS, box->anchor);
  lua_pushnil(L);
  lua_setiuservalue(L, -2, 2);
  lua_pop(L, 1);
  box->has_data = false;
}

void box_pool_clear(Session *session, BoxPool *pool) {
  for (CallBox *box = pool->all, *next; box; box = next) {
    next = box->next;
    box->next = box->next_idle = NULL;
    box_end(box);
    session_unanchor(session, box->anchor);
  }
  pool->idle = pool->all = NULL;
}

/* session:call() → the object of the innermost call whose callback is at work, or nil. Rare: it is looked for among all
 * that is anchored, so that no event has to note it. */
int call_of_session(lua_State *L) {
  Session *session = session_check(L, 1);
  const lun_call *call = lun_store_call(session->store);
  if (!call) return 0;
  session_anchors(L, session);
  for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
    const CallBox *box = object_to(L, -1, &call_class);
    if (box && box->call == call) return 1;
  }
  return 0;
}

/* ---- what it knows ---- */
CallBox *box_check(lua_State *L) {
  CallBox *box = object_check_closed(L, 1, &call_class);
  if (!box->call) luaL_error(L, "stale call: the callback that it was given to is over");
  return box;
}

static int push_id(lua_State *L, uint64_t id) {
  if (id == 0) lua_pushnil(L);
  else lua_pushinteger(L, (lua_Integer)id);
  return 1;
}

static int get_id(lua_State *L) {
  return push_id(L, lun_call_id(box_check(L)->call));
}

static int get_parent_id(lua_State *L) {
  return push_id(L, lun_call_parent_id(box_check(L)->call));
}

static int get_tail(lua_State *L) {
  CallBox *box = box_check(L);
  const lun_definition *tail = lun_call_tail(box->call);
  if (tail) definition_push(L, box->head.session, tail);
  else lua_pushnil(L);
  return 1;
}

static int get_tail_of(lua_State *L) {
  return push_id(L, lun_call_tail_of(box_check(L)->call));
}

static int get_depth(lua_State *L) {
  lua_pushinteger(L, lun_call_depth(box_check(L)->call));
  return 1;
}

static int get_name(lua_State *L) {
  lua_pushstring(L, lun_definition_name(lun_call_definition(box_check(L)->call)));
  return 1;
}

static int get_definition(lua_State *L) {
  const CallBox *box = box_check(L);
  definition_push(L, box->head.session, lun_call_definition(box->call));
  return 1;
}

static int get_instance(lua_State *L) {
  const CallBox *box = box_check(L);
  instance_push(L, box->head.session, lun_call_instance(box->call));
  return 1;
}

static int get_memory(lua_State *L) {
  const CallBox *box = box_check(L);
  memory_push(L, box->head.session, lun_call_memory(box->call));
  return 1;
}

static int get_caller(lua_State *L) {
  CallBox *box = box_check(L);
  lun_frame frame;
  if (lun_call_caller(box->call, &frame)) frame_push(L, box->head.session, &frame, box, 1);
  else lua_pushnil(L);
  return 1;
}

static int get_entry(lua_State *L) {
  static const char *const names[] = { NULL, "start", "export", "function" };
  lua_pushstring(L, names[lun_call_entry(box_check(L)->call)]);
  return 1;
}

static int get_weight(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)lun_call_weight(box_check(L)->call));
  return 1;
}

static int get_is_host(lua_State *L) {
  lua_pushboolean(L, lun_definition_is_host(lun_call_definition(box_check(L)->call)));
  return 1;
}

static int get_data(lua_State *L) {
  box_check(L);
  lua_getiuservalue(L, 1, 2);
  return 1;
}

static int set_data(lua_State *L) {
  CallBox *box = box_check(L);
  box->has_data = true;
  lua_settop(L, 3);
  lua_setiuservalue(L, 1, 2);
  return 0;
}

/* ---- times ---- */
static int push_time(lua_State *L, const char *name, bool (*ask)(const lun_call *call, uint64_t *ns)) {
  const CallBox *box = box_check(L);
  uint64_t ns;
  if (ask(box->call, &ns)) {
    lua_pushinteger(L, (lua_Integer)ns);
    return 1;
  }
  if (!lun_call_attachment(box->call)) return luaL_error(L, "call.%s: a host function has no times of its call", name);
  if (lun_call_time(box->call, &ns)) return luaL_error(L, "call.%s is known in after and abort, not in before", name);
  return luaL_error(L, "call.%s was not asked for; attach with time=true to have it", name);
}

static int get_time(lua_State *L) {
  return push_time(L, "time", lun_call_time);
}

static int get_elapsed(lua_State *L) {
  return push_time(L, "elapsed", lun_call_elapsed);
}

static int get_self_time(lua_State *L) {
  return push_time(L, "self_time", lun_call_self_time);
}

/* ---- params and values ---- */
uint32_t param_check(lua_State *L, int index, const lun_definition *definition) {
  const lun_signature *signature = lun_definition_signature(definition);
  const char *names[1000], *name, *wanted, *nearest;
  size_t count = 0;
  if (lua_type(L, index) != LUA_TSTRING) {
    lua_Integer number = luaL_checkinteger(L, index);
    if (number < 1 || number > (lua_Integer)signature->param_count)
      luaL_error(L, "%s has %d params, there is no number %I", lun_definition_name(definition), (int)signature->param_count,
                 (LUAI_UACINT)number);
    return (uint32_t)number - 1;
  }
  wanted = lua_tostring(L, index);
  for (uint32_t i = 0; i < signature->param_count; i++) {
    name = lun_definition_param_name(definition, i);
    if (name && lua_pushstring(L, name) && lua_rawequal(L, -1, index)) return i;
    if (name) lua_pop(L, 1);
    if (name && count < 1000) names[count++] = name;
  }
  nearest = lun_nearest(wanted, names, count);
  if (nearest) luaL_error(L, "%s has no param '%s'; did you mean '%s'?", lun_definition_name(definition), wanted, nearest);
  return (uint32_t)luaL_error(L, "%s has no param '%s'", lun_definition_name(definition), wanted);
}

static const uint64_t *params_of(lua_State *L, const CallBox *box) {
  const uint64_t *params;
  const lun_signature *signature = lun_definition_signature(lun_call_definition(box->call));
  if (box->phase == PHASE_BEFORE || box->phase == PHASE_HOST || signature->param_count == 0) return box->values;
  params = lun_call_params(box->call);
  if (!params) luaL_error(L, "the params are gone by now; attach with params=true to keep them");
  return params;
}

static int call_param(lua_State *L) {
  CallBox *box = box_check(L);
  const lun_definition *definition = lun_call_definition(box->call);
  const lun_signature *signature = lun_definition_signature(definition);
  const uint64_t *params = params_of(L, box);
  uint32_t number = param_check(L, 2, definition);
  values_push(L, box->head.session, &signature->params[number], 1, params + slots_count(signature->params, number));
  return 1;
}

static int call_uparam(lua_State *L) {
  CallBox *box = box_check(L);
  const lun_definition *definition = lun_call_definition(box->call);
  const lun_signature *signature = lun_definition_signature(definition);
  const uint64_t *params = params_of(L, box);
  uint32_t number = param_check(L, 2, definition);
  if (signature->params[number] != LUN_I32) return call_param(L);
  lua_pushinteger(L, (lua_Integer)params[slots_count(signature->params, number)]);
  return 1;
}

static int call_params(lua_State *L) {
  CallBox *box = box_check(L);
  const lun_signature *signature = lun_definition_signature(lun_call_definition(box->call));
  const uint64_t *params = params_of(L, box);
  luaL_checkstack(L, (int)signature->param_count + 8, "too many params");
  values_push(L, box->head.session, signature->params, signature->param_count, params);
  return (int)signature->param_count;
}

/* The raw slots of what the callback was given: a param in before and abort, a result in after. */
static int call_bits(lua_State *L) {
  CallBox *box = box_check(L);
  const lun_definition *definition = lun_call_definition(box->call);
  const lun_signature *signature = lun_definition_signature(definition);
  bool results = box->phase == PHASE_AFTER;
  const lun_type *types = results ? signature->results : signature->params;
  const uint64_t *slots = results ? box->values : params_of(L, box);
  uint32_t number;
  if (results) {
    lua_Integer wanted = luaL_checkinteger(L, 2), count = slots ? (lua_Integer)signature->result_count : 0;
    if (wanted < 1 || wanted > count)
      return luaL_error(L, "%s has %I results, there is no number %I", lun_definition_name(definition), (LUAI_UACINT)count,
                        (LUAI_UACINT)wanted);
    number = (uint32_t)wanted - 1;
  } else {
    number = param_check(L, 2, definition);
  }
  slots += slots_count(types, number);
  lua_pushinteger(L, (lua_Integer)slots[0]);
  if (types[number] != LUN_V128) return 1;
  lua_pushinteger(L, (lua_Integer)slots[1]);
  return 2;
}

/* ---- more ---- */
static int call_stack(lua_State *L) {
  box_check(L);
  stack_push_borrowed(L, 1);
  return 1;
}

/* nil: there was no room for one. */
static int call_stack_id(lua_State *L) {
  return push_id(L, lun_call_stack_id(box_check(L)->call));
}

static int call_snapshot(lua_State *L) {
  box_check(L);
  stack_push_snapshot(L, 1);
  return 1;
}

static void keep_params(lua_State *L, CallBox *box) {
  const lun_signature *signature = lun_definition_signature(lun_call_definition(box->call));
  bool given = box->phase == PHASE_BEFORE || box->phase == PHASE_HOST;
  const uint64_t *params = given ? box->values : lun_call_params(box->call);
  if (!params && signature->param_count > 0) return;
  lua_createtable(L, (int)signature->param_count, 0);
  for (uint32_t i = 0; i < signature->param_count; i++) {
    values_push(L, box->head.session, &signature->params[i], 1, params);
    lua_rawseti(L, -2, i + 1);
    params += lun_type_slots(signature->params[i]);
  }
  lua_setfield(L, -2, "params");
}

static void keep_times(lua_State *L, const CallBox *box) {
  static const struct { const char *name; bool (*ask)(const lun_call *call, uint64_t *ns); } times[] = {
    { "time", lun_call_time }, { "elapsed", lun_call_elapsed }, { "self_time", lun_call_self_time },
  };
  uint64_t ns;
  for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
    if (!times[i].ask(box->call, &ns)) continue;
    lua_pushinteger(L, (lua_Integer)ns);
    lua_setfield(L, 2, times[i].name);
  }
}

/* A table of what is known of the call now, to keep. */
static int call_keep(lua_State *L) {
  static const struct { const char *name; lua_CFunction get; } kept[] = {
    { "id", get_id },     { "parent_id", get_parent_id },   { "depth", get_depth },       { "name", get_name },
    { "entry", get_entry }, { "definition", get_definition }, { "instance", get_instance }, { "is_host", get_is_host },
    { "data", get_data },
  };
  CallBox *box = box_check(L);
  lua_settop(L, 1);
  lua_createtable(L, 0, 13);
  for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
    kept[i].get(L);
    lua_setfield(L, 2, kept[i].name);
  }
  keep_times(L, box);
  keep_params(L, box);
  return 1;
}

static int call_tostring(lua_State *L) {
  const CallBox *box = object_check_closed(L, 1, &call_class);
  if (!box->call) lua_pushliteral(L, "call (stale)");
  else lua_pushfstring(L, "call of %s", lun_definition_name(lun_call_definition(box->call)));
  return 1;
}

static const Field fields[] = {
  { "id", get_id, NULL },             { "depth", get_depth, NULL },       { "parent_id", get_parent_id, NULL },
  { "name", get_name, NULL },         { "definition", get_definition, NULL }, { "instance", get_instance, NULL },
  { "caller", get_caller, NULL },     { "entry", get_entry, NULL },       { "is_host", get_is_host, NULL },
  { "data", get_data, set_data },     { "memory", get_memory, NULL },     { "tail", get_tail, NULL },
  { "tail_of", get_tail_of, NULL },   { "time", get_time, NULL },         { "elapsed", get_elapsed, NULL },
  { "self_time", get_self_time, NULL },  { "weight", get_weight, NULL }, { "intercepted", call_intercepted, NULL },
  { NULL, NULL, NULL },
};
static const luaL_Reg methods[] = {
  { "param", call_param }, { "uparam", call_uparam }, { "params", call_params },     { "bits", call_bits },
  { "stack", call_stack }, { "stack_id", call_stack_id }, { "keep", call_keep },     { "snapshot", call_snapshot },
  { "proceed", call_proceed }, { NULL, NULL },
};
static const luaL_Reg metamethods[] = { { "__tostring", call_tostring }, { NULL, NULL } };
const Class call_class = { "call", 2, fields, methods, metamethods, NULL, NULL };
