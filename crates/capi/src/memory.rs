//! Memories beyond the standard: sizes of 64 bits, and those that threads share.

use crate::externals::memory;
use crate::extra::{attempt, cellwall_error_t, null};
use crate::refs::{Object, wasm_extern_t, wasm_memory_t, wasm_ref_t};
use crate::store::{wasm_engine_t, wasm_store_t};
use crate::types::{wasm_externtype_t, wasm_memorytype_t};
use crate::{c_api, error, get, give, take};
use cellwall_rs::{MemoryType, MemoryTypeBuilder, SharedMemory, Trap, WaitResult};
use std::slice;
use std::time::Duration;

/// A memory of an engine.
pub struct cellwall_sharedmemory_t {
    memory: SharedMemory,
}

/// The size of a memory in pages.
pub(crate) fn pages(it: &wasm_memory_t) -> Option<u64> {
    if let Object::Shared(shared) = &it.object {
        return Some(shared.size());
    }
    let (cell, memory) = memory(it)?;
    Some(cell.with(|context| memory.size(&context)))
}

/// Grows a memory by so many pages.
pub(crate) fn grow(it: &wasm_memory_t, delta: u64) -> Option<u64> {
    if let Object::Shared(shared) = &it.object {
        return error::ok(shared.grow(delta));
    }
    let (cell, memory) = memory(it)?;
    error::ok(cell.with(|context| memory.grow(context, delta)))
}

/// The type behind a pointer of C.
///
/// # Safety
/// The pointer is valid or null.
unsafe fn memory_type(ty: *const wasm_memorytype_t) -> Option<MemoryType> {
    // SAFETY: the caller's promise.
    unsafe { get(ty) }?.to_memory()
}

/// The time of a wait; none is for ever.
fn duration(nanoseconds: i64) -> Option<Duration> {
    u64::try_from(nanoseconds).ok().map(Duration::from_nanos)
}

/// Waits in a memory.
///
/// # Safety
/// Both pointers are valid or null.
unsafe fn wait_in(
    it: *const cellwall_sharedmemory_t,
    result: *mut u8,
    wait: impl FnOnce(&SharedMemory) -> Result<WaitResult, Trap>,
) -> *mut cellwall_error_t {
    // SAFETY: the caller's promise.
    let Some(it) = (unsafe { get(it) }) else {
        return null();
    };
    attempt(|| {
        let ended = match wait(&it.memory)? {
            WaitResult::Ok => 0,
            WaitResult::Mismatch => 1,
            WaitResult::TimedOut => 2,
        };
        // SAFETY: likewise.
        if let Some(result) = unsafe { result.as_mut() } {
            *result = ended;
        }
        Ok(())
    })
}

c_api! {
    /// See `memory.api`.
    fn cellwall_memorytype_new(min: u64, max: u64, is_64: bool, is_shared: bool) -> *mut wasm_memorytype_t {
        let mut builder = MemoryTypeBuilder::new();
        builder.min(min).max((max != u64::MAX).then_some(max));
        let ty = builder.memory64(is_64).shared(is_shared).build();
        give(wasm_externtype_t::from_memory(error::ok(ty)?))
    }
    /// See `memory.api`.
    fn cellwall_memorytype_min(ty: *const wasm_memorytype_t) -> u64 {
        unsafe { memory_type(ty) }?.minimum()
    }
    /// See `memory.api`.
    fn cellwall_memorytype_max(ty: *const wasm_memorytype_t) -> u64 {
        unsafe { memory_type(ty) }?.maximum().unwrap_or(u64::MAX)
    }
    /// See `memory.api`.
    fn cellwall_memorytype_is_64(ty: *const wasm_memorytype_t) -> bool {
        unsafe { memory_type(ty) }?.is_64()
    }
    /// See `memory.api`.
    fn cellwall_memorytype_is_shared(ty: *const wasm_memorytype_t) -> bool {
        unsafe { memory_type(ty) }?.is_shared()
    }
    /// See `memory.api`.
    fn cellwall_memorytype_page_size(ty: *const wasm_memorytype_t) -> u64 {
        unsafe { memory_type(ty) }?.page_size()
    }
    /// See `memory.api`.
    fn cellwall_memory_size(it: *const wasm_memory_t) -> u64 {
        pages(unsafe { get(it) }?)?
    }
    /// See `memory.api`.
    fn cellwall_memory_grow(it: *mut wasm_memory_t, delta: u64) -> bool {
        grow(unsafe { get(it) }?, delta)?;
        true
    }
    /// See `memory.api`.
    fn cellwall_sharedmemory_new(
        engine: *const wasm_engine_t,
        ty: *const wasm_memorytype_t,
    ) -> *mut cellwall_sharedmemory_t {
        let engine = &unsafe { get(engine) }?.engine;
        let memory = error::ok(SharedMemory::new(engine, unsafe { memory_type(ty) }?))?;
        give(cellwall_sharedmemory_t { memory })
    }
    /// See `memory.api`.
    fn cellwall_sharedmemory_delete(it: *mut cellwall_sharedmemory_t) {
        drop(unsafe { take(it) });
    }
    /// See `memory.api`.
    fn cellwall_sharedmemory_copy(it: *const cellwall_sharedmemory_t) -> *mut cellwall_sharedmemory_t {
        let memory = unsafe { get(it) }?.memory.clone();
        give(cellwall_sharedmemory_t { memory })
    }
    /// See `memory.api`.
    fn cellwall_sharedmemory_type(it: *const cellwall_sharedmemory_t) -> *mut wasm_memorytype_t {
        give(wasm_externtype_t::from_memory(unsafe { get(it) }?.memory.ty()))
    }
    /// See `memory.api`.
    fn cellwall_sharedmemory_size(it: *const cellwall_sharedmemory_t) -> u64 {
        unsafe { get(it) }?.memory.size()
    }
    /// See `memory.api`.
    fn cellwall_sharedmemory_same(
        a: *const cellwall_sharedmemory_t,
        b: *const cellwall_sharedmemory_t,
    ) -> bool {
        unsafe { get(a)?.memory.same(&get(b)?.memory) }
    }
    /// See `memory.api`.
    fn cellwall_sharedmemory_data_size(it: *const cellwall_sharedmemory_t) -> usize {
        unsafe { get(it) }?.memory.data_size()
    }
    /// See `memory.api`.
    fn cellwall_sharedmemory_grow(it: *mut cellwall_sharedmemory_t, delta: u64) -> bool {
        error::ok(unsafe { get(it) }?.memory.grow(delta))?;
        true
    }
    /// See `memory.api`.
    fn cellwall_sharedmemory_read(
        it: *const cellwall_sharedmemory_t,
        offset: usize,
        bytes: *mut u8,
        size: usize,
    ) -> bool {
        let memory = &unsafe { get(it) }?.memory;
        let bytes = match bytes.is_null() {
            true if size > 0 => return None,
            true => &mut [],
            false => unsafe { slice::from_raw_parts_mut(bytes, size) },
        };
        error::ok(memory.read(offset, bytes).map_err(Into::into))?;
        true
    }
    /// See `memory.api`.
    fn cellwall_sharedmemory_write(
        it: *const cellwall_sharedmemory_t,
        offset: usize,
        bytes: *const u8,
        size: usize,
    ) -> bool {
        let memory = &unsafe { get(it) }?.memory;
        let bytes = match bytes.is_null() {
            true if size > 0 => return None,
            true => &[],
            false => unsafe { slice::from_raw_parts(bytes, size) },
        };
        error::ok(memory.write(offset, bytes).map_err(Into::into))?;
        true
    }
    /// See `memory.api`.
    fn cellwall_sharedmemory_atomic_notify(
        it: *const cellwall_sharedmemory_t,
        address: u64,
        count: u32,
        woken: *mut u32,
    ) -> *mut cellwall_error_t {
        let Some(it) = (unsafe { get(it) }) else {
            return Some(null());
        };
        attempt(|| {
            let count = it.memory.atomic_notify(address, count)?;
            if let Some(woken) = unsafe { woken.as_mut() } {
                *woken = count;
            }
            Ok(())
        })
    }
    /// See `memory.api`.
    fn cellwall_sharedmemory_atomic_wait32(
        it: *const cellwall_sharedmemory_t,
        address: u64,
        expected: u32,
        nanoseconds: i64,
        result: *mut u8,
    ) -> *mut cellwall_error_t {
        let wait = |memory: &SharedMemory| memory.atomic_wait32(address, expected, duration(nanoseconds));
        unsafe { wait_in(it, result, wait) }
    }
    /// See `memory.api`.
    fn cellwall_sharedmemory_atomic_wait64(
        it: *const cellwall_sharedmemory_t,
        address: u64,
        expected: u64,
        nanoseconds: i64,
        result: *mut u8,
    ) -> *mut cellwall_error_t {
        let wait = |memory: &SharedMemory| memory.atomic_wait64(address, expected, duration(nanoseconds));
        unsafe { wait_in(it, result, wait) }
    }
    /// See `memory.api`.
    fn cellwall_sharedmemory_as_extern(
        it: *const cellwall_sharedmemory_t,
        store: *mut wasm_store_t,
    ) -> *mut wasm_extern_t {
        let memory = unsafe { get(it) }?.memory.clone();
        give(wasm_ref_t::new(&unsafe { get(store) }?.cell, Object::Shared(memory)))
    }
    /// See `memory.api`.
    fn cellwall_extern_as_sharedmemory(it: *const wasm_extern_t) -> *mut cellwall_sharedmemory_t {
        let Object::Shared(memory) = &unsafe { get(it) }?.object else {
            return None;
        };
        let memory = memory.clone();
        give(cellwall_sharedmemory_t { memory })
    }
}
