/* SPDX-License-Identifier: MIT */
/* The module lunette.core: what lua/lunette builds the API on. Each function takes a session first. */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "objects.h"

enum { SCRIPTS_MOST = 256 };

static const Class *const classes[] = {
  &session_class, &module_class,     &instance_class, &function_class, &memory_class, &global_class,     &table_class,
  &host_class,    &definition_class, &call_class,     &stack_class,    &frame_class,  &attachment_class, &error_class,
  &where_class,   &tag_class,        &exception_class, &pairing_class, &aggregation_class,
  &timer_class,   &watch_class,      &event_class,
};

static int core_monotonic(lua_State *L) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  lua_pushinteger(L, (lua_Integer)now.tv_sec * 1000000000 + now.tv_nsec);
  return 1;
}

static int by_name(const void *a, const void *b) {
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* (folder) -> the names of the Lua files in it without ".lua", sorted; none where it cannot be read */
static int core_scripts_in(lua_State *L) {
  DIR *folder = opendir(luaL_checkstring(L, 1));
  char names[SCRIPTS_MOST][64];
  const char *sorted[SCRIPTS_MOST];
  size_t count = 0;
  for (const struct dirent *entry; folder && count < SCRIPTS_MOST && (entry = readdir(folder));) {
    size_t size = strlen(entry->d_name);
    if (size < 5 || size - 4 >= sizeof names[0] || strcmp(entry->d_name + size - 4, ".lua") != 0) continue;
    memcpy(names[count], entry->d_name, size - 4);
    names[count][size - 4] = 0;
    sorted[count] = names[count];
    count++;
  }
  if (folder) closedir(folder);
  qsort(sorted, count, sizeof *sorted, by_name);
  lua_createtable(L, (int)count, 0);
  for (size_t i = 0; i < count; i++) {
    lua_pushstring(L, sorted[i]);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

/* -> { class = { name = "field" or "method" } }: for the spec of lunette.api, and for completion */
static int core_members(lua_State *L) {
  lua_newtable(L);
  for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) {
    lua_newtable(L);
    for (const Field *field = classes[i]->fields; field && field->name; field++) {
      lua_pushliteral(L, "field");
      lua_setfield(L, -2, field->name);
    }
    for (const luaL_Reg *method = classes[i]->methods; method && method->name; method++) {
      lua_pushliteral(L, "method");
      lua_setfield(L, -2, method->name);
    }
    lua_setfield(L, -2, classes[i]->name);
  }
  return 1;
}

static const luaL_Reg functions[] = {
  { "session", core_session }, { "module", core_module }, { "instantiate", core_instantiate }, { "host", core_host },
  { "memory", core_memory },   { "table", core_table },   { "global", core_global },           { "attach", core_attach },
  { "tag", core_tag },         { "budget", core_budget },   { "fake_tape", core_fake_tape },
  { "watch_folder", core_watch_folder }, { "unwatch_folder", core_unwatch_folder }, { "file_id", core_file_id },
  { "read_link", core_read_link },
  { "where", core_where },     { "nearest", core_nearest }, { "monotonic_ns", core_monotonic },
  { "gzip", core_gzip }, { "aggregate", core_aggregate }, { "aggregate_forget", core_aggregate_forget }, { "aggregate_rows", core_aggregate_rows }, { "aggregate_total", core_aggregate_total },
  { "aggregate_quantile", core_aggregate_quantile }, { "aggregate_spec", core_aggregate_spec },
  { "aggregate_write", core_aggregate_write }, { "watch", core_watch }, { "stack_of", core_stack_of },
  { "pairing", core_pairing }, { "error", core_error },     { "scripts_in", core_scripts_in }, { "members", core_members },
  { "wasi_functions", core_wasi_functions }, { "wasi_errno", core_wasi_errno },
  { "timer", core_timer },     { "luv", core_luv },       { "luv_function", core_luv_function }, { NULL, NULL },
};

int luaopen_lunette_core(lua_State *L) {
  luaL_checkversion(L);
  running_replace(L);
  for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) class_register(L, classes[i]);
  luaL_newlib(L, functions);
  lua_pushstring(L, lun_version());
  lua_setfield(L, -2, "version");
  return 1;
}

/* ---- for the command: objects of a session's things, and back ---- */
static Session *session_at(lua_State *L, int index) {
  return object_to(L, index, &session_class);
}

void binding_push_module(lua_State *L, int session, lun_module *module) {
  module_push(L, session_at(L, session), module);
}

void binding_push_instance(lua_State *L, int session, lun_instance *instance) {
  instance_push(L, session_at(L, session), instance);
}
