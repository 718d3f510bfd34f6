//! Why guest code stopped.

use cellwall_abi::TrapCode;
use std::fmt;

/// Why guest code stopped; found in an [`Error`](crate::Error) by
/// [`downcast_ref`](crate::Error::downcast_ref). A host function may return one as an error.
///
/// ```
/// use cellwall::{Engine, Instance, Module, Store, Trap};
///
/// let engine = Engine::default();
/// let module = Module::new(&engine, r#"(module (func (export "stop") unreachable))"#)?;
/// let mut store = Store::new(&engine, ());
/// let instance = Instance::new(&mut store, &module, &[])?;
/// let stop = instance.get_typed_func::<(), ()>(&mut store, "stop")?;
/// let error = stop.call(&mut store, ()).unwrap_err();
/// assert_eq!(error.downcast_ref::<Trap>(), Some(&Trap::UnreachableCodeReached));
/// # cellwall::Ok(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Trap {
    /// The stack of the guest is used up.
    StackOverflow,
    /// A memory access outside the memory.
    MemoryOutOfBounds,
    /// A table access outside the table.
    TableOutOfBounds,
    /// An indirect call of a null entry.
    IndirectCallToNull,
    /// An indirect call with another signature than the function's.
    BadSignature,
    /// The quotient of a signed division, or a float as an integer, does not fit.
    IntegerOverflow,
    /// An integer division by zero.
    IntegerDivisionByZero,
    /// A conversion of NaN to an integer.
    BadConversionToInteger,
    /// An `unreachable` instruction was reached.
    UnreachableCodeReached,
    /// The embedder [interrupted](crate::Engine::interrupt) the call.
    Interrupt,
    /// A null reference where a value was needed.
    NullReference,
    /// An atomic access whose address is no multiple of its width.
    HeapMisaligned,
    /// A wait on a memory that is not shared.
    AtomicWaitNonSharedMemory,
    /// A null reference where a number of 31 bits was needed.
    NullI31Ref,
    /// A cast of a reference to a type that it is not of.
    CastFailure,
}

impl Trap {
    pub(crate) fn from_code(code: TrapCode) -> Self {
        match code {
            TrapCode::StackOverflow => Self::StackOverflow,
            TrapCode::MemoryOutOfBounds => Self::MemoryOutOfBounds,
            TrapCode::TableOutOfBounds => Self::TableOutOfBounds,
            TrapCode::IndirectCallToNull => Self::IndirectCallToNull,
            TrapCode::BadSignature => Self::BadSignature,
            TrapCode::IntegerOverflow => Self::IntegerOverflow,
            TrapCode::IntegerDivisionByZero => Self::IntegerDivisionByZero,
            TrapCode::BadConversionToInteger => Self::BadConversionToInteger,
            TrapCode::Unreachable => Self::UnreachableCodeReached,
            TrapCode::Interrupt => Self::Interrupt,
            TrapCode::NullReference => Self::NullReference,
            TrapCode::UnalignedAtomic => Self::HeapMisaligned,
            TrapCode::ExpectedSharedMemory => Self::AtomicWaitNonSharedMemory,
            TrapCode::NullI31Reference => Self::NullI31Ref,
            TrapCode::CastFailure => Self::CastFailure,
        }
    }

    fn code(self) -> TrapCode {
        *TrapCode::ALL
            .iter()
            .find(|&&code| Self::from_code(code) == self)
            .expect("every trap is made from a code")
    }
}

impl fmt::Display for Trap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "wasm trap: {}", self.code().message())
    }
}

impl std::error::Error for Trap {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traps_and_codes_correspond() {
        for &code in TrapCode::ALL {
            assert_eq!(Trap::from_code(code).code(), code);
        }
        assert_eq!(
            Trap::MemoryOutOfBounds.to_string(),
            "wasm trap: out of bounds memory access"
        );
    }
}
