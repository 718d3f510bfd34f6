//! Vectors: a size and a pointer, which C reads, and in places writes, directly.
//!
//! Guarantees that what a vector owns was allocated here as a boxed slice of exactly `size`
//! elements, or is null with size 0.

use std::{ptr, slice};

/// How an element of a vector is copied and deleted.
pub(crate) trait Element: Sized {
    /// What stands in a vector whose elements C fills in later.
    fn empty() -> Self;
    /// A copy that owns what it refers to.
    ///
    /// # Safety
    /// The element is valid.
    unsafe fn copied(&self) -> Self;
    /// Deletes what it owns.
    ///
    /// # Safety
    /// The element is valid and owned, and not used afterwards.
    unsafe fn deleted(&mut self);
}

impl Element for u8 {
    fn empty() -> Self {
        0
    }
    unsafe fn copied(&self) -> Self {
        *self
    }
    unsafe fn deleted(&mut self) {}
}

impl<T: Clone> Element for *mut T {
    fn empty() -> Self {
        ptr::null_mut()
    }
    unsafe fn copied(&self) -> Self {
        // SAFETY: the caller says that the element is valid: null or a pointer of ours.
        unsafe { self.as_ref() }.map_or(ptr::null_mut(), |value| crate::give(value.clone()))
    }
    unsafe fn deleted(&mut self) {
        // SAFETY: the caller says that the element is valid and owned.
        drop(unsafe { crate::take(*self) });
    }
}

/// A vector as C sees it.
#[repr(C)]
pub struct Vector<T> {
    /// Number of elements.
    pub size: usize,
    /// The elements; null if there are none.
    pub data: *mut T,
}

impl<T> Vector<T> {
    pub(crate) fn from_vec(elements: Vec<T>) -> Self {
        let size = elements.len();
        if size == 0 {
            let data = ptr::null_mut();
            return Self { size, data };
        }
        let data = Box::into_raw(elements.into_boxed_slice()).cast();
        Self { size, data }
    }

    /// Its elements.
    ///
    /// # Safety
    /// What the fields say is true.
    pub(crate) unsafe fn as_slice(&self) -> &[T] {
        match self.data.is_null() {
            true => &[],
            // SAFETY: the caller says that there are `size` elements.
            false => unsafe { slice::from_raw_parts(self.data, self.size) },
        }
    }

    /// Its elements, to change them.
    ///
    /// # Safety
    /// As [`as_slice`](Self::as_slice).
    pub(crate) unsafe fn as_mut_slice(&mut self) -> &mut [T] {
        match self.data.is_null() {
            true => &mut [],
            // SAFETY: the caller says that there are `size` elements.
            false => unsafe { slice::from_raw_parts_mut(self.data, self.size) },
        }
    }

    /// Takes the elements out; the vector is empty then.
    ///
    /// # Safety
    /// The vector is owned and was made here.
    pub(crate) unsafe fn take_elements(&mut self) -> Box<[T]> {
        let (data, size) = (self.data, self.size);
        (self.data, self.size) = (ptr::null_mut(), 0);
        match data.is_null() {
            true => Box::default(),
            // SAFETY: made by `from_vec`, of as many elements, and owned.
            false => unsafe { Box::from_raw(ptr::slice_from_raw_parts_mut(data, size)) },
        }
    }
}

impl<T: Element> Vector<T> {
    /// A copy that owns its elements.
    ///
    /// # Safety
    /// As [`as_slice`](Self::as_slice).
    pub(crate) unsafe fn copied(&self) -> Self {
        // SAFETY: the caller's promise; elements of a valid vector are valid.
        Self::from_vec(
            unsafe { self.as_slice() }
                .iter()
                .map(|e| unsafe { e.copied() })
                .collect(),
        )
    }

    /// Deletes the elements; the vector is empty then.
    ///
    /// # Safety
    /// The vector is owned and was made here.
    pub(crate) unsafe fn delete(&mut self) {
        // SAFETY: the caller's promise.
        for element in &mut unsafe { self.take_elements() } {
            // SAFETY: a vector that is owned owns its elements.
            unsafe { element.deleted() };
        }
    }
}

/// Writes a vector where C wants it.
///
/// # Safety
/// `out` is valid for writing; what was there is not owned.
pub(crate) unsafe fn put<T>(out: *mut T, value: T) -> Option<()> {
    if out.is_null() {
        return None;
    }
    // SAFETY: not null, and the caller says that it can be written.
    unsafe { out.write(value) };
    Some(())
}

/// Makes it an empty vector, so that it can be deleted whatever happens next.
///
/// # Safety
/// As [`put`].
pub(crate) unsafe fn clear<T>(out: *mut Vector<T>) {
    // SAFETY: the caller's promise.
    unsafe { put(out, Vector::from_vec(Vec::new())) };
}

macro_rules! vector {
    ($ty:ident of $element:ty: $empty:ident $uninitialized:ident $new:ident $copy:ident $delete:ident) => {
        /// A vector; see `wasm.h`.
        pub type $ty = $crate::vec::Vector<$element>;
        $crate::c_api! {
            /// An empty vector.
            fn $empty(out: *mut $ty) {
                unsafe { $crate::vec::put(out, $crate::vec::Vector::from_vec(Vec::new())) }?;
            }
            /// A vector whose elements the caller fills in.
            fn $uninitialized(out: *mut $ty, size: usize) {
                unsafe { $crate::vec::clear(out) };
                let mut elements = Vec::new();
                // Where there is no memory for so many, the vector stays empty.
                let room = elements.try_reserve_exact(size).map_err(cellwall_rs::Error::from);
                $crate::error::ok(room)?;
                elements.resize_with(size, <$element as $crate::vec::Element>::empty);
                unsafe { $crate::vec::put(out, $crate::vec::Vector::from_vec(elements)) }?;
            }
            /// A vector of these elements, which it owns from now on.
            fn $new(out: *mut $ty, size: usize, data: *const $element) {
                unsafe { $crate::vec::clear(out) };
                let elements = match size {
                    0 => Vec::new(),
                    _ if data.is_null() => return None,
                    // SAFETY: C says that there are as many; they are moved, not copied.
                    _ => (0..size).map(|i| unsafe { data.add(i).read() }).collect(),
                };
                unsafe { $crate::vec::put(out, $crate::vec::Vector::from_vec(elements)) }?;
            }
            /// A copy of a vector and its elements.
            fn $copy(out: *mut $ty, from: *const $ty) {
                if !std::ptr::eq(out, from) {
                    unsafe { $crate::vec::clear(out) };
                }
                let copy = unsafe { $crate::get(from)?.copied() };
                unsafe { $crate::vec::put(out, copy) }?;
            }
            /// Deletes a vector and its elements.
            fn $delete(vector: *mut $ty) {
                unsafe { vector.as_mut()?.delete() };
            }
        }
    };
}
pub(crate) use vector;

vector!(wasm_byte_vec_t of u8: wasm_byte_vec_new_empty wasm_byte_vec_new_uninitialized
    wasm_byte_vec_new wasm_byte_vec_copy wasm_byte_vec_delete);

impl Vector<u8> {
    /// A name or message of these bytes.
    pub(crate) fn from_text(text: &str) -> Self {
        Self::from_vec(text.as_bytes().to_vec())
    }
}
