//! Natural loops.
//!
//! Requires the dominators of the function. Guarantees near-linear time; a circle with several ways
//! in, which WebAssembly does not have, is no loop. A value that is computed and held.

use cellwall_base::IdMap;
use cellwall_ir::{Block, Dominators, Func};

/// A loop by its number; those inside come before those around them.
pub(super) type LoopIdx = usize;

/// A loop.
#[derive(Clone, Copy, Debug)]
pub(super) struct Loop {
    /// The block by which it is entered; it dominates the others.
    pub(super) head: Block,
    /// The next loop around it.
    pub(super) parent: Option<LoopIdx>,
}

/// The loops of a function.
pub(super) struct Loops {
    /// The innermost loop of each block.
    inner: IdMap<Block, Option<u32>>,
    loops: Vec<Loop>,
}

impl Loops {
    /// Finds the loops.
    pub(super) fn of(func: &Func, dominators: &Dominators) -> Self {
        let mut found = Self {
            inner: IdMap::filled(None, func.blocks.len()),
            loops: Vec::new(),
        };
        let mut work = Vec::new();
        // For each loop one around it, itself if it is an outermost one so far.
        let mut around = Vec::new();
        // A head comes before the heads inside its loop, so from the end the inner loops are first.
        for &head in dominators.order().iter().rev() {
            let sources = dominators.sources(head).iter();
            work.extend(sources.filter(|&&from| dominators.dominates(head, from)));
            if !work.is_empty() {
                found.add(dominators, head, &mut work, &mut around);
            }
        }
        found
    }

    /// Adds the loop of a head; `work` has the sources of the edges back to it.
    fn add(
        &mut self,
        dominators: &Dominators,
        head: Block,
        work: &mut Vec<Block>,
        around: &mut Vec<LoopIdx>,
    ) {
        let index = self.loops.len();
        self.loops.push(Loop { head, parent: None });
        around.push(index);
        self.inner[head] = Some(index as u32);
        while let Some(block) = work.pop() {
            let Some(inner) = self.inner[block] else {
                self.inner[block] = Some(index as u32);
                work.extend_from_slice(dominators.sources(block));
                continue;
            };
            let outer = outermost(around, inner as usize);
            if outer != index {
                self.loops[outer].parent = Some(index);
                around[outer] = index;
                work.extend_from_slice(dominators.sources(self.loops[outer].head));
            }
        }
    }

    /// The innermost loop of a block.
    pub(super) fn of_block(&self, block: Block) -> Option<LoopIdx> {
        self.inner[block].map(|index| index as usize)
    }

    /// All loops, inner ones first.
    pub(super) fn all(&self) -> &[Loop] {
        &self.loops
    }
}

/// The outermost loop around a loop so far; shortens the way there.
fn outermost(around: &mut [LoopIdx], mut at: LoopIdx) -> LoopIdx {
    while around[at] != at {
        around[at] = around[around[at]];
        at = around[at];
    }
    at
}
