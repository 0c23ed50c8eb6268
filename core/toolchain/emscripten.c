/* SPDX-License-Identifier: MIT */
/* What Emscripten's standalone modules import. Its lowering of setjmp (LLVM's WebAssemblyLowerEmscriptenEHSjLj) calls whatever
 * may jump through invoke_NAME, and looks at __THREW__ afterwards, which setThrew has set. A longjmp is an exception here,
 * with a tag of ours: what unwinds is a failed run, so that every open call is told; nothing is skipped. */
#include "toolchain.h"

#include <stdio.h>
#include <string.h>

static const lun_type i32 = LUN_I32, two_i32[] = { LUN_I32, LUN_I32 };
static const lun_signature none_to_i32 = { .result_count = 1, .results = &i32 };
static const lun_signature i32_to_none = { .param_count = 1, .params = &i32 };
static const lun_signature i32_i32_to_none = { .param_count = 2, .params = two_i32 };

/* ---- small ones ---- */
static lun_status call_notify_memory_growth(void *self, lun_call *call, const uint64_t *params, uint64_t *results,
                                            lun_error *error) {
  (void)self, (void)call, (void)params, (void)results, (void)error;
  return LUN_OK; /* nobody here keeps a view of the memory */
}

static lun_status call_get_temp_ret0(void *self, lun_call *call, const uint64_t *params, uint64_t *results, lun_error *error) {
  (void)call, (void)params, (void)error;
  results[0] = ((const Context *)self)->temp_ret0;
  return LUN_OK;
}

static lun_status call_set_temp_ret0(void *self, lun_call *call, const uint64_t *params, uint64_t *results, lun_error *error) {
  (void)call, (void)results, (void)error;
  ((Context *)self)->temp_ret0 = (uint32_t)params[0];
  return LUN_OK;
}

/* ---- the guest's own helpers ---- */
static bool same_types(const lun_type *a, const lun_type *b, uint32_t count) {
  for (uint32_t i = 0; i < count; i++)
    if (a[i] != b[i]) return false;
  return true;
}

static bool same_signature(const lun_signature *a, const lun_signature *b) {
  return a->param_count == b->param_count && a->result_count == b->result_count &&
         same_types(a->params, b->params, a->param_count) && same_types(a->results, b->results, a->result_count);
}

/* The export of that name and type, or NULL. */
static lun_function *helper(const lun_instance *instance, const char *name, const lun_signature *signature) {
  lun_function *function = lun_instance_function(instance, name);
  if (!function) return NULL;
  return same_signature(lun_definition_signature(lun_function_definition(function)), signature) ? function : NULL;
}

static lun_function *either(const lun_instance *instance, const char *name, const char *other, const lun_signature *signature) {
  lun_function *function = helper(instance, name, signature);
  return function ? function : helper(instance, other, signature);
}

/* ---- longjmp ---- */
static lun_status throw_longjmp(Context *context, lun_call *call, lun_error *error) {
  lun_exception *exception;
  lun_status status = LUN_OK;
  if (!context->longjmp_tag) status = lun_tag_create(lun_call_store(call), NULL, 0, &context->longjmp_tag, error);
  if (status == LUN_OK) status = lun_exception_create(lun_call_store(call), context->longjmp_tag, NULL, &exception, error);
  if (status != LUN_OK) return status;
  lun_error_set(error, LUN_EXCEPTION, "longjmp");
  error->exception = exception;
  return LUN_EXCEPTION;
}

static lun_status call_throw_longjmp(void *self, lun_call *call, const uint64_t *params, uint64_t *results, lun_error *error) {
  (void)params, (void)results;
  return throw_longjmp(self, call, error);
}

/* (env, value): before 2021 the host said setThrew itself. */
static lun_status call_longjmp(void *self, lun_call *call, const uint64_t *params, uint64_t *results, lun_error *error) {
  lun_function *set_threw = helper(lun_call_instance(call), "setThrew", &i32_i32_to_none);
  const uint64_t threw[] = { (uint32_t)params[0], (uint32_t)params[1] ? (uint32_t)params[1] : 1 };
  lun_status status = set_threw ? lun_function_invoke(set_threw, threw, NULL, error) : LUN_OK;
  (void)results;
  return status == LUN_OK ? throw_longjmp(self, call, error) : status;
}

/* ---- invoke_NAME ---- */
static lun_status trap(lun_trap which, lun_error *error) {
  lun_error_set(error, LUN_TRAP, "%s", lun_trap_name(which));
  error->trap = which;
  return LUN_TRAP;
}

static bool fits_index(const lun_signature *callee, const lun_signature *own) {
  return own->param_count == callee->param_count + 1 && own->result_count == callee->result_count &&
         same_types(callee->params, own->params + 1, callee->param_count) &&
         same_types(callee->results, own->results, own->result_count);
}

/* The function to call and how many of the params it takes from: 1 behind the index, or all (dynCall_NAME). */
static lun_status find_callee(const lun_instance *instance, const lun_definition *definition, uint32_t index,
                              lun_function **out, uint32_t *first, lun_error *error) {
  const lun_signature *own = lun_definition_signature(definition);
  lun_extern exported;
  const lun_table *table = lun_instance_table(instance, 0);
  if (lun_instance_export(instance, "__indirect_function_table", &exported) && exported.kind == LUN_EXTERN_TABLE)
    table = exported.as.table;
  uint64_t ref = 0;
  if (!table || lun_table_type(table) != LUN_FUNCREF || !lun_table_get(table, index, &ref))
    return trap(LUN_TRAP_UNDEFINED_ELEMENT, error);
  *out = lun_function_of_ref(ref);
  *first = 1;
  if (!*out) return trap(LUN_TRAP_UNINITIALIZED_ELEMENT, error);
  if (fits_index(lun_definition_signature(lun_function_definition(*out)), own)) return LUN_OK;
  char name[256];
  snprintf(name, sizeof name, "dynCall_%.200s", lun_definition_name(definition) + sizeof "invoke_" - 1);
  *out = helper(instance, name, own);
  *first = 0;
  return *out ? LUN_OK : trap(LUN_TRAP_INDIRECT_CALL_TYPE, error);
}

static bool is_longjmp(const Context *context, const lun_error *error) {
  return error->kind == LUN_EXCEPTION && error->exception && context->longjmp_tag &&
         lun_exception_tag(error->exception) == context->longjmp_tag;
}

static lun_status call_invoke(void *self, lun_call *call, const uint64_t *params, uint64_t *results, lun_error *error) {
  const lun_instance *instance = lun_call_instance(call);
  lun_function *callee, *set_threw = helper(instance, "setThrew", &i32_i32_to_none);
  lun_function *save = either(instance, "stackSave", "emscripten_stack_get_current", &none_to_i32);
  lun_function *restore = either(instance, "stackRestore", "_emscripten_stack_restore", &i32_to_none);
  uint32_t first;
  uint64_t stack = 0;
  lun_status status = find_callee(instance, lun_call_definition(call), (uint32_t)params[0], &callee, &first, error);
  if (status == LUN_OK && save && restore) status = lun_function_invoke(save, NULL, &stack, error);
  if (status != LUN_OK) return status;
  status = lun_function_invoke(callee, params + first, results, error);
  if (status == LUN_OK || !set_threw || !is_longjmp(self, error)) return status;
  static const uint64_t threw[] = { 1, 0 };
  lun_error_clear(error);
  status = save && restore ? lun_function_invoke(restore, &stack, NULL, error) : LUN_OK;
  return status == LUN_OK ? lun_function_invoke(set_threw, threw, NULL, error) : status;
}

const Row emscripten_rows[] = {
  { "emscripten_notify_memory_growth", "i:", call_notify_memory_growth },
  { "getTempRet0", ":i", call_get_temp_ret0 },
  { "setTempRet0", "i:", call_set_temp_ret0 },
  { "_emscripten_throw_longjmp", ":", call_throw_longjmp },
  { "emscripten_longjmp", "ii:", call_longjmp },
  { "invoke_*", "i*:*", call_invoke },
  { NULL, NULL, NULL },
};
