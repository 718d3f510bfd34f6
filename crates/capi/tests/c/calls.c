// Calls in both directions, traps with messages and frames, values that are passed on.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <inttypes.h>
#include <wasm.h>

// (module
//   (import "" "plus" (func $plus (param i32 i32) (result i32)))
//   (import "" "fail" (func $fail))
//   (func (export "run") (param i32) (result i32) (call $plus (local.get 0) (i32.const 10)))
//   (func (export "fails") call $fail)
//   (func $in unreachable) (func (export "stops") call $in))
static const unsigned char binary[] = {
  0x00,0x61,0x73,0x6d,0x01,0x00,0x00,0x00,
  0x01,0x0f,0x03,0x60,0x02,0x7f,0x7f,0x01,0x7f,0x60,0x00,0x00,0x60,0x01,0x7f,0x01,0x7f,
  0x02,0x11,0x02,0x00,0x04,'p','l','u','s',0x00,0x00,0x00,0x04,'f','a','i','l',0x00,0x01,
  0x03,0x05,0x04,0x02,0x01,0x01,0x01,
  0x07,0x17,0x03,0x03,'r','u','n',0x00,0x02,0x05,'f','a','i','l','s',0x00,0x03,0x05,'s','t','o','p','s',0x00,0x05,
  0x0a,0x18,0x04,0x08,0x00,0x20,0x00,0x41,0x0a,0x10,0x00,0x0b,0x04,0x00,0x10,0x01,0x0b,
  0x03,0x00,0x00,0x0b,0x04,0x00,0x10,0x04,0x0b,
};

static wasm_trap_t* plus(const wasm_val_vec_t* args, wasm_val_vec_t* results) {
  printf("plus(%d, %d)\n", args->data[0].of.i32, args->data[1].of.i32);
  results->data[0] = (wasm_val_t)WASM_I32_VAL(args->data[0].of.i32 + args->data[1].of.i32);
  return NULL;
}

static int failed;
static wasm_trap_t* fail(void* env, const wasm_val_vec_t* args, wasm_val_vec_t* results) {
  wasm_name_t message;
  wasm_name_new_from_string_nt(&message, "out of luck");
  wasm_trap_t* trap = wasm_trap_new(env, &message);
  wasm_trap_set_host_info(trap, &failed);
  wasm_name_delete(&message);
  return trap;
}

static void gone(void* env) { printf("the function is gone\n"); }

static void show(const wasm_trap_t* trap) {
  wasm_message_t message;
  wasm_trap_message(trap, &message);
  printf("trap: %s (zero at %d)\n", message.data, message.data[message.size - 1]);
  wasm_name_delete(&message);
  wasm_frame_vec_t frames;
  wasm_trap_trace(trap, &frames);
  for (size_t i = 0; i < frames.size; i++) {
    printf("  function %" PRIu32 " at %zu, %zu in the module\n", wasm_frame_func_index(frames.data[i]),
      wasm_frame_func_offset(frames.data[i]), wasm_frame_module_offset(frames.data[i]));
  }
  wasm_frame_t* origin = wasm_trap_origin(trap);
  printf("  origin is %s\n", origin ? "known" : "unknown");
  if (origin) wasm_frame_delete(origin);
  wasm_frame_vec_delete(&frames);
}

int main(void) {
  wasm_engine_t* engine = wasm_engine_new();
  wasm_store_t* store = wasm_store_new(engine);
  wasm_byte_vec_t bytes;
  wasm_byte_vec_new(&bytes, sizeof binary, (const char*)binary);
  wasm_module_t* module = wasm_module_new(store, &bytes);
  bytes.data[8] = 99;
  wasm_module_t* bad = wasm_module_new(store, &bytes);
  printf("valid %d, invalid %d, %d\n", module != NULL, bad == NULL, wasm_module_validate(store, &bytes));
  wasm_byte_vec_delete(&bytes);

  wasm_functype_t* plus_type = wasm_functype_new_2_1(
    wasm_valtype_new_i32(), wasm_valtype_new_i32(), wasm_valtype_new_i32());
  wasm_functype_t* fail_type = wasm_functype_new_0_0();
  wasm_func_t* plus_func = wasm_func_new(store, plus_type, plus);
  wasm_func_t* fail_func = wasm_func_new_with_env(store, fail_type, fail, store, gone);
  wasm_functype_delete(plus_type);
  wasm_functype_delete(fail_type);

  wasm_extern_t* imports_data[] = { wasm_func_as_extern(plus_func), wasm_func_as_extern(fail_func) };
  wasm_extern_vec_t imports = WASM_ARRAY_VEC(imports_data);
  wasm_trap_t* trap = NULL;
  wasm_instance_t* instance = wasm_instance_new(store, module, &imports, &trap);
  printf("instance %d, trap %d\n", instance != NULL, trap != NULL);
  wasm_extern_vec_t too_few = { 1, imports_data };
  printf("too few imports: %d\n", wasm_instance_new(store, module, &too_few, &trap) == NULL);
  show(trap);
  wasm_trap_delete(trap);

  wasm_extern_vec_t exports;
  wasm_instance_exports(instance, &exports);
  wasm_instance_delete(instance);
  wasm_func_delete(plus_func);
  wasm_func_delete(fail_func);
  wasm_module_delete(module);

  wasm_func_t* run = wasm_extern_as_func(exports.data[0]);
  wasm_val_t args_data[] = { WASM_I32_VAL(32) };
  wasm_val_t results_data[1] = { WASM_INIT_VAL };
  wasm_val_vec_t args = WASM_ARRAY_VEC(args_data), results = WASM_ARRAY_VEC(results_data);
  trap = wasm_func_call(run, &args, &results);
  printf("result %d, trap %d, arity %zu to %zu\n", results_data[0].of.i32, trap != NULL,
    wasm_func_param_arity(run), wasm_func_result_arity(run));
  wasm_val_vec_t none = WASM_EMPTY_VEC;
  trap = wasm_func_call(run, &none, &results);
  show(trap);
  wasm_trap_delete(trap);
  args_data[0] = (wasm_val_t)WASM_F32_VAL(1.5f);
  trap = wasm_func_call(run, &args, &results);
  show(trap);
  wasm_trap_delete(trap);

  trap = wasm_func_call(wasm_extern_as_func(exports.data[1]), &none, &none);
  show(trap);
  printf("information kept: %d\n", wasm_trap_get_host_info(trap) == &failed);
  wasm_trap_t* copy = wasm_trap_copy(trap);
  printf("same %d\n", wasm_trap_same(trap, copy));
  wasm_trap_delete(copy);
  wasm_trap_delete(trap);
  trap = wasm_func_call(wasm_extern_as_func(exports.data[2]), &none, &none);
  show(trap);
  wasm_trap_delete(trap);

  wasm_extern_vec_delete(&exports);
  wasm_store_delete(store);
  wasm_engine_delete(engine);
  return 0;
}
