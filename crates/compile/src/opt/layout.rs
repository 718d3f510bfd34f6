//! The order of blocks: what rarely runs comes last, and the blocks of a loop stand together.
//!
//! Requires an order in which definitions stand before their uses and the head of a loop before the
//! rest of it (so it is after translation), and keeps that: whatever a block that moves dominates
//! moves with it. Guarantees near-linear time; changes nothing but the order.
//!
//! Rare is what leads to a trap on every way, and what branch hints say and where exceptions land, with
//! all that these dominate.

use cellwall_base::IdMap;
use cellwall_ir::{Block, Dominators, Func, InstData};

/// No loop, or no position.
const NONE: u32 = u32::MAX;

/// Lays out a function.
pub(super) fn layout(func: &mut Func) {
    let graph = Graph::of(func);
    let cold = graph.cold(func);
    let loops = Loops::of(&graph, &cold);
    let mut order = Vec::with_capacity(func.order.len());
    loops.place(&cold, &mut order);
    order.extend((0..cold.len() as u32).filter(|&at| cold[at as usize]));
    debug_assert_eq!(order.len(), func.order.len(), "each block is placed once");
    func.order = order.into_iter().map(|at| func.order[at as usize]).collect();
}

/// The edges, with blocks as positions in the order.
struct Graph {
    /// For each block, its first predecessor in `preds`; one more at the end.
    first_pred: Vec<u32>,
    preds: Vec<u32>,
    /// How many edges leave each block.
    succs: Vec<u32>,
}

impl Graph {
    fn of(func: &Func) -> Self {
        let blocks = func.order.len();
        let mut position: IdMap<Block, u32> = IdMap::filled(NONE, func.blocks.len());
        for (at, &block) in func.order.iter().enumerate() {
            position[block] = at as u32;
        }
        let mut edges = Vec::with_capacity(2 * blocks);
        let mut succs = vec![0; blocks];
        let mut first_pred = vec![0u32; blocks + 1];
        for (at, &block) in func.order.iter().enumerate() {
            func.for_each_target(func.terminator(block), |to| {
                let to = position[to.block];
                edges.push((at as u32, to));
                succs[at] += 1;
                first_pred[to as usize] += 1;
            });
        }
        let mut end = 0;
        for first in &mut first_pred {
            end += *first;
            *first = end;
        }
        let mut preds = vec![0; edges.len()];
        for &(from, to) in edges.iter().rev() {
            let first = &mut first_pred[to as usize];
            *first -= 1;
            preds[*first as usize] = from;
        }
        Self {
            first_pred,
            preds,
            succs,
        }
    }

    fn preds(&self, block: u32) -> &[u32] {
        let at = block as usize;
        &self.preds[self.first_pred[at] as usize..self.first_pred[at + 1] as usize]
    }

    /// Whether each block rarely runs.
    fn cold(&self, func: &Func) -> Vec<bool> {
        let mut cold = vec![false; func.order.len()];
        let mut work = Vec::new();
        for (at, &block) in func.order.iter().enumerate().skip(1) {
            if matches!(func.insts[func.terminator(block)].data, InstData::Trap { .. }) {
                cold[at] = true;
                work.push(at as u32);
            }
        }
        let hinted = !func.unlikely.is_empty() || !func.handlers.is_empty();
        let dominators = hinted.then(|| Dominators::of(func));
        if let Some(dominators) = &dominators {
            self.mark_unlikely(func, dominators, &mut cold, &mut work);
        }
        // Ends because each block becomes cold once.
        let mut ways_left = self.succs.clone();
        while let Some(block) = work.pop() {
            for &pred in self.preds(block) {
                let left = &mut ways_left[pred as usize];
                *left -= 1;
                if *left == 0 && pred != 0 && !cold[pred as usize] {
                    cold[pred as usize] = true;
                    work.push(pred);
                }
            }
        }
        // Where rare ways meet again is not rare itself, but must not stand before what dominates it.
        if let Some(dominators) = &dominators {
            let mut below: IdMap<Block, bool> = IdMap::filled(false, func.blocks.len());
            for (at, &block) in func.order.iter().enumerate().skip(1) {
                cold[at] |= below[dominators.parent(block).expect("only the entry has none")];
                below[block] = cold[at];
            }
        }
        cold
    }

    /// Marks what hints say, if no other way leads there, and what it dominates.
    fn mark_unlikely(&self, func: &Func, dominators: &Dominators, cold: &mut [bool], work: &mut Vec<u32>) {
        let mut unlikely: IdMap<Block, bool> = IdMap::filled(false, func.blocks.len());
        func.unlikely.iter().for_each(|&block| unlikely[block] = true);
        let mut below: IdMap<Block, bool> = IdMap::filled(false, func.blocks.len());
        for (at, &block) in func.order.iter().enumerate().skip(1) {
            let own =
                unlikely[block] && self.preds(at as u32).len() == 1 || func.landing_pad(block).is_some();
            let parent = dominators.parent(block).expect("only the entry has none");
            below[block] = own || below[parent];
            if below[block] && !cold[at] {
                cold[at] = true;
                work.push(at as u32);
            }
        }
    }
}

/// The loops of blocks that are not cold: for each back edge its natural loop.
struct Loops {
    /// The innermost loop of each block.
    innermost: Vec<u32>,
    /// The head of each loop; outer ones come after those inside.
    heads: Vec<u32>,
    parent: Vec<u32>,
    /// Blocks and loops directly inside each loop.
    parts: Vec<u32>,
    /// Numbers such that a loop lies in another if its range does.
    range: Vec<(u32, u32)>,
}

impl Loops {
    fn of(graph: &Graph, cold: &[bool]) -> Self {
        let blocks = cold.len();
        let mut loops = Self {
            innermost: vec![NONE; blocks],
            heads: Vec::new(),
            parent: Vec::new(),
            parts: Vec::new(),
            range: Vec::new(),
        };
        // The outermost loop known so far, with path compression.
        let mut outermost: Vec<u32> = Vec::new();
        let mut work = Vec::new();
        for head in (0..blocks as u32).rev() {
            work.extend(
                graph
                    .preds(head)
                    .iter()
                    .copied()
                    .filter(|&p| p >= head && !cold[p as usize]),
            );
            if work.is_empty() || cold[head as usize] {
                work.clear();
                continue;
            }
            let this = loops.heads.len() as u32;
            loops.heads.push(head);
            loops.parent.push(NONE);
            loops.parts.push(0);
            outermost.push(this);
            loops.add(head, this);
            // Ends because each block and each inner loop is added once.
            while let Some(block) = work.pop() {
                let entered = match loops.innermost[block as usize] {
                    NONE => {
                        loops.add(block, this);
                        block
                    }
                    inner => {
                        let inner = find(&mut outermost, inner);
                        if inner == this {
                            continue;
                        }
                        outermost[inner as usize] = this;
                        loops.parent[inner as usize] = this;
                        loops.parts[this as usize] += 1;
                        loops.heads[inner as usize]
                    }
                };
                // What comes before the head does not belong to the loop.
                let inside = |&p: &u32| p > head && !cold[p as usize];
                work.extend(graph.preds(entered).iter().copied().filter(inside));
            }
        }
        loops.number();
        loops
    }

    fn add(&mut self, block: u32, to: u32) {
        self.innermost[block as usize] = to;
        self.parts[to as usize] += 1;
    }

    /// Numbers the loops: outer ones, which come later, before those inside.
    fn number(&mut self) {
        let count = self.heads.len();
        let mut size = vec![1u32; count];
        for at in 0..count {
            if self.parent[at] != NONE {
                size[self.parent[at] as usize] += size[at];
            }
        }
        self.range = vec![(0, 0); count];
        // Where the next loop inside each one, or outside of all, begins.
        let mut next = vec![0u32; count];
        let mut next_outside = 0;
        for at in (0..count).rev() {
            let from = match self.parent[at] {
                NONE => &mut next_outside,
                parent => &mut next[parent as usize],
            };
            let start = *from;
            *from += size[at];
            self.range[at] = (start, start + size[at]);
            next[at] = start + 1;
        }
    }

    /// Whether a block is in a loop.
    fn has(&self, outer: u32, block: u32) -> bool {
        match self.innermost[block as usize] {
            NONE => false,
            inner => {
                let (outer, inner) = (self.range[outer as usize], self.range[inner as usize]);
                outer.0 <= inner.0 && inner.1 <= outer.1
            }
        }
    }

    /// Appends the blocks that are not cold; those that stand inside a loop without being of it wait
    /// for its end.
    fn place(&self, cold: &[bool], order: &mut Vec<u32>) {
        let mut left = self.parts.clone();
        // The loops around, with what waits for the end of each.
        let mut open: Vec<(u32, Vec<u32>)> = Vec::new();
        let mut waiting: Vec<u32> = Vec::new();
        for next in (0..cold.len() as u32).filter(|&block| !cold[block as usize]) {
            waiting.push(next);
            // Ends because a block waits at most once for each loop that it is not in, outer ones
            // last.
            while let Some(block) = waiting.pop() {
                let around = open.partition_point(|(outer, _)| self.has(*outer, block));
                if let Some((_, later)) = open.get_mut(around) {
                    later.push(block);
                    continue;
                }
                order.push(block);
                let innermost = self.innermost[block as usize];
                if innermost == NONE {
                    continue;
                }
                if self.heads[innermost as usize] == block {
                    open.push((innermost, Vec::new()));
                }
                left[innermost as usize] -= 1;
                while let Some((last, later)) = open.pop_if(|(last, _)| left[*last as usize] == 0) {
                    if self.parent[last as usize] != NONE {
                        left[self.parent[last as usize] as usize] -= 1;
                    }
                    waiting.extend(later.into_iter().rev());
                }
            }
        }
    }
}

fn find(outermost: &mut [u32], of: u32) -> u32 {
    let mut root = of;
    while outermost[root as usize] != root {
        root = outermost[root as usize];
    }
    let mut at = of;
    while at != root {
        at = std::mem::replace(&mut outermost[at as usize], root);
    }
    root
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::translate::translate_for_tests;
    use cellwall_ir::{Trap, check};

    /// The order before and after, as what each block returns, traps with or stores first.
    fn laid_out(wat: &str) -> Vec<u64> {
        let mut func = translate_for_tests(wat);
        layout(&mut func);
        check(&func).unwrap_or_else(|error| panic!("{error}\n{func}"));
        let constant = |&block: &Block| {
            let insts = &func.blocks[block].insts;
            insts.iter().find_map(|&inst| match func.insts[inst].data {
                InstData::GlobalSet { value, .. } => func.constant(value),
                InstData::Trap {
                    trap: Trap::Unreachable,
                } => Some(0),
                _ => None,
            })
        };
        func.order.iter().filter_map(constant).collect()
    }

    fn body(text: &str) -> String {
        format!("(module (global $g (mut i32) (i32.const 0)) (func (param i32) {text}))")
    }

    #[test]
    fn what_leads_to_a_trap_comes_last() {
        let wat = body(
            "(if (local.get 0) (then
               (if (i32.eqz (local.get 0)) (then (global.set 0 (i32.const 7))))
               unreachable))
             (global.set 0 (i32.const 1))",
        );
        assert_eq!(laid_out(&wat), [1, 7, 0]);
        // With a way out it stays.
        let wat = body(
            "(if (local.get 0) (then
               (if (i32.eqz (local.get 0)) (then (global.set 0 (i32.const 7)) return))
               unreachable))
             (global.set 0 (i32.const 1))",
        );
        assert_eq!(laid_out(&wat), [7, 1, 0]);
    }

    #[test]
    fn what_leaves_a_loop_stands_behind_it() {
        let wat = body(
            "(loop
               (global.set 0 (i32.const 1))
               (if (local.get 0) (then (global.set 0 (i32.const 9)) return))
               (loop
                 (global.set 0 (i32.const 2))
                 (if (local.get 0) (then (global.set 0 (i32.const 8)) return))
                 (if (i32.popcnt (local.get 0)) (then (global.set 0 (i32.const 5)) (br 2)))
                 (br_if 0 (i32.ctz (local.get 0)) (global.set 0 (i32.const 3))))
               (br_if 0 (i32.clz (local.get 0)) (global.set 0 (i32.const 4))))
             (global.set 0 (i32.const 6))",
        );
        assert_eq!(laid_out(&wat), [1, 2, 3, 5, 4, 9, 8, 6]);
    }

    #[test]
    fn hints_decide_what_is_rare() {
        let hinted = |hint: &str| {
            body(&format!(
                "{hint} (if (local.get 0) (then (global.set 0 (i32.const 7)))
                   (else (global.set 0 (i32.const 8))))
                 (block
                   {hint} (br_if 0 (local.get 0))
                   (global.set 0 (i32.const 3)))
                 (global.set 0 (i32.const 1))"
            ))
        };
        assert_eq!(laid_out(&hinted("")), [7, 8, 3, 1]);
        assert_eq!(
            laid_out(&hinted("(@metadata.code.branch_hint \"\\00\")")),
            [8, 3, 1, 7]
        );
        assert_eq!(
            laid_out(&hinted("(@metadata.code.branch_hint \"\\01\")")),
            [7, 1, 8, 3]
        );
    }

    #[test]
    fn where_rare_ways_meet_stands_behind_what_dominates_it() {
        let ways = |end: &str| {
            body(&format!(
                r#"(local i32)
                (if (local.get 0) (then (global.set 0 (i32.const 5))))
                (block
                  (local.set 1 (i32.popcnt (local.get 0)))
                  (@metadata.code.branch_hint "\00")
                  (if (i32.ctz (local.get 0)) (then (global.set 0 (i32.const 7)) (br 1)))
                  (@metadata.code.branch_hint "\00")
                  (if (i32.clz (local.get 0)) (then (global.set 0 (i32.const 8)) (br 1)))
                  {end})
                (global.set 0 (i32.const 1))
                (if (local.get 1) (then (global.set 0 (i32.const 2))))"#
            ))
        };
        // All that follows the first choice is rare: two hints, and a trap behind them.
        assert_eq!(laid_out(&ways("unreachable")), [5, 7, 8, 0, 1, 2]);
        assert_eq!(
            laid_out(&ways("(global.set 0 (i32.const 3))")),
            [5, 3, 1, 2, 7, 8]
        );
    }

    #[test]
    fn any_number_of_loops_inside_each_other_takes_linear_time() {
        let deep = |depth: usize| {
            body(&format!(
                "{} (br_if 0 (local.get 0)) {}",
                "(loop (if (local.get 0) (then (global.set 0 (i32.const 1)) return))".repeat(depth),
                "(br_if 0 (local.get 0)))".repeat(depth)
            ))
        };
        let placed = laid_out(&deep(3_000));
        assert_eq!(placed.len(), 3_000);
    }
}
