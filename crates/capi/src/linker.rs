//! Linkers, and what a program of WASI is granted.

use crate::callback::{Callback, cellwall_func_callback_t, wasm_func_callback_with_env_t};
use crate::env::Env;
use crate::extra::{answer, cellwall_error_t, null, text};
use crate::module::module;
use crate::refs::{
    Object, external, object, wasm_extern_t, wasm_func_t, wasm_instance_t, wasm_module_t, wasm_ref_t,
    wasm_trap_t,
};
use crate::store::{Data, wasm_engine_t, wasm_store_t};
use crate::types::wasm_functype_t;
use crate::vec::{Vector, put, wasm_byte_vec_t};
use crate::{c_api, get, give, take, trap};
use cellwall_rs::{Error, Linker, Result, bail};
use cellwall_wasi::{DirPerms, FilePerms, MemoryInputPipe, MemoryOutputPipe, OutputStream, WasiCtxBuilder};
use std::ffi::{c_char, c_void};
use std::fs::File;
use std::io::{self, IoSlice};
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

/// `cellwall_wasi_write_t`.
pub type cellwall_wasi_write_t = Option<unsafe extern "C" fn(*mut c_void, *const u8, usize) -> bool>;

/// A function of C that takes what a guest writes.
struct Sink {
    write: unsafe extern "C" fn(*mut c_void, *const u8, usize) -> bool,
    env: Env,
}

impl OutputStream for Sink {
    fn write(&self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut written = 0;
        for buffer in buffers.iter().filter(|buffer| !buffer.is_empty()) {
            // SAFETY: C gave the function with its data; the bytes are there for the call.
            if !unsafe { (self.write)(self.env.data, buffer.as_ptr(), buffer.len()) } {
                break;
            }
            written += buffer.len();
        }
        match written {
            0 => Err(io::ErrorKind::BrokenPipe.into()),
            _ => Ok(written),
        }
    }
}

/// Opens a file and connects it.
///
/// # Safety
/// Pointers are null or valid.
unsafe fn with_file(
    config: *mut cellwall_wasi_config_t,
    path: *const c_char,
    open: impl FnOnce(&str) -> io::Result<File>,
    connect: impl FnOnce(&mut WasiCtxBuilder, File),
) -> *mut cellwall_error_t {
    // SAFETY: the caller's promise.
    let Some(config) = (unsafe { config.as_mut() }) else {
        return null();
    };
    // SAFETY: likewise.
    let path = unsafe { text(path) };
    let file = path.and_then(|path| open(path).map_err(|error| Error::msg(format!("{path}: {error}"))));
    answer(file.map(|file| connect(&mut config.builder, file)))
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
    answer(define())
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
    fn cellwall_linker_define_module(
        linker: *mut cellwall_linker_t,
        store: *mut wasm_store_t,
        module_name: *const wasm_byte_vec_t,
        it: *const wasm_module_t,
    ) -> *mut cellwall_error_t {
        let (Some(linker), Some(store), Some(it)) = (unsafe { (linker.as_mut(), get(store), get(it)) }) else {
            return Some(null());
        };
        let mut define = || {
            let name = unsafe { name(module_name) }?;
            let module = module(it).ok_or_else(|| Error::msg("not a module"))?;
            store.cell.with(|store| linker.linker.module(store, name, module).map(|_| ()))
        };
        answer(define())
    }
    /// See `linker.api`.
    fn cellwall_linker_define_unknown_imports_as_traps(
        linker: *mut cellwall_linker_t,
        it: *const wasm_module_t,
    ) -> *mut cellwall_error_t {
        let (Some(linker), Some(it)) = (unsafe { (linker.as_mut(), get(it)) }) else {
            return Some(null());
        };
        let module = module(it).ok_or_else(|| Error::msg("not a module"));
        answer(module.and_then(|module| linker.linker.define_unknown_imports_as_traps(module)))
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
        answer(find())
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
    fn cellwall_wasi_config_stdin_file(config: *mut cellwall_wasi_config_t, path: *const c_char) -> *mut cellwall_error_t {
        unsafe { with_file(config, path, |path| File::open(path), |builder, file| { builder.stdin(file); }) }
    }
    /// See `wasi.api`.
    fn cellwall_wasi_config_stdout_file(config: *mut cellwall_wasi_config_t, path: *const c_char) -> *mut cellwall_error_t {
        unsafe { with_file(config, path, |path| File::create(path), |builder, file| { builder.stdout(file); }) }
    }
    /// See `wasi.api`.
    fn cellwall_wasi_config_stderr_file(config: *mut cellwall_wasi_config_t, path: *const c_char) -> *mut cellwall_error_t {
        unsafe { with_file(config, path, |path| File::create(path), |builder, file| { builder.stderr(file); }) }
    }
    /// See `wasi.api`.
    fn cellwall_wasi_config_stdout_callback(
        config: *mut cellwall_wasi_config_t,
        callback: cellwall_wasi_write_t,
        env: *mut c_void,
        finalizer: Option<unsafe extern "C" fn(*mut c_void)>,
    ) {
        let sink = Sink { env: Env::new(env, finalizer), write: callback? };
        unsafe { config.as_mut() }?.builder.stdout(sink);
    }
    /// See `wasi.api`.
    fn cellwall_wasi_config_stderr_callback(
        config: *mut cellwall_wasi_config_t,
        callback: cellwall_wasi_write_t,
        env: *mut c_void,
        finalizer: Option<unsafe extern "C" fn(*mut c_void)>,
    ) {
        let sink = Sink { env: Env::new(env, finalizer), write: callback? };
        unsafe { config.as_mut() }?.builder.stderr(sink);
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
