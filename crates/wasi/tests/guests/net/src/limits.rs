//! Files, and more of everything than anybody needs.

use crate::wasi::filesystem::preopens::get_directories;
use crate::wasi::filesystem::types::{Descriptor, DescriptorFlags, OpenFlags, PathFlags};
use crate::wasi::http::types::{Fields, OutgoingRequest};
use crate::wasi::random::random::get_random_bytes;
use crate::wasi::sockets::instance_network::instance_network;
use crate::wasi::sockets::ip_name_lookup::resolve_addresses;
use crate::wasi::sockets::network::IpAddressFamily;
use crate::wasi::sockets::tcp_create_socket::create_tcp_socket;
use crate::wasi::sockets::udp_create_socket::create_udp_socket;
use crate::{loopback, name};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

fn opened(path: &str, write: bool) -> Result<Descriptor, String> {
    let (dir, _) = get_directories().into_iter().next().ok_or("no directory was granted")?;
    let (open, flags) = match write {
        false => (OpenFlags::empty(), DescriptorFlags::READ),
        true => (OpenFlags::CREATE, DescriptorFlags::READ | DescriptorFlags::WRITE),
    };
    dir.open_at(PathFlags::SYMLINK_FOLLOW, path, open, flags).map_err(name)
}

pub fn open(path: &str, write: bool) -> Result<u64, String> {
    Ok(opened(path, write)?.stat().map_err(name)?.size)
}

/// As many of something as there may be, up to `count`; they live until all were made.
fn many<T, E: core::fmt::Debug>(count: u64, mut make: impl FnMut() -> Result<T, E>) -> Result<u64, String> {
    let mut all = Vec::new();
    while (all.len() as u64) < count {
        match make() {
            Ok(one) => all.push(one),
            Err(error) => return Err(format!("{} and {error:?}", all.len())),
        }
    }
    Ok(all.len() as u64)
}

pub fn excess(what: &str, count: u64) -> Result<u64, String> {
    match what {
        "random" => Ok(get_random_bytes(count).len() as u64),
        "tcp" => many(count, || create_tcp_socket(IpAddressFamily::Ipv4)),
        "udp" => many(count, || create_udp_socket(IpAddressFamily::Ipv4)),
        "datagrams" => {
            let socket = create_udp_socket(IpAddressFamily::Ipv4).map_err(name)?;
            socket.start_bind(&instance_network(), loopback(false, 0)).map_err(name)?;
            socket.finish_bind().map_err(name)?;
            let (incoming, _outgoing) = socket.stream(None).map_err(name)?;
            Ok(incoming.receive(count).map_err(name)?.len() as u64)
        }
        "pollables" => {
            let socket = create_tcp_socket(IpAddressFamily::Ipv4).map_err(name)?;
            many(count, || Ok::<_, ()>(socket.subscribe()))
        }
        "lookups" => many(count, || resolve_addresses(&instance_network(), "localhost")),
        "name" => resolve_addresses(&instance_network(), &"a".repeat(count as usize))
            .map(|_| 0)
            .map_err(name),
        "path" => open(&"a".repeat(count as usize), false),
        "files" => many(count, || opened("file", false)),
        "streams" => {
            let file = opened("file", false)?;
            many(count, || file.read_via_stream(0))
        }
        "read" => {
            let file = opened("file", false)?;
            Ok(file.read(count, 0).map_err(name)?.0.len() as u64)
        }
        "stream-read" => {
            let stream = opened("file", false)?.read_via_stream(0).map_err(name)?;
            Ok(stream.blocking_read(count).map_err(name)?.len() as u64)
        }
        "stream-skip" => {
            let stream = opened("file", false)?.read_via_stream(0).map_err(name)?;
            stream.blocking_skip(count).map_err(name)
        }
        "empty-fields" => many(count, || Ok::<_, ()>(Fields::new())),
        "fields" => {
            let value = vec![b'x'; 60_000];
            many(count, || {
                let fields = Fields::new();
                fields.append("a", &value).map(|()| fields)
            })
        }
        "values" => {
            let fields = Fields::new();
            many(count, || fields.append("a", b""))
        }
        "list" => {
            let entries = vec![(String::new(), Vec::new()); count as usize];
            Fields::from_list(&entries).map(|_| count).map_err(name)
        }
        "bodies" => {
            let part = vec![0; 1 << 16];
            many(count, || {
                let request = OutgoingRequest::new(Fields::new());
                let body = request.body()?;
                let stream = body.write()?;
                while stream.check_write().map_err(drop)? >= part.len() as u64 {
                    stream.write(&part).map_err(drop)?;
                }
                Ok::<_, ()>((stream, body, request))
            })
        }
        _ => Err("no such excess".to_string()),
    }
}
