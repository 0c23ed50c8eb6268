/* SPDX-License-Identifier: MIT */
/* What the fuzz targets share: a check that ends the process, a watchdog for guests that don't end, and walks over all
 * that the door tells about a module. Each target is one file over the door, and its input is a module as it is (but see
 * wasi.c and names.c). */
#ifndef LUNETTE_FUZZ_H
#define LUNETTE_FUZZ_H

#include <lunette/lunette.h>

/* Not assert: it holds in every build. */
#define CHECK(condition) ((condition) ? (void)0 : fuzz_fail(#condition, __FILE__, __LINE__))
void fuzz_fail(const char *condition, const char *file, int line) __attribute__((noreturn));

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/* A store with small limits. */
lun_store *fuzz_store(void);
/* Makes the module of borrowed bytes; NULL where it is refused, for a reason that is checked to be a sound one. */
lun_module *fuzz_module(lun_store *store, const uint8_t *bytes, size_t size);
/* Asks everything about the module and its definitions; checks that the answers agree. */
void fuzz_ask_module(const lun_module *module);
/* The error is filled as a failure of this kind must be; it is cleared. */
void fuzz_check_error(lun_error *error, lun_status status);

/* Between these the store's run is ended with LUN_TIMEOUT when it takes longer. */
void fuzz_watch(lun_store *store, unsigned ms);
void fuzz_unwatch(lun_store *store);

#endif
