//! What stores share: configuration, the numbers of types, unused stacks, interruption.

use crate::error::Error;
use crate::parts::{PARTS_KEPT_MAX, Parts};
use crate::pool::MemoryPool;
use crate::spare::Spares;
use crate::stack::{self, CellStack};
use crate::sys::{self, Parker};
use crate::types::TypeRegistry;
use cellwall_abi::{CpuFeatures, Target};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How an engine runs code.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// What code is compiled for; memories and stacks are laid out by it.
    pub target: Target,
    /// Bytes of address space for a memory with 64-bit indexes, unless it declares less or starts with
    /// more; never less than the target says.
    pub memory64_reservation_bytes: u64,
    /// Bytes of stack for guest code, per call from outside (nested calls share it).
    pub stack_bytes: usize,
    /// Whether traps and errors carry guest frames.
    pub backtrace: bool,
    /// How many calls that may wait can be under way at a time; each has a stack.
    pub async_calls_max: usize,
}

/// Without another wish: two mappings each, and the system's usual limit is 65,530.
const ASYNC_CALLS_MAX: usize = 20_000;

impl Default for EngineConfig {
    /// This processor's features, full reservations (16 GiB for 64-bit indexes), 1 MiB of stack,
    /// backtraces, 20,000 calls that may wait.
    fn default() -> Self {
        Self {
            target: Target::new(host_features()),
            memory64_reservation_bytes: 16 << 30,
            stack_bytes: 1 << 20,
            backtrace: true,
            async_calls_max: ASYNC_CALLS_MAX,
        }
    }
}

/// The features of this processor that code may use.
pub fn host_features() -> CpuFeatures {
    sys::features().unwrap_or_default()
}

/// Shared by all stores that exchange code and functions; cheap to clone.
#[derive(Clone, Debug)]
pub struct Engine(pub(crate) Arc<EngineInner>);

#[derive(Debug)]
pub(crate) struct EngineInner {
    pub(crate) id: u64,
    pub(crate) config: EngineConfig,
    /// Counts interruptions.
    epoch: AtomicU64,
    pub(crate) types: TypeRegistry,
    /// Boxed, so that a thread keeps one in a word.
    stacks: Spares<Box<CellStack>>,
    /// Bytes of stack and of guard.
    pub(crate) stack_sizes: (usize, usize),
    pub(crate) memories: MemoryPool,
    /// What stores that are gone had from the allocator.
    parts: Spares<Parts>,
    /// Calls that may wait and have a stack.
    async_calls: AtomicUsize,
    /// Who waits in a shared memory, to be told of interruptions.
    waiters: Mutex<Vec<Arc<Parker>>>,
}

/// Unused stacks that an engine keeps.
const STACKS_KEPT_MAX: usize = 32;

impl Engine {
    /// Makes an engine, and on the first call the signal handlers of the process.
    ///
    /// # Errors
    /// If the processor or the operating system lacks something, or the facts about memories make
    /// no sense.
    pub fn new(config: EngineConfig) -> Result<Self, Error> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        if sys::features().is_none() {
            return Err(Error::Limit(
                "this processor lacks SSE4.1, which all code needs".into(),
            ));
        }
        if !config.target.is_valid() {
            return Err(Error::Limit(
                "memory reservation and guards must be multiples of the page, and the reservation at most 4 GiB"
                    .into(),
            ));
        }
        const STACK_BYTES: std::ops::RangeInclusive<usize> = 16 << 10..=1 << 30;
        if !STACK_BYTES.contains(&config.stack_bytes) {
            return Err(Error::Limit("a stack must have 16 KiB to 1 GiB".into()));
        }
        sys::install_handlers().map_err(|error| Error::Os {
            what: "cannot install signal handlers",
            error,
        })?;
        sys::prepare_fences();
        Ok(Self(Arc::new(EngineInner {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            stack_sizes: stack::sizes(&config),
            config,
            epoch: AtomicU64::new(0),
            types: TypeRegistry::default(),
            stacks: Spares::new(STACKS_KEPT_MAX),
            memories: MemoryPool::default(),
            parts: Spares::new(PARTS_KEPT_MAX),
            async_calls: AtomicUsize::new(0),
            waiters: Mutex::default(),
        })))
    }

    /// The configuration.
    pub fn config(&self) -> &EngineConfig {
        &self.0.config
    }

    /// What code must be compiled for.
    pub fn target(&self) -> &Target {
        &self.0.config.target
    }

    /// Whether both are the same engine.
    pub fn same(&self, other: &Engine) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Ends every guest call that is now running in this engine with
    /// [`TrapCode::Interrupt`](cellwall_abi::TrapCode::Interrupt): guest code at once, wherever it
    /// is; host functions when they return to their guest. Calls that start after this returned
    /// are not affected.
    ///
    /// An instance that is stopped at an arbitrary place of its code is not entered again
    /// ([`Error::Interrupted`]).
    pub fn interrupt(&self) {
        self.0.epoch.fetch_add(1, Ordering::SeqCst);
        self.signal();
    }

    /// Makes every thread with a call in this engine look whether that is to end.
    fn signal(&self) {
        sys::full_fence();
        sys::interrupt_threads(|slot| {
            let engine = slot.engine.load(Ordering::SeqCst);
            engine == self.0.id || engine == sys::ThreadSlot::MIXED
        });
        self.0.waiters().iter().for_each(|waiter| waiter.nudge());
    }
}

/// Stops the guests of one store, from any thread.
#[derive(Debug, Clone)]
pub struct InterruptHandle {
    engine: Engine,
    stopped: Arc<AtomicBool>,
}

impl InterruptHandle {
    pub(crate) fn new(engine: Engine, stopped: Arc<AtomicBool>) -> Self {
        Self { engine, stopped }
    }

    /// Ends the guest call that runs in the store now, as [`Engine::interrupt`] does for all stores; those of
    /// other stores go on. The store is of no further use: a call that begins later, or goes on later after it waited,
    /// ends at the latest with the next interruption of anything in the engine.
    pub fn interrupt(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        self.engine.signal();
    }
}

impl EngineInner {
    /// Who waits in a shared memory.
    pub(crate) fn waiters(&self) -> MutexGuard<'_, Vec<Arc<Parker>>> {
        self.waiters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How often the engine was interrupted.
    #[inline]
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Relaxed)
    }

    pub(crate) fn take_stack(&self) -> Result<Box<CellStack>, Error> {
        let kept = self.stacks.take(|_| true, |_| true);
        kept.map_or_else(|| CellStack::new(self).map(Box::new), Ok)
    }

    /// Counts one more call that may wait.
    ///
    /// # Errors
    /// [`Error::Limit`] if there are too many.
    pub(crate) fn begin_async_call(&self) -> Result<(), Error> {
        let max = self.config.async_calls_max;
        let more = |calls: usize| (calls < max).then_some(calls + 1);
        let counted = self
            .async_calls
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        counted.map(drop).map_err(|_| {
            Error::Limit(format!(
                "no more than {max} asynchronous calls can be under way in an engine at a time"
            ))
        })
    }

    /// One of them has ended.
    pub(crate) fn end_async_call(&self) {
        self.async_calls.fetch_sub(1, Ordering::Relaxed);
    }

    pub(crate) fn keep_stack(&self, stack: Box<CellStack>) {
        if stack.fits(self) {
            // Where there is no room, it is dropped.
            drop(self.stacks.put(0, stack));
        }
    }

    /// What a new store is made of.
    pub(crate) fn take_parts(&self) -> Parts {
        self.parts.take(|_| true, |_| true).unwrap_or_else(Parts::new)
    }

    pub(crate) fn keep_parts(&self, parts: Parts) {
        // Where there is no room, they are dropped.
        drop(self.parts.put(0, parts));
    }
}
