//! The one table of trap codes.

use std::fmt;

macro_rules! trap_codes {
    ($($(#[$meta:meta])* $name:ident = $number:literal, $message:literal;)*) => {
        /// Why guest code stopped.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[repr(u8)]
        pub enum TrapCode {
            $($(#[$meta])* $name = $number,)*
        }

        impl TrapCode {
            /// Every code, in order of its number.
            pub const ALL: &'static [TrapCode] = &[$(Self::$name,)*];

            /// The code with this number.
            pub const fn from_u8(number: u8) -> Option<Self> {
                match number {
                    $($number => Some(Self::$name),)*
                    _ => None,
                }
            }

            /// The message, in the words that engines share.
            pub const fn message(self) -> &'static str {
                match self {
                    $(Self::$name => $message,)*
                }
            }
        }
    };
}

trap_codes! {
    /// The stack of the cell is used up.
    StackOverflow = 1, "call stack exhausted";
    /// A memory access outside the memory.
    MemoryOutOfBounds = 2, "out of bounds memory access";
    /// A table access outside the table.
    TableOutOfBounds = 3, "undefined element: out of bounds table access";
    /// An indirect call of a null entry.
    IndirectCallToNull = 4, "uninitialized element";
    /// An indirect call with another signature than the entry's.
    BadSignature = 5, "indirect call type mismatch";
    /// The quotient of a signed division does not fit, or a float does not fit an integer.
    IntegerOverflow = 6, "integer overflow";
    /// An integer division by zero.
    IntegerDivisionByZero = 7, "integer divide by zero";
    /// A conversion of NaN to an integer.
    BadConversionToInteger = 8, "invalid conversion to integer";
    /// An `unreachable` instruction was reached.
    Unreachable = 9, "wasm `unreachable` instruction executed";
    /// The embedder interrupted the call.
    Interrupt = 10, "interrupt";
    /// A null reference where one with a value was needed.
    NullReference = 11, "null reference";
    /// An atomic access whose address is no multiple of its width.
    UnalignedAtomic = 12, "unaligned atomic";
    /// A wait on a memory that is not shared.
    ExpectedSharedMemory = 13, "expected shared memory";
    /// A null reference where a number of 31 bits was needed.
    NullI31Reference = 14, "null i31 reference";
    /// A cast of a reference to a type that it is not of.
    CastFailure = 15, "cast failure";
}

impl fmt::Display for TrapCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}

#[cfg(test)]
mod tests {
    use super::TrapCode;

    #[test]
    fn numbers_and_codes_correspond() {
        for &code in TrapCode::ALL {
            assert_eq!(TrapCode::from_u8(code as u8), Some(code));
        }
        assert_eq!(TrapCode::from_u8(0), None);
        assert_eq!(TrapCode::from_u8(TrapCode::ALL.len() as u8 + 1), None);
    }
}
