//! Bodies that a guest writes, and the trailers after them.
//!
//! Guarantees: what the guest has written and nobody has read has a limit; after that it waits
//! (back-pressure). A body that is shorter or longer than its `content-length`, or that is dropped
//! before it is finished, ends with an error on the other side: nobody takes a part for the whole.

use super::budget::Charge;
use super::error::HttpError;
use super::fields::Fields;
use crate::p2::{OutputStream, Pollable, StreamError, StreamResult};
use async_trait::async_trait;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// Bytes that are written and not yet read.
const BUFFERED_BYTES_MAX: usize = 256 << 10;

/// Parts of a body that are not yet read: many small ones cost more than their bytes.
const BUFFERED_PARTS_MAX: usize = 256;

/// What a part takes beside its bytes.
const PART_BYTES: usize = 64;

/// Bytes that may be written where nothing is buffered, whatever else the guest has buffered: each body
/// goes on as fast as it is read.
const WRITE_BYTES_MIN: usize = 4 << 10;

/// Bytes that one write takes.
const WRITE_BYTES_MAX: usize = 64 << 10;

/// Whose body it is, which names the error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    Request,
    Response,
}

impl Whose {
    fn wrong_size(self, bytes: u64) -> HttpError {
        match self {
            Whose::Request => HttpError::HttpRequestBodySize(Some(bytes)),
            Whose::Response => HttpError::HttpResponseBodySize(Some(bytes)),
        }
    }
}

#[derive(Debug)]
enum End {
    Finished(Option<http::HeaderMap>),
    Failed(HttpError),
    /// The end was handed on.
    Told,
}

/// The body between its writer and its reader.
#[derive(Debug)]
struct Pipe {
    parts: VecDeque<Bytes>,
    buffered_bytes: usize,
    /// For what is buffered.
    charge: Charge,
    /// What the guest wrote, also what was too much,
    written: u64,
    /// and what the reader took of it.
    read: u64,
    /// What `content-length` says.
    expected: Option<u64>,
    whose: Whose,
    end: Option<End>,
    is_reader_gone: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Pipe {
    fn permitted(&self) -> usize {
        let left = self.charge.left().saturating_sub(PART_BYTES);
        match self.parts.len() {
            0 => left.clamp(WRITE_BYTES_MIN, WRITE_BYTES_MAX),
            BUFFERED_PARTS_MAX.. => 0,
            _ => (BUFFERED_BYTES_MAX - self.buffered_bytes)
                .min(WRITE_BYTES_MAX)
                .min(left),
        }
    }

    /// Counts what is buffered now. There may be no room for the first part of a body; it is small then.
    fn count(&mut self) {
        let held = self.buffered_bytes + self.parts.len() * PART_BYTES;
        let _ = self.charge.resize(held);
    }

    fn is_closed(&self) -> bool {
        self.is_reader_gone || self.end.is_some()
    }

    fn close(&mut self, end: End) {
        if self.end.is_none() {
            self.end = Some(end);
            wake(&mut self.reader);
        }
    }
}

fn wake(waker: &mut Option<Waker>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}

#[derive(Debug, Clone)]
struct Shared(Arc<Mutex<Pipe>>);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Pipe> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `outgoing-body`.
#[derive(Debug)]
pub struct OutgoingBody {
    pipe: Shared,
    has_stream: bool,
}

/// A body and what reads it.
pub(super) fn pipe(whose: Whose, expected: Option<u64>, charge: Charge) -> (OutgoingBody, OutgoingReader) {
    let pipe = Shared(Arc::new(Mutex::new(Pipe {
        parts: VecDeque::new(),
        buffered_bytes: 0,
        charge,
        written: 0,
        read: 0,
        expected,
        whose,
        end: None,
        is_reader_gone: false,
        reader: None,
        writer: None,
    })));
    let body = OutgoingBody {
        pipe: pipe.clone(),
        has_stream: false,
    };
    (body, OutgoingReader(pipe))
}

impl OutgoingBody {
    /// Where its bytes are written, the first time.
    pub(super) fn write(&mut self) -> Option<OutgoingStream> {
        match std::mem::replace(&mut self.has_stream, true) {
            true => None,
            false => Some(OutgoingStream(self.pipe.clone())),
        }
    }

    /// Ends the body.
    ///
    /// # Errors
    /// It is not as long as its `content-length`.
    pub(super) fn finish(self, trailers: Option<Fields>) -> Result<(), HttpError> {
        let mut pipe = self.pipe.lock();
        if let Some(expected) = pipe.expected
            && expected != pipe.written
        {
            let error = pipe.whose.wrong_size(pipe.written);
            pipe.close(End::Failed(error.clone()));
            return Err(error);
        }
        pipe.close(End::Finished(trailers.map(Fields::into_map)));
        Ok(())
    }
}

impl Drop for OutgoingBody {
    fn drop(&mut self) {
        // Nothing, if it was finished.
        self.pipe.lock().close(End::Failed(HttpError::HttpProtocolError));
    }
}

/// Where a guest writes the bytes of a body.
#[derive(Debug)]
pub(super) struct OutgoingStream(Shared);

impl OutputStream for OutgoingStream {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        let mut pipe = self.0.lock();
        if pipe.is_closed() {
            return Err(StreamError::Closed);
        }
        if bytes.len() > pipe.permitted() {
            return Err(StreamError::trap("more was written than check-write permitted"));
        }
        if bytes.is_empty() {
            return Ok(());
        }
        pipe.written += bytes.len() as u64;
        if pipe.expected.is_some_and(|expected| pipe.written > expected) {
            let error = pipe.whose.wrong_size(pipe.written);
            pipe.close(End::Failed(error.clone()));
            return Err(StreamError::LastOperationFailed(error.into()));
        }
        pipe.buffered_bytes += bytes.len();
        pipe.parts.push_back(bytes);
        pipe.count();
        wake(&mut pipe.reader);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        // The reader takes what is there as fast as the other side does: nothing speeds it up, and
        // before the message is sent nobody takes anything, so there is no waiting for it either.
        match self.0.lock().is_closed() {
            true => Err(StreamError::Closed),
            false => Ok(()),
        }
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        let pipe = self.0.lock();
        match pipe.is_closed() {
            true => Err(StreamError::Closed),
            false => Ok(pipe.permitted()),
        }
    }
}

#[async_trait]
impl Pollable for OutgoingStream {
    async fn ready(&mut self) {
        poll_fn(|context| {
            let mut pipe = self.0.lock();
            if pipe.is_closed() || pipe.permitted() > 0 {
                return Poll::Ready(());
            }
            pipe.writer = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

/// The body, for the connection that sends it.
#[derive(Debug)]
pub(super) struct OutgoingReader(Shared);

impl Body for OutgoingReader {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        let mut pipe = self.0.lock();
        if let Some(part) = pipe.parts.pop_front() {
            pipe.buffered_bytes -= part.len();
            pipe.read += part.len() as u64;
            pipe.count();
            wake(&mut pipe.writer);
            return Poll::Ready(Some(Ok(Frame::data(part))));
        }
        match pipe.end.as_mut().map(|end| std::mem::replace(end, End::Told)) {
            Some(End::Finished(Some(trailers))) => Poll::Ready(Some(Ok(Frame::trailers(trailers)))),
            Some(End::Finished(None) | End::Told) => Poll::Ready(None),
            Some(End::Failed(error)) => Poll::Ready(Some(Err(error))),
            None => {
                pipe.reader = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        let pipe = self.0.lock();
        pipe.parts.is_empty() && matches!(pipe.end, Some(End::Finished(None) | End::Told))
    }

    fn size_hint(&self) -> SizeHint {
        let pipe = self.0.lock();
        match (&pipe.end, pipe.expected) {
            // Complete before anything was sent: it goes out with its length, in one piece.
            (Some(End::Finished(None)), _) => SizeHint::with_exact(pipe.buffered_bytes as u64),
            // Of what was too much nothing is sent: the body lacks what its length says.
            (_, Some(expected)) => SizeHint::with_exact(expected.saturating_sub(pipe.read)),
            _ => SizeHint::default(),
        }
    }
}

impl Drop for OutgoingReader {
    fn drop(&mut self) {
        let mut pipe = self.0.lock();
        pipe.is_reader_gone = true;
        pipe.parts.clear();
        pipe.buffered_bytes = 0;
        pipe.count();
        wake(&mut pipe.writer);
    }
}
