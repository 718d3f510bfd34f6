// Guests that do not end by themselves, and those that wait, stopped from another thread; and what else threads do.
#define _DEFAULT_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <cellwall.h>

static wasm_engine_t* engine;

static const char* text =
  "(module"
  "  (import \"wasi_snapshot_preview1\" \"poll_oneoff\" (func $poll (param i32 i32 i32 i32) (result i32)))"
  "  (import \"wasi_snapshot_preview1\" \"fd_read\" (func $read (param i32 i32 i32 i32) (result i32)))"
  "  (memory (export \"memory\") 1)"
  // The subscription at 0 is to the monotonic clock; milliseconds are the argument.
  "  (func (export \"sleep\") (param i64) (result i32)"
  "    (i32.store (i32.const 16) (i32.const 1))"
  "    (i64.store (i32.const 24) (i64.mul (local.get 0) (i64.const 1000000)))"
  "    (call $poll (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 128)))"
  "  (func (export \"read\") (param i64) (result i32)"
  "    (i32.store (i32.const 200) (i32.const 256))"
  "    (i32.store (i32.const 204) (i32.const 16))"
  "    (call $read (i32.const 0) (i32.const 200) (i32.const 1) (i32.const 208)))"
  "  (func (export \"spin\") (param i64) (result i32) (loop (br 0)) (i32.const 0)))";

typedef struct { wasm_store_t* store; wasm_func_t* funcs[3]; wasm_extern_vec_t exports; } guest_t;

static guest_t guest(bool with_wasi) {
  guest_t made;
  made.store = wasm_store_new(engine);
  if (with_wasi) {
    cellwall_wasi_config_t* config = cellwall_wasi_config_new();
    cellwall_wasi_config_inherit_stdin(config);
    cellwall_store_wasi_set(made.store, config);
  }
  wasm_byte_vec_t binary;
  cellwall_wat2wasm(text, strlen(text), &binary);
  wasm_module_t* module = wasm_module_new(made.store, &binary);
  wasm_byte_vec_delete(&binary);
  cellwall_linker_t* linker = cellwall_linker_new(engine);
  cellwall_linker_define_wasi(linker);
  wasm_instance_t* instance = NULL;
  wasm_trap_t* trap = NULL;
  if (cellwall_linker_instantiate(linker, made.store, module, &instance, &trap)) printf("no instance\n");
  wasm_instance_exports(instance, &made.exports);
  for (int i = 0; i < 3; i++) made.funcs[i] = wasm_extern_as_func(made.exports.data[i + 1]);
  wasm_instance_delete(instance);
  wasm_module_delete(module);
  cellwall_linker_delete(linker);
  return made;
}

static void done(guest_t it) {
  wasm_extern_vec_delete(&it.exports);
  wasm_store_delete(it.store);
}

typedef struct { wasm_store_t* store; volatile bool returned; } stop_t;

// Says it until the call is over.
static void* stop(void* env) {
  stop_t* it = env;
  while (!it->returned) {
    usleep(10000);
    if (it->store) cellwall_store_interrupt(it->store);
    else cellwall_engine_interrupt(engine);
  }
  return NULL;
}

// The code that a call ends with while another thread interrupts a store, or the engine.
static int stopped(guest_t it, int func, long milliseconds, wasm_store_t* store) {
  stop_t env = {store, false};
  pthread_t thread;
  pthread_create(&thread, NULL, stop, &env);
  wasm_val_t arg = WASM_I64_VAL(milliseconds), result = WASM_INIT_VAL;
  wasm_val_vec_t args = {1, &arg}, results = {1, &result};
  wasm_trap_t* trap = wasm_func_call(it.funcs[func], &args, &results);
  env.returned = true;
  pthread_join(thread, NULL);
  int code = trap ? cellwall_trap_code(trap) : CELLWALL_TRAP_NONE;
  wasm_trap_delete(trap);
  return code;
}

static bool sleeps(guest_t it, long milliseconds) {
  wasm_val_t arg = WASM_I64_VAL(milliseconds), result = WASM_INIT_VAL;
  wasm_val_vec_t args = {1, &arg}, results = {1, &result};
  struct timespec before, after;
  clock_gettime(CLOCK_MONOTONIC, &before);
  wasm_trap_t* trap = wasm_func_call(it.funcs[0], &args, &results);
  clock_gettime(CLOCK_MONOTONIC, &after);
  long passed = (after.tv_sec - before.tv_sec) * 1000 + (after.tv_nsec - before.tv_nsec) / 1000000;
  bool slept = !trap && result.of.i32 == 0 && passed >= milliseconds - 1;
  wasm_trap_delete(trap);
  return slept;
}

static void* asleep(void* env) {
  guest_t it = guest(true);
  *(bool*)env = sleeps(it, 300);
  done(it);
  return NULL;
}

int main(void) {
  // Standard input that says nothing.
  int ends[2];
  if (pipe(ends) || dup2(ends[0], 0) != 0) return 1;
  engine = wasm_engine_new();
  const char* names[] = {"sleep", "read", "spin"};
  for (int by_store = 0; by_store < 2; by_store++)
    for (int func = 0; func < 3; func++) {
      guest_t it = guest(true);
      int code = stopped(it, func, 3600000, by_store ? it.store : NULL);
      printf("%s, by the %s: %d\n", names[func], by_store ? "store" : "engine", code == CELLWALL_TRAP_INTERRUPT);
      done(it);
    }
  guest_t without = guest(false), later = guest(true), idle = guest(true);
  printf("sleep without a configuration: %d\n", stopped(without, 0, 3600000, NULL) == CELLWALL_TRAP_INTERRUPT);
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
  guest_t it = guest(true);
  printf("one of two: %d", stopped(it, 0, 3600000, it.store) == CELLWALL_TRAP_INTERRUPT);
  done(it);
  pthread_join(thread, NULL);
  printf(", the other slept: %d\n", slept);
  wasm_engine_delete(engine);
  close(ends[0]);
  close(ends[1]);
  return 0;
}
