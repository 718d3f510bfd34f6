// Tags and exceptions as values: thrown by guests and by the host, handled, handed on, in globals and tables.
#include <stdio.h>
#include <string.h>
#include <cellwall.h>

static wasm_engine_t* engine;
static wasm_store_t* store;
static wasm_extern_t* failed;
// What `middle` calls, and whether it hands on what that ends with.
static wasm_func_t* inner;
static bool handles;

static void show(const char* what, cellwall_error_t* error) {
  if (!error) {
    printf("%s: fine\n", what);
    return;
  }
  wasm_name_t message;
  cellwall_error_message(error, &message);
  printf("%s: %.*s\n", what, (int)message.size, message.data);
  wasm_byte_vec_delete(&message);
  cellwall_error_delete(error);
}

static wasm_extern_t* new_tag(wasm_store_t* in) {
  wasm_valtype_t* params[] = {wasm_valtype_new_i32(), wasm_valtype_new_externref()};
  wasm_valtype_vec_t params_vec, results_vec;
  wasm_valtype_vec_new(&params_vec, 2, params);
  wasm_valtype_vec_new_empty(&results_vec);
  wasm_tagtype_t* type = wasm_tagtype_new(wasm_functype_new(&params_vec, &results_vec));
  wasm_extern_t* tag = NULL;
  cellwall_error_t* error = cellwall_tag_new(in, type, &tag);
  if (error) show("tag", error);
  wasm_tagtype_delete(type);
  return tag;
}

static wasm_instance_t* instantiate(const char* text, wasm_extern_t** imports, size_t count) {
  wasm_byte_vec_t binary;
  cellwall_error_t* error = cellwall_wat2wasm(text, strlen(text), &binary);
  if (error) {
    show("text", error);
    return NULL;
  }
  wasm_module_t* module = wasm_module_new(store, &binary);
  wasm_byte_vec_delete(&binary);
  wasm_extern_vec_t vec = {count, imports};
  wasm_trap_t* trap = NULL;
  wasm_instance_t* instance = wasm_instance_new(store, module, &vec, &trap);
  if (trap) {
    wasm_message_t message;
    wasm_trap_message(trap, &message);
    printf("no instance: %s\n", message.data);
    wasm_byte_vec_delete(&message);
    wasm_trap_delete(trap);
  }
  wasm_module_delete(module);
  return instance;
}

static void show_exn(cellwall_exn_t* exn) {
  if (!exn) {
    printf("no exception\n");
    return;
  }
  wasm_extern_t* tag = cellwall_exn_tag(exn);
  wasm_val_vec_t fields;
  cellwall_exn_fields(exn, &fields);
  printf("of its tag: %d, %zu values", wasm_extern_same(tag, failed), fields.size);
  for (size_t i = 0; i < fields.size; i++) {
    if (fields.data[i].kind == WASM_I32) printf(", %d", fields.data[i].of.i32);
    else printf(", %s", fields.data[i].of.ref ? (char*)wasm_ref_get_host_info(fields.data[i].of.ref) : "null");
  }
  printf("\n");
  wasm_val_vec_delete(&fields);
  wasm_extern_delete(tag);
}

static void show_trap(const char* what, wasm_trap_t* trap) {
  printf("%s: ", what);
  if (!trap) {
    printf("no trap\n");
    return;
  }
  wasm_message_t message;
  wasm_trap_message(trap, &message);
  wasm_frame_t* origin = wasm_trap_origin(trap);
  printf("\"%s\" with frames %d, code %d; ", message.data, origin != NULL, cellwall_trap_code(trap));
  if (origin) wasm_frame_delete(origin);
  wasm_byte_vec_delete(&message);
  cellwall_exn_t* exn = cellwall_trap_exn(trap);
  show_exn(exn);
  cellwall_exn_delete(exn);
  wasm_trap_delete(trap);
}

static cellwall_exn_t* new_exn(int number, const char* text) {
  wasm_foreign_t* foreign = wasm_foreign_new(store);
  wasm_foreign_set_host_info(foreign, (void*)text);
  wasm_val_t values[] = {WASM_I32_VAL(number), WASM_REF_VAL(wasm_foreign_as_ref(foreign))};
  wasm_val_vec_t fields = WASM_ARRAY_VEC(values);
  cellwall_exn_t* exn = NULL;
  cellwall_error_t* error = cellwall_exn_new(store, failed, &fields, &exn);
  if (error) show("exception", error);
  wasm_foreign_delete(foreign);
  return exn;
}

// Throws what its argument says.
static wasm_trap_t* throws(const wasm_val_vec_t* args, wasm_val_vec_t* results) {
  cellwall_exn_t* exn = new_exn(args->data[0].of.i32, "from the host");
  wasm_trap_t* trap = cellwall_exn_throw(exn);
  cellwall_exn_delete(exn);
  return trap;
}

// Calls a guest again, and handles or hands on what comes of it.
static wasm_trap_t* middle(const wasm_val_vec_t* args, wasm_val_vec_t* results) {
  wasm_trap_t* trap = wasm_func_call(inner, args, NULL);
  if (!trap || !handles) return trap;
  show_trap("the host handles", trap);
  return NULL;
}

static wasm_trap_t* call(wasm_extern_t* func, int argument, wasm_val_t* result) {
  wasm_val_t value = WASM_I32_VAL(argument);
  wasm_val_vec_t args = {1, &value}, results = {result != NULL, result};
  return wasm_func_call(wasm_extern_as_func(func), &args, &results);
}

static wasm_extern_t* host(wasm_func_callback_t callback) {
  wasm_functype_t* type = wasm_functype_new_1_0(wasm_valtype_new_i32());
  wasm_func_t* func = wasm_func_new(store, type, callback);
  wasm_functype_delete(type);
  return wasm_func_as_extern(func);
}

static void thrown(void) {
  wasm_extern_t* imports[] = {failed, host(throws), host(middle)};
  wasm_instance_t* instance = instantiate(
    "(module $exceptions"
    "  (import \"\" \"failed\" (tag $failed (param i32 externref)))"
    "  (import \"\" \"throws\" (func $throws (param i32)))"
    "  (import \"\" \"middle\" (func $middle (param i32)))"
    "  (func $fail (export \"fail\") (param i32) (throw $failed (local.get 0) (ref.null extern)))"
    "  (func (export \"catch\") (param i32) (result i32)"
    "    (block $caught (result i32 externref)"
    "      (try_table (catch $failed $caught) (call $throws (local.get 0)))"
    "      (return (i32.const -1)))"
    "    drop)"
    "  (func (export \"pass\") (param i32) (call $throws (local.get 0)))"
    "  (func (export \"round\") (param i32) (result i32)"
    "    (block $caught (result i32 externref)"
    "      (try_table (catch $failed $caught) (call $middle (local.get 0)))"
    "      (return (i32.const -1)))"
    "    drop)"
    "  (func (export \"keep\") (param i32) (result exnref)"
    "    (block $caught (result exnref)"
    "      (try_table (catch_all_ref $caught) (call $throws (local.get 0)))"
    "      (ref.null exn)))"
    "  (func (export \"again\") (param exnref) (throw_ref (local.get 0)))"
    "  (global (export \"last\") (mut exnref) (ref.null exn))"
    "  (table (export \"all\") 1 exnref)"
    "  (tag (export \"own\") (param i64)))",
    imports, 3);
  wasm_extern_vec_t exports;
  wasm_instance_exports(instance, &exports);
  inner = wasm_extern_as_func(exports.data[0]);

  show_trap("nobody catches", call(exports.data[0], 1, NULL));
  wasm_val_t result = WASM_INIT_VAL;
  show_trap("the guest catches the host's", call(exports.data[1], 2, &result));
  printf("caught %d\n", result.of.i32);
  show_trap("nobody catches the host's", call(exports.data[2], 3, NULL));
  handles = false;
  show_trap("the host hands on", call(exports.data[3], 4, &result));
  printf("caught %d\n", result.of.i32);
  handles = true;
  show_trap("the host does not", call(exports.data[3], 5, &result));
  printf("not caught %d\n", result.of.i32);

  // As values.
  show_trap("keep", call(exports.data[4], 6, &result));
  printf("kind %d: ", result.kind);
  show_exn(cellwall_ref_as_exn(result.of.ref));
  wasm_val_t copy;
  wasm_val_copy(&copy, &result);
  printf("a copy is the same: %d\n", wasm_ref_same(copy.of.ref, result.of.ref));
  wasm_val_delete(&copy);
  wasm_val_vec_t args = {1, &result};
  show_trap("again", wasm_func_call(wasm_extern_as_func(exports.data[5]), &args, NULL));
  wasm_global_t* last = wasm_extern_as_global(exports.data[6]);
  wasm_global_set(last, &result);
  wasm_val_t got;
  wasm_global_get(last, &got);
  printf("from the global: %d of kind %d\n", wasm_ref_same(got.of.ref, result.of.ref), got.kind);
  wasm_val_delete(&got);
  wasm_table_t* all = wasm_extern_as_table(exports.data[7]);
  bool set = wasm_table_set(all, 0, result.of.ref);
  wasm_ref_t* element = wasm_table_get(all, 0);
  printf("from the table: %d, %d\n", set, wasm_ref_same(element, result.of.ref));
  wasm_ref_delete(element);
  printf("no function is one: %d\n", wasm_table_set(all, 0, wasm_func_as_ref(inner)));
  wasm_val_t wrong = {.kind = CELLWALL_EXNREF, .of = {.ref = wasm_func_as_ref(inner)}};
  args.data = &wrong;
  show_trap("a function", wasm_func_call(wasm_extern_as_func(exports.data[5]), &args, NULL));
  wasm_val_delete(&result);

  // Types.
  wasm_externtype_t* type = wasm_extern_type(exports.data[8]);
  const wasm_tagtype_t* tag_type = wasm_externtype_as_tagtype_const(type);
  const wasm_valtype_vec_t* params = wasm_functype_params(wasm_tagtype_functype(tag_type));
  printf("kind %d with %zu parameters, the first %d\n", wasm_extern_kind(exports.data[8]), params->size,
    wasm_valtype_kind(params->data[0]));
  wasm_externtype_delete(type);

  wasm_extern_vec_delete(&exports);
  wasm_instance_delete(instance);
  wasm_extern_delete(imports[1]);
  wasm_extern_delete(imports[2]);
}

static void refused(void) {
  cellwall_exn_t* exn = NULL;
  wasm_val_t values[] = {WASM_I32_VAL(1), WASM_I32_VAL(2)};
  wasm_val_vec_t fields = {1, values};
  show("too few values", cellwall_exn_new(store, failed, &fields, &exn));
  fields.size = 2;
  show("another type", cellwall_exn_new(store, failed, &fields, &exn));
  show("no place", cellwall_exn_new(store, failed, &fields, NULL));
  wasm_extern_t* func = host(throws);
  show("no tag", cellwall_exn_new(store, func, &fields, &exn));
  wasm_extern_delete(func);
  wasm_tagtype_t* type = wasm_tagtype_new(wasm_functype_new_0_1(wasm_valtype_new_i32()));
  wasm_extern_t* tag = NULL;
  show("a tag with a result", cellwall_tag_new(store, type, &tag));
  wasm_tagtype_delete(type);
  wasm_functype_t* func_type = wasm_functype_new_0_0();
  show("the type of a function", cellwall_tag_new(store, (wasm_tagtype_t*)func_type, &tag));
  wasm_functype_delete(func_type);
  wasm_store_t* other = wasm_store_new(engine);
  wasm_extern_t* foreign = new_tag(other);
  show("a tag of another store", cellwall_exn_new(store, foreign, NULL, &exn));
  wasm_extern_delete(foreign);
  wasm_store_delete(other);
  printf("nothing was made: %d %d\n", exn == NULL, tag == NULL);
  wasm_extern_t* imports[] = {NULL};
  wasm_extern_t* once_more = imports[0] = new_tag(store);
  wasm_instance_delete(instantiate("(module (import \"\" \"\" (tag (param i64))))", imports, 1));
  wasm_instance_t* instance = instantiate(
    "(module (import \"\" \"\" (tag $t (param i32 externref))) (func $f (throw $t (i32.const 9) (ref.null extern)))"
    " (start $f))", imports, 1);
  printf("thrown by the start function: %d\n", instance == NULL);
  wasm_extern_delete(once_more);
}

int main(void) {
  engine = wasm_engine_new();
  store = wasm_store_new(engine);
  failed = new_tag(store);
  wasm_extern_t* another = new_tag(store);
  printf("tags of one type are two: %d\n", !wasm_extern_same(failed, another));
  wasm_extern_delete(another);
  thrown();
  refused();
  cellwall_exn_t *exn = new_exn(7, "kept"), *copy = cellwall_exn_copy(exn);
  cellwall_exn_delete(exn);
  show_exn(copy);
  printf("a reference: %d\n", cellwall_exn_as_ref(copy) == (wasm_ref_t*)copy);
  cellwall_exn_delete(copy);
  wasm_extern_delete(failed);
  wasm_store_delete(store);
  wasm_engine_delete(engine);
  return 0;
}
