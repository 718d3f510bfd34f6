//! Streams of bytes, as a host makes them for guests.
//!
//! Requires of who implements them: functions that are not `async` never wait.

use super::Pollable;
use async_trait::async_trait;
use bytes::Bytes;
use std::fmt;

/// Zeroes that are written at once.
const ZEROES: &[u8] = &[0; 4096];

/// Why an operation of a stream did not succeed.
#[derive(Debug)]
pub enum StreamError {
    /// Nothing more will come, or be taken.
    Closed,
    /// The last operation failed, for this reason. The stream is closed from now on.
    LastOperationFailed(cellwall::Error),
    /// The guest broke a rule of the interface: it stops with this error.
    Trap(cellwall::Error),
}

/// The result of an operation of a stream.
pub type StreamResult<T> = Result<T, StreamError>;

impl StreamError {
    /// The guest stops, with this message.
    pub fn trap(message: &str) -> StreamError {
        StreamError::Trap(cellwall::Error::msg(message.to_owned()))
    }
}

impl fmt::Display for StreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StreamError::Closed => f.write_str("closed"),
            StreamError::LastOperationFailed(error) => write!(f, "last operation failed: {error}"),
            StreamError::Trap(error) => write!(f, "trap: {error}"),
        }
    }
}

impl std::error::Error for StreamError {}

impl From<cellwall::component::ResourceTableError> for StreamError {
    fn from(error: cellwall::component::ResourceTableError) -> StreamError {
        StreamError::Trap(error.into())
    }
}

/// Bytes that come from the host. It is ready when a read would give bytes, the end, or an error.
#[async_trait]
pub trait InputStream: Pollable {
    /// At most `size` bytes, as many as are there; none if none are there yet.
    ///
    /// `size` was named by the guest: compare it with a limit before allocating.
    ///
    /// # Errors
    /// [`Closed`](StreamError::Closed) at the end.
    fn read(&mut self, size: usize) -> StreamResult<Bytes>;

    /// Like [`read`](Self::read), after waiting until the stream is ready.
    async fn blocking_read(&mut self, size: usize) -> StreamResult<Bytes> {
        if size == 0 {
            return self.read(0);
        }
        loop {
            let bytes = self.read(size)?;
            if !bytes.is_empty() {
                return Ok(bytes);
            }
            self.ready().await;
        }
    }

    /// Reads at most `size` bytes, throws them away and returns how many they were.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    fn skip(&mut self, size: usize) -> StreamResult<usize> {
        self.read(size).map(|bytes| bytes.len())
    }

    /// Like [`skip`](Self::skip), after waiting until the stream is ready.
    async fn blocking_skip(&mut self, size: usize) -> StreamResult<usize> {
        self.blocking_read(size).await.map(|bytes| bytes.len())
    }
}

#[async_trait]
impl Pollable for Box<dyn InputStream> {
    async fn ready(&mut self) {
        (**self).ready().await;
    }
}

/// Bytes that go to the host. It is ready when something may be written, a flush is done, or
/// there is an error to hear of.
#[async_trait]
pub trait OutputStream: Pollable {
    /// Takes all of `bytes`, which are no more than the last
    /// [`check_write`](Self::check_write) permitted.
    ///
    /// # Errors
    /// [`Trap`](StreamError::Trap) if they are more; [`Closed`](StreamError::Closed).
    fn write(&mut self, bytes: Bytes) -> StreamResult<()>;

    /// Begins to hand on all that was written: nothing is permitted until that is done.
    ///
    /// # Errors
    /// Those of earlier writes.
    fn flush(&mut self) -> StreamResult<()>;

    /// Like [`flush`](Self::flush), and says whether all was handed on already.
    ///
    /// # Errors
    /// Those of earlier writes; [`Closed`](StreamError::Closed).
    fn flush_now(&mut self) -> StreamResult<bool> {
        self.flush()?;
        Ok(self.check_write()? > 0)
    }

    /// Hands on all that was written, and waits until that is done.
    async fn blocking_flush(&mut self) -> StreamResult<()> {
        self.flush()?;
        self.write_ready().await.map(drop)
    }

    /// How many bytes may be written now; 0 if the guest has to wait first.
    ///
    /// # Errors
    /// Those of earlier writes; [`Closed`](StreamError::Closed).
    fn check_write(&mut self) -> StreamResult<usize>;

    /// Waits until something may be written, and says how much.
    async fn write_ready(&mut self) -> StreamResult<usize> {
        loop {
            match self.check_write()? {
                0 => self.ready().await,
                permitted => return Ok(permitted),
            }
        }
    }

    /// Writes all of `bytes`, waiting as often as need be, then waits until they are handed on.
    async fn blocking_write_and_flush(&mut self, mut bytes: Bytes) -> StreamResult<()> {
        while !bytes.is_empty() {
            let permitted = self.write_ready().await?;
            self.write(bytes.split_to(permitted.min(bytes.len())))?;
        }
        self.blocking_flush().await
    }

    /// Writes `count` zeroes, which are no more than were permitted.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    fn write_zeroes(&mut self, count: usize) -> StreamResult<()> {
        let mut left = count;
        while left > 0 {
            let chunk = left.min(ZEROES.len());
            self.write(Bytes::from_static(&ZEROES[..chunk]))?;
            left -= chunk;
        }
        Ok(())
    }

    /// Writes `count` zeroes, waiting as often as need be, then waits until they are handed on.
    async fn blocking_write_zeroes_and_flush(&mut self, count: usize) -> StreamResult<()> {
        let mut left = count;
        while left > 0 {
            let chunk = self.write_ready().await?.min(left).min(ZEROES.len());
            self.write(Bytes::from_static(&ZEROES[..chunk]))?;
            left -= chunk;
        }
        self.blocking_flush().await
    }
}

#[async_trait]
impl Pollable for Box<dyn OutputStream> {
    async fn ready(&mut self) {
        (**self).ready().await;
    }
}

/// What a guest's `input-stream` stands for.
pub type DynInputStream = Box<dyn InputStream>;

/// What a guest's `output-stream` stands for.
pub type DynOutputStream = Box<dyn OutputStream>;
