//! Linkers of components, and functions of C that components call.
//!
//! A place in a linker is its path, not a borrow: places can be used beside each other, and outlive
//! the linker.

use super::{
    cellwall_component_func_type_t, cellwall_component_instance_t, cellwall_component_resource_type_t,
    cellwall_component_t, cellwall_component_val_t, missing, name,
};
use crate::callback::UNSAID;
use crate::env::Env;
use crate::extra::{attempt, attempt_in, cellwall_error_t, into_error, written};
use crate::locked::Locked;
use crate::module::module;
use crate::refs::wasm_module_t;
use crate::store::{Data, StoreCell, wasm_engine_t, wasm_store_t};
use crate::{c_api, get, give, take};
use cellwall_rs::component::types::ComponentFunc;
use cellwall_rs::component::{InstancePre, Linker, LinkerInstance, Val};
use cellwall_rs::{Engine, Error, Result, StoreContextMut, bail};
use std::ffi::{c_char, c_void};
use std::sync::{Arc, Mutex, PoisonError};

/// Definitions by names.
pub struct cellwall_component_linker_t {
    linker: Arc<Locked<Linker<Data>>>,
}

/// A component with the imports that a linker found for it.
#[derive(Clone)]
pub struct cellwall_component_instance_pre_t {
    pre: InstancePre<Data>,
    engine: Engine,
}

/// A place to define things in.
pub struct cellwall_component_linker_instance_t {
    linker: Arc<Locked<Linker<Data>>>,
    path: Vec<String>,
}

/// `cellwall_component_func_callback_t`.
pub type cellwall_component_func_callback_t = Option<Function>;

type Function = unsafe extern "C" fn(
    *mut c_void,
    *mut wasm_store_t,
    *const cellwall_component_func_type_t,
    *const cellwall_component_val_t,
    usize,
    *mut cellwall_component_val_t,
    usize,
) -> *mut cellwall_error_t;

/// `cellwall_component_resource_destructor_t`.
pub type cellwall_component_resource_destructor_t =
    Option<unsafe extern "C" fn(*mut c_void, *mut wasm_store_t, u32) -> *mut cellwall_error_t>;

type Finalizer = Option<unsafe extern "C" fn(*mut c_void)>;

impl cellwall_component_linker_instance_t {
    /// Defines something here.
    fn define(&self, define: impl FnOnce(LinkerInstance<'_, Data>) -> Result<()>) -> Result<()> {
        self.linker.clone().with(|linker| {
            let mut place = linker.root();
            for name in &self.path {
                place = place.into_instance(name)?;
            }
            define(place)
        })
    }
}

/// A function of C with its data, and the type that it was called with last.
struct Callback {
    function: Function,
    env: Env,
    last: Mutex<Option<Arc<cellwall_component_func_type_t>>>,
}

impl Callback {
    /// The type as C sees it: the same object as long as the type is the same.
    fn type_of(&self, ty: &ComponentFunc) -> Arc<cellwall_component_func_type_t> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match &*last {
            Some(last) if last.is(ty) => last.clone(),
            _ => last
                .insert(Arc::new(cellwall_component_func_type_t::of(ty)))
                .clone(),
        }
    }

    fn call(
        &self,
        mut context: StoreContextMut<'_, Data>,
        ty: &ComponentFunc,
        params: &[Val],
        results: &mut [Val],
    ) -> Result<()> {
        let ty = self.type_of(ty);
        let args: Vec<_> = params
            .iter()
            .map(|value| cellwall_component_val_t::from_rust(value.clone()))
            .collect();
        let mut args = super::cellwall_component_vallist_t::from_vec(args);
        let empty = results
            .iter()
            .map(|_| cellwall_component_val_t::from_rust(Val::Bool(false)));
        let mut out = super::cellwall_component_vallist_t::from_vec(empty.collect());
        let error = StoreCell::in_context(&mut context, |cell| {
            let mut store = wasm_store_t { cell: cell.shared() };
            // SAFETY: C gave the function with its data; all pointers are as the header says.
            unsafe {
                (self.function)(
                    self.env.data,
                    &raw mut store,
                    Arc::as_ptr(&ty),
                    args.data,
                    args.size,
                    out.data,
                    out.size,
                )
            }
        });
        // SAFETY: the arguments stayed ours.
        unsafe { args.delete() };
        // SAFETY: an owned error or null, by the header.
        let answer = match unsafe { take(error) } {
            Some(error) => Err(into_error(*error)),
            None if !error.is_null() => Err(Error::msg(UNSAID)),
            // SAFETY: C filled in values, or left what was there.
            None => unsafe { read(&out, results) },
        };
        // SAFETY: the results are ours again.
        unsafe { out.delete() };
        answer
    }
}

/// # Safety
/// The values are as the header says.
unsafe fn read(out: &super::cellwall_component_vallist_t, results: &mut [Val]) -> Result<()> {
    // SAFETY: the caller's promise.
    for (value, result) in unsafe { out.as_slice() }.iter().zip(results) {
        // SAFETY: likewise.
        *result =
            unsafe { value.to_rust() }.map_err(|error| error.context("in the result of a host function"))?;
    }
    Ok(())
}

/// Makes an instance in a store.
fn instantiated(
    pre: &InstancePre<Data>,
    engine: &Engine,
    cell: &Arc<StoreCell>,
) -> Result<cellwall_component_instance_t> {
    if !Engine::same(engine, cell.engine()) {
        bail!("the component is of another engine than the store");
    }
    let instance = cell.with(|context| pre.instantiate(context))?;
    let store = cell.clone();
    Ok(cellwall_component_instance_t { store, instance })
}

c_api! {
    /// See `component_linker.api`.
    fn cellwall_component_linker_new(engine: *const wasm_engine_t) -> *mut cellwall_component_linker_t {
        let linker = Linker::new(&unsafe { get(engine) }?.engine);
        give(cellwall_component_linker_t { linker: Arc::new(Locked::new(linker)) })
    }
    /// See `component_linker.api`.
    fn cellwall_component_linker_delete(linker: *mut cellwall_component_linker_t) {
        drop(unsafe { take(linker) });
    }
    /// See `component_linker.api`.
    fn cellwall_component_linker_allow_shadowing(linker: *mut cellwall_component_linker_t, allow: bool) {
        let done = unsafe { get(linker) }?.linker.clone().with(|linker| {
            linker.allow_shadowing(allow);
            Ok(())
        });
        crate::error::ok(done)?;
    }
    /// See `component_linker.api`.
    fn cellwall_component_linker_root(
        linker: *mut cellwall_component_linker_t,
    ) -> *mut cellwall_component_linker_instance_t {
        let linker = unsafe { get(linker) }?.linker.clone();
        give(cellwall_component_linker_instance_t { linker, path: Vec::new() })
    }
    /// See `component_linker.api`.
    fn cellwall_component_linker_add_wasip2(linker: *mut cellwall_component_linker_t) -> *mut cellwall_error_t {
        attempt(|| {
            let linker = unsafe { get(linker) }.ok_or_else(missing)?;
            linker.linker.clone().with(cellwall_wasi::p2::add_to_linker_sync)
        })
    }
    /// See `component_linker.api`.
    fn cellwall_component_linker_add_wasi_http(linker: *mut cellwall_component_linker_t) -> *mut cellwall_error_t {
        attempt(|| {
            let linker = unsafe { get(linker) }.ok_or_else(missing)?;
            linker.linker.clone().with(cellwall_wasi::http::add_to_linker)
        })
    }
    /// See `component_linker.api`.
    fn cellwall_component_linker_define_unknown_imports_as_traps(
        linker: *mut cellwall_component_linker_t,
        component: *const cellwall_component_t,
    ) -> *mut cellwall_error_t {
        attempt(|| {
            let linker = unsafe { get(linker) }.ok_or_else(missing)?;
            let component = &unsafe { get(component) }.ok_or_else(missing)?.component;
            linker.linker.clone().with(|linker| linker.define_unknown_imports_as_traps(component))
        })
    }
    /// See `component_linker.api`.
    fn cellwall_component_linker_instantiate(
        linker: *const cellwall_component_linker_t,
        store: *mut wasm_store_t,
        component: *const cellwall_component_t,
        out: *mut *mut cellwall_component_instance_t,
    ) -> *mut cellwall_error_t {
        // Of our own: what runs may delete the store.
        let cell = unsafe { get(store) }.map(|store| store.cell.clone());
        attempt_in(cell.as_ref(), || {
            let linker = unsafe { get(linker) }.ok_or_else(missing)?;
            let component = &unsafe { get(component) }.ok_or_else(missing)?.component;
            let cell = cell.as_ref().ok_or_else(missing)?;
            if out.is_null() {
                return Err(missing());
            }
            // Not under the lock: what runs now may define more.
            let pre = linker.linker.clone().with(|linker| linker.instantiate_pre(component))?;
            let engine = component.engine().clone();
            unsafe { written(out, instantiated(&pre, &engine, cell)?) }
        })
    }
    /// See `component_linker.api`.
    fn cellwall_component_linker_instantiate_pre(
        linker: *const cellwall_component_linker_t,
        component: *const cellwall_component_t,
        out: *mut *mut cellwall_component_instance_pre_t,
    ) -> *mut cellwall_error_t {
        attempt(|| {
            let linker = unsafe { get(linker) }.ok_or_else(missing)?;
            let component = &unsafe { get(component) }.ok_or_else(missing)?.component;
            let pre = linker.linker.clone().with(|linker| linker.instantiate_pre(component))?;
            let engine = component.engine().clone();
            unsafe { written(out, cellwall_component_instance_pre_t { pre, engine }) }
        })
    }
    /// See `component_linker.api`.
    fn cellwall_component_instance_pre_instantiate(
        pre: *const cellwall_component_instance_pre_t,
        store: *mut wasm_store_t,
        out: *mut *mut cellwall_component_instance_t,
    ) -> *mut cellwall_error_t {
        // As above.
        let cell = unsafe { get(store) }.map(|store| store.cell.clone());
        attempt_in(cell.as_ref(), || {
            let it = unsafe { get(pre) }.ok_or_else(missing)?.clone();
            let cell = cell.as_ref().ok_or_else(missing)?;
            if out.is_null() {
                return Err(missing());
            }
            unsafe { written(out, instantiated(&it.pre, &it.engine, cell)?) }
        })
    }
    /// See `component_linker.api`.
    fn cellwall_component_instance_pre_clone(
        pre: *const cellwall_component_instance_pre_t,
    ) -> *mut cellwall_component_instance_pre_t {
        give(unsafe { get(pre) }?.clone())
    }
    /// See `component_linker.api`.
    fn cellwall_component_instance_pre_delete(pre: *mut cellwall_component_instance_pre_t) {
        drop(unsafe { take(pre) });
    }
    /// See `component_linker.api`.
    fn cellwall_component_linker_instance_add_instance(
        instance: *mut cellwall_component_linker_instance_t,
        item_name: *const c_char,
        name_len: usize,
        out: *mut *mut cellwall_component_linker_instance_t,
    ) -> *mut cellwall_error_t {
        attempt(|| {
            let place = unsafe { get(instance) }.ok_or_else(missing)?;
            let name = unsafe { name(item_name, name_len) }?;
            if out.is_null() {
                return Err(missing());
            }
            place.define(|place| place.into_instance(name).map(|_| ()))?;
            let mut path = place.path.clone();
            path.push(name.to_owned());
            unsafe { written(out, cellwall_component_linker_instance_t { linker: place.linker.clone(), path }) }
        })
    }
    /// See `component_linker.api`.
    fn cellwall_component_linker_instance_add_func(
        instance: *mut cellwall_component_linker_instance_t,
        item_name: *const c_char,
        name_len: usize,
        callback: cellwall_component_func_callback_t,
        env: *mut c_void,
        finalizer: Finalizer,
    ) -> *mut cellwall_error_t {
        // First, so that the finalizer is called whatever happens.
        let env = Env::new(env, finalizer);
        attempt(|| {
            let place = unsafe { get(instance) }.ok_or_else(missing)?;
            let name = unsafe { name(item_name, name_len) }?;
            let callback = Callback { function: callback.ok_or_else(missing)?, env, last: Mutex::new(None) };
            place.define(|mut place| {
                place.func_new(name, move |context, ty, params, results| callback.call(context, ty, params, results))
            })
        })
    }
    /// See `component_linker.api`.
    fn cellwall_component_linker_instance_add_resource(
        instance: *mut cellwall_component_linker_instance_t,
        item_name: *const c_char,
        name_len: usize,
        ty: *const cellwall_component_resource_type_t,
        destructor: cellwall_component_resource_destructor_t,
        env: *mut c_void,
        finalizer: Finalizer,
    ) -> *mut cellwall_error_t {
        let env = Env::new(env, finalizer);
        attempt(|| {
            let place = unsafe { get(instance) }.ok_or_else(missing)?;
            let name = unsafe { name(item_name, name_len) }?;
            let ty = unsafe { get(ty) }.ok_or_else(missing)?.ty;
            let dropped = move |mut context: StoreContextMut<'_, Data>, rep: u32| -> Result<(), Error> {
                // All of it, not only its pointer.
                let env = &env;
                let Some(destructor) = destructor else {
                    return Ok(());
                };
                let error = StoreCell::in_context(&mut context, |cell| {
                    let mut store = wasm_store_t { cell: cell.shared() };
                    // SAFETY: C gave the function with its data.
                    unsafe { destructor(env.data, &raw mut store, rep) }
                });
                // SAFETY: an owned error or null, by the header.
                match unsafe { take(error) } {
                    Some(error) => Err(into_error(*error)),
                    None if !error.is_null() => Err(Error::msg(UNSAID)),
                    None => Ok(()),
                }
            };
            place.define(|mut place| place.resource(name, ty, dropped))
        })
    }
    /// See `component_linker.api`.
    fn cellwall_component_linker_instance_add_module(
        instance: *mut cellwall_component_linker_instance_t,
        item_name: *const c_char,
        name_len: usize,
        it: *const wasm_module_t,
    ) -> *mut cellwall_error_t {
        attempt(|| {
            let place = unsafe { get(instance) }.ok_or_else(missing)?;
            let name = unsafe { name(item_name, name_len) }?;
            let module = module(unsafe { get(it) }.ok_or_else(missing)?);
            let module = module.ok_or_else(|| Error::msg("not a module"))?;
            place.define(|mut place| place.module(name, module))
        })
    }
    /// See `component_linker.api`.
    fn cellwall_component_linker_instance_delete(instance: *mut cellwall_component_linker_instance_t) {
        drop(unsafe { take(instance) });
    }
}
