//! Options of engines beyond the standard, which has none.

use crate::c_api;
use crate::extra::{answer, attempt, cellwall_error_t, null, text};
use crate::store::wasm_config_t;
use cellwall_rs::{Cache, CacheConfig, CpuFeature, Error, ProfilingStrategy};
use std::ffi::c_char;

c_api! {
    /// See `config.api`.
    fn cellwall_config_max_wasm_stack_set(config: *mut wasm_config_t, bytes: usize) {
        unsafe { config.as_mut() }?.config.max_wasm_stack(bytes);
    }
    /// See `config.api`.
    fn cellwall_config_memory_reservation_set(config: *mut wasm_config_t, bytes: u64) {
        unsafe { config.as_mut() }?.config.memory_reservation(bytes);
    }
    /// See `config.api`.
    fn cellwall_config_memory_guard_size_set(config: *mut wasm_config_t, bytes: u64) {
        unsafe { config.as_mut() }?.config.memory_guard_size(bytes);
    }
    /// See `config.api`.
    fn cellwall_config_backtrace_set(config: *mut wasm_config_t, enable: bool) {
        unsafe { config.as_mut() }?.config.wasm_backtrace(enable);
    }
    /// See `config.api`.
    fn cellwall_config_parallel_compilation_set(config: *mut wasm_config_t, enable: bool) {
        unsafe { config.as_mut() }?.config.parallel_compilation(enable);
    }
    /// See `config.api`.
    fn cellwall_config_profiler_set(config: *mut wasm_config_t, profiler: u8) -> *mut cellwall_error_t {
        let Some(config) = (unsafe { config.as_mut() }) else {
            return Some(null());
        };
        let strategy = match profiler {
            0 => ProfilingStrategy::None,
            1 => ProfilingStrategy::PerfMap,
            2 => ProfilingStrategy::JitDump,
            _ => return Some(answer(Err(Error::msg(format!("there is no profiler {profiler}"))))),
        };
        config.config.profiler(strategy);
        answer(Ok(()))
    }
    /// See `config.api`.
    fn cellwall_config_cpu_feature_set(
        config: *mut wasm_config_t,
        name: *const c_char,
        enable: bool,
    ) -> *mut cellwall_error_t {
        let Some(config) = (unsafe { config.as_mut() }) else {
            return Some(null());
        };
        attempt(|| {
            config.config.cpu_feature(unsafe { text(name) }?.parse::<CpuFeature>()?, enable);
            Ok(())
        })
    }
    /// See `config.api`.
    fn cellwall_config_cache_open(config: *mut wasm_config_t, path: *const c_char) -> *mut cellwall_error_t {
        let Some(config) = (unsafe { config.as_mut() }) else {
            return Some(null());
        };
        let open = || {
            let mut options = CacheConfig::new();
            if !path.is_null() {
                options.with_directory(unsafe { text(path) }?);
            }
            config.config.cache(Some(Cache::new(options)?));
            Ok(())
        };
        attempt(open)
    }
    /// See `config.api`.
    fn cellwall_config_wasm_multi_memory_set(config: *mut wasm_config_t, enable: bool) {
        unsafe { config.as_mut() }?.config.wasm_multi_memory(enable);
    }
    /// See `config.api`.
    fn cellwall_config_wasm_memory64_set(config: *mut wasm_config_t, enable: bool) {
        unsafe { config.as_mut() }?.config.wasm_memory64(enable);
    }
    /// See `config.api`.
    fn cellwall_config_wasm_threads_set(config: *mut wasm_config_t, enable: bool) {
        unsafe { config.as_mut() }?.config.wasm_threads(enable);
    }
    /// See `config.api`.
    fn cellwall_config_wasm_custom_page_sizes_set(config: *mut wasm_config_t, enable: bool) {
        unsafe { config.as_mut() }?.config.wasm_custom_page_sizes(enable);
    }
    /// See `config.api`.
    fn cellwall_config_wasm_component_model_implements_set(config: *mut wasm_config_t, enable: bool) {
        unsafe { config.as_mut() }?.config.wasm_component_model_implements(enable);
    }
    /// See `config.api`.
    fn cellwall_config_nan_canonicalization_set(config: *mut wasm_config_t, enable: bool) {
        unsafe { config.as_mut() }?.config.nan_canonicalization(enable);
    }
    /// See `config.api`.
    fn cellwall_config_wasm_relaxed_simd_deterministic_set(config: *mut wasm_config_t, enable: bool) {
        unsafe { config.as_mut() }?.config.relaxed_simd_deterministic(enable);
    }
    /// See `config.api`.
    fn cellwall_config_memory64_reservation_set(config: *mut wasm_config_t, bytes: u64) {
        unsafe { config.as_mut() }?.config.memory64_reservation(bytes);
    }
}
