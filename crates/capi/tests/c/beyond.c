// What cellwall.h has beyond the standard: errors, the text format, artifacts, WASI, limits,
// interruption, fast calls, linkers.
#define _DEFAULT_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cellwall.h>

static wasm_engine_t* engine;
static wasm_store_t* store;

// Prints an error and deletes it.
static void show(const char* what, cellwall_error_t* error) {
  if (!error) {
    printf("%s: fine\n", what);
    return;
  }
  wasm_name_t message;
  cellwall_error_message(error, &message);
  size_t offset = 0;
  bool has_offset = cellwall_error_offset(error, &offset);
  printf("%s: kind %d, %s, \"%.*s\"\n", what, cellwall_error_kind(error), has_offset ? "with a place" : "no place",
    (int)(message.size < 40 ? message.size : 40), message.data);
  wasm_name_delete(&message);
  cellwall_error_delete(error);
}

static wasm_module_t* compile(const char* text) {
  wasm_module_t* module = NULL;
  cellwall_error_t* error = cellwall_module_new(store, (const uint8_t*)text, strlen(text), &module);
  if (error) show("compile", error);
  return module;
}

static wasm_instance_t* instantiate(const char* text) {
  wasm_module_t* module = compile(text);
  wasm_extern_vec_t none = WASM_EMPTY_VEC;
  wasm_instance_t* instance = wasm_instance_new(store, module, &none, NULL);
  wasm_module_delete(module);
  return instance;
}

static wasm_extern_t* export(const wasm_instance_t* instance, size_t index) {
  wasm_extern_vec_t exports;
  wasm_instance_exports(instance, &exports);
  wasm_extern_t* it = wasm_extern_copy(exports.data[index]);
  wasm_extern_vec_delete(&exports);
  return it;
}

static void errors(void) {
  show("invalid module", cellwall_module_validate(store, (const uint8_t*)"\0asm\1\0\0\0\x63", 9));
  show("valid module", cellwall_module_validate(store, (const uint8_t*)"\0asm\1\0\0\0", 8));
  show("no store", cellwall_module_validate(NULL, (const uint8_t*)"\0asm\1\0\0\0", 8));
  wasm_byte_vec_t binary;
  show("text", cellwall_wat2wasm("(module)", 8, &binary));
  printf("binary of %zu bytes\n", binary.size);
  wasm_byte_vec_delete(&binary);
  cellwall_error_t* error = cellwall_wat2wasm("(module", 7, &binary);
  printf("bad text: %d\n", error != NULL);
  cellwall_error_delete(error);
  wasm_byte_vec_new(&binary, 3, "abc");
  printf("wasm.h says null: %d\n", wasm_module_new(store, &binary) == NULL);
  wasm_byte_vec_delete(&binary);
  show("and why", cellwall_last_error());
  show("only once", cellwall_last_error());
}

static void artifacts(void) {
  wasm_module_t* module = compile("(module (func (export \"one\") (result i32) i32.const 1))");
  wasm_byte_vec_t bytes;
  wasm_module_serialize(module, &bytes);
  wasm_module_delete(module);
  show("load", cellwall_module_deserialize(store, (const uint8_t*)bytes.data, bytes.size, &module));
  wasm_module_delete(module);
  module = NULL;
  show("load half", cellwall_module_deserialize(store, (const uint8_t*)bytes.data, bytes.size / 2, &module));
  printf("nothing was loaded: %d\n", module == NULL);
  wasm_byte_vec_delete(&bytes);
  show("no file", cellwall_module_deserialize_file(store, "/no/such/file.cwall", &module));
}

static void fast_calls(void) {
  wasm_instance_t* instance = instantiate(
    "(module"
    "  (func (export \"mix\") (param i32 i64 f32 f64) (result f64 i64)"
    "    (f64.add (local.get 3) (f64.promote_f32 (local.get 2)))"
    "    (i64.add (local.get 1) (i64.extend_i32_s (local.get 0))))"
    "  (func (export \"ref\") (param externref))"
    "  (func $bad (export \"bad\") (drop (i32.div_u (i32.const 1) (i32.const 0)))))");
  wasm_extern_t* mix = export(instance, 0);
  cellwall_raw_t values[4] = {{.i32 = -2}, {.i64 = 44}, {.f32 = 0.5f}, {.f64 = 1.25}};
  wasm_trap_t* trap = cellwall_func_call_raw(wasm_extern_as_func(mix), values, 4);
  printf("fast %d, trap %d: %.2f and %lld\n", cellwall_func_is_raw(wasm_extern_as_func(mix)), trap != NULL,
    values[0].f64, (long long)values[1].i64);
  trap = cellwall_func_call_raw(wasm_extern_as_func(mix), values, 3);
  printf("too few places: trap %d, code %d\n", trap != NULL, cellwall_trap_code(trap));
  wasm_trap_delete(trap);
  wasm_extern_delete(mix);
  wasm_extern_t* ref = export(instance, 1);
  printf("references are not fast: %d\n", cellwall_func_is_raw(wasm_extern_as_func(ref)));
  wasm_extern_delete(ref);
  wasm_extern_t* bad = export(instance, 2);
  trap = cellwall_func_call_raw(wasm_extern_as_func(bad), NULL, 0);
  wasm_frame_t* frame = wasm_trap_origin(trap);
  const wasm_name_t* name = cellwall_frame_func_name(frame);
  printf("trap code %d in %.*s, module named: %d\n", cellwall_trap_code(trap), (int)name->size, name->data,
    cellwall_frame_module_name(frame) != NULL);
  wasm_frame_delete(frame);
  wasm_trap_delete(trap);
  wasm_extern_delete(bad);
  wasm_instance_delete(instance);
}

static void limits(void) {
  wasm_store_t* outer = store;
  store = wasm_store_new(engine);
  cellwall_store_limits_set(store, 3 * 65536, -1, 1, -1, -1);
  wasm_instance_t* instance = instantiate("(module (memory (export \"m\") 1))");
  wasm_extern_t* memory = export(instance, 0);
  bool to_3 = wasm_memory_grow(wasm_extern_as_memory(memory), 2);
  bool to_4 = wasm_memory_grow(wasm_extern_as_memory(memory), 1);
  printf("grow to 3: %d, to 4: %d\n", to_3, to_4);
  printf("a second instance: %d\n", instantiate("(module)") != NULL);
  wasm_extern_delete(memory);
  wasm_instance_delete(instance);
  wasm_store_delete(store);
  store = outer;
}

static volatile int returned;
static void* stop(void* unused) {
  while (!returned) {
    usleep(5000);
    cellwall_engine_interrupt(engine);
  }
  return NULL;
}

static void interruption(void) {
  wasm_instance_t* instance = instantiate("(module (func (export \"spin\") (loop br 0)))");
  wasm_extern_t* spin = export(instance, 0);
  pthread_t thread;
  pthread_create(&thread, NULL, stop, NULL);
  wasm_trap_t* trap = cellwall_func_call_raw(wasm_extern_as_func(spin), NULL, 0);
  returned = 1;
  pthread_join(thread, NULL);
  printf("interrupted: %d\n", cellwall_trap_code(trap) == CELLWALL_TRAP_INTERRUPT);
  wasm_trap_delete(trap);
  wasm_extern_delete(spin);
  wasm_instance_delete(instance);
}

static void wasi(void) {
  wasm_module_t* module = compile(
    "(module"
    "  (import \"wasi_snapshot_preview1\" \"fd_write\" (func $write (param i32 i32 i32 i32) (result i32)))"
    "  (import \"wasi_snapshot_preview1\" \"proc_exit\" (func $exit (param i32)))"
    "  (memory (export \"memory\") 1)"
    "  (data (i32.const 8) \"\\10\\00\\00\\00\\06\\00\\00\\00hello\\n\")"
    "  (func (export \"_start\")"
    "    (drop (call $write (i32.const 1) (i32.const 8) (i32.const 1) (i32.const 0)))"
    "    (call $exit (i32.const 7))))");
  cellwall_linker_t* linker = cellwall_linker_new(engine);
  show("define WASI", cellwall_linker_define_wasi(linker));
  show("again", cellwall_linker_define_wasi(linker));
  cellwall_wasi_config_t* config = cellwall_wasi_config_new();
  cellwall_wasi_output_t* output = cellwall_wasi_config_stdout_bytes(config, 1000);
  show("no such folder", cellwall_wasi_config_preopen_dir(config, "/no/such/folder", "/", CELLWALL_WASI_READ));
  show("no such permission", cellwall_wasi_config_preopen_dir(config, "/", "/", 77));
  show("give WASI", cellwall_store_wasi_set(store, config));
  wasm_instance_t* instance = NULL;
  wasm_trap_t* trap = NULL;
  show("instantiate", cellwall_linker_instantiate(linker, store, module, &instance, &trap));
  wasm_extern_t* start = export(instance, 1);
  trap = cellwall_func_call_raw(wasm_extern_as_func(start), NULL, 0);
  int32_t status = 0;
  bool exited = cellwall_trap_exit_status(trap, &status);
  wasm_byte_vec_t written;
  cellwall_wasi_output_contents(output, &written);
  printf("exit %d with %d after %.*s", exited, status, (int)written.size, written.data);
  wasm_byte_vec_delete(&written);
  wasm_trap_delete(trap);
  wasm_extern_delete(start);
  wasm_instance_delete(instance);
  wasm_module_delete(module);

  module = compile("(module (import \"nobody\" \"knows\" (func)))");
  show("unknown import", cellwall_linker_instantiate(linker, store, module, &instance, &trap));
  printf("neither: %d %d\n", instance == NULL, trap == NULL);
  wasm_module_delete(module);
  module = compile("(module (func unreachable) (start 0))");
  show("a start that traps", cellwall_linker_instantiate(linker, store, module, &instance, &trap));
  printf("trap: %d\n", cellwall_trap_code(trap) == CELLWALL_TRAP_UNREACHABLE);
  wasm_trap_delete(trap);
  wasm_module_delete(module);
  cellwall_wasi_output_delete(output);
  cellwall_linker_delete(linker);
}

int main(void) {
  wasm_config_t* config = wasm_config_new();
  cellwall_config_max_wasm_stack_set(config, 1 << 18);
  show("no such profiler", cellwall_config_profiler_set(config, 9));
  engine = wasm_engine_new_with_config(config);
  store = wasm_store_new(engine);
  errors();
  artifacts();
  fast_calls();
  limits();
  interruption();
  wasi();
  wasm_store_delete(store);
  wasm_engine_delete(engine);
  return 0;
}
