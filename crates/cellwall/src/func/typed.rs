//! Functions whose type was checked once.

use super::convert::{WasmParams, WasmResults, WasmTyList};
use crate::{AsContext, AsContextMut, Func, FuncType, Result, StoreContext, ValType, bail};
use cellwall_runtime::{self as runtime, RawList};
use std::fmt;

type RawOf<P> = <<P as WasmParams>::List as WasmTyList>::Raw;

/// A [`Func`] whose type is known to Rust. Its calls neither check types nor allocate.
///
/// ```
/// use cellwall::{Engine, Instance, Module, Store};
///
/// let engine = Engine::default();
/// let module = Module::new(&engine, r#"
///     (module
///       (func (export "div_rem") (param i32 i32) (result i32 i32)
///         (i32.div_s (local.get 0) (local.get 1))
///         (i32.rem_s (local.get 0) (local.get 1))))
/// "#)?;
/// let mut store = Store::new(&engine, ());
/// let instance = Instance::new(&mut store, &module, &[])?;
/// let div_rem = instance.get_typed_func::<(i32, i32), (i32, i32)>(&mut store, "div_rem")?;
/// assert_eq!(div_rem.call(&mut store, (17, 5))?, (3, 2));
/// assert!(div_rem.call(&mut store, (17, 0)).is_err());
/// assert!(instance.get_typed_func::<i64, ()>(&mut store, "div_rem").is_err());
/// # cellwall::Ok(())
/// ```
pub struct TypedFunc<Params: WasmParams, Results: WasmResults> {
    func: Func,
    raw: runtime::TypedFunc<RawOf<Params>, RawOf<Results>>,
}

impl<Params: WasmParams, Results: WasmResults> Clone for TypedFunc<Params, Results> {
    fn clone(&self) -> Self {
        Self {
            func: self.func,
            raw: self.raw,
        }
    }
}

impl<Params: WasmParams, Results: WasmResults> fmt::Debug for TypedFunc<Params, Results> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TypedFunc").field(&self.func).finish()
    }
}

impl<Params: WasmParams, Results: WasmResults> TypedFunc<Params, Results> {
    pub(crate) fn new<T: 'static>(store: StoreContext<'_, T>, func: Func) -> Result<Self> {
        let signature = store.0.func_signature(func.id);
        if *signature.params != *RawOf::<Params>::TYPES || *signature.results != *RawOf::<Results>::TYPES {
            let expected = FuncType::new(
                store.engine(),
                Params::List::valtypes(),
                Results::List::valtypes(),
            );
            let found = func.ty(store);
            bail!("type mismatch: expected `{expected}`, found `{found}`");
        }
        if signature.params.iter().any(|ty| ty.is_ref()) {
            // What is passed is a reference of the widest type.
            let ty = func.ty(store);
            if let Some(param) = ty
                .params()
                .find(|param| !ValType::from_abi(param.to_abi()).matches(param))
            {
                bail!("type mismatch: a parameter of type `{param}` cannot be passed without a check");
            }
        }
        let raw = store.0.typed(func.id);
        let raw = raw.map_err(|error| store.error(error))?;
        Ok(Self { func, raw })
    }

    /// The function, its type no longer known to Rust.
    pub fn func(&self) -> &Func {
        &self.func
    }

    /// Calls it.
    ///
    /// # Errors
    /// The [`Trap`](crate::Trap) or the error of a host function that ended the call, with a
    /// [`WasmBacktrace`](crate::WasmBacktrace).
    ///
    /// # Panics
    /// If it belongs to another store. A panic of a host function goes on in the caller.
    #[inline]
    pub fn call(&self, mut store: impl AsContextMut, params: Params) -> Result<Results> {
        let store = store.as_context_mut();
        let params = params.into_list().into_raw(store.as_context())?;
        match store.0.call_typed(&self.raw, params) {
            Ok(results) => {
                let results = WasmTyList::from_raw(store.as_context(), results)?;
                Ok(Results::from_list(results))
            }
            Err(error) => Err(store.error(error)),
        }
    }
    /// Calls it, where host functions may wait; see [`Func::call_async`].
    ///
    /// # Errors
    /// As [`call`](Self::call); and if too many such calls are under way
    /// ([`Config::async_calls_max`](crate::Config::async_calls_max)).
    ///
    /// # Panics
    /// If it belongs to another store. A panic of a host function, or of its future, goes on in the poll.
    pub async fn call_async(
        &self,
        mut store: impl AsContextMut<Data: Send>,
        params: Params,
    ) -> Result<Results> {
        let store = store.as_context_mut();
        let params = params.into_list().into_raw(store.as_context())?;
        match store.0.call_typed_async(&self.raw, params).await {
            Ok(results) => {
                let results = WasmTyList::from_raw(store.as_context(), results)?;
                Ok(Results::from_list(results))
            }
            Err(error) => Err(store.error(error)),
        }
    }
}
