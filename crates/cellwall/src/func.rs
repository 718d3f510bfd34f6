//! Functions: of guests and of the host.

mod convert;
mod host;
mod typed;

pub use convert::{WasmParams, WasmResults, WasmRet, WasmTy, WasmTyList};
pub use host::{Caller, IntoFunc};
pub(crate) use host::{
    HostFunc, begun, flat, owned_async, owned_begun, owned_flat, raw, raw_async, untyped, untyped_async,
    wrapped, wrapped_async,
};
pub use typed::TypedFunc;

use crate::{AsContext, AsContextMut, FuncType, Result, StoreContextMut, Val, bail};
use cellwall_runtime as runtime;
use std::future::Future;

/// A function of a store: an export of an instance, or of the host. Just a name for it: cheap to
/// copy.
///
/// [`wrap`](Self::wrap) makes one from a Rust closure whose type says its WebAssembly type;
/// [`new`](Self::new) one whose type is only known at run time. [`typed`](Self::typed) checks a
/// type once, so that calls need not; [`call`](Self::call) checks each time.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Func {
    pub(crate) id: runtime::FuncId,
}

impl Func {
    /// Makes a function of this type from a closure that gets its arguments as a slice and fills
    /// in its results.
    ///
    /// An error that the closure returns ends the guest's call with it. Results that are of
    /// another type than `ty` says, too.
    ///
    /// ```
    /// use cellwall::{Engine, Func, FuncType, Store, Val, ValType};
    ///
    /// let engine = Engine::default();
    /// let mut store = Store::new(&engine, ());
    /// let ty = FuncType::new(&engine, [ValType::I32, ValType::I32], [ValType::I32]);
    /// let sum = Func::new(&mut store, ty, |_caller, params, results| {
    ///     results[0] = Val::I32(params.iter().map(Val::unwrap_i32).sum());
    ///     Ok(())
    /// });
    /// let mut results = [Val::I32(0)];
    /// sum.call(&mut store, &[Val::I32(2), Val::I32(4)], &mut results)?;
    /// assert_eq!(results[0].unwrap_i32(), 6);
    /// # cellwall::Ok(())
    /// ```
    pub fn new<T: 'static>(
        mut store: impl AsContextMut<Data = T>,
        ty: FuncType,
        func: impl Fn(Caller<'_, T>, &[Val], &mut [Val]) -> Result<()> + Send + Sync + 'static,
    ) -> Self {
        let mut store = store.as_context_mut();
        untyped(store.engine(), ty, func).in_store(&mut store)
    }

    /// Makes a function from a closure.
    ///
    /// The closure may take a [`Caller`] first. Parameters and results are [`WasmTy`]: `i32`,
    /// `u32`, `i64`, `u64`, `f32`, `f64`, [`V128`](crate::V128), `Option<Func>`,
    /// `Option<Rooted<ExternRef>>`; at most 17 parameters. It returns one of them, `()`, a tuple
    /// of them, or a [`Result`] of these, whose error ends the guest's call with it. Neither
    /// making the call nor passing the values allocates.
    ///
    /// ```
    /// use cellwall::{Caller, Engine, Func, Instance, Module, Store};
    ///
    /// let engine = Engine::default();
    /// let mut store = Store::new(&engine, 0u32);
    /// let log = Func::wrap(&mut store, |mut caller: Caller<'_, u32>, n: u32| {
    ///     *caller.data_mut() += n;
    /// });
    /// let module = Module::new(&engine, r#"
    ///     (module
    ///       (import "" "log" (func $log (param i32)))
    ///       (func (export "run") (call $log (i32.const 41)) (call $log (i32.const 1))))
    /// "#)?;
    /// let instance = Instance::new(&mut store, &module, &[log.into()])?;
    /// instance.get_typed_func::<(), ()>(&mut store, "run")?.call(&mut store, ())?;
    /// assert_eq!(*store.data(), 42);
    /// # cellwall::Ok(())
    /// ```
    pub fn wrap<T: 'static, Params, Results>(
        mut store: impl AsContextMut<Data = T>,
        func: impl IntoFunc<T, Params, Results>,
    ) -> Self {
        let mut store = store.as_context_mut();
        wrapped(store.engine(), func).in_store(&mut store)
    }

    /// Makes a function of this type from a closure that returns a future, for guests that are called by
    /// [`call_async`](Self::call_async). The rest is as in [`new`](Self::new).
    pub fn new_async<T: Send + 'static>(
        mut store: impl AsContextMut<Data = T>,
        ty: FuncType,
        func: impl for<'a> Fn(
            Caller<'a, T>,
            &'a [Val],
            &'a mut [Val],
        ) -> Box<dyn Future<Output = Result<()>> + Send + 'a>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        let mut store = store.as_context_mut();
        untyped_async(store.engine(), ty, func).in_store(&mut store)
    }

    /// Makes a function from a closure that returns a future. It takes a [`Caller`] and a tuple of
    /// parameters; types are as in [`wrap`](Self::wrap).
    ///
    /// The future is polled on the stack of the thread. While it is pending, the guest waits: its stack is
    /// parked, and [`call_async`](Self::call_async), which called it, is pending, too. If the guest was
    /// called by [`call`](Self::call), a future that is ready at once is as good as a plain function, and
    /// one that is not ends the call with an error.
    ///
    /// ```
    /// use cellwall::{Caller, Engine, Func, Instance, Module, Store};
    ///
    /// # fn block_on<F: Future>(future: F) -> F::Output {
    /// #     let mut task = std::task::Context::from_waker(std::task::Waker::noop());
    /// #     let mut future = std::pin::pin!(future);
    /// #     loop {
    /// #         if let std::task::Poll::Ready(output) = future.as_mut().poll(&mut task) {
    /// #             return output;
    /// #         }
    /// #     }
    /// # }
    /// # /// Stands for what an executor has: pending once.
    /// # async fn answer_of_a_server() -> i32 {
    /// #     let mut polls = 0;
    /// #     std::future::poll_fn(|task| {
    /// #         polls += 1;
    /// #         task.waker().wake_by_ref();
    /// #         if polls > 1 { std::task::Poll::Ready(41) } else { std::task::Poll::Pending }
    /// #     }).await
    /// # }
    /// let engine = Engine::default();
    /// let mut store = Store::new(&engine, 1i32);
    /// let ask = Func::wrap_async(&mut store, |caller: Caller<'_, i32>, (times,): (i32,)| {
    ///     Box::new(async move { (answer_of_a_server().await + *caller.data()) * times })
    /// });
    /// let module = Module::new(&engine, r#"
    ///     (module
    ///       (import "" "ask" (func $ask (param i32) (result i32)))
    ///       (func (export "run") (result i32) (call $ask (i32.const 2))))
    /// "#)?;
    /// let instance = Instance::new(&mut store, &module, &[ask.into()])?;
    /// let run = instance.get_typed_func::<(), i32>(&mut store, "run")?;
    /// assert_eq!(block_on(run.call_async(&mut store, ()))?, 84);
    ///
    /// let error = run.call(&mut store, ()).unwrap_err();
    /// assert!(format!("{error:#}").contains("use `call_async`"), "{error:#}");
    /// # cellwall::Ok(())
    /// ```
    pub fn wrap_async<T: 'static, Params: WasmTyList, Results: WasmRet + 'static>(
        mut store: impl AsContextMut<Data = T>,
        func: impl for<'a> Fn(Caller<'a, T>, Params) -> Box<dyn Future<Output = Results> + Send + 'a>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        let mut store = store.as_context_mut();
        wrapped_async(store.engine(), func).in_store(&mut store)
    }

    /// Its type.
    ///
    /// # Panics
    /// If it belongs to another store, as do all functions here.
    pub fn ty(&self, store: impl AsContext) -> FuncType {
        let store = store.as_context();
        FuncType::from_number(store.engine().runtime(), store.0.func_type_number(self.id))
    }

    /// Whether it is of this type.
    pub fn matches_ty(&self, store: impl AsContext, ty: &FuncType) -> bool {
        self.ty(store).matches(ty)
    }

    /// Calls it. `results` is as long as its results and overwritten.
    ///
    /// # Errors
    /// If the arguments are not of its type; otherwise the [`Trap`](crate::Trap) or the error of a
    /// host function that ended the call, with a [`WasmBacktrace`](crate::WasmBacktrace).
    pub fn call(&self, mut store: impl AsContextMut, params: &[Val], results: &mut [Val]) -> Result<()> {
        let store = store.as_context_mut();
        self.check_call(&store, params, results)?;
        with_room(params.len(), |raw_params| {
            for (raw, value) in raw_params.iter_mut().zip(params) {
                *raw = value.to_raw(store.as_context())?;
            }
            with_room(results.len(), |raw_results| {
                let done = store.0.call(self.id, raw_params, raw_results);
                done.map_err(|error| store.error(error))?;
                for (result, &raw) in results.iter_mut().zip(&*raw_results) {
                    *result = Val::from_raw(store.0, raw);
                }
                Ok(())
            })
        })
    }

    /// Calls it, where host functions may wait: while one does, the future is pending, and may be polled
    /// on another thread next. Dropping it abandons the call: what the guest was doing does not go on, what
    /// it has done stays, and its instance and the store can be used as after a trap.
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
        params: &[Val],
        results: &mut [Val],
    ) -> Result<()> {
        let store = store.as_context_mut();
        self.check_call(&store, params, results)?;
        let mut raw_params = Vec::with_capacity(params.len());
        for value in params {
            raw_params.push(value.to_raw(store.as_context())?);
        }
        let mut raw_results = vec![runtime::RawVal::I32(0); results.len()];
        let done = store.0.call_async(self.id, &raw_params, &mut raw_results).await;
        done.map_err(|error| store.error(error))?;
        for (result, &raw) in results.iter_mut().zip(&raw_results) {
            *result = Val::from_raw(store.0, raw);
        }
        Ok(())
    }

    fn check_call<T>(&self, store: &StoreContextMut<'_, T>, params: &[Val], results: &[Val]) -> Result<()> {
        let signature = store.0.func_signature(self.id);
        if params.len() != signature.params.len() {
            bail!(
                "expected {} arguments, got {}",
                signature.params.len(),
                params.len()
            );
        }
        if results.len() != signature.results.len() {
            bail!(
                "expected room for {} results, got {}",
                signature.results.len(),
                results.len()
            );
        }
        for (i, (value, &expected)) in params.iter().zip(&signature.params).enumerate() {
            let found = value.plain_ty();
            if found.to_abi() != expected {
                bail!("argument type mismatch: expected {expected} as argument {i}, got {found}");
            }
        }
        Ok(())
    }

    /// Checks its type once, for calls without checks.
    ///
    /// # Errors
    /// If it is of another type.
    pub fn typed<Params: WasmParams, Results: WasmResults>(
        &self,
        store: impl AsContext,
    ) -> Result<TypedFunc<Params, Results>> {
        TypedFunc::new(store.as_context(), *self)
    }
}

/// Runs `body` with room for so many values; only many are allocated.
fn with_room<R>(count: usize, body: impl FnOnce(&mut [runtime::RawVal]) -> R) -> R {
    const FEW: usize = 8;
    const ZERO: runtime::RawVal = runtime::RawVal::I32(0);
    match count {
        0..=FEW => body(&mut [ZERO; FEW][..count]),
        _ => body(&mut vec![ZERO; count]),
    }
}
