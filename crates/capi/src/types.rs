//! Types of values and externals.
//!
//! All external types are one Rust type, so that a function type is an external type at the same
//! address.

use crate::vec::{Vector, vector, wasm_byte_vec_t};
use crate::{c_api, get, give, take};
use cellwall_rs::{self as rt, ExternType, HeapType, Mutability, RefType, ValType};

/// Kind of a value.
pub type wasm_valkind_t = u8;
/// `i32`.
pub(crate) const I32: wasm_valkind_t = 0;
/// `i64`.
pub(crate) const I64: wasm_valkind_t = 1;
/// `f32`.
pub(crate) const F32: wasm_valkind_t = 2;
/// `f64`.
pub(crate) const F64: wasm_valkind_t = 3;
/// `v128`, which the standard header does not know.
pub(crate) const V128: wasm_valkind_t = 4;
/// A reference to something of the host.
pub(crate) const EXTERNREF: wasm_valkind_t = 128;
/// A reference to a function.
pub(crate) const FUNCREF: wasm_valkind_t = 129;
/// A reference to an exception, which the standard header does not know.
pub(crate) const EXNREF: wasm_valkind_t = 130;
/// A reference to a number of 31 bits, which the standard header does not know either.
pub(crate) const ANYREF: wasm_valkind_t = 131;

/// The kind of a type.
pub(crate) fn kind_of(ty: &ValType) -> wasm_valkind_t {
    match ty {
        ValType::I32 => I32,
        ValType::I64 => I64,
        ValType::F32 => F32,
        ValType::F64 => F64,
        ValType::V128 => V128,
        ValType::Ref(ty) if ty.heap_type().is_func() => FUNCREF,
        ValType::Ref(ty) => match ty.heap_type() {
            HeapType::Exn | HeapType::NoExn => EXNREF,
            HeapType::Any | HeapType::Eq | HeapType::I31 | HeapType::None => ANYREF,
            _ => EXTERNREF,
        },
    }
}

/// The type of a kind, if there is such a kind.
pub(crate) fn type_of(kind: wasm_valkind_t) -> Option<ValType> {
    Some(match kind {
        I32 => ValType::I32,
        I64 => ValType::I64,
        F32 => ValType::F32,
        F64 => ValType::F64,
        V128 => ValType::V128,
        EXTERNREF => ValType::EXTERNREF,
        FUNCREF => ValType::FUNCREF,
        EXNREF => ValType::EXNREF,
        ANYREF => ValType::ANYREF,
        _ => return None,
    })
}

/// The type of a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct wasm_valtype_t {
    kind: wasm_valkind_t,
}

vector!(wasm_valtype_vec_t of *mut wasm_valtype_t: wasm_valtype_vec_new_empty
    wasm_valtype_vec_new_uninitialized wasm_valtype_vec_new wasm_valtype_vec_copy wasm_valtype_vec_delete);

c_api! {
    /// The type of this kind.
    fn wasm_valtype_new(kind: wasm_valkind_t) -> *mut wasm_valtype_t {
        type_of(kind)?;
        give(wasm_valtype_t { kind })
    }
    /// Its kind.
    fn wasm_valtype_kind(ty: *const wasm_valtype_t) -> wasm_valkind_t {
        unsafe { get(ty) }?.kind
    }
    /// A copy.
    fn wasm_valtype_copy(ty: *const wasm_valtype_t) -> *mut wasm_valtype_t {
        give(*unsafe { get(ty) }?)
    }
    /// Deletes it.
    fn wasm_valtype_delete(ty: *mut wasm_valtype_t) {
        drop(unsafe { take(ty) });
    }
}

/// Smallest and largest size; the largest possible number is no limit.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct wasm_limits_t {
    /// Size at first.
    pub min: u32,
    /// Size at most.
    pub max: u32,
}

impl wasm_limits_t {
    fn new(min: u64, max: Option<u64>) -> Self {
        let clamp = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
        Self {
            min: clamp(min),
            max: max.map_or(u32::MAX, clamp),
        }
    }

    fn max(self) -> Option<u32> {
        (self.max != u32::MAX).then_some(self.max)
    }
}

/// The type of a function, global, table, memory or tag.
pub struct wasm_externtype_t {
    ty: Kind,
}

enum Kind {
    Func {
        params: wasm_valtype_vec_t,
        results: wasm_valtype_vec_t,
    },
    Global {
        content: wasm_valtype_t,
        mutability: u8,
    },
    Table {
        element: wasm_valtype_t,
        limits: wasm_limits_t,
    },
    Memory {
        /// As far as they fit.
        limits: wasm_limits_t,
        ty: rt::MemoryType,
    },
    Tag {
        functype: Box<wasm_externtype_t>,
    },
}

impl Clone for wasm_externtype_t {
    fn clone(&self) -> Self {
        let ty = match &self.ty {
            // SAFETY: vectors of a type are ours and valid.
            Kind::Func { params, results } => unsafe {
                Kind::Func {
                    params: params.copied(),
                    results: results.copied(),
                }
            },
            &Kind::Global { content, mutability } => Kind::Global { content, mutability },
            &Kind::Table { element, limits } => Kind::Table { element, limits },
            Kind::Memory { limits, ty } => Kind::Memory {
                limits: *limits,
                ty: ty.clone(),
            },
            Kind::Tag { functype } => Kind::Tag {
                functype: functype.clone(),
            },
        };
        Self { ty }
    }
}

impl Drop for wasm_externtype_t {
    fn drop(&mut self) {
        if let Kind::Func { params, results } = &mut self.ty {
            // SAFETY: the type owns its vectors, which were made here.
            unsafe {
                params.delete();
                results.delete();
            }
        }
    }
}

/// A function type is an external type of that kind, and so on.
pub type wasm_functype_t = wasm_externtype_t;
/// Likewise.
pub type wasm_globaltype_t = wasm_externtype_t;
/// Likewise.
pub type wasm_tabletype_t = wasm_externtype_t;
/// Likewise.
pub type wasm_memorytype_t = wasm_externtype_t;
/// Likewise.
pub type wasm_tagtype_t = wasm_externtype_t;

fn valtypes(types: impl Iterator<Item = ValType>) -> wasm_valtype_vec_t {
    Vector::from_vec(
        types
            .map(|ty| give(wasm_valtype_t { kind: kind_of(&ty) }))
            .collect(),
    )
}

impl wasm_externtype_t {
    /// From the Rust API.
    pub(crate) fn from_rust(ty: &ExternType) -> Self {
        let ty = match ty {
            ExternType::Func(ty) => return Self::from_func(ty),
            ExternType::Global(ty) => Kind::Global {
                content: wasm_valtype_t {
                    kind: kind_of(ty.content()),
                },
                mutability: u8::from(ty.mutability().is_var()),
            },
            ExternType::Table(ty) => Kind::Table {
                element: wasm_valtype_t {
                    kind: kind_of(&ValType::Ref(ty.element().clone())),
                },
                limits: wasm_limits_t::new(ty.minimum(), ty.maximum()),
            },
            ExternType::Memory(ty) => return Self::from_memory(ty.clone()),
            ExternType::Tag(ty) => Kind::Tag {
                functype: Box::new(Self::from_func(ty.ty())),
            },
        };
        Self { ty }
    }

    /// From the Rust API.
    pub(crate) fn from_func(ty: &rt::FuncType) -> Self {
        let ty = Kind::Func {
            params: valtypes(ty.params()),
            results: valtypes(ty.results()),
        };
        Self { ty }
    }

    /// To the Rust API, if it is a function type.
    pub(crate) fn to_func(&self, engine: &rt::Engine) -> Option<rt::FuncType> {
        let Kind::Func { params, results } = &self.ty else {
            return None;
        };
        let list = |types: &wasm_valtype_vec_t| -> Option<Vec<ValType>> {
            // SAFETY: vectors of a type are ours and valid; so are its elements, or null.
            let types = unsafe { types.as_slice() };
            types
                .iter()
                .map(|&ty| type_of(unsafe { get(ty) }?.kind))
                .collect()
        };
        Some(rt::FuncType::new(engine, list(params)?, list(results)?))
    }

    /// To the Rust API, if it is a global type.
    pub(crate) fn to_global(&self) -> Option<rt::GlobalType> {
        let Kind::Global { content, mutability } = &self.ty else {
            return None;
        };
        let mutability = match mutability {
            0 => Mutability::Const,
            _ => Mutability::Var,
        };
        Some(rt::GlobalType::new(type_of(content.kind)?, mutability))
    }

    /// To the Rust API, if it is a table type.
    pub(crate) fn to_table(&self) -> Option<rt::TableType> {
        let Kind::Table { element, limits } = &self.ty else {
            return None;
        };
        let element = match element.kind {
            FUNCREF => RefType::new(true, HeapType::Func),
            EXTERNREF => RefType::new(true, HeapType::Extern),
            EXNREF => RefType::new(true, HeapType::Exn),
            ANYREF => RefType::new(true, HeapType::Any),
            _ => return None,
        };
        Some(rt::TableType::new(element, limits.min, limits.max()))
    }

    /// To the Rust API, if it is the type of a tag.
    pub(crate) fn to_tag(&self, engine: &rt::Engine) -> Option<rt::TagType> {
        match &self.ty {
            Kind::Tag { functype } => Some(rt::TagType::new(functype.to_func(engine)?)),
            _ => None,
        }
    }

    /// From the Rust API.
    pub(crate) fn from_memory(ty: rt::MemoryType) -> Self {
        let limits = wasm_limits_t::new(ty.minimum(), ty.maximum());
        Self {
            ty: Kind::Memory { limits, ty },
        }
    }

    /// To the Rust API, if it is a memory type.
    pub(crate) fn to_memory(&self) -> Option<rt::MemoryType> {
        match &self.ty {
            Kind::Memory { ty, .. } => Some(ty.clone()),
            _ => None,
        }
    }
}

c_api! {
    /// A function type; takes both lists.
    fn wasm_functype_new(params: *mut wasm_valtype_vec_t, results: *mut wasm_valtype_vec_t) -> *mut wasm_functype_t {
        let take = |list: *mut wasm_valtype_vec_t| unsafe { list.as_mut() }.map(|list| {
            Vector::from_vec(unsafe { list.take_elements() }.into_vec())
        });
        let (params, results) = (take(params), take(results));
        let empty = || Vector::from_vec(Vec::new());
        give(wasm_externtype_t {
            ty: Kind::Func {
                params: params.unwrap_or_else(empty),
                results: results.unwrap_or_else(empty),
            },
        })
    }
    /// Its parameters.
    fn wasm_functype_params(ty: *const wasm_functype_t) -> *const wasm_valtype_vec_t {
        match &unsafe { get(ty) }?.ty {
            Kind::Func { params, .. } => params,
            _ => return None,
        }
    }
    /// Its results.
    fn wasm_functype_results(ty: *const wasm_functype_t) -> *const wasm_valtype_vec_t {
        match &unsafe { get(ty) }?.ty {
            Kind::Func { results, .. } => results,
            _ => return None,
        }
    }
    /// A global type; takes the type of its value.
    fn wasm_globaltype_new(content: *mut wasm_valtype_t, mutability: u8) -> *mut wasm_globaltype_t {
        let content = *unsafe { take(content) }?;
        crate::error::some((mutability <= 1).then_some(()), "a global is constant (0) or variable (1)")?;
        give(wasm_externtype_t { ty: Kind::Global { content, mutability } })
    }
    /// The type of its value.
    fn wasm_globaltype_content(ty: *const wasm_globaltype_t) -> *const wasm_valtype_t {
        match &unsafe { get(ty) }?.ty {
            Kind::Global { content, .. } => content,
            _ => return None,
        }
    }
    /// Whether it can change.
    fn wasm_globaltype_mutability(ty: *const wasm_globaltype_t) -> u8 {
        match unsafe { get(ty) }?.ty {
            Kind::Global { mutability, .. } => mutability,
            _ => return None,
        }
    }
    /// A table type; takes the type of its elements.
    fn wasm_tabletype_new(element: *mut wasm_valtype_t, limits: *const wasm_limits_t) -> *mut wasm_tabletype_t {
        let element = *unsafe { take(element) }?;
        let limits = *unsafe { get(limits) }?;
        give(wasm_externtype_t { ty: Kind::Table { element, limits } })
    }
    /// The type of its elements.
    fn wasm_tabletype_element(ty: *const wasm_tabletype_t) -> *const wasm_valtype_t {
        match &unsafe { get(ty) }?.ty {
            Kind::Table { element, .. } => element,
            _ => return None,
        }
    }
    /// Its limits, in elements.
    fn wasm_tabletype_limits(ty: *const wasm_tabletype_t) -> *const wasm_limits_t {
        match &unsafe { get(ty) }?.ty {
            Kind::Table { limits, .. } => limits,
            _ => return None,
        }
    }
    /// A memory type.
    fn wasm_memorytype_new(limits: *const wasm_limits_t) -> *mut wasm_memorytype_t {
        let limits = unsafe { get(limits) }?;
        let mut builder = rt::MemoryTypeBuilder::new();
        builder.min(limits.min.into()).max(limits.max().map(u64::from));
        give(wasm_externtype_t::from_memory(crate::error::ok(builder.build())?))
    }
    /// Its limits, in pages.
    fn wasm_memorytype_limits(ty: *const wasm_memorytype_t) -> *const wasm_limits_t {
        match &unsafe { get(ty) }?.ty {
            Kind::Memory { limits, .. } => limits,
            _ => return None,
        }
    }
    /// A tag type; takes the function type.
    fn wasm_tagtype_new(functype: *mut wasm_functype_t) -> *mut wasm_tagtype_t {
        give(wasm_externtype_t { ty: Kind::Tag { functype: unsafe { take(functype) }? } })
    }
    /// The types of what it carries.
    fn wasm_tagtype_functype(ty: *const wasm_tagtype_t) -> *const wasm_functype_t {
        match &unsafe { get(ty) }?.ty {
            Kind::Tag { functype } => &**functype,
            _ => return None,
        }
    }
    /// Its kind: function, global, table, memory, tag.
    fn wasm_externtype_kind(ty: *const wasm_externtype_t) -> u8 {
        kind_number(unsafe { get(ty) }?)
    }
}

fn kind_number(ty: &wasm_externtype_t) -> u8 {
    match ty.ty {
        Kind::Func { .. } => 0,
        Kind::Global { .. } => 1,
        Kind::Table { .. } => 2,
        Kind::Memory { .. } => 3,
        Kind::Tag { .. } => 4,
    }
}

macro_rules! kinds {
    ($($number:literal $ty:ident: $vec:ident $delete:ident $copy:ident $empty:ident $uninitialized:ident $vec_new:ident
        $vec_copy:ident $vec_delete:ident $($to:ident $to_const:ident $from:ident $from_const:ident)?;)*) => {$(
        vector!($vec of *mut $ty: $empty $uninitialized $vec_new $vec_copy $vec_delete);
        c_api! {
            /// Deletes it.
            fn $delete(ty: *mut $ty) {
                drop(unsafe { take(ty) });
            }
            /// A copy.
            fn $copy(ty: *const $ty) -> *mut $ty {
                give(unsafe { get(ty) }?.clone())
            }
            $(
            /// It as an external type, at the same address.
            fn $to(ty: *mut $ty) -> *mut wasm_externtype_t {
                ty
            }
            /// Likewise.
            fn $to_const(ty: *const $ty) -> *const wasm_externtype_t {
                ty
            }
            /// The external type as this kind; null if it is another.
            fn $from(ty: *mut wasm_externtype_t) -> *mut $ty {
                if kind_number(unsafe { get(ty) }?) != $number {
                    return None;
                }
                ty
            }
            /// Likewise.
            fn $from_const(ty: *const wasm_externtype_t) -> *const $ty {
                if kind_number(unsafe { get(ty) }?) != $number {
                    return None;
                }
                ty
            }
            )?
        }
    )*};
}

kinds! {
    0 wasm_functype_t: wasm_functype_vec_t wasm_functype_delete wasm_functype_copy wasm_functype_vec_new_empty
        wasm_functype_vec_new_uninitialized wasm_functype_vec_new wasm_functype_vec_copy wasm_functype_vec_delete
        wasm_functype_as_externtype wasm_functype_as_externtype_const
        wasm_externtype_as_functype wasm_externtype_as_functype_const;
    1 wasm_globaltype_t: wasm_globaltype_vec_t wasm_globaltype_delete wasm_globaltype_copy
        wasm_globaltype_vec_new_empty wasm_globaltype_vec_new_uninitialized wasm_globaltype_vec_new
        wasm_globaltype_vec_copy wasm_globaltype_vec_delete
        wasm_globaltype_as_externtype wasm_globaltype_as_externtype_const
        wasm_externtype_as_globaltype wasm_externtype_as_globaltype_const;
    2 wasm_tabletype_t: wasm_tabletype_vec_t wasm_tabletype_delete wasm_tabletype_copy
        wasm_tabletype_vec_new_empty wasm_tabletype_vec_new_uninitialized wasm_tabletype_vec_new
        wasm_tabletype_vec_copy wasm_tabletype_vec_delete
        wasm_tabletype_as_externtype wasm_tabletype_as_externtype_const
        wasm_externtype_as_tabletype wasm_externtype_as_tabletype_const;
    3 wasm_memorytype_t: wasm_memorytype_vec_t wasm_memorytype_delete wasm_memorytype_copy
        wasm_memorytype_vec_new_empty wasm_memorytype_vec_new_uninitialized wasm_memorytype_vec_new
        wasm_memorytype_vec_copy wasm_memorytype_vec_delete
        wasm_memorytype_as_externtype wasm_memorytype_as_externtype_const
        wasm_externtype_as_memorytype wasm_externtype_as_memorytype_const;
    4 wasm_tagtype_t: wasm_tagtype_vec_t wasm_tagtype_delete wasm_tagtype_copy
        wasm_tagtype_vec_new_empty wasm_tagtype_vec_new_uninitialized wasm_tagtype_vec_new
        wasm_tagtype_vec_copy wasm_tagtype_vec_delete
        wasm_tagtype_as_externtype wasm_tagtype_as_externtype_const
        wasm_externtype_as_tagtype wasm_externtype_as_tagtype_const;
    5 wasm_externtype_t: wasm_externtype_vec_t wasm_externtype_delete wasm_externtype_copy
        wasm_externtype_vec_new_empty wasm_externtype_vec_new_uninitialized wasm_externtype_vec_new
        wasm_externtype_vec_copy wasm_externtype_vec_delete;
}

/// What a module imports.
pub struct wasm_importtype_t {
    module: wasm_byte_vec_t,
    name: wasm_byte_vec_t,
    ty: Box<wasm_externtype_t>,
}

/// What a module exports.
pub struct wasm_exporttype_t {
    name: wasm_byte_vec_t,
    ty: Box<wasm_externtype_t>,
}

impl wasm_importtype_t {
    pub(crate) fn from_rust(import: &rt::ImportType<'_>) -> Self {
        Self {
            module: Vector::from_text(import.module()),
            name: Vector::from_text(import.name()),
            ty: Box::new(wasm_externtype_t::from_rust(&import.ty())),
        }
    }
}

impl wasm_exporttype_t {
    pub(crate) fn from_rust(export: &rt::ExportType<'_>) -> Self {
        Self {
            name: Vector::from_text(export.name()),
            ty: Box::new(wasm_externtype_t::from_rust(&export.ty())),
        }
    }
}

impl Clone for wasm_importtype_t {
    fn clone(&self) -> Self {
        // SAFETY: the vectors of a type are ours and valid.
        let (module, name) = unsafe { (self.module.copied(), self.name.copied()) };
        let ty = self.ty.clone();
        Self { module, name, ty }
    }
}

impl Clone for wasm_exporttype_t {
    fn clone(&self) -> Self {
        // SAFETY: the vectors of a type are ours and valid.
        let name = unsafe { self.name.copied() };
        let ty = self.ty.clone();
        Self { name, ty }
    }
}

impl Drop for wasm_importtype_t {
    fn drop(&mut self) {
        // SAFETY: the type owns its vectors, which were made here.
        unsafe {
            self.module.delete();
            self.name.delete();
        }
    }
}

impl Drop for wasm_exporttype_t {
    fn drop(&mut self) {
        // SAFETY: the type owns its vector, which was made here.
        unsafe { self.name.delete() };
    }
}

vector!(wasm_importtype_vec_t of *mut wasm_importtype_t: wasm_importtype_vec_new_empty
    wasm_importtype_vec_new_uninitialized wasm_importtype_vec_new wasm_importtype_vec_copy
    wasm_importtype_vec_delete);
vector!(wasm_exporttype_vec_t of *mut wasm_exporttype_t: wasm_exporttype_vec_new_empty
    wasm_exporttype_vec_new_uninitialized wasm_exporttype_vec_new wasm_exporttype_vec_copy
    wasm_exporttype_vec_delete);

/// Takes the elements of a name.
///
/// # Safety
/// If not null it is an owned vector.
unsafe fn take_name(name: *mut wasm_byte_vec_t) -> Option<Name> {
    // SAFETY: the caller's promise.
    let name = unsafe { name.as_mut() }?;
    // SAFETY: likewise.
    Some(Name(unsafe { name.take_elements() }))
}

/// A name that was taken, and is gone with its owner if nobody wants it.
struct Name(Box<[u8]>);

impl Name {
    fn given(self) -> wasm_byte_vec_t {
        Vector::from_vec(self.0.into_vec())
    }
}

c_api! {
    /// What is imported under two names; takes all three.
    fn wasm_importtype_new(
        module: *mut wasm_byte_vec_t,
        name: *mut wasm_byte_vec_t,
        ty: *mut wasm_externtype_t,
    ) -> *mut wasm_importtype_t {
        let (module, name, ty) = unsafe { (take_name(module), take_name(name), take(ty)) };
        let (module, name, ty) = (module?, name?, ty?);
        give(wasm_importtype_t { module: module.given(), name: name.given(), ty })
    }
    /// First name.
    fn wasm_importtype_module(ty: *const wasm_importtype_t) -> *const wasm_byte_vec_t {
        &raw const unsafe { get(ty) }?.module
    }
    /// Second name.
    fn wasm_importtype_name(ty: *const wasm_importtype_t) -> *const wasm_byte_vec_t {
        &raw const unsafe { get(ty) }?.name
    }
    /// Its type.
    fn wasm_importtype_type(ty: *const wasm_importtype_t) -> *const wasm_externtype_t {
        &raw const *unsafe { get(ty) }?.ty
    }
    /// A copy.
    fn wasm_importtype_copy(ty: *const wasm_importtype_t) -> *mut wasm_importtype_t {
        give(unsafe { get(ty) }?.clone())
    }
    /// Deletes it.
    fn wasm_importtype_delete(ty: *mut wasm_importtype_t) {
        drop(unsafe { take(ty) });
    }
    /// What is exported under a name; takes both.
    fn wasm_exporttype_new(name: *mut wasm_byte_vec_t, ty: *mut wasm_externtype_t) -> *mut wasm_exporttype_t {
        let (name, ty) = unsafe { (take_name(name), take(ty)) };
        let (name, ty) = (name?, ty?);
        give(wasm_exporttype_t { name: name.given(), ty })
    }
    /// Its name.
    fn wasm_exporttype_name(ty: *const wasm_exporttype_t) -> *const wasm_byte_vec_t {
        &raw const unsafe { get(ty) }?.name
    }
    /// Its type.
    fn wasm_exporttype_type(ty: *const wasm_exporttype_t) -> *const wasm_externtype_t {
        &raw const *unsafe { get(ty) }?.ty
    }
    /// A copy.
    fn wasm_exporttype_copy(ty: *const wasm_exporttype_t) -> *mut wasm_exporttype_t {
        give(unsafe { get(ty) }?.clone())
    }
    /// Deletes it.
    fn wasm_exporttype_delete(ty: *mut wasm_exporttype_t) {
        drop(unsafe { take(ty) });
    }
}
