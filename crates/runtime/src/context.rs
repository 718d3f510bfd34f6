//! The memory of an instance context (`cellwall_abi::context`): allocated once, at one address.

use cellwall_abi::context::POISON;
use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ptr::NonNull;

/// Contexts start on a cache line.
const ALIGN: usize = 64;

/// Owns the memory of a context. Guest code and the runtime read and write it through addresses;
/// every access here is bounds-checked.
#[derive(Debug)]
pub(crate) struct Context {
    start: NonNull<u8>,
    bytes: usize,
    /// Bytes that were allocated.
    room: usize,
}

impl Context {
    /// A context that starts as a copy of `template`.
    pub(crate) fn new(template: &[u8]) -> Self {
        let layout = Self::layout(template.len());
        // SAFETY: the layout has at least one line.
        let start = unsafe { alloc(layout) };
        let Some(start) = NonNull::new(start) else {
            handle_alloc_error(layout);
        };
        // SAFETY: the new allocation has at least as many bytes as the template.
        unsafe { start.copy_from_nonoverlapping(NonNull::from(template).cast(), template.len()) };
        Self {
            start,
            bytes: template.len(),
            room: template.len().max(ALIGN),
        }
    }

    /// In the place of one that was taken; it takes no memory and must not be used.
    pub(crate) const fn none() -> Self {
        Self {
            start: NonNull::dangling(),
            bytes: 0,
            room: 0,
        }
    }

    /// Makes it another one, which starts as a copy of `template`; in the same memory if that is enough.
    /// Nobody may know its address any more.
    pub(crate) fn again(&mut self, template: &[u8]) {
        if template.len() > self.room {
            *self = Self::new(template);
            return;
        }
        // SAFETY: the allocation has as many bytes as there is room, which is enough.
        unsafe {
            self.start
                .copy_from_nonoverlapping(NonNull::from(template).cast(), template.len());
        }
        self.bytes = template.len();
    }

    fn layout(bytes: usize) -> Layout {
        Layout::from_size_align(bytes.max(ALIGN), ALIGN).expect("contexts are far smaller than memory")
    }

    /// How large one may be that takes its place.
    pub(crate) fn room(&self) -> usize {
        self.room
    }

    /// Its address.
    pub(crate) fn address(&self) -> usize {
        self.start.as_ptr() as usize
    }

    /// The address of `len` bytes at an offset.
    pub(crate) fn place(&self, offset: u32, len: usize) -> NonNull<u8> {
        assert!(
            offset as usize + len <= self.bytes,
            "fields lie inside their context"
        );
        // SAFETY: inside the allocation, by the assertion.
        unsafe { self.start.add(offset as usize) }
    }

    pub(crate) fn write<const N: usize>(&mut self, offset: u32, value: [u8; N]) {
        let place = self.place(offset, N).cast::<[u8; N]>();
        // SAFETY: inside the allocation; an array of bytes needs no alignment.
        unsafe { place.write(value) };
    }

    pub(crate) fn poison(&mut self) {
        self.write(POISON, 1u32.to_ne_bytes());
    }
}

/// Whether the context at an address was poisoned.
///
/// # Safety
/// A context of a living store is there.
#[inline]
pub(crate) unsafe fn is_poisoned(context: usize) -> bool {
    // SAFETY: the caller's promise.
    unsafe { *((context + POISON as usize) as *const u32) != 0 }
}

impl Drop for Context {
    fn drop(&mut self) {
        if self.room == 0 {
            return;
        }
        // SAFETY: allocated with the same layout, by `new`.
        unsafe { dealloc(self.start.as_ptr(), Self::layout(self.room)) };
    }
}
