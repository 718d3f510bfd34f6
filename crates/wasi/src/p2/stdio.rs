//! The standard streams of a context as streams of WASI 0.2.
//!
//! Guarantees: whoever has a descriptor to wait on is asked by the kernel before each transfer,
//! and never takes more than a ready pipe takes without waiting. Nothing is kept back: what a
//! guest has written is with the host when `write` returns.

use super::{InputStream, OutputStream, Pollable, StreamError, StreamResult};
use crate::sys::{self, Interest};
use async_trait::async_trait;
use bytes::Bytes;
use std::io::{self, IoSlice, IoSliceMut};
use std::sync::Arc;

/// The most bytes that one read gives.
const READ_BYTES_MAX: usize = 64 * 1024;
/// What a pipe that is ready for writing takes without waiting (POSIX, `PIPE_BUF`).
const PIPE_BYTES: usize = 4096;
/// What an output that never waits takes at once.
const WRITE_BYTES_MAX: usize = 64 * 1024;

/// An input of the context.
pub(crate) struct Input {
    source: Arc<dyn crate::InputStream>,
    failed: bool,
}

impl Input {
    pub(crate) fn new(source: Arc<dyn crate::InputStream>) -> Input {
        Input {
            source,
            failed: false,
        }
    }
}

#[async_trait]
impl Pollable for Input {
    async fn ready(&mut self) {
        if let Some(handle) = self.source.handle()
            && !self.failed
        {
            sys::ready(handle, Interest::Read).await;
        }
    }
}

#[async_trait]
impl InputStream for Input {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        if self.failed {
            return Err(StreamError::Closed);
        }
        let waits = self.source.handle();
        if size == 0 || waits.is_some_and(|handle| !sys::is_ready(handle, Interest::Read)) {
            return Ok(Bytes::new());
        }
        let mut bytes = vec![0; size.min(READ_BYTES_MAX)];
        match self.source.read(&mut [IoSliceMut::new(&mut bytes)]) {
            Ok(0) => Err(StreamError::Closed),
            Ok(count) => {
                bytes.truncate(count);
                Ok(bytes.into())
            }
            Err(error) if is_temporary(&error) => Ok(Bytes::new()),
            Err(error) => {
                self.failed = true;
                Err(StreamError::LastOperationFailed(error.into()))
            }
        }
    }
}

/// An output of the context.
pub(crate) struct Output {
    sink: Arc<dyn crate::OutputStream>,
    failed: bool,
    /// What the last look permitted and was not used.
    permitted: usize,
}

impl Output {
    pub(crate) fn new(sink: Arc<dyn crate::OutputStream>) -> Output {
        Output {
            sink,
            failed: false,
            permitted: 0,
        }
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut rest = bytes;
        while !rest.is_empty() {
            match self.sink.write(&[IoSlice::new(rest)]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => rest = &rest[count..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // It was made not to wait by somebody else, and its room was taken meanwhile.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => match self.sink.handle() {
                    Some(handle) => sys::wait_ready(handle, Interest::Write)?,
                    None => return Err(error),
                },
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

#[async_trait]
impl Pollable for Output {
    async fn ready(&mut self) {
        if let Some(handle) = self.sink.handle()
            && !self.failed
        {
            sys::ready(handle, Interest::Write).await;
        }
    }
}

#[async_trait]
impl OutputStream for Output {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        if self.failed {
            return Err(StreamError::Closed);
        }
        if bytes.len() > self.permitted && bytes.len() > self.check_write()? {
            return Err(StreamError::trap("write exceeded budget"));
        }
        self.permitted -= bytes.len();
        self.write_all(&bytes).map_err(|error| {
            self.failed = true;
            StreamError::LastOperationFailed(error.into())
        })
    }

    fn flush(&mut self) -> StreamResult<()> {
        match self.failed {
            true => Err(StreamError::Closed),
            false => Ok(()),
        }
    }

    /// Nothing is kept, so nothing has to be waited for: least of all for room for more.
    fn flush_now(&mut self) -> StreamResult<bool> {
        self.flush().map(|()| true)
    }

    async fn blocking_flush(&mut self) -> StreamResult<()> {
        self.flush()
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        if self.failed {
            return Err(StreamError::Closed);
        }
        self.permitted = match self.sink.handle() {
            None => WRITE_BYTES_MAX,
            Some(handle) if sys::is_ready(handle, Interest::Write) => PIPE_BYTES,
            Some(_) => 0,
        };
        Ok(self.permitted)
    }
}

fn is_temporary(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock
    )
}
