//! Why an HTTP exchange failed: those of `wasi:http/types.error-code` that can happen here.

use http::header::{InvalidHeaderName, InvalidHeaderValue, MaxSizeReached};
use std::error::Error as _;
use std::fmt;
use std::io;

/// Why an HTTP exchange failed, as a guest is told.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "the names are those of the interface, which explains them"
)]
#[non_exhaustive]
pub enum HttpError {
    DnsError(Option<String>),
    DestinationUnavailable,
    DestinationIpUnroutable,
    ConnectionRefused,
    ConnectionTerminated,
    ConnectionTimeout,
    ConnectionReadTimeout,
    ConnectionLimitReached,
    TlsProtocolError,
    TlsCertificateError,
    TlsAlertReceived(u8, String),
    HttpRequestDenied,
    HttpRequestBodySize(Option<u64>),
    HttpRequestMethodInvalid,
    HttpRequestUriInvalid,
    HttpResponseIncomplete,
    HttpResponseBodySize(Option<u64>),
    HttpResponseTimeout,
    HttpProtocolError,
    ConfigurationError,
    InternalError(Option<String>),
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            HttpError::DnsError(_) => "the name of the host cannot be resolved",
            HttpError::DestinationUnavailable => "the host is not available",
            HttpError::DestinationIpUnroutable => "there is no route to the host",
            HttpError::ConnectionRefused => "the connection was refused",
            HttpError::ConnectionTerminated => "the connection ended early",
            HttpError::ConnectionTimeout => "connecting took too long",
            HttpError::ConnectionReadTimeout => "nothing came for too long",
            HttpError::ConnectionLimitReached => "too many connections",
            HttpError::TlsProtocolError => "TLS failed",
            HttpError::TlsCertificateError => "the certificate is not trusted",
            HttpError::TlsAlertReceived(_, text) => return write!(f, "TLS alert: {text}"),
            HttpError::HttpRequestDenied => "the request is not allowed",
            HttpError::HttpRequestBodySize(_) => "the request's body is not as long as it says",
            HttpError::HttpRequestMethodInvalid => "the method is not valid",
            HttpError::HttpRequestUriInvalid => "the URI is not valid",
            HttpError::HttpResponseIncomplete => "the response is not complete",
            HttpError::HttpResponseBodySize(_) => "the response's body is not as long as it says",
            HttpError::HttpResponseTimeout => "the response took too long",
            HttpError::HttpProtocolError => "the other side does not speak HTTP as it should",
            HttpError::ConfigurationError => "the host is not configured for this",
            HttpError::InternalError(None) => "internal error",
            HttpError::InternalError(Some(text)) => return write!(f, "internal error: {text}"),
        };
        f.write_str(text)
    }
}

impl std::error::Error for HttpError {}

impl From<hyper::Error> for HttpError {
    fn from(error: hyper::Error) -> HttpError {
        // An error that a body of ours had comes back as the source.
        let mut source = error.source();
        while let Some(inner) = source {
            if let Some(own) = inner.downcast_ref::<HttpError>() {
                return own.clone();
            }
            if let Some(io) = inner.downcast_ref::<io::Error>() {
                return HttpError::of_transfer(io);
            }
            source = inner.source();
        }
        match () {
            () if error.is_timeout() => HttpError::HttpResponseTimeout,
            () if error.is_incomplete_message() => HttpError::ConnectionTerminated,
            () if error.is_canceled() || error.is_closed() => HttpError::ConnectionTerminated,
            () => HttpError::HttpProtocolError,
        }
    }
}

impl HttpError {
    /// An error while connecting.
    pub(super) fn of_connect(error: &io::Error) -> HttpError {
        match error.kind() {
            // A guest is told of every way in which there is nobody as other hosts tell it: programs that have a
            // host of their own in mind, which is away, look for these two.
            io::ErrorKind::ConnectionRefused
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable => HttpError::ConnectionRefused,
            io::ErrorKind::TimedOut => HttpError::ConnectionTimeout,
            io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted => {
                HttpError::ConnectionTerminated
            }
            _ => HttpError::DestinationUnavailable,
        }
    }

    /// An error of the connection after it was made.
    fn of_transfer(error: &io::Error) -> HttpError {
        match error.kind() {
            io::ErrorKind::TimedOut => HttpError::ConnectionReadTimeout,
            _ => HttpError::ConnectionTerminated,
        }
    }

    /// An error of the TLS handshake.
    pub(super) fn of_tls(error: &io::Error) -> HttpError {
        let inner = error
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<rustls::Error>());
        match inner {
            Some(rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented) => {
                HttpError::TlsCertificateError
            }
            Some(rustls::Error::AlertReceived(alert)) => {
                HttpError::TlsAlertReceived(u8::from(*alert), format!("{alert:?}"))
            }
            Some(_) => HttpError::TlsProtocolError,
            None => HttpError::of_transfer(error),
        }
    }
}

/// Why fields were not changed: `wasi:http/types.header-error`, or a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "but for the last, the names are those of the interface"
)]
pub enum FieldsError {
    InvalidSyntax,
    Forbidden,
    Immutable,
    /// More than a guest may have in one set of fields: it stops.
    TooLarge,
}

impl fmt::Display for FieldsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FieldsError::InvalidSyntax => "invalid syntax",
            FieldsError::Forbidden => "forbidden",
            FieldsError::Immutable => "immutable",
            FieldsError::TooLarge => "the fields are too large",
        })
    }
}

impl std::error::Error for FieldsError {}

impl From<InvalidHeaderName> for FieldsError {
    fn from(_: InvalidHeaderName) -> FieldsError {
        FieldsError::InvalidSyntax
    }
}

impl From<InvalidHeaderValue> for FieldsError {
    fn from(_: InvalidHeaderValue) -> FieldsError {
        FieldsError::InvalidSyntax
    }
}

impl From<MaxSizeReached> for FieldsError {
    fn from(_: MaxSizeReached) -> FieldsError {
        FieldsError::TooLarge
    }
}
