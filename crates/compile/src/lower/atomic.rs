//! Atomic accesses: what x86-64 orders by itself, `xchg`, and the instructions with a `lock` prefix.
//!
//! Requires addresses that were checked for alignment. A load is an ordinary one, since the processor
//! keeps it in order with all but earlier stores, and stores are exchanges, which wait for those.

use super::plant::Plant;
use super::{Lower, width_of};
use Width::{W8, W16, W32, W64};
use cellwall_ir as ir;
use cellwall_ir::{AtomicOp, InstData, StoreOp, Value};
use cellwall_isa::x64::{Inst, Row, Width};
use cellwall_isa::{Class, Reg};

impl Lower<'_> {
    pub(super) fn atomic(&mut self, inst: ir::Inst) {
        let InstData::Atomic {
            op,
            width,
            memory,
            offset,
            args,
        } = self.func.insts[inst].data
        else {
            unreachable!("the caller looked")
        };
        let func = self.func;
        let (&addr, operands) = func.list(args).split_first().expect("the address comes first");
        let result = op.gives().then(|| func.result(inst));
        let ty = func.ty(result.unwrap_or(*operands.first().unwrap_or(&addr)));
        let bytes = width.bytes(ty);
        let bits = match width {
            StoreOp::Full => width_of(ty),
            StoreOp::Low8 => W8,
            StoreOp::Low16 => W16,
            StoreOp::Low32 => W32,
        };
        let mut registers = [Reg::NONE; 2];
        for (register, &operand) in registers.iter_mut().zip(operands) {
            *register = self.operand_in(bits, operand);
        }
        let [x, y] = registers;
        let wide = if bits == W64 { W64 } else { W32 };
        let x = match op {
            AtomicOp::Sub => {
                let negative = self.temp(Class::Int);
                self.emit(Inst::new(Row::Neg, wide).dst(negative).src(x));
                negative
            }
            _ => x,
        };
        let place = self.access(memory, addr, offset, bytes, self.source);
        if op == AtomicOp::Load {
            let dst = self.def(func.result(inst));
            let (row, width) = loading(bits);
            return self.emit(place.on(Inst::new(row, width).dst(dst)));
        }
        let old = self.temp(Class::Int);
        let access = match op {
            AtomicOp::Add | AtomicOp::Sub => Inst::new(Row::Xadd, bits).dst(old).src(x),
            AtomicOp::And | AtomicOp::Or | AtomicOp::Xor => {
                let new = self.temp(Class::Int);
                let number = match op {
                    AtomicOp::And => 0,
                    AtomicOp::Or => 1,
                    _ => 2,
                };
                Inst::new(Row::AtomicLoop, bits)
                    .dst(old)
                    .dst2(new)
                    .src(x)
                    .imm(number)
            }
            AtomicOp::CompareExchange => Inst::new(Row::Cmpxchg, bits).dst(old).dst2(x).src(y),
            _ => Inst::new(Row::Xchg, bits).dst(old).src(x),
        };
        self.emit(place.on(access));
        if let Some(result) = result {
            let dst = self.def(result);
            let (row, width) = match self.unit.has(Plant::AtomicNotNarrowed) {
                true => (Row::Mov, W64),
                false => loading(bits),
            };
            self.emit(Inst::new(row, width).dst(dst).rm(old));
        }
    }

    /// The register of an operand of which so many bits count.
    fn operand_in(&mut self, bits: Width, value: Value) -> Reg {
        match bits {
            W64 => self.reg(value),
            _ => self.reg_low(value),
        }
    }
}

/// The row and width that zero-extend what is so wide.
fn loading(bits: Width) -> (Row, Width) {
    match bits {
        W8 => (Row::Movzx8, W32),
        W16 => (Row::Movzx16, W32),
        W32 => (Row::Mov, W32),
        _ => (Row::Mov, W64),
    }
}
