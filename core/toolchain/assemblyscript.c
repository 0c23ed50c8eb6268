/* SPDX-License-Identifier: MIT */
/* What AssemblyScript's standard library imports: abort, trace and seed. A string is an address of UTF-16 in little-endian
 * order whose size in bytes stands in the four bytes before it; 0 is null. */
#include "toolchain.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define TEXT_ROOM 1024      /* of a string, in UTF-8; longer ones are cut */
#define TRACE_NUMBERS 5

static uint32_t load_unit(const uint8_t *at) { return at[0] | (uint32_t)at[1] << 8; }

/* The code point at *i of `count` units; a surrogate without its other half is the replacement character. */
static uint32_t code_point(const uint8_t *units, uint32_t count, uint32_t *i) {
  uint32_t first = load_unit(units + 2 * (size_t)*i);
  ++*i;
  if (first < 0xd800 || first > 0xdfff) return first;
  uint32_t second = *i < count ? load_unit(units + 2 * (size_t)*i) : 0;
  if (first > 0xdbff || second < 0xdc00 || second > 0xdfff) return 0xfffd;
  ++*i;
  return 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
}

static size_t utf8_put(char *at, uint32_t code) {
  if (code < 0x80) return (size_t)(at[0] = (char)code, 1);
  size_t size = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
  static const uint8_t marks[] = { 0, 0, 0xc0, 0xe0, 0xf0 };
  for (size_t i = size; i-- > 1; code >>= 6) at[i] = (char)(0x80 | (code & 0x3f));
  at[0] = (char)(marks[size] | code);
  return size;
}

/* Empty for null, and for what does not lie in memory. */
static void read_string(const lun_memory *memory, uint64_t address, char text[TEXT_ROOM]) {
  text[0] = 0;
  address = (uint32_t)address;
  const uint8_t *header = memory && address >= 4 ? lun_memory_read(memory, address - 4, 4) : NULL;
  if (!header) return;
  uint32_t size = load_unit(header) | load_unit(header + 2) << 16, count = size / 2, i = 0;
  const uint8_t *units = lun_memory_read(memory, address, size);
  if (!units) return;
  size_t used = 0;
  while (i < count && used + 5 < TEXT_ROOM) used += utf8_put(text + used, code_point(units, count, &i));
  text[used] = 0;
}

/* (message, file, line, column) */
static lun_status call_abort(void *self, lun_call *call, const uint64_t *params, uint64_t *results, lun_error *error) {
  char message[TEXT_ROOM], file[TEXT_ROOM];
  (void)self, (void)results;
  read_string(lun_call_memory(call), params[0], message);
  read_string(lun_call_memory(call), params[1], file);
  char place[TEXT_ROOM] = "";
  if (file[0]) snprintf(place, sizeof place, " in %.200s:%u:%u", file, (unsigned)params[2], (unsigned)params[3]);
  lun_error_set(error, LUN_TRAP, "abort%s%.200s%s", message[0] ? ": " : "", message, place);
  error->trap = LUN_TRAP_UNREACHABLE;
  return LUN_TRAP;
}

/* With as few digits as give the same number again, and without an exponent as long as that is readable. */
static int print_number(char *at, size_t room, double number) {
  char shortest[40];
  int digits = 1;
  for (; digits < 17; digits++) {
    snprintf(shortest, sizeof shortest, "%.*e", digits - 1, number);
    if (strtod(shortest, NULL) == number) break;
  }
  snprintf(shortest, sizeof shortest, "%.*e", digits - 1, number);
  const char *mark = strchr(shortest, 'e');
  if (!mark) return snprintf(at, room, "%s", number != number ? "NaN" : number < 0 ? "-Infinity" : "Infinity");
  int exponent = atoi(mark + 1), decimals = digits - 1 - exponent;
  if (exponent < -6 || exponent >= 21) return snprintf(at, room, "%.*se%+d", (int)(mark - shortest), shortest, exponent);
  return snprintf(at, room, "%.*f", decimals > 0 ? decimals : 0, number);
}

static void write_all(int fd, const char *bytes, size_t size) {
  while (size > 0) {
    ssize_t n = write(fd, bytes, size);
    if (n < 0 && errno != EINTR) return; /* as a lost line on stderr */
    if (n > 0) bytes += n, size -= (size_t)n;
  }
}

/* (message, n, a0 … a4) */
static lun_status call_trace(void *self, lun_call *call, const uint64_t *params, uint64_t *results, lun_error *error) {
  const lun_toolchain_options *options = &((Context *)self)->options;
  char message[TEXT_ROOM], line[TEXT_ROOM + 256];
  (void)results, (void)error;
  if (options->trace_fd <= 0) return LUN_OK;
  read_string(lun_call_memory(call), params[0], message);
  int size = snprintf(line, sizeof line, "trace: %s", message);
  for (uint32_t i = 0; i < (uint32_t)params[1] && i < TRACE_NUMBERS; i++) {
    double number;
    memcpy(&number, &params[2 + i], sizeof number);
    size += snprintf(line + size, sizeof line - (size_t)size, i ? ", " : " ");
    size += print_number(line + size, sizeof line - (size_t)size, number);
  }
  line[size++] = '\n';
  if (options->before_write) options->before_write(options->self, options->trace_fd);
  write_all(options->trace_fd, line, (size_t)size);
  return LUN_OK;
}

static lun_status call_seed(void *self, lun_call *call, const uint64_t *params, uint64_t *results, lun_error *error) {
  const Context *context = self;
  uint64_t bits = UINT64_C(1) << 63;
  (void)call, (void)params;
  if (!context->options.deterministic && getrandom(&bits, sizeof bits, 0) != sizeof bits)
    return lun_error_set(error, LUN_HOST, "no random bytes: %s", strerror(errno));
  double seed = (double)(bits >> 11) / (double)(UINT64_C(1) << 53) * 1e12;
  memcpy(results, &seed, sizeof seed);
  return LUN_OK;
}

const Row assemblyscript_rows[] = {
  { "abort", "iiii:", call_abort }, { "trace", "iiddddd:", call_trace }, { "seed", ":d", call_seed }, { NULL, NULL, NULL },
};
