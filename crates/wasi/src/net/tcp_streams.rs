//! The two directions of a TCP connection, as streams.
//!
//! Guarantees: what a guest wrote is sent, also when it shut the socket down or dropped all it has of
//! it afterwards, as long as the other side takes some of it now and then; after a shutdown a direction is closed at once for this side.

use super::ErrorCode;
use super::socket::{Registered, Want};
use crate::p2::{InputStream, OutputStream, Pollable, Slot, StreamError, StreamResult};
use crate::runtime::{self, Task};
use async_trait::async_trait;
use bytes::{Buf, Bytes};
use rustix::buffer::spare_capacity;
use rustix::io::Errno;
use rustix::net::{self as os, RecvFlags, SendFlags};
use std::future::poll_fn;
use std::net::Shutdown;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Poll, ready};
use std::time::Duration;
use tokio::time::timeout;

/// Bytes that one read gives at most, and one write takes.
const TRANSFER_BYTES_MAX: usize = 64 << 10;

/// How long the other side may take nothing of what is left of a connection that the guest has dropped.
const LINGER_TIMEOUT: Duration = if cfg!(test) {
    Duration::from_millis(50)
} else {
    Duration::from_secs(60)
};

/// Where the sending direction is.
#[derive(Debug)]
enum Sending {
    Open,
    /// What the system did not take at once is being sent.
    Busy(Task<Result<(), Errno>>),
    /// To be told once.
    Failed(Errno),
    Closed,
}

impl Sending {
    fn done(result: Result<(), Errno>) -> Sending {
        match result {
            Ok(()) => Sending::Open,
            Err(Errno::PIPE) => Sending::Closed,
            Err(errno) => Sending::Failed(errno),
        }
    }

    /// Whether something may be written, and if not because of an error, that.
    fn check(&mut self) -> StreamResult<bool> {
        if let Sending::Busy(task) = self
            && let Some(result) = task.take()
        {
            *self = Sending::done(result);
        }
        match std::mem::replace(self, Sending::Closed) {
            Sending::Open => *self = Sending::Open,
            Sending::Busy(task) => {
                *self = Sending::Busy(task);
                return Ok(false);
            }
            Sending::Failed(errno) => return Err(failed(errno)),
            Sending::Closed => return Err(StreamError::Closed),
        }
        Ok(true)
    }
}

fn failed(errno: Errno) -> StreamError {
    StreamError::LastOperationFailed(cellwall::Error::from(ErrorCode::from(errno)))
}

/// What both streams and the socket of a connection share.
#[derive(Debug)]
pub(super) struct Connection {
    io: Arc<Registered>,
    sending: Mutex<Sending>,
    is_read_closed: AtomicBool,
    /// The socket's place, held by what is still to be sent, too.
    slot: OnceLock<Arc<Slot>>,
}

impl Connection {
    pub(super) fn new(io: Registered) -> Connection {
        Connection {
            io: Arc::new(io),
            sending: Mutex::new(Sending::Open),
            is_read_closed: AtomicBool::new(false),
            slot: OnceLock::new(),
        }
    }

    pub(super) fn hold(&self, slot: Arc<Slot>) {
        // A socket takes its place once.
        let _ = self.slot.set(slot);
    }

    pub(super) fn io(&self) -> &Registered {
        &self.io
    }

    fn sending(&self) -> MutexGuard<'_, Sending> {
        self.sending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn shutdown(&self, how: Shutdown) {
        // The system refuses if the other side is gone, and then there is nothing to close.
        if how != Shutdown::Write {
            self.is_read_closed.store(true, Ordering::Relaxed);
            let _ = os::shutdown(&self.io, os::Shutdown::Read);
        }
        if how == Shutdown::Read {
            return;
        }
        match std::mem::replace(&mut *self.sending(), Sending::Closed) {
            Sending::Busy(rest) => {
                let io = self.io.clone();
                // The work on the rest shows that there is a runtime.
                let _ = runtime::spawn(async move {
                    let _ = rest.await;
                    let _ = os::shutdown(&io, os::Shutdown::Write);
                });
            }
            Sending::Open | Sending::Failed(_) | Sending::Closed => {
                let _ = os::shutdown(&self.io, os::Shutdown::Write);
            }
        }
    }
}

/// The receiving direction.
#[derive(Debug)]
pub(crate) struct TcpReader(Arc<Connection>);

impl TcpReader {
    pub(super) fn new(connection: Arc<Connection>) -> TcpReader {
        TcpReader(connection)
    }

    fn close(&self) {
        self.0.is_read_closed.store(true, Ordering::Relaxed);
    }

    fn is_closed(&self) -> bool {
        self.0.is_read_closed.load(Ordering::Relaxed)
    }
}

impl InputStream for TcpReader {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        if self.is_closed() {
            return Err(StreamError::Closed);
        }
        if size == 0 {
            return Ok(Bytes::new());
        }
        let mut buffer = Vec::with_capacity(size.min(TRANSFER_BYTES_MAX));
        match os::recv(&self.0.io, spare_capacity(&mut buffer), RecvFlags::empty()) {
            Ok((_, 0)) => {
                self.close();
                Err(StreamError::Closed)
            }
            Ok(_) => Ok(buffer.into()),
            Err(Errno::AGAIN | Errno::INTR) => Ok(Bytes::new()),
            Err(errno) => {
                self.close();
                Err(failed(errno))
            }
        }
    }
}

#[async_trait]
impl Pollable for TcpReader {
    async fn ready(&mut self) {
        if !self.is_closed() {
            self.0.io.ready(Want::Read).await;
        }
    }
}

/// The sending direction.
#[derive(Debug)]
pub(crate) struct TcpWriter(Arc<Connection>);

impl TcpWriter {
    pub(super) fn new(connection: Arc<Connection>) -> TcpWriter {
        TcpWriter(connection)
    }
}

/// Sends what the system takes now.
fn send_now(io: &Registered, bytes: &mut Bytes) -> Result<(), Errno> {
    while !bytes.is_empty() {
        match os::send(io, bytes, SendFlags::NOSIGNAL) {
            Ok(count) => bytes.advance(count),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => return Ok(()),
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

impl OutputStream for TcpWriter {
    fn write(&mut self, mut bytes: Bytes) -> StreamResult<()> {
        let mut sending = self.0.sending();
        if !sending.check()? || bytes.len() > TRANSFER_BYTES_MAX {
            return Err(StreamError::trap("more was written than check-write permitted"));
        }
        if let Err(errno) = send_now(&self.0.io, &mut bytes) {
            *sending = Sending::Closed;
            return Err(match errno {
                Errno::PIPE => StreamError::Closed,
                errno => failed(errno),
            });
        }
        if !bytes.is_empty() {
            let io = self.0.io.clone();
            let (slot, connection) = (self.0.slot.get().cloned(), Arc::downgrade(&self.0));
            let work = runtime::spawn(async move {
                while !bytes.is_empty() {
                    let ready = timeout(LINGER_TIMEOUT, io.ready(Want::Write)).await;
                    if ready.is_err() && connection.strong_count() == 0 {
                        return Err(Errno::TIMEDOUT);
                    }
                    send_now(&io, &mut bytes)?;
                }
                drop(slot);
                Ok(())
            });
            *sending = Sending::Busy(work.map_err(|error| StreamError::LastOperationFailed(error.into()))?);
        }
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        // What was written is on its way; until it is gone `check_write` permits nothing.
        self.0.sending().check().map(drop)
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(
            match self.0.sending().check()? && self.0.io.is_ready(Want::Write) {
                true => TRANSFER_BYTES_MAX,
                false => 0,
            },
        )
    }
}

#[async_trait]
impl Pollable for TcpWriter {
    async fn ready(&mut self) {
        let is_open = poll_fn(|context| {
            let mut sending = self.0.sending();
            if let Sending::Busy(task) = &mut *sending {
                *sending = Sending::done(ready!(Pin::new(task).poll(context)));
            }
            Poll::Ready(matches!(*sending, Sending::Open))
        });
        if is_open.await {
            self.0.io.ready(Want::Write).await;
        }
    }
}
