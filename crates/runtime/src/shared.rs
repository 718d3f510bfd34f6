//! Shared memories: of an engine, used by any number of stores on any number of threads.
//!
//! Guarantees that a memory never moves and never shrinks, that its new length is seen by all once it
//! grew, and that the host touches its bytes by relaxed atomic accesses alone, so that a race with a
//! guest or another host thread is no undefined behaviour. Nobody gets a reference to the bytes.

use crate::engine::Engine;
use crate::error::Error;
use crate::memory::{Definition, MemoryType, no_room};
use crate::pool::Slot;
use crate::sys::{Parked, Parker};
use cellwall_abi::TrapCode;
use core::time::Duration;
use std::collections::{HashMap, VecDeque};
use std::mem::ManuallyDrop;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// A memory that stores of one engine may share; cheap to clone.
#[derive(Clone, Debug)]
pub struct SharedMemory(Arc<Inner>);

/// A [`Definition`] whose length changes, under the lock of the slot; guest code reads it.
#[repr(C)]
#[derive(Debug)]
struct SharedDefinition {
    base: *mut u8,
    length: AtomicU64,
}

const _: () = assert!(size_of::<SharedDefinition>() == size_of::<Definition>());

#[derive(Debug)]
struct Inner {
    engine: Engine,
    ty: MemoryType,
    /// No length above this, whatever the type says.
    bytes_max: u64,
    reserved_bytes: usize,
    definition: SharedDefinition,
    /// Taken out on drop only.
    slot: ManuallyDrop<Mutex<Slot>>,
    /// Who waits at which address, first come, first served.
    waiting: Mutex<HashMap<u64, VecDeque<Arc<Parker>>>>,
}

// SAFETY: the base is a range of addresses that all threads may access; the definition's base never
// changes and its length is accessed atomically.
unsafe impl Send for Inner {}
// SAFETY: as above.
unsafe impl Sync for Inner {}

impl SharedMemory {
    /// Makes a memory of zeros.
    ///
    /// # Errors
    /// If the type has no maximum, or the limits or the operating system refuse.
    pub fn new(engine: &Engine, ty: MemoryType) -> Result<Self, Error> {
        if !ty.shared || ty.max_pages.is_none() {
            return Err(Error::Type(
                "a shared memory needs a shared type with a maximum".into(),
            ));
        }
        let (bytes, bytes_max) = ty.initial(engine)?;
        let all = (bytes_max + engine.target().memory_guard_bytes) as usize;
        let slot = Slot::take(engine, all, bytes as usize, None).map_err(|error| no_room(all, error))?;
        let base = slot.base();
        Ok(Self(Arc::new(Inner {
            engine: engine.clone(),
            ty,
            bytes_max,
            reserved_bytes: slot.reserved_bytes(),
            definition: SharedDefinition {
                base,
                length: AtomicU64::new(bytes),
            },
            slot: ManuallyDrop::new(Mutex::new(slot)),
            waiting: Mutex::default(),
        })))
    }

    /// The engine whose stores may use it.
    pub fn engine(&self) -> &Engine {
        &self.0.engine
    }

    /// Its type, as declared.
    pub fn ty(&self) -> MemoryType {
        self.0.ty
    }

    /// Whether both are the same memory.
    pub fn same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// A number that no other memory has while this one is there.
    pub fn id(&self) -> usize {
        Arc::as_ptr(&self.0).addr()
    }

    pub(crate) fn definition(&self) -> NonNull<Definition> {
        NonNull::from(&self.0.definition).cast()
    }

    pub(crate) fn base(&self) -> *mut u8 {
        self.0.definition.base
    }

    pub(crate) fn reserved_bytes(&self) -> usize {
        self.0.reserved_bytes
    }

    fn length(&self) -> &AtomicU64 {
        &self.0.definition.length
    }

    /// Current length in bytes; another thread may grow it at any time.
    pub fn bytes(&self) -> usize {
        self.length().load(Ordering::SeqCst) as usize
    }

    /// Current size in pages.
    pub fn pages(&self) -> u64 {
        self.bytes() as u64 >> self.0.ty.page_shift
    }

    /// Grows it; its old size in pages, or why it cannot grow that far.
    ///
    /// # Errors
    /// The reason, in words.
    pub fn grow(&self, delta_pages: u64) -> Result<u64, String> {
        let mut slot = self.0.slot.lock().unwrap_or_else(PoisonError::into_inner);
        let old = self.pages();
        let ty = self.0.ty;
        let max = ty.pages_max().min(self.0.bytes_max >> ty.page_shift);
        let new = old.saturating_add(delta_pages);
        if new > max {
            return Err("the maximum size of the memory is reached".into());
        }
        if delta_pages > 0 {
            let bytes = ty.bytes(new);
            slot.grow(bytes as usize)
                .map_err(|error| format!("the operating system gives no more memory: {error}"))?;
            self.length().store(bytes, Ordering::SeqCst);
        }
        Ok(old)
    }

    /// The byte at an offset.
    ///
    /// # Panics
    /// If it is outside.
    fn byte(&self, at: usize) -> &AtomicU8 {
        assert!(at < self.bytes(), "the caller checked bounds");
        let byte = self.base().wrapping_add(at);
        // SAFETY: in bounds, so committed as long as the memory lives; all host access is atomic.
        unsafe { AtomicU8::from_ptr(byte) }
    }

    /// The bytes from an offset on, if they are all inside.
    fn range(&self, at: usize, len: usize) -> Option<&[AtomicU8]> {
        let end = at.checked_add(len)?;
        if end > self.bytes() {
            return None;
        }
        let first: *const AtomicU8 = self.base().wrapping_add(at).cast();
        // SAFETY: in bounds, so committed as long as the memory lives; `AtomicU8` has the layout of a
        // byte and permits concurrent changes.
        Some(unsafe { std::slice::from_raw_parts(first, len) })
    }

    /// Copies bytes out; `None` if they are not all inside.
    pub fn read(&self, at: usize, buffer: &mut [u8]) -> Option<()> {
        let from = self.range(at, buffer.len())?;
        for (to, from) in buffer.iter_mut().zip(from) {
            *to = from.load(Ordering::Relaxed);
        }
        Some(())
    }

    /// Copies bytes in; `None` if they do not all fit.
    pub fn write(&self, at: usize, buffer: &[u8]) -> Option<()> {
        let to = self.range(at, buffer.len())?;
        for (to, from) in to.iter().zip(buffer) {
            to.store(*from, Ordering::Relaxed);
        }
        Some(())
    }

    pub(crate) fn fill(&self, at: usize, len: usize, value: u8) {
        let to = self.range(at, len).expect("the caller checked bounds");
        to.iter().for_each(|to| to.store(value, Ordering::Relaxed));
    }

    /// Copies inside; the ranges may overlap.
    pub(crate) fn copy_within(&self, from: usize, to: usize, len: usize) {
        let copy = |i: usize| {
            let byte = self.byte(from + i).load(Ordering::Relaxed);
            self.byte(to + i).store(byte, Ordering::Relaxed);
        };
        match to <= from {
            true => (0..len).for_each(copy),
            false => (0..len).rev().for_each(copy),
        }
    }

    /// What is at an address in `bytes` (4 or 8) bytes, which is aligned and inside.
    fn value(&self, address: u64, bytes: u32) -> u64 {
        let at = self.base().wrapping_add(address as usize);
        if bytes == 4 {
            // SAFETY: inside and aligned, as the caller checked; all host access is atomic.
            let value = unsafe { AtomicU32::from_ptr(at.cast()) };
            return value.load(Ordering::SeqCst).into();
        }
        // SAFETY: as above.
        let value = unsafe { AtomicU64::from_ptr(at.cast()) };
        value.load(Ordering::SeqCst)
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, HashMap<u64, VecDeque<Arc<Parker>>>> {
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits at an address as `memory.atomic.wait32` (4 bytes) and `wait64` (8) do: 0 if it was woken,
    /// 1 if the value is another, 2 if the time is over or `give_up` says so.
    ///
    /// # Errors
    /// If the address is not aligned or not inside.
    pub(crate) fn wait(
        &self,
        address: u64,
        bytes: u32,
        expected: u64,
        time: Option<Duration>,
        give_up: impl Fn() -> bool,
    ) -> Result<u32, TrapCode> {
        check_address(address, bytes, self.bytes())?;
        let parker = Arc::new(Parker::default());
        {
            // With the lock, so that who changes the value and then wakes finds this one.
            let mut waiting = self.waiting();
            if self.value(address, bytes) != expected {
                return Ok(1);
            }
            waiting.entry(address).or_default().push_back(parker.clone());
        }
        let engine = &self.0.engine.0;
        engine.waiters().push(parker.clone());
        let parked = parker.park(time, give_up);
        engine.waiters().retain(|other| !Arc::ptr_eq(other, &parker));
        if parked == Parked::Woken {
            return Ok(0);
        }
        // Somebody may have woken it in the meantime, and has counted it.
        let mut waiting = self.waiting();
        let queue = waiting.entry(address).or_default();
        let place = queue.iter().position(|other| Arc::ptr_eq(other, &parker));
        if let Some(place) = place {
            queue.remove(place);
        }
        if queue.is_empty() {
            waiting.remove(&address);
        }
        Ok(if place.is_some() { 2 } else { 0 })
    }

    /// Wakes at most `count` of those that wait at an address; how many.
    ///
    /// # Errors
    /// If the address is not aligned to four bytes or not inside.
    pub fn notify(&self, address: u64, count: u32) -> Result<u32, TrapCode> {
        check_address(address, 4, self.bytes())?;
        let mut waiting = self.waiting();
        let Some(queue) = waiting.get_mut(&address) else {
            return Ok(0);
        };
        let woken = queue.len().min(count as usize);
        queue.drain(..woken).for_each(|parker| parker.wake());
        if queue.is_empty() {
            waiting.remove(&address);
        }
        Ok(woken as u32)
    }

    /// Waits like [`wait`](Self::wait), as the host: nothing interrupts it but time.
    ///
    /// # Errors
    /// If the address is not aligned or not inside.
    pub fn wait32(&self, address: u64, expected: u32, time: Option<Duration>) -> Result<u32, TrapCode> {
        self.wait(address, 4, expected.into(), time, || false)
    }

    /// The same for eight bytes.
    ///
    /// # Errors
    /// If the address is not aligned or not inside.
    pub fn wait64(&self, address: u64, expected: u64, time: Option<Duration>) -> Result<u32, TrapCode> {
        self.wait(address, 8, expected, time, || false)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // SAFETY: taken once, here.
        let slot = unsafe { ManuallyDrop::take(&mut self.slot) };
        let slot = slot.into_inner().unwrap_or_else(PoisonError::into_inner);
        // SAFETY: the last owner is gone, stores and waiting threads included.
        unsafe { slot.give_back(&self.engine) };
    }
}

/// Whether an atomic access is aligned and inside.
pub(crate) fn check_address(address: u64, bytes: u32, have: usize) -> Result<(), TrapCode> {
    if !address.is_multiple_of(bytes.into()) {
        return Err(TrapCode::UnalignedAtomic);
    }
    match address.checked_add(bytes.into()) {
        Some(end) if end <= have as u64 => Ok(()),
        _ => Err(TrapCode::MemoryOutOfBounds),
    }
}

/// The time of a wait in nanoseconds; negative is without end.
pub(crate) fn wait_time(nanoseconds: i64) -> Option<Duration> {
    u64::try_from(nanoseconds).ok().map(Duration::from_nanos)
}
