//! Values.

use crate::refs::{Object, Payload, wasm_ref_t};
use crate::store::{StoreCell, wasm_store_t};
use crate::types::{ANYREF, EXNREF, EXTERNREF, F32, F64, FUNCREF, I32, I64, V128, wasm_valkind_t};
use crate::vec::{Element, put, vector};
use crate::{c_api, get, give, take};
use cellwall_rs::{self as rt, Val, bail};
use std::ptr;
use std::sync::Arc;

/// A value; owned ones own their reference.
#[repr(C)]
pub struct wasm_val_t {
    /// Which of the values it is.
    pub kind: wasm_valkind_t,
    /// The value.
    pub of: Of,
}

/// The value of a [`wasm_val_t`].
#[repr(C)]
#[derive(Clone, Copy)]
pub union Of {
    pub(crate) i32: i32,
    pub(crate) i64: i64,
    pub(crate) f32: u32,
    pub(crate) f64: u64,
    pub(crate) reference: *mut wasm_ref_t,
    /// Of a vector, its bytes; null is zero.
    pub(crate) v128: *mut [u8; 16],
}

impl wasm_val_t {
    /// Whether its field is a reference.
    fn is_ref(&self) -> bool {
        self.kind >= EXTERNREF
    }

    /// The zero or null of a kind.
    pub(crate) fn default_of(kind: wasm_valkind_t) -> Self {
        // All fields of the union are there, the widest zero.
        let of = match kind {
            V128 => Of {
                v128: ptr::null_mut(),
            },
            EXTERNREF.. => Of {
                reference: ptr::null_mut(),
            },
            _ => Of { i64: 0 },
        };
        Self { kind, of }
    }

    /// To the Rust API.
    ///
    /// # Safety
    /// The kind says which field is there; a reference is valid or null.
    pub(crate) unsafe fn to_rust(&self, store: &StoreCell) -> rt::Result<Val> {
        // SAFETY: by kind, as the caller says.
        Ok(unsafe {
            match self.kind {
                I32 => Val::I32(self.of.i32),
                I64 => Val::I64(self.of.i64),
                F32 => Val::F32(self.of.f32),
                F64 => Val::F64(self.of.f64),
                FUNCREF => match get(self.of.reference).map(|it| &it.object) {
                    None => Val::FuncRef(None),
                    Some(Object::Func(func)) => Val::FuncRef(Some(*func)),
                    Some(_) => bail!("a reference that is not to a function cannot be a funcref"),
                },
                EXTERNREF => match get(self.of.reference) {
                    None => Val::ExternRef(None),
                    Some(it) => Val::ExternRef(Some(externref(store, it)?)),
                },
                EXNREF => match get(self.of.reference).map(|it| &it.object) {
                    None => Val::ExnRef(None),
                    Some(Object::Exn(exception)) => Val::ExnRef(Some(*exception)),
                    Some(_) => bail!("a reference that is not to an exception cannot be an exnref"),
                },
                ANYREF => match get(self.of.reference).map(|it| &it.object) {
                    None => Val::AnyRef(None),
                    Some(Object::Any(number)) => Val::AnyRef(Some(*number)),
                    Some(_) => bail!("a reference that is not to a number cannot be an anyref"),
                },
                V128 => Val::V128(u128::from_le_bytes(get(self.of.v128).copied().unwrap_or_default()).into()),
                kind => bail!("there is no kind {kind} of values"),
            }
        })
    }

    /// From the Rust API; the result is owned.
    pub(crate) fn from_rust(store: &Arc<StoreCell>, value: Val) -> Self {
        let (kind, of) = match value {
            Val::I32(i32) => (I32, Of { i32 }),
            Val::I64(i64) => (I64, Of { i64 }),
            Val::F32(f32) => (F32, Of { f32 }),
            Val::F64(f64) => (F64, Of { f64 }),
            Val::FuncRef(func) => (FUNCREF, of_ref(store, func.map(Object::Func))),
            Val::ExternRef(value) => (
                EXTERNREF,
                of_ref(store, value.and_then(|value| referent(store, value))),
            ),
            Val::V128(bits) => {
                let v128 = give(bits.as_u128().to_le_bytes());
                (V128, Of { v128 })
            }
            Val::ExnRef(exception) => (EXNREF, of_ref(store, exception.map(Object::Exn))),
            Val::AnyRef(number) => (ANYREF, of_ref(store, number.map(Object::Any))),
        };
        Self { kind, of }
    }
}

/// What guest code sees of something of C's.
fn externref(store: &StoreCell, it: &wasm_ref_t) -> rt::Result<rt::Rooted<rt::ExternRef>> {
    if !ptr::eq(&*it.store, store) {
        bail!("a reference of one store cannot be used in another");
    }
    store.root(it.object.key(), || Payload(it.object.clone()))
}

fn of_ref(store: &Arc<StoreCell>, object: Option<Object>) -> Of {
    Of {
        reference: object.map_or(ptr::null_mut(), |object| give(wasm_ref_t::new(store, object))),
    }
}

/// What a reference that guest code held stands for.
fn referent(store: &Arc<StoreCell>, value: rt::Rooted<rt::ExternRef>) -> Option<Object> {
    store.with(|context| {
        let data = value.data(&context).ok()??;
        Some(data.downcast_ref::<Payload>()?.0.clone())
    })
}

/// A reference, for a table, from what C passes.
///
/// # Safety
/// The pointer is valid or null.
pub(crate) unsafe fn to_rust_ref(
    store: &StoreCell,
    it: *const wasm_ref_t,
    element: &rt::RefType,
) -> rt::Result<rt::Ref> {
    // SAFETY: the caller's promise.
    let it = unsafe { get(it) };
    Ok(match (it, rt::Ref::null(element.heap_type())) {
        (None, null) => null,
        (Some(it), rt::Ref::Func(_)) => match &it.object {
            Object::Func(func) => rt::Ref::Func(Some(*func)),
            _ => bail!("a reference that is not to a function cannot be in a table of functions"),
        },
        (Some(it), rt::Ref::Exn(_)) => match &it.object {
            Object::Exn(exception) => rt::Ref::Exn(Some(*exception)),
            _ => bail!("a reference that is not to an exception cannot be in a table of exceptions"),
        },
        (Some(it), rt::Ref::Any(_)) => match &it.object {
            Object::Any(number) => rt::Ref::Any(Some(*number)),
            _ => bail!("a reference that is not to a number cannot be in a table of numbers"),
        },
        (Some(it), rt::Ref::Extern(_)) => rt::Ref::Extern(Some(externref(store, it)?)),
    })
}

/// A reference, from a table, to C; null for null.
pub(crate) fn from_rust_ref(store: &Arc<StoreCell>, it: rt::Ref) -> *mut wasm_ref_t {
    let object = match it {
        rt::Ref::Func(func) => func.map(Object::Func),
        rt::Ref::Extern(value) => value.and_then(|value| referent(store, value)),
        rt::Ref::Exn(exception) => exception.map(Object::Exn),
        rt::Ref::Any(number) => number.map(Object::Any),
    };
    object.map_or(ptr::null_mut(), |object| give(wasm_ref_t::new(store, object)))
}

impl Element for wasm_val_t {
    fn empty() -> Self {
        Self::default_of(I32)
    }
    unsafe fn copied(&self) -> Self {
        let of = match self.kind {
            // SAFETY: the caller says that the value is valid.
            V128 => match unsafe { get(self.of.v128) } {
                Some(bytes) => Of { v128: give(*bytes) },
                None => Of {
                    v128: ptr::null_mut(),
                },
            },
            // SAFETY: as above.
            EXTERNREF.. => Of {
                reference: unsafe { self.of.reference.copied() },
            },
            _ => self.of,
        };
        Self { kind: self.kind, of }
    }
    unsafe fn deleted(&mut self) {
        if self.is_ref() {
            // SAFETY: the caller says that the value is valid and owned.
            drop(unsafe { take(self.of.reference) });
            self.of.reference = ptr::null_mut();
        } else if self.kind == V128 {
            // SAFETY: as above.
            drop(unsafe { take(self.of.v128) });
            self.of.v128 = ptr::null_mut();
        }
    }
}

vector!(wasm_val_vec_t of wasm_val_t: wasm_val_vec_new_empty wasm_val_vec_new_uninitialized
    wasm_val_vec_new wasm_val_vec_copy wasm_val_vec_delete);

c_api! {
    /// See `val.api`.
    fn cellwall_val_set_v128(out: *mut wasm_val_t, bytes: *const u8) {
        let bytes = unsafe { get(bytes.cast::<[u8; 16]>()) }?;
        let of = Of { v128: give(*bytes) };
        unsafe { put(out, wasm_val_t { kind: V128, of }) }?;
    }
    /// See `val.api`.
    fn cellwall_val_v128(value: *const wasm_val_t, bytes: *mut u8) -> bool {
        let value = unsafe { get(value) }?;
        if value.kind != V128 {
            return None;
        }
        let from = unsafe { get(value.of.v128) }.copied().unwrap_or_default();
        unsafe { put(bytes.cast::<[u8; 16]>(), from) }?;
        true
    }
    /// See `val.api`.
    fn cellwall_i31_new(store: *mut wasm_store_t, number: u32) -> *mut wasm_ref_t {
        let cell = &unsafe { get(store) }?.cell;
        let number = cell.with(|context| rt::AnyRef::from_i31(context, rt::I31::wrapping_u32(number)));
        give(wasm_ref_t::new(cell, Object::Any(number)))
    }
    /// See `val.api`.
    fn cellwall_ref_i31(it: *const wasm_ref_t, out: *mut u32) -> bool {
        let it = unsafe { get(it) }?;
        let Object::Any(number) = it.object else { return None };
        let number = it.store.with(|context| number.as_i31(&context)).ok()??;
        unsafe { put(out, number.get_u32()) }?;
        true
    }
    /// Deletes what a value owns.
    fn wasm_val_delete(value: *mut wasm_val_t) {
        unsafe { value.as_mut()?.deleted() };
    }
    /// A copy that owns its reference.
    fn wasm_val_copy(out: *mut wasm_val_t, value: *const wasm_val_t) {
        let copy = match unsafe { get(value) } {
            Some(value) => unsafe { value.copied() },
            // A value that can be deleted.
            None => wasm_val_t::default_of(I32),
        };
        unsafe { put(out, copy) }?;
    }
}
