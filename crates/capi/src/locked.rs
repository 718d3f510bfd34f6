//! Linkers: of no store, so that threads may use one at the same time.
//!
//! Guarantees that one thread at a time looks into it, and that what the linker calls (a finalizer, a guest that is made
//! for its definitions) gets an error when it comes back to it. Who has a hold keeps it alive, whoever deletes it.

use crate::store::thread_number;
use cellwall_rs::{Result, bail};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Something that is used by one thread at a time, and by nothing that this use calls.
pub(crate) struct Locked<T> {
    value: Mutex<T>,
    /// The thread that is using it; 0 is none.
    user: AtomicUsize,
}

/// Whatever happens, the thread is done with it at the end.
struct Using<'a>(&'a AtomicUsize);

impl Drop for Using<'_> {
    fn drop(&mut self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

impl<T> Locked<T> {
    pub(crate) fn new(value: T) -> Self {
        Self {
            value: Mutex::new(value),
            user: AtomicUsize::new(0),
        }
    }

    /// Uses it, after whoever uses it now.
    ///
    /// # Errors
    /// If this thread is using it already; and what `body` answers.
    pub(crate) fn with<R>(&self, body: impl FnOnce(&mut T) -> Result<R>) -> Result<R> {
        let me = thread_number();
        if self.user.load(Ordering::Relaxed) == me {
            bail!("the linker is in use by what called this function");
        }
        let mut value = self.value.lock().unwrap_or_else(PoisonError::into_inner);
        self.user.store(me, Ordering::Relaxed);
        // Dropped before the lock.
        let _using = Using(&self.user);
        body(&mut value)
    }
}
