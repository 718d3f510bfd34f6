//! Tables.

use crate::{AsContext, AsContextMut, Ref, Result, TableType, Val, bail};
use cellwall_runtime as runtime;

/// A table of a store. Just a name for it: cheap to copy.
///
/// ```
/// use cellwall::{Engine, Func, Ref, RefType, Store, Table, TableType};
///
/// let engine = Engine::default();
/// let mut store = Store::new(&engine, ());
/// let ty = TableType::new(RefType::FUNCREF, 2, None);
/// let table = Table::new(&mut store, ty, Ref::Func(None))?;
/// let seven = Func::wrap(&mut store, || 7i32);
/// table.set(&mut store, 1, seven.into())?;
///
/// assert!(table.get(&mut store, 0).unwrap().is_null());
/// let func = *table.get(&mut store, 1).unwrap().unwrap_func().unwrap();
/// assert_eq!(func.typed::<(), i32>(&store)?.call(&mut store, ())?, 7);
/// assert!(table.get(&mut store, 2).is_none());
/// # cellwall::Ok(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Table {
    pub(crate) id: runtime::TableId,
}

impl Table {
    /// Makes a table that belongs to no instance, full of `init`.
    ///
    /// # Errors
    /// If `init` is of another type or store, or the store's limiter refuses.
    pub fn new(mut store: impl AsContextMut, ty: TableType, init: Ref) -> Result<Self> {
        let store = store.as_context_mut();
        let raw = Val::from(init).to_raw(store.as_context())?;
        if !init.matches_ty(store.as_context(), ty.element())? {
            bail!(
                "a table of {} cannot hold {}",
                ty.element(),
                Val::from(init).plain_ty()
            );
        }
        let bits = match raw {
            runtime::RawVal::FuncRef(r) => r.0,
            runtime::RawVal::ExternRef(r) => r.0,
            runtime::RawVal::ExnRef(r) => r.0,
            runtime::RawVal::AnyRef(r) => r.0,
            other => panic!("a reference is no {}", other.ty()),
        };
        let ty = ty.to_runtime(store.engine().runtime());
        let id = store.0.new_table(ty, bits);
        let id = id.map_err(|error| store.error(error))?;
        Ok(Self { id })
    }

    /// Its type; the minimum is its current size.
    ///
    /// # Panics
    /// If it belongs to another store, as do all functions here.
    pub fn ty(&self, store: impl AsContext) -> TableType {
        let store = store.as_context();
        let ty = store.0.table_type(self.id);
        TableType::from_runtime(store.engine().runtime(), &ty, store.0.table_len(self.id))
    }

    /// The element at `index`; `None` if that is out of bounds.
    pub fn get(&self, mut store: impl AsContextMut, index: u64) -> Option<Ref> {
        let store = store.as_context_mut();
        let raw = store.0.table_get(self.id, index)?;
        Some(
            Val::from_raw(store.0, raw)
                .ref_()
                .expect("tables hold references"),
        )
    }

    /// Sets the element at `index`.
    ///
    /// # Errors
    /// If `index` is out of bounds or the value of another type or store.
    pub fn set(&self, mut store: impl AsContextMut, index: u64, value: Ref) -> Result<()> {
        let store = store.as_context_mut();
        let raw = Val::from(value).to_raw(store.as_context())?;
        let done = store.0.table_set(self.id, index, raw);
        done.map_err(|error| store.error(error))
    }

    /// Its current size in elements.
    pub fn size(&self, store: impl AsContext) -> u64 {
        store.as_context().0.table_len(self.id)
    }

    /// Grows it by `delta` elements of value `init` and returns the old size.
    ///
    /// # Errors
    /// If it would exceed its maximum, `init` is of another type or store, or the store's limiter
    /// refuses; then it is unchanged.
    pub fn grow(&self, mut store: impl AsContextMut, delta: u64, init: Ref) -> Result<u64> {
        let store = store.as_context_mut();
        let raw = Val::from(init).to_raw(store.as_context())?;
        match store.0.table_grow(self.id, delta, raw) {
            Ok(Some(old)) => Ok(old),
            Ok(None) => Err(crate::format_err!("the table cannot grow by {delta} elements")),
            Err(error) => Err(store.error(error)),
        }
    }

    /// Copies `len` elements from one table to another (or the same).
    ///
    /// # Errors
    /// If a range is out of bounds or the types differ; then nothing is copied.
    pub fn copy(
        mut store: impl AsContextMut,
        dst_table: &Self,
        dst_index: u64,
        src_table: &Self,
        src_index: u64,
        len: u64,
    ) -> Result<()> {
        let store = store.as_context_mut();
        let done = store
            .0
            .table_copy(dst_table.id, dst_index, src_table.id, src_index, len);
        done.map_err(|error| store.error(error))
    }

    /// Sets `len` elements from `dst` on to a value.
    ///
    /// # Errors
    /// If the range is out of bounds or the value of another type or store; then nothing changes.
    pub fn fill(&self, mut store: impl AsContextMut, dst: u64, value: Ref, len: u64) -> Result<()> {
        let store = store.as_context_mut();
        let raw = Val::from(value).to_raw(store.as_context())?;
        let done = store.0.table_fill(self.id, dst, raw, len);
        done.map_err(|error| store.error(error))
    }
}
