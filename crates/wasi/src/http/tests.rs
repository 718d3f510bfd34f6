//! Bodies and requests, without a guest.

use super::budget::Budget;
use super::client;
use super::error::HttpError;
use super::fields::Fields;
use super::incoming::{BoxBody, IncomingBody};
use super::message::{IncomingResponse, OutgoingRequest, RequestOptions};
use super::outgoing::{self, OutgoingReader, Whose};
use crate::net::Policy;
use crate::p2::{InputStream, OutputStream, Pollable, StreamError};
use bytes::Bytes;
use http::uri::Scheme;
use http_body_util::BodyExt;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::thread;
use std::time::Duration;

fn run<T>(work: impl Future<Output = T>) -> T {
    // What goes on in the background has a thread, so that tests may wait on theirs.
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap()
        .block_on(work)
}

fn collect(reader: OutgoingReader) -> Result<(Bytes, Option<http::HeaderMap>), HttpError> {
    run(async {
        let all = reader.collect().await?;
        let trailers = all.trailers().cloned();
        Ok((all.to_bytes(), trailers))
    })
}

#[test]
fn a_writer_waits_for_its_reader() {
    let (mut body, reader) = outgoing::pipe(Whose::Response, None, Budget::default().part());
    let mut stream = body.write().unwrap();
    assert!(body.write().is_none(), "there is one stream");
    let mut written = 0;
    loop {
        match stream.check_write().unwrap() {
            0 => break,
            count => stream.write(vec![1; count].into()).unwrap(),
        }
        written += 1;
        assert!(
            written < 100,
            "a body that nobody reads is buffered without limit"
        );
    }
    assert!(matches!(
        stream.write(Bytes::from_static(b"x")),
        Err(StreamError::Trap(_))
    ));
    let mut reader = Box::pin(reader);
    run(async {
        reader.frame().await.unwrap().unwrap();
        stream.ready().await;
    });
    assert!(stream.check_write().unwrap() > 0);
    drop(reader);
    assert!(matches!(stream.check_write(), Err(StreamError::Closed)));
}

#[test]
fn small_parts_have_a_limit_too() {
    let (mut body, _reader) = outgoing::pipe(Whose::Response, None, Budget::default().part());
    let mut stream = body.write().unwrap();
    let parts = (0..10_000).take_while(|_| {
        let permitted = stream.check_write().unwrap() > 0;
        permitted && stream.write(Bytes::from_static(b"x")).is_ok()
    });
    assert!(parts.count() < 10_000);
}

#[test]
fn a_body_ends_as_its_writer_said() {
    let write = |expected, bytes: &'static [u8]| {
        let (mut body, reader) = outgoing::pipe(Whose::Response, expected, Budget::default().part());
        let written = body.write().unwrap().write(Bytes::from_static(bytes));
        (body, reader, written)
    };
    let (body, reader, written) = write(None, b"abc");
    written.unwrap();
    let trailers = Fields::from_list(&Budget::default(), vec![("x-sum".to_owned(), b"6".to_vec())]).unwrap();
    body.finish(Some(trailers)).unwrap();
    let (bytes, trailers) = collect(reader).unwrap();
    assert_eq!(
        (&bytes[..], trailers.unwrap()["x-sum"].as_bytes()),
        (&b"abc"[..], &b"6"[..])
    );

    let (body, reader, _) = write(Some(3), b"abc");
    body.finish(None).unwrap();
    assert_eq!(http_body::Body::size_hint(&reader).exact(), Some(3));
    assert_eq!(collect(reader).unwrap().0, "abc");

    let (body, reader, _) = write(Some(4), b"abc");
    let short = HttpError::HttpResponseBodySize(Some(3));
    assert_eq!(body.finish(None), Err(short.clone()));
    assert_eq!(collect(reader), Err(short));

    let (_body, reader, written) = write(Some(2), b"abc");
    let Err(StreamError::LastOperationFailed(error)) = written else {
        panic!("{written:?}");
    };
    let long = HttpError::HttpResponseBodySize(Some(3));
    assert_eq!(error.downcast_ref::<HttpError>(), Some(&long));
    assert_eq!(collect(reader), Err(long));

    let (body, reader, _) = write(None, b"abc");
    drop(body);
    assert_eq!(collect(reader), Err(HttpError::HttpProtocolError));
}

#[test]
fn a_body_is_read_up_to_its_trailers() {
    run(async {
        let (mut body, reader) = outgoing::pipe(Whose::Request, None, Budget::default().part());
        let mut incoming = IncomingBody::new(Box::pin(reader) as BoxBody);
        let mut stream = incoming.stream().unwrap();
        assert!(incoming.stream().is_none(), "there is one stream");
        assert!(stream.read(10).unwrap().is_empty());
        body.write().unwrap().write(Bytes::from_static(b"hello")).unwrap();
        stream.ready().await;
        assert!(stream.read(0).unwrap().is_empty());
        assert_eq!(stream.read(2).unwrap(), "he");
        drop(stream);
        let mut trailers = incoming.finish();
        assert!(trailers.get().is_none());
        let fields = Fields::from_list(&Budget::default(), vec![("a".to_owned(), b"b".to_vec())]).unwrap();
        body.finish(Some(fields)).unwrap();
        trailers.ready().await;
        let got = trailers.get().unwrap().unwrap().unwrap().unwrap();
        assert_eq!(got.get("A"), [b"b"]);
        assert!(matches!(trailers.get(), Some(Err(()))));
    });
}

#[test]
fn an_error_of_a_body_is_told_once_to_its_reader() {
    let (body, reader) = outgoing::pipe(Whose::Request, None, Budget::default().part());
    drop(body);
    let mut incoming = IncomingBody::new(Box::pin(reader) as BoxBody);
    let mut stream = incoming.stream().unwrap();
    assert!(matches!(stream.read(1), Err(StreamError::LastOperationFailed(_))));
    assert!(matches!(stream.read(1), Err(StreamError::Closed)));
    drop(stream);
    let error = incoming.finish().get().unwrap().unwrap().unwrap_err();
    assert_eq!(error, HttpError::HttpProtocolError);
}

/// Answers one connection with `answer`, and returns the head of the request.
fn serve_once(answer: &'static [u8]) -> (u16, thread::JoinHandle<String>) {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = server.local_addr().unwrap().port();
    let serving = thread::spawn(move || {
        let (stream, _) = server.accept().unwrap();
        let mut reader = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(reader.read_line(&mut head).unwrap() > 0, "{head}");
        }
        reader.get_mut().write_all(answer).unwrap();
        // Until the client has had enough.
        let _ = reader.read_to_end(&mut Vec::new());
        head
    });
    (port, serving)
}

fn request(port: u16) -> OutgoingRequest {
    let headers = Fields::from_list(&Budget::default(), vec![("x-one".to_owned(), b"1".to_vec())]).unwrap();
    let mut request = OutgoingRequest::new(headers);
    request.scheme = Some(Scheme::HTTP);
    request.authority = Some(format!("localhost:{port}").parse().unwrap());
    request.path = Some("/a?b=c".parse().unwrap());
    request
}

fn granted() -> Policy {
    Policy {
        http: vec!["localhost".parse().unwrap()],
        ..Policy::default()
    }
}

async fn exchange(port: u16, options: RequestOptions) -> Result<IncomingResponse, HttpError> {
    let mut future = client::send(&granted(), request(port), options, None)?;
    loop {
        match future.get() {
            None => future.ready().await,
            Some(result) => {
                assert!(matches!(future.get(), Some(Err(()))));
                return result.unwrap();
            }
        }
    }
}

#[test]
fn a_request_is_sent_and_its_response_read() {
    let (port, serving) =
        serve_once(b"HTTP/1.1 203 ok\r\nx-two: 2\r\nconnection: close\r\ncontent-length: 5\r\n\r\nhello");
    run(async {
        let mut response = exchange(port, RequestOptions::default()).await.unwrap();
        assert_eq!(response.status, 203);
        assert_eq!(response.headers.get("x-two"), [b"2"]);
        assert!(!response.headers.has("connection"), "that is not the guest's");
        let mut stream = response.body.as_mut().unwrap().stream().unwrap();
        stream.ready().await;
        assert_eq!(stream.read(100).unwrap(), "hello");
        assert!(matches!(stream.read(100), Err(StreamError::Closed)));
    });
    let head = serving.join().unwrap();
    assert!(head.starts_with("GET /a?b=c HTTP/1.1\r\n"), "{head}");
    assert!(
        head.contains(&format!("host: localhost:{port}\r\n")) && head.contains("x-one: 1\r\n"),
        "{head}"
    );
}

#[test]
fn a_failed_exchange_says_why() {
    let options = RequestOptions {
        first_byte_timeout: Some(Duration::from_millis(50)),
        between_bytes_timeout: Some(Duration::from_millis(50)),
        ..RequestOptions::default()
    };
    run(async {
        let (port, serving) = serve_once(b"");
        let late = exchange(port, options).await.unwrap_err();
        assert_eq!(late, HttpError::ConnectionReadTimeout);
        serving.join().unwrap();

        let (port, serving) = serve_once(b"nonsense\r\n\r\n");
        let nonsense = exchange(port, RequestOptions::default()).await.unwrap_err();
        assert_eq!(nonsense, HttpError::HttpProtocolError);
        serving.join().unwrap();

        let (port, serving) = serve_once(b"HTTP/1.1 200 ok\r\ncontent-length: 5\r\n\r\nhe");
        let mut response = exchange(port, options).await.unwrap();
        let mut stream = response.body.as_mut().unwrap().stream().unwrap();
        assert_eq!(stream.blocking_read(10).await.unwrap(), "he");
        assert!(matches!(
            stream.blocking_read(10).await,
            Err(StreamError::LastOperationFailed(_))
        ));
        drop((stream, response));
        serving.join().unwrap();

        let closed = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let refused = exchange(closed, RequestOptions::default()).await.unwrap_err();
        assert_eq!(refused, HttpError::ConnectionRefused);
    });
}

#[test]
fn a_request_that_is_not_granted_or_not_complete_is_not_sent() {
    let send = |policy: &Policy, request| {
        client::send(policy, request, RequestOptions::default(), None).unwrap_err()
    };
    assert_eq!(
        send(&Policy::default(), request(80)),
        HttpError::HttpRequestDenied
    );
    let mut other = request(80);
    other.authority = Some("example.com".parse().unwrap());
    assert_eq!(send(&granted(), other), HttpError::HttpRequestDenied);
    let mut nowhere = request(80);
    nowhere.authority = None;
    assert_eq!(send(&granted(), nowhere), HttpError::HttpRequestUriInvalid);
    let mut strange = request(80);
    strange.scheme = Some("gopher".parse().unwrap());
    assert_eq!(send(&granted(), strange), HttpError::HttpProtocolError);
    let mut short = request(80);
    short.headers = Fields::from_list(
        &Budget::default(),
        vec![("content-length".to_owned(), b"3".to_vec())],
    )
    .unwrap();
    assert_eq!(send(&granted(), short), HttpError::HttpRequestBodySize(Some(0)));
}

#[test]
fn bodies_that_nobody_reads_share_a_budget() {
    let budget = Budget::new(100_000);
    let fill = |stream: &mut outgoing::OutgoingStream| {
        let mut written = 0;
        loop {
            match stream.check_write().unwrap() {
                0 => return written,
                count => stream.write(vec![1; count].into()).unwrap(),
            }
            written += 1;
        }
    };
    let mut all = Vec::new();
    for _ in 0..10 {
        let (mut body, reader) = outgoing::pipe(Whose::Request, None, budget.part());
        let mut stream = body.write().unwrap();
        assert!(fill(&mut stream) > 0, "a body that has nothing buffered goes on");
        all.push((body, stream, reader));
    }
    assert_eq!(
        budget.part().left() / 64,
        0,
        "the first bodies took what there was"
    );
    // Nobody is given more than the least, and once.
    let (_, last, _) = all.last_mut().unwrap();
    assert_eq!(last.check_write().unwrap(), 0);
    assert!(matches!(
        last.write(Bytes::from_static(b"x")),
        Err(StreamError::Trap(_))
    ));
    drop(all);
    assert_eq!(budget.part().left(), 100_000);
}
