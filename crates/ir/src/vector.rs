//! The table of vector operators: for each its name and the operands it takes; what they mean is in
//! [`lanes`](crate::lanes).
//!
//! A vector is 128 bits, given as a `u128` whose low bits are lane 0. None of the operators traps.
//! The names are those of WebAssembly; the last rows are what single machine instructions do where
//! its relaxed operators leave a choice, each with one meaning. Loads that extend or spread are rows
//! of [`LoadOp`](crate::LoadOp); constants and shuffles are instructions of their own.

use crate::op::Type;
use Form::{Binary, Extract, Replace, Shift, Splat, Ternary, Test, Unary};
use Type::{F32, F64, I32, I64};

/// The operands and the result of a vector operator.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// A vector to a vector.
    Unary,
    /// Two vectors to a vector.
    Binary,
    /// Three vectors to a vector.
    Ternary,
    /// A vector and a count (I32), which is taken modulo the width of a lane, to a vector.
    Shift,
    /// A vector to an I32.
    Test,
    /// A scalar of this type to a vector.
    Splat(Type),
    /// A vector to the scalar in a lane.
    Extract(Type),
    /// A vector and a scalar of this type to the vector with the scalar in a lane.
    Replace(Type),
}

impl Form {
    /// The types of the operands.
    pub const fn operands(self) -> &'static [Type] {
        const V: Type = Type::V128;
        match self {
            Unary | Test | Extract(_) => &[V],
            Binary => &[V, V],
            Ternary => &[V, V, V],
            Shift | Replace(I32) => &[V, I32],
            Replace(I64) => &[V, I64],
            Replace(F32) => &[V, F32],
            Replace(F64) => &[V, F64],
            Splat(I32) => &[I32],
            Splat(I64) => &[I64],
            Splat(F32) => &[F32],
            Splat(F64) => &[F64],
            Splat(V) | Replace(V) => panic!("a lane is no vector"),
        }
    }

    /// The type of the result.
    pub const fn result(self) -> Type {
        match self {
            Test => I32,
            Extract(ty) => ty,
            _ => Type::V128,
        }
    }

    /// Whether the operator names a lane.
    pub const fn has_lane(self) -> bool {
        matches!(self, Extract(_) | Replace(_))
    }
}

macro_rules! vector_ops {
    ($($(#[$meta:meta])* $name:ident = $text:literal, $form:expr, $bits:literal;)*) => {
        /// Vector operators.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum VectorOp {
            $(#[doc = concat!("`", $text, "`.")] $(#[$meta])* $name,)*
        }

        impl VectorOp {
            /// Every operator of the table.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The name in the text form.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }

            /// What it takes and gives.
            pub const fn form(self) -> Form {
                match self {
                    $(Self::$name => $form,)*
                }
            }

            /// Bits of a lane: of the result, or where that is a scalar, of the operand. 128 for
            /// operators on whole vectors.
            pub const fn lane_bits(self) -> u32 {
                match self {
                    $(Self::$name => $bits,)*
                }
            }
        }
    };
}

impl VectorOp {
    /// How many operands it takes.
    pub const fn arity(self) -> usize {
        self.form().operands().len()
    }

    /// How many lanes a vector has.
    pub const fn lanes(self) -> u32 {
        128 / self.lane_bits()
    }

    /// Whether the result may be a NaN that is no operand's: which one is open.
    pub const fn chooses_nan(self) -> bool {
        use VectorOp as V;
        matches!(
            self,
            V::F32x4Ceil
                | V::F32x4Floor
                | V::F32x4Trunc
                | V::F32x4Nearest
                | V::F32x4Sqrt
                | V::F64x2Ceil
                | V::F64x2Floor
                | V::F64x2Trunc
                | V::F64x2Nearest
                | V::F64x2Sqrt
                | V::F32x4Add
                | V::F32x4Sub
                | V::F32x4Mul
                | V::F32x4Div
                | V::F32x4Min
                | V::F32x4Max
                | V::F64x2Add
                | V::F64x2Sub
                | V::F64x2Mul
                | V::F64x2Div
                | V::F64x2Min
                | V::F64x2Max
                | V::F32x4DemoteF64x2Zero
                | V::F64x2PromoteLowF32x4
                | V::F32x4Fma
                | V::F32x4Fnma
                | V::F64x2Fma
                | V::F64x2Fnma
        )
    }

    /// Whether the first two operands may be exchanged (for floats up to the choice of NaN).
    pub const fn commutes(self) -> bool {
        use VectorOp as V;
        matches!(
            self,
            V::I8x16Eq
                | V::I8x16Ne
                | V::I16x8Eq
                | V::I16x8Ne
                | V::I32x4Eq
                | V::I32x4Ne
                | V::I64x2Eq
                | V::I64x2Ne
                | V::F32x4Eq
                | V::F32x4Ne
                | V::F64x2Eq
                | V::F64x2Ne
                | V::V128And
                | V::V128Or
                | V::V128Xor
                | V::I8x16Add
                | V::I8x16AddSatS
                | V::I8x16AddSatU
                | V::I8x16MinS
                | V::I8x16MinU
                | V::I8x16MaxS
                | V::I8x16MaxU
                | V::I8x16AvgrU
                | V::I16x8Add
                | V::I16x8AddSatS
                | V::I16x8AddSatU
                | V::I16x8Mul
                | V::I16x8MinS
                | V::I16x8MinU
                | V::I16x8MaxS
                | V::I16x8MaxU
                | V::I16x8AvgrU
                | V::I16x8Q15MulrSatS
                | V::I16x8Q15Mulr
                | V::I16x8ExtMulLowI8x16S
                | V::I16x8ExtMulHighI8x16S
                | V::I16x8ExtMulLowI8x16U
                | V::I16x8ExtMulHighI8x16U
                | V::I32x4Add
                | V::I32x4Mul
                | V::I32x4DotI16x8S
                | V::I32x4MinS
                | V::I32x4MinU
                | V::I32x4MaxS
                | V::I32x4MaxU
                | V::I32x4ExtMulLowI16x8S
                | V::I32x4ExtMulHighI16x8S
                | V::I32x4ExtMulLowI16x8U
                | V::I32x4ExtMulHighI16x8U
                | V::I64x2Add
                | V::I64x2Mul
                | V::I64x2ExtMulLowI32x4S
                | V::I64x2ExtMulHighI32x4S
                | V::I64x2ExtMulLowI32x4U
                | V::I64x2ExtMulHighI32x4U
                | V::F32x4Add
                | V::F32x4Mul
                | V::F64x2Add
                | V::F64x2Mul
        )
    }
}

vector_ops! {
    I8x16ExtractLaneS = "i8x16.extract_lane_s", Extract(I32), 8;
    I8x16ExtractLaneU = "i8x16.extract_lane_u", Extract(I32), 8;
    I8x16ReplaceLane = "i8x16.replace_lane", Replace(I32), 8;
    I16x8ExtractLaneS = "i16x8.extract_lane_s", Extract(I32), 16;
    I16x8ExtractLaneU = "i16x8.extract_lane_u", Extract(I32), 16;
    I16x8ReplaceLane = "i16x8.replace_lane", Replace(I32), 16;
    I32x4ExtractLane = "i32x4.extract_lane", Extract(I32), 32;
    I32x4ReplaceLane = "i32x4.replace_lane", Replace(I32), 32;
    I64x2ExtractLane = "i64x2.extract_lane", Extract(I64), 64;
    I64x2ReplaceLane = "i64x2.replace_lane", Replace(I64), 64;
    F32x4ExtractLane = "f32x4.extract_lane", Extract(F32), 32;
    F32x4ReplaceLane = "f32x4.replace_lane", Replace(F32), 32;
    F64x2ExtractLane = "f64x2.extract_lane", Extract(F64), 64;
    F64x2ReplaceLane = "f64x2.replace_lane", Replace(F64), 64;
    I8x16Swizzle = "i8x16.swizzle", Binary, 8;
    I8x16Splat = "i8x16.splat", Splat(I32), 8;
    I16x8Splat = "i16x8.splat", Splat(I32), 16;
    I32x4Splat = "i32x4.splat", Splat(I32), 32;
    I64x2Splat = "i64x2.splat", Splat(I64), 64;
    F32x4Splat = "f32x4.splat", Splat(F32), 32;
    F64x2Splat = "f64x2.splat", Splat(F64), 64;
    I8x16Eq = "i8x16.eq", Binary, 8;
    I8x16Ne = "i8x16.ne", Binary, 8;
    I8x16LtS = "i8x16.lt_s", Binary, 8;
    I8x16LtU = "i8x16.lt_u", Binary, 8;
    I8x16GtS = "i8x16.gt_s", Binary, 8;
    I8x16GtU = "i8x16.gt_u", Binary, 8;
    I8x16LeS = "i8x16.le_s", Binary, 8;
    I8x16LeU = "i8x16.le_u", Binary, 8;
    I8x16GeS = "i8x16.ge_s", Binary, 8;
    I8x16GeU = "i8x16.ge_u", Binary, 8;
    I16x8Eq = "i16x8.eq", Binary, 16;
    I16x8Ne = "i16x8.ne", Binary, 16;
    I16x8LtS = "i16x8.lt_s", Binary, 16;
    I16x8LtU = "i16x8.lt_u", Binary, 16;
    I16x8GtS = "i16x8.gt_s", Binary, 16;
    I16x8GtU = "i16x8.gt_u", Binary, 16;
    I16x8LeS = "i16x8.le_s", Binary, 16;
    I16x8LeU = "i16x8.le_u", Binary, 16;
    I16x8GeS = "i16x8.ge_s", Binary, 16;
    I16x8GeU = "i16x8.ge_u", Binary, 16;
    I32x4Eq = "i32x4.eq", Binary, 32;
    I32x4Ne = "i32x4.ne", Binary, 32;
    I32x4LtS = "i32x4.lt_s", Binary, 32;
    I32x4LtU = "i32x4.lt_u", Binary, 32;
    I32x4GtS = "i32x4.gt_s", Binary, 32;
    I32x4GtU = "i32x4.gt_u", Binary, 32;
    I32x4LeS = "i32x4.le_s", Binary, 32;
    I32x4LeU = "i32x4.le_u", Binary, 32;
    I32x4GeS = "i32x4.ge_s", Binary, 32;
    I32x4GeU = "i32x4.ge_u", Binary, 32;
    I64x2Eq = "i64x2.eq", Binary, 64;
    I64x2Ne = "i64x2.ne", Binary, 64;
    I64x2LtS = "i64x2.lt_s", Binary, 64;
    I64x2GtS = "i64x2.gt_s", Binary, 64;
    I64x2LeS = "i64x2.le_s", Binary, 64;
    I64x2GeS = "i64x2.ge_s", Binary, 64;
    F32x4Eq = "f32x4.eq", Binary, 32;
    F32x4Ne = "f32x4.ne", Binary, 32;
    F32x4Lt = "f32x4.lt", Binary, 32;
    F32x4Gt = "f32x4.gt", Binary, 32;
    F32x4Le = "f32x4.le", Binary, 32;
    F32x4Ge = "f32x4.ge", Binary, 32;
    F64x2Eq = "f64x2.eq", Binary, 64;
    F64x2Ne = "f64x2.ne", Binary, 64;
    F64x2Lt = "f64x2.lt", Binary, 64;
    F64x2Gt = "f64x2.gt", Binary, 64;
    F64x2Le = "f64x2.le", Binary, 64;
    F64x2Ge = "f64x2.ge", Binary, 64;
    V128Not = "v128.not", Unary, 128;
    V128And = "v128.and", Binary, 128;
    V128AndNot = "v128.andnot", Binary, 128;
    V128Or = "v128.or", Binary, 128;
    V128Xor = "v128.xor", Binary, 128;
    V128Bitselect = "v128.bitselect", Ternary, 128;
    V128AnyTrue = "v128.any_true", Test, 128;
    I8x16Abs = "i8x16.abs", Unary, 8;
    I8x16Neg = "i8x16.neg", Unary, 8;
    I8x16Popcnt = "i8x16.popcnt", Unary, 8;
    I8x16AllTrue = "i8x16.all_true", Test, 8;
    I8x16Bitmask = "i8x16.bitmask", Test, 8;
    I8x16NarrowI16x8S = "i8x16.narrow_i16x8_s", Binary, 8;
    I8x16NarrowI16x8U = "i8x16.narrow_i16x8_u", Binary, 8;
    I8x16Shl = "i8x16.shl", Shift, 8;
    I8x16ShrS = "i8x16.shr_s", Shift, 8;
    I8x16ShrU = "i8x16.shr_u", Shift, 8;
    I8x16Add = "i8x16.add", Binary, 8;
    I8x16AddSatS = "i8x16.add_sat_s", Binary, 8;
    I8x16AddSatU = "i8x16.add_sat_u", Binary, 8;
    I8x16Sub = "i8x16.sub", Binary, 8;
    I8x16SubSatS = "i8x16.sub_sat_s", Binary, 8;
    I8x16SubSatU = "i8x16.sub_sat_u", Binary, 8;
    I8x16MinS = "i8x16.min_s", Binary, 8;
    I8x16MinU = "i8x16.min_u", Binary, 8;
    I8x16MaxS = "i8x16.max_s", Binary, 8;
    I8x16MaxU = "i8x16.max_u", Binary, 8;
    I8x16AvgrU = "i8x16.avgr_u", Binary, 8;
    I16x8ExtAddPairwiseI8x16S = "i16x8.extadd_pairwise_i8x16_s", Unary, 16;
    I16x8ExtAddPairwiseI8x16U = "i16x8.extadd_pairwise_i8x16_u", Unary, 16;
    I16x8Abs = "i16x8.abs", Unary, 16;
    I16x8Neg = "i16x8.neg", Unary, 16;
    I16x8Q15MulrSatS = "i16x8.q15mulr_sat_s", Binary, 16;
    I16x8AllTrue = "i16x8.all_true", Test, 16;
    I16x8Bitmask = "i16x8.bitmask", Test, 16;
    I16x8NarrowI32x4S = "i16x8.narrow_i32x4_s", Binary, 16;
    I16x8NarrowI32x4U = "i16x8.narrow_i32x4_u", Binary, 16;
    I16x8ExtendLowI8x16S = "i16x8.extend_low_i8x16_s", Unary, 16;
    I16x8ExtendHighI8x16S = "i16x8.extend_high_i8x16_s", Unary, 16;
    I16x8ExtendLowI8x16U = "i16x8.extend_low_i8x16_u", Unary, 16;
    I16x8ExtendHighI8x16U = "i16x8.extend_high_i8x16_u", Unary, 16;
    I16x8Shl = "i16x8.shl", Shift, 16;
    I16x8ShrS = "i16x8.shr_s", Shift, 16;
    I16x8ShrU = "i16x8.shr_u", Shift, 16;
    I16x8Add = "i16x8.add", Binary, 16;
    I16x8AddSatS = "i16x8.add_sat_s", Binary, 16;
    I16x8AddSatU = "i16x8.add_sat_u", Binary, 16;
    I16x8Sub = "i16x8.sub", Binary, 16;
    I16x8SubSatS = "i16x8.sub_sat_s", Binary, 16;
    I16x8SubSatU = "i16x8.sub_sat_u", Binary, 16;
    I16x8Mul = "i16x8.mul", Binary, 16;
    I16x8MinS = "i16x8.min_s", Binary, 16;
    I16x8MinU = "i16x8.min_u", Binary, 16;
    I16x8MaxS = "i16x8.max_s", Binary, 16;
    I16x8MaxU = "i16x8.max_u", Binary, 16;
    I16x8AvgrU = "i16x8.avgr_u", Binary, 16;
    I16x8ExtMulLowI8x16S = "i16x8.extmul_low_i8x16_s", Binary, 16;
    I16x8ExtMulHighI8x16S = "i16x8.extmul_high_i8x16_s", Binary, 16;
    I16x8ExtMulLowI8x16U = "i16x8.extmul_low_i8x16_u", Binary, 16;
    I16x8ExtMulHighI8x16U = "i16x8.extmul_high_i8x16_u", Binary, 16;
    I32x4ExtAddPairwiseI16x8S = "i32x4.extadd_pairwise_i16x8_s", Unary, 32;
    I32x4ExtAddPairwiseI16x8U = "i32x4.extadd_pairwise_i16x8_u", Unary, 32;
    I32x4Abs = "i32x4.abs", Unary, 32;
    I32x4Neg = "i32x4.neg", Unary, 32;
    I32x4AllTrue = "i32x4.all_true", Test, 32;
    I32x4Bitmask = "i32x4.bitmask", Test, 32;
    I32x4ExtendLowI16x8S = "i32x4.extend_low_i16x8_s", Unary, 32;
    I32x4ExtendHighI16x8S = "i32x4.extend_high_i16x8_s", Unary, 32;
    I32x4ExtendLowI16x8U = "i32x4.extend_low_i16x8_u", Unary, 32;
    I32x4ExtendHighI16x8U = "i32x4.extend_high_i16x8_u", Unary, 32;
    I32x4Shl = "i32x4.shl", Shift, 32;
    I32x4ShrS = "i32x4.shr_s", Shift, 32;
    I32x4ShrU = "i32x4.shr_u", Shift, 32;
    I32x4Add = "i32x4.add", Binary, 32;
    I32x4Sub = "i32x4.sub", Binary, 32;
    I32x4Mul = "i32x4.mul", Binary, 32;
    I32x4MinS = "i32x4.min_s", Binary, 32;
    I32x4MinU = "i32x4.min_u", Binary, 32;
    I32x4MaxS = "i32x4.max_s", Binary, 32;
    I32x4MaxU = "i32x4.max_u", Binary, 32;
    I32x4DotI16x8S = "i32x4.dot_i16x8_s", Binary, 32;
    I32x4ExtMulLowI16x8S = "i32x4.extmul_low_i16x8_s", Binary, 32;
    I32x4ExtMulHighI16x8S = "i32x4.extmul_high_i16x8_s", Binary, 32;
    I32x4ExtMulLowI16x8U = "i32x4.extmul_low_i16x8_u", Binary, 32;
    I32x4ExtMulHighI16x8U = "i32x4.extmul_high_i16x8_u", Binary, 32;
    I64x2Abs = "i64x2.abs", Unary, 64;
    I64x2Neg = "i64x2.neg", Unary, 64;
    I64x2AllTrue = "i64x2.all_true", Test, 64;
    I64x2Bitmask = "i64x2.bitmask", Test, 64;
    I64x2ExtendLowI32x4S = "i64x2.extend_low_i32x4_s", Unary, 64;
    I64x2ExtendHighI32x4S = "i64x2.extend_high_i32x4_s", Unary, 64;
    I64x2ExtendLowI32x4U = "i64x2.extend_low_i32x4_u", Unary, 64;
    I64x2ExtendHighI32x4U = "i64x2.extend_high_i32x4_u", Unary, 64;
    I64x2Shl = "i64x2.shl", Shift, 64;
    I64x2ShrS = "i64x2.shr_s", Shift, 64;
    I64x2ShrU = "i64x2.shr_u", Shift, 64;
    I64x2Add = "i64x2.add", Binary, 64;
    I64x2Sub = "i64x2.sub", Binary, 64;
    I64x2Mul = "i64x2.mul", Binary, 64;
    I64x2ExtMulLowI32x4S = "i64x2.extmul_low_i32x4_s", Binary, 64;
    I64x2ExtMulHighI32x4S = "i64x2.extmul_high_i32x4_s", Binary, 64;
    I64x2ExtMulLowI32x4U = "i64x2.extmul_low_i32x4_u", Binary, 64;
    I64x2ExtMulHighI32x4U = "i64x2.extmul_high_i32x4_u", Binary, 64;
    F32x4Ceil = "f32x4.ceil", Unary, 32;
    F32x4Floor = "f32x4.floor", Unary, 32;
    F32x4Trunc = "f32x4.trunc", Unary, 32;
    F32x4Nearest = "f32x4.nearest", Unary, 32;
    F32x4Abs = "f32x4.abs", Unary, 32;
    F32x4Neg = "f32x4.neg", Unary, 32;
    F32x4Sqrt = "f32x4.sqrt", Unary, 32;
    F32x4Add = "f32x4.add", Binary, 32;
    F32x4Sub = "f32x4.sub", Binary, 32;
    F32x4Mul = "f32x4.mul", Binary, 32;
    F32x4Div = "f32x4.div", Binary, 32;
    F32x4Min = "f32x4.min", Binary, 32;
    F32x4Max = "f32x4.max", Binary, 32;
    F32x4PMin = "f32x4.pmin", Binary, 32;
    F32x4PMax = "f32x4.pmax", Binary, 32;
    F64x2Ceil = "f64x2.ceil", Unary, 64;
    F64x2Floor = "f64x2.floor", Unary, 64;
    F64x2Trunc = "f64x2.trunc", Unary, 64;
    F64x2Nearest = "f64x2.nearest", Unary, 64;
    F64x2Abs = "f64x2.abs", Unary, 64;
    F64x2Neg = "f64x2.neg", Unary, 64;
    F64x2Sqrt = "f64x2.sqrt", Unary, 64;
    F64x2Add = "f64x2.add", Binary, 64;
    F64x2Sub = "f64x2.sub", Binary, 64;
    F64x2Mul = "f64x2.mul", Binary, 64;
    F64x2Div = "f64x2.div", Binary, 64;
    F64x2Min = "f64x2.min", Binary, 64;
    F64x2Max = "f64x2.max", Binary, 64;
    F64x2PMin = "f64x2.pmin", Binary, 64;
    F64x2PMax = "f64x2.pmax", Binary, 64;
    I32x4TruncSatF32x4S = "i32x4.trunc_sat_f32x4_s", Unary, 32;
    I32x4TruncSatF32x4U = "i32x4.trunc_sat_f32x4_u", Unary, 32;
    F32x4ConvertI32x4S = "f32x4.convert_i32x4_s", Unary, 32;
    F32x4ConvertI32x4U = "f32x4.convert_i32x4_u", Unary, 32;
    I32x4TruncSatF64x2SZero = "i32x4.trunc_sat_f64x2_s_zero", Unary, 32;
    I32x4TruncSatF64x2UZero = "i32x4.trunc_sat_f64x2_u_zero", Unary, 32;
    F64x2ConvertLowI32x4S = "f64x2.convert_low_i32x4_s", Unary, 64;
    F64x2ConvertLowI32x4U = "f64x2.convert_low_i32x4_u", Unary, 64;
    F32x4DemoteF64x2Zero = "f32x4.demote_f64x2_zero", Unary, 32;
    F64x2PromoteLowF32x4 = "f64x2.promote_low_f32x4", Unary, 64;
    // From here on: what one instruction does where relaxed operators leave a choice.
    /// Byte `index & 15` of the first operand, 0 if the top bit of the index is set.
    I8x16SwizzleLow = "i8x16.swizzle_low", Binary, 8;
    /// Truncates; -2^31 for what does not fit and for NaN.
    I32x4TruncMinF32x4S = "i32x4.trunc_min_f32x4_s", Unary, 32;
    /// Truncates to the low lanes; -2^31 for what does not fit and for NaN; zeros above.
    I32x4TruncMinF64x2SZero = "i32x4.trunc_min_f64x2_s_zero", Unary, 32;
    /// `a * b + c`, rounded once.
    F32x4Fma = "f32x4.fma", Ternary, 32;
    /// `-(a * b) + c`, rounded once.
    F32x4Fnma = "f32x4.fnma", Ternary, 32;
    /// `a * b + c`, rounded once.
    F64x2Fma = "f64x2.fma", Ternary, 64;
    /// `-(a * b) + c`, rounded once.
    F64x2Fnma = "f64x2.fnma", Ternary, 64;
    /// The lane of the first operand where the top bit of the third one's lane is set, otherwise of the second.
    I8x16Blend = "i8x16.blend", Ternary, 8;
    /// As `I8x16Blend`.
    I32x4Blend = "i32x4.blend", Ternary, 32;
    /// As `I8x16Blend`.
    I64x2Blend = "i64x2.blend", Ternary, 64;
    /// Rounding product of Q15 numbers; wraps for the only product that overflows.
    I16x8Q15Mulr = "i16x8.q15mulr", Binary, 16;
    /// Signed bytes by unsigned bytes, neighbours added with signed saturation.
    I16x8DotI8x16U = "i16x8.dot_i8x16_u", Binary, 16;
}
