//! Memories that stores on several threads share.

use crate::{Engine, MemoryAccessError, MemoryType, Result, Trap, format_err};
use cellwall_runtime as runtime;
use core::time::Duration;

/// A linear memory that any number of stores of one engine may use, on any number of threads. Cheap to
/// clone: a clone is the same memory.
///
/// Nobody gets a reference to its bytes, since another thread may change them at any time; what is read
/// and written here, is so byte by byte.
///
/// ```
/// use cellwall::{Engine, Linker, MemoryType, Module, SharedMemory, Store};
///
/// let engine = Engine::default();
/// let module = Module::new(&engine, r#"
///     (module
///       (import "host" "memory" (memory 1 1 shared))
///       (func (export "count") (drop (i32.atomic.rmw.add (i32.const 0) (i32.const 1)))))
/// "#)?;
/// let memory = SharedMemory::new(&engine, MemoryType::shared(1, 1))?;
/// let mut linker = Linker::new(&engine);
/// linker.define(&mut Store::new(&engine, ()), "host", "memory", memory.clone())?;
/// std::thread::scope(|scope| {
///     for _ in 0..4 {
///         scope.spawn(|| {
///             let mut store = Store::new(&engine, ());
///             let instance = linker.instantiate(&mut store, &module).expect("it fits");
///             let count = instance.get_typed_func::<(), ()>(&mut store, "count").expect("it is there");
///             (0..100).for_each(|_| count.call(&mut store, ()).expect("it does not trap"));
///         });
///     }
/// });
/// let mut bytes = [0; 4];
/// memory.read(0, &mut bytes)?;
/// assert_eq!(u32::from_le_bytes(bytes), 400);
/// # cellwall::Ok(())
/// ```
#[derive(Clone, Debug)]
pub struct SharedMemory {
    pub(crate) raw: runtime::SharedMemory,
}

/// How a wait ended.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum WaitResult {
    /// Another thread woke it.
    Ok,
    /// The value was not the expected one.
    Mismatch,
    /// The time was over.
    TimedOut,
}

impl SharedMemory {
    /// Makes a memory of zeros.
    ///
    /// # Errors
    /// If the type is not shared, or the system has no address space left.
    pub fn new(engine: &Engine, ty: MemoryType) -> Result<Self> {
        let raw = runtime::SharedMemory::new(engine.runtime(), ty.to_runtime());
        let raw = raw.map_err(|error| format_err!("{error}"))?;
        Ok(Self { raw })
    }

    /// Its type, as declared.
    pub fn ty(&self) -> MemoryType {
        let ty = self.raw.ty();
        MemoryType::from_runtime(&ty, ty.min_pages)
    }

    /// Its type, with its current size as the minimum.
    pub(crate) fn ty_now(&self) -> MemoryType {
        MemoryType::from_runtime(&self.raw.ty(), self.size())
    }

    /// Whether both are the same memory.
    pub fn same(&self, other: &Self) -> bool {
        self.raw.same(&other.raw)
    }

    /// A number that no other memory has while this one is there.
    pub fn id(&self) -> usize {
        self.raw.id()
    }

    /// Its current size in pages; another thread may grow it at any time.
    pub fn size(&self) -> u64 {
        self.raw.pages()
    }

    /// Bytes in a page.
    pub fn page_size(&self) -> u64 {
        self.ty().page_size()
    }

    /// Its current size in bytes.
    pub fn data_size(&self) -> usize {
        self.raw.bytes()
    }

    /// Grows it by this many pages of zeros, for all that use it, and returns the old size in pages.
    /// No limiter is asked.
    ///
    /// # Errors
    /// If it would exceed its maximum or the reservation, or the system refuses; then it is unchanged.
    pub fn grow(&self, delta: u64) -> Result<u64> {
        let grown = self.raw.grow(delta);
        grown.map_err(|reason| format_err!("the memory cannot grow by {delta} pages: {reason}"))
    }

    /// Copies bytes out of the memory, each as it is when its turn comes.
    ///
    /// # Errors
    /// If they are not all inside; then `buffer` is unchanged.
    pub fn read(&self, offset: usize, buffer: &mut [u8]) -> Result<(), MemoryAccessError> {
        self.raw.read(offset, buffer).ok_or(MemoryAccessError::new())
    }

    /// Copies bytes into the memory.
    ///
    /// # Errors
    /// If they do not all fit; then the memory is unchanged.
    pub fn write(&self, offset: usize, buffer: &[u8]) -> Result<(), MemoryAccessError> {
        self.raw.write(offset, buffer).ok_or(MemoryAccessError::new())
    }

    /// Wakes at most `count` of those that wait at an address, as `memory.atomic.notify`; how many.
    ///
    /// # Errors
    /// If the address is not a multiple of 4 or not inside.
    pub fn atomic_notify(&self, address: u64, count: u32) -> Result<u32, Trap> {
        self.raw.notify(address, count).map_err(Trap::from_code)
    }

    /// Waits until another thread notifies the address, as `memory.atomic.wait32`; without a time, for
    /// ever.
    ///
    /// # Errors
    /// If the address is not a multiple of 4 or not inside.
    pub fn atomic_wait32(
        &self,
        address: u64,
        expected: u32,
        time: Option<Duration>,
    ) -> Result<WaitResult, Trap> {
        let ended = self.raw.wait32(address, expected, time);
        ended.map(wait_result).map_err(Trap::from_code)
    }

    /// Waits until another thread notifies the address, as `memory.atomic.wait64`.
    ///
    /// # Errors
    /// If the address is not a multiple of 8 or not inside.
    pub fn atomic_wait64(
        &self,
        address: u64,
        expected: u64,
        time: Option<Duration>,
    ) -> Result<WaitResult, Trap> {
        let ended = self.raw.wait64(address, expected, time);
        ended.map(wait_result).map_err(Trap::from_code)
    }
}

fn wait_result(number: u32) -> WaitResult {
    match number {
        0 => WaitResult::Ok,
        1 => WaitResult::Mismatch,
        _ => WaitResult::TimedOut,
    }
}
