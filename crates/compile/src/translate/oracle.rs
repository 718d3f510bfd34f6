//! A whole module run by the reference interpreter: what tests and fuzzing compare machine code
//! with.
//!
//! Requires a module whose bodies are valid. Guarantees the results, traps and final state that the
//! core specification gives, up to the choice of NaN; calls are limited in depth and by fuel.
//! Imported memories, tables and globals are made here, as small as their types allow and zero.
//! Built for tests and with the feature `oracle` only.

use super::{Inlining, translate};
use crate::{CompileError, opt};
use cellwall_abi::{LibCall, Target};
use cellwall_base::{
    DataIdx, ElemIdx, EntityId, FuncIdx, GlobalIdx, IdMap, MemoryIdx, TableIdx, TagIdx, TypeIdx, limits,
};
use cellwall_ir::interp::{Bits, Callee, Environment, Outcome, Stop, run};
use cellwall_ir::{Func, Library, Trap, check};
use cellwall_wasm::{ConstExpr, ConstOp, ElementItems, ElementMode, Module};
use std::rc::Rc;

/// Calls that may be active at once.
const DEPTH_MAX: u32 = 300;

/// Exceptions that an instance makes; it keeps all of them.
const EXCEPTIONS_MAX: usize = 1 << 16;

/// Answers calls of imported functions.
pub type Host = Box<dyn FnMut(FuncIdx, &[Bits]) -> Outcome>;

/// An instance that is interpreted. References are function indexes plus one; 0 is null.
pub struct Instance<'m> {
    module: &'m Module,
    target: Target,
    optimize: bool,
    inlining: Inlining,
    funcs: IdMap<FuncIdx, Option<Rc<Func>>>,
    /// Bytes of each memory.
    pub memories: IdMap<MemoryIdx, Vec<u8>>,
    /// References in each table.
    pub tables: IdMap<TableIdx, Vec<u64>>,
    /// Bits of each global.
    pub globals: IdMap<GlobalIdx, Bits>,
    /// Pages of 64 KiB that every memory may have at most, whatever its type says.
    pub pages_max: u64,
    data_dropped: IdMap<DataIdx, bool>,
    elements_dropped: IdMap<ElemIdx, bool>,
    host: Host,
    depth: u32,
    /// The exceptions so far: references are their numbers plus one.
    exceptions: Vec<(TagIdx, Vec<Bits>)>,
    /// The one that is under way.
    thrown: usize,
}

impl<'m> Instance<'m> {
    /// An instance whose segments are not yet written and whose start function has not run.
    pub fn new(module: &'m Module, target: Target, optimize: bool, host: Host) -> Self {
        let bytes =
            |memory: &cellwall_wasm::Memory| vec![0; (memory.min_pages << memory.page_shift) as usize];
        let mut instance = Self {
            module,
            target,
            optimize,
            inlining: if optimize {
                Inlining::of(module)
            } else {
                Inlining::off()
            },
            funcs: IdMap::filled(None, module.funcs().len()),
            memories: module.memories().values().map(bytes).collect(),
            tables: module
                .tables()
                .values()
                .map(|t| vec![0; t.min as usize])
                .collect(),
            globals: IdMap::filled(0, module.globals().len()),
            pages_max: limits::MEMORY32_PAGES_MAX,
            data_dropped: IdMap::filled(false, module.data().len()),
            elements_dropped: IdMap::filled(false, module.elements().len()),
            host,
            depth: 0,
            exceptions: Vec::new(),
            thrown: 0,
        };
        for (global, of) in module.globals().iter() {
            if let Some(init) = &of.init {
                instance.globals[global] = instance.constant(init);
            }
        }
        for (table, of) in module.tables().iter() {
            if let Some(init) = &of.init {
                let value = instance.constant(init) as u64;
                instance.tables[table].fill(value);
            }
        }
        instance
    }

    /// Writes the active segments and runs the start function.
    ///
    /// # Errors
    /// Why instantiation fails.
    pub fn start(&mut self, fuel: &mut u64) -> Result<(), Stop> {
        let module = self.module;
        for (index, segment) in module.elements().iter() {
            if let ElementMode::Active(table, offset) = &segment.mode {
                let dst = self.constant(offset) as u64;
                self.table_init(*table, index, dst, 0, segment_len(&segment.items))?;
            }
            if segment.mode != ElementMode::Passive {
                self.elements_dropped[index] = true;
            }
        }
        for (index, segment) in module.data().iter() {
            if let Some((memory, offset)) = &segment.active {
                let dst = self.constant(offset) as u64;
                self.memory_init(*memory, index, dst, 0, segment.bytes.len() as u64)?;
                self.data_dropped[index] = true;
            }
        }
        match module.start() {
            Some(start) => self.call(start, &[], fuel).map(drop),
            None => Ok(()),
        }
    }

    /// The SSA form of a defined function, as it is interpreted.
    ///
    /// # Errors
    /// If it cannot be translated.
    ///
    /// # Panics
    /// If a pass breaks a rule of the SSA form.
    pub fn func(&mut self, func: FuncIdx) -> Result<Rc<Func>, CompileError> {
        if let Some(known) = &self.funcs[func] {
            return Ok(known.clone());
        }
        let mut translated = translate(self.module, func, &self.target, &self.inlining)?;
        check(&translated).unwrap_or_else(|e| panic!("translated: {e}\n{translated}"));
        if self.optimize {
            let config = opt::Config::of(self.module, opt::Passes::ALL);
            opt::run(&mut translated, config, |step, func| {
                check(func).unwrap_or_else(|e| panic!("after {step}: {e}\n{func}"));
            });
        }
        let translated = Rc::new(translated);
        self.funcs[func] = Some(translated.clone());
        Ok(translated)
    }

    /// The values of the exception that was thrown last.
    pub fn thrown(&self) -> &[Bits] {
        &self.exceptions[self.thrown].1
    }

    fn constant(&self, expr: &ConstExpr) -> Bits {
        let mut stack = Vec::new();
        for op in &expr.0 {
            let value = match *op {
                ConstOp::I32(value) => Bits::from(value as u32),
                ConstOp::I64(value) => Bits::from(value as u64),
                ConstOp::F32(bits) => Bits::from(bits),
                ConstOp::F64(bits) => Bits::from(bits),
                ConstOp::V128(bits) => bits,
                ConstOp::GlobalGet(global) => self.globals[global],
                ConstOp::RefNull => 0,
                ConstOp::RefFunc(func) => Bits::from(func.as_u32()) + 1,
                ConstOp::RefI31 => {
                    let number = stack.pop().expect("validated") as u32;
                    Bits::from(number << 1 | 1)
                }
                _ => {
                    let (y, x): (Option<Bits>, Option<Bits>) = (stack.pop(), stack.pop());
                    arithmetic(*op, x.expect("validated") as u64, y.expect("validated") as u64).into()
                }
            };
            stack.push(value);
        }
        stack.pop().expect("a constant expression has a value")
    }

    fn element(&self, segment: ElemIdx, index: u64) -> u64 {
        match &self.module.elements()[segment].items {
            ElementItems::Funcs(funcs) => u64::from(funcs[index as usize].as_u32()) + 1,
            ElementItems::Exprs(exprs) => self.constant(&exprs[index as usize]) as u64,
        }
    }

    fn table_init(
        &mut self,
        table: TableIdx,
        segment: ElemIdx,
        dst: u64,
        src: u64,
        len: u64,
    ) -> Result<(), Trap> {
        let available = match self.elements_dropped[segment] {
            true => 0,
            false => segment_len(&self.module.elements()[segment].items),
        };
        let out = Trap::TableOutOfBounds;
        range(src, len, available, out)?;
        range(dst, len, self.tables[table].len() as u64, out)?;
        for i in 0..len {
            self.tables[table][(dst + i) as usize] = self.element(segment, src + i);
        }
        Ok(())
    }

    fn memory_init(
        &mut self,
        memory: MemoryIdx,
        segment: DataIdx,
        dst: u64,
        src: u64,
        len: u64,
    ) -> Result<(), Trap> {
        let mut bytes = self.module.data()[segment].bytes.clone();
        if self.data_dropped[segment] {
            bytes.end = bytes.start;
        }
        let bytes = &self.module.bytes()[bytes.start as usize..bytes.end as usize];
        let out = Trap::MemoryOutOfBounds;
        let src = range(src, len, bytes.len() as u64, out)?;
        let dst = range(dst, len, self.memories[memory].len() as u64, out)?;
        self.memories[memory][dst].copy_from_slice(&bytes[src]);
        Ok(())
    }

    fn memory_grow(&mut self, memory: MemoryIdx, delta: u64) -> u64 {
        let ty = self.module.memories()[memory];
        let old = self.memories[memory].len() as u64 >> ty.page_shift;
        let max = (self.pages_max * limits::PAGE_BYTES) >> ty.page_shift;
        let max = ty.max_pages.unwrap_or(max).min(max);
        match old.checked_add(delta).filter(|&new| new <= max) {
            Some(new) => {
                self.memories[memory].resize((new << ty.page_shift) as usize, 0);
                old
            }
            None => u64::MAX,
        }
    }

    fn table_grow(&mut self, table: TableIdx, init: u64, delta: u64) -> u64 {
        let old = self.tables[table].len() as u64;
        let max = self.module.tables()[table].max.unwrap_or(u64::from(u32::MAX));
        let max = max.min(limits::TABLE_ELEMENTS_MAX);
        match old.checked_add(delta).filter(|&new| new <= max) {
            Some(new) => {
                self.tables[table].resize(new as usize, init);
                old
            }
            None => u64::MAX,
        }
    }

    /// Library calls on memories.
    fn memory_call(&mut self, call: LibCall, args: &[u64]) -> Outcome {
        let out = Trap::MemoryOutOfBounds;
        let memory = |i: usize| MemoryIdx::new(args[i] as usize);
        match call {
            LibCall::MemoryGrow => return Ok(vec![self.memory_grow(memory(0), args[1]).into()]),
            LibCall::MemoryCopy => {
                let (to, from) = (memory(0), memory(1));
                let dst = range(args[2], args[4], self.memories[to].len() as u64, out)?;
                let src = range(args[3], args[4], self.memories[from].len() as u64, out)?;
                let bytes = self.memories[from][src].to_vec();
                self.memories[to][dst].copy_from_slice(&bytes);
            }
            LibCall::MemoryFill => {
                let dst = range(args[1], args[3], self.memories[memory(0)].len() as u64, out)?;
                self.memories[memory(0)][dst].fill(args[2] as u8);
            }
            LibCall::MemoryInit => {
                let segment = DataIdx::new(args[1] as usize);
                self.memory_init(memory(0), segment, args[2], args[3], args[4])?;
            }
            LibCall::DataDrop => self.data_dropped[DataIdx::new(args[0] as usize)] = true,
            _ => return self.table_call(call, args),
        }
        Ok(Vec::new())
    }

    /// Whether an atomic access of the runtime is aligned and inside.
    fn parking_place(&self, args: &[u64], bytes: u64) -> Result<(), Trap> {
        if !args[1].is_multiple_of(bytes) {
            return Err(Trap::UnalignedAtomic);
        }
        let len = self.memories[MemoryIdx::new(args[0] as usize)].len() as u64;
        range(args[1], bytes, len, Trap::MemoryOutOfBounds).map(drop)
    }

    /// Library calls on tables and functions.
    fn table_call(&mut self, call: LibCall, args: &[u64]) -> Outcome {
        let out = Trap::TableOutOfBounds;
        let table = |i: usize| TableIdx::new(args[i] as usize);
        match call {
            LibCall::TableGet => {
                let elements = &self.tables[table(0)];
                return Ok(vec![Bits::from(*elements.get(args[1] as usize).ok_or(out)?)]);
            }
            LibCall::TableSet => {
                let elements = &mut self.tables[table(0)];
                *elements.get_mut(args[1] as usize).ok_or(out)? = args[2];
            }
            LibCall::TableGrow => return Ok(vec![self.table_grow(table(0), args[1], args[2]).into()]),
            LibCall::TableFill => {
                let dst = range(args[1], args[3], self.tables[table(0)].len() as u64, out)?;
                self.tables[table(0)][dst].fill(args[2]);
            }
            LibCall::TableCopy => {
                let (to, from) = (table(0), table(1));
                let dst = range(args[2], args[4], self.tables[to].len() as u64, out)?;
                let src = range(args[3], args[4], self.tables[from].len() as u64, out)?;
                let elements = self.tables[from][src].to_vec();
                self.tables[to][dst].copy_from_slice(&elements);
            }
            LibCall::TableInit => {
                let segment = ElemIdx::new(args[1] as usize);
                self.table_init(table(0), segment, args[2], args[3], args[4])?;
            }
            LibCall::ElemDrop => self.elements_dropped[ElemIdx::new(args[0] as usize)] = true,
            LibCall::AtomicNotify => {
                self.parking_place(args, 4)?;
                return Ok(vec![0]);
            }
            LibCall::AtomicWait32 | LibCall::AtomicWait64 => {
                let bytes = if call == LibCall::AtomicWait32 { 4 } else { 8 };
                self.parking_place(args, bytes)?;
                // Nobody would wake it here, so no shared memory is waited in.
                return Err(Trap::ExpectedSharedMemory.into());
            }
            LibCall::RefFunc => return Ok(vec![Bits::from(args[0] + 1)]),
            other => unreachable!("{} is on memories", other.name()),
        }
        Ok(Vec::new())
    }
}

impl Instance<'_> {
    /// The function at an index of a table, which must have this type.
    fn entry(&self, table: TableIdx, ty: TypeIdx, index: u64) -> Result<FuncIdx, Trap> {
        let entry = self.tables[table].get(index as usize);
        let reference = *entry.ok_or(Trap::TableOutOfBounds)?;
        let func = reference.checked_sub(1).ok_or(Trap::IndirectCallToNull)?;
        let func = FuncIdx::new(func as usize);
        match self.module.is_subtype(self.module.funcs()[func], ty) {
            true => Ok(func),
            false => Err(Trap::BadSignature),
        }
    }
}

impl Environment for Instance<'_> {
    fn memory(&mut self, memory: MemoryIdx) -> &mut [u8] {
        &mut self.memories[memory]
    }

    fn table_size(&mut self, table: TableIdx) -> u64 {
        self.tables[table].len() as u64
    }

    fn global(&mut self, global: GlobalIdx) -> &mut Bits {
        &mut self.globals[global]
    }

    fn call(&mut self, func: FuncIdx, args: &[Bits], fuel: &mut u64) -> Outcome {
        if func.as_u32() < self.module.imported_funcs() {
            return (self.host)(func, args);
        }
        if self.depth == DEPTH_MAX {
            return Err(Stop::Exhausted);
        }
        let func = self.func(func).expect("the module's bodies are valid");
        self.depth += 1;
        let outcome = run(&func, args, self, fuel);
        self.depth -= 1;
        outcome
    }

    fn call_indirect(
        &mut self,
        table: TableIdx,
        ty: TypeIdx,
        index: u64,
        args: &[Bits],
        fuel: &mut u64,
    ) -> Outcome {
        let func = self.entry(table, ty, index)?;
        self.call(func, args, fuel)
    }

    fn call_ref(&mut self, reference: u64, args: &[Bits], fuel: &mut u64) -> Outcome {
        self.call(of_reference(reference)?, args, fuel)
    }

    fn tail_callee(&mut self, callee: Callee) -> Result<(FuncIdx, Option<Rc<Func>>), Stop> {
        let func = match callee {
            Callee::Func(func) => func,
            Callee::Indirect { table, ty, index } => self.entry(table, ty, index)?,
            Callee::Ref(reference) => of_reference(reference)?,
        };
        let defined = func.as_u32() >= self.module.imported_funcs();
        let body = defined.then(|| self.func(func).expect("the module's bodies are valid"));
        Ok((func, body))
    }

    fn call_library(&mut self, library: Library, args: &[Bits], _fuel: &mut u64) -> Outcome {
        let call = LibCall::from_index(library.as_u32() as usize).expect("translate made the call");
        // The runtime's routines take no vectors.
        let args: Vec<u64> = args.iter().map(|&bits| bits as u64).collect();
        if call == LibCall::ThrowRef {
            self.thrown = args[0].checked_sub(1).ok_or(Trap::NullReference)? as usize;
            return Err(Stop::Thrown);
        }
        self.memory_call(call, &args)
    }

    fn throw(&mut self, tag: TagIdx, values: &[Bits]) -> Stop {
        if self.exceptions.len() == EXCEPTIONS_MAX {
            return Stop::Exhausted;
        }
        self.thrown = self.exceptions.len();
        self.exceptions.push((tag, values.to_vec()));
        Stop::Thrown
    }

    fn catch(&mut self, tag: Option<TagIdx>, with_ref: bool) -> Option<Vec<Bits>> {
        let (of, values) = &self.exceptions[self.thrown];
        let reference = if with_ref { self.thrown as Bits + 1 } else { 0 };
        match tag {
            None => Some(vec![reference]),
            Some(tag) if tag == *of => Some([&[reference], &values[..]].concat()),
            Some(_) => None,
        }
    }
}

/// The function of a reference.
fn of_reference(reference: u64) -> Result<FuncIdx, Trap> {
    let func = reference.checked_sub(1).ok_or(Trap::NullReference)?;
    Ok(FuncIdx::new(func as usize))
}

fn segment_len(items: &ElementItems) -> u64 {
    match items {
        ElementItems::Funcs(funcs) => funcs.len() as u64,
        ElementItems::Exprs(exprs) => exprs.len() as u64,
    }
}

fn range(start: u64, len: u64, available: u64, out: Trap) -> Result<std::ops::Range<usize>, Trap> {
    let end = start.checked_add(len).filter(|&end| end <= available);
    Ok(start as usize..end.ok_or(out)? as usize)
}

fn arithmetic(op: ConstOp, x: u64, y: u64) -> u64 {
    let narrow = |value: u64| u64::from(value as u32);
    match op {
        ConstOp::I32Add => narrow(x.wrapping_add(y)),
        ConstOp::I32Sub => narrow(x.wrapping_sub(y)),
        ConstOp::I32Mul => narrow(x.wrapping_mul(y)),
        ConstOp::I64Add => x.wrapping_add(y),
        ConstOp::I64Sub => x.wrapping_sub(y),
        ConstOp::I64Mul => x.wrapping_mul(y),
        other => unreachable!("{other:?} has no operands"),
    }
}
