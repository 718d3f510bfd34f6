//! Developer commands: `cargo xtask NAME`. The long runs, whose bounded twins are in `cargo test`.

mod http_bodies;
mod mutate;
mod rules;
mod serve_load;

use anyhow::{Context, Result, ensure};
use cellwall::Module;
use cellwall_tests::control::{self, Parts};
use cellwall_tests::differential::{Way, compare_in};
use cellwall_tests::mutate::Tally;
use cellwall_tests::vectors::{self, Relaxed};
use cellwall_tests::{aliasing, bombs, breach, generate, honest, hostile, pressure};
use clap::{Parser, Subcommand};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

/// Developer commands of Cellwall.
#[derive(Parser)]
#[command(name = "cargo xtask")]
enum Xtask {
    #[command(flatten)]
    Run(Task),
}

#[derive(Subcommand)]
enum Task {
    /// Bodies of a GiB through HTTP, both ways, with flat memory.
    HttpBodies {
        /// Bytes of each body.
        #[arg(long, default_value_t = 1 << 30)]
        bytes: u64,
    },
    /// `cellwall serve` under load, while guests trap, loop and allocate.
    ServeLoad {
        /// Requests in flight.
        #[arg(long, default_value_t = 200)]
        clients: u64,
        /// For how long.
        #[arg(long, default_value_t = 60)]
        seconds: u64,
        /// Where the random numbers start.
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// Mutated modules through validation and running: an error or a result, nothing else.
    Mutants {
        /// How many mutants.
        #[arg(long, default_value_t = 100_000)]
        count: u64,
        /// Where the random numbers start.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Modules to mutate beside the generated ones: files or folders.
        corpus: Vec<PathBuf>,
    },
    /// Generated modules, compiled and interpreted: no difference.
    Differential {
        /// For how long.
        #[arg(long, default_value_t = 60)]
        seconds: u64,
        /// Where the random numbers start.
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// Honest code with one corrupted instruction: the verifier answers, and what it accepts runs
    /// beside neighbours that must not notice.
    Breach {
        /// How many mutants.
        #[arg(long, default_value_t = 100_000)]
        count: u64,
        /// Where the random numbers start.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// The first mutant.
        #[arg(long, default_value_t = 0)]
        from: u64,
        /// Say what this mutant is, and do nothing else.
        #[arg(long)]
        describe: Option<u64>,
        /// Asks and runs in this very process, as the child of a breach test does.
        #[arg(long, hide = true)]
        child: bool,
    },
    /// Honest code with one corrupted instruction: what the verifier accepts is stepped, and every
    /// access and branch compared with what its cell may do.
    Mutate(mutate::Options),
    /// The process that is stepped.
    #[command(hide = true)]
    Stepped,
    /// Corrupted artifacts through the loader, with sizes and offsets that are right: refused by the
    /// parser, refused by the verifier, or proven; nothing else.
    HostileLoad {
        /// How many artifacts.
        #[arg(long, default_value_t = 1_000_000)]
        count: u64,
        /// Where the random numbers start.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// The first artifact.
        #[arg(long, default_value_t = 0)]
        from: u64,
    },
    /// Everything that our compiler makes is accepted by our verifier: the test suite, the programs
    /// of a checkout, generated modules.
    Honest {
        /// How many generated modules.
        #[arg(long, default_value_t = 1_000)]
        generated: usize,
        /// The largest module of the checkout, in bytes.
        #[arg(long, default_value_t = 64 << 20)]
        bytes_max: u64,
    },
    /// Modules that are made to hurt the compiler: what twice the size takes, up to the decoder's
    /// limits.
    Bombs {
        /// Families whose name contains one of these; all without any.
        filter: Vec<String>,
        /// Divides all sizes.
        #[arg(long, default_value_t = 1)]
        divide: u32,
        /// Write the modules to this folder, and do nothing else.
        #[arg(long)]
        emit: Option<PathBuf>,
        /// Compiles the bomb of this size in this very process.
        #[arg(long, hide = true)]
        child: Option<u32>,
    },
    /// Guests that open files while a folder is swapped for a link: no escape.
    Race {
        /// For how long.
        #[arg(long, default_value_t = 60)]
        seconds: u64,
    },
    /// The code of the rules of `compile/src/opt/*.rules`.
    Rules {
        /// Say instead how often each rule is applied to the programs of a checkout.
        #[arg(long)]
        count: bool,
        /// Say instead what the code of each program of a checkout hashes to: a change that is to leave the
        /// code alone leaves this alone.
        #[arg(long)]
        digest: bool,
    },
    /// Proves the rules with the solver Z3; the record is `compile/src/opt/rules.proofs`.
    Prove {
        /// Prove or judge all again, not only what changed.
        #[arg(long)]
        all: bool,
        /// How long the solver may take for each script.
        #[arg(long, default_value_t = 60)]
        seconds: u32,
        /// Judge rules with a planted mistake instead; the record is `rules.mutants`.
        #[arg(long)]
        mutants: bool,
    },
    /// Runs the tests and takes what they print as the new goldens; the diff is the review.
    Bless,
    /// The comparison with other engines (`bench/`); arguments are handed on.
    Bench {
        /// Arguments of the benchmark.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
}

fn main() -> ExitCode {
    let Xtask::Run(task) = Xtask::parse();
    match run(task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Without a backtrace: what fails here is what is examined, and a trace reads like a panic.
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> Result<()> {
    match task {
        Task::Mutants { count, seed, corpus } => mutants(count, seed, &corpus),
        Task::Differential { seconds, seed } => differential(seconds, seed),
        Task::Breach {
            count,
            seed,
            from,
            describe,
            child,
        } => match (describe, child) {
            (Some(number), _) => {
                println!("{}", breach::describe(seed, number));
                Ok(())
            }
            (None, true) => breach::child(seed, from, from + count, &mut std::io::stdout())
                .map_err(|error| anyhow::anyhow!("{error:#}")),
            (None, false) => breaches(seed, from, count),
        },
        Task::HttpBodies { bytes } => http_bodies::run(&root(), bytes),
        Task::ServeLoad {
            clients,
            seconds,
            seed,
        } => serve_load::run(&root(), clients, seconds, seed),
        Task::Mutate(options) => mutate::run(&options),
        Task::Stepped => cellwall_tests::step::child::main().map_err(|error| anyhow::anyhow!("{error:#}")),
        Task::Honest { generated, bytes_max } => honest(generated, bytes_max),
        Task::Bombs {
            filter,
            divide,
            emit,
            child,
        } => {
            let chosen = bombs::families().iter().filter(|family| match child {
                Some(_) => filter.iter().any(|name| family.name == name),
                None => filter.is_empty() || filter.iter().any(|f| family.name.contains(f.as_str())),
            });
            match (child, emit) {
                (Some(size), _) => {
                    let [family] = chosen.collect::<Vec<_>>()[..] else {
                        anyhow::bail!("a child measures one family");
                    };
                    bombs::child(family, size).map_err(anyhow::Error::msg)
                }
                (None, Some(folder)) => emit_bombs(chosen, divide, &folder),
                (None, None) => measure_bombs(chosen, divide),
            }
        }
        Task::HostileLoad { count, seed, from } => hostile_load(count, seed, from),
        Task::Race { seconds } => race(seconds),
        Task::Rules { digest: true, .. } => rules::digest(),
        Task::Rules { count: true, .. } => rules::count(),
        Task::Rules { .. } => rules::write(),
        Task::Prove {
            all,
            seconds,
            mutants: true,
        } => rules::judge_mutants(all, seconds),
        Task::Prove { all, seconds, .. } => rules::prove(all, seconds),
        Task::Bless => bless(),
        Task::Bench { args } => bench(&args),
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("xtask/ lies in the repository")
        .to_owned()
}

fn mutants(count: u64, seed: u64, corpus: &[PathBuf]) -> Result<()> {
    let mut modules = Vec::new();
    for path in corpus {
        collect(path, &mut modules)?;
    }
    const BATCH: u64 = 1_000;
    let start = Instant::now();
    let mut total = Tally::default();
    for batch in 0..count.div_ceil(BATCH) {
        let size = BATCH.min(count - batch * BATCH);
        let tally =
            cellwall_tests::mutate::run(seed.wrapping_add(batch), size, Duration::from_secs(1), &modules);
        total.add(&tally);
        eprintln!(
            "{:>8} of {count} after {:.0?}: {total:?}",
            batch * BATCH + size,
            start.elapsed()
        );
    }
    println!("{count} mutants, no panic and no hang: {total:?}");
    Ok(())
}

fn differential(seconds: u64, seed: u64) -> Result<()> {
    let ways = Way::all();
    let (start, mut modules, mut returned, mut trapped) = (Instant::now(), 0u64, 0u64, 0u64);
    for seed in seed.. {
        if start.elapsed() >= Duration::from_secs(seconds) {
            break;
        }
        // In turn: what a general generator writes, and what our own write.
        let bytes = match seed % 8 {
            6 | 7 => Some(control::module(seed, Parts::All)),
            0 => Some(pressure::module(seed)),
            1 | 2 => Some(aliasing::module(seed)),
            3 | 4 => Some(vectors::module(seed, Relaxed::With)),
            _ => generate::module(seed),
        };
        // In the deterministic profile relaxed operators give NaNs that nothing makes canonical.
        let count = if seed % 8 == 5 { ways.len() - 1 } else { ways.len() };
        let way = &ways[(seed / 8 % count as u64) as usize];
        let Some(bytes) = bytes else {
            continue;
        };
        match compare_in(way, &bytes, &|engine, bytes| Module::new(engine, bytes), seed) {
            Ok(seen) => {
                modules += 1;
                returned += u64::from(seen.returned);
                trapped += u64::from(seen.trapped);
            }
            Err(difference) => {
                let path = std::env::temp_dir().join(format!("cellwall-difference-{seed}.wasm"));
                std::fs::write(&path, &bytes)?;
                anyhow::bail!("seed {seed}: {difference}\nthe module is in {}", path.display());
            }
        }
        if modules % 1_000 == 0 {
            eprintln!("{modules} modules after {:.0?}", start.elapsed());
        }
    }
    println!("{modules} modules agree; {returned} calls returned, {trapped} trapped");
    Ok(())
}

fn breaches(seed: u64, from: u64, count: u64) -> Result<()> {
    const BATCH: u64 = 20_000;
    let itself = std::env::current_exe()?;
    let command = |from: u64, to: u64| {
        let mut command = Command::new(&itself);
        command.args(["breach", "--child"]);
        for (option, value) in [("--seed", seed), ("--from", from), ("--count", to - from)] {
            command.arg(option).arg(value.to_string());
        }
        command
    };
    let (start, mut tally) = (Instant::now(), breach::Tally::default());
    for first in (from..from + count).step_by(BATCH as usize) {
        breach::run(first, (first + BATCH).min(from + count), &command, &mut tally)?;
        eprintln!(
            "{} asked, {} accepted, {} breaches after {:.0?}",
            tally.asked(),
            tally.accepted(),
            tally.breaches.len(),
            start.elapsed()
        );
    }
    println!("{tally:#?}");
    println!(
        "{} mutants, {} accepted and run, {} breaches",
        tally.asked(),
        tally.accepted(),
        tally.breaches.len()
    );
    ensure!(tally.breaches.is_empty(), "a mutant left its cell");
    Ok(())
}

fn hostile_load(count: u64, seed: u64, from: u64) -> Result<()> {
    const BATCH: u64 = 100_000;
    let threads = std::thread::available_parallelism().map_or(1, |threads| threads.get() as u64);
    let (loader, start) = (hostile::Loader::new(40), Instant::now());
    let mut tally = hostile::Tally::default();
    for first in (from..from + count).step_by(BATCH as usize) {
        tally.add(loader.run_on(threads, seed, first, (first + BATCH).min(from + count)));
        eprintln!(
            "{:?} after {:.0?}, {} faults",
            tally.total(),
            start.elapsed(),
            tally.faults.len()
        );
    }
    print!("{tally}");
    ensure!(tally.faults.is_empty(), "{:#?}", tally.faults);
    println!("no panic, no crash, and nothing was mapped that the verifier did not accept");
    Ok(())
}

fn honest(generated: usize, bytes_max: u64) -> Result<()> {
    let mut tally = honest::Tally::default();
    let modules = honest::spec_modules()
        .into_iter()
        .chain(honest::shared_modules(bytes_max)?)
        .chain(honest::generated(generated));
    let mut refusals = 0;
    for (name, binary) in modules {
        if let Err(refusal) = honest::check(&name, &binary, &mut tally) {
            refusals += 1;
            println!("{refusal}");
        }
    }
    println!("{refusals} refused; {tally:?}");
    ensure!(refusals == 0, "honest code is refused");
    Ok(())
}

fn emit_bombs<'a>(
    families: impl Iterator<Item = &'a bombs::Family>,
    divide: u32,
    folder: &Path,
) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    for family in families {
        let name = format!("{}.wasm", family.name.replace('/', "-"));
        std::fs::write(folder.join(name), family.module(family.max / divide))?;
    }
    Ok(())
}

/// What twice the size may take at most, times that of half.
const GROWTH_MAX: f64 = 2.3;
/// How often a bomb that takes more is measured again.
const BOMB_ATTEMPTS_MAX: u32 = 3;

fn measure_bombs<'a>(families: impl Iterator<Item = &'a bombs::Family>, divide: u32) -> Result<()> {
    let itself = std::env::current_exe()?;
    let mut failures = 0;
    for family in families {
        let cost = |size: u32| -> Result<_> {
            let mut command = Command::new(&itself);
            command
                .env("RUST_BACKTRACE", "0")
                .args(["bombs", family.name, "--child"])
                .arg(size.to_string());
            Ok(bombs::measure(command)?)
        };
        let size = family.max / divide;
        let mut costs = (cost(size / 2)?, cost(size)?);
        for _ in 0..BOMB_ATTEMPTS_MAX {
            let (Ok(half), Ok(whole)) = &mut costs else { break };
            if whole.time.as_secs_f64() <= GROWTH_MAX * half.time.as_secs_f64() {
                break;
            }
            // What else runs on the machine can only add to it.
            let (Ok(half_again), Ok(whole_again)) = (cost(size / 2)?, cost(size)?) else {
                break;
            };
            half.time = half.time.min(half_again.time);
            whole.time = whole.time.min(whole_again.time);
        }
        print!("{:<22} {:>8} {:<9}  ", family.name, size, family.unit);
        match costs {
            (Ok(half), Ok(whole)) => {
                let time = whole.time.as_secs_f64() / half.time.as_secs_f64();
                let memory = whole.memory_bytes as f64 / half.memory_bytes as f64;
                let failed = time > GROWTH_MAX || memory > GROWTH_MAX;
                failures += u32::from(failed);
                let verdict = if failed { "TOO MUCH" } else { "" };
                println!("{half}  {whole}  {time:>5.2} {memory:>5.2}  {verdict}");
            }
            (half, whole) => {
                failures += 1;
                let show = |cost: Result<bombs::Cost, String>| match cost {
                    Ok(cost) => cost.to_string(),
                    Err(why) => format!("{:.160}", why.replace('\n', " ")),
                };
                println!("{}  {}  FAILED", show(half), show(whole));
            }
        }
    }
    ensure!(failures == 0, "{failures} families grow too fast or are refused");
    Ok(())
}

/// Every `.wasm` file at or below a path.
fn collect(path: &Path, into: &mut Vec<Vec<u8>>) -> Result<()> {
    if path.is_dir() {
        for entry in path
            .read_dir()
            .with_context(|| format!("cannot list {}", path.display()))?
        {
            collect(&entry?.path(), into)?;
        }
    } else if path.extension().is_some_and(|e| e == "wasm") {
        into.push(std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?);
    }
    Ok(())
}

fn race(seconds: u64) -> Result<()> {
    let status = Command::new(env!("CARGO"))
        .args(["test", "--package", "cellwall-wasi", "--", "race", "--nocapture"])
        .env("CELLWALL_RACE_SECONDS", seconds.to_string())
        .current_dir(root())
        .status()?;
    ensure!(status.success(), "the race test failed");
    Ok(())
}

fn bless() -> Result<()> {
    let status = Command::new(env!("CARGO"))
        .args(["test", "--workspace"])
        .env("BLESS", "1")
        .env("UPDATE_EXPECT", "1")
        .current_dir(root())
        .status()?;
    ensure!(
        status.success(),
        "a test fails for another reason than its golden"
    );
    Ok(())
}

fn bench(args: &[String]) -> Result<()> {
    let status = Command::new(env!("CARGO"))
        .args(["run", "--release", "--features", "peers", "--"])
        .args(args)
        .current_dir(root().join("bench"))
        .status()?;
    ensure!(status.success(), "the benchmark failed");
    Ok(())
}
