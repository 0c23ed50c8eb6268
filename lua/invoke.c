/* SPDX-License-Identifier: MIT */
/* Calls one export from the command line: words become values by the function's type, results become a line each.
 * Integers may be signed or unsigned, decimal or 0x…; floats as strtod reads them, printed with as few digits as give
 * the same value again; references only as "null". */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"

/* A whole number of `bits` bits, of either sign. */
static bool integer_parse(const char *text, unsigned bits, uint64_t *slot) {
  const char *digits = text + (*text == '-' || *text == '+');
  int base = digits[0] == '0' && (digits[1] == 'x' || digits[1] == 'X') ? 16 : 10;
  char *end;
  if (!strchr("0123456789", *digits) || !*digits) return false;
  errno = 0;
  uint64_t magnitude = strtoull(digits, &end, base);
  if (*end || errno) return false;
  uint64_t most = bits == 32 ? UINT32_MAX : UINT64_MAX;
  if (*text == '-') {
    if (magnitude > most / 2 + 1) return false;
    magnitude = (0 - magnitude) & most;
  }
  if (magnitude > most) return false;
  *slot = magnitude;
  return true;
}

static bool float_parse(const char *text, lun_type type, uint64_t *slot) {
  char *end;
  if (!*text || *text == ' ') return false;
  if (type == LUN_F32) {
    float number = strtof(text, &end);
    uint32_t bits;
    memcpy(&bits, &number, sizeof bits);
    *slot = bits;
  } else {
    double number = strtod(text, &end);
    memcpy(slot, &number, sizeof number);
  }
  return *end == 0;
}

static bool value_parse(const char *text, lun_type type, uint64_t *slot) {
  switch (lun_type_top(type)) {
    case LUN_I32: return integer_parse(text, 32, slot);
    case LUN_I64: return integer_parse(text, 64, slot);
    case LUN_F32: case LUN_F64: return float_parse(text, type, slot);
    case LUN_FUNCREF: case LUN_EXTERNREF:
      *slot = 0;
      return lun_type_is_nullable(type) && strcmp(text, "null") == 0;
    default: return false;
  }
}

static uint32_t slots_of(const lun_type *types, uint32_t count) {
  uint32_t slots = 0;
  for (uint32_t i = 0; i < count; i++) slots += lun_type_slots(types[i]);
  return slots;
}

static lun_status params_parse(const char *name, const lun_signature *signature, char **texts, int count, uint64_t *slots,
                               lun_error *error) {
  if ((uint32_t)count != signature->param_count) {
    char wanted[256] = "";
    for (uint32_t i = 0; i < signature->param_count && strlen(wanted) < sizeof wanted - 16; i++) {
      strcat(wanted, i ? ", " : ": ");
      strcat(wanted, lun_type_name(signature->params[i]));
    }
    return lun_error_set(error, LUN_USAGE, "%s takes %u argument%s%s; %d given", name, signature->param_count,
                         signature->param_count == 1 ? "" : "s", wanted, count);
  }
  for (int i = 0; i < count; i++) {
    lun_type type = signature->params[i];
    if (!value_parse(texts[i], type, slots))
      return lun_error_set(error, LUN_USAGE, "argument %d of %s: \"%s\" is no %s", i + 1, name, texts[i], lun_type_name(type));
    slots += lun_type_slots(type);
  }
  return LUN_OK;
}

const lun_definition *exported_function(const lun_module *module, const char *name) {
  uint32_t count = lun_module_export_count(module);
  for (uint32_t i = 0; i < count; i++) {
    lun_port port = lun_module_export(module, i);
    if (port.kind == LUN_EXTERN_FUNCTION && port.name_size == strlen(name) && strcmp(port.name, name) == 0)
      return port.definition;
  }
  return NULL;
}

static lun_status no_such_export(const lun_module *module, const char *name, lun_error *error) {
  uint32_t count = lun_module_export_count(module), functions = 0;
  const char **names = calloc((size_t)count + 1, sizeof *names);
  if (!names) return lun_error_set(error, LUN_NO_MEMORY, "out of memory");
  for (uint32_t i = 0; i < count; i++) {
    lun_port port = lun_module_export(module, i);
    if (port.kind == LUN_EXTERN_FUNCTION) names[functions++] = port.name;
  }
  const char *nearest = lun_nearest(name, names, functions);
  if (nearest) error_hint(error, "did you mean %s?", nearest);
  else error_hint(error, "lunette list shows what it exports");
  free(names);
  return lun_error_set(error, LUN_UNLINKABLE, "it exports no function \"%s\"", name);
}

lun_status invocation_prepare(Invocation *invocation, const lun_module *module, const char *name, char **texts, int count,
                              lun_error *error) {
  const lun_definition *definition = exported_function(module, name);
  if (!definition) return no_such_export(module, name, error);
  const lun_signature *signature = lun_definition_signature(definition);
  uint32_t params = slots_of(signature->params, signature->param_count);
  uint32_t results = slots_of(signature->results, signature->result_count);
  uint64_t *slots = calloc((size_t)params + results + 1, sizeof *slots);
  if (!slots) return lun_error_set(error, LUN_NO_MEMORY, "out of memory");
  *invocation = (Invocation){ definition, slots, params };
  return params_parse(name, signature, texts, count, slots, error);
}

lun_status invocation_run(Invocation *invocation, lun_instance *instance, lun_error *error) {
  const lun_signature *signature = lun_definition_signature(invocation->definition);
  lun_function *function = lun_instance_function_at(instance, lun_definition_index(invocation->definition));
  uint64_t *slot = invocation->slots + invocation->param_slots;
  lun_status status = lun_function_invoke(function, invocation->slots, slot, error);
  for (uint32_t i = 0; status == LUN_OK && i < signature->result_count; i++) {
    char text[VALUE_TEXT];
    puts(value_show(signature->results[i], slot, text));
    slot += lun_type_slots(signature->results[i]);
  }
  return status;
}

void invocation_clear(Invocation *invocation) {
  free(invocation->slots);
  *invocation = (Invocation){ .slots = NULL };
}
