//! Vectors: operands, constants, and the operators that are one instruction.
//!
//! Where the target has AVX, instructions are VEX encoded: they have three operands, and take a vector
//! from memory at any address. Otherwise the destination is the first operand, and a vector in memory
//! is an operand only if it is a constant, which is aligned. What is read from memory is exactly as
//! wide as the operator says: a narrow load never becomes a 16-byte operand, nor the reverse.

mod compare;
mod convert;
mod dot;
mod lanes;
mod memory;
mod multiply;
mod rows;
mod shift;
mod shuffle;

use super::Lower;
use super::operand::Operand;
use Width::W128;
use cellwall_ir as ir;
use cellwall_ir::{Form, InstData, Value, VectorOp};
use cellwall_isa::x64::{Inst, Row, Width};
use cellwall_isa::{Class, Reg};

/// As a destination: a new register.
const NEW: Reg = Reg::NONE;

/// All lanes of so many bits with this value.
fn splat(bits: u32, lane: u64) -> u128 {
    VectorOp::I64x2Splat.eval(
        0,
        [match bits {
            8 => u128::from(lane & 0xff) * 0x0101_0101_0101_0101,
            16 => u128::from(lane & 0xffff) * 0x0001_0001_0001_0001,
            32 => u128::from(lane & 0xffff_ffff) * 0x0000_0001_0000_0001,
            _ => u128::from(lane),
        }; 3],
    )
}

impl Lower<'_> {
    pub(super) fn has_avx(&self) -> bool {
        self.unit.target.features.avx
    }

    /// A vector instruction with the encoding of the target.
    fn vector_inst(&self, row: Row, width: Width) -> Inst {
        Inst::new(row, width).vex(self.has_avx())
    }

    fn or_new(&mut self, dst: Reg) -> Reg {
        if dst.is_none() {
            self.temp(Class::Float)
        } else {
            dst
        }
    }

    /// `dst ← x row rm`.
    fn vec(&mut self, row: Row, dst: Reg, x: Reg, rm: Operand) -> Reg {
        self.vec_imm(row, dst, x, rm, 0)
    }

    /// `dst ← x row rm, imm`.
    fn vec_imm(&mut self, row: Row, dst: Reg, x: Reg, rm: Operand, imm: i64) -> Reg {
        let dst = self.or_new(dst);
        let inst = self.vector_inst(row, W128).dst(dst).src(x).imm(imm);
        self.emit(rm.on(inst));
        dst
    }

    /// `dst ← x row y`, both in registers.
    fn vec_regs(&mut self, row: Row, dst: Reg, x: Reg, y: Reg) -> Reg {
        self.vec(row, dst, x, Operand::reg(y))
    }

    /// `dst ← x row constant`.
    fn vec_const(&mut self, row: Row, dst: Reg, x: Reg, bits: u128) -> Reg {
        let rm = self.constant_operand(bits);
        self.vec(row, dst, x, rm)
    }

    /// `dst ← row rm`.
    fn vec_from(&mut self, row: Row, dst: Reg, rm: Operand) -> Reg {
        self.vec_from_imm(row, dst, rm, 0)
    }

    /// `dst ← row rm, imm`.
    fn vec_from_imm(&mut self, row: Row, dst: Reg, rm: Operand, imm: i64) -> Reg {
        let dst = self.or_new(dst);
        let inst = self.vector_inst(row, W128).dst(dst).imm(imm);
        self.emit(rm.on(inst));
        dst
    }

    /// `dst ← x row imm`: a shift.
    fn vec_shift(&mut self, row: Row, dst: Reg, x: Reg, imm: u32) -> Reg {
        let dst = self.or_new(dst);
        let inst = self.vector_inst(row, W128).dst(dst).src(x);
        self.emit(inst.imm(i64::from(imm)));
        dst
    }

    /// `dst ← mask ? yes : no` by the top bits of lanes: one instruction of AVX, or three without, for
    /// which the whole lanes of the mask must be alike.
    fn vec_choose(&mut self, dst: Reg, mask: Reg, yes: Operand, no: Reg) -> Reg {
        let dst = self.or_new(dst);
        if self.has_avx() {
            let blend = Inst::new(Row::Vpblendvb, W128).dst(dst).src(no).dst2(mask);
            self.emit(yes.on(blend));
            return dst;
        }
        let yes = self.vec(Row::Pand, NEW, mask, yes);
        let no = self.vec_regs(Row::Pandn, NEW, mask, no);
        self.vec_regs(Row::Por, dst, yes, no)
    }

    /// A register with a constant.
    pub(super) fn vector_constant(&mut self, bits: u128) -> Reg {
        let dst = self.temp(Class::Float);
        let inst = match bits {
            0 => Inst::new(Row::FZero, Width::W32),
            u128::MAX => Inst::new(Row::Ones, W128),
            // What is zero above is loaded as a scalar, which fills up with zeros.
            _ if bits >> 32 == 0 => {
                let offset = self.constant_bytes(bits, 4);
                Inst::new(Row::FLoad, Width::W32).rodata(offset)
            }
            _ if bits >> 64 == 0 => {
                let offset = self.constant_bytes(bits, 8);
                Inst::new(Row::FLoad, Width::W64).rodata(offset)
            }
            _ if bits as u64 == (bits >> 64) as u64 => {
                let offset = self.constant_bytes(u128::from(bits as u64), 8);
                self.vector_inst(Row::Movddup, W128).rodata(offset)
            }
            _ => Inst::new(Row::VLoad, W128).rodata(self.constant_bytes(bits, 16)),
        };
        self.emit(inst.dst(dst));
        dst
    }

    /// A constant as an operand.
    fn constant_operand(&mut self, bits: u128) -> Operand {
        match bits {
            0 | u128::MAX => Operand::reg(self.vector_constant(bits)),
            _ => Operand::rodata(self.constant_bytes(bits, 16)),
        }
    }

    /// A vector as r/m operand.
    fn vector_operand(&mut self, value: Value) -> Operand {
        if self.has_avx()
            && let Some(operand) = self.memory_operand(value)
        {
            return operand;
        }
        match self.func.vector_constant(value) {
            Some(bits) => self.constant_operand(bits),
            None => Operand::reg(self.reg(value)),
        }
    }

    /// Whether a load of a whole value can move into the current instruction.
    fn is_foldable(&self, value: Value) -> bool {
        self.sinkable(value).is_some_and(|inst| {
            let load = ir::LoadOp::Full;
            matches!(self.func.insts[inst].data, InstData::Load { op, .. } if op == load)
        })
    }

    /// The operands of what commutes, the better one for memory or a constant last.
    fn vector_order(&self, [x, y]: [Value; 2]) -> [Value; 2] {
        let is_constant = |value| self.func.vector_constant(value).is_some();
        let swaps = match self.has_avx() {
            _ if is_constant(y) => false,
            _ if is_constant(x) => true,
            true => self.is_foldable(x) && !self.is_foldable(y),
            false => self.is_single(y) && !self.is_single(x),
        };
        if swaps { [y, x] } else { [x, y] }
    }

    /// A vector operator.
    pub(super) fn vector(&mut self, inst: ir::Inst, op: VectorOp, lane: u8, args: [Value; 3]) {
        let result = self.func.result(inst);
        let [x, y, z] = args;
        match op.form() {
            Form::Unary => self.vector_unary(op, result, x),
            Form::Binary => self.vector_binary(op, result, [x, y]),
            Form::Ternary => self.vector_ternary(op, result, [x, y, z]),
            Form::Shift => self.vector_shift(op, result, x, y),
            Form::Test => self.vector_test_value(op, result, x),
            Form::Splat(_) => self.splat(op, result, x),
            Form::Extract(_) => self.extract(op, lane, result, x),
            Form::Replace(_) => self.replace(op, lane, result, x, y),
        }
    }

    fn vector_binary(&mut self, op: VectorOp, result: Value, args: [Value; 2]) {
        let matched = match op {
            VectorOp::V128And | VectorOp::V128AndNot => self.and_not(op, result, args),
            VectorOp::V128Or | VectorOp::V128Xor => self.rotate(result, args),
            VectorOp::I32x4Add => self.dot_product(result, args),
            _ => false,
        };
        if matched {
            return;
        }
        if let Some(row) = rows::binary(op) {
            let [x, y] = if op.commutes() {
                self.vector_order(args)
            } else {
                args
            };
            return self.two(row, result, x, y);
        }
        if let Some(row) = rows::swapped(op) {
            return self.two(row, result, args[1], args[0]);
        }
        if self.vector_compare(op, result, args) || self.extended_product(op, result, args) {
            return;
        }
        match op {
            VectorOp::I8x16Swizzle => self.swizzle(result, args),
            VectorOp::I16x8Q15MulrSatS => self.rounded_product(result, args),
            VectorOp::I64x2Mul => self.long_product(result, args),
            _ => self.float_extreme(op, result, args),
        }
    }

    /// One instruction of two vectors.
    fn two(&mut self, row: Row, result: Value, x: Value, y: Value) {
        let rm = self.vector_operand(y);
        let x = self.reg(x);
        let dst = self.def(result);
        self.vec(row, dst, x, rm);
    }

    /// `x & !y` where one of the operands of an `and` is a complement, and `x & !!y`.
    fn and_not(&mut self, op: VectorOp, result: Value, [x, y]: [Value; 2]) -> bool {
        let is_and = op == VectorOp::V128And;
        for (x, y) in [(x, y), (y, x)] {
            if self.is_single(y)
                && let Some(inner) = self.complement(y)
            {
                self.absorb(y);
                match is_and {
                    true => self.two(Row::Pandn, result, inner, x),
                    false => self.two(Row::Pand, result, x, inner),
                }
                return true;
            }
            if !is_and {
                break;
            }
        }
        false
    }

    /// Of what `value` is the complement.
    fn complement(&self, value: Value) -> Option<Value> {
        match *self.data_of(value)? {
            InstData::Vector {
                op: VectorOp::V128Not,
                args,
                ..
            } => Some(args[0]),
            _ => None,
        }
    }

    fn vector_unary(&mut self, op: VectorOp, result: Value, x: Value) {
        if let Some(row) = rows::unary(op) {
            let rm = self.vector_operand(x);
            let dst = self.def(result);
            self.vec_from(row, dst, rm);
        } else if let Some(row) = rows::low_half(op) {
            let rm = self.half_operand(x);
            let dst = self.def(result);
            self.vec_from(row, dst, rm);
        } else if let Some((row, imm)) = rows::rounding(op) {
            let rm = self.vector_operand(x);
            let dst = self.def(result);
            self.vec_from_imm(row, dst, rm, imm);
        } else if !self.extend_high(op, result, x) && !self.pairwise_sum(op, result, x) {
            self.vector_convert(op, result, x);
        }
    }

    fn vector_ternary(&mut self, op: VectorOp, result: Value, args: [Value; 3]) {
        let [x, y, z] = args;
        let (row, width) = match op {
            VectorOp::V128Bitselect => return self.bitselect(result, args),
            VectorOp::F32x4Fma => (Row::Vfmadd231, Width::W32),
            VectorOp::F64x2Fma => (Row::Vfmadd231, Width::W64),
            VectorOp::F32x4Fnma => (Row::Vfnmadd231, Width::W32),
            VectorOp::F64x2Fnma => (Row::Vfnmadd231, Width::W64),
            _ => {
                let row = match op {
                    VectorOp::I8x16Blend => Row::Vpblendvb,
                    VectorOp::I32x4Blend => Row::Vblendvps,
                    _ => Row::Vblendvpd,
                };
                let rm = self.vector_operand(x);
                let (no, mask) = (self.reg(y), self.reg(z));
                let dst = self.def(result);
                let blend = Inst::new(row, W128).dst(dst).src(no).dst2(mask);
                return self.emit(rm.on(blend));
            }
        };
        // The destination is the sum, or a factor if only that one is not needed later.
        if !self.is_single(z) && self.is_single(x) {
            let row = match row {
                Row::Vfmadd231 => Row::Vfmadd213,
                _ => Row::Vfnmadd213,
            };
            let rm = self.vector_operand(z);
            let (x, y) = (self.reg(x), self.reg(y));
            let dst = self.def(result);
            return self.emit(rm.on(Inst::new(row, width).dst(dst).src(x).dst2(y)));
        }
        let rm = self.vector_operand(y);
        let (x, z) = (self.reg(x), self.reg(z));
        let dst = self.def(result);
        self.emit(rm.on(Inst::new(row, width).dst(dst).src(z).dst2(x)));
    }

    /// `(x & z) | (y & !z)`.
    fn bitselect(&mut self, result: Value, [x, y, z]: [Value; 3]) {
        if self.is_lane_mask(z) {
            let rm = self.vector_operand(x);
            let (no, mask) = (self.reg(y), self.reg(z));
            let dst = self.def(result);
            self.vec_choose(dst, mask, rm, no);
            return;
        }
        let yes = self.vector_operand(x);
        let no = self.vector_operand(y);
        let mask = self.reg(z);
        let yes = self.vec(Row::Pand, NEW, mask, yes);
        let no = self.vec(Row::Pandn, NEW, mask, no);
        let dst = self.def(result);
        self.vec_regs(Row::Por, dst, yes, no);
    }

    /// Whether each byte of a vector has all bits alike.
    fn is_lane_mask(&self, value: Value) -> bool {
        if let Some(bits) = self.func.vector_constant(value) {
            return bits.to_le_bytes().iter().all(|byte| matches!(byte, 0 | 0xff));
        }
        self.is_lane_mask_within(value, 4)
    }

    fn is_lane_mask_within(&self, value: Value, steps: u32) -> bool {
        match self.data_of(value) {
            Some(&InstData::Vector { op, args, .. }) if steps > 0 => {
                let is_mask = |value| self.is_lane_mask_within(value, steps - 1);
                match op {
                    VectorOp::V128And | VectorOp::V128Or | VectorOp::V128Xor | VectorOp::V128AndNot => {
                        is_mask(args[0]) && is_mask(args[1])
                    }
                    VectorOp::V128Not => is_mask(args[0]),
                    _ => compare::gives_masks(op),
                }
            }
            _ => false,
        }
    }
}
