//! Addresses of names: `wasi:sockets/ip-name-lookup`.
//!
//! Guarantees: an address written as a name is answered without asking anybody; a name that may not
//! be looked up is refused before the resolver hears of it; whatever guests ask, few threads wait for the
//! resolver at a time, and who is not waiting for an answer any more has no place in the queue. A name with
//! letters beyond ASCII is looked up, and compared with grants, in its `xn--` form.

use super::{ErrorCode, grants, policy::Policy};
use crate::runtime::{self, AbortOnDrop};
use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use tokio::sync::{Semaphore, SemaphorePermit};

/// Questions that the resolver has at a time, each of which keeps a thread of the runtime that guests may
/// need.
const LOOKUPS_MAX: usize = 8;

/// Bytes of a name before it is brought into ASCII.
const UNICODE_NAME_BYTES_MAX: usize = 1024;

static LOOKUPS: Semaphore = Semaphore::const_new(LOOKUPS_MAX);

/// What the system's resolver says, which may take long.
pub(crate) async fn resolve(host: String, port: u16) -> io::Result<Vec<SocketAddr>> {
    let place: SemaphorePermit<'static> = LOOKUPS.acquire().await.expect("it is never closed");
    let work = tokio::task::spawn_blocking(move || {
        let found = (host.as_str(), port).to_socket_addrs();
        // Nobody can stop the resolver: the place is taken until it answers.
        drop(place);
        found.map(Iterator::collect)
    });
    work.await.map_err(io::Error::other)?
}

/// The addresses that the system's resolver knows for the name.
pub(crate) async fn addresses(name: &str) -> Result<Vec<IpAddr>, ErrorCode> {
    let name = name.to_owned();
    let found = runtime::spawn(async move {
        let found = resolve(name, 0).await?;
        let found = found.iter().map(|address| address.ip().to_canonical());
        Ok::<_, io::Error>(found.collect::<Vec<_>>())
    })?;
    let mut found = AbortOnDrop(found);
    match (&mut found.0).await {
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
    // The longest that may become a name: more is not worth the work.
    if name.len() > UNICODE_NAME_BYTES_MAX {
        return Err(ErrorCode::InvalidArgument);
    }
    let name = match name.is_ascii() {
        true => name.to_owned(),
        false => idna::domain_to_ascii(name).map_err(|_| ErrorCode::InvalidArgument)?,
    };
    match grants::is_name(&name) {
        true => Ok(Question::Name(name)),
        false => Err(ErrorCode::InvalidArgument),
    }
}

type Found = Result<VecDeque<IpAddr>, ErrorCode>;

/// The answer to a look-up, while it is waited for and read: `resolve-address-stream`.
#[derive(Debug)]
pub(crate) enum ResolveAddressStream {
    Waiting(AbortOnDrop<Found>),
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
        Ok(ResolveAddressStream::Waiting(AbortOnDrop(work)))
    }

    /// The next address, or nothing after the last.
    ///
    /// # Errors
    /// `would-block` while it is not known; otherwise why there is none.
    pub(crate) fn next(&mut self) -> Result<Option<IpAddr>, ErrorCode> {
        if let ResolveAddressStream::Waiting(task) = self {
            match task.0.take() {
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
            let found = (&mut task.0).await;
            *self = ResolveAddressStream::Found(found);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_beyond_ascii_have_a_form_in_it() {
        let name = |text: &str| match parse(text) {
            Ok(Question::Name(name)) => Ok(name),
            Ok(Question::Address(address)) => panic!("{address}"),
            Err(code) => Err(code),
        };
        assert_eq!(name("münchen.de").as_deref(), Ok("xn--mnchen-3ya.de"));
        assert_eq!(name("MÜNCHEN.de.").as_deref(), Ok("xn--mnchen-3ya.de."));
        assert_eq!(name("localhost").as_deref(), Ok("localhost"));
        let long = "ü".repeat(UNICODE_NAME_BYTES_MAX);
        for text in ["", " ", "ü b", "ü<&>", "\u{ad}", "ü:80", &long] {
            assert_eq!(name(text), Err(ErrorCode::InvalidArgument), "{text}");
        }
    }

    #[test]
    fn who_does_not_wait_any_more_is_not_looked_up() {
        let policy = Policy {
            lookup: true,
            ..Policy::default()
        };
        let policy = Arc::new(policy);
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all().build().unwrap().block_on(async {
            // The resolver has all that it may have.
            let places = LOOKUPS.acquire_many(LOOKUPS_MAX as u32).await.unwrap();
            let given_up = ResolveAddressStream::start(&policy, "localhost").unwrap();
            let mut waiting = ResolveAddressStream::start(&policy, "localhost").unwrap();
            let ResolveAddressStream::Waiting(work) = &given_up else {
                panic!("it needs no answer");
            };
            let work = work.0.abort_handle();
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
            assert!(!work.is_finished());
            assert_eq!(waiting.next(), Err(ErrorCode::WouldBlock));
            drop(given_up);
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
            assert!(work.is_finished(), "it has a place in the queue");
            drop(places);
            waiting.ready().await;
            assert!(waiting.next().unwrap().unwrap().is_loopback());
        });
    }
}
