//! The errors of `wasi:sockets`, and what the operating system's errors are among them.
//!
//! Guarantees: [`ErrorCode`] has the cases of `wasi:sockets/network.error-code`.

use rustix::io::Errno;
use std::fmt;
use std::io;

/// Why something with a socket did not succeed, as a guest is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "the names are those of the interface, which explains them"
)]
pub enum ErrorCode {
    Unknown,
    AccessDenied,
    NotSupported,
    InvalidArgument,
    OutOfMemory,
    Timeout,
    ConcurrencyConflict,
    NotInProgress,
    WouldBlock,
    InvalidState,
    NewSocketLimit,
    AddressNotBindable,
    AddressInUse,
    RemoteUnreachable,
    ConnectionRefused,
    ConnectionReset,
    ConnectionAborted,
    DatagramTooLarge,
    NameUnresolvable,
    TemporaryResolverFailure,
    PermanentResolverFailure,
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            ErrorCode::Unknown => "unknown error",
            ErrorCode::AccessDenied => "access denied",
            ErrorCode::NotSupported => "not supported",
            ErrorCode::InvalidArgument => "invalid argument",
            ErrorCode::OutOfMemory => "out of memory",
            ErrorCode::Timeout => "timed out",
            ErrorCode::ConcurrencyConflict => "another operation is in progress",
            ErrorCode::NotInProgress => "no such operation is in progress",
            ErrorCode::WouldBlock => "would block",
            ErrorCode::InvalidState => "not possible in this state of the socket",
            ErrorCode::NewSocketLimit => "too many sockets",
            ErrorCode::AddressNotBindable => "the address cannot be bound to",
            ErrorCode::AddressInUse => "the address is in use",
            ErrorCode::RemoteUnreachable => "the remote address cannot be reached",
            ErrorCode::ConnectionRefused => "the connection was refused",
            ErrorCode::ConnectionReset => "the connection was reset",
            ErrorCode::ConnectionAborted => "the connection was aborted",
            ErrorCode::DatagramTooLarge => "the datagram is too large",
            ErrorCode::NameUnresolvable => "the name has no address",
            ErrorCode::TemporaryResolverFailure => "the name cannot be resolved now",
            ErrorCode::PermanentResolverFailure => "the name cannot be resolved",
        };
        f.write_str(text)
    }
}

impl std::error::Error for ErrorCode {}

/// Rows in the order of `errno.h`; what is not here is unknown.
const ERRNOS: &[(Errno, ErrorCode)] = &[
    (Errno::PERM, ErrorCode::AccessDenied),
    (Errno::AGAIN, ErrorCode::WouldBlock),
    (Errno::NOMEM, ErrorCode::OutOfMemory),
    (Errno::ACCESS, ErrorCode::AccessDenied),
    (Errno::INVAL, ErrorCode::InvalidArgument),
    (Errno::NFILE, ErrorCode::NewSocketLimit),
    (Errno::MFILE, ErrorCode::NewSocketLimit),
    (Errno::DESTADDRREQ, ErrorCode::InvalidArgument),
    (Errno::MSGSIZE, ErrorCode::DatagramTooLarge),
    (Errno::NOPROTOOPT, ErrorCode::NotSupported),
    (Errno::PROTONOSUPPORT, ErrorCode::NotSupported),
    (Errno::SOCKTNOSUPPORT, ErrorCode::NotSupported),
    (Errno::OPNOTSUPP, ErrorCode::NotSupported),
    (Errno::PFNOSUPPORT, ErrorCode::NotSupported),
    (Errno::AFNOSUPPORT, ErrorCode::NotSupported),
    (Errno::ADDRINUSE, ErrorCode::AddressInUse),
    (Errno::ADDRNOTAVAIL, ErrorCode::AddressNotBindable),
    (Errno::NETDOWN, ErrorCode::RemoteUnreachable),
    (Errno::NETUNREACH, ErrorCode::RemoteUnreachable),
    (Errno::CONNABORTED, ErrorCode::ConnectionAborted),
    (Errno::CONNRESET, ErrorCode::ConnectionReset),
    (Errno::NOBUFS, ErrorCode::OutOfMemory),
    (Errno::ISCONN, ErrorCode::InvalidState),
    (Errno::NOTCONN, ErrorCode::InvalidState),
    (Errno::TIMEDOUT, ErrorCode::Timeout),
    (Errno::CONNREFUSED, ErrorCode::ConnectionRefused),
    (Errno::HOSTDOWN, ErrorCode::RemoteUnreachable),
    (Errno::HOSTUNREACH, ErrorCode::RemoteUnreachable),
];

impl From<Errno> for ErrorCode {
    fn from(errno: Errno) -> ErrorCode {
        let row = ERRNOS.iter().find(|(own, _)| *own == errno);
        row.map_or(ErrorCode::Unknown, |(_, code)| *code)
    }
}

impl From<io::Error> for ErrorCode {
    fn from(error: io::Error) -> ErrorCode {
        match Errno::from_io_error(&error) {
            Some(errno) => errno.into(),
            None => ErrorCode::Unknown,
        }
    }
}
