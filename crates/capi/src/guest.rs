//! Stopping guests from any thread, also those that wait in WASI.
//!
//! An engine stops guest code. A guest that sleeps or reads in the host is not in guest code: what wakes it is the
//! canceller of its WASI. That knows no way back, so the one of a call that was stopped is replaced when the next call
//! begins.
//! Guarantees that only calls that are under way are cancelled: a store that does nothing just now waits later as if
//! nothing had been.

use cellwall_wasi::{Canceller, WasiCtx};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The guests of one store.
#[derive(Default)]
pub(crate) struct Guest {
    /// The thread that is using the store; 0 is none.
    pub(crate) user: AtomicUsize,
    canceller: Mutex<Option<Canceller>>,
    /// Whether the canceller was used.
    is_used: AtomicBool,
}

impl Guest {
    /// Ends the wait of the call that is under way, if there is one, and all later waits of it.
    pub(crate) fn cancel(&self) {
        let canceller = lock(&self.canceller);
        if self.user.load(Ordering::SeqCst) != 0
            && let Some(canceller) = &*canceller
        {
            self.is_used.store(true, Ordering::SeqCst);
            canceller.cancel();
        }
    }

    /// Whether the canceller is to be replaced before the next call.
    pub(crate) fn is_used(&self) -> bool {
        self.is_used.load(Ordering::Relaxed)
    }

    /// Replaces the canceller of the store's WASI, or takes that of a new one. Without descriptors left there is none.
    pub(crate) fn renew(&self, wasi: &mut WasiCtx) {
        let mut canceller = lock(&self.canceller);
        self.is_used.store(false, Ordering::SeqCst);
        *canceller = wasi.new_canceller().ok();
    }
}

/// The stores of an engine that have a WASI, by their numbers.
#[derive(Default)]
pub(crate) struct Guests(Mutex<BTreeMap<u64, Arc<Guest>>>);

impl Guests {
    pub(crate) fn add(&self, store: u64, guest: &Arc<Guest>) {
        lock(&self.0).insert(store, Arc::clone(guest));
    }

    pub(crate) fn remove(&self, store: u64) {
        lock(&self.0).remove(&store);
    }

    /// Ends the waits of all calls that are under way.
    pub(crate) fn cancel(&self) {
        lock(&self.0).values().for_each(|guest| guest.cancel());
    }
}
