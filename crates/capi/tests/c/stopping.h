// Guests that do not end by themselves, and a thread that interrupts them: what stops.c and forks.c have in common.
#define _DEFAULT_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cellwall.h>

static wasm_engine_t* engine;

// What a guest exports behind its memory; each takes an i64 and returns an i32.
enum { SLEEP = 1, READ, SPIN, COUNT };

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
  "  (func (export \"spin\") (param i64) (result i32) (loop (br 0)) (i32.const 0))"
  "  (func (export \"count\") (param i64) (result i32)"
  "    (i32.store (i32.const 512) (i32.add (i32.load (i32.const 512)) (i32.wrap_i64 (local.get 0))))"
  "    (i32.load (i32.const 512))))";

typedef struct { wasm_store_t* store; wasm_extern_vec_t exports; } guest_t;

// A guest in a store of its own, which takes the configuration, if there is one.
static guest_t guest(cellwall_wasi_config_t* config) {
  guest_t made = {wasm_store_new(engine), WASM_EMPTY_VEC};
  if (config) cellwall_store_wasi_set(made.store, config);
  wasm_module_t* module = NULL;
  wasm_instance_t* instance = NULL;
  wasm_trap_t* trap = NULL;
  cellwall_linker_t* linker = cellwall_linker_new(engine);
  cellwall_linker_define_wasi(linker);
  if (cellwall_module_new(made.store, (const uint8_t*)text, strlen(text), &module)) printf("no module\n");
  if (cellwall_linker_instantiate(linker, made.store, module, &instance, &trap)) printf("no instance\n");
  wasm_instance_exports(instance, &made.exports);
  wasm_instance_delete(instance);
  wasm_module_delete(module);
  cellwall_linker_delete(linker);
  return made;
}

static void done(guest_t it) {
  wasm_extern_vec_delete(&it.exports);
  wasm_store_delete(it.store);
}

// The result, or the negative code of the trap.
static int call(guest_t it, int func, int64_t value) {
  wasm_val_t arg = WASM_I64_VAL(value), result = WASM_INIT_VAL;
  wasm_val_vec_t args = {1, &arg}, results = {1, &result};
  wasm_trap_t* trap = wasm_func_call(wasm_extern_as_func(it.exports.data[func]), &args, &results);
  if (!trap) return result.of.i32;
  int code = cellwall_trap_code(trap);
  wasm_trap_delete(trap);
  return -code;
}

typedef struct { wasm_store_t* store; volatile bool returned; } stop_t;

// Says it until the call is over.
static void* stop(void* data) {
  stop_t* it = data;
  while (!it->returned) {
    usleep(2000);
    if (it->store) cellwall_store_interrupt(it->store);
    else cellwall_engine_interrupt(engine);
  }
  return NULL;
}

// As `call` with an hour, while another thread interrupts a store, or without one the engine.
static int stopped(guest_t it, int func, wasm_store_t* store) {
  stop_t how = {store, false};
  pthread_t thread;
  if (pthread_create(&thread, NULL, stop, &how)) return 1;
  int answer = call(it, func, 3600000);
  how.returned = true;
  pthread_join(thread, NULL);
  return answer;
}
