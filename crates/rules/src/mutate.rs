//! Rules with a mistake: each operator, number, width, operand and condition changed in turn.
//!
//! Guarantees that mutants are a function of the rules, in a fixed order. A mutant is refused if it
//! has no types, or if values are known that refute it; some mutants are right all the same, which a
//! solver has to say. The record keeps the values, so that each refusal can be repeated without a
//! solver.

use crate::encode::{Question, has_meaning, is_stronger, question};
use crate::lowering::{self, Lowering, TypedLowering};
use crate::machine;
use crate::syntax::{Expr, Kind, Op, Rule};
use crate::term::Sort;
use crate::typing::{Typed, types};
use cellwall_ir::{BinaryOp, CompareOp, Type, UnaryOp, VectorOp};
use std::collections::BTreeMap;
use std::fmt::Write;

/// Tries at random to refute a mutant, before a solver is asked.
const TRIES_MAX: usize = 1_500;

/// A rule with a mistake.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mutant {
    /// The rule's name and the number of the mutant among its mutants.
    pub name: String,
    /// What was changed.
    pub what: String,
    /// The rule.
    pub rule: Subject,
}

/// A rule of whatever kind.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Subject {
    /// One that replaces instructions of the IR.
    Rule(Box<Rule>),
    /// One that makes machine instructions.
    Lowering(Box<Lowering>),
}

impl Subject {
    /// The rule's name.
    pub fn name(&self) -> &str {
        match self {
            Self::Rule(rule) => &rule.name,
            Self::Lowering(lowering) => &lowering.rule.name,
        }
    }

    /// What it says in each typing; `None` if it is no rule.
    pub fn questions(&self) -> Option<Vec<Question>> {
        match self {
            Self::Rule(rule) => {
                let typed = types(Rule::clone(rule)).ok()?;
                Some(
                    (0..typed.typings.len())
                        .map(|typing| question(&typed, typing))
                        .collect(),
                )
            }
            Self::Lowering(lowering) => {
                let typed = lowering::types(Lowering::clone(lowering)).ok()?;
                let all = 0..typed.typed.typings.len();
                all.map(|typing| machine::question(&typed, typing)).collect()
            }
        }
    }
}

impl Subject {
    /// What must hold so that this rule says no more than another one, which is proved; `None` if they differ in
    /// more than conditions.
    pub fn says_no_more_than(&self, other: &Self) -> Option<Vec<Question>> {
        match (self, other) {
            (Self::Rule(rule), Self::Rule(other)) => {
                let typed = |rule: &Rule| types(rule.clone()).ok();
                is_stronger(&typed(rule)?, &typed(other)?)
            }
            _ => None,
        }
    }
}

/// Values that refute a mutant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// In which typing.
    pub typing: usize,
    /// The values by name.
    pub values: BTreeMap<String, u128>,
}

/// What is known of a mutant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It has no types, so that it is no rule.
    Untyped,
    /// It is wrong.
    Refuted(Refusal),
    /// A solver proved that it is right; the hash of what it was asked.
    Right(String),
    /// A solver neither proved nor refuted it in time: it would not be accepted as a rule.
    Unproved,
}

/// The mutants of some rules.
pub fn mutants(rules: &[Typed]) -> Vec<Mutant> {
    let mut all = Vec::new();
    for typed in rules {
        let rule = &typed.rule;
        let mut number = 0;
        let mut add = |what: String, mutant: Rule| {
            all.push(Mutant {
                name: format!("{}/{number}", rule.name),
                what,
                rule: Subject::Rule(Box::new(mutant)),
            });
            number += 1;
        };
        for expr in typed.sides() {
            let mut nodes = Vec::new();
            expr.walk(&mut |node| nodes.push(node));
            for node in nodes {
                for (what, changed) in changes(rule, node) {
                    let mut mutant = rule.clone();
                    {
                        let sides = [&mut mutant.left, &mut mutant.right];
                        let mut sides = sides.into_iter().chain(&mut mutant.conditions);
                        let place = sides.find_map(|side| side.find_mut(node.id));
                        *place.expect("the node is of this rule") = changed;
                    }
                    add(what, mutant);
                }
            }
        }
        for (i, condition) in rule.conditions.iter().enumerate() {
            if !matches!(condition.kind, Kind::Once(_)) {
                let mut mutant = rule.clone();
                mutant.conditions.remove(i);
                add(format!("without {condition}"), mutant);
            }
        }
    }
    all
}

/// The mutants of some lowering rules.
pub fn lowering_mutants(rules: &[TypedLowering]) -> Vec<Mutant> {
    let mut all = Vec::new();
    for typed in rules {
        let lowering = &typed.lowering;
        let mutants = crate::planted::mutants(lowering);
        all.extend(
            mutants
                .into_iter()
                .enumerate()
                .map(|(number, (what, mutant))| Mutant {
                    name: format!("{}/{number}", lowering.rule.name),
                    what,
                    rule: Subject::Lowering(Box::new(mutant)),
                }),
        );
    }
    all
}

/// The changes of one expression.
pub(crate) fn changes(rule: &Rule, node: &Expr) -> Vec<(String, Expr)> {
    let with = |kind: Kind| {
        let changed = Expr { kind, ..node.clone() };
        (format!("{node} -> {changed}"), changed)
    };
    let mut all = Vec::new();
    match &node.kind {
        Kind::Literal(value) => {
            let mut others = vec![value + 1, value - 1, -value];
            others.retain(|other| other != value);
            others.dedup();
            all.extend(others.into_iter().map(|other| with(Kind::Literal(other))));
        }
        Kind::Bits => all.extend([31, 64].map(|other| with(Kind::Literal(other)))),
        Kind::Op(op, list) | Kind::Fold(op, list) => {
            let kind = |op, list| match &node.kind {
                Kind::Fold(..) => Kind::Fold(op, list),
                _ => Kind::Op(op, list),
            };
            all.extend(
                others(*op)
                    .into_iter()
                    .map(|other| with(kind(other, list.clone()))),
            );
            if list.len() > 1 + usize::from(op.has_immediate()) && !op.commutes() {
                let mut swapped = list.clone();
                swapped.swap(list.len() - 2, list.len() - 1);
                all.push(with(kind(*op, swapped)));
            }
        }
        Kind::Value(name) | Kind::Constant(name) => {
            let mut names = Vec::new();
            rule.left.walk(&mut |expr| {
                if std::mem::discriminant(&expr.kind) == std::mem::discriminant(&node.kind)
                    && let Kind::Value(other) | Kind::Constant(other) = &expr.kind
                    && other != name
                    && !names.contains(other)
                {
                    names.push(other.clone());
                }
            });
            all.extend(names.into_iter().map(|other| {
                with(match node.kind {
                    Kind::Constant(_) => Kind::Constant(other),
                    _ => Kind::Value(other),
                })
            }));
        }
        Kind::Zeros(_) | Kind::Once(_) => {}
    }
    if let Some(ty) = node.ty {
        let mut changed = node.clone();
        changed.ty = Some(if ty == Type::I32 { Type::I64 } else { Type::I32 });
        all.push((format!("{node} -> {changed}"), changed));
    }
    all
}

/// Operators that an operator is mistaken for: the next ones in a ring of those with its shape.
fn others(op: Op) -> Vec<Op> {
    const COUNT: usize = 3;
    let ring: Vec<Op> = match op {
        Op::Unary(UnaryOp::ExtendU | UnaryOp::ExtendS) => {
            [UnaryOp::ExtendU, UnaryOp::ExtendS].map(Op::Unary).to_vec()
        }
        Op::Unary(UnaryOp::FAbs | UnaryOp::FNeg) => [UnaryOp::FAbs, UnaryOp::FNeg].map(Op::Unary).to_vec(),
        Op::Unary(UnaryOp::Wrap | UnaryOp::Bitcast) | Op::Select | Op::Shuffle => return Vec::new(),
        Op::Vector(op) => {
            let alike = VectorOp::ALL.iter().filter(|other| other.form() == op.form());
            alike
                .map(|&other| Op::Vector(other))
                .filter(|&other| has_meaning(other))
                .collect()
        }
        Op::Unary(_) => [
            UnaryOp::Clz,
            UnaryOp::Ctz,
            UnaryOp::Popcnt,
            UnaryOp::SignExtend8,
            UnaryOp::SignExtend16,
            UnaryOp::SignExtend32,
        ]
        .map(Op::Unary)
        .to_vec(),
        Op::Binary(BinaryOp::DivS | BinaryOp::DivU | BinaryOp::RemS | BinaryOp::RemU) => {
            [BinaryOp::DivS, BinaryOp::DivU, BinaryOp::RemS, BinaryOp::RemU]
                .map(Op::Binary)
                .to_vec()
        }
        Op::Binary(BinaryOp::MulHighU | BinaryOp::MulHighS) => {
            [BinaryOp::MulHighU, BinaryOp::MulHighS, BinaryOp::Mul]
                .map(Op::Binary)
                .to_vec()
        }
        Op::Binary(BinaryOp::FCopysign) => return Vec::new(),
        Op::Binary(_) => [
            BinaryOp::Add,
            BinaryOp::Sub,
            BinaryOp::Xor,
            BinaryOp::Or,
            BinaryOp::And,
            BinaryOp::Shl,
            BinaryOp::ShrU,
            BinaryOp::ShrS,
            BinaryOp::Rotl,
            BinaryOp::Rotr,
            BinaryOp::Mul,
        ]
        .map(Op::Binary)
        .to_vec(),
        Op::Compare(op) => {
            let is_float = op.accepts(Type::F64);
            let same = CompareOp::ALL
                .iter()
                .filter(|other| other.accepts(Type::F64) == is_float);
            same.map(|&other| Op::Compare(other)).collect()
        }
    };
    let at = ring.iter().position(|&other| other == op);
    let start = at.map_or(0, |at| at + 1);
    let next = ring.iter().cycle().skip(start).take(ring.len().saturating_sub(1));
    next.take(COUNT).copied().filter(|&other| other != op).collect()
}

/// What can be said of a mutant without a solver: `Err` with the questions for one if nothing can.
///
/// # Errors
/// The questions of all its typings.
pub fn judge(mutant: &Mutant) -> Result<Verdict, Vec<Question>> {
    let Some(questions) = mutant.rule.questions() else {
        return Ok(Verdict::Untyped);
    };
    for (typing, question) in questions.iter().enumerate() {
        if let Some(values) = search(question) {
            return Ok(Verdict::Refuted(Refusal { typing, values }));
        }
    }
    Err(questions)
}

/// Values that refute a question, if some turn up.
fn search(question: &Question) -> Option<BTreeMap<String, u128>> {
    let variables = question.terms.variables();
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    (0..TRIES_MAX).find_map(|_| {
        let mut values = BTreeMap::new();
        let mut last = 0u64;
        for (name, sort) in &variables {
            let Sort::Bits(bits) = *sort else { continue };
            let (choice, number) = (random(), random());
            let width = u64::from(bits);
            let small = number % (width + 2);
            let value = match choice % 9 {
                0 => small,
                1 => width.wrapping_sub(last) % (width + 1),
                2 => 1u64.checked_shl(small as u32).unwrap_or(0),
                3 => u64::MAX.checked_shl(small as u32).unwrap_or(0),
                4 => !u64::MAX.checked_shl(small as u32).unwrap_or(0),
                5 => last,
                6 => number & random(),
                // Something small below something large.
                7 => number << 32 | small,
                _ => number,
            };
            last = value;
            let value = match bits {
                128 => vector(choice >> 3, value, random()),
                _ => u128::from(value),
            };
            values.insert(name.clone(), value & (u128::MAX >> (128 - bits)));
        }
        question.is_refuted_by(&values).then_some(values)
    })
}

/// A vector with something special in its lanes, or all in one, or nothing special.
fn vector(choice: u64, number: u64, other: u64) -> u128 {
    let lanes = |bits: u32, lane: u64| {
        let lane = u128::from(lane) & (u128::MAX >> (128 - bits));
        (0..128 / bits).fold(0, |all, i| all | lane << (bits * i))
    };
    let bits = 8 << (choice >> 3 & 3);
    match choice % 8 {
        0 => lanes(bits, number),
        1 => lanes(bits, 1 << (bits - 1)),
        2 => u128::from(number),
        3 => lanes(8, 0x0f) & u128::from(number) << 64 | u128::from(other) & u128::from(u64::MAX),
        4 => lanes(8, 0x1f) & (u128::from(number) << 64 | u128::from(other)),
        _ => u128::from(number) << 64 | u128::from(other),
    }
}

/// A hash of some questions.
fn hash(questions: &[Question]) -> String {
    let mut hasher = blake3::Hasher::new();
    for question in questions {
        hasher.update(question.script().as_bytes());
    }
    hasher.finalize().to_hex()[..32].to_owned()
}

impl Verdict {
    /// The verdict that a solver proved the questions of a mutant.
    pub fn right(questions: &[Question]) -> Self {
        Self::Right(hash(questions))
    }
}

/// The record of verdicts on mutants, one line each.
pub fn record(verdicts: &[(Mutant, Verdict)]) -> String {
    let count = |wanted: fn(&Verdict) -> bool| verdicts.iter().filter(|(_, v)| wanted(v)).count();
    let mut text = format!(
        "# Written by `cargo xtask prove --mutants`: rules with a mistake each. Do not edit.\n\
         # {} mutants: {} without types, {} refuted by values, {} unproved, {} right all the same\n",
        verdicts.len(),
        count(|v| matches!(v, Verdict::Untyped)),
        count(|v| matches!(v, Verdict::Refuted(_))),
        count(|v| matches!(v, Verdict::Unproved)),
        count(|v| matches!(v, Verdict::Right(_))),
    );
    for (mutant, verdict) in verdicts {
        let said = match verdict {
            Verdict::Untyped => "untyped".to_owned(),
            Verdict::Unproved => "unproved".to_owned(),
            Verdict::Right(hash) => format!("right {hash} {}", mutant.what),
            Verdict::Refuted(Refusal { typing, values }) => {
                let values: Vec<String> = values.iter().map(|(name, v)| format!("{name}={v:x}")).collect();
                format!("refuted {typing} {}", values.join(" "))
            }
        };
        writeln!(text, "{} {said}", mutant.name).expect("a string takes what is written");
    }
    text
}

/// The verdicts of a record that hold of these mutants still, so that nobody need be asked again.
pub fn recorded(mutants: &[Mutant], record: &str) -> Vec<Option<Verdict>> {
    let lines = record.lines().filter_map(|line| line.split_once(' '));
    let known: BTreeMap<&str, &str> = lines.collect();
    let verdict = |mutant: &Mutant| {
        let text = *known.get(&mutant.name[..])?;
        if !repeat(mutant, text) {
            return None;
        }
        let mut words = text.split(' ');
        Some(match words.next()? {
            "untyped" => Verdict::Untyped,
            "unproved" => Verdict::Unproved,
            "right" => Verdict::Right(words.next()?.to_owned()),
            _ => Verdict::Refuted(refusal(words)?),
        })
    };
    mutants.iter().map(verdict).collect()
}

/// A refusal as it is recorded: the typing, then the values.
fn refusal<'w>(mut words: impl Iterator<Item = &'w str>) -> Option<Refusal> {
    let typing = words.next()?.parse().ok()?;
    let values = words.map(|word| {
        let (name, value) = word.split_once('=')?;
        Some((name.to_owned(), u128::from_str_radix(value, 16).ok()?))
    });
    let values = values.collect::<Option<_>>()?;
    Some(Refusal { typing, values })
}

/// Repeats the verdicts of a record on the mutants of the rules as they are: what does not hold.
pub fn replay(mutants: &[Mutant], record: &str) -> Vec<String> {
    let mut lines = record.lines().filter(|line| !line.starts_with('#'));
    let mut wrong = Vec::new();
    for mutant in mutants {
        let line = lines.next().unwrap_or_default();
        let holds = line
            .strip_prefix(&mutant.name[..])
            .and_then(|rest| rest.strip_prefix(' '))
            .is_some_and(|verdict| repeat(mutant, verdict));
        if !holds {
            wrong.push(format!("{} ({}): `{line}`", mutant.name, mutant.what));
        }
    }
    wrong.extend(lines.map(|line| format!("no mutant: `{line}`")));
    wrong
}

/// Whether a verdict holds.
fn repeat(mutant: &Mutant, verdict: &str) -> bool {
    let mut words = verdict.split(' ');
    match (words.next(), mutant.rule.questions()) {
        (Some("untyped"), None) => true,
        (Some("unproved"), Some(_)) => true,
        (Some("right"), Some(questions)) => words.next() == Some(&hash(&questions)),
        (Some("refuted"), Some(questions)) => {
            let Some(Refusal { typing, values }) =
                refusal(words).filter(|refusal| refusal.typing < questions.len())
            else {
                return false;
            };
            let question = &questions[typing];
            let complete = question
                .terms
                .variables()
                .iter()
                .all(|(name, _)| values.contains_key(name));
            complete && question.is_refuted_by(&values)
        }
        _ => false,
    }
}
