//! Operands: how the current instruction reads and writes registers, memory and flags.
//!
//! Requires a row. Guarantees that pinned registers and the stack pointer are no operands, that
//! what is read is defined, and that a write leaves of the old value what the width leaves.
//! Deliberately does not know what is computed.

use crate::access::{Place, not_data};
use crate::decode::Operand;
use crate::domain::{Fact, Kind};
use crate::function::{Check, Function, refuse};
use crate::rows::Row;
use crate::violation::Rule;
use cellwall_abi::convention::{BASE, CONTEXT, STACK};

/// Whether a general-purpose register may be named as an operand.
#[inline]
pub(crate) fn check_gpr(number: u8) -> Check<usize> {
    match number {
        STACK => refuse(Rule::StackPointer, "the stack pointer as an operand"),
        BASE | CONTEXT => refuse(
            Rule::Pinned,
            format!("r{number} as an operand, not as the base of an address"),
        ),
        _ => Ok(usize::from(number & 15)),
    }
}

impl Function<'_> {
    /// What the memory operand points to; aligned if the row demands it.
    pub(crate) fn operand_place(&mut self, row: &Row) -> Check<Place> {
        let place = self.place(self.op.width.into())?;
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
    #[inline]
    pub(crate) fn read_register(&self, operand: Operand) -> Check<Kind> {
        let (number, read) = match operand {
            Operand::R64(number) => {
                let kind = self.state.kind(check_gpr(number)?);
                (number, (!kind.is_partial()).then_some(kind))
            }
            Operand::R32(number) => (number, self.state.kind(check_gpr(number)?).low_32()),
            Operand::R16(number) => {
                let kind = self.state.kind(check_gpr(number)?);
                let defined = kind.is_data() || kind == Kind::Low32;
                (number, defined.then_some(Kind::UpTo(0xffff)))
            }
            Operand::R8(number) => {
                let kind = self.state.kind(check_gpr(number)?);
                let defined = kind.is_data() || matches!(kind, Kind::Low8 | Kind::Low32);
                (number, defined.then_some(Kind::UpTo(0xff)))
            }
            _ => return refuse(Rule::Operand, "a register that no row permits"),
        };
        match read {
            None => {
                let kind = self.state.kind(usize::from(number));
                refuse(
                    not_data(kind),
                    format!("{operand:?} is read, but register {number} is {kind:?}"),
                )
            }
            Some(kind) => Ok(kind),
        }
    }

    /// The kind of an operand as read.
    #[inline]
    pub(crate) fn read(&mut self, i: usize, row: &Row) -> Check<Kind> {
        match self.op.operands[i] {
            Operand::Memory => {
                let place = self.operand_place(row)?;
                self.load(place, self.op.width.into())
            }
            Operand::Immediate => Ok(Kind::UpTo(self.op.value)),
            Operand::WideImmediate => Ok(Kind::Any),
            operand => self.read_register(operand),
        }
    }

    /// The kind of an operand, which must be data.
    #[inline]
    pub(crate) fn data(&mut self, i: usize, row: &Row) -> Check<Kind> {
        let kind = self.read(i, row)?;
        if kind.is_data() {
            Ok(kind)
        } else {
            refuse(not_data(kind), format!("data is needed, this is {kind:?}"))
        }
    }

    /// Writes an operand: `kind` is that of the result before it is cut to the operand's width.
    pub(crate) fn write(&mut self, i: usize, kind: Kind, row: &Row) -> Check<()> {
        let (number, new) = match self.op.operands[i] {
            Operand::R64(number) => (check_gpr(number)?, kind),
            Operand::R32(number) => match kind.low_32() {
                Some(kind) => (check_gpr(number)?, kind),
                None => return refuse(not_data(kind), format!("a part of {kind:?}")),
            },
            Operand::R8(number) => {
                let number = check_gpr(number)?;
                // What was defined above stays.
                let old = self.state.kind(number);
                let new = match old.max() {
                    Some(max) => Kind::UpTo(max | 0xff),
                    None if old.is_data() => Kind::Any,
                    None if old == Kind::Low32 => Kind::Low32,
                    None => Kind::Low8,
                };
                (number, new)
            }
            Operand::R16(_) => return refuse(Rule::Operand, "a 16-bit destination"),
            Operand::Memory => {
                let place = self.operand_place(row)?;
                return self.store(place, self.op.width.into(), kind);
            }
            operand => return refuse(Rule::Operand, format!("a write to {operand:?}")),
        };
        self.set_gpr(number, new);
        Ok(())
    }

    #[inline]
    pub(crate) fn set_gpr(&mut self, number: usize, kind: Kind) {
        self.state.set(number, kind);
        self.forget(number);
    }

    /// The register holds another value than before.
    #[inline]
    pub(crate) fn forget(&mut self, number: usize) {
        self.state.copies.forget(number);
        if self.fact.register() == Some(number as u8) {
            self.fact = Fact::Nothing;
        }
    }

    #[inline]
    pub(crate) fn set_flags(&mut self, row: &Row, fact: Fact) {
        let flags = row.flags;
        if flags.changes() && !(flags.unless_zero && self.shifts_by_zero(row)) {
            self.state.flags = self.state.flags & flags.keeps | flags.sets;
            self.fact = fact;
        }
    }

    /// Whether the constant by which a shift shifts has no effect.
    fn shifts_by_zero(&self, row: &Row) -> bool {
        let bits = if row.w { 64 } else { 32 };
        self.op.value.is_multiple_of(bits)
    }
}
