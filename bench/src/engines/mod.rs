//! The engines under one interface.
//!
//! An embedded engine is a crate in this process (`embedded.rs` holds what they
//! share, one file each holds what differs); node and native code are children.
//! An engine that is not built in or not found is left out of the default list
//! and refused by name.

#[cfg(feature = "cellwall")]
mod cellwall;
#[cfg(any(feature = "cellwall", feature = "peers"))]
mod component;
#[cfg(any(feature = "cellwall", feature = "peers"))]
mod embedded;
mod native;
mod node;
pub mod scratch;
#[cfg(any(feature = "cellwall", feature = "peers"))]
mod threaded;
#[cfg(feature = "peers")]
mod wasmi;
#[cfg(feature = "peers")]
mod wasmtime;

use crate::components::Binaries;
use crate::set::Job;
use crate::wasi::World;
use anyhow::Result;

/// What an embedded engine keeps in its store: the guest's world and, once it
/// is instantiated, its memory (`M` is the engine's own type).
pub struct Cell<M> {
    /// The guest's world.
    pub world: World,
    /// The export `memory`.
    pub memory: Option<M>,
}

/// How a program ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// With this exit code; returning from `_start` is 0.
    Exit(i32),
    /// With a trap; the text is the engine's own and is not compared.
    Trap(String),
}

/// One run of one program. Times are CPU time in nanoseconds; a phase that an
/// engine does not have (native code is not instantiated) is `None`.
#[derive(Clone, Debug)]
pub struct Run {
    /// Bytes to runnable code.
    pub compile_ns: Option<u64>,
    /// Runnable code to an instance, with its store.
    pub instantiate_ns: Option<u64>,
    /// Between `bench.start` and `bench.end`, or all of `_start` for a program
    /// without these.
    pub execute_ns: Option<u64>,
    /// The program's own measure of its region (`ELAPSED_NS`).
    pub region_ns: Option<u64>,
    /// How it ended.
    pub status: Status,
    /// What it wrote to descriptor 1, without the line `ELAPSED_NS`.
    pub stdout: Vec<u8>,
    /// What it wrote to descriptor 2.
    pub stderr: Vec<u8>,
}

/// The modules of the part `calls`, as binaries.
pub struct CallModules {
    /// Imports `host.inc`, exports `step` and the loops.
    pub calls: Vec<u8>,
    /// One function, no memory.
    pub empty: Vec<u8>,
    /// A memory with 64 KiB of data.
    pub data: Vec<u8>,
}

/// An engine.
pub trait Engine {
    /// Short name, as in `--engines`.
    fn name(&self) -> &'static str;

    /// The version that was measured.
    fn version(&self) -> String;

    /// Compiles, instantiates and runs one program. `None` if this engine has
    /// no form of the program (native code of a module without a source).
    ///
    /// # Errors
    ///
    /// If the module is refused or cannot be instantiated. A trap is a status.
    fn run(&self, job: &Job) -> Result<Option<Run>>;

    /// One sample of each row of [`CALL_ROWS`], in nanoseconds of CPU time for
    /// one operation. `None` if the engine is a child.
    ///
    /// # Errors
    ///
    /// If the engine refuses a module or computes something wrong.
    fn call_costs(&self, _modules: &CallModules) -> Result<Option<[f64; CALL_ROWS.len()]>> {
        Ok(None)
    }

    /// One sample of each way of [`LOAD_ROWS`] that the engine has to runnable code of a module, in
    /// nanoseconds of CPU time. `None` if the engine is a child.
    ///
    /// # Errors
    ///
    /// If the engine refuses the module, or what it made of it before.
    fn load_costs(&self, _wasm: &[u8]) -> Result<Option<[Option<f64>; LOAD_ROWS.len()]>> {
        Ok(None)
    }

    /// One sample of each row of [`COMPONENT_ROWS`], in nanoseconds of CPU time for one operation.
    /// `None` if the engine has no components.
    ///
    /// # Errors
    ///
    /// If the engine refuses a component or computes something wrong.
    fn component_costs(&self, _binaries: &Binaries) -> Result<Option<[f64; COMPONENT_ROWS.len()]>> {
        Ok(None)
    }

    /// One sample of each row of [`THREAD_ROWS`], in nanoseconds of CPU time of all threads for one
    /// operation of one of them. `None` if the engine has no shared memories.
    ///
    /// # Errors
    ///
    /// If the engine refuses the module or computes something wrong.
    fn thread_costs(&self, _wasm: &[u8]) -> Result<Option<[f64; THREAD_ROWS.len()]>> {
        Ok(None)
    }

    /// Whether the engine takes part in the part `exec`.
    fn executes(&self) -> bool {
        true
    }
}

/// Takes the line `ELAPSED_NS n` out of a program's output, because it differs
/// from run to run. Gives the other lines, and n.
fn split_elapsed(stdout: &[u8]) -> (Vec<u8>, Option<u64>) {
    let mut rest = Vec::with_capacity(stdout.len());
    let mut elapsed = None;
    for line in stdout.split_inclusive(|byte| *byte == b'\n') {
        let number = line
            .strip_prefix(b"ELAPSED_NS ")
            .and_then(|number| std::str::from_utf8(number).ok())
            .and_then(|number| number.trim().parse().ok());
        match number {
            Some(number) => elapsed = Some(number),
            None => rest.extend_from_slice(line),
        }
    }
    (rest, elapsed)
}

/// What the part `calls` measures.
pub const CALL_ROWS: [&str; 9] = [
    "host to wasm, typed",
    "host to wasm, untyped",
    "wasm to host",
    "wasm to wasm, direct",
    "wasm to wasm, through a table",
    "a loop without a call",
    "store + instantiate + drop, empty",
    "store + instantiate + drop, 64 KiB of data",
    "the same, one page written",
];

/// What the part `components` measures.
pub const COMPONENT_ROWS: [&str; 11] = [
    "component to component, u32",
    "component to component, string of 64 bytes",
    "component to component, list<u8> of 1 MiB",
    "component to component, a borrowed handle",
    "component to component, an owned handle made and dropped",
    "host to component, u32",
    "host to component, string of 64 bytes",
    "store + instantiate + drop, a small component",
    "component to host, u32",
    "component to host, string of 64 bytes",
    "component to component, u32, of a function with state",
];

/// What the part `threads` measures.
pub const THREAD_ROWS: [&str; 4] = [
    "atomic add to one word",
    "compare and exchange on one word",
    "lock and unlock, waiting in between",
    "taking turns by wait and notify",
];

/// What the part `load` measures. The code of Cellwall is proven in each of them; that of others is
/// believed. The first row is what the others are compared with.
pub const LOAD_ROWS: [&str; 4] = [
    "compile",
    "deserialize from bytes",
    "deserialize from a file",
    "found in the cache",
];

/// Runs `file` by Wasmtime as a command would, with nothing cached: the guest's
/// output goes to this process's, its exit code comes back.
///
/// # Errors
///
/// If the file cannot be read or the module is refused.
#[cfg(feature = "peers")]
pub fn wasmtime_command(file: &std::path::Path) -> Result<i32> {
    use std::io::Write;
    let job = Job::lone(file)?;
    let run = wasmtime::cranelift()
        .run(&job)?
        .expect("an embedded engine has a form of every program");
    std::io::stdout().write_all(&run.stdout)?;
    std::io::stderr().write_all(&run.stderr)?;
    match run.status {
        Status::Exit(code) => Ok(code),
        Status::Trap(text) => anyhow::bail!(text),
    }
}

/// Cellwall with all passes of its optimizer, then without each of them, by the names of the passes.
#[cfg(feature = "cellwall")]
pub fn without_passes() -> Vec<Box<dyn Engine>> {
    let boxed = |engine| Box::new(engine) as Box<dyn Engine>;
    cellwall::without_passes().into_iter().map(boxed).collect()
}

/// Every engine of this build that can be found on this machine.
pub fn all() -> Vec<Box<dyn Engine>> {
    let mut engines: Vec<Box<dyn Engine>> = Vec::new();
    #[cfg(feature = "cellwall")]
    engines.push(Box::new(cellwall::engine()));
    #[cfg(feature = "peers")]
    {
        engines.push(Box::new(wasmtime::cranelift()));
        engines.push(Box::new(wasmtime::pooled()));
        engines.push(Box::new(wasmtime::winch()));
        engines.push(Box::new(wasmi::engine()));
    }
    if let Some(node) = node::find() {
        engines.push(Box::new(node));
    }
    if let Some(native) = native::find() {
        engines.push(Box::new(native));
    }
    engines
}
