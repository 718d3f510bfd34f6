//! Instances.

use crate::externals::wasm_extern_vec_t;
use crate::module::module;
use crate::refs::{Object, external, object, wasm_instance_t, wasm_module_t, wasm_ref_t, wasm_trap_t};
use crate::store::{StoreCell, wasm_store_t};
use crate::vec::{Vector, clear, put};
use crate::{c_api, get, give, trap};
use cellwall_rs::{self as rt, Error, Instance, Module, Result};
use std::ptr;
use std::sync::Arc;

/// Makes an instance.
///
/// # Safety
/// The imports are valid, or null.
unsafe fn new(cell: &Arc<StoreCell>, module: &Module, imports: &[*mut wasm_ref_t]) -> Result<Instance> {
    let import = |&import: &*mut wasm_ref_t| {
        // SAFETY: the caller's promise.
        let import = unsafe { get(import) };
        import.and_then(|import| external(&import.object))
    };
    let imports: Option<Vec<rt::Extern>> = imports.iter().map(import).collect();
    let imports = imports.ok_or_else(|| Error::msg("an import is null"))?;
    cell.with(|context| Instance::new(context, module, &imports))
}

c_api! {
    /// Makes an instance with these imports, in the order of the module's, and runs its start
    /// function. Null if that fails; then the reason is in `out`, if that is not null.
    fn wasm_instance_new(
        store: *mut wasm_store_t,
        it: *const wasm_module_t,
        imports: *const wasm_extern_vec_t,
        out: *mut *mut wasm_trap_t,
    ) -> *mut wasm_instance_t {
        // Of our own: what the start function calls may delete the store, and the module.
        let cell = &unsafe { get(store) }?.cell.clone();
        if let Some(out) = unsafe { out.as_mut() } {
            *out = ptr::null_mut();
        }
        let imports = unsafe { get(imports) }.map_or(&[][..], |imports| unsafe { imports.as_slice() });
        let module = module(unsafe { get(it) }?)?.clone();
        match unsafe { new(cell, &module, imports) } {
            Ok(instance) => give(wasm_ref_t::new(cell, Object::Instance(instance))),
            Err(error) => {
                if let Some(out) = unsafe { out.as_mut() } {
                    *out = give(trap::from_error(cell, &error));
                }
                crate::error::record(error);
                return None;
            }
        }
    }
    /// What it exports, in order.
    fn wasm_instance_exports(it: *const wasm_instance_t, out: *mut wasm_extern_vec_t) {
        unsafe { clear(out) };
        let it = unsafe { get(it) }?;
        let Object::Instance(instance) = it.object else {
            return None;
        };
        let exports = it.store.with(|context| {
            let exports = instance.exports(context);
            exports.map(|export| object(export.into_extern())).collect::<Vec<_>>()
        });
        let exports = exports.into_iter().map(|object| give(wasm_ref_t::new(&it.store, object)));
        unsafe { put(out, Vector::from_vec(exports.collect())) }?;
    }
}
