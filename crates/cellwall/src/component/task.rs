//! Calls that end by `task.return`, and calls that get the state of the call, as far as nothing waits.
//!
//! Values pass through the host, as those of its own functions do. A function that is called runs until it
//! has ended; what it would have to wait for is an error that says so. Requires a plan. Guarantees what the
//! canonical ABI says of such calls ("canon lift", "canon lower", "canon task.return") for those that return
//! before they would wait.

use super::Val;
use super::call::{check_may_leave, set_may_leave};
use super::func::{self, Lifted};
use super::instantiate::Making;
use super::lift::{Lifting, core};
use super::lower::Lowering;
use super::parts::is_nested;
use super::state::Task;
use super::trampoline::{self, host_params, host_results, pointer};
use crate::{Func, Result, StoreContextMut, bail};
use cellwall_component::{Fault, Flat, Options, Side, ValType};
use cellwall_runtime::RawVal;

/// What a call that has returned says to who gets its state.
const RETURNED: u64 = 2;

/// What a core function with a callback returns, in the lower bits: it has ended, lets others run, or waits.
const EXIT: u32 = 0;
const YIELD: u32 = 1;
const CODE_BITS: u32 = 0xf;

/// The whole of a call of a function that ends by `task.return`.
pub(super) fn call<T>(
    store: &mut StoreContextMut<'_, T>,
    lifted: &Lifted,
    params: &[Val],
) -> Result<Option<Val>> {
    let (flat, _) = func::lower(store, lifted, params)?;
    let tasks = &mut store.0.data_mut().components.tasks;
    let depth = tasks.len();
    tasks.push(Task {
        instance: lifted.abi.instance,
        ty: lifted.ty.clone(),
        returned: None,
    });
    let done = run(store, lifted, &flat);
    let tasks = &mut store.0.data_mut().components.tasks;
    let returned = tasks[depth].returned.take();
    tasks.truncate(depth);
    done?;
    if lifted.ty.borrows() {
        store.0.data_mut().components.exit_call()?;
    }
    match returned {
        Some(returned) => Ok(returned),
        None => bail!("the function ended without `task.return`: it has no result"),
    }
}

/// Runs its core function, and its callback for as long as that only lets others run.
fn run<T>(store: &mut StoreContextMut<'_, T>, lifted: &Lifted, flat: &[RawVal]) -> Result<()> {
    let mut raw = [RawVal::I32(0)];
    let results = usize::from(lifted.callback.is_some());
    let done = store.0.call(lifted.func.id, flat, &mut raw[..results]);
    done.map_err(|error| store.error(error))?;
    let Some(callback) = lifted.callback else {
        return Ok(());
    };
    loop {
        match pointer(raw[0]) & CODE_BITS {
            EXIT => return Ok(()),
            YIELD => {}
            _ => bail!("`waitable-set.wait` is not supported: asynchronous calls that wait are missing"),
        }
        // No event: it may go on.
        let none = [RawVal::I32(0); 3];
        let done = store.0.call(callback.id, &none, &mut raw);
        done.map_err(|error| store.error(error))?;
    }
}

/// The core function that calls a function of another component, where one of the sides is asynchronous.
pub(super) fn trampoline<T: 'static>(
    making: &mut Making<'_, '_, T>,
    instance: u32,
    lift: u32,
    options: &Options,
) -> Result<Func> {
    let lift = &making.plan().lifts[lift as usize];
    let nested = is_nested(making.plan(), instance, lift.instance);
    let abi = making.abi(instance, options)?;
    let lifted = making.lifted(lift)?;
    let ty = lift.ty.clone();
    let is_async = options.is_async;
    let (params, results) = match is_async {
        true => ty.core_async_signature(),
        false => ty.core_signature(Side::Lower),
    };
    let in_memory = match is_async {
        true => ty.flat_async_params().1,
        false => ty.flat_params().1,
    };
    let call = move |store: &mut StoreContextMut<'_, T>, params: &[RawVal], results: &mut [RawVal]| {
        check_may_leave(store, abi.instance)?;
        if nested {
            return Err(Fault::CannotEnter.into());
        }
        let values = host_params(store, &abi, &ty, in_memory, params)?;
        let returned = func::call(store, &lifted, &values)?;
        if !is_async {
            return host_results(store, &abi, &ty, params, returned.as_slice(), results);
        }
        if let (Some(result), Some(val)) = (&ty.result, &returned) {
            let ptr = pointer(*params.last().expect("a pointer for the result is passed"));
            set_may_leave(store, abi.instance, false);
            let mut lowering = Lowering { store, abi: &abi };
            lowering.check(result, ptr)?;
            lowering.memory(result, val, ptr)?;
            set_may_leave(store, abi.instance, true);
        }
        store.0.data_mut().components.exit_call()?;
        results[0] = core(Flat::I32, RETURNED);
        Ok(())
    };
    Ok(trampoline::func(&mut making.store, &params, &results, call))
}

/// `task.return` with results of this type.
pub(super) fn returning<T: 'static>(
    making: &mut Making<'_, '_, T>,
    instance: u32,
    result: &Option<ValType>,
    options: &Options,
) -> Result<Func> {
    let abi = making.abi(instance, options)?;
    let result = result.clone();
    let params = match &result {
        Some(ty) => ty.layout().flat.map_or(vec![Flat::I32], |flat| flat.to_vec()),
        None => Vec::new(),
    };
    let call = move |store: &mut StoreContextMut<'_, T>, params: &[RawVal], _: &mut [RawVal]| {
        check_may_leave(store, abi.instance)?;
        let task = store.0.data().components.tasks.last();
        match task.filter(|task| task.instance == abi.instance) {
            Some(task) if task.returned.is_some() => bail!("`task.return` called more than once for a call"),
            Some(task) if task.ty.result == result => {}
            Some(_) => bail!("invalid `task.return` signature and/or options for current task"),
            None => bail!("`task.return` called where no call ends by it"),
        }
        let mut lifting = Lifting::new(store, &abi);
        let returned = match &result {
            None => None,
            Some(ty) if ty.layout().flat.is_some() => Some(lifting.flat(ty, &mut params.iter())?),
            Some(ty) => Some(lifting.indirect(ty, pointer(params[0]))?),
        };
        let task = store.0.data_mut().components.tasks.last_mut();
        task.expect("it was looked at").returned = Some(returned);
        Ok(())
    };
    Ok(trampoline::func(&mut making.store, &params, &[], call))
}
