//! Functions of plain numbers, called from the host and by the guest with the bits of their values.
//!
//! For callers that know how many values there are, but have no Rust type for each list. Guarantees that
//! what reaches the guest has the type that the signature says (an `i32` is zero-extended), whatever the
//! bits are. Allocates nothing per call.

use crate::engine::Engine;
use crate::error::{Error, HostError};
use crate::func::CallTarget;
use crate::host::{Caller, HostEntry, HostFunc, OwnedFunc, Seat, leave};
use crate::id::{FuncId, assert_store};
use crate::store::{StoreInner, StoreOpaque};
use crate::sys::Width;
use crate::value::are_few;
use cellwall_abi::convention::Assigner;
use cellwall_abi::{Signature, ValType, assign};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// Parameters that such a function may have.
pub const FLAT_PARAMS_MAX: usize = 17;

/// A function of numbers, ready to be called.
#[derive(Clone, Copy, Debug)]
pub struct FlatFunc {
    func: FuncId,
    target: CallTarget,
    width: Width,
    /// All pass in the few registers that there is a short way for.
    few: bool,
    count: u8,
    params: [ValType; FLAT_PARAMS_MAX],
    result: Option<ValType>,
}

impl FlatFunc {
    /// The function.
    pub fn func(&self) -> FuncId {
        self.func
    }
}

/// The bits that a value of a type has.
const fn mask(ty: ValType) -> u64 {
    match ty {
        ValType::I64 | ValType::F64 => u64::MAX,
        _ => u32::MAX as u64,
    }
}

/// Whether these are few enough numbers.
fn is_flat(signature: &Signature) -> bool {
    let mut types = signature.params.iter().chain(&signature.results);
    let numbers = types.all(|ty| matches!(ty, ValType::I32 | ValType::I64 | ValType::F32 | ValType::F64));
    numbers && signature.params.len() <= FLAT_PARAMS_MAX && signature.results.len() <= 1
}

impl StoreOpaque {
    /// A function of numbers.
    ///
    /// # Errors
    /// [`Error::Type`] if it has other types, too many parameters or several results.
    ///
    /// # Panics
    /// If it belongs to another store.
    pub fn flat(&self, func: FuncId) -> Result<FlatFunc, Error> {
        let signature = self.func_signature(func);
        if !is_flat(signature) {
            return Err(Error::Type(format!(
                "a function of type {signature} cannot be called with plain numbers"
            )));
        }
        let mut params = [ValType::I32; FLAT_PARAMS_MAX];
        params[..signature.params.len()].copy_from_slice(&signature.params);
        Ok(FlatFunc {
            func,
            target: self.call_target(func)?,
            width: Width::of(&signature.params, &signature.results),
            few: are_few(&signature.params, 4) && are_few(&signature.results, 1),
            count: signature.params.len() as u8,
            params,
            result: signature.results.first().copied(),
        })
    }

    /// Calls a function with the bits of its arguments; the bits of its result, or 0 if it has none.
    ///
    /// # Errors
    /// As for [`StoreOpaque::call_typed`].
    ///
    /// # Panics
    /// If the function belongs to another store, or there are not as many arguments as it has
    /// parameters; and what a host function panics with.
    #[inline]
    pub fn call_flat(&mut self, func: &FlatFunc, params: &[u64]) -> Result<u64, Error> {
        assert_store(self.id(), func.func.store());
        assert_eq!(
            params.len(),
            usize::from(func.count),
            "as many arguments as parameters"
        );
        if func.few
            && let CallTarget::Wasm { code, context } = func.target
        {
            let bits = |n: usize| params.get(n).map_or(0, |bits| bits & mask(func.params[n]));
            let result = match params.len() {
                0..=2 => self.enter_few(code, context, [bits(0), bits(1)])?,
                _ => self.enter_four(code, context, [bits(0), bits(1), bits(2), bits(3)])?,
            };
            return Ok(func.result.map_or(0, |ty| result & mask(ty)));
        }
        self.call_flat_by_block(func, params)
    }

    fn call_flat_by_block(&mut self, func: &FlatFunc, params: &[u64]) -> Result<u64, Error> {
        let mut places = Assigner::params();
        for (&bits, &ty) in params.iter().zip(&func.params) {
            let offset = places.next(ty).block_offset();
            self.block_mut().write(offset, (bits & mask(ty)).to_ne_bytes());
        }
        self.call_target_now(func.target, func.width)?;
        let Some(ty) = func.result else {
            return Ok(0);
        };
        let offset = Assigner::results().next(ty).block_offset();
        Ok(u64::from_ne_bytes(self.block().read(offset)) & mask(ty))
    }
}

/// A closure with the places of its arguments and result.
struct FlatHost<F> {
    /// Offsets in the block, and masks.
    params: Vec<(u32, u64)>,
    result: Option<(u32, u64)>,
    closure: F,
}

impl<F> FlatHost<F> {
    /// # Panics
    /// If the signature has other types, too many parameters or several results.
    fn new(signature: &Signature, closure: F) -> Self {
        assert!(
            is_flat(signature),
            "a function of {signature} is none of plain numbers"
        );
        let places = assign(signature);
        let place = |(ty, offset): (&ValType, u32)| (offset, mask(*ty));
        let params = places.params.iter().map(|place| place.block_offset());
        let results = places.results.iter().map(|place| place.block_offset());
        Self {
            params: signature.params.iter().zip(params).map(place).collect(),
            result: signature.results.iter().zip(results).map(place).next(),
            closure,
        }
    }
}

impl<T: 'static> HostFunc<T> {
    /// A host function of numbers: `closure` gets the bits of its arguments and returns those of its
    /// result, or anything if it has none. Calls do not allocate.
    ///
    /// # Panics
    /// If the signature has other types, too many parameters or several results.
    pub fn flat(
        engine: &Engine,
        signature: Signature,
        closure: impl Fn(Caller<'_, T>, &[u64]) -> Result<u64, HostError> + Send + Sync + 'static,
    ) -> Self {
        fn entry_of<T, F>(_: &FlatHost<F>) -> HostEntry
        where
            T: 'static,
            F: Fn(Caller<'_, T>, &[u64]) -> Result<u64, HostError>,
        {
            flat_entry::<T, F>
        }
        let env = FlatHost::new(&signature, closure);
        let entry = entry_of(&env);
        let number = engine.plain_type(&signature);
        Self::new(engine, number, signature, entry, Arc::new(env))
    }
}

impl<T: 'static> OwnedFunc<T> {
    /// A host function of numbers that is told its owner; otherwise as [`HostFunc::flat`].
    ///
    /// # Panics
    /// As [`HostFunc::flat`].
    pub fn flat(
        engine: &Engine,
        signature: Signature,
        closure: impl Fn(Caller<'_, T>, u32, &[u64]) -> Result<u64, HostError> + Send + Sync + 'static,
    ) -> Self {
        fn entry_of<T, F>(_: &FlatHost<F>) -> HostEntry
        where
            T: 'static,
            F: Fn(Caller<'_, T>, u32, &[u64]) -> Result<u64, HostError>,
        {
            owned_flat_entry::<T, F>
        }
        let env = FlatHost::new(&signature, closure);
        let entry = entry_of(&env);
        Self::new(engine, signature, entry, Arc::new(env))
    }
}

unsafe extern "C" fn flat_entry<T, F>(env: usize, context: usize) -> u32
where
    T: 'static,
    F: Fn(Caller<'_, T>, &[u64]) -> Result<u64, HostError>,
{
    // SAFETY: the record that named this entry owns the closure, and the store keeps the record.
    let env = unsafe { &*(env as *const FlatHost<F>) };
    // SAFETY: the stub passes the context of the caller, whose store has data of this type, since
    // the function was added to it.
    unsafe { enter(env, context, |caller, params| (env.closure)(caller, params)) }
}

unsafe extern "C" fn owned_flat_entry<T, F>(env: usize, context: usize) -> u32
where
    T: 'static,
    F: Fn(Caller<'_, T>, u32, &[u64]) -> Result<u64, HostError>,
{
    // SAFETY: the store has the seat, and keeps it with the records.
    let &Seat { env, owner } = unsafe { &*(env as *const Seat) };
    // SAFETY: a seat belongs to the record that named this entry, which owns the closure.
    let env = unsafe { &*(env as *const FlatHost<F>) };
    // SAFETY: as in `flat_entry`.
    unsafe {
        enter(env, context, |caller, params| {
            (env.closure)(caller, owner, params)
        })
    }
}

/// # Safety
/// As for [`StoreInner::of_context`]; the store is the function's until this returns.
#[inline(always)]
unsafe fn enter<T: 'static, F>(
    env: &FlatHost<F>,
    context: usize,
    call: impl FnOnce(Caller<'_, T>, &[u64]) -> Result<u64, HostError>,
) -> u32 {
    // SAFETY: the caller's promise.
    let store = unsafe { StoreInner::<T>::of_context(context) };
    // SAFETY: as above.
    let instance = unsafe { store.instance_of(context) };
    let mut params = [0; FLAT_PARAMS_MAX];
    let block = store.block();
    for (bits, &(offset, mask)) in params.iter_mut().zip(&env.params) {
        *bits = u64::from_ne_bytes(block.read(offset)) & mask;
    }
    let params = &params[..env.params.len()];
    let caller = Caller {
        store: &mut *store,
        instance,
    };
    match catch_unwind(AssertUnwindSafe(|| call(caller, params))) {
        Ok(Ok(bits)) => {
            if let Some((offset, mask)) = env.result {
                store.block_mut().write(offset, (bits & mask).to_ne_bytes());
            }
            0
        }
        Ok(Err(error)) => leave(store, context, Ok(error)),
        Err(panic) => leave(store, context, Err(panic)),
    }
}
