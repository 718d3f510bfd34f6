//! The C API: the standard `wasm.h`, and `cellwall.h` for what the standard lacks.
//!
//! Requires of C what the headers say of ownership, and that a store and what belongs to it is used
//! by one thread at a time. Guarantees that nothing unwinds into C: what panics is reported as a
//! failure. Null where an object is required is a failure too. Deliberately has no behaviour of its
//! own: every function is a thin cover of the crate `cellwall`.
//!
//! Everything that can be a reference (`wasm_func_t`, `wasm_module_t`, `wasm_trap_t` …) is one Rust
//! type, [`refs::wasm_ref_t`], and every external type is one, [`types::wasm_externtype_t`]: the
//! casts of the header are then the identity.

#![allow(non_camel_case_types, reason = "the names are those of the C headers")]
#![allow(
    unsafe_code,
    reason = "C passes pointers; every block says what the caller promised"
)]
#![allow(unreachable_pub, reason = "the linker exports by attribute, not by path")]

mod callback;
mod component;
mod config;
mod env;
mod error;
mod exception;
mod externals;
mod extra;
mod func;
mod guest;
mod instance;
mod linker;
mod locked;
mod memory;
mod module;
mod raw;
mod refs;
mod signal;
mod signatures;
mod store;
mod trap;
mod types;
mod val;
mod vec;
mod wasi;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What a function answers when it cannot do its work.
trait Failed {
    const FAILED: Self;
}

impl Failed for () {
    const FAILED: Self = ();
}

impl Failed for bool {
    const FAILED: Self = false;
}

impl Failed for u8 {
    const FAILED: Self = 0;
}

impl Failed for u32 {
    const FAILED: Self = 0;
}

impl Failed for u64 {
    const FAILED: Self = 0;
}

impl Failed for usize {
    const FAILED: Self = 0;
}

impl<T> Failed for *mut T {
    const FAILED: Self = std::ptr::null_mut();
}

impl<T> Failed for *const T {
    const FAILED: Self = std::ptr::null();
}

/// Runs the body of a C function. `None` (a null where an object was needed, or a recorded error)
/// and a panic both become the answer of failure.
fn enter<R: Failed>(body: impl FnOnce() -> Option<R>) -> R {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Some(answer)) => answer,
        Ok(None) => R::FAILED,
        Err(panic) => {
            error::record(panicked(&*panic));
            R::FAILED
        }
    }
}

/// What a panic says.
fn panicked(panic: &(dyn Any + Send)) -> cellwall_rs::Error {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    cellwall_rs::Error::msg(text.unwrap_or("a panic").to_owned())
}

/// Declares C functions. Pointers in angle brackets come in as what they point to:
/// `<T>` a shared reference, `<mut T>` an exclusive one; a null there is a failure.
macro_rules! c_api {
    ($($(#[$meta:meta])* fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)? { $($body:tt)* })*) => {$(
        $(#[$meta])*
        ///
        /// # Safety
        /// As the C header says: pointers are valid, and owned where it says `own`.
        #[allow(unused_parens, reason = "they are the unit type where nothing is answered")]
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name($($arg: $ty),*) $(-> $ret)? {
            $crate::enter(move || -> Option<($($ret)?)> { Some({ $($body)* }) })
        }
    )*};
}
pub(crate) use c_api;

/// Where [`unsaid`] points; its address is what counts.
static UNSAID: u64 = 0;

/// What a function of C answers that fails and cannot make a trap or an error: as good as null but there.
fn unsaid<T>() -> *mut T {
    (&raw const UNSAID).cast_mut().cast()
}

/// Whether a pointer is to something.
fn is_some<T>(pointer: *const T) -> bool {
    !pointer.is_null() && pointer != unsaid::<T>().cast_const()
}

/// What a pointer from C points to; `None` if it is null.
///
/// # Safety
/// If not null it is valid for as long as the result is used, and nobody changes what it points to
/// meanwhile.
unsafe fn get<'a, T>(pointer: *const T) -> Option<&'a T> {
    // SAFETY: the caller promises it.
    is_some(pointer).then(|| unsafe { &*pointer })
}

/// Takes ownership of a pointer from C; `None` if it is null.
///
/// # Safety
/// If not null it came from [`give`], and the caller owns it.
unsafe fn take<T>(pointer: *mut T) -> Option<Box<T>> {
    // SAFETY: the caller promises that it came from `Box::into_raw` and is owned.
    is_some(pointer).then(|| unsafe { Box::from_raw(pointer) })
}

/// Gives something to C, which deletes it by the function of its type.
fn give<T>(value: T) -> *mut T {
    Box::into_raw(Box::new(value))
}
