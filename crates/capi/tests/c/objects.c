// Globals, tables, memories, references, host information, types, sharing between threads.
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <cellwall.h>

static int alive;
static void finalize(void* info) { alive -= (int)(size_t)info; }

static wasm_module_t* compile(wasm_store_t* store, const char* text) {
  wasm_byte_vec_t binary;
  cellwall_error_t* error = cellwall_wat2wasm(text, strlen(text), &binary);
  if (error) {
    printf("bad text\n");
    cellwall_error_delete(error);
    return NULL;
  }
  wasm_module_t* module = wasm_module_new(store, &binary);
  wasm_byte_vec_delete(&binary);
  return module;
}

static void globals(wasm_store_t* store) {
  wasm_globaltype_t* type = wasm_globaltype_new(wasm_valtype_new_i64(), WASM_VAR);
  wasm_val_t value = WASM_I64_VAL(5), wrong = WASM_I32_VAL(6), got;
  wasm_global_t* global = wasm_global_new(store, type, &value);
  printf("of another type: %d\n", wasm_global_new(store, type, &wrong) != NULL);
  wasm_globaltype_delete(type);
  value.of.i64 = 7;
  wasm_global_set(global, &value);
  wasm_global_set(global, &wrong);
  wasm_global_get(global, &got);
  printf("global %lld\n", (long long)got.of.i64);
  wasm_global_delete(global);
}

static void tables(wasm_store_t* store) {
  wasm_limits_t limits = { 2, 4 };
  wasm_tabletype_t* type = wasm_tabletype_new(wasm_valtype_new_externref(), &limits);
  wasm_table_t* table = wasm_table_new(store, type, NULL);
  wasm_tabletype_delete(type);
  wasm_foreign_t* foreign = wasm_foreign_new(store);
  printf("set %d, beyond %d\n", wasm_table_set(table, 1, wasm_foreign_as_ref(foreign)),
    wasm_table_set(table, 2, wasm_foreign_as_ref(foreign)));
  wasm_ref_t* got = wasm_table_get(table, 1);
  printf("same %d, null %d, no function %d\n", wasm_ref_same(got, wasm_foreign_as_ref(foreign)),
    wasm_table_get(table, 0) == NULL, wasm_ref_as_func(got) == NULL);
  wasm_ref_delete(got);
  bool to_4 = wasm_table_grow(table, 2, NULL), to_5 = wasm_table_grow(table, 1, NULL);
  printf("grow to 4: %d, to 5: %d, size %u\n", to_4, to_5, wasm_table_size(table));
  wasm_foreign_delete(foreign);
  wasm_table_delete(table);
}

static void memories(wasm_store_t* store) {
  wasm_limits_t limits = { 1, 2 };
  wasm_memorytype_t* type = wasm_memorytype_new(&limits);
  wasm_memory_t* memory = wasm_memory_new(store, type);
  wasm_memorytype_delete(type);
  byte_t* data = wasm_memory_data(memory);
  data[65535] = 9;
  bool grown = wasm_memory_grow(memory, 1), again = wasm_memory_grow(memory, 1);
  printf("grow %d, again %d, pages %u, bytes %zu, moved %d, kept %d\n", grown, again, wasm_memory_size(memory), wasm_memory_data_size(memory),
    wasm_memory_data(memory) != data, wasm_memory_data(memory)[65535]);
  wasm_memory_delete(memory);
}

static void references(wasm_store_t* store) {
  wasm_module_t* module = compile(store,
    "(module"
    "  (func (export \"same\") (param externref) (result externref) local.get 0)"
    "  (func (export \"self\") (result funcref) ref.func 0)"
    "  (elem declare func 0))");
  wasm_extern_vec_t none = WASM_EMPTY_VEC, exports;
  wasm_instance_t* instance = wasm_instance_new(store, module, &none, NULL);
  wasm_instance_exports(instance, &exports);
  wasm_ref_t* passed[] = { wasm_instance_as_ref(instance), wasm_module_as_ref(module),
    wasm_extern_as_ref(exports.data[0]), NULL };
  for (int i = 0; i < 4; i++) {
    wasm_val_t args_data[] = { WASM_REF_VAL(passed[i]) }, results_data[] = { WASM_INIT_VAL };
    wasm_val_vec_t args = WASM_ARRAY_VEC(args_data), results = WASM_ARRAY_VEC(results_data);
    wasm_trap_t* trap = wasm_func_call(wasm_extern_as_func(exports.data[0]), &args, &results);
    wasm_ref_t* got = results_data[0].of.ref;
    printf("reference %d: trap %d, same %d\n", i, trap != NULL,
      got && passed[i] ? wasm_ref_same(got, passed[i]) : got == passed[i]);
    wasm_val_delete(&results_data[0]);
  }
  wasm_val_t results_data[] = { WASM_INIT_VAL };
  wasm_val_vec_t results = WASM_ARRAY_VEC(results_data), no_args = WASM_EMPTY_VEC;
  wasm_trap_t* trap = wasm_func_call(wasm_extern_as_func(exports.data[1]), &no_args, &results);
  printf("function: trap %d, same %d\n", trap != NULL,
    wasm_ref_same(results_data[0].of.ref, wasm_extern_as_ref(exports.data[0])));
  wasm_val_delete(&results_data[0]);
  for (int i = 0; i < 3; i++) {
    wasm_instance_t* another = wasm_instance_new(store, module, &none, NULL);
    alive++;
    wasm_instance_set_host_info_with_finalizer(another, (void*)1, finalize);
    printf("information %d\n", wasm_instance_get_host_info(another) == (void*)1);
    wasm_instance_delete(another);
  }
  wasm_extern_vec_delete(&exports);
  wasm_instance_delete(instance);
  wasm_module_delete(module);
}

static void types(wasm_store_t* store) {
  wasm_module_t* module = compile(store,
    "(module (import \"a\" \"b\" (func (param i32 f64) (result externref)))"
    "  (memory (export \"m\") 1 3) (table (export \"t\") 2 funcref) (global (export \"g\") (mut f32) (f32.const 0)))");
  wasm_importtype_vec_t imports;
  wasm_module_imports(module, &imports);
  const wasm_functype_t* func = wasm_externtype_as_functype_const(wasm_importtype_type(imports.data[0]));
  printf("import %.*s.%.*s: %zu to %zu, kinds %d %d %d\n", (int)wasm_importtype_module(imports.data[0])->size,
    wasm_importtype_module(imports.data[0])->data, (int)wasm_importtype_name(imports.data[0])->size,
    wasm_importtype_name(imports.data[0])->data, wasm_functype_params(func)->size, wasm_functype_results(func)->size,
    wasm_valtype_kind(wasm_functype_params(func)->data[0]), wasm_valtype_kind(wasm_functype_params(func)->data[1]),
    wasm_valtype_kind(wasm_functype_results(func)->data[0]));
  wasm_importtype_vec_delete(&imports);
  wasm_exporttype_vec_t exports, copy;
  wasm_module_exports(module, &exports);
  wasm_exporttype_vec_copy(&copy, &exports);
  wasm_exporttype_vec_delete(&exports);
  for (size_t i = 0; i < copy.size; i++) {
    const wasm_externtype_t* type = wasm_exporttype_type(copy.data[i]);
    printf("export %.*s of kind %d, a memory: %d\n", (int)wasm_exporttype_name(copy.data[i])->size,
      wasm_exporttype_name(copy.data[i])->data, wasm_externtype_kind(type),
      wasm_externtype_as_memorytype_const(type) != NULL);
  }
  wasm_exporttype_vec_delete(&copy);
  wasm_module_delete(module);
}

struct shared { wasm_engine_t* engine; wasm_shared_module_t* module; int answer; };

static void* elsewhere(void* data) {
  struct shared* shared = data;
  wasm_store_t* store = wasm_store_new(shared->engine);
  wasm_module_t* module = wasm_module_obtain(store, shared->module);
  wasm_extern_vec_t none = WASM_EMPTY_VEC, exports;
  wasm_instance_t* instance = wasm_instance_new(store, module, &none, NULL);
  wasm_instance_exports(instance, &exports);
  cellwall_raw_t values[1];
  wasm_trap_t* trap = cellwall_func_call_raw(wasm_extern_as_func(exports.data[0]), values, 1);
  shared->answer = trap ? -1 : values[0].i32;
  wasm_extern_vec_delete(&exports);
  wasm_instance_delete(instance);
  wasm_module_delete(module);
  wasm_store_delete(store);
  return NULL;
}

static void threads(wasm_engine_t* engine, wasm_store_t* store) {
  wasm_module_t* module = compile(store, "(module (func (export \"f\") (result i32) i32.const 42))");
  wasm_shared_module_t* shared_module = wasm_module_share(module);
  wasm_module_delete(module);
  struct shared shared[4];
  pthread_t thread[4];
  for (int i = 0; i < 4; i++) {
    shared[i] = (struct shared){ engine, shared_module, 0 };
    pthread_create(&thread[i], NULL, elsewhere, &shared[i]);
  }
  for (int i = 0; i < 4; i++) {
    pthread_join(thread[i], NULL);
    printf("elsewhere: %d\n", shared[i].answer);
  }
  wasm_engine_t* other = wasm_engine_new();
  wasm_store_t* foreign = wasm_store_new(other);
  printf("in another engine: %d\n", wasm_module_obtain(foreign, shared_module) != NULL);
  wasm_store_delete(foreign);
  wasm_engine_delete(other);
  wasm_shared_module_delete(shared_module);
}

int main(void) {
  wasm_engine_t* engine = wasm_engine_new();
  wasm_store_t* store = wasm_store_new(engine);
  globals(store);
  tables(store);
  memories(store);
  references(store);
  types(store);
  threads(engine, store);
  printf("alive before %d\n", alive);
  wasm_store_delete(store);
  printf("alive after %d\n", alive);
  wasm_engine_delete(engine);
  return 0;
}
