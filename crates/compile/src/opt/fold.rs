//! Constant folding and the rules, for one instruction.
//!
//! Requires that its operands are resolved and were folded before. An instruction that gets a new
//! meaning keeps its place and result; one that is replaced by an operand is left to the caller. The rules stand in the
//! rule files beside this file.

use super::site::{self, Facts};
use super::{Aliases, divide};
use cellwall_ir::{BlockCall, CompareOp, Func, Inst, InstData, Type, Value};

/// Whether a branch lost a target, so that blocks may be out of reach.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Branches {
    /// All have the targets they had.
    Kept,
    /// Some have not.
    Folded,
}

/// Folds an instruction as often as a rule fits.
pub(super) fn fold_inst(
    func: &mut Func,
    aliases: &mut Aliases,
    facts: &mut Facts,
    before: &mut Vec<Inst>,
    inst: Inst,
) {
    if let Some(value) = site::apply(func, facts, before, inst) {
        let result = func.result(inst);
        aliases.replace(result, value);
    } else if let Some(data) = divide::expand(func, before, inst) {
        func.insts[inst].data = data;
    }
}

/// A terminator with a simpler condition, or one that needs none. Sets the former in place; gives
/// the latter.
pub(super) fn fold_terminator(func: &mut Func, inst: Inst) -> Option<InstData> {
    match func.insts[inst].data {
        InstData::Branch { mut cond, mut to } => {
            while let Some((inner, op)) = test_of_zero(func, cond) {
                cond = inner;
                if op == CompareOp::Eq {
                    to.swap(0, 1);
                }
            }
            if let Some(bits) = func.constant(cond) {
                let to = to[usize::from(bits == 0)];
                return Some(InstData::Jump { to });
            }
            func.insts[inst].data = InstData::Branch { cond, to };
            None
        }
        InstData::Switch { index, targets } => {
            let bits = func.constant(index)?;
            let entries = &func.switches[targets as usize];
            let to: BlockCall = entries[(bits as usize).min(entries.len() - 1)];
            Some(InstData::Jump { to })
        }
        _ => None,
    }
}

/// If `cond` says whether an I32 is, or is not, 0: that I32, with `Eq` or `Ne`.
pub(super) fn test_of_zero(func: &Func, cond: Value) -> Option<(Value, CompareOp)> {
    match func.insts[func.def_inst(cond)?].data {
        InstData::Compare {
            op: op @ (CompareOp::Eq | CompareOp::Ne),
            args: [x, y],
        } if func.ty(x) == Type::I32 && func.constant(y) == Some(0) => Some((x, op)),
        _ => None,
    }
}
