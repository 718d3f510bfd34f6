//! The store: everything that guest code lives in, and the embedder's data beside it.
//!
//! Requires an engine. Guarantees that what belongs to one store cannot be used with another: it
//! panics with a sentence, or is an error where values are passed. Deliberately not shared between
//! threads: a store is used by one thread at a time and may be sent to another.

use crate::{Engine, Error, Module, ResourceLimiter, Result, ThrownException, WasmBacktrace};
use cellwall_runtime as runtime;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// What the runtime keeps for us in a store.
pub(crate) struct Data<T> {
    pub(crate) user: T,
    pub(crate) engine: Engine,
    /// The module of the first instance, and those of others by the address of their code; for
    /// backtraces.
    first: Option<Module>,
    others: BTreeMap<usize, Module>,
    /// Instances of components, with their handle tables.
    pub(crate) components: crate::component::State,
}

pub(crate) type Inner<T> = runtime::StoreInner<Data<T>>;

/// A place for instances and everything they share, with data of the embedder.
///
/// All that is made in a store lives as long as the store. A store is cheap: make one per request
/// or guest. It is `Send` if its data is.
///
/// ```
/// use cellwall::{Engine, Store};
///
/// struct Host {
///     greetings: u32,
/// }
/// let engine = Engine::default();
/// let mut store = Store::new(&engine, Host { greetings: 0 });
/// store.data_mut().greetings += 1;
/// assert_eq!(store.data().greetings, 1);
/// assert_eq!(store.into_data().greetings, 1);
/// ```
pub struct Store<T: 'static> {
    inner: runtime::Store<Data<T>>,
}

impl<T: 'static> Store<T> {
    /// Makes a store with this data.
    pub fn new(engine: &Engine, data: T) -> Self {
        let data = Data {
            user: data,
            engine: engine.clone(),
            first: None,
            others: BTreeMap::new(),
            components: Default::default(),
        };
        Self {
            inner: runtime::Store::new(engine.runtime(), data),
        }
    }

    /// The data.
    pub fn data(&self) -> &T {
        &self.inner.data().user
    }

    /// The data, to change it.
    pub fn data_mut(&mut self) -> &mut T {
        &mut self.inner.data_mut().user
    }

    /// Drops the store and returns its data.
    pub fn into_data(self) -> T {
        self.inner.into_data().user
    }

    /// The engine it was made in.
    pub fn engine(&self) -> &Engine {
        &self.inner.data().engine
    }

    /// How to stop the guests of this store from another thread, and no others.
    ///
    /// ```
    /// use cellwall::{Engine, Instance, Module, Store, Trap};
    ///
    /// let engine = Engine::default();
    /// let module = Module::new(&engine, r#"(module (func (export "spin") (loop br 0)))"#)?;
    /// let mut store = Store::new(&engine, ());
    /// let instance = Instance::new(&mut store, &module, &[])?;
    /// let spin = instance.get_typed_func::<(), ()>(&mut store, "spin")?;
    ///
    /// let handle = store.interrupt_handle();
    /// std::thread::spawn(move || loop {
    ///     std::thread::sleep(std::time::Duration::from_millis(10));
    ///     handle.interrupt();
    /// });
    /// let error = spin.call(&mut store, ()).unwrap_err();
    /// assert_eq!(error.downcast_ref::<Trap>(), Some(&Trap::Interrupt));
    /// # cellwall::Ok(())
    /// ```
    pub fn interrupt_handle(&self) -> InterruptHandle {
        InterruptHandle(self.inner.interrupt_handle())
    }

    /// Installs what decides how much this store may hold; see [`StoreLimits`](crate::StoreLimits)
    /// for an example.
    pub fn limiter(
        &mut self,
        limiter: impl (FnMut(&mut T) -> &mut dyn ResourceLimiter) + Send + Sync + 'static,
    ) {
        self.inner.set_limiter(Box::new(Limiter(limiter)));
    }
}

/// Stops the guests of one store, from any thread: [`Store::interrupt_handle`].
#[derive(Debug, Clone)]
pub struct InterruptHandle(runtime::InterruptHandle);

impl InterruptHandle {
    /// Ends the call that runs in the store now with [`Trap::Interrupt`](crate::Trap::Interrupt): guest code at
    /// once, host functions when they return to their guest. Calls in other stores go on.
    ///
    /// The store is of no further use. If no guest ran in it, one that begins later may still begin: say it again
    /// until the call is over. A guest that waits for a future is not woken: drop its call.
    pub fn interrupt(&self) {
        self.0.interrupt();
    }
}

impl<T: fmt::Debug + 'static> fmt::Debug for Store<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("data", self.data())
            .finish_non_exhaustive()
    }
}

/// Asks the embedder's limiter for the runtime.
struct Limiter<F>(F);

fn host(error: Error) -> runtime::HostError {
    Box::new(error)
}

impl<T, F> runtime::Limiter<Data<T>> for Limiter<F>
where
    T: 'static,
    F: (FnMut(&mut T) -> &mut dyn ResourceLimiter) + Send + Sync,
{
    fn memory_growing(
        &mut self,
        data: &mut Data<T>,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> Result<bool, runtime::HostError> {
        (self.0)(&mut data.user)
            .memory_growing(current, desired, maximum)
            .map_err(host)
    }

    fn memory_grow_failed(&mut self, data: &mut Data<T>, reason: &str) -> Result<(), runtime::HostError> {
        let reason = Error::msg(reason.to_owned());
        (self.0)(&mut data.user).memory_grow_failed(reason).map_err(host)
    }

    fn table_growing(
        &mut self,
        data: &mut Data<T>,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> Result<bool, runtime::HostError> {
        (self.0)(&mut data.user)
            .table_growing(current, desired, maximum)
            .map_err(host)
    }

    fn table_grow_failed(&mut self, data: &mut Data<T>, reason: &str) -> Result<(), runtime::HostError> {
        let reason = Error::msg(reason.to_owned());
        (self.0)(&mut data.user).table_grow_failed(reason).map_err(host)
    }

    fn instances(&mut self, data: &mut Data<T>) -> usize {
        (self.0)(&mut data.user).instances()
    }

    fn tables(&mut self, data: &mut Data<T>) -> usize {
        (self.0)(&mut data.user).tables()
    }

    fn memories(&mut self, data: &mut Data<T>) -> usize {
        (self.0)(&mut data.user).memories()
    }
}

/// A store borrowed to look at.
pub struct StoreContext<'a, T: 'static>(pub(crate) &'a Inner<T>);

/// A store borrowed to change.
pub struct StoreContextMut<'a, T: 'static>(pub(crate) &'a mut Inner<T>);

impl<T: 'static> Clone for StoreContext<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: 'static> Copy for StoreContext<'_, T> {}

impl<'a, T: 'static> StoreContext<'a, T> {
    /// The data of the store.
    pub fn data(&self) -> &'a T {
        &self.0.data().user
    }

    /// The engine of the store.
    pub fn engine(&self) -> &'a Engine {
        &self.0.data().engine
    }

    /// The module that this code was mapped for.
    pub(crate) fn module_of(&self, code: &Arc<runtime::Code>) -> &'a Module {
        let Data { first, others, .. } = self.0.data();
        let first = first.as_ref().filter(|first| Arc::ptr_eq(first.code(), code));
        first
            .or_else(|| others.get(&address(code)))
            .expect("code enters a store with its module")
    }

    /// An error of the runtime as the embedder sees it.
    #[cold]
    pub(crate) fn error(&self, error: runtime::Error) -> Error {
        let (error, frames) = match error {
            runtime::Error::Trap { code, frames } => (Error::new(crate::Trap::from_code(code)), frames),
            runtime::Error::Host { error, frames } => match error.downcast::<Error>() {
                Ok(error) => (*error, frames),
                Err(_) => panic!("host functions of this crate fail with its error type"),
            },
            runtime::Error::Thrown { frames } => (Error::new(ThrownException), frames),
            runtime::Error::Waits { frames } => {
                let error = runtime::Error::Waits { frames: Vec::new() };
                (Error::new(error), frames)
            }
            other => return Error::new(other),
        };
        if frames.is_empty() || error.is::<WasmBacktrace>() {
            return error;
        }
        error.context(WasmBacktrace::new(*self, &frames))
    }
}

fn address(code: &Arc<runtime::Code>) -> usize {
    Arc::as_ptr(code) as usize
}

impl<T: 'static> StoreContextMut<'_, T> {
    /// The data of the store.
    pub fn data(&self) -> &T {
        &self.0.data().user
    }

    /// The data of the store, to change it.
    pub fn data_mut(&mut self) -> &mut T {
        &mut self.0.data_mut().user
    }

    /// The engine of the store.
    pub fn engine(&self) -> &Engine {
        &self.0.data().engine
    }

    pub(crate) fn remember(&mut self, module: &Module) {
        let Data { first, others, .. } = self.0.data_mut();
        let first = first.get_or_insert_with(|| module.clone());
        if !Arc::ptr_eq(first.code(), module.code()) {
            let key = address(module.code());
            others.entry(key).or_insert_with(|| module.clone());
        }
    }

    #[cold]
    pub(crate) fn error(&self, error: runtime::Error) -> Error {
        StoreContext(&*self.0).error(error)
    }
}

/// Something that lends a store to look at: a [`Store`], a [`StoreContext`], a
/// [`StoreContextMut`], a [`Caller`](crate::Caller), or a reference to one.
pub trait AsContext {
    /// The data of the store.
    type Data: 'static;

    /// Lends the store.
    fn as_context(&self) -> StoreContext<'_, Self::Data>;
}

/// Something that lends a store to change: a [`Store`], a [`StoreContextMut`], a
/// [`Caller`](crate::Caller), or a mutable reference to one.
pub trait AsContextMut: AsContext {
    /// Lends the store.
    fn as_context_mut(&mut self) -> StoreContextMut<'_, Self::Data>;
}

impl<T: 'static> AsContext for Store<T> {
    type Data = T;
    #[inline]
    fn as_context(&self) -> StoreContext<'_, T> {
        StoreContext(&self.inner)
    }
}

impl<T: 'static> AsContextMut for Store<T> {
    #[inline]
    fn as_context_mut(&mut self) -> StoreContextMut<'_, T> {
        StoreContextMut(&mut self.inner)
    }
}

impl<T: 'static> AsContext for StoreContext<'_, T> {
    type Data = T;
    #[inline]
    fn as_context(&self) -> StoreContext<'_, T> {
        StoreContext(self.0)
    }
}

impl<T: 'static> AsContext for StoreContextMut<'_, T> {
    type Data = T;
    #[inline]
    fn as_context(&self) -> StoreContext<'_, T> {
        StoreContext(self.0)
    }
}

impl<T: 'static> AsContextMut for StoreContextMut<'_, T> {
    #[inline]
    fn as_context_mut(&mut self) -> StoreContextMut<'_, T> {
        StoreContextMut(self.0)
    }
}

impl<C: AsContext> AsContext for &C {
    type Data = C::Data;
    #[inline]
    fn as_context(&self) -> StoreContext<'_, C::Data> {
        C::as_context(self)
    }
}

impl<C: AsContext> AsContext for &mut C {
    type Data = C::Data;
    #[inline]
    fn as_context(&self) -> StoreContext<'_, C::Data> {
        C::as_context(self)
    }
}

impl<C: AsContextMut> AsContextMut for &mut C {
    #[inline]
    fn as_context_mut(&mut self) -> StoreContextMut<'_, C::Data> {
        C::as_context_mut(self)
    }
}

impl<'a, C: AsContext> From<&'a C> for StoreContext<'a, C::Data> {
    fn from(store: &'a C) -> Self {
        store.as_context()
    }
}

impl<'a, C: AsContext> From<&'a mut C> for StoreContext<'a, C::Data> {
    fn from(store: &'a mut C) -> Self {
        C::as_context(store)
    }
}

impl<'a, C: AsContextMut> From<&'a mut C> for StoreContextMut<'a, C::Data> {
    fn from(store: &'a mut C) -> Self {
        store.as_context_mut()
    }
}

impl<'a, T: 'static> From<StoreContextMut<'a, T>> for StoreContext<'a, T> {
    fn from(store: StoreContextMut<'a, T>) -> Self {
        StoreContext(store.0)
    }
}
