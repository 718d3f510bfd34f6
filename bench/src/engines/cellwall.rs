//! Cellwall, through its public API; with passes of its optimizer left out, by the compiler's own
//! door, and from there on like an artifact of a stranger.

use super::LOAD_ROWS;
use crate::clock::timed;
use crate::engines::scratch::Scratch;
use anyhow::{Result as Anyhow, anyhow};
use cellwall::{Cache, CacheConfig, Config, Engine, Error, Instance, InstancePre, Module};
use cellwall_abi::pack;
use cellwall_compile::{self as compiler, Passes, Unit};

super::embedded::embedded_engine!(cellwall);
super::component::component_engine!(cellwall);
super::threaded::threaded_engine!(cellwall);

const COMPONENTS: Option<Components> = Some(components);
const THREADS: Option<Threads> = Some(threads);

type Ready = InstancePre<super::Cell<cellwall::Memory>>;

fn ready(linker: Linker, module: Module) -> Result<Ready, Error> {
    linker.instantiate_pre(&module)
}

fn instantiate(ready: &Ready, store: &mut Store) -> Result<Instance, Error> {
    ready.instantiate(store)
}

/// The passes that run, if not all do.
type Way = Option<Passes>;

fn compile(way: &Way, engine: &Engine, wasm: &[u8]) -> Result<(u64, Module), Error> {
    let Some(passes) = *way else {
        let (ns, module) = timed(|| Module::new(engine, wasm));
        return Ok((ns, module?));
    };
    let honest = engine.precompile_module(wasm)?;
    let (ns, module) = timed(|| {
        let packed = artifact(wasm, &honest, passes).map_err(|error| Error::msg(format!("{error:#}")))?;
        Module::deserialize(engine, packed)
    });
    Ok((ns, module?))
}

/// What these passes make of a module; `honest` is what all of them make, for the same engine.
fn artifact(wasm: &[u8], honest: &[u8], passes: Passes) -> Anyhow<Vec<u8>> {
    let (honest, origin) = pack::unpack(honest).map_err(|invalid| anyhow!("{invalid:?}"))?;
    let module = cellwall_wasm::decode(wasm).map_err(|invalid| anyhow!("{invalid}"))?;
    let shape = cellwall_link::shape(&module);
    let unit = Unit::new(&module, &shape, &honest.target).with_passes(passes);
    let mut scratch = compiler::Scratch::default();
    let blobs: Result<Vec<_>, _> = module
        .defined_funcs()
        .map(|func| compiler::function(&unit, func, &mut scratch))
        .collect();
    let artifact = cellwall_link::link(&module, shape.clone(), blobs?, &honest.target)?;
    Ok(pack::pack(&artifact, &origin))
}

fn threaded_counter(memory: &cellwall::SharedMemory, at: usize) -> u32 {
    let mut bytes = [0; 4];
    memory.read(at, &mut bytes).expect("it is in the first page");
    u32::from_le_bytes(bytes)
}

fn stop() -> Error {
    Error::msg("the guest has exited")
}

fn loads(engine: &Engine, wasm: &[u8]) -> Result<[Option<f64>; LOAD_ROWS.len()], Error> {
    let scratch = Scratch::new()?;
    let (compile_ns, module) = timed(|| Module::new(engine, wasm));
    let bytes = module?.serialize()?;
    let (bytes_ns, module) = timed(|| Module::deserialize(engine, &bytes));
    module?;
    let file = scratch.file(&bytes)?;
    let (file_ns, module) = timed(|| Module::deserialize_file(engine, &file));
    module?;

    let mut options = CacheConfig::new();
    let cache = Cache::new(options.with_directory(scratch.folder()).clone())?;
    let mut config = engine.config().clone();
    let cached = Engine::new(config.cache(Some(cache.clone())))?;
    Module::new(&cached, wasm)?;
    let (cache_ns, module) = timed(|| Module::new(&cached, wasm));
    module?;
    assert_eq!((cache.cache_misses(), cache.cache_hits()), (1, 1));
    Ok([compile_ns, bytes_ns, file_ns, cache_ns].map(|ns| Some(ns as f64)))
}

/// The optimizing tier on one thread, everything else by default.
pub(super) fn engine() -> Embedded {
    configured("cellwall", None)
}

/// The same with all passes, then without each of them, by the names of the passes.
pub(super) fn without_passes() -> Vec<Embedded> {
    let without = Passes::ROWS
        .iter()
        .map(|&(name, pass)| configured(name, Some(Passes::ALL.without(pass))));
    std::iter::once(configured("all", Some(Passes::ALL)))
        .chain(without)
        .collect()
}

fn configured(name: &'static str, way: Way) -> Embedded {
    Embedded {
        name,
        version: "of this tree",
        executes: true,
        way,
        engine: || {
            let mut config = Config::new();
            config.parallel_compilation(false);
            cellwall::Engine::new(&config)
        },
    }
}
