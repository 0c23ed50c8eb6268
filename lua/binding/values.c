/* SPDX-License-Identifier: MIT */
/* Values between WebAssembly's slots and Lua (R10): i32 and i64 are signed integers, f32 and f64 floats, v128 a string of
 * 16 bytes, a reference to a function a function object or nil, externref whatever value the host gave, or nil, exnref an exception
 * object or nil.
 *
 * Numbers need no memory, so that listeners of ordinary functions get theirs without one; the others may raise. An
 * externref is a number under which the session keeps the Lua value, the same for the same value, until it is closed. */
#include <string.h>

#include "objects.h"

uint32_t slots_count(const lun_type *types, uint32_t count) {
  uint32_t slots = count;
  for (uint32_t i = 0; i < count; i++) slots += types[i] == LUN_V128;
  return slots;
}

bool types_plain(const lun_type *types, uint32_t count) {
  for (uint32_t i = 0; i < count; i++) {
    if (types[i] - LUN_F64 > LUN_I32 - LUN_F64) return false; /* the codes of the four number types are neighbours */
  }
  return true;
}

/* Where the processor turns floats into doubles and back, it makes signalling NaNs quiet: their bits are moved by hand, so that
 * a value that Lua hands on is the one that it got. */
#define F64_NAN UINT64_C(0x7ff0000000000000)
enum { F32_NAN = 0x7f800000, F64_MORE = 29 }; /* so many bits more has a double for the payload */

void f32_push(lua_State *L, uint32_t bits) {
  float value;
  uint64_t payload = bits & 0x7fffff;
  memcpy(&value, &bits, sizeof value);
  if (value == value) lua_pushnumber(L, (lua_Number)value);
  else f64_push(L, (uint64_t)(bits >> 31) << 63 | F64_NAN | payload << F64_MORE);
}

static uint32_t f32_of(double wide) {
  float narrow;
  uint64_t wide_bits;
  uint32_t bits;
  if (wide == wide) {
    narrow = (float)wide;
    memcpy(&bits, &narrow, sizeof bits);
    return bits;
  }
  memcpy(&wide_bits, &wide, sizeof wide_bits);
  bits = (uint32_t)(wide_bits >> F64_MORE & 0x7fffff);
  if (bits == 0) bits = 0x400000; /* what of the payload has no room was all of it */
  return (uint32_t)(wide_bits >> 63) << 31 | F32_NAN | bits;
}

void f64_push(lua_State *L, uint64_t slot) {
  double value;
  memcpy(&value, &slot, sizeof value);
  lua_pushnumber(L, value);
}

uint32_t values_push_plain(lua_State *L, const lun_type *types, uint32_t count, const uint64_t *slots) {
  for (uint32_t i = 0; i < count; i++) {
    switch (types[i]) {
    case LUN_I32: lua_pushinteger(L, (int32_t)(uint32_t)slots[i]); break;
    case LUN_I64: lua_pushinteger(L, (lua_Integer)slots[i]); break;
    case LUN_F32: f32_push(L, (uint32_t)slots[i]); break;
    case LUN_F64: f64_push(L, slots[i]); break;
    default: return i;
    }
  }
  return count;
}

static void v128_push(lua_State *L, const uint64_t *slots) {
  char bytes[16];
  for (int i = 0; i < 16; i++) bytes[i] = (char)(slots[i / 8] >> (8 * (i % 8)));
  lua_pushlstring(L, bytes, sizeof bytes);
}

static void externref_push(lua_State *L, Session *session, uint64_t ref) {
  if (ref == 0) {
    lua_pushnil(L);
    return;
  }
  session_anchors(L, session);
  lua_rawgeti(L, -1, session->externs);
  lua_rawgeti(L, -1, (lua_Integer)ref);
  lua_replace(L, -3);
  lua_pop(L, 1);
}

static void exnref_push(lua_State *L, Session *session, uint64_t ref) {
  if (ref) exception_push(L, session, lun_exception_of_ref(ref));
  else lua_pushnil(L);
}

void values_push(lua_State *L, Session *session, const lun_type *types, uint32_t count, const uint64_t *slots) {
  for (uint32_t i = 0; i < count; i++) {
    if (values_push_plain(L, &types[i], 1, slots) == 0) {
      switch (lun_type_top(types[i])) {
      case LUN_V128: v128_push(L, slots++); break;
      case LUN_FUNCREF: function_push(L, session, lun_function_of_ref(*slots)); break;
      case LUN_EXTERNREF: externref_push(L, session, *slots); break;
      case LUN_EXNREF: exnref_push(L, session, *slots); break;
      default: lua_pushinteger(L, (lua_Integer)*slots); break; /* an opaque reference */
      }
    }
    slots++;
  }
}

/* ---- from Lua ---- */
static uint64_t externref_of(lua_State *L, Session *session, int index) {
  uint64_t ref;
  if (lua_isnil(L, index)) return 0;
  lua_pushvalue(L, index);
  session_anchors(L, session);
  lua_rawgeti(L, -1, session->externs);
  lua_rawgeti(L, -2, session->extern_ids); /* value, anchors, externs, ids */
  lua_pushvalue(L, -4);
  if (lua_rawget(L, -2) == LUA_TNUMBER) {
    ref = (uint64_t)lua_tointeger(L, -1);
  } else {
    bool is_nan = lua_rawequal(L, -5, -5) == 0; /* NaN is no key: a number of its own each time */
    ref = session->extern_count + 1u;
    lua_pushvalue(L, -5);
    lua_rawseti(L, -4, (lua_Integer)ref);
    if (!is_nan) {
      lua_pushvalue(L, -5);
      lua_pushinteger(L, (lua_Integer)ref);
      lua_rawset(L, -4);
    }
    session->extern_count++;
  }
  lua_pop(L, 5);
  return ref;
}

/* A number of the range that i32 has signed or unsigned. */
static bool i32_to(lua_State *L, int index, uint64_t *slot) {
  int is_integer;
  lua_Integer value;
  if (lua_type(L, index) != LUA_TNUMBER) return false;
  value = lua_tointegerx(L, index, &is_integer);
  if (!is_integer || value < INT32_MIN || value > (lua_Integer)UINT32_MAX) return false;
  *slot = (uint32_t)value;
  return true;
}

static bool float_to(lua_State *L, int index, lun_type type, uint64_t *slot) {
  double wide;
  if (lua_type(L, index) != LUA_TNUMBER) return false;
  wide = lua_tonumber(L, index);
  if (type == LUN_F32) *slot = f32_of(wide);
  else memcpy(slot, &wide, sizeof wide);
  return true;
}

static bool v128_to(lua_State *L, int index, uint64_t *slots) {
  size_t size;
  const char *bytes;
  if (lua_type(L, index) != LUA_TSTRING) return false;
  bytes = lua_tolstring(L, index, &size);
  if (size != 16) return false;
  slots[0] = slots[1] = 0;
  for (int i = 0; i < 16; i++) slots[i / 8] |= (uint64_t)(uint8_t)bytes[i] << (8 * (i % 8));
  return true;
}

static bool funcref_to(lua_State *L, Session *session, int index, uint64_t *slot) {
  Handle *handle;
  *slot = 0;
  if (lua_isnil(L, index)) return true;
  handle = object_to(L, index, &function_class);
  if (!handle || handle->head.session != session) return false; /* of another store */
  *slot = lun_function_ref(handle->pointer);
  return true;
}

bool value_to(lua_State *L, Session *session, int index, lun_type type, uint64_t *slots) {
  int is_integer;
  lun_type top = lun_type_top(type);
  if (top != type && !lun_type_is_nullable(type) && lua_isnil(L, index)) return false;
  switch (top) {
  case LUN_I32:
    return i32_to(L, index, slots);
  case LUN_I64:
    if (lua_type(L, index) != LUA_TNUMBER) return false;
    *slots = (uint64_t)lua_tointegerx(L, index, &is_integer);
    return is_integer;
  case LUN_F32:
  case LUN_F64:
    return float_to(L, index, type, slots);
  case LUN_V128:
    return v128_to(L, index, slots);
  case LUN_FUNCREF:
    return funcref_to(L, session, index, slots);
  case LUN_EXNREF:
    *slots = lun_exception_ref(exception_to(L, session, index));
    return *slots || lua_isnil(L, index);
  case LUN_EXTERNREF:
    *slots = externref_of(L, session, index);
    return true;
  default:
    return false;
  }
}

/* Every number from 2^53 on is whole. */
static bool is_whole(lua_Number value) {
  const lua_Number most = 9007199254740992.0;
  if (value >= most || value <= -most) return true;
  return value == value && (lua_Number)(lua_Integer)value == value;
}

const char *value_kind(lua_State *L, int index, lun_type type) {
  if (object_to(L, index, &function_class)) return "a function of another session";
  if (lua_type(L, index) == LUA_TNUMBER) {
    if (type != LUN_I32 && type != LUN_I64) return "a number";
    if (lua_isinteger(L, index)) return "an integer out of range";
    if (!is_whole(lua_tonumber(L, index))) return "a fraction";
    return type == LUN_I32 ? "a number out of i32's range" : "a number out of i64's range";
  }
  if (lua_type(L, index) == LUA_TSTRING) return "a string";
  return luaL_typename(L, index);
}

lua_Integer list_length(lua_State *L, int index, const char *what) {
  enum { LIST_MOST = 500000 };
  luaL_checktype(L, index, LUA_TTABLE);
  lua_Unsigned length = lua_rawlen(L, index);
  if (length > LIST_MOST) luaL_error(L, "%s: a list can hold %d values at most", what, LIST_MOST);
  return (lua_Integer)length;
}

lun_type type_check(lua_State *L, int index) {
  static const lun_type types[] = { LUN_I32, LUN_I64, LUN_F32, LUN_F64, LUN_V128, LUN_FUNCREF, LUN_EXTERNREF, LUN_EXNREF,
                                    LUN_REF_FUNC, LUN_REF_EXTERN };
  const char *names[sizeof types / sizeof *types], *name, *nearest;
  lun_type type;
  if (lua_type(L, index) != LUA_TSTRING) luaL_error(L, "a type is a name such as \"i32\", not a %s", luaL_typename(L, index));
  name = lua_tostring(L, index);
  if ((type = lun_type_of_name(name))) return type;
  for (size_t i = 0; i < sizeof types / sizeof *types; i++) names[i] = lun_type_name(types[i]);
  nearest = lun_nearest(name, names, sizeof types / sizeof *types);
  if (nearest) luaL_error(L, "no such type: '%s'; did you mean '%s'?", name, nearest);
  luaL_error(L, "no such type: '%s'", name);
  return 0;
}
