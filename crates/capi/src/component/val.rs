//! Values of components, in both directions.
//!
//! Guarantees that what C filled in wrong is an error: a kind that does not exist, a text that is
//! not UTF-8, a null where something must be.

use super::{cellwall_component_resource_any_t, missing};
use crate::vec::{Element, Vector, put, vector, wasm_byte_vec_t};
use crate::{c_api, get, give, take};
use cellwall_rs::component::Val;
use cellwall_rs::{Result, bail, format_err};
use std::mem::ManuallyDrop;
use std::{ptr, slice};

/// A value; it owns what it points to.
#[repr(C)]
pub struct cellwall_component_val_t {
    kind: u8,
    of: cellwall_component_valunion_t,
}

/// The value of a [`cellwall_component_val_t`].
#[repr(C)]
pub union cellwall_component_valunion_t {
    /// 0 or 1.
    boolean: u8,
    s8: i8,
    u8: u8,
    s16: i16,
    u16: u16,
    s32: i32,
    u32: u32,
    s64: i64,
    u64: u64,
    f32: u32,
    f64: u64,
    character: u32,
    string: ManuallyDrop<wasm_byte_vec_t>,
    list: ManuallyDrop<cellwall_component_vallist_t>,
    record: ManuallyDrop<cellwall_component_valrecord_t>,
    variant: ManuallyDrop<cellwall_component_valvariant_t>,
    option: *mut cellwall_component_val_t,
    result: cellwall_component_valresult_t,
    flags: ManuallyDrop<cellwall_component_valflags_t>,
    resource: *mut cellwall_component_resource_any_t,
    map: ManuallyDrop<cellwall_component_valmap_t>,
}

/// A case and its payload.
#[repr(C)]
pub struct cellwall_component_valvariant_t {
    discriminant: wasm_byte_vec_t,
    val: *mut cellwall_component_val_t,
}

/// Which side of a result, and what it has.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct cellwall_component_valresult_t {
    /// 0 or 1.
    is_ok: u8,
    val: *mut cellwall_component_val_t,
}

/// A field of a record.
#[repr(C)]
pub struct cellwall_component_valrecord_entry_t {
    name: wasm_byte_vec_t,
    val: cellwall_component_val_t,
}

/// An entry of a map.
#[repr(C)]
pub struct cellwall_component_valmap_entry_t {
    key: cellwall_component_val_t,
    value: cellwall_component_val_t,
}

vector!(cellwall_component_vallist_t of cellwall_component_val_t: cellwall_component_vallist_new_empty
    cellwall_component_vallist_new_uninit cellwall_component_vallist_new cellwall_component_vallist_copy
    cellwall_component_vallist_delete);
vector!(cellwall_component_valtuple_t of cellwall_component_val_t: cellwall_component_valtuple_new_empty
    cellwall_component_valtuple_new_uninit cellwall_component_valtuple_new cellwall_component_valtuple_copy
    cellwall_component_valtuple_delete);
vector!(cellwall_component_valrecord_t of cellwall_component_valrecord_entry_t:
    cellwall_component_valrecord_new_empty cellwall_component_valrecord_new_uninit
    cellwall_component_valrecord_new cellwall_component_valrecord_copy cellwall_component_valrecord_delete);
vector!(cellwall_component_valflags_t of wasm_byte_vec_t: cellwall_component_valflags_new_empty
    cellwall_component_valflags_new_uninit cellwall_component_valflags_new cellwall_component_valflags_copy
    cellwall_component_valflags_delete);
vector!(cellwall_component_valmap_t of cellwall_component_valmap_entry_t: cellwall_component_valmap_new_empty
    cellwall_component_valmap_new_uninit cellwall_component_valmap_new cellwall_component_valmap_copy
    cellwall_component_valmap_delete);

const BOOL: u8 = 0;
const S8: u8 = 1;
const U8: u8 = 2;
const S16: u8 = 3;
const U16: u8 = 4;
const S32: u8 = 5;
const U32: u8 = 6;
const S64: u8 = 7;
const U64: u8 = 8;
const F32: u8 = 9;
const F64: u8 = 10;
const CHAR: u8 = 11;
const STRING: u8 = 12;
const LIST: u8 = 13;
const RECORD: u8 = 14;
const TUPLE: u8 = 15;
const VARIANT: u8 = 16;
const ENUM: u8 = 17;
const OPTION: u8 = 18;
const RESULT: u8 = 19;
const FLAGS: u8 = 20;
const RESOURCE: u8 = 21;
const MAP: u8 = 22;
const ERROR_CONTEXT: u8 = 23;

/// # Safety
/// The vector is what its fields say.
unsafe fn text(bytes: &wasm_byte_vec_t) -> Result<String> {
    // SAFETY: the caller's promise.
    let bytes = unsafe { bytes.as_slice() };
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text.to_owned()),
        Err(error) => bail!("a string of a component is UTF-8: {error}"),
    }
}

fn of_text(text: &str) -> ManuallyDrop<wasm_byte_vec_t> {
    ManuallyDrop::new(Vector::from_text(text))
}

fn boxed(value: Option<Box<Val>>) -> *mut cellwall_component_val_t {
    value.map_or(ptr::null_mut(), |value| {
        give(cellwall_component_val_t::from_rust(*value))
    })
}

/// # Safety
/// Null or a valid value.
unsafe fn unboxed(value: *const cellwall_component_val_t) -> Result<Option<Box<Val>>> {
    // SAFETY: the caller's promise.
    match unsafe { get(value) } {
        None => Ok(None),
        // SAFETY: likewise.
        Some(value) => Ok(Some(Box::new(unsafe { value.to_rust() }?))),
    }
}

/// # Safety
/// The elements are valid values.
unsafe fn elements(list: &cellwall_component_vallist_t) -> Result<Vec<Val>> {
    // SAFETY: the caller's promise.
    let values = unsafe { list.as_slice() }.iter();
    // SAFETY: likewise.
    values.map(|value| unsafe { value.to_rust() }).collect()
}

fn list_of(values: Vec<Val>) -> ManuallyDrop<cellwall_component_vallist_t> {
    let values = values.into_iter().map(cellwall_component_val_t::from_rust);
    ManuallyDrop::new(Vector::from_vec(values.collect()))
}

impl cellwall_component_val_t {
    /// To the Rust API.
    ///
    /// # Safety
    /// The kind says which field is there, and that field is as the header says.
    pub(crate) unsafe fn to_rust(&self) -> Result<Val> {
        let of = &self.of;
        // SAFETY: by kind, as the caller says.
        Ok(unsafe {
            match self.kind {
                BOOL => Val::Bool(of.boolean != 0),
                S8 => Val::S8(of.s8),
                U8 => Val::U8(of.u8),
                S16 => Val::S16(of.s16),
                U16 => Val::U16(of.u16),
                S32 => Val::S32(of.s32),
                U32 => Val::U32(of.u32),
                S64 => Val::S64(of.s64),
                U64 => Val::U64(of.u64),
                F32 => Val::Float32(f32::from_bits(of.f32)),
                F64 => Val::Float64(f64::from_bits(of.f64)),
                CHAR => {
                    let character = char::from_u32(of.character);
                    let character = character
                        .ok_or_else(|| format_err!("{:#x} is no Unicode scalar value", of.character))?;
                    Val::Char(character)
                }
                STRING => Val::String(text(&of.string)?),
                LIST => Val::List(elements(&of.list)?),
                RECORD => {
                    let field = |field: &cellwall_component_valrecord_entry_t| {
                        Ok((text(&field.name)?, field.val.to_rust()?))
                    };
                    Val::Record(of.record.as_slice().iter().map(field).collect::<Result<_>>()?)
                }
                TUPLE => Val::Tuple(elements(&of.list)?),
                VARIANT => Val::Variant(text(&of.variant.discriminant)?, unboxed(of.variant.val)?),
                ENUM => Val::Enum(text(&of.string)?),
                OPTION => Val::Option(unboxed(of.option)?),
                RESULT => {
                    let value = unboxed(of.result.val)?;
                    Val::Result(match of.result.is_ok {
                        0 => Err(value),
                        _ => Ok(value),
                    })
                }
                FLAGS => {
                    let names = of.flags.as_slice().iter();
                    Val::Flags(names.map(|name| text(name)).collect::<Result<_>>()?)
                }
                RESOURCE => Val::Resource(get(of.resource).ok_or_else(missing)?.any),
                MAP => {
                    let entry = |entry: &cellwall_component_valmap_entry_t| {
                        Ok((entry.key.to_rust()?, entry.value.to_rust()?))
                    };
                    Val::Map(of.map.as_slice().iter().map(entry).collect::<Result<_>>()?)
                }
                ERROR_CONTEXT => Val::ErrorContext(text(&of.string)?.into()),
                kind => bail!("there is no kind {kind} of values of components"),
            }
        })
    }

    /// From the Rust API; the result is owned.
    pub(crate) fn from_rust(value: Val) -> Self {
        type Of = cellwall_component_valunion_t;
        // The widest field of the union first, so that no byte of it is undefined.
        let mut made = Self::empty();
        let (kind, of) = match value {
            Val::Bool(value) => (
                BOOL,
                Of {
                    boolean: value.into(),
                },
            ),
            Val::S8(s8) => (S8, Of { s8 }),
            Val::U8(u8) => (U8, Of { u8 }),
            Val::S16(s16) => (S16, Of { s16 }),
            Val::U16(u16) => (U16, Of { u16 }),
            Val::S32(s32) => (S32, Of { s32 }),
            Val::U32(u32) => (U32, Of { u32 }),
            Val::S64(s64) => (S64, Of { s64 }),
            Val::U64(u64) => (U64, Of { u64 }),
            Val::Float32(value) => (F32, Of { f32: value.to_bits() }),
            Val::Float64(value) => (F64, Of { f64: value.to_bits() }),
            Val::Char(value) => (
                CHAR,
                Of {
                    character: value.into(),
                },
            ),
            Val::String(value) => (
                STRING,
                Of {
                    string: of_text(&value),
                },
            ),
            Val::List(values) => (
                LIST,
                Of {
                    list: list_of(values),
                },
            ),
            Val::Record(fields) => {
                let field = |(name, value): (String, Val)| cellwall_component_valrecord_entry_t {
                    name: Vector::from_text(&name),
                    val: Self::from_rust(value),
                };
                let record = Vector::from_vec(fields.into_iter().map(field).collect());
                (
                    RECORD,
                    Of {
                        record: ManuallyDrop::new(record),
                    },
                )
            }
            Val::Tuple(values) => (
                TUPLE,
                Of {
                    list: list_of(values),
                },
            ),
            Val::Variant(name, value) => {
                let variant = cellwall_component_valvariant_t {
                    discriminant: Vector::from_text(&name),
                    val: boxed(value),
                };
                (
                    VARIANT,
                    Of {
                        variant: ManuallyDrop::new(variant),
                    },
                )
            }
            Val::Enum(name) => (
                ENUM,
                Of {
                    string: of_text(&name),
                },
            ),
            Val::Option(value) => (OPTION, Of { option: boxed(value) }),
            Val::Result(value) => {
                let is_ok = value.is_ok().into();
                let (Ok(value) | Err(value)) = value;
                let result = cellwall_component_valresult_t {
                    is_ok,
                    val: boxed(value),
                };
                (RESULT, Of { result })
            }
            Val::Flags(names) => {
                let names = names.iter().map(|name| Vector::from_text(name));
                let flags = Vector::from_vec(names.collect());
                (
                    FLAGS,
                    Of {
                        flags: ManuallyDrop::new(flags),
                    },
                )
            }
            Val::Resource(any) => {
                let resource = give(cellwall_component_resource_any_t { any });
                (RESOURCE, Of { resource })
            }
            Val::Map(entries) => {
                let entry = |(key, value): (Val, Val)| cellwall_component_valmap_entry_t {
                    key: Self::from_rust(key),
                    value: Self::from_rust(value),
                };
                let map = Vector::from_vec(entries.into_iter().map(entry).collect());
                (
                    MAP,
                    Of {
                        map: ManuallyDrop::new(map),
                    },
                )
            }
            Val::ErrorContext(message) => (
                ERROR_CONTEXT,
                Of {
                    string: of_text(&message),
                },
            ),
            // A value that this header does not know yet.
            _ => return made,
        };
        (made.kind, made.of) = (kind, of);
        made
    }
}

/// A copy of a payload.
///
/// # Safety
/// Null or a valid value.
unsafe fn copied(value: *const cellwall_component_val_t) -> *mut cellwall_component_val_t {
    // SAFETY: the caller's promise.
    match unsafe { get(value) } {
        // SAFETY: likewise.
        Some(value) => give(unsafe { value.copied() }),
        None => ptr::null_mut(),
    }
}

/// Deletes a payload.
///
/// # Safety
/// Null, or valid and owned.
unsafe fn deleted(value: *mut cellwall_component_val_t) {
    // SAFETY: the caller's promise.
    if let Some(mut value) = unsafe { take(value) } {
        // SAFETY: likewise.
        unsafe { value.deleted() };
    }
}

impl Element for cellwall_component_val_t {
    fn empty() -> Self {
        let variant = cellwall_component_valvariant_t {
            discriminant: Vector::from_vec(Vec::new()),
            val: ptr::null_mut(),
        };
        let of = cellwall_component_valunion_t {
            variant: ManuallyDrop::new(variant),
        };
        Self { kind: BOOL, of }
    }

    unsafe fn copied(&self) -> Self {
        type Of = cellwall_component_valunion_t;
        let of = &self.of;
        // SAFETY: by kind; the caller says that the value is valid.
        let of = unsafe {
            match self.kind {
                STRING | ENUM | ERROR_CONTEXT => Of {
                    string: ManuallyDrop::new(of.string.copied()),
                },
                LIST | TUPLE => Of {
                    list: ManuallyDrop::new(of.list.copied()),
                },
                RECORD => Of {
                    record: ManuallyDrop::new(of.record.copied()),
                },
                VARIANT => {
                    let variant = cellwall_component_valvariant_t {
                        discriminant: of.variant.discriminant.copied(),
                        val: copied(of.variant.val),
                    };
                    Of {
                        variant: ManuallyDrop::new(variant),
                    }
                }
                OPTION => Of {
                    option: copied(of.option),
                },
                RESULT => {
                    let result = cellwall_component_valresult_t {
                        is_ok: of.result.is_ok,
                        val: copied(of.result.val),
                    };
                    Of { result }
                }
                FLAGS => Of {
                    flags: ManuallyDrop::new(of.flags.copied()),
                },
                RESOURCE => Of {
                    resource: of.resource.copied(),
                },
                MAP => Of {
                    map: ManuallyDrop::new(of.map.copied()),
                },
                // Numbers own nothing.
                _ => ptr::read(of),
            }
        };
        Self { kind: self.kind, of }
    }

    unsafe fn deleted(&mut self) {
        let of = &mut self.of;
        // SAFETY: by kind; the caller says that the value is valid and owned.
        unsafe {
            match self.kind {
                STRING | ENUM | ERROR_CONTEXT => of.string.delete(),
                LIST | TUPLE => of.list.delete(),
                RECORD => of.record.delete(),
                VARIANT => {
                    (*of.variant).discriminant.delete();
                    deleted(of.variant.val);
                }
                OPTION => deleted(of.option),
                RESULT => deleted(of.result.val),
                FLAGS => of.flags.delete(),
                RESOURCE => drop(take(of.resource)),
                MAP => of.map.delete(),
                _ => {}
            }
        }
        // Deleting it again does nothing.
        *self = Self::empty();
    }
}

impl Element for wasm_byte_vec_t {
    fn empty() -> Self {
        Vector::from_vec(Vec::new())
    }
    unsafe fn copied(&self) -> Self {
        // SAFETY: the caller's promise.
        unsafe { Vector::copied(self) }
    }
    unsafe fn deleted(&mut self) {
        // SAFETY: likewise.
        unsafe { self.delete() };
    }
}

impl Element for cellwall_component_valrecord_entry_t {
    fn empty() -> Self {
        Self {
            name: Element::empty(),
            val: Element::empty(),
        }
    }
    unsafe fn copied(&self) -> Self {
        // SAFETY: the caller's promise.
        unsafe {
            Self {
                name: Vector::copied(&self.name),
                val: self.val.copied(),
            }
        }
    }
    unsafe fn deleted(&mut self) {
        // SAFETY: likewise.
        unsafe {
            self.name.delete();
            self.val.deleted();
        }
    }
}

impl Element for cellwall_component_valmap_entry_t {
    fn empty() -> Self {
        Self {
            key: Element::empty(),
            value: Element::empty(),
        }
    }
    unsafe fn copied(&self) -> Self {
        // SAFETY: the caller's promise.
        unsafe {
            Self {
                key: self.key.copied(),
                value: self.value.copied(),
            }
        }
    }
    unsafe fn deleted(&mut self) {
        // SAFETY: likewise.
        unsafe {
            self.key.deleted();
            self.value.deleted();
        }
    }
}

c_api! {
    /// See `component_val.api`.
    fn cellwall_component_val_new(value: *mut cellwall_component_val_t) -> *mut cellwall_component_val_t {
        let value = unsafe { value.as_mut() }?;
        give(std::mem::replace(value, Element::empty()))
    }
    /// See `component_val.api`.
    fn cellwall_component_val_free(value: *mut cellwall_component_val_t) {
        unsafe { deleted(value) };
    }
    /// See `component_val.api`.
    fn cellwall_component_val_clone(value: *const cellwall_component_val_t, out: *mut cellwall_component_val_t) {
        let copy = unsafe { get(value)?.copied() };
        unsafe { put(out, copy) }?;
    }
    /// See `component_val.api`.
    fn cellwall_component_val_delete(value: *mut cellwall_component_val_t) {
        unsafe { value.as_mut()?.deleted() };
    }
    /// See `component_val.api`.
    fn cellwall_component_vallist_new_bytes(
        out: *mut cellwall_component_vallist_t,
        size: usize,
        bytes: *const u8,
    ) {
        let bytes = match bytes.is_null() {
            true if size > 0 => return None,
            true => &[],
            false => unsafe { slice::from_raw_parts(bytes, size) },
        };
        let values = bytes.iter().map(|&byte| cellwall_component_val_t::from_rust(Val::U8(byte)));
        unsafe { put(out, Vector::from_vec(values.collect())) }?;
    }
    /// See `component_val.api`.
    fn cellwall_component_vallist_bytes(
        list: *const cellwall_component_vallist_t,
        bytes: *mut u8,
        size: usize,
    ) -> bool {
        let values = unsafe { get(list)?.as_slice() };
        if values.len() != size || values.iter().any(|value| value.kind != U8) {
            return Some(false);
        }
        if size > 0 && bytes.is_null() {
            return None;
        }
        for (at, value) in values.iter().enumerate() {
            // SAFETY: there is room for `size` bytes; all are of the kind, as was just checked.
            unsafe { bytes.add(at).write(value.of.u8) };
        }
        true
    }
}
