//! Machine IR: instructions as rows of a table, their registers, their encoding and their text.
//!
//! Requires only the shared words of `base`. Guarantees that each row is written down once, and
//! that encoding, operand roles and printing are derived from it. Encodings are canonical: the
//! shortest form, no redundant prefix. Does not know the IR that instructions were selected from,
//! the register allocator, the calling convention or the instance context: pinned registers,
//! offsets and trap codes are numbers given by the caller.
//!
//! [`x64`] is the x86-64 instruction set. A function is an [`x64::MFunc`] of phase [`Virt`] until
//! its registers are allocated, and of phase [`Phys`] afterwards; only the latter can be encoded.

mod reg;
pub mod x64;

pub use reg::{Class, Reg};

/// Phase of a function whose instructions name virtual registers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Virt;

/// Phase of a function whose instructions name hardware registers and frame slots only.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Phys;
