//! Moves on one way out of a block rise above its branch.
//!
//! Requires and guarantees what `tidy` says. The moves that an edge needs are a block of their own,
//! which ends with a jump: at the end of a loop, each iteration has two jumps. If the other way does
//! not read what they write, they may as well be made before the branch; the block then only jumps,
//! and encoding skips it.

use super::{Copy, Effect, Place, Preds, SAVED, Set, copy_of};
use cellwall_base::EntityId;
use cellwall_isa::Phys;
use cellwall_isa::x64::{Block, Inst, MFunc, Rm, Row};

/// Moves that rise to the end of a loop.
const MOVES_BACK_MAX: usize = 6;
/// Moves that rise where both ways lead on: the other way makes them in vain.
const MOVES_AHEAD_MAX: usize = 2;

/// Moves copies up; `live` is what is read at the start of each block or later, before and after.
pub(super) fn rise(func: &mut MFunc<Phys>, preds: &Preds, live: &mut [Set]) {
    let from = |block: Block| source(func, preds, live, block);
    let Some(first) = func.blocks.ids().find(|&block| from(block).is_some()) else {
        return;
    };
    // For each block, whose moves it takes, and whether its own are taken. What gives ends with a
    // jump and what takes with a branch, so that none does both.
    let mut takes: Vec<Option<Block>> = vec![None; func.blocks.len()];
    let mut gives = vec![false; func.blocks.len()];
    for block in func.blocks.ids().skip(first.index()) {
        if let Some(to) = from(block)
            && takes[to.index()].is_none()
        {
            takes[to.index()] = Some(block);
            gives[block.index()] = true;
        }
    }
    for block in func.blocks.ids().filter(|block| gives[block.index()]) {
        live[block.index()] = live[func.edges_of(block)[0].to.index()];
    }
    let mut insts: Vec<Inst> = Vec::with_capacity(func.insts.len());
    let mut ranges = Vec::with_capacity(func.blocks.len());
    for block in func.blocks.ids() {
        let start = insts.len() as u32;
        let own = func.insts_of(block);
        let (last, body) = own.split_last().expect("a block has a terminator");
        if !gives[block.index()] {
            insts.extend_from_slice(body);
        }
        if let Some(giver) = takes[block.index()] {
            let moves = moves(func, giver);
            let at = insts.len() - usize::from(rises_past_test(func, body, moves));
            insts.splice(at..at, moves.iter().copied());
        }
        insts.push(*last);
        ranges.push(start..insts.len() as u32);
    }
    func.insts = insts;
    for ((_, data), range) in func.blocks.iter_mut().zip(ranges) {
        data.insts = range;
    }
}

/// The instructions of a block but for its terminator.
fn moves(func: &MFunc<Phys>, block: Block) -> &[Inst] {
    let own = func.insts_of(block);
    &own[..own.len() - 1]
}

/// The block to whose end the moves that a block consists of can rise.
fn source(func: &MFunc<Phys>, preds: &Preds, live: &[Set], block: Block) -> Option<Block> {
    let (last, moves) = func.insts_of(block).split_last()?;
    let &[from] = preds.of_block(block) else {
        return None;
    };
    if last.row != Row::Jump || moves.is_empty() || moves.len() > MOVES_BACK_MAX || block.index() == 0 {
        return None;
    }
    let to = func.edges_of(block)[0].to;
    let next = Block::new(block.index() + 1);
    let back = to <= from;
    // Where the block runs on into the next one, or into the end of the function, which is repeated
    // in its place, it has no jump to be saved.
    let ends = func.insts_of(to).last()?.row.leaves();
    if to == next || !back && (ends || moves.len() > MOVES_AHEAD_MAX) {
        return None;
    }
    let branch = func.insts_of(from).last()?;
    let edges = func.edges_of(from);
    let mut others = edges.iter().filter(|edge| edge.to != block);
    let other = others.next()?.to;
    if branch.row != Row::Branch || edges.len() != 2 || others.next().is_some() {
        return None;
    }
    let mut written: Set = 0;
    for inst in moves {
        let Some(Copy {
            to: Some(to),
            from: Some(from),
        }) = copy_of(inst)
        else {
            return None;
        };
        // Of callee-saved registers, the frame has to know.
        let saved = !back && (to.bit() | from.bit()) & SAVED != 0;
        if inst.rm != Rm::Reg || to.is_slot() || from.is_slot() || saved {
            return None;
        }
        written |= to.bit();
    }
    (live[other.index()] & written == 0).then_some(from)
}

/// Whether moves may be made before the test at the end of `body` as well, so that test and branch
/// stay together.
fn rises_past_test(func: &MFunc<Phys>, body: &[Inst], moves: &[Inst]) -> bool {
    let Some(test) = body.last() else { return false };
    let tests = matches!(
        test.row,
        Row::Cmp | Row::CmpImm | Row::Test | Row::TestImm | Row::FCmp
    );
    let effect = Effect::of(func, *test);
    let written = moves.iter().filter_map(copy_of).filter_map(|copy| copy.to);
    let written = written.fold(0, |set, place: Place| set | place.bit());
    tests && effect.writes == 0 && effect.reads & written == 0
}
