//! A server that answers each connection with what it was sent, in capitals, and a client for it.
//!
//! `shout serve PORT COUNT` ends after COUNT connections; `shout send PORT TEXT` prints the answer.

use wasip2::io::streams::{InputStream, OutputStream};
use wasip2::sockets::instance_network::instance_network;
use wasip2::sockets::network::{ErrorCode, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress};
use wasip2::sockets::tcp::{ShutdownType, TcpSocket};
use wasip2::sockets::tcp_create_socket::create_tcp_socket;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments[..] {
        ["serve", port, count] => serve(number(port), number(count)),
        ["send", port, text] => send(number(port), text),
        _ => {
            eprintln!("usage: shout serve PORT COUNT | shout send PORT TEXT");
            std::process::exit(1);
        }
    };
    if let Err(code) = done {
        eprintln!("shout: {}", code.name());
        std::process::exit(1);
    }
}

fn number(text: &str) -> u16 {
    text.parse().unwrap_or_else(|_| {
        eprintln!("shout: {text} is no number");
        std::process::exit(1)
    })
}

fn address(port: u16) -> IpSocketAddress {
    IpSocketAddress::Ipv4(Ipv4SocketAddress { port, address: (127, 0, 0, 1) })
}

/// Waits for what was started on a socket.
fn finish<T>(socket: &TcpSocket, step: impl Fn() -> Result<T, ErrorCode>) -> Result<T, ErrorCode> {
    loop {
        match step() {
            Err(ErrorCode::WouldBlock) => socket.subscribe().block(),
            done => return done,
        }
    }
}

/// Writes all; a connection that breaks is the other end's business.
fn write(output: &OutputStream, bytes: &[u8]) {
    for part in bytes.chunks(4096) {
        if output.blocking_write_and_flush(part).is_err() {
            return;
        }
    }
}

/// Hands each part that comes to `take`, until the end.
fn read(input: &InputStream, mut take: impl FnMut(Vec<u8>)) {
    while let Ok(part) = input.blocking_read(4096) {
        take(part);
    }
}

fn serve(port: u16, count: u16) -> Result<(), ErrorCode> {
    let socket = create_tcp_socket(IpAddressFamily::Ipv4)?;
    socket.start_bind(&instance_network(), address(port))?;
    finish(&socket, || socket.finish_bind())?;
    socket.start_listen()?;
    finish(&socket, || socket.finish_listen())?;
    if let IpSocketAddress::Ipv4(local) = socket.local_address()? {
        println!("listening on port {}", local.port);
    }
    for _ in 0..count {
        let (connection, input, output) = finish(&socket, || socket.accept())?;
        read(&input, |part| write(&output, &part.to_ascii_uppercase()));
        // The streams belong to the connection: they go first.
        drop((input, output));
        drop(connection);
    }
    Ok(())
}

fn send(port: u16, text: &str) -> Result<(), ErrorCode> {
    let socket = create_tcp_socket(IpAddressFamily::Ipv4)?;
    socket.start_connect(&instance_network(), address(port))?;
    let (input, output) = finish(&socket, || socket.finish_connect())?;
    write(&output, text.as_bytes());
    socket.shutdown(ShutdownType::Send)?;
    let mut answer = Vec::new();
    read(&input, |part| answer.extend(part));
    drop((input, output));
    println!("{}", String::from_utf8_lossy(&answer));
    Ok(())
}
