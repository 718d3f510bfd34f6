//! Instances of components and their functions.

use super::{
    cellwall_component_export_index_t, cellwall_component_func_type_t, cellwall_component_instance_type_t,
    cellwall_component_resource_type_t, cellwall_component_val_t, missing, name,
};
use crate::extra::{attempt_in, cellwall_error_t};
use crate::refs::{wasm_module_t, wasm_ref_t};
use crate::store::StoreCell;
use crate::{c_api, error, get, give, take};
use cellwall_rs::component::{Func, Instance, Val};
use cellwall_rs::{AsContextMut, Result, bail};
use std::ffi::c_char;
use std::slice;
use std::sync::Arc;

/// An instance of a component.
#[derive(Clone)]
pub struct cellwall_component_instance_t {
    pub(crate) store: Arc<StoreCell>,
    pub(crate) instance: Instance,
}

/// A function of an instance.
#[derive(Clone)]
pub struct cellwall_component_func_t {
    store: Arc<StoreCell>,
    func: Func,
}

/// Values of a call that need no allocation.
const INLINE_VALUES: usize = 4;

/// Calls a function.
///
/// # Safety
/// The arguments are values as `component_val.api` says; `results` can be written.
unsafe fn call(
    it: &cellwall_component_func_t,
    args: &[cellwall_component_val_t],
    results: *mut cellwall_component_val_t,
    results_count: usize,
) -> Result<()> {
    const FALSE: Val = Val::Bool(false);
    let mut few = [FALSE; INLINE_VALUES];
    let mut many = Vec::new();
    let params: &[Val] = match few.get_mut(..args.len()) {
        Some(few) => {
            for (param, arg) in few.iter_mut().zip(args) {
                // SAFETY: the caller's promise.
                *param = unsafe { arg.to_rust() }?;
            }
            few
        }
        None => {
            for arg in args {
                // SAFETY: likewise.
                many.push(unsafe { arg.to_rust() }?);
            }
            &many
        }
    };
    if results_count > 1 {
        bail!("a function of a component has at most one result, not {results_count}");
    }
    if results.is_null() && results_count > 0 {
        return Err(missing());
    }
    let mut result = [FALSE];
    let answer = &mut result[..results_count];
    it.store
        .with(|mut context| it.func.call(context.as_context_mut(), params, answer))?;
    let [result] = result;
    if results_count == 1 {
        // SAFETY: one value can be written there, and what was there is not owned.
        unsafe { results.write(cellwall_component_val_t::from_rust(result)) };
    }
    Ok(())
}

c_api! {
    /// See `component_instance.api`.
    fn cellwall_component_instance_clone(
        instance: *const cellwall_component_instance_t,
    ) -> *mut cellwall_component_instance_t {
        give(unsafe { get(instance) }?.clone())
    }
    /// See `component_instance.api`.
    fn cellwall_component_instance_delete(instance: *mut cellwall_component_instance_t) {
        drop(unsafe { take(instance) });
    }
    /// See `component_instance.api`.
    fn cellwall_component_instance_type(
        instance: *const cellwall_component_instance_t,
    ) -> *mut cellwall_component_instance_type_t {
        let it = unsafe { get(instance) }?;
        let exports = it.store.with(|mut context| it.instance.exports(context.as_context_mut()));
        give(cellwall_component_instance_type_t::of(&exports))
    }
    /// See `component_instance.api`.
    fn cellwall_component_instance_get_export_index(
        instance: *const cellwall_component_instance_t,
        in_instance: *const cellwall_component_export_index_t,
        item_name: *const c_char,
        name_len: usize,
    ) -> *mut cellwall_component_export_index_t {
        let it = unsafe { get(instance) }?;
        let outer = unsafe { get(in_instance) }.map(|outer| &outer.index);
        let name = error::ok(unsafe { name(item_name, name_len) })?;
        let index = it.store.with(|context| it.instance.get_export_index(context, outer, name))?;
        give(cellwall_component_export_index_t { index })
    }
    /// See `component_instance.api`.
    fn cellwall_component_instance_get_func(
        instance: *const cellwall_component_instance_t,
        index: *const cellwall_component_export_index_t,
    ) -> *mut cellwall_component_func_t {
        let (it, index) = unsafe { (get(instance)?, get(index)?) };
        let func = it.store.with(|context| it.instance.get_func(context, &index.index))?;
        give(cellwall_component_func_t { store: it.store.clone(), func })
    }
    /// See `component_instance.api`.
    fn cellwall_component_instance_get_module(
        instance: *const cellwall_component_instance_t,
        index: *const cellwall_component_export_index_t,
    ) -> *mut wasm_module_t {
        let (it, index) = unsafe { (get(instance)?, get(index)?) };
        let module = it.store.with(|context| it.instance.get_module(context, &index.index))?;
        give(wasm_ref_t::of_module(&it.store, module))
    }
    /// See `component_instance.api`.
    fn cellwall_component_instance_get_resource(
        instance: *const cellwall_component_instance_t,
        index: *const cellwall_component_export_index_t,
    ) -> *mut cellwall_component_resource_type_t {
        let (it, index) = unsafe { (get(instance)?, get(index)?) };
        let ty = it.store.with(|context| it.instance.get_resource(context, &index.index))?;
        give(cellwall_component_resource_type_t { ty })
    }
    /// See `component_instance.api`.
    fn cellwall_component_func_type(
        func: *const cellwall_component_func_t,
    ) -> *mut cellwall_component_func_type_t {
        let it = unsafe { get(func) }?;
        let ty = it.store.with(|context| it.func.ty(context));
        give(cellwall_component_func_type_t::of(&ty))
    }
    /// See `component_instance.api`.
    fn cellwall_component_func_call(
        func: *const cellwall_component_func_t,
        args: *const cellwall_component_val_t,
        args_count: usize,
        results: *mut cellwall_component_val_t,
        results_count: usize,
    ) -> *mut cellwall_error_t {
        // Of our own: what it calls may delete the function, and the store.
        let it = unsafe { get(func) }.cloned();
        attempt_in(it.as_ref().map(|it| &it.store), || {
            let it = it.as_ref().ok_or_else(missing)?;
            let args = match args.is_null() {
                true if args_count > 0 => return Err(missing()),
                true => &[],
                false => unsafe { slice::from_raw_parts(args, args_count) },
            };
            unsafe { call(it, args, results, results_count) }
        })
    }
    /// See `component_instance.api`.
    fn cellwall_component_func_clone(func: *const cellwall_component_func_t) -> *mut cellwall_component_func_t {
        give(unsafe { get(func) }?.clone())
    }
    /// See `component_instance.api`.
    fn cellwall_component_func_delete(func: *mut cellwall_component_func_t) {
        drop(unsafe { take(func) });
    }
}
