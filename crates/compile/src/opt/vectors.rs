//! Folding and algebra of vector operators.
//!
//! The rule files know scalars only, so what pays for vectors stands here: operators of constants are
//! evaluated, constants stand right, and what gives an operand, a lane that was just set, or zero
//! needs no operator. No float operator is changed, because of NaN and -0, but those of constants that
//! are bits. Which instruction a shuffle is, lowering finds.
//!
//! Each rewrite makes the function no larger, and is applied as rules are.

use super::site::{Simpler, Site};
use cellwall_ir::{InstData, Type, Value, VectorOp, lanes};

/// What a vector instruction can be replaced by.
pub(super) fn simplify(site: &mut Site<'_>, data: InstData) -> Option<Simpler> {
    match data {
        InstData::Shuffle { mask, args } => shuffle(site, mask, args),
        InstData::Vector { op, lane, args } => {
            if let Some(simpler) = constant(site, op, lane, args) {
                return Some(simpler);
            }
            let [x, y, _] = args;
            if op.arity() == 2 && op.commutes() && bits(site, x).is_some() && bits(site, y).is_none() {
                return Some(inst(op, lane, &[y, x]));
            }
            match op.arity() {
                1 => one(site, op, lane, x),
                2 => two(site, op, lane, x, y),
                _ => (op == VectorOp::V128Bitselect && x == y).then_some(Simpler::Value(x)),
            }
        }
        _ => None,
    }
}

/// An operator on these operands.
fn inst(op: VectorOp, lane: u8, operands: &[Value]) -> Simpler {
    let mut args = [operands[0]; 3];
    args[..operands.len()].copy_from_slice(operands);
    Simpler::Inst(InstData::Vector { op, lane, args })
}

/// The bits of a constant of any type.
fn bits(site: &Site<'_>, value: Value) -> Option<u128> {
    match site.definition(value)? {
        InstData::Const { bits } => Some(bits.into()),
        InstData::VectorConst { bytes } => Some(u128::from_le_bytes(bytes)),
        _ => None,
    }
}

fn constant(site: &Site<'_>, op: VectorOp, lane: u8, args: [Value; 3]) -> Option<Simpler> {
    // The processor is asked for its NaN, so that code means the same with and without folding.
    if op.chooses_nan() {
        return None;
    }
    let mut known = [0; 3];
    for (bits_of, &arg) in known.iter_mut().zip(&args[..op.arity()]) {
        *bits_of = bits(site, arg)?;
    }
    let result = op.eval(lane, known);
    Some(match op.form().result() {
        Type::V128 => Simpler::Vector(result),
        _ => Simpler::Constant(result as u64),
    })
}

/// What defines a vector, if an operator does.
fn vector_of(site: &Site<'_>, value: Value) -> Option<(VectorOp, u8, [Value; 3])> {
    match site.definition(value)? {
        InstData::Vector { op, lane, args } => Some((op, lane, args)),
        _ => None,
    }
}

fn one(site: &mut Site<'_>, op: VectorOp, lane: u8, x: Value) -> Option<Simpler> {
    use VectorOp as V;
    let (inner, at, args) = vector_of(site, x)?;
    let set = match op {
        V::V128Not if inner == V::V128Not => return Some(Simpler::Value(args[0])),
        V::I32x4ExtractLane => [V::I32x4Splat, V::I32x4ReplaceLane],
        V::I64x2ExtractLane => [V::I64x2Splat, V::I64x2ReplaceLane],
        V::F32x4ExtractLane => [V::F32x4Splat, V::F32x4ReplaceLane],
        V::F64x2ExtractLane => [V::F64x2Splat, V::F64x2ReplaceLane],
        _ => return None,
    };
    match inner {
        _ if inner == set[0] => Some(Simpler::Value(args[0])),
        _ if inner == set[1] && at == lane => Some(Simpler::Value(args[1])),
        // Another lane was set.
        _ if inner == set[1] => Some(inst(op, lane, &[args[0]])),
        _ => None,
    }
}

fn two(site: &mut Site<'_>, op: VectorOp, lane: u8, x: Value, y: Value) -> Option<Simpler> {
    use VectorOp as V;
    let right = bits(site, y);
    let same = x == y;
    let value = Some(Simpler::Value(x));
    let zero = Some(Simpler::Vector(0));
    match op {
        V::V128And | V::V128Or if same => value,
        V::V128Xor | V::V128AndNot if same => zero,
        V::I8x16Sub | V::I16x8Sub | V::I32x4Sub | V::I64x2Sub if same => zero,
        V::I8x16Eq | V::I16x8Eq | V::I32x4Eq | V::I64x2Eq if same => Some(Simpler::Vector(u128::MAX)),
        V::I8x16Ne | V::I16x8Ne | V::I32x4Ne | V::I64x2Ne if same => zero,
        V::V128Or
        | V::V128Xor
        | V::V128AndNot
        | V::I8x16Add
        | V::I16x8Add
        | V::I32x4Add
        | V::I64x2Add
        | V::I8x16Sub
        | V::I16x8Sub
        | V::I32x4Sub
        | V::I64x2Sub
            if right == Some(0) =>
        {
            value
        }
        V::V128And if right == Some(u128::MAX) => value,
        V::V128And if right == Some(0) => zero,
        V::V128Or if right == Some(u128::MAX) => Some(Simpler::Vector(u128::MAX)),
        V::V128And => and_not(site, x, y),
        V::I16x8Mul | V::I32x4Mul | V::I64x2Mul => multiply(site, op, x, y, right),
        // Counts are taken modulo the width of a lane.
        _ if matches!(op.form(), cellwall_ir::Form::Shift) => {
            let count = right?;
            (count % u128::from(op.lane_bits()) == 0).then_some(Simpler::Value(x))
        }
        V::I32x4ReplaceLane | V::I64x2ReplaceLane | V::F32x4ReplaceLane | V::F64x2ReplaceLane => {
            // The lane is set again.
            let (inner, at, args) = vector_of(site, x)?;
            (inner == op && at == lane).then(|| inst(op, lane, &[args[0], y]))
        }
        _ => None,
    }
}

/// `x & !y`, on either side.
fn and_not(site: &Site<'_>, x: Value, y: Value) -> Option<Simpler> {
    let not = |value: Value| match vector_of(site, value)? {
        (VectorOp::V128Not, _, args) => Some(args[0]),
        _ => None,
    };
    if let Some(inner) = not(y) {
        return Some(inst(VectorOp::V128AndNot, 0, &[x, inner]));
    }
    not(x).map(|inner| inst(VectorOp::V128AndNot, 0, &[y, inner]))
}

/// Products by powers of two, and of numbers that were just extended.
fn multiply(site: &mut Site<'_>, op: VectorOp, x: Value, y: Value, right: Option<u128>) -> Option<Simpler> {
    use VectorOp as V;
    let width = op.lane_bits();
    if let Some(all) = right {
        let factor = all as u64 & (u64::MAX >> (64 - width));
        let splat = match op {
            V::I16x8Mul => V::I16x8Splat,
            V::I32x4Mul => V::I32x4Splat,
            _ => V::I64x2Splat,
        };
        if splat.eval(0, [factor.into(), 0, 0]) != all || !factor.is_power_of_two() {
            return None;
        }
        let shift = match op {
            V::I16x8Mul => V::I16x8Shl,
            V::I32x4Mul => V::I32x4Shl,
            _ => V::I64x2Shl,
        };
        let count = site.number(Type::I32, factor.trailing_zeros().into());
        return Some(inst(shift, 0, &[x, count]));
    }
    let ((a, _, from_x), (b, _, from_y)) = (vector_of(site, x)?, vector_of(site, y)?);
    let product = match (op, a) {
        _ if a != b => return None,
        (V::I16x8Mul, V::I16x8ExtendLowI8x16S) => V::I16x8ExtMulLowI8x16S,
        (V::I16x8Mul, V::I16x8ExtendLowI8x16U) => V::I16x8ExtMulLowI8x16U,
        (V::I16x8Mul, V::I16x8ExtendHighI8x16S) => V::I16x8ExtMulHighI8x16S,
        (V::I16x8Mul, V::I16x8ExtendHighI8x16U) => V::I16x8ExtMulHighI8x16U,
        (V::I32x4Mul, V::I32x4ExtendLowI16x8S) => V::I32x4ExtMulLowI16x8S,
        (V::I32x4Mul, V::I32x4ExtendLowI16x8U) => V::I32x4ExtMulLowI16x8U,
        (V::I32x4Mul, V::I32x4ExtendHighI16x8S) => V::I32x4ExtMulHighI16x8S,
        (V::I32x4Mul, V::I32x4ExtendHighI16x8U) => V::I32x4ExtMulHighI16x8U,
        (V::I64x2Mul, V::I64x2ExtendLowI32x4S) => V::I64x2ExtMulLowI32x4S,
        (V::I64x2Mul, V::I64x2ExtendLowI32x4U) => V::I64x2ExtMulLowI32x4U,
        (V::I64x2Mul, V::I64x2ExtendHighI32x4S) => V::I64x2ExtMulHighI32x4S,
        (V::I64x2Mul, V::I64x2ExtendHighI32x4U) => V::I64x2ExtMulHighI32x4U,
        _ => return None,
    };
    (site.once(x) && site.once(y)).then(|| inst(product, 0, &[from_x[0], from_y[0]]))
}

fn shuffle(site: &Site<'_>, mask: [u8; 16], [x, y]: [Value; 2]) -> Option<Simpler> {
    if let (Some(x), Some(y)) = (bits(site, x), bits(site, y)) {
        return Some(Simpler::Vector(lanes::shuffle(mask, x, y)));
    }
    let in_place = |from: u8| mask.iter().zip(from..).all(|(&byte, at)| byte == at);
    let source = match () {
        () if in_place(0) => x,
        () if in_place(16) => y,
        () if x == y && mask.iter().zip(0..).all(|(&byte, at)| byte % 16 == at) => x,
        () => return None,
    };
    Some(Simpler::Value(source))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::opt::{Passes, run, tests::config};

    /// Every operator of constants is evaluated as the interpreter does, and only those that choose a
    /// NaN are not.
    #[test]
    fn only_operators_that_choose_a_nan_are_left() {
        let open: Vec<_> = VectorOp::ALL.iter().filter(|op| op.chooses_nan()).collect();
        assert_eq!(open.len(), 28);
        for op in open {
            assert!(op.name().starts_with('f'), "{}", op.name());
        }
    }

    /// The names of what is left of `(func (param v128 v128 i32 f32) (result …) body)`, in order.
    fn left(result: &str, body: &str) -> Vec<String> {
        let wat = format!("(module (func (param v128 v128 i32 f32) (result {result}) {body}))");
        let mut func = crate::translate::translate_for_tests(&wat);
        run(&mut func, config(Passes::ALL), |_, func| {
            cellwall_ir::check(func).expect("every step keeps the rules");
        });
        let text = func.to_string();
        let lines = text.lines().filter_map(|line| line.split_once(" = "));
        lines
            .map(|(_, op)| op.split(' ').next().unwrap_or_default().to_owned())
            .collect()
    }

    /// What folds beside what is nearly the same and must stay.
    #[test]
    fn each_rewrite_has_a_neighbour_that_stays() {
        let (x, y) = ("(local.get 0)", "(local.get 1)");
        let four = |lane: u32| format!("(v128.const i32x4 {lane} {lane} {lane} {lane})");
        let (zero, mixed) = (four(0), "(v128.const i32x4 4 4 4 8)");
        let cases = [
            // Constants.
            (
                "v128",
                "(i32x4.splat (i32.const 7))".into(),
                "(i32x4.splat (local.get 2))".into(),
                1,
                1,
            ),
            (
                "i32",
                format!("(i8x16.bitmask {})", four(0x8000)),
                format!("(i8x16.bitmask {x})"),
                1,
                1,
            ),
            (
                "v128",
                format!("(v128.xor {x} {x})"),
                format!("(v128.xor {x} {y})"),
                1,
                1,
            ),
            (
                "v128",
                format!("(i32x4.add {x} {zero})"),
                format!("(f32x4.add {x} {zero})"),
                0,
                2,
            ),
            (
                "v128",
                format!("(i16x8.shl {x} (i32.const 16))"),
                format!("(i16x8.shl {x} (i32.const 17))"),
                0,
                2,
            ),
            (
                "v128",
                format!("(v128.not (v128.not {x}))"),
                format!("(v128.not (i32x4.neg {x}))"),
                0,
                2,
            ),
            // Lanes.
            (
                "f32",
                format!("(f32x4.extract_lane 1 (f32x4.replace_lane 1 {x} (local.get 3)))"),
                format!("(f32x4.extract_lane 1 (f32x4.replace_lane 2 {x} (local.get 3)))"),
                0,
                1,
            ),
            (
                "i32",
                "(i32x4.extract_lane 3 (i32x4.splat (local.get 2)))".into(),
                "(i16x8.extract_lane_u 3 (i16x8.splat (local.get 2)))".into(),
                0,
                2,
            ),
            // Products.
            (
                "v128",
                format!("(i32x4.mul {x} {})", four(4)),
                format!("(i32x4.mul {x} {mixed})"),
                2,
                2,
            ),
            (
                "v128",
                format!("(i32x4.mul (i32x4.extend_low_i16x8_s {x}) (i32x4.extend_low_i16x8_s {y}))"),
                format!("(i32x4.mul (i32x4.extend_low_i16x8_s {x}) (i32x4.extend_low_i16x8_u {y}))"),
                1,
                3,
            ),
            // Shuffles.
            (
                "v128",
                format!("(i8x16.shuffle 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 {x} {y})"),
                format!("(i8x16.shuffle 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 15 {x} {y})"),
                0,
                1,
            ),
        ];
        for (result, folds, stays, few, many) in cases {
            assert_eq!(
                left(result, &folds).len(),
                few,
                "{folds}: {:?}",
                left(result, &folds)
            );
            assert_eq!(
                left(result, &stays).len(),
                many,
                "{stays}: {:?}",
                left(result, &stays)
            );
        }
        let product = left("v128", &format!("(i32x4.mul {} {x})", four(4)));
        assert_eq!(product, ["const", "i32x4.shl"]);
        let nots = left("v128", &format!("(v128.and (v128.not {x}) {y})"));
        assert_eq!(nots, ["v128.andnot"]);
    }
}
