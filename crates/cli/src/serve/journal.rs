//! The access log, and what there is to say about guests that failed, on standard error.
//!
//! Guarantees: a line is written whole, and nobody waits for it: lines are collected and written by a
//! thread of their own. What a client or a guest says cannot steer the terminal.
//! If nobody reads standard error, lines that do not fit are counted and dropped.

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use http::{Request, StatusCode};

use crate::escape;

/// Bytes of lines that are not written yet.
const BUFFER_BYTES_MAX: usize = 1 << 20;

/// How long lines are collected.
const PERIOD: Duration = Duration::from_millis(100);

/// The longest path that is logged whole, in bytes,
const PATH_BYTES_MAX: usize = 1024;
/// and the longest method.
const METHOD_BYTES_MAX: usize = 32;

#[derive(Debug, Default)]
struct Buffer {
    text: String,
    dropped: u64,
    is_writing: bool,
}

/// Where lines go.
#[derive(Debug)]
pub(super) struct Journal {
    buffer: Arc<(Mutex<Buffer>, Condvar)>,
    has_access_log: bool,
}

/// What a request's line begins with.
#[derive(Debug)]
pub(super) struct Line {
    peer: SocketAddr,
    method: http::Method,
    uri: http::Uri,
    version: http::Version,
    begin: Instant,
    /// By which complaints call it.
    pub(super) number: Option<u64>,
}

impl Line {
    pub(super) fn of<B>(request: &Request<B>, peer: SocketAddr) -> Line {
        Line {
            peer,
            method: request.method().clone(),
            uri: request.uri().clone(),
            version: request.version(),
            begin: Instant::now(),
            number: None,
        }
    }

    /// Whether a response with this status has a body (RFC 9110, 6.4.1).
    pub(super) fn has_body(&self, status: StatusCode) -> bool {
        self.method != http::Method::HEAD
            && !matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
            && !status.is_informational()
    }
}

impl Journal {
    pub(super) fn start(has_access_log: bool) -> Journal {
        let buffer = Arc::<(Mutex<Buffer>, Condvar)>::default();
        let shared = buffer.clone();
        std::thread::spawn(move || {
            loop {
                let text = {
                    let mut buffer = lock(&shared);
                    while buffer.text.is_empty() {
                        buffer = shared.1.wait(buffer).unwrap_or_else(PoisonError::into_inner);
                    }
                    drop(buffer);
                    std::thread::sleep(PERIOD);
                    let mut buffer = lock(&shared);
                    buffer.is_writing = true;
                    let dropped = std::mem::take(&mut buffer.dropped);
                    let mut text = std::mem::take(&mut buffer.text);
                    if dropped > 0 {
                        writeln!(text, "({dropped} lines were dropped)").expect("a String takes every write");
                    }
                    text
                };
                let _ = std::io::stderr().write_all(text.as_bytes());
                lock(&shared).is_writing = false;
                shared.1.notify_all();
            }
        });
        Journal {
            buffer,
            has_access_log,
        }
    }

    /// One line per request, when it is over: who, what, status, bytes, milliseconds; the number of one that did
    /// not go well.
    pub(super) fn log(&self, line: &Line, status: StatusCode, bytes: u64, is_whole: bool) {
        if !self.has_access_log {
            return;
        }
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let path = line.uri.path_and_query().map_or("*", |path| path.as_str());
        let path = path.get(..PATH_BYTES_MAX).unwrap_or(path);
        let method = line.method.as_str();
        let method = method.get(..METHOD_BYTES_MAX).unwrap_or(method);
        let millis = line.begin.elapsed().as_secs_f64() * 1e3;
        let broken = if is_whole { "" } else { " broken" };
        let failed = !is_whole || status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT;
        let number = line.number.filter(|_| failed);
        let number = number.map_or(String::new(), |number| format!(" (request {number})"));
        self.add(format_args!(
            "{}.{:03} {} \"{} {} {:?}\" {} {bytes} {millis:.1}ms{broken}{number}\n",
            now.as_secs(),
            now.subsec_millis(),
            line.peer,
            method,
            escape::visible(path),
            line.version,
            status.as_u16(),
        ));
    }

    /// Something that went wrong.
    pub(super) fn complain(&self, message: &str) {
        self.add(format_args!("{}\n", escape::visible(message)));
    }

    fn add(&self, line: std::fmt::Arguments<'_>) {
        let mut buffer = lock(&self.buffer);
        if buffer.text.len() > BUFFER_BYTES_MAX {
            buffer.dropped += 1;
            return;
        }
        let was_empty = buffer.text.is_empty();
        buffer.text.write_fmt(line).expect("a String takes every write");
        drop(buffer);
        if was_empty {
            self.buffer.1.notify_all();
        }
    }

    /// Waits until all lines are written, but not for ever.
    pub(super) fn flush(&self) {
        let deadline = Instant::now() + Duration::from_secs(1);
        let mut buffer = lock(&self.buffer);
        while (!buffer.text.is_empty() || buffer.is_writing) && Instant::now() < deadline {
            let waited = self.buffer.1.wait_timeout(buffer, PERIOD);
            buffer = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

fn lock(buffer: &(Mutex<Buffer>, Condvar)) -> MutexGuard<'_, Buffer> {
    buffer.0.lock().unwrap_or_else(PoisonError::into_inner)
}
