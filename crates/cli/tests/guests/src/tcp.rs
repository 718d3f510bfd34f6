//! `wasi:sockets/tcp` and names: the state machine, options, and both ends of a connection, which this
//! guest holds itself.

use crate::show::{bytes, told};
use wasip2::clocks::monotonic_clock::subscribe_duration;
use wasip2::io::poll::poll;
use wasip2::io::streams::{InputStream, OutputStream};
use wasip2::sockets::instance_network::instance_network;
use wasip2::sockets::ip_name_lookup::resolve_addresses;
use wasip2::sockets::network::{
    ErrorCode, IpAddress, IpAddressFamily as Family, IpSocketAddress as Address, Ipv4SocketAddress, Ipv6SocketAddress,
};
use wasip2::sockets::tcp::{ShutdownType, TcpSocket};
use wasip2::sockets::tcp_create_socket::create_tcp_socket;

pub fn v4(address: (u8, u8, u8, u8), port: u16) -> Address {
    Address::Ipv4(Ipv4SocketAddress { port, address })
}

pub fn v6(address: (u16, u16, u16, u16, u16, u16, u16, u16), port: u16) -> Address {
    Address::Ipv6(Ipv6SocketAddress { port, flow_info: 0, address, scope_id: 0 })
}

pub const LO4: (u8, u8, u8, u8) = (127, 0, 0, 1);
pub const LO6: (u16, u16, u16, u16, u16, u16, u16, u16) = (0, 0, 0, 0, 0, 0, 0, 1);

/// An address without what differs from run to run.
pub fn shown(address: Result<Address, ErrorCode>) -> String {
    match address {
        Ok(Address::Ipv4(a)) => format!("{:?}:{}", a.address, if a.port == 0 { "0" } else { "n" }),
        Ok(Address::Ipv6(a)) => format!("{:?}:{} {} {}", a.address, if a.port == 0 { "0" } else { "n" }, a.flow_info, a.scope_id),
        Err(code) => code.name().to_owned(),
    }
}

pub fn word<T>(result: Result<T, ErrorCode>) -> &'static str {
    match result {
        Ok(_) => "ok",
        Err(code) => code.name(),
    }
}

pub fn value<T: std::fmt::Debug>(result: Result<T, ErrorCode>) -> String {
    match result {
        Ok(value) => format!("{value:?}"),
        Err(code) => code.name().to_owned(),
    }
}

fn socket(family: Family) -> TcpSocket {
    create_tcp_socket(family).expect("it may be made")
}

/// Repeats what says `would-block`, at most for ten seconds.
fn finish<T>(socket: &TcpSocket, step: impl Fn() -> Result<T, ErrorCode>) -> Result<T, ErrorCode> {
    let late = subscribe_duration(10_000_000_000);
    loop {
        match step() {
            Err(ErrorCode::WouldBlock) => {
                let ready = socket.subscribe();
                if poll(&[&ready, &late]).contains(&1) {
                    return Err(ErrorCode::Timeout);
                }
            }
            done => return done,
        }
    }
}

fn bind(s: &TcpSocket, address: Address) -> Result<(), ErrorCode> {
    s.start_bind(&instance_network(), address)?;
    finish(s, || s.finish_bind())
}

fn listen(s: &TcpSocket) -> Result<(), ErrorCode> {
    s.start_listen()?;
    finish(s, || s.finish_listen())
}

fn connect(s: &TcpSocket, address: Address) -> Result<(InputStream, OutputStream), ErrorCode> {
    s.start_connect(&instance_network(), address)?;
    finish(s, || s.finish_connect())
}

fn accept(s: &TcpSocket) -> Result<(TcpSocket, InputStream, OutputStream), ErrorCode> {
    finish(s, || s.accept())
}

pub fn run(rest: &[&str]) {
    match rest {
        ["denied"] => return denied(),
        ["names", names @ ..] => return self::names(names),
        _ => {}
    }
    for (family, lo, any) in [
        (Family::Ipv4, v4(LO4, 0), v4((0, 0, 0, 0), 0)),
        (Family::Ipv6, v6(LO6, 0), v6((0, 0, 0, 0, 0, 0, 0, 0), 0)),
    ] {
        println!("[{family:?}]");
        states(family, lo);
        addresses(family);
        options(family, lo);
        talk(family, lo);
        closing(family, lo);
        shutdowns(family, lo);
        refused(family, lo);
        unused_ports(family, lo, any);
    }
}

/// Every call in every state.
fn states(family: Family, lo: Address) {
    let net = instance_network();
    let calls = |name: &str, s: &TcpSocket| {
        println!(
            "{name}: finish-bind {} finish-connect {} finish-listen {} accept {} local {} remote {} listening {} shutdown {} {} {}",
            word(s.finish_bind()), word(s.finish_connect()), word(s.finish_listen()), word(s.accept()),
            shown(s.local_address()), shown(s.remote_address()), s.is_listening(),
            word(s.shutdown(ShutdownType::Receive)), word(s.shutdown(ShutdownType::Send)), word(s.shutdown(ShutdownType::Both)),
        );
    };
    let s = socket(family);
    println!("family {:?}", s.address_family());
    calls("new", &s);
    println!("listen unbound {}", word(s.start_listen()));
    let s = socket(family);
    println!("start-bind {}", word(s.start_bind(&net, lo)));
    println!("start-bind while binding {}", word(s.start_bind(&net, lo)));
    println!("start-connect while binding {}", word(s.start_connect(&net, lo)));
    println!("start-listen while binding {}", word(s.start_listen()));
    println!("finish-connect while binding {}", word(s.finish_connect()));
    println!("local while binding {}", shown(s.local_address()));
    println!("finish-bind {}", word(finish(&s, || s.finish_bind())));
    calls("bound", &s);
    println!("start-bind again {}", word(s.start_bind(&net, lo)));
    println!("start-listen {}", word(s.start_listen()));
    println!("start-listen while starting {}", word(s.start_listen()));
    println!("accept while starting {}", word(s.accept()));
    println!("finish-listen {}", word(finish(&s, || s.finish_listen())));
    println!("listening ready {}", s.subscribe().ready());
    calls("listening", &s);
    println!("start-bind listening {}", word(s.start_bind(&net, lo)));
    println!("start-listen listening {}", word(s.start_listen()));
    println!("start-connect listening {}", word(s.start_connect(&net, lo)));
    let to = s.local_address().expect("it is bound");
    let c = socket(family);
    println!("start-connect {}", word(c.start_connect(&net, to)));
    println!("start-connect while connecting {}", word(c.start_connect(&net, to)));
    println!("start-bind while connecting {}", word(c.start_bind(&net, lo)));
    println!("start-listen while connecting {}", word(c.start_listen()));
    println!("finish-bind while connecting {}", word(c.finish_bind()));
    println!("finish-connect {}", word(finish(&c, || c.finish_connect())));
    println!("connected: finish-bind {} finish-connect {} finish-listen {} accept {} local {} remote {} listening {}",
        word(c.finish_bind()), word(c.finish_connect()), word(c.finish_listen()), word(c.accept()),
        shown(c.local_address()), shown(c.remote_address()), c.is_listening());
    println!("start-connect connected {}", word(c.start_connect(&net, to)));
    println!("start-bind connected {}", word(c.start_bind(&net, lo)));
    println!("start-listen connected {}", word(c.start_listen()));
    let (a, _, _) = accept(&s).expect("somebody is there");
    println!("accepted: local {} remote {} family {:?} same {}", shown(a.local_address()), shown(a.remote_address()), a.address_family(),
        format!("{:?}", a.remote_address()) == format!("{:?}", c.local_address()));
    println!("accepted: bind {} connect {} listen {} accept {}", word(a.start_bind(&net, lo)), word(a.start_connect(&net, to)), word(a.start_listen()), word(a.accept()));
    println!("accept nobody {}", word(s.accept()));
}

/// Addresses that cannot be.
fn addresses(family: Family) {
    let net = instance_network();
    let list = [
        ("other family 4", v4(LO4, 0)),
        ("other family 6", v6(LO6, 0)),
        ("any 4", v4((0, 0, 0, 0), 80)),
        ("any 6", v6((0, 0, 0, 0, 0, 0, 0, 0), 80)),
        ("mapped", v6((0, 0, 0, 0, 0, 0xffff, 0x7f00, 1), 80)),
        ("compatible", v6((0, 0, 0, 0, 0, 0, 0x7f00, 1), 80)),
        ("multicast 4", v4((224, 254, 0, 0), 80)),
        ("multicast 6", v6((0xff00, 0, 0, 0, 0, 0, 0, 0), 80)),
        ("broadcast", v4((255, 255, 255, 255), 80)),
        ("not ours 4", v4((192, 0, 2, 1), 0)),
        ("not ours 6", v6((0x2001, 0xdb8, 0, 0, 0, 0, 0, 1), 0)),
    ];
    for (name, address) in list {
        let s = socket(family);
        let bound = bind(&s, address);
        let s = socket(family);
        let port0 = match address {
            Address::Ipv4(a) if a.address.0 == 192 => "not tried",
            Address::Ipv6(a) if a.address.0 == 0x2001 => "not tried",
            _ => word(s.start_connect(&net, address)),
        };
        println!("{name}: bind {} connect {port0}", word(bound));
    }
    let s = socket(family);
    let zero = if family == Family::Ipv4 { v4(LO4, 0) } else { v6(LO6, 0) };
    println!("connect to port 0: {}", word(s.start_connect(&net, zero)));
}

fn options(family: Family, lo: Address) {
    let s = socket(family);
    println!("backlog 0 {} 5 {}", word(s.set_listen_backlog_size(0)), word(s.set_listen_backlog_size(5)));
    println!("keep-alive {} set {} now {}", value(s.keep_alive_enabled()), word(s.set_keep_alive_enabled(true)), value(s.keep_alive_enabled()));
    println!("idle 0 {} some {} {} huge {}", word(s.set_keep_alive_idle_time(0)), word(s.set_keep_alive_idle_time(5_000_000_000)), value(s.keep_alive_idle_time()), word(s.set_keep_alive_idle_time(u64::MAX)));
    println!("idle tiny {} {}", word(s.set_keep_alive_idle_time(1)), s.keep_alive_idle_time().is_ok_and(|n| n > 0 && n <= 1_000_000_000));
    println!("interval 0 {} some {} {} huge {}", word(s.set_keep_alive_interval(0)), word(s.set_keep_alive_interval(7_000_000_000)), value(s.keep_alive_interval()), word(s.set_keep_alive_interval(u64::MAX)));
    println!("count 0 {} some {} {} huge {}", word(s.set_keep_alive_count(0)), word(s.set_keep_alive_count(3)), value(s.keep_alive_count()), word(s.set_keep_alive_count(u32::MAX)));
    println!("hops 0 {} 1 {} 42 {} {} 255 {} {}", word(s.set_hop_limit(0)), word(s.set_hop_limit(1)), word(s.set_hop_limit(42)), value(s.hop_limit()), word(s.set_hop_limit(255)), value(s.hop_limit()));
    println!("receive buffer 0 {} some {} {} huge {}", word(s.set_receive_buffer_size(0)), word(s.set_receive_buffer_size(16_000)), s.receive_buffer_size().is_ok_and(|n| n >= 16_000), word(s.set_receive_buffer_size(u64::MAX)));
    println!("send buffer 0 {} some {} {} huge {}", word(s.set_send_buffer_size(0)), word(s.set_send_buffer_size(16_000)), s.send_buffer_size().is_ok_and(|n| n >= 16_000), word(s.set_send_buffer_size(u64::MAX)));
    // What was set goes on in what is accepted.
    let s = socket(family);
    for done in [s.set_keep_alive_enabled(true), s.set_keep_alive_idle_time(42_000_000_000), s.set_keep_alive_interval(43_000_000_000), s.set_keep_alive_count(5), s.set_hop_limit(77)] {
        done.expect("it can be set");
    }
    bind(&s, lo).expect("it can be bound");
    listen(&s).expect("it can listen");
    println!("backlog later {}", word(s.set_listen_backlog_size(7)));
    let c = socket(family);
    let _streams = connect(&c, s.local_address().expect("bound")).expect("it is there");
    let (a, _i, _o) = accept(&s).expect("it is there");
    println!("accepted has {} {} {} {} {}", value(a.keep_alive_enabled()), value(a.keep_alive_idle_time()), value(a.keep_alive_interval()), value(a.keep_alive_count()), value(a.hop_limit()));
    println!("backlog connected {} accepted {}", word(c.set_listen_backlog_size(7)), word(a.set_listen_backlog_size(7)));
}

/// Two ends that are connected: (server's socket, in, out), (client's socket, in, out).
#[allow(clippy::type_complexity, reason = "a name for it would say less")]
fn pair(family: Family, lo: Address) -> ((TcpSocket, InputStream, OutputStream), (TcpSocket, InputStream, OutputStream)) {
    let s = socket(family);
    bind(&s, lo).expect("it can be bound");
    listen(&s).expect("it can listen");
    let c = socket(family);
    let (i, o) = connect(&c, s.local_address().expect("bound")).expect("it is there");
    (accept(&s).expect("it is there"), (c, i, o))
}

/// Reads until so many bytes are there, or the end.
fn read_all(i: &InputStream, length: usize) -> String {
    let mut all = Vec::new();
    while all.len() < length {
        match i.blocking_read(100) {
            Ok(part) => all.extend(part),
            other => return format!("{:?} then {}", String::from_utf8_lossy(&all), bytes(other)),
        }
    }
    format!("{:?}", String::from_utf8_lossy(&all))
}

fn talk(family: Family, lo: Address) {
    let ((_a, ai, ao), (_c, ci, co)) = pair(family, lo);
    println!("read nothing there {} ready {}", bytes(ai.read(10)), ai.subscribe().ready());
    println!("skip nothing there {}", told(ai.skip(10)));
    println!("may write {} {}", co.check_write().is_ok_and(|n| n > 0), co.subscribe().ready());
    println!("write nothing {}", told(co.blocking_write_and_flush(b"")));
    println!("write {}", told(co.blocking_write_and_flush(b"hello")));
    println!("{}", read_all(&ai, 5));
    println!("back {} {}", told(ao.blocking_write_and_flush(b"world")), read_all(&ci, 5));
    println!("zeroes {} {}", told(ao.blocking_write_zeroes_and_flush(3)), read_all(&ci, 3));
    println!("splice {}", told(co.blocking_write_and_flush(b"around")));
    let mut moved = 0;
    while moved < 6 {
        moved += ao.blocking_splice(&ai, 6 - moved).expect("it is open");
    }
    println!("{}", read_all(&ci, 6));
    let mut sent = 0u64;
    let mut got = 0u64;
    let chunk = vec![7u8; 65536];
    while sent < 4 << 20 {
        match co.check_write() {
            Ok(0) => {
                got += ai.blocking_skip(1 << 20).expect("it is open");
            }
            Ok(n) => {
                let n = n.min(65536);
                co.write(&chunk[..n as usize]).expect("it was permitted");
                sent += n;
            }
            Err(_) => break,
        }
    }
    co.flush().expect("it is open");
    while got < sent {
        got += ai.blocking_skip(1 << 20).expect("it is open");
    }
    println!("much {}", got == sent);
}

fn closing(family: Family, lo: Address) {
    let ((a, ai, ao), (c, ci, co)) = pair(family, lo);
    println!("closing: write {}", told(co.blocking_write_and_flush(b"last words")));
    drop((ci, co, c));
    println!("{}", read_all(&ai, 100));
    println!("read again {} {} ready {}", bytes(ai.blocking_read(1)), bytes(ai.read(1)), ai.subscribe().ready());
    let mut writes = 0;
    let end = loop {
        match ao.blocking_write_and_flush(b"anyone?") {
            Ok(()) if writes < 1000 => writes += 1,
            Ok(()) => break "still written".to_owned(),
            Err(_) => break "an error".to_owned(),
        }
    };
    println!("write to nobody: {end}, then {}", told(ao.blocking_write_and_flush(b"x")));
    drop((ai, ao, a));
    // One direction after the other.
    let ((_a, ai, ao), (c, ci, co)) = pair(family, lo);
    println!("both ways {} {}", told(co.blocking_write_and_flush(b"on")), read_all(&ai, 2));
    drop(co);
    println!("without output {} {}", told(ao.blocking_write_and_flush(b"on")), read_all(&ci, 2));
    drop((ci, c));
    println!("without all {}", read_all(&ai, 1));
}

/// The streams of a connection are to be dropped before it.
pub fn socket_before_streams() {
    let ((a, _ai, _ao), _) = pair(Family::Ipv4, v4(LO4, 0));
    drop(a);
}

fn shutdowns(family: Family, lo: Address) {
    let ((a, ai, ao), (c, ci, co)) = pair(family, lo);
    println!("shutdown send {}", word(c.shutdown(ShutdownType::Send)));
    println!("write after {} check {}", told(co.write(b"")), told(co.check_write()));
    println!("write after {}", told(co.blocking_write_and_flush(b"x")));
    println!("flush after {} {}", told(co.flush()), told(co.blocking_flush()));
    println!("the other end {}", read_all(&ai, 1));
    println!("half closed {} {}", told(ao.blocking_write_and_flush(b"still")), read_all(&ci, 5));
    println!("again {}", word(c.shutdown(ShutdownType::Send)));
    println!("shutdown receive {}", word(c.shutdown(ShutdownType::Receive)));
    println!("read after {} {}", bytes(ci.read(1)), bytes(ci.blocking_read(1)));
    println!("skip after {}", told(ci.skip(1)));
    println!("both {}", word(a.shutdown(ShutdownType::Both)));
    println!("after both {} {}", bytes(ai.blocking_read(1)), told(ao.blocking_write_and_flush(b"x")));
    println!("addresses after {} {}", shown(a.local_address()), shown(a.remote_address()));
}

fn refused(family: Family, lo: Address) {
    let s = socket(family);
    bind(&s, lo).expect("it can be bound");
    let to = s.local_address().expect("bound");
    let c = socket(family);
    println!("refused {}", word(connect(&c, to)));
    println!("after: local {} remote {} connect {} bind {} listen {}", word(c.local_address()), word(c.remote_address()), word(c.start_connect(&instance_network(), to)), word(c.start_bind(&instance_network(), lo)), word(c.start_listen()));
    println!("after: finish-connect {}", word(c.finish_connect()));
}

fn unused_ports(family: Family, lo: Address, any: Address) {
    let (one, two) = (socket(family), socket(family));
    bind(&one, lo).expect("it can be bound");
    listen(&one).expect("it can listen");
    println!("taken {}", word(bind(&two, one.local_address().expect("bound"))));
    println!("another then {}", word(bind(&two, lo)));
    let three = socket(family);
    println!("any {} {}", word(bind(&three, any)), shown(three.local_address()));
    // An address is free again when its listener and its connections are gone.
    let address = one.local_address().expect("bound");
    let c = socket(family);
    let (ci, co) = connect(&c, address).expect("it is there");
    let (a, ai, ao) = accept(&one).expect("it is there");
    drop((ai, ao, a));
    let _ = ci.blocking_read(1);
    drop((ci, co, c, one));
    println!("bound again {}", word(bind(&socket(family), address)));
    let c = socket(family);
    bind(&c, lo).expect("it can be bound");
    let own = c.local_address().expect("bound");
    let server = socket(family);
    bind(&server, lo).expect("it can be bound");
    listen(&server).expect("it can listen");
    let _streams = connect(&c, server.local_address().expect("bound")).expect("it is there");
    println!("bound before connect {}", format!("{:?}", c.local_address().ok()) == format!("{:?}", Some(own)));
}

fn denied() {
    let net = instance_network();
    for (family, lo) in [(Family::Ipv4, v4(LO4, 0)), (Family::Ipv6, v6(LO6, 0))] {
        match create_tcp_socket(family) {
            Err(code) => println!("{}", code.name()),
            Ok(s) => {
                println!("bind {}", word(s.start_bind(&net, lo)));
                let there = if family == Family::Ipv4 { v4(LO4, 9) } else { v6(LO6, 9) };
                println!("connect {}", word(s.start_connect(&net, there)));
            }
        }
    }
    names(&["localhost"]);
}

fn names(names: &[&str]) {
    for name in names {
        let stream = match resolve_addresses(&instance_network(), name) {
            Ok(stream) => stream,
            Err(code) => {
                println!("{name}: {}", code.name());
                continue;
            }
        };
        let late = subscribe_duration(20_000_000_000);
        let mut found = Vec::new();
        let end = loop {
            match stream.resolve_next_address() {
                Ok(Some(IpAddress::Ipv4(a))) => found.push(format!("{a:?}")),
                Ok(Some(IpAddress::Ipv6(a))) => found.push(format!("{a:?}")),
                Ok(None) => break "end",
                Err(ErrorCode::WouldBlock) => {
                    if poll(&[&stream.subscribe(), &late]).contains(&1) {
                        break "late";
                    }
                }
                Err(code) => break code.name(),
            }
        };
        found.sort();
        println!("{name}: {} {end}", found.join(" "));
    }
}

/// An address of the standard library as one of the interface.
pub fn address(address: std::net::SocketAddr) -> Address {
    match address {
        std::net::SocketAddr::V4(a) => {
            let [b, c, d, e] = a.ip().octets();
            v4((b, c, d, e), a.port())
        }
        std::net::SocketAddr::V6(a) => {
            let [b, c, d, e, f, g, h, i] = a.ip().segments();
            v6((b, c, d, e, f, g, h, i), a.port())
        }
    }
}

pub fn family(address: std::net::SocketAddr) -> Family {
    if address.is_ipv4() { Family::Ipv4 } else { Family::Ipv6 }
}

pub fn create() -> Result<(), ErrorCode> {
    create_tcp_socket(Family::Ipv4).map(drop)
}

pub fn try_connect(to: std::net::SocketAddr) -> Result<(), ErrorCode> {
    let socket = create_tcp_socket(family(to))?;
    connect(&socket, address(to)).map(drop)
}

pub fn try_bind(to: std::net::SocketAddr, listens: bool) -> Result<(), ErrorCode> {
    let socket = create_tcp_socket(family(to))?;
    bind(&socket, address(to))?;
    if listens { listen(&socket) } else { Ok(()) }
}

pub fn try_resolve(name: &str) -> Result<(), ErrorCode> {
    let stream = resolve_addresses(&instance_network(), name)?;
    loop {
        match stream.resolve_next_address() {
            Err(ErrorCode::WouldBlock) => stream.subscribe().block(),
            done => return done.map(drop),
        }
    }
}
