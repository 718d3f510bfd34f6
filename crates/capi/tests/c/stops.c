// Guests that do not end by themselves, and those that wait, stopped from another thread; and what else threads do.
#include "stopping.h"
#include <time.h>

// With the grant of standard input.
static guest_t reader(void) {
  cellwall_wasi_config_t* config = cellwall_wasi_config_new();
  cellwall_wasi_config_inherit_stdin(config);
  return guest(config);
}

static bool is_stopped(guest_t it, int func, wasm_store_t* store) {
  return stopped(it, func, store) == -CELLWALL_TRAP_INTERRUPT;
}

static bool sleeps(guest_t it, long milliseconds) {
  struct timespec before, after;
  clock_gettime(CLOCK_MONOTONIC, &before);
  int answer = call(it, SLEEP, milliseconds);
  clock_gettime(CLOCK_MONOTONIC, &after);
  long passed = (after.tv_sec - before.tv_sec) * 1000 + (after.tv_nsec - before.tv_nsec) / 1000000;
  return answer == 0 && passed >= milliseconds - 1;
}

static void* asleep(void* env) {
  guest_t it = reader();
  *(bool*)env = sleeps(it, 300);
  done(it);
  return NULL;
}

int main(void) {
  // Standard input that says nothing.
  int ends[2];
  if (pipe(ends) || dup2(ends[0], 0) != 0) return 1;
  engine = wasm_engine_new();
  const char* names[] = {"", "sleep", "read", "spin"};
  for (int by_store = 0; by_store < 2; by_store++)
    for (int func = SLEEP; func <= SPIN; func++) {
      guest_t it = reader();
      bool was = is_stopped(it, func, by_store ? it.store : NULL);
      printf("%s, by the %s: %d\n", names[func], by_store ? "store" : "engine", was);
      done(it);
    }
  guest_t without = guest(NULL), later = reader(), idle = reader();
  printf("sleep without a configuration: %d\n", is_stopped(without, SLEEP, NULL));
  // A store that did nothing meanwhile waits as if nothing had been; one that was stopped, in its next call.
  printf("idle meanwhile: %d\n", sleeps(idle, 30));
  cellwall_engine_interrupt(engine);
  printf("interrupted in vain: %d\n", sleeps(later, 30));
  printf("stopped before: %d\n", sleeps(without, 30));
  done(without);
  done(later);
  done(idle);
  // Of two stores on two threads only one is stopped.
  bool slept = false;
  pthread_t thread;
  pthread_create(&thread, NULL, asleep, &slept);
  guest_t it = reader();
  printf("one of two: %d", is_stopped(it, SLEEP, it.store));
  done(it);
  pthread_join(thread, NULL);
  printf(", the other slept: %d\n", slept);
  wasm_engine_delete(engine);
  close(ends[0]);
  close(ends[1]);
  return 0;
}
