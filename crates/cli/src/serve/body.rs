//! The body of a response on its way to the client, which tells the watch who waits for whom, and
//! at its end writes the line of the journal.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use cellwall_wasi::http::{HttpError, ResponseBody};
use http::StatusCode;
use http_body::{Body, Frame, SizeHint};
use hyper::body::{Bytes, Incoming};

use super::Branch;
use super::connections::{self, Busy};
use super::journal::Line;
use super::requests::Current;

/// The body of a request, which tells the watch when the guest waits for its client.
pub(super) struct Upload {
    pub(super) body: Incoming,
    pub(super) current: Arc<Current>,
    pub(super) is_waiting: bool,
    /// Until all of it is there.
    pub(super) link: Option<connections::Upload>,
}

impl Body for Upload {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &frame {
            self.current.moved(frame.data_ref().map_or(0, Bytes::len));
        }
        if self.body.is_end_stream() || matches!(frame, Poll::Ready(None)) {
            self.link = None;
        }
        if self.is_waiting != frame.is_pending() {
            self.is_waiting = frame.is_pending();
            self.current.client_sends(frame.is_pending());
        }
        frame.map_err(HttpError::from)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if self.is_waiting {
            self.current.client_sends(false);
        }
        if let Some(rest) = self.link.take() {
            rest.leave();
        }
    }
}

enum Source {
    Guest(ResponseBody, Arc<Current>),
    Server(Option<Bytes>),
}

/// What is known of a request until it is answered.
pub(super) struct Asked {
    pub(super) line: Line,
    pub(super) busy: Busy,
}

/// A body and what there is to say about it.
pub(super) struct Answer {
    source: Source,
    bytes: u64,
    /// How many there are to be, if that is known: more are not asked for.
    expected: Option<u64>,
    is_whole: bool,
    is_broken: bool,
    status: StatusCode,
    branch: Arc<Branch>,
    line: Line,
    _busy: Busy,
}

impl Answer {
    pub(super) fn of_guest(
        body: ResponseBody,
        status: StatusCode,
        branch: Arc<Branch>,
        current: Arc<Current>,
        asked: Asked,
    ) -> Answer {
        let is_whole = body.is_end_stream();
        Answer::new(Source::Guest(body, current), is_whole, status, branch, asked)
    }

    pub(super) fn of_server(text: String, status: StatusCode, branch: Arc<Branch>, asked: Asked) -> Answer {
        Answer::new(Source::Server(Some(text.into())), false, status, branch, asked)
    }

    fn new(source: Source, is_whole: bool, status: StatusCode, branch: Arc<Branch>, asked: Asked) -> Answer {
        let expected = match &source {
            Source::Guest(body, _) => body.size_hint().exact(),
            Source::Server(_) => None,
        };
        Answer {
            source,
            bytes: 0,
            expected,
            is_whole,
            is_broken: false,
            status,
            branch,
            line: asked.line,
            _busy: asked.busy,
        }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        let this = &mut *self;
        let frame = match &mut this.source {
            Source::Guest(body, current) => match Pin::new(body).poll_frame(context) {
                Poll::Pending => {
                    current.client_takes(false);
                    return Poll::Pending;
                }
                Poll::Ready(frame) => {
                    current.client_takes(true);
                    if let Some(Ok(frame)) = &frame {
                        current.moved(frame.data_ref().map_or(0, Bytes::len));
                    }
                    frame
                }
            },
            Source::Server(text) => text.take().map(|text| Ok(Frame::data(text))),
        };
        match &frame {
            Some(Ok(frame)) => this.bytes += frame.data_ref().map_or(0, |data| data.len() as u64),
            Some(Err(error)) => {
                this.is_broken = true;
                if let (Source::Guest(_, current), HttpError::HttpResponseBodySize(_)) = (&this.source, error)
                {
                    this.branch.server.journal.complain(&format!(
                        "request {}: the guest's body is not as long as its content-length says: {error}",
                        current.number()
                    ));
                }
            }
            None => this.is_whole = true,
        }
        this.is_whole |= this.is_end_stream();
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Guest(body, _) => body.is_end_stream(),
            Source::Server(text) => text.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Guest(body, _) => body.size_hint(),
            Source::Server(text) => SizeHint::with_exact(text.as_ref().map_or(0, |text| text.len() as u64)),
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        if let Source::Guest(_, current) = &self.source {
            // Whatever the guest still does, nobody waits for it: it may take as long as for a response.
            current.client_takes(false);
        }
        self.branch.metrics.answered(self.status, self.bytes);
        self.branch.server.journal.log(
            &self.line,
            self.status,
            self.bytes,
            (self.is_whole || self.expected == Some(self.bytes) || !self.line.has_body(self.status))
                && !self.is_broken,
        );
    }
}
