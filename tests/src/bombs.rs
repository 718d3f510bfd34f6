//! Modules that are made to hurt a compiler: for all families, twice the size takes at most about
//! twice the time and memory, up to the limits of the decoder, and nothing is refused.
//!
//! [`measure`] is for the long run (`cargo xtask bombs`), each bomb in a process of its own; small
//! bombs are compiled, verified and compared with the interpreter in the tests.

mod families;
mod handlers;
mod module;

use cellwall::{Config, Engine, Module};
use nix::sys::resource::{Resource, UsageWho, getrusage, setrlimit};
use std::fmt;
use std::io;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Modules of one kind and any size.
pub struct Family {
    /// What it is called.
    pub name: &'static str,
    /// What its size counts.
    pub unit: &'static str,
    /// The largest size: a limit of the decoder, or what a body of the largest size has room for.
    pub max: u32,
    /// A size whose module the interpreter runs at once.
    pub small: u32,
    make: fn(u32) -> Vec<u8>,
}

impl Family {
    /// The module of a size, in the binary format.
    pub fn module(&self, size: u32) -> Vec<u8> {
        (self.make)(size)
    }
}

/// All families.
pub fn families() -> &'static [Family] {
    families::FAMILIES
}

/// Bytes of memory that a measured process may take.
const MEMORY_MAX: u64 = 8 << 30;
/// How long a measured process may take.
const TIME_MAX: Duration = Duration::from_secs(120);

/// What compiling a bomb took.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cost {
    /// CPU time.
    pub time: Duration,
    /// Peak memory of the process.
    pub memory_bytes: u64,
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:>7.2} s {:>6} MB",
            self.time.as_secs_f64(),
            self.memory_bytes >> 20
        )
    }
}

/// In a process of its own: compiles a bomb by one thread, verifies and maps it, and prints what it
/// took.
///
/// # Errors
/// If the bomb is refused, in words.
pub fn child(family: &Family, size: u32) -> Result<(), String> {
    setrlimit(Resource::RLIMIT_DATA, MEMORY_MAX, MEMORY_MAX).map_err(|error| error.to_string())?;
    let bytes = family.module(size);
    let mut config = Config::new();
    config.parallel_compilation(false);
    let engine = Engine::new(&config).map_err(|error| format!("{error:#}"))?;
    let before = cpu_time()?;
    let module = Module::new(&engine, &bytes).map_err(|error| format!("{error:#}"))?;
    let time = cpu_time()? - before;
    drop(module);
    let usage = getrusage(UsageWho::RUSAGE_SELF).map_err(|error| error.to_string())?;
    println!("{} {}", time.as_micros(), usage.max_rss() << 10);
    Ok(())
}

fn cpu_time() -> Result<Duration, String> {
    let usage = getrusage(UsageWho::RUSAGE_SELF).map_err(|error| error.to_string())?;
    let micros = |time: nix::sys::time::TimeVal| time.tv_sec() as u64 * 1_000_000 + time.tv_usec() as u64;
    Ok(Duration::from_micros(
        micros(usage.user_time()) + micros(usage.system_time()),
    ))
}

/// Has a process measure a bomb; `command` makes one that calls [`child`].
///
/// # Errors
/// If the bomb is refused, or takes more time or memory than any may; in words. The outer error is
/// the operating system's.
pub fn measure(mut command: Command) -> io::Result<Result<Cost, String>> {
    let mut process = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let start = Instant::now();
    while process.try_wait()?.is_none() {
        if start.elapsed() > TIME_MAX {
            process.kill()?;
            process.wait()?;
            return Ok(Err(format!("more than {} s", TIME_MAX.as_secs())));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let output = process.wait_with_output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let numbers: Vec<u64> = text.split_whitespace().flat_map(str::parse).collect();
    Ok(match numbers[..] {
        [micros, memory_bytes] if output.status.success() => Ok(Cost {
            time: Duration::from_micros(micros),
            memory_bytes,
        }),
        _ => {
            let why = String::from_utf8_lossy(&output.stderr);
            Err(format!("{}: {}", output.status, why.trim()))
        }
    })
}
