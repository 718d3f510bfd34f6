//! The decision whether a guest may do something in the network.
//!
//! Guarantees: nothing is allowed that was not granted; the question is asked before any system call
//! that would reach the resource; whoever is denied is told what to grant, under the log target
//! `cellwall`.

use super::grants::{ConnectGrant, Hosts, HttpGrant, ListenGrant};
use super::{ErrorCode, lookup};
use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What an address is about to be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SocketAddrUse {
    /// A TCP socket is bound to it; for a socket that the system binds by itself, any address and
    /// port 0.
    TcpBind,
    /// A TCP socket bound to it waits for connections.
    TcpListen,
    /// A connection from it is about to be accepted.
    TcpAccept,
    /// A TCP socket is connected to it.
    TcpConnect,
    /// A UDP socket is bound to it, as for TCP.
    UdpBind,
    /// A datagram is sent to it.
    UdpSend,
    /// A datagram came from it.
    UdpReceive,
}

/// What a check of the embedder returns.
pub type SocketAddrAnswer = Pin<Box<dyn Future<Output = bool> + Send + Sync>>;

type Check = dyn Fn(SocketAddr, SocketAddrUse) -> SocketAddrAnswer + Send + Sync;

/// Addresses of granted names that are remembered at once.
const LEARNED_MAX: usize = 4096;

/// What was granted, while it is collected and afterwards.
#[derive(Clone, Default)]
pub(crate) struct Policy {
    pub(crate) listen: Vec<ListenGrant>,
    pub(crate) connect: Vec<ConnectGrant>,
    pub(crate) http: Vec<HttpGrant>,
    /// Whether any name may be looked up; those of `connect` always may.
    pub(crate) lookup: bool,
    pub(crate) no_tcp: bool,
    pub(crate) no_udp: bool,
    /// Asked in place of `listen` and `connect`.
    pub(crate) check: Option<Arc<Check>>,
    pub(crate) learned: Learned,
    /// Whom HTTPS trusts, if not only the authorities that everybody trusts.
    #[cfg(feature = "http")]
    pub(crate) tls: Option<crate::http::Tls>,
}

/// For each address that a granted name was found to have, the grants, by index.
#[derive(Default)]
pub(crate) struct Learned(Mutex<BTreeMap<IpAddr, Vec<usize>>>);

/// A copy may get other grants, to which the indices mean nothing.
impl Clone for Learned {
    fn clone(&self) -> Learned {
        Learned::default()
    }
}

impl Learned {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<IpAddr, Vec<usize>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policy")
            .field("listen", &self.listen)
            .field("connect", &self.connect)
            .field("http", &self.http)
            .finish_non_exhaustive()
    }
}

/// Says what was denied and how to allow it.
fn denied(what: &str, grant: fmt::Arguments<'_>) -> ErrorCode {
    tracing::info!(target: "cellwall", grant = %grant, "denied: {what}");
    ErrorCode::AccessDenied
}

impl Policy {
    fn grants_sockets(&self) -> bool {
        self.check.is_some() || !self.listen.is_empty() || !self.connect.is_empty()
    }

    /// Whether there may be TCP sockets at all.
    pub(crate) fn check_tcp(&self) -> Result<(), ErrorCode> {
        match self.grants_sockets() && !self.no_tcp {
            true => Ok(()),
            false => Err(denied("a TCP socket", format_args!("--connect or --listen"))),
        }
    }

    /// Whether there may be UDP sockets at all.
    pub(crate) fn check_udp(&self) -> Result<(), ErrorCode> {
        match self.grants_sockets() && !self.no_udp {
            true => Ok(()),
            false => Err(denied("a UDP socket", format_args!("--connect or --listen"))),
        }
    }

    /// Whether the address may be used so.
    pub(crate) async fn check(&self, address: SocketAddr, using: SocketAddrUse) -> Result<(), ErrorCode> {
        if let Some(check) = &self.check {
            return match check(address, using).await {
                true => Ok(()),
                false => Err(denied("an address", format_args!("{using:?} {address}"))),
            };
        }
        use SocketAddrUse::{TcpAccept, TcpBind, TcpConnect, TcpListen, UdpBind, UdpReceive, UdpSend};
        match using {
            // What the system binds by itself is nobody's address before it is listened on.
            TcpBind | UdpBind if address.ip().is_unspecified() && address.port() == 0 => Ok(()),
            TcpBind | TcpListen | UdpBind => self.check_listen(address),
            // Whoever may listen may be reached.
            TcpAccept => Ok(()),
            UdpReceive if !self.listen.is_empty() => Ok(()),
            TcpConnect | UdpSend | UdpReceive => self.check_connect(address).await,
        }
    }

    fn check_listen(&self, local: SocketAddr) -> Result<(), ErrorCode> {
        match self.listen.iter().any(|grant| grant.covers(local)) {
            true => Ok(()),
            false => Err(denied("to listen", format_args!("--listen {local}"))),
        }
    }

    async fn check_connect(&self, remote: SocketAddr) -> Result<(), ErrorCode> {
        let by_address =
            |grant: &ConnectGrant| grant.hosts().has_address(remote.ip()) && grant.has_port(remote.port());
        if self.connect.iter().any(by_address) || self.knows(remote) {
            return Ok(());
        }
        // A granted name that was not looked up yet may have this address.
        for grant in self.connect.iter().filter(|grant| grant.has_port(remote.port())) {
            if let Hosts::Name(name) = grant.hosts()
                && let Ok(found) = lookup::addresses(name).await
            {
                self.learn(name, &found);
            }
        }
        match self.knows(remote) {
            true => Ok(()),
            false => Err(denied("to connect", format_args!("--connect {remote}"))),
        }
    }

    /// Whether a granted name has this address.
    fn knows(&self, remote: SocketAddr) -> bool {
        let learned = self.learned.lock();
        let grants = learned.get(&remote.ip().to_canonical());
        grants.is_some_and(|grants| grants.iter().any(|at| self.connect[*at].has_port(remote.port())))
    }

    /// Remembers the addresses of a name for the grants that have it.
    pub(crate) fn learn(&self, name: &str, addresses: &[IpAddr]) {
        let is_own = |grant: &ConnectGrant| match grant.hosts() {
            Hosts::Name(_) | Hosts::Below(_) => grant.hosts().has_name(name),
            Hosts::All | Hosts::Net(..) => false,
        };
        let grants = self.connect.iter().enumerate().filter(|(_, grant)| is_own(grant));
        let grants: Vec<usize> = grants.map(|(at, _)| at).collect();
        if grants.is_empty() {
            return;
        }
        let mut learned = self.learned.lock();
        for address in addresses {
            if learned.len() >= LEARNED_MAX {
                learned.pop_first();
            }
            let known = learned.entry(address.to_canonical()).or_default();
            known.extend(
                grants
                    .iter()
                    .filter(|at| !known.contains(at))
                    .copied()
                    .collect::<Vec<_>>(),
            );
        }
    }

    /// Whether the name may be looked up.
    pub(crate) fn check_lookup(&self, name: &str) -> Result<(), ErrorCode> {
        match self.lookup || self.connect.iter().any(|grant| grant.hosts().has_name(name)) {
            true => Ok(()),
            false => Err(denied(
                "to look up a name",
                format_args!("--dns or --connect {name}"),
            )),
        }
    }

    /// Whether HTTP requests may be sent to this host and port.
    #[cfg(feature = "http")]
    pub(crate) fn allows_http(&self, host: &str, port: u16) -> bool {
        let allowed = self.http.iter().any(|grant| grant.covers(host, port));
        if !allowed {
            denied("an HTTP request", format_args!("--http {host}:{port}"));
        }
        allowed
    }
}
