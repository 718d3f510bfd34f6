//! Memory operands: what an address can point to, what is loaded from there, what may be stored.
//!
//! Requires the state before the instruction. Guarantees that an access which is let through has
//! one of the forms of V3 and V4. Deliberately knows nothing of what the instruction computes.

use crate::decode::{CONSTANTS, NO_REGISTER, Operand};
use crate::domain::{Kind, Readable, U32, XMM_BYTES};
use crate::function::{Check, Function, refuse};
use crate::module::Places;
use crate::violation::Rule;
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
    /// What the memory operand of the current instruction points to, with its width in bytes.
    pub(crate) fn place(&self, width: u32) -> Check<Place> {
        let op = &self.op;
        let disp = op.displacement;
        let kind = match op.base {
            CONSTANTS => return self.rodata_place(disp, width),
            NO_REGISTER => return refuse(Rule::Address, "no base register"),
            STACK if op.index == NO_REGISTER => return self.frame_place(disp, width),
            CONTEXT if op.index == NO_REGISTER => {
                return match (u32::try_from(disp).ok()).and_then(|at| self.module.layout.field_at(at)) {
                    Some(field) => Ok(Place::Context(field)),
                    None => refuse(Rule::ContextAccess, format!("no field starts at {disp}")),
                };
            }
            STACK | CONTEXT => return refuse(Rule::Address, "an index to something that is no memory"),
            BASE => Kind::MemoryBase(0),
            base => self.state.kind(usize::from(base & 15)),
        };
        match kind {
            Kind::MemoryBase(memory) => self.memory_place(memory, disp, width),
            _ if op.index != NO_REGISTER => self.jump_table_place(kind, disp, width),
            _ => self.pointer_place(kind, disp, width),
        }
    }

    fn rodata_place(&self, at: i32, width: u32) -> Check<Place> {
        let len = self.module.artifact.rodata.len() as u64;
        match u32::try_from(at) {
            Ok(at) if u64::from(at) + u64::from(width) <= len => Ok(Place::Rodata(at)),
            _ => refuse(
                Rule::Rodata,
                format!("{width} bytes that are not all inside the {len} bytes of constants"),
            ),
        }
    }

    /// A linear memory: base + index + displacement (walls V4).
    fn memory_place(&self, memory: u8, disp: i32, width: u32) -> Check<Place> {
        let target = &self.module.artifact.target;
        let memories = &self.module.artifact.shape.memories;
        if memories.get(MemoryIdx::from_u32(memory.into())).is_none() {
            return refuse(Rule::MemoryAccess, "no such memory");
        }
        let Ok(disp) = u64::try_from(disp) else {
            return refuse(Rule::MemoryAccess, "a negative displacement");
        };
        let end = disp + u64::from(width);
        let (reach, guard) = (
            target.memory_reservation_bytes + target.memory_guard_bytes,
            target.memory_guard_bytes,
        );
        if self.op.index == NO_REGISTER {
            return if end <= reach {
                Ok(Place::Memory)
            } else {
                refuse(Rule::MemoryAccess, "beyond reservation and guard")
            };
        }
        if self.op.scale != 1 {
            return refuse(Rule::MemoryAccess, "a scaled index");
        }
        let kind = self.read_register(Operand::R64(self.op.index))?;
        let covered = match kind {
            Kind::MemoryIndex { memory: m, .. } if m == memory && end <= guard => true,
            _ => kind.max().is_some_and(|max| u64::from(max) + end <= reach),
        };
        if covered {
            return Ok(Place::Memory);
        }
        match kind.max() {
            None => refuse(
                Rule::MemoryAccess,
                format!(
                    "the index in register {} is {kind:?}, neither zero-extended nor compared with the length",
                    self.op.index
                ),
            ),
            Some(_) => refuse(
                Rule::MemoryAccess,
                format!("up to {disp} + {width} bytes beyond a 32-bit index, more than the guard"),
            ),
        }
    }

    fn jump_table_place(&self, kind: Kind, disp: i32, width: u32) -> Check<Place> {
        let Kind::JumpTable(table) = kind else {
            return refuse(Rule::Address, "an index to something that is no memory");
        };
        if disp != 0 || width != 4 || self.op.scale != 4 {
            return refuse(Rule::IndirectJump, "a jump table is read as base + index * 4");
        }
        let len = self.module.artifact.jump_tables[table as usize].len;
        match self.read_register(Operand::R64(self.op.index))?.max() {
            Some(max) if max < len => Ok(Place::JumpTable(table)),
            _ => refuse(
                Rule::IndirectJump,
                format!("the index is not known to be below {len}"),
            ),
        }
    }

    /// The own frame, or below it; only in whole slots or within one (walls V3).
    #[inline]
    pub(crate) fn frame_place(&self, disp: i32, width: u32) -> Check<Place> {
        let depth = i64::from(self.state.depth);
        let below = depth - i64::from(disp);
        let Ok(start) = u32::try_from(below) else {
            return refuse(Rule::StackAccess, "above the own frame");
        };
        if width > start {
            return refuse(Rule::StackAccess, "reaches the return address");
        }
        if disp < 0 {
            return Ok(Place::BelowStack(start));
        }
        let within = (8 - start % 8) % 8;
        if width <= 8 && within + width > 8 || width > 8 && within != 0 {
            return refuse(Rule::StackAccess, "across frame slots");
        }
        if start > self.covered_stack() {
            return refuse(
                Rule::StackProbe,
                format!("{start} bytes below the return address"),
            );
        }
        Ok(Place::Frame(start))
    }

    /// How far below the return address an access hits the stack or its guard.
    #[inline]
    pub(crate) fn covered_stack(&self) -> u32 {
        self.state
            .probed
            .saturating_add(self.module.artifact.target.stack_guard_bytes)
    }

    fn pointer_place(&self, kind: Kind, disp: i32, width: u32) -> Check<Place> {
        let Ok(at) = u32::try_from(disp) else {
            return refuse(Rule::Address, "a negative displacement");
        };
        match kind {
            Kind::MemoryDefinition(_) | Kind::TableDefinition(_) if at + width <= definition::BYTES => {
                Ok(Place::Definition(kind, at))
            }
            Kind::GlobalPointer(global) if at == 0 => Ok(Place::Global(GlobalIdx::from_u32(global))),
            Kind::Entry { .. } | Kind::TypedEntry(_) | Kind::ImportEntry(_) | Kind::TagEntry(_) => {
                Ok(Place::Entry(kind, at))
            }
            Kind::Block => {
                let first = block_overflow(0);
                match at.checked_sub(first) {
                    Some(rest)
                        if rest.is_multiple_of(16) && ((rest / 16) as usize) < BLOCK_OVERFLOW_PLACES =>
                    {
                        Ok(Place::Block((rest / 16) as usize))
                    }
                    _ => refuse(Rule::BlockAccess, format!("no overflow place is at {at}")),
                }
            }
            _ => refuse(
                Rule::Address,
                format!("{disp} bytes from a base that is {kind:?}"),
            ),
        }
    }

    /// The kind of the bytes at a place, zero-extended to 64 bits (more than 8 bytes: data).
    pub(crate) fn load(&mut self, place: Place, width: u32) -> Check<Kind> {
        let plain = match width {
            1 => Kind::UpTo(0xff),
            2 => Kind::UpTo(0xffff),
            4 => U32,
            _ => Kind::Any,
        };
        match place {
            Place::Frame(start) => self.load_slot(start, width, plain),
            Place::BelowStack(_) => refuse(Rule::StackAccess, "below the stack pointer"),
            Place::Context(field) => self.load_field(field, width, plain),
            Place::Memory => {
                self.fault = Some(&[TrapCode::MemoryOutOfBounds]);
                Ok(plain)
            }
            Place::Definition(kind, at) => match (kind, at, width) {
                (Kind::MemoryDefinition(memory), definition::LENGTH, 8) => Ok(Kind::MemoryLength(memory)),
                (Kind::TableDefinition(table), definition::LENGTH, 8) => Ok(Kind::TableLength(table)),
                (Kind::TableDefinition(_), definition::LENGTH, 4) => Ok(U32),
                _ => refuse(Rule::Address, "not a field of a definition"),
            },
            Place::Global(global) => {
                let bytes = self.module.artifact.shape.globals[global].ty.bytes();
                if width <= bytes {
                    Ok(plain)
                } else {
                    refuse(Rule::Address, "wider than the global")
                }
            }
            Place::Block(index) => {
                let ty = match self.state.readable {
                    Readable::Nothing => None,
                    Readable::Arguments => self.own().params.overflow.get(index),
                    Readable::Results(ty) => self.module.convention(ty).results.overflow.get(index),
                    Readable::Exception(tag) => self.module.pad(Some(tag)).overflow.get(index),
                };
                match ty {
                    Some(ty) if width <= ty.bytes() => Ok(plain),
                    _ => refuse(
                        Rule::BlockAccess,
                        format!("overflow place {index} cannot be read here"),
                    ),
                }
            }
            // A number that names a function of the store or nothing, whatever the entry is.
            Place::Entry(Kind::Entry { .. }, func_entry::REFERENCE) if width == 4 => Ok(U32),
            Place::Entry(..) => refuse(Rule::Kind, "of entries only the reference is loaded"),
            Place::Rodata(_) => Ok(plain),
            Place::JumpTable(_) => refuse(Rule::IndirectJump, "distances are loaded by movsxd"),
        }
    }

    fn slot(&self, start: u32) -> Kind {
        self.frames.get(self.frame, slot_at(start))
    }

    fn load_slot(&self, start: u32, width: u32, plain: Kind) -> Check<Kind> {
        let kind = self.slot(start);
        let is_low = start.is_multiple_of(8);
        match width {
            8 if !kind.is_partial() => Ok(kind),
            _ if width <= 4 && (kind.is_data() || kind == Kind::Low32 && is_low) => Ok(plain),
            _ => refuse(
                not_data(kind),
                format!("{width} bytes of a slot that is {kind:?}, {start} below the return address"),
            ),
        }
    }

    /// How many low bytes of a vector register are defined after a load of `width` bytes into it: all
    /// of them, unless the slots of the frame were filled from a register of which less was.
    pub(crate) fn load_vector(&mut self, place: Place, width: u32) -> Check<u8> {
        let Place::Frame(start) = place else {
            let kind = self.load(place, width)?;
            if kind.is_data() {
                return Ok(XMM_BYTES);
            }
            return refuse(not_data(kind), format!("{kind:?} in a vector register"));
        };
        let (kind, above) = (self.slot(start), start.checked_sub(8));
        let defined = match (width, data_bytes(kind)) {
            (16, 8) => match self.slot(above.expect("16 bytes lie in the frame")) {
                above if above.is_data() => 16,
                above if above.is_partial() => 8,
                above => return refuse(Rule::Kind, format!("16 bytes of a slot that is {above:?}")),
            },
            (8 | 16, 0) => {
                return refuse(
                    not_data(kind),
                    format!("{width} bytes of a slot that is {kind:?}"),
                );
            }
            (8 | 16, defined) => defined,
            _ => {
                self.load_slot(start, width, Kind::Any)?;
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
    pub(crate) fn store_vector(&mut self, place: Place, width: u32, defined: u8) -> Check<()> {
        let defined = u32::from(defined);
        match place {
            Place::Frame(start) if width >= 8 => {
                for (at, defined) in [
                    (start, defined),
                    (start.wrapping_sub(8), defined.saturating_sub(8)),
                ] {
                    if start - at < width {
                        let kind = match defined {
                            0 => Kind::Undefined,
                            4 => Kind::Low32,
                            _ => Kind::Any,
                        };
                        self.state.copies.forget_slot(slot_at(at));
                        self.frames.set(&mut self.frame, slot_at(at), kind);
                    }
                }
                Ok(())
            }
            _ if defined < width => refuse(
                Rule::Undefined,
                format!("a store of {width} bytes, of which {defined} are written"),
            ),
            _ => self.store(place, width, Kind::Any),
        }
    }

    fn load_field(&self, field: Field, width: u32, plain: Kind) -> Check<Kind> {
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
            _ => return refuse(Rule::ContextAccess, format!("a load of {:?}", field.kind)),
        };
        if width == field.bytes {
            Ok(kind)
        } else {
            refuse(Rule::ContextAccess, format!("{width} bytes of {:?}", field.kind))
        }
    }

    /// Stores a value of this kind.
    pub(crate) fn store(&mut self, place: Place, width: u32, kind: Kind) -> Check<()> {
        if let Place::Frame(start) = place {
            return self.store_slot(start, width, kind);
        }
        let fits = kind.is_data() || width == 1 && kind == Kind::Low8;
        if !fits {
            return refuse(not_data(kind), format!("a store of {kind:?}"));
        }
        match place {
            Place::Memory => {
                self.fault = Some(&[TrapCode::MemoryOutOfBounds]);
                Ok(())
            }
            Place::Context(Field {
                kind: FieldKind::Global(global),
                ..
            }) => self.check_global_store(global, width, Rule::ContextAccess),
            Place::Global(global) => self.check_global_store(global, width, Rule::Address),
            Place::Block(_) if width < 4 => refuse(Rule::BlockAccess, "a store of less than four bytes"),
            Place::Block(index) => {
                self.block.write(index, width);
                self.state.readable = Readable::Nothing;
                Ok(())
            }
            Place::Context(field) => refuse(Rule::ContextAccess, format!("a store to {:?}", field.kind)),
            Place::BelowStack(_) => refuse(Rule::StackAccess, "below the stack pointer"),
            Place::Rodata(_) => refuse(Rule::Rodata, "a store"),
            _ => refuse(Rule::Address, format!("a store to {place:?}")),
        }
    }

    fn check_global_store(&self, global: GlobalIdx, width: u32, rule: Rule) -> Check<()> {
        let shape = &self.module.artifact.shape.globals[global];
        if shape.mutable && width <= shape.ty.bytes() {
            Ok(())
        } else {
            refuse(
                rule,
                format!(
                    "{width} bytes to {global}, which has {} or is constant",
                    shape.ty.bytes()
                ),
            )
        }
    }

    fn store_slot(&mut self, start: u32, width: u32, kind: Kind) -> Check<()> {
        let at = slot_at(start);
        self.state.copies.forget_slot(at);
        let old = self.frames.get(self.frame, at);
        let new = match width {
            8 => match kind.spilled() {
                Some(kind) => kind,
                None => return refuse(not_data(kind), format!("a spill of {kind:?}")),
            },
            _ if !(kind.is_data() || width == 1 && kind == Kind::Low8) => {
                return refuse(not_data(kind), format!("a store of {kind:?}"));
            }
            // A part of a slot: what was defined stays defined.
            _ if old.max().is_some() && start.is_multiple_of(8) => U32,
            _ if old.is_data() => Kind::Any,
            4 if start.is_multiple_of(8) => Kind::Low32,
            _ if old == Kind::Low32 && start.is_multiple_of(8) => Kind::Low32,
            _ => Kind::Undefined,
        };
        self.frames.set(&mut self.frame, at, new);
        Ok(())
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
    match kind {
        _ if kind.is_partial() => Rule::Undefined,
        _ => Rule::Kind,
    }
}

/// Which overflow places were written since the last call or block head, and how.
#[derive(Default)]
pub(crate) struct BlockWrites {
    /// How many bytes of each.
    places: Vec<u8>,
    touched: Vec<u16>,
}

impl BlockWrites {
    fn write(&mut self, index: usize, width: u32) {
        self.places.resize(BLOCK_OVERFLOW_PLACES, 0);
        if self.places[index] == 0 {
            self.touched.push(index as u16);
        }
        self.places[index] = width as u8;
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        for index in self.touched.drain(..) {
            self.places[usize::from(index)] = 0;
        }
    }

    /// The first overflow place of the list that was not written as its type demands.
    pub(crate) fn missing(&self, places: &Places) -> Option<usize> {
        (places.overflow.iter().enumerate())
            .find(|&(index, ty)| !self.has(index, *ty))
            .map(|(index, _)| index)
    }

    fn has(&self, index: usize, ty: ValType) -> bool {
        let written = self.places.get(index).copied().unwrap_or(0);
        u32::from(written) >= ty.bytes()
    }
}
