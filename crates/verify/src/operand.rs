//! Operands: how the current instruction reads and writes registers, memory and flags.
//!
//! Requires a row. Guarantees that pinned registers and the stack pointer are no operands, that
//! what is read is defined, and that a write leaves of the old value what the width leaves.
//! Deliberately does not know what is computed.

use crate::access::{Place, not_data};
use crate::domain::{Fact, Kind};
use crate::function::Function;
use crate::rows::First;
use crate::stems::Operand;
use crate::violation::{Check, Rule, ensure, refuse};
use cellwall_abi::convention::{BASE, CONTEXT, STACK};

/// Whether a general-purpose register may be named as an operand.
#[inline]
pub(crate) fn check_gpr(register: u8) -> Check<u8> {
    match register {
        STACK => refuse!(Rule::StackPointer => "the stack pointer as an operand"),
        BASE | CONTEXT => refuse!(Rule::Pinned => "r{register} as an operand, not as the base of an address"),
        _ => Ok(register),
    }
}

impl Function<'_> {
    /// What the memory operand points to; aligned if the row demands it.
    pub(crate) fn operand_place(&self) -> Check<Place> {
        let place = self.place()?;
        let is_aligned = match place {
            _ if !self.row.aligned => true,
            Place::Rodata(at) => at.is_multiple_of(16),
            // The return address lies at 8 modulo 16.
            Place::Frame(start) => start % 16 == 8,
            _ => false,
        };
        ensure!(is_aligned, Rule::Address => "an operand that must be aligned, and may not be");
        Ok(place)
    }

    /// The kind of a register as read in its full width, zero-extended.
    #[inline]
    pub(crate) fn read_register(&self, operand: Operand) -> Check<Kind> {
        let register = match operand {
            Operand::R64(n) | Operand::R32(n) | Operand::R16(n) | Operand::R8(n) => check_gpr(n)?,
            _ => refuse!(Rule::Operand => "a register that no row permits"),
        };
        let kind = self.state.kind(register);
        let read = match operand {
            Operand::R64(_) => (!kind.is_partial()).then_some(kind),
            Operand::R32(_) => kind.low_32(),
            Operand::R16(_) => (kind.is_data() || kind == Kind::Low32).then_some(Kind::UpTo(0xffff)),
            _ => (kind.is_data() || matches!(kind, Kind::Low8 | Kind::Low32)).then_some(Kind::UpTo(0xff)),
        };
        match read {
            Some(kind) => Ok(kind),
            None => refuse!(not_data(kind) => "{operand:?} is read, but register {register} is {kind:?}"),
        }
    }

    /// The kind of an operand as read.
    #[inline]
    pub(crate) fn read(&mut self, i: usize) -> Check<Kind> {
        match self.stem.operands[i] {
            Operand::Memory => {
                let place = self.operand_place()?;
                self.load(place)
            }
            Operand::Immediate if self.op.is_wide => Ok(Kind::Any),
            Operand::Immediate => Ok(Kind::UpTo(self.op.value)),
            operand => self.read_register(operand),
        }
    }

    /// The kind of an operand, which must be data.
    #[inline]
    pub(crate) fn data(&mut self, i: usize) -> Check<Kind> {
        let kind = self.read(i)?;
        ensure!(kind.is_data(), not_data(kind) => "data is needed, this is {kind:?}");
        Ok(kind)
    }

    /// The kind of a register that only the instruction's manual names, as data of so many bits.
    pub(crate) fn data_of(&self, register: u8, is_wide: bool) -> Check<Kind> {
        let kind = self.state.kind(register);
        ensure!(kind.is_data() || !is_wide && kind == Kind::Low32, not_data(kind) =>
            "register {register} is {kind:?}");
        Ok(kind)
    }

    /// All sources, which must be data.
    #[inline]
    pub(crate) fn sources(&mut self) -> Check<()> {
        let from = usize::from(self.row.first == First::Write);
        for i in from..self.stem.operands.len() {
            if self.stem.operands[i] != Operand::None {
                self.data(i)?;
            }
        }
        Ok(())
    }

    /// Writes an operand: `kind` is that of the result before it is cut to the operand's width.
    pub(crate) fn write(&mut self, i: usize, kind: Kind) -> Check<()> {
        let (register, new) = match self.stem.operands[i] {
            Operand::R64(register) => (register, kind),
            Operand::R32(register) => match kind.low_32() {
                Some(kind) => (register, kind),
                None => refuse!(not_data(kind) => "a part of {kind:?}"),
            },
            Operand::R8(register) => (register, self.partly_written(register, 0xff)),
            Operand::R16(_) => refuse!(Rule::Operand => "a 16-bit destination"),
            Operand::Memory => {
                let place = self.operand_place()?;
                return self.store(place, kind);
            }
            operand => refuse!(Rule::Operand => "a write to {operand:?}"),
        };
        self.set_gpr(check_gpr(register)?, new);
        Ok(())
    }

    /// What a register is after these bits of it were written: what was defined above stays.
    pub(crate) fn partly_written(&self, register: u8, bits: u32) -> Kind {
        let old = self.state.kind(register);
        match old.max() {
            Some(max) => Kind::UpTo(max | bits),
            None if old.is_data() => Kind::Any,
            None if old == Kind::Low32 => Kind::Low32,
            None => Kind::Low8,
        }
    }

    #[inline]
    pub(crate) fn set_gpr(&mut self, register: u8, kind: Kind) {
        self.state.set(register, kind);
        self.forget(register);
    }

    /// The register holds another value than before.
    #[inline]
    pub(crate) fn forget(&mut self, register: u8) {
        self.state.copies.forget(register);
        self.fact = self.fact.filter(|fact| fact.register != register);
    }

    /// What the row says of flags; what they say, if it writes them.
    #[inline]
    pub(crate) fn set_flags(&mut self, fact: Option<Fact>) {
        let flags = self.row.flags;
        // A shift by a constant that has no effect has none on flags.
        if flags.changes() && !(flags.unless_zero && self.op.value.is_multiple_of(self.row.bits())) {
            self.state.flags = self.state.flags & flags.keeps | flags.sets;
            self.fact = fact;
        }
    }
}
