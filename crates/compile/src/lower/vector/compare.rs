//! Comparisons, tests, minima and maxima of vectors.

use super::rows::{self, IntCompare};
use super::{Lower, NEW, Operand, splat};
use Width::{W32, W128};
use cellwall_ir::{InstData, Value, VectorOp as V};
use cellwall_isa::Reg;
use cellwall_isa::x64::{Cond, Inst, Row, Width};

/// Predicates of CMPPS.
pub(super) const EQUAL: i64 = 0;
pub(super) const UNORDERED: i64 = 3;
/// Greater or equal, or unordered.
pub(super) const NOT_LESS: i64 = 5;

/// Whether all bits of each lane of the result are alike.
pub(super) fn gives_masks(op: V) -> bool {
    let compares_floats = rows::float_compare(op).is_some();
    let compares_integers = rows::int_compare(op).is_some();
    compares_floats
        || compares_integers
        || matches!(
            op,
            V::I8x16Eq
                | V::I16x8Eq
                | V::I32x4Eq
                | V::I64x2Eq
                | V::I8x16GtS
                | V::I16x8GtS
                | V::I32x4GtS
                | V::I8x16LtS
                | V::I16x8LtS
                | V::I32x4LtS
                | V::I64x2LtS
                | V::I64x2GtS
                | V::I64x2LeS
                | V::I64x2GeS
        )
}

/// How an instruction for floats differs by their width.
#[derive(Clone, Copy)]
struct FloatRows {
    min: Row,
    max: Row,
    add: Row,
    compare: Row,
}

const SINGLE: FloatRows = FloatRows {
    min: Row::Minps,
    max: Row::Maxps,
    add: Row::Addps,
    compare: Row::Cmpps,
};

const DOUBLE: FloatRows = FloatRows {
    min: Row::Minpd,
    max: Row::Maxpd,
    add: Row::Addpd,
    compare: Row::Cmppd,
};

impl Lower<'_> {
    /// A comparison that is not one row of two operands; whether it is one.
    pub(super) fn vector_compare(&mut self, op: V, result: Value, [x, y]: [Value; 2]) -> bool {
        if let Some(compare) = rows::float_compare(op) {
            let [x, y] = if compare.swapped { [y, x] } else { [x, y] };
            let rm = self.vector_operand(y);
            let x = self.reg(x);
            let dst = self.def(result);
            self.vec_imm(compare.row, dst, x, rm, compare.predicate);
            return true;
        }
        if let Some(compare) = rows::int_compare(op) {
            self.compare_integers(compare, result, [x, y]);
            return true;
        }
        match op {
            V::I64x2GtS => self.greater_long(result, x, y, false),
            V::I64x2LtS => self.greater_long(result, y, x, false),
            V::I64x2LeS => self.greater_long(result, x, y, true),
            V::I64x2GeS => self.greater_long(result, y, x, true),
            _ => return false,
        }
        true
    }

    fn compare_integers(&mut self, compare: IntCompare, result: Value, [x, y]: [Value; 2]) {
        let found = match compare {
            IntCompare::Not(row) => {
                let [x, y] = self.vector_order([x, y]);
                let rm = self.vector_operand(y);
                let x = self.reg(x);
                self.vec(row, NEW, x, rm)
            }
            IntCompare::IsExtreme(extreme, equal) | IntCompare::IsNotExtreme(extreme, equal) => {
                let rm = self.vector_operand(y);
                let x = self.reg(x);
                let extreme = self.vec(extreme, NEW, x, rm);
                if matches!(compare, IntCompare::IsExtreme(..)) {
                    let dst = self.def(result);
                    self.vec_regs(equal, dst, extreme, x);
                    return;
                }
                self.vec_regs(equal, NEW, extreme, x)
            }
        };
        let dst = self.def(result);
        self.invert(dst, found);
    }

    /// `dst ← !x`.
    pub(super) fn invert(&mut self, dst: Reg, x: Reg) {
        let ones = self.vector_constant(u128::MAX);
        self.vec_regs(Row::Pxor, dst, x, ones);
    }

    /// `x > y` in lanes of 64 bits, signed, or its opposite.
    fn greater_long(&mut self, result: Value, x: Value, y: Value, inverted: bool) {
        let dst = self.def(result);
        let to = if inverted { NEW } else { dst };
        let found = if self.has_avx() {
            let rm = self.vector_operand(y);
            let x = self.reg(x);
            self.vec(Row::Pcmpgtq, to, x, rm)
        } else {
            let (x, y) = (self.reg(x), self.reg(y));
            self.greater_long_by_halves(to, x, y)
        };
        if inverted {
            self.invert(dst, found);
        }
    }

    /// Without an instruction for it: where the high halves are equal, the sign of the difference is
    /// the borrow of the low ones; otherwise the high halves decide.
    pub(super) fn greater_long_by_halves(&mut self, dst: Reg, x: Reg, y: Reg) -> Reg {
        let difference = self.vec_regs(Row::Psubq, NEW, y, x);
        let equal = self.vec_regs(Row::Pcmpeqd, NEW, x, y);
        let borrow = self.vec_regs(Row::Pand, NEW, equal, difference);
        let greater = self.vec_regs(Row::Pcmpgtd, NEW, x, y);
        let either = self.vec_regs(Row::Por, NEW, borrow, greater);
        // What the high half of each lane says, for both.
        self.vec_from_imm(Row::Pshufd, dst, Operand::reg(either), 0xf5)
    }

    /// A minimum or maximum of floats, NaN if either is, with -0 below 0.
    pub(super) fn float_extreme(&mut self, op: V, result: Value, [x, y]: [Value; 2]) {
        let (rows, is_min) = match op {
            V::F32x4Min => (SINGLE, true),
            V::F32x4Max => (SINGLE, false),
            V::F64x2Min => (DOUBLE, true),
            V::F64x2Max => (DOUBLE, false),
            _ => unreachable!("{} has a row", op.name()),
        };
        let (x, y) = (self.reg(x), self.reg(y));
        // The two orders differ in what they make of zeros: of their signs, the right one remains.
        let row = if is_min { rows.min } else { rows.max };
        let first = self.vec_regs(row, NEW, x, y);
        let second = self.vec_regs(row, NEW, y, x);
        let zeros = if is_min { Row::Orps } else { Row::Andps };
        let number = self.vec_regs(zeros, NEW, first, second);
        // A sum with NaN is that NaN, made quiet.
        let sum = self.vec_regs(rows.add, NEW, x, y);
        let mask = self.vec_imm(rows.compare, NEW, x, Operand::reg(y), UNORDERED);
        let dst = self.def(result);
        self.vec_choose(dst, mask, Operand::reg(sum), number);
    }

    /// Sets the flags for a test of a vector: the condition that holds if the result is not 0. Of
    /// bitmasks there is none.
    pub(in crate::lower) fn vector_flags(&mut self, value: Value) -> Option<Cond> {
        let Some(&InstData::Vector { op, args, .. }) = self.data_of(value) else {
            return None;
        };
        if !matches!(
            op,
            V::V128AnyTrue | V::I8x16AllTrue | V::I16x8AllTrue | V::I32x4AllTrue | V::I64x2AllTrue
        ) {
            return None;
        }
        match self.is_single(value) {
            true => self.absorb(value),
            false => self.take(value, &args[..1]),
        }
        Some(self.vector_test(op, args[0]))
    }

    /// The flags of PTEST for a test, and the condition that it holds.
    fn vector_test(&mut self, op: V, x: Value) -> Cond {
        let equal = match op {
            V::V128AnyTrue => {
                self.any_true(x);
                return Cond::Ne;
            }
            V::I8x16AllTrue => Row::Pcmpeqb,
            V::I16x8AllTrue => Row::Pcmpeqw,
            V::I32x4AllTrue => Row::Pcmpeqd,
            _ => Row::Pcmpeqq,
        };
        let zero = self.vector_constant(0);
        let rm = self.vector_operand(x);
        let zeros = self.vec(equal, NEW, zero, rm);
        self.ptest(zeros, Operand::reg(zeros));
        Cond::E
    }

    fn ptest(&mut self, x: Reg, rm: Operand) {
        let inst = self.vector_inst(Row::Ptest, W128).src(x);
        self.emit(rm.on(inst));
    }

    /// Whether any bit is set: the zero flag is clear. The `and` of two vectors is made by the test.
    fn any_true(&mut self, x: Value) {
        if self.is_single(x)
            && let Some(&InstData::Vector {
                op: V::V128And, args, ..
            }) = self.data_of(x)
        {
            self.absorb(x);
            let [x, y] = self.vector_order([args[0], args[1]]);
            let rm = self.vector_operand(y);
            let x = self.reg(x);
            return self.ptest(x, rm);
        }
        let x = self.reg(x);
        self.ptest(x, Operand::reg(x));
    }

    /// A test as 0 or 1, or a bitmask.
    pub(super) fn vector_test_value(&mut self, op: V, result: Value, x: Value) {
        let (row, from) = match op {
            V::I8x16Bitmask => (Row::Pmovmskb, self.reg(x)),
            V::I16x8Bitmask => {
                let x = self.reg(x);
                let zero = self.vector_constant(0);
                // Saturation keeps signs.
                (Row::Pmovmskb, self.vec_regs(Row::Packsswb, NEW, x, zero))
            }
            V::I32x4Bitmask => (Row::Movmskps, self.reg(x)),
            V::I64x2Bitmask => (Row::Movmskpd, self.reg(x)),
            _ => {
                let dst = self.def(result);
                return self.set(dst, |lower| lower.vector_test(op, x));
            }
        };
        let dst = self.def(result);
        self.emit(Inst::new(row, W32).dst(dst).rm(from));
    }

    /// `dst ←` the signs of lanes of 64 bits, spread over them.
    pub(super) fn signs(&mut self, dst: Reg, x: Reg) -> Reg {
        if self.has_avx() {
            let zero = self.vector_constant(0);
            return self.vec_regs(Row::Pcmpgtq, dst, zero, x);
        }
        let high = self.vec_from_imm(Row::Pshufd, NEW, Operand::reg(x), 0xf5);
        self.vec_shift(Row::PsradImm, dst, high, 31)
    }

    /// A mask of one lane's bits in all lanes, as an operand.
    pub(super) fn lanes_operand(&mut self, bits: u32, lane: u64) -> Operand {
        self.constant_operand(splat(bits, lane))
    }
}
