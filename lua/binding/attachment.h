/* SPDX-License-Identifier: MIT */
/* Attachments from Lua: attachment.c makes them and is their class, listener.c delivers the events. */
#ifndef LUNETTE_ATTACHMENT_H
#define LUNETTE_ATTACHMENT_H

#include "objects.h"

typedef struct Attachment Attachment;
typedef struct Listener Listener;

/* Around one run of guests (guard.c): the callback at work in it that can be left by a Lua error. */
typedef struct Guard {
  struct Guard *outer;
  lua_State *L;              /* the session's thread */
  int at_hand[AT_HAND_COUNT];/* whose anchor's value each of its places holds; LUA_NOREF: none */
  bool has_old;              /* some of them hold what nobody has an anchor of any more */
  Listener *listener;
  CallBox *box;
  void (*run)(void *argument);
  void *argument;
  bool entered;
  lua_Hook hook;             /* a script's, while none of its functions can be at work */
  int hook_mask, hook_count;
} Guard;

/* A Lua listener, once per attachment, however many functions it listens to. */
struct Listener {
  Listener *next;
  Attachment *attachment;
  int before, after, abort;  /* anchors, or LUA_NOREF */
  int call, params, results; /* of an interceptor, likewise */
  int change;                /* of lunette.on_change, likewise */
  bool reported;             /* its first failure has been told */
  bool muted;                /* it has failed: the engine tells it no new call */
  char *failure;             /* text and traceback of the last one, until it is told */
};

/* What answers for the definitions that its where wants: a listener, or a Lua factory. */
typedef struct Member {
  Attachment *attachment;
  int where;                 /* anchor; LUA_NOREF: all */
  const struct WhereObject *compiled; /* the same, where it is no Lua function: C asks it */
  lun_aggregate *aggregate;  /* in place of a listener; held */
  bool closing;              /* of a balance: its other side */
  int factory;               /* anchor, or LUA_NOREF */
  bool is_only;              /* it intercepts or watches */
  Listener *listener;
} Member;

/* The userdata itself; anchored until the engine has released it. */
struct Attachment {
  Head head;
  lun_attachment *handle;    /* NULL: detached, or its store is gone */
  Member *members;
  size_t member_count;
  Listener *listeners;
  BoxPool boxes;
  int self, problem, known;  /* anchors: the userdata; a factory's error; Lua listener → Listener */
  int on_error;              /* anchor of a function, or LUA_NOREF */
  bool attaching, has_problem, released;
  bool is_spent;             /* a factory has exceeded its budget: none is asked any more */
  CallWhere *asked;          /* held; NULL: its where asks nothing of calls */
  bool is_late;              /* and its listeners are told at the end of calls */
  bool intercepts;           /* its one member is an interceptor */
  bool watches;              /* its one member is told of changes of the target */
  lun_change_target target;
  bool has_params, has_time; /* its options */
  bool stops;                /* a failure ends the run, and mutes nobody */
  uint64_t calls;
  uint64_t errors, muted;    /* counted here, since a listener may fail after it has been detached */
};

/* Pushes what is anchored on a thread whose frame is the guard's. */
void guard_fetch(Guard *guard, int anchor);
static inline void guard_push(Guard *guard, int anchor) {
  unsigned place = (unsigned)anchor % AT_HAND_COUNT;
  if (__builtin_expect(guard->at_hand[place] == anchor, 1)) lua_pushvalue(guard->L, AT_HAND + (int)place);
  else guard_fetch(guard, anchor);
}

/* ---- listener.c ---- */
/* How the engine is told of this listener: with no after and no abort of its own it costs none. */
const lun_listener *listener_kind(const Listener *listener);
/* It has raised what is on top of the session's thread: text with its traceback. */
void listener_fail(Listener *listener, lun_call *call);
/* The same for the callback that its guard says was at work, whose error a guard has caught. */
void listener_jumped(struct Guard *guard, lua_State *L);
/* The lun_attach_options.report of all attachments. */
void listener_report(void *context, lun_attachment *handle, lun_call *call, void *self, const char *message);

/* ---- attachment.c ---- */
/* The listener that its one member has for the function, or NULL. */
Listener *attachment_asked(Attachment *attachment, const lun_definition *definition, lun_instance *instance);

/* ---- change.c ---- */
/* Reads a global, or {address, size, memory=}. Raises. */
void change_read_target(lua_State *L, Session *session, int index, lun_change_target *target);
lun_status change_attach(Attachment *attachment, const lun_attach_options *options, lun_error *error);

/* ---- intercept.c ---- */
const lun_interceptor *interceptor_kind(const Listener *listener);

#endif
