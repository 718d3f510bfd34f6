//! Vectors of constants: operators are evaluated, and constants stand right.
//!
//! All other algebra of vectors is in the rule files. Requires nothing. Guarantees what the interpreter
//! gives. Deliberately does not evaluate what may choose a NaN: the processor is asked for its own, so
//! that code means the same with and without folding. Which instruction a shuffle is, lowering finds.

use super::site::{Simpler, Site};
use cellwall_ir::{InstData, Type, Value, VectorOp, lanes};

/// What a vector instruction with constants can be replaced by.
pub(super) fn constants(site: &Site<'_>, data: InstData) -> Option<Simpler> {
    match data {
        InstData::Shuffle { mask, args: [x, y] } => {
            let (x, y) = (bits(site, x)?, bits(site, y)?);
            Some(Simpler::Vector(lanes::shuffle(mask, x, y)))
        }
        InstData::Vector { op, lane, args } => {
            let [x, y, _] = args;
            let known = |value| bits(site, value).is_some();
            if op.arity() == 2 && op.commutes() && known(x) && !known(y) {
                let args = [y, x, y];
                return Some(Simpler::Inst(InstData::Vector { op, lane, args }));
            }
            evaluated(site, op, lane, args)
        }
        _ => None,
    }
}

/// The bits of a constant of any type.
fn bits(site: &Site<'_>, value: Value) -> Option<u128> {
    site.vector(value)
        .or_else(|| site.constant(value).map(u128::from))
}

fn evaluated(site: &Site<'_>, op: VectorOp, lane: u8, args: [Value; 3]) -> Option<Simpler> {
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
