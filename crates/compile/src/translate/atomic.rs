//! Atomic accesses, waiting and waking.
//!
//! Requires operators that type-checked. An address is checked for alignment before it is for bounds;
//! waiting and waking are the runtime's, which checks both.

use super::Translator;
use super::memory::memory_of;
use cellwall_abi::LibCall;
use cellwall_ir::{AtomicOp, BinaryOp, InstData, StoreOp, Trap, Type, Value};
use cellwall_wasm::{MemArg, Operator};

/// What an atomic access is in the SSA form: the row, its width, the type of its operands.
fn row(operator: &Operator<'_>) -> Option<(AtomicOp, StoreOp, Type, MemArg)> {
    use Operator as O;
    use Type::{I32, I64};
    Some(match *operator {
        O::I32AtomicLoad { memarg } => (AtomicOp::Load, StoreOp::Full, I32, memarg),
        O::I32AtomicStore { memarg } => (AtomicOp::Store, StoreOp::Full, I32, memarg),
        O::I32AtomicRmwAdd { memarg } => (AtomicOp::Add, StoreOp::Full, I32, memarg),
        O::I32AtomicRmwSub { memarg } => (AtomicOp::Sub, StoreOp::Full, I32, memarg),
        O::I32AtomicRmwAnd { memarg } => (AtomicOp::And, StoreOp::Full, I32, memarg),
        O::I32AtomicRmwOr { memarg } => (AtomicOp::Or, StoreOp::Full, I32, memarg),
        O::I32AtomicRmwXor { memarg } => (AtomicOp::Xor, StoreOp::Full, I32, memarg),
        O::I32AtomicRmwXchg { memarg } => (AtomicOp::Exchange, StoreOp::Full, I32, memarg),
        O::I32AtomicRmwCmpxchg { memarg } => (AtomicOp::CompareExchange, StoreOp::Full, I32, memarg),
        O::I32AtomicLoad8U { memarg } => (AtomicOp::Load, StoreOp::Low8, I32, memarg),
        O::I32AtomicStore8 { memarg } => (AtomicOp::Store, StoreOp::Low8, I32, memarg),
        O::I32AtomicRmw8AddU { memarg } => (AtomicOp::Add, StoreOp::Low8, I32, memarg),
        O::I32AtomicRmw8SubU { memarg } => (AtomicOp::Sub, StoreOp::Low8, I32, memarg),
        O::I32AtomicRmw8AndU { memarg } => (AtomicOp::And, StoreOp::Low8, I32, memarg),
        O::I32AtomicRmw8OrU { memarg } => (AtomicOp::Or, StoreOp::Low8, I32, memarg),
        O::I32AtomicRmw8XorU { memarg } => (AtomicOp::Xor, StoreOp::Low8, I32, memarg),
        O::I32AtomicRmw8XchgU { memarg } => (AtomicOp::Exchange, StoreOp::Low8, I32, memarg),
        O::I32AtomicRmw8CmpxchgU { memarg } => (AtomicOp::CompareExchange, StoreOp::Low8, I32, memarg),
        O::I32AtomicLoad16U { memarg } => (AtomicOp::Load, StoreOp::Low16, I32, memarg),
        O::I32AtomicStore16 { memarg } => (AtomicOp::Store, StoreOp::Low16, I32, memarg),
        O::I32AtomicRmw16AddU { memarg } => (AtomicOp::Add, StoreOp::Low16, I32, memarg),
        O::I32AtomicRmw16SubU { memarg } => (AtomicOp::Sub, StoreOp::Low16, I32, memarg),
        O::I32AtomicRmw16AndU { memarg } => (AtomicOp::And, StoreOp::Low16, I32, memarg),
        O::I32AtomicRmw16OrU { memarg } => (AtomicOp::Or, StoreOp::Low16, I32, memarg),
        O::I32AtomicRmw16XorU { memarg } => (AtomicOp::Xor, StoreOp::Low16, I32, memarg),
        O::I32AtomicRmw16XchgU { memarg } => (AtomicOp::Exchange, StoreOp::Low16, I32, memarg),
        O::I32AtomicRmw16CmpxchgU { memarg } => (AtomicOp::CompareExchange, StoreOp::Low16, I32, memarg),
        O::I64AtomicLoad { memarg } => (AtomicOp::Load, StoreOp::Full, I64, memarg),
        O::I64AtomicStore { memarg } => (AtomicOp::Store, StoreOp::Full, I64, memarg),
        O::I64AtomicRmwAdd { memarg } => (AtomicOp::Add, StoreOp::Full, I64, memarg),
        O::I64AtomicRmwSub { memarg } => (AtomicOp::Sub, StoreOp::Full, I64, memarg),
        O::I64AtomicRmwAnd { memarg } => (AtomicOp::And, StoreOp::Full, I64, memarg),
        O::I64AtomicRmwOr { memarg } => (AtomicOp::Or, StoreOp::Full, I64, memarg),
        O::I64AtomicRmwXor { memarg } => (AtomicOp::Xor, StoreOp::Full, I64, memarg),
        O::I64AtomicRmwXchg { memarg } => (AtomicOp::Exchange, StoreOp::Full, I64, memarg),
        O::I64AtomicRmwCmpxchg { memarg } => (AtomicOp::CompareExchange, StoreOp::Full, I64, memarg),
        O::I64AtomicLoad8U { memarg } => (AtomicOp::Load, StoreOp::Low8, I64, memarg),
        O::I64AtomicStore8 { memarg } => (AtomicOp::Store, StoreOp::Low8, I64, memarg),
        O::I64AtomicRmw8AddU { memarg } => (AtomicOp::Add, StoreOp::Low8, I64, memarg),
        O::I64AtomicRmw8SubU { memarg } => (AtomicOp::Sub, StoreOp::Low8, I64, memarg),
        O::I64AtomicRmw8AndU { memarg } => (AtomicOp::And, StoreOp::Low8, I64, memarg),
        O::I64AtomicRmw8OrU { memarg } => (AtomicOp::Or, StoreOp::Low8, I64, memarg),
        O::I64AtomicRmw8XorU { memarg } => (AtomicOp::Xor, StoreOp::Low8, I64, memarg),
        O::I64AtomicRmw8XchgU { memarg } => (AtomicOp::Exchange, StoreOp::Low8, I64, memarg),
        O::I64AtomicRmw8CmpxchgU { memarg } => (AtomicOp::CompareExchange, StoreOp::Low8, I64, memarg),
        O::I64AtomicLoad16U { memarg } => (AtomicOp::Load, StoreOp::Low16, I64, memarg),
        O::I64AtomicStore16 { memarg } => (AtomicOp::Store, StoreOp::Low16, I64, memarg),
        O::I64AtomicRmw16AddU { memarg } => (AtomicOp::Add, StoreOp::Low16, I64, memarg),
        O::I64AtomicRmw16SubU { memarg } => (AtomicOp::Sub, StoreOp::Low16, I64, memarg),
        O::I64AtomicRmw16AndU { memarg } => (AtomicOp::And, StoreOp::Low16, I64, memarg),
        O::I64AtomicRmw16OrU { memarg } => (AtomicOp::Or, StoreOp::Low16, I64, memarg),
        O::I64AtomicRmw16XorU { memarg } => (AtomicOp::Xor, StoreOp::Low16, I64, memarg),
        O::I64AtomicRmw16XchgU { memarg } => (AtomicOp::Exchange, StoreOp::Low16, I64, memarg),
        O::I64AtomicRmw16CmpxchgU { memarg } => (AtomicOp::CompareExchange, StoreOp::Low16, I64, memarg),
        O::I64AtomicLoad32U { memarg } => (AtomicOp::Load, StoreOp::Low32, I64, memarg),
        O::I64AtomicStore32 { memarg } => (AtomicOp::Store, StoreOp::Low32, I64, memarg),
        O::I64AtomicRmw32AddU { memarg } => (AtomicOp::Add, StoreOp::Low32, I64, memarg),
        O::I64AtomicRmw32SubU { memarg } => (AtomicOp::Sub, StoreOp::Low32, I64, memarg),
        O::I64AtomicRmw32AndU { memarg } => (AtomicOp::And, StoreOp::Low32, I64, memarg),
        O::I64AtomicRmw32OrU { memarg } => (AtomicOp::Or, StoreOp::Low32, I64, memarg),
        O::I64AtomicRmw32XorU { memarg } => (AtomicOp::Xor, StoreOp::Low32, I64, memarg),
        O::I64AtomicRmw32XchgU { memarg } => (AtomicOp::Exchange, StoreOp::Low32, I64, memarg),
        O::I64AtomicRmw32CmpxchgU { memarg } => (AtomicOp::CompareExchange, StoreOp::Low32, I64, memarg),
        _ => return None,
    })
}

impl Translator<'_> {
    /// An operator of threads; false if it is none.
    pub(super) fn threads(&mut self, operator: &Operator<'_>) -> bool {
        if let Some((op, width, ty, memarg)) = row(operator) {
            self.atomic(op, width, ty, &memarg);
            return true;
        }
        match *operator {
            Operator::AtomicFence { .. } => {
                self.build().push(InstData::Fence, &[]);
            }
            Operator::MemoryAtomicNotify { ref memarg } => {
                let [index, count] = self.pop2();
                self.park(LibCall::AtomicNotify, memarg, index, &[count]);
            }
            Operator::MemoryAtomicWait32 { ref memarg } => {
                let [index, expected, timeout] = self.pop3();
                self.park(LibCall::AtomicWait32, memarg, index, &[expected, timeout]);
            }
            Operator::MemoryAtomicWait64 { ref memarg } => {
                let [index, expected, timeout] = self.pop3();
                self.park(LibCall::AtomicWait64, memarg, index, &[expected, timeout]);
            }
            _ => return false,
        }
        true
    }

    fn atomic(&mut self, op: AtomicOp, width: StoreOp, ty: Type, memarg: &MemArg) {
        let mut operands = [self.stack[0]; 2];
        let operands = &mut operands[..op.operands()];
        for operand in operands.iter_mut().rev() {
            *operand = self.pop();
        }
        let index = self.pop();
        let bytes = width.bytes(ty);
        self.check_alignment(index, memarg.offset, bytes);
        let memory = memory_of(memarg);
        let (addr, offset) = self.address(memory, memarg.offset, bytes, index);
        let mut args = vec![addr];
        args.extend_from_slice(operands);
        let data = InstData::Atomic {
            op,
            width,
            memory,
            offset,
            args: self.func.make_list(&args),
        };
        let result = [ty];
        self.push_results(data, if op.gives() { &result } else { &[] });
    }

    /// Traps unless the address is a multiple of the width.
    fn check_alignment(&mut self, index: Value, offset: u64, bytes: u32) {
        if bytes == 1 {
            return;
        }
        let ty = self.func.ty(index);
        let mask = u64::from(bytes) - 1;
        let mut low = index;
        if offset & mask != 0 {
            let offset = self.constant(ty, offset & mask);
            low = self.build().binary(BinaryOp::Add, low, offset);
        }
        let mask = self.constant(ty, mask);
        low = self.build().binary(BinaryOp::And, low, mask);
        let cond = match ty {
            Type::I32 => low,
            _ => self.build().unary(cellwall_ir::UnaryOp::Wrap, Type::I32, low),
        };
        let trap = Trap::UnalignedAtomic;
        self.build().push(InstData::TrapIf { cond, trap }, &[]);
    }

    /// Waits or wakes at an address, which the runtime checks whole.
    fn park(&mut self, call: LibCall, memarg: &MemArg, index: Value, rest: &[Value]) {
        let memory = memory_of(memarg);
        let address = match memarg.offset {
            0 => self.extend(index),
            offset => self.sum_or_trap(index, offset),
        };
        let mut args = vec![self.index_constant(memory.as_u32()), address];
        args.extend_from_slice(rest);
        self.call_library(call, &args);
    }
}
