//! UDP sockets and their streams of datagrams: `wasi:sockets/udp`.
//!
//! Guarantees: as for TCP, the grants are asked before a datagram is sent or handed to the guest; what
//! comes from others than the one that a stream is connected to is dropped.

use super::ErrorCode;
use super::address::IpFamily;
use super::policy::{Policy, SocketAddrUse};
use super::socket::{self, Buffer, Registered, Want};
use crate::p2::Slot;
use rustix::fd::AsFd;
use rustix::io::Errno;
use rustix::net::{self as os, RecvFlags, SendFlags, SocketType};
use std::net::SocketAddr;
use std::sync::Arc;

/// Bytes that one datagram can have, and a few that none can.
const DATAGRAM_BYTES_MAX: usize = 65_535;

/// Datagrams that are received or sent in one call.
const DATAGRAMS_MAX: usize = 16;

/// Datagrams that are looked at in one call.
const DATAGRAMS_SEEN_MAX: usize = 64;

/// Bytes after which no further datagram is received in one call.
const RECEIVE_BYTES_ENOUGH: usize = 64 << 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Unbound,
    BindStarted,
    Bound,
}

/// A UDP socket of a guest.
#[derive(Debug)]
pub(crate) struct UdpSocket {
    /// Also held by the streams.
    io: Arc<Registered>,
    state: State,
    family: IpFamily,
    policy: Arc<Policy>,
    remote: Option<SocketAddr>,
    /// Its place among the sockets of the guest.
    pub(crate) slot: Option<Slot>,
}

/// Why there are no streams.
#[derive(Debug)]
pub(crate) enum StreamFault {
    Code(ErrorCode),
    /// Those of before are still there, which the interface forbids.
    StreamsNotDropped,
}

impl From<ErrorCode> for StreamFault {
    fn from(code: ErrorCode) -> StreamFault {
        StreamFault::Code(code)
    }
}

impl UdpSocket {
    /// A socket that is not bound.
    ///
    /// # Errors
    /// `access-denied` if nothing was granted that a socket is good for.
    pub(crate) fn new(policy: Arc<Policy>, family: IpFamily) -> Result<UdpSocket, ErrorCode> {
        policy.check_udp()?;
        let fd = socket::new(family, SocketType::DGRAM)?;
        Ok(UdpSocket {
            io: Arc::new(Registered::new(fd)?),
            state: State::Unbound,
            family,
            policy,
            remote: None,
            slot: None,
        })
    }

    pub(crate) async fn start_bind(&mut self, local: SocketAddr) -> Result<(), ErrorCode> {
        match self.state {
            State::Unbound => {}
            State::BindStarted => return Err(ErrorCode::ConcurrencyConflict),
            State::Bound => return Err(ErrorCode::InvalidState),
        }
        self.family.check(local.ip())?;
        self.policy.check(local, SocketAddrUse::UdpBind).await?;
        os::bind(&self.io, &local)?;
        self.state = State::BindStarted;
        Ok(())
    }

    pub(crate) fn finish_bind(&mut self) -> Result<(), ErrorCode> {
        match self.state {
            State::BindStarted => self.state = State::Bound,
            State::Unbound | State::Bound => return Err(ErrorCode::NotInProgress),
        }
        Ok(())
    }

    /// Streams from and to one remote address, or all.
    pub(crate) async fn stream(
        &mut self,
        remote: Option<SocketAddr>,
    ) -> Result<(IncomingDatagrams, OutgoingDatagrams), StreamFault> {
        if Arc::strong_count(&self.io) > 1 {
            return Err(StreamFault::StreamsNotDropped);
        }
        if self.state != State::Bound {
            return Err(ErrorCode::InvalidState.into());
        }
        if let Some(remote) = remote {
            self.family.check_remote(remote)?;
            self.policy.check(remote, SocketAddrUse::UdpSend).await?;
            self.policy.check(remote, SocketAddrUse::UdpReceive).await?;
        }
        self.disconnect()?;
        if let Some(remote) = remote {
            os::connect(&self.io, &remote).map_err(|errno| match errno {
                Errno::AFNOSUPPORT => ErrorCode::InvalidArgument,
                errno => errno.into(),
            })?;
        }
        self.remote = remote;
        let incoming = IncomingDatagrams {
            io: self.io.clone(),
            policy: self.policy.clone(),
            remote,
            buffer: Vec::new(),
        };
        let outgoing = OutgoingDatagrams {
            io: self.io.clone(),
            policy: self.policy.clone(),
            family: self.family,
            remote,
            permitted: 0,
        };
        Ok((incoming, outgoing))
    }

    fn disconnect(&mut self) -> Result<(), ErrorCode> {
        if self.remote.take().is_none() {
            return Ok(());
        }
        let local = self.local_address()?;
        os::connect_unspec(&self.io)?;
        // With the connection, Linux forgets a port that it had chosen itself.
        if self.local_address().map_or(true, |now| now.port() == 0) {
            let any = SocketAddr::new(self.family.any().ip(), local.port());
            os::bind(&self.io, &any)?;
        }
        Ok(())
    }

    pub(crate) fn local_address(&self) -> Result<SocketAddr, ErrorCode> {
        if self.state != State::Bound {
            return Err(ErrorCode::InvalidState);
        }
        let local = SocketAddr::try_from(os::getsockname(&self.io)?);
        local.map_err(|_| ErrorCode::InvalidState)
    }

    pub(crate) fn remote_address(&self) -> Result<SocketAddr, ErrorCode> {
        self.remote.ok_or(ErrorCode::InvalidState)
    }

    pub(crate) fn family(&self) -> IpFamily {
        self.family
    }

    pub(crate) fn hop_limit(&self) -> Result<u8, ErrorCode> {
        socket::hop_limit(self.io.as_fd(), self.family)
    }

    pub(crate) fn set_hop_limit(&self, hops: u8) -> Result<(), ErrorCode> {
        socket::set_hop_limit(self.io.as_fd(), self.family, hops)
    }

    pub(crate) fn buffer(&self, which: Buffer) -> Result<u64, ErrorCode> {
        which.bytes(self.io.as_fd())
    }

    pub(crate) fn set_buffer(&self, which: Buffer, bytes: u64) -> Result<(), ErrorCode> {
        which.set_bytes(self.io.as_fd(), bytes)
    }
}

/// `incoming-datagram-stream`.
#[derive(Debug)]
pub(crate) struct IncomingDatagrams {
    io: Arc<Registered>,
    policy: Arc<Policy>,
    remote: Option<SocketAddr>,
    /// For one datagram; there once the first was received.
    buffer: Vec<u8>,
}

impl IncomingDatagrams {
    /// At most `count` datagrams, as many as are there.
    pub(crate) async fn receive(&mut self, count: u64) -> Result<Vec<(Vec<u8>, SocketAddr)>, ErrorCode> {
        let count = usize::try_from(count).unwrap_or(usize::MAX).min(DATAGRAMS_MAX);
        let mut received = Vec::new();
        let mut bytes = 0;
        // Those that are not for this stream do not keep the host, however many others send.
        for _ in 0..DATAGRAMS_SEEN_MAX {
            if received.len() == count || bytes >= RECEIVE_BYTES_ENOUGH {
                break;
            }
            match self.receive_one().await {
                Ok(None) => {}
                Ok(Some(datagram)) => {
                    bytes += datagram.0.len();
                    received.push(datagram);
                }
                Err(ErrorCode::WouldBlock) => break,
                Err(_) if !received.is_empty() => break,
                Err(code) => return Err(code),
            }
        }
        Ok(received)
    }

    /// The next datagram, or nothing if it was not for this stream.
    async fn receive_one(&mut self) -> Result<Option<(Vec<u8>, SocketAddr)>, ErrorCode> {
        self.buffer.resize(DATAGRAM_BYTES_MAX, 0);
        let (_, length, remote) = os::recvfrom(&self.io, &mut self.buffer[..], RecvFlags::empty())?;
        let remote = remote.and_then(|address| SocketAddr::try_from(address).ok());
        let Some(remote) = remote else {
            return Ok(None);
        };
        // One that was under way before the socket was connected comes from anywhere.
        let is_other = self.remote.is_some_and(|own| !same_end(own, remote));
        if is_other
            || self
                .policy
                .check(remote, SocketAddrUse::UdpReceive)
                .await
                .is_err()
        {
            return Ok(None);
        }
        let data = self.buffer[..length.min(DATAGRAM_BYTES_MAX)].to_vec();
        Ok(Some((data, remote)))
    }

    /// Waits until there is a datagram or an error.
    pub(crate) async fn ready(&self) {
        self.io.ready(Want::Read).await;
    }
}

/// Flow labels and scopes aside.
fn same_end(a: SocketAddr, b: SocketAddr) -> bool {
    a.ip() == b.ip() && a.port() == b.port()
}

/// `outgoing-datagram-stream`.
#[derive(Debug)]
pub(crate) struct OutgoingDatagrams {
    io: Arc<Registered>,
    policy: Arc<Policy>,
    family: IpFamily,
    remote: Option<SocketAddr>,
    permitted: usize,
}

impl OutgoingDatagrams {
    /// How many datagrams the next [`send`](Self::send) may be given.
    pub(crate) fn check_send(&mut self) -> u64 {
        self.permitted = match self.io.is_ready(Want::Write) {
            true => DATAGRAMS_MAX,
            false => 0,
        };
        self.permitted as u64
    }

    /// Sends datagrams in order and says how many were sent; nothing, if they are more than permitted.
    pub(crate) async fn send(
        &mut self,
        datagrams: &[(Vec<u8>, Option<SocketAddr>)],
    ) -> Option<Result<u64, ErrorCode>> {
        if datagrams.is_empty() {
            return Some(Ok(0));
        }
        if datagrams.len() > std::mem::take(&mut self.permitted) {
            return None;
        }
        let mut sent = 0;
        for (data, remote) in datagrams {
            match self.send_one(data, *remote).await {
                Ok(()) => sent += 1,
                Err(ErrorCode::WouldBlock) => break,
                Err(_) if sent > 0 => break,
                Err(code) => return Some(Err(code)),
            }
        }
        Some(Ok(sent))
    }

    async fn send_one(&self, data: &[u8], remote: Option<SocketAddr>) -> Result<(), ErrorCode> {
        if data.len() > DATAGRAM_BYTES_MAX {
            return Err(ErrorCode::DatagramTooLarge);
        }
        if let Some(remote) = remote {
            self.family.check_remote(remote)?;
        }
        let to = match (self.remote, remote) {
            (Some(own), Some(other)) if !same_end(own, other) => return Err(ErrorCode::InvalidArgument),
            (Some(own), _) => own,
            (None, Some(other)) => other,
            (None, None) => return Err(ErrorCode::InvalidArgument),
        };
        self.policy.check(to, SocketAddrUse::UdpSend).await?;
        let sent = match self.remote {
            Some(_) => os::send(&self.io, data, SendFlags::NOSIGNAL),
            None => os::sendto(&self.io, data, SendFlags::NOSIGNAL, &to),
        };
        sent.map(drop).map_err(ErrorCode::from)
    }

    /// Waits until a datagram may be sent.
    pub(crate) async fn ready(&self) {
        self.io.ready(Want::Write).await;
    }
}
