//! Cell stacks: where guest code runs. A guard without access lies below each; an engine keeps a
//! few that are not in use, and each thread one.

use crate::engine::{EngineConfig, EngineInner};
use crate::error::Error;
use crate::sys::{Reservation, page_up};

/// Added to the guard that code relies on: a call below a frame that was never touched.
const GUARD_EXTRA_BYTES: usize = 64 << 10;

/// A stack for guest code.
#[derive(Debug)]
pub(crate) struct CellStack {
    reservation: Reservation,
    guard: usize,
}

/// The addresses of a stack.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct StackRange {
    /// First address of the guard.
    pub(crate) guard: usize,
    /// First address that may be used.
    pub(crate) low: usize,
    /// First address above the stack; 16-byte aligned.
    pub(crate) high: usize,
}

impl StackRange {
    /// Whether an address lies in the guard.
    pub(crate) fn guard_has(&self, address: usize) -> bool {
        (self.guard..self.low).contains(&address)
    }

    /// Whether a word at `address` lies on the stack.
    pub(crate) fn has_word(&self, address: usize) -> bool {
        address.is_multiple_of(8) && address >= self.low && address < self.high
    }
}

impl CellStack {
    /// Maps a stack of the engine's size.
    pub(crate) fn new(engine: &EngineInner) -> Result<Self, Error> {
        let (bytes, guard) = engine.stack_sizes;
        let os = |error| Error::Os {
            what: "cannot map a stack",
            error,
        };
        let reservation = Reservation::new(guard + bytes).map_err(os)?;
        reservation.commit(guard, bytes).map_err(os)?;
        Ok(Self { reservation, guard })
    }

    /// Whether the stack has the size that the engine asks for.
    #[inline]
    pub(crate) fn fits(&self, engine: &EngineInner) -> bool {
        let (bytes, guard) = engine.stack_sizes;
        self.guard == guard && self.reservation.bytes() == guard + bytes
    }

    /// Its addresses.
    #[inline]
    pub(crate) fn range(&self) -> StackRange {
        let guard = self.reservation.base() as usize;
        StackRange {
            guard,
            low: guard + self.guard,
            high: guard + self.reservation.bytes(),
        }
    }
}

/// Bytes of stack and of guard that an engine's stacks have.
pub(crate) fn sizes(config: &EngineConfig) -> (usize, usize) {
    let guard = config.target.stack_guard_bytes as usize + GUARD_EXTRA_BYTES;
    (page_up(config.stack_bytes), page_up(guard))
}
