//! Code: verified artifacts in executable memory.
//!
//! [`Code::map`] is the only function that makes memory executable, and it takes a [`Verified`].
//! All code lies in one arena of address space, so that a signal handler knows guest code by two
//! compares. Pages are written while they are readable and writable, then become executable or
//! read-only; never both.

use crate::engine::Engine;
use crate::error::Error;
use crate::image::MemoryImages;
use crate::sys::{self, Reservation, page_up};
use cellwall_abi::artifact::{Artifact, PADDING};
use cellwall_abi::context::{self, ContextLayout};
use cellwall_abi::shape::{DataSegment, Item};
use cellwall_abi::{LibCall, Shape, Target};
use cellwall_base::{EntityId, FuncIdx, IdMap, TypeIdx};
use cellwall_verify::Verified;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock, Weak};

/// Address space for the code of a process.
const ARENA_BYTES: usize = 64 << 30;

static ARENA_START: AtomicUsize = AtomicUsize::new(0);
static ARENA_END: AtomicUsize = AtomicUsize::new(0);

/// Whether an address lies in the code arena. Safe in a signal handler.
#[inline]
pub(crate) fn in_arena(pc: usize) -> bool {
    pc >= ARENA_START.load(Ordering::Relaxed) && pc < ARENA_END.load(Ordering::Relaxed)
}

struct Arena {
    reservation: Reservation,
    /// Free ranges, by first byte; never two that touch.
    free: Mutex<BTreeMap<usize, usize>>,
}

fn arena() -> Result<&'static Arena, Error> {
    static ARENA: OnceLock<Arena> = OnceLock::new();
    static MAKING: Mutex<()> = Mutex::new(());
    let _making = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(arena) = ARENA.get() {
        return Ok(arena);
    }
    let reservation = Reservation::new(ARENA_BYTES).map_err(|error| Error::Os {
        what: "cannot reserve address space for code",
        error,
    })?;
    ARENA_START.store(reservation.base() as usize, Ordering::Relaxed);
    ARENA_END.store(reservation.base() as usize + ARENA_BYTES, Ordering::Relaxed);
    Ok(ARENA.get_or_init(|| Arena {
        reservation,
        free: Mutex::new(BTreeMap::from([(0, ARENA_BYTES)])),
    }))
}

impl Arena {
    fn allocate(&self, bytes: usize) -> Option<usize> {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let (&start, &len) = free.iter().find(|&(_, &len)| len >= bytes)?;
        free.remove(&start);
        if len > bytes {
            free.insert(start + bytes, len - bytes);
        }
        Some(start)
    }

    fn free(&self, mut start: usize, mut bytes: usize) {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(len) = free.remove(&(start + bytes)) {
            bytes += len;
        }
        if let Some((&below, &len)) = free.range(..start).next_back()
            && below + len == start
        {
            start = below;
            bytes += len;
        }
        free.insert(start, bytes);
    }
}

/// Pages of the arena; given back on drop.
struct ArenaPages {
    arena: &'static Arena,
    offset: usize,
    bytes: usize,
}

impl Drop for ArenaPages {
    fn drop(&mut self) {
        // SAFETY: the code is gone with the last instance that could run it.
        let released = unsafe { self.arena.reservation.release(self.offset, self.bytes) };
        // Pages that the kernel would not take back are not used again.
        if released.is_ok() {
            self.arena.free(self.offset, self.bytes);
        }
    }
}

/// Verified code of one module, mapped for one engine.
pub struct Code {
    pages: ArenaPages,
    verified: Verified,
    engine: Engine,
    pub(crate) layout: ContextLayout,
    /// Engine-wide numbers of the types.
    pub(crate) signatures: IdMap<TypeIdx, u32>,
    /// What the context of every instance starts as.
    pub(crate) template: Vec<u8>,
    pub(crate) images: MemoryImages,
}

/// Living code by its first address.
static REGISTRY: RwLock<BTreeMap<usize, Weak<Code>>> = RwLock::new(BTreeMap::new());

impl Code {
    /// Makes verified code executable.
    ///
    /// # Errors
    /// If the engine's memories or stacks, or the processor, give less than the proof relied on,
    /// or the operating system refuses.
    pub fn map(engine: &Engine, verified: Verified) -> Result<Arc<Self>, Error> {
        let artifact = verified.artifact();
        check_target(&artifact.target, engine.target())?;
        check_order(artifact)?;
        let pages = map_pages(artifact)?;
        let layout = ContextLayout::new(&artifact.shape);
        let signatures: IdMap<TypeIdx, u32> = artifact
            .shape
            .types
            .values()
            .map(|signature| engine.signature_number(signature))
            .collect();
        let template = template(&artifact.shape, &layout, &signatures);
        let images = MemoryImages::new(artifact);
        let code = Arc::new(Self {
            pages,
            engine: engine.clone(),
            layout,
            signatures,
            template,
            images,
            verified,
        });
        REGISTRY
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(code.start(), Arc::downgrade(&code));
        Ok(code)
    }

    /// The artifact that was verified.
    pub fn artifact(&self) -> &Artifact {
        self.verified.artifact()
    }

    /// The module from outside.
    pub fn shape(&self) -> &Shape {
        &self.artifact().shape
    }

    /// The engine that the code was mapped for.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Address of the first byte of the text, for profilers.
    pub fn text_address(&self) -> usize {
        self.start()
    }

    /// Address of the first byte of the text.
    pub(crate) fn start(&self) -> usize {
        self.pages.arena.reservation.base() as usize + self.pages.offset
    }

    /// Program counter of an address in the text, if it is there.
    pub(crate) fn pc_of(&self, address: usize) -> Option<u32> {
        let offset = address.checked_sub(self.start())?;
        (offset < self.artifact().text.len()).then_some(offset as u32)
    }

    /// Address of a function that the artifact has.
    ///
    /// # Errors
    /// If the artifact was made without it.
    pub(crate) fn function(&self, func: FuncIdx) -> Result<usize, Error> {
        match self.artifact().func_range(func) {
            Some(range) => Ok(self.start() + range.start as usize),
            None => Err(Error::Type(format!(
                "the artifact has no code for function {func}"
            ))),
        }
    }

    /// The code whose text has the byte at this address.
    pub(crate) fn at(address: usize) -> Option<Arc<Self>> {
        let below = {
            let registry = REGISTRY.read().unwrap_or_else(PoisonError::into_inner);
            registry.range(..=address).next_back()?.1.clone()
        };
        // Not under the lock: this may turn out to be the last user, whose drop takes it.
        below.upgrade().filter(|code| code.pc_of(address).is_some())
    }
}

impl Drop for Code {
    fn drop(&mut self) {
        REGISTRY
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.start());
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Code({} functions)", self.artifact().funcs.len())
    }
}

/// Walls V7: what the proof relied on must hold here.
fn check_target(relied: &Target, given: &Target) -> Result<(), Error> {
    let (need, have) = (relied.features, crate::engine::host_features());
    let missing = [
        ("popcnt", need.popcnt && !have.popcnt),
        ("lzcnt", need.lzcnt && !have.lzcnt),
        ("bmi1", need.bmi1 && !have.bmi1),
        ("bmi2", need.bmi2 && !have.bmi2),
        ("avx", need.avx && !have.avx),
        ("avx2", need.avx2 && !have.avx2),
        ("fma", need.fma && !have.fma),
    ];
    if let Some((name, _)) = missing.into_iter().find(|&(_, missing)| missing) {
        return Err(Error::Limit(format!(
            "the code needs the processor feature {name}, which is missing here"
        )));
    }
    let small = if relied.memory_reservation_bytes > given.memory_reservation_bytes {
        "memory reservations"
    } else if relied.memory_guard_bytes > given.memory_guard_bytes {
        "memory guards"
    } else if relied.stack_guard_bytes > given.stack_guard_bytes {
        "stack guards"
    } else {
        return Ok(());
    };
    Err(Error::Limit(format!(
        "the code relies on larger {small} than this engine makes"
    )))
}

/// Whether imports come first and in order, as instantiation takes them, and segments have their
/// bytes: facts that are not about code.
fn check_order(artifact: &Artifact) -> Result<(), Error> {
    let shape = &artifact.shape;
    let (mut funcs, mut tables, mut memories, mut globals) = (0, 0, 0, 0);
    let mut in_order = true;
    for import in &shape.imports {
        let (index, next) = match import.item {
            Item::Func(i) => (i.index(), &mut funcs),
            Item::Table(i) => (i.index(), &mut tables),
            Item::Memory(i) => (i.index(), &mut memories),
            Item::Global(i) => (i.index(), &mut globals),
        };
        in_order &= index == *next;
        *next += 1;
    }
    in_order &= funcs == shape.imported_funcs as usize
        && (shape.tables.iter()).all(|(i, table)| table.imported == (i.index() < tables))
        && (shape.memories.iter()).all(|(i, memory)| memory.imported == (i.index() < memories))
        && (shape.globals.iter()).all(|(i, global)| global.imported == (i.index() < globals));
    if !in_order {
        return Err(Error::Type("the imports of the module are not in order".into()));
    }
    let have = artifact.data.len() as u32;
    let bytes = |segment: &DataSegment| segment.bytes.start <= segment.bytes.end && segment.bytes.end <= have;
    if !shape.data.values().all(bytes) {
        return Err(Error::Type("the bytes of a data segment are missing".into()));
    }
    Ok(())
}

fn map_pages(artifact: &Artifact) -> Result<ArenaPages, Error> {
    let arena = arena()?;
    let text_bytes = artifact.rodata_offset() as usize;
    // One page more stays without access, so that neighbours never touch.
    let used = text_bytes + page_up(artifact.rodata.len());
    let bytes = used + sys::PAGE;
    let offset = arena
        .allocate(bytes)
        .ok_or_else(|| Error::Limit("the address space for code is used up".into()))?;
    let pages = ArenaPages { arena, offset, bytes };
    let os = |error| Error::Os {
        what: "cannot map code",
        error,
    };
    arena.reservation.commit(offset, used).map_err(os)?;
    // SAFETY: the pages were allocated to this code alone and are inside the reservation.
    let start = unsafe { arena.reservation.base().add(offset) };
    // SAFETY: they are writable, and nobody else refers to them.
    let image = unsafe { std::slice::from_raw_parts_mut(start, used) };
    let (text, rodata) = image.split_at_mut(text_bytes);
    text[..artifact.text.len()].copy_from_slice(&artifact.text);
    text[artifact.text.len()..].fill(PADDING);
    rodata[..artifact.rodata.len()].copy_from_slice(&artifact.rodata);
    arena.reservation.seal_code(offset, text_bytes).map_err(os)?;
    arena
        .reservation
        .seal_rodata(offset + text_bytes, used - text_bytes)
        .map_err(os)?;
    Ok(pages)
}

/// The part of a context that is the same in every instance.
fn template(shape: &Shape, layout: &ContextLayout, signatures: &IdMap<TypeIdx, u32>) -> Vec<u8> {
    let mut bytes = vec![0; layout.bytes() as usize];
    let mut put = |offset: u32, value: &[u8]| {
        bytes[offset as usize..offset as usize + value.len()].copy_from_slice(value);
    };
    for &call in LibCall::ALL {
        put(
            context::library_offset(call),
            &sys::library_stub(call).to_ne_bytes(),
        );
    }
    for ty in shape.types.ids() {
        put(layout.signature(ty), &signatures[ty].to_ne_bytes());
    }
    bytes
}
