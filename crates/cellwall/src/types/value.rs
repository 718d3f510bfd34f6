//! Value types.

use cellwall_abi as abi;
use std::fmt;

/// Whether a global can be set.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Mutability {
    /// It never changes.
    Const,
    /// It can be set.
    Var,
}

impl Mutability {
    /// Whether it never changes.
    pub fn is_const(&self) -> bool {
        *self == Self::Const
    }

    /// Whether it can be set.
    pub fn is_var(&self) -> bool {
        *self == Self::Var
    }
}

/// A value type (core specification, "Value Types").
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum ValType {
    /// 32-bit integer.
    I32,
    /// 64-bit integer.
    I64,
    /// IEEE 754 binary32.
    F32,
    /// IEEE 754 binary64.
    F64,
    /// 128-bit vector.
    V128,
    /// Reference.
    Ref(RefType),
}

impl ValType {
    /// The type `externref`.
    pub const EXTERNREF: Self = Self::Ref(RefType::EXTERNREF);
    /// The type `exnref`.
    pub const EXNREF: Self = Self::Ref(RefType::EXNREF);
    /// The type `funcref`.
    pub const FUNCREF: Self = Self::Ref(RefType::FUNCREF);

    /// Whether it is a number.
    pub fn is_num(&self) -> bool {
        matches!(self, Self::I32 | Self::I64 | Self::F32 | Self::F64)
    }

    /// Whether it is `i32`.
    pub fn is_i32(&self) -> bool {
        *self == Self::I32
    }

    /// Whether it is `i64`.
    pub fn is_i64(&self) -> bool {
        *self == Self::I64
    }

    /// Whether it is `f32`.
    pub fn is_f32(&self) -> bool {
        *self == Self::F32
    }

    /// Whether it is `f64`.
    pub fn is_f64(&self) -> bool {
        *self == Self::F64
    }

    /// Whether it is `v128`.
    pub fn is_v128(&self) -> bool {
        *self == Self::V128
    }

    /// Whether it is a reference.
    pub fn is_ref(&self) -> bool {
        matches!(self, Self::Ref(_))
    }

    /// Whether it is `funcref`.
    pub fn is_funcref(&self) -> bool {
        *self == Self::FUNCREF
    }

    /// Whether it is `externref`.
    pub fn is_externref(&self) -> bool {
        *self == Self::EXTERNREF
    }

    /// The reference type, if it is one.
    pub fn as_ref(&self) -> Option<&RefType> {
        match self {
            Self::Ref(ty) => Some(ty),
            _ => None,
        }
    }

    /// The reference type.
    ///
    /// # Panics
    /// If it is none.
    pub fn unwrap_ref(&self) -> &RefType {
        self.as_ref()
            .unwrap_or_else(|| panic!("expected a reference type, found {self}"))
    }

    /// Whether a value of this type may be used where `other` is expected.
    pub fn matches(&self, other: &Self) -> bool {
        self == other
    }

    /// The value that a local of this type starts with.
    pub fn default_value(&self) -> Option<crate::Val> {
        crate::Val::default_for_ty(self)
    }

    pub(crate) fn to_abi(&self) -> abi::ValType {
        match self {
            Self::I32 => abi::ValType::I32,
            Self::I64 => abi::ValType::I64,
            Self::F32 => abi::ValType::F32,
            Self::F64 => abi::ValType::F64,
            Self::V128 => abi::ValType::V128,
            Self::Ref(ty) => ty.to_abi(),
        }
    }

    pub(crate) fn from_abi(ty: abi::ValType) -> Self {
        match ty {
            abi::ValType::I32 => Self::I32,
            abi::ValType::I64 => Self::I64,
            abi::ValType::F32 => Self::F32,
            abi::ValType::F64 => Self::F64,
            abi::ValType::V128 => Self::V128,
            abi::ValType::FuncRef => Self::FUNCREF,
            abi::ValType::ExternRef => Self::EXTERNREF,
            abi::ValType::ExnRef => Self::EXNREF,
        }
    }
}

impl fmt::Debug for ValType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for ValType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ref(ty) => fmt::Display::fmt(ty, f),
            _ => fmt::Display::fmt(&self.to_abi(), f),
        }
    }
}

impl From<RefType> for ValType {
    fn from(ty: RefType) -> Self {
        Self::Ref(ty)
    }
}

/// A reference type. All are nullable in this version (WebAssembly 2.0).
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RefType {
    heap: HeapType,
}

impl RefType {
    /// The type `externref`.
    pub const EXTERNREF: Self = Self {
        heap: HeapType::Extern,
    };
    /// The type `exnref`.
    pub const EXNREF: Self = Self { heap: HeapType::Exn };
    /// The type `funcref`.
    pub const FUNCREF: Self = Self { heap: HeapType::Func };

    /// The reference type to this kind of thing.
    ///
    /// # Panics
    /// If `is_nullable` is false: references that cannot be null are not part of WebAssembly 2.0.
    pub fn new(is_nullable: bool, heap_type: HeapType) -> Self {
        assert!(is_nullable, "non-nullable references are not supported");
        Self { heap: heap_type }
    }

    /// Whether null is a value of it.
    pub fn is_nullable(&self) -> bool {
        true
    }

    /// What it refers to.
    pub fn heap_type(&self) -> &HeapType {
        &self.heap
    }

    /// Whether a reference of this type may be used where `other` is expected.
    pub fn matches(&self, other: &Self) -> bool {
        self == other
    }

    pub(crate) fn to_abi(&self) -> abi::ValType {
        match self.heap {
            HeapType::Func => abi::ValType::FuncRef,
            HeapType::Extern => abi::ValType::ExternRef,
            HeapType::Exn => abi::ValType::ExnRef,
        }
    }

    pub(crate) fn from_abi(ty: abi::ValType) -> Self {
        match ValType::from_abi(ty) {
            ValType::Ref(ty) => ty,
            other => panic!("a table of {other} cannot exist"),
        }
    }
}

impl fmt::Debug for RefType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for RefType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.to_abi(), f)
    }
}

/// What a reference refers to.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum HeapType {
    /// A value of the host.
    Extern,
    /// An exception.
    Exn,
    /// A function.
    Func,
}

impl HeapType {
    /// Whether it is a value of the host.
    pub fn is_extern(&self) -> bool {
        *self == Self::Extern
    }

    /// Whether it is a function.
    pub fn is_func(&self) -> bool {
        *self == Self::Func
    }

    /// Whether this kind of thing may be used where `other` is expected.
    pub fn matches(&self, other: &Self) -> bool {
        self == other
    }
}

impl fmt::Display for HeapType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Extern => "extern",
            Self::Exn => "exn",
            Self::Func => "func",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_survive_the_treaty() {
        let all = [
            ValType::I32,
            ValType::I64,
            ValType::F32,
            ValType::F64,
            ValType::V128,
            ValType::FUNCREF,
            ValType::EXTERNREF,
            ValType::EXNREF,
        ];
        for ty in &all {
            assert_eq!(&ValType::from_abi(ty.to_abi()), ty);
            assert_eq!(all.iter().filter(|other| ty.matches(other)).count(), 1);
        }
        assert_eq!(ValType::FUNCREF.to_string(), "funcref");
        assert_eq!(format!("{:?}", ValType::I32), "i32");
    }

    #[test]
    #[should_panic(expected = "expected a reference type, found i32")]
    fn a_number_is_no_reference() {
        ValType::I32.unwrap_ref();
    }
}
