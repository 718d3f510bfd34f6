//! The syntax of rule files: text to [`Rule`]s, and back to canonical text.
//!
//! Requires nothing of the text. Guarantees that what is returned has the shape below, with every
//! limit kept; whether it makes sense is the typer's question. Does not look inside conditions or
//! folds beyond their names.
//!
//! ```text
//! ;;;; A heading.
//! ;; Why the rule is there.
//! rule NAME [for NAMES in WORDS …, NAMES in WORDS …]: EXPR => EXPR
//!   if CONDITION, CONDITION
//!   example: EXPR => EXPR
//!
//! EXPR      = NAME | NAME:TYPE | kNAME | INTEGER | bits | (OP EXPR …) | (fold.OP EXPR …) | NAME@(OP EXPR …)
//! CONDITION = (COMPARISON EXPR EXPR) | (zeros NAME EXPR) | (once NAME)
//! ```
//!
//! A rule `for L/N in i16x8/i8x16 i32x4/i16x8, S in s u` is one rule for each choice: in its words, `L`,
//! `N` and `S` stand for what was chosen, as in `L.extend_low_N_S`, and its name has the choices behind it.
//! Operators on vectors have their names in WebAssembly. A lane, or the bytes that a shuffle picks, is
//! their first operand, and a constant. On the left, `(fold.i32x4.splat k)` is any constant vector with
//! equal lanes, which `k` is, zero-extended.

use cellwall_ir::{BinaryOp, CompareOp, Form, Type, UnaryOp, VectorOp};
use std::fmt;

/// Bytes of a rule file, at most.
pub(crate) const FILE_BYTES_MAX: usize = 1 << 20;
/// Rules of a file, at most.
pub(crate) const RULES_MAX: usize = 1_000;
/// Nodes of a rule, at most.
pub(crate) const NODES_MAX: usize = 200;
/// Rules that one rule `for` several choices stands for, at most.
pub(crate) const CHOICES_MAX: usize = 32;
/// Expressions inside each other, at most.
pub(crate) const DEPTH_MAX: usize = 24;

/// A place in a rule file, both numbers counted from 1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Place {
    /// The line.
    pub line: u32,
    /// The column, in characters.
    pub column: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// What is wrong with a rule file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Invalid {
    /// Where.
    pub place: Place,
    /// What.
    pub reason: Reason,
}

/// Why a rule file is refused.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reason {
    /// Something exceeds a limit of this module: what, and how much is allowed.
    Limit(&'static str, usize),
    /// Something else was expected.
    Expected(&'static str),
    /// A rule without a `;;` comment.
    NoWhy,
    /// A rule without an example.
    NoExample,
    /// Two rules of one name.
    SecondRule(String),
    /// No operator, type or predicate of this name.
    Unknown(String),
    /// An operator with too few or too many operands: the operator, and how many it takes.
    Operands(String, usize),
    /// The left side of a rule is no operation.
    LeftIsNoOperation,
    /// A name on the right side or in a condition that the left side does not have.
    Unbound(String),
    /// A name that stands for two things.
    Rebound(String),
    /// Something that is computed at run time where a constant is needed.
    NotConstant,
    /// A fold, or a fold of an operator that may trap, where none can be.
    NoFold,
    /// No types fit.
    NoTypes,
    /// The left side does not tell the type of something.
    TypeNotDetermined,
    /// Which types fit here depends on the types elsewhere.
    TypesRelated,
    /// A literal that is too large for its type.
    LiteralTooLarge,
    /// An operator whose meaning has no encoding as bit-vectors, so that nothing can be proved.
    NoMeaning(&'static str),
    /// The right side costs more than what the left side saves: both costs.
    Worse(u32, u32),
    /// The rule turns something into itself.
    NoChange,
    /// The rule does not give what its example says.
    Example(String),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Limit(what, max) => write!(f, "too many {what}: at most {max}"),
            Self::Expected(what) => write!(f, "expected {what}"),
            Self::NoWhy => f.write_str("a rule needs a comment `;;` that says why"),
            Self::NoExample => f.write_str("a rule needs an example"),
            Self::SecondRule(name) => write!(f, "there is a rule `{name}` already"),
            Self::Unknown(name) => write!(f, "nothing is called `{name}`"),
            Self::Operands(name, count) => write!(f, "`{name}` takes {count} operands"),
            Self::LeftIsNoOperation => f.write_str("the left side is no operation"),
            Self::Unbound(name) => write!(f, "the left side has no `{name}`"),
            Self::Rebound(name) => write!(f, "`{name}` stands for two things"),
            Self::NotConstant => f.write_str("this is no constant"),
            Self::NoFold => f.write_str("nothing can be folded here"),
            Self::NoTypes => f.write_str("no types fit"),
            Self::TypeNotDetermined => f.write_str("the left side does not tell the type of this"),
            Self::TypesRelated => f.write_str("which types fit here depends on types elsewhere"),
            Self::LiteralTooLarge => f.write_str("the literal is too large for its type"),
            Self::NoMeaning(op) => write!(f, "`{op}` has no encoding as bit-vectors"),
            Self::Worse(left, right) => write!(f, "the right side costs {right}, the left side {left}"),
            Self::NoChange => f.write_str("both sides are the same"),
            Self::Example(found) => write!(f, "the rule gives {found}"),
        }
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.reason)
    }
}

impl std::error::Error for Invalid {}

impl Invalid {
    pub(crate) fn new(place: Place, reason: Reason) -> Self {
        Self { place, reason }
    }
}

/// An operator of the IR.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Op {
    /// Of one operand.
    Unary(UnaryOp),
    /// Of two operands.
    Binary(BinaryOp),
    /// A comparison.
    Compare(CompareOp),
    /// The choice.
    Select,
    /// An operator on vectors. One that names a lane has it as its first operand.
    Vector(VectorOp),
    /// The bytes of two vectors that the first operand, a constant vector, picks.
    Shuffle,
}

impl Op {
    /// The operator of this name.
    pub fn named(name: &str) -> Option<Self> {
        if name == "select" {
            return Some(Self::Select);
        }
        if name == "i8x16.shuffle" {
            return Some(Self::Shuffle);
        }
        let unary = UnaryOp::ALL.iter().find(|op| op.name() == name);
        let binary = BinaryOp::ALL.iter().find(|op| op.name() == name);
        let compare = CompareOp::ALL.iter().find(|op| op.name() == name);
        let vector = VectorOp::ALL.iter().find(|op| op.name() == name);
        unary
            .map(|&op| Self::Unary(op))
            .or(binary.map(|&op| Self::Binary(op)))
            .or(compare.map(|&op| Self::Compare(op)))
            .or(vector.map(|&op| Self::Vector(op)))
    }

    /// The name in rule files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unary(op) => op.name(),
            Self::Binary(op) => op.name(),
            Self::Compare(op) => op.name(),
            Self::Select => "select",
            Self::Vector(op) => op.name(),
            Self::Shuffle => "i8x16.shuffle",
        }
    }

    /// Whether the first operand is part of the instruction: a lane, or the bytes that are picked.
    pub fn has_immediate(self) -> bool {
        match self {
            Self::Vector(op) => op.form().has_lane(),
            Self::Shuffle => true,
            _ => false,
        }
    }

    /// Whether it makes a vector of equal lanes.
    pub fn is_splat(self) -> bool {
        matches!(self, Self::Vector(op) if matches!(op.form(), Form::Splat(_)))
    }

    /// How many operands it takes.
    pub fn operands(self) -> usize {
        match self {
            Self::Unary(_) => 1,
            Self::Binary(_) | Self::Compare(_) => 2,
            Self::Select | Self::Shuffle => 3,
            Self::Vector(op) => usize::from(self.has_immediate()) + op.arity(),
        }
    }

    /// Whether the two operands may be exchanged.
    pub fn commutes(self) -> bool {
        match self {
            Self::Binary(op) => op.commutes(),
            Self::Compare(op) => op.swapped() == op,
            Self::Vector(op) => op.arity() == 2 && op.commutes(),
            Self::Unary(_) | Self::Select | Self::Shuffle => false,
        }
    }

    /// Whether it may trap.
    pub fn traps(self) -> bool {
        match self {
            Self::Unary(op) => op.traps(),
            Self::Binary(op) => op.traps(),
            Self::Compare(_) | Self::Select | Self::Vector(_) | Self::Shuffle => false,
        }
    }
}

/// What an expression is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Any value.
    Value(String),
    /// Any constant: a name that is `k` or `k` and digits.
    Constant(String),
    /// An integer or a vector, as the low bits of whatever type it has.
    Literal(i128),
    /// The width of its own type in bits.
    Bits,
    /// An operation at run time.
    Op(Op, Vec<Expr>),
    /// An operation on constants when the rule is applied.
    Fold(Op, Vec<Expr>),
    /// A condition: the bits of the value that the constant has are known to be 0.
    Zeros(Vec<Expr>),
    /// A condition: the operation of this name has no other user. It says nothing about values.
    Once(String),
}

/// An expression.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Expr {
    /// What it is.
    pub kind: Kind,
    /// The name of an operation of the left side, for `once` and for use on the right side.
    pub name: Option<String>,
    /// The type, where it is written.
    pub ty: Option<Type>,
    /// Where it stands.
    pub place: Place,
    /// Its number in the rule.
    pub id: usize,
}

impl Expr {
    /// The operands.
    pub fn operands(&self) -> &[Self] {
        match &self.kind {
            Kind::Op(_, list) | Kind::Fold(_, list) | Kind::Zeros(list) => list,
            _ => &[],
        }
    }

    /// The operands, to change them.
    pub fn operands_mut(&mut self) -> &mut [Self] {
        match &mut self.kind {
            Kind::Op(_, list) | Kind::Fold(_, list) | Kind::Zeros(list) => list,
            _ => &mut [],
        }
    }

    /// The expression of this number, to change it.
    pub(crate) fn find_mut(&mut self, id: usize) -> Option<&mut Self> {
        if self.id == id {
            return Some(self);
        }
        self.operands_mut()
            .iter_mut()
            .find_map(|inner| inner.find_mut(id))
    }

    /// Calls `f` with this and each expression inside, outer ones first.
    pub fn walk<'e>(&'e self, f: &mut impl FnMut(&'e Self)) {
        f(self);
        self.operands().iter().for_each(|inner| inner.walk(f));
    }
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = &self.name {
            write!(f, "{name}@")?;
        }
        match &self.kind {
            Kind::Value(name) | Kind::Constant(name) => f.write_str(name)?,
            Kind::Literal(value) if value.unsigned_abs() >= 1 << 12 => write!(f, "{value:#x}")?,
            Kind::Literal(value) => write!(f, "{value}")?,
            Kind::Bits => f.write_str("bits")?,
            Kind::Once(name) => write!(f, "(once {name})")?,
            Kind::Op(op, list) => write_list(f, "", op.name(), list)?,
            Kind::Fold(op, list) => write_list(f, "fold.", op.name(), list)?,
            Kind::Zeros(list) => write_list(f, "", "zeros", list)?,
        }
        match self.ty {
            Some(ty) => write!(f, ":{ty}"),
            None => Ok(()),
        }
    }
}

fn write_list(f: &mut fmt::Formatter<'_>, before: &str, name: &str, list: &[Expr]) -> fmt::Result {
    write!(f, "({before}{name}")?;
    list.iter().try_for_each(|operand| write!(f, " {operand}"))?;
    f.write_str(")")
}

/// A rule.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rule {
    /// The name.
    pub name: String,
    /// Why it is there: the comment before it.
    pub why: String,
    /// Where its name stands.
    pub place: Place,
    /// What it replaces.
    pub left: Expr,
    /// By what.
    pub right: Expr,
    /// If all of these hold.
    pub conditions: Vec<Expr>,
    /// Pairs that it is tried on.
    pub examples: Vec<(Expr, Expr)>,
}

impl fmt::Display for Rule {
    /// The canonical text: everything that matters to what the rule means, nothing else.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rule {}: {} => {}", self.name, self.left, self.right)?;
        for (i, condition) in self.conditions.iter().enumerate() {
            write!(f, "{} {condition}", if i == 0 { " if" } else { "," })?;
        }
        Ok(())
    }
}

/// Reads a rule file.
///
/// # Errors
/// The first thing that has not the shape of a rule file.
pub(crate) fn parse(text: &str) -> Result<Vec<Rule>, Invalid> {
    let mut parser = Parser::new(text)?;
    let mut rules: Vec<Rule> = Vec::new();
    while let Some((why, _)) = parser.begin(&["rule"], "`rule`")? {
        parser.each_choice(why, |parser, name, why, place| {
            rules.push(parser.body(name, why, place)?);
            match rules.len() > RULES_MAX {
                true => Err(Invalid::new(place, Reason::Limit("rules", RULES_MAX))),
                false => Ok(()),
            }
        })?;
    }
    Ok(rules)
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Token<'t> {
    Open,
    Close,
    Comma,
    Why(&'t str),
    Word(&'t str),
}

fn tokens(text: &str) -> Vec<(Place, Token<'_>)> {
    let mut tokens = Vec::new();
    for (line, mut rest) in text.lines().enumerate() {
        let whole = rest;
        loop {
            rest = rest.trim_start();
            let Some(first) = rest.chars().next() else { break };
            let before = &whole[..whole.len() - rest.len()];
            let place = Place {
                line: line as u32 + 1,
                column: before.chars().count() as u32 + 1,
            };
            // Headings are for readers of the file.
            if rest.starts_with(";;;") {
                break;
            }
            if first == ';' {
                tokens.push((place, Token::Why(rest.trim_start_matches(';').trim())));
                break;
            }
            let (token, len) = match first {
                '(' => (Token::Open, 1),
                ')' => (Token::Close, 1),
                ',' => (Token::Comma, 1),
                _ => {
                    let ends = |c: char| c.is_whitespace() || "(),;".contains(c);
                    let len = rest.find(ends).unwrap_or(rest.len());
                    (Token::Word(&rest[..len]), len)
                }
            };
            tokens.push((place, token));
            rest = &rest[len..];
        }
    }
    tokens
}

/// Names, and what each stands for.
type Choice<'t> = Vec<(&'t str, &'t str)>;

/// A word without its colon, and whether it had one.
fn ends_in_colon(word: &str) -> (&str, bool) {
    match word.strip_suffix(':') {
        Some(word) => (word, true),
        None => (word, false),
    }
}

pub(crate) struct Parser<'t> {
    tokens: Vec<(Place, Token<'t>)>,
    pub(crate) at: usize,
    /// Nodes of the current rule so far.
    nodes: usize,
    /// What names stand for in the current rule.
    chosen: Choice<'t>,
}

impl<'t> Parser<'t> {
    pub(crate) fn new(text: &'t str) -> Result<Self, Invalid> {
        if text.len() > FILE_BYTES_MAX {
            let limit = Reason::Limit("bytes", FILE_BYTES_MAX);
            return Err(Invalid::new(Place::default(), limit));
        }
        Ok(Self {
            tokens: tokens(text),
            at: 0,
            nodes: 0,
            chosen: Vec::new(),
        })
    }

    fn peek(&self) -> Option<Token<'t>> {
        self.tokens.get(self.at).map(|(_, token)| *token)
    }

    pub(crate) fn place(&self) -> Place {
        let last = self.tokens.last().map_or(Place::default(), |(place, _)| *place);
        self.tokens.get(self.at).map_or(last, |(place, _)| *place)
    }

    pub(crate) fn fail<T>(&self, reason: Reason) -> Result<T, Invalid> {
        Err(Invalid::new(self.place(), reason))
    }

    pub(crate) fn next_is(&mut self, token: Token<'_>) -> bool {
        let found = self.peek() == Some(token);
        self.at += usize::from(found);
        found
    }

    pub(crate) fn expect(&mut self, token: Token<'_>, what: &'static str) -> Result<(), Invalid> {
        if self.next_is(token) {
            Ok(())
        } else {
            self.fail(Reason::Expected(what))
        }
    }

    /// The comment and the keyword, one of these, of the next rule.
    pub(crate) fn begin(
        &mut self,
        keywords: &[&str],
        what: &'static str,
    ) -> Result<Option<(String, &'t str)>, Invalid> {
        let mut why = Vec::new();
        while let Some(Token::Why(text)) = self.peek() {
            why.push(text);
            self.at += 1;
        }
        match self.peek() {
            None => Ok(None),
            Some(Token::Word(word)) if keywords.contains(&word) => {
                self.at += 1;
                Ok(Some((why.join(" ").trim().to_owned(), word)))
            }
            _ => self.fail(Reason::Expected(what)),
        }
    }

    /// Calls `body` behind the header of a rule for each choice: with name, comment and place.
    pub(crate) fn each_choice(
        &mut self,
        why: String,
        mut body: impl FnMut(&mut Self, String, String, Place) -> Result<(), Invalid>,
    ) -> Result<(), Invalid> {
        let place = self.place();
        let (name, choices) = self.header()?;
        if why.is_empty() {
            return Err(Invalid::new(place, Reason::NoWhy));
        }
        let start = self.at;
        for chosen in choices {
            let words = chosen.iter().map(|(_, word)| format!("_{word}"));
            let name = words.fold(name.to_owned(), |name, word| name + &word);
            (self.at, self.nodes, self.chosen) = (start, 0, chosen);
            body(self, name, why.clone(), place)?;
        }
        Ok(())
    }

    /// The word behind an open parenthesis, if those come next.
    pub(crate) fn operator(&self) -> Option<&'t str> {
        match (self.peek(), self.tokens.get(self.at + 1)) {
            (Some(Token::Open), Some((_, Token::Word(word)))) => Some(word),
            _ => None,
        }
    }

    /// The next word, with what was chosen in it.
    pub(crate) fn word(&mut self) -> Result<String, Invalid> {
        let Some(Token::Word(word)) = self.peek() else {
            return self.fail(Reason::Expected("a word"));
        };
        self.at += 1;
        Ok(self.with_choice(word))
    }

    /// The name of a value, which comes next.
    pub(crate) fn name(&mut self) -> Result<String, Invalid> {
        match self.peek() {
            Some(Token::Word(word)) if is_name(word) => {
                self.at += 1;
                Ok(word.to_owned())
            }
            _ => self.fail(Reason::Expected("a name")),
        }
    }

    /// The name that something has which comes next, if it has one.
    pub(crate) fn label(&mut self) -> Result<Option<String>, Invalid> {
        let Some(Token::Word(word)) = self.peek() else {
            return Ok(None);
        };
        let Some(name) = word.strip_suffix('@') else {
            return Ok(None);
        };
        if !is_name(name) || is_constant(name) {
            return self.fail(Reason::Expected("a name for an operation"));
        }
        self.at += 1;
        Ok(Some(name.to_owned()))
    }

    /// The name of a rule, and the choices that it is for: one without any, if nothing is to be chosen.
    fn header(&mut self) -> Result<(&'t str, Vec<Choice<'t>>), Invalid> {
        let Some(Token::Word(word)) = self.peek() else {
            return self.fail(Reason::Expected("a name and `:`"));
        };
        let mut choices: Vec<Choice<'t>> = vec![Vec::new()];
        let (name, mut is_last) = ends_in_colon(word);
        let is_for = self.tokens.get(self.at + 1).map(|(_, token)| *token) == Some(Token::Word("for"));
        if !is_name(name) || is_last == is_for {
            return self.fail(Reason::Expected("a name and `:`"));
        }
        self.at += 1 + usize::from(is_for);
        while !is_last {
            let Some(Token::Word(names)) = self.peek() else {
                return self.fail(Reason::Expected("names to choose for"));
            };
            let names: Vec<&str> = names.split('/').collect();
            let is_free = |name: &&str| {
                name.len() == 1
                    && name.starts_with(|c: char| c.is_ascii_uppercase())
                    && choices[0].iter().all(|(other, _)| other != name)
            };
            if !names.iter().all(is_free) {
                return self.fail(Reason::Expected("capital letters, each once"));
            }
            self.at += 1;
            self.expect(Token::Word("in"), "`in`")?;
            let mut longer = Vec::new();
            while !is_last && !self.next_is(Token::Comma) {
                let Some(Token::Word(word)) = self.peek() else {
                    return self.fail(Reason::Expected("a choice"));
                };
                let words;
                (words, is_last) = ends_in_colon(word);
                let words: Vec<&str> = words.split('/').collect();
                if words.len() != names.len() || words.iter().any(|word| word.is_empty()) {
                    return self.fail(Reason::Expected("as many words as names"));
                }
                self.at += 1;
                for choice in &choices {
                    let pairs = names.iter().copied().zip(words.iter().copied());
                    longer.push(choice.iter().copied().chain(pairs).collect());
                }
            }
            choices = longer;
            if choices.is_empty() || choices.len() > CHOICES_MAX {
                return self.fail(Reason::Limit("choices, or none", CHOICES_MAX));
            }
        }
        Ok((name, choices))
    }

    /// All of a rule but its name.
    fn body(&mut self, name: String, why: String, place: Place) -> Result<Rule, Invalid> {
        let (left, right) = self.pair()?;
        let mut conditions = Vec::new();
        if self.next_is(Token::Word("if")) {
            conditions.push(self.condition()?);
            while self.next_is(Token::Comma) {
                conditions.push(self.condition()?);
            }
        }
        let mut examples = Vec::new();
        while self.next_is(Token::Word("example:")) {
            examples.push(self.pair()?);
        }
        if examples.is_empty() {
            return Err(Invalid::new(place, Reason::NoExample));
        }
        Ok(Rule {
            name,
            why,
            place,
            left,
            right,
            conditions,
            examples,
        })
    }

    /// A word with what was chosen in place of the names in it.
    fn with_choice(&self, word: &str) -> String {
        let is_letter = |c: char| c.is_ascii_alphanumeric();
        let mut text = String::new();
        for part in word.split_inclusive(|c| !is_letter(c)) {
            let part_name = part.trim_end_matches(|c| !is_letter(c));
            match self.chosen.iter().find(|(name, _)| *name == part_name) {
                Some((_, chosen)) => text += &format!("{chosen}{}", &part[part_name.len()..]),
                None => text += part,
            }
        }
        text
    }

    fn pair(&mut self) -> Result<(Expr, Expr), Invalid> {
        let left = self.expr(0)?;
        self.expect(Token::Word("=>"), "`=>`")?;
        Ok((left, self.expr(0)?))
    }

    /// The number of a new node.
    pub(crate) fn enter(&mut self, depth: usize) -> Result<usize, Invalid> {
        if self.nodes == NODES_MAX {
            return self.fail(Reason::Limit("nodes of a rule", NODES_MAX));
        }
        if depth > DEPTH_MAX {
            return self.fail(Reason::Limit("expressions inside each other", DEPTH_MAX));
        }
        self.nodes += 1;
        Ok(self.nodes - 1)
    }

    pub(crate) fn expr(&mut self, depth: usize) -> Result<Expr, Invalid> {
        let id = self.enter(depth)?;
        let place = self.place();
        if let Some(name) = self.label()? {
            return self.list(depth, place, Some(name), id);
        }
        match self.peek() {
            Some(Token::Open) => self.list(depth, place, None, id),
            Some(Token::Word(word)) => {
                let word = self.with_choice(word);
                let (word, ty) = match word.split_once(':') {
                    None => (&word[..], None),
                    Some((word, ty)) => (word, Some(type_named(ty, place)?)),
                };
                let kind = if word == "bits" {
                    Kind::Bits
                } else if is_constant(word) {
                    Kind::Constant(word.to_owned())
                } else if is_name(word) {
                    Kind::Value(word.to_owned())
                } else if let Some(value) = literal(word) {
                    Kind::Literal(value)
                } else {
                    return self.fail(Reason::Expected("an expression"));
                };
                self.at += 1;
                Ok(Expr {
                    kind,
                    name: None,
                    ty,
                    place,
                    id,
                })
            }
            _ => self.fail(Reason::Expected("an expression")),
        }
    }

    fn list(&mut self, depth: usize, place: Place, name: Option<String>, id: usize) -> Result<Expr, Invalid> {
        self.expect(Token::Open, "`(`")?;
        let Some(Token::Word(word)) = self.peek() else {
            return self.fail(Reason::Expected("an operator"));
        };
        let word = self.with_choice(word);
        let (is_fold, bare) = match word.strip_prefix("fold.") {
            Some(bare) => (true, bare),
            None => (false, &word[..]),
        };
        let Some(op) = Op::named(bare) else {
            return self.fail(Reason::Unknown(word));
        };
        let at = self.place();
        self.at += 1;
        let mut list = Vec::new();
        while !self.next_is(Token::Close) {
            list.push(self.expr(depth + 1)?);
        }
        if list.len() != op.operands() {
            return Err(Invalid::new(at, Reason::Operands(word, op.operands())));
        }
        let kind = if is_fold {
            Kind::Fold(op, list)
        } else {
            Kind::Op(op, list)
        };
        Ok(Expr {
            kind,
            name,
            ty: None,
            place,
            id,
        })
    }

    pub(crate) fn condition(&mut self) -> Result<Expr, Invalid> {
        let id = self.enter(0)?;
        let place = self.place();
        let predicate = match (self.peek(), self.tokens.get(self.at + 1)) {
            (Some(Token::Open), Some((_, Token::Word(word)))) => *word,
            _ => return self.fail(Reason::Expected("a condition")),
        };
        let kind = match predicate {
            "zeros" | "once" => {
                self.at += 2;
                let value = self.expr(1)?;
                let kind = match (predicate, value) {
                    (
                        "once",
                        Expr {
                            kind: Kind::Value(name),
                            ..
                        },
                    ) => Kind::Once(name),
                    ("once", other) => {
                        return Err(Invalid::new(other.place, Reason::Expected("a name")));
                    }
                    (_, value) => Kind::Zeros(vec![value, self.expr(1)?]),
                };
                self.expect(Token::Close, "`)`")?;
                kind
            }
            _ => {
                let condition = self.expr(0)?;
                if !matches!(condition.kind, Kind::Op(Op::Compare(_), _)) {
                    return Err(Invalid::new(place, Reason::Expected("a comparison")));
                }
                condition.kind
            }
        };
        Ok(Expr {
            kind,
            name: None,
            ty: None,
            place,
            id,
        })
    }
}

fn type_named(name: &str, place: Place) -> Result<Type, Invalid> {
    crate::TYPES
        .into_iter()
        .find(|ty| ty.to_string() == name)
        .ok_or_else(|| Invalid::new(place, Reason::Unknown(name.to_owned())))
}

fn is_name(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_lowercase())
        && word
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

fn is_constant(word: &str) -> bool {
    word.strip_prefix('k')
        .is_some_and(|rest| rest.chars().all(|c| c.is_ascii_digit()))
}

fn literal(word: &str) -> Option<i128> {
    let (negative, digits) = match word.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, word),
    };
    let value = match digits.strip_prefix("0x") {
        Some(hex) if !hex.starts_with(['+', '-']) => u128::from_str_radix(hex, 16).ok()?,
        None if !digits.starts_with(['+', '-']) => digits.parse::<u128>().ok()?,
        _ => return None,
    };
    // What is wider than 64 bits is a vector, whose highest bit is no sign.
    if negative && value > u64::MAX.into() {
        return None;
    }
    Some(if negative { -(value as i128) } else { value as i128 })
}
