//! Wide arithmetic: sums, differences and products of 128 bits in two halves each.
//!
//! Requires operators that type-checked. Made of the operators that there are; lowering finds the
//! carry and the pair of halves again, here and in what compilers make without the feature.

use super::Translator;
use cellwall_ir::{BinaryOp, CompareOp, Type, UnaryOp};

impl Translator<'_> {
    /// `i64.add128` or `i64.sub128`: the low and high halves of two integers, of the first and then of
    /// the second.
    pub(super) fn wide_sum(&mut self, op: BinaryOp) {
        let [y_low, y_high] = self.pop2();
        let [x_low, x_high] = self.pop2();
        let mut build = self.build();
        let sum = build.binary(op, x_high, y_high);
        let low = build.binary(op, x_low, y_low);
        // A sum wraps around if it is below an operand, a difference if the operand was.
        let carry = match op {
            BinaryOp::Add => build.compare(CompareOp::LtU, low, x_low),
            _ => build.compare(CompareOp::LtU, x_low, y_low),
        };
        let carry = build.unary(UnaryOp::ExtendU, Type::I64, carry);
        let high = build.binary(op, sum, carry);
        self.stack.extend([low, high]);
    }

    /// `i64.mul_wide_s` or `i64.mul_wide_u`: both halves of the product.
    pub(super) fn wide_product(&mut self, high: BinaryOp) {
        let [x, y] = self.pop2();
        let mut build = self.build();
        let low = build.binary(BinaryOp::Mul, x, y);
        let high = build.binary(high, x, y);
        self.stack.extend([low, high]);
    }
}
