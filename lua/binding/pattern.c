/* SPDX-License-Identifier: MIT */
/* string.find, match, gmatch and gsub for scripts that have a budget. A pattern can take time that grows with a power of its
 * text's length; here the matcher counts its steps and gives up when the callback has had its time. What matches is the same
 * as ever: Lua 5.4 reference manual, 6.4.1. */
#include <ctype.h>
#include <string.h>

#include "budget.h"

enum { CAPTURES_MOST = 32, DEPTH_MOST = 200, STEPS = 1024 };
enum { OPEN = -1, POSITION = -2 }; /* sizes of captures that are none yet, and of those by place */

typedef struct Capture {
  const char *start;
  ptrdiff_t size;
} Capture;

typedef struct Matcher {
  lua_State *L;
  Budget *budget;
  const char *text, *text_end, *pattern_end;
  unsigned steps;
  int depth;
  int count;
  Capture captures[CAPTURES_MOST];
} Matcher;

static inline void step(Matcher *m) {
  if (++m->steps < STEPS) return;
  m->steps = 0;
  budget_check(m->L, m->budget);
}

/* A set costs by its length. */
static inline void step_set(Matcher *m, const char *p, const char *last) { m->steps += (unsigned)((last - p) / 64); }

static const char *match(Matcher *m, const char *s, const char *p);

/* ---- one character ---- */
static inline unsigned char byte(const char *at) { return (unsigned char)*at; }

static const char *item_end(Matcher *m, const char *p) {
  if (p == m->pattern_end) luaL_error(m->L, "malformed pattern (ends with '%%')");
  char first = *p++;
  if (first == '%') {
    if (p == m->pattern_end) luaL_error(m->L, "malformed pattern (ends with '%%')");
    return p + 1;
  }
  if (first != '[') return p;
  if (p < m->pattern_end && *p == '^') p++;
  do { /* a ']' that comes first stands for itself */
    if (p == m->pattern_end) luaL_error(m->L, "malformed pattern (missing ']')");
    if (*p++ == '%') {
      if (p == m->pattern_end) luaL_error(m->L, "malformed pattern (missing ']')");
      p++;
    }
  } while (p == m->pattern_end || *p != ']');
  return p + 1;
}

static bool is_of_class(int c, int class) {
  bool is;
  switch (tolower(class)) {
    case 'a': is = isalpha(c); break;
    case 'c': is = iscntrl(c); break;
    case 'd': is = isdigit(c); break;
    case 'g': is = isgraph(c); break;
    case 'l': is = islower(c); break;
    case 'p': is = ispunct(c); break;
    case 's': is = isspace(c); break;
    case 'u': is = isupper(c); break;
    case 'w': is = isalnum(c); break;
    case 'x': is = isxdigit(c); break;
    case 'z': is = c == 0; break;
    default: return class == c;
  }
  return isupper(class) ? !is : is;
}

/* The set from its '[' to its ']', both ends given. */
static bool is_of_set(int c, const char *p, const char *last) {
  bool is = true;
  if (p[1] == '^') is = false, p++;
  while (++p < last) {
    if (*p == '%') {
      p++;
      if (is_of_class(c, byte(p))) return is;
    } else if (p[1] == '-' && p + 2 < last) {
      p += 2;
      if (byte(p - 2) <= c && c <= byte(p)) return is;
    } else if (byte(p) == c) {
      return is;
    }
  }
  return !is;
}

static bool is_single(Matcher *m, const char *s, const char *p, const char *end) {
  if (s >= m->text_end) return false;
  int c = byte(s);
  switch (*p) {
    case '.': return true;
    case '%': return is_of_class(c, byte(p + 1));
    case '[': step_set(m, p, end); return is_of_set(c, p, end - 1);
    default: return byte(p) == c;
  }
}

/* ---- repetitions ---- */
static const char *most_of(Matcher *m, const char *s, const char *p, const char *end) {
  ptrdiff_t count = 0;
  while (is_single(m, s + count, p, end)) count++, step(m);
  for (; count >= 0; count--) {
    const char *found = match(m, s + count, end + 1);
    if (found) return found;
  }
  return NULL;
}

static const char *least_of(Matcher *m, const char *s, const char *p, const char *end) {
  for (;; s++) {
    const char *found = match(m, s, end + 1);
    if (found) return found;
    if (!is_single(m, s, p, end)) return NULL;
  }
}

/* ---- captures ---- */
static const char *capture_begin(Matcher *m, const char *s, const char *p, ptrdiff_t what) {
  if (m->count >= CAPTURES_MOST) luaL_error(m->L, "too many captures");
  m->captures[m->count++] = (Capture){ s, what };
  const char *found = match(m, s, p);
  if (!found) m->count--;
  return found;
}

static const char *capture_finish(Matcher *m, const char *s, const char *p) {
  int which = m->count - 1;
  while (which >= 0 && m->captures[which].size != OPEN) which--;
  if (which < 0) luaL_error(m->L, "invalid pattern capture");
  m->captures[which].size = s - m->captures[which].start;
  const char *found = match(m, s, p);
  if (!found) m->captures[which].size = OPEN;
  return found;
}

static const char *capture_again(Matcher *m, const char *s, int digit) {
  int which = digit - '1';
  if (which < 0 || which >= m->count || m->captures[which].size == OPEN)
    luaL_error(m->L, "invalid capture index %%%d", which + 1);
  size_t size = (size_t)m->captures[which].size;
  m->steps += (unsigned)(size / 256);
  bool is_same = (size_t)(m->text_end - s) >= size && memcmp(m->captures[which].start, s, size) == 0;
  return is_same ? s + size : NULL;
}

/* ---- %b and %f ---- */
static const char *balanced(Matcher *m, const char *s, const char *p) {
  if (p >= m->pattern_end - 1) luaL_error(m->L, "malformed pattern (missing arguments to '%%b')");
  if (s >= m->text_end || *s != *p) return NULL;
  int depth = 1;
  for (s++; s < m->text_end; s++) {
    step(m);
    if (*s == p[1]) {
      if (--depth == 0) return s + 1;
    } else if (*s == *p) {
      depth++;
    }
  }
  return NULL;
}

static bool is_frontier(Matcher *m, const char *s, const char *p, const char *end) {
  int before = s == m->text ? 0 : byte(s - 1), here = s < m->text_end ? byte(s) : 0;
  step_set(m, p, end);
  step(m);
  return !is_of_set(before, p, end - 1) && is_of_set(here, p, end - 1);
}

/* ---- all of it ---- */
/* One item that is no capture and none of %b, %f, %1: true: go on at *s and *p; false: *s is the answer. */
static bool match_item(Matcher *m, const char **s, const char **p) {
  const char *end = item_end(m, *p);
  char repeat = end < m->pattern_end ? *end : 0;
  const char *found = NULL;
  switch (repeat) {
    case '*': *s = most_of(m, *s, *p, end); return false;
    case '-': *s = least_of(m, *s, *p, end); return false;
    case '+': *s = is_single(m, *s, *p, end) ? most_of(m, *s + 1, *p, end) : NULL; return false;
    case '?':
      if (is_single(m, *s, *p, end) && (found = match(m, *s + 1, end + 1))) {
        *s = found;
        return false;
      }
      *p = end + 1;
      return true;
    default:
      if (!is_single(m, *s, *p, end)) {
        *s = NULL;
        return false;
      }
      *s += 1;
      *p = end;
      return true;
  }
}

/* %b, %f, %1 … at *p: as match_item. */
static bool match_special(Matcher *m, const char **s, const char **p) {
  const char *end;
  switch ((*p)[1]) {
    case 'b':
      *s = balanced(m, *s, *p + 2);
      *p += 4;
      return *s != NULL;
    case 'f':
      *p += 2;
      if (*p >= m->pattern_end || **p != '[') luaL_error(m->L, "missing '[' after '%%f' in pattern");
      end = item_end(m, *p);
      if (!is_frontier(m, *s, *p, end)) *s = NULL;
      *p = end;
      return *s != NULL;
    default:
      *s = capture_again(m, *s, byte(*p + 1));
      *p += 2;
      return *s != NULL;
  }
}

static bool is_special(const Matcher *m, const char *p) {
  return *p == '%' && p + 1 < m->pattern_end && (p[1] == 'b' || p[1] == 'f' || isdigit(byte(p + 1)));
}

/* Where the match that begins at `s` ends, or NULL. */
static const char *match(Matcher *m, const char *s, const char *p) {
  if (m->depth++ == DEPTH_MOST) luaL_error(m->L, "pattern too complex");
  bool goes_on = true;
  while (goes_on && p != m->pattern_end) {
    step(m);
    if (*p == '(') {
      bool is_position = p + 1 < m->pattern_end && p[1] == ')';
      s = capture_begin(m, s, p + 1 + is_position, is_position ? POSITION : OPEN);
      goes_on = false;
    } else if (*p == ')') {
      s = capture_finish(m, s, p + 1);
      goes_on = false;
    } else if (*p == '$' && p + 1 == m->pattern_end) {
      if (s != m->text_end) s = NULL;
      goes_on = false;
    } else {
      goes_on = is_special(m, p) ? match_special(m, &s, &p) : match_item(m, &s, &p);
    }
  }
  m->depth--;
  return s;
}

static void begin(Matcher *m, lua_State *L, Budget *budget, const char *text, size_t size, const char *pattern,
                  size_t pattern_size) {
  m->L = L;
  m->budget = budget;
  m->text = text;
  m->text_end = text + size;
  m->pattern_end = pattern + pattern_size;
  m->steps = 0;
}

static const char *match_at(Matcher *m, const char *s, const char *p) {
  m->count = m->depth = 0;
  step(m);
  return match(m, s, p);
}

/* ---- what was captured ---- */
/* Pushes capture `which`; the whole match where there are none. */
static void push_capture(const Matcher *m, int which, const char *s, const char *end) {
  if (which >= m->count) {
    if (which != 0) luaL_error(m->L, "invalid capture index %%%d", which + 1);
    lua_pushlstring(m->L, s, (size_t)(end - s));
    return;
  }
  const Capture *capture = &m->captures[which];
  if (capture->size == OPEN) luaL_error(m->L, "unfinished capture");
  if (capture->size == POSITION) lua_pushinteger(m->L, capture->start - m->text + 1);
  else lua_pushlstring(m->L, capture->start, (size_t)capture->size);
}

/* s NULL: captures alone. */
static int push_captures(const Matcher *m, const char *s, const char *end) {
  int count = m->count == 0 && s ? 1 : m->count;
  luaL_checkstack(m->L, count, "too many captures");
  for (int i = 0; i < count; i++) push_capture(m, i, s, end);
  return count;
}

/* ---- find, match ---- */
static bool has_specials(const char *pattern, size_t size) {
  for (size_t i = 0; i < size; i++)
    if (pattern[i] && strchr("^$*+?.([%-", pattern[i])) return true;
  return false;
}

static const char *find_plain(lua_State *L, Budget *budget, const char *text, size_t size, const char *word, size_t word_size) {
  if (word_size == 0) return text;
  for (const char *end = text + size; (size_t)(end - text) >= word_size; text++) {
    text = memchr(text, word[0], (size_t)(end - text) - word_size + 1);
    if (!text || memcmp(text, word, word_size) == 0) return text;
    budget_check(L, budget);
  }
  return NULL;
}

/* A place counted from the end where it is negative: from 0 on. */
static size_t start_of(lua_Integer position, size_t size) {
  if (position > 0) return (size_t)position - 1;
  if (position == 0 || position < -(lua_Integer)size) return 0;
  return size - (size_t)-position;
}

static int find(lua_State *L, bool wants_place) {
  size_t size, pattern_size;
  const char *text = luaL_checklstring(L, 1, &size), *p = luaL_checklstring(L, 2, &pattern_size);
  size_t start = start_of(luaL_optinteger(L, 3, 1), size);
  Budget *budget = budget_self(L);
  Matcher m;
  if (start > size) return luaL_pushfail(L), 1;
  const char *s = text + start;
  if (wants_place && (lua_toboolean(L, 4) || !has_specials(p, pattern_size))) {
    s = find_plain(L, budget, s, size - start, p, pattern_size);
    if (!s) return luaL_pushfail(L), 1;
    lua_pushinteger(L, s - text + 1);
    lua_pushinteger(L, s - text + (lua_Integer)pattern_size);
    return 2;
  }
  begin(&m, L, budget, text, size, p, pattern_size);
  bool is_anchored = pattern_size && *p == '^';
  if (is_anchored) p++;
  do {
    const char *end = match_at(&m, s, p);
    if (!end) continue;
    if (!wants_place) return push_captures(&m, s, end);
    lua_pushinteger(L, s - text + 1);
    lua_pushinteger(L, end - text);
    return push_captures(&m, NULL, NULL) + 2;
  } while (s++ < m.text_end && !is_anchored);
  return luaL_pushfail(L), 1;
}

static int bounded_find(lua_State *L) {
  return find(L, true);
}

static int bounded_match(lua_State *L) {
  return find(L, false);
}

/* ---- gmatch ---- */
typedef struct Search {
  Matcher matcher;
  const char *at, *pattern, *last; /* last: where the match before ended */
} Search;

static int gmatch_next(lua_State *L) {
  Search *search = lua_touserdata(L, lua_upvalueindex(3));
  search->matcher.L = L;
  for (const char *s = search->at; s <= search->matcher.text_end; s++) {
    const char *end = match_at(&search->matcher, s, search->pattern);
    if (!end || end == search->last) continue;
    search->at = search->last = end;
    return push_captures(&search->matcher, s, end);
  }
  return 0;
}

static int bounded_gmatch(lua_State *L) {
  size_t size, pattern_size;
  const char *text = luaL_checklstring(L, 1, &size), *pattern = luaL_checklstring(L, 2, &pattern_size);
  size_t start = start_of(luaL_optinteger(L, 3, 1), size);
  if (start > size) start = size + 1;
  lua_settop(L, 2);
  Search *search = lua_newuserdatauv(L, sizeof *search, 0);
  begin(&search->matcher, L, budget_self(L), text, size, pattern, pattern_size);
  search->at = text + start;
  search->pattern = pattern;
  search->last = NULL;
  lua_pushvalue(L, lua_upvalueindex(1)); /* keeps the budget */
  lua_pushcclosure(L, gmatch_next, 4);
  return 1;
}

/* ---- gsub ---- */
static void add_text(Matcher *m, luaL_Buffer *buffer, const char *s, const char *end) {
  size_t size;
  const char *news = lua_tolstring(m->L, 3, &size), *news_end = news + size, *p;
  while ((p = memchr(news, '%', (size_t)(news_end - news)))) {
    step(m);
    luaL_addlstring(buffer, news, (size_t)(p - news));
    p++;
    int c = p < news_end ? byte(p) : 0;
    if (c == '%') {
      luaL_addchar(buffer, '%');
    } else if (c == '0') {
      luaL_addlstring(buffer, s, (size_t)(end - s));
    } else if (isdigit(c)) {
      push_capture(m, c - '1', s, end);
      luaL_tolstring(m->L, -1, NULL); /* a place becomes text */
      lua_remove(m->L, -2);
      luaL_addvalue(buffer);
    } else {
      luaL_error(m->L, "invalid use of '%%' in replacement string");
    }
    news = p + 1;
  }
  luaL_addlstring(buffer, news, (size_t)(news_end - news));
}

/* Whether the match was replaced by something else. */
static bool add_replacement(Matcher *m, luaL_Buffer *buffer, const char *s, const char *end, int type) {
  lua_State *L = m->L;
  switch (type) {
    case LUA_TFUNCTION:
      lua_pushvalue(L, 3);
      lua_call(L, push_captures(m, s, end), 1);
      break;
    case LUA_TTABLE:
      push_capture(m, 0, s, end);
      lua_gettable(L, 3);
      break;
    default:
      add_text(m, buffer, s, end);
      return true;
  }
  if (!lua_toboolean(L, -1)) {
    lua_pop(L, 1);
    luaL_addlstring(buffer, s, (size_t)(end - s));
    return false;
  }
  if (!lua_isstring(L, -1)) luaL_error(L, "invalid replacement value (a %s)", luaL_typename(L, -1));
  luaL_addvalue(buffer);
  return true;
}

static int bounded_gsub(lua_State *L) {
  size_t size, pattern_size;
  const char *text = luaL_checklstring(L, 1, &size), *p = luaL_checklstring(L, 2, &pattern_size), *s = text, *last = NULL;
  int type = lua_type(L, 3);
  lua_Integer most = luaL_optinteger(L, 4, (lua_Integer)size + 1), count = 0;
  bool is_anchored = pattern_size && *p == '^', has_changed = false;
  luaL_Buffer buffer;
  Matcher m;
  luaL_argexpected(L, type == LUA_TNUMBER || type == LUA_TSTRING || type == LUA_TFUNCTION || type == LUA_TTABLE, 3,
                   "string/function/table");
  begin(&m, L, budget_self(L), text, size, p, pattern_size);
  luaL_buffinit(L, &buffer);
  if (is_anchored) p++;
  while (count < most) {
    const char *end = match_at(&m, s, p);
    if (end && end != last) {
      count++;
      has_changed = add_replacement(&m, &buffer, s, end, type) || has_changed;
      s = last = end;
    } else if (s < m.text_end) {
      luaL_addchar(&buffer, *s++);
    } else {
      break;
    }
    if (is_anchored) break;
  }
  if (has_changed) {
    luaL_addlstring(&buffer, s, (size_t)(m.text_end - s));
    luaL_pushresult(&buffer);
  } else {
    lua_pushvalue(L, 1);
  }
  lua_pushinteger(L, count);
  return 2;
}

void pattern_install(lua_State *L) {
  static const luaL_Reg functions[] = {
    { "find", bounded_find }, { "match", bounded_match }, { "gmatch", bounded_gmatch }, { "gsub", bounded_gsub }, { NULL, NULL },
  };
  budget_replace(L, "string", functions);
}
