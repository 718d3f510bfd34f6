//! Ids of the things in a store. Each carries its store, and using it with another one panics.

use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering};

/// A store, among all of the process.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct StoreId(NonZeroU64);

impl StoreId {
    /// An id that no other store had or will have.
    pub(crate) fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        Self(NonZeroU64::new(id).expect("a process does not make 2^64 stores"))
    }
}

/// Panics, with a sentence, if a thing belongs to another store.
#[inline]
#[track_caller]
pub(crate) fn assert_store(store: StoreId, of_id: StoreId) {
    assert!(store == of_id, "object used with the wrong store");
}

macro_rules! store_ids {
    ($($(#[$meta:meta])* $name:ident;)*) => {$(
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
        pub struct $name {
            store: StoreId,
            index: u32,
        }

        impl $name {
            #[inline]
            pub(crate) fn new(store: StoreId, index: u32) -> Self {
                Self { store, index }
            }

            #[inline]
            #[allow(dead_code, reason = "not every kind of id needs every method")]
            pub(crate) fn index(self) -> usize {
                self.index as usize
            }

            /// The store that it belongs to.
            #[inline]
            pub fn store(self) -> StoreId {
                self.store
            }
        }
    )*};
}

store_ids! {
    /// An instance of a store.
    InstanceId;
    /// A function of a store; its number is that of references to it.
    FuncId;
    /// A memory of a store.
    MemoryId;
    /// A table of a store.
    TableId;
    /// A tag of a store.
    TagId;
}

/// A global of a store: the `index`-th of an instance, or of the host's.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct GlobalId {
    pub(crate) store: StoreId,
    /// The instance that owns it; `None` for the host.
    pub(crate) owner: Option<u32>,
    pub(crate) index: u32,
}

impl GlobalId {
    /// The store that it belongs to.
    pub fn store(self) -> StoreId {
        self.store
    }
}

/// Something that can be imported or exported.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Extern {
    /// A function.
    Func(FuncId),
    /// A table.
    Table(TableId),
    /// A memory.
    Memory(MemoryId),
    /// A global.
    Global(GlobalId),
    /// A tag.
    Tag(TagId),
}
