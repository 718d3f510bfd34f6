//! Removes instructions and block parameters that nothing depends on.

use cellwall_base::{BitSet, EntityId, IdMap};
use cellwall_ir::{Block, BlockCall, Func, Inst, InstData, Value, ValueDef};

/// Removes what is dead. Every block of the order must be reachable.
pub(super) fn remove(func: &mut Func) {
    let live = Liveness::of(func);
    let kept_params: IdMap<Block, bool> = func
        .blocks
        .values()
        .map(|data| data.params.iter().all(|&p| live.contains(p)))
        .collect();
    for b in 0..func.order.len() {
        let block = func.order[b];
        let mut insts = std::mem::take(&mut func.blocks[block].insts);
        insts.retain(|&inst| is_needed(func, &live, inst));
        let last = *insts.last().expect("terminators are needed");
        func.blocks[block].insts = insts;
        drop_args(func, &live, &kept_params, last);
    }
    for b in 1..func.order.len() {
        let block = func.order[b];
        if !kept_params[block] {
            func.blocks[block].params.retain(|&p| live.contains(p));
        }
    }
}

fn is_needed(func: &Func, live: &Liveness, inst: Inst) -> bool {
    let node = &func.insts[inst];
    node.data.has_effect() || node.results.iter().any(|v| live.contains(v))
}

/// Drops the arguments of dead parameters.
fn drop_args(func: &mut Func, live: &Liveness, kept: &IdMap<Block, bool>, last: Inst) {
    let shorten = |func: &mut Func, to: BlockCall| {
        if kept[to.block] {
            return to;
        }
        let params = func.blocks[to.block].params.iter();
        let args: Vec<Value> = params
            .zip(func.list(to.args))
            .filter(|(param, _)| live.contains(**param))
            .map(|(_, &arg)| arg)
            .collect();
        BlockCall {
            block: to.block,
            args: func.make_list(&args),
        }
    };
    match func.insts[last].data {
        InstData::Jump { to } => {
            let to = shorten(func, to);
            func.insts[last].data = InstData::Jump { to };
        }
        InstData::Branch { cond, to } => {
            let to = to.map(|to| shorten(func, to));
            func.insts[last].data = InstData::Branch { cond, to };
        }
        InstData::Switch { targets, .. } => {
            for entry in 0..func.switches[targets as usize].len() {
                let to = func.switches[targets as usize][entry];
                func.switches[targets as usize][entry] = shorten(func, to);
            }
        }
        InstData::Catch { to, handlers } => {
            let to = shorten(func, to);
            func.insts[last].data = InstData::Catch { to, handlers };
            for entry in 0..func.handlers[handlers as usize].len() {
                let to = func.handlers[handlers as usize][entry];
                func.handlers[handlers as usize][entry] = shorten(func, to);
            }
        }
        _ => {}
    }
}

/// The values that something with an effect depends on.
struct Liveness {
    values: BitSet,
}

impl Liveness {
    fn contains(&self, value: Value) -> bool {
        self.values.contains(value.index())
    }

    fn of(func: &Func) -> Self {
        let edges = Edges::of(func);
        let mut values = BitSet::new();
        let mut work: Vec<Value> = Vec::new();
        let mut mark = |value: Value, work: &mut Vec<Value>| {
            if values.insert(value.index()) {
                work.push(value);
            }
        };
        // The entry's parameters are the function's.
        for &param in &func.blocks[func.entry()].params {
            mark(param, &mut work);
        }
        for &block in &func.order {
            for &inst in &func.blocks[block].insts {
                match func.insts[inst].data {
                    InstData::Jump { .. } | InstData::Catch { .. } => {}
                    InstData::Branch { cond: value, .. } | InstData::Switch { index: value, .. } => {
                        mark(value, &mut work);
                    }
                    data if data.has_effect() => func.for_each_use(inst, |value| mark(value, &mut work)),
                    _ => {}
                }
            }
        }
        while let Some(value) = work.pop() {
            match func.def(value) {
                ValueDef::Result(inst, _) => func.for_each_use(inst, |value| mark(value, &mut work)),
                ValueDef::Param(block) => {
                    let position = edges.position[value] as usize;
                    for to in &edges.into[block] {
                        mark(func.list(to.args)[position], &mut work);
                    }
                }
            }
        }
        Self { values }
    }
}

/// The edges into each block, and the place of each parameter in its block.
struct Edges {
    into: IdMap<Block, Vec<BlockCall>>,
    position: IdMap<Value, u32>,
}

impl Edges {
    fn of(func: &Func) -> Self {
        let mut into = IdMap::filled(Vec::new(), func.blocks.len());
        let mut position = IdMap::filled(0, func.values.len());
        for &block in &func.order {
            for (i, &param) in func.blocks[block].params.iter().enumerate() {
                position[param] = i as u32;
            }
            func.for_each_target(func.terminator(block), |to| {
                if !to.args.is_empty() {
                    into[to.block].push(to);
                }
            });
        }
        Self { into, position }
    }
}
