//! Stopping guests from any thread, also those that wait in WASI.
//!
//! An engine stops guest code. A guest that sleeps or reads in the host is not in guest code: what wakes it is the
//! canceller of its WASI. That knows no way back, so the one of a call that was stopped is replaced when the next call
//! begins.
//! Guarantees that only calls that are under way are cancelled: a store that does nothing just now waits later as if
//! nothing had been. A canceller works across the processes that have it, so that one that was made before a fork is
//! replaced in the child, and never used there.

use crate::store::thread_number;
use cellwall_wasi::{Canceller, WasiCtx};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError};

/// How many forks lie between this process and the first one that counted.
static FORKS: AtomicU32 = AtomicU32::new(0);

extern "C" fn in_child() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}

/// Counts forks from now on.
fn count_forks() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: the function lives as long as the library that has it, whose end takes it back. Where there is no
        // memory to keep it, a child has the cancellers of its parent.
        unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
    });
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The guests of one store.
#[derive(Default)]
pub(crate) struct Guest {
    /// The thread that is using the store; 0 is none.
    pub(crate) user: AtomicUsize,
    /// The thread in a function of C that takes what a guest writes; 0 is none.
    pub(crate) writer: AtomicUsize,
    canceller: Mutex<Option<Canceller>>,
    /// Whether the canceller was used.
    is_used: AtomicBool,
    /// After which fork it was made.
    forks: AtomicU32,
}

impl Guest {
    /// Runs a function of C that takes what a guest of the store writes, and may not use the store.
    pub(crate) fn writing<R>(&self, write: impl FnOnce() -> R) -> R {
        let before = self.writer.swap(thread_number(), Ordering::Relaxed);
        let answer = write();
        self.writer.store(before, Ordering::Relaxed);
        answer
    }

    /// Ends the wait of the call that is under way, if there is one, and all later waits of it.
    pub(crate) fn cancel(&self) {
        let canceller = lock(&self.canceller);
        if self.user.load(Ordering::SeqCst) != 0
            && !self.is_of_parent()
            && let Some(canceller) = &*canceller
        {
            self.is_used.store(true, Ordering::SeqCst);
            canceller.cancel();
        }
    }

    /// Whether the canceller is to be replaced before the next call.
    pub(crate) fn is_used(&self) -> bool {
        self.is_used.load(Ordering::Relaxed) || self.is_of_parent()
    }

    fn is_of_parent(&self) -> bool {
        self.forks.load(Ordering::Relaxed) != FORKS.load(Ordering::Relaxed)
    }

    /// Replaces the canceller of the store's WASI, or takes that of a new one. Without descriptors left there is none.
    pub(crate) fn renew(&self, wasi: &mut WasiCtx) {
        count_forks();
        let mut canceller = lock(&self.canceller);
        self.is_used.store(false, Ordering::SeqCst);
        self.forks.store(FORKS.load(Ordering::Relaxed), Ordering::Relaxed);
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
