//! Bodies that come to a guest, and the trailers after them.
//!
//! Guarantees: a body is read as fast as the guest reads it: what it does not read stays with the
//! sender, but for one frame.

use super::error::HttpError;
use super::fields::Fields;
use crate::p2::{InputStream, Pollable, StreamError, StreamResult};
use async_trait::async_trait;
use bytes::Bytes;
use http_body::{Body, Frame};
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

/// A body as it comes from the connection.
pub type BoxBody = Pin<Box<dyn Body<Data = Bytes, Error = HttpError> + Send>>;

/// Where the reading of a body is.
struct Reading {
    body: Option<BoxBody>,
    /// Read from the body, and not by the guest.
    data: Bytes,
    trailers: Option<http::HeaderMap>,
    /// Told once to the stream, and to whoever asks for trailers.
    error: Option<HttpError>,
    is_error_told: bool,
}

impl Reading {
    /// Gets bytes, the end, or an error.
    fn poll_more(&mut self, context: &mut Context<'_>) -> Poll<()> {
        while self.data.is_empty() {
            let Some(body) = &mut self.body else {
                return Poll::Ready(());
            };
            match ready!(body.as_mut().poll_frame(context)) {
                Some(Ok(frame)) => self.take(frame),
                Some(Err(error)) => {
                    self.error = Some(error);
                    self.body = None;
                }
                None => self.body = None,
            }
        }
        Poll::Ready(())
    }

    fn take(&mut self, frame: Frame<Bytes>) {
        match frame.into_data() {
            Ok(data) => self.data = data,
            Err(frame) => {
                self.trailers = frame.into_trailers().ok();
                self.body = None;
            }
        }
    }

    /// Throws away what is left of the body.
    fn poll_end(&mut self, context: &mut Context<'_>) -> Poll<()> {
        loop {
            self.data = Bytes::new();
            ready!(self.poll_more(context));
            if self.data.is_empty() {
                return Poll::Ready(());
            }
        }
    }
}

#[derive(Clone)]
struct Shared(Arc<Mutex<Reading>>);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Reading> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn now() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

/// `incoming-body`.
pub struct IncomingBody {
    shared: Shared,
    has_stream: bool,
}

impl std::fmt::Debug for IncomingBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IncomingBody").finish_non_exhaustive()
    }
}

impl IncomingBody {
    /// A body for a guest.
    pub(super) fn new(body: BoxBody) -> IncomingBody {
        IncomingBody {
            shared: Shared(Arc::new(Mutex::new(Reading {
                body: Some(body),
                data: Bytes::new(),
                trailers: None,
                error: None,
                is_error_told: false,
            }))),
            has_stream: false,
        }
    }

    /// Its bytes, the first time.
    pub(super) fn stream(&mut self) -> Option<IncomingStream> {
        match std::mem::replace(&mut self.has_stream, true) {
            true => None,
            false => Some(IncomingStream(self.shared.clone())),
        }
    }

    /// What comes after its bytes.
    pub(super) fn finish(self) -> FutureTrailers {
        FutureTrailers(Some(self.shared))
    }
}

/// The bytes of a body.
pub(super) struct IncomingStream(Shared);

impl InputStream for IncomingStream {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        let mut reading = self.0.lock();
        if size > 0 || reading.body.is_none() {
            let _ = reading.poll_more(&mut now());
        }
        if !reading.data.is_empty() {
            let size = size.min(reading.data.len());
            return Ok(reading.data.split_to(size));
        }
        match &reading.error {
            Some(error) if !reading.is_error_told => {
                let error = cellwall::Error::from(error.clone());
                reading.is_error_told = true;
                Err(StreamError::LastOperationFailed(error))
            }
            _ if reading.body.is_none() => Err(StreamError::Closed),
            _ => Ok(Bytes::new()),
        }
    }
}

#[async_trait]
impl Pollable for IncomingStream {
    async fn ready(&mut self) {
        poll_fn(|context| self.0.lock().poll_more(context)).await;
    }
}

/// `future-trailers`; empty once they were got.
pub struct FutureTrailers(Option<Shared>);

impl std::fmt::Debug for FutureTrailers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FutureTrailers").finish_non_exhaustive()
    }
}

/// What `future-trailers.get` answers: nothing yet, an error because it was got before, or it.
pub(super) type Trailers = Option<Result<Result<Option<Fields>, HttpError>, ()>>;

impl FutureTrailers {
    pub(super) fn get(&mut self) -> Trailers {
        let Some(shared) = &self.0 else {
            return Some(Err(()));
        };
        let mut reading = shared.lock();
        if reading.poll_end(&mut now()).is_pending() {
            return None;
        }
        let trailers = match &reading.error {
            Some(error) => Err(error.clone()),
            None => Ok(reading.trailers.take().map(Fields::received)),
        };
        drop(reading);
        self.0 = None;
        Some(Ok(trailers))
    }
}

#[async_trait]
impl Pollable for FutureTrailers {
    async fn ready(&mut self) {
        if let Some(shared) = &self.0 {
            poll_fn(|context| shared.lock().poll_end(context)).await;
        }
    }
}
