//! Stores: what instances share, and the host's data.
//!
//! A store lies at one heap address from creation to drop; contexts and stubs refer to it by that.
//! [`StoreInner`] and [`StoreOpaque`] are unsized on purpose: a mutable reference to one cannot be
//! used to swap a store out from under its running guests. Requires that a context is used only
//! while its store lives; guarantees it by keeping every instance until the store is dropped.

use crate::activation::Activation;
use crate::context::Context;
use crate::engine::{Engine, InterruptHandle};
use crate::error::HostError;
use crate::exception::{Exceptions, Tag};
use crate::func::FuncSpace;
use crate::global::HostGlobal;
use crate::host::Outcome;
use crate::id::{Extern, InstanceId, MemoryId, StoreId, assert_store};
use crate::instance::Instance;
use crate::limits::{self, Answer, Ask, Limiter};
use crate::memory::Memory;
use crate::parts::{BlockRoom, Parts, Rooms, kept};
use crate::table::Table;
use crate::value::{Block, ExternRef};
use crate::wait::Unended;
use cellwall_abi::context;
use std::any::Any;
use std::cell::Cell;
use std::ffi::c_void;
use std::fmt;
use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What a store has that does not depend on the type of the host's data.
#[repr(C)]
pub(crate) struct Fields {
    /// The innermost call that is under way; the stubs read it, so it comes first.
    pub(crate) activation: Cell<*const Activation>,
    pub(crate) block: NonNull<Block>,
    /// The whole store, as it was allocated.
    whole: NonNull<Fields>,
    pub(crate) id: StoreId,
    pub(crate) engine: Engine,
    pub(crate) instances: Vec<Instance>,
    pub(crate) memories: Vec<Memory>,
    pub(crate) tables: Vec<Table>,
    pub(crate) globals: Vec<HostGlobal>,
    pub(crate) tags: Vec<Tag>,
    pub(crate) exceptions: Exceptions,
    pub(crate) funcs: FuncSpace,
    pub(crate) externs: Vec<Arc<dyn Any + Send + Sync>>,
    /// What instances and tables are made of.
    pub(crate) rooms: Rooms,
    /// Why a host function or library call leaves the guest, and the context of the caller.
    pub(crate) outcome: Option<(Outcome, usize)>,
    /// The host function that has to wait, between its stub and the call that is parked.
    pub(crate) unended: Option<Box<dyn Unended>>,
    /// The [`Context`](std::task::Context) of the poll that a call from host to host is part of, if
    /// that may wait; null otherwise.
    pub(crate) host_task: Cell<*mut c_void>,
    /// Set for ever when its guests are to stop. Never replaced: a signal handler reads it.
    stopped: ManuallyDrop<Arc<AtomicBool>>,
    /// The context for host functions that the host calls.
    pub(crate) host_context: Context,
    ask: Option<unsafe fn(NonNull<Fields>, Ask<'_>) -> Answer>,
}

const _: () = assert!(std::mem::offset_of!(Fields, activation) == 0);

/// Whether the guests of a store are to stop.
///
/// # Safety
/// `store` is the exposed address of the fields of a store that lives.
pub(crate) unsafe fn is_stopped(store: usize) -> bool {
    let fields = ptr::with_exposed_provenance::<Fields>(store);
    // SAFETY: the store lives, says the caller; the field is not written while it does.
    let stopped = unsafe { &(*fields).stopped };
    stopped.load(Ordering::Relaxed)
}

impl Fields {
    /// Whether the guests of this store are to stop.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }
}

impl Drop for Fields {
    fn drop(&mut self) {
        let mut rooms = std::mem::take(&mut self.rooms);
        rooms.refill(&mut self.instances, &mut self.tables);
        // SAFETY: taken once, here.
        let mut stopped = unsafe { ManuallyDrop::take(&mut self.stopped) };
        match Arc::get_mut(&mut stopped) {
            Some(stopped) => *stopped.get_mut() = false,
            // Somebody still has a handle, which must not stop the next store.
            None => stopped = Arc::default(),
        }
        let parts = Parts {
            block: BlockRoom(self.block),
            host_context: std::mem::replace(&mut self.host_context, Context::none()),
            stopped,
            instances: kept(&mut self.instances),
            memories: kept(&mut self.memories),
            tables: kept(&mut self.tables),
            globals: kept(&mut self.globals),
            tags: kept(&mut self.tags),
            externs: kept(&mut self.externs),
            funcs: self.funcs.kept(),
            rooms,
        };
        self.engine.0.keep_parts(parts);
    }
}

/// A store without the type of its data.
#[repr(C)]
pub struct StoreOpaque {
    pub(crate) fields: Fields,
    unsized_on_purpose: [()],
}

/// A store behind a reference.
#[repr(C)]
pub struct StoreInner<T: 'static> {
    fields: Fields,
    data: T,
    limiter: Option<Box<dyn Limiter<T>>>,
    unsized_on_purpose: [()],
}

/// The allocation behind a [`StoreInner`]: the same, with a size.
#[repr(C)]
struct Sized<T: 'static> {
    fields: Fields,
    data: T,
    limiter: Option<Box<dyn Limiter<T>>>,
}

/// Owns instances, memories, tables, globals, functions and the host's data.
pub struct Store<T: 'static> {
    whole: NonNull<Sized<T>>,
}

// SAFETY: everything that a store owns may move to another thread (host functions and values are
// Send and Sync; contexts, blocks and memories are owned by the store alone) if its data may. A
// store with calls under way is mutably borrowed.
unsafe impl<T: Send> Send for Store<T> {}
// SAFETY: through a shared reference a store can only be read.
unsafe impl<T: Sync> Sync for Store<T> {}
// SAFETY: as for `Store`.
unsafe impl<T: Send> Send for StoreInner<T> {}
// SAFETY: as for `Store`.
unsafe impl<T: Sync> Sync for StoreInner<T> {}

impl<T: 'static> Store<T> {
    /// How to stop the guests of this store from another thread.
    pub fn interrupt_handle(&self) -> InterruptHandle {
        InterruptHandle::new(self.fields.engine.clone(), Arc::clone(&self.fields.stopped))
    }

    /// A store with nothing in it but `data`.
    pub fn new(engine: &Engine, data: T) -> Self {
        let parts = engine.0.take_parts();
        let block = ManuallyDrop::new(parts.block).0;
        let mut host_context = parts.host_context;
        host_context.again(&[0; context::HEADER_BYTES as usize]);
        host_context.write(context::BLOCK, (block.as_ptr() as usize).to_ne_bytes());
        host_context.write(context::INSTANCE, HOST_INSTANCE.to_ne_bytes());
        let fields = Fields {
            activation: Cell::new(ptr::null()),
            block,
            whole: NonNull::dangling(),
            id: StoreId::next(),
            engine: engine.clone(),
            instances: parts.instances,
            memories: parts.memories,
            tables: parts.tables,
            globals: parts.globals,
            tags: parts.tags,
            exceptions: Exceptions::default(),
            funcs: parts.funcs,
            externs: parts.externs,
            rooms: parts.rooms,
            outcome: None,
            unended: None,
            host_task: Cell::new(ptr::null_mut()),
            host_context,
            stopped: ManuallyDrop::new(parts.stopped),
            ask: None,
        };
        let sized = Box::new(Sized {
            fields,
            data,
            limiter: None,
        });
        let whole = NonNull::from(Box::leak(sized));
        let mut store = Self { whole };
        store.fields.whole = whole.cast();
        let address = store.address().to_ne_bytes();
        store.fields.host_context.write(context::STORE, address);
        store
    }

    /// Drops the store and returns its data.
    pub fn into_data(self) -> T {
        let whole = ManuallyDrop::new(self).whole;
        // SAFETY: made by `Box::leak`, and nobody else owns it.
        let sized = unsafe { Box::from_raw(whole.as_ptr()) };
        sized.data
    }
}

impl<T: 'static> Drop for Store<T> {
    fn drop(&mut self) {
        // SAFETY: made by `Box::leak`, dropped once; no call is under way, as calls borrow.
        drop(unsafe { Box::from_raw(self.whole.as_ptr()) });
    }
}

impl<T: 'static> Deref for Store<T> {
    type Target = StoreInner<T>;

    #[inline]
    fn deref(&self) -> &StoreInner<T> {
        let inner = inner_of::<T>(self.whole.cast());
        // SAFETY: the store lives as long as `self`.
        unsafe { &*inner }
    }
}

impl<T: 'static> DerefMut for Store<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut StoreInner<T> {
        let inner = inner_of::<T>(self.whole.cast());
        // SAFETY: the store lives as long as `self`, which is borrowed mutably.
        unsafe { &mut *inner }
    }
}

/// The instance number of the context that is no instance.
const HOST_INSTANCE: u32 = u32::MAX;

#[inline]
fn inner_of<T: 'static>(whole: NonNull<Fields>) -> *mut StoreInner<T> {
    // The unsized tail has no elements, so that layout and size are those of the allocation.
    ptr::slice_from_raw_parts_mut(whole.as_ptr().cast::<()>(), 0) as *mut StoreInner<T>
}

#[inline]
fn opaque_of(whole: *mut Fields) -> *mut StoreOpaque {
    ptr::slice_from_raw_parts_mut(whole.cast::<()>(), 0) as *mut StoreOpaque
}

impl<T: 'static> Deref for StoreInner<T> {
    type Target = StoreOpaque;

    #[inline]
    fn deref(&self) -> &StoreOpaque {
        let opaque = opaque_of((&raw const self.fields).cast_mut());
        // SAFETY: the opaque part is exactly the fields, borrowed as `self` is.
        unsafe { &*opaque }
    }
}

impl<T: 'static> DerefMut for StoreInner<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut StoreOpaque {
        let opaque = opaque_of(&raw mut self.fields);
        // SAFETY: the opaque part is exactly the fields, borrowed as `self` is.
        unsafe { &mut *opaque }
    }
}

impl<T: 'static> StoreInner<T> {
    /// The host's data.
    #[inline]
    pub fn data(&self) -> &T {
        &self.data
    }

    /// The host's data, to change it.
    #[inline]
    pub fn data_mut(&mut self) -> &mut T {
        &mut self.data
    }

    /// Has growth decided by `limiter` from now on.
    pub fn set_limiter(&mut self, limiter: Box<dyn Limiter<T>>) {
        self.limiter = Some(limiter);
        self.fields.ask = Some(ask::<T>);
    }

    /// The bytes of a memory together with the host's data.
    pub fn memory_and_data_mut(&mut self, memory: MemoryId) -> (&mut [u8], &mut T) {
        assert_store(self.fields.id, memory.store());
        (
            self.fields.memories[memory.index()].as_mut_slice(),
            &mut self.data,
        )
    }

    /// The store of a context, from the inside of a host function.
    ///
    /// # Safety
    /// The context is that of an instance of a living `Store<T>`, or its host context; nobody else
    /// uses the store while the reference lives.
    #[inline]
    pub(crate) unsafe fn of_context<'a>(context: usize) -> &'a mut Self {
        // SAFETY: the caller's promise; the field holds the address of the whole store.
        let whole = unsafe { *((context + context::STORE as usize) as *const NonNull<Fields>) };
        // SAFETY: the caller's promise.
        unsafe { &mut *inner_of::<T>(whole) }
    }
}

unsafe fn ask<T: 'static>(whole: NonNull<Fields>, ask: Ask<'_>) -> Answer {
    let inner = inner_of::<T>(whole);
    // SAFETY: the caller's promise: the whole store, of this type of data, borrowed mutably.
    let inner = unsafe { &mut *inner };
    let limiter = inner.limiter.as_mut().expect("set together with this function");
    limits::put(&mut **limiter, &mut inner.data, ask)
}

impl StoreOpaque {
    /// The store's id.
    #[inline]
    pub fn id(&self) -> StoreId {
        self.fields.id
    }

    /// An empty list for the imports of an instance, with the room that the last one had.
    pub fn take_imports(&mut self) -> Vec<Extern> {
        self.fields.rooms.take_imports()
    }

    /// Keeps the room of such a list.
    pub fn keep_imports(&mut self, imports: Vec<Extern>) {
        self.fields.rooms.keep_imports(imports);
    }

    /// The engine that the store belongs to.
    pub fn engine(&self) -> &Engine {
        &self.fields.engine
    }

    /// The limiter's answer; `None` if there is no limiter.
    pub(crate) fn ask_limiter(&mut self, question: Ask<'_>) -> Result<Option<usize>, HostError> {
        let Some(ask) = self.fields.ask else {
            return Ok(None);
        };
        self.expose();
        let whole = self.fields.whole;
        // SAFETY: the function was made for the type of this store's data, and the store is
        // borrowed mutably.
        unsafe { ask(whole, question) }.map(Some)
    }

    /// Address of the whole store, as contexts hold it.
    pub(crate) fn address(&self) -> usize {
        self.fields.whole.as_ptr() as usize
    }

    /// The same address, made known to the Rust compiler as a way to this store: code that it
    /// cannot see through (stubs, host functions behind them) is about to use the store.
    #[inline]
    pub(crate) fn expose(&mut self) -> usize {
        let address = (&raw mut self.fields).expose_provenance();
        debug_assert_eq!(address, self.fields.whole.as_ptr() as usize);
        address
    }

    /// The store of a context, from the inside of a library call.
    ///
    /// # Safety
    /// As for [`StoreInner::of_context`].
    pub(crate) unsafe fn of_context<'a>(context: usize) -> &'a mut Self {
        // SAFETY: the caller's promise; the field holds the address of the whole store.
        let whole = unsafe { *((context + context::STORE as usize) as *const *mut Fields) };
        // SAFETY: the caller's promise.
        unsafe { &mut *opaque_of(whole) }
    }

    /// The instance of a context; `None` for the host's.
    ///
    /// # Safety
    /// The context is one of this store.
    #[inline]
    pub(crate) unsafe fn instance_of(&self, context: usize) -> Option<InstanceId> {
        // SAFETY: the caller's promise.
        let index = unsafe { *((context + context::INSTANCE as usize) as *const u32) };
        (index != HOST_INSTANCE).then(|| InstanceId::new(self.fields.id, index))
    }

    #[inline]
    pub(crate) fn block(&self) -> &Block {
        // SAFETY: allocated as long as the store lives; no guest runs while it is borrowed.
        unsafe { self.fields.block.as_ref() }
    }

    #[inline]
    pub(crate) fn block_mut(&mut self) -> &mut Block {
        // SAFETY: as above, borrowed mutably.
        unsafe { self.fields.block.as_mut() }
    }

    /// Gives a value of the host a number in the store's space of host references, where it stays
    /// until the store is dropped.
    ///
    /// # Panics
    /// After four billion values.
    pub fn new_extern(&mut self, value: Arc<dyn Any + Send + Sync>) -> ExternRef {
        self.fields.externs.push(value);
        ExternRef(u32::try_from(self.fields.externs.len()).expect("references are numbers of 32 bits"))
    }

    /// The value of a host reference; `None` for null and for numbers that were never given out.
    pub fn extern_value(&self, reference: ExternRef) -> Option<&Arc<dyn Any + Send + Sync>> {
        self.fields.externs.get((reference.0 as usize).checked_sub(1)?)
    }
}

impl<T: fmt::Debug> fmt::Debug for Store<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Store({:?})", self.data())
    }
}

impl fmt::Debug for StoreOpaque {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoreOpaque({:?})", self.fields.id)
    }
}
