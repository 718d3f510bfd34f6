//! Answers `GET /` with a greeting, `POST /shout` with the request's body in capitals, as it comes.

use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::types::{
    Fields, IncomingBody, IncomingRequest, Method, OutgoingBody, OutgoingResponse, ResponseOutparam,
};

struct Handler;

wasip2::http::proxy::export!(Handler);

impl Guest for Handler {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let path = request.path_with_query().unwrap_or_default();
        match (request.method(), path.as_str()) {
            (Method::Get, "/") => answer(out, 200, |write| write(b"Hello from Rust\n")),
            (Method::Post, "/shout") => shout(request, out),
            _ => answer(out, 404, |write| write(b"not found\n")),
        }
    }
}

fn shout(request: IncomingRequest, out: ResponseOutparam) {
    let body = request.consume().expect("it was not taken before");
    let input = body.stream().expect("it was not taken before");
    answer(out, 200, |write| {
        while let Ok(part) = input.blocking_read(65536) {
            write(&part.to_ascii_uppercase());
        }
    });
    // The stream belongs to the body: it goes first.
    drop(input);
    drop(IncomingBody::finish(body));
}

/// Sends a response whose body `fill` writes in parts; a client that went away gets no more.
fn answer(out: ResponseOutparam, status: u16, fill: impl FnOnce(&dyn Fn(&[u8]))) {
    let headers = Fields::from_list(&[("content-type".into(), b"text/plain".to_vec())]).expect("it is a good header");
    let response = OutgoingResponse::new(headers);
    response.set_status_code(status).expect("it is a good status");
    let body = response.body().expect("it was not taken before");
    ResponseOutparam::set(out, Ok(response));
    let output = body.write().expect("it was not taken before");
    fill(&|bytes| {
        for part in bytes.chunks(4096) {
            let _ = output.blocking_write_and_flush(part);
        }
    });
    drop(output);
    let _ = OutgoingBody::finish(body, None);
}
