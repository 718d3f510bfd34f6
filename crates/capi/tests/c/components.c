// Components: values of every type there and back, types, functions and resources of the host, artifacts, WASI 0.2
// without a grant; and what is refused.
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cellwall.h>

static wasm_engine_t* engine;
static wasm_store_t* store;
static int finalized;

static void on_final(void* env) { ++*(int*)env; }

// Prints an error and deletes it.
static void show(const char* what, cellwall_error_t* error) {
  if (!error) {
    printf("%s: fine\n", what);
    return;
  }
  wasm_name_t message;
  cellwall_error_message(error, &message);
  printf("%s: kind %d, \"%.*s\"\n", what, cellwall_error_kind(error), (int)message.size, message.data);
  wasm_name_delete(&message);
  cellwall_error_delete(error);
}

static void fine(cellwall_error_t* error) {
  if (!error) return;
  show("unexpected", error);
  exit(1);
}

static cellwall_component_t* compile(const char* text) {
  cellwall_component_t* component = NULL;
  fine(cellwall_component_new(engine, (const uint8_t*)text, strlen(text), &component));
  return component;
}

static cellwall_component_func_t* function(const cellwall_component_instance_t* instance, const char* name) {
  cellwall_component_export_index_t* index =
    cellwall_component_instance_get_export_index(instance, NULL, name, strlen(name));
  cellwall_component_func_t* func = cellwall_component_instance_get_func(instance, index);
  cellwall_component_export_index_delete(index);
  return func;
}

static void set_text(wasm_name_t* out, const char* text) { wasm_byte_vec_new(out, strlen(text), text); }

static void print_name(const wasm_name_t* name) { printf("%.*s", (int)name->size, name->data); }

static void print_val(const cellwall_component_val_t* v) {
  switch (v->kind) {
    case CELLWALL_COMPONENT_BOOL: printf("%s", v->of.boolean ? "true" : "false"); break;
    case CELLWALL_COMPONENT_S8: printf("s8 %d", v->of.s8); break;
    case CELLWALL_COMPONENT_U8: printf("u8 %u", v->of.u8); break;
    case CELLWALL_COMPONENT_S16: printf("s16 %d", v->of.s16); break;
    case CELLWALL_COMPONENT_U16: printf("u16 %u", v->of.u16); break;
    case CELLWALL_COMPONENT_S32: printf("s32 %d", v->of.s32); break;
    case CELLWALL_COMPONENT_U32: printf("u32 %u", v->of.u32); break;
    case CELLWALL_COMPONENT_S64: printf("s64 %lld", (long long)v->of.s64); break;
    case CELLWALL_COMPONENT_U64: printf("u64 %llu", (unsigned long long)v->of.u64); break;
    case CELLWALL_COMPONENT_F32: printf("f32 %g", v->of.f32); break;
    case CELLWALL_COMPONENT_F64: printf("f64 %g", v->of.f64); break;
    case CELLWALL_COMPONENT_CHAR: printf("char U+%04X", v->of.character); break;
    case CELLWALL_COMPONENT_STRING:
      printf("\"");
      print_name(&v->of.string);
      printf("\"");
      break;
    case CELLWALL_COMPONENT_LIST:
    case CELLWALL_COMPONENT_TUPLE:
      printf(v->kind == CELLWALL_COMPONENT_LIST ? "[" : "(");
      for (size_t i = 0; i < v->of.list.size; i++) {
        if (i) printf(", ");
        print_val(&v->of.list.data[i]);
      }
      printf(v->kind == CELLWALL_COMPONENT_LIST ? "]" : ")");
      break;
    case CELLWALL_COMPONENT_RECORD:
      printf("{");
      for (size_t i = 0; i < v->of.record.size; i++) {
        if (i) printf(", ");
        print_name(&v->of.record.data[i].name);
        printf(": ");
        print_val(&v->of.record.data[i].val);
      }
      printf("}");
      break;
    case CELLWALL_COMPONENT_VARIANT:
      print_name(&v->of.variant.discriminant);
      if (v->of.variant.val) {
        printf("(");
        print_val(v->of.variant.val);
        printf(")");
      }
      break;
    case CELLWALL_COMPONENT_ENUM:
      printf("enum ");
      print_name(&v->of.enumeration);
      break;
    case CELLWALL_COMPONENT_OPTION:
      if (!v->of.option) {
        printf("none");
        break;
      }
      printf("some ");
      print_val(v->of.option);
      break;
    case CELLWALL_COMPONENT_RESULT:
      printf(v->of.result.is_ok ? "ok" : "err");
      if (v->of.result.val) {
        printf(" ");
        print_val(v->of.result.val);
      }
      break;
    case CELLWALL_COMPONENT_FLAGS:
      printf("flags");
      for (size_t i = 0; i < v->of.flags.size; i++) {
        printf(" ");
        print_name(&v->of.flags.data[i]);
      }
      break;
    case CELLWALL_COMPONENT_RESOURCE:
      printf("resource, owned %d", cellwall_component_resource_any_owned(v->of.resource));
      break;
    default: printf("kind %d", v->kind);
  }
}

// A component with a function that answers what it is called with, of one type.
static cellwall_component_instance_t* echo(const char* types, const char* type, const char* core_params,
  const char* core_result, const char* core_body) {
  char text[4096];
  snprintf(text, sizeof text,
    "(component %s"
    "  (core module $m"
    "    (memory (export \"memory\") 1)"
    "    (global $next (mut i32) (i32.const 1024))"
    "    (func (export \"realloc\") (param i32 i32 i32 i32) (result i32)"
    "      (global.set $next (i32.and (i32.add (global.get $next) (i32.sub (local.get 2) (i32.const 1)))"
    "        (i32.sub (i32.const 0) (local.get 2))))"
    "      (global.get $next)"
    "      (global.set $next (i32.add (global.get $next) (local.get 3))))"
    "    (func (export \"echo\") (param %s) (result %s) %s))"
    "  (core instance $i (instantiate $m))"
    "  (func (export \"echo\") (param \"x\" %s) (result %s)"
    "    (canon lift (core func $i \"echo\") (memory (core memory $i \"memory\"))"
    "      (realloc (core func $i \"realloc\")))))",
    types, core_params, core_result, core_body, type, type);
  cellwall_component_t* component = compile(text);
  cellwall_component_linker_t* linker = cellwall_component_linker_new(engine);
  cellwall_component_instance_t* instance = NULL;
  fine(cellwall_component_linker_instantiate(linker, store, component, &instance));
  cellwall_component_linker_delete(linker);
  cellwall_component_delete(component);
  return instance;
}

// Calls it, prints what came back, and deletes both values.
static void round_trip(cellwall_component_instance_t* instance, cellwall_component_val_t* arg) {
  cellwall_component_func_t* func = function(instance, "echo");
  cellwall_component_val_t copy, result;
  cellwall_component_val_clone(arg, &copy);
  cellwall_component_val_delete(arg);
  cellwall_error_t* error = cellwall_component_func_call(func, &copy, 1, &result, 1);
  if (error) {
    show("call", error);
  } else {
    print_val(&result);
    printf("\n");
    cellwall_component_val_delete(&result);
    cellwall_component_val_delete(&result);
  }
  cellwall_component_val_delete(&copy);
  cellwall_component_func_delete(func);
  cellwall_component_instance_delete(instance);
}

static void scalars(void) {
  cellwall_component_val_t v = {.kind = CELLWALL_COMPONENT_BOOL, .of.boolean = true};
  round_trip(echo("", "bool", "i32", "i32", "local.get 0"), &v);
  v = (cellwall_component_val_t){.kind = CELLWALL_COMPONENT_S8, .of.s8 = -128};
  round_trip(echo("", "s8", "i32", "i32", "local.get 0"), &v);
  v = (cellwall_component_val_t){.kind = CELLWALL_COMPONENT_U8, .of.u8 = 255};
  round_trip(echo("", "u8", "i32", "i32", "local.get 0"), &v);
  v = (cellwall_component_val_t){.kind = CELLWALL_COMPONENT_S16, .of.s16 = -32768};
  round_trip(echo("", "s16", "i32", "i32", "local.get 0"), &v);
  v = (cellwall_component_val_t){.kind = CELLWALL_COMPONENT_U16, .of.u16 = 65535};
  round_trip(echo("", "u16", "i32", "i32", "local.get 0"), &v);
  v = (cellwall_component_val_t){.kind = CELLWALL_COMPONENT_S32, .of.s32 = -2147483647 - 1};
  round_trip(echo("", "s32", "i32", "i32", "local.get 0"), &v);
  v = (cellwall_component_val_t){.kind = CELLWALL_COMPONENT_U32, .of.u32 = 4294967295u};
  round_trip(echo("", "u32", "i32", "i32", "local.get 0"), &v);
  v = (cellwall_component_val_t){.kind = CELLWALL_COMPONENT_S64, .of.s64 = INT64_MIN};
  round_trip(echo("", "s64", "i64", "i64", "local.get 0"), &v);
  v = (cellwall_component_val_t){.kind = CELLWALL_COMPONENT_U64, .of.u64 = UINT64_MAX};
  round_trip(echo("", "u64", "i64", "i64", "local.get 0"), &v);
  v = (cellwall_component_val_t){.kind = CELLWALL_COMPONENT_F32, .of.f32 = 1.5f};
  round_trip(echo("", "f32", "f32", "f32", "local.get 0"), &v);
  v = (cellwall_component_val_t){.kind = CELLWALL_COMPONENT_F64, .of.f64 = -0.25};
  round_trip(echo("", "f64", "f64", "f64", "local.get 0"), &v);
  v = (cellwall_component_val_t){.kind = CELLWALL_COMPONENT_CHAR, .of.character = 0x1F40E};
  round_trip(echo("", "char", "i32", "i32", "local.get 0"), &v);
  v = (cellwall_component_val_t){.kind = CELLWALL_COMPONENT_CHAR, .of.character = 0xD800};
  round_trip(echo("", "char", "i32", "i32", "local.get 0"), &v);
}

// What has a pointer and a length: they are answered through the memory.
#define PAIR "(i32.store (i32.const 8) (local.get 0)) (i32.store (i32.const 12) (local.get 1)) i32.const 8"

static void compounds(void) {
  cellwall_component_val_t v = {.kind = CELLWALL_COMPONENT_STRING};
  set_text(&v.of.string, "stra\xc3\x9f" "e");
  round_trip(echo("", "string", "i32 i32", "i32", PAIR), &v);
  v.kind = CELLWALL_COMPONENT_STRING;
  set_text(&v.of.string, "\xff");
  round_trip(echo("", "string", "i32 i32", "i32", PAIR), &v);

  v.kind = CELLWALL_COMPONENT_LIST;
  cellwall_component_vallist_new_bytes(&v.of.list, 3, (const uint8_t*)"abc");
  uint8_t bytes[4] = "???";
  printf("as bytes: %d", cellwall_component_vallist_bytes(&v.of.list, bytes, 3));
  printf(" %s, too many: %d\n", (char*)bytes, cellwall_component_vallist_bytes(&v.of.list, bytes, 4));
  round_trip(echo("", "(list u8)", "i32 i32", "i32", PAIR), &v);

  v.kind = CELLWALL_COMPONENT_LIST;
  cellwall_component_vallist_new_uninit(&v.of.list, 2);
  for (size_t i = 0; i < 2; i++) {
    v.of.list.data[i].kind = CELLWALL_COMPONENT_STRING;
    set_text(&v.of.list.data[i].of.string, i ? "two" : "one");
  }
  round_trip(echo("", "(list string)", "i32 i32", "i32", PAIR), &v);

  // Of another type than the function's.
  v.kind = CELLWALL_COMPONENT_LIST;
  cellwall_component_vallist_new_bytes(&v.of.list, 1, (const uint8_t*)"x");
  round_trip(echo("", "(list string)", "i32 i32", "i32", PAIR), &v);

  const char* record = "(type $record' (record (field \"first\" u32) (field \"second\" u32)))"
    "(export $record \"record\" (type $record'))";
  v.kind = CELLWALL_COMPONENT_RECORD;
  cellwall_component_valrecord_new_uninit(&v.of.record, 2);
  for (size_t i = 0; i < 2; i++) {
    set_text(&v.of.record.data[i].name, i ? "second" : "first");
    v.of.record.data[i].val.kind = CELLWALL_COMPONENT_U32;
    v.of.record.data[i].val.of.u32 = 10 + i;
  }
  round_trip(echo(record, "$record", "i32 i32", "i32", PAIR), &v);

  v.kind = CELLWALL_COMPONENT_TUPLE;
  cellwall_component_val_t pair[2] = {
    {.kind = CELLWALL_COMPONENT_U32, .of.u32 = 1}, {.kind = CELLWALL_COMPONENT_S32, .of.s32 = -1}};
  cellwall_component_valtuple_new(&v.of.tuple, 2, pair);
  round_trip(echo("", "(tuple u32 s32)", "i32 i32", "i32", PAIR), &v);

  const char* variant = "(type $variant' (variant (case \"none\") (case \"number\" u32)))"
    "(export $variant \"variant\" (type $variant'))";
  v.kind = CELLWALL_COMPONENT_VARIANT;
  cellwall_component_val_t number = {.kind = CELLWALL_COMPONENT_U32, .of.u32 = 77};
  set_text(&v.of.variant.discriminant, "number");
  v.of.variant.val = cellwall_component_val_new(&number);
  round_trip(echo(variant, "$variant", "i32 i32", "i32", PAIR), &v);
  v.kind = CELLWALL_COMPONENT_VARIANT;
  set_text(&v.of.variant.discriminant, "none");
  v.of.variant.val = NULL;
  round_trip(echo(variant, "$variant", "i32 i32", "i32", PAIR), &v);
  v.kind = CELLWALL_COMPONENT_VARIANT;
  set_text(&v.of.variant.discriminant, "other");
  v.of.variant.val = NULL;
  round_trip(echo(variant, "$variant", "i32 i32", "i32", PAIR), &v);

  const char* color = "(type $color' (enum \"red\" \"green\")) (export $color \"color\" (type $color'))";
  v.kind = CELLWALL_COMPONENT_ENUM;
  set_text(&v.of.enumeration, "green");
  round_trip(echo(color, "$color", "i32", "i32", "local.get 0"), &v);

  v.kind = CELLWALL_COMPONENT_OPTION;
  number = (cellwall_component_val_t){.kind = CELLWALL_COMPONENT_U32, .of.u32 = 5};
  v.of.option = cellwall_component_val_new(&number);
  round_trip(echo("", "(option u32)", "i32 i32", "i32", PAIR), &v);
  v.kind = CELLWALL_COMPONENT_OPTION;
  v.of.option = NULL;
  round_trip(echo("", "(option u32)", "i32 i32", "i32", PAIR), &v);

  v.kind = CELLWALL_COMPONENT_RESULT;
  number = (cellwall_component_val_t){.kind = CELLWALL_COMPONENT_S32, .of.s32 = -5};
  v.of.result.is_ok = false;
  v.of.result.val = cellwall_component_val_new(&number);
  round_trip(echo("", "(result u32 (error s32))", "i32 i32", "i32", PAIR), &v);
  v.kind = CELLWALL_COMPONENT_RESULT;
  v.of.result.is_ok = true;
  v.of.result.val = NULL;
  round_trip(echo("", "(result)", "i32", "i32", "local.get 0"), &v);

  const char* flags = "(type $flags' (flags \"read\" \"write\" \"run\")) (export $flags \"flags\" (type $flags'))";
  v.kind = CELLWALL_COMPONENT_FLAGS;
  cellwall_component_valflags_new_uninit(&v.of.flags, 2);
  set_text(&v.of.flags.data[0], "run");
  set_text(&v.of.flags.data[1], "read");
  round_trip(echo(flags, "$flags", "i32", "i32", "local.get 0"), &v);

  v.kind = 200;
  round_trip(echo("", "bool", "i32", "i32", "local.get 0"), &v);
}

static const char* kinds[] = {"bool", "s8", "s16", "s32", "s64", "u8", "u16", "u32", "u64", "f32", "f64", "char",
  "string", "list", "record", "tuple", "variant", "enum", "option", "result", "flags", "own", "borrow"};

static void print_type(const cellwall_component_valtype_t* ty) {
  if (!ty) {
    printf("_");
    return;
  }
  uint8_t kind = cellwall_component_valtype_kind(ty);
  printf("%s", kind < sizeof kinds / sizeof *kinds ? kinds[kind] : "?");
  const char* name;
  size_t length;
  const cellwall_component_valtype_t* part;
  switch (kind) {
    case CELLWALL_COMPONENT_VALTYPE_LIST:
      printf("<");
      print_type(cellwall_component_list_type_element(ty));
      printf(">");
      break;
    case CELLWALL_COMPONENT_VALTYPE_OPTION:
      printf("<");
      print_type(cellwall_component_option_type_ty(ty));
      printf(">");
      break;
    case CELLWALL_COMPONENT_VALTYPE_RESULT:
      printf("<");
      print_type(cellwall_component_result_type_ok(ty));
      printf(", ");
      print_type(cellwall_component_result_type_err(ty));
      printf(">");
      break;
    case CELLWALL_COMPONENT_VALTYPE_RECORD:
      for (size_t i = 0; i < cellwall_component_record_type_field_count(ty); i++) {
        cellwall_component_record_type_field_nth(ty, i, &name, &length, &part);
        printf(" %.*s:", (int)length, name);
        print_type(part);
      }
      break;
    case CELLWALL_COMPONENT_VALTYPE_TUPLE:
      for (size_t i = 0; i < cellwall_component_tuple_type_types_count(ty); i++) {
        printf(" ");
        print_type(cellwall_component_tuple_type_types_nth(ty, i));
      }
      break;
    case CELLWALL_COMPONENT_VALTYPE_VARIANT:
      for (size_t i = 0; i < cellwall_component_variant_type_case_count(ty); i++) {
        cellwall_component_variant_type_case_nth(ty, i, &name, &length, &part);
        printf(" %.*s(", (int)length, name);
        print_type(part);
        printf(")");
      }
      break;
    case CELLWALL_COMPONENT_VALTYPE_ENUM:
      for (size_t i = 0; i < cellwall_component_enum_type_names_count(ty); i++) {
        cellwall_component_enum_type_names_nth(ty, i, &name, &length);
        printf(" %.*s", (int)length, name);
      }
      break;
    case CELLWALL_COMPONENT_VALTYPE_FLAGS:
      for (size_t i = 0; i < cellwall_component_flags_type_names_count(ty); i++) {
        cellwall_component_flags_type_names_nth(ty, i, &name, &length);
        printf(" %.*s", (int)length, name);
      }
      break;
  }
}

static void types(void) {
  cellwall_component_t* component = compile(
    "(component"
    "  (import \"in\" (instance"
    "    (type $r' (record (field \"a\" (list string)) (field \"b\" (tuple u8 f64))))"
    "    (export \"r\" (type $r (eq $r')))"
    "    (type $v' (variant (case \"x\") (case \"y\" (option char)))) (export \"v\" (type $v (eq $v')))"
    "    (type $e' (enum \"p\" \"q\")) (export \"e\" (type $e (eq $e')))"
    "    (type $f' (flags \"m\" \"n\")) (export \"f\" (type $f (eq $f')))"
    "    (export \"res\" (type $res (sub resource)))"
    "    (export \"call\" (func (param \"r\" $r) (param \"v\" $v) (param \"e\" $e) (param \"f\" $f)"
    "      (param \"own\" (own $res)) (param \"lent\" (borrow $res)) (result (result bool (error s64)))))))"
    "  (import \"module\" (core module)))");
  cellwall_component_type_t* ty = cellwall_component_type(component);
  printf("imports %zu, exports %zu\n", cellwall_component_type_import_count(ty),
    cellwall_component_type_export_count(ty));
  const char* name;
  size_t length;
  const cellwall_component_item_t* item;
  for (size_t i = 0; cellwall_component_type_import_nth(ty, i, &name, &length, &item); i++)
    printf("import %.*s of kind %d\n", (int)length, name, cellwall_component_item_kind(item));
  const cellwall_component_instance_type_t* in =
    cellwall_component_item_instance(cellwall_component_type_import_get(ty, "in", 2));
  for (size_t i = 0; i < cellwall_component_instance_type_export_count(in); i++) {
    cellwall_component_instance_type_export_nth(in, i, &name, &length, &item);
    printf("  %.*s of kind %d: ", (int)length, name, cellwall_component_item_kind(item));
    print_type(cellwall_component_item_type(item));
    printf("\n");
  }
  item = cellwall_component_instance_type_export_get(in, "call", 4);
  const cellwall_component_func_type_t* func = cellwall_component_item_func(item);
  const cellwall_component_valtype_t* param;
  for (size_t i = 0; i < cellwall_component_func_type_param_count(func); i++) {
    cellwall_component_func_type_param_nth(func, i, &name, &length, &param);
    printf("  param %.*s: ", (int)length, name);
    print_type(param);
    printf("\n");
  }
  printf("  -> ");
  print_type(cellwall_component_func_type_result(func));
  printf("\n");
  const cellwall_component_valtype_t *own, *lent;
  cellwall_component_func_type_param_nth(func, 4, NULL, NULL, &own);
  cellwall_component_func_type_param_nth(func, 5, NULL, NULL, &lent);
  printf("same resource %d, same type %d, itself %d\n",
    cellwall_component_resource_type_equal(
      cellwall_component_valtype_resource(own), cellwall_component_valtype_resource(lent)),
    cellwall_component_valtype_equal(own, lent), cellwall_component_valtype_equal(own, own));
  // Copies outlive what they are of.
  cellwall_component_func_type_t* copy = cellwall_component_func_type_clone(func);
  cellwall_component_valtype_t* result = cellwall_component_valtype_clone(cellwall_component_func_type_result(func));
  printf("ids differ: %d\n", cellwall_component_func_type_id(copy) != cellwall_component_func_type_id(func));
  cellwall_component_type_delete(ty);
  printf("params %zu, kind %d\n", cellwall_component_func_type_param_count(copy),
    cellwall_component_valtype_kind(result));
  // What it is not.
  printf("not a record: %zu, not a list: %d, beyond: %d, no item: %d\n",
    cellwall_component_record_type_field_count(result), cellwall_component_list_type_element(result) != NULL,
    cellwall_component_func_type_param_nth(copy, 6, &name, &length, &param), cellwall_component_item_kind(NULL));
  cellwall_component_valtype_delete(result);
  cellwall_component_func_type_delete(copy);
  cellwall_component_delete(component);
}

// Functions and resources of the host.
#define COUNTER 7

static uint32_t dropped;

static cellwall_error_t* drop_counter(void* env, wasm_store_t* in, uint32_t rep) {
  dropped = rep;
  return NULL;
}

// What another thread is answered while a call is under way.
static void* elsewhere(void* env) {
  show("another thread meanwhile", cellwall_store_wasi_set(store, cellwall_wasi_config_new()));
  return env;
}

static cellwall_error_t* new_counter(void* env, wasm_store_t* in, const cellwall_component_func_type_t* type,
  const cellwall_component_val_t* args, size_t nargs, cellwall_component_val_t* results, size_t nresults) {
  printf("new(%u), %zu results\n", args[0].of.u32, nresults);
  if (args[0].of.u32 == 14) {
    pthread_t thread;
    pthread_create(&thread, NULL, elsewhere, NULL);
    pthread_join(thread, NULL);
  }
  cellwall_component_resource_host_t* host = cellwall_component_resource_host_new(true, args[0].of.u32, COUNTER);
  results[0].kind = CELLWALL_COMPONENT_RESOURCE;
  cellwall_error_t* error = cellwall_component_resource_host_to_any(in, host, &results[0].of.resource);
  if (error) results[0].kind = CELLWALL_COMPONENT_BOOL;
  cellwall_component_resource_host_delete(host);
  return error;
}

static cellwall_error_t* get_counter(void* env, wasm_store_t* in, const cellwall_component_func_type_t* type,
  const cellwall_component_val_t* args, size_t nargs, cellwall_component_val_t* results, size_t nresults) {
  printf("get of a %s one, %d calls before\n",
    cellwall_component_resource_any_owned(args[0].of.resource) ? "owned" : "lent", *(int*)env);
  ++*(int*)env;
  cellwall_component_resource_host_t* host = NULL;
  cellwall_error_t* error = cellwall_component_resource_any_to_host(in, args[0].of.resource, &host);
  if (error) return error;
  uint32_t rep = cellwall_component_resource_host_rep(host);
  printf("type %u, owned %d\n", cellwall_component_resource_host_type(host),
    cellwall_component_resource_host_owned(host));
  cellwall_component_resource_host_delete(host);
  if (rep == 13) return cellwall_error_new("thirteen is refused");
  results[0].kind = rep == 14 ? CELLWALL_COMPONENT_S64 : CELLWALL_COMPONENT_U32;
  results[0].of.u32 = rep * 2;
  return NULL;
}

static cellwall_component_linker_t* linker_with_counters(int* calls) {
  cellwall_component_linker_t* linker = cellwall_component_linker_new(engine);
  cellwall_component_linker_instance_t *root = cellwall_component_linker_root(linker), *host = NULL;
  fine(cellwall_component_linker_instance_add_instance(root, "host", 4, &host));
  cellwall_component_resource_type_t* type = cellwall_component_resource_type_new_host(COUNTER);
  fine(cellwall_component_linker_instance_add_resource(host, "counter", 7, type, drop_counter, &finalized, on_final));
  fine(cellwall_component_linker_instance_add_func(host, "make", 4, new_counter, NULL, NULL));
  fine(cellwall_component_linker_instance_add_func(host, "get", 3, get_counter, calls, NULL));
  show("twice", cellwall_component_linker_instance_add_func(host, "get", 3, get_counter, &finalized, on_final));
  show("an instance where a function is", cellwall_component_linker_instance_add_instance(host, "get", 3, &root));
  cellwall_component_resource_type_delete(type);
  cellwall_component_linker_instance_delete(host);
  cellwall_component_linker_instance_delete(root);
  return linker;
}

static const char* counters =
  "(component"
  "  (import \"host\" (instance $host"
  "    (export \"counter\" (type $counter (sub resource)))"
  "    (export \"make\" (func (param \"n\" u32) (result (own $counter))))"
  "    (export \"get\" (func (param \"c\" (borrow $counter)) (result u32)))))"
  "  (alias export $host \"counter\" (type $counter))"
  "  (core func $make (canon lower (func $host \"make\")))"
  "  (core func $get (canon lower (func $host \"get\")))"
  "  (core func $drop (canon resource.drop $counter))"
  "  (core module $m"
  "    (import \"\" \"make\" (func $make (param i32) (result i32)))"
  "    (import \"\" \"get\" (func $get (param i32) (result i32)))"
  "    (import \"\" \"drop\" (func $drop (param i32)))"
  "    (func (export \"use\") (param i32) (result i32) (local $c i32)"
  "      (local.set $c (call $make (local.get 0)))"
  "      (call $get (local.get $c))"
  "      (call $drop (local.get $c)))"
  "    (func (export \"keep\") (param i32) (result i32) (call $make (local.get 0)))"
  "    (func $fail (export \"fail\") (drop (i32.div_u (i32.const 1) (i32.const 0)))))"
  "  (core instance $i (instantiate $m (with \"\" (instance"
  "    (export \"make\" (func $make)) (export \"get\" (func $get)) (export \"drop\" (func $drop))))))"
  "  (func (export \"use\") (param \"n\" u32) (result u32) (canon lift (core func $i \"use\")))"
  "  (func (export \"keep\") (param \"n\" u32) (result (own $counter)) (canon lift (core func $i \"keep\")))"
  "  (func (export \"fail\") (canon lift (core func $i \"fail\"))))";

static void host(void) {
  int calls = 0;
  cellwall_component_linker_t* linker = linker_with_counters(&calls);
  cellwall_component_t* component = compile(counters);
  cellwall_component_instance_t* instance = NULL;
  fine(cellwall_component_linker_instantiate(linker, store, component, &instance));
  cellwall_component_func_t* use = function(instance, "use");
  cellwall_component_val_t arg = {.kind = CELLWALL_COMPONENT_U32, .of.u32 = 21}, result;
  fine(cellwall_component_func_call(use, &arg, 1, &result, 1));
  print_val(&result);
  printf(", dropped %u\n", dropped);

  // A resource that the host holds.
  cellwall_component_func_t* keep = function(instance, "keep");
  fine(cellwall_component_func_call(keep, &arg, 1, &result, 1));
  print_val(&result);
  cellwall_component_resource_type_t *expected = cellwall_component_resource_type_new_host(COUNTER),
    *type = cellwall_component_resource_any_type(result.of.resource);
  printf(", of the type: %d\n", cellwall_component_resource_type_equal(type, expected));
  cellwall_component_resource_type_delete(type);
  cellwall_component_resource_type_delete(expected);
  dropped = 0;
  show("drop", cellwall_component_resource_any_drop(store, result.of.resource));
  printf("dropped %u\n", dropped);
  show("drop again", cellwall_component_resource_any_drop(store, result.of.resource));
  wasm_store_t* other = wasm_store_new(engine);
  show("drop elsewhere", cellwall_component_resource_any_drop(other, result.of.resource));
  wasm_store_delete(other);
  cellwall_component_val_delete(&result);

  // What goes wrong.
  show("no argument", cellwall_component_func_call(use, NULL, 0, &result, 1));
  show("no result", cellwall_component_func_call(use, &arg, 1, NULL, 0));
  show("no room", cellwall_component_func_call(use, &arg, 1, NULL, 1));
  show("no function", cellwall_component_func_call(NULL, &arg, 1, &result, 1));
  arg.kind = CELLWALL_COMPONENT_S32;
  show("another type", cellwall_component_func_call(use, &arg, 1, &result, 1));
  arg = (cellwall_component_val_t){.kind = CELLWALL_COMPONENT_U32, .of.u32 = 13};
  show("refused by the host", cellwall_component_func_call(use, &arg, 1, &result, 1));
  show("entered again", cellwall_component_func_call(use, &arg, 1, &result, 1));
  cellwall_component_func_delete(keep);
  cellwall_component_func_delete(use);
  cellwall_component_instance_delete(instance);

  fine(cellwall_component_linker_instantiate(linker, store, component, &instance));
  use = function(instance, "use");
  arg.of.u32 = 14;
  show("another result", cellwall_component_func_call(use, &arg, 1, &result, 1));
  cellwall_component_func_delete(use);
  cellwall_component_instance_delete(instance);

  fine(cellwall_component_linker_instantiate(linker, store, component, &instance));
  cellwall_component_func_t* fail = function(instance, "fail");
  cellwall_error_t* error = cellwall_component_func_call(fail, NULL, 0, NULL, 0);
  wasm_frame_vec_t frames;
  cellwall_error_wasm_trace(error, &frames);
  const wasm_name_t* name = frames.size ? cellwall_frame_func_name(frames.data[0]) : NULL;
  int status;
  printf("trap code %d in %.*s, exit %d\n", cellwall_error_trap_code(error), name ? (int)name->size : 0,
    name ? name->data : "", cellwall_error_exit_status(error, &status));
  wasm_frame_vec_delete(&frames);
  show("trap", error);
  cellwall_component_func_delete(fail);
  // The index of another component.
  cellwall_component_t* same_text = compile(counters);
  cellwall_component_export_index_t* index = cellwall_component_get_export_index(same_text, NULL, "use", 3);
  printf("index of another component: %d\n", cellwall_component_instance_get_func(instance, index) != NULL);
  cellwall_component_export_index_delete(index);
  index = cellwall_component_get_export_index(component, NULL, "use", 3);
  use = cellwall_component_instance_get_func(instance, index);
  printf("of its own: %d\n", use != NULL);
  cellwall_component_func_delete(use);
  cellwall_component_export_index_delete(index);
  printf("no such export: %d\n", cellwall_component_get_export_index(component, NULL, "nothing", 7) != NULL);
  cellwall_component_delete(same_text);
  cellwall_component_instance_delete(instance);

  // Without the imports; then with traps in their place.
  cellwall_component_linker_delete(linker);
  linker = cellwall_component_linker_new(engine);
  instance = NULL;
  show("not defined", cellwall_component_linker_instantiate(linker, store, component, &instance));
  fine(cellwall_component_linker_define_unknown_imports_as_traps(linker, component));
  fine(cellwall_component_linker_instantiate(linker, store, component, &instance));
  use = function(instance, "use");
  show("a trap in its place", cellwall_component_func_call(use, &arg, 1, &result, 1));
  cellwall_component_func_delete(use);
  cellwall_component_instance_delete(instance);
  cellwall_component_linker_delete(linker);
  cellwall_component_delete(component);
}

static void artifacts(void) {
  cellwall_component_t* component = compile(counters);
  wasm_byte_vec_t bytes;
  fine(cellwall_component_serialize(component, &bytes));
  cellwall_component_delete(component);
  show("load", cellwall_component_deserialize(engine, (const uint8_t*)bytes.data, bytes.size, &component));
  cellwall_component_t* hold = cellwall_component_clone(component);
  cellwall_component_delete(component);
  cellwall_component_type_t* type = cellwall_component_type(hold);
  printf("exports %zu\n", cellwall_component_type_export_count(type));
  cellwall_component_type_delete(type);
  cellwall_component_delete(hold);
  bytes.data[bytes.size / 2] ^= 1;
  cellwall_error_t* error = cellwall_component_deserialize(engine, (const uint8_t*)bytes.data, bytes.size, &component);
  printf("a bit flipped: %s\n", error ? "refused" : "taken");
  cellwall_error_delete(error);
  wasm_byte_vec_delete(&bytes);
  show("a module", cellwall_component_validate(engine, (const uint8_t*)"\0asm\1\0\0\0", 8));
  show("an empty component", cellwall_component_validate(engine, (const uint8_t*)"\0asm\x0d\0\1\0", 8));
  show("no engine", cellwall_component_validate(NULL, (const uint8_t*)"\0asm\x0d\0\1\0", 8));
  show("nowhere to", cellwall_component_new(engine, (const uint8_t*)"(component)", 11, NULL));
  error = cellwall_component_deserialize_file(engine, "/no/such/file.cwall", &component);
  printf("no file: %d\n", error != NULL);
  cellwall_error_delete(error);
  wasm_engine_t* other = wasm_engine_new();
  fine(cellwall_component_new(other, (const uint8_t*)"(component)", 11, &component));
  cellwall_component_linker_t* linker = cellwall_component_linker_new(engine);
  cellwall_component_instance_t* instance = NULL;
  show("another engine", cellwall_component_linker_instantiate(linker, store, component, &instance));
  cellwall_component_linker_delete(linker);
  // Imports found once, for stores of the engine.
  linker = cellwall_component_linker_new(other);
  cellwall_component_instance_pre_t *pre = NULL, *again = NULL;
  fine(cellwall_component_linker_instantiate_pre(linker, component, &pre));
  show("nowhere to put it", cellwall_component_linker_instantiate_pre(linker, component, NULL));
  cellwall_component_linker_delete(linker);
  again = cellwall_component_instance_pre_clone(pre);
  cellwall_component_instance_pre_delete(pre);
  wasm_store_t* stores[] = {wasm_store_new(other), wasm_store_new(other)};
  for (int i = 0; i < 2; i++) {
    show("in a store", cellwall_component_instance_pre_instantiate(again, stores[i], &instance));
    cellwall_component_instance_delete(instance);
    wasm_store_delete(stores[i]);
  }
  show("in another engine", cellwall_component_instance_pre_instantiate(again, store, &instance));
  show("in no store", cellwall_component_instance_pre_instantiate(again, NULL, &instance));
  cellwall_component_instance_pre_delete(again);
  linker = cellwall_component_linker_new(engine);
  cellwall_component_t* lacking = compile(counters);
  cellwall_error_t* lacks = cellwall_component_linker_instantiate_pre(linker, lacking, &pre);
  printf("without imports: %s\n", lacks ? "refused" : "taken");
  cellwall_error_delete(lacks);
  cellwall_component_delete(lacking);
  cellwall_component_linker_delete(linker);
  cellwall_component_delete(component);
  wasm_engine_delete(other);
}

static void wasi(void) {
  cellwall_wasi_config_t* config = cellwall_wasi_config_new();
  show("listen", cellwall_wasi_config_allow_listen(config, "127.0.0.1:8080"));
  show("listen at a name", cellwall_wasi_config_allow_listen(config, "example.com:80"));
  show("connect", cellwall_wasi_config_allow_connect(config, "10.0.0.0/8"));
  show("connect to nonsense", cellwall_wasi_config_allow_connect(config, "10.0.0.0/33"));
  show("http", cellwall_wasi_config_allow_http(config, "*.example.com"));
  show("http with a path", cellwall_wasi_config_allow_http(config, "http://example.com/"));
  show("null", cellwall_wasi_config_allow_http(config, NULL));
  cellwall_wasi_config_allow_ip_name_lookup(config, true);
  cellwall_wasi_config_env(config, "NAME", "value");
  cellwall_wasi_output_t* output = cellwall_wasi_config_stdout_bytes(config, 100);
  fine(cellwall_store_wasi_set(store, config));

  cellwall_component_linker_t* linker = cellwall_component_linker_new(engine);
  show("wasi", cellwall_component_linker_add_wasip2(linker));
  show("http", cellwall_component_linker_add_wasi_http(linker));
  show("wasi again", cellwall_component_linker_add_wasip2(linker));
  cellwall_component_t* component = compile(
    "(component"
    "  (import \"wasi:cli/exit@0.2.0\" (instance $exit (export \"exit\" (func (param \"status\" (result))))))"
    "  (import \"wasi:io/error@0.2.0\" (instance $error (export \"error\" (type (sub resource)))))"
    "  (alias export $error \"error\" (type $error'))"
    "  (import \"wasi:io/streams@0.2.0\" (instance $streams"
    "    (export \"output-stream\" (type $stream (sub resource)))"
    "    (alias outer 1 $error' (type $outer)) (export \"error\" (type $error (eq $outer)))"
    "    (type $closed' (variant (case \"last-operation-failed\" (own $error)) (case \"closed\")))"
    "    (export \"stream-error\" (type $closed (eq $closed')))"
    "    (export \"[method]output-stream.blocking-write-and-flush\""
    "      (func (param \"self\" (borrow $stream)) (param \"contents\" (list u8)) (result (result (error $closed)))))))"
    "  (alias export $streams \"output-stream\" (type $stream'))"
    "  (import \"wasi:cli/stdout@0.2.0\" (instance $stdout"
    "    (alias outer 1 $stream' (type $outer)) (export \"output-stream\" (type $stream (eq $outer)))"
    "    (export \"get-stdout\" (func (result (own $stream))))))"
    "  (core module $memory (memory (export \"memory\") 1) (data (i32.const 16) \"hello from a component\"))"
    "  (core instance $memory (instantiate $memory))"
    "  (core func $exit (canon lower (func $exit \"exit\")))"
    "  (core func $get (canon lower (func $stdout \"get-stdout\")))"
    "  (core func $write (canon lower (func $streams \"[method]output-stream.blocking-write-and-flush\")"
    "    (memory (core memory $memory \"memory\"))))"
    "  (core module $m"
    "    (import \"\" \"exit\" (func $exit (param i32)))"
    "    (import \"\" \"get\" (func $get (result i32)))"
    "    (import \"\" \"write\" (func $write (param i32 i32 i32 i32)))"
    "    (func (export \"run\")"
    "      (call $write (call $get) (i32.const 16) (i32.const 22) (i32.const 0))"
    "      (call $exit (i32.const 1))))"
    "  (core instance $i (instantiate $m (with \"\" (instance"
    "    (export \"exit\" (func $exit)) (export \"get\" (func $get)) (export \"write\" (func $write))))))"
    "  (func (export \"run\") (canon lift (core func $i \"run\"))))");
  cellwall_component_instance_t* instance = NULL;
  fine(cellwall_component_linker_instantiate(linker, store, component, &instance));
  cellwall_component_func_t* run = function(instance, "run");
  cellwall_error_t* error = cellwall_component_func_call(run, NULL, 0, NULL, 0);
  int32_t status = -1;
  bool has_status = cellwall_error_exit_status(error, &status);
  printf("exited %d with %d\n", has_status, status);
  cellwall_error_delete(error);
  wasm_byte_vec_t written;
  cellwall_wasi_output_contents(output, &written);
  printf("it wrote: %.*s\n", (int)written.size, written.data);
  wasm_byte_vec_delete(&written);
  cellwall_wasi_output_delete(output);
  cellwall_component_func_delete(run);
  cellwall_component_instance_delete(instance);
  cellwall_component_delete(component);
  cellwall_component_linker_delete(linker);
}

int main(void) {
  engine = wasm_engine_new();
  store = wasm_store_new(engine);
  printf("== scalars\n");
  scalars();
  printf("== compounds\n");
  compounds();
  printf("== types\n");
  types();
  printf("== host\n");
  host();
  printf("== artifacts\n");
  artifacts();
  printf("== wasi\n");
  wasi();
  wasm_store_delete(store);
  wasm_engine_delete(engine);
  printf("finalized %d\n", finalized);
  return 0;
}
