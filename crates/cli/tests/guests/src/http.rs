//! `wasi:http`: the resources, and requests to the server whose authority is given.

use wasip2::http::outgoing_handler::handle;
use wasip2::http::types::{
    Fields, FutureIncomingResponse, HeaderError, IncomingBody, Method, OutgoingBody, OutgoingRequest, RequestOptions, Scheme,
};

pub fn run(rest: &[&str]) {
    match rest {
        ["types"] => types(),
        ["get", authority, path, times @ ..] => {
            for _ in 0..times.first().map_or(1, |n| n.parse().expect("a number")) {
                println!("{}", get(Scheme::Http, authority, path));
            }
        }
        ["get-https", authority, path] => println!("{}", get(Scheme::Https, authority, path)),
        ["faults", authority] => faults(authority),
        ["bodies", authority] => bodies(authority),
        ["upload", authority, path, bytes] => println!("{}", upload(authority, path, bytes.parse().expect("a number"))),
        _ => panic!("no such part of http: {rest:?}"),
    }
}

fn word<T>(result: Result<T, HeaderError>) -> String {
    match result {
        Ok(_) => "ok".to_owned(),
        Err(HeaderError::InvalidSyntax) => "invalid-syntax".to_owned(),
        Err(HeaderError::Forbidden) => "forbidden".to_owned(),
        Err(HeaderError::Immutable) => "immutable".to_owned(),
    }
}

fn types() {
    let f = Fields::new();
    println!("append {} set {} has {}", word(f.append("a", b"1")), word(f.set("b", &[b"2".to_vec(), b"3".to_vec()])), f.has("B"));
    println!("get {:?} missing {:?}", f.get("A"), f.get("c"));
    println!("append more {} {:?}", word(f.append("A", b"")), f.get("a"));
    let mut entries = f.entries();
    entries.sort();
    println!("{entries:?}");
    println!("delete {} {} {}", word(f.delete("a")), word(f.delete("never")), f.has("a"));
    println!("set nothing {} {}", word(f.set("b", &[])), f.has("b"));
    for name in ["", "a b", "a:b", "é", "a\nb", "ok-_.~!#$%&'*+^`|", "UPPER"] {
        println!("name {name:?}: append {} set {} delete {} has {} get {:?}", word(f.append(name, b"x")), word(f.set(name, &[b"x".to_vec()])), word(f.delete(name)), f.has(name), f.get(name).len());
    }
    for value in [&b""[..], b"a b", b" ab ", b"a\nb", b"a\rb", b"a\0b", b"\xff", b"\t"] {
        println!("value {value:?}: append {}", word(f.append("v", value)));
    }
    for name in ["connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "transfer-encoding", "upgrade", "host", "http2-settings", "trailer", "content-length", "Connection", "HOST", "cookie"] {
        println!("{name}: append {} set {} delete {}", word(f.append(name, b"1")), word(f.set(name, &[b"1".to_vec()])), word(f.delete(name)));
    }
    println!("from-list {} {}", word(Fields::from_list(&[("a".into(), b"b".to_vec())])), word(Fields::from_list(&[("a b".into(), b"b".to_vec())])));
    println!("from-list forbidden {} bad value {}", word(Fields::from_list(&[("host".into(), b"b".to_vec())])), word(Fields::from_list(&[("a".into(), b"\n".to_vec())])));
    let request = OutgoingRequest::new(Fields::from_list(&[("x".into(), b"y".to_vec())]).expect("good ones"));
    let headers = request.headers();
    println!("request headers: append {} set {} delete {} clone append {}", word(headers.append("a", b"b")), word(headers.set("a", &[])), word(headers.delete("x")), word(headers.clone().append("a", b"b")));
    println!("defaults {:?} {:?} {:?} {:?}", request.method(), request.scheme().is_none(), request.authority(), request.path_with_query());
    for method in ["GET", "get", "FOO", "a b", "", "é"] {
        println!("method {method:?} {:?} {:?}", request.set_method(&Method::Other(method.into())).is_ok(), request.method());
    }
    println!("method put {:?} {:?}", request.set_method(&Method::Put).is_ok(), request.method());
    for scheme in ["http", "ftp", "", "1a", "a b"] {
        println!("scheme {scheme:?} {:?} {:?}", request.set_scheme(Some(&Scheme::Other(scheme.into()))).is_ok(), request.scheme());
    }
    for authority in ["localhost", "localhost:80", "localhost:99999", "a b", "", "user@host", "[::1]:80", "host:", ":80", "host/path"] {
        println!("authority {authority:?} {:?} {:?}", request.set_authority(Some(authority)).is_ok(), request.authority());
    }
    println!("authority none {:?} {:?}", request.set_authority(None).is_ok(), request.authority());
    for path in ["/", "/a?b=c", "", "a", "/a b", "/a#b", "?q", "*", "/é", "//a", "/\n"] {
        println!("path {path:?} {:?} {:?}", request.set_path_with_query(Some(path)).is_ok(), request.path_with_query());
    }
    println!("body {} again {}", request.body().is_ok(), request.body().is_ok());
    let o = RequestOptions::new();
    println!("options {:?} {:?} {:?}", o.connect_timeout(), o.first_byte_timeout(), o.between_bytes_timeout());
    println!("set {:?} {:?} {:?}", o.set_connect_timeout(Some(5)).is_ok(), o.set_first_byte_timeout(Some(6)).is_ok(), o.set_between_bytes_timeout(None).is_ok());
    println!("options {:?} {:?} {:?}", o.connect_timeout(), o.first_byte_timeout(), o.between_bytes_timeout());
    let request = OutgoingRequest::new(Fields::new());
    let body = request.body().expect("the first");
    let stream = body.write().expect("the first");
    println!("write again {}", body.write().is_ok());
    println!("unsent: check {:?} ", stream.check_write().is_ok());
    drop(stream);
    println!("finish {:?}", OutgoingBody::finish(body, None).map_err(|e| format!("{e:?}")));
}

fn request(method: &Method, scheme: &Scheme, authority: &str, path: &str, headers: &[(&str, &str)]) -> OutgoingRequest {
    let headers: Vec<(String, Vec<u8>)> = headers.iter().map(|(n, v)| (n.to_string(), v.as_bytes().to_vec())).collect();
    let request = OutgoingRequest::new(Fields::from_list(&headers).expect("good headers"));
    request.set_method(method).expect("a good method");
    request.set_scheme(Some(scheme)).expect("a good scheme");
    request.set_authority(Some(authority)).expect("a good authority");
    request.set_path_with_query(Some(path)).expect("a good path");
    request
}

/// Waits for a response: its status, some headers, its body and trailers in words.
fn answer(future: &FutureIncomingResponse) -> String {
    let response = loop {
        match future.get() {
            Some(Ok(Ok(response))) => break response,
            Some(Ok(Err(code))) => return format!("error {}", name(&format!("{code:?}"))),
            Some(Err(())) => return "taken".to_owned(),
            None => future.subscribe().block(),
        }
    };
    let status = response.status();
    let kind = response.headers().get("content-type").first().map(|v| String::from_utf8_lossy(v).into_owned());
    let headers = word(response.headers().append("a", b"b"));
    let body = response.consume().expect("the first");
    let again = response.consume().is_ok();
    let stream = body.stream().expect("the first");
    let stream_again = body.stream().is_ok();
    let mut length = 0;
    let mut start = Vec::new();
    let end = loop {
        match stream.blocking_read(1 << 16) {
            Ok(part) => {
                length += part.len();
                start.extend(part.iter().take(40 - start.len().min(40)));
            }
            Err(wasip2::io::streams::StreamError::Closed) => break "end".to_owned(),
            Err(wasip2::io::streams::StreamError::LastOperationFailed(error)) => {
                break format!("{:?}", wasip2::http::types::http_error_code(&error).map(|code| name(&format!("{code:?}")).to_owned()));
            }
        }
    };
    drop(stream);
    let trailers = IncomingBody::finish(body);
    trailers.subscribe().block();
    let trailers = match trailers.get() {
        Some(Ok(Ok(None))) => "none".to_owned(),
        Some(Ok(Ok(Some(fields)))) => format!("{:?}", fields.entries().iter().map(|(n, v)| format!("{n}={}", String::from_utf8_lossy(v))).collect::<Vec<_>>()),
        Some(Ok(Err(code))) => format!("error {}", name(&format!("{code:?}"))),
        other => format!("{:?}", other.is_some()),
    };
    format!("{status} {kind:?} {headers} {again} {stream_again} {length} {:?} {end} {trailers}", String::from_utf8_lossy(&start))
}

/// An error without what it says of this run.
fn name(code: &str) -> &str {
    code.split(['(', '{']).next().unwrap_or(code).trim_start_matches("ErrorCode::").trim()
}

fn get(scheme: Scheme, authority: &str, path: &str) -> String {
    let request = request(&Method::Get, &scheme, authority, path, &[("accept", "text/plain")]);
    let body = request.body().expect("the first");
    match handle(request, None) {
        Ok(future) => {
            OutgoingBody::finish(body, None).expect("it is empty");
            let told = answer(&future);
            format!("{told} {}", matches!(future.get(), Some(Err(()))))
        }
        Err(code) => format!("refused {}", name(&format!("{code:?}"))),
    }
}

pub fn try_get(authority: &str) -> String {
    get(Scheme::Http, authority, "/")
}

fn faults(authority: &str) {
    for (scheme, authority, path) in [
        (Scheme::Http, "127.0.0.1:9", "/"),
        (Scheme::Http, "localhost:99999", "/"),
        (Scheme::Http, "nowhere.invalid", "/"),
        (Scheme::Other("WS".into()), authority, "/"),
    ] {
        let r = OutgoingRequest::new(Fields::new());
        let set = (r.set_scheme(Some(&scheme)).is_ok(), r.set_authority(Some(authority)).is_ok(), r.set_path_with_query(Some(path)).is_ok());
        match handle(r, None) {
            Ok(future) => println!("{scheme:?} {authority} {set:?} {}", answer(&future)),
            Err(code) => println!("{scheme:?} {authority} {set:?} refused {}", name(&format!("{code:?}"))),
        }
    }
    let r = OutgoingRequest::new(Fields::new());
    match handle(r, None) {
        Ok(future) => println!("nothing set {}", answer(&future)),
        Err(code) => println!("nothing set: refused {}", name(&format!("{code:?}"))),
    }
    let r = OutgoingRequest::new(Fields::new());
    let set = (r.set_scheme(Some(&Scheme::Http)).is_ok(), r.set_authority(Some(authority)).is_ok());
    match handle(r, None) {
        Ok(future) => println!("no path {set:?} {}", answer(&future)),
        Err(code) => println!("no path {set:?} refused {}", name(&format!("{code:?}"))),
    }
    let o = RequestOptions::new();
    let _ = o.set_first_byte_timeout(Some(1_000_000_000));
    match handle(request(&Method::Connect, &Scheme::Http, authority, "/", &[]), Some(o)) {
        Ok(future) => println!("another version: {}", answer(&future)),
        Err(code) => println!("another version: refused {}", name(&format!("{code:?}"))),
    }
    for (which, options) in [("first byte", "/slow"), ("between bytes", "/halting")] {
        let o = RequestOptions::new();
        let _ = o.set_first_byte_timeout(Some(200_000_000));
        let _ = o.set_between_bytes_timeout(Some(200_000_000));
        let r = request(&Method::Get, &Scheme::Http, authority, options, &[]);
        match handle(r, Some(o)) {
            Ok(future) => println!("{which}: {}", answer(&future)),
            Err(code) => println!("{which}: refused {}", name(&format!("{code:?}"))),
        }
    }
    for path in ["/cut", "/garbage", "/status/404", "/status/500", "/empty", "/trailers", "/redirect", "/chunked", "/big"] {
        println!("{path}: {}", get(Scheme::Http, authority, path));
    }
}

fn post(authority: &str, method: Method, headers: &[(&str, &str)], parts: &[&[u8]], trailers: Option<&[(&str, &str)]>) -> String {
    let r = request(&method, &Scheme::Http, authority, "/echo", headers);
    let body = r.body().expect("the first");
    let stream = body.write().expect("the first");
    let future = match handle(r, None) {
        Ok(future) => future,
        Err(code) => return format!("refused {}", name(&format!("{code:?}"))),
    };
    let mut wrote = "written".to_owned();
    'parts: for part in parts {
        let mut rest = *part;
        while !rest.is_empty() {
            match stream.check_write() {
                Ok(0) => stream.subscribe().block(),
                Ok(n) => {
                    let n = rest.len().min(n as usize);
                    if let Err(error) = stream.write(&rest[..n]) {
                        wrote = format!("write {}", name(&format!("{error:?}")));
                        break 'parts;
                    }
                    rest = &rest[n..];
                }
                Err(error) => {
                    wrote = format!("check {}", name(&format!("{error:?}")));
                    break 'parts;
                }
            }
        }
    }
    if wrote == "written" {
        let _ = stream.blocking_flush();
    }
    drop(stream);
    let trailers = trailers.map(|list| {
        let list: Vec<(String, Vec<u8>)> = list.iter().map(|(n, v)| (n.to_string(), v.as_bytes().to_vec())).collect();
        Fields::from_list(&list).expect("good trailers")
    });
    let finished = match OutgoingBody::finish(body, trailers) {
        Ok(()) => "finished".to_owned(),
        Err(code) => format!("finish {code:?}"),
    };
    format!("{wrote} {finished} {}", answer(&future))
}

/// Sends so many bytes, in parts.
fn upload(authority: &str, path: &str, bytes: u64) -> String {
    let r = request(&Method::Post, &Scheme::Http, authority, path, &[]);
    let body = r.body().expect("the first");
    let stream = body.write().expect("the first");
    let future = handle(r, None).expect("it can be sent");
    let ready = stream.subscribe();
    let part = vec![b'u'; 1 << 16];
    let mut left = bytes;
    while left > 0 {
        let permitted = stream.check_write().expect("it is open");
        if permitted == 0 {
            ready.block();
            continue;
        }
        let now = permitted.min(left).min(part.len() as u64);
        stream.write(&part[..now as usize]).expect("it was permitted");
        left -= now;
    }
    stream.blocking_flush().expect("it is open");
    drop((ready, stream));
    OutgoingBody::finish(body, None).expect("it is whole");
    answer(&future)
}

fn bodies(authority: &str) {
    let small: &[&[u8]] = &[b"hello, ", b"world"];
    println!("post {}", post(authority, Method::Post, &[("content-type", "text/plain")], small, None));
    println!("put {}", post(authority, Method::Put, &[], small, None));
    println!("patch {}", post(authority, Method::Patch, &[], small, None));
    println!("delete {}", post(authority, Method::Delete, &[], &[], None));
    println!("head {}", post(authority, Method::Head, &[], &[], None));
    println!("options {}", post(authority, Method::Options, &[], &[], None));
    println!("other {}", post(authority, Method::Other("FROB".into()), &[], small, None));
    println!("empty {}", post(authority, Method::Post, &[], &[], None));
    let big = vec![b'q'; 3_000_000];
    println!("big {}", post(authority, Method::Post, &[], &[&big], None));
    println!("length {}", post(authority, Method::Post, &[("content-length", "12")], small, None));
    println!("length, too little {}", post(authority, Method::Post, &[("content-length", "20")], small, None));
    println!("length, too much {}", post(authority, Method::Post, &[("content-length", "5")], small, None));
    println!("length, much too much {}", post(authority, Method::Post, &[("content-length", "5")], &[&big], None));
    println!("length, no number {}", word(Fields::from_list(&[("content-length".into(), b"x".to_vec())])));
    println!("trailers {}", post(authority, Method::Post, &[], small, Some(&[("x-sum", "7")])));
    // A body that is dropped, not finished.
    let r = request(&Method::Post, &Scheme::Http, authority, "/echo", &[]);
    let body = r.body().expect("the first");
    let stream = body.write().expect("the first");
    let future = handle(r, None).expect("it can be sent");
    let _ = stream.blocking_write_and_flush(b"half");
    drop(stream);
    drop(body);
    println!("dropped {}", answer(&future));
    // A response that nobody waits for.
    let r = request(&Method::Get, &Scheme::Http, authority, "/slow", &[]);
    drop(handle(r, None).expect("it can be sent"));
    println!("dropped future");
}
