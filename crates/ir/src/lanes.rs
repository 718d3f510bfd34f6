//! What vector operators mean, lane by lane.
//!
//! Requires operands of the operator's types: vectors whole, scalars zero-extended. Guarantees a
//! result of its type; nothing traps. Float lanes mean what the scalar operators of [`op`](crate::op)
//! mean, up to the choice of NaN.

use crate::op::{BinaryOp, CompareOp, Type, UnaryOp};
use crate::vector::{Form, VectorOp};

/// The lane `index` of `x`, zero-extended.
fn lane(bits: u32, x: u128, index: u32) -> u64 {
    (x >> (bits * index)) as u64 & mask(bits)
}

fn mask(bits: u32) -> u64 {
    u64::MAX >> (64 - bits)
}

/// The lane `index` of `x`, sign-extended.
fn signed(bits: u32, x: u128, index: u32) -> i64 {
    sign(bits, lane(bits, x, index))
}

/// The low bits of a number, sign-extended.
fn sign(bits: u32, x: u64) -> i64 {
    (x << (64 - bits)) as i64 >> (64 - bits)
}

/// The vector of lanes that `f` gives, of which the low bits count.
fn build(bits: u32, mut f: impl FnMut(u32) -> u64) -> u128 {
    (0..128 / bits).fold(0, |x, i| x | u128::from(f(i) & mask(bits)) << (bits * i))
}

fn map(bits: u32, x: u128, f: impl Fn(u64) -> u64) -> u128 {
    build(bits, |i| f(lane(bits, x, i)))
}

fn zip(bits: u32, x: u128, y: u128, f: impl Fn(u64, u64) -> u64) -> u128 {
    build(bits, |i| f(lane(bits, x, i), lane(bits, y, i)))
}

fn zip_signed(bits: u32, x: u128, y: u128, f: impl Fn(i64, i64) -> i64) -> u128 {
    build(bits, |i| f(signed(bits, x, i), signed(bits, y, i)) as u64)
}

/// Saturates to a signed number of so many bits.
fn saturate_signed(bits: u32, x: i64) -> i64 {
    let max = (mask(bits) >> 1) as i64;
    x.clamp(-max - 1, max)
}

/// Saturates to an unsigned number of so many bits.
fn saturate_unsigned(bits: u32, x: i64) -> i64 {
    x.clamp(0, mask(bits) as i64)
}

/// A condition as all bits of a lane.
fn all(holds: bool) -> u64 {
    if holds { u64::MAX } else { 0 }
}

fn float_type(bits: u32) -> Type {
    if bits == 32 { Type::F32 } else { Type::F64 }
}

/// The bytes of two vectors that a mask names, the first one's first.
pub fn shuffle(mask: [u8; 16], x: u128, y: u128) -> u128 {
    build(8, |i| match mask[i as usize] {
        from @ 0..16 => lane(8, x, u32::from(from)),
        from => lane(8, y, u32::from(from) - 16),
    })
}

impl VectorOp {
    /// The result for operands, of which those beyond its arity do not matter.
    ///
    /// # Panics
    /// If the operator names a lane and there is no such lane.
    pub fn eval(self, index: u8, args: [u128; 3]) -> u128 {
        let bits = self.lane_bits();
        let [x, y, z] = args;
        let index = u32::from(index);
        assert!(
            !self.form().has_lane() || index < self.lanes(),
            "there is such a lane"
        );
        match self.form() {
            Form::Unary => self.unary(x),
            Form::Binary => self.binary(x, y),
            Form::Ternary => self.ternary(x, y, z),
            Form::Shift => self.shift(x, y as u32 % bits),
            Form::Test => u128::from(self.test(x)),
            Form::Splat(_) => build(bits, |_| x as u64),
            Form::Extract(_) => match self {
                Self::I8x16ExtractLaneS | Self::I16x8ExtractLaneS => {
                    u128::from(signed(bits, x, index) as u32)
                }
                _ => u128::from(lane(bits, x, index)),
            },
            Form::Replace(_) => build(bits, |i| if i == index { y as u64 } else { lane(bits, x, i) }),
        }
    }

    fn shift(self, x: u128, count: u32) -> u128 {
        let bits = self.lane_bits();
        match self {
            Self::I8x16Shl | Self::I16x8Shl | Self::I32x4Shl | Self::I64x2Shl => map(bits, x, |a| a << count),
            Self::I8x16ShrU | Self::I16x8ShrU | Self::I32x4ShrU | Self::I64x2ShrU => {
                map(bits, x, |a| a >> count)
            }
            _ => map(bits, x, |a| (sign(bits, a) >> count) as u64),
        }
    }

    fn test(self, x: u128) -> u32 {
        let bits = self.lane_bits();
        let lanes = 0..self.lanes();
        match self {
            Self::V128AnyTrue => u32::from(x != 0),
            Self::I8x16AllTrue | Self::I16x8AllTrue | Self::I32x4AllTrue | Self::I64x2AllTrue => {
                u32::from(lanes.into_iter().all(|i| lane(bits, x, i) != 0))
            }
            _ => lanes.fold(0, |set, i| set | u32::from(signed(bits, x, i) < 0) << i),
        }
    }

    fn unary(self, x: u128) -> u128 {
        let bits = self.lane_bits();
        let half = bits / 2;
        let float = |op: UnaryOp| {
            let ty = float_type(bits);
            map(bits, x, |a| op.eval(ty, ty, a).expect("it does not trap"))
        };
        match self {
            Self::V128Not => !x,
            Self::I8x16Abs | Self::I16x8Abs | Self::I32x4Abs | Self::I64x2Abs => {
                map(bits, x, |a| sign(bits, a).unsigned_abs())
            }
            Self::I8x16Neg | Self::I16x8Neg | Self::I32x4Neg | Self::I64x2Neg => {
                map(bits, x, u64::wrapping_neg)
            }
            Self::I8x16Popcnt => map(bits, x, |a| u64::from(a.count_ones())),
            Self::I16x8ExtAddPairwiseI8x16S | Self::I32x4ExtAddPairwiseI16x8S => build(bits, |i| {
                (signed(half, x, 2 * i) + signed(half, x, 2 * i + 1)) as u64
            }),
            Self::I16x8ExtAddPairwiseI8x16U | Self::I32x4ExtAddPairwiseI16x8U => {
                build(bits, |i| lane(half, x, 2 * i) + lane(half, x, 2 * i + 1))
            }
            Self::I16x8ExtendLowI8x16S | Self::I32x4ExtendLowI16x8S | Self::I64x2ExtendLowI32x4S => {
                build(bits, |i| signed(half, x, i) as u64)
            }
            Self::I16x8ExtendLowI8x16U | Self::I32x4ExtendLowI16x8U | Self::I64x2ExtendLowI32x4U => {
                build(bits, |i| lane(half, x, i))
            }
            Self::I16x8ExtendHighI8x16S | Self::I32x4ExtendHighI16x8S | Self::I64x2ExtendHighI32x4S => {
                build(bits, |i| signed(half, x >> 64, i) as u64)
            }
            Self::I16x8ExtendHighI8x16U | Self::I32x4ExtendHighI16x8U | Self::I64x2ExtendHighI32x4U => {
                build(bits, |i| lane(half, x >> 64, i))
            }
            Self::F32x4Abs | Self::F64x2Abs => float(UnaryOp::FAbs),
            Self::F32x4Neg | Self::F64x2Neg => float(UnaryOp::FNeg),
            Self::F32x4Sqrt | Self::F64x2Sqrt => float(UnaryOp::FSqrt),
            Self::F32x4Ceil | Self::F64x2Ceil => float(UnaryOp::FCeil),
            Self::F32x4Floor | Self::F64x2Floor => float(UnaryOp::FFloor),
            Self::F32x4Trunc | Self::F64x2Trunc => float(UnaryOp::FTrunc),
            Self::F32x4Nearest | Self::F64x2Nearest => float(UnaryOp::FNearest),
            _ => self.convert(x),
        }
    }

    /// Conversions between integers and floats, and between floats.
    fn convert(self, x: u128) -> u128 {
        use Type::{F32, F64, I32};
        let (op, from, to) = match self {
            Self::I32x4TruncSatF32x4S => (UnaryOp::TruncSatS, F32, I32),
            Self::I32x4TruncSatF32x4U => (UnaryOp::TruncSatU, F32, I32),
            Self::I32x4TruncSatF64x2SZero => (UnaryOp::TruncSatS, F64, I32),
            Self::I32x4TruncSatF64x2UZero => (UnaryOp::TruncSatU, F64, I32),
            Self::I32x4TruncMinF32x4S => (UnaryOp::TruncS, F32, I32),
            Self::I32x4TruncMinF64x2SZero => (UnaryOp::TruncS, F64, I32),
            Self::F32x4ConvertI32x4S => (UnaryOp::ConvertS, I32, F32),
            Self::F32x4ConvertI32x4U => (UnaryOp::ConvertU, I32, F32),
            Self::F64x2ConvertLowI32x4S => (UnaryOp::ConvertS, I32, F64),
            Self::F64x2ConvertLowI32x4U => (UnaryOp::ConvertU, I32, F64),
            Self::F32x4DemoteF64x2Zero => (UnaryOp::FDemote, F64, F32),
            Self::F64x2PromoteLowF32x4 => (UnaryOp::FPromote, F32, F64),
            other => unreachable!("{} is no conversion", other.name()),
        };
        // What the lowest lanes give; the other ones are zero.
        let lanes = (128 / from.bits()).min(128 / to.bits());
        build(to.bits(), |i| match i < lanes {
            // Only the rows that give the lowest number trap.
            true => op.eval(from, to, lane(from.bits(), x, i)).unwrap_or(1 << 31),
            false => 0,
        })
    }

    fn binary(self, x: u128, y: u128) -> u128 {
        let bits = self.lane_bits();
        let float = |op: BinaryOp| {
            let ty = float_type(bits);
            zip(bits, x, y, |a, b| op.eval(ty, a, b).expect("it does not trap"))
        };
        let is = |op: CompareOp| {
            let ty = float_type(bits);
            zip(bits, x, y, |a, b| all(op.eval(ty, a, b)))
        };
        match self {
            Self::V128And => x & y,
            Self::V128AndNot => x & !y,
            Self::V128Or => x | y,
            Self::V128Xor => x ^ y,
            Self::I8x16Swizzle => build(8, |i| match lane(8, y, i) {
                from @ 0..16 => lane(8, x, from as u32),
                _ => 0,
            }),
            Self::I8x16SwizzleLow => build(8, |i| match lane(8, y, i) {
                from @ 0..128 => lane(8, x, from as u32 % 16),
                _ => 0,
            }),
            Self::F32x4Eq | Self::F64x2Eq => is(CompareOp::FEq),
            Self::F32x4Ne | Self::F64x2Ne => is(CompareOp::FNe),
            Self::F32x4Lt | Self::F64x2Lt => is(CompareOp::FLt),
            Self::F32x4Gt | Self::F64x2Gt => is(CompareOp::FGt),
            Self::F32x4Le | Self::F64x2Le => is(CompareOp::FLe),
            Self::F32x4Ge | Self::F64x2Ge => is(CompareOp::FGe),
            Self::F32x4Add | Self::F64x2Add => float(BinaryOp::FAdd),
            Self::F32x4Sub | Self::F64x2Sub => float(BinaryOp::FSub),
            Self::F32x4Mul | Self::F64x2Mul => float(BinaryOp::FMul),
            Self::F32x4Div | Self::F64x2Div => float(BinaryOp::FDiv),
            Self::F32x4Min | Self::F64x2Min => float(BinaryOp::FMin),
            Self::F32x4Max | Self::F64x2Max => float(BinaryOp::FMax),
            // The second operand if it is less (greater), otherwise the first, NaN or not.
            Self::F32x4PMin | Self::F64x2PMin => {
                let ty = float_type(bits);
                zip(
                    bits,
                    x,
                    y,
                    |a, b| if CompareOp::FLt.eval(ty, b, a) { b } else { a },
                )
            }
            Self::F32x4PMax | Self::F64x2PMax => {
                let ty = float_type(bits);
                zip(
                    bits,
                    x,
                    y,
                    |a, b| if CompareOp::FLt.eval(ty, a, b) { b } else { a },
                )
            }
            _ => self.integer(x, y),
        }
    }

    /// Integer lanes of one width.
    fn integer(self, x: u128, y: u128) -> u128 {
        let bits = self.lane_bits();
        let unsigned = |f: fn(u64, u64) -> u64| zip(bits, x, y, f);
        let signed = |f: fn(i64, i64) -> i64| zip_signed(bits, x, y, f);
        match self {
            Self::I8x16Eq | Self::I16x8Eq | Self::I32x4Eq | Self::I64x2Eq => unsigned(|a, b| all(a == b)),
            Self::I8x16Ne | Self::I16x8Ne | Self::I32x4Ne | Self::I64x2Ne => unsigned(|a, b| all(a != b)),
            Self::I8x16LtU | Self::I16x8LtU | Self::I32x4LtU => unsigned(|a, b| all(a < b)),
            Self::I8x16GtU | Self::I16x8GtU | Self::I32x4GtU => unsigned(|a, b| all(a > b)),
            Self::I8x16LeU | Self::I16x8LeU | Self::I32x4LeU => unsigned(|a, b| all(a <= b)),
            Self::I8x16GeU | Self::I16x8GeU | Self::I32x4GeU => unsigned(|a, b| all(a >= b)),
            Self::I8x16LtS | Self::I16x8LtS | Self::I32x4LtS | Self::I64x2LtS => {
                signed(|a, b| all(a < b) as i64)
            }
            Self::I8x16GtS | Self::I16x8GtS | Self::I32x4GtS | Self::I64x2GtS => {
                signed(|a, b| all(a > b) as i64)
            }
            Self::I8x16LeS | Self::I16x8LeS | Self::I32x4LeS | Self::I64x2LeS => {
                signed(|a, b| all(a <= b) as i64)
            }
            Self::I8x16GeS | Self::I16x8GeS | Self::I32x4GeS | Self::I64x2GeS => {
                signed(|a, b| all(a >= b) as i64)
            }
            Self::I8x16Add | Self::I16x8Add | Self::I32x4Add | Self::I64x2Add => unsigned(u64::wrapping_add),
            Self::I8x16Sub | Self::I16x8Sub | Self::I32x4Sub | Self::I64x2Sub => unsigned(u64::wrapping_sub),
            Self::I16x8Mul | Self::I32x4Mul | Self::I64x2Mul => unsigned(u64::wrapping_mul),
            Self::I8x16MinU | Self::I16x8MinU | Self::I32x4MinU => unsigned(u64::min),
            Self::I8x16MaxU | Self::I16x8MaxU | Self::I32x4MaxU => unsigned(u64::max),
            Self::I8x16MinS | Self::I16x8MinS | Self::I32x4MinS => signed(i64::min),
            Self::I8x16MaxS | Self::I16x8MaxS | Self::I32x4MaxS => signed(i64::max),
            Self::I8x16AvgrU | Self::I16x8AvgrU => unsigned(|a, b| (a + b + 1) >> 1),
            Self::I8x16AddSatS | Self::I16x8AddSatS => {
                zip_signed(bits, x, y, |a, b| saturate_signed(bits, a + b))
            }
            Self::I8x16SubSatS | Self::I16x8SubSatS => {
                zip_signed(bits, x, y, |a, b| saturate_signed(bits, a - b))
            }
            Self::I8x16AddSatU | Self::I16x8AddSatU => {
                zip(bits, x, y, |a, b| saturate_unsigned(bits, (a + b) as i64) as u64)
            }
            Self::I8x16SubSatU | Self::I16x8SubSatU => unsigned(u64::saturating_sub),
            Self::I16x8Q15MulrSatS => signed(|a, b| saturate_signed(16, (a * b + 0x4000) >> 15)),
            Self::I16x8Q15Mulr => signed(|a, b| (a * b + 0x4000) >> 15),
            _ => self.resized(x, y),
        }
    }

    /// Operands with lanes of another width than the result's.
    fn resized(self, x: u128, y: u128) -> u128 {
        let bits = self.lane_bits();
        let half = bits / 2;
        let products = |x: u128, y: u128| build(bits, |i| lane(half, x, i) * lane(half, y, i));
        let signed_products =
            |x: u128, y: u128| build(bits, |i| (signed(half, x, i) * signed(half, y, i)) as u64);
        // The lanes of both operands, made narrower.
        let narrow = |f: fn(u32, i64) -> i64| {
            let half_lanes = 64 / bits;
            build(bits, |i| {
                let from = if i < half_lanes { x } else { y };
                f(bits, signed(2 * bits, from, i % half_lanes)) as u64
            })
        };
        match self {
            Self::I8x16NarrowI16x8S | Self::I16x8NarrowI32x4S => narrow(saturate_signed),
            Self::I8x16NarrowI16x8U | Self::I16x8NarrowI32x4U => narrow(saturate_unsigned),
            Self::I16x8ExtMulLowI8x16S | Self::I32x4ExtMulLowI16x8S | Self::I64x2ExtMulLowI32x4S => {
                signed_products(x, y)
            }
            Self::I16x8ExtMulHighI8x16S | Self::I32x4ExtMulHighI16x8S | Self::I64x2ExtMulHighI32x4S => {
                signed_products(x >> 64, y >> 64)
            }
            Self::I16x8ExtMulLowI8x16U | Self::I32x4ExtMulLowI16x8U | Self::I64x2ExtMulLowI32x4U => {
                products(x, y)
            }
            Self::I16x8ExtMulHighI8x16U | Self::I32x4ExtMulHighI16x8U | Self::I64x2ExtMulHighI32x4U => {
                products(x >> 64, y >> 64)
            }
            Self::I32x4DotI16x8S => {
                let product = |i| signed(16, x, i) * signed(16, y, i);
                build(32, |i| (product(2 * i) + product(2 * i + 1)) as u64)
            }
            Self::I16x8DotI8x16U => {
                let product = |i| signed(8, x, i) * lane(8, y, i) as i64;
                build(16, |i| {
                    saturate_signed(16, product(2 * i) + product(2 * i + 1)) as u64
                })
            }
            other => unreachable!("{} has no meaning as an operator of two operands", other.name()),
        }
    }

    fn ternary(self, x: u128, y: u128, z: u128) -> u128 {
        let bits = self.lane_bits();
        let fused = |negate: bool| {
            build(bits, |i| {
                let [a, b, c] = [x, y, z].map(|v| lane(bits, v, i));
                fused(bits, negate, a, b, c)
            })
        };
        match self {
            Self::V128Bitselect => (x & z) | (y & !z),
            Self::I8x16Blend | Self::I32x4Blend | Self::I64x2Blend => build(bits, |i| {
                let from = if signed(bits, z, i) < 0 { x } else { y };
                lane(bits, from, i)
            }),
            Self::F32x4Fma | Self::F64x2Fma => fused(false),
            Self::F32x4Fnma | Self::F64x2Fnma => fused(true),
            other => unreachable!("{} has no meaning as an operator of three operands", other.name()),
        }
    }
}

/// `a * b + c`, or `-(a * b) + c`, rounded once.
fn fused(bits: u32, negate: bool, a: u64, b: u64, c: u64) -> u64 {
    let ty = float_type(bits);
    let quiet = |bits: u64| BinaryOp::FAdd.eval(ty, bits, 0).expect("it does not trap");
    if bits == 32 {
        let [a, b, c] = [a, b, c].map(|x| f32::from_bits(x as u32));
        let sum = if negate {
            (-a).mul_add(b, c)
        } else {
            a.mul_add(b, c)
        };
        // An addition would make -0 of 0.
        if sum.is_nan() {
            quiet(u64::from(sum.to_bits()))
        } else {
            u64::from(sum.to_bits())
        }
    } else {
        let [a, b, c] = [a, b, c].map(f64::from_bits);
        let sum = if negate {
            (-a).mul_add(b, c)
        } else {
            a.mul_add(b, c)
        };
        if sum.is_nan() {
            quiet(sum.to_bits())
        } else {
            sum.to_bits()
        }
    }
}
