//! `wasi:sockets`: what `net` means, bound to components.

mod lookup;
mod tcp;
mod udp;

use crate::WasiView;
use crate::net::{ErrorCode, IpFamily};
use crate::p2::{HasWasi, Slot};
use crate::view::WasiCtxView;
use bindings::wasi::sockets::network;
use cellwall::Result;
use cellwall::component::{Linker, Resource, ResourceTableError};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

/// What is generated of the interfaces.
pub(crate) mod bindings {
    cellwall::component::bindgen!({
        path: "wit",
        world: "cellwall:wasi/network",
        imports: {
            default: trappable,
            "wasi:sockets/tcp.[method]tcp-socket.start-bind": async | trappable,
            "wasi:sockets/tcp.[method]tcp-socket.start-connect": async | trappable,
            "wasi:sockets/tcp.[method]tcp-socket.start-listen": async | trappable,
            "wasi:sockets/tcp.[method]tcp-socket.accept": async | trappable,
            "wasi:sockets/udp.[method]udp-socket.start-bind": async | trappable,
            "wasi:sockets/udp.[method]udp-socket.stream": async | trappable,
            "wasi:sockets/udp.[method]incoming-datagram-stream.receive": async | trappable,
            "wasi:sockets/udp.[method]outgoing-datagram-stream.send": async | trappable,
        },
        with: {
            "wasi:io": crate::p2::bindings::wasi::io,
            "wasi:clocks": crate::p2::bindings::wasi::clocks,
            "wasi:sockets/network.network": super::Network,
            "wasi:sockets/tcp.tcp-socket": crate::net::TcpSocket,
            "wasi:sockets/udp.udp-socket": crate::net::UdpSocket,
            "wasi:sockets/udp.incoming-datagram-stream": crate::net::IncomingDatagrams,
            "wasi:sockets/udp.outgoing-datagram-stream": crate::net::OutgoingDatagrams,
            "wasi:sockets/ip-name-lookup.resolve-address-stream": crate::net::ResolveAddressStream,
        },
        trappable_error_type: {
            "wasi:sockets/network.error-code" => super::SocketError,
        },
        require_store_data_send: true,
    });
}

/// Defines `wasi:sockets`.
pub(super) fn add_to_linker<T: WasiView>(
    linker: &mut Linker<T>,
    get: fn(&mut T) -> WasiCtxView<'_>,
) -> Result<()> {
    use bindings::wasi::sockets as interfaces;
    let l = linker;
    interfaces::instance_network::add_to_linker::<T, HasWasi>(l, get)?;
    interfaces::ip_name_lookup::add_to_linker::<T, HasWasi>(l, get)?;
    interfaces::network::add_to_linker::<T, HasWasi>(l, get)?;
    interfaces::tcp::add_to_linker::<T, HasWasi>(l, get)?;
    interfaces::tcp_create_socket::add_to_linker::<T, HasWasi>(l, get)?;
    interfaces::udp::add_to_linker::<T, HasWasi>(l, get)?;
    interfaces::udp_create_socket::add_to_linker::<T, HasWasi>(l, get)
}

/// The network, as a resource that means nothing by itself: the grants are asked at each use.
#[derive(Debug)]
pub(crate) struct Network;

/// Why a function of a socket did not succeed: an error for the guest, or the end of it.
#[derive(Debug)]
pub(crate) enum SocketError {
    Code(ErrorCode),
    Trap(cellwall::Error),
}

impl From<ErrorCode> for SocketError {
    fn from(code: ErrorCode) -> SocketError {
        SocketError::Code(code)
    }
}

impl From<ResourceTableError> for SocketError {
    fn from(error: ResourceTableError) -> SocketError {
        SocketError::Trap(error.into())
    }
}

impl From<cellwall::Error> for SocketError {
    fn from(error: cellwall::Error) -> SocketError {
        SocketError::Trap(error)
    }
}

pub(crate) type SocketResult<T> = Result<T, SocketError>;

impl WasiCtxView<'_> {
    /// A place for one more socket.
    fn socket_slot(&self) -> Result<Slot, ErrorCode> {
        self.ctx.sockets.take().map_err(|_| ErrorCode::NewSocketLimit)
    }
}

impl network::Host for WasiCtxView<'_> {
    fn convert_error_code(&mut self, error: SocketError) -> Result<network::ErrorCode> {
        match error {
            SocketError::Code(code) => Ok(code.into()),
            SocketError::Trap(error) => Err(error),
        }
    }
}

impl network::HostNetwork for WasiCtxView<'_> {
    fn drop(&mut self, network: Resource<Network>) -> Result<()> {
        self.table.delete(network)?;
        Ok(())
    }
}

impl bindings::wasi::sockets::instance_network::Host for WasiCtxView<'_> {
    fn instance_network(&mut self) -> Result<Resource<Network>> {
        Ok(self.table.push(Network)?)
    }
}

impl From<ErrorCode> for network::ErrorCode {
    fn from(code: ErrorCode) -> network::ErrorCode {
        use network::ErrorCode as To;
        match code {
            ErrorCode::Unknown => To::Unknown,
            ErrorCode::AccessDenied => To::AccessDenied,
            ErrorCode::NotSupported => To::NotSupported,
            ErrorCode::InvalidArgument => To::InvalidArgument,
            ErrorCode::OutOfMemory => To::OutOfMemory,
            ErrorCode::Timeout => To::Timeout,
            ErrorCode::ConcurrencyConflict => To::ConcurrencyConflict,
            ErrorCode::NotInProgress => To::NotInProgress,
            ErrorCode::WouldBlock => To::WouldBlock,
            ErrorCode::InvalidState => To::InvalidState,
            ErrorCode::NewSocketLimit => To::NewSocketLimit,
            ErrorCode::AddressNotBindable => To::AddressNotBindable,
            ErrorCode::AddressInUse => To::AddressInUse,
            ErrorCode::RemoteUnreachable => To::RemoteUnreachable,
            ErrorCode::ConnectionRefused => To::ConnectionRefused,
            ErrorCode::ConnectionReset => To::ConnectionReset,
            ErrorCode::ConnectionAborted => To::ConnectionAborted,
            ErrorCode::DatagramTooLarge => To::DatagramTooLarge,
            ErrorCode::NameUnresolvable => To::NameUnresolvable,
            ErrorCode::TemporaryResolverFailure => To::TemporaryResolverFailure,
            ErrorCode::PermanentResolverFailure => To::PermanentResolverFailure,
        }
    }
}

impl From<network::IpAddressFamily> for IpFamily {
    fn from(family: network::IpAddressFamily) -> IpFamily {
        match family {
            network::IpAddressFamily::Ipv4 => IpFamily::V4,
            network::IpAddressFamily::Ipv6 => IpFamily::V6,
        }
    }
}

impl From<IpFamily> for network::IpAddressFamily {
    fn from(family: IpFamily) -> network::IpAddressFamily {
        match family {
            IpFamily::V4 => network::IpAddressFamily::Ipv4,
            IpFamily::V6 => network::IpAddressFamily::Ipv6,
        }
    }
}

fn octets(address: Ipv4Addr) -> network::Ipv4Address {
    let [a, b, c, d] = address.octets();
    (a, b, c, d)
}

fn segments(address: Ipv6Addr) -> network::Ipv6Address {
    let [a, b, c, d, e, f, g, h] = address.segments();
    (a, b, c, d, e, f, g, h)
}

fn ip_address(address: IpAddr) -> network::IpAddress {
    match address {
        IpAddr::V4(v4) => network::IpAddress::Ipv4(octets(v4)),
        IpAddr::V6(v6) => network::IpAddress::Ipv6(segments(v6)),
    }
}

impl From<network::IpSocketAddress> for SocketAddr {
    fn from(address: network::IpSocketAddress) -> SocketAddr {
        match address {
            network::IpSocketAddress::Ipv4(v4) => {
                let (a, b, c, d) = v4.address;
                SocketAddrV4::new(Ipv4Addr::new(a, b, c, d), v4.port).into()
            }
            network::IpSocketAddress::Ipv6(v6) => {
                let (a, b, c, d, e, f, g, h) = v6.address;
                let address = Ipv6Addr::new(a, b, c, d, e, f, g, h);
                SocketAddrV6::new(address, v6.port, v6.flow_info, v6.scope_id).into()
            }
        }
    }
}

impl From<SocketAddr> for network::IpSocketAddress {
    fn from(address: SocketAddr) -> network::IpSocketAddress {
        match address {
            SocketAddr::V4(v4) => network::IpSocketAddress::Ipv4(network::Ipv4SocketAddress {
                port: v4.port(),
                address: octets(*v4.ip()),
            }),
            SocketAddr::V6(v6) => network::IpSocketAddress::Ipv6(network::Ipv6SocketAddress {
                port: v6.port(),
                flow_info: v6.flowinfo(),
                address: segments(*v6.ip()),
                scope_id: v6.scope_id(),
            }),
        }
    }
}
