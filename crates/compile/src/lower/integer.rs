//! Integer operators: by rule, or by hand where no rule applies.

use super::{Lower, generated, width_of};
use Width::{W32, W64};
use cellwall_ir as ir;
use cellwall_ir::{BinaryOp, InstData, Type, UnaryOp, Value};
use cellwall_isa::x64::{Cond, Inst, Row, Width};
use cellwall_isa::{Class, Reg};

impl Lower<'_> {
    pub(super) fn binary(&mut self, inst: ir::Inst, op: BinaryOp, args: [Value; 2]) {
        let result = self.func.result(inst);
        let ty = self.func.ty(result);
        match op {
            BinaryOp::Add | BinaryOp::Sub if self.with_carry(inst, op) => {}
            BinaryOp::Mul | BinaryOp::MulHighU | BinaryOp::MulHighS if self.product(inst, op, args) => {}
            BinaryOp::DivS | BinaryOp::DivU | BinaryOp::RemS | BinaryOp::RemU => {
                self.divide(op, result, args)
            }
            _ if generated::value(self, result, ty, InstData::Binary { op, args }) => {}
            _ => self.float_binary(op, ty, result, args),
        }
    }

    /// `dst = x row y`, where the operands of a commutative row may be exchanged.
    pub(super) fn modify(&mut self, row: Row, result: Value, args: [Value; 2], commutes: bool) {
        let ty = self.func.ty(result);
        let [x, y] = if commutes { self.better_order(args) } else { args };
        let rm = self.operand(y);
        let src = self.reg_for(ty, x);
        let dst = self.def(result);
        self.emit(rm.on(Inst::new(row, width_of(ty)).dst(dst).src(src)));
    }

    pub(super) fn modify_imm(&mut self, row: Row, result: Value, x: Value, imm: i64) {
        let ty = self.func.ty(result);
        let src = self.reg_for(ty, x);
        let dst = self.def(result);
        self.emit(Inst::new(row, width_of(ty)).dst(dst).src(src).imm(imm));
    }

    pub(super) fn unary(&mut self, inst: ir::Inst, op: UnaryOp, arg: Value) {
        let result = self.func.result(inst);
        let ty = self.func.ty(result);
        if op == UnaryOp::Wrap && self.planted_wide(arg) {
            let src = self.reg_low(arg);
            let dst = self.def(result);
            return self.emit(Inst::new(Row::Movsxd, W64).dst(dst).rm(src));
        }
        match op {
            _ if generated::value(self, result, ty, InstData::Unary { op, arg }) => {}
            UnaryOp::Popcnt => self.popcnt(result, arg),
            UnaryOp::Clz | UnaryOp::Ctz => self.scan(op, result, arg),
            _ => self.float_unary(op, result, arg),
        }
    }

    /// Leading or trailing zeros by BSR or BSF, which leave 0 undefined.
    fn scan(&mut self, op: UnaryOp, result: Value, arg: Value) {
        let ty = self.func.ty(result);
        let width = width_of(ty);
        let bits = i64::from(ty.bits());
        let src = self.reg_for(ty, arg);
        // For 0: trailing, the width; leading, such that `bits - 1 - it` is the width.
        let (row, none) = if op == UnaryOp::Ctz {
            (Row::Bsf, bits)
        } else {
            (Row::Bsr, -1)
        };
        let none_reg = self.temp(Class::Int);
        self.emit(Inst::new(Row::MovImm, width).dst(none_reg).imm(none));
        let found = self.temp(Class::Int);
        self.emit(Inst::new(row, width).dst(found).src(none_reg).rm(src));
        let chosen = self.temp(Class::Int);
        let cmov = Inst::new(Row::Cmov, width).cond(Cond::E);
        if op == UnaryOp::Ctz {
            let dst = self.def(result);
            return self.emit(cmov.dst(dst).src(found).rm(none_reg));
        }
        self.emit(cmov.dst(chosen).src(found).rm(none_reg));
        let negated = self.temp(Class::Int);
        self.emit(Inst::new(Row::Neg, width).dst(negated).src(chosen));
        let dst = self.def(result);
        let add = Inst::new(Row::AddImm, width).imm(bits - 1);
        self.emit(add.dst(dst).src(negated));
    }

    /// Set bits by sums of ever wider fields (Hacker's Delight, 5-1).
    fn popcnt(&mut self, result: Value, arg: Value) {
        let ty = self.func.ty(result);
        let width = width_of(ty);
        let narrow = ty == Type::I32;
        let mask = |pattern: u64| if narrow { pattern & 0xffff_ffff } else { pattern };
        let x = self.reg_for(ty, arg);
        let halved = self.step_imm(Row::ShrImm, width, x, 1);
        let odd = self.step_mask(width, halved, mask(0x5555_5555_5555_5555));
        let pairs = self.step(Row::Sub, width, x, odd);
        let high = self.step_imm(Row::ShrImm, width, pairs, 2);
        let high = self.step_mask(width, high, mask(0x3333_3333_3333_3333));
        let low = self.step_mask(width, pairs, mask(0x3333_3333_3333_3333));
        let nibbles = self.step(Row::Add, width, low, high);
        let high = self.step_imm(Row::ShrImm, width, nibbles, 4);
        let sum = self.step(Row::Add, width, nibbles, high);
        let bytes = self.step_mask(width, sum, mask(0x0f0f_0f0f_0f0f_0f0f));
        let ones = self.integer(mask(0x0101_0101_0101_0101) as i64);
        let total = self.step(Row::Imul, width, bytes, ones);
        let dst = self.def(result);
        let shift = Inst::new(Row::ShrImm, width).imm(i64::from(ty.bits()) - 8);
        self.emit(shift.dst(dst).src(total));
    }

    /// A new register with `x row y`.
    pub(super) fn step(&mut self, row: Row, width: Width, x: Reg, y: Reg) -> Reg {
        let dst = self.temp(Class::Int);
        self.emit(Inst::new(row, width).dst(dst).src(x).rm(y));
        dst
    }

    /// A new register with `x row imm`.
    pub(super) fn step_imm(&mut self, row: Row, width: Width, x: Reg, imm: i64) -> Reg {
        let dst = self.temp(Class::Int);
        self.emit(Inst::new(row, width).dst(dst).src(x).imm(imm));
        dst
    }

    fn step_mask(&mut self, width: Width, x: Reg, mask: u64) -> Reg {
        if width == W32 {
            return self.step_imm(Row::AndImm, width, x, mask as i64);
        }
        let mask = self.integer(mask as i64);
        self.step(Row::And, W64, x, mask)
    }

    pub(super) fn select(&mut self, inst: ir::Inst, cond: Value, [yes, no]: [Value; 2]) {
        let result = self.func.result(inst);
        let ty = self.func.ty(result);
        if !ty.is_int() {
            let (yes, no) = (self.reg(yes), self.reg(no));
            let cond = self.flags(cond);
            let dst = self.def(result);
            // Whole registers are moved, whatever they hold.
            let width = width_of(ty).min(W64);
            return self.emit(Inst::new(Row::FSelect, width).cond(cond).dst(dst).src(no).rm(yes));
        }
        let args = [yes, no];
        let made = generated::value(self, result, ty, InstData::Select { cond, args });
        assert!(made, "every choice of integers is a rule");
    }

    /// Emits `dst ← cond ? rm : src`, where floats being equal, or not, are two conditions.
    pub(super) fn choose(&mut self, inst: Inst) {
        match inst.cond {
            Cond::FloatNe => {
                let first = self.temp(Class::Int);
                self.emit(inst.cond(Cond::Ne).dst(first));
                self.emit(inst.cond(Cond::P).src(first));
            }
            Cond::FloatEq => {
                // Not equal or unordered takes the other one.
                let (yes, no) = (inst.base, inst.src);
                let first = self.temp(Class::Int);
                self.emit(inst.cond(Cond::Ne).dst(first).src(yes).rm(no));
                self.emit(inst.cond(Cond::P).src(first).rm(no));
            }
            _ => self.emit(inst),
        }
    }
}
