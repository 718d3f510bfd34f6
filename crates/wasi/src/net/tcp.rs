//! TCP sockets: `wasi:sockets/tcp`, as the states of one socket.
//!
//! Guarantees: each operation is allowed in the states that the interface names, and answers its
//! error code in the others; the grants are asked before the first system call for an address.
//! Does not do: reading and writing, which is in `tcp_streams`.

use super::ErrorCode;
use super::address::{IpFamily, check_unicast};
use super::policy::{Policy, SocketAddrUse};
use super::socket::{self, Buffer, Registered, Want};
use super::tcp_streams::{Connection, TcpReader, TcpWriter};
use crate::p2::Slot;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::{self as os, SocketFlags, SocketType, sockopt};
use std::net::{Shutdown, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

/// Connections that wait for `accept` unless the guest says otherwise.
const BACKLOG: u32 = 128;

/// Attempts to accept that end for others' sake before the guest is told to wait.
const ACCEPTS_MAX: usize = 64;

/// The reader and the writer of a connection.
pub(crate) type TcpStreams = (TcpReader, TcpWriter);

#[derive(Debug)]
enum State {
    Unbound(OwnedFd),
    BindStarted(OwnedFd),
    Bound(OwnedFd),
    ListenStarted(Registered),
    Listening(Registered),
    Connecting(Registered),
    /// The attempt failed at once, which `finish-connect` is to say.
    Refused(ErrorCode),
    Connected(Arc<Connection>),
    /// A system call for the next state failed; what is left answers `invalid-state`.
    Failed,
}

/// A TCP socket of a guest.
#[derive(Debug)]
pub(crate) struct TcpSocket {
    state: State,
    family: IpFamily,
    policy: Arc<Policy>,
    backlog: u32,
    /// Set on accepted sockets, which do not inherit it from a listening one.
    hop_limit: Option<u8>,
    keep_idle: Option<Duration>,
    /// Its place among the sockets of the guest.
    slot: Option<Arc<Slot>>,
}

impl TcpSocket {
    /// A socket that is not bound.
    ///
    /// # Errors
    /// `access-denied` if nothing was granted that a socket is good for.
    pub(crate) fn new(policy: Arc<Policy>, family: IpFamily) -> Result<TcpSocket, ErrorCode> {
        policy.check_tcp()?;
        let fd = socket::new(family, SocketType::STREAM)?;
        Ok(TcpSocket::with(State::Unbound(fd), policy, family))
    }

    fn with(state: State, policy: Arc<Policy>, family: IpFamily) -> TcpSocket {
        TcpSocket {
            state,
            family,
            policy,
            backlog: BACKLOG,
            hop_limit: None,
            keep_idle: None,
            slot: None,
        }
    }

    /// Takes a place among the sockets of the guest, until the last of its bytes are sent.
    pub(crate) fn hold(&mut self, slot: Slot) {
        self.slot = Some(Arc::new(slot));
        self.share_slot();
    }

    fn share_slot(&self) {
        if let (State::Connected(connection), Some(slot)) = (&self.state, &self.slot) {
            connection.hold(slot.clone());
        }
    }

    fn take(&mut self) -> State {
        std::mem::replace(&mut self.state, State::Failed)
    }

    fn fd(&self) -> Result<BorrowedFd<'_>, ErrorCode> {
        match &self.state {
            State::Unbound(fd) | State::BindStarted(fd) | State::Bound(fd) => Ok(fd.as_fd()),
            State::ListenStarted(io) | State::Listening(io) | State::Connecting(io) => Ok(io.as_fd()),
            State::Connected(connection) => Ok(connection.io().as_fd()),
            State::Refused(_) | State::Failed => Err(ErrorCode::InvalidState),
        }
    }

    pub(crate) async fn start_bind(&mut self, local: SocketAddr) -> Result<(), ErrorCode> {
        let fd = match &self.state {
            State::Unbound(fd) => fd,
            State::BindStarted(_) => return Err(ErrorCode::ConcurrencyConflict),
            _ => return Err(self.not_in_this_state()),
        };
        self.family.check(local.ip())?;
        check_unicast(local.ip())?;
        self.policy.check(local, SocketAddrUse::TcpBind).await?;
        // Or a server could not start again for minutes after it ended. A live one is not disturbed.
        sockopt::set_socket_reuseaddr(fd, local.port() != 0)?;
        os::bind(fd, &local)?;
        // Also of a port that the kernel chose: who knows it may want it again.
        sockopt::set_socket_reuseaddr(fd, true)?;
        if let State::Unbound(fd) = self.take() {
            self.state = State::BindStarted(fd);
        }
        Ok(())
    }

    pub(crate) fn finish_bind(&mut self) -> Result<(), ErrorCode> {
        match self.take() {
            State::BindStarted(fd) => self.state = State::Bound(fd),
            other => {
                self.state = other;
                return Err(ErrorCode::NotInProgress);
            }
        }
        Ok(())
    }

    /// What an operation answers that this state does not have.
    fn not_in_this_state(&self) -> ErrorCode {
        match self.state {
            State::BindStarted(_) | State::ListenStarted(_) | State::Connecting(_) | State::Refused(_) => {
                ErrorCode::ConcurrencyConflict
            }
            _ => ErrorCode::InvalidState,
        }
    }

    pub(crate) async fn start_connect(&mut self, remote: SocketAddr) -> Result<(), ErrorCode> {
        let is_bound = match &self.state {
            State::Unbound(_) => false,
            State::Bound(_) => true,
            _ => return Err(self.not_in_this_state()),
        };
        self.family.check_remote(remote)?;
        check_unicast(remote.ip())?;
        if !is_bound {
            self.policy
                .check(self.family.any(), SocketAddrUse::TcpBind)
                .await?;
        }
        self.policy.check(remote, SocketAddrUse::TcpConnect).await?;
        let (State::Unbound(fd) | State::Bound(fd)) = self.take() else {
            unreachable!("looked at above");
        };
        // Registered only now: before, the system calls a socket hung up.
        self.state = match os::connect(&fd, &remote) {
            Ok(()) | Err(Errno::INPROGRESS) => State::Connecting(Registered::new(fd)?),
            Err(errno) => State::Refused(connect_error(errno)),
        };
        Ok(())
    }

    pub(crate) fn finish_connect(&mut self) -> Result<TcpStreams, ErrorCode> {
        match &self.state {
            State::Connecting(io) if io.is_ready(Want::Write) => {}
            State::Connecting(_) => return Err(ErrorCode::WouldBlock),
            State::Refused(code) => {
                let code = *code;
                self.state = State::Failed;
                return Err(code);
            }
            _ => return Err(ErrorCode::NotInProgress),
        }
        let State::Connecting(io) = self.take() else {
            unreachable!("looked at above");
        };
        sockopt::socket_error(&io)?.map_err(connect_error)?;
        let (state, streams) = connected(io);
        self.state = state;
        self.share_slot();
        Ok(streams)
    }

    pub(crate) async fn start_listen(&mut self) -> Result<(), ErrorCode> {
        let State::Bound(fd) = &self.state else {
            return Err(self.not_in_this_state());
        };
        let local = local_address(fd.as_fd())?;
        self.policy.check(local, SocketAddrUse::TcpListen).await?;
        os::listen(fd, backlog(self.backlog))?;
        if let State::Bound(fd) = self.take() {
            self.state = State::ListenStarted(Registered::new(fd)?);
        }
        Ok(())
    }

    pub(crate) fn finish_listen(&mut self) -> Result<(), ErrorCode> {
        match self.take() {
            State::ListenStarted(io) => self.state = State::Listening(io),
            other => {
                self.state = other;
                return Err(ErrorCode::NotInProgress);
            }
        }
        Ok(())
    }

    pub(crate) async fn accept(&mut self) -> Result<(TcpSocket, TcpStreams), ErrorCode> {
        let State::Listening(io) = &self.state else {
            return Err(ErrorCode::InvalidState);
        };
        for _ in 0..ACCEPTS_MAX {
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            let (fd, remote) = match os::acceptfrom_with(io, flags) {
                Ok(accepted) => accepted,
                // The other side went away while it waited: the guest has not missed anything.
                Err(
                    Errno::CONNABORTED
                    | Errno::CONNRESET
                    | Errno::INTR
                    | Errno::PROTO
                    | Errno::NETDOWN
                    | Errno::HOSTUNREACH
                    | Errno::NETUNREACH,
                ) => continue,
                Err(errno) => return Err(errno.into()),
            };
            let remote = remote.and_then(|address| SocketAddr::try_from(address).ok());
            let remote = remote.ok_or(ErrorCode::Unknown)?;
            if self.policy.check(remote, SocketAddrUse::TcpAccept).await.is_err() {
                // The other side hears a reset, not the silence of an open connection.
                let _ = sockopt::set_socket_linger(&fd, Some(Duration::ZERO));
                continue;
            }
            if let Some(hops) = self.hop_limit {
                socket::set_hop_limit(fd.as_fd(), self.family, hops)?;
            }
            if let Some(idle) = self.keep_idle {
                sockopt::set_tcp_keepidle(&fd, idle)?;
            }
            let (state, streams) = connected(Registered::new(fd)?);
            return Ok((TcpSocket::with(state, self.policy.clone(), self.family), streams));
        }
        Err(ErrorCode::WouldBlock)
    }

    /// Waits until the `finish-` operation or `accept` that is next would not block.
    pub(crate) async fn ready(&self) {
        match &self.state {
            State::Connecting(io) => io.ready(Want::Write).await,
            State::Listening(io) => io.ready(Want::Read).await,
            _ => {}
        }
    }

    pub(crate) fn shutdown(&mut self, how: Shutdown) -> Result<(), ErrorCode> {
        let State::Connected(connection) = &self.state else {
            return Err(ErrorCode::InvalidState);
        };
        connection.shutdown(how);
        Ok(())
    }

    pub(crate) fn local_address(&self) -> Result<SocketAddr, ErrorCode> {
        match &self.state {
            State::Unbound(_) | State::BindStarted(_) => Err(ErrorCode::InvalidState),
            _ => local_address(self.fd()?),
        }
    }

    pub(crate) fn remote_address(&self) -> Result<SocketAddr, ErrorCode> {
        let State::Connected(connection) = &self.state else {
            return Err(ErrorCode::InvalidState);
        };
        let remote = os::getpeername(connection.io())?.and_then(|address| SocketAddr::try_from(address).ok());
        remote.ok_or(ErrorCode::InvalidState)
    }

    pub(crate) fn is_listening(&self) -> bool {
        matches!(self.state, State::Listening(_))
    }

    pub(crate) fn family(&self) -> IpFamily {
        self.family
    }

    pub(crate) fn set_backlog(&mut self, count: u64) -> Result<(), ErrorCode> {
        if count == 0 {
            return Err(ErrorCode::InvalidArgument);
        }
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        match &self.state {
            State::Unbound(_) | State::BindStarted(_) | State::Bound(_) => {}
            State::ListenStarted(io) | State::Listening(io) => os::listen(io, backlog(count))?,
            _ => return Err(ErrorCode::InvalidState),
        }
        self.backlog = count;
        Ok(())
    }

    pub(crate) fn keep_alive(&self) -> Result<bool, ErrorCode> {
        Ok(sockopt::socket_keepalive(self.fd()?)?)
    }

    pub(crate) fn set_keep_alive(&self, enabled: bool) -> Result<(), ErrorCode> {
        Ok(sockopt::set_socket_keepalive(self.fd()?, enabled)?)
    }

    pub(crate) fn keep_alive_idle(&self) -> Result<u64, ErrorCode> {
        Ok(nanos(sockopt::tcp_keepidle(self.fd()?)?))
    }

    pub(crate) fn set_keep_alive_idle(&mut self, nanos: u64) -> Result<(), ErrorCode> {
        let idle = keep_alive_time(nanos)?;
        sockopt::set_tcp_keepidle(self.fd()?, idle)?;
        self.keep_idle = Some(idle);
        Ok(())
    }

    pub(crate) fn keep_alive_interval(&self) -> Result<u64, ErrorCode> {
        Ok(nanos(sockopt::tcp_keepintvl(self.fd()?)?))
    }

    pub(crate) fn set_keep_alive_interval(&self, nanos: u64) -> Result<(), ErrorCode> {
        Ok(sockopt::set_tcp_keepintvl(self.fd()?, keep_alive_time(nanos)?)?)
    }

    pub(crate) fn keep_alive_count(&self) -> Result<u32, ErrorCode> {
        Ok(sockopt::tcp_keepcnt(self.fd()?)?)
    }

    pub(crate) fn set_keep_alive_count(&self, count: u32) -> Result<(), ErrorCode> {
        match count {
            0 => Err(ErrorCode::InvalidArgument),
            _ => Ok(sockopt::set_tcp_keepcnt(
                self.fd()?,
                count.min(KEEP_ALIVE_COUNT_MAX),
            )?),
        }
    }

    pub(crate) fn hop_limit(&self) -> Result<u8, ErrorCode> {
        socket::hop_limit(self.fd()?, self.family)
    }

    pub(crate) fn set_hop_limit(&mut self, hops: u8) -> Result<(), ErrorCode> {
        socket::set_hop_limit(self.fd()?, self.family, hops)?;
        self.hop_limit = Some(hops);
        Ok(())
    }

    pub(crate) fn buffer(&self, which: Buffer) -> Result<u64, ErrorCode> {
        which.bytes(self.fd()?)
    }

    pub(crate) fn set_buffer(&self, which: Buffer, bytes: u64) -> Result<(), ErrorCode> {
        which.set_bytes(self.fd()?, bytes)
    }
}

fn connected(io: Registered) -> (State, TcpStreams) {
    // What a guest writes is on its way when it was written: small writes do not wait for an answer.
    let _ = sockopt::set_tcp_nodelay(&io, true);
    let connection = Arc::new(Connection::new(io));
    let streams = (
        TcpReader::new(connection.clone()),
        TcpWriter::new(connection.clone()),
    );
    (State::Connected(connection), streams)
}

fn local_address(fd: BorrowedFd<'_>) -> Result<SocketAddr, ErrorCode> {
    let local = SocketAddr::try_from(os::getsockname(fd)?);
    local.map_err(|_| ErrorCode::InvalidState)
}

/// A connection attempt has errors of its own (connect(2)).
fn connect_error(errno: Errno) -> ErrorCode {
    match errno {
        // All ports that this machine could use for it are taken.
        Errno::ADDRNOTAVAIL | Errno::AGAIN => ErrorCode::AddressInUse,
        Errno::AFNOSUPPORT => ErrorCode::InvalidArgument,
        errno => errno.into(),
    }
}

fn backlog(count: u32) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

/// Linux takes probes up to this number, and times up to this many seconds (tcp(7)).
const KEEP_ALIVE_COUNT_MAX: u32 = 127;
const KEEP_ALIVE_SECONDS_MAX: u64 = 32767;

/// Linux counts whole seconds: from 1.
fn keep_alive_time(nanos: u64) -> Result<Duration, ErrorCode> {
    match nanos {
        0 => Err(ErrorCode::InvalidArgument),
        _ => Ok(Duration::from_secs(
            nanos.div_ceil(1_000_000_000).clamp(1, KEEP_ALIVE_SECONDS_MAX),
        )),
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
