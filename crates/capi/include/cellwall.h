// Cellwall: what the standard C API (wasm.h) lacks.
//
// Generated from crates/capi/api; not to be edited. As in wasm.h, `own` says who deletes.

#ifndef CELLWALL_H
#define CELLWALL_H

#include <wasm.h>

#define own

#ifdef __cplusplus
extern "C" {
#endif

// What is called when data that was handed over is needed no more.
typedef void (*cellwall_finalizer_t)(void*);
// Takes what a guest writes; false if it cannot, which the guest sees as an error of writing.
typedef bool (*cellwall_wasi_write_t)(void* env, const uint8_t* bytes, size_t length);
typedef struct cellwall_error_t cellwall_error_t;
typedef struct cellwall_wasi_config_t cellwall_wasi_config_t;
typedef struct cellwall_wasi_output_t cellwall_wasi_output_t;
typedef struct cellwall_sharedmemory_t cellwall_sharedmemory_t;
typedef struct cellwall_caller_t cellwall_caller_t;
typedef struct cellwall_linker_t cellwall_linker_t;

// A function of the host with the data that it was made with. The results are zeros and nulls of their types
// at first; references among them become the callee's. Null, or the trap that it ends with.
typedef own wasm_trap_t* (*cellwall_func_callback_t)(
  void* env,
  cellwall_caller_t* caller,
  const wasm_val_t* args,
  size_t args_count,
  wasm_val_t* results,
  size_t results_count);

///////////////////////////////////////////////////////////////////////////////
// Errors
//
// What went wrong where the standard only knows null. Every function of this header that can fail answers an
// owned error, or null if all went well.

// An error.
// (struct cellwall_error_t, declared above)

enum cellwall_error_kind_enum {
  CELLWALL_ERROR_OTHER = 0,  // anything else
  CELLWALL_ERROR_INVALID = 1,  // bytes that are no valid module; the offset says where
  CELLWALL_ERROR_LIMIT = 2,  // it asks for more than a limit
  CELLWALL_ERROR_VIOLATION = 3,  // machine code that is not proven to be safe
  CELLWALL_ERROR_TRAP = 4,  // a trap
};

// All causes on one line, the outermost first. No zero at the end.
WASM_API_EXTERN void cellwall_error_message(const cellwall_error_t* error, own wasm_name_t* out);

// Its kind, one of the enumeration above.
WASM_API_EXTERN uint8_t cellwall_error_kind(const cellwall_error_t* error);

// Where in the module's bytes; false if it has no such place.
WASM_API_EXTERN bool cellwall_error_offset(const cellwall_error_t* error, size_t* out);

// Deletes it; null is fine.
WASM_API_EXTERN void cellwall_error_delete(own cellwall_error_t* error);

// Why the last function of `wasm.h` in this thread answered null or false; null if none did. It is forgotten then.
WASM_API_EXTERN own cellwall_error_t* cellwall_last_error(void);

///////////////////////////////////////////////////////////////////////////////
// Configuration
//
// Options of an engine, on the standard's `wasm_config_t`. The defaults are right for almost everyone.

enum cellwall_profiler_enum {
  CELLWALL_PROFILER_NONE = 0,  // nothing
  CELLWALL_PROFILER_PERFMAP = 1,  // `/tmp/perf-PID.map`
  CELLWALL_PROFILER_JITDUMP = 2,  // `jit-PID.dump` in the current directory
};

// Bytes of stack that guest code may use per call from the host; 1 MiB by default.
WASM_API_EXTERN void cellwall_config_max_wasm_stack_set(wasm_config_t* config, size_t bytes);

// Bytes of address space reserved for each memory; 4 GiB by default, which needs no bounds checks in the code.
WASM_API_EXTERN void cellwall_config_memory_reservation_set(wasm_config_t* config, uint64_t bytes);

// Bytes behind each reservation that are never accessible; 32 MiB by default.
WASM_API_EXTERN void cellwall_config_memory_guard_size_set(wasm_config_t* config, uint64_t bytes);

// Whether traps have frames; they do by default.
WASM_API_EXTERN void cellwall_config_backtrace_set(wasm_config_t* config, bool enable);

// Whether modules are compiled on all processors; they are by default.
WASM_API_EXTERN void cellwall_config_parallel_compilation_set(wasm_config_t* config, bool enable);

// What `perf` is told of guest functions; nothing by default.
WASM_API_EXTERN own cellwall_error_t* cellwall_config_profiler_set(
  wasm_config_t* config,
  uint8_t profiler);

// Keeps compiled modules in this folder; null is the user's cache folder. What comes from there is proven again.
WASM_API_EXTERN own cellwall_error_t* cellwall_config_cache_open(
  wasm_config_t* config,
  const char* path);

///////////////////////////////////////////////////////////////////////////////
// Modules
//
// With reasons, from text, and from files.

// The binary of a module in the text format.
WASM_API_EXTERN own cellwall_error_t* cellwall_wat2wasm(
  const char* text,
  size_t length,
  own wasm_byte_vec_t* out);

// Compiles a module in the binary or the text format.
WASM_API_EXTERN own cellwall_error_t* cellwall_module_new(
  wasm_store_t* store,
  const uint8_t* bytes,
  size_t length,
  own wasm_module_t** out);

// Whether bytes are a valid module in the binary format; compiles nothing.
WASM_API_EXTERN own cellwall_error_t* cellwall_module_validate(
  wasm_store_t* store,
  const uint8_t* bytes,
  size_t length);

// The module from what `wasm_module_serialize` made, from wherever it comes: the machine code is proven before it can
// run, so any bytes may be given.
WASM_API_EXTERN own cellwall_error_t* cellwall_module_deserialize(
  wasm_store_t* store,
  const uint8_t* bytes,
  size_t length,
  own wasm_module_t** out);

// Likewise, from a file; such as `cellwall compile` writes.
WASM_API_EXTERN own cellwall_error_t* cellwall_module_deserialize_file(
  wasm_store_t* store,
  const char* path,
  own wasm_module_t** out);

///////////////////////////////////////////////////////////////////////////////
// WASI
//
// What a program with WASI 0.1 is granted: nothing but clocks and random numbers unless it is said here.

// Grants.
// (struct cellwall_wasi_config_t, declared above)

enum cellwall_wasi_perms_enum {
  CELLWALL_WASI_READ = 1,  // read files and list folders
  CELLWALL_WASI_WRITE = 2,  // change files and folders
};

// No grant.
WASM_API_EXTERN own cellwall_wasi_config_t* cellwall_wasi_config_new(void);

// Deletes it; null is fine.
WASM_API_EXTERN void cellwall_wasi_config_delete(own cellwall_wasi_config_t* config);

// Adds an argument; the first one is the program's name.
WASM_API_EXTERN void cellwall_wasi_config_arg(cellwall_wasi_config_t* config, const char* arg);

// Sets an environment variable.
WASM_API_EXTERN void cellwall_wasi_config_env(
  cellwall_wasi_config_t* config,
  const char* name,
  const char* value);

// The arguments of this process.
WASM_API_EXTERN void cellwall_wasi_config_inherit_args(cellwall_wasi_config_t* config);

// The environment of this process.
WASM_API_EXTERN void cellwall_wasi_config_inherit_env(cellwall_wasi_config_t* config);

// The standard input of this process.
WASM_API_EXTERN void cellwall_wasi_config_inherit_stdin(cellwall_wasi_config_t* config);

// The standard output of this process.
WASM_API_EXTERN void cellwall_wasi_config_inherit_stdout(cellwall_wasi_config_t* config);

// The standard error of this process.
WASM_API_EXTERN void cellwall_wasi_config_inherit_stderr(cellwall_wasi_config_t* config);

// These bytes as standard input; they are copied.
WASM_API_EXTERN void cellwall_wasi_config_stdin_bytes(
  cellwall_wasi_config_t* config,
  const wasm_byte_vec_t* bytes);

// Standard output into memory, at most so many bytes.
WASM_API_EXTERN own cellwall_wasi_output_t* cellwall_wasi_config_stdout_bytes(
  cellwall_wasi_config_t* config,
  size_t capacity);

// Standard error into memory, at most so many bytes.
WASM_API_EXTERN own cellwall_wasi_output_t* cellwall_wasi_config_stderr_bytes(
  cellwall_wasi_config_t* config,
  size_t capacity);

// A file of the host as standard input.
WASM_API_EXTERN own cellwall_error_t* cellwall_wasi_config_stdin_file(
  cellwall_wasi_config_t* config,
  const char* path);

// Standard output into a file of the host, which is made, or emptied.
WASM_API_EXTERN own cellwall_error_t* cellwall_wasi_config_stdout_file(
  cellwall_wasi_config_t* config,
  const char* path);

// Standard error into a file of the host, which is made, or emptied.
WASM_API_EXTERN own cellwall_error_t* cellwall_wasi_config_stderr_file(
  cellwall_wasi_config_t* config,
  const char* path);

// Standard output to a function of the host. The finalizer is called when it is not called any more.
WASM_API_EXTERN void cellwall_wasi_config_stdout_callback(
  cellwall_wasi_config_t* config,
  cellwall_wasi_write_t callback,
  void* env,
  cellwall_finalizer_t finalizer);

// Standard error to a function of the host, likewise.
WASM_API_EXTERN void cellwall_wasi_config_stderr_callback(
  cellwall_wasi_config_t* config,
  cellwall_wasi_write_t callback,
  void* env,
  cellwall_finalizer_t finalizer);

// What a program has written to memory.
// (struct cellwall_wasi_output_t, declared above)

// A copy of what was written so far.
WASM_API_EXTERN void cellwall_wasi_output_contents(
  const cellwall_wasi_output_t* output,
  own wasm_byte_vec_t* out);

// Deletes it; null is fine. The program may go on writing.
WASM_API_EXTERN void cellwall_wasi_output_delete(own cellwall_wasi_output_t* output);

// Grants a folder under a name of the guest's, with these permissions.
WASM_API_EXTERN own cellwall_error_t* cellwall_wasi_config_preopen_dir(
  cellwall_wasi_config_t* config,
  const char* host,
  const char* guest,
  uint8_t perms);

///////////////////////////////////////////////////////////////////////////////
// Engines and stores
//
// What the standard lacks of them.

// Stops every call of guest code that is now running in this engine, on whatever thread, with a trap whose code is
// `CELLWALL_TRAP_INTERRUPT`. May be called from any thread.
WASM_API_EXTERN void cellwall_engine_interrupt(const wasm_engine_t* engine);

// Limits what guests can make the store grow to; a negative number leaves the default: no limit for memories and
// tables, 10,000 of everything that is counted.
WASM_API_EXTERN void cellwall_store_limits_set(
  wasm_store_t* store,
  int64_t memory_bytes,
  int64_t table_elements,
  int64_t instances,
  int64_t tables,
  int64_t memories);

// Gives the store WASI; see `cellwall_linker_define_wasi`. Takes the configuration, also if it fails.
WASM_API_EXTERN own cellwall_error_t* cellwall_store_wasi_set(
  wasm_store_t* store,
  own cellwall_wasi_config_t* wasi);

// A number that no other store of this process has or had.
WASM_API_EXTERN uint64_t cellwall_store_id(const wasm_store_t* store);

enum cellwall_store_use_enum {
  CELLWALL_STORE_IDLE = 0,  // nobody is in a call into it
  CELLWALL_STORE_HERE = 1,  // this thread is, that is: a function of the host is running
  CELLWALL_STORE_ELSEWHERE = 2,  // another thread is; what needs the store fails until that call returns
};

// Whether a call into the store is under way, one of the enumeration above. May be called from any thread.
WASM_API_EXTERN uint8_t cellwall_store_use(const wasm_store_t* store);

///////////////////////////////////////////////////////////////////////////////
// Values
//
// Vectors, which a value of `wasm.h` has no field for. Such a value owns its bytes, as others own their reference:
// `wasm_val_copy` copies them, `wasm_val_delete` deletes them.

enum cellwall_valkind_enum {
  CELLWALL_V128 = 4,  // the kind of vectors, in values and value types
};

// Makes it a vector of these 16 bytes, the first lane first. What it was before is not deleted.
WASM_API_EXTERN void cellwall_val_set_v128(wasm_val_t* out, const uint8_t* bytes);

// Copies the 16 bytes of a vector; false if it is none.
WASM_API_EXTERN bool cellwall_val_v128(const wasm_val_t* value, uint8_t* bytes);

///////////////////////////////////////////////////////////////////////////////
// Memories
//
// What `wasm.h` has no room for: sizes beyond 32 bits, 64-bit addresses, and memories that stores on several threads
// share.

// A memory of an engine. Stores on any threads can import it; the functions here can be called from all of them.
// (struct cellwall_sharedmemory_t, declared above)

// The type of a memory, with limits in pages of 64 KiB; a `max` of `UINT64_MAX` is none. Null if there is no such type:
// a shared memory has a maximum.
WASM_API_EXTERN own wasm_memorytype_t* cellwall_memorytype_new(
  uint64_t min,
  uint64_t max,
  bool is_64,
  bool is_shared);

// Its pages at first.
WASM_API_EXTERN uint64_t cellwall_memorytype_min(const wasm_memorytype_t* type);

// Its pages at most; `UINT64_MAX` if nothing is said.
WASM_API_EXTERN uint64_t cellwall_memorytype_max(const wasm_memorytype_t* type);

// Whether its addresses have 64 bits.
WASM_API_EXTERN bool cellwall_memorytype_is_64(const wasm_memorytype_t* type);

// Whether threads may share it.
WASM_API_EXTERN bool cellwall_memorytype_is_shared(const wasm_memorytype_t* type);

// Its size in pages, also of a shared one.
WASM_API_EXTERN uint64_t cellwall_memory_size(const wasm_memory_t* memory);

// Grows it by so many pages, also a shared one; false if it cannot.
WASM_API_EXTERN bool cellwall_memory_grow(wasm_memory_t* memory, uint64_t delta);

// A memory of zeros; null if the type is not shared.
WASM_API_EXTERN own cellwall_sharedmemory_t* cellwall_sharedmemory_new(
  const wasm_engine_t* engine,
  const wasm_memorytype_t* type);

// Deletes this hold on it; the memory is there as long as anybody holds it.
WASM_API_EXTERN void cellwall_sharedmemory_delete(own cellwall_sharedmemory_t* memory);

// Another hold on the same memory, for another thread.
WASM_API_EXTERN own cellwall_sharedmemory_t* cellwall_sharedmemory_copy(
  const cellwall_sharedmemory_t* memory);

// Its size in bytes. Others may grow it at any time; it never shrinks.
WASM_API_EXTERN size_t cellwall_sharedmemory_data_size(const cellwall_sharedmemory_t* memory);

// Grows it by so many pages for all that use it; false if it cannot.
WASM_API_EXTERN bool cellwall_sharedmemory_grow(cellwall_sharedmemory_t* memory, uint64_t delta);

// Copies bytes out of it, each as it is when its turn comes; false, and nothing is copied, if they are not all inside.
WASM_API_EXTERN bool cellwall_sharedmemory_read(
  const cellwall_sharedmemory_t* memory,
  size_t offset,
  uint8_t* bytes,
  size_t size);

// Copies bytes into it; false, and nothing is copied, if they do not fit.
WASM_API_EXTERN bool cellwall_sharedmemory_write(
  const cellwall_sharedmemory_t* memory,
  size_t offset,
  const uint8_t* bytes,
  size_t size);

// It as something that an instance of this store can import.
WASM_API_EXTERN own wasm_extern_t* cellwall_sharedmemory_as_extern(
  const cellwall_sharedmemory_t* memory,
  wasm_store_t* store);

// A hold on what an instance exports; null if that is no shared memory.
WASM_API_EXTERN own cellwall_sharedmemory_t* cellwall_extern_as_sharedmemory(
  const wasm_extern_t* it);

///////////////////////////////////////////////////////////////////////////////
// Functions
//
// Functions of the host that know who calls them, and calls with values in place: nothing is allocated. The latter with
// numbers only; a function with references in its type is called by `wasm_func_call`.

// The instance that calls a function of the host; until that function returns.
// (struct cellwall_caller_t, declared above)

// A function of the host. The finalizer is called when nobody can call the function any more, also if this fails; then
// the answer is null.
WASM_API_EXTERN own wasm_func_t* cellwall_func_new(
  wasm_store_t* store,
  const wasm_functype_t* type,
  cellwall_func_callback_t callback,
  void* env,
  cellwall_finalizer_t finalizer);

// The store of the call. Belongs to the caller.
WASM_API_EXTERN const wasm_store_t* cellwall_caller_store(const cellwall_caller_t* caller);

// What the calling instance exports by this name; null if there is no such thing, or the host itself called.
WASM_API_EXTERN own wasm_extern_t* cellwall_caller_export(
  const cellwall_caller_t* caller,
  const wasm_name_t* name);

typedef union cellwall_raw_t {
  int32_t i32;
  int64_t i64;
  float32_t f32;
  float64_t f64;
} cellwall_raw_t;

// Whether it can be called so: at most 8 parameters and 8 results, and all of them numbers.
WASM_API_EXTERN bool cellwall_func_is_raw(const wasm_func_t* func);

// Calls it with the first `values` as arguments, by its type; the results are the first ones afterwards. `size` is at
// least the number of parameters and of results. Null, or the trap that it ended with.
WASM_API_EXTERN own wasm_trap_t* cellwall_func_call_raw(
  const wasm_func_t* func,
  cellwall_raw_t* values,
  size_t size);

///////////////////////////////////////////////////////////////////////////////
// Traps
//
// What the standard lacks of them.

enum cellwall_trap_code_enum {
  CELLWALL_TRAP_NONE = 0,  // not a trap of guest code
  CELLWALL_TRAP_STACK_OVERFLOW = 1,  // the stack is used up
  CELLWALL_TRAP_MEMORY_OUT_OF_BOUNDS = 2,  // a memory access outside the memory
  CELLWALL_TRAP_TABLE_OUT_OF_BOUNDS = 3,  // a table access outside the table
  CELLWALL_TRAP_INDIRECT_CALL_TO_NULL = 4,  // a call of a null table entry
  CELLWALL_TRAP_BAD_SIGNATURE = 5,  // a call of a table entry with another signature
  CELLWALL_TRAP_INTEGER_OVERFLOW = 6,  // a quotient or converted float that does not fit
  CELLWALL_TRAP_INTEGER_DIVISION_BY_ZERO = 7,  // a division by zero
  CELLWALL_TRAP_BAD_CONVERSION_TO_INTEGER = 8,  // a conversion of NaN to an integer
  CELLWALL_TRAP_UNREACHABLE = 9,  // an `unreachable` instruction
  CELLWALL_TRAP_INTERRUPT = 10,  // the embedder interrupted the call
  CELLWALL_TRAP_NULL_REFERENCE = 11,  // a null reference where a value was needed
};

// Which trap of guest code it is, one of the enumeration above.
WASM_API_EXTERN uint8_t cellwall_trap_code(const wasm_trap_t* trap);

// The status with which the program ended itself, if that is what happened.
WASM_API_EXTERN bool cellwall_trap_exit_status(const wasm_trap_t* trap, int32_t* out);

// The name of its function, from the name section; null without one. Belongs to the frame.
WASM_API_EXTERN const wasm_name_t* cellwall_frame_func_name(const wasm_frame_t* frame);

// The name of its module, from the name section; null without one. Belongs to the frame.
WASM_API_EXTERN const wasm_name_t* cellwall_frame_module_name(const wasm_frame_t* frame);

///////////////////////////////////////////////////////////////////////////////
// Linkers
//
// Definitions by names, from which modules are instantiated.

// Definitions by names.
// (struct cellwall_linker_t, declared above)

// A linker without definitions.
WASM_API_EXTERN own cellwall_linker_t* cellwall_linker_new(const wasm_engine_t* engine);

// Deletes it; null is fine.
WASM_API_EXTERN void cellwall_linker_delete(own cellwall_linker_t* linker);

// Whether a name may be defined twice; the last definition is used then.
WASM_API_EXTERN void cellwall_linker_allow_shadowing(cellwall_linker_t* linker, bool allow);

// Defines something of a store; the linker can be used with that store only from then on.
WASM_API_EXTERN own cellwall_error_t* cellwall_linker_define(
  cellwall_linker_t* linker,
  wasm_store_t* store,
  const wasm_name_t* module,
  const wasm_name_t* name,
  const wasm_extern_t* item);

// Defines a function of the host, for every store. The finalizer is called when nobody can call the function any more,
// also if this fails.
WASM_API_EXTERN own cellwall_error_t* cellwall_linker_define_func(
  cellwall_linker_t* linker,
  const wasm_name_t* module,
  const wasm_name_t* name,
  const wasm_functype_t* type,
  wasm_func_callback_with_env_t callback,
  void* env,
  cellwall_finalizer_t finalizer);

// Likewise, a function that knows who calls it.
WASM_API_EXTERN own cellwall_error_t* cellwall_linker_define_func_with_caller(
  cellwall_linker_t* linker,
  const wasm_name_t* module,
  const wasm_name_t* name,
  const wasm_functype_t* type,
  cellwall_func_callback_t callback,
  void* env,
  cellwall_finalizer_t finalizer);

// Defines all exports of an instance under one module name.
WASM_API_EXTERN own cellwall_error_t* cellwall_linker_define_instance(
  cellwall_linker_t* linker,
  wasm_store_t* store,
  const wasm_name_t* module,
  const wasm_instance_t* instance);

// Defines all exports of a module under one name. A reactor is instantiated now, and its `_initialize` is called; a
// command, which has `_start`, anew for each call.
WASM_API_EXTERN own cellwall_error_t* cellwall_linker_define_module(
  cellwall_linker_t* linker,
  wasm_store_t* store,
  const wasm_name_t* name,
  const wasm_module_t* module);

// Defines each function that the module imports and that is not defined as one that traps.
WASM_API_EXTERN own cellwall_error_t* cellwall_linker_define_unknown_imports_as_traps(
  cellwall_linker_t* linker,
  const wasm_module_t* module);

// The function to run of a module defined by `cellwall_linker_define_module`: `_start`, or the export without a name.
WASM_API_EXTERN own cellwall_error_t* cellwall_linker_get_default(
  const cellwall_linker_t* linker,
  wasm_store_t* store,
  const wasm_name_t* name,
  own wasm_func_t** out);

// Defines all functions of WASI 0.1. A store without `cellwall_store_wasi_set` has no grant.
WASM_API_EXTERN own cellwall_error_t* cellwall_linker_define_wasi(cellwall_linker_t* linker);

// What these names stand for; null if for nothing.
WASM_API_EXTERN own wasm_extern_t* cellwall_linker_get(
  const cellwall_linker_t* linker,
  wasm_store_t* store,
  const wasm_name_t* module,
  const wasm_name_t* name);

// Makes an instance and runs its start function. Of error, trap and instance exactly one is there afterwards.
WASM_API_EXTERN own cellwall_error_t* cellwall_linker_instantiate(
  const cellwall_linker_t* linker,
  wasm_store_t* store,
  const wasm_module_t* module,
  own wasm_instance_t** out,
  own wasm_trap_t** trap);

#undef own

#ifdef __cplusplus
}  // extern "C"
#endif

#endif  // CELLWALL_H
