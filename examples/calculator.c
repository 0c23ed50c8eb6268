/* SPDX-License-Identifier: MIT */
/* A small interpreter: works out the expression it is given, by recursive descent. The trace script calculator.lua shows
 * what each part of it came to.
 *
 *     calculator '2 * (3 + 4)'        →  14
 *
 * Grammar:  sum = product { ("+" | "-") product }     product = factor { ("*" | "/") factor }
 *           factor = "-" factor | "(" sum ")" | number */
#include <stdio.h>
#include <stdlib.h>

/* Small functions would be inlined away, and what is not called cannot be traced. */
#define KEEP __attribute__((noinline))

static const char *at; /* what is still to be read */

static double parse_sum(void);

static void skip_spaces(void) {
  while (*at == ' ') at++;
}

static int take(char wanted) {
  skip_spaces();
  if (*at != wanted) return 0;
  at++;
  return 1;
}

KEEP static void fail(const char *what) {
  fprintf(stderr, "calculator: %s at '%s'\n", what, at);
  exit(2);
}

KEEP static double parse_number(void) {
  char *end;
  double value = strtod(at, &end);
  if (end == at) fail("number expected");
  at = end;
  return value;
}

KEEP static double parse_factor(void) {
  if (take('-')) return -parse_factor();
  if (take('(')) {
    double value = parse_sum();
    if (!take(')')) fail("')' expected");
    return value;
  }
  return parse_number();
}

KEEP static double parse_product(void) {
  double value = parse_factor();
  for (;;) {
    if (take('*')) value *= parse_factor();
    else if (take('/')) value /= parse_factor();
    else return value;
  }
}

KEEP static double parse_sum(void) {
  double value = parse_product();
  for (;;) {
    if (take('+')) value += parse_product();
    else if (take('-')) value -= parse_product();
    else return value;
  }
}

int main(int argc, char **argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: calculator EXPRESSION\n");
    return 1;
  }
  at = argv[1];
  double value = parse_sum();
  skip_spaces();
  if (*at) fail("end expected");
  printf("%g\n", value);
  return 0;
}
