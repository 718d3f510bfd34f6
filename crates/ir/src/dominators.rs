//! The dominator tree.
//!
//! Requires a function whose blocks end in terminators with targets in range. Guarantees near-linear
//! time without recursion for any graph: the method is that of Lengauer and Tarjan, "A Fast Algorithm
//! for Finding Dominators in a Flowgraph" (TOPLAS 1979), with path compression alone. A value that is
//! computed and held: a change of branches makes it stale, a change inside blocks does not.

use crate::func::{BlockCall, Func, InstData};
use crate::{Block, Inst};
use cellwall_base::IdMap;

/// No block.
const NONE: u32 = u32::MAX;

/// The dominator tree over the blocks that the entry reaches, with the edges between them.
#[derive(Clone, Debug)]
pub struct Dominators {
    /// Number in depth-first order; [`NONE`] for blocks out of reach.
    number: IdMap<Block, u32>,
    /// The blocks by that number.
    vertex: Vec<Block>,
    /// The immediate dominator's number; the entry's is its own.
    parent: Vec<u32>,
    /// Number in pre-order of the tree, and how many blocks each subtree has.
    place: Vec<(u32, u32)>,
    /// Sources of the edges into each block, by number: a range of `sources`.
    first_source: Vec<u32>,
    sources: Vec<Block>,
    order: Vec<Block>,
}

impl Dominators {
    /// The dominators of a function.
    ///
    /// # Panics
    /// If there is no block, or a reachable one is empty.
    pub fn of(func: &Func) -> Self {
        let Walk {
            number,
            vertex,
            tree,
            order,
        } = walk(func);
        let (first_source, sources) = edges(func, &number, &vertex);
        let parent = lengauer_tarjan(&tree, &number, &first_source, &sources);
        let place = places(&parent);
        Self {
            number,
            vertex,
            parent,
            place,
            first_source,
            sources,
            order,
        }
    }

    /// Whether the entry reaches a block.
    pub fn is_reachable(&self, block: Block) -> bool {
        self.number.get(block).is_some_and(|&n| n != NONE)
    }

    /// Whether every way from the entry to `below` passes `above` (a block dominates itself). False
    /// if either is out of reach.
    pub fn dominates(&self, above: Block, below: Block) -> bool {
        if !self.is_reachable(above) || !self.is_reachable(below) {
            return false;
        }
        let (first, count) = self.place[self.number[above] as usize];
        let (at, _) = self.place[self.number[below] as usize];
        at.wrapping_sub(first) < count
    }

    /// The nearest other block that dominates a reachable block; `None` for the entry.
    pub fn parent(&self, block: Block) -> Option<Block> {
        let number = self.number[block];
        let parent = self.parent[number as usize];
        (parent != number).then(|| self.vertex[parent as usize])
    }

    /// The sources of the edges into a reachable block, one per edge, in no useful order.
    pub fn sources(&self, block: Block) -> &[Block] {
        let number = self.number[block] as usize;
        &self.sources[self.first_source[number] as usize..self.first_source[number + 1] as usize]
    }

    /// The reachable blocks in reverse post-order: each after its dominator, and, but for edges that
    /// go back, after its predecessors.
    pub fn order(&self) -> &[Block] {
        &self.order
    }
}

struct Walk {
    number: IdMap<Block, u32>,
    vertex: Vec<Block>,
    /// The parent of each block in the depth-first tree.
    tree: Vec<u32>,
    order: Vec<Block>,
}

/// Numbers the reachable blocks depth first.
fn walk(func: &Func) -> Walk {
    let mut number = IdMap::filled(NONE, func.blocks.len());
    let entry = func.entry();
    let (mut vertex, mut tree, mut order) = (vec![entry], vec![0], Vec::new());
    number[entry] = 0;
    // A block, its terminator, and how many of its targets are still to be seen: from the last to
    // the first, so that in the reverse post-order the first comes first.
    let mut stack = vec![step(func, entry)];
    while let Some((block, last, left)) = stack.last_mut() {
        if *left == 0 {
            order.push(*block);
            stack.pop();
            continue;
        }
        *left -= 1;
        let to = target(func, *last, *left).block;
        if number[to] == NONE {
            number[to] = vertex.len() as u32;
            tree.push(number[*block]);
            vertex.push(to);
            stack.push(step(func, to));
        }
    }
    order.reverse();
    Walk {
        number,
        vertex,
        tree,
        order,
    }
}

fn step(func: &Func, block: Block) -> (Block, Inst, usize) {
    let last = func.terminator(block);
    let targets = match func.insts[last].data {
        InstData::Jump { .. } => 1,
        InstData::Branch { .. } => 2,
        InstData::Switch { targets, .. } => func.switches[targets as usize].len(),
        InstData::Catch { handlers, .. } => 1 + func.handlers[handlers as usize].len(),
        _ => 0,
    };
    (block, last, targets)
}

fn target(func: &Func, last: Inst, index: usize) -> BlockCall {
    match func.insts[last].data {
        InstData::Jump { to } => to,
        InstData::Branch { to, .. } => to[index],
        InstData::Switch { targets, .. } => func.switches[targets as usize][index],
        InstData::Catch { to, .. } if index == 0 => to,
        InstData::Catch { handlers, .. } => func.handlers[handlers as usize][index - 1],
        _ => unreachable!("only branches have targets"),
    }
}

/// The edges between reachable blocks, sorted by target.
fn edges(func: &Func, number: &IdMap<Block, u32>, vertex: &[Block]) -> (Vec<u32>, Vec<Block>) {
    let mut first = vec![0; vertex.len() + 1];
    for &block in vertex {
        func.for_each_target(func.terminator(block), |to| {
            first[number[to.block] as usize + 1] += 1
        });
    }
    for i in 1..first.len() {
        first[i] += first[i - 1];
    }
    let mut next = first.clone();
    let mut sources = vec![vertex[0]; first[vertex.len()] as usize];
    for &block in vertex {
        func.for_each_target(func.terminator(block), |to| {
            let at = &mut next[number[to.block] as usize];
            sources[*at as usize] = block;
            *at += 1;
        });
    }
    (first, sources)
}

/// The forest of the algorithm.
struct Forest {
    ancestor: Vec<u32>,
    label: Vec<u32>,
    semi: Vec<u32>,
    path: Vec<u32>,
}

impl Forest {
    /// The vertex of least semidominator on the way from `v` up to the root of its tree.
    fn eval(&mut self, v: u32) -> u32 {
        if self.ancestor[v as usize] == NONE {
            return v;
        }
        let mut at = v;
        while self.ancestor[self.ancestor[at as usize] as usize] != NONE {
            self.path.push(at);
            at = self.ancestor[at as usize];
        }
        // From the top down, each takes over what is above it.
        while let Some(below) = self.path.pop() {
            let above = self.ancestor[below as usize];
            let label = self.label[above as usize];
            if self.semi[label as usize] < self.semi[self.label[below as usize] as usize] {
                self.label[below as usize] = label;
            }
            self.ancestor[below as usize] = self.ancestor[above as usize];
        }
        self.label[v as usize]
    }
}

/// The immediate dominators by number.
fn lengauer_tarjan(
    tree: &[u32],
    number: &IdMap<Block, u32>,
    first_source: &[u32],
    sources: &[Block],
) -> Vec<u32> {
    let count = tree.len();
    let all: Vec<u32> = (0..count as u32).collect();
    let mut forest = Forest {
        ancestor: vec![NONE; count],
        label: all.clone(),
        semi: all,
        path: Vec::new(),
    };
    let mut dominator = vec![0; count];
    // Vertices by semidominator, as lists.
    let (mut bucket, mut next) = (vec![NONE; count], vec![NONE; count]);
    for w in (1..count).rev() {
        for &source in &sources[first_source[w] as usize..first_source[w + 1] as usize] {
            let u = forest.eval(number[source]);
            forest.semi[w] = forest.semi[w].min(forest.semi[u as usize]);
        }
        let semi = forest.semi[w] as usize;
        next[w] = std::mem::replace(&mut bucket[semi], w as u32);
        let above = tree[w];
        forest.ancestor[w] = above;
        let mut listed = std::mem::replace(&mut bucket[above as usize], NONE);
        while listed != NONE {
            let v = listed as usize;
            let u = forest.eval(listed);
            dominator[v] = if forest.semi[u as usize] < forest.semi[v] {
                u
            } else {
                above
            };
            listed = next[v];
        }
    }
    for w in 1..count {
        if dominator[w] != forest.semi[w] {
            dominator[w] = dominator[dominator[w] as usize];
        }
    }
    dominator
}

/// Numbers in pre-order and sizes of subtrees; parents have smaller depth-first numbers.
fn places(parent: &[u32]) -> Vec<(u32, u32)> {
    let count = parent.len();
    let mut size = vec![1u32; count];
    for w in (1..count).rev() {
        size[parent[w] as usize] += size[w];
    }
    let mut next = vec![1u32; count];
    let mut first = vec![0u32; count];
    for w in 1..count {
        let above = parent[w] as usize;
        first[w] = next[above];
        next[above] += size[w];
        next[w] = first[w] + 1;
    }
    first.into_iter().zip(size).collect()
}
