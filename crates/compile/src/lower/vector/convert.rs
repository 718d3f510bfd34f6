//! Signs, absolute values, extensions and conversions of vectors.

use super::compare::{EQUAL, NOT_LESS};
use super::{Lower, NEW, Operand, splat};
use cellwall_ir::{Value, VectorOp as V};
use cellwall_isa::Reg;
use cellwall_isa::x64::Row;

/// 2^31 as a float.
const F32_2_31: u64 = 0x4f00_0000;
/// The largest 32-bit integers as doubles.
const I32_MAX: f64 = i32::MAX as f64;
const U32_MAX: f64 = u32::MAX as f64;
/// 2^52: a double whose low bits are an integer.
const F64_2_52: f64 = (1u64 << 52) as f64;

impl Lower<'_> {
    /// An operator of one vector that is several instructions.
    pub(super) fn vector_convert(&mut self, op: V, result: Value, x: Value) {
        match op {
            V::V128Not => {
                let x = self.reg(x);
                let dst = self.def(result);
                self.invert(dst, x);
            }
            V::I8x16Neg => self.negate(Row::Psubb, result, x),
            V::I16x8Neg => self.negate(Row::Psubw, result, x),
            V::I32x4Neg => self.negate(Row::Psubd, result, x),
            V::I64x2Neg => self.negate(Row::Psubq, result, x),
            V::I64x2Abs => {
                let x = self.reg(x);
                let signs = self.signs(NEW, x);
                let flipped = self.vec_regs(Row::Pxor, NEW, x, signs);
                let dst = self.def(result);
                self.vec_regs(Row::Psubq, dst, flipped, signs);
            }
            V::F32x4Abs => self.mask_floats(Row::Andps, result, x, splat(32, (1 << 31) - 1)),
            V::F64x2Abs => self.mask_floats(Row::Andps, result, x, splat(64, (1 << 63) - 1)),
            V::F32x4Neg => self.mask_floats(Row::Xorps, result, x, splat(32, 1 << 31)),
            V::F64x2Neg => self.mask_floats(Row::Xorps, result, x, splat(64, 1 << 63)),
            V::I8x16Popcnt => self.lane_bits_set(result, x),
            V::I32x4TruncSatF32x4S => self.trunc_sat_signed_lanes(result, x),
            V::I32x4TruncSatF32x4U => self.trunc_sat_unsigned_lanes(result, x),
            V::I32x4TruncSatF64x2SZero => self.trunc_sat_doubles_signed(result, x),
            V::I32x4TruncSatF64x2UZero => self.trunc_sat_doubles_unsigned(result, x),
            V::F32x4ConvertI32x4U => self.convert_unsigned(result, x),
            V::F64x2ConvertLowI32x4U => {
                // The low bits of 2^52 and more, from which that is taken.
                let x = self.reg(x);
                let high = F64_2_52.to_bits() >> 32;
                let doubles = self.vec_const(Row::Punpckldq, NEW, x, splat(32, high));
                let dst = self.def(result);
                self.vec_const(Row::Subpd, dst, doubles, splat(64, F64_2_52.to_bits()));
            }
            _ => unreachable!("{} is lowered elsewhere", op.name()),
        }
    }

    fn negate(&mut self, row: Row, result: Value, x: Value) {
        let rm = self.vector_operand(x);
        let zero = self.vector_constant(0);
        let dst = self.def(result);
        self.vec(row, dst, zero, rm);
    }

    fn mask_floats(&mut self, row: Row, result: Value, x: Value, mask: u128) {
        let x = self.reg(x);
        let dst = self.def(result);
        self.vec_const(row, dst, x, mask);
    }

    /// The bits in each half of a byte, from a table.
    fn lane_bits_set(&mut self, result: Value, x: Value) {
        const HALF: u64 = 0x0f;
        let counts = u128::from_le_bytes(std::array::from_fn(|i| i.count_ones() as u8));
        let x = self.reg(x);
        let table = self.vector_constant(counts);
        let low = self.vec_const(Row::Pand, NEW, x, splat(8, HALF));
        let high = self.vec_shift(Row::PsrlwImm, NEW, x, 4);
        let high = self.vec_const(Row::Pand, NEW, high, splat(8, HALF));
        let low = self.vec_regs(Row::Pshufb, NEW, table, low);
        let high = self.vec_regs(Row::Pshufb, NEW, table, high);
        let dst = self.def(result);
        self.vec_regs(Row::Paddb, dst, low, high);
    }

    /// The high half of a vector, extended; whether the operator is that.
    pub(super) fn extend_high(&mut self, op: V, result: Value, x: Value) -> bool {
        let (row, is_signed) = match op {
            V::I16x8ExtendHighI8x16S => (Row::Pmovsxbw, true),
            V::I32x4ExtendHighI16x8S => (Row::Pmovsxwd, true),
            V::I64x2ExtendHighI32x4S => (Row::Pmovsxdq, true),
            V::I16x8ExtendHighI8x16U => (Row::Punpckhbw, false),
            V::I32x4ExtendHighI16x8U => (Row::Punpckhwd, false),
            V::I64x2ExtendHighI32x4U => (Row::Punpckhdq, false),
            _ => return false,
        };
        if is_signed {
            let rm = self.vector_operand(x);
            let high = self.vec_from_imm(Row::Pshufd, NEW, rm, 0xee);
            let dst = self.def(result);
            self.vec_from(row, dst, Operand::reg(high));
        } else {
            let x = self.reg(x);
            let zero = self.vector_constant(0);
            let dst = self.def(result);
            self.vec_regs(row, dst, x, zero);
        }
        true
    }

    fn trunc_sat_signed_lanes(&mut self, result: Value, x: Value) {
        let x = self.reg(x);
        let numbers = self.vec_imm(Row::Cmpps, NEW, x, Operand::reg(x), EQUAL);
        let x = self.vec_regs(Row::Andps, NEW, numbers, x);
        // What does not fit became the lowest integer; its complement is the highest.
        let too_large = self.lanes_at_least(x, F32_2_31);
        let integers = self.vec_from(Row::Cvttps2dq, NEW, Operand::reg(x));
        let dst = self.def(result);
        self.vec_regs(Row::Pxor, dst, integers, too_large);
    }

    /// All ones where a lane, which is no NaN, is at least a float.
    fn lanes_at_least(&mut self, x: Reg, limit: u64) -> Reg {
        let rm = self.lanes_operand(32, limit);
        self.vec_imm(Row::Cmpps, NEW, x, rm, NOT_LESS)
    }

    fn trunc_sat_unsigned_lanes(&mut self, result: Value, x: Value) {
        let x = self.reg(x);
        let zero = self.vector_constant(0);
        // The second operand for NaN.
        let x = self.vec_regs(Row::Maxps, NEW, x, zero);
        // From 2^31 on the integer is the lowest one, and what is above 2^31 adds to it.
        let low = self.vec_from(Row::Cvttps2dq, NEW, Operand::reg(x));
        let rest = self.vec_const(Row::Subps, NEW, x, splat(32, F32_2_31));
        let too_large = self.lanes_at_least(rest, F32_2_31);
        let high = self.vec_from(Row::Cvttps2dq, NEW, Operand::reg(rest));
        let high = self.vec_regs(Row::Pxor, NEW, high, too_large);
        let high = self.vec_regs(Row::Pmaxsd, NEW, high, zero);
        let dst = self.def(result);
        self.vec_regs(Row::Paddd, dst, low, high);
    }

    fn trunc_sat_doubles_signed(&mut self, result: Value, x: Value) {
        let x = self.reg(x);
        let numbers = self.vec_imm(Row::Cmppd, NEW, x, Operand::reg(x), EQUAL);
        // The second operand for NaN: here 0.
        let limit = self.vec_const(Row::Andps, NEW, numbers, splat(64, I32_MAX.to_bits()));
        let x = self.vec_regs(Row::Minpd, NEW, x, limit);
        let dst = self.def(result);
        self.vec_from(Row::Cvttpd2dq, dst, Operand::reg(x));
    }

    fn trunc_sat_doubles_unsigned(&mut self, result: Value, x: Value) {
        const TOWARDS_ZERO: i64 = 8 | 3;
        let x = self.reg(x);
        let zero = self.vector_constant(0);
        let x = self.vec_regs(Row::Maxpd, NEW, x, zero);
        let x = self.vec_const(Row::Minpd, NEW, x, splat(64, U32_MAX.to_bits()));
        let x = self.vec_from_imm(Row::Roundpd, NEW, Operand::reg(x), TOWARDS_ZERO);
        let x = self.vec_const(Row::Addpd, NEW, x, splat(64, F64_2_52.to_bits()));
        // The low halves of the doubles, and zeros.
        let dst = self.def(result);
        self.vec_imm(Row::Shufps, dst, x, Operand::reg(zero), 0x88);
    }

    /// Halves of 16 bits, each in the low bits of a float that is large; one sum then rounds.
    fn convert_unsigned(&mut self, result: Value, x: Value) {
        /// 2^23 and 2^39 as floats.
        const LOW: u64 = 0x4b00_0000;
        const HIGH: u64 = 0x5300_0000;
        /// 2^39 + 2^23.
        const BOTH: u64 = 0x5300_0080;
        let x = self.reg(x);
        let low = self.vec_const(Row::Pand, NEW, x, splat(32, 0xffff));
        let low = self.vec_const(Row::Por, NEW, low, splat(32, LOW));
        let high = self.vec_shift(Row::PsrldImm, NEW, x, 16);
        let high = self.vec_const(Row::Por, NEW, high, splat(32, HIGH));
        let high = self.vec_const(Row::Subps, NEW, high, splat(32, BOTH));
        let dst = self.def(result);
        self.vec_regs(Row::Addps, dst, high, low);
    }
}
