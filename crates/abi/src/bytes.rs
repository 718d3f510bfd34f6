//! Bytes of an artifact: owned, or shared with whoever keeps them frozen.
//!
//! Guarantees that shared bytes never change while they are alive: they come from the crate `bytes`,
//! which asks their owner once. Who changes them gets a copy of their own.

use std::fmt;
use std::ops::{Deref, DerefMut};

/// Owned or shared bytes; equal if their contents are.
#[derive(Clone)]
pub enum Bytes {
    /// Bytes of their own.
    Owned(Vec<u8>),
    /// Part of a larger piece, such as a file in memory.
    Shared(bytes::Bytes),
}

impl Bytes {
    /// As a vector that can be changed; copied first if they are shared.
    pub fn to_mut(&mut self) -> &mut Vec<u8> {
        if let Self::Shared(shared) = self {
            *self = Self::Owned(shared.to_vec());
        }
        match self {
            Self::Owned(owned) => owned,
            Self::Shared(_) => unreachable!("shared bytes were copied above"),
        }
    }
}

impl Default for Bytes {
    fn default() -> Self {
        Self::Owned(Vec::new())
    }
}

impl Deref for Bytes {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match self {
            Self::Owned(owned) => owned,
            Self::Shared(shared) => shared,
        }
    }
}

impl DerefMut for Bytes {
    fn deref_mut(&mut self) -> &mut [u8] {
        self.to_mut()
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(owned: Vec<u8>) -> Self {
        Self::Owned(owned)
    }
}

impl PartialEq for Bytes {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Bytes {}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_seen_by_nobody_else() {
        let shared = bytes::Bytes::from_static(b"abc");
        let mut ours = Bytes::Shared(shared.slice(1..));
        let theirs = ours.clone();
        ours[0] = b'x';
        ours.to_mut().push(b'y');
        assert_eq!((&*ours, &*theirs), (&b"xcy"[..], &b"bc"[..]));
        assert_eq!(theirs, Bytes::from(b"bc".to_vec()));
        assert_ne!(theirs, ours);
    }
}
