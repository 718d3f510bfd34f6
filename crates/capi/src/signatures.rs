//! Generated from `api/`; not to be edited. The functions have the types that the header says.

#![allow(unused_imports, reason = "the list is for all definitions")]

use crate::callback::*;
use crate::component::*;
use crate::config::*;
use crate::exception::*;
use crate::extra::*;
use crate::func::*;
use crate::instance::*;
use crate::linker::*;
use crate::memory::*;
use crate::raw::*;
use crate::refs::*;
use crate::signal::*;
use crate::store::*;
use crate::trap::*;
use crate::types::*;
use crate::val::*;
use crate::vec::*;
use crate::wasi::*;
use std::ffi::{c_char, c_void};

const _: unsafe extern "C" fn(*const cellwall_error_t, *mut wasm_byte_vec_t) = cellwall_error_message;
const _: unsafe extern "C" fn(*const cellwall_error_t) -> u8 = cellwall_error_kind;
const _: unsafe extern "C" fn(*const cellwall_error_t, *mut usize) -> bool = cellwall_error_offset;
const _: unsafe extern "C" fn(*const c_char) -> *mut cellwall_error_t = cellwall_error_new;
const _: unsafe extern "C" fn(*const cellwall_error_t) -> u8 = cellwall_error_trap_code;
const _: unsafe extern "C" fn(*const cellwall_error_t, *mut i32) -> bool = cellwall_error_exit_status;
const _: unsafe extern "C" fn(*const cellwall_error_t, *mut wasm_frame_vec_t) = cellwall_error_wasm_trace;
const _: unsafe extern "C" fn() -> *mut cellwall_error_t = cellwall_error_unsaid;
const _: unsafe extern "C" fn(*mut cellwall_error_t) = cellwall_error_delete;
const _: unsafe extern "C" fn() -> *mut cellwall_error_t = cellwall_last_error;
const _: unsafe extern "C" fn(*mut wasm_config_t, usize) = cellwall_config_max_wasm_stack_set;
const _: unsafe extern "C" fn(*mut wasm_config_t, u64) = cellwall_config_memory_reservation_set;
const _: unsafe extern "C" fn(*mut wasm_config_t, u64) = cellwall_config_memory_guard_size_set;
const _: unsafe extern "C" fn(*mut wasm_config_t, bool) = cellwall_config_backtrace_set;
const _: unsafe extern "C" fn(*mut wasm_config_t, bool) = cellwall_config_parallel_compilation_set;
const _: unsafe extern "C" fn(*mut wasm_config_t, u8) -> *mut cellwall_error_t = cellwall_config_profiler_set;
const _: unsafe extern "C" fn(*mut wasm_config_t, *const c_char) -> *mut cellwall_error_t =
    cellwall_config_cache_open;
const _: unsafe extern "C" fn(*mut wasm_config_t, u64) = cellwall_config_memory64_reservation_set;
const _: unsafe extern "C" fn(*mut wasm_config_t, bool) = cellwall_config_wasm_multi_memory_set;
const _: unsafe extern "C" fn(*mut wasm_config_t, bool) = cellwall_config_wasm_memory64_set;
const _: unsafe extern "C" fn(*mut wasm_config_t, bool) = cellwall_config_wasm_threads_set;
const _: unsafe extern "C" fn(*mut wasm_config_t, bool) = cellwall_config_wasm_custom_page_sizes_set;
const _: unsafe extern "C" fn(*mut wasm_config_t, bool) = cellwall_config_wasm_relaxed_simd_deterministic_set;
const _: unsafe extern "C" fn(*mut wasm_config_t, bool) = cellwall_config_wasm_component_model_implements_set;
const _: unsafe extern "C" fn(*mut wasm_config_t, bool) = cellwall_config_nan_canonicalization_set;
const _: unsafe extern "C" fn(*mut wasm_config_t, *const c_char, bool) -> *mut cellwall_error_t =
    cellwall_config_cpu_feature_set;
const _: unsafe extern "C" fn(*const c_char, usize, *mut wasm_byte_vec_t) -> *mut cellwall_error_t =
    cellwall_wat2wasm;
const _: unsafe extern "C" fn(
    *mut wasm_store_t,
    *const u8,
    usize,
    *mut *mut wasm_module_t,
) -> *mut cellwall_error_t = cellwall_module_new;
const _: unsafe extern "C" fn(*mut wasm_store_t, *const u8, usize) -> *mut cellwall_error_t =
    cellwall_module_validate;
const _: unsafe extern "C" fn(
    *mut wasm_store_t,
    *const u8,
    usize,
    *mut *mut wasm_module_t,
) -> *mut cellwall_error_t = cellwall_module_deserialize;
const _: unsafe extern "C" fn(
    *mut wasm_store_t,
    *const c_char,
    *mut *mut wasm_module_t,
) -> *mut cellwall_error_t = cellwall_module_deserialize_file;
const _: unsafe extern "C" fn() -> *mut cellwall_wasi_config_t = cellwall_wasi_config_new;
const _: unsafe extern "C" fn(*mut cellwall_wasi_config_t) = cellwall_wasi_config_delete;
const _: unsafe extern "C" fn(*mut cellwall_wasi_config_t, *const c_char) = cellwall_wasi_config_arg;
const _: unsafe extern "C" fn(*mut cellwall_wasi_config_t, *const c_char, *const c_char) =
    cellwall_wasi_config_env;
const _: unsafe extern "C" fn(*mut cellwall_wasi_config_t) = cellwall_wasi_config_inherit_args;
const _: unsafe extern "C" fn(*mut cellwall_wasi_config_t) = cellwall_wasi_config_inherit_env;
const _: unsafe extern "C" fn(*mut cellwall_wasi_config_t) = cellwall_wasi_config_inherit_stdin;
const _: unsafe extern "C" fn(*mut cellwall_wasi_config_t) = cellwall_wasi_config_inherit_stdout;
const _: unsafe extern "C" fn(*mut cellwall_wasi_config_t) = cellwall_wasi_config_inherit_stderr;
const _: unsafe extern "C" fn(*mut cellwall_wasi_config_t, *const wasm_byte_vec_t) =
    cellwall_wasi_config_stdin_bytes;
const _: unsafe extern "C" fn(*mut cellwall_wasi_config_t, usize) -> *mut cellwall_wasi_output_t =
    cellwall_wasi_config_stdout_bytes;
const _: unsafe extern "C" fn(*mut cellwall_wasi_config_t, usize) -> *mut cellwall_wasi_output_t =
    cellwall_wasi_config_stderr_bytes;
const _: unsafe extern "C" fn(*mut cellwall_wasi_config_t, *const c_char) -> *mut cellwall_error_t =
    cellwall_wasi_config_stdin_file;
const _: unsafe extern "C" fn(*mut cellwall_wasi_config_t, *const c_char) -> *mut cellwall_error_t =
    cellwall_wasi_config_stdout_file;
const _: unsafe extern "C" fn(*mut cellwall_wasi_config_t, *const c_char) -> *mut cellwall_error_t =
    cellwall_wasi_config_stderr_file;
const _: unsafe extern "C" fn(
    *mut cellwall_wasi_config_t,
    cellwall_wasi_write_t,
    *mut c_void,
    Option<unsafe extern "C" fn(*mut c_void)>,
) = cellwall_wasi_config_stdout_callback;
const _: unsafe extern "C" fn(
    *mut cellwall_wasi_config_t,
    cellwall_wasi_write_t,
    *mut c_void,
    Option<unsafe extern "C" fn(*mut c_void)>,
) = cellwall_wasi_config_stderr_callback;
const _: unsafe extern "C" fn(*const cellwall_wasi_output_t, *mut wasm_byte_vec_t) =
    cellwall_wasi_output_contents;
const _: unsafe extern "C" fn(*mut cellwall_wasi_output_t) = cellwall_wasi_output_delete;
const _: unsafe extern "C" fn(
    *mut cellwall_wasi_config_t,
    *const c_char,
    *const c_char,
    u8,
) -> *mut cellwall_error_t = cellwall_wasi_config_preopen_dir;
const _: unsafe extern "C" fn(*mut cellwall_wasi_config_t, *const c_char) -> *mut cellwall_error_t =
    cellwall_wasi_config_allow_listen;
const _: unsafe extern "C" fn(*mut cellwall_wasi_config_t, *const c_char) -> *mut cellwall_error_t =
    cellwall_wasi_config_allow_connect;
const _: unsafe extern "C" fn(*mut cellwall_wasi_config_t, *const c_char) -> *mut cellwall_error_t =
    cellwall_wasi_config_allow_http;
const _: unsafe extern "C" fn(*mut cellwall_wasi_config_t, bool) = cellwall_wasi_config_allow_ip_name_lookup;
const _: unsafe extern "C" fn(*mut cellwall_wasi_config_t, bool) = cellwall_wasi_config_allow_tcp;
const _: unsafe extern "C" fn(*mut cellwall_wasi_config_t, bool) = cellwall_wasi_config_allow_udp;
const _: unsafe extern "C" fn(*mut cellwall_wasi_config_t) = cellwall_wasi_config_inherit_network;
const _: unsafe extern "C" fn(*mut cellwall_wasi_config_t, bool) = cellwall_wasi_config_allow_blocking;
const _: unsafe extern "C" fn(*mut cellwall_wasi_config_t, usize) = cellwall_wasi_config_max_descriptors;
const _: unsafe extern "C" fn(*mut cellwall_wasi_config_t, usize) = cellwall_wasi_config_max_sockets;
const _: unsafe extern "C" fn(*mut cellwall_wasi_config_t, usize) = cellwall_wasi_config_max_http_bytes;
const _: unsafe extern "C" fn(*const wasm_engine_t) = cellwall_engine_interrupt;
const _: unsafe extern "C" fn(*const wasm_store_t) = cellwall_store_interrupt;
const _: unsafe extern "C" fn(*mut wasm_store_t, i64, i64, i64, i64, i64) = cellwall_store_limits_set;
const _: unsafe extern "C" fn(*mut wasm_store_t, *mut cellwall_wasi_config_t) -> *mut cellwall_error_t =
    cellwall_store_wasi_set;
const _: unsafe extern "C" fn(*const wasm_store_t) -> u64 = cellwall_store_id;
const _: unsafe extern "C" fn(*const wasm_store_t) -> u8 = cellwall_store_use;
const _: unsafe extern "C" fn(i32, i32) -> bool = cellwall_signal_tap;
const _: unsafe extern "C" fn(*mut wasm_val_t, *const u8) = cellwall_val_set_v128;
const _: unsafe extern "C" fn(*const wasm_val_t, *mut u8) -> bool = cellwall_val_v128;
const _: unsafe extern "C" fn(*mut wasm_store_t, u32) -> *mut wasm_ref_t = cellwall_i31_new;
const _: unsafe extern "C" fn(*const wasm_ref_t, *mut u32) -> bool = cellwall_ref_i31;
const _: unsafe extern "C" fn(u64, u64, bool, bool) -> *mut wasm_memorytype_t = cellwall_memorytype_new;
const _: unsafe extern "C" fn(*const wasm_memorytype_t) -> u64 = cellwall_memorytype_min;
const _: unsafe extern "C" fn(*const wasm_memorytype_t) -> u64 = cellwall_memorytype_max;
const _: unsafe extern "C" fn(*const wasm_memorytype_t) -> bool = cellwall_memorytype_is_64;
const _: unsafe extern "C" fn(*const wasm_memorytype_t) -> bool = cellwall_memorytype_is_shared;
const _: unsafe extern "C" fn(*const wasm_memorytype_t) -> u64 = cellwall_memorytype_page_size;
const _: unsafe extern "C" fn(*const wasm_memory_t) -> u64 = cellwall_memory_size;
const _: unsafe extern "C" fn(*mut wasm_memory_t, u64) -> bool = cellwall_memory_grow;
const _: unsafe extern "C" fn(
    *const wasm_engine_t,
    *const wasm_memorytype_t,
) -> *mut cellwall_sharedmemory_t = cellwall_sharedmemory_new;
const _: unsafe extern "C" fn(*mut cellwall_sharedmemory_t) = cellwall_sharedmemory_delete;
const _: unsafe extern "C" fn(*const cellwall_sharedmemory_t) -> *mut cellwall_sharedmemory_t =
    cellwall_sharedmemory_copy;
const _: unsafe extern "C" fn(*const cellwall_sharedmemory_t) -> *mut wasm_memorytype_t =
    cellwall_sharedmemory_type;
const _: unsafe extern "C" fn(*const cellwall_sharedmemory_t) -> u64 = cellwall_sharedmemory_size;
const _: unsafe extern "C" fn(*const cellwall_sharedmemory_t, *const cellwall_sharedmemory_t) -> bool =
    cellwall_sharedmemory_same;
const _: unsafe extern "C" fn(*const cellwall_sharedmemory_t) -> usize = cellwall_sharedmemory_data_size;
const _: unsafe extern "C" fn(*mut cellwall_sharedmemory_t, u64) -> bool = cellwall_sharedmemory_grow;
const _: unsafe extern "C" fn(*const cellwall_sharedmemory_t, usize, *mut u8, usize) -> bool =
    cellwall_sharedmemory_read;
const _: unsafe extern "C" fn(*const cellwall_sharedmemory_t, usize, *const u8, usize) -> bool =
    cellwall_sharedmemory_write;
const _: unsafe extern "C" fn(*const cellwall_sharedmemory_t, u64, u32, *mut u32) -> *mut cellwall_error_t =
    cellwall_sharedmemory_atomic_notify;
const _: unsafe extern "C" fn(
    *const cellwall_sharedmemory_t,
    u64,
    u32,
    i64,
    *mut u8,
) -> *mut cellwall_error_t = cellwall_sharedmemory_atomic_wait32;
const _: unsafe extern "C" fn(
    *const cellwall_sharedmemory_t,
    u64,
    u64,
    i64,
    *mut u8,
) -> *mut cellwall_error_t = cellwall_sharedmemory_atomic_wait64;
const _: unsafe extern "C" fn(*const cellwall_sharedmemory_t, *mut wasm_store_t) -> *mut wasm_extern_t =
    cellwall_sharedmemory_as_extern;
const _: unsafe extern "C" fn(*const wasm_extern_t) -> *mut cellwall_sharedmemory_t =
    cellwall_extern_as_sharedmemory;
const _: unsafe extern "C" fn(
    *mut wasm_store_t,
    *const wasm_functype_t,
    cellwall_func_callback_t,
    *mut c_void,
    Option<unsafe extern "C" fn(*mut c_void)>,
) -> *mut wasm_func_t = cellwall_func_new;
const _: unsafe extern "C" fn(*const cellwall_caller_t) -> *const wasm_store_t = cellwall_caller_store;
const _: unsafe extern "C" fn(*const cellwall_caller_t, *const wasm_byte_vec_t) -> *mut wasm_extern_t =
    cellwall_caller_export;
const _: unsafe extern "C" fn(*const wasm_func_t) -> bool = cellwall_func_is_raw;
const _: unsafe extern "C" fn(*const wasm_func_t, *mut cellwall_raw_t, usize) -> *mut wasm_trap_t =
    cellwall_func_call_raw;
const _: unsafe extern "C" fn() -> *mut wasm_trap_t = cellwall_trap_unsaid;
const _: unsafe extern "C" fn(*const wasm_trap_t) -> u8 = cellwall_trap_code;
const _: unsafe extern "C" fn(*const wasm_trap_t, *mut i32) -> bool = cellwall_trap_exit_status;
const _: unsafe extern "C" fn(*const wasm_frame_t) -> *const wasm_byte_vec_t = cellwall_frame_func_name;
const _: unsafe extern "C" fn(*const wasm_frame_t) -> *const wasm_byte_vec_t = cellwall_frame_module_name;
const _: unsafe extern "C" fn(*const wasm_frame_t, usize, *mut cellwall_source_t) -> bool =
    cellwall_frame_source;
const _: unsafe extern "C" fn(
    *mut wasm_store_t,
    *const wasm_tagtype_t,
    *mut *mut wasm_extern_t,
) -> *mut cellwall_error_t = cellwall_tag_new;
const _: unsafe extern "C" fn(
    *mut wasm_store_t,
    *const wasm_extern_t,
    *const wasm_val_vec_t,
    *mut *mut cellwall_exn_t,
) -> *mut cellwall_error_t = cellwall_exn_new;
const _: unsafe extern "C" fn(*mut cellwall_exn_t) = cellwall_exn_delete;
const _: unsafe extern "C" fn(*const cellwall_exn_t) -> *mut cellwall_exn_t = cellwall_exn_copy;
const _: unsafe extern "C" fn(*mut cellwall_exn_t) -> *mut wasm_ref_t = cellwall_exn_as_ref;
const _: unsafe extern "C" fn(*mut wasm_ref_t) -> *mut cellwall_exn_t = cellwall_ref_as_exn;
const _: unsafe extern "C" fn(*const cellwall_exn_t) -> *mut wasm_extern_t = cellwall_exn_tag;
const _: unsafe extern "C" fn(*const cellwall_exn_t, *mut wasm_val_vec_t) = cellwall_exn_fields;
const _: unsafe extern "C" fn(*const cellwall_exn_t) -> *mut wasm_trap_t = cellwall_exn_throw;
const _: unsafe extern "C" fn(*const wasm_trap_t) -> *mut cellwall_exn_t = cellwall_trap_exn;
const _: unsafe extern "C" fn(*const wasm_engine_t) -> *mut cellwall_linker_t = cellwall_linker_new;
const _: unsafe extern "C" fn(*mut cellwall_linker_t) = cellwall_linker_delete;
const _: unsafe extern "C" fn(*mut cellwall_linker_t, bool) = cellwall_linker_allow_shadowing;
const _: unsafe extern "C" fn(
    *mut cellwall_linker_t,
    *mut wasm_store_t,
    *const wasm_byte_vec_t,
    *const wasm_byte_vec_t,
    *const wasm_extern_t,
) -> *mut cellwall_error_t = cellwall_linker_define;
const _: unsafe extern "C" fn(
    *mut cellwall_linker_t,
    *const wasm_byte_vec_t,
    *const wasm_byte_vec_t,
    *const wasm_functype_t,
    wasm_func_callback_with_env_t,
    *mut c_void,
    Option<unsafe extern "C" fn(*mut c_void)>,
) -> *mut cellwall_error_t = cellwall_linker_define_func;
const _: unsafe extern "C" fn(
    *mut cellwall_linker_t,
    *const wasm_byte_vec_t,
    *const wasm_byte_vec_t,
    *const wasm_functype_t,
    cellwall_func_callback_t,
    *mut c_void,
    Option<unsafe extern "C" fn(*mut c_void)>,
) -> *mut cellwall_error_t = cellwall_linker_define_func_with_caller;
const _: unsafe extern "C" fn(
    *mut cellwall_linker_t,
    *mut wasm_store_t,
    *const wasm_byte_vec_t,
    *const wasm_instance_t,
) -> *mut cellwall_error_t = cellwall_linker_define_instance;
const _: unsafe extern "C" fn(
    *mut cellwall_linker_t,
    *mut wasm_store_t,
    *const wasm_byte_vec_t,
    *const wasm_module_t,
) -> *mut cellwall_error_t = cellwall_linker_define_module;
const _: unsafe extern "C" fn(*mut cellwall_linker_t, *const wasm_module_t) -> *mut cellwall_error_t =
    cellwall_linker_define_unknown_imports_as_traps;
const _: unsafe extern "C" fn(
    *const cellwall_linker_t,
    *mut wasm_store_t,
    *const wasm_byte_vec_t,
    *mut *mut wasm_func_t,
) -> *mut cellwall_error_t = cellwall_linker_get_default;
const _: unsafe extern "C" fn(*mut cellwall_linker_t) -> *mut cellwall_error_t = cellwall_linker_define_wasi;
const _: unsafe extern "C" fn(
    *const cellwall_linker_t,
    *mut wasm_store_t,
    *const wasm_byte_vec_t,
    *const wasm_byte_vec_t,
) -> *mut wasm_extern_t = cellwall_linker_get;
const _: unsafe extern "C" fn(
    *const cellwall_linker_t,
    *mut wasm_store_t,
    *const wasm_module_t,
    *mut *mut wasm_instance_t,
    *mut *mut wasm_trap_t,
) -> *mut cellwall_error_t = cellwall_linker_instantiate;
const _: unsafe extern "C" fn(
    *const cellwall_linker_t,
    *const wasm_module_t,
    *mut *mut cellwall_instance_pre_t,
) -> *mut cellwall_error_t = cellwall_linker_instantiate_pre;
const _: unsafe extern "C" fn(
    *const cellwall_instance_pre_t,
    *mut wasm_store_t,
    *mut *mut wasm_instance_t,
    *mut *mut wasm_trap_t,
) -> *mut cellwall_error_t = cellwall_instance_pre_instantiate;
const _: unsafe extern "C" fn(*const cellwall_instance_pre_t) -> *mut cellwall_instance_pre_t =
    cellwall_instance_pre_copy;
const _: unsafe extern "C" fn(*mut cellwall_instance_pre_t) = cellwall_instance_pre_delete;
const _: unsafe extern "C" fn(
    *mut cellwall_linker_t,
    *const wasm_byte_vec_t,
    *const wasm_byte_vec_t,
    *const wasm_byte_vec_t,
    *const wasm_byte_vec_t,
) -> *mut cellwall_error_t = cellwall_linker_alias;
const _: unsafe extern "C" fn(
    *mut cellwall_linker_t,
    *const wasm_byte_vec_t,
    *const wasm_byte_vec_t,
) -> *mut cellwall_error_t = cellwall_linker_alias_module;
const _: unsafe extern "C" fn(
    *const wasm_engine_t,
    *const u8,
    usize,
    *mut *mut cellwall_component_t,
) -> *mut cellwall_error_t = cellwall_component_new;
const _: unsafe extern "C" fn(*const wasm_engine_t, *const u8, usize) -> *mut cellwall_error_t =
    cellwall_component_validate;
const _: unsafe extern "C" fn(*const cellwall_component_t, *mut wasm_byte_vec_t) -> *mut cellwall_error_t =
    cellwall_component_serialize;
const _: unsafe extern "C" fn(
    *const wasm_engine_t,
    *const u8,
    usize,
    *mut *mut cellwall_component_t,
) -> *mut cellwall_error_t = cellwall_component_deserialize;
const _: unsafe extern "C" fn(
    *const wasm_engine_t,
    *const c_char,
    *mut *mut cellwall_component_t,
) -> *mut cellwall_error_t = cellwall_component_deserialize_file;
const _: unsafe extern "C" fn(*const cellwall_component_t) -> *mut cellwall_component_t =
    cellwall_component_clone;
const _: unsafe extern "C" fn(*mut cellwall_component_t) = cellwall_component_delete;
const _: unsafe extern "C" fn(*const cellwall_component_t) -> *mut cellwall_component_type_t =
    cellwall_component_type;
const _: unsafe extern "C" fn(
    *const cellwall_component_t,
    *const cellwall_component_export_index_t,
    *const c_char,
    usize,
) -> *mut cellwall_component_export_index_t = cellwall_component_get_export_index;
const _: unsafe extern "C" fn(
    *const cellwall_component_export_index_t,
) -> *mut cellwall_component_export_index_t = cellwall_component_export_index_clone;
const _: unsafe extern "C" fn(*mut cellwall_component_export_index_t) =
    cellwall_component_export_index_delete;
const _: unsafe extern "C" fn(*mut cellwall_component_type_t) = cellwall_component_type_delete;
const _: unsafe extern "C" fn(*const cellwall_component_type_t) -> usize =
    cellwall_component_type_import_count;
const _: unsafe extern "C" fn(
    *const cellwall_component_type_t,
    usize,
    *mut *const c_char,
    *mut usize,
    *mut *const cellwall_component_item_t,
) -> bool = cellwall_component_type_import_nth;
const _: unsafe extern "C" fn(
    *const cellwall_component_type_t,
    *const c_char,
    usize,
) -> *const cellwall_component_item_t = cellwall_component_type_import_get;
const _: unsafe extern "C" fn(*const cellwall_component_type_t) -> usize =
    cellwall_component_type_export_count;
const _: unsafe extern "C" fn(
    *const cellwall_component_type_t,
    usize,
    *mut *const c_char,
    *mut usize,
    *mut *const cellwall_component_item_t,
) -> bool = cellwall_component_type_export_nth;
const _: unsafe extern "C" fn(
    *const cellwall_component_type_t,
    *const c_char,
    usize,
) -> *const cellwall_component_item_t = cellwall_component_type_export_get;
const _: unsafe extern "C" fn(*mut cellwall_component_instance_type_t) =
    cellwall_component_instance_type_delete;
const _: unsafe extern "C" fn(*const cellwall_component_instance_type_t) -> usize =
    cellwall_component_instance_type_export_count;
const _: unsafe extern "C" fn(
    *const cellwall_component_instance_type_t,
    usize,
    *mut *const c_char,
    *mut usize,
    *mut *const cellwall_component_item_t,
) -> bool = cellwall_component_instance_type_export_nth;
const _: unsafe extern "C" fn(
    *const cellwall_component_instance_type_t,
    *const c_char,
    usize,
) -> *const cellwall_component_item_t = cellwall_component_instance_type_export_get;
const _: unsafe extern "C" fn(*const cellwall_component_item_t) -> u8 = cellwall_component_item_kind;
const _: unsafe extern "C" fn(*const cellwall_component_item_t) -> *const cellwall_component_func_type_t =
    cellwall_component_item_func;
const _: unsafe extern "C" fn(*const cellwall_component_item_t) -> *const cellwall_component_instance_type_t =
    cellwall_component_item_instance;
const _: unsafe extern "C" fn(*const cellwall_component_item_t) -> *const cellwall_component_valtype_t =
    cellwall_component_item_type;
const _: unsafe extern "C" fn(*const cellwall_component_item_t) -> *const cellwall_component_resource_type_t =
    cellwall_component_item_resource;
const _: unsafe extern "C" fn(*const cellwall_component_func_type_t) -> u64 = cellwall_component_func_type_id;
const _: unsafe extern "C" fn(*const cellwall_component_func_type_t) -> *mut cellwall_component_func_type_t =
    cellwall_component_func_type_clone;
const _: unsafe extern "C" fn(*mut cellwall_component_func_type_t) = cellwall_component_func_type_delete;
const _: unsafe extern "C" fn(*const cellwall_component_func_type_t) -> usize =
    cellwall_component_func_type_param_count;
const _: unsafe extern "C" fn(
    *const cellwall_component_func_type_t,
    usize,
    *mut *const c_char,
    *mut usize,
    *mut *const cellwall_component_valtype_t,
) -> bool = cellwall_component_func_type_param_nth;
const _: unsafe extern "C" fn(*const cellwall_component_func_type_t) -> *const cellwall_component_valtype_t =
    cellwall_component_func_type_result;
const _: unsafe extern "C" fn(*const cellwall_component_valtype_t) -> u8 = cellwall_component_valtype_kind;
const _: unsafe extern "C" fn(*const cellwall_component_valtype_t) -> *mut cellwall_component_valtype_t =
    cellwall_component_valtype_clone;
const _: unsafe extern "C" fn(*mut cellwall_component_valtype_t) = cellwall_component_valtype_delete;
const _: unsafe extern "C" fn(
    *const cellwall_component_valtype_t,
    *const cellwall_component_valtype_t,
) -> bool = cellwall_component_valtype_equal;
const _: unsafe extern "C" fn(*const cellwall_component_valtype_t) -> *const cellwall_component_valtype_t =
    cellwall_component_list_type_element;
const _: unsafe extern "C" fn(*const cellwall_component_valtype_t, *mut u32) -> bool =
    cellwall_component_list_type_length;
const _: unsafe extern "C" fn(*const cellwall_component_valtype_t) -> *const cellwall_component_valtype_t =
    cellwall_component_map_type_key;
const _: unsafe extern "C" fn(*const cellwall_component_valtype_t) -> *const cellwall_component_valtype_t =
    cellwall_component_map_type_value;
const _: unsafe extern "C" fn(*const cellwall_component_valtype_t) -> usize =
    cellwall_component_record_type_field_count;
const _: unsafe extern "C" fn(
    *const cellwall_component_valtype_t,
    usize,
    *mut *const c_char,
    *mut usize,
    *mut *const cellwall_component_valtype_t,
) -> bool = cellwall_component_record_type_field_nth;
const _: unsafe extern "C" fn(*const cellwall_component_valtype_t) -> usize =
    cellwall_component_tuple_type_types_count;
const _: unsafe extern "C" fn(
    *const cellwall_component_valtype_t,
    usize,
) -> *const cellwall_component_valtype_t = cellwall_component_tuple_type_types_nth;
const _: unsafe extern "C" fn(*const cellwall_component_valtype_t) -> usize =
    cellwall_component_variant_type_case_count;
const _: unsafe extern "C" fn(
    *const cellwall_component_valtype_t,
    usize,
    *mut *const c_char,
    *mut usize,
    *mut *const cellwall_component_valtype_t,
) -> bool = cellwall_component_variant_type_case_nth;
const _: unsafe extern "C" fn(*const cellwall_component_valtype_t) -> usize =
    cellwall_component_enum_type_names_count;
const _: unsafe extern "C" fn(
    *const cellwall_component_valtype_t,
    usize,
    *mut *const c_char,
    *mut usize,
) -> bool = cellwall_component_enum_type_names_nth;
const _: unsafe extern "C" fn(*const cellwall_component_valtype_t) -> *const cellwall_component_valtype_t =
    cellwall_component_option_type_ty;
const _: unsafe extern "C" fn(*const cellwall_component_valtype_t) -> *const cellwall_component_valtype_t =
    cellwall_component_result_type_ok;
const _: unsafe extern "C" fn(*const cellwall_component_valtype_t) -> *const cellwall_component_valtype_t =
    cellwall_component_result_type_err;
const _: unsafe extern "C" fn(*const cellwall_component_valtype_t) -> usize =
    cellwall_component_flags_type_names_count;
const _: unsafe extern "C" fn(
    *const cellwall_component_valtype_t,
    usize,
    *mut *const c_char,
    *mut usize,
) -> bool = cellwall_component_flags_type_names_nth;
const _: unsafe extern "C" fn(
    *const cellwall_component_valtype_t,
) -> *const cellwall_component_resource_type_t = cellwall_component_valtype_resource;
const _: unsafe extern "C" fn(*mut cellwall_component_vallist_t, usize, *const cellwall_component_val_t) =
    cellwall_component_vallist_new;
const _: unsafe extern "C" fn(*mut cellwall_component_vallist_t) = cellwall_component_vallist_new_empty;
const _: unsafe extern "C" fn(*mut cellwall_component_vallist_t, usize) =
    cellwall_component_vallist_new_uninit;
const _: unsafe extern "C" fn(*mut cellwall_component_vallist_t, *const cellwall_component_vallist_t) =
    cellwall_component_vallist_copy;
const _: unsafe extern "C" fn(*mut cellwall_component_vallist_t) = cellwall_component_vallist_delete;
const _: unsafe extern "C" fn(
    *mut cellwall_component_valrecord_t,
    usize,
    *const cellwall_component_valrecord_entry_t,
) = cellwall_component_valrecord_new;
const _: unsafe extern "C" fn(*mut cellwall_component_valrecord_t) = cellwall_component_valrecord_new_empty;
const _: unsafe extern "C" fn(*mut cellwall_component_valrecord_t, usize) =
    cellwall_component_valrecord_new_uninit;
const _: unsafe extern "C" fn(*mut cellwall_component_valrecord_t, *const cellwall_component_valrecord_t) =
    cellwall_component_valrecord_copy;
const _: unsafe extern "C" fn(*mut cellwall_component_valrecord_t) = cellwall_component_valrecord_delete;
const _: unsafe extern "C" fn(*mut cellwall_component_valtuple_t, usize, *const cellwall_component_val_t) =
    cellwall_component_valtuple_new;
const _: unsafe extern "C" fn(*mut cellwall_component_valtuple_t) = cellwall_component_valtuple_new_empty;
const _: unsafe extern "C" fn(*mut cellwall_component_valtuple_t, usize) =
    cellwall_component_valtuple_new_uninit;
const _: unsafe extern "C" fn(*mut cellwall_component_valtuple_t, *const cellwall_component_valtuple_t) =
    cellwall_component_valtuple_copy;
const _: unsafe extern "C" fn(*mut cellwall_component_valtuple_t) = cellwall_component_valtuple_delete;
const _: unsafe extern "C" fn(*mut cellwall_component_valflags_t, usize, *const wasm_byte_vec_t) =
    cellwall_component_valflags_new;
const _: unsafe extern "C" fn(*mut cellwall_component_valflags_t) = cellwall_component_valflags_new_empty;
const _: unsafe extern "C" fn(*mut cellwall_component_valflags_t, usize) =
    cellwall_component_valflags_new_uninit;
const _: unsafe extern "C" fn(*mut cellwall_component_valflags_t, *const cellwall_component_valflags_t) =
    cellwall_component_valflags_copy;
const _: unsafe extern "C" fn(*mut cellwall_component_valflags_t) = cellwall_component_valflags_delete;
const _: unsafe extern "C" fn(
    *mut cellwall_component_valmap_t,
    usize,
    *const cellwall_component_valmap_entry_t,
) = cellwall_component_valmap_new;
const _: unsafe extern "C" fn(*mut cellwall_component_valmap_t) = cellwall_component_valmap_new_empty;
const _: unsafe extern "C" fn(*mut cellwall_component_valmap_t, usize) = cellwall_component_valmap_new_uninit;
const _: unsafe extern "C" fn(*mut cellwall_component_valmap_t, *const cellwall_component_valmap_t) =
    cellwall_component_valmap_copy;
const _: unsafe extern "C" fn(*mut cellwall_component_valmap_t) = cellwall_component_valmap_delete;
const _: unsafe extern "C" fn(*mut cellwall_component_val_t) -> *mut cellwall_component_val_t =
    cellwall_component_val_new;
const _: unsafe extern "C" fn(*mut cellwall_component_val_t) = cellwall_component_val_free;
const _: unsafe extern "C" fn(*const cellwall_component_val_t, *mut cellwall_component_val_t) =
    cellwall_component_val_clone;
const _: unsafe extern "C" fn(*mut cellwall_component_val_t) = cellwall_component_val_delete;
const _: unsafe extern "C" fn(*mut cellwall_component_vallist_t, usize, *const u8) =
    cellwall_component_vallist_new_bytes;
const _: unsafe extern "C" fn(*const cellwall_component_vallist_t, *mut u8, usize) -> bool =
    cellwall_component_vallist_bytes;
const _: unsafe extern "C" fn(u32) -> *mut cellwall_component_resource_type_t =
    cellwall_component_resource_type_new_host;
const _: unsafe extern "C" fn(
    *const cellwall_component_resource_type_t,
) -> *mut cellwall_component_resource_type_t = cellwall_component_resource_type_clone;
const _: unsafe extern "C" fn(
    *const cellwall_component_resource_type_t,
    *const cellwall_component_resource_type_t,
) -> bool = cellwall_component_resource_type_equal;
const _: unsafe extern "C" fn(*mut cellwall_component_resource_type_t) =
    cellwall_component_resource_type_delete;
const _: unsafe extern "C" fn(
    *const cellwall_component_resource_any_t,
) -> *mut cellwall_component_resource_type_t = cellwall_component_resource_any_type;
const _: unsafe extern "C" fn(*const cellwall_component_resource_any_t) -> bool =
    cellwall_component_resource_any_owned;
const _: unsafe extern "C" fn(
    *mut wasm_store_t,
    *const cellwall_component_resource_any_t,
) -> *mut cellwall_error_t = cellwall_component_resource_any_drop;
const _: unsafe extern "C" fn(
    *mut wasm_store_t,
    *const cellwall_component_resource_any_t,
    *mut *mut cellwall_component_resource_host_t,
) -> *mut cellwall_error_t = cellwall_component_resource_any_to_host;
const _: unsafe extern "C" fn(
    *const cellwall_component_resource_any_t,
) -> *mut cellwall_component_resource_any_t = cellwall_component_resource_any_clone;
const _: unsafe extern "C" fn(*mut cellwall_component_resource_any_t) =
    cellwall_component_resource_any_delete;
const _: unsafe extern "C" fn(bool, u32, u32) -> *mut cellwall_component_resource_host_t =
    cellwall_component_resource_host_new;
const _: unsafe extern "C" fn(*const cellwall_component_resource_host_t) -> u32 =
    cellwall_component_resource_host_rep;
const _: unsafe extern "C" fn(*const cellwall_component_resource_host_t) -> u32 =
    cellwall_component_resource_host_type;
const _: unsafe extern "C" fn(*const cellwall_component_resource_host_t) -> bool =
    cellwall_component_resource_host_owned;
const _: unsafe extern "C" fn(
    *mut wasm_store_t,
    *const cellwall_component_resource_host_t,
    *mut *mut cellwall_component_resource_any_t,
) -> *mut cellwall_error_t = cellwall_component_resource_host_to_any;
const _: unsafe extern "C" fn(
    *const cellwall_component_resource_host_t,
) -> *mut cellwall_component_resource_host_t = cellwall_component_resource_host_clone;
const _: unsafe extern "C" fn(*mut cellwall_component_resource_host_t) =
    cellwall_component_resource_host_delete;
const _: unsafe extern "C" fn(*const wasm_engine_t) -> *mut cellwall_component_linker_t =
    cellwall_component_linker_new;
const _: unsafe extern "C" fn(*mut cellwall_component_linker_t) = cellwall_component_linker_delete;
const _: unsafe extern "C" fn(*mut cellwall_component_linker_t, bool) =
    cellwall_component_linker_allow_shadowing;
const _: unsafe extern "C" fn(*mut cellwall_component_linker_t) -> *mut cellwall_component_linker_instance_t =
    cellwall_component_linker_root;
const _: unsafe extern "C" fn(*mut cellwall_component_linker_t) -> *mut cellwall_error_t =
    cellwall_component_linker_add_wasip2;
const _: unsafe extern "C" fn(*mut cellwall_component_linker_t) -> *mut cellwall_error_t =
    cellwall_component_linker_add_wasi_http;
const _: unsafe extern "C" fn(
    *mut cellwall_component_linker_t,
    *const cellwall_component_t,
) -> *mut cellwall_error_t = cellwall_component_linker_define_unknown_imports_as_traps;
const _: unsafe extern "C" fn(
    *const cellwall_component_linker_t,
    *mut wasm_store_t,
    *const cellwall_component_t,
    *mut *mut cellwall_component_instance_t,
) -> *mut cellwall_error_t = cellwall_component_linker_instantiate;
const _: unsafe extern "C" fn(
    *const cellwall_component_linker_t,
    *const cellwall_component_t,
    *mut *mut cellwall_component_instance_pre_t,
) -> *mut cellwall_error_t = cellwall_component_linker_instantiate_pre;
const _: unsafe extern "C" fn(
    *const cellwall_component_instance_pre_t,
    *mut wasm_store_t,
    *mut *mut cellwall_component_instance_t,
) -> *mut cellwall_error_t = cellwall_component_instance_pre_instantiate;
const _: unsafe extern "C" fn(
    *const cellwall_component_instance_pre_t,
) -> *mut cellwall_component_instance_pre_t = cellwall_component_instance_pre_clone;
const _: unsafe extern "C" fn(*mut cellwall_component_instance_pre_t) =
    cellwall_component_instance_pre_delete;
const _: unsafe extern "C" fn(
    *mut cellwall_component_linker_instance_t,
    *const c_char,
    usize,
    *mut *mut cellwall_component_linker_instance_t,
) -> *mut cellwall_error_t = cellwall_component_linker_instance_add_instance;
const _: unsafe extern "C" fn(
    *mut cellwall_component_linker_instance_t,
    *const c_char,
    usize,
    cellwall_component_func_callback_t,
    *mut c_void,
    Option<unsafe extern "C" fn(*mut c_void)>,
) -> *mut cellwall_error_t = cellwall_component_linker_instance_add_func;
const _: unsafe extern "C" fn(
    *mut cellwall_component_linker_instance_t,
    *const c_char,
    usize,
    *const cellwall_component_resource_type_t,
    cellwall_component_resource_destructor_t,
    *mut c_void,
    Option<unsafe extern "C" fn(*mut c_void)>,
) -> *mut cellwall_error_t = cellwall_component_linker_instance_add_resource;
const _: unsafe extern "C" fn(
    *mut cellwall_component_linker_instance_t,
    *const c_char,
    usize,
    *const wasm_module_t,
) -> *mut cellwall_error_t = cellwall_component_linker_instance_add_module;
const _: unsafe extern "C" fn(*mut cellwall_component_linker_instance_t) =
    cellwall_component_linker_instance_delete;
const _: unsafe extern "C" fn(*const cellwall_component_instance_t) -> *mut cellwall_component_instance_t =
    cellwall_component_instance_clone;
const _: unsafe extern "C" fn(*mut cellwall_component_instance_t) = cellwall_component_instance_delete;
const _: unsafe extern "C" fn(
    *const cellwall_component_instance_t,
) -> *mut cellwall_component_instance_type_t = cellwall_component_instance_type;
const _: unsafe extern "C" fn(
    *const cellwall_component_instance_t,
    *const cellwall_component_export_index_t,
    *const c_char,
    usize,
) -> *mut cellwall_component_export_index_t = cellwall_component_instance_get_export_index;
const _: unsafe extern "C" fn(
    *const cellwall_component_instance_t,
    *const cellwall_component_export_index_t,
) -> *mut cellwall_component_func_t = cellwall_component_instance_get_func;
const _: unsafe extern "C" fn(
    *const cellwall_component_instance_t,
    *const cellwall_component_export_index_t,
) -> *mut wasm_module_t = cellwall_component_instance_get_module;
const _: unsafe extern "C" fn(
    *const cellwall_component_instance_t,
    *const cellwall_component_export_index_t,
) -> *mut cellwall_component_resource_type_t = cellwall_component_instance_get_resource;
const _: unsafe extern "C" fn(*const cellwall_component_func_t) -> *mut cellwall_component_func_type_t =
    cellwall_component_func_type;
const _: unsafe extern "C" fn(
    *const cellwall_component_func_t,
    *const cellwall_component_val_t,
    usize,
    *mut cellwall_component_val_t,
    usize,
) -> *mut cellwall_error_t = cellwall_component_func_call;
const _: unsafe extern "C" fn(*const cellwall_component_func_t) -> *mut cellwall_component_func_t =
    cellwall_component_func_clone;
const _: unsafe extern "C" fn(*mut cellwall_component_func_t) = cellwall_component_func_delete;
