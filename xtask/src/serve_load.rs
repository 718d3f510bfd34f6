//! `cellwall serve` under load, while guests trap, loop and allocate: every well-behaved request is
//! answered, and memory returns to where it was.
//!
//! Requires the binary that `cargo build -p cellwall-cli` makes, in the profile of this command. Traffic
//! goes to this machine alone. The bounded twin is `a_guest_that_fails_costs_its_own_request_only`.

use anyhow::{Context, Result, bail, ensure};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

/// What guests are asked for, what they answer, and how often of 64. Most of the clients wait for a loop to be
/// stopped sooner or later: a hundred loops, and all others share the processors with them.
const PATHS: [(&str, u16, u64); 4] = [
    ("/hello", 200, 52),
    ("/trap", 502, 8),
    ("/grow", 200, 3),
    ("/loop", 504, 1),
];

/// Bytes that the server may have more afterwards: stacks and memories that are kept for the next guests.
const GROWTH_BYTES_MAX: u64 = 64 << 20;

struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs `clients` at a time for `seconds`.
pub(crate) fn run(root: &Path, clients: u64, seconds: u64, seed: u64) -> Result<()> {
    let program = std::env::current_exe()?.with_file_name("cellwall");
    let mut child = Command::new(&program)
        .args([
            "serve",
            "--addr",
            "127.0.0.1:0",
            "--timeout",
            "5s",
            "--max-memory-size",
            "16M",
        ])
        .args([
            "--no-access-log",
            "--max-requests-in-flight",
            &clients.to_string(),
        ])
        .arg(root.join("crates/cli/tests/guests/handler.wat"))
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("{}: build it first", program.display()))?;
    let mut stderr = BufReader::new(child.stderr.take().context("a pipe")?);
    let server = Server(child);
    let mut line = String::new();
    stderr.read_line(&mut line)?;
    let addr = line
        .trim()
        .trim_start_matches("Serving HTTP on http://")
        .trim_end_matches('/');
    let addr: SocketAddr = addr.parse().with_context(|| line.clone())?;
    // Complaints are read, or the server would wait for its reader.
    thread::spawn(move || std::io::copy(&mut stderr, &mut std::io::sink()));

    // All that is kept is there once.
    round(addr, clients, Duration::from_secs(3), seed)?;
    let before = resident(server.0.id(), "VmRSS:")?;
    let times = round(addr, clients, Duration::from_secs(seconds), seed + 1)?;
    let peak = resident(server.0.id(), "VmHWM:")?;
    thread::sleep(Duration::from_secs(2));
    let after = resident(server.0.id(), "VmRSS:")?;
    println!("| asked for | answered | times | median | 99 % | longest |\n|---|---|---:|---:|---:|---:|");
    for ((path, status, _), mut times) in PATHS.iter().zip(times) {
        times.sort_unstable();
        let at = |share: usize| {
            let time = times.get((times.len() * share / 100).min(times.len().saturating_sub(1)));
            time.map_or(0.0, |time| time.as_secs_f64() * 1e3)
        };
        let [median, most, longest] = [50, 99, 100].map(at);
        let count = times.len();
        println!("| `{path}` | {status} | {count} | {median:.1} ms | {most:.1} ms | {longest:.1} ms |");
    }
    let mib = |bytes: u64| bytes >> 20;
    println!(
        "\nmemory: {} MiB before, {} MiB at most, {} MiB two seconds after",
        mib(before),
        mib(peak),
        mib(after)
    );
    ensure!(
        after < before + GROWTH_BYTES_MAX,
        "memory does not return to where it was"
    );
    Ok(())
}

/// How long each answer took, by path; an error if there was none, or another.
fn round(addr: SocketAddr, clients: u64, time: Duration, seed: u64) -> Result<Vec<Vec<Duration>>> {
    let all: Vec<Mutex<Vec<Duration>>> = PATHS.iter().map(|_| Mutex::default()).collect();
    let end = Instant::now() + time;
    thread::scope(|scope| {
        let work = |client: u64| {
            let all = &all;
            scope.spawn(move || -> Result<()> {
                let mut random = (seed << 32 | client).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
                while Instant::now() < end {
                    random ^= random << 13;
                    random ^= random >> 7;
                    random ^= random << 17;
                    let mut left = random % 64;
                    let chosen = PATHS.iter().position(|(.., weight)| {
                        let here = left < *weight;
                        left = left.saturating_sub(*weight);
                        here
                    });
                    let chosen = chosen.context("weights sum up to 64")?;
                    let (path, expected, _) = PATHS[chosen];
                    let begin = Instant::now();
                    let status = get(addr, path)?;
                    ensure!(status == expected, "{path}: {status}, not {expected}");
                    let mut times = all[chosen].lock().expect("no client panics with it");
                    times.push(begin.elapsed());
                }
                Ok(())
            })
        };
        let threads: Vec<_> = (0..clients).map(work).collect();
        for thread in threads {
            match thread.join() {
                Ok(result) => result?,
                Err(_) => bail!("a client panicked"),
            }
        }
        Ok(())
    })?;
    let times = all.into_iter().map(Mutex::into_inner);
    Ok(times.collect::<Result<_, _>>().expect("no client panicked"))
}

fn get(addr: SocketAddr, path: &str) -> Result<u16> {
    let mut stream = TcpStream::connect(addr)?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"
    )?;
    let mut text = Vec::new();
    stream.read_to_end(&mut text)?;
    let text = String::from_utf8_lossy(&text);
    if path == "/hello" {
        ensure!(text.contains("hello, world"), "{path}: {text}");
    }
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok());
    status.with_context(|| format!("{path}: {text:?}"))
}

/// Bytes of memory of a process: `VmRSS:` is what it uses now, `VmHWM:` the most that it has used.
fn resident(pid: u32, key: &str) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status
        .lines()
        .find(|line| line.starts_with(key))
        .context("a size")?;
    let kilobytes: u64 = line.split_whitespace().nth(1).context("a number")?.parse()?;
    Ok(kilobytes << 10)
}
