//! Linear memories.

use crate::{AsContext, AsContextMut, MemoryType, Result, StoreContext, StoreContextMut};
use cellwall_runtime as runtime;
use std::fmt;

/// A linear memory of a store. Just a name for it: cheap to copy.
///
/// ```
/// use cellwall::{Engine, Instance, Module, Store};
///
/// let engine = Engine::default();
/// let module = Module::new(&engine, r#"
///     (module
///       (memory (export "memory") 1 2)
///       (data (i32.const 0) "hello"))
/// "#)?;
/// let mut store = Store::new(&engine, ());
/// let instance = Instance::new(&mut store, &module, &[])?;
/// let memory = instance.get_memory(&mut store, "memory").unwrap();
///
/// assert_eq!(&memory.data(&store)[..5], b"hello");
/// memory.write(&mut store, 5, b" world")?;
/// let mut buffer = [0; 11];
/// memory.read(&store, 0, &mut buffer)?;
/// assert_eq!(&buffer, b"hello world");
///
/// assert_eq!(memory.grow(&mut store, 1)?, 1);
/// assert_eq!(memory.size(&store), 2);
/// assert!(memory.grow(&mut store, 1).is_err());
/// # cellwall::Ok(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Memory {
    pub(crate) id: runtime::MemoryId,
}

impl Memory {
    /// Makes a memory that belongs to no instance.
    ///
    /// # Errors
    /// If the type is shared (see [`SharedMemory`](crate::SharedMemory)), the store's limiter refuses or
    /// the system has no address space left.
    pub fn new(mut store: impl AsContextMut, ty: MemoryType) -> Result<Self> {
        let store = store.as_context_mut();
        if ty.is_shared() {
            crate::bail!("a shared memory belongs to no store: make a `SharedMemory`");
        }
        let id = store.0.new_memory(ty.to_runtime());
        let id = id.map_err(|error| store.error(error))?;
        Ok(Self { id })
    }

    /// Its type; the minimum is its current size.
    ///
    /// # Panics
    /// If it belongs to another store, as do all functions here.
    pub fn ty(&self, store: impl AsContext) -> MemoryType {
        let store = store.as_context();
        let ty = store.0.memory_type(self.id);
        MemoryType::from_runtime(&ty, store.0.memory_pages(self.id))
    }

    /// Copies bytes out of the memory.
    ///
    /// # Errors
    /// If they are not all inside; then `buffer` is unchanged.
    pub fn read(
        &self,
        store: impl AsContext,
        offset: usize,
        buffer: &mut [u8],
    ) -> Result<(), MemoryAccessError> {
        let store = store.as_context();
        let from = store.0.memory(self.id).get(offset..);
        let from = from.and_then(|bytes| bytes.get(..buffer.len()));
        buffer.copy_from_slice(from.ok_or(MemoryAccessError(()))?);
        Ok(())
    }

    /// Copies bytes into the memory.
    ///
    /// # Errors
    /// If they do not all fit; then the memory is unchanged.
    pub fn write(
        &self,
        mut store: impl AsContextMut,
        offset: usize,
        buffer: &[u8],
    ) -> Result<(), MemoryAccessError> {
        let store = store.as_context_mut();
        let to = store.0.memory_mut(self.id).get_mut(offset..);
        let to = to.and_then(|bytes| bytes.get_mut(..buffer.len()));
        to.ok_or(MemoryAccessError(()))?.copy_from_slice(buffer);
        Ok(())
    }

    /// Its bytes.
    pub fn data<'a, T: 'static>(&self, store: impl Into<StoreContext<'a, T>>) -> &'a [u8] {
        store.into().0.memory(self.id)
    }

    /// Its bytes, to change them.
    pub fn data_mut<'a, T: 'static>(&self, store: impl Into<StoreContextMut<'a, T>>) -> &'a mut [u8] {
        store.into().0.memory_mut(self.id)
    }

    /// Its bytes and the data of the store, to change both.
    pub fn data_and_store_mut<'a, T: 'static>(
        &self,
        store: impl Into<StoreContextMut<'a, T>>,
    ) -> (&'a mut [u8], &'a mut T) {
        let (bytes, data) = store.into().0.memory_and_data_mut(self.id);
        (bytes, &mut data.user)
    }

    /// Its current size in bytes.
    pub fn data_size(&self, store: impl AsContext) -> usize {
        store.as_context().0.memory(self.id).len()
    }

    /// Its current size in pages.
    pub fn size(&self, store: impl AsContext) -> u64 {
        store.as_context().0.memory_pages(self.id)
    }

    /// Bytes in a page: 65,536, or 1 if its type says so.
    pub fn page_size(&self, store: impl AsContext) -> u64 {
        self.ty(store).page_size()
    }

    /// Grows it by this many pages of zeros, and returns the old size in pages. It does not move.
    ///
    /// # Errors
    /// If it would exceed its maximum or the reservation, or the store's limiter or the system
    /// refuses; then it is unchanged.
    pub fn grow(&self, mut store: impl AsContextMut, delta: u64) -> Result<u64> {
        let store = store.as_context_mut();
        match store.0.memory_grow(self.id, delta) {
            Ok(Some(old)) => Ok(old),
            Ok(None) => Err(crate::format_err!("the memory cannot grow by {delta} pages")),
            Err(error) => Err(store.error(error)),
        }
    }
}

/// A range of bytes that is not inside a memory.
#[derive(Debug)]
#[non_exhaustive]
pub struct MemoryAccessError(());

impl MemoryAccessError {
    pub(crate) fn new() -> Self {
        Self(())
    }
}

impl fmt::Display for MemoryAccessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("out of bounds memory access")
    }
}

impl std::error::Error for MemoryAccessError {}
