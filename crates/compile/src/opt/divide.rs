//! Division by constants without dividing.
//!
//! A processor divides several times slower than it multiplies, and compilers to WebAssembly leave
//! division by constants to the engine. The method is that of Granlund and Montgomery, "Division by
//! Invariant Integers using Multiplication" (PLDI 1994): the quotient is the high part of a product
//! with the rounded-up reciprocal, where that is exact for every dividend. Products are 64 bits wide,
//! so that divisors of 64 bits are left alone unless they are powers of two.

use cellwall_ir::{BinaryOp, Func, Inst, InstData, Type, UnaryOp, Value};

/// The last instruction of a sequence that gives what the division `inst` gives; those before it are
/// appended to `before`. `None` if the division stays.
pub(super) fn expand(func: &mut Func, before: &mut Vec<Inst>, inst: Inst) -> Option<InstData> {
    let InstData::Binary { op, args: [x, y] } = func.insts[inst].data else {
        return None;
    };
    let c = func.constant(y)?;
    let ty = func.ty(x);
    let d = if ty == Type::I32 {
        i64::from(c as i32)
    } else {
        c as i64
    };
    let source = func.insts[inst].source;
    let mut to = Sequence {
        func,
        before,
        ty,
        source,
    };
    match op {
        BinaryOp::DivS | BinaryOp::RemS if d.unsigned_abs().is_power_of_two() => {
            signed_by_power(&mut to, op, x, d)
        }
        BinaryOp::DivU | BinaryOp::RemU if ty == Type::I32 && c > 2 && !c.is_power_of_two() => {
            let (quotient, last) = unsigned_quotient(&mut to, x, c as u32);
            to.finish(op == BinaryOp::DivU, x, c, quotient, last)
        }
        BinaryOp::DivS | BinaryOp::RemS if ty == Type::I32 && d != 0 => {
            let (quotient, last) = signed_quotient(&mut to, x, d);
            to.finish(op == BinaryOp::DivS, x, c, quotient, last)
        }
        _ => None,
    }
}

/// Instructions on their way in front of the one that is expanded.
struct Sequence<'f> {
    func: &'f mut Func,
    before: &'f mut Vec<Inst>,
    /// Type of the division.
    ty: Type,
    source: u32,
}

impl Sequence<'_> {
    fn push(&mut self, data: InstData, ty: Type) -> Value {
        let inst = self.func.make_inst(data, &[ty], self.source);
        self.before.push(inst);
        self.func.result(inst)
    }

    fn constant(&mut self, ty: Type, bits: u64) -> Value {
        let bits = if ty == Type::I32 {
            u64::from(bits as u32)
        } else {
            bits
        };
        self.push(InstData::Const { bits }, ty)
    }

    fn unary(&mut self, op: UnaryOp, ty: Type, arg: Value) -> Value {
        self.push(InstData::Unary { op, arg }, ty)
    }

    fn binary(&mut self, op: BinaryOp, x: Value, y: Value) -> Value {
        let ty = self.func.ty(x);
        self.push(InstData::Binary { op, args: [x, y] }, ty)
    }

    /// `x op bits`.
    fn with(&mut self, op: BinaryOp, x: Value, bits: u64) -> Value {
        let constant = self.constant(self.func.ty(x), bits);
        self.binary(op, x, constant)
    }

    /// `x op bits` as the last instruction.
    fn last(&mut self, op: BinaryOp, x: Value, bits: u64) -> InstData {
        let args = [x, self.constant(self.func.ty(x), bits)];
        InstData::Binary { op, args }
    }

    /// The quotient, or the remainder `x - quotient * c`; the quotient's last instruction is still
    /// open.
    fn finish(
        &mut self,
        is_quotient: bool,
        x: Value,
        c: u64,
        ty: Type,
        quotient: InstData,
    ) -> Option<InstData> {
        if is_quotient {
            return Some(quotient);
        }
        let quotient = self.push(quotient, ty);
        let product = self.with(BinaryOp::Mul, quotient, c);
        let args = [x, product];
        Some(InstData::Binary {
            op: BinaryOp::Sub,
            args,
        })
    }
}

/// By 2^k or -2^k, k at least 1: shifts round down, so negative dividends are raised first.
fn signed_by_power(to: &mut Sequence<'_>, op: BinaryOp, x: Value, d: i64) -> Option<InstData> {
    let k = u64::from(d.unsigned_abs().trailing_zeros());
    if k == 0 {
        // By 1 is folded elsewhere; by -1 may overflow.
        return None;
    }
    let bits = u64::from(to.ty.bits());
    let sign = to.with(BinaryOp::ShrS, x, bits - 1);
    let raise = to.with(BinaryOp::ShrU, sign, bits - k);
    let raised = to.binary(BinaryOp::Add, x, raise);
    if op == BinaryOp::RemS {
        let multiple = to.with(BinaryOp::And, raised, u64::MAX << k);
        let args = [x, multiple];
        let op = BinaryOp::Sub;
        return Some(InstData::Binary { op, args });
    }
    if d > 0 {
        return Some(to.last(BinaryOp::ShrS, raised, k));
    }
    let quotient = to.with(BinaryOp::ShrS, raised, k);
    Some(negated(to, quotient))
}

fn negated(to: &mut Sequence<'_>, x: Value) -> InstData {
    let zero = to.constant(to.ty, 0);
    InstData::Binary {
        op: BinaryOp::Sub,
        args: [zero, x],
    }
}

/// Multiplier and shift with `n / d = n * multiplier >> (32 + shift)` for all n below 2^`bits`, if
/// there is a multiplier of 32 bits.
///
/// With e = d * multiplier - 2^(32 + shift), at least 1, the product exceeds n / d by
/// n * e / (d * 2^(32 + shift)), which must be less than 1 / d.
fn reciprocal(d: u32, bits: u32) -> Option<(u64, u32)> {
    (0..32).find_map(|shift| {
        let power = 1u128 << (32 + shift);
        let multiplier = power / u128::from(d) + 1;
        let excess = u128::from(d) * multiplier - power;
        let is_exact = excess << bits <= power;
        (is_exact && multiplier < 1 << 32).then_some((multiplier as u64, shift))
    })
}

/// The last instruction of `x / d`, d above 2 and no power of two, and its type.
fn unsigned_quotient(to: &mut Sequence<'_>, x: Value, d: u32) -> (Type, InstData) {
    let even = d.trailing_zeros();
    if let Some((multiplier, shift)) = reciprocal(d, 32) {
        return high_part(to, x, multiplier, 32 + shift);
    }
    if let Some((multiplier, shift)) = reciprocal(d >> even, 32 - even).filter(|_| even > 0) {
        let x = to.with(BinaryOp::ShrU, x, u64::from(even));
        return high_part(to, x, multiplier, 32 + shift);
    }
    // A multiplier of 33 bits; its highest bit is added by hand.
    let length = 32 - (d - 1).leading_zeros();
    let low = ((u128::from((1u64 << length) - u64::from(d)) << 32) / u128::from(d) + 1) as u64;
    let (ty, high) = high_part(to, x, low, 32);
    let high = to.push(high, ty);
    let rest = to.binary(BinaryOp::Sub, x, high);
    let half = to.with(BinaryOp::ShrU, rest, 1);
    let sum = to.binary(BinaryOp::Add, half, high);
    (Type::I32, to.last(BinaryOp::ShrU, sum, u64::from(length - 1)))
}

/// `x * multiplier >> shift` of an unsigned I32 `x`.
fn high_part(to: &mut Sequence<'_>, x: Value, multiplier: u64, shift: u32) -> (Type, InstData) {
    let wide = to.unary(UnaryOp::ExtendU, Type::I64, x);
    let product = to.with(BinaryOp::Mul, wide, multiplier);
    let high = to.with(BinaryOp::ShrU, product, u64::from(shift));
    let op = UnaryOp::Wrap;
    (Type::I32, InstData::Unary { op, arg: high })
}

/// The last instruction of the signed `x / d`, |d| above 2 and no power of two, and its type.
fn signed_quotient(to: &mut Sequence<'_>, x: Value, d: i64) -> (Type, InstData) {
    let magnitude = d.unsigned_abs() as u32;
    let (multiplier, shift) = signed_reciprocal(magnitude);
    let wide = to.unary(UnaryOp::ExtendS, Type::I64, x);
    let product = to.with(BinaryOp::Mul, wide, multiplier);
    let high = to.with(BinaryOp::ShrS, product, u64::from(32 + shift));
    let down = to.unary(UnaryOp::Wrap, Type::I32, high);
    // Shifts round down, division towards zero.
    let sign = to.with(BinaryOp::ShrU, x, 31);
    let op = BinaryOp::Add;
    let quotient = InstData::Binary {
        op,
        args: [down, sign],
    };
    if d > 0 {
        return (Type::I32, quotient);
    }
    let quotient = to.push(quotient, Type::I32);
    (Type::I32, negated(to, quotient))
}

/// Like [`reciprocal`], for dividends from -2^31 to 2^31 - 1, rounding down.
fn signed_reciprocal(d: u32) -> (u64, u32) {
    let found = (0..32).find_map(|shift| {
        let power = 1u128 << (32 + shift);
        let multiplier = power / u128::from(d) + 1;
        let excess = u128::from(d) * multiplier - power;
        let is_exact = excess << 31 < power;
        (is_exact && multiplier < 1 << 32).then_some((multiplier as u64, shift))
    });
    found.expect("the shift below the divisor's length has less than d in excess")
}
