/* SPDX-License-Identifier: MIT */
/* One frame of a stack: static facts that stay, and the present values of its params while its callback lasts. */
#include <limits.h>

#include "objects.h"

typedef struct FrameObject {
  Head head;
  lun_frame frame;
  CallBox *box;      /* user value 2; NULL: of a snapshot */
  uint64_t serial;
} FrameObject;

void frame_push(lua_State *L, Session *session, const lun_frame *frame, CallBox *box, int index) {
  FrameObject *object = object_new(L, &frame_class, session, sizeof *object);
  object->frame = *frame;
  if (!box) return;
  object->box = box;
  object->serial = box->serial;
  lua_pushvalue(L, index);
  lua_setiuservalue(L, -2, 2);
}

static FrameObject *self(lua_State *L) {
  return object_check(L, 1, &frame_class);
}

static int get_definition(lua_State *L) {
  const FrameObject *object = self(L);
  definition_push(L, object->head.session, object->frame.definition);
  return 1;
}

static int get_instance(lua_State *L) {
  const FrameObject *object = self(L);
  instance_push(L, object->head.session, object->frame.instance);
  return 1;
}

static int get_offset(lua_State *L) {
  const FrameObject *object = self(L);
  if (object->frame.offset == LUN_NO_OFFSET) lua_pushnil(L);
  else lua_pushinteger(L, (lua_Integer)object->frame.offset);
  return 1;
}

static int get_file_offset(lua_State *L) {
  const FrameObject *object = self(L);
  const lun_module *module = lun_definition_module(object->frame.definition);
  if (object->frame.offset == LUN_NO_OFFSET || !module) lua_pushnil(L);
  else lua_pushinteger(L, (lua_Integer)lun_module_file_offset(module, object->frame.offset));
  return 1;
}

/* ---- where it is in the source ---- */
static bool source_of(lua_State *L, lun_place *source) {
  const FrameObject *object = self(L);
  const lun_module *module = lun_definition_module(object->frame.definition);
  return object->frame.offset != LUN_NO_OFFSET && module && source_outermost(L, module, object->frame.offset, source);
}

static int get_file(lua_State *L) {
  lun_place source;
  lua_pushstring(L, source_of(L, &source) ? source.file : NULL);
  return 1;
}

static int get_line(lua_State *L) {
  lun_place source;
  if (source_of(L, &source) && source.line) lua_pushinteger(L, source.line);
  else lua_pushnil(L);
  return 1;
}

static int get_column(lua_State *L) {
  lun_place source;
  if (source_of(L, &source) && source.column) lua_pushinteger(L, source.column);
  else lua_pushnil(L);
  return 1;
}

static int get_inlined(lua_State *L) {
  const FrameObject *object = self(L);
  const lun_module *module = lun_definition_module(object->frame.definition);
  if (object->frame.offset == LUN_NO_OFFSET || !module) lua_newtable(L);
  else sources_push(L, module, object->frame.offset, true);
  return 1;
}

static int get_is_host(lua_State *L) {
  lua_pushboolean(L, self(L)->frame.is_host);
  return 1;
}

static int get_reentry(lua_State *L) {
  lua_pushboolean(L, self(L)->frame.reentry);
  return 1;
}

static bool is_fresh(const FrameObject *object) {
  return object->box && object->box->call && object->box->serial == object->serial;
}

static const uint64_t *params_of(const FrameObject *object, bool *exact) {
  return is_fresh(object) ? lun_frame_params(&object->frame, exact) : NULL;
}

/* Whether :params() are what was passed; nil where there are none to be had. */
static int get_exact(lua_State *L) {
  bool exact = true;
  if (params_of(self(L), &exact)) lua_pushboolean(L, exact);
  else lua_pushnil(L);
  return 1;
}

/* frame:is_exact(i | name): the same of one of them. */
static int frame_is_exact(lua_State *L) {
  const FrameObject *object = self(L);
  uint32_t number = param_check(L, 2, object->frame.definition);
  if (params_of(object, NULL)) lua_pushboolean(L, lun_frame_exact(&object->frame, number));
  else lua_pushnil(L);
  return 1;
}

static int frame_params(lua_State *L) {
  const FrameObject *object = self(L);
  const lun_signature *signature = lun_definition_signature(object->frame.definition);
  bool exact;
  const uint64_t *params;
  if (!is_fresh(object)) return luaL_error(L, "stale frame: the callback that it came from is over");
  if (signature->param_count == 0) return 0;
  params = params_of(object, &exact);
  if (!params) return luaL_error(L, "the params are gone by now; attach with params=true to keep them");
  luaL_checkstack(L, (int)signature->param_count + 8, "too many params");
  values_push(L, object->head.session, signature->params, signature->param_count, params);
  return (int)signature->param_count;
}

/* frame:locals() -> list of {index=, name=, type=, value=} */
static int frame_locals(lua_State *L) {
  const FrameObject *object = self(L);
  if (!is_fresh(object)) return luaL_error(L, "stale frame: the callback that it came from is over");
  size_t count = lun_frame_locals(&object->frame, NULL, 0);
  lun_local *locals = lua_newuserdatauv(L, count * sizeof *locals + 1, 0);
  lun_frame_locals(&object->frame, locals, count);
  luaL_checkstack(L, 8, NULL);
  lua_createtable(L, count < INT_MAX ? (int)count : 0, 0);
  for (size_t i = 0; i < count; i++) {
    char type[LUN_TYPE_TEXT];
    lua_createtable(L, 0, 4);
    lua_pushinteger(L, locals[i].index);
    lua_setfield(L, -2, "index");
    lua_pushstring(L, locals[i].name);
    lua_setfield(L, -2, "name");
    lua_pushstring(L, lun_type_text(locals[i].type, type, sizeof type));
    lua_setfield(L, -2, "type");
    values_push(L, object->head.session, &locals[i].type, 1, locals[i].value);
    lua_setfield(L, -2, "value");
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

static int frame_tostring(lua_State *L) {
  const FrameObject *object = object_check_closed(L, 1, &frame_class);
  if (object->head.session->closed) lua_pushliteral(L, "frame (its session is closed)");
  else lua_pushfstring(L, "frame of %s", lun_definition_name(object->frame.definition));
  return 1;
}

static const Field fields[] = {
  { "definition", get_definition, NULL },   { "instance", get_instance, NULL }, { "offset", get_offset, NULL },
  { "file_offset", get_file_offset, NULL }, { "is_host", get_is_host, NULL },   { "reentry", get_reentry, NULL },
  { "exact", get_exact, NULL },             { "file", get_file, NULL },         { "line", get_line, NULL },
  { "column", get_column, NULL },           { "inlined", get_inlined, NULL },   { NULL, NULL, NULL },
};
static const luaL_Reg methods[] = {
  { "params", frame_params }, { "is_exact", frame_is_exact }, { "locals", frame_locals }, { NULL, NULL },
};
static const luaL_Reg metamethods[] = { { "__tostring", frame_tostring }, { NULL, NULL } };
const Class frame_class = { "frame", 2, fields, methods, metamethods, NULL, NULL };
