//! Where lowering rules are applied: what they may ask of a function.
//!
//! Requires what the rest of this room does. Guarantees that no question changes anything, and that each
//! takes constant time.

use super::{Lower, memory};
use cellwall_ir as ir;
use cellwall_ir::{InstData, Type, Value};

pub(super) use super::width_of;

/// Whether the processor can hold a constant of this type as a sign-extended immediate of 32 bits.
pub(super) fn is_immediate(ty: Type, bits: u64) -> bool {
    ty == Type::I32 || i32::try_from(bits as i64).is_ok()
}

impl Lower<'_> {
    pub(super) fn ty(&self, value: Value) -> Type {
        self.func.ty(value)
    }

    /// The instruction that defines a value.
    #[inline]
    pub(super) fn definition(&self, value: Value) -> Option<InstData> {
        self.data_of(value).copied()
    }

    /// The constant that a value is.
    #[inline]
    pub(super) fn constant(&self, value: Value) -> Option<u64> {
        self.func.constant(value)
    }

    /// Two operands that may be exchanged, a constant last.
    #[inline]
    pub(super) fn constant_last(&self, [x, y]: [Value; 2]) -> [Value; 2] {
        if self.constant(x).is_some() {
            [y, x]
        } else {
            [x, y]
        }
    }

    /// Two operands that may be exchanged, such that the second can be in memory, or the first is not
    /// needed any more and no copy is made.
    pub(super) fn better_order(&self, [x, y]: [Value; 2]) -> [Value; 2] {
        let better = self.sinkable_load(x) || (self.is_single(y) && !self.is_single(x));
        if better && !self.sinkable_load(y) {
            [y, x]
        } else {
            [x, y]
        }
    }

    fn sinkable_load(&self, value: Value) -> bool {
        let load = self.sinkable(value).map(|inst| self.func.insts[inst].data);
        matches!(
            load,
            Some(InstData::Load {
                op: ir::LoadOp::Full,
                ..
            })
        )
    }

    /// Whether a value is in memory and can be an operand of the current instruction there.
    pub(super) fn loads(&self, value: Value) -> bool {
        match self.sinkable(value).map(|inst| self.func.insts[inst].data) {
            Some(InstData::Load { op, .. }) => op == ir::LoadOp::Full,
            Some(InstData::GlobalGet { global }) => memory::owned_global(self.unit, global).is_some(),
            _ => false,
        }
    }

    /// Counts a rule, where somebody asks.
    #[inline]
    pub(super) fn applied(&mut self, rule: usize) {
        #[cfg(any(feature = "oracle", test))]
        {
            *self
                .state
                .applied
                .entry(super::generated::NAMES[rule])
                .or_default() += 1;
        }
        #[cfg(not(any(feature = "oracle", test)))]
        let _ = rule;
    }
}
