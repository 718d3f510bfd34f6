//! Clients and servers of TCP.

use crate::wasi::io::poll::poll;
use crate::wasi::io::streams::{InputStream, OutputStream, StreamError};
use crate::wasi::sockets::instance_network::instance_network;
use crate::wasi::sockets::network::{ErrorCode, IpSocketAddress};
use crate::wasi::sockets::tcp::{ShutdownType, TcpSocket};
use crate::wasi::sockets::tcp_create_socket::create_tcp_socket;
use crate::{check, family, fill, loopback, name, port, Kept};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

/// Streams go before their socket.
struct Connection {
    input: InputStream,
    output: OutputStream,
    socket: TcpSocket,
}

static LISTENING: Kept<TcpSocket> = Kept::new(None);

/// Tries until it would not block.
fn wait<T>(socket: &TcpSocket, mut attempt: impl FnMut() -> Result<T, ErrorCode>) -> Result<T, String> {
    loop {
        match attempt() {
            Err(ErrorCode::WouldBlock) => socket.subscribe().block(),
            result => return result.map_err(name),
        }
    }
}

pub fn listen(v6: bool) -> Result<u16, String> {
    let network = instance_network();
    let socket = create_tcp_socket(family(v6)).map_err(name)?;
    socket.start_bind(&network, loopback(v6, 0)).map_err(name)?;
    wait(&socket, || socket.finish_bind())?;
    socket.set_listen_backlog_size(2048).map_err(name)?;
    socket.start_listen().map_err(name)?;
    wait(&socket, || socket.finish_listen())?;
    let port = port(socket.local_address().map_err(name)?);
    *LISTENING.lock().map_err(name)? = Some(socket);
    Ok(port)
}

fn accept_one() -> Result<Connection, String> {
    let listening = LISTENING.lock().map_err(name)?;
    let listening = listening.as_ref().ok_or("it does not listen")?;
    let (socket, input, output) = wait(listening, || listening.accept())?;
    Ok(Connection { input, output, socket })
}

pub fn accept(send: u64, expect: u64) -> Result<u64, String> {
    exchange(accept_one()?, send, expect)
}

fn start(v6: bool, remote: IpSocketAddress) -> Result<TcpSocket, String> {
    let socket = create_tcp_socket(family(v6)).map_err(name)?;
    socket.start_connect(&instance_network(), remote).map_err(name)?;
    Ok(socket)
}

fn finish(socket: TcpSocket) -> Result<Connection, String> {
    let (input, output) = wait(&socket, || socket.finish_connect())?;
    Ok(Connection { input, output, socket })
}

fn opened(v6: bool, remote: IpSocketAddress) -> Result<Connection, String> {
    finish(start(v6, remote)?)
}

pub fn open(v6: bool, remote: IpSocketAddress) -> Result<(), String> {
    opened(v6, remote).map(drop)
}

pub fn connect(v6: bool, port: u16, send: u64, expect: u64) -> Result<u64, String> {
    exchange(opened(v6, loopback(v6, port))?, send, expect)
}

/// Sends and receives the pattern at the same time; how many bytes came.
fn exchange(connection: Connection, send: u64, expect: u64) -> Result<u64, String> {
    let Connection { input, output, socket } = &connection;
    let (mut sent, mut received, mut is_open) = (0, 0, true);
    let mut buffer = vec![0; 1 << 16];
    if send == 0 {
        socket.shutdown(ShutdownType::Send).map_err(name)?;
    }
    while is_open || sent < send {
        let mut moved = false;
        if sent < send {
            let permitted = output.check_write().map_err(name)?.min(send - sent);
            let part = &mut buffer[..permitted.min(1 << 16) as usize];
            if !part.is_empty() {
                fill(part, sent);
                output.write(part).map_err(name)?;
                sent += part.len() as u64;
                moved = true;
            }
            if sent == send {
                socket.shutdown(ShutdownType::Send).map_err(name)?;
            }
        }
        if is_open {
            match input.read(1 << 16) {
                Ok(part) => {
                    check(&part, received)?;
                    received += part.len() as u64;
                    moved |= !part.is_empty();
                }
                Err(StreamError::Closed) => is_open = false,
                Err(error) => return Err(name(error)),
            }
        }
        if !moved && (is_open || sent < send) {
            let (readable, writable) = (input.subscribe(), output.subscribe());
            match (is_open, sent < send) {
                (true, true) => drop(poll(&[&readable, &writable])),
                (true, false) => readable.block(),
                _ => writable.block(),
            }
        }
    }
    match received == expect {
        true => Ok(received),
        false => Err(format!("{received} bytes came")),
    }
}

fn read_number(connection: &Connection) -> Result<u32, String> {
    let mut bytes = Vec::new();
    while bytes.len() < 4 {
        let left = 4 - bytes.len() as u64;
        bytes.extend(connection.input.blocking_read(left).map_err(name)?);
    }
    let bytes = bytes.try_into().map_err(|_| "too many bytes".to_string())?;
    Ok(u32::from_le_bytes(bytes))
}

pub fn connect_many(v6: bool, port: u16, count: u32) -> Result<u32, String> {
    let sockets = (0..count).map(|_| start(v6, loopback(v6, port)));
    let sockets: Vec<TcpSocket> = sockets.collect::<Result<_, _>>()?;
    let connections: Vec<Connection> = sockets.into_iter().map(finish).collect::<Result<_, _>>()?;
    for (number, connection) in connections.iter().enumerate() {
        let bytes = (number as u32).to_le_bytes();
        connection.output.blocking_write_and_flush(&bytes).map_err(name)?;
    }
    for (number, connection) in connections.iter().enumerate().rev() {
        let back = read_number(connection)?;
        if back != number as u32 {
            return Err(format!("{back} came back for {number}"));
        }
    }
    Ok(count)
}

pub fn accept_many(count: u32) -> Result<u32, String> {
    let connections = (0..count).map(|_| accept_one());
    let connections: Vec<Connection> = connections.collect::<Result<_, _>>()?;
    // All at once: the first that can be read is answered first.
    let pollables: Vec<_> = connections.iter().map(|connection| connection.input.subscribe()).collect();
    let mut waiting: Vec<usize> = (0..connections.len()).collect();
    while !waiting.is_empty() {
        let asked: Vec<_> = waiting.iter().map(|at| &pollables[*at]).collect();
        let mut ready = poll(&asked);
        ready.sort_unstable();
        for at in ready.into_iter().rev() {
            let connection = &connections[waiting.remove(at as usize)];
            let number = read_number(connection)?;
            connection.output.blocking_write_and_flush(&number.to_le_bytes()).map_err(name)?;
        }
    }
    Ok(count)
}
