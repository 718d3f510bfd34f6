//! The dominator tree agrees with its definition: a block dominates another one if without it the
//! entry does not reach the other one.

use crate::{at, block, func};
use cellwall_base::{BitSet, EntityId};
use cellwall_ir::{Block, BlockCall, Dominators, Func, InstData, Type, ValueList};

/// A function of blocks that branch to these targets: none, one, or several.
fn graph(targets: &[Vec<usize>]) -> Func {
    let mut f = func(&[Type::I32], &[]);
    let index = f.blocks[f.entry()].params[0];
    let mut blocks = vec![f.entry()];
    blocks.extend(targets[1..].iter().map(|_| block(&mut f, &[])));
    for (from, list) in targets.iter().enumerate() {
        let list: Vec<BlockCall> = list.iter().map(|&to| open(blocks[to])).collect();
        let data = match list[..] {
            [] => InstData::Return {
                args: ValueList::default(),
            },
            [to] => InstData::Jump { to },
            [yes, no] => InstData::Branch {
                cond: index,
                to: [yes, no],
            },
            _ => {
                f.switches.push(list);
                let targets = f.switches.len() as u32 - 1;
                InstData::Switch { index, targets }
            }
        };
        at(&mut f, blocks[from]).push(data, &[]);
    }
    f
}

fn open(block: Block) -> BlockCall {
    BlockCall {
        block,
        args: ValueList::default(),
    }
}

/// What the entry reaches without passing `without`.
fn reached(targets: &[Vec<usize>], without: Option<usize>) -> BitSet {
    let mut seen = BitSet::new();
    let mut stack = vec![0];
    while let Some(at) = stack.pop() {
        if Some(at) != without && seen.insert(at) {
            stack.extend_from_slice(&targets[at]);
        }
    }
    seen
}

fn check(targets: &[Vec<usize>]) {
    let f = graph(targets);
    let dominators = Dominators::of(&f);
    let all = reached(targets, None);
    for above in 0..targets.len() {
        let without = reached(targets, Some(above));
        for below in 0..targets.len() {
            let expected = all.contains(above) && all.contains(below) && !without.contains(below);
            assert_eq!(
                dominators.dominates(f.order[above], f.order[below]),
                expected,
                "b{above} over b{below} in {targets:?}"
            );
        }
    }
    for &below in dominators.order() {
        let strict = |&&above: &&Block| above != below && dominators.dominates(above, below);
        let nearest = f.order.iter().filter(strict).find(|&&above| {
            let mut others = f.order.iter().filter(strict);
            others.all(|&other| dominators.dominates(other, above))
        });
        assert_eq!(dominators.parent(below), nearest.copied());
    }
}

#[test]
fn dominators_are_what_cannot_be_avoided() {
    check(&[vec![1, 2], vec![3], vec![3], vec![]]);
    check(&[vec![1], vec![2, 3], vec![1], vec![], vec![3]]);
    // Irreducible: two ways into a circle.
    check(&[vec![1, 2], vec![2, 3], vec![1], vec![]]);
    let mut state = 1u64;
    let mut next = |below: usize| {
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (state >> 33) as usize % below
    };
    for _ in 0..500 {
        let blocks = 2 + next(12);
        let targets: Vec<Vec<usize>> = (0..blocks)
            .map(|_| (0..next(4)).map(|_| 1 + next(blocks - 1)).collect())
            .collect();
        check(&targets);
    }
}

#[test]
fn every_block_comes_after_its_dominator_and_a_diamond_in_layout_order() {
    let f = graph(&[vec![1, 2], vec![3], vec![3], vec![3, 4], vec![]]);
    let dominators = Dominators::of(&f);
    let order: Vec<usize> = dominators.order().iter().map(|b| b.index()).collect();
    assert_eq!(order, [0, 1, 2, 3, 4]);
    let mut sources: Vec<usize> = dominators.sources(f.order[3]).iter().map(|b| b.index()).collect();
    sources.sort_unstable();
    assert_eq!(sources, [1, 2, 3]);
}
