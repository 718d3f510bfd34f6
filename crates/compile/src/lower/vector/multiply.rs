//! Products and sums of neighbours.

use super::{Lower, NEW, Operand, rows, splat};
use cellwall_ir::{InstData, Value, VectorOp as V};
use cellwall_isa::Reg;
use cellwall_isa::x64::Row;

/// How lanes of half the width become factors, for products of them.
fn extension(op: V) -> Option<V> {
    Some(match op {
        V::I16x8ExtMulLowI8x16S => V::I16x8ExtendLowI8x16S,
        V::I16x8ExtMulHighI8x16S => V::I16x8ExtendHighI8x16S,
        V::I16x8ExtMulLowI8x16U => V::I16x8ExtendLowI8x16U,
        V::I16x8ExtMulHighI8x16U => V::I16x8ExtendHighI8x16U,
        _ => return None,
    })
}

impl Lower<'_> {
    /// A product of lanes of half the width; whether the operator is that.
    pub(super) fn extended_product(&mut self, op: V, result: Value, args: [Value; 2]) -> bool {
        if let Some(extend) = extension(op) {
            let factors = args.map(|arg| self.extended(extend, arg));
            let dst = self.def(result);
            self.vec_regs(Row::Pmullw, dst, factors[0], factors[1]);
            return true;
        }
        let (row, is_low) = match op {
            V::I32x4ExtMulLowI16x8S => (Row::Pmulhw, true),
            V::I32x4ExtMulHighI16x8S => (Row::Pmulhw, false),
            V::I32x4ExtMulLowI16x8U => (Row::Pmulhuw, true),
            V::I32x4ExtMulHighI16x8U => (Row::Pmulhuw, false),
            V::I64x2ExtMulLowI32x4S => (Row::Pmuldq, true),
            V::I64x2ExtMulHighI32x4S => (Row::Pmuldq, false),
            V::I64x2ExtMulLowI32x4U => (Row::Pmuludq, true),
            V::I64x2ExtMulHighI32x4U => (Row::Pmuludq, false),
            _ => return false,
        };
        if matches!(row, Row::Pmulhw | Row::Pmulhuw) {
            // Both halves of all products, and of these the low or high ones side by side.
            let [x, y] = args.map(|arg| self.reg(arg));
            let low = self.vec_regs(Row::Pmullw, NEW, x, y);
            let high = self.vec_regs(row, NEW, x, y);
            let join = if is_low { Row::Punpcklwd } else { Row::Punpckhwd };
            let dst = self.def(result);
            self.vec_regs(join, dst, low, high);
        } else {
            // The even lanes are multiplied.
            let lanes = if is_low { 0x50 } else { 0xfa };
            let [x, y] = args.map(|arg| {
                let rm = self.vector_operand(arg);
                self.vec_from_imm(Row::Pshufd, NEW, rm, lanes)
            });
            let dst = self.def(result);
            self.vec_regs(row, dst, x, y);
        }
        true
    }

    /// Half of a vector with its bytes extended to 16 bits.
    fn extended(&mut self, extend: V, x: Value) -> Reg {
        if let Some(row) = rows::low_half(extend) {
            let rm = self.half_operand(x);
            return self.vec_from(row, NEW, rm);
        }
        if extend == V::I16x8ExtendHighI8x16S {
            let rm = self.vector_operand(x);
            let high = self.vec_from_imm(Row::Pshufd, NEW, rm, 0xee);
            return self.vec_from(Row::Pmovsxbw, NEW, Operand::reg(high));
        }
        let x = self.reg(x);
        let zero = self.vector_constant(0);
        self.vec_regs(Row::Punpckhbw, NEW, x, zero)
    }

    /// A sum of neighbours in lanes of twice the width; whether the operator is that.
    pub(super) fn pairwise_sum(&mut self, op: V, result: Value, x: Value) -> bool {
        match op {
            V::I16x8ExtAddPairwiseI8x16S => {
                // The first operand is the unsigned one.
                let ones = self.vector_constant(splat(8, 1));
                let rm = self.vector_operand(x);
                let dst = self.def(result);
                self.vec(Row::Pmaddubsw, dst, ones, rm);
            }
            V::I16x8ExtAddPairwiseI8x16U => {
                let x = self.reg(x);
                let dst = self.def(result);
                self.vec_const(Row::Pmaddubsw, dst, x, splat(8, 1));
            }
            V::I32x4ExtAddPairwiseI16x8S | V::I32x4ExtAddPairwiseI16x8U
                if self.sum_of_products(result, x, op) => {}
            V::I32x4ExtAddPairwiseI16x8S => {
                let x = self.reg(x);
                let dst = self.def(result);
                self.vec_const(Row::Pmaddwd, dst, x, splat(16, 1));
            }
            V::I32x4ExtAddPairwiseI16x8U => {
                let x = self.reg(x);
                let odd = self.vec_shift(Row::PsrldImm, NEW, x, 16);
                let even = self.vec_const(Row::Pand, NEW, x, splat(32, 0xffff));
                let dst = self.def(result);
                self.vec_regs(Row::Paddd, dst, odd, even);
            }
            _ => return false,
        }
        true
    }

    /// The sum of neighbouring products of bytes: the extended factors are 16-bit integers whose
    /// products the processor adds in pairs, without overflow.
    fn sum_of_products(&mut self, result: Value, x: Value, sum: V) -> bool {
        let Some(&InstData::Vector { op, args, .. }) = self.data_of(x) else {
            return false;
        };
        let Some(extend) = extension(op).filter(|_| self.is_single(x)) else {
            return false;
        };
        let is_signed = matches!(extend, V::I16x8ExtendLowI8x16S | V::I16x8ExtendHighI8x16S);
        if is_signed != (sum == V::I32x4ExtAddPairwiseI16x8S) {
            return false;
        }
        self.take(x, &args[..2]);
        let [x, y] = [args[0], args[1]].map(|arg| self.extended(extend, arg));
        let dst = self.def(result);
        self.vec_regs(Row::Pmaddwd, dst, x, y);
        true
    }

    /// PMULHRSW, but for the only product that does not fit.
    pub(super) fn rounded_product(&mut self, result: Value, args: [Value; 2]) {
        let [x, y] = self.vector_order(args);
        let rm = self.vector_operand(y);
        let x = self.reg(x);
        let product = self.vec(Row::Pmulhrsw, NEW, x, rm);
        let overflow = self.vec_const(Row::Pcmpeqw, NEW, product, splat(16, 0x8000));
        let dst = self.def(result);
        self.vec_regs(Row::Pxor, dst, product, overflow);
    }

    /// The low 64 bits of products of 64 bits, from those of the halves.
    pub(super) fn long_product(&mut self, result: Value, [x, y]: [Value; 2]) {
        let (x, y) = (self.reg(x), self.reg(y));
        let x_high = self.vec_shift(Row::PsrlqImm, NEW, x, 32);
        let y_high = self.vec_shift(Row::PsrlqImm, NEW, y, 32);
        let first = self.vec_regs(Row::Pmuludq, NEW, x_high, y);
        let second = self.vec_regs(Row::Pmuludq, NEW, y_high, x);
        let middle = self.vec_regs(Row::Paddq, NEW, first, second);
        let middle = self.vec_shift(Row::PsllqImm, NEW, middle, 32);
        let low = self.vec_regs(Row::Pmuludq, NEW, x, y);
        let dst = self.def(result);
        self.vec_regs(Row::Paddq, dst, low, middle);
    }
}
