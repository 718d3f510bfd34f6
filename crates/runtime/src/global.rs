//! Globals: 16 bytes in the context of their instance, or of the host's own.

use crate::context::Context;
use crate::error::Error;
use crate::id::{GlobalId, assert_store};
use crate::store::StoreOpaque;
use crate::value::RawVal;
use cellwall_abi::ValType;
use cellwall_base::types::RefType;
use cellwall_base::{EntityId, GlobalIdx};
use std::ptr::NonNull;

/// The type of a global.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GlobalType {
    /// Value type.
    pub ty: ValType,
    /// The same exactly, of a reference.
    pub exact: Option<RefType<u32>>,
    /// Whether it can be set.
    pub mutable: bool,
}

/// A global of the host.
#[derive(Debug)]
pub(crate) struct HostGlobal {
    value: Context,
    ty: GlobalType,
}

/// Bytes of a value's place.
const BYTES: usize = 16;

impl StoreOpaque {
    /// Makes a global for the host.
    ///
    /// # Errors
    /// [`Error::Type`] if `init` has another type.
    pub fn new_global(&mut self, ty: GlobalType, init: RawVal) -> Result<GlobalId, Error> {
        check_type(ty.ty, init)?;
        self.check_exact(init, ty.exact)?;
        self.fields.globals.push(HostGlobal {
            value: Context::new(&init.bits().to_ne_bytes()),
            ty,
        });
        Ok(GlobalId {
            store: self.id(),
            owner: None,
            index: self.fields.globals.len() as u32 - 1,
        })
    }

    /// Value type and mutability.
    pub fn global_type(&self, global: GlobalId) -> GlobalType {
        assert_store(self.id(), global.store);
        match global.owner {
            None => self.fields.globals[global.index as usize].ty,
            Some(owner) => {
                let code = &self.fields.instances[owner as usize].code;
                let global = &code.shape().globals[GlobalIdx::new(global.index as usize)];
                GlobalType {
                    ty: global.ty,
                    exact: code.exact(global.exact),
                    mutable: global.mutable,
                }
            }
        }
    }

    /// The place of its value.
    pub(crate) fn global_place(&self, global: GlobalId) -> NonNull<u8> {
        assert_store(self.id(), global.store);
        match global.owner {
            None => self.fields.globals[global.index as usize].value.place(0, BYTES),
            Some(owner) => {
                let instance = &self.fields.instances[owner as usize];
                let index = GlobalIdx::new(global.index as usize);
                instance.context.place(instance.code.layout.global(index), BYTES)
            }
        }
    }

    /// Its value.
    pub fn global_get(&self, global: GlobalId) -> RawVal {
        let place = self.global_place(global).cast::<[u8; BYTES]>();
        // SAFETY: a place of this size that lives as long as the store; no guest runs now.
        let bytes = unsafe { place.read() };
        RawVal::from_bits(self.global_type(global).ty, u128::from_ne_bytes(bytes))
    }

    /// The exceptions that globals hold.
    pub(crate) fn exceptions_in_globals(&self) -> Vec<u32> {
        let store = self.id();
        let of_host = self.fields.globals.iter().enumerate().map(|(index, global)| {
            let (owner, index) = (None, index as u32);
            (GlobalId { store, owner, index }, global.ty.ty)
        });
        let owned = self
            .fields
            .instances
            .iter()
            .enumerate()
            .flat_map(|(at, instance)| {
                let globals = instance.code.shape().globals.iter();
                let own = globals.filter(|(_, global)| !global.imported && global.ty == ValType::ExnRef);
                own.map(move |(index, global)| {
                    let (owner, index) = (Some(at as u32), index.as_u32());
                    (GlobalId { store, owner, index }, global.ty)
                })
            });
        let of_exceptions = of_host.chain(owned).filter(|&(_, ty)| ty == ValType::ExnRef);
        let values = of_exceptions.filter_map(|(global, _)| self.global_get(global).reference());
        values.collect()
    }

    /// Sets its value.
    ///
    /// # Errors
    /// [`Error::Type`] if it is immutable or has another type.
    pub fn global_set(&mut self, global: GlobalId, value: RawVal) -> Result<(), Error> {
        if !self.global_type(global).mutable {
            return Err(Error::Type("immutable global cannot be set".into()));
        }
        self.init_global(global, value)
    }

    /// Sets an `i32` that [`new_global`](Self::new_global) made, without looking at much.
    ///
    /// # Panics
    /// If it is of another store, of an instance, or of another type.
    #[inline]
    pub fn set_host_i32(&mut self, global: GlobalId, value: i32) {
        assert_store(self.id(), global.store);
        let found = &self.fields.globals[global.index as usize];
        assert!(
            global.owner.is_none() && found.ty.ty == ValType::I32,
            "an i32 of the host"
        );
        let place = found.value.place(0, BYTES).cast::<[u8; 4]>();
        // SAFETY: a place of more bytes that lives as long as the store; no guest runs now.
        unsafe { place.write(value.to_ne_bytes()) };
    }

    /// The value of an `i32` that [`new_global`](Self::new_global) made.
    ///
    /// # Panics
    /// As [`set_host_i32`](Self::set_host_i32).
    #[inline]
    pub fn host_i32(&self, global: GlobalId) -> i32 {
        assert_store(self.id(), global.store);
        let found = &self.fields.globals[global.index as usize];
        assert!(
            global.owner.is_none() && found.ty.ty == ValType::I32,
            "an i32 of the host"
        );
        let place = found.value.place(0, BYTES).cast::<[u8; 4]>();
        // SAFETY: as in `set_host_i32`.
        i32::from_ne_bytes(unsafe { place.read() })
    }

    /// Sets its value though it may be immutable.
    pub(crate) fn init_global(&mut self, global: GlobalId, value: RawVal) -> Result<(), Error> {
        let ty = self.global_type(global);
        check_type(ty.ty, value)?;
        self.check_exact(value, ty.exact)?;
        let place = self.global_place(global).cast::<[u8; BYTES]>();
        // SAFETY: a place of this size that lives as long as the store; no guest runs now.
        unsafe { place.write(value.bits().to_ne_bytes()) };
        Ok(())
    }
}

fn check_type(ty: ValType, value: RawVal) -> Result<(), Error> {
    if value.ty() != ty {
        return Err(Error::Type(format!(
            "a global of type {ty} cannot hold a value of type {}",
            value.ty()
        )));
    }
    Ok(())
}
