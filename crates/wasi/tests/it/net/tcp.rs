//! TCP: the guest as a client and as a server.

use super::{Guest, check, fill};
use cellwall::Result;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::thread;

/// More than all buffers between the two hold, by far.
const LONG: u64 = 100_000_000;
const SHORT: u64 = 3_000_000;

/// Both versions of IP; one has the long exchange in one direction, the other in the other.
const LOOPBACKS: [(bool, &str); 2] = [(false, "127.0.0.1:0"), (true, "[::1]:0")];

/// Sends the pattern and closes that direction, while it receives the pattern up to its end.
fn exchange(stream: TcpStream, send: u64, expect: u64) {
    let mut writer = stream.try_clone().unwrap();
    let sending = thread::spawn(move || {
        let mut buffer = vec![0; 1 << 16];
        let mut sent = 0;
        while sent < send {
            let part = &mut buffer[..(send - sent).min(1 << 16) as usize];
            fill(part, sent);
            writer.write_all(part).unwrap();
            sent += part.len() as u64;
        }
        writer.shutdown(Shutdown::Write).unwrap();
    });
    let mut reader = stream;
    let mut buffer = vec![0; 1 << 16];
    let mut received = 0;
    loop {
        match reader.read(&mut buffer).unwrap() {
            0 => break,
            count => {
                check(&buffer[..count], received);
                received += count as u64;
            }
        }
    }
    assert_eq!(received, expect);
    sending.join().unwrap();
}

#[test]
fn a_guest_exchanges_with_a_native_server() -> Result<()> {
    for ((v6, local), length) in LOOPBACKS.into_iter().zip([LONG, SHORT]) {
        let server = TcpListener::bind(local)?;
        let port = server.local_addr()?.port();
        let serving = thread::spawn(move || exchange(server.accept().unwrap().0, length, length));
        let came = Guest::local().call("connect", (v6, port, length, length))?;
        assert_eq!(came, Ok(length), "{local}");
        serving.join().unwrap();
    }
    Ok(())
}

#[test]
fn a_guest_exchanges_with_a_native_client() -> Result<()> {
    for ((v6, local), length) in LOOPBACKS.into_iter().zip([SHORT, LONG]) {
        let mut guest = Guest::local();
        let port: u16 = guest.call("listen", (v6,))?.unwrap();
        let remote = SocketAddr::new(local.parse::<SocketAddr>().unwrap().ip(), port);
        let asking = thread::spawn(move || exchange(TcpStream::connect(remote).unwrap(), length, length));
        assert_eq!(guest.call("accept", (length, length))?, Ok(length), "{local}");
        asking.join().unwrap();
    }
    Ok(())
}

#[test]
fn either_side_may_close_its_direction_first() -> Result<()> {
    for (send, expect) in [(0, SHORT), (SHORT, 0)] {
        for (v6, local) in LOOPBACKS {
            let server = TcpListener::bind(local)?;
            let port = server.local_addr()?.port();
            let serving = thread::spawn(move || exchange(server.accept().unwrap().0, expect, send));
            let came = Guest::local().call("connect", (v6, port, send, expect))?;
            assert_eq!(came, Ok(expect), "{local}");
            serving.join().unwrap();
        }
    }
    Ok(())
}

#[test]
fn two_guests_speak_with_each_other() -> Result<()> {
    for (v6, _) in LOOPBACKS {
        let mut server = Guest::local();
        let port: u16 = server.call("listen", (v6,))?.unwrap();
        let serving = thread::spawn(move || server.call::<_, u64>("accept", (SHORT, SHORT / 2)));
        let came = Guest::local().call("connect", (v6, port, SHORT / 2, SHORT))?;
        assert_eq!(came, Ok(SHORT));
        assert_eq!(serving.join().unwrap()?, Ok(SHORT / 2));
    }
    Ok(())
}

#[test]
fn a_guest_has_a_thousand_connections() -> Result<()> {
    const COUNT: u32 = 1000;
    let server = TcpListener::bind("127.0.0.1:0")?;
    let port = server.local_addr()?.port();
    let serving = thread::spawn(move || {
        let streams: Vec<TcpStream> = (0..COUNT).map(|_| server.accept().unwrap().0).collect();
        for mut stream in streams {
            let mut number = [0; 4];
            stream.read_exact(&mut number).unwrap();
            stream.write_all(&number).unwrap();
        }
    });
    assert_eq!(
        Guest::local().call("connect-many", (false, port, COUNT))?,
        Ok(COUNT)
    );
    serving.join().unwrap();

    let mut guest = Guest::local();
    let port: u16 = guest.call("listen", (true,))?.unwrap();
    let asking = thread::spawn(move || {
        let connect = |_| TcpStream::connect(("::1", port)).unwrap();
        let mut streams: Vec<TcpStream> = (0..COUNT).map(connect).collect();
        for (number, stream) in (0..COUNT).zip(&mut streams).rev() {
            stream.write_all(&number.to_le_bytes()).unwrap();
        }
        for (number, stream) in (0..COUNT).zip(&mut streams) {
            let mut back = [0; 4];
            stream.read_exact(&mut back).unwrap();
            assert_eq!(u32::from_le_bytes(back), number);
        }
    });
    assert_eq!(guest.call("accept-many", (COUNT,))?, Ok(COUNT));
    asking.join().unwrap();
    Ok(())
}

#[test]
fn a_guest_hears_why_there_is_no_connection() -> Result<()> {
    for (v6, local) in LOOPBACKS {
        let port = TcpListener::bind(local)?.local_addr()?.port();
        let refused = Guest::local().call::<_, u64>("connect", (v6, port, 0u64, 0u64))?;
        assert!(
            refused
                .as_ref()
                .is_err_and(|why| why.contains("connection-refused")),
            "{refused:?}"
        );
        let denied = Guest::new(|_| {}).call::<_, u64>("connect", (v6, port, 0u64, 0u64))?;
        assert!(
            denied.as_ref().is_err_and(|why| why.contains("access-denied")),
            "{denied:?}"
        );
        let denied = Guest::new(|_| {}).call::<_, u16>("listen", (v6,))?;
        assert!(
            denied.as_ref().is_err_and(|why| why.contains("access-denied")),
            "{denied:?}"
        );
    }
    for (v6, any, nowhere) in [
        (false, "0.0.0.0:0", "192.0.2.1:9"),
        (true, "[::]:0", "[2001:db8::1]:9"),
    ] {
        // Only where this machine has no route to it; else nobody answers for minutes.
        let Ok(socket) = UdpSocket::bind(any) else {
            continue;
        };
        if socket.connect(nowhere).is_ok() {
            continue;
        }
        let mut guest = Guest::new(|builder| {
            builder.allow_connect("*".parse().expect("a grant"));
        });
        let unreachable = guest.call::<_, ()>("connect-nowhere", (v6,))?;
        assert!(
            unreachable
                .as_ref()
                .is_err_and(|why| why.contains("remote-unreachable")),
            "{unreachable:?}"
        );
    }
    Ok(())
}
