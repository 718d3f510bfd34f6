// What is wrong, and can be seen, is an answer: nulls everywhere, things of other kinds and stores, outs that can be
// deleted whatever happened; and what looks wrong and is not: deleting what is being called.
#include <stdio.h>
#include <string.h>
#include <cellwall.h>

static wasm_engine_t* engine;

static const char* reason(void) {
  static char text[200];
  cellwall_error_t* error = cellwall_last_error();
  if (!error) return "no reason";
  wasm_name_t message;
  cellwall_error_message(error, &message);
  snprintf(text, sizeof text, "%.*s", (int)message.size, message.data);
  wasm_byte_vec_delete(&message);
  cellwall_error_delete(error);
  return text;
}

static wasm_module_t* compile(wasm_store_t* store, const char* text) {
  wasm_byte_vec_t binary;
  if (cellwall_wat2wasm(text, strlen(text), &binary)) return NULL;
  wasm_module_t* module = wasm_module_new(store, &binary);
  wasm_byte_vec_delete(&binary);
  return module;
}

// Outs are filled with rubbish first: what is not written shows when it is deleted.
static void outs(void) {
  wasm_byte_vec_t bytes;
  wasm_extern_vec_t externs;
  wasm_importtype_vec_t imports;
  wasm_exporttype_vec_t exports;
  wasm_frame_vec_t frames;
  wasm_val_vec_t vals;
  wasm_val_t val;
  memset(&bytes, 0x5a, sizeof bytes);
  memset(&externs, 0x5a, sizeof externs);
  memset(&imports, 0x5a, sizeof imports);
  memset(&exports, 0x5a, sizeof exports);
  memset(&frames, 0x5a, sizeof frames);
  memset(&vals, 0x5a, sizeof vals);
  memset(&val, 0xff, sizeof val);
  wasm_module_imports(NULL, &imports);
  wasm_module_exports(NULL, &exports);
  wasm_instance_exports(NULL, &externs);
  wasm_trap_trace(NULL, &frames);
  cellwall_exn_fields(NULL, &vals);
  wasm_global_get(NULL, &val);
  printf("sizes: %zu %zu %zu %zu %zu\n", imports.size, exports.size, externs.size, frames.size, vals.size);
  wasm_importtype_vec_delete(&imports);
  wasm_exporttype_vec_delete(&exports);
  wasm_extern_vec_delete(&externs);
  wasm_frame_vec_delete(&frames);
  wasm_val_vec_delete(&vals);
  wasm_val_delete(&val);
  wasm_val_copy(&val, NULL);
  wasm_val_delete(&val);
  wasm_trap_message(NULL, &bytes);
  wasm_byte_vec_delete(&bytes);
  memset(&bytes, 0x5a, sizeof bytes);
  wasm_module_serialize(NULL, &bytes);
  wasm_byte_vec_delete(&bytes);
  memset(&bytes, 0x5a, sizeof bytes);
  wasm_byte_vec_copy(&bytes, NULL);
  wasm_byte_vec_delete(&bytes);
  memset(&bytes, 0x5a, sizeof bytes);
  wasm_byte_vec_new(&bytes, 3, NULL);
  wasm_byte_vec_delete(&bytes);
  memset(&bytes, 0x5a, sizeof bytes);
  cellwall_error_message(NULL, &bytes);
  wasm_byte_vec_delete(&bytes);
  memset(&bytes, 0x5a, sizeof bytes);
  cellwall_error_delete(cellwall_wat2wasm("(", 1, &bytes));
  wasm_byte_vec_delete(&bytes);
  wasm_module_imports(NULL, NULL);
  wasm_byte_vec_new_empty(NULL);
}

static void nulls(wasm_store_t* store) {
  int made = 0;
  made += wasm_store_new(NULL) != NULL;
  made += wasm_engine_new_with_config(NULL) != NULL;
  made += wasm_module_new(NULL, NULL) != NULL;
  made += wasm_module_new(store, NULL) != NULL;
  made += wasm_module_validate(store, NULL);
  made += wasm_module_deserialize(store, NULL) != NULL;
  made += wasm_module_share(NULL) != NULL;
  made += wasm_module_obtain(store, NULL) != NULL;
  made += wasm_instance_new(store, NULL, NULL, NULL) != NULL;
  made += wasm_func_new(store, NULL, NULL) != NULL;
  made += wasm_func_new_with_env(store, NULL, NULL, NULL, NULL) != NULL;
  made += wasm_func_call(NULL, NULL, NULL) != NULL;
  made += wasm_global_new(store, NULL, NULL) != NULL;
  made += wasm_table_new(store, NULL, NULL) != NULL;
  made += wasm_memory_new(store, NULL) != NULL;
  made += wasm_foreign_new(NULL) != NULL;
  made += wasm_trap_new(NULL, NULL) != NULL;
  made += wasm_trap_origin(NULL) != NULL;
  made += wasm_extern_type(NULL) != NULL;
  made += wasm_extern_as_func(NULL) != NULL;
  made += wasm_ref_as_foreign(NULL) != NULL;
  made += wasm_table_get(NULL, 0) != NULL;
  made += wasm_table_set(NULL, 0, NULL);
  made += wasm_table_grow(NULL, 0, NULL);
  made += wasm_memory_grow(NULL, 0);
  made += wasm_memory_data(NULL) != NULL;
  made += wasm_memory_data_size(NULL) != 0;
  made += wasm_functype_copy(NULL) != NULL;
  made += wasm_globaltype_new(NULL, WASM_VAR) != NULL;
  made += wasm_valtype_new(77) != NULL;
  made += wasm_ref_same(NULL, wasm_foreign_as_ref(NULL)) ? 0 : 1;
  printf("from nulls: %d\n", made);
  wasm_trap_t* trap = wasm_trap_new(store, NULL);
  wasm_message_t message;
  wasm_trap_message(trap, &message);
  printf("a trap without message: %zu\n", message.size);
  wasm_byte_vec_delete(&message);
  wasm_trap_delete(trap);
  wasm_engine_delete(NULL);
  wasm_store_delete(NULL);
  wasm_module_delete(NULL);
  wasm_instance_delete(NULL);
  wasm_trap_delete(NULL);
  wasm_val_delete(NULL);
  wasm_extern_vec_delete(NULL);
  cellwall_exn_delete(NULL);
}

static void of_other_stores(wasm_store_t* store) {
  wasm_store_t* other = wasm_store_new(engine);
  wasm_limits_t limits = {1, 2};
  wasm_memorytype_t* memory_type = wasm_memorytype_new(&limits);
  wasm_extern_t* memory = wasm_memory_as_extern(wasm_memory_new(other, memory_type));
  wasm_memorytype_delete(memory_type);
  wasm_module_t* module = compile(store, "(module (import \"\" \"\" (memory 1)))");
  wasm_extern_vec_t imports = {1, &memory};
  wasm_trap_t* trap = NULL;
  printf("a memory: %d", wasm_instance_new(store, module, &imports, &trap) != NULL);
  printf(" (%s)\n", reason());
  wasm_trap_delete(trap);
  wasm_module_delete(module);
  wasm_extern_delete(memory);

  module = compile(other, "(module (func (export \"f\")))");
  wasm_instance_t* instance = wasm_instance_new(other, module, NULL, NULL);
  wasm_extern_vec_t exports;
  wasm_instance_exports(instance, &exports);
  wasm_ref_t* func = wasm_extern_as_ref(exports.data[0]);
  wasm_tabletype_t* table_type = wasm_tabletype_new(wasm_valtype_new_funcref(), &limits);
  wasm_table_t* table = wasm_table_new(store, table_type, NULL);
  printf("a function in a new table: %d", wasm_table_new(store, table_type, func) != NULL);
  printf(", in a table: %d, in new elements: %d\n", wasm_table_set(table, 0, func), wasm_table_grow(table, 1, func));
  wasm_tabletype_delete(table_type);
  wasm_globaltype_t* global_type = wasm_globaltype_new(wasm_valtype_new_funcref(), WASM_VAR);
  wasm_val_t null = WASM_REF_VAL(NULL), value = WASM_REF_VAL(func);
  null.kind = value.kind = WASM_FUNCREF;
  wasm_global_t* global = wasm_global_new(store, global_type, &null);
  wasm_global_set(global, &value);
  wasm_global_get(global, &null);
  printf("in a new global: %d, in a global: %d\n", wasm_global_new(store, global_type, &value) != NULL, null.of.ref != NULL);
  wasm_globaltype_delete(global_type);
  wasm_global_delete(global);
  wasm_table_delete(table);
  wasm_tabletype_t* any = wasm_tabletype_new(wasm_valtype_new_externref(), &limits);
  printf("as a foreign object: %d", wasm_table_new(store, any, func) != NULL);
  printf(" (%s)\n", reason());
  wasm_tabletype_delete(any);
  wasm_extern_vec_delete(&exports);
  wasm_instance_delete(instance);
  wasm_module_delete(module);
  wasm_store_delete(other);

  wasm_engine_t* foreign = wasm_engine_new();
  wasm_store_t* elsewhere = wasm_store_new(foreign);
  module = compile(elsewhere, "(module)");
  printf("a module of another engine: %d", wasm_instance_new(store, module, NULL, NULL) != NULL);
  wasm_shared_module_t* shared = wasm_module_share(module);
  printf(", obtained: %d\n", wasm_module_obtain(store, shared) != NULL);
  wasm_shared_module_delete(shared);
  wasm_module_delete(module);
  wasm_store_delete(elsewhere);
  wasm_engine_delete(foreign);
}

static void limits_that_are_none(wasm_store_t* store) {
  wasm_limits_t upside_down = {3, 1}, too_much = {70000, wasm_limits_max_default};
  wasm_memorytype_t* memory = wasm_memorytype_new(&upside_down);
  printf("memory: %d (%s),", wasm_memory_new(store, memory) != NULL, reason());
  wasm_memorytype_delete(memory);
  memory = wasm_memorytype_new(&too_much);
  printf(" %d", wasm_memory_new(store, memory) != NULL);
  wasm_memorytype_delete(memory);
  wasm_tabletype_t* table = wasm_tabletype_new(wasm_valtype_new_funcref(), &upside_down);
  printf(", table: %d", wasm_table_new(store, table, NULL) != NULL);
  wasm_tabletype_delete(table);
  table = wasm_tabletype_new(wasm_valtype_new_i32(), &upside_down);
  printf(", of numbers: %d\n", wasm_table_new(store, table, NULL) != NULL);
  wasm_tabletype_delete(table);
}

static wasm_func_t* called;
static wasm_store_t* deleted;
static int gone;
static void on_gone(void* env) { gone++; }

static wasm_trap_t* delete_all(void* env, const wasm_val_vec_t* args, wasm_val_vec_t* results) {
  wasm_func_delete(called);
  wasm_store_delete(deleted);
  results->data[0] = (wasm_val_t)WASM_I32_VAL(args->data[0].of.i32 + 1);
  if (!env) return NULL;
  return wasm_trap_new(NULL, NULL);
}

static void deleted_while_called(void) {
  for (int fast = 0; fast < 2; fast++) {
    deleted = wasm_store_new(engine);
    wasm_functype_t* type = wasm_functype_new_1_1(wasm_valtype_new_i32(), wasm_valtype_new_i32());
    called = wasm_func_new_with_env(deleted, type, delete_all, NULL, on_gone);
    wasm_functype_delete(type);
    wasm_val_t arg = WASM_I32_VAL(41), result = WASM_INIT_VAL;
    wasm_val_vec_t args = {1, &arg}, results = {1, &result};
    cellwall_raw_t raw = {.i32 = 41};
    wasm_trap_t* trap = fast ? cellwall_func_call_raw(called, &raw, 1) : wasm_func_call(called, &args, &results);
    printf("deleted while it was called: %d, %d, gone %d\n", trap == NULL, fast ? raw.i32 : result.of.i32, gone);
    wasm_trap_delete(trap);
  }
}

int main(void) {
  engine = wasm_engine_new();
  wasm_store_t* store = wasm_store_new(engine);
  outs();
  nulls(store);
  of_other_stores(store);
  limits_that_are_none(store);
  deleted_while_called();
  wasm_store_delete(store);
  wasm_engine_delete(engine);
  return 0;
}
