//! Register allocation: the crate `regalloc2` behind one function, and an allocator of our own for
//! functions that would take that one more than linear time, or too much memory.
//!
//! Requires edges from a block with several successors to a block with several predecessors to be
//! split. Guarantees hardware registers that fulfil the roles of each row; in debug builds the
//! answer is checked symbolically. The allocator inserts moves between instructions and never
//! changes flags.

mod linear;
mod order;

use crate::Passes;
use cellwall_abi::convention;
use cellwall_base::EntityId;
use cellwall_isa::x64::{Inst, MFunc, Role, Row, Width};
use cellwall_isa::{Class, Phys, Reg, Virt};
use regalloc2 as ra;
use regalloc2::{
    Allocation, Edit, InstOrEdit, Operand, OperandConstraint, OperandKind, OperandPos, PReg, VReg,
};
use std::ops::Range;

/// Storage that is used again from function to function.
pub(crate) struct Scratch {
    env: ra::MachineEnv,
    ctx: ra::Ctx,
    view: Lists,
    insts: Vec<Inst>,
    blocks: Vec<Range<u32>>,
}

impl Default for Scratch {
    fn default() -> Self {
        Self {
            env: environment(),
            ctx: ra::Ctx::default(),
            view: Lists::default(),
            insts: Vec::new(),
            blocks: Vec::new(),
        }
    }
}

/// The function in the allocator's words.
#[derive(Default)]
struct Lists {
    /// For each virtual register, its first and last mention in layout order.
    spans: Vec<(u32, u32)>,
    /// For each value: another one that it flows into or from (itself at the root of a group), and
    /// how often it is mentioned.
    groups: Vec<(u32, u32)>,
    operands: Vec<Operand>,
    /// End of each instruction's operands.
    ends: Vec<u32>,
    succs: Vec<ra::Block>,
    preds: Vec<ra::Block>,
    /// End of each block's predecessors.
    pred_ends: Vec<u32>,
    regs: Vec<VReg>,
}

struct View<'a> {
    func: &'a MFunc<Virt>,
    lists: &'a Lists,
}

/// Allocates registers.
///
/// # Panics
/// If the allocator refuses the function, or its answer is wrong (in tests): both are our bugs.
pub(crate) fn regalloc(func: MFunc<Virt>, passes: Passes, scratch: &mut Scratch) -> MFunc<Phys> {
    // What is larger than this is not even surveyed.
    let large = func.virtual_regs as usize > VREGS_MAX || func.insts.len() > INSTS_MAX;
    if !large {
        scratch.view.fill(&func);
    }
    if large || !passes.contains(Passes::REGISTERS) || scratch.view.is_hostile() {
        return by_linear(func, scratch);
    }
    by_graph(func, scratch)
}

/// How many instructions a function may have before the allocator that takes little memory is
/// chosen. The other one takes about half a kilobyte for each.
const INSTS_MAX: usize = 1 << 20;

/// How many virtual registers a function may have before the same. The other one can tell twice as
/// many apart, its own ones included.
const VREGS_MAX: usize = VReg::MAX / 2;

/// How many values may be alive at once on average before the allocator that takes linear time is
/// chosen. The other one takes time in proportion to it.
const LIVE_VALUES_MAX: u64 = 256;

/// How much work the merging and splitting of values that flow into each other may be before the
/// allocator that takes linear time is chosen: the sum of the squares of how often the values of
/// each such group are mentioned. The other one takes time in proportion to it, about a
/// nanosecond each.
const MERGING_WORK_MAX: u64 = 250_000_000;

/// How far apart a block and those before it may lie in all, in blocks, before the allocator that
/// needs no dominators is chosen: the other one walks from each of them up to where they part.
const DOMINATOR_WORK_MAX: u64 = 250_000_000;

/// Storage of so many instructions is kept for the next function; larger functions are rare.
const INSTS_KEPT_MAX: usize = 1 << 20;

fn by_linear(func: MFunc<Virt>, scratch: &mut Scratch) -> MFunc<Phys> {
    let slots = linear::allocate(&func, &mut scratch.insts, &mut scratch.blocks);
    let mut storage = std::mem::take(&mut scratch.insts);
    let large = storage.len() > INSTS_KEPT_MAX;
    if large {
        storage.shrink_to_fit();
    }
    let (phys, old) = func.allocated(storage, &scratch.blocks, slots);
    if !large {
        scratch.insts = old;
    }
    phys
}

fn by_graph(func: MFunc<Virt>, scratch: &mut Scratch) -> MFunc<Phys> {
    let view = View {
        func: &func,
        lists: &scratch.view,
    };
    let output = match allocate(&view, &scratch.env, &mut scratch.ctx) {
        Ok(()) => &scratch.ctx.output,
        // It has limits that the survey does not see.
        Err(ra::RegAllocError::TooManyLiveRegs | ra::RegAllocError::TooManyOperands) => {
            return by_linear(func, scratch);
        }
        Err(error) => panic!("the register allocator refuses the function: {error:?}\n{func}"),
    };
    #[cfg(test)]
    check(&view, &scratch.env, output);
    scratch.insts.clear();
    scratch.blocks.clear();
    scratch.insts.reserve(func.insts.len() * 5 / 4);
    for block in func.blocks.ids() {
        let start = scratch.insts.len() as u32;
        for item in output.block_insts_and_edits(&view, ra::Block::new(block.index())) {
            match item {
                InstOrEdit::Inst(at) => {
                    let inst = func.insts[at.index()];
                    scratch.insts.push(replace(inst, output.inst_allocs(at)));
                }
                InstOrEdit::Edit(Edit::Move { from, to }) => {
                    scratch.insts.push(move_between(*from, *to, &func));
                }
            }
        }
        scratch.blocks.push(start..scratch.insts.len() as u32);
    }
    let slots = func.slots + output.num_spillslots as u32;
    let storage = std::mem::take(&mut scratch.insts);
    let (phys, old) = func.allocated(storage, &scratch.blocks, slots);
    scratch.insts = old;
    phys
}

fn allocate(view: &View<'_>, env: &ra::MachineEnv, ctx: &mut ra::Ctx) -> Result<(), ra::RegAllocError> {
    let options = ra::RegallocOptions {
        verbose_log: false,
        validate_ssa: cfg!(debug_assertions),
        algorithm: ra::Algorithm::Ion,
    };
    ra::run_with_ctx(view, env, &options, ctx).map(|_| ())
}

#[cfg(test)]
fn check(view: &View<'_>, env: &ra::MachineEnv, output: &ra::Output) {
    let mut checker = ra::checker::Checker::new(view, env);
    checker.prepare(output);
    if let Err(errors) = checker.run() {
        panic!("the register allocation is wrong: {errors:?}");
    }
}

/// All registers but the pinned ones; those that need not be saved first.
fn environment() -> ra::MachineEnv {
    let pinned = [convention::STACK, convention::CONTEXT, convention::BASE];
    let gprs = |saved: bool| -> ra::PRegSet {
        (0..16)
            .filter(|r| !pinned.contains(r) && convention::CALLEE_SAVED.contains(r) == saved)
            .map(|r| PReg::new(r as usize, ra::RegClass::Int))
            .collect()
    };
    let xmms =
        |range: Range<usize>| -> ra::PRegSet { range.map(|r| PReg::new(r, ra::RegClass::Float)).collect() };
    ra::MachineEnv {
        preferred_regs_by_class: [gprs(false), xmms(0..8), ra::PRegSet::empty()],
        non_preferred_regs_by_class: [gprs(true), xmms(8..16), ra::PRegSet::empty()],
        scratch_by_class: [None; 3],
        fixed_stack_slots: Vec::new(),
    }
}

fn class(class: Class) -> ra::RegClass {
    match class {
        Class::Int => ra::RegClass::Int,
        Class::Float => ra::RegClass::Float,
    }
}

fn vreg(reg: Reg) -> Option<VReg> {
    Some(VReg::new(reg.virt_index()? as usize, class(reg.class())))
}

fn hardware(reg: Reg) -> PReg {
    PReg::new(reg.number() as usize, class(reg.class()))
}

fn reg_of(preg: PReg) -> Reg {
    let number = preg.hw_enc() as u8;
    match preg.class() {
        ra::RegClass::Int => Reg::gpr(number),
        _ => Reg::xmm(number),
    }
}

fn operand(vreg: VReg, role: Role) -> Operand {
    use OperandConstraint::{FixedReg, Reg, Reuse};
    use OperandKind::{Def, Use};
    use OperandPos::{Early, Late};
    let fixed = |number: u8| FixedReg(PReg::new(number as usize, vreg.class()));
    let (constraint, kind, pos) = match role {
        Role::Use => (Reg, Use, Early),
        Role::UseFixed(number) => (fixed(number), Use, Early),
        Role::Def => (Reg, Def, Late),
        Role::DefEarly => (Reg, Def, Early),
        Role::DefFixed(number) => (fixed(number), Def, Late),
        Role::DefFixedEarly(number) => (fixed(number), Def, Early),
        Role::DefTied => (Reuse(0), Def, Late),
    };
    Operand::new(vreg, constraint, kind, pos)
}

/// The instruction with the registers that its operands got.
fn replace(mut inst: Inst, allocs: &[Allocation]) -> Inst {
    let mut allocs = allocs.iter();
    inst.visit(&mut |reg, _| {
        if reg.virt_index().is_some() {
            let alloc = allocs.next().expect("there is an allocation for every operand");
            *reg = reg_of(alloc.as_reg().expect("every operand asks for a register"));
        }
    });
    // A tied source is where the destination is.
    if inst.is_tied() {
        inst.src = inst.dst;
    }
    inst
}

/// A move between registers and frame slots, of which the first ones are taken.
fn move_between(from: Allocation, to: Allocation, func: &MFunc<Virt>) -> Inst {
    let spill = Spill::of(func);
    let slot = |alloc: Allocation| {
        let slot = alloc.as_stack().expect("an allocation is a register or a slot");
        func.slots + slot.index() as u32
    };
    let reg = |alloc: Allocation| alloc.as_reg().map(reg_of);
    match (reg(from), reg(to)) {
        (Some(from), Some(to)) => move_between_registers(from, to),
        (Some(from), None) => spill.to_slot(from, slot(to)),
        (None, Some(to)) => spill.of_slot(slot(from), to),
        (None, None) => unreachable!("the allocator moves through a register"),
    }
}

/// A move between registers of a class; 64 bits of integers, vectors whole.
fn move_between_registers(from: Reg, to: Reg) -> Inst {
    match from.class() {
        Class::Int => Inst::new(Row::Mov, Width::W64).dst(to).rm(from),
        Class::Float => Inst::new(Row::FMov, Width::W32).dst(to).rm(from),
    }
}

/// How registers are kept in the frame. Where a function has vectors, every vector register is kept
/// whole, whatever it holds: a value is never kept in part.
#[derive(Clone, Copy)]
pub(crate) struct Spill {
    vectors: bool,
}

impl Spill {
    /// How a function keeps them.
    fn of(func: &MFunc<Virt>) -> Self {
        Self {
            vectors: func.vectors,
        }
    }

    /// How a value is kept that is a vector, or is not.
    pub(crate) const fn value(vectors: bool) -> Self {
        Self { vectors }
    }

    /// How many slots a register of a class takes. Two begin at an even number.
    fn slots(self, class: Class) -> u32 {
        match class {
            Class::Float if self.vectors => 2,
            _ => 1,
        }
    }

    pub(crate) fn to_slot(self, from: Reg, slot: u32) -> Inst {
        let (row, width) = match from.class() {
            Class::Int => (Row::MovStore, Width::W64),
            Class::Float if self.vectors => (Row::VStore, Width::W128),
            Class::Float => (Row::FStore, Width::W64),
        };
        Inst::new(row, width).src(from).slot(slot)
    }

    pub(crate) fn of_slot(self, slot: u32, to: Reg) -> Inst {
        let (row, width) = match to.class() {
            Class::Int => (Row::Mov, Width::W64),
            Class::Float if self.vectors => (Row::VLoad, Width::W128),
            Class::Float => (Row::FLoad, Width::W64),
        };
        Inst::new(row, width).dst(to).slot(slot)
    }
}

/// Where a hardware register is in tables: vector registers follow the others.
fn index(reg: Reg) -> usize {
    usize::from(reg.number()) + if reg.class() == Class::Float { 16 } else { 0 }
}

fn bit(reg: Reg) -> u32 {
    1 << index(reg)
}

fn register(index: usize) -> Reg {
    match index {
        0..16 => Reg::gpr(index as u8),
        _ => Reg::xmm(index as u8 - 16),
    }
}

/// The registers of a class that are not pinned, as bits.
fn registers(class: Class) -> u32 {
    match class {
        Class::Int => 0xffff & !(1 << convention::STACK | 1 << convention::CONTEXT | 1 << convention::BASE),
        Class::Float => 0xffff_0000,
    }
}

/// The registers, as bits, that an instruction destroys beside those that it defines.
fn clobbers(func: &MFunc<Virt>, inst: &Inst) -> u32 {
    match inst.row {
        // A call leaves nothing as it was but the callee-saved registers; its results are
        // definitions.
        Row::Call => {
            let saved = convention::CALLEE_SAVED.iter().map(|&number| Reg::gpr(number));
            let fixed = func.fixed_of(&func.calls[inst.imm as usize]);
            let defined = fixed.iter().filter(|fixed| fixed.def).map(|fixed| fixed.at);
            let all = registers(Class::Int) | registers(Class::Float);
            saved.chain(defined).fold(all, |set, reg| set & !bit(reg))
        }
        // Where an exception lands, the callee-saved ones are gone too.
        Row::Invoke => registers(Class::Int) | registers(Class::Float),
        Row::Switch => bit(func.pins.entry) | bit(func.pins.scratch),
        _ => 0,
    }
}

impl Lists {
    /// Whether very many values are alive at once or flow into each other.
    fn is_hostile(&mut self) -> bool {
        let mentioned = self.spans.iter().filter(|span| span.1 > 0);
        let total: u64 = mentioned.map(|&(first, last)| u64::from(last - first)).sum();
        total > LIVE_VALUES_MAX * (self.ends.len() as u64 + 1000)
            || self.merging_work() > MERGING_WORK_MAX
            || self.dominator_work() > DOMINATOR_WORK_MAX
    }

    /// See [`DOMINATOR_WORK_MAX`].
    fn dominator_work(&self) -> u64 {
        let (mut work, mut start) = (0, 0);
        for (block, &end) in self.pred_ends.iter().enumerate() {
            for pred in &self.preds[start..end as usize] {
                work += block.saturating_sub(pred.index()) as u64;
            }
            start = end as usize;
        }
        work
    }

    fn mention(&mut self, vreg: VReg, at: u32) {
        let span = &mut self.spans[vreg.vreg()];
        *span = (span.0.min(at), span.1.max(at));
        self.groups[vreg.vreg()].1 += 1;
    }

    /// The value that stands for the group of this one.
    fn group(&mut self, mut vreg: usize) -> usize {
        // Ends: a way to a root has no circle, and each step halves it.
        while self.groups[vreg].0 as usize != vreg {
            let next = self.groups[vreg].0 as usize;
            self.groups[vreg].0 = self.groups[next].0;
            vreg = next;
        }
        vreg
    }

    fn flows(&mut self, arg: VReg, param: VReg) {
        let (arg, param) = (self.group(arg.vreg()), self.group(param.vreg()));
        self.groups[arg].0 = param as u32;
    }

    /// See [`MERGING_WORK_MAX`].
    fn merging_work(&mut self) -> u64 {
        for vreg in 0..self.groups.len() {
            let root = self.group(vreg);
            if root != vreg {
                self.groups[root].1 += std::mem::take(&mut self.groups[vreg].1);
            }
        }
        self.groups
            .iter()
            .map(|&(_, count)| u64::from(count).pow(2))
            .sum()
    }

    fn fill(&mut self, func: &MFunc<Virt>) {
        self.operands.clear();
        self.ends.clear();
        self.spans.clear();
        self.spans.resize(func.virtual_regs as usize, (u32::MAX, 0));
        self.groups.clear();
        self.groups.extend((0..func.virtual_regs).map(|vreg| (vreg, 0)));
        for (at, mut inst) in func.insts.iter().copied().enumerate() {
            let start = self.operands.len();
            if inst.row.is_listed() {
                for fixed in func.fixed_of(&func.calls[inst.imm as usize]) {
                    let vreg = vreg(fixed.reg).expect("registers of calls are virtual");
                    let number = fixed.at.number();
                    let role = if inst.row == Row::Landed {
                        // Early, so that nothing is brought into these registers before.
                        Role::DefFixedEarly(number)
                    } else if fixed.def {
                        Role::DefFixed(number)
                    } else {
                        Role::UseFixed(number)
                    };
                    self.operands.push(operand(vreg, role));
                }
            } else {
                inst.visit(&mut |reg, role| {
                    if let Some(vreg) = vreg(*reg) {
                        self.operands.push(operand(vreg, role));
                    }
                });
            }
            self.ends.push(self.operands.len() as u32);
            for at_operand in start..self.operands.len() {
                self.mention(self.operands[at_operand].vreg(), at as u32);
            }
        }
        self.regs.clear();
        self.regs.extend(
            func.regs
                .iter()
                .map(|&r| vreg(r).expect("block parameters are virtual")),
        );
        self.fill_edges(func);
        self.mention_edges(func);
    }

    /// Parameters are mentioned at the head of their block, arguments at the end of theirs.
    fn mention_edges(&mut self, func: &MFunc<Virt>) {
        for block in func.blocks.ids() {
            let from = &func.blocks[block];
            for at in from.params.clone() {
                self.mention(self.regs[at as usize], from.insts.start);
            }
            for edge in func.edges_of(block) {
                let params = func.blocks[edge.to].params.clone();
                for (arg, param) in edge.args.clone().zip(params) {
                    let (arg, param) = (self.regs[arg as usize], self.regs[param as usize]);
                    self.mention(arg, from.insts.end - 1);
                    self.flows(arg, param);
                }
            }
        }
    }

    fn fill_edges(&mut self, func: &MFunc<Virt>) {
        self.succs.clear();
        self.succs
            .extend(func.edges.iter().map(|e| ra::Block::new(e.to.index())));
        self.pred_ends.clear();
        self.pred_ends.resize(func.blocks.len(), 0);
        for edge in &func.edges {
            self.pred_ends[edge.to.index()] += 1;
        }
        let mut total = 0;
        for count in &mut self.pred_ends {
            total += *count;
            // For now where the block's predecessors start; each one filled in moves it.
            *count = total - *count;
        }
        self.preds.clear();
        self.preds.resize(func.edges.len(), ra::Block::invalid());
        for block in func.blocks.ids() {
            for edge in func.edges_of(block) {
                let at = &mut self.pred_ends[edge.to.index()];
                self.preds[*at as usize] = ra::Block::new(block.index());
                *at += 1;
            }
        }
    }
}

impl View<'_> {
    fn block(&self, block: ra::Block) -> cellwall_isa::x64::Block {
        cellwall_isa::x64::Block::new(block.index())
    }

    fn regs(&self, range: &Range<u32>) -> &[VReg] {
        &self.lists.regs[range.start as usize..range.end as usize]
    }
}

/// The part of a flat list that ends at `ends[index]`.
fn part<'a, T>(list: &'a [T], ends: &[u32], index: usize) -> &'a [T] {
    let start = if index == 0 { 0 } else { ends[index - 1] };
    &list[start as usize..ends[index] as usize]
}

impl ra::Function for View<'_> {
    fn num_insts(&self) -> usize {
        self.func.insts.len()
    }

    fn num_blocks(&self) -> usize {
        self.func.blocks.len()
    }

    fn entry_block(&self) -> ra::Block {
        ra::Block::new(0)
    }

    fn block_insns(&self, block: ra::Block) -> ra::InstRange {
        let range = &self.func.blocks[self.block(block)].insts;
        ra::InstRange::new(
            ra::Inst::new(range.start as usize),
            ra::Inst::new(range.end as usize),
        )
    }

    fn block_succs(&self, block: ra::Block) -> &[ra::Block] {
        let range = &self.func.blocks[self.block(block)].edges;
        &self.lists.succs[range.start as usize..range.end as usize]
    }

    fn block_preds(&self, block: ra::Block) -> &[ra::Block] {
        part(&self.lists.preds, &self.lists.pred_ends, block.index())
    }

    fn block_params(&self, block: ra::Block) -> &[VReg] {
        self.regs(&self.func.blocks[self.block(block)].params)
    }

    fn is_ret(&self, inst: ra::Inst) -> bool {
        let row = self.func.insts[inst.index()].row;
        row.leaves() || row == Row::Trap
    }

    fn is_branch(&self, inst: ra::Inst) -> bool {
        matches!(
            self.func.insts[inst.index()].row,
            Row::Jump | Row::Branch | Row::Switch | Row::Invoke
        )
    }

    fn branch_blockparams(&self, block: ra::Block, _inst: ra::Inst, succ: usize) -> &[VReg] {
        self.regs(&self.func.edges_of(self.block(block))[succ].args)
    }

    fn inst_operands(&self, inst: ra::Inst) -> &[Operand] {
        part(&self.lists.operands, &self.lists.ends, inst.index())
    }

    fn inst_clobbers(&self, inst: ra::Inst) -> ra::PRegSet {
        let mut left = clobbers(self.func, &self.func.insts[inst.index()]);
        let mut set = ra::PRegSet::empty();
        while left != 0 {
            set.add(hardware(register(left.trailing_zeros() as usize)));
            left &= left - 1;
        }
        set
    }

    fn num_vregs(&self) -> usize {
        self.func.virtual_regs as usize
    }

    fn spillslot_size(&self, class: ra::RegClass) -> usize {
        let class = match class {
            ra::RegClass::Int => Class::Int,
            _ => Class::Float,
        };
        Spill::of(self.func).slots(class) as usize
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Allocates by the allocator for functions with very many values.
    pub(crate) fn regalloc_linear(func: MFunc<Virt>, scratch: &mut Scratch) -> MFunc<Phys> {
        by_linear(func, scratch)
    }

    #[test]
    fn the_algorithm_depends_on_how_large_groups_are() {
        let lists = |values: u32| {
            let mut lists = Lists {
                ends: vec![0; 100_000],
                spans: vec![(u32::MAX, 0); values as usize],
                groups: (0..values).map(|value| (value, 0)).collect(),
                ..Lists::default()
            };
            for value in 0..values as usize {
                let vreg = |number| VReg::new(number, ra::RegClass::Int);
                lists.mention(vreg(value), 1);
                lists.flows(vreg(value), vreg(value / 2));
            }
            lists
        };
        assert!(!lists(15_000).is_hostile());
        assert!(lists(17_000).is_hostile());
    }

    #[test]
    fn the_algorithm_depends_on_how_many_values_are_alive() {
        let lists = |alive: u32| Lists {
            ends: vec![0; 10_000],
            spans: (0..alive).map(|_| (0, 9_999)).collect(),
            ..Lists::default()
        };
        assert!(!lists(200).is_hostile());
        assert!(lists(300).is_hostile());
    }
}
