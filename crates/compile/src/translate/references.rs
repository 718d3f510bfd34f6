//! References to numbers of 31 bits, and casts to types that need none at run time → arithmetic.
//!
//! Such a reference is twice the number and one, in 32 bits; null is 0, as of all references. There is nothing
//! else in its hierarchy, so a cast only asks whether the reference is null and whether the type has values.

use super::Translator;
use cellwall_ir::{BinaryOp, CompareOp, InstData, Trap, Type, Value};
use cellwall_wasm::{AbstractHeapType, HeapType, Operator, RefType};

impl Translator<'_> {
    /// An operator in reachable code; false if it is none of these.
    pub(super) fn references(&mut self, operator: &Operator<'_>) -> bool {
        match *operator {
            Operator::RefI31 => {
                let number = self.pop();
                let one = self.constant(Type::I32, 1);
                let twice = self.build().binary(BinaryOp::Shl, number, one);
                let reference = self.build().binary(BinaryOp::Or, twice, one);
                self.stack.push(reference);
            }
            Operator::I31GetS => self.number_of(BinaryOp::ShrS),
            Operator::I31GetU => self.number_of(BinaryOp::ShrU),
            Operator::RefEq => {
                let [x, y] = self.pop2();
                let same = self.build().compare(CompareOp::Eq, x, y);
                self.stack.push(same);
            }
            Operator::RefTestNonNull { hty } => self.test(hty, false),
            Operator::RefTestNullable { hty } => self.test(hty, true),
            Operator::RefCastNonNull { hty } => self.cast(hty, false),
            Operator::RefCastNullable { hty } => self.cast(hty, true),
            _ => return false,
        }
        true
    }

    fn number_of(&mut self, shift: BinaryOp) {
        let reference = self.pop();
        let cond = self.is_null(reference);
        let trap = Trap::NullI31Reference;
        self.build().push(InstData::TrapIf { cond, trap }, &[]);
        let one = self.constant(Type::I32, 1);
        let number = self.build().binary(shift, reference, one);
        self.stack.push(number);
    }

    fn test(&mut self, heap: HeapType, nullable: bool) {
        let reference = self.pop();
        let answer = self.is_of(reference, heap, nullable);
        self.stack.push(answer);
    }

    fn cast(&mut self, heap: HeapType, nullable: bool) {
        let reference = *self.stack.last().expect("the operator type-checked");
        let answer = self.is_of(reference, heap, nullable);
        let cond = self.is_null(answer);
        let trap = Trap::CastFailure;
        self.build().push(InstData::TrapIf { cond, trap }, &[]);
    }

    /// What a branch on a cast goes by; the reference stays where it is.
    pub(super) fn cast_holds(&mut self, to: RefType, wanted: bool) -> Value {
        let reference = *self.stack.last().expect("the operator type-checked");
        let answer = self.is_of(reference, to.heap_type(), to.is_nullable());
        if wanted { answer } else { self.is_null(answer) }
    }

    /// Whether a reference is of a type of its hierarchy, as 1 or 0.
    fn is_of(&mut self, reference: Value, heap: HeapType, nullable: bool) -> Value {
        use AbstractHeapType::{NoExn, NoExtern, NoFunc, None};
        let is_empty = matches!(
            heap,
            HeapType::Abstract {
                ty: None | NoFunc | NoExtern | NoExn,
                ..
            }
        );
        match (nullable, is_empty) {
            (true, false) => self.constant(Type::I32, 1),
            (false, true) => self.constant(Type::I32, 0),
            (true, true) => self.is_null(reference),
            (false, false) => {
                let null = self.is_null(reference);
                self.is_null(null)
            }
        }
    }
}
