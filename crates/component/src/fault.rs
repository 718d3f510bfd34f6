//! The one table of what can be wrong with a value or a call between components.
//!
//! Each row has the number by which an adapter names it, a name, and the message. The book's table
//! is this one.

use std::fmt;

macro_rules! faults {
    ($($(#[$meta:meta])* $name:ident = $number:literal, $message:literal;)*) => {
        /// Why a call between components, or between a component and its host, stopped.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[repr(u8)]
        #[non_exhaustive]
        pub enum Fault {
            $($(#[$meta])* $name = $number,)*
        }

        impl Fault {
            /// Every fault, in order of its number.
            pub const ALL: &'static [Fault] = &[$(Self::$name,)*];

            /// The message.
            pub const fn message(self) -> &'static str {
                match self {
                    $(Self::$name => $message,)*
                }
            }
        }
    };
}

faults! {
    /// A component calls out while it is being asked for memory or cleans up.
    CannotLeave = 1, "cannot leave component instance";
    /// A component is called while a call of it is under way, or after one has trapped.
    CannotEnter = 2, "cannot enter component instance";
    /// A pointer to a value or list is not aligned for its type.
    UnalignedPointer = 3, "unaligned pointer";
    /// A value behind a pointer is not all in memory.
    PointerOutOfBounds = 4, "pointer out of bounds of memory";
    /// The bytes of a string are not all in memory.
    StringOutOfBounds = 5, "string content out-of-bounds";
    /// The elements of a list are not all in memory.
    ListOutOfBounds = 6, "list content out-of-bounds";
    /// A string of UTF-16 does not start at an even address.
    UnalignedString = 7, "string pointer not aligned to 2";
    /// What `realloc` returned is not aligned as it was asked for.
    UnalignedRealloc = 8, "realloc return: result not aligned";
    /// What `realloc` returned is not all in memory.
    ReallocOutOfBounds = 9, "realloc return: beyond end of memory";
    /// A string is longer than any string may be.
    StringTooLong = 10, "string is too long";
    /// A list is longer than any memory is.
    ListTooLong = 11, "list is too long";
    /// The bytes of a string are no UTF-8.
    InvalidUtf8 = 12, "invalid utf-8 encoding";
    /// The units of a string are no UTF-16.
    InvalidUtf16 = 13, "invalid utf-16 encoding";
    /// A number that is no Unicode scalar value, as a `char`.
    InvalidChar = 14, "invalid `char` bit pattern";
    /// A number that is no case, as a variant, enum, option or result.
    InvalidDiscriminant = 15, "invalid variant discriminant";
    /// A number that is no handle of this instance.
    UnknownHandle = 16, "unknown handle index";
    /// A handle of another type.
    WrongHandle = 17, "handle index used with the wrong type";
    /// A borrowed handle where an owned one is needed.
    BorrowedNotOwned = 18, "cannot lift own resource from a borrow";
    /// An owned handle is given away or dropped while it is lent.
    HandleLent = 19, "cannot remove owned resource while borrowed";
    /// A call returns while it still has handles that were lent to it.
    BorrowsRemain = 20, "borrow handles still remain at the end of the call";
    /// A handle table is full.
    TooManyHandles = 21, "too many handles";
    /// A number that is no error context of this instance.
    UnknownErrorContext = 22, "unknown error context";
    /// Backpressure is counted below 0 or above its limit.
    Backpressure = 23, "backpressure counter overflow";
    /// An exception that no core module of a component instance caught.
    UncaughtException = 24, "uncaught exception propagated out of component";
}

impl Fault {
    /// The number by which adapters name it.
    pub const fn number(self) -> u32 {
        self as u32
    }

    /// The fault with this number.
    pub fn from_number(number: u32) -> Option<Self> {
        Self::ALL.iter().copied().find(|fault| fault.number() == number)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "wasm trap: {}", self.message())
    }
}

impl std::error::Error for Fault {}

#[cfg(test)]
mod tests {
    use super::Fault;

    #[test]
    fn numbers_and_faults_correspond() {
        for (index, &fault) in Fault::ALL.iter().enumerate() {
            assert_eq!(fault.number() as usize, index + 1);
            assert_eq!(Fault::from_number(fault.number()), Some(fault));
        }
        assert_eq!(Fault::from_number(0), None);
        assert_eq!(Fault::from_number(Fault::ALL.len() as u32 + 1), None);
    }
}
