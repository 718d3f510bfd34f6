//! The transfer function of each row: what must hold before an instruction, what holds after it.
//!
//! Requires a decoded instruction with its row. Guarantees that the state after it holds of every
//! execution of which the state before it held. Operands are in `operand`, comparisons and branches
//! in `control`. Deliberately knows no blocks.

use crate::access::{Place, not_data};
use crate::domain::{CARRY, FLAGS, Fact, Kind, OVERFLOW, PARITY, SIGN, U32, ZERO};
use crate::encoding;
use crate::function::{Check, Function, Next, refuse};
use crate::rows::{First, Form, Row};
use crate::violation::Rule;
use cellwall_abi::context::func_entry;
use cellwall_abi::{FieldKind, TrapCode};
use cellwall_base::{EntityId, limits};
use iced_x86::{ConditionCode, OpKind, Register};

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
        if self.is_zero_idiom(row) {
            self.set_flags(row, Fact::Nothing);
            self.write(0, Kind::UpTo(0), row)?;
            return Ok(Next::Continue);
        }
        match row.form {
            Form::Refused => refuse(Rule::NotAllowed, "no row"),
            Form::Nothing => Ok(Next::Continue),
            Form::Plain => self.plain(row, Kind::Any),
            Form::Move => self.step_move(row),
            Form::ZeroExtend | Form::SignExtend => self.step_extend(row),
            Form::Lea => self.step_lea(row),
            Form::Add => self.step_add(row),
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
            Form::MulWide => self.step_mul_wide(row),
            Form::MulFree => self.step_mul_free(row),
            // With memory and a register, the address would be any: the number of the bit is part of it.
            Form::BitTest if self.insn.op0_kind() == OpKind::Memory => {
                refuse(Rule::Operand, "a string of bits in memory")
            }
            Form::BitTest => self.plain(row, Kind::Any),
            Form::Divide => self.step_divide(row),
            Form::SignSpread => self.step_sign_spread(row),
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
        }
    }

    /// Reads all sources as data and makes the destination of this kind.
    pub(crate) fn plain(&mut self, row: &Row, result: Kind) -> Check<Next> {
        for i in 1..self.insn.op_count() {
            self.data(i, row)?;
        }
        if row.first != First::Write || self.merges_low_half() {
            self.data(0, row)?;
        }
        self.set_flags(row, Fact::Nothing);
        if row.first != First::Read {
            self.write(0, result, row)?;
        }
        Ok(Next::Continue)
    }

    /// A scalar move between vector registers leaves the rest of its destination alone.
    fn merges_low_half(&self) -> bool {
        use iced_x86::Code::{Movsd_xmm_xmmm64, Movsd_xmmm64_xmm, Movss_xmm_xmmm32, Movss_xmmm32_xmm};
        self.insn.op_kind(0) == OpKind::Register
            && self.insn.op_kind(1) == OpKind::Register
            && matches!(
                self.insn.code(),
                Movsd_xmm_xmmm64 | Movsd_xmmm64_xmm | Movss_xmm_xmmm32 | Movss_xmmm32_xmm
            )
    }

    fn is_zero_idiom(&self, row: &Row) -> bool {
        matches!(row.form, Form::Xor | Form::Sub)
            && self.insn.op_kind(0) == OpKind::Register
            && self.insn.op_kind(1) == OpKind::Register
            && self.insn.op_register(0) == self.insn.op_register(1)
            && self.insn.op_register(0).size() >= 4
    }

    fn step_move(&mut self, row: &Row) -> Check<Next> {
        let kind = self.read(1, row)?;
        if self.merges_low_half() {
            self.data(0, row)?;
        }
        self.write(0, kind, row)?;
        if kind.is_data() {
            self.note_copy();
        }
        Ok(Next::Continue)
    }

    /// After a move that changed no bit of the value: both sides are equal.
    fn note_copy(&mut self) {
        let general = |i| (self.insn.op_kind(i) == OpKind::Register).then(|| self.insn.op_register(i));
        let number = |register: Register| {
            let whole = register.size() >= 4 && register.is_gpr();
            whole.then(|| usize::from(encoding::number(register)))
        };
        let slot = |function: &Self| match function.place(8) {
            Ok(Place::Frame(start)) if function.width() == 8 => Some(start as usize / 8 - 1),
            _ => None,
        };
        match (general(0), general(1)) {
            (Some(to), Some(from)) => {
                // A 32-bit move of more than 32 bits changes the value.
                if let (Some(to), Some(from)) = (number(to), number(from))
                    && to != from
                    && (self.insn.op0_register().size() == 8 || self.state.gprs[from].max().is_some())
                {
                    self.state.copies.copy(to, from);
                }
            }
            (Some(register), None) | (None, Some(register)) if self.insn.memory_base() == Register::RSP => {
                if let (Some(number), Some(slot)) = (number(register), slot(self)) {
                    self.state.copies.settle(number, slot);
                }
            }
            _ => {}
        }
    }

    fn step_extend(&mut self, row: &Row) -> Check<Next> {
        if self.insn.op_kind(1) == OpKind::Memory
            && let Place::JumpTable(table) = self.operand_place(row)?
            && row.form == Form::SignExtend
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
        let (base, index) = (self.insn.memory_base(), self.insn.memory_index());
        let disp = self.insn.memory_displacement64();
        let kind = if base == Register::RIP {
            self.jump_table_at(disp)?
        } else if base == Register::R15 && index == Register::None {
            match u32::try_from(disp)
                .ok()
                .and_then(|at| self.module.layout.field_at(at))
            {
                Some(field) if matches!(field.kind, FieldKind::ImportEntry(_)) => {
                    let FieldKind::ImportEntry(func) = field.kind else {
                        unreachable!("matched above")
                    };
                    Kind::ImportEntry(func.as_u32())
                }
                _ => {
                    return refuse(
                        Rule::ContextAccess,
                        "the address of something that is no import entry",
                    );
                }
            }
        } else {
            for register in [base, index] {
                if register != Register::None {
                    let kind = self.read_register(register)?;
                    if !kind.is_data() {
                        return refuse(Rule::Kind, format!("{kind:?} as data"));
                    }
                }
            }
            Kind::Any
        };
        if !kind.is_data() && row.w as u32 * 8 != 8 {
            return refuse(Rule::Kind, "a part of an address");
        }
        self.write(0, kind, row)?;
        Ok(Next::Continue)
    }

    fn jump_table_at(&self, target: u64) -> Check<Kind> {
        let artifact = self.module.artifact;
        let table = target
            .checked_sub(self.module.rodata)
            .and_then(|at| u32::try_from(at).ok())
            .and_then(|at| artifact.jump_tables.binary_search_by_key(&at, |t| t.offset).ok());
        match table {
            Some(table) if artifact.jump_tables[table].func == self.range.func => {
                Ok(Kind::JumpTable(table as u32))
            }
            _ => refuse(
                Rule::IndirectJump,
                format!("no jump table of the function is at 0x{target:x}"),
            ),
        }
    }

    fn is_stack_move(&self) -> bool {
        self.insn.op0_register() == Register::RSP
    }

    /// `sub rsp, n` and `add rsp, n`.
    fn move_stack(&mut self, down: bool) -> Check<Next> {
        let n = match self.insn.op1_kind() {
            OpKind::Immediate8to64 | OpKind::Immediate32to64 => self.insn.immediate(1) as i64,
            _ => return refuse(Rule::StackPointer, "not by a constant"),
        };
        let depth = i64::from(self.state.depth) + if down { n } else { -n };
        if n <= 0
            || !n.unsigned_abs().is_multiple_of(8)
            || depth < 0
            || depth > i64::from(limits::FRAME_BYTES_MAX)
        {
            return refuse(Rule::StackPointer, format!("a frame of {depth} bytes"));
        }
        let depth = depth as u32;
        if depth as usize / 8 > self.slots.len() {
            return refuse(Rule::Unwind, format!("no row lists a frame of {depth} bytes"));
        }
        let (low, high) = (depth.min(self.state.depth), depth.max(self.state.depth));
        self.forget_slots(low, high);
        self.state.depth = depth;
        self.state.defined |= FLAGS;
        self.fact = Fact::Nothing;
        Ok(Next::Continue)
    }

    fn step_add(&mut self, row: &Row) -> Check<Next> {
        if self.is_stack_move() {
            return self.move_stack(false);
        }
        if row.w && self.insn.op0_kind() == OpKind::Register {
            let number = self.insn.op0_register().number();
            let kind = self.state.gprs[number];
            let sum = match (kind, self.insn.op1_kind()) {
                (Kind::ScaledUpTo(_) | Kind::ScaledTableIndex(_), OpKind::Memory) => self.entry(kind, row)?,
                (Kind::JumpTable(table), OpKind::Register) => {
                    match self.read_register(self.insn.op1_register())? {
                        Kind::JumpDistance(t) if t == table => Some(Kind::JumpTarget(table)),
                        _ => return refuse(Rule::IndirectJump, "not a distance from this table"),
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
        let count = self.insn.immediate(1) as u32 % bits;
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
        let register = self.insn.op0_register();
        let number = self.check_gpr(register)?;
        // For zero the whole destination may stay as it is, so a 32-bit scan does not zero-extend.
        let old = self.state.gprs[number];
        if !old.is_data() {
            return refuse(not_data(old), format!("{register:?} is {old:?}"));
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
        self.check_flags_defined(flags_read(self.insn.condition_code()))
    }

    fn check_flags_defined(&self, needed: u32) -> Check<()> {
        if needed & !self.state.defined == 0 {
            Ok(())
        } else {
            refuse(Rule::Undefined, "the flags")
        }
    }

    fn step_set(&mut self, row: &Row) -> Check<Next> {
        self.check_flags()?;
        self.write(0, Kind::UpTo(1), row)?;
        Ok(Next::Continue)
    }

    fn step_mul_wide(&mut self, row: &Row) -> Check<Next> {
        self.data(0, row)?;
        let result = if row.w { Kind::Any } else { U32 };
        self.read_fixed(RAX, row)?;
        self.set_flags(row, Fact::Nothing);
        self.set_gpr(RAX, result);
        self.set_gpr(RDX, result);
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

    fn step_divide(&mut self, row: &Row) -> Check<Next> {
        if self.insn.op0_kind() != OpKind::Register {
            return refuse(Rule::Operand, "a divisor in memory");
        }
        self.data(0, row)?;
        self.read_fixed(RAX, row)?;
        self.read_fixed(RDX, row)?;
        self.fault = Some(&[TrapCode::IntegerDivisionByZero, TrapCode::IntegerOverflow]);
        let result = if row.w { Kind::Any } else { U32 };
        self.set_flags(row, Fact::Nothing);
        self.set_gpr(RAX, result);
        self.set_gpr(RDX, result);
        Ok(Next::Continue)
    }

    fn step_sign_spread(&mut self, row: &Row) -> Check<Next> {
        self.read_fixed(RAX, row)?;
        self.set_gpr(RDX, if row.w { Kind::Any } else { U32 });
        Ok(Next::Continue)
    }

    /// Reads a register that the row names, as data of the row's width.
    fn read_fixed(&self, number: usize, row: &Row) -> Check<()> {
        let kind = self.state.gprs[number];
        if kind.is_data() || !row.w && kind == Kind::Low32 {
            Ok(())
        } else {
            refuse(not_data(kind), format!("register {number} is {kind:?}"))
        }
    }
}
