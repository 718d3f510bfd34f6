//! What a guest may do in the network, as a user writes it: `--listen`, `--connect`, `--http`.
//!
//! Guarantees: a grant says no more than its text; what cannot be read is refused, not guessed.
//! Does not do: the decision, which is in `policy`.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

/// Hosts: all, those of a network, or those of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Hosts {
    All,
    Net(IpAddr, u8),
    Name(String),
    /// All below a name, itself not included: `*.example.com`.
    Below(String),
}

impl Hosts {
    pub(crate) fn has_address(&self, address: IpAddr) -> bool {
        match self {
            Hosts::All => true,
            Hosts::Net(net, bits) => in_net(address.to_canonical(), *net, *bits),
            // Whatever the resolver says of it (RFC 6761, 6.3).
            Hosts::Name(name) => name == "localhost" && address.is_loopback(),
            Hosts::Below(_) => false,
        }
    }

    pub(crate) fn has_name(&self, name: &str) -> bool {
        let name = name.strip_suffix('.').unwrap_or(name);
        match self {
            Hosts::All => true,
            Hosts::Net(..) => name.parse().is_ok_and(|address| self.has_address(address)),
            Hosts::Name(own) => own.eq_ignore_ascii_case(name),
            Hosts::Below(own) => {
                let split = name.len().checked_sub(own.len() + 1);
                split
                    .and_then(|at| name.split_at_checked(at))
                    .is_some_and(|(label, rest)| {
                        !label.is_empty() && rest.starts_with('.') && rest[1..].eq_ignore_ascii_case(own)
                    })
            }
        }
    }
}

fn in_net(address: IpAddr, net: IpAddr, bits: u8) -> bool {
    fn same(a: u128, b: u128, width: u32, bits: u8) -> bool {
        (a ^ b).checked_shr(width - u32::from(bits)).unwrap_or(0) == 0
    }
    match (address, net) {
        (IpAddr::V4(a), IpAddr::V4(b)) => same(a.to_bits().into(), b.to_bits().into(), 32, bits),
        (IpAddr::V6(a), IpAddr::V6(b)) => same(a.to_bits(), b.to_bits(), 128, bits),
        _ => false,
    }
}

/// Hosts and a port; without one, all ports.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Endpoint {
    hosts: Hosts,
    port: Option<u16>,
}

impl Endpoint {
    fn has_port(&self, port: u16) -> bool {
        self.port.is_none_or(|own| own == port)
    }
}

/// Why a text is no grant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadGrant(String);

impl fmt::Display for BadGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadGrant {}

fn bad<T>(message: impl Into<String>) -> Result<T, BadGrant> {
    Err(BadGrant(message.into()))
}

impl FromStr for Endpoint {
    type Err = BadGrant;

    fn from_str(text: &str) -> Result<Endpoint, BadGrant> {
        if text.contains("//") {
            return bad("only the host is named, without `http://` or a path");
        }
        let (hosts, port) = match text.strip_prefix('[') {
            Some(rest) => match rest.split_once(']') {
                Some((inner, "")) => (v6(inner)?, None),
                Some((inner, rest)) if rest.starts_with(':') => (v6(inner)?, Some(&rest[1..])),
                _ => return bad("an address in brackets ends with `]` or `]:PORT`"),
            },
            // More than one colon: an address of version 6, which has no port without brackets.
            None if text.matches(':').count() > 1 => (v6(text)?, None),
            None => match text.split_once(':') {
                Some((host, port)) => (named(host)?, Some(port)),
                None => (named(text)?, None),
            },
        };
        let port = port.map(|port| match port.parse() {
            Ok(port) => Ok(port),
            Err(_) => bad(format!("`{port}` is not a port")),
        });
        Ok(Endpoint {
            hosts,
            port: port.transpose()?,
        })
    }
}

/// An address or network of version 6.
fn v6(text: &str) -> Result<Hosts, BadGrant> {
    let (address, bits) = text.split_once('/').map_or((text, None), |(a, b)| (a, Some(b)));
    match address.parse::<Ipv6Addr>() {
        Ok(address) => net(address.into(), bits),
        Err(_) => bad(format!("`{text}` is not an address")),
    }
}

fn net(address: IpAddr, bits: Option<&str>) -> Result<Hosts, BadGrant> {
    let width = if address.is_ipv4() { 32 } else { 128 };
    let bits = match bits.map(str::parse) {
        None => width,
        Some(Ok(bits)) if bits <= width => bits,
        Some(_) => return bad(format!("a network has 0 to {width} bits after its `/`")),
    };
    Ok(Hosts::Net(address, bits))
}

/// Everything but addresses of version 6.
fn named(text: &str) -> Result<Hosts, BadGrant> {
    if text == "*" {
        return Ok(Hosts::All);
    }
    let (address, bits) = text.split_once('/').map_or((text, None), |(a, b)| (a, Some(b)));
    if let Ok(address) = address.parse() {
        return net(IpAddr::V4(address), bits);
    }
    let name = text.strip_prefix("*.").unwrap_or(text);
    if !is_name(name) {
        return bad(format!("`{text}` is neither a name nor an address nor a network"));
    }
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    Ok(match text.starts_with("*.") {
        true => Hosts::Below(name),
        false => Hosts::Name(name),
    })
}

/// The longest name of a host, in bytes (RFC 1035, 2.3.4).
const NAME_BYTES_MAX: usize = 253;

/// Whether it can be the name of a host (RFC 1123, with the underscores that exist all the same).
pub(crate) fn is_name(text: &str) -> bool {
    let text = text.strip_suffix('.').unwrap_or(text);
    let is_label = |label: &str| {
        let bytes = label.as_bytes();
        (1..=63).contains(&bytes.len())
            && bytes
                .iter()
                .all(|b| b.is_ascii_alphanumeric() || b"-_".contains(b))
            && bytes[0] != b'-'
            && bytes[bytes.len() - 1] != b'-'
    };
    // A last label of digits alone is a mistyped address.
    let last = text.rsplit('.').next().unwrap_or_default();
    text.len() <= NAME_BYTES_MAX
        && text.split('.').all(is_label)
        && !last.bytes().all(|byte| byte.is_ascii_digit())
}

/// `ADDR[:PORT]`: where a guest may bind sockets and wait for others.
///
/// `ADDR` is an address of this machine, one of version 6 in brackets if a port follows; `0.0.0.0`
/// and `[::]` stand for all of their version, `*` for all, `localhost` for 127.0.0.1 and `[::1]`. Without a port, or
/// with port 0, any port.
///
/// ```
/// use cellwall_wasi::ListenGrant;
///
/// for text in ["127.0.0.1:8080", "[::1]:8080", "0.0.0.0", "*:8080"] {
///     text.parse::<ListenGrant>()?;
/// }
/// assert!("example.com:80".parse::<ListenGrant>().is_err(), "whose address is that?");
/// # Ok::<(), cellwall_wasi::BadGrant>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenGrant(Endpoint);

impl ListenGrant {
    pub(crate) fn covers(&self, local: SocketAddr) -> bool {
        let has_host = match &self.0.hosts {
            Hosts::Net(own, _) if own.is_unspecified() => own.is_ipv4() == local.is_ipv4(),
            Hosts::Name(_) => local.ip().is_loopback(),
            hosts => hosts.has_address(local.ip()),
        };
        has_host && self.0.has_port(local.port())
    }
}

impl FromStr for ListenGrant {
    type Err = BadGrant;

    fn from_str(text: &str) -> Result<ListenGrant, BadGrant> {
        let mut endpoint: Endpoint = match text.strip_prefix(':') {
            Some(port) if !port.starts_with(':') => format!("*:{port}").parse()?,
            _ => text.parse()?,
        };
        match &endpoint.hosts {
            Hosts::Name(name) if name != "localhost" => {
                bad(format!("`{name}` is a name; only an address can be listened on"))
            }
            Hosts::Below(_) => bad("only an address can be listened on"),
            _ => {
                endpoint.port = endpoint.port.filter(|port| *port != 0);
                Ok(ListenGrant(endpoint))
            }
        }
    }
}

/// `HOST[:PORT]` or a network, `CIDR[:PORT]`: whom a guest may connect to and send datagrams to.
///
/// `HOST` is an address, a name, `*.` before a name for all below it, or `*` for all. A name allows
/// to look up that name, and to reach the addresses that it has.
///
/// ```
/// use cellwall_wasi::ConnectGrant;
///
/// for text in ["example.com:443", "10.0.0.0/8", "[2001:db8::/32]:80", "::1", "*.example.com"] {
///     text.parse::<ConnectGrant>()?;
/// }
/// assert!("10.0.0.0/33".parse::<ConnectGrant>().is_err());
/// # Ok::<(), cellwall_wasi::BadGrant>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectGrant(Endpoint);

impl ConnectGrant {
    pub(crate) fn hosts(&self) -> &Hosts {
        &self.0.hosts
    }

    pub(crate) fn has_port(&self, port: u16) -> bool {
        self.0.has_port(port)
    }
}

impl FromStr for ConnectGrant {
    type Err = BadGrant;

    fn from_str(text: &str) -> Result<ConnectGrant, BadGrant> {
        let endpoint: Endpoint = text.parse()?;
        match endpoint.port {
            Some(0) => bad("nobody can be reached at port 0"),
            _ => Ok(ConnectGrant(endpoint)),
        }
    }
}

/// `HOST[:PORT]`: whom a guest may send HTTP requests to, with and without TLS.
///
/// `HOST` is compared with the authority of the request, not with the address behind it: a name, an
/// address, a network, `*.` before a name, or `*`.
///
/// ```
/// use cellwall_wasi::HttpGrant;
///
/// let grant: HttpGrant = "*.example.com:443".parse()?;
/// assert!(grant.covers("api.example.com", 443));
/// assert!(!grant.covers("example.com", 443) && !grant.covers("api.example.com", 80));
/// # Ok::<(), cellwall_wasi::BadGrant>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpGrant(Endpoint);

impl HttpGrant {
    /// Whether a request to this host (an address of version 6 with or without brackets) and port is
    /// allowed.
    pub fn covers(&self, host: &str, port: u16) -> bool {
        let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        self.0.hosts.has_name(inner.unwrap_or(host)) && self.0.has_port(port)
    }
}

impl FromStr for HttpGrant {
    type Err = BadGrant;

    fn from_str(text: &str) -> Result<HttpGrant, BadGrant> {
        text.parse().map(HttpGrant)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connect(text: &str) -> Hosts {
        text.parse::<ConnectGrant>().unwrap().0.hosts
    }

    #[test]
    fn networks_hold_their_addresses_and_no_others() {
        for (net, inside, outside) in [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.0"),
            ("127.0.0.1", "127.0.0.1", "127.0.0.2"),
            ("0.0.0.0/0", "255.255.255.255", "::1"),
            ("[2001:db8::/32]:80", "2001:db8:ffff::1", "2001:db9::"),
            ("::1", "::1", "::2"),
            ("::/0", "ffff::", "1.2.3.4"),
        ] {
            assert!(connect(net).has_address(inside.parse().unwrap()), "{net}");
            assert!(!connect(net).has_address(outside.parse().unwrap()), "{net}");
        }
    }

    #[test]
    fn names_are_compared_whole() {
        let name = connect("Example.com:443");
        assert!(name.has_name("example.COM.") && !name.has_name("a.example.com"));
        assert!(!name.has_address("127.0.0.1".parse().unwrap()));
        assert!(connect("localhost").has_address("127.0.0.1".parse().unwrap()));
        assert!(!connect("localhost").has_address("1.2.3.4".parse().unwrap()));
        let below = connect("*.example.com");
        assert!(below.has_name("a.example.com") && below.has_name("a.b.example.com"));
        for other in [
            "example.com",
            ".example.com",
            "aexample.com",
            "é.com",
            "xample.com",
        ] {
            assert!(!below.has_name(other), "{other}");
        }
    }

    #[test]
    fn what_is_no_grant_is_refused() {
        for text in [
            "",
            ":80",
            "a b",
            "host:",
            "host:65536",
            "host:x",
            "[::1",
            "[::1]80",
            "[1.2.3.4]",
            "1.2.3.4.5",
            "256.1.1.1",
            "10.0.0.0/33",
            "::/129",
            "10.0.0.0/",
            "-a.com",
            "a..com",
            "*x.com",
            "host:0",
        ] {
            assert!(text.parse::<ConnectGrant>().is_err(), "{text}");
        }
        for text in ["example.com", "*.example.com", "127.0.0.1:99999", "::1:]"] {
            assert!(text.parse::<ListenGrant>().is_err(), "{text}");
        }
        for text in ["https://example.com", "http://1.2.3.4:80/", "tcp://[::1]:80"] {
            let refused = [
                text.parse::<HttpGrant>().err(),
                text.parse::<ConnectGrant>().err(),
                text.parse::<ListenGrant>().err(),
            ];
            for error in refused {
                let error = error.map(|error| error.to_string()).unwrap_or_default();
                assert!(error.contains("only the host is named"), "{text}: {error}");
            }
        }
    }

    #[test]
    fn listening_is_granted_by_address_and_port() {
        let covers = |grant: &str, local: &str| {
            let grant: ListenGrant = grant.parse().unwrap();
            grant.covers(local.parse().unwrap())
        };
        for (grant, yes, no) in [
            ("127.0.0.1:80", "127.0.0.1:80", "127.0.0.1:81"),
            ("127.0.0.1:80", "127.0.0.1:80", "0.0.0.0:80"),
            ("127.0.0.1", "127.0.0.1:7", "127.0.0.2:7"),
            ("127.0.0.1:0", "127.0.0.1:7", "[::1]:7"),
            ("0.0.0.0:80", "127.0.0.1:80", "[::]:80"),
            ("[::]:80", "[::1]:80", "0.0.0.0:80"),
            (":80", "0.0.0.0:80", "0.0.0.0:81"),
            ("localhost:80", "[::1]:80", "10.0.0.1:80"),
        ] {
            assert!(covers(grant, yes), "{grant} {yes}");
            assert!(!covers(grant, no), "{grant} {no}");
        }
    }
}
