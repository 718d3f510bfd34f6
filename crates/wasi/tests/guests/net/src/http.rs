//! A client of HTTP, and the handler.

use crate::exports::wasi::http::incoming_handler::Guest;
use crate::wasi::http::outgoing_handler::handle;
use crate::wasi::http::types::{
    ErrorCode, Fields, IncomingBody, IncomingRequest, IncomingResponse, Method, OutgoingBody, OutgoingRequest,
    OutgoingResponse, ResponseOutparam, Scheme, Trailers,
};
use crate::wasi::io::streams::{InputStream, StreamError};
use crate::{check, fill, name, Net};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

/// The trailer that tests send.
const SUM: &str = "x-sum";

/// The error of HTTP behind that of a stream, if it is one.
fn stream_error(error: StreamError) -> String {
    match error {
        StreamError::Closed => "closed".to_string(),
        StreamError::LastOperationFailed(error) => match crate::wasi::http::types::http_error_code(&error) {
            Some(code) => name(code),
            None => error.to_debug_string(),
        },
    }
}

fn request(method: &Method, tls: bool, authority: &str, path: &str) -> Result<OutgoingRequest, String> {
    // Without these two, HTTP/1.1 has no trailers (RFC 9110, 6.5.1).
    let fields = Fields::new();
    fields.append("te", b"trailers").map_err(name)?;
    fields.append("trailer", SUM.as_bytes()).map_err(name)?;
    let request = OutgoingRequest::new(fields);
    let scheme = if tls { Scheme::Https } else { Scheme::Http };
    let set = request
        .set_method(method)
        .and_then(|()| request.set_scheme(Some(&scheme)))
        .and_then(|()| request.set_authority(Some(authority)))
        .and_then(|()| request.set_path_with_query(Some(path)));
    set.map_err(|()| "a part of the request was refused".to_string())?;
    Ok(request)
}

fn response(future: crate::wasi::http::types::FutureIncomingResponse) -> Result<IncomingResponse, String> {
    loop {
        match future.get() {
            None => future.subscribe().block(),
            Some(Ok(response)) => return response.map_err(name),
            Some(Err(())) => return Err("the response was got before".to_string()),
        }
    }
}

/// Hands all parts of a body on; its trailers.
fn read(
    body: IncomingBody,
    mut each: impl FnMut(&[u8]) -> Result<(), String>,
) -> Result<Option<Trailers>, String> {
    let stream: InputStream = body.stream().map_err(|()| "no stream".to_string())?;
    loop {
        match stream.blocking_read(1 << 16) {
            Ok(part) => each(&part)?,
            Err(StreamError::Closed) => break,
            Err(error) => return Err(stream_error(error)),
        }
    }
    drop(stream);
    let trailers = IncomingBody::finish(body);
    loop {
        match trailers.get() {
            None => trailers.subscribe().block(),
            Some(Ok(trailers)) => return trailers.map_err(name),
            Some(Err(())) => return Err("the trailers were got before".to_string()),
        }
    }
}

fn sum(trailers: Option<Trailers>) -> Option<String> {
    let value = trailers?.get(SUM).pop()?;
    String::from_utf8(value).ok()
}

fn trailers(sum: &str) -> Result<Trailers, String> {
    let fields = Fields::new();
    fields.append(SUM, sum.as_bytes()).map_err(name)?;
    Ok(fields)
}

/// Writes `length` bytes of the pattern, and ends the body.
fn write(body: OutgoingBody, length: u64, sum: Option<&str>) -> Result<(), String> {
    let stream = body.write().map_err(|()| "no stream".to_string())?;
    let mut buffer = vec![0; 1 << 16];
    let mut written = 0;
    while written < length {
        match stream.check_write().map_err(stream_error)?.min(length - written) {
            0 => stream.subscribe().block(),
            permitted => {
                let part = &mut buffer[..permitted.min(1 << 16) as usize];
                fill(part, written);
                stream.write(part).map_err(stream_error)?;
                written += part.len() as u64;
            }
        }
    }
    drop(stream);
    let trailers = sum.map(trailers).transpose()?;
    OutgoingBody::finish(body, trailers).map_err(name)
}

pub fn get(tls: bool, authority: &str, path: &str) -> Result<(u16, u64, Option<String>), String> {
    let request = request(&Method::Get, tls, authority, path)?;
    let response = response(handle(request, None).map_err(name)?)?;
    let body = response.consume().map_err(|()| "no body".to_string())?;
    let mut length = 0;
    let trailers = read(body, |part| {
        check(part, length)?;
        length += part.len() as u64;
        Ok(())
    })?;
    Ok((response.status(), length, sum(trailers)))
}

pub fn put(tls: bool, authority: &str, path: &str, length: u64) -> Result<(u16, String), String> {
    let request = request(&Method::Put, tls, authority, path)?;
    let body = request.body().map_err(|()| "no body".to_string())?;
    let future = handle(request, None).map_err(name)?;
    write(body, length, Some(&format!("{length}")))?;
    let response = response(future)?;
    let body = response.consume().map_err(|()| "no body".to_string())?;
    let mut answer = Vec::new();
    read(body, |part| {
        answer.extend_from_slice(part);
        Ok(())
    })?;
    Ok((response.status(), String::from_utf8_lossy(&answer).into_owned()))
}

impl Guest for Net {
    /// `/pattern/N` answers with N bytes of the pattern and the trailer; `/count` says how many bytes of
    /// the pattern came, and the trailer after them; `/echo` sends everything back, trailers too.
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        if let Err(error) = answer(&request, out) {
            // Whoever reads the body sees that it is not whole.
            panic!("{error}");
        }
    }
}

fn respond(out: ResponseOutparam) -> Result<OutgoingBody, String> {
    let fields = Fields::new();
    fields.append("trailer", SUM.as_bytes()).map_err(name)?;
    let response = OutgoingResponse::new(fields);
    let body = response.body().map_err(|()| "no body".to_string())?;
    ResponseOutparam::set(out, Ok(response));
    Ok(body)
}

fn answer(request: &IncomingRequest, out: ResponseOutparam) -> Result<(), String> {
    let path = request.path_with_query().unwrap_or_default();
    if let Some(length) = path.strip_prefix("/pattern/") {
        let length: u64 = length.parse().map_err(|_| "no number".to_string())?;
        return write(respond(out)?, length, Some(&format!("{length}")));
    }
    let incoming = request.consume().map_err(|()| "no body".to_string())?;
    match path.as_str() {
        "/count" => {
            let mut length = 0;
            let trailers = read(incoming, |part| {
                check(part, length)?;
                length += part.len() as u64;
                Ok(())
            })?;
            let text = format!("{length} {}", sum(trailers).unwrap_or_default());
            let body = respond(out)?;
            let stream = body.write().map_err(|()| "no stream".to_string())?;
            stream.blocking_write_and_flush(text.as_bytes()).map_err(stream_error)?;
            drop(stream);
            OutgoingBody::finish(body, None).map_err(name)
        }
        "/echo" => {
            let body = respond(out)?;
            let stream = body.write().map_err(|()| "no stream".to_string())?;
            let trailers = read(incoming, |part| {
                for part in part.chunks(4096) {
                    stream.blocking_write_and_flush(part).map_err(stream_error)?;
                }
                Ok(())
            })?;
            drop(stream);
            let sum = sum(trailers);
            OutgoingBody::finish(body, sum.as_deref().map(self::trailers).transpose()?).map_err(name)
        }
        _ => {
            let error = ErrorCode::InternalError(Some("no such path".to_string()));
            ResponseOutparam::set(out, Err(error));
            Ok(())
        }
    }
}
