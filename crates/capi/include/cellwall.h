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
typedef struct cellwall_source_t cellwall_source_t;
typedef struct cellwall_exn_t cellwall_exn_t;
typedef struct cellwall_linker_t cellwall_linker_t;
typedef struct cellwall_instance_pre_t cellwall_instance_pre_t;
typedef struct cellwall_component_t cellwall_component_t;
typedef struct cellwall_component_export_index_t cellwall_component_export_index_t;
typedef struct cellwall_component_type_t cellwall_component_type_t;
typedef struct cellwall_component_instance_type_t cellwall_component_instance_type_t;
typedef struct cellwall_component_item_t cellwall_component_item_t;
typedef struct cellwall_component_func_type_t cellwall_component_func_type_t;
typedef struct cellwall_component_valtype_t cellwall_component_valtype_t;
typedef struct cellwall_component_vallist_t cellwall_component_vallist_t;
typedef struct cellwall_component_valrecord_t cellwall_component_valrecord_t;
typedef struct cellwall_component_valtuple_t cellwall_component_valtuple_t;
typedef struct cellwall_component_valflags_t cellwall_component_valflags_t;
typedef struct cellwall_component_valmap_t cellwall_component_valmap_t;
typedef struct cellwall_component_valvariant_t cellwall_component_valvariant_t;
typedef struct cellwall_component_valresult_t cellwall_component_valresult_t;
typedef struct cellwall_component_val_t cellwall_component_val_t;
typedef struct cellwall_component_valrecord_entry_t cellwall_component_valrecord_entry_t;
typedef struct cellwall_component_valmap_entry_t cellwall_component_valmap_entry_t;
typedef struct cellwall_component_resource_type_t cellwall_component_resource_type_t;
typedef struct cellwall_component_resource_any_t cellwall_component_resource_any_t;
typedef struct cellwall_component_resource_host_t cellwall_component_resource_host_t;
typedef struct cellwall_component_linker_t cellwall_component_linker_t;
typedef struct cellwall_component_instance_pre_t cellwall_component_instance_pre_t;
typedef struct cellwall_component_linker_instance_t cellwall_component_linker_instance_t;
typedef struct cellwall_component_instance_t cellwall_component_instance_t;
typedef struct cellwall_component_func_t cellwall_component_func_t;

// A function of the host with the data that it was made with. The results are zeros and nulls of their types
// at first; references among them become the callee's. Null, or the trap that it ends with.
typedef own wasm_trap_t* (*cellwall_func_callback_t)(
  void* env,
  cellwall_caller_t* caller,
  const wasm_val_t* args,
  size_t args_count,
  wasm_val_t* results,
  size_t results_count);

// A function of the host that components call. The store and the type are there until it returns; the
// arguments stay the caller's. The results are `false` at first; those that it writes become the caller's.
// Null, or the error that it ends with.
typedef own cellwall_error_t* (*cellwall_component_func_callback_t)(
  void* env,
  wasm_store_t* store,
  const cellwall_component_func_type_t* type,
  const cellwall_component_val_t* args,
  size_t args_count,
  cellwall_component_val_t* results,
  size_t results_count);

// The destructor of a resource of the host. Null, or the error that it ends with.
typedef own cellwall_error_t* (*cellwall_component_resource_destructor_t)(
  void* env,
  wasm_store_t* store,
  uint32_t rep);

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

// An error with this message, for a function of the host to end with; null if it is not UTF-8.
WASM_API_EXTERN own cellwall_error_t* cellwall_error_new(const char* message);

// Which trap of guest code it is, one of `cellwall_trap_code`.
WASM_API_EXTERN uint8_t cellwall_error_trap_code(const cellwall_error_t* error);

// The status with which a program of WASI ended itself, if that is what happened.
WASM_API_EXTERN bool cellwall_error_exit_status(const cellwall_error_t* error, int32_t* out);

// The guest frames of a call of a component that failed, the innermost first; none of other errors.
WASM_API_EXTERN void cellwall_error_wasm_trace(
  const cellwall_error_t* error,
  own wasm_frame_vec_t* out);

// What a function of the host that components call answers where it cannot even make an error: always the same, nobody's, and
// for nothing else. The call fails.
WASM_API_EXTERN cellwall_error_t* cellwall_error_unsaid(void);

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

// Bytes of address space reserved for each memory with 64-bit addresses; 16 GiB by default. None grows beyond it.
WASM_API_EXTERN void cellwall_config_memory64_reservation_set(
  wasm_config_t* config,
  uint64_t bytes);

// Whether modules may have several memories; they may by default.
WASM_API_EXTERN void cellwall_config_wasm_multi_memory_set(wasm_config_t* config, bool enable);

// Whether modules may have memories and tables with 64-bit indexes; they may by default.
WASM_API_EXTERN void cellwall_config_wasm_memory64_set(wasm_config_t* config, bool enable);

// Whether modules may have shared memories; they may by default.
WASM_API_EXTERN void cellwall_config_wasm_threads_set(wasm_config_t* config, bool enable);

// Whether modules may have memories with pages of one byte; they may by default.
WASM_API_EXTERN void cellwall_config_wasm_custom_page_sizes_set(wasm_config_t* config, bool enable);

// Whether relaxed vector instructions do the same on every processor, which takes more instructions; not by default.
WASM_API_EXTERN void cellwall_config_wasm_relaxed_simd_deterministic_set(
  wasm_config_t* config,
  bool enable);

// Whether names in components may say which interface they implement; they may by default.
WASM_API_EXTERN void cellwall_config_wasm_component_model_implements_set(
  wasm_config_t* config,
  bool enable);

// Whether floating-point operators give the canonical NaN wherever they give one; not by default.
WASM_API_EXTERN void cellwall_config_nan_canonicalization_set(wasm_config_t* config, bool enable);

// Whether code may use a feature of the processor: `popcnt`, `lzcnt`, `bmi1`, `bmi2`, `avx`, `avx2` or `fma`. All that it
// has by default; what it lacks is never used.
WASM_API_EXTERN own cellwall_error_t* cellwall_config_cpu_feature_set(
  wasm_config_t* config,
  const char* name,
  bool enable);

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
// What a program with WASI 0.1 or 0.2 is granted: nothing but clocks and random numbers unless it is said here.

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

// Grants to listen at an address, `ADDR[:PORT]`, as `cellwall run --listen` does; here and below only with WASI 0.2.
WASM_API_EXTERN own cellwall_error_t* cellwall_wasi_config_allow_listen(
  cellwall_wasi_config_t* config,
  const char* address);

// Grants to connect and to send datagrams to a host, `HOST[:PORT]`, or a network, `CIDR[:PORT]`; and to look up a name that
// is granted so.
WASM_API_EXTERN own cellwall_error_t* cellwall_wasi_config_allow_connect(
  cellwall_wasi_config_t* config,
  const char* host);

// Grants HTTP requests to a host, `HOST[:PORT]`. They need no other grant.
WASM_API_EXTERN own cellwall_error_t* cellwall_wasi_config_allow_http(
  cellwall_wasi_config_t* config,
  const char* host);

// Whether any name may be looked up; by default only those that are granted by name.
WASM_API_EXTERN void cellwall_wasi_config_allow_ip_name_lookup(
  cellwall_wasi_config_t* config,
  bool allow);

// Whether there may be TCP sockets, for what else is granted; by default there may.
WASM_API_EXTERN void cellwall_wasi_config_allow_tcp(cellwall_wasi_config_t* config, bool allow);

// Whether there may be UDP sockets, for what else is granted; by default there may.
WASM_API_EXTERN void cellwall_wasi_config_allow_udp(cellwall_wasi_config_t* config, bool allow);

// Grants all addresses and names. HTTP requests have a grant of their own.
WASM_API_EXTERN void cellwall_wasi_config_inherit_network(cellwall_wasi_config_t* config);

// Whether a call of the guest may keep its thread waiting; by default it may.
WASM_API_EXTERN void cellwall_wasi_config_allow_blocking(
  cellwall_wasi_config_t* config,
  bool allow);

// How many descriptors a program may have open at once; 1024 by default.
WASM_API_EXTERN void cellwall_wasi_config_max_descriptors(
  cellwall_wasi_config_t* config,
  size_t count);

// How many sockets a program may have at once; 4096 by default.
WASM_API_EXTERN void cellwall_wasi_config_max_sockets(cellwall_wasi_config_t* config, size_t count);

// How many bytes a program may make the host keep for `wasi:http` at once; 64 MiB by default.
WASM_API_EXTERN void cellwall_wasi_config_max_http_bytes(
  cellwall_wasi_config_t* config,
  size_t bytes);

///////////////////////////////////////////////////////////////////////////////
// Engines and stores
//
// What the standard lacks of them.

// Stops every call of guest code that is now running in this engine, on whatever thread, with a trap whose code is
// `CELLWALL_TRAP_INTERRUPT`; also those that sleep or read in WASI. May be called from any thread.
WASM_API_EXTERN void cellwall_engine_interrupt(const wasm_engine_t* engine);

// Stops the call of guest code that is now running in this store, and no other, likewise. A store that was interrupted is
// of no further use. May be called from any thread; one that has the store for itself is not waited for.
WASM_API_EXTERN void cellwall_store_interrupt(const wasm_store_t* store);

// Limits what guests can make the store grow to, and how much the host makes in it; a negative number is no limit, which
// is the default.
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

// Writes 16 bytes to a descriptor whenever a signal has arrived and the program's handler of it has run: its number, and the
// time in nanoseconds of `CLOCK_MONOTONIC`, both as `int64_t`. A thread that reads there can stop guests on it, which a
// handler cannot; the time says which calls had begun. A handler that is put in later is to be
// tapped again; a negative descriptor ends it. False if the program has no handler of this signal. May be called from any
// thread.
WASM_API_EXTERN bool cellwall_signal_tap(int32_t signal, int32_t descriptor);

///////////////////////////////////////////////////////////////////////////////
// Values
//
// Kinds that `wasm.h` does not know. A vector has no field there: such a value owns its bytes, as others own their reference:
// `wasm_val_copy` copies them, `wasm_val_delete` deletes them.

enum cellwall_valkind_enum {
  CELLWALL_V128 = 4,  // the kind of vectors, in values and value types
  CELLWALL_EXNREF = 130,  // the kind of references to exceptions, whose `of.ref` is one of `cellwall_exn_as_ref` or null
  CELLWALL_ANYREF = 131,  // the kind of references to numbers of 31 bits, whose `of.ref` is one of `cellwall_i31_new` or null
};

// Makes it a vector of these 16 bytes, the first lane first. What it was before is not deleted.
WASM_API_EXTERN void cellwall_val_set_v128(wasm_val_t* out, const uint8_t* bytes);

// Copies the 16 bytes of a vector; false if it is none.
WASM_API_EXTERN bool cellwall_val_v128(const wasm_val_t* value, uint8_t* bytes);

// A reference to the low 31 bits of a number, for values of the kind `CELLWALL_ANYREF`.
WASM_API_EXTERN own wasm_ref_t* cellwall_i31_new(wasm_store_t* store, uint32_t number);

// The number that it refers to, without a sign; false if it refers to something else.
WASM_API_EXTERN bool cellwall_ref_i31(const wasm_ref_t* ref, uint32_t* number);

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

// Bytes of a page: 65,536, or 1. All sizes of such a memory are in pages of its own.
WASM_API_EXTERN uint64_t cellwall_memorytype_page_size(const wasm_memorytype_t* type);

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

// Its type.
WASM_API_EXTERN own wasm_memorytype_t* cellwall_sharedmemory_type(
  const cellwall_sharedmemory_t* memory);

// Its size in pages.
WASM_API_EXTERN uint64_t cellwall_sharedmemory_size(const cellwall_sharedmemory_t* memory);

// Whether both are holds on the same memory.
WASM_API_EXTERN bool cellwall_sharedmemory_same(
  const cellwall_sharedmemory_t* a,
  const cellwall_sharedmemory_t* b);

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

enum cellwall_wait_result_enum {
  CELLWALL_WAIT_OK = 0,  // somebody notified the address
  CELLWALL_WAIT_MISMATCH = 1,  // the value was not the expected one
  CELLWALL_WAIT_TIMED_OUT = 2,  // the time was over
};

// Wakes at most `count` of those that wait at an address, guests and others, as `memory.atomic.notify`; `woken`, if not
// null, is how many. An error if the address is not a multiple of 4 or not inside.
WASM_API_EXTERN own cellwall_error_t* cellwall_sharedmemory_atomic_notify(
  const cellwall_sharedmemory_t* memory,
  uint64_t address,
  uint32_t count,
  uint32_t* woken);

// Waits until another thread notifies the address, as `memory.atomic.wait32`; a negative time is for ever. `result`, if
// not null, is one of `cellwall_wait_result`. An error if the address is not a multiple of 4 or not inside.
WASM_API_EXTERN own cellwall_error_t* cellwall_sharedmemory_atomic_wait32(
  const cellwall_sharedmemory_t* memory,
  uint64_t address,
  uint32_t expected,
  int64_t nanoseconds,
  uint8_t* result);

// Likewise, of 8 bytes, as `memory.atomic.wait64`.
WASM_API_EXTERN own cellwall_error_t* cellwall_sharedmemory_atomic_wait64(
  const cellwall_sharedmemory_t* memory,
  uint64_t address,
  uint64_t expected,
  int64_t nanoseconds,
  uint8_t* result);

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
  CELLWALL_TRAP_HEAP_MISALIGNED = 12,  // an atomic access whose address is no multiple of its width
  CELLWALL_TRAP_ATOMIC_WAIT_NON_SHARED_MEMORY = 13,  // a wait on a memory that is not shared
  CELLWALL_TRAP_NULL_I31_REF = 14,  // a null reference where a number of 31 bits was needed
  CELLWALL_TRAP_CAST_FAILURE = 15,  // a cast of a reference to a type that it is not of
};

// What a function of the host answers where it cannot even make a trap: always the same, nobody's, and for nothing else. The
// call fails.
WASM_API_EXTERN wasm_trap_t* cellwall_trap_unsaid(void);

// Which trap of guest code it is, one of the enumeration above.
WASM_API_EXTERN uint8_t cellwall_trap_code(const wasm_trap_t* trap);

// The status with which the program ended itself, if that is what happened.
WASM_API_EXTERN bool cellwall_trap_exit_status(const wasm_trap_t* trap, int32_t* out);

// The name of its function, from the name section; null without one. Belongs to the frame.
WASM_API_EXTERN const wasm_name_t* cellwall_frame_func_name(const wasm_frame_t* frame);

// The name of its module, from the name section; null without one. Belongs to the frame.
WASM_API_EXTERN const wasm_name_t* cellwall_frame_module_name(const wasm_frame_t* frame);

struct cellwall_source_t {
  const wasm_name_t* func;  // the function, as the module's DWARF has it (not demangled); null if it does not say
  const wasm_name_t* file;  // the file; null if it does not say
  uint32_t line;  // the line, from 1; 0 if it does not say
  uint32_t column;  // the column, from 1; 0 if it does not say
};

// Where in the source its instruction is, from the module's DWARF. At depth 0 is the innermost inlined function, at the
// next one who called it, and so on; false beyond, and without DWARF. The names belong to the frame.
WASM_API_EXTERN bool cellwall_frame_source(
  const wasm_frame_t* frame,
  size_t depth,
  cellwall_source_t* out);

///////////////////////////////////////////////////////////////////////////////
// Exceptions
//
// Tags and exceptions, which `wasm.h` knows as types only. An exception that nobody in the guest catches ends the call
// with a trap that has it: `cellwall_trap_exn`. A function of the host that ends with this trap hands it on to its own
// guest; one that ends with `cellwall_exn_throw` throws an exception of its own. A store keeps the exceptions that the
// host has seen for as long as it lives.

// An exception in a store: a tag, and values of the tag's types.
// (struct cellwall_exn_t, declared above)

// A tag of the host, to be imported; an external of kind `WASM_EXTERN_TAG`. `wasm_extern_same` says whether two are the
// same; the types of tags have no results.
WASM_API_EXTERN own cellwall_error_t* cellwall_tag_new(
  wasm_store_t* store,
  const wasm_tagtype_t* type,
  own wasm_extern_t** out);

// An exception with this tag and copies of these values; null is none.
WASM_API_EXTERN own cellwall_error_t* cellwall_exn_new(
  wasm_store_t* store,
  const wasm_extern_t* tag,
  const wasm_val_vec_t* fields,
  own cellwall_exn_t** out);

// Deletes the reference; null is fine.
WASM_API_EXTERN void cellwall_exn_delete(own cellwall_exn_t* exn);

// Another reference to the same exception.
WASM_API_EXTERN own cellwall_exn_t* cellwall_exn_copy(const cellwall_exn_t* exn);

// It as a reference, for values of the kind `CELLWALL_EXNREF`. Still the exception's.
WASM_API_EXTERN wasm_ref_t* cellwall_exn_as_ref(cellwall_exn_t* exn);

// The reference as an exception; null if it is to something else. Still the reference's.
WASM_API_EXTERN cellwall_exn_t* cellwall_ref_as_exn(wasm_ref_t* ref);

// Its tag.
WASM_API_EXTERN own wasm_extern_t* cellwall_exn_tag(const cellwall_exn_t* exn);

// Its values.
WASM_API_EXTERN void cellwall_exn_fields(const cellwall_exn_t* exn, own wasm_val_vec_t* out);

// What a function of the host ends with to throw the exception in the guest that called it.
WASM_API_EXTERN own wasm_trap_t* cellwall_exn_throw(const cellwall_exn_t* exn);

// The exception that the call ended with; null if it ended with something else.
WASM_API_EXTERN own cellwall_exn_t* cellwall_trap_exn(const wasm_trap_t* trap);

///////////////////////////////////////////////////////////////////////////////
// Linkers
//
// Definitions by names, from which modules are instantiated.

// Definitions by names.
// (struct cellwall_linker_t, declared above)

// A module with the imports that a linker found for it, to make many instances from. Threads may share it.
// (struct cellwall_instance_pre_t, declared above)

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

// Finds the imports of a module and compares their types, once for many instances.
WASM_API_EXTERN own cellwall_error_t* cellwall_linker_instantiate_pre(
  const cellwall_linker_t* linker,
  const wasm_module_t* module,
  own cellwall_instance_pre_t** out);

// Makes an instance and runs its start function, as `cellwall_linker_instantiate`. In any store of the engine, if the
// linker's definitions belong to none.
WASM_API_EXTERN own cellwall_error_t* cellwall_instance_pre_instantiate(
  const cellwall_instance_pre_t* pre,
  wasm_store_t* store,
  own wasm_instance_t** out,
  own wasm_trap_t** trap);

// Another hold on the same.
WASM_API_EXTERN own cellwall_instance_pre_t* cellwall_instance_pre_copy(
  const cellwall_instance_pre_t* pre);

// Deletes it; null is fine. Instances live on.
WASM_API_EXTERN void cellwall_instance_pre_delete(own cellwall_instance_pre_t* pre);

// Defines under new names what is defined under `module` and `name`.
WASM_API_EXTERN own cellwall_error_t* cellwall_linker_alias(
  cellwall_linker_t* linker,
  const wasm_name_t* module,
  const wasm_name_t* name,
  const wasm_name_t* as_module,
  const wasm_name_t* as_name);

// Defines under a new module name all that is defined under `module`.
WASM_API_EXTERN own cellwall_error_t* cellwall_linker_alias_module(
  cellwall_linker_t* linker,
  const wasm_name_t* module,
  const wasm_name_t* as_module);

///////////////////////////////////////////////////////////////////////////////
// Components
//
// Modules with interfaces, linked in types. As everything that has no store, a component is of an engine and can be used
// from any thread. Names are passed with their length and need no zero at the end.

// A compiled component.
// (struct cellwall_component_t, declared above)

// Where an export is: found once by name, then used without looking for it again.
// (struct cellwall_component_export_index_t, declared above)

// Compiles a component in the binary or the text format.
WASM_API_EXTERN own cellwall_error_t* cellwall_component_new(
  const wasm_engine_t* engine,
  const uint8_t* bytes,
  size_t length,
  own cellwall_component_t** out);

// Whether bytes are a valid component in the binary format; compiles nothing.
WASM_API_EXTERN own cellwall_error_t* cellwall_component_validate(
  const wasm_engine_t* engine,
  const uint8_t* bytes,
  size_t length);

// The compiled component as bytes.
WASM_API_EXTERN own cellwall_error_t* cellwall_component_serialize(
  const cellwall_component_t* component,
  own wasm_byte_vec_t* out);

// The component from such bytes, from wherever they come: the machine code is proven before it can run, so any bytes may
// be given.
WASM_API_EXTERN own cellwall_error_t* cellwall_component_deserialize(
  const wasm_engine_t* engine,
  const uint8_t* bytes,
  size_t length,
  own cellwall_component_t** out);

// Likewise, from a file; such as `cellwall compile` writes.
WASM_API_EXTERN own cellwall_error_t* cellwall_component_deserialize_file(
  const wasm_engine_t* engine,
  const char* path,
  own cellwall_component_t** out);

// Another hold on the same component; it costs nothing.
WASM_API_EXTERN own cellwall_component_t* cellwall_component_clone(
  const cellwall_component_t* component);

// Deletes this hold on it; null is fine. Instances live on.
WASM_API_EXTERN void cellwall_component_delete(own cellwall_component_t* component);

// What it imports and exports.
WASM_API_EXTERN own cellwall_component_type_t* cellwall_component_type(
  const cellwall_component_t* component);

// Finds an export by name, or by a compatible version of its name; null if there is none. `instance` is the exported
// instance in which to look, found before; null is the root. The index is good for all instances of the component.
WASM_API_EXTERN own cellwall_component_export_index_t* cellwall_component_get_export_index(
  const cellwall_component_t* component,
  const cellwall_component_export_index_t* instance,
  const char* name,
  size_t name_len);

// A copy.
WASM_API_EXTERN own cellwall_component_export_index_t* cellwall_component_export_index_clone(
  const cellwall_component_export_index_t* index);

// Deletes it; null is fine.
WASM_API_EXTERN void cellwall_component_export_index_delete(
  own cellwall_component_export_index_t* index);

///////////////////////////////////////////////////////////////////////////////
// Types of components
//
// What components import and export, and the types of values. Everything that is reached from a type belongs to that type
// and is there as long as it is. Names are not ended by a zero. Where an answer is false or null nothing is written.

// What a component imports and exports.
// (struct cellwall_component_type_t, declared above)

// What an instance exports.
// (struct cellwall_component_instance_type_t, declared above)

// The type of something imported or exported.
// (struct cellwall_component_item_t, declared above)

// The type of a function: parameters with names, and at most one result.
// (struct cellwall_component_func_type_t, declared above)

// The type of a value.
// (struct cellwall_component_valtype_t, declared above)

enum cellwall_component_item_kind_enum {
  CELLWALL_COMPONENT_ITEM_COMPONENT = 0,  // a component
  CELLWALL_COMPONENT_ITEM_COMPONENT_INSTANCE = 1,  // an instance, with items of its own
  CELLWALL_COMPONENT_ITEM_MODULE = 2,  // a core module
  CELLWALL_COMPONENT_ITEM_COMPONENT_FUNC = 3,  // a function
  CELLWALL_COMPONENT_ITEM_RESOURCE = 4,  // a resource
  CELLWALL_COMPONENT_ITEM_TYPE = 6,  // a type; of values, or of something else
};

enum cellwall_component_valtype_kind_enum {
  CELLWALL_COMPONENT_VALTYPE_BOOL = 0,  // `bool`
  CELLWALL_COMPONENT_VALTYPE_S8 = 1,  // `s8`
  CELLWALL_COMPONENT_VALTYPE_S16 = 2,  // `s16`
  CELLWALL_COMPONENT_VALTYPE_S32 = 3,  // `s32`
  CELLWALL_COMPONENT_VALTYPE_S64 = 4,  // `s64`
  CELLWALL_COMPONENT_VALTYPE_U8 = 5,  // `u8`
  CELLWALL_COMPONENT_VALTYPE_U16 = 6,  // `u16`
  CELLWALL_COMPONENT_VALTYPE_U32 = 7,  // `u32`
  CELLWALL_COMPONENT_VALTYPE_U64 = 8,  // `u64`
  CELLWALL_COMPONENT_VALTYPE_F32 = 9,  // `f32`
  CELLWALL_COMPONENT_VALTYPE_F64 = 10,  // `f64`
  CELLWALL_COMPONENT_VALTYPE_CHAR = 11,  // `char`
  CELLWALL_COMPONENT_VALTYPE_STRING = 12,  // `string`
  CELLWALL_COMPONENT_VALTYPE_LIST = 13,  // `list<t>`, of fixed length or not
  CELLWALL_COMPONENT_VALTYPE_RECORD = 14,  // `record`
  CELLWALL_COMPONENT_VALTYPE_TUPLE = 15,  // `tuple`
  CELLWALL_COMPONENT_VALTYPE_VARIANT = 16,  // `variant`
  CELLWALL_COMPONENT_VALTYPE_ENUM = 17,  // `enum`
  CELLWALL_COMPONENT_VALTYPE_OPTION = 18,  // `option<t>`
  CELLWALL_COMPONENT_VALTYPE_RESULT = 19,  // `result<t, e>`
  CELLWALL_COMPONENT_VALTYPE_FLAGS = 20,  // `flags`
  CELLWALL_COMPONENT_VALTYPE_OWN = 21,  // `own<r>`, a resource that is given away
  CELLWALL_COMPONENT_VALTYPE_BORROW = 22,  // `borrow<r>`, a resource that is lent
  CELLWALL_COMPONENT_VALTYPE_ERROR_CONTEXT = 25,  // `error-context`
  CELLWALL_COMPONENT_VALTYPE_MAP = 26,  // `map<k, v>`
};

// Deletes it; null is fine.
WASM_API_EXTERN void cellwall_component_type_delete(own cellwall_component_type_t* type);

// How many things it imports.
WASM_API_EXTERN size_t cellwall_component_type_import_count(const cellwall_component_type_t* type);

// One of them, in order; false if there are not so many. What is null is not asked for.
WASM_API_EXTERN bool cellwall_component_type_import_nth(
  const cellwall_component_type_t* type,
  size_t nth,
  const char** name,
  size_t* name_len,
  const cellwall_component_item_t** item);

// What it imports by this name; null if nothing.
WASM_API_EXTERN const cellwall_component_item_t* cellwall_component_type_import_get(
  const cellwall_component_type_t* type,
  const char* name,
  size_t name_len);

// How many things it exports.
WASM_API_EXTERN size_t cellwall_component_type_export_count(const cellwall_component_type_t* type);

// One of them, in order, likewise.
WASM_API_EXTERN bool cellwall_component_type_export_nth(
  const cellwall_component_type_t* type,
  size_t nth,
  const char** name,
  size_t* name_len,
  const cellwall_component_item_t** item);

// What it exports by this name; null if nothing.
WASM_API_EXTERN const cellwall_component_item_t* cellwall_component_type_export_get(
  const cellwall_component_type_t* type,
  const char* name,
  size_t name_len);

// Deletes it, if it is not an item's; null is fine.
WASM_API_EXTERN void cellwall_component_instance_type_delete(
  own cellwall_component_instance_type_t* type);

// How many things it exports.
WASM_API_EXTERN size_t cellwall_component_instance_type_export_count(
  const cellwall_component_instance_type_t* type);

// One of them, in order, likewise.
WASM_API_EXTERN bool cellwall_component_instance_type_export_nth(
  const cellwall_component_instance_type_t* type,
  size_t nth,
  const char** name,
  size_t* name_len,
  const cellwall_component_item_t** item);

// What it exports by this name; null if nothing.
WASM_API_EXTERN const cellwall_component_item_t* cellwall_component_instance_type_export_get(
  const cellwall_component_instance_type_t* type,
  const char* name,
  size_t name_len);

// What it is, one of `cellwall_component_item_kind`; 255 for null.
WASM_API_EXTERN uint8_t cellwall_component_item_kind(const cellwall_component_item_t* item);

// Its type as a function; null if it is something else.
WASM_API_EXTERN const cellwall_component_func_type_t* cellwall_component_item_func(
  const cellwall_component_item_t* item);

// Its type as an instance; null if it is something else.
WASM_API_EXTERN const cellwall_component_instance_type_t* cellwall_component_item_instance(
  const cellwall_component_item_t* item);

// The type of values that it is; null if it is something else.
WASM_API_EXTERN const cellwall_component_valtype_t* cellwall_component_item_type(
  const cellwall_component_item_t* item);

// The resource type that it is; null if it is something else.
WASM_API_EXTERN const cellwall_component_resource_type_t* cellwall_component_item_resource(
  const cellwall_component_item_t* item);

// A number that no other type object of this process has or had: by it a function of the host that is called with a type
// again and again knows what it has looked at already.
WASM_API_EXTERN uint64_t cellwall_component_func_type_id(
  const cellwall_component_func_type_t* type);

// A copy that is the caller's.
WASM_API_EXTERN own cellwall_component_func_type_t* cellwall_component_func_type_clone(
  const cellwall_component_func_type_t* type);

// Deletes it, if it is not an item's; null is fine.
WASM_API_EXTERN void cellwall_component_func_type_delete(own cellwall_component_func_type_t* type);

// How many parameters it has.
WASM_API_EXTERN size_t cellwall_component_func_type_param_count(
  const cellwall_component_func_type_t* type);

// One of them, with its name; false if there are not so many. What is null is not asked for.
WASM_API_EXTERN bool cellwall_component_func_type_param_nth(
  const cellwall_component_func_type_t* type,
  size_t nth,
  const char** name,
  size_t* name_len,
  const cellwall_component_valtype_t** param);

// The type of its result; null if it has none.
WASM_API_EXTERN const cellwall_component_valtype_t* cellwall_component_func_type_result(
  const cellwall_component_func_type_t* type);

// Its kind, one of `cellwall_component_valtype_kind`; 255 for null.
WASM_API_EXTERN uint8_t cellwall_component_valtype_kind(const cellwall_component_valtype_t* type);

// A copy that is the caller's.
WASM_API_EXTERN own cellwall_component_valtype_t* cellwall_component_valtype_clone(
  const cellwall_component_valtype_t* type);

// Deletes it, if it is nobody's part; null is fine.
WASM_API_EXTERN void cellwall_component_valtype_delete(own cellwall_component_valtype_t* type);

// Whether both are the same type.
WASM_API_EXTERN bool cellwall_component_valtype_equal(
  const cellwall_component_valtype_t* a,
  const cellwall_component_valtype_t* b);

// The type of a list's elements; null if it is no list.
WASM_API_EXTERN const cellwall_component_valtype_t* cellwall_component_list_type_element(
  const cellwall_component_valtype_t* type);

// How long a list of fixed length is; false if it is none.
WASM_API_EXTERN bool cellwall_component_list_type_length(
  const cellwall_component_valtype_t* type,
  uint32_t* length);

// The type of a map's keys; null if it is no map.
WASM_API_EXTERN const cellwall_component_valtype_t* cellwall_component_map_type_key(
  const cellwall_component_valtype_t* type);

// The type of a map's values; null if it is no map.
WASM_API_EXTERN const cellwall_component_valtype_t* cellwall_component_map_type_value(
  const cellwall_component_valtype_t* type);

// How many fields a record has; 0 if it is no record.
WASM_API_EXTERN size_t cellwall_component_record_type_field_count(
  const cellwall_component_valtype_t* type);

// One of them, in order.
WASM_API_EXTERN bool cellwall_component_record_type_field_nth(
  const cellwall_component_valtype_t* type,
  size_t nth,
  const char** name,
  size_t* name_len,
  const cellwall_component_valtype_t** field);

// How many fields a tuple has; 0 if it is no tuple.
WASM_API_EXTERN size_t cellwall_component_tuple_type_types_count(
  const cellwall_component_valtype_t* type);

// The type of one of them; null if there are not so many.
WASM_API_EXTERN const cellwall_component_valtype_t* cellwall_component_tuple_type_types_nth(
  const cellwall_component_valtype_t* type,
  size_t nth);

// How many cases a variant has; 0 if it is no variant.
WASM_API_EXTERN size_t cellwall_component_variant_type_case_count(
  const cellwall_component_valtype_t* type);

// One of them, in order; the payload is null if the case has none.
WASM_API_EXTERN bool cellwall_component_variant_type_case_nth(
  const cellwall_component_valtype_t* type,
  size_t nth,
  const char** name,
  size_t* name_len,
  const cellwall_component_valtype_t** payload);

// How many cases an enum has; 0 if it is no enum.
WASM_API_EXTERN size_t cellwall_component_enum_type_names_count(
  const cellwall_component_valtype_t* type);

// The name of one of them, in order.
WASM_API_EXTERN bool cellwall_component_enum_type_names_nth(
  const cellwall_component_valtype_t* type,
  size_t nth,
  const char** name,
  size_t* name_len);

// What an option is of; null if it is no option.
WASM_API_EXTERN const cellwall_component_valtype_t* cellwall_component_option_type_ty(
  const cellwall_component_valtype_t* type);

// What a result has if all went well; null if nothing, or it is no result.
WASM_API_EXTERN const cellwall_component_valtype_t* cellwall_component_result_type_ok(
  const cellwall_component_valtype_t* type);

// What a result has otherwise; null if nothing, or it is no result.
WASM_API_EXTERN const cellwall_component_valtype_t* cellwall_component_result_type_err(
  const cellwall_component_valtype_t* type);

// How many flags there are; 0 if it is no type of flags.
WASM_API_EXTERN size_t cellwall_component_flags_type_names_count(
  const cellwall_component_valtype_t* type);

// The name of one of them, in order.
WASM_API_EXTERN bool cellwall_component_flags_type_names_nth(
  const cellwall_component_valtype_t* type,
  size_t nth,
  const char** name,
  size_t* name_len);

// The type of the resource that is owned or lent; null if it is neither.
WASM_API_EXTERN const cellwall_component_resource_type_t* cellwall_component_valtype_resource(
  const cellwall_component_valtype_t* type);

///////////////////////////////////////////////////////////////////////////////
// Values of components
//
// Values of all interface types. A value owns what it points to. Those that are passed to a function of this library stay
// the caller's, except where it says `own`; results are the caller's, who deletes each by
// `cellwall_component_val_delete`. What a function does not find as its kind says (a text that is not UTF-8, a case that
// does not exist, a null) is an error of that function.

enum cellwall_component_valkind_enum {
  CELLWALL_COMPONENT_BOOL = 0,  // `boolean`
  CELLWALL_COMPONENT_S8 = 1,  // `s8`
  CELLWALL_COMPONENT_U8 = 2,  // `u8`
  CELLWALL_COMPONENT_S16 = 3,  // `s16`
  CELLWALL_COMPONENT_U16 = 4,  // `u16`
  CELLWALL_COMPONENT_S32 = 5,  // `s32`
  CELLWALL_COMPONENT_U32 = 6,  // `u32`
  CELLWALL_COMPONENT_S64 = 7,  // `s64`
  CELLWALL_COMPONENT_U64 = 8,  // `u64`
  CELLWALL_COMPONENT_F32 = 9,  // `f32`
  CELLWALL_COMPONENT_F64 = 10,  // `f64`
  CELLWALL_COMPONENT_CHAR = 11,  // `character`, a Unicode scalar value
  CELLWALL_COMPONENT_STRING = 12,  // `string`, in UTF-8
  CELLWALL_COMPONENT_LIST = 13,  // `list`
  CELLWALL_COMPONENT_RECORD = 14,  // `record`: all fields in the order of the type
  CELLWALL_COMPONENT_TUPLE = 15,  // `tuple`
  CELLWALL_COMPONENT_VARIANT = 16,  // `variant`: the name of the case and its payload, null if it has none
  CELLWALL_COMPONENT_ENUM = 17,  // `enumeration`: the name of the case
  CELLWALL_COMPONENT_OPTION = 18,  // `option`: null is none
  CELLWALL_COMPONENT_RESULT = 19,  // `result`: the value is null if there is none
  CELLWALL_COMPONENT_FLAGS = 20,  // `flags`: the names of those that are set
  CELLWALL_COMPONENT_RESOURCE = 21,  // `resource`
  CELLWALL_COMPONENT_MAP = 22,  // `map`: entries in the order in which they are passed
  CELLWALL_COMPONENT_ERROR_CONTEXT = 23,  // `string`, the message of an error context
};

// The elements of a list.
struct cellwall_component_vallist_t {
  size_t size;  // how many
  cellwall_component_val_t* data;  // the elements; null if there are none
};

// A vector of these elements, which it owns from now on.
WASM_API_EXTERN void cellwall_component_vallist_new(
  own cellwall_component_vallist_t* out,
  size_t size,
  own const cellwall_component_val_t* elements);

// An empty vector.
WASM_API_EXTERN void cellwall_component_vallist_new_empty(own cellwall_component_vallist_t* out);

// A vector whose elements the caller fills in: they are false, or empty, at first.
WASM_API_EXTERN void cellwall_component_vallist_new_uninit(
  own cellwall_component_vallist_t* out,
  size_t size);

// A copy of a vector and its elements.
WASM_API_EXTERN void cellwall_component_vallist_copy(
  own cellwall_component_vallist_t* out,
  const cellwall_component_vallist_t* from);

// Deletes a vector and its elements; it is empty then. Null is fine.
WASM_API_EXTERN void cellwall_component_vallist_delete(own cellwall_component_vallist_t* out);

// The fields of a record.
struct cellwall_component_valrecord_t {
  size_t size;  // how many
  cellwall_component_valrecord_entry_t* data;  // the elements; null if there are none
};

// A vector of these elements, which it owns from now on.
WASM_API_EXTERN void cellwall_component_valrecord_new(
  own cellwall_component_valrecord_t* out,
  size_t size,
  own const cellwall_component_valrecord_entry_t* elements);

// An empty vector.
WASM_API_EXTERN void cellwall_component_valrecord_new_empty(
  own cellwall_component_valrecord_t* out);

// A vector whose elements the caller fills in: they are false, or empty, at first.
WASM_API_EXTERN void cellwall_component_valrecord_new_uninit(
  own cellwall_component_valrecord_t* out,
  size_t size);

// A copy of a vector and its elements.
WASM_API_EXTERN void cellwall_component_valrecord_copy(
  own cellwall_component_valrecord_t* out,
  const cellwall_component_valrecord_t* from);

// Deletes a vector and its elements; it is empty then. Null is fine.
WASM_API_EXTERN void cellwall_component_valrecord_delete(own cellwall_component_valrecord_t* out);

// The fields of a tuple.
struct cellwall_component_valtuple_t {
  size_t size;  // how many
  cellwall_component_val_t* data;  // the elements; null if there are none
};

// A vector of these elements, which it owns from now on.
WASM_API_EXTERN void cellwall_component_valtuple_new(
  own cellwall_component_valtuple_t* out,
  size_t size,
  own const cellwall_component_val_t* elements);

// An empty vector.
WASM_API_EXTERN void cellwall_component_valtuple_new_empty(own cellwall_component_valtuple_t* out);

// A vector whose elements the caller fills in: they are false, or empty, at first.
WASM_API_EXTERN void cellwall_component_valtuple_new_uninit(
  own cellwall_component_valtuple_t* out,
  size_t size);

// A copy of a vector and its elements.
WASM_API_EXTERN void cellwall_component_valtuple_copy(
  own cellwall_component_valtuple_t* out,
  const cellwall_component_valtuple_t* from);

// Deletes a vector and its elements; it is empty then. Null is fine.
WASM_API_EXTERN void cellwall_component_valtuple_delete(own cellwall_component_valtuple_t* out);

// The names of flags.
struct cellwall_component_valflags_t {
  size_t size;  // how many
  wasm_name_t* data;  // the elements; null if there are none
};

// A vector of these elements, which it owns from now on.
WASM_API_EXTERN void cellwall_component_valflags_new(
  own cellwall_component_valflags_t* out,
  size_t size,
  own const wasm_name_t* elements);

// An empty vector.
WASM_API_EXTERN void cellwall_component_valflags_new_empty(own cellwall_component_valflags_t* out);

// A vector whose elements the caller fills in: they are false, or empty, at first.
WASM_API_EXTERN void cellwall_component_valflags_new_uninit(
  own cellwall_component_valflags_t* out,
  size_t size);

// A copy of a vector and its elements.
WASM_API_EXTERN void cellwall_component_valflags_copy(
  own cellwall_component_valflags_t* out,
  const cellwall_component_valflags_t* from);

// Deletes a vector and its elements; it is empty then. Null is fine.
WASM_API_EXTERN void cellwall_component_valflags_delete(own cellwall_component_valflags_t* out);

// The entries of a map.
struct cellwall_component_valmap_t {
  size_t size;  // how many
  cellwall_component_valmap_entry_t* data;  // the elements; null if there are none
};

// A vector of these elements, which it owns from now on.
WASM_API_EXTERN void cellwall_component_valmap_new(
  own cellwall_component_valmap_t* out,
  size_t size,
  own const cellwall_component_valmap_entry_t* elements);

// An empty vector.
WASM_API_EXTERN void cellwall_component_valmap_new_empty(own cellwall_component_valmap_t* out);

// A vector whose elements the caller fills in: they are false, or empty, at first.
WASM_API_EXTERN void cellwall_component_valmap_new_uninit(
  own cellwall_component_valmap_t* out,
  size_t size);

// A copy of a vector and its elements.
WASM_API_EXTERN void cellwall_component_valmap_copy(
  own cellwall_component_valmap_t* out,
  const cellwall_component_valmap_t* from);

// Deletes a vector and its elements; it is empty then. Null is fine.
WASM_API_EXTERN void cellwall_component_valmap_delete(own cellwall_component_valmap_t* out);

struct cellwall_component_valvariant_t {
  wasm_name_t discriminant;  // the name of the case
  cellwall_component_val_t* val;  // its payload, made by `cellwall_component_val_new`; null if it has none
};

struct cellwall_component_valresult_t {
  bool is_ok;  // whether all went well
  cellwall_component_val_t* val;  // what it has, made by `cellwall_component_val_new`; null if nothing
};

typedef union cellwall_component_valunion_t {
  bool boolean;
  int8_t s8;
  uint8_t u8;
  int16_t s16;
  uint16_t u16;
  int32_t s32;
  uint32_t u32;
  int64_t s64;
  uint64_t u64;
  float32_t f32;
  float64_t f64;
  uint32_t character;
  wasm_name_t string;
  cellwall_component_vallist_t list;
  cellwall_component_valrecord_t record;
  cellwall_component_valtuple_t tuple;
  cellwall_component_valvariant_t variant;
  wasm_name_t enumeration;
  cellwall_component_val_t* option;
  cellwall_component_valresult_t result;
  cellwall_component_valflags_t flags;
  cellwall_component_resource_any_t* resource;
  cellwall_component_valmap_t map;
} cellwall_component_valunion_t;

struct cellwall_component_val_t {
  uint8_t kind;  // which field of `of` it is, one of `cellwall_component_valkind`
  cellwall_component_valunion_t of;  // the value
};

struct cellwall_component_valrecord_entry_t {
  wasm_name_t name;  // the name of the field
  cellwall_component_val_t val;  // its value
};

struct cellwall_component_valmap_entry_t {
  cellwall_component_val_t key;  // the key
  cellwall_component_val_t value;  // its value
};

// Moves a value to a place of its own, for a payload: what was there is `false` then.
WASM_API_EXTERN own cellwall_component_val_t* cellwall_component_val_new(
  own cellwall_component_val_t* value);

// Deletes a value and the place that `cellwall_component_val_new` made for it; null is fine.
WASM_API_EXTERN void cellwall_component_val_free(own cellwall_component_val_t* value);

// A copy of a value and all that it owns. A resource stays one resource: both are handles of it.
WASM_API_EXTERN void cellwall_component_val_clone(
  const cellwall_component_val_t* value,
  own cellwall_component_val_t* out);

// Deletes what a value owns; it is `false` then. Null is fine. An owned resource is not dropped by it.
WASM_API_EXTERN void cellwall_component_val_delete(own cellwall_component_val_t* value);

// A list of `u8`, from bytes in a row.
WASM_API_EXTERN void cellwall_component_vallist_new_bytes(
  own cellwall_component_vallist_t* out,
  size_t size,
  const uint8_t* bytes);

// The bytes of a list of `u8`, in a row; false, and nothing is written, if it is no such list, or not of this size.
WASM_API_EXTERN bool cellwall_component_vallist_bytes(
  const cellwall_component_vallist_t* list,
  uint8_t* bytes,
  size_t size);

///////////////////////////////////////////////////////////////////////////////
// Resources of components
//
// Things that are passed by handle. Those of the host are a number, the representation, which the host chooses; and a
// type, which is a number too. A handle that the host owns must be passed on or dropped.

// The type of a resource: of the host, or of a component instance.
// (struct cellwall_component_resource_type_t, declared above)

// A handle of a resource in a store, of whatever type.
// (struct cellwall_component_resource_any_t, declared above)

// A resource of the host: its representation and type.
// (struct cellwall_component_resource_host_t, declared above)

// The type of the host's with this number: equal numbers are equal types.
WASM_API_EXTERN own cellwall_component_resource_type_t* cellwall_component_resource_type_new_host(
  uint32_t ty);

// A copy that is the caller's.
WASM_API_EXTERN own cellwall_component_resource_type_t* cellwall_component_resource_type_clone(
  const cellwall_component_resource_type_t* type);

// Whether both are the same type.
WASM_API_EXTERN bool cellwall_component_resource_type_equal(
  const cellwall_component_resource_type_t* a,
  const cellwall_component_resource_type_t* b);

// Deletes it, if it is nobody's part; null is fine.
WASM_API_EXTERN void cellwall_component_resource_type_delete(
  own cellwall_component_resource_type_t* type);

// Its type.
WASM_API_EXTERN own cellwall_component_resource_type_t* cellwall_component_resource_any_type(
  const cellwall_component_resource_any_t* resource);

// Whether the host owns it; otherwise it was lent to a function of the host, until that returns.
WASM_API_EXTERN bool cellwall_component_resource_any_owned(
  const cellwall_component_resource_any_t* resource);

// Drops the resource: the destructor of its type is called if the host owns it. The handle is of no use then, but has to
// be deleted all the same. Dropping it twice, or one that was passed on, is an error.
WASM_API_EXTERN own cellwall_error_t* cellwall_component_resource_any_drop(
  wasm_store_t* store,
  const cellwall_component_resource_any_t* resource);

// Takes a resource of the host back out of the store. If it was owned, the handle is of no use then.
WASM_API_EXTERN own cellwall_error_t* cellwall_component_resource_any_to_host(
  wasm_store_t* store,
  const cellwall_component_resource_any_t* resource,
  own cellwall_component_resource_host_t** out);

// Another handle of the same resource.
WASM_API_EXTERN own cellwall_component_resource_any_t* cellwall_component_resource_any_clone(
  const cellwall_component_resource_any_t* resource);

// Deletes the handle, not the resource; null is fine.
WASM_API_EXTERN void cellwall_component_resource_any_delete(
  own cellwall_component_resource_any_t* resource);

// A resource of the host, to be given away or to be lent, with its representation and the number of its type.
WASM_API_EXTERN own cellwall_component_resource_host_t* cellwall_component_resource_host_new(
  bool owned,
  uint32_t rep,
  uint32_t ty);

// Its representation.
WASM_API_EXTERN uint32_t cellwall_component_resource_host_rep(
  const cellwall_component_resource_host_t* resource);

// The number of its type.
WASM_API_EXTERN uint32_t cellwall_component_resource_host_type(
  const cellwall_component_resource_host_t* resource);

// Whether it is given away, and not lent.
WASM_API_EXTERN bool cellwall_component_resource_host_owned(
  const cellwall_component_resource_host_t* resource);

// Puts it into a store, to be passed to guests.
WASM_API_EXTERN own cellwall_error_t* cellwall_component_resource_host_to_any(
  wasm_store_t* store,
  const cellwall_component_resource_host_t* resource,
  own cellwall_component_resource_any_t** out);

// A copy.
WASM_API_EXTERN own cellwall_component_resource_host_t* cellwall_component_resource_host_clone(
  const cellwall_component_resource_host_t* resource);

// Deletes it; null is fine.
WASM_API_EXTERN void cellwall_component_resource_host_delete(
  own cellwall_component_resource_host_t* resource);

///////////////////////////////////////////////////////////////////////////////
// Linkers of components
//
// What the host gives components: functions, resources, core modules and instances, by name. A linker is for every store
// of its engine.

// Definitions by names.
// (struct cellwall_component_linker_t, declared above)

// A component with the imports that a linker found for it, to make many instances from. Threads may share it.
// (struct cellwall_component_instance_pre_t, declared above)

// A place in a linker to define things in: the root, or an instance.
// (struct cellwall_component_linker_instance_t, declared above)

// A linker without definitions.
WASM_API_EXTERN own cellwall_component_linker_t* cellwall_component_linker_new(
  const wasm_engine_t* engine);

// Deletes it; null is fine. Instances live on.
WASM_API_EXTERN void cellwall_component_linker_delete(own cellwall_component_linker_t* linker);

// Whether a name may be defined twice; the last definition is used then.
WASM_API_EXTERN void cellwall_component_linker_allow_shadowing(
  cellwall_component_linker_t* linker,
  bool allow);

// To define what components import by itself. It can be used as long as the caller wants, also beside others.
WASM_API_EXTERN own cellwall_component_linker_instance_t* cellwall_component_linker_root(
  cellwall_component_linker_t* linker);

// Defines all interfaces of WASI 0.2 but HTTP. What programs are granted is said by `cellwall_store_wasi_set`; a store
// without has no grant.
WASM_API_EXTERN own cellwall_error_t* cellwall_component_linker_add_wasip2(
  cellwall_component_linker_t* linker);

// Defines `wasi:http`, beside `cellwall_component_linker_add_wasip2`. Requests go only to hosts that
// `cellwall_wasi_config_allow_http` granted.
WASM_API_EXTERN own cellwall_error_t* cellwall_component_linker_add_wasi_http(
  cellwall_component_linker_t* linker);

// Defines each function that the component imports and that is not defined as one that traps.
WASM_API_EXTERN own cellwall_error_t* cellwall_component_linker_define_unknown_imports_as_traps(
  cellwall_component_linker_t* linker,
  const cellwall_component_t* component);

// Compares types, and makes an instance.
WASM_API_EXTERN own cellwall_error_t* cellwall_component_linker_instantiate(
  const cellwall_component_linker_t* linker,
  wasm_store_t* store,
  const cellwall_component_t* component,
  own cellwall_component_instance_t** out);

// Finds the imports of a component and compares types, once for many instances.
WASM_API_EXTERN own cellwall_error_t* cellwall_component_linker_instantiate_pre(
  const cellwall_component_linker_t* linker,
  const cellwall_component_t* component,
  own cellwall_component_instance_pre_t** out);

// Makes an instance in any store of the engine.
WASM_API_EXTERN own cellwall_error_t* cellwall_component_instance_pre_instantiate(
  const cellwall_component_instance_pre_t* pre,
  wasm_store_t* store,
  own cellwall_component_instance_t** out);

// Another hold on the same.
WASM_API_EXTERN own cellwall_component_instance_pre_t* cellwall_component_instance_pre_clone(
  const cellwall_component_instance_pre_t* pre);

// Deletes it; null is fine. Instances live on.
WASM_API_EXTERN void cellwall_component_instance_pre_delete(
  own cellwall_component_instance_pre_t* pre);

// To define what is in an instance of this name; it may have been begun before.
WASM_API_EXTERN own cellwall_error_t* cellwall_component_linker_instance_add_instance(
  cellwall_component_linker_instance_t* instance,
  const char* name,
  size_t name_len,
  own cellwall_component_linker_instance_t** out);

// Defines a function of the host, of whatever type a component imports it with. The finalizer is called when nobody can
// call the function any more, also if this fails; it must not use the linker.
WASM_API_EXTERN own cellwall_error_t* cellwall_component_linker_instance_add_func(
  cellwall_component_linker_instance_t* instance,
  const char* name,
  size_t name_len,
  cellwall_component_func_callback_t callback,
  void* env,
  cellwall_finalizer_t finalizer);

// Defines a resource type. The destructor, if it is not null, is called with the representation of each resource whose
// last handle a guest has dropped. The finalizer as above.
WASM_API_EXTERN own cellwall_error_t* cellwall_component_linker_instance_add_resource(
  cellwall_component_linker_instance_t* instance,
  const char* name,
  size_t name_len,
  const cellwall_component_resource_type_t* type,
  cellwall_component_resource_destructor_t destructor,
  void* env,
  cellwall_finalizer_t finalizer);

// Defines a core module.
WASM_API_EXTERN own cellwall_error_t* cellwall_component_linker_instance_add_module(
  cellwall_component_linker_instance_t* instance,
  const char* name,
  size_t name_len,
  const wasm_module_t* module);

// Deletes the place, not what is defined in it; null is fine.
WASM_API_EXTERN void cellwall_component_linker_instance_delete(
  own cellwall_component_linker_instance_t* instance);

///////////////////////////////////////////////////////////////////////////////
// Instances of components
//
// Instances and their functions. Both are names for something in a store, which they keep.

// An instance of a component, in a store.
// (struct cellwall_component_instance_t, declared above)

// A function that an instance exports.
// (struct cellwall_component_func_t, declared above)

// Another name for the same instance.
WASM_API_EXTERN own cellwall_component_instance_t* cellwall_component_instance_clone(
  const cellwall_component_instance_t* instance);

// Deletes the name, not the instance, which lives as long as its store; null is fine.
WASM_API_EXTERN void cellwall_component_instance_delete(
  own cellwall_component_instance_t* instance);

// What it exports, with the resources as they are in its store.
WASM_API_EXTERN own cellwall_component_instance_type_t* cellwall_component_instance_type(
  const cellwall_component_instance_t* instance);

// Finds an export by name, or by a compatible version of its name; null if there is none. `in_instance` is the exported
// instance in which to look, found before; null is the root.
WASM_API_EXTERN own cellwall_component_export_index_t* cellwall_component_instance_get_export_index(
  const cellwall_component_instance_t* instance,
  const cellwall_component_export_index_t* in_instance,
  const char* name,
  size_t name_len);

// The function there; null if there is something else, or the index is of another component.
WASM_API_EXTERN own cellwall_component_func_t* cellwall_component_instance_get_func(
  const cellwall_component_instance_t* instance,
  const cellwall_component_export_index_t* index);

// The core module there; null if there is something else.
WASM_API_EXTERN own wasm_module_t* cellwall_component_instance_get_module(
  const cellwall_component_instance_t* instance,
  const cellwall_component_export_index_t* index);

// The resource type there; null if there is something else.
WASM_API_EXTERN own cellwall_component_resource_type_t* cellwall_component_instance_get_resource(
  const cellwall_component_instance_t* instance,
  const cellwall_component_export_index_t* index);

// Its type, with the resources as they are in its store.
WASM_API_EXTERN own cellwall_component_func_type_t* cellwall_component_func_type(
  const cellwall_component_func_t* func);

// Calls it. There must be as many arguments and results as its type says. What was in `results` is not deleted; nothing is
// written there if it fails. After a trap the instance cannot be entered any more.
WASM_API_EXTERN own cellwall_error_t* cellwall_component_func_call(
  const cellwall_component_func_t* func,
  const cellwall_component_val_t* args,
  size_t args_count,
  own cellwall_component_val_t* results,
  size_t results_count);

// Another name for the same function.
WASM_API_EXTERN own cellwall_component_func_t* cellwall_component_func_clone(
  const cellwall_component_func_t* func);

// Deletes the name; null is fine.
WASM_API_EXTERN void cellwall_component_func_delete(own cellwall_component_func_t* func);

#undef own

#ifdef __cplusplus
}  // extern "C"
#endif

#endif  // CELLWALL_H
