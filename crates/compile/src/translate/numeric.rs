//! The operators that are rows of the SSA form's tables: one line each.

use cellwall_ir::{BinaryOp, CompareOp, LoadOp, StoreOp, Type, UnaryOp};
use cellwall_wasm::{MemArg, Operator};

/// What an operator is in the SSA form.
pub(super) enum Row {
    /// One operand; the type is the result's.
    Unary(UnaryOp, Type),
    /// Two operands.
    Binary(BinaryOp),
    /// Two operands.
    Compare(CompareOp),
    /// The type is the result's.
    Load(LoadOp, Type, MemArg),
    /// Index and value.
    Store(StoreOp, MemArg),
}

impl Row {
    /// The row of an operator, if it is one.
    pub(super) fn of(operator: &Operator<'_>) -> Option<Self> {
        use Operator as O;
        use Type::{F32, F64, I32, I64};
        Some(match *operator {
            O::F32Abs => Self::Unary(UnaryOp::FAbs, F32),
            O::F32Ceil => Self::Unary(UnaryOp::FCeil, F32),
            O::F32ConvertI32S | O::F32ConvertI64S => Self::Unary(UnaryOp::ConvertS, F32),
            O::F32ConvertI32U | O::F32ConvertI64U => Self::Unary(UnaryOp::ConvertU, F32),
            O::F32DemoteF64 => Self::Unary(UnaryOp::FDemote, F32),
            O::F32Floor => Self::Unary(UnaryOp::FFloor, F32),
            O::F32Nearest => Self::Unary(UnaryOp::FNearest, F32),
            O::F32Neg => Self::Unary(UnaryOp::FNeg, F32),
            O::F32ReinterpretI32 => Self::Unary(UnaryOp::Bitcast, F32),
            O::F32Sqrt => Self::Unary(UnaryOp::FSqrt, F32),
            O::F32Trunc => Self::Unary(UnaryOp::FTrunc, F32),
            O::F64Abs => Self::Unary(UnaryOp::FAbs, F64),
            O::F64Ceil => Self::Unary(UnaryOp::FCeil, F64),
            O::F64ConvertI32S | O::F64ConvertI64S => Self::Unary(UnaryOp::ConvertS, F64),
            O::F64ConvertI32U | O::F64ConvertI64U => Self::Unary(UnaryOp::ConvertU, F64),
            O::F64Floor => Self::Unary(UnaryOp::FFloor, F64),
            O::F64Nearest => Self::Unary(UnaryOp::FNearest, F64),
            O::F64Neg => Self::Unary(UnaryOp::FNeg, F64),
            O::F64PromoteF32 => Self::Unary(UnaryOp::FPromote, F64),
            O::F64ReinterpretI64 => Self::Unary(UnaryOp::Bitcast, F64),
            O::F64Sqrt => Self::Unary(UnaryOp::FSqrt, F64),
            O::F64Trunc => Self::Unary(UnaryOp::FTrunc, F64),
            O::I32Clz => Self::Unary(UnaryOp::Clz, I32),
            O::I32Ctz => Self::Unary(UnaryOp::Ctz, I32),
            O::I32Extend16S => Self::Unary(UnaryOp::SignExtend16, I32),
            O::I32Extend8S => Self::Unary(UnaryOp::SignExtend8, I32),
            O::I32Popcnt => Self::Unary(UnaryOp::Popcnt, I32),
            O::I32ReinterpretF32 => Self::Unary(UnaryOp::Bitcast, I32),
            O::I32TruncF32S | O::I32TruncF64S => Self::Unary(UnaryOp::TruncS, I32),
            O::I32TruncF32U | O::I32TruncF64U => Self::Unary(UnaryOp::TruncU, I32),
            O::I32TruncSatF32S | O::I32TruncSatF64S => Self::Unary(UnaryOp::TruncSatS, I32),
            O::I32TruncSatF32U | O::I32TruncSatF64U => Self::Unary(UnaryOp::TruncSatU, I32),
            O::I32WrapI64 => Self::Unary(UnaryOp::Wrap, I32),
            O::I64Clz => Self::Unary(UnaryOp::Clz, I64),
            O::I64Ctz => Self::Unary(UnaryOp::Ctz, I64),
            O::I64Extend16S => Self::Unary(UnaryOp::SignExtend16, I64),
            O::I64Extend32S => Self::Unary(UnaryOp::SignExtend32, I64),
            O::I64Extend8S => Self::Unary(UnaryOp::SignExtend8, I64),
            O::I64ExtendI32S => Self::Unary(UnaryOp::ExtendS, I64),
            O::I64ExtendI32U => Self::Unary(UnaryOp::ExtendU, I64),
            O::I64Popcnt => Self::Unary(UnaryOp::Popcnt, I64),
            O::I64ReinterpretF64 => Self::Unary(UnaryOp::Bitcast, I64),
            O::I64TruncF32S | O::I64TruncF64S => Self::Unary(UnaryOp::TruncS, I64),
            O::I64TruncF32U | O::I64TruncF64U => Self::Unary(UnaryOp::TruncU, I64),
            O::I64TruncSatF32S | O::I64TruncSatF64S => Self::Unary(UnaryOp::TruncSatS, I64),
            O::I64TruncSatF32U | O::I64TruncSatF64U => Self::Unary(UnaryOp::TruncSatU, I64),
            O::I32Add | O::I64Add => Self::Binary(BinaryOp::Add),
            O::I32Sub | O::I64Sub => Self::Binary(BinaryOp::Sub),
            O::I32Mul | O::I64Mul => Self::Binary(BinaryOp::Mul),
            O::I32DivS | O::I64DivS => Self::Binary(BinaryOp::DivS),
            O::I32DivU | O::I64DivU => Self::Binary(BinaryOp::DivU),
            O::I32RemS | O::I64RemS => Self::Binary(BinaryOp::RemS),
            O::I32RemU | O::I64RemU => Self::Binary(BinaryOp::RemU),
            O::I32And | O::I64And => Self::Binary(BinaryOp::And),
            O::I32Or | O::I64Or => Self::Binary(BinaryOp::Or),
            O::I32Xor | O::I64Xor => Self::Binary(BinaryOp::Xor),
            O::I32Shl | O::I64Shl => Self::Binary(BinaryOp::Shl),
            O::I32ShrS | O::I64ShrS => Self::Binary(BinaryOp::ShrS),
            O::I32ShrU | O::I64ShrU => Self::Binary(BinaryOp::ShrU),
            O::I32Rotl | O::I64Rotl => Self::Binary(BinaryOp::Rotl),
            O::I32Rotr | O::I64Rotr => Self::Binary(BinaryOp::Rotr),
            O::F32Add | O::F64Add => Self::Binary(BinaryOp::FAdd),
            O::F32Sub | O::F64Sub => Self::Binary(BinaryOp::FSub),
            O::F32Mul | O::F64Mul => Self::Binary(BinaryOp::FMul),
            O::F32Div | O::F64Div => Self::Binary(BinaryOp::FDiv),
            O::F32Min | O::F64Min => Self::Binary(BinaryOp::FMin),
            O::F32Max | O::F64Max => Self::Binary(BinaryOp::FMax),
            O::F32Copysign | O::F64Copysign => Self::Binary(BinaryOp::FCopysign),
            O::I32Eq | O::I64Eq => Self::Compare(CompareOp::Eq),
            O::I32Ne | O::I64Ne => Self::Compare(CompareOp::Ne),
            O::I32LtS | O::I64LtS => Self::Compare(CompareOp::LtS),
            O::I32LtU | O::I64LtU => Self::Compare(CompareOp::LtU),
            O::I32GtS | O::I64GtS => Self::Compare(CompareOp::GtS),
            O::I32GtU | O::I64GtU => Self::Compare(CompareOp::GtU),
            O::I32LeS | O::I64LeS => Self::Compare(CompareOp::LeS),
            O::I32LeU | O::I64LeU => Self::Compare(CompareOp::LeU),
            O::I32GeS | O::I64GeS => Self::Compare(CompareOp::GeS),
            O::I32GeU | O::I64GeU => Self::Compare(CompareOp::GeU),
            O::F32Eq | O::F64Eq => Self::Compare(CompareOp::FEq),
            O::F32Ne | O::F64Ne => Self::Compare(CompareOp::FNe),
            O::F32Lt | O::F64Lt => Self::Compare(CompareOp::FLt),
            O::F32Gt | O::F64Gt => Self::Compare(CompareOp::FGt),
            O::F32Le | O::F64Le => Self::Compare(CompareOp::FLe),
            O::F32Ge | O::F64Ge => Self::Compare(CompareOp::FGe),
            O::I32Load { memarg } => Self::Load(LoadOp::Full, I32, memarg),
            O::I64Load { memarg } => Self::Load(LoadOp::Full, I64, memarg),
            O::F32Load { memarg } => Self::Load(LoadOp::Full, F32, memarg),
            O::F64Load { memarg } => Self::Load(LoadOp::Full, F64, memarg),
            O::I32Load8S { memarg } => Self::Load(LoadOp::S8, I32, memarg),
            O::I32Load8U { memarg } => Self::Load(LoadOp::U8, I32, memarg),
            O::I32Load16S { memarg } => Self::Load(LoadOp::S16, I32, memarg),
            O::I32Load16U { memarg } => Self::Load(LoadOp::U16, I32, memarg),
            O::I64Load8S { memarg } => Self::Load(LoadOp::S8, I64, memarg),
            O::I64Load8U { memarg } => Self::Load(LoadOp::U8, I64, memarg),
            O::I64Load16S { memarg } => Self::Load(LoadOp::S16, I64, memarg),
            O::I64Load16U { memarg } => Self::Load(LoadOp::U16, I64, memarg),
            O::I64Load32S { memarg } => Self::Load(LoadOp::S32, I64, memarg),
            O::I64Load32U { memarg } => Self::Load(LoadOp::U32, I64, memarg),
            O::I32Store { memarg }
            | O::I64Store { memarg }
            | O::F32Store { memarg }
            | O::F64Store { memarg } => Self::Store(StoreOp::Full, memarg),
            O::I32Store8 { memarg } | O::I64Store8 { memarg } => Self::Store(StoreOp::Low8, memarg),
            O::I32Store16 { memarg } | O::I64Store16 { memarg } => Self::Store(StoreOp::Low16, memarg),
            O::I64Store32 { memarg } => Self::Store(StoreOp::Low32, memarg),
            _ => return None,
        })
    }
}
