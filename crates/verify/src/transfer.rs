//! The transfer function of each row: what must hold before an instruction, what holds after it.
//!
//! Requires a decoded instruction with its row. Guarantees that the state after it holds of every
//! execution of which the state before it held. Deliberately knows no blocks; where execution goes
//! is handed to `function`.

use crate::access::{Place, not_data};
use crate::domain::{Copies, FLAGS, Fact, Kind, Readable, SlotKind, U32};
use crate::encoding;
use crate::function::{Check, Function, Next, refuse};
use crate::module::{Convention, Places};
use crate::rows::{First, Form, Row};
use crate::violation::Rule;
use cellwall_abi::context::func_entry;
use cellwall_abi::convention::{BASE, CONTEXT, ENTRY, STACK};
use cellwall_abi::{FieldKind, TrapCode};
use cellwall_base::{EntityId, TypeIdx, limits};
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
            Form::MulWide => self.step_mul_wide(row),
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
    fn plain(&mut self, row: &Row, result: Kind) -> Check<Next> {
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

    // ---- operands ----

    /// Width in bytes of the memory operand.
    fn width(&self) -> u32 {
        self.insn.memory_size().size() as u32
    }

    /// What the memory operand points to; aligned if the row demands it.
    fn operand_place(&mut self, row: &Row) -> Check<Place> {
        let place = self.place(self.width())?;
        let aligned = match place {
            _ if !row.aligned => true,
            Place::Rodata(at) => at % 16 == 0,
            // The return address lies at 8 modulo 16.
            Place::Frame(start) => start % 16 == 8,
            _ => false,
        };
        if aligned {
            Ok(place)
        } else {
            refuse(Rule::Address, "an operand that must be aligned, and may not be")
        }
    }

    /// The kind of a register as read in its full width, zero-extended.
    pub(crate) fn read_register(&self, register: Register) -> Check<Kind> {
        if register.is_xmm() {
            return if self.state.defined & 1 << register.number() != 0 {
                Ok(Kind::Any)
            } else {
                refuse(Rule::Undefined, format!("{register:?}"))
            };
        }
        let number = self.check_gpr(register)?;
        let kind = self.state.gprs[number];
        let read = match register.size() {
            8 => Some(kind).filter(|&k| !matches!(k, Kind::Low8 | Kind::Low32)),
            4 => kind.low_32(),
            2 => (kind.is_data() || kind == Kind::Low32).then_some(Kind::UpTo(0xffff)),
            _ => (kind.is_data() || matches!(kind, Kind::Low8 | Kind::Low32)).then_some(Kind::UpTo(0xff)),
        };
        match read {
            Some(Kind::Undefined) | None => refuse(not_data(kind), format!("{register:?} is {kind:?}")),
            Some(kind) => Ok(kind),
        }
    }

    /// The number of a general-purpose register that may be named as an operand.
    fn check_gpr(&self, register: Register) -> Check<usize> {
        let number = encoding::number(register);
        if matches!(
            register,
            Register::AH | Register::BH | Register::CH | Register::DH
        ) {
            return refuse(Rule::Operand, "a high byte register");
        }
        if !register.is_gpr() {
            return refuse(Rule::Operand, format!("{register:?}"));
        }
        match number {
            STACK => refuse(Rule::StackPointer, "the stack pointer as an operand"),
            BASE | CONTEXT => refuse(Rule::Pinned, format!("{register:?} as an operand")),
            _ => Ok(usize::from(number)),
        }
    }

    /// The kind of an operand as read.
    fn read(&mut self, i: u32, row: &Row) -> Check<Kind> {
        match self.insn.op_kind(i) {
            OpKind::Register => self.read_register(self.insn.op_register(i)),
            OpKind::Memory => {
                let place = self.operand_place(row)?;
                self.load(place, self.width())
            }
            OpKind::Immediate8
            | OpKind::Immediate16
            | OpKind::Immediate32
            | OpKind::Immediate64
            | OpKind::Immediate8to16
            | OpKind::Immediate8to32
            | OpKind::Immediate8to64
            | OpKind::Immediate32to64 => Ok(self.immediate(i)),
            kind => refuse(Rule::Operand, format!("{kind:?}")),
        }
    }

    /// An immediate in the width of the first operand.
    fn immediate(&self, i: u32) -> Kind {
        let value = self.insn.immediate(i);
        let value = match self.first_bytes() {
            8 => value,
            4 => value & 0xffff_ffff,
            2 => value & 0xffff,
            _ => value & 0xff,
        };
        u32::try_from(value).map_or(Kind::Any, Kind::UpTo)
    }

    fn first_bytes(&self) -> u32 {
        match self.insn.op_kind(0) {
            OpKind::Register => self.insn.op_register(0).size() as u32,
            _ => self.width(),
        }
    }

    /// The kind of an operand, which must be data.
    fn data(&mut self, i: u32, row: &Row) -> Check<Kind> {
        let kind = self.read(i, row)?;
        if kind.is_data() {
            Ok(kind)
        } else {
            refuse(not_data(kind), format!("{kind:?} as data"))
        }
    }

    /// Writes an operand: `kind` is that of the result before it is cut to the operand's width.
    fn write(&mut self, i: u32, kind: Kind, row: &Row) -> Check<()> {
        match self.insn.op_kind(i) {
            OpKind::Register => self.write_register(self.insn.op_register(i), kind),
            OpKind::Memory => {
                let place = self.operand_place(row)?;
                self.store(place, self.width(), kind)
            }
            kind => refuse(Rule::Operand, format!("a write to {kind:?}")),
        }
    }

    fn write_register(&mut self, register: Register, kind: Kind) -> Check<()> {
        if register.is_xmm() {
            if !kind.is_data() {
                return refuse(not_data(kind), format!("{kind:?} as data"));
            }
            self.state.defined |= 1 << register.number();
            return Ok(());
        }
        let number = self.check_gpr(register)?;
        let old = self.state.gprs[number];
        let new = match register.size() {
            8 => kind,
            4 => match kind.low_32() {
                Some(kind) => kind,
                None => return refuse(not_data(kind), format!("a part of {kind:?}")),
            },
            1 if old.max().is_some() => U32,
            1 if old.is_data() => Kind::Any,
            1 if old == Kind::Low32 => Kind::Low32,
            1 => Kind::Low8,
            _ => return refuse(Rule::Operand, "a 16-bit destination"),
        };
        self.set_gpr(number, new);
        Ok(())
    }

    fn set_gpr(&mut self, number: usize, kind: Kind) {
        self.state.gprs[number] = kind;
        self.state.copies.forget(number);
        if self.fact.register() == Some(number as u8) {
            self.fact = Fact::Nothing;
        }
    }

    fn set_flags(&mut self, row: &Row, fact: Fact) {
        if row.writes_flags {
            self.state.defined |= FLAGS;
            self.fact = fact;
        }
    }

    // ---- moves and arithmetic ----

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
        if n <= 0 || n % 8 != 0 || depth < 0 || depth > i64::from(limits::FRAME_BYTES_MAX) {
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

    fn check_flags(&self) -> Check<()> {
        if self.has_flags() {
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

    // ---- comparisons ----

    fn step_compare(&mut self, row: &Row) -> Check<Next> {
        if self.insn.op0_kind() == OpKind::Memory {
            match self.operand_place(row)? {
                Place::Entry(kind, at) => return self.compare_signature(kind, at, row),
                Place::BelowStack(start) => return self.probe(start, row),
                _ => {}
            }
        }
        let (a, b) = (self.data(0, row)?, self.data(1, row)?);
        let fact = match self.insn.op0_kind() {
            OpKind::Register => compared(self.insn.op0_register(), a, b),
            _ => Fact::Nothing,
        };
        self.set_flags(row, fact);
        Ok(Next::Continue)
    }

    /// `cmp dword [entry + SIGNATURE], …`: with a module-local number in a private table, with the
    /// engine-wide number of a type elsewhere; with the number of null anywhere.
    fn compare_signature(&mut self, entry: Kind, at: u32, row: &Row) -> Check<Next> {
        let number = self.insn.memory_base().number() as u8;
        if at != func_entry::SIGNATURE || self.width() != 4 {
            return refuse(Rule::Kind, "entries are compared by signature only");
        }
        let canonical = &self.module.artifact.shape.canonical_types;
        let ty = match (entry, self.read(1, row)?) {
            (_, Kind::UpTo(func_entry::NULL_SIGNATURE)) if self.insn.op1_kind() != OpKind::Register => None,
            (Kind::Entry { private: true }, Kind::UpTo(ty)) if self.insn.op1_kind() != OpKind::Register => {
                let ty = TypeIdx::from_u32(ty);
                if canonical.get(ty) != Some(&ty) {
                    return refuse(
                        Rule::IndirectCall,
                        format!("{ty} is no module-local signature number"),
                    );
                }
                Some(ty)
            }
            (Kind::Entry { private: false }, Kind::Signature(ty)) => Some(ty),
            _ => {
                return refuse(
                    Rule::IndirectCall,
                    "not the kind of signature number that the table holds",
                );
            }
        };
        let fact = ty.map_or(Fact::Nothing, |ty| Fact::Signature { register: number, ty });
        self.set_flags(row, fact);
        Ok(Next::Continue)
    }

    fn step_test(&mut self, row: &Row) -> Check<Next> {
        if self.insn.op0_kind() == OpKind::Memory
            && let Place::BelowStack(start) = self.operand_place(row)?
        {
            return self.probe(start, row);
        }
        self.plain(row, Kind::Any)
    }

    /// A read below the stack pointer that faults if the stack ends before it.
    fn probe(&mut self, start: u32, row: &Row) -> Check<Next> {
        if start > self.covered_stack() {
            return refuse(Rule::StackProbe, "a probe that could step over the guard");
        }
        debug_assert!(row.first == First::Read);
        self.state.probed = self.state.probed.max(start);
        self.fault = Some(&[TrapCode::StackOverflow]);
        // What was read is residue, and so is what it was compared with, perhaps.
        self.state.defined &= !FLAGS;
        self.fact = Fact::Nothing;
        Ok(Next::Continue)
    }

    /// What the flags say of a register under this condition.
    fn sharpened(&self, condition: ConditionCode) -> Option<(usize, Kind)> {
        let number = usize::from(self.fact.register()?);
        let old = self.state.gprs[number];
        let below = condition == ConditionCode::b;
        let at_most = below || condition == ConditionCode::be;
        let new = match self.fact {
            Fact::Bound { max, wide, .. } if at_most => {
                let max = if below { max.checked_sub(1)? } else { max };
                match old {
                    Kind::UpTo(old) => Kind::UpTo(old.min(max)),
                    Kind::Any if wide => Kind::UpTo(max),
                    // Of this register alone, see `sharpen`: copies keep what they are.
                    _ => Kind::UpTo(old.max()?.min(max)),
                }
            }
            Fact::Memory { memory, .. } if at_most && old.is_data() => Kind::MemoryIndex {
                memory,
                fits_32: old.max().is_some(),
            },
            Fact::Table { table, .. } if below && old.is_data() => Kind::TableIndex(table),
            Fact::Signature { ty, .. } if condition == ConditionCode::e => match old {
                Kind::Entry { .. } => Kind::TypedEntry(ty),
                _ => return None,
            },
            _ => return None,
        };
        Some((number, new))
    }

    /// Makes a register and all copies of it of this kind; what to put back into slots for the
    /// other outcome.
    fn sharpen(&mut self, number: usize, kind: Kind) -> Vec<(usize, SlotKind)> {
        if self.state.gprs[number].length_like() && matches!(kind, Kind::UpTo(_)) {
            // Both facts hold, but a kind says only one: the copies keep the relation to a length.
            self.state.gprs[number] = kind;
            return Vec::new();
        }
        let copies = self.state.copies;
        let mut old_slots = Vec::new();
        for register in 0..16 {
            if register != number && !(copies.equal(register, number) && self.state.gprs[register].is_data())
            {
                continue;
            }
            self.state.gprs[register] = kind;
            if let (Some(slot), Some(kind)) = (copies.home(register), kind.spilled()) {
                old_slots.push((slot, self.slots[slot]));
                self.slots[slot] = self.slot_kinds.byte(kind);
            }
        }
        old_slots
    }

    // ---- control ----

    fn step_branch(&mut self) -> Check<Next> {
        self.check_flags()?;
        let block = self.block_at(self.insn.near_branch64())?;
        let condition = self.insn.condition_code();
        match self.sharpened(condition) {
            None => self.reach(block)?,
            Some((number, kind)) => {
                let gprs = self.state.gprs;
                let slots = self.sharpen(number, kind);
                self.reach(block)?;
                self.state.gprs = gprs;
                for (slot, kind) in slots.into_iter().rev() {
                    self.slots[slot] = kind;
                }
            }
        }
        if let Some((number, kind)) = self.sharpened(negated(condition)) {
            self.sharpen(number, kind);
        }
        Ok(Next::Continue)
    }

    fn step_jump(&mut self) -> Check<Next> {
        let block = self.block_at(self.insn.near_branch64())?;
        self.reach(block)?;
        Ok(Next::Stop)
    }

    fn step_jump_indirect(&mut self) -> Check<Next> {
        if self.insn.op0_kind() != OpKind::Register {
            return refuse(Rule::IndirectJump, "through memory");
        }
        let number = self.check_gpr(self.insn.op0_register())?;
        let Kind::JumpTarget(table) = self.state.gprs[number] else {
            return refuse(
                Rule::IndirectJump,
                format!("to something that is {:?}", self.state.gprs[number]),
            );
        };
        let (user, targets) = match self.jumps.remove(&table) {
            Some(known) => known,
            None => (self.pc, self.jump_targets(table)?),
        };
        if user != self.pc {
            return refuse(Rule::IndirectJump, "a second jump through the same table");
        }
        for &block in &targets {
            self.reach(block as usize)?;
        }
        self.jumps.insert(table, (user, targets));
        Ok(Next::Stop)
    }

    /// The blocks that a jump table leads to, each once.
    fn jump_targets(&self, table: u32) -> Check<Vec<u32>> {
        let artifact = self.module.artifact;
        let table = artifact.jump_tables[table as usize];
        let bytes = &artifact.rodata[table.offset as usize..][..4 * table.len as usize];
        let base = self.module.rodata as i64 + i64::from(table.offset);
        let mut blocks = Vec::with_capacity(table.len as usize);
        for entry in bytes.chunks_exact(4) {
            let distance = i32::from_le_bytes(entry.try_into().expect("chunks are four bytes"));
            let target = u64::try_from(base + i64::from(distance)).unwrap_or(u64::MAX);
            blocks.push(self.block_at(target)? as u32);
        }
        blocks.sort_unstable();
        blocks.dedup();
        Ok(blocks)
    }

    fn step_call(&mut self) -> Check<Next> {
        let target = self.insn.near_branch64();
        match self.module.entry_at(target) {
            Some(func) => self.call_type(self.module.type_of(func)),
            None => refuse(Rule::CallTarget, format!("no function starts at 0x{target:x}")),
        }
    }

    fn step_call_indirect(&mut self) -> Check<Next> {
        if self.insn.op0_kind() != OpKind::Memory {
            return refuse(Rule::IndirectCall, "through a register");
        }
        let entry = self.state.gprs[usize::from(ENTRY)];
        match self.place(self.width())? {
            Place::Context(field) => match field.kind {
                FieldKind::Library(call) => self.call(None, self.module.library(call)),
                FieldKind::ImportEntry(func) if entry == Kind::ImportEntry(func.as_u32()) => {
                    self.call_type(self.module.type_of(func))
                }
                _ => refuse(
                    Rule::IndirectCall,
                    format!("{:?} with {entry:?} in the entry register", field.kind),
                ),
            },
            Place::Entry(Kind::TypedEntry(ty), func_entry::CALL)
                if self.insn.memory_base() == Register::R11 =>
            {
                self.call_type(ty)
            }
            place => refuse(
                Rule::IndirectCall,
                format!("{place:?} with {entry:?} in the entry register"),
            ),
        }
    }

    fn call_type(&mut self, ty: TypeIdx) -> Check<Next> {
        self.call(Some(ty), self.module.convention(ty))
    }

    /// A call by a convention: arguments before it, results after it, nothing else remains.
    fn call(&mut self, ty: Option<TypeIdx>, convention: &Convention) -> Check<Next> {
        let depth = self.state.depth;
        if depth % 16 != 8 {
            return refuse(
                Rule::StackPointer,
                format!("a call with a frame of {depth} bytes is not aligned"),
            );
        }
        if depth + 8 > self.covered_stack() {
            return refuse(Rule::StackProbe, format!("a call with {depth} bytes of frame"));
        }
        self.check_places(&convention.params, "argument")?;
        self.block.clear();
        self.state.gprs = [Kind::Undefined; 16];
        self.state.copies = Copies::NONE;
        for &(register, is_32) in &convention.results.gprs {
            self.state.gprs[usize::from(register)] = if is_32 { U32 } else { Kind::Any };
        }
        self.state.defined = convention.results.xmms;
        self.state.readable = match ty {
            Some(ty) if !convention.results.overflow.is_empty() => Readable::Results(ty),
            _ => Readable::Nothing,
        };
        self.fact = Fact::Nothing;
        Ok(Next::Continue)
    }

    /// Whether the values of a convention are where it says.
    fn check_places(&self, places: &Places, what: &str) -> Check<()> {
        for &(register, is_32) in &places.gprs {
            let kind = self.state.gprs[usize::from(register)];
            if !kind.is_data() {
                return refuse(
                    not_data(kind),
                    format!("the {what} in register {register} is {kind:?}"),
                );
            }
            if is_32 && kind.max().is_none() {
                return refuse(Rule::ZeroExtension, format!("the {what} in register {register}"));
            }
        }
        let missing = places.xmms & !self.state.defined;
        if missing != 0 {
            return refuse(
                Rule::Undefined,
                format!("the {what} in xmm{}", missing.trailing_zeros()),
            );
        }
        match self.block.missing(places) {
            None => Ok(()),
            Some(index) => refuse(
                Rule::BlockAccess,
                format!("the {what} in overflow place {index} is not written"),
            ),
        }
    }

    fn step_return(&mut self) -> Check<Next> {
        if self.state.depth != 0 {
            return refuse(
                Rule::StackPointer,
                format!("{} bytes above the return address", self.state.depth),
            );
        }
        self.check_places(&self.own().results, "result")?;
        Ok(Next::Stop)
    }
}

/// What comparing a register with a value of kind `b` says about it.
fn compared(register: Register, a: Kind, b: Kind) -> Fact {
    let (number, wide) = (encoding::number(register), register.size() == 8);
    match b {
        Kind::MemoryLength(memory) if wide => Fact::Memory {
            register: number,
            memory,
        },
        Kind::TableLength(table) if wide => Fact::Table {
            register: number,
            table,
        },
        // In 32 bits only of a register whose upper half is zero; at fewer bits of none.
        _ if register.size() < 4 || !wide && a.max().is_none() => Fact::Nothing,
        _ => match b.max() {
            Some(max) => Fact::Bound {
                register: number,
                max,
                wide,
            },
            None => Fact::Nothing,
        },
    }
}

/// The condition that holds exactly if the other does not.
fn negated(condition: ConditionCode) -> ConditionCode {
    use ConditionCode::*;
    match condition {
        None => None,
        o => no,
        no => o,
        b => ae,
        ae => b,
        e => ne,
        ne => e,
        be => a,
        a => be,
        s => ns,
        ns => s,
        p => np,
        np => p,
        l => ge,
        ge => l,
        le => g,
        g => le,
    }
}
