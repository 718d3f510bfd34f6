//! Linux: address space, signals, threads.

pub(super) mod frozen;
pub(super) mod map;
pub(super) mod signal;
pub(super) mod thread;
mod touched;
