//! Canonical NaNs, where the target asks for them.
//!
//! What an operator gives is compared with itself, and where they differ, the canonical NaN of the core
//! specification stands instead: the sign is clear, and of the payload only its top bit is set. Where
//! operators hand a NaN of an operand on as it is, which the specification says of `neg`, `abs`,
//! `copysign`, `pmin` and `pmax`, nothing is changed.

use super::Translator;
use cellwall_ir::{CompareOp, InstData, Type, Value, VectorOp};

const NAN_32: u64 = 0x7fc0_0000;
const NAN_64: u64 = 0x7ff8_0000_0000_0000;

impl Translator<'_> {
    /// A scalar; with a canonical NaN if the operator `chooses` one and the target asks for that.
    pub(super) fn canonical(&mut self, value: Value, chooses: bool) -> Value {
        if !chooses || !self.target.canonical_nans {
            return value;
        }
        let ty = self.func.ty(value);
        let bits = if ty == Type::F32 { NAN_32 } else { NAN_64 };
        let mut build = self.build();
        let nan = build.constant(ty, bits);
        let cond = build.compare(CompareOp::FEq, value, value);
        let args = [value, nan];
        build.value(InstData::Select { cond, args }, ty)
    }

    /// The same for each lane of what `op` gave.
    pub(super) fn canonical_lanes(&mut self, value: Value, op: VectorOp) -> Value {
        if !op.chooses_nan() || !self.target.canonical_nans {
            return value;
        }
        let (equal, splat, bits) = match op.lane_bits() {
            32 => (VectorOp::F32x4Eq, VectorOp::I32x4Splat, NAN_32),
            _ => (VectorOp::F64x2Eq, VectorOp::I64x2Splat, NAN_64),
        };
        let mut build = self.build();
        let nan = build.vector_constant(splat.eval(0, [bits.into(), 0, 0]));
        let mask = build.vector(equal, &[value, value]);
        build.vector(VectorOp::V128Bitselect, &[value, nan, mask])
    }
}
