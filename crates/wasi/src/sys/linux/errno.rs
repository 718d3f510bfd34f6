//! Linux's error numbers as those of WASI.

use crate::error::Errno;
use rustix::io::Errno as Host;
use std::io;

impl From<io::Error> for Errno {
    fn from(error: io::Error) -> Errno {
        Errno::of(&error)
    }
}

impl Errno {
    /// The number that says most of an error of the host.
    pub(crate) fn of(error: &io::Error) -> Errno {
        match Host::from_io_error(error) {
            Some(host) => from_host(host),
            None => from_kind(error.kind()),
        }
    }
}

impl From<Host> for Errno {
    fn from(host: Host) -> Errno {
        from_host(host)
    }
}

/// Errors that no kernel produced: those of `cap-std` (`PermissionDenied` is an escape that it
/// prevented), of the standard library, and of the host's own streams.
fn from_kind(kind: io::ErrorKind) -> Errno {
    match kind {
        io::ErrorKind::PermissionDenied => Errno::Perm,
        io::ErrorKind::NotFound => Errno::NoEnt,
        io::ErrorKind::AlreadyExists => Errno::Exist,
        io::ErrorKind::InvalidInput => Errno::Inval,
        io::ErrorKind::InvalidData => Errno::IlSeq,
        io::ErrorKind::StorageFull => Errno::NoSpc,
        io::ErrorKind::BrokenPipe => Errno::Pipe,
        io::ErrorKind::WouldBlock => Errno::Again,
        io::ErrorKind::TimedOut => Errno::TimedOut,
        io::ErrorKind::Unsupported => Errno::NotSup,
        io::ErrorKind::OutOfMemory => Errno::NoMem,
        _ => Errno::Io,
    }
}

fn from_host(host: Host) -> Errno {
    const ROWS: &[(Host, Errno)] = &[
        (Host::TOOBIG, Errno::TooBig),
        (Host::ACCESS, Errno::Access),
        (Host::AGAIN, Errno::Again),
        (Host::BADF, Errno::BadF),
        (Host::BUSY, Errno::Busy),
        (Host::CANCELED, Errno::Canceled),
        (Host::CONNRESET, Errno::ConnReset),
        (Host::DEADLK, Errno::Deadlk),
        (Host::DQUOT, Errno::DQuot),
        (Host::EXIST, Errno::Exist),
        (Host::FAULT, Errno::Fault),
        (Host::FBIG, Errno::FBig),
        (Host::ILSEQ, Errno::IlSeq),
        (Host::INTR, Errno::Intr),
        (Host::INVAL, Errno::Inval),
        (Host::IO, Errno::Io),
        (Host::ISDIR, Errno::IsDir),
        (Host::LOOP, Errno::Loop),
        (Host::MFILE, Errno::MFile),
        (Host::MLINK, Errno::MLink),
        (Host::NAMETOOLONG, Errno::NameTooLong),
        (Host::NFILE, Errno::NFile),
        (Host::NOBUFS, Errno::NoBufs),
        (Host::NODEV, Errno::NoDev),
        (Host::NOENT, Errno::NoEnt),
        (Host::NOLCK, Errno::NoLck),
        (Host::NOMEM, Errno::NoMem),
        (Host::NOSPC, Errno::NoSpc),
        (Host::NOSYS, Errno::NoSys),
        (Host::NOTDIR, Errno::NotDir),
        (Host::NOTEMPTY, Errno::NotEmpty),
        (Host::NOTSOCK, Errno::NotSock),
        (Host::NOTSUP, Errno::NotSup),
        (Host::NOTTY, Errno::NoTty),
        (Host::NXIO, Errno::NxIo),
        (Host::OVERFLOW, Errno::Overflow),
        (Host::PERM, Errno::Perm),
        (Host::PIPE, Errno::Pipe),
        (Host::RANGE, Errno::Range),
        (Host::ROFS, Errno::RoFs),
        (Host::SPIPE, Errno::SPipe),
        (Host::STALE, Errno::Stale),
        (Host::TIMEDOUT, Errno::TimedOut),
        (Host::TXTBSY, Errno::TxtBsy),
        (Host::XDEV, Errno::XDev),
    ];
    ROWS.iter()
        .find(|(row, _)| *row == host)
        .map_or(Errno::Io, |(_, errno)| *errno)
}
