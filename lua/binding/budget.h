/* SPDX-License-Identifier: MIT */
/* Budgets: the time that one callback may take, and the memory that all scripts may have together.
 *
 * budget.c keeps them. The library functions of Lua that can be at work for seconds, or that Lua's hooks cannot reach, have
 * replacements while a budget is set: pattern.c (string.find and its like), bounded.c (string.rep, table.move …, coroutines,
 * xpcall, load), finalizer.c (__gc). They behave as the originals do, and end when a callback has had its time. */
#ifndef LUNETTE_BUDGET_H
#define LUNETTE_BUDGET_H

#include <stdatomic.h>
#include <time.h>

#include "objects.h"

typedef enum Excess { EXCESS_NONE, EXCESS_TIME, EXCESS_MEMORY } Excess;

/* One for each Lua state in which a session has set a budget: a userdata in the registry, and upvalue 1 of the replacements.
 * What is atomic the signal's handler uses, too, on the same thread. */
struct Budget {
  _Atomic(lua_State *) running; /* the coroutine that runs for a callback; NULL: no callback is at work */
  atomic_uint left;             /* ticks of the timer until the callback has had its time; 0: it has */
  atomic_uint idle;             /* ticks since a callback was seen at work */
  atomic_bool armed;
  atomic_int excess;            /* the callback's, an Excess; it stays until the callback ends */
  timer_t timer;
  bool has_timer;
  unsigned timed;               /* sessions that have a time */
  uint64_t tick_ns;
  unsigned ticks;               /* of a finalizer: those of the session that came last */
  uint64_t time_ns;
  Excess ended;                 /* the excess of the callback that ended last */
  /* The memory that is counted: what has been allocated since the budget was set, less what has been freed. */
  lua_Alloc allocate;           /* what was there before; NULL: nothing is counted */
  void *allocator;
  int64_t used, most;           /* most: 0: no limit */
  const void *refused_block;    /* a request that was refused, and has not been granted since */
  size_t refused_size;
  bool refused;
  lua_State *finalizing;        /* where finalizers run */
  unsigned finalizers_over;     /* so many have exceeded their budget */
  char place[128];              /* "x.lua:3: ", where the callback exceeded its budget; "": not known */
  unsigned passed;              /* steps of lunette's own that it was granted since */
  lua_CFunction close_box;      /* Lua's own, which frees what a string was built in */
  Session *session;             /* that tells of finalizers; NULL: it is closed */
  char own[256];                /* how the sources of lunette's own Lua files begin */
};

/* The Lua state's; NULL: there is none. */
Budget *budget_of(lua_State *L);
/* Raises where the callback at work has exceeded its budget: for loops of replacements. */
static inline void budget_check(lua_State *L, Budget *budget);
int budget_raise(lua_State *L, Budget *budget);
/* From here on every instruction on L raises. */
void budget_interrupt(Budget *budget, lua_State *L);
/* "x.lua:3: exceeded its script-time of 50ms" */
void budget_excess_text(const Budget *budget, Excess excess, char *text, size_t room);
enum { BUDGET_TEXT = 256 };
/* Whether the text says that already. */
bool budget_is_excess(const char *text);

static inline void budget_check(lua_State *L, Budget *budget) {
  if (__builtin_expect(atomic_load_explicit(&budget->excess, memory_order_relaxed) != EXCESS_NONE, 0)) budget_raise(L, budget);
}

static inline lua_State *budget_running(Budget *budget) {
  return atomic_load_explicit(&budget->running, memory_order_relaxed);
}

/* A callback at work, nested in another or not. */
typedef struct BudgetFrame {
  lua_State *running;
  unsigned left;
  int excess;
  unsigned passed;
  bool refused;
} BudgetFrame;
void budget_begin(Budget *budget, lua_State *L, unsigned ticks, BudgetFrame *outer);
Excess budget_end(Budget *budget, lua_State *L, const BudgetFrame *outer);

/* The replacements: each puts its own into the libraries of L. The budget's userdata is on top; it stays there. */
void pattern_install(lua_State *L);
void bounded_install(lua_State *L);
void finalizer_install(lua_State *L);
/* Puts functions with the budget as their upvalue into the table `library` of the globals (NULL: into these). */
void budget_replace(lua_State *L, const char *library, const luaL_Reg *functions);
static inline Budget *budget_self(lua_State *L) { return lua_touserdata(L, lua_upvalueindex(1)); }

#endif
