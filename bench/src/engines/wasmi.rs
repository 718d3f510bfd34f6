//! wasmi 2.0: an interpreter.
//!
//! Differs from its defaults: functions are translated at compile time, so that
//! the phases are comparable, and the stack is as deep as recursive programs of
//! the set need.

use wasmi::{CompilationMode, Config, Error, Instance, Module};

super::embedded::embedded_engine!(wasmi);

const COMPONENTS: Option<Components> = None;
const THREADS: Option<Threads> = None;

/// wasmi has no instance prepared in advance: the imports are resolved anew.
type Ready = (Linker, Module);

fn ready(linker: Linker, module: Module) -> Result<Ready, Error> {
    Ok((linker, module))
}

fn instantiate((linker, module): &Ready, store: &mut Store) -> Result<Instance, Error> {
    linker.instantiate_and_start(store, module)
}

/// There is one way to compile.
type Way = ();

fn compile((): &Way, engine: &wasmi::Engine, wasm: &[u8]) -> Result<(u64, Module), Error> {
    let (ns, module) = crate::clock::timed(|| Module::new(engine, wasm));
    Ok((ns, module?))
}

fn stop() -> Error {
    Error::new("the guest has exited")
}

/// What it translates to cannot be kept.
fn loads(engine: &wasmi::Engine, wasm: &[u8]) -> Result<[Option<f64>; super::LOAD_ROWS.len()], Error> {
    let (compile_ns, module) = crate::clock::timed(|| Module::new(engine, wasm));
    module?;
    Ok([Some(compile_ns as f64), None, None, None])
}

/// The interpreter.
pub(super) fn engine() -> Embedded {
    Embedded {
        name: "wasmi",
        version: "2.0.0",
        executes: true,
        way: (),
        engine: || {
            let mut config = Config::default();
            config
                .compilation_mode(CompilationMode::Eager)
                .set_max_recursion_depth(1_000_000)
                .set_max_stack_height(64 << 20);
            Ok(wasmi::Engine::new(&config))
        },
    }
}
