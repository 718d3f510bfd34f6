// Numbers of 31 bits as references: made, read, in a global and a table, and what is none.
#include <stdio.h>
#include <string.h>
#include <cellwall.h>

static void show(const char* what, wasm_trap_t* trap) {
  if (!trap) {
    printf("%s: fine\n", what);
    return;
  }
  wasm_message_t message;
  wasm_trap_message(trap, &message);
  printf("%s: \"%s\" with code %d\n", what, message.data, cellwall_trap_code(trap));
  wasm_byte_vec_delete(&message);
  wasm_trap_delete(trap);
}

// The number behind a reference; -1 if it is none.
static long of(const wasm_ref_t* ref) {
  uint32_t number = 0;
  return cellwall_ref_i31(ref, &number) ? (long)number : -1;
}

int main(void) {
  wasm_engine_t* engine = wasm_engine_new();
  wasm_store_t* store = wasm_store_new(engine);
  const char* text =
    "(module"
    "  (func (export \"read\") (param i31ref) (result i32) (i31.get_s (local.get 0)))"
    "  (func (export \"cast\") (param anyref) (result (ref i31)) (ref.cast (ref i31) (local.get 0)))"
    "  (global (export \"g\") (mut anyref) (ref.i31 (i32.const 5)))"
    "  (table (export \"t\") 2 anyref))";
  wasm_byte_vec_t binary;
  cellwall_error_t* error = cellwall_wat2wasm(text, strlen(text), &binary);
  if (error) return 1;
  wasm_module_t* module = wasm_module_new(store, &binary);
  wasm_byte_vec_delete(&binary);
  wasm_extern_vec_t none = WASM_EMPTY_VEC;
  wasm_instance_t* instance = wasm_instance_new(store, module, &none, NULL);
  wasm_extern_vec_t exports;
  wasm_instance_exports(instance, &exports);
  wasm_func_t* read = wasm_extern_as_func(exports.data[0]);
  wasm_func_t* cast = wasm_extern_as_func(exports.data[1]);
  wasm_global_t* global = wasm_extern_as_global(exports.data[2]);
  wasm_table_t* table = wasm_extern_as_table(exports.data[3]);

  wasm_ref_t* made = cellwall_i31_new(store, (uint32_t)-2);
  printf("made: %ld\n", of(made));
  wasm_val_t arg = {.kind = CELLWALL_ANYREF, .of = {.ref = made}};
  wasm_val_vec_t args = {1, &arg};
  wasm_val_t result = WASM_INIT_VAL;
  wasm_val_vec_t results = {1, &result};
  show("read", wasm_func_call(read, &args, &results));
  printf("kind %d: %d\n", result.kind, result.of.i32);
  show("cast", wasm_func_call(cast, &args, &results));
  printf("kind %d: %ld, the same: %d\n", result.kind, of(result.of.ref), wasm_ref_same(result.of.ref, made));
  wasm_val_delete(&result);

  wasm_val_t got;
  wasm_global_get(global, &got);
  printf("from the global: %ld\n", of(got.of.ref));
  wasm_val_delete(&got);
  wasm_global_set(global, &arg);
  wasm_global_get(global, &got);
  printf("set: %d\n", wasm_ref_same(got.of.ref, made));
  wasm_val_delete(&got);
  printf("into the table: %d\n", wasm_table_set(table, 1, made));
  wasm_ref_t* element = wasm_table_get(table, 1);
  printf("from the table: %d, and null: %d\n", wasm_ref_same(element, made), wasm_table_get(table, 0) == NULL);
  wasm_ref_delete(element);

  // What is none.
  arg.of.ref = NULL;
  show("read null", wasm_func_call(read, &args, &results));
  show("cast null", wasm_func_call(cast, &args, &results));
  arg.of.ref = wasm_func_as_ref(read);
  show("read a function", wasm_func_call(read, &args, &results));
  printf("a function is none: %ld; nor is null: %ld\n", of(arg.of.ref), of(NULL));
  printf("into the table: %d\n", wasm_table_set(table, 0, arg.of.ref));

  wasm_ref_delete(made);
  wasm_extern_vec_delete(&exports);
  wasm_instance_delete(instance);
  wasm_module_delete(module);
  wasm_store_delete(store);
  wasm_engine_delete(engine);
  return 0;
}
