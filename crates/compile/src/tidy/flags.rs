//! Tests for zero of what an operator just computed.
//!
//! Requires and guarantees what `tidy` says. The operators of [`sets_flags`] leave in the flags
//! whether their result is zero and its sign, as a test of it does; moves change no flags. Only the
//! branch at the end of a block reads them.

use super::copy_of;
use cellwall_isa::Phys;
use cellwall_isa::x64::{Cond, Inst, MFunc, Rm, Row};

/// How many moves may lie between operator, test and branch.
const MOVES_MAX: usize = 16;

/// Takes out the tests.
pub(super) fn flags(func: &mut MFunc<Phys>) {
    let found: Vec<u32> = func
        .blocks
        .ids()
        .filter_map(|block| {
            let at = superfluous_test(func.insts_of(block))?;
            Some(func.blocks[block].insts.start + at as u32)
        })
        .collect();
    if found.is_empty() {
        return;
    }
    let mut insts = Vec::with_capacity(func.insts.len());
    let mut ranges = Vec::with_capacity(func.blocks.len());
    let mut found = found.into_iter().peekable();
    for block in func.blocks.ids() {
        let start = insts.len() as u32;
        for (at, inst) in func.blocks[block].insts.clone().zip(func.insts_of(block)) {
            if found.next_if_eq(&at).is_none() {
                insts.push(*inst);
            }
        }
        ranges.push(start..insts.len() as u32);
    }
    func.insts = insts;
    for ((_, data), range) in func.blocks.iter_mut().zip(ranges) {
        data.insts = range;
    }
}

/// The position of a test before the branch at the end whose flags are there without it.
fn superfluous_test(insts: &[Inst]) -> Option<usize> {
    let (branch, body) = insts.split_last()?;
    if branch.row != Row::Branch || !matches!(branch.cond, Cond::E | Cond::Ne | Cond::S | Cond::Ns) {
        return None;
    }
    let last_but_moves = |body: &[Inst]| {
        let after = body.len().saturating_sub(MOVES_MAX);
        let moves = |inst: &&Inst| copy_of(inst).is_some();
        let moves = body[after..].iter().rev().take_while(moves).count();
        body.len().checked_sub(moves + 1)
    };
    let at = last_but_moves(body)?;
    let test = &body[at];
    if test.row != Row::Test || test.rm != Rm::Reg || test.src != test.base {
        return None;
    }
    let from = last_but_moves(&body[..at])?;
    let inst = &body[from];
    // A move in between may have put something else into the register.
    let same = body[from + 1..at].iter().all(|between| between.dst != test.src);
    (sets_flags(inst.row) && inst.dst == test.src && inst.width == test.width && same).then_some(at)
}

/// Whether the flags say of the result what a test of it says about zero and sign.
fn sets_flags(row: Row) -> bool {
    use Row::{Add, AddImm, And, AndImm, Or, OrImm, Sub, SubImm, Xor, XorImm};
    matches!(
        row,
        Add | AddImm | And | AndImm | Or | OrImm | Sub | SubImm | Xor | XorImm
    )
}
