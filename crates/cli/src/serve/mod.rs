//! The server behind `cellwall serve`: connections, requests, and a guest for each of them.
//!
//! Guarantees: a guest that computes holds up nobody for long ([`shard`]); each request has an instance of its
//! own, which is gone when the request is.
//! Does not do: TLS, which is left to the proxy in front.

mod body;
mod connections;
mod guest;
mod journal;
mod metrics;
mod requests;
mod shard;
mod stream;
mod wire;

use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use cellwall_wasi::http::{BoxBody, IncomingRequest, ResponseOutparam, Unanswered};
use http::uri::{Authority, Scheme};
use http::{Request, Response, StatusCode, Version, header};
use hyper::body::{Body, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, SemaphorePermit};

use body::Asked;
use connections::{Connections, Link, Order};
pub(crate) use guest::Guests;
use journal::Journal;
use metrics::Metrics;
use requests::{Ended, Requests};
use shard::Shard;
use stream::Executor;
use wire::Wire;

/// Between two looks at the clock, for guests,
const TICK: Duration = Duration::from_millis(25);
/// and after how many for connections.
const SWEEP_TICKS: u32 = 20;

/// How long a client of the metrics may take for the head of its request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// So many bytes of a connection wait in the system until its client has room for them. With megabytes, which a slow
/// client takes minutes for, nobody could see that it takes them.
const UNSENT_BYTES: u32 = 64 << 10;

/// For an answer after its guest has ended, when the server is about to.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// How the server is run.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// Guests that run at a time; further requests wait.
    pub(crate) in_flight_max: usize,
    /// Connections at a time.
    pub(crate) connections_max: usize,
    /// How long a guest may take for its response, and for each further part of it.
    pub(crate) timeout: Duration,
    /// How long a connection may have no request.
    pub(crate) idle_timeout: Duration,
    /// How long a guest waits for its client.
    pub(crate) client_timeout: Duration,
    pub(crate) has_access_log: bool,
}

/// What all connections share.
struct Server {
    guests: Guests,
    options: Options,
    /// Places for guests.
    places: Semaphore,
    connections: Arc<Connections>,
    journal: Journal,
}

/// What the connections of a shard share: processors do not wait for each other's counters.
struct Branch {
    server: Arc<Server>,
    shard: Arc<Shard>,
    requests: Requests,
    metrics: Metrics,
}

/// Serves until `stop` is ready; then finishes what is under way, for as long as a guest may take.
///
/// # Errors
/// The system has no threads for it.
pub(crate) async fn serve(
    listener: TcpListener,
    metrics: Option<TcpListener>,
    guests: Guests,
    options: Options,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let server = Arc::new(Server {
        guests,
        places: Semaphore::new(options.in_flight_max),
        connections: Connections::new(
            options.connections_max,
            options.idle_timeout,
            options.client_timeout,
        ),
        journal: Journal::start(options.has_access_log),
        options,
    });
    let branch = |shard: Arc<Shard>| {
        Arc::new(Branch {
            server: server.clone(),
            requests: Requests::new(server.options.timeout, server.options.client_timeout),
            metrics: Metrics::default(),
            shard,
        })
    };
    let branches: Arc<[Arc<Branch>]> = shard::start(cores)?.into_iter().map(branch).collect();
    tokio::spawn(watch(server.clone(), branches.clone()));
    if let Some(listener) = metrics {
        tokio::spawn(serve_metrics(listener, branches.clone()));
    }
    tokio::select! {
        () = accept(&listener, &server, &branches) => {}
        () = stop => {}
    }
    drop(listener);
    server.connections.finish();
    let grace = server.options.timeout + LAST_WORDS;
    if tokio::time::timeout(grace, server.connections.none())
        .await
        .is_err()
    {
        branches.iter().for_each(|branch| branch.requests.stop_all());
        // What was stopped is answered, too; whose client does not take that is gone, with a line in the journal.
        let _ = tokio::time::timeout(LAST_WORDS, server.connections.none()).await;
        server.connections.break_all();
        let _ = tokio::time::timeout(LAST_WORDS, server.connections.none()).await;
    }
    server.journal.flush();
    Ok(())
}

/// Looks at the clock, for ever.
async fn watch(server: Arc<Server>, branches: Arc<[Arc<Branch>]>) {
    for tick in (0..SWEEP_TICKS).cycle() {
        tokio::time::sleep(TICK).await;
        server.connections.tick();
        branches.iter().for_each(|branch| branch.requests.sweep());
        if tick == 0 {
            server.connections.sweep();
        }
    }
}

/// Gives each client to the shard with the fewest, for ever.
async fn accept(listener: &TcpListener, server: &Server, branches: &[Arc<Branch>]) {
    loop {
        let fewest = branches.iter().min_by_key(|branch| branch.shard.tasks());
        let branch = fewest.expect("there is a processor, and so a shard");
        // A stream belongs to the runtime in which it is accepted.
        let accepted = poll_fn(|context| branch.shard.inside(|| listener.poll_accept(context)));
        match accepted.await {
            Ok((stream, peer)) => {
                server.connections.room().await;
                let link = server.connections.open();
                branch.shard.spawn(converse(branch.clone(), stream, peer, link));
            }
            // Out of descriptors, or a client that was quick to leave: others go on.
            Err(error) => {
                tracing::warn!(target: "cellwall", %error, "accept");
                server.connections.close_idlest();
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// Serves one connection.
async fn converse(branch: Arc<Branch>, stream: TcpStream, peer: SocketAddr, link: Arc<Link>) {
    // Responses are written in one piece where they can be, and wait for nothing where not.
    let _ = stream.set_nodelay(true);
    let _ = socket2::SockRef::from(&stream).set_tcp_notsent_lowat(UNSENT_BYTES);
    let mut builder = auto::Builder::new(Executor {
        shard: branch.shard.clone(),
        // Longer than a guest, or its client, may do nothing.
        patience: branch.server.options.timeout + branch.server.options.client_timeout,
    });
    // Who is idle for too long is told so from outside, whatever it was about to say.
    builder.http1().header_read_timeout(None).half_close(true);
    // One buffer for a head and its body costs less than two pieces.
    builder.http1().writev(false);
    let stream = TokioIo::new(Wire::new(stream, link.clone()));
    let service = service_fn(|request| {
        let (branch, link) = (branch.clone(), link.clone());
        async move { Ok::<_, Infallible>(answer(branch, &link, request, peer).await) }
    });
    let mut connection = pin!(builder.serve_connection(stream, service).into_owned());
    let mut is_finishing = false;
    loop {
        tokio::select! {
            biased;
            ended = connection.as_mut() => {
                // A client that breaks off or speaks something else is its own affair.
                if let Err(error) = ended {
                    tracing::debug!(target: "cellwall", %error, "connection");
                }
                return;
            }
            () = link.ordered() => match link.order() {
                Order::Finish if !is_finishing => {
                    is_finishing = true;
                    connection.as_mut().graceful_shutdown();
                }
                Order::GoOn | Order::Finish => {}
                Order::Break => return,
            },
        }
    }
}

/// Takes a place for a guest, as soon as there is one; false if that takes too long.
async fn has_place(server: &Server) -> bool {
    let taken = match server.places.try_acquire() {
        Ok(place) => Some(place),
        Err(_) => {
            let place = tokio::time::timeout(server.options.timeout, server.places.acquire()).await;
            place
                .ok()
                .map(|place| place.expect("the semaphore is never closed"))
        }
    };
    // Given back by hand, where the guest is gone.
    taken.map(SemaphorePermit::forget).is_some()
}

/// Answers one request with a guest of its own.
async fn answer(
    branch: Arc<Branch>,
    link: &Arc<Link>,
    request: Request<Incoming>,
    peer: SocketAddr,
) -> Response<body::Answer> {
    let server = &branch.server;
    let is_http2 = request.version() == Version::HTTP_2;
    let mut asked = Asked {
        line: journal::Line::of(&request, peer),
        busy: link.begin(is_http2),
    };
    if !names_its_host(&request) {
        return refuse(&branch, asked, StatusCode::BAD_REQUEST);
    }
    let upload = (!request.body().is_end_stream()).then(|| link.upload());
    if !has_place(server).await {
        return refuse(&branch, asked, StatusCode::SERVICE_UNAVAILABLE);
    }
    let flight = guest::Flight::new(&branch);
    let current = flight.current.clone();
    asked.line.number = Some(current.number());
    let request = request.map(|body| -> BoxBody {
        Box::pin(body::Upload {
            body,
            current: current.clone(),
            is_waiting: false,
            link: upload,
        })
    });
    let request = IncomingRequest::new(request, Scheme::HTTP);
    let (param, response) = ResponseOutparam::new();
    // If the client goes away before it is answered, the guest has nobody to work for.
    let abandoned = requests::StopOnDrop::new(current.clone());
    branch.shard.start(guest::run(flight, request, param));
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
            refuse(&branch, asked, StatusCode::BAD_GATEWAY)
        }
        Ok(response) => {
            let status = response.status();
            if is_http2 {
                // It may not let us send yet.
                current.client_takes(true);
            }
            response.map(|body| body::Answer::of_guest(body, status, branch, current, asked))
        }
        Err(why) => {
            let number = current.number();
            // Its guest may be about to end as it was told to.
            let ended = match current.ended() {
                Ended::Running => current.wanted().unwrap_or(Ended::Running),
                ended => ended,
            };
            match (why, ended) {
                (Unanswered::Error(code), _) => {
                    let complaint = format!("request {number}: the guest answered with {code}");
                    server.journal.complain(&complaint);
                }
                (Unanswered::Dropped, Ended::Running | Ended::Well) => {
                    let complaint = format!("request {number}: the guest did not answer");
                    server.journal.complain(&complaint);
                }
                // Of how else it ended there is a line already.
                (Unanswered::Dropped, _) => {}
            }
            let status = match ended {
                Ended::Late => StatusCode::GATEWAY_TIMEOUT,
                Ended::Starved => StatusCode::REQUEST_TIMEOUT,
                Ended::Running | Ended::Well | Ended::Trapped | Ended::Stopped => StatusCode::BAD_GATEWAY,
            };
            refuse(&branch, asked, status)
        }
    }
}

/// Whether the request says for whom it is, and once (RFC 9112, 3.2; RFC 9113, 8.3.1): whoever stands in front may
/// have read the other one of two.
fn names_its_host<B>(request: &Request<B>) -> bool {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let (target, is_http2) = (request.uri().authority(), request.version() == Version::HTTP_2);
    let is_host = |authority: &Authority| !authority.as_str().contains('@');
    match (hosts.next(), hosts.next()) {
        (None, _) => request.version() < Version::HTTP_11 || target.is_some_and(is_host),
        (Some(host), None) if host.is_empty() => !is_http2 && target.is_none_or(is_host),
        (Some(host), None) => {
            let authority = host.to_str().ok().and_then(|host| host.parse::<Authority>().ok());
            // An absolute target of HTTP/1.1 is the one that counts.
            let is_other = |authority: &Authority| is_http2 && target.is_some_and(|it| it != authority);
            authority.is_some_and(|authority| is_host(&authority) && !is_other(&authority))
        }
        (Some(_), Some(_)) => false,
    }
}

/// An answer of the server's own.
fn refuse(branch: &Arc<Branch>, asked: Asked, status: StatusCode) -> Response<body::Answer> {
    let reason = status.canonical_reason().unwrap_or_default();
    let text = format!("{} {reason}\n", status.as_u16());
    let mut response = Response::new(text);
    *response.status_mut() = status;
    let plain = http::HeaderValue::from_static("text/plain");
    response.headers_mut().insert(http::header::CONTENT_TYPE, plain);
    response.map(|text| body::Answer::of_server(text, status, branch.clone(), asked))
}

/// Serves the metrics, under every path.
async fn serve_metrics(listener: TcpListener, branches: Arc<[Arc<Branch>]>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let branches = branches.clone();
        let service = service_fn(move |_: Request<Incoming>| {
            let in_flight = branches.iter().map(|branch| branch.requests.count());
            let text = Metrics::sum(branches.iter().map(|branch| &branch.metrics)).text(in_flight.sum());
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

#[cfg(test)]
mod tests {
    use super::*;

    fn is_named(version: Version, uri: &str, host: Option<&str>) -> bool {
        let mut request = Request::builder().version(version).uri(uri);
        if let Some(host) = host {
            request = request.header(header::HOST, host);
        }
        names_its_host(&request.body(()).unwrap())
    }

    #[test]
    fn a_request_of_http2_names_its_host_once() {
        let http2 = |uri: &str, host| is_named(Version::HTTP_2, uri, host);
        assert!(http2("http://a/hello", None));
        assert!(http2("http://a/hello", Some("a")));
        assert!(http2("/hello", Some("a")));
        assert!(!http2("/hello", None));
        assert!(!http2("/hello", Some("")));
        assert!(!http2("http://a/hello", Some("b")));
        assert!(!http2("http://a/hello", Some("")));
        assert!(!http2("http://b@a/hello", None));
    }

    #[test]
    fn an_absolute_target_counts_in_http1() {
        assert!(is_named(Version::HTTP_11, "http://a/hello", Some("b")));
        assert!(is_named(Version::HTTP_11, "http://a/hello", None));
        assert!(!is_named(Version::HTTP_11, "/hello", None));
        assert!(!is_named(Version::HTTP_11, "http://b@a/hello", None));
        assert!(is_named(Version::HTTP_10, "/hello", None));
    }
}
