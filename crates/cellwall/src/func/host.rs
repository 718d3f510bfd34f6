//! Functions of the host, and what they see of their caller.

use super::convert::{WasmRet, WasmTy, WasmTyList};
use crate::store::{Data, Inner};
use crate::{
    AsContext, AsContextMut, Engine, Error, Extern, Func, FuncType, Instance, Result, StoreContext,
    StoreContextMut, Val, format_err,
};
use cellwall_runtime::{self as runtime, Begun};
use std::future::Future;
use std::sync::Arc;

/// What a host function sees of the guest that called it, and the store.
///
/// ```
/// use cellwall::{Caller, Engine, Extern, Linker, Module, Result, Store, format_err};
///
/// let engine = Engine::default();
/// let mut linker = Linker::<Vec<String>>::new(&engine);
/// linker.func_wrap("host", "print", |mut caller: Caller<'_, Vec<String>>, at: u32, len: u32| -> Result<()> {
///     let memory = caller.get_export("memory").and_then(Extern::into_memory);
///     let memory = memory.ok_or_else(|| format_err!("the guest exports no memory"))?;
///     let bytes = memory.data(&caller).get(at as usize..).and_then(|bytes| bytes.get(..len as usize));
///     let text = String::from_utf8(bytes.unwrap_or(b"?").to_vec())?;
///     caller.data_mut().push(text);
///     Ok(())
/// })?;
/// let module = Module::new(&engine, r#"
///     (module
///       (import "host" "print" (func $print (param i32 i32)))
///       (memory (export "memory") 1)
///       (data (i32.const 8) "hello")
///       (func (export "run") (call $print (i32.const 8) (i32.const 5))))
/// "#)?;
/// let mut store = Store::new(&engine, Vec::new());
/// let instance = linker.instantiate(&mut store, &module)?;
/// instance.get_typed_func::<(), ()>(&mut store, "run")?.call(&mut store, ())?;
/// assert_eq!(store.data(), &["hello"]);
/// # cellwall::Ok(())
/// ```
pub struct Caller<'a, T: 'static> {
    store: StoreContextMut<'a, T>,
    instance: Option<Instance>,
}

impl<'a, T: 'static> Caller<'a, T> {
    fn new(caller: runtime::Caller<'a, Data<T>>) -> Self {
        Self {
            store: StoreContextMut(caller.store),
            instance: caller.instance.map(|id| Instance { id }),
        }
    }

    /// The same, borrowed.
    fn again(&mut self) -> Caller<'_, T> {
        Caller {
            store: self.store.as_context_mut(),
            instance: self.instance,
        }
    }

    /// An export of the instance that called; `None` if there is no such export, or the host
    /// called.
    pub fn get_export(&mut self, name: &str) -> Option<Extern> {
        self.instance?.get_export(&mut self.store, name)
    }

    /// The data of the store.
    pub fn data(&self) -> &T {
        self.store.data()
    }

    /// The data of the store, to change it.
    pub fn data_mut(&mut self) -> &mut T {
        self.store.data_mut()
    }

    /// The engine of the store.
    pub fn engine(&self) -> &Engine {
        self.store.engine()
    }
}

impl<T: 'static> AsContext for Caller<'_, T> {
    type Data = T;
    #[inline]
    fn as_context(&self) -> StoreContext<'_, T> {
        self.store.as_context()
    }
}

impl<T: 'static> AsContextMut for Caller<'_, T> {
    #[inline]
    fn as_context_mut(&mut self) -> StoreContextMut<'_, T> {
        self.store.as_context_mut()
    }
}

impl<'a, T: 'static> From<Caller<'a, T>> for StoreContextMut<'a, T> {
    fn from(caller: Caller<'a, T>) -> Self {
        caller.store
    }
}

/// A host function that belongs to no store, as a linker keeps it.
pub struct HostFunc<T: 'static>(runtime::HostFunc<Data<T>>);

impl<T: 'static> Clone for HostFunc<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: 'static> HostFunc<T> {
    pub(crate) fn ty(&self) -> FuncType {
        FuncType::from_number(self.0.engine(), self.0.type_number())
    }

    /// It, in this store.
    pub(crate) fn in_store(&self, store: &mut StoreContextMut<'_, T>) -> Func {
        Func {
            id: store.0.add_host_func(&self.0),
        }
    }
}

/// An error as it goes through the guest: as an exception of the guest if it stands for one.
fn host(error: Error) -> runtime::HostError {
    if error.is::<runtime::ThrownException>() {
        return Box::new(runtime::ThrownException);
    }
    Box::new(error)
}

/// Runs a host function of a component, out of which no exception goes to the component that called.
#[inline]
fn contained<T: 'static, R>(
    mut store: StoreContextMut<'_, T>,
    call: impl FnOnce(&mut StoreContextMut<'_, T>) -> Result<R>,
) -> Result<R, runtime::HostError> {
    call(&mut store).map_err(|error| host(crate::component::uncaught(&mut store, error)))
}

/// A host function from a closure whose type is known to Rust.
pub(crate) fn wrapped<T: 'static, Params, Results>(
    engine: &Engine,
    func: impl IntoFunc<T, Params, Results>,
) -> HostFunc<T> {
    func.into_func(engine)
}

/// A host function whose type is known at run time.
pub(crate) fn untyped<T: 'static>(
    engine: &Engine,
    ty: FuncType,
    func: impl Fn(Caller<'_, T>, &[Val], &mut [Val]) -> Result<()> + Send + Sync + 'static,
) -> HostFunc<T> {
    let number = ty.number(engine.runtime());
    let func = runtime::HostFunc::of_type(engine.runtime(), number, move |caller, params, results| {
        let mut caller = Caller::new(caller);
        let store = &**caller.store.0;
        let params: Vec<Val> = params.iter().map(|&raw| Val::from_raw(store, raw)).collect();
        let mut values = initial_results(&ty);
        func(caller.again(), &params, &mut values).map_err(host)?;
        leave_results(caller.as_context(), &ty, values, results)
    });
    HostFunc(func)
}

/// What a function finds in its results.
fn initial_results(ty: &FuncType) -> Vec<Val> {
    ty.results()
        .map(|ty| match &ty {
            crate::ValType::Ref(ty) => Val::null_ref(ty.heap_type()),
            _ => ty.default_value().expect("every number has one"),
        })
        .collect()
}

/// Checks the results of a function, and hands them to the runtime.
fn leave_results<T: 'static>(
    store: StoreContext<'_, T>,
    ty: &FuncType,
    values: Vec<Val>,
    results: &mut [runtime::RawVal],
) -> Result<(), runtime::HostError> {
    for ((value, raw), ty) in values.into_iter().zip(results).zip(ty.results()) {
        if !value.matches_ty(store, &ty).map_err(host)? {
            let found = value.plain_ty();
            return Err(host(format_err!(
                "a host function returned {found} where its type says {ty}"
            )));
        }
        *raw = value.to_raw(store).map_err(host)?;
    }
    Ok(())
}

/// A host function of a store for components, on values as the runtime has them. `func` leaves results of the types
/// that it finds.
pub(crate) fn raw<T: 'static>(
    store: &mut StoreContextMut<'_, T>,
    ty: &FuncType,
    func: impl Fn(&mut StoreContextMut<'_, T>, &[runtime::RawVal], &mut [runtime::RawVal]) -> Result<()>
    + Send
    + Sync
    + 'static,
) -> Func {
    let signature = ty.abi().clone();
    let engine = store.engine().clone();
    let made = runtime::HostFunc::untyped(engine.runtime(), signature, move |caller, params, results| {
        contained(StoreContextMut(caller.store), |store| {
            func(store, params, results)
        })
    });
    HostFunc(made).in_store(store)
}

/// A host function that is a future, from a closure whose type is known to Rust.
pub(crate) fn wrapped_async<T: 'static, Params: WasmTyList, Results: WasmRet + 'static>(
    engine: &Engine,
    func: impl for<'a> Fn(Caller<'a, T>, Params) -> Box<dyn Future<Output = Results> + Send + 'a>
    + Send
    + Sync
    + 'static,
) -> HostFunc<T> {
    HostFunc(runtime::HostFunc::typed_async(
        engine.runtime(),
        move |caller, raw: Params::Raw| {
            let caller = Caller::new(caller);
            let params = Params::from_raw(caller.as_context(), raw).map_err(host)?;
            Ok(Begun::Waits(Box::into_pin(func(caller, params))))
        },
        |caller, results: Results| -> Result<<Results::List as WasmTyList>::Raw, _> {
            let results = results.into_fallible().map_err(host)?;
            results.into_raw(StoreContext(caller.store)).map_err(host)
        },
    ))
}

/// A host function that is a future, whose type is known at run time.
pub(crate) fn untyped_async<T: Send + 'static>(
    engine: &Engine,
    ty: FuncType,
    func: impl for<'a> Fn(
        Caller<'a, T>,
        &'a [Val],
        &'a mut [Val],
    ) -> Box<dyn Future<Output = Result<()>> + Send + 'a>
    + Send
    + Sync
    + 'static,
) -> HostFunc<T> {
    let number = ty.number(engine.runtime());
    let func = Arc::new(func);
    let own = ty.clone();
    HostFunc(runtime::HostFunc::of_type_async(
        engine.runtime(),
        number,
        move |caller, params| {
            let caller = Caller::new(caller);
            let store: &Inner<T> = caller.store.0;
            let params: Vec<Val> = params.iter().map(|&raw| Val::from_raw(store, raw)).collect();
            let mut values = initial_results(&own);
            let func = func.clone();
            Ok(Begun::Waits(Box::pin(async move {
                Box::into_pin(func(caller, &params, &mut values)).await?;
                Ok(values)
            })))
        },
        move |caller, _, values: Result<Vec<Val>>, results| {
            let store = StoreContext(caller.store);
            leave_results(store, &ty, values.map_err(host)?, results)
        },
    ))
}

/// A host function of a store for components, without results, on numbers, which may have to wait.
pub(crate) fn begun<T: 'static, P: runtime::RawList, O: 'static>(
    store: &mut StoreContextMut<'_, T>,
    begin: impl for<'a> Fn(StoreContextMut<'a, T>, P) -> Result<Begun<'a, O>> + Send + Sync + 'static,
    end: impl Fn(&mut StoreContextMut<'_, T>, O) -> Result<()> + Send + Sync + 'static,
) -> Func {
    let engine = store.engine().clone();
    let made = runtime::HostFunc::typed_async::<P, (), O>(
        engine.runtime(),
        move |caller, params| begin(StoreContextMut(caller.store), params).map_err(host),
        move |caller, output| contained(StoreContextMut(caller.store), |store| end(store, output)),
    );
    HostFunc(made).in_store(store)
}

/// A host function of a store for components, on values as the runtime has them, which may have to wait.
pub(crate) fn raw_async<T: 'static, O: 'static>(
    store: &mut StoreContextMut<'_, T>,
    ty: &FuncType,
    begin: impl for<'a> Fn(StoreContextMut<'a, T>, &[runtime::RawVal]) -> Result<Begun<'a, O>>
    + Send
    + Sync
    + 'static,
    finish: impl Fn(&mut StoreContextMut<'_, T>, &[runtime::RawVal], O, &mut [runtime::RawVal]) -> Result<()>
    + Send
    + Sync
    + 'static,
) -> Func {
    let signature = ty.abi().clone();
    let engine = store.engine().clone();
    let made = runtime::HostFunc::untyped_async(
        engine.runtime(),
        signature,
        move |caller, params| begin(StoreContextMut(caller.store), params).map_err(host),
        move |caller, params, output, results| {
            contained(StoreContextMut(caller.store), |store| {
                finish(store, params, output, results)
            })
        },
    );
    HostFunc(made).in_store(store)
}

/// A host function of a store for components, on the bits of plain numbers.
pub(crate) fn flat<T: 'static>(
    store: &mut StoreContextMut<'_, T>,
    ty: &FuncType,
    func: impl Fn(&mut StoreContextMut<'_, T>, &[u64]) -> Result<u64> + Send + Sync + 'static,
) -> Func {
    let signature = ty.abi().clone();
    let engine = store.engine().clone();
    let made = runtime::HostFunc::flat(engine.runtime(), signature, move |caller, params| {
        contained(StoreContextMut(caller.store), |store| func(store, params))
    });
    HostFunc(made).in_store(store)
}

/// A host function for components on the bits of plain numbers, which is told the number of its owner.
pub(crate) fn owned_flat<T: 'static>(
    engine: &Engine,
    ty: &FuncType,
    func: impl Fn(&mut StoreContextMut<'_, T>, usize, &[u64]) -> Result<u64> + Send + Sync + 'static,
) -> runtime::OwnedFunc<Data<T>> {
    let signature = ty.abi().clone();
    runtime::OwnedFunc::flat(engine.runtime(), signature, move |caller, owner, params| {
        contained(StoreContextMut(caller.store), |store| {
            func(store, owner as usize, params)
        })
    })
}

/// Likewise, without results, which may have to wait.
pub(crate) fn owned_begun<T: 'static, P: runtime::RawList, O: 'static>(
    engine: &Engine,
    begin: impl for<'a> Fn(StoreContextMut<'a, T>, usize, P) -> Result<Begun<'a, O>> + Send + Sync + 'static,
    end: impl Fn(&mut StoreContextMut<'_, T>, O) -> Result<()> + Send + Sync + 'static,
) -> runtime::OwnedFunc<Data<T>> {
    runtime::OwnedFunc::typed_async::<P, (), O>(
        engine.runtime(),
        move |caller, owner, params| {
            begin(StoreContextMut(caller.store), owner as usize, params).map_err(host)
        },
        move |caller, output| contained(StoreContextMut(caller.store), |store| end(store, output)),
    )
}

/// Likewise, on values as the runtime has them.
pub(crate) fn owned_async<T: 'static, O: 'static>(
    engine: &Engine,
    ty: &FuncType,
    begin: impl for<'a> Fn(StoreContextMut<'a, T>, usize, &[runtime::RawVal]) -> Result<Begun<'a, O>>
    + Send
    + Sync
    + 'static,
    finish: impl Fn(
        &mut StoreContextMut<'_, T>,
        usize,
        &[runtime::RawVal],
        O,
        &mut [runtime::RawVal],
    ) -> Result<()>
    + Send
    + Sync
    + 'static,
) -> runtime::OwnedFunc<Data<T>> {
    let signature = ty.abi().clone();
    runtime::OwnedFunc::untyped_async(
        engine.runtime(),
        signature,
        move |caller, owner, params| {
            begin(StoreContextMut(caller.store), owner as usize, params).map_err(host)
        },
        move |caller, owner, params, output, results| {
            contained(StoreContextMut(caller.store), |store| {
                finish(store, owner as usize, params, output, results)
            })
        },
    )
}

/// A closure that can be a host function; see [`Func::wrap`](crate::Func::wrap).
///
/// Implemented by this crate alone, for closures of up to 17 parameters with or without a
/// [`Caller`] before them.
pub trait IntoFunc<T, Params, Results>: Send + Sync + 'static {
    #[doc(hidden)]
    fn into_func(self, engine: &Engine) -> HostFunc<T>
    where
        T: 'static;
}

macro_rules! into_func {
    ($(($($name:ident)*))*) => {$(
        #[allow(non_snake_case, reason = "values have the names of their types")]
        impl<T, F, $($name,)* R> IntoFunc<T, ($($name,)*), R> for F
        where
            F: Fn($($name),*) -> R + Send + Sync + 'static,
            $($name: WasmTy,)*
            R: WasmRet,
        {
            fn into_func(self, engine: &Engine) -> HostFunc<T>
            where
                T: 'static,
            {
                let func = move |_: Caller<'_, T>, $($name: $name),*| self($($name),*);
                IntoFunc::<T, (Caller<'_, T>, $($name,)*), R>::into_func(func, engine)
            }
        }

        #[allow(non_snake_case, reason = "values have the names of their types")]
        impl<T, F, $($name,)* R> IntoFunc<T, (Caller<'_, T>, $($name,)*), R> for F
        where
            F: Fn(Caller<'_, T>, $($name),*) -> R + Send + Sync + 'static,
            $($name: WasmTy,)*
            R: WasmRet,
        {
            fn into_func(self, engine: &Engine) -> HostFunc<T>
            where
                T: 'static,
            {
                type Raw<L> = <L as WasmTyList>::Raw;
                let call = move |caller: runtime::Caller<'_, Data<T>>, raw: Raw<($($name,)*)>| {
                    let mut caller = Caller::new(caller);
                    let params = WasmTyList::from_raw(caller.as_context(), raw).map_err(host)?;
                    let ($($name,)*): ($($name,)*) = params;
                    let results = self(caller.again(), $($name),*).into_fallible().map_err(host)?;
                    results.into_raw(caller.as_context()).map_err(host)
                };
                HostFunc(runtime::HostFunc::typed::<_, Raw<R::List>>(engine.runtime(), call))
            }
        }
    )*};
}

into_func! {
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
