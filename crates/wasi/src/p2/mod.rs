//! WASI 0.2, for components.
//!
//! Requires: futures are polled in a Tokio runtime with its I/O and time drivers, or the
//! functions were linked to wait on their thread.
//! Does not do: sockets and HTTP.
//!
//! A stream of the host is a [`InputStream`] or [`OutputStream`] in the store's
//! [`ResourceTable`](cellwall::component::ResourceTable); both are [`Pollable`], and
//! [`subscribe`] makes a guest's `pollable` of anything that is.

#[allow(dead_code, reason = "what binds it to components follows")]
mod executor;
#[allow(dead_code, reason = "what binds it to components follows")]
mod poll;
mod streams;

pub use bytes::Bytes;
pub use poll::{DynFuture, DynPollable, Pollable, subscribe};
pub use streams::{DynInputStream, DynOutputStream, InputStream, OutputStream, StreamError, StreamResult};
