//! The rules of folding: what an instruction can be replaced by, seen from it and the definitions of
//! its operands.
//!
//! Each rule's right side is never worse than its left. Constants stand right. Operators that would
//! trap are left alone.

use super::fold::{Simpler, test_of_zero};
use Simpler::{Constant, Value as Same};
use cellwall_ir::{BinaryOp, CompareOp, Func, Inst, InstData, Type, UnaryOp, Value};

/// A simpler form of an instruction that is no terminator.
pub(super) fn simplify(func: &Func, inst: Inst) -> Option<Simpler> {
    match func.insts[inst].data {
        InstData::Unary { op, arg } => unary(func, inst, op, arg),
        InstData::Binary { op, args: [x, y] } => binary(func, op, x, y),
        InstData::Compare { op, args: [x, y] } => compare(func, op, x, y),
        InstData::Select { cond, args } => select(func, cond, args),
        _ => None,
    }
}

fn definition(func: &Func, value: Value) -> Option<InstData> {
    func.def_inst(value).map(|inst| func.insts[inst].data)
}

fn unary(func: &Func, inst: Inst, op: UnaryOp, arg: Value) -> Option<Simpler> {
    let (from, to) = (func.ty(arg), func.ty(func.result(inst)));
    if let Some(bits) = func.constant(arg) {
        return op.eval(from, to, bits).ok().map(Constant);
    }
    let Some(InstData::Unary { op: inner, arg: x }) = definition(func, arg) else {
        return None;
    };
    match (op, inner) {
        (UnaryOp::Wrap, UnaryOp::ExtendU | UnaryOp::ExtendS) => Some(Same(x)),
        (UnaryOp::Bitcast, UnaryOp::Bitcast) | (UnaryOp::FNeg, UnaryOp::FNeg) => Some(Same(x)),
        (UnaryOp::SignExtend8 | UnaryOp::SignExtend16 | UnaryOp::SignExtend32 | UnaryOp::FAbs, _)
            if op == inner =>
        {
            Some(Same(arg))
        }
        _ => None,
    }
}

fn binary(func: &Func, op: BinaryOp, x: Value, y: Value) -> Option<Simpler> {
    let ty = func.ty(x);
    match (func.constant(x), func.constant(y)) {
        (Some(a), Some(b)) => op.eval(ty, a, b).ok().map(Constant),
        (Some(_), None) if op.commutes() => Some(Simpler::Inst(InstData::Binary { op, args: [y, x] })),
        (None, Some(c)) if ty.is_int() => with_constant(func, op, ty, x, c),
        (None, None) if x == y => match op {
            BinaryOp::And | BinaryOp::Or => Some(Same(x)),
            BinaryOp::Xor | BinaryOp::Sub => Some(Constant(0)),
            _ => None,
        },
        _ => None,
    }
}

macro_rules! binary {
    ($op:ident) => {
        |x, y| InstData::Binary {
            op: BinaryOp::$op,
            args: [x, y],
        }
    };
}

/// `x op c` on integers.
fn with_constant(func: &Func, op: BinaryOp, ty: Type, x: Value, c: u64) -> Option<Simpler> {
    let ones = if ty == Type::I32 {
        u64::from(u32::MAX)
    } else {
        u64::MAX
    };
    let bits = u64::from(ty.bits());
    let eval = |op: BinaryOp, a: u64, b: u64| op.eval(ty, a, b).expect("no division is evaluated here");
    match op {
        BinaryOp::Add | BinaryOp::Sub | BinaryOp::Or | BinaryOp::Xor if c == 0 => return Some(Same(x)),
        BinaryOp::Shl | BinaryOp::ShrS | BinaryOp::ShrU | BinaryOp::Rotl | BinaryOp::Rotr
            if c.is_multiple_of(bits) =>
        {
            return Some(Same(x));
        }
        BinaryOp::Mul | BinaryOp::DivS | BinaryOp::DivU if c == 1 => return Some(Same(x)),
        BinaryOp::RemS | BinaryOp::RemU if c == 1 => return Some(Constant(0)),
        BinaryOp::And if c == ones => return Some(Same(x)),
        BinaryOp::Or if c == ones => return Some(Constant(ones)),
        BinaryOp::And | BinaryOp::Mul if c == 0 => return Some(Constant(0)),
        // One operator for sums with constants.
        BinaryOp::Sub => return Some(Simpler::WithConstant(binary!(Add), x, eval(BinaryOp::Sub, 0, c))),
        BinaryOp::Mul if c.is_power_of_two() => {
            return Some(Simpler::WithConstant(
                binary!(Shl),
                x,
                u64::from(c.trailing_zeros()),
            ));
        }
        BinaryOp::DivU if c.is_power_of_two() => {
            return Some(Simpler::WithConstant(
                binary!(ShrU),
                x,
                u64::from(c.trailing_zeros()),
            ));
        }
        BinaryOp::RemU if c.is_power_of_two() => {
            return Some(Simpler::WithConstant(binary!(And), x, c - 1));
        }
        _ => {}
    }
    // (x op c1) op c2: the constants meet.
    let Some(InstData::Binary {
        op: inner,
        args: [z, d],
    }) = definition(func, x)
    else {
        return None;
    };
    let d = func.constant(d).filter(|_| inner == op)?;
    let make = match op {
        BinaryOp::Add => binary!(Add),
        BinaryOp::And => binary!(And),
        BinaryOp::Or => binary!(Or),
        BinaryOp::Xor => binary!(Xor),
        BinaryOp::Mul => binary!(Mul),
        _ => return None,
    };
    Some(Simpler::WithConstant(make, z, eval(op, d, c)))
}

fn compare(func: &Func, op: CompareOp, x: Value, y: Value) -> Option<Simpler> {
    let ty = func.ty(x);
    match (func.constant(x), func.constant(y)) {
        (Some(a), Some(b)) => return Some(Constant(u64::from(op.eval(ty, a, b)))),
        (Some(_), None) => {
            let op = op.swapped();
            return Some(Simpler::Inst(InstData::Compare { op, args: [y, x] }));
        }
        (None, None) if x == y && ty.is_int() => {
            return Some(Constant(u64::from(op.eval(ty, 0, 0))));
        }
        (None, Some(0)) => {}
        _ => return None,
    }
    match (op, definition(func, x)) {
        (CompareOp::LtU, _) => Some(Constant(0)),
        (CompareOp::GeU, _) => Some(Constant(1)),
        // A truth value is, or is not, 0.
        (CompareOp::Ne, Some(InstData::Compare { .. })) => Some(Same(x)),
        (CompareOp::Eq, Some(InstData::Compare { op, args })) => {
            let op = op.inverse()?;
            Some(Simpler::Inst(InstData::Compare { op, args }))
        }
        // Two values differ by nothing exactly if they are equal.
        (
            CompareOp::Eq | CompareOp::Ne,
            Some(InstData::Binary {
                op: BinaryOp::Sub | BinaryOp::Xor,
                args,
            }),
        ) => Some(Simpler::Inst(InstData::Compare { op, args })),
        _ => None,
    }
}

fn select(func: &Func, cond: Value, [x, y]: [Value; 2]) -> Option<Simpler> {
    if x == y {
        return Some(Same(x));
    }
    if let Some(bits) = func.constant(cond) {
        return Some(Same(if bits != 0 { x } else { y }));
    }
    let (cond, op) = test_of_zero(func, cond)?;
    let args = if op == CompareOp::Eq { [y, x] } else { [x, y] };
    Some(Simpler::Inst(InstData::Select { cond, args }))
}
