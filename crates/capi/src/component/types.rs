//! Types of components: trees that are made whole, so that what C asks of one is a part of it.

use super::{cellwall_component_resource_type_t, name};
use crate::vec::put;
use crate::{c_api, get, give, take};
use cellwall_rs::component::types::{ComponentFunc, ComponentItem};
use cellwall_rs::component::{Component, Type};
use std::ffi::c_char;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What a component imports and exports.
pub struct cellwall_component_type_t {
    imports: Items,
    exports: Items,
}

/// What an instance exports.
pub struct cellwall_component_instance_type_t {
    exports: Items,
}

/// Something imported or exported.
pub enum cellwall_component_item_t {
    /// A component.
    Component,
    /// An instance.
    Instance(cellwall_component_instance_type_t),
    /// A core module.
    Module,
    /// A function.
    Func(cellwall_component_func_type_t),
    /// A resource.
    Resource(cellwall_component_resource_type_t),
    /// A type.
    Type(Option<cellwall_component_valtype_t>),
}

/// The type of a function.
pub struct cellwall_component_func_type_t {
    id: u64,
    ty: ComponentFunc,
    params: Vec<(Arc<str>, cellwall_component_valtype_t)>,
    result: Option<cellwall_component_valtype_t>,
}

/// The type of a value, and of its parts: elements, fields, payloads of cases.
pub struct cellwall_component_valtype_t {
    ty: Type,
    parts: Vec<Option<cellwall_component_valtype_t>>,
    resource: Option<cellwall_component_resource_type_t>,
}

/// Items by name, in order.
struct Items(Vec<(Arc<str>, cellwall_component_item_t)>);

/// What is answered for the kind of nothing.
const NO_KIND: u8 = u8::MAX;

impl Items {
    fn of(items: &[(Arc<str>, ComponentItem)]) -> Self {
        let item =
            |(name, item): &(Arc<str>, ComponentItem)| (name.clone(), cellwall_component_item_t::of(item));
        Self(items.iter().map(item).collect())
    }

    /// # Safety
    /// Pointers are null or can be written.
    unsafe fn nth(
        &self,
        nth: usize,
        name: *mut *const c_char,
        name_len: *mut usize,
        item: *mut *const cellwall_component_item_t,
    ) -> Option<bool> {
        let (own, found) = self.0.get(nth)?;
        // SAFETY: the caller's promise.
        unsafe {
            put_name(own, name, name_len);
            put(item, ptr::from_ref(found));
        }
        Some(true)
    }

    fn get(&self, name: &str) -> Option<&cellwall_component_item_t> {
        let found = self.0.iter().find(|(own, _)| &**own == name);
        found.map(|(_, item)| item)
    }
}

/// # Safety
/// Pointers are null or can be written.
unsafe fn put_name(own: &str, name: *mut *const c_char, name_len: *mut usize) {
    // SAFETY: the caller's promise; what is null is not asked for.
    unsafe {
        put(name, own.as_ptr().cast());
        put(name_len, own.len());
    }
}

impl cellwall_component_type_t {
    pub(crate) fn of(component: &Component) -> Self {
        Self {
            imports: Items::of(&component.imports()),
            exports: Items::of(&component.exports()),
        }
    }
}

impl cellwall_component_instance_type_t {
    pub(crate) fn of(exports: &[(Arc<str>, ComponentItem)]) -> Self {
        Self {
            exports: Items::of(exports),
        }
    }
}

impl cellwall_component_item_t {
    fn of(item: &ComponentItem) -> Self {
        match item {
            ComponentItem::ComponentFunc(ty) => Self::Func(cellwall_component_func_type_t::of(ty)),
            ComponentItem::Module => Self::Module,
            ComponentItem::Component => Self::Component,
            ComponentItem::ComponentInstance(items) => {
                Self::Instance(cellwall_component_instance_type_t::of(items))
            }
            ComponentItem::Type(ty) => Self::Type(ty.as_ref().map(cellwall_component_valtype_t::of)),
            ComponentItem::Resource(ty) => Self::Resource(cellwall_component_resource_type_t { ty: *ty }),
            // An item that this header does not know yet.
            _ => Self::Type(None),
        }
    }
}

impl cellwall_component_func_type_t {
    pub(crate) fn of(ty: &ComponentFunc) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let params = ty.params();
        let mut result = ty.results();
        Self {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            params: params
                .map(|(name, ty)| (name.into(), cellwall_component_valtype_t::of(&ty)))
                .collect(),
            result: result.next().map(|ty| cellwall_component_valtype_t::of(&ty)),
            ty: ty.clone(),
        }
    }

    /// Whether it was made of this type.
    pub(crate) fn is(&self, ty: &ComponentFunc) -> bool {
        self.ty == *ty
    }
}

impl cellwall_component_valtype_t {
    fn of(ty: &Type) -> Self {
        let some = |ty: &Type| Some(Self::of(ty));
        let optional = |ty: &Option<Type>| ty.as_ref().map(Self::of);
        let parts = match ty {
            Type::List(element) | Type::FixedLengthList(element, _) | Type::Option(element) => {
                vec![some(element)]
            }
            Type::Map(entry) => vec![some(&entry.0), some(&entry.1)],
            Type::Record(fields) => fields.iter().map(|(_, ty)| some(ty)).collect(),
            Type::Tuple(types) => types.iter().map(some).collect(),
            Type::Variant(cases) => cases.iter().map(|(_, ty)| optional(ty)).collect(),
            Type::Result(parts) => vec![optional(&parts.0), optional(&parts.1)],
            _ => Vec::new(),
        };
        let resource = match ty {
            Type::Own(ty) | Type::Borrow(ty) => Some(cellwall_component_resource_type_t { ty: *ty }),
            _ => None,
        };
        Self {
            ty: ty.clone(),
            parts,
            resource,
        }
    }

    fn kind(&self) -> u8 {
        match self.ty {
            Type::Bool => 0,
            Type::S8 => 1,
            Type::S16 => 2,
            Type::S32 => 3,
            Type::S64 => 4,
            Type::U8 => 5,
            Type::U16 => 6,
            Type::U32 => 7,
            Type::U64 => 8,
            Type::Float32 => 9,
            Type::Float64 => 10,
            Type::Char => 11,
            Type::String => 12,
            Type::List(_) | Type::FixedLengthList(..) => 13,
            Type::Record(_) => 14,
            Type::Tuple(_) => 15,
            Type::Variant(_) => 16,
            Type::Enum(_) => 17,
            Type::Option(_) => 18,
            Type::Result(_) => 19,
            Type::Flags(_) => 20,
            Type::Own(_) => 21,
            Type::Borrow(_) => 22,
            Type::ErrorContext => 25,
            Type::Map(_) => 26,
            // A type that this header does not know yet.
            _ => NO_KIND,
        }
    }

    /// A part of it.
    fn part(&self, nth: usize) -> *const Self {
        let part = self.parts.get(nth).and_then(Option::as_ref);
        part.map_or(ptr::null(), ptr::from_ref)
    }
}

c_api! {
    /// See `component_types.api`.
    fn cellwall_component_type_delete(ty: *mut cellwall_component_type_t) {
        drop(unsafe { take(ty) });
    }
    /// See `component_types.api`.
    fn cellwall_component_type_import_count(ty: *const cellwall_component_type_t) -> usize {
        unsafe { get(ty) }?.imports.0.len()
    }
    /// See `component_types.api`.
    fn cellwall_component_type_import_nth(
        ty: *const cellwall_component_type_t,
        nth: usize,
        item_name: *mut *const c_char,
        name_len: *mut usize,
        item: *mut *const cellwall_component_item_t,
    ) -> bool {
        unsafe { get(ty)?.imports.nth(nth, item_name, name_len, item) }?
    }
    /// See `component_types.api`.
    fn cellwall_component_type_import_get(
        ty: *const cellwall_component_type_t,
        item_name: *const c_char,
        name_len: usize,
    ) -> *const cellwall_component_item_t {
        ptr::from_ref(unsafe { get(ty)?.imports.get(name(item_name, name_len).ok()?) }?)
    }
    /// See `component_types.api`.
    fn cellwall_component_type_export_count(ty: *const cellwall_component_type_t) -> usize {
        unsafe { get(ty) }?.exports.0.len()
    }
    /// See `component_types.api`.
    fn cellwall_component_type_export_nth(
        ty: *const cellwall_component_type_t,
        nth: usize,
        item_name: *mut *const c_char,
        name_len: *mut usize,
        item: *mut *const cellwall_component_item_t,
    ) -> bool {
        unsafe { get(ty)?.exports.nth(nth, item_name, name_len, item) }?
    }
    /// See `component_types.api`.
    fn cellwall_component_type_export_get(
        ty: *const cellwall_component_type_t,
        item_name: *const c_char,
        name_len: usize,
    ) -> *const cellwall_component_item_t {
        ptr::from_ref(unsafe { get(ty)?.exports.get(name(item_name, name_len).ok()?) }?)
    }
    /// See `component_types.api`.
    fn cellwall_component_instance_type_delete(ty: *mut cellwall_component_instance_type_t) {
        drop(unsafe { take(ty) });
    }
    /// See `component_types.api`.
    fn cellwall_component_instance_type_export_count(ty: *const cellwall_component_instance_type_t) -> usize {
        unsafe { get(ty) }?.exports.0.len()
    }
    /// See `component_types.api`.
    fn cellwall_component_instance_type_export_nth(
        ty: *const cellwall_component_instance_type_t,
        nth: usize,
        item_name: *mut *const c_char,
        name_len: *mut usize,
        item: *mut *const cellwall_component_item_t,
    ) -> bool {
        unsafe { get(ty)?.exports.nth(nth, item_name, name_len, item) }?
    }
    /// See `component_types.api`.
    fn cellwall_component_instance_type_export_get(
        ty: *const cellwall_component_instance_type_t,
        item_name: *const c_char,
        name_len: usize,
    ) -> *const cellwall_component_item_t {
        ptr::from_ref(unsafe { get(ty)?.exports.get(name(item_name, name_len).ok()?) }?)
    }
    /// See `component_types.api`.
    fn cellwall_component_item_kind(item: *const cellwall_component_item_t) -> u8 {
        match unsafe { get(item) } {
            None => NO_KIND,
            Some(cellwall_component_item_t::Component) => 0,
            Some(cellwall_component_item_t::Instance(_)) => 1,
            Some(cellwall_component_item_t::Module) => 2,
            Some(cellwall_component_item_t::Func(_)) => 3,
            Some(cellwall_component_item_t::Resource(_)) => 4,
            Some(cellwall_component_item_t::Type(_)) => 6,
        }
    }
    /// See `component_types.api`.
    fn cellwall_component_item_func(
        item: *const cellwall_component_item_t,
    ) -> *const cellwall_component_func_type_t {
        match unsafe { get(item) }? {
            cellwall_component_item_t::Func(ty) => ptr::from_ref(ty),
            _ => ptr::null(),
        }
    }
    /// See `component_types.api`.
    fn cellwall_component_item_instance(
        item: *const cellwall_component_item_t,
    ) -> *const cellwall_component_instance_type_t {
        match unsafe { get(item) }? {
            cellwall_component_item_t::Instance(ty) => ptr::from_ref(ty),
            _ => ptr::null(),
        }
    }
    /// See `component_types.api`.
    fn cellwall_component_item_type(
        item: *const cellwall_component_item_t,
    ) -> *const cellwall_component_valtype_t {
        match unsafe { get(item) }? {
            cellwall_component_item_t::Type(Some(ty)) => ptr::from_ref(ty),
            _ => ptr::null(),
        }
    }
    /// See `component_types.api`.
    fn cellwall_component_item_resource(
        item: *const cellwall_component_item_t,
    ) -> *const cellwall_component_resource_type_t {
        match unsafe { get(item) }? {
            cellwall_component_item_t::Resource(ty) => ptr::from_ref(ty),
            _ => ptr::null(),
        }
    }
    /// See `component_types.api`.
    fn cellwall_component_func_type_id(ty: *const cellwall_component_func_type_t) -> u64 {
        unsafe { get(ty) }?.id
    }
    /// See `component_types.api`.
    fn cellwall_component_func_type_clone(
        ty: *const cellwall_component_func_type_t,
    ) -> *mut cellwall_component_func_type_t {
        give(cellwall_component_func_type_t::of(&unsafe { get(ty) }?.ty))
    }
    /// See `component_types.api`.
    fn cellwall_component_func_type_delete(ty: *mut cellwall_component_func_type_t) {
        drop(unsafe { take(ty) });
    }
    /// See `component_types.api`.
    fn cellwall_component_func_type_param_count(ty: *const cellwall_component_func_type_t) -> usize {
        unsafe { get(ty) }?.params.len()
    }
    /// See `component_types.api`.
    fn cellwall_component_func_type_param_nth(
        ty: *const cellwall_component_func_type_t,
        nth: usize,
        param_name: *mut *const c_char,
        name_len: *mut usize,
        param: *mut *const cellwall_component_valtype_t,
    ) -> bool {
        let (own, found) = unsafe { get(ty) }?.params.get(nth)?;
        unsafe {
            put_name(own, param_name, name_len);
            put(param, ptr::from_ref(found));
        }
        true
    }
    /// See `component_types.api`.
    fn cellwall_component_func_type_result(
        ty: *const cellwall_component_func_type_t,
    ) -> *const cellwall_component_valtype_t {
        ptr::from_ref(unsafe { get(ty) }?.result.as_ref()?)
    }
    /// See `component_types.api`.
    fn cellwall_component_valtype_kind(ty: *const cellwall_component_valtype_t) -> u8 {
        unsafe { get(ty) }.map_or(NO_KIND, cellwall_component_valtype_t::kind)
    }
    /// See `component_types.api`.
    fn cellwall_component_valtype_clone(
        ty: *const cellwall_component_valtype_t,
    ) -> *mut cellwall_component_valtype_t {
        give(cellwall_component_valtype_t::of(&unsafe { get(ty) }?.ty))
    }
    /// See `component_types.api`.
    fn cellwall_component_valtype_delete(ty: *mut cellwall_component_valtype_t) {
        drop(unsafe { take(ty) });
    }
    /// See `component_types.api`.
    fn cellwall_component_valtype_equal(
        a: *const cellwall_component_valtype_t,
        b: *const cellwall_component_valtype_t,
    ) -> bool {
        unsafe { get(a)?.ty == get(b)?.ty }
    }
    /// See `component_types.api`.
    fn cellwall_component_list_type_element(
        ty: *const cellwall_component_valtype_t,
    ) -> *const cellwall_component_valtype_t {
        match unsafe { get(ty) }? {
            it if it.kind() == 13 => it.part(0),
            _ => ptr::null(),
        }
    }
    /// See `component_types.api`.
    fn cellwall_component_list_type_length(ty: *const cellwall_component_valtype_t, length: *mut u32) -> bool {
        match unsafe { get(ty) }?.ty {
            Type::FixedLengthList(_, own) => {
                unsafe { put(length, own) };
                true
            }
            _ => false,
        }
    }
    /// See `component_types.api`.
    fn cellwall_component_map_type_key(
        ty: *const cellwall_component_valtype_t,
    ) -> *const cellwall_component_valtype_t {
        match unsafe { get(ty) }? {
            it if matches!(it.ty, Type::Map(_)) => it.part(0),
            _ => ptr::null(),
        }
    }
    /// See `component_types.api`.
    fn cellwall_component_map_type_value(
        ty: *const cellwall_component_valtype_t,
    ) -> *const cellwall_component_valtype_t {
        match unsafe { get(ty) }? {
            it if matches!(it.ty, Type::Map(_)) => it.part(1),
            _ => ptr::null(),
        }
    }
    /// See `component_types.api`.
    fn cellwall_component_record_type_field_count(ty: *const cellwall_component_valtype_t) -> usize {
        match &unsafe { get(ty) }?.ty {
            Type::Record(fields) => fields.len(),
            _ => 0,
        }
    }
    /// See `component_types.api`.
    fn cellwall_component_record_type_field_nth(
        ty: *const cellwall_component_valtype_t,
        nth: usize,
        field_name: *mut *const c_char,
        name_len: *mut usize,
        field: *mut *const cellwall_component_valtype_t,
    ) -> bool {
        let it = unsafe { get(ty) }?;
        let Type::Record(fields) = &it.ty else {
            return None;
        };
        unsafe {
            put_name(&fields.get(nth)?.0, field_name, name_len);
            put(field, it.part(nth));
        }
        true
    }
    /// See `component_types.api`.
    fn cellwall_component_tuple_type_types_count(ty: *const cellwall_component_valtype_t) -> usize {
        match &unsafe { get(ty) }?.ty {
            Type::Tuple(types) => types.len(),
            _ => 0,
        }
    }
    /// See `component_types.api`.
    fn cellwall_component_tuple_type_types_nth(
        ty: *const cellwall_component_valtype_t,
        nth: usize,
    ) -> *const cellwall_component_valtype_t {
        match unsafe { get(ty) }? {
            it if matches!(it.ty, Type::Tuple(_)) => it.part(nth),
            _ => ptr::null(),
        }
    }
    /// See `component_types.api`.
    fn cellwall_component_variant_type_case_count(ty: *const cellwall_component_valtype_t) -> usize {
        match &unsafe { get(ty) }?.ty {
            Type::Variant(cases) => cases.len(),
            _ => 0,
        }
    }
    /// See `component_types.api`.
    fn cellwall_component_variant_type_case_nth(
        ty: *const cellwall_component_valtype_t,
        nth: usize,
        case_name: *mut *const c_char,
        name_len: *mut usize,
        payload: *mut *const cellwall_component_valtype_t,
    ) -> bool {
        let it = unsafe { get(ty) }?;
        let Type::Variant(cases) = &it.ty else {
            return None;
        };
        unsafe {
            put_name(&cases.get(nth)?.0, case_name, name_len);
            put(payload, it.part(nth));
        }
        true
    }
    /// See `component_types.api`.
    fn cellwall_component_enum_type_names_count(ty: *const cellwall_component_valtype_t) -> usize {
        match &unsafe { get(ty) }?.ty {
            Type::Enum(names) => names.len(),
            _ => 0,
        }
    }
    /// See `component_types.api`.
    fn cellwall_component_enum_type_names_nth(
        ty: *const cellwall_component_valtype_t,
        nth: usize,
        case_name: *mut *const c_char,
        name_len: *mut usize,
    ) -> bool {
        let Type::Enum(names) = &unsafe { get(ty) }?.ty else {
            return None;
        };
        unsafe { put_name(names.get(nth)?, case_name, name_len) };
        true
    }
    /// See `component_types.api`.
    fn cellwall_component_option_type_ty(
        ty: *const cellwall_component_valtype_t,
    ) -> *const cellwall_component_valtype_t {
        match unsafe { get(ty) }? {
            it if matches!(it.ty, Type::Option(_)) => it.part(0),
            _ => ptr::null(),
        }
    }
    /// See `component_types.api`.
    fn cellwall_component_result_type_ok(
        ty: *const cellwall_component_valtype_t,
    ) -> *const cellwall_component_valtype_t {
        match unsafe { get(ty) }? {
            it if matches!(it.ty, Type::Result(_)) => it.part(0),
            _ => ptr::null(),
        }
    }
    /// See `component_types.api`.
    fn cellwall_component_result_type_err(
        ty: *const cellwall_component_valtype_t,
    ) -> *const cellwall_component_valtype_t {
        match unsafe { get(ty) }? {
            it if matches!(it.ty, Type::Result(_)) => it.part(1),
            _ => ptr::null(),
        }
    }
    /// See `component_types.api`.
    fn cellwall_component_flags_type_names_count(ty: *const cellwall_component_valtype_t) -> usize {
        match &unsafe { get(ty) }?.ty {
            Type::Flags(names) => names.len(),
            _ => 0,
        }
    }
    /// See `component_types.api`.
    fn cellwall_component_flags_type_names_nth(
        ty: *const cellwall_component_valtype_t,
        nth: usize,
        flag_name: *mut *const c_char,
        name_len: *mut usize,
    ) -> bool {
        let Type::Flags(names) = &unsafe { get(ty) }?.ty else {
            return None;
        };
        unsafe { put_name(names.get(nth)?, flag_name, name_len) };
        true
    }
    /// See `component_types.api`.
    fn cellwall_component_valtype_resource(
        ty: *const cellwall_component_valtype_t,
    ) -> *const cellwall_component_resource_type_t {
        ptr::from_ref(unsafe { get(ty) }?.resource.as_ref()?)
    }
}
