//! Single lanes: splats, extractions, replacements.

use super::super::plant::Plant;
use super::{Lower, NEW, Operand, splat};
use Width::{W32, W64, W128};
use cellwall_ir::{Type, Value, VectorOp as V};
use cellwall_isa::x64::{Inst, Row, Width};
use cellwall_isa::{Class, Reg};

impl Lower<'_> {
    /// A scalar in all lanes.
    pub(super) fn splat(&mut self, op: V, result: Value, x: Value) {
        let bits = op.lane_bits();
        if let Some(lane) = self.func.constant(x) {
            return self.define_constant(result, splat(bits, lane));
        }
        if let Some(from) = self.scalar_load(x, bits / 8) {
            let dst = self.def(result);
            return self.splat_memory(bits, dst, from);
        }
        let ty = self.func.ty(x);
        let x = self.reg_for(ty, x);
        let low = match ty {
            Type::F32 | Type::F64 => x,
            _ => {
                let width = if ty == Type::I64 { W64 } else { W32 };
                let low = self.or_new(NEW);
                self.emit(Inst::new(Row::FFromInt, width).dst(low).rm(x));
                low
            }
        };
        let dst = self.def(result);
        if ty == Type::F32 && self.unit.has(Plant::LanesNotWritten) {
            return self.emit(Inst::new(Row::FMov, W32).dst(dst).rm(low));
        }
        self.spread(bits, dst, low);
    }

    /// `result ←` a constant.
    pub(super) fn define_constant(&mut self, result: Value, bits: u128) {
        let made = self.vector_constant(bits);
        let dst = self.def(result);
        let last = self.state.sequence.last_mut().expect("it was just made");
        assert!(last.dst == made, "a constant is one instruction");
        last.dst = dst;
    }

    /// The lowest lane of so many bits to all lanes.
    pub(super) fn spread(&mut self, bits: u32, dst: Reg, low: Reg) {
        let has_avx2 = self.unit.target.features.avx2;
        let rm = Operand::reg(low);
        match bits {
            8 if has_avx2 => self.vec_from(Row::Pbroadcastb, dst, rm),
            16 if has_avx2 => self.vec_from(Row::Pbroadcastw, dst, rm),
            8 => {
                let zero = self.vector_constant(0);
                self.vec_regs(Row::Pshufb, dst, low, zero)
            }
            16 => {
                let half = self.vec_from_imm(Row::Pshuflw, NEW, rm, 0);
                self.vec_from_imm(Row::Pshufd, dst, Operand::reg(half), 0)
            }
            32 => self.vec_from_imm(Row::Pshufd, dst, rm, 0),
            _ => self.vec_from(Row::Movddup, dst, rm),
        };
    }

    /// A lane as a scalar.
    pub(super) fn extract(&mut self, op: V, lane: u8, result: Value, x: Value) {
        let x = self.reg(x);
        let dst = self.def(result);
        let imm = i64::from(lane);
        match op {
            V::I8x16ExtractLaneU => self.emit(Inst::new(Row::Pextrb, W32).dst(dst).src(x).imm(imm)),
            V::I16x8ExtractLaneU => self.emit(Inst::new(Row::Pextrw, W32).dst(dst).rm(x).imm(imm)),
            V::I8x16ExtractLaneS | V::I16x8ExtractLaneS => {
                let (take, extend) = match op {
                    V::I8x16ExtractLaneS => (Inst::new(Row::Pextrb, W32).src(x), Row::Movsx8),
                    _ => (Inst::new(Row::Pextrw, W32).rm(x), Row::Movsx16),
                };
                let bits = self.temp(Class::Int);
                self.emit(take.dst(bits).imm(imm));
                self.emit(Inst::new(extend, W32).dst(dst).rm(bits));
            }
            V::I32x4ExtractLane | V::I64x2ExtractLane => {
                let width = if op == V::I32x4ExtractLane { W32 } else { W64 };
                let row = if lane == 0 { Row::FToInt } else { Row::Pextr };
                self.emit(Inst::new(row, width).dst(dst).src(x).imm(imm));
            }
            _ if lane == 0 => self.emit(Inst::new(Row::FMov, W32).dst(dst).rm(x)),
            V::F32x4ExtractLane => {
                self.vec_from_imm(Row::Pshufd, dst, Operand::reg(x), imm);
            }
            _ => {
                self.vec_regs(Row::Unpckhpd, dst, x, x);
            }
        }
    }

    /// A vector with another scalar in a lane.
    pub(super) fn replace(&mut self, op: V, lane: u8, result: Value, x: Value, y: Value) {
        let bytes = op.lane_bits() / 8;
        let memory = self.scalar_load(y, bytes);
        let ty = self.func.ty(y);
        let rm = match memory {
            Some(memory) => memory,
            None => Operand::reg(self.reg_for(ty, y)),
        };
        let x = self.reg(x);
        let dst = self.def(result);
        let lane = i64::from(lane);
        let (row, width, imm) = match op {
            V::I8x16ReplaceLane => (Row::Pinsrb, W128, lane),
            V::I16x8ReplaceLane => (Row::Pinsrw, W128, lane),
            V::I32x4ReplaceLane => (Row::Pinsr, W32, lane),
            V::F32x4ReplaceLane => (Row::Insertps, W128, lane << 4),
            _ if memory.is_some() && lane == 0 => (Row::Movlps, W128, 0),
            _ if memory.is_some() => (Row::Movhps, W128, 0),
            V::I64x2ReplaceLane => (Row::Pinsr, W64, lane),
            _ if lane == 0 => (Row::MovLow, W64, 0),
            _ => (Row::Unpcklpd, W128, 0),
        };
        let inst = self.vector_inst(row, width).dst(dst).src(x).imm(imm);
        self.emit(rm.on(inst));
    }
}
