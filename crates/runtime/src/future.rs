//! Host functions that are futures: what guests call, made of two closures.
//!
//! `begin` gets the arguments and begins, `finish` makes results of what that came to. How they wait is in
//! [`wait`](crate::wait).

use crate::engine::Engine;
use crate::error::HostError;
use crate::host::{Caller, HostEntry, HostFunc, OwnedFunc, Seat};
use crate::store::StoreInner;
use crate::value::{RawList, RawVal};
use crate::wait::{Begun, run};
use cellwall_abi::{Assignment, Signature, assign};
use std::sync::Arc;

/// The closures of a host function.
struct Closures<B, F> {
    signature: Signature,
    places: Assignment,
    begin: B,
    finish: F,
}

impl<T: 'static> HostFunc<T> {
    /// A host function that may wait, and whose types are known to the Rust compiler. `finish` turns what
    /// `begin` came to into results.
    pub fn typed_async<P: RawList, R: RawList, O: 'static>(
        engine: &Engine,
        begin: impl for<'a> Fn(Caller<'a, T>, P) -> Result<Begun<'a, O>, HostError> + Send + Sync + 'static,
        finish: impl Fn(Caller<'_, T>, O) -> Result<R, HostError> + Send + Sync + 'static,
    ) -> Self {
        fn entry_of<T, P, R, O, B, F>(_: &Closures<B, F>) -> HostEntry
        where
            T: 'static,
            P: RawList,
            R: RawList,
            O: 'static,
            B: for<'a> Fn(Caller<'a, T>, P) -> Result<Begun<'a, O>, HostError> + Send + Sync + 'static,
            F: Fn(Caller<'_, T>, O) -> Result<R, HostError> + Send + Sync + 'static,
        {
            typed_entry::<T, P, R, O, B, F>
        }
        let signature = Signature {
            params: P::TYPES.into(),
            results: R::TYPES.into(),
        };
        let closures = Closures::new(&signature, begin, finish);
        let entry = entry_of::<T, P, R, O, _, _>(&closures);
        let number = engine.plain_type(&signature);
        Self::new(engine, number, signature, entry, Arc::new(closures))
    }

    /// A host function that may wait, with types that are known at run time only. `finish` gets the
    /// arguments again, what `begin` came to, and a slice of results, zero or null at first, which it must
    /// leave with the same types.
    ///
    /// # Panics
    /// A call panics if `finish` leaves a result of another type.
    pub fn untyped_async<O: 'static>(
        engine: &Engine,
        signature: Signature,
        begin: impl for<'a> Fn(Caller<'a, T>, &[RawVal]) -> Result<Begun<'a, O>, HostError>
        + Send
        + Sync
        + 'static,
        finish: impl Fn(Caller<'_, T>, &[RawVal], O, &mut [RawVal]) -> Result<(), HostError>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        Self::of_type_async(engine, engine.plain_type(&signature), begin, finish)
    }

    /// Likewise, of the type with this number in the engine.
    ///
    /// # Panics
    /// As [`untyped_async`](Self::untyped_async), or if the engine has no such type.
    pub fn of_type_async<O: 'static>(
        engine: &Engine,
        number: u32,
        begin: impl for<'a> Fn(Caller<'a, T>, &[RawVal]) -> Result<Begun<'a, O>, HostError>
        + Send
        + Sync
        + 'static,
        finish: impl Fn(Caller<'_, T>, &[RawVal], O, &mut [RawVal]) -> Result<(), HostError>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        fn entry_of<T, O, B, F>(_: &Closures<B, F>) -> HostEntry
        where
            T: 'static,
            O: 'static,
            B: for<'a> Fn(Caller<'a, T>, &[RawVal]) -> Result<Begun<'a, O>, HostError>
                + Send
                + Sync
                + 'static,
            F: Fn(Caller<'_, T>, &[RawVal], O, &mut [RawVal]) -> Result<(), HostError>
                + Send
                + Sync
                + 'static,
        {
            untyped_entry::<T, O, B, F>
        }
        let signature = engine.type_record(number).signature.clone();
        let closures = Closures::new(&signature, begin, finish);
        let entry = entry_of::<T, O, _, _>(&closures);
        Self::new(engine, number, signature, entry, Arc::new(closures))
    }
}

impl<T: 'static> OwnedFunc<T> {
    /// Likewise, one that is told its owner: as [`HostFunc::typed_async`].
    pub fn typed_async<P: RawList, R: RawList, O: 'static>(
        engine: &Engine,
        begin: impl for<'a> Fn(Caller<'a, T>, u32, P) -> Result<Begun<'a, O>, HostError> + Send + Sync + 'static,
        finish: impl Fn(Caller<'_, T>, O) -> Result<R, HostError> + Send + Sync + 'static,
    ) -> Self {
        fn entry_of<T, P, R, O, B, F>(_: &Closures<B, F>) -> HostEntry
        where
            T: 'static,
            P: RawList,
            R: RawList,
            O: 'static,
            B: for<'a> Fn(Caller<'a, T>, u32, P) -> Result<Begun<'a, O>, HostError> + Send + Sync + 'static,
            F: Fn(Caller<'_, T>, O) -> Result<R, HostError> + Send + Sync + 'static,
        {
            owned_typed_entry::<T, P, R, O, B, F>
        }
        let signature = Signature {
            params: P::TYPES.into(),
            results: R::TYPES.into(),
        };
        let closures = Closures::new(&signature, begin, finish);
        let entry = entry_of::<T, P, R, O, _, _>(&closures);
        Self::new(engine, signature, entry, Arc::new(closures))
    }

    /// Likewise, with types that are known at run time only: as [`HostFunc::untyped_async`].
    pub fn untyped_async<O: 'static>(
        engine: &Engine,
        signature: Signature,
        begin: impl for<'a> Fn(Caller<'a, T>, u32, &[RawVal]) -> Result<Begun<'a, O>, HostError>
        + Send
        + Sync
        + 'static,
        finish: impl Fn(Caller<'_, T>, u32, &[RawVal], O, &mut [RawVal]) -> Result<(), HostError>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        fn entry_of<T, O, B, F>(_: &Closures<B, F>) -> HostEntry
        where
            T: 'static,
            O: 'static,
            B: for<'a> Fn(Caller<'a, T>, u32, &[RawVal]) -> Result<Begun<'a, O>, HostError>
                + Send
                + Sync
                + 'static,
            F: Fn(Caller<'_, T>, u32, &[RawVal], O, &mut [RawVal]) -> Result<(), HostError>
                + Send
                + Sync
                + 'static,
        {
            owned_untyped_entry::<T, O, B, F>
        }
        let closures = Closures::new(&signature, begin, finish);
        let entry = entry_of::<T, O, _, _>(&closures);
        Self::new(engine, signature, entry, Arc::new(closures))
    }
}

impl<B, F> Closures<B, F> {
    fn new(signature: &Signature, begin: B, finish: F) -> Self {
        Self {
            places: assign(signature),
            signature: signature.clone(),
            begin,
            finish,
        }
    }
}

unsafe extern "C" fn typed_entry<T, P, R, O, B, F>(env: usize, context: usize) -> u32
where
    T: 'static,
    P: RawList,
    R: RawList,
    O: 'static,
    B: for<'a> Fn(Caller<'a, T>, P) -> Result<Begun<'a, O>, HostError> + Send + Sync + 'static,
    F: Fn(Caller<'_, T>, O) -> Result<R, HostError> + Send + Sync + 'static,
{
    // SAFETY: the record that named this entry owns the closures, and the store, which outlives all calls,
    // keeps the record.
    let closures: &'static Closures<B, F> = unsafe { &*(env as *const Closures<B, F>) };
    let begin = |caller: Caller<'static, T>, params: P| (closures.begin)(caller, params);
    // SAFETY: the stub passes the context of the caller, whose store has data of this type, since the
    // function was added to it.
    unsafe { run_typed(context, begin, &closures.finish) }
}

unsafe extern "C" fn owned_typed_entry<T, P, R, O, B, F>(env: usize, context: usize) -> u32
where
    T: 'static,
    P: RawList,
    R: RawList,
    O: 'static,
    B: for<'a> Fn(Caller<'a, T>, u32, P) -> Result<Begun<'a, O>, HostError> + Send + Sync + 'static,
    F: Fn(Caller<'_, T>, O) -> Result<R, HostError> + Send + Sync + 'static,
{
    // SAFETY: the store has the seat, and keeps it with the records.
    let &Seat { env, owner } = unsafe { &*(env as *const Seat) };
    // SAFETY: as in `typed_entry`; a seat belongs to the record that named this entry.
    let closures: &'static Closures<B, F> = unsafe { &*(env as *const Closures<B, F>) };
    let begin = |caller: Caller<'static, T>, params: P| (closures.begin)(caller, owner, params);
    // SAFETY: as in `typed_entry`.
    unsafe { run_typed(context, begin, &closures.finish) }
}

/// Runs a host function whose types are known to the Rust compiler.
///
/// # Safety
/// As for [`run`].
unsafe fn run_typed<T, P, R, O, F>(
    context: usize,
    begin: impl FnOnce(Caller<'static, T>, P) -> Result<Begun<'static, O>, HostError>,
    end: &'static F,
) -> u32
where
    T: 'static,
    P: RawList,
    R: RawList,
    O: 'static,
    F: Fn(Caller<'_, T>, O) -> Result<R, HostError> + Send + Sync + 'static,
{
    let begin = |caller: Caller<'static, T>| {
        let params = P::read_params(caller.store.block());
        begin(caller, params)
    };
    let finish = move |caller: Caller<'_, T>, output: O| {
        let Caller { store, instance } = caller;
        let inner = Caller {
            store: &mut *store,
            instance,
        };
        let results = end(inner, output)?;
        results.write_results(store.block_mut());
        Ok(())
    };
    // SAFETY: the caller's promise.
    unsafe { run::<T, O, _>(context, begin, finish) }
}

unsafe extern "C" fn untyped_entry<T, O, B, F>(env: usize, context: usize) -> u32
where
    T: 'static,
    O: 'static,
    B: for<'a> Fn(Caller<'a, T>, &[RawVal]) -> Result<Begun<'a, O>, HostError> + Send + Sync + 'static,
    F: Fn(Caller<'_, T>, &[RawVal], O, &mut [RawVal]) -> Result<(), HostError> + Send + Sync + 'static,
{
    // SAFETY: as in `typed_entry`.
    let closures: &'static Closures<B, F> = unsafe { &*(env as *const Closures<B, F>) };
    let begin = |caller: Caller<'static, T>, params: &[RawVal]| (closures.begin)(caller, params);
    // SAFETY: as in `typed_entry`.
    unsafe { run_untyped(context, closures, begin, &closures.finish) }
}

unsafe extern "C" fn owned_untyped_entry<T, O, B, F>(env: usize, context: usize) -> u32
where
    T: 'static,
    O: 'static,
    B: for<'a> Fn(Caller<'a, T>, u32, &[RawVal]) -> Result<Begun<'a, O>, HostError> + Send + Sync + 'static,
    F: Fn(Caller<'_, T>, u32, &[RawVal], O, &mut [RawVal]) -> Result<(), HostError> + Send + Sync + 'static,
{
    // SAFETY: as in `owned_typed_entry`.
    let &Seat { env, owner } = unsafe { &*(env as *const Seat) };
    // SAFETY: as in `owned_typed_entry`.
    let closures: &'static Closures<B, F> = unsafe { &*(env as *const Closures<B, F>) };
    let begin = |caller: Caller<'static, T>, params: &[RawVal]| (closures.begin)(caller, owner, params);
    let finish = move |caller: Caller<'_, T>, params: &[RawVal], output: O, results: &mut [RawVal]| {
        (closures.finish)(caller, owner, params, output, results)
    };
    // SAFETY: as in `typed_entry`.
    unsafe { run_untyped(context, closures, begin, finish) }
}

/// Runs a host function whose types are known at run time.
///
/// # Safety
/// As for [`run`].
unsafe fn run_untyped<T, O, B, F>(
    context: usize,
    closures: &'static Closures<B, F>,
    begin: impl FnOnce(Caller<'static, T>, &[RawVal]) -> Result<Begun<'static, O>, HostError>,
    end: impl FnOnce(Caller<'_, T>, &[RawVal], O, &mut [RawVal]) -> Result<(), HostError> + Send + 'static,
) -> u32
where
    T: 'static,
    O: 'static,
    B: Sync + 'static,
    F: Sync + 'static,
{
    // SAFETY: the caller's promise.
    let store = unsafe { StoreInner::<T>::of_context(context) };
    let types = closures.signature.params.iter().zip(&closures.places.params);
    let params: Vec<RawVal> = types
        .map(|(&ty, place)| store.block().read_val(place.block_offset(), ty))
        .collect();
    let given = params.clone();
    let begin = |caller: Caller<'static, T>| begin(caller, &given);
    let finish = move |caller: Caller<'_, T>, output: O| {
        let Caller { store, instance } = caller;
        let Signature { results: types, .. } = &closures.signature;
        let mut results: Vec<RawVal> = types.iter().map(|&ty| RawVal::default_of(ty)).collect();
        let inner = Caller {
            store: &mut *store,
            instance,
        };
        end(inner, &params, output, &mut results)?;
        for ((&value, &ty), place) in results.iter().zip(&**types).zip(&closures.places.results) {
            assert!(
                value.ty() == ty,
                "a host function returned a value of type {} where its signature says {ty}",
                value.ty()
            );
            store.block_mut().write_val(place.block_offset(), value);
        }
        Ok(())
    };
    // SAFETY: the caller's promise.
    unsafe { run::<T, O, _>(context, begin, finish) }
}
