//! The examples of the rules, run through the optimizer: each rule is applied to its own, and what
//! is made gives the same.

use super::tests::config;
use super::{Fired, Passes};
use cellwall_base::FuncIdx;
use cellwall_ir::{BinaryOp, Func, FuncBuilder, InstData, Signature, Type, Value, check};
use cellwall_rules::{Example, Expr, Kind, Op, Typed, examples};
use std::collections::BTreeMap;

/// Arguments that values are computed for; the second argument of the function comes from behind.
const ARGUMENTS: [u64; 7] = [0, 1, 2, 31, 0x8000_0000, 0x0123_4567_89ab_cdef, u64::MAX];

/// What is known of the bits of a value: made of a parameter and this constant.
const KNOWN: [Option<(BinaryOp, u64)>; 5] = [
    None,
    Some((BinaryOp::And, 1)),
    Some((BinaryOp::And, 0xff)),
    Some((BinaryOp::ShrU, 1)),
    Some((BinaryOp::Shl, 8)),
];

/// The files of rules; a new one is to be listed.
const FILES: [(&str, &str); 7] = [
    ("bits.rules", include_str!("bits.rules")),
    ("compares.rules", include_str!("compares.rules")),
    ("extends.rules", include_str!("extends.rules")),
    ("floats.rules", include_str!("floats.rules")),
    ("integers.rules", include_str!("integers.rules")),
    ("products.rules", include_str!("products.rules")),
    ("vectors.rules", include_str!("vectors.rules")),
];

fn rules() -> Vec<Typed> {
    cellwall_rules::check(FILES).unwrap_or_else(|(file, error)| panic!("{file}:{error}"))
}

/// A function that computes an example.
pub(crate) struct Made<'e> {
    pub(crate) example: &'e Example<'e>,
    pub(crate) typing: &'e [Type],
    pub(crate) values: BTreeMap<&'e str, Value>,
}

impl<'e> Made<'e> {
    fn func(example: &'e Example<'e>, typing: &'e [Type], known: Option<(BinaryOp, u64)>) -> Func {
        let mut names: BTreeMap<&str, Type> = BTreeMap::new();
        example.left.walk(&mut |expr| {
            if let Kind::Value(name) = &expr.kind {
                names.insert(name, example.ty(typing, expr));
            }
        });
        let signature = Signature {
            params: names.values().copied().collect(),
            results: vec![example.ty(typing, example.left)],
        };
        let mut func = Func::new(FuncIdx::from_u32(0), signature);
        let block = func.make_block();
        func.order.push(block);
        let params: Vec<Value> = names.values().map(|&ty| func.add_param(block, ty)).collect();
        let mut builder = FuncBuilder {
            func: &mut func,
            block,
            source: 0,
        };
        let mut values = BTreeMap::new();
        for ((&name, &ty), param) in names.iter().zip(params) {
            let value = match known {
                Some((op, bits)) if ty.is_int() => {
                    let bits = builder.constant(ty, bits);
                    builder.binary(op, param, bits)
                }
                _ => param,
            };
            values.insert(name, value);
        }
        let made = Self {
            example,
            typing,
            values,
        };
        let result = made.expr(&mut builder, example.left);
        let args = builder.func.make_list(&[result]);
        builder.push(InstData::Return { args }, &[]);
        func
    }

    /// The value of an expression.
    pub(crate) fn expr(&self, builder: &mut FuncBuilder<'_>, expr: &Expr) -> Value {
        let ty = self.example.ty(self.typing, expr);
        let (op, list) = match &expr.kind {
            Kind::Value(name) => return self.values[&name[..]],
            Kind::Literal(number) if ty == Type::V128 => return vector(builder, *number as u128),
            Kind::Literal(number) => {
                let bits = *number as u64 & (u64::MAX >> (64 - ty.bits()));
                return builder.constant(ty, bits);
            }
            Kind::Bits => return builder.constant(ty, ty.bits().into()),
            // A constant vector of equal lanes.
            Kind::Fold(Op::Vector(op), list) => {
                let Kind::Literal(lane) = list[0].kind else {
                    panic!("{:?} in an example", list[0].kind)
                };
                return vector(builder, op.eval(0, [lane as u128, 0, 0]));
            }
            Kind::Op(op, list) if op.has_immediate() => return self.with_immediate(builder, *op, list),
            Kind::Op(op, list) => (*op, list),
            other => panic!("{other:?} in an example"),
        };
        let args: Vec<Value> = list.iter().map(|inner| self.expr(builder, inner)).collect();
        match (op, &args[..]) {
            (Op::Unary(op), &[x]) => builder.unary(op, ty, x),
            (Op::Binary(op), &[x, y]) => builder.binary(op, x, y),
            (Op::Compare(op), &[x, y]) => builder.compare(op, x, y),
            (Op::Vector(op), args) => builder.vector(op, args),
            (Op::Select, &[cond, x, y]) => builder.value(InstData::Select { cond, args: [x, y] }, ty),
            _ => panic!("{op:?} of {} operands", args.len()),
        }
    }

    /// An operation whose first operand is part of the instruction.
    fn with_immediate(&self, builder: &mut FuncBuilder<'_>, op: Op, list: &[Expr]) -> Value {
        let Kind::Literal(first) = list[0].kind else {
            panic!("{:?} in place of a lane", list[0].kind)
        };
        let args: Vec<Value> = list[1..].iter().map(|inner| self.expr(builder, inner)).collect();
        match op {
            Op::Vector(op) => builder.vector_lane(op, first as u8, &args),
            _ => {
                let mask = first.to_le_bytes();
                let args = [args[0], args[1]];
                builder.value(InstData::Shuffle { mask, args }, Type::V128)
            }
        }
    }
}

fn vector(builder: &mut FuncBuilder<'_>, bits: u128) -> Value {
    let bytes = bits.to_le_bytes();
    builder.value(InstData::VectorConst { bytes }, Type::V128)
}

/// What a function of one block returns; nothing if it traps.
fn result(func: &Func, shift: usize) -> Option<u128> {
    let block = func.entry();
    let mut bits: BTreeMap<Value, u128> = BTreeMap::new();
    for (at, &param) in func.blocks[block].params.iter().enumerate() {
        let [low, high] = [0, 1].map(|part| u128::from(ARGUMENTS[(at * 3 + part + shift) % ARGUMENTS.len()]));
        bits.insert(
            param,
            (high << 64 | low) & (u128::MAX >> (128 - func.ty(param).bits())),
        );
    }
    for &inst in &func.blocks[block].insts {
        let ty = || func.ty(func.result(inst));
        let of = |value: Value| bits[&value] as u64;
        let found = match func.insts[inst].data {
            InstData::Const { bits } => bits.into(),
            InstData::VectorConst { bytes } => u128::from_le_bytes(bytes),
            InstData::Unary { op, arg } => op.eval(func.ty(arg), ty(), of(arg)).ok()?.into(),
            InstData::Binary { op, args: [x, y] } => op.eval(ty(), of(x), of(y)).ok()?.into(),
            InstData::Compare { op, args: [x, y] } => u128::from(op.eval(func.ty(x), of(x), of(y))),
            InstData::Vector { op, lane, args } => op.eval(lane, args.map(|arg| bits[&arg])),
            InstData::Shuffle { mask, args: [x, y] } => cellwall_ir::lanes::shuffle(mask, bits[&x], bits[&y]),
            InstData::Select { cond, args: [x, y] } => match bits[&cond] {
                0 => bits[&y],
                _ => bits[&x],
            },
            InstData::Return { args } => return Some(bits[&func.list(args)[0]]),
            other => panic!("{other:?} is made by no rule"),
        };
        bits.insert(func.result(inst), found);
    }
    unreachable!("a block ends in a return")
}

/// Not-a-numbers of a type are one value here.
fn settled(ty: Type, bits: u128) -> u128 {
    let is_nan = match ty {
        Type::F32 => f32::from_bits(bits as u32).is_nan(),
        Type::F64 => f64::from_bits(bits as u64).is_nan(),
        _ => false,
    };
    if is_nan { u128::MAX } else { bits }
}

/// Whether a rule is applied to its example in some typing. What the optimizer makes must give the
/// same in all of them.
fn is_applied(example: &Example<'_>) -> bool {
    let mut applied = false;
    for typing in &example.typings {
        for known in KNOWN {
            let func = Made::func(example, typing, known);
            check(&func).unwrap_or_else(|error| panic!("{}: {error}\n{func}", example.rule.name));
            let (mut after, mut fired) = (func.clone(), Fired::counting());
            super::run_and_count(&mut after, config(Passes::ALL), &mut fired, |_, _| {});
            check(&after).unwrap_or_else(|error| panic!("{}: {error}\n{after}", example.rule.name));
            let ty = func.signature.results[0];
            for shift in 0..ARGUMENTS.len() {
                let [before, after] = [&func, &after].map(|func| result(func, shift));
                let [before, after] = [before, after].map(|bits| bits.map(|bits| settled(ty, bits)));
                assert_eq!(before, after, "{}: {func}\n{after:?}", example.rule.name);
            }
            let counts = fired.counts();
            applied |= counts
                .iter()
                .any(|&(name, count)| name == example.rule.name && count > 0);
        }
    }
    applied
}

#[test]
fn every_rule_is_applied_to_its_examples() {
    let rules = rules();
    let examples = examples(&rules);
    assert!(rules.len() > 200 && examples.len() >= rules.len());
    let missed = examples.iter().filter(|example| !is_applied(example));
    let missed: Vec<&str> = missed.map(|example| &example.rule.name[..]).collect();
    // What another rule does before, for every example, would be a rule too many.
    assert_eq!(missed, Vec::<&str>::new());
}
