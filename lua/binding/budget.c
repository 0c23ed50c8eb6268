/* SPDX-License-Identifier: MIT */
/* What callbacks may take: time, by a timer and one signal; memory, by the Lua state's allocator.
 *
 * Nothing is asked of Lua while a callback keeps within its time. The timer counts the processor time of the guest's thread
 * and ticks only while callbacks are at work: at some the handler finds none, and stops it. One that has been at work for so
 * many ticks has had its time: the handler sets Lua's hook on the coroutine that is running, which lua_sethook allows, and
 * from then on every instruction raises, so that pcall can't swallow it; replacements of library functions look at the mark
 * that it leaves (`excess`). Lunette's own Lua functions, and the C functions that they call, are let through to their end,
 * since they keep the books, unless that is far away: their loops may be over what a script has made.
 *
 * The allocator refuses what goes beyond the limit while a callback is at work, never what lunette itself needs. Lua then
 * collects its garbage and asks once more. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "budget.h"

#define NS_PER_SECOND UINT64_C(1000000000)
#define TICKS_PER_BUDGET 4
#define TICK_LEAST UINT64_C(1000000)
#define TICK_MOST UINT64_C(100000000)
enum { IDLE_MOST = 4, ALL_EVENTS = LUA_MASKCALL | LUA_MASKRET | LUA_MASKLINE | LUA_MASKCOUNT };
enum { PLACE_MOST = 30 };                    /* levels that are looked at for a line */
enum { PASSED_MOST = 1 << 20 };              /* steps of lunette's own that are let through: less than a second */
enum { SLACK = 256 * 1024 };                 /* for saying what is wrong */
#define MEMORY_WITH_TIME (INT64_C(256) << 20) /* keeps what is linear in a value's size short, too */
#define MEMORY_MOST (INT64_MAX / 4)          /* sums of two are none too large */
#define LOAD_NS NS_PER_SECOND

static const char budget_key; /* registry: the Budget */

Budget *budget_of(lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &budget_key);
  Budget *budget = lua_touserdata(L, -1);
  lua_pop(L, 1);
  return budget;
}

/* ---- saying so ---- */
static void duration_text(uint64_t ns, char *text, size_t room) {
  if (ns >= NS_PER_SECOND) snprintf(text, room, "%gs", (double)ns / 1e9);
  else if (ns >= 1000000) snprintf(text, room, "%gms", (double)ns / 1e6);
  else snprintf(text, room, "%gus", (double)ns / 1e3);
}

static void size_text(int64_t bytes, char *text, size_t room) {
  static const char units[] = "KMGT";
  int unit = -1;
  while (unit < 3 && bytes >= 1024 && bytes % 1024 == 0) bytes /= 1024, unit++;
  if (unit < 0) snprintf(text, room, "%lld bytes", (long long)bytes);
  else snprintf(text, room, "%lld%c", (long long)bytes, units[unit]);
}

void budget_excess_text(const Budget *budget, Excess excess, char *text, size_t room) {
  char most[64];
  if (excess == EXCESS_MEMORY) size_text(budget->most, most, sizeof most);
  else duration_text(budget->time_ns, most, sizeof most);
  snprintf(text, room, "%sexceeded %s of %s", budget->place, excess == EXCESS_MEMORY ? "the script-memory" : "its script-time",
           most);
}

bool budget_is_excess(const char *text) {
  return strstr(text, "exceeded its script-time of ") || strstr(text, "exceeded the script-memory of ");
}

static void push_excess_text(lua_State *L, const Budget *budget, Excess excess) {
  char text[BUDGET_TEXT];
  budget_excess_text(budget, excess, text, sizeof text);
  lua_pushstring(L, text);
}

static bool is_own(const Budget *budget, const lua_Debug *info) {
  return budget->own[0] && strncmp(info->source, budget->own, strlen(budget->own)) == 0;
}

/* Notes the innermost line of a script's, for what is said of the excess. Needs no memory: the allocator, too, calls it. */
static void note_place(lua_State *L, Budget *budget) {
  lua_Debug info;
  for (int level = 0; !budget->place[0] && level < PLACE_MOST && lua_getstack(L, level, &info); level++) {
    if (!lua_getinfo(L, "Sl", &info) || info.currentline <= 0 || is_own(budget, &info)) continue;
    snprintf(budget->place, sizeof budget->place, "%s:%d: ", info.short_src, info.currentline);
  }
}

int budget_raise(lua_State *L, Budget *budget) {
  note_place(L, budget);
  push_excess_text(L, budget, (Excess)atomic_load_explicit(&budget->excess, memory_order_relaxed));
  return lua_error(L);
}

static bool is_called_by_own(lua_State *L, const Budget *budget) {
  lua_Debug caller;
  return lua_getstack(L, 1, &caller) && lua_getinfo(L, "S", &caller) && is_own(budget, &caller);
}

/* Lunette's own, and what frees the memory of a string that is not finished: they end by themselves. */
static bool is_let_through(lua_State *L, const Budget *budget, lua_Debug *info) {
  if (*info->what != 'C') return is_own(budget, info);
  lua_getinfo(L, "f", info);
  lua_CFunction function = lua_tocfunction(L, -1);
  lua_pop(L, 1);
  return function == error_text_handler || function == error_host_handler || (function && function == budget->close_box) ||
         is_called_by_own(L, budget);
}

static void on_hook(lua_State *L, lua_Debug *info) {
  Budget *budget = budget_of(L);
  if (!budget || atomic_load_explicit(&budget->excess, memory_order_relaxed) == EXCESS_NONE) {
    lua_sethook(L, NULL, 0, 0); /* of a callback that is over */
    return;
  }
  bool passes = lua_getinfo(L, "S", info) && budget->passed < PASSED_MOST && is_let_through(L, budget, info);
  if (!passes) budget_raise(L, budget);
  budget->passed++;
}

void budget_interrupt(Budget *budget, lua_State *L) {
  (void)budget;
  lua_sethook(L, on_hook, ALL_EVENTS, 1);
}

/* ---- the signal ---- */
/* The disposition of a signal is the process's, and so is this. */
static pthread_mutex_t signal_lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned signal_users;
static int signal_number;
static struct sigaction signal_before;

/* `count`: the kernel's own ticks may be further apart than ours; it says how many it has left out. */
static void tick(Budget *budget, unsigned count) {
  lua_State *L = budget_running(budget);
  if (!L) {
    if (atomic_fetch_add_explicit(&budget->idle, 1, memory_order_relaxed) + 1 < IDLE_MOST) return;
    static const struct itimerspec never = { { 0, 0 }, { 0, 0 } };
    atomic_store_explicit(&budget->armed, false, memory_order_relaxed);
    timer_settime(budget->timer, 0, &never, NULL);
    return;
  }
  atomic_store_explicit(&budget->idle, 0, memory_order_relaxed);
  unsigned left = atomic_load_explicit(&budget->left, memory_order_relaxed);
  if (left > count) {
    atomic_store_explicit(&budget->left, left - count, memory_order_relaxed);
    return;
  }
  /* Also again, where it is late: the coroutine may be another one. */
  atomic_store_explicit(&budget->left, 0, memory_order_relaxed);
  if (atomic_load_explicit(&budget->excess, memory_order_relaxed) == EXCESS_NONE)
    atomic_store_explicit(&budget->excess, EXCESS_TIME, memory_order_relaxed);
  lua_sethook(L, on_hook, ALL_EVENTS, 1);
}

static void on_signal(int number, siginfo_t *info, void *unused) {
  int saved = errno;
  (void)number, (void)unused;
  if (info->si_code == SI_TIMER) tick(info->si_value.sival_ptr, 1 + (unsigned)info->si_overrun);
  errno = saved;
}

/* A signal that nobody has a use for; 0: there is none. */
static int free_signal(void) {
  for (int number = SIGRTMIN; number <= SIGRTMAX; number++) {
    struct sigaction action;
    if (sigaction(number, NULL, &action) == 0 && action.sa_handler == SIG_DFL) return number;
  }
  return 0;
}

static int signal_acquire(void) {
  int number;
  pthread_mutex_lock(&signal_lock);
  if (signal_users == 0) {
    struct sigaction action = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_RESTART };
    sigemptyset(&action.sa_mask);
    signal_number = free_signal();
    if (signal_number && sigaction(signal_number, &action, &signal_before) != 0) signal_number = 0;
  }
  if (signal_number) signal_users++;
  number = signal_number;
  pthread_mutex_unlock(&signal_lock);
  return number;
}

static void signal_release(void) {
  pthread_mutex_lock(&signal_lock);
  if (--signal_users == 0) {
    struct sigaction ignore = { .sa_handler = SIG_IGN };
    sigemptyset(&ignore.sa_mask);
    sigaction(signal_number, &ignore, NULL); /* one that is pending is discarded by this */
    sigaction(signal_number, &signal_before, NULL);
  }
  pthread_mutex_unlock(&signal_lock);
}

/* 0, or an errno. */
static int timer_open(Budget *budget, uint64_t time_ns) {
  int number = signal_acquire();
  if (!number) return EAGAIN;
  struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = number, .sigev_value = { .sival_ptr = budget } };
  event._sigev_un._tid = gettid(); /* glibc's header gives the field no other name before 2.38 */
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, number);
  if (timer_create(CLOCK_THREAD_CPUTIME_ID, &event, &budget->timer) != 0 &&
      timer_create(CLOCK_MONOTONIC, &event, &budget->timer) != 0) {
    int failure = errno;
    signal_release();
    return failure;
  }
  pthread_sigmask(SIG_UNBLOCK, &set, NULL);
  uint64_t tick_ns = time_ns / TICKS_PER_BUDGET;
  budget->tick_ns = tick_ns < TICK_LEAST ? TICK_LEAST : tick_ns > TICK_MOST ? TICK_MOST : tick_ns;
  budget->has_timer = true;
  return 0;
}

static __attribute__((noinline, cold)) void arm(Budget *budget) {
  struct timespec period = { (time_t)(budget->tick_ns / NS_PER_SECOND), (long)(budget->tick_ns % NS_PER_SECOND) };
  struct itimerspec value = { period, period };
  atomic_store_explicit(&budget->idle, 0, memory_order_relaxed);
  atomic_store_explicit(&budget->armed, true, memory_order_relaxed);
  timer_settime(budget->timer, 0, &value, NULL);
}

/* ---- callbacks ---- */
/* The handler, which may come between any two of these, changes nothing while nobody is said to run. */
void budget_begin(Budget *budget, lua_State *L, unsigned ticks, BudgetFrame *outer) {
  outer->running = budget_running(budget);
  atomic_store_explicit(&budget->running, NULL, memory_order_relaxed);
  atomic_signal_fence(memory_order_seq_cst);
  outer->left = atomic_load_explicit(&budget->left, memory_order_relaxed);
  outer->excess = atomic_load_explicit(&budget->excess, memory_order_relaxed);
  outer->refused = budget->refused;
  outer->passed = budget->passed;
  budget->refused = false;
  budget->passed = 0;
  budget->place[0] = 0;
  atomic_store_explicit(&budget->left, ticks, memory_order_relaxed);
  atomic_store_explicit(&budget->excess, EXCESS_NONE, memory_order_relaxed);
  atomic_signal_fence(memory_order_seq_cst);
  atomic_store_explicit(&budget->running, L, memory_order_relaxed);
  atomic_signal_fence(memory_order_seq_cst);
  if (budget->has_timer && !atomic_load_explicit(&budget->armed, memory_order_relaxed)) arm(budget);
}

Excess budget_end(Budget *budget, lua_State *L, const BudgetFrame *outer) {
  atomic_store_explicit(&budget->running, NULL, memory_order_relaxed);
  atomic_signal_fence(memory_order_seq_cst);
  if (budget->refused && atomic_load_explicit(&budget->excess, memory_order_relaxed) == EXCESS_NONE)
    atomic_store_explicit(&budget->excess, EXCESS_MEMORY, memory_order_relaxed);
  budget->refused = outer->refused;
  budget->passed = outer->passed;
  budget->ended = (Excess)atomic_load_explicit(&budget->excess, memory_order_relaxed);
  if (budget->ended != EXCESS_NONE) lua_sethook(L, NULL, 0, 0);
  atomic_store_explicit(&budget->left, outer->left, memory_order_relaxed);
  atomic_store_explicit(&budget->excess, outer->excess, memory_order_relaxed);
  atomic_signal_fence(memory_order_seq_cst);
  atomic_store_explicit(&budget->running, outer->running, memory_order_relaxed);
  /* What went on in between may have cost the outer one its hook. */
  if (outer->excess != EXCESS_NONE && outer->running) budget_interrupt(budget, outer->running);
  return budget->ended;
}

/* (budget, traceback) */
static int push_excess(lua_State *L) {
  push_excess_text(L, lua_touserdata(L, 1), ((const Budget *)lua_touserdata(L, 1))->ended);
  lua_pushstring(L, lua_touserdata(L, 2));
  lua_concat(L, 2);
  return 1;
}

/* What the callback has left above `base`, a failure or not, becomes what is to be said: its own words, if they are of it. */
static int say_excess(lua_State *L, Budget *budget, int base, int status) {
  if (status != LUA_OK && lua_type(L, -1) != LUA_TSTRING) return status; /* what a handler has made of it */
  const char *text = status != LUA_OK ? lua_tostring(L, -1) : "";
  const char *traceback = strchr(text, '\n');
  if (budget_is_excess(text)) return status;
  if (status == LUA_OK) lua_settop(L, base);
  lua_pushcfunction(L, push_excess);
  lua_pushlightuserdata(L, budget);
  lua_pushlightuserdata(L, (void *)(uintptr_t)(traceback ? traceback : ""));
  (void)!lua_pcall(L, 2, 1, 0); /* else that there is no memory is on top */
  if (status != LUA_OK) lua_replace(L, base + 1);
  return LUA_ERRRUN;
}

int budget_pcall_in(Session *session, lua_State *L, int arguments, int results, int handler, unsigned ticks) {
  Budget *budget = session->budget;
  BudgetFrame outer;
  int base = lua_gettop(L) - arguments - 1;
  if (handler < 0) handler = lua_gettop(L) + 1 + handler;
  if (!lua_checkstack(L, 8)) { /* for the message */
    lua_settop(L, base);
    lua_pushnil(L);
    return LUA_ERRMEM;
  }
  budget->time_ns = ticks == session->budget_ticks ? session->script_time_ns : LOAD_NS;
  budget_begin(budget, L, ticks, &outer);
  int status = lua_pcall(L, arguments, results, handler);
  Excess excess = budget_end(budget, L, &outer);
  if (excess != EXCESS_NONE) session->excesses++;
  return excess == EXCESS_NONE ? status : say_excess(L, budget, base, status);
}

/* What is asked of a script while another callback is at work is charged to that one. */
int budget_pcall_shared(Session *session, lua_State *L, int arguments, int results, int handler) {
  Budget *budget = session->budget;
  if (budget && budget_running(budget)) {
    int status = lua_pcall(L, arguments, results, handler);
    budget->ended = (Excess)atomic_load_explicit(&budget->excess, memory_order_relaxed);
    return status;
  }
  if (!budget) return lua_pcall(L, arguments, results, handler);
  return budget_pcall_in(session, L, arguments, results, handler, session->budget_ticks);
}

lua_State *budget_suspend(Session *session) {
  lua_State *running = budget_running(session->budget);
  atomic_store_explicit(&session->budget->running, NULL, memory_order_relaxed);
  return running;
}

void budget_resume(Session *session, lua_State *running) {
  atomic_signal_fence(memory_order_seq_cst);
  atomic_store_explicit(&session->budget->running, running, memory_order_relaxed);
}

bool budget_was_exceeded(const Session *session) {
  return session->budget && session->budget->ended != EXCESS_NONE;
}

bool budget_is_timed(lua_State *L) {
  Budget *budget = budget_of(L);
  return budget && budget->has_timer && budget_running(budget);
}

/* ---- memory ---- */
/* Not the first of two requests for the same: Lua has collected its garbage in between. */
static void *refuse(Budget *budget, lua_State *running, const void *block, size_t size) {
  if (budget->refused && budget->refused_block == block && budget->refused_size == size) {
    if (atomic_load_explicit(&budget->excess, memory_order_relaxed) == EXCESS_NONE)
      atomic_store_explicit(&budget->excess, EXCESS_MEMORY, memory_order_relaxed);
    budget_interrupt(budget, running);
  }
  note_place(running, budget);
  budget->refused = true;
  budget->refused_block = block;
  budget->refused_size = size;
  return NULL;
}

static void *allocate(void *self, void *block, size_t old, size_t size) {
  Budget *budget = self;
  int64_t more = (int64_t)size - (block ? (int64_t)old : 0);
  lua_State *running = budget_running(budget);
  if (more > 0 && running && budget->most) {
    bool is_late = atomic_load_explicit(&budget->excess, memory_order_relaxed) == EXCESS_MEMORY;
    if (more > budget->most + (is_late ? SLACK : 0) - budget->used) return refuse(budget, running, block, size);
    if (budget->refused && budget->refused_block == block && budget->refused_size == size) {
      budget->refused = false;
      if (!is_late) budget->place[0] = 0;
    }
  }
  void *made = budget->allocate(budget->allocator, block, old, size);
  if (made || size == 0) budget->used += more;
  return made;
}

/* ---- setting one ---- */
static void timer_close(Budget *budget) {
  if (!budget->has_timer) return;
  timer_delete(budget->timer);
  signal_release();
  budget->has_timer = false;
  atomic_store_explicit(&budget->armed, false, memory_order_relaxed);
}

static int budget_gc(lua_State *L) {
  Budget *budget = lua_touserdata(L, 1);
  void *self;
  timer_close(budget);
  if (budget->allocate && lua_getallocf(L, &self) == allocate && self == budget)
    lua_setallocf(L, budget->allocate, budget->allocator);
  return 0;
}

void budget_replace(lua_State *L, const char *library, const luaL_Reg *functions) {
  int budget = lua_gettop(L);
  if (!library) lua_pushglobaltable(L);
  else if (lua_getglobal(L, library) != LUA_TTABLE) { /* a program without it has nothing to replace */
    lua_settop(L, budget);
    return;
  }
  lua_pushvalue(L, budget);
  luaL_setfuncs(L, functions, 1);
  lua_settop(L, budget);
}

/* A long string is built in a box that is closed, also when an error goes past it. */
static void find_close_box(lua_State *L, Budget *budget) {
  luaL_Buffer buffer;
  luaL_buffinitsize(L, &buffer, LUAL_BUFFERSIZE + 1);
  luaL_pushresultsize(&buffer, 0);
  lua_pop(L, 1);
  if (luaL_getmetatable(L, "_UBOX*") == LUA_TTABLE) {
    lua_getfield(L, -1, "__close");
    budget->close_box = lua_tocfunction(L, -1);
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
}

/* Leaves the Lua state's budget on top. */
static Budget *budget_open(lua_State *L) {
  Budget *budget;
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &budget_key) == LUA_TUSERDATA) return lua_touserdata(L, -1);
  lua_pop(L, 1);
  budget = lua_newuserdatauv(L, sizeof *budget, 1);
  memset(budget, 0, sizeof *budget);
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, budget_gc);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  budget->finalizing = lua_newthread(L);
  running_keep(L, -1);
  lua_setiuservalue(L, -2, 1);
  find_close_box(L, budget);
  pattern_install(L);
  bounded_install(L);
  finalizer_install(L);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &budget_key);
  return budget;
}

static unsigned ticks_of(const Budget *budget, uint64_t ns) {
  uint64_t ticks = budget->tick_ns ? (ns + budget->tick_ns - 1) / budget->tick_ns + 1 : UINT32_MAX;
  return ticks < UINT32_MAX ? (unsigned)ticks : UINT32_MAX;
}

/* A number of bytes, or a text with a unit: "64K", "8M". Raises. */
static int64_t size_check(lua_State *L, int index, const char *what) {
  static const char units[] = "KMGT";
  lua_Integer number = 0;
  int is_integer = lua_type(L, index) == LUA_TNUMBER;
  if (is_integer) number = lua_tointegerx(L, index, &is_integer);
  if (lua_type(L, index) == LUA_TSTRING) {
    char *end;
    const char *text = lua_tostring(L, index), *unit;
    long long value = strtoll(text, &end, 10);
    unit = *end ? strchr(units, *end) : NULL;
    int shift = unit ? 10 * (int)(unit - units + 1) : 0;
    is_integer = end > text && (!*end || (unit && !end[1])) && value > 0 && value <= INT64_MAX >> shift;
    if (is_integer) number = (lua_Integer)(value * (INT64_C(1) << shift));
  }
  if (!is_integer || number < 1) luaL_error(L, "%s: a size expected, as \"8M\" or a number of bytes, got %s", what, luaL_tolstring(L, index, NULL));
  return number;
}

/* (session, time or nil, memory or nil, how the sources of lunette's own files begin) */
int core_budget(lua_State *L) {
  Session *session = session_check(L, 1);
  int64_t time_ns = lua_isnoneornil(L, 2) ? 0 : (int64_t)duration_check(L, 2, "script_time");
  int64_t memory = lua_isnoneornil(L, 3) ? 0 : size_check(L, 3, "script_memory");
  const char *own = luaL_checkstring(L, 4);
  if (!time_ns && !memory) return 0;
  if (session->guard) return luaL_error(L, "a budget can't be set while the guest runs");
  Budget *budget = budget_open(L);
  if (time_ns && !budget->has_timer) {
    int failure = timer_open(budget, (uint64_t)time_ns);
    if (failure) return luaL_error(L, "there is no timer for a script-time: %s", strerror(failure));
  }
  snprintf(budget->own, sizeof budget->own, "%s", own);
  session->script_time_ns = (uint64_t)time_ns;
  if (time_ns) budget->timed++;
  session->budget_ticks = time_ns ? ticks_of(budget, (uint64_t)time_ns) : UINT32_MAX;
  session->budget_load_ticks = time_ns ? ticks_of(budget, (uint64_t)time_ns > LOAD_NS ? (uint64_t)time_ns : LOAD_NS) : UINT32_MAX;
  budget->ticks = session->budget_ticks;
  budget->most = memory > MEMORY_MOST ? MEMORY_MOST : memory ? memory : MEMORY_WITH_TIME;
  if (!budget->allocate) {
    budget->allocate = lua_getallocf(L, &budget->allocator);
    lua_setallocf(L, allocate, budget);
  }
  budget->session = session;
  budget->finalizers_over = 0; /* those of sessions before are not this one's */
  session->budget = budget;
  return 0;
}

/* (session, function, handler) -> whether it went well, and what it has raised: a script's chunk (`is_load`), or at_exit. */
static int call_budgeted(lua_State *L, bool is_load) {
  Session *session = session_check(L, 1);
  int status;
  lua_settop(L, 3);
  lua_insert(L, 2); /* session, handler, function */
  if (!session->budget || budget_running(session->budget)) status = lua_pcall(L, 0, 0, 2);
  else status = budget_pcall_in(session, L, 0, 0, 2, is_load ? session->budget_load_ticks : session->budget_ticks);
  lua_pushboolean(L, status == LUA_OK);
  if (status == LUA_OK) return 1;
  lua_insert(L, -2);
  return 2;
}

int session_call_load(lua_State *L) {
  return call_budgeted(L, true);
}

int session_call_callback(lua_State *L) {
  return call_budgeted(L, false);
}

/* (session, function, …) -> what it gives: for somebody at a prompt, who takes what time he likes, and nobody else's */
int session_without_budget(lua_State *L) {
  Session *session = session_check(L, 1);
  lua_State *running = session->budget ? budget_suspend(session) : NULL;
  const lun_stopped stopped = lun_store_clock_stop(session->store);
  int status = lua_pcall(L, lua_gettop(L) - 2, LUA_MULTRET, 0);
  lun_store_clock_go(session->store, &stopped);
  if (session->budget) budget_resume(session, running);
  return status == LUA_OK ? lua_gettop(L) - 1 : lua_error(L);
}

/* Of the command's the timer stays for what finalizers do when the Lua state is closed. */
void budget_forget(Session *session) {
  Budget *budget = session->budget;
  if (!budget) return;
  if (budget->session == session) budget->session = NULL;
  if (session->script_time_ns && --budget->timed == 0 && !session->is_loan) timer_close(budget);
  session->budget = NULL;
}
