//! Configurations, engines and stores.
//!
//! A store of C may be entered again by the functions that guest code calls, without anything that
//! says so in the arguments: [`StoreCell`] knows whether a call is under way, and then goes through
//! the caller that the Rust API handed out.

use crate::env::Env;
use crate::guest::{Guest, Guests};
use crate::refs::{Key, Payload};
use crate::{c_api, get, give, take};
use cellwall_rs::component::ResourceTable;
use cellwall_rs::{self as rt, AsContextMut, Caller, ExternRef, Rooted, Store, StoreContextMut};
use std::cell::{Cell, RefCell, UnsafeCell};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ptr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

/// The number of the next store.
static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// Options of an engine.
#[derive(Clone, Default)]
pub struct wasm_config_t {
    pub(crate) config: rt::Config,
}

/// What modules are compiled for.
#[derive(Clone)]
pub struct wasm_engine_t {
    pub(crate) engine: rt::Engine,
    guests: Arc<Guests>,
}

impl wasm_engine_t {
    fn new(config: &rt::Config) -> rt::Result<Self> {
        Ok(Self {
            engine: rt::Engine::new(config)?,
            guests: Arc::default(),
        })
    }

    /// Stops every call of guest code that is under way in its stores, also those that wait.
    pub(crate) fn interrupt(&self) {
        self.engine.interrupt();
        self.guests.cancel();
    }
}

/// What guest code lives in.
#[derive(Clone)]
pub struct wasm_store_t {
    pub(crate) cell: Arc<StoreCell>,
}

/// The data of a store for the Rust API.
pub(crate) struct Data {
    /// The cell around the store; it outlives every call into it.
    cell: *const StoreCell,
    /// WASI, once it is used or was given to the store.
    wasi: Option<cellwall_wasi::WasiCtx>,
    /// What the resources of WASI 0.2 stand for.
    resources: ResourceTable,
    limits: rt::StoreLimits,
}

impl Data {
    /// What WASI is granted here; nothing if nobody said anything.
    pub(crate) fn wasi(&mut self) -> &mut cellwall_wasi::WasiCtx {
        let cell = self.cell;
        self.wasi.get_or_insert_with(|| {
            // SAFETY: a host function asks, so that a call is under way in the store of this cell.
            unsafe { &*cell }.adopt(cellwall_wasi::WasiCtxBuilder::new().build())
        })
    }
}

impl cellwall_wasi::WasiView for Data {
    fn ctx(&mut self) -> cellwall_wasi::WasiCtxView<'_> {
        self.wasi();
        cellwall_wasi::WasiCtxView {
            ctx: self.wasi.as_mut().expect("it was just made"),
            table: &mut self.resources,
        }
    }
}

// SAFETY: the pointer is used in calls of host functions only, which happen while the cell is
// borrowed by the call.
unsafe impl Send for Data {}
// SAFETY: as above.
unsafe impl Sync for Data {}

/// A store, and what C attached to things in it.
pub(crate) struct StoreCell {
    store: UnsafeCell<Store<Data>>,
    /// How the host function that is running goes back to the store.
    running: Cell<Running>,
    engine: wasm_engine_t,
    infos: RefCell<HashMap<Key, Attached>>,
    /// Things of C that went into guest code as references, so that each goes in as the same one.
    rooted: RefCell<HashMap<Key, Rooted<ExternRef>>>,
    interrupt: rt::InterruptHandle,
    guest: Arc<Guest>,
    id: u64,
    me: Weak<Self>,
}

/// What C attached to something, and as the how-manieth.
struct Attached {
    number: usize,
    info: Env,
}

/// What a running host function was called with.
#[derive(Clone, Copy)]
enum Running {
    /// None is running.
    Nothing,
    /// One that a core module calls.
    Caller(*mut Caller<'static, Data>),
    /// One that a component calls.
    Context(*mut StoreContextMut<'static, Data>),
}

/// Limits that are none: what lives in a store is the host's business here, which makes every instance itself.
pub(crate) fn unlimited() -> rt::StoreLimitsBuilder {
    let none = usize::MAX;
    rt::StoreLimitsBuilder::new()
        .instances(none)
        .tables(none)
        .memories(none)
}

/// The store is this thread's.
struct Claim<'a> {
    /// What to give back; nothing if the thread had it before.
    user: Option<&'a AtomicUsize>,
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        if let Some(user) = self.user {
            user.store(0, Ordering::Release);
        }
    }
}

/// A number, not 0, that no other thread alive has.
pub(crate) fn thread_number() -> usize {
    thread_local! {
        static HERE: u8 = const { 0 };
    }
    HERE.with(|here| ptr::from_ref(here).addr())
}

impl Drop for StoreCell {
    fn drop(&mut self) {
        self.engine.guests.remove(self.id);
        let mut infos: Vec<Attached> = self.infos.get_mut().drain().map(|(_, info)| info).collect();
        // Finalized in the order in which they were attached.
        infos.sort_unstable_by_key(|info| info.number);
        infos.into_iter().for_each(drop);
    }
}

// SAFETY: the headers say that a store and everything of it is used by one thread at a time.
unsafe impl Send for StoreCell {}
// SAFETY: as above.
unsafe impl Sync for StoreCell {}

impl StoreCell {
    /// A number that no other store has or had.
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    fn new(engine: &wasm_engine_t) -> Arc<Self> {
        Arc::new_cyclic(|cell| {
            let data = Data {
                cell: cell.as_ptr(),
                wasi: None,
                resources: ResourceTable::new(),
                limits: unlimited().build(),
            };
            let mut store = Store::new(&engine.engine, data);
            store.limiter(|data| &mut data.limits);
            Self {
                interrupt: store.interrupt_handle(),
                store: UnsafeCell::new(store),
                running: Cell::new(Running::Nothing),
                engine: engine.clone(),
                infos: RefCell::default(),
                rooted: RefCell::default(),
                guest: Arc::default(),
                id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
                me: cell.clone(),
            }
        })
    }

    /// Runs something with the store, through the running host function's caller if there is one.
    pub(crate) fn with<R>(&self, run: impl FnOnce(StoreContextMut<'_, Data>) -> R) -> R {
        let _claim = self.claim();
        match self.running.get() {
            // SAFETY: no host function is running, so nobody else uses the store: it belongs to one
            // thread at a time, and nothing that `run` does calls C without a caller.
            Running::Nothing => run(unsafe { &mut *self.store.get() }.as_context_mut()),
            // SAFETY: there only while `in_call` below holds the caller, which waits for C, which
            // called us.
            Running::Caller(caller) => run(unsafe { &mut *caller }.as_context_mut()),
            // SAFETY: likewise, of `in_context`.
            Running::Context(context) => run(unsafe { &mut *context }.as_context_mut()),
        }
    }

    /// Runs something with the caller of the innermost host function that is running, if a core
    /// module called it.
    pub(crate) fn with_caller<R>(&self, run: impl FnOnce(&mut Caller<'static, Data>) -> R) -> Option<R> {
        let _claim = self.claim();
        match self.running.get() {
            // SAFETY: as above.
            Running::Caller(caller) => Some(run(unsafe { &mut *caller })),
            Running::Nothing | Running::Context(_) => None,
        }
    }

    /// Makes the store this thread's as long as the answer is kept, which ends the function of C
    /// with its answer of failure if it is another thread's just now.
    fn claim(&self) -> Claim<'_> {
        let me = thread_number();
        let user = &self.guest.user;
        match user.compare_exchange(0, me, Ordering::Acquire, Ordering::Relaxed) {
            Ok(_) => {
                let claim = Claim { user: Some(user) };
                if self.guest.is_used() {
                    // SAFETY: the store was just claimed, so that nobody else uses it.
                    let store = unsafe { &mut *self.store.get() };
                    if let Some(wasi) = &mut store.data_mut().wasi {
                        self.guest.renew(wasi);
                    }
                }
                claim
            }
            Err(user) if user == me => {
                if self.guest.writer.load(Ordering::Relaxed) == me {
                    std::panic::resume_unwind(Box::new(
                        "a store cannot be used by a function that takes what its guest writes",
                    ));
                }
                Claim { user: None }
            }
            // `enter` makes it an error; nobody wants to read of it on standard error.
            Err(_) => std::panic::resume_unwind(Box::new("the store is in use by another thread")),
        }
    }

    /// Runs C code that may come back to the store.
    pub(crate) fn in_call<R>(caller: &mut Caller<'_, Data>, run: impl FnOnce(&Self) -> R) -> R {
        // SAFETY: a call is under way in the store of this cell, which C keeps alive for it.
        let cell = unsafe { &*caller.data().cell };
        cell.running(Running::Caller(ptr::from_mut(caller).cast()), run)
    }

    /// Likewise, in a function that a component calls.
    pub(crate) fn in_context<R>(context: &mut StoreContextMut<'_, Data>, run: impl FnOnce(&Self) -> R) -> R {
        // SAFETY: as above.
        let cell = unsafe { &*context.data().cell };
        cell.running(Running::Context(ptr::from_mut(context).cast()), run)
    }

    fn running<R>(&self, running: Running, run: impl FnOnce(&Self) -> R) -> R {
        /// Whatever happens, nobody goes back to a caller that is gone.
        struct Restore<'a>(&'a Cell<Running>, Running);
        impl Drop for Restore<'_> {
            fn drop(&mut self) {
                self.0.set(self.1);
            }
        }
        let _restore = Restore(&self.running, self.running.replace(running));
        run(self)
    }

    /// It, shared.
    pub(crate) fn shared(&self) -> Arc<Self> {
        self.me.upgrade().expect("a reference to it keeps it alive")
    }

    pub(crate) fn engine(&self) -> &rt::Engine {
        &self.engine.engine
    }

    /// Stops what runs or waits in it; for any thread, so without claiming it.
    pub(crate) fn interrupt(&self) {
        self.interrupt.interrupt();
        self.guest.cancel();
    }

    /// What its guests are granted; a wait in it can be ended from any thread.
    fn adopt(&self, mut wasi: cellwall_wasi::WasiCtx) -> cellwall_wasi::WasiCtx {
        self.guest.renew(&mut wasi);
        self.engine.guests.add(self.id, &self.guest);
        wasi
    }

    /// Those that may stop what waits in it.
    pub(crate) fn guest(&self) -> &Arc<Guest> {
        &self.guest
    }

    /// Gives it a WASI.
    pub(crate) fn set_wasi(&self, wasi: cellwall_wasi::WasiCtx) {
        let old = self.with(|mut store| {
            let wasi = self.adopt(wasi);
            store.data_mut().wasi.replace(wasi)
        });
        // Not before: what it calls at its end may come back.
        drop(old);
    }

    /// Limits what guests can make the store grow to.
    pub(crate) fn limit(&self, limits: rt::StoreLimits) {
        self.with(|mut store| store.data_mut().limits = limits);
    }

    pub(crate) fn info(&self, key: Key) -> *mut std::ffi::c_void {
        let _claim = self.claim();
        self.infos
            .borrow()
            .get(&key)
            .map_or(ptr::null_mut(), |attached| attached.info.data)
    }

    pub(crate) fn set_info(&self, key: Key, info: Env) {
        let claim = self.claim();
        // Dropped after the borrow: the finalizer may come back.
        let old = {
            let mut infos = self.infos.borrow_mut();
            let number = infos.len();
            match infos.entry(key) {
                Entry::Occupied(mut found) => Some(std::mem::replace(&mut found.get_mut().info, info)),
                Entry::Vacant(place) => {
                    place.insert(Attached { number, info });
                    None
                }
            }
        };
        drop(claim);
        drop(old);
    }

    /// The reference that stands for something of C in guest code.
    pub(crate) fn root(&self, key: Key, payload: impl FnOnce() -> Payload) -> rt::Result<Rooted<ExternRef>> {
        let _claim = self.claim();
        if let Some(rooted) = self.rooted.borrow().get(&key) {
            return Ok(*rooted);
        }
        let rooted = self.with(|store| ExternRef::new(store, payload()))?;
        self.rooted.borrow_mut().insert(key, rooted);
        Ok(rooted)
    }
}

c_api! {
    /// The default options.
    fn wasm_config_new() -> *mut wasm_config_t {
        give(wasm_config_t::default())
    }
    /// Deletes options that no engine took.
    fn wasm_config_delete(config: *mut wasm_config_t) {
        drop(unsafe { take(config) });
    }
    /// An engine with the default options.
    fn wasm_engine_new() -> *mut wasm_engine_t {
        give(crate::error::ok(wasm_engine_t::new(&rt::Config::default()))?)
    }
    /// An engine with these options, which it takes.
    fn wasm_engine_new_with_config(config: *mut wasm_config_t) -> *mut wasm_engine_t {
        let config = unsafe { take(config) }?;
        give(crate::error::ok(wasm_engine_t::new(&config.config))?)
    }
    /// Deletes it; stores and modules of it live on.
    fn wasm_engine_delete(engine: *mut wasm_engine_t) {
        drop(unsafe { take(engine) });
    }
    /// A store in this engine.
    fn wasm_store_new(engine: *mut wasm_engine_t) -> *mut wasm_store_t {
        let cell = StoreCell::new(unsafe { get(engine) }?);
        give(wasm_store_t { cell })
    }
    /// See `engine.api`.
    fn cellwall_store_id(store: *const wasm_store_t) -> u64 {
        unsafe { get(store) }?.cell.id()
    }
    /// See `engine.api`.
    fn cellwall_store_use(store: *const wasm_store_t) -> u8 {
        match unsafe { get(store) }?.cell.guest.user.load(Ordering::Relaxed) {
            0 => 0,
            user if user == thread_number() => 1,
            _ => 2,
        }
    }
    /// Deletes it, with all that lives in it, once the last reference into it is deleted.
    fn wasm_store_delete(store: *mut wasm_store_t) {
        drop(unsafe { take(store) });
    }
}
