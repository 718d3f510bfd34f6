//! Global value numbering, together with folding, in one walk over the dominator tree.
//!
//! An instruction that computes what a dominating one computed is replaced by it. That holds for
//! operators that trap too: the second of two equal divisions is reached only if the first did not
//! trap. Constants are made in the entry block, once each; lowering makes them again where they are
//! used. A condition that a dominating branch decided is a constant. A load of what is known to be in
//! memory is that value, and a store of it does nothing.
//!
//! Requires the dominators of the function, and that every use may be resolved by `aliases`.
//! Guarantees that every use is resolved. Moves nothing but constants.

use super::fold::{self, Branches};
use super::known::{Form, Given, Known, Place, Space};
use super::loops::Loops;
use super::site::{Facts, Fired};
use super::table::{Key, Table};
use super::{Aliases, Config, Passes};
use cellwall_base::EntityId;
use cellwall_ir::{BinaryOp, Block, CompareOp, Dominators, Func, Inst, InstData, Type, Value};
use std::collections::HashMap;

/// Numbers the values of a function; `fired` counts the rules that were applied.
pub(super) fn number(
    func: &mut Func,
    aliases: &mut Aliases,
    dominators: &Dominators,
    loops: &Loops,
    config: Config,
    fired: &mut Fired,
) -> Branches {
    let passes = config.passes;
    let known = passes
        .contains(Passes::LOADS)
        .then(|| Known::new(func, dominators, loops, config.imports));
    let mut walk = Walk {
        known,
        table: Table::new(func.insts.len()),
        masks: HashMap::new(),
        constants: Vec::new(),
        branches: Branches::Kept,
        before: Vec::new(),
        facts: Facts::of(func, std::mem::take(fired)),
        func,
        aliases,
        dominators,
        passes,
    };
    for &block in dominators.order() {
        walk.block(block);
    }
    let Walk {
        mut constants,
        branches,
        facts,
        ..
    } = walk;
    *fired = facts.fired;
    let entry = func.entry();
    constants.append(&mut func.blocks[entry].insts);
    func.blocks[entry].insts = constants;
    branches
}

/// The bytes of a constant vector, or the mask of a shuffle with its operands.
type MaskKey = ([u8; 16], Option<[Value; 2]>);

struct Walk<'a> {
    func: &'a mut Func,
    aliases: &'a mut Aliases,
    dominators: &'a Dominators,
    passes: Passes,
    table: Table,
    /// Constant vectors and shuffles, whose keys are longer.
    masks: HashMap<MaskKey, (Value, Block)>,
    known: Option<Known>,
    /// Instructions that make the constants.
    constants: Vec<Inst>,
    branches: Branches,
    /// Instructions that folding puts before the current one.
    before: Vec<Inst>,
    facts: Facts,
}

impl Walk<'_> {
    fn block(&mut self, block: Block) {
        self.merge(block);
        self.learn(block);
        if let Some(known) = &mut self.known {
            known.enter(self.dominators, block);
        }
        let old = std::mem::take(&mut self.func.blocks[block].insts);
        let mut new = Vec::with_capacity(old.len());
        for inst in old {
            let aliases = &mut *self.aliases;
            self.func.map_uses(inst, |value| aliases.resolve(value));
            if self.func.insts[inst].data.is_terminator() {
                self.terminator(block, inst);
                new.push(inst);
                continue;
            }
            let mut before = std::mem::take(&mut self.before);
            if self.passes.contains(Passes::FOLD) {
                fold::fold_inst(self.func, self.aliases, &mut self.facts, &mut before, inst);
            }
            let alone = before.is_empty();
            before.push(inst);
            for inst in before.drain(..) {
                if !alone {
                    self.func.map_uses(inst, |value| self.aliases.resolve(value));
                }
                if self.is_kept(block, inst) {
                    new.push(inst);
                }
            }
            self.before = before;
        }
        self.func.blocks[block].insts = new;
        if let Some(known) = &mut self.known {
            known.leave(block);
        }
    }

    /// Replaces parameters of a block that get the same value on every way in.
    fn merge(&mut self, block: Block) {
        if !self.passes.contains(Passes::NUMBER) {
            return;
        }
        for position in 0..self.func.blocks[block].params.len() {
            let param = self.func.blocks[block].params[position];
            if let Some(only) = self.only_argument(block, position) {
                self.aliases.replace(param, only);
            }
        }
    }

    fn only_argument(&mut self, block: Block, position: usize) -> Option<Value> {
        let mut only = None;
        for &source in self.dominators.sources(block) {
            let data = self.func.insts[self.func.terminator(source)].data;
            let targets = match data {
                InstData::Jump { to } => [Some(to), None],
                InstData::Branch { to, .. } => to.map(Some),
                _ => return None,
            };
            for to in targets.into_iter().flatten().filter(|to| to.block == block) {
                let arg = self.aliases.resolve(self.func.list(to.args)[position]);
                if *only.get_or_insert(arg) != arg {
                    return None;
                }
            }
        }
        only
    }

    /// Notes what the branch to a block with one way in says of its condition.
    fn learn(&mut self, block: Block) {
        let &[source] = self.dominators.sources(block) else {
            return;
        };
        if let InstData::Branch { cond, to } = self.func.insts[self.func.terminator(source)].data {
            // Which constant it is does not matter, only whether it is zero; none is made for it.
            let holds = Value::new(usize::from(to[0].block == block));
            self.table.set(decision_key(cond), holds, block);
        }
    }

    /// Whether a condition holds, if that is known.
    fn decided(&self, block: Block, cond: Value) -> Option<bool> {
        if !self.passes.contains(Passes::DECIDE) {
            return None;
        }
        let known = |key: Key| {
            let (value, at) = self.table.get(key)?;
            self.dominators.dominates(at, block).then_some(value)
        };
        if let Some(holds) = known(decision_key(cond)) {
            return Some(holds.index() != 0);
        }
        // Perhaps the opposite comparison was decided.
        let inst = self.func.def_inst(cond)?;
        let InstData::Compare { op, args } = self.func.insts[inst].data else {
            return None;
        };
        let opposite = known(compare_key(op.inverse()?, args))?;
        Some(known(decision_key(opposite))?.index() == 0)
    }

    fn terminator(&mut self, block: Block, inst: Inst) {
        if self.passes.contains(Passes::FOLD)
            && let Some(data) = fold::fold_terminator(self.func, inst)
        {
            self.func.insts[inst].data = data;
            self.branches = Branches::Folded;
        }
        if let InstData::Branch { cond, to } = self.func.insts[inst].data
            && let Some(holds) = self.decided(block, cond)
        {
            let to = to[usize::from(!holds)];
            self.func.insts[inst].data = InstData::Jump { to };
            self.branches = Branches::Folded;
        }
    }

    /// Whether an instruction stays in its block.
    fn is_kept(&mut self, block: Block, inst: Inst) -> bool {
        if !self.memory(block, inst) {
            return false;
        }
        let node = self.func.insts[inst];
        let Some(result) = node.results.iter().next() else {
            return true;
        };
        if self.aliases.is_replaced(result) {
            return false;
        }
        if let InstData::Select { cond, args } = node.data
            && let Some(holds) = self.decided(block, cond)
        {
            self.aliases.replace(result, args[usize::from(!holds)]);
            return false;
        }
        if !self.passes.contains(Passes::NUMBER) {
            return true;
        }
        let constant = matches!(node.data, InstData::Const { .. } | InstData::VectorConst { .. });
        let mask = match node.data {
            InstData::VectorConst { bytes } => Some((bytes, None)),
            InstData::Shuffle { mask, args } => Some((mask, Some(args))),
            _ => None,
        };
        let key = key(self.func, inst, self.func.ty(result));
        let known = match (mask, key) {
            (Some(mask), _) => self.masks.get(&mask).copied(),
            (_, Some(key)) => self.table.get(key),
            (None, None) => return true,
        };
        if let Some((value, at)) = known
            && (constant || self.dominators.dominates(at, block))
        {
            self.aliases.replace(result, value);
            return false;
        }
        match (mask, key) {
            (Some(mask), _) => drop(self.masks.insert(mask, (result, block))),
            (_, Some(key)) => self.table.set(key, result, block),
            (None, None) => {}
        }
        if constant {
            self.constants.push(inst);
        }
        !constant
    }
}

impl Walk<'_> {
    /// Uses and updates what memories, globals and sizes are known to hold; whether the instruction
    /// is still needed. A load may become an operator.
    fn memory(&mut self, block: Block, inst: Inst) -> bool {
        let Some(known) = &mut self.known else {
            return true;
        };
        let func = &mut *self.func;
        let result = |func: &Func| func.result(inst);
        match func.insts[inst].data {
            InstData::Load {
                op,
                memory,
                offset,
                addr,
            } => {
                let value = result(func);
                let ty = func.ty(value);
                let place = Place::access(func, memory.as_u32(), addr, offset, op.bytes(ty));
                let given = known.get(place).find_map(|entry| entry.load(func, op, ty));
                let Some((arg, given)) = given else {
                    known.read(place, Form::of_load(op), value);
                    return true;
                };
                return self.give(block, inst, arg, given);
            }
            InstData::Store {
                op,
                memory,
                offset,
                args: [addr, value],
            } => {
                let bytes = op.bytes(func.ty(value));
                let place = Place::access(func, memory.as_u32(), addr, offset, bytes);
                let form = Form::of_store(op);
                if known.get(place).any(|entry| entry.is_stored(form, value)) {
                    return false;
                }
                known.written(place, form, value);
            }
            InstData::GlobalSet { global, value } => {
                let place = Place::of(Space::Global(global.as_u32()));
                if known.get(place).any(|entry| entry.is_stored(Form::Whole, value)) {
                    return false;
                }
                known.written(place, Form::Whole, value);
            }
            InstData::GlobalGet { global } => {
                return self.read_once(inst, Space::Global(global.as_u32()));
            }
            InstData::MemorySize { memory } => {
                return self.read_once(inst, Space::MemorySize(memory.as_u32()));
            }
            InstData::TableSize { table } => return self.read_once(inst, Space::TableSize(table.as_u32())),
            InstData::Call { .. }
            | InstData::CallIndirect { .. }
            | InstData::CallRef { .. }
            | InstData::CallLibrary { .. }
            | InstData::Throw { .. }
            | InstData::Atomic { .. }
            | InstData::Fence => {
                known.forget();
            }
            _ => {}
        }
        true
    }

    /// Reads what is no memory, unless it is known.
    fn read_once(&mut self, inst: Inst, space: Space) -> bool {
        let known = self.known.as_mut().expect("the caller looked");
        let place = Place::of(space);
        let result = self.func.result(inst);
        if let Some(entry) = known.get(place).next() {
            let value = entry.value;
            self.aliases.replace(result, value);
            return false;
        }
        known.read(place, Form::Whole, result);
        true
    }

    /// Makes a load what is known of its bytes.
    fn give(&mut self, block: Block, inst: Inst, arg: Value, given: Given) -> bool {
        let data = match given {
            Given::Value => {
                let result = self.func.result(inst);
                self.aliases.replace(result, arg);
                return false;
            }
            Given::Unary(op) => InstData::Unary { op, arg },
            Given::Mask(bits) => {
                let ty = self.func.ty(arg);
                let source = self.func.insts[inst].source;
                let mask = self.func.make_inst(InstData::Const { bits }, &[ty], source);
                let mut value = self.func.result(mask);
                if self.is_kept(block, mask) {
                    // Without numbering, constants stay where they are made.
                    self.constants.push(mask);
                }
                value = self.aliases.resolve(value);
                InstData::Binary {
                    op: BinaryOp::And,
                    args: [arg, value],
                }
            }
        };
        self.func.insts[inst].data = data;
        true
    }
}

/// The tags of keys; no key has tag 0.
enum Tag {
    Const = 1,
    Unary,
    Binary,
    Compare,
    Select,
    BoundsCheck,
    Decision,
    Vector,
}

fn pair(x: Value, y: Value) -> u64 {
    u64::from(x.as_u32()) | u64::from(y.as_u32()) << 32
}

fn head(tag: Tag, ty: Type, op: u8, more: u32) -> u64 {
    u64::from(tag as u8) | u64::from(ty as u8) << 8 | u64::from(op) << 16 | u64::from(more) << 32
}

fn decision_key(cond: Value) -> Key {
    (head(Tag::Decision, Type::I32, 0, 0), u64::from(cond.as_u32()))
}

fn compare_key(op: CompareOp, [x, y]: [Value; 2]) -> Key {
    let (op, x, y) = if x > y { (op.swapped(), y, x) } else { (op, x, y) };
    (head(Tag::Compare, Type::I32, op as u8, 0), pair(x, y))
}

/// The key of what depends on nothing but the operands, or holds from its first success on.
fn key(func: &Func, inst: Inst, ty: Type) -> Option<Key> {
    Some(match func.insts[inst].data {
        InstData::Const { bits } => (head(Tag::Const, ty, 0, 0), bits),
        InstData::Unary { op, arg } => {
            let from = func.ty(arg) as u32;
            (head(Tag::Unary, ty, op as u8, from), u64::from(arg.as_u32()))
        }
        InstData::Binary { op, args: [x, y] } => {
            let (x, y) = if op.commutes() && x > y { (y, x) } else { (x, y) };
            (head(Tag::Binary, ty, op as u8, 0), pair(x, y))
        }
        InstData::Compare { op, args } => compare_key(op, args),
        InstData::Select { cond, args: [x, y] } => (head(Tag::Select, ty, 0, cond.as_u32()), pair(x, y)),
        InstData::Vector { op, lane, args } => {
            let [x, y, z] = args;
            let (x, y) = if op.commutes() && x > y { (y, x) } else { (x, y) };
            let lane = u64::from(lane) << 8 | u64::from(op as u8) << 16;
            let last = u64::from(z.as_u32()) << 32;
            (u64::from(Tag::Vector as u8) | lane | last, pair(x, y))
        }
        // Memories never shrink, so that a check that held holds.
        InstData::BoundsCheck { memory, addr, slack } => (
            head(Tag::BoundsCheck, ty, 0, memory.as_u32()),
            u64::from(addr.as_u32()) | slack << 32,
        ),
        _ => return None,
    })
}
