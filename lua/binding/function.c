/* SPDX-License-Identifier: MIT */
/* Functions: calling the guest. Values are read before the engine is entered and pushed after it has been left, so that
 * no Lua error crosses a run. */
#include "objects.h"

enum { SLOTS_AT_HAND = 32 };

void function_push(lua_State *L, Session *session, lun_function *function) {
  handle_push(L, session, CACHE_FUNCTION, &function_class, function);
}

lun_function *function_check(lua_State *L, int index) {
  return ((Handle *)object_check(L, index, &function_class))->pointer;
}

static Session *session_of(lua_State *L) {
  return ((Handle *)object_to(L, 1, &function_class))->head.session;
}

/* Room for the params and the results side by side: `at_hand`, or a userdata on the stack. */
static uint64_t *slots_room(lua_State *L, uint64_t *at_hand, uint32_t params, uint32_t results) {
  if (params + results <= SLOTS_AT_HAND) return at_hand;
  return lua_newuserdatauv(L, ((size_t)params + results) * sizeof(uint64_t), 0);
}

static void run(lua_State *L, Session *session, lun_function *function, const uint64_t *params, uint64_t *results) {
  lun_error error = LUN_ERROR_INIT;
  Entry entry;
  session_enter(L, session, &entry);
  if (lun_function_invoke(function, params, results, &error) != LUN_OK) session_fail(L, session, &entry, &error);
  session_leave(session, &entry);
}

static void check_count(lua_State *L, const lun_definition *definition, int given, uint32_t wanted, const char *what) {
  if (given != (int)wanted)
    luaL_error(L, "%s takes %d %s, got %d", lun_definition_name(definition), (int)wanted, what, given);
}

int function_call(lua_State *L, Session *session, lun_function *function, int first) {
  const lun_definition *definition = lun_function_definition(function);
  const lun_signature *signature = lun_definition_signature(definition);
  uint32_t param_slots = slots_count(signature->params, signature->param_count);
  uint32_t result_slots = slots_count(signature->results, signature->result_count);
  uint64_t at_hand[SLOTS_AT_HAND], *slots, *at;
  char text[LUN_TYPE_TEXT];
  check_count(L, definition, lua_gettop(L) - first + 1, signature->param_count,
              signature->param_count == 1 ? "value" : "values");
  luaL_checkstack(L, (int)signature->result_count + 12, "too many results");
  at = slots = slots_room(L, at_hand, param_slots, result_slots);
  for (uint32_t i = 0; i < signature->param_count; i++) {
    if (!value_to(L, session, first + (int)i, signature->params[i], at))
      return luaL_error(L, "%s: value %d must be %s, not %s", lun_definition_name(definition), (int)i + 1,
                        lun_type_text(signature->params[i], text, sizeof text), value_kind(L, first + (int)i, signature->params[i]));
    at += lun_type_slots(signature->params[i]);
  }
  run(L, session, function, slots, slots + param_slots);
  values_push(L, session, signature->results, signature->result_count, slots + param_slots);
  return (int)signature->result_count;
}

static int function_invoke(lua_State *L) {
  lun_function *function = function_check(L, 1);
  return function_call(L, session_of(L), function, 2);
}

/* Raw integers, one for each slot. */
static int function_invoke_bits(lua_State *L) {
  lun_function *function = function_check(L, 1);
  const lun_definition *definition = lun_function_definition(function);
  const lun_signature *signature = lun_definition_signature(definition);
  uint32_t param_slots = slots_count(signature->params, signature->param_count);
  uint32_t result_slots = slots_count(signature->results, signature->result_count);
  uint64_t at_hand[SLOTS_AT_HAND], *slots;
  check_count(L, definition, lua_gettop(L) - 1, param_slots, param_slots == 1 ? "slot" : "slots");
  for (uint32_t i = 0, slot = 0; i < signature->param_count; slot += lun_type_slots(signature->params[i++])) {
    if (lun_type_top(signature->params[i]) == LUN_FUNCREF)
      luaL_argcheck(L, luaL_checkinteger(L, (int)slot + 2) == 0, (int)slot + 2, "a funcref can't be made from bits");
  }
  luaL_checkstack(L, (int)result_slots + 12, "too many results");
  slots = slots_room(L, at_hand, param_slots, result_slots);
  for (uint32_t i = 0, slot = 0; i < signature->param_count; i++) {
    bool narrow = signature->params[i] == LUN_I32 || signature->params[i] == LUN_F32;
    for (uint32_t n = lun_type_slots(signature->params[i]); n > 0; n--, slot++) {
      slots[slot] = (uint64_t)luaL_checkinteger(L, (int)slot + 2);
      if (narrow) slots[slot] = (uint32_t)slots[slot];
    }
  }
  run(L, session_of(L), function, slots, slots + param_slots);
  for (uint32_t i = 0; i < result_slots; i++) lua_pushinteger(L, (lua_Integer)slots[param_slots + i]);
  return (int)result_slots;
}

static int get_definition(lua_State *L) {
  lun_function *function = function_check(L, 1);
  definition_push(L, session_of(L), lun_function_definition(function));
  return 1;
}

static int get_instance(lua_State *L) {
  lun_function *function = function_check(L, 1);
  instance_push(L, session_of(L), lun_function_instance(function));
  return 1;
}

static int get_name(lua_State *L) {
  lua_pushstring(L, lun_definition_name(lun_function_definition(function_check(L, 1))));
  return 1;
}

static int function_tostring(lua_State *L) {
  const Handle *handle = object_check_closed(L, 1, &function_class);
  if (handle->head.session->closed) lua_pushliteral(L, "function (its session is closed)");
  else lua_pushfstring(L, "function %s", lun_definition_name(lun_function_definition(handle->pointer)));
  return 1;
}

static const Field fields[] = {
  { "definition", get_definition, NULL }, { "instance", get_instance, NULL }, { "name", get_name, NULL }, { NULL, NULL, NULL },
};
static const luaL_Reg methods[] = {
  { "invoke", function_invoke }, { "invoke_bits", function_invoke_bits }, { NULL, NULL },
};
static const luaL_Reg metamethods[] = { { "__tostring", function_tostring }, { NULL, NULL } };
const Class function_class = { "function", 1, fields, methods, metamethods, NULL, NULL };
