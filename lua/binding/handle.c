/* SPDX-License-Identifier: MIT */
/* Objects that are a pointer to something of the store: one object for one thing, as long as anybody holds it.
 *
 * The session knows them by weak tables, one per class, since things of two kinds may have one address. The things
 * themselves live until the store goes, so a pointer never comes to mean another thing while its object is there. */
#include "objects.h"

bool cache_get(lua_State *L, Session *session, Cache cache, const void *pointer) {
  session_anchors(L, session);
  lua_rawgeti(L, -1, session->caches[cache]);
  if (lua_rawgetp(L, -1, pointer) == LUA_TUSERDATA) {
    lua_replace(L, -3);
    lua_pop(L, 1);
    return true;
  }
  lua_pop(L, 3);
  return false;
}

void cache_put(lua_State *L, Session *session, Cache cache, const void *pointer) {
  session_anchors(L, session);
  lua_rawgeti(L, -1, session->caches[cache]);
  lua_pushvalue(L, -3);
  lua_rawsetp(L, -2, pointer);
  lua_pop(L, 2);
}

void handle_push(lua_State *L, Session *session, Cache cache, const Class *class, const void *pointer) {
  Handle *handle;
  if (!pointer) {
    lua_pushnil(L);
    return;
  }
  if (cache_get(L, session, cache, pointer)) return;
  handle = object_new(L, class, session, sizeof *handle);
  handle->pointer = (void *)(uintptr_t)pointer;
  cache_put(L, session, cache, pointer);
}

void extern_push(lua_State *L, Session *session, lun_extern item) {
  switch (item.kind) {
  case LUN_EXTERN_FUNCTION: function_push(L, session, item.as.function); break;
  case LUN_EXTERN_TABLE: table_push(L, session, item.as.table); break;
  case LUN_EXTERN_MEMORY: memory_push(L, session, item.as.memory); break;
  case LUN_EXTERN_GLOBAL: global_push(L, session, item.as.global); break;
  case LUN_EXTERN_TAG: tag_push(L, session, item.as.tag); break;
  }
}

bool extern_to(lua_State *L, int index, lun_extern *item) {
  static const struct { const Class *class; lun_extern_kind kind; } kinds[] = {
    { &function_class, LUN_EXTERN_FUNCTION }, { &table_class, LUN_EXTERN_TABLE },
    { &memory_class, LUN_EXTERN_MEMORY },     { &global_class, LUN_EXTERN_GLOBAL },
    { &tag_class, LUN_EXTERN_TAG },
  };
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
    const Handle *handle = object_to(L, index, kinds[i].class);
    if (!handle) continue;
    item->kind = kinds[i].kind;
    switch (item->kind) {
    case LUN_EXTERN_FUNCTION: item->as.function = handle->pointer; break;
    case LUN_EXTERN_TABLE: item->as.table = handle->pointer; break;
    case LUN_EXTERN_MEMORY: item->as.memory = handle->pointer; break;
    case LUN_EXTERN_GLOBAL: item->as.global = handle->pointer; break;
    case LUN_EXTERN_TAG: item->as.tag = handle->pointer; break;
    }
    return true;
  }
  return false;
}
