//! What memories, globals and sizes are known to hold at a place of a function.
//!
//! A state is a short list of places with the values that they hold. A store ends what may overlap
//! it, a call ends everything. Where ways meet, that stays which holds on all of them; at the head
//! of a loop, that which nothing in the loop ends.
//!
//! Requires blocks in reverse post-order. Guarantees that the work is limited by a multiple of the
//! function's size: beyond it, states are empty.
//!
//! That a place is known means that it was accessed and lies in the memory, which never shrinks: an
//! access of the same bytes does not trap. Two accesses are of the same bytes only if address and
//! offset are the same; they are apart if the distance modulo 2^32, which index arithmetic keeps,
//! says so.

use super::loops::Loops;
use cellwall_base::IdMap;
use cellwall_ir::{BinaryOp, Block, Dominators, Func, InstData, LoadOp, StoreOp, Type, UnaryOp, Value};
use std::rc::Rc;

/// Places that a state may hold; the oldest goes first.
const ENTRIES_MAX: usize = 32;
/// Entries that may be copied for each instruction of the function, and for every function.
const COPIES_PER_INST: usize = 8;
const COPIES_MIN: usize = 1 << 12;
/// Operators that are looked through for the base of an address.
const ROOT_STEPS_MAX: usize = 4;

/// What has a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Space {
    Memory(u32),
    Global(u32),
    MemorySize(u32),
    TableSize(u32),
}

/// What comes from outside: how many memories and globals are imported, which may be one and the same,
/// and come first; and what other threads change.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Imports {
    pub(crate) memories: u32,
    pub(crate) globals: u32,
    /// The bits of shared memories.
    pub(crate) shared: u64,
}

impl Imports {
    fn may_be_same(self, x: Space, y: Space) -> bool {
        match (x, y) {
            (Space::Memory(x), Space::Memory(y)) => x.max(y) < self.memories,
            (Space::Global(x), Space::Global(y)) => x.max(y) < self.globals,
            _ => false,
        }
    }

    /// The bits of what may change with this one: imported ones share a bit, as do those beyond
    /// the 63rd.
    pub(super) fn bit(imported: u32, index: u32) -> u64 {
        match index.checked_sub(imported) {
            None => 1,
            Some(own) => 2 << own.min(62),
        }
    }
}

/// How the value of a place is the bytes of a memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Form {
    /// The bytes of the value.
    Whole,
    /// The value was stored in part.
    Stored(StoreOp),
    /// The value was loaded by an operator that extends.
    Loaded(LoadOp),
}

impl Form {
    /// The form of what a load gives.
    pub(super) fn of_load(op: LoadOp) -> Self {
        match op {
            LoadOp::Full => Self::Whole,
            other => Self::Loaded(other),
        }
    }

    /// The form of what a store stores.
    pub(super) fn of_store(op: StoreOp) -> Self {
        match op {
            StoreOp::Full => Self::Whole,
            other => Self::Stored(other),
        }
    }
}

/// A place: an access without its value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Place {
    space: Space,
    addr: Value,
    offset: u32,
    bytes: u32,
    /// The address is `root + distance` modulo 2^32; without root it is the distance.
    root: Option<Value>,
    distance: u32,
}

impl Place {
    /// A place outside of memories.
    pub(super) fn of(space: Space) -> Self {
        Self {
            space,
            addr: Value::from_u32(0),
            offset: 0,
            bytes: 0,
            root: None,
            distance: 0,
        }
    }

    /// The bytes of an access.
    pub(super) fn access(func: &Func, memory: u32, addr: Value, offset: u32, bytes: u32) -> Self {
        let (root, distance) = root(func, addr);
        Self {
            space: Space::Memory(memory),
            addr,
            offset,
            bytes,
            root,
            distance: distance.wrapping_add(offset),
        }
    }

    fn is_same(&self, other: &Self) -> bool {
        (self.space, self.addr, self.offset, self.bytes)
            == (other.space, other.addr, other.offset, other.bytes)
    }

    fn may_overlap(&self, other: &Self, imports: Imports) -> bool {
        if self.space != other.space {
            return imports.may_be_same(self.space, other.space);
        }
        let behind = self.distance.wrapping_sub(other.distance);
        let before = other.distance.wrapping_sub(self.distance);
        self.root != other.root || behind < other.bytes || before < self.bytes || self.bytes == 0
    }
}

/// The value and the constant, modulo 2^32, that an address is the sum of.
fn root(func: &Func, addr: Value) -> (Option<Value>, u32) {
    let (mut at, mut distance) = (addr, 0u32);
    for _ in 0..ROOT_STEPS_MAX {
        let Some(inst) = func.def_inst(at) else { break };
        at = match func.insts[inst].data {
            InstData::Const { bits } => return (None, distance.wrapping_add(bits as u32)),
            InstData::BoundsCheck { addr, .. } => addr,
            InstData::Unary {
                op: UnaryOp::ExtendU,
                arg,
            } => arg,
            InstData::Binary {
                op: BinaryOp::Add,
                args: [x, y],
            } => match func.constant(y) {
                Some(bits) => {
                    distance = distance.wrapping_add(bits as u32);
                    x
                }
                None => break,
            },
            _ => break,
        };
    }
    (Some(at), distance)
}

/// What a place holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Entry {
    place: Place,
    pub(super) form: Form,
    pub(super) value: Value,
}

/// What instructions may change, summed up.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Effects {
    pub(super) everything: bool,
    memories: u64,
    globals: u64,
}

impl Effects {
    fn add(&mut self, imports: Imports, data: &InstData) {
        match *data {
            InstData::Store { memory, .. } => {
                self.memories |= Imports::bit(imports.memories, memory.as_u32())
            }
            InstData::GlobalSet { global, .. } => {
                self.globals |= Imports::bit(imports.globals, global.as_u32())
            }
            InstData::Call { .. }
            | InstData::CallIndirect { .. }
            | InstData::CallRef { .. }
            | InstData::CallLibrary { .. }
            | InstData::Throw { .. }
            | InstData::Atomic { .. }
            | InstData::Fence => {
                self.everything = true;
            }
            _ => {}
        }
    }

    fn join(&mut self, other: Self) {
        self.everything |= other.everything;
        self.memories |= other.memories;
        self.globals |= other.globals;
    }

    pub(super) fn ends(&self, imports: Imports, space: Space) -> bool {
        self.everything
            || match space {
                Space::Memory(memory) => self.memories & Imports::bit(imports.memories, memory) != 0,
                Space::Global(global) => self.globals & Imports::bit(imports.globals, global) != 0,
                Space::MemorySize(_) | Space::TableSize(_) => false,
            }
    }
}

/// The states of a function.
pub(super) struct Known {
    /// The state at the end of each block that was walked.
    exits: IdMap<Block, Option<Rc<Vec<Entry>>>>,
    /// What each loop changes, by its head.
    loops: IdMap<Block, Option<Effects>>,
    /// The state here.
    state: Rc<Vec<Entry>>,
    copies_left: usize,
    imports: Imports,
}

impl Known {
    /// Nothing is known yet.
    pub(super) fn new(func: &Func, dominators: &Dominators, loops: &Loops, imports: Imports) -> Self {
        Self {
            exits: IdMap::filled(None, func.blocks.len()),
            loops: loop_effects(func, dominators, loops, imports),
            state: Rc::default(),
            copies_left: COPIES_MIN + COPIES_PER_INST * func.insts.len(),
            imports,
        }
    }

    /// Goes to the start of a block.
    pub(super) fn enter(&mut self, dominators: &Dominators, block: Block) {
        self.state = self.meet(dominators, block);
        let imports = self.imports;
        if let Some(effects) = self.loops[block] {
            let ends = |entry: &Entry| effects.ends(imports, entry.place.space);
            if self.state.iter().any(ends) {
                self.change(|state| state.retain(|entry| !ends(entry)));
            }
        }
    }

    /// Goes away from the end of a block.
    pub(super) fn leave(&mut self, block: Block) {
        self.exits[block] = Some(self.state.clone());
    }

    /// What holds at the end of all blocks before this one.
    fn meet(&mut self, dominators: &Dominators, block: Block) -> Rc<Vec<Entry>> {
        let mut met: Option<Rc<Vec<Entry>>> = None;
        for &source in dominators.sources(block) {
            let Some(exit) = &self.exits[source] else {
                // The way back of a loop, of which the effects are known, or of some other circle.
                if dominators.dominates(block, source) {
                    continue;
                }
                return Rc::default();
            };
            let Some(met) = &mut met else {
                met = Some(exit.clone());
                continue;
            };
            if met.is_empty() {
                break;
            }
            if Rc::ptr_eq(met, exit) {
                continue;
            }
            let Some(left) = self.copies_left.checked_sub(met.len()) else {
                return Rc::default();
            };
            self.copies_left = left;
            let mut rest = exit.iter();
            // Mostly they are in the same order.
            let mut holds = |entry: &&Entry| {
                rest.as_slice().first() == Some(entry) && rest.next().is_some() || exit.contains(entry)
            };
            if !met.iter().all(|entry| holds(&entry)) {
                let both = met.iter().filter(|entry| exit.contains(entry));
                *met = Rc::new(both.copied().collect());
            }
        }
        met.unwrap_or_default()
    }

    fn change(&mut self, f: impl FnOnce(&mut Vec<Entry>)) {
        if Rc::get_mut(&mut self.state).is_none() {
            match self.copies_left.checked_sub(self.state.len()) {
                Some(left) => self.copies_left = left,
                None => {
                    self.copies_left = 0;
                    self.state = Rc::default();
                }
            }
        }
        f(Rc::make_mut(&mut self.state));
    }

    /// What a place is known to hold; several forms of it may be known.
    pub(super) fn get(&self, place: Place) -> impl Iterator<Item = &Entry> + use<'_> {
        let entries = self.state.iter().rev();
        entries.filter(move |entry| entry.place.is_same(&place))
    }

    /// A place was read and holds a value.
    pub(super) fn read(&mut self, place: Place, form: Form, value: Value) {
        self.change(|state| {
            if state.len() == ENTRIES_MAX {
                state.remove(0);
            }
            state.push(Entry { place, form, value });
        });
    }

    /// A place was written and holds a value; what overlaps it is not known any more.
    pub(super) fn written(&mut self, place: Place, form: Form, value: Value) {
        let imports = self.imports;
        self.change(|state| state.retain(|entry| !entry.place.may_overlap(&place, imports)));
        self.read(place, form, value);
    }

    /// Everything may have changed.
    pub(super) fn forget(&mut self) {
        self.state = Rc::default();
    }
}

/// What each loop changes, by its head.
fn loop_effects(
    func: &Func,
    dominators: &Dominators,
    loops: &Loops,
    imports: Imports,
) -> IdMap<Block, Option<Effects>> {
    let mut heads = IdMap::filled(None, func.blocks.len());
    let effects = loops.effects(func, dominators, imports);
    for (index, inner) in loops.all().iter().enumerate() {
        heads[inner.head] = Some(effects[index]);
    }
    heads
}

impl Loops {
    /// What each loop changes. Of a shared memory, a loop may wait for what another thread changes,
    /// without an atomic access too: `volatile` of C has none.
    pub(super) fn effects(&self, func: &Func, dominators: &Dominators, imports: Imports) -> Vec<Effects> {
        let others = Effects {
            memories: imports.shared,
            ..Effects::default()
        };
        let mut effects = vec![others; self.all().len()];
        if effects.is_empty() {
            return effects;
        }
        for &block in dominators.order() {
            if let Some(inner) = self.of_block(block) {
                for &inst in &func.blocks[block].insts {
                    effects[inner].add(imports, &func.insts[inst].data);
                }
            }
        }
        // Inner loops come first.
        for (index, inner) in self.all().iter().enumerate() {
            if let Some(parent) = inner.parent {
                let own = effects[index];
                effects[parent].join(own);
            }
        }
        effects
    }
}

/// How a place that holds `entry` gives what a load of the same bytes gives: the value, or the
/// operator that makes it of the value, with the mask for `And`.
pub(super) enum Given {
    Value,
    Unary(UnaryOp),
    Mask(u64),
}

impl Entry {
    /// What a load gives, made of the value.
    pub(super) fn load(&self, func: &Func, op: LoadOp, ty: Type) -> Option<(Value, Given)> {
        let held = func.ty(self.value);
        let mask = |bytes: u32| (1u64 << (8 * bytes)) - 1;
        let given = match (self.form, op) {
            (Form::Whole, LoadOp::Full) if held == ty => Given::Value,
            (Form::Whole, LoadOp::Full) if UnaryOp::Bitcast.accepts(held, ty) => {
                Given::Unary(UnaryOp::Bitcast)
            }
            (Form::Whole, LoadOp::U32) if held == Type::I32 => Given::Unary(UnaryOp::ExtendU),
            (Form::Whole, LoadOp::S32) if held == Type::I32 => Given::Unary(UnaryOp::ExtendS),
            (Form::Loaded(known), _) if known == op && held == ty => Given::Value,
            (Form::Stored(StoreOp::Low32), LoadOp::Full) if ty == Type::I32 => Given::Unary(UnaryOp::Wrap),
            (Form::Stored(_), LoadOp::U8 | LoadOp::U16 | LoadOp::U32) if held == ty => {
                Given::Mask(mask(op.bytes(ty)))
            }
            (Form::Stored(_), LoadOp::S8) if held == ty => Given::Unary(UnaryOp::SignExtend8),
            (Form::Stored(_), LoadOp::S16) if held == ty => Given::Unary(UnaryOp::SignExtend16),
            (Form::Stored(_), LoadOp::S32) if held == ty => Given::Unary(UnaryOp::SignExtend32),
            _ => return None,
        };
        Some((self.value, given))
    }

    /// Whether a store changes nothing.
    pub(super) fn is_stored(&self, form: Form, value: Value) -> bool {
        self.value == value
            && (self.form == form
                || matches!(
                    (self.form, form),
                    (Form::Loaded(LoadOp::U8 | LoadOp::S8), Form::Stored(StoreOp::Low8))
                        | (
                            Form::Loaded(LoadOp::U16 | LoadOp::S16),
                            Form::Stored(StoreOp::Low16)
                        )
                        | (
                            Form::Loaded(LoadOp::U32 | LoadOp::S32),
                            Form::Stored(StoreOp::Low32)
                        )
                ))
    }
}
