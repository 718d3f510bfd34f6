//! The packed form of a shape.
//!
//! Enumerations are a byte and then what the variant holds; the numbers are fixed by this file.

use super::bytes::{Pack, Reader, Writer, packed};
use crate::shape::{
    ConstExpr, ConstOp, DataSegment, ElementItems, ElementMode, ElementSegment, Export, GlobalShape, Import,
    Item, MemoryShape, TableShape, TagShape,
};
use crate::types::{Signature, ValType};
use cellwall_base::types::{ExactFunc, Heap, RefType};
use cellwall_base::{FuncIdx, GlobalIdx, Invalid, MemoryIdx, TableIdx, TagIdx, TypeIdx};
use std::ops::Range;

packed! {
    Signature { params: Box<[ValType]>, results: Box<[ValType]> }
    MemoryShape { imported: bool, is_64: bool, shared: bool, page_shift: u8, min_pages: u64, max_pages: Option<u64> }
    TableShape { imported: bool, private: bool, element: ValType, exact: RefType, is_64: bool, min: u64, max: Option<u64>, init: Option<ConstExpr> }
    GlobalShape { imported: bool, ty: ValType, exact: Option<RefType>, mutable: bool, init: Option<ConstExpr> }
    TagShape { imported: bool, ty: TypeIdx }
    RefType { nullable: bool, heap: Heap }
    ExactFunc {
        params: Box<[Option<RefType>]>,
        results: Box<[Option<RefType>]>,
        supertype: Option<TypeIdx>,
        is_final: bool,
        group: TypeIdx
    }
    Import { module: String, name: String, item: Item }
    Export { name: String, item: Item }
    DataSegment { active: Option<(MemoryIdx, ConstExpr)>, bytes: Range<u32> }
    ElementSegment { mode: ElementMode, element: ValType, items: ElementItems }
}

impl Pack for ConstExpr {
    const BYTES_MIN: usize = 4;

    fn write(&self, to: &mut Writer) {
        self.0.write(to);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Invalid> {
        Ok(Self(Vec::read(from)?))
    }
}

/// Numbers the variants of an enumeration; a variant holds at most two values.
macro_rules! variants {
    ($($name:ident, $what:literal { $($number:literal = $variant:ident $(($a:ident: $a_ty:ty $(, $b:ident: $b_ty:ty)?))?),+ })+) => {$(
        impl Pack for $name {
            const BYTES_MIN: usize = 1;

            fn write(&self, to: &mut Writer) {
                match self {
                    $(Self::$variant $(($a $(, $b)?))? => {
                        to.raw(&[$number]);
                        $($a.write(to); $($b.write(to);)?)?
                    })+
                }
            }

            fn read(from: &mut Reader<'_>) -> Result<Self, Invalid> {
                let at = *from;
                Ok(match u8::read(from)? {
                    $($number => Self::$variant $((<$a_ty>::read(from)? $(, <$b_ty>::read(from)?)?))?,)+
                    _ => return at.fail(concat!("no such ", $what)),
                })
            }
        }
    )+};
}

variants! {
    ValType, "value type" { 0 = I32, 1 = I64, 2 = F32, 3 = F64, 4 = V128, 5 = FuncRef, 6 = ExternRef, 7 = ExnRef, 8 = AnyRef }
    Heap, "kind of reference" {
        0 = Func, 1 = NoFunc, 2 = Extern, 3 = NoExtern, 4 = Exn, 5 = NoExn, 6 = Type(ty: TypeIdx), 7 = Any, 8 = Eq, 9 = I31,
        10 = None
    }
    Item, "kind of import or export" {
        0 = Func(index: FuncIdx),
        1 = Table(index: TableIdx),
        2 = Memory(index: MemoryIdx),
        3 = Global(index: GlobalIdx),
        4 = Tag(index: TagIdx)
    }
    ElementMode, "kind of element segment" {
        0 = Active(table: TableIdx, offset: ConstExpr),
        1 = Passive,
        2 = Declared
    }
    ElementItems, "kind of elements" { 0 = Funcs(funcs: Vec<FuncIdx>), 1 = Exprs(exprs: Vec<ConstExpr>) }
    ConstOp, "operator of a constant expression" {
        0 = I32(value: i32),
        1 = I64(value: i64),
        2 = F32(bits: u32),
        3 = F64(bits: u64),
        4 = V128(bits: u128),
        5 = GlobalGet(global: GlobalIdx),
        6 = RefNull,
        7 = RefFunc(func: FuncIdx),
        8 = I32Add,
        9 = I32Sub,
        10 = I32Mul,
        11 = I64Add,
        12 = I64Sub,
        13 = I64Mul,
        14 = RefI31
    }
}
