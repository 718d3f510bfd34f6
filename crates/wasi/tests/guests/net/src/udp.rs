//! Clients and servers of UDP, and names.

use crate::wasi::sockets::instance_network::instance_network;
use crate::wasi::sockets::ip_name_lookup::resolve_addresses;
use crate::wasi::sockets::network::{ErrorCode, IpSocketAddress};
use crate::wasi::sockets::udp::{
    IncomingDatagram, IncomingDatagramStream, OutgoingDatagram, OutgoingDatagramStream, UdpSocket,
};
use crate::wasi::sockets::udp_create_socket::create_udp_socket;
use crate::{check, family, fill, loopback, name, port, Kept};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;

static BOUND: Kept<UdpSocket> = Kept::new(None);

fn bound(v6: bool) -> Result<UdpSocket, String> {
    let socket = create_udp_socket(family(v6)).map_err(name)?;
    socket.start_bind(&instance_network(), loopback(v6, 0)).map_err(name)?;
    loop {
        match socket.finish_bind() {
            Err(ErrorCode::WouldBlock) => socket.subscribe().block(),
            result => return result.map_err(name).map(|()| socket),
        }
    }
}

pub fn bind(v6: bool) -> Result<u16, String> {
    let socket = bound(v6)?;
    let port = port(socket.local_address().map_err(name)?);
    *BOUND.lock().map_err(name)? = Some(socket);
    Ok(port)
}

fn receive(from: &IncomingDatagramStream) -> Result<IncomingDatagram, String> {
    loop {
        match from.receive(1).map_err(name)?.pop() {
            Some(datagram) => return Ok(datagram),
            None => from.subscribe().block(),
        }
    }
}

fn send(to: &OutgoingDatagramStream, data: &[u8], remote: Option<IpSocketAddress>) -> Result<(), String> {
    loop {
        if to.check_send().map_err(name)? > 0 {
            let datagram = OutgoingDatagram { data: data.to_vec(), remote_address: remote };
            match to.send(&[datagram]).map_err(name)? {
                0 => {}
                _ => return Ok(()),
            }
        }
        to.subscribe().block();
    }
}

pub fn echo(count: u32) -> Result<u32, String> {
    let socket = BOUND.lock().map_err(name)?;
    let socket = socket.as_ref().ok_or("it is not bound")?;
    let (incoming, outgoing) = socket.stream(None).map_err(name)?;
    for _ in 0..count {
        let datagram = receive(&incoming)?;
        send(&outgoing, &datagram.data, Some(datagram.remote_address))?;
    }
    Ok(count)
}

pub fn ask(v6: bool, port: u16, count: u32) -> Result<u32, String> {
    let socket = bound(v6)?;
    let (incoming, outgoing) = socket.stream(Some(loopback(v6, port))).map_err(name)?;
    for number in 0..count {
        // Up to the largest: the last one of a thousand has 65,000 bytes.
        let mut data = vec![0; number as usize * 65];
        fill(&mut data, number.into());
        send(&outgoing, &data, None)?;
        let back = receive(&incoming)?;
        if back.data.len() != data.len() {
            return Err(format!("{} bytes came back for {}", back.data.len(), data.len()));
        }
        check(&back.data, number.into())?;
    }
    Ok(count)
}

pub fn lookup(host: &str) -> Result<u32, String> {
    let found = resolve_addresses(&instance_network(), host).map_err(name)?;
    let mut count = 0;
    loop {
        match found.resolve_next_address() {
            Ok(Some(_)) => count += 1,
            Ok(None) => return Ok(count),
            Err(ErrorCode::WouldBlock) => found.subscribe().block(),
            Err(error) => return Err(name(error).to_string()),
        }
    }
}
