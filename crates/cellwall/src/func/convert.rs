//! How Rust types stand for WebAssembly types.
//!
//! Guarantees: converting a number is the identity, and nothing here allocates.

use crate::{AnyRef, Error, ExternRef, Func, Result, Rooted, StoreContext, Trap, V128, ValType, bail};
use cellwall_runtime::{self as runtime, Raw, RawList};

mod sealed {
    pub trait Sealed {}
}
use sealed::Sealed;

/// A Rust type that stands for a WebAssembly type: `i32` and `u32` for `i32`, `i64` and `u64` for
/// `i64`, `f32`, `f64`, [`V128`] for `v128`, `Option<Func>` for `funcref` and
/// `Option<Rooted<ExternRef>>` for `externref` and `Option<Rooted<AnyRef>>` for `anyref`. [`Func`],
/// `Rooted<ExternRef>` and `Rooted<AnyRef>` also stand for references, and refuse null.
///
/// Implemented by this crate alone.
pub trait WasmTy: Sealed + Send + 'static {
    #[doc(hidden)]
    type Raw: Raw;

    #[doc(hidden)]
    fn into_raw<T: 'static>(self, store: StoreContext<'_, T>) -> Result<Self::Raw>;

    #[doc(hidden)]
    fn from_raw<T: 'static>(store: StoreContext<'_, T>, raw: Self::Raw) -> Result<Self>
    where
        Self: Sized;

    /// The WebAssembly type.
    fn valtype() -> ValType {
        ValType::from_abi(<Self::Raw as Raw>::TYPE)
    }
}

macro_rules! numbers {
    ($($ty:ident)*) => {$(
        impl Sealed for $ty {}
        impl WasmTy for $ty {
            type Raw = $ty;
            #[inline]
            fn into_raw<T: 'static>(self, _store: StoreContext<'_, T>) -> Result<$ty> {
                Ok(self)
            }
            #[inline]
            fn from_raw<T: 'static>(_store: StoreContext<'_, T>, raw: $ty) -> Result<Self> {
                Ok(raw)
            }
        }
    )*};
}
numbers! { i32 u32 i64 u64 f32 f64 }

impl Sealed for V128 {}
impl WasmTy for V128 {
    type Raw = u128;
    #[inline]
    fn into_raw<T: 'static>(self, _store: StoreContext<'_, T>) -> Result<u128> {
        Ok(self.0)
    }
    #[inline]
    fn from_raw<T: 'static>(_store: StoreContext<'_, T>, raw: u128) -> Result<Self> {
        Ok(Self(raw))
    }
}

impl Sealed for Option<Func> {}
impl WasmTy for Option<Func> {
    type Raw = runtime::FuncRef;
    fn into_raw<T: 'static>(self, store: StoreContext<'_, T>) -> Result<runtime::FuncRef> {
        if self.is_some_and(|func| func.id.store() != store.0.id()) {
            bail!("a function of one store cannot be passed to another");
        }
        Ok(store.0.func_ref(self.map(|func| func.id)))
    }
    fn from_raw<T: 'static>(store: StoreContext<'_, T>, raw: runtime::FuncRef) -> Result<Self> {
        Ok(store.0.func_of(raw).map(|id| Func { id }))
    }
}

impl Sealed for Option<Rooted<ExternRef>> {}
impl WasmTy for Option<Rooted<ExternRef>> {
    type Raw = runtime::ExternRef;
    fn into_raw<T: 'static>(self, store: StoreContext<'_, T>) -> Result<runtime::ExternRef> {
        if self.is_some_and(|value| value.store_id() != store.0.id()) {
            bail!("a reference of one store cannot be passed to another");
        }
        Ok(Rooted::to_raw(self))
    }
    fn from_raw<T: 'static>(store: StoreContext<'_, T>, raw: runtime::ExternRef) -> Result<Self> {
        Ok(Rooted::from_raw(store.0, raw))
    }
}

impl Sealed for Option<Rooted<AnyRef>> {}
impl WasmTy for Option<Rooted<AnyRef>> {
    type Raw = runtime::AnyRef;
    fn into_raw<T: 'static>(self, store: StoreContext<'_, T>) -> Result<runtime::AnyRef> {
        if self.is_some_and(|value| value.store_id() != store.0.id()) {
            bail!("a reference of one store cannot be passed to another");
        }
        Ok(Rooted::to_any(self))
    }
    fn from_raw<T: 'static>(store: StoreContext<'_, T>, raw: runtime::AnyRef) -> Result<Self> {
        Ok(Rooted::of_any(store.0, raw))
    }
}

macro_rules! never_null {
    ($($ty:ty)*) => {$(
        impl Sealed for $ty {}
        impl WasmTy for $ty {
            type Raw = <Option<$ty> as WasmTy>::Raw;
            fn into_raw<T: 'static>(self, store: StoreContext<'_, T>) -> Result<Self::Raw> {
                Some(self).into_raw(store)
            }
            fn from_raw<T: 'static>(store: StoreContext<'_, T>, raw: Self::Raw) -> Result<Self> {
                <Option<$ty>>::from_raw(store, raw)?.ok_or_else(|| Error::new(Trap::NullReference))
            }
        }
    )*};
}
never_null! { Func Rooted<ExternRef> Rooted<AnyRef> }

/// A tuple of [`WasmTy`]: the parameters of a host function.
///
/// Implemented by this crate alone.
pub trait WasmTyList: Send + 'static {
    #[doc(hidden)]
    type Raw: RawList;

    #[doc(hidden)]
    fn into_raw<T: 'static>(self, store: StoreContext<'_, T>) -> Result<Self::Raw>;

    #[doc(hidden)]
    fn from_raw<T: 'static>(store: StoreContext<'_, T>, raw: Self::Raw) -> Result<Self>
    where
        Self: Sized;

    /// The WebAssembly types.
    fn valtypes() -> impl Iterator<Item = ValType> {
        <Self::Raw as RawList>::TYPES
            .iter()
            .map(|&ty| ValType::from_abi(ty))
    }
}

/// Parameters of a [`TypedFunc`](crate::TypedFunc): a [`WasmTy`] or a tuple of them.
///
/// Implemented by this crate alone.
pub trait WasmParams: Send + 'static {
    #[doc(hidden)]
    type List: WasmTyList;
    #[doc(hidden)]
    fn into_list(self) -> Self::List;
}

/// Results of a [`TypedFunc`](crate::TypedFunc): a [`WasmTy`] or a tuple of them.
///
/// Implemented by this crate alone.
pub trait WasmResults: WasmParams {
    #[doc(hidden)]
    fn from_list(list: Self::List) -> Self;
}

impl<A: WasmTy> WasmParams for A {
    type List = (A,);
    #[inline]
    fn into_list(self) -> (A,) {
        (self,)
    }
}

impl<A: WasmTy> WasmResults for A {
    #[inline]
    fn from_list(list: (A,)) -> Self {
        list.0
    }
}

/// What a host function may return: a [`WasmTy`], `()`, a tuple of them, or a [`Result`] of these.
///
/// Implemented by this crate alone.
pub trait WasmRet {
    #[doc(hidden)]
    type List: WasmTyList;
    #[doc(hidden)]
    fn into_fallible(self) -> Result<Self::List>;
}

impl<A: WasmTy> WasmRet for A {
    type List = (A,);
    #[inline]
    fn into_fallible(self) -> Result<(A,)> {
        Ok((self,))
    }
}

impl<R: WasmRet> WasmRet for Result<R> {
    type List = R::List;
    #[inline]
    fn into_fallible(self) -> Result<R::List> {
        self?.into_fallible()
    }
}

macro_rules! tuples {
    ($(($($name:ident)*))*) => {$(
        #[allow(
            non_snake_case,
            unused_variables,
            clippy::unused_unit,
            reason = "values have the names of their types, and the empty list uses nothing"
        )]
        impl<$($name: WasmTy),*> WasmTyList for ($($name,)*) {
            type Raw = ($($name::Raw,)*);
            #[inline]
            fn into_raw<T: 'static>(self, store: StoreContext<'_, T>) -> Result<Self::Raw> {
                let ($($name,)*) = self;
                Ok(($($name.into_raw(store)?,)*))
            }
            #[inline]
            fn from_raw<T: 'static>(store: StoreContext<'_, T>, raw: Self::Raw) -> Result<Self> {
                let ($($name,)*) = raw;
                Ok(($(<$name as WasmTy>::from_raw(store, $name)?,)*))
            }
        }

        impl<$($name: WasmTy),*> WasmParams for ($($name,)*) {
            type List = Self;
            #[inline]
            fn into_list(self) -> Self {
                self
            }
        }

        impl<$($name: WasmTy),*> WasmResults for ($($name,)*) {
            #[inline]
            fn from_list(list: Self) -> Self {
                list
            }
        }

        impl<$($name: WasmTy),*> WasmRet for ($($name,)*) {
            type List = Self;
            #[inline]
            fn into_fallible(self) -> Result<Self> {
                Ok(self)
            }
        }
    )*};
}

tuples! {
    ()
    (A0)
    (A0 A1)
    (A0 A1 A2)
    (A0 A1 A2 A3)
    (A0 A1 A2 A3 A4)
    (A0 A1 A2 A3 A4 A5)
    (A0 A1 A2 A3 A4 A5 A6)
    (A0 A1 A2 A3 A4 A5 A6 A7)
    (A0 A1 A2 A3 A4 A5 A6 A7 A8)
    (A0 A1 A2 A3 A4 A5 A6 A7 A8 A9)
    (A0 A1 A2 A3 A4 A5 A6 A7 A8 A9 A10)
    (A0 A1 A2 A3 A4 A5 A6 A7 A8 A9 A10 A11)
    (A0 A1 A2 A3 A4 A5 A6 A7 A8 A9 A10 A11 A12)
    (A0 A1 A2 A3 A4 A5 A6 A7 A8 A9 A10 A11 A12 A13)
    (A0 A1 A2 A3 A4 A5 A6 A7 A8 A9 A10 A11 A12 A13 A14)
    (A0 A1 A2 A3 A4 A5 A6 A7 A8 A9 A10 A11 A12 A13 A14 A15)
    (A0 A1 A2 A3 A4 A5 A6 A7 A8 A9 A10 A11 A12 A13 A14 A15 A16)
}
