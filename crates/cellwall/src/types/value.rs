//! Value types.

use super::FuncType;
use cellwall_abi as abi;
use cellwall_base::types;
use cellwall_runtime as runtime;
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
    /// The type `anyref`.
    pub const ANYREF: Self = Self::Ref(RefType::ANYREF);
    /// The type `eqref`.
    pub const EQREF: Self = Self::Ref(RefType::EQREF);
    /// The type `i31ref`.
    pub const I31REF: Self = Self::Ref(RefType::I31REF);
    /// The type `nullref`.
    pub const NULLREF: Self = Self::Ref(RefType::NULLREF);

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
        match (self, other) {
            (Self::Ref(ty), Self::Ref(other)) => ty.matches(other),
            _ => self == other,
        }
    }

    /// The value that a local of this type starts with; none for references that cannot be null.
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
            abi::ValType::AnyRef => Self::ANYREF,
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

/// A reference type.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RefType {
    is_nullable: bool,
    heap: HeapType,
}

impl RefType {
    /// The type `externref`.
    pub const EXTERNREF: Self = Self {
        is_nullable: true,
        heap: HeapType::Extern,
    };
    /// The type `exnref`.
    pub const EXNREF: Self = Self {
        is_nullable: true,
        heap: HeapType::Exn,
    };
    /// The type `funcref`.
    pub const FUNCREF: Self = Self {
        is_nullable: true,
        heap: HeapType::Func,
    };
    /// The type `anyref`.
    pub const ANYREF: Self = Self {
        is_nullable: true,
        heap: HeapType::Any,
    };
    /// The type `eqref`.
    pub const EQREF: Self = Self {
        is_nullable: true,
        heap: HeapType::Eq,
    };
    /// The type `i31ref`.
    pub const I31REF: Self = Self {
        is_nullable: true,
        heap: HeapType::I31,
    };
    /// The type `nullref`.
    pub const NULLREF: Self = Self {
        is_nullable: true,
        heap: HeapType::None,
    };

    /// The reference type to this kind of thing.
    pub fn new(is_nullable: bool, heap_type: HeapType) -> Self {
        Self {
            is_nullable,
            heap: heap_type,
        }
    }

    /// Whether null is a value of it.
    pub fn is_nullable(&self) -> bool {
        self.is_nullable
    }

    /// What it refers to.
    pub fn heap_type(&self) -> &HeapType {
        &self.heap
    }

    /// Whether a reference of this type may be used where `other` is expected.
    pub fn matches(&self, other: &Self) -> bool {
        (other.is_nullable || !self.is_nullable) && self.heap.matches(&other.heap)
    }

    pub(crate) fn to_abi(&self) -> abi::ValType {
        match self.heap {
            HeapType::Func | HeapType::ConcreteFunc(_) | HeapType::NoFunc => abi::ValType::FuncRef,
            HeapType::Extern | HeapType::NoExtern => abi::ValType::ExternRef,
            HeapType::Exn | HeapType::NoExn => abi::ValType::ExnRef,
            HeapType::Any | HeapType::Eq | HeapType::I31 | HeapType::None => abi::ValType::AnyRef,
        }
    }

    /// The type as an engine knows it.
    pub(crate) fn to_exact(&self, engine: &runtime::Engine) -> types::RefType<u32> {
        let heap = match &self.heap {
            HeapType::Func => types::Heap::Func,
            HeapType::NoFunc => types::Heap::NoFunc,
            HeapType::Extern => types::Heap::Extern,
            HeapType::NoExtern => types::Heap::NoExtern,
            HeapType::Exn => types::Heap::Exn,
            HeapType::NoExn => types::Heap::NoExn,
            HeapType::Any => types::Heap::Any,
            HeapType::Eq => types::Heap::Eq,
            HeapType::I31 => types::Heap::I31,
            HeapType::None => types::Heap::None,
            HeapType::ConcreteFunc(ty) => types::Heap::Type(ty.number(engine)),
        };
        let nullable = self.is_nullable;
        types::RefType { nullable, heap }
    }

    pub(crate) fn from_exact(engine: &runtime::Engine, ty: types::RefType<u32>) -> Self {
        let heap = match ty.heap {
            types::Heap::Func => HeapType::Func,
            types::Heap::NoFunc => HeapType::NoFunc,
            types::Heap::Extern => HeapType::Extern,
            types::Heap::NoExtern => HeapType::NoExtern,
            types::Heap::Exn => HeapType::Exn,
            types::Heap::NoExn => HeapType::NoExn,
            types::Heap::Any => HeapType::Any,
            types::Heap::Eq => HeapType::Eq,
            types::Heap::I31 => HeapType::I31,
            types::Heap::None => HeapType::None,
            types::Heap::Type(number) => HeapType::ConcreteFunc(FuncType::from_number(engine, number)),
        };
        Self::new(ty.nullable, heap)
    }
}

impl fmt::Debug for RefType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for RefType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.heap, self.is_nullable) {
            (HeapType::ConcreteFunc(_), true) => write!(f, "(ref null {})", self.heap),
            (heap, true) => write!(f, "{}", Nullable(heap)),
            (heap, false) => write!(f, "(ref {heap})"),
        }
    }
}

/// The short form of a type of nullable references.
struct Nullable<'a>(&'a HeapType);

impl fmt::Display for Nullable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            HeapType::NoFunc => f.write_str("nullfuncref"),
            HeapType::NoExtern => f.write_str("nullexternref"),
            HeapType::NoExn => f.write_str("nullexnref"),
            HeapType::None => f.write_str("nullref"),
            heap => write!(f, "{heap}ref"),
        }
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
    /// No exception: null is the only reference.
    NoExn,
    /// No value of the host: null is the only reference.
    NoExtern,
    /// A function.
    Func,
    /// A function of one type.
    ConcreteFunc(FuncType),
    /// No function: null is the only reference.
    NoFunc,
    /// Anything of WebAssembly's own: numbers of 31 bits, as long as there are no objects of the heap.
    Any,
    /// The same, as far as it can be compared.
    Eq,
    /// A number of 31 bits, see [`I31`](crate::I31).
    I31,
    /// Nothing of it: null is the only reference.
    None,
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
        match (self, other) {
            (Self::ConcreteFunc(ty), Self::ConcreteFunc(other)) => ty.matches(other),
            (Self::Func | Self::ConcreteFunc(_) | Self::NoFunc, Self::Func)
            | (Self::NoFunc, Self::NoFunc | Self::ConcreteFunc(_))
            | (Self::Extern | Self::NoExtern, Self::Extern)
            | (Self::NoExtern, Self::NoExtern)
            | (Self::Exn | Self::NoExn, Self::Exn)
            | (Self::NoExn, Self::NoExn)
            | (Self::Any | Self::Eq | Self::I31 | Self::None, Self::Any)
            | (Self::Eq | Self::I31 | Self::None, Self::Eq)
            | (Self::I31 | Self::None, Self::I31)
            | (Self::None, Self::None) => true,
            _ => false,
        }
    }

    /// The function type, if it is a function of one type.
    pub fn as_concrete_func(&self) -> Option<&FuncType> {
        match self {
            Self::ConcreteFunc(ty) => Some(ty),
            _ => None,
        }
    }
}

impl From<FuncType> for HeapType {
    fn from(ty: FuncType) -> Self {
        Self::ConcreteFunc(ty)
    }
}

impl fmt::Display for HeapType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Extern => f.write_str("extern"),
            Self::NoExtern => f.write_str("noextern"),
            Self::Exn => f.write_str("exn"),
            Self::NoExn => f.write_str("noexn"),
            Self::Func => f.write_str("func"),
            // References in it without their types: a type may refer to itself.
            Self::ConcreteFunc(ty) => super::function::Bare(ty.abi()).fmt(f),
            Self::NoFunc => f.write_str("nofunc"),
            Self::Any => f.write_str("any"),
            Self::Eq => f.write_str("eq"),
            Self::I31 => f.write_str("i31"),
            Self::None => f.write_str("none"),
        }
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
            ValType::ANYREF,
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
