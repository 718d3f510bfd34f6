//! Modules.

use crate::refs::{Object, wasm_module_t, wasm_ref_t};
use crate::store::wasm_store_t;
use crate::types::{wasm_exporttype_t, wasm_exporttype_vec_t, wasm_importtype_t, wasm_importtype_vec_t};
use crate::vec::{Vector, clear, put, wasm_byte_vec_t};
use crate::{c_api, error, get, give, take};
use cellwall_rs::Module;

/// A module that is not of one store, to be passed to another thread.
pub struct wasm_shared_module_t {
    module: Module,
}

/// The Rust module behind a reference.
pub(crate) fn module(it: &wasm_module_t) -> Option<&Module> {
    match &it.object {
        Object::Module(it) => Some(&it.module),
        _ => None,
    }
}

c_api! {
    /// Compiles a binary; null if it is not a valid module.
    fn wasm_module_new(store: *mut wasm_store_t, binary: *const wasm_byte_vec_t) -> *mut wasm_module_t {
        let cell = &unsafe { get(store) }?.cell;
        let binary = unsafe { get(binary)?.as_slice() };
        let module = error::ok(Module::from_binary(cell.engine(), binary))?;
        give(wasm_ref_t::of_module(cell, module))
    }
    /// Whether a binary is a valid module.
    fn wasm_module_validate(store: *mut wasm_store_t, binary: *const wasm_byte_vec_t) -> bool {
        let cell = &unsafe { get(store) }?.cell;
        let binary = unsafe { get(binary)?.as_slice() };
        error::ok(Module::validate(cell.engine(), binary))?;
        true
    }
    /// What it imports, in order.
    fn wasm_module_imports(it: *const wasm_module_t, out: *mut wasm_importtype_vec_t) {
        unsafe { clear(out) };
        let imports = module(unsafe { get(it) }?)?.imports();
        let imports = imports.map(|import| give(wasm_importtype_t::from_rust(&import))).collect();
        unsafe { put(out, Vector::from_vec(imports)) }?;
    }
    /// What it exports, in order.
    fn wasm_module_exports(it: *const wasm_module_t, out: *mut wasm_exporttype_vec_t) {
        unsafe { clear(out) };
        let exports = module(unsafe { get(it) }?)?.exports();
        let exports = exports.map(|export| give(wasm_exporttype_t::from_rust(&export))).collect();
        unsafe { put(out, Vector::from_vec(exports)) }?;
    }
    /// The compiled module as bytes; empty if that fails.
    fn wasm_module_serialize(it: *const wasm_module_t, out: *mut wasm_byte_vec_t) {
        unsafe { clear(out) };
        let bytes = error::ok(module(unsafe { get(it) }?)?.serialize()).unwrap_or_default();
        unsafe { put(out, Vector::from_vec(bytes)) }?;
    }
    /// The module from such bytes, from wherever: the code is proven before it can run. Null if it
    /// is not.
    fn wasm_module_deserialize(store: *mut wasm_store_t, bytes: *const wasm_byte_vec_t) -> *mut wasm_module_t {
        let cell = &unsafe { get(store) }?.cell;
        let bytes = unsafe { get(bytes)?.as_slice() };
        let module = error::ok(Module::deserialize(cell.engine(), bytes))?;
        give(wasm_ref_t::of_module(cell, module))
    }
    /// The module without its store.
    fn wasm_module_share(it: *const wasm_module_t) -> *mut wasm_shared_module_t {
        let module = module(unsafe { get(it) }?)?.clone();
        give(wasm_shared_module_t { module })
    }
    /// The module in a store of the same engine; null in one of another.
    fn wasm_module_obtain(store: *mut wasm_store_t, shared: *const wasm_shared_module_t) -> *mut wasm_module_t {
        let cell = &unsafe { get(store) }?.cell;
        let module = unsafe { get(shared) }?.module.clone();
        if !cellwall_rs::Engine::same(module.engine(), cell.engine()) {
            error::record(cellwall_rs::Error::msg("the module is of another engine than the store"));
            return None;
        }
        give(wasm_ref_t::of_module(cell, module))
    }
    /// Deletes it.
    fn wasm_shared_module_delete(it: *mut wasm_shared_module_t) {
        drop(unsafe { take(it) });
    }
}
