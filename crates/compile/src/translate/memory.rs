//! Memory and table operators.
//!
//! An access whose static offset the guard covers keeps it as displacement and relies on reservation
//! and guard, after a bounds check of the index alone where a reservation is smaller than the index
//! space. Any other computes its address in 64 bits, where it cannot wrap, and checks it whole.

use super::Translator;
use cellwall_abi::LibCall;
use cellwall_base::{MemoryIdx, TableIdx};
use cellwall_ir::{BinaryOp, InstData, LoadOp, StoreOp, Type, UnaryOp, Value};
use cellwall_wasm::{MemArg, MemArgTarget, Operator};

fn memory_of(memarg: &MemArg) -> MemoryIdx {
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

    /// The address of an access with its bounds obligation, and what is left of the offset.
    fn address(&mut self, memory: MemoryIdx, offset: u64, bytes: u32, index: Value) -> (Value, u32) {
        let bytes = u64::from(bytes);
        if self.target.guard_covers(offset, bytes) {
            let offset = u32::try_from(offset).expect("a guard covers less than 2^31 bytes");
            if self.target.index_always_reserved() {
                return (index, offset);
            }
            return (self.bounds_check(memory, index, 0), offset);
        }
        let index = self.extend(index);
        let offset = self.constant(Type::I64, offset);
        let addr = self.build().binary(BinaryOp::Add, index, offset);
        // The guard covers the width, so that comparing the address alone is enough.
        (self.bounds_check(memory, addr, 0), 0)
    }

    fn bounds_check(&mut self, memory: MemoryIdx, addr: Value, slack: u64) -> Value {
        let data = InstData::BoundsCheck { memory, addr, slack };
        self.build().value(data, Type::I64)
    }

    /// A 32-bit index or count in 64 bits.
    fn extend(&mut self, value: Value) -> Value {
        self.build().unary(UnaryOp::ExtendU, Type::I64, value)
    }

    fn index_constant(&mut self, index: u32) -> Value {
        self.constant(Type::I32, u64::from(index))
    }

    /// An operator on a whole memory or on a table; false if it is none.
    pub(super) fn bulk(&mut self, operator: &Operator<'_>) -> bool {
        match *operator {
            Operator::MemorySize { mem } => {
                let memory = MemoryIdx::from_u32(mem);
                self.push_results(InstData::MemorySize { memory }, &[Type::I32]);
            }
            Operator::TableSize { table } => {
                let table = TableIdx::from_u32(table);
                self.push_results(InstData::TableSize { table }, &[Type::I32]);
            }
            Operator::MemoryGrow { mem } => {
                let delta = self.pop();
                let args = [self.index_constant(mem), self.extend(delta)];
                self.call_library(LibCall::MemoryGrow, &args);
                self.wrap_top();
            }
            Operator::MemoryFill { mem } => self.fill(LibCall::MemoryFill, mem),
            Operator::MemoryCopy { dst_mem, src_mem } => self.copy(LibCall::MemoryCopy, dst_mem, src_mem),
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
                self.wrap_top();
            }
            Operator::TableFill { table } => self.fill(LibCall::TableFill, table),
            Operator::TableCopy { dst_table, src_table } => {
                self.copy(LibCall::TableCopy, dst_table, src_table);
            }
            Operator::TableInit { elem_index, table } => self.init(LibCall::TableInit, table, elem_index),
            Operator::ElemDrop { elem_index } => {
                let segment = self.index_constant(elem_index);
                self.call_library(LibCall::ElemDrop, &[segment]);
            }
            _ => return false,
        }
        true
    }

    /// `memory.fill` and `table.fill`: destination, value, length.
    fn fill(&mut self, call: LibCall, space: u32) {
        let [dst, value, len] = self.pop3();
        let args = [
            self.index_constant(space),
            self.extend(dst),
            value,
            self.extend(len),
        ];
        self.call_library(call, &args);
    }

    /// `memory.copy` and `table.copy`: destination, source, length.
    fn copy(&mut self, call: LibCall, dst_space: u32, src_space: u32) {
        let [dst, src, len] = self.pop3();
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

    /// Brings the 64-bit result of a call to the 32 bits of the operator's.
    fn wrap_top(&mut self) {
        let wide = self.pop();
        let value = self.build().unary(UnaryOp::Wrap, Type::I32, wide);
        self.stack.push(value);
    }
}
