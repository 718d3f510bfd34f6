// A process that was forked goes on with what its parent made: it calls, is interrupted, waits and makes more; and what it
// stops is its own.
#include "stopping.h"
#include <sys/wait.h>

static int child(guest_t old, guest_t other) {
  // Its memory is a copy.
  if (call(old, COUNT, 10) != 11) return 1;
  if (stopped(old, SLEEP, NULL) != -CELLWALL_TRAP_INTERRUPT) return 2;
  if (call(old, SLEEP, 1) != 0) return 3;
  if (stopped(old, SPIN, NULL) != -CELLWALL_TRAP_INTERRUPT) return 4;
  if (stopped(other, SPIN, other.store) != -CELLWALL_TRAP_INTERRUPT) return 5;
  // Something new, compiled by threads of its own.
  guest_t made = guest(cellwall_wasi_config_new());
  if (call(made, COUNT, 5) != 5) return 6;
  if (stopped(made, SLEEP, made.store) != -CELLWALL_TRAP_INTERRUPT) return 7;
  done(made);
  // A child of its own.
  pid_t process = fork();
  if (process == 0) {
    made = guest(cellwall_wasi_config_new());
    int answer = stopped(made, SPIN, NULL) == -CELLWALL_TRAP_INTERRUPT ? 0 : 1;
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
  guest_t it = guest(cellwall_wasi_config_new());
  guest_t other = guest(cellwall_wasi_config_new());
  printf("counted: %d, %d\n", call(it, COUNT, 1), call(other, COUNT, 1));
  // The parent has used what stops its guests, too.
  printf("stopped: %d\n", stopped(it, SLEEP, NULL));
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
  printf("the parent: %d, %d\n", counted, stopped(it, SPIN, NULL));
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
