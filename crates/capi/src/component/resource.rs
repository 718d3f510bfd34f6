//! Resources: those of the host are a number and the number of a type.

use super::missing;
use crate::extra::{attempt_in, cellwall_error_t, written};
use crate::store::wasm_store_t;
use crate::{c_api, get, give, take};
use cellwall_rs::component::{ResourceAny, ResourceDynamic, ResourceType};

/// The type of a resource.
#[derive(Clone)]
pub struct cellwall_component_resource_type_t {
    pub(crate) ty: ResourceType,
}

/// A handle of a resource.
#[derive(Clone)]
pub struct cellwall_component_resource_any_t {
    pub(crate) any: ResourceAny,
}

/// A resource of the host.
#[derive(Clone)]
pub struct cellwall_component_resource_host_t {
    resource: ResourceDynamic,
}

c_api! {
    /// See `component_resource.api`.
    fn cellwall_component_resource_type_new_host(ty: u32) -> *mut cellwall_component_resource_type_t {
        give(cellwall_component_resource_type_t { ty: ResourceType::host_dynamic(ty) })
    }
    /// See `component_resource.api`.
    fn cellwall_component_resource_type_clone(
        ty: *const cellwall_component_resource_type_t,
    ) -> *mut cellwall_component_resource_type_t {
        give(unsafe { get(ty) }?.clone())
    }
    /// See `component_resource.api`.
    fn cellwall_component_resource_type_equal(
        a: *const cellwall_component_resource_type_t,
        b: *const cellwall_component_resource_type_t,
    ) -> bool {
        unsafe { get(a)?.ty == get(b)?.ty }
    }
    /// See `component_resource.api`.
    fn cellwall_component_resource_type_delete(ty: *mut cellwall_component_resource_type_t) {
        drop(unsafe { take(ty) });
    }
    /// See `component_resource.api`.
    fn cellwall_component_resource_any_type(
        resource: *const cellwall_component_resource_any_t,
    ) -> *mut cellwall_component_resource_type_t {
        give(cellwall_component_resource_type_t { ty: unsafe { get(resource) }?.any.ty() })
    }
    /// See `component_resource.api`.
    fn cellwall_component_resource_any_owned(resource: *const cellwall_component_resource_any_t) -> bool {
        unsafe { get(resource) }?.any.owned()
    }
    /// See `component_resource.api`.
    fn cellwall_component_resource_any_drop(
        store: *mut wasm_store_t,
        resource: *const cellwall_component_resource_any_t,
    ) -> *mut cellwall_error_t {
        // Of our own: what its destructor calls may delete the store.
        let cell = unsafe { get(store) }.map(|store| store.cell.clone());
        attempt_in(cell.as_ref(), || {
            let any = unsafe { get(resource) }.ok_or_else(missing)?.any;
            cell.as_ref().ok_or_else(missing)?.with(|context| any.resource_drop(context))
        })
    }
    /// See `component_resource.api`.
    fn cellwall_component_resource_any_to_host(
        store: *mut wasm_store_t,
        resource: *const cellwall_component_resource_any_t,
        out: *mut *mut cellwall_component_resource_host_t,
    ) -> *mut cellwall_error_t {
        let (store, resource) = unsafe { (get(store), get(resource)) };
        attempt_in(store.map(|store| &store.cell), || {
            let any = resource.ok_or_else(missing)?.any;
            if out.is_null() {
                return Err(missing());
            }
            let cell = &store.ok_or_else(missing)?.cell;
            let resource = cell.with(|context| any.try_into_resource_dynamic(context))?;
            unsafe { written(out, cellwall_component_resource_host_t { resource }) }
        })
    }
    /// See `component_resource.api`.
    fn cellwall_component_resource_any_clone(
        resource: *const cellwall_component_resource_any_t,
    ) -> *mut cellwall_component_resource_any_t {
        give(unsafe { get(resource) }?.clone())
    }
    /// See `component_resource.api`.
    fn cellwall_component_resource_any_delete(resource: *mut cellwall_component_resource_any_t) {
        drop(unsafe { take(resource) });
    }
    /// See `component_resource.api`.
    fn cellwall_component_resource_host_new(
        owned: bool,
        rep: u32,
        ty: u32,
    ) -> *mut cellwall_component_resource_host_t {
        let resource = match owned {
            true => ResourceDynamic::new_own(rep, ty),
            false => ResourceDynamic::new_borrow(rep, ty),
        };
        give(cellwall_component_resource_host_t { resource })
    }
    /// See `component_resource.api`.
    fn cellwall_component_resource_host_rep(resource: *const cellwall_component_resource_host_t) -> u32 {
        unsafe { get(resource) }?.resource.rep()
    }
    /// See `component_resource.api`.
    fn cellwall_component_resource_host_type(resource: *const cellwall_component_resource_host_t) -> u32 {
        unsafe { get(resource) }?.resource.ty()
    }
    /// See `component_resource.api`.
    fn cellwall_component_resource_host_owned(resource: *const cellwall_component_resource_host_t) -> bool {
        unsafe { get(resource) }?.resource.owned()
    }
    /// See `component_resource.api`.
    fn cellwall_component_resource_host_to_any(
        store: *mut wasm_store_t,
        resource: *const cellwall_component_resource_host_t,
        out: *mut *mut cellwall_component_resource_any_t,
    ) -> *mut cellwall_error_t {
        let (store, resource) = unsafe { (get(store), get(resource)) };
        attempt_in(store.map(|store| &store.cell), || {
            let resource = resource.ok_or_else(missing)?.resource;
            if out.is_null() {
                return Err(missing());
            }
            let cell = &store.ok_or_else(missing)?.cell;
            let any = cell.with(|context| resource.try_into_resource_any(context))?;
            unsafe { written(out, cellwall_component_resource_any_t { any }) }
        })
    }
    /// See `component_resource.api`.
    fn cellwall_component_resource_host_clone(
        resource: *const cellwall_component_resource_host_t,
    ) -> *mut cellwall_component_resource_host_t {
        give(unsafe { get(resource) }?.clone())
    }
    /// See `component_resource.api`.
    fn cellwall_component_resource_host_delete(resource: *mut cellwall_component_resource_host_t) {
        drop(unsafe { take(resource) });
    }
}
