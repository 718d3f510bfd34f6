//! Typed ids and vectors indexed by them.
//!
//! An id is a `u32` that names one thing in one arena; two kinds of id cannot be mixed up. An
//! [`IdMap`] is a vector that only its own kind of id can index.

use std::fmt;
use std::marker::PhantomData;
use std::ops::{Index, IndexMut};

/// A typed index.
pub trait EntityId: Copy + Eq + Ord + fmt::Debug + 'static {
    /// Makes the id with this index.
    ///
    /// # Panics
    /// If `index` does not fit 32 bits.
    fn new(index: usize) -> Self;
    /// The index that this id stands for.
    fn index(self) -> usize;
}

/// Declares an id type: `id! { /// doc  Name, "prefix" }`; `Debug` and `Display` print the prefix
/// and the number.
#[macro_export]
macro_rules! id {
    ($(#[$meta:meta])* $name:ident, $prefix:literal) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u32);
        impl $name {
            /// Makes the id with this number.
            pub const fn from_u32(index: u32) -> Self {
                Self(index)
            }
            /// The number of this id.
            pub const fn as_u32(self) -> u32 {
                self.0
            }
        }
        impl $crate::EntityId for $name {
            fn new(index: usize) -> Self {
                Self(u32::try_from(index).expect("ids are limited to 32 bits"))
            }
            fn index(self) -> usize {
                self.0 as usize
            }
        }
        impl ::std::fmt::Debug for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }
        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }
    };
}

/// A dense map from ids of one kind to values; also serves as the arena that makes the ids.
#[derive(Clone, PartialEq, Eq)]
pub struct IdMap<K, V> {
    items: Vec<V>,
    kind: PhantomData<fn(K)>,
}

impl<K: EntityId, V> IdMap<K, V> {
    /// An empty map.
    pub const fn new() -> Self {
        Self {
            items: Vec::new(),
            kind: PhantomData,
        }
    }

    /// An empty map with room for `capacity` values.
    pub fn with_capacity(capacity: usize) -> Self {
        Self {
            items: Vec::with_capacity(capacity),
            kind: PhantomData,
        }
    }

    /// A map of `len` copies of `value`.
    pub fn filled(value: V, len: usize) -> Self
    where
        V: Clone,
    {
        Self {
            items: vec![value; len],
            kind: PhantomData,
        }
    }

    /// Adds a value and returns its id.
    pub fn push(&mut self, value: V) -> K {
        let id = K::new(self.items.len());
        self.items.push(value);
        id
    }

    /// The id that the next [`push`](Self::push) will return.
    pub fn next_id(&self) -> K {
        K::new(self.items.len())
    }

    /// How many values there are.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// How many values have room without allocating.
    pub fn capacity(&self) -> usize {
        self.items.capacity()
    }

    /// Whether there is no value.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The value of `id`, if `id` is in range.
    pub fn get(&self, id: K) -> Option<&V> {
        self.items.get(id.index())
    }

    /// The value of `id`, if `id` is in range, to change it.
    pub fn get_mut(&mut self, id: K) -> Option<&mut V> {
        self.items.get_mut(id.index())
    }

    /// All ids in order.
    pub fn ids(&self) -> impl DoubleEndedIterator<Item = K> + ExactSizeIterator + use<K, V> {
        (0..self.items.len()).map(K::new)
    }

    /// All pairs in order of the ids.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (K, &V)> + ExactSizeIterator {
        self.items.iter().enumerate().map(|(i, v)| (K::new(i), v))
    }

    /// All pairs in order of the ids, to change the values.
    pub fn iter_mut(&mut self) -> impl DoubleEndedIterator<Item = (K, &mut V)> + ExactSizeIterator {
        self.items.iter_mut().enumerate().map(|(i, v)| (K::new(i), v))
    }

    /// All values in order of the ids.
    pub fn values(&self) -> std::slice::Iter<'_, V> {
        self.items.iter()
    }

    /// The values as a slice in order of the ids.
    pub fn as_slice(&self) -> &[V] {
        &self.items
    }

    /// Sets the length; new values are copies of `value`.
    pub fn resize(&mut self, len: usize, value: V)
    where
        V: Clone,
    {
        self.items.resize(len, value);
    }

    /// Drops all values and keeps the storage.
    pub fn clear(&mut self) {
        self.items.clear();
    }
}

impl<K: EntityId, V> Default for IdMap<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: EntityId, V> Index<K> for IdMap<K, V> {
    type Output = V;
    fn index(&self, id: K) -> &V {
        &self.items[id.index()]
    }
}

impl<K: EntityId, V> IndexMut<K> for IdMap<K, V> {
    fn index_mut(&mut self, id: K) -> &mut V {
        &mut self.items[id.index()]
    }
}

impl<K: EntityId, V> FromIterator<V> for IdMap<K, V> {
    fn from_iter<I: IntoIterator<Item = V>>(iter: I) -> Self {
        Self {
            items: iter.into_iter().collect(),
            kind: PhantomData,
        }
    }
}

impl<K: EntityId, V: fmt::Debug> fmt::Debug for IdMap<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(unreachable_pub, reason = "the macro makes public ids")]
    mod fruit {
        crate::id! {
            /// A test id.
            Apple, "apple"
        }
    }
    use fruit::Apple;

    #[test]
    fn push_hands_out_consecutive_ids() {
        let mut map: IdMap<Apple, &str> = IdMap::new();
        let (a, b) = (map.push("a"), map.push("b"));
        assert_eq!((map[a], map[b]), ("a", "b"));
        assert_eq!(format!("{a} {b:?}"), "apple0 apple1");
        assert_eq!(map.get(Apple::new(2)), None);
        assert_eq!(map.ids().collect::<Vec<_>>(), [a, b]);
        assert_eq!(Apple::from_u32(7).as_u32(), 7);
    }

    #[test]
    #[should_panic]
    fn an_id_out_of_range_panics() {
        let map: IdMap<Apple, u8> = IdMap::new();
        let _ = map[Apple::new(0)];
    }
}
