//! Data of C with the function that gives it back.

use std::ffi::c_void;
use std::ptr;
use std::sync::{Mutex, PoisonError};

/// A pointer of C's, and what to call when nobody needs it any more.
#[derive(Debug)]
pub(crate) struct Env {
    pub(crate) data: *mut c_void,
    finalizer: Option<unsafe extern "C" fn(*mut c_void)>,
}

// SAFETY: the pointer is only handed back to C, which uses a store and what belongs to it from one
// thread at a time; what is shared between threads (modules) has none.
unsafe impl Send for Env {}
// SAFETY: as above.
unsafe impl Sync for Env {}

impl Env {
    pub(crate) fn new(data: *mut c_void, finalizer: Option<unsafe extern "C" fn(*mut c_void)>) -> Self {
        Self { data, finalizer }
    }
}

impl Drop for Env {
    fn drop(&mut self) {
        if let Some(finalizer) = self.finalizer {
            // SAFETY: C gave both, to be called together, once.
            unsafe { finalizer(self.data) };
        }
    }
}

/// Where something keeps its host information, which is finalized with the thing itself.
#[derive(Debug, Default)]
pub(crate) struct Info(Mutex<Option<Env>>);

impl Info {
    pub(crate) fn get(&self) -> *mut c_void {
        let info = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        info.as_ref().map_or(ptr::null_mut(), |info| info.data)
    }

    pub(crate) fn set(&self, info: Env) {
        let old = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .replace(info);
        // Dropped after the lock: the finalizer may come back.
        drop(old);
    }
}
