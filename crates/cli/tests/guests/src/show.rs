//! Answers as short words.

use wasip2::filesystem::types::{filesystem_error_code, DescriptorType, ErrorCode};
use wasip2::io::streams::StreamError;

/// `ok`, or the name of the error.
pub trait Word {
    fn word(&self) -> String;
}

impl<T> Word for Result<T, ErrorCode> {
    fn word(&self) -> String {
        match self {
            Ok(_) => "ok".to_owned(),
            Err(code) => code.name().to_owned(),
        }
    }
}

impl<T> Word for Result<T, StreamError> {
    fn word(&self) -> String {
        match self {
            Ok(_) => "ok".to_owned(),
            Err(StreamError::Closed) => "closed".to_owned(),
            Err(StreamError::LastOperationFailed(error)) => match filesystem_error_code(error) {
                Some(code) => format!("failed({})", code.name()),
                None => "failed".to_owned(),
            },
        }
    }
}

/// The same, with what is inside.
pub fn full<T: std::fmt::Debug>(result: Result<T, ErrorCode>) -> String {
    match result {
        Ok(value) => format!("{value:?}"),
        Err(code) => code.name().to_owned(),
    }
}

/// The same for streams.
pub fn told<T: std::fmt::Debug>(result: Result<T, StreamError>) -> String {
    match &result {
        Ok(value) => format!("{value:?}"),
        Err(_) => result.word(),
    }
}

/// Bytes as text, of many only how many.
pub fn bytes(result: Result<Vec<u8>, StreamError>) -> String {
    match &result {
        Ok(bytes) if bytes.len() > 64 => format!("{} bytes", bytes.len()),
        Ok(bytes) => format!("{:?}", String::from_utf8_lossy(bytes)),
        Err(_) => result.word(),
    }
}

pub fn kind(kind: DescriptorType) -> &'static str {
    match kind {
        DescriptorType::Unknown => "unknown",
        DescriptorType::BlockDevice => "block-device",
        DescriptorType::CharacterDevice => "character-device",
        DescriptorType::Directory => "directory",
        DescriptorType::Fifo => "fifo",
        DescriptorType::SymbolicLink => "symbolic-link",
        DescriptorType::RegularFile => "regular-file",
        DescriptorType::Socket => "socket",
    }
}
