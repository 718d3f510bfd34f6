//! The engine: options, the target of compilation, and the handle to stop guest code.

use crate::component::Component;
use crate::{Config, Error, Module, Result};
use cellwall_abi::{Target, pack};
use cellwall_base::limits::PAGE_BYTES;
use cellwall_runtime as runtime;
use std::fmt;
use std::sync::Arc;

/// What modules are compiled for and stores live in. Cheap to clone; clones are the same engine.
///
/// Several engines may exist in a process; what belongs to one cannot be used with another.
///
/// ```
/// use cellwall::{Engine, Module};
///
/// let engine = Engine::default();
/// let module = Module::new(&engine, "(module)")?;
/// assert!(Engine::same(&engine, module.engine()));
/// assert!(!Engine::same(&engine, &Engine::default()));
/// # cellwall::Ok(())
/// ```
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

struct Inner {
    config: Config,
    runtime: runtime::Engine,
}

impl Engine {
    /// Makes an engine with these options.
    ///
    /// # Errors
    /// If the processor or the operating system cannot do what Cellwall needs (x86-64 with
    /// SSE4.1), an option makes no sense, or the file for a profiler cannot be written.
    pub fn new(config: &Config) -> Result<Self> {
        let mut features = runtime::host_features();
        for unused in &config.unused_cpu_features {
            unused.clear(&mut features);
        }
        let whole_pages = |bytes: u64, max: u64| bytes.min(max).next_multiple_of(PAGE_BYTES);
        let target = Target {
            memory_reservation_bytes: whole_pages(config.memory_reservation, Target::FULL_RESERVATION_BYTES),
            memory_guard_bytes: whole_pages(config.memory_guard_size.max(1), Target::GUARD_BYTES_MAX),
            relaxed_simd_deterministic: config.relaxed_simd_deterministic,
            canonical_nans: config.nan_canonicalization,
            ..Target::new(features)
        };
        if config.max_wasm_stack == 0 {
            crate::bail!("`max_wasm_stack` cannot be 0");
        }
        crate::profile::prepare(config.profiler)?;
        let runtime = runtime::Engine::new(runtime::EngineConfig {
            target,
            memory64_reservation_bytes: config.memory64_reservation,
            stack_bytes: config.max_wasm_stack,
            async_calls_max: config.async_calls_max,
            backtrace: config.wasm_backtrace,
        });
        let runtime =
            runtime.map_err(|error| Error::new(error).context("this machine cannot run Cellwall"))?;
        Ok(Self {
            inner: Arc::new(Inner {
                config: config.clone(),
                runtime,
            }),
        })
    }

    /// The options that it was made with.
    pub fn config(&self) -> &Config {
        &self.inner.config
    }

    /// Whether both are the same engine.
    pub fn same(a: &Self, b: &Self) -> bool {
        Arc::ptr_eq(&a.inner, &b.inner)
    }

    /// Stops every call of guest code that is now running in this engine, on whatever thread, with
    /// [`Trap::Interrupt`](crate::Trap::Interrupt). Returns at once; guest code stops within
    /// milliseconds, wherever it is; a host function first returns, and a guest that waits for a future
    /// ends when it would go on. Calls that start later run.
    ///
    /// An instance that was stopped in the middle of its code is in an unknown state: calling it
    /// again is an error.
    ///
    /// ```
    /// use cellwall::{Engine, Instance, Module, Store, Trap};
    ///
    /// let engine = Engine::default();
    /// let module = Module::new(&engine, r#"(module (func (export "spin") (loop br 0)))"#)?;
    /// let mut store = Store::new(&engine, ());
    /// let instance = Instance::new(&mut store, &module, &[])?;
    /// let spin = instance.get_typed_func::<(), ()>(&mut store, "spin")?;
    ///
    /// let (done, wait) = std::sync::mpsc::channel();
    /// let stopper = std::thread::spawn(move || {
    ///     // Until the call has returned: it may not have started yet.
    ///     while wait.recv_timeout(std::time::Duration::from_millis(10)).is_err() {
    ///         engine.interrupt();
    ///     }
    /// });
    /// let error = spin.call(&mut store, ()).unwrap_err();
    /// assert_eq!(error.downcast_ref::<Trap>(), Some(&Trap::Interrupt));
    /// done.send(()).unwrap();
    /// stopper.join().unwrap();
    /// # cellwall::Ok(())
    /// ```
    pub fn interrupt(&self) {
        self.inner.runtime.interrupt();
    }

    /// Compiles a module, binary or text, to bytes that [`Module::deserialize`] loads without
    /// compiling: in this engine, or in another with the same options on a processor with the same
    /// features.
    ///
    /// # Errors
    /// As [`Module::new`].
    pub fn precompile_module(&self, bytes: &[u8]) -> Result<Vec<u8>> {
        Module::compile(self, &crate::module::binary(bytes)?)?.serialize()
    }

    /// Compiles a component, binary or text, to bytes that [`Component::deserialize`] loads without
    /// compiling, as [`precompile_module`](Self::precompile_module) does with a module.
    ///
    /// # Errors
    /// As [`Component::new`].
    pub fn precompile_component(&self, bytes: &[u8]) -> Result<Vec<u8>> {
        Component::compile(self, &crate::module::binary(bytes)?)?.serialize()
    }

    /// What these bytes are, if they begin as something that was compiled before. Whether the rest
    /// is sound is for [`Module::deserialize`] and [`Component::deserialize`] to say.
    pub fn detect_precompiled(bytes: &[u8]) -> Option<Precompiled> {
        match bytes {
            bytes if pack::is_packed(bytes) => Some(Precompiled::Module),
            bytes if crate::component::is_serialized(bytes) => Some(Precompiled::Component),
            _ => None,
        }
    }

    pub(crate) fn runtime(&self) -> &runtime::Engine {
        &self.inner.runtime
    }

    pub(crate) fn target(&self) -> &Target {
        self.inner.runtime.target()
    }
}

/// What [`Engine::detect_precompiled`] finds.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Precompiled {
    /// A compiled module, for [`Module::deserialize`].
    Module,
    /// A compiled component, for [`Component::deserialize`].
    Component,
}

impl Default for Engine {
    /// An engine with the default options.
    ///
    /// # Panics
    /// If this machine cannot run Cellwall; see [`Engine::new`].
    fn default() -> Self {
        Self::new(&Config::default()).expect("the default options work on a supported machine")
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").finish_non_exhaustive()
    }
}
