//! References: one Rust type for everything that C can hold a reference to.
//!
//! Guarantees that a reference keeps its store alive, and that host information belongs to the
//! thing, not to the reference: all references to it see the same. It is finalized with the thing:
//! of modules, traps and foreign objects with the last reference, of C or of guests; of what lives
//! in a store, and of what guests have seen, with the store.

use crate::env::{Env, Info};
use crate::store::{StoreCell, wasm_store_t};
use crate::trap::TrapObject;
use crate::{c_api, get, give, take};
use cellwall_rs::{self as rt};
use std::ffi::c_void;
use std::ptr;
use std::sync::Arc;

/// A reference to something, in a store.
#[derive(Clone)]
pub struct wasm_ref_t {
    pub(crate) store: Arc<StoreCell>,
    pub(crate) object: Object,
}

/// What is referred to.
#[derive(Clone)]
pub(crate) enum Object {
    Func(rt::Func),
    Global(rt::Global),
    Table(rt::Table),
    Memory(rt::Memory),
    Shared(rt::SharedMemory),
    Tag(rt::Tag),
    Instance(rt::Instance),
    Module(Arc<ModuleObject>),
    Trap(Arc<TrapObject>),
    Foreign(Arc<Info>),
    Exn(rt::Rooted<rt::ExnRef>),
    Any(rt::Rooted<rt::AnyRef>),
}

/// A module in a store.
pub(crate) struct ModuleObject {
    pub(crate) module: rt::Module,
    info: Info,
}

/// What makes two references the same: equal for the same thing, within a store.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Key {
    Func(rt::Func),
    Global(rt::Global),
    Table(rt::Table),
    Memory(rt::Memory),
    /// By its number, which is its own as long as it is there.
    Shared(usize),
    Tag(rt::Tag),
    Instance(rt::Instance),
    /// By its address, as are the next two.
    Module(usize),
    Trap(usize),
    Foreign(usize),
    Exn(rt::Rooted<rt::ExnRef>),
    Any(rt::Rooted<rt::AnyRef>),
}

/// What is in a reference that guest code holds: the thing without its store, in which it is.
pub(crate) struct Payload(pub(crate) Object);

impl Object {
    pub(crate) fn key(&self) -> Key {
        match self {
            Self::Func(it) => Key::Func(*it),
            Self::Global(it) => Key::Global(*it),
            Self::Table(it) => Key::Table(*it),
            Self::Memory(it) => Key::Memory(*it),
            Self::Shared(it) => Key::Shared(it.id()),
            Self::Tag(it) => Key::Tag(*it),
            Self::Instance(it) => Key::Instance(*it),
            Self::Module(it) => Key::Module(Arc::as_ptr(it) as usize),
            Self::Trap(it) => Key::Trap(Arc::as_ptr(it) as usize),
            Self::Foreign(it) => Key::Foreign(Arc::as_ptr(it) as usize),
            Self::Exn(it) => Key::Exn(*it),
            Self::Any(it) => Key::Any(*it),
        }
    }
}

impl wasm_ref_t {
    /// A module in a store.
    pub(crate) fn of_module(store: &Arc<StoreCell>, module: rt::Module) -> Self {
        let info = Info::default();
        Self::new(store, Object::Module(Arc::new(ModuleObject { module, info })))
    }

    pub(crate) fn new(store: &Arc<StoreCell>, object: Object) -> Self {
        Self {
            store: store.clone(),
            object,
        }
    }

    /// Where its host information is, if not with its store.
    fn own_info(&self) -> Option<&Info> {
        Some(match &self.object {
            Object::Module(module) => &module.info,
            Object::Trap(trap) => &trap.info,
            Object::Foreign(info) => info,
            _ => return None,
        })
    }

    fn info(&self) -> *mut c_void {
        match self.own_info() {
            Some(info) => info.get(),
            None => self.store.info(self.object.key()),
        }
    }

    fn set_info(&self, info: Env) {
        match self.own_info() {
            Some(own) => own.set(info),
            None => self.store.set_info(self.object.key(), info),
        }
    }
}

/// It as an external of the Rust API, if it is one.
pub(crate) fn external(object: &Object) -> Option<rt::Extern> {
    Some(match object {
        Object::Func(it) => (*it).into(),
        Object::Global(it) => (*it).into(),
        Object::Table(it) => (*it).into(),
        Object::Memory(it) => (*it).into(),
        Object::Shared(it) => it.clone().into(),
        Object::Tag(it) => (*it).into(),
        _ => return None,
    })
}

/// The other way.
pub(crate) fn object(external: rt::Extern) -> Object {
    match external {
        rt::Extern::Func(it) => Object::Func(it),
        rt::Extern::Global(it) => Object::Global(it),
        rt::Extern::Table(it) => Object::Table(it),
        rt::Extern::Memory(it) => Object::Memory(it),
        rt::Extern::Tag(it) => Object::Tag(it),
        rt::Extern::SharedMemory(it) => Object::Shared(it),
    }
}

macro_rules! references {
    ($($ty:ident is $pattern:pat => $delete:ident $copy:ident $same:ident $get:ident $set:ident $finalizer:ident
        $($as_ref:ident $as_ref_const:ident $from:ident $from_const:ident)?;)*) => {$(
        c_api! {
            /// Deletes the reference.
            fn $delete(it: *mut $ty) {
                drop(unsafe { take(it) });
            }
            /// Another reference to the same thing.
            fn $copy(it: *const $ty) -> *mut $ty {
                give(unsafe { get(it) }?.clone())
            }
            /// Whether both refer to the same thing.
            fn $same(a: *const $ty, b: *const $ty) -> bool {
                if a == b {
                    return Some(true);
                }
                let (a, b) = unsafe { (get(a)?, get(b)?) };
                a.object.key() == b.object.key()
            }
            /// What C attached to the thing.
            fn $get(it: *const $ty) -> *mut c_void {
                unsafe { get(it) }?.info()
            }
            /// Attaches something to it.
            fn $set(it: *mut $ty, info: *mut c_void) {
                unsafe { get(it) }?.set_info(Env::new(info, None));
            }
            /// Attaches something to it, and what to call when the thing is gone.
            fn $finalizer(it: *mut $ty, info: *mut c_void, finalizer: Option<unsafe extern "C" fn(*mut c_void)>) {
                unsafe { get(it) }?.set_info(Env::new(info, finalizer));
            }
            $(
            /// It as a reference, at the same address.
            fn $as_ref(it: *mut $ty) -> *mut wasm_ref_t {
                it
            }
            /// Likewise.
            fn $as_ref_const(it: *const $ty) -> *const wasm_ref_t {
                it
            }
            /// The reference as one to this; null if it is to something else.
            fn $from(it: *mut wasm_ref_t) -> *mut $ty {
                match unsafe { get(it) }?.object {
                    $pattern => it,
                    _ => ptr::null_mut(),
                }
            }
            /// Likewise.
            fn $from_const(it: *const wasm_ref_t) -> *const $ty {
                match unsafe { get(it) }?.object {
                    $pattern => it,
                    _ => ptr::null(),
                }
            }
            )?
        }
    )*};
}

/// All of them are references.
pub type wasm_func_t = wasm_ref_t;
/// Likewise.
pub type wasm_global_t = wasm_ref_t;
/// Likewise.
pub type wasm_table_t = wasm_ref_t;
/// Likewise.
pub type wasm_memory_t = wasm_ref_t;
/// Likewise.
pub type wasm_extern_t = wasm_ref_t;
/// Likewise.
pub type wasm_instance_t = wasm_ref_t;
/// Likewise.
pub type wasm_module_t = wasm_ref_t;
/// Likewise.
pub type wasm_trap_t = wasm_ref_t;
/// Likewise.
pub type wasm_foreign_t = wasm_ref_t;
/// Likewise.
pub type cellwall_exn_t = wasm_ref_t;

references! {
    wasm_ref_t is _ => wasm_ref_delete wasm_ref_copy wasm_ref_same wasm_ref_get_host_info
        wasm_ref_set_host_info wasm_ref_set_host_info_with_finalizer;
    wasm_func_t is Object::Func(_) => wasm_func_delete wasm_func_copy wasm_func_same wasm_func_get_host_info
        wasm_func_set_host_info wasm_func_set_host_info_with_finalizer
        wasm_func_as_ref wasm_func_as_ref_const wasm_ref_as_func wasm_ref_as_func_const;
    wasm_global_t is Object::Global(_) => wasm_global_delete wasm_global_copy wasm_global_same
        wasm_global_get_host_info wasm_global_set_host_info wasm_global_set_host_info_with_finalizer
        wasm_global_as_ref wasm_global_as_ref_const wasm_ref_as_global wasm_ref_as_global_const;
    wasm_table_t is Object::Table(_) => wasm_table_delete wasm_table_copy wasm_table_same
        wasm_table_get_host_info wasm_table_set_host_info wasm_table_set_host_info_with_finalizer
        wasm_table_as_ref wasm_table_as_ref_const wasm_ref_as_table wasm_ref_as_table_const;
    wasm_memory_t is Object::Memory(_) | Object::Shared(_) => wasm_memory_delete wasm_memory_copy wasm_memory_same
        wasm_memory_get_host_info wasm_memory_set_host_info wasm_memory_set_host_info_with_finalizer
        wasm_memory_as_ref wasm_memory_as_ref_const wasm_ref_as_memory wasm_ref_as_memory_const;
    wasm_extern_t is Object::Func(_) | Object::Global(_) | Object::Table(_) | Object::Memory(_)
        | Object::Shared(_) | Object::Tag(_) =>
        wasm_extern_delete wasm_extern_copy wasm_extern_same
        wasm_extern_get_host_info wasm_extern_set_host_info wasm_extern_set_host_info_with_finalizer
        wasm_extern_as_ref wasm_extern_as_ref_const wasm_ref_as_extern wasm_ref_as_extern_const;
    wasm_instance_t is Object::Instance(_) => wasm_instance_delete wasm_instance_copy wasm_instance_same
        wasm_instance_get_host_info wasm_instance_set_host_info wasm_instance_set_host_info_with_finalizer
        wasm_instance_as_ref wasm_instance_as_ref_const wasm_ref_as_instance wasm_ref_as_instance_const;
    wasm_module_t is Object::Module(_) => wasm_module_delete wasm_module_copy wasm_module_same
        wasm_module_get_host_info wasm_module_set_host_info wasm_module_set_host_info_with_finalizer
        wasm_module_as_ref wasm_module_as_ref_const wasm_ref_as_module wasm_ref_as_module_const;
    wasm_trap_t is Object::Trap(_) => wasm_trap_delete wasm_trap_copy wasm_trap_same
        wasm_trap_get_host_info wasm_trap_set_host_info wasm_trap_set_host_info_with_finalizer
        wasm_trap_as_ref wasm_trap_as_ref_const wasm_ref_as_trap wasm_ref_as_trap_const;
    wasm_foreign_t is Object::Foreign(_) => wasm_foreign_delete wasm_foreign_copy wasm_foreign_same
        wasm_foreign_get_host_info wasm_foreign_set_host_info wasm_foreign_set_host_info_with_finalizer
        wasm_foreign_as_ref wasm_foreign_as_ref_const wasm_ref_as_foreign wasm_ref_as_foreign_const;
}

c_api! {
    /// Something of the host's, to be passed as a reference.
    fn wasm_foreign_new(store: *mut wasm_store_t) -> *mut wasm_foreign_t {
        let cell = &unsafe { get(store) }?.cell;
        give(wasm_ref_t::new(cell, Object::Foreign(Arc::default())))
    }
}
