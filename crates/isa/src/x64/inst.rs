//! An instruction as data, and the roles of its registers.

use super::row::{Form, Row};
use crate::Reg;

/// Operand size.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum Width {
    /// 8 bits.
    W8,
    /// 16 bits.
    W16,
    /// 32 bits.
    W32,
    /// 64 bits.
    W64,
    /// 128 bits: a vector.
    W128,
}

impl Width {
    /// Size in bytes.
    pub const fn bytes(self) -> u32 {
        1 << self as u32
    }

    /// Size in bits.
    pub const fn bits(self) -> u32 {
        8 << self as u32
    }
}

/// A condition on the flags; the first sixteen have the hardware's numbers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum Cond {
    /// Overflow.
    O,
    /// No overflow.
    No,
    /// Unsigned less.
    B,
    /// Unsigned greater or equal.
    Ae,
    /// Equal.
    E,
    /// Not equal.
    Ne,
    /// Unsigned less or equal.
    Be,
    /// Unsigned greater.
    A,
    /// Negative.
    S,
    /// Not negative.
    Ns,
    /// Parity: after a float comparison, unordered.
    P,
    /// No parity: after a float comparison, ordered.
    Np,
    /// Signed less.
    L,
    /// Signed greater or equal.
    Ge,
    /// Signed less or equal.
    Le,
    /// Signed greater.
    G,
    /// `E` and `Np`: floats are equal. Only in branches and float selects.
    FloatEq,
    /// `Ne` or `P`: floats are not equal. Only in branches and float selects.
    FloatNe,
}

impl Cond {
    /// The hardware's conditions by number.
    pub const HARDWARE: [Self; 16] = [
        Self::O,
        Self::No,
        Self::B,
        Self::Ae,
        Self::E,
        Self::Ne,
        Self::Be,
        Self::A,
        Self::S,
        Self::Ns,
        Self::P,
        Self::Np,
        Self::L,
        Self::Ge,
        Self::Le,
        Self::G,
    ];

    /// The opposite condition.
    pub const fn inverse(self) -> Self {
        match self {
            Self::FloatEq => Self::FloatNe,
            Self::FloatNe => Self::FloatEq,
            _ => Self::HARDWARE[self as usize ^ 1],
        }
    }

    /// The hardware's number.
    ///
    /// # Panics
    /// If this is not one condition of the hardware.
    pub const fn number(self) -> u8 {
        assert!((self as u8) < 16, "a compound condition has no number");
        self as u8
    }

    /// The suffix in assembly.
    pub const fn name(self) -> &'static str {
        match self {
            Self::O => "o",
            Self::No => "no",
            Self::B => "b",
            Self::Ae => "ae",
            Self::E => "e",
            Self::Ne => "ne",
            Self::Be => "be",
            Self::A => "a",
            Self::S => "s",
            Self::Ns => "ns",
            Self::P => "p",
            Self::Np => "np",
            Self::L => "l",
            Self::Ge => "ge",
            Self::Le => "le",
            Self::G => "g",
            Self::FloatEq => "feq",
            Self::FloatNe => "fne",
        }
    }
}

/// What the r/m operand of an instruction is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum Rm {
    /// The register `base`.
    Reg,
    /// `[base + (index << scale) + disp]`; either register may be absent.
    Mem,
    /// The frame slot `disp`.
    Slot,
    /// The byte `disp` of the function's constants.
    Rodata,
}

/// An instruction: a row and its operands. Which fields count is said by the row's [`Form`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Inst {
    /// The row.
    pub row: Row,
    /// Operand size.
    pub width: Width,
    /// Condition of conditional rows.
    pub cond: Cond,
    /// What the r/m operand is.
    pub rm: Rm,
    /// log2 of the factor of `index`.
    pub scale: u8,
    /// Whether a vector row is VEX encoded; see [`Row::has_vex`].
    pub vex: bool,
    /// Trap code if the instruction may fault or traps, otherwise 0.
    pub trap: u8,
    /// Destination.
    pub dst: Reg,
    /// Second destination, or third source of a row with four operands.
    pub dst2: Reg,
    /// Source.
    pub src: Reg,
    /// R/m register, or base of the address.
    pub base: Reg,
    /// Index of the address.
    pub index: Reg,
    /// Displacement, frame slot or offset in rodata.
    pub disp: i32,
    /// Immediate.
    pub imm: i64,
    /// Offset of the operator in the source.
    pub origin: u32,
}

/// What an instruction does with a register.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// Reads it at its start.
    Use,
    /// Reads it at its start, in this hardware register of its class.
    UseFixed(u8),
    /// Writes it at its end.
    Def,
    /// Writes it while operands may still be read.
    DefEarly,
    /// Writes it at its end, in this hardware register of its class.
    DefFixed(u8),
    /// Writes it while operands may still be read, in this hardware register.
    DefFixedEarly(u8),
    /// Writes it in the register of the first operand that was visited.
    DefTied,
}

const RAX: u8 = 0;
const RCX: u8 = 1;
const RDX: u8 = 2;

impl Inst {
    /// An instruction without operands.
    pub const fn new(row: Row, width: Width) -> Self {
        Self {
            row,
            width,
            cond: Cond::O,
            rm: Rm::Reg,
            scale: 0,
            vex: false,
            trap: 0,
            dst: Reg::NONE,
            dst2: Reg::NONE,
            src: Reg::NONE,
            base: Reg::NONE,
            index: Reg::NONE,
            disp: 0,
            imm: 0,
            origin: 0,
        }
    }

    /// With a destination.
    pub const fn dst(mut self, dst: Reg) -> Self {
        self.dst = dst;
        self
    }

    /// VEX encoded, or not.
    pub const fn vex(mut self, vex: bool) -> Self {
        self.vex = vex;
        self
    }

    /// With a second destination, or a third source.
    pub const fn dst2(mut self, dst2: Reg) -> Self {
        self.dst2 = dst2;
        self
    }

    /// With a source.
    pub const fn src(mut self, src: Reg) -> Self {
        self.src = src;
        self
    }

    /// With a register as r/m operand.
    pub const fn rm(mut self, base: Reg) -> Self {
        self.rm = Rm::Reg;
        self.base = base;
        self
    }

    /// With a second source in the index field.
    pub const fn index(mut self, index: Reg) -> Self {
        self.index = index;
        self
    }

    /// With `[base + disp]` as r/m operand.
    pub const fn mem(mut self, base: Reg, disp: i32) -> Self {
        self.rm = Rm::Mem;
        self.base = base;
        self.disp = disp;
        self
    }

    /// With `[base + (index << scale) + disp]` as r/m operand.
    pub const fn mem_index(mut self, base: Reg, index: Reg, scale: u8, disp: i32) -> Self {
        self.rm = Rm::Mem;
        self.base = base;
        self.index = index;
        self.scale = scale;
        self.disp = disp;
        self
    }

    /// With a frame slot as r/m operand.
    pub const fn slot(mut self, slot: u32) -> Self {
        self.rm = Rm::Slot;
        self.disp = slot as i32;
        self
    }

    /// With a constant of the function as r/m operand.
    pub const fn rodata(mut self, offset: u32) -> Self {
        self.rm = Rm::Rodata;
        self.disp = offset as i32;
        self
    }

    /// With an immediate.
    pub const fn imm(mut self, imm: i64) -> Self {
        self.imm = imm;
        self
    }

    /// With a condition.
    pub const fn cond(mut self, cond: Cond) -> Self {
        self.cond = cond;
        self
    }

    /// With a trap code.
    pub const fn trap(mut self, code: u8) -> Self {
        self.trap = code;
        self
    }

    /// Whether the destination is the source: `dst=src`.
    pub fn is_tied(&self) -> bool {
        match self.row.form() {
            Form::Vec | Form::VecImm | Form::VecShiftImm => !self.vex,
            Form::RmMod
            | Form::RmModImm
            | Form::Imm
            | Form::Unary
            | Form::ShiftCl
            | Form::ShiftImm
            | Form::Set
            | Form::Exchange
            | Form::VexFused => true,
            _ => matches!(
                self.row,
                Row::FSelect | Row::FMinWasm | Row::FMaxWasm | Row::CheckIndex | Row::Saturate
            ),
        }
    }

    /// Visits the registers in their roles, to read or replace them: uses first (a tied one before
    /// all others), then definitions. The registers of calls, returns, parameters and edges are in
    /// the lists of the function.
    pub fn visit(&mut self, f: &mut impl FnMut(&mut Reg, Role)) {
        use Form as F;
        let rm = |i: &mut Self, f: &mut dyn FnMut(&mut Reg, Role)| {
            if matches!(i.rm, Rm::Reg | Rm::Mem) {
                if !i.base.is_none() {
                    f(&mut i.base, Role::Use);
                }
                if i.rm == Rm::Mem && !i.index.is_none() {
                    f(&mut i.index, Role::Use);
                }
            }
        };
        match self.row.form() {
            F::Rm | F::RmImm | F::VexRmImm | F::VexVm | F::VecRmImm => {
                rm(self, f);
                f(&mut self.dst, Role::Def);
            }
            F::Vec | F::VecImm => {
                f(&mut self.src, Role::Use);
                rm(self, f);
                let role = if self.vex { Role::Def } else { Role::DefTied };
                f(&mut self.dst, role);
            }
            F::VexBlend | F::VexFused => {
                f(&mut self.src, Role::Use);
                f(&mut self.dst2, Role::Use);
                rm(self, f);
                let is_tied = self.is_tied();
                f(&mut self.dst, if is_tied { Role::DefTied } else { Role::Def });
            }
            F::RmMod | F::RmModImm => {
                f(&mut self.src, Role::Use);
                rm(self, f);
                f(&mut self.dst, Role::DefTied);
            }
            F::RmUse | F::Store | F::StoreImm => {
                f(&mut self.src, Role::Use);
                rm(self, f);
            }
            F::Reverse | F::ReverseImm => {
                f(&mut self.src, Role::Use);
                f(&mut self.dst, Role::Def);
            }
            F::VecShiftImm => {
                f(&mut self.src, Role::Use);
                let role = if self.vex { Role::Def } else { Role::DefTied };
                f(&mut self.dst, role);
            }
            F::Imm | F::Unary | F::ShiftImm | F::Set => {
                f(&mut self.src, Role::Use);
                f(&mut self.dst, Role::DefTied);
            }
            F::ImmUse | F::ImmStore => rm(self, f),
            F::ShiftCl => {
                f(&mut self.src, Role::Use);
                f(&mut self.base, Role::UseFixed(RCX));
                f(&mut self.dst, Role::DefTied);
            }
            F::Constant | F::Zero => f(&mut self.dst, Role::Def),
            F::VexRvm | F::VexRmv => {
                f(&mut self.src, Role::Use);
                rm(self, f);
                f(&mut self.dst, Role::Def);
            }
            F::Multiply => {
                f(&mut self.src, Role::UseFixed(RAX));
                rm(self, f);
                f(&mut self.dst, Role::DefFixed(RAX));
                f(&mut self.dst2, Role::DefFixed(RDX));
            }
            F::Divide => {
                f(&mut self.src, Role::UseFixed(RAX));
                f(&mut self.index, Role::UseFixed(RDX));
                f(&mut self.base, Role::Use);
                f(&mut self.dst, Role::DefFixed(RAX));
                f(&mut self.dst2, Role::DefFixed(RDX));
            }
            F::Exchange => {
                f(&mut self.src, Role::Use);
                rm(self, f);
                f(&mut self.dst, Role::DefTied);
            }
            F::CompareExchange => {
                f(&mut self.dst2, Role::UseFixed(RAX));
                f(&mut self.src, Role::Use);
                rm(self, f);
                f(&mut self.dst, Role::DefFixed(RAX));
            }
            F::SignSpread => {
                f(&mut self.src, Role::UseFixed(RAX));
                f(&mut self.dst, Role::DefFixed(RDX));
            }
            F::Pseudo => self.visit_pseudo(f),
        }
    }

    fn visit_pseudo(&mut self, f: &mut impl FnMut(&mut Reg, Role)) {
        match self.row {
            Row::FSelect | Row::FMinWasm | Row::FMaxWasm | Row::Saturate => {
                f(&mut self.src, Role::Use);
                f(&mut self.base, Role::Use);
                f(&mut self.dst, Role::DefTied);
            }
            Row::CheckIndex => {
                f(&mut self.src, Role::Use);
                f(&mut self.base, Role::Use);
                f(&mut self.dst, Role::DefTied);
            }
            Row::U64ToFloat => {
                f(&mut self.src, Role::Use);
                f(&mut self.dst, Role::DefEarly);
                f(&mut self.dst2, Role::DefEarly);
            }
            Row::CheckTrunc => {
                f(&mut self.src, Role::Use);
                f(&mut self.base, Role::Use);
            }
            Row::RemS => {
                f(&mut self.src, Role::UseFixed(RAX));
                f(&mut self.base, Role::Use);
                f(&mut self.dst, Role::DefFixedEarly(RDX));
                f(&mut self.dst2, Role::DefFixed(RAX));
            }
            Row::AtomicLoop => {
                f(&mut self.src, Role::Use);
                f(&mut self.base, Role::Use);
                if !self.index.is_none() {
                    f(&mut self.index, Role::Use);
                }
                f(&mut self.dst, Role::DefFixedEarly(RAX));
                f(&mut self.dst2, Role::DefEarly);
            }
            Row::Switch | Row::TrapIfFloat => f(&mut self.base, Role::Use),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_and_its_inverse() {
        for cond in Cond::HARDWARE {
            assert_ne!(cond, cond.inverse());
            assert_eq!(cond, cond.inverse().inverse());
        }
        assert_eq!(Cond::FloatEq.inverse(), Cond::FloatNe);
        assert_eq!(Cond::L.inverse(), Cond::Ge);
    }

    #[test]
    fn an_instruction_is_small() {
        assert!(size_of::<Inst>() <= 48);
    }
}
