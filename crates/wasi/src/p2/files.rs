//! Files and directories as resources, and files as streams.
//!
//! Transfers are made on the guest's thread: a regular file answers from the page cache, or
//! within the time of the disk, and one call moves no more than [`READ_BYTES_MAX`] or
//! [`WRITE_BYTES_MAX`]. A thread for each would cost more than the transfer. What may take long,
//! synchronising, is not done here.

use super::{InputStream, OutputStream, Pollable, StreamError, StreamResult};
use crate::error::{Answer, Errno, Fault};
use crate::files::OpenFile;
use crate::sys::{self, DirStream, Interest};
use crate::table::Entry;
use async_trait::async_trait;
use bytes::{Buf, Bytes};
use cap_std::fs::File;
use std::io::{self, IoSlice};
use std::sync::Arc;

/// The most bytes that one read of a file gives.
pub(crate) const READ_BYTES_MAX: usize = 64 * 1024;
/// What a stream to a file takes at once.
pub(crate) const WRITE_BYTES_MAX: usize = 1 << 20;

/// Counts the descriptors of the host that a context holds.
#[derive(Debug, Clone)]
pub(crate) struct Slots {
    all: Arc<()>,
    max: usize,
}

/// One descriptor of the host.
#[derive(Debug)]
pub(crate) struct Slot {
    _one: Arc<()>,
}

impl Slots {
    pub(crate) fn new(max: usize) -> Slots {
        Slots {
            all: Arc::new(()),
            max,
        }
    }

    /// Takes one: to be asked *before* something is opened.
    pub(crate) fn take(&self) -> Answer<Slot> {
        match Arc::strong_count(&self.all) <= self.max {
            true => Ok(Slot {
                _one: self.all.clone(),
            }),
            false => Err(Errno::MFile.into()),
        }
    }
}

/// What a guest's `descriptor` stands for: an open file or directory.
pub struct Descriptor {
    pub(crate) entry: Entry,
    /// Granted directories have none: the host opened them.
    pub(crate) _slot: Option<Arc<Slot>>,
}

impl std::fmt::Debug for Descriptor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Descriptor").finish_non_exhaustive()
    }
}

/// What a guest's `directory-entry-stream` stands for: a listing under way.
pub struct DirectoryEntryStream {
    pub(crate) listing: DirStream,
    pub(crate) _slot: Slot,
}

impl std::fmt::Debug for DirectoryEntryStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DirectoryEntryStream").finish_non_exhaustive()
    }
}

/// Reads a file from a place on.
pub(crate) struct FileInput {
    file: Arc<File>,
    _slot: Option<Arc<Slot>>,
    /// It is not a regular file: it has no places, and a read may have to wait.
    waits: bool,
    position: u64,
    failed: bool,
}

impl FileInput {
    pub(crate) fn new(file: &OpenFile, position: u64) -> FileInput {
        FileInput {
            file: file.file.clone(),
            _slot: file.slot.clone(),
            waits: file.waits,
            position,
            failed: false,
        }
    }
}

#[async_trait]
impl Pollable for FileInput {
    async fn ready(&mut self) {
        if self.waits && !self.failed {
            sys::ready(sys::handle_of(&*self.file), Interest::Read).await;
        }
    }
}

#[async_trait]
impl InputStream for FileInput {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        if self.failed {
            return Err(StreamError::Closed);
        }
        if size == 0 {
            return Ok(Bytes::new());
        }
        let place = (!self.waits).then_some(self.position);
        let mut bytes = Vec::with_capacity(size.min(READ_BYTES_MAX));
        match sys::read_into(&self.file, &mut bytes, place) {
            Ok(0) => Err(StreamError::Closed),
            Ok(count) => {
                self.position += count as u64;
                Ok(bytes.into())
            }
            Err(error) if is_temporary(&error) => Ok(Bytes::new()),
            Err(error) => {
                self.failed = true;
                Err(StreamError::LastOperationFailed(error.into()))
            }
        }
    }

    fn skip(&mut self, size: usize) -> StreamResult<usize> {
        if self.waits || self.failed || size == 0 {
            return self.read(size).map(|bytes| bytes.len());
        }
        let length = self.file.metadata().map(|metadata| metadata.len());
        let length = length.map_err(|error| StreamError::LastOperationFailed(error.into()))?;
        match length.saturating_sub(self.position).min(size as u64) {
            // Also where the size says nothing, as in `/proc`.
            0 => self.read(size).map(|bytes| bytes.len()),
            skipped => {
                self.position += skipped;
                Ok(usize::try_from(skipped).expect("no more than `size`"))
            }
        }
    }

    async fn blocking_skip(&mut self, size: usize) -> StreamResult<usize> {
        loop {
            match self.skip(size)? {
                0 if size > 0 => self.ready().await,
                skipped => return Ok(skipped),
            }
        }
    }
}

/// Where a write goes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum WritePlace {
    /// To this place, and on from there.
    At(u64),
    /// Behind the end, wherever that is then.
    End,
}

/// Writes a file.
pub(crate) struct FileOutput {
    file: Arc<File>,
    _slot: Option<Arc<Slot>>,
    waits: bool,
    place: WritePlace,
    /// Taken from the guest, and not by a pipe that somebody else has filled since it was asked.
    rest: Bytes,
    failed: bool,
}

impl FileOutput {
    pub(crate) fn new(file: &OpenFile, place: WritePlace) -> FileOutput {
        FileOutput {
            file: file.file.clone(),
            _slot: file.slot.clone(),
            waits: file.waits,
            place,
            rest: Bytes::new(),
            failed: false,
        }
    }

    /// Writes what was taken; of a pipe, as much as goes without waiting.
    fn write_rest(&mut self) -> io::Result<()> {
        while !self.rest.is_empty() {
            let slices = [IoSlice::new(&self.rest)];
            let written = match self.place {
                _ if self.waits => sys::write(&self.file, &slices),
                WritePlace::At(place) => sys::write_at(&self.file, &slices, place),
                WritePlace::End => sys::write_end(&self.file, &slices),
            };
            match written {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    self.rest.advance(count);
                    if let WritePlace::At(place) = &mut self.place {
                        *place += count as u64;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && self.waits => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

#[async_trait]
impl Pollable for FileOutput {
    async fn ready(&mut self) {
        if self.waits && !self.failed {
            sys::ready(sys::handle_of(&*self.file), Interest::Write).await;
        }
    }
}

#[async_trait]
impl OutputStream for FileOutput {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        let permitted = self.check_write()?;
        if bytes.len() > permitted {
            return Err(StreamError::trap("write exceeded budget"));
        }
        self.rest = bytes;
        self.flush()
    }

    fn flush(&mut self) -> StreamResult<()> {
        if self.failed {
            return Err(StreamError::Closed);
        }
        self.write_rest().map_err(|error| {
            self.failed = true;
            self.rest.clear();
            StreamError::LastOperationFailed(error.into())
        })
    }

    /// Nothing is kept but by a full pipe, so there is no waiting for room for more.
    fn flush_now(&mut self) -> StreamResult<bool> {
        self.flush()?;
        Ok(self.rest.is_empty())
    }

    async fn blocking_flush(&mut self) -> StreamResult<()> {
        while !self.flush_now()? {
            self.ready().await;
        }
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        const PIPE_BYTES: usize = 4096;
        self.flush()?;
        Ok(match self.waits {
            false => WRITE_BYTES_MAX,
            true if self.rest.is_empty() && sys::is_ready(sys::handle_of(&*self.file), Interest::Write) => {
                PIPE_BYTES
            }
            true => 0,
        })
    }
}

impl Drop for FileOutput {
    fn drop(&mut self) {
        // Nobody waits any more; an error has nobody to hear of it.
        let _ = self.write_rest();
    }
}

fn is_temporary(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock
    )
}

/// Why a function of `wasi:filesystem` did not succeed.
#[derive(Debug)]
pub enum FsError {
    /// The guest gets this code.
    Code(super::bindings::wasi::filesystem::types::ErrorCode),
    /// The guest stops with this error.
    Trap(cellwall::Error),
}

impl From<super::bindings::wasi::filesystem::types::ErrorCode> for FsError {
    fn from(code: super::bindings::wasi::filesystem::types::ErrorCode) -> FsError {
        FsError::Code(code)
    }
}

impl From<Fault> for FsError {
    fn from(fault: Fault) -> FsError {
        match fault {
            Fault::Errno(errno) => FsError::Code(errno.into()),
            Fault::Stop(error) => FsError::Trap(error),
        }
    }
}

impl From<Errno> for FsError {
    fn from(errno: Errno) -> FsError {
        FsError::Code(errno.into())
    }
}

impl From<io::Error> for FsError {
    fn from(error: io::Error) -> FsError {
        Errno::from(error).into()
    }
}

impl From<cellwall::component::ResourceTableError> for FsError {
    fn from(error: cellwall::component::ResourceTableError) -> FsError {
        FsError::Trap(error.into())
    }
}

impl std::fmt::Display for FsError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            FsError::Code(code) => write!(f, "{code:?}"),
            FsError::Trap(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for FsError {}
