//! A second opinion: instantiates a module without imports and calls its exports in the reference
//! interpreter of `ir`, sharing nothing with the machine-code path but decoding, translation and
//! the projected shape.

use cellwall_abi::library::LibCall;
use cellwall_abi::shape::{ConstExpr, ConstOp, ElementItems, ElementMode, Item};
use cellwall_abi::{Shape, Target};
use cellwall_base::limits::PAGE_BYTES;
use cellwall_base::{DataIdx, ElemIdx, EntityId, FuncIdx, GlobalIdx, IdMap, MemoryIdx, TableIdx, TypeIdx};
use cellwall_ir::interp::{self, Env, Stop};
use cellwall_ir::{Func, Library, Trap};
use cellwall_wasm::Module;

/// Instructions that one call may take before it counts as endless.
const FUEL: u64 = 20_000_000;
/// Calls that may be active at once.
const DEPTH_MAX: u32 = 300;

/// Pages that a memory may grow to; engines that are compared get the same limit.
pub const MEMORY_PAGES_MAX: u64 = 1024;
/// Elements that a table may grow to; engines that are compared get the same limit.
pub const TABLE_ELEMENTS_MAX: u64 = 100_000;

/// How a call ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// With these results, as bits.
    Values(Vec<u64>),
    /// By a trap.
    Trap(Trap),
    /// By a limit of the oracle (fuel or depth), which says nothing about the module.
    Unknown,
}

/// What does not change while an instance runs.
struct Code {
    module: Module,
    shape: Shape,
    funcs: IdMap<FuncIdx, Func>,
}

/// An instance in the interpreter.
pub struct Oracle {
    code: Code,
    state: State,
}

/// What guest code can change. A function reference is the function's index plus one.
#[derive(Default)]
struct State {
    memories: IdMap<MemoryIdx, Vec<u8>>,
    tables: IdMap<TableIdx, Vec<u32>>,
    globals: IdMap<GlobalIdx, u64>,
    dropped_data: IdMap<DataIdx, bool>,
    dropped_elements: IdMap<ElemIdx, bool>,
    fuel: u64,
    depth: u32,
}

impl Oracle {
    /// Translates and instantiates a module without imports; the start function is run.
    ///
    /// # Errors
    /// The outcome of a failed instantiation.
    ///
    /// # Panics
    /// If the module is invalid or has imports.
    pub fn new(bytes: &[u8], target: &Target) -> Result<Self, Outcome> {
        let module = cellwall_wasm::decode(bytes).expect("the module is valid");
        let shape = cellwall_link::shape(&module).expect("the module is within limits");
        assert!(shape.imports.is_empty(), "the oracle has no imports");
        let funcs = module
            .defined_funcs()
            .map(|func| cellwall_compile::ir(&module, &shape, func, target).expect("the body is valid"))
            .collect();
        let mut oracle = Self {
            code: Code { module, shape, funcs },
            state: State::default(),
        };
        oracle.initialise().map_err(Outcome::Trap)?;
        if let Some(start) = oracle.code.shape.start {
            match oracle.call(start, &[]) {
                Outcome::Values(_) => {}
                other => return Err(other),
            }
        }
        Ok(oracle)
    }

    /// Calls a function with arguments as bits.
    pub fn call(&mut self, func: FuncIdx, args: &[u64]) -> Outcome {
        (self.state.fuel, self.state.depth) = (FUEL, 0);
        let mut world = World {
            code: &self.code,
            state: &mut self.state,
        };
        match world.call(func, args) {
            Ok(values) => Outcome::Values(values),
            Err(Stop::Trap(trap)) => Outcome::Trap(trap),
            Err(Stop::Limit) => Outcome::Unknown,
        }
    }

    /// The exported functions with their names.
    pub fn exported_funcs(&self) -> impl Iterator<Item = (&str, FuncIdx)> {
        self.code
            .shape
            .exports
            .iter()
            .filter_map(|export| match export.item {
                Item::Func(func) => Some((export.name.as_str(), func)),
                _ => None,
            })
    }

    /// The projected shape.
    pub fn shape(&self) -> &Shape {
        &self.code.shape
    }

    /// The bytes of a memory.
    pub fn memory(&self, memory: MemoryIdx) -> &[u8] {
        &self.state.memories[memory]
    }

    /// The bits of a global.
    pub fn global(&self, global: GlobalIdx) -> u64 {
        self.state.globals[global]
    }

    fn initialise(&mut self) -> Result<(), Trap> {
        let (shape, state) = (&self.code.shape, &mut self.state);
        state.dropped_data.resize(shape.data.len(), false);
        state.dropped_elements.resize(shape.elements.len(), false);
        for memory in shape.memories.values() {
            state
                .memories
                .push(vec![0; (memory.min_pages * PAGE_BYTES) as usize]);
        }
        for global in shape.globals.values() {
            let init = global.init.as_ref().expect("no global is imported");
            state.globals.push(evaluate(init, &state.globals));
        }
        for table in shape.tables.values() {
            let value = table
                .init
                .as_ref()
                .map_or(0, |init| evaluate(init, &state.globals));
            state.tables.push(vec![value as u32; table.min as usize]);
        }
        let mut world = World {
            code: &self.code,
            state,
        };
        for (index, segment) in shape.elements.iter() {
            if let ElementMode::Active(table, offset) = &segment.mode {
                let at = evaluate(offset, &world.state.globals);
                world.table_init(*table, index, at, 0, segment.items.len() as u64)?;
            }
            if !matches!(segment.mode, ElementMode::Passive) {
                world.state.dropped_elements[index] = true;
            }
        }
        for (index, segment) in shape.data.iter() {
            if let Some((memory, offset)) = &segment.active {
                let at = evaluate(offset, &world.state.globals);
                world.memory_init(*memory, index, at, 0, segment.bytes.len() as u64)?;
                world.state.dropped_data[index] = true;
            }
        }
        Ok(())
    }
}

/// A running instance, as the interpreter sees it.
struct World<'a> {
    code: &'a Code,
    state: &'a mut State,
}

/// The range `at .. at + len`, if it lies below `end`.
fn range(at: u64, len: u64, end: usize, trap: Trap) -> Result<std::ops::Range<usize>, Trap> {
    match at.checked_add(len) {
        Some(last) if last <= end as u64 => Ok(at as usize..last as usize),
        _ => Err(trap),
    }
}

impl World<'_> {
    fn memory_init(
        &mut self,
        to: MemoryIdx,
        from: DataIdx,
        at: u64,
        start: u64,
        len: u64,
    ) -> Result<(), Trap> {
        let code = self.code;
        let place = code.module.data()[from].bytes.clone();
        let bytes = &code.module.bytes()[place.start as usize..place.end as usize];
        let bytes = if self.state.dropped_data[from] { &[] } else { bytes };
        let source = range(start, len, bytes.len(), Trap::MemoryOutOfBounds)?;
        let memory = &mut self.state.memories[to];
        let target = range(at, len, memory.len(), Trap::MemoryOutOfBounds)?;
        memory[target].copy_from_slice(&bytes[source]);
        Ok(())
    }

    fn table_init(&mut self, to: TableIdx, from: ElemIdx, at: u64, start: u64, len: u64) -> Result<(), Trap> {
        let items = &self.code.shape.elements[from].items;
        let values: Vec<u32> = match items {
            _ if self.state.dropped_elements[from] => Vec::new(),
            ElementItems::Funcs(funcs) => funcs.iter().map(|f| f.as_u32() + 1).collect(),
            ElementItems::Exprs(exprs) => exprs
                .iter()
                .map(|e| evaluate(e, &self.state.globals) as u32)
                .collect(),
        };
        let source = range(start, len, values.len(), Trap::TableOutOfBounds)?;
        let table = &mut self.state.tables[to];
        let target = range(at, len, table.len(), Trap::TableOutOfBounds)?;
        table[target].copy_from_slice(&values[source]);
        Ok(())
    }

    fn copy<T: Clone>(lists: [&mut Vec<T>; 2], at: [u64; 2], len: u64, trap: Trap) -> Result<(), Trap> {
        let [to, from] = lists;
        let source = range(at[1], len, from.len(), trap)?;
        let target = range(at[0], len, to.len(), trap)?;
        to[target].clone_from_slice(&from[source]);
        Ok(())
    }

    fn memory_copy(&mut self, [to, from]: [MemoryIdx; 2], at: [u64; 2], len: u64) -> Result<(), Trap> {
        // The source is read whole before anything is written, so overlap does not matter.
        let mut source = self.state.memories[from].clone();
        Self::copy(
            [&mut self.state.memories[to], &mut source],
            at,
            len,
            Trap::MemoryOutOfBounds,
        )
    }

    fn table_copy(&mut self, [to, from]: [TableIdx; 2], at: [u64; 2], len: u64) -> Result<(), Trap> {
        let mut source = self.state.tables[from].clone();
        Self::copy(
            [&mut self.state.tables[to], &mut source],
            at,
            len,
            Trap::TableOutOfBounds,
        )
    }

    fn memory_grow(&mut self, memory: MemoryIdx, delta: u64) -> u64 {
        let max = self.code.shape.memories[memory]
            .max_pages
            .unwrap_or(1 << 16)
            .min(1 << 16);
        let bytes = &mut self.state.memories[memory];
        let old = bytes.len() as u64 / PAGE_BYTES;
        match old.checked_add(delta) {
            Some(new) if new <= max.min(MEMORY_PAGES_MAX) => {
                bytes.resize((new * PAGE_BYTES) as usize, 0);
                old
            }
            _ => u64::MAX,
        }
    }

    fn table_grow(&mut self, table: TableIdx, init: u32, delta: u64) -> u64 {
        let max = self.code.shape.tables[table]
            .max
            .unwrap_or(u64::MAX)
            .min(TABLE_ELEMENTS_MAX);
        let elements = &mut self.state.tables[table];
        let old = elements.len() as u64;
        match old.checked_add(delta) {
            Some(new) if new <= max => {
                elements.resize(new as usize, init);
                old
            }
            _ => u64::MAX,
        }
    }

    fn table_slot(&mut self, table: TableIdx, index: u64) -> Result<&mut u32, Trap> {
        let list = &mut self.state.tables[table];
        list.get_mut(usize::try_from(index).unwrap_or(usize::MAX))
            .ok_or(Trap::TableOutOfBounds)
    }
}

impl Env for World<'_> {
    fn step(&mut self) -> Result<(), Stop> {
        self.state.fuel = self.state.fuel.checked_sub(1).ok_or(Stop::Limit)?;
        Ok(())
    }

    fn load(&mut self, memory: MemoryIdx, addr: u64, bytes: u32) -> Result<u64, Trap> {
        let memory = &self.state.memories[memory];
        let place = range(addr, u64::from(bytes), memory.len(), Trap::MemoryOutOfBounds)?;
        let mut raw = [0; 8];
        raw[..bytes as usize].copy_from_slice(&memory[place]);
        Ok(u64::from_le_bytes(raw))
    }

    fn store(&mut self, memory: MemoryIdx, addr: u64, bytes: u32, value: u64) -> Result<(), Trap> {
        let memory = &mut self.state.memories[memory];
        let place = range(addr, u64::from(bytes), memory.len(), Trap::MemoryOutOfBounds)?;
        memory[place].copy_from_slice(&value.to_le_bytes()[..bytes as usize]);
        Ok(())
    }

    fn memory_bytes(&self, memory: MemoryIdx) -> u64 {
        self.state.memories[memory].len() as u64
    }

    fn memory_pages(&self, memory: MemoryIdx) -> u64 {
        self.memory_bytes(memory) / PAGE_BYTES
    }

    fn table_size(&self, table: TableIdx) -> u64 {
        self.state.tables[table].len() as u64
    }

    fn global_get(&self, global: GlobalIdx) -> u64 {
        self.state.globals[global]
    }

    fn global_set(&mut self, global: GlobalIdx, value: u64) {
        self.state.globals[global] = value;
    }

    fn call(&mut self, func: FuncIdx, args: &[u64]) -> Result<Vec<u64>, Stop> {
        if self.state.depth == DEPTH_MAX {
            return Err(Stop::Limit);
        }
        self.state.depth += 1;
        let result = interp::run(&self.code.funcs[func], args, self);
        self.state.depth -= 1;
        result
    }

    fn call_indirect(
        &mut self,
        table: TableIdx,
        ty: TypeIdx,
        index: u64,
        args: &[u64],
    ) -> Result<Vec<u64>, Stop> {
        let reference = *self.table_slot(table, index)?;
        let func = FuncIdx::from_u32(reference.checked_sub(1).ok_or(Trap::IndirectCallToNull)?);
        let shape = &self.code.shape;
        if shape.signature(func) != &shape.types[ty] {
            return Err(Trap::BadSignature.into());
        }
        self.call(func, args)
    }

    fn library(&mut self, library: Library, args: &[u64]) -> Result<Vec<u64>, Stop> {
        let call = LibCall::from_index(library.index()).expect("translation knows the table");
        let id = |i: usize| args[i] as u32;
        let [memory, table] = [MemoryIdx::from_u32(id(0)), TableIdx::from_u32(id(0))];
        let mut results = Vec::new();
        match call {
            LibCall::MemoryGrow => results.push(self.memory_grow(memory, args[1])),
            LibCall::MemoryCopy => {
                self.memory_copy([memory, MemoryIdx::from_u32(id(1))], [args[2], args[3]], args[4])?;
            }
            LibCall::MemoryFill => {
                let bytes = &mut self.state.memories[memory];
                let place = range(args[1], args[3], bytes.len(), Trap::MemoryOutOfBounds)?;
                bytes[place].fill(args[2] as u8);
            }
            LibCall::MemoryInit => {
                self.memory_init(memory, DataIdx::from_u32(id(1)), args[2], args[3], args[4])?
            }
            LibCall::DataDrop => self.state.dropped_data[DataIdx::from_u32(id(0))] = true,
            LibCall::TableGet => results.push(u64::from(*self.table_slot(table, args[1])?)),
            LibCall::TableSet => *self.table_slot(table, args[1])? = args[2] as u32,
            LibCall::TableGrow => results.push(self.table_grow(table, id(1), args[2])),
            LibCall::TableFill => {
                let elements = &mut self.state.tables[table];
                let place = range(args[1], args[3], elements.len(), Trap::TableOutOfBounds)?;
                elements[place].fill(args[2] as u32);
            }
            LibCall::TableCopy => {
                self.table_copy([table, TableIdx::from_u32(id(1))], [args[2], args[3]], args[4])?;
            }
            LibCall::TableInit => {
                self.table_init(table, ElemIdx::from_u32(id(1)), args[2], args[3], args[4])?
            }
            LibCall::ElemDrop => self.state.dropped_elements[ElemIdx::from_u32(id(0))] = true,
            LibCall::RefFunc => results.push(u64::from(id(0)) + 1),
        }
        Ok(results)
    }
}

/// The value of a constant expression, as bits.
fn evaluate(expr: &ConstExpr, globals: &IdMap<GlobalIdx, u64>) -> u64 {
    let mut stack: Vec<u64> = Vec::new();
    for &op in &expr.0 {
        let value = match op {
            ConstOp::I32(value) => u64::from(value as u32),
            ConstOp::I64(value) => value as u64,
            ConstOp::F32(bits) => u64::from(bits),
            ConstOp::F64(bits) => bits,
            ConstOp::V128(_) => unreachable!("there are no vectors"),
            ConstOp::GlobalGet(global) => globals[global],
            ConstOp::RefNull => 0,
            ConstOp::RefFunc(func) => u64::from(func.as_u32()) + 1,
            _ => {
                let y = stack.pop().expect("the expression is valid");
                let x = stack.pop().expect("the expression is valid");
                match op {
                    ConstOp::I32Add => u64::from((x as u32).wrapping_add(y as u32)),
                    ConstOp::I32Sub => u64::from((x as u32).wrapping_sub(y as u32)),
                    ConstOp::I32Mul => u64::from((x as u32).wrapping_mul(y as u32)),
                    ConstOp::I64Add => x.wrapping_add(y),
                    ConstOp::I64Sub => x.wrapping_sub(y),
                    _ => x.wrapping_mul(y),
                }
            }
        };
        stack.push(value);
    }
    stack.pop().expect("the expression is valid")
}
