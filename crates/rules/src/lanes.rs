//! What vector operators mean, in bit-vectors: lane by lane, written once more beside `ir::lanes`.
//!
//! Requires operands of the operator's types. Guarantees a term of its result's width, or none for
//! operators whose lanes are floats that are computed with, or converted. Operators are told apart by
//! their names in WebAssembly, behind the shape; the shape says how wide a lane is.

use crate::encode::{comparison, float_less};
use crate::term::{Smt, TermId, Terms};
use cellwall_ir::{CompareOp, Form, Type, VectorOp};

/// The meaning of an operator; a lane that it names is the first operand.
pub(crate) fn meaning(terms: &mut Terms, op: VectorOp, operands: &[TermId]) -> Option<TermId> {
    let (_, name) = op.name().split_once('.').expect("names have shapes");
    let mut lanes = Lanes {
        terms,
        bits: op.lane_bits(),
        is_float: op.name().starts_with('f'),
    };
    let width = op.lane_bits();
    Some(match (op.form(), operands) {
        (Form::Unary, &[x]) => lanes.unary(name, x)?,
        (Form::Binary, &[x, y]) => lanes.binary(name, x, y)?,
        (Form::Ternary, &[x, y, z]) => lanes.ternary(name, x, y, z)?,
        (Form::Shift, &[x, count]) => lanes.shift(name, x, count),
        (Form::Test, &[x]) => lanes.test(name, x),
        (Form::Splat(_), &[x]) => {
            let low = lanes.low(x, width);
            lanes.build(|_, _| low)
        }
        (Form::Extract(ty), &[lane, x]) => {
            let lane = lanes.chosen(lane, x);
            match name {
                "extract_lane_s" => lanes.terms.op(Smt::SignExtend(ty.bits() - width), &[lane]),
                _ => lanes.terms.op(Smt::ZeroExtend(ty.bits() - width), &[lane]),
            }
        }
        (Form::Replace(_), &[lane, x, y]) => {
            let new = lanes.low(y, width);
            lanes.build(|lanes, i| {
                let old = lanes.lane(x, i);
                let is_it = lanes.is_lane(lane, i);
                lanes.terms.op(Smt::Ite, &[is_it, new, old])
            })
        }
        _ => unreachable!("the parser counts operands"),
    })
}

/// The bytes of `x` and `y` that the bytes of a mask name.
pub(crate) fn shuffle(terms: &mut Terms, mask: TermId, x: TermId, y: TermId) -> TermId {
    let mut lanes = Lanes {
        terms,
        bits: 8,
        is_float: false,
    };
    lanes.build(|lanes, i| {
        let from = lanes.lane(mask, i);
        let (first, second) = (lanes.byte_at(x, from), lanes.byte_at(y, from));
        let half = lanes.terms.number(16, 8);
        let is_first = lanes.terms.op(Smt::Ult, &[from, half]);
        lanes.terms.op(Smt::Ite, &[is_first, first, second])
    })
}

/// Whether a lane or a mask is one: what the checker of the IR wants of the instruction.
pub(crate) fn is_immediate(terms: &mut Terms, lanes: u32, immediate: TermId) -> TermId {
    if terms.bits(immediate) == 32 {
        let lanes = terms.number(lanes.into(), 32);
        return terms.op(Smt::Ult, &[immediate, lanes]);
    }
    let beyond = terms.number(u128::from_le_bytes([0xe0; 16]), 128);
    let beyond = terms.op(Smt::BvAnd, &[immediate, beyond]);
    let zero = terms.number(0, 128);
    terms.op(Smt::Eq, &[beyond, zero])
}

struct Lanes<'t> {
    terms: &'t mut Terms,
    /// Bits of a lane of the result.
    bits: u32,
    is_float: bool,
}

impl Lanes<'_> {
    fn op(&mut self, op: Smt, operands: &[TermId]) -> TermId {
        self.terms.op(op, operands)
    }

    fn number(&mut self, value: u128, bits: u32) -> TermId {
        self.terms.number(value, bits)
    }

    fn low(&mut self, x: TermId, bits: u32) -> TermId {
        if self.terms.bits(x) == bits {
            return x;
        }
        let high = bits - 1;
        self.op(Smt::Extract { high, low: 0 }, &[x])
    }

    /// The lane `index` of lanes of so many bits.
    fn lane_of(&mut self, bits: u32, x: TermId, index: u32) -> TermId {
        let (high, low) = (bits * index + bits - 1, bits * index);
        self.op(Smt::Extract { high, low }, &[x])
    }

    fn lane(&mut self, x: TermId, index: u32) -> TermId {
        self.lane_of(self.bits, x, index)
    }

    /// The vector of these lanes.
    fn build(&mut self, mut lane: impl FnMut(&mut Self, u32) -> TermId) -> TermId {
        let first = lane(self, 0);
        (1..128 / self.bits).fold(first, |below, i| {
            let above = lane(self, i);
            self.op(Smt::Concat, &[above, below])
        })
    }

    fn is_lane(&mut self, lane: TermId, index: u32) -> TermId {
        let index = self.number(index.into(), 32);
        self.op(Smt::Eq, &[lane, index])
    }

    /// The lane that a number names.
    fn chosen(&mut self, lane: TermId, x: TermId) -> TermId {
        let last = 128 / self.bits - 1;
        let mut chosen = self.lane(x, last);
        for i in 0..last {
            let (is_it, this) = (self.is_lane(lane, i), self.lane(x, i));
            chosen = self.op(Smt::Ite, &[is_it, this, chosen]);
        }
        chosen
    }

    /// The byte of a vector that the low four bits of a byte name.
    fn byte_at(&mut self, x: TermId, index: TermId) -> TermId {
        let places = self.number(15, 8);
        let place = self.op(Smt::BvAnd, &[index, places]);
        let place = self.op(Smt::ZeroExtend(120), &[place]);
        let three = self.number(3, 128);
        let bits = self.op(Smt::Shl, &[place, three]);
        let shifted = self.op(Smt::Lshr, &[x, bits]);
        self.low(shifted, 8)
    }

    /// All bits of a lane, or none.
    fn all(&mut self, holds: TermId) -> TermId {
        let (ones, zero) = (self.number(u128::MAX, self.bits), self.number(0, self.bits));
        self.op(Smt::Ite, &[holds, ones, zero])
    }

    /// A number of more bits, saturated to those of a lane.
    fn saturated(&mut self, wide: TermId, is_signed: bool) -> TermId {
        let (from, to) = (self.terms.bits(wide), self.bits);
        let (least, most) = match is_signed {
            true => (u128::MAX << (to - 1), (1 << (to - 1)) - 1),
            false => (0, (1 << to) - 1),
        };
        let (least, most) = (self.number(least, from), self.number(most, from));
        let below = self.op(Smt::Slt, &[wide, least]);
        let above = self.op(Smt::Slt, &[most, wide]);
        let inside = self.op(Smt::Ite, &[above, most, wide]);
        let value = self.op(Smt::Ite, &[below, least, inside]);
        self.low(value, to)
    }

    /// Half as wide a lane, extended.
    fn extended(&mut self, x: TermId, index: u32, is_signed: bool) -> TermId {
        let half = self.bits / 2;
        let lane = self.lane_of(half, x, index);
        let extend = if is_signed {
            Smt::SignExtend
        } else {
            Smt::ZeroExtend
        };
        self.op(extend(half), &[lane])
    }

    fn unary(&mut self, name: &str, x: TermId) -> Option<TermId> {
        let (bits, lanes) = (self.bits, 128 / self.bits);
        let is_signed = name.ends_with("_s");
        let sign = 1u128 << (bits - 1);
        Some(match name {
            "not" => {
                let ones = self.number(u128::MAX, 128);
                self.op(Smt::BvXor, &[x, ones])
            }
            "abs" | "neg" if self.is_float => self.build(|lanes, i| {
                let lane = lanes.lane(x, i);
                let (op, mask) = match name {
                    "abs" => (Smt::BvAnd, sign - 1),
                    _ => (Smt::BvXor, sign),
                };
                let mask = lanes.number(mask, bits);
                lanes.op(op, &[lane, mask])
            }),
            "abs" | "neg" => self.build(|lanes, i| {
                let (lane, zero) = (lanes.lane(x, i), lanes.number(0, bits));
                let negated = lanes.op(Smt::Sub, &[zero, lane]);
                let is_negative = lanes.op(Smt::Slt, &[lane, zero]);
                match name {
                    "abs" => lanes.op(Smt::Ite, &[is_negative, negated, lane]),
                    _ => negated,
                }
            }),
            "popcnt" => self.build(|lanes, i| {
                let zero = lanes.number(0, bits);
                (0..bits).fold(zero, |sum, bit| {
                    let bit = lanes.lane_of(1, x, bits * i + bit);
                    let bit = lanes.op(Smt::ZeroExtend(bits - 1), &[bit]);
                    lanes.op(Smt::Add, &[sum, bit])
                })
            }),
            _ if name.starts_with("extadd_pairwise") => self.build(|lanes, i| {
                let pair = [2 * i, 2 * i + 1].map(|i| lanes.extended(x, i, is_signed));
                lanes.op(Smt::Add, &pair)
            }),
            _ if name.starts_with("extend_low") => self.build(|lanes, i| lanes.extended(x, i, is_signed)),
            _ if name.starts_with("extend_high") => {
                self.build(|all, i| all.extended(x, i + lanes, is_signed))
            }
            _ => return None,
        })
    }

    fn binary(&mut self, name: &str, x: TermId, y: TermId) -> Option<TermId> {
        let lanes = 128 / self.bits;
        let is_signed = name.ends_with("_s");
        // Lane by lane where one of these knows the name.
        let (a, b) = (self.lane(x, 0), self.lane(y, 0));
        if self.of_lanes(name, a, b).is_some() {
            return Some(self.build(|lanes, i| {
                let (a, b) = (lanes.lane(x, i), lanes.lane(y, i));
                lanes.of_lanes(name, a, b).expect("it knew the name")
            }));
        }
        Some(match name {
            "swizzle" | "swizzle_low" => self.build(|lanes, i| {
                let from = lanes.lane(y, i);
                let byte = lanes.byte_at(x, from);
                let end = lanes.number(if name == "swizzle" { 16 } else { 128 }, 8);
                let (is_inside, zero) = (lanes.op(Smt::Ult, &[from, end]), lanes.number(0, 8));
                lanes.op(Smt::Ite, &[is_inside, byte, zero])
            }),
            "dot_i16x8_s" => self.build(|lanes, i| {
                let products = [2 * i, 2 * i + 1].map(|i| {
                    let factors = [x, y].map(|x| lanes.extended(x, i, true));
                    lanes.op(Smt::Mul, &factors)
                });
                lanes.op(Smt::Add, &products)
            }),
            _ if name.starts_with("narrow") => self.build(|all, i| {
                let from = if i < lanes / 2 { x } else { y };
                let wide = all.lane_of(2 * all.bits, from, i % (lanes / 2));
                all.saturated(wide, is_signed)
            }),
            _ if name.starts_with("extmul") => self.build(|all, i| {
                let i = if name.starts_with("extmul_high") {
                    i + lanes
                } else {
                    i
                };
                let factors = [x, y].map(|x| all.extended(x, i, is_signed));
                all.op(Smt::Mul, &factors)
            }),
            _ => return None,
        })
    }

    /// An operator on one lane of each operand.
    fn of_lanes(&mut self, name: &str, x: TermId, y: TermId) -> Option<TermId> {
        let bits = self.bits;
        if self.is_float {
            return self.of_floats(name, x, y);
        }
        let simple = match name {
            "add" => Smt::Add,
            "sub" => Smt::Sub,
            "mul" => Smt::Mul,
            "and" => Smt::BvAnd,
            "or" => Smt::BvOr,
            "xor" => Smt::BvXor,
            _ => return self.of_integers(name, x, y),
        };
        debug_assert!(self.terms.bits(x) == bits);
        Some(self.op(simple, &[x, y]))
    }

    fn of_integers(&mut self, name: &str, x: TermId, y: TermId) -> Option<TermId> {
        let bits = self.bits;
        let less = if name.ends_with("_s") { Smt::Slt } else { Smt::Ult };
        let at_most = if name.ends_with("_s") { Smt::Sle } else { Smt::Ule };
        let holds = match name {
            "eq" | "ne" => self.op(Smt::Eq, &[x, y]),
            "lt_s" | "lt_u" | "min_s" | "min_u" => self.op(less, &[x, y]),
            "gt_s" | "gt_u" | "max_s" | "max_u" => self.op(less, &[y, x]),
            "le_s" | "le_u" => self.op(at_most, &[x, y]),
            "ge_s" | "ge_u" => self.op(at_most, &[y, x]),
            "andnot" => {
                let ones = self.number(u128::MAX, bits);
                let not = self.op(Smt::BvXor, &[y, ones]);
                return Some(self.op(Smt::BvAnd, &[x, not]));
            }
            _ => return self.of_wider(name, x, y),
        };
        Some(match name {
            "ne" => {
                let differ = self.op(Smt::Not, &[holds]);
                self.all(differ)
            }
            "min_s" | "min_u" | "max_s" | "max_u" => self.op(Smt::Ite, &[holds, x, y]),
            _ => self.all(holds),
        })
    }

    /// What is computed with more bits than a lane has.
    fn of_wider(&mut self, name: &str, x: TermId, y: TermId) -> Option<TermId> {
        let bits = self.bits;
        let is_signed = name.ends_with("_s") || name == "q15mulr";
        let extend = match (is_signed, name.starts_with("q15")) {
            (_, true) => Smt::SignExtend(bits + 2),
            (true, _) => Smt::SignExtend(2),
            (false, _) => Smt::ZeroExtend(2),
        };
        if !matches!(
            name,
            "add_sat_s" | "add_sat_u" | "sub_sat_s" | "sub_sat_u" | "avgr_u" | "q15mulr_sat_s" | "q15mulr"
        ) {
            return None;
        }
        let [a, b] = [x, y].map(|x| self.op(extend, &[x]));
        Some(match name {
            "add_sat_s" | "add_sat_u" => {
                let sum = self.op(Smt::Add, &[a, b]);
                self.saturated(sum, is_signed)
            }
            "sub_sat_s" | "sub_sat_u" => {
                let difference = self.op(Smt::Sub, &[a, b]);
                self.saturated(difference, is_signed)
            }
            "avgr_u" => {
                let (sum, one) = (self.op(Smt::Add, &[a, b]), self.number(1, bits + 2));
                let sum = self.op(Smt::Add, &[sum, one]);
                let half = self.op(Smt::Lshr, &[sum, one]);
                self.low(half, bits)
            }
            _ => {
                let (product, half) = (self.op(Smt::Mul, &[a, b]), self.number(0x4000, 2 * bits + 2));
                let sum = self.op(Smt::Add, &[product, half]);
                let places = self.number(15, 2 * bits + 2);
                let rounded = self.op(Smt::Ashr, &[sum, places]);
                match name {
                    "q15mulr" => self.low(rounded, bits),
                    _ => self.saturated(rounded, true),
                }
            }
        })
    }

    /// Comparisons, and the choices that are made by one.
    fn of_floats(&mut self, name: &str, x: TermId, y: TermId) -> Option<TermId> {
        let ty = if self.bits == 32 { Type::F32 } else { Type::F64 };
        let op = match name {
            "eq" => CompareOp::FEq,
            "ne" => CompareOp::FNe,
            "lt" => CompareOp::FLt,
            "gt" => CompareOp::FGt,
            "le" => CompareOp::FLe,
            "ge" => CompareOp::FGe,
            "pmin" | "pmax" => {
                let holds = match name {
                    "pmin" => float_less(self.terms, ty, y, x),
                    _ => float_less(self.terms, ty, x, y),
                };
                return Some(self.op(Smt::Ite, &[holds, y, x]));
            }
            _ => return None,
        };
        let holds = comparison(self.terms, op, ty, x, y);
        Some(self.all(holds))
    }

    fn ternary(&mut self, name: &str, x: TermId, y: TermId, z: TermId) -> Option<TermId> {
        match name {
            "bitselect" => {
                let ones = self.number(u128::MAX, 128);
                let not = self.op(Smt::BvXor, &[z, ones]);
                let (x, y) = (self.op(Smt::BvAnd, &[x, z]), self.op(Smt::BvAnd, &[y, not]));
                Some(self.op(Smt::BvOr, &[x, y]))
            }
            "blend" => Some(self.build(|lanes, i| {
                let [x, y, z] = [x, y, z].map(|x| lanes.lane(x, i));
                let zero = lanes.number(0, lanes.bits);
                let is_set = lanes.op(Smt::Slt, &[z, zero]);
                lanes.op(Smt::Ite, &[is_set, x, y])
            })),
            _ => None,
        }
    }

    fn shift(&mut self, name: &str, x: TermId, count: TermId) -> TermId {
        let bits = self.bits;
        // Modulo the width, which is a power of two.
        let most = self.number(u128::from(bits - 1), 32);
        let count = self.op(Smt::BvAnd, &[count, most]);
        let count = match bits {
            64 => self.op(Smt::ZeroExtend(32), &[count]),
            _ => self.low(count, bits),
        };
        let op = match name {
            "shl" => Smt::Shl,
            "shr_u" => Smt::Lshr,
            _ => Smt::Ashr,
        };
        self.build(|lanes, i| {
            let lane = lanes.lane(x, i);
            lanes.op(op, &[lane, count])
        })
    }

    fn test(&mut self, name: &str, x: TermId) -> TermId {
        let (bits, lanes) = (self.bits, 128 / self.bits);
        let zero = self.number(0, bits);
        let (one, none) = (self.number(1, 32), self.number(0, 32));
        match name {
            "any_true" => {
                let is_zero = self.op(Smt::Eq, &[x, zero]);
                self.op(Smt::Ite, &[is_zero, none, one])
            }
            "all_true" => (0..lanes).fold(one, |all, i| {
                let lane = self.lane(x, i);
                let is_zero = self.op(Smt::Eq, &[lane, zero]);
                self.op(Smt::Ite, &[is_zero, none, all])
            }),
            _ => (0..lanes).fold(none, |set, i| {
                let sign = self.lane_of(1, x, bits * i + bits - 1);
                let sign = self.op(Smt::ZeroExtend(31), &[sign]);
                let place = self.number(i.into(), 32);
                let bit = self.op(Smt::Shl, &[sign, place]);
                self.op(Smt::BvOr, &[set, bit])
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::term::Sort;
    use std::collections::BTreeMap;

    /// Vectors with something special in each width of lane, and some without.
    fn samples(count: usize) -> Vec<u128> {
        let mut state = 0x9e37_79b9_7f4a_7c15u64;
        let mut random = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        let special = [
            0,
            1,
            0x7f,
            0x80,
            0xff,
            0x7fff,
            0x8000,
            0xffff,
            0x7fff_ffff,
            0x8000_0000,
            0x7fc0_0000,
        ];
        let mut list = vec![
            0,
            u128::MAX,
            u128::from_le_bytes([0x80; 16]),
            u128::from_le_bytes([0x7f; 16]),
        ];
        list.extend((0..count).map(|i| match i % 3 {
            0 => u128::from(random()) << 64 | u128::from(random()),
            // Lanes of 16 or 32 bits that are special.
            1 => (0..8).fold(0, |x, _| x << 16 | special[random() as usize % 8]),
            _ => (0..4).fold(0, |x, _| x << 32 | special[random() as usize % special.len()]),
        }));
        list.push(u128::from(0x7ff8u64 << 48) << 64 | u128::from(0xfff0u64 << 48));
        list
    }

    #[test]
    fn meanings_are_those_of_the_ir() {
        let samples = samples(24);
        let mut encoded = 0;
        for &op in VectorOp::ALL {
            for lane in 0..if op.form().has_lane() { op.lanes() } else { 1 } {
                let mut terms = Terms::default();
                let names = ["x", "y", "z"];
                let types = op.form().operands();
                let variables = types
                    .iter()
                    .zip(names)
                    .map(|(ty, name)| (name, Sort::Bits(ty.bits())));
                let mut operands: Vec<TermId> =
                    variables.map(|(name, sort)| terms.variable(name, sort)).collect();
                if op.form().has_lane() {
                    operands.insert(0, terms.number(lane.into(), 32));
                }
                let Some(meaning) = meaning(&mut terms, op, &operands) else {
                    assert!(
                        op.chooses_nan()
                            || op.name().contains("convert")
                            || op.name().contains("trunc")
                            || op.name().contains("dot_i8x16"),
                        "{}",
                        op.name()
                    );
                    continue;
                };
                encoded += 1;
                assert_eq!(terms.bits(meaning), op.form().result().bits(), "{}", op.name());
                for (i, &x) in samples.iter().enumerate() {
                    let given = [
                        x,
                        samples[(7 * i + 3) % samples.len()],
                        samples[(5 * i + 1) % samples.len()],
                    ];
                    let mut given = given;
                    for (value, ty) in given.iter_mut().zip(types) {
                        *value &= u128::MAX >> (128 - ty.bits());
                    }
                    let values: BTreeMap<String, u128> = names
                        .iter()
                        .zip(given)
                        .map(|(name, value)| ((*name).to_owned(), value))
                        .collect();
                    let found = terms.value(&terms.evaluate(&values), meaning);
                    assert_eq!(
                        found,
                        op.eval(lane as u8, given),
                        "{} {lane} {given:x?}",
                        op.name()
                    );
                }
            }
        }
        assert!(encoded > 200, "{encoded}");
    }

    #[test]
    fn shuffles_are_those_of_the_ir() {
        let mut terms = Terms::default();
        let [mask, x, y] = ["m", "x", "y"].map(|name| terms.variable(name, Sort::Bits(128)));
        let (all, is_mask) = (
            shuffle(&mut terms, mask, x, y),
            is_immediate(&mut terms, 16, mask),
        );
        let samples = samples(60);
        for (i, &m) in samples.iter().enumerate() {
            let [x, y] = [1, 2].map(|step| samples[(i + step) % samples.len()]);
            for (m, fits) in [(m & u128::from_le_bytes([31; 16]), 1), (m | 0x20, 0)] {
                let values = [("m".to_owned(), m), ("x".to_owned(), x), ("y".to_owned(), y)];
                let values = terms.evaluate(&values.into());
                assert_eq!(terms.value(&values, is_mask), fits);
                if fits == 1 {
                    let wanted = cellwall_ir::lanes::shuffle(m.to_le_bytes(), x, y);
                    assert_eq!(terms.value(&values, all), wanted, "{m:x} {x:x} {y:x}");
                }
            }
        }
    }
}
