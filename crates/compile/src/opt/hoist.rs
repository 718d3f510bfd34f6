//! Moves what is the same in every iteration of a loop out of it.
//!
//! An operator without effect moves to the end of the block before the loop, and out of the loops
//! around it as far as its operands allow. A read of a global or a size moves if nothing in the loop
//! may change it; a load, in addition, only from the head of the loop and from before anything that
//! has an effect, so that it is executed if the loop is entered at all, and traps as before.
//!
//! A value that is moved takes a register through the whole loop, and where the loop calls, a place
//! on the stack, since no register survives a call. So what costs nothing where it is used
//! (comparisons that fuse with branches, constants) stays, what costs little moves only while
//! registers are left, and out of loops with calls only what is expensive moves.
//!
//! Requires the dominators and loops of the function. Guarantees that each instruction is looked at
//! once; each moves at most [`LEVELS_MAX`] loops outwards.

use super::Imports;
use super::known::{Effects, Space};
use super::loops::{LoopIdx, Loops};
use cellwall_base::IdMap;
use cellwall_ir::{BinaryOp, Block, Dominators, Func, Inst, InstData, UnaryOp, Value};

/// Loops that one instruction moves out of.
const LEVELS_MAX: usize = 8;
/// Values that live through a loop, its parameters among them, up to which cheap ones join them.
const LIVE_CHEAP_MAX: u32 = 7;
/// The same for any other.
const LIVE_MAX: u32 = 11;

/// Moves what is invariant.
pub(super) fn hoist(func: &mut Func, dominators: &Dominators, loops: &Loops, imports: Imports) {
    if loops.all().is_empty() {
        return;
    }
    let mut hoist = Hoist {
        home: homes(func, dominators),
        before: loops
            .all()
            .iter()
            .map(|l| before(func, dominators, l.head))
            .collect(),
        effects: loops.effects(func, dominators, imports),
        live: live_through(func, dominators, loops),
        dominators,
        loops,
        imports,
    };
    for &block in dominators.order() {
        if loops.of_block(block).is_some() {
            hoist.block(func, block);
        }
    }
}

struct Hoist<'a> {
    /// The block that defines each value.
    home: IdMap<Value, Block>,
    /// For each loop, the block that does nothing else after it than to enter the loop.
    before: Vec<Option<Block>>,
    effects: Vec<Effects>,
    /// For each loop, values that live through it.
    live: Vec<u32>,
    dominators: &'a Dominators,
    loops: &'a Loops,
    imports: Imports,
}

fn homes(func: &Func, dominators: &Dominators) -> IdMap<Value, Block> {
    let mut home = IdMap::filled(func.entry(), func.values.len());
    for &block in dominators.order() {
        for &param in &func.blocks[block].params {
            home[param] = block;
        }
        for &inst in &func.blocks[block].insts {
            for value in func.insts[inst].results.iter() {
                home[value] = block;
            }
        }
    }
    home
}

/// The only way into a loop, if it is a jump.
fn before(func: &Func, dominators: &Dominators, head: Block) -> Option<Block> {
    let sources = dominators.sources(head).iter();
    let mut outside = sources.filter(|&&from| !dominators.dominates(head, from));
    let &only = outside.next()?;
    let jumps = matches!(func.insts[func.terminator(only)].data, InstData::Jump { .. });
    (jumps && outside.next().is_none()).then_some(only)
}

/// For each loop, its parameters and the values from outside that it uses itself, not in a loop
/// inside of it.
fn live_through(func: &Func, dominators: &Dominators, loops: &Loops) -> Vec<u32> {
    let mut live = vec![0; loops.all().len()];
    let mut seen = IdMap::filled(u32::MAX, func.values.len());
    for &block in dominators.order() {
        let Some(at) = loops.of_block(block) else { continue };
        if loops.all()[at].head == block {
            live[at] += func.blocks[block].params.len() as u32;
        }
        // What the loop itself defines is marked, so that it does not count.
        for &param in &func.blocks[block].params {
            seen[param] = at as u32;
        }
        for &inst in &func.blocks[block].insts {
            func.for_each_use(inst, |value| {
                if seen[value] != at as u32 && func.constant(value).is_none() {
                    seen[value] = at as u32;
                    live[at] += 1;
                }
            });
            for value in func.insts[inst].results.iter() {
                seen[value] = at as u32;
            }
        }
    }
    live
}

/// What an instruction costs where it stands.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Cost {
    /// Nothing, as part of its user.
    Free,
    /// One cycle.
    Cheap,
    /// More.
    Dear,
}

/// What an instruction costs, if it is one that may move.
fn cost(func: &Func, inst: Inst) -> Option<Cost> {
    let data = &func.insts[inst].data;
    Some(match *data {
        // Variables of the frame change like memory, and hostile functions alone have them.
        InstData::Const { .. }
        | InstData::VectorConst { .. }
        | InstData::Compare { .. }
        | InstData::FrameGet { .. } => return None,
        InstData::Load { .. } => Cost::Cheap,
        _ if data.has_effect() => return None,
        InstData::Unary { op, .. } => match op {
            UnaryOp::ExtendU | UnaryOp::Wrap => Cost::Free,
            UnaryOp::ExtendS | UnaryOp::SignExtend8 | UnaryOp::SignExtend16 | UnaryOp::SignExtend32 => {
                Cost::Cheap
            }
            _ => Cost::Dear,
        },
        InstData::Binary {
            op:
                BinaryOp::Add
                | BinaryOp::Sub
                | BinaryOp::And
                | BinaryOp::Or
                | BinaryOp::Xor
                | BinaryOp::Shl
                | BinaryOp::ShrS
                | BinaryOp::ShrU
                | BinaryOp::Rotl
                | BinaryOp::Rotr,
            ..
        } => Cost::Cheap,
        InstData::Select { .. } | InstData::GlobalGet { .. } => Cost::Cheap,
        _ => Cost::Dear,
    })
}

impl Hoist<'_> {
    fn block(&mut self, func: &mut Func, block: Block) {
        let old = std::mem::take(&mut func.blocks[block].insts);
        let mut new = Vec::with_capacity(old.len());
        // Whether everything so far is done whenever the block is entered.
        let mut quiet = true;
        for inst in old {
            match self.target(func, block, inst, quiet) {
                Some(target) => {
                    let insts = &mut func.blocks[target].insts;
                    insts.insert(insts.len() - 1, inst);
                    for value in func.insts[inst].results.iter() {
                        self.home[value] = target;
                    }
                }
                None => {
                    let data = &func.insts[inst].data;
                    quiet &= !data.has_effect() || matches!(data, InstData::Load { .. });
                    new.push(inst);
                }
            }
        }
        func.blocks[block].insts = new;
    }

    /// The block to whose end an instruction moves, if it moves.
    fn target(&mut self, func: &Func, block: Block, inst: Inst, quiet: bool) -> Option<Block> {
        let cost = cost(func, inst)?;
        let mut at = self.loops.of_block(block);
        let mut target = None;
        for _ in 0..LEVELS_MAX {
            let Some(index) = at else { break };
            let Some(before) = self.before[index] else { break };
            let from = target.unwrap_or(block);
            if !self.is_invariant(func, index, inst, from, quiet) || !self.pays(index, cost) {
                break;
            }
            if cost != Cost::Free {
                self.live[index] += 1;
            }
            target = Some(before);
            // Further out, it would pass what that block does before it.
            if matches!(func.insts[inst].data, InstData::Load { .. }) {
                break;
            }
            at = self.loops.all()[index].parent;
        }
        target
    }

    /// Whether an instruction in block `from` of a loop gives the same in all iterations, and may as
    /// well be done before the loop.
    fn is_invariant(&self, func: &Func, index: LoopIdx, inst: Inst, from: Block, quiet: bool) -> bool {
        let head = self.loops.all()[index].head;
        let changes = |space: Space| self.effects[index].ends(self.imports, space);
        let reads_same = match func.insts[inst].data {
            InstData::Load { memory, .. } => {
                from == head && quiet && !changes(Space::Memory(memory.as_u32()))
            }
            InstData::GlobalGet { global } => !changes(Space::Global(global.as_u32())),
            InstData::MemorySize { memory } => !changes(Space::MemorySize(memory.as_u32())),
            InstData::TableSize { table } => !changes(Space::TableSize(table.as_u32())),
            _ => true,
        };
        let mut outside = true;
        func.for_each_use(inst, |value| {
            outside &= !self.dominators.dominates(head, self.home[value]);
        });
        reads_same && outside
    }

    /// Whether a value is worth a register through a loop.
    fn pays(&self, index: LoopIdx, cost: Cost) -> bool {
        let calls = self.effects[index].everything;
        match cost {
            Cost::Free => !calls,
            Cost::Cheap => !calls && self.live[index] < LIVE_CHEAP_MAX,
            Cost::Dear => calls || self.live[index] < LIVE_MAX,
        }
    }
}
