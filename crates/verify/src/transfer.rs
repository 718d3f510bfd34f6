//! The transfer function of each row: what must hold before an instruction, what holds after it.
//!
//! Requires a decoded instruction with its row. Guarantees that the state after it holds of every
//! execution of which the state before it held. Operands are in `operand`, comparisons and branches
//! in `control`. Deliberately knows no blocks.

use crate::access::{Place, slot_at};
use crate::control::compared;
use crate::domain::{CARRY, FLAGS, Fact, Kind, OVERFLOW, PARITY, SIGN, U32, ZERO};
use crate::function::Function;
use crate::operand::check_gpr;
use crate::rows::{First, Form};
use crate::stems::{CONSTANTS, NO_REGISTER, Operand, Written};
use crate::violation::{Check, Rule, ensure, refuse};
use cellwall_abi::context::{CALLABLE_ENTRIES, func_entry};
use cellwall_abi::convention::{CONTEXT, STACK};
use cellwall_abi::{FieldKind, TrapCode, ValType};
use cellwall_base::{EntityId, MemoryIdx, TableIdx, limits};
use iced_x86::ConditionCode;

/// What guest code may say of itself. Interruption and the end of the stack come from outside.
const EXPLICIT: &[TrapCode] = &[
    TrapCode::MemoryOutOfBounds,
    TrapCode::TableOutOfBounds,
    TrapCode::IndirectCallToNull,
    TrapCode::BadSignature,
    TrapCode::IntegerOverflow,
    TrapCode::IntegerDivisionByZero,
    TrapCode::BadConversionToInteger,
    TrapCode::Unreachable,
    TrapCode::NullReference,
    TrapCode::UnalignedAtomic,
    TrapCode::NullI31Reference,
    TrapCode::CastFailure,
];

/// The flags that a condition reads.
fn flags_read(condition: ConditionCode) -> u8 {
    use ConditionCode::*;
    match condition {
        None => 0,
        o | no => OVERFLOW,
        b | ae => CARRY,
        e | ne => ZERO,
        be | a => CARRY | ZERO,
        s | ns => SIGN,
        p | np => PARITY,
        l | ge => SIGN | OVERFLOW,
        le | g => ZERO | SIGN | OVERFLOW,
    }
}

/// Number of `rax`.
const RAX: u8 = 0;
/// Number of `rdx`.
const RDX: u8 = 2;

impl Function<'_> {
    /// Applies a usual instruction to the state, if that is usual as well.
    #[inline]
    pub(crate) fn step_usual(&mut self) -> bool {
        let (stem, state) = (self.stem, &mut self.state);
        let is_missing = stem.reads & !state.data | stem.narrow & !state.narrow != 0;
        if is_missing || self.op.trap != stem.trap {
            return false;
        }
        state.flags = state.flags & stem.keeps | stem.sets;
        let is_lost = |fact: Fact| stem.keeps != FLAGS || stem.writes & 1 << fact.register != 0;
        if self.fact.is_some_and(is_lost) {
            self.fact = None;
        }
        if stem.writes == 0 {
            if stem.written == Written::Compared
                && let (Ok(a), Ok(b)) = (self.read(0), self.read(1))
            {
                self.fact = compared(stem.operands[0], a, b);
            }
            return true;
        }
        let to = stem.writes.trailing_zeros() as u8;
        match stem.written {
            Written::UpToValue => state.set(to, Kind::UpTo(self.op.value)),
            Written::Copy => {
                let from = stem.reads.trailing_zeros() as u8;
                // Of more than 32 bits, a 32-bit move changes the value.
                let is_whole = state.is_narrow(from) || matches!(stem.operands[0], Operand::R64(_));
                let kind = if is_whole { state.kind(from) } else { U32 };
                state.set(to, kind);
                state.copies.forget(to);
                if is_whole && to != from {
                    state.copies.copy(to, from);
                }
                return true;
            }
            written => state.set_plain(to, written == Written::Narrow),
        }
        state.copies.forget(to);
        true
    }

    /// Whatever the state and the operands are.
    pub(crate) fn step(&mut self) -> Check<()> {
        let row = self.row;
        let form = match self.op.form {
            Form::Usual => row.form,
            form => form,
        };
        match form {
            Form::Nothing => Ok(()),
            Form::Reload => self.step_reload(),
            Form::Spill => self.step_spill(),
            Form::TailCall => self.step_tail_call(),
            // What it makes equal is data, and so usual.
            Form::Move => self.read(1).and_then(|kind| self.write(0, kind)),
            Form::Add | Form::Sub if self.stem.operands[0] == Operand::R64(STACK) => self.move_stack(),
            Form::Compare => self.step_compare(),
            Form::Test => self.step_test(),
            Form::BitScan => self.step_bit_scan(),
            Form::MulWide => self.step_fixed(&[RAX], &[RAX, RDX]),
            Form::SignSpread => self.step_fixed(&[RAX], &[RDX]),
            Form::Divide => {
                // Its fault could mean two things.
                ensure!(self.stem.operands[0] != Operand::Memory, Rule::Operand => "a divisor in memory");
                self.fault = Some(&[TrapCode::IntegerDivisionByZero, TrapCode::IntegerOverflow]);
                self.step_fixed(&[RAX, RDX], &[RAX, RDX])
            }
            Form::MulFree => {
                self.data(2)?;
                self.data_of(RDX, row.w)?;
                self.write(1, Kind::of_width(row.w))?;
                self.write(0, Kind::of_width(row.w))
            }
            Form::Exchange => self.step_exchange(),
            Form::CompareExchange => self.step_compare_exchange(),
            Form::Branch => self.step_branch(),
            Form::Jump => self.reach(self.op.value as usize),
            Form::JumpIndirect => self.step_jump_indirect(),
            Form::Call => self.step_call(),
            Form::CallIndirect => self.step_call_indirect(),
            Form::Return => self.step_return(),
            Form::Trap => {
                self.fault = Some(EXPLICIT);
                Ok(())
            }
            Form::Vector | Form::Shuffle | Form::Insert => self.step_vector(),
            _ => {
                let result = self.result()?;
                self.finish(result)
            }
        }
    }

    /// Sets the flags, about which nothing is known, and the first operand.
    fn finish(&mut self, result: Kind) -> Check<()> {
        self.set_flags(None);
        match self.row.first {
            First::Read => Ok(()),
            First::Write | First::ReadWrite => self.write(0, result),
        }
    }

    /// What a row computes of its sources, where it does no more than that.
    fn result(&mut self) -> Check<Kind> {
        let [a, b, ..] = self.stem.operands;
        match self.row.form {
            // Of a register and itself: zero, whatever was in it.
            Form::Sub | Form::Xor if a == b && matches!(a, Operand::R64(_) | Operand::R32(_)) => {
                Ok(Kind::UpTo(0))
            }
            Form::Add => self.sum(),
            Form::And => {
                let max = match (self.data(0)?.max(), self.data(1)?.max()) {
                    (Some(a), Some(b)) => Some(a.min(b)),
                    (a, b) => a.or(b),
                };
                Ok(max.map_or(Kind::Any, Kind::UpTo))
            }
            Form::Shl | Form::Shr => self.shifted(),
            Form::ZeroExtend => self.data(1),
            Form::SignExtend if b == Operand::Memory => match self.operand_place()? {
                Place::JumpTable(table) => Ok(Kind::JumpDistance(table)),
                _ => self.data(1).map(|_| Kind::Any),
            },
            Form::Lea => self.address(),
            Form::Cmov => {
                self.check_condition()?;
                Ok(self.data(0)?.join(self.data(1)?))
            }
            Form::Set => {
                self.check_condition()?;
                Ok(Kind::UpTo(1))
            }
            // With memory and a register, the address would be any: the number of the bit is part of it.
            Form::BitTest if a == Operand::Memory => {
                refuse!(Rule::Operand => "a string of bits in memory")
            }
            Form::Carry => {
                self.check_flags(CARRY)?;
                self.any_of_sources()
            }
            Form::Plain | Form::Sub | Form::Xor | Form::SignExtend | Form::BitTest => self.any_of_sources(),
            _ => refuse!(Rule::NotAllowed => "no row"),
        }
    }

    /// Something that depends on all sources, which are data.
    fn any_of_sources(&mut self) -> Check<Kind> {
        self.sources()?;
        Ok(Kind::Any)
    }

    fn step_reload(&mut self) -> Check<()> {
        let place = self.frame_place()?;
        let kind = self.load(place)?;
        if let Operand::R64(to) = self.stem.operands[0] {
            self.set_gpr(check_gpr(to)?, kind);
        }
        self.note_home(place, 0, kind);
        Ok(())
    }

    fn step_spill(&mut self) -> Check<()> {
        let kind = self.read_register(self.stem.operands[1])?;
        let place = self.frame_place()?;
        self.store(place, kind)?;
        self.note_home(place, 1, kind);
        Ok(())
    }

    /// A slot and a register hold the same value.
    fn note_home(&mut self, place: Place, operand: usize, kind: Kind) {
        if let (Place::Frame(start), Operand::R64(register)) = (place, self.stem.operands[operand])
            && kind.is_data()
        {
            self.state.copies.settle(register, slot_at(start));
        }
    }

    /// The address of a jump table, of an entry in the context, or a sum of data.
    fn address(&mut self) -> Check<Kind> {
        let (base, index, at) = (self.stem.base, self.stem.index, self.op.displacement);
        let kind = if base == CONSTANTS {
            let tables = &self.module.artifact.jump_tables;
            let table = u32::try_from(at).ok();
            let table = table.and_then(|at| tables.binary_search_by_key(&at, |table| table.offset).ok());
            match table {
                Some(table) if tables[table].func == self.range.func => Kind::JumpTable(table as u32),
                _ => refuse!(Rule::IndirectJump => "no jump table of the function starts there"),
            }
        } else if base == CONTEXT && index == NO_REGISTER {
            let at = u32::try_from(at).ok();
            match at
                .and_then(|at| self.module.layout.field_at(at))
                .map(|field| field.kind)
            {
                Some(FieldKind::ImportEntry(func)) => Kind::ImportEntry(func.as_u32()),
                Some(FieldKind::TagEntry(tag)) => Kind::TagEntry(tag.as_u32()),
                _ => refuse!(Rule::ContextAccess => "the address of something that is no import entry"),
            }
        } else {
            for register in [base, index] {
                if register != NO_REGISTER {
                    let kind = self.read_register(Operand::R64(register))?;
                    ensure!(kind.is_data(), Rule::Kind => "data is needed, this is {kind:?}");
                }
            }
            return Ok(Kind::Any);
        };
        ensure!(self.row.w, Rule::Kind => "a part of an address");
        Ok(kind)
    }

    /// `sub rsp, n` and `add rsp, n`.
    fn move_stack(&mut self) -> Check<()> {
        let is_constant = self.stem.operands[1] == Operand::Immediate && !self.op.is_wide;
        ensure!(is_constant, Rule::StackPointer =>
            "the stack pointer moves, but not by a constant");
        let n = i64::from(self.op.value);
        let depth = i64::from(self.state.depth) + if self.row.form == Form::Sub { n } else { -n };
        let is_frame = (0..=i64::from(limits::FRAME_BYTES_MAX)).contains(&depth);
        ensure!(is_frame && n > 0 && n % 8 == 0, Rule::StackPointer => "a frame of {depth} bytes");
        let slots = depth as usize / 8;
        ensure!(slots <= self.slots, Rule::Unwind => "no row lists a frame of {depth} bytes");
        self.frames.truncate(&mut self.frame, slots);
        self.state.copies.forget_slots();
        self.state.depth = depth as u32;
        self.set_flags(None);
        Ok(())
    }

    /// Data, the address of an entry, or what an element of a jump table stands for.
    fn sum(&mut self) -> Check<Kind> {
        if let Operand::R64(register) = self.stem.operands[0] {
            match (self.state.kind(register), self.stem.operands[1]) {
                (kind @ (Kind::ScaledUpTo(_) | Kind::ScaledTableIndex(_)), Operand::Memory) => {
                    if let Some(entry) = self.entry(kind)? {
                        return Ok(entry);
                    }
                }
                (Kind::JumpTable(table), distance @ Operand::R64(_)) => {
                    let kind = self.read_register(distance)?;
                    ensure!(kind == Kind::JumpDistance(table), Rule::IndirectJump =>
                        "what is added is no distance from this table");
                    return Ok(Kind::JumpTarget(table));
                }
                _ => {}
            }
        }
        self.any_of_sources()
    }

    /// A scaled index plus the base of a table, if the memory operand is one.
    fn entry(&mut self, index: Kind) -> Check<Option<Kind>> {
        let table = match self.operand_place()? {
            Place::Context(field) => match field.kind {
                FieldKind::TableBase(table) => table,
                FieldKind::Callable => {
                    ensure!(matches!(index, Kind::ScaledUpTo(max) if max < CALLABLE_ENTRIES), Rule::Address =>
                        "the index is not known to be below {CALLABLE_ENTRIES}");
                    return Ok(Some(Kind::Entry { private: false }));
                }
                _ => return Ok(None),
            },
            Place::Definition(Kind::TableDefinition(table), 0) => TableIdx::from_u32(table.into()),
            _ => return Ok(None),
        };
        let shape = &self.module.artifact.shape.tables[table];
        let is_below_length = match index {
            Kind::ScaledTableIndex(t) => usize::from(t) == table.index(),
            Kind::ScaledUpTo(max) => u64::from(max) < shape.min,
            _ => false,
        };
        ensure!(is_below_length, Rule::Address => "the index is not known to be below the length of {table}");
        ensure!(shape.element == ValType::FuncRef, Rule::Address => "{table} is no table of functions");
        let private = shape.private;
        Ok(Some(Kind::Entry { private }))
    }

    fn shifted(&mut self) -> Check<Kind> {
        let (kind, is_wide) = (self.data(0)?, self.row.w);
        let count = self.op.value % if is_wide { 64 } else { 32 };
        let scales = is_wide && count == u32::from(func_entry::SHIFT);
        let is_32 = |memory: u8| {
            let memory = MemoryIdx::from_u32(memory.into());
            !self.module.artifact.shape.memories[memory].is_64
        };
        Ok(match (self.row.form, kind) {
            (Form::Shl, Kind::TableIndex(table)) if scales => Kind::ScaledTableIndex(table),
            (Form::Shl, Kind::UpTo(max)) if scales => Kind::ScaledUpTo(max),
            (Form::Shl, _) => Kind::Any,
            (_, Kind::MemoryLength(memory)) if count >= 1 && is_32(memory) => U32,
            _ => match kind.max() {
                Some(max) => Kind::UpTo(max.unbounded_shr(count)),
                None if is_wide && count >= 32 => Kind::UpTo((u64::MAX >> count) as u32),
                None => Kind::Any,
            },
        })
    }

    /// For zero the whole destination may stay as it is, so a 32-bit scan does not zero-extend.
    fn step_bit_scan(&mut self) -> Check<()> {
        self.data(1)?;
        let (Operand::R64(register) | Operand::R32(register)) = self.stem.operands[0] else {
            refuse!(Rule::Operand => "a register that no row permits");
        };
        let old = self.data_of(check_gpr(register)?, true)?;
        self.set_flags(None);
        self.set_gpr(register, Kind::of_width(old.max().is_none()));
        Ok(())
    }

    pub(crate) fn check_condition(&self) -> Check<()> {
        self.check_flags(flags_read(self.stem.condition))
    }

    fn check_flags(&self, needed: u8) -> Check<()> {
        ensure!(needed & !self.state.flags == 0, Rule::Undefined =>
            "no instruction before it defines the flags that it reads");
        Ok(())
    }

    /// Reads its operand and registers that only its manual names; writes such registers.
    fn step_fixed(&mut self, reads: &[u8], writes: &[u8]) -> Check<()> {
        let is_wide = self.row.w;
        self.sources()?;
        for &register in reads {
            self.data_of(register, is_wide)?;
        }
        self.set_flags(None);
        for &register in writes {
            self.set_gpr(register, Kind::of_width(is_wide));
        }
        Ok(())
    }

    /// Data of a register and of a memory change places; or the memory gets the sum.
    fn step_exchange(&mut self) -> Check<()> {
        let register = self.exchanged()?;
        self.set_flags(None);
        let new = match self.stem.operands[1] {
            Operand::R64(_) => Kind::Any,
            Operand::R32(_) => U32,
            _ => self.partly_written(register, 0xffff),
        };
        self.set_gpr(register, new);
        Ok(())
    }

    /// rax gets what was in the memory, unless it is that already. Only what differs is written, so
    /// that even 32 bits do not zero-extend.
    fn step_compare_exchange(&mut self) -> Check<()> {
        self.exchanged()?;
        let old = self.data_of(RAX, true)?;
        self.set_flags(None);
        self.set_gpr(RAX, Kind::of_width(self.row.w || old.max().is_none()));
        Ok(())
    }

    /// Accesses a memory, which gets data of a register; the number of that.
    fn exchanged(&mut self) -> Check<u8> {
        let Some(register) = self.stem.operands[1].register() else {
            refuse!(Rule::Operand => "a register that no row permits");
        };
        let is_memory = self.stem.operands[0] == Operand::Memory && self.operand_place()? == Place::Memory;
        ensure!(is_memory, Rule::Operand => "an atomic access of something that is no memory");
        self.data_of(check_gpr(register)?, true)?;
        self.fault = Some(&[TrapCode::MemoryOutOfBounds]);
        Ok(register)
    }
}
