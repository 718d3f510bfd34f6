//! What a lowering rule says, as a question to a solver.
//!
//! Here is the meaning of forms of machine instructions (Intel SDM, volume 2), once more and in
//! bit-vectors: registers of 64 bits, the four flags that conditions ask for, addresses. Requires a rule of the
//! right shape. What is not known is a variable of its own: the upper half of a register of which only the low
//! half counts.
//!
//! The claim is about the whole register: a 32-bit value is zero-extended in it, which is what keeps an
//! index from reaching beyond its memory. An operand in memory has as many bytes as its value.

use crate::encode::{Encoder, Question, split};
use crate::lowering::{Access, Goal, Guard, Node, TypedLowering, slots, width};
use crate::syntax::{Kind, Op};
use crate::term::{Smt, Sort, TermId};
use cellwall_ir::{BinaryOp, Type, UnaryOp};
use cellwall_isa::x64::{Cond, Row, Width};
use std::collections::BTreeMap;

/// The questions of a lowering rule in one of its typings, each of them to be answered; `None` if a form has no
/// meaning there: no such width, or an operand in memory of another size.
pub(crate) fn questions(rule: &TypedLowering, typing: usize) -> Option<Vec<Question>> {
    question(rule, typing)?;
    let ask = |fixed: &BTreeMap<String, u128>| {
        ask(rule, typing, fixed).expect("that it has a meaning does not depend on constants")
    };
    Some(split(&rule.typed, typing, &ask))
}

/// The question of a lowering rule in one of its typings, as a whole.
pub(crate) fn question(rule: &TypedLowering, typing: usize) -> Option<Question> {
    ask(rule, typing, &BTreeMap::new())
}

fn ask(rule: &TypedLowering, typing: usize, fixed: &BTreeMap<String, u128>) -> Option<Question> {
    let lowering = &rule.lowering;
    let encoder = Encoder::new(&rule.typed, typing, fixed);
    let mut machine = Machine {
        rule,
        types: types(rule, typing),
        encoder,
        fresh: 0,
        named: BTreeMap::new(),
        facts: Vec::new(),
    };
    let left = machine.encoder.value(&lowering.rule.left);
    let mut given: Vec<TermId> = Vec::new();
    for condition in &lowering.rule.conditions {
        given.extend(machine.encoder.condition(condition));
    }
    for guard in &lowering.guards {
        if let Guard::Imm(expr) = guard {
            let k = machine.encoder.value(expr);
            let low = machine.low(k, 32);
            let bits = machine.encoder.terms.bits(k);
            let extended = machine.signed(low, bits);
            given.push(machine.op(Smt::Eq, &[extended, k]));
        }
    }
    let mut claim = machine.claim(left)?;
    for fact in std::mem::take(&mut machine.facts) {
        claim = machine.op(Smt::And, &[claim, fact]);
    }
    let names: Vec<String> = rule.typed.typings[typing].iter().map(Type::to_string).collect();
    Some(Question {
        typing: names.join(","),
        terms: machine.encoder.terms,
        given,
        claim,
    })
}

/// The types of the names of the left side.
pub(crate) fn types(rule: &TypedLowering, typing: usize) -> BTreeMap<String, Type> {
    let mut types = BTreeMap::new();
    rule.lowering.rule.left.walk(&mut |expr| {
        if let (Kind::Value(name) | Kind::Constant(name), _) | (_, Some(name)) = (&expr.kind, &expr.name) {
            types.insert(name.clone(), rule.typed.typings[typing][rule.typed.class(expr)]);
        }
    });
    types
}

/// The flags that conditions ask for.
#[derive(Clone, Copy)]
struct Flags {
    carry: TermId,
    zero: TermId,
    sign: TermId,
    overflow: TermId,
}

struct Machine<'r> {
    rule: &'r TypedLowering,
    types: BTreeMap<String, Type>,
    encoder: Encoder<'r>,
    /// Unknown things so far.
    fresh: u32,
    /// Registers by the name of the form that gave them.
    named: BTreeMap<String, TermId>,
    /// What must hold besides.
    facts: Vec<TermId>,
}

impl Machine<'_> {
    fn op(&mut self, op: Smt, operands: &[TermId]) -> TermId {
        self.encoder.terms.op(op, operands)
    }

    fn number(&mut self, value: u128, bits: u32) -> TermId {
        self.encoder.terms.number(value, bits)
    }

    fn low(&mut self, x: TermId, bits: u32) -> TermId {
        match self.encoder.terms.bits(x) {
            all if all == bits => x,
            _ => self.op(
                Smt::Extract {
                    high: bits - 1,
                    low: 0,
                },
                &[x],
            ),
        }
    }

    fn unsigned(&mut self, x: TermId, bits: u32) -> TermId {
        match bits - self.encoder.terms.bits(x) {
            0 => x,
            more => self.op(Smt::ZeroExtend(more), &[x]),
        }
    }

    fn signed(&mut self, x: TermId, bits: u32) -> TermId {
        match bits - self.encoder.terms.bits(x) {
            0 => x,
            more => self.op(Smt::SignExtend(more), &[x]),
        }
    }

    fn unknown(&mut self, bits: u32) -> TermId {
        self.fresh += 1;
        let name = format!("unknown{}", self.fresh);
        self.encoder.terms.variable(&name, Sort::Bits(bits))
    }

    /// The right side is what the left one is.
    fn claim(&mut self, left: TermId) -> Option<TermId> {
        let right = &self.rule.lowering.right;
        match (self.rule.lowering.goal, right) {
            (Goal::Value, node) => {
                let register = self.register(node)?;
                let whole = self.unsigned(left, 64);
                Some(self.op(Smt::Eq, &[register, whole]))
            }
            (Goal::Flags, node) => {
                let holds = self.truth(node)?;
                let no = self.number(0, 32);
                let is_no = self.op(Smt::Eq, &[left, no]);
                let yes = self.op(Smt::Not, &[is_no]);
                Some(self.op(Smt::Eq, &[holds, yes]))
            }
            (Goal::Test, node) => {
                let flags = self.flags(node)?;
                let wanted = self.against_zero(left);
                let pairs = [
                    (flags.carry, wanted.carry),
                    (flags.zero, wanted.zero),
                    (flags.sign, wanted.sign),
                    (flags.overflow, wanted.overflow),
                ];
                let yes = self.encoder.terms.truth(true);
                Some(pairs.into_iter().fold(yes, |all, (a, b)| {
                    let same = self.op(Smt::Eq, &[a, b]);
                    self.op(Smt::And, &[all, same])
                }))
            }
        }
    }

    /// The value of a name of the left side.
    fn bound(&mut self, name: &str) -> TermId {
        let bits = self.types[name].bits();
        match self.encoder.named.get(name) {
            Some(&term) => term,
            None => self.encoder.terms.variable(name, Sort::Bits(bits)),
        }
    }

    /// A register, all of it.
    fn register(&mut self, node: &Node) -> Option<TermId> {
        match node {
            Node::Value(access, name) => {
                // Floats are in registers of another kind.
                if !self.types[name].is_int() {
                    return None;
                }
                let value = self.bound(name);
                match (access, 64u32.checked_sub(self.encoder.terms.bits(value))?) {
                    (Access::Full, _) | (_, 0) => Some(self.unsigned(value, 64)),
                    (_, more) => {
                        let above = self.unknown(more);
                        Some(self.op(Smt::Concat, &[above, value]))
                    }
                }
            }
            Node::Again(name) => self.named.get(name).copied(),
            Node::Form { name, .. } => {
                let register = self.form(node)?;
                if let Some(name) = name {
                    self.named.insert(name.clone(), register);
                }
                Some(register)
            }
            _ => None,
        }
    }

    /// The low bits of a register or memory.
    fn operand(&mut self, node: &Node, bits: u32) -> Option<TermId> {
        if let Node::Value(Access::Rm | Access::Memory, name) = node
            && self.types[name].bits() != bits
        {
            return None;
        }
        let register = self.register(node)?;
        Some(self.low(register, bits))
    }

    /// The width of a form, which its row has.
    fn width(&self, node: &Node) -> Option<u32> {
        let bits = width(node, &|name| self.types[name])?;
        let Node::Form { row, .. } = node else { return None };
        let widths = [Width::W8, Width::W16, Width::W32, Width::W64];
        let width = widths.into_iter().find(|width| width.bits() == bits)?;
        row.allows(width).then_some(bits)
    }

    /// An immediate of 32 bits, sign-extended to the width.
    fn immediate(&mut self, node: &Node, bits: u32) -> Option<TermId> {
        let k = self.constant(node, 64)?;
        let low = self.low(k, 32.min(bits));
        let extended = self.signed(low, bits);
        // Where it fits it is the constant itself: the same, but easier to see.
        let k = self.low(k, bits);
        let fits = self.op(Smt::Eq, &[extended, k]);
        Some(self.op(Smt::Ite, &[fits, k, extended]))
    }

    /// A constant in at least so many bits, sign-extended as the code that makes it does.
    fn constant(&mut self, node: &Node, bits: u32) -> Option<TermId> {
        let Node::Constant(expr) = node else { return None };
        if let Kind::Literal(value) = expr.kind {
            return Some(self.number(value as u128, bits));
        }
        let k = self.encoder.value(expr);
        Some(self.signed(k, bits))
    }

    /// A count: an immediate byte or the byte in `cl`, of which the processor takes so many bits.
    fn count(&mut self, byte: TermId, bits: u32) -> TermId {
        let wide = self.unsigned(byte, bits);
        let mask = self.number(u128::from(bits - 1), bits);
        self.op(Smt::BvAnd, &[wide, mask])
    }

    /// The result of a form in its register.
    fn form(&mut self, node: &Node) -> Option<TermId> {
        let Node::Form { row, operands, .. } = node else {
            return None;
        };
        slots(*row, operands.len())?;
        let bits = self.width(node)?;
        let value = match row {
            Row::Lea => self.address(operands)?,
            Row::Movzx8 | Row::Movsx8 => self.operand(&operands[0], 8)?,
            Row::Movzx16 | Row::Movsx16 => self.operand(&operands[0], 16)?,
            Row::Movsxd => self.operand(&operands[0], 32)?,
            Row::Mov => self.operand(&operands[0], bits)?,
            Row::Zero => self.number(0, bits),
            _ => self.arithmetic(*row, operands, bits)?,
        };
        let value = match row {
            Row::Movsx8 | Row::Movsx16 | Row::Movsxd => self.signed(value, bits),
            Row::Movzx8 | Row::Movzx16 => self.unsigned(value, bits),
            _ => self.low(value, bits),
        };
        // Whatever is narrower than a register clears the rest of it.
        Some(self.unsigned(value, 64))
    }

    /// `base + (index << scale) + disp`, in 64 bits.
    fn address(&mut self, operands: &[Node]) -> Option<TermId> {
        let (registers, constants) = operands.split_at(operands.len() / 2);
        let disp = self.immediate(constants.last()?, 64)?;
        let base = self.register(&registers[0])?;
        let mut sum = self.op(Smt::Add, &[base, disp]);
        if let [_, index] = registers {
            let index = self.register(index)?;
            let scale = self.constant(&constants[0], 64)?;
            let most = self.number(3, 64);
            let fits = self.op(Smt::Ule, &[scale, most]);
            self.facts.push(fits);
            let index = self.op(Smt::Shl, &[index, scale]);
            sum = self.op(Smt::Add, &[sum, index]);
        }
        Some(sum)
    }

    /// The result of an instruction that computes, in its width.
    fn arithmetic(&mut self, row: Row, operands: &[Node], bits: u32) -> Option<TermId> {
        let zero = self.number(0, bits);
        let one = self.number(1, bits);
        let ones = self.number(u128::MAX, bits);
        let ir = |machine: &mut Self, op: Op, x: TermId, y: TermId| machine.encoder.integer(op, bits, x, y);
        if let Some(op) = shift_of(row) {
            let by_imm = matches!(operands[1], Node::Constant(_));
            let byte = match by_imm {
                true => self.constant(&operands[1], 64)?,
                false => self.register(&operands[1])?,
            };
            let byte = self.low(byte, 8);
            let x = self.operand(&operands[0], bits)?;
            let count = self.count(byte, bits);
            return Some(ir(self, Op::Binary(op), x, count));
        }
        // The last operand first: so they are computed.
        let y = match operands.get(1) {
            Some(Node::Constant(_)) => self.immediate(&operands[1], bits)?,
            Some(node) => self.operand(node, bits)?,
            None => zero,
        };
        let holds = match operands.get(2) {
            Some(flags) => Some(self.truth(flags)?),
            None => None,
        };
        let x = self.operand(&operands[0], bits)?;
        Some(match row {
            Row::Add | Row::AddImm => self.op(Smt::Add, &[x, y]),
            Row::Sub | Row::SubImm => self.op(Smt::Sub, &[x, y]),
            Row::And | Row::AndImm => self.op(Smt::BvAnd, &[x, y]),
            Row::Or | Row::OrImm => self.op(Smt::BvOr, &[x, y]),
            Row::Xor | Row::XorImm => self.op(Smt::BvXor, &[x, y]),
            Row::Imul | Row::ImulImm => self.op(Smt::Mul, &[x, y]),
            Row::Neg => self.op(Smt::Sub, &[zero, x]),
            Row::Not => self.op(Smt::BvXor, &[x, ones]),
            Row::Andn => {
                let x = self.op(Smt::BvXor, &[x, ones]);
                self.op(Smt::BvAnd, &[x, y])
            }
            Row::Blsr => {
                let less = self.op(Smt::Sub, &[x, one]);
                self.op(Smt::BvAnd, &[x, less])
            }
            Row::Blsmsk => {
                let less = self.op(Smt::Sub, &[x, one]);
                self.op(Smt::BvXor, &[x, less])
            }
            Row::Blsi => {
                let negated = self.op(Smt::Sub, &[zero, x]);
                self.op(Smt::BvAnd, &[x, negated])
            }
            Row::Tzcnt => ir(self, Op::Unary(UnaryOp::Ctz), x, x),
            Row::Lzcnt => ir(self, Op::Unary(UnaryOp::Clz), x, x),
            Row::Popcnt => ir(self, Op::Unary(UnaryOp::Popcnt), x, x),
            Row::Cmov => self.op(Smt::Ite, &[holds?, y, x]),
            _ => return None,
        })
    }

    /// Whether something holds that is asked of flags.
    fn truth(&mut self, node: &Node) -> Option<TermId> {
        match node {
            Node::Holds(name) => {
                let value = self.bound(name);
                let zero = self.number(0, self.types[name].bits());
                let is_zero = self.op(Smt::Eq, &[value, zero]);
                Some(self.op(Smt::Not, &[is_zero]))
            }
            Node::Is(cond, form) => {
                let flags = self.flags(form)?;
                self.condition(*cond, flags)
            }
            _ => None,
        }
    }

    /// Whether a condition holds (Intel SDM, volume 1, appendix B).
    fn condition(&mut self, cond: Cond, flags: Flags) -> Option<TermId> {
        let differ = |machine: &mut Self| {
            let same = machine.op(Smt::Eq, &[flags.sign, flags.overflow]);
            machine.op(Smt::Not, &[same])
        };
        let (positive, negated) = match cond {
            Cond::O | Cond::No => (flags.overflow, cond == Cond::No),
            Cond::B | Cond::Ae => (flags.carry, cond == Cond::Ae),
            Cond::E | Cond::Ne => (flags.zero, cond == Cond::Ne),
            Cond::Be | Cond::A => (self.op(Smt::Or, &[flags.carry, flags.zero]), cond == Cond::A),
            Cond::S | Cond::Ns => (flags.sign, cond == Cond::Ns),
            Cond::L | Cond::Ge => (differ(self), cond == Cond::Ge),
            Cond::Le | Cond::G => {
                let less = differ(self);
                (self.op(Smt::Or, &[less, flags.zero]), cond == Cond::G)
            }
            Cond::P | Cond::Np | Cond::FloatEq | Cond::FloatNe => return None,
        };
        Some(if negated {
            self.op(Smt::Not, &[positive])
        } else {
            positive
        })
    }

    /// The flags that a form leaves.
    fn flags(&mut self, node: &Node) -> Option<Flags> {
        if let Node::AgainstZero(name) = node {
            let value = self.bound(name);
            return Some(self.against_zero(value));
        }
        let Node::Form { row, operands, .. } = node else {
            return None;
        };
        slots(*row, operands.len())?;
        let bits = self.width(node)?;
        let y = match &operands[1] {
            constant @ Node::Constant(_) => self.immediate(constant, bits)?,
            other => self.operand(other, bits)?,
        };
        let x = self.operand(&operands[0], bits)?;
        match row {
            Row::Test | Row::TestImm => {
                let both = self.op(Smt::BvAnd, &[x, y]);
                Some(self.against_zero(both))
            }
            Row::Cmp | Row::CmpImm | Row::CmpStore => {
                let difference = self.op(Smt::Sub, &[x, y]);
                // Signs differ, and the difference has that of the second.
                let [sx, sy, sd] = [x, y, difference].map(|value| self.sign(value));
                let apart = self.op(Smt::Eq, &[sx, sy]);
                let apart = self.op(Smt::Not, &[apart]);
                let turned = self.op(Smt::Eq, &[sx, sd]);
                let turned = self.op(Smt::Not, &[turned]);
                Some(Flags {
                    carry: self.op(Smt::Ult, &[x, y]),
                    zero: self.op(Smt::Eq, &[x, y]),
                    sign: sd,
                    overflow: self.op(Smt::And, &[apart, turned]),
                })
            }
            _ => None,
        }
    }

    fn sign(&mut self, x: TermId) -> TermId {
        let zero = self.number(0, self.encoder.terms.bits(x));
        self.op(Smt::Slt, &[x, zero])
    }

    /// The flags of comparing a value with 0.
    fn against_zero(&mut self, value: TermId) -> Flags {
        let zero = self.number(0, self.encoder.terms.bits(value));
        let no = self.encoder.terms.truth(false);
        Flags {
            carry: no,
            zero: self.op(Smt::Eq, &[value, zero]),
            sign: self.sign(value),
            overflow: no,
        }
    }
}

/// What a row shifts, if it shifts.
fn shift_of(row: Row) -> Option<BinaryOp> {
    Some(match row {
        Row::Shl | Row::ShlImm | Row::Shlx => BinaryOp::Shl,
        Row::Shr | Row::ShrImm | Row::Shrx => BinaryOp::ShrU,
        Row::Sar | Row::SarImm | Row::Sarx => BinaryOp::ShrS,
        Row::Rol | Row::RolImm => BinaryOp::Rotl,
        Row::Ror | Row::RorImm | Row::Rorx => BinaryOp::Rotr,
        _ => return None,
    })
}
