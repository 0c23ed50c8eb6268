/* SPDX-License-Identifier: MIT */
/* For the programs that test an output. Each is a table of named cases: without arguments all run, with arguments those
 * named. A case prints "ok NAME" or what was wrong; the process ends with 1 when one failed. Whatever hangs is ended by
 * an alarm. */
#ifndef OUTPUT_TEST_H
#define OUTPUT_TEST_H

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <lunette/output.h>

typedef struct Case {
  const char *name;
  void (*run)(void);
} Case;

static int failures;
static char file_path[] = P_tmpdir "/lunette_output_XXXXXX"; /* a fresh file for each case */

#define CHECK(condition)                                                        \
  do {                                                                          \
    if (!(condition)) {                                                         \
      failures++;                                                               \
      printf("# %s:%d: not so: %s\n", __FILE__, __LINE__, #condition);          \
    }                                                                           \
  } while (0)

/* Where to go on makes no sense. */
#define MUST(condition)                                                         \
  do {                                                                          \
    if (!(condition)) {                                                         \
      printf("# %s:%d: failed: %s (%s)\n", __FILE__, __LINE__, #condition, strerror(errno)); \
      exit(1);                                                                  \
    }                                                                           \
  } while (0)

static inline lun_writer *writer_start(const lun_writer_options *options) {
  lun_writer *writer;
  MUST(lun_writer_create(options, &writer, NULL) == LUN_OK);
  return writer;
}

static inline lun_output *open_path(lun_writer *writer, const char *path, size_t ring) {
  lun_output *output;
  MUST(lun_output_open(writer, &(lun_output_options){ .path = path, .ring_bytes = ring }, &output, NULL) == LUN_OK);
  return output;
}

static inline lun_output *open_fd(lun_writer *writer, int fd, size_t ring) {
  lun_output *output;
  MUST(lun_output_open(writer, &(lun_output_options){ .fd = fd, .ring_bytes = ring }, &output, NULL) == LUN_OK);
  return output;
}

static inline off_t file_size(const char *path) {
  struct stat status;
  return stat(path, &status) == 0 ? status.st_size : -1;
}

/* ---- a stream of bytes that anyone can tell again from its seed ---- */
typedef struct Stream {
  uint64_t state;
  uint8_t word[8];
  unsigned used;
} Stream;

static inline Stream stream_of(uint64_t seed) { return (Stream){ .state = seed * 2654435761u + 1, .used = 8 }; }

static inline uint64_t random_next(uint64_t *state) {
  *state ^= *state << 13;
  *state ^= *state >> 7;
  *state ^= *state << 17;
  return *state;
}

static inline uint8_t stream_byte(Stream *stream) {
  if (stream->used == 8) {
    uint64_t word = random_next(&stream->state);
    memcpy(stream->word, &word, 8);
    stream->used = 0;
  }
  return stream->word[stream->used++];
}

/* Puts `total` bytes of the stream into the output, in pieces of 0 to `longest` bytes; the number that it was told was
 * put in. */
static inline uint64_t put_stream(lun_output *output, uint64_t seed, uint64_t total, size_t longest) {
  Stream stream = stream_of(seed);
  uint64_t sizes = seed + 99, put = 0;
  uint8_t *piece = malloc(longest + 1);
  MUST(piece);
  while (put < total) {
    size_t size = random_next(&sizes) % (longest + 1);
    if (size > total - put) size = (size_t)(total - put);
    for (size_t i = 0; i < size; i++) piece[i] = stream_byte(&stream);
    if (!lun_output_write(output, piece, size)) break;
    put += size;
  }
  free(piece);
  return put;
}

/* Reads to the end; how many bytes came, or -1 when one was wrong. */
static inline int64_t count_stream(int fd, uint64_t seed, size_t at_once, void (*between)(void)) {
  Stream stream = stream_of(seed);
  int64_t count = 0;
  uint8_t bytes[65536];
  for (ssize_t got; (got = read(fd, bytes, at_once)) > 0; count += got) {
    for (ssize_t i = 0; i < got; i++) {
      if (bytes[i] != stream_byte(&stream)) return -1;
    }
    if (between) between();
  }
  return count;
}

static inline int64_t count_file(const char *path, uint64_t seed) {
  int fd = open(path, O_RDONLY);
  MUST(fd >= 0);
  int64_t count = count_stream(fd, seed, 65536, NULL);
  close(fd);
  return count;
}

static inline int run_cases(const Case *cases, size_t count, int argc, char **argv) {
  int failed = 0;
  setvbuf(stdout, NULL, _IOLBF, 0);
  for (size_t i = 0; i < count; i++) {
    bool wanted = argc == 1;
    for (int a = 1; a < argc; a++) wanted = wanted || strcmp(argv[a], cases[i].name) == 0;
    if (!wanted) continue;
    alarm(300);
    int fd = mkstemp(file_path);
    MUST(fd >= 0);
    close(fd);
    failures = 0;
    cases[i].run();
    printf("%s %s\n", failures ? "not ok" : "ok", cases[i].name);
    failed += failures;
    unlink(file_path);
    memcpy(file_path + sizeof file_path - 7, "XXXXXX", 6);
  }
  return failed != 0;
}

#define MAIN(cases) \
  int main(int argc, char **argv) { return run_cases(cases, sizeof(cases) / sizeof *(cases), argc, argv); }

#endif
