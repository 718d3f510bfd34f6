//! Values, as the embedder holds them.

use crate::{
    AnyRef, AsContext, AsContextMut, Error, ExnRef, Func, HeapType, RefType, Result, StoreContext, ValType,
    bail,
};
use cellwall_runtime as runtime;
use std::any::Any;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::sync::Arc;

/// A value of guest code.
///
/// ```
/// use cellwall::{Val, ValType};
///
/// let value = Val::from(1.5f32);
/// assert_eq!(value.f32(), Some(1.5));
/// assert_eq!(value.i32(), None);
/// assert_eq!(Val::default_for_ty(&ValType::I64).unwrap().unwrap_i64(), 0);
/// ```
#[derive(Clone, Copy, Debug)]
pub enum Val {
    /// A 32-bit integer.
    I32(i32),
    /// A 64-bit integer.
    I64(i64),
    /// The bits of a 32-bit float.
    F32(u32),
    /// The bits of a 64-bit float.
    F64(u64),
    /// A 128-bit vector.
    V128(V128),
    /// A function, or null.
    FuncRef(Option<Func>),
    /// A value of the host, or null.
    ExternRef(Option<Rooted<ExternRef>>),
    /// An exception, or null.
    ExnRef(Option<Rooted<ExnRef>>),
    /// A number of 31 bits as a reference, or null.
    AnyRef(Option<Rooted<AnyRef>>),
}

macro_rules! accessors {
    ($($get:ident $unwrap:ident($ty:ty) $pattern:pat => $value:expr, $what:literal;)*) => {$(
        #[doc = concat!("The value, if it is ", $what, ".")]
        pub fn $get(&self) -> Option<$ty> {
            match *self {
                $pattern => Some($value),
                _ => None,
            }
        }

        #[doc = concat!("The value of ", $what, ".")]
        ///
        /// # Panics
        /// If it is something else.
        pub fn $unwrap(&self) -> $ty {
            self.$get().expect(concat!("expected ", $what))
        }
    )*};
}

impl Val {
    accessors! {
        i32 unwrap_i32(i32) Self::I32(v) => v, "an i32";
        i64 unwrap_i64(i64) Self::I64(v) => v, "an i64";
        f32 unwrap_f32(f32) Self::F32(v) => f32::from_bits(v), "an f32";
        f64 unwrap_f64(f64) Self::F64(v) => f64::from_bits(v), "an f64";
        v128 unwrap_v128(V128) Self::V128(v) => v, "a v128";
    }

    /// The null function reference.
    pub const fn null_func_ref() -> Self {
        Self::FuncRef(None)
    }

    /// The null reference to an exception.
    pub const fn null_exn_ref() -> Self {
        Self::ExnRef(None)
    }

    /// The exception, if it is a reference to one: `Some(None)` is null.
    pub fn exnref(&self) -> Option<Option<&Rooted<ExnRef>>> {
        match self {
            Self::ExnRef(value) => Some(value.as_ref()),
            _ => None,
        }
    }

    /// The exception, or `None` if the reference is null.
    ///
    /// # Panics
    /// If it is no reference to an exception.
    pub fn unwrap_exnref(&self) -> Option<&Rooted<ExnRef>> {
        self.exnref().expect("expected an exnref")
    }

    /// The null reference of WebAssembly's own.
    pub const fn null_any_ref() -> Self {
        Self::AnyRef(None)
    }

    /// What it refers to, if it is an `anyref` or of a type below: `Some(None)` is null.
    pub fn anyref(&self) -> Option<Option<&Rooted<AnyRef>>> {
        match self {
            Self::AnyRef(value) => Some(value.as_ref()),
            _ => None,
        }
    }

    /// What it refers to, or `None` if the reference is null.
    ///
    /// # Panics
    /// If it is no `anyref`.
    pub fn unwrap_anyref(&self) -> Option<&Rooted<AnyRef>> {
        self.anyref().expect("expected an anyref")
    }

    /// The null host reference.
    pub const fn null_extern_ref() -> Self {
        Self::ExternRef(None)
    }

    /// The null reference of this kind.
    pub fn null_ref(heap_type: &HeapType) -> Self {
        Ref::null(heap_type).into()
    }

    /// Zero or null of this type; none for references that cannot be null.
    pub fn default_for_ty(ty: &ValType) -> Option<Self> {
        Some(match ty {
            ValType::I32 => Self::I32(0),
            ValType::I64 => Self::I64(0),
            ValType::F32 => Self::F32(0),
            ValType::F64 => Self::F64(0),
            ValType::V128 => Self::V128(V128::from(0)),
            ValType::Ref(ty) if ty.is_nullable() => Self::null_ref(ty.heap_type()),
            ValType::Ref(_) => return None,
        })
    }

    /// The type of the value; of references, the widest of their kind.
    ///
    /// # Errors
    /// If it is a reference of another store.
    pub fn ty(&self, store: impl AsContext) -> Result<ValType> {
        self.check_store(store.as_context())?;
        Ok(self.plain_ty())
    }

    /// Whether it is of this type.
    ///
    /// # Errors
    /// If it is a reference of another store.
    pub fn matches_ty(&self, store: impl AsContext, ty: &ValType) -> Result<bool> {
        let store = store.as_context();
        match ty {
            ValType::Ref(ty) if self.plain_ty().is_ref() => {
                let raw = self.to_raw(store)?;
                Ok(store.0.is_of(raw, ty.to_exact(store.engine().runtime())))
            }
            _ => Ok(self.ty(store)? == *ty),
        }
    }

    /// The reference, if it is one.
    pub fn ref_(self) -> Option<Ref> {
        match self {
            Self::FuncRef(func) => Some(Ref::Func(func)),
            Self::ExternRef(value) => Some(Ref::Extern(value)),
            Self::ExnRef(value) => Some(Ref::Exn(value)),
            Self::AnyRef(value) => Some(Ref::Any(value)),
            _ => None,
        }
    }

    /// The function, if it is a function reference: `Some(None)` is null.
    pub fn funcref(&self) -> Option<Option<&Func>> {
        match self {
            Self::FuncRef(func) => Some(func.as_ref()),
            _ => None,
        }
    }

    /// The function, or `None` if the reference is null.
    ///
    /// # Panics
    /// If it is no function reference.
    pub fn unwrap_funcref(&self) -> Option<&Func> {
        self.funcref().expect("expected a funcref")
    }

    /// The host value, if it is a host reference: `Some(None)` is null.
    pub fn externref(&self) -> Option<Option<&Rooted<ExternRef>>> {
        match self {
            Self::ExternRef(value) => Some(value.as_ref()),
            _ => None,
        }
    }

    /// The host value, or `None` if the reference is null.
    ///
    /// # Panics
    /// If it is no host reference.
    pub fn unwrap_externref(&self) -> Option<&Rooted<ExternRef>> {
        self.externref().expect("expected an externref")
    }

    pub(crate) fn plain_ty(&self) -> ValType {
        match self {
            Self::I32(_) => ValType::I32,
            Self::I64(_) => ValType::I64,
            Self::F32(_) => ValType::F32,
            Self::F64(_) => ValType::F64,
            Self::V128(_) => ValType::V128,
            Self::FuncRef(_) => ValType::FUNCREF,
            Self::ExternRef(_) => ValType::EXTERNREF,
            Self::ExnRef(_) => ValType::EXNREF,
            Self::AnyRef(_) => ValType::ANYREF,
        }
    }

    fn check_store<T>(&self, store: StoreContext<'_, T>) -> Result<()> {
        let own = match self {
            Self::FuncRef(Some(func)) => func.id.store() == store.0.id(),
            Self::ExternRef(Some(value)) => value.store == store.0.id(),
            Self::ExnRef(Some(value)) => value.store == store.0.id(),
            Self::AnyRef(Some(value)) => value.store == store.0.id(),
            _ => true,
        };
        if !own {
            bail!("a reference of one store cannot be used in another");
        }
        Ok(())
    }

    /// The value as the runtime holds it.
    ///
    /// # Errors
    /// If it is a reference of another store.
    pub(crate) fn to_raw<T>(self, store: StoreContext<'_, T>) -> Result<runtime::RawVal> {
        self.check_store(store)?;
        Ok(match self {
            Self::I32(v) => runtime::RawVal::I32(v),
            Self::I64(v) => runtime::RawVal::I64(v),
            Self::F32(v) => runtime::RawVal::F32(v),
            Self::F64(v) => runtime::RawVal::F64(v),
            Self::V128(v) => runtime::RawVal::V128(v.0),
            Self::FuncRef(func) => runtime::RawVal::FuncRef(store.0.func_ref(func.map(|func| func.id))),
            Self::ExternRef(value) => runtime::RawVal::ExternRef(Rooted::to_raw(value)),
            Self::ExnRef(value) => {
                let raw = value.map_or(runtime::ExnRef(0), |value| value.to_exception());
                runtime::RawVal::ExnRef(raw)
            }
            Self::AnyRef(value) => runtime::RawVal::AnyRef(Rooted::to_any(value)),
        })
    }

    pub(crate) fn from_raw(store: &runtime::StoreOpaque, raw: runtime::RawVal) -> Self {
        match raw {
            runtime::RawVal::I32(v) => Self::I32(v),
            runtime::RawVal::I64(v) => Self::I64(v),
            runtime::RawVal::F32(v) => Self::F32(v),
            runtime::RawVal::F64(v) => Self::F64(v),
            runtime::RawVal::V128(v) => Self::V128(V128(v)),
            runtime::RawVal::FuncRef(r) => Self::FuncRef(store.func_of(r).map(|id| Func { id })),
            runtime::RawVal::ExternRef(r) => Self::ExternRef(Rooted::from_raw(store, r)),
            runtime::RawVal::ExnRef(r) => Self::ExnRef(Rooted::of_exception(store, r)),
            runtime::RawVal::AnyRef(r) => Self::AnyRef(Rooted::of_any(store, r)),
        }
    }
}

/// A reference: a value of a table.
#[derive(Clone, Copy, Debug)]
pub enum Ref {
    /// A function, or null.
    Func(Option<Func>),
    /// A value of the host, or null.
    Extern(Option<Rooted<ExternRef>>),
    /// An exception, or null.
    Exn(Option<Rooted<ExnRef>>),
    /// A number of 31 bits, or null.
    Any(Option<Rooted<AnyRef>>),
}

impl Ref {
    /// The null reference of this kind.
    pub fn null(heap_type: &HeapType) -> Self {
        match heap_type {
            HeapType::Func | HeapType::ConcreteFunc(_) | HeapType::NoFunc => Self::Func(None),
            HeapType::Extern | HeapType::NoExtern => Self::Extern(None),
            HeapType::Exn | HeapType::NoExn => Self::Exn(None),
            HeapType::Any | HeapType::Eq | HeapType::I31 | HeapType::None => Self::Any(None),
        }
    }

    /// Whether it is null.
    pub fn is_null(&self) -> bool {
        matches!(
            self,
            Self::Func(None) | Self::Extern(None) | Self::Exn(None) | Self::Any(None)
        )
    }

    /// Whether it is not null.
    pub fn is_non_null(&self) -> bool {
        !self.is_null()
    }

    /// Whether it is a function reference.
    pub fn is_func(&self) -> bool {
        matches!(self, Self::Func(_))
    }

    /// The function, if it is a function reference: `Some(None)` is null.
    pub fn as_func(&self) -> Option<Option<&Func>> {
        match self {
            Self::Func(func) => Some(func.as_ref()),
            _ => None,
        }
    }

    /// The function, or `None` if the reference is null.
    ///
    /// # Panics
    /// If it is no function reference.
    pub fn unwrap_func(&self) -> Option<&Func> {
        self.as_func().expect("expected a function reference")
    }

    /// Whether it is a host reference.
    pub fn is_extern(&self) -> bool {
        matches!(self, Self::Extern(_))
    }

    /// The host value, if it is a host reference: `Some(None)` is null.
    pub fn as_extern(&self) -> Option<Option<&Rooted<ExternRef>>> {
        match self {
            Self::Extern(value) => Some(value.as_ref()),
            _ => None,
        }
    }

    /// The host value, or `None` if the reference is null.
    ///
    /// # Panics
    /// If it is no host reference.
    pub fn unwrap_extern(&self) -> Option<&Rooted<ExternRef>> {
        self.as_extern().expect("expected a host reference")
    }

    /// Whether it is a reference to an exception.
    pub fn is_exn(&self) -> bool {
        matches!(self, Self::Exn(_))
    }

    /// The exception, if it is a reference to one: `Some(None)` is null.
    pub fn as_exn(&self) -> Option<Option<&Rooted<ExnRef>>> {
        match self {
            Self::Exn(value) => Some(value.as_ref()),
            _ => None,
        }
    }

    /// The exception, or `None` if the reference is null.
    ///
    /// # Panics
    /// If it is no reference to an exception.
    pub fn unwrap_exn(&self) -> Option<&Rooted<ExnRef>> {
        self.as_exn().expect("expected a reference to an exception")
    }

    /// Whether it is a reference of WebAssembly's own.
    pub fn is_any(&self) -> bool {
        matches!(self, Self::Any(_))
    }

    /// What it refers to, if it is a reference of WebAssembly's own: `Some(None)` is null.
    pub fn as_any(&self) -> Option<Option<&Rooted<AnyRef>>> {
        match self {
            Self::Any(value) => Some(value.as_ref()),
            _ => None,
        }
    }

    /// What it refers to, or `None` if the reference is null.
    ///
    /// # Panics
    /// If it is no reference of WebAssembly's own.
    pub fn unwrap_any(&self) -> Option<&Rooted<AnyRef>> {
        self.as_any().expect("expected an anyref")
    }

    /// The type of the reference.
    ///
    /// # Errors
    /// If it belongs to another store.
    pub fn ty(&self, store: impl AsContext) -> Result<RefType> {
        Ok(Val::from(*self).ty(store)?.unwrap_ref().clone())
    }

    /// Whether it is of this type.
    ///
    /// # Errors
    /// If it belongs to another store.
    pub fn matches_ty(&self, store: impl AsContext, ty: &RefType) -> Result<bool> {
        Val::from(*self).matches_ty(store, &ValType::Ref(ty.clone()))
    }
}

macro_rules! from {
    ($($source:ty => $target:ident: $value:ident => $result:expr;)*) => {$(
        impl From<$source> for $target {
            fn from($value: $source) -> Self {
                $result
            }
        }
    )*};
}

from! {
    i32 => Val: v => Self::I32(v);
    i64 => Val: v => Self::I64(v);
    f32 => Val: v => Self::F32(v.to_bits());
    f64 => Val: v => Self::F64(v.to_bits());
    u128 => Val: v => Self::V128(V128(v));
    V128 => Val: v => Self::V128(v);
    Func => Val: v => Self::FuncRef(Some(v));
    Option<Func> => Val: v => Self::FuncRef(v);
    Rooted<ExternRef> => Val: v => Self::ExternRef(Some(v));
    Option<Rooted<ExternRef>> => Val: v => Self::ExternRef(v);
    Rooted<ExnRef> => Val: v => Self::ExnRef(Some(v));
    Option<Rooted<ExnRef>> => Val: v => Self::ExnRef(v);
    Rooted<ExnRef> => Ref: v => Self::Exn(Some(v));
    Option<Rooted<ExnRef>> => Ref: v => Self::Exn(v);
    Rooted<AnyRef> => Val: v => Self::AnyRef(Some(v));
    Option<Rooted<AnyRef>> => Val: v => Self::AnyRef(v);
    Rooted<AnyRef> => Ref: v => Self::Any(Some(v));
    Option<Rooted<AnyRef>> => Ref: v => Self::Any(v);
    Func => Ref: v => Self::Func(Some(v));
    Option<Func> => Ref: v => Self::Func(v);
    Rooted<ExternRef> => Ref: v => Self::Extern(Some(v));
    Option<Rooted<ExternRef>> => Ref: v => Self::Extern(v);
    u128 => V128: v => Self(v);
}

impl From<Ref> for Val {
    fn from(reference: Ref) -> Self {
        match reference {
            Ref::Func(func) => Self::FuncRef(func),
            Ref::Extern(value) => Self::ExternRef(value),
            Ref::Exn(value) => Self::ExnRef(value),
            Ref::Any(value) => Self::AnyRef(value),
        }
    }
}

/// A 128-bit vector; its bytes are those of a little-endian number.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct V128(pub(crate) u128);

impl V128 {
    /// The bits as a number.
    pub fn as_u128(&self) -> u128 {
        self.0
    }
}

impl From<V128> for u128 {
    fn from(vector: V128) -> Self {
        vector.0
    }
}

impl fmt::Debug for V128 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "V128({:#034x})", self.0)
    }
}

/// A value of the host that guest code can hold and pass, but not look into.
///
/// ```
/// use cellwall::{Engine, ExternRef, Store};
///
/// let mut store = Store::new(&Engine::default(), ());
/// let value = ExternRef::new(&mut store, String::from("hello"))?;
/// let data = value.data(&store)?.unwrap();
/// assert_eq!(data.downcast_ref::<String>().unwrap(), "hello");
/// # cellwall::Ok(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ExternRef(());

impl ExternRef {
    /// Gives a value to a store, which keeps it as long as it lives.
    ///
    /// # Errors
    /// None in this version.
    // Not `Self`: what exists is always a root of it.
    #[allow(
        clippy::new_ret_no_self,
        reason = "a new reference is rooted, as its users expect"
    )]
    pub fn new<D: Any + Send + Sync + 'static>(
        mut store: impl AsContextMut,
        value: D,
    ) -> Result<Rooted<Self>> {
        let store = store.as_context_mut();
        let raw = store.0.new_extern(Arc::new(value));
        Rooted::from_raw(store.0, raw).ok_or_else(|| Error::msg("a new reference is not null"))
    }
}

/// A reference to something that a store keeps alive.
pub struct Rooted<R> {
    store: runtime::StoreId,
    raw: runtime::ExternRef,
    kind: PhantomData<fn() -> R>,
}

impl<R> Rooted<R> {
    pub(crate) fn from_raw(store: &runtime::StoreOpaque, raw: runtime::ExternRef) -> Option<Self> {
        (raw.0 != 0).then_some(Self {
            store: store.id(),
            raw,
            kind: PhantomData,
        })
    }

    pub(crate) fn to_raw(value: Option<Self>) -> runtime::ExternRef {
        value.map_or(runtime::ExternRef(0), |value| value.raw)
    }

    pub(crate) fn store_id(&self) -> runtime::StoreId {
        self.store
    }

    /// Whether both refer to the same thing.
    ///
    /// # Errors
    /// If one belongs to another store.
    pub fn ref_eq(store: impl AsContext, a: &Self, b: &Self) -> Result<bool> {
        let store = store.as_context().0.id();
        if a.store != store || b.store != store {
            bail!("a reference of one store cannot be used in another");
        }
        Ok(a.raw == b.raw)
    }
}

impl Rooted<ExnRef> {
    /// A root of an exception; `None` for null and for numbers that name nothing.
    pub(crate) fn of_exception(store: &runtime::StoreOpaque, raw: runtime::ExnRef) -> Option<Self> {
        store.pin_exception(raw).then_some(Self {
            store: store.id(),
            raw: runtime::ExternRef(raw.0),
            kind: PhantomData,
        })
    }

    pub(crate) fn to_exception(self) -> runtime::ExnRef {
        runtime::ExnRef(self.raw.0)
    }
}

impl Rooted<AnyRef> {
    /// A root of a reference of WebAssembly's own; `None` for null.
    pub(crate) fn of_any(store: &runtime::StoreOpaque, raw: runtime::AnyRef) -> Option<Self> {
        Self::from_raw(store, runtime::ExternRef(raw.0))
    }

    pub(crate) fn to_any(value: Option<Self>) -> runtime::AnyRef {
        runtime::AnyRef(Self::to_raw(value).0)
    }
}

impl Rooted<ExternRef> {
    /// The value that was given to [`ExternRef::new`].
    ///
    /// # Errors
    /// If it belongs to another store.
    pub fn data<'a, T: 'static>(
        &self,
        store: impl Into<StoreContext<'a, T>>,
    ) -> Result<Option<&'a (dyn Any + Send + Sync)>> {
        let store = store.into();
        if self.store != store.0.id() {
            bail!("a reference of one store cannot be used in another");
        }
        Ok(store.0.extern_value(self.raw).map(|value| &**value))
    }
}

impl<R> Clone for Rooted<R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<R> Copy for Rooted<R> {}

/// The same reference, in the same store.
impl<R> PartialEq for Rooted<R> {
    fn eq(&self, other: &Self) -> bool {
        self.store == other.store && self.raw == other.raw
    }
}

impl<R> Eq for Rooted<R> {}

impl<R> Hash for Rooted<R> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.store.hash(state);
        self.raw.hash(state);
    }
}

impl<R> fmt::Debug for Rooted<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Rooted").field(&self.raw.0).finish()
    }
}
