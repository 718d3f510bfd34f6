//! Things to wait for.
//!
//! Guarantees: a pollable made by [`subscribe`] is a child of what it waits for, which therefore
//! outlives it (WASI 0.2 makes dropping in the other order a trap).

use super::executor;
use crate::WasiCtxView;
use async_trait::async_trait;
use cellwall::component::{Resource, ResourceTable, ResourceTableError};
use cellwall::{Result, bail};
use std::any::Any;
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::task::Poll;

/// A future that borrows what it waits for.
pub type DynFuture<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// A resource of the host that a guest can wait for.
#[async_trait]
pub trait Pollable: Send + 'static {
    /// Waits until the resource is ready; what that means is the resource's to say.
    ///
    /// It may be dropped before it is done and asked again, so nothing may be lost with it.
    async fn ready(&mut self);
}

type Remove = fn(&mut ResourceTable, u32) -> Result<(), ResourceTableError>;
type Ready = for<'a> fn(&'a mut (dyn Any + Send)) -> DynFuture<'a>;

/// What a guest's `pollable` stands for: the waiting for another resource of the same table.
pub struct DynPollable {
    source: u32,
    ready: Ready,
    /// Deletes the source, if it was made for this pollable alone.
    remove: Option<Remove>,
}

impl std::fmt::Debug for DynPollable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DynPollable")
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}

/// A pollable that is ready when `resource` is.
///
/// The pollable is a child of a resource that is lent. One that is owned is deleted with it.
///
/// # Errors
/// The table is full, or has no such resource.
pub fn subscribe<T: Pollable>(
    table: &mut ResourceTable,
    resource: Resource<T>,
) -> Result<Resource<DynPollable>, ResourceTableError> {
    fn ready<T: Pollable>(source: &mut (dyn Any + Send)) -> DynFuture<'_> {
        let source = source.downcast_mut::<T>();
        source
            .expect("the table compared its type when it was subscribed to")
            .ready()
    }
    fn remove<T: 'static>(table: &mut ResourceTable, rep: u32) -> Result<(), ResourceTableError> {
        table.delete(Resource::<T>::new_own(rep)).map(drop)
    }
    table.get(&resource)?;
    let pollable = DynPollable {
        source: resource.rep(),
        ready: ready::<T>,
        remove: resource.owned().then_some(remove::<T>),
    };
    let pushed = table.push_child(pollable, &resource);
    if pushed.is_err() && resource.owned() {
        table.delete(resource)?;
    }
    pushed
}

/// The most pollables in one call of `poll`.
const POLLABLES_MAX: usize = 1 << 16;

/// Whether a pollable is ready now.
pub(crate) fn is_ready(view: &mut WasiCtxView<'_>, pollable: &Resource<DynPollable>) -> Result<bool> {
    let &DynPollable { source, ready, .. } = view.table.get(pollable)?;
    let ready = ready(view.table.get_any_mut(source)?);
    Ok(executor::now(&view.ctx.waiting, ready)?.is_some())
}

/// Waits until a pollable is ready.
pub(crate) async fn block(view: &mut WasiCtxView<'_>, pollable: &Resource<DynPollable>) -> Result<()> {
    let &DynPollable { source, ready, .. } = view.table.get(pollable)?;
    let ready = ready(view.table.get_any_mut(source)?);
    executor::wait(&view.ctx.waiting, ready).await
}

/// Waits until one of `pollables` is ready; the indices of all that are then.
pub(crate) async fn poll(
    view: &mut WasiCtxView<'_>,
    pollables: &[Resource<DynPollable>],
) -> Result<Vec<u32>> {
    if pollables.is_empty() {
        bail!("empty poll list");
    }
    if pollables.len() > POLLABLES_MAX {
        bail!("`poll` waits for {POLLABLES_MAX} pollables at most");
    }
    // Several pollables may wait for one thing.
    let mut sources: BTreeMap<u32, (Ready, Vec<u32>)> = BTreeMap::new();
    for (index, pollable) in (0u32..).zip(pollables) {
        let pollable = view.table.get(pollable)?;
        let (_, indices) = sources
            .entry(pollable.source)
            .or_insert((pollable.ready, Vec::new()));
        indices.push(index);
    }
    let numbers: Vec<u32> = sources.keys().copied().collect();
    let things = view.table.get_many_any_mut(&numbers)?;
    let mut waits: Vec<(DynFuture<'_>, Vec<u32>)> = things
        .into_iter()
        .zip(sources.into_values())
        .map(|(thing, (ready, indices))| (ready(thing), indices))
        .collect();
    let first = std::future::poll_fn(|cx| {
        let mut found = Vec::new();
        for (wait, indices) in &mut waits {
            if wait.as_mut().poll(cx).is_ready() {
                found.append(indices);
            }
        }
        match found.is_empty() {
            true => Poll::Pending,
            false => Poll::Ready(found),
        }
    });
    let mut found = executor::wait(&view.ctx.waiting, first).await?;
    found.sort_unstable();
    Ok(found)
}

/// Deletes a pollable, and what was made for it alone.
pub(crate) fn delete(table: &mut ResourceTable, pollable: Resource<DynPollable>) -> Result<()> {
    let pollable = table.delete(pollable)?;
    if let Some(remove) = pollable.remove {
        remove(table, pollable.source)?;
    }
    Ok(())
}
