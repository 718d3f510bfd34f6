//! Operands: how the current instruction reads and writes registers, memory and flags.
//!
//! Requires a row. Guarantees that pinned registers and the stack pointer are no operands, that
//! what is read is defined, and that a write leaves of the old value what the width leaves.
//! Deliberately does not know what is computed.

use crate::access::{Place, not_data};
use crate::domain::{FLAGS, Fact, Kind, U32};
use crate::encoding;
use crate::function::{Check, Function, refuse};
use crate::rows::Row;
use crate::violation::Rule;
use cellwall_abi::convention::{BASE, CONTEXT, STACK};
use iced_x86::{OpKind, Register};

impl Function<'_> {
    /// Width in bytes of the memory operand.
    pub(crate) fn width(&self) -> u32 {
        self.insn.memory_size().size() as u32
    }

    /// What the memory operand points to; aligned if the row demands it.
    pub(crate) fn operand_place(&mut self, row: &Row) -> Check<Place> {
        let place = self.place(self.width())?;
        let aligned = match place {
            _ if !row.aligned => true,
            Place::Rodata(at) => at.is_multiple_of(16),
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
    pub(crate) fn check_gpr(&self, register: Register) -> Check<usize> {
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
    pub(crate) fn read(&mut self, i: u32, row: &Row) -> Check<Kind> {
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
    pub(crate) fn immediate(&self, i: u32) -> Kind {
        let value = self.insn.immediate(i);
        let value = match self.first_bytes() {
            8 => value,
            4 => value & 0xffff_ffff,
            2 => value & 0xffff,
            _ => value & 0xff,
        };
        u32::try_from(value).map_or(Kind::Any, Kind::UpTo)
    }

    pub(crate) fn first_bytes(&self) -> u32 {
        match self.insn.op_kind(0) {
            OpKind::Register => self.insn.op_register(0).size() as u32,
            _ => self.width(),
        }
    }

    /// The kind of an operand, which must be data.
    pub(crate) fn data(&mut self, i: u32, row: &Row) -> Check<Kind> {
        let kind = self.read(i, row)?;
        if kind.is_data() {
            Ok(kind)
        } else {
            refuse(not_data(kind), format!("{kind:?} as data"))
        }
    }

    /// Writes an operand: `kind` is that of the result before it is cut to the operand's width.
    pub(crate) fn write(&mut self, i: u32, kind: Kind, row: &Row) -> Check<()> {
        match self.insn.op_kind(i) {
            OpKind::Register => self.write_register(self.insn.op_register(i), kind),
            OpKind::Memory => {
                let place = self.operand_place(row)?;
                self.store(place, self.width(), kind)
            }
            kind => refuse(Rule::Operand, format!("a write to {kind:?}")),
        }
    }

    pub(crate) fn write_register(&mut self, register: Register, kind: Kind) -> Check<()> {
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

    pub(crate) fn set_gpr(&mut self, number: usize, kind: Kind) {
        self.state.gprs[number] = kind;
        self.state.copies.forget(number);
        if self.fact.register() == Some(number as u8) {
            self.fact = Fact::Nothing;
        }
    }

    pub(crate) fn set_flags(&mut self, row: &Row, fact: Fact) {
        let flags = row.flags;
        if flags.changes() && !(flags.unless_zero && self.shifts_by_zero(row)) {
            let kept = self.state.defined & (flags.keeps | !FLAGS);
            self.state.defined = kept | flags.sets;
            self.fact = fact;
        }
    }

    /// Whether the constant by which a shift shifts has no effect.
    fn shifts_by_zero(&self, row: &Row) -> bool {
        let bits = if row.w { 64 } else { 32 };
        self.insn.immediate(self.insn.op_count() - 1).is_multiple_of(bits)
    }
}
