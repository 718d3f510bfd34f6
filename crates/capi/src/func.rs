//! Functions.

use crate::callback::{
    Callback, cellwall_func_callback_t, wasm_func_callback_t, wasm_func_callback_with_env_t,
};
use crate::env::Env;
use crate::refs::{Object, wasm_func_t, wasm_ref_t, wasm_trap_t};
use crate::store::{StoreCell, wasm_store_t};
use crate::trap;
use crate::types::{wasm_externtype_t, wasm_functype_t};
use crate::val::{wasm_val_t, wasm_val_vec_t};
use crate::{c_api, get, give};
use cellwall_rs::{self as rt, AsContextMut, Error, Func, Result, Val};
use std::ffi::c_void;
use std::ptr;
use std::sync::Arc;

fn new(store: &wasm_store_t, ty: &wasm_functype_t, callback: Callback) -> Option<*mut wasm_func_t> {
    let cell = &store.cell;
    let Some(ty) = ty.to_func(cell.engine()) else {
        crate::error::record(Error::msg("not the type of a function"));
        return None;
    };
    let func_type = ty.clone();
    let func = cell.with(|context| {
        Func::new(context, ty, move |caller, params, results| {
            callback.call(&func_type, caller, params, results)
        })
    });
    Some(give(wasm_ref_t::new(cell, Object::Func(func))))
}

fn func(it: &wasm_func_t) -> Option<(&Arc<StoreCell>, Func)> {
    match it.object {
        Object::Func(func) => Some((&it.store, func)),
        _ => None,
    }
}

/// Values of a call that need no allocation.
const INLINE_VALUES: usize = 8;

/// Calls a function.
///
/// # Safety
/// Values are valid; what is in `results` is not owned.
unsafe fn call(
    cell: &Arc<StoreCell>,
    func: Func,
    args: &[wasm_val_t],
    results: &mut [wasm_val_t],
) -> Result<()> {
    let mut few = [Val::I32(0); 2 * INLINE_VALUES];
    let mut many = Vec::new();
    let space = match args.len() <= INLINE_VALUES && results.len() <= INLINE_VALUES {
        true => &mut few[..args.len() + results.len()],
        false => {
            many.resize(args.len() + results.len(), Val::I32(0));
            &mut many[..]
        }
    };
    let (params, values) = space.split_at_mut(args.len());
    for (param, arg) in params.iter_mut().zip(args) {
        // SAFETY: the caller's promise.
        *param = unsafe { arg.to_rust(cell) }?;
    }
    cell.with(|mut context| func.call(context.as_context_mut(), params, values))?;
    for (result, value) in results.iter_mut().zip(values) {
        // SAFETY: valid for writing; what was there is not owned.
        unsafe { ptr::from_mut(result).write(wasm_val_t::from_rust(cell, *value)) };
    }
    Ok(())
}

fn arity(it: *const wasm_func_t, count: impl FnOnce(&rt::FuncType) -> usize) -> Option<usize> {
    let (cell, func) = func(unsafe { get(it) }?)?;
    Some(cell.with(|context| count(&func.ty(&context))))
}

c_api! {
    /// A function of the host without data.
    fn wasm_func_new(
        store: *mut wasm_store_t,
        ty: *const wasm_functype_t,
        callback: wasm_func_callback_t,
    ) -> *mut wasm_func_t {
        new(unsafe { get(store) }?, unsafe { get(ty) }?, Callback::Plain(callback?))?
    }
    /// A function of the host with data, and what to call when nobody can call it any more.
    fn wasm_func_new_with_env(
        store: *mut wasm_store_t,
        ty: *const wasm_functype_t,
        callback: wasm_func_callback_with_env_t,
        env: *mut c_void,
        finalizer: Option<unsafe extern "C" fn(*mut c_void)>,
    ) -> *mut wasm_func_t {
        // First, so that the finalizer is called whatever happens.
        let env = Env::new(env, finalizer);
        let callback = Callback::WithEnv(callback?, env);
        new(unsafe { get(store) }?, unsafe { get(ty) }?, callback)?
    }
    /// See `func.api`.
    fn cellwall_func_new(
        store: *mut wasm_store_t,
        ty: *const wasm_functype_t,
        callback: cellwall_func_callback_t,
        env: *mut c_void,
        finalizer: Option<unsafe extern "C" fn(*mut c_void)>,
    ) -> *mut wasm_func_t {
        // First, so that the finalizer is called whatever happens.
        let env = Env::new(env, finalizer);
        let callback = Callback::WithCaller(callback?, env);
        new(unsafe { get(store) }?, unsafe { get(ty) }?, callback)?
    }
    /// Its type.
    fn wasm_func_type(it: *const wasm_func_t) -> *mut wasm_functype_t {
        let (cell, func) = func(unsafe { get(it) }?)?;
        give(wasm_externtype_t::from_func(&cell.with(|context| func.ty(&context))))
    }
    /// Number of its parameters.
    fn wasm_func_param_arity(it: *const wasm_func_t) -> usize {
        arity(it, |ty| ty.params().len())?
    }
    /// Number of its results.
    fn wasm_func_result_arity(it: *const wasm_func_t) -> usize {
        arity(it, |ty| ty.results().len())?
    }
    /// Calls it; null, or the trap that it ended with.
    fn wasm_func_call(
        it: *const wasm_func_t,
        args: *const wasm_val_vec_t,
        results: *mut wasm_val_vec_t,
    ) -> *mut wasm_trap_t {
        let (cell, func) = func(unsafe { get(it) }?)?;
        // Of our own: what it calls may delete the function, and the store.
        let cell = &cell.clone();
        let args = unsafe { get(args) }.map_or(&[][..], |args| unsafe { args.as_slice() });
        let results = match unsafe { results.as_mut() } {
            Some(results) => unsafe { results.as_mut_slice() },
            None => &mut [],
        };
        // A panic here must not look like success.
        let called = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| unsafe {
            call(cell, func, args, results)
        }));
        let error = match called {
            Ok(Ok(())) => return Some(ptr::null_mut()),
            Ok(Err(error)) => error,
            Err(panic) => crate::panicked(&*panic),
        };
        give(trap::from_error(cell, &error))
    }
}
