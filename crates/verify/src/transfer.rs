//! The transfer function of each row: what must hold before an instruction, what holds after it.
//!
//! Requires a decoded instruction with its row. Guarantees that the state after it holds of every
//! execution of which the state before it held. Operands are in `operand`, comparisons and branches
//! in `control`. Deliberately knows no blocks.

use crate::access::{Place, not_data, slot_at};
use crate::decode::{CONSTANTS, NO_REGISTER, Operand};
use crate::domain::{CARRY, FLAGS, Fact, Kind, OVERFLOW, PARITY, SIGN, U32, ZERO};
use crate::function::{Check, Function, Next, refuse};
use crate::operand::check_gpr;
use crate::rows::{First, Form, Row};
use crate::violation::Rule;
use cellwall_abi::context::{CALLABLE_ENTRIES, func_entry};
use cellwall_abi::convention::{CONTEXT, STACK};
use cellwall_abi::{FieldKind, TrapCode};
use cellwall_base::{EntityId, limits};
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
];

/// The flags that a condition reads.
fn flags_read(condition: ConditionCode) -> u32 {
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
const RAX: usize = 0;
/// Number of `rdx`.
const RDX: usize = 2;

impl Function<'_> {
    /// Applies the current instruction to the state.
    pub(crate) fn step(&mut self, row: &Row) -> Check<Next> {
        match self.op.form {
            Form::Reload => self.step_reload(),
            Form::Spill => self.step_spill(),
            Form::Compute if self.state.are_data(self.op.reads) => {
                self.set_flags(row, Fact::Nothing);
                self.set_plain(matches!(self.op.operands[0], Operand::R32(_)));
                Ok(Next::Continue)
            }
            Form::Load if self.is_index_narrow() => {
                self.fault = Some(&[TrapCode::MemoryOutOfBounds]);
                self.set_plain(self.op.value != 0);
                if !matches!(self.op.value, 0 | u32::MAX) {
                    self.write(0, Kind::UpTo(self.op.value), row)?;
                }
                Ok(Next::Continue)
            }
            Form::Store if self.is_index_narrow() && self.state.are_data(self.op.reads) => {
                self.fault = Some(&[TrapCode::MemoryOutOfBounds]);
                Ok(Next::Continue)
            }
            Form::TailCall => self.step_tail_call(),
            _ => self.step_row(row),
        }
    }

    /// What `decode` found to be true of the destination: that it is a register, and not a pinned one.
    #[inline]
    fn set_plain(&mut self, is_narrow: bool) {
        if let Operand::R64(number) | Operand::R32(number) = self.op.operands[0] {
            self.state.set_plain(number.into(), is_narrow);
            self.forget(number.into());
        }
    }

    #[inline]
    fn is_index_narrow(&self) -> bool {
        self.op.index == NO_REGISTER || self.state.is_narrow(self.op.index.into())
    }

    /// Whatever the state and the operands are.
    fn step_row(&mut self, row: &Row) -> Check<Next> {
        match row.form {
            Form::Refused
            | Form::Reload
            | Form::Spill
            | Form::Load
            | Form::Store
            | Form::Compute
            | Form::TailCall => refuse(Rule::NotAllowed, "no row"),
            Form::Nothing => Ok(Next::Continue),
            Form::Plain => self.plain(row, Kind::Any),
            Form::Move => self.step_move(row),
            Form::ZeroExtend | Form::SignExtend => self.step_extend(row),
            Form::Lea => self.step_lea(row),
            Form::Add => self.step_add(row),
            Form::Sub | Form::Xor if self.is_zero_idiom() => {
                self.set_flags(row, Fact::Nothing);
                self.write(0, Kind::UpTo(0), row)?;
                Ok(Next::Continue)
            }
            Form::Sub if self.is_stack_move() => self.move_stack(true),
            Form::Sub | Form::Xor => self.plain(row, Kind::Any),
            Form::And => self.step_and(row),
            Form::Shl | Form::Shr => self.step_shift(row),
            Form::Compare => self.step_compare(row),
            Form::Test => self.step_test(row),
            Form::BitScan => self.step_bit_scan(row),
            Form::Cmov => self.step_cmov(row),
            Form::Set => self.step_set(row),
            Form::Carry => {
                self.check_flags_defined(CARRY)?;
                self.plain(row, Kind::Any)
            }
            Form::MulWide => self.step_fixed(row, &[RAX], &[RAX, RDX]),
            Form::MulFree => self.step_mul_free(row),
            // With memory and a register, the address would be any: the number of the bit is part of it.
            Form::BitTest if self.op.operands[0] == Operand::Memory => {
                refuse(Rule::Operand, "a string of bits in memory")
            }
            Form::BitTest => self.plain(row, Kind::Any),
            Form::Exchange => self.step_exchange(row),
            Form::CompareExchange => self.step_compare_exchange(row),
            Form::Divide => self.step_divide(row),
            Form::SignSpread => self.step_fixed(row, &[RAX], &[RDX]),
            Form::Branch => self.step_branch(),
            Form::Jump => self.step_jump(),
            Form::JumpIndirect => self.step_jump_indirect(),
            Form::Call => self.step_call(),
            Form::CallIndirect => self.step_call_indirect(),
            Form::Return => self.step_return(),
            Form::Trap => {
                self.fault = Some(EXPLICIT);
                Ok(Next::Stop)
            }
            Form::Vector | Form::Shuffle | Form::Insert => self.step_vector(row),
        }
    }

    /// Reads all sources as data and makes the destination of this kind.
    pub(crate) fn plain(&mut self, row: &Row, result: Kind) -> Check<Next> {
        // The usual case, all at once.
        if !self.state.are_data(self.op.reads) {
            for i in 1..self.op.operands.len() {
                if self.op.operands[i] == Operand::None {
                    break;
                }
                self.data(i, row)?;
            }
            if row.first != First::Write {
                self.data(0, row)?;
            }
        }
        self.set_flags(row, Fact::Nothing);
        if row.first != First::Read {
            self.write(0, result, row)?;
        }
        Ok(Next::Continue)
    }

    /// Of a register and itself: zero, whatever was in it.
    fn is_zero_idiom(&self) -> bool {
        let [a, b, ..] = self.op.operands;
        a == b && matches!(a, Operand::R64(_) | Operand::R32(_))
    }

    fn step_reload(&mut self) -> Check<Next> {
        let place = self.frame_place(self.op.displacement, 8)?;
        let kind = self.load(place, 8)?;
        if let Operand::R64(to) = self.op.operands[0] {
            self.set_gpr(check_gpr(to)?, kind);
        }
        self.note_home(place, 0, kind);
        Ok(Next::Continue)
    }

    fn step_spill(&mut self) -> Check<Next> {
        let kind = self.read_register(self.op.operands[1])?;
        let place = self.frame_place(self.op.displacement, 8)?;
        self.store(place, 8, kind)?;
        self.note_home(place, 1, kind);
        Ok(Next::Continue)
    }

    /// A slot and a register hold the same value.
    fn note_home(&mut self, place: Place, operand: usize, kind: Kind) {
        if let (Place::Frame(start), Operand::R64(register)) = (place, self.op.operands[operand])
            && kind.is_data()
        {
            self.state.copies.settle(register.into(), slot_at(start));
        }
    }

    /// Moves and what they make equal.
    fn step_move(&mut self, row: &Row) -> Check<Next> {
        use Operand::{R32, R64};
        match self.op.operands {
            [R64(to) | R32(to), R64(from) | R32(from), ..] => {
                let kind = self.read(1, row)?;
                // A 32-bit move of more than 32 bits changes the value.
                let is_copy = kind.is_data() && (row.w || self.state.is_narrow(from.into()));
                self.write(0, kind, row)?;
                if is_copy && to != from {
                    self.state.copies.copy(to.into(), from.into());
                }
            }
            _ => {
                let kind = self.read(1, row)?;
                self.write(0, kind, row)?;
            }
        }
        Ok(Next::Continue)
    }

    fn step_extend(&mut self, row: &Row) -> Check<Next> {
        if row.form == Form::SignExtend
            && self.op.operands[1] == Operand::Memory
            && let Place::JumpTable(table) = self.operand_place(row)?
        {
            self.write(0, Kind::JumpDistance(table), row)?;
            return Ok(Next::Continue);
        }
        let kind = self.data(1, row)?;
        let result = if row.form == Form::ZeroExtend {
            kind
        } else {
            Kind::Any
        };
        self.write(0, result, row)?;
        Ok(Next::Continue)
    }

    fn step_lea(&mut self, row: &Row) -> Check<Next> {
        let (base, index) = (self.op.base, self.op.index);
        let kind = if base == CONSTANTS {
            self.jump_table_at(self.op.displacement)?
        } else if base == CONTEXT && index == NO_REGISTER {
            let field = (u32::try_from(self.op.displacement).ok())
                .and_then(|at| self.module.layout.field_at(at))
                .map(|field| field.kind);
            match field {
                Some(FieldKind::ImportEntry(func)) => Kind::ImportEntry(func.as_u32()),
                Some(FieldKind::TagEntry(tag)) => Kind::TagEntry(tag.as_u32()),
                _ => {
                    return refuse(
                        Rule::ContextAccess,
                        "the address of something that is no import entry",
                    );
                }
            }
        } else {
            let usual = self.state.are_data(self.op.reads);
            for register in [base, index] {
                if !usual && register != NO_REGISTER {
                    let kind = self.read_register(Operand::R64(register))?;
                    if !kind.is_data() {
                        return refuse(Rule::Kind, format!("data is needed, this is {kind:?}"));
                    }
                }
            }
            Kind::Any
        };
        if !kind.is_data() && !row.w {
            return refuse(Rule::Kind, "a part of an address");
        }
        self.write(0, kind, row)?;
        Ok(Next::Continue)
    }

    fn jump_table_at(&self, offset: i32) -> Check<Kind> {
        let tables = &self.module.artifact.jump_tables;
        let table = u32::try_from(offset).ok();
        let table = table.and_then(|at| tables.binary_search_by_key(&at, |table| table.offset).ok());
        match table {
            Some(table) if tables[table].func == self.range.func => Ok(Kind::JumpTable(table as u32)),
            _ => refuse(Rule::IndirectJump, "no jump table of the function starts there"),
        }
    }

    fn is_stack_move(&self) -> bool {
        self.op.operands[0] == Operand::R64(STACK)
    }

    /// `sub rsp, n` and `add rsp, n`.
    fn move_stack(&mut self, down: bool) -> Check<Next> {
        if self.op.operands[1] != Operand::Immediate {
            return refuse(
                Rule::StackPointer,
                "the stack pointer moves, but not by a constant",
            );
        }
        let n = i64::from(self.op.value);
        let depth = i64::from(self.state.depth) + if down { n } else { -n };
        if n <= 0
            || !n.unsigned_abs().is_multiple_of(8)
            || depth < 0
            || depth > i64::from(limits::FRAME_BYTES_MAX)
        {
            return refuse(Rule::StackPointer, format!("a frame of {depth} bytes"));
        }
        let depth = depth as u32;
        let slots = depth as usize / 8;
        if slots > self.slots {
            return refuse(Rule::Unwind, format!("no row lists a frame of {depth} bytes"));
        }
        self.frames.truncate(&mut self.frame, slots);
        self.state.copies.forget_slots();
        self.state.depth = depth;
        self.state.flags = FLAGS;
        self.fact = Fact::Nothing;
        Ok(Next::Continue)
    }

    fn step_add(&mut self, row: &Row) -> Check<Next> {
        if self.is_stack_move() {
            return self.move_stack(false);
        }
        if let Operand::R64(number) = self.op.operands[0] {
            let kind = self.state.kind(usize::from(number));
            let sum = match (kind, self.op.operands[1]) {
                (Kind::ScaledUpTo(_) | Kind::ScaledTableIndex(_), Operand::Memory) => {
                    self.entry(kind, row)?
                }
                (Kind::JumpTable(table), distance @ Operand::R64(_)) => {
                    match self.read_register(distance)? {
                        Kind::JumpDistance(t) if t == table => Some(Kind::JumpTarget(table)),
                        _ => {
                            return refuse(
                                Rule::IndirectJump,
                                "what is added is no distance from this table",
                            );
                        }
                    }
                }
                _ => None,
            };
            if let Some(sum) = sum {
                self.set_flags(row, Fact::Nothing);
                self.write(0, sum, row)?;
                return Ok(Next::Continue);
            }
        }
        self.plain(row, Kind::Any)
    }

    /// A scaled index plus the base of a table, if the memory operand is one.
    fn entry(&mut self, index: Kind, row: &Row) -> Check<Option<Kind>> {
        let table = match self.operand_place(row)? {
            Place::Context(field) => match field.kind {
                FieldKind::TableBase(table) => table,
                FieldKind::Callable => {
                    return match index {
                        Kind::ScaledUpTo(max) if max < CALLABLE_ENTRIES => {
                            Ok(Some(Kind::Entry { private: false }))
                        }
                        _ => refuse(
                            Rule::Address,
                            format!("the index is not known to be below {CALLABLE_ENTRIES}"),
                        ),
                    };
                }
                _ => return Ok(None),
            },
            Place::Definition(Kind::TableDefinition(table), 0) => {
                cellwall_base::TableIdx::from_u32(table.into())
            }
            _ => return Ok(None),
        };
        let shape = &self.module.artifact.shape.tables[table];
        let below_length = match index {
            Kind::ScaledTableIndex(t) => usize::from(t) == table.index(),
            Kind::ScaledUpTo(max) => u64::from(max) < shape.min,
            _ => false,
        };
        if !below_length {
            return refuse(
                Rule::Address,
                format!("the index is not known to be below the length of {table}"),
            );
        }
        if shape.element != cellwall_abi::ValType::FuncRef {
            return refuse(Rule::Address, format!("{table} is no table of functions"));
        }
        Ok(Some(Kind::Entry {
            private: shape.private,
        }))
    }

    fn step_and(&mut self, row: &Row) -> Check<Next> {
        let (a, b) = (self.data(0, row)?.max(), self.data(1, row)?.max());
        let max = match (a, b) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        self.set_flags(row, Fact::Nothing);
        self.write(0, max.map_or(Kind::Any, Kind::UpTo), row)?;
        Ok(Next::Continue)
    }

    fn step_shift(&mut self, row: &Row) -> Check<Next> {
        let kind = self.data(0, row)?;
        let bits = if row.w { 64 } else { 32 };
        let count = self.op.value % bits;
        let result = match (row.form, kind) {
            (Form::Shl, Kind::TableIndex(table)) if row.w && count == u32::from(func_entry::SHIFT) => {
                Kind::ScaledTableIndex(table)
            }
            (Form::Shl, Kind::UpTo(max)) if row.w && count == u32::from(func_entry::SHIFT) => {
                Kind::ScaledUpTo(max)
            }
            (Form::Shr, Kind::MemoryLength(memory)) if count >= 1 && self.is_memory_32(memory) => U32,
            (Form::Shr, _) => match kind.max() {
                Some(max) => Kind::UpTo(max.checked_shr(count).unwrap_or(0)),
                None if row.w && count >= 32 => Kind::UpTo((u64::MAX >> count) as u32),
                None => Kind::Any,
            },
            _ => Kind::Any,
        };
        self.set_flags(row, Fact::Nothing);
        self.write(0, result, row)?;
        Ok(Next::Continue)
    }

    fn is_memory_32(&self, memory: u8) -> bool {
        let memory = cellwall_base::MemoryIdx::from_u32(memory.into());
        !self.module.artifact.shape.memories[memory].is_64
    }

    fn step_bit_scan(&mut self, row: &Row) -> Check<Next> {
        self.data(1, row)?;
        let (Operand::R64(register) | Operand::R32(register)) = self.op.operands[0] else {
            return refuse(Rule::Operand, "a register that no row permits");
        };
        let number = check_gpr(register)?;
        // For zero the whole destination may stay as it is, so a 32-bit scan does not zero-extend.
        let old = self.state.kind(number);
        if !old.is_data() {
            return refuse(
                not_data(old),
                format!("register {register} may stay {old:?}, which is no data"),
            );
        }
        self.set_flags(row, Fact::Nothing);
        self.set_gpr(number, if old.max().is_some() { U32 } else { Kind::Any });
        Ok(Next::Continue)
    }

    fn step_cmov(&mut self, row: &Row) -> Check<Next> {
        self.check_flags()?;
        let (a, b) = (self.read(0, row)?, self.read(1, row)?);
        if !(a.is_data() && b.is_data()) {
            return refuse(Rule::Kind, "a choice between pointers");
        }
        self.write(0, a.join(b), row)?;
        Ok(Next::Continue)
    }

    pub(crate) fn check_flags(&self) -> Check<()> {
        self.check_flags_defined(flags_read(self.op.condition))
    }

    fn check_flags_defined(&self, needed: u32) -> Check<()> {
        if needed & !self.state.flags == 0 {
            Ok(())
        } else {
            refuse(
                Rule::Undefined,
                "no instruction before it defines the flags that it reads",
            )
        }
    }

    fn step_set(&mut self, row: &Row) -> Check<Next> {
        self.check_flags()?;
        self.write(0, Kind::UpTo(1), row)?;
        Ok(Next::Continue)
    }

    /// Reads its operand and registers that only its manual names; writes such registers.
    fn step_fixed(&mut self, row: &Row, reads: &[usize], writes: &[usize]) -> Check<Next> {
        if self.op.operands[0] != Operand::None {
            self.data(0, row)?;
        }
        for &number in reads {
            self.read_fixed(number, row)?;
        }
        self.set_flags(row, Fact::Nothing);
        for &number in writes {
            self.set_gpr(number, if row.w { Kind::Any } else { U32 });
        }
        Ok(Next::Continue)
    }

    fn step_mul_free(&mut self, row: &Row) -> Check<Next> {
        self.data(2, row)?;
        self.read_fixed(RDX, row)?;
        let result = if row.w { Kind::Any } else { U32 };
        self.write(1, result, row)?;
        self.write(0, result, row)?;
        Ok(Next::Continue)
    }

    /// Data of a register and of a memory change places; or the memory gets the sum.
    fn step_exchange(&mut self, row: &Row) -> Check<Next> {
        let number = self.exchanged(row)?;
        self.set_flags(row, Fact::Nothing);
        self.set_gpr(number, self.partly_written(number));
        Ok(Next::Continue)
    }

    /// rax gets what was in the memory, unless it is that already. Only what differs is written, so
    /// that even 32 bits do not zero-extend.
    fn step_compare_exchange(&mut self, row: &Row) -> Check<Next> {
        self.exchanged(row)?;
        let old = self.state.kind(RAX);
        if !old.is_data() {
            return refuse(not_data(old), format!("rax is {old:?}"));
        }
        let new = match old.max() {
            Some(_) if !row.w => U32,
            _ => Kind::Any,
        };
        self.set_flags(row, Fact::Nothing);
        self.set_gpr(RAX, new);
        Ok(Next::Continue)
    }

    /// Accesses a memory, which gets data of a register; the number of that.
    fn exchanged(&mut self, row: &Row) -> Check<usize> {
        let Some(number) = self.op.operands[1].register() else {
            return refuse(Rule::Operand, "a register that no row permits");
        };
        if self.op.operands[0] != Operand::Memory || self.operand_place(row)? != Place::Memory {
            return refuse(Rule::Operand, "an atomic access of something that is no memory");
        }
        let number = check_gpr(number)?;
        let kind = self.state.kind(number);
        if !kind.is_data() {
            return refuse(not_data(kind), format!("register {number} is {kind:?}"));
        }
        self.fault = Some(&[TrapCode::MemoryOutOfBounds]);
        Ok(number)
    }

    /// What a register is whose second operand's part was written.
    fn partly_written(&self, number: usize) -> Kind {
        match self.op.operands[1] {
            Operand::R64(_) => Kind::Any,
            Operand::R32(_) => U32,
            _ if self.state.kind(number).max().is_some() => U32,
            _ => Kind::Any,
        }
    }

    fn step_divide(&mut self, row: &Row) -> Check<Next> {
        if self.op.operands[0] == Operand::Memory {
            return refuse(
                Rule::Operand,
                "a divisor in memory: its fault could mean two things",
            );
        }
        self.fault = Some(&[TrapCode::IntegerDivisionByZero, TrapCode::IntegerOverflow]);
        self.step_fixed(row, &[RAX, RDX], &[RAX, RDX])
    }

    /// Reads a register that the row names, as data of the row's width.
    fn read_fixed(&self, number: usize, row: &Row) -> Check<()> {
        let kind = self.state.kind(number);
        if kind.is_data() || !row.w && kind == Kind::Low32 {
            Ok(())
        } else {
            refuse(not_data(kind), format!("register {number} is {kind:?}"))
        }
    }
}
