//! The reference interpreter: what a function means, one instruction after the other.
//!
//! Requires a function that [`check()`](crate::check()) accepts. Guarantees to stop: each instruction
//! takes a unit of fuel. What lies outside of a function (memories, tables, globals, other functions,
//! the runtime) is an [`Environment`]. Values are bits as in [`op`](crate::op), of vectors as in
//! [`vector`](crate::vector).

use crate::func::{BlockCall, Func, InstData};
use crate::lanes::shuffle;
use crate::op::{Trap, Type};
use crate::{Block, Inst, Library, Value};
use cellwall_base::{FuncIdx, GlobalIdx, IdMap, MemoryIdx, TableIdx, TagIdx, TypeIdx};
use std::rc::Rc;

/// Why a function has no result.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stop {
    /// It trapped.
    Trap(Trap),
    /// An exception left it, which its environment holds.
    Thrown,
    /// It used up its fuel, or the stack that its environment grants to calls.
    Exhausted,
}

impl From<Trap> for Stop {
    fn from(trap: Trap) -> Self {
        Self::Trap(trap)
    }
}

/// A value: the low bits that its type has.
pub type Bits = u128;

/// Results of a call.
pub type Outcome = Result<Vec<Bits>, Stop>;

/// What a tail call names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Callee {
    /// A function of the module.
    Func(FuncIdx),
    /// An entry of a table, which must have a type.
    Indirect {
        /// The table.
        table: TableIdx,
        /// The type.
        ty: TypeIdx,
        /// The index of the entry.
        index: u64,
    },
    /// The function of a reference.
    Ref(u64),
}

/// What a function can reach.
pub trait Environment {
    /// The bytes of a memory.
    fn memory(&mut self, memory: MemoryIdx) -> &mut [u8];
    /// The current size of a table in elements.
    fn table_size(&mut self, table: TableIdx) -> u64;
    /// The bits of a global.
    fn global(&mut self, global: GlobalIdx) -> &mut Bits;
    /// Calls a function of the module.
    ///
    /// # Errors
    /// Why it has no results.
    fn call(&mut self, func: FuncIdx, args: &[Bits], fuel: &mut u64) -> Outcome;
    /// Calls the `index`-th entry of a table, which must have type `ty`.
    ///
    /// # Errors
    /// Why it has no results: also because the index is out of bounds, the entry is null or its type
    /// differs.
    fn call_indirect(
        &mut self,
        table: TableIdx,
        ty: TypeIdx,
        index: u64,
        args: &[Bits],
        fuel: &mut u64,
    ) -> Outcome;
    /// Calls the function of a reference.
    ///
    /// # Errors
    /// Why it has no results: also because the reference is null.
    fn call_ref(&mut self, reference: u64, args: &[Bits], fuel: &mut u64) -> Outcome;
    /// The function that a tail call names, and its body, if it has one to go on with. Without one
    /// the function is called.
    ///
    /// # Errors
    /// Why there is none, as for the calls.
    fn tail_callee(&mut self, callee: Callee) -> Result<(FuncIdx, Option<Rc<Func>>), Stop>;
    /// Calls a routine of the runtime.
    ///
    /// # Errors
    /// Why it has no results.
    fn call_library(&mut self, library: Library, args: &[Bits], fuel: &mut u64) -> Outcome;
    /// Makes an exception the one that is under way; why there is no result.
    fn throw(&mut self, tag: TagIdx, values: &[Bits]) -> Stop;
    /// Ends the exception that is under way, if it has the tag (`None`: whatever it has): a reference
    /// to it if that is wanted, otherwise 0, and then its values if there is a tag.
    fn catch(&mut self, tag: Option<TagIdx>, with_ref: bool) -> Option<Vec<Bits>>;
}

/// Runs a function, and what it calls in its place.
///
/// # Errors
/// Why it has no results.
///
/// # Panics
/// If the arguments are not of the function's types (32-bit ones zero-extended), or the function is
/// not one that the checker accepts.
pub fn run(func: &Func, args: &[Bits], env: &mut dyn Environment, fuel: &mut u64) -> Outcome {
    let mut left = run_body(func, args, env, fuel)?;
    // Ends: each body takes fuel.
    loop {
        let (callee, args) = match left {
            Left::Return(results) => return Ok(results),
            Left::Tail(callee, args) => (callee, args),
        };
        left = match env.tail_callee(callee)? {
            (_, Some(func)) => run_body(&func, &args, env, fuel)?,
            (func, None) => return env.call(func, &args, fuel),
        };
    }
}

/// How a body was left.
enum Left {
    Return(Vec<Bits>),
    Tail(Callee, Vec<Bits>),
}

fn run_body(func: &Func, args: &[Bits], env: &mut dyn Environment, fuel: &mut u64) -> Result<Left, Stop> {
    let mut frame = Frame {
        func,
        values: IdMap::filled(0, func.values.len()),
        variables: vec![None; func.frame.len()],
        env,
        fuel,
    };
    let mut block = func.entry();
    frame.enter(block, args);
    loop {
        let (last, insts) = func.blocks[block]
            .insts
            .split_last()
            .expect("a block is not empty");
        let mut caught = None;
        for &inst in insts {
            frame.spend()?;
            match frame.step(inst) {
                Err(Stop::Thrown) if Some(inst) == func.caught_call(block) => {
                    caught = Some(frame.catch(*last).ok_or(Stop::Thrown)?);
                }
                other => other?,
            }
        }
        if let Some(next) = caught {
            block = next;
            continue;
        }
        frame.spend()?;
        match frame.leave(*last)? {
            Next::Block(next) => block = next,
            Next::Left(left) => return Ok(left),
        }
    }
}

enum Next {
    Block(Block),
    Left(Left),
}

struct Frame<'a> {
    func: &'a Func,
    values: IdMap<Value, Bits>,
    variables: Vec<Option<Bits>>,
    env: &'a mut dyn Environment,
    fuel: &'a mut u64,
}

impl Frame<'_> {
    fn spend(&mut self) -> Result<(), Stop> {
        *self.fuel = self.fuel.checked_sub(1).ok_or(Stop::Exhausted)?;
        Ok(())
    }

    fn set(&mut self, value: Value, bits: Bits) {
        let max = match self.func.ty(value) {
            Type::I32 | Type::F32 => Bits::from(u32::MAX),
            Type::I64 | Type::F64 => Bits::from(u64::MAX),
            Type::V128 => Bits::MAX,
        };
        assert!(bits <= max, "{value} is zero-extended");
        self.values[value] = bits;
    }

    fn enter(&mut self, block: Block, args: &[Bits]) {
        let params = &self.func.blocks[block].params;
        assert_eq!(params.len(), args.len(), "{block} takes its arguments");
        for (&param, &arg) in params.iter().zip(args) {
            self.set(param, arg);
        }
    }

    fn list(&self, values: crate::ValueList) -> Vec<Bits> {
        let values = self.func.list(values).iter();
        values.map(|&value| self.values[value]).collect()
    }

    /// An instruction that is no terminator.
    fn step(&mut self, inst: Inst) -> Result<(), Stop> {
        let node = &self.func.insts[inst];
        let result_type = || self.func.ty(self.func.result(inst));
        let ty = |v: Value| self.func.ty(v);
        let get = |v: Value| self.values[v] as u64;
        let whole = |v: Value| self.values[v];
        let bits: Bits = match node.data {
            InstData::Const { bits } => bits.into(),
            InstData::VectorConst { bytes } => Bits::from_le_bytes(bytes),
            InstData::Vector { op, lane, args } => op.eval(lane, args.map(whole)),
            InstData::Shuffle { mask, args: [x, y] } => shuffle(mask, whole(x), whole(y)),
            InstData::Unary { op, arg } => op.eval(ty(arg), result_type(), get(arg))?.into(),
            InstData::Binary { op, args: [x, y] } => op.eval(ty(x), get(x), get(y))?.into(),
            InstData::Compare { op, args: [x, y] } => op.eval(ty(x), get(x), get(y)).into(),
            InstData::Select { cond, args: [x, y] } => whole(if get(cond) != 0 { x } else { y }),
            InstData::BoundsCheck { memory, addr, slack } => {
                let addr = get(addr);
                let end = addr.checked_add(slack);
                let length = self.env.memory(memory).len() as u64;
                if end.is_none_or(|end| end > length) {
                    return Err(Trap::MemoryOutOfBounds.into());
                }
                addr.into()
            }
            InstData::Load {
                op,
                memory,
                offset,
                addr,
            } => {
                let ty = result_type();
                let addr = get(addr);
                let bytes = access(self.env.memory(memory), addr, offset, op.bytes(ty))?;
                let mut raw = [0; 16];
                raw[..bytes.len()].copy_from_slice(bytes);
                op.eval(ty, Bits::from_le_bytes(raw))
            }
            InstData::Store {
                op,
                memory,
                offset,
                args: [addr, value],
            } => {
                let (addr, raw) = (get(addr), whole(value).to_le_bytes());
                let width = op.bytes(ty(value));
                let bytes = access(self.env.memory(memory), addr, offset, width)?;
                bytes.copy_from_slice(&raw[..width as usize]);
                return Ok(());
            }
            InstData::Atomic { .. } => return self.atomic(inst),
            InstData::Fence => return Ok(()),
            InstData::MemorySize { memory } => (self.env.memory(memory).len() as u64).into(),
            InstData::TableSize { table } => self.env.table_size(table).into(),
            InstData::GlobalGet { global } => *self.env.global(global),
            InstData::GlobalSet { global, value } => {
                let value = whole(value);
                *self.env.global(global) = value;
                return Ok(());
            }
            InstData::FrameGet { variable } => {
                self.variables[variable as usize].expect("a variable is written before it is read")
            }
            InstData::FrameSet { variable, value } => {
                let value = whole(value);
                self.variables[variable as usize] = Some(value);
                return Ok(());
            }
            InstData::TrapIf { cond, trap } => {
                return if get(cond) == 0 { Ok(()) } else { Err(trap.into()) };
            }
            // Defined when the block was entered.
            InstData::LandingPad { .. } => return Ok(()),
            InstData::Throw { tag, args, .. } => {
                let values = self.list(args);
                return Err(self.env.throw(tag, &values));
            }
            _ => return self.call(inst),
        };
        let result = self.func.result(inst);
        self.set(result, bits);
        Ok(())
    }

    /// An atomic access; nobody else looks.
    fn atomic(&mut self, inst: Inst) -> Result<(), Stop> {
        let node = &self.func.insts[inst];
        let InstData::Atomic {
            op,
            width,
            memory,
            offset,
            args,
        } = node.data
        else {
            unreachable!("the caller looked")
        };
        let args: Vec<u64> = self.list(args).into_iter().map(|bits| bits as u64).collect();
        let of = match node.results.iter().next() {
            Some(result) => self.func.ty(result),
            None => self.func.ty(self.func.list(match node.data {
                InstData::Atomic { args, .. } => args,
                _ => unreachable!("the caller looked"),
            })[1]),
        };
        let bytes = width.bytes(of);
        let place = access(self.env.memory(memory), args[0], offset, bytes)?;
        let mut raw = [0; 8];
        raw[..bytes as usize].copy_from_slice(place);
        let old = u64::from_le_bytes(raw);
        let mask = u64::MAX >> (64 - 8 * bytes);
        let operand = |i: usize| args.get(i).copied().unwrap_or(0) & mask;
        let new = op.eval(old, operand(1), operand(2)).to_le_bytes();
        place.copy_from_slice(&new[..bytes as usize]);
        if op.gives() {
            let result = self.func.result(inst);
            self.set(result, old.into());
        }
        Ok(())
    }

    fn call(&mut self, inst: Inst) -> Result<(), Stop> {
        let node = &self.func.insts[inst];
        let results = match node.data {
            InstData::Call { func, args, .. } => {
                let args = self.list(args);
                self.env.call(func, &args, self.fuel)?
            }
            InstData::CallIndirect { table, ty, args, .. } => {
                let args = self.list(args);
                self.env
                    .call_indirect(table, ty, args[0] as u64, &args[1..], self.fuel)?
            }
            InstData::CallRef { args, .. } => {
                let args = self.list(args);
                self.env.call_ref(args[0] as u64, &args[1..], self.fuel)?
            }
            InstData::CallLibrary { library, args, .. } => {
                let args = self.list(args);
                self.env.call_library(library, &args, self.fuel)?
            }
            ref other => unreachable!("{other:?} is not inside a block"),
        };
        assert_eq!(results.len(), node.results.len(), "the callee has the signature");
        for (value, bits) in node.results.iter().zip(results) {
            self.set(value, bits);
        }
        Ok(())
    }

    /// Where a catch goes with the exception that is under way, if a handler takes it.
    fn catch(&mut self, inst: Inst) -> Option<Block> {
        let InstData::Catch { handlers, .. } = self.func.insts[inst].data else {
            unreachable!("the caller looked");
        };
        for &to in &self.func.handlers[handlers as usize] {
            let (pad, tag, with_ref) = self.func.landing_pad(to.block).expect("`check` holds");
            if let Some(values) = self.env.catch(tag, with_ref) {
                let args = self.list(to.args);
                self.enter(to.block, &args);
                for (value, bits) in self.func.insts[pad].results.iter().zip(values) {
                    self.set(value, bits);
                }
                return Some(to.block);
            }
        }
        None
    }

    /// A terminator.
    fn leave(&mut self, inst: Inst) -> Result<Next, Stop> {
        let to: BlockCall = match self.func.insts[inst].data {
            InstData::Jump { to } => to,
            InstData::Branch { cond, to } => to[usize::from(self.values[cond] == 0)],
            InstData::Switch { index, targets } => {
                let entries = &self.func.switches[targets as usize];
                let index = (self.values[index] as usize).min(entries.len() - 1);
                entries[index]
            }
            InstData::Catch { to, .. } => to,
            InstData::Return { args } => return Ok(Next::Left(Left::Return(self.list(args)))),
            InstData::ReturnCall { func, args, .. } => {
                return Ok(Next::Left(Left::Tail(Callee::Func(func), self.list(args))));
            }
            InstData::ReturnCallIndirect { table, ty, args, .. } => {
                let mut args = self.list(args);
                let index = args.remove(0) as u64;
                let callee = Callee::Indirect { table, ty, index };
                return Ok(Next::Left(Left::Tail(callee, args)));
            }
            InstData::ReturnCallRef { args, .. } => {
                let mut args = self.list(args);
                let reference = args.remove(0) as u64;
                return Ok(Next::Left(Left::Tail(Callee::Ref(reference), args)));
            }
            InstData::Trap { trap } => return Err(trap.into()),
            ref other => unreachable!("{other:?} does not end a block"),
        };
        // All arguments are read before any parameter is set.
        let args = self.list(to.args);
        self.enter(to.block, &args);
        Ok(Next::Block(to.block))
    }
}

/// The bytes of an access, if they lie in the memory.
fn access(memory: &mut [u8], addr: u64, offset: u32, bytes: u32) -> Result<&mut [u8], Trap> {
    let start = addr
        .checked_add(u64::from(offset))
        .ok_or(Trap::MemoryOutOfBounds)?;
    let end = start
        .checked_add(u64::from(bytes))
        .ok_or(Trap::MemoryOutOfBounds)?;
    if end > memory.len() as u64 {
        return Err(Trap::MemoryOutOfBounds);
    }
    Ok(&mut memory[start as usize..end as usize])
}
