//! Blocks, edges and terminators.
//!
//! An edge from a block with several successors to a block with several predecessors gets a block
//! of its own, where the allocator can place moves; it comes right after its source. Every edge of a
//! catch has one, which defines what the call or the exception brings. Blocks that end in a trap come
//! last, and behind them where exceptions land.

use super::{Lower, trap_code, width_of};
use cellwall_base::EntityId;
use cellwall_ir as ir;
use cellwall_ir::{BinaryOp, BlockCall, CompareOp, InstData, Type, Value};
use cellwall_isa::x64::{Block, Catches, Cond, Edge, Inst, Row, Width};
use std::ops::Range;

/// A machine block.
#[derive(Clone, Copy, Debug)]
enum Node {
    /// An IR block.
    Whole(ir::Block),
    /// An edge: a jump with arguments.
    Edge(BlockCall),
    /// Where a call whose exceptions are caught returns.
    Returned(ir::Inst, BlockCall),
    /// Where an exception lands on its way to a landing pad.
    Landed(BlockCall),
}

/// Machine blocks in order, and where the edges of each go.
#[derive(Default)]
pub(super) struct Layout {
    nodes: Vec<Node>,
    /// For each IR block, its machine block.
    block_of: Vec<u32>,
    /// For each IR block, its outgoing edges in `edges`.
    ranges: Vec<Range<u32>>,
    /// The target and the edge block, if there is one.
    edges: Vec<(BlockCall, Option<u32>)>,
    /// For each switch in `Func::switches`, the edge of each entry.
    switch_edges: Vec<Vec<u32>>,
    preds: Vec<u32>,
    /// For each IR block, the last switch that has an edge to it, and the number of the edge.
    stamps: Vec<(u32, u32)>,
    late: Vec<ir::Block>,
    /// The edges to landing pads.
    landing: Vec<u32>,
}

impl Layout {
    pub(super) fn blocks(&self) -> Range<usize> {
        0..self.nodes.len()
    }

    pub(super) fn fill(&mut self, func: &ir::Func) {
        let blocks = func.blocks.len();
        super::reset(&mut self.block_of, blocks, u32::MAX);
        super::reset(&mut self.ranges, blocks, 0..0);
        super::reset(&mut self.preds, blocks, 0);
        super::reset(&mut self.stamps, blocks, (u32::MAX, 0));
        super::reset(&mut self.switch_edges, func.switches.len(), Vec::new());
        self.edges.clear();
        self.nodes.clear();
        self.late.clear();
        self.landing.clear();
        for &block in &func.order {
            let start = self.edges.len() as u32;
            self.add_edges(func, block, start);
            self.ranges[block.index()] = start..self.edges.len() as u32;
        }
        for (target, _) in &self.edges {
            self.preds[target.block.index()] += 1;
        }
        for (at, &block) in func.order.iter().enumerate() {
            if at > 0 && matches!(func.insts[func.terminator(block)].data, InstData::Trap { .. }) {
                self.late.push(block);
            } else {
                self.place(func, block);
            }
        }
        for block in std::mem::take(&mut self.late) {
            self.place(func, block);
        }
        for edge in std::mem::take(&mut self.landing) {
            let (target, split) = &mut self.edges[edge as usize];
            *split = Some(self.nodes.len() as u32);
            self.nodes.push(Node::Landed(*target));
        }
    }

    fn add_edges(&mut self, func: &ir::Func, block: ir::Block, start: u32) {
        match func.insts[func.terminator(block)].data {
            InstData::Jump { to } => self.edges.push((to, None)),
            InstData::Branch { to, .. } => self.edges.extend(to.map(|to| (to, None))),
            InstData::Switch { targets, .. } => {
                let entries = &func.switches[targets as usize];
                let mut list = Vec::with_capacity(entries.len());
                for &to in entries {
                    // Entries without arguments for the same target share an edge.
                    let (switch, known) = self.stamps[to.block.index()];
                    if switch == targets && to.args.is_empty() {
                        list.push(known);
                        continue;
                    }
                    let edge = self.edges.len() as u32 - start;
                    self.edges.push((to, None));
                    self.stamps[to.block.index()] = (targets, edge);
                    list.push(edge);
                }
                self.switch_edges[targets as usize] = list;
            }
            InstData::Catch { to, handlers } => {
                let handlers = &func.handlers[handlers as usize];
                self.edges
                    .extend([to].iter().chain(handlers).map(|&to| (to, None)));
            }
            _ => {}
        }
    }

    /// Appends a block and the blocks of its critical edges.
    fn place(&mut self, func: &ir::Func, block: ir::Block) {
        self.block_of[block.index()] = self.nodes.len() as u32;
        self.nodes.push(Node::Whole(block));
        let range = self.ranges[block.index()].clone();
        if range.len() < 2 {
            return;
        }
        if let Some(call) = func.caught_call(block) {
            let (target, split) = &mut self.edges[range.start as usize];
            *split = Some(self.nodes.len() as u32);
            self.nodes.push(Node::Returned(call, *target));
            self.landing.extend(range.skip(1));
            return;
        }
        for edge in range {
            let (target, split) = &mut self.edges[edge as usize];
            if self.preds[target.block.index()] > 1 {
                *split = Some(self.nodes.len() as u32);
                self.nodes.push(Node::Edge(*target));
            }
        }
    }

    /// Lowers a machine block from its end; its parameters and edges.
    pub(super) fn block(&self, lower: &mut Lower<'_>, at: usize) -> (Range<u32>, Range<u32>) {
        match self.nodes[at] {
            Node::Edge(to) => {
                let args = lower.args(to);
                lower.emit(Inst::new(Row::Jump, Width::W64));
                lower.flush();
                let edges = lower.add_edges(&[(self.block_of[to.block.index()], args)]);
                (0..0, edges)
            }
            Node::Returned(call, to) => {
                let args = lower.args(to);
                lower.emit(Inst::new(Row::Jump, Width::W64));
                lower.flush();
                lower.returned(call);
                lower.flush();
                let edges = lower.add_edges(&[(self.block_of[to.block.index()], args)]);
                (0..0, edges)
            }
            Node::Landed(to) => {
                let args = lower.args(to);
                lower.emit(Inst::new(Row::Jump, Width::W64));
                lower.flush();
                let (pad, ..) = lower.func.landing_pad(to.block).expect("`ir::check` holds");
                let mut regs = lower.landed(pad);
                lower.flush();
                regs.extend_from_slice(&lower.out.regs[args.start as usize..args.end as usize]);
                let args = lower.add_regs(&regs);
                let edges = lower.add_edges(&[(self.block_of[to.block.index()], args)]);
                (0..0, edges)
            }
            Node::Whole(block) => {
                let edges = self.terminator(lower, block);
                lower.flush();
                lower.body(block);
                let params = &lower.func.blocks[block].params;
                if at == 0 {
                    assert_eq!(self.preds[block.index()], 0, "nothing jumps to the entry block");
                    lower.source = 0;
                    lower.params(params);
                    lower.flush();
                    return (0..0, edges);
                }
                let pad = lower.func.landing_pad(block);
                let given = pad.map(|(pad, ..)| lower.func.insts[pad].results.iter());
                let params: Vec<Value> = given
                    .into_iter()
                    .flatten()
                    .chain(params.iter().copied())
                    .collect();
                (lower.define(&params), edges)
            }
        }
    }

    fn terminator(&self, lower: &mut Lower<'_>, block: ir::Block) -> Range<u32> {
        let inst = lower.func.terminator(block);
        let node = &lower.func.insts[inst];
        lower.source = node.source;
        lower.color = lower.state.color[inst.index()];
        // Arguments first: making a constant may change flags.
        let range = self.ranges[block.index()].clone();
        let mut edges = Vec::with_capacity(range.len());
        for (target, split) in &self.edges[range.start as usize..range.end as usize] {
            edges.push(match split {
                Some(split) => (*split, 0..0),
                None => (self.block_of[target.block.index()], lower.args(*target)),
            });
        }
        match node.data {
            InstData::Jump { .. } => lower.emit(Inst::new(Row::Jump, Width::W64)),
            InstData::Branch { cond, to } => {
                let cond: Cond = match lower.flags_of_next(cond, to) {
                    Some(cond) => cond,
                    None => lower.flags(cond),
                };
                lower.emit(Inst::new(Row::Branch, Width::W64).cond(cond));
            }
            InstData::Switch { index, targets } => {
                let entries = &self.switch_edges[targets as usize];
                if edges.len() == 1 {
                    lower.emit(Inst::new(Row::Jump, Width::W64));
                } else {
                    let index = lower.reg(index);
                    let table = lower.out.tables.len() as i64;
                    lower.out.tables.push(entries.clone());
                    lower.emit(Inst::new(Row::Switch, Width::W64).rm(index).imm(table));
                }
            }
            InstData::Catch { handlers, .. } => {
                let func = lower.func;
                let catches = func.handlers[handlers as usize].iter().map(|to| {
                    let (_, tag, with_ref) = func.landing_pad(to.block).expect("`ir::check` holds");
                    let tag = tag.map(|tag| tag.as_u32());
                    Catches { tag, with_ref }
                });
                lower.caught = Some(catches.collect());
                let call = func.caught_call(block).expect("`ir::check` holds");
                lower.source = func.insts[call].source;
                lower.color = lower.state.color[call.index()];
                lower.inst(call);
            }
            InstData::Return { args } => lower.ret(args),
            InstData::ReturnCall { func, args, .. } => lower.return_call(func, args),
            InstData::ReturnCallRef { ty, args, .. } => lower.return_call_ref(ty, args),
            InstData::ReturnCallIndirect { table, ty, args, .. } => {
                lower.return_call_indirect(table, ty, args);
            }
            InstData::Trap { trap } => {
                lower.emit(Inst::new(Row::Trap, Width::W64).trap(trap_code(trap)));
            }
            _ => unreachable!("`ir::check` holds: the last instruction is a terminator"),
        }
        lower.add_edges(&edges)
    }
}

/// How many arguments of the edges of a branch are looked at.
const ARGS_MAX: usize = 16;

impl Lower<'_> {
    /// The flags for a branch on whether `x` is a constant, where `x + k` goes along an edge: that is
    /// compared instead, so that the counter of a loop can stay in one register.
    fn flags_of_next(&mut self, cond: Value, to: [BlockCall; 2]) -> Option<Cond> {
        let func = self.func;
        let &InstData::Compare { op, args: [x, limit] } = self.data_of(cond)? else {
            return None;
        };
        let ty = func.ty(x);
        let holds = match op {
            CompareOp::Eq => Cond::E,
            CompareOp::Ne => Cond::Ne,
            _ => return None,
        };
        let limit = func.constant(limit)?;
        let args = to.iter().flat_map(|call| func.list(call.args)).take(ARGS_MAX);
        let next = args.copied().find_map(|value| {
            let [base, step] = self.binary_of(value, BinaryOp::Add)?;
            Some((value, func.constant(step).filter(|_| base == x)?))
        });
        let (next, step) = next.filter(|_| self.is_single(cond))?;
        let sum = match ty {
            Type::I32 => i64::from(limit.wrapping_add(step) as i32),
            _ => i64::from(i32::try_from(limit.wrapping_add(step) as i64).ok()?),
        };
        self.take(cond, &[next]);
        let reg = self.reg(next);
        let width = width_of(ty);
        self.emit(match sum {
            0 => Inst::new(Row::Test, width).src(reg).rm(reg),
            _ => Inst::new(Row::CmpImm, width).rm(reg).imm(sum),
        });
        Some(holds)
    }

    /// The arguments of an edge in registers.
    fn args(&mut self, to: BlockCall) -> Range<u32> {
        let func = self.func;
        let list = func.list(to.args);
        // Collected first: making a register may need others.
        let mut regs = Vec::with_capacity(list.len());
        for &value in list {
            regs.push(self.reg(value));
        }
        self.add_regs(&regs)
    }

    /// The parameters of a block as its definitions.
    fn define(&mut self, params: &[Value]) -> Range<u32> {
        let start = self.out.regs.len() as u32;
        for &value in params {
            let reg = self.def(value);
            self.out.regs.push(reg);
        }
        start..self.out.regs.len() as u32
    }

    fn add_regs(&mut self, regs: &[cellwall_isa::Reg]) -> Range<u32> {
        let start = self.out.regs.len() as u32;
        self.out.regs.extend_from_slice(regs);
        start..self.out.regs.len() as u32
    }

    fn add_edges(&mut self, edges: &[(u32, Range<u32>)]) -> Range<u32> {
        let start = self.out.edges.len() as u32;
        self.out.edges.extend(edges.iter().map(|(to, args)| Edge {
            to: Block::from_u32(*to),
            args: args.clone(),
        }));
        start..self.out.edges.len() as u32
    }
}
