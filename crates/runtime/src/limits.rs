//! The embedder's say on how large a store may get.

use crate::error::{Error, HostError};
use crate::store::StoreOpaque;

/// Consulted before a store grows. Sizes of memories are in bytes, of tables in elements.
pub trait Limiter<T>: Send + Sync {
    /// Whether a memory may grow from `current` to `desired`; creation grows from 0.
    ///
    /// # Errors
    /// An error ends the guest's call with it.
    fn memory_growing(
        &mut self,
        data: &mut T,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> Result<bool, HostError>;

    /// A memory that was allowed to grow could not.
    ///
    /// # Errors
    /// An error ends the guest's call with it.
    fn memory_grow_failed(&mut self, data: &mut T, reason: &str) -> Result<(), HostError>;

    /// Whether a table may grow from `current` to `desired`; creation grows from 0.
    ///
    /// # Errors
    /// An error ends the guest's call with it.
    fn table_growing(
        &mut self,
        data: &mut T,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> Result<bool, HostError>;

    /// A table that was allowed to grow could not.
    ///
    /// # Errors
    /// An error ends the guest's call with it.
    fn table_grow_failed(&mut self, data: &mut T, reason: &str) -> Result<(), HostError>;

    /// How many instances the store may have.
    fn instances(&mut self, data: &mut T) -> usize;

    /// How many tables the store may have.
    fn tables(&mut self, data: &mut T) -> usize;

    /// How many memories the store may have.
    fn memories(&mut self, data: &mut T) -> usize;
}

/// A question to a limiter whose type is not known.
#[derive(Clone, Copy)]
pub(crate) enum Ask<'a> {
    MemoryGrowing(usize, usize, Option<usize>),
    MemoryFailed(&'a str),
    TableGrowing(usize, usize, Option<usize>),
    TableFailed(&'a str),
    Instances,
    Tables,
    Memories,
}

/// Its answer: for "growing" whether (0 or 1), for counts how many.
pub(crate) type Answer = Result<usize, HostError>;

/// Puts a question to a limiter.
pub(crate) fn put<T>(limiter: &mut dyn Limiter<T>, data: &mut T, ask: Ask<'_>) -> Answer {
    match ask {
        Ask::MemoryGrowing(current, desired, max) => limiter
            .memory_growing(data, current, desired, max)
            .map(usize::from),
        Ask::MemoryFailed(reason) => limiter.memory_grow_failed(data, reason).map(|()| 0),
        Ask::TableGrowing(current, desired, max) => limiter
            .table_growing(data, current, desired, max)
            .map(usize::from),
        Ask::TableFailed(reason) => limiter.table_grow_failed(data, reason).map(|()| 0),
        Ask::Instances => Ok(limiter.instances(data)),
        Ask::Tables => Ok(limiter.tables(data)),
        Ask::Memories => Ok(limiter.memories(data)),
    }
}

impl StoreOpaque {
    /// Whether a size may grow; always without a limiter.
    pub(crate) fn may_grow(&mut self, ask: Ask<'_>) -> Result<bool, HostError> {
        Ok(self.ask_limiter(ask)?.is_none_or(|answer| answer != 0))
    }

    /// Checks that `more` instances, tables or memories fit.
    pub(crate) fn may_have(
        &mut self,
        ask: Ask<'_>,
        what: &str,
        have: usize,
        more: usize,
    ) -> Result<(), Error> {
        let max = self.ask_limiter(ask).map_err(Error::host)?.unwrap_or(usize::MAX);
        if have.saturating_add(more) > max {
            return Err(Error::Limit(format!(
                "resource limit exceeded: {what} count too high at {}",
                have + more
            )));
        }
        Ok(())
    }
}
