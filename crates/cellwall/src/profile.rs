//! Telling `perf` where guest functions lie, so that its reports name them.
//!
//! Requires code that is mapped. Guarantees that a failure to write costs the profile only, never
//! the program: what can go wrong is found when the engine is made. Deliberately keeps the files for
//! the whole process: code that is gone may still be in the samples.

use crate::{Context, Result};
use cellwall_abi::Artifact;
use cellwall_runtime::{Code, mark_for_profiler};
use rustix::fs::{Mode, OFlags};
use rustix::time::ClockId;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

/// What a profiler is told of compiled code; see [`Config::profiler`](crate::Config::profiler).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[non_exhaustive]
pub enum ProfilingStrategy {
    /// Nothing.
    #[default]
    None,
    /// The names and places of functions, in `/tmp/perf-PID.map`, which `perf report` reads by
    /// itself.
    PerfMap,
    /// Names, places and machine code, in `jit-PID.dump` in the current directory, for
    /// `perf record -k mono` and `perf inject --jit`.
    JitDump,
}

/// The files of this process, once a strategy was asked for.
static PERF_MAP: OnceLock<Mutex<File>> = OnceLock::new();
static JIT_DUMP: OnceLock<Mutex<JitDump>> = OnceLock::new();
/// Held while one of them is made, so that it is made once.
static MAKING: Mutex<()> = Mutex::new(());

/// Makes the file of a strategy, if this process has none yet.
///
/// # Errors
/// If it cannot be made.
pub(crate) fn prepare(strategy: ProfilingStrategy) -> Result<()> {
    let _making = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
    match strategy {
        ProfilingStrategy::None => {}
        ProfilingStrategy::PerfMap if PERF_MAP.get().is_none() => {
            let path = PathBuf::from(format!("/tmp/perf-{}.map", std::process::id()));
            let file = create(&path).with_context(|| format!("cannot write `{}`", path.display()))?;
            PERF_MAP.get_or_init(|| Mutex::new(file));
        }
        ProfilingStrategy::JitDump if JIT_DUMP.get().is_none() => {
            let path = PathBuf::from(format!("jit-{}.dump", std::process::id()));
            let dump = JitDump::new(&path).with_context(|| format!("cannot write `{}`", path.display()))?;
            JIT_DUMP.get_or_init(|| Mutex::new(dump));
        }
        ProfilingStrategy::PerfMap | ProfilingStrategy::JitDump => {}
    }
    Ok(())
}

/// Tells the profiler of code that can run from now on.
pub(crate) fn announce(strategy: ProfilingStrategy, code: &Code, module: Option<&str>) {
    let module = module.unwrap_or("wasm");
    let written = match strategy {
        ProfilingStrategy::None => Ok(()),
        ProfilingStrategy::PerfMap => PERF_MAP.get().map_or(Ok(()), |file| {
            let text = perf_map(code.artifact(), code.text_address() as u64, module);
            let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
            file.write_all(text.as_bytes())
        }),
        ProfilingStrategy::JitDump => JIT_DUMP.get().map_or(Ok(()), |dump| {
            let mut dump = dump.lock().unwrap_or_else(PoisonError::into_inner);
            dump.add(code.artifact(), code.text_address() as u64, module)
        }),
    };
    // A full disk must not stop the program that is looked at.
    drop(written);
}

/// A new file of this process's user alone. Never through a link that somebody else put there.
fn create(path: &Path) -> io::Result<File> {
    // A file of an earlier process with this number is in the way; of another user's, the next
    // call says so.
    let _ = std::fs::remove_file(path);
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(File::from(rustix::fs::open(
        path,
        flags,
        Mode::RUSR | Mode::WUSR,
    )?))
}

/// The name of a function in reports: `module!function`, on one line.
fn symbol(artifact: &Artifact, module: &str, func: cellwall_base::FuncIdx) -> String {
    let name = match artifact.name(func) {
        Some(name) => match rustc_demangle::try_demangle(name) {
            Ok(name) => format!("{module}!{name:#}"),
            Err(_) => format!("{module}!{name}"),
        },
        None => format!("{module}!function {}", func.as_u32()),
    };
    name.replace(|c: char| c.is_control(), "?")
}

/// The lines of a perf map: first address, bytes (both in hexadecimal), name.
fn perf_map(artifact: &Artifact, start: u64, module: &str) -> String {
    let mut text = String::new();
    for range in &artifact.funcs {
        let name = symbol(artifact, module, range.func);
        let at = start + u64::from(range.start);
        writeln!(text, "{at:x} {:x} {name}", range.len).expect("a String takes every write");
    }
    text
}

/// A file in the format of Linux's `tools/perf/Documentation/jitdump-specification.txt`, version 1.
struct JitDump {
    file: File,
    next_index: u64,
}

/// First word of the file.
const MAGIC: u32 = 0x4a69_5444;
/// `EM_X86_64` of the ELF specification.
const MACHINE: u32 = 62;
/// Bytes of the header.
const HEADER_BYTES: u32 = 40;
/// Bytes before the first code: the page that stays mapped, as the format asks, has none in it.
const FIRST_CODE: u32 = 4096;
/// `JIT_CODE_LOAD`.
const CODE_LOAD: u32 = 0;
/// `JIT_DEBUG_INFO`; one without entries fills the first page.
const DEBUG_INFO: u32 = 2;
/// Bytes of a `JIT_CODE_LOAD` record without name and code.
const CODE_LOAD_BYTES: usize = 56;

impl JitDump {
    fn new(path: &Path) -> Result<Self> {
        let mut header = Vec::with_capacity(FIRST_CODE as usize);
        for word in [MAGIC, 1, HEADER_BYTES, MACHINE, 0, std::process::id()] {
            header.extend(word.to_le_bytes());
        }
        header.extend(now().to_le_bytes());
        header.extend(0u64.to_le_bytes());
        debug_assert_eq!(header.len(), HEADER_BYTES as usize);
        for word in [DEBUG_INFO, FIRST_CODE - HEADER_BYTES] {
            header.extend(word.to_le_bytes());
        }
        header.extend(now().to_le_bytes());
        header.resize(FIRST_CODE as usize, 0);
        let mut file = create(path)?;
        file.write_all(&header)?;
        mark_for_profiler(&file)?;
        Ok(Self { file, next_index: 0 })
    }

    fn add(&mut self, artifact: &Artifact, start: u64, module: &str) -> io::Result<()> {
        let mut records = Vec::with_capacity(artifact.text.len() + 128 * artifact.funcs.len());
        for range in &artifact.funcs {
            let code = &artifact.text[range.start as usize..][..range.len as usize];
            let name = symbol(artifact, module, range.func);
            let at = start + u64::from(range.start);
            self.record(&mut records, &name, at, code);
        }
        self.file.write_all(&records)
    }

    fn record(&mut self, into: &mut Vec<u8>, name: &str, at: u64, code: &[u8]) {
        let bytes = CODE_LOAD_BYTES + name.len() + 1 + code.len();
        into.extend(CODE_LOAD.to_le_bytes());
        into.extend((bytes as u32).to_le_bytes());
        into.extend(now().to_le_bytes());
        into.extend(std::process::id().to_le_bytes());
        into.extend((rustix::thread::gettid().as_raw_nonzero().get() as u32).to_le_bytes());
        for word in [at, at, code.len() as u64, self.next_index] {
            into.extend(word.to_le_bytes());
        }
        into.extend(name.as_bytes());
        into.push(0);
        into.extend(code);
        self.next_index += 1;
    }
}

/// The clock of `perf record -k mono`, in nanoseconds.
fn now() -> u64 {
    let time = rustix::time::clock_gettime(ClockId::Monotonic);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}
