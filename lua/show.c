/* SPDX-License-Identifier: MIT */
/* How the command shows values, frames and places. What comes from a guest's file is not escaped here. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"

/* The shortest decimal that reads back as the same float, and shows that it is one. */
static void float_text(double number, bool single, char text[VALUE_TEXT]) {
  if (isnan(number)) {
    strcpy(text, signbit(number) ? "-nan" : "nan");
    return;
  }
  for (int digits = 1; digits <= 17; digits++) {
    snprintf(text, VALUE_TEXT, "%.*g", digits, number);
    if (single ? strtof(text, NULL) == (float)number : strtod(text, NULL) == number) break;
  }
  if (strspn(text, "-0123456789") == strlen(text)) strcat(text, ".0");
}

const char *value_show(lun_type type, const uint64_t *slot, char text[VALUE_TEXT]) {
  float single;
  double number;
  switch (type) {
    case LUN_I32: snprintf(text, VALUE_TEXT, "%" PRId32, (int32_t)(uint32_t)*slot); break;
    case LUN_I64: snprintf(text, VALUE_TEXT, "%" PRId64, (int64_t)*slot); break;
    case LUN_F32:
      memcpy(&single, slot, sizeof single);
      float_text(single, true, text);
      break;
    case LUN_F64:
      memcpy(&number, slot, sizeof number);
      float_text(number, false, text);
      break;
    case LUN_V128: snprintf(text, VALUE_TEXT, "0x%016" PRIx64 "%016" PRIx64, slot[1], slot[0]); break;
    default: snprintf(text, VALUE_TEXT, "%s", *slot ? lun_type_name(type) : "null"); break;
  }
  return text;
}
