/* SPDX-License-Identifier: MIT */
/* Names and places for people: which source line an offset in a module's code stands for, and in what function, inlined
 * ones included. From the module's DWARF sections, versions 2 to 5, as compilers leave them with -g.
 *
 * Nothing is read before it is asked for, and what has been read is kept with the module. Sections that are missing, broken
 * or hostile cost their answers, never more: there is no error to handle. The time of all answers together is linear in the
 * size of the sections, but for a search of logarithmic time each. Where memory runs out an answer is missing; it may be
 * there when asked for again.
 *
 * All strings are UTF-8 and belong to the module. Threads: as with all of a module, one at a time. Offsets count from the
 * start of the code section's contents, as in lun_frame. */
#ifndef LUNETTE_SYMBOLS_H
#define LUNETTE_SYMBOLS_H

#include <lunette/module.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct lun_place {
  const char *function;      /* as the source calls it, without its namespace or class; NULL: unknown */
  const char *linkage_name;  /* mangled, where its language mangles; lun_demangle reads it. NULL: none */
  const char *file;          /* with its folder where that is known, as the compiler was told; NULL: unknown */
  uint32_t line, column;     /* from 1; 0: unknown */
  bool is_inlined;           /* into the next frame */
} lun_place;

/* The source frames of the instruction at an offset, innermost first: the inlined functions that it is in, and the one that
 * was compiled. Writes the first `room` of them to `frames` and returns how many there are; 0: nothing is known. */
LUN_API size_t lun_module_places(const lun_module *module, uint64_t code_offset, lun_place *frames, size_t room);
/* Where a function is defined; its column is 0. False: unknown (imported and host functions are). */
LUN_API bool lun_definition_place(const lun_definition *definition, lun_place *source);
/* The function whose body an offset is in; NULL: none. */
LUN_API const lun_definition *lun_module_function_at(const lun_module *module, uint64_t code_offset);

/* A C++ or Rust symbol as its language writes it, malloc'ed, for the caller to free. NULL: it is not mangled, there is no
 * memory, or this build has no demangler (lun_can_demangle). Any thread. */
LUN_API char *lun_demangle(const char *symbol);
LUN_API bool lun_can_demangle(void);
/* How many bytes of a demangled name stand before its list of types: of "sum(int) const" 3. For who shows arguments there. */
LUN_API size_t lun_name_stem(const char *name);

#ifdef __cplusplus
}
#endif
#endif
