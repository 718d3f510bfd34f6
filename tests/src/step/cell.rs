//! Which bytes a cell may touch, and how: the ranges of one instance, read from its context.
//!
//! Requires a tracee that stands at the entry of a function of the instance. Guarantees an answer for
//! every range of bytes: inside, a fault that is a trap, or none of the cell's business.
//! Deliberately shares nothing with the verifier but the layout of the context (`cellwall_abi`): it
//! looks at addresses, never at how they came about.

use super::child::STACK_BYTES;
use super::tracee::{Registers, Tracee};
use cellwall_abi::context::{self, FieldKind, definition, func_entry};
use cellwall_abi::convention::{BLOCK_BYTES, block_overflow};
use cellwall_abi::{Artifact, ContextLayout, TrapCode};
use cellwall_base::{EntityId, GlobalIdx, MemoryIdx, TableIdx};
use std::io;
use std::ops::Range;

/// Bytes of a page of the processor.
const PROCESSOR_PAGE_BYTES: u64 = 4096;

/// One access of one instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Access {
    /// Its first byte.
    pub address: u64,
    /// How many bytes.
    pub bytes: u64,
    /// Whether it writes.
    pub writes: bool,
    /// What it is for.
    pub purpose: Purpose,
}

/// What an access is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Purpose {
    /// Data goes to or comes from a register.
    Data,
    /// It is compared only: no register learns it.
    Probe,
    /// The target of a call or jump.
    Target,
    /// A call puts its return address there.
    Push,
    /// A return takes its address from there.
    Pop,
}

/// What is to be said of an access.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// It is the cell's.
    Inside,
    /// It is the target of a call through the first field of an entry, at this address.
    Entry(u64),
    /// It is the target of a library call, or of a call by reference, whose stub finds the function.
    Library,
    /// It must fault, and the fault is this trap.
    Faults(TrapCode),
    /// It is not the cell's.
    Outside(&'static str),
}

/// A memory or table: where it starts, how long it is, and how far its addresses go.
#[derive(Clone, Copy, Debug)]
struct Span {
    base: u64,
    len: u64,
    reach: u64,
}

/// The ranges of one instance.
#[derive(Debug)]
pub struct Cell {
    /// Address of the first byte of the text.
    pub code: u64,
    /// What the pinned registers hold.
    pub context: u64,
    /// The pinned base of memory 0.
    pub base: u64,
    /// Address of the store's block.
    pub block: u64,
    /// The stack's guard, and the stack.
    pub stack: (Range<u64>, Range<u64>),
    rodata: Range<u64>,
    layout: ContextLayout,
    memories: Vec<Span>,
    /// With the entries of calls by reference behind them.
    tables: Vec<Span>,
    /// Pairs of base and length outside of the context.
    definitions: Vec<u64>,
    /// Imported globals: address, size, and whether they are mutable.
    globals: Vec<(u64, u64, bool)>,
}

fn within(range: &Range<u64>, access: &Access) -> bool {
    let end = access.address.checked_add(access.bytes);
    access.address >= range.start && end.is_some_and(|end| end <= range.end)
}

impl Cell {
    /// Reads where everything is.
    ///
    /// # Errors
    /// If the tracee does not stand where it must.
    pub fn read(tracee: &Tracee, artifact: &Artifact, code: u64, registers: &Registers) -> io::Result<Self> {
        let (context, top) = (registers.r15, registers.rsp + 8);
        let low = top - STACK_BYTES as u64;
        // The runtime adds as much for a call below a frame that was never touched.
        let guard = u64::from(artifact.target.stack_guard_bytes) + (64 << 10);
        let rodata = code + u64::from(artifact.rodata_offset());
        let mut cell = Self {
            code,
            context,
            base: registers.r14,
            block: tracee.word(context + u64::from(context::BLOCK))?,
            stack: (low - guard..low, low..top),
            rodata: rodata..rodata + artifact.rodata.len() as u64,
            layout: ContextLayout::new(&artifact.shape),
            memories: Vec::new(),
            tables: Vec::new(),
            definitions: Vec::new(),
            globals: Vec::new(),
        };
        for (index, global) in artifact.shape.globals.iter() {
            if global.imported {
                let at = tracee.word(context + u64::from(cell.layout.global(index)))?;
                cell.globals
                    .push((at, u64::from(global.ty.bytes()), global.mutable));
            }
        }
        cell.refresh(tracee, artifact)?;
        Ok(cell)
    }

    /// Reads again what a library call may have changed.
    ///
    /// # Errors
    /// If the context is not there.
    pub fn refresh(&mut self, tracee: &Tracee, artifact: &Artifact) -> io::Result<()> {
        let (shape, target) = (&artifact.shape, &artifact.target);
        let pair = |at: u64| Ok::<_, io::Error>((tracee.word(at)?, tracee.word(at + 8)?));
        self.memories.clear();
        self.tables.clear();
        self.definitions.clear();
        for index in (0..shape.memories.len()).map(MemoryIdx::new) {
            let own = self.context + u64::from(self.layout.memory(index));
            let mut at = own;
            if shape.memories[index].is_elsewhere() {
                at = tracee.word(own + u64::from(definition::LENGTH))?;
                self.definitions.push(at);
            }
            let (base, len) = pair(at)?;
            // What is longer than the reservation has its guard behind it all the same.
            let reach = target.memory_reservation_bytes.max(len) + target.memory_guard_bytes;
            self.memories.push(Span { base, len, reach });
        }
        for index in (0..shape.tables.len()).map(TableIdx::new) {
            let own = self.context + u64::from(self.layout.table(index));
            let mut at = own;
            if shape.tables[index].imported {
                at = tracee.word(own)?;
                self.definitions.push(at);
            }
            let (base, len) = pair(at)?;
            let len = match shape.tables[index].element {
                cellwall_abi::ValType::FuncRef => len * u64::from(func_entry::BYTES),
                // Those hold what library calls alone look at.
                _ => 0,
            };
            self.tables.push(Span {
                base,
                len,
                reach: len,
            });
        }
        // Those of calls by reference are entries too. The first such call makes them.
        let len = u64::from(context::CALLABLE_ENTRIES * func_entry::BYTES);
        self.tables.push(Span {
            base: tracee.word(self.context + u64::from(context::CALLABLE))?,
            len,
            reach: len,
        });
        Ok(())
    }

    /// What an access is, with the stack pointer before the instruction, and the place of the return
    /// address of the running function.
    pub fn place(&self, access: &Access, rsp: u64, frame_end: u64, artifact: &Artifact) -> Place {
        let &Access {
            address,
            bytes,
            writes,
            purpose,
        } = access;
        if bytes == 0 {
            return Place::Outside("an access of unknown width");
        }
        let (guard, stack) = &self.stack;
        if within(&(guard.start..stack.end), access) {
            return self.on_stack(access, rsp, frame_end);
        }
        if purpose == Purpose::Push || purpose == Purpose::Pop {
            return Place::Outside("the stack pointer is not on the stack");
        }
        for memory in &self.memories {
            let whole = memory.base..memory.base + memory.reach;
            if memory.base != 0 && within(&whole, access) && purpose != Purpose::Target {
                // A memory of small pages may end within one of the processor; the rest is nobody else's.
                let end = (memory.base + memory.len).next_multiple_of(PROCESSOR_PAGE_BYTES);
                return match address + bytes <= end {
                    true => Place::Inside,
                    false => Place::Faults(TrapCode::MemoryOutOfBounds),
                };
            }
        }
        let context = self.context..self.context + u64::from(self.layout.bytes());
        if within(&context, access) {
            return self.in_context(access, artifact);
        }
        if within(&self.rodata, access) && !writes && purpose != Purpose::Target {
            return Place::Inside;
        }
        let overflow = self.block + u64::from(block_overflow(0))..self.block + u64::from(BLOCK_BYTES);
        if within(&overflow, access) && purpose == Purpose::Data {
            return Place::Inside;
        }
        for table in &self.tables {
            if within(&(table.base..table.base + table.len), access) {
                return in_entry(access, (address - table.base) % u64::from(func_entry::BYTES));
            }
        }
        let is_pair = |&at: &u64| within(&(at..at + u64::from(definition::BYTES)), access);
        if self.definitions.iter().any(is_pair) && !writes && purpose != Purpose::Target {
            return Place::Inside;
        }
        for &(at, size, mutable) in &self.globals {
            if within(&(at..at + size), access) && purpose != Purpose::Target && (mutable || !writes) {
                return Place::Inside;
            }
        }
        Place::Outside("memory that is not the cell's")
    }

    fn on_stack(&self, access: &Access, rsp: u64, frame_end: u64) -> Place {
        let (_, stack) = &self.stack;
        let own = rsp.max(stack.start)..frame_end;
        match access.purpose {
            Purpose::Pop if access.address == frame_end => Place::Inside,
            Purpose::Pop => Place::Outside("a return with something else than the return address on top"),
            Purpose::Push if access.address < stack.start => Place::Faults(TrapCode::StackOverflow),
            Purpose::Push => Place::Inside,
            Purpose::Target => Place::Outside("a target from the stack"),
            Purpose::Data | Purpose::Probe if within(&own, access) => Place::Inside,
            // Large frames are probed before they are used.
            Purpose::Probe if access.address < rsp && !access.writes => match access.address < stack.start {
                true => Place::Faults(TrapCode::StackOverflow),
                false => Place::Inside,
            },
            Purpose::Data if access.address < stack.start && access.address >= rsp => {
                Place::Faults(TrapCode::StackOverflow)
            }
            Purpose::Data | Purpose::Probe => Place::Outside("stack outside of the own frame"),
        }
    }

    fn in_context(&self, access: &Access, artifact: &Artifact) -> Place {
        let offset = (access.address - self.context) as u32;
        let is_target = access.purpose == Purpose::Target;
        let Some(field) = self.layout.field_at(offset) else {
            return Place::Outside("context that is no field");
        };
        match field.kind {
            FieldKind::Library(_) | FieldKind::CallRef if is_target && access.bytes == 8 => {
                return Place::Library;
            }
            FieldKind::ImportEntry(_) | FieldKind::TagEntry(_) if is_target && access.bytes == 8 => {
                return Place::Entry(access.address);
            }
            FieldKind::Library(_) | FieldKind::CallRef | FieldKind::ImportEntry(_) | FieldKind::Host => {
                return Place::Outside("a field of the context that is not for guests");
            }
            _ => {}
        }
        if is_target || access.bytes > u64::from(field.bytes) {
            return Place::Outside("a field of the context in another width or way");
        }
        let mutable = |global: GlobalIdx| artifact.shape.globals[global].mutable;
        match field.kind {
            FieldKind::Global(global) if mutable(global) => Place::Inside,
            _ if access.writes => Place::Outside("a field of the context that is read-only"),
            _ => Place::Inside,
        }
    }
}

/// An access to an entry of a table, at an offset inside it.
fn in_entry(access: &Access, offset: u64) -> Place {
    let numbers = u64::from(func_entry::SIGNATURE)..u64::from(func_entry::BYTES);
    match access.purpose {
        Purpose::Target if offset == u64::from(func_entry::CALL) && access.bytes == 8 => {
            Place::Entry(access.address)
        }
        Purpose::Data | Purpose::Probe
            if !access.writes
                && numbers.contains(&offset)
                && access.bytes <= 4
                && offset.is_multiple_of(4) =>
        {
            Place::Inside
        }
        _ => Place::Outside("a part of a table entry that is not for guests"),
    }
}
