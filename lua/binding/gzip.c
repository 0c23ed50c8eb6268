/* SPDX-License-Identifier: MIT */
/* Bytes in gzip's format, for formats that are kept in it (pprof's). Without zlib at build time it says so when asked. */
#include "objects.h"

#ifdef LUNETTE_ZLIB
#include <limits.h>
#include <string.h>
#include <zlib.h>

static bool compress_all(z_stream *stream, luaL_Buffer *buffer) {
  int result;
  do {
    stream->next_out = (Bytef *)luaL_prepbuffer(buffer);
    stream->avail_out = LUAL_BUFFERSIZE;
    result = deflate(stream, Z_FINISH);
    luaL_addsize(buffer, LUAL_BUFFERSIZE - stream->avail_out);
  } while (result == Z_OK);
  return result == Z_STREAM_END;
}

/* (stream, bytes) -> what is compressed; may raise for want of memory */
static int compress_inside(lua_State *L) {
  z_stream *stream = lua_touserdata(L, 1);
  size_t size;
  const char *bytes = lua_tolstring(L, 2, &size);
  luaL_Buffer buffer;
  stream->next_in = (Bytef *)(uintptr_t)bytes;
  stream->avail_in = (uInt)size;
  luaL_buffinit(L, &buffer);
  if (!compress_all(stream, &buffer)) return luaL_error(L, "gzip failed");
  luaL_pushresult(&buffer);
  return 1;
}

/* (bytes) -> gzip */
int core_gzip(lua_State *L) {
  z_stream stream;
  size_t size;
  luaL_checklstring(L, 1, &size);
  if (size > UINT_MAX) return luaL_error(L, "gzip: at most 4 GiB");
  memset(&stream, 0, sizeof stream);
  if (deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
    return luaL_error(L, "not enough memory");
  lua_pushcfunction(L, compress_inside);
  lua_pushlightuserdata(L, &stream);
  lua_pushvalue(L, 1);
  int result = lua_pcall(L, 2, 1, 0);
  deflateEnd(&stream);
  return result == LUA_OK ? 1 : lua_error(L);
}
#else
int core_gzip(lua_State *L) {
  return luaL_error(L, "this build has no zlib, which pprof's format needs (Debian: zlib1g-dev)");
}
#endif
