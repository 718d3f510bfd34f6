//! A connection whose client must begin to speak in time.
//!
//! Guarantees: a client that sends nothing, or only a part of the preface of HTTP/2, is cut off. As soon as the
//! version is known, reads are those of the stream: the head of a request has a limit of its own.

use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// With which a client begins to speak HTTP/2 (RFC 9113, 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A stream and how long to wait for its beginning.
pub(super) struct Patient<S> {
    stream: S,
    /// Bytes of the preface that came.
    seen: usize,
    /// None once the version is known.
    late: Option<Pin<Box<Sleep>>>,
}

impl<S> Patient<S> {
    pub(super) fn new(stream: S, time: Duration) -> Patient<S> {
        Patient {
            stream,
            seen: 0,
            late: Some(Box::pin(tokio::time::sleep(time))),
        }
    }

    /// Looks at what came, and at the end whether there is anything more to wait for.
    fn look(&mut self, bytes: &[u8]) {
        let rest = &PREFACE[self.seen..];
        match rest.len() > bytes.len() && rest.starts_with(bytes) && !bytes.is_empty() {
            true => self.seen += bytes.len(),
            false => self.late = None,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let read = pin!(&mut this.stream).poll_read(context, buffer);
        match (&read, &mut this.late) {
            (_, None) => {}
            (Poll::Ready(_), Some(_)) => this.look(&buffer.filled()[before..]),
            (Poll::Pending, Some(late)) => {
                if late.as_mut().poll(context).is_ready() {
                    return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
                }
            }
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        pin!(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        pin!(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        pin!(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        pin!(&mut self.stream).poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    /// A client that has sent this and sends nothing more; what a second read after the time gives.
    fn silent_after(sent: &[&[u8]]) -> Poll<io::Result<()>> {
        struct Client<'a>(std::slice::Iter<'a, &'a [u8]>);

        impl AsyncRead for Client<'_> {
            fn poll_read(
                mut self: Pin<&mut Self>,
                _: &mut Context<'_>,
                buffer: &mut ReadBuf<'_>,
            ) -> Poll<io::Result<()>> {
                let Some(bytes) = self.0.next() else {
                    return Poll::Pending;
                };
                buffer.put_slice(bytes);
                Poll::Ready(Ok(()))
            }
        }

        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build();
        runtime.unwrap().block_on(async {
            let mut patient = Patient::new(Client(sent.iter()), Duration::ZERO);
            let mut context = Context::from_waker(Waker::noop());
            let mut room = [0; 64];
            for _ in sent {
                let read = Pin::new(&mut patient).poll_read(&mut context, &mut ReadBuf::new(&mut room));
                assert!(matches!(read, Poll::Ready(Ok(()))));
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
            Pin::new(&mut patient).poll_read(&mut context, &mut ReadBuf::new(&mut room))
        })
    }

    #[test]
    fn a_client_is_awaited_until_it_speaks() {
        for sent in [
            &[][..],
            &[&b"PRI *"[..]],
            &[b"PRI", b" * HTTP/2.0\r\n\r\nSM\r\n\r"],
        ] {
            let read = silent_after(sent);
            assert!(
                matches!(&read, Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::TimedOut),
                "{sent:?}: {read:?}"
            );
        }
        for sent in [
            &[&b"GET"[..]][..],
            &[b"P", b"OST"],
            &[b"PRI * HTTP/2.0\r\n\r\n", b"SM\r\n\r\n"],
        ] {
            assert!(silent_after(sent).is_pending(), "{sent:?}");
        }
    }
}
