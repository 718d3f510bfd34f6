//! Sockets against those of the standard library.

use super::tcp_streams::{TcpReader, TcpWriter};
use super::*;
use crate::p2::{InputStream, OutputStream, Pollable, Slots, StreamError};
use bytes::Bytes;
use std::io::{Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

const LOOPBACKS: [&str; 2] = ["127.0.0.1:0", "[::1]:0"];

fn run<T>(work: impl Future<Output = T>) -> T {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().unwrap().block_on(work)
}

fn granted() -> Arc<Policy> {
    Arc::new(Policy {
        listen: vec!["*".parse().unwrap()],
        connect: vec!["*".parse().unwrap()],
        lookup: true,
        ..Policy::default()
    })
}

fn family(address: SocketAddr) -> IpFamily {
    match address {
        SocketAddr::V4(_) => IpFamily::V4,
        SocketAddr::V6(_) => IpFamily::V6,
    }
}

fn tcp(address: SocketAddr) -> TcpSocket {
    TcpSocket::new(granted(), family(address)).unwrap()
}

async fn connect(socket: &mut TcpSocket, remote: SocketAddr) -> Result<TcpStreams, ErrorCode> {
    socket.start_connect(remote).await?;
    loop {
        match socket.finish_connect() {
            Err(ErrorCode::WouldBlock) => socket.ready().await,
            other => return other,
        }
    }
}

async fn listen(local: &str) -> TcpSocket {
    let local = local.parse().unwrap();
    let mut socket = tcp(local);
    socket.start_bind(local).await.unwrap();
    socket.finish_bind().unwrap();
    socket.start_listen().await.unwrap();
    socket.finish_listen().unwrap();
    socket
}

async fn accept(socket: &mut TcpSocket) -> (TcpSocket, TcpStreams) {
    loop {
        match socket.accept().await {
            Err(ErrorCode::WouldBlock) => socket.ready().await,
            other => return other.unwrap(),
        }
    }
}

async fn write_all(writer: &mut TcpWriter, bytes: &[u8]) -> Result<(), StreamError> {
    let mut rest = Bytes::copy_from_slice(bytes);
    while !rest.is_empty() {
        match writer.check_write()? {
            0 => writer.ready().await,
            count => writer.write(rest.split_to(count.min(rest.len())))?,
        }
    }
    Ok(())
}

async fn read_to_end(reader: &mut TcpReader) -> Vec<u8> {
    let mut all = Vec::new();
    loop {
        match reader.read(1 << 20) {
            Ok(bytes) if bytes.is_empty() => reader.ready().await,
            Ok(bytes) => all.extend_from_slice(&bytes),
            Err(StreamError::Closed) => return all,
            Err(error) => panic!("{error}"),
        }
    }
}

/// Bytes of which each tells where it is.
fn pattern(length: usize) -> Vec<u8> {
    (0..length)
        .map(|at| (at ^ (at >> 8) ^ (at >> 16)) as u8)
        .collect()
}

#[test]
fn a_client_sends_and_receives_with_a_half_closed_connection() {
    for local in LOOPBACKS {
        let server = TcpListener::bind(local).unwrap();
        let remote = server.local_addr().unwrap();
        let sent = pattern(5 << 20);
        let echo = thread::spawn(move || {
            let (mut stream, _) = server.accept().unwrap();
            let mut all = Vec::new();
            stream.read_to_end(&mut all).unwrap();
            stream.write_all(&all).unwrap();
        });
        run(async {
            let mut socket = tcp(remote);
            let (mut reader, mut writer) = connect(&mut socket, remote).await.unwrap();
            assert_eq!(socket.remote_address(), Ok(remote));
            assert!(socket.local_address().unwrap().ip().is_loopback());
            write_all(&mut writer, &sent).await.unwrap();
            // Sent although part of it still waits for the other side.
            socket.shutdown(Shutdown::Write).unwrap();
            assert!(matches!(writer.check_write(), Err(StreamError::Closed)));
            assert!(matches!(
                writer.write(Bytes::from_static(b"x")),
                Err(StreamError::Closed)
            ));
            assert!(matches!(writer.flush(), Err(StreamError::Closed)));
            assert!(read_to_end(&mut reader).await == sent, "{local}");
            assert!(matches!(reader.read(0), Err(StreamError::Closed)));
        });
        echo.join().unwrap();
    }
}

#[test]
fn a_server_accepts_and_answers_many() {
    for local in LOOPBACKS {
        run(async {
            let mut server = listen(local).await;
            let remote = server.local_address().unwrap();
            let clients = thread::spawn(move || {
                for index in 0..20u8 {
                    let mut stream = TcpStream::connect(remote).unwrap();
                    stream.write_all(&[index; 100]).unwrap();
                    stream.shutdown(Shutdown::Write).unwrap();
                    let mut all = Vec::new();
                    stream.read_to_end(&mut all).unwrap();
                    assert_eq!(all, [index; 100]);
                }
            });
            for _ in 0..20 {
                let (socket, (mut reader, mut writer)) = accept(&mut server).await;
                let all = read_to_end(&mut reader).await;
                write_all(&mut writer, &all).await.unwrap();
                drop((reader, writer, socket));
            }
            clients.join().unwrap();
            assert_eq!(server.accept().await.unwrap_err(), ErrorCode::WouldBlock);
        });
    }
}

#[test]
fn what_was_written_arrives_when_everything_is_dropped() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let remote = server.local_addr().unwrap();
    let length = 60 << 10;
    run(async {
        let mut socket = tcp(remote);
        socket.set_buffer(Buffer::Send, 4096).unwrap();
        let (reader, mut writer) = connect(&mut socket, remote).await.unwrap();
        let (mut stream, _) = server.accept().unwrap();
        writer.write(pattern(length).into()).unwrap();
        assert_eq!(writer.check_write().unwrap(), 0, "the system took all at once");
        drop((reader, writer, socket));
        let reading = tokio::task::spawn_blocking(move || {
            let mut all = Vec::new();
            stream.read_to_end(&mut all).unwrap();
            all
        });
        assert!(reading.await.unwrap() == pattern(length));
    });
}

#[test]
fn a_shut_down_direction_is_closed_at_once() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let remote = server.local_addr().unwrap();
    run(async {
        let mut socket = tcp(remote);
        let (mut reader, mut writer) = connect(&mut socket, remote).await.unwrap();
        let (mut stream, _) = server.accept().unwrap();
        stream.write_all(b"unread").unwrap();
        reader.ready().await;
        socket.shutdown(Shutdown::Read).unwrap();
        assert!(matches!(reader.read(10), Err(StreamError::Closed)));
        reader.ready().await;
        write_all(&mut writer, b"still open").await.unwrap();
        let mut got = [0; 10];
        stream.read_exact(&mut got).unwrap();
    });
}

#[test]
fn operations_answer_by_the_state_of_the_socket() {
    for local in LOOPBACKS {
        let local: SocketAddr = local.parse().unwrap();
        run(async {
            let mut socket = tcp(local);
            assert_eq!(socket.finish_bind(), Err(ErrorCode::NotInProgress));
            assert_eq!(socket.finish_connect().unwrap_err(), ErrorCode::NotInProgress);
            assert_eq!(socket.start_listen().await, Err(ErrorCode::InvalidState));
            assert_eq!(socket.finish_listen(), Err(ErrorCode::NotInProgress));
            assert_eq!(socket.accept().await.unwrap_err(), ErrorCode::InvalidState);
            assert_eq!(socket.shutdown(Shutdown::Both), Err(ErrorCode::InvalidState));
            assert_eq!(socket.local_address(), Err(ErrorCode::InvalidState));
            assert_eq!(socket.remote_address(), Err(ErrorCode::InvalidState));

            socket.start_bind(local).await.unwrap();
            assert_eq!(
                socket.start_bind(local).await,
                Err(ErrorCode::ConcurrencyConflict)
            );
            assert_eq!(
                socket.start_connect(SocketAddr::new(local.ip(), 1)).await,
                Err(ErrorCode::ConcurrencyConflict)
            );
            assert_eq!(socket.local_address(), Err(ErrorCode::InvalidState));
            socket.finish_bind().unwrap();
            assert_eq!(socket.start_bind(local).await, Err(ErrorCode::InvalidState));
            assert_ne!(socket.local_address().unwrap().port(), 0);

            socket.start_listen().await.unwrap();
            assert_eq!(socket.start_listen().await, Err(ErrorCode::ConcurrencyConflict));
            assert!(!socket.is_listening());
            socket.finish_listen().unwrap();
            assert!(socket.is_listening());
            assert_eq!(socket.start_connect(local).await, Err(ErrorCode::InvalidState));
            assert_eq!(socket.accept().await.unwrap_err(), ErrorCode::WouldBlock);

            let remote = socket.local_address().unwrap();
            let mut second = tcp(local);
            assert_eq!(second.start_bind(remote).await, Err(ErrorCode::AddressInUse));
            let (_reader, _writer) = connect(&mut second, remote).await.unwrap();
            assert_eq!(second.start_connect(remote).await, Err(ErrorCode::InvalidState));
            assert_eq!(second.finish_connect().unwrap_err(), ErrorCode::NotInProgress);
            assert_eq!(second.set_backlog(5), Err(ErrorCode::InvalidState));
        });
    }
}

#[test]
fn connecting_tells_why_it_failed() {
    let free = |local| TcpListener::bind(local).unwrap().local_addr().unwrap();
    for local in LOOPBACKS {
        run(async {
            let remote = free(local);
            let mut socket = tcp(remote);
            assert_eq!(
                connect(&mut socket, remote).await.unwrap_err(),
                ErrorCode::ConnectionRefused
            );
            assert_eq!(socket.start_connect(remote).await, Err(ErrorCode::InvalidState));
        });
    }
    run(async {
        for (remote, v6) in [
            ("0.0.0.0:80", false),
            ("127.0.0.1:0", false),
            ("224.0.0.1:80", false),
            ("255.255.255.255:80", false),
            ("[::1]:80", false),
            ("127.0.0.1:80", true),
            ("[::ffff:127.0.0.1]:80", true),
            ("[::]:80", true),
            ("[ff02::1]:80", true),
        ] {
            let mut socket = TcpSocket::new(granted(), if v6 { IpFamily::V6 } else { IpFamily::V4 }).unwrap();
            let started = socket.start_connect(remote.parse().unwrap()).await;
            assert_eq!(started, Err(ErrorCode::InvalidArgument), "{remote}");
        }
        let mut socket = TcpSocket::new(granted(), IpFamily::V4).unwrap();
        // Of no machine (RFC 5737).
        let local = "192.0.2.1:0".parse().unwrap();
        assert_eq!(socket.start_bind(local).await, Err(ErrorCode::AddressNotBindable));
        let group = "224.0.0.1:0".parse().unwrap();
        assert_eq!(socket.start_bind(group).await, Err(ErrorCode::InvalidArgument));
    });
}

#[test]
fn options_are_kept_and_inherited() {
    const SECOND: u64 = 1_000_000_000;
    for local in LOOPBACKS {
        run(async {
            let local: SocketAddr = local.parse().unwrap();
            let mut server = tcp(local);
            for (set, what) in [
                (server.set_backlog(0), "backlog"),
                (server.set_keep_alive_idle(0), "idle"),
                (server.set_keep_alive_interval(0), "interval"),
                (server.set_keep_alive_count(0), "count"),
                (server.set_hop_limit(0), "hops"),
                (server.set_buffer(Buffer::Receive, 0), "receive"),
                (server.set_buffer(Buffer::Send, 0), "send"),
            ] {
                assert_eq!(set, Err(ErrorCode::InvalidArgument), "{what}");
            }
            for big in [1, u64::MAX] {
                server.set_backlog(big).unwrap();
                server.set_keep_alive_idle(big).unwrap();
                server.set_keep_alive_interval(big).unwrap();
                server.set_buffer(Buffer::Receive, big).unwrap();
                server.set_buffer(Buffer::Send, big).unwrap();
            }
            server.set_keep_alive_count(u32::MAX).unwrap();

            server.set_keep_alive(true).unwrap();
            server.set_keep_alive_idle(42 * SECOND).unwrap();
            server.set_keep_alive_interval(43 * SECOND).unwrap();
            server.set_keep_alive_count(44).unwrap();
            server.set_hop_limit(45).unwrap();
            server.set_buffer(Buffer::Receive, 0x10000).unwrap();
            server.set_buffer(Buffer::Send, 0x10000).unwrap();
            let check = |socket: &TcpSocket| {
                assert_eq!(socket.keep_alive(), Ok(true));
                assert_eq!(socket.keep_alive_idle(), Ok(42 * SECOND));
                assert_eq!(socket.keep_alive_interval(), Ok(43 * SECOND));
                assert_eq!(socket.keep_alive_count(), Ok(44));
                assert_eq!(socket.hop_limit(), Ok(45));
                assert_eq!(socket.buffer(Buffer::Receive), Ok(0x10000));
                assert_eq!(socket.buffer(Buffer::Send), Ok(0x10000));
            };
            check(&server);
            server.start_bind(local).await.unwrap();
            server.finish_bind().unwrap();
            server.start_listen().await.unwrap();
            server.finish_listen().unwrap();
            let _client = TcpStream::connect(server.local_address().unwrap()).unwrap();
            check(&accept(&mut server).await.0);
        });
    }
}

async fn udp(local: &str) -> UdpSocket {
    let local = local.parse().unwrap();
    let mut socket = UdpSocket::new(granted(), family(local)).unwrap();
    socket.start_bind(local).await.unwrap();
    assert_eq!(
        socket.start_bind(local).await,
        Err(ErrorCode::ConcurrencyConflict)
    );
    assert_eq!(socket.local_address(), Err(ErrorCode::InvalidState));
    socket.finish_bind().unwrap();
    socket
}

async fn send_all(
    to: &mut OutgoingDatagrams,
    datagrams: &[(Vec<u8>, Option<SocketAddr>)],
) -> Result<u64, ErrorCode> {
    to.ready().await;
    assert!(to.check_send() >= datagrams.len() as u64);
    to.send(datagrams).await.expect("it was permitted")
}

#[test]
fn datagrams_go_to_anybody_or_to_one() {
    for local in LOOPBACKS {
        run(async {
            let native = std::net::UdpSocket::bind(local).unwrap();
            let other = std::net::UdpSocket::bind(local).unwrap();
            let remote = native.local_addr().unwrap();
            let mut socket = udp(local).await;
            let own = socket.local_address().unwrap();
            let (mut incoming, mut outgoing) = socket.stream(None).await.unwrap_or_else(|_| panic!());
            assert_eq!(socket.remote_address(), Err(ErrorCode::InvalidState));
            assert_eq!(incoming.receive(5).await.unwrap(), []);
            let sent = send_all(
                &mut outgoing,
                &[(b"one".to_vec(), Some(remote)), (vec![], Some(remote))],
            )
            .await;
            assert_eq!(sent, Ok(2));
            assert!(
                outgoing.send(&[(vec![], Some(remote))]).await.is_none(),
                "no longer permitted"
            );
            let mut buffer = [0; 10];
            assert_eq!(native.recv_from(&mut buffer).unwrap(), (3, own));
            assert_eq!(native.recv_from(&mut buffer).unwrap(), (0, own));
            let missing = send_all(&mut outgoing, &[(vec![1], None)]).await;
            assert_eq!(missing, Err(ErrorCode::InvalidArgument));
            let large = send_all(&mut outgoing, &[(vec![0; 70_000], Some(remote))]).await;
            assert_eq!(large, Err(ErrorCode::DatagramTooLarge));
            native.send_to(b"back", own).unwrap();
            incoming.ready().await;
            assert_eq!(incoming.receive(5).await.unwrap(), [(b"back".to_vec(), remote)]);
            assert!(matches!(
                socket.stream(None).await,
                Err(StreamFault::StreamsNotDropped)
            ));

            drop((incoming, outgoing));
            let (mut incoming, mut outgoing) = socket.stream(Some(remote)).await.unwrap_or_else(|_| panic!());
            assert_eq!(socket.remote_address(), Ok(remote));
            assert_eq!(send_all(&mut outgoing, &[(b"two".to_vec(), None)]).await, Ok(1));
            let wrong = send_all(&mut outgoing, &[(vec![1], Some(other.local_addr().unwrap()))]).await;
            assert_eq!(wrong, Err(ErrorCode::InvalidArgument));
            assert_eq!(native.recv_from(&mut buffer).unwrap(), (3, own));
            other.send_to(b"stranger", own).unwrap();
            native.send_to(b"friend", own).unwrap();
            incoming.ready().await;
            assert_eq!(incoming.receive(5).await.unwrap(), [(b"friend".to_vec(), remote)]);

            drop((incoming, outgoing));
            let _streams = socket.stream(None).await.unwrap_or_else(|_| panic!());
            assert_eq!(
                socket.local_address().unwrap().port(),
                own.port(),
                "it keeps its port"
            );
        });
    }
}

#[test]
fn names_have_addresses() {
    run(async {
        let policy = granted();
        let ask = |name: &'static str| {
            let policy = policy.clone();
            async move {
                let mut stream = ResolveAddressStream::start(&policy, name)?;
                stream.ready().await;
                let mut found = Vec::new();
                while let Some(address) = stream.next()? {
                    found.push(address);
                }
                Ok::<_, ErrorCode>(found)
            }
        };
        let found = ask("localhost").await.unwrap();
        assert!(
            !found.is_empty() && found.iter().all(IpAddr::is_loopback),
            "{found:?}"
        );
        assert_eq!(
            ask("192.0.2.7").await.unwrap(),
            ["192.0.2.7".parse::<IpAddr>().unwrap()]
        );
        assert_eq!(ask("::1").await.unwrap(), ["::1".parse::<IpAddr>().unwrap()]);
        for name in [
            "",
            "a b",
            "-x",
            "localhost:80",
            "1.2.3.4.5",
            "[1.2.3.4]",
            "[localhost]",
        ] {
            assert_eq!(ask(name).await, Err(ErrorCode::InvalidArgument), "{name}");
        }
    });
}

#[test]
fn nothing_is_reached_that_was_not_granted() {
    run(async {
        let none = Arc::new(Policy::default());
        for family in [IpFamily::V4, IpFamily::V6] {
            assert_eq!(
                TcpSocket::new(none.clone(), family).unwrap_err(),
                ErrorCode::AccessDenied
            );
            assert_eq!(
                UdpSocket::new(none.clone(), family).unwrap_err(),
                ErrorCode::AccessDenied
            );
        }
        assert_eq!(
            ResolveAddressStream::start(&none, "localhost").unwrap_err(),
            ErrorCode::AccessDenied
        );

        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        server.set_nonblocking(true).unwrap();
        let remote = server.local_addr().unwrap();
        let other = SocketAddr::new(remote.ip(), remote.port() ^ 1);
        let grant = |text: &str| {
            Arc::new(Policy {
                connect: vec![text.parse().unwrap()],
                ..Policy::default()
            })
        };
        let policy = grant(&other.to_string());
        let mut socket = TcpSocket::new(policy.clone(), IpFamily::V4).unwrap();
        assert_eq!(socket.start_connect(remote).await, Err(ErrorCode::AccessDenied));
        assert_eq!(
            server.accept().unwrap_err().kind(),
            std::io::ErrorKind::WouldBlock
        );
        assert_eq!(socket.start_bind(other).await, Err(ErrorCode::AccessDenied));
        let mut datagrams = UdpSocket::new(policy, IpFamily::V4).unwrap();
        datagrams.start_bind("0.0.0.0:0".parse().unwrap()).await.unwrap();
        datagrams.finish_bind().unwrap();
        assert!(matches!(
            datagrams.stream(Some(remote)).await,
            Err(StreamFault::Code(ErrorCode::AccessDenied))
        ));

        // An ephemeral port may be bound to connect from, but not listened on.
        let mut socket = TcpSocket::new(grant("127.0.0.1"), IpFamily::V4).unwrap();
        socket.start_bind("0.0.0.0:0".parse().unwrap()).await.unwrap();
        socket.finish_bind().unwrap();
        assert_eq!(socket.start_listen().await, Err(ErrorCode::AccessDenied));
        connect(&mut socket, remote).await.unwrap();

        // A name allows its addresses, at its port.
        let by_name = grant(&format!("localhost:{}", remote.port()));
        let mut socket = TcpSocket::new(by_name.clone(), IpFamily::V4).unwrap();
        assert_eq!(socket.start_connect(other).await, Err(ErrorCode::AccessDenied));
        connect(&mut socket, remote).await.unwrap();
        assert!(ResolveAddressStream::start(&by_name, "localhost").is_ok());
        assert_eq!(
            ResolveAddressStream::start(&by_name, "example.com").unwrap_err(),
            ErrorCode::AccessDenied
        );
    });
}

#[test]
fn a_check_of_the_embedder_decides_alone() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = asked.clone();
    let policy = Arc::new(Policy {
        check: Some(Arc::new(move |_, using| {
            counter.fetch_add(1, Ordering::Relaxed);
            Box::pin(async move { using != SocketAddrUse::TcpConnect })
        })),
        ..Policy::default()
    });
    run(async {
        let mut socket = TcpSocket::new(policy, IpFamily::V4).unwrap();
        let remote = "127.0.0.1:1".parse().unwrap();
        assert_eq!(socket.start_connect(remote).await, Err(ErrorCode::AccessDenied));
        assert_eq!(asked.load(Ordering::Relaxed), 2, "once to bind, once to connect");
    });
}

#[test]
fn what_nobody_takes_is_given_up_after_the_guest_is_gone() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let remote = listener.local_addr().unwrap();
    run(async {
        let slots = Slots::new(1);
        let mut socket = tcp(remote);
        socket.hold(slots.take().unwrap());
        // So little that something is left of each write.
        socket.set_buffer(Buffer::Send, 4096).unwrap();
        let (_, mut writer) = connect(&mut socket, remote).await.unwrap();
        let (mut peer, _) = listener.accept().unwrap();
        let mut written = 0;
        // The system moves some more from one side to the other after it has said that it takes no more.
        let mut silent = 0;
        while silent < 10 {
            match writer.check_write().unwrap() {
                0 => {
                    silent += 1;
                    // Longer than the other side may pause once the guest is gone.
                    tokio::time::sleep(Duration::from_millis(60)).await;
                }
                count => {
                    silent = 0;
                    written += count as u64;
                    writer.write(vec![7; count].into()).unwrap();
                }
            }
        }
        drop((socket, writer));
        assert!(slots.take().is_err(), "it is still being sent");
        for _ in 0..1000 {
            if slots.take().is_ok() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert!(slots.take().is_ok());
        // What the system had taken arrives.
        let got = thread::spawn(move || std::io::copy(&mut peer, &mut std::io::sink())).join();
        assert!((1..=written).contains(&got.unwrap().unwrap()));
    });
}
