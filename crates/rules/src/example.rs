//! Applies a rule to an example, without the IR.
//!
//! Requires a rule whose names are bound. Guarantees that an accepted example is what the rule makes
//! of the left expression, in the types that fit first. Conditions about known bits and users are
//! taken as given here; the optimizer's tests ask for them.

use crate::lowering::TypedLowering;
use crate::syntax::{Expr, Invalid, Kind, Op, Reason, Rule};
use crate::typing::{Typed, is_closed, is_constant, same, solve};
use cellwall_ir::Type;
use std::collections::BTreeMap;

/// Checks that the rule makes `right` of `left`.
pub(crate) fn check(rule: &Rule, left: &Expr, right: &Expr) -> Result<(), Invalid> {
    let wrong = |found: String| Err(Invalid::new(left.place, Reason::Example(found)));
    let mut strange = None;
    for side in [left, right] {
        side.walk(&mut |expr| {
            let is_open = matches!(expr.kind, Kind::Constant(_) | Kind::Fold(..)) && !is_closed(expr);
            if is_open || expr.name.is_some() {
                strange = strange.or(Some(expr.place));
            }
        });
    }
    if let Some(place) = strange {
        return Err(Invalid::new(
            place,
            Reason::Expected("values, numbers and operations"),
        ));
    }
    let pair = solve(&[left, right], &[(left, right)], true, left.place)?;
    for typing in &pair.typings {
        let context = Context {
            rule,
            left,
            width: &|expr| typing[pair.class(expr)],
        };
        for bound in context.matches(&rule.left, left, &BTreeMap::new()) {
            let Some(types) = context.types(&bound, typing[pair.class(left)]) else {
                continue;
            };
            if !context.holds(&bound, &types) {
                continue;
            }
            let made = context.build(&rule.right, &bound, &types);
            if same(&made, &normal(right, &|expr| typing[pair.class(expr)])) {
                return Ok(());
            }
            return wrong(made.to_string());
        }
    }
    wrong("nothing for this example".to_owned())
}

/// What each name stands for.
pub(crate) type Bound = BTreeMap<String, Expr>;

/// A rule and what it is applied to.
pub(crate) struct Context<'c> {
    pub(crate) rule: &'c Rule,
    pub(crate) left: &'c Expr,
    /// The type of an expression of the example.
    pub(crate) width: &'c dyn Fn(&Expr) -> Type,
}

/// The expression with its literals as unsigned numbers of their types.
fn normal(expr: &Expr, ty: &dyn Fn(&Expr) -> Type) -> Expr {
    let mut out = expr.clone();
    let ty_here = ty(expr);
    match &mut out.kind {
        Kind::Literal(value) => *value = trim(*value, ty_here) as i128,
        Kind::Bits | Kind::Fold(..) => {
            let value = literal(expr, ty_here).expect("numbers of examples depend on nothing");
            out.kind = Kind::Literal(value as i128);
        }
        _ => {}
    }
    for operand in out.operands_mut() {
        *operand = normal(operand, ty);
    }
    out
}

impl Context<'_> {
    /// All ways in which the pattern fits.
    pub(crate) fn matches(&self, pattern: &Expr, expr: &Expr, bound: &Bound) -> Vec<Bound> {
        let mut bound = bound.clone();
        if let Some(name) = &pattern.name {
            let found = normal(expr, self.width);
            if bound.get(name).is_some_and(|first| !same(first, &found)) {
                return Vec::new();
            }
            bound.insert(name.clone(), found);
        }
        match &pattern.kind {
            Kind::Value(name) | Kind::Constant(name) => {
                if matches!(pattern.kind, Kind::Constant(_)) && !is_constant(expr) {
                    return Vec::new();
                }
                let found = normal(expr, self.width);
                match bound.get(name) {
                    Some(first) if !same(first, &found) => return Vec::new(),
                    _ => {
                        bound.insert(name.clone(), found);
                    }
                }
                vec![bound]
            }
            Kind::Fold(Op::Vector(op), list) if matches!(list[0].kind, Kind::Constant(_)) => {
                let Kind::Literal(all) = normal(expr, self.width).kind else {
                    return Vec::new();
                };
                let lane = all as u128 & (u128::MAX >> (128 - op.lane_bits()));
                if op.eval(0, [lane, 0, 0]) != all as u128 {
                    return Vec::new();
                }
                let Kind::Constant(name) = &list[0].kind else {
                    unreachable!("looked at above")
                };
                // It stands nowhere in the example.
                let found = Expr {
                    kind: Kind::Literal(lane as i128),
                    id: NOWHERE,
                    ..expr.clone()
                };
                if bound
                    .insert(name.clone(), found.clone())
                    .is_some_and(|first| !same(&first, &found))
                {
                    return Vec::new();
                }
                vec![bound]
            }
            Kind::Literal(_) | Kind::Bits | Kind::Fold(..) => {
                let ty = (self.width)(expr);
                let fits = matches!(normal(expr, self.width).kind, Kind::Literal(value)
                    if Some(value as u128) == literal(pattern, ty));
                if fits { vec![bound] } else { Vec::new() }
            }
            Kind::Op(op, patterns) => {
                let Kind::Op(other, operands) = &expr.kind else {
                    return Vec::new();
                };
                if op != other {
                    return Vec::new();
                }
                let mut orders: Vec<Vec<&Expr>> = vec![operands.iter().collect()];
                if op.commutes() {
                    orders.push(operands.iter().rev().collect());
                }
                let mut all = Vec::new();
                for order in orders {
                    let mut ways = vec![bound.clone()];
                    for (pattern, operand) in patterns.iter().zip(order) {
                        ways = ways
                            .iter()
                            .flat_map(|bound| self.matches(pattern, operand, bound))
                            .collect();
                    }
                    all.extend(ways);
                }
                all
            }
            _ => Vec::new(),
        }
    }

    /// The types of the rule's expressions by number, where its variables have those of the example.
    pub(crate) fn types(&self, bound: &Bound, root: Type) -> Option<BTreeMap<usize, Type>> {
        let rule = self.rule;
        let exprs: Vec<&Expr> = [&rule.left, &rule.right]
            .into_iter()
            .chain(&rule.conditions)
            .collect();
        let solution = solve(&exprs, &[(&rule.left, &rule.right)], true, rule.place).ok()?;
        let typing = solution.typings.iter().find(|typing| {
            let mut fits = typing[solution.class(&rule.left)] == root;
            rule.left.walk(&mut |expr| {
                let name = match &expr.kind {
                    Kind::Value(name) | Kind::Constant(name) => name,
                    _ => return,
                };
                let Some(found) = bound.get(name).filter(|found| found.id != NOWHERE) else {
                    return;
                };
                let mut ty = None;
                self.left.walk(&mut |inner| {
                    if inner.id == found.id {
                        ty = Some((self.width)(inner));
                    }
                });
                fits &= ty == Some(typing[solution.class(expr)]);
            });
            fits
        })?;
        let mut types = BTreeMap::new();
        for expr in exprs {
            expr.walk(&mut |expr| {
                types.insert(expr.id, typing[solution.class(expr)]);
            });
        }
        Some(types)
    }

    pub(crate) fn holds(&self, bound: &Bound, types: &BTreeMap<usize, Type>) -> bool {
        self.rule
            .conditions
            .iter()
            .all(|condition| match &condition.kind {
                Kind::Op(Op::Compare(op), list) => {
                    let [x, y] = [0, 1].map(|i| self.number(&list[i], bound, types));
                    op.eval(types[&list[0].id], x as u64, y as u64)
                }
                _ => true,
            })
    }

    pub(crate) fn number(&self, expr: &Expr, bound: &Bound, types: &BTreeMap<usize, Type>) -> u128 {
        let ty = types[&expr.id];
        match &expr.kind {
            Kind::Constant(name) => match bound[name].kind {
                Kind::Literal(value) => value as u128,
                _ => unreachable!("examples have literals for constants"),
            },
            Kind::Fold(op, list) => {
                let operands: Vec<u128> = list.iter().map(|e| self.number(e, bound, types)).collect();
                fold(*op, types[&list[0].id], ty, &operands)
            }
            _ => literal(expr, ty).expect("what is constant and none of these is a literal"),
        }
    }

    fn build(&self, expr: &Expr, bound: &Bound, types: &BTreeMap<usize, Type>) -> Expr {
        match &expr.kind {
            Kind::Value(name) => bound[name].clone(),
            Kind::Op(op, list) => Expr {
                kind: Kind::Op(*op, list.iter().map(|e| self.build(e, bound, types)).collect()),
                ..expr.clone()
            },
            _ => Expr {
                kind: Kind::Literal(self.number(expr, bound, types) as i128),
                ..expr.clone()
            },
        }
    }
}

/// In place of an expression's number: it was made of another one.
const NOWHERE: usize = usize::MAX;

/// The low bits of a number that a type has.
pub(crate) fn trim(value: i128, ty: Type) -> u128 {
    value as u128 & (u128::MAX >> (128 - ty.bits()))
}

/// An operator of constants.
fn fold(op: Op, from: Type, to: Type, operands: &[u128]) -> u128 {
    let scalar = |i: usize| operands[i] as u64;
    let result = match op {
        Op::Unary(op) => op.eval(from, to, scalar(0)),
        Op::Binary(op) => op.eval(to, scalar(0), scalar(1)),
        Op::Compare(op) => Ok(u64::from(op.eval(from, scalar(0), scalar(1)))),
        Op::Vector(op) => {
            let of = |i: usize| operands.get(i).copied().unwrap_or(0);
            return op.eval(0, [of(0), of(1), of(2)]);
        }
        Op::Select | Op::Shuffle => unreachable!("the typer refuses such a fold"),
    };
    result.expect("the typer refuses folds that trap").into()
}

/// The bits of a literal, `bits` or a fold of them in a type.
fn literal(expr: &Expr, ty: Type) -> Option<u128> {
    match expr.kind {
        Kind::Literal(value) => Some(trim(value, ty)),
        Kind::Bits => Some(ty.bits().into()),
        Kind::Fold(op, ref list) => {
            let types = match op {
                Op::Vector(op) => op.form().operands(),
                _ => &[ty, ty],
            };
            let operands = list.iter().zip(types).map(|(operand, &ty)| literal(operand, ty));
            let operands: Vec<u128> = operands.collect::<Option<_>>()?;
            Some(fold(op, ty, ty, &operands))
        }
        _ => None,
    }
}

/// An example of a rule, for what applies rules to be tried on.
#[derive(Clone, Debug)]
pub struct Example<'r> {
    /// The rule.
    pub rule: &'r Rule,
    /// What it is applied to.
    pub left: &'r Expr,
    /// The types that its expressions may have.
    pub typings: Vec<Vec<Type>>,
    class: Vec<usize>,
}

impl Example<'_> {
    /// The type of an expression of the example in one of its typings.
    pub fn ty(&self, typing: &[Type], expr: &Expr) -> Type {
        typing[self.class[expr.id]]
    }
}

/// The examples of some rules, in their order.
///
/// # Panics
/// Never: examples without types are no rules.
pub fn examples(rules: &[Typed]) -> Vec<Example<'_>> {
    let mut all = Vec::new();
    for Typed { rule, .. } in rules {
        for (left, right) in &rule.examples {
            let solution = solve(&[left, right], &[(left, right)], true, left.place);
            let solution = solution.expect("a rule was tried on its examples");
            all.push(Example {
                rule,
                left,
                class: (0..=largest(left)).map(|id| solution.class_of(id)).collect(),
                typings: solution.typings,
            });
        }
    }
    all
}

/// The examples of some lowering rules, in their order.
///
/// # Panics
/// Never: examples without types are no rules.
pub fn lowering_examples(rules: &[TypedLowering]) -> Vec<(&TypedLowering, Example<'_>)> {
    let mut all = Vec::new();
    for rule in rules {
        for (left, _) in &rule.lowering.examples {
            let solution = solve(&[left], &[], true, left.place);
            let solution = solution.expect("a rule was tried on its examples");
            let example = Example {
                rule: &rule.lowering.rule,
                left,
                class: (0..=largest(left)).map(|id| solution.class_of(id)).collect(),
                typings: solution.typings,
            };
            all.push((rule, example));
        }
    }
    all
}

/// The largest number of an expression.
fn largest(expr: &Expr) -> usize {
    let mut largest = 0;
    expr.walk(&mut |inner| largest = largest.max(inner.id));
    largest
}
