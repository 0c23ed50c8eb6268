/* SPDX-License-Identifier: MIT */
/* Live things: instances, their functions, memories, tables and globals; host functions; calling the guest.
 * Core specification, 4.5.4 (Instantiation), 4.5.5 (Invocation).
 *
 * All of them belong to the store. Pointers stay valid until the store is destroyed; what has been closed
 * answers with errors. Lists of imports are the caller's, to be destroyed before the store.
 * Threads: those of the store. */
#ifndef LUNETTE_INSTANCE_H
#define LUNETTE_INSTANCE_H

#include <lunette/module.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct lun_instance lun_instance;
typedef struct lun_function lun_function;
typedef struct lun_memory lun_memory;
typedef struct lun_table lun_table;
typedef struct lun_global lun_global;
typedef struct lun_tag lun_tag;         /* see exception.h */
typedef struct lun_call lun_call;       /* see listener.h */

typedef struct lun_extern {
  lun_extern_kind kind;
  union {
    lun_function *function;
    lun_table *table;
    lun_memory *memory;
    lun_global *global;
    lun_tag *tag;
  } as;
} lun_extern;

/* ---- imports: a list of what an instance may import; later entries win over earlier ones ---- */
typedef struct lun_imports lun_imports;

/* Runs a host function. `params` has exactly the signature's slots, `results` room for exactly its slots, zeroed;
 * they do not overlap, and die with the call. Return LUN_OK, or fill `error` and return its kind: LUN_HOST for an
 * error of the function's own, LUN_EXIT with error->code to end the run, LUN_TRAP, LUN_EXCEPTION by lun_exception_throw, or
 * the kind (and error) of a failed nested lun_function_invoke, to hand it on: an exception is then thrown again, the same. A
 * kind that no run ends with (LUN_USAGE, …) counts as LUN_HOST. A kind returned with no error filled gets a message. */
typedef lun_status (*lun_host_callback)(void *self, lun_call *call, const uint64_t *params, uint64_t *results,
                                        lun_error *error);
typedef struct lun_host_function {
  const char *module, *name;          /* copied */
  lun_signature signature;            /* copied; refers to no type by number (LUN_USAGE) */
  const char *const *param_names;     /* one per param, or NULL; copied */
  lun_host_callback callback;
  void *self;
  void (*release)(void *self);        /* once, when the store is destroyed or the list (if never imported); may be NULL. Not
                                       * where adding or creating it fails: then `self` stays the caller's */
} lun_host_function;

/* An empty list. What is added stays valid for it as long as the store; all ways to add fail with LUN_NO_MEMORY. */
LUN_API LUN_MUST_CHECK lun_status lun_imports_create(lun_store *store, lun_imports **out, lun_error *error);
/* Instances made from the list keep working. NULL is ignored. */
LUN_API void lun_imports_destroy(lun_imports *imports);
/* Fails with LUN_USAGE where the signature has a type that is none. */
LUN_API LUN_MUST_CHECK lun_status lun_imports_add_host(lun_imports *imports, const lun_host_function *function,
                                                       lun_error *error);
/* One thing under a name; or everything that an instance exports, under a module name, which fails only for want of memory
 * (LUN_NO_MEMORY), too: whether a module's imports fit is found out when an instance is made. The names are copied. */
LUN_API LUN_MUST_CHECK lun_status lun_imports_add(lun_imports *imports, const char *module, const char *name, lun_extern item,
                                                  lun_error *error);
LUN_API LUN_MUST_CHECK lun_status lun_imports_add_instance(lun_imports *imports, const char *module, lun_instance *instance,
                                                           lun_error *error);
/* From now on a function that a module imports and the list does not have is one that traps with its name when it is called
 * (LUN_TRAP_UNKNOWN_IMPORT). What is there with another type stays an error, and so does a missing memory, table or global. */
LUN_API void lun_imports_stub(lun_imports *imports);

/* ---- instances ---- */
/* `name` is what stacks show; NULL: the module's. Runs the start function. Fails with LUN_UNLINKABLE (all imports that
 * miss, with their types, in error->detail), or as the start function does: then no instance is made, but what active
 * segments have written to imported memories and tables stays, as the specification says. `imports` may be NULL. */
LUN_API LUN_MUST_CHECK lun_status lun_instance_create(lun_store *store, lun_module *module, const lun_imports *imports,
                                                      const char *name, lun_instance **out, lun_error *error);
/* New calls are refused. With frames on the stack the run ends at its next safepoint or return from a host function,
 * below the outermost of them (kind exit), and the memory is freed then; without, at once. */
LUN_API void lun_instance_close(lun_instance *instance);
LUN_API bool lun_instance_closed(const lun_instance *instance);
LUN_API const char *lun_instance_name(const lun_instance *instance);
LUN_API lun_store *lun_instance_store(const lun_instance *instance);
LUN_API lun_module *lun_instance_module(const lun_instance *instance);
/* False where the instance exports nothing of that name. */
LUN_API bool lun_instance_export(const lun_instance *instance, const char *name, lun_extern *out);
/* The same for a name that may hold NUL bytes. */
LUN_API bool lun_instance_export_sized(const lun_instance *instance, const char *name, size_t size, lun_extern *out);
/* The exported function, or NULL. */
LUN_API lun_function *lun_instance_function(const lun_instance *instance, const char *export_name);
/* By index in the module, imported functions included (for a host import the bound host function); NULL: out of range. */
LUN_API lun_function *lun_instance_function_at(const lun_instance *instance, uint32_t index);
LUN_API lun_memory *lun_instance_memory(const lun_instance *instance, uint32_t index);
LUN_API lun_table *lun_instance_table(const lun_instance *instance, uint32_t index);
LUN_API lun_global *lun_instance_global(const lun_instance *instance, uint32_t index);
LUN_API lun_tag *lun_instance_tag(const lun_instance *instance, uint32_t index);
/* A pointer of the embedder's own, NULL at first. */
LUN_API void **lun_instance_data(lun_instance *instance);

/* ---- functions ---- */
LUN_API const lun_definition *lun_function_definition(const lun_function *function);
/* Of a host function the importing one; NULL for one that is bound to none. */
LUN_API lun_instance *lun_function_instance(const lun_function *function);
/* Calls it. `params` and `results` have exactly the signature's slots; either may be NULL where there are none, and they
 * may be the same array. On failure `results` is untouched. From a host function or a listener this nests, at most
 * max_runs deep (LUN_EXHAUSTED). A closed instance, or a reference that is null or to a function of another type where the
 * signature forbids it, is LUN_USAGE, with no event. */
LUN_API LUN_MUST_CHECK lun_status lun_function_invoke(lun_function *function, const uint64_t *params, uint64_t *results,
                                                      lun_error *error);
/* A reference to it, as a value. */
LUN_API uint64_t lun_function_ref(lun_function *function);
/* The function of a funcref value; NULL for null. The value must be one that this store handed out. */
LUN_API lun_function *lun_function_of_ref(uint64_t ref);
/* A host function that no module imports: to put into a table, or to call. Fails with LUN_USAGE where the signature has a type
 * that is none, LUN_NO_MEMORY. */
LUN_API LUN_MUST_CHECK lun_status lun_function_create(lun_store *store, const lun_host_function *function, lun_function **out,
                                                      lun_error *error);

/* ---- memories: the one checked way to guest memory ---- */
#define LUN_PAGE 65536u
/* Pages, at least and at most (UINT64_MAX: no maximum): up to 65536. Fails with LUN_USAGE where they are out of order,
 * LUN_EXHAUSTED over the store's limit, LUN_NO_MEMORY. */
LUN_API LUN_MUST_CHECK lun_status lun_memory_create(lun_store *store, uint64_t min, uint64_t max, lun_memory **out,
                                                    lun_error *error);
/* The same with 64-bit addresses, up to 2^48 pages; it fails alike. */
LUN_API LUN_MUST_CHECK lun_status lun_memory_create_64(lun_store *store, uint64_t min, uint64_t max, lun_memory **out,
                                                       lun_error *error);
LUN_API bool lun_memory_is_64(const lun_memory *memory);    /* its addresses are i64 */
LUN_API uint64_t lun_memory_size(const lun_memory *memory); /* bytes */
/* `size` bytes from `address`, or NULL where they do not lie inside. Valid until the guest runs on or the memory grows. */
LUN_API const uint8_t *lun_memory_read(const lun_memory *memory, uint64_t address, uint64_t size);
/* The same to write to: all that host code writes into guest memory goes through here. */
LUN_API uint8_t *lun_memory_write(lun_memory *memory, uint64_t address, uint64_t size);
/* The old size in pages, or UINT64_MAX where it cannot grow. */
LUN_API uint64_t lun_memory_grow(lun_memory *memory, uint64_t pages);

/* ---- tables and globals ---- */
/* Elements, at least and at most (UINT32_MAX: no maximum), null at first. Fails with LUN_USAGE where the type is neither
 * LUN_FUNCREF nor LUN_EXTERNREF, or they are out of order; LUN_EXHAUSTED over the store's limit; LUN_NO_MEMORY. */
LUN_API LUN_MUST_CHECK lun_status lun_table_create(lun_store *store, lun_type type, uint32_t min, uint32_t max, lun_table **out,
                                                   lun_error *error);
/* The same with 64-bit indexes; max: UINT64_MAX for none. It fails alike. */
LUN_API LUN_MUST_CHECK lun_status lun_table_create_64(lun_store *store, lun_type type, uint64_t min, uint64_t max,
                                                      lun_table **out, lun_error *error);
LUN_API bool lun_table_is_64(const lun_table *table);       /* its indexes are i64 */
LUN_API lun_type lun_table_type(const lun_table *table);
LUN_API uint32_t lun_table_size(const lun_table *table);
LUN_API bool lun_table_get(const lun_table *table, uint32_t index, uint64_t *ref);  /* false: out of range */
/* False: out of range, or the table is for functions of another type. */
LUN_API bool lun_table_set(lun_table *table, uint32_t index, uint64_t ref);

/* `value`: its slots, copied. Fails with LUN_USAGE where the type is one of a module's, or the value is null and must not be;
 * LUN_NO_MEMORY. */
LUN_API LUN_MUST_CHECK lun_status lun_global_create(lun_store *store, lun_type type, bool is_mutable, const uint64_t *value,
                                                    lun_global **out, lun_error *error);
LUN_API lun_type lun_global_type(const lun_global *global);
LUN_API bool lun_global_mutable(const lun_global *global);
LUN_API const uint64_t *lun_global_get(const lun_global *global);            /* its slots, live */
LUN_API bool lun_global_set(lun_global *global, const uint64_t *value);      /* false: immutable, or of another type */

#ifdef __cplusplus
}
#endif
#endif
