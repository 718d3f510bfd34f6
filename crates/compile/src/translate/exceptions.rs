//! Exceptions → landing pads.
//!
//! A scope says what catches an exception that is thrown there: the clauses of the blocks around, of
//! those with one tag the innermost alone, and none behind one for all. A call or throw in a scope ends
//! its block with a catch, whose handlers are the landing pads of the scope. The pads of a block are
//! laid out where it ends, if something leads there; each goes on to the label of its clause, or, in
//! the older encoding, to the arm.
//!
//! Requires operators as the walk delivers them; in the older encoding, what is behind a `try` is read
//! ahead ([`cellwall_wasm::tries`]), so that both take the same way. Guarantees that every handler
//! costs steps of those that SSA form is granted.

use super::control::{Kind, open};
use super::ssa::Slot;
use super::{SigKey, Translator, ir_types};
use cellwall_abi::LibCall;
use cellwall_base::{Limit, TagIdx};
use cellwall_ir::{Block, InstData, Trap, Type, Value, ValueList};
use cellwall_wasm::{BlockType, Catch, Operator, TryTable};
use std::collections::BTreeSet;

/// Steps that a handler of a call costs beyond the first: an edge, an entry of the list of handlers, and
/// what follows of them to the unwind rows. A body whose calls have one handler each is in the limits
/// at any size.
const HANDLER_STEPS: usize = 16;

/// A landing pad.
#[derive(Clone, Copy)]
pub(super) struct Pad {
    block: Block,
    tag: Option<TagIdx>,
    with_ref: bool,
}

/// What catches exceptions, innermost first.
#[derive(Default)]
pub(super) struct Scope {
    pads: Vec<Pad>,
}

impl Translator<'_> {
    /// An operator of exceptions in reachable code; false if it is none.
    pub(super) fn exceptions(&mut self, operator: &Operator<'_>) -> Result<bool, Limit> {
        match *operator {
            Operator::TryTable { ref try_table } => self.enter_try_table(try_table),
            Operator::Throw { tag_index } => self.throw(TagIdx::from_u32(tag_index))?,
            Operator::ThrowRef => {
                let exception = self.pop();
                self.throw_again(exception)?;
            }
            Operator::Try { blockty } => self.enter_try(blockty),
            Operator::Catch { .. } | Operator::CatchAll => self.enter_arm()?,
            Operator::Delegate { .. } => self.leave()?,
            Operator::Rethrow { relative_depth } => {
                let Kind::Try { caught, .. } = self.frame(relative_depth).kind else {
                    unreachable!("the validator refuses other labels");
                };
                self.throw_again(caught.expect("the label is that of an arm"))?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// The scope of the current operator.
    pub(super) fn scope(&self) -> usize {
        self.frames
            .last()
            .expect("the function's own frame is there")
            .scope
    }

    /// Does something for which nothing in the current body catches exceptions, but what is around it.
    pub(super) fn outside_of_body(&mut self, act: impl FnOnce(&mut Self)) {
        let around = self.frames[self.body().frame].scope;
        let inside = std::mem::replace(&mut self.frame(0).scope, around);
        let depth = self.frames.len();
        act(self);
        self.frames[depth - 1].scope = inside;
    }

    /// A scope with pads of its own in front of what catches around it.
    fn make_scope(&mut self, own: impl Iterator<Item = Pad>) -> usize {
        let around = self.scope();
        let mut pads: Vec<Pad> = Vec::new();
        let mut known = BTreeSet::new();
        for pad in own.chain(self.scopes[around].pads.iter().copied()) {
            if known.insert(pad.tag) {
                pads.push(pad);
            }
            if pad.tag.is_none() {
                break;
            }
        }
        self.spend(pads.len());
        self.scopes.push(Scope { pads });
        self.scopes.len() - 1
    }

    fn make_pad(&mut self, tag: Option<TagIdx>, with_ref: bool) -> Pad {
        self.spend(1);
        let block = self.ssa.make_block(&mut self.func, std::iter::empty());
        Pad { block, tag, with_ref }
    }

    fn enter_try_table(&mut self, table: &TryTable) {
        let mut pads = Vec::with_capacity(table.catches.len());
        for catch in &table.catches {
            let tag = |tag: u32| Some(TagIdx::from_u32(tag));
            pads.push(match *catch {
                Catch::One { tag: of, label } => (self.make_pad(tag(of), false), label),
                Catch::OneRef { tag: of, label } => (self.make_pad(tag(of), true), label),
                Catch::All { label } => (self.make_pad(None, false), label),
                Catch::AllRef { label } => (self.make_pad(None, true), label),
            });
        }
        let scope = self.make_scope(pads.iter().map(|&(pad, _)| pad).collect::<Vec<_>>().into_iter());
        self.enter(Kind::TryTable { pads }, None, table.ty);
        self.frame(0).scope = scope;
    }

    fn enter_try(&mut self, ty: BlockType) {
        let module = self.module;
        let (func, offset) = (self.body().func, self.source.wrapping_sub(self.body().shift));
        let body = self.bodies.last_mut().expect("the function's own body is there");
        let tries = body
            .tries
            .get_or_insert_with(|| cellwall_wasm::tries(module, func));
        let at = tries.partition_point(|entry| entry.offset < offset);
        // Of a body that turns out to be invalid, nothing may be found; nothing is kept of it then.
        let found = tries.get(at).cloned().unwrap_or_default();
        if let Some(depth) = found.delegate {
            let outermost = self.frames.len() as u32 - 1;
            let scope = self.frame(depth.min(outermost)).scope;
            self.enter(Kind::Block, None, ty);
            self.frame(0).scope = scope;
            return;
        }
        let mut pads: Vec<Pad> = Vec::with_capacity(found.arms.len());
        for arm in &found.arms {
            pads.push(self.make_pad(arm.tag, arm.rethrown));
        }
        let scope = self.make_scope(pads.clone().into_iter());
        pads.reverse();
        self.enter(Kind::Try { pads, caught: None }, None, ty);
        self.frame(0).scope = scope;
    }

    /// `catch` or `catch_all`: the next arm of a `try`.
    pub(super) fn enter_arm(&mut self) -> Result<(), Limit> {
        if self.block.is_some() {
            self.branch(0);
        }
        let outer = self.frames[self.frames.len() - 2].scope;
        let frame = self.frames.last_mut().expect("an arm belongs to a `try`");
        frame.scope = outer;
        let height = frame.height;
        let Kind::Try { pads, .. } = &mut frame.kind else {
            unreachable!("the validator pairs arms with `try`");
        };
        let pad = pads.pop();
        self.stack.truncate(height);
        let Some(pad) = pad.filter(|pad| self.ssa.is_reached(pad.block)) else {
            return Ok(());
        };
        let exception = self.start_pad(pad)?;
        if let Kind::Try { caught, .. } = &mut self.frame(0).kind {
            *caught = Some(exception);
        }
        Ok(())
    }

    /// Goes on where an exception lands, with its values on the stack; the reference to it.
    fn start_pad(&mut self, pad: Pad) -> Result<Value, Limit> {
        self.ssa.seal(&mut self.func, pad.block)?;
        self.start(pad.block);
        let Pad { tag, with_ref, .. } = pad;
        let mut types = vec![Type::I32];
        if let Some(tag) = tag {
            types.extend(ir_types(self.module.tag_values(tag)));
        }
        let height = self.stack.len();
        self.push_results(InstData::LandingPad { tag, with_ref }, &types);
        Ok(self.stack.remove(height))
    }

    /// At the `end` of a `try_table`: its landing pads, each on its way to the label of its clause.
    pub(super) fn land(&mut self) -> Result<(), Limit> {
        let Kind::TryTable { pads } = &mut self.frame(0).kind else {
            return Ok(());
        };
        let mut pads = std::mem::take(pads);
        pads.retain(|(pad, _)| self.ssa.is_reached(pad.block));
        if pads.is_empty() {
            return Ok(());
        }
        if self.block.is_some() {
            self.branch(0);
        }
        for (pad, label) in pads {
            let height = self.stack.len();
            let exception = self.start_pad(pad)?;
            if pad.with_ref {
                self.stack.push(exception);
            }
            // Labels are counted from the block around.
            self.branch(label + 1);
            self.stack.truncate(height);
        }
        Ok(())
    }

    /// Behind a call: where its exceptions go, if something here catches them.
    pub(super) fn catch_call(&mut self) {
        let scope = self.scope();
        let count = self.scopes[scope].pads.len();
        if count == 0 {
            return;
        }
        self.spend(1 + (count - 1) * HANDLER_STEPS);
        if self.failed.is_some() {
            return;
        }
        let from = self.block.expect("the code is reachable");
        let to = self.ssa.make_block(&mut self.func, std::iter::empty());
        let handlers = self.func.handlers.len() as u32;
        let pads = self.scopes[scope].pads.iter();
        self.func.handlers.push(pads.map(|pad| open(pad.block)).collect());
        let data = InstData::Catch {
            to: open(to),
            handlers,
        };
        let none = ValueList::default();
        let inst = self.end_block(data);
        self.ssa.add_edge(from, inst, Slot::Fixed(0), to, none);
        for (slot, pad) in self.scopes[scope].pads.iter().enumerate() {
            self.ssa
                .add_edge(from, inst, Slot::Handler(slot as u32), pad.block, none);
        }
        if let Err(limit) = self.ssa.seal(&mut self.func, to) {
            self.failed.get_or_insert(limit.into());
        }
        self.start(to);
    }

    fn throw(&mut self, tag: TagIdx) -> Result<(), Limit> {
        let sig = self.signature(SigKey::Tag(tag));
        let args = self.pop_list(self.module.tag_values(tag).len());
        self.push_results(InstData::Throw { tag, sig, args }, &[]);
        self.thrown()
    }

    fn throw_again(&mut self, exception: Value) -> Result<(), Limit> {
        self.call_library(LibCall::ThrowRef, &[exception]);
        self.thrown()
    }

    /// Nothing returns from a throw.
    fn thrown(&mut self) -> Result<(), Limit> {
        self.catch_call();
        let trap = Trap::Unreachable;
        self.end_block(InstData::Trap { trap });
        Ok(())
    }
}
