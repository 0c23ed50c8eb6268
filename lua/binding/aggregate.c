/* SPDX-License-Identifier: MIT */
/* Aggregations for Lua: makes them of what lua/lunette/aggregate.lua and reading.lua describe in tables, and gives their rows
 * back. What the methods print and sort is Lua's work: they call lunette.aggregate.
 *
 * An aggregation is the session's until the session ends, or the script that made it goes: what was counted is printed then,
 * whoever has forgotten it. What counts into it keeps it, too. */
#include <string.h>

#include "objects.h"

enum { DEPTH_MOST = 100 };

typedef struct Aggregation {
  Head head;
  lun_aggregate *aggregate;
  Owned *owned;                /* the session's hold on it */
  int anchor;                  /* of this object */
  size_t budget;
  const char *title;           /* user value 2, the spec, keeps it */
} Aggregation;

static Aggregation *self(lua_State *L, int index) { return object_check(L, index, &aggregation_class); }

lun_aggregate *aggregation_to(lua_State *L, int index) {
  const Aggregation *aggregation = object_to(L, index, &aggregation_class);
  return aggregation && !aggregation->head.session->closed ? aggregation->aggregate : NULL;
}

/* ---- reading descriptions ---- */
/* They are tables that scripts can reach: what is in them is asked raw, and taken for nothing but what it is. */
static int field(lua_State *L, int index, const char *key) {
  index = lua_absindex(L, index);
  lua_pushstring(L, key);
  return lua_rawget(L, index);
}

/* The number of the text in field `key` of the table on top. Raises where it is none of them. */
static int word_of(lua_State *L, const char *key, const char *const *words, int count) {
  field(L, -1, key);
  for (int i = 0; i < count; i++) {
    if (lua_type(L, -1) != LUA_TSTRING || strcmp(lua_tostring(L, -1), words[i]) != 0) continue;
    lua_pop(L, 1);
    return i;
  }
  return luaL_error(L, "this is no description of a call's values");
}

/* Of the table on top, which keeps the name. */
static lun_reading reading_read(lua_State *L) {
  static const char *const sources[LUN_SOURCE_COUNT] = {
    "arg", "result", "elapsed", "self_time", "stack_depth", "memory_size", "stack", "name", "caller", "module", "instance",
    "file",
  };
  lun_reading reading = { 0 };
  luaL_checktype(L, -1, LUA_TTABLE);
  luaL_checkstack(L, 8, NULL);
  reading.source = (lun_source)word_of(L, "source", sources, LUN_SOURCE_COUNT);
  int type = field(L, -1, "name");
  field(L, -2, "index");
  field(L, -3, "unsigned");
  if (type != LUA_TNIL && type != LUA_TSTRING) luaL_error(L, "this is no description of a call's values");
  reading.name = lua_tostring(L, -3);
  reading.index = (uint32_t)lua_tointeger(L, -2);
  reading.is_unsigned = lua_toboolean(L, -1);
  lua_pop(L, 3);
  return reading;
}

static lun_datum datum_read(lua_State *L, int index) {
  lun_datum datum = { LUN_DATUM_TEXT, { 0 } };
  if (lua_isinteger(L, index)) {
    datum.kind = LUN_DATUM_INTEGER;
    datum.as.integer = lua_tointeger(L, index);
  } else if (lua_type(L, index) == LUA_TNUMBER) {
    datum.kind = LUN_DATUM_NUMBER;
    datum.as.number = lua_tonumber(L, index);
  } else {
    datum.as.text = luaL_checkstring(L, index);
  }
  return datum;
}

/* What has been built so far and is in no tree yet: freed where something raises. */
typedef struct Builder {
  lun_predicate *built[DEPTH_MOST + 2];
  int count;
  lun_error error;
} Builder;

static int build_failed(lua_State *L, Builder *builder) {
  lua_pushstring(L, builder->error.message);
  lun_error_clear(&builder->error);
  return lua_error(L);
}

static void build_compare(lua_State *L, Builder *builder) {
  static const char *const comparisons[] = { "gt", "ge", "lt", "le", "eq", "ne", "between", "has", "glob" };
  lun_datum right[2];
  int how = word_of(L, "how", comparisons, sizeof comparisons / sizeof *comparisons);
  if (field(L, -1, "right") != LUA_TTABLE) luaL_error(L, "this is no description of a call's values");
  lua_rawgeti(L, -1, 1);
  lua_rawgeti(L, -2, 2);
  right[0] = datum_read(L, -2);
  if (how == LUN_COMPARE_BETWEEN) right[1] = datum_read(L, -1);
  field(L, -4, "reading");
  lun_reading reading = reading_read(L);
  if (lun_predicate_compare(&reading, (lun_comparison)how, right, &builder->built[builder->count], &builder->error) != LUN_OK)
    build_failed(L, builder);
  builder->count++;
  lua_pop(L, 4);
}

/* The table on top becomes the last of what is built. */
static void build(lua_State *L, Builder *builder, int depth) {
  static const char *const forms[] = { "compare", "&", "|", "~" };
  luaL_checktype(L, -1, LUA_TTABLE);
  luaL_checkstack(L, 12, NULL);
  int form = word_of(L, "form", forms, 4);
  lun_status status;
  lun_predicate *made;
  if (form == 0) {
    build_compare(L, builder);
    return;
  }
  if (depth >= DEPTH_MOST) luaL_error(L, "a predicate can be nested %d deep at most", DEPTH_MOST);
  for (int i = 1; i <= (form == 3 ? 1 : 2); i++) {
    lua_rawgeti(L, -1, i);
    build(L, builder, depth + 1);
    lua_pop(L, 1);
  }
  lun_predicate *last = builder->built[--builder->count];
  if (form == 3) status = lun_predicate_not(last, &made, &builder->error);
  else status = lun_predicate_join(builder->built[--builder->count], last, form == 2, &made, &builder->error);
  if (status != LUN_OK) build_failed(L, builder);
  builder->built[builder->count++] = made;
}

static int build_inside(lua_State *L) {
  Builder *builder = lua_touserdata(L, 2);
  lua_settop(L, 1);
  build(L, builder, 0);
  return 0;
}

lun_predicate *predicate_read(lua_State *L, int index) {
  Builder builder = { .error = LUN_ERROR_INIT };
  index = lua_absindex(L, index);
  lua_pushcfunction(L, build_inside);
  lua_pushvalue(L, index);
  lua_pushlightuserdata(L, &builder);
  if (lua_pcall(L, 2, 0, 0) == LUA_OK) return builder.built[0];
  for (int i = 0; i < builder.count; i++) lun_predicate_destroy(builder.built[i]);
  lua_error(L);
  return NULL;
}

/* ---- making ---- */
static void tell_full(void *context) {
  const Aggregation *aggregation = context;
  char text[300];
  snprintf(text, sizeof text, "%s: its budget of %zu bytes is used up: calls with new keys are left out and counted; "
           "budget= gives it more", aggregation->title, aggregation->budget);
  session_message_late(aggregation->head.session, text);
}

static void drop(void *held) { lun_aggregate_destroy(held); }

static size_t keys_read(lua_State *L, int spec, const char *name, lun_reading keys[LUN_KEYS_MOST]) {
  size_t count;
  if (lua_getfield(L, spec, name) == LUA_TNIL) {
    lua_pop(L, 1);
    return 0;
  }
  count = (size_t)list_length(L, -1, name);
  if (count > LUN_KEYS_MOST) luaL_error(L, "at most %d keys", LUN_KEYS_MOST);
  for (size_t i = 0; i < count; i++) {
    lua_rawgeti(L, -1, (lua_Integer)i + 1);
    keys[i] = reading_read(L);
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  return count;
}

static double number_field(lua_State *L, int spec, const char *name) {
  double value;
  lua_getfield(L, spec, name);
  value = lua_tonumber(L, -1);
  lua_pop(L, 1);
  return value;
}

static lun_aggregate_kind kind_read(lua_State *L, int spec) {
  const char *name;
  lua_getfield(L, spec, "kind");
  name = luaL_checkstring(L, -1);
  for (int kind = 0; kind < LUN_AGGREGATE_KIND_COUNT; kind++) {
    if (strcmp(lun_aggregate_kind_name((lun_aggregate_kind)kind), name) != 0) continue;
    lua_pop(L, 1);
    return (lun_aggregate_kind)kind;
  }
  return (lun_aggregate_kind)luaL_error(L, "there is no aggregation '%s'", name);
}

/* (session, spec) -> aggregation */
int core_aggregate(lua_State *L) {
  Session *session = session_check(L, 1);
  lun_reading keys[LUN_KEYS_MOST], close_keys[LUN_KEYS_MOST], value;
  lun_error error = LUN_ERROR_INIT;
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_settop(L, 2);
  luaL_checkstack(L, 20, NULL);
  Aggregation *aggregation = object_new(L, &aggregation_class, session, sizeof *aggregation);
  lua_pushvalue(L, 2);
  lua_setiuservalue(L, 3, 2);
  lun_aggregate_options options = { .kind = kind_read(L, 2), .keys = keys, .on_full = tell_full, .self = aggregation };
  options.key_count = keys_read(L, 2, "keys", keys);
  if (keys_read(L, 2, "close_keys", close_keys) == options.key_count && options.key_count) options.close_keys = close_keys;
  options.from = number_field(L, 2, "from");
  options.to = number_field(L, 2, "to");
  options.step = number_field(L, 2, "step");
  options.budget = (size_t)number_field(L, 2, "budget");
  aggregation->budget = options.budget ? options.budget : LUN_BUDGET;
  lua_getfield(L, 2, "title");
  aggregation->title = luaL_checkstring(L, -1);
  if (lua_getfield(L, 2, "value") != LUA_TNIL) {
    value = reading_read(L);
    options.value = &value;
  }
  lua_pushvalue(L, 3);
  aggregation->anchor = session_anchor(L, session);
  if (lua_getfield(L, 2, "when") != LUA_TNIL) options.when = predicate_read(L, -1);
  if (lun_aggregate_create(&options, &aggregation->aggregate, &error) != LUN_OK) {
    session_unanchor(session, aggregation->anchor);
    lua_pushstring(L, error.message);
    lun_error_clear(&error);
    return lua_error(L);
  }
  aggregation->owned = session_own(session, aggregation->aggregate, drop);
  if (!aggregation->owned) {
    aggregation->aggregate = NULL;
    return luaL_error(L, "not enough memory");
  }
  lua_settop(L, 3);
  return 1;
}

/* (aggregation): whose script has gone; it is kept by those alone who still use it. */
int core_aggregate_forget(lua_State *L) {
  Aggregation *aggregation = self(L, 1);
  session_unanchor(aggregation->head.session, aggregation->anchor);
  aggregation->anchor = LUA_NOREF;
  return 0;
}

static int aggregation_gc(lua_State *L) {
  Aggregation *aggregation = object_to(L, 1, &aggregation_class);
  if (!aggregation) return 0;
  /* Held, it comes here at the end of the Lua state alone, before its session, which has yet to print it and frees it. */
  if (aggregation->anchor != LUA_NOREF && !aggregation->head.session->closed) return 0;
  session_give_up(aggregation->head.session, aggregation->owned);
  aggregation->owned = NULL;
  aggregation->aggregate = NULL;
  return 0;
}

/* ---- rows ---- */
static void datum_push(lua_State *L, const lun_datum *datum) {
  switch (datum->kind) {
  case LUN_DATUM_INTEGER: lua_pushinteger(L, (lua_Integer)datum->as.integer); break;
  case LUN_DATUM_NUMBER: lua_pushnumber(L, datum->as.number); break;
  case LUN_DATUM_TEXT: lua_pushstring(L, datum->as.text); break;
  default: lua_pushnil(L);
  }
}

static void datum_field(lua_State *L, const char *name, const lun_datum *datum) {
  datum_push(L, datum);
  lua_setfield(L, -2, name);
}

static void count_field(lua_State *L, const char *name, uint64_t count) {
  lua_pushinteger(L, (lua_Integer)count);
  lua_setfield(L, -2, name);
}

static void number_set(lua_State *L, const char *name, double number) {
  lua_pushnumber(L, number);
  lua_setfield(L, -2, name);
}

/* A bound of a bucket: of integers an integer. */
static void bound_set(lua_State *L, const char *name, double bound, bool are_integers) {
  lua_Integer integer;
  if (are_integers && lua_numbertointeger(bound, &integer)) {
    lua_pushinteger(L, integer);
    lua_setfield(L, -2, name);
  } else {
    number_set(L, name, bound);
  }
}

static void buckets_push(lua_State *L, const lun_aggregate *aggregate, size_t index, bool are_integers) {
  size_t count = lun_aggregate_buckets(aggregate, index, NULL, 0);
  lun_bucket *buckets = lua_newuserdatauv(L, count * sizeof *buckets + 1, 0);
  lun_aggregate_buckets(aggregate, index, buckets, count);
  lua_createtable(L, (int)count, 0);
  for (size_t i = 0; i < count; i++) {
    bool are_whole = are_integers && buckets[i].low == (double)(int64_t)buckets[i].low;
    lua_createtable(L, 0, 3);
    bound_set(L, "low", buckets[i].low, are_whole);
    bound_set(L, "high", buckets[i].high, are_whole);
    count_field(L, "count", buckets[i].count);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  lua_remove(L, -2);
}

static void tally_push(lua_State *L, lun_aggregate_kind kind, const lun_tally *tally) {
  lua_createtable(L, 0, 12);
  lua_createtable(L, (int)tally->key_count, 0);
  for (size_t i = 0; i < tally->key_count; i++) {
    datum_push(L, &tally->keys[i]);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  lua_setfield(L, -2, "keys");
  count_field(L, "calls", tally->count);
  if (kind == LUN_AGGREGATE_COUNT) return;
  if (kind == LUN_AGGREGATE_BALANCE) {
    count_field(L, "opened", tally->opened);
    count_field(L, "closed", tally->closed);
    return;
  }
  datum_field(L, "sum", &tally->sum);
  datum_field(L, "min", &tally->min);
  datum_field(L, "max", &tally->max);
  number_set(L, "avg", tally->mean);
  if (tally->nested_ns) count_field(L, "nested", tally->nested_ns);
  if (kind == LUN_AGGREGATE_STATS) number_set(L, "stddev", tally->deviation);
}

/* (aggregation) -> list of rows, with `number`, their place in the core */
int core_aggregate_rows(lua_State *L) {
  const lun_aggregate *aggregate = self(L, 1)->aggregate;
  lun_aggregate_kind kind = lun_aggregate_kind_of(aggregate);
  size_t count = lun_aggregate_count(aggregate);
  luaL_checkstack(L, 12, NULL);
  lua_createtable(L, count < 1000000 ? (int)count : 0, 0);
  for (size_t i = 0; i < count; i++) {
    lun_tally tally = lun_aggregate_tally(aggregate, i);
    tally_push(L, kind, &tally);
    if (kind == LUN_AGGREGATE_HIST || kind == LUN_AGGREGATE_LHIST) {
      buckets_push(L, aggregate, i, tally.sum.kind == LUN_DATUM_INTEGER);
      lua_setfield(L, -2, "buckets");
    }
    count_field(L, "number", i);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

int core_aggregate_total(lua_State *L) {
  const lun_aggregate *aggregate = self(L, 1)->aggregate;
  lun_tally tally = lun_aggregate_total(aggregate);
  tally_push(L, lun_aggregate_kind_of(aggregate), &tally);
  return 1;
}

/* (aggregation, row's number, q) -> value */
int core_aggregate_quantile(lua_State *L) {
  const lun_aggregate *aggregate = self(L, 1)->aggregate;
  size_t index = (size_t)luaL_checkinteger(L, 2);
  lun_datum value = { LUN_DATUM_NONE, { 0 } };
  if (index < lun_aggregate_count(aggregate)) value = lun_aggregate_quantile(aggregate, index, luaL_checknumber(L, 3));
  datum_push(L, &value);
  return 1;
}

int core_aggregate_spec(lua_State *L) {
  self(L, 1);
  lua_getiuservalue(L, 1, 2);
  return 1;
}

/* (aggregation, text): to its session's output. True, or nil, message, kind. */
int core_aggregate_write(lua_State *L) {
  Session *session = self(L, 1)->head.session;
  size_t size;
  const char *text = luaL_checklstring(L, 2, &size);
  lun_error error = LUN_ERROR_INIT;
  if (session_write(session, text, size, &error)) {
    lua_pushboolean(L, true);
    return 1;
  }
  lua_pushnil(L);
  lua_pushstring(L, error.kind == LUN_OK ? "the output could not be opened" : error.message);
  lua_pushstring(L, lun_status_name(error.kind == LUN_OK ? LUN_OUTPUT : error.kind));
  lun_error_clear(&error);
  return 3;
}

/* ---- the class ---- */
/* Calls lunette.aggregate's function of that name with all arguments; what it raises is raised where the method was called. */
static int call_lua(lua_State *L, const char *name) {
  int count = lua_gettop(L);
  self(L, 1);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_getfield(L, -1, "lunette.aggregate");
  lua_getfield(L, -1, name);
  lua_insert(L, 1);
  lua_settop(L, count + 1);
  if (lua_pcall(L, count, LUA_MULTRET, 0) == LUA_OK) return lua_gettop(L);
  if (lua_type(L, -1) != LUA_TSTRING) return lua_error(L);
  return luaL_error(L, "%s", lua_tostring(L, -1));
}

static int aggregation_print(lua_State *L) { return call_lua(L, "print"); }
static int aggregation_text(lua_State *L) { return call_lua(L, "text"); }
static int aggregation_table(lua_State *L) { return call_lua(L, "table"); }

static int aggregation_reset(lua_State *L) {
  lun_aggregate_reset(self(L, 1)->aggregate);
  return 0;
}

static int aggregation_merge(lua_State *L) {
  lun_aggregate *aggregate = self(L, 1)->aggregate;
  lun_error error = LUN_ERROR_INIT;
  if (lun_aggregate_merge(aggregate, self(L, 2)->aggregate, &error) == LUN_OK) {
    lua_settop(L, 1);
    return 1;
  }
  lua_pushstring(L, error.message);
  lun_error_clear(&error);
  return luaL_error(L, "merge: %s", lua_tostring(L, -1));
}

static int get_kind(lua_State *L) {
  self(L, 1);
  lua_getiuservalue(L, 1, 2);
  lua_getfield(L, -1, "shown");
  return 1;
}

static int get_rows(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)lun_aggregate_count(self(L, 1)->aggregate));
  return 1;
}

static int get_left_out(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)lun_aggregate_left_out(self(L, 1)->aggregate));
  return 1;
}

static int get_bytes(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)lun_aggregate_bytes(self(L, 1)->aggregate));
  return 1;
}

static int get_budget(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)self(L, 1)->budget);
  return 1;
}

static int aggregation_tostring(lua_State *L) {
  const Aggregation *aggregation = object_check_closed(L, 1, &aggregation_class);
  lua_pushfstring(L, "aggregation %s", aggregation->title);
  return 1;
}

static const Field fields[] = {
  { "kind", get_kind, NULL },   { "rows", get_rows, NULL },     { "left_out", get_left_out, NULL },
  { "bytes", get_bytes, NULL }, { "budget", get_budget, NULL }, { NULL, NULL, NULL },
};
static const luaL_Reg methods[] = {
  { "print", aggregation_print }, { "text", aggregation_text },   { "table", aggregation_table },
  { "reset", aggregation_reset }, { "merge", aggregation_merge }, { NULL, NULL },
};
static const luaL_Reg metamethods[] = { { "__gc", aggregation_gc }, { "__tostring", aggregation_tostring }, { NULL, NULL } };
const Class aggregation_class = { "aggregation", 2, fields, methods, metamethods, NULL, NULL };
