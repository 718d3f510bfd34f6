//! Division by constants without dividing.
//!
//! A processor divides several times slower than it multiplies, and compilers to WebAssembly leave
//! division by constants to the engine. The method is that of Granlund and Montgomery, "Division by
//! Invariant Integers using Multiplication" (PLDI 1994): the quotient is the high part of a product
//! with the rounded-up reciprocal, where that is exact for every dividend. Of 32-bit dividends the
//! product has 64 bits; of 64-bit dividends only its high half is computed.

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
        BinaryOp::DivU | BinaryOp::RemU if c > 2 && !c.is_power_of_two() => {
            let last = unsigned_quotient(&mut to, x, c);
            to.finish(op == BinaryOp::DivU, x, c, last)
        }
        BinaryOp::DivS | BinaryOp::RemS if d != 0 => {
            let last = signed_quotient(&mut to, x, d);
            to.finish(op == BinaryOp::DivS, x, c, last)
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
    fn finish(&mut self, is_quotient: bool, x: Value, c: u64, quotient: InstData) -> Option<InstData> {
        if is_quotient {
            return Some(quotient);
        }
        let quotient = self.push(quotient, self.ty);
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

/// How to divide by multiplying: `n / d` is `n * multiplier >> (width + shift)`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Reciprocal {
    multiplier: u64,
    shift: u32,
}

/// A multiplier of `width` bits for all dividends `n` from 0 to below 2^`bits`, if there is one.
///
/// With e = d * multiplier - 2^(width + shift), at least 1, the product exceeds n / d by
/// n * e / (d * 2^(width + shift)), which must be less than 1 / d: so it is if e * 2^bits is at most
/// 2^(width + shift). The same bound serves negative dividends down to -2^bits, where the quotient is
/// rounded down and 1 too small.
fn reciprocal(d: u64, width: u32, bits: u32) -> Option<Reciprocal> {
    let d = u128::from(d);
    (0..width).find_map(|shift| {
        // 2^(width + shift) / d, without the power itself, which may need 128 bits.
        let power = 1u128 << (width + shift);
        let multiplier = power / d + 1;
        // 1 to d.
        let excess = d - power % d;
        let is_exact = excess <= 1 << (width + shift - bits);
        (is_exact && multiplier >> width == 0).then_some(Reciprocal {
            multiplier: multiplier as u64,
            shift,
        })
    })
}

/// The last instruction of `x / d`, d above 2 and no power of two.
fn unsigned_quotient(to: &mut Sequence<'_>, x: Value, d: u64) -> InstData {
    let width = to.ty.bits();
    let even = d.trailing_zeros();
    if let Some(reciprocal) = reciprocal(d, width, width) {
        return high_part(to, x, reciprocal);
    }
    if let Some(reciprocal) = reciprocal(d >> even, width, width - even).filter(|_| even > 0) {
        let x = to.with(BinaryOp::ShrU, x, u64::from(even));
        return high_part(to, x, reciprocal);
    }
    // A multiplier of one bit more than the width; its highest bit is added by hand.
    let length = u64::BITS - (d - 1).leading_zeros();
    let rest = (1u128 << length) - u128::from(d);
    let multiplier = ((rest << width) / u128::from(d) + 1) as u64;
    let high = high_part(to, x, Reciprocal { multiplier, shift: 0 });
    let high = to.push(high, to.ty);
    let rest = to.binary(BinaryOp::Sub, x, high);
    let half = to.with(BinaryOp::ShrU, rest, 1);
    let sum = to.binary(BinaryOp::Add, half, high);
    to.last(BinaryOp::ShrU, sum, u64::from(length - 1))
}

/// `x * multiplier >> (width + shift)` of an unsigned `x`.
fn high_part(to: &mut Sequence<'_>, x: Value, by: Reciprocal) -> InstData {
    if to.ty == Type::I64 {
        let high = to.with(BinaryOp::MulHighU, x, by.multiplier);
        return to.last(BinaryOp::ShrU, high, u64::from(by.shift));
    }
    let wide = to.unary(UnaryOp::ExtendU, Type::I64, x);
    let product = to.with(BinaryOp::Mul, wide, by.multiplier);
    let high = to.with(BinaryOp::ShrU, product, u64::from(32 + by.shift));
    let op = UnaryOp::Wrap;
    InstData::Unary { op, arg: high }
}

/// The last instruction of the signed `x / d`, |d| above 2 and no power of two.
fn signed_quotient(to: &mut Sequence<'_>, x: Value, d: i64) -> InstData {
    let width = to.ty.bits();
    let by = reciprocal(d.unsigned_abs(), width, width - 1)
        .expect("the shift below the divisor's length has less than d in excess");
    let down = if to.ty == Type::I64 {
        let mut high = to.with(BinaryOp::MulHighS, x, by.multiplier);
        if by.multiplier >> 63 != 0 {
            // As a signed factor it is 2^64 too small.
            high = to.binary(BinaryOp::Add, high, x);
        }
        to.with(BinaryOp::ShrS, high, u64::from(by.shift))
    } else {
        let wide = to.unary(UnaryOp::ExtendS, Type::I64, x);
        let product = to.with(BinaryOp::Mul, wide, by.multiplier);
        let high = to.with(BinaryOp::ShrS, product, u64::from(32 + by.shift));
        to.unary(UnaryOp::Wrap, Type::I32, high)
    };
    // Shifts round down, division towards zero.
    let sign = to.with(BinaryOp::ShrU, x, u64::from(width - 1));
    let op = BinaryOp::Add;
    let quotient = InstData::Binary {
        op,
        args: [down, sign],
    };
    if d > 0 {
        return quotient;
    }
    let quotient = to.push(quotient, to.ty);
    negated(to, quotient)
}

#[cfg(test)]
mod tests {
    use super::*;
    use cellwall_ir::interp;

    /// Divides by the expansion, in the interpreter.
    fn divide(op: BinaryOp, ty: Type, d: u64, samples: &[u64]) {
        use cellwall_base::{EntityId, FuncIdx};
        let signature = cellwall_ir::Signature {
            params: vec![ty],
            results: vec![ty],
        };
        let mut func = Func::new(FuncIdx::new(0), signature);
        let block = func.make_block();
        func.order.push(block);
        let x = func.add_param(block, ty);
        let divisor = func.make_inst(InstData::Const { bits: d }, &[ty], 0);
        let args = [x, func.result(divisor)];
        let quotient = func.make_inst(InstData::Binary { op, args }, &[ty], 0);
        let mut insts = vec![divisor];
        let data = expand(&mut func, &mut insts, quotient).expect("the divisor is one of those");
        func.insts[quotient].data = data;
        let args = func.make_list(&[func.result(quotient)]);
        let ret = func.make_inst(InstData::Return { args }, &[], 0);
        insts.extend([quotient, ret]);
        func.blocks[block].insts = insts;
        cellwall_ir::check(&func).expect("the expansion is well formed");
        for &n in samples {
            let n = if ty == Type::I32 { n & 0xffff_ffff } else { n };
            let found = interp::run(&func, &[n.into()], &mut Nothing, &mut 100);
            let expected = op.eval(ty, n, d).map(|bits| vec![bits.into()]);
            assert_eq!(
                found,
                expected.map_err(interp::Stop::Trap),
                "{} {n:#x} {d:#x}",
                op.name()
            );
        }
    }

    /// A function that reaches nothing.
    struct Nothing;

    impl interp::Environment for Nothing {
        fn memory(&mut self, _: cellwall_base::MemoryIdx) -> &mut [u8] {
            unreachable!("there is no memory")
        }
        fn table_size(&mut self, _: cellwall_base::TableIdx) -> u64 {
            unreachable!("there is no table")
        }
        fn global(&mut self, _: cellwall_base::GlobalIdx) -> &mut interp::Bits {
            unreachable!("there is no global")
        }
        fn throw(&mut self, _: cellwall_base::TagIdx, _: &[interp::Bits]) -> interp::Stop {
            unreachable!("nothing is thrown")
        }
        fn catch(&mut self, _: Option<cellwall_base::TagIdx>, _: bool) -> Option<Vec<interp::Bits>> {
            unreachable!("nothing is thrown")
        }
        fn call(&mut self, _: cellwall_base::FuncIdx, _: &[interp::Bits], _: &mut u64) -> interp::Outcome {
            unreachable!("nothing is called")
        }
        fn call_indirect(
            &mut self,
            _: cellwall_base::TableIdx,
            _: cellwall_base::TypeIdx,
            _: u64,
            _: &[interp::Bits],
            _: &mut u64,
        ) -> interp::Outcome {
            unreachable!("nothing is called")
        }
        fn call_ref(&mut self, _: u64, _: &[interp::Bits], _: &mut u64) -> interp::Outcome {
            unreachable!("nothing is called")
        }
        fn tail_callee(
            &mut self,
            _: interp::Callee,
        ) -> Result<(cellwall_base::FuncIdx, Option<std::rc::Rc<Func>>), interp::Stop> {
            unreachable!("nothing is called")
        }
        fn call_library(
            &mut self,
            _: cellwall_ir::Library,
            _: &[interp::Bits],
            _: &mut u64,
        ) -> interp::Outcome {
            unreachable!("nothing is called")
        }
    }

    #[test]
    fn reciprocals_divide_at_all_edges() {
        let edges = (0..64).flat_map(|b| [(1u64 << b) - 1, 1 << b, (1 << b) + 1, !(1 << b)]);
        let edges: Vec<u64> = edges.chain([u64::MAX, 0x8000_0001, 0x7fff_fffe]).collect();
        let divisors =
            (3..300u64).chain([641, 0xffff, 0x7fff_ffff, 6_700_417, 1_000_000_007, 10_000_000_019]);
        let divisors = divisors.chain((5..64).flat_map(|b| [(1u64 << b) - 1, (1 << b) + 1, 3 << (b - 2)]));
        for d in divisors {
            // Where the quotient changes, besides: the exactness of the reciprocal decides there.
            let near = |d: u64, top: u64| {
                let last = top - top % d;
                [
                    d - 1,
                    d,
                    last.wrapping_sub(1),
                    last,
                    last.wrapping_sub(d),
                    last.wrapping_sub(d).wrapping_sub(1),
                ]
            };
            for ty in [Type::I32, Type::I64] {
                let mask = u64::MAX >> (64 - ty.bits());
                for (op, d) in [
                    (BinaryOp::DivU, d & mask),
                    (BinaryOp::RemU, d & mask),
                    (BinaryOp::DivS, d & mask),
                    (BinaryOp::DivS, d.wrapping_neg() & mask),
                    (BinaryOp::RemS, d & mask),
                ] {
                    let signed = matches!(op, BinaryOp::DivS | BinaryOp::RemS);
                    let bits = 64 - ty.bits();
                    let magnitude = if signed {
                        (((d << bits) as i64) >> bits).unsigned_abs()
                    } else {
                        d
                    };
                    if magnitude < 3 || magnitude.is_power_of_two() {
                        continue;
                    }
                    let top = if signed { mask >> 1 } else { mask };
                    let mut samples = edges.clone();
                    samples.extend(
                        near(magnitude, top)
                            .into_iter()
                            .flat_map(|n| [n, n.wrapping_neg()]),
                    );
                    divide(op, ty, d, &samples);
                }
            }
        }
    }
}
