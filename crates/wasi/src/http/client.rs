//! Sending a guest's request: `wasi:http/outgoing-handler`.
//!
//! Guarantees: whether the request is granted is asked before its host's name is looked up; each
//! request has a connection of its own, so no guest meets another's; a response that is dropped ends
//! its connection. TLS trusts the certificate authorities of Mozilla's list, and those that the host
//! added.
//! Does not do: HTTP/2, redirects, proxies, cookies.

use super::error::HttpError;
use super::incoming::BoxBody;
use super::message::{IncomingResponse, OutgoingRequest, RequestOptions};
use crate::net::{self, Policy};
use crate::p2::{Pollable, Slot};
use crate::runtime::{self, AbortOnDrop};
use async_trait::async_trait;
use bytes::Bytes;
use http::uri::{Authority, Scheme, Uri};
use http::{HeaderValue, Request, Response, Version, header};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use std::fmt;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep, timeout};
use tokio_rustls::TlsConnector;

/// How long anything may take that the guest gave no time for.
const TIMEOUT: Duration = Duration::from_secs(600);

/// The longest that a timeout of a guest is taken for.
const TIMEOUT_MAX: Duration = Duration::from_secs(365 * 24 * 3600);

/// Who is trusted unless the host says otherwise.
static TLS: LazyLock<Tls> = LazyLock::new(|| Tls::trusting(known_roots()));

fn known_roots() -> RootCertStore {
    RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.into(),
    }
}

/// How connections with TLS are made.
#[derive(Clone)]
pub(crate) struct Tls(TlsConnector);

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

impl Tls {
    /// Trusts the authorities of some certificates too.
    ///
    /// # Errors
    /// It is not PEM, there is no certificate in it, or one that cannot be an authority's.
    pub(crate) fn also_trusting(pem: &[u8]) -> Result<Tls, CertificateError> {
        let mut roots = known_roots();
        let known = roots.len();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|error| CertificateError(error.to_string()))?;
            let added = roots.add(certificate);
            added.map_err(|error| CertificateError(error.to_string()))?;
        }
        match roots.len() > known {
            true => Ok(Tls::trusting(roots)),
            false => Err(CertificateError("no certificate in PEM".to_owned())),
        }
    }

    fn trusting(roots: RootCertStore) -> Tls {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring has the ciphers of TLS 1.2 and 1.3")
            .with_root_certificates(roots)
            .with_no_client_auth();
        Tls(TlsConnector::from(Arc::new(config)))
    }
}

/// Why certificates were not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateError(String);

impl fmt::Display for CertificateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "these are no certificates of authorities: {}", self.0)
    }
}

impl std::error::Error for CertificateError {}

/// `future-incoming-response`.
#[derive(Debug)]
pub struct FutureIncomingResponse(State);

#[derive(Debug)]
enum State {
    /// On its way.
    Waiting(AbortOnDrop<Result<IncomingResponse, HttpError>>),
    /// There, and not got.
    Ready(Result<IncomingResponse, HttpError>),
    /// Got.
    Taken,
}

/// What `future-incoming-response.get` answers.
pub(super) type Answer = Option<Result<Result<IncomingResponse, HttpError>, ()>>;

impl FutureIncomingResponse {
    pub(super) fn get(&mut self) -> Answer {
        match std::mem::replace(&mut self.0, State::Taken) {
            State::Waiting(mut task) => match task.0.take() {
                Some(result) => Some(Ok(result)),
                None => {
                    self.0 = State::Waiting(task);
                    None
                }
            },
            State::Ready(result) => Some(Ok(result)),
            State::Taken => Some(Err(())),
        }
    }
}

#[async_trait]
impl Pollable for FutureIncomingResponse {
    async fn ready(&mut self) {
        if let State::Waiting(task) = &mut self.0 {
            let result = (&mut task.0).await;
            self.0 = State::Ready(result);
        }
    }
}

/// Begins to send a request. `slot` is the place of its connection among the sockets of the guest.
///
/// # Errors
/// It is not granted, or cannot be sent by anybody.
pub(super) fn send(
    policy: &Policy,
    request: OutgoingRequest,
    options: RequestOptions,
    slot: Option<Slot>,
) -> Result<FutureIncomingResponse, HttpError> {
    let scheme = request.scheme.unwrap_or(Scheme::HTTPS);
    let is_tls = match scheme {
        _ if scheme == Scheme::HTTP => false,
        _ if scheme == Scheme::HTTPS => true,
        _ => return Err(HttpError::HttpProtocolError),
    };
    let authority = request.authority.ok_or(HttpError::HttpRequestUriInvalid)?;
    // What was never set is a mistake of the guest, not the root; as other hosts have it.
    let path = request.path.ok_or(HttpError::HttpRequestUriInvalid)?;
    let target = Target::of(&authority, is_tls)?;
    if !policy.allows_http(&target.host, target.port) {
        return Err(HttpError::HttpRequestDenied);
    }
    let tls = is_tls.then(|| policy.tls.clone().unwrap_or_else(|| TLS.clone()));
    let length = request.headers.content_length();
    let charged = request.headers.charged();
    if request.body.is_none() && length.is_some_and(|length| length > 0) {
        return Err(HttpError::HttpRequestBodySize(Some(0)));
    }
    let body: BoxBody = match request.body {
        Some(body) => Box::pin(body),
        None => Box::pin(Empty::new().map_err(|never| match never {})),
    };
    let mut message = Request::new(body);
    *message.method_mut() = request.method;
    *message.version_mut() = Version::HTTP_11;
    *message.uri_mut() = Uri::from(path);
    *message.headers_mut() = request.headers.into_map();
    // Without the name of a user, which is nobody's business (RFC 9110, 4.2.4).
    let host = authority.as_str().rsplit('@').next().unwrap_or_default();
    let host = HeaderValue::try_from(host).map_err(|_| HttpError::HttpRequestUriInvalid)?;
    message.headers_mut().insert(header::HOST, host);
    let exchange = exchange(target, tls, message, options, slot);
    let work = runtime::spawn(async move {
        let response = exchange.await;
        drop(charged);
        response
    });
    let work = work.map_err(|error| internal(&error))?;
    Ok(FutureIncomingResponse(State::Waiting(AbortOnDrop(work))))
}

fn internal(error: &std::io::Error) -> HttpError {
    HttpError::InternalError(Some(error.to_string()))
}

/// Reads an authority of a guest, whose port is a number if there is one.
pub(super) fn parse_authority(text: &str) -> Result<Authority, ()> {
    let authority: Authority = text.parse().map_err(drop)?;
    match Target::of(&authority, false) {
        Ok(_) => Ok(authority),
        Err(_) => Err(()),
    }
}

/// Whom to connect to.
#[derive(Debug, PartialEq, Eq)]
struct Target {
    /// A name or an address, without brackets.
    host: String,
    port: u16,
}

impl Target {
    fn of(authority: &Authority, is_tls: bool) -> Result<Target, HttpError> {
        let host = authority.host();
        let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let written = authority.as_str().rsplit('@').next().unwrap_or_default();
        let port = match written[host.len().min(written.len())..].strip_prefix(':') {
            None => [80, 443][usize::from(is_tls)],
            Some(port) => port.parse().map_err(|_| HttpError::HttpRequestUriInvalid)?,
        };
        if host.is_empty() || port == 0 {
            return Err(HttpError::HttpRequestUriInvalid);
        }
        Ok(Target {
            host: inner.unwrap_or(host).to_owned(),
            port,
        })
    }
}

fn limit(time: Option<Duration>) -> Duration {
    time.unwrap_or(TIMEOUT).min(TIMEOUT_MAX)
}

async fn exchange(
    target: Target,
    tls: Option<Tls>,
    request: Request<BoxBody>,
    options: RequestOptions,
    slot: Option<Slot>,
) -> Result<IncomingResponse, HttpError> {
    let connect = connect(&target, tls.as_ref());
    let stream = timeout(limit(options.connect_timeout), connect).await;
    let stream = stream.map_err(|_| HttpError::ConnectionTimeout)??;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let connection = runtime::spawn(async move {
        let _ = connection.await;
    });
    let connection = AbortOnDrop(connection.map_err(|error| internal(&error))?);
    let response = timeout(limit(options.first_byte_timeout), sender.send_request(request)).await;
    let response = response.map_err(|_| HttpError::ConnectionReadTimeout)??;
    let between = limit(options.between_bytes_timeout);
    let body = |incoming| -> BoxBody {
        Box::pin(ResponseBody {
            incoming,
            between,
            late: None,
            _connection: connection,
            _slot: slot,
        })
    };
    let response: Response<BoxBody> = response.map(body);
    Ok(IncomingResponse::new(response))
}

/// A connection, with or without TLS.
trait Transport: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Transport for T {}

async fn connect(target: &Target, tls: Option<&Tls>) -> Result<Box<dyn Transport>, HttpError> {
    let addresses = match target.host.parse::<IpAddr>() {
        Ok(address) => vec![(address, target.port).into()],
        Err(_) => {
            let failed = |_| HttpError::DnsError(Some("address not available".to_owned()));
            net::resolve(target.host.clone(), target.port)
                .await
                .map_err(failed)?
        }
    };
    let stream = TcpStream::connect(&addresses[..]).await;
    let stream = stream.map_err(|error| HttpError::of_connect(&error))?;
    // A request is written in one piece or in pieces that should not wait for each other.
    let _ = stream.set_nodelay(true);
    let Some(Tls(connector)) = tls else {
        return Ok(Box::new(stream));
    };
    let name = ServerName::try_from(target.host.clone()).map_err(|_| HttpError::HttpRequestUriInvalid)?;
    let stream = connector.connect(name, stream).await;
    Ok(Box::new(stream.map_err(|error| HttpError::of_tls(&error))?))
}

/// The body of a response, which may not pause for too long, with its connection.
struct ResponseBody {
    incoming: Incoming,
    between: Duration,
    /// Ends the wait for the next frame.
    late: Option<Pin<Box<Sleep>>>,
    _connection: AbortOnDrop<()>,
    _slot: Option<Slot>,
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.incoming).poll_frame(context) {
            self.late = None;
            return Poll::Ready(frame.map(|frame| frame.map_err(HttpError::from)));
        }
        let between = self.between;
        if self.late.is_none() {
            match runtime::inside(|| sleep(between)) {
                Ok(late) => self.late = Some(Box::pin(late)),
                Err(error) => return Poll::Ready(Some(Err(internal(&error)))),
            }
        }
        let late = self.late.as_mut().expect("it was made above");
        match late.as_mut().poll(context) {
            Poll::Ready(()) => {
                let next = Instant::now() + between;
                late.as_mut().reset(next);
                Poll::Ready(Some(Err(HttpError::ConnectionReadTimeout)))
            }
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_what_the_authority_says() {
        let target = |text: &str, is_tls| {
            let authority = text.parse().ok()?;
            let target = Target::of(&authority, is_tls).ok()?;
            Some((target.host, target.port))
        };
        for (text, is_tls, host, port) in [
            ("example.com", false, "example.com", 80),
            ("example.com", true, "example.com", 443),
            ("example.com:8080", true, "example.com", 8080),
            ("user@example.com:81", false, "example.com", 81),
            ("[::1]:8080", false, "::1", 8080),
            ("[::1]", true, "::1", 443),
        ] {
            assert_eq!(target(text, is_tls), Some((host.to_owned(), port)), "{text}");
        }
        for text in [
            "localhost:99999",
            "localhost:0",
            "localhost:",
            ":80",
            "",
            "a b",
            "localhost:x",
        ] {
            assert_eq!(target(text, false), None, "{text}");
            assert!(parse_authority(text).is_err(), "{text}");
        }
    }
}
