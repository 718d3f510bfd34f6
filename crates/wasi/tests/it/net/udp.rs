//! UDP and names: the guest asks, and is asked.

use super::{Guest, check, fill};
use cellwall::Result;
use std::net::UdpSocket;
use std::thread;
use std::time::Duration;

const COUNT: u32 = 1000;
const LOOPBACKS: [(bool, &str); 2] = [(false, "127.0.0.1:0"), (true, "[::1]:0")];

fn socket(local: &str) -> UdpSocket {
    let socket = UdpSocket::bind(local).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    socket
}

#[test]
fn a_guest_sends_datagrams_of_all_sizes_and_gets_them_back() -> Result<()> {
    for (v6, local) in LOOPBACKS {
        let native = socket(local);
        let port = native.local_addr()?.port();
        let serving = thread::spawn(move || {
            let mut buffer = vec![0; 1 << 16];
            for _ in 0..COUNT {
                let (length, remote) = native.recv_from(&mut buffer).unwrap();
                native.send_to(&buffer[..length], remote).unwrap();
            }
        });
        assert_eq!(
            Guest::local().call("udp-ask", (v6, port, COUNT))?,
            Ok(COUNT),
            "{local}"
        );
        serving.join().unwrap();
    }
    Ok(())
}

#[test]
fn a_guest_answers_datagrams() -> Result<()> {
    for (v6, local) in LOOPBACKS {
        let native = socket(local);
        let mut guest = Guest::local();
        let port: u16 = guest.call("udp-bind", (v6,))?.unwrap();
        let serving = thread::spawn(move || guest.call::<_, u32>("udp-echo", (COUNT,)));
        native.connect((native.local_addr()?.ip(), port))?;
        let mut buffer = vec![0; 1 << 16];
        for number in 0..COUNT {
            let mut data = vec![0; number as usize * 65];
            fill(&mut data, number.into());
            native.send(&data)?;
            let length = native.recv(&mut buffer)?;
            assert_eq!(length, data.len());
            check(&buffer[..length], number.into());
        }
        assert_eq!(serving.join().unwrap()?, Ok(COUNT));
    }
    Ok(())
}

#[test]
fn names_are_looked_up_if_that_was_granted() -> Result<()> {
    let mut guest = Guest::new(|builder| {
        builder.allow_ip_name_lookup(true);
    });
    let found: u32 = guest.call("lookup", ("localhost",))?.unwrap();
    assert!((1..=2).contains(&found), "{found} addresses");
    let denied = Guest::new(|_| {}).call::<_, u32>("lookup", ("localhost",))?;
    assert!(
        denied.as_ref().is_err_and(|why| why.contains("access-denied")),
        "{denied:?}"
    );
    Ok(())
}
