/* SPDX-License-Identifier: MIT */
/* Definitions: what a module says about a function. User value 2 keeps the lists once they have been asked for. */
#include "objects.h"

void definition_push(lua_State *L, Session *session, const lun_definition *definition) {
  handle_push(L, session, CACHE_DEFINITION, &definition_class, definition);
}

const lun_definition *definition_check(lua_State *L, int index) {
  return ((Handle *)object_check(L, index, &definition_class))->pointer;
}

static int get_index(lua_State *L) {
  lua_pushinteger(L, lun_definition_index(definition_check(L, 1)));
  return 1;
}

static int get_name(lua_State *L) {
  lua_pushstring(L, lun_definition_name(definition_check(L, 1)));
  return 1;
}

static int get_raw_name(lua_State *L) {
  lua_pushstring(L, lun_definition_raw_name(definition_check(L, 1)));
  return 1;
}

static int get_file(lua_State *L) {
  lun_place source;
  lun_definition_place(definition_check(L, 1), &source);
  lua_pushstring(L, source.file);
  return 1;
}

static int get_line(lua_State *L) {
  lun_place source;
  lun_definition_place(definition_check(L, 1), &source);
  if (source.line) lua_pushinteger(L, source.line);
  else lua_pushnil(L);
  return 1;
}

static int get_own_name(lua_State *L) {
  lua_pushstring(L, lun_definition_own_name(definition_check(L, 1)));
  return 1;
}

static int get_own_module(lua_State *L) {
  const lun_definition *definition = definition_check(L, 1);
  const lun_module *module = lun_definition_module(definition);
  if (lun_definition_is_host(definition)) lua_pushstring(L, lun_definition_module_name(definition));
  else lua_pushstring(L, module ? lun_module_own_name(module) : NULL);
  return 1;
}

static int get_named_locals(lua_State *L) {
  lua_pushinteger(L, lun_definition_named_locals(definition_check(L, 1)));
  return 1;
}

static int get_module(lua_State *L) {
  lua_pushstring(L, lun_definition_module_name(definition_check(L, 1)));
  return 1;
}

static int get_is_host(lua_State *L) {
  lua_pushboolean(L, lun_definition_is_host(definition_check(L, 1)));
  return 1;
}

static int get_offset(lua_State *L) {
  uint64_t offset = lun_definition_offset(definition_check(L, 1));
  if (offset == LUN_NO_OFFSET) lua_pushnil(L);
  else lua_pushinteger(L, (lua_Integer)offset);
  return 1;
}

static int get_size(lua_State *L) {
  const lun_definition *definition = definition_check(L, 1);
  if (lun_definition_offset(definition) == LUN_NO_OFFSET) lua_pushnil(L);
  else lua_pushinteger(L, lun_definition_size(definition));
  return 1;
}

/* ---- lists ---- */
static void push_types(lua_State *L, const lun_type *types, uint32_t count) {
  lua_createtable(L, (int)count, 0);
  for (uint32_t i = 0; i < count; i++) {
    char text[LUN_TYPE_TEXT];
    lua_pushstring(L, lun_type_text(types[i], text, sizeof text));
    lua_rawseti(L, -2, i + 1);
  }
}

static void push_params(lua_State *L, const lun_definition *definition) {
  const lun_signature *signature = lun_definition_signature(definition);
  push_types(L, signature->params, signature->param_count);
}

static void push_results(lua_State *L, const lun_definition *definition) {
  const lun_signature *signature = lun_definition_signature(definition);
  push_types(L, signature->results, signature->result_count);
}

/* By number of the param; nil where it has no name. */
static void push_param_names(lua_State *L, const lun_definition *definition) {
  const lun_signature *signature = lun_definition_signature(definition);
  lua_newtable(L);
  for (uint32_t i = 0; i < signature->param_count; i++) {
    lua_pushstring(L, lun_definition_param_name(definition, i));
    lua_rawseti(L, -2, i + 1);
  }
}

static void push_exports(lua_State *L, const lun_definition *definition) {
  uint32_t count = lun_definition_export_count(definition);
  lua_createtable(L, (int)count, 0);
  for (uint32_t i = 0; i < count; i++) {
    lua_pushstring(L, lun_definition_export(definition, i));
    lua_rawseti(L, -2, i + 1);
  }
}

static void push_import(lua_State *L, const lun_definition *definition) {
  const char *module = lun_definition_import_module(definition);
  if (!module) {
    lua_pushnil(L);
    return;
  }
  lua_createtable(L, 0, 2);
  lua_pushstring(L, module);
  lua_setfield(L, -2, "module");
  lua_pushstring(L, lun_definition_import_name(definition));
  lua_setfield(L, -2, "name");
}

/* The list under the key at index 2, made once. */
static int get_list(lua_State *L, void (*push)(lua_State *L, const lun_definition *definition)) {
  const lun_definition *definition = definition_check(L, 1);
  lua_settop(L, 2);
  if (lua_getiuservalue(L, 1, 2) != LUA_TTABLE) {
    lua_pop(L, 1);
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_setiuservalue(L, 1, 2);
  }
  lua_pushvalue(L, 2);
  if (lua_rawget(L, 3) != LUA_TNIL) return 1;
  lua_pop(L, 1);
  push(L, definition);
  lua_pushvalue(L, 2);
  lua_pushvalue(L, -2);
  lua_rawset(L, 3);
  return 1;
}

static int get_params(lua_State *L) {
  return get_list(L, push_params);
}

static int get_results(lua_State *L) {
  return get_list(L, push_results);
}

static int get_param_names(lua_State *L) {
  return get_list(L, push_param_names);
}

static int get_exports(lua_State *L) {
  return get_list(L, push_exports);
}

static int get_import(lua_State *L) {
  return get_list(L, push_import);
}

static int definition_tostring(lua_State *L) {
  const Handle *handle = object_check_closed(L, 1, &definition_class);
  if (handle->head.session->closed) lua_pushliteral(L, "definition (its session is closed)");
  else lua_pushfstring(L, "definition %s (#%d)", lun_definition_name(handle->pointer),
                       (int)lun_definition_index(handle->pointer));
  return 1;
}

static const Field fields[] = {
  { "index", get_index, NULL },     { "name", get_name, NULL },       { "raw_name", get_raw_name, NULL },
  { "module", get_module, NULL },   { "exports", get_exports, NULL }, { "import", get_import, NULL },
  { "params", get_params, NULL },   { "results", get_results, NULL }, { "param_names", get_param_names, NULL },
  { "own_name", get_own_name, NULL }, { "own_module", get_own_module, NULL }, { "named_locals", get_named_locals, NULL },
  { "is_host", get_is_host, NULL }, { "offset", get_offset, NULL },   { "size", get_size, NULL },
  { "file", get_file, NULL },       { "line", get_line, NULL },       { NULL, NULL, NULL },
};
static const luaL_Reg metamethods[] = { { "__tostring", definition_tostring }, { NULL, NULL } };
const Class definition_class = { "definition", 3, fields, NULL, metamethods, NULL, NULL };
