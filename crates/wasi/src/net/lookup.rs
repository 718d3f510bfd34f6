//! Addresses of names: `wasi:sockets/ip-name-lookup`.
//!
//! Guarantees: an address written as a name is answered without asking anybody; a name that may not
//! be looked up is refused before the resolver hears of it.
//! Does not do: names with letters beyond ASCII (write them in their `xn--` form).

use super::{ErrorCode, grants, policy::Policy};
use crate::runtime;
use std::collections::VecDeque;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

/// The addresses that the system's resolver knows for the name.
pub(crate) async fn addresses(name: &str) -> Result<Vec<IpAddr>, ErrorCode> {
    let name = name.to_owned();
    let found = runtime::spawn(async move {
        let found = tokio::net::lookup_host((name.as_str(), 0)).await;
        found.map(|found| {
            found
                .map(|address| address.ip().to_canonical())
                .collect::<Vec<_>>()
        })
    })?;
    match found.await {
        Ok(mut found) => {
            // One resolver answers per kind of socket, hence twice.
            let mut seen = Vec::with_capacity(found.len());
            found.retain(|address| {
                !seen.contains(address) && {
                    seen.push(*address);
                    true
                }
            });
            match found.is_empty() {
                true => Err(ErrorCode::NameUnresolvable),
                false => Ok(found),
            }
        }
        Err(error) => Err(code(&error)),
    }
}

/// `getaddrinfo` tells why only in words.
fn code(error: &std::io::Error) -> ErrorCode {
    let text = error.to_string();
    match text {
        _ if text.contains("Temporary failure") => ErrorCode::TemporaryResolverFailure,
        _ if text.contains("Non-recoverable") => ErrorCode::PermanentResolverFailure,
        _ => ErrorCode::NameUnresolvable,
    }
}

/// What a guest asks: an address as text, or a name.
enum Question {
    Address(IpAddr),
    Name(String),
}

fn parse(name: &str) -> Result<Question, ErrorCode> {
    let inner = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
    let address = match inner {
        Some(inner) => inner.parse::<Ipv6Addr>().map(IpAddr::V6),
        None => name.parse(),
    };
    if let Ok(address) = address {
        return Ok(Question::Address(address));
    }
    match grants::is_name(name) {
        true => Ok(Question::Name(name.to_owned())),
        false => Err(ErrorCode::InvalidArgument),
    }
}

type Found = Result<VecDeque<IpAddr>, ErrorCode>;

/// The answer to a look-up, while it is waited for and read: `resolve-address-stream`.
#[derive(Debug)]
pub(crate) enum ResolveAddressStream {
    Waiting(runtime::Task<Found>),
    Found(Found),
}

impl ResolveAddressStream {
    /// Begins to look up a name.
    ///
    /// # Errors
    /// It is no name, or may not be looked up.
    pub(crate) fn start(policy: &Arc<Policy>, name: &str) -> Result<ResolveAddressStream, ErrorCode> {
        let name = match parse(name)? {
            Question::Address(address) => return Ok(ResolveAddressStream::Found(Ok([address].into()))),
            Question::Name(name) => name,
        };
        policy.check_lookup(&name)?;
        let policy = policy.clone();
        let work = runtime::spawn(async move {
            let found = addresses(&name).await?;
            policy.learn(&name, &found);
            Ok(found.into())
        })?;
        Ok(ResolveAddressStream::Waiting(work))
    }

    /// The next address, or nothing after the last.
    ///
    /// # Errors
    /// `would-block` while it is not known; otherwise why there is none.
    pub(crate) fn next(&mut self) -> Result<Option<IpAddr>, ErrorCode> {
        if let ResolveAddressStream::Waiting(task) = self {
            match task.take() {
                None => return Err(ErrorCode::WouldBlock),
                Some(found) => *self = ResolveAddressStream::Found(found),
            }
        }
        match self {
            ResolveAddressStream::Found(Ok(rest)) => Ok(rest.pop_front()),
            ResolveAddressStream::Found(Err(code)) => Err(*code),
            ResolveAddressStream::Waiting(_) => Err(ErrorCode::WouldBlock),
        }
    }

    /// Waits until [`next`](Self::next) would not block.
    pub(crate) async fn ready(&mut self) {
        if let ResolveAddressStream::Waiting(task) = self {
            let found = task.await;
            *self = ResolveAddressStream::Found(found);
        }
    }
}
