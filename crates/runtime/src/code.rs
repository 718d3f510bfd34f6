//! Code: verified artifacts in executable memory.
//!
//! [`Code::map`] and [`Code::map_in_place`] are the only functions that make memory executable, and
//! they take a [`Verified`]. Code is either copied to pages of its own, which are written before they
//! become executable, or runs where it lies in a [`Frozen`] file; no page is ever writable and
//! executable, and none that is executable was writable after it was verified.

use crate::arena::{ArenaPages, arena};
use crate::engine::Engine;
use crate::error::Error;
use crate::frozen::{Frozen, FrozenPages};
use crate::func::FuncEntry;
use crate::image::MemoryImages;
use crate::sys::{self, page_up};
use cellwall_abi::artifact::{Artifact, PADDING};
use cellwall_abi::context::{self, ContextLayout};
use cellwall_abi::shape::{DataSegment, Item, TagShape};
use cellwall_abi::{LibCall, Shape, Signature, Target};
use cellwall_base::types::RefType;
use cellwall_base::{EntityId, FuncIdx, IdMap, TypeIdx};
use cellwall_verify::Verified;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock, Weak};

/// Verified code of one module, mapped for one engine.
pub struct Code {
    /// Keep the code where it is.
    _pages: Pages,
    /// Address of the first byte of the text.
    start: usize,
    verified: Verified,
    engine: Engine,
    pub(crate) layout: ContextLayout,
    /// Engine-wide numbers of the types.
    pub(crate) signatures: IdMap<TypeIdx, u32>,
    /// What the context of every instance starts as.
    pub(crate) template: Vec<u8>,
    pub(crate) images: MemoryImages,
    /// The types of its own tags, in order.
    pub(crate) tag_types: Vec<Arc<Signature>>,
}

/// Where code lies.
#[expect(dead_code, reason = "what is inside is kept for as long as the code lives")]
enum Pages {
    Own(ArenaPages),
    Frozen(Arc<FrozenPages>),
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
        check(engine, verified.artifact())?;
        let (pages, start) = copy(verified.artifact())?;
        Ok(Self::new(engine, verified, pages, start))
    }

    /// Like [`map`](Self::map), and without copying if the code of the artifact lies in this file,
    /// at whole pages and with nothing but padding in the last one.
    ///
    /// # Errors
    /// As [`map`](Self::map).
    pub fn map_in_place(engine: &Engine, verified: Verified, file: Frozen) -> Result<Arc<Self>, Error> {
        check(engine, verified.artifact())?;
        let (pages, start) = match seal_in_place(verified.artifact(), &file) {
            Some(start) => (Pages::Frozen(file.into_pages()), start),
            None => copy(verified.artifact())?,
        };
        Ok(Self::new(engine, verified, pages, start))
    }

    fn new(engine: &Engine, verified: Verified, pages: Pages, start: usize) -> Arc<Self> {
        let artifact = verified.artifact();
        let layout = ContextLayout::new(&artifact.shape);
        let signatures = engine.type_numbers(&artifact.shape);
        let template = template(&artifact.shape, &layout, &signatures);
        let images = MemoryImages::new(artifact);
        let own_tags = artifact.shape.tags.values().filter(|tag| !tag.imported);
        let tag_type = |tag: &TagShape| Arc::new(artifact.shape.types[tag.ty].clone());
        let tag_types = own_tags.map(tag_type).collect();
        let code = Arc::new(Self {
            _pages: pages,
            start,
            engine: engine.clone(),
            layout,
            signatures,
            template,
            images,
            tag_types,
            verified,
        });
        REGISTRY
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(code.start(), Arc::downgrade(&code));
        code
    }

    /// The artifact that was verified.
    pub fn artifact(&self) -> &Artifact {
        self.verified.artifact()
    }

    /// The module from outside.
    pub fn shape(&self) -> &Shape {
        &self.artifact().shape
    }

    /// A reference type of the module as one of the engine.
    pub fn exact(&self, ty: Option<RefType>) -> Option<RefType<u32>> {
        Some(ty?.map(|ty| self.signatures[ty]))
    }

    /// The number of a type of the module in the engine.
    ///
    /// # Panics
    /// If it is out of range.
    pub fn type_number(&self, ty: TypeIdx) -> u32 {
        self.signatures[ty]
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
        self.start
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

    /// Whether a function may be entered in any instance, as the verifier found.
    pub(crate) fn is_detached(&self, func: FuncIdx) -> bool {
        self.verified.is_detached(func)
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

fn check(engine: &Engine, artifact: &Artifact) -> Result<(), Error> {
    check_target(&artifact.target, engine.target())?;
    check_order(artifact)
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
    // What is not about safety, but was asked for: the same results on every processor.
    let chosen = (given.relaxed_simd_deterministic && !relied.relaxed_simd_deterministic)
        || (given.canonical_nans && !relied.canonical_nans);
    if chosen {
        return Err(Error::Limit(
            "the code was compiled without the deterministic operators that this engine asks for".into(),
        ));
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
    let (mut funcs, mut tables, mut memories, mut globals, mut tags) = (0, 0, 0, 0, 0);
    let mut in_order = true;
    for import in &shape.imports {
        let (index, next) = match import.item {
            Item::Func(i) => (i.index(), &mut funcs),
            Item::Table(i) => (i.index(), &mut tables),
            Item::Memory(i) => (i.index(), &mut memories),
            Item::Global(i) => (i.index(), &mut globals),
            Item::Tag(i) => (i.index(), &mut tags),
        };
        in_order &= index == *next;
        *next += 1;
    }
    in_order &= funcs == shape.imported_funcs as usize
        && (shape.tables.iter()).all(|(i, table)| table.imported == (i.index() < tables))
        && (shape.memories.iter()).all(|(i, memory)| memory.imported == (i.index() < memories))
        && (shape.globals.iter()).all(|(i, global)| global.imported == (i.index() < globals))
        && (shape.tags.iter()).all(|(i, tag)| tag.imported == (i.index() < tags));
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

/// Makes a copy of the code executable; the address of its first byte.
fn copy(artifact: &Artifact) -> Result<(Pages, usize), Error> {
    let text_bytes = artifact.rodata_offset() as usize;
    let used = text_bytes + page_up(artifact.rodata.len());
    let mut pages = arena()?.allocate(used)?;
    let filled = pages.fill(used, |image| {
        let (text, rodata) = image.split_at_mut(text_bytes);
        text[..artifact.text.len()].copy_from_slice(&artifact.text);
        text[artifact.text.len()..].fill(PADDING);
        rodata[..artifact.rodata.len()].copy_from_slice(&artifact.rodata);
        Ok(())
    });
    let sealed = filled.and_then(|()| pages.seal_code(0, text_bytes));
    sealed.map_err(|error| Error::Os {
        what: "cannot map code",
        error,
    })?;
    let start = pages.start();
    Ok((Pages::Own(pages), start))
}

/// Makes the code of an artifact executable where it lies in the file, if it lies there as in the
/// image; the address of its first byte.
fn seal_in_place(artifact: &Artifact, file: &Frozen) -> Option<usize> {
    let text = file.offset_of(&artifact.text)?;
    let text_bytes = artifact.rodata_offset() as usize;
    let in_place = text.is_multiple_of(sys::PAGE)
        && !artifact.text.is_empty()
        && (artifact.rodata.is_empty() || file.offset_of(&artifact.rodata) == Some(text + text_bytes));
    let bytes = file.bytes();
    // The rest of the last page becomes executable with it.
    let rest = bytes.get(text + artifact.text.len()..text + text_bytes)?;
    if !in_place || rest.iter().any(|&byte| byte != PADDING) {
        return None;
    }
    let pages = file.pages();
    // If the system refuses, for example because the file may not be run, a copy can be run.
    pages.seal_code(text, text_bytes).ok()?;
    Some(pages.start() + text)
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
    put(context::CALL_REF, &sys::call_ref_stub().to_ne_bytes());
    put(
        context::CALLABLE,
        &FuncEntry::none_callable().as_ptr().addr().to_ne_bytes(),
    );
    for ty in shape.types.ids() {
        put(layout.signature(ty), &signatures[ty].to_ne_bytes());
    }
    bytes
}
