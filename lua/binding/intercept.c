/* SPDX-License-Identifier: MIT */
/* Interceptors written in Lua: {params=, results=}, or a function that stands in place of the call and may say call:proceed.
 *
 * All that may raise, values included, runs inside one lua_pcall. What the function in place of a call raises on purpose, an
 * err or an exception, is how the call ends; any other error is its own failure, which the attachment's on_error is for. */
#include "attachment.h"

typedef struct Asking {
  Listener *listener;
  int function;             /* anchor */
  CallBox *box;
  const lun_definition *definition;
  const lun_type *types;    /* what it is given */
  uint32_t count;
  const uint64_t *given;
  const lun_type *answer_types;
  uint32_t answer_count;
  uint64_t *answer;
  const char *what;         /* "param" or "result": that the answer is made of */
  bool may_be_silent;       /* no answer: as they are */
  Phase phase;
  lun_status outcome;       /* not LUN_OK: `error` was raised on purpose */
  lun_error *error;
} Asking;

static int wrong(lua_State *L, const Asking *asking, const char *text) {
  lua_Debug info;
  session_anchors(L, asking->listener->attachment->head.session);
  lua_rawgeti(L, -1, asking->function);
  lua_getinfo(L, ">S", &info);
  return luaL_error(L, "%s:%d: the interceptor of %s: %s", info.short_src, info.linedefined,
                    lun_definition_name(asking->definition), text);
}

/* What was returned lies from `first` to the top. */
static void take_answer(lua_State *L, const Asking *asking, int first) {
  Session *session = asking->listener->attachment->head.session;
  int count = lua_gettop(L) - first + 1;
  uint64_t *at = asking->answer;
  char text[LUN_TYPE_TEXT];
  if (count == 0 && asking->may_be_silent) return;
  if (count != (int)asking->answer_count)
    wrong(L, asking, lua_pushfstring(L, "it gave %d %ss, the type has %d", count, asking->what, (int)asking->answer_count));
  luaL_checkstack(L, 8, NULL);
  for (uint32_t i = 0; i < asking->answer_count; i++) {
    lun_type type = asking->answer_types[i];
    if (!value_to(L, session, first + (int)i, type, at))
      wrong(L, asking, lua_pushfstring(L, "%s %d must be %s, not %s", asking->what, (int)i + 1,
                                       lun_type_text(type, text, sizeof text), value_kind(L, first + (int)i, type)));
    at += lun_type_slots(type);
  }
}

/* Upvalue 1 is the session. */
static int handle(lua_State *L) {
  Session *session = object_to(L, lua_upvalueindex(1), &session_class);
  return error_is_outcome(L, session, 1) ? error_host_handler(L) : error_text_handler(L);
}

/* (asking) -> the err that was raised on purpose, or nothing */
static int ask_inside(lua_State *L) {
  Asking *asking = lua_touserdata(L, 1);
  Session *session = asking->listener->attachment->head.session;
  luaL_checkstack(L, (int)asking->count + 12, "too many values");
  session_push(L, session);
  lua_pushcclosure(L, handle, 1);
  session_anchors(L, session);
  lua_rawgeti(L, 3, asking->function);
  lua_rawgeti(L, 3, asking->box->anchor);
  lua_remove(L, 3);
  values_push(L, session, asking->types, asking->count, asking->given);
  if (lua_pcall(L, (int)asking->count + 1, LUA_MULTRET, 2) == LUA_OK) {
    take_answer(L, asking, 3);
    return 0;
  }
  if (asking->error && object_to(L, -1, &error_class)) return 1;
  if (object_to(L, -1, &error_class)) luaL_error(L, "%s", luaL_tolstring(L, -1, NULL));
  return lua_error(L);
}

/* With traceback as it is, where there is one. */
static int as_text(lua_State *L) {
  if (lua_type(L, 1) != LUA_TSTRING) return error_text_handler(L);
  return 1;
}

static void ask(lun_call *call, Asking *asking) {
  Attachment *attachment = asking->listener->attachment;
  Session *session = attachment->head.session;
  lua_State *L = session->L;
  Context outer = session->context;
  int base = lua_gettop(L), status;
  asking->box = box_take(session, &attachment->boxes);
  if (!asking->box || !lua_checkstack(L, 8)) {
    if (asking->box) box_put(session, &attachment->boxes, asking->box);
    lun_call_fail(call, "not enough memory for a call object");
    return;
  }
  attachment->calls++;
  session->context = CONTEXT_LISTENER;
  box_begin(asking->box, call, asking->phase, asking->given);
  lua_pushcfunction(L, as_text);
  lua_pushcfunction(L, ask_inside);
  lua_pushlightuserdata(L, asking);
  status = budget_pcall(session, L, 1, 1, base + 1);
  box_end(asking->box);
  box_put(session, &attachment->boxes, asking->box);
  session->context = outer;
  if (status != LUA_OK) listener_fail(asking->listener, call);
  else if (object_to(L, -1, &error_class)) asking->outcome = error_from_host(L, session, asking->error);
  lua_settop(L, base);
}

static Asking asking_of(Listener *listener, const lun_call *call) {
  const lun_definition *definition = lun_call_definition(call);
  const lun_signature *signature = lun_definition_signature(definition);
  return (Asking){ .listener = listener, .definition = definition, .types = signature->params, .count = signature->param_count,
                   .answer_types = signature->results, .answer_count = signature->result_count, .what = "result" };
}

static lun_status stand_in(void *self, lun_call *call, const uint64_t *params, uint64_t *results, lun_error *error) {
  Listener *listener = self;
  Asking asking = asking_of(listener, call);
  asking.function = listener->call;
  asking.given = params;
  asking.answer = results;
  asking.error = error;
  ask(call, &asking);
  return asking.outcome;
}

static void change_params(void *self, lun_call *call, uint64_t *params) {
  Listener *listener = self;
  Asking asking = asking_of(listener, call);
  asking.function = listener->params;
  asking.given = asking.answer = params;
  asking.answer_types = asking.types;
  asking.answer_count = asking.count;
  asking.what = "param";
  asking.may_be_silent = true;
  ask(call, &asking);
}

static void change_results(void *self, lun_call *call, uint64_t *results) {
  Listener *listener = self;
  if (listener->results == LUA_NOREF) return; /* it has exceeded its budget */
  Asking asking = asking_of(listener, call);
  asking.function = listener->results;
  asking.given = asking.answer = results;
  asking.types = asking.answer_types;
  asking.count = asking.answer_count;
  asking.phase = PHASE_AFTER;
  asking.may_be_silent = true;
  ask(call, &asking);
}

const lun_interceptor *interceptor_kind(const Listener *listener) {
  static const lun_interceptor whole = { stand_in, NULL, NULL };
  static const lun_interceptor params = { NULL, change_params, NULL };
  static const lun_interceptor results = { NULL, NULL, change_results };
  static const lun_interceptor both = { NULL, change_params, change_results };
  if (listener->call != LUA_NOREF) return &whole;
  if (listener->results == LUA_NOREF) return &params;
  return listener->params == LUA_NOREF ? &results : &both;
}

/* ---- what the call object offers ---- */
/* call:proceed(params…) -> results; with none given, the params are as they were. */
int call_proceed(lua_State *L) {
  CallBox *box = box_check(L);
  Session *session = box->head.session;
  const lun_definition *definition = lun_call_definition(box->call);
  const lun_signature *signature = lun_definition_signature(definition);
  uint32_t param_slots = slots_count(signature->params, signature->param_count);
  uint32_t result_slots = slots_count(signature->results, signature->result_count);
  int given = lua_gettop(L) - 1;
  char text[LUN_TYPE_TEXT];
  lun_error error = LUN_ERROR_INIT;
  Entry entry;
  if (given != 0 && given != (int)signature->param_count)
    return luaL_error(L, "%s takes %d values, got %d", lun_definition_name(definition), (int)signature->param_count, given);
  luaL_checkstack(L, (int)signature->result_count + 12, "too many results");
  uint64_t *slots = lua_newuserdatauv(L, ((size_t)param_slots + result_slots + 1) * sizeof *slots, 0), *at = slots;
  for (int i = 0; i < given; i++) {
    lun_type type = signature->params[i];
    if (!value_to(L, session, i + 2, type, at))
      return luaL_error(L, "%s: value %d must be %s, not %s", lun_definition_name(definition), i + 1,
                        lun_type_text(type, text, sizeof text), value_kind(L, i + 2, type));
    at += lun_type_slots(type);
  }
  session_enter(L, session, &entry);
  if (lun_call_proceed(box->call, given > 0 ? slots : NULL, slots + param_slots, &error) != LUN_OK)
    return session_fail(L, session, &entry, &error);
  session_leave(session, &entry);
  values_push(L, session, signature->results, signature->result_count, slots + param_slots);
  return (int)signature->result_count;
}

/* nil where nobody intercepts it, else "unchanged", or what was replaced: "params, results" … */
int call_intercepted(lua_State *L) {
  unsigned flags = lun_call_intercepted(box_check(L)->call);
  static const struct { unsigned flag; const char *name; } names[] = {
    { LUN_INTERCEPTED_PARAMS, "params" }, { LUN_INTERCEPTED_RESULTS, "results" }, { LUN_INTERCEPTED_CALL, "call" },
  };
  const char *text = NULL;
  if (!flags) return 0;
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (flags & names[i].flag) text = text ? lua_pushfstring(L, "%s, %s", text, names[i].name) : names[i].name;
  lua_pushstring(L, text ? text : "unchanged");
  return 1;
}
