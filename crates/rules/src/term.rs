//! Terms of SMT-LIB's theory of fixed-size bit-vectors: made, printed, and evaluated.
//!
//! The evaluator gives each operator the meaning of the standard (`smt-lib.org`, theory
//! FixedSizeBitVectors and logic QF_BV), so that what a solver is asked can be tested without one.
//! Requires operands of the sorts that an operator takes (asserted). Terms share their parts.

use std::collections::BTreeMap;
use std::fmt::Write;

/// A term, by its place in [`Terms`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TermId(u32);

/// What a term is of.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Sort {
    /// True or false; evaluated as 1 and 0.
    Bool,
    /// A bit-vector of this many bits, 1 to 128.
    Bits(u32),
}

/// Operators, with their names in SMT-LIB.
macro_rules! operators {
    ($($name:ident = $text:literal,)*) => {
        /// An operator of terms.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
        #[allow(missing_docs, reason = "the names are SMT-LIB's")]
        pub enum Smt {
            $($name,)*
            Extract { high: u32, low: u32 },
            ZeroExtend(u32),
            SignExtend(u32),
        }
        impl Smt {
            fn text(self) -> String {
                match self {
                    $(Self::$name => $text.to_owned(),)*
                    Self::Extract { high, low } => format!("(_ extract {high} {low})"),
                    Self::ZeroExtend(more) => format!("(_ zero_extend {more})"),
                    Self::SignExtend(more) => format!("(_ sign_extend {more})"),
                }
            }
        }
    };
}

operators! {
    Not = "not", And = "and", Or = "or", Eq = "=", Ite = "ite",
    Add = "bvadd", Sub = "bvsub", Mul = "bvmul", BvAnd = "bvand", BvOr = "bvor", BvXor = "bvxor",
    Udiv = "bvudiv", Urem = "bvurem", Sdiv = "bvsdiv", Srem = "bvsrem",
    Shl = "bvshl", Lshr = "bvlshr", Ashr = "bvashr",
    Ult = "bvult", Ule = "bvule", Slt = "bvslt", Sle = "bvsle",
    // The bits of the first operand above those of the second.
    Concat = "concat",
    // The product of two numbers of 32 bits, as a function that the question says little of.
    Product = "product",
}

/// A term.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Term {
    /// Anything of its sort.
    Variable(String, Sort),
    /// A number.
    Constant(u128, Sort),
    /// An operation.
    Operation(Smt, Vec<TermId>),
}

/// Terms that share their parts.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Terms {
    terms: Vec<(Term, Sort)>,
    known: BTreeMap<Term, TermId>,
}

fn mask(bits: u32) -> u128 {
    u128::MAX >> (128 - bits)
}

fn signed(value: u128, bits: u32) -> i128 {
    let unused = 128 - bits;
    ((value << unused) as i128) >> unused
}

impl Terms {
    /// The sort of a term.
    pub fn sort(&self, id: TermId) -> Sort {
        self.terms[id.0 as usize].1
    }

    /// The width of a term.
    ///
    /// # Panics
    /// If it is a truth value.
    pub fn bits(&self, id: TermId) -> u32 {
        match self.sort(id) {
            Sort::Bits(bits) => bits,
            Sort::Bool => panic!("a truth value has no width"),
        }
    }

    fn intern(&mut self, term: Term, sort: Sort) -> TermId {
        if let Some(&id) = self.known.get(&term) {
            return id;
        }
        let id = TermId(self.terms.len() as u32);
        self.terms.push((term.clone(), sort));
        self.known.insert(term, id);
        id
    }

    /// A variable.
    pub fn variable(&mut self, name: &str, sort: Sort) -> TermId {
        self.intern(Term::Variable(name.to_owned(), sort), sort)
    }

    /// A bit-vector of the low bits of a number.
    pub fn number(&mut self, value: u128, bits: u32) -> TermId {
        let sort = Sort::Bits(bits);
        self.intern(Term::Constant(value & mask(bits), sort), sort)
    }

    /// A truth value.
    pub fn truth(&mut self, value: bool) -> TermId {
        self.intern(Term::Constant(u128::from(value), Sort::Bool), Sort::Bool)
    }

    /// The number that a term is, if it is one.
    pub fn as_number(&self, id: TermId) -> Option<u128> {
        match self.terms[id.0 as usize].0 {
            Term::Constant(value, _) => Some(value),
            _ => None,
        }
    }

    /// An operation.
    ///
    /// # Panics
    /// If the operator does not take operands of these sorts.
    pub fn op(&mut self, op: Smt, operands: &[TermId]) -> TermId {
        let sorts: Vec<Sort> = operands.iter().map(|&id| self.sort(id)).collect();
        let sort = match (op, &sorts[..]) {
            (Smt::Not, [Sort::Bool]) | (Smt::And | Smt::Or, [Sort::Bool, Sort::Bool]) => Sort::Bool,
            (Smt::Eq, [a, b]) if a == b => Sort::Bool,
            (Smt::Ite, [Sort::Bool, a, b]) if a == b => *a,
            (Smt::Ult | Smt::Ule | Smt::Slt | Smt::Sle, [Sort::Bits(a), Sort::Bits(b)]) if a == b => {
                Sort::Bool
            }
            (Smt::Extract { high, low }, [Sort::Bits(bits)]) if low <= high && high < *bits => {
                Sort::Bits(high - low + 1)
            }
            (Smt::ZeroExtend(more) | Smt::SignExtend(more), [Sort::Bits(bits)]) => Sort::Bits(bits + more),
            (Smt::Product, [Sort::Bits(32), Sort::Bits(32)]) => Sort::Bits(64),
            (Smt::Concat, [Sort::Bits(a), Sort::Bits(b)]) if a + b <= 128 => Sort::Bits(a + b),
            (
                Smt::Not
                | Smt::And
                | Smt::Or
                | Smt::Eq
                | Smt::Ite
                | Smt::Extract { .. }
                | Smt::Product
                | Smt::Concat,
                _,
            ) => {
                panic!("{op:?} does not take {sorts:?}")
            }
            (_, [Sort::Bits(a), Sort::Bits(b)]) if a == b => Sort::Bits(*a),
            _ => panic!("{op:?} does not take {sorts:?}"),
        };
        self.intern(Term::Operation(op, operands.to_vec()), sort)
    }

    /// The values of all terms, given those of the variables.
    ///
    /// # Panics
    /// If a variable has no value.
    pub fn evaluate(&self, variables: &BTreeMap<String, u128>) -> Vec<u128> {
        let mut values: Vec<u128> = Vec::with_capacity(self.terms.len());
        for (term, sort) in &self.terms {
            let value = match term {
                Term::Variable(name, _) => variables[name],
                Term::Constant(value, _) => *value,
                Term::Operation(op, operands) => {
                    let values: Vec<u128> = operands.iter().map(|id| values[id.0 as usize]).collect();
                    let width = match self.sort(operands[operands.len() - 1]) {
                        Sort::Bool => 1,
                        Sort::Bits(bits) => bits,
                    };
                    evaluate(*op, width, &values)
                }
            };
            values.push(match sort {
                Sort::Bool => value & 1,
                Sort::Bits(bits) => value & mask(*bits),
            });
        }
        values
    }

    /// The value of a term among those that [`Terms::evaluate`] gave.
    pub fn value(&self, values: &[u128], id: TermId) -> u128 {
        values[id.0 as usize]
    }

    /// The variables, in order of their first use.
    pub fn variables(&self) -> Vec<(String, Sort)> {
        let variables = self.terms.iter().filter_map(|(term, _)| match term {
            Term::Variable(name, sort) => Some((name.clone(), *sort)),
            _ => None,
        });
        variables.collect()
    }

    /// The products of 32-bit numbers that occur, with their operands.
    pub(crate) fn products(&self) -> Vec<(TermId, TermId, TermId)> {
        let ids = (0..self.terms.len() as u32).map(TermId);
        ids.filter_map(|id| match &self.terms[id.0 as usize].0 {
            Term::Operation(Smt::Product, list) => Some((id, list[0], list[1])),
            _ => None,
        })
        .collect()
    }

    /// A script that asks whether `claim` can be false while all of `given` hold.
    pub fn script(&self, given: &[TermId], claim: TermId) -> String {
        let mut needed = vec![false; self.terms.len()];
        let mut work: Vec<TermId> = given.iter().copied().chain([claim]).collect();
        while let Some(id) = work.pop() {
            if !std::mem::replace(&mut needed[id.0 as usize], true)
                && let Term::Operation(_, operands) = &self.terms[id.0 as usize].0
            {
                work.extend(operands);
            }
        }
        let mut text = String::new();
        if !self.products().is_empty() {
            text += "(declare-fun product ((_ BitVec 32) (_ BitVec 32)) (_ BitVec 64))\n";
        }
        for (index, (term, sort)) in self.terms.iter().enumerate().filter(|(i, _)| needed[*i]) {
            let sort = match sort {
                Sort::Bool => "Bool".to_owned(),
                Sort::Bits(bits) => format!("(_ BitVec {bits})"),
            };
            let written = match term {
                Term::Variable(name, _) => writeln!(text, "(declare-const {name} {sort})"),
                Term::Constant(..) => Ok(()),
                Term::Operation(op, operands) => {
                    let operands: Vec<String> = operands.iter().map(|&id| self.reference(id)).collect();
                    let operands = operands.join(" ");
                    writeln!(text, "(define-fun t{index} () {sort} ({} {operands}))", op.text())
                }
            };
            written.expect("a string takes what is written");
        }
        for &id in given {
            text += &format!("(assert {})\n", self.reference(id));
        }
        text + &format!("(assert (not {}))\n(check-sat)\n", self.reference(claim))
    }

    /// The same script with every operation on numbers carried out: two claims with one canonical script are
    /// the same claim.
    pub fn canonical_script(&self, given: &[TermId], claim: TermId) -> String {
        let mut out = Self::default();
        let mut places: Vec<TermId> = Vec::with_capacity(self.terms.len());
        for (term, sort) in &self.terms {
            let place = match term {
                Term::Operation(op, operands) => {
                    let operands: Vec<TermId> = operands.iter().map(|id| places[id.0 as usize]).collect();
                    let numbers: Option<Vec<u128>> = operands.iter().map(|&id| out.as_number(id)).collect();
                    match (numbers, sort) {
                        (Some(numbers), Sort::Bits(bits)) => {
                            let width = match out.sort(operands[operands.len() - 1]) {
                                Sort::Bool => 1,
                                Sort::Bits(bits) => bits,
                            };
                            out.number(evaluate(*op, width, &numbers), *bits)
                        }
                        _ => out.op(*op, &operands),
                    }
                }
                _ => out.intern(term.clone(), *sort),
            };
            places.push(place);
        }
        let given: Vec<TermId> = given.iter().map(|id| places[id.0 as usize]).collect();
        let (mut fresh, mut kept) = (Self::default(), BTreeMap::new());
        let given: Vec<TermId> = given.iter().map(|&id| fresh.copy(&out, id, &mut kept)).collect();
        let claim = fresh.copy(&out, places[claim.0 as usize], &mut kept);
        fresh.script(&given, claim)
    }

    /// Copies a term and what it needs.
    fn copy(&mut self, from: &Self, id: TermId, kept: &mut BTreeMap<TermId, TermId>) -> TermId {
        if let Some(&known) = kept.get(&id) {
            return known;
        }
        let (term, sort) = &from.terms[id.0 as usize];
        let copied = match term {
            Term::Operation(op, operands) => {
                let operands: Vec<TermId> = operands.iter().map(|&id| self.copy(from, id, kept)).collect();
                self.op(*op, &operands)
            }
            _ => self.intern(term.clone(), *sort),
        };
        kept.insert(id, copied);
        copied
    }

    fn reference(&self, id: TermId) -> String {
        match &self.terms[id.0 as usize].0 {
            Term::Variable(name, _) => name.clone(),
            Term::Constant(value, Sort::Bool) => (*value == 1).to_string(),
            Term::Constant(value, Sort::Bits(bits)) => format!("(_ bv{value} {bits})"),
            Term::Operation(..) => format!("t{}", id.0),
        }
    }
}

/// The meaning of an operator; `bits` is the width of its last operand. Upper bits of the result are
/// left to the caller.
fn evaluate(op: Smt, bits: u32, values: &[u128]) -> u128 {
    let x = values[0];
    let y = values.get(1).copied().unwrap_or(0);
    let (sx, sy) = (signed(x, bits), signed(y, bits));
    let ones = mask(bits);
    match op {
        Smt::Not => x ^ 1,
        Smt::And | Smt::BvAnd => x & y,
        Smt::Or | Smt::BvOr => x | y,
        Smt::Eq => u128::from(x == y),
        Smt::Ite => values[if x == 1 { 1 } else { 2 }],
        Smt::Add => x.wrapping_add(y),
        Smt::Sub => x.wrapping_sub(y),
        Smt::Mul | Smt::Product => x.wrapping_mul(y),
        Smt::BvXor => x ^ y,
        Smt::Concat => x << bits | y,
        Smt::Udiv => x.checked_div(y).unwrap_or(ones),
        Smt::Urem => x.checked_rem(y).unwrap_or(x),
        // Division by 0 gives 1 or -1, by the sign of the dividend.
        Smt::Sdiv if y == 0 => {
            if sx < 0 {
                1
            } else {
                ones
            }
        }
        Smt::Sdiv => sx.wrapping_div(sy) as u128,
        Smt::Srem if y == 0 => x,
        Smt::Srem => sx.wrapping_rem(sy) as u128,
        Smt::Shl if y >= u128::from(bits) => 0,
        Smt::Shl => x << y,
        Smt::Lshr if y >= u128::from(bits) => 0,
        Smt::Lshr => x >> y,
        Smt::Ashr => (sx >> y.min(u128::from(bits - 1))) as u128,
        Smt::Ult => u128::from(x < y),
        Smt::Ule => u128::from(x <= y),
        Smt::Slt => u128::from(sx < sy),
        Smt::Sle => u128::from(sx <= sy),
        Smt::Extract { low, .. } => x >> low,
        Smt::ZeroExtend(_) => x,
        Smt::SignExtend(_) => sx as u128,
    }
}
