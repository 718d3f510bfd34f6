//! Integer operators.

use super::operand::Operand;
use super::{Lower, width_of};
use Width::{W32, W64};
use cellwall_ir as ir;
use cellwall_ir::{BinaryOp, InstData, Type, UnaryOp, Value};
use cellwall_isa::x64::{Cond, Inst, Rm, Row, Width};
use cellwall_isa::{Class, Reg};

/// `base + (index << scale) + disp`.
struct Address {
    base: Reg,
    index: Reg,
    scale: u8,
    disp: i32,
}

impl Lower<'_> {
    pub(super) fn binary(&mut self, inst: ir::Inst, op: BinaryOp, args: [Value; 2]) {
        let result = self.func.result(inst);
        let ty = self.func.ty(result);
        match op {
            BinaryOp::Add | BinaryOp::Sub if self.with_carry(inst, op) => {}
            BinaryOp::Add => self.add(result, args),
            BinaryOp::Sub => self.sub(result, args),
            BinaryOp::Mul | BinaryOp::MulHighU | BinaryOp::MulHighS => {
                if !self.product(inst, op, args) {
                    self.mul(result, args);
                }
            }
            BinaryOp::And | BinaryOp::Or | BinaryOp::Xor => self.bitwise(op, result, args),
            BinaryOp::Shl | BinaryOp::ShrS | BinaryOp::ShrU | BinaryOp::Rotl | BinaryOp::Rotr => {
                self.shift(op, result, args);
            }
            BinaryOp::DivS | BinaryOp::DivU | BinaryOp::RemS | BinaryOp::RemU => {
                self.divide(op, result, args)
            }
            _ => self.float_binary(op, ty, result, args),
        }
    }

    /// `dst = x row y`, where the operands of a commutative row are exchanged if that saves a copy
    /// or lets memory be the second one.
    pub(super) fn modify(&mut self, row: Row, result: Value, [x, y]: [Value; 2], commutes: bool) {
        let ty = self.func.ty(result);
        let better = self.sinkable_load(x) || (self.is_single(y) && !self.is_single(x));
        let (x, y) = if commutes && better && !self.sinkable_load(y) {
            (y, x)
        } else {
            (x, y)
        };
        let rm = self.operand(y);
        let src = self.reg_for(ty, x);
        let dst = self.def(result);
        self.emit(rm.on(Inst::new(row, width_of(ty)).dst(dst).src(src)));
    }

    pub(super) fn sinkable_load(&self, value: Value) -> bool {
        self.sinkable(value).is_some_and(|inst| {
            matches!(
                self.func.insts[inst].data,
                InstData::Load {
                    op: ir::LoadOp::Full,
                    ..
                }
            )
        })
    }

    pub(super) fn modify_imm(&mut self, row: Row, result: Value, x: Value, imm: i64) {
        let ty = self.func.ty(result);
        let src = self.reg_for(ty, x);
        let dst = self.def(result);
        self.emit(Inst::new(row, width_of(ty)).dst(dst).src(src).imm(imm));
    }

    fn lea(&mut self, result: Value, address: &Address) {
        let width = width_of(self.func.ty(result));
        let dst = self.def(result);
        let lea = Inst::new(Row::Lea, width).dst(dst);
        self.emit(lea.mem_index(address.base, address.index, address.scale, address.disp));
    }

    /// `value` as `y << k` with k from 1 to 3, if only the current instruction uses it.
    fn scaled(&self, value: Value) -> Option<(Value, u8)> {
        let [y, count] = self.binary_of(value, BinaryOp::Shl)?;
        let count = self.func.constant(count)?;
        (self.is_single(value) && (1..=3).contains(&count)).then_some((y, count as u8))
    }

    fn add(&mut self, result: Value, [x, y]: [Value; 2]) {
        let (x, y) = if self.func.constant(x).is_some() {
            (y, x)
        } else {
            (x, y)
        };
        if let Some(imm) = self.immediate(y) {
            return self.add_imm(result, x, imm);
        }
        if let Some(address) = self.scaled_sum(result, x, y, 0) {
            return self.lea(result, &address);
        }
        // Where both operands live on, `lea` saves a copy.
        if !self.is_single(x) && !self.is_single(y) && self.func.constant(y).is_none() {
            let ty = self.func.ty(result);
            let address = Address {
                base: self.reg_for(ty, x),
                index: self.reg_for(ty, y),
                scale: 0,
                disp: 0,
            };
            return self.lea(result, &address);
        }
        self.modify(Row::Add, result, [x, y], true);
    }

    /// `x + (y << k) + disp`, if one of the two is a shift.
    fn scaled_sum(&mut self, result: Value, x: Value, y: Value, disp: i32) -> Option<Address> {
        let (base, scaled, (index, scale)) = if let Some(found) = self.scaled(y) {
            (x, y, found)
        } else {
            (y, x, self.scaled(x)?)
        };
        let ty = self.func.ty(result);
        self.take(scaled, &[index]);
        Some(Address {
            base: self.reg_for(ty, base),
            index: self.reg_for(ty, index),
            scale,
            disp,
        })
    }

    fn add_imm(&mut self, result: Value, x: Value, imm: i64) {
        let ty = self.func.ty(result);
        let disp = imm as i32;
        if self.is_single(x)
            && let Some([a, b]) = self.binary_of(x, BinaryOp::Add)
            && self.func.constant(a).is_none()
            && self.func.constant(b).is_none()
        {
            self.take(x, &[a, b]);
            if let Some(address) = self.scaled_sum(result, a, b, disp) {
                return self.lea(result, &address);
            }
            let address = Address {
                base: self.reg_for(ty, a),
                index: self.reg_for(ty, b),
                scale: 0,
                disp,
            };
            return self.lea(result, &address);
        }
        if let Some((index, scale)) = self.scaled(x)
            && scale == 1
        {
            self.take(x, &[index]);
            let reg = self.reg_for(ty, index);
            let address = Address {
                base: reg,
                index: reg,
                scale: 0,
                disp,
            };
            return self.lea(result, &address);
        }
        if self.is_single(x) {
            return self.modify_imm(Row::AddImm, result, x, imm);
        }
        let address = Address {
            base: self.reg_for(ty, x),
            index: Reg::NONE,
            scale: 0,
            disp,
        };
        self.lea(result, &address);
    }

    fn sub(&mut self, result: Value, [x, y]: [Value; 2]) {
        if let Some(imm) = self.immediate(y) {
            if imm != i64::from(i32::MIN) {
                return self.add_imm(result, x, -imm);
            }
            return self.modify_imm(Row::SubImm, result, x, imm);
        }
        if self.func.constant(x) == Some(0) {
            return self.modify_imm(Row::Neg, result, y, 0);
        }
        self.modify(Row::Sub, result, [x, y], false);
    }

    fn mul(&mut self, result: Value, [x, y]: [Value; 2]) {
        let (x, y) = if self.func.constant(x).is_some() {
            (y, x)
        } else {
            (x, y)
        };
        let Some(imm) = self.immediate(y) else {
            return self.modify(Row::Imul, result, [x, y], true);
        };
        let ty = self.func.ty(result);
        match imm {
            3 | 5 | 9 => {
                let reg = self.reg_for(ty, x);
                let address = Address {
                    base: reg,
                    index: reg,
                    scale: (imm - 1).trailing_zeros() as u8,
                    disp: 0,
                };
                self.lea(result, &address);
            }
            _ if imm > 1 && imm & (imm - 1) == 0 => {
                self.modify_imm(Row::ShlImm, result, x, i64::from(imm.trailing_zeros()));
            }
            _ => {
                let rm = self.operand(x);
                let dst = self.def(result);
                self.emit(rm.on(Inst::new(Row::ImulImm, width_of(ty)).dst(dst).imm(imm)));
            }
        }
    }

    fn bitwise(&mut self, op: BinaryOp, result: Value, [x, y]: [Value; 2]) {
        let (x, y) = if self.func.constant(x).is_some() {
            (y, x)
        } else {
            (x, y)
        };
        let ty = self.func.ty(result);
        let (row, row_imm) = match op {
            BinaryOp::And => (Row::And, Row::AndImm),
            BinaryOp::Or => (Row::Or, Row::OrImm),
            _ => (Row::Xor, Row::XorImm),
        };
        match (op, self.func.constant(y)) {
            (BinaryOp::And, Some(mask))
                if mask == 0xff || mask == 0xffff || (mask == 0xffff_ffff && ty == Type::I64) =>
            {
                let row = match mask {
                    0xff => Row::Movzx8,
                    0xffff => Row::Movzx16,
                    _ => Row::Mov,
                };
                let src = self.reg_for(ty, x);
                let dst = self.def(result);
                self.emit(Inst::new(row, W32).dst(dst).rm(src));
            }
            // The 32-bit instruction clears the rest.
            (BinaryOp::And, Some(mask)) if u32::try_from(mask).is_ok() => {
                let src = self.reg_for(ty, x);
                let dst = self.def(result);
                self.emit(Inst::new(row_imm, W32).dst(dst).src(src).imm(mask as i64));
            }
            (BinaryOp::Xor, Some(_)) if self.immediate(y) == Some(-1) => {
                self.modify_imm(Row::Not, result, x, 0)
            }
            _ => {
                if let Some(imm) = self.immediate(y) {
                    self.modify_imm(row_imm, result, x, imm);
                } else if op != BinaryOp::And || !self.and_bmi1(result, x, y) {
                    self.modify(row, result, [x, y], true);
                }
            }
        }
    }

    /// `and` with a complement, a decrement or a negation (BMI1).
    fn and_bmi1(&mut self, result: Value, x: Value, y: Value) -> bool {
        if !self.unit.target.features.bmi1 {
            return false;
        }
        let ty = self.func.ty(result);
        for (x, y) in [(x, y), (y, x)] {
            if let Some([inner, ones]) = self.binary_of(y, BinaryOp::Xor)
                && self.is_single(y)
                && self.immediate(ones) == Some(-1)
            {
                self.take(y, &[inner]);
                let src = self.reg_for(ty, inner);
                let rm = self.operand(x);
                let dst = self.def(result);
                self.emit(rm.on(Inst::new(Row::Andn, width_of(ty)).dst(dst).src(src)));
                return true;
            }
            let lowest = match (self.binary_of(y, BinaryOp::Add), self.binary_of(y, BinaryOp::Sub)) {
                (Some([inner, k]), _) if inner == x && self.immediate(k) == Some(-1) => Some(Row::Blsr),
                (_, Some([inner, k])) if inner == x && self.immediate(k) == Some(1) => Some(Row::Blsr),
                (_, Some([zero, inner])) if inner == x && self.func.constant(zero) == Some(0) => {
                    Some(Row::Blsi)
                }
                _ => None,
            };
            if let Some(row) = lowest
                && self.is_single(y)
            {
                self.take(y, &[]);
                let src = self.reg_for(ty, x);
                let dst = self.def(result);
                self.emit(Inst::new(row, width_of(ty)).dst(dst).rm(src));
                return true;
            }
        }
        false
    }

    fn shift(&mut self, op: BinaryOp, result: Value, [x, count]: [Value; 2]) {
        let ty = self.func.ty(result);
        let width = width_of(ty);
        let bits = u64::from(ty.bits());
        let (by_cl, by_imm, bmi2) = match op {
            BinaryOp::Shl => (Row::Shl, Row::ShlImm, Some(Row::Shlx)),
            BinaryOp::ShrS => (Row::Sar, Row::SarImm, Some(Row::Sarx)),
            BinaryOp::ShrU => (Row::Shr, Row::ShrImm, Some(Row::Shrx)),
            BinaryOp::Rotl => (Row::Rol, Row::RolImm, None),
            _ => (Row::Ror, Row::RorImm, None),
        };
        let bmi2 = bmi2.filter(|_| self.unit.target.features.bmi2);
        if let Some(count) = self.func.constant(count) {
            let count = (count % bits) as i64;
            if count == 0 {
                let src = self.reg(x);
                let dst = self.def(result);
                return self.emit(Inst::new(Row::Mov, width).dst(dst).rm(src));
            }
            if op == BinaryOp::Shl && count == 1 && !self.is_single(x) {
                let reg = self.reg_for(ty, x);
                return self.lea(
                    result,
                    &Address {
                        base: reg,
                        index: reg,
                        scale: 0,
                        disp: 0,
                    },
                );
            }
            if matches!(op, BinaryOp::Rotl | BinaryOp::Rotr)
                && self.unit.target.features.bmi2
                && !self.is_single(x)
            {
                let right = if op == BinaryOp::Rotr {
                    count
                } else {
                    bits as i64 - count
                };
                let rm = self.operand(x);
                let dst = self.def(result);
                return self.emit(rm.on(Inst::new(Row::Rorx, width).dst(dst).imm(right)));
            }
            return self.modify_imm(by_imm, result, x, count);
        }
        // The processor takes the count modulo the width by itself.
        let count = match self.binary_of(count, BinaryOp::And) {
            Some([inner, mask])
                if self
                    .func
                    .constant(mask)
                    .is_some_and(|m| m & (bits - 1) == bits - 1) =>
            {
                self.take(count, &[inner]);
                inner
            }
            _ => count,
        };
        let count = self.reg_low(count);
        if let Some(row) = bmi2 {
            let rm = self.operand(x);
            let dst = self.def(result);
            return self.emit(rm.on(Inst::new(row, width).dst(dst).src(count)));
        }
        let src = self.reg_for(ty, x);
        let dst = self.def(result);
        self.emit(Inst::new(by_cl, width).dst(dst).src(src).rm(count));
    }

    pub(super) fn unary(&mut self, inst: ir::Inst, op: UnaryOp, arg: Value) {
        let result = self.func.result(inst);
        let ty = self.func.ty(result);
        let width = width_of(ty);
        let simple = |row, width| Inst::new(row, width);
        let inst = match op {
            UnaryOp::Clz | UnaryOp::Ctz | UnaryOp::Popcnt => return self.count_bits(op, result, arg),
            UnaryOp::SignExtend8 => simple(Row::Movsx8, width),
            UnaryOp::SignExtend16 => simple(Row::Movsx16, width),
            UnaryOp::SignExtend32 => simple(Row::Movsxd, W64),
            UnaryOp::Wrap if self.planted_wide(arg) => simple(Row::Movsxd, W64),
            UnaryOp::Wrap => simple(Row::Mov, W32),
            UnaryOp::ExtendU => simple(Row::Mov, W32),
            UnaryOp::ExtendS => simple(Row::Movsxd, W64),
            _ => return self.float_unary(op, result, arg),
        };
        // A wrapped load reads fewer bytes: that may not fault less, so it stays apart.
        let rm = match op {
            UnaryOp::ExtendS => self.operand(arg),
            _ => Operand::reg(self.reg_for(Type::I32, arg)),
        };
        let dst = self.def(result);
        self.emit(rm.on(inst.dst(dst)));
    }

    fn count_bits(&mut self, op: UnaryOp, result: Value, arg: Value) {
        let features = self.unit.target.features;
        let ty = self.func.ty(result);
        let width = width_of(ty);
        let row = match op {
            UnaryOp::Clz if features.lzcnt => Row::Lzcnt,
            UnaryOp::Ctz if features.bmi1 => Row::Tzcnt,
            UnaryOp::Popcnt if features.popcnt => Row::Popcnt,
            UnaryOp::Popcnt => return self.popcnt(result, arg),
            _ => return self.scan(op, result, arg),
        };
        let rm = self.operand(arg);
        // Older processors wait for the destination; zeroing it costs nothing.
        let dst = self.def(result);
        self.emit(rm.on(Inst::new(row, width).dst(dst)));
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
        let width = width_of(ty);
        if !ty.is_int() {
            let (yes, no) = (self.reg(yes), self.reg(no));
            let cond = self.flags(cond);
            let dst = self.def(result);
            // Whole registers are moved, whatever they hold.
            let width = width.min(W64);
            return self.emit(Inst::new(Row::FSelect, width).cond(cond).dst(dst).src(no).rm(yes));
        }
        let (yes, no) = (self.operand_without_load(yes), self.reg_for(ty, no));
        let cond = self.flags(cond);
        let dst = self.def(result);
        let cmov = Inst::new(Row::Cmov, width);
        match cond {
            Cond::FloatNe => {
                let first = self.temp(Class::Int);
                self.emit(yes.on(cmov.cond(Cond::Ne).dst(first).src(no)));
                self.emit(yes.on(cmov.cond(Cond::P).dst(dst).src(first)));
            }
            Cond::FloatEq => {
                // Not equal or unordered takes the other one.
                let yes_reg = yes.base;
                let first = self.temp(Class::Int);
                self.emit(cmov.cond(Cond::Ne).dst(first).src(yes_reg).rm(no));
                self.emit(cmov.cond(Cond::P).dst(dst).src(first).rm(no));
            }
            _ => self.emit(yes.on(cmov.cond(cond).dst(dst).src(no))),
        }
    }

    /// A value in a register, in the words of an operand.
    fn operand_without_load(&mut self, value: Value) -> Operand {
        let ty = self.func.ty(value);
        let operand = Operand::reg(self.reg_for(ty, value));
        debug_assert!(operand.rm == Rm::Reg);
        operand
    }
}
