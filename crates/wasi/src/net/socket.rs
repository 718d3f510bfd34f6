//! A socket of the operating system that can be waited for, and the options that TCP and UDP share.
//!
//! Guarantees: no call of the system here ever waits; whether a socket is ready is asked of the
//! system, and Tokio is used for waiting alone, so a guest that polls without waiting sees the truth
//! on any runtime.

use super::{ErrorCode, IpFamily};
use crate::runtime;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::{SocketFlags, SocketType, socket_with, sockopt};
use std::io;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// A new socket, of one version of IP only.
pub(super) fn new(family: IpFamily, kind: SocketType) -> Result<OwnedFd, ErrorCode> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let fd = socket_with(family.os(), kind, flags, None)?;
    if family == IpFamily::V6 {
        sockopt::set_ipv6_v6only(&fd, true)?;
    }
    Ok(fd)
}

/// A socket that is registered to be waited for.
#[derive(Debug)]
pub(super) struct Registered(AsyncFd<OwnedFd>);

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Want {
    Read,
    Write,
}

impl Registered {
    pub(super) fn new(fd: OwnedFd) -> Result<Registered, ErrorCode> {
        #[expect(
            deprecated,
            reason = "its successor asks for a promise that an owned descriptor keeps by itself"
        )]
        let fd = runtime::inside(|| AsyncFd::new(fd))??;
        Ok(Registered(fd))
    }

    /// Whether something can be read or written, an end or an error included.
    pub(super) fn is_ready(&self, want: Want) -> bool {
        let flags = match want {
            Want::Read => PollFlags::IN | PollFlags::RDHUP,
            Want::Write => PollFlags::OUT,
        };
        let mut fds = [PollFd::new(self.0.get_ref(), flags)];
        let now = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        // An error here is met again by whoever reads or writes.
        poll(&mut fds, Some(&now)).map_or(true, |count| count > 0)
    }

    /// Waits until [`is_ready`](Self::is_ready).
    pub(super) async fn ready(&self, want: Want) {
        let interest = match want {
            Want::Read => Interest::READABLE,
            Want::Write => Interest::WRITABLE,
        };
        if self.is_ready(want) {
            return;
        }
        let waiting = async {
            while let Ok(mut guard) = self.0.ready(interest).await {
                // What Tokio believes is forgotten only if the system says otherwise after it was set.
                let now = guard.try_io(|_| match self.is_ready(want) {
                    true => Ok(()),
                    false => Err(io::ErrorKind::WouldBlock.into()),
                });
                if now.is_ok() {
                    return;
                }
            }
        };
        runtime::patiently(waiting).await;
    }
}

impl AsFd for Registered {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.get_ref().as_fd()
    }
}

pub(super) fn hop_limit(fd: BorrowedFd<'_>, family: IpFamily) -> Result<u8, ErrorCode> {
    Ok(match family {
        IpFamily::V4 => u8::try_from(sockopt::ip_ttl(fd)?).unwrap_or(u8::MAX),
        IpFamily::V6 => sockopt::ipv6_unicast_hops(fd)?,
    })
}

pub(super) fn set_hop_limit(fd: BorrowedFd<'_>, family: IpFamily, hops: u8) -> Result<(), ErrorCode> {
    if hops == 0 {
        return Err(ErrorCode::InvalidArgument);
    }
    match family {
        IpFamily::V4 => sockopt::set_ip_ttl(fd, hops.into())?,
        IpFamily::V6 => sockopt::set_ipv6_unicast_hops(fd, Some(hops))?,
    }
    Ok(())
}

/// A buffer of the system, whose size is an advice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Buffer {
    Receive,
    Send,
}

impl Buffer {
    pub(super) fn bytes(self, fd: BorrowedFd<'_>) -> Result<u64, ErrorCode> {
        let doubled = match self {
            Buffer::Receive => sockopt::socket_recv_buffer_size(fd)?,
            Buffer::Send => sockopt::socket_send_buffer_size(fd)?,
        };
        // Linux counts its own bookkeeping: what was set comes back twice as large (socket(7)).
        Ok(doubled as u64 / 2)
    }

    pub(super) fn set_bytes(self, fd: BorrowedFd<'_>, bytes: u64) -> Result<(), ErrorCode> {
        if bytes == 0 {
            return Err(ErrorCode::InvalidArgument);
        }
        // The system halves what is too much by itself; it takes no more than half an `int`.
        let bytes = usize::try_from(bytes)
            .unwrap_or(usize::MAX)
            .min(i32::MAX as usize / 2);
        let set = match self {
            Buffer::Receive => sockopt::set_socket_recv_buffer_size(fd, bytes),
            Buffer::Send => sockopt::set_socket_send_buffer_size(fd, bytes),
        };
        match set {
            Ok(()) | Err(Errno::NOBUFS) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }
}
