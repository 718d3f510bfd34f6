//! Linear memories: reservations that grow in place.

use crate::engine::Engine;
use crate::error::Error;
use crate::id::{MemoryId, assert_store};
use crate::image::Image;
use crate::limits::Ask;
use crate::pool::Slot;
use crate::shared::SharedMemory;
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
    /// Whether several threads may use it.
    pub shared: bool,
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
            shared: shape.shared,
            page_shift: shape.page_shift,
            min_pages: shape.min_pages,
            max_pages: shape.max_pages,
        }
    }

    /// Bytes in so many pages; saturates.
    pub(crate) fn bytes(&self, pages: u64) -> u64 {
        pages.saturating_mul(1 << self.page_shift)
    }

    fn min_bytes(&self) -> u64 {
        self.bytes(self.min_pages)
    }

    fn max_bytes(&self) -> Option<u64> {
        self.max_pages.map(|pages| self.bytes(pages))
    }

    /// Largest number of pages that indexes and the declared maximum allow.
    pub(crate) fn pages_max(&self) -> u64 {
        let by_index = match (self.is_64, self.page_shift) {
            (true, _) => u64::MAX,
            // All ones is what a growth that failed returns, so no size may be.
            (false, 0) => u64::from(u32::MAX) - 1,
            (false, shift) => 1 << (32 - shift),
        };
        self.max_pages.unwrap_or(by_index).min(by_index)
    }

    /// Its initial length, and the length that its address space has room for.
    pub(crate) fn initial(&self, engine: &Engine) -> Result<(u64, u64), Error> {
        let (bytes, max) = (self.min_bytes(), self.reservation_bytes(engine));
        if bytes > max || self.min_pages > self.pages_max() {
            return Err(too_large(*self));
        }
        Ok((bytes, max))
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

/// Where the bytes of a memory are.
#[derive(Debug)]
enum Pages {
    /// The store's own; taken out on drop only.
    Own(ManuallyDrop<Slot>),
    /// Other stores may have them too.
    Shared(SharedMemory),
}

/// Why there is no address space, or nothing to put there, for one more memory of so many bytes.
pub(crate) fn no_room(bytes: usize, error: io::Error) -> Error {
    if error.kind() != io::ErrorKind::OutOfMemory {
        let what = "cannot reserve a memory";
        return Error::Os { what, error };
    }
    Error::Limit(format!(
        "cannot reserve a memory: each one takes {} MiB of address space, of which a process has 128 TiB if nobody \
         limits it (`ulimit -v`), and two of the mappings that `vm.max_map_count` allows it; with a smaller \
         `memory_reservation` memories take less: {error}",
        bytes >> 20
    ))
}

/// A memory of a store.
#[derive(Debug)]
pub(crate) struct Memory {
    pages: Pages,
    /// Where pages of its own go in the end.
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
        let (bytes, bytes_max) = ty.initial(engine)?;
        let all = (bytes_max + engine.target().memory_guard_bytes) as usize;
        let slot = Slot::take(engine, all, bytes as usize, image).map_err(|error| no_room(all, error))?;
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
            pages: Pages::Own(ManuallyDrop::new(slot)),
            engine: engine.clone(),
            definition,
            _own: own,
            ty,
            bytes_max,
        })
    }

    /// A shared memory as one of the store.
    pub(crate) fn of_shared(engine: &Engine, shared: SharedMemory) -> Self {
        let ty = shared.ty();
        Self {
            definition: shared.definition(),
            _own: None,
            ty,
            bytes_max: ty.reservation_bytes(engine),
            pages: Pages::Shared(shared),
            engine: engine.clone(),
        }
    }

    /// The memory that other stores may have too, if it is one.
    pub(crate) fn shared(&self) -> Option<&SharedMemory> {
        match &self.pages {
            Pages::Own(_) => None,
            Pages::Shared(shared) => Some(shared),
        }
    }

    pub(crate) fn definition(&self) -> NonNull<Definition> {
        self.definition
    }

    pub(crate) fn base(&self) -> *mut u8 {
        match &self.pages {
            Pages::Own(slot) => slot.base(),
            Pages::Shared(shared) => shared.base(),
        }
    }

    /// Current length in bytes.
    pub(crate) fn bytes(&self) -> usize {
        if let Pages::Shared(shared) = &self.pages {
            return shared.bytes();
        }
        // SAFETY: the definition lives as long as the store; guest code may not write it.
        unsafe { (*self.definition.as_ptr()).length as usize }
    }

    /// Whether an address lies in the memory or where its accesses may fault.
    pub(crate) fn covers(&self, address: usize) -> bool {
        let reserved = match &self.pages {
            Pages::Own(slot) => slot.reserved_bytes(),
            Pages::Shared(shared) => shared.reserved_bytes(),
        };
        address.wrapping_sub(self.base() as usize) < reserved
    }

    /// Puts the module's image into the memory, unless it is there; what lay there is gone.
    pub(crate) fn map_image(&mut self, image: &Image) -> io::Result<()> {
        match &mut self.pages {
            Pages::Own(slot) => slot.map_image(image),
            Pages::Shared(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// Whether an image lies in it.
    pub(crate) fn has_image(&self) -> bool {
        matches!(&self.pages, Pages::Own(slot) if slot.has_image())
    }

    /// Largest size in pages that the type and the reservation allow.
    fn pages_max(&self) -> u64 {
        self.ty.pages_max().min(self.bytes_max >> self.ty.page_shift)
    }

    /// Grows it; its old size in pages, or why it cannot.
    fn grow(&mut self, delta_pages: u64) -> Result<u64, String> {
        let (old, pages_max) = (self.bytes() as u64 >> self.ty.page_shift, self.pages_max());
        let slot = match &mut self.pages {
            Pages::Own(slot) => slot,
            Pages::Shared(shared) => return shared.grow(delta_pages),
        };
        let new = old.saturating_add(delta_pages);
        if new > pages_max {
            return Err("the maximum size of the memory is reached".into());
        }
        let bytes = self.ty.bytes(new);
        slot.grow(bytes as usize)
            .map_err(|error| format!("the operating system gives no more memory: {error}"))?;
        // SAFETY: the definition lives as long as the store, and no guest code runs now.
        unsafe { (*self.definition.as_ptr()).length = bytes };
        Ok(old)
    }

    /// Copies bytes in, which fit.
    pub(crate) fn write(&mut self, at: usize, bytes: &[u8]) {
        match &self.pages {
            Pages::Own(_) => self.as_mut_slice()[at..at + bytes.len()].copy_from_slice(bytes),
            Pages::Shared(shared) => shared.write(at, bytes).expect("the caller checked bounds"),
        }
    }

    /// Copies bytes out, which are inside.
    pub(crate) fn read(&self, at: usize, bytes: &mut [u8]) {
        match &self.pages {
            Pages::Own(_) => bytes.copy_from_slice(&self.as_slice()[at..at + bytes.len()]),
            Pages::Shared(shared) => shared.read(at, bytes).expect("the caller checked bounds"),
        }
    }

    /// Fills bytes, which are inside.
    pub(crate) fn fill(&mut self, range: std::ops::Range<usize>, value: u8) {
        match &self.pages {
            Pages::Own(_) => self.as_mut_slice()[range].fill(value),
            Pages::Shared(shared) => shared.fill(range.start, range.len(), value),
        }
    }

    /// Copies bytes inside; the ranges may overlap.
    pub(crate) fn copy_within(&mut self, from: usize, to: usize, len: usize) {
        match &self.pages {
            Pages::Own(_) => self.as_mut_slice().copy_within(from..from + len, to),
            Pages::Shared(shared) => shared.copy_within(from, to, len),
        }
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        assert!(
            self.shared().is_none(),
            "nobody borrows the bytes of a shared memory"
        );
        // SAFETY: the bytes below the length are committed; the store is borrowed, so that no
        // guest code changes them meanwhile.
        unsafe { std::slice::from_raw_parts(self.base(), self.bytes()) }
    }

    pub(crate) fn as_mut_slice(&mut self) -> &mut [u8] {
        assert!(
            self.shared().is_none(),
            "nobody borrows the bytes of a shared memory"
        );
        // SAFETY: as above, borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.base(), self.bytes()) }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        let Pages::Own(slot) = &mut self.pages else {
            return;
        };
        // SAFETY: taken once, here.
        let slot = unsafe { ManuallyDrop::take(slot) };
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
        let engine = &self.fields.engine;
        let memory = match ty.shared {
            true => Memory::of_shared(engine, SharedMemory::new(engine, ty)?),
            false => Memory::new(engine, ty, definition, image)?,
        };
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
        let (old_bytes, ty) = (memory.bytes(), memory.ty);
        let old = old_bytes as u64 >> ty.page_shift;
        if delta_pages == 0 {
            return Ok(Some(old));
        }
        let desired = ty.bytes(old.saturating_add(delta_pages));
        let ask = Ask::MemoryGrowing(old_bytes, desired as usize, max_bytes(ty));
        if !self.may_grow(ask).map_err(Error::host)? {
            return Ok(None);
        }
        match self.fields.memories[index].grow(delta_pages) {
            Ok(old) => Ok(Some(old)),
            Err(failed) => {
                self.ask_limiter(Ask::MemoryFailed(&failed))
                    .map_err(Error::host)?;
                Ok(None)
            }
        }
    }

    /// The name in this store of a shared memory; the same one each time.
    ///
    /// # Errors
    /// If the store may not have another memory.
    ///
    /// # Panics
    /// If the memory belongs to another engine.
    pub fn add_shared_memory(&mut self, shared: &SharedMemory) -> Result<MemoryId, Error> {
        assert!(
            shared.engine().same(&self.fields.engine),
            "a shared memory used with a store of another engine"
        );
        let memories = &self.fields.memories;
        let known = memories
            .iter()
            .position(|memory| memory.shared().is_some_and(|other| other.same(shared)));
        let index = match known {
            Some(index) => index,
            None => {
                self.may_have(Ask::Memories, "memory", self.fields.memories.len(), 1)?;
                let memory = Memory::of_shared(&self.fields.engine, shared.clone());
                self.fields.memories.push(memory);
                self.fields.memories.len() - 1
            }
        };
        Ok(MemoryId::new(self.id(), index as u32))
    }

    /// The memory that other stores may have too, if it is one.
    pub fn shared_memory(&self, memory: MemoryId) -> Option<SharedMemory> {
        self.memory_at(memory).shared().cloned()
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
