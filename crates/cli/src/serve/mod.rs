//! The server behind `cellwall serve`: connections, requests, and a guest for each of them.
//!
//! Guarantees: guests run on threads of their own, never on those that serve connections, so one
//! that computes holds up nobody; each request has an instance of its own, which is gone when the
//! request is.
//! Does not do: TLS, which is left to the proxy in front.

mod body;
mod guest;
mod journal;
mod metrics;
mod patience;
mod requests;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cellwall_wasi::http::{BoxBody, IncomingRequest, ResponseOutparam, Unanswered};
use http::uri::{Authority, Scheme};
use http::{Request, Response, StatusCode, Version, header};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

pub(crate) use guest::Guests;
use journal::Journal;
use metrics::Metrics;
use patience::Patient;
use requests::{Ended, Requests};

/// The longest time that a client may take to say a first word, and then for the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// How the server is run.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// Guests that run at a time; further requests wait.
    pub(crate) in_flight_max: usize,
    /// How long a guest may take for its response, and for each further part of it.
    pub(crate) timeout: Duration,
    pub(crate) has_access_log: bool,
}

/// What all connections share.
struct Server {
    guests: Guests,
    options: Options,
    /// Places for guests.
    places: Arc<Semaphore>,
    requests: Requests,
    metrics: Metrics,
    journal: Journal,
}

/// Serves until `stop` is ready; then finishes what is under way, for as long as a guest may take.
pub(crate) async fn serve(
    listener: TcpListener,
    metrics: Option<TcpListener>,
    guests: Guests,
    options: Options,
    stop: impl Future<Output = ()>,
) {
    let server = Arc::new(Server {
        guests,
        places: Arc::new(Semaphore::new(options.in_flight_max)),
        requests: Requests::new(options.timeout),
        metrics: Metrics::default(),
        journal: Journal::start(options.has_access_log),
        options,
    });
    let watch = tokio::spawn({
        let server = server.clone();
        async move { server.requests.watch().await }
    });
    if let Some(listener) = metrics {
        tokio::spawn(serve_metrics(listener, server.clone()));
    }
    let connections = GracefulShutdown::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => connect(&server, &connections, stream, peer),
                // Out of descriptors, or a client that was quick to leave: others go on.
                Err(error) => {
                    tracing::warn!(target: "cellwall", %error, "accept");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            },
            () = &mut stop => break,
        }
    }
    drop(listener);
    let grace = server.options.timeout + Duration::from_secs(1);
    if tokio::time::timeout(grace, connections.shutdown()).await.is_err() {
        server.requests.stop_all();
    }
    watch.abort();
    server.journal.flush();
}

/// Serves one connection in the background.
fn connect(server: &Arc<Server>, connections: &GracefulShutdown, stream: TcpStream, peer: SocketAddr) {
    // Responses are written in one piece where they can be, and wait for nothing where not.
    let _ = stream.set_nodelay(true);
    let server = server.clone();
    let service = service_fn(move |request| {
        let server = server.clone();
        async move { Ok::<_, Infallible>(answer(server, request, peer).await) }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .half_close(false);
    builder.http2().timer(TokioTimer::new());
    let connection = builder
        .serve_connection(TokioIo::new(Patient::new(stream, HEAD_TIMEOUT)), service)
        .into_owned();
    let connection = connections.watch(connection);
    tokio::spawn(async move {
        // A client that breaks off or speaks something else is its own affair.
        if let Err(error) = connection.await {
            tracing::debug!(target: "cellwall", %error, "connection");
        }
    });
}

/// Answers one request with a guest of its own.
async fn answer(server: Arc<Server>, request: Request<Incoming>, peer: SocketAddr) -> Response<body::Answer> {
    let line = journal::Line::of(&request, peer);
    if !names_its_host(&request) {
        return refuse(&server, line, StatusCode::BAD_REQUEST);
    }
    let place = server.places.clone().acquire_owned();
    let Ok(place) = tokio::time::timeout(server.options.timeout, place).await else {
        return refuse(&server, line, StatusCode::SERVICE_UNAVAILABLE);
    };
    let place = place.expect("the semaphore is never closed");
    let current = server.requests.begin();
    let request = request.map(|body| -> BoxBody {
        Box::pin(body::Upload {
            body,
            current: current.clone(),
            is_waiting: false,
        })
    });
    let request = IncomingRequest::new(request, Scheme::HTTP);
    let (param, response) = ResponseOutparam::new();
    server.metrics.begin();
    // If the client goes away before it is answered, the guest has nobody to work for.
    let abandoned = requests::StopOnDrop::new(current.clone());
    tokio::task::spawn_blocking({
        let (server, current) = (server.clone(), current.clone());
        move || {
            let begin = Instant::now();
            guest::run(&server, &current, request, param);
            server.metrics.end(begin.elapsed(), current.ended());
            server.requests.end(&current);
            drop(place);
        }
    });
    let response = response.await;
    abandoned.disarm();
    match response {
        // Such a status is no answer, and 101 would have whoever stands in front take what follows for
        // something else than HTTP.
        Ok(response) if response.status().is_informational() => {
            server.journal.complain(&format!(
                "request {}: the guest answered with status {}, which ends no request",
                current.number(),
                response.status().as_u16()
            ));
            refuse(&server, line, StatusCode::BAD_GATEWAY)
        }
        Ok(response) => {
            let status = response.status();
            response.map(|body| body::Answer::of_guest(body, status, server, current, line))
        }
        Err(why) => {
            if let Unanswered::Error(code) = why {
                server.journal.complain(&format!(
                    "request {}: the guest answered with {code}",
                    current.number()
                ));
            }
            let status = match current.ended() {
                Ended::Late => StatusCode::GATEWAY_TIMEOUT,
                Ended::Running | Ended::Well | Ended::Trapped | Ended::Stopped => StatusCode::BAD_GATEWAY,
            };
            refuse(&server, line, status)
        }
    }
}

/// Whether the request says for whom it is, and once (RFC 9112, 3.2): whoever stands in front may have read
/// the other one of two.
fn names_its_host<B>(request: &Request<B>) -> bool {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        // An absolute target names it, and would be the one that counts.
        (None, _) => request.version() != Version::HTTP_11 || request.uri().authority().is_some(),
        (Some(host), None) => {
            let authority = host.to_str().ok().and_then(|host| host.parse::<Authority>().ok());
            host.is_empty() || authority.is_some_and(|authority| !authority.as_str().contains('@'))
        }
        (Some(_), Some(_)) => false,
    }
}

/// An answer of the server's own.
fn refuse(server: &Arc<Server>, line: journal::Line, status: StatusCode) -> Response<body::Answer> {
    let reason = status.canonical_reason().unwrap_or_default();
    let text = format!("{} {reason}\n", status.as_u16());
    let mut response = Response::new(text);
    *response.status_mut() = status;
    let plain = http::HeaderValue::from_static("text/plain");
    response.headers_mut().insert(http::header::CONTENT_TYPE, plain);
    response.map(|text| body::Answer::of_server(text, status, server.clone(), line))
}

/// Serves the metrics, under every path.
async fn serve_metrics(listener: TcpListener, server: Arc<Server>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let server = server.clone();
        let service = service_fn(move |_: Request<Incoming>| {
            let text = server.metrics.text(server.requests.count());
            let mut response = Response::new(text);
            let kind = http::HeaderValue::from_static("text/plain; version=0.0.4");
            response.headers_mut().insert(http::header::CONTENT_TYPE, kind);
            std::future::ready(Ok::<_, Infallible>(response))
        });
        tokio::spawn(async move {
            let mut builder = hyper::server::conn::http1::Builder::new();
            let builder = builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
            let _ = builder.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}
