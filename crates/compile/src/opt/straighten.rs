//! Removes blocks that control cannot reach, parameters of blocks with one way in, and jumps to
//! such blocks.

use super::Aliases;
use cellwall_base::{BitSet, EntityId, IdMap};
use cellwall_ir::{Block, BlockCall, Func, Inst, InstData, ValueList};

/// Straightens a function. Uses of removed parameters are left to whoever rewrites uses by
/// `aliases` next.
pub(super) fn straighten(func: &mut Func, aliases: &mut Aliases) {
    let ways_in = count_ways_in(func);
    let mut merged = BitSet::new();
    for b in 0..func.order.len() {
        let block = func.order[b];
        if merged.contains(block.index()) || !ways_in.reached.contains(block.index()) {
            continue;
        }
        loop {
            let last = func.terminator(block);
            match func.insts[last].data {
                InstData::Jump { to } if ways_in.count[to.block] == 1 => {
                    bind_params(func, aliases, to);
                    let mut insts = std::mem::take(&mut func.blocks[to.block].insts);
                    func.blocks[block].insts.pop();
                    func.blocks[block].insts.append(&mut insts);
                    merged.insert(to.block.index());
                }
                InstData::Branch { cond, to } => {
                    let to = to.map(|to| bind_if_only(func, aliases, &ways_in, to));
                    func.insts[last].data = InstData::Branch { cond, to };
                    break;
                }
                InstData::Switch { targets, .. } => {
                    bind_switch(func, aliases, &ways_in, last, targets);
                    break;
                }
                _ => break,
            }
        }
    }
    func.order
        .retain(|block| ways_in.reached.contains(block.index()) && !merged.contains(block.index()));
}

struct WaysIn {
    reached: BitSet,
    /// Edges from reached blocks.
    count: IdMap<Block, u32>,
}

fn count_ways_in(func: &Func) -> WaysIn {
    let mut reached = BitSet::new();
    let mut count = IdMap::filled(0, func.blocks.len());
    let mut stack = vec![func.entry()];
    // The entry is entered from outside too.
    count[func.entry()] = 1;
    reached.insert(func.entry().index());
    while let Some(block) = stack.pop() {
        func.for_each_target(func.terminator(block), |to| {
            count[to.block] += 1;
            if reached.insert(to.block.index()) {
                stack.push(to.block);
            }
        });
    }
    WaysIn { reached, count }
}

/// Replaces the parameters of a block, to which `to` is the only edge, by its arguments.
fn bind_params(func: &mut Func, aliases: &mut Aliases, to: BlockCall) {
    let params = std::mem::take(&mut func.blocks[to.block].params);
    for (param, &arg) in params.into_iter().zip(func.list(to.args)) {
        // Value numbering may have seen that the parameter is needless.
        if !aliases.is_replaced(param) {
            let arg = aliases.resolve(arg);
            aliases.replace(param, arg);
        }
    }
}

fn bind_if_only(func: &mut Func, aliases: &mut Aliases, ways_in: &WaysIn, to: BlockCall) -> BlockCall {
    if ways_in.count[to.block] != 1 || to.args.is_empty() {
        return to;
    }
    bind_params(func, aliases, to);
    BlockCall {
        block: to.block,
        args: ValueList::default(),
    }
}

fn bind_switch(func: &mut Func, aliases: &mut Aliases, ways_in: &WaysIn, switch: Inst, targets: u32) {
    debug_assert!(func.insts[switch].data.is_terminator());
    for entry in 0..func.switches[targets as usize].len() {
        let to = func.switches[targets as usize][entry];
        func.switches[targets as usize][entry] = bind_if_only(func, aliases, ways_in, to);
    }
}
