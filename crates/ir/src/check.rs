//! The checker that holds between every two passes.
//!
//! Guarantees for an accepted function: blocks end in their only terminator; operators get the types
//! of their rows; branch arguments match the parameters of the target; the entry block's parameters
//! are the function's and nothing branches to it; an I64 address is the result of a bounds check;
//! every use is dominated by its definition. Blocks that cannot be reached are checked for all but
//! dominance.

use crate::func::{Func, InstData, ValueDef};
use crate::op::{LoadOp, StoreOp, Type};
use crate::{Block, Inst, Value};
use cellwall_base::{EntityId, IdMap};
use std::fmt;

/// What is wrong with a function.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CheckError {
    /// The block in which it is wrong.
    pub block: Block,
    /// The instruction, if it is one.
    pub inst: Option<Inst>,
    /// What is wrong.
    pub reason: String,
}

impl fmt::Display for CheckError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.block)?;
        if let Some(inst) = self.inst {
            write!(f, ", {inst}")?;
        }
        write!(f, ": {}", self.reason)
    }
}

impl std::error::Error for CheckError {}

/// Checks a function in time linear in its size (times the nesting depth of its loops).
///
/// # Errors
/// The first thing that is wrong.
pub fn check(func: &Func) -> Result<(), CheckError> {
    let mut checker = Checker {
        func,
        block: Block::new(0),
        inst: None,
    };
    if func.order.is_empty() {
        return checker.fail("there is no block");
    }
    let places = checker.places()?;
    checker.entry()?;
    for &block in &func.order {
        checker.block = block;
        for &inst in &func.blocks[block].insts {
            checker.inst = Some(inst);
            checker.operands(inst)?;
            checker.targets(inst, &places)?;
        }
        checker.inst = None;
    }
    checker.dominance(&places)
}

/// Where each block stands in the order, and where each instruction stands in its block.
struct Places {
    block: IdMap<Block, Option<u32>>,
    inst: IdMap<Inst, Option<(Block, u32)>>,
}

struct Checker<'f> {
    func: &'f Func,
    block: Block,
    inst: Option<Inst>,
}

impl Checker<'_> {
    fn fail<T>(&self, reason: impl Into<String>) -> Result<T, CheckError> {
        Err(CheckError {
            block: self.block,
            inst: self.inst,
            reason: reason.into(),
        })
    }

    fn ensure(&self, holds: bool, reason: &str) -> Result<(), CheckError> {
        if holds { Ok(()) } else { self.fail(reason) }
    }

    /// Each block and instruction stands in one place, and terminators stand at the end.
    fn places(&mut self) -> Result<Places, CheckError> {
        let func = self.func;
        let mut places = Places {
            block: IdMap::filled(None, func.blocks.len()),
            inst: IdMap::filled(None, func.insts.len()),
        };
        for (at, &block) in func.order.iter().enumerate() {
            self.block = block;
            self.ensure(places.block[block].is_none(), "the block is in the order twice")?;
            places.block[block] = Some(at as u32);
            let insts = &func.blocks[block].insts;
            for (at, &inst) in insts.iter().enumerate() {
                self.inst = Some(inst);
                self.ensure(places.inst[inst].is_none(), "the instruction has two places")?;
                places.inst[inst] = Some((block, at as u32));
                let last = at + 1 == insts.len();
                self.ensure(
                    func.insts[inst].data.is_terminator() == last,
                    "a terminator, and only that, ends a block",
                )?;
            }
            self.inst = None;
            self.ensure(!insts.is_empty(), "the block is empty")?;
        }
        Ok(places)
    }

    fn entry(&mut self) -> Result<(), CheckError> {
        self.block = self.func.entry();
        let params = self.func.blocks[self.block]
            .params
            .iter()
            .map(|&v| self.func.ty(v));
        self.ensure(
            params.eq(self.func.signature.params.iter().copied()),
            "the entry block's parameters are not the function's",
        )
    }

    fn types(&self, values: &[Value], expected: &[Type], what: &str) -> Result<(), CheckError> {
        let found: Vec<Type> = values.iter().map(|&v| self.func.ty(v)).collect();
        if found == expected {
            Ok(())
        } else {
            self.fail(format!("{what}: {found:?} instead of {expected:?}"))
        }
    }

    fn operands(&self, inst: Inst) -> Result<(), CheckError> {
        let func = self.func;
        let ty = |v: Value| func.ty(v);
        let node = func.insts[inst];
        let results: Vec<Type> = node.results.iter().map(ty).collect();
        let one = |this: &Self| match results[..] {
            [result] => Ok(result),
            _ => this.fail("the instruction must have one result"),
        };
        let none = |this: &Self| this.ensure(results.is_empty(), "the instruction must have no result");
        match node.data {
            InstData::Const { bits } => {
                let narrow = one(self)?.bytes() == 4;
                self.ensure(
                    !narrow || bits <= u64::from(u32::MAX),
                    "the constant does not fit its type",
                )
            }
            InstData::Unary { op, arg } => {
                self.ensure(op.accepts(ty(arg), one(self)?), "the row refuses these types")
            }
            InstData::Binary { op, args: [x, y] } => {
                let result = one(self)?;
                self.types(&[x, y], &[result, result], "operands")?;
                self.ensure(op.accepts(result), "the row refuses this type")
            }
            InstData::Compare { op, args: [x, y] } => {
                self.ensure(
                    one(self)? == Type::I32 && ty(x) == ty(y),
                    "operands and result of a comparison",
                )?;
                self.ensure(op.accepts(ty(x)), "the row refuses this type")
            }
            InstData::Select { cond, args: [x, y] } => {
                let result = one(self)?;
                self.types(&[cond, x, y], &[Type::I32, result, result], "operands")
            }
            InstData::BoundsCheck { addr, .. } => self.ensure(
                one(self)? == Type::I64 && ty(addr).is_int(),
                "operand and result of a bounds check",
            ),
            InstData::Load { op, addr, offset, .. } => {
                let result = one(self)?;
                let fits = match op {
                    LoadOp::Full => true,
                    LoadOp::U32 | LoadOp::S32 => result == Type::I64,
                    _ => result.is_int(),
                };
                self.ensure(fits, "the row refuses this type")?;
                self.address(addr, offset)
            }
            InstData::Store {
                op,
                args: [addr, value],
                offset,
                ..
            } => {
                none(self)?;
                let fits = match op {
                    StoreOp::Full => true,
                    StoreOp::Low32 => ty(value) == Type::I64,
                    _ => ty(value).is_int(),
                };
                self.ensure(fits, "the row refuses this type")?;
                self.address(addr, offset)
            }
            InstData::MemorySize { .. } | InstData::TableSize { .. } => {
                self.ensure(one(self)?.is_int(), "a size is an integer")
            }
            InstData::GlobalGet { .. } => one(self).map(drop),
            InstData::GlobalSet { .. } => none(self),
            InstData::Call { sig, args, .. } | InstData::CallLibrary { sig, args, .. } => {
                self.types(func.list(args), &func.signatures[sig].params, "arguments")?;
                self.ensure(
                    results == func.signatures[sig].results,
                    "results do not match the signature",
                )
            }
            InstData::CallIndirect { sig, args, .. } => {
                let [index, rest @ ..] = func.list(args) else {
                    return self.fail("there is no index");
                };
                self.ensure(ty(*index) == Type::I32, "the index is an I32")?;
                self.types(rest, &func.signatures[sig].params, "arguments")?;
                self.ensure(
                    results == func.signatures[sig].results,
                    "results do not match the signature",
                )
            }
            InstData::TrapIf { cond: v, .. }
            | InstData::Branch { cond: v, .. }
            | InstData::Switch { index: v, .. } => {
                none(self)?;
                self.types(&[v], &[Type::I32], "condition or index")
            }
            InstData::Return { args } => {
                none(self)?;
                self.types(func.list(args), &func.signature.results, "results")
            }
            InstData::Jump { .. } | InstData::Trap { .. } => none(self),
        }
    }

    fn address(&self, addr: Value, offset: u32) -> Result<(), CheckError> {
        self.ensure(offset < 1 << 31, "the offset of an access is below 2^31")?;
        match self.func.ty(addr) {
            Type::I32 => Ok(()),
            Type::I64 => {
                let def = self.func.def_inst(addr).map(|inst| self.func.insts[inst].data);
                let checked = matches!(def, Some(InstData::BoundsCheck { .. }));
                self.ensure(checked, "a 64-bit address is the result of a bounds check")
            }
            _ => self.fail("an address is an integer"),
        }
    }

    fn targets(&self, inst: Inst, places: &Places) -> Result<(), CheckError> {
        let func = self.func;
        if let InstData::Switch { targets, .. } = func.insts[inst].data {
            let list = func.switches.get(targets as usize);
            self.ensure(
                list.is_some_and(|list| !list.is_empty()),
                "a switch has a default",
            )?;
        }
        let mut result = Ok(());
        func.for_each_target(inst, |to| {
            let check = || {
                self.ensure(
                    places.block[to.block].is_some(),
                    "a branch to a block outside of the order",
                )?;
                self.ensure(to.block != func.entry(), "a branch to the entry")?;
                let expected: Vec<Type> = func.blocks[to.block].params.iter().map(|&v| func.ty(v)).collect();
                self.types(func.list(to.args), &expected, "branch arguments")
            };
            if result.is_ok() {
                result = check();
            }
        });
        result
    }

    fn dominance(&mut self, places: &Places) -> Result<(), CheckError> {
        let tree = Dominators::of(self.func);
        for &block in &self.func.order {
            if !tree.reaches(block) {
                continue;
            }
            self.block = block;
            for (at, &inst) in self.func.blocks[block].insts.iter().enumerate() {
                self.inst = Some(inst);
                let mut bad = None;
                self.func.for_each_use(inst, |value| {
                    let holds = match self.func.def(value) {
                        ValueDef::Param(def) => {
                            self.func.blocks[def].params.contains(&value) && tree.dominates(def, block)
                        }
                        ValueDef::Result(def, _) => places.inst[def].is_some_and(|(def_block, def_at)| {
                            if def_block == block {
                                def_at < at as u32
                            } else {
                                tree.dominates(def_block, block)
                            }
                        }),
                    };
                    if !holds {
                        bad = Some(value);
                    }
                });
                if let Some(value) = bad {
                    return self.fail(format!("{value} is used where its definition does not dominate"));
                }
            }
        }
        Ok(())
    }
}

/// The dominator tree (Cooper, Harvey, Kennedy: "A simple, fast dominance algorithm", 2001), with
/// numbers of a walk over the tree, so that a question is two compares.
struct Dominators {
    span: IdMap<Block, Option<(u32, u32)>>,
}

impl Dominators {
    fn of(func: &Func) -> Self {
        let postorder = postorder(func);
        let count = postorder.len();
        let mut number: IdMap<Block, Option<u32>> = IdMap::filled(None, func.blocks.len());
        for (n, &block) in postorder.iter().enumerate() {
            number[block] = Some(n as u32);
        }
        let mut preds = vec![Vec::new(); count];
        for &block in &postorder {
            let from = number[block].expect("numbered above");
            func.for_each_target(func.terminator(block), |to| {
                preds[number[to.block].expect("a target of a reachable block is reachable") as usize]
                    .push(from);
            });
        }
        let root = count - 1;
        let mut idom = vec![u32::MAX; count];
        idom[root] = root as u32;
        let mut changed = true;
        // Ends: each round moves some immediate dominator up the postorder.
        while changed {
            changed = false;
            for n in (0..root).rev() {
                let mut new = u32::MAX;
                for &pred in preds[n].iter().filter(|&&p| idom[p as usize] != u32::MAX) {
                    new = if new == u32::MAX {
                        pred
                    } else {
                        meet(&idom, pred, new)
                    };
                }
                changed |= idom[n] != new;
                idom[n] = new;
            }
        }
        let mut children = vec![Vec::new(); count];
        for n in 0..root {
            children[idom[n] as usize].push(n);
        }
        let mut spans = vec![(0, 0); count];
        let (mut time, mut stack) = (0, vec![(root, 0)]);
        spans[root].0 = time;
        while let Some((n, next)) = stack.last_mut() {
            time += 1;
            if let Some(&child) = children[*n].get(*next) {
                *next += 1;
                spans[child].0 = time;
                stack.push((child, 0));
            } else {
                spans[*n].1 = time;
                stack.pop();
            }
        }
        let mut span = IdMap::filled(None, func.blocks.len());
        for (n, &block) in postorder.iter().enumerate() {
            span[block] = Some(spans[n]);
        }
        Self { span }
    }

    fn reaches(&self, block: Block) -> bool {
        self.span[block].is_some()
    }

    fn dominates(&self, above: Block, below: Block) -> bool {
        match (self.span[above], self.span[below]) {
            (Some(above), Some(below)) => above.0 <= below.0 && below.1 <= above.1,
            _ => false,
        }
    }
}

fn meet(idom: &[u32], mut x: u32, mut y: u32) -> u32 {
    // Ends: the smaller number moves up towards the root, which is the largest.
    while x != y {
        if x < y {
            x = idom[x as usize];
        } else {
            y = idom[y as usize];
        }
    }
    x
}

fn postorder(func: &Func) -> Vec<Block> {
    let mut seen: IdMap<Block, bool> = IdMap::filled(false, func.blocks.len());
    let targets = |block: Block| {
        let mut list = Vec::new();
        func.for_each_target(func.terminator(block), |to| list.push(to.block));
        list.into_iter()
    };
    let mut order = Vec::new();
    seen[func.entry()] = true;
    let mut stack = vec![(func.entry(), targets(func.entry()))];
    while let Some((block, rest)) = stack.last_mut() {
        if let Some(next) = rest.next() {
            if !std::mem::replace(&mut seen[next], true) {
                stack.push((next, targets(next)));
            }
        } else {
            order.push(*block);
            stack.pop();
        }
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::func::{BlockCall, FuncBuilder, Signature};
    use crate::op::{BinaryOp, StoreOp};
    use cellwall_base::{FuncIdx, MemoryIdx};

    /// `f(x) = loop { x = x + 1; if x goto loop }; x`, and what to change in it.
    fn counting(change: impl FnOnce(&mut Func, [Block; 3], Value)) -> Result<(), CheckError> {
        let signature = Signature {
            params: vec![Type::I32],
            results: vec![Type::I32],
        };
        let mut func = Func::new(FuncIdx::new(0), signature);
        let blocks = [func.make_block(), func.make_block(), func.make_block()];
        func.order = blocks.to_vec();
        let x = func.add_param(blocks[0], Type::I32);
        let y = func.add_param(blocks[1], Type::I32);
        let args = func.make_list(&[x]);
        let mut b = FuncBuilder {
            func: &mut func,
            block: blocks[0],
            source: 0,
        };
        b.push(
            InstData::Jump {
                to: BlockCall {
                    block: blocks[1],
                    args,
                },
            },
            &[],
        );
        b.block = blocks[1];
        let one = b.constant(Type::I32, 1);
        let sum = b.binary(BinaryOp::Add, y, one);
        let back = BlockCall {
            block: blocks[1],
            args: b.func.make_list(&[sum]),
        };
        let out = BlockCall {
            block: blocks[2],
            args: b.func.make_list(&[]),
        };
        b.push(
            InstData::Branch {
                cond: sum,
                to: [back, out],
            },
            &[],
        );
        b.block = blocks[2];
        let args = b.func.make_list(&[sum]);
        b.push(InstData::Return { args }, &[]);
        change(&mut func, blocks, sum);
        check(&func)
    }

    #[test]
    fn a_loop_is_accepted() {
        assert_eq!(counting(|_, _, _| {}), Ok(()));
    }

    #[test]
    fn neighbours_are_rejected_for_the_right_reason() {
        let reason = |change: fn(&mut Func, [Block; 3], Value)| counting(change).expect_err("refused").reason;
        assert!(reason(|f, b, _| f.blocks[b[2]].insts.clear()).contains("empty"));
        assert!(reason(|f, b, _| f.order.push(b[2])).contains("twice"));
        assert!(reason(|f, b, _| _ = f.order.remove(b[2].index())).contains("outside of the order"));
        assert!(reason(|f, b, _| _ = f.blocks[b[1]].insts.pop()).contains("terminator"));
        assert!(reason(|f, b, _| _ = f.add_param(b[2], Type::I64)).contains("branch arguments"));
        assert!(reason(|f, _, _| f.signature.params.clear()).contains("parameters"));
        assert!(reason(|f, _, _| f.signature.results[0] = Type::I64).contains("results"));
        let early = reason(|f, b, sum| {
            let args = f.make_list(&[sum]);
            let inst = f.terminator(b[0]);
            f.insts[inst].data = InstData::Jump {
                to: BlockCall { block: b[1], args },
            };
        });
        assert!(early.contains("does not dominate"));
    }

    #[test]
    fn a_64_bit_address_needs_its_check() {
        let address = |checked: bool| {
            counting(|f, b, sum| {
                let end = f.blocks[b[2]].insts.pop().expect("there is a return");
                let mut builder = FuncBuilder {
                    func: f,
                    block: b[2],
                    source: 0,
                };
                let memory = MemoryIdx::new(0);
                let mut addr = builder.unary(crate::UnaryOp::ExtendU, Type::I64, sum);
                if checked {
                    addr = builder.value(
                        InstData::BoundsCheck {
                            memory,
                            addr,
                            slack: 4,
                        },
                        Type::I64,
                    );
                }
                let args = [addr, sum];
                builder.push(
                    InstData::Store {
                        op: StoreOp::Full,
                        memory,
                        offset: 0,
                        args,
                    },
                    &[],
                );
                f.blocks[b[2]].insts.push(end);
            })
        };
        assert_eq!(address(true), Ok(()));
        assert!(
            address(false)
                .expect_err("refused")
                .reason
                .contains("bounds check")
        );
    }
}
