/* SPDX-License-Identifier: MIT */
/* Finds out which of the toolchains' functions a module imports, and adds them to its list of imports. */
#include "toolchain.h"

#include <stdlib.h>
#include <string.h>

static void context_release(void *self) {
  Context *context = self;
  if (--context->holders == 0) free(context);
}

static bool type_fits(char letter, lun_type type) { return type == (letter == 'd' ? LUN_F64 : LUN_I32); }

static bool types_fit(const char **letter, const lun_type *types, uint32_t count) {
  uint32_t i = 0;
  for (; **letter && **letter != ':' && **letter != '*'; ++*letter, i++)
    if (i >= count || !type_fits(**letter, types[i])) return false;
  if (**letter != '*') return i == count;
  ++*letter;
  return true;
}

static bool row_fits(const Row *row, const lun_port *port) {
  const lun_signature *signature = lun_definition_signature(port->definition);
  size_t size = strlen(row->name);
  bool is_prefix = row->name[size - 1] == '*';
  if (is_prefix ? strncmp(row->name, port->name, size - 1) != 0 : strcmp(row->name, port->name) != 0) return false;
  const char *letter = row->signature;
  if (!types_fit(&letter, signature->params, signature->param_count)) return false;
  letter++; /* ':' */
  return types_fit(&letter, signature->results, signature->result_count);
}

static const Row *row_find(const Row *rows, const lun_port *port) {
  for (; rows->name; rows++)
    if (row_fits(rows, port)) return rows;
  return NULL;
}

static lun_status add(const Row *row, const lun_port *port, Context *context, lun_imports *imports, lun_error *error) {
  const lun_host_function function = {
    .module = port->module, .name = port->name, .signature = *lun_definition_signature(port->definition),
    .callback = row->callback, .self = context, .release = context_release,
  };
  lun_status status = lun_imports_add_host(imports, &function, error);
  if (status == LUN_OK) context->holders++;
  return status;
}

lun_status lun_toolchain_import(const lun_module *module, const lun_toolchain_options *options, lun_imports *imports,
                                lun_error *error) {
  Context *context = calloc(1, sizeof *context);
  if (!context) return lun_error_set(error, LUN_NO_MEMORY, "out of memory");
  context->holders = 1;
  if (options) context->options = *options;
  lun_status status = LUN_OK;
  uint32_t count = lun_module_import_count(module);
  for (uint32_t i = 0; i < count && status == LUN_OK; i++) {
    lun_port port = lun_module_import(module, i);
    if (port.kind != LUN_EXTERN_FUNCTION || strcmp(port.module, "env") != 0) continue;
    const Row *row = row_find(assemblyscript_rows, &port);
    if (!row) row = row_find(emscripten_rows, &port);
    if (row) status = add(row, &port, context, imports, error);
  }
  context_release(context);
  return status;
}
