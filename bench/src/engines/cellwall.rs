//! Cellwall, through its public API and nothing else.

use super::LOAD_ROWS;
use crate::clock::timed;
use crate::engines::scratch::Scratch;
use cellwall::{Cache, CacheConfig, Config, Engine, Error, Instance, InstancePre, Module};

super::embedded::embedded_engine!(cellwall);

type Ready = InstancePre<super::Cell<cellwall::Memory>>;

fn ready(linker: Linker, module: Module) -> Result<Ready, Error> {
    linker.instantiate_pre(&module)
}

fn instantiate(ready: &Ready, store: &mut Store) -> Result<Instance, Error> {
    ready.instantiate(store)
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
    Embedded {
        name: "cellwall",
        version: "of this tree",
        executes: true,
        engine: || {
            let mut config = Config::new();
            config.parallel_compilation(false);
            cellwall::Engine::new(&config)
        },
    }
}
