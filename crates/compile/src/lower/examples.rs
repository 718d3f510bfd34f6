//! The examples of the lowering rules, lowered: each rule is applied to its own, and makes what it says.

use super::{Scratch, lower};
use crate::Unit;
use crate::opt::examples::Made;
use crate::tests::{baseline, modern};
use cellwall_base::{FuncIdx, MemoryIdx};
use cellwall_ir::{CompareOp, Func, FuncBuilder, InstData, LoadOp, Signature, Type, Value, check};
use cellwall_isa::x64::Row;
use cellwall_rules::{Example, Goal, Kind, Node, TypedLowering, check_lowering, lowering_examples};
use std::collections::BTreeMap;

/// The files of rules; a new one is to be listed.
const FILES: [(&str, &str); 3] = [
    ("arithmetic.rules", include_str!("arithmetic.rules")),
    ("bits.rules", include_str!("bits.rules")),
    ("compare.rules", include_str!("compare.rules")),
];

/// Where the values of an example come from.
#[derive(Clone, Copy)]
struct Around {
    /// They are needed once more.
    shared: bool,
    /// They are loaded.
    loaded: bool,
}

const AROUND: [Around; 3] = [
    Around {
        shared: false,
        loaded: false,
    },
    Around {
        shared: true,
        loaded: false,
    },
    Around {
        shared: false,
        loaded: true,
    },
];

/// A function that computes an example.
fn func(goal: Goal, example: &Example<'_>, typing: &[Type], around: Around) -> Func {
    let mut names: BTreeMap<&str, Type> = BTreeMap::new();
    example.left.walk(&mut |expr| {
        if let Kind::Value(name) = &expr.kind {
            names.insert(name, example.ty(typing, expr));
        }
    });
    let mut results = match goal {
        Goal::Test => vec![Type::I32],
        _ => vec![example.ty(typing, example.left)],
    };
    if around.shared {
        results.extend(names.values());
    }
    let signature = Signature {
        params: names.values().copied().collect(),
        results,
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
    for ((&name, &ty), param) in names.iter().zip(&params) {
        let mut value = *param;
        if around.loaded {
            let addr = builder.constant(Type::I32, 64);
            let load = InstData::Load {
                op: LoadOp::Full,
                memory: MemoryIdx::from_u32(0),
                offset: 0,
                addr,
            };
            value = builder.value(load, ty);
        }
        values.insert(name, value);
    }
    let made = Made {
        example,
        typing,
        values,
    };
    let mut result = made.expr(&mut builder, example.left);
    if goal == Goal::Test {
        let zero = builder.constant(example.ty(typing, example.left), 0);
        result = builder.compare(CompareOp::Ne, result, zero);
    }
    let mut args = vec![result];
    if around.shared {
        args.extend(params);
    }
    let args = builder.func.make_list(&args);
    builder.push(InstData::Return { args }, &[]);
    func
}

/// The row of the last instruction that a rule makes, if it makes one itself.
fn row(node: &Node) -> Option<Row> {
    match node {
        Node::Form { row, .. } => Some(*row),
        Node::Is(_, form) => row(form),
        _ => None,
    }
}

/// Whether a rule is applied to its example in some typing, and makes its instruction.
fn is_applied(rule: &TypedLowering, example: &Example<'_>) -> bool {
    let bytes = wat::parse_str("(module (memory 1) (func))").expect("the module is well-formed");
    let module = cellwall_wasm::decode(bytes).expect("the module is valid");
    let shape = cellwall_link::shape(&module);
    let name = &example.rule.name[..];
    let mut applied = false;
    for (typing, around) in example
        .typings
        .iter()
        .flat_map(|typing| AROUND.map(|around| (typing, around)))
    {
        let func = func(rule.lowering.goal, example, typing, around);
        check(&func).unwrap_or_else(|error| panic!("{name}: {error}\n{func}"));
        for target in [modern(), baseline()] {
            let unit = Unit::new(&module, &shape, &target);
            let mut scratch = Scratch::default();
            let out = lower(&func, &unit, &mut scratch);
            if scratch.state.applied.contains_key(name) {
                let wanted = row(&rule.lowering.right);
                let made = wanted.is_none_or(|row| out.insts.iter().any(|inst| inst.row == row));
                assert!(made, "{name}:\n{out}");
                applied = true;
            }
        }
    }
    applied
}

#[test]
fn every_lowering_rule_is_applied_to_its_examples() {
    let rules = check_lowering(FILES).unwrap_or_else(|(file, error)| panic!("{file}:{error}"));
    let examples = lowering_examples(&rules);
    assert!(rules.len() > 100 && examples.len() >= rules.len());
    let missed = examples
        .iter()
        .filter(|(rule, example)| !is_applied(rule, example));
    let missed: Vec<&str> = missed.map(|(_, example)| &example.rule.name[..]).collect();
    // Users of this one take the register of what it extends.
    assert_eq!(missed, ["extend_u"]);
}
