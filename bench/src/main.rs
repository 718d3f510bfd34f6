//! The command: which programs, engines and parts, and where the tables go.

use anyhow::{Context, Result, bail, ensure};
use cellwall_bench::engines::scratch::Scratch;
use cellwall_bench::engines::{self, Engine};
#[cfg(feature = "cellwall")]
use cellwall_bench::proof;
use cellwall_bench::report::{self, Report};
use cellwall_bench::{calls, components, exec, files, load, process, serve, set, threads};
use lexopt::prelude::*;
use std::path::PathBuf;
use std::process::ExitCode;

const HELP: &str = "\
Measures Cellwall against other WebAssembly engines.

Usage: cargo run --release --features peers -- [OPTIONS] [exec|features|passes|load|verify|calls|components|threads|files|process|serve|all]

  --filter RE       only the programs whose name matches
  --rounds N        rounds per program (default and at least 9, else it is a trial)
  --engines A,B     only these: cellwall wasmtime wasmtime-pooled winch wasmi node native
  --passes A,B      the part `passes` leaves out only these
  --all             also the programs that need vectors
  --program FILE    the part `process` runs this instead of hello world, `load` loads it
                    instead of SQLite
  --json FILE       every sample
  --md FILE         the tables (they are printed in any case)
  --list            print the programs and the engines found

The programs are in the folder CELLWALL_SHARED, or `shared` beside the repository.
The parts `process` and `serve` measure ../target/release/cellwall, or CELLWALL_BIN.
Exit status 1 if a run failed or two engines differ.
";
const ROUNDS: usize = 9;

#[derive(Default)]
struct Options {
    parts: Vec<String>,
    filter: Option<String>,
    rounds: Option<usize>,
    engines: Option<Vec<String>>,
    passes: Option<Vec<String>>,
    all_programs: bool,
    program: Option<PathBuf>,
    json: Option<PathBuf>,
    md: Option<PathBuf>,
    list: bool,
}

fn main() -> ExitCode {
    match options().and_then(|options| run(&options)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn options() -> Result<Options> {
    let mut options = Options::default();
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("filter") => options.filter = Some(parser.value()?.string()?),
            Long("rounds") => options.rounds = Some(parser.value()?.parse()?),
            Long("engines") => {
                let names = parser.value()?.string()?;
                options.engines = Some(names.split(',').map(str::to_string).collect());
            }
            Long("passes") => {
                let names = parser.value()?.string()?;
                options.passes = Some(names.split(',').map(str::to_string).collect());
            }
            Long("all") => options.all_programs = true,
            Long("program") => options.program = Some(parser.value()?.into()),
            Long("json") => options.json = Some(parser.value()?.into()),
            Long("md") => options.md = Some(parser.value()?.into()),
            Long("list") => options.list = true,
            Long("help") | Short('h') => {
                print!("{HELP}");
                std::process::exit(0);
            }
            Value(part) => options.parts.push(part.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    for part in &options.parts {
        let known = [
            "exec",
            "features",
            "passes",
            "load",
            "verify",
            "calls",
            "components",
            "threads",
            "files",
            "process",
            "serve",
            "all",
        ];
        ensure!(
            known.contains(&part.as_str()),
            "no part {part}: {}",
            known.join(", ")
        );
    }
    Ok(options)
}

/// Whether nothing failed.
fn run(options: &Options) -> Result<bool> {
    let found = engines::all();
    let chosen = choose(&found, options.engines.as_deref())?;
    let executing: Vec<&dyn Engine> = chosen
        .iter()
        .copied()
        .filter(|engine| engine.executes())
        .collect();
    let filter = options
        .filter
        .as_deref()
        .map(regex_lite::Regex::new)
        .transpose()?;
    let wanted = |name: &str| filter.as_ref().is_none_or(|filter| filter.is_match(name));
    if options.list {
        for job in set::load(options.all_programs, wanted)? {
            println!("{}", job.name);
        }
        for engine in chosen {
            println!("{}: {}", engine.name(), engine.version());
        }
        return Ok(true);
    }
    let rounds = options.rounds.unwrap_or(ROUNDS).max(1);
    if rounds < ROUNDS {
        eprintln!("bench: {rounds} rounds are a trial, not a measurement");
    }
    let asked = |part: &str| {
        options.parts.is_empty() || options.parts.iter().any(|asked| asked == part || asked == "all")
    };
    #[cfg(feature = "cellwall")]
    let without_passes = engines::without_passes();
    #[cfg(feature = "cellwall")]
    let sets = choose_passes(&without_passes, options.passes.as_deref())?;
    let mut report = Report {
        engines: &chosen,
        rounds,
        exec: None,
        features: None,
        passes: None,
        load: None,
        proof: None,
        calls: None,
        components: None,
        threads: None,
        files: None,
        process: None,
        serve: None,
        failures: Vec::new(),
    };
    if asked("exec") {
        ensure!(!executing.is_empty(), "none of the engines executes programs");
        let jobs = set::load(options.all_programs, wanted)?;
        let rows = exec::measure(&jobs, &executing, rounds, &mut report.failures);
        report.exec = Some((&executing, rows));
    }
    if asked("features") {
        ensure!(!executing.is_empty(), "none of the engines executes programs");
        let scratch = Scratch::new()?;
        let jobs = set::features(scratch.folder(), wanted)?;
        let rows = exec::measure(&jobs, &executing, rounds, &mut report.failures);
        report.features = Some((&executing, rows));
    }
    #[cfg(feature = "cellwall")]
    if asked("passes") {
        let jobs = set::load(options.all_programs, wanted)?;
        let rows = exec::measure(&jobs, &sets, rounds, &mut report.failures);
        report.passes = Some((&sets, rows));
    }
    if asked("load") {
        let program = options.program.as_deref();
        report.load = Some(load::measure(&chosen, program, rounds, &mut report.failures)?);
    }
    #[cfg(feature = "cellwall")]
    if asked("verify") {
        let mut jobs = set::load(options.all_programs, wanted)?;
        for name in ["sqlite3", "jq", "zstd"].into_iter().filter(|name| wanted(name)) {
            let file = set::shared()?.join(format!("programs/{name}/{name}.wasm"));
            let mut job = set::Job::lone(&file)?;
            job.name = name.to_string();
            jobs.push(job);
        }
        report.proof = Some(proof::measure(&jobs, rounds, &mut report.failures));
    }
    if asked("calls") {
        report.calls = Some(calls::measure(&chosen, rounds, &mut report.failures)?);
    }
    if asked("components") {
        report.components = Some(components::measure(&chosen, rounds, &mut report.failures)?);
    }
    if asked("threads") {
        report.threads = Some(threads::measure(&chosen, rounds, &mut report.failures)?);
    }
    if asked("files") {
        report.files = Some(files::measure(rounds)?);
    }
    if asked("process") {
        let program = options.program.as_deref();
        report.process = Some(process::measure(program, rounds, &mut report.failures)?);
    }
    if asked("serve") {
        report.serve = Some(serve::measure(rounds, &mut report.failures)?);
    }
    write(options, &report)?;
    Ok(report.failures.is_empty())
}

/// The engines named, in the order in which they are known.
fn choose<'a>(found: &'a [Box<dyn Engine>], names: Option<&[String]>) -> Result<Vec<&'a dyn Engine>> {
    let Some(names) = names else {
        return Ok(found.iter().map(|engine| &**engine).collect());
    };
    for name in names {
        if !found.iter().any(|engine| engine.name() == name) {
            let known: Vec<&str> = found.iter().map(|engine| engine.name()).collect();
            bail!("no engine {name} here; there are: {}", known.join(", "));
        }
    }
    let named = |engine: &&dyn Engine| names.iter().any(|name| name == engine.name());
    Ok(found.iter().map(|engine| &**engine).filter(named).collect())
}

/// All passes, then those sets that leave one of these out.
#[cfg(feature = "cellwall")]
fn choose_passes<'a>(found: &'a [Box<dyn Engine>], names: Option<&[String]>) -> Result<Vec<&'a dyn Engine>> {
    let Some(names) = names else {
        return choose(found, None);
    };
    let all = std::iter::once(found[0].name().to_string());
    choose(found, Some(&all.chain(names.iter().cloned()).collect::<Vec<_>>()))
}

fn write(options: &Options, report: &Report) -> Result<()> {
    let text = report::markdown(report);
    print!("{text}");
    if let Some(file) = &options.md {
        std::fs::write(file, &text).with_context(|| file.display().to_string())?;
    }
    if let Some(file) = &options.json {
        let text = serde_json::to_string_pretty(&report::json(report))?;
        std::fs::write(file, text).with_context(|| file.display().to_string())?;
    }
    Ok(())
}
