//! The order in which blocks are allocated, and until where a value lives in it.
//!
//! Every value is defined before it is used in this order (reverse postorder). A value that is
//! defined before a loop and used in it lives until the loop ends: a loop, here, is what lies
//! between the ends of a branch backwards. If a value lives at a point, that point lies between its
//! definition and the end that [`Order::end_of_life`] gives: a way from there to a use either goes
//! forward only, and then ends at the latest where the value does; or it goes backwards, to a block
//! that the definition dominates, so behind the definition, and then all of that loop was included.
//! This needs no structure of the branches. All of it is linear, but for a logarithm of the depth of
//! loops for each value.

use cellwall_base::EntityId;
use cellwall_isa::Virt;
use cellwall_isa::x64::{Block, MFunc};

/// No place in the order.
const NOWHERE: u32 = u32::MAX;

/// Blocks in the order of allocation, and the loops among them.
#[derive(Default)]
pub(super) struct Order {
    /// The blocks.
    pub(super) blocks: Vec<Block>,
    /// The place of each block.
    pub(super) places: Vec<u32>,
    /// The innermost loop around each place, as an index into `loops`.
    around: Vec<u32>,
    loops: Vec<Loop>,
}

/// The places that branches backwards to a block enclose.
#[derive(Clone, Copy)]
struct Loop {
    /// The place of the block.
    head: u32,
    /// The last place.
    last: u32,
    /// The loop around it.
    outer: u32,
    /// How many are around it.
    depth: u32,
    /// One further out, so that a few steps lead anywhere.
    far: u32,
}

impl Order {
    /// The order of a function.
    pub(super) fn of(func: &MFunc<Virt>) -> Self {
        let mut order = Self::default();
        order.number(func);
        order.find_loops(func);
        order
    }

    /// Reverse postorder; what cannot be reached comes last.
    fn number(&mut self, func: &MFunc<Virt>) {
        let count = func.blocks.len();
        self.places = vec![NOWHERE; count];
        let mut seen = vec![false; count];
        // A block and how many of its edges were taken. What the last edge leads to comes first in
        // the order: mostly, what follows in the layout.
        let mut stack: Vec<(Block, usize)> = Vec::new();
        let mut finished: Vec<Block> = Vec::with_capacity(count);
        for start in func.blocks.ids() {
            if std::mem::replace(&mut seen[start.index()], true) {
                continue;
            }
            let from = finished.len();
            stack.push((start, 0));
            while let Some((block, taken)) = stack.pop() {
                let edges = func.edges_of(block);
                if taken == edges.len() {
                    finished.push(block);
                    continue;
                }
                stack.push((block, taken + 1));
                let to = edges[taken].to;
                if !std::mem::replace(&mut seen[to.index()], true) {
                    stack.push((to, 0));
                }
            }
            self.blocks.extend(finished.drain(from..).rev());
        }
        for (place, block) in self.blocks.iter().enumerate() {
            self.places[block.index()] = place as u32;
        }
    }

    fn find_loops(&mut self, func: &MFunc<Virt>) {
        let count = self.blocks.len();
        // The last place from which a branch comes back to each place.
        let mut last = vec![NOWHERE; count];
        for (place, &block) in self.blocks.iter().enumerate() {
            for edge in func.edges_of(block) {
                let to = self.places[edge.to.index()] as usize;
                if to <= place {
                    last[to] = place as u32;
                }
            }
        }
        // From the innermost outwards: a loop that begins in another one is enclosed by it.
        let mut open: Vec<u32> = Vec::new();
        for head in (0..count).rev().filter(|&head| last[head] != NOWHERE) {
            let index = self.loops.len() as u32;
            let mut end = last[head];
            while let Some(&inner) = open.last() {
                if self.loops[inner as usize].head > end {
                    break;
                }
                end = end.max(self.loops[inner as usize].last);
                self.loops[inner as usize].outer = index;
                open.pop();
            }
            open.push(index);
            self.loops.push(Loop {
                head: head as u32,
                last: end,
                outer: NOWHERE,
                depth: 0,
                far: index,
            });
        }
        self.link();
    }

    /// Fills in what leads outwards, from the outermost inwards, and what is around each place.
    fn link(&mut self) {
        self.around = vec![NOWHERE; self.blocks.len()];
        let mut next = 0;
        let mut current = NOWHERE;
        // Outer loops have later indexes and earlier heads.
        for index in (0..self.loops.len()).rev() {
            let Loop { head, outer, .. } = self.loops[index];
            if outer != NOWHERE {
                let out = self.loops[outer as usize];
                let far = self.loops[out.far as usize];
                let even = out.depth - far.depth == far.depth - self.loops[far.far as usize].depth;
                self.loops[index].depth = out.depth + 1;
                self.loops[index].far = if even { far.far } else { outer };
            }
            self.fill_around(&mut next, head, &mut current);
            current = index as u32;
        }
        let end = self.blocks.len() as u32;
        self.fill_around(&mut next, end, &mut current);
    }

    /// Says what is around the places before `until`, leaving loops that end.
    fn fill_around(&mut self, next: &mut u32, until: u32, current: &mut u32) {
        while *next < until {
            while *current != NOWHERE && self.loops[*current as usize].last < *next {
                *current = self.loops[*current as usize].outer;
            }
            self.around[*next as usize] = *current;
            *next += 1;
        }
        while *current != NOWHERE && self.loops[*current as usize].last < until {
            *current = self.loops[*current as usize].outer;
        }
    }

    /// The last place where a value lives that is defined at one place and mentioned at another one
    /// last: the end of the outermost loop around the latter that does not begin at or before the
    /// definition.
    pub(super) fn end_of_life(&self, defined: u32, mentioned: u32) -> u32 {
        let mut at = self.around[mentioned as usize];
        if at == NOWHERE || self.loops[at as usize].head <= defined {
            return mentioned;
        }
        // Ends: each step leads outwards.
        loop {
            let Loop { last, outer, far, .. } = self.loops[at as usize];
            if far != at && self.loops[far as usize].head > defined {
                at = far;
            } else if outer != NOWHERE && self.loops[outer as usize].head > defined {
                at = outer;
            } else {
                return last;
            }
        }
    }
}
