// A module in the text format, a function of the host, a call.
//
//   cargo build --release -p cellwall-capi
//   cc -I crates/capi/include examples/c/hello.c -L target/release -lcellwall -Wl,-rpath,target/release -o hello
//   ./hello
#include <stdio.h>
#include <string.h>
#include <cellwall.h>

static wasm_trap_t* say(void* env, const wasm_val_vec_t* args, wasm_val_vec_t* results) {
  printf("%s %d\n", (const char*)env, args->data[0].of.i32);
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
  const char* text =
    "(module"
    "  (import \"host\" \"say\" (func $say (param i32)))"
    "  (func (export \"run\") (param i32)"
    "    (call $say (i32.mul (local.get 0) (i32.const 2)))))";
  wasm_engine_t* engine = wasm_engine_new();
  wasm_store_t* store = wasm_store_new(engine);
  wasm_module_t* module = NULL;
  if (failed(cellwall_module_new(store, (const uint8_t*)text, strlen(text), &module))) return 1;

  cellwall_linker_t* linker = cellwall_linker_new(engine);
  wasm_name_t host, name;
  wasm_name_new_from_string(&host, "host");
  wasm_name_new_from_string(&name, "say");
  wasm_functype_t* type = wasm_functype_new_1_0(wasm_valtype_new_i32());
  if (failed(cellwall_linker_define_func(linker, &host, &name, type, say, "the answer is", NULL))) return 1;
  wasm_functype_delete(type);
  wasm_name_delete(&host);
  wasm_name_delete(&name);

  wasm_instance_t* instance = NULL;
  wasm_trap_t* trap = NULL;
  if (failed(cellwall_linker_instantiate(linker, store, module, &instance, &trap)) || trap) return 1;
  wasm_extern_vec_t exports;
  wasm_instance_exports(instance, &exports);
  cellwall_raw_t values[1] = {{.i32 = 21}};
  trap = cellwall_func_call_raw(wasm_extern_as_func(exports.data[0]), values, 1);
  if (trap) return 1;

  wasm_extern_vec_delete(&exports);
  wasm_instance_delete(instance);
  wasm_module_delete(module);
  cellwall_linker_delete(linker);
  wasm_store_delete(store);
  wasm_engine_delete(engine);
  return 0;
}
