//! Shifts of lanes.

use super::{Lower, NEW, Operand, splat};
use Width::W32;
use cellwall_ir::{Form, InstData, Value, VectorOp as V};
use cellwall_isa::x64::{Inst, Row, Width};
use cellwall_isa::{Class, Reg};

/// The rows for a count in a register and for a constant one.
fn shift_rows(op: V) -> (Row, Row) {
    match op {
        V::I8x16Shl | V::I16x8Shl => (Row::Psllw, Row::PsllwImm),
        V::I8x16ShrU | V::I16x8ShrU => (Row::Psrlw, Row::PsrlwImm),
        V::I8x16ShrS | V::I16x8ShrS => (Row::Psraw, Row::PsrawImm),
        V::I32x4Shl => (Row::Pslld, Row::PslldImm),
        V::I32x4ShrU => (Row::Psrld, Row::PsrldImm),
        V::I32x4ShrS => (Row::Psrad, Row::PsradImm),
        V::I64x2Shl => (Row::Psllq, Row::PsllqImm),
        _ => (Row::Psrlq, Row::PsrlqImm),
    }
}

impl Lower<'_> {
    /// A shift of all lanes by one count.
    pub(super) fn vector_shift(&mut self, op: V, result: Value, x: Value, count: Value) {
        let bits = op.lane_bits();
        if let Some(count) = self.func.constant(count) {
            return self.shift_by_constant(op, result, x, count as u32 % bits);
        }
        let x = self.reg(x);
        let masked = self.temp(Class::Int);
        let count = self.reg_low(count);
        let mask = i64::from(bits - 1);
        self.emit(Inst::new(Row::AndImm, W32).dst(masked).src(count).imm(mask));
        let (row, _) = shift_rows(op);
        match op {
            V::I8x16Shl | V::I8x16ShrU => self.shift_bytes(op, result, x, masked),
            V::I8x16ShrS => self.shift_signed_bytes(result, x, masked),
            V::I64x2ShrS => {
                // The sign, wherever it comes to lie, is extended by a flip and a difference.
                let count = self.count(masked);
                let sign = self.vector_constant(splat(64, 1 << 63));
                let sign = self.vec_regs(row, NEW, sign, count);
                let shifted = self.vec_regs(row, NEW, x, count);
                self.extend_sign(Row::Psubq, result, shifted, Operand::reg(sign));
            }
            _ => {
                let count = self.count(masked);
                let dst = self.def(result);
                self.vec_regs(row, dst, x, count);
            }
        }
    }

    /// A count where shifts expect it.
    fn count(&mut self, count: Reg) -> Reg {
        let dst = self.temp(Class::Float);
        self.emit(Inst::new(Row::FFromInt, W32).dst(dst).rm(count));
        dst
    }

    /// A number of bits more than a count, where shifts expect it.
    fn count_plus(&mut self, count: Reg, more: i32) -> Reg {
        let sum = self.temp(Class::Int);
        self.emit(Inst::new(Row::Lea, W32).dst(sum).mem(count, more));
        self.count(sum)
    }

    /// `result ← (x ^ sign) - sign`.
    fn extend_sign(&mut self, subtract: Row, result: Value, x: Reg, sign: Operand) {
        let flipped = self.vec(Row::Pxor, NEW, x, sign);
        let dst = self.def(result);
        self.vec(subtract, dst, flipped, sign);
    }

    /// Bytes are shifted as words, without the bits that would come from a neighbour.
    fn shift_bytes(&mut self, op: V, result: Value, x: Reg, count: Reg) {
        let by = self.count(count);
        // The low bits of a byte that a shift to the left keeps, which are those where a shift to the
        // right puts some.
        let ones = self.vector_constant(u128::MAX);
        let more = self.count_plus(count, 8);
        let mask = self.vec_regs(Row::Psrlw, NEW, ones, more);
        let mask = self.vec_regs(Row::Packuswb, NEW, mask, mask);
        if op == V::I8x16Shl {
            let kept = self.vec_regs(Row::Pand, NEW, x, mask);
            let dst = self.def(result);
            self.vec_regs(Row::Psllw, dst, kept, by);
        } else {
            let shifted = self.vec_regs(Row::Psrlw, NEW, x, by);
            let dst = self.def(result);
            self.vec_regs(Row::Pand, dst, shifted, mask);
        }
    }

    /// Bytes are shifted in the upper halves of words.
    fn shift_signed_bytes(&mut self, result: Value, x: Reg, count: Reg) {
        let by = self.count_plus(count, 8);
        let low = self.vec_regs(Row::Punpcklbw, NEW, x, x);
        let high = self.vec_regs(Row::Punpckhbw, NEW, x, x);
        let low = self.vec_regs(Row::Psraw, NEW, low, by);
        let high = self.vec_regs(Row::Psraw, NEW, high, by);
        let dst = self.def(result);
        self.vec_regs(Row::Packsswb, dst, low, high);
    }

    /// The two shifts of one vector that together rotate its lanes by whole bytes: a shuffle.
    pub(super) fn rotate(&mut self, result: Value, [a, b]: [Value; 2]) -> bool {
        let Some((x, bits, left)) = self.rotated(a, b).or_else(|| self.rotated(b, a)) else {
            return false;
        };
        self.take(a, &[]);
        self.take(b, &[x]);
        let (lane, by) = (bits as u8 / 8, left as u8 / 8);
        let mask = std::array::from_fn(|i| {
            let i = i as u8;
            i / lane * lane + (i % lane + lane - by) % lane
        });
        self.shuffle_one(result, mask, x);
        true
    }

    /// What is shifted, in lanes of how many bits, and by how many to the left.
    fn rotated(&self, to_left: Value, to_right: Value) -> Option<(Value, u32, u32)> {
        let shift = |value: Value| match *self.data_of(value)? {
            InstData::Vector { op, args, .. } if self.is_single(value) => {
                let count = self.func.constant(args[1]).filter(|_| op.form() == Form::Shift)?;
                Some((op, args[0], count as u32 % op.lane_bits()))
            }
            _ => None,
        };
        let (op, x, left) = shift(to_left)?;
        let (other, y, right) = shift(to_right)?;
        let opposite = match op {
            V::I16x8Shl => V::I16x8ShrU,
            V::I32x4Shl => V::I32x4ShrU,
            V::I64x2Shl => V::I64x2ShrU,
            _ => return None,
        };
        let is_rotation = other == opposite && x == y && left + right == op.lane_bits();
        (is_rotation && left % 8 == 0).then_some((x, op.lane_bits(), left))
    }

    fn shift_by_constant(&mut self, op: V, result: Value, x: Value, count: u32) {
        let x = self.reg(x);
        if count == 0 {
            let dst = self.def(result);
            return self.emit(Inst::new(Row::FMov, W32).dst(dst).rm(x));
        }
        let (_, row) = shift_rows(op);
        match op {
            V::I8x16Shl | V::I16x8Shl | V::I32x4Shl | V::I64x2Shl if count == 1 => {
                // More units add than shift.
                let row = match op {
                    V::I8x16Shl => Row::Paddb,
                    V::I16x8Shl => Row::Paddw,
                    V::I32x4Shl => Row::Paddd,
                    _ => Row::Paddq,
                };
                let dst = self.def(result);
                self.vec_regs(row, dst, x, x);
            }
            V::I8x16Shl => {
                let shifted = self.vec_shift(row, NEW, x, count);
                let dst = self.def(result);
                self.vec_const(Row::Pand, dst, shifted, splat(8, 0xff << count));
            }
            V::I8x16ShrU => {
                let shifted = self.vec_shift(row, NEW, x, count);
                let dst = self.def(result);
                self.vec_const(Row::Pand, dst, shifted, splat(8, 0xff >> count));
            }
            V::I8x16ShrS if count == 7 => {
                let zero = self.vector_constant(0);
                let dst = self.def(result);
                self.vec_regs(Row::Pcmpgtb, dst, zero, x);
            }
            V::I8x16ShrS => {
                let shifted = self.vec_shift(Row::PsrlwImm, NEW, x, count);
                let shifted = self.vec_const(Row::Pand, NEW, shifted, splat(8, 0xff >> count));
                let sign = self.lanes_operand(8, 0x80 >> count);
                self.extend_sign(Row::Psubb, result, shifted, sign);
            }
            V::I64x2ShrS if count == 63 => {
                let dst = self.def(result);
                self.signs(dst, x);
            }
            V::I64x2ShrS => {
                let shifted = self.vec_shift(row, NEW, x, count);
                let sign = self.lanes_operand(64, (1 << 63) >> count);
                self.extend_sign(Row::Psubq, result, shifted, sign);
            }
            _ => {
                let dst = self.def(result);
                self.vec_shift(row, dst, x, count);
            }
        }
    }
}
