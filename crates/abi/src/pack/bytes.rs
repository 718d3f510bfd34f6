//! Reading and writing of packed values: one trait, so that both directions stand side by side.
//!
//! Guarantees that whatever is read back from what was written is equal, that each value has only
//! one form, and that no count is believed before the bytes for that many items are there.

use crate::bytes::Bytes;
use cellwall_base::{
    DataIdx, ElemIdx, EntityId, FuncIdx, GlobalIdx, IdMap, Invalid, MemoryIdx, TableIdx, TagIdx, TypeIdx,
};
use std::ops::Range;

/// Items for which a list has room before the first is read.
const LIST_START_MAX: usize = 4096;

/// A value with a packed form.
pub(super) trait Pack: Sized {
    /// Bytes of the shortest form; at least 1.
    const BYTES_MIN: usize;

    /// Appends the packed form.
    fn write(&self, to: &mut Writer);

    /// Reads it back.
    fn read(from: &mut Reader<'_>) -> Result<Self, Invalid>;
}

/// A value whose packed form always has [`Pack::BYTES_MIN`] bytes: tables of these are most of what
/// is read, and are read without a question per field.
pub(super) trait Row: Pack {
    /// Reads it from exactly its bytes; `None` if [`Pack::read`] would refuse them.
    fn parse(bytes: &[u8]) -> Option<Self>;
}

/// Bytes in the making.
#[derive(Default)]
pub(super) struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    pub(super) fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Appends this byte up to a multiple.
    pub(super) fn align(&mut self, multiple: usize, fill: u8) {
        self.bytes
            .resize(self.bytes.len().next_multiple_of(multiple), fill);
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    fn count(&mut self, count: usize) {
        u32::try_from(count)
            .expect("lists have at most 2^32 items")
            .write(self);
    }
}

/// A place in a section that is being read. A copy stays where it was.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    section: &'static str,
    rest: &'a [u8],
    /// Offset of `rest` in the file.
    offset: usize,
    /// The file, if it is frozen.
    frozen: Option<&'a bytes::Bytes>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(section: &'static str, bytes: &'a [u8], offset: usize) -> Self {
        let rest = bytes;
        Self {
            section,
            rest,
            offset,
            frozen: None,
        }
    }

    /// This place in a file that may be frozen.
    pub(super) fn frozen(self, frozen: Option<&'a bytes::Bytes>) -> Self {
        Self { frozen, ..self }
    }

    /// All that was not read yet.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The same, to keep.
    pub(super) fn rest_bytes(&self) -> Bytes {
        self.keep(self.rest)
    }

    fn keep(&self, slice: &'a [u8]) -> Bytes {
        match self.frozen {
            Some(frozen) => Bytes::Shared(frozen.slice_ref(slice)),
            None => Bytes::Owned(slice.to_vec()),
        }
    }

    /// Refuses what stands here.
    pub(super) fn fail<T>(&self, reason: impl AsRef<str>) -> Result<T, Invalid> {
        Err(Invalid {
            offset: self.offset,
            reason: format!("{}: {}", self.section, reason.as_ref()),
        })
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Invalid> {
        let Some((array, _)) = self.rest.split_first_chunk::<N>() else {
            return self.fail("the bytes end too early");
        };
        self.skip(N);
        Ok(*array)
    }

    fn slice(&mut self, len: usize) -> Result<&'a [u8], Invalid> {
        let Some(slice) = self.rest.get(..len) else {
            return self.fail("the bytes end too early");
        };
        self.skip(len);
        Ok(slice)
    }

    fn skip(&mut self, len: usize) {
        self.rest = &self.rest[len..];
        self.offset += len;
    }

    /// A count of items that take at least `bytes_min` each.
    fn count(&mut self, bytes_min: usize) -> Result<usize, Invalid> {
        let at = *self;
        let count = u32::read(self)? as usize;
        match count > self.rest.len() / bytes_min {
            true => at.fail(format!("there are not enough bytes for {count} items")),
            false => Ok(count),
        }
    }

    fn list<T: Pack>(&mut self) -> Result<Vec<T>, Invalid> {
        let count = self.count(T::BYTES_MIN)?;
        // More only grows with what was really read.
        let mut items = Vec::with_capacity(count.min(LIST_START_MAX));
        for _ in 0..count {
            items.push(T::read(self)?);
        }
        Ok(items)
    }

    /// The section as one value.
    pub(super) fn whole<T: Pack>(mut self) -> Result<T, Invalid> {
        let value = T::read(&mut self)?;
        match self.rest.is_empty() {
            true => Ok(value),
            false => self.fail("there are bytes after the end"),
        }
    }

    /// The section as rows of one size.
    pub(super) fn rows<T: Row>(self) -> Result<Vec<T>, Invalid> {
        let chunks = self.rest.chunks_exact(T::BYTES_MIN);
        let mut rows = Vec::with_capacity(chunks.len());
        let whole = chunks.remainder().is_empty();
        rows.extend(chunks.map_while(T::parse));
        match whole && rows.len() == self.rest.len() / T::BYTES_MIN {
            true => Ok(rows),
            // Says where.
            false => self.items(),
        }
    }

    /// The section as items of any size.
    pub(super) fn items<T: Pack>(mut self) -> Result<Vec<T>, Invalid> {
        let mut rows = Vec::new();
        while !self.rest.is_empty() {
            rows.push(T::read(&mut self)?);
        }
        Ok(rows)
    }
}

/// Lists the fields of structs in the order in which they are packed.
macro_rules! packed {
    ($($name:ident { $($field:ident: $ty:ty),+ })+) => {$(
        impl $crate::pack::bytes::Pack for $name {
            const BYTES_MIN: usize = 0 $(+ <$ty as $crate::pack::bytes::Pack>::BYTES_MIN)+;

            fn write(&self, to: &mut $crate::pack::bytes::Writer) {
                let Self { $($field),+ } = self;
                $($field.write(to);)+
            }

            fn read(from: &mut $crate::pack::bytes::Reader<'_>) -> Result<Self, cellwall_base::Invalid> {
                $(let $field = <$ty as $crate::pack::bytes::Pack>::read(from)?;)+
                Ok(Self { $($field),+ })
            }
        }
    )+};
}
pub(super) use packed;

/// Like [`packed`], of structs with fields of one size.
macro_rules! rows {
    ($($name:ident { $($field:ident: $ty:ty),+ })+) => {$(
        $crate::pack::bytes::packed! { $name { $($field: $ty),+ } }

        impl $crate::pack::bytes::Row for $name {
            #[inline]
            fn parse(bytes: &[u8]) -> Option<Self> {
                $(
                    let ($field, bytes) = bytes.split_at_checked(<$ty as $crate::pack::bytes::Pack>::BYTES_MIN)?;
                )+
                bytes.is_empty().then_some(())?;
                Some(Self { $($field: <$ty as $crate::pack::bytes::Row>::parse($field)?),+ })
            }
        }
    )+};
}
pub(super) use rows;

macro_rules! numbers {
    ($($ty:ident),+) => {$(
        impl Pack for $ty {
            const BYTES_MIN: usize = size_of::<$ty>();

            fn write(&self, to: &mut Writer) {
                to.raw(&self.to_le_bytes());
            }

            fn read(from: &mut Reader<'_>) -> Result<Self, Invalid> {
                Ok(Self::from_le_bytes(from.array()?))
            }
        }
    )+};
}
numbers!(u8, u32, u64, u128, i32, i64);

impl Row for u32 {
    #[inline]
    fn parse(bytes: &[u8]) -> Option<Self> {
        Some(Self::from_le_bytes(bytes.try_into().ok()?))
    }
}

macro_rules! ids {
    ($($ty:ident),+) => {$(
        impl Pack for $ty {
            const BYTES_MIN: usize = 4;

            fn write(&self, to: &mut Writer) {
                self.as_u32().write(to);
            }

            fn read(from: &mut Reader<'_>) -> Result<Self, Invalid> {
                Ok(Self::from_u32(u32::read(from)?))
            }
        }
    )+};
}
ids!(
    FuncIdx, TypeIdx, MemoryIdx, TableIdx, GlobalIdx, DataIdx, ElemIdx, TagIdx
);

impl Row for FuncIdx {
    #[inline]
    fn parse(bytes: &[u8]) -> Option<Self> {
        u32::parse(bytes).map(Self::from_u32)
    }
}

impl Pack for bool {
    const BYTES_MIN: usize = 1;

    fn write(&self, to: &mut Writer) {
        u8::from(*self).write(to);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Invalid> {
        let at = *from;
        match u8::read(from)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => at.fail("neither 0 nor 1"),
        }
    }
}

impl Pack for String {
    const BYTES_MIN: usize = 4;

    fn write(&self, to: &mut Writer) {
        to.count(self.len());
        to.raw(self.as_bytes());
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Invalid> {
        let len = from.count(1)?;
        let at = *from;
        match std::str::from_utf8(from.slice(len)?) {
            Ok(text) => Ok(text.to_owned()),
            Err(_) => at.fail("a string is not UTF-8"),
        }
    }
}

impl Pack for Bytes {
    const BYTES_MIN: usize = 4;

    fn write(&self, to: &mut Writer) {
        to.count(self.len());
        to.raw(self);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Invalid> {
        let len = from.count(1)?;
        let slice = from.slice(len)?;
        Ok(from.keep(slice))
    }
}

impl<T: Pack> Pack for Option<T> {
    const BYTES_MIN: usize = 1;

    fn write(&self, to: &mut Writer) {
        self.is_some().write(to);
        if let Some(item) = self {
            item.write(to);
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Invalid> {
        bool::read(from)?.then(|| T::read(from)).transpose()
    }
}

impl<T: Pack> Pack for Vec<T> {
    const BYTES_MIN: usize = 4;

    fn write(&self, to: &mut Writer) {
        to.count(self.len());
        self.iter().for_each(|item| item.write(to));
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Invalid> {
        from.list()
    }
}

impl<T: Pack> Pack for Box<[T]> {
    const BYTES_MIN: usize = 4;

    fn write(&self, to: &mut Writer) {
        to.count(self.len());
        self.iter().for_each(|item| item.write(to));
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Invalid> {
        Ok(from.list()?.into_boxed_slice())
    }
}

impl<K: EntityId, T: Pack> Pack for IdMap<K, T> {
    const BYTES_MIN: usize = 4;

    fn write(&self, to: &mut Writer) {
        to.count(self.len());
        self.values().for_each(|item| item.write(to));
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Invalid> {
        Ok(from.list()?.into_iter().collect())
    }
}

impl<T: Pack> Pack for Range<T> {
    const BYTES_MIN: usize = 2 * T::BYTES_MIN;

    fn write(&self, to: &mut Writer) {
        self.start.write(to);
        self.end.write(to);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Invalid> {
        Ok(T::read(from)?..T::read(from)?)
    }
}

impl<A: Pack, B: Pack> Pack for (A, B) {
    const BYTES_MIN: usize = A::BYTES_MIN + B::BYTES_MIN;

    fn write(&self, to: &mut Writer) {
        self.0.write(to);
        self.1.write(to);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Invalid> {
        Ok((A::read(from)?, B::read(from)?))
    }
}
