//! HTTP: a guest as the client of a native server (hyper), with and without TLS.
//!
//! The other direction, a guest that answers, is tested with `cellwall serve`.

use super::{Guest, check, fill};
use cellwall::Result;
use http_body_util::BodyExt;
use hyper::body::{Body, Bytes, Frame, Incoming};
use hyper::header::{HeaderMap, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::io;
use std::net::TcpListener;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;

const AUTHORITY: &[u8] = include_bytes!("../../tls/ca.pem");
const CERTIFICATE: &[u8] = include_bytes!("../../tls/server.pem");
const KEY: &[u8] = include_bytes!("../../tls/server.key");

/// More than all buffers between the two hold, by far.
const LONG: u64 = 64 << 20;

/// Bytes of the pattern with their number as the trailer; or an error after half of them.
struct Pattern {
    at: u64,
    length: u64,
    has_trailer: bool,
    is_broken: bool,
}

impl Body for Pattern {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if self.is_broken && self.at >= self.length / 2 {
            return Poll::Ready(Some(Err(io::ErrorKind::Other.into())));
        }
        if self.at < self.length {
            let mut part = vec![0; (self.length - self.at).min(1 << 16) as usize];
            fill(&mut part, self.at);
            self.at += part.len() as u64;
            return Poll::Ready(Some(Ok(Frame::data(part.into()))));
        }
        let trailers = std::mem::take(&mut self.has_trailer).then(|| {
            let sum = HeaderValue::from(self.length);
            Frame::trailers(HeaderMap::from_iter([("x-sum".parse().unwrap(), sum)]))
        });
        Poll::Ready(trailers.map(Ok))
    }
}

/// `/pattern/N`, `/broken/N`, and for what is sent `/count`, `/slow` and `/never`.
async fn answer(request: Request<Incoming>) -> Result<Response<Pin<Box<Pattern>>>, io::Error> {
    let path = request.uri().path().to_owned();
    let mut status = StatusCode::OK;
    let mut length = 0;
    let is_broken = path.starts_with("/broken/");
    match path.trim_start_matches('/').split_once('/') {
        Some(("pattern" | "broken", count)) => length = count.parse().unwrap(),
        _ => match &*path {
            "/never" => return Err(io::ErrorKind::Other.into()),
            "/count" | "/slow" => {
                let mut body = request.into_body();
                let (mut came, mut sum) = (0, None);
                while let Some(frame) = body.frame().await {
                    match frame.map_err(io::Error::other)?.into_data() {
                        Ok(data) => {
                            check(&data, came);
                            came += data.len() as u64;
                        }
                        Err(frame) => sum = frame.into_trailers().unwrap().remove("x-sum"),
                    }
                    if path == "/slow" {
                        tokio::time::sleep(Duration::from_millis(2)).await;
                    }
                }
                // Said by the length of what comes back, which the guest checks.
                assert_eq!(sum, Some(HeaderValue::from(came)));
                status = StatusCode::CREATED;
            }
            _ => status = StatusCode::NOT_FOUND,
        },
    }
    let mut response = Response::new(Box::pin(Pattern {
        at: 0,
        length,
        has_trailer: true,
        is_broken,
    }));
    *response.status_mut() = status;
    let trailer = HeaderValue::from_static("x-sum");
    response.headers_mut().insert("trailer", trailer);
    Ok(response)
}

fn acceptor() -> TlsAcceptor {
    let certificates = CertificateDer::pem_slice_iter(CERTIFICATE);
    let certificates = certificates.collect::<Result<Vec<_>, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_slice(KEY).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(certificates, key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

trait Transport: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Transport for T {}

/// Serves on a free port of `localhost`, as long as this process lives.
fn serve(is_tls: bool) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    listener.set_nonblocking(true).unwrap();
    let run = async move {
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        let acceptor = is_tls.then(acceptor);
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let stream: Box<dyn Transport> = match acceptor {
                    None => Box::new(stream),
                    Some(acceptor) => match acceptor.accept(stream).await {
                        Ok(stream) => Box::new(stream),
                        // Whether that was right is seen on the other side.
                        Err(_) => return,
                    },
                };
                let connection =
                    http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer));
                let _ = connection.await;
            });
        }
    };
    thread::spawn(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.unwrap().block_on(async { pin!(run).await })
    });
    port
}

fn guest(certificates: Option<&[u8]>) -> Guest {
    Guest::new(|builder| {
        for host in ["localhost", "127.0.0.1"] {
            builder.allow_http(host.parse().expect("a grant"));
        }
        if let Some(pem) = certificates {
            builder.http_root_certificates(pem).expect("certificates");
        }
    })
}

type Got = Result<(u16, u64, Option<String>), String>;
type Put = Result<(u16, String), String>;

fn get(guest: &mut Guest, tls: bool, authority: String, path: &str) -> Got {
    guest.call("http-get", (tls, authority, path.to_owned())).unwrap()
}

fn put(guest: &mut Guest, tls: bool, authority: String, path: &str, length: u64) -> Put {
    guest
        .call("http-put", (tls, authority, path.to_owned(), length))
        .unwrap()
}

/// Whether it is an error that names this case.
fn is<T>(result: &Result<T, String>, case: &str) -> bool {
    result.as_ref().is_err_and(|why| why.contains(case))
}

#[test]
fn bodies_and_trailers_go_both_ways_with_and_without_tls() {
    for tls in [false, true] {
        let at = format!("localhost:{}", serve(tls));
        let mut guest = guest(Some(AUTHORITY));
        for length in [0, 1, 100_000, LONG] {
            let path = format!("/pattern/{length}");
            let got = get(&mut guest, tls, at.clone(), &path);
            assert_eq!(got, Ok((200, length, Some(length.to_string()))));
            let sent = put(&mut guest, tls, at.clone(), "/count", length);
            assert_eq!(sent, Ok((201, String::new())));
        }
        assert_eq!(get(&mut guest, tls, at.clone(), "/nothing").unwrap().0, 404);
        // The other side takes it slower than the guest could write it.
        let sent = put(&mut guest, tls, at, "/slow", 4 << 20);
        assert_eq!(sent, Ok((201, String::new())));
    }
}

#[test]
fn a_body_that_breaks_off_is_not_taken_for_whole() {
    let at = format!("localhost:{}", serve(false));
    let mut guest = guest(None);
    let broken = get(&mut guest, false, at.clone(), "/broken/1000000");
    assert!(is(&broken, "Connection") || is(&broken, "Http"), "{broken:?}");
    let vanished = put(&mut guest, false, at, "/never", LONG);
    // By the answer, or by the stream, which is closed then.
    assert!(
        is(&vanished, "Connection") || is(&vanished, "closed") || is(&vanished, "Http"),
        "{vanished:?}"
    );
}

#[test]
fn who_answers_https_must_be_trusted() {
    let port = serve(true);
    let (localhost, by_number) = (format!("localhost:{port}"), format!("127.0.0.1:{port}"));
    let mut trusting = guest(Some(AUTHORITY));
    assert_eq!(
        get(&mut trusting, true, localhost.clone(), "/pattern/1")
            .unwrap()
            .0,
        200
    );
    // It is the certificate of a name.
    let other = get(&mut trusting, true, by_number, "/pattern/1");
    assert!(is(&other, "TlsCertificateError"), "{other:?}");
    let unknown = get(&mut guest(None), true, localhost, "/pattern/1");
    assert!(is(&unknown, "TlsCertificateError"), "{unknown:?}");
    let plain = format!("localhost:{}", serve(false));
    let no_tls = get(&mut trusting, true, plain, "/pattern/1");
    assert!(is(&no_tls, "TlsProtocolError"), "{no_tls:?}");
}

#[test]
fn what_is_no_certificate_of_an_authority_is_refused() {
    let mut builder = cellwall_wasi::WasiCtxBuilder::new();
    for pem in [&b""[..], b"text", KEY, &CERTIFICATE[..100]] {
        let error = builder.http_root_certificates(pem).unwrap_err();
        assert!(
            error.to_string().starts_with("these are no certificates"),
            "{error}"
        );
    }
    builder.http_root_certificates(AUTHORITY).unwrap();
}

#[test]
fn a_guest_hears_why_its_request_was_not_sent() {
    let port = serve(false);
    let denied = get(
        &mut Guest::new(|_| {}),
        false,
        format!("localhost:{port}"),
        "/pattern/1",
    );
    assert!(is(&denied, "HttpRequestDenied"), "{denied:?}");
    let closed = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let refused = get(
        &mut guest(None),
        false,
        format!("127.0.0.1:{closed}"),
        "/pattern/1",
    );
    assert!(is(&refused, "ConnectionRefused"), "{refused:?}");
}
