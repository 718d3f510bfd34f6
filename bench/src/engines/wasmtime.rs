//! Wasmtime 48.0.8: Cranelift, Cranelift with pooled instances (only for the
//! part `calls`; the code is the same), and Winch.
//!
//! One thread: the crate's feature `parallel-compilation` is not compiled in.

use super::LOAD_ROWS;
use crate::clock::timed;
use crate::engines::scratch::Scratch;
use wasmtime::{Config, Engine, Error, Instance, InstancePre, Module, PoolingAllocationConfig, Strategy};

super::embedded::embedded_engine!(wasmtime);
super::component::component_engine!(wasmtime);
super::threaded::threaded_engine!(wasmtime);

const COMPONENTS: Option<Components> = Some(components);
const THREADS: Option<Threads> = Some(threads);

const VERSION: &str = "48.0.8";

type Ready = InstancePre<super::Cell<wasmtime::Memory>>;

fn ready(linker: Linker, module: Module) -> Result<Ready, Error> {
    linker.instantiate_pre(&module)
}

fn instantiate(ready: &Ready, store: &mut Store) -> Result<Instance, Error> {
    ready.instantiate(store)
}

/// There is one way to compile.
type Way = ();

fn compile((): &Way, engine: &Engine, wasm: &[u8]) -> Result<(u64, Module), Error> {
    let (ns, module) = timed(|| Module::new(engine, wasm));
    Ok((ns, module?))
}

fn threaded_counter(memory: &wasmtime::SharedMemory, at: usize) -> u32 {
    let bytes = &memory.data()[at..at + 4];
    // All threads that write have ended.
    #[expect(unsafe_code, reason = "the bytes of a shared memory are in cells")]
    let bytes = [0, 1, 2, 3].map(|index: usize| unsafe { *bytes[index].get() });
    u32::from_le_bytes(bytes)
}

fn stop() -> Error {
    Error::msg("the guest has exited")
}

/// Nothing is checked: whoever loads has to know that the bytes are good. No cache: the crate's
/// feature `cache` is not compiled in.
#[expect(unsafe_code, reason = "the functions that load are unsafe")]
fn loads(engine: &Engine, wasm: &[u8]) -> Result<[Option<f64>; LOAD_ROWS.len()], Error> {
    let (compile_ns, module) = timed(|| Module::new(engine, wasm));
    let bytes = module?.serialize()?;
    // SAFETY: the bytes are those that this engine has just made.
    let (bytes_ns, module) = timed(|| unsafe { Module::deserialize(engine, &bytes) });
    module?;
    let scratch = Scratch::new()?;
    let file = scratch.file(&bytes)?;
    // SAFETY: as above, and the file is this process's own.
    let (file_ns, module) = timed(|| unsafe { Module::deserialize_file(engine, &file) });
    module?;
    let [compile_ns, bytes_ns, file_ns] = [compile_ns, bytes_ns, file_ns].map(|ns| Some(ns as f64));
    Ok([compile_ns, bytes_ns, file_ns, None])
}

/// The optimizing compiler, instances made on demand: the defaults.
pub(super) fn cranelift() -> Embedded {
    Embedded {
        name: "wasmtime",
        version: VERSION,
        executes: true,
        way: (),
        engine: || wasmtime::Engine::new(Config::new().strategy(Strategy::Cranelift).shared_memory(true)),
    }
}

/// Instances from a pool, which stay resident up to 64 KiB and a page: the way
/// to make many of them fast.
pub(super) fn pooled() -> Embedded {
    Embedded {
        name: "wasmtime-pooled",
        version: VERSION,
        executes: false,
        way: (),
        engine: || {
            let mut pool = PoolingAllocationConfig::default();
            pool.total_core_instances(16)
                .total_memories(16)
                .total_tables(16)
                .linear_memory_keep_resident(68 << 10);
            wasmtime::Engine::new(
                Config::new()
                    .strategy(Strategy::Cranelift)
                    .allocation_strategy(pool),
            )
        },
    }
}

/// The single-pass compiler.
pub(super) fn winch() -> Embedded {
    Embedded {
        name: "winch",
        version: VERSION,
        executes: true,
        way: (),
        engine: || wasmtime::Engine::new(Config::new().strategy(Strategy::Winch).shared_memory(true)),
    }
}
