//! What modules import and instances export.

use crate::{
    AsContext, ExternType, Func, Global, Memory, Result, SharedMemory, StoreContext, Table, Tag, bail,
    format_err,
};
use cellwall_runtime as runtime;

/// Something that a module can import: of one store. Cheap to copy.
#[derive(Clone, Debug)]
pub enum Extern {
    /// A function.
    Func(Func),
    /// A global.
    Global(Global),
    /// A table.
    Table(Table),
    /// A memory.
    Memory(Memory),
    /// A tag.
    Tag(Tag),
    /// A memory that belongs to no store, but to an engine.
    SharedMemory(SharedMemory),
}

macro_rules! into {
    ($($variant:ident $into:ident $what:literal;)*) => {$(
        #[doc = concat!("The ", $what, ", if it is one.")]
        pub fn $into(self) -> Option<$variant> {
            match self {
                Self::$variant(it) => Some(it),
                _ => None,
            }
        }
    )*};
}

impl Extern {
    into! {
        Func into_func "function";
        Global into_global "global";
        Table into_table "table";
        Memory into_memory "memory";
        Tag into_tag "tag";
        SharedMemory into_shared_memory "shared memory";
    }

    /// Its type; the minimum of a memory or table is its current size.
    ///
    /// # Panics
    /// If it belongs to another store.
    pub fn ty(&self, store: impl AsContext) -> ExternType {
        match self {
            Self::Func(it) => it.ty(store).into(),
            Self::Global(it) => it.ty(store).into(),
            Self::Table(it) => it.ty(store).into(),
            Self::Memory(it) => it.ty(store).into(),
            Self::Tag(it) => it.ty(store).into(),
            Self::SharedMemory(it) => it.ty_now().into(),
        }
    }

    /// Refuses what belongs to another store.
    pub(crate) fn check_store<T>(&self, store: StoreContext<'_, T>) -> Result<()> {
        let own = match self {
            Self::Func(it) => it.id.store(),
            Self::Global(it) => it.id.store(),
            Self::Table(it) => it.id.store(),
            Self::Memory(it) => it.id.store(),
            Self::Tag(it) => it.id.store(),
            Self::SharedMemory(it) => {
                if !it.raw.engine().same(store.0.engine()) {
                    bail!("a shared memory of one engine cannot be used in another");
                }
                return Ok(());
            }
        };
        if own != store.0.id() {
            bail!("something of one store cannot be used in another");
        }
        Ok(())
    }

    /// What it is in a store, which it belongs to or may be used in.
    pub(crate) fn raw(&self, store: &mut runtime::StoreOpaque) -> Result<runtime::Extern> {
        Ok(match self {
            Self::Func(it) => runtime::Extern::Func(it.id),
            Self::Global(it) => runtime::Extern::Global(it.id),
            Self::Table(it) => runtime::Extern::Table(it.id),
            Self::Memory(it) => runtime::Extern::Memory(it.id),
            Self::Tag(it) => runtime::Extern::Tag(it.id),
            Self::SharedMemory(it) => {
                let id = store.add_shared_memory(&it.raw);
                runtime::Extern::Memory(id.map_err(|error| format_err!("{error}"))?)
            }
        })
    }

    pub(crate) fn from_raw(store: &runtime::StoreOpaque, raw: runtime::Extern) -> Self {
        match raw {
            runtime::Extern::Func(id) => Self::Func(Func { id }),
            runtime::Extern::Global(id) => Self::Global(Global { id }),
            runtime::Extern::Table(id) => Self::Table(Table { id }),
            runtime::Extern::Tag(id) => Self::Tag(Tag { id }),
            runtime::Extern::Memory(id) => match store.shared_memory(id) {
                Some(raw) => Self::SharedMemory(SharedMemory { raw }),
                None => Self::Memory(Memory { id }),
            },
        }
    }
}

macro_rules! from {
    ($($variant:ident)*) => {$(
        impl From<$variant> for Extern {
            fn from(it: $variant) -> Self {
                Self::$variant(it)
            }
        }
    )*};
}
from! { Func Global Table Memory Tag SharedMemory }

/// An export of an instance: its name and what it is.
#[derive(Clone, Debug)]
pub struct Export<'instance> {
    name: &'instance str,
    definition: Extern,
}

impl<'instance> Export<'instance> {
    pub(crate) fn new(name: &'instance str, definition: Extern) -> Self {
        Self { name, definition }
    }

    /// Its name.
    pub fn name(&self) -> &'instance str {
        self.name
    }

    /// Its type.
    ///
    /// # Panics
    /// If it belongs to another store.
    pub fn ty(&self, store: impl AsContext) -> ExternType {
        self.definition.ty(store)
    }

    /// What it is.
    pub fn into_extern(self) -> Extern {
        self.definition
    }

    /// The function, if it is one.
    pub fn into_func(self) -> Option<Func> {
        self.definition.into_func()
    }

    /// The global, if it is one.
    pub fn into_global(self) -> Option<Global> {
        self.definition.into_global()
    }

    /// The table, if it is one.
    pub fn into_table(self) -> Option<Table> {
        self.definition.into_table()
    }

    /// The memory, if it is one that belongs to the store.
    pub fn into_memory(self) -> Option<Memory> {
        self.definition.into_memory()
    }

    /// The tag, if it is one.
    pub fn into_tag(self) -> Option<Tag> {
        self.definition.into_tag()
    }

    /// The memory, if it is one that stores share.
    pub fn into_shared_memory(self) -> Option<SharedMemory> {
        self.definition.into_shared_memory()
    }
}
