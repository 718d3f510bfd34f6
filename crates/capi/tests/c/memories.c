// Vectors as values, memories with 64-bit addresses and shared ones, and whose frames those of a trap are.
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <cellwall.h>

static wasm_engine_t* engine;
static wasm_store_t* store;

static wasm_module_t* compile(wasm_store_t* in, const char* text) {
  wasm_module_t* module = NULL;
  cellwall_error_t* error = cellwall_module_new(in, (const uint8_t*)text, strlen(text), &module);
  if (error) printf("does not compile\n");
  cellwall_error_delete(error);
  return module;
}

static wasm_instance_t* instantiate(wasm_store_t* in, const char* text, wasm_extern_t* import) {
  wasm_module_t* module = compile(in, text);
  wasm_extern_vec_t imports = {import ? 1 : 0, &import};
  wasm_instance_t* instance = wasm_instance_new(in, module, &imports, NULL);
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

static void show(const char* what, const wasm_val_t* value) {
  uint8_t bytes[16];
  if (!cellwall_val_v128(value, bytes)) {
    printf("%s: no vector\n", what);
    return;
  }
  printf("%s:", what);
  for (int i = 0; i < 16; i++) printf(" %02x", bytes[i]);
  printf("\n");
}

static wasm_trap_t* reverse(const wasm_val_vec_t* arguments, wasm_val_vec_t* results) {
  uint8_t in[16], out[16];
  if (!cellwall_val_v128(&arguments->data[0], in)) printf("no vector came in\n");
  for (int i = 0; i < 16; i++) out[i] = in[15 - i];
  cellwall_val_set_v128(&results->data[0], out);
  return NULL;
}

static void vectors(void) {
  wasm_valtype_t* param[] = {wasm_valtype_new(CELLWALL_V128)};
  wasm_valtype_t* result[] = {wasm_valtype_new(CELLWALL_V128)};
  wasm_valtype_vec_t params, results;
  wasm_valtype_vec_new(&params, 1, param);
  wasm_valtype_vec_new(&results, 1, result);
  wasm_functype_t* type = wasm_functype_new(&params, &results);
  wasm_func_t* host = wasm_func_new(store, type, reverse);
  wasm_functype_delete(type);
  wasm_instance_t* instance = instantiate(store,
    "(module (import \"\" \"reverse\" (func $reverse (param v128) (result v128)))"
    "  (global (export \"g\") (mut v128) (v128.const i32x4 1 2 3 4))"
    "  (func (export \"f\") (param v128) (result v128)"
    "    (i8x16.add (call $reverse (local.get 0)) (i8x16.splat (i32.const 1)))))",
    wasm_func_as_extern(host));
  wasm_extern_t* global = export(instance, 0);
  wasm_extern_t* func = export(instance, 1);
  wasm_val_t value, answer = WASM_INIT_VAL, copy;
  uint8_t bytes[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  cellwall_val_set_v128(&value, bytes);
  wasm_val_copy(&copy, &value);
  wasm_val_vec_t arguments = {1, &value}, answers = {1, &answer};
  wasm_trap_t* trap = wasm_func_call(wasm_extern_as_func(func), &arguments, &answers);
  printf("trap: %d\n", trap != NULL);
  show("reversed, plus one", &answer);
  show("copy", &copy);
  wasm_val_delete(&answer);
  wasm_global_get(wasm_extern_as_global(global), &answer);
  show("global", &answer);
  wasm_global_set(wasm_extern_as_global(global), &copy);
  wasm_val_delete(&answer);
  wasm_global_get(wasm_extern_as_global(global), &answer);
  show("global, set", &answer);
  wasm_val_t number = WASM_I32_VAL(7);
  show("a number", &number);
  wasm_val_delete(&answer);
  wasm_val_delete(&copy);
  wasm_val_delete(&value);
  wasm_extern_delete(global);
  wasm_extern_delete(func);
  wasm_instance_delete(instance);
  wasm_func_delete(host);
}

static void describe(const wasm_memorytype_t* type) {
  printf("%s%s memory of %" PRIu64 " to ", cellwall_memorytype_is_shared(type) ? "shared " : "",
    cellwall_memorytype_is_64(type) ? "64-bit" : "32-bit", cellwall_memorytype_min(type));
  uint64_t max = cellwall_memorytype_max(type);
  if (max == UINT64_MAX) printf("any number of pages\n");
  else printf("%" PRIu64 " pages\n", max);
}

static void wide(void) {
  wasm_memorytype_t* type = cellwall_memorytype_new(1, (uint64_t)1 << 40, true, false);
  describe(type);
  wasm_memory_t* memory = wasm_memory_new(store, type);
  wasm_memorytype_delete(type);
  printf("grown: %d", cellwall_memory_grow(memory, 2));
  printf(", then %" PRIu64 " pages, %zu bytes\n", cellwall_memory_size(memory), wasm_memory_data_size(memory));
  wasm_instance_t* instance = instantiate(store,
    "(module (import \"\" \"m\" (memory i64 1 0x10000000000)) (func (export \"f\") (i64.store (i64.const 8) (i64.const 99))))",
    wasm_memory_as_extern(memory));
  wasm_extern_t* func = export(instance, 0);
  wasm_val_vec_t none = WASM_EMPTY_VEC;
  printf("trap: %d", wasm_func_call(wasm_extern_as_func(func), &none, &none) != NULL);
  printf(", the byte is %d\n", wasm_memory_data(memory)[8]);
  wasm_extern_delete(func);
  wasm_instance_delete(instance);
  wasm_memory_delete(memory);
  wasm_memorytype_t* none_such = cellwall_memorytype_new(1, UINT64_MAX, false, true);
  printf("shared without a maximum: %d\n", none_such != NULL);
}

static const char* COUNT =
  "(module (import \"\" \"m\" (memory 1 4 shared)) (func (export \"count\") (local $i i32)"
  "  (loop (drop (i32.atomic.rmw.add (i32.const 16) (i32.const 1)))"
  "    (br_if 0 (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 1000)))))"
  "  (export \"m\" (memory 0)))";

static void* work(void* it) {
  cellwall_sharedmemory_t* memory = it;
  wasm_store_t* own = wasm_store_new(engine);
  wasm_extern_t* import = cellwall_sharedmemory_as_extern(memory, own);
  wasm_instance_t* instance = instantiate(own, COUNT, import);
  wasm_extern_t* func = export(instance, 0);
  wasm_val_vec_t none = WASM_EMPTY_VEC;
  if (wasm_func_call(wasm_extern_as_func(func), &none, &none)) printf("a trap\n");
  wasm_extern_delete(func);
  wasm_instance_delete(instance);
  wasm_extern_delete(import);
  wasm_store_delete(own);
  cellwall_sharedmemory_delete(memory);
  return NULL;
}

static void shared(void) {
  wasm_memorytype_t* type = cellwall_memorytype_new(1, 4, false, true);
  describe(type);
  cellwall_sharedmemory_t* memory = cellwall_sharedmemory_new(engine, type);
  wasm_memorytype_delete(type);
  pthread_t threads[4];
  for (int i = 0; i < 4; i++) pthread_create(&threads[i], NULL, work, cellwall_sharedmemory_copy(memory));
  for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
  uint32_t count = 0;
  bool read = cellwall_sharedmemory_read(memory, 16, (uint8_t*)&count, 4);
  printf("read: %d, counted: %" PRIu32 "\n", read, count);
  printf("beyond: %d\n", cellwall_sharedmemory_read(memory, 65533, (uint8_t*)&count, 4));
  count = 41;
  printf("written: %d\n", cellwall_sharedmemory_write(memory, 16, (uint8_t*)&count, 4));
  wasm_extern_t* import = cellwall_sharedmemory_as_extern(memory, store);
  wasm_instance_t* instance = instantiate(store, COUNT, import);
  wasm_extern_t* exported = export(instance, 1);
  wasm_memory_t* plain = wasm_extern_as_memory(exported);
  printf("the same: %d, data: %d", wasm_extern_same(exported, import), wasm_memory_data(plain) != NULL);
  printf(", grown: %d", cellwall_memory_grow(plain, 1));
  printf(", pages: %" PRIu64 "\n", cellwall_memory_size(plain));
  wasm_memorytype_t* now = wasm_memory_type(plain);
  describe(now);
  wasm_memorytype_delete(now);
  cellwall_sharedmemory_t* again = cellwall_extern_as_sharedmemory(exported);
  printf("%zu bytes\n", cellwall_sharedmemory_data_size(again));
  cellwall_sharedmemory_delete(again);
  wasm_extern_delete(exported);
  wasm_extern_delete(import);
  wasm_instance_delete(instance);
  cellwall_sharedmemory_delete(memory);
}

static void frames(void) {
  wasm_instance_t* inner = instantiate(store, "(module (func (export \"f\") unreachable))", NULL);
  wasm_extern_t* func = export(inner, 0);
  wasm_instance_t* outer = instantiate(store,
    "(module (import \"\" \"f\" (func $f)) (func (export \"g\") (call $f) (nop)))", func);
  wasm_extern_t* go = export(outer, 0);
  wasm_val_vec_t none = WASM_EMPTY_VEC;
  wasm_trap_t* trap = wasm_func_call(wasm_extern_as_func(go), &none, &none);
  wasm_frame_vec_t frames;
  wasm_trap_trace(trap, &frames);
  printf("%zu frames: inner %d, outer %d\n", frames.size, wasm_instance_same(wasm_frame_instance(frames.data[0]), inner),
    wasm_instance_same(wasm_frame_instance(frames.data[1]), outer));
  wasm_frame_vec_delete(&frames);
  wasm_trap_delete(trap);
  wasm_extern_delete(go);
  wasm_extern_delete(func);
  wasm_instance_delete(outer);
  wasm_instance_delete(inner);
}

int main(void) {
  engine = wasm_engine_new();
  store = wasm_store_new(engine);
  vectors();
  wide();
  shared();
  frames();
  wasm_store_delete(store);
  wasm_engine_delete(engine);
  return 0;
}
