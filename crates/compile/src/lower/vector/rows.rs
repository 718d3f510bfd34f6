//! Operators that are one instruction.

use cellwall_ir::VectorOp as V;
use cellwall_isa::x64::Row;

/// The row that does an operator of two vectors: `result ← x row y`.
pub(super) fn binary(op: V) -> Option<Row> {
    Some(match op {
        V::I8x16SwizzleLow => Row::Pshufb,
        V::I8x16Eq => Row::Pcmpeqb,
        V::I16x8Eq => Row::Pcmpeqw,
        V::I32x4Eq => Row::Pcmpeqd,
        V::I64x2Eq => Row::Pcmpeqq,
        V::I8x16GtS => Row::Pcmpgtb,
        V::I16x8GtS => Row::Pcmpgtw,
        V::I32x4GtS => Row::Pcmpgtd,
        V::V128And => Row::Pand,
        V::V128Or => Row::Por,
        V::V128Xor => Row::Pxor,
        V::I8x16NarrowI16x8S => Row::Packsswb,
        V::I8x16NarrowI16x8U => Row::Packuswb,
        V::I16x8NarrowI32x4S => Row::Packssdw,
        V::I16x8NarrowI32x4U => Row::Packusdw,
        V::I8x16Add => Row::Paddb,
        V::I8x16AddSatS => Row::Paddsb,
        V::I8x16AddSatU => Row::Paddusb,
        V::I8x16Sub => Row::Psubb,
        V::I8x16SubSatS => Row::Psubsb,
        V::I8x16SubSatU => Row::Psubusb,
        V::I8x16MinS => Row::Pminsb,
        V::I8x16MinU => Row::Pminub,
        V::I8x16MaxS => Row::Pmaxsb,
        V::I8x16MaxU => Row::Pmaxub,
        V::I8x16AvgrU => Row::Pavgb,
        V::I16x8Q15Mulr => Row::Pmulhrsw,
        V::I16x8Add => Row::Paddw,
        V::I16x8AddSatS => Row::Paddsw,
        V::I16x8AddSatU => Row::Paddusw,
        V::I16x8Sub => Row::Psubw,
        V::I16x8SubSatS => Row::Psubsw,
        V::I16x8SubSatU => Row::Psubusw,
        V::I16x8Mul => Row::Pmullw,
        V::I16x8MinS => Row::Pminsw,
        V::I16x8MinU => Row::Pminuw,
        V::I16x8MaxS => Row::Pmaxsw,
        V::I16x8MaxU => Row::Pmaxuw,
        V::I16x8AvgrU => Row::Pavgw,
        V::I32x4Add => Row::Paddd,
        V::I32x4Sub => Row::Psubd,
        V::I32x4Mul => Row::Pmulld,
        V::I32x4MinS => Row::Pminsd,
        V::I32x4MinU => Row::Pminud,
        V::I32x4MaxS => Row::Pmaxsd,
        V::I32x4MaxU => Row::Pmaxud,
        V::I32x4DotI16x8S => Row::Pmaddwd,
        V::I64x2Add => Row::Paddq,
        V::I64x2Sub => Row::Psubq,
        V::F32x4Add => Row::Addps,
        V::F32x4Sub => Row::Subps,
        V::F32x4Mul => Row::Mulps,
        V::F32x4Div => Row::Divps,
        V::F64x2Add => Row::Addpd,
        V::F64x2Sub => Row::Subpd,
        V::F64x2Mul => Row::Mulpd,
        V::F64x2Div => Row::Divpd,
        _ => return None,
    })
}

/// The row that does an operator of two vectors the other way round: `result ← y row x`.
pub(super) fn swapped(op: V) -> Option<Row> {
    Some(match op {
        V::I8x16LtS => Row::Pcmpgtb,
        V::I16x8LtS => Row::Pcmpgtw,
        V::I32x4LtS => Row::Pcmpgtd,
        V::V128AndNot => Row::Pandn,
        // MINPS gives its second operand unless the first is less.
        V::F32x4PMin => Row::Minps,
        V::F32x4PMax => Row::Maxps,
        V::F64x2PMin => Row::Minpd,
        V::F64x2PMax => Row::Maxpd,
        // The first operand is the unsigned one.
        V::I16x8DotI8x16U => Row::Pmaddubsw,
        _ => return None,
    })
}

/// The row that does an operator of one vector.
pub(super) fn unary(op: V) -> Option<Row> {
    Some(match op {
        V::I8x16Abs => Row::Pabsb,
        V::I16x8Abs => Row::Pabsw,
        V::I32x4Abs => Row::Pabsd,
        V::F32x4Sqrt => Row::Sqrtps,
        V::F64x2Sqrt => Row::Sqrtpd,
        V::F32x4ConvertI32x4S => Row::Cvtdq2ps,
        V::I32x4TruncMinF32x4S => Row::Cvttps2dq,
        V::I32x4TruncMinF64x2SZero => Row::Cvttpd2dq,
        V::F32x4DemoteF64x2Zero => Row::Cvtpd2ps,
        _ => return None,
    })
}

/// The row that does an operator of the low half of a vector.
pub(super) fn low_half(op: V) -> Option<Row> {
    Some(match op {
        V::I16x8ExtendLowI8x16S => Row::Pmovsxbw,
        V::I16x8ExtendLowI8x16U => Row::Pmovzxbw,
        V::I32x4ExtendLowI16x8S => Row::Pmovsxwd,
        V::I32x4ExtendLowI16x8U => Row::Pmovzxwd,
        V::I64x2ExtendLowI32x4S => Row::Pmovsxdq,
        V::I64x2ExtendLowI32x4U => Row::Pmovzxdq,
        V::F64x2ConvertLowI32x4S => Row::Cvtdq2pd,
        V::F64x2PromoteLowF32x4 => Row::Cvtps2pd,
        _ => return None,
    })
}

/// The row and the immediate of a rounding.
pub(super) fn rounding(op: V) -> Option<(Row, i64)> {
    // Without an inexact exception.
    const QUIET: i64 = 8;
    let (row, mode) = match op {
        V::F32x4Nearest => (Row::Roundps, 0),
        V::F32x4Floor => (Row::Roundps, 1),
        V::F32x4Ceil => (Row::Roundps, 2),
        V::F32x4Trunc => (Row::Roundps, 3),
        V::F64x2Nearest => (Row::Roundpd, 0),
        V::F64x2Floor => (Row::Roundpd, 1),
        V::F64x2Ceil => (Row::Roundpd, 2),
        V::F64x2Trunc => (Row::Roundpd, 3),
        _ => return None,
    };
    Some((row, QUIET | mode))
}

/// How a comparison of floats is made.
#[derive(Clone, Copy)]
pub(super) struct FloatCompare {
    pub(super) row: Row,
    pub(super) predicate: i64,
    /// Whether the operands are exchanged.
    pub(super) swapped: bool,
}

/// A comparison of floats.
pub(super) fn float_compare(op: V) -> Option<FloatCompare> {
    let (row, predicate, swapped) = match op {
        V::F32x4Eq => (Row::Cmpps, 0, false),
        V::F32x4Lt => (Row::Cmpps, 1, false),
        V::F32x4Le => (Row::Cmpps, 2, false),
        V::F32x4Ne => (Row::Cmpps, 4, false),
        V::F32x4Gt => (Row::Cmpps, 1, true),
        V::F32x4Ge => (Row::Cmpps, 2, true),
        V::F64x2Eq => (Row::Cmppd, 0, false),
        V::F64x2Lt => (Row::Cmppd, 1, false),
        V::F64x2Le => (Row::Cmppd, 2, false),
        V::F64x2Ne => (Row::Cmppd, 4, false),
        V::F64x2Gt => (Row::Cmppd, 1, true),
        V::F64x2Ge => (Row::Cmppd, 2, true),
        _ => return None,
    };
    Some(FloatCompare {
        row,
        predicate,
        swapped,
    })
}

/// How a comparison of integers is made for which there is no row.
#[derive(Clone, Copy)]
pub(super) enum IntCompare {
    /// The opposite of whether the first row holds.
    Not(Row),
    /// Whether `x` is what the first row, a minimum or maximum, gives; by the second row.
    IsExtreme(Row, Row),
    /// The opposite of the same.
    IsNotExtreme(Row, Row),
}

/// A comparison of integers of less than 64 bits that is no row.
pub(super) fn int_compare(op: V) -> Option<IntCompare> {
    use IntCompare::{IsExtreme, IsNotExtreme, Not};
    use Row::{Pcmpeqb, Pcmpeqd, Pcmpeqw};
    Some(match op {
        V::I8x16Ne => Not(Pcmpeqb),
        V::I16x8Ne => Not(Pcmpeqw),
        V::I32x4Ne => Not(Pcmpeqd),
        V::I64x2Ne => Not(Row::Pcmpeqq),
        V::I8x16LeS => IsExtreme(Row::Pminsb, Pcmpeqb),
        V::I16x8LeS => IsExtreme(Row::Pminsw, Pcmpeqw),
        V::I32x4LeS => IsExtreme(Row::Pminsd, Pcmpeqd),
        V::I8x16GeS => IsExtreme(Row::Pmaxsb, Pcmpeqb),
        V::I16x8GeS => IsExtreme(Row::Pmaxsw, Pcmpeqw),
        V::I32x4GeS => IsExtreme(Row::Pmaxsd, Pcmpeqd),
        V::I8x16LeU => IsExtreme(Row::Pminub, Pcmpeqb),
        V::I16x8LeU => IsExtreme(Row::Pminuw, Pcmpeqw),
        V::I32x4LeU => IsExtreme(Row::Pminud, Pcmpeqd),
        V::I8x16GeU => IsExtreme(Row::Pmaxub, Pcmpeqb),
        V::I16x8GeU => IsExtreme(Row::Pmaxuw, Pcmpeqw),
        V::I32x4GeU => IsExtreme(Row::Pmaxud, Pcmpeqd),
        V::I8x16GtU => IsNotExtreme(Row::Pminub, Pcmpeqb),
        V::I16x8GtU => IsNotExtreme(Row::Pminuw, Pcmpeqw),
        V::I32x4GtU => IsNotExtreme(Row::Pminud, Pcmpeqd),
        V::I8x16LtU => IsNotExtreme(Row::Pmaxub, Pcmpeqb),
        V::I16x8LtU => IsNotExtreme(Row::Pmaxuw, Pcmpeqw),
        V::I32x4LtU => IsNotExtreme(Row::Pmaxud, Pcmpeqd),
        _ => return None,
    })
}
