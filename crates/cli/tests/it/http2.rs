//! `cellwall serve` and HTTP/2: a client that writes frames by hand (RFC 9113), well-meant and otherwise.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use crate::serve::{HELLO, Server};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;

const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;

struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Vec<u8>,
}

/// What came on a stream.
#[derive(Debug, Default, PartialEq)]
struct Answer {
    /// The first byte of the head says the status, if it is 200.
    is_ok: bool,
    body: Vec<u8>,
    /// Ended as it should, or broken off with this code.
    end: Option<Result<(), u32>>,
}

struct Client {
    stream: TcpStream,
    answers: BTreeMap<u32, Answer>,
    is_going: bool,
}

impl Client {
    /// A connection; the server may send so many bytes on each stream.
    fn connect(server: &Server, window: u32) -> Client {
        let mut client = Client {
            stream: server.connect(),
            answers: BTreeMap::new(),
            is_going: false,
        };
        client
            .stream
            .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
            .unwrap();
        let mut settings = vec![0, 4];
        settings.extend(window.to_be_bytes());
        client.send(SETTINGS, 0, 0, &settings);
        client
    }

    fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let mut frame = length[1..].to_vec();
        frame.extend([kind, flags]);
        frame.extend(stream.to_be_bytes());
        frame.extend(payload);
        self.stream.write_all(&frame).unwrap();
    }

    /// A request without a body (or whose body comes later).
    fn ask(&mut self, stream: u32, path: &str, flags: u8) {
        // `:method: GET`, `:scheme: http`, `:path`, `:authority: a` (RFC 7541, without compression).
        let mut head = vec![0x82, 0x86, 0x04, u8::try_from(path.len()).unwrap()];
        head.extend(path.as_bytes());
        head.extend([0x01, 1, b'a']);
        self.send(HEADERS, END_HEADERS | flags, stream, &head);
    }

    fn receive(&mut self) -> std::io::Result<Frame> {
        let mut head = [0; 9];
        self.stream.read_exact(&mut head)?;
        let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
        self.stream.read_exact(&mut payload)?;
        Ok(Frame {
            kind: head[3],
            flags: head[4],
            stream: u32::from_be_bytes([head[5], head[6], head[7], head[8]]),
            payload,
        })
    }

    /// Takes what comes until all these streams have ended.
    fn until_end(&mut self, streams: &[u32]) {
        let has_ended = |answers: &BTreeMap<u32, Answer>, stream| {
            answers.get(stream).is_some_and(|answer| answer.end.is_some())
        };
        while !streams.iter().all(|stream| has_ended(&self.answers, stream)) {
            self.take();
        }
    }

    fn take(&mut self) {
        let frame = self.receive().expect("the server goes on");
        let answer = self.answers.entry(frame.stream).or_default();
        match frame.kind {
            DATA => answer.body.extend(&frame.payload),
            HEADERS => answer.is_ok = frame.payload[0] == 0x88,
            RST_STREAM => {
                let code = frame.payload.try_into().expect("four bytes");
                answer.end = Some(Err(u32::from_be_bytes(code)));
                return;
            }
            SETTINGS if frame.flags & ACK == 0 => self.send(SETTINGS, ACK, 0, &[]),
            GOAWAY => self.is_going = true,
            PING if frame.flags & ACK == 0 => self.send(PING, ACK, 0, &frame.payload),
            _ => {}
        }
        if matches!(frame.kind, DATA | HEADERS)
            && frame.flags & END_STREAM != 0
            && let Some(answer) = self.answers.get_mut(&frame.stream)
        {
            answer.end = Some(Ok(()));
        }
    }

    fn is_hello(&self, stream: u32) -> bool {
        let answer = &self.answers[&stream];
        answer.is_ok && answer.body == HELLO.1 && answer.end == Some(Ok(()))
    }
}

const WINDOW: u32 = 65_535;

#[test]
fn many_streams_of_one_connection_are_answered() {
    let server = Server::start(&["--no-access-log"]);
    let mut client = Client::connect(&server, WINDOW);
    let mut streams = (0..).map(|number| 2 * number + 1);
    for _ in 0..3 {
        let now: Vec<u32> = streams.by_ref().take(150).collect();
        for &stream in &now {
            client.ask(stream, "/hello", END_STREAM);
        }
        client.until_end(&now);
        for stream in now {
            assert!(client.is_hello(stream), "{stream}: {:?}", client.answers[&stream]);
        }
    }
}

#[test]
fn a_guest_that_fails_costs_its_own_stream_only() {
    let server = Server::start(&["--timeout", "2s"]);
    let mut client = Client::connect(&server, WINDOW);
    let paths = ["/hello", "/trap", "/loop", "/late", "/silent", "/hello"];
    let streams: Vec<u32> = (0..paths.len() as u32).map(|number| 2 * number + 1).collect();
    for (&stream, path) in streams.iter().zip(paths) {
        client.ask(stream, path, END_STREAM);
    }
    client.until_end(&streams);
    for (&stream, path) in streams.iter().zip(paths) {
        let answer = &client.answers[&stream];
        match path {
            "/hello" => assert!(client.is_hello(stream), "{path}: {answer:?}"),
            "/late" => assert!(matches!(answer.end, Some(Err(_))), "{path}: {answer:?}"),
            _ => assert!(!answer.is_ok && answer.end == Some(Ok(())), "{path}: {answer:?}"),
        }
    }
}

#[test]
fn a_stream_whose_client_takes_nothing_is_gone_and_its_neighbour_is_not() {
    let server = Server::start(&["--timeout", "400ms", "--client-timeout", "400ms"]);
    let mut client = Client::connect(&server, 0);
    // Its guest has ended long before; and one whose guest waits.
    client.ask(1, "/hello", END_STREAM);
    client.ask(3, "/big", END_STREAM);
    client.until_end(&[1, 3]);
    for stream in [1, 3] {
        let answer = &client.answers[&stream];
        assert!(answer.is_ok && answer.body.is_empty(), "{answer:?}");
        assert!(matches!(answer.end, Some(Err(_))), "{answer:?}");
    }
    client.ask(5, "/hello", END_STREAM);
    client.send(WINDOW_UPDATE, 0, 5, &WINDOW.to_be_bytes());
    client.until_end(&[5]);
    assert!(client.is_hello(5), "{:?}", client.answers[&5]);
}

#[test]
fn a_client_that_takes_back_what_it_asked_for_is_served_on() {
    let server = Server::start(&["--max-requests-in-flight", "2", "--metrics", "127.0.0.1:0"]);
    let mut client = Client::connect(&server, WINDOW);
    for number in 0..12 {
        client.ask(2 * number + 1, "/loop", END_STREAM);
        client.send(RST_STREAM, 0, 2 * number + 1, &8_u32.to_be_bytes());
        thread::sleep(Duration::from_millis(1));
    }
    client.ask(101, "/hello", END_STREAM);
    client.until_end(&[101]);
    assert!(client.is_hello(101), "{:?}", client.answers[&101]);
    // Nobody works for those any more.
    let is = |line: &str| server.metrics().lines().any(|own| own == line);
    while !is("cellwall_requests_in_flight 0") {
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_termination_lets_streams_finish() {
    let mut server = Server::start(&[]);
    let mut client = Client::connect(&server, WINDOW);
    client.ask(1, "/echo", 0);
    client.send(DATA, 0, 1, b"hello");
    while client.answers.get(&1).is_none_or(|answer| answer.body.is_empty()) {
        client.take();
    }
    server.signal();
    while !client.is_going {
        client.take();
    }
    client.send(DATA, END_STREAM, 1, b"world");
    client.until_end(&[1]);
    assert_eq!(client.answers[&1].body, b"helloworld");
    assert_eq!(server.child.wait().unwrap().code(), Some(0));
}
