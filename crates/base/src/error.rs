//! The two ways in which input can be refused before it runs.

use std::fmt;

/// Bad bytes: what is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// Offset in bytes from the start of the input.
    pub offset: usize,
    /// What is wrong, as a sentence without a full stop.
    pub reason: String,
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (at offset 0x{:x})", self.reason, self.offset)
    }
}

impl std::error::Error for Invalid {}

/// Well-formed input that asks for more than a named limit (see [`limits`](crate::limits)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    /// What is limited, in words.
    pub what: &'static str,
    /// The largest value that is accepted.
    pub max: u64,
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} exceeds the limit of {}", self.what, self.max)
    }
}

impl std::error::Error for Limit {}
