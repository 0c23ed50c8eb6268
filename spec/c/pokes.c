/* SPDX-License-Identifier: MIT */
/* A store that another thread pokes and interrupts, while this one enters the guest and forgets what was asked for: every
 * call ends, either well or interrupted. The other thread rests at the end of each round, so that nothing it says later
 * wakes what it has left asleep. Whatever hangs is ended by an alarm; on a machine so busy that the two threads hardly meet
 * there are fewer rounds. */
#include <lunette/lunette.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
enum { ROUNDS = 1000 };
#else
enum { ROUNDS = 4000 };
#endif
enum { POKES = 8, ROUNDS_LEAST = 100, SECONDS_ENOUGH = 15, SECONDS_MOST = 100 };

static lun_store *store;
static atomic_uint begun, done; /* rounds */
static atomic_uint last = ROUNDS;
static unsigned long safepoints;

static void *poke(void *unused) {
  for (unsigned round = 1;; round++) {
    while (atomic_load(&begun) < round && atomic_load(&last) >= round) sched_yield();
    if (atomic_load(&last) < round) return unused;
    for (unsigned i = 0; i < POKES; i++) {
      if (i == 0 && round % 16 == 0) lun_store_interrupt(store);
      else lun_store_poke(store);
    }
    atomic_store(&done, round);
  }
}

static lun_status at_safepoint(void *self, lun_error *error) {
  (void)self, (void)error;
  safepoints++;
  return LUN_OK;
}

int main(int argc, char **argv) {
  static char bytes[1 << 16];
  FILE *file = argc > 1 ? fopen(argv[1], "rb") : NULL;
  if (!file) return fprintf(stderr, "usage: pokes MODULE\n"), 2;
  size_t size = fread(bytes, 1, sizeof bytes, file);
  fclose(file);
  lun_error error = LUN_ERROR_INIT;
  lun_module *module;
  lun_instance *guest;
  if (lun_store_create(NULL, &store, &error) || lun_module_create(store, bytes, size, NULL, &module, &error) ||
      lun_instance_create(store, module, NULL, NULL, &guest, &error))
    return fprintf(stderr, "%s\n", error.message), 1;
  lun_store_on_safepoint(store, at_safepoint, NULL);
  lun_function *deep = lun_instance_function(guest, "deep");
  alarm(SECONDS_MOST);
  pthread_t thread;
  if (pthread_create(&thread, NULL, poke, NULL) != 0) return 1;
  unsigned long well = 0, interrupted = 0, wrong = 0;
  time_t enough = time(NULL) + SECONDS_ENOUGH;
  for (unsigned round = 1; round <= atomic_load(&last); round++) {
    if (round > ROUNDS_LEAST && time(NULL) > enough) {
      atomic_store(&last, round - 1);
      break;
    }
    atomic_store(&begun, round);
    for (unsigned i = 0; i < round % 64; i++) lun_store_resume(store);
    for (bool resting = false; !resting;) {
      /* The last call of a round begins when nothing is said any more. */
      resting = atomic_load(&done) == round;
      uint64_t slot = 5;
      lun_status status = lun_function_invoke(deep, &slot, &slot, &error);
      if (status == LUN_OK && slot == 5) well++;
      else if (status == LUN_INTERRUPTED) interrupted++;
      else wrong++;
      lun_error_clear(&error);
    }
  }
  pthread_join(thread, NULL);
  lun_store_resume(store);
  uint64_t slot = 50;
  bool usable = lun_function_invoke(deep, &slot, &slot, &error) == LUN_OK && slot == 50;
  lun_error_clear(&error);
  lun_module_destroy(module);
  lun_store_destroy(store);
  printf("all ended: %s, heard: %s, usable: %s\n", well >= atomic_load(&last) / 2 && wrong == 0 ? "yes" : "no",
         safepoints > 0 && interrupted > 0 ? "yes" : "no", usable ? "yes" : "no");
  return 0;
}
