//! Requests and responses of a guest, before they are sent and after they came.

use super::budget::{Budget, Charge};
use super::error::{FieldsError, HttpError};
use super::fields::Fields;
use super::incoming::{BoxBody, IncomingBody};
use super::outgoing::{self, OutgoingBody, OutgoingReader, Whose};
use http::uri::{Authority, PathAndQuery, Scheme, Uri};
use http::{Method, Request, Response, StatusCode, header};
use std::pin::Pin;
use std::time::Duration;

/// `outgoing-request`.
#[derive(Debug)]
pub struct OutgoingRequest {
    pub(super) method: Method,
    pub(super) scheme: Option<Scheme>,
    pub(super) authority: Option<Authority>,
    pub(super) path: Option<PathAndQuery>,
    pub(super) headers: Fields,
    pub(super) body: Option<OutgoingReader>,
    /// For the request line.
    line: Option<Charge>,
}

impl OutgoingRequest {
    pub(super) fn new(headers: Fields) -> OutgoingRequest {
        OutgoingRequest {
            method: Method::GET,
            scheme: None,
            authority: None,
            path: None,
            headers: headers.frozen(),
            body: None,
            line: None,
        }
    }

    /// Counts the bytes of the request line, after each change of it.
    pub(super) fn charge_line(&mut self, budget: &Budget) -> Result<(), FieldsError> {
        let path = self.path.as_ref().map_or(0, |path| path.as_str().len());
        let authority = self
            .authority
            .as_ref()
            .map_or(0, |authority| authority.as_str().len());
        let charge = self.line.get_or_insert_with(|| budget.part());
        match charge.resize(self.method.as_str().len() + path + authority) {
            true => Ok(()),
            false => Err(FieldsError::TooLarge),
        }
    }

    /// Its body, the first time.
    pub(super) fn body(&mut self, budget: &Budget) -> Option<OutgoingBody> {
        new_body(&mut self.body, Whose::Request, &self.headers, budget)
    }
}

fn new_body(
    slot: &mut Option<OutgoingReader>,
    whose: Whose,
    headers: &Fields,
    budget: &Budget,
) -> Option<OutgoingBody> {
    if slot.is_some() {
        return None;
    }
    let (body, reader) = outgoing::pipe(whose, headers.content_length(), budget.part());
    *slot = Some(reader);
    Some(body)
}

/// `request-options`.
#[derive(Debug, Clone, Copy, Default)]
pub struct RequestOptions {
    pub(super) connect_timeout: Option<Duration>,
    pub(super) first_byte_timeout: Option<Duration>,
    pub(super) between_bytes_timeout: Option<Duration>,
}

/// `outgoing-response`.
#[derive(Debug)]
pub struct OutgoingResponse {
    pub(super) status: StatusCode,
    pub(super) headers: Fields,
    pub(super) body: Option<OutgoingReader>,
}

impl OutgoingResponse {
    pub(super) fn new(headers: Fields) -> OutgoingResponse {
        OutgoingResponse {
            status: StatusCode::OK,
            headers: headers.frozen(),
            body: None,
        }
    }

    /// Its body, the first time.
    pub(super) fn body(&mut self, budget: &Budget) -> Option<OutgoingBody> {
        new_body(&mut self.body, Whose::Response, &self.headers, budget)
    }

    pub(super) fn into_http(self) -> Response<ResponseBody> {
        let mut response = Response::new(ResponseBody(self.body));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers.into_map();
        response
    }
}

/// The body of a guest's response, as a server sends it.
#[derive(Debug)]
pub struct ResponseBody(Option<OutgoingReader>);

impl http_body::Body for ResponseBody {
    type Data = bytes::Bytes;
    type Error = HttpError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<bytes::Bytes>, HttpError>>> {
        match &mut self.0 {
            Some(body) => Pin::new(body).poll_frame(context),
            None => std::task::Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(http_body::Body::is_end_stream)
    }

    fn size_hint(&self) -> http_body::SizeHint {
        match &self.0 {
            Some(body) => body.size_hint(),
            None => http_body::SizeHint::with_exact(0),
        }
    }
}

/// `incoming-request`.
#[derive(Debug)]
pub struct IncomingRequest {
    pub(super) method: Method,
    pub(super) uri: Uri,
    pub(super) scheme: Scheme,
    pub(super) authority: Option<String>,
    pub(super) headers: Fields,
    pub(super) body: Option<IncomingBody>,
}

impl IncomingRequest {
    /// A request as a server has it, for the guest that answers it. `scheme` is what the client used.
    pub fn new(request: Request<BoxBody>, scheme: Scheme) -> IncomingRequest {
        let (parts, body) = request.into_parts();
        let host = || parts.headers.get(header::HOST)?.to_str().ok();
        let authority = parts.uri.authority().map(Authority::as_str).or_else(host);
        IncomingRequest {
            method: parts.method,
            scheme,
            authority: authority.map(str::to_owned),
            uri: parts.uri,
            headers: Fields::received(parts.headers),
            body: Some(IncomingBody::new(body)),
        }
    }
}

/// `incoming-response`.
#[derive(Debug)]
pub struct IncomingResponse {
    pub(super) status: StatusCode,
    pub(super) headers: Fields,
    pub(super) body: Option<IncomingBody>,
}

impl IncomingResponse {
    pub(super) fn new(response: Response<BoxBody>) -> IncomingResponse {
        let (parts, body) = response.into_parts();
        IncomingResponse {
            status: parts.status,
            headers: Fields::received(parts.headers),
            body: Some(IncomingBody::new(body)),
        }
    }
}
