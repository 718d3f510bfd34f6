//! Drives a property without a fuzzing engine: random inputs from a seed for a number of seconds,
//! failing inputs made smaller and kept as files.
//!
//! Guarantees: equal seeds give equal inputs. An input is written to `found/PROPERTY/current`
//! before it is tried, so that one that kills the process, or does not come to an end, is kept too.

use anyhow::{Context, Result, bail};
use cellwall_tests::rng::Rng;
use lexopt::prelude::*;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A property, and where its inputs come from.
#[derive(Clone, Copy)]
pub struct Property {
    /// Its name: that of the file, and of the folder of what is found.
    pub name: &'static str,
    /// Panics if the input breaks it.
    pub run: fn(&[u8]),
    /// The next input, perhaps made from the corpus.
    pub next: fn(&mut Rng, &[Vec<u8>]) -> Vec<u8>,
    /// The module that an input stands for, if it is not the input itself.
    pub module: Option<fn(&[u8]) -> Option<Vec<u8>>>,
    /// What the inputs were worth, to be said at the end.
    pub summary: Option<fn() -> String>,
}

/// An input that takes longer is a hang.
const SECONDS_MAX: u64 = 30;
/// Attempts at making one failing input smaller.
const SHRINKS_MAX: usize = 2_000;
/// Two messages that begin alike for so long mean the same.
const MESSAGE_CHARS: usize = 32;
/// A run ends after so many failing inputs.
const FAILURES_MAX: usize = 10;
const USAGE: &str = "--seconds N --seed S --corpus FOLDER, or FILE… to try again";

struct Options {
    seconds: u64,
    seed: u64,
    corpus: Vec<Vec<u8>>,
    again: Vec<PathBuf>,
}

/// The `main` of a property's command. Exit status: 0 if it held, 1 if not, 2 if it could not run.
pub fn main(property: Property) -> ExitCode {
    let held = options().and_then(|options| match options.again.is_empty() {
        true => search(property, &options),
        false => again(property, &options.again),
    });
    match held {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{}: {error:#}", property.name);
            ExitCode::from(2)
        }
    }
}

fn options() -> Result<Options> {
    let mut options = Options {
        seconds: 60,
        seed: 1,
        corpus: Vec::new(),
        again: Vec::new(),
    };
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("seconds") => options.seconds = parser.value()?.parse()?,
            Long("seed") => options.seed = parser.value()?.parse()?,
            Long("corpus") => collect(Path::new(&parser.value()?), &mut options.corpus)?,
            Value(file) => options.again.push(file.into()),
            _ => bail!("options are {USAGE}"),
        }
    }
    Ok(options)
}

/// Every `.wasm` file at or below a path.
fn collect(path: &Path, into: &mut Vec<Vec<u8>>) -> Result<()> {
    let context = || path.display().to_string();
    if path.is_dir() {
        for entry in path.read_dir().with_context(context)? {
            collect(&entry?.path(), into)?;
        }
    } else if path.extension().is_some_and(|ending| ending == "wasm") {
        into.push(std::fs::read(path).with_context(context)?);
    }
    Ok(())
}

fn search(property: Property, options: &Options) -> Result<bool> {
    let found = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("found")
        .join(property.name);
    std::fs::create_dir_all(&found).with_context(|| found.display().to_string())?;
    let current = found.join("current");
    watch(&current);
    let mut rng = Rng::new(options.seed);
    let start = Instant::now();
    let (mut count, mut failures) = (0u64, 0);
    while start.elapsed() < Duration::from_secs(options.seconds) && failures < FAILURES_MAX {
        let data = (property.next)(&mut rng, &options.corpus);
        std::fs::write(&current, &data).context("the current input")?;
        if let Some(message) = breaks(property, &data) {
            failures += 1;
            let small = shrink(property, &data, &message);
            let file = keep(property, &found, &small)?;
            println!("{}: {message}\n  kept as {}", property.name, file.display());
        }
        count += 1;
        CASES.store(count, Ordering::Relaxed);
    }
    std::fs::remove_file(&current).context("the current input")?;
    println!("{}: {count} inputs, {failures} failures", property.name);
    if let Some(summary) = property.summary {
        println!("{}: {}", property.name, summary());
    }
    Ok(failures == 0)
}

/// Tries files once more.
fn again(property: Property, files: &[PathBuf]) -> Result<bool> {
    let mut held = true;
    for file in files {
        let data = std::fs::read(file).with_context(|| file.display().to_string())?;
        let message = breaks(property, &data);
        held &= message.is_none();
        println!("{}: {}", file.display(), message.as_deref().unwrap_or("holds"));
    }
    Ok(held)
}

/// The message of the panic, if the input breaks the property.
fn breaks(property: Property, data: &[u8]) -> Option<String> {
    let panic = catch_unwind(AssertUnwindSafe(|| (property.run)(data))).err()?;
    let text = panic
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_string()));
    Some(text.unwrap_or_else(|| "a panic without words".into()))
}

/// A smaller input that still breaks the property with a message that begins alike: pieces are left
/// out or zeroed, from halves down to single bytes, as long as that helps.
fn shrink(property: Property, data: &[u8], message: &str) -> Vec<u8> {
    let begin: String = message.chars().take(MESSAGE_CHARS).collect();
    let alike = |data: &[u8]| breaks(property, data).is_some_and(|text| text.starts_with(&begin));
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let mut best = data.to_vec();
    let mut piece = best.len() / 2;
    let mut tries = 0;
    while piece > 0 && tries < SHRINKS_MAX {
        let mut at = 0;
        while at < best.len() && tries < SHRINKS_MAX {
            let end = (at + piece).min(best.len());
            let without = [&best[..at], &best[end..]].concat();
            let mut zeroed = best.clone();
            zeroed[at..end].fill(0);
            tries += 2;
            if alike(&without) {
                best = without;
            } else {
                if zeroed != best && alike(&zeroed) {
                    best = zeroed;
                }
                at = end;
            }
            CASES.fetch_add(1, Ordering::Relaxed);
        }
        piece /= 2;
    }
    std::panic::set_hook(hook);
    best
}

/// Writes the input down, and the module that it stands for. Gives the input's file.
fn keep(property: Property, found: &Path, data: &[u8]) -> Result<PathBuf> {
    let digest = data.iter().fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)
    });
    let file = found.join(format!("{digest:016x}.bin"));
    std::fs::write(&file, data).with_context(|| file.display().to_string())?;
    if let Some(wasm) = property.module.and_then(|module| module(data)) {
        std::fs::write(file.with_extension("wasm"), wasm).context("the module")?;
    }
    Ok(file)
}

/// Inputs tried so far, for the watch.
static CASES: AtomicU64 = AtomicU64::new(0);

/// Ends the process if an input takes too long; the input stays in `current`.
fn watch(current: &Path) {
    let current = current.display().to_string();
    std::thread::spawn(move || {
        loop {
            let before = CASES.load(Ordering::Relaxed);
            std::thread::sleep(Duration::from_secs(SECONDS_MAX));
            if CASES.load(Ordering::Relaxed) == before {
                println!("an input takes more than {SECONDS_MAX} s: {current}");
                std::process::exit(1);
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEVEN: Property = Property {
        name: "seven",
        run: |data| assert!(!data.contains(&7), "a seven"),
        next: |rng, _| rng.bytes(100),
        module: None,
        summary: None,
    };

    #[test]
    fn a_failing_input_shrinks_to_its_reason() {
        let mut data = vec![1; 1000];
        data[333] = 7;
        assert_eq!(breaks(SEVEN, &data).as_deref(), Some("a seven"));
        assert_eq!(shrink(SEVEN, &data, "a seven"), [7]);
        // Another reason is another failure.
        assert_eq!(shrink(SEVEN, &data, "an eight"), data);
        assert!(breaks(SEVEN, &[1, 2, 3]).is_none());
    }
}
