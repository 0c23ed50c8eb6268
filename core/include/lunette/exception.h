/* SPDX-License-Identifier: MIT */
/* Tags and exceptions. Core specification 3.0, 2.5.5 (Tags), 4.2.11 (Exceptions).
 *
 * A run that ends in an exception which nobody caught has LUN_EXCEPTION, and the exception in lun_error.exception, where its
 * tag and values can be read. A host function that invoked the guest may swallow it, or hand the error on: then the very same
 * exception is thrown again in the run further out. A host function throws one of its own by lun_exception_throw.
 *
 * Tags belong to their store. An exception lives while the guest can reach it, and while somebody holds it: an error, or
 * whoever retained it. What reads as an exnref value in a slot (of params, results, a global, a table) is good until the guest
 * runs on or another exception is made; retain what shall live longer.
 *
 * Threads: those of the store; without a store, any one. */
#ifndef LUNETTE_EXCEPTION_H
#define LUNETTE_EXCEPTION_H

#include <lunette/instance.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A tag whose exceptions carry values of these types. The types are copied. Fails with LUN_USAGE where one refers to another
 * by number, LUN_NO_MEMORY. */
LUN_API LUN_MUST_CHECK lun_status lun_tag_create(lun_store *store, const lun_type *params, uint32_t count, lun_tag **out,
                                                 lun_error *error);
/* Its params are what the exceptions carry; it has no results. */
LUN_API const lun_signature *lun_tag_signature(const lun_tag *tag);
/* From the name section of the module that defines it, else its export, else "#index"; of the embedder's making: "tag". */
LUN_API const char *lun_tag_name(const lun_tag *tag);

/* With one hold, the caller's. `values` has exactly the tag's slots; NULL where there are none. Fails with LUN_NO_MEMORY, or
 * LUN_EXHAUSTED where too many are alive (max_exception_bytes). */
LUN_API LUN_MUST_CHECK lun_status lun_exception_create(lun_store *store, const lun_tag *tag, const uint64_t *values,
                                                       lun_exception **out, lun_error *error);
LUN_API const lun_tag *lun_exception_tag(const lun_exception *exception);
/* Exactly the tag's slots, which nothing changes. */
LUN_API const uint64_t *lun_exception_values(const lun_exception *exception);
/* One more hold, and one less. NULL is ignored (and given back). A hold may outlive the store: then it is all that may still be
 * done to the exception to release it. */
LUN_API lun_exception *lun_exception_retain(lun_exception *exception);
LUN_API void lun_exception_release(lun_exception *exception);
/* Between an exception and an exnref value; 0 is null. */
LUN_API uint64_t lun_exception_ref(lun_exception *exception);
LUN_API lun_exception *lun_exception_of_ref(uint64_t ref);
/* For host functions: fills `error`, which takes a hold of its own, and gives LUN_EXCEPTION:
 *     return lun_exception_throw(exception, error); */
LUN_API LUN_MUST_CHECK lun_status lun_exception_throw(lun_exception *exception, lun_error *error);

#ifdef __cplusplus
}
#endif
#endif
