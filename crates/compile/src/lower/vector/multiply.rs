//! Products and sums of neighbours.

use super::{Lower, NEW, Operand, rows, splat};
use cellwall_ir::{InstData, LoadOp, Value, VectorOp as V};
use cellwall_isa::Reg;
use cellwall_isa::x64::{Inst, Row, Width};

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

/// What of a factor of 64 bits counts.
#[derive(Clone, Copy)]
struct Factor {
    /// The factor is the low half of this, shifted to the left.
    low: Value,
    /// By how many bits.
    shift: u32,
}

/// How bytes, extended to 16 bits, are extended further with their product.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Bytes {
    Signed,
    Unsigned,
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
        if is_low && self.product_of_bytes(op, result, args) {
            return true;
        }
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

    /// A product of the low words of vectors whose words are extended bytes: it fits in a word. Whether
    /// it is one.
    fn product_of_bytes(&mut self, op: V, result: Value, [x, y]: [Value; 2]) -> bool {
        let Some([first, second]) = self.bytes_of(x).zip(self.bytes_of(y)).map(|(x, y)| [x, y]) else {
            return false;
        };
        let is_unsigned = [first, second] == [Bytes::Unsigned; 2];
        if !matches!(op, V::I32x4ExtMulLowI16x8S | V::I32x4ExtMulLowI16x8U)
            || (op == V::I32x4ExtMulLowI16x8U && !is_unsigned)
        {
            return false;
        }
        // Four bytes of memory each become factors of 32 bits at once.
        if let (Some(low_x), Some(low_y)) = (self.four_bytes(x), self.four_bytes(y))
            && x != y
        {
            let [x, y] = [(first, x, low_x), (second, y, low_y)].map(|(bytes, extended, low)| {
                self.absorb(extended);
                let rm = self.scalar_load(low, 4).expect("it was found to be such a load");
                let row = match bytes {
                    Bytes::Signed => Row::Pmovsxbd,
                    Bytes::Unsigned => Row::Pmovzxbd,
                };
                self.vec_from(row, NEW, rm)
            });
            let dst = self.def(result);
            self.vec_regs(Row::Pmulld, dst, x, y);
            return true;
        }
        let (x, y) = (self.reg(x), self.reg(y));
        let product = self.vec_regs(Row::Pmullw, NEW, x, y);
        // Of unsigned bytes the product may have its top bit set.
        let row = if is_unsigned { Row::Pmovzxwd } else { Row::Pmovsxwd };
        let dst = self.def(result);
        self.vec_from(row, dst, Operand::reg(product));
        true
    }

    /// Whether a vector has words that are extended bytes.
    fn bytes_of(&self, value: Value) -> Option<Bytes> {
        Some(match *self.data_of(value)? {
            InstData::Vector { op, .. } => match op {
                V::I16x8ExtendLowI8x16S | V::I16x8ExtendHighI8x16S => Bytes::Signed,
                V::I16x8ExtendLowI8x16U | V::I16x8ExtendHighI8x16U => Bytes::Unsigned,
                _ => return None,
            },
            InstData::Load { op: LoadOp::S8x8, .. } => Bytes::Signed,
            InstData::Load { op: LoadOp::U8x8, .. } => Bytes::Unsigned,
            _ => return None,
        })
    }

    /// The load of four bytes whose extension a value is, if it can move into the current instruction.
    fn four_bytes(&self, value: Value) -> Option<Value> {
        let InstData::Vector { op, args, .. } = *self.data_of(value)? else {
            return None;
        };
        let load = self.sinkable(args[0]).filter(|_| self.is_single(value))?;
        let is_load = matches!(
            self.func.insts[load].data,
            InstData::Load {
                op: LoadOp::Zero32,
                ..
            }
        );
        let is_low = matches!(op, V::I16x8ExtendLowI8x16S | V::I16x8ExtendLowI8x16U);
        (is_load && is_low).then_some(args[0])
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
        self.absorb(x);
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

    /// The low half of which a factor of 64 bits is made, if it is not more than that, shifted.
    fn factor(&self, value: Value) -> Option<Factor> {
        const LOW: u128 = 0xffff_ffff;
        let InstData::Vector { op, args, .. } = *self.data_of(value)? else {
            return None;
        };
        let whole = Factor { low: value, shift: 0 };
        match op {
            V::I64x2ExtendLowI32x4U | V::I64x2ExtendHighI32x4U => Some(whole),
            V::I64x2ShrU => (self.func.constant(args[1])? % 64 >= 32).then_some(whole),
            V::V128And => {
                let (x, mask) = match self.func.vector_constant(args[1]) {
                    Some(mask) => (args[0], mask),
                    None => (args[1], self.func.vector_constant(args[0])?),
                };
                let both = |lane: u128| lane << 64 | lane;
                let (shifted, shift) = self.shifted_long(x).unwrap_or((x, 0));
                if mask == both(LOW) {
                    Some(Factor { low: x, shift: 0 })
                } else if shift > 0 && mask == both(LOW << shift & u128::from(u64::MAX)) {
                    Some(Factor { low: shifted, shift })
                } else {
                    (mask & both(LOW) == mask).then_some(whole)
                }
            }
            _ => None,
        }
    }

    /// What a shift of lanes of 64 bits by a constant shifts to the left, and by how many bits.
    fn shifted_long(&self, value: Value) -> Option<(Value, u32)> {
        match *self.data_of(value)? {
            InstData::Vector {
                op: V::I64x2Shl,
                args,
                ..
            } => Some((args[0], self.func.constant(args[1])? as u32 % 64)),
            _ => None,
        }
    }

    /// The register of a factor, of which only the low half counts.
    fn low_factor(&mut self, value: Value, factor: Factor) -> Reg {
        if factor.low != value {
            self.take(value, &[factor.low]);
        }
        self.reg(factor.low)
    }

    /// The low 64 bits of products of 64 bits, from those of the halves.
    pub(super) fn long_product(&mut self, result: Value, [x, y]: [Value; 2]) {
        let (x, y) = match (self.factor(x), self.factor(y)) {
            (Some(first), Some(second)) => {
                let (x, y) = (self.low_factor(x, first), self.low_factor(y, second));
                return self.product_of_halves(result, x, y, first.shift + second.shift);
            }
            (None, Some(factor)) if factor.shift == 0 => (y, x),
            _ => (x, y),
        };
        if let Some(factor) = self.factor(x).filter(|factor| factor.shift == 0) {
            // One factor has no high half.
            let (x, y) = (self.low_factor(x, factor), self.reg(y));
            let y_high = self.vec_shift(Row::PsrlqImm, NEW, y, 32);
            let middle = self.vec_regs(Row::Pmuludq, NEW, x, y_high);
            let middle = self.vec_shift(Row::PsllqImm, NEW, middle, 32);
            let low = self.vec_regs(Row::Pmuludq, NEW, x, y);
            let dst = self.def(result);
            self.vec_regs(Row::Paddq, dst, low, middle);
            return;
        }
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

    /// The product of low halves, shifted.
    fn product_of_halves(&mut self, result: Value, x: Reg, y: Reg, shift: u32) {
        let dst = self.def(result);
        match shift {
            0 => {
                self.vec_regs(Row::Pmuludq, dst, x, y);
            }
            1 => {
                let product = self.vec_regs(Row::Pmuludq, NEW, x, y);
                self.vec_regs(Row::Paddq, dst, product, product);
            }
            64.. => {
                self.emit(Inst::new(Row::FZero, Width::W32).dst(dst));
            }
            _ => {
                let product = self.vec_regs(Row::Pmuludq, NEW, x, y);
                self.vec_shift(Row::PsllqImm, dst, product, shift);
            }
        }
    }
}
