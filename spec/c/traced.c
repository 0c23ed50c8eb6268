/* SPDX-License-Identifier: MIT */
/* A listener on everything, in C, that does nothing but count: before, after and abort of each call of each store. Linked
 * into a variant of the Lua module whose lun_store_create is this one, so that whole suites run traced as they are.
 * luaopen_lunette_traced gives the counts. */
#include <lauxlib.h>
#include <lua.h>
#include <lunette/lunette.h>

lun_status __real_lun_store_create(const lun_store_options *options, lun_store **out, lun_error *error);
lun_status __wrap_lun_store_create(const lun_store_options *options, lun_store **out, lun_error *error);
LUN_API int luaopen_lunette_traced(lua_State *L);

static lua_Integer befores, afters, aborts;

static void before(void *self, lun_call *call, const uint64_t *params) {
  (void)self, (void)call, (void)params;
  befores++;
}

static void after(void *self, lun_call *call, const uint64_t *results) {
  (void)self, (void)call, (void)results;
  afters++;
}

static void aborted(void *self, lun_call *call, const lun_error *error) {
  (void)self, (void)call, (void)error;
  aborts++;
}

static lun_choice choose(void *context, const lun_definition *definition, lun_instance *instance) {
  static const lun_listener listener = { before, after, aborted };
  (void)context, (void)definition, (void)instance;
  return (lun_choice){ &listener, NULL };
}

lun_status __wrap_lun_store_create(const lun_store_options *options, lun_store **out, lun_error *error) {
  lun_attachment *attachment;
  lun_status status = __real_lun_store_create(options, out, error);
  if (status != LUN_OK) return status;
  status = lun_store_attach(*out, choose, NULL, NULL, &attachment, error);
  if (status == LUN_OK) return status;
  lun_store_destroy(*out);
  *out = NULL;
  return status;
}

/* A function that gives the numbers of befores, afters and aborts so far. */
static int counts(lua_State *L) {
  lua_pushinteger(L, befores);
  lua_pushinteger(L, afters);
  lua_pushinteger(L, aborts);
  return 3;
}

int luaopen_lunette_traced(lua_State *L) {
  lua_pushcfunction(L, counts);
  return 1;
}
