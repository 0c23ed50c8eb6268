/* SPDX-License-Identifier: MIT */
/* lunette.on_change: what is watched, and telling a Lua function of it: of a global its values, of memory strings. */
#include <string.h>

#include <lunette/change.h>

#include "attachment.h"

/* ---- what is watched ---- */
static void *object_of(lua_State *L, Session *session, int index, const Class *class, const char *what) {
  const Handle *handle = object_to(L, index, class);
  if (!handle) {
    luaL_error(L, "on_change: %s must be a %s, not a %s", what, class->name, luaL_typename(L, index));
    return NULL;
  }
  if (handle->head.session != session) luaL_error(L, "on_change: %s is another session's", what);
  return handle->pointer;
}

static uint64_t count_of(lua_State *L, int index, const char *what) {
  int is_integer;
  lua_Integer number = lua_tointegerx(L, index, &is_integer);
  if (lua_type(L, index) != LUA_TNUMBER || !is_integer) luaL_error(L, "on_change: {address, size}: the %s is no integer", what);
  return (uint64_t)number;
}

static void check_fields(lua_State *L, int index) {
  for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
    lua_Integer place = lua_isinteger(L, -2) ? lua_tointeger(L, -2) : 0;
    if (place == 1 || place == 2) continue;
    const char *key = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : NULL;
    if (!key) luaL_error(L, "on_change: {address, size, memory=} has no further fields");
    if (strcmp(key, "memory") != 0) luaL_error(L, "on_change: no such field: '%s'; did you mean 'memory'?", key);
  }
}

void change_read_target(lua_State *L, Session *session, int index, lun_change_target *target) {
  *target = (lun_change_target){ .global = NULL };
  if (lua_type(L, index) != LUA_TTABLE) {
    target->global = object_of(L, session, index, &global_class, "what is watched, if no {address, size},");
    return;
  }
  check_fields(L, index);
  if (lua_getfield(L, index, "memory") != LUA_TNIL)
    target->memory = object_of(L, session, lua_gettop(L), &memory_class, "memory=");
  lua_rawgeti(L, index, 1);
  target->address = count_of(L, lua_gettop(L), "address");
  lua_rawgeti(L, index, 2);
  target->size = count_of(L, lua_gettop(L), "size");
  lua_pop(L, 3);
}

/* ---- telling ---- */
typedef struct Telling {
  Attachment *attachment;
  CallBox *box;
  const void *old, *now;
} Telling;

static void push_value(lua_State *L, const Attachment *attachment, const void *value) {
  const lun_change_target *target = &attachment->target;
  if (!target->global) {
    lua_pushlstring(L, value, (size_t)target->size);
    return;
  }
  lun_type type = lun_global_type(target->global);
  values_push(L, attachment->head.session, &type, 1, value);
}

static int tell_inside(lua_State *L) {
  const Telling *telling = lua_touserdata(L, 1);
  const Attachment *attachment = telling->attachment;
  session_anchors(L, attachment->head.session);
  lua_rawgeti(L, -1, attachment->members[0].listener->change);
  lua_rawgeti(L, -2, telling->box->anchor);
  push_value(L, attachment, telling->old);
  push_value(L, attachment, telling->now);
  lua_call(L, 3, 0);
  return 0;
}

static void changed(void *self, lun_call *call, const void *old, const void *now) {
  Attachment *attachment = self;
  Session *session = attachment->head.session;
  lua_State *L = session->L;
  Context outer = session->context;
  CallBox *box = box_take(session, &attachment->boxes);
  Telling telling = { attachment, box, old, now };
  if (!box || attachment->members[0].listener->change == LUA_NOREF) {
    if (!box) lun_call_fail(call, "not enough memory for a call object");
    else box_put(session, &attachment->boxes, box);
    return;
  }
  attachment->calls++;
  session->context = CONTEXT_LISTENER;
  box_begin(box, call, PHASE_ABORT, NULL); /* its params are asked of the engine */
  lua_pushcfunction(L, tell_inside);
  lua_pushlightuserdata(L, &telling);
  bool ok = budget_pcall(session, L, 1, 0, TEXT_HANDLER) == LUA_OK;
  box_end(box);
  session->context = outer;
  box_put(session, &attachment->boxes, box);
  if (!ok) listener_fail(attachment->members[0].listener, call);
}

static void report(void *context, lun_attachment *handle, lun_call *call, void *self, const char *message) {
  const Attachment *attachment = context;
  (void)self;
  listener_report(context, handle, call, attachment->members[0].listener, message);
}

static bool wants(void *self, const lun_definition *definition, lun_instance *instance) {
  return attachment_asked(self, definition, instance) != NULL;
}

lun_status change_attach(Attachment *attachment, const lun_attach_options *options, lun_error *error) {
  lun_attach_options own = *options;
  own.report = report;
  return lun_store_on_change(attachment->head.session->store, &attachment->target, wants, changed, attachment, &own,
                             &attachment->handle, error);
}
