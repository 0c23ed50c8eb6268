/* SPDX-License-Identifier: MIT */
/* What the way out costs the thread that traces: lun_output_write of a 60-byte line beside fwrite in the same run, to
 * each place named on the command line (default: /dev/null and a file in memory). Best of five rounds each; ns per
 * line until the last write returned, and MB/s until all is with the system. */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <lunette/output.h>

enum { LINES = 4000000, ROUNDS = 5, FLUSHES = 20000 };
static const char line[] = "  env.read(fd=3, buf=66560, len=4096) -> 4096 in 12345 ns.\n\n";
#define LINE_BYTES 60

typedef struct Result {
  double put_ns, mb_s;
} Result;

static double now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static Result result_of(double start, double put, double end) {
  return (Result){ (put - start) / LINES, (double)LINES * LINE_BYTES / (end - start) * 1e3 };
}

static Result round_output(lun_writer *writer, const char *path) {
  lun_output *output;
  if (lun_output_open(writer, &(lun_output_options){ .path = path }, &output, NULL) != LUN_OK) return (Result){ 0, 0 };
  double start = now_ns();
  for (int i = 0; i < LINES; i++) lun_output_write(output, line, LINE_BYTES);
  double put = now_ns();
  lun_output_flush(output);
  double end = now_ns();
  lun_output_close(output, NULL);
  return result_of(start, put, end);
}

static Result round_stdio(const char *path) {
  FILE *file = fopen(path, "w");
  if (!file) return (Result){ 0, 0 };
  double start = now_ns();
  for (int i = 0; i < LINES; i++) fwrite(line, 1, LINE_BYTES, file);
  double put = now_ns();
  fflush(file);
  double end = now_ns();
  fclose(file);
  return result_of(start, put, end);
}

static void keep_best(Result *best, Result round) {
  if (!best->put_ns || round.put_ns < best->put_ns) best->put_ns = round.put_ns;
  if (round.mb_s > best->mb_s) best->mb_s = round.mb_s;
}

static double flush_ns(lun_writer *writer, const char *path) {
  lun_output *output;
  if (lun_output_open(writer, &(lun_output_options){ .path = path }, &output, NULL) != LUN_OK) return 0;
  double start = now_ns();
  for (int i = 0; i < FLUSHES; i++) {
    lun_output_write(output, line, LINE_BYTES);
    lun_output_flush(output);
  }
  double end = now_ns();
  lun_output_close(output, NULL);
  return (end - start) / FLUSHES;
}

int main(int argc, char **argv) {
  static const char *const usual[] = { "/dev/null", "/dev/shm/lunette_output_bench" };
  const char *const *paths = argc > 1 ? (const char *const *)argv + 1 : usual;
  int count = argc > 1 ? argc - 1 : 2;
  lun_writer *writer;
  if (lun_writer_create(NULL, &writer, NULL) != LUN_OK) return 1;
  for (int i = 0; i < count; i++) {
    Result output = { 0, 0 }, stdio = { 0, 0 };
    for (int round = 0; round < ROUNDS; round++) {
      keep_best(&output, round_output(writer, paths[i]));
      keep_best(&stdio, round_stdio(paths[i]));
    }
    printf("%-30s output %5.1f ns %6.0f MB/s   fwrite %5.1f ns %6.0f MB/s   write+flush %.1f us\n", paths[i], output.put_ns,
           output.mb_s, stdio.put_ns, stdio.mb_s, flush_ns(writer, paths[i]) / 1e3);
    if (argc == 1 && i) unlink(paths[i]);
  }
  lun_writer_destroy(writer);
  return 0;
}
