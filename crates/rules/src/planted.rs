//! Mistakes in lowering rules: one at a time in an operator, a row, a width, a condition, a constant, an
//! operand or a guard.
//!
//! Requires a rule that was accepted. Guarantees that each mutant differs from it in one place. Does not
//! ask whether a mutant has types.

use crate::lowering::{Access, Guard, Lowering, Node, is_anchor};
use crate::mutate::changes;
use crate::syntax::{Expr, Kind};
use cellwall_isa::x64::{Cond, Row};

/// Rows that are mistaken for each other.
const RINGS: [&[Row]; 12] = [
    &[
        Row::Add,
        Row::Sub,
        Row::And,
        Row::Or,
        Row::Xor,
        Row::Imul,
        Row::Andn,
    ],
    &[Row::AddImm, Row::SubImm, Row::AndImm, Row::OrImm, Row::XorImm],
    &[Row::ShlImm, Row::ShrImm, Row::SarImm, Row::RolImm, Row::RorImm],
    &[Row::Shl, Row::Shr, Row::Sar, Row::Rol, Row::Ror],
    &[Row::Shlx, Row::Shrx, Row::Sarx],
    &[Row::Neg, Row::Not],
    &[Row::Blsr, Row::Blsi, Row::Blsmsk],
    &[Row::Tzcnt, Row::Lzcnt, Row::Popcnt],
    &[
        Row::Movzx8,
        Row::Movsx8,
        Row::Movzx16,
        Row::Movsx16,
        Row::Movsxd,
        Row::Mov,
    ],
    &[Row::Cmp, Row::Test],
    &[Row::CmpImm, Row::TestImm],
    &[Row::ImulImm, Row::Rorx],
];

/// The mutants of a rule, with what was changed.
pub(crate) fn mutants(lowering: &Lowering) -> Vec<(String, Lowering)> {
    let mut all = Vec::new();
    let mut nodes: Vec<&Expr> = Vec::new();
    lowering.rule.left.walk(&mut |node| nodes.push(node));
    lowering
        .comparisons()
        .for_each(|condition| condition.walk(&mut |node| nodes.push(node)));
    for node in nodes {
        for (what, changed) in changes(&lowering.rule, node) {
            let mut mutant = lowering.clone();
            let rule = &mut mutant.rule;
            let sides = [&mut rule.left, &mut rule.right].into_iter();
            for side in sides.chain(&mut rule.conditions) {
                if let Some(place) = side.find_mut(node.id) {
                    let name = place.name.take();
                    *place = Expr {
                        name,
                        ..changed.clone()
                    };
                }
            }
            all.push((what, mutant));
        }
    }
    right(lowering, &mut all);
    for (i, condition) in lowering.rule.conditions.iter().enumerate() {
        if !is_anchor(condition) {
            let mut mutant = lowering.clone();
            mutant.rule.conditions.remove(i);
            all.push((format!("without {condition}"), mutant));
        }
    }
    for (i, guard) in lowering.guards.iter().enumerate() {
        if matches!(guard, Guard::Imm(_) | Guard::Loads(_)) {
            let mut mutant = lowering.clone();
            mutant.guards.remove(i);
            all.push((format!("without {guard}"), mutant));
        }
    }
    all
}

/// Mistakes of the right side.
fn right(lowering: &Lowering, all: &mut Vec<(String, Lowering)>) {
    let mut nodes = Vec::new();
    lowering.right.walk(&mut |node| nodes.push(node));
    for (n, node) in nodes.into_iter().enumerate() {
        for changed in forms(lowering, node) {
            let mut mutant = lowering.clone();
            let mut at = n;
            let place = mutant.right.nth_mut(&mut at);
            *place.expect("the node is of this rule") = changed.clone();
            all.push((format!("{node} -> {changed}"), mutant));
        }
    }
}

/// What a node is mistaken for.
fn forms(lowering: &Lowering, node: &Node) -> Vec<Node> {
    match node {
        Node::Value(access, name) => {
            let mut all: Vec<Node> = names(lowering)
                .into_iter()
                .filter(|other| other != name)
                .map(|other| Node::Value(*access, other))
                .collect();
            if *access == Access::Full {
                all.push(Node::Value(Access::Low, name.clone()));
            }
            all
        }
        Node::Constant(expr) => {
            let changed = changes(&lowering.rule, expr).into_iter();
            changed.map(|(_, changed)| Node::Constant(changed)).collect()
        }
        Node::Is(cond, form) => {
            let others = Cond::HARDWARE.into_iter().filter(|other| other != cond);
            others.map(|other| Node::Is(other, form.clone())).collect()
        }
        Node::Form {
            row,
            width,
            operands,
            name,
        } => {
            let with = |row: Row, width: Option<u32>, operands: Vec<Node>| Node::Form {
                row,
                width,
                operands,
                name: name.clone(),
            };
            let ring = RINGS
                .iter()
                .find(|ring| ring.contains(row))
                .copied()
                .unwrap_or(&[]);
            let rows = ring.iter().filter(|other| *other != row);
            let mut all: Vec<Node> = rows.map(|&other| with(other, *width, operands.clone())).collect();
            let widths = [8, 16, 32, 64].map(Some).into_iter();
            all.extend(
                widths
                    .filter(|other| other != width)
                    .map(|other| with(*row, other, operands.clone())),
            );
            for i in 1..operands.len() {
                let mut swapped = operands.clone();
                swapped.swap(i - 1, i);
                all.push(with(*row, *width, swapped));
            }
            all
        }
        Node::Again(_) | Node::Holds(_) | Node::AgainstZero(_) => Vec::new(),
    }
}

/// The values of the left side.
fn names(lowering: &Lowering) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    lowering.rule.left.walk(&mut |expr| {
        if let Kind::Value(name) = &expr.kind
            && !names.contains(name)
        {
            names.push(name.clone());
        }
    });
    names
}
