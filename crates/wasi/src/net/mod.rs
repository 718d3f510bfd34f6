//! Sockets and names as plain Rust: what `wasi:sockets` means, without the interface's bindings.
//!
//! Guarantees: a guest reaches nothing in the network that it was not granted, and is refused before
//! a system call that would reach it.

mod address;
mod builder;
mod error;
mod grants;
mod lookup;
mod policy;
mod socket;
mod tcp;
mod tcp_streams;
#[cfg(test)]
mod tests;
mod udp;

pub use address::IpFamily;
pub use error::ErrorCode;
pub use grants::{BadGrant, ConnectGrant, HttpGrant, ListenGrant};
pub(crate) use lookup::ResolveAddressStream;
#[cfg(feature = "http")]
pub(crate) use lookup::resolve;
pub(crate) use policy::Policy;
pub use policy::{SocketAddrAnswer, SocketAddrUse};
pub(crate) use socket::Buffer;
pub(crate) use tcp::{TcpSocket, TcpStreams};
pub(crate) use udp::{IncomingDatagrams, OutgoingDatagrams, StreamFault, UdpSocket};
