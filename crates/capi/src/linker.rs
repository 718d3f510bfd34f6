//! Linkers.

use crate::callback::{Callback, cellwall_func_callback_t, wasm_func_callback_with_env_t};
use crate::env::Env;
use crate::extra::{answer, attempt, cellwall_error_t, null, written};
use crate::locked::Locked;
use crate::module::module;
use crate::refs::{
    Object, external, object, wasm_extern_t, wasm_func_t, wasm_instance_t, wasm_module_t, wasm_ref_t,
    wasm_trap_t,
};
use crate::store::{Data, StoreCell, wasm_engine_t, wasm_store_t};
use crate::types::wasm_functype_t;
use crate::vec::{put, wasm_byte_vec_t};
use crate::{c_api, get, give, take, trap};
use cellwall_rs::{Error, Instance, InstancePre, Linker, Result, StoreContextMut, ThrownException, bail};
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::Arc;

/// Definitions by names.
pub struct cellwall_linker_t {
    linker: Arc<Locked<Linker<Data>>>,
}

/// A module with the imports that a linker found for it.
pub struct cellwall_instance_pre_t {
    pre: InstancePre<Data>,
}

/// A name of C.
///
/// # Safety
/// Null, or valid.
unsafe fn name<'a>(name: *const wasm_byte_vec_t) -> Result<&'a str> {
    // SAFETY: the caller's promise.
    let Some(name) = (unsafe { get(name) }) else {
        bail!("an argument is null");
    };
    // SAFETY: likewise.
    Ok(std::str::from_utf8(unsafe { name.as_slice() })?)
}

/// Defines a function of the host.
///
/// # Safety
/// Pointers are null or valid.
unsafe fn define_func(
    linker: *mut cellwall_linker_t,
    module: *const wasm_byte_vec_t,
    item_name: *const wasm_byte_vec_t,
    ty: *const wasm_functype_t,
    callback: Option<Callback>,
) -> *mut cellwall_error_t {
    // SAFETY: the caller's promise.
    let (Some(linker), Some(ty), Some(callback)) = (unsafe { (get(linker), get(ty), callback) }) else {
        return null();
    };
    let define = || {
        // SAFETY: likewise.
        let (module, name) = unsafe { (name(module)?, name(item_name)?) };
        linker.linker.clone().with(|linker| {
            let Some(ty) = ty.to_func(linker.engine()) else {
                bail!("not the type of a function");
            };
            let func_type = ty.clone();
            linker.func_new(module, name, ty, move |caller, params, results| {
                callback.call(&func_type, caller, params, results)
            })?;
            Ok(())
        })
    };
    attempt(define)
}

/// What went wrong in making an instance, as trap or as error.
enum Ended {
    Error(Error),
    Trap(wasm_trap_t),
}

fn ended(cell: &Arc<StoreCell>, error: Error) -> Ended {
    let is_trap = error.is::<cellwall_rs::Trap>()
        || error.is::<cellwall_wasi::I32Exit>()
        || error.is::<ThrownException>()
        || trap::is_passing(&error);
    match is_trap {
        true => Ended::Trap(trap::from_error(cell, &error)),
        false => Ended::Error(error),
    }
}

/// Makes an instance where C wants it; of error, trap and instance exactly one is there afterwards.
///
/// # Safety
/// The places are null or can be written.
unsafe fn instantiated(
    store: &wasm_store_t,
    out: *mut *mut wasm_instance_t,
    trap_out: *mut *mut wasm_trap_t,
    make: impl FnOnce(StoreContextMut<'_, Data>) -> Result<Instance>,
) -> *mut cellwall_error_t {
    // SAFETY: the caller's promise.
    unsafe {
        put(out, ptr::null_mut());
        put(trap_out, ptr::null_mut());
    }
    // Of our own: what the start function calls may delete the store.
    let cell = &store.cell.clone();
    let made = catch_unwind(AssertUnwindSafe(|| cell.with(make)));
    let made = made.unwrap_or_else(|panic| Err(crate::panicked(&*panic)));
    match made.map_err(|error| ended(cell, error)) {
        Ok(instance) => {
            if !out.is_null() {
                let instance = wasm_ref_t::new(cell, Object::Instance(instance));
                // SAFETY: not null, and the caller's promise.
                unsafe { out.write(give(instance)) };
            }
            // If nobody wanted it, the instance lives in the store all the same.
            answer(Ok(()))
        }
        Err(Ended::Error(error)) => answer(Err(error)),
        Err(Ended::Trap(_)) if trap_out.is_null() => answer(Err(Error::msg("the start function trapped"))),
        Err(Ended::Trap(trap)) => {
            // SAFETY: likewise.
            unsafe { trap_out.write(give(trap)) };
            answer(Ok(()))
        }
    }
}

c_api! {
    /// See `linker.api`.
    fn cellwall_linker_new(engine: *const wasm_engine_t) -> *mut cellwall_linker_t {
        let linker = Linker::new(&unsafe { get(engine) }?.engine);
        give(cellwall_linker_t { linker: Arc::new(Locked::new(linker)) })
    }
    /// See `linker.api`.
    fn cellwall_linker_delete(linker: *mut cellwall_linker_t) {
        drop(unsafe { take(linker) });
    }
    /// See `linker.api`.
    fn cellwall_linker_allow_shadowing(linker: *mut cellwall_linker_t, allow: bool) {
        let done = unsafe { get(linker) }?.linker.clone().with(|linker| {
            linker.allow_shadowing(allow);
            Ok(())
        });
        crate::error::ok(done)?;
    }
    /// See `linker.api`.
    fn cellwall_linker_define(
        linker: *mut cellwall_linker_t,
        store: *mut wasm_store_t,
        module: *const wasm_byte_vec_t,
        item_name: *const wasm_byte_vec_t,
        item: *const wasm_extern_t,
    ) -> *mut cellwall_error_t {
        let (Some(linker), Some(store), Some(item)) = (unsafe { (get(linker), get(store), get(item)) }) else {
            return Some(null());
        };
        let define = || {
            let (module, name) = unsafe { (name(module)?, name(item_name)?) };
            let Some(item) = external(&item.object) else {
                bail!("not a function, global, table or memory");
            };
            let define = |linker: &mut Linker<Data>| {
                store.cell.with(|store| linker.define(store, module, name, item).map(|_| ()))
            };
            linker.linker.clone().with(define)
        };
        attempt(define)
    }
    /// See `linker.api`.
    fn cellwall_linker_define_func(
        linker: *mut cellwall_linker_t,
        module: *const wasm_byte_vec_t,
        item_name: *const wasm_byte_vec_t,
        ty: *const wasm_functype_t,
        callback: wasm_func_callback_with_env_t,
        env: *mut c_void,
        finalizer: Option<unsafe extern "C" fn(*mut c_void)>,
    ) -> *mut cellwall_error_t {
        // First, so that the finalizer is called whatever happens.
        let env = Env::new(env, finalizer);
        let callback = callback.map(|callback| Callback::WithEnv(callback, env));
        unsafe { define_func(linker, module, item_name, ty, callback) }
    }
    /// See `linker.api`.
    fn cellwall_linker_define_func_with_caller(
        linker: *mut cellwall_linker_t,
        module: *const wasm_byte_vec_t,
        item_name: *const wasm_byte_vec_t,
        ty: *const wasm_functype_t,
        callback: cellwall_func_callback_t,
        env: *mut c_void,
        finalizer: Option<unsafe extern "C" fn(*mut c_void)>,
    ) -> *mut cellwall_error_t {
        let env = Env::new(env, finalizer);
        let callback = callback.map(|callback| Callback::WithCaller(callback, env));
        unsafe { define_func(linker, module, item_name, ty, callback) }
    }
    /// See `linker.api`.
    fn cellwall_linker_define_instance(
        linker: *mut cellwall_linker_t,
        store: *mut wasm_store_t,
        module: *const wasm_byte_vec_t,
        instance: *const wasm_instance_t,
    ) -> *mut cellwall_error_t {
        let (Some(linker), Some(store), Some(instance)) =
            (unsafe { (get(linker), get(store), get(instance)) })
        else {
            return Some(null());
        };
        let define = || {
            let module = unsafe { name(module) }?;
            let Object::Instance(instance) = instance.object else {
                bail!("not an instance");
            };
            let define = |linker: &mut Linker<Data>| {
                store.cell.with(|store| linker.instance(store, module, instance).map(|_| ()))
            };
            linker.linker.clone().with(define)
        };
        attempt(define)
    }
    /// See `linker.api`.
    fn cellwall_linker_define_module(
        linker: *mut cellwall_linker_t,
        store: *mut wasm_store_t,
        module_name: *const wasm_byte_vec_t,
        it: *const wasm_module_t,
    ) -> *mut cellwall_error_t {
        let (Some(linker), Some(store), Some(it)) = (unsafe { (get(linker), get(store), get(it)) }) else {
            return Some(null());
        };
        let define = || {
            let name = unsafe { name(module_name) }?;
            let module = module(it).ok_or_else(|| Error::msg("not a module"))?.clone();
            // Of our own: what the module's functions call may delete the store.
            let cell = store.cell.clone();
            let define = |linker: &mut Linker<Data>| {
                cell.with(|store| linker.module(store, name, &module).map(|_| ()))
            };
            linker.linker.clone().with(define)
        };
        attempt(define)
    }
    /// See `linker.api`.
    fn cellwall_linker_define_unknown_imports_as_traps(
        linker: *mut cellwall_linker_t,
        it: *const wasm_module_t,
    ) -> *mut cellwall_error_t {
        let (Some(linker), Some(it)) = (unsafe { (get(linker), get(it)) }) else {
            return Some(null());
        };
        attempt(|| {
            let module = module(it).ok_or_else(|| Error::msg("not a module"))?;
            linker.linker.clone().with(|linker| linker.define_unknown_imports_as_traps(module))
        })
    }
    /// See `linker.api`.
    fn cellwall_linker_get_default(
        linker: *const cellwall_linker_t,
        store: *mut wasm_store_t,
        module: *const wasm_byte_vec_t,
        out: *mut *mut wasm_func_t,
    ) -> *mut cellwall_error_t {
        let (Some(linker), Some(store)) = (unsafe { (get(linker), get(store)) }) else {
            return Some(null());
        };
        let find = || {
            let name = unsafe { name(module) }?;
            let find = |linker: &mut Linker<Data>| store.cell.with(|context| linker.get_default(context, name));
            let func = linker.linker.clone().with(find)?;
            let func = give(wasm_ref_t::new(&store.cell, Object::Func(func)));
            unsafe { put(out, func) }.ok_or_else(|| Error::msg("an argument is null"))
        };
        attempt(find)
    }
    /// See `linker.api`.
    fn cellwall_linker_define_wasi(linker: *mut cellwall_linker_t) -> *mut cellwall_error_t {
        let Some(linker) = (unsafe { get(linker) }) else {
            return Some(null());
        };
        attempt(|| linker.linker.clone().with(|linker| cellwall_wasi::add_to_linker(linker, Data::wasi)))
    }
    /// See `linker.api`.
    fn cellwall_linker_get(
        linker: *const cellwall_linker_t,
        store: *mut wasm_store_t,
        module: *const wasm_byte_vec_t,
        item_name: *const wasm_byte_vec_t,
    ) -> *mut wasm_extern_t {
        let (linker, store) = unsafe { (get(linker)?, get(store)?) };
        let (module, name) = unsafe { (name(module).ok()?, name(item_name).ok()?) };
        let find = |linker: &mut Linker<Data>| Ok(store.cell.with(|store| linker.get(store, module, name)));
        let item = crate::error::ok(linker.linker.clone().with(find))??;
        give(wasm_ref_t::new(&store.cell, object(item)))
    }
    /// See `linker.api`.
    fn cellwall_linker_instantiate(
        linker: *const cellwall_linker_t,
        store: *mut wasm_store_t,
        it: *const wasm_module_t,
        out: *mut *mut wasm_instance_t,
        trap_out: *mut *mut wasm_trap_t,
    ) -> *mut cellwall_error_t {
        let (Some(linker), Some(store), Some(it)) = (unsafe { (get(linker), get(store), get(it)) }) else {
            return Some(null());
        };
        let Some(module) = module(it).cloned() else {
            return Some(answer(Err(Error::msg("not a module"))));
        };
        // What runs then may define more, and delete the linker.
        let linker = linker.linker.clone();
        let make = |context: StoreContextMut<'_, Data>| {
            let pre = linker.with(|linker| linker.instantiate_pre(&module))?;
            pre.instantiate(context)
        };
        unsafe { instantiated(store, out, trap_out, make) }
    }
    /// See `linker.api`.
    fn cellwall_linker_instantiate_pre(
        linker: *const cellwall_linker_t,
        it: *const wasm_module_t,
        out: *mut *mut cellwall_instance_pre_t,
    ) -> *mut cellwall_error_t {
        let (Some(linker), Some(it)) = (unsafe { (get(linker), get(it)) }) else {
            return Some(null());
        };
        attempt(|| {
            let module = module(it).ok_or_else(|| Error::msg("not a module"))?;
            let pre = linker.linker.clone().with(|linker| linker.instantiate_pre(module))?;
            unsafe { written(out, cellwall_instance_pre_t { pre }) }
        })
    }
    /// See `linker.api`.
    fn cellwall_instance_pre_instantiate(
        pre: *const cellwall_instance_pre_t,
        store: *mut wasm_store_t,
        out: *mut *mut wasm_instance_t,
        trap_out: *mut *mut wasm_trap_t,
    ) -> *mut cellwall_error_t {
        let (Some(it), Some(store)) = (unsafe { (get(pre), get(store)) }) else {
            return Some(null());
        };
        // Of our own: what the start function calls may delete it.
        let pre = it.pre.clone();
        unsafe { instantiated(store, out, trap_out, |context| pre.instantiate(context)) }
    }
    /// See `linker.api`.
    fn cellwall_instance_pre_copy(pre: *const cellwall_instance_pre_t) -> *mut cellwall_instance_pre_t {
        let pre = unsafe { get(pre) }?.pre.clone();
        give(cellwall_instance_pre_t { pre })
    }
    /// See `linker.api`.
    fn cellwall_instance_pre_delete(pre: *mut cellwall_instance_pre_t) {
        drop(unsafe { take(pre) });
    }
    /// See `linker.api`.
    fn cellwall_linker_alias(
        linker: *mut cellwall_linker_t,
        module: *const wasm_byte_vec_t,
        item_name: *const wasm_byte_vec_t,
        as_module: *const wasm_byte_vec_t,
        as_name: *const wasm_byte_vec_t,
    ) -> *mut cellwall_error_t {
        let Some(linker) = (unsafe { get(linker) }) else {
            return Some(null());
        };
        attempt(|| {
            let (module, item) = unsafe { (name(module)?, name(item_name)?) };
            let (as_module, as_item) = unsafe { (name(as_module)?, name(as_name)?) };
            linker.linker.clone().with(|linker| linker.alias(module, item, as_module, as_item).map(|_| ()))
        })
    }
    /// See `linker.api`.
    fn cellwall_linker_alias_module(
        linker: *mut cellwall_linker_t,
        module: *const wasm_byte_vec_t,
        as_module: *const wasm_byte_vec_t,
    ) -> *mut cellwall_error_t {
        let Some(linker) = (unsafe { get(linker) }) else {
            return Some(null());
        };
        attempt(|| {
            let (module, as_module) = unsafe { (name(module)?, name(as_module)?) };
            linker.linker.clone().with(|linker| linker.alias_module(module, as_module))
        })
    }
}
