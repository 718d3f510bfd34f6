//! Division by the processor, with the traps that WebAssembly has. Most divisions by constants were
//! made multiplications before, by the optimizer.

use super::{Lower, trap_code, width_of};
use Width::{W32, W64};
use cellwall_ir::{BinaryOp, Trap, Value};
use cellwall_isa::Class;
use cellwall_isa::x64::{Cond, Inst, Row, Width};

impl Lower<'_> {
    pub(super) fn divide(&mut self, op: BinaryOp, result: Value, [x, y]: [Value; 2]) {
        let ty = self.func.ty(result);
        let width = width_of(ty);
        let by_zero = trap_code(Trap::IntegerDivisionByZero);
        let never_zero = self.func.constant(y).is_some_and(|bits| bits != 0);
        let (x, y) = (self.reg_for(ty, x), self.reg_for(ty, y));
        let dst = self.def(result);
        let other = self.temp(Class::Int);
        let signed = matches!(op, BinaryOp::DivS | BinaryOp::RemS);
        if signed && !never_zero {
            self.emit(Inst::new(Row::Test, width).src(y).rm(y));
            self.emit(Inst::new(Row::TrapIf, W64).cond(Cond::E).trap(by_zero));
        }
        if op == BinaryOp::RemS {
            let rem = Inst::new(Row::RemS, width).src(x).rm(y).dst(dst).dst2(other);
            return self.emit(rem.trap(trap_code(Trap::IntegerOverflow)));
        }
        let high = self.temp(Class::Int);
        let (row, trap) = if signed {
            self.emit(Inst::new(Row::Cdq, width).src(x).dst(high));
            (Row::Idiv, trap_code(Trap::IntegerOverflow))
        } else {
            self.emit(Inst::new(Row::Zero, W32).dst(high));
            (Row::Div, by_zero)
        };
        let div = Inst::new(row, width).src(x).index(high).rm(y).trap(trap);
        let quotient = matches!(op, BinaryOp::DivS | BinaryOp::DivU);
        self.emit(if quotient {
            div.dst(dst).dst2(other)
        } else {
            div.dst(other).dst2(dst)
        });
    }
}
