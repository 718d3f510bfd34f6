//! The one table of library calls: what guest code may ask of the runtime.
//!
//! A library call is an indirect call through a slot of the context
//! ([`context::library_offset`](crate::context::library_offset)) with the ordinary convention of
//! [`convention`](crate::convention) for the signature in its row. All are integers, at most five
//! arguments, so that everything passes in registers; the stub behind the slot adds the context as
//! a sixth.

use crate::types::{Signature, ValType};
use ValType::{I32, I64};

macro_rules! library_calls {
    ($($(#[$meta:meta])* $name:ident($($arg:ident: $arg_type:ident),*) $(-> $result:ident)?;)*) => {
        /// A library call.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[repr(u8)]
        pub enum LibCall {
            $($(#[$meta])* $name,)*
        }

        impl LibCall {
            /// Every library call, in order of its slot.
            pub const ALL: &'static [LibCall] = &[$(Self::$name,)*];
            /// How many there are.
            pub const COUNT: usize = Self::ALL.len();

            /// Parameter types.
            pub const fn params(self) -> &'static [ValType] {
                match self {
                    $(Self::$name => &[$($arg_type,)*],)*
                }
            }

            /// Result types; at most one.
            pub const fn results(self) -> &'static [ValType] {
                match self {
                    $(Self::$name => &[$($result,)?],)*
                }
            }

            /// The name in printed code.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                }
            }
        }
    };
}

library_calls! {
    /// Grows a memory by `delta` pages; the old size in pages, or all ones. `delta` is
    /// zero-extended.
    MemoryGrow(memory: I32, delta: I64) -> I64;
    /// `memory.copy`; traps if a range is out of bounds.
    MemoryCopy(dst_memory: I32, src_memory: I32, dst: I64, src: I64, len: I64);
    /// `memory.fill` with the low byte of `value`.
    MemoryFill(memory: I32, dst: I64, value: I32, len: I64);
    /// `memory.init` from a data segment.
    MemoryInit(memory: I32, segment: I32, dst: I64, src: I32, len: I32);
    /// `data.drop`.
    DataDrop(segment: I32);
    /// `table.get`: the reference at `index`.
    TableGet(table: I32, index: I64) -> I32;
    /// `table.set`.
    TableSet(table: I32, index: I64, value: I32);
    /// `table.grow` by `delta` elements of value `init`; the old size or all ones.
    TableGrow(table: I32, init: I32, delta: I64) -> I64;
    /// `table.fill`.
    TableFill(table: I32, dst: I64, value: I32, len: I64);
    /// `table.copy`.
    TableCopy(dst_table: I32, src_table: I32, dst: I64, src: I64, len: I64);
    /// `table.init` from an element segment.
    TableInit(table: I32, segment: I32, dst: I64, src: I32, len: I32);
    /// `elem.drop`.
    ElemDrop(segment: I32);
    /// `throw_ref`: throws an exception again; traps if the reference is null. Does not return.
    ThrowRef(exception: I32);
    /// `ref.func`: the reference of a function of this instance.
    RefFunc(func: I32) -> I32;
    /// `memory.atomic.wait32`: 0 if it was woken, 1 if the value is another, 2 after `timeout`
    /// nanoseconds (without end if negative).
    AtomicWait32(memory: I32, address: I64, expected: I32, timeout: I64) -> I32;
    /// `memory.atomic.wait64`.
    AtomicWait64(memory: I32, address: I64, expected: I64, timeout: I64) -> I32;
    /// `memory.atomic.notify`: how many were woken.
    AtomicNotify(memory: I32, address: I64, count: I32) -> I32;
}

impl LibCall {
    /// The signature by which guest code calls it.
    pub fn signature(self) -> Signature {
        Signature {
            params: self.params().into(),
            results: self.results().into(),
        }
    }

    /// The library call of this slot number.
    pub fn from_index(index: usize) -> Option<Self> {
        Self::ALL.get(index).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::LibCall;

    #[test]
    fn every_row_fits_the_stub() {
        for (slot, &call) in LibCall::ALL.iter().enumerate() {
            assert_eq!(call as usize, slot);
            assert!(
                call.params().len() <= 5 && call.results().len() <= 1,
                "{}",
                call.name()
            );
            assert!(call.params().iter().chain(call.results()).all(|t| !t.is_float()));
        }
        assert_eq!(LibCall::from_index(LibCall::COUNT), None);
    }
}
