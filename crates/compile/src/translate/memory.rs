//! Memory and table operators.
//!
//! An access whose static offset the guard covers keeps it as displacement and relies on reservation
//! and guard, after a bounds check of the index alone where a reservation may be smaller than the
//! index. Any other computes its address in 64 bits, traps if that wraps, and checks it whole. In
//! memories whose length is no multiple of a page of the machine, checks are of the last byte.

use super::Translator;
use cellwall_abi::LibCall;
use cellwall_base::{Limit, MemoryIdx, TableIdx};
use cellwall_ir::{BinaryOp, CompareOp, InstData, LoadOp, StoreOp, Trap, Type, UnaryOp, Value};
use cellwall_wasm::{MemArg, MemArgTarget, Operator};

pub(super) fn memory_of(memarg: &MemArg) -> MemoryIdx {
    match memarg.target {
        MemArgTarget::Memory(index) => MemoryIdx::from_u32(index),
        MemArgTarget::Array(_) => unreachable!("the validator refuses arrays"),
    }
}

impl Translator<'_> {
    pub(super) fn load(&mut self, op: LoadOp, ty: Type, memarg: &MemArg, index: Value) -> Value {
        let memory = memory_of(memarg);
        let (addr, offset) = self.address(memory, memarg.offset, op.bytes(ty), index);
        let data = InstData::Load {
            op,
            memory,
            offset,
            addr,
        };
        self.build().value(data, ty)
    }

    pub(super) fn store(&mut self, op: StoreOp, memarg: &MemArg, index: Value, value: Value) {
        let memory = memory_of(memarg);
        let bytes = op.bytes(self.func.ty(value));
        let (addr, offset) = self.address(memory, memarg.offset, bytes, index);
        let data = InstData::Store {
            op,
            memory,
            offset,
            args: [addr, value],
        };
        self.build().push(data, &[]);
    }

    /// The address of an access with its bounds obligation, and what is left of the offset: what every
    /// access of whichever kind and width asks for.
    pub(super) fn address(
        &mut self,
        memory: MemoryIdx,
        offset: u64,
        bytes: u32,
        index: Value,
    ) -> (Value, u32) {
        let index = self.narrowed(index);
        let bytes = u64::from(bytes);
        // Where a page of the machine may be in use in part, the whole access is compared.
        let is_exact = !self.module.memories()[memory].has_whole_pages();
        if self.target.guard_covers(offset, bytes) && offset + bytes <= i32::MAX as u64 {
            let slack = if is_exact { offset + bytes } else { 0 };
            let offset = u32::try_from(offset).expect("a guard covers less than 2^31 bytes");
            let is_narrow = self.func.ty(index) == Type::I32;
            if is_narrow && self.target.index_always_reserved() && !is_exact {
                return (index, offset);
            }
            return (self.bounds_check(memory, index, slack), offset);
        }
        let addr = self.sum_or_trap(index, offset);
        // Otherwise the guard covers the width, so that comparing the address alone is enough.
        let slack = if is_exact { bytes } else { 0 };
        (self.bounds_check(memory, addr, slack), 0)
    }

    /// An index of 64 bits that is known to fit 32 as one of 32 bits.
    fn narrowed(&mut self, index: Value) -> Value {
        if self.func.ty(index) == Type::I32 {
            return index;
        }
        if let Some(bits) = self.func.constant(index) {
            return match u32::try_from(bits) {
                Ok(_) => self.constant(Type::I32, bits),
                Err(_) => index,
            };
        }
        let def = self.func.def_inst(index).map(|inst| self.func.insts[inst].data);
        match def {
            Some(InstData::Unary {
                op: UnaryOp::ExtendU,
                arg,
            }) => arg,
            _ => index,
        }
    }

    /// `index + offset` in 64 bits; traps if it wraps.
    pub(super) fn sum_or_trap(&mut self, index: Value, offset: u64) -> Value {
        let is_narrow = self.func.ty(index) == Type::I32;
        let index = self.extend(index);
        let offset_value = self.constant(Type::I64, offset);
        let addr = self.build().binary(BinaryOp::Add, index, offset_value);
        // A 32-bit index wraps only by offsets that no memory reaches.
        if !is_narrow || offset > u64::MAX - u64::from(u32::MAX) {
            let cond = self.build().compare(CompareOp::LtU, addr, offset_value);
            let trap = Trap::MemoryOutOfBounds;
            self.build().push(InstData::TrapIf { cond, trap }, &[]);
        }
        addr
    }

    fn bounds_check(&mut self, memory: MemoryIdx, addr: Value, slack: u64) -> Value {
        let data = InstData::BoundsCheck { memory, addr, slack };
        self.build().value(data, Type::I64)
    }

    /// An index or count in 64 bits.
    pub(super) fn extend(&mut self, value: Value) -> Value {
        match self.func.ty(value) {
            Type::I64 => value,
            _ => self.build().unary(UnaryOp::ExtendU, Type::I64, value),
        }
    }

    /// Pushes a number of 64 bits in the type of the indexes of a memory or table.
    fn push_index(&mut self, wide: Value, is_64: bool) {
        let value = match is_64 {
            true => wide,
            false => self.build().unary(UnaryOp::Wrap, Type::I32, wide),
        };
        self.stack.push(value);
    }

    fn is_memory_64(&self, memory: u32) -> bool {
        self.module.memories()[MemoryIdx::from_u32(memory)].is_64
    }

    fn is_table_64(&self, table: u32) -> bool {
        self.module.tables()[TableIdx::from_u32(table)].is_64
    }

    pub(super) fn index_constant(&mut self, index: u32) -> Value {
        self.constant(Type::I32, u64::from(index))
    }

    /// An operator on a whole memory or on a table; false if it is none.
    pub(super) fn bulk(&mut self, operator: &Operator<'_>) -> Result<bool, Limit> {
        match *operator {
            Operator::MemorySize { mem } => {
                let memory = MemoryIdx::from_u32(mem);
                if self.module.memories()[memory].shared {
                    // Another thread may grow it at any time: the runtime is asked each time.
                    let zero = self.constant(Type::I64, 0);
                    let args = [self.index_constant(mem), zero];
                    self.call_library(LibCall::MemoryGrow, &args);
                    let size = self.pop();
                    self.push_index(size, self.is_memory_64(mem));
                    return Ok(true);
                }
                let shift = u64::from(self.module.memories()[memory].page_shift);
                let mut size = self.build().value(InstData::MemorySize { memory }, Type::I64);
                if shift > 0 {
                    let shift = self.constant(Type::I64, shift);
                    size = self.build().binary(BinaryOp::ShrU, size, shift);
                }
                self.push_index(size, self.is_memory_64(mem));
            }
            Operator::TableSize { table } => {
                let ty = if self.is_table_64(table) {
                    Type::I64
                } else {
                    Type::I32
                };
                let table = TableIdx::from_u32(table);
                self.push_results(InstData::TableSize { table }, &[ty]);
            }
            Operator::MemoryGrow { mem } => {
                let delta = self.pop();
                let args = [self.index_constant(mem), self.extend(delta)];
                self.call_library(LibCall::MemoryGrow, &args);
                let old = self.pop();
                self.push_index(old, self.is_memory_64(mem));
            }
            Operator::MemoryFill { mem } => {
                let (memory, args) = (MemoryIdx::from_u32(mem), self.pop3());
                if !self.fill_short(memory, args)? {
                    self.call_fill(memory, args);
                }
            }
            Operator::MemoryCopy { dst_mem, src_mem } => {
                let args = self.pop3();
                let (to, from) = (MemoryIdx::from_u32(dst_mem), MemoryIdx::from_u32(src_mem));
                if !self.copy_short(to, from, args)? {
                    self.call_copy(to, from, args);
                }
            }
            Operator::MemoryInit { data_index, mem } => self.init(LibCall::MemoryInit, mem, data_index),
            Operator::DataDrop { data_index } => {
                let segment = self.index_constant(data_index);
                self.call_library(LibCall::DataDrop, &[segment]);
            }
            Operator::TableGet { table } => {
                let index = self.pop();
                let args = [self.index_constant(table), self.extend(index)];
                self.call_library(LibCall::TableGet, &args);
            }
            Operator::TableSet { table } => {
                let [index, value] = self.pop2();
                let args = [self.index_constant(table), self.extend(index), value];
                self.call_library(LibCall::TableSet, &args);
            }
            Operator::TableGrow { table } => {
                let [init, delta] = self.pop2();
                let args = [self.index_constant(table), init, self.extend(delta)];
                self.call_library(LibCall::TableGrow, &args);
                let old = self.pop();
                self.push_index(old, self.is_table_64(table));
            }
            Operator::TableFill { table } => {
                let args = self.pop3();
                self.fill(LibCall::TableFill, table, args);
            }
            Operator::TableCopy { dst_table, src_table } => {
                let args = self.pop3();
                self.copy(LibCall::TableCopy, dst_table, src_table, args);
            }
            Operator::TableInit { elem_index, table } => self.init(LibCall::TableInit, table, elem_index),
            Operator::ElemDrop { elem_index } => {
                let segment = self.index_constant(elem_index);
                self.call_library(LibCall::ElemDrop, &[segment]);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// `memory.fill` and `table.fill`: destination, value, length.
    fn fill(&mut self, call: LibCall, space: u32, [dst, value, len]: [Value; 3]) {
        let args = [
            self.index_constant(space),
            self.extend(dst),
            value,
            self.extend(len),
        ];
        self.call_library(call, &args);
    }

    /// `memory.fill` by the runtime.
    pub(super) fn call_fill(&mut self, memory: MemoryIdx, args: [Value; 3]) {
        self.fill(LibCall::MemoryFill, memory.as_u32(), args);
    }

    /// `memory.copy` by the runtime.
    pub(super) fn call_copy(&mut self, to: MemoryIdx, from: MemoryIdx, args: [Value; 3]) {
        self.copy(LibCall::MemoryCopy, to.as_u32(), from.as_u32(), args);
    }

    /// `memory.copy` and `table.copy`: destination, source, length.
    fn copy(&mut self, call: LibCall, dst_space: u32, src_space: u32, [dst, src, len]: [Value; 3]) {
        let args = [
            self.index_constant(dst_space),
            self.index_constant(src_space),
            self.extend(dst),
            self.extend(src),
            self.extend(len),
        ];
        self.call_library(call, &args);
    }

    /// `memory.init` and `table.init`: destination, source, length.
    fn init(&mut self, call: LibCall, space: u32, segment: u32) {
        let [dst, src, len] = self.pop3();
        let args = [
            self.index_constant(space),
            self.index_constant(segment),
            self.extend(dst),
            src,
            len,
        ];
        self.call_library(call, &args);
    }
}
