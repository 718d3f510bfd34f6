//! What `cellwall.h` has beyond the standard: errors, options, modules with reasons, traps.

use crate::refs::{Object, wasm_module_t, wasm_ref_t, wasm_trap_t};
use crate::store::{wasm_config_t, wasm_engine_t, wasm_store_t};
use crate::trap::causes;
use crate::vec::{Vector, put, wasm_byte_vec_t};
use crate::{c_api, error, get, give, take};
use cellwall_rs::{
    Cache, CacheConfig, CompileError, Error, Invalid, Limit, Module, ProfilingStrategy, Result,
    StoreLimitsBuilder, Trap, Violation,
};
use std::ffi::{CStr, c_char};
use std::slice;

/// An error.
pub struct cellwall_error_t {
    error: Error,
}

/// The answer of a function that can fail.
pub(crate) fn answer(result: Result<()>) -> *mut cellwall_error_t {
    match result {
        Ok(()) => std::ptr::null_mut(),
        Err(error) => give(cellwall_error_t { error }),
    }
}

/// What a null argument is answered with.
pub(crate) fn null() -> *mut cellwall_error_t {
    answer(Err(Error::msg("an argument is null")))
}

fn kind(error: &Error) -> u8 {
    if error.is::<Invalid>() {
        1
    } else if error.is::<Limit>() {
        2
    } else if error.is::<Violation>() || error.is::<CompileError>() {
        3
    } else if error.is::<Trap>() {
        4
    } else {
        0
    }
}

/// A text of C.
///
/// # Safety
/// Null, or ends with zero.
pub(crate) unsafe fn text<'a>(text: *const c_char) -> Result<&'a str> {
    if text.is_null() {
        return Err(Error::msg("an argument is null"));
    }
    // SAFETY: the caller's promise.
    Ok(unsafe { CStr::from_ptr(text) }.to_str()?)
}

/// Bytes of C.
///
/// # Safety
/// Null with length 0, or as many bytes.
unsafe fn bytes<'a>(bytes: *const u8, length: usize) -> Result<&'a [u8]> {
    match bytes.is_null() {
        true if length == 0 => Ok(&[]),
        true => Err(Error::msg("an argument is null")),
        // SAFETY: the caller's promise.
        false => Ok(unsafe { slice::from_raw_parts(bytes, length) }),
    }
}

/// Writes the module that was made where C wants it.
///
/// # Safety
/// `out` is null or can be written.
unsafe fn put_module(
    store: *mut wasm_store_t,
    out: *mut *mut wasm_module_t,
    make: impl FnOnce(&cellwall_rs::Engine) -> Result<Module>,
) -> *mut cellwall_error_t {
    // SAFETY: the caller's promise.
    let Some(store) = (unsafe { get(store) }) else {
        return null();
    };
    let made = make(store.cell.engine()).and_then(|module| {
        let module = give(wasm_ref_t::new(&store.cell, Object::Module(module)));
        // SAFETY: the caller's promise.
        unsafe { put(out, module) }.ok_or_else(|| Error::msg("an argument is null"))
    });
    answer(made)
}

fn trap_code(trap: Trap) -> u8 {
    match trap {
        Trap::StackOverflow => 1,
        Trap::MemoryOutOfBounds => 2,
        Trap::TableOutOfBounds => 3,
        Trap::IndirectCallToNull => 4,
        Trap::BadSignature => 5,
        Trap::IntegerOverflow => 6,
        Trap::IntegerDivisionByZero => 7,
        Trap::BadConversionToInteger => 8,
        Trap::UnreachableCodeReached => 9,
        Trap::Interrupt => 10,
        Trap::NullReference => 11,
        // A trap that this header does not know yet.
        _ => u8::MAX,
    }
}

c_api! {
    /// See `error.api`.
    fn cellwall_error_message(error: *const cellwall_error_t, out: *mut wasm_byte_vec_t) {
        let text = causes(&unsafe { get(error) }?.error);
        unsafe { put(out, Vector::from_text(&text)) }?;
    }
    /// See `error.api`.
    fn cellwall_error_kind(error: *const cellwall_error_t) -> u8 {
        kind(&unsafe { get(error) }?.error)
    }
    /// See `error.api`.
    fn cellwall_error_offset(error: *const cellwall_error_t, out: *mut usize) -> bool {
        let invalid = unsafe { get(error) }?.error.downcast_ref::<Invalid>()?;
        unsafe { put(out, invalid.offset) }?;
        true
    }
    /// See `error.api`.
    fn cellwall_error_delete(error: *mut cellwall_error_t) {
        drop(unsafe { take(error) });
    }
    /// See `error.api`.
    fn cellwall_last_error() -> *mut cellwall_error_t {
        give(cellwall_error_t { error: error::last()? })
    }

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
    fn cellwall_config_cache_open(config: *mut wasm_config_t, path: *const c_char) -> *mut cellwall_error_t {
        let Some(config) = (unsafe { config.as_mut() }) else {
            return Some(null());
        };
        let mut open = || {
            let mut options = CacheConfig::new();
            if !path.is_null() {
                options.with_directory(unsafe { text(path) }?);
            }
            config.config.cache(Some(Cache::new(options)?));
            Ok(())
        };
        answer(open())
    }

    /// See `engine.api`.
    fn cellwall_engine_interrupt(engine: *const wasm_engine_t) {
        unsafe { get(engine) }?.engine.interrupt();
    }
    /// See `engine.api`.
    fn cellwall_store_limits_set(
        store: *mut wasm_store_t,
        memory_bytes: i64,
        table_elements: i64,
        instances: i64,
        tables: i64,
        memories: i64,
    ) {
        let mut limits = StoreLimitsBuilder::new();
        let wanted = |number: i64| usize::try_from(number).ok();
        if let Some(bytes) = wanted(memory_bytes) {
            limits = limits.memory_size(bytes);
        }
        if let Some(elements) = wanted(table_elements) {
            limits = limits.table_elements(elements);
        }
        if let Some(count) = wanted(instances) {
            limits = limits.instances(count);
        }
        if let Some(count) = wanted(tables) {
            limits = limits.tables(count);
        }
        if let Some(count) = wanted(memories) {
            limits = limits.memories(count);
        }
        unsafe { get(store) }?.cell.limit(limits.build());
    }

    /// See `module.api`.
    fn cellwall_wat2wasm(source: *const c_char, length: usize, out: *mut wasm_byte_vec_t) -> *mut cellwall_error_t {
        let translate = || {
            let source = unsafe { bytes(source.cast(), length) }?;
            let binary = wat::parse_bytes(source)?.into_owned();
            unsafe { put(out, Vector::from_vec(binary)) }.ok_or_else(|| Error::msg("an argument is null"))
        };
        answer(translate())
    }
    /// See `module.api`.
    fn cellwall_module_new(
        store: *mut wasm_store_t,
        data: *const u8,
        length: usize,
        out: *mut *mut wasm_module_t,
    ) -> *mut cellwall_error_t {
        unsafe { put_module(store, out, |engine| Module::new(engine, bytes(data, length)?)) }
    }
    /// See `module.api`.
    fn cellwall_module_validate(store: *mut wasm_store_t, data: *const u8, length: usize) -> *mut cellwall_error_t {
        let Some(store) = (unsafe { get(store) }) else {
            return Some(null());
        };
        answer(unsafe { bytes(data, length) }.and_then(|bytes| Module::validate(store.cell.engine(), bytes)))
    }
    /// See `module.api`.
    fn cellwall_module_deserialize(
        store: *mut wasm_store_t,
        data: *const u8,
        length: usize,
        out: *mut *mut wasm_module_t,
    ) -> *mut cellwall_error_t {
        unsafe { put_module(store, out, |engine| Module::deserialize(engine, bytes(data, length)?)) }
    }
    /// See `module.api`.
    fn cellwall_module_deserialize_file(
        store: *mut wasm_store_t,
        path: *const c_char,
        out: *mut *mut wasm_module_t,
    ) -> *mut cellwall_error_t {
        unsafe { put_module(store, out, |engine| Module::deserialize_file(engine, text(path)?)) }
    }

    /// See `trap.api`.
    fn cellwall_trap_code(trap: *const wasm_trap_t) -> u8 {
        match &unsafe { get(trap) }?.object {
            Object::Trap(trap) => trap.code.map_or(0, trap_code),
            _ => return None,
        }
    }
    /// See `trap.api`.
    fn cellwall_trap_exit_status(trap: *const wasm_trap_t, out: *mut i32) -> bool {
        let Object::Trap(trap) = &unsafe { get(trap) }?.object else {
            return None;
        };
        unsafe { put(out, trap.exit_status?) }?;
        true
    }
}
