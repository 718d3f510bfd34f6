// The component in C of `examples/components`, called with what few components have: maps, lists of fixed length, error
// contexts; there and back, and what is no such value.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cellwall.h>

static cellwall_component_instance_t* instance;
static cellwall_component_export_index_t* types;

static cellwall_component_t* compile(wasm_engine_t* engine, const char* path) {
  FILE* file = fopen(path, "rb");
  if (!file) {
    printf("there is no %s\n", path);
    exit(1);
  }
  static uint8_t bytes[1 << 16];
  size_t size = fread(bytes, 1, sizeof bytes, file);
  fclose(file);
  cellwall_component_t* component = NULL;
  if (cellwall_component_new(engine, bytes, size, &component)) exit(2);
  return component;
}

static void print_name(const wasm_name_t* name) { printf("%.*s", (int)name->size, name->data); }

// Calls a function with a value, which is deleted, and gives the result; of the kind false, after the reason, if there
// is none.
static cellwall_component_val_t call(const char* name, cellwall_component_val_t arg) {
  cellwall_component_export_index_t* index =
    cellwall_component_instance_get_export_index(instance, types, name, strlen(name));
  cellwall_component_func_t* func = cellwall_component_instance_get_func(instance, index);
  cellwall_component_export_index_delete(index);
  cellwall_component_func_type_t* type = cellwall_component_func_type(func);
  const cellwall_component_valtype_t* result = cellwall_component_func_type_result(type);
  uint32_t length = 0;
  bool is_fixed = cellwall_component_list_type_length(result, &length);
  printf("%s, of kind %d, fixed %d %u: ", name, cellwall_component_valtype_kind(result), is_fixed, length);
  cellwall_component_func_type_delete(type);
  cellwall_component_val_t out = {.kind = CELLWALL_COMPONENT_BOOL};
  cellwall_error_t* error = cellwall_component_func_call(func, &arg, 1, &out, 1);
  if (error) {
    wasm_name_t message;
    cellwall_error_message(error, &message);
    print_name(&message);
    printf("\n");
    wasm_name_delete(&message);
    cellwall_error_delete(error);
  }
  cellwall_component_val_delete(&arg);
  cellwall_component_func_delete(func);
  return out;
}

static cellwall_component_val_t text(uint8_t kind, const char* bytes) {
  cellwall_component_val_t made = {.kind = kind};
  wasm_byte_vec_new(&made.of.string, strlen(bytes), bytes);
  return made;
}

static cellwall_component_val_t prices(bool are_right) {
  cellwall_component_val_t made = {.kind = CELLWALL_COMPONENT_MAP};
  cellwall_component_valmap_new_uninit(&made.of.map, 2);
  const char* names[] = {"tea", "coffee"};
  for (uint32_t i = 0; i < 2; i++) {
    made.of.map.data[i].key = text(CELLWALL_COMPONENT_STRING, names[i]);
    made.of.map.data[i].value.kind = are_right || i == 0 ? CELLWALL_COMPONENT_U32 : CELLWALL_COMPONENT_U64;
    made.of.map.data[i].value.of.u32 = 3 + i;
  }
  return made;
}

static cellwall_component_val_t numbers(size_t count) {
  cellwall_component_val_t made = {.kind = CELLWALL_COMPONENT_LIST};
  cellwall_component_vallist_new_uninit(&made.of.list, count);
  for (size_t i = 0; i < count; i++) {
    made.of.list.data[i].kind = CELLWALL_COMPONENT_U16;
    made.of.list.data[i].of.u16 = (uint16_t)(i + 1);
  }
  return made;
}

static void maps(void) {
  cellwall_component_val_t out = call("double", prices(true)), copy;
  cellwall_component_val_clone(&out, &copy);
  cellwall_component_val_delete(&out);
  for (size_t i = 0; i < copy.of.map.size; i++) {
    print_name(&copy.of.map.data[i].key.of.string);
    printf(" costs %u; ", copy.of.map.data[i].value.of.u32);
  }
  printf("\n");
  cellwall_component_val_delete(&copy);
  call("double", prices(false));
}

static void lists(void) {
  cellwall_component_val_t out = call("sums", numbers(4));
  for (size_t i = 0; i < out.of.list.size; i++) printf("%u; ", out.of.list.data[i].of.u16);
  printf("\n");
  cellwall_component_val_delete(&out);
  call("sums", numbers(3));
  call("sums", numbers(5));
}

static void errors(void) {
  cellwall_component_val_t out = call("trace", text(CELLWALL_COMPONENT_ERROR_CONTEXT, "no money"));
  printf("kind %d: ", out.kind);
  print_name(&out.of.string);
  printf("\n");
  cellwall_component_val_delete(&out);
  call("trace", text(CELLWALL_COMPONENT_STRING, "no money"));
  call("trace", text(CELLWALL_COMPONENT_ERROR_CONTEXT, "\xff"));
}

int main(void) {
  char path[4096];
  int folder = (int)(strlen(__FILE__) - strlen("languages.c"));
  snprintf(path, sizeof path, "%.*s../../../../examples/components/bank.wasm", folder, __FILE__);
  wasm_engine_t* engine = wasm_engine_new();
  wasm_store_t* store = wasm_store_new(engine);
  cellwall_component_t* component = compile(engine, path);
  cellwall_component_linker_t* linker = cellwall_component_linker_new(engine);
  if (cellwall_component_linker_instantiate(linker, store, component, &instance)) return 3;
  const char* name = "docs:exchange/types@1.0.0";
  types = cellwall_component_instance_get_export_index(instance, NULL, name, strlen(name));
  maps();
  lists();
  errors();
  cellwall_component_export_index_delete(types);
  cellwall_component_instance_delete(instance);
  cellwall_component_linker_delete(linker);
  cellwall_component_delete(component);
  wasm_store_delete(store);
  wasm_engine_delete(engine);
  return 0;
}
