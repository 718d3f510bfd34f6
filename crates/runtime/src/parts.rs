//! What a store has from the allocator, to be used again by the next one: lists, the block of arguments,
//! the memory of contexts. With it a store and an instance like the last are made without allocating.
//!
//! Guarantees that nothing in it is anybody's: lists are empty, and what contexts say is written anew
//! before anybody reads it. The block is not cleared: that guest code reads no place of it but those that
//! were written for it is proved of all code that runs. What is large is given back to the allocator.

use crate::context::Context;
use crate::exception::Tag;
use crate::func::{FuncEntry, FuncSpace};
use crate::global::HostGlobal;
use crate::id::{Extern, FuncId, GlobalId};
use crate::instance::Instance;
use crate::memory::Memory;
use crate::table::Table;
use crate::value::Block;
use cellwall_abi::context;
use cellwall_base::{DataIdx, ElemIdx, IdMap, MemoryIdx, TableIdx, TagIdx};
use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::any::Any;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Stores whose parts an engine keeps.
pub(crate) const PARTS_KEPT_MAX: usize = 32;
/// A list or a context that takes more is not kept.
const KEPT_BYTES_MAX: usize = 16 << 10;
/// Instances, and tables, of one store whose parts are kept.
const ROOMS_KEPT_MAX: usize = 8;

/// The parts of a store.
pub(crate) struct Parts {
    pub(crate) block: BlockRoom,
    pub(crate) host_context: Context,
    pub(crate) stopped: Arc<AtomicBool>,
    pub(crate) instances: Vec<Instance>,
    pub(crate) memories: Vec<Memory>,
    pub(crate) tables: Vec<Table>,
    pub(crate) globals: Vec<HostGlobal>,
    pub(crate) tags: Vec<Tag>,
    pub(crate) externs: Vec<Arc<dyn Any + Send + Sync>>,
    pub(crate) funcs: FuncSpace,
    pub(crate) rooms: Rooms,
}

// SAFETY: lists are empty; contexts and the block are memory that nobody refers to.
unsafe impl Send for Parts {}

/// What instances leave behind, and lists that are needed while one is made.
#[derive(Debug, Default)]
pub(crate) struct Rooms {
    instances: Vec<Room>,
    /// Elements of tables of functions.
    entries: Vec<Vec<FuncEntry>>,
    imports: Vec<Extern>,
}

/// What an instance has from the allocator.
#[derive(Debug)]
pub(crate) struct Room {
    pub(crate) context: Context,
    pub(crate) memories: IdMap<MemoryIdx, u32>,
    pub(crate) tables: IdMap<TableIdx, u32>,
    pub(crate) tags: IdMap<TagIdx, u32>,
    pub(crate) globals_imported: Vec<GlobalId>,
    pub(crate) funcs_imported: Vec<FuncId>,
    pub(crate) data_dropped: IdMap<DataIdx, bool>,
    pub(crate) elem_dropped: IdMap<ElemIdx, bool>,
}

/// The memory of a block.
#[derive(Debug)]
pub(crate) struct BlockRoom(pub(crate) NonNull<Block>);

impl BlockRoom {
    fn new() -> Self {
        let layout = Layout::new::<Block>();
        // SAFETY: a block has a size.
        let block = unsafe { alloc_zeroed(layout) };
        match NonNull::new(block.cast::<Block>()) {
            Some(block) => Self(block),
            None => handle_alloc_error(layout),
        }
    }
}

impl Drop for BlockRoom {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout, by `new`, and owned by this value.
        unsafe { dealloc(self.0.as_ptr().cast(), Layout::new::<Block>()) };
    }
}

impl Parts {
    pub(crate) fn new() -> Self {
        Self {
            block: BlockRoom::new(),
            host_context: Context::new(&[0; context::HEADER_BYTES as usize]),
            stopped: Arc::default(),
            instances: Vec::new(),
            memories: Vec::new(),
            tables: Vec::new(),
            globals: Vec::new(),
            tags: Vec::new(),
            externs: Vec::new(),
            funcs: FuncSpace::default(),
            rooms: Rooms::default(),
        }
    }
}

/// The list without what was in it, if it is worth keeping.
pub(crate) fn kept<T>(list: &mut Vec<T>) -> Vec<T> {
    let mut list = std::mem::take(list);
    list.clear();
    match list.capacity() * size_of::<T>() <= KEPT_BYTES_MAX {
        true => list,
        false => Vec::new(),
    }
}

impl Rooms {
    /// Keeps what instances and tables have; both lists are empty afterwards.
    pub(crate) fn refill(&mut self, instances: &mut Vec<Instance>, tables: &mut Vec<Table>) {
        for instance in instances.drain(..) {
            let room = instance.into_room();
            if self.instances.len() < ROOMS_KEPT_MAX && room.bytes() <= KEPT_BYTES_MAX {
                self.instances.push(room);
            }
        }
        for table in tables.drain(..) {
            if let Some(mut entries) = table.into_entries()
                && self.entries.len() < ROOMS_KEPT_MAX
            {
                self.entries.push(kept(&mut entries));
            }
        }
    }

    /// Room for an instance whose context is a copy of `template`.
    pub(crate) fn instance(&mut self, template: &[u8]) -> Room {
        match self.instances.pop() {
            Some(mut room) => {
                room.context.again(template);
                room
            }
            None => Room::new(template),
        }
    }

    /// An empty list for the elements of a table.
    pub(crate) fn entries(&mut self) -> Vec<FuncEntry> {
        self.entries.pop().unwrap_or_default()
    }

    /// An empty list for imports.
    pub(crate) fn take_imports(&mut self) -> Vec<Extern> {
        std::mem::take(&mut self.imports)
    }

    /// Gives it back.
    pub(crate) fn keep_imports(&mut self, mut imports: Vec<Extern>) {
        self.imports = kept(&mut imports);
    }
}

impl Room {
    fn new(template: &[u8]) -> Self {
        Self {
            context: Context::new(template),
            memories: IdMap::new(),
            tables: IdMap::new(),
            tags: IdMap::new(),
            globals_imported: Vec::new(),
            funcs_imported: Vec::new(),
            data_dropped: IdMap::new(),
            elem_dropped: IdMap::new(),
        }
    }

    /// Empties all lists.
    pub(crate) fn clear(&mut self) {
        self.memories.clear();
        self.tables.clear();
        self.tags.clear();
        self.globals_imported.clear();
        self.funcs_imported.clear();
        self.data_dropped.clear();
        self.elem_dropped.clear();
    }

    /// About what it takes.
    fn bytes(&self) -> usize {
        self.context.room()
            + size_of::<u32>() * (self.memories.capacity() + self.tables.capacity() + self.tags.capacity())
            + size_of::<GlobalId>() * self.globals_imported.capacity()
            + size_of::<FuncId>() * self.funcs_imported.capacity()
            + self.data_dropped.capacity()
            + self.elem_dropped.capacity()
    }
}
