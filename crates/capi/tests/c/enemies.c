// A host that breaks rules where the library can see it: each breach is an error, and everything is given back.
#define _DEFAULT_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include <cellwall.h>

static wasm_engine_t* engine;

// The text of an error, which is deleted.
static const char* text_of(cellwall_error_t* error) {
  static char text[300];
  if (!error) return "nothing";
  wasm_name_t message;
  cellwall_error_message(error, &message);
  snprintf(text, sizeof text, "%.*s", (int)message.size, message.data);
  wasm_byte_vec_delete(&message);
  cellwall_error_delete(error);
  return text;
}

// The message of a trap, which is deleted.
static const char* message_of(wasm_trap_t* trap) {
  static char text[300];
  if (!trap) return "nothing";
  wasm_message_t message;
  wasm_trap_message(trap, &message);
  snprintf(text, sizeof text, "%s", message.data);
  wasm_byte_vec_delete(&message);
  wasm_trap_delete(trap);
  return text;
}

static wasm_module_t* compile(wasm_store_t* store, const char* text) {
  wasm_module_t* module = NULL;
  cellwall_error_t* error = cellwall_module_new(store, (const uint8_t*)text, strlen(text), &module);
  if (error) printf("no module: %s\n", text_of(error));
  return module;
}

static wasm_name_t name(const char* text) {
  wasm_name_t name = {strlen(text), (char*)text};
  return name;
}

static int gone;
static void on_gone(void* env) { gone++; }

// Results: what a function of the host does with the vector itself.

static wasm_trap_t* resize(void* env, const wasm_val_vec_t* args, wasm_val_vec_t* results) {
  const char* what = env;
  wasm_val_t value = WASM_I64_VAL(7);
  if (*what == 'm') results->size = 1000;
  if (*what == 'f') results->size = 0;
  if (*what == 'n') wasm_val_vec_new(results, 1, &value);
  if (*what == 't') wasm_val_vec_new_uninitialized(results, 2);
  if (*what == 'e') wasm_val_vec_new_empty(results);
  if (*what == 'k') results->data[0] = (wasm_val_t)WASM_F64_VAL(1);
  return NULL;
}

static void results(wasm_store_t* store) {
  const char* whats[] = {"more", "fewer", "new", "two", "empty", "kind"};
  for (size_t i = 0; i < sizeof whats / sizeof *whats; i++) {
    wasm_functype_t* type = wasm_functype_new_0_1(wasm_valtype_new_i64());
    wasm_func_t* func = wasm_func_new_with_env(store, type, resize, (void*)whats[i], NULL);
    wasm_functype_delete(type);
    wasm_val_t result = WASM_INIT_VAL;
    wasm_val_vec_t args = WASM_EMPTY_VEC, results = {1, &result};
    wasm_trap_t* trap = wasm_func_call(func, &args, &results);
    bool is_fine = !trap;
    printf("%s: %s", whats[i], message_of(trap));
    if (is_fine) printf(", %lld", (long long)result.of.i64);
    printf("\n");
    wasm_func_delete(func);
  }
}

// A function that cannot say why it fails; the answer is nobody's, and nothing else.

static wasm_trap_t* says_nothing(const wasm_val_vec_t* args, wasm_val_vec_t* results) { return cellwall_trap_unsaid(); }

static cellwall_error_t* says_no_error(void* env, wasm_store_t* store, const cellwall_component_func_type_t* type,
  const cellwall_component_val_t* args, size_t args_count, cellwall_component_val_t* results, size_t results_count) {
  return cellwall_error_unsaid();
}

static void unsaid(wasm_store_t* store) {
  wasm_functype_t* type = wasm_functype_new_0_0();
  wasm_func_t* func = wasm_func_new(store, type, says_nothing);
  wasm_functype_delete(type);
  wasm_val_vec_t none = WASM_EMPTY_VEC;
  printf("unsaid: %s\n", message_of(wasm_func_call(func, &none, &none)));
  wasm_func_delete(func);
  wasm_trap_delete(cellwall_trap_unsaid());
  cellwall_error_delete(cellwall_error_unsaid());
  printf("asked: %d, %s\n", cellwall_trap_code(cellwall_trap_unsaid()), message_of(wasm_trap_copy(cellwall_trap_unsaid())));
  cellwall_component_linker_t* linker = cellwall_component_linker_new(engine);
  cellwall_component_linker_instance_t* root = cellwall_component_linker_root(linker);
  cellwall_error_t* error =
    cellwall_component_linker_instance_add_func(root, "f", 1, says_no_error, NULL, NULL);
  const char* text =
    "(component (import \"f\" (func $f)) (core func $g (canon lower (func $f)))"
    "  (core module $m (import \"\" \"g\" (func $g)) (func (export \"h\") call $g))"
    "  (core instance $i (instantiate $m (with \"\" (instance (export \"g\" (func $g))))))"
    "  (func (export \"h\") (canon lift (core func $i \"h\"))))";
  cellwall_component_t* component = NULL;
  cellwall_component_instance_t* instance = NULL;
  if (!error) error = cellwall_component_new(engine, (const uint8_t*)text, strlen(text), &component);
  if (!error) error = cellwall_component_linker_instantiate(linker, store, component, &instance);
  printf("a component: %s\n", text_of(error));
  cellwall_component_export_index_t* index = cellwall_component_instance_get_export_index(instance, NULL, "h", 1);
  cellwall_component_func_t* h = cellwall_component_instance_get_func(instance, index);
  printf("unsaid: %s\n", text_of(cellwall_component_func_call(h, NULL, 0, NULL, 0)));
  cellwall_component_func_delete(h);
  cellwall_component_export_index_delete(index);
  cellwall_component_instance_delete(instance);
  cellwall_component_delete(component);
  cellwall_component_linker_instance_delete(root);
  cellwall_component_linker_delete(linker);
}

// Sizes that no computer has.

static void sizes(void) {
  wasm_byte_vec_t bytes = {3, "abc"};
  wasm_val_vec_t vals = {3, NULL};
  wasm_valtype_vec_t types = {3, NULL};
  wasm_byte_vec_new_uninitialized(&bytes, SIZE_MAX);
  wasm_val_vec_new_uninitialized(&vals, SIZE_MAX / sizeof(wasm_val_t));
  printf("too much: %zu, %zu (%s)\n", bytes.size, vals.size, text_of(cellwall_last_error()));
  wasm_valtype_vec_new_uninitialized(&types, SIZE_MAX / 2);
  printf("of types: %zu\n", types.size);
  wasm_byte_vec_delete(&bytes);
  wasm_val_vec_delete(&vals);
  wasm_valtype_vec_delete(&types);
}

// What is owned is given back, also if nothing comes of it.

static void types(wasm_store_t* store) {
  wasm_name_t a, b;
  wasm_name_new_from_string(&a, "a");
  wasm_name_new_from_string(&b, "b");
  int made = wasm_importtype_new(&a, &b, NULL) != NULL;
  wasm_name_new_from_string(&a, "a");
  made += wasm_importtype_new(&a, NULL, wasm_functype_as_externtype(wasm_functype_new_0_0())) != NULL;
  made += wasm_importtype_new(NULL, NULL, wasm_functype_as_externtype(wasm_functype_new_0_0())) != NULL;
  wasm_name_new_from_string(&a, "a");
  made += wasm_exporttype_new(&a, NULL) != NULL;
  made += wasm_exporttype_new(NULL, wasm_functype_as_externtype(wasm_functype_new_0_0())) != NULL;
  made += wasm_globaltype_new(wasm_valtype_new_i32(), 2) != NULL;
  printf("types of nothing: %d (%s)\n", made, text_of(cellwall_last_error()));
  wasm_functype_t* func = wasm_functype_new_1_1(NULL, wasm_valtype_new_i32());
  printf("of a null: %d", wasm_func_new_with_env(store, func, resize, NULL, on_gone) != NULL);
  printf(" (%s), finalized: %d\n", text_of(cellwall_last_error()), gone);
  wasm_val_t value = WASM_I32_VAL(1);
  made = wasm_global_new(store, (wasm_globaltype_t*)func, &value) != NULL;
  printf("a global of a function's type: %d (%s)\n", made, text_of(cellwall_last_error()));
  made = wasm_table_new(store, (wasm_tabletype_t*)func, NULL) != NULL;
  printf("a table: %d (%s)\n", made, text_of(cellwall_last_error()));
  made = wasm_memory_new(store, (wasm_memorytype_t*)func) != NULL;
  printf("a memory: %d (%s)\n", made, text_of(cellwall_last_error()));
  wasm_functype_delete(func);
}

// A function that takes what a guest writes: the store is in the middle of something.

typedef struct { wasm_store_t* store; wasm_func_t* func; int calls, failures; } writer_t;

static bool on_write(void* env, const uint8_t* bytes, size_t length) {
  writer_t* it = env;
  it->calls++;
  wasm_val_vec_t none = WASM_EMPTY_VEC;
  wasm_trap_t* trap = wasm_func_call(it->func, &none, &none);
  it->failures += trap != NULL;
  wasm_trap_delete(trap);
  cellwall_error_t* error = cellwall_store_wasi_set(it->store, cellwall_wasi_config_new());
  it->failures += error != NULL;
  cellwall_error_delete(error);
  wasm_foreign_t* foreign = wasm_foreign_new(it->store);
  wasm_foreign_delete(foreign);
  it->failures += wasm_func_type(it->func) == NULL;
  // Another store is nobody's business.
  wasm_store_t* other = wasm_store_new(engine);
  wasm_module_t* module = compile(other, "(module (memory 1) (func $f) (start $f))");
  wasm_instance_t* instance = wasm_instance_new(other, module, NULL, NULL);
  it->failures += instance == NULL ? 100 : 0;
  wasm_instance_delete(instance);
  wasm_module_delete(module);
  wasm_store_delete(other);
  return true;
}

static void on_writer_gone(void* env) {
  writer_t* it = env;
  wasm_val_vec_t none = WASM_EMPTY_VEC;
  wasm_trap_t* trap = wasm_func_call(it->func, &none, &none);
  printf("called when it was gone: %s\n", message_of(trap));
}

static wasm_trap_t* nothing(const wasm_val_vec_t* args, wasm_val_vec_t* results) { return NULL; }

static void writers(void) {
  wasm_store_t* store = wasm_store_new(engine);
  wasm_functype_t* type = wasm_functype_new_0_0();
  writer_t writer = {store, wasm_func_new(store, type, nothing), 0, 0};
  wasm_functype_delete(type);
  cellwall_wasi_config_t* config = cellwall_wasi_config_new();
  cellwall_wasi_config_stdout_callback(config, on_write, &writer, on_writer_gone);
  cellwall_error_delete(cellwall_store_wasi_set(store, config));
  cellwall_linker_t* linker = cellwall_linker_new(engine);
  cellwall_linker_define_wasi(linker);
  wasm_module_t* module = compile(store,
    "(module (import \"wasi_snapshot_preview1\" \"fd_write\" (func $write (param i32 i32 i32 i32) (result i32)))"
    "  (memory (export \"memory\") 1) (data (i32.const 0) \"\\10\\00\\00\\00\\02\\00\\00\\00\") (data (i32.const 16) \"hi\")"
    "  (func (export \"f\") (result i32) (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))))");
  wasm_instance_t* instance = NULL;
  wasm_trap_t* trap = NULL;
  cellwall_linker_instantiate(linker, store, module, &instance, &trap);
  wasm_extern_vec_t exports;
  wasm_instance_exports(instance, &exports);
  wasm_val_t result = WASM_INIT_VAL;
  wasm_val_vec_t args = WASM_EMPTY_VEC, results = {1, &result};
  trap = wasm_func_call(wasm_extern_as_func(exports.data[1]), &args, &results);
  printf("written: %s, %d; %d call, %d failures\n", message_of(trap), result.of.i32, writer.calls, writer.failures);
  // What takes its place lets the old one go, which comes back.
  cellwall_error_delete(cellwall_store_wasi_set(store, cellwall_wasi_config_new()));
  wasm_func_delete(writer.func);
  wasm_extern_vec_delete(&exports);
  wasm_instance_delete(instance);
  wasm_module_delete(module);
  cellwall_linker_delete(linker);
  wasm_store_delete(store);
}

// A linker that is used, and deleted, by what it calls.

typedef struct { cellwall_linker_t* linker; wasm_store_t* store; cellwall_instance_pre_t* pre; bool deletes; } link_t;

static wasm_trap_t* back(void* env, const wasm_val_vec_t* args, wasm_val_vec_t* results) {
  link_t* it = env;
  wasm_name_t m = name("m"), later = name("later");
  wasm_functype_t* type = wasm_functype_new_0_0();
  cellwall_error_t* error = cellwall_linker_define_func(it->linker, &m, &later, type, back, it, NULL);
  wasm_functype_delete(type);
  printf("  defined meanwhile: %s\n", text_of(error));
  if (it->deletes) {
    cellwall_linker_delete(it->linker);
    cellwall_instance_pre_delete(it->pre);
    wasm_store_delete(it->store);
  }
  return NULL;
}

static void comes_back(void* env) {
  link_t* it = env;
  printf("  finalized: ");
  wasm_name_t m = name("m"), later = name("later");
  printf("%s\n", text_of(cellwall_linker_alias(it->linker, &m, &later, &m, &m)));
}

static link_t link_to(bool deletes, link_t* place) {
  link_t it = {cellwall_linker_new(engine), wasm_store_new(engine), NULL, deletes};
  wasm_functype_t* type = wasm_functype_new_0_0();
  wasm_name_t m = name("m"), f = name("f");
  cellwall_error_t* error = cellwall_linker_define_func(it.linker, &m, &f, type, back, place, NULL);
  if (error) printf("%s\n", text_of(error));
  wasm_functype_delete(type);
  return it;
}

static void linkers(void) {
  const char* starts = "(module (import \"m\" \"f\" (func $f)) (start $f))";
  const char* reactor = "(module (import \"m\" \"f\" (func $f)) (func (export \"_initialize\") call $f))";
  for (int deletes = 0; deletes < 2; deletes++) {
    static link_t it;
    it = link_to(deletes, &it);
    wasm_module_t* module = compile(it.store, starts);
    wasm_instance_t* instance = NULL;
    wasm_trap_t* trap = NULL;
    cellwall_error_t* error = cellwall_linker_instantiate(it.linker, it.store, module, &instance, &trap);
    printf("an instance: %s, %d\n", text_of(error), instance != NULL);
    wasm_instance_delete(instance);
    wasm_module_delete(module);
    if (deletes) continue;
    wasm_name_t m = name("m"), r = name("r"), f = name("f");
    module = compile(it.store, reactor);
    printf("a reactor: ");
    printf("%s\n", text_of(cellwall_linker_define_module(it.linker, it.store, &r, module)));
    wasm_module_delete(module);
    // The name is taken: its finalizer runs in the middle of that.
    wasm_functype_t* type = wasm_functype_new_0_0();
    error = cellwall_linker_define_func(it.linker, &m, &f, type, back, &it, comes_back);
    printf("twice: %s\n", text_of(error));
    wasm_functype_delete(type);
    cellwall_linker_delete(it.linker);
    wasm_store_delete(it.store);
  }
  static link_t it;
  it = link_to(true, &it);
  wasm_module_t* module = compile(it.store, starts);
  printf("prepared: %s\n", text_of(cellwall_linker_instantiate_pre(it.linker, module, &it.pre)));
  wasm_module_delete(module);
  wasm_instance_t* instance = NULL;
  wasm_trap_t* trap = NULL;
  printf("from it: %s\n", text_of(cellwall_instance_pre_instantiate(it.pre, it.store, &instance, &trap)));
  wasm_instance_delete(instance);
}

// A destructor that deletes the store.

static cellwall_error_t* destroy(void* env, wasm_store_t* store, uint32_t rep) {
  wasm_store_delete(*(wasm_store_t**)env);
  printf("  destroyed %u\n", rep);
  return cellwall_error_new("not this one");
}

static void destructors(void) {
  static wasm_store_t* store;
  store = wasm_store_new(engine);
  cellwall_component_linker_t* linker = cellwall_component_linker_new(engine);
  cellwall_component_linker_instance_t* root = cellwall_component_linker_root(linker);
  cellwall_component_resource_type_t* type = cellwall_component_resource_type_new_host(1);
  cellwall_error_t* error =
    cellwall_component_linker_instance_add_resource(root, "r", 1, type, destroy, &store, on_gone);
  const char* text =
    "(component (import \"r\" (type $r (sub resource))) (core func $drop (canon resource.drop $r))"
    "  (core module $m (import \"\" \"drop\" (func $drop (param i32))) (func (export \"f\") (param i32) (call $drop (local.get 0))))"
    "  (core instance $i (instantiate $m (with \"\" (instance (export \"drop\" (func $drop))))))"
    "  (func (export \"f\") (param \"r\" (own $r)) (canon lift (core func $i \"f\"))))";
  cellwall_component_t* component = NULL;
  cellwall_component_instance_t* instance = NULL;
  if (!error) error = cellwall_component_new(engine, (const uint8_t*)text, strlen(text), &component);
  if (!error) error = cellwall_component_linker_instantiate(linker, store, component, &instance);
  printf("a component: %s\n", text_of(error));
  cellwall_component_resource_host_t* host = cellwall_component_resource_host_new(true, 9, 1);
  cellwall_component_resource_any_t* any = NULL;
  printf("a resource: %s\n", text_of(cellwall_component_resource_host_to_any(store, host, &any)));
  cellwall_component_resource_host_delete(host);
  cellwall_component_export_index_t* index = cellwall_component_instance_get_export_index(instance, NULL, "f", 1);
  cellwall_component_func_t* func = cellwall_component_instance_get_func(instance, index);
  cellwall_component_val_t arg;
  memset(&arg, 0, sizeof arg);
  arg.kind = CELLWALL_COMPONENT_RESOURCE;
  arg.of.resource = any;
  cellwall_component_export_index_delete(index);
  cellwall_component_instance_delete(instance);
  printf("dropped by the guest: %s\n", text_of(cellwall_component_func_call(func, &arg, 1, NULL, 0)));
  cellwall_component_val_delete(&arg);
  cellwall_component_func_delete(func);
  cellwall_component_delete(component);
  cellwall_component_resource_type_delete(type);
  cellwall_component_linker_instance_delete(root);
  cellwall_component_linker_delete(linker);
}

// Another thread, while a function of the host is running.

typedef struct { wasm_store_t* store; wasm_func_t* func; wasm_foreign_t* foreign; int failed; } other_t;

static void* elsewhere(void* data) {
  other_t* it = data;
  it->failed += wasm_func_get_host_info(it->func) == NULL;
  it->failed += wasm_func_type(it->func) == NULL;
  wasm_func_set_host_info(it->func, it);
  cellwall_error_t* reason = cellwall_last_error();
  it->failed += reason != NULL;
  cellwall_error_delete(reason);
  wasm_val_vec_t none = WASM_EMPTY_VEC;
  wasm_trap_t* trap = wasm_func_call(it->func, &none, &none);
  it->failed += trap != NULL;
  wasm_trap_delete(trap);
  return NULL;
}

static wasm_trap_t* meanwhile(void* env, const wasm_val_vec_t* args, wasm_val_vec_t* results) {
  other_t* it = env;
  pthread_t thread;
  pthread_create(&thread, NULL, elsewhere, it);
  pthread_join(thread, NULL);
  // This thread may.
  wasm_func_set_host_info(it->func, env);
  return wasm_func_get_host_info(it->func) == env ? NULL : wasm_trap_new(it->store, NULL);
}

static void threads(void) {
  other_t it = {wasm_store_new(engine), NULL, NULL, 0};
  wasm_functype_t* type = wasm_functype_new_0_0();
  it.func = wasm_func_new_with_env(it.store, type, meanwhile, &it, NULL);
  wasm_functype_delete(type);
  wasm_func_set_host_info(it.func, &it);
  wasm_val_vec_t none = WASM_EMPTY_VEC;
  printf("another thread: %s, ", message_of(wasm_func_call(it.func, &none, &none)));
  printf("%d failures\n", it.failed);
  wasm_func_delete(it.func);
  wasm_store_delete(it.store);
}

// Everything is used after what it came from was deleted.

static void orphans(void) {
  wasm_engine_t* engine = wasm_engine_new();
  wasm_store_t* store = wasm_store_new(engine);
  wasm_engine_delete(engine);
  wasm_module_t* module = compile(store, "(module (func (export \"f\") (result i32) i32.const 6))");
  wasm_shared_module_t* shared = wasm_module_share(module);
  wasm_module_delete(module);
  module = wasm_module_obtain(store, shared);
  wasm_shared_module_delete(shared);
  wasm_instance_t* instance = wasm_instance_new(store, module, NULL, NULL);
  wasm_store_delete(store);
  wasm_module_delete(module);
  wasm_extern_vec_t exports;
  wasm_instance_exports(instance, &exports);
  wasm_instance_delete(instance);
  wasm_func_t* func = wasm_func_copy(wasm_extern_as_func(exports.data[0]));
  wasm_extern_vec_delete(&exports);
  wasm_val_t result = WASM_INIT_VAL;
  wasm_val_vec_t args = WASM_EMPTY_VEC, results = {1, &result};
  wasm_trap_t* trap = wasm_func_call(func, &args, &results);
  printf("orphans: %s, %d\n", message_of(trap), result.of.i32);
  wasm_func_delete(func);
}

// Functions of the host that call each other without end.

static wasm_trap_t* deeper(void* env, const wasm_val_vec_t* args, wasm_val_vec_t* results) {
  wasm_val_vec_t none = WASM_EMPTY_VEC;
  return wasm_func_call(*(wasm_func_t**)env, &none, &none);
}

static void recursion(wasm_store_t* store) {
  static wasm_func_t* called;
  wasm_functype_t* type = wasm_functype_new_0_0();
  wasm_func_t* func = wasm_func_new_with_env(store, type, deeper, &called, NULL);
  wasm_functype_delete(type);
  wasm_module_t* module = compile(store, "(module (import \"\" \"\" (func $f)) (func (export \"g\") call $f))");
  wasm_extern_t* import = wasm_func_as_extern(func);
  wasm_extern_vec_t imports = {1, &import}, exports;
  wasm_instance_t* instance = wasm_instance_new(store, module, &imports, NULL);
  wasm_instance_exports(instance, &exports);
  called = wasm_extern_as_func(exports.data[0]);
  wasm_val_vec_t none = WASM_EMPTY_VEC;
  wasm_trap_t* trap = wasm_func_call(called, &none, &none);
  int code = cellwall_trap_code(trap);
  printf("without end: %d (%s)\n", code, message_of(trap));
  wasm_extern_vec_delete(&exports);
  wasm_instance_delete(instance);
  wasm_module_delete(module);
  wasm_func_delete(func);
}

// A process without room for another memory.

static void room(void) {
  // Its own, which keeps no address space of memories that are gone.
  wasm_engine_t* engine = wasm_engine_new();
  wasm_store_t* store = wasm_store_new(engine);
  unsigned long pages = 0;
  FILE* file = fopen("/proc/self/statm", "r");
  if (!file || fscanf(file, "%lu", &pages) != 1) printf("no statm\n");
  if (file) fclose(file);
  struct rlimit before, limit;
  getrlimit(RLIMIT_AS, &before);
  limit = before;
  limit.rlim_cur = pages * (rlim_t)sysconf(_SC_PAGESIZE) + ((rlim_t)6 << 30);
  setrlimit(RLIMIT_AS, &limit);
  wasm_limits_t limits = {1, 1};
  wasm_memorytype_t* type = wasm_memorytype_new(&limits);
  wasm_memory_t *first = wasm_memory_new(store, type), *second = wasm_memory_new(store, type);
  setrlimit(RLIMIT_AS, &before);
  printf("memories: %d %d (%s)\n", first != NULL, second != NULL, text_of(cellwall_last_error()));
  wasm_memorytype_delete(type);
  wasm_memory_delete(first);
  wasm_memory_delete(second);
  wasm_store_delete(store);
  wasm_engine_delete(engine);
}

int main(void) {
  engine = wasm_engine_new();
  wasm_store_t* store = wasm_store_new(engine);
  results(store);
  unsaid(store);
  sizes();
  types(store);
  writers();
  linkers();
  destructors();
  threads();
  orphans();
  recursion(store);
  room();
  wasm_store_delete(store);
  wasm_engine_delete(engine);
  return 0;
}
