/* SPDX-License-Identifier: MIT */
/* Readings, which take a value from a call, and predicates, trees of comparisons of them. Both are bound to a function before
 * its first call: an argument becomes a slot, a name a text, a comparison of names a constant. */
#include <lunette/symbols.h>
#include <math.h>
#include <string.h>

#include "tally.h"

typedef enum Form { FORM_COMPARE, FORM_AND, FORM_OR, FORM_NOT } Form;

struct lun_predicate {
  Form form;
  lun_predicate *left, *right;
  lun_reading reading;
  lun_comparison comparison;
  lun_datum operands[2];
  char *text;               /* of the operand */
  lun_where *where;         /* GLOB of a function's or a caller's names … */
  Matches callers;          /* … asked of callers */
};

bool matches(Matches *asked, const lun_definition *definition) {
  size_t place = (size_t)((uintptr_t)definition >> 4) % MATCHES;
  if (asked->known[place].definition != definition) {
    asked->known[place].fits = lun_where_match(asked->where, definition);
    asked->known[place].definition = definition;
  }
  return asked->known[place].fits;
}

/* ---- readings ---- */
bool reading_copy(lun_reading *out, const lun_reading *reading) {
  *out = *reading;
  out->name = reading->source == LUN_SOURCE_ARG && reading->name ? strdup(reading->name) : NULL;
  return out->name || !(reading->source == LUN_SOURCE_ARG && reading->name);
}

void reading_clear(lun_reading *reading) {
  free((char *)(uintptr_t)reading->name);
  reading->name = NULL;
}

bool reading_equal(const lun_reading *a, const lun_reading *b) {
  if (a->source != b->source || a->is_unsigned != b->is_unsigned || !a->name != !b->name) return false;
  if (a->source != LUN_SOURCE_ARG && a->source != LUN_SOURCE_RESULT) return true;
  return a->name ? strcmp(a->name, b->name) == 0 : a->index == b->index;
}

unsigned reading_needs(const lun_reading *reading) {
  switch (reading->source) {
  case LUN_SOURCE_ARG: return NEEDS_PARAMS;
  case LUN_SOURCE_RESULT: return NEEDS_END | NEEDS_RESULT;
  case LUN_SOURCE_ELAPSED:
  case LUN_SOURCE_SELF_TIME: return NEEDS_END | NEEDS_TIME | NEEDS_RECORD;
  case LUN_SOURCE_STACK_DEPTH:
  case LUN_SOURCE_STACK:
  case LUN_SOURCE_CALLER: return NEEDS_RECORD;
  default: return 0;
  }
}

static bool bind_value(Reading *out, const lun_reading *reading, const lun_definition *definition) {
  const lun_signature *signature = lun_definition_signature(definition);
  bool is_result = reading->source == LUN_SOURCE_RESULT;
  uint32_t count = is_result ? signature->result_count : signature->param_count, index = reading->index;
  const lun_type *types = is_result ? signature->results : signature->params;
  if (reading->name && !is_result) {
    for (index = 0; index < count; index++) {
      const char *name = lun_definition_param_name(definition, index);
      if (name && strcmp(name, reading->name) == 0) break;
    }
  }
  if (index >= count || types[index] < LUN_F64 || types[index] > LUN_I32) return false;
  for (uint32_t i = 0; i < index; i++) out->slot += lun_type_slots(types[i]);
  out->type = (uint8_t)types[index];
  out->access = is_result ? ACCESS_RESULT : ACCESS_PARAM;
  return true;
}

static const char *file_of(const lun_definition *definition) {
  lun_place source;
  if (lun_definition_is_host(definition)) return "(host)";
  return lun_definition_place(definition, &source) && source.file ? source.file : "(unknown)";
}

Reading reading_bind(const lun_reading *reading, const Function *function) {
  Reading bound = { .access = ACCESS_FIXED, .source = (uint8_t)reading->source, .is_unsigned = reading->is_unsigned };
  const lun_definition *definition = function->definition;
  const char *module = lun_definition_module_name(definition);
  switch (reading->source) {
  case LUN_SOURCE_ARG:
  case LUN_SOURCE_RESULT:
    if (!bind_value(&bound, reading, definition)) bound.access = ACCESS_NONE;
    break;
  case LUN_SOURCE_NAME: bound.fixed = datum_text(lun_definition_name(definition)); break;
  case LUN_SOURCE_MODULE: bound.fixed = datum_text(module ? module : ""); break;
  case LUN_SOURCE_INSTANCE: bound.fixed = datum_text(function->instance ? lun_instance_name(function->instance) : ""); break;
  case LUN_SOURCE_FILE: bound.fixed = datum_text(file_of(definition)); break;
  default: bound.access = ACCESS_OTHER;
  }
  return bound;
}

static lun_datum none(void) { return (lun_datum){ LUN_DATUM_NONE, { 0 } }; }

static lun_datum value_of(const Reading *reading, const Slot *slots) {
  if (!slots) return none();
  uint64_t slot = slots[reading->slot];
  uint32_t half = (uint32_t)slot;
  float single;
  double number;
  switch (reading->type) {
  case LUN_I32: return datum_integer(reading->is_unsigned ? (int64_t)half : (int64_t)(int32_t)half);
  case LUN_I64:
    if (reading->is_unsigned && slot > INT64_MAX) return datum_number((double)slot);
    return datum_integer((int64_t)slot);
  case LUN_F32:
    memcpy(&single, &half, sizeof single);
    return isnan(single) ? none() : datum_number((double)single);
  default:
    memcpy(&number, &slot, sizeof number);
    return isnan(number) ? none() : datum_number(number);
  }
}

/* NULL: the host called. */
static const lun_definition *caller_of(const Event *event) {
  lun_frame frame;
  return event->record && lun_call_caller(event->record, &frame) ? frame.definition : NULL;
}

static lun_datum read_other(const Reading *reading, const Event *event) {
  const lun_definition *caller;
  uint64_t ns;
  switch (reading->source) {
  case LUN_SOURCE_ELAPSED: return lun_call_elapsed(event->record, &ns) ? datum_integer((int64_t)ns) : none();
  case LUN_SOURCE_SELF_TIME: return lun_call_self_time(event->record, &ns) ? datum_integer((int64_t)ns) : none();
  case LUN_SOURCE_STACK_DEPTH: return datum_integer(lun_call_depth(event->record));
  case LUN_SOURCE_CALLER:
    caller = caller_of(event);
    return datum_text(caller ? lun_definition_name(caller) : "(host)");
  case LUN_SOURCE_MEMORY_SIZE:
    if (!event->function->instance || !event->function->instance->memory) return none();
    return datum_integer((int64_t)event->function->instance->memory->bytes);
  default: return none();
  }
}

lun_datum reading_read_far(const Reading *reading, const Event *event) {
  switch ((Access)reading->access) {
  case ACCESS_FIXED: return reading->fixed;
  case ACCESS_PARAM: return value_of(reading, event->params);
  case ACCESS_RESULT: return value_of(reading, event->results);
  case ACCESS_OTHER: return read_other(reading, event);
  default: return none();
  }
}

/* ---- making predicates ---- */
static lun_status check(const lun_reading *reading, lun_comparison comparison, const lun_datum *right, lun_error *error) {
  bool wants_text = reading_is_text(reading);
  if (reading->source == LUN_SOURCE_STACK) return lun_error_set(error, LUN_USAGE, "stacks cannot be compared");
  if (comparison == LUN_COMPARE_GLOB && !wants_text)
    return lun_error_set(error, LUN_USAGE, "glob compares names: of the function, its caller, its module, its instance, its file");
  for (int i = 0; i < (comparison == LUN_COMPARE_BETWEEN ? 2 : 1); i++) {
    if (comparison == LUN_COMPARE_HAS && (wants_text || right[i].kind != LUN_DATUM_INTEGER))
      return lun_error_set(error, LUN_USAGE, "has takes the bits of an integer");
    if (right[i].kind == LUN_DATUM_NUMBER && isnan(right[i].as.number))
      return lun_error_set(error, LUN_USAGE, "nothing compares with a NaN");
    if (wants_text && comparison != LUN_COMPARE_EQ && comparison != LUN_COMPARE_NE && comparison != LUN_COMPARE_GLOB)
      return lun_error_set(error, LUN_USAGE, "a name can be compared by eq, ne and glob");
    if (wants_text != (right[i].kind == LUN_DATUM_TEXT) || right[i].kind == LUN_DATUM_NONE)
      return lun_error_set(error, LUN_USAGE, wants_text ? "a name compares with a text" : "a number expected");
  }
  return LUN_OK;
}

static lun_status no_memory(lun_error *error) { return lun_error_set(error, LUN_NO_MEMORY, "out of memory"); }

/* What a comparison needs of its operand: a copy of the text, a compiled pattern. */
static lun_status take_operand(lun_predicate *made, const lun_datum *right, lun_error *error) {
  made->operands[0] = right[0];
  if (made->comparison == LUN_COMPARE_BETWEEN) made->operands[1] = right[1];
  if (right[0].kind != LUN_DATUM_TEXT) return LUN_OK;
  made->text = strdup(right[0].as.text);
  if (!made->text) return no_memory(error);
  made->operands[0].as.text = made->text;
  if (made->comparison != LUN_COMPARE_GLOB) return LUN_OK;
  const char *pattern = made->text;
  if (made->reading.source == LUN_SOURCE_NAME || made->reading.source == LUN_SOURCE_CALLER) {
    lun_status status = lun_where_create(&pattern, 1, &made->where, error);
    made->callers.where = made->where;
    return status;
  }
  return glob_valid(pattern, error) ? LUN_OK : LUN_USAGE;
}

lun_status lun_predicate_compare(const lun_reading *reading, lun_comparison comparison, const lun_datum *right,
                                 lun_predicate **out, lun_error *error) {
  *out = NULL;
  lun_status status = check(reading, comparison, right, error);
  if (status != LUN_OK) return status;
  lun_predicate *made = calloc(1, sizeof *made);
  if (!made) return no_memory(error);
  made->form = FORM_COMPARE;
  made->comparison = comparison;
  status = reading_copy(&made->reading, reading) ? take_operand(made, right, error) : no_memory(error);
  if (status == LUN_OK) *out = made;
  else lun_predicate_destroy(made);
  return status;
}

static lun_status combine(Form form, lun_predicate *left, lun_predicate *right, lun_predicate **out, lun_error *error) {
  *out = calloc(1, sizeof **out);
  if (!*out) {
    lun_predicate_destroy(left);
    lun_predicate_destroy(right);
    return no_memory(error);
  }
  **out = (lun_predicate){ .form = form, .left = left, .right = right };
  return LUN_OK;
}

lun_status lun_predicate_join(lun_predicate *left, lun_predicate *right, bool either, lun_predicate **out, lun_error *error) {
  return combine(either ? FORM_OR : FORM_AND, left, right, out, error);
}

lun_status lun_predicate_not(lun_predicate *predicate, lun_predicate **out, lun_error *error) {
  return combine(FORM_NOT, predicate, NULL, out, error);
}

void lun_predicate_destroy(lun_predicate *predicate) {
  if (!predicate) return;
  lun_predicate_destroy(predicate->left);
  lun_predicate_destroy(predicate->right);
  reading_clear(&predicate->reading);
  lun_where_destroy(predicate->where);
  free(predicate->text);
  free(predicate);
}

/* ---- asking ---- */
unsigned predicate_needs(const lun_predicate *predicate) {
  if (!predicate) return 0;
  if (predicate->form == FORM_COMPARE) return reading_needs(&predicate->reading);
  return predicate_needs(predicate->left) | predicate_needs(predicate->right);
}

size_t predicate_readings(const lun_predicate *predicate) {
  if (!predicate) return 0;
  return predicate->form == FORM_COMPARE ? 1 : predicate_readings(predicate->left) + predicate_readings(predicate->right);
}

int datum_compare(const lun_datum *a, const lun_datum *b) {
  if (a->kind == LUN_DATUM_INTEGER && b->kind == LUN_DATUM_INTEGER)
    return (a->as.integer > b->as.integer) - (a->as.integer < b->as.integer);
  double left = datum_double(a), right = datum_double(b);
  if (left != right) return left < right ? -1 : 1;
  /* Equal as doubles; of an integer beyond 2^53 the rounding may have hidden which is larger. */
  if (a->kind == b->kind || fabs(left) >= 0x1p63) return 0;
  int64_t i = a->kind == LUN_DATUM_INTEGER ? a->as.integer : (int64_t)left;
  int64_t j = b->kind == LUN_DATUM_INTEGER ? b->as.integer : (int64_t)right;
  return (i > j) - (i < j);
}

static bool compare_texts(const lun_predicate *predicate, const char *text) {
  switch (predicate->comparison) {
  case LUN_COMPARE_EQ: return strcmp(text, predicate->text) == 0;
  case LUN_COMPARE_NE: return strcmp(text, predicate->text) != 0;
  default: return glob_fits(predicate->text, text);
  }
}

static bool compare(const lun_predicate *predicate, const lun_datum *left) {
  const lun_datum *right = predicate->operands;
  if (left->kind == LUN_DATUM_NONE) return false;
  if (left->kind == LUN_DATUM_TEXT) return compare_texts(predicate, left->as.text);
  switch (predicate->comparison) {
  case LUN_COMPARE_GT: return datum_compare(left, right) > 0;
  case LUN_COMPARE_GE: return datum_compare(left, right) >= 0;
  case LUN_COMPARE_LT: return datum_compare(left, right) < 0;
  case LUN_COMPARE_LE: return datum_compare(left, right) <= 0;
  case LUN_COMPARE_EQ: return datum_compare(left, right) == 0;
  case LUN_COMPARE_NE: return datum_compare(left, right) != 0;
  case LUN_COMPARE_BETWEEN: return datum_compare(left, right) >= 0 && datum_compare(left, right + 1) <= 0;
  case LUN_COMPARE_HAS:
    return left->kind == LUN_DATUM_INTEGER && (left->as.integer & right->as.integer) == right->as.integer;
  default: return false;
  }
}

static bool caller_fits(const lun_predicate *predicate, const Event *event) {
  const lun_definition *caller = caller_of(event);
  /* Only what is remembered changes. */
  return caller && matches(&((lun_predicate *)predicate)->callers, caller);
}

/* `at` counts the readings, in the order of binding; those of a branch that is not taken are passed over. */
static bool holds(const lun_predicate *predicate, const Reading *readings, size_t *at, const Event *event) {
  switch (predicate->form) {
  case FORM_AND:
  case FORM_OR: {
    bool left = holds(predicate->left, readings, at, event);
    if (left == (predicate->form == FORM_AND)) return holds(predicate->right, readings, at, event);
    *at += predicate_readings(predicate->right);
    return left;
  }
  case FORM_NOT: return !holds(predicate->left, readings, at, event);
  default: break;
  }
  const Reading *reading = &readings[(*at)++];
  /* The names of the function itself were judged when it was bound. */
  if (reading->access == ACCESS_FIXED && reading->fixed.kind == LUN_DATUM_INTEGER) return reading->fixed.as.integer != 0;
  if (predicate->where) return caller_fits(predicate, event);
  lun_datum left = reading_read(reading, event);
  return compare(predicate, &left);
}

bool predicate_holds(const lun_predicate *predicate, const Reading *readings, const Event *event) {
  size_t at = 0;
  return holds(predicate, readings, &at, event);
}

static Verdict verdict_of(bool holds_always) { return holds_always ? VERDICT_ALWAYS : VERDICT_NEVER; }

static Verdict bind_compare(const lun_predicate *predicate, const Function *function, Reading *reading) {
  *reading = reading_bind(&predicate->reading, function);
  if (reading->access == ACCESS_NONE) {
    *reading = (Reading){ .access = ACCESS_FIXED, .fixed = datum_integer(0) };
    return VERDICT_NEVER;
  }
  if (reading->access != ACCESS_FIXED) return VERDICT_DEPENDS;
  bool is_true = predicate->where ? lun_where_match(predicate->where, function->definition) : compare(predicate, &reading->fixed);
  reading->fixed = datum_integer(is_true);
  return verdict_of(is_true);
}

static Verdict bind(const lun_predicate *predicate, const Function *function, Reading *readings, size_t *at) {
  if (predicate->form == FORM_COMPARE) return bind_compare(predicate, function, &readings[(*at)++]);
  Verdict left = bind(predicate->left, function, readings, at);
  if (predicate->form == FORM_NOT)
    return left == VERDICT_DEPENDS ? VERDICT_DEPENDS : verdict_of(left == VERDICT_NEVER);
  Verdict right = bind(predicate->right, function, readings, at);
  Verdict decides = predicate->form == FORM_AND ? VERDICT_NEVER : VERDICT_ALWAYS;
  if (left == decides || right == decides) return decides;
  return left == VERDICT_DEPENDS || right == VERDICT_DEPENDS ? VERDICT_DEPENDS : left;
}

Verdict predicate_bind(const lun_predicate *predicate, const Function *function, Reading *readings) {
  size_t at = 0;
  return bind(predicate, function, readings, &at);
}
