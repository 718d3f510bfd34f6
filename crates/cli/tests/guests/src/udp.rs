//! `wasi:sockets/udp`: the state machine, streams with and without a remote address.

use crate::tcp::{address, family, shown, v4, v6, value, word, LO4, LO6};
use wasip2::clocks::monotonic_clock::subscribe_duration;
use wasip2::io::poll::poll;
use wasip2::sockets::instance_network::instance_network;
use wasip2::sockets::network::{ErrorCode, IpAddressFamily as Family, IpSocketAddress as Address};
use wasip2::sockets::udp::{IncomingDatagramStream, OutgoingDatagram, OutgoingDatagramStream, UdpSocket};
use wasip2::sockets::udp_create_socket::create_udp_socket;

fn socket(family: Family) -> UdpSocket {
    create_udp_socket(family).expect("it may be made")
}

fn bind(s: &UdpSocket, address: Address) -> Result<(), ErrorCode> {
    s.start_bind(&instance_network(), address)?;
    loop {
        match s.finish_bind() {
            Err(ErrorCode::WouldBlock) => s.subscribe().block(),
            done => return done,
        }
    }
}

fn bound(family: Family, lo: Address) -> UdpSocket {
    let s = socket(family);
    bind(&s, lo).expect("it can be bound");
    s
}

fn send(out: &OutgoingDatagramStream, datagrams: &[(&[u8], Option<Address>)]) -> String {
    let late = subscribe_duration(5_000_000_000);
    while let Ok(0) = out.check_send() {
        if poll(&[&out.subscribe(), &late]).contains(&1) {
            return "late".to_owned();
        }
    }
    let datagrams: Vec<OutgoingDatagram> = datagrams.iter().map(|(data, to)| OutgoingDatagram { data: data.to_vec(), remote_address: *to }).collect();
    value(out.send(&datagrams))
}

/// The contents of the next datagrams, as many as expected, and whom they are from.
fn receive(i: &IncomingDatagramStream, count: usize, from: &UdpSocket) -> String {
    let late = subscribe_duration(5_000_000_000);
    let own = from.local_address().expect("it is bound");
    let mut all = Vec::new();
    while all.len() < count {
        match i.receive(10) {
            Ok(list) if list.is_empty() => {
                if poll(&[&i.subscribe(), &late]).contains(&1) {
                    all.push("late".to_owned());
                    break;
                }
            }
            Ok(list) => all.extend(list.iter().map(|d| format!("{:?} {}", String::from_utf8_lossy(&d.data), port(d.remote_address) == port(own)))),
            Err(code) => {
                all.push(code.name().to_owned());
                break;
            }
        }
    }
    all.join(", ")
}

fn port(address: Address) -> u16 {
    match address {
        Address::Ipv4(a) => a.port,
        Address::Ipv6(a) => a.port,
    }
}

pub fn run() {
    let net = instance_network();
    for (family, lo, any) in [
        (Family::Ipv4, v4(LO4, 0), v4((0, 0, 0, 0), 0)),
        (Family::Ipv6, v6(LO6, 0), v6((0, 0, 0, 0, 0, 0, 0, 0), 0)),
    ] {
        println!("[{family:?}]");
        let s = socket(family);
        println!("new: family {:?} finish-bind {} local {} remote {} stream {}", s.address_family(), word(s.finish_bind()), shown(s.local_address()), shown(s.remote_address()), word(s.stream(None)));
        println!("start-bind {} again {} stream while binding {} local {}", word(s.start_bind(&net, lo)), word(s.start_bind(&net, lo)), word(s.stream(None)), shown(s.local_address()));
        println!("finish-bind {} again {}", word(s.finish_bind()), word(s.finish_bind()));
        println!("bound: start-bind {} local {} remote {}", word(s.start_bind(&net, lo)), shown(s.local_address()), shown(s.remote_address()));
        println!("hops 0 {} 42 {} {} 255 {}", word(s.set_unicast_hop_limit(0)), word(s.set_unicast_hop_limit(42)), value(s.unicast_hop_limit()), word(s.set_unicast_hop_limit(255)));
        println!("receive buffer 0 {} some {} {} huge {}", word(s.set_receive_buffer_size(0)), word(s.set_receive_buffer_size(16_000)), s.receive_buffer_size().is_ok_and(|n| n >= 16_000), word(s.set_receive_buffer_size(u64::MAX)));
        println!("send buffer 0 {} some {} {} huge {}", word(s.set_send_buffer_size(0)), word(s.set_send_buffer_size(16_000)), s.send_buffer_size().is_ok_and(|n| n >= 16_000), word(s.set_send_buffer_size(u64::MAX)));

        for (name, address) in [
            ("4", v4(LO4, 0)), ("6", v6(LO6, 0)), ("mapped", v6((0, 0, 0, 0, 0, 0xffff, 0x7f00, 1), 0)),
            ("not ours 4", v4((192, 0, 2, 1), 0)), ("not ours 6", v6((0x2001, 0xdb8, 0, 0, 0, 0, 0, 1), 0)),
        ] {
            println!("bind {name}: {}", word(bind(&socket(family), address)));
        }
        let taken = bound(family, lo);
        println!("taken {}", word(bind(&socket(family), taken.local_address().expect("bound"))));
        println!("any {}", word(bind(&socket(family), any)));
        for (name, address) in [
            ("port 0", lo), ("any", if family == Family::Ipv4 { v4((0, 0, 0, 0), 9) } else { v6((0, 0, 0, 0, 0, 0, 0, 0), 9) }),
            ("other family", if family == Family::Ipv4 { v6(LO6, 9) } else { v4(LO4, 9) }),
            ("mapped", v6((0, 0, 0, 0, 0, 0xffff, 0x7f00, 1), 9)),
        ] {
            println!("stream to {name}: {}", word(bound(family, lo).stream(Some(address))));
        }

        let (a, b) = (bound(family, lo), bound(family, lo));
        let (ai, ao) = a.stream(None).expect("it is bound");
        let (bi, bo) = b.stream(None).expect("it is bound");
        let (to_a, to_b) = (a.local_address().expect("bound"), b.local_address().expect("bound"));
        println!("check {}", ao.check_send().is_ok_and(|n| n > 0));
        println!("receive nobody {:?}", bi.receive(1).map(|l| l.len()).ok());
        println!("receive none {:?}", bi.receive(0).map(|l| l.len()).ok());
        println!("ready {}", bi.subscribe().ready());
        println!("send {} {}", send(&ao, &[(b"one", Some(to_b)), (b"", Some(to_b)), (b"three", Some(to_b))]), receive(&bi, 3, &a));
        println!("send none {}", send(&ao, &[]));
        println!("send nowhere {}", send(&ao, &[(b"x", None)]));
        println!("send to port 0 {}", send(&ao, &[(b"x", Some(lo))]));
        println!("send to another family {}", send(&ao, &[(b"x", Some(if family == Family::Ipv4 { v6(LO6, 9) } else { v4(LO4, 9) }))]));
        println!("one good one bad {}", send(&ao, &[(b"good", Some(to_b)), (b"bad", None)]));
        println!("{}", receive(&bi, 1, &a));
        println!("too big {}", send(&ao, &[(&[0; 65_536], Some(to_b))]));
        println!("big {}", send(&ao, &[(&[b'b'; 60_000], Some(to_b))]));
        let late = subscribe_duration(5_000_000_000);
        println!("{:?} {:?}", poll(&[&bi.subscribe(), &late]), bi.receive(1).map(|l| l.iter().map(|d| d.data.len()).collect::<Vec<_>>()).ok());

        // With a remote address: only from there, only to there.
        drop((bi, bo));
        let (bi, bo) = b.stream(Some(to_a)).expect("it can be connected");
        println!("connected: remote {} local {}", format!("{:?}", b.remote_address().ok()) == format!("{:?}", Some(to_a)), shown(b.local_address()));
        println!("send {} {}", send(&bo, &[(b"to you", None), (b"to you too", Some(to_a))]), receive(&ai, 2, &b));
        println!("send elsewhere {}", send(&bo, &[(b"x", Some(to_b))]));
        let c = bound(family, lo);
        let (_ci, co) = c.stream(None).expect("it is bound");
        println!("from another {}", send(&co, &[(b"unasked", Some(to_b))]));
        println!("from the one {}", send(&ao, &[(b"asked", Some(to_b))]));
        println!("{}", receive(&bi, 1, &a));
        drop((bi, bo));
        let (_bi, _bo) = b.stream(None).expect("it can be disconnected");
        println!("disconnected: remote {}", shown(b.remote_address()));
    }
}

pub fn create() -> Result<(), ErrorCode> {
    create_udp_socket(Family::Ipv4).map(drop)
}

pub fn try_bind(to: std::net::SocketAddr) -> Result<(), ErrorCode> {
    bind(&create_udp_socket(family(to))?, address(to))
}

/// Sends a datagram, over a stream that is connected or one that is not.
pub fn try_send(to: std::net::SocketAddr, connected: bool) -> Result<(), ErrorCode> {
    let socket = create_udp_socket(family(to))?;
    let any = if to.is_ipv4() { v4((0, 0, 0, 0), 0) } else { v6((0, 0, 0, 0, 0, 0, 0, 0), 0) };
    bind(&socket, any)?;
    let to = address(to);
    let (_incoming, outgoing) = socket.stream(connected.then_some(to))?;
    outgoing.subscribe().block();
    outgoing.check_send()?;
    let remote_address = (!connected).then_some(to);
    outgoing.send(&[OutgoingDatagram { data: b"x".to_vec(), remote_address }]).map(drop)
}
