// Functions of the host that know who calls them, modules by name, streams of WASI.

#define _DEFAULT_SOURCE
#include <assert.h>
#include <cellwall.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void name(wasm_name_t* out, const char* text) { wasm_name_new_from_string(out, text); }

static void must(cellwall_error_t* error) {
  if (!error) return;
  wasm_name_t text;
  cellwall_error_message(error, &text);
  printf("error: %.*s\n", (int)text.size, text.data);
  wasm_name_delete(&text);
  cellwall_error_delete(error);
}

static wasm_module_t* compile(wasm_store_t* store, const char* text) {
  wasm_module_t* module = NULL;
  must(cellwall_module_new(store, (const uint8_t*)text, strlen(text), &module));
  assert(module);
  return module;
}

static void gone(void* env) { printf("%s is gone\n", (const char*)env); }

// Sums the bytes of the caller's memory that the arguments name.
static wasm_trap_t* sum(
  void* env, cellwall_caller_t* caller, const wasm_val_t* args, size_t args_count, wasm_val_t* results, size_t count
) {
  assert(args_count == 2 && count == 1);
  const wasm_store_t* store = cellwall_caller_store(caller);
  assert(cellwall_store_use(store) == CELLWALL_STORE_HERE);
  assert(cellwall_store_id(store) == *(const uint64_t*)env);
  wasm_name_t memory_name, nothing;
  name(&memory_name, "memory");
  name(&nothing, "nothing");
  assert(!cellwall_caller_export(caller, &nothing));
  wasm_extern_t* found = cellwall_caller_export(caller, &memory_name);
  const unsigned char* data = (const unsigned char*)wasm_memory_data(wasm_extern_as_memory(found));
  int32_t total = 0;
  for (int32_t i = 0; i < args[1].of.i32; ++i) total += data[args[0].of.i32 + i];
  assert(results[0].kind == WASM_I32);
  results[0].of.i32 = total;
  wasm_extern_delete(found);
  wasm_name_delete(&memory_name);
  wasm_name_delete(&nothing);
  return NULL;
}

static bool written(void* env, const uint8_t* bytes, size_t length) {
  printf("%s: %.*s", (const char*)env, (int)length, (const char*)bytes);
  return true;
}

static bool refused(void* env, const uint8_t* bytes, size_t length) { return false; }

static const char* USES_SUM =
  "(module (import \"host\" \"sum\" (func $sum (param i32 i32) (result i32))) (memory (export \"memory\") 1)"
  " (data (i32.const 4) \"\\01\\02\\03\") (func (export \"f\") (result i32) (call $sum (i32.const 4) (i32.const 3))))";

static const char* HELLO =
  "(module (import \"wasi_snapshot_preview1\" \"fd_write\" (func $w (param i32 i32 i32 i32) (result i32)))"
  " (memory (export \"memory\") 1) (data (i32.const 0) \"\\10\\00\\00\\00\\03\\00\\00\\00\")"
  " (data (i32.const 16) \"hi\\n\")"
  " (func (export \"_start\") (drop (call $w (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))"
  "  (drop (call $w (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 8)))))";

static void call_first(wasm_instance_t* instance) {
  wasm_extern_vec_t exports;
  wasm_instance_exports(instance, &exports);
  for (size_t i = 0; i < exports.size; ++i) {
    wasm_func_t* func = wasm_extern_as_func(exports.data[i]);
    if (!func) continue;
    cellwall_raw_t value = {.i64 = 0};
    wasm_trap_t* trap = cellwall_func_call_raw(func, &value, 1);
    assert(!trap);
    printf("%d\n", value.i32);
    break;
  }
  wasm_extern_vec_delete(&exports);
}

static void caller(wasm_engine_t* engine) {
  wasm_store_t* store = wasm_store_new(engine);
  wasm_store_t* other = wasm_store_new(engine);
  assert(cellwall_store_id(store) != cellwall_store_id(other));
  assert(cellwall_store_use(store) == CELLWALL_STORE_IDLE);
  wasm_store_delete(other);
  uint64_t id = cellwall_store_id(store);
  wasm_functype_t* type =
    wasm_functype_new_2_1(wasm_valtype_new_i32(), wasm_valtype_new_i32(), wasm_valtype_new_i32());
  wasm_module_t* module = compile(store, USES_SUM);

  wasm_func_t* func = cellwall_func_new(store, type, sum, &id, NULL);
  wasm_extern_t* import = wasm_func_as_extern(func);
  wasm_extern_vec_t imports = {1, &import};
  wasm_instance_t* instance = wasm_instance_new(store, module, &imports, NULL);
  call_first(instance);
  wasm_instance_delete(instance);
  wasm_func_delete(func);
  assert(!cellwall_func_new(store, NULL, sum, "refused function", gone));

  cellwall_linker_t* linker = cellwall_linker_new(engine);
  wasm_name_t host, item;
  name(&host, "host");
  name(&item, "sum");
  must(cellwall_linker_define_func_with_caller(linker, &host, &item, type, sum, &id, NULL));
  must(cellwall_linker_define_func_with_caller(linker, &host, &item, type, sum, "second definition", gone));
  wasm_trap_t* trap = NULL;
  must(cellwall_linker_instantiate(linker, store, module, &instance, &trap));
  call_first(instance);
  wasm_instance_delete(instance);
  wasm_name_delete(&host);
  wasm_name_delete(&item);
  cellwall_linker_delete(linker);
  wasm_module_delete(module);
  wasm_functype_delete(type);
  wasm_store_delete(store);
}

static void run(wasm_engine_t* engine, cellwall_wasi_config_t* wasi) {
  wasm_store_t* store = wasm_store_new(engine);
  must(cellwall_store_wasi_set(store, wasi));
  cellwall_linker_t* linker = cellwall_linker_new(engine);
  must(cellwall_linker_define_wasi(linker));
  wasm_module_t* module = compile(store, HELLO);
  wasm_name_t empty;
  name(&empty, "");
  wasm_func_t* start = NULL;
  must(cellwall_linker_define_module(linker, store, &empty, module));
  must(cellwall_linker_get_default(linker, store, &empty, &start));
  wasm_trap_t* trap = cellwall_func_call_raw(start, NULL, 0);
  assert(!trap);
  wasm_func_delete(start);
  wasm_name_t missing;
  name(&missing, "missing");
  cellwall_error_t* error = cellwall_linker_get_default(linker, store, &missing, &start);
  printf("default of nothing: %s\n", error ? "an error" : "a function");
  if (error) cellwall_error_delete(error); else wasm_func_delete(start);
  wasm_name_delete(&missing);
  wasm_name_delete(&empty);
  wasm_module_delete(module);
  cellwall_linker_delete(linker);
  wasm_store_delete(store);
}

static void streams(wasm_engine_t* engine) {
  cellwall_wasi_config_t* wasi = cellwall_wasi_config_new();
  cellwall_wasi_config_stdout_callback(wasi, written, "stdout", gone);
  cellwall_wasi_config_stderr_callback(wasi, refused, "stderr", gone);
  run(engine, wasi);

  char path[] = "/tmp/cellwall-caller-XXXXXX";
  int file = mkstemp(path);
  assert(file >= 0);
  wasi = cellwall_wasi_config_new();
  must(cellwall_wasi_config_stdin_file(wasi, path));
  must(cellwall_wasi_config_stdout_file(wasi, path));
  must(cellwall_wasi_config_stderr_file(wasi, "/dev/null"));
  cellwall_error_t* error = cellwall_wasi_config_stdout_file(wasi, "/nowhere/at/all");
  printf("a file nowhere: %s\n", error ? "an error" : "a file");
  cellwall_error_delete(error);
  run(engine, wasi);
  FILE* read = fopen(path, "r");
  char text[16] = {0};
  size_t length = fread(text, 1, sizeof text - 1, read);
  fclose(read);
  printf("the file has %zu bytes: %s", length, text);
  remove(path);
}

static void unknown_imports(wasm_engine_t* engine) {
  wasm_store_t* store = wasm_store_new(engine);
  cellwall_linker_t* linker = cellwall_linker_new(engine);
  wasm_module_t* module = compile(store, USES_SUM);
  wasm_instance_t* instance = NULL;
  wasm_trap_t* trap = NULL;
  cellwall_error_t* error = cellwall_linker_instantiate(linker, store, module, &instance, &trap);
  printf("an unknown import: %s\n", error ? "an error" : "an instance");
  cellwall_error_delete(error);
  must(cellwall_linker_define_unknown_imports_as_traps(linker, module));
  must(cellwall_linker_instantiate(linker, store, module, &instance, &trap));
  wasm_instance_delete(instance);
  wasm_module_delete(module);
  cellwall_linker_delete(linker);
  wasm_store_delete(store);
}

int main(void) {
  wasm_engine_t* engine = wasm_engine_new();
  caller(engine);
  streams(engine);
  unknown_imports(engine);
  wasm_engine_delete(engine);
  return 0;
}
