/* SPDX-License-Identifier: MIT */
/* Which functions: patterns over the names of definitions. A where is asked once per definition, when it is attached;
 * what it does not choose costs nothing.
 *
 *     sqlite3_*            any name of a function, guest or host: its own, as it is and demangled, each export, of imports and
 *                          host functions also "module.name" and the bare name
 *     =operator*           exactly this name: nothing in it is special
 *     import:wasi_*.fd_*   "module.name" of an import (the imported function, and the host function bound to it)
 *     export:run           names under which the module exports it
 *     host:*               host functions, by any of their names; so is an import, before anything is bound to it
 *     file:*json.c         functions defined in a source file, by debug information; its whole path, as the compiler knew it
 *     #12  #10-20          by index in the module; of a host function in the importing one
 *     !PATTERN             none of these
 *
 * In a glob `*` is any text, `?` one character, [a-z] one of a set, [!a-z] or [^a-z] one that is not in it; a backslash
 * takes the next character as it is (also in front of a leading !, =, # or of a colon). Several patterns are a union:
 * what any of them includes, less what any excludes, in whatever order they stand; exclusions alone exclude from all.
 * A comma means nothing: names have commas.
 *
 * Threads: a where belongs to whoever made it and never changes; any thread may ask it. */
#ifndef LUNETTE_WHERE_H
#define LUNETTE_WHERE_H

#include <lunette/module.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct lun_where lun_where;

/* Copies the patterns. Fails with LUN_USAGE where one is malformed: the message quotes it and tells place and cause. No
 * pattern at all matches all functions. */
LUN_API LUN_MUST_CHECK lun_status lun_where_create(const char *const *patterns, size_t count, lun_where **out,
                                                   lun_error *error);
LUN_API void lun_where_destroy(lun_where *where);  /* NULL is ignored */
LUN_API bool lun_where_match(const lun_where *where, const lun_definition *definition);

#define LUN_WHERE_NEAREST 3
typedef struct lun_where_hint {
  char text[128];  /* as a pattern: "sqlite3_step", "import:env.read"; cut to the room */
} lun_where_hint;
/* For a where that matched nothing: what may have been meant among the module's functions, the nearest first. */
LUN_API size_t lun_where_nearest(const lun_where *where, const lun_module *module, lun_where_hint hints[LUN_WHERE_NEAREST]);

#ifdef __cplusplus
}
#endif
#endif
