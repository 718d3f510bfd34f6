//! Comparisons, as flags or as values.

use super::operand::Operand;
use super::{Lower, width_of};
use Width::{W8, W32};
use cellwall_ir as ir;
use cellwall_ir::{BinaryOp, CompareOp, InstData, Type, Value};
use cellwall_isa::x64::{Cond, Inst, Row, Width};
use cellwall_isa::{Class, Reg};

/// The condition for a comparison of integers.
fn integer_cond(op: CompareOp) -> Cond {
    match op {
        CompareOp::Eq => Cond::E,
        CompareOp::Ne => Cond::Ne,
        CompareOp::LtS => Cond::L,
        CompareOp::LtU => Cond::B,
        CompareOp::GtS => Cond::G,
        CompareOp::GtU => Cond::A,
        CompareOp::LeS => Cond::Le,
        CompareOp::LeU => Cond::Be,
        CompareOp::GeS => Cond::Ge,
        CompareOp::GeU => Cond::Ae,
        _ => unreachable!("float comparisons have conditions of their own"),
    }
}

impl Lower<'_> {
    /// Sets the flags for a condition that is "not 0". Registers that the same instruction needs
    /// besides must be asked for before, since making a constant may change flags.
    pub(super) fn flags(&mut self, cond: Value) -> Cond {
        if let Some(&InstData::Compare { op, args }) = self.data_of(cond) {
            // `x == 0` of a comparison is its opposite.
            if matches!(op, CompareOp::Eq | CompareOp::Ne)
                && self.func.constant(args[1]) == Some(0)
                && matches!(self.data_of(args[0]), Some(InstData::Compare { .. }))
            {
                self.take(cond, &[args[0]]);
                let inner = self.flags(args[0]);
                return if op == CompareOp::Eq {
                    inner.inverse()
                } else {
                    inner
                };
            }
            self.take(cond, &args);
            return self.compare(op, args);
        }
        self.test_zero(cond);
        Cond::Ne
    }

    /// Sets the flags as a comparison of `value` with 0 would.
    fn test_zero(&mut self, value: Value) {
        let ty = self.func.ty(value);
        let width = width_of(ty);
        if let Some([x, y]) = self.binary_of(value, BinaryOp::And)
            && self.is_single(value)
        {
            let (x, y) = if self.func.constant(x).is_some() {
                (y, x)
            } else {
                (x, y)
            };
            self.take(value, &[x, y]);
            if let Some(imm) = self.immediate(y) {
                let x = self.reg_for(ty, x);
                return self.emit(Inst::new(Row::TestImm, width).rm(x).imm(imm));
            }
            let (x, y) = (self.reg_for(ty, x), self.reg_for(ty, y));
            return self.emit(Inst::new(Row::Test, width).src(x).rm(y));
        }
        if let Some(memory) = self.memory_operand(value) {
            return self.emit(memory.on(Inst::new(Row::CmpImm, width)));
        }
        let x = self.reg_for(ty, value);
        self.emit(Inst::new(Row::Test, width).src(x).rm(x));
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
        let ty = self.func.ty(x);
        let width = width_of(ty);
        let cond = integer_cond(op);
        if let Some(imm) = self.immediate(y) {
            if imm == 0 {
                self.test_zero(x);
            } else {
                let rm = match self.memory_operand(x) {
                    Some(memory) => memory,
                    None => Operand::reg(self.reg_for(ty, x)),
                };
                self.emit(rm.on(Inst::new(Row::CmpImm, width).imm(imm)));
            }
            return cond;
        }
        if let Some(memory) = self.memory_operand(x) {
            let src = self.reg_for(ty, y);
            self.emit(memory.on(Inst::new(Row::CmpStore, width).src(src)));
            return cond;
        }
        let rm = self.operand(y);
        let src = self.reg_for(ty, x);
        self.emit(rm.on(Inst::new(Row::Cmp, width).src(src)));
        cond
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
        let cond = if matches!(op, CompareOp::Eq | CompareOp::Ne)
            && self.func.constant(args[1]) == Some(0)
            && self.func.ty(args[0]) == Type::I32
        {
            let inner = self.flags(args[0]);
            if op == CompareOp::Eq {
                inner.inverse()
            } else {
                inner
            }
        } else {
            self.compare(op, args)
        };
        let byte = match cond {
            Cond::FloatEq => self.both(Cond::E, Cond::Np, Row::And),
            Cond::FloatNe => self.both(Cond::Ne, Cond::P, Row::Or),
            _ => self.set(cond),
        };
        self.emit(Inst::new(Row::Movzx8, W32).dst(dst).rm(byte));
    }

    fn set(&mut self, cond: Cond) -> Reg {
        let byte = self.temp(Class::Int);
        self.emit(Inst::new(Row::Setcc, W8).cond(cond).dst(byte));
        byte
    }

    fn both(&mut self, x: Cond, y: Cond, row: Row) -> Reg {
        let (x, y) = (self.set(x), self.set(y));
        self.step(row, W32, x, y)
    }
}
