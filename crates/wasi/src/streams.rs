//! Standard streams: what the guest's descriptors 0, 1 and 2, and the streams of `wasi:cli`, are
//! connected to.
//!
//! Guarantees: nothing is connected unless the host said so; a memory pipe never holds more
//! than its capacity.
//! Does not do: buffering. What the guest writes is handed on in the same call.

use crate::sys::Handle;
use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut, IsTerminal, Read, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Something that a guest can read as its standard input.
pub trait InputStream: Send + Sync {
    /// Reads into `buffers`, which are not empty, and returns the number of bytes; 0 is the end.
    ///
    /// # Errors
    /// Whatever happened; the guest gets the nearest error number.
    fn read(&self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize>;

    /// The descriptor to wait on before a read. `None`: a read never waits.
    fn handle(&self) -> Option<Handle<'_>> {
        None
    }

    /// Whether a person sits at the other end.
    fn is_terminal(&self) -> bool {
        false
    }
}

/// Something that a guest can write as its standard output or error.
pub trait OutputStream: Send + Sync {
    /// Writes from `buffers`, which are not all empty, and returns the number of bytes taken.
    ///
    /// # Errors
    /// Whatever happened; the guest gets the nearest error number.
    fn write(&self, buffers: &[IoSlice<'_>]) -> io::Result<usize>;

    /// The descriptor to wait on before a write. `None`: a write never waits.
    fn handle(&self) -> Option<Handle<'_>> {
        None
    }

    /// Whether a person sits at the other end.
    fn is_terminal(&self) -> bool {
        false
    }
}

impl InputStream for File {
    fn read(&self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        (&mut &*self).read_vectored(buffers)
    }

    fn handle(&self) -> Option<Handle<'_>> {
        Some(crate::sys::handle_of(self))
    }

    fn is_terminal(&self) -> bool {
        IsTerminal::is_terminal(self)
    }
}

impl OutputStream for File {
    fn write(&self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        (&mut &*self).write_vectored(buffers)
    }

    fn handle(&self) -> Option<Handle<'_>> {
        Some(crate::sys::handle_of(self))
    }

    fn is_terminal(&self) -> bool {
        IsTerminal::is_terminal(self)
    }
}

/// An input that is at its end. The default.
#[derive(Debug, Clone, Copy, Default)]
pub struct NullInput;

impl InputStream for NullInput {
    fn read(&self, _buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        Ok(0)
    }
}

/// An output that takes everything and keeps nothing. The default.
#[derive(Debug, Clone, Copy, Default)]
pub struct NullOutput;

impl OutputStream for NullOutput {
    fn write(&self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        Ok(buffers.iter().map(|buffer| buffer.len()).sum())
    }
}

/// An input that holds its bytes from the start.
#[derive(Debug, Clone, Default)]
pub struct MemoryInputPipe {
    bytes: Arc<Mutex<io::Cursor<Vec<u8>>>>,
}

impl MemoryInputPipe {
    /// A pipe with `bytes` in it, then the end. Clones share the position.
    pub fn new(bytes: impl Into<Vec<u8>>) -> MemoryInputPipe {
        MemoryInputPipe {
            bytes: Arc::new(Mutex::new(io::Cursor::new(bytes.into()))),
        }
    }
}

impl InputStream for MemoryInputPipe {
    fn read(&self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        locked(&self.bytes).read_vectored(buffers)
    }
}

/// An output that keeps what was written, up to a capacity.
///
/// Clones share the contents: keep one, hand the other to the context.
#[derive(Debug, Clone)]
pub struct MemoryOutputPipe {
    bytes: Arc<Mutex<Vec<u8>>>,
    capacity: usize,
}

impl MemoryOutputPipe {
    /// An empty pipe that takes at most `capacity` bytes; a write to a full one fails with
    /// `nospc`.
    pub fn new(capacity: usize) -> MemoryOutputPipe {
        MemoryOutputPipe {
            bytes: Arc::default(),
            capacity,
        }
    }

    /// A copy of everything written so far.
    pub fn contents(&self) -> Vec<u8> {
        locked(&self.bytes).clone()
    }
}

impl OutputStream for MemoryOutputPipe {
    fn write(&self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut bytes = locked(&self.bytes);
        let before = bytes.len();
        for buffer in buffers {
            let room = self.capacity - bytes.len();
            bytes.extend_from_slice(&buffer[..buffer.len().min(room)]);
        }
        match bytes.len() - before {
            0 => Err(io::ErrorKind::StorageFull.into()),
            written => Ok(written),
        }
    }
}

/// The contents survive a panic of another holder: no holder leaves them half changed.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
