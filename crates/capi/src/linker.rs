//! Linkers.

use crate::callback::{Callback, cellwall_func_callback_t, wasm_func_callback_with_env_t};
use crate::env::Env;
use crate::extra::{answer, attempt, cellwall_error_t, null};
use crate::module::module;
use crate::refs::{
    Object, external, object, wasm_extern_t, wasm_func_t, wasm_instance_t, wasm_module_t, wasm_ref_t,
    wasm_trap_t,
};
use crate::store::{Data, wasm_engine_t, wasm_store_t};
use crate::types::wasm_functype_t;
use crate::vec::{put, wasm_byte_vec_t};
use crate::{c_api, get, give, take, trap};
use cellwall_rs::{Error, Linker, Result, bail};
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

/// Definitions by names.
pub struct cellwall_linker_t {
    linker: Linker<Data>,
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
    let (Some(linker), Some(ty), Some(callback)) = (unsafe { (linker.as_mut(), get(ty), callback) }) else {
        return null();
    };
    let define = || {
        // SAFETY: likewise.
        let (module, name) = unsafe { (name(module)?, name(item_name)?) };
        let Some(ty) = ty.to_func(linker.linker.engine()) else {
            bail!("not the type of a function");
        };
        let func_type = ty.clone();
        linker
            .linker
            .func_new(module, name, ty, move |caller, params, results| {
                callback.call(&func_type, caller, params, results)
            })?;
        Ok(())
    };
    attempt(define)
}

/// What went wrong in making an instance, as trap or as error.
enum Ended {
    Error(Error),
    Trap(wasm_trap_t),
}

fn ended(store: &wasm_store_t, error: Error) -> Ended {
    let is_trap =
        error.is::<cellwall_rs::Trap>() || error.is::<cellwall_wasi::I32Exit>() || trap::is_passing(&error);
    match is_trap {
        true => Ended::Trap(trap::from_error(&store.cell, &error)),
        false => Ended::Error(error),
    }
}

c_api! {
    /// See `linker.api`.
    fn cellwall_linker_new(engine: *const wasm_engine_t) -> *mut cellwall_linker_t {
        give(cellwall_linker_t { linker: Linker::new(&unsafe { get(engine) }?.engine) })
    }
    /// See `linker.api`.
    fn cellwall_linker_delete(linker: *mut cellwall_linker_t) {
        drop(unsafe { take(linker) });
    }
    /// See `linker.api`.
    fn cellwall_linker_allow_shadowing(linker: *mut cellwall_linker_t, allow: bool) {
        unsafe { linker.as_mut() }?.linker.allow_shadowing(allow);
    }
    /// See `linker.api`.
    fn cellwall_linker_define(
        linker: *mut cellwall_linker_t,
        store: *mut wasm_store_t,
        module: *const wasm_byte_vec_t,
        item_name: *const wasm_byte_vec_t,
        item: *const wasm_extern_t,
    ) -> *mut cellwall_error_t {
        let (Some(linker), Some(store), Some(item)) = (unsafe { (linker.as_mut(), get(store), get(item)) }) else {
            return Some(null());
        };
        let define = || {
            let (module, name) = unsafe { (name(module)?, name(item_name)?) };
            let Some(item) = external(&item.object) else {
                bail!("not a function, global, table or memory");
            };
            store.cell.with(|store| linker.linker.define(store, module, name, item).map(|_| ()))
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
            (unsafe { (linker.as_mut(), get(store), get(instance)) })
        else {
            return Some(null());
        };
        let define = || {
            let module = unsafe { name(module) }?;
            let Object::Instance(instance) = instance.object else {
                bail!("not an instance");
            };
            store.cell.with(|store| linker.linker.instance(store, module, instance).map(|_| ()))
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
        let (Some(linker), Some(store), Some(it)) = (unsafe { (linker.as_mut(), get(store), get(it)) }) else {
            return Some(null());
        };
        let define = || {
            let name = unsafe { name(module_name) }?;
            let module = module(it).ok_or_else(|| Error::msg("not a module"))?;
            store.cell.with(|store| linker.linker.module(store, name, module).map(|_| ()))
        };
        attempt(define)
    }
    /// See `linker.api`.
    fn cellwall_linker_define_unknown_imports_as_traps(
        linker: *mut cellwall_linker_t,
        it: *const wasm_module_t,
    ) -> *mut cellwall_error_t {
        let (Some(linker), Some(it)) = (unsafe { (linker.as_mut(), get(it)) }) else {
            return Some(null());
        };
        attempt(|| {
            let module = module(it).ok_or_else(|| Error::msg("not a module"))?;
            linker.linker.define_unknown_imports_as_traps(module)
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
            let func = store.cell.with(|context| linker.linker.get_default(context, name))?;
            let func = give(wasm_ref_t::new(&store.cell, Object::Func(func)));
            unsafe { put(out, func) }.ok_or_else(|| Error::msg("an argument is null"))
        };
        attempt(find)
    }
    /// See `linker.api`.
    fn cellwall_linker_define_wasi(linker: *mut cellwall_linker_t) -> *mut cellwall_error_t {
        let Some(linker) = (unsafe { linker.as_mut() }) else {
            return Some(null());
        };
        attempt(|| cellwall_wasi::add_to_linker(&mut linker.linker, Data::wasi))
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
        let item = store.cell.with(|store| linker.linker.get(store, module, name))?;
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
        let Some(module) = module(it) else {
            return Some(answer(Err(Error::msg("not a module"))));
        };
        unsafe {
            put(out, ptr::null_mut());
            put(trap_out, ptr::null_mut());
        }
        let made = catch_unwind(AssertUnwindSafe(|| {
            store.cell.with(|context| linker.linker.instantiate(context, module))
        }));
        let made = made.unwrap_or_else(|panic| Err(crate::panicked(&*panic)));
        let error = match made {
            Ok(instance) => {
                let instance = give(wasm_ref_t::new(&store.cell, Object::Instance(instance)));
                match unsafe { put(out, instance) } {
                    Some(()) => return Some(answer(Ok(()))),
                    // Nobody wanted it: the instance lives in the store all the same.
                    None => drop(unsafe { take(instance) }),
                }
                return Some(answer(Ok(())));
            }
            Err(error) => error,
        };
        match ended(store, error) {
            Ended::Error(error) => answer(Err(error)),
            Ended::Trap(trap) => {
                let trap = give(trap);
                match unsafe { put(trap_out, trap) } {
                    Some(()) => answer(Ok(())),
                    None => {
                        drop(unsafe { take(trap) });
                        answer(Err(Error::msg("the start function trapped")))
                    }
                }
            }
        }
    }
}
