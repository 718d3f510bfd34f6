//! Options of an engine.

use crate::{Cache, CpuFeature, ProfilingStrategy};
use cellwall_abi::Target;

/// Options of an [`Engine`](crate::Engine). The defaults are right for almost everyone.
///
/// ```
/// use cellwall::{Config, Engine};
///
/// let mut config = Config::new();
/// config.max_wasm_stack(256 << 10);
/// let engine = Engine::new(&config)?;
/// # cellwall::Ok(())
/// ```
#[derive(Clone, Debug)]
pub struct Config {
    pub(crate) max_wasm_stack: usize,
    pub(crate) async_calls_max: usize,
    pub(crate) memory_reservation: u64,
    pub(crate) memory64_reservation: u64,
    pub(crate) memory_guard_size: u64,
    pub(crate) wasm_backtrace: bool,
    pub(crate) wasm_multi_memory: bool,
    pub(crate) relaxed_simd_deterministic: bool,
    pub(crate) nan_canonicalization: bool,
    pub(crate) wasm_memory64: bool,
    pub(crate) wasm_custom_page_sizes: bool,
    pub(crate) wasm_threads: bool,
    pub(crate) wasm_component_model_implements: bool,
    pub(crate) parallel_compilation: bool,
    pub(crate) cache: Option<Cache>,
    pub(crate) profiler: ProfilingStrategy,
    pub(crate) unused_cpu_features: Vec<CpuFeature>,
}

impl Default for Config {
    fn default() -> Self {
        let target = Target::new(Default::default());
        Self {
            max_wasm_stack: 1 << 20,
            async_calls_max: 20_000,
            memory_reservation: target.memory_reservation_bytes,
            memory64_reservation: 16 << 30,
            memory_guard_size: target.memory_guard_bytes,
            wasm_backtrace: true,
            wasm_multi_memory: true,
            relaxed_simd_deterministic: false,
            nan_canonicalization: false,
            wasm_memory64: true,
            wasm_custom_page_sizes: true,
            wasm_threads: true,
            wasm_component_model_implements: true,
            parallel_compilation: true,
            cache: None,
            profiler: ProfilingStrategy::None,
            unused_cpu_features: Vec::new(),
        }
    }
}

impl Config {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Bytes of stack that guest code may use per call from the host; 1 MiB by default. Guest code
    /// runs on a stack of its own: the stack of the calling thread does not matter, and host
    /// functions do not use this one.
    pub fn max_wasm_stack(&mut self, bytes: usize) -> &mut Self {
        self.max_wasm_stack = bytes;
        self
    }

    /// Does nothing: asynchronous calls and host functions are always there. For those who come from
    /// Wasmtime.
    pub fn async_support(&mut self, enable: bool) -> &mut Self {
        let _ = enable;
        self
    }

    /// How many asynchronous calls (`call_async`, `instantiate_async`) can be under way in the engine at a
    /// time; 20,000 by default. One more is an error. Each has a stack, of which it pays for the pages that
    /// it has touched; the operating system counts two mappings for it (Linux allows 65,530 of them
    /// in a process, unless `vm.max_map_count` says otherwise). A call inside of another one uses
    /// the stack of that one, and does not count.
    pub fn async_calls_max(&mut self, calls: usize) -> &mut Self {
        self.async_calls_max = calls;
        self
    }

    /// Bytes of address space reserved for each memory; 4 GiB by default, which needs no bounds
    /// checks in the code. Less saves address space and costs a compare per access. Rounded up to
    /// whole pages of 64 KiB; more than 4 GiB is 4 GiB.
    pub fn memory_reservation(&mut self, bytes: u64) -> &mut Self {
        self.memory_reservation = bytes;
        self
    }

    /// Bytes of address space reserved for each memory with 64-bit addresses; 16 GiB by default. One
    /// that declares a smaller maximum gets that, one with a larger minimum gets that, and none gets
    /// less than [`memory_reservation`](Self::memory_reservation). Memories do not move, so none grows
    /// beyond its reservation. Rounded up to whole pages of 64 KiB.
    pub fn memory64_reservation(&mut self, bytes: u64) -> &mut Self {
        self.memory64_reservation = bytes;
        self
    }

    /// Bytes behind the reservation of each memory that are never accessible; 32 MiB by default.
    /// Accesses at larger constant offsets are checked by code. Rounded up to whole pages of
    /// 64 KiB, at least one.
    pub fn memory_guard_size(&mut self, bytes: u64) -> &mut Self {
        self.memory_guard_size = bytes;
        self
    }

    /// Whether errors from guest code carry a [`WasmBacktrace`](crate::WasmBacktrace); on by
    /// default.
    pub fn wasm_backtrace(&mut self, enable: bool) -> &mut Self {
        self.wasm_backtrace = enable;
        self
    }

    /// Whether modules may have several memories; on by default.
    pub fn wasm_multi_memory(&mut self, enable: bool) -> &mut Self {
        self.wasm_multi_memory = enable;
        self
    }

    /// Whether relaxed vector instructions are those of the specification's deterministic profile on
    /// every processor, which takes more instructions; off by default. Modules that were compiled
    /// one way cannot be loaded the other way.
    pub fn relaxed_simd_deterministic(&mut self, enable: bool) -> &mut Self {
        self.relaxed_simd_deterministic = enable;
        self
    }

    /// Whether modules may have memories and tables with 64-bit indexes; on by default.
    pub fn wasm_memory64(&mut self, enable: bool) -> &mut Self {
        self.wasm_memory64 = enable;
        self
    }

    /// Whether modules may have memories with pages of one byte; on by default.
    pub fn wasm_custom_page_sizes(&mut self, enable: bool) -> &mut Self {
        self.wasm_custom_page_sizes = enable;
        self
    }

    /// Whether modules may have shared memories; on by default. Atomic accesses of other memories are
    /// allowed in any case.
    pub fn wasm_threads(&mut self, enable: bool) -> &mut Self {
        self.wasm_threads = enable;
        self
    }

    /// Whether names of imports and exports of components may say which interface they implement; on by
    /// default.
    pub fn wasm_component_model_implements(&mut self, enable: bool) -> &mut Self {
        self.wasm_component_model_implements = enable;
        self
    }

    /// What components may use.
    pub(crate) fn component_features(&self) -> cellwall_component::Features {
        cellwall_component::Features {
            implements: self.wasm_component_model_implements,
        }
    }

    /// The switches of features, for what depends on all of them.
    pub(crate) fn features(&self) -> [bool; 5] {
        [
            self.wasm_multi_memory,
            self.wasm_memory64,
            self.wasm_custom_page_sizes,
            self.wasm_threads,
            self.wasm_component_model_implements,
        ]
    }

    /// Whether floating-point operators, scalar and of vectors, give the canonical NaN wherever they
    /// give one; off by default, since WebAssembly leaves open which NaN it is, and it takes three
    /// instructions more for each. With it, and with
    /// [`relaxed_simd_deterministic`](Self::relaxed_simd_deterministic), results are the same on every
    /// processor. Modules that were compiled one way cannot be loaded the other way.
    pub fn nan_canonicalization(&mut self, enable: bool) -> &mut Self {
        self.nan_canonicalization = enable;
        self
    }

    /// Whether the functions of a module are compiled on all processors; on by default. The
    /// resulting code is the same either way.
    pub fn parallel_compilation(&mut self, enable: bool) -> &mut Self {
        self.parallel_compilation = enable;
        self
    }

    /// What a profiler is told of compiled code; nothing by default.
    pub fn profiler(&mut self, strategy: ProfilingStrategy) -> &mut Self {
        self.profiler = strategy;
        self
    }

    /// Whether compiled code may use a feature of the processor; all that it has by default. What
    /// it lacks is never used. Code that was compiled without a feature also runs where there is
    /// one; results are the same either way, but for the relaxed vector instructions.
    pub fn cpu_feature(&mut self, feature: CpuFeature, enable: bool) -> &mut Self {
        self.unused_cpu_features.retain(|&unused| unused != feature);
        if !enable {
            self.unused_cpu_features.push(feature);
        }
        self
    }

    /// Where compiled modules are kept between processes; nowhere by default. What comes from there
    /// is proven again before it can run.
    pub fn cache(&mut self, cache: Option<Cache>) -> &mut Self {
        self.cache = cache;
        self
    }

    /// The cache that was set by [`cache`](Self::cache).
    pub fn get_cache(&self) -> Option<&Cache> {
        self.cache.as_ref()
    }
}
