/* SPDX-License-Identifier: MIT */
/* Attaching from Lua, and the attachment class.
 *
 * An attachment has members, each a Lua factory or a where with its listener; the engine asks them which listener a
 * definition gets. What they answer is looked up by the Lua value, so that one listener stays one, and muting it mutes it
 * everywhere. The userdata is anchored until the engine lets go: forgetting the handle detaches nothing. */
#include <stdlib.h>
#include <string.h>

#include "attachment.h"
#include "loop.h"

/* ---- listeners ---- */
static int field_anchor(lua_State *L, Session *session, int index, const char *name) {
  switch (lua_getfield(L, index, name)) {
  case LUA_TFUNCTION:
    return session_anchor(L, session);
  case LUA_TNIL:
    lua_pop(L, 1);
    return LUA_NOREF;
  default:
    return luaL_error(L, "a listener's %s must be a function, got %s", name, luaL_typename(L, -1));
  }
}

static int no_callbacks(lua_State *L, int index) {
  static const char *const names[] = { "before", "after", "abort" };
  for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
    const char *nearest = lua_type(L, -2) == LUA_TSTRING ? lun_nearest(lua_tostring(L, -2), names, 3) : NULL;
    if (nearest) return luaL_error(L, "a listener has no '%s'; did you mean '%s'?", lua_tostring(L, -2), nearest);
  }
  return luaL_error(L, "a listener needs one of before, after, abort");
}

static int too_late_for_before(lua_State *L) {
  return luaL_error(L, "a where with min_time, or with a when that reads a result or a time, is judged when a call ends: "
                    "its listener can't have a before");
}

static void read_callbacks(lua_State *L, Attachment *attachment, Listener *listener, int index) {
  Session *session = attachment->head.session;
  if (lua_type(L, index) == LUA_TFUNCTION) {
    if (attachment->is_late) too_late_for_before(L);
    lua_pushvalue(L, index);
    listener->before = session_anchor(L, session);
    return;
  }
  listener->before = field_anchor(L, session, index, "before");
  listener->after = field_anchor(L, session, index, "after");
  listener->abort = field_anchor(L, session, index, "abort");
  if (listener->before == LUA_NOREF && listener->after == LUA_NOREF && listener->abort == LUA_NOREF) no_callbacks(L, index);
  if (listener->before != LUA_NOREF && attachment->is_late) too_late_for_before(L);
}

static void read_interceptor(lua_State *L, Attachment *attachment, Listener *listener, int index) {
  static const char *const names[] = { "params", "results" };
  Session *session = attachment->head.session;
  if (attachment->is_late)
    luaL_error(L, "who intercepts a call is known before it: its where can't ask for min_time, nor by when for a result or "
               "a time");
  if (lua_type(L, index) == LUA_TFUNCTION) {
    lua_pushvalue(L, index);
    listener->call = session_anchor(L, session);
    return;
  }
  for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
    const char *key = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "?", *nearest = lun_nearest(key, names, 2);
    if (strcmp(key, names[0]) == 0 || strcmp(key, names[1]) == 0) continue;
    luaL_error(L, nearest ? "an interceptor has no '%s'; did you mean '%s'?" : "an interceptor has no '%s'", key, nearest);
  }
  listener->params = field_anchor(L, session, index, "params");
  listener->results = field_anchor(L, session, index, "results");
  if (listener->params == LUA_NOREF && listener->results == LUA_NOREF) luaL_error(L, "an interceptor needs params or results");
}

static Listener *listener_new(lua_State *L, Attachment *attachment) {
  Listener *listener = calloc(1, sizeof *listener);
  if (!listener) luaL_error(L, "not enough memory");
  listener->attachment = attachment;
  listener->before = listener->after = listener->abort = LUA_NOREF;
  listener->call = listener->params = listener->results = listener->change = LUA_NOREF;
  listener->next = attachment->listeners;
  attachment->listeners = listener; /* from here on it goes with the attachment, whatever raises */
  return listener;
}

static bool is_listener(lua_State *L, int index) {
  return lua_type(L, index) == LUA_TFUNCTION || lua_type(L, index) == LUA_TTABLE || aggregation_to(L, index);
}

/* The listener of the Lua value at `index`, a function or a table. Raises. */
static Listener *listener_of(lua_State *L, Attachment *attachment, int index) {
  Listener *listener;
  session_anchors(L, attachment->head.session);
  lua_rawgeti(L, -1, attachment->known);
  lua_pushvalue(L, index);
  if (lua_rawget(L, -2) == LUA_TLIGHTUSERDATA) {
    listener = lua_touserdata(L, -1);
    lua_pop(L, 3);
    return listener;
  }
  lua_pop(L, 1);
  listener = listener_new(L, attachment);
  if (attachment->watches) {
    lua_pushvalue(L, index);
    listener->change = session_anchor(L, attachment->head.session);
  } else {
    (attachment->intercepts ? read_interceptor : read_callbacks)(L, attachment, listener, index);
  }
  lua_pushvalue(L, index);
  lua_pushlightuserdata(L, listener);
  lua_rawset(L, -3);
  lua_pop(L, 2);
  return listener;
}

/* ---- asking ---- */
typedef struct Asking {
  Member *member;
  const lun_definition *definition;
  lun_instance *instance;
  lun_choice answer;
} Asking;

/* The factory is on top of L. */
static int wrong_answer(lua_State *L, const lun_definition *definition, const char *got) {
  lua_Debug info;
  lua_getinfo(L, ">S", &info);
  return luaL_error(L, "%s:%d: factory must return a listener or nil, got %s (for %s, #%d)", info.short_src,
                    info.linedefined, got, lun_definition_name(definition), (int)lun_definition_index(definition));
}

/* An aggregation answers: by lun_aggregate_choose. Raises. */
static void answer_aggregate(lua_State *L, Asking *asking, lun_aggregate *aggregate) {
  const Attachment *attachment = asking->member->attachment;
  lun_attach_options needs = { .params = false };
  lun_error error = LUN_ERROR_INIT;
  lun_aggregate_needs(aggregate, &needs);
  if (needs.time && !attachment->has_time) luaL_error(L, "this aggregation takes times: the factory needs the option time=true");
  if (needs.params && !attachment->has_params)
    luaL_error(L, "this aggregation reads arguments at the end of calls: the factory needs the option params=true");
  unsigned flags = (asking->member->closing ? LUN_AGGREGATE_CLOSING : 0) | (attachment->is_late ? LUN_AGGREGATE_LATE : 0);
  if (lun_aggregate_choose(aggregate, asking->instance, asking->definition, flags, &asking->answer, &error) == LUN_OK) return;
  lua_pushstring(L, error.message);
  lun_error_clear(&error);
  lua_error(L);
}

static void answer_listener(Asking *asking, Listener *listener) {
  asking->answer = (lun_choice){ asking->member->is_only ? NULL : listener_kind(listener), listener };
}

/* What a factory has answered stays as long as the attachment does. */
static void keep_known(lua_State *L, const Attachment *attachment, int index) {
  session_anchors(L, attachment->head.session);
  lua_rawgeti(L, -1, attachment->known);
  lua_pushvalue(L, index);
  lua_pushboolean(L, true);
  lua_rawset(L, -3);
  lua_pop(L, 2);
}

static int ask_inside(lua_State *L) {
  Asking *asking = lua_touserdata(L, 1);
  const Member *member = asking->member;
  Session *session = member->attachment->head.session;
  session_anchors(L, session);
  if (member->where != LUA_NOREF && !member->compiled) {
    lua_rawgeti(L, 2, member->where);
    if (!where_wants(L, 3, session, asking->definition)) return 0;
    lua_pop(L, 1);
  }
  if (member->aggregate) {
    answer_aggregate(L, asking, member->aggregate);
    return 0;
  }
  if (member->listener) {
    answer_listener(asking, member->listener);
    return 0;
  }
  lua_rawgeti(L, 2, member->factory);
  definition_push(L, session, asking->definition);
  lua_call(L, 1, 1);
  if (!lua_toboolean(L, 3)) return 0;
  if (!is_listener(L, 3)) {
    const char *got = luaL_typename(L, 3);
    lua_rawgeti(L, 2, member->factory);
    return wrong_answer(L, asking->definition, got);
  }
  if (aggregation_to(L, 3)) {
    keep_known(L, member->attachment, 3);
    answer_aggregate(L, asking, aggregation_to(L, 3));
  } else {
    answer_listener(asking, listener_of(L, member->attachment, 3));
  }
  return 0;
}

/* The error on top: kept for the one who attaches, told to everybody when an instance is made later. */
static void asked_in_vain(lua_State *L, Attachment *attachment) {
  Session *session = attachment->head.session;
  const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "a factory failed";
  if (attachment->attaching) {
    session_anchors(L, session);
    lua_insert(L, -2);
    lua_rawseti(L, -2, attachment->problem); /* the place is there: needs no memory */
    lua_pop(L, 1);
  } else {
    if (!attachment->has_problem) session_message(session, text);
    session_fail_run(session, text);
    lua_pop(L, 1);
  }
  attachment->has_problem = true;
}

static lun_choice ask(void *context, const lun_definition *definition, lun_instance *instance) {
  static const lun_choice none = { NULL, NULL };
  Asking asking = { context, definition, instance, none };
  Attachment *attachment = asking.member->attachment;
  lua_State *L = attachment->head.session->L;
  Context outer = attachment->head.session->context;
  int status, base;
  if ((attachment->attaching || attachment->is_spent) && attachment->has_problem) return none;
  /* One that says of itself where it listens is put to work without a step into Lua. */
  if (asking.member->compiled && !where_matches(asking.member->compiled, definition)) return none;
  if (asking.member->listener && (asking.member->compiled || asking.member->where == LUA_NOREF)) {
    answer_listener(&asking, asking.member->listener);
    return asking.answer;
  }
  if (!lua_checkstack(L, 10)) return none;
  base = lua_gettop(L) + 1;
  lua_pushcfunction(L, error_text_handler);
  lua_pushcfunction(L, ask_inside);
  lua_pushlightuserdata(L, &asking);
  attachment->head.session->context = CONTEXT_LISTENER;
  status = budget_pcall_shared(attachment->head.session, L, 1, 0, attachment->attaching ? 0 : base);
  attachment->head.session->context = outer;
  if (status != LUA_OK) {
    attachment->is_spent = budget_was_exceeded(attachment->head.session);
    asked_in_vain(L, attachment);
  }
  lua_settop(L, base - 1);
  return status == LUA_OK ? asking.answer : none;
}

Listener *attachment_asked(Attachment *attachment, const lun_definition *definition, lun_instance *instance) {
  return ask(&attachment->members[0], definition, instance).self;
}

static lun_intercept_choice ask_interceptor(void *context, const lun_definition *definition, lun_instance *instance) {
  Listener *listener = attachment_asked(context, definition, instance);
  return (lun_intercept_choice){ listener ? interceptor_kind(listener) : NULL, listener };
}

/* ---- the end ---- */
static void release(void *context) {
  Attachment *attachment = context;
  Session *session = attachment->head.session;
  if (attachment->released) return;
  attachment->released = true;
  attachment->handle = NULL;
  box_pool_clear(session, &attachment->boxes);
  for (Listener *listener = attachment->listeners, *next; listener; listener = next) {
    next = listener->next;
    session_unanchor(session, listener->before);
    session_unanchor(session, listener->after);
    session_unanchor(session, listener->abort);
    session_unanchor(session, listener->call);
    session_unanchor(session, listener->change);
    session_unanchor(session, listener->params);
    session_unanchor(session, listener->results);
    free(listener->failure);
    free(listener);
  }
  attachment->listeners = NULL;
  for (size_t i = 0; i < attachment->member_count; i++) {
    session_unanchor(session, attachment->members[i].where);
    session_unanchor(session, attachment->members[i].factory);
    lun_aggregate_destroy(attachment->members[i].aggregate);
  }
  free(attachment->members);
  call_where_drop(attachment->asked);
  attachment->asked = NULL;
  attachment->members = NULL;
  attachment->member_count = 0;
  session_unanchor(session, attachment->on_error);
  session_unanchor(session, attachment->known);
  session_unanchor(session, attachment->problem);
  session_unanchor(session, attachment->self);
}

/* ---- attaching ---- */
static void check_options(lua_State *L, int index) {
  static const char *const names[] = { "name", "on_error", "params", "reentrant", "time" };
  for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
    const char *key = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "?", *nearest;
    bool known = false;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) known = known || strcmp(key, names[i]) == 0;
    if (known) continue;
    nearest = lun_nearest(key, names, sizeof names / sizeof *names);
    luaL_error(L, nearest ? "no such option: %s; did you mean '%s'?" : "no such option: %s", key, nearest);
  }
}

static lun_on_error on_error_of(lua_State *L, int index, Attachment *attachment) {
  const char *text;
  switch (lua_getfield(L, index, "on_error")) {
  case LUA_TNIL:
    lua_pop(L, 1);
    return attachment->head.session->strict ? LUN_ON_ERROR_STOP : LUN_ON_ERROR_REPORT;
  case LUA_TFUNCTION:
    attachment->on_error = session_anchor(L, attachment->head.session);
    return LUN_ON_ERROR_REPORT;
  default:
    text = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "";
    lua_pop(L, 1);
    if (strcmp(text, "stop") == 0) return LUN_ON_ERROR_STOP;
    if (strcmp(text, "report") != 0) luaL_error(L, "on_error must be \"report\", \"stop\" or a function");
    return LUN_ON_ERROR_REPORT;
  }
}

static bool option(lua_State *L, int index, const char *name) {
  bool value;
  lua_getfield(L, index, name);
  value = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return value;
}

/* What the where on top asks of calls is the attachment's: all members have the same where. */
static void take_calls(lua_State *L, Attachment *attachment) {
  if (attachment->asked || !where_calls(L, -1)) return;
  attachment->asked = where_calls(L, -1);
  attachment->asked->holders++;
  attachment->is_late = lun_condition_is_late(&attachment->asked->condition);
}

/* Reads {where=, factory=} or {where=, listener=}, on top of L. */
static void read_member(lua_State *L, Member *member) {
  int index = lua_gettop(L);
  Session *session = member->attachment->head.session;
  if (lua_getfield(L, index, "where") != LUA_TNIL) {
    take_calls(L, member->attachment);
    member->compiled = where_compiled(L, -1);
    member->where = session_anchor(L, session);
  }
  if (lua_getfield(L, index, "interceptor") != LUA_TNIL) {
    if (lua_type(L, -1) != LUA_TFUNCTION && lua_type(L, -1) != LUA_TTABLE)
      luaL_error(L, "an interceptor (a function, or a table with params, results) expected, got %s", luaL_typename(L, -1));
    member->attachment->intercepts = member->is_only = true;
    member->listener = listener_of(L, member->attachment, lua_gettop(L));
  } else if (lua_getfield(L, index, "change") != LUA_TNIL) {
    member->attachment->watches = member->is_only = true;
    lua_getfield(L, index, "target");
    change_read_target(L, session, lua_gettop(L), &member->attachment->target);
    member->listener = listener_of(L, member->attachment, lua_gettop(L) - 1);
  } else if (lua_getfield(L, index, "factory") != LUA_TNIL) {
    if (lua_type(L, -1) != LUA_TFUNCTION) luaL_error(L, "a factory (a function) expected, got %s", luaL_typename(L, -1));
    member->factory = session_anchor(L, session);
  } else {
    lua_getfield(L, index, "listener");
    if (!is_listener(L, -1))
      luaL_error(L, "a listener (a function, an aggregation, or a table with before, after, abort) expected, got %s",
                 luaL_typename(L, -1));
    member->aggregate = aggregation_to(L, -1);
    if (member->aggregate) {
      lun_aggregate_retain(member->aggregate);
      keep_known(L, member->attachment, lua_gettop(L)); /* it may tell that it is full */
    } else member->listener = listener_of(L, member->attachment, lua_gettop(L));
    member->closing = option(L, index, "closing");
  }
  lua_settop(L, index);
}

static void read_members(lua_State *L, Attachment *attachment, int index) {
  size_t count = (size_t)list_length(L, index, "members");
  attachment->members = calloc(count + 1, sizeof *attachment->members);
  if (!attachment->members) luaL_error(L, "not enough memory");
  for (size_t i = 0; i < count; i++) {
    Member *member = &attachment->members[i];
    *member = (Member){ .attachment = attachment, .where = LUA_NOREF, .factory = LUA_NOREF };
    attachment->member_count = i + 1;
    lua_rawgeti(L, index, (lua_Integer)i + 1);
    read_member(L, member);
    lua_pop(L, 1);
  }
}

/* (attachment, members, options, out): all that may raise before the engine is asked. */
static int prepare(lua_State *L) {
  Attachment *attachment = lua_touserdata(L, 1);
  lun_attach_options *options = lua_touserdata(L, 4);
  Session *session = attachment->head.session;
  lua_pushvalue(L, 1);
  attachment->self = session_anchor(L, session);
  lua_pushboolean(L, false);
  attachment->problem = session_anchor(L, session);
  lua_newtable(L);
  attachment->known = session_anchor(L, session);
  read_members(L, attachment, 2);
  check_options(L, 3);
  options->on_error = on_error_of(L, 3, attachment);
  attachment->stops = options->on_error == LUN_ON_ERROR_STOP;
  options->params = option(L, 3, "params");
  options->reentrant = option(L, 3, "reentrant");
  options->time = option(L, 3, "time");
  if (attachment->asked) options->condition = &attachment->asked->condition;
  for (size_t i = 0; i < attachment->member_count; i++)
    if (attachment->members[i].aggregate) lun_aggregate_needs(attachment->members[i].aggregate, options);
  attachment->has_params = options->params;
  attachment->has_time = options->time;
  lua_getfield(L, 3, "name");
  options->name = luaL_optstring(L, -1, NULL); /* the table keeps it */
  lua_setiuservalue(L, 1, 2);
  return 0;
}

static lun_status attach_members(Attachment *attachment, const lun_attach_options *options, lun_error *error) {
  lun_store *store = attachment->head.session->store;
  lun_factory_entry *entries = calloc(attachment->member_count + 1, sizeof *entries);
  lun_status status;
  if (!entries) return lun_error_set(error, LUN_NO_MEMORY, "out of memory");
  for (size_t i = 0; i < attachment->member_count; i++) entries[i] = (lun_factory_entry){ ask, &attachment->members[i] };
  status = lun_store_attach_multi(store, entries, attachment->member_count, attachment, options, &attachment->handle, error);
  free(entries);
  return status;
}

static bool attach(lua_State *L, Attachment *attachment, const lun_attach_options *options, lun_error *error) {
  Session *session = attachment->head.session;
  lua_State *outer = session->L;
  lun_status status;
  session->L = L;
  attachment->attaching = true;
  status = attachment->watches ? change_attach(attachment, options, error)
           : attachment->intercepts
             ? lun_store_intercept(session->store, ask_interceptor, attachment, options, &attachment->handle, error)
             : attach_members(attachment, options, error);
  attachment->attaching = false;
  session->L = outer;
  return status == LUN_OK;
}

/* (session, members, options) -> attachment */
int core_attach(lua_State *L) {
  Session *session = session_check(L, 1);
  lun_attach_options options = { .report = listener_report, .release = release };
  lun_error error = LUN_ERROR_INIT;
  Attachment *attachment;
  luaL_checktype(L, 2, LUA_TTABLE);
  luaL_checktype(L, 3, LUA_TTABLE);
  lua_settop(L, 3);
  luaL_checkstack(L, 30, NULL);
  if (session->strict && session->is_loan) loop_open(L, session); /* what a factory's failure ends the run by */
  attachment = object_new(L, &attachment_class, session, sizeof *attachment);
  attachment->self = attachment->problem = attachment->known = attachment->on_error = LUA_NOREF;
  lua_pushcfunction(L, prepare);
  lua_pushvalue(L, 4);
  lua_pushvalue(L, 2);
  lua_pushvalue(L, 3);
  lua_pushlightuserdata(L, &options);
  if (lua_pcall(L, 4, 0, 0) != LUA_OK) {
    release(attachment);
    return lua_error(L);
  }
  if (!attach(L, attachment, &options, &error)) {
    release(attachment);
    return error_raise(L, session, &error);
  }
  if (!attachment->has_problem) return 1;
  attachment->has_problem = false;
  session_anchors(L, session);
  lua_rawgeti(L, -1, attachment->problem);
  lun_attachment_detach(attachment->handle, LUN_DROP);
  attachment->handle = NULL;
  return lua_error(L);
}

/* ---- the class ---- */
static Attachment *self(lua_State *L) {
  return object_check(L, 1, &attachment_class);
}

static int get_name(lua_State *L) {
  object_check_closed(L, 1, &attachment_class);
  lua_getiuservalue(L, 1, 2);
  return 1;
}

static int get_functions(lua_State *L) {
  const Attachment *attachment = self(L);
  lua_pushinteger(L, (lua_Integer)(attachment->handle ? lun_attachment_functions(attachment->handle) : 0));
  return 1;
}

static int get_calls(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)self(L)->calls);
  return 1;
}

static int get_errors(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)self(L)->errors);
  return 1;
}

static int get_muted(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)self(L)->muted);
  return 1;
}

static int get_detached(lua_State *L) {
  const Attachment *attachment = object_check_closed(L, 1, &attachment_class);
  lua_pushboolean(L, !attachment->handle);
  return 1;
}

/* attachment:detach([{drop=true}]) */
static int attachment_detach(lua_State *L) {
  Attachment *attachment = self(L);
  lun_attachment *handle = attachment->handle;
  bool drop = false;
  if (!lua_isnoneornil(L, 2)) {
    luaL_checktype(L, 2, LUA_TTABLE);
    drop = option(L, 2, "drop");
  }
  if (!handle) return 0;
  attachment->handle = NULL;
  lun_attachment_detach(handle, drop ? LUN_DROP : 0);
  return 0;
}

static int pause_set(lua_State *L, bool pause) {
  const Attachment *attachment = self(L);
  if (attachment->handle) lun_attachment_pause(attachment->handle, pause);
  return 0;
}

static int attachment_pause(lua_State *L) {
  return pause_set(L, true);
}

static int attachment_resume(lua_State *L) {
  return pause_set(L, false);
}

static int attachment_tostring(lua_State *L) {
  const Attachment *attachment = object_check_closed(L, 1, &attachment_class);
  lua_getiuservalue(L, 1, 2);
  lua_pushfstring(L, "attachment %s%s", lua_isstring(L, -1) ? lua_tostring(L, -1) : "",
                  attachment->handle ? "" : " (detached)");
  return 1;
}

static const Field fields[] = {
  { "name", get_name, NULL },     { "functions", get_functions, NULL }, { "calls", get_calls, NULL },
  { "errors", get_errors, NULL }, { "muted", get_muted, NULL },         { "detached", get_detached, NULL },
  { NULL, NULL, NULL },
};
static const luaL_Reg methods[] = {
  { "detach", attachment_detach }, { "pause", attachment_pause }, { "resume", attachment_resume }, { NULL, NULL },
};
static const luaL_Reg metamethods[] = { { "__tostring", attachment_tostring }, { NULL, NULL } };
const Class attachment_class = { "attachment", 2, fields, methods, metamethods, NULL, NULL };
