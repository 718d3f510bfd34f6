//! The reference interpreter: the meaning of a function, one instruction at a time.
//!
//! Requires a function that the checker accepts. The world outside of the function (memories,
//! tables, globals, other functions) is an [`Env`]. Slow and obvious on purpose.

use crate::func::{BlockCall, Func, InstData};
use crate::op::{LoadOp, Trap, Type};
use crate::{Block, Inst, Library, Value};
use cellwall_base::{FuncIdx, GlobalIdx, IdMap, MemoryIdx, TableIdx, TypeIdx};

/// Why a function did not return.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stop {
    /// It trapped.
    Trap(Trap),
    /// The environment's patience (steps, depth) is at its end.
    Limit,
}

impl From<Trap> for Stop {
    fn from(trap: Trap) -> Self {
        Self::Trap(trap)
    }
}

/// The world outside of a function. All values are bits; narrow ones are zero-extended.
pub trait Env {
    /// Called once per block; ends endless loops.
    ///
    /// # Errors
    /// [`Stop::Limit`] when it is enough.
    fn step(&mut self) -> Result<(), Stop>;
    /// The `bytes` bytes at `addr`, little-endian.
    ///
    /// # Errors
    /// If they are not all inside the memory.
    fn load(&mut self, memory: MemoryIdx, addr: u64, bytes: u32) -> Result<u64, Trap>;
    /// Sets the `bytes` bytes at `addr`.
    ///
    /// # Errors
    /// If they are not all inside the memory; nothing is written then.
    fn store(&mut self, memory: MemoryIdx, addr: u64, bytes: u32, value: u64) -> Result<(), Trap>;
    /// Length of a memory in bytes, a multiple of the page.
    fn memory_bytes(&self, memory: MemoryIdx) -> u64;
    /// Length of a memory in pages.
    fn memory_pages(&self, memory: MemoryIdx) -> u64;
    /// Length of a table in elements.
    fn table_size(&self, table: TableIdx) -> u64;
    /// Value of a global.
    fn global_get(&self, global: GlobalIdx) -> u64;
    /// Sets a global.
    fn global_set(&mut self, global: GlobalIdx, value: u64);
    /// Calls a function.
    ///
    /// # Errors
    /// If the callee does not return.
    fn call(&mut self, func: FuncIdx, args: &[u64]) -> Result<Vec<u64>, Stop>;
    /// Calls the function in a table.
    ///
    /// # Errors
    /// If there is none of this type, or the callee does not return.
    fn call_indirect(
        &mut self,
        table: TableIdx,
        ty: TypeIdx,
        index: u64,
        args: &[u64],
    ) -> Result<Vec<u64>, Stop>;
    /// Calls a routine of the runtime.
    ///
    /// # Errors
    /// If the routine traps.
    fn library(&mut self, library: Library, args: &[u64]) -> Result<Vec<u64>, Stop>;
}

/// Runs a function.
///
/// # Errors
/// If it does not return.
///
/// # Panics
/// If the function is not one that the checker accepts, or has vectors.
pub fn run(func: &Func, args: &[u64], env: &mut impl Env) -> Result<Vec<u64>, Stop> {
    let mut frame = Frame {
        func,
        values: IdMap::filled(0, func.values.len()),
    };
    let mut block = func.entry();
    frame.enter(block, args);
    loop {
        env.step()?;
        match frame.block(block, env)? {
            Next::Block(next) => block = next,
            Next::Return(results) => return Ok(results),
        }
    }
}

enum Next {
    Block(Block),
    Return(Vec<u64>),
}

struct Frame<'f> {
    func: &'f Func,
    values: IdMap<Value, u64>,
}

impl Frame<'_> {
    fn enter(&mut self, block: Block, args: &[u64]) {
        for (&param, &arg) in self.func.blocks[block].params.iter().zip(args) {
            self.values[param] = arg;
        }
    }

    fn go(&mut self, to: BlockCall) -> Next {
        let args = self.list(to.args);
        self.enter(to.block, &args);
        Next::Block(to.block)
    }

    fn list(&self, list: crate::ValueList) -> Vec<u64> {
        self.func.list(list).iter().map(|&v| self.values[v]).collect()
    }

    fn block(&mut self, block: Block, env: &mut impl Env) -> Result<Next, Stop> {
        for &inst in &self.func.blocks[block].insts {
            match self.func.insts[inst].data {
                InstData::Jump { to } => return Ok(self.go(to)),
                InstData::Branch {
                    cond,
                    to: [then, otherwise],
                } => {
                    let to = if self.values[cond] != 0 { then } else { otherwise };
                    return Ok(self.go(to));
                }
                InstData::Switch { index, targets } => {
                    let list = &self.func.switches[targets as usize];
                    let at = (self.values[index] as usize).min(list.len() - 1);
                    return Ok(self.go(list[at]));
                }
                InstData::Return { args } => return Ok(Next::Return(self.list(args))),
                InstData::Trap { trap } => return Err(trap.into()),
                _ => self.inst(inst, env)?,
            }
        }
        unreachable!("the checker saw a terminator")
    }

    fn inst(&mut self, inst: Inst, env: &mut impl Env) -> Result<(), Stop> {
        let node = self.func.insts[inst];
        let get = |v: Value| self.values[v];
        let result_ty = node.results.iter().next().map(|v| self.func.ty(v));
        let ty = || result_ty.expect("the checker saw the result");
        let results = match node.data {
            InstData::Const { bits } => vec![bits],
            InstData::Unary { op, arg } => vec![op.eval(self.func.ty(arg), ty(), get(arg))?],
            InstData::Binary { op, args: [x, y] } => vec![op.eval(ty(), get(x), get(y))?],
            InstData::Compare { op, args: [x, y] } => {
                vec![u64::from(op.eval(self.func.ty(x), get(x), get(y)))]
            }
            InstData::Select { cond, args: [x, y] } => vec![get(if get(cond) != 0 { x } else { y })],
            InstData::BoundsCheck { memory, addr, slack } => {
                let end = u128::from(get(addr)) + u128::from(slack);
                if end > u128::from(env.memory_bytes(memory)) {
                    return Err(Trap::MemoryOutOfBounds.into());
                }
                vec![get(addr)]
            }
            InstData::Load {
                op,
                memory,
                offset,
                addr,
            } => {
                vec![load(
                    env,
                    op,
                    ty(),
                    memory,
                    get(addr).checked_add(u64::from(offset)),
                )?]
            }
            InstData::Store {
                op,
                memory,
                offset,
                args: [addr, value],
            } => {
                let bytes = op.bytes(self.func.ty(value));
                let at = get(addr)
                    .checked_add(u64::from(offset))
                    .ok_or(Trap::MemoryOutOfBounds)?;
                env.store(memory, at, bytes, get(value))?;
                Vec::new()
            }
            InstData::MemorySize { memory } => vec![env.memory_pages(memory)],
            InstData::TableSize { table } => vec![env.table_size(table)],
            InstData::GlobalGet { global } => vec![env.global_get(global)],
            InstData::GlobalSet { global, value } => {
                env.global_set(global, get(value));
                Vec::new()
            }
            InstData::Call { func, args, .. } => env.call(func, &self.list(args))?,
            InstData::CallIndirect { table, ty, args, .. } => {
                let args = self.list(args);
                env.call_indirect(table, ty, args[0], &args[1..])?
            }
            InstData::CallLibrary { library, args, .. } => env.library(library, &self.list(args))?,
            InstData::TrapIf { cond, trap } => {
                if get(cond) != 0 {
                    return Err(trap.into());
                }
                Vec::new()
            }
            _ => unreachable!("terminators are handled by the caller"),
        };
        assert_eq!(
            results.len(),
            node.results.len(),
            "{inst} has as many results as its signature"
        );
        for (value, bits) in node.results.iter().zip(results) {
            self.values[value] = bits;
        }
        Ok(())
    }
}

fn load(env: &mut impl Env, op: LoadOp, ty: Type, memory: MemoryIdx, at: Option<u64>) -> Result<u64, Trap> {
    let at = at.ok_or(Trap::MemoryOutOfBounds)?;
    Ok(op.eval(ty, env.load(memory, at, op.bytes(ty))?))
}
