//! Bodies of any length through HTTP, both ways, with flat memory: a server of guests sends and echoes, and a guest
//! sends to and reads from a server here.
//!
//! Requires the binary that `cargo build -p cellwall-cli` makes, in the profile of this command. Traffic goes to this
//! machine alone. The bounded twins are `long_bodies_of_requests_cost_no_memory` and
//! `a_long_body_costs_no_memory_and_a_client_may_leave`.

use anyhow::{Context, Result, ensure};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Instant;

/// Bytes that a process may have more after long bodies than before them.
const GROWTH_BYTES_MAX: u64 = 32 << 20;

/// Ended with its value.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Sends `bytes` each way.
pub(crate) fn run(root: &Path, bytes: u64) -> Result<()> {
    let program = std::env::current_exe()?.with_file_name("cellwall");
    let guests = root.join("crates/cli/tests/guests");
    serve(&program, &guests, bytes)?;
    let small = request(&program, &guests, "get", 1 << 20)?;
    let large = request(&program, &guests, "get", bytes)?;
    flat("a guest that downloads", small, large)?;
    let small = request(&program, &guests, "upload", 1 << 20)?;
    let large = request(&program, &guests, "upload", bytes)?;
    flat("a guest that uploads", small, large)
}

fn flat(who: &str, before: u64, after: u64) -> Result<()> {
    println!("{who}: {} MiB, at first {} MiB", after >> 20, before >> 20);
    ensure!(after < before + GROWTH_BYTES_MAX, "the memory of {who} grows");
    Ok(())
}

/// Most bytes of memory that a process has had.
fn most(pid: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    Ok(kilobytes.context("Linux says how much memory there was")? << 10)
}

/// The answers of guests: 1 GiB that one makes, and `bytes` that another one sends back.
fn serve(program: &Path, guests: &Path, bytes: u64) -> Result<()> {
    let mut child = Command::new(program)
        .args(["serve", "--addr", "127.0.0.1:0", "--no-access-log"])
        .arg(guests.join("handler.wat"))
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("{}: build it first", program.display()))?;
    let mut stderr = BufReader::new(child.stderr.take().context("a pipe")?);
    let server = Running(child);
    let mut line = String::new();
    stderr.read_line(&mut line)?;
    let addr = line
        .trim()
        .trim_start_matches("Serving HTTP on http://")
        .trim_end_matches('/');
    let ask = |head: &str, sent: u64| -> Result<u64> {
        let mut stream = TcpStream::connect(addr)?;
        let mut writer = stream.try_clone()?;
        write!(
            writer,
            "{head} HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: {sent}\r\n\r\n"
        )?;
        let writing =
            thread::spawn(move || std::io::copy(&mut std::io::repeat(b'x').take(sent), &mut writer));
        let read = std::io::copy(&mut stream, &mut std::io::sink())?;
        writing.join().expect("it does not panic")?;
        Ok(read)
    };
    ask("GET /hello", 0)?;
    let before = most(server.0.id())?;
    let begin = Instant::now();
    let read = ask("GET /big", 0)?;
    ensure!(read > 1 << 30, "/big ended after {read} bytes");
    println!("/big: {read} bytes in {:.1?}", begin.elapsed());
    let begin = Instant::now();
    let read = ask("POST /echo", bytes)?;
    ensure!(read > bytes, "/echo ended after {read} bytes");
    println!("/echo: {read} bytes in {:.1?}", begin.elapsed());
    flat("the server", before, most(server.0.id())?)
}

/// A guest's request whose body, or whose answer's, has so many bytes; the most memory that its process had.
fn request(program: &Path, guests: &Path, part: &str, bytes: u64) -> Result<u64> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?.to_string();
    let path = if part == "get" { "/down" } else { "/up" };
    let mut command = Command::new(program);
    command
        .args(["run", "--http=*"])
        .arg(guests.join("p2.wasm"))
        .args(["http", part, &address, path]);
    if part == "upload" {
        command.arg(bytes.to_string());
    }
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
    let mut guest = Running(child.with_context(|| format!("{}: build it first", program.display()))?);
    let begin = Instant::now();
    let (stream, _) = listener.accept()?;
    let moved = match part {
        "get" => download(stream, bytes, guest.0.id())?,
        _ => upload(stream, guest.0.id())?,
    };
    let (count, most) = moved;
    let mut said = String::new();
    guest
        .0
        .stdout
        .take()
        .context("a pipe")?
        .read_to_string(&mut said)?;
    ensure!(
        guest.0.wait()?.success() && count == bytes,
        "{part}: {count} of {bytes} bytes: {said}"
    );
    println!("{part}: {bytes} bytes in {:.1?}", begin.elapsed());
    Ok(most)
}

fn download(mut stream: TcpStream, bytes: u64, pid: u32) -> Result<(u64, u64)> {
    let mut from = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    while line != "\r\n" {
        line.clear();
        ensure!(from.read_line(&mut line)? > 0, "the head ends early");
    }
    write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {bytes}\r\n\r\n")?;
    let last = bytes.min(1 << 16);
    let sent = std::io::copy(&mut std::io::repeat(b'd').take(bytes - last), &mut stream)?;
    let most = most(pid)?;
    let sent = sent + std::io::copy(&mut std::io::repeat(b'd').take(last), &mut stream)?;
    // Until the other side is done: who closes with something unread takes back what is under way.
    std::io::copy(&mut from, &mut std::io::sink())?;
    Ok((sent, most))
}

/// Reads a body in chunks.
fn upload(mut stream: TcpStream, pid: u32) -> Result<(u64, u64)> {
    let mut from = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    while line != "\r\n" {
        line.clear();
        ensure!(from.read_line(&mut line)? > 0, "the head ends early");
    }
    let mut bytes = 0;
    loop {
        line.clear();
        from.read_line(&mut line)?;
        let length = u64::from_str_radix(line.trim(), 16).with_context(|| line.clone())?;
        if length == 0 {
            break;
        }
        bytes += std::io::copy(&mut from.by_ref().take(length), &mut std::io::sink())?;
        from.read_line(&mut line)?;
    }
    let most = most(pid)?;
    write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")?;
    std::io::copy(&mut from, &mut std::io::sink())?;
    Ok((bytes, most))
}
