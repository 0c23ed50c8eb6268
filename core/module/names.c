/* SPDX-License-Identifier: MIT */
/* The name section, read when somebody first asks: the module's name, names of functions, of tags, of locals. It is a
 * custom section, so whatever is wrong with it costs names and nothing else: what was read soundly before the break
 * stays. Core specification, appendix A.4 (Name Section).
 *
 * The section is copied once and taken apart in place: a name's length stands before it and is at least a byte long,
 * so the name moves down by one and has room for its NUL.
 *
 *     copy  … | length | n a m e | …   →   … | n a m e NUL | … */
#include <stdlib.h>
#include <string.h>

#include "decode.h"

typedef struct LocalName {
  uint32_t local;
  const char *name;
} LocalName;

/* The named locals of a function: `count` from `first` on. */
typedef struct LocalNames {
  uint32_t function, count;
  size_t first;
} LocalNames;

typedef struct Names {
  const char *module;
  const char **functions, **tags; /* by index; NULL: not one named */
  VEC(LocalNames) groups;     /* by function */
  VEC(LocalName) locals;      /* of each group by index */
} Names;

enum { NAMES_MODULE, NAMES_FUNCTIONS, NAMES_LOCALS, NAMES_TAGS = 11 };

/* NULL with no failure: not UTF-8, or empty, and passed over. */
static const char *name_take(Bytes *b) {
  uint32_t size = bytes_u32(b);
  uint8_t *name = (uint8_t *)(uintptr_t)bytes_take(b, size);
  if (!name || !size || !utf8_valid(name, size)) return NULL;
  memmove(name - 1, name, size);
  name[size - 1] = 0;
  return (const char *)name - 1;
}

/* The names of things that have an index below `most`. */
static void indexed_read(lun_module *module, const char ***names, uint32_t most, Bytes *b) {
  uint32_t count = bytes_u32(b);
  if (!*names) *names = arena_array(&module->arena, most, sizeof **names);
  if (!*names) return;
  for (uint32_t i = 0; i < count && !b->failure; i++) {
    uint32_t index = bytes_u32(b);
    const char *name = name_take(b);
    if (name && index < most && !(*names)[index]) (*names)[index] = name;
  }
}

/* The names of one function's locals; false: out of memory. They are looked up by bisection, so what is out of order
 * is a break, too. */
static bool locals_read_of(Names *names, Bytes *b, LocalNames *group) {
  uint32_t count = bytes_u32(b);
  for (uint32_t i = 0; i < count && !b->failure; i++) {
    LocalName local = { .local = bytes_u32(b) };
    local.name = name_take(b);
    if (!local.name) continue;
    if (group->count && local.local <= names->locals.items[names->locals.count - 1].local) {
      bytes_fail(b, "out of order");
      break;
    }
    if (!vec_push(&names->locals, local)) return false;
    group->count++;
  }
  return true;
}

static void locals_read_all(Names *names, Bytes *b) {
  uint32_t count = bytes_u32(b);
  for (uint32_t i = 0; i < count && !b->failure; i++) {
    LocalNames group = { .function = bytes_u32(b), .first = names->locals.count };
    if (b->failure) return;
    if (names->groups.count && group.function <= names->groups.items[names->groups.count - 1].function) return;
    bool going_on = locals_read_of(names, b, &group);
    if (!vec_push(&names->groups, group) || !going_on) return;
  }
}

static void subsections_read(lun_module *module, Names *names, Bytes *rest) {
  while (bytes_left(rest)) {
    uint8_t id = bytes_u8(rest);
    uint32_t size = bytes_u32(rest);
    if (rest->failure) return;
    Bytes b = *rest;
    bool is_cut = size > bytes_left(rest);
    if (!is_cut) b.end = b.at + size;
    rest->at = b.end;
    if (id == NAMES_MODULE && !names->module) names->module = name_take(&b);
    if (id == NAMES_FUNCTIONS) indexed_read(module, &names->functions, module->function_count, &b);
    if (id == NAMES_TAGS) indexed_read(module, &names->tags, module->tag_count, &b);
    if (id == NAMES_LOCALS) locals_read_all(names, &b);
    if (is_cut) return;
  }
}

/* NULL: there is no name section, or no memory for it. */
static const Names *names_of(lun_module *module) {
  if (module->names_tried) return module->names;
  module->names_tried = true;
  if (!module->name_section) return NULL;
  uint8_t *copy = arena_alloc(&module->arena, module->name_section_size ? module->name_section_size : 1);
  Names *names = copy ? calloc(1, sizeof *names) : NULL;
  if (!names) return NULL;
  if (module->name_section_size) memcpy(copy, module->name_section, module->name_section_size);
  Bytes b = bytes_of(copy, module->name_section_size);
  subsections_read(module, names, &b);
  module->names = names;
  return names;
}

const char *names_module(lun_module *module) {
  const Names *names = names_of(module);
  return names ? names->module : NULL;
}

const char *names_function(lun_module *module, uint32_t function) {
  const Names *names = names_of(module);
  return names && names->functions && function < module->function_count ? names->functions[function] : NULL;
}

const char *names_tag(lun_module *module, uint32_t tag) {
  const Names *names = names_of(module);
  return names && names->tags && tag < module->tag_count ? names->tags[tag] : NULL;
}

static const LocalNames *group_find(const Names *names, uint32_t function) {
  size_t low = 0, high = names->groups.count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    const LocalNames *group = &names->groups.items[middle];
    if (group->function == function) return group;
    if (group->function < function) low = middle + 1;
    else high = middle;
  }
  return NULL;
}

const char *names_local(lun_module *module, uint32_t function, uint32_t local) {
  const Names *names = names_of(module);
  const LocalNames *group = names ? group_find(names, function) : NULL;
  size_t low = 0, high = group ? group->count : 0;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    const LocalName *found = &names->locals.items[group->first + middle];
    if (found->local == local) return found->name;
    if (found->local < local) low = middle + 1;
    else high = middle;
  }
  return NULL;
}

uint32_t names_local_count(lun_module *module, uint32_t function) {
  const Names *names = names_of(module);
  const LocalNames *group = names ? group_find(names, function) : NULL;
  return group ? group->count : 0;
}

void names_clear(lun_module *module) {
  if (!module->names) return;
  vec_clear(&module->names->groups);
  vec_clear(&module->names->locals);
  free(module->names);
  module->names = NULL;
}
