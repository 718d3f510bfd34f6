//! Products of 128 bits: the high half, and both halves of one product by one instruction.
//!
//! A low and a high half of the same operands in one block become one multiplication where the
//! earlier of them stands. Requires that a block is lowered from its end; so the later half only
//! says that it is wanted, and the earlier one emits both.

use super::Lower;
use cellwall_ir as ir;
use cellwall_ir::{BinaryOp, InstData, Type, Value};
use cellwall_isa::Class;
use cellwall_isa::x64::{Inst, Row, Width};
use std::collections::{BTreeMap, BTreeSet};

/// The halves of products that can be computed together.
#[derive(Default)]
pub(super) struct Halves {
    /// The later half for the earlier one.
    later: BTreeMap<ir::Inst, ir::Inst>,
    /// The earlier half for the later one.
    earlier: BTreeMap<ir::Inst, ir::Inst>,
    /// Earlier halves whose later one is wanted.
    wanted: BTreeSet<ir::Inst>,
}

impl Halves {
    /// Finds the pairs of a function; `blocks` are those with a high half.
    pub(super) fn fill(&mut self, func: &ir::Func, blocks: &[ir::Block]) {
        self.later.clear();
        self.earlier.clear();
        self.wanted.clear();
        for &block in blocks {
            let mut open: BTreeMap<(Value, Value), ir::Inst> = BTreeMap::new();
            for &inst in &func.blocks[block].insts {
                let InstData::Binary { op, args: [x, y] } = func.insts[inst].data else {
                    continue;
                };
                if !(is_high(op) || op == BinaryOp::Mul && func.ty(x) == Type::I64) {
                    continue;
                }
                let key = (x.min(y), x.max(y));
                match open.get(&key) {
                    Some(&first) if is_high_inst(func, first) != is_high(op) => {
                        open.remove(&key);
                        self.later.insert(first, inst);
                        self.earlier.insert(inst, first);
                    }
                    _ => {
                        open.insert(key, inst);
                    }
                }
            }
        }
    }

    /// Whether the other half needs this one to be computed.
    pub(super) fn wants(&self, inst: ir::Inst) -> bool {
        self.wanted.contains(&inst)
    }
}

fn is_high_inst(func: &ir::Func, inst: ir::Inst) -> bool {
    matches!(func.insts[inst].data, InstData::Binary { op, .. } if is_high(op))
}

/// Whether an operator gives a high half.
pub(super) fn is_high(op: BinaryOp) -> bool {
    matches!(op, BinaryOp::MulHighU | BinaryOp::MulHighS)
}

impl Lower<'_> {
    /// A half of a product, if it is a high one or has the other one beside it. Whether it was
    /// lowered.
    pub(super) fn product(&mut self, inst: ir::Inst, op: BinaryOp, [x, y]: [Value; 2]) -> bool {
        let result = self.func.result(inst);
        if let Some(&earlier) = self.state.halves.earlier.get(&inst) {
            // The earlier half computes this one too.
            self.def(result);
            self.state.halves.wanted.insert(earlier);
            return true;
        }
        let later = self.state.halves.later.get(&inst).copied();
        let other = later.filter(|_| self.state.halves.wants(inst));
        let (low, high) = if is_high(op) {
            (other, Some(inst))
        } else {
            (Some(inst), other)
        };
        // A low half alone is a product as any other.
        let Some(high) = high else { return false };
        let row = match self.func.insts[high].data {
            InstData::Binary {
                op: BinaryOp::MulHighS,
                ..
            } => Row::ImulWide,
            _ => Row::Mul,
        };
        let rm = self.operand(y);
        let src = self.reg_for(Type::I64, x);
        let low = match low {
            Some(low) => self.def(self.func.result(low)),
            None => self.temp(Class::Int),
        };
        let high = self.def(self.func.result(high));
        self.emit(rm.on(Inst::new(row, Width::W64).src(src).dst(low).dst2(high)));
        true
    }
}
