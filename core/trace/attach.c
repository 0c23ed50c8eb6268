/* SPDX-License-Identifier: MIT */
/* Attachments: asking factories, giving functions their sets, taking them away again. A function's entry word is swapped
 * when its first listener comes and swapped back when its last one goes; no code is touched.
 *
 * Asking runs the embedder's code, which may itself attach or detach: so first all are asked, then all new sets are made,
 * then they are put in place with nothing in between that can fail. */
#include <stdlib.h>
#include <string.h>

#include "trace.h"

static lun_status no_memory(lun_error *error) { return lun_error_set(error, LUN_NO_MEMORY, "out of memory"); }

/* ---- choices ---- */
static size_t slot_of(const lun_attachment *attachment, lun_choice choice) {
  uint64_t key = ((uint64_t)(uintptr_t)choice.listener * 31 + (uint64_t)(uintptr_t)choice.self) * UINT64_C(0x9e3779b97f4a7c15);
  size_t slot = (size_t)(key >> 32) & (attachment->table_room - 1);
  for (Choice *c; (c = attachment->table[slot]); slot = (slot + 1) & (attachment->table_room - 1))
    if (c->listener == choice.listener && c->ear.self == choice.self) break;
  return slot;
}

static bool grow_table(lun_attachment *attachment) {
  Choice **old = attachment->table;
  size_t room = attachment->table_room;
  Choice **table = calloc(room ? room * 2 : 8, sizeof *table);
  if (!table) return false;
  attachment->table = table;
  attachment->table_room = room ? room * 2 : 8;
  for (size_t i = 0; i < room; i++) {
    if (!old[i]) continue;
    size_t slot = slot_of(attachment, (lun_choice){ old[i]->listener, old[i]->ear.self });
    while (table[slot]) slot = (slot + 1) & (attachment->table_room - 1);
    table[slot] = old[i];
  }
  free(old);
  return true;
}

/* `bound`: taken; such a choice is this function's alone, and in the table only to be found and freed. */
static Choice *choice_of(lun_attachment *attachment, lun_choice answer, struct Bound *bound) {
  if (attachment->table_count * 2 >= attachment->table_room && !grow_table(attachment)) return NULL;
  size_t slot = slot_of(attachment, answer);
  if (attachment->condition) {
    while (attachment->table[slot]) slot = (slot + 1) & (attachment->table_room - 1);
  } else if (attachment->table[slot]) {
    return attachment->table[slot];
  }
  Choice *choice = calloc(1, sizeof *choice);
  if (!choice) return NULL;
  uint8_t silent = (attachment->paused ? SILENT_PAUSED : 0) | (attachment->condition ? SILENT_UNLESS : 0);
  *choice = (Choice){ .ear = { .self = answer.self, .silent = silent }, .listener = answer.listener, .attachment = attachment,
                      .bound = bound };
  if (!attachment->intercept) choice->ear.before = answer.listener->before, choice->ear.after = answer.listener->after;
  attachment->table[slot] = choice;
  attachment->table_count++;
  return choice;
}

/* ---- holding ---- */
static void attachment_free(lun_attachment *attachment) {
  for (size_t i = 0; i < attachment->table_room; i++) {
    if (attachment->table[i]) free(attachment->table[i]->bound);
    free(attachment->table[i]);
  }
  condition_destroy(attachment->condition);
  free(attachment->table);
  free(attachment->factories);
  free(attachment->name);
  free(attachment);
}

static void attachment_drop(lun_attachment *attachment) {
  if (--attachment->holders > 0) return;
  if (attachment->options.release) attachment->options.release(attachment->context);
  if (attachment->options.time) times_wanted(attachment->store, false);
  attachment_free(attachment);
}

static bool begins_group(const Set *set, uint32_t index) {
  return index == 0 || set->choices[index - 1]->attachment != set->choices[index]->attachment;
}

void set_free(Listening *head) {
  Set *set = (Set *)head;
  for (uint32_t i = 0; i < set->count; i++) {
    /* The next one's attachment is read before this one's can be freed. */
    lun_attachment *attachment = set->choices[i]->attachment;
    bool last = i + 1 == set->count || set->choices[i + 1]->attachment != attachment;
    if (last) attachment_drop(attachment);
  }
  free(set);
}

void set_drop(Set *set) {
  if (--set->head.holders == 0) set_free(&set->head);
}

_Static_assert(sizeof(Hearing) % 16 == 0, "records stay aligned");

static Set *set_create(size_t count) {
  Set *set = calloc(1, sizeof *set + count * sizeof *set->choices);
  if (!set) return NULL;
  set->head.holders = 1;
  set->head.extra = (uint32_t)(count * sizeof(Hearing));
  return set;
}

/* What the set says of its choices; takes hold of each attachment once. */
static void set_seal(Set *set) {
  set->is_light = set->only_counts = true;
  for (uint32_t i = 0; i < set->count; i++) {
    lun_attachment *attachment = set->choices[i]->attachment;
    if (begins_group(set, i)) attachment->holders++;
    if (attachment->intercept) continue;
    if (set->choices[i]->listener->before || attachment->condition) set->tells_before = true;
    if (set->choices[i]->listener != &light_listener || attachment->condition) set->is_light = false;
    if (!listener_counts(set->choices[i]->listener)) set->only_counts = false;
    if (attachment->options.params) set->keeps |= KEEPS_PARAMS;
    if (attachment->options.time && (begins_group(set, i) || set->choices[i]->listener == &whole_listener)) set->timed++;
  }
  if (set->timed) set->keeps |= KEEPS_TIMES;
  set->is_latency = set->count == 1 && set->keeps == KEEPS_TIMES && set->choices[0]->listener == &whole_listener &&
                    !set->choices[0]->attachment->condition;
  if (set->keeps) set->is_light = false;
  set->head.extra += (uint32_t)times_size(set);
  const Choice *only = set->count == 1 ? set->choices[0] : NULL;
  if (only && !set->keeps && !set->is_light && !only->attachment->condition) set->head.ear = &only->ear;
}

/* How a call begins that the set hears: where calls are counted, the short way is not taken. */
static Handler handler_before(const Function *function, const Set *set) {
  bool is_counted = function->instance && function->instance->max_depth;
  if (set->is_light) return is_counted ? handler_enter_light_counted : handler_enter_light;
  return set->head.ear && !is_counted ? handler_enter_heard : handler_enter_traced;
}

/* Who listens to the function, or who intercepts it. */
static Set *function_set(const Function *function, bool intercepts) {
  return intercepts ? (Set *)(void *)function->intercepts : listeners_of(function);
}

/* Puts the set (NULL: none) in place; the function's old one is dropped. */
static void function_listen(Function *function, bool intercepts, Set *set) {
  Set *old = function_set(function, intercepts);
  *(intercepts ? &function->intercepts : &function->set) = set ? &set->head : NULL;
  const Set *listeners = listeners_of(function);
  if (listeners || function->intercepts) {
    if (!function->kept) function->kept = function->entry.handler;
    function->entry.handler = function->intercepts ? handler_enter_intercepted : handler_before(function, listeners);
  } else if (function->kept) {
    function->entry.handler = function->kept;
    function->kept = NULL;
  }
  if (old) set_drop(old);
}

/* ---- asking ---- */
typedef struct Answer {
  Function *function;
  Choice *choice;
} Answer;
typedef VEC(Answer) Answers;

/* An interceptor is kept where a listener is: nobody who takes it for one looks into it. */
static lun_choice answer_of(const lun_attachment *attachment, size_t number, const Definition *definition, Instance *instance) {
  if (attachment->intercept) {
    lun_intercept_choice choice = attachment->intercept(attachment->context, definition, instance);
    return (lun_choice){ (const lun_listener *)(const void *)choice.interceptor, choice.self };
  }
  const lun_factory_entry *entry = &attachment->factories[number];
  return entry->factory(entry->context, definition, instance);
}

static bool ask(lun_attachment *attachment, Instance *instance, Answers *answers) {
  if (attachment->options.instance && attachment->options.instance != instance) return true;
  for (uint32_t i = 0; i < instance->own_count && !attachment->detached; i++) {
    Function *function = &instance->own[i];
    for (size_t f = 0; f < attachment->factory_count; f++) {
      lun_choice choice = answer_of(attachment, f, function->definition, instance);
      if (!choice.listener) continue;
      struct Bound *bound = NULL;
      bool never = false;
      if (attachment->condition && !condition_bind(attachment->condition, function, &bound, &never)) return false;
      if (never) continue;
      Answer answer = { function, choice_of(attachment, choice, bound) };
      if (!answer.choice) free(bound);
      if (!answer.choice || !vec_push(answers, answer)) return false;
    }
  }
  return true;
}

/* What the times of a call of the function take at most, with so many listeners more, as so many listeners' places. */
static size_t times_hearings(const lun_attachment *attachment, const Set *old, size_t count) {
  const Set set = { .timed = (old ? old->timed : 0) + (attachment->options.time ? (uint32_t)count : 0) };
  return times_size(&set) / sizeof(Hearing);
}

/* ---- putting in place: answers of one attachment, those of a function together ---- */
typedef struct Change {
  Function *function;
  Set *set;
} Change;
typedef VEC(Change) Changes;

static void drop_changes(Changes *changes) {
  for (size_t i = 0; i < changes->count; i++) set_drop(changes->items[i].set);
  vec_clear(changes);
}

static bool add_change(Changes *changes, Function *function, bool intercepts, const Answer *answers, size_t count) {
  const Set *old = function_set(function, intercepts);
  size_t before = old ? old->count : 0;
  Set *set = set_create(before + count);
  if (!set) return false;
  for (size_t i = 0; i < before; i++) set->choices[set->count++] = old->choices[i];
  for (size_t i = 0; i < count; i++) set->choices[set->count++] = answers[i].choice;
  set_seal(set);
  Change change = { function, set };
  if (vec_push(changes, change)) return true;
  set_drop(set);
  return false;
}

static lun_status put_in_place(Store *store, lun_attachment *attachment, const Answers *answers, lun_error *error) {
  Changes changes = { 0 };
  bool intercepts = attachment->intercept != NULL;
  for (size_t i = 0, next; i < answers->count; i = next) {
    Function *function = answers->items[i].function;
    for (next = i; next < answers->count && answers->items[next].function == function;) next++;
    if (function->instance && function->instance->is_closed) continue;
    const Set *old = function_set(function, intercepts);
    size_t count = next - i + (old ? old->count : 0);
    if (!intercepts && !records_reserve(store, count + times_hearings(attachment, old, next - i))) {
      drop_changes(&changes);
      return lun_error_set(error, LUN_NO_MEMORY, "no room for %zu listeners on one function while the guest runs", count);
    }
    if (!add_change(&changes, function, intercepts, &answers->items[i], next - i)) {
      drop_changes(&changes);
      return no_memory(error);
    }
  }
  for (size_t i = 0; i < changes.count; i++) function_listen(changes.items[i].function, intercepts, changes.items[i].set);
  attachment->functions += changes.count;
  vec_clear(&changes);
  return LUN_OK;
}

typedef VEC(Instance *) Instances;

/* Those made after `last`, oldest first. */
static bool instances_since(Store *store, uint64_t last, Instances *out) {
  out->count = 0;
  for (Instance *in = store->instances; in && in->serial > last; in = in->next)
    if (!vec_push(out, in)) return false;
  for (size_t i = 0, j = out->count; i + 1 < j; i++) {
    Instance *in = out->items[i];
    out->items[i] = out->items[--j];
    out->items[j] = in;
  }
  return true;
}

/* A factory may make instances: they are asked about as well. Newest first is how the store lists them. */
static bool ask_all(Store *store, lun_attachment *attachment, Answers *answers) {
  Instances instances = { 0 };
  uint64_t last = 0;
  bool well = instances_since(store, last, &instances);
  while (well && instances.count > 0) {
    last = instances.items[instances.count - 1]->serial;
    for (size_t i = 0; i < instances.count && well; i++)
      if (!instances.items[i]->is_closed) well = ask(attachment, instances.items[i], answers);
    well = well && instances_since(store, last, &instances);
  }
  vec_clear(&instances);
  return well;
}

static void link_attachment(Trace *trace, lun_attachment *attachment) {
  lun_attachment **at = &trace->attachments;
  while (*at) at = &(*at)->next;
  *at = attachment;
}

static void unlink_attachment(Trace *trace, const lun_attachment *attachment) {
  lun_attachment **at = &trace->attachments;
  while (*at && *at != attachment) at = &(*at)->next;
  if (*at) *at = attachment->next;
}

bool trace_ensure(Store *store) {
  if (store->trace) return true;
  store->trace = calloc(1, sizeof(Trace));
  if (!store->trace) return false;
  store->hooks = &trace_hooks;
  return true;
}

static lun_attachment *attachment_create(Store *store, const lun_factory_entry *factories, size_t count,
                                         lun_intercept_factory intercept, void *context, const lun_attach_options *options) {
  lun_attachment *attachment = calloc(1, sizeof *attachment);
  if (!attachment) return NULL;
  attachment->factories = calloc(count ? count : 1, sizeof *factories);
  if (options) attachment->options = *options;
  attachment->intercept = intercept;
  if (condition_create(&attachment->options, &attachment->condition) != LUN_OK) {
    attachment_free(attachment);
    return NULL;
  }
  attachment->asks_at_end = attachment->condition && condition_is_late(attachment->condition);
  size_t size = attachment->options.name ? strlen(attachment->options.name) + 1 : 1;
  attachment->name = calloc(1, size);
  if (!attachment->factories || !attachment->name) {
    attachment_free(attachment);
    return NULL;
  }
  if (factories) memcpy(attachment->factories, factories, count * sizeof *factories);
  if (attachment->options.name) memcpy(attachment->name, attachment->options.name, size);
  attachment->options.name = attachment->name;
  attachment->store = store;
  attachment->factory_count = count;
  attachment->context = context;
  attachment->holders = 1;
  return attachment;
}

lun_status attach_factories(Store *store, const lun_factory_entry *factories, size_t count, lun_intercept_factory intercept,
                            void *context, const lun_attach_options *options, lun_attachment **out, lun_error *error) {
  *out = NULL;
  if (!trace_ensure(store)) return no_memory(error);
  lun_attachment *attachment = attachment_create(store, factories, count, intercept, context, options);
  if (!attachment) return no_memory(error);
  if (attachment->options.time) times_wanted(store, true);
  Answers answers = { 0 };
  lun_status status = ask_all(store, attachment, &answers) ? LUN_OK : no_memory(error);
  if (status == LUN_OK) status = put_in_place(store, attachment, &answers, error);
  vec_clear(&answers);
  if (status != LUN_OK) {
    if (attachment->options.time) times_wanted(store, false);
    attachment_free(attachment);
    return status;
  }
  link_attachment(store->trace, attachment);
  *out = attachment;
  return LUN_OK;
}

lun_status lun_store_attach_multi(Store *store, const lun_factory_entry *factories, size_t count, void *context,
                                  const lun_attach_options *options, lun_attachment **out, lun_error *error) {
  return attach_factories(store, factories, count, NULL, context, options, out, error);
}

lun_status lun_store_attach(Store *store, lun_factory factory, void *context, const lun_attach_options *options,
                            lun_attachment **out, lun_error *error) {
  lun_factory_entry entry = { factory, context };
  return lun_store_attach_multi(store, &entry, 1, context, options, out, error);
}

static lun_status attach_one(Store *store, lun_attachment *attachment, Instance *instance, lun_error *error) {
  Answers answers = { 0 };
  lun_status status = ask(attachment, instance, &answers) ? LUN_OK : no_memory(error);
  if (status == LUN_OK && !attachment->detached) status = put_in_place(store, attachment, &answers, error);
  vec_clear(&answers);
  return status;
}

/* A new instance: asked of all that are attached now. Factories may attach and detach meanwhile, so each is held. */
lun_status attach_instance(Store *store, Instance *instance, lun_error *error) {
  VEC(lun_attachment *) held = { 0 };
  lun_status status = LUN_OK;
  for (lun_attachment *attachment = trace_of(store)->attachments; attachment; attachment = attachment->next) {
    if (!vec_push(&held, attachment)) {
      status = no_memory(error);
      break;
    }
    attachment->holders++;
  }
  for (size_t i = 0; i < held.count; i++) {
    if (status == LUN_OK && !held.items[i]->detached) status = attach_one(store, held.items[i], instance, error);
    attachment_drop(held.items[i]);
  }
  vec_clear(&held);
  return status;
}

/* ---- taking away ---- */
/* The function's set without the attachment. False: no memory, and the old one stays. */
static bool function_forget(Function *function, const lun_attachment *attachment) {
  const Set *old = function_set(function, attachment->intercept);
  if (!old) return true;
  uint32_t kept = 0;
  for (uint32_t i = 0; i < old->count; i++) kept += old->choices[i]->attachment != attachment;
  if (kept == old->count) return true;
  Set *set = NULL;
  if (kept > 0) {
    set = set_create(kept);
    if (!set) return false;
    for (uint32_t i = 0; i < old->count; i++)
      if (old->choices[i]->attachment != attachment) set->choices[set->count++] = old->choices[i];
    set_seal(set);
  }
  function_listen(function, attachment->intercept, set);
  return true;
}

static void silence_all(lun_attachment *attachment, uint8_t why) {
  for (size_t i = 0; i < attachment->table_room; i++)
    if (attachment->table[i]) attachment->table[i]->ear.silent |= why;
}

/* Nothing more is told of calls that are open. */
static void drop_all(lun_attachment *attachment) {
  attachment->dropped = attachment->asks_at_end = true;
  silence_all(attachment, SILENT_MUTED);
  for (size_t i = 0; i < attachment->table_room; i++)
    if (attachment->table[i]) attachment->table[i]->ear.after = NULL;
}

void lun_attachment_pause(lun_attachment *attachment, bool pause) {
  attachment->paused = pause;
  if (pause) silence_all(attachment, SILENT_PAUSED);
  for (size_t i = 0; i < attachment->table_room && !pause; i++)
    if (attachment->table[i]) attachment->table[i]->ear.silent &= (uint8_t)~SILENT_PAUSED;
}

void lun_attachment_detach(lun_attachment *attachment, unsigned flags) {
  Store *store = attachment->store;
  if (attachment->detached) return;
  attachment->detached = true;
  if (flags & LUN_DROP) drop_all(attachment);
  unlink_attachment(store->trace, attachment);
  /* A call that is being told now goes on with its set: only where a set cannot be replaced its choices fall silent. */
  for (Instance *in = store->instances; in; in = in->next)
    for (uint32_t i = 0; i < in->own_count; i++)
      if (!function_forget(&in->own[i], attachment)) silence_all(attachment, SILENT_MUTED);
  attachment_drop(attachment);
}

static void forget_instance(Instance *instance) {
  for (uint32_t i = 0; i < instance->own_count; i++) {
    if (instance->own[i].set) function_listen(&instance->own[i], false, NULL);
    if (instance->own[i].intercepts) function_listen(&instance->own[i], true, NULL);
  }
}

void attach_closed(Store *store, Instance *instance) {
  event_instance_closed(store, instance);
  forget_instance(instance);
}

void attach_destroy(Store *store) {
  Trace *trace = trace_of(store);
  for (Instance *in = store->instances; in; in = in->next) forget_instance(in);
  for (lun_attachment *attachment = trace->attachments, *next; attachment; attachment = next) {
    next = attachment->next;
    attachment->holders = 1;
    attachment_drop(attachment);
  }
  event_destroy(trace);
  stack_ids_destroy(trace->stack_ids);
  vec_clear(&trace->failures);
  vec_clear(&trace->given);
  free(trace);
  store->trace = NULL;
  store->hooks = NULL;
}

uint64_t lun_attachment_functions(const lun_attachment *attachment) { return attachment->functions; }
uint64_t lun_attachment_errors(const lun_attachment *attachment) { return attachment->errors; }
uint64_t lun_attachment_muted(const lun_attachment *attachment) { return attachment->muted; }
