//! `cellwall serve`, from the outside: a client that speaks HTTP by hand.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// A running server, ended with its value.
pub(crate) struct Server {
    pub(crate) child: Child,
    pub(crate) addr: SocketAddr,
    metrics: Option<SocketAddr>,
    log: Arc<Mutex<String>>,
}

impl Server {
    pub(crate) fn start(options: &[&str]) -> Server {
        let mut child = Command::new(env!("CARGO_BIN_EXE_cellwall"))
            .args(["serve", "--addr", "127.0.0.1:0", "--no-cache"])
            .args(options)
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/guests/handler.wat"))
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the command can be started");
        let mut stderr = BufReader::new(child.stderr.take().expect("it is a pipe"));
        let mut at = |what: &str| -> SocketAddr {
            let mut line = String::new();
            stderr.read_line(&mut line).expect("it says where it listens");
            let rest = line.strip_prefix(what).unwrap_or_else(|| panic!("{line}"));
            let end = rest.find('/').unwrap_or_else(|| panic!("{line}"));
            rest[..end].parse().unwrap_or_else(|_| panic!("{line}"))
        };
        let addr = at("Serving HTTP on http://");
        let metrics = options
            .contains(&"--metrics")
            .then(|| at("Serving metrics on http://"));
        let log = Arc::<Mutex<String>>::default();
        let sink = log.clone();
        thread::spawn(move || {
            let mut line = String::new();
            while stderr.read_line(&mut line).is_ok_and(|bytes| bytes > 0) {
                sink.lock().unwrap().push_str(&line);
                line.clear();
            }
        });
        Server {
            child,
            addr,
            metrics,
            log,
        }
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.addr).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream
    }

    /// One request on a connection of its own: status and body.
    pub(crate) fn get(&self, path: &str) -> (u16, Vec<u8>) {
        let mut stream = self.connect();
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"
        )
        .unwrap();
        read_response(&mut BufReader::new(stream)).unwrap_or_else(|why| panic!("{path}: {why}"))
    }

    pub(crate) fn metrics(&self) -> String {
        let mut stream = TcpStream::connect(self.metrics.unwrap()).unwrap();
        write!(
            stream,
            "GET /metrics HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"
        )
        .unwrap();
        let (status, text) = read_response(&mut BufReader::new(stream)).unwrap();
        assert_eq!(status, 200);
        String::from_utf8(text).unwrap()
    }

    fn log_has(&self, what: &str) -> bool {
        // It is written within a fraction of a second.
        (0..500).any(|_| {
            thread::sleep(Duration::from_millis(20));
            self.log.lock().unwrap().contains(what)
        })
    }

    pub(crate) fn signal(&self) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &pid]).status();
        assert!(sent.expect("there is a kill").success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A response with a length, in chunks, or to the end of the connection.
fn read_response(reader: &mut impl BufRead) -> Result<(u16, Vec<u8>), String> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).map_err(|e| e.to_string())? == 0 {
            return Err(format!("the head ends early: {head:?}"));
        }
    }
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    let status = status.ok_or_else(|| head.clone())?;
    let field = |name: &str| {
        let lines = head.lines().map(str::to_ascii_lowercase);
        lines
            .filter_map(|line| line.strip_prefix(name).map(|rest| rest.trim().to_owned()))
            .next()
    };
    let mut body = Vec::new();
    if let Some(length) = field("content-length:") {
        body.resize(length.parse().map_err(|_| head.clone())?, 0);
        reader.read_exact(&mut body).map_err(|e| e.to_string())?;
    } else if field("transfer-encoding:").is_some() {
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).map_err(|e| e.to_string())?;
            let size = usize::from_str_radix(line.trim(), 16).map_err(|_| format!("no chunk: {line:?}"))?;
            let start = body.len();
            body.resize(start + size + 2, 0);
            reader.read_exact(&mut body[start..]).map_err(|e| e.to_string())?;
            body.truncate(start + size);
            if size == 0 {
                break;
            }
        }
    }
    Ok((status, body))
}

pub(crate) const HELLO: (u16, &[u8]) = (200, b"hello, world\n");

#[test]
fn each_request_has_a_fresh_instance() {
    let server = Server::start(&[]);
    for _ in 0..20 {
        let (status, body) = server.get("/once");
        assert_eq!(
            (status, &body[..]),
            (200, &b"1\n"[..]),
            "something was left by another request"
        );
    }
    let (status, body) = server.get("/hello");
    assert_eq!((status, &body[..]), HELLO);
    assert_eq!(server.get("/nothing").0, 404);
    assert!(server.log_has("\"GET /hello HTTP/1.1\" 200 13 "));
    assert!(server.log_has("\"GET /nothing HTTP/1.1\" 404 0 "));
}

#[test]
fn a_request_names_its_host_once() {
    let server = Server::start(&[]);
    let ask = |head: &str| {
        let mut reader = BufReader::new(server.connect());
        write!(reader.get_mut(), "{head}\r\n\r\n").unwrap();
        read_response(&mut reader).unwrap().0
    };
    for head in [
        "GET /hello HTTP/1.1\r\nhost: a.example:80",
        "GET /hello HTTP/1.1\r\nhost: [::1]:80",
        "GET /hello HTTP/1.1\r\nhost:",
        "GET http://a/hello HTTP/1.1\r\nhost: a",
        "GET http://a/hello HTTP/1.1",
        "CONNECT http://a/hello HTTP/1.1",
        "GET /hello HTTP/1.0",
        "GET /hello HTTP/1.0\r\nhost: a",
    ] {
        assert_eq!(ask(head), 200, "{head}");
    }
    for head in [
        "GET /hello HTTP/1.1",
        "GET /hello HTTP/1.1\r\nhost: a\r\nhost: a",
        "GET /hello HTTP/1.1\r\nhost: a\r\nhost: b",
        "GET /hello HTTP/1.0\r\nhost: a\r\nhost: b",
        "GET /hello HTTP/1.1\r\nhost: a b",
        "GET /hello HTTP/1.1\r\nhost: b@a",
        "GET /hello HTTP/1.1\r\nhost: a/b",
    ] {
        assert_eq!(ask(head), 400, "{head}");
    }
}

#[test]
fn a_status_that_ends_no_request_is_no_answer() {
    let server = Server::start(&[]);
    assert_eq!(server.get("/info").0, 502);
    assert_eq!(server.get("/hello"), (200, HELLO.1.to_vec()));
    assert!(server.log_has("the guest answered with status 101"));
}

/// Who reads the next response must not take it for what is missing of the last.
#[test]
fn a_body_that_is_not_as_long_as_it_says_ends_the_connection() {
    let server = Server::start(&[]);
    for path in ["/over", "/under"] {
        for _ in 0..20 {
            let mut stream = server.connect();
            write!(
                stream,
                "GET {path} HTTP/1.1\r\nhost: a\r\n\r\nGET /hello HTTP/1.1\r\nhost: a\r\n\r\n"
            )
            .unwrap();
            let mut all = Vec::new();
            // Ends soon, and with the connection.
            let _ = stream.read_to_end(&mut all);
            let all = String::from_utf8(all).unwrap();
            assert!(!all.contains("hello, world"), "{path}: {all}");
            let body = all.split_once("\r\n\r\n").map_or("", |(_, body)| body);
            assert!(body.len() < 5, "{path}: {all}");
        }
    }
    assert_eq!(server.get("/hello"), (200, HELLO.1.to_vec()));
    assert!(server.log_has("request 1: the guest's body is not as long as its content-length says"));
    assert!(server.log_has("broken (request 1)"));
}

#[test]
fn a_guest_that_does_not_answer_is_named() {
    let server = Server::start(&[]);
    assert_eq!(server.get("/silent").0, 502);
    assert!(server.log_has("request 1: the guest did not answer"));
    assert!(server.log_has("(request 1)\n"));
}

#[test]
fn a_head_without_a_body_is_a_whole_response() {
    let server = Server::start(&[]);
    let mut reader = BufReader::new(server.connect());
    write!(
        reader.get_mut(),
        "HEAD /hello HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"
    )
    .unwrap();
    let mut response = String::new();
    reader.read_to_string(&mut response).unwrap();
    assert!(
        response.starts_with("HTTP/1.1 200") && response.ends_with("\r\n\r\n"),
        "{response}"
    );
    assert!(server.log_has("\"HEAD /hello HTTP/1.1\" 200 0 "));
    assert!(!server.log.lock().unwrap().contains("broken"));
    // One that has a body, and loses it.
    let mut reader = BufReader::new(server.connect());
    write!(reader.get_mut(), "GET /late HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
    assert!(read_response(&mut reader).is_err());
    assert!(server.log_has("broken"));
}

#[test]
fn a_connection_serves_many_requests_and_bodies_go_both_ways() {
    let server = Server::start(&[]);
    let mut reader = BufReader::new(server.connect());
    for _ in 0..3 {
        write!(reader.get_mut(), "GET /hello HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
        let (status, body) = read_response(&mut reader).unwrap();
        assert_eq!((status, &body[..]), HELLO);
    }
    // More than all buffers between the two hold: the answer comes while the request is written.
    let sent: Vec<u8> = (0..4 << 20).map(|at: u32| (at ^ (at >> 9)) as u8).collect();
    let mut writer = reader.get_ref().try_clone().unwrap();
    let request = sent.clone();
    let writing = thread::spawn(move || {
        write!(
            writer,
            "POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n",
            request.len()
        )
        .unwrap();
        writer.write_all(&request).unwrap();
    });
    let (status, body) = read_response(&mut reader).unwrap();
    writing.join().unwrap();
    assert_eq!(status, 200);
    assert!(body == sent, "the echo differs");
}

#[test]
fn a_guest_that_fails_costs_its_own_request_only() {
    let server = Server::start(&["--timeout", "300ms", "--max-memory-size", "4M"]);
    thread::scope(|scope| {
        for index in 0..24 {
            let server = &server;
            scope.spawn(move || {
                for path in ["/trap", "/loop", "/grow", "/hello", "/silent", "/hello"]
                    .iter()
                    .cycle()
                    .skip(index)
                    .take(6)
                {
                    let (status, body) = server.get(path);
                    match *path {
                        "/trap" | "/silent" => assert_eq!(status, 502, "{path}"),
                        "/loop" => assert_eq!(status, 504, "{path}"),
                        _ => assert_eq!((status, &body[..]), HELLO, "{path}"),
                    }
                }
            });
        }
    });
    assert!(server.log_has("wasm trap"));
    assert!(server.log_has("it took longer than 300ms"));
}

#[test]
fn a_trap_in_the_middle_of_a_body_is_not_its_end() {
    let server = Server::start(&[]);
    let mut stream = server.connect();
    write!(stream, "GET /late HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
    let broken = read_response(&mut BufReader::new(stream));
    assert!(broken.is_err(), "{broken:?}");
    assert!(server.log_has(" broken (request 1)\n"));
}

/// Bytes of memory that a process uses now.
pub(crate) fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
}

#[test]
fn a_long_body_costs_no_memory_and_a_client_may_leave() {
    let server = Server::start(&["--max-requests-in-flight", "2"]);
    server.get("/hello");
    let before = resident(server.child.id());
    for _ in 0..4 {
        let mut stream = server.connect();
        write!(stream, "GET /big HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
        let mut buffer = vec![0; 1 << 20];
        let mut bytes = 0;
        while bytes < 32 << 20 {
            let count = stream.read(&mut buffer).unwrap();
            assert!(count > 0, "it ends after {bytes} bytes");
            bytes += count;
        }
        let now = resident(server.child.id());
        assert!(now < before + (24 << 20), "from {before} to {now} bytes");
        // With these words the client is gone, and its guest soon.
    }
    let (status, body) = server.get("/hello");
    assert_eq!((status, &body[..]), HELLO);
}

#[test]
fn metrics_count_what_happened() {
    let server = Server::start(&["--metrics", "127.0.0.1:0", "--no-access-log"]);
    assert_eq!((server.get("/hello").0, server.get("/trap").0), (200, 502));
    let text = server.metrics();
    for line in [
        "cellwall_responses_total{status=\"2xx\"} 1",
        "cellwall_responses_total{status=\"5xx\"} 1",
        "cellwall_requests_total 2",
        "cellwall_guest_traps_total 1",
        "cellwall_guest_timeouts_total 0",
    ] {
        assert!(text.lines().any(|own| own == line), "{line} is not in\n{text}");
    }
}

#[test]
fn a_termination_lets_requests_finish() {
    let mut server = Server::start(&[]);
    let mut reader = BufReader::new(server.connect());
    write!(
        reader.get_mut(),
        "POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nhello"
    )
    .unwrap();
    // Until the guest has begun to answer.
    assert!(!reader.fill_buf().unwrap().is_empty());
    server.signal();
    while TcpStream::connect(server.addr).is_ok() {
        thread::sleep(Duration::from_millis(10));
    }
    reader.get_mut().write_all(b"world").unwrap();
    let (status, body) = read_response(&mut reader).unwrap();
    assert_eq!((status, &body[..]), (200, &b"helloworld"[..]));
    let status = server.child.wait().unwrap();
    assert_eq!(status.code(), Some(0));
}

/// Whether the server closes a connection without another word.
fn is_closed(mut stream: &TcpStream) -> bool {
    use std::io::ErrorKind::{TimedOut, WouldBlock};
    match stream.read(&mut [0; 4096]) {
        Ok(bytes) => bytes == 0,
        Err(error) => !matches!(error.kind(), TimedOut | WouldBlock),
    }
}

#[test]
fn the_idlest_connection_makes_room_and_a_busy_one_does_not() {
    let server = Server::start(&["--max-connections", "3"]);
    let mut busy = BufReader::new(server.connect());
    write!(
        busy.get_mut(),
        "POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nhello"
    )
    .unwrap();
    assert!(!busy.fill_buf().unwrap().is_empty());
    let silent = server.connect();
    let mut idle = BufReader::new(server.connect());
    let hello = |idle: &mut BufReader<TcpStream>| {
        write!(idle.get_mut(), "GET /hello HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
        read_response(idle).unwrap()
    };
    assert_eq!(hello(&mut idle), (HELLO.0, HELLO.1.to_vec()));
    // The fourth: who never said anything goes.
    let mut fourth = BufReader::new(server.connect());
    assert_eq!(hello(&mut fourth), (HELLO.0, HELLO.1.to_vec()));
    assert!(is_closed(&silent));
    // The fifth: who had nothing to say for the longest time goes.
    let mut fifth = BufReader::new(server.connect());
    assert_eq!(hello(&mut fifth), (HELLO.0, HELLO.1.to_vec()));
    assert!(is_closed(idle.get_ref()));
    assert_eq!(hello(&mut fourth), (HELLO.0, HELLO.1.to_vec()));
    busy.get_mut().write_all(b"world").unwrap();
    let (status, body) = read_response(&mut busy).unwrap();
    assert_eq!((status, &body[..]), (200, &b"helloworld"[..]));
}

#[test]
fn a_connection_without_a_request_is_closed_and_one_with_a_request_is_not() {
    let server = Server::start(&["--idle-timeout", "300ms"]);
    let mut busy = BufReader::new(server.connect());
    write!(
        busy.get_mut(),
        "POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nhello"
    )
    .unwrap();
    assert!(!busy.fill_buf().unwrap().is_empty());
    let says = |what: &str| {
        let mut stream = server.connect();
        stream.write_all(what.as_bytes()).unwrap();
        stream
    };
    // The words of HTTP/2 and no settings of the client.
    let preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    let idle = ["", "PRI * HT", "GET /hello HTTP/1.1\r\nhost:", preface].map(says);
    for mut stream in idle {
        // Whatever the server says of itself, it ends.
        let mut all = Vec::new();
        let _ = stream.read_to_end(&mut all);
    }
    let mut kept = BufReader::new(says("GET /hello HTTP/1.1\r\nhost: a\r\n\r\n"));
    let answer = read_response(&mut kept).unwrap();
    assert_eq!(answer, (HELLO.0, HELLO.1.to_vec()));
    assert!(is_closed(kept.get_ref()));
    busy.get_mut().write_all(b"world").unwrap();
    let (status, body) = read_response(&mut busy).unwrap();
    assert_eq!((status, &body[..]), (200, &b"helloworld"[..]));
}

#[test]
fn a_client_that_sends_too_little_loses_its_place() {
    let server = Server::start(&["--client-timeout", "400ms", "--max-requests-in-flight", "1"]);
    let begin = |path: &str, bytes: usize| {
        let mut stream = server.connect();
        let head = format!("POST {path} HTTP/1.1\r\nhost: a\r\ncontent-length: {bytes}\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        stream
    };
    // Nothing at all.
    let silent = begin("/sink", 1000);
    assert_eq!(read_response(&mut BufReader::new(silent)).unwrap().0, 408);
    // A byte now and then, each in time.
    let mut slow = begin("/sink", 1000);
    let mut reader = BufReader::new(slow.try_clone().unwrap());
    let trickle = thread::spawn(move || {
        while slow.write_all(b"x").is_ok() {
            thread::sleep(Duration::from_millis(50));
        }
    });
    assert_eq!(read_response(&mut reader).unwrap().0, 408);
    reader.get_ref().shutdown(std::net::Shutdown::Both).unwrap();
    trickle.join().unwrap();
    assert!(server.log_has("its client was too slow"));
    // All of it.
    let mut whole = begin("/sink", 1 << 20);
    whole.write_all(&vec![1; 1 << 20]).unwrap();
    let answer = read_response(&mut BufReader::new(whole)).unwrap();
    assert_eq!(answer, (HELLO.0, HELLO.1.to_vec()));
}

/// What the system keeps for it is not so much that it looks as if it took nothing.
#[test]
fn a_client_that_is_slow_but_steady_is_served_on() {
    let server = Server::start(&["--client-timeout", "2s", "--metrics", "127.0.0.1:0"]);
    let mut stream = server.connect();
    write!(stream, "GET /big HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
    let (begin, mut part) = (Instant::now(), vec![0; 16 << 10]);
    while begin.elapsed() < Duration::from_secs(5) {
        stream.read_exact(&mut part).unwrap();
        thread::sleep(Duration::from_millis(50));
    }
    assert!(server.metrics().contains("cellwall_guest_stops_total 0"));
    // One that takes nothing any more is gone.
    while !server.metrics().contains("cellwall_guest_stops_total 1") {
        assert!(begin.elapsed() < Duration::from_secs(60), "it is still served");
        thread::sleep(Duration::from_millis(100));
    }
    assert!(server.log_has("its client was too slow"));
}

#[test]
fn a_client_that_sends_nothing_more_is_answered_and_one_that_is_gone_is_noticed() {
    let server = Server::start(&["--timeout", "1s"]);
    for (request, status) in [
        ("GET /hello HTTP/1.1\r\nhost: a\r\n\r\n", 200),
        ("GET /loop HTTP/1.1\r\nhost: a\r\n\r\n", 504),
        (
            "POST /sink HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc",
            200,
        ),
    ] {
        let mut stream = server.connect();
        stream.write_all(request.as_bytes()).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut reader = BufReader::new(stream);
        assert_eq!(read_response(&mut reader).unwrap().0, status, "{request}");
        assert!(is_closed(reader.get_ref()), "{request}");
    }
    // One that ends in the middle of what it has to say.
    let mut stream = server.connect();
    write!(
        stream,
        "POST /sink HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\na"
    )
    .unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    assert!(!matches!(
        read_response(&mut BufReader::new(stream)),
        Ok((200, _))
    ));

    let server = Server::start(&["--timeout", "90s", "--metrics", "127.0.0.1:0"]);
    let mut stream = server.connect();
    write!(stream, "GET /loop HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
    let is = |line: &str| server.metrics().lines().any(|own| own == line);
    while !is("cellwall_requests_in_flight 1") {
        thread::sleep(Duration::from_millis(10));
    }
    drop(stream);
    while is("cellwall_requests_in_flight 1") {
        thread::sleep(Duration::from_millis(50));
    }
    assert!(is("cellwall_guest_stops_total 1"), "{}", server.metrics());
}

#[test]
fn a_body_that_no_guest_reads_does_not_take_the_answer_away() {
    let server = Server::start(&[]);
    for bytes in [1, 100_000, 8 << 20] {
        let mut reader = BufReader::new(server.connect());
        let head = format!("POST /hello HTTP/1.1\r\nhost: a\r\ncontent-length: {bytes}\r\n\r\n");
        reader.get_mut().write_all(head.as_bytes()).unwrap();
        // As clients do that look for an answer at the end only.
        reader.get_mut().write_all(&vec![b'x'; bytes]).unwrap();
        let answer = read_response(&mut reader).unwrap_or_else(|why| panic!("{bytes}: {why}"));
        assert_eq!(answer, (HELLO.0, HELLO.1.to_vec()), "{bytes}");
    }
}

#[test]
fn requests_that_come_at_once_are_answered_in_order() {
    let server = Server::start(&["--timeout", "500ms"]);
    let mut reader = BufReader::new(server.connect());
    let paths = ["/hello", "/loop", "/once", "/trap", "/echo", "/hello"];
    let mut requests = String::new();
    for path in paths {
        let method = if path == "/echo" { "POST" } else { "GET" };
        let length = if path == "/echo" {
            "content-length: 5\r\n\r\nhello"
        } else {
            "\r\n"
        };
        requests += &format!("{method} {path} HTTP/1.1\r\nhost: a\r\n{length}");
    }
    reader.get_mut().write_all(requests.as_bytes()).unwrap();
    for path in paths {
        let (status, body) = read_response(&mut reader).unwrap_or_else(|why| panic!("{path}: {why}"));
        match path {
            "/loop" => assert_eq!(status, 504),
            "/trap" => assert_eq!(status, 502),
            "/once" => assert_eq!((status, &body[..]), (200, &b"1\n"[..])),
            "/echo" => assert_eq!((status, &body[..]), (200, &b"hello"[..])),
            _ => assert_eq!((status, &body[..]), HELLO, "{path}"),
        }
    }
}

#[test]
fn what_is_no_request_or_too_large_is_refused_and_others_are_served() {
    let server = Server::start(&[]);
    let status = |request: &str| {
        let mut reader = BufReader::new(server.connect());
        // The server may have had enough before all of it was sent.
        let _ = reader.get_mut().write_all(request.as_bytes());
        read_response(&mut reader).map(|(status, _)| status)
    };
    let fields = |count| (0..count).map(|at| format!("x-{at}: y\r\n")).collect::<String>();
    let with = |fields: &str| format!("GET /hello HTTP/1.1\r\nhost: a\r\n{fields}\r\n");
    assert_eq!(status(&with(&fields(80))), Ok(200));
    assert_eq!(status(&with(&fields(2000))), Ok(431));
    let long = "x".repeat(100_000);
    assert_eq!(status(&with(&format!("x: {long}\r\n"))), Ok(200));
    let longer = "x".repeat(1 << 20);
    assert_eq!(status(&with(&format!("x: {longer}\r\n"))), Ok(431));
    let path = "x".repeat(70_000);
    assert_eq!(
        status(&format!("GET /{path} HTTP/1.1\r\nhost: a\r\n\r\n")),
        Ok(414)
    );
    for request in [
        "GET /hello HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nxx",
        "GET /hello HTTP/1.1\r\nhost: a\r\ncontent-length: +1\r\n\r\nx",
        "GET /hello HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked, identity\r\n\r\n",
        "GET /hello HTTP/1.1\r\nhost : a\r\n\r\n",
        "GET /hello HTTP/1.1\r\nhost: a\r\n folded: b\r\n\r\n",
        "GET /hel lo HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET /hello HTTP/3.0\r\nhost: a\r\n\r\n",
        "\0\x01\x02\r\n\r\n",
    ] {
        let status = status(request);
        assert!(matches!(status, Err(_) | Ok(400)), "{request:?}: {status:?}");
    }
    // A body whose chunks are none ends the guest's reading with an error, on which this one traps.
    let status = status("POST /sink HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n");
    assert!(matches!(status, Err(_) | Ok(400 | 502)), "{status:?}");
    assert_eq!(server.get("/hello"), (HELLO.0, HELLO.1.to_vec()));
}

#[test]
fn what_takes_too_long_is_answered_also_at_the_end() {
    let mut server = Server::start(&["--timeout", "700ms", "--max-requests-in-flight", "1"]);
    let mut looping = BufReader::new(server.connect());
    write!(looping.get_mut(), "GET /loop HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
    thread::sleep(Duration::from_millis(100));
    // It waits for its place until then.
    let mut waiting = BufReader::new(server.connect());
    write!(waiting.get_mut(), "GET /loop HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
    thread::sleep(Duration::from_millis(100));
    server.signal();
    assert_eq!(read_response(&mut looping).unwrap().0, 504);
    let (status, _) = read_response(&mut waiting).unwrap();
    assert!(matches!(status, 502..=504), "{status}");
    assert_eq!(server.child.wait().unwrap().code(), Some(0));
}

#[test]
fn what_cannot_be_served_is_refused() {
    let run = |args: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_cellwall"))
            .args(args)
            .env_clear()
            .output();
        let output = output.expect("the command can be started");
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    };
    let data = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/component.wat");
    let (status, text) = run(&["serve", "--no-cache", data]);
    assert_eq!(status, Some(1), "{text}");
    assert!(
        text.contains("incoming-handler") || text.contains("import"),
        "{text}"
    );
    let (status, text) = run(&["serve", "--connect", "a b", "x.wasm"]);
    assert_eq!(status, Some(2), "{text}");
    assert!(text.contains("neither a name nor an address"), "{text}");
}
