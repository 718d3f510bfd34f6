//! Functions of component instances, called by the host.

use super::Val;
use super::call::{Callee, set_may_leave};
use super::lift::{Abi, Lifting};
use super::lower::{Lowering, typed};
use super::typed::{ComponentNamedList, Lift, Lower};
use super::types::{ComponentFunc, names_in};
use crate::{
    AsContext, AsContextMut, Error, Result, StoreContext, StoreContextMut, ThrownException, Trap,
    WasmBacktrace, bail,
};
use cellwall_component::{Fault, FuncType, Side};
use cellwall_runtime::{ExnRef, RawVal, StoreId};
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

/// A function that a component instance exports. Just a name for it: cheap to copy.
///
/// ```
/// use cellwall::component::{Component, Linker, Val};
/// use cellwall::{Engine, Store};
///
/// let engine = Engine::default();
/// let component = Component::new(&engine, r#"
///     (component
///       (core module $m
///         (func (export "add") (param i32 i32) (result i32)
///           (i32.add (local.get 0) (local.get 1))))
///       (core instance $i (instantiate $m))
///       (func (export "add") (param "a" s8) (param "b" s8) (result s8)
///         (canon lift (core func $i "add"))))
/// "#)?;
/// let mut store = Store::new(&engine, ());
/// let instance = Linker::new(&engine).instantiate(&mut store, &component)?;
/// let add = instance.get_func(&mut store, "add").unwrap();
///
/// let mut results = [Val::Bool(false)];
/// add.call(&mut store, &[Val::S8(100), Val::S8(100)], &mut results)?;
/// assert_eq!(results, [Val::S8(-56)]);
/// assert!(add.call(&mut store, &[Val::S8(1), Val::U8(1)], &mut results).is_err());
/// # cellwall::Ok(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Func {
    pub(crate) store: StoreId,
    pub(crate) root: usize,
    pub(crate) lift: u32,
}

/// A function that can be called.
pub(crate) struct Lifted {
    pub(crate) func: crate::Func,
    pub(crate) ty: Arc<FuncType>,
    pub(crate) abi: Abi,
    pub(crate) post_return: Option<crate::Func>,
    /// It ends by `task.return`.
    pub(crate) is_task: bool,
    /// What is called next, where the core function returns what it waits for.
    pub(crate) callback: Option<crate::Func>,
}

impl Lifted {
    fn check_call(&self, params: &[Val], results: &[Val]) -> Result<()> {
        let expected = self.ty.params.fields.len();
        if params.len() != expected {
            bail!("expected {expected} arguments, got {}", params.len());
        }
        let expected = usize::from(self.ty.result.is_some());
        if results.len() != expected {
            bail!("expected room for {expected} results, got {}", results.len());
        }
        Ok(())
    }
}

impl Func {
    fn lifted<T>(&self, store: StoreContext<'_, T>) -> Arc<Lifted> {
        assert_eq!(self.store, store.0.id(), "a function used with another store");
        let lifted = &store.0.data().components.roots[self.root].lifted;
        lifted[&self.lift].clone()
    }

    /// Its type.
    ///
    /// # Panics
    /// If it belongs to another store, as do all functions here.
    pub fn ty(&self, store: impl AsContext) -> ComponentFunc {
        let store = store.as_context();
        assert_eq!(self.store, store.0.id(), "a function used with another store");
        let state = &store.0.data().components;
        let names = names_in(state, self.root);
        ComponentFunc::of(&state.roots[self.root].lifted[&self.lift].ty, &names)
    }

    /// Calls it. `results` is as long as its type says; what is in it before does not matter.
    ///
    /// # Errors
    /// If values are not of its type; the [`Trap`] or [`Fault`] or the error of a host function that
    /// ended the call. After such an end the whole instance cannot be entered any more.
    pub fn call(&self, mut store: impl AsContextMut, params: &[Val], results: &mut [Val]) -> Result<()> {
        let mut store = store.as_context_mut();
        let lifted = self.lifted(store.as_context());
        lifted.check_call(params, results)?;
        let result = entering(&mut store, Some(self.root), |store| call(store, &lifted, params))?;
        if let (Some(result), Some(to)) = (result, results.first_mut()) {
            *to = result;
        }
        Ok(())
    }

    /// Calls it, where host functions may wait: while one does, the future is pending, and may be polled on
    /// another thread next. Dropping it abandons the call, and the instance cannot be entered any more, as
    /// after a trap.
    ///
    /// # Errors
    /// As [`call`](Self::call); and if too many such calls are under way
    /// ([`Config::async_calls_max`](crate::Config::async_calls_max)).
    ///
    /// # Panics
    /// A panic of a host function, or of its future, goes on in the poll.
    pub async fn call_async(
        &self,
        mut store: impl AsContextMut<Data: Send>,
        params: &[Val],
        results: &mut [Val],
    ) -> Result<()> {
        let mut store = store.as_context_mut();
        let lifted = self.lifted(store.as_context());
        lifted.check_call(params, results)?;
        let result = call_async(&mut store, self.root, &lifted, params).await?;
        if let (Some(result), Some(to)) = (result, results.first_mut()) {
            *to = result;
        }
        Ok(())
    }

    /// Calls made through Rust types.
    ///
    /// # Errors
    /// If the types are not those of the function.
    pub fn typed<Params, Return>(&self, store: impl AsContext) -> Result<TypedFunc<Params, Return>>
    where
        Params: ComponentNamedList,
        Return: ComponentNamedList,
    {
        let store = store.as_context();
        super::linker::check::<Params, Return>(&self.ty(store))?;
        Ok(TypedFunc {
            func: *self,
            callee: Callee::new(store, &self.lifted(store))?,
            types: PhantomData,
        })
    }

    /// Does nothing: what a function wants called after its results were read is called by
    /// [`call`](Self::call).
    ///
    /// # Errors
    /// None.
    pub fn post_return(&self, store: impl AsContextMut) -> Result<()> {
        let _ = store;
        Ok(())
    }

    /// Does nothing, as [`post_return`](Self::post_return).
    ///
    /// # Errors
    /// None.
    pub async fn post_return_async(&self, store: impl AsContextMut) -> Result<()> {
        self.post_return(store)
    }
}

/// Runs a call into a root; a trap leaves it so that it cannot be entered again.
pub(crate) fn entering<T, R>(
    store: &mut StoreContextMut<'_, T>,
    root: Option<usize>,
    call: impl FnOnce(&mut StoreContextMut<'_, T>) -> Result<R>,
) -> Result<R> {
    let entered = Entered::new(store, root)?;
    let done = call(entered.store);
    entered.end(done)
}

/// A call into a root that is under way. If it is dropped before its [end](Self::end), as when nobody polls
/// it any more, then the root cannot be entered again.
pub(crate) struct Entered<'a, 's, T: 'static> {
    pub(crate) store: &'a mut StoreContextMut<'s, T>,
    root: Option<usize>,
    depth: usize,
    ended: bool,
}

impl<'a, 's, T: 'static> Entered<'a, 's, T> {
    pub(crate) fn new(store: &'a mut StoreContextMut<'s, T>, root: Option<usize>) -> Result<Self> {
        let state = &mut store.0.data_mut().components;
        let depth = state.call_depth();
        if let Some(root) = root {
            if state.roots[root].entered {
                return Err(Fault::CannotEnter.into());
            }
            state.roots[root].entered = true;
        }
        Ok(Self {
            store,
            root,
            depth,
            ended: false,
        })
    }

    /// Leaves it, if the call has ended well, or has not begun.
    #[inline]
    pub(crate) fn end<R>(mut self, done: Result<R>) -> Result<R> {
        let done = done.map_err(|error| uncaught(self.store, error));
        self.ended = done.is_ok();
        let harmless = match &done {
            Ok(_) => true,
            Err(error) => error.is::<Unlowered>() && !error.is::<Trap>() && !error.is::<Fault>(),
        };
        if let (Some(root), true) = (self.root, harmless) {
            self.store.0.data_mut().components.roots[root].entered = false;
        }
        done
    }
}

impl<T: 'static> Drop for Entered<'_, '_, T> {
    fn drop(&mut self) {
        if !self.ended {
            self.store.0.data_mut().components.unwind_calls(self.depth);
        }
    }
}

/// An exception that leaves a component is a fault of it: nobody outside can know its tag.
#[cold]
pub(crate) fn uncaught<T>(store: &mut StoreContextMut<'_, T>, error: Error) -> Error {
    if !error.is::<ThrownException>() {
        return error;
    }
    store.0.set_pending_exception(ExnRef(0));
    // The backtrace is of where it was thrown.
    match error.downcast::<WasmBacktrace>() {
        Ok(backtrace) => Error::new(Fault::UncaughtException).context(backtrace),
        Err(_) => Fault::UncaughtException.into(),
    }
}

/// The context of an error that came before the guest's function was called.
#[derive(Debug)]
pub(crate) struct Unlowered;

impl fmt::Display for Unlowered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the arguments cannot be passed")
    }
}

/// The whole of a call ("canon lift").
pub(super) fn call<T>(
    store: &mut StoreContextMut<'_, T>,
    lifted: &Lifted,
    params: &[Val],
) -> Result<Option<Val>> {
    if lifted.is_task {
        return super::task::call(store, lifted, params);
    }
    let (flat, mut raw) = lower(store, lifted, params)?;
    let done = store.0.call(lifted.func.id, &flat, &mut raw);
    done.map_err(|error| store.error(error))?;
    lift(store, lifted, &raw)
}

/// Likewise, where host functions may wait.
async fn call_async<T: Send>(
    store: &mut StoreContextMut<'_, T>,
    root: usize,
    lifted: &Lifted,
    params: &[Val],
) -> Result<Option<Val>> {
    let entered = Entered::new(store, Some(root))?;
    let store = &mut *entered.store;
    let done = async {
        if lifted.is_task {
            return super::task::call(store, lifted, params);
        }
        let (flat, mut raw) = lower(store, lifted, params)?;
        let done = store.0.call_async(lifted.func.id, &flat, &mut raw).await;
        done.map_err(|error| store.error(error))?;
        lift(store, lifted, &raw)
    };
    let done = done.await;
    entered.end(done)
}

/// Begins a call: the core arguments, and room for the core results.
pub(super) fn lower<T>(
    store: &mut StoreContextMut<'_, T>,
    lifted: &Lifted,
    params: &[Val],
) -> Result<(Vec<RawVal>, Vec<RawVal>)> {
    let (ty, abi) = (&*lifted.ty, &lifted.abi);
    if ty.borrows() {
        store.0.data_mut().components.enter_call();
    }
    store.0.data_mut().components.instances[abi.instance].context = Default::default();
    let asks = lower_needs_memory(ty);
    if asks {
        set_may_leave(store, abi.instance, false);
    }
    let flat = lower_params(store, abi, ty, params);
    if asks {
        set_may_leave(store, abi.instance, true);
    }
    let flat = flat.map_err(|error| error.context(Unlowered))?;
    let (_, results) = ty.core_signature(Side::Lift);
    Ok((flat, vec![RawVal::I32(0); results.len()]))
}

/// Ends a call with these core results.
fn lift<T>(store: &mut StoreContextMut<'_, T>, lifted: &Lifted, raw: &[RawVal]) -> Result<Option<Val>> {
    let (ty, abi) = (&*lifted.ty, &lifted.abi);
    if ty.borrows() {
        store.0.data_mut().components.exit_call()?;
    }
    let mut lifting = Lifting::new(store, abi);
    let result = match &ty.result {
        None => None,
        Some(ty_of) => Some(match ty.flat_results() {
            (_, false) => lifting.flat(ty_of, &mut raw.iter())?,
            (_, true) => match raw[0] {
                RawVal::I32(ptr) => lifting.indirect(ty_of, ptr as u32)?,
                _ => unreachable!("results in memory are returned by a pointer"),
            },
        }),
    };
    if let Some(post_return) = lifted.post_return {
        // It may not call out, so that there is nothing to wait for.
        set_may_leave(store, abi.instance, false);
        let done = store.0.call(post_return.id, raw, &mut []);
        done.map_err(|error| store.error(error))?;
        set_may_leave(store, abi.instance, true);
    }
    Ok(result)
}

fn lower_needs_memory(ty: &FuncType) -> bool {
    ty.flat_params().1 || ty.params.layout().pointers
}

fn lower_params<T>(
    store: &mut StoreContextMut<'_, T>,
    abi: &Abi,
    ty: &FuncType,
    params: &[Val],
) -> Result<Vec<RawVal>, Error> {
    let mut lowering = Lowering { store, abi };
    match ty.flat_params() {
        (types, false) => {
            let mut bits = Vec::with_capacity(types.len());
            for ((_, ty, _), val) in ty.params.fields.iter().zip(params) {
                lowering.flat(ty, val, &mut bits)?;
            }
            Ok(typed(&bits, &types))
        }
        (_, true) => {
            let ptr = lowering.params(&ty.params, params)?;
            Ok(vec![RawVal::I32(ptr as i32)])
        }
    }
}

/// A [`Func`] whose types are known to Rust. Its calls allocate nothing but what values are made of.
///
/// ```
/// use cellwall::component::{Component, Linker};
/// use cellwall::{Engine, Store};
///
/// let engine = Engine::default();
/// let component = Component::new(&engine, r#"
///     (component
///       (core module $m
///         (memory (export "memory") 1)
///         (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 16))
///         (func (export "shortest") (param i32 i32 i32 i32) (result i32)
///           (i32.store (i32.const 8) (select (local.get 0) (local.get 2) (i32.lt_u (local.get 1) (local.get 3))))
///           (i32.store (i32.const 12) (select (local.get 1) (local.get 3) (i32.lt_u (local.get 1) (local.get 3))))
///           (i32.const 8)))
///       (core instance $i (instantiate $m))
///       (func (export "shortest") (param "a" string) (param "b" (list u8)) (result (list u8))
///         (canon lift (core func $i "shortest") (memory (core memory $i "memory"))
///           (realloc (core func $i "realloc")))))
/// "#)?;
/// let mut store = Store::new(&engine, ());
/// let instance = Linker::new(&engine).instantiate(&mut store, &component)?;
/// let shortest = instance.get_typed_func::<(&str, &[u8]), (Vec<u8>,)>(&mut store, "shortest")?;
/// assert_eq!(shortest.call(&mut store, ("hello", b"you"))?, (b"you".to_vec(),));
/// # cellwall::Ok(())
/// ```
pub struct TypedFunc<Params, Return> {
    func: Func,
    callee: Callee,
    // Arguments may live shorter than those that it was made for.
    types: PhantomData<fn() -> (Params, Return)>,
}

impl<Params, Return> Clone for TypedFunc<Params, Return> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<Params, Return> Copy for TypedFunc<Params, Return> {}

impl<Params, Return> fmt::Debug for TypedFunc<Params, Return> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TypedFunc").field(&self.func).finish()
    }
}

impl<Params, Return> TypedFunc<Params, Return>
where
    Params: ComponentNamedList + Lower,
    Return: ComponentNamedList + Lift,
{
    /// The function, its type no longer known to Rust.
    pub fn func(&self) -> &Func {
        &self.func
    }

    /// The component's types of the values, if they matter.
    fn ty<T>(&self, store: &StoreContextMut<'_, T>) -> Option<Arc<Lifted>> {
        let matter = const { Params::LAYOUT.resources || Return::LAYOUT.resources };
        matter.then(|| self.func.lifted(store.as_context()))
    }

    /// Calls it.
    ///
    /// # Errors
    /// As [`Func::call`].
    ///
    /// # Panics
    /// If it belongs to another store.
    #[inline]
    pub fn call(&self, mut store: impl AsContextMut, params: Params) -> Result<Return> {
        let mut store = store.as_context_mut();
        assert_eq!(
            self.func.store,
            store.0.id(),
            "a function used with another store"
        );
        let lifted = self.ty(&store);
        let ty = lifted.as_ref().map(|lifted| &*lifted.ty);
        self.callee.call(&mut store, ty, &params)
    }

    /// Calls it, where host functions may wait; see [`Func::call_async`].
    ///
    /// # Errors
    /// As [`Func::call_async`].
    ///
    /// # Panics
    /// If it belongs to another store. A panic of a host function, or of its future, goes on in the poll.
    pub async fn call_async(
        &self,
        mut store: impl AsContextMut<Data: Send>,
        params: Params,
    ) -> Result<Return> {
        let mut store = store.as_context_mut();
        let lifted = self.func.lifted(store.as_context());
        self.callee.call_async(&mut store, &lifted, params).await
    }

    /// Does nothing, as [`Func::post_return`].
    ///
    /// # Errors
    /// None.
    pub fn post_return(&self, store: impl AsContextMut) -> Result<()> {
        self.func.post_return(store)
    }

    /// Does nothing, as [`Func::post_return`].
    ///
    /// # Errors
    /// None.
    pub async fn post_return_async(&self, store: impl AsContextMut) -> Result<()> {
        self.func.post_return(store)
    }
}
