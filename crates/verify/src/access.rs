//! Memory operands: what an address can point to, what is loaded from there, what may be stored.
//!
//! Requires the state before the instruction. Guarantees that an access which is let through has
//! one of the forms of V3 and V4. Deliberately knows nothing of what the instruction computes.

use crate::domain::{Kind, Readable, U32, XMM_BYTES};
use crate::function::Function;
use crate::module::Places;
use crate::stems::{CONSTANTS, NO_REGISTER, Operand};
use crate::violation::{Check, Rule, ensure, refuse};
use cellwall_abi::context::{definition, func_entry};
use cellwall_abi::convention::{BASE, BLOCK_OVERFLOW_PLACES, CONTEXT, STACK, block_overflow};
use cellwall_abi::{Field, FieldKind, TrapCode, ValType};
use cellwall_base::{EntityId, GlobalIdx, MemoryIdx};

/// What a memory operand points to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Place {
    /// The frame, this many bytes below the return address.
    Frame(u32),
    /// Below the stack pointer, this many bytes below the return address; for probes.
    BelowStack(u32),
    /// A field of the context.
    Context(Field),
    /// A linear memory.
    Memory,
    /// The definition of an imported memory or table, at this offset.
    Definition(Kind, u32),
    /// The value of an imported global.
    Global(GlobalIdx),
    /// An overflow place of the store's block.
    Block(usize),
    /// A function entry, at this offset.
    Entry(Kind, u32),
    /// Read-only data, at this offset.
    Rodata(u32),
    /// An element of a jump table.
    JumpTable(u32),
}

impl Function<'_> {
    /// What the memory operand of the current instruction points to, in all of its width.
    pub(crate) fn place(&self) -> Check<Place> {
        let (base, index, width) = (self.stem.base, self.stem.index, self.stem.width());
        let at = u32::try_from(self.op.displacement).ok();
        let kind = match base {
            CONSTANTS => {
                let len = self.module.artifact.rodata.len() as u64;
                match at {
                    Some(at) if u64::from(at) + u64::from(width) <= len => return Ok(Place::Rodata(at)),
                    _ => refuse!(Rule::Rodata => "{width} bytes that are not all in the {len} of constants"),
                }
            }
            NO_REGISTER => refuse!(Rule::Address => "no base register"),
            STACK if index == NO_REGISTER => return self.frame_place(),
            CONTEXT if index == NO_REGISTER => match at.and_then(|at| self.module.layout.field_at(at)) {
                Some(field) => return Ok(Place::Context(field)),
                None => refuse!(Rule::ContextAccess => "no field starts at {}", self.op.displacement),
            },
            STACK | CONTEXT => Kind::Undefined,
            BASE => Kind::MemoryBase(0),
            base => self.state.kind(base),
        };
        match kind {
            Kind::MemoryBase(memory) => self.memory_place(memory),
            Kind::JumpTable(table) if index != NO_REGISTER => {
                ensure!(at == Some(0) && width == 4 && self.stem.scale == 4, Rule::IndirectJump =>
                    "a jump table is read as base + index * 4");
                let len = self.module.artifact.jump_tables[table as usize].len;
                let max = self.read_register(Operand::R64(index))?.max();
                ensure!(max.is_some_and(|max| max < len), Rule::IndirectJump =>
                    "the index is not known to be below {len}");
                Ok(Place::JumpTable(table))
            }
            _ if index != NO_REGISTER => refuse!(Rule::Address => "an index to something that is no memory"),
            _ => match at {
                Some(at) => self.pointer_place(kind, at),
                None => refuse!(Rule::Address => "a negative displacement"),
            },
        }
    }

    /// A linear memory: base + index + displacement (walls V4).
    fn memory_place(&self, memory: u8) -> Check<Place> {
        let target = &self.module.artifact.target;
        let memories = &self.module.artifact.shape.memories;
        ensure!(memories.get(MemoryIdx::from_u32(memory.into())).is_some(), Rule::MemoryAccess =>
            "no such memory");
        let Ok(at) = u64::try_from(self.op.displacement) else {
            refuse!(Rule::MemoryAccess => "a negative displacement");
        };
        ensure!(self.stem.scale == 1, Rule::MemoryAccess => "a scaled index");
        let index = match self.stem.index {
            NO_REGISTER => Kind::UpTo(0),
            index => self.read_register(Operand::R64(index))?,
        };
        let (end, guard) = (at + u64::from(self.stem.width()), target.memory_guard_bytes);
        let is_covered = match index {
            Kind::MemoryIndex { memory: m, .. } if m == memory && end <= guard => true,
            _ => (index.max())
                .is_some_and(|max| u64::from(max) + end <= target.memory_reservation_bytes + guard),
        };
        ensure!(is_covered, Rule::MemoryAccess =>
            "up to {end} bytes from an index that is {index:?} may lie beyond reservation and guard");
        Ok(Place::Memory)
    }

    /// The own frame, or below it; only in whole slots or within one (walls V3).
    #[inline]
    pub(crate) fn frame_place(&self) -> Check<Place> {
        let (at, width) = (self.op.displacement, self.stem.width());
        let Ok(start) = u32::try_from(i64::from(self.state.depth) - i64::from(at)) else {
            refuse!(Rule::StackAccess => "above the own frame");
        };
        ensure!(width <= start, Rule::StackAccess => "reaches the return address");
        if at < 0 {
            return Ok(Place::BelowStack(start));
        }
        let within = (8 - start % 8) % 8;
        ensure!(if width <= 8 { within + width <= 8 } else { within == 0 }, Rule::StackAccess =>
            "across frame slots");
        ensure!(start <= self.covered_stack(), Rule::StackProbe => "{start} bytes below the return address");
        Ok(Place::Frame(start))
    }

    /// How far below the return address an access hits the stack or its guard.
    #[inline]
    pub(crate) fn covered_stack(&self) -> u32 {
        let guard = self.module.artifact.target.stack_guard_bytes;
        self.state.probed.saturating_add(guard)
    }

    fn pointer_place(&self, kind: Kind, at: u32) -> Check<Place> {
        match kind {
            Kind::MemoryDefinition(_) | Kind::TableDefinition(_)
                if at + self.stem.width() <= definition::BYTES =>
            {
                Ok(Place::Definition(kind, at))
            }
            Kind::GlobalPointer(global) if at == 0 => Ok(Place::Global(GlobalIdx::from_u32(global))),
            Kind::Entry { .. } | Kind::TypedEntry(_) | Kind::ImportEntry(_) | Kind::TagEntry(_) => {
                Ok(Place::Entry(kind, at))
            }
            Kind::Block => {
                let (index, rest) = match at.checked_sub(block_overflow(0)) {
                    Some(at) => (at as usize / 16, at % 16),
                    None => (usize::MAX, 0),
                };
                ensure!(index < BLOCK_OVERFLOW_PLACES && rest == 0, Rule::BlockAccess =>
                    "no overflow place is at {at}");
                Ok(Place::Block(index))
            }
            _ => refuse!(Rule::Address => "{at} bytes from a base that is {kind:?}"),
        }
    }

    /// The kind of the bytes at a place, zero-extended to 64 bits (more than 8 bytes: data).
    pub(crate) fn load(&mut self, place: Place) -> Check<Kind> {
        let width = self.stem.width();
        let plain = match width {
            1 => Kind::UpTo(0xff),
            2 => Kind::UpTo(0xffff),
            4 => U32,
            _ => Kind::Any,
        };
        match place {
            Place::Frame(start) => self.load_slot(start, plain),
            Place::BelowStack(_) => refuse!(Rule::StackAccess => "below the stack pointer"),
            Place::Context(field) => self.load_field(field, plain),
            Place::Memory => {
                self.fault = Some(&[TrapCode::MemoryOutOfBounds]);
                Ok(plain)
            }
            Place::Definition(kind, at) => match (kind, at, width) {
                (Kind::MemoryDefinition(memory), definition::LENGTH, 8) => Ok(Kind::MemoryLength(memory)),
                (Kind::TableDefinition(table), definition::LENGTH, 8) => Ok(Kind::TableLength(table)),
                (Kind::TableDefinition(_), definition::LENGTH, 4) => Ok(U32),
                _ => refuse!(Rule::Address => "not a field of a definition"),
            },
            Place::Global(global) => {
                let bytes = self.module.artifact.shape.globals[global].ty.bytes();
                ensure!(width <= bytes, Rule::Address => "wider than the global");
                Ok(plain)
            }
            Place::Block(index) => {
                let places = match self.state.readable {
                    Readable::Nothing => None,
                    Readable::Arguments => Some(&self.own().params),
                    Readable::Results(ty) => Some(&self.module.convention(ty).results),
                    Readable::Exception(tag) => Some(self.module.pad(Some(tag))),
                };
                let ty = places.and_then(|places| places.overflow.get(index));
                ensure!(ty.is_some_and(|ty| width <= ty.bytes()), Rule::BlockAccess =>
                    "overflow place {index} cannot be read here");
                Ok(plain)
            }
            // A number that names a function of the store or nothing, whatever the entry is.
            Place::Entry(Kind::Entry { .. }, func_entry::REFERENCE) if width == 4 => Ok(U32),
            Place::Entry(..) => refuse!(Rule::Kind => "of entries only the reference is loaded"),
            Place::Rodata(_) => Ok(plain),
            Place::JumpTable(_) => refuse!(Rule::IndirectJump => "distances are loaded by movsxd"),
        }
    }

    fn load_slot(&self, start: u32, plain: Kind) -> Check<Kind> {
        let kind = self.frames.get(self.frame, slot_at(start));
        match self.stem.width() {
            8 if !kind.is_partial() => Ok(kind),
            ..=4 if kind.is_data() || kind == Kind::Low32 && start.is_multiple_of(8) => Ok(plain),
            width => refuse!(not_data(kind) => "{width} bytes of a slot at {start} that is {kind:?}"),
        }
    }

    fn load_field(&self, field: Field, plain: Kind) -> Check<Kind> {
        let width = self.stem.width();
        let number = |index: usize| u8::try_from(index).expect("metadata limits memories and tables");
        let kind = match field.kind {
            FieldKind::Global(_) if width <= field.bytes => return Ok(plain),
            FieldKind::TableLength(_) if width == 4 => return Ok(U32),
            FieldKind::BlockPointer => Kind::Block,
            FieldKind::MemoryBase(memory) => Kind::MemoryBase(number(memory.index())),
            FieldKind::MemoryLength(memory) => Kind::MemoryLength(number(memory.index())),
            FieldKind::MemoryDefinition(memory) => Kind::MemoryDefinition(number(memory.index())),
            FieldKind::TableLength(table) => Kind::TableLength(number(table.index())),
            FieldKind::TableDefinition(table) => Kind::TableDefinition(number(table.index())),
            FieldKind::GlobalPointer(global) => Kind::GlobalPointer(global.as_u32()),
            FieldKind::Signature(ty) => Kind::Signature(ty),
            _ => refuse!(Rule::ContextAccess => "a load of {:?}", field.kind),
        };
        ensure!(width == field.bytes, Rule::ContextAccess => "{width} bytes of {:?}", field.kind);
        Ok(kind)
    }

    /// Stores a value of this kind.
    pub(crate) fn store(&mut self, place: Place, kind: Kind) -> Check<()> {
        let width = self.stem.width();
        if let Place::Frame(start) = place {
            return self.store_slot(start, kind);
        }
        let fits = kind.is_data() || width == 1 && kind == Kind::Low8;
        ensure!(fits, not_data(kind) => "a store of {kind:?}");
        match place {
            Place::Memory => self.fault = Some(&[TrapCode::MemoryOutOfBounds]),
            Place::Context(Field {
                kind: FieldKind::Global(global),
                ..
            })
            | Place::Global(global) => {
                let shape = &self.module.artifact.shape.globals[global];
                let bytes = shape.ty.bytes();
                let rule = match place {
                    Place::Global(_) => Rule::Address,
                    _ => Rule::ContextAccess,
                };
                ensure!(shape.mutable && width <= bytes, rule =>
                    "{width} bytes to {global}, which has {bytes} or is constant");
            }
            Place::Block(index) => {
                ensure!(width >= 4, Rule::BlockAccess => "a store of less than four bytes");
                self.write_overflow(index, width);
                self.state.readable = Readable::Nothing;
            }
            Place::Context(field) => refuse!(Rule::ContextAccess => "a store to {:?}", field.kind),
            Place::BelowStack(_) => refuse!(Rule::StackAccess => "below the stack pointer"),
            Place::Rodata(_) => refuse!(Rule::Rodata => "a store"),
            _ => refuse!(Rule::Address => "a store to {place:?}"),
        }
        Ok(())
    }

    /// An overflow place was written: of its two words, as much as is certain after this store alone.
    fn write_overflow(&mut self, index: usize, width: u32) {
        let low = if width == 4 { Kind::Low32 } else { Kind::Any };
        let high = if width == 16 { Kind::Any } else { Kind::Undefined };
        self.overflow.set(&mut self.written, 2 * index, low);
        self.overflow.set(&mut self.written, 2 * index + 1, high);
    }

    /// The first overflow place of the list that was not written as its type demands.
    pub(crate) fn missing_overflow(&self, places: &Places) -> Option<usize> {
        let is_written = |(index, ty): (usize, &ValType)| {
            let word = |at| self.overflow.get(self.written, 2 * index + at);
            match ty.bytes() {
                4 => word(0) != Kind::Undefined,
                8 => word(0).is_data(),
                _ => word(0).is_data() && word(1).is_data(),
            }
        };
        let mut places = places.overflow.iter().enumerate();
        places.position(|place| !is_written(place))
    }

    fn store_slot(&mut self, start: u32, kind: Kind) -> Check<()> {
        let (width, at, is_low) = (self.stem.width(), slot_at(start), start.is_multiple_of(8));
        let new = if width == 8 {
            match kind.spilled() {
                Some(kind) => kind,
                None => refuse!(not_data(kind) => "a spill of {kind:?}"),
            }
        } else {
            let fits = kind.is_data() || width == 1 && kind == Kind::Low8;
            ensure!(fits, not_data(kind) => "a store of {kind:?}");
            // A part of a slot: what was defined stays defined.
            match self.frames.get(self.frame, at) {
                old if old.max().is_some() && is_low => U32,
                old if old.is_data() => Kind::Any,
                old if is_low && (width == 4 || old == Kind::Low32) => Kind::Low32,
                _ => Kind::Undefined,
            }
        };
        self.set_slot(at, new);
        Ok(())
    }

    /// A slot holds another value than before.
    fn set_slot(&mut self, slot: usize, kind: Kind) {
        self.state.copies.forget_slot(slot);
        self.frames.set(&mut self.frame, slot, kind);
    }

    /// How many low bytes of a vector register are defined after a load into it: all of them, unless
    /// the slots of the frame were filled from a register of which less was.
    pub(crate) fn load_vector(&mut self, place: Place) -> Check<u8> {
        let width = self.stem.width();
        let defined = match place {
            Place::Frame(start) if width >= 8 => {
                let slot = |start| self.frames.get(self.frame, slot_at(start));
                let low = slot(start);
                let high = if width == 16 { slot(start - 8) } else { Kind::Any };
                match (data_bytes(low), high) {
                    (0, _) => refuse!(not_data(low) => "{width} bytes of a slot that is {low:?}"),
                    (8, _) if high.is_data() => width,
                    (8, _) if !high.is_partial() => {
                        refuse!(Rule::Kind => "{width} bytes of a slot that is {high:?}")
                    }
                    (defined, _) => defined,
                }
            }
            _ => {
                let kind = self.load(place)?;
                ensure!(kind.is_data(), not_data(kind) => "{kind:?} in a vector register");
                width
            }
        };
        Ok(if defined == width {
            XMM_BYTES
        } else {
            defined as u8
        })
    }

    /// Stores the low bytes of a vector register, of which so many are defined.
    pub(crate) fn store_vector(&mut self, place: Place, defined: u8) -> Check<()> {
        let (width, defined) = (self.stem.width(), u32::from(defined));
        if let Place::Frame(start) = place
            && width >= 8
        {
            for skipped in (0..width).step_by(8) {
                let kind = match defined.saturating_sub(skipped) {
                    0 => Kind::Undefined,
                    4 => Kind::Low32,
                    _ => Kind::Any,
                };
                self.set_slot(slot_at(start - skipped), kind);
            }
            return Ok(());
        }
        ensure!(defined >= width, Rule::Undefined => "of {width} bytes, only {defined} are written");
        self.store(place, Kind::Any)
    }
}

/// How many low bytes of a slot are defined data.
fn data_bytes(kind: Kind) -> u32 {
    match kind {
        Kind::Low32 => 4,
        _ if kind.is_data() => 8,
        _ => 0,
    }
}

/// The slot of a place this many bytes below the return address.
#[inline]
pub(crate) fn slot_at(start: u32) -> usize {
    (start as usize - 1) / 8
}

/// The rule broken by a kind that is no data.
pub(crate) fn not_data(kind: Kind) -> Rule {
    if kind.is_partial() {
        Rule::Undefined
    } else {
        Rule::Kind
    }
}
