//! The elements of a table: a few on the heap, many in pages that stay untouched while they are null.
//!
//! Requires elements whose null is all zero bytes. Guarantees that a large table costs memory only
//! for pages in which an element is not null, or was not before. Deliberately knows nothing of
//! references and bounds of guests.

use crate::sys::{PAGE, Reservation, page_up};
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut, Range};

/// Larger tables get pages of their own.
const HEAP_BYTES_MAX: usize = 128 << 10;

/// From so many bytes of whole pages on, null is written by giving the pages back.
const FORGET_BYTES_MIN: usize = 64 << 10;

/// An element of a table.
///
/// # Safety
/// All bytes zero must be a value of the type, and be [`Slot::NULL`], the only value for which
/// [`Slot::is_null`] holds.
pub(crate) unsafe trait Slot: Copy {
    /// The null element.
    const NULL: Self;

    /// Whether it is null.
    fn is_null(&self) -> bool;
}

// SAFETY: zero is a number.
unsafe impl Slot for u32 {
    const NULL: Self = 0;

    fn is_null(&self) -> bool {
        *self == 0
    }
}

/// Elements, as a slice that can get longer.
#[derive(Debug)]
pub(crate) enum Slots<T> {
    Heap(Vec<T>),
    Pages(Pages<T>),
}

/// Elements from the start of a reservation on. Whatever lies behind them is zero.
#[derive(Debug)]
pub(crate) struct Pages<T> {
    reservation: Reservation,
    /// Bytes that can be used, a multiple of the page.
    committed: usize,
    /// Number of elements.
    len: usize,
    elements: PhantomData<T>,
}

impl<T: Slot> Pages<T> {
    /// Room for `max` elements, or for `needed` if the address space is too small for that.
    fn new(needed: usize, max: usize) -> Result<Self, String> {
        let reserve = |count: usize| Reservation::new(page_up(count * size_of::<T>()));
        let reservation = reserve(max.max(needed))
            .or_else(|_| reserve(needed))
            .map_err(|error| format!("the system gives no more address space: {error}"))?;
        Ok(Self {
            reservation,
            committed: 0,
            len: 0,
            elements: PhantomData,
        })
    }

    fn room(&self) -> usize {
        self.reservation.bytes() / size_of::<T>()
    }

    /// Makes it longer, with null elements; `len` must be in the room and not less than before.
    fn lengthen(&mut self, len: usize) -> Result<(), String> {
        assert!(self.len <= len && len <= self.room(), "the caller made room");
        let bytes = page_up(len * size_of::<T>());
        self.reservation
            .commit(self.committed, bytes - self.committed)
            .map_err(|error| format!("the system gives no more memory: {error}"))?;
        self.committed = bytes;
        self.len = len;
        Ok(())
    }

    /// Gives the whole pages of a range back, if that is worth it: their elements are null then.
    /// What remains to be written, before and behind them.
    fn forget(&mut self, range: Range<usize>) -> [Range<usize>; 2] {
        assert!(
            range.start <= range.end && range.end <= self.len,
            "the range is checked"
        );
        let size = size_of::<T>();
        let (start, end) = (page_up(range.start * size), range.end * size / PAGE * PAGE);
        if end.saturating_sub(start) >= FORGET_BYTES_MIN
            // SAFETY: the pages hold nothing but elements of the range, which become null; nobody
            // has a reference to them, as this is borrowed mutably and no guest code runs.
            && unsafe { self.reservation.forget(start, end - start) }.is_ok()
        {
            return [range.start..start / size, end / size..range.end];
        }
        [range, 0..0]
    }
}

impl<T: Slot> Slots<T> {
    pub(crate) const fn new() -> Self {
        Self::of(Vec::new())
    }

    /// No elements, in the room of an empty list.
    pub(crate) const fn of(list: Vec<T>) -> Self {
        const { assert!(PAGE.is_multiple_of(size_of::<T>()) && align_of::<T>() <= PAGE) };
        Self::Heap(list)
    }

    /// Adds `delta` times `value`; there will never be more than `max` elements. Why it could not,
    /// if it could not: then nothing has changed.
    pub(crate) fn extend(&mut self, delta: usize, value: T, max: usize) -> Result<(), String> {
        let old = self.len();
        let len = old + delta;
        match self {
            Self::Heap(elements) if len * size_of::<T>() <= HEAP_BYTES_MAX => {
                elements
                    .try_reserve(delta)
                    .map_err(|error| format!("the allocator gives no more memory: {error}"))?;
                elements.resize(len, value);
                return Ok(());
            }
            Self::Pages(pages) if len <= pages.room() => pages.lengthen(len)?,
            _ => {
                let mut pages = Pages::new(len, max)?;
                pages.lengthen(len)?;
                let mut moved = Self::Pages(pages);
                for (to, from) in moved.iter_mut().zip(self.iter()) {
                    if !from.is_null() {
                        *to = *from;
                    }
                }
                *self = moved;
            }
        }
        if !value.is_null() {
            self[old..].fill(value);
        }
        Ok(())
    }

    /// Sets the elements of a range, which must be in bounds.
    pub(crate) fn fill(&mut self, range: Range<usize>, value: T) {
        if !value.is_null() {
            self[range].fill(value);
            return;
        }
        let rest = match self {
            Self::Heap(_) => [range, 0..0],
            Self::Pages(pages) => pages.forget(range),
        };
        for range in rest {
            // Only reading does not cost a page.
            let elements = self[range].iter_mut();
            elements.filter(|e| !e.is_null()).for_each(|e| *e = T::NULL);
        }
    }
}

impl<T: Slot> Deref for Slots<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match self {
            Self::Heap(elements) => elements,
            // SAFETY: so many elements are committed from the base on, which is aligned to the
            // page; what was not written is zero, which is null.
            Self::Pages(p) => unsafe { std::slice::from_raw_parts(p.reservation.base().cast(), p.len) },
        }
    }
}

impl<T: Slot> DerefMut for Slots<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        match self {
            Self::Heap(elements) => elements,
            // SAFETY: as in `deref`, and the pages belong to this value alone.
            Self::Pages(p) => unsafe { std::slice::from_raw_parts_mut(p.reservation.base().cast(), p.len) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANY: usize = 1 << 20;

    #[test]
    fn growing_keeps_what_was_there_and_adds_what_was_asked_for() {
        let mut slots = Slots::<u32>::new();
        slots.extend(10, 1, MANY).unwrap();
        slots.extend(100_000, 0, MANY).unwrap();
        assert!(matches!(slots, Slots::Pages(_)));
        slots.extend(10, 3, MANY).unwrap();
        // More than was announced: it moves.
        slots.extend(MANY, 0, MANY).unwrap();
        let sum: u64 = slots.iter().map(|&n| u64::from(n)).sum();
        assert_eq!((slots.len(), sum), (100_020 + MANY, 40));
        assert_eq!(
            (slots[9], slots[10], slots[100_010], slots[100_020]),
            (1, 0, 3, 0)
        );
    }

    #[test]
    fn null_is_written_to_the_range_and_to_nothing_else() {
        for (start, end) in [(0, 50_000), (1, 49_999), (1024, 2048), (30_000, 50_000), (5, 5)] {
            let mut slots = Slots::<u32>::new();
            slots.extend(50_000, 7, MANY).unwrap();
            slots.fill(start..end, 0);
            for (at, &n) in slots.iter().enumerate() {
                assert_eq!(n == 0, (start..end).contains(&at), "{at} of {start}..{end}");
            }
        }
    }
}
