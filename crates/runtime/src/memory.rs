//! Linear memories: reservations that grow in place.

use crate::engine::Engine;
use crate::error::Error;
use crate::id::{MemoryId, assert_store};
use crate::image::Image;
use crate::limits::Ask;
use crate::pool::Slot;
use crate::store::StoreOpaque;
use cellwall_abi::shape::MemoryShape;
use cellwall_base::limits::PAGE_BYTES;
use std::io;
use std::mem::ManuallyDrop;
use std::ptr::NonNull;

/// The type of a memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MemoryType {
    /// Whether it has 64-bit indexes.
    pub is_64: bool,
    /// log2 of the bytes in a page: 0 or 16.
    pub page_shift: u8,
    /// Initial size in pages.
    pub min_pages: u64,
    /// Largest size in pages, if there is one.
    pub max_pages: Option<u64>,
}

/// No memory may be larger, whatever its type says: half of what the processor can address.
const MEMORY_BYTES_MAX: u64 = 1 << 46;

impl MemoryType {
    /// The type that a module declares.
    pub(crate) fn of(shape: &MemoryShape) -> Self {
        Self {
            is_64: shape.is_64,
            page_shift: shape.page_shift,
            min_pages: shape.min_pages,
            max_pages: shape.max_pages,
        }
    }

    /// Bytes in so many pages; saturates.
    fn bytes(&self, pages: u64) -> u64 {
        pages.saturating_mul(1 << self.page_shift)
    }

    fn min_bytes(&self) -> u64 {
        self.bytes(self.min_pages)
    }

    fn max_bytes(&self) -> Option<u64> {
        self.max_pages.map(|pages| self.bytes(pages))
    }

    /// Largest number of pages that indexes and the declared maximum allow.
    fn pages_max(&self) -> u64 {
        let by_index = match (self.is_64, self.page_shift) {
            (true, _) => u64::MAX,
            // All ones is what a growth that failed returns, so no size may be.
            (false, 0) => u64::from(u32::MAX) - 1,
            (false, shift) => 1 << (32 - shift),
        };
        self.max_pages.unwrap_or(by_index).min(by_index)
    }

    /// Bytes of address space for it, without the guard.
    fn reservation_bytes(&self, engine: &Engine) -> u64 {
        let least = engine.target().memory_reservation_bytes;
        if !self.is_64 {
            return least;
        }
        let max = self.max_bytes().unwrap_or(u64::MAX);
        let usual = max.min(engine.config().memory64_reservation_bytes);
        let bytes = usual.max(self.min_bytes()).max(least).min(MEMORY_BYTES_MAX);
        bytes.next_multiple_of(PAGE_BYTES)
    }
}

/// What guest code reads of a memory or table: first byte or entry, and current length.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct Definition {
    pub(crate) base: *mut u8,
    pub(crate) length: u64,
}

/// A memory of a store.
#[derive(Debug)]
pub(crate) struct Memory {
    /// Taken out on drop only.
    slot: ManuallyDrop<Slot>,
    /// Where the slot goes then.
    engine: Engine,
    /// In the context of the owner, or in `own`.
    definition: NonNull<Definition>,
    /// For memories of the host.
    _own: Option<Box<Definition>>,
    pub(crate) ty: MemoryType,
    /// No length above this, whatever the type says.
    bytes_max: u64,
}

impl Memory {
    /// Reserves a memory and commits its first pages. Without `definition` it owns one.
    pub(crate) fn new(
        engine: &Engine,
        ty: MemoryType,
        definition: Option<NonNull<Definition>>,
        image: Option<&Image>,
    ) -> Result<Self, Error> {
        let bytes_max = ty.reservation_bytes(engine);
        let bytes = ty.min_bytes();
        if bytes > bytes_max || ty.min_pages > ty.pages_max() {
            return Err(too_large(ty));
        }
        let os = |error| Error::Os {
            what: "cannot reserve a memory",
            error,
        };
        let all = (bytes_max + engine.target().memory_guard_bytes) as usize;
        let slot = Slot::take(engine, all, bytes as usize, image).map_err(os)?;
        let mut own = definition.is_none().then(|| {
            Box::new(Definition {
                base: std::ptr::null_mut(),
                length: 0,
            })
        });
        let definition = definition.unwrap_or_else(|| {
            NonNull::from(&mut **own.as_mut().expect("made just above if there is no definition"))
        });
        let value = Definition {
            base: slot.base(),
            length: bytes,
        };
        // SAFETY: a place in a context or in the box, for this memory alone.
        unsafe { definition.write(value) };
        Ok(Self {
            slot: ManuallyDrop::new(slot),
            engine: engine.clone(),
            definition,
            _own: own,
            ty,
            bytes_max,
        })
    }

    pub(crate) fn definition(&self) -> NonNull<Definition> {
        self.definition
    }

    pub(crate) fn base(&self) -> *mut u8 {
        self.slot.base()
    }

    /// Current length in bytes.
    pub(crate) fn bytes(&self) -> usize {
        // SAFETY: the definition lives as long as the store; guest code may not write it.
        unsafe { (*self.definition.as_ptr()).length as usize }
    }

    /// Whether an address lies in the memory or where its accesses may fault.
    pub(crate) fn covers(&self, address: usize) -> bool {
        address.wrapping_sub(self.base() as usize) < self.slot.reserved_bytes()
    }

    /// Puts the module's image into the memory, unless it is there; what lay there is gone.
    pub(crate) fn map_image(&mut self, image: &Image) -> io::Result<()> {
        self.slot.map_image(image)
    }

    /// Largest size in pages that the type and the reservation allow.
    fn pages_max(&self) -> u64 {
        self.ty.pages_max().min(self.bytes_max >> self.ty.page_shift)
    }

    fn set_bytes(&mut self, bytes: u64) -> io::Result<()> {
        self.slot.grow(bytes as usize)?;
        // SAFETY: the definition lives as long as the store, and no guest code runs now.
        unsafe { (*self.definition.as_ptr()).length = bytes };
        Ok(())
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        // SAFETY: the bytes below the length are committed; the store is borrowed, so that no
        // guest code changes them meanwhile.
        unsafe { std::slice::from_raw_parts(self.base(), self.bytes()) }
    }

    pub(crate) fn as_mut_slice(&mut self) -> &mut [u8] {
        // SAFETY: as above, borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.base(), self.bytes()) }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: taken once, here.
        let slot = unsafe { ManuallyDrop::take(&mut self.slot) };
        // SAFETY: memories are dropped with their store, when no guest can run in it any more.
        unsafe { slot.give_back(&self.engine) };
    }
}

impl StoreOpaque {
    /// Makes a memory for the host.
    ///
    /// # Errors
    /// If a limit or the operating system refuses.
    pub fn new_memory(&mut self, ty: MemoryType) -> Result<MemoryId, Error> {
        self.may_have(Ask::Memories, "memory", self.fields.memories.len(), 1)?;
        let index = self.add_memory(ty, None, None)?;
        Ok(MemoryId::new(self.id(), index))
    }

    pub(crate) fn add_memory(
        &mut self,
        ty: MemoryType,
        definition: Option<NonNull<Definition>>,
        image: Option<&Image>,
    ) -> Result<u32, Error> {
        let ask = Ask::MemoryGrowing(0, ty.min_bytes() as usize, max_bytes(ty));
        if !self.may_grow(ask).map_err(Error::host)? {
            return Err(too_large(ty));
        }
        let memory = Memory::new(&self.fields.engine, ty, definition, image)?;
        self.fields.memories.push(memory);
        Ok(self.fields.memories.len() as u32 - 1)
    }

    /// The type of a memory, as declared.
    pub fn memory_type(&self, memory: MemoryId) -> MemoryType {
        self.memory_at(memory).ty
    }

    /// The bytes of a memory.
    pub fn memory(&self, memory: MemoryId) -> &[u8] {
        self.memory_at(memory).as_slice()
    }

    /// The bytes of a memory, to change them.
    pub fn memory_mut(&mut self, memory: MemoryId) -> &mut [u8] {
        assert_store(self.id(), memory.store());
        self.fields.memories[memory.index()].as_mut_slice()
    }

    /// Current size in pages.
    pub fn memory_pages(&self, memory: MemoryId) -> u64 {
        let memory = self.memory_at(memory);
        memory.bytes() as u64 >> memory.ty.page_shift
    }

    /// Grows a memory; its old size in pages, or `None` if it cannot grow that far.
    ///
    /// # Errors
    /// What the limiter returned.
    pub fn memory_grow(&mut self, memory: MemoryId, delta_pages: u64) -> Result<Option<u64>, Error> {
        assert_store(self.id(), memory.store());
        self.grow_memory(memory.index(), delta_pages)
    }

    pub(crate) fn grow_memory(&mut self, index: usize, delta_pages: u64) -> Result<Option<u64>, Error> {
        let memory = &self.fields.memories[index];
        let (old_bytes, ty, pages_max) = (memory.bytes(), memory.ty, memory.pages_max());
        let old = old_bytes as u64 >> ty.page_shift;
        if delta_pages == 0 {
            return Ok(Some(old));
        }
        let new = old.saturating_add(delta_pages);
        let desired = ty.bytes(new);
        let ask = Ask::MemoryGrowing(old_bytes, desired as usize, max_bytes(ty));
        if !self.may_grow(ask).map_err(Error::host)? {
            return Ok(None);
        }
        let failed = if new > pages_max {
            "the maximum size of the memory is reached".to_owned()
        } else {
            match self.fields.memories[index].set_bytes(desired) {
                Ok(()) => return Ok(Some(old)),
                Err(error) => format!("the operating system gives no more memory: {error}"),
            }
        };
        self.ask_limiter(Ask::MemoryFailed(&failed))
            .map_err(Error::host)?;
        Ok(None)
    }

    pub(crate) fn memory_at(&self, memory: MemoryId) -> &Memory {
        assert_store(self.id(), memory.store());
        &self.fields.memories[memory.index()]
    }
}

fn max_bytes(ty: MemoryType) -> Option<usize> {
    ty.max_bytes().map(|bytes| bytes as usize)
}

fn too_large(ty: MemoryType) -> Error {
    Error::Limit(format!(
        "memory minimum size of {} pages exceeds memory limits",
        ty.min_pages
    ))
}
