// What a user of wasm.h relies on and no type says: nulls for empty vectors, messages with their zero, copies that own,
// finalizers once, references that are the same, modules across threads.
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <cellwall.h>

static wasm_engine_t* engine;
static wasm_store_t* store;

static wasm_module_t* compile(wasm_store_t* in, const char* text) {
  wasm_byte_vec_t binary;
  cellwall_error_t* error = cellwall_wat2wasm(text, strlen(text), &binary);
  if (error) return NULL;
  wasm_module_t* module = wasm_module_new(in, &binary);
  wasm_byte_vec_delete(&binary);
  return module;
}

static wasm_instance_t* instantiate(const char* text, wasm_extern_t* import, wasm_trap_t** trap) {
  wasm_module_t* module = compile(store, text);
  wasm_extern_t* imports[] = {import};
  wasm_extern_vec_t vec = {import != NULL, imports};
  wasm_instance_t* instance = wasm_instance_new(store, module, import ? &vec : NULL, trap);
  wasm_module_delete(module);
  return instance;
}

static int finalized[8];
static void on_final(void* env) { finalized[(size_t)env]++; }

static wasm_trap_t* refuse(void* env, const wasm_val_vec_t* args, wasm_val_vec_t* results) {
  wasm_message_t message;
  wasm_name_new_from_string_nt(&message, "refused");
  wasm_trap_t* trap = wasm_trap_new((wasm_store_t*)env, &message);
  wasm_byte_vec_delete(&message);
  return trap;
}

static void show_trap(const char* what, wasm_trap_t* trap) {
  if (!trap) {
    printf("%s: no trap\n", what);
    return;
  }
  wasm_message_t message;
  wasm_trap_message(trap, &message);
  wasm_frame_vec_t frames;
  wasm_trap_trace(trap, &frames);
  wasm_frame_t* origin = wasm_trap_origin(trap);
  printf("%s: \"%s\", size counts the zero: %d, %zu frames, origin %d\n", what, message.data,
    message.size == strlen(message.data) + 1, frames.size, origin != NULL);
  if (origin) wasm_frame_delete(origin);
  wasm_frame_vec_delete(&frames);
  wasm_byte_vec_delete(&message);
  wasm_trap_delete(trap);
}

static void calls(void) {
  wasm_instance_t* instance = instantiate(
    "(module (func (export \"nothing\")) (func (export \"swap\") (param i32 i64) (result i64 i32)"
    "  local.get 1 local.get 0) (func (export \"bad\") unreachable))", NULL, NULL);
  wasm_extern_vec_t exports;
  wasm_instance_exports(instance, &exports);
  wasm_func_t* nothing = wasm_extern_as_func(exports.data[0]);
  wasm_val_vec_t empty = WASM_EMPTY_VEC;
  printf("nulls: %d, empty: %d\n", wasm_func_call(nothing, NULL, NULL) == NULL,
    wasm_func_call(nothing, &empty, &empty) == NULL);
  wasm_val_t args[] = {WASM_I32_VAL(7), WASM_I64_VAL(8)}, results[] = {WASM_INIT_VAL, WASM_INIT_VAL};
  wasm_val_vec_t args_vec = WASM_ARRAY_VEC(args), results_vec = WASM_ARRAY_VEC(results);
  wasm_func_t* swap = wasm_extern_as_func(exports.data[1]);
  printf("arity %zu, %zu\n", wasm_func_param_arity(swap), wasm_func_result_arity(swap));
  wasm_trap_t* trap = wasm_func_call(swap, &args_vec, &results_vec);
  printf("swap: %d, kinds %d %d, %lld %d\n", trap == NULL, results[0].kind, results[1].kind,
    (long long)results[0].of.i64, results[1].of.i32);
  args_vec.size = 1;
  show_trap("too few arguments", wasm_func_call(swap, &args_vec, &results_vec));
  args_vec.size = 2;
  args[0].kind = WASM_F32;
  show_trap("another kind", wasm_func_call(swap, &args_vec, &results_vec));
  show_trap("no room", wasm_func_call(swap, &args_vec, NULL));
  show_trap("unreachable", wasm_func_call(wasm_extern_as_func(exports.data[2]), NULL, NULL));
  printf("a function is no memory: %d, is itself: %d\n", wasm_extern_as_memory(exports.data[0]) != NULL,
    wasm_func_as_extern(nothing) == exports.data[0]);
  // A copy owns what it has.
  wasm_extern_vec_t copy;
  wasm_extern_vec_copy(&copy, &exports);
  wasm_extern_vec_delete(&exports);
  wasm_instance_delete(instance);
  printf("same after the original is gone: %d\n",
    wasm_func_call(wasm_extern_as_func(copy.data[0]), NULL, NULL) == NULL);
  wasm_extern_vec_delete(&copy);
  wasm_extern_vec_delete(&copy);
}

static void starts(void) {
  wasm_trap_t* trap = (wasm_trap_t*)store;
  wasm_instance_t* instance = instantiate("(module (func))", NULL, &trap);
  printf("all well: instance %d, trap %d\n", instance != NULL, trap != NULL);
  wasm_instance_delete(instance);
  instance = instantiate("(module (func $f unreachable) (start $f))", NULL, &trap);
  printf("instance %d\n", instance != NULL);
  show_trap("start", trap);
  instance = instantiate("(module (func $f unreachable) (start $f))", NULL, NULL);
  printf("nobody asks for the trap: instance %d\n", instance != NULL);
  wasm_functype_t* type = wasm_functype_new_0_0();
  wasm_func_t* func = wasm_func_new_with_env(store, type, refuse, store, NULL);
  instance = instantiate("(module (import \"\" \"\" (func $f)) (start $f))", wasm_func_as_extern(func), &trap);
  show_trap("the host's own", trap);
  instance = instantiate("(module (import \"\" \"\" (func $f (param i32))))", wasm_func_as_extern(func), &trap);
  printf("another type: instance %d, trap %d\n", instance != NULL, trap != NULL);
  wasm_trap_delete(trap);
  wasm_functype_delete(type);
  wasm_func_delete(func);
}

static void references(void) {
  wasm_foreign_t *a = wasm_foreign_new(store), *b = wasm_foreign_new(store), *c = wasm_foreign_copy(a);
  printf("copies are the same: %d, others are not: %d\n", wasm_foreign_same(a, c), wasm_foreign_same(a, b));
  wasm_foreign_set_host_info_with_finalizer(a, (void*)1, on_final);
  printf("seen through the copy: %d\n", wasm_foreign_get_host_info(c) == (void*)1);
  wasm_foreign_set_host_info_with_finalizer(c, (void*)2, on_final);
  printf("replaced: %d %d\n", finalized[1], finalized[2]);
  wasm_ref_t* ref = wasm_foreign_as_ref(a);
  printf("back: %d, as a function: %d\n", wasm_ref_as_foreign(ref) == a, wasm_ref_as_func(ref) != NULL);
  // Through a table of guest's.
  wasm_instance_t* instance = instantiate("(module (table (export \"t\") 2 4 externref))", NULL, NULL);
  wasm_extern_vec_t exports;
  wasm_instance_exports(instance, &exports);
  wasm_table_t* table = wasm_extern_as_table(exports.data[0]);
  printf("set %d", wasm_table_set(table, 1, ref));
  printf(", beyond %d", wasm_table_set(table, 2, ref));
  printf(", grow %d", wasm_table_grow(table, 2, NULL));
  printf(", too much %d", wasm_table_grow(table, 1, NULL));
  printf(", size %u\n", wasm_table_size(table));
  wasm_ref_t* got = wasm_table_get(table, 1);
  printf("same: %d, null elsewhere: %d, beyond: %d\n", wasm_ref_same(got, ref), wasm_table_get(table, 0) == NULL,
    wasm_table_get(table, 9) == NULL);
  wasm_ref_delete(got);
  wasm_extern_vec_delete(&exports);
  wasm_instance_delete(instance);
  wasm_foreign_delete(a);
  wasm_foreign_delete(b);
  wasm_foreign_delete(c);
}

static wasm_shared_module_t* shared;

static void* elsewhere(void* env) {
  wasm_store_t* own = wasm_store_new(engine);
  wasm_module_t* module = wasm_module_obtain(own, shared);
  wasm_instance_t* instance = wasm_instance_new(own, module, NULL, NULL);
  wasm_extern_vec_t exports;
  wasm_instance_exports(instance, &exports);
  wasm_val_t result = WASM_INIT_VAL;
  wasm_val_vec_t results = {1, &result};
  wasm_func_call(wasm_extern_as_func(exports.data[0]), NULL, &results);
  *(int*)env = result.of.i32;
  wasm_extern_vec_delete(&exports);
  wasm_instance_delete(instance);
  wasm_module_delete(module);
  wasm_store_delete(own);
  return NULL;
}

static void modules(void) {
  wasm_module_t* module = compile(store, "(module (func (export \"f\") (result i32) i32.const 42))");
  shared = wasm_module_share(module);
  wasm_byte_vec_t bytes;
  wasm_module_serialize(module, &bytes);
  wasm_module_delete(module);
  pthread_t threads[4];
  int answers[4];
  for (int i = 0; i < 4; i++) pthread_create(&threads[i], NULL, elsewhere, &answers[i]);
  for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
  printf("threads: %d %d %d %d\n", answers[0], answers[1], answers[2], answers[3]);
  wasm_shared_module_delete(shared);
  module = wasm_module_deserialize(store, &bytes);
  wasm_exporttype_vec_t exports;
  wasm_module_exports(module, &exports);
  const wasm_name_t* name = wasm_exporttype_name(exports.data[0]);
  printf("export %.*s of kind %d\n", (int)name->size, name->data,
    wasm_externtype_kind(wasm_exporttype_type(exports.data[0])));
  wasm_exporttype_vec_delete(&exports);
  wasm_module_delete(module);
  bytes.data[bytes.size - 1] ^= 1;
  printf("flipped: %d\n", wasm_module_deserialize(store, &bytes) != NULL);
  wasm_byte_vec_delete(&bytes);
}

static void memories(void) {
  wasm_limits_t limits = {1, 3};
  wasm_memorytype_t* type = wasm_memorytype_new(&limits);
  wasm_memory_t* memory = wasm_memory_new(store, type);
  wasm_memorytype_delete(type);
  byte_t* data = wasm_memory_data(memory);
  data[65535] = 'x';
  printf("grow %d", wasm_memory_grow(memory, 2));
  printf(", too much %d", wasm_memory_grow(memory, 1));
  printf(", pages %u, bytes %zu, in place %d, kept %c\n", wasm_memory_size(memory),
    wasm_memory_data_size(memory), wasm_memory_data(memory) == data, data[65535]);
  wasm_memory_delete(memory);
  wasm_val_t value = WASM_I64_VAL(5);
  wasm_globaltype_t* constant = wasm_globaltype_new(wasm_valtype_new_i64(), WASM_CONST);
  wasm_global_t* global = wasm_global_new(store, constant, &value);
  wasm_val_t other = WASM_I64_VAL(6);
  wasm_global_set(global, &other);
  wasm_global_get(global, &value);
  printf("a constant stays: %lld\n", (long long)value.of.i64);
  wasm_globaltype_delete(constant);
  wasm_global_delete(global);
}

int main(void) {
  engine = wasm_engine_new();
  store = wasm_store_new(engine);
  calls();
  starts();
  references();
  modules();
  memories();
  wasm_instance_t* instance = instantiate("(module)", NULL, NULL);
  wasm_instance_set_host_info_with_finalizer(instance, (void*)3, on_final);
  wasm_instance_delete(instance);
  printf("with the store: %d", finalized[3]);
  wasm_store_delete(store);
  printf(" %d, once: %d %d\n", finalized[3], finalized[1], finalized[2]);
  wasm_engine_delete(engine);
  return 0;
}
