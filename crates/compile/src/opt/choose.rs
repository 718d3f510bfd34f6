//! If-conversion: a branch that does nothing but choose between two values becomes a `select`.
//!
//! Requires nothing of the order but that definitions stand before uses, and keeps that. Guarantees
//! linear time. Only one value is chosen, and only an integer: that is a comparison and a move,
//! where more of them, or a float, would be branches again.

use super::Aliases;
use super::straighten::straighten;
use cellwall_base::IdMap;
use cellwall_ir::{Block, BlockCall, Func, FuncBuilder, InstData};

/// Turns branches into choices.
pub(super) fn choose(func: &mut Func) {
    let mut ways_in: IdMap<Block, u32> = IdMap::filled(0, func.blocks.len());
    for &block in &func.order {
        func.for_each_target(func.terminator(block), |to| ways_in[to.block] += 1);
    }
    let mut changed = false;
    for at in 0..func.order.len() {
        changed |= convert(func, &ways_in, func.order[at]);
    }
    if changed {
        let mut aliases = Aliases::default();
        straighten(func, &mut aliases);
        aliases.rewrite(func);
    }
}

/// Where an edge leads in the end, if what it enters first is a block of its own that only jumps.
fn end_of(func: &Func, ways_in: &IdMap<Block, u32>, to: BlockCall) -> BlockCall {
    let data = &func.blocks[to.block];
    match (func.insts[func.terminator(to.block)].data, &data.insts[..]) {
        (InstData::Jump { to: next }, [_]) if ways_in[to.block] == 1 && data.params.is_empty() => next,
        _ => to,
    }
}

fn convert(func: &mut Func, ways_in: &IdMap<Block, u32>, block: Block) -> bool {
    let last = func.terminator(block);
    let InstData::Branch { cond, to } = func.insts[last].data else {
        return false;
    };
    let [yes, no] = to.map(|to| end_of(func, ways_in, to));
    if yes.block != no.block || func.list(yes.args).len() != func.list(no.args).len() {
        return false;
    }
    let (if_yes, mut args) = (func.list(yes.args).to_vec(), func.list(no.args).to_vec());
    let differ: Vec<usize> = (0..args.len()).filter(|&at| if_yes[at] != args[at]).collect();
    match differ[..] {
        [] => {}
        [at] if func.ty(args[at]).is_int() => {
            let source = func.insts[last].source;
            func.blocks[block].insts.pop();
            let ty = func.ty(args[at]);
            let choice = InstData::Select {
                cond,
                args: [if_yes[at], args[at]],
            };
            args[at] = FuncBuilder { func, block, source }.value(choice, ty);
            func.blocks[block].insts.push(last);
        }
        _ => return false,
    }
    let args = func.make_list(&args);
    let to = BlockCall {
        block: yes.block,
        args,
    };
    func.insts[last].data = InstData::Jump { to };
    true
}
