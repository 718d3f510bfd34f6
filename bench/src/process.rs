//! The part `process`: hello world as a whole process, from `exec` to `exit`,
//! nothing cached.
//!
//! The opponent is `wasmtime-min` of this package, the smallest command that
//! Wasmtime can be (no argument parser, no real WASI), and the command
//! `wasmtime` where there is one.

use crate::clock::children_cpu_ns;
use crate::stats::Stat;
use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

const HELLO: &str = include_str!("hello.wat");
/// Processes per round: one is too short for a steady median.
const PER_ROUND: usize = 10;

/// What one command needs for the whole process.
#[derive(Debug)]
pub struct Cost {
    /// The command's name.
    pub command: String,
    /// CPU time, nanoseconds.
    pub cpu: Stat,
    /// Wall time, nanoseconds.
    pub wall: Stat,
}

struct Candidate {
    name: &'static str,
    words: Vec<PathBuf>,
}

/// Measures `program` (or the built-in hello world) on each command found.
/// A command that does not print the same as the others is a failure.
///
/// # Errors
///
/// If the program cannot be read or written down.
pub fn measure(program: Option<&Path>, rounds: usize, failures: &mut Vec<String>) -> Result<Vec<Cost>> {
    let folder = std::env::temp_dir().join(format!("cellwall-bench-hello-{}", std::process::id()));
    std::fs::create_dir_all(&folder).context("a temporary folder")?;
    let file = match program {
        Some(program) => program.to_path_buf(),
        None => folder.join("hello.wasm"),
    };
    if program.is_none() {
        std::fs::write(&file, wat::parse_str(HELLO)?).context("hello.wasm")?;
    }
    let costs = measure_file(&file, rounds, failures);
    std::fs::remove_dir_all(&folder).context("a temporary folder")?;
    costs
}

fn measure_file(file: &Path, rounds: usize, failures: &mut Vec<String>) -> Result<Vec<Cost>> {
    let mut candidates = candidates();
    let mut samples: Vec<Vec<(f64, f64)>> = candidates.iter().map(|_| Vec::new()).collect();
    let mut expected: Option<Vec<u8>> = None;
    for round in 0..rounds * PER_ROUND {
        for turn in 0..candidates.len() {
            let which = (round + turn) % candidates.len();
            let candidate = &mut candidates[which];
            if candidate.words.is_empty() {
                continue;
            }
            match run(candidate, file) {
                Ok((cpu, wall, output)) if *expected.get_or_insert_with(|| output.clone()) == output => {
                    samples[which].push((cpu, wall));
                }
                Ok(_) => {
                    failures.push(format!("process: {}: another output", candidate.name));
                    candidate.words.clear();
                }
                Err(error) => {
                    failures.push(format!("process: {}: {error:#}", candidate.name));
                    candidate.words.clear();
                }
            }
        }
    }
    let mut costs = Vec::new();
    for (candidate, samples) in candidates.iter().zip(samples) {
        let cpu = Stat::of(samples.iter().map(|sample| sample.0));
        let wall = Stat::of(samples.iter().map(|sample| sample.1));
        if let (Some(cpu), Some(wall), false) = (cpu, wall, candidate.words.is_empty()) {
            costs.push(Cost {
                command: candidate.name.to_string(),
                cpu,
                wall,
            });
        }
    }
    Ok(costs)
}

/// CPU and wall time of one process, and what it printed.
fn run(candidate: &Candidate, file: &Path) -> Result<(f64, f64, Vec<u8>)> {
    let cpu = children_cpu_ns();
    let wall = Instant::now();
    let output = Command::new(&candidate.words[0])
        .args(&candidate.words[1..])
        .arg(file)
        .stdin(Stdio::null())
        .output()?;
    let wall = wall.elapsed().as_nanos() as f64;
    let cpu = (children_cpu_ns() - cpu) as f64;
    ensure!(
        output.status.success(),
        "{}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok((cpu, wall, output.stdout))
}

/// The commands found on this machine.
fn candidates() -> Vec<Candidate> {
    let mut all = vec![];
    let mut add = |name, words: Vec<PathBuf>, found: bool| {
        if found {
            all.push(Candidate { name, words });
        } else {
            eprintln!("process: no command {name}");
        }
    };
    let cellwall = match std::env::var_os("CELLWALL_BIN") {
        Some(file) => PathBuf::from(file),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/release/cellwall"),
    };
    let found = cellwall.is_file();
    add(
        "cellwall",
        vec![cellwall, "run".into(), "--no-cache".into()],
        found,
    );
    let min = std::env::current_exe().map(|exe| exe.with_file_name("wasmtime-min"));
    let min = min.unwrap_or_default();
    let found = min.is_file();
    add("wasmtime-min", vec![min], found);
    let found = Command::new("wasmtime")
        .arg("--version")
        .output()
        .is_ok_and(|output| output.status.success());
    let words = ["wasmtime", "run", "-C", "cache=n"];
    add("wasmtime", words.iter().map(PathBuf::from).collect(), found);
    all
}
