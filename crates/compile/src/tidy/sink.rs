//! Copies that a later call needs move down to the paths that lead to it.
//!
//! Requires and guarantees what `tidy` says. What lives across a call is put into a callee-saved
//! register or a slot where it is defined, often at the start of the function. On the paths that do
//! not call, the copy is not read; there it would be the only thing that needs a frame.

use super::{CLOBBERED, Copy, Effect, Place, Preds, REGS, SAVED, Set, copy_of};
use cellwall_base::EntityId;
use cellwall_isa::Phys;
use cellwall_isa::x64::{Block, Edge, Inst, MFunc, Rm};

/// How many copies may move together; each may be repeated on every path.
const COPIES_MAX: usize = 12;

/// Moves copies down; `live` is what is read at the start of each block or later.
pub(super) fn sink(func: &mut MFunc<Phys>, preds: &Preds, live: Vec<Set>) {
    if sinkable(func, preds, Block::new(0), &[]).is_none() {
        return;
    }
    let mut arriving: Vec<Vec<Inst>> = vec![Vec::new(); func.blocks.len()];
    // Whether a block is reached only without a frame.
    let mut bare = vec![false; func.blocks.len()];
    bare[0] = true;
    let mut insts = Vec::with_capacity(func.insts.len() + COPIES_MAX);
    let mut ranges = Vec::with_capacity(func.blocks.len());
    for block in func.blocks.ids() {
        let start = insts.len() as u32;
        let arrived = std::mem::take(&mut arriving[block.index()]);
        let found = match bare[block.index()] {
            true => sinkable(func, preds, block, &arrived),
            false => None,
        };
        let leaving = found.clone().unwrap_or_default();
        for (at, inst) in arrived.iter().chain(func.insts_of(block)).enumerate() {
            if leaving.contains(&at) {
                let Some(Copy { to: Some(to), .. }) = copy_of(inst) else {
                    unreachable!("only copies to places that are looked at leave");
                };
                for edge in func.edges_of(block) {
                    if live[edge.to.index()] & to.bit() != 0 {
                        arriving[edge.to.index()].push(*inst);
                    }
                }
            } else {
                insts.push(*inst);
            }
        }
        if found.is_some() {
            for edge in func.edges_of(block) {
                bare[edge.to.index()] = edge.to > block && preds.of_block(edge.to).len() == 1;
            }
        }
        ranges.push(start..insts.len() as u32);
    }
    func.insts = insts;
    for ((_, data), range) in func.blocks.iter_mut().zip(ranges) {
        data.insts = range;
    }
}

/// Which instructions of a block, after those that `arrived`, can move to its successors, if the
/// block needs no frame without them.
fn sinkable(func: &MFunc<Phys>, preds: &Preds, block: Block, arrived: &[Inst]) -> Option<Vec<usize>> {
    let own = func.insts_of(block);
    // Places that are read or written later in the block.
    let (mut read, mut written): (Set, Set) = (0, 0);
    let mut found = Vec::new();
    let mut at = arrived.len() + own.len();
    for inst in arrived.iter().chain(own).rev() {
        at -= 1;
        let copy = copy_of(inst);
        if let Some(Copy {
            to: Some(to),
            from: Some(from),
        }) = copy
            && (to.is_slot() || !is_bare(to))
            && !from.is_slot()
            && is_bare(from)
            && written & from.bit() == 0
            && (read | written) & to.bit() == 0
        {
            found.push(at);
            continue;
        }
        let effect = match copy {
            Some(Copy {
                to: Some(to),
                from: Some(from),
            }) => Effect {
                reads: from.bit(),
                writes: to.bit(),
            },
            Some(_) => return None,
            None => Effect::of(func, *inst),
        };
        let needs_frame = inst.row.is_call() || inst.rm == Rm::Slot;
        if needs_frame || (effect.reads | effect.writes) & SAVED != 0 {
            return None;
        }
        read |= effect.reads;
        written |= effect.writes;
    }
    let ahead = |edge: &Edge| edge.to > block && preds.of_block(edge.to).len() == 1;
    let all_ahead = func.edges_of(block).iter().all(ahead);
    if found.len() > COPIES_MAX || !found.is_empty() && !all_ahead {
        return None;
    }
    Some(found)
}

/// Whether a register may be used without a frame.
fn is_bare(place: Place) -> bool {
    place.0 < REGS && CLOBBERED & place.bit() != 0
}
