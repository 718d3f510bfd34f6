// A component in the text format, a function of the host with strings, a call with a list.
//
//   cargo build --release -p cellwall-capi
//   cc -I crates/capi/include examples/c/component.c -L target/release -lcellwall -Wl,-rpath,target/release -o component
//   ./component
#include <stdio.h>
#include <string.h>
#include <cellwall.h>

static const char* text =
  "(component"
  "  (import \"say\" (func $say (param \"text\" string)))"
  "  (core module $memory"
  "    (memory (export \"memory\") 1)"
  "    (data (i32.const 8) \"the sum is taken in the guest\")"
  "    (global $next (mut i32) (i32.const 1024))"
  "    (func (export \"realloc\") (param i32 i32 i32 i32) (result i32)"
  "      (global.get $next) (global.set $next (i32.add (global.get $next) (local.get 3)))))"
  "  (core instance $memory (instantiate $memory))"
  "  (core func $say (canon lower (func $say) (memory (core memory $memory \"memory\"))))"
  "  (core module $m"
  "    (import \"memory\" \"memory\" (memory 1))"
  "    (import \"host\" \"say\" (func $say (param i32 i32)))"
  "    (func (export \"sum\") (param $at i32) (param $count i32) (result i32) (local $sum i32)"
  "      (call $say (i32.const 8) (i32.const 29))"
  "      (block $done (loop $next"
  "        (br_if $done (i32.eqz (local.get $count)))"
  "        (local.set $sum (i32.add (local.get $sum) (i32.load (local.get $at))))"
  "        (local.set $at (i32.add (local.get $at) (i32.const 4)))"
  "        (local.set $count (i32.sub (local.get $count) (i32.const 1)))"
  "        (br $next)))"
  "      (local.get $sum)))"
  "  (core instance $i (instantiate $m (with \"memory\" (instance $memory))"
  "    (with \"host\" (instance (export \"say\" (func $say))))))"
  "  (func (export \"sum\") (param \"numbers\" (list u32)) (result u32)"
  "    (canon lift (core func $i \"sum\") (memory (core memory $memory \"memory\"))"
  "      (realloc (core func $memory \"realloc\")))))";

// The arguments stay the caller's; there is no result to write.
static cellwall_error_t* say(void* env, wasm_store_t* store, const cellwall_component_func_type_t* type,
  const cellwall_component_val_t* args, size_t args_count, cellwall_component_val_t* results, size_t results_count) {
  printf("%s: %.*s\n", (const char*)env, (int)args[0].of.string.size, args[0].of.string.data);
  return NULL;
}

// Prints an error and deletes it; 1 if there was one.
static int failed(cellwall_error_t* error) {
  if (!error) return 0;
  wasm_name_t message;
  cellwall_error_message(error, &message);
  fprintf(stderr, "error: %.*s\n", (int)message.size, message.data);
  wasm_name_delete(&message);
  cellwall_error_delete(error);
  return 1;
}

int main(void) {
  wasm_engine_t* engine = wasm_engine_new();
  wasm_store_t* store = wasm_store_new(engine);
  cellwall_component_t* component = NULL;
  if (failed(cellwall_component_new(engine, (const uint8_t*)text, strlen(text), &component))) return 1;

  cellwall_component_linker_t* linker = cellwall_component_linker_new(engine);
  cellwall_component_linker_instance_t* root = cellwall_component_linker_root(linker);
  if (failed(cellwall_component_linker_instance_add_func(root, "say", 3, say, "the guest says", NULL))) return 1;
  cellwall_component_linker_instance_delete(root);

  cellwall_component_instance_t* instance = NULL;
  if (failed(cellwall_component_linker_instantiate(linker, store, component, &instance))) return 1;
  cellwall_component_export_index_t* index = cellwall_component_get_export_index(component, NULL, "sum", 3);
  cellwall_component_func_t* sum = cellwall_component_instance_get_func(instance, index);

  cellwall_component_val_t numbers = {.kind = CELLWALL_COMPONENT_LIST}, result;
  cellwall_component_vallist_new_uninit(&numbers.of.list, 3);
  for (size_t i = 0; i < 3; i++) {
    numbers.of.list.data[i].kind = CELLWALL_COMPONENT_U32;
    numbers.of.list.data[i].of.u32 = 7 * (uint32_t)(i + 1);
  }
  if (failed(cellwall_component_func_call(sum, &numbers, 1, &result, 1))) return 1;
  printf("the sum is %u\n", result.of.u32);

  cellwall_component_val_delete(&result);
  cellwall_component_val_delete(&numbers);
  cellwall_component_func_delete(sum);
  cellwall_component_export_index_delete(index);
  cellwall_component_instance_delete(instance);
  cellwall_component_linker_delete(linker);
  cellwall_component_delete(component);
  wasm_store_delete(store);
  wasm_engine_delete(engine);
  return 0;
}
