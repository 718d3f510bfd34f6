// Aliases and imports found once for many instances; features of processors; waits of the host; tapped signals.
#define _DEFAULT_SOURCE
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cellwall.h>

static wasm_engine_t* engine;
static int alive;

static void show(const char* what, cellwall_error_t* error) {
  if (!error) {
    printf("%s: fine\n", what);
    return;
  }
  wasm_name_t message;
  cellwall_error_message(error, &message);
  printf("%s: %.*s\n", what, (int)message.size, message.data);
  wasm_byte_vec_delete(&message);
  cellwall_error_delete(error);
}

static wasm_name_t name(const char* text) {
  wasm_name_t made = {strlen(text), (char*)text};
  return made;
}

static wasm_module_t* compile(wasm_store_t* store, const char* text) {
  wasm_byte_vec_t binary;
  if (cellwall_wat2wasm(text, strlen(text), &binary)) return NULL;
  wasm_module_t* module = wasm_module_new(store, &binary);
  wasm_byte_vec_delete(&binary);
  return module;
}

static wasm_trap_t* six(void* env, const wasm_val_vec_t* args, wasm_val_vec_t* results) {
  results->data[0].kind = WASM_I32;
  results->data[0].of.i32 = (int)(size_t)env;
  return NULL;
}
static void gone(void* env) { alive--; }

static int call(wasm_instance_t* instance) {
  wasm_extern_vec_t exports;
  wasm_instance_exports(instance, &exports);
  wasm_val_t result = WASM_INIT_VAL;
  wasm_val_vec_t results = {1, &result};
  wasm_trap_t* trap = wasm_func_call(wasm_extern_as_func(exports.data[0]), NULL, &results);
  if (trap) printf("trap!\n");
  wasm_trap_delete(trap);
  wasm_extern_vec_delete(&exports);
  return result.of.i32;
}

static void* elsewhere(void* pre) {
  wasm_store_t* store = wasm_store_new(engine);
  wasm_instance_t* instance = NULL;
  wasm_trap_t* trap = NULL;
  cellwall_error_t* error = cellwall_instance_pre_instantiate(pre, store, &instance, &trap);
  int answer = error ? -1 : call(instance);
  cellwall_error_delete(error);
  wasm_instance_delete(instance);
  cellwall_instance_pre_delete(pre);
  wasm_store_delete(store);
  return (void*)(size_t)answer;
}

static void once_for_many(void) {
  wasm_store_t* store = wasm_store_new(engine);
  cellwall_linker_t* linker = cellwall_linker_new(engine);
  wasm_functype_t* type = wasm_functype_new_0_1(wasm_valtype_new_i32());
  wasm_name_t a = name("a"), b = name("b"), m = name("m"), f = name("f"), nobody = name("nobody");
  alive++;
  show("define", cellwall_linker_define_func(linker, &a, &b, type, six, (void*)6, gone));
  wasm_functype_delete(type);
  show("alias", cellwall_linker_alias(linker, &a, &b, &m, &f));
  show("alias of nothing", cellwall_linker_alias(linker, &a, &f, &m, &b));
  show("alias twice", cellwall_linker_alias(linker, &a, &b, &m, &f));
  show("alias of a module", cellwall_linker_alias_module(linker, &m, &nobody));
  wasm_module_t* module = compile(store,
    "(module (import \"nobody\" \"f\" (func $f (result i32))) (func (export \"g\") (result i32) call $f))");
  cellwall_instance_pre_t *pre = NULL, *other = NULL;
  show("imports", cellwall_linker_instantiate_pre(linker, module, &pre));
  wasm_module_t* lacks = compile(store, "(module (import \"x\" \"y\" (func)))");
  show("missing imports", cellwall_linker_instantiate_pre(linker, lacks, &other));
  show("no module", cellwall_linker_instantiate_pre(linker, NULL, &other));
  wasm_module_delete(lacks);
  wasm_module_t* traps = compile(store, "(module (func $f unreachable) (start $f))");
  show("a start function", cellwall_linker_instantiate_pre(linker, traps, &other));
  wasm_module_delete(traps);
  cellwall_linker_delete(linker);
  wasm_module_delete(module);
  for (int i = 0; i < 2; i++) {
    wasm_instance_t* instance = NULL;
    show("instantiate", cellwall_instance_pre_instantiate(pre, store, &instance, NULL));
    printf("answer %d\n", call(instance));
    wasm_instance_delete(instance);
  }
  wasm_instance_t* instance = NULL;
  wasm_trap_t* trap = NULL;
  show("trapping", cellwall_instance_pre_instantiate(other, store, &instance, &trap));
  printf("code %d, instance %d\n", cellwall_trap_code(trap), instance != NULL);
  wasm_trap_delete(trap);
  show("unasked", cellwall_instance_pre_instantiate(other, store, NULL, NULL));
  cellwall_instance_pre_delete(other);
  pthread_t threads[3];
  for (int i = 0; i < 3; i++) pthread_create(&threads[i], NULL, elsewhere, cellwall_instance_pre_copy(pre));
  for (int i = 0; i < 3; i++) {
    void* answer;
    pthread_join(threads[i], &answer);
    printf("on a thread: %d\n", (int)(size_t)answer);
  }
  wasm_engine_t* another = wasm_engine_new();
  wasm_store_t* foreign = wasm_store_new(another);
  show("another engine", cellwall_instance_pre_instantiate(pre, foreign, &instance, &trap));
  wasm_store_delete(foreign);
  wasm_engine_delete(another);
  printf("function alive: %d", alive);
  wasm_store_delete(store);
  cellwall_instance_pre_delete(pre);
  printf(", then %d\n", alive);
}

static void features(void) {
  wasm_config_t* config = wasm_config_new();
  const char* names[] = {"popcnt", "lzcnt", "bmi1", "bmi2", "avx", "avx2", "fma"};
  for (int i = 0; i < 7; i++) {
    cellwall_error_t* error = cellwall_config_cpu_feature_set(config, names[i], false);
    if (error) show(names[i], error);
  }
  show("no such feature", cellwall_config_cpu_feature_set(config, "sse9", true));
  show("no name", cellwall_config_cpu_feature_set(config, NULL, true));
  wasm_engine_t* plain = wasm_engine_new_with_config(config);
  wasm_store_t* store = wasm_store_new(plain);
  wasm_module_t* module = compile(store,
    "(module (func (export \"f\") (result i32) (i32.add (i32.popcnt (i32.const 255)) (i32.clz (i32.const 1)))))");
  wasm_instance_t* instance = wasm_instance_new(store, module, NULL, NULL);
  printf("without features: %d\n", call(instance));
  wasm_instance_delete(instance);
  wasm_module_delete(module);
  wasm_store_delete(store);
  wasm_engine_delete(plain);
}

static void* waiter(void* memory) {
  uint8_t result = 9;
  cellwall_error_t* error = cellwall_sharedmemory_atomic_wait32(memory, 64, 0, -1, &result);
  cellwall_sharedmemory_delete(memory);
  return (void*)(size_t)(error ? 8 : result);
}

static void waits(void) {
  wasm_memorytype_t* type = cellwall_memorytype_new(1, 1, false, true);
  cellwall_sharedmemory_t* memory = cellwall_sharedmemory_new(engine, type);
  wasm_memorytype_delete(type);
  uint8_t result = 9;
  uint32_t woken = 9;
  show("mismatch", cellwall_sharedmemory_atomic_wait32(memory, 0, 1, -1, &result));
  printf("%d\n", result == CELLWALL_WAIT_MISMATCH);
  show("time", cellwall_sharedmemory_atomic_wait64(memory, 8, 0, 1000000, &result));
  printf("%d\n", result == CELLWALL_WAIT_TIMED_OUT);
  show("unaligned", cellwall_sharedmemory_atomic_wait32(memory, 2, 0, 0, &result));
  show("beyond", cellwall_sharedmemory_atomic_wait64(memory, 65536, 0, 0, &result));
  show("beyond", cellwall_sharedmemory_atomic_notify(memory, 65536, 1, &woken));
  show("nobody", cellwall_sharedmemory_atomic_notify(memory, 64, 1, &woken));
  printf("%" PRIu32 "\n", woken);
  show("no memory", cellwall_sharedmemory_atomic_notify(NULL, 64, 1, NULL));
  pthread_t thread;
  pthread_create(&thread, NULL, waiter, cellwall_sharedmemory_copy(memory));
  for (woken = 0; woken == 0;) cellwall_error_delete(cellwall_sharedmemory_atomic_notify(memory, 64, 5, &woken));
  void* answer;
  pthread_join(thread, &answer);
  printf("woken %" PRIu32 ", %d\n", woken, (int)(size_t)answer == CELLWALL_WAIT_OK);
  cellwall_sharedmemory_delete(memory);
}

static volatile int handled;
static void on_signal(int number) { handled += number == SIGUSR1; }
static void on_signal_info(int number, siginfo_t* info, void* context) { handled += info && info->si_signo == number; }

static int64_t now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static bool seen(int end, int64_t after) {
  int64_t arrival[2] = {0, 0};
  return read(end, arrival, sizeof arrival) == sizeof arrival && arrival[0] == SIGUSR1 && arrival[1] >= after &&
         arrival[1] <= now();
}

static void taps(void) {
  int ends[2];
  if (pipe(ends)) return;
  int64_t before = now();
  printf("no handler: %d, no such signal: %d\n", cellwall_signal_tap(SIGUSR2, ends[1]), cellwall_signal_tap(999, ends[1]));
  signal(SIGUSR1, on_signal);
  bool tapped = cellwall_signal_tap(SIGUSR1, ends[1]), again = cellwall_signal_tap(SIGUSR1, ends[1]);
  raise(SIGUSR1);
  printf("tapped %d %d, handled %d", tapped, again, handled);
  printf(", seen %d\n", seen(ends[0], before));
  struct sigaction action = {.sa_sigaction = on_signal_info, .sa_flags = SA_SIGINFO};
  sigaction(SIGUSR1, &action, NULL);
  printf("another handler: %d", cellwall_signal_tap(SIGUSR1, ends[1]));
  before = now();
  raise(SIGUSR1);
  printf(", handled %d, seen %d\n", handled, seen(ends[0], before));
  cellwall_signal_tap(SIGUSR1, -1);
  raise(SIGUSR1);
  close(ends[1]);
  printf("no more: handled %d, seen %d\n", handled, seen(ends[0], before));
  close(ends[0]);
}

int main(void) {
  engine = wasm_engine_new();
  once_for_many();
  features();
  waits();
  taps();
  wasm_engine_delete(engine);
  return 0;
}
