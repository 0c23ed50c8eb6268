/* SPDX-License-Identifier: MIT */
/* Aggregations over the door: keys, values, a predicate, what is told when the budget is used up, merging, misuse.
 *
 *   aggregates GUEST     the module that aggregate_spec.lua describes: f(n) gives 2 * n, a calls leaf twice */
#include <lunette/lunette.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int failures, told;
static lun_store *store;
static lun_instance *instance;

#define CHECK(condition) ((condition) ? (void)0 : (failures++, (void)printf("line %d: %s\n", __LINE__, #condition)))

static void must(lun_status status, const lun_error *error) {
  if (status == LUN_OK) return;
  printf("%s: %s\n", lun_status_name(status), error->message);
  exit(1);
}

static void load(const char *path) {
  static uint8_t bytes[65536];
  lun_error error = LUN_ERROR_INIT;
  lun_module *module;
  FILE *file = fopen(path, "rb");
  if (!file) exit(2);
  size_t size = fread(bytes, 1, sizeof bytes, file);
  fclose(file);
  must(lun_store_create(NULL, &store, &error), &error);
  must(lun_module_create(store, bytes, size, NULL, &module, &error), &error);
  must(lun_instance_create(store, module, NULL, NULL, &instance, &error), &error);
  lun_module_destroy(module); /* the store holds it as long as the instance is there */
}

static lun_choice choose(void *context, const lun_definition *definition, lun_instance *of) {
  lun_choice choice = { NULL, NULL };
  lun_error error = LUN_ERROR_INIT;
  if (strcmp(lun_definition_name(definition), "f") == 0)
    must(lun_aggregate_choose(context, of, definition, false, &choice, &error), &error);
  return choice;
}

static void released(void *context) { lun_aggregate_destroy(context); }

static lun_attachment *attach(lun_aggregate *aggregate) {
  lun_attach_options options = { .release = released };
  lun_error error = LUN_ERROR_INIT;
  lun_attachment *attachment;
  lun_aggregate_needs(aggregate, &options);
  lun_aggregate_retain(aggregate);
  must(lun_store_attach(store, choose, aggregate, &options, &attachment, &error), &error);
  return attachment;
}

static void call(int32_t value) {
  uint64_t slot = (uint32_t)value;
  lun_error error = LUN_ERROR_INIT;
  must(lun_function_invoke(lun_instance_function(instance, "f"), &slot, &slot, &error), &error);
}

static lun_aggregate *make(lun_aggregate_options options) {
  lun_error error = LUN_ERROR_INIT;
  lun_aggregate *aggregate;
  must(lun_aggregate_create(&options, &aggregate, &error), &error);
  return aggregate;
}

static void full(void *self) {
  (void)self;
  told++;
}

static const lun_reading first = { .source = LUN_SOURCE_ARG }, named = { .source = LUN_SOURCE_ARG, .name = "n" },
                         result = { .source = LUN_SOURCE_RESULT }, name = { .source = LUN_SOURCE_NAME };

static void counts_by_predicate(void) {
  lun_error error = LUN_ERROR_INIT;
  lun_predicate *large, *even, *both;
  lun_datum ten = { LUN_DATUM_INTEGER, { .integer = 10 } };
  must(lun_predicate_compare(&named, LUN_COMPARE_GT, &ten, &large, &error), &error);
  must(lun_predicate_compare(&result, LUN_COMPARE_HAS, &ten, &even, &error), &error);
  must(lun_predicate_not(even, &even, &error), &error);
  must(lun_predicate_join(large, even, false, &both, &error), &error);
  lun_aggregate *aggregate = make((lun_aggregate_options){ .kind = LUN_AGGREGATE_SUM, .keys = &name, .key_count = 1,
                                                           .value = &first, .when = both });
  lun_attachment *attachment = attach(aggregate);
  for (int i = 0; i < 20; i++) call(i);
  lun_attachment_detach(attachment, 0);
  int64_t expected = 0;
  for (int i = 11; i < 20; i++) expected += (2 * i & 10) == 10 ? 0 : i;
  lun_tally tally = lun_aggregate_tally(aggregate, 0);
  CHECK(lun_aggregate_count(aggregate) == 1 && tally.key_count == 1);
  CHECK(tally.keys[0].kind == LUN_DATUM_TEXT && strcmp(tally.keys[0].as.text, "f") == 0);
  CHECK(tally.sum.kind == LUN_DATUM_INTEGER && tally.sum.as.integer == expected);
  lun_aggregate_destroy(aggregate);
}

static void budgets(void) {
  lun_aggregate *aggregate = make((lun_aggregate_options){ .kind = LUN_AGGREGATE_COUNT, .keys = &first, .key_count = 1,
                                                           .budget = 8192, .on_full = full });
  lun_attachment *attachment = attach(aggregate);
  for (int i = 0; i < 1000; i++) call(i);
  CHECK(told == 1);
  CHECK(lun_aggregate_count(aggregate) + lun_aggregate_left_out(aggregate) == 1000);
  CHECK(lun_aggregate_bytes(aggregate) <= 8192);
  CHECK(lun_aggregate_total(aggregate).count == lun_aggregate_count(aggregate));
  lun_aggregate_reset(aggregate);
  CHECK(lun_aggregate_count(aggregate) == 0 && lun_aggregate_left_out(aggregate) == 0);
  call(1);
  CHECK(lun_aggregate_count(aggregate) == 1);
  lun_aggregate_destroy(aggregate);  /* the attachment has a hold of its own */
  call(2);
  lun_attachment_detach(attachment, LUN_DROP);
}

static void merges(void) {
  lun_error error = LUN_ERROR_INIT;
  lun_aggregate_options options = { .kind = LUN_AGGREGATE_QUANTILE, .value = &first };
  lun_aggregate *one = make(options), *other = make(options), *unlike = make((lun_aggregate_options){ 0 });
  lun_attachment *attachment = attach(one);
  for (int i = 1; i <= 50; i++) call(i);
  lun_attachment_detach(attachment, 0);
  attachment = attach(other);
  for (int i = 51; i <= 100; i++) call(i);
  lun_attachment_detach(attachment, 0);
  must(lun_aggregate_merge(one, other, &error), &error);
  CHECK(lun_aggregate_quantile(one, 0, 0.5).as.integer == 50);
  CHECK(lun_aggregate_quantile(one, 0, 1).as.integer == 100);
  CHECK(lun_aggregate_tally(one, 0).count == 100);
  CHECK(lun_aggregate_merge(one, unlike, &error) == LUN_USAGE && error.message[0]);
  lun_error_clear(&error);
  CHECK(lun_aggregate_merge(one, one, &error) == LUN_USAGE);
  lun_error_clear(&error);
  lun_aggregate_destroy(one);
  lun_aggregate_destroy(other);
  lun_aggregate_destroy(unlike);
}

static void refuses(void) {
  lun_error error = LUN_ERROR_INIT;
  lun_aggregate *aggregate;
  lun_predicate *predicate;
  lun_datum text = { LUN_DATUM_TEXT, { .text = "x" } };
  lun_aggregate_options no_value = { .kind = LUN_AGGREGATE_HIST };
  CHECK(lun_aggregate_create(&no_value, &aggregate, &error) == LUN_USAGE && !aggregate);
  lun_error_clear(&error);
  CHECK(lun_predicate_compare(&first, LUN_COMPARE_GT, &text, &predicate, &error) == LUN_USAGE && !predicate);
  lun_error_clear(&error);
  CHECK(lun_predicate_compare(&name, LUN_COMPARE_GLOB, &text, &predicate, &error) == LUN_OK);
  lun_aggregate_options never = { .when = predicate };
  must(lun_aggregate_create(&never, &aggregate, &error), &error);
  lun_choice choice;
  const lun_definition *f = lun_function_definition(lun_instance_function(instance, "f"));
  must(lun_aggregate_choose(aggregate, instance, f, false, &choice, &error), &error);
  CHECK(!choice.listener);  /* no call of f can be one of x */
  lun_aggregate_destroy(aggregate);
}

int main(int count, char **arguments) {
  if (count != 2) return 2;
  load(arguments[1]);
  counts_by_predicate();
  budgets();
  merges();
  refuses();
  lun_store_destroy(store);
  if (!failures) puts("well");
  return failures > 0;
}
