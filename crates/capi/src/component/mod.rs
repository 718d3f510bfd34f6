//! Components: `component*.api` in C.
//!
//! Guarantees that an index, instance or function of another component or store is refused, not
//! followed.

mod instance;
mod linker;
mod resource;
mod types;
mod val;

pub use instance::*;
pub use linker::*;
pub use resource::*;
pub use types::*;
pub use val::*;

use crate::extra::{attempt, bytes, cellwall_error_t, text, written};
use crate::store::wasm_engine_t;
use crate::vec::{Vector, put, wasm_byte_vec_t};
use crate::{c_api, get, give, take};
use cellwall_rs::component::{Component, ComponentExportIndex};
use cellwall_rs::{Engine, Error, Result};
use std::ffi::c_char;

/// A compiled component.
pub struct cellwall_component_t {
    pub(crate) component: Component,
}

/// Where an export is.
pub struct cellwall_component_export_index_t {
    pub(crate) index: ComponentExportIndex,
}

/// A name that C passes with its length.
///
/// # Safety
/// Null with length 0, or as many bytes.
pub(crate) unsafe fn name<'a>(name: *const c_char, length: usize) -> Result<&'a str> {
    // SAFETY: the caller's promise.
    Ok(std::str::from_utf8(unsafe { bytes(name.cast(), length) }?)?)
}

/// What a null argument is answered with.
pub(crate) fn missing() -> Error {
    Error::msg("an argument is null")
}

/// Makes a component where C wants it.
///
/// # Safety
/// `engine` and `out` are null or valid.
unsafe fn make(
    engine: *const wasm_engine_t,
    out: *mut *mut cellwall_component_t,
    make: impl FnOnce(&Engine) -> Result<Component>,
) -> *mut cellwall_error_t {
    attempt(|| {
        // SAFETY: the caller's promise.
        let engine = unsafe { get(engine) }.ok_or_else(missing)?;
        let component = make(&engine.engine)?;
        // SAFETY: likewise.
        unsafe { written(out, cellwall_component_t { component }) }
    })
}

c_api! {
    /// See `component.api`.
    fn cellwall_component_new(
        engine: *const wasm_engine_t,
        data: *const u8,
        length: usize,
        out: *mut *mut cellwall_component_t,
    ) -> *mut cellwall_error_t {
        unsafe { make(engine, out, |engine| Component::new(engine, bytes(data, length)?)) }
    }
    /// See `component.api`.
    fn cellwall_component_validate(
        engine: *const wasm_engine_t,
        data: *const u8,
        length: usize,
    ) -> *mut cellwall_error_t {
        attempt(|| {
            let engine = unsafe { get(engine) }.ok_or_else(missing)?;
            Component::validate(&engine.engine, unsafe { bytes(data, length) }?)
        })
    }
    /// See `component.api`.
    fn cellwall_component_serialize(
        component: *const cellwall_component_t,
        out: *mut wasm_byte_vec_t,
    ) -> *mut cellwall_error_t {
        attempt(|| {
            let bytes = unsafe { get(component) }.ok_or_else(missing)?.component.serialize()?;
            unsafe { put(out, Vector::from_vec(bytes)) }.ok_or_else(missing)
        })
    }
    /// See `component.api`.
    fn cellwall_component_deserialize(
        engine: *const wasm_engine_t,
        data: *const u8,
        length: usize,
        out: *mut *mut cellwall_component_t,
    ) -> *mut cellwall_error_t {
        unsafe { make(engine, out, |engine| Component::deserialize(engine, bytes(data, length)?)) }
    }
    /// See `component.api`.
    fn cellwall_component_deserialize_file(
        engine: *const wasm_engine_t,
        path: *const c_char,
        out: *mut *mut cellwall_component_t,
    ) -> *mut cellwall_error_t {
        unsafe { make(engine, out, |engine| Component::deserialize_file(engine, text(path)?)) }
    }
    /// See `component.api`.
    fn cellwall_component_clone(component: *const cellwall_component_t) -> *mut cellwall_component_t {
        let component = unsafe { get(component) }?.component.clone();
        give(cellwall_component_t { component })
    }
    /// See `component.api`.
    fn cellwall_component_delete(component: *mut cellwall_component_t) {
        drop(unsafe { take(component) });
    }
    /// See `component.api`.
    fn cellwall_component_type(component: *const cellwall_component_t) -> *mut cellwall_component_type_t {
        give(cellwall_component_type_t::of(&unsafe { get(component) }?.component))
    }
    /// See `component.api`.
    fn cellwall_component_get_export_index(
        component: *const cellwall_component_t,
        instance: *const cellwall_component_export_index_t,
        item_name: *const c_char,
        name_len: usize,
    ) -> *mut cellwall_component_export_index_t {
        let component = &unsafe { get(component) }?.component;
        let instance = unsafe { get(instance) }.map(|instance| &instance.index);
        let name = crate::error::ok(unsafe { name(item_name, name_len) })?;
        let index = component.get_export_index(instance, name)?;
        give(cellwall_component_export_index_t { index })
    }
    /// See `component.api`.
    fn cellwall_component_export_index_clone(
        index: *const cellwall_component_export_index_t,
    ) -> *mut cellwall_component_export_index_t {
        let index = unsafe { get(index) }?.index.clone();
        give(cellwall_component_export_index_t { index })
    }
    /// See `component.api`.
    fn cellwall_component_export_index_delete(index: *mut cellwall_component_export_index_t) {
        drop(unsafe { take(index) });
    }
}
