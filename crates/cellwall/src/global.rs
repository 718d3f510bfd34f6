//! Globals.

use crate::{AsContext, AsContextMut, GlobalType, Result, Val, bail};
use cellwall_runtime as runtime;

/// A global of a store. Just a name for it: cheap to copy.
///
/// ```
/// use cellwall::{Engine, Global, GlobalType, Mutability, Store, Val, ValType};
///
/// let mut store = Store::new(&Engine::default(), ());
/// let ty = GlobalType::new(ValType::I32, Mutability::Var);
/// let global = Global::new(&mut store, ty, Val::I32(1))?;
/// global.set(&mut store, Val::I32(2))?;
/// assert_eq!(global.get(&mut store).unwrap_i32(), 2);
/// assert!(global.set(&mut store, Val::I64(2)).is_err());
/// # cellwall::Ok(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Global {
    pub(crate) id: runtime::GlobalId,
}

impl Global {
    /// Makes a global that belongs to no instance.
    ///
    /// # Errors
    /// If the value is of another type or store.
    pub fn new(mut store: impl AsContextMut, ty: GlobalType, value: Val) -> Result<Self> {
        let store = store.as_context_mut();
        if !value.matches_ty(store.as_context(), ty.content())? {
            bail!("a global of {} cannot hold {}", ty.content(), value.plain_ty());
        }
        let raw = value.to_raw(store.as_context())?;
        let ty = ty.to_runtime(store.engine().runtime());
        let id = store.0.new_global(ty, raw);
        let id = id.map_err(|error| store.error(error))?;
        Ok(Self { id })
    }

    /// Its type.
    ///
    /// # Panics
    /// If it belongs to another store, as do all functions here.
    pub fn ty(&self, store: impl AsContext) -> GlobalType {
        let store = store.as_context();
        GlobalType::from_runtime(store.engine().runtime(), store.0.global_type(self.id))
    }

    /// Its value.
    pub fn get(&self, mut store: impl AsContextMut) -> Val {
        let store = store.as_context_mut();
        let raw = store.0.global_get(self.id);
        Val::from_raw(store.0, raw)
    }

    /// Sets its value.
    ///
    /// # Errors
    /// If it cannot be set, or the value is of another type or store.
    pub fn set(&self, mut store: impl AsContextMut, value: Val) -> Result<()> {
        let store = store.as_context_mut();
        let ty = self.ty(store.as_context());
        if ty.mutability().is_const() {
            bail!("an immutable global cannot be set");
        }
        if !value.matches_ty(store.as_context(), ty.content())? {
            bail!("a global of {} cannot hold {}", ty.content(), value.plain_ty());
        }
        let raw = value.to_raw(store.as_context())?;
        let done = store.0.global_set(self.id, raw);
        done.map_err(|error| store.error(error))
    }
}
