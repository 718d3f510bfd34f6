//! The programs that are measured, and where they lie.
//!
//! The default set is the 23 modules without vectors and the 7 scalar kernels
//! of `../shared/bench`; it is a table, so that a program that goes missing is
//! an error and not a smaller mean.

use crate::wasi::{Files, World};
use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The default set, as paths below the folder `bench` of the shared files.
const DEFAULT: [&str; 30] = [
    "blake3-scalar/benchmark.wasm",
    "bz2/benchmark.wasm",
    "gcc-loops/benchmark.wasm",
    "hashset/benchmark.wasm",
    "noop/benchmark.wasm",
    "quicksort/benchmark.wasm",
    "regex/benchmark.wasm",
    "richards/benchmark.wasm",
    "rust-compression/benchmark.wasm",
    "rust-html-rewriter/benchmark.wasm",
    "rust-json/benchmark.wasm",
    "shootout/shootout-ackermann.wasm",
    "shootout/shootout-ctype.wasm",
    "shootout/shootout-ed25519.wasm",
    "shootout/shootout-fib2.wasm",
    "shootout/shootout-heapsort.wasm",
    "shootout/shootout-keccak.wasm",
    "shootout/shootout-matrix.wasm",
    "shootout/shootout-nestedloop.wasm",
    "shootout/shootout-seqhash.wasm",
    "shootout/shootout-xchacha20.wasm",
    "tinygo/tinygo-json.wasm",
    "tinygo/tinygo-regex.wasm",
    "kernels/bigmul.wasm",
    "kernels/fib.wasm",
    "kernels/icall.wasm",
    "kernels/sha256.wasm",
    "kernels/sieve.wasm",
    "kernels/strscan.wasm",
    "kernels/switchvm.wasm",
];

/// With `--all` also these: vectors, and one without a measured region.
const MORE: [&str; 29] = [
    "blake3-simd/benchmark.wasm",
    "meshoptimizer/benchmark.wasm",
    "kernels/idot_simd.wasm",
    "libsodium/libsodium-aead_aegis128l.wasm",
    "libsodium/libsodium-aead_aes256gcm.wasm",
    "libsodium/libsodium-aead_chacha20poly1305.wasm",
    "libsodium/libsodium-auth.wasm",
    "libsodium/libsodium-auth6.wasm",
    "libsodium/libsodium-auth7.wasm",
    "libsodium/libsodium-box_easy.wasm",
    "libsodium/libsodium-box_easy2.wasm",
    "libsodium/libsodium-chacha20.wasm",
    "libsodium/libsodium-generichash2.wasm",
    "libsodium/libsodium-generichash3.wasm",
    "libsodium/libsodium-hash3.wasm",
    "libsodium/libsodium-onetimeauth7.wasm",
    "libsodium/libsodium-pwhash_argon2i.wasm",
    "libsodium/libsodium-pwhash_argon2id.wasm",
    "libsodium/libsodium-scalarmult6.wasm",
    "libsodium/libsodium-scalarmult8.wasm",
    "libsodium/libsodium-secretbox8.wasm",
    "libsodium/libsodium-secretbox_easy.wasm",
    "libsodium/libsodium-secretstream.wasm",
    "libsodium/libsodium-shorthash.wasm",
    "libsodium/libsodium-sodium_core.wasm",
    "libsodium/libsodium-sodium_utils2.wasm",
    "libsodium/libsodium-sodium_version.wasm",
    "libsodium/libsodium-stream2.wasm",
    "libsodium/libsodium-xchacha20.wasm",
];

/// The part `features`, below `bench/features`: what programs in the set above do not do. With each, the
/// engines that cannot run it (`node<25`: a node older than that).
const FEATURES: [(&str, &[&str]); 17] = [
    ("throw1.wat", &["winch", "wasmi", "node<25"]),
    ("throw10.wat", &["winch", "wasmi", "node<25"]),
    ("nothrow.wat", &["winch", "wasmi", "node<25"]),
    ("notry.wat", &["winch", "wasmi", "node<25"]),
    ("throw1-legacy.wat", &["wasmtime", "winch", "wasmi"]),
    ("throw10-legacy.wat", &["wasmtime", "winch", "wasmi"]),
    ("tailcall.wat", &["winch"]),
    ("tailindirect.wat", &["winch"]),
    ("callref.wat", &["winch", "wasmi", "node<25"]),
    ("atomics.wat", &["winch", "wasmi"]),
    ("memory64/bigmul.wasm", &["winch", "node<25"]),
    ("memory64/fib.wasm", &["winch", "node<25"]),
    ("memory64/icall.wasm", &["winch", "node<25"]),
    ("memory64/sha256.wasm", &["winch", "node<25"]),
    ("memory64/sieve.wasm", &["winch", "node<25"]),
    ("memory64/strscan.wasm", &["winch", "node<25"]),
    ("memory64/switchvm.wasm", &["winch", "node<25"]),
];

/// One program, read into memory.
#[derive(Debug)]
pub struct Job {
    /// Folder and program, or only one of them if they say the same.
    pub name: String,
    /// The module's file.
    pub path: PathBuf,
    /// The folder that the program sees as `.`.
    pub dir: PathBuf,
    /// The module.
    pub wasm: Vec<u8>,
    /// The C source beside it, if there is one.
    pub source: Option<PathBuf>,
    /// The output that upstream expects, if it is written down.
    pub expected_stdout: Option<Vec<u8>>,
    /// The same for standard error.
    pub expected_stderr: Option<Vec<u8>>,
    /// Engines that cannot run it, by name; `node<25` stands for an older node.
    pub not_on: &'static [&'static str],
    files: Files,
}

impl Job {
    fn load(bench: &Path, relative: &str) -> Result<Job> {
        let path = bench.join(relative);
        let mut job = Job::lone(&path)?;
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let folder = relative.split('/').next().unwrap_or(relative);
        job.name = match &*stem {
            "benchmark" => folder.to_string(),
            stem => stem.to_string(),
        };
        job.files = Arc::new(inputs(&job.dir)?);
        job.source = Some(path.with_extension("c")).filter(|source| source.is_file());
        let expected = |stream: &str| {
            [&*stem, "default"]
                .iter()
                .find_map(|name| std::fs::read(job.dir.join(format!("{name}.{stream}.expected"))).ok())
        };
        job.expected_stdout = expected("stdout");
        job.expected_stderr = expected("stderr");
        Ok(job)
    }

    /// A module with nothing around it.
    ///
    /// # Errors
    ///
    /// If the file cannot be read.
    pub fn lone(path: &Path) -> Result<Job> {
        Ok(Job {
            name: path.display().to_string(),
            path: path.to_path_buf(),
            dir: path.parent().context("a file is in a folder")?.to_path_buf(),
            wasm: std::fs::read(path).with_context(|| path.display().to_string())?,
            source: None,
            expected_stdout: None,
            expected_stderr: None,
            not_on: &[],
            files: Files::default(),
        })
    }

    /// The world for one run.
    pub fn world(&self) -> World {
        World::new(&["benchmark"], &self.files)
    }

    /// Size of the code section in bytes; 0 if the module has none.
    pub fn code_bytes(&self) -> usize {
        const CODE_SECTION: u8 = 10;
        let mut rest = self.wasm.get(8..).unwrap_or(&[]);
        while let Some((&id, tail)) = rest.split_first() {
            let Some((size, tail)) = leb_u32(tail) else {
                return 0;
            };
            if id == CODE_SECTION {
                return size;
            }
            rest = tail.get(size..).unwrap_or(&[]);
        }
        0
    }
}

/// The files that a program may read: its inputs.
fn inputs(dir: &Path) -> Result<std::collections::BTreeMap<String, Vec<u8>>> {
    let mut files = std::collections::BTreeMap::new();
    for entry in std::fs::read_dir(dir).with_context(|| dir.display().to_string())? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.contains(".input") {
            files.insert(name, std::fs::read(entry.path())?);
        }
    }
    Ok(files)
}

fn leb_u32(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0usize;
    for (index, byte) in bytes.iter().enumerate().take(5) {
        value |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((value, &bytes[index + 1..]));
        }
    }
    None
}

/// The set: the default one, or everything, where the name passes `wanted`.
///
/// # Errors
///
/// If the shared files are not found or one of the set is missing.
pub fn load(all: bool, wanted: impl Fn(&str) -> bool) -> Result<Vec<Job>> {
    let bench = shared()?.join("bench");
    let more: &[&str] = if all { &MORE } else { &[] };
    let mut jobs = Vec::new();
    for relative in DEFAULT.iter().chain(more) {
        let job = Job::load(&bench, relative)?;
        if wanted(&job.name) {
            jobs.push(job);
        }
    }
    ensure!(!jobs.is_empty(), "the filter leaves no program");
    Ok(jobs)
}

/// The programs of the part `features`, where the name passes `wanted`. Those in the text format are
/// written in the binary one to the folder `scratch`, where a child finds them.
///
/// # Errors
///
/// If a file is missing or cannot be written.
pub fn features(scratch: &Path, wanted: impl Fn(&str) -> bool) -> Result<Vec<Job>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("features");
    let mut jobs = Vec::new();
    for (relative, not_on) in FEATURES {
        let name = relative.rsplit_once('.').map_or(relative, |(name, _)| name);
        if !wanted(name) {
            continue;
        }
        let wasm = wat::parse_file(folder.join(relative))?;
        let path = scratch.join(format!("{}.wasm", name.replace('/', "-")));
        std::fs::write(&path, wasm).with_context(|| path.display().to_string())?;
        let mut job = Job::lone(&path)?;
        (job.name, job.not_on) = (name.to_string(), not_on);
        jobs.push(job);
    }
    ensure!(!jobs.is_empty(), "the filter leaves no program");
    Ok(jobs)
}

/// The folder with the benchmark programs: `CELLWALL_SHARED`, or `shared`
/// beside the repository.
///
/// # Errors
///
/// If it is not there.
pub fn shared() -> Result<PathBuf> {
    let folder = match std::env::var_os("CELLWALL_SHARED") {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"),
    };
    ensure!(
        folder.join("bench").is_dir(),
        "no folder {}/bench: set CELLWALL_SHARED to the folder with the benchmark programs",
        folder.display()
    );
    Ok(folder)
}
