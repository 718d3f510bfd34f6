//! What is generated of `wasi:http`, and the translation of its small types.

use super::error::{FieldsError, HttpError};
use http::Method;
use http::uri::Scheme;
pub(crate) use wasi::http::{outgoing_handler, types};

cellwall::component::bindgen!({
    path: "wit",
    world: "cellwall:wasi/http",
    imports: { default: trappable },
    with: {
        "wasi:io": crate::p2::bindings::wasi::io,
        "wasi:clocks": crate::p2::bindings::wasi::clocks,
        "wasi:http/types.fields": super::Fields,
        "wasi:http/types.incoming-request": super::IncomingRequest,
        "wasi:http/types.outgoing-request": super::OutgoingRequest,
        "wasi:http/types.request-options": super::RequestOptions,
        "wasi:http/types.response-outparam": super::ResponseOutparam,
        "wasi:http/types.incoming-response": super::IncomingResponse,
        "wasi:http/types.incoming-body": super::IncomingBody,
        "wasi:http/types.future-trailers": super::FutureTrailers,
        "wasi:http/types.outgoing-response": super::OutgoingResponse,
        "wasi:http/types.outgoing-body": super::OutgoingBody,
        "wasi:http/types.future-incoming-response": super::FutureIncomingResponse,
    },
    trappable_error_type: {
        "wasi:http/types.error-code" => super::host::HttpFailure,
        "wasi:http/types.header-error" => super::host::HeaderFailure,
    },
    require_store_data_send: true,
});

impl From<HttpError> for types::ErrorCode {
    fn from(error: HttpError) -> types::ErrorCode {
        use types::ErrorCode as To;
        match error {
            HttpError::DnsError(rcode) => To::DnsError(types::DnsErrorPayload {
                rcode,
                info_code: None,
            }),
            HttpError::DestinationUnavailable => To::DestinationUnavailable,
            HttpError::DestinationIpUnroutable => To::DestinationIpUnroutable,
            HttpError::ConnectionRefused => To::ConnectionRefused,
            HttpError::ConnectionTerminated => To::ConnectionTerminated,
            HttpError::ConnectionTimeout => To::ConnectionTimeout,
            HttpError::ConnectionReadTimeout => To::ConnectionReadTimeout,
            HttpError::ConnectionLimitReached => To::ConnectionLimitReached,
            HttpError::TlsProtocolError => To::TlsProtocolError,
            HttpError::TlsCertificateError => To::TlsCertificateError,
            HttpError::TlsAlertReceived(id, message) => {
                To::TlsAlertReceived(types::TlsAlertReceivedPayload {
                    alert_id: Some(id),
                    alert_message: Some(message),
                })
            }
            HttpError::HttpRequestDenied => To::HttpRequestDenied,
            HttpError::HttpRequestBodySize(bytes) => To::HttpRequestBodySize(bytes),
            HttpError::HttpRequestMethodInvalid => To::HttpRequestMethodInvalid,
            HttpError::HttpRequestUriInvalid => To::HttpRequestUriInvalid,
            HttpError::HttpResponseIncomplete => To::HttpResponseIncomplete,
            HttpError::HttpResponseBodySize(bytes) => To::HttpResponseBodySize(bytes),
            HttpError::HttpResponseTimeout => To::HttpResponseTimeout,
            HttpError::HttpProtocolError => To::HttpProtocolError,
            HttpError::ConfigurationError => To::ConfigurationError,
            HttpError::InternalError(text) => To::InternalError(text),
        }
    }
}

impl From<FieldsError> for types::HeaderError {
    fn from(error: FieldsError) -> types::HeaderError {
        match error {
            // The last one is a trap before it comes here.
            FieldsError::InvalidSyntax | FieldsError::TooLarge => types::HeaderError::InvalidSyntax,
            FieldsError::Forbidden => types::HeaderError::Forbidden,
            FieldsError::Immutable => types::HeaderError::Immutable,
        }
    }
}

/// The methods that have a case of their own.
fn methods() -> [(Method, types::Method); 9] {
    [
        (Method::GET, types::Method::Get),
        (Method::HEAD, types::Method::Head),
        (Method::POST, types::Method::Post),
        (Method::PUT, types::Method::Put),
        (Method::DELETE, types::Method::Delete),
        (Method::CONNECT, types::Method::Connect),
        (Method::OPTIONS, types::Method::Options),
        (Method::TRACE, types::Method::Trace),
        (Method::PATCH, types::Method::Patch),
    ]
}

/// A method for the guest.
pub(super) fn lower_method(method: &Method) -> types::Method {
    let found = methods().into_iter().find(|(own, _)| own == method);
    found.map_or_else(|| types::Method::Other(method.as_str().to_owned()), |(_, to)| to)
}

/// A method of the guest, if it is one.
pub(super) fn lift_method(method: &types::Method) -> Result<Method, ()> {
    if let types::Method::Other(name) = method {
        return Method::from_bytes(name.as_bytes()).map_err(drop);
    }
    let same = |to: &types::Method| std::mem::discriminant(to) == std::mem::discriminant(method);
    let found = methods().into_iter().find(|(_, to)| same(to));
    found.map(|(own, _)| own).ok_or(())
}

/// A scheme for the guest.
pub(super) fn lower_scheme(scheme: &Scheme) -> types::Scheme {
    match scheme {
        _ if *scheme == Scheme::HTTP => types::Scheme::Http,
        _ if *scheme == Scheme::HTTPS => types::Scheme::Https,
        _ => types::Scheme::Other(scheme.as_str().to_owned()),
    }
}

/// A scheme of the guest, if it is one.
pub(super) fn lift_scheme(scheme: types::Scheme) -> Result<Scheme, ()> {
    match scheme {
        types::Scheme::Http => Ok(Scheme::HTTP),
        types::Scheme::Https => Ok(Scheme::HTTPS),
        types::Scheme::Other(name) => name.parse().map_err(drop),
    }
}
