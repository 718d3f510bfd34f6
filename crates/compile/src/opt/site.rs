//! The place at which a rule is applied: what rules may ask of a function, and what they may make.
//!
//! Requires that definitions stand before uses in layout order. Guarantees that the work for one
//! instruction is bounded: so many rules are applied to it and to what they make, and questions
//! about known bits look so many operators deep. What is made stands before the instruction.

use super::{generated, vectors};
use cellwall_base::EntityId;
use cellwall_ir::{BinaryOp, CompareOp, Func, Inst, InstData, LoadOp, Type, UnaryOp, Value, VectorOp};

/// Rules applied to one instruction and to what is made for it, at most.
const STEPS_MAX: u32 = 24;
/// Operators that a question about known bits looks through, at most.
const KNOWN_DEPTH_MAX: u32 = 3;

/// What an instruction can be replaced by.
pub(super) enum Simpler {
    /// A constant.
    Constant(u64),
    /// A constant vector.
    Vector(u128),
    /// A value that is there already.
    Value(Value),
    /// Another instruction of the same result type.
    Inst(InstData),
}

/// A rule by number, and what it says.
pub(super) type Found = (usize, Simpler);

/// How often each rule was applied; counts nothing unless it was asked to.
#[derive(Default)]
pub(crate) struct Fired(Vec<u32>);

impl Fired {
    /// One that counts.
    #[cfg(any(feature = "oracle", test))]
    pub(crate) fn counting() -> Self {
        Self(vec![0; generated::NAMES.len()])
    }

    /// Names and counts.
    #[cfg(any(feature = "oracle", test))]
    pub(crate) fn counts(&self) -> Vec<(&'static str, u32)> {
        generated::NAMES.into_iter().zip(self.0.iter().copied()).collect()
    }

    fn count(&mut self, rule: usize) {
        if let Some(count) = self.0.get_mut(rule) {
            *count += 1;
        }
    }
}

/// What rules know of a function beside its instructions.
#[derive(Default)]
pub(super) struct Facts {
    /// How many users each value had before the pass.
    users: Vec<u32>,
    /// Where rules are counted.
    pub(super) fired: Fired,
}

impl Facts {
    /// The facts of a function.
    pub(super) fn of(func: &Func, fired: Fired) -> Self {
        let mut users = vec![0u32; func.values.len()];
        for &block in &func.order {
            for &inst in &func.blocks[block].insts {
                func.for_each_use(inst, |value| users[value.index()] += 1);
            }
        }
        Self { users, fired }
    }
}

/// Where rules are applied.
pub(super) struct Site<'a> {
    func: &'a mut Func,
    facts: &'a mut Facts,
    /// Instructions to stand before the current one.
    before: &'a mut Vec<Inst>,
    /// The source offset of what is made.
    source: u32,
    /// How many rules may still be applied.
    steps: u32,
}

/// Applies rules to an instruction as long as one fits: it changes in place, or a value that stands
/// for its result is returned. What is made goes to `before`.
pub(super) fn apply(func: &mut Func, facts: &mut Facts, before: &mut Vec<Inst>, inst: Inst) -> Option<Value> {
    let source = func.insts[inst].source;
    let mut site = Site {
        func,
        facts,
        before,
        source,
        steps: STEPS_MAX,
    };
    site.settle(inst)
}

impl Site<'_> {
    fn settle(&mut self, inst: Inst) -> Option<Value> {
        while self.steps > 0 {
            let data = self.func.insts[inst].data;
            if !matches!(
                data,
                InstData::Unary { .. }
                    | InstData::Binary { .. }
                    | InstData::Compare { .. }
                    | InstData::Select { .. }
                    | InstData::Vector { .. }
                    | InstData::Shuffle { .. }
            ) {
                return None;
            }
            let ty = self.func.ty(self.func.result(inst));
            let simpler = match self
                .constants(ty, data)
                .or_else(|| vectors::constants(self, data))
            {
                Some(simpler) => simpler,
                None => {
                    let (rule, simpler) = generated::simplify(self, ty, data)?;
                    self.facts.fired.count(rule);
                    self.steps = self.steps.saturating_sub(1);
                    simpler
                }
            };
            self.func.insts[inst].data = match simpler {
                Simpler::Value(value) => return Some(value),
                Simpler::Constant(bits) => InstData::Const { bits },
                Simpler::Vector(bits) => InstData::VectorConst {
                    bytes: bits.to_le_bytes(),
                },
                Simpler::Inst(data) => data,
            };
        }
        None
    }

    /// Operators of constants are evaluated unless they trap; a constant stands right.
    fn constants(&self, ty: Type, data: InstData) -> Option<Simpler> {
        let constant = |value| self.func.constant(value);
        match data {
            InstData::Unary { op, arg } => {
                let bits = op.eval(self.func.ty(arg), ty, constant(arg)?).ok()?;
                Some(Simpler::Constant(bits))
            }
            InstData::Binary { op, args: [x, y] } => match (constant(x)?, constant(y)) {
                (a, Some(b)) => op.eval(ty, a, b).ok().map(Simpler::Constant),
                (_, None) if op.commutes() => Some(Simpler::Inst(InstData::Binary { op, args: [y, x] })),
                _ => None,
            },
            InstData::Compare { op, args: [x, y] } => Some(match (constant(x)?, constant(y)) {
                (a, Some(b)) => Simpler::Constant(u64::from(op.eval(self.func.ty(x), a, b))),
                (_, None) => {
                    let op = op.swapped();
                    Simpler::Inst(InstData::Compare { op, args: [y, x] })
                }
            }),
            InstData::Select { cond, args: [x, y] } => {
                let chosen = if constant(cond)? != 0 { x } else { y };
                Some(Simpler::Value(chosen))
            }
            _ => None,
        }
    }

    /// The type of a value.
    pub(super) fn ty(&self, value: Value) -> Type {
        self.func.ty(value)
    }

    /// The instruction that gives a value.
    pub(super) fn definition(&self, value: Value) -> Option<InstData> {
        self.func.def_inst(value).map(|inst| self.func.insts[inst].data)
    }

    /// The bits of a constant.
    pub(super) fn constant(&self, value: Value) -> Option<u64> {
        self.func.constant(value)
    }

    /// The bits of a constant vector.
    pub(super) fn vector(&self, value: Value) -> Option<u128> {
        match self.definition(value)? {
            InstData::VectorConst { bytes } => Some(u128::from_le_bytes(bytes)),
            _ => None,
        }
    }

    /// The lane of a constant vector whose lanes of so many bits are equal.
    pub(super) fn splat(&self, value: Value, bits: u32) -> Option<u64> {
        let all = self.vector(value)?;
        (all.rotate_right(bits) == all).then_some(all as u64 & (u64::MAX >> (64 - bits)))
    }

    /// Whether a value has one user only. What this pass made has one.
    pub(super) fn once(&self, value: Value) -> bool {
        self.facts
            .users
            .get(value.index())
            .is_none_or(|&users| users == 1)
    }

    /// Whether these bits of an integer are known to be 0.
    pub(super) fn zeros(&self, value: Value, bits: u64) -> bool {
        bits & !known_zeros(self.func, value, KNOWN_DEPTH_MAX) == 0
    }

    /// A new instruction, or a value that gives the same.
    pub(super) fn make(&mut self, data: InstData, ty: Type) -> Value {
        let inst = self.func.make_inst(data, &[ty], self.source);
        if let Some(value) = self.settle(inst) {
            return value;
        }
        self.before.push(inst);
        self.func.result(inst)
    }

    /// A new constant vector.
    pub(super) fn number_of_lanes(&mut self, bits: u128) -> Value {
        let bytes = bits.to_le_bytes();
        let inst = self
            .func
            .make_inst(InstData::VectorConst { bytes }, &[Type::V128], self.source);
        self.before.push(inst);
        self.func.result(inst)
    }

    /// A new constant.
    pub(super) fn number(&mut self, ty: Type, bits: u64) -> Value {
        let inst = self.func.make_inst(InstData::Const { bits }, &[ty], self.source);
        self.before.push(inst);
        self.func.result(inst)
    }
}

/// The largest value that an integer may have, as far as its bits tell.
pub(super) fn known_range(func: &Func, value: Value) -> u64 {
    match !known_zeros(func, value, KNOWN_DEPTH_MAX) {
        0 => 0,
        bits => u64::MAX >> bits.leading_zeros(),
    }
}

/// The bits of an integer that are 0 whenever it is computed; those above its width are.
fn known_zeros(func: &Func, value: Value, depth: u32) -> u64 {
    let ty = func.ty(value);
    let above = if ty.bytes() == 4 { !0 << 32 } else { 0 };
    let Some(inst) = func.def_inst(value) else {
        return above;
    };
    let of = |value: Value| known_zeros(func, value, depth - 1);
    above
        | match func.insts[inst].data {
            InstData::Const { bits } => !bits,
            InstData::Compare { .. } => !1,
            InstData::Load { op, .. } => match op {
                LoadOp::U8 => !0xff,
                LoadOp::U16 => !0xffff,
                LoadOp::U32 => !0xffff_ffff,
                _ => 0,
            },
            // At most the width, which is a power of two.
            InstData::Unary {
                op: UnaryOp::Clz | UnaryOp::Ctz | UnaryOp::Popcnt,
                ..
            } => !(2 * u64::from(ty.bits()) - 1),
            InstData::Unary {
                op: UnaryOp::ExtendU, ..
            } if depth == 0 => !0xffff_ffff,
            _ if depth == 0 => 0,
            InstData::Unary {
                op: UnaryOp::ExtendU | UnaryOp::Wrap,
                arg,
            } => of(arg),
            InstData::Select { args: [x, y], .. } => of(x) & of(y),
            InstData::Binary { op, args: [x, y] } => match (op, func.constant(y)) {
                (BinaryOp::And, _) => of(x) | of(y),
                (BinaryOp::Or | BinaryOp::Xor, _) => of(x) & of(y),
                (BinaryOp::Shl, Some(k)) => {
                    let k = k % u64::from(ty.bits());
                    of(x) << k | !(!0 << k)
                }
                (BinaryOp::ShrU, Some(k)) => {
                    let k = k % u64::from(ty.bits());
                    of(x) >> k | !(!0 >> k)
                }
                _ => 0,
            },
            _ => 0,
        }
}

/// The low bits of a number that a type has.
pub(crate) fn trim(ty: Type, bits: u64) -> u64 {
    if ty.bytes() == 4 { bits & 0xffff_ffff } else { bits }
}

/// An operator of one constant.
pub(crate) fn fold_unary(op: UnaryOp, from: Type, to: Type, x: u64) -> u64 {
    op.eval(from, to, x).expect("rules fold nothing that may trap")
}

/// An operator of two constants.
pub(crate) fn fold_binary(op: BinaryOp, ty: Type, x: u64, y: u64) -> u64 {
    op.eval(ty, x, y).expect("rules fold nothing that may trap")
}

/// A comparison of two constants.
pub(crate) fn fold_compare(op: CompareOp, ty: Type, x: u64, y: u64) -> u64 {
    u64::from(op.eval(ty, x, y))
}

/// An operator on vectors of constants.
pub(super) fn fold_vector(op: VectorOp, operands: &[u128]) -> u128 {
    let of = |i: usize| operands.get(i).copied().unwrap_or(0);
    op.eval(0, [of(0), of(1), of(2)])
}
