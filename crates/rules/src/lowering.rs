//! Lowering rules: a pattern of the IR on the left, forms of machine instructions on the right.
//!
//! Requires nothing of the text. Guarantees for what it accepts: the left side has types; each form has as
//! many operands as its row in `isa` takes, of the right kinds; names are bound; each rule does what its
//! example shows. Whether it is true is asked by `machine`.
//!
//! ```text
//! lower NAME [for …]: EXPR => FORM            the value of EXPR in a register
//! flags NAME [for …]: EXPR => (is COND FORM)  whether EXPR, a comparison, holds
//! test  NAME [for …]: EXPR => FORM            the flags of comparing EXPR with 0
//!   if GUARD, …
//!   example: EXPR => FORM
//!
//! FORM    = (ROW OPERAND …) | (ROW.32 OPERAND …) | (ROW.64 OPERAND …) | NAME@(ROW OPERAND …)
//! OPERAND = NAME | (full NAME) | (rm NAME) | (memory NAME) | CONSTANT | FORM | (is COND FORM) | (holds NAME)
//!         | (against_zero NAME)
//! GUARD   = (COMPARISON EXPR EXPR) | (once NAME) | (shared NAME) | (imm CONSTANT) | (has FEATURE)
//!         | (variable NAME) | (loads NAME)
//! ```
//!
//! A name of a 32-bit value stands for a register of which only the low half counts; `full` asks for one
//! whose upper half is 0. `rm` lets a load or constant be the operand. A row without a width has that
//! of its first operand.

use crate::machine;
use crate::syntax::{Expr, Invalid, Kind, Op, Parser, Place, Reason, Rule, Token};
use crate::typing::{self, Typed};
use cellwall_ir::{CompareOp, Type};
use cellwall_isa::x64::{Cond, Form, Row};
use std::collections::BTreeSet;
use std::fmt;

/// What a rule gives.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Goal {
    /// The value in a register, zero-extended.
    Value,
    /// A condition that holds if the comparison does.
    Flags,
    /// The flags that comparing the value with 0 leaves.
    Test,
}

impl Goal {
    const ALL: [Self; 3] = [Self::Value, Self::Flags, Self::Test];

    /// The word that a rule begins with.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Value => "lower",
            Self::Flags => "flags",
            Self::Test => "test",
        }
    }
}

/// How a value is read.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Access {
    /// In a register of which the value's own bits count.
    Low,
    /// In a register whose upper bits are 0.
    Full,
    /// As `Low`, or in memory.
    Rm,
    /// In memory.
    Memory,
}

/// An operand of a form, or a form.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Node {
    /// A value of the left side.
    Value(Access, String),
    /// What a form with this name gave.
    Again(String),
    /// A constant.
    Constant(Expr),
    /// Whether the flags of a form fulfil a condition.
    Is(Cond, Box<Node>),
    /// Whether a value is not 0, in whatever flags.
    Holds(String),
    /// The flags of comparing a value with 0.
    AgainstZero(String),
    /// An instruction.
    Form {
        /// Its row.
        row: Row,
        /// Its width in bits, where it is written.
        width: Option<u32>,
        /// Its operands.
        operands: Vec<Node>,
        /// Its name, for use further right.
        name: Option<String>,
    },
}

/// A guard that is no comparison of constants.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Guard {
    /// One user.
    Once(String),
    /// More users than one.
    Shared(String),
    /// The constant is a 32-bit immediate, sign-extended.
    Imm(Expr),
    /// The processor has this feature.
    Has(String),
    /// No constant.
    Variable(String),
    /// A load that can move here.
    Loads(String),
}

/// A lowering rule.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lowering {
    /// What it gives.
    pub goal: Goal,
    /// The left side, with every constant of the right side beside it in a condition that always holds, so that
    /// it has a type.
    pub rule: Rule,
    /// The right side.
    pub right: Node,
    /// Guards.
    pub guards: Vec<Guard>,
    /// What it makes of examples.
    pub examples: Vec<(Expr, Node)>,
}

/// A lowering rule with its types.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TypedLowering {
    /// The rule.
    pub lowering: Lowering,
    /// The types of the left side and of all constants.
    pub typed: Typed,
}

/// The kinds of operands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Slot {
    /// A register.
    Reg,
    /// A register or memory.
    Rm,
    /// An immediate.
    Imm,
    /// Flags.
    Flags,
}

/// The operands of a row of which `count` are written; `None` if lowering rules cannot use it so.
pub(crate) fn slots(row: Row, count: usize) -> Option<&'static [Slot]> {
    use Slot::{Flags, Imm, Reg, Rm};
    let slots: &[Slot] = match (row, row.form()) {
        (Row::Lea, _) if count == 2 => &[Reg, Imm],
        (Row::Lea, _) => &[Reg, Reg, Imm, Imm],
        (Row::Cmov, _) => &[Reg, Rm, Flags],
        (Row::CmpStore, _) => &[Rm, Reg],
        (_, Form::Rm | Form::VexVm) => &[Rm],
        (_, Form::RmMod | Form::RmUse | Form::VexRvm) => &[Reg, Rm],
        (_, Form::RmImm | Form::VexRmImm | Form::ImmUse) => &[Rm, Imm],
        (_, Form::VexRmv) => &[Rm, Reg],
        (_, Form::Imm | Form::ShiftImm) => &[Reg, Imm],
        (_, Form::Unary) => &[Reg],
        (_, Form::ShiftCl) => &[Reg, Reg],
        (_, Form::Zero) => &[],
        _ => return None,
    };
    (slots.len() == count).then_some(slots)
}

/// The name of a row in rule files: that in Rust, in small letters.
pub(crate) fn row_name(row: Row) -> String {
    let (mut name, mut after_small) = (String::new(), false);
    for c in format!("{row:?}").chars() {
        if c.is_ascii_uppercase() && after_small {
            name.push('_');
        }
        after_small = !c.is_ascii_uppercase();
        name.push(c.to_ascii_lowercase());
    }
    name
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(Access::Low, name) | Self::Again(name) => f.write_str(name),
            Self::Value(Access::Full, name) => write!(f, "(full {name})"),
            Self::Value(Access::Rm, name) => write!(f, "(rm {name})"),
            Self::Value(Access::Memory, name) => write!(f, "(memory {name})"),
            Self::Constant(expr) => expr.fmt(f),
            Self::Is(cond, form) => write!(f, "(is {} {form})", cond.name()),
            Self::Holds(name) => write!(f, "(holds {name})"),
            Self::AgainstZero(name) => write!(f, "(against_zero {name})"),
            Self::Form {
                row,
                width,
                operands,
                name,
            } => {
                if let Some(name) = name {
                    write!(f, "{name}@")?;
                }
                write!(f, "({}", row_name(*row))?;
                if let Some(width) = width {
                    write!(f, ".{width}")?;
                }
                operands.iter().try_for_each(|operand| write!(f, " {operand}"))?;
                f.write_str(")")
            }
        }
    }
}

impl fmt::Display for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Once(name) => write!(f, "(once {name})"),
            Self::Shared(name) => write!(f, "(shared {name})"),
            Self::Imm(expr) => write!(f, "(imm {expr})"),
            Self::Has(feature) => write!(f, "(has {feature})"),
            Self::Variable(name) => write!(f, "(variable {name})"),
            Self::Loads(name) => write!(f, "(loads {name})"),
        }
    }
}

impl fmt::Display for Lowering {
    /// The canonical text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rule = &self.rule;
        write!(
            f,
            "{} {}: {} => {}",
            self.goal.word(),
            rule.name,
            rule.left,
            self.right
        )?;
        let conditions = self.comparisons().map(Expr::to_string);
        let guards = self.guards.iter().map(Guard::to_string);
        for (i, guard) in conditions.chain(guards).enumerate() {
            write!(f, "{} {guard}", if i == 0 { " if" } else { "," })?;
        }
        Ok(())
    }
}

impl Lowering {
    /// The conditions that were written.
    pub(crate) fn comparisons(&self) -> impl Iterator<Item = &Expr> {
        self.rule
            .conditions
            .iter()
            .filter(|condition| !is_anchor(condition))
    }
}

/// Whether a condition is there for the types alone.
pub(crate) fn is_anchor(condition: &Expr) -> bool {
    matches!(&condition.kind, Kind::Op(Op::Compare(CompareOp::Eq), list) if list[0].id == list[1].id)
}

impl Node {
    /// Calls `f` with this and each node inside.
    pub(crate) fn walk<'n>(&'n self, f: &mut impl FnMut(&'n Self)) {
        f(self);
        match self {
            Self::Is(_, form) => form.walk(f),
            Self::Form { operands, .. } => operands.iter().for_each(|operand| operand.walk(f)),
            _ => {}
        }
    }

    /// The nodes in the order of `walk`, to change one.
    pub(crate) fn nth_mut(&mut self, n: &mut usize) -> Option<&mut Self> {
        if *n == 0 {
            return Some(self);
        }
        *n -= 1;
        match self {
            Self::Is(_, form) => form.nth_mut(n),
            Self::Form { operands, .. } => operands.iter_mut().find_map(|operand| operand.nth_mut(n)),
            _ => None,
        }
    }

    /// Whether this is a register or flags, by its form.
    fn is_flags(&self) -> bool {
        match self {
            Self::AgainstZero(_) => true,
            Self::Form { row, .. } => {
                *row == Row::CmpStore || matches!(row.form(), Form::RmUse | Form::ImmUse)
            }
            _ => false,
        }
    }
}

/// Reads and types the rules of some files: names with texts.
///
/// # Errors
/// The first rule that does not make sense, with the name of its file.
pub fn check_lowering<'f>(
    files: impl IntoIterator<Item = (&'f str, &'f str)>,
) -> Result<Vec<TypedLowering>, (&'f str, Invalid)> {
    let (mut all, mut names) = (Vec::new(), BTreeSet::new());
    for (file, text) in files {
        for lowering in parse(text).map_err(|error| (file, error))? {
            let (name, place) = (lowering.rule.name.clone(), lowering.rule.place);
            if !names.insert(name.clone()) {
                return Err((file, Invalid::new(place, Reason::SecondRule(name))));
            }
            let typed = types(lowering).map_err(|error| (file, error))?;
            crate::shown::check(&typed).map_err(|error| (file, error))?;
            all.push(typed);
        }
    }
    Ok(all)
}

/// Types a rule.
pub(crate) fn types(lowering: Lowering) -> Result<TypedLowering, Invalid> {
    let place = lowering.rule.place;
    let fail = |reason| Err(Invalid::new(place, reason));
    let mut traps = false;
    lowering
        .rule
        .left
        .walk(&mut |expr| traps |= matches!(expr.kind, Kind::Op(op, _) if op.traps()));
    if traps {
        return fail(Reason::NoMeaning("what traps"));
    }
    let typed = match lowering.goal {
        Goal::Test => typing::types_of_any(lowering.rule.clone())?,
        _ => typing::types(lowering.rule.clone())?,
    };
    let mut shape = Shape {
        lowering: &lowering,
        named: BTreeSet::new(),
        wrong: None,
    };
    match (lowering.goal, &lowering.right) {
        (Goal::Value, node @ Node::Form { .. }) if !node.is_flags() => shape.node(node, Slot::Reg),
        (Goal::Flags, node @ Node::Is(..)) => shape.node(node, Slot::Flags),
        (Goal::Test, node) if node.is_flags() => shape.carries(node),
        _ => return fail(Reason::Expected("a form that gives what the rule is for")),
    }
    if let Some(wrong) = shape.wrong {
        return fail(wrong);
    }
    let is_comparison = matches!(&lowering.rule.left.kind, Kind::Op(Op::Compare(_), _));
    if lowering.goal == Goal::Flags && !is_comparison {
        return fail(Reason::Expected("a comparison on the left"));
    }
    let typed = TypedLowering { lowering, typed };
    let all = 0..typed.typed.typings.len();
    match all
        .into_iter()
        .all(|typing| machine::question(&typed, typing).is_some())
    {
        true => Ok(typed),
        false => fail(Reason::NoMeaning(
            "a form with operands of other sizes, or without its width",
        )),
    }
}

/// What a right side has to be.
struct Shape<'l> {
    lowering: &'l Lowering,
    named: BTreeSet<&'l str>,
    wrong: Option<Reason>,
}

impl<'l> Shape<'l> {
    fn fail(&mut self, reason: Reason) {
        self.wrong = self.wrong.take().or(Some(reason));
    }

    /// A node where something of this kind is needed.
    fn node(&mut self, node: &'l Node, slot: Slot) {
        match (node, slot) {
            (Node::Value(Access::Low | Access::Full, name), Slot::Reg | Slot::Rm)
            | (Node::Value(Access::Rm, name), Slot::Rm) => self.bound(name),
            (Node::Value(Access::Memory, name), Slot::Rm) => {
                self.bound(name);
                let loads = |guard: &Guard| matches!(guard, Guard::Loads(other) if other == name);
                if !self.lowering.guards.iter().any(loads) {
                    self.fail(Reason::Expected("a condition that it loads"));
                }
            }
            (Node::Again(name), Slot::Reg | Slot::Rm) => {
                if !self.named.contains(&name[..]) {
                    self.fail(Reason::Unbound(name.clone()));
                }
            }
            (Node::Constant(_), Slot::Imm) => {}
            (Node::Holds(name), Slot::Flags) => self.bound(name),
            (Node::Is(_, form), Slot::Flags) => self.carries(form),
            (node @ Node::Form { row, .. }, Slot::Reg | Slot::Rm) => {
                let is_result = !node.is_flags() && row.classes().0 == cellwall_isa::Class::Int;
                if !is_result {
                    self.fail(Reason::Expected("a form that gives a register"));
                }
                self.form(node);
            }
            _ => self.fail(Reason::Expected("another operand")),
        }
    }

    /// A node that leaves flags.
    fn carries(&mut self, node: &'l Node) {
        match node {
            Node::AgainstZero(name) => self.bound(name),
            Node::Form { .. } if node.is_flags() => self.form(node),
            _ => self.fail(Reason::Expected("a form that leaves flags")),
        }
    }

    fn form(&mut self, node: &'l Node) {
        let Node::Form {
            row, operands, name, ..
        } = node
        else {
            return;
        };
        let Some(slots) = slots(*row, operands.len()) else {
            return self.fail(Reason::Unknown(row_name(*row)));
        };
        for (operand, &slot) in operands.iter().zip(slots).rev() {
            self.node(operand, slot);
        }
        if let Some(name) = name {
            self.named.insert(name);
        }
    }

    fn bound(&mut self, name: &str) {
        let mut bound = false;
        self.lowering.rule.left.walk(&mut |expr| {
            bound |= matches!(&expr.kind, Kind::Value(other) if other == name);
            bound |= expr.name.as_deref() == Some(name);
        });
        if !bound {
            self.fail(Reason::Unbound(name.to_owned()));
        }
    }
}

/// Reads a file of lowering rules.
pub(crate) fn parse(text: &str) -> Result<Vec<Lowering>, Invalid> {
    let mut parser = Parser::new(text)?;
    let mut rules = Vec::new();
    let keywords = Goal::ALL.map(Goal::word);
    while let Some((why, keyword)) = parser.begin(&keywords, "`lower`, `flags` or `test`")? {
        let goal = Goal::ALL.into_iter().find(|goal| goal.word() == keyword);
        let goal = goal.expect("it is one of these words");
        parser.each_choice(why, |parser, name, why, place| {
            let mut reading = Reading {
                parser,
                anchors: Vec::new(),
            };
            let rule = reading.rule(goal, name, why, place)?;
            rules.push(rule);
            Ok(())
        })?;
    }
    Ok(rules)
}

struct Reading<'p, 't> {
    parser: &'p mut Parser<'t>,
    /// Constants of the right side.
    anchors: Vec<Expr>,
}

impl Reading<'_, '_> {
    fn rule(&mut self, goal: Goal, name: String, why: String, place: Place) -> Result<Lowering, Invalid> {
        let left = self.parser.expr(0)?;
        self.parser.expect(Token::Word("=>"), "`=>`")?;
        let right = self.right()?;
        let (mut conditions, mut guards) = (Vec::new(), Vec::new());
        if self.parser.next_is(Token::Word("if")) {
            self.guard(&mut conditions, &mut guards)?;
            while self.parser.next_is(Token::Comma) {
                self.guard(&mut conditions, &mut guards)?;
            }
        }
        for expr in std::mem::take(&mut self.anchors) {
            conditions.push(self.anchor(expr)?);
        }
        let mut examples = Vec::new();
        while self.parser.next_is(Token::Word("example:")) {
            let left = self.parser.expr(0)?;
            self.parser.expect(Token::Word("=>"), "`=>`")?;
            examples.push((left, self.right()?));
            self.anchors.clear();
        }
        if examples.is_empty() {
            return Err(Invalid::new(place, Reason::NoExample));
        }
        let rule = Rule {
            name,
            why,
            place,
            right: without_names(&left),
            left,
            conditions,
            examples: Vec::new(),
        };
        Ok(Lowering {
            goal,
            rule,
            right,
            guards,
            examples,
        })
    }

    /// A right side.
    fn right(&mut self) -> Result<Node, Invalid> {
        let mut node = self.node(0)?;
        let mut names = BTreeSet::new();
        node.walk(&mut |inner| {
            if let Node::Form { name: Some(name), .. } = inner {
                names.insert(name.clone());
            }
        });
        node.say_again(&names);
        Ok(node)
    }

    /// A condition that always holds and gives a constant a type.
    fn anchor(&mut self, expr: Expr) -> Result<Expr, Invalid> {
        Ok(Expr {
            id: self.parser.enter(0)?,
            place: expr.place,
            kind: Kind::Op(Op::Compare(CompareOp::Eq), vec![expr.clone(), expr]),
            name: None,
            ty: None,
        })
    }

    fn guard(&mut self, conditions: &mut Vec<Expr>, guards: &mut Vec<Guard>) -> Result<(), Invalid> {
        let guard: fn(String) -> Guard = match self.parser.operator() {
            Some("once") => Guard::Once,
            Some("shared") => Guard::Shared,
            Some("has") => Guard::Has,
            Some("variable") => Guard::Variable,
            Some("loads") => Guard::Loads,
            Some("imm") => {
                self.parser.at += 2;
                let expr = self.parser.expr(1)?;
                self.anchors.push(expr.clone());
                guards.push(Guard::Imm(expr));
                return self.parser.expect(Token::Close, "`)`");
            }
            _ => {
                conditions.push(self.parser.condition()?);
                return Ok(());
            }
        };
        self.parser.at += 2;
        guards.push(guard(self.parser.name()?));
        self.parser.expect(Token::Close, "`)`")
    }

    fn node(&mut self, depth: usize) -> Result<Node, Invalid> {
        let node = match self.parser.operator() {
            Some(word @ ("full" | "rm" | "memory" | "holds" | "against_zero")) => {
                self.parser.at += 2;
                let name = self.parser.name()?;
                match word {
                    "full" => Node::Value(Access::Full, name),
                    "rm" => Node::Value(Access::Rm, name),
                    "memory" => Node::Value(Access::Memory, name),
                    "holds" => Node::Holds(name),
                    _ => Node::AgainstZero(name),
                }
            }
            Some("is") => {
                self.parser.at += 2;
                let name = self.parser.word()?;
                let cond = Cond::HARDWARE.into_iter().find(|cond| cond.name() == name);
                let Some(cond) = cond else {
                    return self.parser.fail(Reason::Unknown(name));
                };
                Node::Is(cond, Box::new(self.node(depth + 1)?))
            }
            Some(word) if !word.starts_with("fold.") => return self.form(depth, None),
            _ => return self.leaf(depth),
        };
        self.parser.expect(Token::Close, "`)`")?;
        Ok(node)
    }

    /// A name, a constant or a form with a name.
    fn leaf(&mut self, depth: usize) -> Result<Node, Invalid> {
        if let Some(name) = self.parser.label()? {
            return self.form(depth, Some(name));
        }
        let expr = self.parser.expr(depth)?;
        Ok(match expr.kind {
            Kind::Value(name) => Node::Value(Access::Low, name),
            _ => {
                if !matches!(expr.kind, Kind::Literal(_)) {
                    self.anchors.push(expr.clone());
                }
                Node::Constant(expr)
            }
        })
    }

    fn form(&mut self, depth: usize, name: Option<String>) -> Result<Node, Invalid> {
        self.parser.enter(depth)?;
        self.parser.expect(Token::Open, "`(`")?;
        let word = self.parser.word()?;
        let (bare, width) = match word.split_once('.') {
            Some((bare, width)) => (bare, width.parse().ok().filter(|w| [8, 16, 32, 64].contains(w))),
            None => (&word[..], None),
        };
        let row = Row::ALL.iter().find(|&&row| row_name(row) == bare);
        let Some(&row) = row.filter(|_| width.is_some() || !word.contains('.')) else {
            return self.parser.fail(Reason::Unknown(word));
        };
        let mut operands: Vec<Node> = Vec::new();
        while !self.parser.next_is(Token::Close) {
            operands.push(self.node(depth + 1)?);
        }
        Ok(Node::Form {
            row,
            width,
            operands,
            name,
        })
    }
}

impl Node {
    /// Names of forms stand for what those gave.
    fn say_again(&mut self, names: &BTreeSet<String>) {
        match self {
            Self::Value(Access::Low, name) if names.contains(name) => *self = Self::Again(name.clone()),
            Self::Is(_, form) => form.say_again(names),
            Self::Form { operands, .. } => operands.iter_mut().for_each(|operand| operand.say_again(names)),
            _ => {}
        }
    }
}

fn without_names(expr: &Expr) -> Expr {
    let mut out = Expr {
        name: None,
        ..expr.clone()
    };
    for operand in out.operands_mut() {
        *operand = without_names(operand);
    }
    out
}

/// The width of a node in bits in one typing, where it has one.
pub(crate) fn width(node: &Node, ty: &dyn Fn(&str) -> Type) -> Option<u32> {
    match node {
        Node::Value(_, name) | Node::AgainstZero(name) => Some(ty(name).bits()),
        Node::Form {
            width: Some(width), ..
        } => Some(*width),
        Node::Form { operands, .. } => operands.iter().find_map(|operand| width(operand, ty)),
        Node::Is(_, form) => width(form, ty),
        Node::Again(_) | Node::Constant(_) | Node::Holds(_) => None,
    }
}
