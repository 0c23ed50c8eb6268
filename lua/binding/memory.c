/* SPDX-License-Identifier: MIT */
/* Guest memory: numbers, strings and dumps by address. Addresses count modulo 2^32, so that pointers that Lua shows as
 * negative i32 work as they are, unless the memory has 64-bit ones; what lies outside is an error with the address and the size. Writing is for host
 * functions and programs of one's own (R11). */
#define _GNU_SOURCE /* memmem */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "objects.h"

void memory_push(lua_State *L, Session *session, lun_memory *memory) {
  handle_push(L, session, CACHE_MEMORY, &memory_class, memory);
}

static lun_memory *self(lua_State *L) {
  return ((Handle *)object_check(L, 1, &memory_class))->pointer;
}

static Session *session_of(lua_State *L) {
  return ((Handle *)object_to(L, 1, &memory_class))->head.session;
}

static uint64_t address_check(lua_State *L, const lun_memory *memory, int index) {
  uint64_t address = (uint64_t)luaL_checkinteger(L, index);
  return lun_memory_is_64(memory) ? address : (uint32_t)address;
}

static uint64_t size_check(lua_State *L, int index) {
  lua_Integer size = luaL_checkinteger(L, index);
  luaL_argcheck(L, size >= 0, index, "a size is not negative");
  return (uint64_t)size;
}

static int outside(lua_State *L, const lun_memory *memory, uint64_t address, uint64_t size) {
  char text[128];
  snprintf(text, sizeof text, "%" PRIu64 " bytes at 0x%" PRIx64 " lie outside of the memory's %" PRIu64 " bytes", size, address,
           lun_memory_size(memory));
  return luaL_error(L, "%s", text);
}

static const uint8_t *bytes_at(lua_State *L, const lun_memory *memory, uint64_t address, uint64_t size) {
  const uint8_t *bytes = lun_memory_read(memory, address, size);
  if (!bytes) outside(L, memory, address, size);
  return bytes;
}

/* ---- numbers ---- */
static uint64_t number_at(lua_State *L, unsigned size) {
  const lun_memory *memory = self(L);
  const uint8_t *bytes = bytes_at(L, memory, address_check(L, memory, 2), size);
  uint64_t value = 0;
  for (unsigned i = 0; i < size; i++) value |= (uint64_t)bytes[i] << (8 * i);
  return value;
}

#define UNSIGNED(name, bits) \
  static int memory_##name(lua_State *L) { \
    lua_pushinteger(L, (lua_Integer)number_at(L, bits / 8)); \
    return 1; \
  }
#define SIGNED(name, bits) \
  static int memory_##name(lua_State *L) { \
    lua_pushinteger(L, (int##bits##_t)number_at(L, bits / 8)); \
    return 1; \
  }
UNSIGNED(u8, 8)
UNSIGNED(u16, 16)
UNSIGNED(u32, 32)
SIGNED(s8, 8)
SIGNED(s16, 16)
SIGNED(i32, 32)
SIGNED(i64, 64)

static int memory_f32(lua_State *L) {
  f32_push(L, (uint32_t)number_at(L, 4));
  return 1;
}

static int memory_f64(lua_State *L) {
  f64_push(L, number_at(L, 8));
  return 1;
}

/* ---- runs of bytes ---- */
static int memory_string(lua_State *L) {
  const lun_memory *memory = self(L);
  uint64_t address = address_check(L, memory, 2), size = size_check(L, 3);
  lua_pushlstring(L, (const char *)bytes_at(L, memory, address, size), size);
  return 1;
}

/* Up to the first NUL, or `max` bytes. */
static int memory_cstring(lua_State *L) {
  const lun_memory *memory = self(L);
  uint64_t address = address_check(L, memory, 2), size = lun_memory_size(memory), room;
  bool bounded = !lua_isnoneornil(L, 3);
  const uint8_t *bytes, *end;
  if (address >= size) return outside(L, memory, address, 1);
  room = size - address;
  if (bounded && size_check(L, 3) < room) room = size_check(L, 3);
  bytes = bytes_at(L, memory, address, room);
  end = memchr(bytes, 0, room);
  if (!end && !bounded) return luaL_error(L, "no NUL byte between the address and the end of the memory");
  lua_pushlstring(L, (const char *)bytes, end ? (size_t)(end - bytes) : room);
  return 1;
}

/* A list of the bytes' values. */
static int memory_bytes(lua_State *L) {
  const lun_memory *memory = self(L);
  uint64_t address = address_check(L, memory, 2), size = size_check(L, 3);
  const uint8_t *bytes = bytes_at(L, memory, address, size);
  luaL_argcheck(L, size <= INT32_MAX / 32, 3, "too many for a list; use :string");
  lua_createtable(L, (int)size, 0);
  for (uint64_t i = 0; i < size; i++) {
    lua_pushinteger(L, bytes[i]);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

static void hexdump_line(char *line, size_t room, uint64_t address, const uint8_t *bytes, unsigned count) {
  int at = snprintf(line, room, "%08" PRIx64 " ", address);
  for (unsigned i = 0; i < 16; i++) {
    const char *gap = i % 8 ? "" : " ";
    if (i < count) at += snprintf(line + at, room - (size_t)at, "%s%02x ", gap, bytes[i]);
    else at += snprintf(line + at, room - (size_t)at, "%s   ", gap);
  }
  line[at++] = ' ';
  line[at++] = '|';
  for (unsigned i = 0; i < count; i++) line[at++] = bytes[i] >= 32 && bytes[i] < 127 ? (char)bytes[i] : '.';
  line[at++] = '|';
  line[at] = 0;
}

/* As `hexdump -C` prints: 16 bytes a line. */
static int memory_hexdump(lua_State *L) {
  const lun_memory *memory = self(L);
  uint64_t address = address_check(L, memory, 2), size = size_check(L, 3);
  const uint8_t *bytes = bytes_at(L, memory, address, size);
  luaL_Buffer buffer;
  char line[128];
  luaL_buffinit(L, &buffer);
  for (uint64_t at = 0; at < size; at += 16) {
    hexdump_line(line, sizeof line, address + at, bytes + at, size - at < 16 ? (unsigned)(size - at) : 16);
    if (at > 0) luaL_addchar(&buffer, '\n');
    luaL_addstring(&buffer, line);
  }
  luaL_pushresult(&buffer);
  return 1;
}

/* (self, bytes, [from]) -> the address of the first place that holds these bytes, or nil */
static int memory_find(lua_State *L) {
  const lun_memory *memory = self(L);
  size_t size;
  const char *wanted = luaL_checklstring(L, 2, &size);
  uint64_t from = lua_isnoneornil(L, 3) ? 0 : address_check(L, memory, 3), end = lun_memory_size(memory);
  const uint8_t *bytes, *found;
  if (from > end) return 0;
  bytes = bytes_at(L, memory, from, end - from);
  found = end > from ? memmem(bytes, end - from, wanted, size) : NULL;
  if (!found) lua_pushnil(L);
  else lua_pushinteger(L, (lua_Integer)(from + (uint64_t)(found - bytes)));
  return 1;
}

static int memory_write(lua_State *L) {
  lun_memory *memory = self(L);
  size_t size;
  uint64_t address = address_check(L, memory, 2);
  const char *bytes = luaL_checklstring(L, 3, &size);
  uint8_t *room;
  session_check_write(L, session_of(L), "memory");
  room = lun_memory_write(memory, address, size);
  if (!room) return outside(L, memory, address, size);
  if (size > 0) memcpy(room, bytes, size);
  return 0;
}

static int memory_size(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)lun_memory_size(self(L)));
  return 1;
}

static int get_address(lua_State *L) {
  lua_pushstring(L, lun_memory_is_64(self(L)) ? "i64" : "i32");
  return 1;
}

static int memory_tostring(lua_State *L) {
  const Handle *handle = object_check_closed(L, 1, &memory_class);
  if (handle->head.session->closed) lua_pushliteral(L, "memory (its session is closed)");
  else lua_pushfstring(L, "memory of %I bytes", (LUAI_UACINT)lun_memory_size(handle->pointer));
  return 1;
}

bool address_is_64(lua_State *L, int options) {
  const char *type;
  bool is_64;
  if (lua_getfield(L, options, "address") == LUA_TNIL) lua_pushliteral(L, "i32");
  type = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "";
  is_64 = strcmp(type, "i64") == 0;
  if (!is_64 && strcmp(type, "i32") != 0) luaL_error(L, "address: \"i32\" or \"i64\"");
  return is_64;
}

/* (session, {min=, max=, address=}) -> memory; pages */
int core_memory(lua_State *L) {
  Session *session = session_check(L, 1);
  lun_error error = LUN_ERROR_INIT;
  lun_memory *memory = NULL;
  lua_Integer min, max, most;
  lun_status status;
  bool is_64;
  luaL_checktype(L, 2, LUA_TTABLE);
  is_64 = address_is_64(L, 2);
  most = is_64 ? (lua_Integer)1 << 48 : 65536;
  lua_getfield(L, 2, "min");
  min = luaL_optinteger(L, -1, 0);
  lua_getfield(L, 2, "max");
  max = luaL_optinteger(L, -1, most);
  if (min < 0 || max < min || max > most) return luaL_error(L, "memory: 0 <= min <= max <= %I pages", (LUAI_UACINT)most);
  status = (is_64 ? lun_memory_create_64 : lun_memory_create)(session->store, (uint64_t)min, (uint64_t)max, &memory, &error);
  if (status != LUN_OK) return error_raise(L, session, &error);
  memory_push(L, session, memory);
  return 1;
}

static const luaL_Reg methods[] = {
  { "u8", memory_u8 },     { "s8", memory_s8 },         { "u16", memory_u16 },         { "s16", memory_s16 },
  { "u32", memory_u32 },   { "i32", memory_i32 },       { "i64", memory_i64 },         { "f32", memory_f32 },
  { "f64", memory_f64 },   { "string", memory_string }, { "cstring", memory_cstring }, { "bytes", memory_bytes },
  { "size", memory_size }, { "find", memory_find },     { "hexdump", memory_hexdump }, { "write", memory_write },
  { NULL, NULL },
};
static const luaL_Reg metamethods[] = { { "__tostring", memory_tostring }, { "__len", memory_size }, { NULL, NULL } };
static const Field fields[] = { { "address", get_address, NULL }, { NULL, NULL, NULL } };
const Class memory_class = { "memory", 1, fields, methods, metamethods, NULL, NULL };
