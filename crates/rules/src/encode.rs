//! What a rule says, as a question to a solver.
//!
//! The meaning of each operator is written here once more, in bit-vectors; tests compare it with the
//! meaning in `ir::op` on many values. Floats are their bits: only operators whose result is exact
//! as a function of bits have a meaning here.
//!
//! A rule is true in a typing if for all values and constants that fulfil its conditions: when no
//! inner operation of the left side traps (they have run before), both sides trap alike or neither
//! does, and then give the same bits.
//!
//! Products of 64 bits are hard for solvers. A rule that puts a product together is therefore asked in
//! halves: the product of 64-bit numbers is put together from four products of their halves, and
//! those are a function of which the solver knows only three facts ([`LEMMAS`]). What holds for every
//! such function holds for multiplication, which is one; that it is one is asked separately, in
//! integers.

use crate::lanes;
use crate::syntax::{Expr, Kind, Op};
use crate::term::{Smt, Sort, TermId, Terms};
use crate::typing::Typed;
use cellwall_ir::{BinaryOp, CompareOp, Type, UnaryOp};
use std::collections::BTreeMap;

/// A claim about all values of some variables.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Question {
    /// Which typing of the rule it is about, as text.
    pub typing: String,
    /// The terms.
    pub terms: Terms,
    /// What may be assumed.
    pub given: Vec<TermId>,
    /// What must follow.
    pub claim: TermId,
}

impl Question {
    /// The script that asks whether the claim can be false: "unsat" says that it holds.
    pub fn script(&self) -> String {
        self.terms.script(&self.given, self.claim)
    }

    /// The script with every operation on numbers carried out: what has the same is the same question.
    pub fn canonical(&self) -> String {
        self.terms.canonical_script(&self.given, self.claim)
    }

    /// Whether the assumptions can hold at all: where they cannot, the question holds, whatever is claimed.
    pub fn of_assumptions(&self) -> Self {
        let mut question = self.clone();
        question.claim = question.terms.truth(false);
        question
    }

    /// Whether the assumptions hold and the claim does not, for these values.
    pub fn is_refuted_by(&self, variables: &BTreeMap<String, u128>) -> bool {
        let values = self.terms.evaluate(variables);
        let holds = |id: TermId| self.terms.value(&values, id) == 1;
        self.given.iter().all(|&id| holds(id)) && !holds(self.claim)
    }
}

/// The facts about products that are relied on, as questions of their own: name and
/// script. The products of 32-bit numbers are at most (2^32 - 1)^2; the order of operands does not
/// matter, 0 absorbs and 1 changes nothing; and a product of 64-bit numbers is the sum of the four products of their
/// halves, each at its place. All are about integers: products of bit-vectors are products of
/// integers wherever they do not overflow, which the first fact and 128 bits of room exclude.
pub const LEMMAS: [(&str, &str); 5] = [
    (
        "product_bound",
        "(declare-const a Int)\n(declare-const b Int)\n\
         (assert (and (<= 0 a 4294967295) (<= 0 b 4294967295)))\n\
         (assert (not (and (<= 0 (* a b)) (<= (* a b) 18446744065119617025))))\n(check-sat)\n",
    ),
    (
        "product_order_zero_one",
        "(declare-const a Int)\n(declare-const b Int)\n\
         (assert (not (and (= (* a b) (* b a)) (= (* a 0) 0) (= (* a 1) a))))\n(check-sat)\n",
    ),
    (
        "product_of_halves",
        "(declare-const ah Int)\n(declare-const al Int)\n(declare-const bh Int)\n(declare-const bl Int)\n\
         (assert (not (= (* (+ (* ah 4294967296) al) (+ (* bh 4294967296) bl))\n\
         (+ (* al bl) (* 4294967296 (+ (* al bh) (* ah bl))) (* 18446744073709551616 (* ah bh))))))\n\
         (check-sat)\n",
    ),
    // Division by a constant d through a product with m, where m * d = P + e and P is a power of two:
    // `opt/divide.rs` chooses m so that n * e < P for every dividend n = q * d + r. The product then lies
    // in the right interval of P.
    (
        "reciprocal",
        "(declare-const n Int)\n(declare-const q Int)\n(declare-const r Int)\n(declare-const d Int)\n\
         (declare-const m Int)\n(declare-const P Int)\n(declare-const e Int)\n\
         (assert (and (<= 0 r) (< r d) (= n (+ (* q d) r)) (= (* m d) (+ P e)) (<= 1 e) (< 0 P) (<= 0 q)\n\
         (< (* n e) P)))\n\
         (assert (not (and (<= (* q P) (* n m)) (< (* n m) (* (+ q 1) P)))))\n(check-sat)\n",
    ),
    // The same for a dividend -n below 0, whose quotient comes out 1 too small, where n * e <= P.
    (
        "reciprocal_negative",
        "(declare-const n Int)\n(declare-const q Int)\n(declare-const r Int)\n(declare-const d Int)\n\
         (declare-const m Int)\n(declare-const P Int)\n(declare-const e Int)\n\
         (assert (and (<= 0 r) (< r d) (= n (+ (* q d) r)) (= (* m d) (+ P e)) (<= 1 e) (< 0 P) (<= 0 q)\n\
         (< 0 n) (<= (* n e) P)))\n\
         (assert (not (and (< (* q P) (* n m)) (<= (* n m) (* (+ q 1) P)))))\n(check-sat)\n",
    ),
];

/// Whether an operator has a meaning here.
pub(crate) fn has_meaning(op: Op) -> bool {
    match op {
        Op::Unary(op) => !matches!(
            op,
            UnaryOp::FSqrt
                | UnaryOp::FCeil
                | UnaryOp::FFloor
                | UnaryOp::FTrunc
                | UnaryOp::FNearest
                | UnaryOp::FPromote
                | UnaryOp::FDemote
                | UnaryOp::ConvertS
                | UnaryOp::ConvertU
                | UnaryOp::TruncS
                | UnaryOp::TruncU
                | UnaryOp::TruncSatS
                | UnaryOp::TruncSatU
        ),
        Op::Binary(op) => !matches!(
            op,
            BinaryOp::FAdd
                | BinaryOp::FSub
                | BinaryOp::FMul
                | BinaryOp::FDiv
                | BinaryOp::FMin
                | BinaryOp::FMax
        ),
        Op::Vector(op) => {
            let mut terms = Terms::default();
            let lane = op.form().has_lane().then_some(Type::I32);
            let types = lane.iter().chain(op.form().operands());
            let operands: Vec<TermId> = types.map(|ty| terms.number(0, ty.bits())).collect();
            lanes::meaning(&mut terms, op, &operands).is_some()
        }
        Op::Compare(_) | Op::Select | Op::Shuffle => true,
    }
}

/// The question that a rule asks in one of its typings.
///
/// # Panics
/// If there is no such typing.
pub fn question(rule: &Typed, typing: usize) -> Question {
    ask(rule, typing, &BTreeMap::new())
}

/// The same question, split so that a solver answers it sooner: where a condition says that one bit
/// of a constant is set, it is asked for each bit, and once whether these are all cases.
pub(crate) fn cases(rule: &Typed, typing: usize) -> Vec<Question> {
    split(rule, typing, &|fixed| ask(rule, typing, fixed))
}

/// The cases of what `ask` gives for values of some constants.
pub(crate) fn split(
    rule: &Typed,
    typing: usize,
    ask: &dyn Fn(&BTreeMap<String, u128>) -> Question,
) -> Vec<Question> {
    let powers = rule.rule.conditions.iter().find_map(|condition| {
        let Kind::Op(Op::Compare(CompareOp::Eq), list) = &condition.kind else {
            return None;
        };
        match (&list[0].kind, &list[1].kind) {
            (Kind::Fold(Op::Unary(UnaryOp::Popcnt), inner), Kind::Literal(1)) => match &inner[0].kind {
                Kind::Constant(name) => Some((name, rule.typings[typing][rule.class(&list[0])].bits())),
                _ => None,
            },
            _ => None,
        }
    });
    let whole = ask(&BTreeMap::new());
    let Some((name, bits)) = powers else {
        return vec![whole];
    };
    let mut all: Vec<Question> = (0..bits)
        .map(|bit| {
            let mut case = ask(&[(name.clone(), 1 << bit)].into());
            case.typing += &format!(";{name}=1<<{bit}");
            case
        })
        .collect();
    let mut complete = whole;
    let k = complete.terms.variable(name, Sort::Bits(bits));
    let no = complete.terms.truth(false);
    complete.claim = (0..bits).fold(no, |any, bit| {
        let power = complete.terms.number(1 << bit, bits);
        let is_it = complete.terms.op(Smt::Eq, &[k, power]);
        complete.terms.op(Smt::Or, &[any, is_it])
    });
    complete.typing += ";all";
    all.push(complete);
    all
}

/// A question with the values of some constants given.
fn ask(rule: &Typed, typing: usize, fixed: &BTreeMap<String, u128>) -> Question {
    let mut encoder = Encoder::new(rule, typing, fixed);
    let mut inner = None;
    let left = encoder.expr(&rule.rule.left, &mut inner);
    // The operands of the left side have run before, and did not trap.
    let mut given: Vec<TermId> = Vec::new();
    if let Some(inner) = inner {
        let none = encoder.terms.number(NO_TRAP, 2);
        given.push(encoder.terms.op(Smt::Eq, &[inner, none]));
    }
    let mut trap = None;
    let right = encoder.expr(&rule.rule.right, &mut trap);
    encoder.join(&mut trap, right.trap);
    let right = Meaning {
        value: right.value,
        trap,
    };
    for condition in &rule.rule.conditions {
        given.extend(encoder.condition(condition));
    }
    given.extend(encoder.immediates(&rule.rule.left, true));
    given.extend(product_facts(&mut encoder.terms));
    let mut claim = encoder.alike(left, right);
    for fits in encoder.immediates(&rule.rule.right, false) {
        claim = encoder.terms.op(Smt::And, &[claim, fits]);
    }
    let types: Vec<String> = rule.typings[typing].iter().map(Type::to_string).collect();
    Question {
        typing: types.join(","),
        terms: encoder.terms,
        given,
        claim,
    }
}

/// Whether the conditions of a rule follow from those of another one with the same sides, in each typing: then
/// what was proved of the first holds of the other one. `None` if their sides or types are not the same.
pub(crate) fn is_stronger(stronger: &Typed, rule: &Typed) -> Option<Vec<Question>> {
    let (a, b) = (&stronger.rule, &rule.rule);
    if (&a.left, &a.right) != (&b.left, &b.right) || stronger.typings != rule.typings {
        return None;
    }
    let fixed = BTreeMap::new();
    let question = |typing: usize| {
        let mut encoder = Encoder::new(stronger, typing, &fixed);
        // Conditions may name its operations.
        encoder.value(&a.left);
        let given: Vec<TermId> = a.conditions.iter().flat_map(|it| encoder.condition(it)).collect();
        let wanted: Vec<TermId> = b.conditions.iter().flat_map(|it| encoder.condition(it)).collect();
        let yes = encoder.terms.truth(true);
        let claim = wanted
            .into_iter()
            .fold(yes, |all, it| encoder.terms.op(Smt::And, &[all, it]));
        Question {
            typing: typing.to_string(),
            terms: encoder.terms,
            given,
            claim,
        }
    };
    Some((0..rule.typings.len()).map(question).collect())
}

/// Whether a rule is about products of 128 bits: it has a high half, or puts a product together.
fn in_halves(rule: &Typed) -> bool {
    let (mut high, mut products) = (false, 0);
    for side in rule.sides() {
        side.walk(&mut |expr| {
            if let Kind::Op(Op::Binary(op), _) = &expr.kind {
                high |= is_high(*op);
                products += u32::from(*op == BinaryOp::Mul);
            }
        });
    }
    high || products > 3
}

fn is_high(op: BinaryOp) -> bool {
    matches!(op, BinaryOp::MulHighU | BinaryOp::MulHighS)
}

const NO_TRAP: u128 = 0;
const DIVISION_BY_ZERO: u128 = 1;
const OVERFLOW: u128 = 2;

/// A value, and the trap of the operation that gives it, if it may trap.
#[derive(Clone, Copy)]
struct Meaning {
    value: TermId,
    trap: Option<TermId>,
}

/// Makes terms of the expressions of one rule in one typing.
pub(crate) struct Encoder<'r> {
    /// Constants that are given.
    fixed: &'r BTreeMap<String, u128>,
    rule: &'r Typed,
    types: &'r [Type],
    pub(crate) terms: Terms,
    /// Operations of the left side that have a name.
    pub(crate) named: BTreeMap<String, TermId>,
    in_halves: bool,
}

impl<'r> Encoder<'r> {
    pub(crate) fn new(rule: &'r Typed, typing: usize, fixed: &'r BTreeMap<String, u128>) -> Self {
        Self {
            fixed,
            types: &rule.typings[typing],
            rule,
            terms: Terms::default(),
            named: BTreeMap::new(),
            in_halves: in_halves(rule),
        }
    }

    /// The value of an expression that does not trap.
    pub(crate) fn value(&mut self, expr: &Expr) -> TermId {
        self.expr(expr, &mut None).value
    }

    /// An operator on integers of this width; the second operand counts if there is one.
    pub(crate) fn integer(&mut self, op: Op, bits: u32, x: TermId, y: TermId) -> TermId {
        let ty = if bits == 32 { Type::I32 } else { Type::I64 };
        meaning(&mut self.terms, op, &[ty, ty], ty, &[x, y], false).value
    }

    fn ty(&self, expr: &Expr) -> Type {
        self.types[self.rule.class(expr)]
    }

    /// The meaning of an expression; `trap` collects the traps of the operations inside, in order.
    fn expr(&mut self, expr: &Expr, trap: &mut Option<TermId>) -> Meaning {
        let ty = self.ty(expr);
        let bits = ty.bits();
        let value = match &expr.kind {
            Kind::Value(name) if self.named.contains_key(name) => self.named[name],
            Kind::Constant(name) if self.fixed.contains_key(name) => {
                self.terms.number(self.fixed[name], bits)
            }
            Kind::Value(name) | Kind::Constant(name) => self.terms.variable(name, Sort::Bits(bits)),
            Kind::Literal(value) => self.terms.number(*value as u128, bits),
            Kind::Bits => self.terms.number(u128::from(bits), bits),
            Kind::Op(op, list) | Kind::Fold(op, list) => {
                let mut operands = Vec::new();
                for operand in list {
                    let meaning = self.expr(operand, trap);
                    self.join(trap, meaning.trap);
                    operands.push(meaning.value);
                }
                let types: Vec<Type> = list.iter().map(|operand| self.ty(operand)).collect();
                let meaning = meaning(&mut self.terms, *op, &types, ty, &operands, self.in_halves);
                if let Some(name) = &expr.name {
                    self.named.insert(name.clone(), meaning.value);
                }
                return meaning;
            }
            Kind::Zeros(_) | Kind::Once(_) => unreachable!("a condition is no operand"),
        };
        Meaning { value, trap: None }
    }

    /// That the lanes and masks of operations are such; and of the left side, that a constant which is
    /// all lanes of a vector has no more bits than a lane.
    fn immediates(&mut self, side: &Expr, binds: bool) -> Vec<TermId> {
        let (mut facts, mut nodes) = (Vec::new(), Vec::new());
        side.walk(&mut |expr| nodes.push(expr));
        for expr in nodes {
            match &expr.kind {
                Kind::Op(op, list) if op.has_immediate() => {
                    let immediate = self.expr(&list[0], &mut None).value;
                    let lanes = if let Op::Vector(op) = op { op.lanes() } else { 0 };
                    facts.push(lanes::is_immediate(&mut self.terms, lanes, immediate));
                }
                Kind::Fold(Op::Vector(op), list) if binds && matches!(list[0].kind, Kind::Constant(_)) => {
                    let lane = self.expr(&list[0], &mut None).value;
                    let bits = self.terms.bits(lane);
                    let most = self.terms.number(u128::MAX >> (128 - op.lane_bits()), bits);
                    facts.push(self.terms.op(Smt::Ule, &[lane, most]));
                }
                _ => {}
            }
        }
        facts
    }

    /// Adds a trap behind those that come before it.
    fn join(&mut self, before: &mut Option<TermId>, trap: Option<TermId>) {
        let Some(trap) = trap else { return };
        *before = Some(match *before {
            None => trap,
            Some(first) => {
                let none = self.terms.number(NO_TRAP, 2);
                let quiet = self.terms.op(Smt::Eq, &[first, none]);
                self.terms.op(Smt::Ite, &[quiet, trap, first])
            }
        });
    }

    /// What a condition says of values.
    pub(crate) fn condition(&mut self, condition: &Expr) -> Option<TermId> {
        match &condition.kind {
            Kind::Op(Op::Compare(op), list) => {
                let [x, y] = [0, 1].map(|i| self.expr(&list[i], &mut None).value);
                let ty = self.ty(&list[0]);
                Some(comparison(&mut self.terms, *op, ty, x, y))
            }
            Kind::Zeros(list) => {
                let [x, k] = [0, 1].map(|i| self.expr(&list[i], &mut None).value);
                let common = self.terms.op(Smt::BvAnd, &[x, k]);
                let zero = self.terms.number(0, self.terms.bits(common));
                Some(self.terms.op(Smt::Eq, &[common, zero]))
            }
            _ => None,
        }
    }

    /// Both sides trap alike, or give the same.
    fn alike(&mut self, left: Meaning, right: Meaning) -> TermId {
        let same = self.terms.op(Smt::Eq, &[left.value, right.value]);
        if left.trap.is_none() && right.trap.is_none() {
            return same;
        }
        let none = self.terms.number(NO_TRAP, 2);
        let (left, right) = (left.trap.unwrap_or(none), right.trap.unwrap_or(none));
        let alike = self.terms.op(Smt::Eq, &[left, right]);
        let quiet = self.terms.op(Smt::Eq, &[left, none]);
        let trapped = self.terms.op(Smt::Not, &[quiet]);
        let same = self.terms.op(Smt::Or, &[trapped, same]);
        self.terms.op(Smt::And, &[alike, same])
    }
}

/// The facts of [`LEMMAS`] about the products that occur.
fn product_facts(terms: &mut Terms) -> Vec<TermId> {
    let mut facts = Vec::new();
    let zero = terms.number(0, 64);
    let (none, one) = (terms.number(0, 32), terms.number(1, 32));
    let bound = terms.number(0xffff_fffe_0000_0001, 64);
    for (product, x, y) in terms.products() {
        facts.push(terms.op(Smt::Ule, &[product, bound]));
        let absorbed = terms.op(Smt::Eq, &[product, zero]);
        for (factor, other) in [(x, y), (y, x)] {
            let is_zero = terms.op(Smt::Eq, &[factor, none]);
            let not_zero = terms.op(Smt::Not, &[is_zero]);
            facts.push(terms.op(Smt::Or, &[not_zero, absorbed]));
            let is_one = terms.op(Smt::Eq, &[factor, one]);
            let not_one = terms.op(Smt::Not, &[is_one]);
            let other = terms.op(Smt::ZeroExtend(32), &[other]);
            let unchanged = terms.op(Smt::Eq, &[product, other]);
            facts.push(terms.op(Smt::Or, &[not_one, unchanged]));
        }
        let swapped = terms.op(Smt::Product, &[y, x]);
        facts.push(terms.op(Smt::Eq, &[product, swapped]));
    }
    facts
}

/// The 128-bit product of 64-bit numbers, from the products of their halves.
fn product_of_halves(terms: &mut Terms, x: TermId, y: TermId) -> TermId {
    let mut half = |x: TermId, low: u32| {
        let high = low + 31;
        terms.op(Smt::Extract { high, low }, &[x])
    };
    let ([xl, xh], [yl, yh]) = ([half(x, 0), half(x, 32)], [half(y, 0), half(y, 32)]);
    let mut product = |x: TermId, y: TermId, place: u128| {
        let product = terms.op(Smt::Product, &[x, y]);
        let wide = terms.op(Smt::ZeroExtend(64), &[product]);
        let place = terms.number(place, 128);
        terms.op(Smt::Shl, &[wide, place])
    };
    let parts = [
        product(xl, yl, 0),
        product(xl, yh, 32),
        product(xh, yl, 32),
        product(xh, yh, 64),
    ];
    parts
        .into_iter()
        .reduce(|sum, part| terms.op(Smt::Add, &[sum, part]))
        .expect("there are four parts")
}

/// The meaning of an operation on operands of these types.
fn meaning(
    terms: &mut Terms,
    op: Op,
    from: &[Type],
    to: Type,
    operands: &[TermId],
    in_halves: bool,
) -> Meaning {
    let total = |value| Meaning { value, trap: None };
    match op {
        Op::Unary(op) => total(unary(terms, op, from[0], to, operands[0])),
        Op::Binary(op) if in_halves && to == Type::I64 && (op == BinaryOp::Mul || is_high(op)) => {
            total(halved(terms, op, operands[0], operands[1]))
        }
        Op::Binary(op) => binary(terms, op, to, operands[0], operands[1]),
        Op::Compare(op) => {
            let holds = comparison(terms, op, from[0], operands[0], operands[1]);
            let (one, zero) = (terms.number(1, 32), terms.number(0, 32));
            total(terms.op(Smt::Ite, &[holds, one, zero]))
        }
        Op::Select => {
            let zero = terms.number(0, 32);
            let no = terms.op(Smt::Eq, &[operands[0], zero]);
            total(terms.op(Smt::Ite, &[no, operands[2], operands[1]]))
        }
        Op::Vector(op) => {
            total(lanes::meaning(terms, op, operands).expect("the typer refuses operators without a meaning"))
        }
        Op::Shuffle => total(lanes::shuffle(terms, operands[0], operands[1], operands[2])),
    }
}

/// A product in halves.
fn halved(terms: &mut Terms, op: BinaryOp, x: TermId, y: TermId) -> TermId {
    let product = product_of_halves(terms, x, y);
    if op == BinaryOp::Mul {
        return terms.op(Smt::Extract { high: 63, low: 0 }, &[product]);
    }
    let high = terms.op(Smt::Extract { high: 127, low: 64 }, &[product]);
    if op == BinaryOp::MulHighU {
        return high;
    }
    // A negative factor counts 2^64 too much.
    let zero = terms.number(0, 64);
    [(x, y), (y, x)].into_iter().fold(high, |high, (factor, other)| {
        let negative = terms.op(Smt::Slt, &[factor, zero]);
        let excess = terms.op(Smt::Ite, &[negative, other, zero]);
        terms.op(Smt::Sub, &[high, excess])
    })
}

fn unary(terms: &mut Terms, op: UnaryOp, from: Type, to: Type, x: TermId) -> TermId {
    let bits = to.bits();
    let low = |terms: &mut Terms, kept: u32| {
        let low = terms.op(
            Smt::Extract {
                high: kept - 1,
                low: 0,
            },
            &[x],
        );
        terms.op(Smt::SignExtend(bits - kept), &[low])
    };
    let sign = 1u128 << (from.bits() - 1);
    match op {
        UnaryOp::Clz => first_set(terms, bits, x, (0..bits).rev()),
        UnaryOp::Ctz => first_set(terms, bits, x, 0..bits),
        UnaryOp::Popcnt => {
            let zero = terms.number(0, bits);
            (0..bits).fold(zero, |sum, bit| {
                let bit = terms.op(Smt::Extract { high: bit, low: bit }, &[x]);
                let bit = terms.op(Smt::ZeroExtend(bits - 1), &[bit]);
                terms.op(Smt::Add, &[sum, bit])
            })
        }
        UnaryOp::SignExtend8 => low(terms, 8),
        UnaryOp::SignExtend16 => low(terms, 16),
        UnaryOp::SignExtend32 => low(terms, 32),
        UnaryOp::Wrap => terms.op(Smt::Extract { high: 31, low: 0 }, &[x]),
        UnaryOp::ExtendU => terms.op(Smt::ZeroExtend(32), &[x]),
        UnaryOp::ExtendS => terms.op(Smt::SignExtend(32), &[x]),
        UnaryOp::Bitcast => x,
        UnaryOp::FAbs => {
            let rest = terms.number(sign - 1, bits);
            terms.op(Smt::BvAnd, &[x, rest])
        }
        UnaryOp::FNeg => {
            let sign = terms.number(sign, bits);
            terms.op(Smt::BvXor, &[x, sign])
        }
        _ => unreachable!("the typer refuses operators without a meaning"),
    }
}

/// How many bits come before the first one that is set, in this order.
fn first_set(
    terms: &mut Terms,
    bits: u32,
    x: TermId,
    order: impl DoubleEndedIterator<Item = u32> + ExactSizeIterator,
) -> TermId {
    let one = terms.number(1, 1);
    let none = terms.number(u128::from(bits), bits);
    let last = order.len();
    order.rev().enumerate().fold(none, |rest, (behind, bit)| {
        let bit = terms.op(Smt::Extract { high: bit, low: bit }, &[x]);
        let set = terms.op(Smt::Eq, &[bit, one]);
        let count = terms.number((last - 1 - behind) as u128, bits);
        terms.op(Smt::Ite, &[set, count, rest])
    })
}

fn binary(terms: &mut Terms, op: BinaryOp, ty: Type, x: TermId, y: TermId) -> Meaning {
    let bits = ty.bits();
    let count = |terms: &mut Terms, y: TermId| {
        let most = terms.number(u128::from(bits - 1), bits);
        terms.op(Smt::BvAnd, &[y, most])
    };
    let simple = match op {
        BinaryOp::Add => Smt::Add,
        BinaryOp::Sub => Smt::Sub,
        BinaryOp::Mul => Smt::Mul,
        BinaryOp::And => Smt::BvAnd,
        BinaryOp::Or => Smt::BvOr,
        BinaryOp::Xor => Smt::BvXor,
        BinaryOp::DivS | BinaryOp::DivU | BinaryOp::RemS | BinaryOp::RemU => {
            return division(terms, op, bits, x, y);
        }
        BinaryOp::Shl | BinaryOp::ShrS | BinaryOp::ShrU => {
            let count = count(terms, y);
            let op = match op {
                BinaryOp::Shl => Smt::Shl,
                BinaryOp::ShrS => Smt::Ashr,
                _ => Smt::Lshr,
            };
            let value = terms.op(op, &[x, count]);
            return Meaning { value, trap: None };
        }
        BinaryOp::Rotl | BinaryOp::Rotr => {
            let zero = terms.number(0, bits);
            let forth = count(terms, y);
            let back = terms.op(Smt::Sub, &[zero, forth]);
            let back = count(terms, back);
            let (left, right) = if op == BinaryOp::Rotl {
                (forth, back)
            } else {
                (back, forth)
            };
            let high = terms.op(Smt::Shl, &[x, left]);
            let low = terms.op(Smt::Lshr, &[x, right]);
            let value = terms.op(Smt::BvOr, &[high, low]);
            return Meaning { value, trap: None };
        }
        BinaryOp::MulHighU | BinaryOp::MulHighS => {
            let extend = if op == BinaryOp::MulHighU {
                Smt::ZeroExtend(bits)
            } else {
                Smt::SignExtend(bits)
            };
            let [x, y] = [x, y].map(|factor| terms.op(extend, &[factor]));
            let product = terms.op(Smt::Mul, &[x, y]);
            let (high, low) = (2 * bits - 1, bits);
            let value = terms.op(Smt::Extract { high, low }, &[product]);
            return Meaning { value, trap: None };
        }
        BinaryOp::FCopysign => {
            let sign = 1u128 << (bits - 1);
            let (rest, sign) = (terms.number(sign - 1, bits), terms.number(sign, bits));
            let magnitude = terms.op(Smt::BvAnd, &[x, rest]);
            let sign = terms.op(Smt::BvAnd, &[y, sign]);
            let value = terms.op(Smt::BvOr, &[magnitude, sign]);
            return Meaning { value, trap: None };
        }
        _ => unreachable!("the typer refuses operators without a meaning"),
    };
    Meaning {
        value: terms.op(simple, &[x, y]),
        trap: None,
    }
}

fn division(terms: &mut Terms, op: BinaryOp, bits: u32, x: TermId, y: TermId) -> Meaning {
    let simple = match op {
        BinaryOp::DivS => Smt::Sdiv,
        BinaryOp::DivU => Smt::Udiv,
        BinaryOp::RemS => Smt::Srem,
        _ => Smt::Urem,
    };
    let value = terms.op(simple, &[x, y]);
    let zero = terms.number(0, bits);
    let by_zero = terms.op(Smt::Eq, &[y, zero]);
    let mut rest = terms.number(NO_TRAP, 2);
    if op == BinaryOp::DivS {
        let (least, minus) = (terms.number(1 << (bits - 1), bits), terms.number(u128::MAX, bits));
        let least = terms.op(Smt::Eq, &[x, least]);
        let minus = terms.op(Smt::Eq, &[y, minus]);
        let overflows = terms.op(Smt::And, &[least, minus]);
        let code = terms.number(OVERFLOW, 2);
        rest = terms.op(Smt::Ite, &[overflows, code, rest]);
    }
    let code = terms.number(DIVISION_BY_ZERO, 2);
    let trap = terms.op(Smt::Ite, &[by_zero, code, rest]);
    Meaning {
        value,
        trap: Some(trap),
    }
}

/// Whether a comparison holds.
pub(crate) fn comparison(terms: &mut Terms, op: CompareOp, ty: Type, x: TermId, y: TermId) -> TermId {
    let (smt, swapped, negated) = match op {
        CompareOp::Eq => (Smt::Eq, false, false),
        CompareOp::Ne => (Smt::Eq, false, true),
        CompareOp::LtS => (Smt::Slt, false, false),
        CompareOp::LtU => (Smt::Ult, false, false),
        CompareOp::GtS => (Smt::Slt, true, false),
        CompareOp::GtU => (Smt::Ult, true, false),
        CompareOp::LeS => (Smt::Sle, false, false),
        CompareOp::LeU => (Smt::Ule, false, false),
        CompareOp::GeS => (Smt::Sle, true, false),
        CompareOp::GeU => (Smt::Ule, true, false),
        CompareOp::FEq => return float_equal(terms, ty, x, y),
        CompareOp::FNe => {
            let equal = float_equal(terms, ty, x, y);
            return terms.op(Smt::Not, &[equal]);
        }
        CompareOp::FLt => return float_less(terms, ty, x, y),
        CompareOp::FGt => return float_less(terms, ty, y, x),
        CompareOp::FLe | CompareOp::FGe => {
            let (x, y) = if op == CompareOp::FLe { (x, y) } else { (y, x) };
            let less = float_less(terms, ty, x, y);
            let equal = float_equal(terms, ty, x, y);
            return terms.op(Smt::Or, &[less, equal]);
        }
    };
    let operands = if swapped { [y, x] } else { [x, y] };
    let holds = terms.op(smt, &operands);
    if negated {
        terms.op(Smt::Not, &[holds])
    } else {
        holds
    }
}

/// Neither operand is NaN.
fn ordered(terms: &mut Terms, ty: Type, x: TermId, y: TermId) -> TermId {
    let bits = ty.bits();
    let infinity = if bits == 32 {
        0x7f80_0000
    } else {
        0x7ff0_0000_0000_0000
    };
    let infinity = terms.number(infinity, bits);
    let [x, y] = [x, y].map(|value| {
        let magnitude = unary(terms, UnaryOp::FAbs, ty, ty, value);
        terms.op(Smt::Ule, &[magnitude, infinity])
    });
    terms.op(Smt::And, &[x, y])
}

/// Both operands are zeros, of whatever sign.
fn zeros(terms: &mut Terms, ty: Type, x: TermId, y: TermId) -> TermId {
    let both = terms.op(Smt::BvOr, &[x, y]);
    let magnitude = unary(terms, UnaryOp::FAbs, ty, ty, both);
    let zero = terms.number(0, ty.bits());
    terms.op(Smt::Eq, &[magnitude, zero])
}

fn float_equal(terms: &mut Terms, ty: Type, x: TermId, y: TermId) -> TermId {
    let ordered = ordered(terms, ty, x, y);
    let same = terms.op(Smt::Eq, &[x, y]);
    let zeros = zeros(terms, ty, x, y);
    let equal = terms.op(Smt::Or, &[same, zeros]);
    terms.op(Smt::And, &[ordered, equal])
}

pub(crate) fn float_less(terms: &mut Terms, ty: Type, x: TermId, y: TermId) -> TermId {
    let ordered = ordered(terms, ty, x, y);
    let zeros = zeros(terms, ty, x, y);
    let zero = terms.number(0, ty.bits());
    let [x_negative, y_negative] = [x, y].map(|value| terms.op(Smt::Slt, &[value, zero]));
    // By sign, then by magnitude: as signed numbers, but the other way round below 0.
    let up = terms.op(Smt::Slt, &[x, y]);
    let down = terms.op(Smt::Ult, &[y, x]);
    let negative = terms.op(Smt::And, &[x_negative, y_negative]);
    let less = terms.op(Smt::Ite, &[negative, down, up]);
    let unequal = terms.op(Smt::Not, &[zeros]);
    let less = terms.op(Smt::And, &[unequal, less]);
    terms.op(Smt::And, &[ordered, less])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values with something special in each type, and some without.
    fn samples(bits: u32, count: usize) -> Vec<u64> {
        let mask = u64::MAX >> (64 - bits);
        let mut list: Vec<u64> = (0..bits)
            .flat_map(|b| [1u64 << b, (1 << b) - 1, !(1 << b)])
            .collect();
        list.extend([
            0x7f80_0000,
            0x7fc0_0000,
            0xff80_0001,
            0x8000_0000,
            0x3f80_0000,
            0xbf80_0000,
        ]);
        list.extend([
            0x7ff0 << 48,
            0x7ff8 << 48,
            0xfff0_0000_0000_0001,
            0x3ff0 << 48,
            0xbff0 << 48,
        ]);
        let mut state = 0x9e37_79b9_7f4a_7c15u64;
        list.extend((0..count).map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        }));
        list.into_iter().map(|x| x & mask).collect()
    }

    struct Encoded {
        terms: Terms,
        meaning: Meaning,
    }

    fn encoded(op: Op, from: Type, to: Type, in_halves: bool) -> Encoded {
        let mut terms = Terms::default();
        let sort = Sort::Bits(from.bits());
        let names = ["x", "y"];
        let operands: Vec<TermId> = names[..op.operands()]
            .iter()
            .map(|name| terms.variable(name, sort))
            .collect();
        let types = vec![from; operands.len()];
        let meaning = meaning(&mut terms, op, &types, to, &operands, in_halves);
        Encoded { terms, meaning }
    }

    /// The value or the code of the trap.
    fn run(encoded: &Encoded, x: u64, y: u64) -> Result<u64, u128> {
        let variables = [("x".to_owned(), u128::from(x)), ("y".to_owned(), u128::from(y))];
        let values = encoded.terms.evaluate(&variables.into());
        match encoded
            .meaning
            .trap
            .map(|trap| encoded.terms.value(&values, trap))
        {
            None | Some(NO_TRAP) => Ok(encoded.terms.value(&values, encoded.meaning.value) as u64),
            Some(code) => Err(code),
        }
    }

    fn code(trap: cellwall_ir::Trap) -> u128 {
        match trap {
            cellwall_ir::Trap::IntegerDivisionByZero => DIVISION_BY_ZERO,
            _ => OVERFLOW,
        }
    }

    #[test]
    fn unary_meanings_are_those_of_the_ir() {
        let mut forms = 0;
        for &op in UnaryOp::ALL.iter().filter(|&&op| has_meaning(Op::Unary(op))) {
            for (from, to) in crate::TYPES
                .into_iter()
                .flat_map(|from| crate::TYPES.map(|to| (from, to)))
                .filter(|&(from, to)| op.accepts(from, to))
            {
                forms += 1;
                let encoded = encoded(Op::Unary(op), from, to, false);
                for x in samples(from.bits(), 40) {
                    let expected = op.eval(from, to, x).expect("none of these traps");
                    assert_eq!(run(&encoded, x, 0), Ok(expected), "{} {x:#x}", op.name());
                }
            }
        }
        assert_eq!(forms, 22);
    }

    #[test]
    fn binary_meanings_are_those_of_the_ir() {
        let mut forms = 0;
        for &op in BinaryOp::ALL.iter().filter(|&&op| has_meaning(Op::Binary(op))) {
            for ty in crate::TYPES.into_iter().filter(|&ty| op.accepts(ty)) {
                forms += 1;
                let whole = encoded(Op::Binary(op), ty, ty, false);
                let halves = encoded(Op::Binary(op), ty, ty, true);
                let samples = samples(ty.bits(), 12);
                for (x, y) in samples
                    .iter()
                    .flat_map(|&x| samples.iter().step_by(3).map(move |&y| (x, y)))
                {
                    let expected = op.eval(ty, x, y).map_err(code);
                    assert_eq!(run(&whole, x, y), expected, "{} {x:#x} {y:#x}", op.name());
                    assert_eq!(run(&halves, x, y), expected, "{} {x:#x} {y:#x}", op.name());
                }
            }
        }
        assert_eq!(forms, 34);
    }

    #[test]
    fn comparisons_mean_what_they_do_in_the_ir() {
        for &op in CompareOp::ALL {
            for ty in crate::TYPES.into_iter().filter(|&ty| op.accepts(ty)) {
                let encoded = encoded(Op::Compare(op), ty, Type::I32, false);
                let samples = samples(ty.bits(), 12);
                for (x, y) in samples
                    .iter()
                    .flat_map(|&x| samples.iter().step_by(3).map(move |&y| (x, y)))
                {
                    let expected = u64::from(op.eval(ty, x, y));
                    assert_eq!(run(&encoded, x, y), Ok(expected), "{} {x:#x} {y:#x}", op.name());
                }
                for &x in &samples {
                    assert_eq!(
                        run(&encoded, x, x),
                        Ok(u64::from(op.eval(ty, x, x))),
                        "{}",
                        op.name()
                    );
                }
            }
        }
    }

    #[test]
    fn products_keep_the_facts_that_questions_assume() {
        let mut terms = Terms::default();
        let [x, y] = ["x", "y"].map(|name| terms.variable(name, Sort::Bits(64)));
        product_of_halves(&mut terms, x, y);
        let facts = product_facts(&mut terms);
        assert!(facts.len() >= 16);
        for (x, y) in samples(64, 30).into_iter().zip(samples(64, 40).into_iter().rev()) {
            let variables = [("x".to_owned(), u128::from(x)), ("y".to_owned(), u128::from(y))];
            let values = terms.evaluate(&variables.into());
            assert!(
                facts.iter().all(|&fact| terms.value(&values, fact) == 1),
                "{x:#x} {y:#x}"
            );
        }
    }
}
