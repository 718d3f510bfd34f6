//! Which addresses a socket may be given.
//!
//! Guarantees: a v6 socket never speaks v4: addresses that hide a v4 address are refused, and
//! sockets are made v6-only.

use super::ErrorCode;
use rustix::net::AddressFamily;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The family of a socket: `wasi:sockets/network.ip-address-family`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IpFamily {
    /// Internet protocol, version 4.
    V4,
    /// Internet protocol, version 6.
    V6,
}

impl IpFamily {
    pub(crate) fn os(self) -> AddressFamily {
        match self {
            IpFamily::V4 => AddressFamily::INET,
            IpFamily::V6 => AddressFamily::INET6,
        }
    }

    /// Any address of this machine, any port.
    pub(crate) fn any(self) -> SocketAddr {
        match self {
            IpFamily::V4 => (Ipv4Addr::UNSPECIFIED, 0).into(),
            IpFamily::V6 => (Ipv6Addr::UNSPECIFIED, 0).into(),
        }
    }

    /// Whether a socket of this family can use the address as its own.
    pub(crate) fn check(self, address: IpAddr) -> Result<(), ErrorCode> {
        let fits = match (self, address) {
            (IpFamily::V4, IpAddr::V4(_)) => true,
            (IpFamily::V6, IpAddr::V6(v6)) => !hides_v4(v6),
            _ => false,
        };
        fits.then_some(()).ok_or(ErrorCode::InvalidArgument)
    }

    /// Whether it can be the other side of a socket of this family.
    pub(crate) fn check_remote(self, address: SocketAddr) -> Result<(), ErrorCode> {
        self.check(address.ip())?;
        match address.ip().is_unspecified() || address.port() == 0 {
            true => Err(ErrorCode::InvalidArgument),
            false => Ok(()),
        }
    }
}

/// A v4-mapped address (`::ffff:1.2.3.4`), or a v4-compatible one (`::1.2.3.4`) of old.
fn hides_v4(address: Ipv6Addr) -> bool {
    let is_compatible =
        address.segments()[..6] == [0; 6] && !address.is_unspecified() && !address.is_loopback();
    address.to_ipv4_mapped().is_some() || is_compatible
}

/// TCP has two ends: neither can be a group.
pub(crate) fn check_unicast(address: IpAddr) -> Result<(), ErrorCode> {
    let is_group = match address {
        IpAddr::V4(v4) => v4.is_multicast() || v4.is_broadcast(),
        IpAddr::V6(v6) => v6.is_multicast(),
    };
    match is_group {
        true => Err(ErrorCode::InvalidArgument),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_fit_their_family_and_no_other() {
        let table = [
            ("127.0.0.1", true, false),
            ("0.0.0.0", true, false),
            ("::1", false, true),
            ("::", false, true),
            ("fe80::1", false, true),
            ("::ffff:127.0.0.1", false, false),
            ("::1.2.3.4", false, false),
        ];
        for (text, v4, v6) in table {
            let ip: IpAddr = text.parse().unwrap();
            assert_eq!(IpFamily::V4.check(ip).is_ok(), v4, "{text}");
            assert_eq!(IpFamily::V6.check(ip).is_ok(), v6, "{text}");
        }
    }

    #[test]
    fn remote_addresses_are_complete() {
        for (text, fits) in [
            ("127.0.0.1:80", true),
            ("127.0.0.1:0", false),
            ("0.0.0.0:80", false),
        ] {
            let address = text.parse().unwrap();
            assert_eq!(IpFamily::V4.check_remote(address).is_ok(), fits, "{text}");
        }
    }

    #[test]
    fn groups_are_no_ends_of_a_connection() {
        for (text, fits) in [
            ("127.0.0.1", true),
            ("224.0.0.1", false),
            ("255.255.255.255", false),
            ("::1", true),
            ("ff02::1", false),
        ] {
            assert_eq!(check_unicast(text.parse().unwrap()).is_ok(), fits, "{text}");
        }
    }
}
