//! The part `serve`: what an HTTP server spends on a request that gets an instance of its own.
//!
//! The opponent is `wasmtime-serve` of this package, a server on the crate `wasmtime-wasi-http`. Both serve
//! the same components on this machine, take turns, and must answer alike. The client is ours: a thread that
//! asks on all connections, then reads all answers, so that it costs little and is the same for everybody.
//! Where `wrk` is installed it tells throughput and latency.

use crate::stats::Stat;
use anyhow::{Context, Result, bail, ensure};
use nix::time::{clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Connections of the client.
const CONNECTIONS: usize = 16;
/// For how long a server is asked in a round, and by `wrk`.
const TIME: Duration = Duration::from_millis(1500);
/// Without an answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a server spends on the requests of one guest.
#[derive(Debug)]
pub struct Cost {
    /// The guest's name.
    pub guest: &'static str,
    /// The server's name.
    pub server: &'static str,
    /// CPU time of the server per request, nanoseconds.
    pub cpu: Stat,
    /// Requests a second of our client.
    pub rate: Stat,
    /// Requests a second of `wrk`.
    pub wrk_rate: Option<Stat>,
    /// The latency that 99 of 100 requests of `wrk` stay below, nanoseconds.
    pub wrk_p99: Option<Stat>,
}

struct Candidate {
    name: &'static str,
    words: Vec<PathBuf>,
}

/// What is served, and asked for.
struct Guest {
    name: &'static str,
    file: PathBuf,
    path: &'static str,
    body: &'static str,
}

struct Server {
    child: Child,
    addr: SocketAddr,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[derive(Default)]
struct Samples {
    cpu: Vec<f64>,
    rate: Vec<f64>,
    wrk_rate: Vec<f64>,
    wrk_p99: Vec<f64>,
}

/// Measures all guests on all servers that are found. Whoever does not answer as it should is a failure.
///
/// # Errors
/// If a guest cannot be written down.
pub fn measure(rounds: usize, failures: &mut Vec<String>) -> Result<Vec<Cost>> {
    let folder = std::env::temp_dir().join(format!("cellwall-bench-serve-{}", std::process::id()));
    std::fs::create_dir_all(&folder).context("a temporary folder")?;
    let costs = guests(&folder).map(|guests| {
        let measured = guests.iter().map(|guest| measure_guest(guest, rounds, failures));
        measured.flatten().collect()
    });
    std::fs::remove_dir_all(&folder).context("a temporary folder")?;
    costs
}

fn guests(folder: &Path) -> Result<Vec<Guest>> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let hello = folder.join("hello.wasm");
    let handler = wat::parse_file(here.join("../crates/cli/tests/guests/handler.wat"))?;
    std::fs::write(&hello, handler).context("hello.wasm")?;
    let mut guests = vec![
        Guest {
            name: "hello, Rust",
            file: here.join("../examples/guests/http/rust/hello.wasm"),
            path: "/",
            body: "Hello from Rust\n",
        },
        Guest {
            name: "hello, by hand",
            file: hello,
            path: "/hello",
            body: "hello, world\n",
        },
    ];
    let python = crate::set::shared()
        .map(|shared| shared.join("tests/components/py-http-p2.wasm"))
        .unwrap_or_default();
    if python.is_file() {
        guests.push(Guest {
            name: "CPython",
            file: python,
            path: "/abc?x=1",
            body: "python /abc?x=1\n",
        });
    }
    Ok(guests)
}

fn measure_guest(guest: &Guest, rounds: usize, failures: &mut Vec<String>) -> Vec<Cost> {
    let candidates = candidates();
    let mut servers: Vec<(&Candidate, Option<Server>, Samples)> = Vec::new();
    for candidate in &candidates {
        let server = start(candidate, &guest.file).and_then(|server| {
            // What is made once is made, and what is kept is kept.
            ask(server.addr, guest, TIME / 4)?;
            Ok(server)
        });
        let server = server.map_err(|error| {
            failures.push(format!("serve: {} on {}: {error:#}", guest.name, candidate.name));
        });
        servers.push((candidate, server.ok(), Samples::default()));
    }
    for round in 0..rounds {
        for turn in 0..servers.len() {
            let which = (round + turn) % candidates.len();
            let (candidate, server, samples) = &mut servers[which];
            if let Some(running) = server
                && let Err(error) = one_round(running, guest, samples)
            {
                failures.push(format!("serve: {} on {}: {error:#}", guest.name, candidate.name));
                *server = None;
            }
        }
    }
    let cost = |(candidate, server, samples): (&Candidate, Option<Server>, Samples)| {
        server?;
        Some(Cost {
            guest: guest.name,
            server: candidate.name,
            cpu: Stat::of(samples.cpu)?,
            rate: Stat::of(samples.rate)?,
            wrk_rate: Stat::of(samples.wrk_rate),
            wrk_p99: Stat::of(samples.wrk_p99),
        })
    };
    servers.into_iter().filter_map(cost).collect()
}

fn one_round(server: &Server, guest: &Guest, samples: &mut Samples) -> Result<()> {
    let before = cpu(&server.child)?;
    let begin = Instant::now();
    let count = ask(server.addr, guest, TIME)? as f64;
    samples.rate.push(count / begin.elapsed().as_secs_f64());
    samples
        .cpu
        .push((cpu(&server.child)? - before).as_nanos() as f64 / count);
    if let Some((rate, p99)) = wrk(server.addr, guest)? {
        samples.wrk_rate.push(rate);
        samples.wrk_p99.push(p99);
    }
    Ok(())
}

/// CPU time that a process has used.
fn cpu(child: &Child) -> Result<Duration> {
    let pid = Pid::from_raw(i32::try_from(child.id())?);
    Ok(clock_gettime(clock_getcpuclockid(pid)?)?.into())
}

/// Starts a server, which says on standard error where it listens.
fn start(candidate: &Candidate, file: &Path) -> Result<Server> {
    let mut child = Command::new(&candidate.words[0])
        .args(&candidate.words[1..])
        .arg(file)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut lines = BufReader::new(child.stderr.take().context("a pipe")?);
    let mut line = String::new();
    lines.read_line(&mut line)?;
    let addr = line.trim().strip_prefix("Serving HTTP on http://");
    let addr = addr.and_then(|addr| addr.trim_end_matches('/').parse().ok());
    let Some(addr) = addr else {
        let _ = child.kill();
        let _ = child.wait();
        bail!("it does not serve: {line}");
    };
    // What it says is read, or it would wait for its reader.
    std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
    Ok(Server { child, addr })
}

/// Asks for so long on all connections; how often it was answered.
fn ask(addr: SocketAddr, guest: &Guest, time: Duration) -> Result<u64> {
    let connect = |_| -> Result<TcpStream> {
        let stream = TcpStream::connect(addr)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(stream)
    };
    let mut streams = (0..CONNECTIONS).map(connect).collect::<Result<Vec<_>>>()?;
    let request = format!("GET {} HTTP/1.1\r\nhost: {addr}\r\n\r\n", guest.path);
    let end = Instant::now() + time;
    let mut count = 0;
    let mut room = vec![0; 16 << 10];
    while Instant::now() < end {
        for stream in &mut streams {
            stream.write_all(request.as_bytes())?;
        }
        for stream in &mut streams {
            let body = read(stream, &mut room)?;
            ensure!(
                body == guest.body.as_bytes(),
                "it answers {:?}",
                String::from_utf8_lossy(body)
            );
            count += 1;
        }
    }
    Ok(count)
}

/// The body of a response of status 200, which has a length or one chunk.
fn read<'a>(stream: &mut TcpStream, room: &'a mut [u8]) -> Result<&'a [u8]> {
    let mut filled = 0;
    loop {
        let count = stream.read(&mut room[filled..])?;
        ensure!(count > 0, "the connection ends");
        filled += count;
        if let Some((from, to)) = body(&room[..filled])? {
            return Ok(&room[from..to]);
        }
    }
}

/// Where the body is, if all of the response is there.
fn body(response: &[u8]) -> Result<Option<(usize, usize)>> {
    let Some(head) = response.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Ok(None);
    };
    let from = head + 4;
    let head = std::str::from_utf8(&response[..head])?.to_ascii_lowercase();
    ensure!(head.starts_with("http/1.1 200 "), "it answers {head}");
    if let Some((_, rest)) = head.split_once("content-length:") {
        let to = from + rest.lines().next().unwrap_or_default().trim().parse::<usize>()?;
        return Ok((response.len() >= to).then_some((from, to)));
    }
    ensure!(
        head.contains("transfer-encoding: chunked"),
        "it has no length: {head}"
    );
    let rest = &response[from..];
    let Some(line) = rest.windows(2).position(|two| two == b"\r\n") else {
        return Ok(None);
    };
    let size = usize::from_str_radix(std::str::from_utf8(&rest[..line])?.trim(), 16)?;
    let from = from + line + 2;
    let is_whole = response.len() >= from + size + 7 && response.ends_with(b"\r\n0\r\n\r\n");
    Ok(is_whole.then_some((from, from + size)))
}

/// Requests a second and the 99th percentile of their latencies, if there is a `wrk`.
fn wrk(addr: SocketAddr, guest: &Guest) -> Result<Option<(f64, f64)>> {
    let run = Command::new("wrk")
        .args(["-t1", &format!("-c{CONNECTIONS}"), "--latency"])
        .arg(format!("-d{}s", TIME.as_secs().max(1)))
        .arg(format!("http://{addr}{}", guest.path))
        .output();
    let Ok(run) = run else { return Ok(None) };
    let text = String::from_utf8_lossy(&run.stdout);
    let after = |key: &str| {
        let line = text.lines().find_map(|line| line.trim().strip_prefix(key));
        line.map(str::trim).with_context(|| format!("wrk says {text}"))
    };
    ensure!(!text.contains("Non-2xx"), "wrk says {text}");
    let rate = after("Requests/sec:")?.parse()?;
    let p99 = after("99%")?;
    let digits = p99.trim_end_matches(char::is_alphabetic);
    let unit = match &p99[digits.len()..] {
        "us" => 1e3,
        "ms" => 1e6,
        "s" => 1e9,
        _ => bail!("wrk says {text}"),
    };
    Ok(Some((rate, digits.parse::<f64>()? * unit)))
}

/// The servers found on this machine.
fn candidates() -> Vec<Candidate> {
    let mut all = vec![];
    let mut add = |name, words: Vec<PathBuf>| {
        if words[0].is_file() {
            all.push(Candidate { name, words });
        } else {
            eprintln!("serve: no {}", words[0].display());
        }
    };
    let cellwall = match std::env::var_os("CELLWALL_BIN") {
        Some(file) => PathBuf::from(file),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/release/cellwall"),
    };
    let serve = |more: &[&str]| {
        let words = ["serve", "--addr", "127.0.0.1:0"].iter().chain(more);
        let words = words.map(PathBuf::from);
        std::iter::once(cellwall.clone()).chain(words).collect()
    };
    add("cellwall", serve(&[]));
    add("cellwall, no access log", serve(&["--no-access-log"]));
    let peer = std::env::current_exe().map(|exe| exe.with_file_name("wasmtime-serve"));
    add("wasmtime-wasi-http", vec![peer.unwrap_or_default()]);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_whole_or_awaited() {
        let lengths = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab";
        assert_eq!(body(lengths).unwrap(), Some((lengths.len() - 2, lengths.len())));
        assert_eq!(body(&lengths[..lengths.len() - 1]).unwrap(), None);
        let chunks = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n";
        let at = chunks.len() - 9;
        assert_eq!(body(chunks).unwrap(), Some((at, at + 2)));
        assert_eq!(body(&chunks[..chunks.len() - 1]).unwrap(), None);
        assert!(body(b"HTTP/1.1 502 Bad Gateway\r\n\r\n").is_err());
    }
}
