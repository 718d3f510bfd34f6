//! Linkers, and what a program of WASI is granted.

use crate::callback::{Callback, wasm_func_callback_with_env_t};
use crate::env::Env;
use crate::extra::{answer, cellwall_error_t, null, text};
use crate::module::module;
use crate::refs::{
    Object, external, object, wasm_extern_t, wasm_instance_t, wasm_module_t, wasm_ref_t, wasm_trap_t,
};
use crate::store::{Data, wasm_engine_t, wasm_store_t};
use crate::types::wasm_functype_t;
use crate::vec::{Vector, put, wasm_byte_vec_t};
use crate::{c_api, get, give, take, trap};
use cellwall_rs::{Error, Linker, Result, bail};
use cellwall_wasi::{DirPerms, FilePerms, MemoryInputPipe, MemoryOutputPipe, WasiCtxBuilder};
use std::ffi::{c_char, c_void};
use std::ptr;

/// Definitions by names.
pub struct cellwall_linker_t {
    linker: Linker<Data>,
}

/// Grants.
pub struct cellwall_wasi_config_t {
    builder: WasiCtxBuilder,
}

/// What a program has written to memory.
pub struct cellwall_wasi_output_t {
    pipe: MemoryOutputPipe,
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
        let mut define = || {
            let (module, name) = unsafe { (name(module)?, name(item_name)?) };
            let Some(item) = external(&item.object) else {
                bail!("not a function, global, table or memory");
            };
            store.cell.with(|store| linker.linker.define(store, module, name, item).map(|_| ()))
        };
        answer(define())
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
        let (Some(linker), Some(ty), Some(callback)) = (unsafe { (linker.as_mut(), get(ty), callback) }) else {
            return Some(null());
        };
        let define = || {
            let (module, name) = unsafe { (name(module)?, name(item_name)?) };
            let Some(ty) = ty.to_func(linker.linker.engine()) else {
                bail!("not the type of a function");
            };
            let func_type = ty.clone();
            let callback = Callback::WithEnv(callback, env);
            linker.linker.func_new(module, name, ty, move |caller, params, results| {
                callback.call(&func_type, caller, params, results)
            })?;
            Ok(())
        };
        answer(define())
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
        let mut define = || {
            let module = unsafe { name(module) }?;
            let Object::Instance(instance) = instance.object else {
                bail!("not an instance");
            };
            store.cell.with(|store| linker.linker.instance(store, module, instance).map(|_| ()))
        };
        answer(define())
    }
    /// See `linker.api`.
    fn cellwall_linker_define_wasi(linker: *mut cellwall_linker_t) -> *mut cellwall_error_t {
        let Some(linker) = (unsafe { linker.as_mut() }) else {
            return Some(null());
        };
        answer(cellwall_wasi::add_to_linker(&mut linker.linker, Data::wasi))
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
        let made = store.cell.with(|context| linker.linker.instantiate(context, module));
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

    /// See `engine.api`.
    fn cellwall_store_wasi_set(store: *mut wasm_store_t, wasi: *mut cellwall_wasi_config_t) -> *mut cellwall_error_t {
        let wasi = unsafe { take(wasi) };
        let (Some(store), Some(mut wasi)) = (unsafe { get(store) }, wasi) else {
            return Some(null());
        };
        let context = wasi.builder.build();
        store.cell.with(|mut store| store.data_mut().set_wasi(context));
        answer(Ok(()))
    }

    /// See `wasi.api`.
    fn cellwall_wasi_config_new() -> *mut cellwall_wasi_config_t {
        give(cellwall_wasi_config_t { builder: WasiCtxBuilder::new() })
    }
    /// See `wasi.api`.
    fn cellwall_wasi_config_delete(config: *mut cellwall_wasi_config_t) {
        drop(unsafe { take(config) });
    }
    /// See `wasi.api`.
    fn cellwall_wasi_config_arg(config: *mut cellwall_wasi_config_t, arg: *const c_char) {
        let arg = crate::error::ok(unsafe { text(arg) })?;
        unsafe { config.as_mut() }?.builder.arg(arg);
    }
    /// See `wasi.api`.
    fn cellwall_wasi_config_env(config: *mut cellwall_wasi_config_t, name: *const c_char, value: *const c_char) {
        let (name, value) = crate::error::ok(unsafe { text(name) }).zip(crate::error::ok(unsafe { text(value) }))?;
        unsafe { config.as_mut() }?.builder.env(name, value);
    }
    /// See `wasi.api`.
    fn cellwall_wasi_config_inherit_args(config: *mut cellwall_wasi_config_t) {
        unsafe { config.as_mut() }?.builder.inherit_args();
    }
    /// See `wasi.api`.
    fn cellwall_wasi_config_inherit_env(config: *mut cellwall_wasi_config_t) {
        unsafe { config.as_mut() }?.builder.inherit_env();
    }
    /// See `wasi.api`.
    fn cellwall_wasi_config_inherit_stdin(config: *mut cellwall_wasi_config_t) {
        unsafe { config.as_mut() }?.builder.inherit_stdin();
    }
    /// See `wasi.api`.
    fn cellwall_wasi_config_inherit_stdout(config: *mut cellwall_wasi_config_t) {
        unsafe { config.as_mut() }?.builder.inherit_stdout();
    }
    /// See `wasi.api`.
    fn cellwall_wasi_config_inherit_stderr(config: *mut cellwall_wasi_config_t) {
        unsafe { config.as_mut() }?.builder.inherit_stderr();
    }
    /// See `wasi.api`.
    fn cellwall_wasi_config_stdin_bytes(config: *mut cellwall_wasi_config_t, bytes: *const wasm_byte_vec_t) {
        let bytes = unsafe { get(bytes)?.as_slice() };
        unsafe { config.as_mut() }?.builder.stdin(MemoryInputPipe::new(bytes));
    }
    /// See `wasi.api`.
    fn cellwall_wasi_config_stdout_bytes(
        config: *mut cellwall_wasi_config_t,
        capacity: usize,
    ) -> *mut cellwall_wasi_output_t {
        let pipe = MemoryOutputPipe::new(capacity);
        unsafe { config.as_mut() }?.builder.stdout(pipe.clone());
        give(cellwall_wasi_output_t { pipe })
    }
    /// See `wasi.api`.
    fn cellwall_wasi_config_stderr_bytes(
        config: *mut cellwall_wasi_config_t,
        capacity: usize,
    ) -> *mut cellwall_wasi_output_t {
        let pipe = MemoryOutputPipe::new(capacity);
        unsafe { config.as_mut() }?.builder.stderr(pipe.clone());
        give(cellwall_wasi_output_t { pipe })
    }
    /// See `wasi.api`.
    fn cellwall_wasi_output_contents(output: *const cellwall_wasi_output_t, out: *mut wasm_byte_vec_t) {
        let contents = unsafe { get(output) }?.pipe.contents();
        unsafe { put(out, Vector::from_vec(contents)) }?;
    }
    /// See `wasi.api`.
    fn cellwall_wasi_output_delete(output: *mut cellwall_wasi_output_t) {
        drop(unsafe { take(output) });
    }
    /// See `wasi.api`.
    fn cellwall_wasi_config_preopen_dir(
        config: *mut cellwall_wasi_config_t,
        host: *const c_char,
        guest: *const c_char,
        perms: u8,
    ) -> *mut cellwall_error_t {
        let Some(config) = (unsafe { config.as_mut() }) else {
            return Some(null());
        };
        let (dir, file) = match perms {
            1 => (DirPerms::READ, FilePerms::READ),
            3 => (DirPerms::all(), FilePerms::all()),
            _ => {
                let message = "a folder can be granted to read (1) or to read and write (3)";
                return Some(answer(Err(Error::msg(message))));
            }
        };
        let mut preopen = || {
            let (host, guest) = unsafe { (text(host)?, text(guest)?) };
            config.builder.preopened_dir(host, guest, dir, file).map(|_| ())
        };
        answer(preopen())
    }
}
