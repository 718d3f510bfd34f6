//! `cellwall serve`: a component that answers HTTP requests, each with an instance of its own.

use std::ffi::OsString;
use std::net::{SocketAddr, ToSocketAddrs};
use std::time::Duration;

use cellwall::component::{Component, Linker};
use cellwall::{Config, Engine, StoreLimitsBuilder};
use cellwall_wasi::http::HandlerPre;
use cellwall_wasi::{DirPerms, FilePerms, WasiCtxBuilder};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::failure::Failure;
use crate::host::Host;
use crate::input::Input;
use crate::net_grants::NetGrants;
use crate::options::{Cpu, DirGrant, EnvGrant, parse_duration, parse_env, parse_size};
use crate::serve::{Guests, Options, serve};
use crate::{cache, progress};

const EXAMPLES: &str = "\
Examples:
  cellwall serve handler.wasm
  cellwall serve --addr 0.0.0.0:80 --timeout 5s --max-memory-size 64M handler.wasm
  cellwall serve --http api.example.com --env TOKEN handler.wasm
  cellwall serve --metrics 127.0.0.1:9090 handler.wasm

Each request gets a fresh instance, which is gone with it. SIGTERM and Ctrl-C let
the requests under way finish, then end the server; a second one ends it at once.";

/// Answer HTTP requests with a component
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Where to listen; port 0 is any free port, which is said on standard error
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:8080", value_parser = parse_addr)]
    addr: Addr,
    /// How many requests have a guest at a time; others wait for as long as --timeout
    #[arg(long, value_name = "N", default_value = "200", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    max_requests_in_flight: u32,
    /// Stop a guest that takes longer for its response, or for the next part of it
    #[arg(long, value_name = "D", default_value = "30s", value_parser = parse_duration)]
    timeout: Duration,
    /// How many connections there are at a time, of which the idlest makes room for a new one; without, as many as
    /// the limit of open files suggests, at most 10000
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    max_connections: Option<u32>,
    /// Close a connection that has no request for so long
    #[arg(long, value_name = "D", default_value = "30s", value_parser = parse_duration)]
    idle_timeout: Duration,
    /// Stop a guest whose client takes and sends nothing for so long, or too little
    #[arg(long, value_name = "D", default_value = "60s", value_parser = parse_duration)]
    client_timeout: Duration,
    /// Let no memory of a guest grow beyond N bytes; K, M and G are binary multiples
    #[arg(long, value_name = "N", default_value = "256M", value_parser = parse_size)]
    max_memory_size: usize,
    /// Serve metrics for Prometheus there, under every path
    #[arg(long, value_name = "ADDR:PORT", value_parser = parse_addr)]
    metrics: Option<Addr>,
    /// Write no line per request on standard error
    #[arg(long)]
    no_access_log: bool,
    /// Grant a directory, as GUEST if given; `:ro` allows no change
    #[arg(long = "dir", value_name = "HOST[::GUEST][:ro]", value_parser = DirGrant::parse)]
    dirs: Vec<DirGrant>,
    /// Set an environment variable; without a value it is inherited, if it is set here
    #[arg(long = "env", value_name = "K[=V]", value_parser = parse_env)]
    env: Vec<EnvGrant>,
    #[command(flatten)]
    pub(super) net: NetGrants,
    /// Compile anew: neither use nor fill the cache of compiled modules
    #[arg(long)]
    no_cache: bool,
    #[command(flatten)]
    cpu: Cpu,
    /// The component, `.wasm` or `.wat`; `-` is standard input
    #[arg(value_name = "FILE")]
    file: OsString,
}

pub(super) fn run(args: Args) -> Result<u8, Failure> {
    let engine = engine(&args)?;
    let guests = guests(&engine, &args)?;
    let options = Options {
        in_flight_max: args.max_requests_in_flight as usize,
        connections_max: args
            .max_connections
            .map_or_else(connections_max, |max| max as usize),
        timeout: args.timeout,
        idle_timeout: args.idle_timeout,
        client_timeout: args.client_timeout,
        has_access_log: !args.no_access_log,
    };
    let no_threads = |e| Failure::load(e, "cannot start threads".to_string());
    // For what is seldom: clients that come, clocks, signals. What they want is done by threads of the server.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(no_threads)?;
    // A guest that is still there at the end was told to stop, and goes with the process.
    runtime.block_on(async {
        let listener = listen(&args.addr).await?;
        let metrics = match &args.metrics {
            Some(addr) => Some(listen(addr).await?),
            None => None,
        };
        let at = |listener: &TcpListener| listener.local_addr().map_err(|e| cannot_listen(&args.addr, e));
        // From the first line on, which whoever started it waits for, a signal ends it as it should.
        let stop = stop_signal()?;
        eprintln!("Serving HTTP on http://{}/", at(&listener)?);
        if let Some(metrics) = &metrics {
            eprintln!("Serving metrics on http://{}/metrics", at(metrics)?);
        }
        let served = serve(listener, metrics, guests, options, stop).await;
        served.map(|()| 0).map_err(no_threads)
    })
}

/// So many connections if nobody says how many: half of the files that may be open, of which guests need some.
fn connections_max() -> usize {
    const MAX: u64 = 10_000;
    let mut limit = getrlimit(Resource::Nofile);
    // What is reserved for programs that want it.
    let all = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if setrlimit(Resource::Nofile, all).is_ok() {
        limit.current = limit.maximum;
    }
    let half = limit.current.unwrap_or(2 * MAX) / 2;
    usize::try_from(half.clamp(1, MAX)).expect("ten thousand is small")
}

/// Where to listen, and the addresses that this is.
#[derive(Debug, Clone)]
struct Addr {
    text: String,
    addrs: Vec<SocketAddr>,
}

/// An address, or the name of one, and a port.
fn parse_addr(text: &str) -> Result<Addr, String> {
    let addrs = text.to_socket_addrs().map_err(|error| match error.kind() {
        std::io::ErrorKind::InvalidInput => {
            "it should be an address and a port, such as 127.0.0.1:8080".to_owned()
        }
        _ => error.to_string(),
    })?;
    Ok(Addr {
        text: text.to_owned(),
        addrs: addrs.collect(),
    })
}

async fn listen(addr: &Addr) -> Result<TcpListener, Failure> {
    TcpListener::bind(&addr.addrs[..])
        .await
        .map_err(|e| cannot_listen(addr, e))
}

fn cannot_listen(addr: &Addr, error: std::io::Error) -> Failure {
    Failure::load(error, format!("cannot listen on {}", addr.text))
}

/// Ready at the first SIGTERM or SIGINT; the second one ends the process.
fn stop_signal() -> Result<impl Future<Output = ()>, Failure> {
    let handle = |kind| signal(kind).map_err(|e| Failure::load(e, "cannot handle signals".to_string()));
    let mut terminate = handle(SignalKind::terminate())?;
    let mut interrupt = handle(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => std::process::exit(128 + 15),
                _ = interrupt.recv() => std::process::exit(128 + 2),
            }
        });
    })
}

fn engine(args: &Args) -> Result<Engine, Failure> {
    let mut config: Config = args.cpu.config();
    if !args.no_cache {
        config.cache(cache::open_if_possible());
    }
    Engine::new(&config).map_err(Failure::Load)
}

/// Compiles and links the component, and opens what is granted.
fn guests(engine: &Engine, args: &Args) -> Result<Guests, Failure> {
    let input = Input::read(&args.file)?;
    let code = input.wasm()?;
    let what = format!("compiling {}", input.name());
    let component = progress::during(&what, || Component::new(engine, &code));
    let component = component.map_err(|e| input.refused(e))?;
    let mut linker = Linker::<Host>::new(engine);
    cellwall_wasi::p2::add_to_linker_async(&mut linker)
        .and_then(|()| cellwall_wasi::http::add_to_linker(&mut linker))
        .map_err(|e| Failure::load(e, "cannot define WASI".to_string()))?;
    let pre = linker.instantiate_pre(&component).and_then(HandlerPre::new);
    let pre = pre.map_err(|e| input.refused(e))?;
    Ok(Guests::new(engine, pre, maker(args)?))
}

/// Makes what one guest is granted.
fn maker(args: &Args) -> Result<impl Fn() -> Host + Send + Sync + use<>, Failure> {
    let mut grants = WasiCtxBuilder::new();
    grants.inherit_stdout().inherit_stderr();
    for (name, value) in &args.env {
        if let Some(value) = value {
            grants.env(name, value);
        }
    }
    args.net.apply(&mut grants)?;
    for grant in &args.dirs {
        let (dir, file) = match grant.is_read_only {
            true => (DirPerms::READ, FilePerms::READ),
            false => (DirPerms::all(), FilePerms::all()),
        };
        grants
            .preopened_dir(&grant.host, &grant.guest, dir, file)
            .map_err(Failure::Load)?;
    }
    let limits = StoreLimitsBuilder::new()
        .memory_size(args.max_memory_size)
        .build();
    Ok(move || Host::new(grants.clone().build(), limits.clone()))
}
