//! What the tests of sockets and HTTP have a guest do: `net.wit` says what.

extern crate alloc;

mod http;
mod limits;
mod tcp;
mod udp;

use alloc::format;
use alloc::string::String;
use core::fmt::Debug;
use std::sync::Mutex;

wit_bindgen::generate!({ path: ["../../../wit", "net.wit"], world: "test:net/net", generate_all });

use wasi::sockets::network::{IpAddressFamily, IpSocketAddress, Ipv4SocketAddress, Ipv6SocketAddress};

#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

struct Net;

export!(Net);

/// What lives from one call to the next.
type Kept<T> = Mutex<Option<T>>;

/// The name of an error, as the interface writes it.
fn name(error: impl Debug) -> String {
    format!("{error:?}")
}

fn family(v6: bool) -> IpAddressFamily {
    match v6 {
        false => IpAddressFamily::Ipv4,
        true => IpAddressFamily::Ipv6,
    }
}

fn loopback(v6: bool, port: u16) -> IpSocketAddress {
    match v6 {
        false => IpSocketAddress::Ipv4(Ipv4SocketAddress { port, address: (127, 0, 0, 1) }),
        true => v6_address((0, 0, 0, 0, 0, 0, 0, 1), port),
    }
}

/// Addresses for documents (RFC 5737, RFC 3849).
fn nowhere(v6: bool) -> IpSocketAddress {
    match v6 {
        false => IpSocketAddress::Ipv4(Ipv4SocketAddress { port: 9, address: (192, 0, 2, 1) }),
        true => v6_address((0x2001, 0xdb8, 0, 0, 0, 0, 0, 1), 9),
    }
}

fn v6_address(address: (u16, u16, u16, u16, u16, u16, u16, u16), port: u16) -> IpSocketAddress {
    IpSocketAddress::Ipv6(Ipv6SocketAddress { port, flow_info: 0, address, scope_id: 0 })
}

fn port(address: IpSocketAddress) -> u16 {
    match address {
        IpSocketAddress::Ipv4(address) => address.port,
        IpSocketAddress::Ipv6(address) => address.port,
    }
}

/// Fills a buffer with the pattern from a place on: bytes that tell where they are.
fn fill(buffer: &mut [u8], from: u64) {
    for (at, byte) in buffer.iter_mut().enumerate() {
        *byte = pattern(from + at as u64);
    }
}

fn pattern(at: u64) -> u8 {
    (at ^ (at >> 8) ^ (at >> 16)) as u8
}

/// Whether a buffer has the pattern from a place on.
fn check(buffer: &[u8], from: u64) -> Result<(), String> {
    match buffer.iter().enumerate().find(|(at, byte)| **byte != pattern(from + *at as u64)) {
        None => Ok(()),
        Some((at, byte)) => Err(format!("byte {} is {byte}", from + at as u64)),
    }
}

impl Guest for Net {
    fn listen(v6: bool) -> Result<u16, String> {
        tcp::listen(v6)
    }

    fn accept(send: u64, expect: u64) -> Result<u64, String> {
        tcp::accept(send, expect)
    }

    fn connect(v6: bool, port: u16, send: u64, expect: u64) -> Result<u64, String> {
        tcp::connect(v6, port, send, expect)
    }

    fn connect_nowhere(v6: bool) -> Result<(), String> {
        tcp::open(v6, nowhere(v6)).map(drop)
    }

    fn connect_many(v6: bool, port: u16, count: u32) -> Result<u32, String> {
        tcp::connect_many(v6, port, count)
    }

    fn accept_many(count: u32) -> Result<u32, String> {
        tcp::accept_many(count)
    }

    fn udp_bind(v6: bool) -> Result<u16, String> {
        udp::bind(v6)
    }

    fn udp_echo(count: u32) -> Result<u32, String> {
        udp::echo(count)
    }

    fn udp_ask(v6: bool, port: u16, count: u32) -> Result<u32, String> {
        udp::ask(v6, port, count)
    }

    fn lookup(name: String) -> Result<u32, String> {
        udp::lookup(&name)
    }

    fn http_get(tls: bool, authority: String, path: String) -> Result<(u16, u64, Option<String>), String> {
        http::get(tls, &authority, &path)
    }

    fn http_put(tls: bool, authority: String, path: String, length: u64) -> Result<(u16, String), String> {
        http::put(tls, &authority, &path, length)
    }

    fn open(path: String, write: bool) -> Result<u64, String> {
        limits::open(&path, write)
    }

    fn excess(what: String, count: u64) -> Result<u64, String> {
        limits::excess(&what, count)
    }
}
