//! Locals → SSA values, on the fly.
//!
//! The method is that of Braun et al., "Simple and Efficient Construction of Static Single
//! Assignment Form" (CC 2013): a local's value is looked for backwards through the predecessors when
//! it is read; a block with several predecessors gets a parameter; a loop head, whose back edges are
//! not known yet, gets one that is completed when the head is sealed; a parameter whose arguments
//! are all alike is replaced by them.
//!
//! Requires that a block is sealed once all edges to it are known, and that [`Ssa::finish`] is called
//! once at the end. Where that takes too many steps, locals live in the frame instead ([`Home`]):
//! a block reads each at most once, and every assignment writes. Guarantees that only locals that are read where values meet become parameters,
//! that switches carry no arguments (a block between takes them), and that the steps taken are
//! limited by a multiple of the body's size. Knows nothing of operators.

use crate::opt::Aliases;
use cellwall_base::{IdMap, Limit};
use cellwall_ir::{Block, BlockCall, Func, Inst, InstData, Type, Value, ValueList};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// Steps that every body may take, however small, and per byte of the body beyond that, where locals
/// become values. Large real functions take up to 15.
const STEPS: [u64; 2] = [1 << 20, 24];
/// Steps that no body may exceed where locals become values, so that the attempt costs no more than
/// what follows it: 1 MB of real code.
const STEPS_MAX: u64 = 1 << 24;
/// The same as `STEPS` where locals live in the frame: what signatures and block types may make of a few
/// bytes. Each value takes about 200 bytes until its code is verified.
const FRAME_STEPS: [u64; 2] = [1 << 24, 4];
/// Arguments of branches that every body may have for its locals, and per byte beyond that.
const ARGS: [u64; 2] = [1 << 18, 2];

/// Where locals live.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Home {
    /// Each assignment makes a value.
    Values,
    /// In variables of the frame.
    Frame,
}

/// Rounds of the last clean-up; each finds parameters that became needless in the one before.
const CLEANING_ROUNDS: usize = 4;

/// A branch from one block to another.
struct Edge {
    from: Block,
    inst: Inst,
    slot: Slot,
    /// Arguments for the parameters that the target had when the edge was made.
    args: ValueList,
    next: Option<u32>,
}

/// Which target of the branch an edge is.
#[derive(Clone, Copy)]
pub(super) enum Slot {
    /// The target of a jump, or one of a branch.
    Fixed(u8),
    /// Some entries of a switch.
    Switch,
    /// One of the handlers of a catch.
    Handler(u32),
}

#[derive(Default, Clone)]
struct BlockInfo {
    first_edge: Option<u32>,
    last_edge: Option<u32>,
    edges: u32,
    sealed: bool,
    /// Parameters that are not locals: those that edges bring arguments for.
    stack_params: u32,
    /// Parameters that are locals, as indexes into `Ssa::params`.
    locals: Vec<u32>,
}

/// A parameter that stands for a local.
struct LocalParam {
    local: u32,
    value: Value,
    /// One argument per edge, in order of the edges, from this index of `Ssa::args`.
    args: usize,
}

/// Entries of switches: the edge of each entry.
struct SwitchEdges {
    inst: Inst,
    edges: Vec<u32>,
}

/// What the construction knows.
pub(super) struct Ssa {
    locals: Vec<Type>,
    /// The value of a local at the end of a block (or so far, for the current one).
    defs: HashMap<u64, Value, BuildHasherDefault<Mix>>,
    /// The latest entry of `defs` for each local.
    latest: Vec<(Block, Value)>,
    blocks: IdMap<Block, BlockInfo>,
    edges: Vec<Edge>,
    switches: Vec<SwitchEdges>,
    params: Vec<LocalParam>,
    args: Vec<Value>,
    /// What needless parameters were replaced by.
    aliases: Aliases,
    zeros: [Option<Value>; 5],
    zero_insts: Vec<Inst>,
    home: Home,
    /// By local: its variable of the frame, if it has one.
    variables: Vec<Option<u32>>,
    steps_left: u64,
    /// How many more may be allowed.
    steps_more: u64,
    args_left: u64,
    // Storage of `look_up`.
    tasks: Vec<Task>,
    found: Vec<Value>,
}

enum Task {
    /// Find the value at the end of a block.
    Read(Block),
    /// Complete a parameter with the values found for its edges; its value is also that of the
    /// block.
    Complete(u32, Block, Block),
}

const NOWHERE: Block = Block::from_u32(u32::MAX);

impl Ssa {
    pub(super) fn new(body_bytes: usize, home: Home) -> Self {
        let ([steps_min, _], steps_max) = match home {
            Home::Values => (STEPS, STEPS_MAX),
            Home::Frame => (FRAME_STEPS, u64::MAX),
        };
        let mut ssa = Self {
            locals: Vec::new(),
            defs: HashMap::default(),
            latest: Vec::new(),
            blocks: IdMap::new(),
            edges: Vec::new(),
            switches: Vec::new(),
            params: Vec::new(),
            args: Vec::new(),
            aliases: Aliases::default(),
            zeros: [None; 5],
            zero_insts: Vec::new(),
            home,
            variables: Vec::new(),
            steps_left: steps_min,
            steps_more: steps_max - steps_min,
            args_left: ARGS[0],
            tasks: Vec::new(),
            found: Vec::new(),
        };
        ssa.allow(body_bytes);
        ssa
    }

    /// Allows the steps that belong to so many bytes of another body.
    pub(super) fn allow(&mut self, body_bytes: usize) {
        let more = (self.steps_per_byte() * body_bytes as u64).min(self.steps_more);
        self.steps_left += more;
        self.steps_more -= more;
        self.args_left += ARGS[1] * body_bytes as u64;
    }

    fn steps_per_byte(&self) -> u64 {
        match self.home {
            Home::Values => STEPS[1],
            Home::Frame => FRAME_STEPS[1],
        }
    }

    /// How many locals there are.
    pub(super) fn locals(&self) -> u32 {
        self.locals.len() as u32
    }

    /// Adds locals of one type.
    pub(super) fn declare(&mut self, count: u32, ty: Type) {
        let len = self.locals.len() + count as usize;
        self.locals.resize(len, ty);
        self.latest.resize(len, (NOWHERE, Value::from_u32(0)));
    }

    /// Makes a block without edges; its parameters so far are those that edges bring arguments for.
    pub(super) fn make_block(&mut self, func: &mut Func, params: impl Iterator<Item = Type>) -> Block {
        let block = func.make_block();
        let mut info = BlockInfo::default();
        for ty in params {
            func.add_param(block, ty);
            info.stack_params += 1;
        }
        let same = self.blocks.push(info);
        assert_eq!(block, same, "blocks are made here alone");
        block
    }

    /// Adds an edge to a block that is not sealed.
    pub(super) fn add_edge(
        &mut self,
        from: Block,
        inst: Inst,
        slot: Slot,
        to: Block,
        args: ValueList,
    ) -> u32 {
        let id = self.edges.len() as u32;
        self.edges.push(Edge {
            from,
            inst,
            slot,
            args,
            next: None,
        });
        let info = &mut self.blocks[to];
        assert!(!info.sealed, "{to} has all its edges");
        assert_eq!(
            args.len(),
            info.stack_params as usize,
            "one argument per parameter"
        );
        match info.last_edge {
            Some(last) => self.edges[last as usize].next = Some(id),
            None => info.first_edge = Some(id),
        }
        info.last_edge = Some(id);
        info.edges += 1;
        id
    }

    /// Whether an edge leads to a block.
    pub(super) fn is_reached(&self, block: Block) -> bool {
        self.blocks[block].edges > 0
    }

    /// Says which edge each entry of a switch is.
    pub(super) fn set_switch_edges(&mut self, inst: Inst, edges: Vec<u32>) {
        self.switches.push(SwitchEdges { inst, edges });
    }

    /// Takes the steps of work that a caller did.
    ///
    /// # Errors
    /// If the body has used up its steps.
    pub(super) fn spend(&mut self, steps: usize) -> Result<(), Limit> {
        match self.steps_left.checked_sub(steps as u64) {
            Some(left) => {
                self.steps_left = left;
                Ok(())
            }
            None => Err(match self.home {
                Home::Values => Limit {
                    what: "work to bring one function into SSA form, per byte of its body,",
                    max: STEPS[1],
                },
                Home::Frame => Limit {
                    what: "values that signatures and block types make in one function, beyond a few per byte,",
                    max: FRAME_STEPS[0],
                },
            }),
        }
    }

    /// The variable of a local.
    fn variable(&mut self, func: &mut Func, local: u32) -> u32 {
        let at = local as usize;
        if self.variables.len() <= at {
            self.variables.resize(self.locals.len(), None);
        }
        *self.variables[at].get_or_insert_with(|| {
            func.frame.push(self.locals[at]);
            func.frame.len() as u32 - 1
        })
    }

    /// Sets a local at the end of `block`.
    pub(super) fn write(&mut self, func: &mut Func, block: Block, local: u32, value: Value) {
        match self.home {
            Home::Values => {
                self.defs.insert(key(block, local), value);
            }
            Home::Frame => {
                let variable = self.variable(func, local);
                let inst = func.make_inst(InstData::FrameSet { variable, value }, &[], 0);
                func.blocks[block].insts.push(inst);
            }
        }
        self.latest[local as usize] = (block, value);
    }

    /// The value of a local at the end of `block`.
    pub(super) fn read(&mut self, func: &mut Func, block: Block, local: u32) -> Result<Value, Limit> {
        let (at, value) = self.latest[local as usize];
        if at == block {
            return Ok(self.resolve(value));
        }
        let value = match self.home {
            Home::Values => self.look_up(func, block, local)?,
            Home::Frame => {
                let variable = self.variable(func, local);
                let ty = self.locals[local as usize];
                let inst = func.make_inst(InstData::FrameGet { variable }, &[ty], 0);
                func.blocks[block].insts.push(inst);
                func.result(inst)
            }
        };
        self.latest[local as usize] = (block, value);
        Ok(value)
    }

    /// Declares that all edges to a block are known.
    pub(super) fn seal(&mut self, func: &mut Func, block: Block) -> Result<(), Limit> {
        let info = &mut self.blocks[block];
        assert!(!info.sealed, "{block} is sealed once");
        info.sealed = true;
        for i in 0..self.blocks[block].locals.len() {
            let param = self.blocks[block].locals[i];
            let local = self.params[param as usize].local;
            let mut next = self.blocks[block].first_edge;
            let mut args = Vec::with_capacity(self.blocks[block].edges as usize);
            while let Some(edge) = next {
                let from = self.edges[edge as usize].from;
                args.push(self.look_up(func, from, local)?);
                next = self.edges[edge as usize].next;
            }
            self.complete(param, &args);
        }
        Ok(())
    }

    fn resolve(&mut self, value: Value) -> Value {
        self.aliases.resolve(value)
    }

    /// Braun et al., algorithm 2, with its own stack instead of recursion.
    fn look_up(&mut self, func: &mut Func, block: Block, local: u32) -> Result<Value, Limit> {
        let mut tasks = std::mem::take(&mut self.tasks);
        let mut found = std::mem::take(&mut self.found);
        tasks.push(Task::Read(block));
        while let Some(task) = tasks.pop() {
            match task {
                Task::Read(from) => match self.nearest(func, from, local)? {
                    Ok(value) => found.push(value),
                    Err((meeting, param)) => {
                        tasks.push(Task::Complete(param, meeting, from));
                        let reads = tasks.len();
                        let mut next = self.blocks[meeting].first_edge;
                        while let Some(edge) = next {
                            tasks.push(Task::Read(self.edges[edge as usize].from));
                            next = self.edges[edge as usize].next;
                        }
                        // Earlier edges first: what they find is met on the way from later ones.
                        tasks[reads..].reverse();
                    }
                },
                Task::Complete(param, meeting, from) => {
                    let count = self.blocks[meeting].edges as usize;
                    self.spend(count)?;
                    let args = found.split_off(found.len() - count);
                    self.complete(param, &args);
                    let value = self.params[param as usize].value;
                    let value = self.resolve(value);
                    self.defs.insert(key(meeting, local), value);
                    self.defs.insert(key(from, local), value);
                    found.push(value);
                }
            }
        }
        let value = found.pop().expect("the first task left its value");
        assert!(found.is_empty(), "every other value was an argument");
        (self.tasks, self.found) = (tasks, found);
        Ok(value)
    }

    /// The value of a local at the end of `block` if a walk through single predecessors finds it;
    /// otherwise the block where values meet, with a new parameter.
    #[allow(clippy::type_complexity, reason = "a name for it would say less")]
    fn nearest(
        &mut self,
        func: &mut Func,
        block: Block,
        local: u32,
    ) -> Result<Result<Value, (Block, u32)>, Limit> {
        let mut at = block;
        let value = loop {
            self.spend(1)?;
            if let Some(&value) = self.defs.get(&key(at, local)) {
                break self.resolve(value);
            }
            let info = &self.blocks[at];
            match (info.sealed, info.edges) {
                (true, 0) => break self.zero(func, self.locals[local as usize]),
                (true, 1) => {
                    let edge = info.first_edge.expect("the block has an edge");
                    at = self.edges[edge as usize].from;
                }
                (sealed, _) => {
                    let param = self.params.len() as u32;
                    let value = func.add_param(at, self.locals[local as usize]);
                    self.params.push(LocalParam {
                        local,
                        value,
                        args: 0,
                    });
                    self.blocks[at].locals.push(param);
                    self.defs.insert(key(at, local), value);
                    if sealed {
                        return Ok(Err((at, param)));
                    }
                    break value;
                }
            }
        };
        if at != block {
            self.defs.insert(key(block, local), value);
        }
        Ok(Ok(value))
    }

    /// Gives a parameter its arguments, or replaces it if they are all alike.
    fn complete(&mut self, param: u32, args: &[Value]) {
        let value = self.params[param as usize].value;
        let mut only = None;
        let mut alike = true;
        for &arg in args {
            let arg = self.resolve(arg);
            if arg == value || only == Some(arg) {
                continue;
            }
            alike = only.is_none();
            only = Some(arg);
            if !alike {
                break;
            }
        }
        match only {
            Some(by) if alike => self.aliases.replace(value, by),
            _ => {
                self.params[param as usize].args = self.args.len();
                self.args.extend_from_slice(args);
            }
        }
    }

    /// The constant 0 of a type, in the entry block.
    pub(super) fn zero(&mut self, func: &mut Func, ty: Type) -> Value {
        let place = match ty {
            Type::I32 => 0,
            Type::I64 => 1,
            Type::F32 => 2,
            Type::F64 => 3,
            Type::V128 => 4,
        };
        *self.zeros[place].get_or_insert_with(|| {
            let data = match ty {
                Type::V128 => InstData::VectorConst { bytes: [0; 16] },
                _ => InstData::Const { bits: 0 },
            };
            let inst = func.make_inst(data, &[ty], 0);
            self.zero_insts.push(inst);
            func.result(inst)
        })
    }

    /// Completes the function: parameters, branch arguments and uses are what they stand for.
    ///
    /// # Errors
    /// If the body has used up its steps.
    pub(super) fn finish(mut self, func: &mut Func) -> Result<(), Limit> {
        self.clean()?;
        self.clear_variables(func);
        let entry = func.entry();
        let mut insts = std::mem::take(&mut self.zero_insts);
        insts.append(&mut func.blocks[entry].insts);
        func.blocks[entry].insts = insts;
        self.aliases.rewrite(func);
        let lists = self.make_edge_lists(func)?;
        self.set_targets(func, &lists);
        for block in func.order.clone() {
            let mut params = std::mem::take(&mut func.blocks[block].params);
            params.retain(|&param| !self.aliases.is_replaced(param));
            func.blocks[block].params = params;
        }
        Ok(())
    }

    /// Has the variables of locals begin as zero; arguments are written over that.
    fn clear_variables(&mut self, func: &mut Func) {
        for variable in 0..func.frame.len() as u32 {
            let value = self.zero(func, func.frame[variable as usize]);
            let inst = func.make_inst(InstData::FrameSet { variable, value }, &[], 0);
            self.zero_insts.push(inst);
        }
    }

    /// Looks again for needless parameters among those of locals.
    fn clean(&mut self) -> Result<(), Limit> {
        for _ in 0..CLEANING_ROUNDS {
            let mut changed = false;
            for block in self.blocks.ids() {
                let count = self.blocks[block].edges as usize;
                for i in 0..self.blocks[block].locals.len() {
                    let index = self.blocks[block].locals[i] as usize;
                    let LocalParam { value, args, .. } = self.params[index];
                    if self.aliases.is_replaced(value) {
                        continue;
                    }
                    let mut only = None;
                    let mut alike = true;
                    for arg in args..args + count {
                        self.spend(1)?;
                        let arg = self.resolve(self.args[arg]);
                        if arg != value && only != Some(arg) {
                            alike = only.is_none();
                            only = Some(arg);
                            if !alike {
                                break;
                            }
                        }
                    }
                    if let (Some(by), true) = (only, alike) {
                        self.aliases.replace(value, by);
                        changed = true;
                    }
                }
            }
            if !changed {
                break;
            }
        }
        Ok(())
    }

    /// The final argument list of each edge.
    fn make_edge_lists(&mut self, func: &mut Func) -> Result<Vec<ValueList>, Limit> {
        let mut lists = vec![ValueList::default(); self.edges.len()];
        let mut values = Vec::new();
        for block in self.blocks.ids() {
            let info = std::mem::take(&mut self.blocks[block]);
            let kept: Vec<usize> = info
                .locals
                .iter()
                .map(|&p| &self.params[p as usize])
                .filter(|p| !self.aliases.is_replaced(p.value))
                .map(|p| p.args)
                .collect();
            let mut next = info.first_edge;
            let mut position = 0;
            while let Some(edge) = next {
                let stack_args = self.edges[edge as usize].args;
                self.spend(kept.len() + stack_args.len())?;
                self.args_left = self.args_left.checked_sub(kept.len() as u64).ok_or(Limit {
                    what: "arguments of branches that stand for locals, per byte of the body,",
                    max: ARGS[1],
                })?;
                values.clear();
                values.extend_from_slice(func.list(stack_args));
                values.extend(kept.iter().map(|args| self.args[args + position]));
                for value in &mut values {
                    *value = self.resolve(*value);
                }
                lists[edge as usize] = func.make_list(&values);
                next = self.edges[edge as usize].next;
                position += 1;
            }
        }
        Ok(lists)
    }

    /// Puts the argument lists in the branches; an edge of a switch that has some gets a block of
    /// its own that brings them.
    fn set_targets(&mut self, func: &mut Func, lists: &[ValueList]) {
        for (edge, &args) in self.edges.iter().zip(lists) {
            if let (Slot::Handler(slot), &InstData::Catch { handlers, .. }) =
                (edge.slot, &func.insts[edge.inst].data)
            {
                func.handlers[handlers as usize][slot as usize].args = args;
            }
            if let Slot::Fixed(slot) = edge.slot {
                match &mut func.insts[edge.inst].data {
                    InstData::Jump { to } | InstData::Catch { to, .. } => to.args = args,
                    InstData::Branch { to, .. } => to[slot as usize].args = args,
                    other => unreachable!("{other:?} has no fixed targets"),
                }
            }
        }
        let mut between: HashMap<u32, Vec<Block>> = HashMap::new();
        for SwitchEdges { inst, edges } in std::mem::take(&mut self.switches) {
            let InstData::Switch { targets, .. } = func.insts[inst].data else {
                unreachable!("only switches have edges of switches");
            };
            let mut made: HashMap<u32, Block> = HashMap::new();
            for (entry, edge) in edges.into_iter().enumerate() {
                let args = lists[edge as usize];
                if args.is_empty() {
                    continue;
                }
                let source = func.insts[inst].source;
                let target = func.switches[targets as usize][entry].block;
                let block = *made.entry(edge).or_insert_with(|| {
                    let block = func.make_block();
                    let to = BlockCall { block: target, args };
                    let jump = func.make_inst(InstData::Jump { to }, &[], source);
                    func.blocks[block].insts.push(jump);
                    let from = self.edges[edge as usize].from;
                    between.entry(from.as_u32()).or_default().push(block);
                    block
                });
                func.switches[targets as usize][entry] = BlockCall {
                    block,
                    args: ValueList::default(),
                };
            }
        }
        if between.is_empty() {
            return;
        }
        let mut order = Vec::with_capacity(func.order.len() + between.len());
        for &block in &func.order {
            order.push(block);
            order.extend(between.remove(&block.as_u32()).unwrap_or_default());
        }
        func.order = order;
    }
}

fn key(block: Block, local: u32) -> u64 {
    u64::from(block.as_u32()) << 32 | u64::from(local)
}

/// Hashes the keys of `Ssa::defs`; its iteration order is never used.
#[derive(Default)]
pub(super) struct Mix(u64);

impl Hasher for Mix {
    fn write(&mut self, _bytes: &[u8]) {
        unreachable!("keys are u64");
    }

    fn write_u64(&mut self, key: u64) {
        // A local in blocks that follow each other lies together: where there are millions of them, what is
        // read next is in the cache. The low bits say where it lies, the high ones tell neighbours apart.
        let near = key >> 32 & 15;
        // A multiplication by the golden ratio spreads; folding brings the high bits down.
        let wide = u128::from(key ^ near << 32 ^ 0x5bd1_e995_9d1b_54a5) * 0x9e37_79b9_7f4a_7c15;
        self.0 = (wide as u64) ^ ((wide >> 64) as u64) ^ near ^ near << 60;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
