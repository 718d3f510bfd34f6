//! Floating-point operators and conversions.

use super::operand::Operand;
use super::{Lower, trap_code, width_of};
use Width::{W32, W64};
use cellwall_ir::{BinaryOp, Trap, Type, UnaryOp, Value};
use cellwall_isa::x64::{Cond, Inst, Row, Width};
use cellwall_isa::{Class, Reg};

/// Immediate of ROUNDSS and ROUNDSD: the mode, without an inexact exception.
fn rounding(op: UnaryOp) -> i64 {
    8 | match op {
        UnaryOp::FNearest => 0,
        UnaryOp::FFloor => 1,
        UnaryOp::FCeil => 2,
        _ => 3,
    }
}

/// CMPSS predicates.
const LESS_OR_EQUAL: i64 = 2;

impl Lower<'_> {
    pub(super) fn float_binary(&mut self, op: BinaryOp, ty: Type, result: Value, [x, y]: [Value; 2]) {
        let width = width_of(ty);
        let row = match op {
            BinaryOp::FAdd => Row::FAdd,
            BinaryOp::FSub => Row::FSub,
            BinaryOp::FMul => Row::FMul,
            BinaryOp::FDiv => Row::FDiv,
            BinaryOp::FMin | BinaryOp::FMax => {
                let row = if op == BinaryOp::FMin {
                    Row::FMinWasm
                } else {
                    Row::FMaxWasm
                };
                let (x, y) = (self.reg(x), self.reg(y));
                let dst = self.def(result);
                return self.emit(Inst::new(row, width).dst(dst).src(x).rm(y));
            }
            _ => return self.copysign(result, x, y),
        };
        let (x, y) =
            if op.commutes() && self.is_single(y) && !self.is_single(x) && self.func.constant(y).is_none() {
                (y, x)
            } else {
                (x, y)
            };
        let rm = self.operand(y);
        let src = self.reg(x);
        let dst = self.def(result);
        self.emit(rm.on(Inst::new(row, width).dst(dst).src(src)));
    }

    /// A 16-byte constant of one lane repeated, as an operand of the packed logic rows.
    fn lanes(&mut self, ty: Type, bits: u64) -> Operand {
        let bits = if ty == Type::F32 {
            bits | (bits << 32)
        } else {
            bits
        };
        let both = u128::from(bits) << 64 | u128::from(bits);
        Operand::rodata(self.constant_bytes(both, 16))
    }

    fn sign_mask(ty: Type) -> u64 {
        if ty == Type::F32 { 1 << 31 } else { 1 << 63 }
    }

    fn all_but_sign(ty: Type) -> u64 {
        if ty == Type::F32 {
            (1 << 31) - 1
        } else {
            (1 << 63) - 1
        }
    }

    fn copysign(&mut self, result: Value, x: Value, y: Value) {
        let ty = self.func.ty(result);
        let planted = self.planted_sign(y);
        let (magnitude, sign) = (
            self.lanes(ty, Self::all_but_sign(ty)),
            self.lanes(ty, Self::sign_mask(ty)),
        );
        let x = self.reg(x);
        let x = self.float_step(Row::FAnd, W32, x, magnitude);
        let (y, sign) = match planted {
            None => (self.reg(y), sign),
            Some(wide) => {
                let mask = self.temp(Class::Float);
                self.emit(sign.on(Inst::new(Row::FLoad, width_of(ty)).dst(mask)));
                (mask, wide)
            }
        };
        let y = self.float_step(Row::FAnd, W32, y, sign);
        let dst = self.def(result);
        self.emit(Inst::new(Row::FOr, W32).dst(dst).src(x).rm(y));
    }

    /// A new vector register with `x row rm`.
    fn float_step(&mut self, row: Row, width: Width, x: Reg, rm: Operand) -> Reg {
        let dst = self.temp(Class::Float);
        self.emit(rm.on(Inst::new(row, width).dst(dst).src(x)));
        dst
    }

    fn float_zero(&mut self) -> Reg {
        let dst = self.temp(Class::Float);
        self.emit(Inst::new(Row::FZero, W32).dst(dst));
        dst
    }

    pub(super) fn float_unary(&mut self, op: UnaryOp, result: Value, arg: Value) {
        let from = self.func.ty(arg);
        let ty = self.func.ty(result);
        match op {
            UnaryOp::Bitcast => self.bitcast(result, arg),
            UnaryOp::FAbs | UnaryOp::FNeg => {
                let (row, mask) = if op == UnaryOp::FAbs {
                    (Row::FAnd, Self::all_but_sign(ty))
                } else {
                    (Row::FXor, Self::sign_mask(ty))
                };
                let src = self.reg(arg);
                let mask = self.lanes(ty, mask);
                let dst = self.def(result);
                self.emit(mask.on(Inst::new(row, W32).dst(dst).src(src)));
            }
            // The rest of the destination is merged; tied to the source, it waits for nothing else.
            UnaryOp::FSqrt | UnaryOp::FPromote | UnaryOp::FDemote => {
                let row = if op == UnaryOp::FSqrt {
                    Row::FSqrt
                } else {
                    Row::FConvert
                };
                let src = self.reg(arg);
                let dst = self.def(result);
                self.emit(Inst::new(row, width_of(from)).dst(dst).src(src).rm(src));
            }
            UnaryOp::FCeil | UnaryOp::FFloor | UnaryOp::FTrunc | UnaryOp::FNearest => {
                let src = self.reg(arg);
                let dst = self.def(result);
                let round = Inst::new(Row::FRound, width_of(ty)).imm(rounding(op));
                self.emit(round.dst(dst).src(src).rm(src));
            }
            UnaryOp::ConvertS | UnaryOp::ConvertU => self.convert(op, result, arg),
            UnaryOp::TruncS => self.trunc_signed(result, arg),
            UnaryOp::TruncU => self.trunc_unsigned(result, arg),
            UnaryOp::TruncSatS => self.trunc_sat_signed(result, arg),
            _ => self.trunc_sat_unsigned(result, arg),
        }
    }

    fn bitcast(&mut self, result: Value, arg: Value) {
        let ty = self.func.ty(result);
        let width = width_of(ty);
        if ty.is_float() {
            let src = self.reg(arg);
            let dst = self.def(result);
            self.emit(Inst::new(Row::FFromInt, width).dst(dst).rm(src));
        } else {
            let src = self.reg(arg);
            let dst = self.def(result);
            self.emit(Inst::new(Row::FToInt, width).dst(dst).src(src));
        }
    }

    fn convert(&mut self, op: UnaryOp, result: Value, arg: Value) {
        let from = self.func.ty(arg);
        let ty = self.func.ty(result);
        if op == UnaryOp::ConvertU && from == Type::I64 {
            let src = self.reg(arg);
            let (dst, scratch) = (self.def(result), self.temp(Class::Int));
            let convert = Inst::new(Row::U64ToFloat, width_of(ty));
            return self.emit(convert.dst(dst).dst2(scratch).src(src));
        }
        // An unsigned 32-bit integer is zero-extended: a signed 64-bit one.
        let width = if op == UnaryOp::ConvertS {
            width_of(from)
        } else {
            W64
        };
        let src = self.reg(arg);
        let zero = self.float_zero();
        let dst = self.def(result);
        let row = if ty == Type::F32 {
            Row::IntToF32
        } else {
            Row::IntToF64
        };
        self.emit(Inst::new(row, width).dst(dst).src(zero).rm(src));
    }

    /// A new register with the float truncated to a signed integer of this width.
    fn truncate(&mut self, from: Type, width: Width, x: Reg) -> Reg {
        let dst = self.temp(Class::Int);
        self.emit(Inst::new(to_int(from), width).dst(dst).rm(x));
        dst
    }

    fn trunc_signed(&mut self, result: Value, arg: Value) {
        let from = self.func.ty(arg);
        let to = self.func.ty(result);
        let x = self.reg(arg);
        let dst = self.def(result);
        self.emit(Inst::new(to_int(from), width_of(to)).dst(dst).rm(x));
        // The smallest integer may stand for anything: the slow path compares with the limits.
        let power = f64::from(to.bits() - 1).exp2();
        let (low, cond) = if from == Type::F64 && to == Type::I32 {
            (-power - 1.0, Cond::Be)
        } else {
            (-power, Cond::B)
        };
        let limits = if from == Type::F32 {
            [(low as f32).to_le_bytes(), (power as f32).to_le_bytes()].concat()
        } else {
            [low.to_le_bytes(), power.to_le_bytes()].concat()
        };
        let offset = self.bytes(&limits, from.bytes());
        let nan = i64::from(trap_code(Trap::BadConversionToInteger));
        let mut check = Inst::new(Row::CheckTrunc, width_of(to)).src(dst).rm(x).cond(cond);
        check.disp = offset as i32;
        check.imm = i64::from(from == Type::F64) | (nan << 8);
        self.emit(check.trap(trap_code(Trap::IntegerOverflow)));
    }

    /// Traps if `cond` holds after a comparison of `x` with a constant.
    fn trap_float(&mut self, from: Type, x: Reg, limit: f64, cond: Cond) {
        let width = width_of(from);
        let bits = float_bits(from, limit);
        let limit = self.constant_bytes(bits, from.bytes());
        self.emit(Inst::new(Row::FCmp, width).src(x).rodata(limit));
        self.trap_unless_truncated(from, x, cond);
    }

    /// Traps under a condition on which `x` has no integer, as NaN or as too large or small.
    fn trap_unless_truncated(&mut self, from: Type, x: Reg, cond: Cond) {
        let trap = Inst::new(Row::TrapIfFloat, width_of(from)).rm(x).cond(cond);
        let nan = i64::from(trap_code(Trap::BadConversionToInteger));
        self.emit(trap.imm(nan).trap(trap_code(Trap::IntegerOverflow)));
    }

    fn trunc_unsigned(&mut self, result: Value, arg: Value) {
        let from = self.func.ty(arg);
        let x = self.reg(arg);
        if self.func.ty(result) == Type::I32 {
            // All that does not fit has other high bits: what does not fit 64 bits either, and NaN, gives
            // the smallest integer.
            let wide = self.truncate(from, W64, x);
            let dst = self.def(result);
            self.emit(Inst::new(Row::Mov, W32).dst(dst).rm(wide));
            self.emit(Inst::new(Row::Cmp, W64).src(dst).rm(wide));
            return self.trap_unless_truncated(from, x, Cond::Ne);
        }
        // At most -1, or NaN: unordered sets "below or equal" too.
        self.trap_float(from, x, -1.0, Cond::Be);
        self.trap_float(from, x, 64f64.exp2(), Cond::Ae);
        let low = self.unsigned_halves(from, x);
        let dst = self.def(result);
        self.emit(Inst::new(Row::Mov, W64).dst(dst).rm(low));
    }

    /// The unsigned 64-bit integer of a float from 0 up to 2^64: below 2^63 the conversion itself;
    /// from there on it gives the smallest integer, and that of the float less 2^63 the other bits.
    fn unsigned_halves(&mut self, from: Type, x: Reg) -> Reg {
        let half = Operand::rodata(self.constant_bytes(float_bits(from, 63f64.exp2()), from.bytes()));
        let low = self.truncate(from, W64, x);
        let rest = self.float_step(Row::FSub, width_of(from), x, half);
        let high = self.truncate(from, W64, rest);
        let is_high = self.step_imm(Row::SarImm, W64, low, 63);
        let high = self.step(Row::And, W64, high, is_high);
        self.step(Row::Or, W64, high, low)
    }

    /// All ones in the lanes where `limit <= x`, as an integer.
    fn at_least(&mut self, from: Type, limit: f64, x: Reg) -> Reg {
        let width = width_of(from);
        let limit = self.constant_bytes(float_bits(from, limit), from.bytes());
        let bound = self.temp(Class::Float);
        self.emit(Inst::new(Row::FLoad, width).dst(bound).rodata(limit));
        let mask = self.temp(Class::Float);
        let compare = Inst::new(Row::FCompare, width).imm(LESS_OR_EQUAL);
        self.emit(compare.dst(mask).src(bound).rm(x));
        let dst = self.temp(Class::Int);
        self.emit(Inst::new(Row::FToInt, width).dst(dst).src(mask));
        if width == W64 {
            return dst;
        }
        let wide = self.temp(Class::Int);
        self.emit(Inst::new(Row::Movsxd, W64).dst(wide).rm(dst));
        wide
    }

    /// `x` as a double.
    fn widened(&mut self, from: Type, x: Reg) -> Reg {
        if from == Type::F64 {
            return x;
        }
        self.float_step(Row::FConvert, W32, x, Operand::reg(x))
    }

    fn trunc_sat_signed(&mut self, result: Value, arg: Value) {
        let from = self.func.ty(arg);
        let width = width_of(self.func.ty(result));
        let x = self.reg(arg);
        let value = self.truncate(from, width, x);
        let zero = self.constant_bytes(0u64, from.bytes());
        let dst = self.def(result);
        let mut saturate = Inst::new(Row::Saturate, width).dst(dst).src(value).rm(x);
        saturate.disp = zero as i32;
        self.emit(saturate.imm(i64::from(from == Type::F64)));
    }

    fn trunc_sat_unsigned(&mut self, result: Value, arg: Value) {
        let from = self.func.ty(arg);
        let x = self.reg(arg);
        // MAXSS gives its second operand for NaN.
        let zero = self.float_zero();
        let x = self.float_step(Row::FMax, width_of(from), x, Operand::reg(zero));
        if self.func.ty(result) == Type::I32 {
            let x = self.widened(from, x);
            let max = Operand::rodata(self.constant_bytes(f64::from(u32::MAX).to_bits(), 8));
            let x = self.float_step(Row::FMin, W64, x, max);
            let wide = self.truncate(Type::F64, W64, x);
            let dst = self.def(result);
            return self.emit(Inst::new(Row::Mov, W32).dst(dst).rm(wide));
        }
        let value = self.unsigned_halves(from, x);
        let too_large = self.at_least(from, 64f64.exp2(), x);
        let dst = self.def(result);
        self.emit(Inst::new(Row::Or, W64).dst(dst).src(too_large).rm(value));
    }
}

fn to_int(from: Type) -> Row {
    if from == Type::F32 {
        Row::F32ToInt
    } else {
        Row::F64ToInt
    }
}

fn float_bits(ty: Type, value: f64) -> u64 {
    if ty == Type::F32 {
        u64::from((value as f32).to_bits())
    } else {
        value.to_bits()
    }
}
