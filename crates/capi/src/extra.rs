//! What `cellwall.h` has beyond the standard: errors, options, modules with reasons, traps.

use crate::refs::{Object, wasm_module_t, wasm_ref_t, wasm_trap_t};
use crate::store::{StoreCell, unlimited, wasm_engine_t, wasm_store_t};
use crate::trap::{self, causes, wasm_frame_vec_t};
use crate::vec::{Vector, clear, put, wasm_byte_vec_t};
use crate::{c_api, error, get, give, take};
use cellwall_rs::component::Fault;
use cellwall_rs::{CompileError, Error, Invalid, Limit, Module, Result, Trap, Violation, bail};
use std::ffi::{CStr, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::slice;
use std::sync::Arc;

/// An error.
pub struct cellwall_error_t {
    error: Error,
    /// Where it happened, if frames of guest code may belong to it.
    store: Option<Arc<StoreCell>>,
}

/// The answer of a function that can fail.
pub(crate) fn answer(result: Result<()>) -> *mut cellwall_error_t {
    answer_in(None, result)
}

fn answer_in(store: Option<&Arc<StoreCell>>, result: Result<()>) -> *mut cellwall_error_t {
    match result {
        Ok(()) => std::ptr::null_mut(),
        Err(error) => give(cellwall_error_t {
            error,
            store: store.cloned(),
        }),
    }
}

/// The answer of what can fail; a panic is an error too, since null would be success.
pub(crate) fn attempt(run: impl FnOnce() -> Result<()>) -> *mut cellwall_error_t {
    attempt_in(None, run)
}

/// Likewise, of what runs guest code in a store.
pub(crate) fn attempt_in(
    store: Option<&Arc<StoreCell>>,
    run: impl FnOnce() -> Result<()>,
) -> *mut cellwall_error_t {
    let done = catch_unwind(AssertUnwindSafe(run));
    answer_in(store, done.unwrap_or_else(|panic| Err(crate::panicked(&*panic))))
}

/// Gives something to C where it wants it.
///
/// # Safety
/// `out` is null or can be written.
pub(crate) unsafe fn written<T>(out: *mut *mut T, value: T) -> Result<()> {
    if out.is_null() {
        bail!("an argument is null");
    }
    // SAFETY: not null, and the caller's promise.
    unsafe { out.write(give(value)) };
    Ok(())
}

/// What a function of C ended with.
pub(crate) fn into_error(error: cellwall_error_t) -> Error {
    error.error
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
    } else if error.is::<Trap>() || error.is::<Fault>() {
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
pub(crate) unsafe fn bytes<'a>(bytes: *const u8, length: usize) -> Result<&'a [u8]> {
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
    attempt(|| {
        let module = make(store.cell.engine())?;
        // SAFETY: the caller's promise.
        unsafe { written(out, wasm_ref_t::of_module(&store.cell, module)) }
    })
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
        Trap::HeapMisaligned => 12,
        Trap::AtomicWaitNonSharedMemory => 13,
        Trap::NullI31Ref => 14,
        Trap::CastFailure => 15,
        // A trap that this header does not know yet.
        _ => u8::MAX,
    }
}

c_api! {
    /// See `error.api`.
    fn cellwall_error_message(error: *const cellwall_error_t, out: *mut wasm_byte_vec_t) {
        unsafe { clear(out) };
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
    fn cellwall_error_new(message: *const c_char) -> *mut cellwall_error_t {
        let error = Error::msg(error::ok(unsafe { text(message) })?.to_owned());
        give(cellwall_error_t { error, store: None })
    }
    /// See `error.api`.
    fn cellwall_error_trap_code(error: *const cellwall_error_t) -> u8 {
        unsafe { get(error) }?.error.downcast_ref::<Trap>().map_or(0, |&trap| trap_code(trap))
    }
    /// See `error.api`.
    fn cellwall_error_exit_status(error: *const cellwall_error_t, out: *mut i32) -> bool {
        let exit = unsafe { get(error) }?.error.downcast_ref::<cellwall_wasi::I32Exit>()?;
        unsafe { put(out, exit.0) }?;
        true
    }
    /// See `error.api`.
    fn cellwall_error_wasm_trace(error: *const cellwall_error_t, out: *mut wasm_frame_vec_t) {
        unsafe { clear(out) };
        let frames = match unsafe { get(error) } {
            Some(cellwall_error_t { error, store: Some(store) }) => trap::frames_of(store, error),
            _ => Vec::new(),
        };
        unsafe { put(out, Vector::from_vec(frames.into_iter().map(give).collect())) }?;
    }
    /// See `error.api`.
    fn cellwall_error_delete(error: *mut cellwall_error_t) {
        drop(unsafe { take(error) });
    }
    /// See `error.api`.
    fn cellwall_error_unsaid() -> *mut cellwall_error_t {
        crate::unsaid()
    }
    /// See `error.api`.
    fn cellwall_last_error() -> *mut cellwall_error_t {
        give(cellwall_error_t { error: error::last()?, store: None })
    }

    /// See `engine.api`.
    fn cellwall_engine_interrupt(engine: *const wasm_engine_t) {
        unsafe { get(engine) }?.interrupt();
    }
    /// See `engine.api`.
    fn cellwall_store_interrupt(store: *const wasm_store_t) {
        unsafe { get(store) }?.cell.interrupt();
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
        let mut limits = unlimited();
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
        unsafe { clear(out) };
        let translate = || {
            let source = unsafe { bytes(source.cast(), length) }?;
            let binary = wat::parse_bytes(source)?.into_owned();
            unsafe { put(out, Vector::from_vec(binary)) }.ok_or_else(|| Error::msg("an argument is null"))
        };
        attempt(translate)
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
        attempt(|| Module::validate(store.cell.engine(), unsafe { bytes(data, length) }?))
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
    fn cellwall_trap_unsaid() -> *mut wasm_trap_t {
        crate::unsaid()
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
