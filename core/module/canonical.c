/* SPDX-License-Identifier: MIT */
/* Which types of a module are equal. A function type may refer to earlier ones and to itself, by number; two are equal where
 * they have the same shape all the way down. Each type is entered when it has been read: its references then name the first
 * of their equals (types.c reads them so), but for those to itself, which have HEAP_SELF. It is looked for among the earlier
 * ones in a hash table, and its own references get the number that was found, its own or that of the first equal one.
 * Core specification 3.0, 3.1.2 (rolling up; a type alone is its own group). */
#include "decode.h"

static bool is_self(lun_type type) { return type_has_index(type) && type_index(type) == HEAP_SELF; }

static uint64_t mix(uint64_t hash, uint64_t value) {
  hash = (hash ^ value) * UINT64_C(0x9e3779b97f4a7c15);
  return hash ^ hash >> 32;
}

static uint64_t hash_of(const lun_signature *signature) {
  uint64_t hash = mix(signature->param_count, signature->result_count);
  for (uint32_t i = 0; i < signature->param_count; i++) hash = mix(hash, signature->params[i]);
  for (uint32_t i = 0; i < signature->result_count; i++) hash = mix(hash, signature->results[i]);
  return hash;
}

/* The types of one that has not been entered, and those of the earlier one `of`. */
static bool are_equal(const lun_type *fresh, const lun_type *earlier, uint32_t count, uint32_t of) {
  for (uint32_t i = 0; i < count; i++) {
    /* One that names the earlier type by its number is none that names itself. */
    if (!is_self(fresh[i]) && type_has_index(earlier[i]) && type_index(earlier[i]) == of) return false;
    lun_type type = is_self(fresh[i]) ? type_of_heap(of, lun_type_is_nullable(fresh[i])) : fresh[i];
    if (type != earlier[i]) return false;
  }
  return true;
}

static bool is_equal(const lun_module *module, const lun_signature *fresh, uint32_t of) {
  const lun_signature *earlier = &module->types[of].signature;
  return fresh->param_count == earlier->param_count && fresh->result_count == earlier->result_count &&
         are_equal(fresh->params, earlier->params, fresh->param_count, of) &&
         are_equal(fresh->results, earlier->results, fresh->result_count, of);
}

static void selves_set(FunctionType *type, const lun_type *types, uint32_t count) {
  lun_type *writable = (lun_type *)(uintptr_t)types;  /* the arena's: nobody else has seen them */
  for (uint32_t i = 0; i < count; i++) {
    if (is_self(types[i])) writable[i] = type_of_heap(type->canonical, lun_type_is_nullable(types[i]));
    if (type_is_reference(types[i]) && types[i] != LUN_FUNCREF && types[i] != LUN_EXTERNREF) type->has_typed = true;
    if (type_has_index(types[i])) type->has_indexes = true;
  }
}

bool type_places_make(TypePlaces *places, uint32_t count) {
  uint32_t size = 16;
  while (size < 2 * count) size *= 2;
  *places = (TypePlaces){ .items = calloc(size, sizeof *places->items), .mask = size - 1 };
  return places->items;
}

void type_enter(lun_module *module, TypePlaces *places, uint32_t index) {
  FunctionType *type = &module->types[index];
  const lun_signature *signature = &type->signature;
  uint32_t at = (uint32_t)hash_of(signature) & places->mask;
  while (places->items[at] && !is_equal(module, signature, places->items[at] - 1)) at = (at + 1) & places->mask;
  if (!places->items[at]) places->items[at] = index + 1;
  type->canonical = places->items[at] - 1;
  type->reference = type_of_heap(type->canonical, false);
  type->nullable_reference = type_of_heap(type->canonical, true);
  selves_set(type, signature->params, signature->param_count);
  selves_set(type, signature->results, signature->result_count);
}
