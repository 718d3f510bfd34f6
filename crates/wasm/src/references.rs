//! What of garbage collection is there: references to numbers of 31 bits, and casts that need no types at run
//! time. Everything else needs objects of the heap.
//!
//! Requires an operator that type-checked. Guarantees that what passes names only types that
//! [`ValType`](crate::ValType) has.

use crate::module::{ValType, exact_ref};
use wasmparser::{BlockType, HeapType, Operator, RefType};

/// What is said of a type.
pub(crate) const UNSUPPORTED: &str = "a reference to an object of the heap (feature not supported: gc)";

/// What is said of an operator.
pub(crate) const UNSUPPORTED_OPERATOR: &str =
    "an operator that needs objects of the heap, or types at run time (feature not supported: gc)";

/// Whether there is such an operator.
pub(crate) fn is_supported(operator: &Operator<'_>) -> bool {
    let of_heap = |heap: HeapType| RefType::new(true, heap).is_some_and(|ty| exact_ref(ty).is_some());
    let to_cast = |heap: HeapType| matches!(heap, HeapType::Abstract { .. }) && of_heap(heap);
    match *operator {
        Operator::Block { blockty }
        | Operator::Loop { blockty }
        | Operator::If { blockty }
        | Operator::Try { blockty } => of_block(blockty),
        Operator::TryTable { ref try_table } => of_block(try_table.ty),
        Operator::TypedSelect { ty } => ValType::supported(ty).is_some(),
        Operator::TypedSelectMulti { ref tys } => tys.iter().all(|&ty| ValType::supported(ty).is_some()),
        Operator::RefNull { hty } => of_heap(hty),
        Operator::RefTestNonNull { hty }
        | Operator::RefTestNullable { hty }
        | Operator::RefCastNonNull { hty }
        | Operator::RefCastNullable { hty } => to_cast(hty),
        Operator::BrOnCast { to_ref_type, .. } | Operator::BrOnCastFail { to_ref_type, .. } => {
            to_cast(to_ref_type.heap_type())
        }
        Operator::StructNew { .. }
        | Operator::StructNewDefault { .. }
        | Operator::StructGet { .. }
        | Operator::StructGetS { .. }
        | Operator::StructGetU { .. }
        | Operator::StructSet { .. }
        | Operator::ArrayNew { .. }
        | Operator::ArrayNewDefault { .. }
        | Operator::ArrayNewFixed { .. }
        | Operator::ArrayNewData { .. }
        | Operator::ArrayNewElem { .. }
        | Operator::ArrayGet { .. }
        | Operator::ArrayGetS { .. }
        | Operator::ArrayGetU { .. }
        | Operator::ArraySet { .. }
        | Operator::ArrayLen
        | Operator::ArrayFill { .. }
        | Operator::ArrayCopy { .. }
        | Operator::ArrayInitData { .. }
        | Operator::ArrayInitElem { .. }
        | Operator::AnyConvertExtern
        | Operator::ExternConvertAny => false,
        _ => true,
    }
}

fn of_block(ty: BlockType) -> bool {
    match ty {
        BlockType::Type(ty) => ValType::supported(ty).is_some(),
        BlockType::Empty | BlockType::FuncType(_) => true,
    }
}
