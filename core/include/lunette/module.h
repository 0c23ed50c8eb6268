/* SPDX-License-Identifier: MIT */
/* Modules and the definitions of their functions: what a file says, before anything is live.
 *
 * A module is decoded and validated whole when it is made; nothing of it changes afterwards.
 * Definitions and all strings belong to their module (of a host function: to its store).
 * Threads: those of the store that it was made in. Offsets and sizes are bytes. */
#ifndef LUNETTE_MODULE_H
#define LUNETTE_MODULE_H

#include <lunette/store.h>
#include <lunette/value.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct lun_module lun_module;
typedef struct lun_definition lun_definition;

/* Zero stands for the default. */
typedef struct lun_module_options {
  const char *name;   /* shown where the module gives no name of its own: the file's, without folder and ending */
  /* NULL: the bytes are copied. Otherwise they are borrowed, and this is called when they are no longer needed
   * (also when lun_module_create fails). */
  void (*release)(void *self, const void *bytes, size_t size);
  void *self;
} lun_module_options;

/* Decodes and validates. Fails with LUN_MALFORMED or LUN_INVALID (error->offset: the byte in the module; the
 * message names section and function), LUN_NO_MEMORY. What the engine does not know is refused with its name. */
LUN_API LUN_MUST_CHECK lun_status lun_module_create(lun_store *store, const void *bytes, size_t size,
                                                    const lun_module_options *options, lun_module **out, lun_error *error);
/* Gives up the caller's hold. The module is freed when its last instance and its store no longer need it. */
LUN_API void lun_module_destroy(lun_module *module);

LUN_API const char *lun_module_name(const lun_module *module);   /* name section, else options->name, else "" */
LUN_API const char *lun_module_own_name(const lun_module *module); /* name section, else NULL */

typedef enum lun_extern_kind {
  LUN_EXTERN_FUNCTION, LUN_EXTERN_TABLE, LUN_EXTERN_MEMORY, LUN_EXTERN_GLOBAL, LUN_EXTERN_TAG
} lun_extern_kind;
LUN_API const char *lun_extern_kind_name(lun_extern_kind kind);  /* "function", "table", "memory", "global", "tag" */

/* One import or export. `definition` for functions; for the rest `type` is the text of the type
 * ("memory 1..2 pages", "global mut i32", "table 10..20 funcref", "tag (i32)"), owned by the module. */
typedef struct lun_port {
  const char *module;  /* imports only */
  const char *name;
  size_t name_size;    /* a name may hold NUL bytes; there is one more behind it */
  lun_extern_kind kind;
  const lun_definition *definition;
  const char *type;
} lun_port;
LUN_API uint32_t lun_module_import_count(const lun_module *module);
LUN_API lun_port lun_module_import(const lun_module *module, uint32_t index);
LUN_API uint32_t lun_module_export_count(const lun_module *module);
LUN_API lun_port lun_module_export(const lun_module *module, uint32_t index);

/* Imported functions first, as the specification counts. */
LUN_API uint32_t lun_module_function_count(const lun_module *module);
LUN_API const lun_definition *lun_module_function(const lun_module *module, uint32_t index);

/* ---- definitions: the static facts of a function ---- */
LUN_API uint32_t lun_definition_index(const lun_definition *definition); /* host: its index in the importing module */
/* As people write it: lun_definition_raw_name, but the mangled names of C++ and Rust are demangled. Never NULL; UTF-8. */
LUN_API const char *lun_definition_name(const lun_definition *definition);
/* Name section, else export, else import ("module.name"), else "#index". Never NULL; UTF-8, as it is. */
LUN_API const char *lun_definition_raw_name(const lun_definition *definition);
/* From the name section alone; of a host function the name that it was given. NULL: none. */
LUN_API const char *lun_definition_own_name(const lun_definition *definition);
LUN_API const lun_module *lun_definition_module(const lun_definition *definition);  /* host: the importing module */
LUN_API const char *lun_definition_module_name(const lun_definition *definition);   /* host: the host module's name */
LUN_API const lun_signature *lun_definition_signature(const lun_definition *definition);
/* From the name section, else from the debug information; of a host function as it was given. NULL: none. */
LUN_API const char *lun_definition_param_name(const lun_definition *definition, uint32_t index);
/* The same of one of its locals, params counted first; of those that are no params from the name section alone. */
LUN_API const char *lun_definition_local_name(const lun_definition *definition, uint32_t index);
/* The same where the function stands at this code offset: debug information says there which variable a local holds. */
LUN_API const char *lun_definition_local_name_at(const lun_definition *definition, uint32_t index, uint64_t code_offset);
/* How many of its locals, params among them, the name section names; of a host function 0. */
LUN_API uint32_t lun_definition_named_locals(const lun_definition *definition);
LUN_API bool lun_definition_is_host(const lun_definition *definition);
/* An imported function of a module, before or beside the host function that is bound to it. */
LUN_API bool lun_definition_is_import(const lun_definition *definition);
LUN_API const char *lun_definition_import_module(const lun_definition *definition); /* NULL: not imported */
LUN_API const char *lun_definition_import_name(const lun_definition *definition);
LUN_API uint32_t lun_definition_export_count(const lun_definition *definition);
LUN_API const char *lun_definition_export(const lun_definition *definition, uint32_t index);
/* Of the body's bytes (locals included), from the start of the code section's contents (DWARF's convention);
 * LUN_NO_OFFSET and 0 for imported and host functions. */
LUN_API uint64_t lun_definition_offset(const lun_definition *definition);
LUN_API uint32_t lun_definition_size(const lun_definition *definition);
/* From an offset in the code section's contents to one in the module's bytes. */
LUN_API uint64_t lun_module_file_offset(const lun_module *module, uint64_t code_offset);

#ifdef __cplusplus
}
#endif
#endif
