//! HTTP for guests: `wasi:http` 0.2.
//!
//! Requires: what [`p2`](crate::p2) requires; the functions work on the same [`WasiView`].
//! Guarantees: bodies are streams with back-pressure in both directions, so their length costs no
//! memory; a guest sends requests only to the hosts that it was granted.
//! Does not do: serving, for which [`Handler`] has what a server needs of a guest.

mod bindings;
mod budget;
mod client;
mod error;
mod fields;
mod handler;
mod host;
mod incoming;
mod message;
mod outgoing;
#[cfg(test)]
mod tests;

pub(crate) use budget::{Budget, HTTP_BYTES_MAX};
pub(crate) use client::Tls;
pub use client::{CertificateError, FutureIncomingResponse};
pub use error::{FieldsError, HttpError};
pub use fields::Fields;
pub use handler::{Handler, HandlerPre, ResponseOutparam, Unanswered};
pub use incoming::{BoxBody, FutureTrailers, IncomingBody};
pub use message::{
    IncomingRequest, IncomingResponse, OutgoingRequest, OutgoingResponse, RequestOptions, ResponseBody,
};
pub use outgoing::OutgoingBody;

use crate::WasiView;
use crate::p2::HasWasi;
use cellwall::Result;
use cellwall::component::Linker;

/// Defines `wasi:http` for guests, beside what [`p2::add_to_linker_async`](crate::p2::add_to_linker_async) or
/// [`p2::add_to_linker_sync`](crate::p2::add_to_linker_sync) defines: its functions never wait.
///
/// # Errors
/// A name is defined already and the linker forbids shadowing.
pub fn add_to_linker<T: WasiView>(linker: &mut Linker<T>) -> Result<()> {
    bindings::types::add_to_linker::<T, HasWasi>(linker, T::ctx)?;
    bindings::outgoing_handler::add_to_linker::<T, HasWasi>(linker, T::ctx)
}
