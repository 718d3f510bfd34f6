//! Tags and exceptions: `exception.api` in C.
//!
//! Guarantees that an exception is a value: what a guest throws and nobody catches is in the trap that its call ends
//! with, and a host function that ends with that trap, or with one of its own exceptions, throws it in its guest.

use crate::extra::{attempt, cellwall_error_t, null, written};
use crate::refs::{Object, cellwall_exn_t, wasm_extern_t, wasm_ref_t, wasm_trap_t};
use crate::store::wasm_store_t;
use crate::trap::TrapObject;
use crate::types::wasm_tagtype_t;
use crate::val::{wasm_val_t, wasm_val_vec_t};
use crate::vec::{Vector, clear, put};
use crate::{c_api, error, get, give, take};
use cellwall_rs::{self as rt, AsContextMut, ExnRefPre, ExnType, Result, Tag, bail};
use std::ptr;
use std::sync::Arc;

/// The exception behind a reference.
fn exception(it: &wasm_ref_t) -> Option<rt::Rooted<rt::ExnRef>> {
    match it.object {
        Object::Exn(exception) => Some(exception),
        _ => None,
    }
}

/// Makes an exception.
///
/// # Safety
/// The values are valid.
unsafe fn new(store: &wasm_store_t, tag: &wasm_extern_t, fields: &[wasm_val_t]) -> Result<wasm_ref_t> {
    let tag = match tag.object {
        Object::Tag(it) if Arc::ptr_eq(&tag.store, &store.cell) => it,
        Object::Tag(_) => bail!("a tag of one store cannot be used in another"),
        _ => bail!("not a tag"),
    };
    // SAFETY: the caller's promise.
    let fields = fields.iter().map(|field| unsafe { field.to_rust(&store.cell) });
    let fields: Vec<rt::Val> = fields.collect::<Result<_>>()?;
    let made = store.cell.with(|mut context| {
        let ty = ExnType::from_tag_type(&tag.ty(&context))?;
        let pre = ExnRefPre::new(context.as_context_mut(), ty);
        rt::ExnRef::new(context, &pre, &tag, &fields)
    });
    Ok(wasm_ref_t::new(&store.cell, Object::Exn(made?)))
}

c_api! {
    /// See `exception.api`.
    fn cellwall_tag_new(
        store: *mut wasm_store_t,
        ty: *const wasm_tagtype_t,
        out: *mut *mut wasm_extern_t,
    ) -> *mut cellwall_error_t {
        let (Some(store), Some(ty)) = (unsafe { (get(store), get(ty)) }) else {
            return Some(null());
        };
        attempt(|| {
            let Some(ty) = ty.to_tag(store.cell.engine()) else {
                bail!("not the type of a tag");
            };
            let tag = store.cell.with(|context| Tag::new(context, &ty))?;
            unsafe { written(out, wasm_ref_t::new(&store.cell, Object::Tag(tag))) }
        })
    }
    /// See `exception.api`.
    fn cellwall_exn_new(
        store: *mut wasm_store_t,
        tag: *const wasm_extern_t,
        fields: *const wasm_val_vec_t,
        out: *mut *mut cellwall_exn_t,
    ) -> *mut cellwall_error_t {
        let (Some(store), Some(tag)) = (unsafe { (get(store), get(tag)) }) else {
            return Some(null());
        };
        attempt(|| {
            let fields = unsafe { get(fields) }.map_or(&[][..], |fields| unsafe { fields.as_slice() });
            unsafe { written(out, new(store, tag, fields)?) }
        })
    }
    /// See `exception.api`.
    fn cellwall_exn_delete(exn: *mut cellwall_exn_t) {
        drop(unsafe { take(exn) });
    }
    /// See `exception.api`.
    fn cellwall_exn_copy(exn: *const cellwall_exn_t) -> *mut cellwall_exn_t {
        give(unsafe { get(exn) }?.clone())
    }
    /// See `exception.api`.
    fn cellwall_exn_as_ref(exn: *mut cellwall_exn_t) -> *mut wasm_ref_t {
        exn
    }
    /// See `exception.api`.
    fn cellwall_ref_as_exn(it: *mut wasm_ref_t) -> *mut cellwall_exn_t {
        match exception(unsafe { get(it) }?) {
            Some(_) => it,
            None => ptr::null_mut(),
        }
    }
    /// See `exception.api`.
    fn cellwall_exn_tag(exn: *const cellwall_exn_t) -> *mut wasm_extern_t {
        let it = unsafe { get(exn) }?;
        let exception = exception(it)?;
        let tag = error::ok(it.store.with(|context| exception.tag(context)))?;
        give(wasm_ref_t::new(&it.store, Object::Tag(tag)))
    }
    /// See `exception.api`.
    fn cellwall_exn_fields(exn: *const cellwall_exn_t, out: *mut wasm_val_vec_t) {
        unsafe { clear(out) };
        let it = unsafe { get(exn) }?;
        let exception = exception(it)?;
        let fields = it.store.with(|context| Ok(exception.fields(context)?.collect::<Vec<_>>()));
        let fields = error::ok(fields)?.into_iter().map(|field| wasm_val_t::from_rust(&it.store, field));
        unsafe { put(out, Vector::from_vec(fields.collect())) }?;
    }
    /// See `exception.api`.
    fn cellwall_exn_throw(exn: *const cellwall_exn_t) -> *mut wasm_trap_t {
        let it = unsafe { get(exn) }?;
        let trap = TrapObject::throwing(exception(it)?);
        give(wasm_ref_t::new(&it.store, Object::Trap(Arc::new(trap))))
    }
    /// See `exception.api`.
    fn cellwall_trap_exn(trap: *const wasm_trap_t) -> *mut cellwall_exn_t {
        let it = unsafe { get(trap) }?;
        let Object::Trap(object) = &it.object else {
            return None;
        };
        give(wasm_ref_t::new(&it.store, Object::Exn(object.exception?)))
    }
}
