/* SPDX-License-Identifier: MIT */
/* Modules: from bytes or a file to what it imports, exports and defines. A module object holds its module; the session
 * gives up the holds that are left when it is closed. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "objects.h"

typedef struct ModuleObject {
  Handle handle;
  Owned *owned;  /* the hold; NULL: the module is somebody else's */
} ModuleObject;

static void drop_module(void *held) {
  lun_module_destroy(held);
}

void module_push(lua_State *L, Session *session, lun_module *module) {
  ModuleObject *object;
  if (cache_get(L, session, CACHE_MODULE, module)) return;
  object = object_new(L, &module_class, session, sizeof *object);
  object->handle.pointer = module;
  cache_put(L, session, CACHE_MODULE, module);
}

lun_module *module_check(lua_State *L, int index) {
  return ((Handle *)object_check(L, index, &module_class))->pointer;
}

static int module_gc(lua_State *L) {
  ModuleObject *object = object_to(L, 1, &module_class);
  if (!object) return 0;
  session_give_up(object->handle.head.session, object->owned);
  object->owned = NULL;
  return 0;
}

/* ---- making one ---- */
/* A file's bytes, malloc'ed; NULL and errno where it cannot be read. */
static uint8_t *file_read(const char *path, size_t *size) {
  FILE *file = fopen(path, "rbe");
  uint8_t *bytes = NULL, *grown;
  size_t room = 0, used = 0, count;
  if (!file) return NULL;
  do {
    if (used == room) {
      room = room ? room * 2 : 1 << 16;
      if (!(grown = realloc(bytes, room))) goto fail;
      bytes = grown;
    }
    count = fread(bytes + used, 1, room - used, file);
    used += count;
  } while (count > 0);
  if (ferror(file)) goto fail;
  fclose(file);
  *size = used;
  return bytes;
fail:
  count = (size_t)errno;
  free(bytes);
  fclose(file);
  errno = (int)count;
  return NULL;
}

static void file_release(void *self, const void *bytes, size_t size) {
  (void)self, (void)size;
  free((void *)(uintptr_t)bytes);
}

/* A file's name without its folder and ".wasm". Pushes it. */
static const char *name_of_path(lua_State *L, const char *path) {
  const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path, *dot = strrchr(base, '.');
  return lua_pushlstring(L, base, dot && dot != base ? (size_t)(dot - base) : strlen(base));
}

/* The object first, so that nothing is lost when memory fails; then what it holds. */
static int module_make(lua_State *L, Session *session, const void *bytes, size_t size, const lun_module_options *options) {
  lun_error error = LUN_ERROR_INIT;
  lun_module *module = NULL;
  ModuleObject *object = object_new(L, &module_class, session, sizeof *object);
  if (lun_module_create(session->store, bytes, size, options, &module, &error) != LUN_OK)
    return error_raise(L, session, &error);
  object->owned = session_own(session, module, drop_module);
  if (!object->owned) return luaL_error(L, "not enough memory");
  object->handle.pointer = module;
  cache_put(L, session, CACHE_MODULE, module);
  return 1;
}

static int module_from_file(lua_State *L, Session *session, const char *path, const char *name) {
  lun_error error = LUN_ERROR_INIT;
  lun_module_options options = { .release = file_release };
  size_t size = 0;
  options.name = name ? name : name_of_path(L, path);
  luaL_checkstack(L, 16, NULL);
  uint8_t *bytes = file_read(path, &size);
  if (!bytes) {
    lun_error_set(&error, errno == ENOMEM ? LUN_NO_MEMORY : LUN_NO_INPUT, "%s: %s", path, strerror(errno));
    return error_raise(L, session, &error);
  }
  return module_make(L, session, bytes, size, &options);
}

/* (session, bytes | {file=, bytes=, name=}) -> module */
int core_module(lua_State *L) {
  Session *session = session_check(L, 1);
  lun_module_options options = { 0 };
  size_t size;
  const char *bytes, *path;
  lua_settop(L, 2);
  if (lua_type(L, 2) == LUA_TSTRING) {
    bytes = lua_tolstring(L, 2, &size);
    return module_make(L, session, bytes, size, &options);
  }
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_getfield(L, 2, "name");
  lua_getfield(L, 2, "file");
  lua_getfield(L, 2, "bytes");
  options.name = luaL_optstring(L, 3, NULL);
  path = luaL_optstring(L, 4, NULL);
  if (path) return module_from_file(L, session, path, options.name);
  if (lua_type(L, 5) != LUA_TSTRING) return luaL_error(L, "module: bytes, {file=path} or {bytes=string, name=name} expected");
  bytes = lua_tolstring(L, 5, &size);
  return module_make(L, session, bytes, size, &options);
}

/* ---- what it says ---- */
static int get_name(lua_State *L) {
  lua_pushstring(L, lun_module_name(module_check(L, 1)));
  return 1;
}

/* Definitions of a module that has no instance die with it: they keep it. */
static void push_definition(lua_State *L, const lun_definition *definition) {
  Session *session = ((Handle *)object_to(L, 1, &module_class))->head.session;
  definition_push(L, session, definition);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, 3);
}

static void push_port(lua_State *L, lun_port port) {
  lua_createtable(L, 0, 5);
  lua_pushstring(L, port.module);
  lua_setfield(L, -2, "module");
  lua_pushstring(L, port.name);
  lua_setfield(L, -2, "name");
  lua_pushstring(L, lun_extern_kind_name(port.kind));
  lua_setfield(L, -2, "kind");
  lua_pushstring(L, port.type);
  lua_setfield(L, -2, "type");
  if (!port.definition) return;
  push_definition(L, port.definition);
  lua_setfield(L, -2, "definition");
}

static int get_imports(lua_State *L) {
  const lun_module *module = module_check(L, 1);
  uint32_t count = lun_module_import_count(module);
  lua_createtable(L, (int)count, 0);
  for (uint32_t i = 0; i < count; i++) {
    push_port(L, lun_module_import(module, i));
    lua_rawseti(L, -2, i + 1);
  }
  return 1;
}

static int get_exports(lua_State *L) {
  const lun_module *module = module_check(L, 1);
  uint32_t count = lun_module_export_count(module);
  lua_createtable(L, (int)count, 0);
  for (uint32_t i = 0; i < count; i++) {
    push_port(L, lun_module_export(module, i));
    lua_rawseti(L, -2, i + 1);
  }
  return 1;
}

/* (self, [where]) -> a list of definitions */
static int module_functions(lua_State *L) {
  const lun_module *module = module_check(L, 1);
  Session *session = ((Handle *)object_to(L, 1, &module_class))->head.session;
  uint32_t count = lun_module_function_count(module);
  lua_Integer found = 0;
  bool all = lua_isnoneornil(L, 2);
  lua_settop(L, 2);
  lua_newtable(L);
  for (uint32_t i = 0; i < count; i++) {
    const lun_definition *definition = lun_module_function(module, i);
    if (!all && !where_wants(L, 2, session, definition)) continue;
    push_definition(L, definition);
    lua_rawseti(L, 3, ++found);
  }
  return 1;
}

/* An offset, from the start of the code section's contents. */
static uint64_t offset_check(lua_State *L) {
  lua_Integer offset = luaL_checkinteger(L, 2);
  return offset < 0 ? LUN_NO_OFFSET : (uint64_t)offset;
}

/* (self, code offset) -> a list of source frames */
static int module_places(lua_State *L) {
  const lun_module *module = module_check(L, 1);
  sources_push(L, module, offset_check(L), false);
  return 1;
}

/* (self, code offset) -> the definition whose body it is in, or nil */
static int module_function_at(lua_State *L) {
  const lun_definition *definition = lun_module_function_at(module_check(L, 1), offset_check(L));
  if (definition) push_definition(L, definition);
  else lua_pushnil(L);
  return 1;
}

static int get_code_start(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)lun_module_file_offset(module_check(L, 1), 0));
  return 1;
}

static int module_tostring(lua_State *L) {
  const Handle *handle = object_check_closed(L, 1, &module_class);
  if (handle->head.session->closed) lua_pushliteral(L, "module (its session is closed)");
  else lua_pushfstring(L, "module %s", lun_module_name(handle->pointer));
  return 1;
}

static const Field fields[] = {
  { "name", get_name, NULL }, { "imports", get_imports, NULL }, { "exports", get_exports, NULL },
  { "code_start", get_code_start, NULL }, { NULL, NULL, NULL },
};
static const luaL_Reg methods[] = { { "functions", module_functions }, { "places", module_places },
                                    { "function_at", module_function_at }, { NULL, NULL } };
static const luaL_Reg metamethods[] = { { "__tostring", module_tostring }, { "__gc", module_gc }, { NULL, NULL } };
const Class module_class = { "module", 1, fields, methods, metamethods, NULL, NULL };
