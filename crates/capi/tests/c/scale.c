// Many of everything in one store, deleted at once; what is finalized when.
#include <stdio.h>
#include <string.h>
#include <cellwall.h>

enum { MANY = 100000 };

static wasm_engine_t* engine;
static int alive, finalized;
static void gone(void* info) { alive--; }
static void last(void* info) { finalized += (int)(size_t)info; }

static wasm_module_t* compile(wasm_store_t* store, const char* text) {
  wasm_byte_vec_t binary;
  if (cellwall_wat2wasm(text, strlen(text), &binary)) return NULL;
  wasm_module_t* module = wasm_module_new(store, &binary);
  wasm_byte_vec_delete(&binary);
  return module;
}

static void fill(wasm_store_t* store) {
  wasm_module_t* module = compile(store, "(module (func (export \"a\")) (global (export \"b\") i32 (i32.const 1)))");
  for (size_t i = 0; i < MANY; i++) {
    wasm_instance_t* instance = wasm_instance_new(store, module, NULL, NULL);
    if (!instance) {
      printf("no instance %zu\n", i);
      return;
    }
    wasm_instance_set_host_info_with_finalizer(instance, (void*)i, gone);
    wasm_instance_delete(instance);
    alive++;
  }
  wasm_module_delete(module);
  printf("alive: %d\n", alive);
}

static void instances(void) {
  wasm_store_t *a = wasm_store_new(engine), *b = wasm_store_new(engine);
  fill(a);
  fill(b);
  wasm_store_delete(b);
  printf("without the second store: %d\n", alive);
  fill(a);
  wasm_store_delete(a);
  printf("without both: %d\n", alive);
}

// Globals, tables, functions, foreign objects, references, traps, modules.
static void others(void) {
  wasm_store_t* store = wasm_store_new(engine);
  wasm_limits_t limits = {1, 1};
  wasm_tabletype_t* table_type = wasm_tabletype_new(wasm_valtype_new_externref(), &limits);
  wasm_globaltype_t* global_type = wasm_globaltype_new(wasm_valtype_new_i64(), WASM_VAR);
  wasm_val_t value = WASM_I64_VAL(1);
  bool is_fine = true;
  for (int i = 0; i < 20000; i++) {
    wasm_table_t* table = wasm_table_new(store, table_type, NULL);
    wasm_global_t* global = wasm_global_new(store, global_type, &value);
    is_fine = is_fine && table && global;
    wasm_table_delete(table);
    wasm_global_delete(global);
  }
  wasm_tabletype_delete(table_type);
  wasm_globaltype_delete(global_type);
  printf("tables and globals: %d\n", is_fine);
  for (int i = 0; i < MANY; i++) {
    wasm_foreign_t* foreign = wasm_foreign_new(store);
    wasm_foreign_set_host_info_with_finalizer(foreign, (void*)1, last);
    wasm_foreign_delete(foreign);
  }
  printf("foreign objects that no guest saw: %d\n", finalized);
  finalized = 0;
  wasm_foreign_t *foreign = wasm_foreign_new(store), *copy = wasm_foreign_copy(foreign);
  wasm_foreign_set_host_info_with_finalizer(foreign, (void*)1, last);
  wasm_foreign_delete(foreign);
  printf("with a copy %d", finalized);
  wasm_foreign_delete(copy);
  printf(", without %d\n", finalized);
  wasm_module_t* module = compile(store, "(module)");
  wasm_module_set_host_info_with_finalizer(module, (void*)10, last);
  wasm_module_t* other = compile(store, "(module)");
  printf("another module has none: %d\n", wasm_module_get_host_info(other) == NULL);
  wasm_module_delete(module);
  printf("module gone: %d\n", finalized);
  // At the same address, perhaps, as the one that is gone.
  module = compile(store, "(module)");
  printf("a new one has none: %d\n", wasm_module_get_host_info(module) == NULL);
  wasm_module_delete(module);
  wasm_module_delete(other);
  // Guests never give it back.
  limits.max = 2;
  wasm_tabletype_t* type = wasm_tabletype_new(wasm_valtype_new_externref(), &limits);
  foreign = wasm_foreign_new(store);
  wasm_foreign_set_host_info_with_finalizer(foreign, (void*)100, last);
  wasm_table_t* table = wasm_table_new(store, type, wasm_foreign_as_ref(foreign));
  wasm_tabletype_delete(type);
  wasm_foreign_delete(foreign);
  wasm_ref_t* got = wasm_table_get(table, 0);
  printf("in a table: %d, still with its information: %d\n", finalized, wasm_ref_get_host_info(got) == (void*)100);
  wasm_ref_delete(got);
  wasm_table_delete(table);
  wasm_store_delete(store);
  printf("without the store: %d\n", finalized);
}

static void limited(void) {
  wasm_store_t* store = wasm_store_new(engine);
  cellwall_store_limits_set(store, -1, -1, 3, -1, -1);
  wasm_module_t* module = compile(store, "(module)");
  int made = 0;
  for (int i = 0; i < 5; i++) {
    wasm_instance_t* instance = wasm_instance_new(store, module, NULL, NULL);
    made += instance != NULL;
    wasm_instance_delete(instance);
  }
  printf("of five with a limit of three: %d\n", made);
  wasm_module_delete(module);
  wasm_store_delete(store);
}

int main(void) {
  engine = wasm_engine_new();
  instances();
  others();
  limited();
  wasm_engine_delete(engine);
  return 0;
}
