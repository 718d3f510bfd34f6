//! The stream of a connection, with an eye on its client.
//!
//! Guarantees: a client that sends nothing more (`shutdown`) still gets an answer that comes soon; one that is gone
//! is noticed within seconds, although both look alike. A client that still sends a body that no guest reads gets its
//! answer: the system would take it away with the connection. For the list of connections it says whether the client
//! is to take something.

use std::future::Future;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep};

use super::connections::Link;

/// How long a client that sends nothing more is believed to be there without anything written to it: if it is gone,
/// writing fails.
const BELIEF: Duration = Duration::from_secs(5);

/// How long, and how many bytes at most, are read of what a client sends that was answered without it.
const REST_TIME: Duration = Duration::from_secs(2);
const REST_BYTES_MAX: usize = 16 << 20;

/// What a client still sends after its answer.
struct Rest {
    bytes: usize,
    end: Pin<Box<Sleep>>,
}

/// A stream and its connection.
pub(super) struct Wire {
    stream: TcpStream,
    link: Arc<Link>,
    /// Whether the client has sent more than the request that is being answered.
    has_more: bool,
    /// Once the client sends nothing more, while it waits for an answer: ready when it is taken for gone.
    gone: Option<Pin<Box<Sleep>>>,
    /// Whether the client has to take something before more can be written: that has a limit elsewhere.
    is_full: bool,
    /// Once nothing more is written.
    rest: Option<Rest>,
}

impl Wire {
    pub(super) fn new(stream: TcpStream, link: Arc<Link>) -> Wire {
        Wire {
            stream,
            link,
            has_more: false,
            gone: None,
            is_full: false,
            rest: None,
        }
    }

    /// Reads what nobody wants, until the client ends or for a while.
    fn poll_rest(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Some(rest) = self.rest.as_mut().filter(|_| self.link.is_unread()) else {
            return Poll::Ready(());
        };
        let mut room = [MaybeUninit::uninit(); 16 << 10];
        while rest.bytes < REST_BYTES_MAX && rest.end.as_mut().poll(context).is_pending() {
            let mut buffer = ReadBuf::uninit(&mut room);
            let read = ready!(pin!(&mut self.stream).poll_read(context, &mut buffer));
            if read.is_err() || buffer.filled().is_empty() {
                break;
            }
            rest.bytes += buffer.filled().len();
        }
        Poll::Ready(())
    }

    /// An error if the client is gone while it is being answered, when nobody reads what it sends.
    fn look(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        if self.is_full || !self.link.is_answering() {
            return Ok(());
        }
        if self.gone.is_none() && !self.has_more {
            let mut room = [0];
            // Costs no system call while nothing comes.
            match self.stream.poll_peek(context, &mut ReadBuf::new(&mut room)) {
                Poll::Pending => {}
                Poll::Ready(Ok(0)) => self.gone = Some(Box::pin(sleep(BELIEF))),
                Poll::Ready(Ok(_)) => self.has_more = true,
                Poll::Ready(Err(error)) => return Err(error),
            }
        }
        let is_gone = |gone: &mut Pin<Box<Sleep>>| gone.as_mut().poll(context).is_ready();
        match self.gone.as_mut().is_some_and(is_gone) {
            true => Err(io::ErrorKind::ConnectionReset.into()),
            false => Ok(()),
        }
    }

    /// The stream was asked to write.
    fn wrote(&mut self, wrote: &Poll<io::Result<usize>>) {
        self.is_full = wrote.is_pending();
        self.link.writes(self.is_full);
        if let (Poll::Ready(Ok(_)), Some(gone)) = (wrote, &mut self.gone) {
            gone.as_mut().reset(Instant::now() + BELIEF);
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.has_more = false;
        pin!(&mut this.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let wrote = pin!(&mut this.stream).poll_write(context, bytes);
        this.wrote(&wrote);
        wrote
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let wrote = pin!(&mut this.stream).poll_write_vectored(context, bytes);
        this.wrote(&wrote);
        wrote
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.look(context)?;
        pin!(&mut this.stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.rest.is_none() {
            ready!(pin!(&mut this.stream).poll_shutdown(context))?;
            this.rest = Some(Rest {
                bytes: 0,
                end: Box::pin(sleep(REST_TIME)),
            });
        }
        this.poll_rest(context).map(Ok)
    }
}
