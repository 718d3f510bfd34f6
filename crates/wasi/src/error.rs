//! How a WASI function ends: an error number for the guest, or an error for the host.
//!
//! Guarantees: [`Errno`] has the numbers of `witx` (WASI 0.1, `typenames.witx`, `$errno`).
//! Does not do: the translation from the operating system's numbers, which is in `sys`.

use std::fmt;

/// The status that a guest gave to `proc_exit`, as the error that ends the call.
///
/// Find it with `error.downcast_ref::<I32Exit>()`. Zero is a success like any other status: the
/// guest stopped because it wanted to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct I32Exit(
    /// The exit status.
    pub i32,
);

impl fmt::Display for I32Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "exited with status {}", self.0)
    }
}

impl std::error::Error for I32Exit {}

/// An error number of WASI 0.1 that this crate can answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
#[allow(
    missing_docs,
    reason = "the names are those of the definition, which explains them"
)]
pub(crate) enum Errno {
    TooBig = 1,
    Access = 2,
    Again = 6,
    BadF = 8,
    Busy = 10,
    Canceled = 11,
    ConnReset = 15,
    Deadlk = 16,
    DQuot = 19,
    Exist = 20,
    Fault = 21,
    FBig = 22,
    IlSeq = 25,
    Intr = 27,
    Inval = 28,
    Io = 29,
    IsDir = 31,
    Loop = 32,
    MFile = 33,
    MLink = 34,
    NameTooLong = 37,
    NFile = 41,
    NoBufs = 42,
    NoDev = 43,
    NoEnt = 44,
    NoLck = 46,
    NoMem = 48,
    NoSpc = 51,
    NoSys = 52,
    NotDir = 54,
    NotEmpty = 55,
    NotSock = 57,
    NotSup = 58,
    NoTty = 59,
    NxIo = 60,
    Overflow = 61,
    Perm = 63,
    Pipe = 64,
    Range = 68,
    RoFs = 69,
    SPipe = 70,
    Stale = 72,
    TimedOut = 73,
    TxtBsy = 74,
    XDev = 75,
    NotCapable = 76,
}

/// Why a WASI function did not succeed.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The guest gets this number as its result and goes on.
    Errno(Errno),
    /// The guest stops; the host gets this error out of its call.
    Stop(cellwall::Error),
}

/// What every WASI function returns.
pub(crate) type Answer<T = ()> = Result<T, Fault>;

impl From<Errno> for Fault {
    fn from(errno: Errno) -> Fault {
        Fault::Errno(errno)
    }
}

impl From<std::io::Error> for Fault {
    fn from(error: std::io::Error) -> Fault {
        Fault::Errno(Errno::from(error))
    }
}

/// A pointer that a guest passed and that its own rules forbid: it is not aligned to its type.
///
/// The pointer rules of `witx` make this a trap, like a pointer outside of the memory.
#[derive(Debug)]
pub(crate) struct Misaligned {
    pub(crate) address: u32,
    pub(crate) alignment: u32,
}

impl fmt::Display for Misaligned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Misaligned { address, alignment } = self;
        write!(f, "pointer {address:#x} is not aligned to {alignment} bytes")
    }
}

impl std::error::Error for Misaligned {}
