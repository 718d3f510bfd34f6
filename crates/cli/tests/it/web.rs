//! A server of HTTP/1.1 for tests, by hand, so that it can also say what no library would: half a body, something
//! else than HTTP, nothing at all.
//!
//! Each connection carries one request. Paths say how it is answered; `/echo` answers with what was sent.

use std::io::{BufRead, BufReader, Read, Result, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

/// Starts one for as long as the test lives; where it listens.
pub(crate) fn start() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there are ports");
    let address = listener.local_addr().expect("it is bound");
    thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            // Guests break off, too.
            thread::spawn(move || drop(answer(stream)));
        }
    });
    address
}

/// Names, in small letters, and values.
type Fields = Vec<(String, String)>;

/// What was asked.
struct Asked {
    method: String,
    path: String,
    fields: Fields,
}

impl Asked {
    fn read(from: &mut impl BufRead) -> Result<Asked> {
        let line = read_line(from)?;
        let mut words = line.split(' ').map(str::to_owned);
        let method = words.next().unwrap_or_default();
        let path = words.next().unwrap_or_default();
        let fields = read_fields(from)?;
        Ok(Asked { method, path, fields })
    }

    fn field(&self, name: &str) -> Option<&str> {
        let field = self.fields.iter().find(|(own, _)| own == name);
        field.map(|(_, value)| value.as_str())
    }
}

fn read_line(from: &mut impl BufRead) -> Result<String> {
    let mut line = String::new();
    match from.read_line(&mut line)? {
        0 => Err(std::io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(line.trim_end().to_owned()),
    }
}

fn read_fields(from: &mut impl BufRead) -> Result<Fields> {
    let mut fields = Vec::new();
    loop {
        let line = read_line(from)?;
        match line.split_once(':') {
            Some((name, value)) => fields.push((name.to_ascii_lowercase(), value.trim().to_owned())),
            None => return Ok(fields),
        }
    }
}

/// The body, and the trailers behind it.
fn read_body(asked: &Asked, from: &mut impl BufRead) -> Result<(Vec<u8>, Fields)> {
    let mut body = Vec::new();
    if asked.field("transfer-encoding") == Some("chunked") {
        loop {
            let line = read_line(from)?;
            let length = usize::from_str_radix(&line, 16).expect("hyper writes lengths alone");
            if length == 0 {
                return Ok((body, read_fields(from)?));
            }
            let at = body.len();
            body.resize(at + length, 0);
            from.read_exact(&mut body[at..])?;
            read_line(from)?;
        }
    }
    let length = asked
        .field("content-length")
        .map_or(0, |n| n.parse().expect("a number"));
    body.resize(length, 0);
    from.read_exact(&mut body)?;
    Ok((body, Vec::new()))
}

/// Reads a body in chunks and keeps none of it; how many bytes it has.
fn copy_chunks(from: &mut impl BufRead) -> Result<u64> {
    let mut bytes = 0;
    loop {
        let line = read_line(from)?;
        match u64::from_str_radix(&line, 16).expect("hyper writes lengths alone") {
            0 => return read_fields(from).map(|_| bytes),
            length => bytes += std::io::copy(&mut from.take(length), &mut std::io::sink())?,
        }
        read_line(from)?;
    }
}

fn answer(stream: TcpStream) -> Result<()> {
    let mut from = BufReader::new(stream.try_clone()?);
    let mut to = stream;
    let asked = Asked::read(&mut from)?;
    let until_it_leaves =
        |from: &mut BufReader<TcpStream>| std::io::copy(from, &mut std::io::sink()).map(drop);
    let plain = "content-type: text/plain\r\n";
    if asked.path == "/count" {
        let count = copy_chunks(&mut from)?.to_string();
        let length = count.len();
        return write!(
            to,
            "HTTP/1.1 200 OK\r\n{plain}content-length: {length}\r\n\r\n{count}"
        );
    }
    // All of it: a connection that is closed with something unread loses what was answered.
    let (body, trailers) = read_body(&asked, &mut from)?;
    match asked.path.as_str() {
        // What a server of HTTP/2 says to whoever does not speak it: its settings, and the reason why it goes.
        _ if asked.method == "CONNECT" => {
            to.write_all(b"\0\0\x06\x04\0\0\0\0\0\0\x03\0\0\0\x14\0\0\x08\x07\0\0\0\0\0\0\0\0\0\0\0\0\x01")
        }
        "/slow" => until_it_leaves(&mut from),
        "/halting" => {
            write!(to, "HTTP/1.1 200 OK\r\n{plain}content-length: 10\r\n\r\nabc")?;
            until_it_leaves(&mut from)
        }
        "/cut" => write!(
            to,
            "HTTP/1.1 200 OK\r\n{plain}content-length: 100\r\n\r\n0123456789"
        ),
        "/garbage" => write!(to, "this is not HTTP\r\n\r\n"),
        "/empty" => write!(to, "HTTP/1.1 204 No Content\r\n\r\n"),
        "/redirect" => write!(
            to,
            "HTTP/1.1 302 Found\r\nlocation: /empty\r\ncontent-length: 0\r\n\r\n"
        ),
        "/trailers" => write!(
            to,
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n5\r\nhello\r\n0\r\nx-sum: 7\r\n\r\n"
        ),
        "/chunked" => write!(
            to,
            "HTTP/1.1 200 OK\r\n{plain}transfer-encoding: chunked\r\n\r\n1\r\na\r\n2;x=y\r\nbc\r\n0\r\n\r\n"
        ),
        "/big" => {
            write!(to, "HTTP/1.1 200 OK\r\n{plain}content-length: 5000000\r\n\r\n")?;
            to.write_all(&vec![b'x'; 5_000_000])
        }
        "/echo" => {
            let method = &asked.method;
            let sent = trailers
                .iter()
                .map(|(name, value)| format!("x-trailer: {name}={value}\r\n"));
            let sent: String = sent.collect();
            let length = body.len();
            write!(
                to,
                "HTTP/1.1 200 OK\r\ncontent-type: {method}\r\n{sent}content-length: {length}\r\n\r\n"
            )?;
            match method.as_str() {
                "HEAD" => Ok(()),
                _ => to.write_all(&body),
            }
        }
        path if path.starts_with("/bytes/") => {
            let length: u64 = path["/bytes/".len()..].parse().expect("a number");
            write!(to, "HTTP/1.1 200 OK\r\n{plain}content-length: {length}\r\n\r\n")?;
            std::io::copy(&mut std::io::repeat(b'd').take(length), &mut to).map(drop)
        }
        path => {
            let status = path.strip_prefix("/status/").unwrap_or("404");
            write!(to, "HTTP/1.1 {status} X\r\n{plain}content-length: 4\r\n\r\nsome")
        }
    }
}
