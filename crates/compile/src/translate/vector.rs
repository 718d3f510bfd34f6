//! Vector operators: rows of the SSA form, lanes of memory, and the choices of relaxed operators.
//!
//! A relaxed operator becomes what one instruction of the target does, or what the deterministic
//! profile of the core specification says, if the target asks for that or has no such instruction.
//! Each parameter of the specification ("Relaxed Operations") is chosen alike for all shapes.

use super::Translator;
use cellwall_abi::Target;
use cellwall_ir::{InstData, LoadOp, StoreOp, Type, Value, VectorOp};
use cellwall_wasm::{MemArg, Operator};

macro_rules! rows {
    ($($plain:ident)*; $($laned:ident)*) => {
        /// The row that has the name of an operator, and its lane.
        fn row(operator: &Operator<'_>) -> Option<(VectorOp, u8)> {
            Some(match *operator {
                $(Operator::$plain => (VectorOp::$plain, 0),)*
                $(Operator::$laned { lane } => (VectorOp::$laned, lane),)*
                _ => return None,
            })
        }
    };
}

#[rustfmt::skip]
rows! {
    I8x16Swizzle I8x16Splat I16x8Splat I32x4Splat I64x2Splat F32x4Splat F64x2Splat I8x16Eq
    I8x16Ne I8x16LtS I8x16LtU I8x16GtS I8x16GtU I8x16LeS I8x16LeU I8x16GeS I8x16GeU I16x8Eq
    I16x8Ne I16x8LtS I16x8LtU I16x8GtS I16x8GtU I16x8LeS I16x8LeU I16x8GeS I16x8GeU I32x4Eq
    I32x4Ne I32x4LtS I32x4LtU I32x4GtS I32x4GtU I32x4LeS I32x4LeU I32x4GeS I32x4GeU I64x2Eq
    I64x2Ne I64x2LtS I64x2GtS I64x2LeS I64x2GeS F32x4Eq F32x4Ne F32x4Lt F32x4Gt F32x4Le
    F32x4Ge F64x2Eq F64x2Ne F64x2Lt F64x2Gt F64x2Le F64x2Ge V128Not V128And V128AndNot V128Or
    V128Xor V128Bitselect V128AnyTrue I8x16Abs I8x16Neg I8x16Popcnt I8x16AllTrue I8x16Bitmask
    I8x16NarrowI16x8S I8x16NarrowI16x8U I8x16Shl I8x16ShrS I8x16ShrU I8x16Add I8x16AddSatS
    I8x16AddSatU I8x16Sub I8x16SubSatS I8x16SubSatU I8x16MinS I8x16MinU I8x16MaxS I8x16MaxU
    I8x16AvgrU I16x8ExtAddPairwiseI8x16S I16x8ExtAddPairwiseI8x16U I16x8Abs I16x8Neg
    I16x8Q15MulrSatS I16x8AllTrue I16x8Bitmask I16x8NarrowI32x4S I16x8NarrowI32x4U
    I16x8ExtendLowI8x16S I16x8ExtendHighI8x16S I16x8ExtendLowI8x16U I16x8ExtendHighI8x16U I16x8Shl
    I16x8ShrS I16x8ShrU I16x8Add I16x8AddSatS I16x8AddSatU I16x8Sub I16x8SubSatS I16x8SubSatU
    I16x8Mul I16x8MinS I16x8MinU I16x8MaxS I16x8MaxU I16x8AvgrU I16x8ExtMulLowI8x16S
    I16x8ExtMulHighI8x16S I16x8ExtMulLowI8x16U I16x8ExtMulHighI8x16U I32x4ExtAddPairwiseI16x8S
    I32x4ExtAddPairwiseI16x8U I32x4Abs I32x4Neg I32x4AllTrue I32x4Bitmask I32x4ExtendLowI16x8S
    I32x4ExtendHighI16x8S I32x4ExtendLowI16x8U I32x4ExtendHighI16x8U I32x4Shl I32x4ShrS I32x4ShrU
    I32x4Add I32x4Sub I32x4Mul I32x4MinS I32x4MinU I32x4MaxS I32x4MaxU I32x4DotI16x8S
    I32x4ExtMulLowI16x8S I32x4ExtMulHighI16x8S I32x4ExtMulLowI16x8U I32x4ExtMulHighI16x8U I64x2Abs
    I64x2Neg I64x2AllTrue I64x2Bitmask I64x2ExtendLowI32x4S I64x2ExtendHighI32x4S
    I64x2ExtendLowI32x4U I64x2ExtendHighI32x4U I64x2Shl I64x2ShrS I64x2ShrU I64x2Add I64x2Sub
    I64x2Mul I64x2ExtMulLowI32x4S I64x2ExtMulHighI32x4S I64x2ExtMulLowI32x4U I64x2ExtMulHighI32x4U
    F32x4Ceil F32x4Floor F32x4Trunc F32x4Nearest F32x4Abs F32x4Neg F32x4Sqrt F32x4Add F32x4Sub
    F32x4Mul F32x4Div F32x4Min F32x4Max F32x4PMin F32x4PMax F64x2Ceil F64x2Floor F64x2Trunc
    F64x2Nearest F64x2Abs F64x2Neg F64x2Sqrt F64x2Add F64x2Sub F64x2Mul F64x2Div F64x2Min
    F64x2Max F64x2PMin F64x2PMax I32x4TruncSatF32x4S I32x4TruncSatF32x4U F32x4ConvertI32x4S
    F32x4ConvertI32x4U I32x4TruncSatF64x2SZero I32x4TruncSatF64x2UZero F64x2ConvertLowI32x4S
    F64x2ConvertLowI32x4U F32x4DemoteF64x2Zero F64x2PromoteLowF32x4
    ;
    I8x16ExtractLaneS I8x16ExtractLaneU I8x16ReplaceLane I16x8ExtractLaneS I16x8ExtractLaneU
    I16x8ReplaceLane I32x4ExtractLane I32x4ReplaceLane I64x2ExtractLane I64x2ReplaceLane
    F32x4ExtractLane F32x4ReplaceLane F64x2ExtractLane F64x2ReplaceLane
}

/// The whole vectors that an operator loads.
fn loaded<'o>(operator: &'o Operator<'_>) -> Option<(LoadOp, &'o MemArg)> {
    Some(match operator {
        Operator::V128Load { memarg } => (LoadOp::Full, memarg),
        Operator::V128Load8x8S { memarg } => (LoadOp::S8x8, memarg),
        Operator::V128Load8x8U { memarg } => (LoadOp::U8x8, memarg),
        Operator::V128Load16x4S { memarg } => (LoadOp::S16x4, memarg),
        Operator::V128Load16x4U { memarg } => (LoadOp::U16x4, memarg),
        Operator::V128Load32x2S { memarg } => (LoadOp::S32x2, memarg),
        Operator::V128Load32x2U { memarg } => (LoadOp::U32x2, memarg),
        Operator::V128Load8Splat { memarg } => (LoadOp::Splat8, memarg),
        Operator::V128Load16Splat { memarg } => (LoadOp::Splat16, memarg),
        Operator::V128Load32Splat { memarg } => (LoadOp::Splat32, memarg),
        Operator::V128Load64Splat { memarg } => (LoadOp::Splat64, memarg),
        Operator::V128Load32Zero { memarg } => (LoadOp::Zero32, memarg),
        Operator::V128Load64Zero { memarg } => (LoadOp::Zero64, memarg),
        _ => return None,
    })
}

/// A scalar access and the operator for its lane.
struct LaneAccess<'o> {
    load: LoadOp,
    store: StoreOp,
    ty: Type,
    extract: VectorOp,
    replace: VectorOp,
    memarg: &'o MemArg,
    lane: u8,
    stores: bool,
}

fn lane_access<'o>(operator: &'o Operator<'_>) -> Option<LaneAccess<'o>> {
    let (bits, memarg, lane, stores) = match operator {
        Operator::V128Load8Lane { memarg, lane } => (8, memarg, *lane, false),
        Operator::V128Load16Lane { memarg, lane } => (16, memarg, *lane, false),
        Operator::V128Load32Lane { memarg, lane } => (32, memarg, *lane, false),
        Operator::V128Load64Lane { memarg, lane } => (64, memarg, *lane, false),
        Operator::V128Store8Lane { memarg, lane } => (8, memarg, *lane, true),
        Operator::V128Store16Lane { memarg, lane } => (16, memarg, *lane, true),
        Operator::V128Store32Lane { memarg, lane } => (32, memarg, *lane, true),
        Operator::V128Store64Lane { memarg, lane } => (64, memarg, *lane, true),
        _ => return None,
    };
    use VectorOp as V;
    let (load, store, ty, extract, replace) = match bits {
        8 => (
            LoadOp::U8,
            StoreOp::Low8,
            Type::I32,
            V::I8x16ExtractLaneU,
            V::I8x16ReplaceLane,
        ),
        16 => (
            LoadOp::U16,
            StoreOp::Low16,
            Type::I32,
            V::I16x8ExtractLaneU,
            V::I16x8ReplaceLane,
        ),
        32 => (
            LoadOp::Full,
            StoreOp::Full,
            Type::I32,
            V::I32x4ExtractLane,
            V::I32x4ReplaceLane,
        ),
        _ => (
            LoadOp::Full,
            StoreOp::Full,
            Type::I64,
            V::I64x2ExtractLane,
            V::I64x2ReplaceLane,
        ),
    };
    Some(LaneAccess {
        load,
        store,
        ty,
        extract,
        replace,
        memarg,
        lane,
        stores,
    })
}

impl Translator<'_> {
    /// A vector operator; false if it is none.
    pub(super) fn vector(&mut self, operator: &Operator<'_>) -> bool {
        if let Some((op, lane)) = row(operator) {
            let operands = self.stack.split_off(self.stack.len() - op.arity());
            let value = self.build().vector_lane(op, lane, &operands);
            let value = self.canonical_lanes(value, op);
            self.stack.push(value);
        } else if let Some((op, memarg)) = loaded(operator) {
            let index = self.pop();
            let value = self.load(op, Type::V128, memarg, index);
            self.stack.push(value);
        } else if let Some(access) = lane_access(operator) {
            self.lane(&access);
        } else {
            match *operator {
                Operator::V128Store { ref memarg } => {
                    let [index, value] = self.pop2();
                    self.store(StoreOp::Full, memarg, index, value);
                }
                Operator::V128Const { value } => {
                    let data = InstData::VectorConst {
                        bytes: *value.bytes(),
                    };
                    self.push_results(data, &[Type::V128]);
                }
                Operator::I8x16Shuffle { lanes } => {
                    let args = self.pop2();
                    self.push_results(InstData::Shuffle { mask: lanes, args }, &[Type::V128]);
                }
                _ => return self.relaxed(operator),
            }
        }
        true
    }

    fn lane(&mut self, access: &LaneAccess<'_>) {
        let [index, vector] = self.pop2();
        if access.stores {
            let scalar = self.build().vector_lane(access.extract, access.lane, &[vector]);
            self.store(access.store, access.memarg, index, scalar);
        } else {
            let scalar = self.load(access.load, access.ty, access.memarg, index);
            let value = self
                .build()
                .vector_lane(access.replace, access.lane, &[vector, scalar]);
            self.stack.push(value);
        }
    }

    /// A relaxed operator; false if it is none.
    fn relaxed(&mut self, operator: &Operator<'_>) -> bool {
        use VectorOp as V;
        let (native, blends, fuses) = choices(self.target);
        let pick = |instruction: V, profile: V| if native { instruction } else { profile };
        let op = match operator {
            Operator::I8x16RelaxedSwizzle => pick(V::I8x16SwizzleLow, V::I8x16Swizzle),
            Operator::I32x4RelaxedTruncF32x4S => pick(V::I32x4TruncMinF32x4S, V::I32x4TruncSatF32x4S),
            Operator::I32x4RelaxedTruncF64x2SZero => {
                pick(V::I32x4TruncMinF64x2SZero, V::I32x4TruncSatF64x2SZero)
            }
            // Nothing that takes fewer instructions is allowed.
            Operator::I32x4RelaxedTruncF32x4U => V::I32x4TruncSatF32x4U,
            Operator::I32x4RelaxedTruncF64x2UZero => V::I32x4TruncSatF64x2UZero,
            // Of a NaN and another number the first, of zeros too: what MINPS and MAXPS do.
            Operator::F32x4RelaxedMin => pick(V::F32x4PMin, V::F32x4Min),
            Operator::F32x4RelaxedMax => pick(V::F32x4PMax, V::F32x4Max),
            Operator::F64x2RelaxedMin => pick(V::F64x2PMin, V::F64x2Min),
            Operator::F64x2RelaxedMax => pick(V::F64x2PMax, V::F64x2Max),
            Operator::I16x8RelaxedQ15mulrS => pick(V::I16x8Q15Mulr, V::I16x8Q15MulrSatS),
            Operator::I8x16RelaxedLaneselect if blends => V::I8x16Blend,
            Operator::I32x4RelaxedLaneselect if blends => V::I32x4Blend,
            Operator::I64x2RelaxedLaneselect if blends => V::I64x2Blend,
            Operator::I16x8RelaxedLaneselect if blends => {
                // The sign as a whole mask: there is no blend of 16 bits.
                let mask = self.pop();
                let count = self.constant(Type::I32, 15);
                let mask = self.build().vector(V::I16x8ShrS, &[mask, count]);
                self.stack.push(mask);
                V::I8x16Blend
            }
            Operator::I8x16RelaxedLaneselect
            | Operator::I16x8RelaxedLaneselect
            | Operator::I32x4RelaxedLaneselect
            | Operator::I64x2RelaxedLaneselect => V::V128Bitselect,
            Operator::F32x4RelaxedMadd if fuses => V::F32x4Fma,
            Operator::F64x2RelaxedMadd if fuses => V::F64x2Fma,
            Operator::F32x4RelaxedNmadd if fuses => V::F32x4Fnma,
            Operator::F64x2RelaxedNmadd if fuses => V::F64x2Fnma,
            Operator::F32x4RelaxedMadd => return self.unfused(None, V::F32x4Mul, V::F32x4Add),
            Operator::F64x2RelaxedMadd => return self.unfused(None, V::F64x2Mul, V::F64x2Add),
            Operator::F32x4RelaxedNmadd => return self.unfused(Some(V::F32x4Neg), V::F32x4Mul, V::F32x4Add),
            Operator::F64x2RelaxedNmadd => return self.unfused(Some(V::F64x2Neg), V::F64x2Mul, V::F64x2Add),
            Operator::I16x8RelaxedDotI8x16I7x16S => {
                let [x, y] = self.pop2();
                let value = self.dot(native, x, y);
                self.stack.push(value);
                return true;
            }
            Operator::I32x4RelaxedDotI8x16I7x16AddS => {
                let [x, y, sum] = self.pop3();
                let products = self.dot(native, x, y);
                let mut build = self.build();
                let pairs = build.vector(V::I32x4ExtAddPairwiseI16x8S, &[products]);
                let value = build.vector(V::I32x4Add, &[pairs, sum]);
                self.stack.push(value);
                return true;
            }
            _ => return false,
        };
        let operands = self.stack.split_off(self.stack.len() - op.arity());
        let value = self.build().vector(op, &operands);
        let value = self.canonical_lanes(value, op);
        self.stack.push(value);
        true
    }

    /// A product and a sum, each rounded.
    fn unfused(&mut self, negate: Option<VectorOp>, mul: VectorOp, add: VectorOp) -> bool {
        let [mut x, y, z] = self.pop3();
        let mut build = self.build();
        if let Some(op) = negate {
            x = build.vector(op, &[x]);
        }
        let product = build.vector(mul, &[x, y]);
        let value = build.vector(add, &[product, z]);
        let value = self.canonical_lanes(value, add);
        self.stack.push(value);
        true
    }

    /// Products of bytes, neighbours added with saturation.
    fn dot(&mut self, native: bool, x: Value, y: Value) -> Value {
        use VectorOp as V;
        if native {
            return self.build().vector(V::I16x8DotI8x16U, &[x, y]);
        }
        let count = self.constant(Type::I32, 8);
        let mut build = self.build();
        let mut halves = |v: Value| {
            let low = build.vector(V::I16x8Shl, &[v, count]);
            let low = build.vector(V::I16x8ShrS, &[low, count]);
            [low, build.vector(V::I16x8ShrS, &[v, count])]
        };
        let ([x0, x1], [y0, y1]) = (halves(x), halves(y));
        let even = build.vector(V::I16x8Mul, &[x0, y0]);
        let odd = build.vector(V::I16x8Mul, &[x1, y1]);
        build.vector(V::I16x8AddSatS, &[even, odd])
    }
}

/// Whether relaxed operators are what instructions do; and whether those blend, and fuse.
fn choices(target: &Target) -> (bool, bool, bool) {
    let native = !target.relaxed_simd_deterministic;
    (
        native,
        native && target.features.avx,
        native && target.features.fma,
    )
}
