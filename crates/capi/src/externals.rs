//! Globals, tables, memories, and what they have in common with functions.

use crate::refs::{
    Object, external, wasm_extern_t, wasm_func_t, wasm_global_t, wasm_memory_t, wasm_ref_t, wasm_table_t,
};
use crate::store::{StoreCell, wasm_store_t};
use crate::types::{I32, wasm_externtype_t, wasm_globaltype_t, wasm_memorytype_t, wasm_tabletype_t};
use crate::val::{from_rust_ref, to_rust_ref, wasm_val_t};
use crate::vec::{put, vector};
use crate::{c_api, error, get, give};
use cellwall_rs::{self as rt, Extern, ExternType};
use std::ptr;
use std::sync::Arc;

vector!(wasm_extern_vec_t of *mut wasm_extern_t: wasm_extern_vec_new_empty wasm_extern_vec_new_uninitialized
    wasm_extern_vec_new wasm_extern_vec_copy wasm_extern_vec_delete);

fn extern_type(it: &wasm_extern_t) -> Option<ExternType> {
    let external = external(&it.object)?;
    Some(it.store.with(|context| external.ty(&context)))
}

fn type_of(it: *const wasm_extern_t) -> Option<*mut wasm_externtype_t> {
    let ty = extern_type(unsafe { get(it) }?)?;
    Some(give(wasm_externtype_t::from_rust(&ty)))
}

fn kind(it: &wasm_extern_t) -> Option<u8> {
    Some(match external(&it.object)? {
        Extern::Func(_) => 0,
        Extern::Global(_) => 1,
        Extern::Table(_) => 2,
        Extern::Memory(_) | Extern::SharedMemory(_) => 3,
        Extern::Tag(_) => 4,
    })
}

fn global(it: &wasm_global_t) -> Option<(&Arc<StoreCell>, rt::Global)> {
    match it.object {
        Object::Global(global) => Some((&it.store, global)),
        _ => None,
    }
}

fn table(it: &wasm_table_t) -> Option<(&Arc<StoreCell>, rt::Table)> {
    match it.object {
        Object::Table(table) => Some((&it.store, table)),
        _ => None,
    }
}

pub(crate) fn memory(it: &wasm_memory_t) -> Option<(&Arc<StoreCell>, rt::Memory)> {
    match it.object {
        Object::Memory(memory) => Some((&it.store, memory)),
        _ => None,
    }
}

fn element_type(cell: &StoreCell, table: rt::Table) -> rt::RefType {
    cell.with(|context| table.ty(&context).element().clone())
}

c_api! {
    /// A global of the host.
    fn wasm_global_new(
        store: *mut wasm_store_t,
        ty: *const wasm_globaltype_t,
        value: *const wasm_val_t,
    ) -> *mut wasm_global_t {
        let cell = &unsafe { get(store) }?.cell;
        let ty = error::some(unsafe { get(ty) }?.to_global(), "not the type of a global")?;
        let value = error::ok(unsafe { get(value)?.to_rust(cell) })?;
        let global = error::ok(cell.with(|context| rt::Global::new(context, ty, value)))?;
        give(wasm_ref_t::new(cell, Object::Global(global)))
    }
    /// Its type.
    fn wasm_global_type(it: *const wasm_global_t) -> *mut wasm_globaltype_t {
        type_of(it)?
    }
    /// Its value.
    fn wasm_global_get(it: *const wasm_global_t, out: *mut wasm_val_t) {
        // In any case a value that can be deleted.
        unsafe { put(out, wasm_val_t::default_of(I32)) };
        let (cell, global) = global(unsafe { get(it) }?)?;
        let value = cell.with(|context| global.get(context));
        unsafe { put(out, wasm_val_t::from_rust(cell, value)) }?;
    }
    /// Sets it; nothing happens if it cannot be set to this value.
    fn wasm_global_set(it: *mut wasm_global_t, value: *const wasm_val_t) {
        let (cell, global) = global(unsafe { get(it) }?)?;
        let value = error::ok(unsafe { get(value)?.to_rust(cell) })?;
        error::ok(cell.with(|context| global.set(context, value)))?;
    }

    /// A table of the host, full of one reference.
    fn wasm_table_new(
        store: *mut wasm_store_t,
        ty: *const wasm_tabletype_t,
        init: *mut wasm_ref_t,
    ) -> *mut wasm_table_t {
        let cell = &unsafe { get(store) }?.cell;
        let ty = error::some(unsafe { get(ty) }?.to_table(), "not the type of a table of references")?;
        let init = error::ok(unsafe { to_rust_ref(cell, init, ty.element()) })?;
        let table = error::ok(cell.with(|context| rt::Table::new(context, ty, init)))?;
        give(wasm_ref_t::new(cell, Object::Table(table)))
    }
    /// Its type.
    fn wasm_table_type(it: *const wasm_table_t) -> *mut wasm_tabletype_t {
        type_of(it)?
    }
    /// An element; null for null, and beyond its size.
    fn wasm_table_get(it: *const wasm_table_t, index: u32) -> *mut wasm_ref_t {
        let (cell, table) = table(unsafe { get(it) }?)?;
        let element = cell.with(|context| table.get(context, u64::from(index)))?;
        from_rust_ref(cell, element)
    }
    /// Sets an element; false beyond its size, and for a reference of another type.
    fn wasm_table_set(it: *mut wasm_table_t, index: u32, value: *mut wasm_ref_t) -> bool {
        let (cell, table) = table(unsafe { get(it) }?)?;
        let value = error::ok(unsafe { to_rust_ref(cell, value, &element_type(cell, table)) })?;
        error::ok(cell.with(|context| table.set(context, u64::from(index), value)))?;
        true
    }
    /// Number of elements.
    fn wasm_table_size(it: *const wasm_table_t) -> u32 {
        let (cell, table) = table(unsafe { get(it) }?)?;
        cell.with(|context| table.size(&context)) as u32
    }
    /// Grows it by so many elements; false if it cannot.
    fn wasm_table_grow(it: *mut wasm_table_t, delta: u32, init: *mut wasm_ref_t) -> bool {
        let (cell, table) = table(unsafe { get(it) }?)?;
        let init = error::ok(unsafe { to_rust_ref(cell, init, &element_type(cell, table)) })?;
        error::ok(cell.with(|context| table.grow(context, u64::from(delta), init)))?;
        true
    }

    /// A memory of the host.
    fn wasm_memory_new(store: *mut wasm_store_t, ty: *const wasm_memorytype_t) -> *mut wasm_memory_t {
        let cell = &unsafe { get(store) }?.cell;
        let ty = error::some(unsafe { get(ty) }?.to_memory(), "not the type of a memory")?;
        let object = if ty.is_shared() {
            Object::Shared(error::ok(rt::SharedMemory::new(cell.engine(), ty))?)
        } else {
            Object::Memory(error::ok(cell.with(|context| rt::Memory::new(context, ty)))?)
        };
        give(wasm_ref_t::new(cell, object))
    }
    /// Its type.
    fn wasm_memory_type(it: *const wasm_memory_t) -> *mut wasm_memorytype_t {
        type_of(it)?
    }
    /// Its first byte; null of a shared one. It stays there as long as the store lives, also when the memory grows.
    fn wasm_memory_data(it: *mut wasm_memory_t) -> *mut u8 {
        let (cell, memory) = memory(unsafe { get(it) }?)?;
        cell.with(|context| memory.data_mut(context).as_mut_ptr())
    }
    /// Its size in bytes; 0 of a shared one.
    fn wasm_memory_data_size(it: *const wasm_memory_t) -> usize {
        let (cell, memory) = memory(unsafe { get(it) }?)?;
        cell.with(|context| memory.data_size(&context))
    }
    /// Its size in pages.
    fn wasm_memory_size(it: *const wasm_memory_t) -> u32 {
        u32::try_from(crate::memory::pages(unsafe { get(it) }?)?).unwrap_or(u32::MAX)
    }
    /// Grows it by so many pages; false if it cannot.
    fn wasm_memory_grow(it: *mut wasm_memory_t, delta: u32) -> bool {
        crate::memory::grow(unsafe { get(it) }?, u64::from(delta))?;
        true
    }

    /// Its kind: function, global, table, memory.
    fn wasm_extern_kind(it: *const wasm_extern_t) -> u8 {
        kind(unsafe { get(it) }?)?
    }
    /// Its type.
    fn wasm_extern_type(it: *const wasm_extern_t) -> *mut wasm_externtype_t {
        type_of(it)?
    }
}

macro_rules! casts {
    ($($number:literal $ty:ident: $to:ident $to_const:ident $from:ident $from_const:ident;)*) => {$(
        c_api! {
            /// It as an external, at the same address.
            fn $to(it: *mut $ty) -> *mut wasm_extern_t {
                it
            }
            /// Likewise.
            fn $to_const(it: *const $ty) -> *const wasm_extern_t {
                it
            }
            /// The external as this; null if it is something else.
            fn $from(it: *mut wasm_extern_t) -> *mut $ty {
                match kind(unsafe { get(it) }?)? {
                    $number => it,
                    _ => ptr::null_mut(),
                }
            }
            /// Likewise.
            fn $from_const(it: *const wasm_extern_t) -> *const $ty {
                match kind(unsafe { get(it) }?)? {
                    $number => it,
                    _ => ptr::null(),
                }
            }
        }
    )*};
}

casts! {
    0 wasm_func_t: wasm_func_as_extern wasm_func_as_extern_const wasm_extern_as_func wasm_extern_as_func_const;
    1 wasm_global_t: wasm_global_as_extern wasm_global_as_extern_const
        wasm_extern_as_global wasm_extern_as_global_const;
    2 wasm_table_t: wasm_table_as_extern wasm_table_as_extern_const
        wasm_extern_as_table wasm_extern_as_table_const;
    3 wasm_memory_t: wasm_memory_as_extern wasm_memory_as_extern_const
        wasm_extern_as_memory wasm_extern_as_memory_const;
}
