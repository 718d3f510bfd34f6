//! Loads and stores of vectors and of their lanes. Each reads or writes exactly what the operator
//! says: the width that [`Lower::access`] is told is that of the instruction.

use super::super::plant::Plant;
use super::{Lower, NEW, Operand};
use Width::{W32, W64, W128};
use cellwall_ir::{InstData, LoadOp, StoreOp, Type, Value, VectorOp as V};
use cellwall_isa::Reg;
use cellwall_isa::x64::{Inst, Row, Width};

impl Lower<'_> {
    /// A load of a vector that extends or spreads what it reads.
    pub(in crate::lower) fn vector_load(&mut self, op: LoadOp, dst: Reg, from: Operand) {
        let row = match op {
            LoadOp::Full => Row::VLoad,
            LoadOp::Splat8 => return self.splat_memory(8, dst, from),
            LoadOp::Splat16 => return self.splat_memory(16, dst, from),
            LoadOp::Splat32 => return self.splat_memory(32, dst, from),
            LoadOp::Splat64 => return self.splat_memory(64, dst, from),
            LoadOp::Zero32 => return self.emit(from.on(Inst::new(Row::FLoad, W32).dst(dst))),
            LoadOp::Zero64 => return self.emit(from.on(Inst::new(Row::FLoad, W64).dst(dst))),
            LoadOp::S8x8 => Row::Pmovsxbw,
            LoadOp::U8x8 => Row::Pmovzxbw,
            LoadOp::S16x4 => Row::Pmovsxwd,
            LoadOp::U16x4 => Row::Pmovzxwd,
            LoadOp::S32x2 => Row::Pmovsxdq,
            LoadOp::U32x2 => Row::Pmovzxdq,
            _ => unreachable!("{} gives no vector", op.name()),
        };
        let inst = match row {
            Row::VLoad => Inst::new(row, W128),
            _ => self.vector_inst(row, W128),
        };
        self.emit(from.on(inst.dst(dst)));
    }

    /// A lane of so many bits from memory, to all lanes.
    pub(super) fn splat_memory(&mut self, bits: u32, dst: Reg, from: Operand) {
        let features = self.unit.target.features;
        let row = match bits {
            8 if features.avx2 => Row::Pbroadcastb,
            16 if features.avx2 => Row::Pbroadcastw,
            32 if features.avx => Row::Broadcastss,
            64 if self.unit.has(Plant::WideSplat) => {
                let wide = self.or_new(NEW);
                self.emit(from.on(Inst::new(Row::VLoad, W128).dst(wide)));
                self.vec_regs(Row::Punpcklqdq, dst, wide, wide);
                return;
            }
            64 => Row::Movddup,
            32 => {
                let low = self.or_new(NEW);
                self.emit(from.on(Inst::new(Row::FLoad, W32).dst(low)));
                self.vec_from_imm(Row::Pshufd, dst, Operand::reg(low), 0);
                return;
            }
            _ => {
                let row = if bits == 8 { Row::Pinsrb } else { Row::Pinsrw };
                let zero = self.vector_constant(0);
                let low = self.vec_imm(row, NEW, zero, from, 0);
                return self.spread(bits, dst, low);
            }
        };
        self.vec_from(row, dst, from);
    }

    /// A load of a scalar, or of the low lanes of a vector, of so many bytes that can move into the
    /// current instruction.
    pub(super) fn scalar_load(&mut self, value: Value, bytes: u32) -> Option<Operand> {
        let inst = self.sinkable(value)?;
        match self.func.insts[inst].data {
            InstData::Load {
                op,
                memory,
                offset,
                addr,
            } if op.bytes(self.func.ty(value)) == bytes => {
                self.sink(inst, value);
                Some(self.access(memory, addr, offset, bytes, self.func.insts[inst].source))
            }
            InstData::GlobalGet { .. } if self.func.ty(value).bytes() == bytes => self.memory_operand(value),
            _ => None,
        }
    }

    /// The low half of a vector as r/m operand of 8 bytes.
    pub(super) fn half_operand(&mut self, value: Value) -> Operand {
        let is_half = |data: &InstData| {
            matches!(
                data,
                InstData::Load {
                    op: LoadOp::Zero64,
                    ..
                }
            )
        };
        if self.data_of(value).is_some_and(is_half)
            && let Some(operand) = self.scalar_load(value, 8)
        {
            return operand;
        }
        Operand::reg(self.reg(value))
    }

    /// A store of a lane, straight from its vector; whether it is one. `to` is made after the vector
    /// was asked for.
    pub(in crate::lower) fn store_lane(
        &mut self,
        op: StoreOp,
        value: Value,
        to: impl FnOnce(&mut Self) -> Operand,
    ) -> bool {
        let Some(&InstData::Vector {
            op: extract,
            lane,
            args,
        }) = self.data_of(value)
        else {
            return false;
        };
        let ty = self.func.ty(value);
        let inst = match (extract, op.bytes(ty)) {
            (V::I8x16ExtractLaneU | V::I8x16ExtractLaneS, 1) => Inst::new(Row::PextrbStore, W128),
            (V::I16x8ExtractLaneU | V::I16x8ExtractLaneS, 2) => Inst::new(Row::PextrwStore, W128),
            (V::I32x4ExtractLane | V::F32x4ExtractLane, 4) if lane == 0 => Inst::new(Row::FStore, W32),
            (V::I32x4ExtractLane | V::F32x4ExtractLane, 4) => Inst::new(Row::PextrStore, W32),
            (V::I64x2ExtractLane | V::F64x2ExtractLane, 8) if lane == 0 => Inst::new(Row::FStore, W64),
            (V::I64x2ExtractLane | V::F64x2ExtractLane, 8) => Inst::new(Row::MovhpsStore, W128),
            _ => return false,
        };
        debug_assert!(ty != Type::V128);
        if !self.is_single(value) {
            return false;
        }
        self.absorb(value);
        let src = self.reg(args[0]);
        let to = to(self);
        self.emit(to.on(inst.src(src).imm(i64::from(lane))));
        true
    }
}
