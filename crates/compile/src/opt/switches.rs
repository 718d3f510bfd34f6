//! Switches that branches or a test of a bit decide as well as a jump table would.
//!
//! Entries that follow each other and go to the same place are a run. A switch of few runs becomes a
//! tree of comparisons: an indirect jump costs a load and a prediction that all its users share,
//! where each comparison is predicted alone and fused with its branch. A switch of two targets
//! whose runs are many becomes a test of a bit in a mask.
//!
//! Requires nothing of the order but that definitions stand before uses, and keeps that: new blocks
//! stand behind the one whose switch they decide. Guarantees linear time, and at most
//! [`RUNS_MAX`] new blocks for a switch.

use super::Aliases;
use super::site::known_range;
use super::straighten::straighten;
use cellwall_ir::{BinaryOp, Block, BlockCall, CompareOp, Func, FuncBuilder, InstData, Type, UnaryOp, Value};

/// Runs up to which a switch becomes a tree.
const RUNS_MAX: usize = 4;
/// Entries, the default not counted, that a mask has bits for.
const BITS_MAX: usize = 64;

/// Turns switches into branches where that is better.
pub(super) fn switches(func: &mut Func) {
    let old = std::mem::take(&mut func.order);
    let mut order = Vec::with_capacity(old.len());
    let mut changed = false;
    for block in old {
        order.push(block);
        let inst = func.terminator(block);
        if let InstData::Switch { index, targets } = func.insts[inst].data {
            changed |= switch(func, block, index, targets, &mut order);
        }
    }
    func.order = order;
    if changed {
        // What no index chooses is out of reach.
        let mut aliases = Aliases::default();
        straighten(func, &mut aliases);
        aliases.rewrite(func);
    }
}

/// Entries that go to the same place: the first of them, and the place.
type Run = (u32, BlockCall);

/// Whether the switch is none any more.
fn switch(func: &mut Func, block: Block, index: Value, targets: u32, order: &mut Vec<Block>) -> bool {
    let entries = std::mem::take(&mut func.switches[targets as usize]);
    let runs = runs(func, index, &entries);
    let mask = match runs.len() {
        0..=RUNS_MAX => None,
        _ => mask(func, &entries),
    };
    let last = *func.blocks[block].insts.last().expect("it has a terminator");
    let source = func.insts[last].source;
    if runs.len() <= RUNS_MAX {
        func.blocks[block].insts.pop();
        tree(func, block, source, index, &runs, order);
    } else if let Some((bits, to)) = mask {
        func.blocks[block].insts.pop();
        test(func, block, source, index, (bits, entries.len() - 1), to, order);
    } else {
        func.switches[targets as usize] = entries;
        return false;
    }
    true
}

/// The runs of entries that an index may choose. Stops when there are too many for a tree.
fn runs(func: &Func, index: Value, entries: &[BlockCall]) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::with_capacity(RUNS_MAX + 1);
    let max = known_range(func, index);
    for (at, &to) in (0u32..).zip(entries) {
        if runs.len() > RUNS_MAX || u64::from(at) > max {
            break;
        }
        if runs.last().is_none_or(|&(_, last)| !same(func, last, to)) {
            runs.push((at, to));
        }
    }
    runs
}

fn same(func: &Func, x: BlockCall, y: BlockCall) -> bool {
    x.block == y.block && func.list(x.args) == func.list(y.args)
}

/// If the entries go to two places: the bits of those that do not go where the default goes, and
/// the two places, that of the bits first.
fn mask(func: &Func, entries: &[BlockCall]) -> Option<(u64, [BlockCall; 2])> {
    let (&default, listed) = entries.split_last()?;
    if listed.len() > BITS_MAX {
        return None;
    }
    let (mut bits, mut other) = (0, None);
    for (at, &to) in listed.iter().enumerate() {
        if same(func, to, default) {
            continue;
        }
        if !same(func, *other.get_or_insert(to), to) {
            return None;
        }
        bits |= 1 << at;
    }
    Some((bits, [other?, default]))
}

/// Ends a block by branches to the runs.
fn tree(func: &mut Func, block: Block, source: u32, index: Value, runs: &[Run], order: &mut Vec<Block>) {
    let (cond, halves) = match *runs {
        [] => unreachable!("a switch has a default, and each index some entry"),
        [(_, to)] => {
            let to = edge(func, to);
            FuncBuilder { func, block, source }.push(InstData::Jump { to }, &[]);
            return;
        }
        // One entry between others that go to the same place.
        [(_, around), (at, to), (next, again)] if next == at + 1 && same(func, around, again) => {
            let mut builder = FuncBuilder { func, block, source };
            let at = builder.constant(Type::I32, at.into());
            let cond = builder.compare(CompareOp::Eq, index, at);
            (cond, [[(0, to)].to_vec(), [(0, around)].to_vec()])
        }
        // The index itself says whether it is 0.
        [first, (1, _), ..] => (index, [runs[1..].to_vec(), vec![first]]),
        _ => {
            let (low, high) = runs.split_at(runs.len() / 2);
            let mut builder = FuncBuilder { func, block, source };
            let at = builder.constant(Type::I32, high[0].0.into());
            let cond = builder.compare(CompareOp::LtU, index, at);
            (cond, [low.to_vec(), high.to_vec()])
        }
    };
    // What a half needs more than a branch for gets a block.
    let to = halves.map(|half| match half[..] {
        [(_, to)] => edge(func, to),
        _ => {
            let block = func.make_block();
            order.push(block);
            tree(func, block, source, index, &half, order);
            let args = func.make_list(&[]);
            BlockCall { block, args }
        }
    });
    FuncBuilder { func, block, source }.push(InstData::Branch { cond, to }, &[]);
}

/// Ends a block by a test whether the bit of the index is set; without a bit it is not.
fn test(
    func: &mut Func,
    block: Block,
    source: u32,
    index: Value,
    (bits, count): (u64, usize),
    to: [BlockCall; 2],
    order: &mut Vec<Block>,
) {
    let inside = func.make_block();
    order.push(inside);
    let outside = edge(func, to[1]);
    let to = to.map(|to| edge(func, to));
    let mut builder = FuncBuilder { func, block, source };
    let end = builder.constant(Type::I32, count as u64);
    let cond = builder.compare(CompareOp::LtU, index, end);
    let args = builder.func.make_list(&[]);
    let listed = BlockCall { block: inside, args };
    let to_either = [listed, outside];
    builder.push(InstData::Branch { cond, to: to_either }, &[]);
    builder.block = inside;
    let ty = if count <= 32 { Type::I32 } else { Type::I64 };
    let mask = builder.constant(ty, bits);
    let by = match ty {
        Type::I32 => index,
        _ => builder.unary(UnaryOp::ExtendU, ty, index),
    };
    let shifted = builder.binary(BinaryOp::ShrU, mask, by);
    let one = builder.constant(ty, 1);
    let bit = builder.binary(BinaryOp::And, shifted, one);
    let cond = match ty {
        Type::I32 => bit,
        _ => builder.unary(UnaryOp::Wrap, Type::I32, bit),
    };
    builder.push(InstData::Branch { cond, to }, &[]);
}

/// The same target with arguments of its own.
fn edge(func: &mut Func, to: BlockCall) -> BlockCall {
    let args = func.list(to.args).to_vec();
    let args = func.make_list(&args);
    BlockCall { args, ..to }
}
