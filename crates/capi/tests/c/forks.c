// A process that was forked goes on with what its parent made: it calls, is interrupted, waits and makes more; and what it
// stops is its own.
#define _DEFAULT_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cellwall.h>

static wasm_engine_t* engine;

static const char* text =
  "(module"
  "  (import \"wasi_snapshot_preview1\" \"poll_oneoff\" (func $poll (param i32 i32 i32 i32) (result i32)))"
  "  (memory (export \"memory\") 1)"
  "  (func (export \"sleep\") (param i64) (result i32)"
  "    (i32.store (i32.const 16) (i32.const 1))"
  "    (i64.store (i32.const 24) (i64.mul (local.get 0) (i64.const 1000000)))"
  "    (call $poll (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 128)))"
  "  (func (export \"spin\") (param i64) (result i32) (loop (br 0)) (i32.const 0))"
  "  (func (export \"count\") (param i64) (result i32)"
  "    (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (i32.wrap_i64 (local.get 0)))) (i32.load (i32.const 0))))";

enum { MEMORY, SLEEP, SPIN, COUNT };

typedef struct { wasm_store_t* store; wasm_extern_vec_t exports; } guest_t;

static guest_t guest(void) {
  guest_t made = {wasm_store_new(engine), WASM_EMPTY_VEC};
  cellwall_store_wasi_set(made.store, cellwall_wasi_config_new());
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

static void* stop(void* data) {
  stop_t* it = data;
  while (!it->returned) {
    usleep(2000);
    if (it->store) cellwall_store_interrupt(it->store);
    else cellwall_engine_interrupt(engine);
  }
  return NULL;
}

static int stopped(guest_t it, int func, bool by_store) {
  stop_t how = {by_store ? it.store : NULL, false};
  pthread_t thread;
  if (pthread_create(&thread, NULL, stop, &how)) return 1;
  int answer = call(it, func, 3600000);
  how.returned = true;
  pthread_join(thread, NULL);
  return answer;
}

static int child(guest_t old, guest_t other) {
  // Its memory is a copy.
  if (call(old, COUNT, 10) != 11) return 1;
  if (stopped(old, SLEEP, false) != -CELLWALL_TRAP_INTERRUPT) return 2;
  if (call(old, SLEEP, 1) != 0) return 3;
  if (stopped(old, SPIN, false) != -CELLWALL_TRAP_INTERRUPT) return 4;
  if (stopped(other, SPIN, true) != -CELLWALL_TRAP_INTERRUPT) return 5;
  // Something new, compiled by threads of its own.
  guest_t made = guest();
  if (call(made, COUNT, 5) != 5) return 6;
  if (stopped(made, SLEEP, true) != -CELLWALL_TRAP_INTERRUPT) return 7;
  done(made);
  // A child of its own.
  pid_t process = fork();
  if (process == 0) {
    made = guest();
    int answer = stopped(made, SPIN, false) == -CELLWALL_TRAP_INTERRUPT ? 0 : 1;
    done(made);
    done(old);
    done(other);
    wasm_engine_delete(engine);
    _exit(answer);
  }
  int status = 0;
  if (waitpid(process, &status, 0) != process || status != 0) return 8;
  return 0;
}

// A function of the host that forks: the guest goes on in both processes, and each stops its own.
static stop_t middle;
static pthread_t stopper;
static pid_t forked;

static wasm_trap_t* forks(const wasm_val_vec_t* args, wasm_val_vec_t* results) {
  forked = fork();
  pthread_create(&stopper, NULL, stop, &middle);
  return NULL;
}

static int in_the_middle(void) {
  guest_t it = {wasm_store_new(engine), WASM_EMPTY_VEC};
  const char* text = "(module (import \"\" \"\" (func $f)) (func (export \"g\") call $f (loop (br 0))))";
  wasm_module_t* module = NULL;
  cellwall_module_new(it.store, (const uint8_t*)text, strlen(text), &module);
  wasm_functype_t* type = wasm_functype_new_0_0();
  wasm_func_t* func = wasm_func_new(it.store, type, forks);
  wasm_functype_delete(type);
  wasm_extern_t* import = wasm_func_as_extern(func);
  wasm_extern_vec_t imports = {1, &import};
  wasm_instance_t* instance = wasm_instance_new(it.store, module, &imports, NULL);
  wasm_instance_exports(instance, &it.exports);
  wasm_instance_delete(instance);
  wasm_module_delete(module);
  wasm_func_delete(func);
  wasm_val_vec_t none = WASM_EMPTY_VEC;
  wasm_trap_t* trap = wasm_func_call(wasm_extern_as_func(it.exports.data[0]), &none, &none);
  int code = cellwall_trap_code(trap);
  wasm_trap_delete(trap);
  middle.returned = true;
  pthread_join(stopper, NULL);
  done(it);
  return code;
}

int main(void) {
  engine = wasm_engine_new();
  guest_t it = guest(), other = guest();
  printf("counted: %d, %d\n", call(it, COUNT, 1), call(other, COUNT, 1));
  // The parent has used what stops its guests, too.
  printf("stopped: %d\n", stopped(it, SLEEP, false));
  fflush(stdout);
  pid_t process = fork();
  if (process == 0) {
    int answer = child(it, other);
    done(it);
    done(other);
    wasm_engine_delete(engine);
    _exit(answer);
  }
  // What the child stops are its own guests: this one sleeps on.
  int slept = call(it, SLEEP, 300);
  int status = 0;
  waitpid(process, &status, 0);
  printf("slept: %d; the child: %d %d\n", slept, WIFEXITED(status), WEXITSTATUS(status));
  int counted = call(it, COUNT, 1);
  printf("the parent: %d, %d\n", counted, stopped(it, SPIN, false));
  fflush(stdout);
  int code = in_the_middle();
  if (forked == 0) {
    done(it);
    done(other);
    wasm_engine_delete(engine);
    _exit(code);
  }
  waitpid(forked, &status, 0);
  printf("in the middle: %d; the child: %d %d\n", code, WIFEXITED(status), WEXITSTATUS(status));
  done(it);
  done(other);
  wasm_engine_delete(engine);
  return 0;
}
