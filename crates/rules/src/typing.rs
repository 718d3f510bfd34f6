//! The typer: what each expression of a rule may be, and whether the rule makes sense.
//!
//! Requires rules in the shape that the parser gives. Guarantees for a rule that it accepts: every
//! name of the right side and of the conditions is bound on the left; every typing is listed; what
//! must be compared to tell a typing from others that the IR allows is one set of types per class;
//! the right side costs no more than what the left side saves. Does not ask whether it is true.

use crate::syntax::{Expr, Invalid, Kind, Op, Place, Reason, Rule};
use crate::{TYPES, encode};
use cellwall_ir::{BinaryOp, Form, Type, UnaryOp, VectorOp};
use std::collections::{BTreeMap, BTreeSet};

/// Classes of expressions with one type in a rule, at most.
pub(crate) const CLASSES_MAX: usize = 30;
/// Typings of a rule, at most.
pub(crate) const TYPINGS_MAX: usize = 4_000;

/// A rule with its types.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Typed {
    /// The rule.
    pub rule: Rule,
    /// The class of each expression, by number.
    class: Vec<usize>,
    /// The type of each class, in each typing.
    pub typings: Vec<Vec<Type>>,
    /// Expressions of the left side whose type the matcher must look at, by number, and the types that
    /// fit.
    pub checks: BTreeMap<usize, BTreeSet<Type>>,
}

impl Typed {
    /// The class of an expression.
    pub fn class(&self, expr: &Expr) -> usize {
        self.class[expr.id]
    }

    /// The types that a class has in any typing.
    pub fn types_of(&self, class: usize) -> BTreeSet<Type> {
        self.typings.iter().map(|typing| typing[class]).collect()
    }

    /// The expressions of the rule: left side, right side, conditions.
    pub fn sides(&self) -> impl Iterator<Item = &Expr> {
        let rule = &self.rule;
        [&rule.left, &rule.right].into_iter().chain(&rule.conditions)
    }
}

/// Types a rule, and checks that it is worth having: it costs no more, and does what it shows.
///
/// # Errors
/// What keeps it from making sense.
pub(crate) fn check(rule: Rule) -> Result<Typed, Invalid> {
    let typed = types(rule)?;
    let rule = &typed.rule;
    let (saved, spent) = (saved(rule, &rule.left), spent(&rule.right));
    if same(&rule.left, &rule.right) {
        return Err(Invalid::new(rule.right.place, Reason::NoChange));
    }
    if spent > saved {
        return Err(Invalid::new(rule.right.place, Reason::Worse(saved, spent)));
    }
    for (left, right) in &rule.examples {
        crate::example::check(rule, left, right)?;
    }
    Ok(typed)
}

/// Types a rule.
///
/// # Errors
/// What keeps it from having types.
pub(crate) fn types(rule: Rule) -> Result<Typed, Invalid> {
    if !matches!(rule.left.kind, Kind::Op(..)) {
        return Err(Invalid::new(rule.left.place, Reason::LeftIsNoOperation));
    }
    types_of_any(rule)
}

/// Types a rule whose left side may be any value.
///
/// # Errors
/// What keeps it from having types.
pub(crate) fn types_of_any(rule: Rule) -> Result<Typed, Invalid> {
    names(&rule)?;
    let exprs: Vec<&Expr> = [&rule.left, &rule.right]
        .into_iter()
        .chain(&rule.conditions)
        .collect();
    let solution = solve(&exprs, &[(&rule.left, &rule.right)], true, rule.place)?;
    if solution.typings.is_empty() {
        return Err(Invalid::new(rule.place, Reason::NoTypes));
    }
    let checks = checks(&rule, &exprs, &solution)?;
    for expr in &exprs {
        meanings(expr, &solution)?;
    }
    Ok(Typed {
        class: solution.class,
        typings: solution.typings,
        checks,
        rule,
    })
}

/// Whether two expressions read alike.
pub(crate) fn same(a: &Expr, b: &Expr) -> bool {
    a.kind_name() == b.kind_name()
        && a.operands().len() == b.operands().len()
        && a.operands().iter().zip(b.operands()).all(|(a, b)| same(a, b))
}

impl Expr {
    /// Everything but the operands.
    fn kind_name(&self) -> String {
        match &self.kind {
            Kind::Op(op, _) => op.name().to_owned(),
            Kind::Fold(op, _) => format!("fold.{}", op.name()),
            Kind::Zeros(_) => "zeros".to_owned(),
            Kind::Value(name) | Kind::Constant(name) | Kind::Once(name) => name.clone(),
            Kind::Literal(value) => value.to_string(),
            Kind::Bits => "bits".to_owned(),
        }
    }
}

/// What the left side binds: values and constants by name, and names of operations.
fn names(rule: &Rule) -> Result<(), Invalid> {
    let (mut bound, mut operations) = (BTreeSet::new(), BTreeSet::new());
    let mut wrong = None;
    rule.left.walk(&mut |expr| match &expr.kind {
        Kind::Value(name) | Kind::Constant(name) => {
            bound.insert(name.clone());
        }
        Kind::Fold(op, list)
            if !(is_closed(expr) || op.is_splat() && matches!(list[0].kind, Kind::Constant(_))) =>
        {
            wrong = wrong.take().or(Some((expr.place, Reason::NoFold)));
        }
        _ => {}
    });
    for side in [&rule.left, &rule.right] {
        side.walk(&mut |expr| {
            if let Kind::Op(op, list) = &expr.kind
                && op.has_immediate()
                && !is_constant(&list[0])
            {
                wrong = wrong.take().or(Some((list[0].place, Reason::NotConstant)));
            }
        });
    }
    rule.left.walk(&mut |expr| {
        if let Some(name) = &expr.name
            && !operations.insert(name.clone())
        {
            wrong = wrong.take().or(Some((expr.place, Reason::Rebound(name.clone()))));
        }
    });
    let known = |name: &String| bound.contains(name) || operations.contains(name);
    for expr in std::iter::once(&rule.right).chain(&rule.conditions) {
        expr.walk(&mut |expr| {
            let problem = match &expr.kind {
                Kind::Value(name) | Kind::Constant(name) if !known(name) => Reason::Unbound(name.clone()),
                Kind::Once(name) if !operations.contains(name) => Reason::Unbound(name.clone()),
                Kind::Fold(op, _) if op.traps() || *op == Op::Select || op.has_immediate() => Reason::NoFold,
                Kind::Fold(_, list) if !list.iter().all(is_constant) => Reason::NotConstant,
                Kind::Zeros(list) if !matches!(list[0].kind, Kind::Value(_)) => Reason::Expected("a name"),
                Kind::Zeros(list) if !is_constant(&list[1]) => Reason::NotConstant,
                _ if expr.name.is_some() => Reason::Expected("an operation without a name"),
                _ => return,
            };
            wrong = wrong.take().or(Some((expr.place, problem)));
        });
    }
    for condition in &rule.conditions {
        if let Kind::Op(_, list) = &condition.kind
            && let Some(operand) = list.iter().find(|operand| !is_constant(operand))
        {
            wrong = wrong.take().or(Some((operand.place, Reason::NotConstant)));
        }
    }
    match wrong {
        Some((place, reason)) => Err(Invalid::new(place, reason)),
        None => Ok(()),
    }
}

/// Whether an expression is a number that depends on nothing but its type.
pub(crate) fn is_closed(expr: &Expr) -> bool {
    match &expr.kind {
        Kind::Literal(_) | Kind::Bits => true,
        Kind::Fold(op @ (Op::Binary(_) | Op::Vector(_)), list) => {
            !op.traps() && !op.has_immediate() && list.iter().all(is_closed)
        }
        _ => false,
    }
}

/// Whether an expression is known when the rule is applied.
pub(crate) fn is_constant(expr: &Expr) -> bool {
    matches!(
        expr.kind,
        Kind::Constant(_) | Kind::Literal(_) | Kind::Bits | Kind::Fold(..)
    )
}

/// The classes of some expressions and what they may be.
pub(crate) struct Solution {
    class: Vec<usize>,
    pub(crate) typings: Vec<Vec<Type>>,
}

impl Solution {
    pub(crate) fn class(&self, expr: &Expr) -> usize {
        self.class[expr.id]
    }

    /// The class of the expression of this number.
    pub(crate) fn class_of(&self, id: usize) -> usize {
        self.class[id]
    }
}

/// Solves the type equations of some expressions, with those that must have one type; `written` says
/// whether to heed written types.
pub(crate) fn solve(
    exprs: &[&Expr],
    alike: &[(&Expr, &Expr)],
    written: bool,
    place: Place,
) -> Result<Solution, Invalid> {
    let mut equations = Equations::default();
    for expr in exprs {
        equations.add(expr, written);
    }
    for (a, b) in alike {
        equations.unite(a.id, b.id);
    }
    let class: Vec<usize> = (0..equations.parent.len()).map(|id| equations.root(id)).collect();
    let roots: BTreeSet<usize> = equations.seen.iter().map(|&id| class[id]).collect();
    let numbers: BTreeMap<usize, usize> = roots.iter().enumerate().map(|(i, &root)| (root, i)).collect();
    if numbers.len() > CLASSES_MAX {
        return Err(Invalid::new(place, Reason::Limit("types", CLASSES_MAX)));
    }
    let class: Vec<usize> = class
        .iter()
        .map(|root| numbers.get(root).copied().unwrap_or(0))
        .collect();
    let mut allowed = vec![TYPES.to_vec(); numbers.len()];
    for (id, types) in &equations.domains {
        allowed[class[*id]].retain(|ty| types.contains(ty));
    }
    // A number is a vector only where nothing else can be.
    for &id in &equations.numbers {
        let types = &mut allowed[class[id]];
        if types.len() > 1 {
            types.retain(|&ty| ty != Type::V128);
        }
    }
    let conversions: Vec<(UnaryOp, usize, usize)> = equations
        .conversions
        .iter()
        .map(|&(op, from, to)| (op, class[from], class[to]))
        .collect();
    let mut typings = vec![Vec::new()];
    for (number, types) in allowed.iter().enumerate() {
        let mut longer = Vec::new();
        for typing in &typings {
            for &ty in types {
                let mut typing: Vec<Type> = typing.clone();
                typing.push(ty);
                let fits = conversions
                    .iter()
                    .all(|&(op, from, to)| from.max(to) != number || op.accepts(typing[from], typing[to]));
                if fits {
                    longer.push(typing);
                }
            }
        }
        if longer.len() > TYPINGS_MAX {
            return Err(Invalid::new(place, Reason::Limit("typings", TYPINGS_MAX)));
        }
        typings = longer;
    }
    Ok(Solution { class, typings })
}

#[derive(Default)]
struct Equations {
    /// A forest of expressions by number.
    parent: Vec<usize>,
    seen: Vec<usize>,
    by_name: BTreeMap<String, usize>,
    domains: Vec<(usize, Vec<Type>)>,
    conversions: Vec<(UnaryOp, usize, usize)>,
    /// Literals and constants.
    numbers: Vec<usize>,
}

impl Equations {
    fn root(&mut self, id: usize) -> usize {
        while self.parent.len() <= id {
            self.parent.push(self.parent.len());
        }
        let mut id = id;
        while self.parent[id] != id {
            id = self.parent[id];
        }
        id
    }

    fn unite(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        self.parent[a.max(b)] = a.min(b);
    }

    fn name(&mut self, name: &str, id: usize) {
        let first = *self.by_name.entry(name.to_owned()).or_insert(id);
        self.unite(first, id);
    }

    fn domain(&mut self, id: usize, fits: impl Fn(Type) -> bool) {
        self.domains
            .push((id, TYPES.into_iter().filter(|&ty| fits(ty)).collect()));
    }

    fn add(&mut self, expr: &Expr, written: bool) {
        let id = expr.id;
        self.root(id);
        self.seen.push(id);
        if let Some(ty) = expr.ty.filter(|_| written) {
            self.domain(id, |other| other == ty);
        }
        if let Some(name) = &expr.name {
            self.name(name, id);
        }
        for operand in expr.operands() {
            self.add(operand, written);
        }
        if is_constant(expr) {
            self.numbers.push(id);
        }
        match &expr.kind {
            Kind::Value(name) | Kind::Constant(name) => self.name(name, id),
            Kind::Literal(_) => self.domain(id, |ty| !ty.is_float()),
            Kind::Bits => self.domain(id, Type::is_int),
            Kind::Zeros(list) => {
                self.unite(list[0].id, list[1].id);
                self.domain(list[0].id, Type::is_int);
                self.domain(id, |ty| ty == Type::I32);
            }
            Kind::Once(_) => self.domain(id, |ty| ty == Type::I32),
            Kind::Op(op, list) | Kind::Fold(op, list) => self.operation(*op, id, list),
        }
    }

    fn operation(&mut self, op: Op, id: usize, list: &[Expr]) {
        match op {
            Op::Unary(op) => {
                let arg = list[0].id;
                let pairs = TYPES.into_iter().flat_map(|from| TYPES.map(|to| (from, to)));
                let mut pairs = pairs.filter(|&(from, to)| op.accepts(from, to));
                if pairs.all(|(from, to)| from == to) {
                    self.unite(arg, id);
                    self.domain(id, |ty| op.accepts(ty, ty));
                } else {
                    self.domain(arg, |from| TYPES.iter().any(|&to| op.accepts(from, to)));
                    self.domain(id, |to| TYPES.iter().any(|&from| op.accepts(from, to)));
                    self.conversions.push((op, arg, id));
                }
            }
            Op::Binary(op) => {
                self.unite(list[0].id, list[1].id);
                self.unite(list[0].id, id);
                self.domain(id, |ty| op.accepts(ty));
            }
            Op::Compare(op) => {
                self.unite(list[0].id, list[1].id);
                self.domain(list[0].id, |ty| op.accepts(ty));
                self.domain(id, |ty| ty == Type::I32);
            }
            Op::Select => {
                self.domain(list[0].id, |ty| ty == Type::I32);
                self.unite(list[1].id, list[2].id);
                self.unite(list[1].id, id);
            }
            Op::Vector(op) => {
                let lane = op.form().has_lane().then_some(&Type::I32);
                for (operand, &ty) in list.iter().zip(lane.into_iter().chain(op.form().operands())) {
                    self.domain(operand.id, |other| other == ty);
                }
                self.domain(id, |other| other == op.form().result());
            }
            Op::Shuffle => {
                for id in list.iter().map(|operand| operand.id).chain([id]) {
                    self.domain(id, |ty| ty == Type::V128);
                }
            }
        }
    }
}

/// What the matcher must look at, beyond what the IR's own typing of the left side says.
fn checks(
    rule: &Rule,
    exprs: &[&Expr],
    solution: &Solution,
) -> Result<BTreeMap<usize, BTreeSet<Type>>, Invalid> {
    let mut on_left = BTreeSet::new();
    rule.left.walk(&mut |expr| {
        if !matches!(expr.kind, Kind::Literal(_) | Kind::Bits) {
            on_left.insert(solution.class(expr));
        }
    });
    for expr in exprs {
        let mut lost = None;
        expr.walk(&mut |expr| {
            let class = solution.class(expr);
            let known = solution
                .typings
                .iter()
                .all(|t| t[class] == solution.typings[0][class]);
            if !known && !on_left.contains(&class) {
                lost = lost.or(Some(expr.place));
            }
        });
        if let Some(place) = lost {
            return Err(Invalid::new(place, Reason::TypeNotDetermined));
        }
    }
    // The left side alone has more typings, and perhaps more classes.
    let alone = solve(&[&rule.left], &[], false, rule.place)?;
    let mut nodes: Vec<&Expr> = Vec::new();
    rule.left.walk(&mut |expr| nodes.push(expr));
    let mut checks = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for expr in &nodes {
        if matches!(expr.kind, Kind::Literal(_) | Kind::Bits) || !seen.insert(alone.class(expr)) {
            continue;
        }
        let full: BTreeSet<Type> = solution.typings.iter().map(|t| t[solution.class(expr)]).collect();
        let possible: BTreeSet<Type> = alone.typings.iter().map(|t| t[alone.class(expr)]).collect();
        if full != possible {
            checks.insert(expr.id, full);
        }
    }
    // What passes the checks is a typing.
    for natural in &alone.typings {
        let passes = nodes.iter().all(|expr| {
            checks
                .get(&expr.id)
                .is_none_or(|types| types.contains(&natural[alone.class(expr)]))
        });
        let is_typing = solution.typings.iter().any(|typing| {
            nodes
                .iter()
                .all(|expr| natural[alone.class(expr)] == typing[solution.class(expr)])
        });
        if passes != is_typing {
            return Err(Invalid::new(rule.place, Reason::TypesRelated));
        }
    }
    Ok(checks)
}

/// Every operator has an encoding in every typing, every literal fits.
fn meanings(expr: &Expr, solution: &Solution) -> Result<(), Invalid> {
    let mut wrong = None;
    expr.walk(&mut |expr| {
        if let Kind::Op(Op::Vector(op), list) = &expr.kind
            && op.form().has_lane()
            && matches!(list[0].kind, Kind::Literal(lane) if !(0..op.lanes().into()).contains(&lane))
        {
            wrong = wrong
                .take()
                .or(Some(Invalid::new(list[0].place, Reason::LiteralTooLarge)));
        }
        for typing in &solution.typings {
            let ty = typing[solution.class(expr)];
            let problem = match &expr.kind {
                Kind::Literal(value) if !fits(*value, ty) => Reason::LiteralTooLarge,
                Kind::Op(op, _) | Kind::Fold(op, _) if !encode::has_meaning(*op) => {
                    Reason::NoMeaning(op.name())
                }
                _ => continue,
            };
            wrong = wrong.take().or(Some(Invalid::new(expr.place, problem)));
        }
    });
    wrong.map_or(Ok(()), Err)
}

/// Whether a literal is a number of this type, signed or unsigned.
fn fits(value: i128, ty: Type) -> bool {
    match ty.bits() {
        128 => true,
        bits => -(1i128 << (bits - 1)) <= value && value < 1i128 << bits,
    }
}

/// What an operation costs, roughly in cycles.
pub(crate) fn cost(op: Op) -> u32 {
    match op {
        Op::Unary(UnaryOp::Bitcast) | Op::Select => 2,
        Op::Unary(UnaryOp::Popcnt | UnaryOp::Clz | UnaryOp::Ctz) => 3,
        Op::Binary(BinaryOp::Mul) => 3,
        Op::Binary(BinaryOp::MulHighU | BinaryOp::MulHighS) => 4,
        Op::Binary(op) if op.traps() => 20,
        Op::Binary(op) if op.accepts(Type::F64) => 4,
        Op::Vector(op) => cost_of_lanes(op),
        _ => 1,
    }
}

/// The same of operators on vectors: what has no instruction of its own takes several.
fn cost_of_lanes(op: VectorOp) -> u32 {
    let (shape, name) = op.name().split_once('.').expect("names have shapes");
    match (shape, name) {
        ("i64x2", "mul") => 8,
        ("i32x4", "mul") | ("i8x16", "popcnt" | "shl" | "shr_s" | "shr_u") => 4,
        ("i64x2", "gt_s" | "lt_s" | "ge_s" | "le_s" | "shr_s" | "abs") => 3,
        (_, "bitselect" | "any_true" | "all_true" | "swizzle") => 3,
        (_, "ne" | "not" | "neg" | "splat") => 2,
        (_, "lt_u" | "gt_u" | "le_u" | "ge_u" | "le_s" | "ge_s") => 2,
        _ if name.starts_with("ext") && !name.starts_with("extract") => 2,
        _ if matches!(op.form(), Form::Extract(_) | Form::Replace(_)) => 2,
        _ if op.chooses_nan() => 4,
        _ => 1,
    }
}

/// What goes away when the left side is replaced: its root, and what only it uses.
fn saved(rule: &Rule, expr: &Expr) -> u32 {
    let Kind::Op(op, list) = &expr.kind else { return 0 };
    let is_once = |operand: &&Expr| {
        rule.conditions
            .iter()
            .any(|c| matches!((&c.kind, &operand.name), (Kind::Once(name), Some(of)) if name == of))
    };
    let inner: u32 = list
        .iter()
        .filter(is_once)
        .map(|operand| saved(rule, operand))
        .sum();
    cost(*op) + inner
}

/// What the right side adds.
fn spent(expr: &Expr) -> u32 {
    match &expr.kind {
        Kind::Op(op, list) => cost(*op) + list.iter().map(spent).sum::<u32>(),
        _ => 0,
    }
}
