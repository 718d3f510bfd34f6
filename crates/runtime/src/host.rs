//! Host functions: Rust closures that guest code calls.
//!
//! Each closure gets an entry of its own, made for its types, so that a call neither boxes nor
//! allocates. The entry catches panics; they go on outside of the guest's frames.
//!
//! A function of an owner ([`OwnedFunc`]) is told for whom it is called by a number. So it can be made once for many
//! owners, whose functions go into a store all together ([`HostFuncs`]), with one allocation.

use crate::engine::Engine;
use crate::error::{Error, HostError};
use crate::exception::ThrownException;
use crate::id::{FuncId, InstanceId, StoreId};
use crate::store::{StoreInner, StoreOpaque};
use crate::value::{RawList, RawVal};
use cellwall_abi::{Assignment, Signature, TrapCode, assign};
use std::any::Any;
use std::fmt;
use std::marker::PhantomData;
use std::ops::DerefMut;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::Arc;

/// Why the host side of a call leaves the guest.
pub(crate) enum Outcome {
    /// A host function or limiter said no.
    Host(HostError),
    /// A library call was asked for more than can be.
    Limit(String),
    /// A library call found that the guest ran wrong.
    Trap(TrapCode),
    /// An exception that nobody caught; it is pending.
    Thrown,
    /// An exception was caught: the stub goes on there.
    Caught,
    /// A host function has to wait where it cannot.
    Waits,
    /// A host function or limiter panicked.
    Panic(Box<dyn Any + Send>),
}

impl From<TrapCode> for Outcome {
    fn from(code: TrapCode) -> Self {
        Self::Trap(code)
    }
}

/// What a host function is called with besides its arguments.
pub struct Caller<'a, T: 'static> {
    /// The store.
    pub store: &'a mut StoreInner<T>,
    /// The instance whose code made the call; `None` if the host did.
    pub instance: Option<InstanceId>,
}

impl<T> fmt::Debug for Caller<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Caller({:?})", self.instance)
    }
}

/// What the host stub calls: environment and context of the caller; 0, or not if it left an
/// outcome in the store.
pub(crate) type HostEntry = unsafe extern "C" fn(env: usize, context: usize) -> u32;

/// A host function without the type of its store's data.
pub(crate) struct HostRecord {
    pub(crate) entry: HostEntry,
    /// Address of the closure, inside of `_closure`.
    pub(crate) env: usize,
    pub(crate) signature: Signature,
    /// Engine-wide number of the signature.
    pub(crate) number: u32,
    engine: Engine,
    _closure: Arc<dyn Any + Send + Sync>,
}

impl HostRecord {
    fn new<E: Send + Sync + 'static>(
        engine: &Engine,
        number: u32,
        signature: Signature,
        entry: HostEntry,
        closure: Arc<E>,
    ) -> Self {
        Self {
            entry,
            env: Arc::as_ptr(&closure) as usize,
            number,
            signature,
            engine: engine.clone(),
            _closure: closure,
        }
    }
}

/// What the entry of a function of an owner gets as its environment: the closure, and the owner.
pub(crate) struct Seat {
    pub(crate) env: usize,
    pub(crate) owner: u32,
}

/// A host function that is told its owner. It goes into stores with others, see [`HostFuncs`].
pub struct OwnedFunc<T: 'static> {
    record: HostRecord,
    data: PhantomData<fn(&mut T)>,
}

impl<T> fmt::Debug for OwnedFunc<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OwnedFunc({})", self.record.signature)
    }
}

impl<T: 'static> OwnedFunc<T> {
    /// `entry` gets the address of a [`Seat`], with that of `closure`.
    pub(crate) fn new<E: Send + Sync + 'static>(
        engine: &Engine,
        signature: Signature,
        entry: HostEntry,
        closure: Arc<E>,
    ) -> Self {
        let number = engine.plain_type(&signature);
        Self {
            record: HostRecord::new(engine, number, signature, entry, closure),
            data: PhantomData,
        }
    }
}

/// Host functions that go into a store together, for one owner there; cheap to clone, and to put there.
pub struct HostFuncs<T: 'static> {
    records: Arc<[HostRecord]>,
    data: PhantomData<fn(&mut T)>,
}

impl<T> Clone for HostFuncs<T> {
    fn clone(&self) -> Self {
        Self {
            records: self.records.clone(),
            data: PhantomData,
        }
    }
}

impl<T> fmt::Debug for HostFuncs<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HostFuncs({})", self.records.len())
    }
}

impl<T: 'static> HostFuncs<T> {
    /// These functions, in this order.
    pub fn new(funcs: impl IntoIterator<Item = OwnedFunc<T>>) -> Self {
        Self {
            records: funcs.into_iter().map(|func| func.record).collect(),
            data: PhantomData,
        }
    }
}

/// Host functions of one owner in a store.
#[derive(Clone, Copy, Debug)]
pub struct HostFuncsIn {
    store: StoreId,
    first: u32,
    count: u32,
}

impl HostFuncsIn {
    /// The function at this place.
    ///
    /// # Panics
    /// If there are fewer.
    pub fn func(&self, at: usize) -> FuncId {
        assert!(at < self.count as usize, "there are {} functions", self.count);
        FuncId::new(self.store, self.first + at as u32)
    }
}

/// A host function that can be put into any store of its engine whose data is a `T`; cheap to
/// clone.
pub struct HostFunc<T: 'static> {
    record: Arc<HostRecord>,
    data: PhantomData<fn(&mut T)>,
}

impl<T> Clone for HostFunc<T> {
    fn clone(&self) -> Self {
        Self {
            record: self.record.clone(),
            data: PhantomData,
        }
    }
}

impl<T> fmt::Debug for HostFunc<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HostFunc({})", self.record.signature)
    }
}

struct Untyped<F> {
    signature: Signature,
    places: Assignment,
    closure: F,
}

impl<T: 'static> HostFunc<T> {
    /// A host function whose types are known to the Rust compiler. Calls do not allocate.
    pub fn typed<P: RawList, R: RawList>(
        engine: &Engine,
        closure: impl Fn(Caller<'_, T>, P) -> Result<R, HostError> + Send + Sync + 'static,
    ) -> Self {
        fn entry_of<T, P, R, F>(_: &F) -> HostEntry
        where
            T: 'static,
            P: RawList,
            R: RawList,
            F: Fn(Caller<'_, T>, P) -> Result<R, HostError>,
        {
            typed_entry::<T, P, R, F>
        }
        let signature = Signature {
            params: P::TYPES.into(),
            results: R::TYPES.into(),
        };
        let entry = entry_of(&closure);
        let number = engine.plain_type(&signature);
        Self::new(engine, number, signature, entry, Arc::new(closure))
    }

    /// A host function with types that are known at run time only. `closure` gets the arguments
    /// and a slice of results, zero or null at first, which it must leave with the same types.
    ///
    /// # Panics
    /// A call panics if `closure` leaves a result of another type.
    pub fn untyped(
        engine: &Engine,
        signature: Signature,
        closure: impl Fn(Caller<'_, T>, &[RawVal], &mut [RawVal]) -> Result<(), HostError> + Send + Sync + 'static,
    ) -> Self {
        Self::of_type(engine, engine.plain_type(&signature), closure)
    }

    /// Likewise, of the type with this number in the engine.
    ///
    /// # Panics
    /// As [`untyped`](Self::untyped), or if the engine has no such type.
    pub fn of_type(
        engine: &Engine,
        number: u32,
        closure: impl Fn(Caller<'_, T>, &[RawVal], &mut [RawVal]) -> Result<(), HostError> + Send + Sync + 'static,
    ) -> Self {
        let signature = engine.type_record(number).signature.clone();
        fn entry_of<T, F>(_: &Untyped<F>) -> HostEntry
        where
            T: 'static,
            F: Fn(Caller<'_, T>, &[RawVal], &mut [RawVal]) -> Result<(), HostError>,
        {
            untyped_entry::<T, F>
        }
        let env = Untyped {
            places: assign(&signature),
            signature: signature.clone(),
            closure,
        };
        let entry = entry_of(&env);
        Self::new(engine, number, signature, entry, Arc::new(env))
    }

    pub(crate) fn new<E: Send + Sync + 'static>(
        engine: &Engine,
        number: u32,
        signature: Signature,
        entry: HostEntry,
        closure: Arc<E>,
    ) -> Self {
        Self {
            record: Arc::new(HostRecord::new(engine, number, signature, entry, closure)),
            data: PhantomData,
        }
    }

    /// Parameter and result types.
    pub fn signature(&self) -> &Signature {
        &self.record.signature
    }

    /// The number of its type in its engine.
    pub fn type_number(&self) -> u32 {
        self.record.number
    }

    /// The engine that it was made for.
    pub fn engine(&self) -> &Engine {
        &self.record.engine
    }
}

impl<T: 'static> StoreInner<T> {
    /// Puts a host function into the store.
    ///
    /// # Panics
    /// If the function was made for another engine.
    pub fn add_host_func(&mut self, func: &HostFunc<T>) -> FuncId {
        assert!(
            func.record.engine.same(self.engine()),
            "host function used with a store of another engine"
        );
        let reference = self.deref_mut().fields.funcs.add_host(func.record.clone());
        FuncId::new(self.id(), reference)
    }

    /// Puts host functions into the store that are told this number.
    ///
    /// # Panics
    /// If a function was made for another engine.
    pub fn add_host_funcs(&mut self, funcs: &HostFuncs<T>, owner: u32) -> HostFuncsIn {
        let mut all = funcs.records.iter();
        assert!(
            all.all(|record| record.engine.same(self.engine())),
            "host function used with a store of another engine"
        );
        let first = self
            .deref_mut()
            .fields
            .funcs
            .add_hosts(funcs.records.clone(), owner);
        HostFuncsIn {
            store: self.id(),
            first,
            count: funcs.records.len() as u32,
        }
    }
}

/// Puts away why a host function leaves the guest.
#[cold]
pub(crate) fn leave(store: &mut StoreOpaque, context: usize, why: std::thread::Result<HostError>) -> u32 {
    // SAFETY: the stub, or the call from the host, passed it.
    let is_guest = unsafe { store.instance_of(context) }.is_some();
    let outcome = match why {
        Ok(error) if is_guest && error.is::<ThrownException>() => {
            let thrown = catch_unwind(AssertUnwindSafe(|| store.throw_pending(context)));
            match thrown {
                // Without one, it leaves the guest like one that nobody catches.
                Ok(thrown) => thrown.unwrap_or(Outcome::Thrown),
                Err(panic) => Outcome::Panic(panic),
            }
        }
        Ok(error) => Outcome::Host(error),
        Err(panic) => Outcome::Panic(panic),
    };
    store.leave_by(outcome, context)
}

unsafe extern "C" fn typed_entry<T, P, R, F>(env: usize, context: usize) -> u32
where
    T: 'static,
    P: RawList,
    R: RawList,
    F: Fn(Caller<'_, T>, P) -> Result<R, HostError>,
{
    // SAFETY: the record that named this entry owns the closure, and the store keeps the record.
    let closure = unsafe { &*(env as *const F) };
    // SAFETY: the stub passes the context of the caller, whose store has data of this type, since
    // the function was added to it. The store is the host's until this returns.
    let store = unsafe { StoreInner::<T>::of_context(context) };
    // SAFETY: as above.
    let instance = unsafe { store.instance_of(context) };
    let params = P::read_params(store.block());
    let caller = Caller {
        store: &mut *store,
        instance,
    };
    match catch_unwind(AssertUnwindSafe(|| closure(caller, params))) {
        Ok(Ok(results)) => {
            results.write_results(store.block_mut());
            0
        }
        Ok(Err(error)) => leave(store, context, Ok(error)),
        Err(panic) => leave(store, context, Err(panic)),
    }
}

unsafe extern "C" fn untyped_entry<T, F>(env: usize, context: usize) -> u32
where
    T: 'static,
    F: Fn(Caller<'_, T>, &[RawVal], &mut [RawVal]) -> Result<(), HostError>,
{
    // SAFETY: as in `typed_entry`.
    let env = unsafe { &*(env as *const Untyped<F>) };
    // SAFETY: as in `typed_entry`.
    let store = unsafe { StoreInner::<T>::of_context(context) };
    // SAFETY: as in `typed_entry`.
    let instance = unsafe { store.instance_of(context) };
    let caller = Caller {
        store: &mut *store,
        instance,
    };
    match catch_unwind(AssertUnwindSafe(|| untyped_call(caller, env))) {
        Ok(Ok(())) => 0,
        Ok(Err(error)) => leave(store, context, Ok(error)),
        Err(panic) => leave(store, context, Err(panic)),
    }
}

fn untyped_call<T, F>(caller: Caller<'_, T>, env: &Untyped<F>) -> Result<(), HostError>
where
    F: Fn(Caller<'_, T>, &[RawVal], &mut [RawVal]) -> Result<(), HostError>,
{
    let Caller { store, instance } = caller;
    let (signature, places) = (&env.signature, &env.places);
    let block = store.block();
    let params: Vec<RawVal> = (signature.params.iter().zip(&places.params))
        .map(|(&ty, place)| block.read_val(place.block_offset(), ty))
        .collect();
    let mut results: Vec<RawVal> = signature
        .results
        .iter()
        .map(|&ty| RawVal::default_of(ty))
        .collect();
    let inner = Caller {
        store: &mut *store,
        instance,
    };
    (env.closure)(inner, &params, &mut results)?;
    for ((&value, &ty), place) in results.iter().zip(&signature.results).zip(&places.results) {
        assert!(
            value.ty() == ty,
            "a host function returned a value of type {} where its signature says {ty}",
            value.ty()
        );
        store.block_mut().write_val(place.block_offset(), value);
    }
    Ok(())
}

impl StoreOpaque {
    /// Calls a host function from the host; its arguments are in the block.
    pub(crate) fn call_host(&mut self, entry: HostEntry, env: usize) -> Result<(), Error> {
        self.expose();
        let context = self.fields.host_context.address();
        let task = self.fields.host_task.replace(ptr::null_mut());
        // SAFETY: entry and environment belong together, in a record of this store; the context
        // is the store's own.
        let answer = unsafe { entry(env, context) };
        self.fields.host_task.set(task);
        if answer == 0 {
            return Ok(());
        }
        Err(self.left_host())
    }

    /// Why a host function that the host called did not end well.
    #[cold]
    pub(crate) fn left_host(&mut self) -> Error {
        let (outcome, _) = self.fields.outcome.take().expect("left by the entry");
        match outcome {
            Outcome::Host(error) => Error::host(error),
            Outcome::Trap(code) => Error::trap(code),
            Outcome::Limit(text) => Error::Limit(text),
            Outcome::Thrown => Error::Thrown { frames: Vec::new() },
            Outcome::Waits => Error::Waits { frames: Vec::new() },
            Outcome::Caught => unreachable!("nothing is caught where no guest called"),
            Outcome::Panic(panic) => std::panic::resume_unwind(panic),
        }
    }
}
