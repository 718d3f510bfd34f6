//! Sums and differences that take a carry: `adc` and `sbb`.
//!
//! `x + (p < q)` and `x - (p < q)`, unsigned, are one instruction after the comparison. Where the
//! comparison asks whether the sum or difference just before it wrapped around, that one leaves the
//! flags itself, so that 128-bit arithmetic is two instructions (wide arithmetic, and what compilers
//! make of it without).
//!
//! Requires that a block is lowered from its end. A low half moves down to the high one only past
//! instructions that do not use it, over a bounded distance.

use super::operand::Operand;
use super::{Lower, width_of};
use cellwall_base::EntityId;
use cellwall_ir as ir;
use cellwall_ir::{BinaryOp, CompareOp, InstData, UnaryOp, Value};
use cellwall_isa::Reg;
use cellwall_isa::x64::{Inst, Row};
use std::collections::{BTreeMap, BTreeSet};

/// How many instructions a low half may move down.
const DISTANCE_MAX: usize = 16;

/// The low halves whose flags their high halves use.
#[derive(Default)]
pub(super) struct LowHalves {
    /// By the high half.
    by_high: BTreeMap<ir::Inst, ir::Inst>,
    taken: BTreeSet<ir::Inst>,
}

/// A high half: `x` plus or minus the carry of `p < q`.
#[derive(Clone, Copy)]
struct High {
    x: Value,
    /// The comparison, or what extends it to 64 bits.
    carry: Value,
    comparison: Value,
    less: [Value; 2],
}

/// The high half that an instruction is, if it is one; its carry has no other use.
fn high_half(func: &ir::Func, uses: &[u32], inst: ir::Inst) -> Option<High> {
    let InstData::Binary { op, args: [x, y] } = func.insts[inst].data else {
        return None;
    };
    let of = |x: Value, carry: Value| {
        let (comparison, less) = comparison_of(func, uses, carry)?;
        Some(High {
            x,
            carry,
            comparison,
            less,
        })
    };
    match op {
        BinaryOp::Add => of(x, y).or_else(|| of(y, x)),
        BinaryOp::Sub => of(x, y),
        _ => None,
    }
}

/// The comparison "less, unsigned" that is a carry, and its operands in that order.
fn comparison_of(func: &ir::Func, uses: &[u32], carry: Value) -> Option<(Value, [Value; 2])> {
    let data = |value: Value| Some(func.insts[func.def_inst(value)?].data);
    let comparison = match data(carry)? {
        InstData::Unary {
            op: UnaryOp::ExtendU,
            arg,
        } => arg,
        _ => carry,
    };
    let less = match data(comparison)? {
        InstData::Compare {
            op: CompareOp::LtU,
            args,
        } => args,
        InstData::Compare {
            op: CompareOp::GtU,
            args: [q, p],
        } => [p, q],
        _ => return None,
    };
    (uses[carry.index()] == 1 && uses[comparison.index()] == 1).then_some((comparison, less))
}

/// The low half whose own flags are what the comparison asks for: `a + b < a`, or `a < b` beside
/// `a - b`.
fn is_low_half(func: &ir::Func, op: BinaryOp, [p, q]: [Value; 2], candidate: ir::Inst) -> bool {
    match func.insts[candidate].data {
        InstData::Binary { op: low, args } if low == op => match op {
            BinaryOp::Add => func.result(candidate) == p && args.contains(&q),
            _ => args == [p, q],
        },
        _ => false,
    }
}

impl LowHalves {
    pub(super) fn clear(&mut self) {
        self.by_high.clear();
        self.taken.clear();
    }

    /// Finds the low half of the high half at a place in a block, if it can move down to it.
    pub(super) fn find(&mut self, func: &ir::Func, uses: &[u32], insts: &[ir::Inst], at: usize) {
        let InstData::Binary { op, .. } = func.insts[insts[at]].data else {
            return;
        };
        let Some(high) = high_half(func, uses, insts[at]) else {
            return;
        };
        let near = &insts[at.saturating_sub(DISTANCE_MAX)..at];
        let Some(place) = near
            .iter()
            .rposition(|&candidate| is_low_half(func, op, high.less, candidate))
        else {
            return;
        };
        let low = near[place];
        let result = func.result(low);
        let comparison = func.def_inst(high.comparison);
        let movable = near[place + 1..].iter().all(|&between| {
            let mut used = false;
            func.for_each_use(between, |value| used |= value == result);
            !used || Some(between) == comparison
        });
        // What moves may not be the other operand, and moves once.
        if movable && high.x != result && self.taken.insert(low) {
            self.by_high.insert(insts[at], low);
        }
    }
}

impl Lower<'_> {
    /// A sum or difference with a carry; false if it is none.
    pub(super) fn with_carry(&mut self, inst: ir::Inst, op: BinaryOp) -> bool {
        let Some(high) = high_half(self.func, &self.state.uses, inst) else {
            return false;
        };
        let (row, row_imm) = match op {
            BinaryOp::Add => (Row::Adc, Row::AdcImm),
            _ => (Row::Sbb, Row::SbbImm),
        };
        let low = self.state.low_halves.by_high.get(&inst).copied();
        if high.carry != high.comparison {
            self.take(high.carry, &[high.comparison]);
        }
        self.take(high.comparison, if low.is_some() { &[] } else { &high.less });
        let result = self.func.result(inst);
        let width = width_of(self.func.ty(result));
        // What needs registers comes before what makes the flags, since constants change flags.
        let (src, operand) = self.high_operands(op, high.x);
        match low {
            Some(low) => self.low_half(low, op),
            None => self.compare_less(high.less),
        }
        let dst = self.def(result);
        let inst = match operand {
            Some(operand) => operand.on(Inst::new(row, width)),
            None => Inst::new(row_imm, width),
        };
        self.emit(inst.dst(dst).src(src));
        true
    }

    /// `x` as the two operands of the instruction: those of the sum or difference that it is, if it
    /// has no other use, or itself and zero.
    fn high_operands(&mut self, op: BinaryOp, x: Value) -> (Reg, Option<Operand>) {
        let ty = self.func.ty(x);
        if self.is_single(x)
            && let Some([y, z]) = self.binary_of(x, op)
            && let Some(inst) = self.func.def_inst(x)
            && high_half(self.func, &self.state.uses, inst).is_none()
        {
            self.take(x, &[y, z]);
            let operand = self.operand(z);
            return (self.reg_for(ty, y), Some(operand));
        }
        (self.reg_for(ty, x), None)
    }

    /// Computes a low half where its flags are needed.
    fn low_half(&mut self, low: ir::Inst, op: BinaryOp) {
        self.state.sunk[low.index()] = true;
        let InstData::Binary { args: [x, y], .. } = self.func.insts[low].data else {
            unreachable!("`is_low_half` looked")
        };
        let result = self.func.result(low);
        let (row, row_imm) = match op {
            BinaryOp::Add => (Row::Add, Row::AddImm),
            _ => (Row::Sub, Row::SubImm),
        };
        match self.immediate(y) {
            Some(imm) => self.modify_imm(row_imm, result, x, imm),
            None => self.modify(row, result, [x, y], op == BinaryOp::Add),
        }
    }

    /// Sets the carry flag if the first is less than the second, unsigned.
    fn compare_less(&mut self, [p, q]: [Value; 2]) {
        let ty = self.func.ty(p);
        let width = width_of(ty);
        if let Some(imm) = self.immediate(q) {
            let rm = self.reg_for(ty, p);
            return self.emit(Inst::new(Row::CmpImm, width).rm(rm).imm(imm));
        }
        let rm = self.operand(q);
        let src = self.reg_for(ty, p);
        self.emit(rm.on(Inst::new(Row::Cmp, width).src(src)));
    }
}
