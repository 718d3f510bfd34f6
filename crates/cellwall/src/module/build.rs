//! The pipeline from bytes to mapped code, as straight-line code. There is one way into mapped
//! code, [`prove`], and what was just compiled takes it like what comes from a file.

use crate::{Context, Engine, Error, Result, bail};
use cellwall_abi::{Artifact, CodeBlob};
use cellwall_base::FuncIdx;
use cellwall_base::limits::PAGE_BYTES;
use cellwall_compile::{Scratch, Unit};
use cellwall_runtime::{Code, Frozen};
use cellwall_verify::{Verified, Violation};
use cellwall_wasm as wasm;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::thread;

/// Bytes of bodies or machine code below which threads cost more than they save.
const PARALLEL_BYTES_MIN: usize = 64 << 10;

/// Cellwall made code that it then refused to run: the fault is ours, not the module's.
///
/// Please report it with the module.
#[derive(Clone, Debug)]
pub struct CompileError {
    violation: cellwall_verify::Violation,
}

impl CompileError {
    /// What the verifier found: the function, the place, the rule and the evidence.
    pub fn violation(&self) -> &cellwall_verify::Violation {
        &self.violation
    }
}

impl fmt::Display for CompileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the compiled code was refused, which is a fault of Cellwall: {}",
            self.violation
        )
    }
}

impl std::error::Error for CompileError {}

/// Decodes a binary and checks what the engine's options forbid.
pub(crate) fn decode(engine: &Engine, binary: &[u8]) -> Result<wasm::Module> {
    let module = wasm::decode(binary)?;
    check_options(engine, &module)?;
    Ok(module)
}

/// Validates a binary, bodies included.
pub(crate) fn validate(engine: &Engine, binary: &[u8]) -> Result<()> {
    let module = wasm::validate(binary)?;
    check_options(engine, &module)
}

fn check_options(engine: &Engine, module: &wasm::Module) -> Result<()> {
    let memories = module.memories().values();
    check_features(
        engine,
        memories.map(|memory| (memory.is_64, memory.page_shift, memory.shared)),
        module.tables().values().any(|table| table.is_64),
    )
}

/// Refuses what the engine's options turn off; of memories whether they have 64-bit indexes, log2 of
/// their pages' bytes, and whether they are shared.
fn check_features(
    engine: &Engine,
    memories: impl ExactSizeIterator<Item = (bool, u8, bool)>,
    has_table_64: bool,
) -> Result<()> {
    let config = engine.config();
    if !config.wasm_multi_memory && memories.len() > 1 {
        bail!("multiple memories are turned off");
    }
    for (is_64, page_shift, shared) in memories {
        if shared && !config.wasm_threads {
            bail!("shared memories are turned off");
        }
        if is_64 && !config.wasm_memory64 {
            bail!("64-bit memories are turned off");
        }
        if u32::from(page_shift) != PAGE_BYTES.trailing_zeros() && !config.wasm_custom_page_sizes {
            bail!("custom page sizes are turned off");
        }
    }
    if has_table_64 && !config.wasm_memory64 {
        bail!("64-bit tables are turned off");
    }
    Ok(())
}

/// Compiles and links; nothing is proven yet.
pub(crate) fn compile(engine: &Engine, module: &wasm::Module) -> Result<Artifact> {
    let threads = threads(engine, module.code_section().len());
    let shape = cellwall_link::shape(module);
    let blobs = functions(&Unit::new(module, &shape, engine.target()), module, threads)?;
    Ok(cellwall_link::link(module, shape, blobs, engine.target())?)
}

/// Proves an artifact, wherever it comes from.
pub(crate) fn prove(engine: &Engine, artifact: Artifact) -> Result<Verified, Violation> {
    let threads = threads(engine, artifact.text.len());
    cellwall_verify::verify_with(artifact, |jobs, job| {
        spread(threads, jobs, || (), |(), index| job(index));
    })
}

/// Proves and maps an artifact that was just compiled.
pub(crate) fn accept_own(engine: &Engine, artifact: Artifact) -> Result<Arc<Code>> {
    let verified = prove(engine, artifact).map_err(|violation| CompileError { violation })?;
    Ok(Code::map(engine.runtime(), verified)?)
}

/// Proves and maps an artifact of unknown origin; in the file that it was read from, if that is
/// frozen.
pub(crate) fn accept_foreign(engine: &Engine, artifact: Artifact, file: Option<Frozen>) -> Result<Arc<Code>> {
    let shape = &artifact.shape;
    let memories = shape.memories.values();
    check_features(
        engine,
        memories.map(|memory| (memory.is_64, memory.page_shift, memory.shared)),
        shape.tables.values().any(|table| table.is_64),
    )?;
    let verified = prove(engine, artifact).context("the machine code is not proven to be safe")?;
    Ok(match file {
        Some(file) => Code::map_in_place(engine.runtime(), verified, file)?,
        None => Code::map(engine.runtime(), verified)?,
    })
}

fn threads(engine: &Engine, code_bytes: usize) -> usize {
    if !engine.config().parallel_compilation || code_bytes < PARALLEL_BYTES_MIN {
        return 1;
    }
    thread::available_parallelism().map_or(1, |count| count.get())
}

/// Compiles every function; the error is that of the first function that has one.
fn functions(unit: &Unit<'_>, module: &wasm::Module, threads: usize) -> Result<Vec<CodeBlob>> {
    let funcs: Vec<FuncIdx> = module.defined_funcs().collect();
    let done: Vec<OnceLock<Result<CodeBlob>>> = funcs.iter().map(|_| OnceLock::new()).collect();
    // No function after this one matters.
    let failed = AtomicUsize::new(usize::MAX);
    spread(threads, funcs.len(), Scratch::default, |scratch, index| {
        if index > failed.load(Relaxed) {
            return;
        }
        let compiled = cellwall_compile::function(unit, funcs[index], scratch).map_err(refused);
        if compiled.is_err() {
            failed.fetch_min(index, Relaxed);
        }
        done[index].get_or_init(|| compiled);
    });
    // Ends at the first error, before any function that was left out.
    let compiled = done.into_iter().map(|slot| {
        slot.into_inner()
            .expect("every function before the first error was compiled")
    });
    compiled.collect()
}

/// The refusal of a function, as what it is.
pub(crate) fn refused(error: cellwall_compile::CompileError) -> Error {
    match error {
        cellwall_compile::CompileError::Invalid(invalid) => Error::new(invalid),
        cellwall_compile::CompileError::Limit(limit) => Error::new(limit),
    }
}

/// Runs `job(_, 0)` to `job(_, jobs - 1)` on this many threads, each with a state of its own, in
/// chunks that keep neighbours together.
fn spread<S>(threads: usize, jobs: usize, state: impl Fn() -> S + Sync, job: impl Fn(&mut S, usize) + Sync) {
    let chunk = (jobs / (threads * 16)).clamp(1, 64);
    let next = AtomicUsize::new(0);
    let work = || {
        let mut state = state();
        // Ends because every round takes jobs and none are added.
        loop {
            let start = next.fetch_add(chunk, Relaxed);
            if start >= jobs {
                return;
            }
            (start..jobs.min(start + chunk)).for_each(|index| job(&mut state, index));
        }
    };
    thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(work);
        }
        work();
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_job_runs_once_on_any_number_of_threads() {
        for (threads, jobs) in [(1, 10), (2, 1), (4, 1000), (3, 0)] {
            let counts: Vec<AtomicUsize> = (0..jobs).map(|_| AtomicUsize::new(0)).collect();
            spread(
                threads,
                jobs,
                || (),
                |(), index| {
                    counts[index].fetch_add(1, Relaxed);
                },
            );
            assert!(counts.iter().all(|count| count.load(Relaxed) == 1));
        }
    }
}
