//! Structured control → blocks.
//!
//! A frame is a WebAssembly block that encloses the current operator. Its label is the block where a
//! branch to it goes: the head of a loop, otherwise the block after its end, which the first branch
//! to it makes. Code after an unconditional branch is skipped up to the end of its frame; frames
//! inside are only counted.

use super::exceptions::Pad;
use super::ssa::Slot;
use super::{Translator, ir_type};
use cellwall_base::{FuncIdx, Limit, TableIdx, TypeIdx};
use cellwall_ir::{Block, BlockCall, CompareOp, Inst, InstData, Trap, Type, Value, ValueList};
use cellwall_wasm::{BlockType, BrTable, Module, Operator, ValType};
use std::collections::HashMap;

/// An enclosing block.
pub(super) struct Frame<'m> {
    pub(super) kind: Kind,
    /// Where a branch to the frame goes, once something does.
    label: Option<Block>,
    /// Height of the operand stack below the frame's parameters.
    pub(super) height: usize,
    params: &'m [ValType],
    results: &'m [ValType],
    /// What catches exceptions here, as an index into `Translator::scopes`.
    pub(super) scope: usize,
}

pub(super) enum Kind {
    /// The function itself.
    Function,
    /// `block`, or the second arm of an `if`.
    Block,
    /// `loop`.
    Loop,
    /// The first arm of an `if`.
    If {
        /// The branch, whose second target is still open.
        branch: Inst,
        /// The block that the branch ends.
        from: Block,
        /// The parameters.
        args: ValueList,
        /// Whether a hint says that the second arm is rare.
        unlikely: bool,
    },
    /// `try_table`.
    TryTable {
        /// A landing pad for each clause, and the label that it branches to.
        pads: Vec<(Pad, u32)>,
    },
    /// `try`, or one of its arms.
    Try {
        /// A landing pad for each arm that is still to come, the next one last.
        pads: Vec<Pad>,
        /// In an arm, the reference to the exception.
        caught: Option<Value>,
    },
}

impl<'m> Frame<'m> {
    pub(super) fn of_function(results: &'m [ValType]) -> Self {
        Self {
            kind: Kind::Function,
            label: None,
            height: 0,
            params: &[],
            results,
            scope: 0,
        }
    }

    /// The frame of an inlined body: a block whose operands are in locals.
    pub(super) fn of_inlined(results: &'m [ValType], height: usize, scope: usize) -> Self {
        Self {
            kind: Kind::Block,
            label: None,
            height,
            params: &[],
            results,
            scope,
        }
    }

    /// The types of the values that a branch to the frame takes.
    fn label_types(&self) -> &'m [ValType] {
        match self.kind {
            Kind::Loop => self.params,
            _ => self.results,
        }
    }
}

/// Parameter and result types of a block.
pub(super) fn block_types(module: &Module, ty: BlockType) -> (&[ValType], &[ValType]) {
    match ty {
        BlockType::Empty => (&[], &[]),
        BlockType::Type(ty) => (
            &[],
            match ValType::of(ty) {
                ValType::I32 => &[ValType::I32],
                ValType::I64 => &[ValType::I64],
                ValType::F32 => &[ValType::F32],
                ValType::F64 => &[ValType::F64],
                ValType::V128 => &[ValType::V128],
                ValType::FuncRef => &[ValType::FuncRef],
                ValType::ExternRef => &[ValType::ExternRef],
                ValType::ExnRef => &[ValType::ExnRef],
                ValType::AnyRef => &[ValType::AnyRef],
            },
        ),
        BlockType::FuncType(index) => {
            let ty = &module.types()[TypeIdx::from_u32(index)];
            (&ty.params, &ty.results)
        }
    }
}

/// A branch target whose arguments are not known yet.
pub(super) fn open(block: Block) -> BlockCall {
    BlockCall {
        block,
        args: ValueList::default(),
    }
}

impl<'m> Translator<'m> {
    /// A control operator in reachable code; false if it is none.
    pub(super) fn control(&mut self, operator: &Operator<'_>) -> Result<bool, Limit> {
        match *operator {
            Operator::Unreachable => {
                let trap = Trap::Unreachable;
                self.end_block(InstData::Trap { trap });
            }
            Operator::Block { blockty } => self.enter(Kind::Block, None, blockty),
            Operator::Loop { blockty } => self.enter_loop(blockty),
            Operator::If { blockty } => self.enter_if(blockty)?,
            Operator::Else => self.enter_else()?,
            Operator::End => self.leave()?,
            Operator::Br { relative_depth } => self.branch(relative_depth),
            Operator::BrIf { relative_depth } => self.branch_if(relative_depth)?,
            Operator::BrTable { ref targets } => self.branch_table(targets)?,
            Operator::Return => self.return_body(),
            Operator::BrOnNull { relative_depth } => self.branch_on_null(relative_depth)?,
            Operator::BrOnNonNull { relative_depth } => self.branch_on_non_null(relative_depth)?,
            Operator::BrOnCast {
                relative_depth,
                to_ref_type,
                ..
            } => {
                let cond = self.cast_holds(to_ref_type, true);
                self.branch_on(relative_depth, cond)?;
            }
            Operator::BrOnCastFail {
                relative_depth,
                to_ref_type,
                ..
            } => {
                let cond = self.cast_holds(to_ref_type, false);
                self.branch_on(relative_depth, cond)?;
            }
            Operator::ReturnCallRef { type_index } => self.return_call_ref(TypeIdx::from_u32(type_index)),
            Operator::ReturnCall { function_index } => self.return_call(FuncIdx::from_u32(function_index)),
            Operator::ReturnCallIndirect {
                type_index,
                table_index,
            } => self.return_call_indirect(TypeIdx::from_u32(type_index), TableIdx::from_u32(table_index)),
            _ => return self.exceptions(operator),
        }
        Ok(true)
    }

    /// An operator in unreachable code.
    pub(super) fn skip(&mut self, operator: &Operator<'_>) -> Result<(), Limit> {
        match operator {
            Operator::Block { .. }
            | Operator::Loop { .. }
            | Operator::If { .. }
            | Operator::TryTable { .. }
            | Operator::Try { .. } => self.dead_depth += 1,
            Operator::End | Operator::Delegate { .. } if self.dead_depth > 0 => self.dead_depth -= 1,
            Operator::End | Operator::Delegate { .. } => self.leave()?,
            Operator::Catch { .. } | Operator::CatchAll if self.dead_depth == 0 => self.enter_arm()?,
            Operator::Else if self.dead_depth == 0 => self.enter_else()?,
            _ => {}
        }
        Ok(())
    }

    /// Continues in a block that follows those so far.
    pub(super) fn start(&mut self, block: Block) {
        self.func.order.push(block);
        self.block = Some(block);
    }

    /// Ends the current block; what follows is unreachable.
    pub(super) fn end_block(&mut self, terminator: InstData) -> Inst {
        assert!(terminator.is_terminator());
        let inst = self.build().push(terminator, &[]);
        self.block = None;
        inst
    }

    pub(super) fn enter(&mut self, kind: Kind, label: Option<Block>, ty: BlockType) {
        let (params, results) = block_types(self.module, ty);
        self.frames.push(Frame {
            kind,
            label,
            height: self.stack.len() - params.len(),
            params,
            results,
            scope: self.scope(),
        });
    }

    fn enter_loop(&mut self, ty: BlockType) {
        let (params, _) = block_types(self.module, ty);
        let head = self.make_label(params);
        self.enter(Kind::Loop, Some(head), ty);
        self.loops += 1;
        let args = self.pop_list(params.len());
        self.jump(head, args);
        self.start(head);
        self.stack.extend_from_slice(&self.func.blocks[head].params);
    }

    fn enter_if(&mut self, ty: BlockType) -> Result<(), Limit> {
        let cond = self.pop();
        let args = self.top_list(block_types(self.module, ty).0.len());
        let from = self.block.expect("the code is reachable");
        let then = self.ssa.make_block(&mut self.func, std::iter::empty());
        // The second target is set at `else` or `end`.
        self.hint(then, false);
        let to = [open(then), open(then)];
        let branch = self.end_block(InstData::Branch { cond, to });
        let unlikely = self.hinted() == Some(true);
        let kind = Kind::If {
            branch,
            from,
            args,
            unlikely,
        };
        self.enter(kind, None, ty);
        self.begin_arm(from, branch, 0, then)
    }

    /// Notes a target of the current branch if there is a hint that it is rare: where the branch goes
    /// if `taken`, the other one if not.
    fn hint(&mut self, target: Block, taken: bool) {
        if self.hinted() == Some(taken) {
            self.func.unlikely.push(target);
        }
    }

    /// Whether the current branch is likely taken, if there is a hint.
    fn hinted(&self) -> Option<bool> {
        let body = self.body();
        self.module
            .branch_hint(body.func, self.source.wrapping_sub(body.shift))
    }

    /// Starts a block whose only predecessor is a branch.
    fn begin_arm(&mut self, from: Block, branch: Inst, slot: u8, arm: Block) -> Result<(), Limit> {
        self.ssa
            .add_edge(from, branch, Slot::Fixed(slot), arm, ValueList::default());
        self.ssa.seal(&mut self.func, arm)?;
        self.start(arm);
        Ok(())
    }

    fn set_second_target(&mut self, branch: Inst, target: Block) {
        let InstData::Branch { to, .. } = &mut self.func.insts[branch].data else {
            unreachable!("an `if` ends its block with a branch");
        };
        to[1] = open(target);
    }

    fn enter_else(&mut self) -> Result<(), Limit> {
        let depth = self.frames.len() - 1;
        if self.block.is_some() {
            self.branch(0);
        }
        let frame = &mut self.frames[depth];
        let Kind::If {
            branch,
            from,
            args,
            unlikely,
        } = std::mem::replace(&mut frame.kind, Kind::Block)
        else {
            unreachable!("the validator pairs `else` with `if`");
        };
        self.stack.truncate(frame.height);
        let arm = self.ssa.make_block(&mut self.func, std::iter::empty());
        self.set_second_target(branch, arm);
        self.begin_arm(from, branch, 1, arm)?;
        if unlikely {
            self.func.unlikely.push(arm);
        }
        self.stack.extend_from_slice(self.func.list(args));
        Ok(())
    }

    /// The `end` of a frame.
    pub(super) fn leave(&mut self) -> Result<(), Limit> {
        self.land()?;
        if let Kind::If {
            branch, from, args, ..
        } = self.frame(0).kind
        {
            // Without `else`, the parameters are the results.
            let label = self.label(0);
            self.set_second_target(branch, label);
            self.ssa.add_edge(from, branch, Slot::Fixed(1), label, args);
        }
        let frame = self.frames.last().expect("`end` closes a frame");
        let (height, is_loop) = (frame.height, matches!(frame.kind, Kind::Loop));
        if is_loop {
            self.loops -= 1;
            let head = frame.label.expect("a loop has its head from the start");
            self.ssa.seal(&mut self.func, head)?;
        } else if let Some(label) = frame.label {
            if self.block.is_some() {
                self.branch(0);
            }
            self.ssa.seal(&mut self.func, label)?;
            self.stack.truncate(height);
            self.stack.extend_from_slice(&self.func.blocks[label].params);
            self.start(label);
        }
        if self.block.is_none() {
            self.stack.truncate(height);
        } else if self.frames.len() == 1 {
            self.return_top();
        }
        self.frames.pop();
        Ok(())
    }

    pub(super) fn frame(&mut self, depth: u32) -> &mut Frame<'m> {
        let index = self.frames.len() - 1 - depth as usize;
        &mut self.frames[index]
    }

    /// The block where a branch to a frame goes.
    fn label(&mut self, depth: u32) -> Block {
        if let Some(label) = self.frame(depth).label {
            return label;
        }
        let types = self.frame(depth).label_types();
        let label = self.make_label(types);
        self.frame(depth).label = Some(label);
        label
    }

    fn make_label(&mut self, types: &[ValType]) -> Block {
        self.spend(types.len());
        let types = types.iter().map(|&ty| ir_type(ty));
        self.ssa.make_block(&mut self.func, types)
    }

    fn jump(&mut self, to: Block, args: ValueList) {
        let from = self.block.expect("the code is reachable");
        let inst = self.end_block(InstData::Jump { to: open(to) });
        self.ssa.add_edge(from, inst, Slot::Fixed(0), to, args);
    }

    fn is_function(&self, depth: u32) -> bool {
        depth as usize == self.frames.len() - 1
    }

    pub(super) fn branch(&mut self, depth: u32) {
        if self.is_function(depth) {
            return self.return_top();
        }
        let count = self.frame(depth).label_types().len();
        let args = self.top_list(count);
        let label = self.label(depth);
        self.jump(label, args);
    }

    fn branch_if(&mut self, depth: u32) -> Result<(), Limit> {
        let cond = self.pop();
        self.branch_on(depth, cond)
    }

    /// The reference stays only where it is not null.
    fn branch_on_null(&mut self, depth: u32) -> Result<(), Limit> {
        let reference = self.pop();
        let cond = self.is_null(reference);
        self.branch_on(depth, cond)?;
        self.stack.push(reference);
        Ok(())
    }

    /// The reference is the last argument of the branch.
    fn branch_on_non_null(&mut self, depth: u32) -> Result<(), Limit> {
        let reference = *self.stack.last().expect("the operator type-checked");
        let null = self.is_null(reference);
        let zero = self.constant(Type::I32, 0);
        let cond = self.build().compare(CompareOp::Eq, null, zero);
        self.branch_on(depth, cond)?;
        self.pop();
        Ok(())
    }

    fn branch_on(&mut self, depth: u32, cond: Value) -> Result<(), Limit> {
        let from = self.block.expect("the code is reachable");
        let count = self.frame(depth).label_types().len();
        let args = self.top_list(count);
        let returns = self.is_function(depth);
        let label = if returns {
            self.ssa.make_block(&mut self.func, std::iter::empty())
        } else {
            self.label(depth)
        };
        let next = self.ssa.make_block(&mut self.func, std::iter::empty());
        self.hint(label, false);
        self.hint(next, true);
        let to = [open(label), open(next)];
        let branch = self.end_block(InstData::Branch { cond, to });
        if returns {
            let none = ValueList::default();
            self.ssa.add_edge(from, branch, Slot::Fixed(0), label, none);
            self.ssa.seal(&mut self.func, label)?;
            self.block = Some(label);
            self.end_block(InstData::Return { args });
            self.late.push(label);
        } else {
            self.ssa.add_edge(from, branch, Slot::Fixed(0), label, args);
        }
        self.begin_arm(from, branch, 1, next)
    }

    fn branch_table(&mut self, table: &BrTable<'_>) -> Result<(), Limit> {
        let index = self.pop();
        if table.is_empty() {
            self.branch(table.default());
            return Ok(());
        }
        let from = self.block.expect("the code is reachable");
        let count = self.frame(table.default()).label_types().len();
        let args = self.top_list(count);
        let targets = self.func.switches.len() as u32;
        let switch = self.end_block(InstData::Switch { index, targets });
        let mut edge_of_depth: HashMap<u32, (Block, u32)> = HashMap::new();
        let mut entries = Vec::with_capacity(table.len() as usize + 1);
        let mut edges = Vec::with_capacity(table.len() as usize + 1);
        for depth in table.targets().chain(std::iter::once(Ok(table.default()))) {
            let depth = depth.expect("the operator was read before it was validated");
            let (label, edge) = match edge_of_depth.get(&depth) {
                Some(&known) => known,
                None => {
                    let label = self.label(depth);
                    let edge = self.ssa.add_edge(from, switch, Slot::Switch, label, args);
                    edge_of_depth.insert(depth, (label, edge));
                    (label, edge)
                }
            };
            entries.push(open(label));
            edges.push(edge);
        }
        self.func.switches.push(entries);
        self.ssa.set_switch_edges(switch, edges);
        Ok(())
    }

    /// Returns from the body that the current operator is in.
    fn return_body(&mut self) {
        let depth = self.frames.len() - 1 - self.body().frame;
        self.branch(depth as u32);
    }

    /// Whether a tail call here is one of the function. In an inlined body it is not: there the
    /// frame that it would drop does not exist, and the results go to the code around the body.
    fn is_tail(&self) -> bool {
        self.bodies.len() == 1
    }

    /// A tail call of an inlined body: a call whose results are the body's, unless it was inlined too
    /// and never returns.
    fn tail_of_inlined(&mut self, call: impl FnOnce(&mut Self)) {
        self.outside_of_body(call);
        if self.block.is_some() {
            self.return_body();
        }
    }

    fn return_call(&mut self, func: FuncIdx) {
        if !self.is_tail() {
            return self.tail_of_inlined(|this| this.call(func));
        }
        let (sig, args) = self.call_args(func);
        self.end_block(InstData::ReturnCall { func, sig, args });
    }

    fn return_call_indirect(&mut self, ty: TypeIdx, table: TableIdx) {
        if !self.is_tail() {
            return self.tail_of_inlined(|this| this.call_indirect(ty, table));
        }
        let (sig, args) = self.indirect_args(ty);
        self.end_block(InstData::ReturnCallIndirect { table, ty, sig, args });
    }

    fn return_call_ref(&mut self, ty: TypeIdx) {
        if !self.is_tail() {
            return self.tail_of_inlined(|this| this.call_ref(ty));
        }
        let (sig, args) = self.indirect_args(ty);
        self.end_block(InstData::ReturnCallRef { ty, sig, args });
    }

    /// Returns the topmost values.
    fn return_top(&mut self) {
        let args = self.top_list(self.func.signature.results.len());
        self.end_block(InstData::Return { args });
    }
}
