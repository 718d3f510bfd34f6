//! `cellwall run`: a program of WASI 0.1 or 0.2, or one function of a module or component.

use std::ffi::OsString;
use std::io::Write;
use std::time::{Duration, Instant};

use cellwall::{
    Engine, Error, Extern, Func, Instance, Linker, Module, ProfilingStrategy, Store, StoreLimits,
    StoreLimitsBuilder, ThrownException, Trap, Val,
};
use cellwall_wasi::{DirPerms, FilePerms, I32Exit, WasiCtxBuilder};

use crate::compose::{self, Link};
use crate::failure::Failure;
use crate::grants::{self, Need};
use crate::host::Host;
use crate::input::Input;
use crate::net_grants::NetGrants;
use crate::options::{Cpu, DirGrant, EnvGrant, parse_duration, parse_env, parse_size};
use crate::watchdog::{self, TimeLimit};
use crate::{cache, component_run, escape, exception, output, progress, values, wave};

const EXAMPLES: &str = "\
Examples:
  cellwall run hello.wasm
  cellwall run --dir data::/data:ro --env LANG prog.wasm -- -v in.txt
  cellwall run --timeout 2s --max-memory-size 64M prog.wasm < input
  cellwall run --invoke add add.wat 2 3
  cellwall run --invoke 'area(3, 4)' component.wasm
  cellwall run --link docs:math/add=add.wasm app.wasm

A program gets its arguments, the standard streams, clocks and random numbers;
directories and environment variables only as granted here.";

/// Run a program, or call a function
#[derive(Debug, clap::Args)]
#[command(
    after_help = EXAMPLES,
    override_usage = "cellwall run [OPTIONS] FILE [--] [ARGS]..."
)]
pub(crate) struct Args {
    /// Grant a directory, as GUEST if given; `:ro` allows no change
    #[arg(long = "dir", value_name = "HOST[::GUEST][:ro]", value_parser = DirGrant::parse)]
    dirs: Vec<DirGrant>,
    /// Set an environment variable; without a value it is inherited, if it is set here
    #[arg(long = "env", value_name = "K[=V]", value_parser = parse_env)]
    env: Vec<EnvGrant>,
    /// Let the program see all variables of this environment; --env goes before them
    #[arg(long)]
    inherit_env: bool,
    #[command(flatten)]
    pub(super) net: NetGrants,
    /// Call this function and print its results; ARGS are its arguments, if they are not
    /// written here, as `f(1, "x")`
    #[arg(long, value_name = "CALL")]
    invoke: Option<String>,
    /// Give a component this import from another component; may be repeated
    #[arg(long = "link", value_name = "NAME=FILE", value_parser = Link::parse)]
    links: Vec<Link>,
    /// Stop everything after this time: 500ms, 2s, 1.5m, 1h
    #[arg(long, value_name = "D", value_parser = parse_duration)]
    timeout: Option<Duration>,
    /// Let no memory grow beyond N bytes; K, M and G are binary multiples
    #[arg(long, value_name = "N", value_parser = parse_size)]
    max_memory_size: Option<usize>,
    /// What the program sees as its own name (argument 0)
    #[arg(long, value_name = "S")]
    argv0: Option<String>,
    /// Compile anew: neither use nor fill the cache of compiled modules
    #[arg(long)]
    no_cache: bool,
    /// Tell `perf` where functions lie
    #[arg(long, value_name = "FORMAT")]
    profile: Option<Profile>,
    #[command(flatten)]
    cpu: Cpu,
    /// The module, `.wasm`, `.wat` or `.cwall`, and its arguments; `-` is standard input
    #[arg(value_name = "FILE", required = true, trailing_var_arg = true)]
    file_and_args: Vec<OsString>,
}

/// In which format a profiler is told of functions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Profile {
    /// `/tmp/perf-PID.map`: names only; `perf report` reads it by itself
    Perfmap,
    /// `jit-PID.dump` here: with the code; for `perf record -k mono` and `perf inject --jit`
    Jitdump,
}

pub(super) fn run(args: Args) -> Result<u8, Failure> {
    watchdog::exit_on_ctrl_c()?;
    let (file, words) = args.file_and_args.split_first().expect("clap requires one");
    let words = guest_words(words)?;
    let engine = engine(&args)?;
    let limit = args.timeout.map(|limit| start_time_limit(&engine, limit));
    let input = compose::linked(Input::read(file)?, &args.links)?;
    if input.is_component()? {
        return run_component(&args, &engine, &input, &words, limit);
    }
    let module = load(&engine, &input)?;

    let mut linker = Linker::new(&engine);
    cellwall_wasi::add_to_linker(&mut linker, |host: &mut Host| &mut host.wasi)
        .map_err(|e| Failure::load(e, "cannot define WASI".to_string()))?;
    let mut store = Store::new(&engine, host(&args, &input, &words)?);
    store.limiter(|host| &mut host.limits);
    check_imports(&linker, &mut store, &module).map_err(|e| input.refused(e))?;

    tracing::debug!(target: "cellwall", "instantiate");
    let ended = match linker.instantiate(&mut store, &module) {
        Ok(instance) => call(&args, &words, &mut store, &instance),
        Err(error) => Err(Stop::Instantiate(error)),
    };
    let ended = ended.map_err(|stop| match stop {
        Stop::Instantiate(error) => Stop::Instantiate(exception::describe(error, &mut store)),
        Stop::Call(error) => Stop::Call(exception::describe(error, &mut store)),
        stop => stop,
    });
    let ended = finish(ended, &args, &input, limit);
    log_end(&ended);
    ended
}

/// A component: it is run as a program, or one of its functions is called, with values in WAVE
/// syntax.
fn run_component(
    args: &Args,
    engine: &Engine,
    input: &Input,
    words: &[String],
    limit: Option<TimeLimit>,
) -> Result<u8, Failure> {
    let explain = |error: Error| {
        let is_late = limit.as_ref().is_some_and(TimeLimit::has_expired);
        error.context(match (&args.timeout, &args.invoke) {
            (Some(timeout), _) if is_late => timeout_message(*timeout),
            (_, Some(call)) => format!("failed to invoke `{call}` of `{}`", input.name()),
            (_, None) => format!("failed to run `{}`", input.name()),
        })
    };
    let invoke = args.invoke.as_deref();
    component_run::run(engine, input, invoke, words, host(args, input, words)?, explain)
}

fn limits(args: &Args) -> StoreLimits {
    let limits = StoreLimitsBuilder::new();
    match args.max_memory_size {
        Some(bytes) => limits.memory_size(bytes).build(),
        None => limits.build(),
    }
}

fn log_end(ended: &Result<u8, Failure>) {
    match ended {
        Ok(status) => tracing::info!(target: "cellwall", status, "exit"),
        Err(Failure::Trap(error)) => {
            let cause = error.root_cause().to_string();
            tracing::info!(target: "cellwall", cause = %escape::name(&cause), "trap");
        }
        // It is about to be printed in full.
        Err(_) => {}
    }
}

/// An engine with the cache that the user has, unless it is not wanted.
fn engine(args: &Args) -> Result<Engine, Failure> {
    let mut config = args.cpu.config();
    if !args.no_cache {
        config.cache(cache::open_if_possible());
    }
    config.profiler(match args.profile {
        None => ProfilingStrategy::None,
        Some(Profile::Perfmap) => ProfilingStrategy::PerfMap,
        Some(Profile::Jitdump) => ProfilingStrategy::JitDump,
    });
    Engine::new(&config).map_err(Failure::Load)
}

/// The module, compiled here, before or already in the file.
fn load(engine: &Engine, input: &Input) -> Result<Module, Failure> {
    let code = input.code()?;
    let what = format!("compiling {}", input.name());
    let begin = Instant::now();
    let module = progress::during(&what, || match input.is_compiled() {
        true => Module::deserialize(engine, &code),
        false => Module::from_binary(engine, &code),
    });
    if let Some(cache) = engine.config().get_cache() {
        let (hits, misses) = (cache.cache_hits(), cache.cache_misses());
        tracing::debug!(target: "cellwall", hits, misses, "cache");
    }
    let is_loaded = module.is_ok();
    tracing::debug!(target: "cellwall", time = ?begin.elapsed(), is_loaded, "compile and verify");
    module.map_err(|e| input.refused(e))
}

/// Why there is no exit status yet.
enum Stop {
    /// It could not be instantiated, or its start function failed.
    Instantiate(Error),
    /// A call ended with this.
    Call(Error),
    /// There is no function to call.
    NothingToRun(Error),
    /// The command line does not fit the function, or nobody reads the results.
    Command(Failure),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Stop {
        Stop::Command(failure)
    }
}

/// Calls what the user asked for; prints results.
fn call(args: &Args, words: &[String], store: &mut Store<Host>, instance: &Instance) -> Result<(), Stop> {
    if let Some(initialize) = instance.get_func(&mut *store, "_initialize") {
        initialize.call(&mut *store, &[], &mut []).map_err(Stop::Call)?;
    }
    let Some(name) = &args.invoke else {
        return match instance.get_func(&mut *store, "_start") {
            Some(start) => start.call(&mut *store, &[], &mut []).map_err(Stop::Call),
            None if instance.get_func(&mut *store, "_initialize").is_some() => Ok(()),
            None => Err(Stop::NothingToRun(no_function(
                "it has no `_start`",
                store,
                instance,
            ))),
        };
    };
    let Some(func) = instance.get_func(&mut *store, name) else {
        if wave::split(name).0.is_empty() {
            return Err(component_run::no_name(name).into());
        }
        let problem = format!("it exports no function `{name}`");
        return Err(Stop::NothingToRun(no_function(&problem, store, instance)));
    };
    for result in invoke(name, &func, words, store)? {
        output::print(&format!("{}\n", values::show(&result)))?;
    }
    Ok(())
}

fn invoke(name: &str, func: &Func, words: &[String], store: &mut Store<Host>) -> Result<Vec<Val>, Stop> {
    let ty = func.ty(&*store);
    let params = values::parse_all(words, &ty).map_err(|problem| {
        let signature = values::show_type(&ty);
        Failure::usage(format!(
            "cannot call `{name}`: {problem}; its type is {signature}"
        ))
    })?;
    let mut results = vec![Val::I32(0); ty.results().len()];
    func.call(&mut *store, &params, &mut results)
        .map_err(Stop::Call)?;
    Ok(results)
}

/// Turns the end of the guest into the end of the command.
fn finish(
    ended: Result<(), Stop>,
    args: &Args,
    input: &Input,
    limit: Option<TimeLimit>,
) -> Result<u8, Failure> {
    let (error, is_running) = match ended {
        Ok(()) => return Ok(0),
        Err(Stop::Command(failure)) => return Err(failure),
        Err(Stop::NothingToRun(error)) => {
            return Err(Failure::Load(
                error.context(format!("cannot run `{}`", input.name())),
            ));
        }
        Err(Stop::Call(error)) => (error, true),
        Err(Stop::Instantiate(error)) => {
            let ran = error.is::<Trap>() || error.is::<I32Exit>() || error.is::<ThrownException>();
            (error, ran)
        }
    };
    if let Some(I32Exit(status)) = error.downcast_ref::<I32Exit>() {
        // An exit status has eight bits; the rest is lost as in every program.
        return Ok(*status as u8);
    }
    if !is_running {
        return Err(input.refused(error));
    }
    let is_late = limit.is_some_and(|limit| limit.has_expired());
    let message = match (&args.timeout, &args.invoke) {
        (Some(timeout), _) if is_late && error.downcast_ref::<Trap>() == Some(&Trap::Interrupt) => {
            timeout_message(*timeout)
        }
        (_, Some(name)) => format!("failed to invoke `{name}` of `{}`", input.name()),
        (_, None) => format!("failed to run main module `{}`", input.name()),
    };
    Err(Failure::Trap(error.context(message)))
}

fn start_time_limit(engine: &Engine, limit: Duration) -> TimeLimit {
    let engine = engine.clone();
    TimeLimit::start(limit, timeout_message(limit), move || engine.interrupt())
}

fn timeout_message(limit: Duration) -> String {
    format!("stopped after {limit:?}, as --timeout asks")
}

/// The guest's part of the command line: without the `--` after the file.
fn guest_words(words: &[OsString]) -> Result<Vec<String>, Failure> {
    let words = match words.split_first() {
        Some((first, rest)) if first == "--" => rest,
        _ => words,
    };
    let text = words.iter().map(|word| word.to_str().map(str::to_string));
    let text: Option<Vec<String>> = text.collect();
    text.ok_or_else(|| Failure::usage("an argument of the program is not UTF-8".to_string()))
}

fn host(args: &Args, input: &Input, words: &[String]) -> Result<Host, Failure> {
    let mut wasi = WasiCtxBuilder::new();
    wasi.inherit_stdio();
    wasi.arg(args.argv0.clone().unwrap_or_else(|| input.file_name()));
    // The words of --invoke are the function's, not the program's.
    for word in words.iter().filter(|_| args.invoke.is_none()) {
        wasi.arg(word);
    }
    if args.inherit_env {
        tracing::info!(target: "cellwall", "grant all variables");
        inherit_env(args, &mut wasi);
    }
    for (name, value) in &args.env {
        // Values are often secrets; the name says enough.
        let shown = escape::name(name);
        if let Some(value) = value {
            tracing::info!(target: "cellwall", name = %shown, "grant a variable");
            wasi.env(name, value);
        } else {
            tracing::info!(target: "cellwall", name = %shown, "grant no variable: it is not set here");
        }
    }
    for DirGrant {
        host,
        guest,
        is_read_only,
    } in &args.dirs
    {
        let (dir, file) = match is_read_only {
            true => (DirPerms::READ, FilePerms::READ),
            false => (DirPerms::all(), FilePerms::all()),
        };
        let host_name = host.to_string_lossy();
        tracing::info!(
            target: "cellwall",
            host = %escape::name(&host_name),
            guest = %escape::name(guest),
            is_read_only,
            "grant a directory"
        );
        wasi.preopened_dir(host, guest, dir, file)
            .map_err(|e| Failure::load(e, format!("cannot grant the directory `{}`", host.display())))?;
    }
    args.net.apply(&mut wasi)?;
    Ok(Host::new(wasi.build(), limits(args)))
}

/// Grants every variable of this environment that is text, as names and values are in WASI 0.2. The rest is left
/// out, with a warning unless --env gives another value.
fn inherit_env(args: &Args, wasi: &mut WasiCtxBuilder) {
    for (name, value) in std::env::vars_os() {
        if let (Some(name), Some(value)) = (name.to_str(), value.to_str()) {
            wasi.env(name, value);
            continue;
        }
        let name = name.to_string_lossy();
        if !args.env.iter().any(|(granted, _)| *granted == *name) {
            let name = escape::name(&name);
            let warning = format!("Warning: the variable `{name}` is left out: it is not in UTF-8\n");
            // Where nobody reads it there is nobody to warn.
            let _ = std::io::stderr().write_all(warning.as_bytes());
        }
    }
}

/// Every import that nobody provides, and what to do about it.
fn check_imports(linker: &Linker<Host>, store: &mut Store<Host>, module: &Module) -> Result<(), Error> {
    let mut missing = Vec::new();
    for import in module.imports() {
        if linker.get_by_import(&mut *store, &import).is_none() {
            missing.push((import.module().to_string(), import.name().to_string()));
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    let mut text = String::from("unknown import: nothing provides");
    for (module, name) in &missing {
        let (module, name) = (escape::name(module), escape::name(name));
        text.push_str(&format!("\n  `{module}::{name}`"));
    }
    let mut advice: Vec<&str> = Vec::new();
    for (module, name) in &missing {
        match grants::of(module, name) {
            Need::Missing(hint) if !advice.contains(&hint) => advice.push(hint),
            _ => {}
        }
    }
    for hint in advice {
        text.push_str(&format!("\nhelp: {hint}"));
    }
    Err(Error::msg(text))
}

/// The error of a module without the function to call; names those it has.
fn no_function(problem: &str, store: &mut Store<Host>, instance: &Instance) -> Error {
    let exports = instance.exports(&mut *store);
    let functions = exports.filter_map(|export| {
        let name = escape::name(export.name()).into_owned();
        matches!(export.into_extern(), Extern::Func(_)).then_some(name)
    });
    let mut names: Vec<String> = functions.collect();
    names.sort();
    let help = match names.is_empty() {
        true => "it exports no function at all".to_string(),
        false => format!("choose one with --invoke: {}", names.join(", ")),
    };
    Error::msg(format!("{problem}\nhelp: {help}"))
}
