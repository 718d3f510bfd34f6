//! Comparisons, as flags or as values.

use super::{Lower, generated, width_of};
use Width::{W8, W32};
use cellwall_ir as ir;
use cellwall_ir::{CompareOp, InstData, Type, Value};
use cellwall_isa::x64::{Cond, Inst, Row, Width};
use cellwall_isa::{Class, Reg};

/// CMPSS predicates: equal and ordered; not equal or unordered.
const EQUAL: i64 = 0;
const NOT_EQUAL: i64 = 4;

impl Lower<'_> {
    /// Sets the flags for a condition that is "not 0". Registers that the same instruction needs
    /// besides must be asked for before, since making a constant may change flags.
    pub(super) fn flags(&mut self, cond: Value) -> Cond {
        let (mut value, mut inverted) = (cond, false);
        // `x == 0` of a comparison is its opposite. Optimization leaves few of them in a row.
        for _ in 0..4 {
            let Some((inner, opposite)) = self.test_of_comparison(value) else {
                break;
            };
            self.take(value, &[inner]);
            inverted ^= opposite;
            value = inner;
        }
        let cond = if let Some(&InstData::Compare { op, args }) = self.data_of(value) {
            self.take(value, &args);
            self.compare(op, args)
        } else if let Some(cond) = self.vector_flags(value) {
            cond
        } else {
            self.test_zero(value);
            Cond::Ne
        };
        if inverted { cond.inverse() } else { cond }
    }

    /// The comparison whose result `value` compares with 0, and whether `value` is its opposite.
    fn test_of_comparison(&self, value: Value) -> Option<(Value, bool)> {
        match self.data_of(value)? {
            InstData::Compare { op, args }
                if matches!(op, CompareOp::Eq | CompareOp::Ne)
                    && self.func.constant(args[1]) == Some(0)
                    && matches!(self.data_of(args[0]), Some(InstData::Compare { .. })) =>
            {
                Some((args[0], *op == CompareOp::Eq))
            }
            _ => None,
        }
    }

    /// Sets the flags as a comparison of `value` with 0 would.
    pub(super) fn test_zero(&mut self, value: Value) {
        let ty = self.func.ty(value);
        // What others need is in a register anyway.
        let definition = self.definition(value).filter(|_| self.is_single(value));
        let made = generated::test(self, value, ty, definition);
        assert!(made, "every integer can be compared with 0");
    }

    fn compare(&mut self, op: CompareOp, [x, y]: [Value; 2]) -> Cond {
        if self.func.ty(x).is_float() {
            return self.compare_floats(op, x, y);
        }
        let (op, x, y) = if self.func.constant(x).is_some() {
            (op.swapped(), y, x)
        } else {
            (op, x, y)
        };
        if matches!(op, CompareOp::Eq | CompareOp::Ne)
            && self.func.constant(y) == Some(0)
            && let Some(holds) = self.vector_flags(x)
        {
            return if op == CompareOp::Ne {
                holds
            } else {
                holds.inverse()
            };
        }
        let comparison = InstData::Compare { op, args: [x, y] };
        generated::flags(self, Type::I32, comparison).expect("every comparison of integers is a rule")
    }

    /// UCOMIS: unordered sets all of zero, parity and carry; so "above" is an ordered "greater".
    fn compare_floats(&mut self, op: CompareOp, x: Value, y: Value) -> Cond {
        let (cond, x, y) = match op {
            CompareOp::FEq => (Cond::FloatEq, x, y),
            CompareOp::FNe => (Cond::FloatNe, x, y),
            CompareOp::FGt => (Cond::A, x, y),
            CompareOp::FGe => (Cond::Ae, x, y),
            CompareOp::FLt => (Cond::A, y, x),
            _ => (Cond::Ae, y, x),
        };
        let width = width_of(self.func.ty(x));
        let rm = self.operand(y);
        let src = self.reg(x);
        self.emit(rm.on(Inst::new(Row::FCmp, width).src(src)));
        cond
    }

    /// A comparison as 0 or 1 in `dst`.
    pub(super) fn compare_value(&mut self, inst: ir::Inst, dst: Reg) {
        let InstData::Compare { op, args } = self.func.insts[inst].data else {
            unreachable!("the caller looked")
        };
        if matches!(op, CompareOp::FEq | CompareOp::FNe) {
            return self.float_equality(op, args, dst);
        }
        self.set(dst, |lower| {
            match lower.test_of_comparison(lower.func.result(inst)) {
                Some((inner, inverted)) if !lower.is_float_equality(inner) => {
                    let cond = lower.flags(inner);
                    if inverted { cond.inverse() } else { cond }
                }
                _ => lower.compare(op, args),
            }
        });
    }

    /// Equality of floats as 0 or 1: no single flag says it, but a mask does.
    fn float_equality(&mut self, op: CompareOp, [x, y]: [Value; 2], dst: Reg) {
        let predicate = if op == CompareOp::FEq { EQUAL } else { NOT_EQUAL };
        let width = width_of(self.func.ty(x));
        let (x, y) = (self.reg(x), self.reg(y));
        let mask = self.temp(Class::Float);
        let compare = Inst::new(Row::FCompare, width).imm(predicate);
        self.emit(compare.dst(mask).src(x).rm(y));
        let bits = self.temp(Class::Int);
        self.emit(Inst::new(Row::FToInt, W32).dst(bits).src(mask));
        self.emit(Inst::new(Row::AndImm, W32).dst(dst).src(bits).imm(1));
    }

    /// Whether the flags for this comparison may be a compound condition.
    fn is_float_equality(&self, value: Value) -> bool {
        match self.data_of(value) {
            Some(InstData::Compare {
                op: CompareOp::FEq | CompareOp::FNe,
                ..
            }) => true,
            // Rare, so the exact answer is not worth a walk.
            _ => self.test_of_comparison(value).is_some(),
        }
    }

    /// 0 or 1 in `dst`. SETcc writes one byte and waits for the rest: of a register that was cleared
    /// before the flags were made, it is there.
    pub(super) fn set(&mut self, dst: Reg, flags: impl FnOnce(&mut Self) -> Cond) {
        let zero = self.temp(Class::Int);
        self.emit(Inst::new(Row::Zero, W32).dst(zero));
        let cond = flags(self);
        self.emit(Inst::new(Row::Setcc, W8).cond(cond).dst(dst).src(zero));
    }
}
