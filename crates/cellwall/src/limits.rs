//! Limits on what a store may hold.

use crate::{Error, Result, bail};

/// Instances that a store may hold unless its limiter says otherwise.
pub const DEFAULT_INSTANCE_LIMIT: usize = 10_000;
/// Tables that a store may hold unless its limiter says otherwise.
pub const DEFAULT_TABLE_LIMIT: usize = 10_000;
/// Memories that a store may hold unless its limiter says otherwise.
pub const DEFAULT_MEMORY_LIMIT: usize = 10_000;

/// Decides how much a store may hold; given to [`Store::limiter`](crate::Store::limiter).
///
/// It is asked before a memory or table is made or grown, by the guest or by the host. It hears
/// nothing of host allocations.
pub trait ResourceLimiter: Send {
    /// Whether a memory may grow from `current` to `desired` bytes; `maximum` is that of its type.
    /// A new memory grows from 0. `false` makes the growth fail (`memory.grow` returns -1, making
    /// fails).
    ///
    /// # Errors
    /// An error ends the guest's call with it.
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> Result<bool>;

    /// Hears that the growth of a memory failed: it was refused, or is above the maximum, or the
    /// system had no memory.
    ///
    /// # Errors
    /// An error ends the guest's call with it.
    fn memory_grow_failed(&mut self, error: Error) -> Result<()> {
        let _ = error;
        Ok(())
    }

    /// Whether a table may grow from `current` to `desired` elements; `maximum` is that of its
    /// type.
    ///
    /// # Errors
    /// An error ends the guest's call with it.
    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> Result<bool>;

    /// Hears that the growth of a table failed.
    ///
    /// # Errors
    /// An error ends the guest's call with it.
    fn table_grow_failed(&mut self, error: Error) -> Result<()> {
        let _ = error;
        Ok(())
    }

    /// How many instances the store may hold; asked once, when the limiter is installed.
    fn instances(&self) -> usize {
        DEFAULT_INSTANCE_LIMIT
    }

    /// How many tables the store may hold; asked once, when the limiter is installed.
    fn tables(&self) -> usize {
        DEFAULT_TABLE_LIMIT
    }

    /// How many memories the store may hold; asked once, when the limiter is installed.
    fn memories(&self) -> usize {
        DEFAULT_MEMORY_LIMIT
    }
}

/// A [`ResourceLimiter`] with fixed limits, made by [`StoreLimitsBuilder`].
///
/// ```
/// use cellwall::{Engine, Memory, MemoryType, Store, StoreLimits, StoreLimitsBuilder};
///
/// let engine = Engine::default();
/// let limits = StoreLimitsBuilder::new().memory_size(1 << 20).memories(1).build();
/// let mut store = Store::new(&engine, limits);
/// store.limiter(|limits| limits);
/// let memory = Memory::new(&mut store, MemoryType::new(1, None))?;
/// assert!(memory.grow(&mut store, 15).is_ok());
/// assert!(memory.grow(&mut store, 1).is_err());
/// assert!(Memory::new(&mut store, MemoryType::new(1, None)).is_err());
/// # cellwall::Ok(())
/// ```
#[derive(Clone, Debug)]
pub struct StoreLimits {
    memory_size: Option<usize>,
    table_elements: Option<usize>,
    instances: usize,
    tables: usize,
    memories: usize,
    trap_on_grow_failure: bool,
}

impl Default for StoreLimits {
    fn default() -> Self {
        Self {
            memory_size: None,
            table_elements: None,
            instances: DEFAULT_INSTANCE_LIMIT,
            tables: DEFAULT_TABLE_LIMIT,
            memories: DEFAULT_MEMORY_LIMIT,
            trap_on_grow_failure: false,
        }
    }
}

impl ResourceLimiter for StoreLimits {
    fn memory_growing(&mut self, _current: usize, desired: usize, maximum: Option<usize>) -> Result<bool> {
        let allowed = within(desired, self.memory_size) && within(desired, maximum);
        if !allowed && self.trap_on_grow_failure {
            bail!("a memory cannot grow to {desired} bytes: the limit of the store is reached");
        }
        Ok(allowed)
    }

    fn memory_grow_failed(&mut self, error: Error) -> Result<()> {
        if self.trap_on_grow_failure {
            return Err(error.context("a memory cannot grow"));
        }
        Ok(())
    }

    fn table_growing(&mut self, _current: usize, desired: usize, maximum: Option<usize>) -> Result<bool> {
        let allowed = within(desired, self.table_elements) && within(desired, maximum);
        if !allowed && self.trap_on_grow_failure {
            bail!("a table cannot grow to {desired} elements: the limit of the store is reached");
        }
        Ok(allowed)
    }

    fn table_grow_failed(&mut self, error: Error) -> Result<()> {
        if self.trap_on_grow_failure {
            return Err(error.context("a table cannot grow"));
        }
        Ok(())
    }

    fn instances(&self) -> usize {
        self.instances
    }

    fn tables(&self) -> usize {
        self.tables
    }

    fn memories(&self) -> usize {
        self.memories
    }
}

fn within(desired: usize, limit: Option<usize>) -> bool {
    limit.is_none_or(|limit| desired <= limit)
}

/// Makes [`StoreLimits`].
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct StoreLimitsBuilder(StoreLimits);

impl StoreLimitsBuilder {
    /// Starts without limits on sizes, and the default limits on counts.
    pub fn new() -> Self {
        Self::default()
    }

    /// Limits each memory to this many bytes.
    pub fn memory_size(mut self, bytes: usize) -> Self {
        self.0.memory_size = Some(bytes);
        self
    }

    /// Limits each table to this many elements.
    pub fn table_elements(mut self, elements: usize) -> Self {
        self.0.table_elements = Some(elements);
        self
    }

    /// Limits the number of instances.
    pub fn instances(mut self, count: usize) -> Self {
        self.0.instances = count;
        self
    }

    /// Limits the number of tables.
    pub fn tables(mut self, count: usize) -> Self {
        self.0.tables = count;
        self
    }

    /// Limits the number of memories.
    pub fn memories(mut self, count: usize) -> Self {
        self.0.memories = count;
        self
    }

    /// Makes a refused or failed growth end the guest's call with an error, instead of `memory.grow`
    /// or `table.grow` returning -1.
    pub fn trap_on_grow_failure(mut self, trap: bool) -> Self {
        self.0.trap_on_grow_failure = trap;
        self
    }

    /// The limits.
    pub fn build(self) -> StoreLimits {
        self.0
    }
}
