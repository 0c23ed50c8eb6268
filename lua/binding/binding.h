/* SPDX-License-Identifier: MIT */
/* What the command needs of the Lua binding: to open it in a Lua state, to lend it a store and an output that the
 * command has made, and to pass modules and instances to it.
 *
 * The usual course of a command:
 *
 *     luaL_requiref(L, "lunette.core", luaopen_lunette_core, 0);
 *     binding_adopt(L, &loan);                          -> a session object, to give to lunette.session's adopt()
 *     … scripts load (lunette.script) …
 *     binding_add_hosts(L, session, imports, &error);   what the scripts offer for import
 *     lun_instance_create, binding_push_instance        -> lunette.guest
 *     lun_function_invoke                               callbacks run on Lua threads of the session's own
 *     … at_exit …
 *     binding_release(L, session); lun_store_destroy(store); lua_close(L);      in this order
 *
 * On the Lua side of it:
 *
 *     local session = require("lunette.session").adopt(core_session)   makes `require "lunette"` this session's API
 *     session.default_where = "sqlite3_*"                              -w
 *     require("lunette.script").load(session, {name=|file=|code=, options={depth="5"}, folders={…}})
 *                                                                      raises an err, kind script
 *     session:set_guest(instance)
 *     session:unmatched(module)  -> a list of messages: wheres that match nothing in it, with the nearest names
 *     session:finish()           runs what at_exit was given, newest first
 *
 * Functions named push and adopt may raise Lua errors (out of memory): call them under lua_pcall. The others do not. */
#ifndef LUNETTE_BINDING_H
#define LUNETTE_BINDING_H

#include <lua.h>
#include <lunette/lunette.h>

/* The module lunette.core, as `require` opens it. */
LUN_API int luaopen_lunette_core(lua_State *L);

/* What the session uses and does not own. */
typedef struct binding_loan {
  lun_store *store;
  lun_writer *writer;           /* watches the script loop; NULL: there is none */
  lun_output *output;           /* print, lunette.out; NULL: they are dropped */
  bool strict;                  /* on_error defaults to "stop"; a where that matches nothing is an error */
  bool unsafe;                  /* scripts may intercept calls, and write into memories, globals and tables */
  /* Told each message about a listener that failed, a where that matches nothing …: lines without "lunette: " and without
   * a newline at the end. NULL: to stderr, after what the output holds. */
  void (*message)(void *self, const char *text, size_t size);
  void (*before_output)(void *self);  /* text is about to be put into the output; may be NULL */
  void *self;
  /* Set by any thread, which then pokes the store: at the next safepoint what Lua gave to session:on_pause is called, and this
   * is false again. May be NULL. */
  _Atomic bool *pause_asked;
} binding_loan;

/* Pushes a session object (class lunette.session of lunette.core) that works on the loan. */
void binding_adopt(lua_State *L, const binding_loan *loan);
/* The session lets go of the loan: all of its objects answer "session is closed" from here on. Its host functions and
 * listeners give up their Lua values when the store is destroyed, so the Lua state must live until then. */
void binding_release(lua_State *L, int session);

/* Adds what lunette.host{…} has registered in the session's scripts. */
LUN_MUST_CHECK lun_status binding_add_hosts(lua_State *L, int session, lun_imports *imports, lun_error *error);

/* Pushes the Lua object of a thing of the session's store: always the same object for the same thing. */
void binding_push_module(lua_State *L, int session, lun_module *module); /* the module stays the caller's */
void binding_push_instance(lua_State *L, int session, lun_instance *instance);

/* The kind of an err object, or LUN_OK where it is none; its code (with LUN_EXIT). */
lun_status binding_to_status(lua_State *L, int index, int32_t *code);

#endif
