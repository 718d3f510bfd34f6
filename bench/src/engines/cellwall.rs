//! Cellwall, through its public API and nothing else.

use cellwall::{Config, Error, Instance, InstancePre, Module};

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
