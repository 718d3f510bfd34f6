//! Waiting: the only places where a WASI function may keep its thread, and how that ends.
//!
//! A guest that sleeps in the host cannot be stopped by its engine, because it is not in guest
//! code; a [`Canceller`] ends such waits.
//! Guarantees: after `cancel`, every call of the context that would wait stops the guest with
//! `Trap::Interrupt`, also the one that waits now. Where waits are forbidden, a call that would
//! have to wait answers `again`.
//! Does not do: stop guest code; that is `Engine::interrupt`. A timeout needs both.

use crate::error::{Answer, Errno, Fault};
use crate::sys::{self, Handle, Interest};
use std::io::{self, IoSlice};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// What a pipe that is ready for writing takes without waiting (POSIX, `PIPE_BUF`).
const PIPE_BYTES: usize = 4096;

/// A handle that ends the waits of one [`WasiCtx`](crate::WasiCtx) from any thread.
///
/// Cloning is cheap; all clones mean the same context. There is no way back: a cancelled context
/// never waits again, unless it is given another one
/// ([`new_canceller`](crate::WasiCtx::new_canceller)).
#[derive(Debug, Clone)]
pub struct Canceller(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    cancelled: AtomicBool,
    bell: sys::Bell,
}

impl Canceller {
    /// A canceller that has not been used.
    pub(crate) fn new() -> io::Result<Canceller> {
        let bell = sys::Bell::new()?;
        Ok(Canceller(Arc::new(Shared {
            cancelled: AtomicBool::new(false),
            bell,
        })))
    }

    /// Waits, without a thread, until somebody cancels.
    pub(crate) async fn cancelled(&self) {
        sys::ready(sys::handle_of(&self.0.bell), Interest::Read).await;
    }

    /// Ends the present wait of the context, if there is one, and all later ones.
    pub fn cancel(&self) {
        self.0.cancelled.store(true, Ordering::SeqCst);
        self.0.bell.ring();
    }
}

/// How the calls of one context may wait.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    /// Futures are run to their end on the guest's thread. Set by each call, as it was linked.
    pub(crate) in_place: bool,
    /// Set when the host forbids waits altogether.
    pub(crate) forbidden: bool,
    /// Present once somebody asked for it.
    pub(crate) canceller: Option<Canceller>,
}

/// One side of a transfer: what to wait on, and whether to.
#[derive(Clone, Copy)]
pub(crate) struct Side<'a> {
    /// `None`: the transfer never waits.
    pub(crate) handle: Option<Handle<'a>>,
    /// The guest asked for `again` instead of a wait.
    pub(crate) nonblocking: bool,
    /// The kernel does not wait on this descriptor, so we must always do it.
    pub(crate) always_ask: bool,
}

impl Side<'_> {
    /// A transfer that never waits.
    pub(crate) const READY: Side<'static> = Side {
        handle: None,
        nonblocking: false,
        always_ask: false,
    };
}

impl Waiting {
    /// Waits until one of `wanted` is ready or `timeout` has passed.
    pub(crate) fn wait(&self, wanted: &mut [sys::Wanted<'_>], timeout: Option<Duration>) -> Answer {
        sys::wait(wanted, self.canceller.as_ref().map(|c| &c.0.bell), timeout)?;
        self.check()
    }

    /// Stops the guest if somebody cancelled.
    pub(crate) fn check(&self) -> Answer {
        match &self.canceller {
            Some(canceller) if canceller.0.cancelled.load(Ordering::SeqCst) => {
                Err(Fault::Stop(cellwall::Error::from(cellwall::Trap::Interrupt)))
            }
            _ => Ok(()),
        }
    }

    /// Reads once, after waiting for something to read.
    pub(crate) fn read(
        &self,
        side: Side<'_>,
        mut attempt: impl FnMut() -> io::Result<usize>,
    ) -> Answer<usize> {
        let mut ask = self.asks(side);
        loop {
            if ask && let Some(handle) = side.handle {
                self.until_ready(handle, Interest::Read, side.nonblocking)?;
            }
            match self.retriable(side, attempt())? {
                Some(count) => return Ok(count),
                None => ask = true,
            }
        }
    }

    /// Writes all of `buffers` unless an error or `nonblocking` ends it earlier; then the count
    /// so far, or the error if that is nothing.
    pub(crate) fn write(
        &self,
        side: Side<'_>,
        buffers: &[IoSlice<'_>],
        mut attempt: impl FnMut(&[IoSlice<'_>]) -> io::Result<usize>,
    ) -> Answer<usize> {
        while !self.asks(side) {
            match self.retriable(side, attempt(buffers))? {
                Some(count) => return Ok(count),
                // Interrupted before anything was written.
                None if side.handle.is_none() => {}
                None => break,
            }
        }
        let mut written = 0;
        for chunk in buffers.iter().flat_map(|buffer| buffer.chunks(PIPE_BYTES)) {
            match self.write_chunk(side, chunk, &mut attempt) {
                Ok(count) => {
                    written += count;
                    if count < chunk.len() {
                        break;
                    }
                }
                Err(Fault::Errno(_)) if written > 0 => break,
                Err(fault) => return Err(fault),
            }
        }
        Ok(written)
    }

    fn write_chunk(
        &self,
        side: Side<'_>,
        chunk: &[u8],
        attempt: &mut impl FnMut(&[IoSlice<'_>]) -> io::Result<usize>,
    ) -> Answer<usize> {
        let mut written = 0;
        while written < chunk.len() {
            if let Some(handle) = side.handle {
                self.until_ready(handle, Interest::Write, side.nonblocking)?;
            }
            match self.retriable(side, attempt(&[IoSlice::new(&chunk[written..])]))? {
                Some(0) => break,
                Some(count) => written += count,
                None => {}
            }
        }
        Ok(written)
    }

    /// Whether to ask the kernel for readiness before a transfer: only where something but the
    /// transfer itself may end the wait, so that the plain case costs one system call.
    fn asks(&self, side: Side<'_>) -> bool {
        let may_end = side.nonblocking || self.forbidden || self.canceller.is_some();
        side.handle.is_some() && (side.always_ask || may_end)
    }

    /// The count of a finished transfer, or `None` if it has to be tried again.
    fn retriable(&self, side: Side<'_>, result: io::Result<usize>) -> Answer<Option<usize>> {
        match result {
            Ok(count) => Ok(Some(count)),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                self.check()?;
                Ok(None)
            }
            Err(error)
                if error.kind() == io::ErrorKind::WouldBlock
                    && side.handle.is_some()
                    && !side.nonblocking
                    && !self.forbidden =>
            {
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    fn until_ready(&self, handle: Handle<'_>, interest: Interest, nonblocking: bool) -> Answer {
        let mut wanted = [sys::Wanted::new(handle, interest)];
        self.wait(
            &mut wanted,
            (nonblocking || self.forbidden).then_some(Duration::ZERO),
        )?;
        match wanted[0].is_ready() {
            true => Ok(()),
            false => Err(Errno::Again.into()),
        }
    }
}
