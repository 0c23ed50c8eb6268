/* SPDX-License-Identifier: MIT */
/* Tags, exceptions, and throwing: which frame catches is found before anything is undone, by the call records on the way and
 * each function's list of catches; then the records above that frame are taken off the side stack, their calls told abort.
 *
 * Whoever is outside of the guest counts its holds on an exception. What the guest holds lies in slots whose types are not
 * known: so from time to time all words of the stack, and of tables and globals of exnref, are looked through for addresses
 * of exceptions, and those that nobody has are freed. A word that only looks like an address keeps one too long, which does
 * no harm. The next time comes when as many bytes as were found alive, and as the search had to read, have been thrown. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "engine.h"

/* ---- finding those that are gone ---- */
enum { COLLECT_LEAST = 64 << 10 };

typedef struct Search {
  Exception **items;        /* sorted by address */
  size_t count;
  Exception *found;         /* whose values have not been read yet */
  uint64_t read;            /* bytes */
} Search;

static size_t exception_size(const Exception *exception) {
  return sizeof *exception + exception->tag->type->type.param_slots * sizeof *exception->values;
}

static int compare_addresses(const void *a, const void *b) {
  uintptr_t x = (uintptr_t)*(Exception *const *)a, y = (uintptr_t)*(Exception *const *)b;
  return (x > y) - (x < y);
}

static void mark(Search *search, Exception *exception) {
  if (exception->is_marked) return;
  exception->is_marked = true;
  exception->next = search->found;
  search->found = exception;
}

static void mark_slots(Search *search, const Slot *slots, size_t count) {
  uint64_t first = (uintptr_t)search->items[0], span = (uintptr_t)search->items[search->count - 1] - first;
  search->read += count * sizeof *slots;
  for (size_t i = 0; i < count; i++) {
    if (slots[i] - first > span) continue;
    size_t low = 0, high = search->count;
    while (low < high) {
      size_t middle = low + (high - low) / 2;
      if ((uintptr_t)search->items[middle] < slots[i]) low = middle + 1;
      else high = middle;
    }
    if ((uintptr_t)search->items[low] == slots[i]) mark(search, search->items[low]);
  }
}

static void mark_reachable(Store *store, Search *search, const Slot *end) {
  /* At an entry that may yet be refused the frame does not fit. */
  if ((uintptr_t)end > store->true_limit) end = (const Slot *)store->true_limit;
  for (size_t i = 0; i < search->count; i++)
    if (search->items[i]->holders > 0) mark(search, search->items[i]);
  mark_slots(search, store->stack, (size_t)(end - store->stack));
  for (const Record *record = store->record; record; record = record->prev) {
    if (record->kind == RECORD_CALL && record->params)
      mark_slots(search, record->params, record->function->type->type.param_slots);
    else if (record->kind == RECORD_INTERCEPT)
      mark_slots(search, record->params, record->id);
  }
  for (size_t i = 0; i < store->tables.count; i++) {
    const Table *table = store->tables.items[i];
    if (lun_type_top(table->type) == LUN_EXNREF) mark_slots(search, table->items, table->count);
  }
  for (size_t i = 0; i < store->globals.count; i++)
    if (lun_type_top(store->globals.items[i]->type) == LUN_EXNREF) mark_slots(search, store->globals.items[i]->value, 1);
  while (search->found) {
    Exception *exception = search->found;
    search->found = exception->next;
    mark_slots(search, exception->values, exception->tag->type->type.param_slots);
  }
}

static void collect(Store *store, const Slot *end) {
  Search search = { .items = store->exceptions.items, .count = store->exceptions.count };
  if (search.count > 0) {
    qsort(search.items, search.count, sizeof *search.items, compare_addresses);
    mark_reachable(store, &search, end);
  }
  size_t kept = 0;
  store->exception_bytes = 0;
  for (size_t i = 0; i < search.count; i++) {
    Exception *exception = search.items[i];
    if (exception->is_marked) {
      exception->is_marked = false;
      store->exception_bytes += exception_size(exception);
      search.items[kept++] = exception;
    } else {
      free(exception);
    }
  }
  store->exceptions.count = kept;
  store->exception_mark = 2 * store->exception_bytes + search.read + COLLECT_LEAST;
}

lun_status exception_create(Store *store, const Tag *tag, const Slot *values, const Slot *end, Exception **out) {
  uint32_t slots = tag->type->type.param_slots;
  size_t size = sizeof **out + slots * sizeof *values;
  if (store->exception_bytes + size > store->exception_mark ||
      store->exception_bytes + size > store->limits.max_exception_bytes)
    collect(store, end);
  if (store->exception_bytes + size > store->limits.max_exception_bytes) {
    return lun_error_set(&store->error, LUN_EXHAUSTED, "the exceptions alive have %" PRIu64 " bytes, the limit is %" PRIu64,
                         store->exception_bytes, store->limits.max_exception_bytes);
  }
  Exception *exception = vec_grow(&store->exceptions, 1) ? malloc(size) : NULL;
  if (!exception) return LUN_NO_MEMORY;
  *exception = (Exception){ .store = store, .tag = tag, .holders = 1 };
  if (slots) memcpy(exception->values, values, slots * sizeof *values);
  store->exceptions.items[store->exceptions.count++] = exception;
  store->exception_bytes += size;
  *out = exception;
  return LUN_OK;
}

void exceptions_destroy(Store *store) {
  for (size_t i = 0; i < store->exceptions.count; i++) {
    Exception *exception = store->exceptions.items[i];
    exception->store = NULL;
    if (exception->holders == 0) free(exception);
  }
  for (size_t i = 0; i < store->tags.count; i++) free(store->tags.items[i]);
  vec_clear(&store->exceptions), vec_clear(&store->tags);
}

/* ---- throwing ---- */
/* The catch of the function for an exception that came out of its word; the list has inner blocks first. */
static const Catch *function_catch(const Function *function, const Word *pc, const Exception *exception) {
  uint32_t at = (uint32_t)(pc - function->code), depth = UINT32_MAX;
  for (uint32_t i = 0; i < function->catch_count; i++) {
    const Catch *item = &function->catches[i];
    if (at < item->start || at >= item->end || item->depth > depth) continue;
    if (item->is_delegate) depth = item->target;
    else if (!item->tag || item->tag == exception->tag) return item;
  }
  return NULL;
}

/* Of this run. */
static bool is_outermost(const Walk *walk) {
  const Record *mark = walk->store->mark;
  return walk->ret == exit_word || (mark->ret && mark->fp == walk->fp);
}

/* Goes out to the frame of this run that catches, if there is one; pc: where the first one stands (NULL: no guest's).
 * *left: how many frames it has left that count for max_depth. */
static const Catch *find_catch(Walk *walk, const Word *pc, const Exception *exception, uint32_t *left) {
  for (*left = 0;;) {
    const Function *function = walk->function;
    const Catch *found = pc && function->catch_count ? function_catch(function, pc, exception) : NULL;
    if (found || is_outermost(walk)) return found;
    pc = walk->ret - 1;
    if (pc->delta & TAIL_RECORD) pc = NULL; /* its frame counts as gone */
    *left += function->instance && function->instance->max_depth;
    walk_next(walk);
  }
}

static bool has_open_call(const Store *store, const Record *until) {
  for (const Record *record = store->record; record != until; record = record->prev)
    if (record->kind == RECORD_CALL || record->kind == RECORD_INTERCEPT) return true;
  return false;
}

static void describe(lun_error *error, const Exception *exception, const char *fate) {
  char text[256];
  lun_error_set(error, LUN_EXCEPTION, "%s%s", exception_text(exception, text, sizeof text), fate);
}

/* Tells the calls between that they are over. False: a callback has asked for the end of the run. */
static bool leave_frames(Store *store, const Record *until, Exception *exception, const Point *point, const Point *catcher) {
  if (!has_open_call(store, until)) {
    while (store->record != until) record_pop(store);
    lun_error_clear(&store->error);
  } else {
    lun_error failure = store->error;
    store->error = (lun_error)LUN_ERROR_INIT;
    describe(&failure, exception, "");
    failure.caught = true;
    failure.exception = lun_exception_retain(exception);
    unwind(store, until, &failure, point, store->hooks->wants_stack(store));
    lun_error_clear(&failure);
  }
  if (!atomic_load(&store->flags)) return true;
  store->outcome = safepoint(store, catcher);
  return store->outcome == LUN_OK;
}

bool exception_throw(Store *store, Exception *exception, Point point) {
  Walk walk = walk_from_point(store, &point);
  uint32_t left;
  const Catch *found = find_catch(&walk, point.pc, exception, &left);
  if (!found) {
    store->outcome = LUN_EXCEPTION;
    store->point = point;
    store->error.kind = LUN_OK; /* an error that was handed on has the stack already; the words are new */
    describe(&store->error, exception, " was not caught");
    store->error.exception = exception;
    return false;
  }
  Point catcher = { walk.function, walk.fp, walk.pc, walk.offset };
  if (!leave_frames(store, walk.record, exception, &point, &catcher)) {
    store->point = catcher;
    lun_exception_release(exception);
    return false;
  }
  uint32_t slots = exception->tag->type->type.param_slots;
  if (found->tag && slots) memcpy(walk.fp + found->slot, exception->values, slots * sizeof *exception->values);
  if (found->ref_slot >= 0) walk.fp[found->ref_slot] = lun_exception_ref(exception);
  lun_exception_release(exception);
  store->point = (Point){ walk.function, walk.fp, walk.function->code + found->target, UINT32_MAX };
  store->depth -= left;
  return true;
}

/* ---- words ---- */
static size_t value_text(lun_type type, const Slot *slots, char *buffer, size_t room) {
  float single;
  double wide;
  int length;
  switch (type) {
  case LUN_I32: length = snprintf(buffer, room, "%" PRId32, (int32_t)(uint32_t)slots[0]); break;
  case LUN_I64: length = snprintf(buffer, room, "%" PRId64, (int64_t)slots[0]); break;
  case LUN_F32: memcpy(&single, slots, sizeof single), length = snprintf(buffer, room, "%.9g", (double)single); break;
  case LUN_F64: memcpy(&wide, slots, sizeof wide), length = snprintf(buffer, room, "%.17g", wide); break;
  case LUN_V128: length = snprintf(buffer, room, "0x%016" PRIx64 "%016" PRIx64, slots[1], slots[0]); break;
  default: length = snprintf(buffer, room, "%s", slots[0] ? lun_type_name(type) : "null"); break;
  }
  return length < 0 ? 0 : (size_t)length;
}

const char *exception_text(const Exception *exception, char *buffer, size_t room) {
  const lun_signature *signature = &exception->tag->type->type.signature;
  const Slot *slots = exception->values;
  int printed = snprintf(buffer, room, "%.100s(", lun_tag_name(exception->tag));
  size_t length = printed < 0 ? 0 : (size_t)printed;
  for (uint32_t i = 0; i < signature->param_count; i++) {
    char value[48];
    size_t size = value_text(signature->params[i], slots, value, sizeof value);
    bool fits = length + size + 8 < room;
    length += (size_t)snprintf(buffer + length, room - length, "%s%s", i ? ", " : "", fits ? value : "…");
    if (!fits) break;
    slots += lun_type_slots(signature->params[i]);
  }
  snprintf(buffer + length, room - length, ")");
  return buffer;
}

/* ---- the door ---- */
lun_status tag_create(Store *store, const Type *type, Module *module, uint32_t index, Tag **out, lun_error *error) {
  Tag *tag = calloc(1, sizeof *tag);
  if (!tag || !vec_push(&store->tags, tag)) {
    free(tag);
    return lun_error_set(error, LUN_NO_MEMORY, "out of memory");
  }
  *tag = (Tag){ .type = type, .module = module, .index = index, .store = store };
  *out = tag;
  return LUN_OK;
}

lun_status lun_tag_create(Store *store, const lun_type *params, uint32_t count, Tag **out, lun_error *error) {
  *out = NULL;
  const FunctionType shape = { .signature = { .param_count = count, .params = params } };
  if (signature_check(&shape.signature, error) != LUN_OK) return LUN_USAGE;
  const Type *type = type_intern(store, &shape);
  if (!type) return lun_error_set(error, LUN_NO_MEMORY, "out of memory");
  return tag_create(store, type, NULL, 0, out, error);
}

const lun_signature *lun_tag_signature(const Tag *tag) { return &tag->type->type.signature; }
const char *lun_tag_name(const Tag *tag) { return tag->module ? module_tag_name(tag->module, tag->index) : "tag"; }

lun_status lun_exception_create(Store *store, const Tag *tag, const uint64_t *values, Exception **out, lun_error *error) {
  *out = NULL;
  const Type *type = tag->type;
  const lun_signature *signature = &type->type.signature;
  if (type->type.has_typed) {
    uint32_t misfit = values_misfit(type, signature->params, signature->param_count, values);
    if (misfit < signature->param_count)
      return lun_error_set(error, LUN_USAGE, "value %u of an exception is not of its type", (unsigned)misfit + 1);
  }
  lun_status status = exception_create(store, tag, values, stack_end(store), out);
  if (status == LUN_OK) return status;
  if (error && error->kind == LUN_OK) {
    if (store->error.kind == LUN_OK) lun_error_set(&store->error, status, "out of memory");
    *error = store->error;
  } else {
    lun_error_clear(&store->error);
  }
  store->error = (lun_error)LUN_ERROR_INIT;
  return status;
}

const Tag *lun_exception_tag(const Exception *exception) { return exception->tag; }
const uint64_t *lun_exception_values(const Exception *exception) { return exception->values; }

Exception *lun_exception_retain(Exception *exception) {
  if (exception) exception->holders++;
  return exception;
}

void lun_exception_release(Exception *exception) {
  if (exception && --exception->holders == 0 && !exception->store) free(exception);
}

uint64_t lun_exception_ref(Exception *exception) { return (uint64_t)(uintptr_t)exception; }
Exception *lun_exception_of_ref(uint64_t ref) { return (Exception *)(uintptr_t)ref; }

lun_status lun_exception_throw(Exception *exception, lun_error *error) {
  if (!error || error->kind != LUN_OK) return LUN_EXCEPTION;
  describe(error, exception, "");
  error->exception = lun_exception_retain(exception);
  return LUN_EXCEPTION;
}
