//! Data of C with the function that gives it back.

use std::ffi::c_void;

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
