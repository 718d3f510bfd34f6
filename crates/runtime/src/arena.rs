//! The arena: address space for code and for the files that hold it.
//!
//! Guarantees that pages belong to one owner at a time, that they are written only before they can
//! be shared or run ([`ArenaPages::fill`]), and that a signal handler knows guest code by two
//! compares. Deliberately decides nothing about what becomes executable; that is `code.rs`.

use crate::error::Error;
use crate::sys::{self, FrozenFile, Reservation, page_up};
use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

/// Address space for the code of a process.
const ARENA_BYTES: usize = 64 << 30;

static ARENA_START: AtomicUsize = AtomicUsize::new(0);
static ARENA_END: AtomicUsize = AtomicUsize::new(0);

/// Whether an address lies in the code arena. Safe in a signal handler.
#[inline]
pub(crate) fn in_arena(pc: usize) -> bool {
    pc >= ARENA_START.load(Ordering::Relaxed) && pc < ARENA_END.load(Ordering::Relaxed)
}

pub(crate) struct Arena {
    pub(crate) reservation: Reservation,
    /// Free ranges, by first byte; never two that touch.
    free: Mutex<BTreeMap<usize, usize>>,
}

pub(crate) fn arena() -> Result<&'static Arena, Error> {
    static ARENA: OnceLock<Arena> = OnceLock::new();
    static MAKING: Mutex<()> = Mutex::new(());
    let _making = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(arena) = ARENA.get() {
        return Ok(arena);
    }
    let reservation = Reservation::new(ARENA_BYTES).map_err(|error| Error::Os {
        what: "cannot reserve address space for code",
        error,
    })?;
    ARENA_START.store(reservation.base() as usize, Ordering::Relaxed);
    ARENA_END.store(reservation.base() as usize + ARENA_BYTES, Ordering::Relaxed);
    Ok(ARENA.get_or_init(|| Arena {
        reservation,
        free: Mutex::new(BTreeMap::from([(0, ARENA_BYTES)])),
    }))
}

impl Arena {
    /// Pages for so many bytes, without access, and one more behind them that never has any, so that
    /// neighbours never touch.
    pub(crate) fn allocate(&'static self, bytes: usize) -> Result<ArenaPages, Error> {
        let bytes = page_up(bytes) + sys::PAGE;
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((&offset, &len)) = free.iter().find(|&(_, &len)| len >= bytes) else {
            return Err(Error::Limit("the address space for code is used up".into()));
        };
        free.remove(&offset);
        if len > bytes {
            free.insert(offset + bytes, len - bytes);
        }
        Ok(ArenaPages {
            arena: self,
            offset,
            bytes,
        })
    }

    fn free(&self, mut start: usize, mut bytes: usize) {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(len) = free.remove(&(start + bytes)) {
            bytes += len;
        }
        if let Some((&below, &len)) = free.range(..start).next_back()
            && below + len == start
        {
            start = below;
            bytes += len;
        }
        free.insert(start, bytes);
    }
}

/// Pages of the arena that belong to their owner alone; given back on drop.
pub(crate) struct ArenaPages {
    arena: &'static Arena,
    offset: usize,
    bytes: usize,
}

impl ArenaPages {
    /// Address of the first byte.
    pub(crate) fn start(&self) -> usize {
        self.arena.reservation.base() as usize + self.offset
    }

    /// Makes the first `len` bytes (whole pages) readable and writable, and has them written.
    ///
    /// Nothing is executable, and the pages are no longer writable when this returns.
    pub(crate) fn fill<R>(
        &mut self,
        len: usize,
        fill: impl FnOnce(&mut [u8]) -> io::Result<R>,
    ) -> io::Result<R> {
        let reservation = &self.arena.reservation;
        assert!(len <= self.bytes - sys::PAGE, "the last page has no access");
        reservation.commit(self.offset, len)?;
        reservation.populate(self.offset, len);
        // SAFETY: the pages were allocated to this owner alone and are inside the reservation.
        let start = unsafe { reservation.base().add(self.offset) };
        // SAFETY: they are writable, hold zeros, and nobody else refers to them while `self` is
        // borrowed.
        let filled = fill(unsafe { std::slice::from_raw_parts_mut(start, len) });
        reservation.seal_rodata(self.offset, len)?;
        filled
    }

    /// Puts the first `len` bytes of a file here, readable only.
    pub(crate) fn map_frozen(&mut self, file: &FrozenFile<'_>, len: usize) -> io::Result<()> {
        assert!(len <= self.bytes - sys::PAGE, "the last page has no access");
        self.arena.reservation.map_frozen(self.offset, len, file)
    }

    /// Makes whole pages, which must not be writable, executable too.
    pub(crate) fn seal_code(&self, start: usize, len: usize) -> io::Result<()> {
        assert!(
            start <= self.bytes && len <= self.bytes - start,
            "the pages are own ones"
        );
        self.arena.reservation.seal_code(self.offset + start, len)
    }
}

impl Drop for ArenaPages {
    fn drop(&mut self) {
        // SAFETY: the owner is gone, and with it whoever could read or run these pages.
        let released = unsafe { self.arena.reservation.release(self.offset, self.bytes) };
        // Pages that the kernel would not take back are not used again.
        if released.is_ok() {
            self.arena.free(self.offset, self.bytes);
        }
    }
}
