//! How the runtime says no.

use crate::backtrace::Frame;
use crate::exception::ThrownException;
use cellwall_abi::TrapCode;
use std::any::Any;
use std::fmt;
use std::io;

/// An error of the embedder, which comes out of a call as it went in.
pub type HostError = Box<dyn Any + Send + Sync>;

/// Why the runtime could not do what it was asked.
pub enum Error {
    /// Guest code ran wrong.
    Trap {
        /// Why it stopped.
        code: TrapCode,
        /// Guest frames, innermost first; at most
        /// [`FRAMES_MAX`](crate::backtrace::FRAMES_MAX), none if switched off.
        frames: Vec<Frame>,
    },
    /// A host function or a limiter returned an error.
    Host {
        /// The error, as it went in.
        error: HostError,
        /// Guest frames, innermost first.
        frames: Vec<Frame>,
    },
    /// An exception left the guest, or a host function threw one: the pending one of the store.
    Thrown {
        /// Guest frames where it was thrown last, innermost first.
        frames: Vec<Frame>,
    },
    /// A host function has to wait, but the guest was not called by something that can.
    Waits {
        /// Guest frames, innermost first.
        frames: Vec<Frame>,
    },
    /// Imports do not fit.
    Link(String),
    /// A limit was reached.
    Limit(String),
    /// Values or functions of another type than was said.
    Type(String),
    /// The instance was stopped by an interruption at an arbitrary place, and is not entered again.
    Interrupted,
    /// The operating system refused.
    Os {
        /// What was asked of it, as a sentence without a full stop.
        what: &'static str,
        /// Its answer.
        error: io::Error,
    },
}

impl Error {
    pub(crate) fn trap(code: TrapCode) -> Self {
        Self::Trap {
            code,
            frames: Vec::new(),
        }
    }

    pub(crate) fn host(error: HostError) -> Self {
        if error.is::<ThrownException>() {
            return Self::Thrown { frames: Vec::new() };
        }
        Self::Host {
            error,
            frames: Vec::new(),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Trap { code, .. } => write!(f, "wasm trap: {code}"),
            Self::Thrown { .. } => f.write_str("thrown Wasm exception"),
            Self::Host { .. } => f.write_str("a host function returned an error"),
            Self::Waits { .. } => f.write_str(
                "an asynchronous host function has to wait, which a plain call cannot: use `call_async` or \
                 `instantiate_async`",
            ),
            Self::Link(text) | Self::Limit(text) | Self::Type(text) => f.write_str(text),
            Self::Interrupted => f.write_str(
                "the instance was interrupted in the middle of its code and cannot be entered again",
            ),
            Self::Os { what, error } => write!(f, "{what}: {error}"),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Trap { frames, .. } => return write!(f, "Trap({self}, {} frames)", frames.len()),
            Self::Host { .. } => "Host",
            Self::Thrown { .. } => "Thrown",
            Self::Waits { .. } => "Waits",
            Self::Link(_) => "Link",
            Self::Limit(_) => "Limit",
            Self::Type(_) => "Type",
            Self::Interrupted => "Interrupted",
            Self::Os { .. } => "Os",
        };
        write!(f, "{name}({self})")
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Os { error, .. } => Some(error),
            _ => None,
        }
    }
}
