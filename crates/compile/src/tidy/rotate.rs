//! The test of a loop at its end.
//!
//! Where the end of a loop jumps back to a short head that only decides whether to go on, the head
//! is repeated in place of the jump: each iteration then has one jump, not two. What it tested
//! before stays as the test before the first iteration. After allocation nothing has to be renamed:
//! both copies find and leave everything in the same registers.
//!
//! Requires allocated registers, and frames made where they are needed. Guarantees the same instructions on each path but
//! for that jump, and at most [`HEAD_MAX`] instructions more for each block.

use cellwall_base::EntityId;
use cellwall_isa::Phys;
use cellwall_isa::x64::{Block, Edge, Inst, MFunc, Row};

/// Instructions of a head that is repeated, its branch included.
const HEAD_MAX: usize = 8;

/// Rotates loops.
pub(crate) fn rotate(func: &mut MFunc<Phys>) {
    let entered = entered(func);
    let head_of = |func: &MFunc<Phys>, block: Block| head_of(func, &entered, block);
    let is_rotated = |block: Block| head_of(func, block).is_some();
    if !func.blocks.ids().any(is_rotated) {
        return;
    }
    let mut insts: Vec<Inst> = Vec::with_capacity(func.insts.len() + HEAD_MAX);
    let mut ranges = Vec::with_capacity(func.blocks.len());
    for block in func.blocks.ids() {
        let start = insts.len() as u32;
        insts.extend_from_slice(func.insts_of(block));
        if let Some(head) = head_of(func, block) {
            insts.pop();
            insts.extend_from_slice(func.insts_of(head));
        }
        ranges.push(start..insts.len() as u32);
    }
    for block in func.blocks.ids() {
        if let Some(head) = head_of(func, block) {
            let start = func.edges.len() as u32;
            let to = [0, 1].map(|at| func.edges_of(head)[at].to);
            func.edges.extend(to.map(|to| Edge { to, args: 0..0 }));
            func.blocks[block].edges = start..start + 2;
        }
    }
    func.insts = insts;
    for ((_, data), range) in func.blocks.iter_mut().zip(ranges) {
        data.insts = range;
    }
}

/// Whether a block before it leads to each block. What only later blocks jump to, as landing pads do, is
/// no head of a loop: repeated in all of them it would be reached from nowhere.
fn entered(func: &MFunc<Phys>) -> Vec<bool> {
    let mut entered = vec![false; func.blocks.len()];
    for block in func.blocks.ids() {
        for edge in func.edges_of(block).iter().filter(|edge| edge.to > block) {
            entered[edge.to.index()] = true;
        }
    }
    entered
}

/// The head of a loop to which a block jumps back, if it is one to be repeated there: itself no
/// block that is changed, and not more than straight code and a branch out of the loop.
fn head_of(func: &MFunc<Phys>, entered: &[bool], block: Block) -> Option<Block> {
    let last = func.insts_of(block).last()?;
    let [edge] = func.edges_of(block) else { return None };
    let insts = func.insts_of(edge.to);
    let is_back = edge.to.index() < block.index();
    if last.row != Row::Jump || !is_back || insts.len() > HEAD_MAX || !entered[edge.to.index()] {
        return None;
    }
    let (end, rest) = insts.split_last()?;
    // A jump table has any number of edges, and as many blocks may jump back to it.
    if end.row != Row::Branch {
        return None;
    }
    let straight = rest
        .iter()
        .all(|inst| !matches!(inst.row, Row::Call | Row::Params));
    // One of the ways leaves the loop: it leads past the block that jumps back.
    let leaves = |edge: &Edge| edge.to.index() > block.index();
    let exits = func.edges_of(edge.to).iter().any(leaves);
    (straight && exits).then_some(edge.to)
}
